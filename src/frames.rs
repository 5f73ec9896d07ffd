//! Bytes read become whole frames, one after the other.
//!
//! Owns the bytes that are read and not yet handed out, and the framer's place in them. It serves a followed file and a pipe alike: who
//! reads the bytes is not its business, nor is what a frame means.

use sealtrail_parsers::frame::LOOK_BACK;
use sealtrail_parsers::{Format, Frame, Framer};

use crate::limits::{DAMAGED_LINE_BYTES_MAX, IDLE_BUFFER_BYTES_MAX};

/// The unread part of a log.
#[derive(Debug)]
pub struct Frames {
    framer: Option<Framer>,
    /// Handed out: `buf[kept..start]`, kept until somebody has accounted for it. To come: `buf[start..]`.
    buf: Vec<u8>,
    kept: usize,
    start: usize,
    /// Where `buf[start]` stands in the file.
    offset: u64,
    owed: Option<Owed>,
    /// The next frame is the end of a record that is larger than the limit.
    oversize: bool,
}

/// Bytes that belong to no record and become lines piece by piece.
#[derive(Debug, Clone, Copy)]
struct Owed {
    len: usize,
    reason: &'static str,
    oversize: bool,
}

/// What stands next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A whole record, its terminator included.
    Record {
        /// In bytes.
        len: usize,
    },
    /// Bytes that belong to no record.
    Damaged {
        /// In bytes.
        len: usize,
        /// Why.
        reason: &'static str,
        /// A piece of a record that is larger than the limit.
        oversize: bool,
    },
    /// Nothing that is whole.
    Wait,
}

const OVERSIZE: &str = "larger than record_max_bytes: kept in pieces";

impl Frames {
    /// Empty, its first byte to come standing at `offset` in the file.
    pub fn new(offset: u64) -> Self {
        Frames { framer: None, buf: Vec::new(), kept: 0, start: 0, offset, owed: None, oversize: false }
    }

    /// Says how to find frames. `at_record`: the first byte to come begins a record.
    pub fn set_format(&mut self, format: Format, at_record: bool) {
        self.framer = Some(if at_record { Framer::new(format) } else { Framer::mid_file(format) });
    }

    /// Whether [`Frames::set_format`] was called.
    pub fn has_format(&self) -> bool {
        self.framer.is_some()
    }

    /// Lets `read` append up to `len` bytes; gives it the room and the file offset to read from.
    pub fn fill<E>(&mut self, len: usize, read: impl FnOnce(&mut [u8], u64) -> Result<usize, E>) -> Result<usize, E> {
        if self.kept > 0 {
            self.buf.drain(..self.kept);
            self.start -= self.kept;
            self.kept = 0;
        }
        let filled = self.buf.len();
        let at = self.offset + (filled - self.start) as u64;
        self.buf.resize(filled + len, 0);
        let result = read(&mut self.buf[filled..], at);
        let count = *result.as_ref().unwrap_or(&0);
        self.buf.truncate(filled + count);
        result
    }

    /// What stands next. `end`: nothing will be appended.
    pub fn next(&mut self, record_max: usize, end: bool) -> Next {
        if self.owed.is_none() {
            match self.next_frame(record_max, end) {
                Frame::Record { len } => return Next::Record { len },
                Frame::Damaged { len, reason } => self.owed = Some(Owed { len, reason, oversize: reason == OVERSIZE }),
                Frame::Incomplete => return Next::Wait,
            }
        }
        self.owed.map_or(Next::Wait, |owed| Next::Damaged {
            len: owed.len.min(DAMAGED_LINE_BYTES_MAX),
            reason: owed.reason,
            oversize: owed.oversize,
        })
    }

    fn next_frame(&mut self, record_max: usize, end: bool) -> Frame {
        let pending = &self.buf[self.start..];
        let Some(framer) = &mut self.framer else { return Frame::Incomplete };
        if pending.is_empty() {
            return Frame::Incomplete;
        }
        match framer.next(pending, end) {
            Frame::Incomplete if pending.len() > record_max.max(LOOK_BACK) => {
                let len = pending.len() - LOOK_BACK;
                framer.discard(len);
                self.oversize = true;
                Frame::Damaged { len, reason: OVERSIZE }
            }
            Frame::Record { len } if self.oversize => {
                self.oversize = false;
                Frame::Damaged { len, reason: OVERSIZE }
            }
            Frame::Damaged { len, reason } => {
                self.oversize = false;
                Frame::Damaged { len, reason }
            }
            frame => frame,
        }
    }

    /// The bytes of what [`Frames::next`] told of.
    pub fn frame(&self, len: usize) -> &[u8] {
        &self.buf[self.start..self.start + len]
    }

    /// Drops the last `len` bytes that were read: they are not of this file.
    pub fn unread(&mut self, len: usize) {
        self.buf.truncate(self.buf.len() - len.min(self.pending()));
    }

    /// The bytes that were read and not handed out.
    pub fn pending_bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Where the next frame starts in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands out the next `len` bytes: they are a line now.
    pub fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
        let left = self.owed.map(|owed| Owed { len: owed.len.saturating_sub(len), ..owed });
        self.owed = left.filter(|owed| owed.len > 0);
    }

    /// The bytes handed out since the last call; they are dropped after this one.
    pub fn account(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.kept, self.start);
        &self.buf[from..self.start]
    }

    /// Bytes read and not handed out.
    pub fn pending(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Gives memory back when nothing is pending.
    pub fn rest(&mut self) {
        if self.pending() == 0 && self.kept == self.start && self.buf.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.buf = Vec::new();
            (self.kept, self.start) = (0, 0);
        }
    }
}
