//! The table that says which category an action belongs to, and whether it is privileged.
//!
//! The first six categories are the ones that a SOC 2 auditor samples. A person should be able to read [`RULES`] and change it
//! in this one place.

use sealtrail_parsers::{Act, Record};

/// What a row is about, for an auditor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Who came, who was refused, who left.
    Authentication,
    /// Rights and roles given and taken.
    PermissionChange,
    /// Row security, labels, audit and server settings.
    PolicyChange,
    /// Access given for a time, asked for or refused, by a tool in front of the database.
    AccessDecision,
    /// Data that left the database as a whole: exports and dumps.
    DataExposure,
    /// DDL, anonymous code.
    ChangeExecution,
    /// Data read.
    DataRead,
    /// Data changed.
    DataWrite,
    /// Everything else that was understood.
    Operation,
    /// A row that could not be understood.
    Unparsed,
}

impl Category {
    /// As records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Category::Authentication => "authentication",
            Category::PermissionChange => "permission_change",
            Category::PolicyChange => "policy_change",
            Category::AccessDecision => "access_decision",
            Category::DataExposure => "data_exposure",
            Category::ChangeExecution => "change_execution",
            Category::DataRead => "data_read",
            Category::DataWrite => "data_write",
            Category::Operation => "operation",
            Category::Unparsed => "unparsed",
        }
    }
}

/// Actions by their beginning, the first match counts; the flag says whether it is privileged.
const RULES: &[(&str, Category, bool)] = &[
    ("GRANT", Category::PermissionChange, true),
    ("REVOKE", Category::PermissionChange, true),
    ("CREATE ROLE", Category::PermissionChange, true),
    ("ALTER ROLE", Category::PermissionChange, true),
    ("DROP ROLE", Category::PermissionChange, true),
    ("CREATE USER", Category::PermissionChange, true),
    ("ALTER USER", Category::PermissionChange, true),
    ("DROP USER", Category::PermissionChange, true),
    ("CREATE GROUP", Category::PermissionChange, true),
    ("ALTER GROUP", Category::PermissionChange, true),
    ("DROP GROUP", Category::PermissionChange, true),
    ("ALTER DEFAULT", Category::PermissionChange, true),
    ("REASSIGN OWNED", Category::PermissionChange, true),
    ("DROP OWNED", Category::PermissionChange, true),
    ("ALTER SYSTEM", Category::PolicyChange, true),
    ("CREATE POLICY", Category::PolicyChange, true),
    ("ALTER POLICY", Category::PolicyChange, true),
    ("DROP POLICY", Category::PolicyChange, true),
    ("SECURITY LABEL", Category::PolicyChange, true),
    ("COPY TO", Category::DataExposure, false),
    ("COPY FROM", Category::DataWrite, false),
    ("CREATE TABLE AS", Category::ChangeExecution, true),
    ("SELECT INTO", Category::ChangeExecution, true),
    ("SELECT", Category::DataRead, false),
    ("FETCH", Category::DataRead, false),
    ("DECLARE CURSOR", Category::DataRead, false),
    ("INSERT", Category::DataWrite, false),
    ("UPDATE", Category::DataWrite, false),
    ("DELETE", Category::DataWrite, false),
    ("MERGE", Category::DataWrite, false),
    ("TRUNCATE", Category::DataWrite, false),
    ("CREATE", Category::ChangeExecution, true),
    ("ALTER", Category::ChangeExecution, true),
    ("DROP", Category::ChangeExecution, true),
    ("COMMENT", Category::ChangeExecution, true),
    ("IMPORT FOREIGN SCHEMA", Category::ChangeExecution, true),
    ("REFRESH MATERIALIZED VIEW", Category::ChangeExecution, false),
    ("REINDEX", Category::ChangeExecution, false),
    ("CLUSTER", Category::ChangeExecution, false),
    ("DO", Category::ChangeExecution, true),
];

/// The category of a record whose action is `action`, and whether it is privileged.
pub fn of(record: &Record<'_>, action: &[u8]) -> (Category, bool) {
    match record.act {
        Act::ConnectionReceived | Act::Authenticated | Act::Login | Act::LoginFailed | Act::Logout => {
            (Category::Authentication, false)
        }
        Act::Message => (Category::Operation, false),
        Act::AccessDecision => (Category::AccessDecision, true),
        Act::Statement | Act::FailedStatement | Act::LoggedStatement | Act::TableAccess => of_action(action),
    }
}

fn of_action(action: &[u8]) -> (Category, bool) {
    let matches = |(prefix, _, _): &&(&str, Category, bool)| starts_with_words(action, prefix.as_bytes());
    RULES.iter().find(matches).map_or((Category::Operation, false), |&(_, category, admin)| (category, admin))
}

fn starts_with_words(action: &[u8], words: &[u8]) -> bool {
    action.starts_with(words) && action.get(words.len()).is_none_or(|&next| next == b' ')
}

/// The verb that a statement begins with, after blanks and comments: one of [`VERBS`], with its object's kind where that makes
/// one of [`PAIRS`].
pub fn verb(statement: &[u8]) -> Option<&'static [u8]> {
    let (first, rest) = word(statement);
    let (second, _) = word(rest);
    let pair = PAIRS.iter().find(|pair| {
        let (one, two) = pair.split_once(' ').unwrap_or((pair, ""));
        first.eq_ignore_ascii_case(one.as_bytes()) && second.eq_ignore_ascii_case(two.as_bytes())
    });
    let single = || VERBS.iter().find(|verb| verb.as_bytes().eq_ignore_ascii_case(first));
    pair.or_else(single).map(|verb| verb.as_bytes())
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = skip_blanks_and_comments(text);
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count())
}

/// Two words that mean more than the first alone. Whole statements are read in a later release.
const PAIRS: &[&str] = &[
    "CREATE ROLE",
    "ALTER ROLE",
    "DROP ROLE",
    "CREATE USER",
    "ALTER USER",
    "DROP USER",
    "CREATE GROUP",
    "ALTER GROUP",
    "DROP GROUP",
    "ALTER SYSTEM",
    "ALTER DEFAULT",
    "CREATE POLICY",
    "ALTER POLICY",
    "DROP POLICY",
    "SECURITY LABEL",
    "DROP OWNED",
    "REASSIGN OWNED",
    "CREATE TABLE",
    "ALTER TABLE",
    "DROP TABLE",
    "CREATE DATABASE",
    "ALTER DATABASE",
    "DROP DATABASE",
    "CREATE SCHEMA",
    "ALTER SCHEMA",
    "DROP SCHEMA",
    "CREATE EXTENSION",
    "ALTER EXTENSION",
    "DROP EXTENSION",
    "CREATE INDEX",
    "DROP INDEX",
    "CREATE VIEW",
    "DROP VIEW",
    "CREATE FUNCTION",
    "ALTER FUNCTION",
    "DROP FUNCTION",
];

/// Single words.
const VERBS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "COPY",
    "SET",
    "RESET",
    "SHOW",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "START",
    "END",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "DECLARE",
    "FETCH",
    "MOVE",
    "CLOSE",
    "EXPLAIN",
    "ANALYZE",
    "VACUUM",
    "REINDEX",
    "CLUSTER",
    "LOCK",
    "COMMENT",
    "DO",
    "CALL",
    "LISTEN",
    "NOTIFY",
    "UNLISTEN",
    "DISCARD",
    "CHECKPOINT",
    "LOAD",
    "REASSIGN",
    "REFRESH",
    "SECURITY",
    "IMPORT",
    "VALUES",
    "WITH",
    "TABLE",
];

fn skip_blanks_and_comments(statement: &[u8]) -> &[u8] {
    let mut rest = statement;
    loop {
        rest = rest.trim_ascii_start();
        rest = if rest.starts_with(b"--") {
            &rest[memchr::memchr(b'\n', rest).unwrap_or(rest.len())..]
        } else if rest.starts_with(b"/*") {
            after_block_comment(rest)
        } else {
            return rest;
        };
    }
}

/// PostgreSQL's block comments nest.
fn after_block_comment(text: &[u8]) -> &[u8] {
    let mut depth = 0usize;
    let mut at = 0;
    while at + 1 < text.len() {
        match &text[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return &text[at..];
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_word_sequence_decides() {
        assert_eq!(of_action(b"ALTER SYSTEM"), (Category::PolicyChange, true));
        assert_eq!(of_action(b"ALTER TABLE"), (Category::ChangeExecution, true));
        assert_eq!(of_action(b"COPY TO"), (Category::DataExposure, false));
        assert_eq!(of_action(b"DOUBT"), (Category::Operation, false));
    }

    #[test]
    fn a_verb_is_found_behind_blanks_and_comments() {
        assert_eq!(verb(b" -- one\n /* two /* nested */ */\n sElect 1"), Some(&b"SELECT"[..]));
        assert_eq!(verb(b"create /* a */ role x"), Some(&b"CREATE ROLE"[..]));
        assert_eq!(verb(b"CREATE UNLOGGED TABLE x"), Some(&b"CREATE"[..]));
        assert_eq!(verb(b"SELEC 1"), None);
        assert_eq!(verb(b"/* never closed"), None);
        assert_eq!(verb(b""), None);
    }
}
