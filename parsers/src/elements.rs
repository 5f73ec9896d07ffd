//! Records that are XML elements of one name, in a document whose root is closed when the server stops, or never.
//!
//! A record is an element with the blanks before it; every other tag is a frame of its own. The text of such a log escapes `<`, so that the bytes of
//! a record's start stand nowhere else: half a record ends where they do.

use memchr::{memchr, memchr2, memchr3, memmem};

use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// Finds the ends of elements. Looks at every byte once.
#[derive(Debug, Clone)]
pub struct ElementFramer {
    /// With its angle bracket: `<AUDIT_RECORD`.
    start: &'static [u8],
    /// `</AUDIT_RECORD>`
    end: &'static [u8],
    at: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a tag.
    Between,
    /// At an angle bracket.
    Name,
    /// In a tag.
    Tag { is_record: bool, is_quoted: bool },
    /// Behind the record's tag.
    Body,
    /// In bytes that belong to no record.
    Lost(&'static str),
}

/// What was found, if anything.
enum Step {
    Go,
    Whole(usize),
    Lost(&'static str),
    MissingBytes,
}

impl ElementFramer {
    /// A framer that enters the file at its first byte, or between two records. `start` is `<NAME`, `end` is `</NAME>`.
    pub fn new(start: &'static [u8], end: &'static [u8]) -> Self {
        ElementFramer { start, end, at: 0, place: Place::Between }
    }

    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file(start: &'static [u8], end: &'static [u8]) -> Self {
        ElementFramer { place: Place::Lost("reading began inside a record"), ..Self::new(start, end) }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        self.at = self.at.min(buf.len());
        loop {
            let step = match self.place {
                Place::Between => self.between(buf),
                Place::Name => self.name(buf, end),
                Place::Tag { is_record, is_quoted } => self.tag(buf, is_record, is_quoted),
                Place::Body => self.body(buf, end),
                Place::Lost(reason) => return self.look_for_record(buf, end, reason),
            };
            match step {
                Step::Go => {}
                Step::Whole(len) => {
                    *self = Self::new(self.start, self.end);
                    return Frame::Record { len };
                }
                Step::Lost(reason) => self.place = Place::Lost(reason),
                Step::MissingBytes if !end => return Frame::Incomplete,
                Step::MissingBytes if self.place == Place::Between => {
                    *self = Self::new(self.start, self.end);
                    return Frame::Record { len: buf.len() };
                }
                Step::MissingBytes => {
                    *self = Self::new(self.start, self.end);
                    return Frame::Damaged { len: buf.len(), reason: NO_END };
                }
            }
        }
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.at = self.at.saturating_sub(len);
    }

    fn between(&mut self, buf: &[u8]) -> Step {
        self.at += buf[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match buf.get(self.at) {
            None => Step::MissingBytes,
            Some(b'<') => {
                self.place = Place::Name;
                Step::Go
            }
            Some(_) => Step::Lost("no record begins here"),
        }
    }

    fn name(&mut self, buf: &[u8], end: bool) -> Step {
        let Some(is_record) = is_start(&buf[self.at..], self.start, end) else { return Step::MissingBytes };
        (self.at, self.place) = (self.at + 1, Place::Tag { is_record, is_quoted: false });
        Step::Go
    }

    fn tag(&mut self, buf: &[u8], is_record: bool, is_quoted: bool) -> Step {
        let rest = &buf[self.at..];
        let found = if is_quoted { memchr2(b'"', b'<', rest) } else { memchr3(b'"', b'<', b'>', rest) };
        let Some(len) = found else {
            self.at = buf.len();
            return Step::MissingBytes;
        };
        let found = self.at + len;
        self.at = found + 1;
        match buf[found] {
            b'"' => self.place = Place::Tag { is_record, is_quoted: !is_quoted },
            b'<' => {
                self.at = found;
                return Step::Lost("another tag begins inside it");
            }
            _ if is_record && found.checked_sub(1).and_then(|before| buf.get(before)) != Some(&b'/') => {
                self.place = Place::Body;
            }
            _ => return Step::Whole(found + 1),
        }
        Step::Go
    }

    fn body(&mut self, buf: &[u8], end: bool) -> Step {
        let Some(len) = memchr(b'<', &buf[self.at..]) else {
            self.at = buf.len();
            return Step::MissingBytes;
        };
        self.at += len;
        let rest = &buf[self.at..];
        if rest.starts_with(self.end) {
            return Step::Whole(self.at + self.end.len());
        }
        match is_start(rest, self.start, end) {
            Some(true) => return Step::Lost("another record begins inside it"),
            None => return Step::MissingBytes,
            Some(false) if !end && self.end.starts_with(rest) => return Step::MissingBytes,
            Some(false) => self.at += 1,
        }
        Step::Go
    }

    /// No record starts before `at`.
    fn look_for_record(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let mut found = None;
        while let Some(len) = memmem::find(&buf[self.at..], self.start) {
            match is_start(&buf[self.at + len..], self.start, end) {
                Some(false) => self.at += len + 1,
                start => {
                    self.at += len;
                    found = start;
                    break;
                }
            }
        }
        let len = match found {
            Some(_) => self.at,
            None if end => buf.len(),
            None => self.at.max(buf.len().saturating_sub(self.start.len())),
        };
        if len > DAMAGED_MAX {
            (self.at, self.place) = (len - DAMAGED_MAX, Place::Lost(reason));
            return Frame::Damaged { len: DAMAGED_MAX, reason };
        }
        if found.is_none() && !end {
            (self.at, self.place) = (len, Place::Lost(reason));
            return Frame::Incomplete;
        }
        *self = Self::new(self.start, self.end);
        if len == 0 { self.next(buf, end) } else { Frame::Damaged { len, reason } }
    }
}

/// Whether a tag of the name in `start` stands here; `None` when more bytes are needed.
fn is_start(text: &[u8], start: &[u8], end: bool) -> Option<bool> {
    match text.get(start.len()) {
        Some(byte) => Some(text.starts_with(start) && (byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))),
        None if end || !start.starts_with(text) => Some(false),
        None => None,
    }
}
