//! Records that are JSON objects one after the other, in an array that may never be closed or in none, printed in any shape.
//!
//! A record is an object with all brackets, commas and blanks that stand before it. What stands behind the last one is handed out when
//! the file is over, as a record of its own that holds no row. What is hard: half an object must not swallow all that follow. So the marks have to stand in
//! an order that JSON has, no string goes over a line's end, and no value begins on another line than its key.

use memchr::memchr3;

use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// Finds the ends of objects. Looks at every byte once.
#[derive(Debug, Clone, Default)]
pub struct ObjectFramer {
    at: usize,
    place: Place,
    /// Objects (1) and arrays (0) around here, the innermost last.
    around: u64,
    depth: u32,
    /// The last mark of the object: a bracket, a comma, a colon, the quote that ended a string; `0` for a number or a word.
    before: u8,
    /// The last line feed of the record.
    feed: Option<usize>,
    lost: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Outside strings.
    #[default]
    Bare,
    Inside,
    /// Behind a backslash in a string.
    Escape,
}

/// No log nests deeper.
const DEPTH_MAX: u32 = 64;

const NO_JSON: &str = "this is no JSON: half an object?";

impl ObjectFramer {
    /// A framer that enters the file at an arbitrary byte: it goes on behind a line feed, where a brace opens a line.
    pub fn mid_file() -> Self {
        ObjectFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if let Some(reason) = self.lost {
            return self.look_for_object(buf, end, reason);
        }
        while let Some(&byte) = buf.get(self.at) {
            let is_whole = match self.place {
                Place::Bare if self.depth == 0 => self.between(byte),
                Place::Bare => self.mark(byte),
                Place::Inside => self.string(&buf[self.at..]),
                Place::Escape if byte == b'\n' => Err(NO_JSON),
                Place::Escape => {
                    self.place = Place::Inside;
                    Ok(false)
                }
            };
            match is_whole {
                Ok(false) => self.at += 1,
                Ok(true) => {
                    let len = self.at + 1;
                    *self = Self::default();
                    return Frame::Record { len };
                }
                Err(reason) => {
                    // The line's beginning may be another object's.
                    let at = self.feed.unwrap_or(self.at);
                    *self = ObjectFramer { lost: Some(reason), at, ..Self::default() };
                    return self.look_for_object(buf, end, reason);
                }
            }
        }
        match (end && !buf.is_empty(), self.depth > 0) {
            (false, _) => Frame::Incomplete,
            (true, true) => {
                *self = Self::default();
                Frame::Damaged { len: buf.len(), reason: NO_END }
            }
            (true, false) => {
                *self = Self::default();
                Frame::Record { len: buf.len() }
            }
        }
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.at = self.at.saturating_sub(len);
        self.feed = self.feed.and_then(|feed| feed.checked_sub(len));
    }

    /// Before an object.
    fn between(&mut self, byte: u8) -> Result<bool, &'static str> {
        match byte {
            b'\n' => self.feed = Some(self.at),
            b'{' => self.open(byte),
            byte if !is_between(byte) => return Err("no record begins here"),
            _ => {}
        }
        Ok(false)
    }

    /// In an object; whether it ends here.
    fn mark(&mut self, byte: u8) -> Result<bool, &'static str> {
        let in_object = self.around & 1 == 1;
        let is_value = matches!(self.before, b':') || (!in_object && matches!(self.before, b'[' | b','));
        let is_behind_value = matches!(self.before, 0 | b'"' | b'}' | b']');
        match byte {
            b'\n' if self.before == b':' => return Err(NO_JSON),
            b'\n' => self.feed = Some(self.at),
            b' ' | b'\t' | b'\r' => {}
            b'{' | b'[' if is_value && self.depth < DEPTH_MAX => self.open(byte),
            b'}' if in_object && (is_behind_value || self.before == b'{') => return Ok(self.close(byte)),
            b']' if !in_object && (is_behind_value || self.before == b'[') => return Ok(self.close(byte)),
            b'"' if is_value || (in_object && matches!(self.before, b'{' | b',')) => self.place = Place::Inside,
            b':' if in_object && self.before == b'"' => self.before = byte,
            b',' if is_behind_value => self.before = byte,
            byte if is_in_word(byte) && (is_value || self.before == 0) => self.before = 0,
            _ => return Err(NO_JSON),
        }
        Ok(false)
    }

    /// Goes to the next byte that means something, and takes it.
    fn string(&mut self, rest: &[u8]) -> Result<bool, &'static str> {
        let Some(len) = memchr3(b'"', b'\\', b'\n', rest) else {
            self.at += rest.len() - 1;
            return Ok(false);
        };
        self.at += len;
        match rest[len] {
            b'\\' => self.place = Place::Escape,
            b'"' => (self.place, self.before) = (Place::Bare, b'"'),
            _ => {
                self.feed = Some(self.at);
                return Err(NO_JSON);
            }
        }
        Ok(false)
    }

    fn open(&mut self, byte: u8) {
        self.around = self.around << 1 | u64::from(byte == b'{');
        self.depth += 1;
        self.before = byte;
    }

    fn close(&mut self, byte: u8) -> bool {
        self.around >>= 1;
        self.depth -= 1;
        self.before = byte;
        self.depth == 0
    }

    /// An object that goes on after damage begins a line.
    fn look_for_object(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let mut from = self.at.min(buf.len());
        while let Some(feed) = memchr::memchr(b'\n', &buf[from..]) {
            let line = from + feed + 1;
            let blanks = buf[line..].iter().take_while(|byte| is_between(**byte) && **byte != b'\n').count();
            match buf.get(line + blanks) {
                Some(b'{') => {
                    *self = Self::default();
                    return Frame::Damaged { len: line, reason };
                }
                None if !end => {
                    self.at = from + feed;
                    return self.wait(buf, reason);
                }
                _ => from = line,
            }
        }
        self.at = buf.len();
        if end && !buf.is_empty() {
            *self = Self::default();
            return Frame::Damaged { len: buf.len(), reason };
        }
        self.wait(buf, reason)
    }

    fn wait(&mut self, buf: &[u8], reason: &'static str) -> Frame {
        if buf.len() <= DAMAGED_MAX || self.at < DAMAGED_MAX {
            return Frame::Incomplete;
        }
        self.at -= DAMAGED_MAX;
        Frame::Damaged { len: DAMAGED_MAX, reason }
    }
}

/// What stands between the elements of an array.
fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']')
}

/// Of a number, `true`, `false` or `null`.
fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}
