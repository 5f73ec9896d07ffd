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
    reader.object(|reader| {
        each(&reader.member()?);
        Ok(())
    })?;
    reader.end("something stands behind the JSON object")
}

/// Hands out the elements of the one array that `array` is, or says why it is none.
pub(crate) fn elements<'a>(array: &'a [u8], mut each: impl FnMut(Value<'a>)) -> Result<(), &'static str> {
    let mut reader = Reader { line: array, at: 0 };
    reader.array(|reader| {
        reader.skip_space();
        each(reader.value()?);
        Ok(())
    })?;
    reader.end("something stands behind the JSON array")
}

/// What [`members_and_list`] hands out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// A member of the object.
    Member(Member<'a>),
    /// The list begins, and is handed out in place of its member.
    List,
    /// A member of one of the list's objects.
    OfElement(Member<'a>),
    /// That object is over.
    Element,
    /// An element that is no object.
    Stray,
}

/// The same as [`members`] of an object that holds an array of objects under the key `list`: every byte is read once, where reading
/// the members first and the array's elements then reads them three times. A second member of that name is one like any other.
pub(crate) fn members_and_list<'a>(
    line: &'a [u8],
    list: &str,
    mut each: impl FnMut(Part<'a>),
) -> Result<(), &'static str> {
    let mut reader = Reader { line, at: 0 };
    let mut is_seen = false;
    reader.object(|reader| {
        let (start, key) = reader.key()?;
        if is_seen || key != list.as_bytes() || reader.line.get(reader.at) != Some(&b'[') {
            each(Part::Member(reader.member_of(start, key)?));
            return Ok(());
        }
        is_seen = true;
        each(Part::List);
        reader.array(|reader| {
            reader.skip_space();
            if reader.line.get(reader.at) != Some(&b'{') {
                reader.value()?;
                each(Part::Stray);
                return Ok(());
            }
            reader.object(|reader| {
                each(Part::OfElement(reader.member()?));
                Ok(())
            })?;
            each(Part::Element);
            Ok(())
        })
    })?;
    reader.end("something stands behind the JSON object")
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
    /// An object, each of whose members `one` reads.
    #[inline]
    fn object(&mut self, mut one: impl FnMut(&mut Self) -> Result<(), &'static str>) -> Result<(), &'static str> {
        self.pass(b'{', "no JSON object begins here")?;
        if self.skip(b'}') {
            return Ok(());
        }
        loop {
            one(self)?;
            if !self.skip(b',') {
                return self.pass(b'}', "no comma between two members");
            }
        }
    }

    /// An array, each of whose elements `one` reads.
    #[inline]
    fn array(&mut self, mut one: impl FnMut(&mut Self) -> Result<(), &'static str>) -> Result<(), &'static str> {
        self.pass(b'[', "no JSON array begins here")?;
        if self.skip(b']') {
            return Ok(());
        }
        loop {
            one(self)?;
            if !self.skip(b',') {
                return self.pass(b']', "no comma between two elements");
            }
        }
    }

    fn end(&mut self, or: &'static str) -> Result<(), &'static str> {
        self.skip_space();
        if self.at == self.line.len() { Ok(()) } else { Err(or) }
    }

    #[inline]
    fn member(&mut self) -> Result<Member<'a>, &'static str> {
        let (start, key) = self.key()?;
        self.member_of(start, key)
    }

    /// Where a member begins, and its key; the value comes next.
    #[inline]
    fn key(&mut self) -> Result<(usize, &'a [u8]), &'static str> {
        self.skip_space();
        let start = self.at;
        self.pass(b'"', "a key is not in quotes")?;
        let key = self.string()?.raw;
        self.pass(b':', "no colon behind a key")?;
        Ok((start, key))
    }

    #[inline]
    fn member_of(&mut self, start: usize, key: &'a [u8]) -> Result<Member<'a>, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`members`] and [`elements`] find one after the other.
    fn in_steps(object: &[u8]) -> Option<Vec<String>> {
        let mut found = Vec::new();
        let mut list = None;
        members(object, |member| match member.value {
            Value::Array(raw) if member.key == b"list" && list.is_none() => list = Some((found.len(), raw)),
            _ => found.push(format!("{:?}", Part::Member(*member))),
        })
        .ok()?;
        let Some((at, raw)) = list else { return Some(found) };
        let (mut of_list, mut is_right) = (vec![format!("{:?}", Part::List)], true);
        elements(raw, |element| match element {
            Value::Object(raw) => {
                is_right &= members(raw, |member| of_list.push(format!("{:?}", Part::OfElement(*member)))).is_ok();
                of_list.push(format!("{:?}", Part::Element));
            }
            _ => of_list.push(format!("{:?}", Part::Stray)),
        })
        .ok()?;
        found.splice(at..at, of_list);
        is_right.then_some(found)
    }

    #[test]
    fn a_list_is_read_in_passing_as_it_is_by_itself() {
        let texts: [&[u8]; 6] = [
            br#"{"a":1,"list":[{"x":"y\"]}"},{},7 , [{"z":1}] ,{"b": {"c":[1,2]} , "d":null}] ,"list":[{"e":1}],"f":"g"}"#,
            br#" { "list" : [ ] } "#,
            br#"{"list":{"a":1}}"#,
            br#"{"list":[{"a":1},]}"#,
            br#"{"list":[{"a" 1}]}"#,
            br#"{"list":[{"a":1}"#,
        ];
        for text in texts {
            for len in 0..=text.len() {
                let mut found = Vec::new();
                let read = members_and_list(&text[..len], "list", |part| found.push(format!("{part:?}")));
                assert_eq!(read.ok().map(|()| found), in_steps(&text[..len]), "{}", text[..len].escape_ascii());
            }
        }
    }
}
