//! Rows of `sys.fn_get_audit_file` as JSON: objects one after the other, in an array (`FOR JSON`, `ConvertTo-Json`) or one a line.

use super::{COLUMNS, Row, column, room_len};
use crate::json::{self, Text, Value as Json};
use crate::record::Record;
use crate::rest::Rest;
use crate::scratch::Room;
use crate::{Parsed, Scratch, digits, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if !frame.contains(&b'{') {
        return Parsed::Nothing { what: "brackets of the list" };
    }
    let mut room = scratch.room(room_len(frame) + ROOM);
    match read(frame, &mut room) {
        Ok(row) => super::parsed(row, &mut room),
        Err(reason) => Parsed::Unparsed { reason, retry_at: None },
    }
}

/// See [`crate::assemble`].
pub(crate) fn assemble<'a>(frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    super::assemble(read, frames, complete, scratch)
}

/// Says what an object holds that is one row of the function, with what Azure puts beside it. Needs [`ROOM`] and three times as much as it
/// is long.
pub(crate) fn record<'a>(object: &'a [u8], room: &mut Room<'a>) -> Result<Record<'a>, &'static str> {
    let row = read(object, room)?;
    let mut record = super::record(&row, room);
    if row.piece().is_some() {
        record.flags.push("incomplete");
    }
    Ok(record)
}

/// Numbers and times, besides the texts.
pub(crate) const ROOM: usize = super::ROOM + 20 * COLUMNS.len();

fn read<'a>(frame: &'a [u8], room: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
    let object = frame.get(memchr::memchr(b'{', frame).ok_or("no JSON object begins here")?..).unwrap_or_default();
    let (mut row, mut rest, mut near) = (Row::default(), Rest::default(), 0);
    json::members(object, |member| {
        let at = column(member.key, near).filter(|at| row.columns.get(*at).is_some_and(Option::is_none));
        let Some(at) = at else { return rest.push(member.raw) };
        near = at + 1;
        match member.value {
            Json::Text(text) if at == super::EVENT_TIME => row.set(at, time(text, room)),
            Json::Text(text) => row.set(at, text.unescaped(room)),
            Json::Int(number) => row.set(at, digits::in_room(number, room)),
            Json::Other(b"null") => {}
            Json::Other(raw) | Json::Object(raw) | Json::Array(raw) => row.set(at, raw),
        }
    })?;
    row.other = rest.joined(room);
    match row.missing() {
        Some(reason) => Err(reason),
        None => Ok(row),
    }
}

/// Windows PowerShell writes times as `\/Date(1635030080405)\/`.
fn time<'a>(text: Text<'a>, room: &mut Room<'a>) -> &'a [u8] {
    let text = text.unescaped(room);
    let ms = text.strip_prefix(b"/Date(").and_then(|rest| rest.strip_suffix(b")/"));
    match ms.and_then(|ms| std::str::from_utf8(ms).ok()?.parse().ok()) {
        Some(ms) => times::of_unix_ms(ms, room),
        None => text,
    }
}
