//! The files of the extension pgauditlogtofile: pgAudit's rows, and those of connections, outside of the server's log.
//!
//! Its CSV has two grammars. Up to 1.6 ([`bare`]) nothing is quoted but what pgAudit quotes itself; from 1.7 on ([`quoted`]) every value is a
//! JSON string, and nothing at all stands for none. 1.8 adds seven columns. A file of 1.7 or later may hold JSON instead ([`json`]).
//! Neither has a column for the severity, and none but the first has the row's number in its session.

use crate::postgres::{self, Row};
use crate::record::{Record, Value};
use crate::scratch::Room;
use crate::{Parsed, Scratch};

pub mod bare;
pub mod framer;
pub mod json;
pub mod quoted;

/// Says what one frame of CSV holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let row = frame.strip_suffix(b"\n").unwrap_or(frame);
    let mut room = scratch.room(4 * row.len() + 64);
    let parsed = if quoted::starts(row) { quoted::record(row, &mut room) } else { bare::record(row, &mut room) };
    match parsed {
        Ok(record) => Parsed::Record(record),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Does a row begin with this line?
pub(crate) fn starts(line: &[u8]) -> bool {
    quoted::starts(line) || bare::starts(line)
}

/// Is this line a row, or the first line of one?
pub(crate) fn is_row(line: &[u8]) -> bool {
    quoted::is_row(line) || bare::Head::read(line).is_some()
}

/// Where a record starts behind the first byte. In the middle of a row it is not told: the framer followed its quotes.
pub(crate) fn next_record(bytes: &[u8]) -> Option<usize> {
    framer::next_record(bytes)
}

/// The columns that both grammars have behind what happened.
const TAIL: usize = 9;

/// What 1.8 adds, in its order.
const MEASURED: [&str; 7] = [
    "execution_start",
    "execution_end",
    "execution_time",
    "execution_memory_start",
    "execution_memory_end",
    "execution_memory_peak",
    "execution_memory_delta",
];

/// Sets the columns behind what happened: detail, hint, internal query and position, context, query and position, location, application.
fn set_tail<'a>(row: &mut Row<'a>, tail: &[Option<&'a [u8]>; TAIL]) {
    let [detail, hint, internal_query, internal_pos, context, query, query_pos, location, application] = *tail;
    row.detail = detail;
    row.hint = hint;
    row.internal_query = internal_query;
    row.internal_query_pos = internal_pos.and_then(number).filter(|position| *position != 0);
    row.context = context;
    row.query = query;
    row.query_pos = query_pos.and_then(number).filter(|position| *position != 0);
    row.location = location;
    row.application = application;
}

/// Sets where the session comes from: `127.0.0.1:37966`, `[local]`.
fn set_client<'a>(row: &mut Row<'a>, text: Option<&'a [u8]>) {
    let (address, port) = text.map_or((None, None), postgres::connection_from);
    row.address = address;
    row.port = port;
}

fn finish<'a>(row: Row<'a>, more: &[(&'static str, Option<&'a [u8]>)], room: &mut Room<'a>) -> Record<'a> {
    let mut record = postgres::record(row, room);
    for (name, value) in more {
        record.extra.extend(value.map(|value| (*name, Value::Text(value))));
    }
    record
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_session_id(text: &[u8]) -> bool {
    let hex = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    memchr::memchr(b'.', text).is_some_and(|dot| hex(&text[..dot]) && hex(&text[dot + 1..]))
}

/// Does the text begin like the model, in which 0 stands for any digit?
fn fits(text: &[u8], model: &[u8]) -> bool {
    let like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() >= model.len() && text.iter().zip(model).all(like)
}

/// pgAudit's payload begins with one of two words.
fn is_payload(text: &[u8]) -> bool {
    text.starts_with(b"SESSION,") || text.starts_with(b"OBJECT,")
}
