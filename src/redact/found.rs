//! Where something is to be taken out of a text, and the text without it.

use sealtrail_sql::Span;

use super::hash::Hash;
use super::rules::Rules;

/// What stands in the place of a secret.
pub const MARKER: &[u8] = b"[redacted]";

/// What stands in the place of a literal that is masked.
pub const MASK: &[u8] = b"?";

/// Places of one text, and the parameters that are secret.
#[derive(Debug, Default)]
pub struct Found {
    places: Vec<Place>,
    /// Numbers of parameters, from 1, that take a secret's place in the statement, and what found them.
    pub parameters: Vec<(usize, Rules)>,
    /// What found them.
    pub rules: Rules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
    mark: Mark,
    rule: Rules,
}

/// What is put in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `[redacted]`
    Redacted,
    /// The same where it must be one token of SQL, and what stood there had no quotes.
    Quoted,
    /// `?`
    Masked,
    /// `[hmac:…]`
    Hashed(Hash),
    /// The same as one token of SQL.
    HashedQuoted(Hash),
}

impl Mark {
    /// Puts it behind `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        let quote: &[u8] = if matches!(self, Mark::Quoted | Mark::HashedQuoted(_)) { b"'" } else { b"" };
        out.extend_from_slice(quote);
        match self {
            Mark::Redacted | Mark::Quoted => out.extend_from_slice(MARKER),
            Mark::Masked => out.extend_from_slice(MASK),
            Mark::Hashed(hash) | Mark::HashedQuoted(hash) => hash.write(out),
        }
        out.extend_from_slice(quote);
    }
}

impl Found {
    /// Whether nothing has to be taken out.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes over what was found in a part of the text that begins at `from`.
    pub fn absorb(&mut self, part: &Found, from: usize) {
        let places =
            part.places.iter().map(|place| Place { start: place.start + from, end: place.end + from, ..*place });
        self.places.extend(places);
        self.rules |= part.rules;
    }

    /// Takes out what stands between `start` and `end`.
    pub fn take(&mut self, start: usize, end: usize, rule: Rules) {
        self.put(start, end, rule, Mark::Redacted);
    }

    /// The same for what has no quotes in SQL.
    pub fn take_bare(&mut self, start: usize, end: usize, rule: Rules) {
        self.put(start, end, rule, Mark::Quoted);
    }

    /// The same with a mark of one's choice.
    pub fn put(&mut self, start: usize, end: usize, rule: Rules, mark: Mark) {
        if start < end {
            self.places.push(Place { start, end, mark, rule });
            self.rules |= rule;
        }
    }

    /// Takes out a value, unless it is empty, or a mark that somebody put in a secret's place before us.
    pub fn value(&mut self, text: &[u8], start: usize, end: usize, rule: Rules) {
        if text.get(start..end).is_some_and(|value| !is_mark(value)) {
            self.take(start, end, rule);
        }
    }

    /// The same without quotes, in SQL.
    pub fn bare_value(&mut self, text: &[u8], start: usize, end: usize, rule: Rules) {
        if text.get(start..end).is_some_and(|value| !is_mark(value)) {
            self.take_bare(start, end, rule);
        }
    }

    /// Leaves what touches one of these places where it is.
    pub fn spare(&mut self, spans: &[Span]) {
        if spans.is_empty() || self.places.is_empty() {
            return;
        }
        let touches = |place: &Place, span: &Span| (span.start as usize) < place.end && place.start < span.end as usize;
        self.places.retain(|place| !spans.iter().any(|span| touches(place, span)));
        self.rules = Rules::default();
        for place in &self.places {
            self.rules |= place.rule;
        }
    }

    /// A parameter stands where a secret does.
    pub fn parameter(&mut self, number: usize, rule: Rules) {
        if !self.parameters.contains(&(number, rule)) {
            self.parameters.push((number, rule));
        }
    }

    /// In order, and without overlaps: of two that overlap the mark of the first is left.
    fn settle(&mut self) {
        self.places.sort_unstable_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
        self.places.dedup_by(|next, before| {
            let is_within = next.start < before.end;
            if is_within {
                before.end = before.end.max(next.end);
                // One of them stood between quotes, which are there.
                let is_between = before.mark == Mark::Quoted && next.mark == Mark::Redacted;
                before.mark = if is_between { Mark::Redacted } else { before.mark };
            }
            is_within
        });
    }

    /// The text with marks in the places.
    pub fn cut_from(&mut self, text: &[u8]) -> Vec<u8> {
        self.settle();
        let mut out = Vec::with_capacity(text.len() + 16 * self.places.len());
        let mut from = 0;
        for place in &self.places {
            out.extend_from_slice(&text[from..place.start]);
            place.mark.write(&mut out);
            from = place.end;
        }
        out.extend_from_slice(&text[from..]);
        out
    }

    /// The text with a byte in the place of each that is taken out: all else stands where it stood, and so do these names.
    pub fn blanked_in(&self, text: &[u8], names: &[Span]) -> Vec<u8> {
        let mut out = text.to_vec();
        for place in &self.places {
            out[place.start..place.end].fill(b'*');
        }
        for name in names {
            let (start, end) = (name.start as usize, name.end as usize);
            if let (Some(blank), Some(name)) = (out.get_mut(start..end), text.get(start..end)) {
                blank.copy_from_slice(name);
            }
        }
        out
    }

    /// What is taken out.
    pub fn values<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.places.iter().filter_map(|place| text.get(place.start..place.end))
    }
}

/// `*****`, `<secret>`, `<REDACTED>`, our own mark, with what is left of its quotes and brackets or without, or nothing.
pub fn is_mark(value: &[u8]) -> bool {
    let is_around = |byte: &u8| matches!(byte, b'\'' | b'"' | b'\\' | b'[' | b']' | b' ');
    let own = value.iter().position(|byte| !is_around(byte)).unwrap_or(value.len());
    let rest = value[own..].strip_prefix(b"redacted");
    let inner = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">"));
    value.iter().all(|byte| *byte == b'*')
        || matches!(value, [b'%', b's' | b'L' | b'I'])
        || rest.is_some_and(|rest| rest.iter().all(is_around))
        || inner.is_some_and(|inner| inner.eq_ignore_ascii_case(b"secret") || inner.eq_ignore_ascii_case(b"redacted"))
}
