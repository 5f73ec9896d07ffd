//! Finds the ends of jsonlog records: a record is a line that begins with a brace.
//!
//! Lines that begin otherwise are damage, which ends at the next line end or where the bytes of a record's start
//! stand: no text inside a record can hold those.

use memchr::{memchr, memmem};

use super::START;
use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// The framer of [`crate::Format::PostgresJsonlog`].
#[derive(Debug, Clone, Default)]
pub struct LineFramer {
    /// No line feed stands before this position.
    looked: usize,
    /// Why the bytes at the start belong to no record.
    lost: Option<&'static str>,
    /// The caller gave up the record's first bytes.
    headless: bool,
}

impl LineFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        LineFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        if self.lost.is_none() && !self.headless && buf[0] != b'{' {
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
            *self = Self::default();
            return Frame::Record { len };
        }
        self.looked = buf.len();
        if !end {
            return Frame::Incomplete;
        }
        *self = Self::default();
        // A closed object is whole, line end or not.
        match buf.trim_ascii_end().last() {
            Some(b'}') => Frame::Record { len: buf.len() },
            _ => Frame::Damaged { len: buf.len(), reason: NO_END },
        }
    }

    fn look_for_record(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let from = self.looked.min(buf.len());
        let line_end = memchr(b'\n', &buf[from..]).map(|len| from + len + 1);
        let start = memmem::find(&buf[from..line_end.unwrap_or(buf.len())], START).map(|len| from + len);
        let found = start.or(line_end);
        let len = found.unwrap_or(if end { buf.len() } else { from.max(buf.len().saturating_sub(START.len() - 1)) });
        if len > DAMAGED_MAX {
            self.looked = len - DAMAGED_MAX;
            self.lost = Some(reason);
            return Frame::Damaged { len: DAMAGED_MAX, reason };
        }
        if found.is_none() && !end {
            self.looked = len;
            return Frame::Incomplete;
        }
        *self = Self::default();
        if len == 0 { self.next(buf, end) } else { Frame::Damaged { len, reason } }
    }
}
