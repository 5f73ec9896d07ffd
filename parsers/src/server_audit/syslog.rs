//! server_audit's rows as syslog files have them: `Nov 20 20:31:44 vm mysql-server_auditing: INFO vm,app,…` without a time of their own.
//!
//! The time is syslog's: without year and zone in the old form, whole in RFC 3339's. INFO is `server_audit_syslog_info`, a space stands
//! behind it even when it is empty. What is hard:
//!
//! - A syslog file holds the lines of other programs as well: those are no rows and are passed over.
//! - syslog daemons cut long lines (rsyslog at 8 KiB). A statement without its closing quote is taken with the flag `truncated`.
//! - A line feed in a name is written as `#012`, and a `#` as `#`: that cannot be undone.

use memchr::memmem;

use super::{Columns, NO_ROW, Row};
use crate::lines::Rules;
use crate::record::Parsed;
use crate::scratch::Scratch;
use crate::times::fits;

/// What stands before each row, unless `server_audit_syslog_ident` says otherwise.
const IDENT: &[u8] = b"mysql-server_auditing";

/// Host and name of the program stand within so many bytes behind the time.
const HEAD_MAX: usize = 300;

/// The daemon escapes line feeds: a line is a row.
pub(crate) const LINES: Rules = Rules { begins: |_| true, start: b"", is_whole: |_| true };

/// Says what one line holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match row(frame) {
        Err(_) if frame.trim_ascii().is_empty() => Parsed::Nothing { what: "a blank line" },
        Err(_) if !is_syslog(frame) => Parsed::Unparsed { reason: "not a line of syslog", retry_at: None },
        Err(_) if !opens(frame) => Parsed::Nothing { what: "a line of another program" },
        row => super::parsed(row, scratch),
    }
}

/// Says what the rows of one statement hold. See [`crate::assemble`].
pub fn assemble<'a>(frames: &[&'a [u8]], scratch: &'a mut Scratch) -> Parsed<'a> {
    super::assembled(frames, row, scratch)
}

/// Whether the line is one of server_audit's.
pub(crate) fn opens(line: &[u8]) -> bool {
    split_header(line).is_some()
}

/// Whether any program's line of syslog begins here.
pub(crate) fn is_syslog(line: &[u8]) -> bool {
    header_len(line).is_some()
}

fn row(frame: &[u8]) -> Result<Row<'_>, &'static str> {
    match split_header(frame) {
        Some((time, message)) => row_of(time, message, Row::of_columns),
        // Somebody chose another name than the usual one: then only a whole row is one.
        None => {
            let (time, message) = split_any_header(frame).ok_or(NO_ROW)?;
            row_of(time, message, Row::of_whole_columns)
        }
    }
}

fn row_of<'a>(time: &'a [u8], message: &'a [u8], columns: Columns<'a>) -> Result<Row<'a>, &'static str> {
    let comma = memchr::memchr(b',', message).ok_or(NO_ROW)?;
    let space = memchr::memrchr(b' ', &message[..comma]);
    let (info, rest) = message.split_at(space.map_or(0, |space| space + 1));
    let mut row = columns(rest)?;
    (row.time, row.info) = (time, Some(info.trim_ascii_end()));
    row.is_doubtful |= [row.user, row.host].iter().any(|name| memmem::find(name, b"#012").is_some());
    Ok(row)
}

/// Time and message of a line of server_audit's.
fn split_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (time, rest) = split_time(line)?;
    let ident = memmem::find(&rest[..rest.len().min(HEAD_MAX)], IDENT)? + IDENT.len();
    Some((time, message(&rest[ident..])?))
}

/// Time and message of anybody's line.
fn split_any_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (time, rest) = split_time(line)?;
    let colon = memmem::find(&rest[..rest.len().min(HEAD_MAX)], b": ")?;
    Some((time, &rest[colon + 2..]))
}

fn split_time(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (from, to) = header_len(line)?;
    Some((&line[from..to], &line[to..]))
}

/// Behind `ident[pid]:` and a space, or behind what RFC 5424 has between the name and the message.
fn message(rest: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = rest.strip_prefix(b" ") {
        let mut columns = rest.splitn(4, |byte| *byte == b' ');
        let (_pid, _id, data) = (columns.next()?, columns.next()?, columns.next()?);
        return columns.next().filter(|_| data == b"-");
    }
    let colon = memchr::memchr(b':', rest.get(..24.min(rest.len()))?)?;
    let message = &rest[colon + 1..];
    Some(message.strip_prefix(b" ").unwrap_or(message))
}

/// Where the time begins and ends, behind `<14>` and, in RFC 5424, `1 `.
fn header_len(line: &[u8]) -> Option<(usize, usize)> {
    let priority = match line.first() {
        Some(b'<') => memchr::memchr(b'>', line.get(..5.min(line.len()))?)? + 1,
        _ => 0,
    };
    let version = if line[priority..].starts_with(b"1 ") { 2 } else { 0 };
    let from = priority + version;
    let rest = &line[from..];
    if fits(rest, b"0000-00-00T00:00:00") {
        return Some((from, from + memchr::memchr(b' ', rest)?));
    }
    let is_month = rest.get(..3)?.iter().all(u8::is_ascii_alphabetic) && rest.get(3) == Some(&b' ');
    let is_day = rest.get(4..6)?.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ');
    (is_month && is_day && fits(rest.get(6..)?, b" 00:00:00 ")).then_some((from, from + 15))
}
