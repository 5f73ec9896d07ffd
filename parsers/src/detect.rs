//! Which format a file is, told from its first bytes.
//!
//! The first record decides. A text log of another kind may quote any text, a whole csvlog row included, so that
//! rows further down are asked only when the beginning looks like no format that is known: a file that was cut at
//! the front. What is not read here is named as well as it can be, so that a refusal says what to do.

mod cloud;
mod mysql;

use std::sync::Arc;

use crate::postgres_prefix::Prefix;
use crate::{
    Dialect, Format, csvlog, jsonlog, mongodb, oracle, pgaudit_file, postgres_stderr, postgres_syslog, sqlserver,
};

pub use cloud::detect_inside;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// It holds records of this format.
    Known(Format),
    /// It cannot be told yet: call again with more bytes.
    NeedMore,
    /// It is none of the formats that are read.
    Unknown {
        /// What it looks like, for a person: a lower-case fragment.
        reason: &'static str,
    },
}

/// No more than this many bytes are ever needed.
pub const HEAD_MAX: usize = 64 * 1024;

/// Says what the file that begins with `head` is. `end` says that the file has no more bytes.
pub fn detect(head: &[u8], end: bool) -> Detection {
    let end = end || head.len() >= HEAD_MAX;
    if mongodb::bson::opens(head) {
        return Detection::Known(Format::MongodbAuditBson);
    }
    if sqlserver::errorlog::opens(head) {
        return Detection::Known(Format::SqlserverErrorlog);
    }
    if sqlserver::csv::opens(head) {
        return Detection::Known(Format::SqlserverAuditCsv);
    }
    if let Some(reason) = not_text(head) {
        return Detection::Unknown { reason };
    }
    let text = skip_zeros(head);
    if text.is_empty() {
        return undecided(end, if head.is_empty() { "the file is empty" } else { "nothing but NUL bytes" });
    }
    if let Some(format) = format_at(text) {
        return Detection::Known(format);
    }
    if let Some(found) = cloud::family(text, end) {
        return found;
    }
    if let Some(found) = mysql::family(text, end) {
        return found;
    }
    if !end && csvlog::opens(text).is_none() {
        return Detection::NeedMore;
    }
    if let Some(format) = text_log(text) {
        return Detection::Known(format);
    }
    if let Some(reason) = other_format(text) {
        return Detection::Unknown { reason };
    }
    if !end {
        return Detection::NeedMore;
    }
    match format_within(text).or_else(|| mysql::within(text)) {
        Some(format) => Detection::Known(format),
        None => Detection::Unknown { reason: "no record of a known format in the first 64 KiB" },
    }
}

/// The format with what the beginning of the file tells of it: the prefix of PostgreSQL's text formats, the format inside a container's
/// lines.
pub fn dialect_of(format: Format, head: &[u8]) -> Dialect {
    let prefix = match format {
        Format::PostgresStderr => Prefix::learn(head),
        Format::PostgresSyslog => Prefix::learn(&postgres_syslog::first_chunks(head).collect::<Vec<_>>().join(&b'\n')),
        _ => None,
    };
    let prefix = prefix.and_then(Prefix::preset).map(Arc::new);
    let inside = cloud::dialect_inside(format, head).map(Arc::new);
    Dialect { inside, prefix, ..Dialect::from(format) }
}

/// A row of pgauditlogtofile, a line with a prefix that is known and a severity behind it, or a syslog line with the server's numbers of row and chunk.
fn text_log(text: &[u8]) -> Option<Format> {
    let line = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    if pgaudit_file::is_row(line) {
        return Some(Format::PgauditlogtofileCsv);
    }
    if postgres_syslog::is_line(line) {
        return Some(Format::PostgresSyslog);
    }
    postgres_stderr::is_line(line).then_some(Format::PostgresStderr)
}

fn undecided(end: bool, reason: &'static str) -> Detection {
    if end { Detection::Unknown { reason } } else { Detection::NeedMore }
}

/// A power cut leaves zeros where the file had grown but its bytes were not written.
fn skip_zeros(head: &[u8]) -> &[u8] {
    let zeros = head.iter().take_while(|byte| **byte == 0).count();
    &head[zeros..]
}

fn format_at(text: &[u8]) -> Option<Format> {
    if csvlog::opens(text) == Some(true) {
        return Some(Format::PostgresCsvlog);
    }
    if is_jsonlog(text) {
        return Some(Format::PostgresJsonlog);
    }
    if let Some(format) = oracle_format(text) {
        return Some(format);
    }
    if !text.starts_with(b"{") && sqlserver::text::opens(text) {
        return Some(Format::SqlserverEvent);
    }
    json_format(text).or_else(|| is_audit_json(text).then_some(Format::SqlserverAuditJson))
}

/// By the root, the first block's date, or the tag of a syslog line.
fn oracle_format(text: &[u8]) -> Option<Format> {
    if oracle::xml::opens(text) {
        return Some(Format::OracleXml);
    }
    if oracle::aud::opens(text) {
        return Some(Format::OracleAud);
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (is_syslog(line) && oracle::syslog::opens(line)).then_some(Format::OracleSyslog)
}

/// Rows of SQL Server's function, in a list or not.
fn is_audit_json(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let object = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
    let begins = object.strip_prefix(b"{").is_some_and(|inner| inner.trim_ascii_start().starts_with(b"\"event_time\""));
    begins && holds(object, b"\"action_id\"")
}

/// By the first key of the first object, and another that its rows have.
fn json_format(text: &[u8]) -> Option<Format> {
    let object = text.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let begins = |first: &[u8], other: &[u8]| object.starts_with(first) && holds(object, other);
    if begins(b"\"atype\"", b"\"ts\"") {
        return Some(Format::MongodbAuditJson);
    }
    if begins(b"\"activity_id\"", b"\"class_uid\"") {
        return Some(Format::MongodbAuditOcsf);
    }
    let line = &object[..memchr::memchr(b'\n', object).unwrap_or(object.len())];
    if begins(b"\"log.source\"", b"") && holds(line, pgaudit_file::json::MARK) {
        return Some(Format::PgauditlogtofileJson);
    }
    let is_event = holds(line, b"\"audit_schema_version:") || holds(line, b"\"Audit event: ");
    (is_event && holds(line, b"33205")).then_some(Format::SqlserverEventJson)
}

/// `timestamp` first, then the keys that every row has.
fn is_jsonlog(text: &[u8]) -> bool {
    text.starts_with(jsonlog::START) && holds(text, b"\"pid\":") && holds(text, b"\"session_id\":\"")
}

/// Looks behind a first record that was cut.
fn format_within(text: &[u8]) -> Option<Format> {
    if csvlog::next_record(text).is_some() {
        return Some(Format::PostgresCsvlog);
    }
    let line = memchr::memchr(b'\n', text)? + 1;
    if is_jsonlog(&text[line..]) {
        return Some(Format::PostgresJsonlog);
    }
    if let Some(Detection::Known(format)) = cloud::family(&text[line..], true) {
        return Some(format);
    }
    let log = || text_log(&text[line..]).or_else(|| Prefix::learn(text).map(|_| Format::PostgresStderr));
    json_format(&text[line..]).or_else(log)
}

fn not_text(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 3] = [
        (b"\xff\xfe", "UTF-16 text (a SQL Server error log?)"),
        (b"\xfe\xff", "UTF-16 text"),
        (b"\xef\xbb\xbf", "it begins with a byte order mark, which no database writes: was it edited?"),
    ];
    packed(head).or_else(|| MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, reason)| *reason))
}

/// How the file is packed: no row can be read before it is unpacked. A lower-case fragment, for a person.
pub fn packed(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"\x04\x22\x4d\x18", "compressed with lz4"),
        (b"PK\x03\x04", "a zip archive"),
    ];
    MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, how)| *how)
}

/// Formats that this crate does not read, by their first line.
fn other_format(text: &[u8]) -> Option<&'static str> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"\"message\" => \"") || (line == b"{" && holds(text, b"\" => ")) {
        return Some(
            "events as Logstash prints them for a person: have it write its input to a file, with codec json_lines",
        );
    }
    if line.starts_with(b"<AUDIT") || line.starts_with(b"<?xml") {
        return Some("XML: an Oracle audit log");
    }
    if text.starts_with(b"{") && [&b"\"atype\""[..], b"\"class_uid\""].iter().any(|key| holds(line, key)) {
        return Some("JSON of another engine's audit log");
    }
    if fits(line, b"00000000 00:00:00,") {
        return Some("MariaDB's server_audit log, but without a row that can be read");
    }
    if is_syslog(line) {
        return Some("syslog");
    }
    if SEVERITIES.iter().any(|severity| holds(line, severity)) {
        return Some(
            "PostgreSQL's stderr format with a log_line_prefix of its own: name the prefix, or set log_destination to csvlog or jsonlog",
        );
    }
    None
}

const SEVERITIES: [&[u8]; 7] =
    [b"LOG:  ", b"ERROR:  ", b"FATAL:  ", b"PANIC:  ", b"WARNING:  ", b"NOTICE:  ", b"STATEMENT:  "];

/// `<134>…`, `Nov 20 20:28:31 host …` or `2026-11-20T20:28:31…`.
fn is_syslog(line: &[u8]) -> bool {
    let priority = line.first() == Some(&b'<') && line.get(1).is_some_and(u8::is_ascii_digit);
    let month = line.get(..3).is_some_and(|word| word.iter().all(u8::is_ascii_alphabetic));
    priority || (month && fits(line.get(7..).unwrap_or_default(), b"00:00:00 ")) || fits(line, b"0000-00-00T00:00:00")
}

/// Does the line begin like the model, in which 0 stands for any digit?
fn fits(line: &[u8], model: &[u8]) -> bool {
    let like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    line.len() >= model.len() && line.iter().zip(model).all(like)
}

fn holds(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}
