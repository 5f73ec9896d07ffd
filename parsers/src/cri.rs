//! The lines that Kubernetes' container runtimes write (`/var/log/pods/…/0.log`), around rows of any format.
//!
//! `2026-11-20T20:28:31.135000000Z stderr F text`: time, stream, tags, and the line itself, none of it escaped. The first tag is `F` for a
//! line that is whole and `P` for one that goes on (Kubernetes, "CRI container log format"). A line feed always ends a line here, so that
//! nothing inside can pass for another line of the runtime.

use crate::container::{self, Line, Runtime};
use crate::lines::Rules;
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch};

pub(crate) const LINES: Rules = Rules { begins: |byte| byte.is_ascii_digit(), start: b"", is_whole: |_| false };

const RUNTIME: Runtime = Runtime { read: read_line, names: ["cri.stream", "cri.time", "cri.tags"] };

/// Says which piece of a row a line is. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    container::parse(&RUNTIME, dialect, frame, scratch)
}

/// Says what the row inside these lines holds. See [`crate::assemble`].
pub fn assemble<'a>(dialect: &Dialect, frames: &[&'a [u8]], scratch: &'a mut Scratch) -> Parsed<'a> {
    container::assemble(&RUNTIME, dialect, frames, scratch)
}

/// Does a line of a runtime stand at the start?
pub(crate) fn opens(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    read(line).is_ok()
}

/// The text inside a line, for who wants to know what stands inside.
pub(crate) fn text(line: &[u8]) -> Option<&[u8]> {
    read(line).ok().map(|line| line.text)
}

fn read_line<'a>(frame: &'a [u8], _: &mut Room<'a>) -> Result<Line<'a>, &'static str> {
    read(frame)
}

fn read(frame: &[u8]) -> Result<Line<'_>, &'static str> {
    let line = frame.strip_suffix(b"\n").unwrap_or(frame);
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = parts.next().filter(|time| container::is_time(time)).ok_or("no time of a container runtime")?;
    let stream = parts.next().filter(|stream| matches!(*stream, b"stdout" | b"stderr")).ok_or("no name of a stream")?;
    let tags = parts.next().unwrap_or_default();
    let is_partial = match tags.split(|byte| *byte == b':').next() {
        Some(b"P") => true,
        Some(b"F") => false,
        _ => return Err("neither a whole line nor a piece of one"),
    };
    let text = parts.next().unwrap_or_default();
    Ok(Line { time, stream, text, is_partial, other: Some(tags).filter(|tags| tags.len() > 1) })
}
