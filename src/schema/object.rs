//! Writes JSON objects member by member, straight into the bytes that are sent.
//!
//! Whether a comma is due shows in the last byte: only an opening bracket has none behind it. What comes from a line comes as JSON
//! and is copied; names and words of our own hold nothing that needs an escape.

use crate::json;

/// Where the object goes.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Object<'o> {
    /// Goes behind what is in `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Object { out }
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// An object that has no name: the whole, or one of a list.
    pub fn begin(&mut self) {
        self.out.push(b'{');
    }

    /// The same in a list.
    pub fn item(&mut self, fill: impl FnOnce(&mut Self)) {
        self.comma();
        self.begin();
        fill(self);
        self.end();
    }

    /// Ends what [`Object::begin`] began.
    pub fn end(&mut self) {
        self.out.push(b'}');
    }

    /// A value that is JSON.
    pub fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// The same, if there is one.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(name, value);
        }
    }

    /// The same with a name that is JSON.
    pub fn raw_quoted(&mut self, name: &str, value: &str) {
        self.comma();
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A value that is JSON, in a list.
    pub fn raw_item(&mut self, value: &str) {
        self.comma();
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A text in which nothing needs an escape, in a list.
    pub fn quoted_item(&mut self, word: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// A text in which nothing needs an escape.
    pub fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// A text of any bytes.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        json::string(self.out, bytes);
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, number: i64) {
        self.name(name);
        json::signed(self.out, number);
    }

    /// An object; nothing at all where nothing is in it.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        self.name(name);
        self.inside(before, b"{}", fill);
    }

    /// The same with a name that is JSON.
    pub fn object_quoted(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        self.comma();
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b':');
        self.inside(before, b"{}", fill);
    }

    /// A list; nothing at all where nothing is in it.
    pub fn list(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        self.name(name);
        self.inside(before, b"[]", fill);
    }

    fn inside(&mut self, before: usize, brackets: &[u8; 2], fill: impl FnOnce(&mut Self)) {
        self.out.push(brackets[0]);
        let empty = self.out.len();
        fill(self);
        if self.out.len() == empty {
            self.out.truncate(before);
        } else {
            self.out.push(brackets[1]);
        }
    }
}
