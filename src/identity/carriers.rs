//! Who a row says that it is of: what the server proved, what the application set for its session, comments on the statement, the application's name.
//!
//! All but the first are claims of the client: whoever has the account's password can make them. They name a person where no rule does, and
//! never become more than `asserted`.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;
use sealtrail_parsers::{Record, Value};
use sealtrail_sql::{Dialect, Kind, Tokens};

use super::access::Layer;
use super::pattern::Pattern;
use crate::sessions::numbered::RowId;
use crate::shape::Known;
use crate::shape::claims::Variables;

/// Which of them count, and before which others.
#[derive(Debug, Clone, Default)]
pub struct Carriers {
    /// Of the session.
    pub variables: Variables,
    /// Oracle's client identifier counts as one of them.
    pub client_identifier: bool,
    /// Of comments on the statement, in small letters; the first that is there counts.
    pub comment_keys: Vec<String>,
    /// Of the application's name: the first group of the first that fits is who it is.
    pub applications: Vec<Pattern>,
    /// The first that says who it was counts.
    pub trust: Vec<Carrier>,
    /// Layers before the database that tell whose its sessions are.
    pub layers: Vec<Layer>,
}

/// What says who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// What a layer before the database told of its session.
    Access,
    /// Access that was given for a time.
    Grant,
    /// A rule.
    Rule,
    /// What the server proved.
    Authentication,
    /// A variable of the session.
    Session,
    /// A comment on the statement.
    Comment,
    /// The application's name.
    Application,
}

impl Carrier {
    /// All of them, as they count where nothing else is configured.
    pub const ALL: [Carrier; 7] = [
        Carrier::Access,
        Carrier::Grant,
        Carrier::Rule,
        Carrier::Authentication,
        Carrier::Session,
        Carrier::Comment,
        Carrier::Application,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Access => "access",
            Carrier::Grant => "grant",
            Carrier::Rule => "rule",
            Carrier::Authentication => "authentication",
            Carrier::Session => "session",
            Carrier::Comment => "comment",
            Carrier::Application => "application",
        }
    }
}

/// What one of them says.
#[derive(Debug, Clone)]
pub struct Carried<'a> {
    /// Which.
    pub carrier: Carrier,
    /// Who it was.
    pub value: Cow<'a, [u8]>,
    /// The record that tells, where it is another.
    pub row: Option<RowId>,
}

/// Longer values are no names.
const VALUE_BYTES_MAX: usize = 256;

/// Made once: to prepare a search costs more than to search a statement.
static COMMENT_BEGINS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"/*"));

/// Methods that prove a person, or a program, by a name of its own: the others prove the account.
const PROVING: [&[u8]; 5] = [b"gss", b"sspi", b"ldap", b"cert", b"oauth"];

impl Carriers {
    /// Whether any is configured.
    pub fn is_empty(&self) -> bool {
        let Carriers { variables, client_identifier, comment_keys, applications, .. } = self;
        variables.is_empty() && !client_identifier && comment_keys.is_empty() && applications.is_empty()
    }

    /// What the row says, by the order in which it counts; `text`: its statement, read as `dialect`.
    pub fn claim<'a>(&self, record: &Record<'a>, known: &Known<'a>, dialect: Option<Dialect>) -> Option<Carried<'a>> {
        self.trust.iter().find_map(|carrier| {
            let (value, row) = match carrier {
                Carrier::Access | Carrier::Grant | Carrier::Rule | Carrier::Authentication => return None,
                Carrier::Session => match known.claim {
                    Some((value, row)) => (Cow::Borrowed(value), Some(row)),
                    None if self.client_identifier => (Cow::Borrowed(client_identifier(record)?), None),
                    None => return None,
                },
                Carrier::Comment => (self.in_comment(record.statement?.text?, dialect?)?, None),
                Carrier::Application => (self.in_application(record.client.application?)?, None),
            };
            let is_name = !value.is_empty() && value.len() <= VALUE_BYTES_MAX;
            is_name.then_some(Carried { carrier: *carrier, value, row })
        })
    }

    /// What the server proved, where that is more than the account.
    pub fn proven<'a>(record: &Record<'_>, known: &Known<'a>) -> Option<Carried<'a>> {
        let proven = known.authenticated?;
        let is_more = PROVING.contains(&proven.method) && record.user != Some(proven.identity);
        is_more.then_some(Carried {
            carrier: Carrier::Authentication,
            value: Cow::Borrowed(proven.identity),
            row: Some(proven.row),
        })
    }

    /// How early it counts.
    pub fn rank(&self, carrier: Carrier) -> usize {
        self.trust.iter().position(|it| *it == carrier).unwrap_or(usize::MAX)
    }

    /// How early the first of those counts that [`claim`](Self::claim) looks for.
    pub fn rank_of_claims(&self) -> usize {
        let ranks = [Carrier::Session, Carrier::Comment, Carrier::Application].map(|carrier| self.rank(carrier));
        ranks.into_iter().min().unwrap_or(usize::MAX)
    }

    fn in_application<'a>(&self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        self.applications.iter().find_map(|pattern| match pattern {
            // Most names do not fit, and to say so costs less than to look for groups.
            Pattern::Regex(expression) if !expression.regex.is_match(name) => None,
            Pattern::Regex(expression) => Some(Cow::Borrowed(expression.regex.captures(name)?.get(1)?.as_bytes())),
            Pattern::Exact(_) | Pattern::Glob(_) => None,
        })
    }

    /// Of comments that say two things about one key nobody knows which is meant.
    fn in_comment(&self, text: &[u8], dialect: Dialect) -> Option<Cow<'static, [u8]>> {
        if self.comment_keys.is_empty() || COMMENT_BEGINS.find(text).is_none() {
            return None;
        }
        let comments: Vec<&[u8]> = Tokens::new(dialect, text)
            .filter(|token| token.kind == Kind::Comment && !token.open)
            .filter_map(|token| token.span.of(text).strip_prefix(b"/*")?.strip_suffix(b"*/"))
            .collect();
        self.comment_keys.iter().find_map(|key| {
            let mut found = comments
                .iter()
                .flat_map(|comment| pairs(comment))
                .filter(|(name, _)| std::str::from_utf8(name).is_ok_and(|name| name.eq_ignore_ascii_case(key)));
            let (_, value) = found.next()?;
            found.all(|(_, other)| other == value).then_some(Cow::Owned(value))
        })
    }
}

/// What an application told Oracle with `DBMS_SESSION.SET_IDENTIFIER`, which each row has.
fn client_identifier<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if CLIENT_IDENTIFIER.contains(name) => Some(*text),
        _ => None,
    })
}

/// As Oracle's forms call it.
const CLIENT_IDENTIFIER: [&str; 3] = ["CLIENTID", "CLIENT$ID", "Client_Id"];

/// `key='value',…` of sqlcommenter, or `key:value,…` of marginalia. What is malformed is left out.
fn pairs(comment: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let mut rest = comment.trim_ascii();
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'=' | b':' | b',')) else { break };
        let (key, sign) = (rest[..end].trim_ascii(), rest[end]);
        rest = &rest[end + 1..];
        if sign == b',' {
            continue;
        }
        let value = if sign == b'=' { quoted(&mut rest) } else { Some(up_to_comma(&mut rest).trim_ascii().to_vec()) };
        match value {
            Some(value) if !key.is_empty() => pairs.push((decoded(key), value)),
            _ => {}
        }
    }
    pairs
}

/// `'…'` with `\'` in it, its bytes encoded as in a URL; up to the comma behind it.
fn quoted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = rest.trim_ascii_start().strip_prefix(b"'") else {
        up_to_comma(rest);
        return None;
    };
    let mut value = Vec::new();
    let mut bytes = inner.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => value.extend(bytes.next().map(|(_, byte)| *byte)),
            b'\'' => {
                *rest = &inner[at + 1..];
                let behind = up_to_comma(rest);
                // Text behind the closing quote: who wrote it forgot one before.
                return behind.trim_ascii().is_empty().then(|| decoded(&value));
            }
            byte => value.push(*byte),
        }
    }
    *rest = b"";
    None
}

fn up_to_comma<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
    let (part, behind) = rest.split_at(end);
    *rest = behind.get(1..).unwrap_or_default();
    part
}

/// `%40` is `@`. What is no such escape stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_comment(text: &str) -> Option<String> {
        let carriers = Carriers { comment_keys: vec!["user".to_owned(), "actor".to_owned()], ..Carriers::default() };
        let found = carriers.in_comment(text.as_bytes(), Dialect::POSTGRES);
        found.map(|value| String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn a_comment_on_a_statement_says_who_it_was() {
        for (text, found) in [
            ("SELECT 1 /*action='x',user='jane%40acme.com'*/", Some("jane@acme.com")),
            ("/* user='jane' */ SELECT 1;", Some("jane")),
            ("SELECT 1 /*application:Shop,user:jane,action:show*/", Some("jane")),
            (r"SELECT 1 /*user='O\'Brien'*/", Some("O'Brien")),
            ("SELECT 1 /*USER='jane'*/ /*x='y'*/", Some("jane")),
            ("SELECT 1 /*actor='joan',user='jane'*/", Some("jane")),
            ("SELECT 1 /*actor='joan'*/", Some("joan")),
            ("/*user='jane'*/ SELECT 1 /*user='jane'*/", Some("jane")),
            ("/*user='joan'*/ SELECT 1 /*user='jane'*/", None),
            ("SELECT '/*user=''jane''*/'", None),
            ("SELECT $$/*user='jane'*/$$", None),
            ("SELECT 1 /*user='jane*/", None),
            ("SELECT 1 /*user=jane*/", None),
            ("SELECT 1 /*user='jane'x*/", None),
            ("SELECT 1 /*user='jane'", None),
            ("SELECT 1 /*superuser='jane'*/", None),
            ("SELECT 1 -- user='jane'", None),
            ("SELECT 1 /* user */", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(in_comment(text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn an_application_s_name_says_who_it_was_by_a_pattern() {
        let applications = vec![Pattern::read(r"/shop:(\w+)/").unwrap(), Pattern::read(r"/(\w+)@.*/").unwrap()];
        let carriers = Carriers { applications, ..Carriers::default() };
        let found = |name: &'static str| {
            carriers.in_application(name.as_bytes()).map(|value| String::from_utf8(value.into_owned()).unwrap())
        };
        assert_eq!(found("shop:jane").as_deref(), Some("jane"));
        assert_eq!(found("joan@laptop").as_deref(), Some("joan"));
        assert_eq!(found("psql"), None);
    }

    proptest! {
        #[test]
        fn no_comment_panics(text in "[/*'=:,%a\\\\ -]{0,40}") {
            let _ = (in_comment(&text), pairs(text.as_bytes()));
        }
    }
}
