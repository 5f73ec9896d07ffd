//! Finds the ends of csvlog records in a file that is read piece by piece, and the next true start after damage.
//!
//! Owns two states. *Reading*: the strict grammar of what the server writes, from a byte at which a record starts.
//! *Lost*: some bytes did not fit it, and only [`super::opening`] can say where a record starts again. Both remember
//! how far they have looked.
//!
//! No decision rests on where the buffer ends: where bytes are missing to decide, the answer is `Incomplete`. So the
//! frames do not depend on how the file was cut into pieces.

use super::opening::{self, Found, Look};
use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::{near, quoted};

/// The framer of [`crate::Format::PostgresCsvlog`].
///
/// A record starts with a time, ends at a line feed outside quotes, and has quotes only around whole columns. What
/// does not fit is handed out as damaged up to the next true record start, at most [`DAMAGED_MAX`] bytes at a time.
#[derive(Debug, Clone)]
pub struct CsvFramer {
    state: State,
}

/// The longest stretch without a quote or line feed outside quotes: all columns that stand there are short.
const BARE_MAX: usize = 4 * 1024;

#[derive(Debug, Clone)]
enum State {
    Reading(Scan),
    Lost {
        /// No record opens before this position.
        looked: usize,
        reason: &'static str,
    },
}

/// How far the record at the start of the buffer has been looked at.
#[derive(Debug, Clone)]
struct Scan {
    at: usize,
    place: Place,
    /// Where the stretch outside or inside quotes began.
    stretch: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the record's first byte.
    Head,
    /// After a comma.
    ColumnStart,
    /// In a column without quotes.
    Bare,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the end of the column, or half an escaped quote.
    Quote,
    /// After a carriage return behind a closing quote.
    CarriageReturn,
}

enum Step {
    Whole { len: usize },
    Broken(&'static str),
    MissingBytes,
}

impl Default for CsvFramer {
    fn default() -> Self {
        CsvFramer { state: State::at_record() }
    }
}

impl CsvFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        CsvFramer { state: State::Lost { looked: 0, reason: "reading began inside a record" } }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        if let State::Reading(scan) = &mut self.state {
            let reason = match scan.go(buf, end) {
                Step::Whole { len } => {
                    *scan = Scan::default();
                    return Frame::Record { len };
                }
                Step::MissingBytes if !end => return Frame::Incomplete,
                Step::MissingBytes => NO_END,
                Step::Broken(reason) => reason,
            };
            self.state = State::Lost { looked: 1, reason };
        }
        self.look_for_record(buf, end)
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        match &mut self.state {
            State::Reading(scan) => scan.discard(len),
            State::Lost { looked, .. } => *looked = looked.saturating_sub(len),
        }
    }

    fn look_for_record(&mut self, buf: &[u8], end: bool) -> Frame {
        let State::Lost { looked, reason } = self.state else { return Frame::Incomplete };
        let found = opening::find(buf, looked, end);
        let (Found::At(len) | Found::NotBefore(len)) = found;
        if len > DAMAGED_MAX {
            self.state = State::Lost { looked: len - DAMAGED_MAX, reason };
            return Frame::Damaged { len: DAMAGED_MAX, reason };
        }
        if matches!(found, Found::NotBefore(_)) && !end {
            self.state = State::Lost { looked: len, reason };
            return Frame::Incomplete;
        }
        self.state = State::at_record();
        if len == 0 { self.next(buf, end) } else { Frame::Damaged { len, reason } }
    }
}

impl State {
    fn at_record() -> Self {
        State::Reading(Scan::default())
    }
}

impl Default for Scan {
    fn default() -> Self {
        Scan { at: 0, place: Place::Head, stretch: 0 }
    }
}

impl Scan {
    fn go(&mut self, buf: &[u8], end: bool) -> Step {
        // A caller that breaks the contract and shows fewer bytes than before gets wrong frames, but no panic.
        self.at = self.at.min(buf.len());
        self.stretch = self.stretch.min(self.at);
        loop {
            let step = match self.place {
                Place::Head => self.head(buf),
                Place::ColumnStart | Place::Bare => self.bare(buf),
                Place::Quoted => self.quoted(buf),
                Place::Quote => self.after_quote(buf, end),
                Place::CarriageReturn => self.after_carriage_return(buf),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn head(&mut self, buf: &[u8]) -> Option<Step> {
        match opening::head(buf) {
            Look::Is(len) => self.column_start(len),
            Look::Not => Some(Step::Broken("no record begins here")),
            Look::Short => Some(Step::MissingBytes),
        }
    }

    fn bare(&mut self, buf: &[u8]) -> Option<Step> {
        let limit = buf.len().min(self.stretch + BARE_MAX);
        let Some(len) = near::find2(b'"', b'\n', &buf[self.at..limit]) else { return Some(self.bare_on(buf, limit)) };
        let found = self.at + len;
        if buf[found] == b'\n' {
            return Some(Step::Whole { len: found + 1 });
        }
        let opens = if len == 0 { self.place == Place::ColumnStart } else { buf[found - 1] == b',' };
        if !opens {
            return Some(Step::Broken("a quote stands where none can stand"));
        }
        (self.at, self.place, self.stretch) = (found + 1, Place::Quoted, found + 1);
        None
    }

    fn bare_on(&mut self, buf: &[u8], limit: usize) -> Step {
        if limit - self.stretch == BARE_MAX {
            return Step::Broken("too many bytes without quotes");
        }
        if limit > self.at {
            self.place = if buf[limit - 1] == b',' { Place::ColumnStart } else { Place::Bare };
            self.at = limit;
        }
        Step::MissingBytes
    }

    /// The server's strings end at a NUL, so that it never writes one: zeros are what a power cut leaves.
    fn quoted(&mut self, buf: &[u8]) -> Option<Step> {
        match near::find2(b'"', 0, &buf[self.at..]) {
            Some(len) if buf[self.at + len] == 0 => Some(Step::Broken("a NUL byte stands in it")),
            Some(len) => {
                let run = quoted::run(&buf[self.at + len..]);
                if run == 1 && self.closes_plainly(buf, self.at + len) {
                    return self.column_start(self.at + len + 2);
                }
                self.at += len + run;
                self.place = if run % 2 == 1 { Place::Quote } else { Place::Quoted };
                None
            }
            None => {
                self.at = buf.len();
                Some(Step::MissingBytes)
            }
        }
    }

    /// Whether the quote at `quote` closes its column and another follows, and nothing before it looks like the end of a head: what
    /// [`Scan::after_quote`] finds in most columns.
    fn closes_plainly(&self, buf: &[u8], quote: usize) -> bool {
        let text_ends = buf[self.stretch..quote].last().is_none_or(|last| !matches!(last, b',' | b'"'));
        text_ends && buf.get(quote + 1) == Some(&b',')
    }

    fn after_quote(&mut self, buf: &[u8], end: bool) -> Option<Step> {
        match buf.get(self.at) {
            None => return Some(Step::MissingBytes),
            Some(b'"') => {
                (self.at, self.place) = (self.at + 1, Place::Quoted);
                return None;
            }
            Some(b',' | b'\n' | b'\r') => {}
            Some(_) => return Some(Step::Broken("a quote stands where none can stand")),
        }
        match opening::opening_before(buf, self.stretch, self.at.saturating_sub(1)) {
            Look::Is(()) => Some(Step::Broken("another record begins inside its quotes")),
            Look::Short if !end => Some(Step::MissingBytes),
            Look::Short | Look::Not => self.close(buf),
        }
    }

    fn close(&mut self, buf: &[u8]) -> Option<Step> {
        match buf[self.at] {
            b',' => self.column_start(self.at + 1),
            b'\n' => Some(Step::Whole { len: self.at + 1 }),
            _ => {
                (self.at, self.place) = (self.at + 1, Place::CarriageReturn);
                None
            }
        }
    }

    fn after_carriage_return(&mut self, buf: &[u8]) -> Option<Step> {
        Some(match buf.get(self.at) {
            None => Step::MissingBytes,
            Some(b'\n') => Step::Whole { len: self.at + 1 },
            Some(_) => Step::Broken("a quote stands where none can stand"),
        })
    }

    fn column_start(&mut self, at: usize) -> Option<Step> {
        (self.at, self.place, self.stretch) = (at, Place::ColumnStart, at);
        None
    }

    fn discard(&mut self, len: usize) {
        self.at = self.at.saturating_sub(len);
        self.stretch = self.stretch.saturating_sub(len);
    }
}
