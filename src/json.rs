//! Writing JSON text from bytes, without a tree and without allocation.
//!
//! Bytes that are not UTF-8 become U+FFFD; whoever needs them as they were keeps them in base64 beside the text.

/// Writes `text` as a JSON string, quotes included.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes `text` as the inside of a JSON string.
pub fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    // Almost all is UTF-8, and to find that out at once is much faster than by chunks.
    if std::str::from_utf8(text).is_ok() {
        return escaped_utf8(out, text);
    }
    for chunk in text.utf8_chunks() {
        escaped_utf8(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// The same for text that is known to be UTF-8: copies runs that need no escape.
pub fn escaped_utf8(out: &mut Vec<u8>, text: &[u8]) {
    if let Some(short) = Short::of(text)
        && short.is_plain()
    {
        return short.append_to(out);
    }
    match first_to_escape(text) {
        None => out.extend_from_slice(text),
        Some(first) => escaped_from(out, text, first),
    }
}

/// The same where `first` is the first byte that needs an escape.
#[inline(never)]
fn escaped_from(out: &mut Vec<u8>, text: &[u8], first: usize) {
    let (mut rest, mut found) = (text, Some(first));
    while let Some(at) = found {
        out.extend_from_slice(&rest[..at]);
        escape(out, rest[at]);
        rest = &rest[at + 1..];
        found = next_to_escape(rest);
    }
    out.extend_from_slice(rest);
}

/// Where one byte needs an escape the next one mostly stands near: in JSON within JSON there are eight bytes between quotes. The first mark is always true,
/// since the text is UTF-8 and has no 0xff, from which a bit could be carried.
#[inline]
fn next_to_escape(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| needs_escape(byte)).map(|at| words.len() * 8 + at)
}

#[inline]
fn first_to_escape(text: &[u8]) -> Option<usize> {
    let plain = plain_len(text);
    text[plain..].iter().position(|&byte| needs_escape(byte)).map(|at| plain + at)
}

/// How many bytes at the start are known to need no escape. Most texts need none: of their last bytes some are looked at twice.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let Some(last) = text.last_chunk() else { return 0 };
    let (chunks, _) = text.as_chunks();
    let plain = chunks.iter().take_while(|chunk| !has_to_escape(chunk)).count();
    if plain == chunks.len() && !has_to_escape(last) { text.len() } else { plain * 16 }
}

/// Asked one by one, each is three instructions for all sixteen bytes; asked together, the compiler turns them into many more.
#[inline(always)]
fn has_to_escape(chunk: &[u8; 16]) -> bool {
    let any = |is: fn(u8) -> bool| chunk.iter().fold(false, |any, byte| any | is(*byte));
    // With one bit turned, the quote is next to the control bytes.
    any(|byte| byte ^ 2 < 0x21) | any(|byte| byte == b'\\') | any(|byte| byte == 0x7f)
}

/// A text of 4 to 16 bytes in two words that overlap: most names are, and a call to copy so few bytes costs more than the bytes.
#[derive(Clone, Copy)]
struct Short {
    first: u64,
    last: u64,
    len: usize,
    /// Of each word.
    bytes: usize,
}

impl Short {
    #[inline(always)]
    fn of(text: &[u8]) -> Option<Self> {
        let len = text.len();
        let (first, last, bytes) = match (text.first_chunk(), text.last_chunk(), text.first_chunk(), text.last_chunk())
        {
            (Some(first), Some(last), ..) if len <= 16 => (u64::from_le_bytes(*first), u64::from_le_bytes(*last), 8),
            (None, _, Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)), 4)
            }
            _ => return None,
        };
        Some(Short { first, last, len, bytes })
    }

    /// Whether none of its bytes needs an escape.
    #[inline(always)]
    fn is_plain(self) -> bool {
        match self.bytes {
            8 => marks(self.first) | marks(self.last) == 0,
            _ => marks(self.first << 32 | self.last) == 0,
        }
    }

    #[inline(always)]
    fn append_to(self, out: &mut Vec<u8>) {
        let text = u128::from(self.first) | u128::from(self.last) << (8 * (self.len - self.bytes));
        let end = out.len() + self.len;
        out.extend_from_slice(&text.to_le_bytes());
        out.truncate(end);
    }
}

/// Marks those of eight bytes that need an escape. Above the first, others may be marked as well: bits are borrowed and carried upwards.
#[inline]
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // With one bit turned, the quote is next to the control bytes.
    let control_or_quote = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    let del = word.wrapping_add(ONES);
    (control_or_quote | backslash | del) & !word & HIGHS
}

/// DEL is legal in JSON, but a terminal should not get it raw.
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f)
}

/// Writes a number in decimal.
pub fn unsigned(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes a number in decimal, with its sign.
pub fn signed(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(other >> 4)]);
            out.push(HEX[usize::from(other & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_backslashes_and_control_bytes_are_escaped() {
        assert_eq!(written(b"a\"b\\c\nd\x1b\x7f"), r#""a\"b\\c\nd\u001b\u007f""#);
    }

    #[test]
    fn bytes_that_are_not_utf8_become_the_replacement_character() {
        assert_eq!(written(b"a\xffb"), "\"a\u{FFFD}b\"");
    }

    #[test]
    fn every_byte_is_found_wherever_it_stands_among_others() {
        for byte in 0..=u8::MAX {
            for len in 1..40 {
                for (at, around) in (0..len).flat_map(|at| [b'a', 0x80, 0xff, 0x20].map(|around| (at, around))) {
                    let mut text = vec![around; len];
                    text[at] = byte;
                    let plain = text.iter().position(|&byte| needs_escape(byte));
                    assert_eq!(first_to_escape(&text), plain, "{byte:#x} at {at} of {len} among {around:#x}");
                }
            }
        }
    }

    #[test]
    fn texts_of_every_length_are_written_whole() {
        let all: Vec<u8> = (b'a'..=b'z').chain(b'A'..=b'Z').collect();
        for text in
            (0..all.len()).flat_map(|from| (from..all.len()).map(move |to| (from, to))).map(|(from, to)| &all[from..to])
        {
            assert_eq!(written(text).as_bytes(), [b"\"", text, b"\""].concat());
        }
    }

    #[test]
    fn every_byte_of_a_short_text_is_looked_at() {
        for (byte, len) in (0..=0x7f).flat_map(|byte| (1..20).map(move |len| (byte, len))) {
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = byte;
                let mut expected = b"\"".to_vec();
                text.iter().for_each(|&byte| {
                    if needs_escape(byte) { escape(&mut expected, byte) } else { expected.push(byte) }
                });
                expected.push(b'"');
                assert_eq!(written(&text).as_bytes(), expected, "{byte:#x} at {at} of {len}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_json_string_that_reads_back_as_their_lossy_text(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let back: String = serde_json::from_str(&written(&text)).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&text).into_owned());
        }

        #[test]
        fn what_needs_an_escape_is_found_wherever_it_stands(text in proptest::collection::vec(prop_oneof![any::<char>(), prop::char::range('\0', '"'), Just('\\'), Just('\x7f')], 0..40)) {
            let text = text.into_iter().collect::<String>().into_bytes();
            prop_assert_eq!(next_to_escape(&text), text.iter().position(|&byte| needs_escape(byte)));
        }

        #[test]
        fn numbers_are_written_in_decimal(number in any::<i64>()) {
            let mut out = Vec::new();
            signed(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }

        #[test]
        fn so_are_those_of_any_length(number in any::<u64>(), bits in 0..64_u32) {
            let (mut out, number) = (Vec::new(), number >> bits);
            unsigned(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
