//! Where secrets stand in a text, and the text without them.

use super::rules::Rules;

/// What stands in the place of a secret.
pub const MARKER: &[u8] = b"[redacted]";
/// The same where it must be one token of SQL, and the secret had no quotes.
const QUOTED_MARKER: &[u8] = b"'[redacted]'";

/// Places of one text, and the parameters that are secret.
#[derive(Debug, Default)]
pub struct Found {
    places: Vec<Place>,
    /// Numbers of parameters, from 1, that take a secret's place in the statement.
    pub parameters: Vec<usize>,
    /// What found them.
    pub rules: Rules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
    is_bare: bool,
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
        self.put(start, end, rule, false);
    }

    /// The same for what has no quotes in SQL.
    pub fn take_bare(&mut self, start: usize, end: usize, rule: Rules) {
        self.put(start, end, rule, true);
    }

    fn put(&mut self, start: usize, end: usize, rule: Rules, is_bare: bool) {
        if start < end {
            self.places.push(Place { start, end, is_bare });
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

    /// A parameter stands where a secret does.
    pub fn parameter(&mut self, number: usize) {
        if !self.parameters.contains(&number) {
            self.parameters.push(number);
        }
    }

    /// In order, and without overlaps.
    fn settle(&mut self) {
        self.places.sort_unstable_by_key(|place| (place.start, place.end));
        self.places.dedup_by(|next, before| {
            let is_within = next.start < before.end;
            if is_within {
                before.end = before.end.max(next.end);
                before.is_bare &= next.is_bare;
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
            out.extend_from_slice(if place.is_bare { QUOTED_MARKER } else { MARKER });
            from = place.end;
        }
        out.extend_from_slice(&text[from..]);
        out
    }

    /// What is taken out.
    pub fn values<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.places.iter().filter_map(|place| text.get(place.start..place.end))
    }
}

/// `*****`, `<secret>`, `<REDACTED>`, our own mark, or nothing.
fn is_mark(value: &[u8]) -> bool {
    let inner = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">"));
    value.iter().all(|byte| *byte == b'*')
        || matches!(value, [b'%', b's' | b'L' | b'I'])
        || value == MARKER
        || inner.is_some_and(|inner| inner.eq_ignore_ascii_case(b"secret") || inner.eq_ignore_ascii_case(b"redacted"))
}
