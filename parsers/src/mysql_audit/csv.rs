//! Percona's audit_log as CSV: all columns in quotes but the status, without a header, as many of them as the kind of record has.
//!
//! What is hard: text in quotes is raw, line ends included, and only quotes are doubled. So a record is followed quote by quote. Its first
//! columns, `"Query","5_2026-11-20T20:31:42","2026-11-20T20:31:43 UTC"`, can stand in no text, where those quotes would be doubled: half a
//! record ends where another begins.

use memchr::memchr_iter;

use super::{Row, place};
use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::near;
use crate::quoted;
use crate::record::Parsed;
use crate::scratch::Scratch;
use crate::times::{TIME_MAX, fits};

/// A statement's columns, or a command's. The first versions wrote no database.
const COMMAND: [usize; 12] = [
    place::NAME,
    place::RECORD,
    place::TIMESTAMP,
    place::COMMAND_CLASS,
    place::CONNECTION_ID,
    place::STATUS,
    place::SQLTEXT,
    place::USER,
    place::HOST,
    place::OS_USER,
    place::IP,
    place::DB,
];

/// A connection's columns, likewise.
const CONNECTION: [usize; 12] = [
    place::NAME,
    place::RECORD,
    place::TIMESTAMP,
    place::CONNECTION_ID,
    place::STATUS,
    place::USER,
    place::PRIV_USER,
    place::OS_LOGIN,
    place::PROXY_USER,
    place::HOST,
    place::IP,
    place::DB,
];

/// The columns of the rows that say that auditing began or ended.
const AUDIT: [usize; 6] =
    [place::NAME, place::RECORD, place::TIMESTAMP, place::MYSQL_VERSION, place::STARTUP_OPTIONS, place::OS_VERSION];

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let unparsed = |reason| Parsed::Unparsed { reason, retry_at: next_record(frame) };
    let Some(columns) = Columns::split(frame) else { return unparsed("not the columns of an audit_log row") };
    let places: &[usize] = match (columns.count, columns.bare) {
        (11 | 12, Some(5)) => &COMMAND,
        (11 | 12, Some(4)) => &CONNECTION,
        (6, None) => &AUDIT,
        _ => return unparsed("not as many columns as an audit_log row has"),
    };
    let mut room = scratch.room(frame.len() + TIME_MAX);
    let mut row = Row::new();
    for (place, (raw, is_doubled)) in places.iter().zip(columns.columns) {
        let text = if is_doubled { quoted::unescape(raw, &mut room) } else { raw };
        row.put_back(*place, Some(text));
    }
    row.record(&mut room).map_or(unparsed("no name or no timestamp"), Parsed::Record)
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr_iter(b'"', frame).filter(|at| *at > 0).find(|at| opens(&frame[*at..], true) == Some(true))
}

/// One row's columns, still doubled.
struct Columns<'a> {
    columns: [(&'a [u8], bool); 12],
    count: usize,
    /// Which one has no quotes.
    bare: Option<usize>,
}

impl<'a> Columns<'a> {
    fn split(frame: &'a [u8]) -> Option<Self> {
        let mut rest = frame.strip_suffix(b"\n").unwrap_or(frame);
        rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        let mut found = Columns { columns: [(b"", false); 12], count: 0, bare: None };
        loop {
            let (column, behind) = match rest.strip_prefix(b"\"") {
                Some(text) => {
                    let (len, is_doubled) = quoted::end(text)?;
                    ((&text[..len], is_doubled), &text[len + 1..])
                }
                None => {
                    let len = near::find(b',', rest).unwrap_or(rest.len());
                    let is_only = found.bare.replace(found.count).is_none();
                    let is_number = !rest[..len].is_empty() && rest[..len].iter().all(|byte| is_in_number(*byte));
                    if !is_only || !is_number {
                        return None;
                    }
                    ((&rest[..len], false), &rest[len..])
                }
            };
            *found.columns.get_mut(found.count)? = column;
            found.count += 1;
            match behind {
                b"" => return Some(found),
                _ => rest = behind.strip_prefix(b",")?,
            }
        }
    }
}

fn is_in_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// Whether a record opens here: `"Query","5_2026-11-20T20:31:42","2026-11-20T20:31:43`. `None` when more bytes are needed.
pub(crate) fn opens(text: &[u8], end: bool) -> Option<bool> {
    let mut rest = text;
    for (max, fits) in [(48, is_name as fn(&[u8]) -> bool), (64, is_record), (64, is_time)] {
        let Some(column) = rest.strip_prefix(b"\"") else { return more(rest.is_empty(), end) };
        let Some(len) = near::find(b'"', &column[..column.len().min(max)]) else {
            return more(column.len() < max && fits_so_far(column, fits), end);
        };
        if !fits(&column[..len]) {
            return Some(false);
        }
        let Some(behind) = column[len + 1..].strip_prefix(b",") else { return more(column.len() == len + 1, end) };
        rest = behind;
    }
    Some(true)
}

fn more(is_short: bool, end: bool) -> Option<bool> {
    if is_short && !end { None } else { Some(false) }
}

/// Names are short: a few letters decide.
fn fits_so_far(column: &[u8], fits: fn(&[u8]) -> bool) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" _-:+.".contains(byte);
    column.iter().all(is_plain) || fits(column)
}

fn is_name(column: &[u8]) -> bool {
    column.first().is_some_and(u8::is_ascii_alphabetic)
        && column.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_'))
}

fn is_record(column: &[u8]) -> bool {
    let digits = column.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && fits(&column[digits..], b"_0000-00-00T00:00:00")
}

fn is_time(column: &[u8]) -> bool {
    fits(column, b"0000-00-00T00:00:00")
}

/// Finds the ends of rows. Looks at every byte once.
#[derive(Debug, Clone)]
pub struct RowFramer {
    at: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At a record's first byte.
    Head,
    /// Outside quotes; how many bytes of this column there were.
    Bare(usize),
    Inside,
    /// Behind a quote in quotes: the column's end, or half of two.
    Quote,
    /// Behind a carriage return that follows a column.
    CarriageReturn,
    Lost(&'static str),
}

/// A status is no longer.
const BARE_MAX: usize = 24;

/// What was found, if anything.
enum Step {
    Go,
    Whole(usize),
    MissingBytes,
}

impl RowFramer {
    /// A framer that enters the file at a record's first byte.
    pub(crate) fn new() -> Self {
        RowFramer { at: 0, place: Place::Head }
    }

    /// A framer that enters the file at an arbitrary byte.
    pub(crate) fn mid_file() -> Self {
        RowFramer { at: 0, place: Place::Lost("reading began inside a record") }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        self.at = self.at.min(buf.len());
        loop {
            let step = match self.place {
                Place::Head => self.head(buf, end),
                Place::Inside => self.inside(buf),
                Place::Lost(reason) => return self.look_for_record(buf, end, reason),
                _ => self.outside(buf),
            };
            match step {
                Step::Go => {}
                Step::Whole(len) => {
                    *self = Self::new();
                    return Frame::Record { len };
                }
                Step::MissingBytes if !end => return Frame::Incomplete,
                Step::MissingBytes => return self.rest(buf),
            }
        }
    }

    fn head(&mut self, buf: &[u8], end: bool) -> Step {
        match opens(buf, end) {
            Some(true) => self.place = Place::Bare(0),
            Some(false) => (self.at, self.place) = (1, Place::Lost("no record begins here")),
            None => return Step::MissingBytes,
        }
        Step::Go
    }

    fn inside(&mut self, buf: &[u8]) -> Step {
        let Some(len) = near::find(b'"', &buf[self.at..]) else {
            self.at = buf.len();
            return Step::MissingBytes;
        };
        (self.at, self.place) = (self.at + len + 1, Place::Quote);
        Step::Go
    }

    fn outside(&mut self, buf: &[u8]) -> Step {
        let Some(&byte) = buf.get(self.at) else { return Step::MissingBytes };
        self.place = match (self.place, byte) {
            (Place::Quote | Place::Bare(1..) | Place::CarriageReturn, b'\n') => return Step::Whole(self.at + 1),
            (Place::Quote | Place::Bare(0), b'"') => Place::Inside,
            (Place::Quote | Place::Bare(1..), b',') => Place::Bare(0),
            (Place::Quote | Place::Bare(1..), b'\r') => Place::CarriageReturn,
            (Place::Bare(len), byte) if is_in_number(byte) && len < BARE_MAX => Place::Bare(len + 1),
            // Another record may begin with the quote.
            (Place::Quote, _) => {
                return self.lose(self.at.saturating_sub(1).max(1), "a quote stands where none can stand");
            }
            _ => return self.lose(self.at, "a column is neither in quotes nor a number"),
        };
        self.at += 1;
        Step::Go
    }

    fn lose(&mut self, at: usize, reason: &'static str) -> Step {
        (self.at, self.place) = (at, Place::Lost(reason));
        Step::Go
    }

    /// The file is over. What ends with a quote may be whole without its line feed.
    fn rest(&mut self, buf: &[u8]) -> Frame {
        let is_whole = matches!(self.place, Place::Quote | Place::CarriageReturn) && Columns::split(buf).is_some();
        *self = Self::new();
        match is_whole {
            true => Frame::Record { len: buf.len() },
            false => Frame::Damaged { len: buf.len(), reason: NO_END },
        }
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.at = self.at.saturating_sub(len);
    }

    /// No record opens before `at`.
    fn look_for_record(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let mut start = None;
        while let Some(len) = near::find(b'"', &buf[self.at..]) {
            self.at += len;
            start = opens(&buf[self.at..], end);
            if start != Some(false) {
                break;
            }
            self.at += 1;
        }
        let is_found = start == Some(true);
        if start == Some(false) || near::find(b'"', &buf[self.at..]).is_none() {
            self.at = buf.len();
        }
        if self.at > DAMAGED_MAX {
            (self.at, self.place) = (self.at - DAMAGED_MAX, Place::Lost(reason));
            return Frame::Damaged { len: DAMAGED_MAX, reason };
        }
        if !is_found && !end {
            self.place = Place::Lost(reason);
            return Frame::Incomplete;
        }
        let len = self.at;
        *self = Self::new();
        if len == 0 { self.next(buf, end) } else { Frame::Damaged { len, reason } }
    }
}
