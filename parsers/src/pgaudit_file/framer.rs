//! Where a row of pgauditlogtofile's CSV ends.
//!
//! From 1.7 on a row is a line. Up to 1.6 line ends stand in statements, inside pgAudit's quotes: they are followed from the row's first
//! line on, so that no text inside a statement passes for a row. Behind those, and in rows of
//! connections, nothing is quoted: a row ends where the next begins.

use super::bare::{Head, Payload};
use super::{bare, is_payload, quoted, starts};
use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// Finds the ends of rows. Looks at every line once, and once more where a row turns out to be torn.
#[derive(Debug, Clone, Default)]
pub struct RowFramer {
    /// A line begins here; what stands before it was looked at.
    lines: usize,
    /// No line feed stands between `lines` and this.
    looked: usize,
    /// The buffer begins inside a line.
    half: bool,
    /// `lines` stands inside a line whose beginning was judged: one that is too long to wait for its end.
    inside: bool,
    /// Inside the row's first line.
    first: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Fresh,
    /// In a row that ends where the next begins.
    Message,
    /// In a row that ends at the line's end.
    Line,
    /// In pgAudit's fields; `start` is where the last line stands that looks like a row's first.
    Fields {
        payload: Payload,
        start: Option<usize>,
    },
    Lost(&'static str),
}

/// Of a longer line the beginning is judged before its end is there. What stands before what happened is shorter.
const LINE_MAX: usize = 32 * 1024;

const TORN: &str = "this row's quotes are not closed: the file was torn here";

impl RowFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        RowFramer { half: true, state: State::Lost("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        while let Some(line_end) = self.line(buf) {
            if let Some(frame) = self.judge(buf, line_end) {
                return frame;
            }
            if matches!(self.state, State::Line) {
                return self.record(line_end);
            }
            (self.half, self.inside, self.first) = (false, false, false);
            (self.lines, self.looked) = (line_end, line_end);
            if let State::Lost(reason) = self.state
                && self.lines > DAMAGED_MAX
            {
                return self.damaged(DAMAGED_MAX, reason, self.state);
            }
        }
        let is_long = buf.len() - self.lines.min(buf.len()) >= LINE_MAX;
        if is_long && !end && !self.half && !matches!(self.state, State::Lost(_)) {
            if let Some(frame) = self.judge(buf, buf.len()) {
                return frame;
            }
            if !matches!(self.state, State::Lost(_)) {
                (self.lines, self.looked, self.inside) = (buf.len(), buf.len(), true);
            }
        }
        self.rest(buf, end)
    }

    /// What a line means, or its next part up to `until`; a frame, if one ends before it.
    fn judge(&mut self, buf: &[u8], until: usize) -> Option<Frame> {
        let (from, line) = (self.lines, &buf[self.lines..until]);
        let is_start = !self.half && !self.inside && starts(line);
        match self.state {
            State::Fresh if is_start && quoted::starts(line) => self.state = State::Line,
            State::Fresh if is_start => (self.state, self.first) = (first_line(line), true),
            State::Fresh => self.state = State::Lost("no record begins here"),
            State::Message if is_start => return Some(self.record(from)),
            State::Lost(reason) if is_start => return Some(self.damaged(from, reason, State::Fresh)),
            State::Message | State::Lost(_) | State::Line => {}
            State::Fields { mut payload, start } => {
                let start = if is_start { Some(from) } else { start };
                match (payload.scan(line), start) {
                    (Ok(Some(_)), _) => self.state = State::Message,
                    (Ok(None), start) => self.state = State::Fields { payload, start },
                    (Err(()), _) if self.first => self.state = State::Message,
                    (Err(()), Some(start)) => return Some(self.damaged(start, TORN, State::Fresh)),
                    (Err(()), None) => self.state = State::Lost(TORN),
                }
            }
        }
        None
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.lines = self.lines.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
        if let State::Fields { start, .. } = &mut self.state {
            *start = start.and_then(|start| start.checked_sub(len)).filter(|start| *start > 0);
        }
    }

    /// See [`crate::Framer::close`].
    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// Where the next line ends, if it does.
    fn line(&mut self, buf: &[u8]) -> Option<usize> {
        let from = self.looked.min(buf.len());
        let feed = memchr::memchr(b'\n', &buf[from..]);
        if feed.is_none() {
            self.looked = buf.len();
        }
        feed.map(|feed| from + feed + 1)
    }

    /// No further line is whole. A row without its line end is not.
    fn rest(&mut self, buf: &[u8], end: bool) -> Frame {
        let is_at_line = !self.inside && self.lines > 0 && self.lines == buf.len();
        match self.state {
            State::Message if is_at_line && end => self.record(buf.len()),
            State::Message if is_at_line => Frame::Open { len: buf.len() },
            State::Message if end && starts(&buf[self.lines..]) => self.record(self.lines),
            State::Lost(reason) if end && !buf.is_empty() => self.damaged(buf.len(), reason, State::Fresh),
            State::Lost(reason) if self.half && buf.len() > DAMAGED_MAX => {
                self.damaged(DAMAGED_MAX, reason, self.state)
            }
            _ if end && !buf.is_empty() => self.damaged(buf.len(), NO_END, State::Fresh),
            _ => Frame::Incomplete,
        }
    }

    fn record(&mut self, len: usize) -> Frame {
        self.close();
        Frame::Record { len }
    }

    fn damaged(&mut self, len: usize, reason: &'static str, state: State) -> Frame {
        match state {
            State::Fresh => self.close(),
            state => {
                self.lines = self.lines.saturating_sub(len);
                self.looked = self.looked.saturating_sub(len);
                self.state = state;
            }
        }
        Frame::Damaged { len, reason }
    }
}

/// Where another row begins behind the first line of this one, as far as pgAudit's fields can be followed: no text in their quotes is a row.
pub(super) fn next_record(bytes: &[u8]) -> Option<usize> {
    let len = |at: usize| memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |feed| at + feed + 1);
    let mut at = len(0);
    let mut state = if bare::starts(bytes) { first_line(&bytes[..at]) } else { State::Line };
    let first = at;
    while at < bytes.len() {
        let line = &bytes[at..len(at)];
        match &mut state {
            State::Message if starts(line) => return Some(at),
            State::Fields { payload, .. } => match payload.scan(line) {
                Ok(None) => {}
                Ok(Some(_)) => state = State::Message,
                // Torn: whichever line looks like one.
                Err(()) => (state, at) = (State::Message, first - 1),
            },
            State::Line => return None,
            State::Message | State::Fresh | State::Lost(_) => {}
        }
        at = len(at);
    }
    None
}

/// What the row that begins with this line is.
fn first_line(line: &[u8]) -> State {
    debug_assert!(bare::starts(line));
    let Some(text) = Head::read(&line[..line.len().min(LINE_MAX)])
        .and_then(|head| line.get(head.len..))
        .filter(|text| is_payload(text))
    else {
        return State::Message;
    };
    let mut payload = Payload::default();
    match payload.scan(text) {
        Ok(None) => State::Fields { payload, start: None },
        Ok(Some(_)) => State::Message,
        Err(()) => State::Message,
    }
}
