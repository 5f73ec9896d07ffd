//! Oracle's audit by syslog: unified auditing (`UNIFIED_AUDIT_SYSTEMLOG`, 18c and later) and traditional (`AUDIT_SYSLOG_LEVEL`).
//!
//! A row is a line. What is hard:
//!
//! - Quotes inside values are not escaped. Traditional rows give each value's length, which decides. Unified rows do not: there a value
//!   ends where a later key of the fixed order begins, and a row in which that has two readings says so with the flag `forgeable`.
//! - The syslog daemon may write a control byte as `#012`: four bytes where the length counts one.
//! - Rows are cut at the daemon's longest line. `LENGTH` says how long they were.
//! - The time is the daemon's, in the old protocol without a year and a zone.

use std::sync::LazyLock;

use memchr::memchr;

use super::{Role, Row, aud, known};
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

/// What each of them is.
static ROLES: LazyLock<[Option<(Role, &str)>; KEYS.len()]> = LazyLock::new(|| KEYS.map(|key| known(key.as_bytes())));

/// Is this a line of Oracle's?
pub(crate) fn opens(line: &[u8]) -> bool {
    tag(line).is_some()
}

/// Where Oracle's name begins, and which of the two it is.
fn tag(line: &[u8]) -> Option<(usize, bool)> {
    let unified = near::find_part(UNIFIED, line);
    // The earlier one counts, and neither holds the beginning of the other.
    let before = &line[..unified.unwrap_or(line.len())];
    let traditional = near::find_part(TRADITIONAL, before);
    traditional.map(|at| (at, false)).or(unified.map(|at| (at, true)))
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
    let last = last_places(text);
    let (mut rest, mut next) = (text, 0);
    while !rest.is_empty() {
        let colon = key_len(rest).ok_or("no key of Oracle's unified auditing")?;
        let (name, behind) = rest.split_at(colon);
        let place = KEYS
            .iter()
            .position(|key| key.len() == name.len() && near::begins(name, key.as_bytes()))
            .filter(|place| *place >= next);
        next = place.map_or(next, |place| place + 1);
        let value = behind.get(2..).unwrap_or_default();
        let (len, key) = value_len(value, next);
        // The same key once more behind: either may be the true one.
        let end = text.len() - value.len() + len;
        if key.is_some_and(|key| last[key] > end) {
            row.flag("forgeable");
        }
        let value = value.get(..len).unwrap_or(value);
        let raw = rest.get(..(colon + 2 + len + 1).min(rest.len())).unwrap_or(rest);
        match place {
            Some(place) => row.take_as(ROLES[place], value, raw),
            None => row.other.push(raw),
        }
        let is_last = rest.len() <= colon + 2 + len;
        if is_last {
            return Err(aud::CUT);
        }
        rest = rest.get(colon + 2 + len + 1..).unwrap_or_default().trim_ascii_start();
    }
    Ok(())
}

/// The last quote in front of each key; 0 where there is none.
fn last_places(text: &[u8]) -> [usize; KEYS.len()] {
    let mut last = [0; KEYS.len()];
    for quote in memchr::memchr_iter(b'"', text) {
        if let Some(key) = key_at(&text[quote + 1..], 0) {
            last[key] = quote;
        }
    }
    last
}

/// The key that stands behind a quote, one of those from `next` on.
fn key_at(text: &[u8], next: usize) -> Option<usize> {
    let [b' ', first, ..] = text else { return None };
    let is_there = |key: &str| {
        key.as_bytes().first() == Some(first)
            && near::begins(&text[1..], key.as_bytes())
            && text[1 + key.len()..].starts_with(b":\"")
    };
    (next..KEYS.len()).find(|place| is_there(KEYS[*place]))
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

/// Up to the quote behind which a later key begins, or which is the last byte; and that key.
fn value_len(value: &[u8], next: usize) -> (usize, Option<usize>) {
    // A row has few quotes, and the names of a hostile one end somewhere.
    const LOOKED_AT_MAX: usize = 256;
    for at in memchr::memchr_iter(b'"', value).take(LOOKED_AT_MAX) {
        let key = key_at(&value[at + 1..], next);
        if key.is_some() || at + 1 == value.len() {
            return (at, key);
        }
    }
    (value.len(), None)
}
