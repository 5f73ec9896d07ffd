//! Where a csvlog record opens, told from bytes whose quoting is not known.
//!
//! Owns the one test that decides whether text is a record or only looks like one. SQL text, user names and
//! application names are written by whoever connects, and they may hold a perfect copy of a row. What such a copy
//! cannot hold is a lone quote: inside a quoted column the server writes every quote twice. Read from outside
//! quotes, an even run of quotes opens a column and closes it at once, so that such a column holds quotes or nothing.
//! The one lone quote in reach is the true closing quote, and a comma or a line end follows it. Hence:
//!
//! *a quoted message that begins with anything but quotes, a comma, a control character or another record's
//! head was opened by the server.*
//!
//! [`opening`] asks for that, and for thirteen well-formed columns before it. Server messages that begin so
//! themselves (`RAISE LOG ','`) are not recognised after damage; read in order they are ordinary rows.

use memchr::memchr;

use super::columns::{Shape, is_like};
use crate::frame::LOOK_BACK;
use crate::quoted;

/// What some bytes are, as far as they reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<T> {
    Is(T),
    Not,
    /// More bytes are needed to tell.
    Short,
}

/// The result of [`find`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    At(usize),
    /// No record opens before this position; at it and after it, more bytes are needed to tell.
    NotBefore(usize),
}

/// An opening is never longer: a startup packet, which holds user and database name, has at most 10,000 bytes, and
/// each of them may be a doubled quote.
const OPENING_MAX: usize = 32 * 1024;

const _: () =
    assert!(OPENING_MAX < LOOK_BACK, "what opens at the first byte kept was told before the rest was dropped");

/// A zone abbreviation is never longer.
const ZONE_MAX: usize = 63;

/// The longest head: time, space, zone, comma.
const HEAD_MAX: usize = STAMP.len() + ZONE_MAX + 1;

/// A digit stands for any digit.
const STAMP: &[u8; 24] = b"0000-00-00 00:00:00.000 ";

/// Where the dot stands in [`STAMP`].
const DOT: usize = 19;

/// Does a record's first column stand here: `2026-11-20 20:28:31.135 UTC,`? Its length, the comma included.
pub(super) fn head(buf: &[u8]) -> Look<usize> {
    let Some((stamp, zone)) = buf.split_first_chunk() else { return short_head(buf) };
    if !is_like(stamp, STAMP) {
        return Look::Not;
    }
    match zone.iter().take(ZONE_MAX + 1).position(|&byte| !is_zone(byte)) {
        Some(len) if len > 0 && zone[len] == b',' => Look::Is(STAMP.len() + len + 1),
        Some(_) => Look::Not,
        None if zone.len() > ZONE_MAX => Look::Not,
        None => Look::Short,
    }
}

/// The same for fewer bytes than the stamp has: what is missing is taken from the model.
fn short_head(buf: &[u8]) -> Look<usize> {
    let mut filled = *STAMP;
    filled[..buf.len()].copy_from_slice(buf);
    if is_like(&filled, STAMP) { Look::Short } else { Look::Not }
}

/// Does a record open here, whatever the quoting of the bytes before?
pub(super) fn opening(buf: &[u8]) -> Look<()> {
    let seen = &buf[..buf.len().min(OPENING_MAX)];
    match opening_within(seen) {
        Look::Short if seen.len() < buf.len() => Look::Not,
        look => look,
    }
}

/// Finds the first opening at or after `from`. With `end` nothing follows `buf`, and what is cut off opens nothing.
pub(super) fn find(buf: &[u8], from: usize, end: bool) -> Found {
    let mut at = from;
    while let Some(dot) = buf.get(at + DOT..).and_then(|rest| memchr(b'.', rest)) {
        at += dot;
        match opening(&buf[at..]) {
            Look::Is(()) => return Found::At(at),
            Look::Short if !end => return Found::NotBefore(at),
            Look::Short | Look::Not => at += 1,
        }
    }
    Found::NotBefore(if end { buf.len() } else { at.max(buf.len().saturating_sub(DOT)) })
}

/// Does a record open right before the closing quote at `quote`, inside the column that it closes and whose text
/// starts at `from`?
///
/// A row that was torn inside quotes runs on into the next one. Its open column then ends at that row's first quote,
/// behind that row's head; a user name chosen to begin with a comma keeps even the strict grammar content.
#[inline]
pub(super) fn opening_before(buf: &[u8], from: usize, quote: usize) -> Look<()> {
    let text = buf.get(from..quote).unwrap_or_default();
    match text.last() {
        Some(b',' | b'"') => opening_at_end(buf, from, trim_quotes(text)),
        _ => Look::Not,
    }
}

/// The same, when `text` may end in a head.
fn opening_at_end(buf: &[u8], from: usize, text: &[u8]) -> Look<()> {
    if text.last() != Some(&b',') {
        return Look::Not;
    }
    let window = text.len().saturating_sub(HEAD_MAX);
    let Some(dot) = memchr::memrchr(b'.', &text[window..]) else { return Look::Not };
    let Some(start) = (window + dot).checked_sub(DOT) else { return Look::Not };
    if head(&text[start..]) == Look::Is(text.len() - start) { opening(&buf[from + start..]) } else { Look::Not }
}

fn opening_within(buf: &[u8]) -> Look<()> {
    let mut at = match head(buf) {
        Look::Is(len) => len,
        Look::Not => return Look::Not,
        Look::Short => return Look::Short,
    };
    for shape in &Shape::OF_COLUMN[1..13] {
        match column_end(&buf[at..], *shape) {
            Look::Is(len) => at += len,
            Look::Not => return Look::Not,
            Look::Short => return Look::Short,
        }
    }
    message_opens(&buf[at..])
}

/// Length of the column of this shape that stands here, the comma included.
fn column_end(buf: &[u8], shape: Shape) -> Look<usize> {
    if buf.first() == Some(&b'"') {
        return if shape == Shape::Quoted { quoted_end(buf) } else { Look::Not };
    }
    match buf.iter().take(Shape::BARE_MAX + 1).position(|&byte| matches!(byte, b',' | b'"' | b'\n')) {
        Some(len) if buf[len] == b',' && shape.fits(&buf[..len]) => Look::Is(len + 1),
        Some(_) => Look::Not,
        None if buf.len() > Shape::BARE_MAX => Look::Not,
        None => Look::Short,
    }
}

/// Length of the quoted column that stands here, the comma included.
fn quoted_end(buf: &[u8]) -> Look<usize> {
    let Some((len, _)) = quoted::end(&buf[1..]) else { return Look::Short };
    match buf.get(len + 2) {
        Some(b',') => Look::Is(len + 3),
        Some(_) => Look::Not,
        None => Look::Short,
    }
}

/// The rule at the head of this file.
fn message_opens(buf: &[u8]) -> Look<()> {
    let quotes = quoted::run(buf);
    let text = &buf[quotes..];
    if text.is_empty() {
        return Look::Short;
    }
    if quotes.is_multiple_of(2) || text[0] == b',' || text[0].is_ascii_control() {
        return Look::Not;
    }
    match head(text) {
        Look::Is(_) => Look::Not,
        Look::Not => Look::Is(()),
        Look::Short => Look::Short,
    }
}

/// Letters, `+05`, `-03`; a dot would make the search for heads ambiguous.
fn is_zone(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'.')
}

fn trim_quotes(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|&byte| byte != b'"').map_or(0, |last| last + 1);
    &text[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &str = "2026-11-20 20:28:31.848 UTC,,,1,,a.b,1,,2026-11-20 20:28:31 UTC,,0,LOG,00000,";

    fn opens_with(message: &str) -> Look<()> {
        opening(format!("{COLUMNS}{message}").as_bytes())
    }

    #[test]
    fn a_message_that_begins_with_a_word_opens_a_record() {
        assert_eq!(opens_with("\"starting"), Look::Is(()));
        assert_eq!(opens_with("\"\"\"quoted\"\" word"), Look::Is(()));
    }

    #[test]
    fn a_message_whose_quotes_are_doubled_is_inside_another_column() {
        assert_eq!(opens_with("\"\"statement: x\"\""), Look::Not);
        assert_eq!(opens_with("\"\"\"\"statement: x\"\"\"\""), Look::Not);
        assert_eq!(opens_with("statement: x"), Look::Not);
    }

    #[test]
    fn a_closing_quote_opens_no_message() {
        for behind in [",,,", "\n", "\r\n", "\0"] {
            assert_eq!(opens_with(&format!("\"{behind}")), Look::Not);
            assert_eq!(opens_with(&format!("\"\"\"{behind}")), Look::Not);
        }
    }

    #[test]
    fn a_quote_that_a_crash_left_alone_before_a_fresh_row_opens_no_message() {
        assert_eq!(opens_with(&format!("\"{COLUMNS}\"x")), Look::Not);
    }

    #[test]
    fn what_is_cut_off_is_not_told_yet() {
        let text = format!("{COLUMNS}\"starting");
        for len in 0..text.len() - "starting".len() {
            assert_eq!(opening(&text.as_bytes()[..len]), Look::Short, "{len} bytes");
        }
    }

    #[test]
    fn a_column_of_the_wrong_shape_opens_no_record() {
        for (right, wrong) in [(",1,,a.b", ",x,,a.b"), ("a.b", "ab"), ("00000", "0000"), (",,,1", ",u,,1"), ("UTC", "")]
        {
            let text = format!("{COLUMNS}\"starting").replacen(right, wrong, 1);
            assert_eq!(opening(text.as_bytes()), Look::Not, "{text}");
        }
    }
}
