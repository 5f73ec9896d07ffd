//! One JSON object as its members, read from bytes that need not be UTF-8.
//!
//! Strict about the object's own structure, so that a torn or merged line is not taken for a row; lenient inside
//! values that no column needs. An object or array inside is a [`Value::Object`] or [`Value::Array`] that is read the same way.

use memchr::memchr2;

use crate::scratch::Room;

/// One `"key":value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    /// As it stands between its quotes.
    pub key: &'a [u8],
    pub value: Value<'a>,
    /// Key, colon and value as they stand.
    pub raw: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(Text<'a>),
    Int(i64),
    /// As it stands, braces included: for [`members`].
    Object(&'a [u8]),
    /// As it stands, brackets included: for [`elements`].
    Array(&'a [u8]),
    /// `true`, `null`, a number that is no whole one, as it stands.
    Other(&'a [u8]),
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub raw: &'a [u8],
    pub escaped: bool,
}

/// Hands out the members of the one object that `line` is, or says why it is none.
pub(crate) fn members<'a>(line: &'a [u8], mut each: impl FnMut(&Member<'a>)) -> Result<(), &'static str> {
    let mut reader = Reader { line, at: 0 };
    reader.pass(b'{', "no JSON object begins here")?;
    if !reader.skip(b'}') {
        loop {
            each(&reader.member()?);
            if !reader.skip(b',') {
                break;
            }
        }
        reader.pass(b'}', "no comma between two members")?;
    }
    reader.skip_space();
    if reader.at == line.len() { Ok(()) } else { Err("something stands behind the JSON object") }
}

/// Hands out the elements of the one array that `array` is, or says why it is none.
pub(crate) fn elements<'a>(array: &'a [u8], mut each: impl FnMut(Value<'a>)) -> Result<(), &'static str> {
    let mut reader = Reader { line: array, at: 0 };
    reader.pass(b'[', "no JSON array begins here")?;
    if !reader.skip(b']') {
        loop {
            reader.skip_space();
            each(reader.value()?);
            reader.skip_space();
            if !reader.skip(b',') {
                break;
            }
        }
        reader.pass(b']', "no comma between two elements")?;
    }
    reader.skip_space();
    if reader.at == array.len() { Ok(()) } else { Err("something stands behind the JSON array") }
}

impl<'a> Text<'a> {
    /// The string's bytes. Needs at most as much room as it is long.
    pub(crate) fn unescaped(self, room: &mut Room<'a>) -> &'a [u8] {
        if !self.escaped {
            return self.raw;
        }
        room.write(|out| {
            let mut to = Output { out, len: 0 };
            let mut rest = self.raw;
            while let Some(plain) = memchr::memchr(b'\\', rest) {
                to.push(&rest[..plain]);
                rest = to.push_escape(&rest[plain + 1..]);
            }
            to.push(rest);
            to.len
        })
    }
}

struct Reader<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn member(&mut self) -> Result<Member<'a>, &'static str> {
        self.skip_space();
        let start = self.at;
        self.pass(b'"', "a key is not in quotes")?;
        let key = self.string()?.raw;
        self.pass(b':', "no colon behind a key")?;
        let value = self.value()?;
        Ok(Member { key, value, raw: &self.line[start..self.at] })
    }

    fn value(&mut self) -> Result<Value<'a>, &'static str> {
        if self.skip(b'"') {
            return Ok(Value::Text(self.string()?));
        }
        let start = self.at;
        self.skip_value()?;
        let raw = &self.line[start..self.at];
        let raw = raw.trim_ascii_end();
        let number = || std::str::from_utf8(raw).ok().and_then(|digits| digits.parse().ok());
        Ok(match raw.first() {
            Some(b'{') => Value::Object(raw),
            Some(b'[') => Value::Array(raw),
            _ => number().map_or(Value::Other(raw), Value::Int),
        })
    }

    /// The rest of a string behind its opening quote, and that quote's partner.
    fn string(&mut self) -> Result<Text<'a>, &'static str> {
        let start = self.at;
        let mut escaped = false;
        while let Some(len) = self.line.get(self.at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            let found = self.at + len;
            if self.line[found] == b'"' {
                self.at = found + 1;
                return Ok(Text { raw: &self.line[start..found], escaped });
            }
            escaped = true;
            self.at = found + 2;
        }
        Err("a string is not closed")
    }

    /// Passes over a number, a word, or anything in brackets.
    fn skip_value(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b',' | b'}' | b']' if depth == 0 => break,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' if depth == 0 => break,
                b'"' => {
                    self.at += 1;
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        if self.at > start && depth == 0 { Ok(()) } else { Err("a value is missing or not closed") }
    }

    fn pass(&mut self, byte: u8, or: &'static str) -> Result<(), &'static str> {
        if self.skip(byte) { Ok(()) } else { Err(or) }
    }

    /// Passes over this byte and the space around it, if it is what comes next.
    fn skip(&mut self, byte: u8) -> bool {
        self.skip_space();
        let here = self.line.get(self.at) == Some(&byte);
        self.at += usize::from(here);
        if here && byte != b'"' {
            self.skip_space();
        }
        here
    }

    fn skip_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += self.line.get(self.at..).unwrap_or_default().iter().take_while(space).count();
    }
}

struct Output<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Output<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let free = &mut self.out[self.len..];
        let len = bytes.len().min(free.len());
        free[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }

    /// Writes what the escape behind a backslash stands for; the text behind the escape. An escape that JSON does
    /// not have is kept as it stands.
    fn push_escape<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let Some((&letter, rest)) = text.split_first() else {
            self.push(b"\\");
            return text;
        };
        match letter {
            b'"' | b'\\' | b'/' => self.push(&[letter]),
            b'b' => self.push(b"\x08"),
            b'f' => self.push(b"\x0c"),
            b'n' => self.push(b"\n"),
            b'r' => self.push(b"\r"),
            b't' => self.push(b"\t"),
            b'u' => return self.push_unicode(text),
            other => self.push(&[b'\\', other]),
        }
        rest
    }

    fn push_unicode<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let Some(unit) = unit_at(text) else {
            self.push(b"\\u");
            return &text[1..];
        };
        let low = text.get(5..).and_then(|rest| rest.strip_prefix(b"\\")).and_then(unit_at);
        let (point, len) = match (unit, low) {
            (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => (0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), 11),
            _ => (unit, 5),
        };
        let char = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.push(char.encode_utf8(&mut [0; 4]).as_bytes());
        &text[len..]
    }
}

/// The number in `uXXXX`.
fn unit_at(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}
