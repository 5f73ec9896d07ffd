//! Oracle's traditional audit files, `*.aud` (`audit_trail = OS`, and always for SYS): a header, then blocks with a blank line between.
//!
//! Two shapes stand in one directory: of SYS with a field a line, `ACTION :[151] 'select …'`, of users with all fields on one line,
//! `SESSIONID:[10] "12354" …`. What is hard:
//!
//! - Statements have line ends, quotes and whatever looks like a field or like the next block. `[n]` is a value's length in bytes, and
//!   decides where it ends, in the framing too.
//! - The last block of a file that is still written may go on; a blank line ends it.

use memchr::memchr;

use super::{Row, syslog};
use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::scratch::Room;
use crate::{Parsed, Scratch, times};

/// How every file begins.
const HEADER: &[u8] = b"Audit file ";

/// Why a field is not whole.
pub(super) const CUT: &str = "the row was cut";

/// Names of fields are not longer.
const NAME_MAX: usize = 64;

/// Finds where blocks end.
#[derive(Debug, Clone, Default)]
pub struct AudFramer {
    /// All before this belongs to the block.
    at: usize,
    /// No line feed stands between `at` and this, where lines are read.
    looked: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// At a line that was not looked at yet.
    #[default]
    Fresh,
    /// In the header, up to the first block.
    Header,
    /// Behind the block's date: at a field or a blank line.
    Fields,
    /// At the quote that closes a value.
    Close(u8),
    /// In a block whose fields could not be read: up to the next one.
    Lines,
    /// In lines that belong to no block. `true`: the first of them began before the buffer.
    Lost(&'static str, bool),
}

impl AudFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        AudFramer { state: State::Lost("reading began inside a record", true), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        loop {
            let step = match self.state {
                State::Fields => self.field(buf, end),
                State::Close(quote) => self.close_value(buf, end, quote),
                _ => self.line(buf, end),
            };
            match step {
                Some(frame) => return frame,
                None => continue,
            }
        }
    }

    /// The caller took what [`Frame::Open`] told of.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        if len > self.at && matches!(self.state, State::Fields) {
            // A name that never ends.
            self.state = State::Lines;
        }
        self.at = self.at.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
    }

    fn record(&mut self, len: usize) -> Option<Frame> {
        self.close();
        Some(Frame::Record { len })
    }

    /// Looks at one field, or at what ends the block. `None`: go on.
    fn field(&mut self, buf: &[u8], end: bool) -> Option<Frame> {
        let rest = buf.get(self.at..).unwrap_or_default();
        let until = self.at;
        match rest {
            [] if end => return self.record(until),
            [] if until > 0 && buf.get(until - 1) == Some(&b'\n') => return Some(Frame::Open { len: until }),
            [] | [b'\r'] if !end => return Some(Frame::Incomplete),
            [b'\n', ..] => return self.record(until + 1),
            [b'\r', b'\n', ..] => return self.record(until + 2),
            _ => {}
        }
        match Head::read(rest) {
            Look::Is(head) => {
                self.at += head.value + head.len;
                self.state = State::Close(head.quote);
            }
            Look::Short if !end => return Some(Frame::Incomplete),
            Look::Short | Look::Not => {
                (self.state, self.looked) = (State::Lines, self.at);
            }
        }
        None
    }

    /// The value's length was right when a quote closes it; a blank or a line end follows.
    fn close_value(&mut self, buf: &[u8], end: bool, quote: u8) -> Option<Frame> {
        let rest = buf.get(self.at..).unwrap_or_default();
        let behind = match rest {
            [byte, ..] if *byte != quote => None,
            [_, b' ', b'\n', ..] => Some(3),
            [_, b' ' | b'\n', ..] => Some(2),
            [_, b'\r', b'\n', ..] => Some(3),
            [_] if end => Some(1),
            [] | [_] | [_, b'\r'] if !end => return Some(Frame::Incomplete),
            _ => None,
        };
        // A blank may be the last byte so far, and a line end follow it.
        if matches!(rest, [_, b' ']) && !end {
            return Some(Frame::Incomplete);
        }
        match behind {
            Some(len) => {
                self.at += len;
                self.state = State::Fields;
            }
            None => {
                self.at = self.at.min(buf.len());
                (self.state, self.looked) = (State::Lines, self.at);
            }
        }
        None
    }

    /// Looks at one line.
    fn line(&mut self, buf: &[u8], end: bool) -> Option<Frame> {
        let from = self.looked.max(self.at).min(buf.len());
        let feed = buf.get(from..).and_then(|rest| memchr(b'\n', rest)).map(|len| from + len + 1);
        let Some(line_end) = feed.or(Some(buf.len()).filter(|len| end && *len > self.at)) else {
            self.looked = buf.len();
            return Some(self.rest(buf, end));
        };
        let line = buf.get(self.at..line_end).unwrap_or_default();
        let (begins, from) = (is_date(line) || line.starts_with(HEADER), self.at);
        match self.state {
            State::Fresh if line.trim_ascii().is_empty() => return self.record(line_end),
            State::Fresh if is_date(line) => self.state = State::Fields,
            State::Fresh if line.starts_with(HEADER) => self.state = State::Header,
            State::Fresh => self.state = State::Lost("no record begins here", false),
            State::Header | State::Lines if begins && from > 0 => return self.record(from),
            State::Lost(reason, false) if begins && from > 0 => return Some(self.damaged(from, reason, State::Fresh)),
            State::Lost(reason, true) => self.state = State::Lost(reason, false),
            State::Lost(_, false) if begins => self.state = State::Fresh,
            _ => {}
        }
        if self.state != State::Fresh {
            (self.at, self.looked) = (line_end, line_end);
        }
        match self.state {
            State::Lost(reason, _) if self.at > DAMAGED_MAX => Some(self.damaged(DAMAGED_MAX, reason, self.state)),
            _ => None,
        }
    }

    /// No further line is whole.
    fn rest(&mut self, buf: &[u8], end: bool) -> Frame {
        let all = buf.len();
        match self.state {
            _ if all == 0 => Frame::Incomplete,
            State::Lost(reason, _) if end => self.damaged(all, reason, State::Fresh),
            State::Lost(reason, true) if all > DAMAGED_MAX => self.damaged(DAMAGED_MAX, reason, self.state),
            State::Header | State::Lines if end => {
                self.close();
                Frame::Record { len: all }
            }
            State::Header | State::Lines if self.at == all => Frame::Open { len: all },
            _ if end => self.damaged(all, NO_END, State::Fresh),
            _ => Frame::Incomplete,
        }
    }

    fn damaged(&mut self, len: usize, reason: &'static str, state: State) -> Frame {
        self.at = self.at.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
        if state == State::Fresh {
            self.close();
        }
        Frame::Damaged { len, reason }
    }
}

/// Does an audit file begin here?
pub(crate) fn opens(text: &[u8]) -> bool {
    let line = text.get(..memchr(b'\n', text).map_or(text.len(), |feed| feed + 1)).unwrap_or_default();
    let behind = text.get(line.len()..).unwrap_or_default();
    line.starts_with(HEADER) || (is_date(line) && behind.starts_with(b"LENGTH"))
}

/// `Wed Oct 21 11:58:08 2020 -04:00` and nothing else.
fn is_date(line: &[u8]) -> bool {
    date(line.trim_ascii_end()).is_some()
}

/// Month, day, clock, year and zone.
fn date(line: &[u8]) -> Option<[&[u8]; 5]> {
    const FORM: &[u8; 24] = b"Aaa Aaa 00 00:00:00 0000";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'0' => byte.is_ascii_digit() || *byte == b' ',
        form => byte == form,
    };
    let (stamp, zone) = line.split_at_checked(FORM.len())?;
    let is_zone = zone.is_empty() || (zone.starts_with(b" ") && zone.len() <= 8);
    if !is_zone || !stamp.iter().zip(FORM).all(fits) {
        return None;
    }
    Some([stamp.get(4..7)?, stamp.get(8..10)?, stamp.get(11..19)?, stamp.get(20..24)?, zone.trim_ascii()])
}

/// As records have it: `2020-10-21 11:58:08 -04:00`.
fn time<'a>(line: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let Some([name, day, clock, year, zone]) = date(line) else { return line };
    let Some(month) = MONTHS.chunks(3).zip(1..).find(|(month, _)| *month == name).map(|(_, number)| number) else {
        return line;
    };
    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).unwrap_or_default();
    let day = text(day).trim();
    let space = if zone.is_empty() { "" } else { " " };
    room.write(|out| {
        let mut left = &mut *out;
        let free = left.len();
        let parts = format_args!("{}-{month:02}-{day:0>2} {}{space}{}", text(year), text(clock), text(zone));
        // The room is sized for it.
        let _ = std::io::Write::write_fmt(&mut left, parts);
        free - left.len()
    })
}

/// What stands before a value: `NAME:[n] "`, `NAME :[n] '`; or all of `LENGTH : '392'`, as an empty value.
struct Head {
    name: usize,
    /// Where the value begins.
    value: usize,
    len: usize,
    quote: u8,
}

enum Look<T> {
    Is(T),
    Not,
    /// More bytes are needed.
    Short,
}

impl Head {
    fn read(text: &[u8]) -> Look<Head> {
        let near = text.get(..NAME_MAX).unwrap_or(text);
        let short = if text.len() < NAME_MAX { Look::Short } else { Look::Not };
        if near.starts_with(b"LENGTH") {
            return Head::length(near, short);
        }
        let stop = near.iter().position(|byte| matches!(byte, b'\n' | b'\'' | b'"' | b'['));
        let Some(bracket) = stop else { return short };
        if near.get(bracket) != Some(&b'[') || bracket == 0 || near.get(bracket - 1) != Some(&b':') {
            return Look::Not;
        }
        let digits = near.get(bracket + 1..).unwrap_or_default();
        let Some(count) = digits.iter().position(|byte| !byte.is_ascii_digit()) else { return short };
        let number = digits.get(..count).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
        match (number, digits.get(count..).unwrap_or_default()) {
            (Some(len), [b']', b' ', quote @ (b'\'' | b'"'), ..]) => {
                let value = bracket + 1 + count + 3;
                Look::Is(Head { name: bracket - 1, value, len: len as usize, quote: *quote })
            }
            (Some(_), [b']'] | [b']', b' ']) => short,
            _ => Look::Not,
        }
    }

    /// The length of what follows is no value of its own.
    fn length(near: &[u8], short: Look<Head>) -> Look<Head> {
        let feed = memchr(b'\n', near);
        let line = near.get(..feed.unwrap_or(near.len())).unwrap_or(near);
        let mut quotes = line.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\'' | b'"'));
        match (quotes.next(), quotes.next()) {
            (Some(_), Some((at, quote))) => Look::Is(Head { name: 6, value: at, len: 0, quote: *quote }),
            _ if feed.is_some() => Look::Not,
            _ => short,
        }
    }
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if frame.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    if frame.starts_with(HEADER) {
        return Parsed::Nothing { what: "the file's header" };
    }
    let unparsed = |reason| Parsed::Unparsed { reason, retry_at: next_record(frame) };
    let (line, rest) = frame.split_at(memchr(b'\n', frame).map_or(frame.len(), |feed| feed + 1));
    if !is_date(line) {
        return unparsed("no date at the start");
    }
    let mut room = scratch.room(3 * frame.len() + times::TIME_MAX);
    let mut row = Row { time: time(line.trim_ascii_end(), &mut room), ..Row::default() };
    let (_, text) = syslog::length(rest);
    match fields(&mut row, text.trim_ascii_end(), b'\'', &mut room) {
        Ok(()) if row.fields.is_empty() => unparsed("no field that Oracle writes"),
        Ok(()) => Parsed::Record(row.record(&mut room)),
        Err(reason) => unparsed(reason),
    }
}

/// Where a block begins behind the first byte.
pub(crate) fn next_record(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(b'\n', bytes.get(at..)?)? + 1;
        let rest = bytes.get(at..)?;
        let line = rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?;
        if is_date(line) && rest.get(line.len() + 1..).is_some_and(|behind| behind.starts_with(b"LENGTH")) {
            return Some(at);
        }
    }
}

/// Reads `NAME:[n] "value"` one after the other; `quote` is what stands around values whose length is wrong.
pub(super) fn fields<'a>(
    row: &mut Row<'a>,
    text: &'a [u8],
    quote: u8,
    room: &mut Room<'a>,
) -> Result<(), &'static str> {
    let mut rest = text;
    while !rest.is_empty() {
        let head = match Head::read(rest) {
            Look::Is(head) => head,
            Look::Short | Look::Not => {
                row.other.push(rest);
                return if rest.len() < NAME_MAX && !rest.contains(&quote) {
                    Err(CUT)
                } else {
                    Err("a field has no name and length")
                };
            }
        };
        let name = rest.get(..head.name).unwrap_or_default().trim_ascii_end();
        let value = rest.get(head.value..).unwrap_or_default();
        let len = Some(head.len).filter(|len| ends(value, *len, head.quote));
        let len = len.or_else(|| escaped_len(value, head.len, head.quote)).unwrap_or(usize::MAX);
        let Some((value, behind)) = value.split_at_checked(len) else {
            return cut_or_broken(row, name, value, head.len);
        };
        let raw = rest.get(..head.value + len + 1).unwrap_or(rest);
        let value = if value.len() == head.len { value } else { unescaped(value, room) };
        row.take(name, value, raw);
        rest = behind.get(1..).unwrap_or_default().trim_ascii_start();
    }
    Ok(())
}

/// The value's end is not there, or not where its length says.
fn cut_or_broken<'a>(row: &mut Row<'a>, name: &[u8], value: &'a [u8], len: usize) -> Result<(), &'static str> {
    if value.len() > len {
        return Err("a value is longer or shorter than its length says");
    }
    row.take(name, value, value);
    Err(CUT)
}

/// Whether a value of this length is closed, and the next field or nothing follows.
fn ends(value: &[u8], len: usize, quote: u8) -> bool {
    let Some((byte, behind)) = value.get(len..).and_then(<[u8]>::split_first) else { return false };
    let next = behind.trim_ascii_start();
    *byte == quote && (next.is_empty() || (next.len() < behind.len() && !matches!(Head::read(next), Look::Not)))
}

/// How long a value of `len` bytes is when the syslog daemon wrote control bytes as `#012`.
fn escaped_len(value: &[u8], len: usize, quote: u8) -> Option<usize> {
    let mut at = 0;
    for _ in 0..len {
        at += if control_at(value.get(at..)?).is_some() { 4 } else { 1 };
    }
    ends(value, at, quote).then_some(at)
}

/// The control byte that `#ooo` stands for.
fn control_at(text: &[u8]) -> Option<u8> {
    match text {
        [b'#', b'0', high @ b'0'..=b'3', low @ b'0'..=b'7', ..] => Some((high - b'0') * 8 + (low - b'0')),
        [b'#', b'1', b'7', b'7', ..] => Some(0x7f),
        _ => None,
    }
}

fn unescaped<'a>(value: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let (mut rest, mut len) = (value, 0);
        while let (Some(byte), Some(free)) = (rest.first(), out.get_mut(len)) {
            let control = control_at(rest);
            *free = control.unwrap_or(*byte);
            rest = rest.get(if control.is_some() { 4 } else { 1 }..).unwrap_or_default();
            len += 1;
        }
        len
    })
}
