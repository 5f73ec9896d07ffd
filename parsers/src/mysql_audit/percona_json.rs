//! Percona's audit_log as JSON: `{"audit_record":{…}}`, one object a line, its numbers partly in quotes.

use super::json::literal;
use super::{Row, index};
use crate::json::{self, Member, Value};
use crate::lines::{self, Rules};
use crate::record::Parsed;
use crate::rest::Rest;
use crate::scratch::{Room, Scratch};
use crate::times::TIME_MAX;

/// How every record begins.
pub(crate) const START: &[u8] = b"{\"audit_record\":";

/// The server escapes line feeds and quotes: no text can hold what stands at a record's start.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut room = scratch.room(2 * frame.len() + TIME_MAX);
    let record = read(frame, &mut room).and_then(|row| row.record(&mut room).ok_or("no name or no timestamp"));
    match record {
        Ok(record) => Parsed::Record(record),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte: half a row may run on into a whole one without a line end.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

fn read<'a>(frame: &'a [u8], room: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
    let mut object = None;
    json::members(frame, |member| match member.value {
        Value::Object(inner) if member.key == b"audit_record" && object.is_none() => object = Some(inner),
        _ => object = Some(b""),
    })?;
    let object = object.filter(|object| !object.is_empty()).ok_or("not one audit_record")?;
    let mut row = Row::new();
    let mut rest = Rest::default();
    json::members(object, |member| {
        match slot(&mut row, member) {
            Some(slot) => {
                *slot = Some(match member.value {
                    Value::Text(text) => text.unescaped(room),
                    _ => literal(member),
                });
            }
            None => rest.push(member.raw.trim_ascii_end()),
        };
    })?;
    row.other = rest.joined(room);
    Ok(row)
}

/// Where a member belongs whose name is known, the first of its name.
fn slot<'r, 'a>(row: &'r mut Row<'a>, member: &Member<'a>) -> Option<&'r mut Option<&'a [u8]>> {
    index(member.key).map(|index| &mut row.values[index]).filter(|slot| slot.is_none())
}
