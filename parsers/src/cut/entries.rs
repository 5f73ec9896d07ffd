//! A row of PostgreSQL's stderr log that is too large: the beginnings of its entries are kept, with what stands in their prefixes.
//!
//! A line that does not begin with a tab begins an entry. Without its beginning an entry's text would be taken for more of the one before, and
//! its number in the session would be missing.

use memchr::memchr;

use super::whole_chars;

/// The beginnings of lines without a tab.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    /// Where the next byte stands in the record.
    at: u64,
    /// It stands inside a line.
    inside: bool,
    /// The last beginning takes more.
    open: bool,
    beginnings: Vec<Beginning>,
    /// There are more than any row has.
    lost: bool,
}

#[derive(Debug, Clone)]
struct Beginning {
    from: u64,
    /// Up to the line end.
    bytes: Vec<u8>,
}

/// A prefix and a label are shorter.
const BEGINNING_MAX: usize = 1024;

/// A row has up to eight entries; the others are a library's lines.
const BEGINNINGS_MAX: usize = 64;

impl Entries {
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(first) = rest.first().filter(|_| !self.lost) {
            if !self.inside && *first != b'\t' {
                self.lost = self.beginnings.len() >= BEGINNINGS_MAX;
                self.beginnings.push(Beginning { from: self.at, bytes: Vec::new() });
                self.open = true;
            }
            let feed = memchr(b'\n', rest);
            let (line, behind) = rest.split_at(feed.map_or(rest.len(), |feed| feed + 1));
            if let Some(last) = self.beginnings.last_mut().filter(|_| self.open) {
                let room = BEGINNING_MAX - last.bytes.len();
                last.bytes.extend_from_slice(&line[..line.len().min(room)]);
            }
            self.inside = feed.is_none();
            self.open &= self.inside;
            self.at += line.len() as u64;
            rest = behind;
        }
    }

    /// The record of that length with no more than its head, the beginnings behind that, and its tail.
    pub(super) fn shortened(&self, head: &[u8], tail: &[u8], length: u64) -> Option<Vec<u8>> {
        if self.lost {
            return None;
        }
        let (mut out, mut at, until) = (head.to_vec(), head.len() as u64, length - tail.len() as u64);
        for beginning in self.beginnings.iter().filter(|beginning| beginning.from <= until) {
            if beginning.from > at {
                note(beginning.from - at, &mut out);
                out.push(b'\n');
                at = beginning.from;
            }
            let bytes = beginning.whole();
            let end = (beginning.from + bytes.len() as u64).min(until);
            if end > at {
                out.extend_from_slice(&bytes[(at - beginning.from) as usize..(end - beginning.from) as usize]);
                at = end;
            }
        }
        if until > at {
            note(until - at, &mut out);
        }
        out.extend_from_slice(tail);
        Some(out)
    }
}

impl Beginning {
    fn whole(&self) -> &[u8] {
        &self.bytes[..whole_chars(&self.bytes)]
    }
}

/// Says that so many bytes are left out here, in a line of the text before.
fn note(len: u64, out: &mut Vec<u8>) {
    if out.ends_with(b"\n") {
        out.push(b'\t');
    }
    out.extend_from_slice(format!("[... {len} bytes ...]").as_bytes());
}
