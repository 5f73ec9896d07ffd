//! A record that is too large to keep, cut in the middle: its first and last bytes, and a shorter row made of them.
//!
//! Nearly always it is one text that makes a record large: a statement, a list of parameters. Cut inside that text, with a note of
//! how much was left out, what remains is a row like any other and is parsed like any other: all its columns are there. What
//! is hard:
//!
//! - Whether the cut lies inside one text is known only when every byte that was left out has been looked at. Across several texts, what
//!   stands before the cut and what stands behind it must not be taken for one.
//! - A cut never falls between the two halves of a doubled quote, of an escape or, in UTF-8, of a character.

use memchr::{memchr_iter, memchr2_iter, memrchr};

use crate::Format;

/// The first and the last bytes of a record that is handed over piece by piece. Holds no more than those.
#[derive(Debug, Clone)]
pub struct Cut {
    format: Format,
    head: Vec<u8>,
    head_max: usize,
    tail: Vec<u8>,
    tail_max: usize,
    length: u64,
    /// Begins where the head is full.
    walk: Option<Walk>,
}

/// How far the text in which the head ends has been followed.
#[derive(Debug, Clone, Default)]
struct Walk {
    /// How much of the head can stand before the cut.
    from: usize,
    /// The first byte that may be the second half of what the byte before it began: a doubled quote, an escape.
    half: Option<u64>,
    /// Where that text ends.
    end: Option<u64>,
}

/// No escape of JSON is longer: `\u0001`.
const ESCAPE_MAX: usize = 6;

impl Cut {
    /// Nothing yet. At most `head_max` bytes of the beginning are kept, and `tail_max` of the end.
    pub fn new(format: Format, head_max: usize, tail_max: usize) -> Self {
        Cut { format, head: Vec::new(), head_max, tail: Vec::new(), tail_max, length: 0, walk: None }
    }

    /// Takes the record's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_max - self.head.len()));
        self.head.extend_from_slice(head);
        self.length += head.len() as u64;
        if rest.is_empty() {
            return;
        }
        let mut walk = self.walk.take().unwrap_or_else(|| self.begin_walk());
        walk.follow(self.format, rest, self.length);
        self.walk = Some(walk);
        self.length += rest.len() as u64;
        self.keep_last(rest);
    }

    /// How many bytes there were.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes; what is left out begins behind them, at a whole character if this is UTF-8.
    pub fn head(&self) -> &[u8] {
        if self.is_whole() { &self.head } else { &self.head[..whole_chars(&self.head)] }
    }

    /// The last bytes, from a whole character on if this is UTF-8.
    pub fn tail(&self) -> &[u8] {
        let tail = self.last_bytes();
        if self.is_whole() { tail } else { &tail[half_char(tail)..] }
    }

    /// The record with the middle of its long text left out: `[... 1000 bytes ...]` stands there. `None` when more than one text is cut.
    pub fn shortened(&self) -> Option<Vec<u8>> {
        if self.is_whole() {
            return Some([&self.head, self.last_bytes()].concat());
        }
        let walk = self.walk.as_ref()?;
        let tail = self.text_before_end();
        let resumed = self.length - tail.len() as u64;
        if walk.end.is_some_and(|end| end < resumed) {
            return None;
        }
        let note = format!("[... {} bytes ...]", resumed - walk.from as u64);
        Some([&self.head[..walk.from], note.as_bytes(), tail].concat())
    }

    /// Nothing is left out.
    fn is_whole(&self) -> bool {
        self.length == (self.head.len() + self.last_bytes().len()) as u64
    }

    fn begin_walk(&self) -> Walk {
        let text = match self.format {
            Format::PostgresCsvlog => trim_quotes(&self.head),
            Format::PostgresJsonlog => trim_escapes(&self.head),
        };
        let mut walk = Walk { from: whole_chars(text), ..Walk::default() };
        walk.follow(self.format, &self.head[walk.from..], walk.from as u64);
        walk
    }

    fn keep_last(&mut self, bytes: &[u8]) {
        if bytes.len() >= self.tail_max {
            self.tail.clear();
        } else if self.tail.len() + bytes.len() > 2 * self.tail_max {
            self.tail.drain(..self.tail.len() + bytes.len() - self.tail_max);
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(self.tail_max)..]);
    }

    fn last_bytes(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(self.tail_max)..]
    }

    /// The last bytes from where they can stand behind the cut.
    fn text_before_end(&self) -> &[u8] {
        let tail = self.last_bytes();
        let half = half_char(tail);
        match self.format {
            // Quotes behind a character that was cut are all there; at the very start some of them may not be.
            Format::PostgresCsvlog if half == 0 => {
                let quotes = tail.iter().take_while(|byte| **byte == b'"').count();
                &tail[quotes..]
            }
            Format::PostgresCsvlog => &tail[half..],
            Format::PostgresJsonlog => behind_escapes(tail),
        }
    }
}

impl Walk {
    /// Looks at the bytes that stand at `at`.
    fn follow(&mut self, format: Format, bytes: &[u8], at: u64) {
        if self.end.is_some() {
            return;
        }
        match format {
            Format::PostgresCsvlog => self.follow_quotes(bytes, at),
            Format::PostgresJsonlog => self.follow_escapes(bytes, at),
        }
    }

    /// Every quote inside a text is doubled; one alone ends it.
    fn follow_quotes(&mut self, bytes: &[u8], at: u64) {
        for quote in memchr_iter(b'"', bytes).map(|found| at + found as u64) {
            match self.half {
                Some(second) if second == quote => self.half = None,
                Some(second) => {
                    self.end = Some(second - 1);
                    return;
                }
                None => self.half = Some(quote + 1),
            }
        }
        self.end = self.half.filter(|second| *second < at + bytes.len() as u64).map(|second| second - 1);
    }

    fn follow_escapes(&mut self, bytes: &[u8], at: u64) {
        for found in memchr2_iter(b'"', b'\\', bytes) {
            let place = at + found as u64;
            if self.half == Some(place) {
                self.half = None;
            } else if bytes[found] == b'\\' {
                self.half = Some(place + 1);
            } else {
                self.end = Some(place);
                return;
            }
        }
    }
}

fn trim_quotes(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|byte| *byte != b'"').map_or(0, |last| last + 1);
    &text[..len]
}

/// Without an escape at its end, whole or half.
fn trim_escapes(mut text: &[u8]) -> &[u8] {
    while let Some(escape) = memrchr(b'\\', &text[text.len().saturating_sub(ESCAPE_MAX)..]) {
        text = &text[..text.len().saturating_sub(ESCAPE_MAX) + escape];
    }
    text
}

/// From the first byte on that stands in no escape, whatever was before.
fn behind_escapes(mut text: &[u8]) -> &[u8] {
    while let Some(escape) = memrchr(b'\\', &text[..text.len().min(ESCAPE_MAX)]) {
        text = &text[escape + 1..];
    }
    let text = &text[text.len().min(ESCAPE_MAX)..];
    &text[half_char(text)..]
}

/// Length without the first bytes of a UTF-8 character whose last are missing.
fn whole_chars(text: &[u8]) -> usize {
    let rest = text.iter().rev().take(3).take_while(|byte| is_continuation(**byte)).count();
    let Some(lead) = text.len().checked_sub(rest + 1) else { return text.len() };
    let needed = match text[lead] {
        0xc0..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf7 => 3,
        _ => rest,
    };
    if rest < needed { lead } else { text.len() }
}

/// Length of what may be the last bytes of a UTF-8 character.
fn half_char(text: &[u8]) -> usize {
    text.iter().take(3).take_while(|byte| is_continuation(**byte)).count()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
