//! Records that are JSON objects one after the other, in an array that may never be closed or in none, printed in any shape.
//!
//! A record is an object with all brackets, commas and blanks that stand before it. What stands behind the last one is handed out when
//! the file is over, as a record of its own that holds no row.

use crate::frame::{DAMAGED_MAX, Frame, NO_END};

/// Finds the ends of objects. Looks at every byte once.
#[derive(Debug, Clone, Default)]
pub struct ObjectFramer {
    at: usize,
    depth: usize,
    place: Place,
    lost: Option<&'static str>,
    headless: bool,
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
            match (self.place, byte) {
                (Place::Inside, b'\\') => self.place = Place::Escape,
                (Place::Inside, b'"') => self.place = Place::Bare,
                (Place::Inside, _) => {}
                (Place::Escape, _) => self.place = Place::Inside,
                (Place::Bare, b'{') => self.depth += 1,
                (Place::Bare, b'}') if self.depth == 1 => {
                    let len = self.at + 1;
                    *self = Self::default();
                    return Frame::Record { len };
                }
                (Place::Bare, b'}') if self.depth > 1 => self.depth -= 1,
                (Place::Bare, b'"') if self.depth > 0 => self.place = Place::Inside,
                (Place::Bare, byte) if self.depth == 0 && !is_between(byte) => {
                    return self.lose(buf, end);
                }
                (Place::Bare, _) => {}
            }
            self.at += 1;
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
        self.headless |= len > 0;
    }

    /// What stands before the bytes that belong nowhere is no record either.
    fn lose(&mut self, buf: &[u8], end: bool) -> Frame {
        *self = ObjectFramer { lost: Some("no record begins here"), at: self.at, ..Self::default() };
        self.next(buf, end)
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
