//! Who an application says that its session is for: variables that it sets, whose names are configured.
//!
//! A pool's account says nothing about who acts; the application can, with `SET app."current_user" = 'jane'`, `set_config('app.user_id', '42', true)`,
//! MySQL's `@app_user`, or an attribute that it gives a MySQL server when it connects. What it says is a claim. It holds for as long as the engine would give the value back, as far as the rows tell, and whatever
//! may have changed it unseen ends it: a claim that is stale names somebody else.

use memchr::memmem;
use sealtrail_parsers::{Record, Status};
use sealtrail_sql::{Dialect, Kind, Setting, Tokens, Value};

use super::prepared::string_value;
use super::told::Told;
use crate::sessions::numbered::RowId;

/// The variables that are followed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Variables {
    /// In small letters; the first that is set counts. MySQL's begin with `@`.
    pub names: Vec<String>,
    /// Attributes of a connection to MySQL, byte by byte; they count behind what is set.
    pub attributes: Vec<String>,
    /// Sessions are handed from one client to the next behind each transaction: what is set for a session counts to its end.
    pub end_with_transaction: bool,
}

/// What a session was said to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which of the variables.
    pub variable: usize,
    /// As it was set.
    pub value: Vec<u8>,
    /// The record that tells.
    pub row: RowId,
}

/// Longer values are no names.
const VALUE_BYTES_MAX: usize = 256;

impl Variables {
    /// Whether none is followed.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.attributes.is_empty()
    }

    /// Which of them this is.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }
}

/// The one that counts.
pub fn first(claims: &[Claim]) -> Option<&Claim> {
    claims.iter().min_by_key(|claim| claim.variable)
}

/// Sets, changes or takes away what a variable says.
pub fn put(claims: &mut Vec<Claim>, variable: usize, value: Option<Vec<u8>>, row: RowId) {
    claims.retain(|claim| claim.variable != variable);
    if let Some(value) = value.filter(|value| !value.is_empty() && value.len() <= VALUE_BYTES_MAX) {
        claims.push(Claim { variable, value, row });
    }
}

/// What a setting is set to; `None` where that is nothing, or cannot be said.
pub fn value(told: &Told<'_>, setting: &Setting, record: &Record<'_>) -> Option<Vec<u8>> {
    let Value::Text(span) = setting.value else { return None };
    let (dialect, text) = (told.dialect, span.of(told.text));
    let mut tokens = std::iter::from_fn({
        let mut tokens = Tokens::new(dialect, text);
        move || tokens.next_code()
    });
    let first = tokens.next()?;
    // `'42'::text`
    let is_alone = tokens.next().is_none_or(|next| next.span.of(text) == b"::");
    if !is_alone || first.open {
        return None;
    }
    let written = first.span.of(text);
    match first.kind {
        Kind::String => string_value(dialect, text, first).map(|value| value.into_owned()),
        Kind::Number => Some(written.to_vec()),
        Kind::Word if dialect == Dialect::POSTGRES => {
            Some(sealtrail_sql::name::normalized(dialect, written).into_owned())
        }
        _ => parameter(written, record),
    }
}

/// `$1`, where the row has what was bound.
fn parameter(written: &[u8], record: &Record<'_>) -> Option<Vec<u8>> {
    let number: usize = std::str::from_utf8(written.strip_prefix(b"$")?).ok()?.parse().ok()?;
    let parameters = record.statement?.parameters;
    parameters.iter().nth(number.checked_sub(1)?).map(|value| value.into_owned())
}

/// Whether the text may set a variable of PostgreSQL in a way that its reading does not tell: by a name that is not written out, in a block of code,
/// or in one of several statements of which the row does not say which it is for.
pub fn may_set_unseen(told: &Told<'_>) -> bool {
    let calls = occurrences(told.text, b"set_config");
    let reading = told.reading();
    let settings = |statement| reading.settings(statement);
    let is_lost = told.statements().is_empty() && reading.statements.iter().any(|it| !settings(it).is_empty());
    is_lost || calls > reading.statements.iter().map(|statement| settings(statement).len()).sum()
}

fn occurrences(text: &[u8], word: &[u8]) -> usize {
    let (Some(first), Some(upper)) = (word.first(), word.first().map(u8::to_ascii_uppercase)) else { return 0 };
    memchr::memchr2_iter(*first, upper, text)
        .filter(|at| text[*at..].get(..word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word)))
        .count()
}

/// What a client of MySQL said when it connected: attributes of the row, in JSON or as elements. One that stands there twice says nothing.
pub fn of_attributes(variables: &Variables, record: &Record<'_>, row: RowId) -> Option<Claim> {
    let said = record.extra.iter().find_map(|(name, value)| match value {
        sealtrail_parsers::Value::Text(text) if *name == "connection_attributes" => Some(*text),
        _ => None,
    })?;
    let said = std::str::from_utf8(said).ok()?.trim();
    let all = if said.starts_with('{') { in_json(said)? } else { in_elements(said) };
    variables.attributes.iter().enumerate().find_map(|(at, wanted)| {
        let mut values = all.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        let value = values.next().filter(|value| !value.is_empty() && value.len() <= VALUE_BYTES_MAX)?;
        let claim = || Claim { variable: variables.names.len() + at, value: value.clone().into_bytes(), row };
        values.next().is_none().then(claim)
    })
}

/// The members of an object, those that are there twice as well.
fn in_json(text: &str) -> Option<Vec<(String, String)>> {
    struct Pairs(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_map(Members).map(Pairs)
        }
    }
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, String)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("attributes")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                pairs.extend(value.as_str().map(|value| (name, value.to_owned())));
            }
            Ok(pairs)
        }
    }
    serde_json::from_str::<Pairs>(text).ok().map(|pairs| pairs.0)
}

/// `<NAME>…</NAME><VALUE>…</VALUE>`. A value with an escape in it is left out.
fn in_elements(text: &str) -> Vec<(String, String)> {
    let within = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    let pairs = text.split("</ATTRIBUTE>").filter_map(|one| Some((within(one, "NAME")?, within(one, "VALUE")?)));
    pairs.filter(|(_, value)| !value.contains(['&', '<'])).collect()
}

/// What a row of MySQL or MariaDB does to the variables of its session. They outlast transactions.
pub fn follow_mysql(claims: &mut Vec<Claim>, variables: &Variables, record: &Record<'_>, told: &Told<'_>, row: RowId) {
    let mut set = 0;
    let is_whole = told.reading().unread == 0 && !told.statements().is_empty();
    for statement in told.statements() {
        let settings = told.reading().settings(statement);
        for setting in settings {
            let Some(variable) = variables.find(setting.parameter.of(told.text)) else { continue };
            set += 1;
            let value = value(told, setting, record).filter(|_| is_whole);
            // One of several may have been set before another failed; the general log does not say what failed.
            let is_certain = match record.status {
                Status::Failure if settings.len() == 1 => continue,
                Status::Failure => false,
                Status::Success => true,
                Status::Unknown => settings.len() == 1,
            };
            put(claims, variable, value.filter(|_| is_certain), row);
        }
    }
    // `SELECT @app_user := …`, `SELECT … INTO @app_user`
    if !claims.is_empty() && set == 0 {
        let may_assign = memmem::find(told.text, b":=").is_some() || occurrences(told.text, b"into") > 0;
        claims.retain(|claim| {
            let name = variables.names.get(claim.variable).map_or(&b""[..], |name| name.as_bytes());
            !(may_assign && occurrences(told.text, name) > 0)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(attributes: &str) -> Option<String> {
        let names = ["_app_user", "user"].map(str::to_owned).to_vec();
        let variables = Variables { attributes: names, ..Variables::default() };
        let mut record = Record::default();
        record.extra.push(("connection_attributes", sealtrail_parsers::Value::Text(attributes.as_bytes())));
        let claim = of_attributes(&variables, &record, RowId::default())?;
        Some(String::from_utf8(claim.value).unwrap())
    }

    #[test]
    fn what_a_client_said_when_it_connected_is_its_claim() {
        for (text, expected) in [
            (r#"{ "_client_name": "x", "_app_user": "jane\/a" }"#, Some("jane/a")),
            (r#"{"user": "joan"}"#, Some("joan")),
            (r#"{"user": "joan", "_app_user": "jane"}"#, Some("jane")),
            (r#"{"_app_user": "jane", "_app_user": "joan"}"#, None),
            (r#"{"_app_user": 7}"#, None),
            (r#"{"_app_user": ""}"#, None),
            (r#"{"_app_user": "#, None),
            (
                "\n <ATTRIBUTE>\n <NAME>_pid</NAME> <VALUE>1</VALUE></ATTRIBUTE><ATTRIBUTE><NAME>user</NAME><VALUE>joan</VALUE></ATTRIBUTE>",
                Some("joan"),
            ),
            ("<ATTRIBUTE><NAME>user</NAME><VALUE>jo&amp;an</VALUE></ATTRIBUTE>", None),
            ("<ATTRIBUTE><NAME>user</NAME></ATTRIBUTE>", None),
            ("", None),
        ] {
            assert_eq!(said(text).as_deref(), expected, "{text}");
        }
    }
}
