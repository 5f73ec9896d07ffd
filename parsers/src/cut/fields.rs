//! Where pgAudit's fields end in a text that is handed over piece by piece.
//!
//! A field ends at a comma outside of quotes, and a quote inside of them is doubled. Where one ends in what is left out of a row, the fields behind
//! it would each be taken for the one before.

use memchr::memchr;

/// Where in a field the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fields {
    /// At its beginning.
    #[default]
    Start,
    /// In one without quotes, or behind the quotes of one.
    Bare,
    Quoted,
    /// Behind a quote inside quotes: the end, or half of a doubled one.
    Quote,
}

impl Fields {
    /// Goes on through the text's next bytes; where the first field ends that ends in them.
    pub(super) fn pass(&mut self, text: &[u8]) -> Option<usize> {
        let (mut first, mut at) = (None, 0);
        while let Some(byte) = text.get(at) {
            at += match (*self, byte) {
                (Fields::Quoted, _) => match memchr(b'"', &text[at..]) {
                    Some(quote) => {
                        *self = Fields::Quote;
                        quote + 1
                    }
                    None => break,
                },
                (Fields::Bare | Fields::Start | Fields::Quote, b',') => {
                    first.get_or_insert(at);
                    *self = Fields::Start;
                    1
                }
                (Fields::Start | Fields::Quote, b'"') => {
                    *self = Fields::Quoted;
                    1
                }
                _ => {
                    *self = Fields::Bare;
                    memchr(b',', &text[at..]).unwrap_or(text.len() - at)
                }
            };
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_at_commas_outside_of_quotes_however_they_come() {
        let text = b"SESSION,1,,\"a,\"\",b\",\"\"\"\",x\"y,";
        let ends: Vec<usize> = vec![7, 9, 10, 19, 24, 28];
        for step in 1..text.len() {
            let (mut fields, mut found, mut at) = (Fields::default(), Vec::new(), 0);
            for piece in text.chunks(step) {
                // One byte at a time, each of them may be an end.
                for byte in piece.chunks(1) {
                    found.extend(fields.pass(byte).map(|_| at));
                    at += 1;
                }
            }
            assert_eq!(found, ends);
            let mut fields = Fields::default();
            let firsts: Vec<_> = text.chunks(step).map(|piece| fields.pass(piece)).collect();
            let whole = firsts.iter().enumerate().find_map(|(index, first)| first.map(|first| index * step + first));
            assert_eq!(whole, Some(7));
        }
    }
}
