//! What programs in containers write: lines that the runtime has taken, each with its time and the stream that it came from.
//!
//! [`cri`](crate::cri) and [`docker_json`](crate::docker_json) are two ways of writing them down. What is hard:
//!
//! - A line longer than 16 KiB comes in several. They are pieces of one row; lines of the other stream may stand between them.
//! - A row of a format that goes on over several lines is as many lines here. Where the format inside tells at which line a row begins,
//!   lines that begin none are pieces of the row before.

use crate::record::Piece;
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch, inside, times};

/// One line, taken out of what the runtime wrote around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub time: &'a [u8],
    pub stream: &'a [u8],
    pub text: &'a [u8],
    /// It goes on in the stream's next line.
    pub is_partial: bool,
    /// What else the runtime says.
    pub other: Option<&'a [u8]>,
}

/// How a runtime writes lines.
pub(crate) struct Runtime {
    /// Reads one, or says why it is none. Needs as much room as the frame is long.
    pub read: for<'a> fn(&'a [u8], &mut Room<'a>) -> Result<Line<'a>, &'static str>,
    /// Names in `extra`: of the stream, of the time, of what else there is.
    pub names: [&'static str; 3],
}

/// Says which piece of a row a line is.
pub(crate) fn parse<'a>(runtime: &Runtime, dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut room = scratch.room(frame.len());
    let line = match (runtime.read)(frame, &mut room) {
        Ok(line) => line,
        Err(reason) => return Parsed::Unparsed { reason, retry_at: None },
    };
    let starts = dialect.inside.as_deref().and_then(|inside| inside::starts(inside, line.text));
    let (number, is_last) = match starts {
        None => (0, Some(!line.is_partial)),
        Some(true) => (1, None),
        Some(false) => (0, None),
    };
    Parsed::Piece(Piece { writer: line.stream, row: 0, number, is_last })
}

/// Says what the row inside these lines of one stream holds.
pub(crate) fn assemble<'a>(
    runtime: &Runtime,
    dialect: &Dialect,
    frames: &[&'a [u8]],
    scratch: &'a mut Scratch,
) -> Parsed<'a> {
    let len: usize = frames.iter().map(|frame| 2 * frame.len() + 1).sum();
    let (mut room, scratch) = scratch.room_and_inside(len + times::TIME_MAX);
    let mut lines = frames.iter().filter_map(|frame| (runtime.read)(frame, &mut room).ok());
    let Some(first) = lines.next() else {
        return Parsed::Unparsed { reason: "none of these is a line of the container runtime", retry_at: None };
    };
    let lines: Vec<_> = std::iter::once(first).chain(lines).collect();
    let text = match *lines.as_slice() {
        [only] => only.text,
        _ => joined(&lines, &mut room),
    };
    // Whatever else was waited for: only a piece says that there is more.
    let is_cut = lines.last().is_some_and(|line| line.is_partial);
    match inside::row(dialect.inside.as_deref(), text, scratch) {
        Parsed::Record(mut record) => {
            if is_cut {
                let _ = record.flags.try_push("incomplete");
            }
            let [stream, time, other] = runtime.names;
            match record.time {
                b"" => record.time = times::of_iso(first.time, b"", &mut room),
                _ => inside::add(&mut record, time, Some(first.time)),
            }
            inside::add(&mut record, stream, Some(first.stream));
            inside::add(&mut record, other, first.other);
            Parsed::Record(record)
        }
        Parsed::Unparsed { reason, .. } => Parsed::Unparsed { reason, retry_at: None },
        Parsed::Nothing { what } => Parsed::Nothing { what },
        Parsed::Piece(_) | Parsed::Several => {
            Parsed::Unparsed { reason: "several rows in one line of a container", retry_at: None }
        }
    }
}

/// Pieces of a line one behind the other, lines with their line ends.
fn joined<'a>(lines: &[Line<'a>], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let mut len = 0;
        let mut push = |bytes: &[u8]| {
            let free = out.get_mut(len..).unwrap_or_default();
            let copied = bytes.len().min(free.len());
            free[..copied].copy_from_slice(&bytes[..copied]);
            len += copied;
        };
        for (index, line) in lines.iter().enumerate() {
            push(line.text);
            if !line.is_partial && index + 1 < lines.len() {
                push(b"\n");
            }
        }
        len
    })
}

/// Whether a text is a time as runtimes write it: `2026-11-20T20:28:31.135000000Z`.
pub(crate) fn is_time(text: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"0000-00-00T00:00:00";
    let like = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() >= FORM.len() && text.iter().zip(FORM).all(like)
}

/// What a runtime writes before a text is shorter.
pub(crate) const HEAD_MAX: usize = 64;
