//! Oracle's traditional audit as XML (`audit_trail = XML`, with or without `EXTENDED`): `AuditRecord` elements in a root that stays open as
//! long as the file is written.
//!
//! Text is escaped, so that no statement can hold a tag: `<AuditRecord>` always begins a row, and half a row ends there.

use memchr::{memchr, memmem};

use super::Row;
use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::scratch::Room;
use crate::{Parsed, Scratch, times};

const NAME: &[u8] = b"AuditRecord";

/// Finds where elements end.
#[derive(Debug, Clone, Default)]
pub struct RecordFramer {
    /// No tag of a row stands before this.
    looked: usize,
    /// The buffer begins with a row, or with the rest of one.
    inside: bool,
    lost: Option<&'static str>,
}

enum Tag {
    Opens(usize),
    /// And where it ends.
    Closes(usize),
}

impl RecordFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        RecordFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        while let Some(tag) = self.tag(buf) {
            match (tag, self.lost) {
                (Tag::Opens(at), Some(reason)) if at > 0 => return self.damaged(at, reason),
                (Tag::Opens(at), None) if self.inside => return self.damaged(at, "the record breaks off"),
                (Tag::Opens(at), None) if !buf[..at].trim_ascii().is_empty() => return self.record(at),
                (Tag::Opens(at), _) => (self.inside, self.lost, self.looked) = (true, None, at + 1 + NAME.len()),
                (Tag::Closes(len), None) if self.inside => return self.record(len),
                (Tag::Closes(len), None) => return self.damaged(len, "the record has no beginning"),
                (Tag::Closes(len), Some(_)) => self.looked = len,
            }
        }
        self.rest(buf, end)
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.looked = self.looked.saturating_sub(len);
    }

    /// The next tag of a row that is whole.
    fn tag(&mut self, buf: &[u8]) -> Option<Tag> {
        while let Some(found) = buf.get(self.looked..).and_then(|rest| memmem::find(rest, NAME)) {
            let at = self.looked + found;
            let behind = at + NAME.len();
            let before = buf.get(..at).unwrap_or_default();
            let next = *buf.get(behind)?;
            if before.ends_with(b"</") && next == b'>' {
                return Some(Tag::Closes(behind + 1));
            }
            if before.ends_with(b"<") && matches!(next, b'>' | b' ') {
                return Some(Tag::Opens(at - 1));
            }
            self.looked = behind;
        }
        self.looked = self.looked.max(buf.len().saturating_sub(NAME.len()));
        None
    }

    fn rest(&mut self, buf: &[u8], end: bool) -> Frame {
        // As much as a tag, and what stands before its name, may still be unfinished.
        let sure = self.looked.saturating_sub(2);
        match (self.inside, self.lost, end) {
            (false, Some(reason), true) => self.damaged(buf.len(), reason),
            (true, _, true) => self.damaged(buf.len(), NO_END),
            (false, None, true) => self.record(buf.len()),
            (false, lost, false) if sure > DAMAGED_MAX => {
                self.looked -= DAMAGED_MAX;
                self.lost = lost.or(Some("no record begins here"));
                Frame::Damaged { len: DAMAGED_MAX, reason: self.lost.unwrap_or(NO_END) }
            }
            _ => Frame::Incomplete,
        }
    }

    fn record(&mut self, len: usize) -> Frame {
        *self = Self::default();
        Frame::Record { len }
    }

    fn damaged(&mut self, len: usize, reason: &'static str) -> Frame {
        *self = Self::default();
        Frame::Damaged { len, reason }
    }
}

/// Does such a file begin here?
pub(crate) fn opens(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let head = text.get(..1024).unwrap_or(text);
    (head.starts_with(b"<?xml") && memmem::find(head, b"<Audit xmlns").is_some()) || head.starts_with(b"<AuditRecord>")
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let text = frame.trim_ascii();
    let Some(inner) = text.strip_prefix(b"<AuditRecord") else { return between(text) };
    let unparsed = |reason| Parsed::Unparsed { reason, retry_at: next_record(frame) };
    let begin = memchr(b'>', inner).map_or(inner.len(), |at| at + 1);
    let Some(inner) = inner.get(begin..).and_then(|inner| inner.strip_suffix(b"</AuditRecord>")) else {
        return unparsed("the record is not closed");
    };
    let mut room = scratch.room(3 * frame.len() + times::TIME_MAX);
    let mut row = Row::default();
    if let Err(reason) = elements(&mut row, inner, &mut room) {
        return unparsed(reason);
    }
    if row.time.is_empty() {
        return unparsed("no Extended_Timestamp");
    }
    row.time = times::of_iso(row.time, b"UTC", &mut room);
    Parsed::Record(row.record(&mut room))
}

/// Where a row begins behind the first byte.
pub(crate) fn next_record(bytes: &[u8]) -> Option<usize> {
    let own = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count() + 1;
    memmem::find(bytes.get(own..)?, b"<AuditRecord>").map(|at| at + own)
}

/// What is no row: the root's tags, the version.
fn between(text: &[u8]) -> Parsed<'_> {
    let is_syntax = text.is_empty()
        || [&b"<?xml"[..], b"<Audit ", b"</Audit>", b"<Version>"].iter().any(|tag| text.starts_with(tag));
    match is_syntax {
        true => Parsed::Nothing { what: "the root's tags" },
        false => Parsed::Unparsed { reason: "no record begins here", retry_at: None },
    }
}

/// `<Name>text</Name>`, one after the other.
fn elements<'a>(row: &mut Row<'a>, inner: &'a [u8], room: &mut Room<'a>) -> Result<(), &'static str> {
    let mut rest = inner.trim_ascii_start();
    while !rest.is_empty() {
        let inside = rest.strip_prefix(b"<").ok_or("text between two elements")?;
        let close = memchr(b'>', inside).ok_or("a tag is not closed")?;
        let (tag, behind) = (inside.get(..close).unwrap_or_default(), inside.get(close + 1..).unwrap_or_default());
        let name = tag.get(..memchr(b' ', tag).unwrap_or(tag.len())).unwrap_or(tag);
        if tag.ends_with(b"/") {
            rest = behind.trim_ascii_start();
            continue;
        }
        let text_len = memchr(b'<', behind).ok_or("an element is not closed")?;
        let (text, end) = behind.split_at(text_len);
        let end = end.strip_prefix(b"</").and_then(|end| end.strip_prefix(name)).and_then(|end| end.strip_prefix(b">"));
        let end = end.ok_or("an element holds another")?;
        let raw = rest.get(..rest.len() - end.len()).unwrap_or(rest);
        row.take(name, unescaped(text, room), raw);
        rest = end.trim_ascii_start();
    }
    Ok(())
}

/// Text with its entities made characters; what is none stays as it is.
fn unescaped<'a>(text: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    if memchr(b'&', text).is_none() {
        return text;
    }
    room.write(|out| {
        let (mut rest, mut len) = (text, 0);
        let mut push = |bytes: &[u8]| {
            let free = out.get_mut(len..).unwrap_or_default();
            let copied = bytes.len().min(free.len());
            free[..copied].copy_from_slice(&bytes[..copied]);
            len += copied;
        };
        while let Some(at) = memchr(b'&', rest) {
            push(&rest[..at]);
            rest = &rest[at..];
            let (char, taken) = entity(rest).unwrap_or(('&', 1));
            push(char.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.get(taken..).unwrap_or_default();
        }
        push(rest);
        len
    })
}

/// The character that an entity at the start stands for, and the entity's length.
fn entity(text: &[u8]) -> Option<(char, usize)> {
    const ENTITY_MAX: usize = 12;
    let near = text.get(..ENTITY_MAX).unwrap_or(text);
    let end = memchr(b';', near)?;
    let char = match near.get(1..end)? {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"quot" => '"',
        b"apos" => '\'',
        number => {
            let digits = std::str::from_utf8(number.strip_prefix(b"#")?).ok()?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((char, end + 1))
}
