//! Statements with planted secrets: `tests/redaction/*.sql`.
//!
//! One a line, by engine. `«»` is a secret that is made here, `«x»` the secret x, and `‹›` one without quotes, for which the mark brings its own. What a
//! statement must become is the same line with marks in these places.

use std::fs;

pub const MARK: &str = "[redacted]";

/// A statement, what is secret in it, and what is to be left of it.
pub struct Planted {
    pub sql: String,
    pub secrets: Vec<String>,
    pub left: String,
}

impl Planted {
    pub fn of(line: &str) -> Self {
        let line = line.replace("\\n", "\n").replace("\\t", "\t");
        let mut planted = Planted { sql: String::new(), secrets: Vec::new(), left: String::new() };
        let mut rest = line.as_str();
        while let Some(at) = rest.find(['«', '‹']) {
            let is_bare = rest[at..].starts_with('‹');
            let (open, close) = if is_bare { ('‹', '›') } else { ('«', '»') };
            let inner = &rest[at + open.len_utf8()..];
            let end = inner.find(close).unwrap();
            let own = format!("Kx9qW{}vT7", planted.secrets.len());
            let secret = if end == 0 { own } else { inner[..end].to_owned() };
            planted.sql += &rest[..at];
            planted.sql += &secret;
            planted.left += &rest[..at];
            planted.left += &if is_bare { format!("'{MARK}'") } else { MARK.to_owned() };
            planted.secrets.push(secret);
            rest = &inner[end + close.len_utf8()..];
        }
        planted.sql += rest;
        planted.left += rest;
        planted
    }
}

/// Those of one engine.
pub fn planted(engine: &str) -> Vec<Planted> {
    let path = format!("{}/tests/redaction/{engine}.sql", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap().lines().map(Planted::of).collect()
}
