//! Records that have no mark at their end: a record is a line that starts one, and all lines up to the next such line.
//!
//! Whether the last record in a file is whole cannot be told from its bytes. It is handed out as [`Frame::Open`], and the caller takes it
//! when nothing has followed for a while, or never will.

use std::sync::Arc;

use memchr::memchr;

use crate::frame::{DAMAGED_MAX, Frame};

/// Says of a line, with its line feed or as much of it as there is, whether a record starts there.
pub trait Starts: std::fmt::Debug + Send + Sync {
    /// `line` ends with a line feed, or is the last one of a file that is over.
    fn starts(&self, line: &[u8]) -> Opens;

    /// Whether `line` belongs to the record that begins with the line `first`. Both are [`Opens::Perhaps`].
    fn is_of_same(&self, _first: &[u8], _line: &[u8]) -> bool {
        false
    }
}

/// What a line is to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// None begins here.
    No,
    /// One begins here.
    Record,
    /// One begins here, unless the one before goes on: the line does not tell.
    Perhaps,
}

impl From<bool> for Opens {
    fn from(starts: bool) -> Self {
        if starts { Opens::Record } else { Opens::No }
    }
}

/// Finds where records that begin at certain lines end. Every line is looked at once.
#[derive(Debug, Clone)]
pub struct BlockFramer {
    starts: Arc<dyn Starts>,
    /// The record at the start of the buffer goes up to here at least; a line begins here.
    lines: usize,
    /// No line feed stands between `lines` and this.
    looked: usize,
    /// The buffer begins inside a line.
    half: bool,
    state: State,
    /// The first line of a record, where it is [`Opens::Perhaps`].
    first: Option<Box<[u8]>>,
    /// How many lines like it the record has besides.
    more: u8,
}

/// No record has more lines that look like its first one.
const MORE_MAX: u8 = 7;

/// A first line that is longer is not kept: what comes again is the beginning of one, and no such beginning is as long.
const FIRST_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At a line that was not looked at yet.
    Fresh,
    /// Behind a record's first line.
    Inside,
    /// In lines that belong to no record.
    Lost(&'static str),
}

const NO_RECORD: &str = "no record begins here";

impl BlockFramer {
    /// A framer that enters the file at a line.
    pub fn new(starts: Arc<dyn Starts>) -> Self {
        BlockFramer { starts, lines: 0, looked: 0, half: false, state: State::Fresh, first: None, more: 0 }
    }

    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file(starts: Arc<dyn Starts>) -> Self {
        BlockFramer { half: true, state: State::Lost("reading began inside a record"), ..Self::new(starts) }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        while let Some(line) = self.line(buf, end) {
            let from = self.lines;
            let start = if self.half { Opens::No } else { self.starts.starts(&buf[from..line]) };
            let is_start = match start {
                Opens::No => false,
                Opens::Record => true,
                Opens::Perhaps => !self.goes_on(&buf[from..line]),
            };
            self.half = false;
            match self.state {
                State::Inside if is_start => return self.record(from),
                State::Lost(reason) if is_start => return self.damaged(from, reason, State::Fresh),
                State::Fresh if is_start => {
                    self.state = State::Inside;
                    self.first = (start == Opens::Perhaps && line - from <= FIRST_MAX).then(|| buf[from..line].into());
                }
                State::Fresh => self.state = State::Lost(NO_RECORD),
                State::Inside | State::Lost(_) => {}
            }
            (self.lines, self.looked) = (line, line);
            if let State::Lost(reason) = self.state
                && self.lines > DAMAGED_MAX
            {
                return self.damaged(DAMAGED_MAX, reason, self.state);
            }
        }
        self.rest(buf, end)
    }

    /// Whether a record starts at this line, for all that it tells.
    pub(crate) fn is_start(&self, line: &[u8]) -> bool {
        self.starts.starts(line) != Opens::No
    }

    /// Whether the record has this line too, which looks like a first one. Asked once for a line.
    fn goes_on(&mut self, line: &[u8]) -> bool {
        let is_same = |first: &[u8]| self.starts.is_of_same(first, line);
        let goes_on = self.more < MORE_MAX && self.first.as_deref().is_some_and(is_same);
        self.more += u8::from(goes_on);
        goes_on
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.lines = self.lines.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
    }

    /// Where the next line ends, if it does.
    fn line(&mut self, buf: &[u8], end: bool) -> Option<usize> {
        let from = self.looked.min(buf.len());
        if let Some(len) = memchr(b'\n', &buf[from..]) {
            return Some(from + len + 1);
        }
        self.looked = buf.len();
        (end && self.lines < buf.len()).then_some(buf.len())
    }

    /// No further line is whole.
    fn rest(&mut self, buf: &[u8], end: bool) -> Frame {
        match self.state {
            State::Inside if end && self.lines == buf.len() => self.record(buf.len()),
            State::Inside if self.lines > 0 && self.lines == buf.len() => Frame::Open { len: self.lines },
            State::Lost(reason) if end && !buf.is_empty() => self.damaged(buf.len(), reason, State::Fresh),
            State::Lost(reason) if self.half && buf.len() > DAMAGED_MAX => {
                self.damaged(DAMAGED_MAX, reason, self.state)
            }
            _ => Frame::Incomplete,
        }
    }

    /// The caller took what [`Frame::Open`] told of.
    pub fn close(&mut self) {
        (self.lines, self.looked, self.half) = (0, 0, false);
        (self.state, self.first, self.more) = (State::Fresh, None, 0);
    }

    fn record(&mut self, len: usize) -> Frame {
        self.close();
        Frame::Record { len }
    }

    fn damaged(&mut self, len: usize, reason: &'static str, state: State) -> Frame {
        self.lines = self.lines.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
        self.state = state;
        Frame::Damaged { len, reason }
    }
}
