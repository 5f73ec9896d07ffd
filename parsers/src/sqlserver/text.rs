//! Event 33205 of the Windows log as plain text: `key:value` lines in a fixed order.
//!
//! Collectors write the event's text to a file, each behind a header of their own or none, or on one line with blanks for line ends.
//! What is hard:
//!
//! - Nothing is escaped. A statement has line ends, and lines that look like keys. Keys before the statement are read from the front, in
//!   their order; those behind it from the end, backwards: so a statement takes with it whatever it imitates.
//! - A statement can also imitate the beginning of another event. Nothing in the file tells it from a true one, so every row of a file
//!   of plain text carries the flag `forgeable`. In a collector's JSON the event's bounds are certain, and only texts with more than one
//!   reading are flagged.

use std::sync::Arc;

use memchr::{memchr, memmem, memrchr};

use super::{ADDITIONAL_INFORMATION, COLUMNS, Row, STATEMENT, column, room_len};
use crate::blocks::{BlockFramer, Opens, Starts};
use crate::scratch::Room;
use crate::{Parsed, Scratch};

/// How the event's text begins, in every version but the first.
const FIRST: &[u8] = b"audit_schema_version:";

/// Windows writes this before it.
const TITLE: &[u8] = b"Audit event: ";

/// SQL Server 2008 has no schema version.
const FIRST_OF_2008: &[u8] = b"event_time:";

/// Events begin where their text does, whatever a collector wrote before it on that line.
#[derive(Debug)]
struct Begins;

impl Starts for Begins {
    fn starts(&self, line: &[u8]) -> Opens {
        begin(line).is_some().into()
    }
}

/// Finds where events end.
pub(crate) fn framer() -> BlockFramer {
    BlockFramer::new(Arc::new(Begins))
}

/// The same, for a file that is entered at an arbitrary byte.
pub(crate) fn framer_mid_file() -> BlockFramer {
    BlockFramer::mid_file(Arc::new(Begins))
}

/// Does an event begin in the first line?
pub(crate) fn opens(text: &[u8]) -> bool {
    let line = text.get(..memchr(b'\n', text).unwrap_or(text.len())).unwrap_or_default();
    begin(line).is_some()
}

/// Where an event begins in a line.
fn begin(line: &[u8]) -> Option<usize> {
    if line.starts_with(FIRST) {
        return Some(0);
    }
    let title = memmem::find(line, TITLE)? + TITLE.len();
    let text = line.get(title..)?;
    (text.starts_with(FIRST) || text.starts_with(FIRST_OF_2008)).then_some(title)
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut room = scratch.room(room_len(frame));
    match read(frame, &mut room) {
        Ok(row) => super::parsed(row, &mut room),
        Err(reason) => Parsed::Unparsed { reason, retry_at: None },
    }
}

/// See [`crate::assemble`].
pub(crate) fn assemble<'a>(frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    super::assemble(read, frames, complete, scratch)
}

/// Where an event begins behind the first byte, at a line.
pub(crate) fn next_record(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(feed) = bytes.get(at..).and_then(|rest| memchr(b'\n', rest)) {
        at += feed + 1;
        let rest = bytes.get(at..)?;
        let line = rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?;
        if begin(line).is_some() {
            return Some(at);
        }
    }
    None
}

fn read<'a>(frame: &'a [u8], _: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
    let begin = begin(frame).ok_or("no audit event begins here")?;
    let (header, text) = frame.split_at(begin);
    // The event viewer's tables have it in quotes.
    let is_quoted = header.strip_suffix(TITLE).unwrap_or(header).ends_with(b"\"");
    let text = if is_quoted { text.trim_ascii_end().strip_suffix(b"\"").unwrap_or(text) } else { text };
    let mut row = event(text)?;
    row.is_forgeable = true;
    let header = header.strip_suffix(TITLE).unwrap_or(header);
    if row.other.is_none() {
        row.other = Some(header.trim_ascii()).filter(|header| !header.is_empty());
    } else if !header.trim_ascii().is_empty() {
        row.other = Some(frame);
    }
    Ok(row)
}

/// Reads an event's text.
pub(super) fn event(text: &[u8]) -> Result<Row<'_>, &'static str> {
    let text = text.strip_prefix(TITLE).unwrap_or(text);
    let (mut row, mut near) = (Row::default(), 0);
    let between = separator(text)?;
    let mut reader = Reader { text, between, at: 0 };
    // The key whose value goes on, and where it began.
    let mut open: Option<(usize, usize)> = None;
    while let Some((begin, key, value)) = reader.key(near) {
        if let Some((key, from)) = open {
            row.take(key, text.get(from..begin).unwrap_or_default(), between);
        }
        open = Some((key, value));
        near = key + 1;
        if key == STATEMENT {
            break;
        }
    }
    match open {
        Some((STATEMENT, from)) => behind_statement(&mut row, text, from, between),
        Some((key, from)) => row.last(key, text, from),
        None => return Err("no key of an audit event"),
    }
    match row.missing() {
        Some(reason) => Err(reason),
        None => Ok(row),
    }
}

/// What stands between two keys: a line feed, or a blank where a collector made one line of the event.
fn separator(text: &[u8]) -> Result<&'static [u8], &'static str> {
    let key = if text.starts_with(FIRST) { FIRST_OF_2008 } else { b"sequence_number:" };
    let at = memmem::find(text, key).ok_or("the event has no second key")?;
    match text.get(..at).unwrap_or_default() {
        [.., b'\r', b'\n'] => Ok(b"\r\n"),
        [.., b'\n'] => Ok(b"\n"),
        [.., b' '] => Ok(b" "),
        _ => Err("the event's keys are neither on lines nor between blanks"),
    }
}

fn last_byte(between: &[u8]) -> u8 {
    between.last().copied().unwrap_or(b'\n')
}

struct Reader<'a> {
    text: &'a [u8],
    between: &'static [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next key at the start of a line that may follow: where it begins, which it is, and where its value begins.
    fn key(&mut self, near: usize) -> Option<(usize, usize, usize)> {
        loop {
            let begin = self.at;
            let rest = self.text.get(begin..).filter(|rest| !rest.is_empty())?;
            self.at = begin + memchr(last_byte(self.between), rest).map_or(rest.len(), |len| len + 1);
            if let Some((key, len)) = key_at(rest, near).filter(|(key, _)| *key >= near && *key <= STATEMENT) {
                return Some((begin, key, begin + len));
            }
        }
    }
}

/// The key that stands at the start, and its length with the colon.
fn key_at(text: &[u8], near: usize) -> Option<(usize, usize)> {
    const KEY_MAX: usize = 40;
    let colon = memchr(b':', text.get(..KEY_MAX).unwrap_or(text))?;
    let key = column(text.get(..colon)?, near).filter(|key| *key < COLUMNS.len() - 2)?;
    Some((key, colon + 1))
}

/// Reads the keys behind the statement backwards: each must come before the one behind it in the order.
fn behind_statement<'a>(row: &mut Row<'a>, text: &'a [u8], from: usize, between: &[u8]) {
    let (mut end, mut before, mut line_end) = (text.len(), COLUMNS.len(), text.len());
    while let Some(line) =
        text.get(from..line_end).and_then(|rest| memrchr(last_byte(between), rest)).map(|at| from + at + 1)
    {
        if let Some((key, len)) = text.get(line..).and_then(|rest| key_at(rest, before.saturating_sub(1)))
            && key > STATEMENT
        {
            if key < before {
                match end == text.len() {
                    true => row.last(key, text, line + len),
                    false => row.take(key, text.get(line + len..end).unwrap_or_default(), between),
                }
                (end, before) = (line, key);
            } else {
                // The statement, or a text behind it, imitates a key.
                row.is_forgeable = true;
            }
        }
        line_end = line - 1;
    }
    row.is_forgeable |= before != ADDITIONAL_INFORMATION;
    row.take(STATEMENT, text.get(from..end).unwrap_or_default(), between);
}

impl<'a> Row<'a> {
    /// A value with what stands between it and the next key.
    fn take(&mut self, column: usize, value: &'a [u8], between: &[u8]) {
        let value = value.strip_suffix(between).unwrap_or(value);
        // Names have no line ends.
        self.is_forgeable |= column < STATEMENT && value.contains(&b'\n');
        self.set(column, value);
    }

    /// The last value ends with its line; what a collector wrote behind it is kept.
    fn last(&mut self, column: usize, text: &'a [u8], from: usize) {
        let value = text.get(from..).unwrap_or_default();
        let (line, behind) = value.split_at(memchr(b'\n', value).map_or(value.len(), |feed| feed + 1));
        self.take(column, line.trim_ascii_end(), b"");
        let behind = behind.trim_ascii();
        if !matches!(behind, b"" | b"." | b"\"") {
            self.other = Some(behind);
        }
    }
}
