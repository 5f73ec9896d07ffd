//! The lines that Docker's logging driver json-file writes, around rows of any format.
//!
//! `{"log":"text\n","stream":"stderr","time":"2026-11-20T20:28:31.135000000Z"}`, with `attrs` where labels were asked for. A text that does
//! not end in a line feed goes on in the stream's next line. Quotes inside are escaped, so that nothing inside can pass for another line.

use crate::container::{self, Line, Runtime};
use crate::json::{self, Value as Json};
use crate::lines::{self, Rules};
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch};

/// How every line begins.
pub(crate) const START: &[u8] = b"{\"log\":\"";

/// No text inside can hold what stands at a line's start.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

const RUNTIME: Runtime = Runtime { read, names: ["docker.stream", "docker.time", "docker.attrs"] };

/// Says which piece of a row a line is. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match container::parse(&RUNTIME, dialect, frame, scratch) {
        Parsed::Unparsed { reason, .. } => Parsed::Unparsed { reason, retry_at: next_record(frame) },
        parsed => parsed,
    }
}

/// Says what the row inside these lines holds. See [`crate::assemble`].
pub fn assemble<'a>(dialect: &Dialect, frames: &[&'a [u8]], scratch: &'a mut Scratch) -> Parsed<'a> {
    container::assemble(&RUNTIME, dialect, frames, scratch)
}

/// Where a line starts behind the first byte: half a line may run on into a whole one without a line end.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

/// Does a line of the driver stand at the start?
pub(crate) fn opens(text: &[u8]) -> bool {
    let holds = |needle: &[u8]| memchr::memmem::find(text, needle).is_some();
    text.starts_with(START) && holds(b"\"stream\":\"std") && holds(b"\"time\":\"")
}

/// The text inside a line, for who wants to know what stands inside. Needs as much room as the line is long.
pub(crate) fn text<'a>(line: &'a [u8], room: &mut Room<'a>) -> Option<&'a [u8]> {
    read(line, room).ok().map(|line| line.text)
}

fn read<'a>(frame: &'a [u8], room: &mut Room<'a>) -> Result<Line<'a>, &'static str> {
    let (mut log, mut stream, mut time, mut other) = (None, None, None, None);
    json::members(frame, |member| match (member.key, member.value) {
        (b"log", Json::Text(text)) => log = Some(text),
        (b"stream", Json::Text(text)) => stream = Some(text.raw),
        (b"time", Json::Text(text)) => time = Some(text.raw),
        _ => other = Some(member.raw),
    })?;
    let (Some(log), Some(stream), Some(time)) = (log, stream, time) else { return Err("no log, stream and time") };
    let text = log.unescaped(room);
    let whole = text.strip_suffix(b"\n");
    Ok(Line { time, stream, text: whole.unwrap_or(text), is_partial: whole.is_none(), other })
}
