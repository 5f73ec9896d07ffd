//! Words that announce a secret: names of what is one, clauses, and functions that take one as an argument.

use std::collections::BTreeMap;

use sealtrail_sql::{Dialect, Engine};

use super::rules::Rules;

/// How names of secrets end, in small letters; what stands between their parts may be left out or be a dash.
const NAME_ENDS: [&str; 26] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "pwd",
    "secret",
    "token",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "account_key",
    "encryption_key",
    "signing_key",
    "shared_key",
    "shared_access_signature",
    "credentials",
    "password_hash",
    "passwd_hash",
    "pwd_hash",
    "password_salt",
    "password_digest",
    "key_source",
    "authentication_string",
    "auth_string",
];

/// Names that are one only as a whole.
const NAMES: [&str; 3] = ["pass", "psw", "pw"];

/// Functions of engines and extensions, with the arguments that are secret, from 1.
const FUNCTIONS: [(&str, &[u8]); 28] = [
    ("pgp_sym_encrypt", &[2]),
    ("pgp_sym_encrypt_bytea", &[2]),
    ("pgp_sym_decrypt", &[2]),
    ("pgp_sym_decrypt_bytea", &[2]),
    ("pgp_pub_decrypt", &[2, 3]),
    ("pgp_pub_decrypt_bytea", &[2, 3]),
    ("encrypt_iv", &[2]),
    ("decrypt_iv", &[2]),
    ("hmac", &[2]),
    ("crypt", &[1, 2]),
    ("aes_encrypt", &[2]),
    ("aes_decrypt", &[2]),
    ("des_encrypt", &[2]),
    ("des_decrypt", &[2]),
    ("encryptbypassphrase", &[1]),
    ("decryptbypassphrase", &[1]),
    ("pwdencrypt", &[1]),
    ("pwdcompare", &[1, 2]),
    ("create_secret", &[1]),
    ("update_secret", &[2]),
    ("create_aws_credentials", &[2, 3]),
    ("account_add", &[2]),
    ("openrowset", &[4]),
    ("sp_addlogin", &[2]),
    ("sp_password", &[1, 2]),
    ("sp_setapprole", &[2]),
    ("sp_addapprole", &[2]),
    ("sp_addlinkedsrvlogin", &[5]),
];

/// What a word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced<'n> {
    /// Nothing.
    Nothing,
    /// A secret by its name. `clause`: the word of a clause, behind which a value may stand without a sign.
    Name {
        /// It is `PASSWORD` itself.
        clause: bool,
    },
    /// `IDENTIFIED`.
    Identified,
    /// `BY`
    By,
    /// A secret in the query of a URL.
    Query,
    /// A function, with its secret arguments.
    Function(&'n [u8]),
    /// `set_config`, whose first argument may be the name of a secret.
    SetConfig,
    /// `format`, whose first argument may have a place for a secret.
    Format,
    /// `AUTHORIZATION`, as the header of a request.
    Authorization,
    /// `Bearer`.
    Bearer,
    /// `CREATE`, `ALTER`.
    Changes,
    /// `ROLE`, `USER`, `GROUP`, `LOGIN`.
    Account,
    /// `INTO`
    Into,
}

/// The names and functions that hold everywhere, and those of the configuration.
#[derive(Debug, Clone)]
pub struct Names {
    rule: Rules,
    ends: Vec<String>,
    whole: Vec<String>,
    functions: BTreeMap<String, Vec<u8>>,
}

/// Longer words are looked at by their ends.
const WORD_BYTES_MAX: usize = 64;

impl Names {
    /// With more names, and more functions with the arguments of theirs that are secret.
    pub fn new(names: &[String], functions: &[(String, Vec<u8>)]) -> Self {
        let ends = NAME_ENDS.iter().copied().chain(names.iter().map(String::as_str)).map(in_plain).collect();
        let own = FUNCTIONS.iter().map(|(name, arguments)| ((*name).to_owned(), arguments.to_vec()));
        let more = functions.iter().map(|(name, arguments)| (name.to_ascii_lowercase(), arguments.clone()));
        let whole = NAMES.map(str::to_owned).to_vec();
        Names { rule: Rules::PASSWORD, ends, whole, functions: own.chain(more).collect() }
    }

    /// Names of columns, parameters and members in which something personal stands; with `*` in front how such names end.
    pub fn personal(names: &[String]) -> Self {
        let (ends, whole): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.starts_with('*'));
        let plain = |names: Vec<&String>| names.iter().map(|name| in_plain(name.trim_start_matches('*'))).collect();
        Names { rule: Rules::PERSONAL_NAME, ends: plain(ends), whole: plain(whole), functions: BTreeMap::new() }
    }

    /// Of what stands behind a name.
    pub fn rule(&self) -> Rules {
        self.rule
    }

    /// Every word of the rules that hold everywhere, as it may be written: what announces a secret must arouse suspicion.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = String> {
        let ends = NAME_ENDS.iter().flat_map(|name| ["_", "-", ""].map(|mark| name.replace('_', mark)));
        let whole = ["pass", "psw"].map(str::to_owned);
        ends.chain(whole).chain(FUNCTIONS.iter().map(|(name, _)| (*name).to_owned()))
    }

    /// Whether a name is a secret's.
    pub fn is_secret(&self, name: &[u8]) -> bool {
        let mut room = [0; WORD_BYTES_MAX];
        let name = plain(name, &mut room);
        self.whole.iter().any(|it| it.as_bytes() == name) || self.ends.iter().any(|end| name.ends_with(end.as_bytes()))
    }

    /// What a word announces.
    pub fn announced(&self, word: &[u8], dialect: Option<Dialect>) -> Announced<'_> {
        let mut room = [0; WORD_BYTES_MAX];
        let lower = lower(word, &mut room);
        if self.rule == Rules::PERSONAL_NAME {
            return match lower {
                b"format" => Announced::Format,
                b"set_config" => Announced::SetConfig,
                b"into" => Announced::Into,
                _ if self.is_secret(word) => Announced::Name { clause: false },
                _ => Announced::Nothing,
            };
        }
        match lower {
            b"password" => return Announced::Name { clause: true },
            b"identified" => return Announced::Identified,
            b"format" => return Announced::Format,
            b"set_config" => return Announced::SetConfig,
            b"authorization" => return Announced::Authorization,
            b"by" => return Announced::By,
            b"sig" | b"signature" => return Announced::Query,
            b"bearer" => return Announced::Bearer,
            b"create" | b"alter" => return Announced::Changes,
            b"role" | b"user" | b"group" | b"login" => return Announced::Account,
            b"into" => return Announced::Into,
            _ => {}
        }
        if let Some(arguments) = self.of_function(lower, dialect.map(|dialect| dialect.engine)) {
            return Announced::Function(arguments);
        }
        let is_password = is_nearly(lower, b"password");
        if is_password || self.is_secret(word) { Announced::Name { clause: is_password } } else { Announced::Nothing }
    }

    /// Short names mean other things in other engines.
    fn of_function(&self, name: &[u8], engine: Option<Engine>) -> Option<&[u8]> {
        let own: &[u8] = match (name, engine) {
            (b"encrypt" | b"decrypt", Some(Engine::Mysql)) => &[1],
            (b"encrypt" | b"decrypt" | b"mac", Some(Engine::Oracle)) => &[3],
            (b"encrypt" | b"decrypt", _) => &[2],
            (b"encode" | b"decode", Some(Engine::Mysql)) => &[2],
            _ => return self.functions.get(std::str::from_utf8(name).ok()?).map(Vec::as_slice),
        };
        Some(own)
    }
}

fn in_plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-', ' '], "")
}

fn lower<'r>(word: &[u8], room: &'r mut [u8; WORD_BYTES_MAX]) -> &'r [u8] {
    let word = &word[word.len().saturating_sub(WORD_BYTES_MAX)..];
    room[..word.len()].copy_from_slice(word);
    room[..word.len()].make_ascii_lowercase();
    &room[..word.len()]
}

/// In small letters, without the marks between parts.
fn plain<'r>(word: &[u8], room: &'r mut [u8; WORD_BYTES_MAX]) -> &'r [u8] {
    let word = &word[word.len().saturating_sub(WORD_BYTES_MAX)..];
    let mut len = 0;
    for byte in word.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b' ' | b'@')) {
        room[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    &room[..len]
}

/// Whether it is this word but for one or two letters that are wrong, missing, too many, or in each other's place: what is misspelt fails, and is
/// logged.
fn is_nearly(word: &[u8], wanted: &[u8]) -> bool {
    if word.len() + 2 < wanted.len() || word.len() > wanted.len() + 2 || word.first() != wanted.first() {
        return false;
    }
    let same = word.iter().zip(wanted).take_while(|(one, other)| one == other).count();
    let (word, wanted) = (&word[same..], &wanted[same..]);
    let same = word.iter().rev().zip(wanted.iter().rev()).take_while(|(one, other)| one == other).count();
    let (word, wanted) = (&word[..word.len() - same], &wanted[..wanted.len() - same]);
    word.len() <= 2 && wanted.len() <= 2
}
