//! PostgreSQL's log as syslog wrote it to a file: a header, `[n-m]`, and a chunk of what stderr would have.
//!
//! The server numbers a process's rows (`n`) and the chunks of each (`m`), at most 900 bytes long and never with a line end inside. A row is
//! the chunks of one host, program, process and number, put together again and read as [`crate::postgres_stderr`] reads it. What is hard:
//!
//! - Where two chunks meet, a line end was taken out, or nothing. A tab at a chunk's start, which syslog daemons write as `#011`,
//!   follows a line end; so does anything else that would still have fitted into the chunk before.
//! - Chunks of several processes stand in any order, and some are lost: a gap in `m` is told in the flags, a row without its first
//!   chunk is none.
//! - Daemons write control characters as `#` and three digits, and `#` as it is: that is not undone.
//! - Headers of RFC 3164 have no year and no zone. The prefix should have `%m`.
//!
//! A user name with a line end cannot forge a row here: what the server wrote as one row has one number.

use memchr::{memchr, memmem};

use crate::lines::Rules;
use crate::postgres_prefix::Prefix;
use crate::postgres_stderr::{Group, Outside, starts_entry};
use crate::record::{Piece, Record, Value};
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch, times};

/// A daemon ends every line that it has written.
pub(crate) const LINES: Rules =
    Rules { begins: |byte| byte == b'<' || byte.is_ascii_alphanumeric(), start: b"", is_whole: |_| false };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if frame.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    let Some(line) = Line::read(frame) else {
        return Parsed::Unparsed { reason: "no syslog header of a program with a process id", retry_at: None };
    };
    match line.count {
        Count::Chunk { row, number } => Parsed::Piece(Piece { writer: line.writer, row, number, is_last: None }),
        Count::Row | Count::None => whole(dialect, &line, scratch),
    }
}

/// Puts the chunks of a row together. See [`crate::assemble`].
pub(crate) fn assemble<'a>(dialect: &Dialect, frames: &[&'a [u8]], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut lines: Vec<Line<'a>> = frames.iter().filter_map(|frame| Line::read(frame)).collect();
    lines.sort_by_key(Line::number);
    let Some(first) = lines.first().copied() else { return Parsed::Nothing { what: "no chunk" } };
    if first.number() > 1 {
        return Parsed::Unparsed { reason: "the first chunk of the row is missing", retry_at: None };
    }
    let is_gap = |pair: &[Line<'_>]| matches!(pair, [one, next] if next.number() > one.number() + 1);
    let is_incomplete = lines.windows(2).any(is_gap);
    let len: usize = frames.iter().map(|frame| frame.len()).sum();
    let mut room = scratch.room(3 * len + 256);
    let text = room.write(|out| join(&lines, out));
    read(dialect, &first, text, is_incomplete, &mut room)
}

/// A row in one line: the server was told not to split.
fn whole<'a>(dialect: &Dialect, line: &Line<'a>, scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut room = scratch.room(3 * line.text.len() + 256);
    let text = match memmem::find(line.text, FEED) {
        Some(_) => room.write(|out| unfold(dialect.prefix.as_deref(), line.text, out)),
        None => line.text,
    };
    read(dialect, line, text, false, &mut room)
}

fn read<'a>(
    dialect: &Dialect,
    line: &Line<'a>,
    text: &'a [u8],
    is_incomplete: bool,
    room: &mut Room<'a>,
) -> Parsed<'a> {
    let Some((group, len)) = Group::read_row(dialect.prefix.as_deref(), text) else {
        return Parsed::Unparsed {
            reason: "this does not begin as log_line_prefix says: another program's, or one without its number",
            retry_at: None,
        };
    };
    if len < text.len() {
        return Parsed::Unparsed { reason: "what the server wrote as one row looks like several", retry_at: None };
    }
    let outside = Outside { time: Some(line.time(room)), pid: line.pid() };
    let mut record = group.record(&outside, room);
    if is_incomplete {
        record.flags.push("incomplete");
    }
    line.add_extra(&mut record, &group);
    Parsed::Record(record)
}

/// One line of the file.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    priority: Option<i64>,
    time: &'a [u8],
    /// The time is RFC 3339.
    is_dated: bool,
    host: Option<&'a [u8]>,
    program: &'a [u8],
    process: &'a [u8],
    /// Host, program and process as they stand.
    writer: &'a [u8],
    count: Count,
    /// What the server wrote.
    text: &'a [u8],
}

/// What stands in the brackets before the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// `[n-m]`.
    Chunk {
        row: u64,
        number: u32,
    },
    /// `[n]`.
    Row,
    None,
}

impl<'a> Line<'a> {
    fn read(frame: &'a [u8]) -> Option<Self> {
        let line = frame.strip_suffix(b"\n").unwrap_or(frame);
        let (priority, rest) = priority(line);
        if let Some(rest) = rest.strip_prefix(b"1 ").filter(|_| priority.is_some()) {
            return Self::modern(priority, rest);
        }
        let (time, is_dated, rest) = match stamp(rest) {
            Some(len) => (&rest[..len], false, rest.get(len + 1..)?),
            None => {
                let (time, rest) = word(rest)?;
                (is_date(time)).then_some((time, true, rest))?
            }
        };
        let (first, behind) = word(rest)?;
        let is_tag = first.last() == Some(&b':');
        let (host, tag, text) = match is_tag {
            true => (None, first, behind),
            false => word(behind).map(|(tag, text)| (Some(first), tag, text))?,
        };
        let (program, process) = split_tag(tag.strip_suffix(b":")?)?;
        let writer = &rest[..host.map_or(0, |host| host.len() + 1) + tag.len() - 1];
        let (count, text) = count(text);
        Some(Line { priority, time, is_dated, host, program, process, writer, count, text })
    }

    /// RFC 5424: `2026-11-20T20:28:31.123Z host postgres 17061 - - [7-1] …`.
    fn modern(priority: Option<i64>, text: &'a [u8]) -> Option<Self> {
        let (time, rest) = word(text)?;
        let (host, behind) = word(rest)?;
        let (program, behind) = word(behind)?;
        let (process, behind) = word(behind)?;
        let writer = &rest[..host.len() + program.len() + process.len() + 2];
        let (_, behind) = word(behind)?;
        let text = behind_data(behind)?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let (count, text) = count(text);
        let host = Some(host).filter(|host| *host != b"-");
        Some(Line { priority, time, is_dated: true, host, program, process, writer, count, text })
    }

    fn number(&self) -> u32 {
        match self.count {
            Count::Chunk { number, .. } => number,
            Count::Row | Count::None => 1,
        }
    }

    fn pid(&self) -> Option<i64> {
        std::str::from_utf8(self.process).ok()?.parse().ok()
    }

    fn time(&self, room: &mut Room<'a>) -> &'a [u8] {
        if self.is_dated { times::of_iso(self.time, b"", room) } else { self.time }
    }

    /// The header, under the names of RFC 5424, as far as the row does not say the same.
    fn add_extra(&self, record: &mut Record<'a>, group: &Group<'_, '_>) {
        let mut add = |name, value: Option<Value<'a>>| record.extra.extend(value.map(|value| (name, value)));
        add("priority", self.priority.map(Value::Int));
        add("timestamp", Some(Value::Text(self.time)).filter(|_| group.has_time()));
        add("hostname", self.host.map(Value::Text));
        add("app_name", Some(Value::Text(self.program)));
        let is_same = record.session.pid == self.pid().and_then(|pid| u64::try_from(pid).ok());
        record.extra.extend((!is_same).then_some(("procid", Value::Text(self.process))));
    }
}

/// `<134>`.
fn priority(line: &[u8]) -> (Option<i64>, &[u8]) {
    let split = || {
        let rest = line.strip_prefix(b"<")?;
        let end = memchr(b'>', rest.get(..4.min(rest.len()))?)?;
        Some((number(&rest[..end])?, &rest[end + 1..]))
    };
    split().map_or((None, line), |(priority, rest)| (Some(priority), rest))
}

/// Length of `Nov 20 20:28:31`, with the space behind it.
fn stamp(text: &[u8]) -> Option<usize> {
    let stamp = text.get(..16)?;
    let fits = |(byte, like): (&u8, &u8)| match like {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        _ => byte == like,
    };
    stamp.iter().zip(b"aaa _0 00:00:00 ").all(fits).then_some(15)
}

fn is_date(text: &[u8]) -> bool {
    let like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    let model = b"0000-00-00T00:00:00";
    text.len() > model.len() && text.iter().zip(model).all(like)
}

/// The text up to a space, and what stands behind that.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = memchr(b' ', text).filter(|len| *len > 0)?;
    Some((&text[..len], &text[len + 1..]))
}

/// `postgres[17061]`.
fn split_tag(tag: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = memchr::memrchr(b'[', tag)?;
    let process = tag[open + 1..].strip_suffix(b"]")?;
    (!process.is_empty() && process.iter().all(u8::is_ascii_digit)).then_some((&tag[..open], process))
}

/// What stands behind RFC 5424's structured data: `-`, or elements in brackets with quoted values.
fn behind_data(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest.strip_prefix(b" ").unwrap_or(rest));
    }
    let mut rest = text;
    while rest.first() == Some(&b'[') && !matches!(count(rest).0, Count::Chunk { .. }) {
        let (mut at, mut quoted) = (1, false);
        loop {
            match rest.get(at)? {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => {}
            }
            at += 1;
        }
        rest = &rest[at + 1..];
    }
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

/// `[7-1] ` or `[7] `, and the text.
fn count(text: &[u8]) -> (Count, &[u8]) {
    let split = || {
        let rest = text.strip_prefix(b"[")?;
        let end = memchr(b']', &rest[..rest.len().min(COUNT_MAX)])?;
        let behind = rest.get(end + 1..)?.strip_prefix(b" ")?;
        let inner = &rest[..end];
        match memchr(b'-', inner) {
            Some(dash) => {
                let row = u64::try_from(number(&inner[..dash])?).ok()?;
                let number = u32::try_from(number(&inner[dash + 1..])?).ok()?;
                Some((Count::Chunk { row, number }, behind))
            }
            None => number(inner).map(|_| (Count::Row, behind)),
        }
    };
    split().unwrap_or((Count::None, text))
}

/// No two numbers with a dash between them are longer.
const COUNT_MAX: usize = 40;

fn number(digits: &[u8]) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// The server splits where a chunk would be longer, before a blank if there is one, and else within a character less.
const CHUNK_MAX: usize = 900;
const CHAR_MAX: usize = 4;

/// A tab and a line feed as daemons write them.
const TAB: &[u8] = b"#011";
const FEED: &[u8] = b"#012";

/// Writes the row as the server would have to stderr.
fn join(lines: &[Line<'_>], out: &mut [u8]) -> usize {
    let mut len = 0;
    let mut push = |bytes: &[u8]| {
        out[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    let mut before: Option<&[u8]> = None;
    for line in lines {
        match before {
            Some(_) if line.text.starts_with(b"\t") => push(b"\n"),
            Some(_) if line.text.starts_with(TAB) => push(b"\n"),
            Some(before) if !may_be_split(before, line.text) => push(b"\n"),
            Some(_) | None => {}
        }
        match line.text.strip_prefix(TAB) {
            Some(rest) if before.is_some() => {
                push(b"\t");
                push(rest);
            }
            _ => push(line.text),
        }
        before = Some(line.text);
    }
    push(b"\n");
    len
}

/// May what stands behind the first chunk have been cut off because it was too long? Else a line end stood there.
fn may_be_split(before: &[u8], behind: &[u8]) -> bool {
    let is_blank = |text: &[u8]| text.first().is_some_and(|byte| matches!(byte, b' ' | 0x0b..=0x0d));
    let is_written_blank = [&b"#013"[..], b"#014", b"#015"].iter().any(|blank| behind.starts_with(blank));
    if is_blank(behind) || is_written_blank {
        let word = behind.iter().skip(1).take_while(|byte| !byte.is_ascii_whitespace()).count();
        return before.len() + 1 + word + CHAR_MAX > CHUNK_MAX;
    }
    before.len() + CHAR_MAX > CHUNK_MAX
}

/// Undoes the line feeds in a row that was not split: those that a tab follows, and those that another entry follows.
fn unfold(prefix: Option<&Prefix>, text: &[u8], out: &mut [u8]) -> usize {
    let mut len = 0;
    let mut push = |bytes: &[u8]| {
        out[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    let mut rest = text;
    while let Some(feed) = memmem::find(rest, FEED) {
        push(&rest[..feed]);
        let behind = &rest[feed + FEED.len()..];
        rest = match behind.strip_prefix(TAB) {
            Some(more) => {
                push(b"\n\t");
                more
            }
            None => {
                push(if behind.is_empty() || starts_entry(prefix, behind) { b"\n" } else { FEED });
                behind
            }
        };
    }
    push(rest);
    len
}

/// Does a server's line stand here, with chunk number and all?
pub(crate) fn is_line(line: &[u8]) -> bool {
    Line::read(line).is_some_and(|line| matches!(line.count, Count::Chunk { .. }))
}

/// The payloads of first chunks, from which the prefix can be learnt.
pub(crate) fn first_chunks(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|byte| *byte == b'\n').filter_map(Line::read);
    lines.filter(|line| line.number() == 1).map(|line| line.text)
}
