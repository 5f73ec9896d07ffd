//! Oracle's audit by syslog: unified auditing (`UNIFIED_AUDIT_SYSTEMLOG`, 18c and later) and traditional (`AUDIT_SYSLOG_LEVEL`).
//!
//! A row is a line. What is hard:
//!
//! - Quotes inside values are not escaped. Traditional rows give each value's length, which decides. Unified rows do not: there a value
//!   ends where a later key of the fixed order begins, and a row in which that has two readings says so with the flag `forgeable`.
//! - The syslog daemon may write a control byte as `#012`: four bytes where the length counts one.
//! - Rows are cut at the daemon's longest line. `LENGTH` says how long they were.
//! - The time is the daemon's, in the old protocol without a year and a zone.

use memchr::memchr;

use super::{Row, aud};
use crate::lines::Rules;
use crate::record::{Record, Value};
use crate::scratch::Room;
use crate::{Parsed, Scratch, near, times};

/// Every line is looked at by itself; without its line feed none is whole.
pub(crate) const LINES: Rules = Rules { begins: |_| true, start: b"", is_whole: |_| false };

const UNIFIED: &[u8] = b"Oracle Unified Audit[";
const TRADITIONAL: &[u8] = b"Oracle Audit[";

/// The keys of a unified row, in their order.
const KEYS: [&str; 13] = [
    "TYPE", "DBID", "SESID", "CLIENTID", "ENTRYID", "STMTID", "DBUSER", "CURUSER", "ACTION", "RETCODE", "SCHEMA",
    "OBJNAME", "PDB_GUID",
];

/// Is this a line of Oracle's?
pub(crate) fn opens(line: &[u8]) -> bool {
    tag(line).is_some()
}

/// Where Oracle's name begins, and which of the two it is.
fn tag(line: &[u8]) -> Option<(usize, bool)> {
    let unified = near::find_part(UNIFIED, line).map(|at| (at, true));
    let traditional = near::find_part(TRADITIONAL, line).map(|at| (at, false));
    match (unified, traditional) {
        (Some(first), Some(second)) => Some(if first.0 < second.0 { first } else { second }),
        (one, other) => one.or(other),
    }
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let line = frame.trim_ascii_end();
    if line.is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    let mut room = scratch.room(3 * frame.len() + times::TIME_MAX + 64);
    let Some((at, is_unified)) = tag(line) else { return message(line, &mut room) };
    let (header, rest) = line.split_at(at);
    let bracket = memchr(b'[', rest).map_or(0, |at| at + 1);
    let digits = rest.get(bracket..).unwrap_or_default();
    let digits = digits.get(..memchr(b']', digits).unwrap_or(0)).unwrap_or_default();
    let Some(text) = near::find_part(b"LENGTH", rest).and_then(|at| rest.get(at..)) else {
        return message(line, &mut room);
    };
    let mut row = Row { pid: std::str::from_utf8(digits).ok().and_then(|pid| pid.parse().ok()), ..Row::default() };
    let (length, text) = length(text);
    let whole = if is_unified { unified(&mut row, text) } else { aud::fields(&mut row, text, b'"', &mut room) };
    // The length counts a little more than the row has.
    let is_cut = length.is_some_and(|length| text.len() + 4 < length) || whole.is_err_and(|err| err == aud::CUT);
    match whole {
        Err(reason) if reason != aud::CUT => return Parsed::Unparsed { reason, retry_at: None },
        _ if row.fields.is_empty() => {
            return Parsed::Unparsed { reason: "no field that Oracle writes", retry_at: None };
        }
        _ => {}
    }
    if is_cut {
        row.flag("truncated");
    }
    let (time, sender) = time(header, &mut room);
    row.time = time;
    let mut record = row.record(&mut room);
    if !sender.is_empty() {
        let _ = record.extra.try_push(("syslog", Value::Text(sender)));
    }
    Parsed::Record(record)
}

/// `LENGTH: '215' `, `LENGTH : "414" `: the number, and what follows.
pub(super) fn length(text: &[u8]) -> (Option<usize>, &[u8]) {
    let mut parts = text.splitn(3, |byte| matches!(byte, b'\'' | b'"'));
    let (before, number, behind) = (parts.next(), parts.next(), parts.next());
    let is_length =
        before.is_some_and(|before| before.starts_with(b"LENGTH") && before.trim_ascii_end().ends_with(b":"));
    match (is_length, number, behind) {
        (true, Some(number), Some(behind)) => {
            let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            (number, behind.trim_ascii_start())
        }
        _ => (None, text),
    }
}

/// Another program's line, or the rest of a row that was cut in two.
fn message<'a>(line: &'a [u8], room: &mut Room<'a>) -> Parsed<'a> {
    let (time, rest) = time(line, room);
    let mut record = Record { time, ..Record::default() };
    record.extra.push(("message", Value::Text(rest)));
    Parsed::Record(record)
}

/// The daemon's time, and what follows it: `<134>Nov 13 15:52:56 host …`, `2026-11-13T15:52:56.1+01:00 host …`.
fn time<'a>(header: &'a [u8], room: &mut Room<'a>) -> (&'a [u8], &'a [u8]) {
    let priority = if header.first() == Some(&b'<') { memchr(b'>', header).map_or(0, |at| at + 1) } else { 0 };
    let header = header.get(priority..).unwrap_or_default();
    // A number behind the priority is the version of the newer protocol.
    let header = header.strip_prefix(b"1 ").unwrap_or(header);
    let (time, rest) = if header.first().is_some_and(u8::is_ascii_alphabetic) {
        header.split_at_checked(15).unwrap_or((header, b""))
    } else {
        header.split_at(memchr(b' ', header).unwrap_or(header.len()))
    };
    (times::of_iso(time, b"", room), rest.trim_ascii())
}

/// `KEY:"value" KEY:"value"`, in the fixed order.
fn unified<'a>(row: &mut Row<'a>, text: &'a [u8]) -> Result<(), &'static str> {
    let (mut rest, mut next) = (text, 0);
    while !rest.is_empty() {
        let colon = key_len(rest).ok_or("no key of Oracle's unified auditing")?;
        let (name, behind) = rest.split_at(colon);
        let place = KEYS.iter().position(|key| key.as_bytes() == name).filter(|place| *place >= next);
        next = place.map_or(next, |place| place + 1);
        let value = behind.get(2..).unwrap_or_default();
        let (len, readings) = value_len(value, next);
        if readings > 1 {
            row.flag("forgeable");
        }
        let value = value.get(..len).unwrap_or(value);
        let raw = rest.get(..(colon + 2 + len + 1).min(rest.len())).unwrap_or(rest);
        if place.is_some() {
            row.take(name, value, raw)
        } else {
            row.other.push(raw)
        }
        let is_last = rest.len() <= colon + 2 + len;
        if is_last {
            return Err(aud::CUT);
        }
        rest = rest.get(colon + 2 + len + 1..).unwrap_or_default().trim_ascii_start();
    }
    Ok(())
}

/// Up to the first colon with a quote behind it.
fn key_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += near::find(b':', text.get(at..)?)?;
        if text.get(at + 1) == Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// Up to the quote behind which a later key begins, or which is the last byte; and at how many places that could be.
fn value_len(value: &[u8], next: usize) -> (usize, usize) {
    let is_key = |rest: &[u8]| {
        let keys = KEYS.get(next..).unwrap_or_default().iter();
        rest.strip_prefix(b" ").is_some_and(|rest| {
            keys.clone().any(|key| rest.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.starts_with(b":\"")))
        })
    };
    // A row has few quotes, and the names of a hostile one end somewhere.
    const LOOKED_AT_MAX: usize = 256;
    let last = value.len().checked_sub(1).filter(|last| value.get(*last) == Some(&b'"'));
    let mut ends = memchr::memchr_iter(b'"', value)
        .take(LOOKED_AT_MAX)
        .filter(|at| Some(*at) == last || value.get(at + 1..).is_some_and(is_key));
    let first = ends.next();
    let next_key = first.and_then(|first| value.get(first + 2..)).unwrap_or_default();
    let name = next_key.get(..memchr(b':', next_key).unwrap_or(0)).unwrap_or_default();
    // The same key once more behind: either may be the true one.
    let is_name = |rest: &[u8]| {
        let behind = rest.strip_prefix(b" ").and_then(|rest| rest.strip_prefix(name));
        behind.is_some_and(|behind| behind.starts_with(b":\""))
    };
    let again =
        !name.is_empty() && memchr::memchr_iter(b'"', next_key).any(|at| next_key.get(at + 1..).is_some_and(is_name));
    (first.unwrap_or(value.len()), 1 + usize::from(again))
}
