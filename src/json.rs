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
    for chunk in text.utf8_chunks() {
        escaped_utf8(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// The same for text that is known to be UTF-8: copies runs that need no escape.
pub fn escaped_utf8(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| NEEDS_ESCAPE[byte as usize]) {
        out.extend_from_slice(&rest[..at]);
        escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes a number in decimal.
pub fn unsigned(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a number in decimal, with its sign.
pub fn signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(out, number.unsigned_abs());
}

const NEEDS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    // DEL is legal in JSON, but a terminal should not get it raw.
    table[0x7f] = true;
    table
};

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

    proptest! {
        #[test]
        fn any_bytes_become_a_json_string_that_reads_back_as_their_lossy_text(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let back: String = serde_json::from_str(&written(&text)).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&text).into_owned());
        }

        #[test]
        fn numbers_are_written_in_decimal(number in any::<i64>()) {
            let mut out = Vec::new();
            signed(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
