//! SQL Server's error log, on Linux `/var/opt/mssql/log/errorlog`: UTF-16 with a byte order mark, a time at each entry, none at its further
//! lines.
//!
//! It tells of logins and failed logins, with the client's address, and of the server's own doings. What is hard:
//!
//! - Line feeds are two bytes, and the same two bytes stand across characters: only those at a character's place count.
//! - An entry has no end: the last one is whole when nothing follows it.
//! - A login's name is the client's choice, before any password, and is not escaped: it may imitate an entry. So every row carries the
//!   flag `forgeable`.
//! - Times are the server's local time, without a zone.

use memchr::memmem;

use crate::frame::{DAMAGED_MAX, Frame};
use crate::record::{Act, Client, Record, Status, Value};
use crate::scratch::Room;
use crate::{Parsed, Scratch};

const BYTE_ORDER_MARK: &[u8] = b"\xff\xfe";

/// `2026-11-20 20:28:31.13 `, in bytes of UTF-16.
const STAMP: usize = 2 * FORM.len();

const FORM: &[u8; 20] = b"0000-00-00 00:00:00.";

/// Finds where entries end. Every line is looked at once.
#[derive(Debug, Clone, Default)]
pub struct ErrorlogFramer {
    /// A line begins here that was not looked at yet.
    line: usize,
    /// No line feed stands between `line` and this.
    looked: usize,
    /// The buffer begins with a character's second byte.
    odd: bool,
    /// An entry's first line was seen.
    inside: bool,
    lost: Option<&'static str>,
}

impl ErrorlogFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        ErrorlogFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if let Some(reason) = self.lost {
            return self.look_for_entry(buf, end, reason);
        }
        if !self.inside && buf.len() >= STAMP + BYTE_ORDER_MARK.len() && !starts(buf) {
            return self.lose(buf, end);
        }
        while let Some(line_end) = self.line_end(buf, end) {
            let starts = starts(buf.get(self.line..line_end).unwrap_or_default());
            match (self.inside, starts) {
                (true, true) => return self.record(self.line),
                (false, false) => return self.lose(buf, end),
                _ => self.inside = true,
            }
            (self.line, self.looked) = (line_end, line_end);
        }
        match (self.inside && self.line == buf.len() && self.line > 0, end) {
            (true, true) => self.record(buf.len()),
            (true, false) => Frame::Open { len: self.line },
            (false, _) => Frame::Incomplete,
        }
    }

    fn lose(&mut self, buf: &[u8], end: bool) -> Frame {
        (self.lost, self.looked) = (Some("no record begins here"), 0);
        self.next(buf, end)
    }

    /// The caller took what [`Frame::Open`] told of.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.odd ^= len % 2 == 1;
        self.line = self.line.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
    }

    fn record(&mut self, len: usize) -> Frame {
        self.close();
        Frame::Record { len }
    }

    /// Behind the next line feed at a character's place.
    fn line_end(&mut self, buf: &[u8], end: bool) -> Option<usize> {
        while let Some(feed) = buf.get(self.looked..).and_then(|rest| memmem::find(rest, b"\n\0")) {
            let at = self.looked + feed;
            if (at % 2 == 1) == self.odd {
                return Some(at + 2);
            }
            self.looked = at + 1;
        }
        // The first half of a line feed may be the last byte.
        self.looked = self.looked.max(buf.len().saturating_sub(1));
        (end && self.line < buf.len()).then_some(buf.len())
    }

    /// An entry begins behind a line feed, wherever characters begin here.
    fn look_for_entry(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        while let Some(feed) = buf.get(self.looked..).and_then(|rest| memmem::find(rest, b"\n\0")) {
            let at = self.looked + feed;
            let behind = buf.get(at + 2..).unwrap_or_default();
            if behind.len() < STAMP + BYTE_ORDER_MARK.len() && !end {
                self.looked = at;
                return self.wait(reason);
            }
            if starts(behind) {
                *self = Self::default();
                return Frame::Damaged { len: at + 2, reason };
            }
            self.looked = at + 1;
        }
        if end && !buf.is_empty() {
            *self = Self::default();
            return Frame::Damaged { len: buf.len(), reason };
        }
        self.looked = self.looked.max(buf.len().saturating_sub(1));
        self.wait(reason)
    }

    fn wait(&mut self, reason: &'static str) -> Frame {
        if self.looked <= DAMAGED_MAX {
            return Frame::Incomplete;
        }
        self.looked -= DAMAGED_MAX;
        Frame::Damaged { len: DAMAGED_MAX, reason }
    }
}

/// Whether a time stands at the start of a line.
fn starts(line: &[u8]) -> bool {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let fits = |(unit, form): (&[u8], &u8)| match unit {
        [byte, 0] if *form == b'0' => byte.is_ascii_digit(),
        [byte, 0] => byte == form,
        _ => false,
    };
    line.len() >= STAMP && line.chunks(2).zip(FORM).all(fits)
}

/// Does such a log begin here?
pub(crate) fn opens(head: &[u8]) -> bool {
    head.starts_with(BYTE_ORDER_MARK) && starts(head)
}

/// Where an entry begins behind the first byte.
pub(crate) fn next_record(bytes: &[u8]) -> Option<usize> {
    let mut feeds = memmem::find_iter(bytes, b"\n\0").map(|feed| feed + 2);
    feeds.find(|line| line % 2 == 0 && bytes.get(*line..).is_some_and(starts))
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if !starts(frame) {
        return Parsed::Unparsed { reason: "no time at the start", retry_at: next_record(frame) };
    }
    let mut room = scratch.room(2 * frame.len());
    let text = decoded(frame.strip_prefix(BYTE_ORDER_MARK).unwrap_or(frame), &mut room);
    // Digits, and a blank behind them.
    let stamp = FORM.len() + text.iter().skip(FORM.len()).take_while(|byte| byte.is_ascii_digit()).count();
    let (time, rest) = text.split_at(stamp.min(text.len()));
    let rest = rest.trim_ascii();
    let (source, message) = rest.split_at(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()));
    let mut record = Record { time, ..Record::default() };
    record.extra.push(("source", Value::Text(source)));
    take_message(&mut record, message.trim_ascii_start());
    record.flags.push("forgeable");
    Parsed::Record(record)
}

/// From UTF-16: three bytes of UTF-8 for two at most.
fn decoded<'a>(bytes: &[u8], room: &mut Room<'a>) -> &'a [u8] {
    let units = bytes.chunks_exact(2).map(|unit| unit.first_chunk().map_or(0, |unit| u16::from_le_bytes(*unit)));
    room.write(|out| {
        let mut len = 0;
        for char in char::decode_utf16(units) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            let Some(free) = out.get_mut(len..).filter(|free| free.len() >= char.len_utf8()) else { break };
            len += char.encode_utf8(free).len();
        }
        len
    })
}

/// Logins by the server's words, which it writes in English on Linux.
fn take_message<'a>(record: &mut Record<'a>, message: &'a [u8]) {
    let client = client(message);
    if let Some(name) = message.strip_prefix(b"Login failed for user '") {
        record.act = Act::LoginFailed;
        record.status = Status::Failure;
        record.user = until_last(name, b"'. Reason: ").or_else(|| until_last(name, b"'."));
        record.client = client;
        record.error_code = Some(b"18456");
        record.error_message = Some(message);
        return;
    }
    if let Some(name) = message.strip_prefix(b"Login succeeded for user '") {
        record.act = Act::Login;
        record.status = Status::Success;
        record.user = until_last(name, b"'. Connection").or_else(|| until_last(name, b"'."));
        record.client = client;
    } else if let Some(rest) = message.strip_prefix(b"Error: ") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        record.error_code = rest.get(..digits).filter(|digits| !digits.is_empty());
    }
    record.extra.push(("message", Value::Text(message)));
}

/// What stands before the last place where `end` stands: a name may hold it too.
fn until_last<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    text.get(..memmem::rfind(text, end)?)
}

/// `[CLIENT: 10.0.0.7]` at the message's end.
fn client(message: &[u8]) -> Client<'_> {
    const BEFORE: &[u8] = b"[CLIENT: ";
    let at = memmem::rfind(message, BEFORE).map(|at| at + BEFORE.len());
    let address = at.and_then(|at| message.get(at..)).and_then(|rest| rest.strip_suffix(b"]"));
    let address = address.map(|address| if address == b"<local machine>" { &b"[local]"[..] } else { address });
    Client { address, ..Client::default() }
}
