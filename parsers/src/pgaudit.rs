//! pgAudit's payload: the text after `AUDIT: ` in a server message.
//!
//! Nine comma-separated fields, ten with `pgaudit.log_rows`, quoted as in RFC 4180 when they hold a comma, a quote
//! or a line end (`append_valid_csv` in pgaudit.c). The list of parameters is a CSV line of its own inside one of
//! the fields. Both widths occur in one file, as the settings belong to sessions.

use std::borrow::Cow;

use crate::digits::number;
use crate::near;
use crate::quoted;
use crate::record::{Parameters, Statement};
use crate::scratch::Room;

/// One audited statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audit<'a> {
    /// `SESSION` or `OBJECT`.
    pub audit_type: &'a [u8],
    /// The command tag: `CREATE TABLE`.
    pub command: &'a [u8],
    pub object_type: Option<&'a [u8]>,
    pub object: Option<&'a [u8]>,
    pub statement: Statement<'a>,
}

/// What pgAudit writes before the payload.
const PREFIX: &[u8] = b"AUDIT: ";

/// How many fields there are at most.
const FIELDS_MAX: usize = 10;

/// The payload of a message that pgAudit wrote, if it may be one.
pub(crate) fn payload(message: &[u8]) -> Option<&[u8]> {
    let payload = message.strip_prefix(PREFIX)?;
    (payload.starts_with(b"SESSION,") || payload.starts_with(b"OBJECT,")).then_some(payload)
}

/// Reads a payload; `None` when it is malformed. Needs at most as much room as the payload is long.
pub(crate) fn parse<'a>(payload: &'a [u8], room: &mut Room<'a>) -> Option<Audit<'a>> {
    let mut fields = [Field::default(); FIELDS_MAX];
    let count = split(payload, &mut fields)?;
    let mut text = |index: usize| fields[index].text(room);
    let (audit_type, class, command) = (text(0), text(3), text(4));
    let (object_type, object, statement, parameters) = (text(5), text(6), text(7), text(8));
    Some(Audit {
        audit_type,
        command,
        object_type: Some(object_type).filter(|text| !text.is_empty()),
        object: Some(object).filter(|text| !text.is_empty()),
        statement: Statement {
            text: Some(statement).filter(|text| !is_withheld(text)),
            withheld: Some(statement).filter(|text| is_withheld(text)),
            class: Some(class),
            id: Some(number(fields[1].raw)?),
            substatement_id: Some(number(fields[2].raw)?),
            parameters: parameters_of(parameters),
            rows: if count == FIELDS_MAX { Some(number(fields[9].raw)?) } else { None },
        },
    })
}

/// The fields of one CSV line, unquoted; none when there is no line. Whatever the bytes, it ends.
pub(crate) fn fields<'a>(line: Option<&'a [u8]>) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let line = rest?;
        let (field, len) = field_at(line);
        rest = line.get(len + 1..);
        Some(field.cow())
    })
}

/// The message that has these fields, as pgAudit writes it. Needs twice as much room as they are long, and some.
pub(crate) fn compose<'a>(fields: &[&[u8]], rows: Option<&[u8]>, room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let mut len = 0;
        let mut push = |bytes: &[u8]| {
            let free = out.get_mut(len..).unwrap_or_default();
            let copied = bytes.len().min(free.len());
            free[..copied].copy_from_slice(&bytes[..copied]);
            len += copied;
        };
        push(PREFIX);
        for (index, field) in fields.iter().copied().chain(rows).enumerate() {
            push(if index == 0 { b"" } else { b"," });
            if !field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
                push(field);
                continue;
            }
            push(b"\"");
            for part in field.split_inclusive(|byte| *byte == b'"') {
                push(part);
                push(if part.ends_with(b"\"") { b"\"" } else { b"" });
            }
            push(b"\"");
        }
        len
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Field<'a> {
    raw: &'a [u8],
    doubled: bool,
}

impl<'a> Field<'a> {
    fn text(self, room: &mut Room<'a>) -> &'a [u8] {
        if self.doubled { quoted::unescape(self.raw, room) } else { self.raw }
    }

    fn cow(self) -> Cow<'a, [u8]> {
        if self.doubled { Cow::Owned(quoted::to_vec(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

/// Splits strictly; the number of fields, 9 or 10.
fn split<'a>(payload: &'a [u8], fields: &mut [Field<'a>; FIELDS_MAX]) -> Option<usize> {
    let mut at = 0;
    for (index, slot) in fields.iter_mut().enumerate() {
        let rest = payload.get(at..)?;
        let (field, len) = field_at(rest);
        let bare = rest.first() != Some(&b'"');
        if bare && near::has_any([b'"', b'\n', b'\r'], field.raw) {
            return None;
        }
        if !bare && len != field.raw.len() + 2 {
            return None;
        }
        *slot = field;
        at += len + 1;
        if at > payload.len() {
            return (index >= 8).then_some(index + 1);
        }
    }
    None
}

/// The field at the start of a line, and the length up to the comma behind it or the line's end. What stands
/// between a closing quote and the comma is passed over.
#[inline]
fn field_at(line: &[u8]) -> (Field<'_>, usize) {
    let comma = |from: usize| near::find(b',', &line[from..]).map_or(line.len(), |len| from + len);
    if line.first() != Some(&b'"') {
        let end = comma(0);
        return (Field { raw: &line[..end], doubled: false }, end);
    }
    match quoted::end(&line[1..]) {
        Some((len, doubled)) => (Field { raw: &line[1..len + 1], doubled }, comma(len + 2)),
        None => (Field { raw: &line[1..], doubled: quoted::run(&line[1..]) > 1 }, line.len()),
    }
}

fn parameters_of(field: &[u8]) -> Parameters<'_> {
    match field {
        b"<none>" => Parameters::None,
        field if is_withheld(field) => Parameters::Withheld(field),
        line => Parameters::Csv(line),
    }
}

/// Literal stand-ins; a statement of just these words cannot be told from them.
fn is_withheld(text: &[u8]) -> bool {
    matches!(text, b"<not logged>" | b"<previously logged>")
}
