//! A row of PostgreSQL's stderr log that is too large: the beginnings of its entries are kept, with what stands in their prefixes.
//!
//! A line that does not begin with a tab begins an entry. Without its beginning an entry's text would be taken for more of the one before, and
//! its number in the session would be missing.

use memchr::{memchr, memmem};

use super::fields::Fields;
use super::whole_chars;

/// The beginnings of lines without a tab.
#[derive(Debug, Clone)]
pub(super) struct Entries {
    /// How much of the record stands before the cut.
    head_max: u64,
    /// Where the next byte stands in the record.
    at: u64,
    /// It stands inside a line.
    inside: bool,
    /// The last beginning takes more.
    open: bool,
    beginnings: Vec<Beginning>,
    /// There are more than any row has.
    lost: bool,
    /// Where among pgAudit's fields the row's own text is; `None`: it is none of pgAudit's, or not known yet to be one.
    fields: Option<Fields>,
    /// Where the first of them ends that ends behind the head.
    crossed: Option<u64>,
}

#[derive(Debug, Clone)]
struct Beginning {
    from: u64,
    /// Up to the line end.
    bytes: Vec<u8>,
}

/// What pgAudit's text begins with.
const AUDIT: &[u8] = b"AUDIT: ";

/// A prefix and a label are shorter.
const BEGINNING_MAX: usize = 1024;

/// A row has up to eight entries; the others are a library's lines.
const BEGINNINGS_MAX: usize = 64;

impl Entries {
    /// None yet.
    pub(super) fn behind(head_max: usize) -> Self {
        Entries {
            head_max: head_max as u64,
            at: 0,
            inside: false,
            open: false,
            beginnings: Vec::new(),
            lost: false,
            fields: None,
            crossed: None,
        }
    }

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
            self.follow_fields(line);
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

    /// Through the row's own text, which begins in its first line and goes on in those with a tab. pgAudit's fields begin behind its word, which
    /// stands in the beginning of the first line.
    fn follow_fields(&mut self, line: &[u8]) {
        let [first] = &self.beginnings[..] else { return };
        let mut begin = 0;
        if self.fields.is_none() {
            let so_far = [&first.bytes, &line[..line.len().min(BEGINNING_MAX - first.bytes.len())]].concat();
            let Some(word) = memmem::find(&so_far, AUDIT).filter(|_| self.open) else { return };
            begin = word.saturating_sub(first.bytes.len());
        }
        let kept = (self.head_max.saturating_sub(self.at) as usize).clamp(begin, line.len());
        let fields = self.fields.get_or_insert_default();
        fields.pass(&line[begin..kept]);
        if let Some(end) = fields.pass(&line[kept..]) {
            self.crossed.get_or_insert(self.at + (kept + end) as u64);
        }
    }

    /// What of the last bytes can stand behind what is left out. Where one of pgAudit's fields ends in that, or may, the rest of its text goes as well:
    /// what follows would be taken for another field than it is.
    fn kept_of<'t>(&self, tail: &'t [u8], before: Option<u8>, length: u64) -> &'t [u8] {
        let from = length - tail.len() as u64;
        let is_in_text = self.beginnings.get(1).is_none_or(|second| second.from > from);
        let is_quote = |byte: Option<&u8>| byte == Some(&b'"');
        let may_end = self.crossed.is_some_and(|end| end < from) || is_quote(before.as_ref()) || is_quote(tail.first());
        if self.fields.is_none() || !is_in_text || !may_end {
            return tail;
        }
        let next = self.beginnings.get(1).map_or(length, |second| second.from);
        &tail[(next - from) as usize..]
    }

    /// The record of that length with no more than its head, the beginnings behind that, and its tail.
    /// `before` is the byte before that.
    pub(super) fn shortened(&self, head: &[u8], tail: &[u8], before: Option<u8>, length: u64) -> Option<Vec<u8>> {
        if self.lost {
            return None;
        }
        let tail = self.kept_of(tail, before, length);
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
        out.extend_from_slice(if tail.is_empty() { b"\n" } else { tail });
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
