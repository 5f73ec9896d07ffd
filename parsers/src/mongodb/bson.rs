//! MongoDB's audit log as BSON (`auditLog.format: BSON`): documents one after the other, each beginning with its length.
//!
//! A row becomes the JSON text that MongoDB would have written, and is read from that. What is hard:
//!
//! - Nothing separates documents: a length that is wrong leads anywhere. So a document is whole only when its elements end where its
//!   length says, and otherwise the next one is looked for at once, by the name that every audit row begins with.
//! - Clients send documents too, and they stand inside rows, byte for byte. Behind damage a document is taken for a row only when another
//!   row follows it or the file ends there: what stands inside a row is followed by the rest of that row.
//!
//! Grammar: bsonspec.org, version 1.1.

use memchr::{memchr, memmem};

use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::{Parsed, Scratch, digits};

/// Every row's first element is the text `atype`; four bytes of length stand before it.
const MARK: &[u8] = b"\x02atype\0";

const LENGTH: usize = 4;

/// A document and its end, which is a zero.
const DOCUMENT_MIN: usize = LENGTH + MARK.len() + 5;

/// The server's own limit for a document that it makes itself: 16 MiB and 16 KiB (`BSONObjMaxInternalSize`).
const DOCUMENT_MAX: usize = (16 * 1024 + 16) * 1024;

/// More elements, and longer names, than a row has at its top. What a row is made of is looked through only so far.
const ELEMENTS_MAX: u8 = 32;
const NAME_MAX: usize = 64;

/// The server nests documents no deeper than 200.
const DEPTH_MAX: usize = 220;

/// Finds where documents end.
#[derive(Debug, Clone, Default)]
pub struct BsonFramer {
    walk: Option<Walk>,
    /// In damage: no document begins before this.
    looked: usize,
    lost: Option<&'static str>,
}

impl BsonFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        BsonFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if buf.is_empty() {
            return Frame::Incomplete;
        }
        if let Some(reason) = self.lost {
            return self.look_for_document(buf, end, reason);
        }
        let mut walk = self.walk.unwrap_or_default();
        let step = walk.go(buf);
        match step {
            Step::Whole => {
                *self = Self::default();
                return Frame::Record { len: walk.len };
            }
            Step::More if !end => {
                self.walk = Some(walk);
                return Frame::Incomplete;
            }
            Step::More => self.lose(NO_END),
            Step::Broken(reason) => self.lose(reason),
        }
        self.next(buf, end)
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.looked = self.looked.saturating_sub(len);
        if let Some(walk) = &mut self.walk {
            match (walk.at.checked_sub(len), walk.len.checked_sub(len)) {
                (Some(at), Some(rest)) => (walk.at, walk.len) = (at, rest),
                _ => self.lose("too large a record"),
            }
        }
    }

    fn lose(&mut self, reason: &'static str) {
        *self = BsonFramer { lost: Some(reason), looked: 1, walk: None };
    }

    fn look_for_document(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        while let Some(at) = find_mark(buf, self.looked) {
            self.looked = at;
            match follows(buf.get(at..).unwrap_or_default(), end) {
                Some(true) => {
                    *self = Self::default();
                    return if at == 0 { self.next(buf, end) } else { Frame::Damaged { len: at, reason } };
                }
                Some(false) => self.looked = at + 1,
                None => return self.wait(reason),
            }
        }
        if end {
            *self = Self::default();
            return Frame::Damaged { len: buf.len(), reason };
        }
        self.looked = self.looked.max(buf.len().saturating_sub(LENGTH + MARK.len() - 1));
        self.wait(reason)
    }

    /// What was looked through is damage, however long it goes on.
    fn wait(&mut self, reason: &'static str) -> Frame {
        if self.looked <= DAMAGED_MAX {
            return Frame::Incomplete;
        }
        self.looked -= DAMAGED_MAX;
        Frame::Damaged { len: DAMAGED_MAX, reason }
    }
}

/// Does a row stand at the very start, as far as its beginning shows?
pub(crate) fn opens(head: &[u8]) -> bool {
    head.len() >= LENGTH + MARK.len() && matches!(Walk::default().open(head), Step::Whole)
}

/// Where the next document may begin.
fn find_mark(buf: &[u8], from: usize) -> Option<usize> {
    memmem::find(buf.get(from + LENGTH..)?, MARK).map(|at| from + at)
}

/// Whether a whole document stands at the start, and behind it another begins or the file ends. `None` when more bytes are needed.
fn follows(buf: &[u8], end: bool) -> Option<bool> {
    let mut walk = Walk::default();
    match walk.go(buf) {
        Step::Broken(_) => return Some(false),
        Step::More => return end.then_some(false),
        Step::Whole => {}
    }
    let rest = buf.get(walk.len..).unwrap_or_default();
    let mark = rest.get(LENGTH..).unwrap_or_default();
    let mark = mark.get(..MARK.len()).unwrap_or(mark);
    if mark.len() < MARK.len() && !end {
        return if MARK.starts_with(mark) { None } else { Some(false) };
    }
    Some(MARK.starts_with(mark))
}

/// How far a document was looked through.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    /// Of the document; 0 before it was read.
    len: usize,
    /// Where the next element begins.
    at: usize,
    elements: u8,
}

enum Step {
    Whole,
    More,
    Broken(&'static str),
}

impl Walk {
    /// Goes on from element to element, as far as there are bytes.
    fn go(&mut self, buf: &[u8]) -> Step {
        if self.len == 0 {
            match self.open(buf) {
                Step::Whole => {}
                step => return step,
            }
        }
        loop {
            if self.at + 1 >= self.len {
                return match (self.at + 1 == self.len, buf.get(self.at)) {
                    (true, Some(0)) => Step::Whole,
                    (true, None) => Step::More,
                    _ => Step::Broken("an element goes beyond its document"),
                };
            }
            let Some((&kind, rest)) = buf.get(self.at..).and_then(<[u8]>::split_first) else { return Step::More };
            if kind == 0 || self.elements == ELEMENTS_MAX {
                return Step::Broken("a document ends elsewhere than its length says");
            }
            let name = rest.get(..rest.len().min(NAME_MAX)).unwrap_or_default();
            let Some(name_len) = memchr(0, name) else {
                return if name.len() < NAME_MAX { Step::More } else { Step::Broken("a name is too long") };
            };
            match value_len(kind, rest.get(name_len + 1..).unwrap_or_default()) {
                Len::Known(len) => self.at += 1 + name_len + 1 + len,
                Len::Unknown if rest.len() > name_len + 1 + VALUE_MAX => return Step::Broken("a value has no end"),
                Len::Unknown => return Step::More,
                Len::No => return Step::Broken("a value of no known type"),
            }
            self.elements += 1;
        }
    }

    /// The length, and the first element's name as far as it is there.
    fn open(&mut self, buf: &[u8]) -> Step {
        let (len, rest) = buf.split_at(buf.len().min(LENGTH));
        if !MARK.starts_with(rest.get(..MARK.len()).unwrap_or(rest)) {
            return Step::Broken("no record begins here");
        }
        let Some(len) = len.first_chunk().filter(|_| rest.len() >= MARK.len()) else { return Step::More };
        match usize::try_from(i32::from_le_bytes(*len)) {
            Ok(len @ DOCUMENT_MIN..=DOCUMENT_MAX) => (self.len, self.at) = (len, LENGTH),
            _ => return Step::Broken("a document's length is out of bounds"),
        }
        Step::Whole
    }
}

/// Regular expressions have no length before them; longer ones have no place at the top of a row.
const VALUE_MAX: usize = 1024;

enum Len {
    Known(usize),
    /// More bytes are needed.
    Unknown,
    No,
}

/// How long the value is that `bytes` begin with.
fn value_len(kind: u8, bytes: &[u8]) -> Len {
    let counted = |more: usize| match bytes.first_chunk().map(|len| usize::try_from(i32::from_le_bytes(*len))) {
        Some(Ok(len)) => len.checked_add(more).map_or(Len::No, Len::Known),
        Some(Err(_)) => Len::No,
        None => Len::Unknown,
    };
    match kind {
        0x06 | 0x0a | 0x7f | 0xff => Len::Known(0),
        0x08 => Len::Known(1),
        0x10 => Len::Known(4),
        0x01 | 0x09 | 0x11 | 0x12 => Len::Known(8),
        0x07 => Len::Known(12),
        0x13 => Len::Known(16),
        0x02 | 0x0d | 0x0e => counted(4),
        0x03 | 0x04 | 0x0f => counted(0),
        0x05 => counted(5),
        0x0c => counted(16),
        0x0b => regex_len(bytes.get(..VALUE_MAX).unwrap_or(bytes)).map_or(Len::Unknown, Len::Known),
        _ => Len::No,
    }
}

/// Two texts that end in a zero.
fn regex_len(bytes: &[u8]) -> Option<usize> {
    let pattern = memchr(0, bytes)? + 1;
    let options = memchr(0, bytes.get(pattern..)?)? + 1;
    Some(pattern + options)
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let unparsed = |reason| Parsed::Unparsed { reason, retry_at: next_record(frame) };
    let len = match json(frame, scratch, 3 * frame.len()) {
        Ok(len) if len <= 3 * frame.len() => Ok(len),
        // Short elements, and control bytes in texts, are much longer in JSON.
        Ok(len) => json(frame, scratch, len),
        Err(reason) => Err(reason),
    };
    let len = match len {
        Ok(len) => len,
        Err(reason) => return unparsed(reason),
    };
    let (object, mut room) = scratch.behind(len, 2 * len + 256);
    match super::record(object, &mut room) {
        Ok(record) => Parsed::Record(record),
        Err(reason) => unparsed(reason),
    }
}

/// Where a record starts behind the first byte: the file goes on behind the frame, so that it has to end where the frame does.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let mut from = 1;
    while let Some(at) = find_mark(frame, from) {
        if follows(frame.get(at..)?, true) == Some(true) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Writes the row as JSON to the beginning of the scratch, as far as there is room; how long all of it is.
fn json(frame: &[u8], scratch: &mut Scratch, room: usize) -> Result<usize, &'static str> {
    let (mut written, mut whole) = (0, Ok(()));
    scratch.room(room).write(|out| {
        let mut output = Output { out: out.get_mut(..room).unwrap_or_default(), len: 0 };
        whole = document(frame, &mut output, false, DEPTH_MAX);
        written = output.len;
        written.min(room)
    });
    whole.map(|()| written)
}

/// Where JSON goes; what does not fit is counted.
struct Output<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Output<'_> {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(free) = self.out.get_mut(self.len..self.len + bytes.len()) {
            free.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }
}

/// Writes the one document that `bytes` are as JSON; an array has names too, which say nothing.
fn document(bytes: &[u8], out: &mut Output<'_>, is_array: bool, depth: usize) -> Result<(), &'static str> {
    const BROKEN: &str = "a document inside ends elsewhere than its length says";
    let depth = depth.checked_sub(1).ok_or("documents are nested too deep")?;
    let len = bytes.first_chunk().map(|len| usize::try_from(i32::from_le_bytes(*len)));
    if len != Some(Ok(bytes.len())) || bytes.last() != Some(&0) {
        return Err(BROKEN);
    }
    let mut rest = bytes.get(LENGTH..bytes.len() - 1).ok_or(BROKEN)?;
    out.push(if is_array { b"[" } else { b"{" });
    let mut is_first = true;
    while let Some((&kind, named)) = rest.split_first() {
        let name_len = memchr(0, named).ok_or("a name has no end")?;
        let (name, value) = named.split_at(name_len);
        let value = value.get(1..).unwrap_or_default();
        let len = match (kind, value_len(kind, value)) {
            (0x0b, _) => regex_len(value).ok_or("a value has no end")?,
            (_, Len::Known(len)) => len,
            _ => return Err("a value of no known type"),
        };
        let (value, behind) = value.split_at_checked(len).ok_or(BROKEN)?;
        if !is_first {
            out.push(b",");
        }
        if !is_array {
            string(name, out);
            out.push(b":");
        }
        element(kind, value, out, depth)?;
        (rest, is_first) = (behind, false);
    }
    out.push(if is_array { b"]" } else { b"}" });
    Ok(())
}

/// Writes one value, as MongoDB's extended JSON has it; numbers bare.
fn element(kind: u8, value: &[u8], out: &mut Output<'_>, depth: usize) -> Result<(), &'static str> {
    match kind {
        0x01 => double(f64::from_le_bytes(eight(value)), out),
        0x02 => text(value, out),
        0x03 => document(value, out, false, depth)?,
        0x04 => document(value, out, true, depth)?,
        0x05 => binary(value, out),
        0x06 => out.push(b"{\"$undefined\":true}"),
        0x07 => wrapped(b"$oid", out, |out| quoted_hex(value, out)),
        0x08 => out.push(if value == [0] { b"false" } else { b"true" }),
        0x09 => wrapped(b"$date", out, |out| decimal(i64::from_le_bytes(eight(value)), out)),
        0x0a => out.push(b"null"),
        0x0b => regex(value, out),
        0x0c => pointer(value, out),
        0x0d => wrapped(b"$code", out, |out| text(value, out)),
        0x0e => wrapped(b"$symbol", out, |out| text(value, out)),
        0x0f => code_with_scope(value, out, depth)?,
        0x10 => decimal(i64::from(i32::from_le_bytes(four(value))), out),
        0x11 => timestamp(value, out),
        0x12 => decimal(i64::from_le_bytes(eight(value)), out),
        // Its 16 bytes as they stand: a decimal number in IEEE 754's binary form.
        0x13 => wrapped(b"$decimal128", out, |out| quoted_hex(value, out)),
        0x7f => out.push(b"{\"$maxKey\":1}"),
        _ => out.push(b"{\"$minKey\":1}"),
    }
    Ok(())
}

fn wrapped(name: &[u8], out: &mut Output<'_>, inner: impl FnOnce(&mut Output<'_>)) {
    out.push(b"{\"");
    out.push(name);
    out.push(b"\":");
    inner(out);
    out.push(b"}");
}

/// Its length, the text and a zero.
fn text(value: &[u8], out: &mut Output<'_>) {
    let text = value.get(4..).unwrap_or_default();
    string(text.strip_suffix(b"\0").unwrap_or(text), out);
}

fn string(text: &[u8], out: &mut Output<'_>) {
    out.push(b"\"");
    let mut plain = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' | b'\\' => out.push(&[b'\\', byte]),
            b'\n' => out.push(b"\\n"),
            b'\r' => out.push(b"\\r"),
            b'\t' => out.push(b"\\t"),
            _ => {
                out.push(b"\\u00");
                out.push(&hex(byte));
            }
        }
    }
    out.push(&text[plain..]);
    out.push(b"\"");
}

fn double(number: f64, out: &mut Output<'_>) {
    if number.is_finite() {
        out.push(format!("{number:?}").as_bytes());
    } else {
        wrapped(b"$numberDouble", out, |out| string(format!("{number}").as_bytes(), out));
    }
}

fn decimal(number: i64, out: &mut Output<'_>) {
    out.push(digits::decimal(number).as_bytes());
}

fn quoted_hex(bytes: &[u8], out: &mut Output<'_>) {
    out.push(b"\"");
    bytes.iter().for_each(|byte| out.push(&hex(*byte)));
    out.push(b"\"");
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// A length, a kind, and as many bytes.
fn binary(value: &[u8], out: &mut Output<'_>) {
    out.push(b"{\"$binary\":\"");
    base64(value.get(5..).unwrap_or_default(), out);
    out.push(b"\",\"$type\":\"");
    out.push(&hex(value.get(4).copied().unwrap_or_default()));
    out.push(b"\"}");
}

fn base64(bytes: &[u8], out: &mut Output<'_>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |shift: u32| DIGITS[(bits >> shift & 63) as usize];
        let mut digits = [digit(18), digit(12), digit(6), digit(0)];
        digits[three.len() + 1..].fill(b'=');
        out.push(&digits);
    }
}

fn regex(value: &[u8], out: &mut Output<'_>) {
    let mut parts = value.split(|byte| *byte == 0);
    out.push(b"{\"$regex\":");
    string(parts.next().unwrap_or_default(), out);
    out.push(b",\"$options\":");
    string(parts.next().unwrap_or_default(), out);
    out.push(b"}");
}

/// A text and an id of twelve bytes.
fn pointer(value: &[u8], out: &mut Output<'_>) {
    let (name, id) = value.split_at(value.len().saturating_sub(12));
    out.push(b"{\"$ref\":");
    text(name, out);
    out.push(b",\"$id\":");
    quoted_hex(id, out);
    out.push(b"}");
}

/// A length, a text with its own, and a document.
fn code_with_scope(value: &[u8], out: &mut Output<'_>, depth: usize) -> Result<(), &'static str> {
    const BROKEN: &str = "code and its scope are longer than their length says";
    let inner = value.get(4..).ok_or(BROKEN)?;
    let Len::Known(len) = value_len(0x02, inner) else { return Err(BROKEN) };
    let (code, scope) = inner.split_at_checked(len).ok_or(BROKEN)?;
    out.push(b"{\"$code\":");
    text(code, out);
    out.push(b",\"$scope\":");
    document(scope, out, false, depth)?;
    out.push(b"}");
    Ok(())
}

fn timestamp(value: &[u8], out: &mut Output<'_>) {
    let bits = u64::from_le_bytes(eight(value));
    let (seconds, increment) = (bits >> 32, bits & 0xffff_ffff);
    out.push(format!("{{\"$timestamp\":{{\"t\":{seconds},\"i\":{increment}}}}}").as_bytes());
}

fn four(value: &[u8]) -> [u8; 4] {
    value.first_chunk().copied().unwrap_or_default()
}

fn eight(value: &[u8]) -> [u8; 8] {
    value.first_chunk().copied().unwrap_or_default()
}
