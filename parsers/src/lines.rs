//! Records that are lines: framing for every format in which a line feed ends a record and never stands inside one.

use memchr::{memchr, memmem};

use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// What a format says of its lines.
#[derive(Debug)]
pub struct Rules {
    /// Whether a record begins with this byte. A line that begins otherwise is damage.
    pub begins: fn(u8) -> bool,
    /// Bytes that stand at a record's start and nowhere else; empty where there are none. Damage ends there, line end or not.
    pub start: &'static [u8],
    /// Whether the last line of a file that is over is whole without its line feed.
    pub is_whole: fn(&[u8]) -> bool,
}

/// Finds the ends of lines.
///
/// Lines that begin otherwise than a record are damage, which ends at the next line end or where the bytes of a record's start stand.
#[derive(Debug, Clone)]
pub struct LineFramer {
    rules: &'static Rules,
    /// No line feed stands before this position.
    looked: usize,
    /// Why the bytes at the start belong to no record.
    lost: Option<&'static str>,
    /// The caller gave up the record's first bytes.
    headless: bool,
}

impl LineFramer {
    /// A framer that enters the file at a record's first byte.
    pub fn new(rules: &'static Rules) -> Self {
        LineFramer { rules, looked: 0, lost: None, headless: false }
    }

    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file(rules: &'static Rules) -> Self {
        LineFramer { lost: Some("reading began inside a record"), ..Self::new(rules) }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        if self.lost.is_none() && !self.headless && !(self.rules.begins)(buf[0]) {
            self.lost = Some("no record begins here");
        }
        match self.lost {
            Some(reason) => self.look_for_record(buf, end, reason),
            None => self.read(buf, end),
        }
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.looked = self.looked.saturating_sub(len);
        self.headless |= len > 0 && self.lost.is_none();
    }

    fn read(&mut self, buf: &[u8], end: bool) -> Frame {
        if let Some(len) = buf.get(self.looked..).and_then(|rest| memchr(b'\n', rest)) {
            let len = self.looked + len + 1;
            *self = Self::new(self.rules);
            return Frame::Record { len };
        }
        self.looked = buf.len();
        if !end {
            return Frame::Incomplete;
        }
        *self = Self::new(self.rules);
        match (self.rules.is_whole)(buf) {
            true => Frame::Record { len: buf.len() },
            false => Frame::Damaged { len: buf.len(), reason: NO_END },
        }
    }

    fn look_for_record(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let marker = self.rules.start;
        let from = self.looked.min(buf.len());
        let line_end = memchr(b'\n', &buf[from..]).map(|len| from + len + 1);
        let line = &buf[from..line_end.unwrap_or(buf.len())];
        let start = if marker.is_empty() { None } else { memmem::find(line, marker).map(|len| from + len) };
        let found = start.or(line_end);
        let unsure = marker.len().saturating_sub(1);
        let len = found.unwrap_or(if end { buf.len() } else { from.max(buf.len().saturating_sub(unsure)) });
        if len > DAMAGED_MAX {
            self.looked = len - DAMAGED_MAX;
            self.lost = Some(reason);
            return Frame::Damaged { len: DAMAGED_MAX, reason };
        }
        if found.is_none() && !end {
            self.looked = len;
            return Frame::Incomplete;
        }
        *self = Self::new(self.rules);
        if len == 0 { self.next(buf, end) } else { Frame::Damaged { len, reason } }
    }
}

/// A closed object is whole, line end or not.
pub fn ends_with_brace(line: &[u8]) -> bool {
    line.trim_ascii_end().last() == Some(&b'}')
}
