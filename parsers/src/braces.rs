//! Records that are JSON objects, each beginning a line: on one line, or printed over several with the closing brace on its own.
//!
//! A line that begins with a brace begins a record, whatever came before: inside an object that is printed over several lines all others
//! are indented. So half a record never costs the next one.

use memchr::memchr;

use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// Finds where such objects end. Every line is looked at once, or twice where it ends damage.
#[derive(Debug, Clone, Default)]
pub struct BraceFramer {
    /// Where the line begins that was not looked at yet.
    line: usize,
    /// No line feed stands between `line` and this.
    looked: usize,
    /// The first bytes of that line are gone.
    cut: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// At a record's first line.
    #[default]
    Fresh,
    /// Behind a record's first line.
    Inside,
    /// In lines that belong to no record.
    Lost(&'static str),
}

impl BraceFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        BraceFramer { cut: true, state: State::Lost("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        while let Some(line_end) = self.line_end(buf, end) {
            let line = buf.get(self.line..line_end).unwrap_or_default();
            let opens = !self.cut && line.first() == Some(&b'{');
            let closes = line.trim_ascii_end().last() == Some(&b'}');
            match self.state {
                State::Fresh if (opens || self.cut) && closes => return self.record(line_end),
                State::Fresh if opens || self.cut => self.state = State::Inside,
                State::Fresh if line.trim_ascii().is_empty() => return self.record(line_end),
                State::Fresh => self.state = State::Lost("no record begins here"),
                State::Inside if opens => return self.damaged(self.line, "the record breaks off", State::Fresh),
                State::Inside if !self.cut && line.first() == Some(&b'}') => return self.record(line_end),
                State::Lost(reason) if opens => return self.damaged(self.line, reason, State::Fresh),
                State::Inside | State::Lost(_) => {}
            }
            (self.line, self.looked, self.cut) = (line_end, line_end, false);
        }
        self.rest(buf, end)
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.cut |= len > self.line;
        self.line = self.line.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
    }

    fn line_end(&mut self, buf: &[u8], end: bool) -> Option<usize> {
        let from = self.looked.min(buf.len());
        if let Some(len) = memchr(b'\n', &buf[from..]) {
            return Some(from + len + 1);
        }
        self.looked = buf.len();
        (end && self.line < buf.len()).then_some(buf.len())
    }

    /// No further line is whole.
    fn rest(&mut self, buf: &[u8], end: bool) -> Frame {
        match self.state {
            State::Lost(reason) if buf.len() > DAMAGED_MAX => self.damaged(DAMAGED_MAX, reason, self.state),
            State::Lost(reason) if end && !buf.is_empty() => self.damaged(buf.len(), reason, State::Fresh),
            State::Inside if end && !buf.is_empty() => self.damaged(buf.len(), NO_END, State::Fresh),
            _ => Frame::Incomplete,
        }
    }

    fn record(&mut self, len: usize) -> Frame {
        *self = Self::default();
        Frame::Record { len }
    }

    fn damaged(&mut self, len: usize, reason: &'static str, state: State) -> Frame {
        if state == State::Fresh {
            *self = Self::default();
        } else {
            self.discard(len);
        }
        Frame::Damaged { len, reason }
    }
}

/// Where in a frame an object begins, behind the first byte, that is whole up to the frame's end and that `is_record` knows: half a row
/// may run on into a whole one without a line end. What a text imitates is followed by that text's end.
///
/// Only the last few places are tried, so that a row full of imitations costs no more than a few readings.
pub(crate) fn next_object(frame: &[u8], start: &[u8], is_record: impl Fn(&[u8]) -> bool) -> Option<usize> {
    const TRIED_MAX: usize = 4;
    let mut places = memchr::memmem::rfind_iter(frame, start).filter(|at| *at > 0).take(TRIED_MAX);
    places.find(|at| frame.get(*at..).is_some_and(&is_record))
}
