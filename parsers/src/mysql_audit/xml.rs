//! XML as Percona's audit_log (OLD: attributes, NEW: elements), audit_log_filter and MySQL Enterprise Audit write it.
//!
//! What is hard: the root is not closed while the server runs, and opened again behind a closed one; the server writes references that no XML 1.0
//! has (`&#1;`), and they are taken for what they mean; bytes need not be UTF-8.

use memchr::{memchr, memmem};

use super::{Row, copy, index};
use crate::record::Parsed;
use crate::scratch::{Room, Scratch};
use crate::times::TIME_MAX;

/// How a record's tag begins, and its last.
pub(crate) const START: &[u8] = b"<AUDIT_RECORD";
pub(crate) const END: &[u8] = b"</AUDIT_RECORD>";

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let text = frame.trim_ascii();
    match text {
        b"" => return Parsed::Nothing { what: "blanks" },
        b"<AUDIT>" | b"</AUDIT>" => return Parsed::Nothing { what: "the document's root" },
        _ if is_prolog(text) => return Parsed::Nothing { what: "the XML declaration" },
        _ => {}
    }
    match Record::read(text) {
        Ok(record) => {
            let mut room = scratch.room(text.len() + record.other_len + TIME_MAX);
            let row = record.row(&mut room);
            match row.record(&mut room) {
                Some(record) => Parsed::Record(record),
                None => Parsed::Unparsed { reason: "no NAME or no TIMESTAMP", retry_at: next_record(frame) },
            }
        }
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte. No text holds the bytes of a record's start.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let blanks = frame.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let from = blanks + 1;
    memmem::find(frame.get(from..)?, START).map(|at| from + at)
}

/// A short tag that can hold nothing else.
fn is_prolog(text: &[u8]) -> bool {
    text.starts_with(b"<?xml ") && text.ends_with(b"?>") && text.len() < 128
}

/// The members of one element, still escaped.
struct Record<'a> {
    values: Row<'a>,
    others: &'a [u8],
    other_len: usize,
}

/// A member: its name, its text, and how it stands.
struct Member<'a> {
    name: &'a [u8],
    text: &'a [u8],
    raw: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(text: &'a [u8]) -> Result<Self, &'static str> {
        let mut record = Record { values: Row::new(), others: text, other_len: 0 };
        members(text, |member| {
            if !fill(&mut record.values, &member) {
                record.other_len += member.raw.len() + 1;
            }
        })?;
        Ok(record)
    }

    fn row(self, room: &mut Room<'a>) -> Row<'a> {
        let mut row = self.values;
        for value in row.values.iter_mut().flatten() {
            *value = unescaped(value, room);
        }
        if self.other_len > 0 {
            row.other = Some(others(self.others, room));
        }
        row
    }
}

/// Takes a member whose name is known, the first of its name.
fn fill<'a>(row: &mut Row<'a>, member: &Member<'a>) -> bool {
    match index(member.name).map(|index| &mut row.values[index]) {
        Some(slot @ None) => {
            *slot = Some(member.text);
            true
        }
        Some(Some(_)) | None => false,
    }
}

/// The members that [`fill`] refused, as they stand.
fn others<'a>(text: &[u8], room: &mut Room<'a>) -> &'a [u8] {
    let mut again = Row::new();
    let written = room.write(|out| {
        let mut len = 0;
        // It was read before.
        let _ = members(text, |member| {
            if !fill(&mut again, &member) {
                len += copy(member.raw, &mut out[len..]);
                len += copy(b" ", &mut out[len..]);
            }
        });
        len
    });
    written.trim_ascii_end()
}

/// Hands out attributes and child elements of the one element that `text` is.
fn members<'a>(text: &'a [u8], mut each: impl FnMut(Member<'a>)) -> Result<(), &'static str> {
    let mut rest = text.strip_prefix(START).ok_or("not an AUDIT_RECORD")?;
    loop {
        rest = rest.trim_ascii_start();
        if rest == b"/>" {
            return Ok(());
        }
        if let Some(children) = rest.strip_prefix(b">") {
            return elements(children, each);
        }
        let equals = memchr(b'=', rest).ok_or("an attribute has no value")?;
        let value = rest[equals + 1..].strip_prefix(b"\"").ok_or("an attribute's value is not in quotes")?;
        let quote = memchr(b'"', value).ok_or("an attribute's value is not closed")?;
        let (raw, behind) = rest.split_at(equals + 2 + quote + 1);
        each(Member { name: rest[..equals].trim_ascii(), text: &value[..quote], raw });
        rest = behind;
    }
}

fn elements<'a>(text: &'a [u8], mut each: impl FnMut(Member<'a>)) -> Result<(), &'static str> {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        if rest == END {
            return Ok(());
        }
        let tag = rest.strip_prefix(b"<").ok_or("text stands between its elements")?;
        let close = memchr(b'>', tag).ok_or("a tag is not closed")?;
        let (tag, behind) = (&tag[..close], &tag[close + 1..]);
        let (name, text, len) = match tag.strip_suffix(b"/") {
            Some(name) => (name.trim_ascii_end(), &behind[..0], 0),
            None => {
                let (text, len) = content(tag, behind).ok_or("an element is not closed")?;
                (tag, text, len)
            }
        };
        let (raw, next) = rest.split_at(close + 2 + len);
        each(Member { name, text, raw });
        rest = next;
    }
}

/// What stands before `</name>`, and the length of both.
fn content<'a>(name: &[u8], text: &'a [u8]) -> Option<(&'a [u8], usize)> {
    let mut at = 0;
    loop {
        at += memmem::find(text.get(at..)?, b"</")?;
        let end = &text[at + 2..];
        if end.strip_prefix(name).is_some_and(|rest| rest.starts_with(b">")) {
            return Some((&text[..at], at + 2 + name.len() + 1));
        }
        at += 2;
    }
}

/// Needs as much room as the text is long: no reference is shorter than what it stands for.
fn unescaped<'a>(text: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    if memchr(b'&', text).is_none() {
        return text;
    }
    room.write(|out| {
        let (mut len, mut rest) = (0, text);
        while let Some(plain) = memchr(b'&', rest) {
            len += copy(&rest[..plain], &mut out[len..]);
            rest = &rest[plain..];
            // What is no reference stands as it is.
            let (char, used) = reference(rest).unwrap_or(('&', 1));
            len += copy(char.encode_utf8(&mut [0; 4]).as_bytes(), &mut out[len..]);
            rest = &rest[used..];
        }
        len + copy(rest, &mut out[len..])
    })
}

/// No reference is longer: `&#x10FFFF;`.
const REFERENCE_MAX: usize = 10;

/// The character of `&lt;`, `&#10;` or `&#x0a;`, and how long the reference is.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    let end = memchr(b';', &text[..text.len().min(REFERENCE_MAX)])?;
    let name = text.get(1..end)?;
    let char = match name {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"quot" => '"',
        b"apos" => '\'',
        _ => {
            let digits = name.strip_prefix(b"#")?;
            let (digits, radix) = digits.strip_prefix(b"x").map_or((digits, 10), |digits| (digits, 16));
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            char::from_u32(u32::from_str_radix(digits, radix).ok()?)?
        }
    };
    Some((char, end + 1))
}
