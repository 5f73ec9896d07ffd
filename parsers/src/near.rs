//! Finds bytes that mostly stand near.
//!
//! Columns are short. What searches thirty-two bytes at a time has found its way by the time that a look at two words has found the
//! byte; so a search looks at the first sixteen bytes here and leaves the rest to it.

use memchr::{memchr, memchr2, memchr3};

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// As [`memchr::memchr`].
#[inline]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let equal = |word: u64| zeros(word ^ (ONES * u64::from(byte)));
    look(text, equal, |rest| memchr(byte, rest))
}

/// As [`memchr::memchr2`].
#[inline]
pub(crate) fn find2(one: u8, two: u8, text: &[u8]) -> Option<usize> {
    let (one_wide, two_wide) = (ONES * u64::from(one), ONES * u64::from(two));
    look(text, |word| zeros(word ^ one_wide) | zeros(word ^ two_wide), |rest| memchr2(one, two, rest))
}

/// Where `part` stands: a few bytes, of which the first is rare in the text.
pub(crate) fn find_part(part: &[u8], text: &[u8]) -> Option<usize> {
    let Some(&first) = part.first() else { return Some(0) };
    let mut at = 0;
    loop {
        at += find(first, text.get(at..)?)?;
        if begins(&text[at..], part) {
            return Some(at);
        }
        at += 1;
    }
}

/// As [`slice::starts_with`], of a few bytes, for which a call of the library's comparison is long.
#[inline]
pub(crate) fn begins(text: &[u8], part: &[u8]) -> bool {
    text.len() >= part.len() && text.iter().zip(part).all(|(byte, of_part)| byte == of_part)
}

/// Whether one of the three stands anywhere.
#[inline]
pub(crate) fn has_any(bytes: [u8; 3], text: &[u8]) -> bool {
    let found = |word: u64| {
        let [one, two, three] = bytes.map(|byte| zeros(word ^ (ONES * u64::from(byte))));
        one | two | three
    };
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => {
            found(u64::from_le_bytes(*first)) | found(u64::from_le_bytes(*last)) != 0
        }
        (Some(_), _) => memchr3(bytes[0], bytes[1], bytes[2], text).is_some(),
        _ => text.iter().any(|byte| bytes.contains(byte)),
    }
}

/// `found` marks the bytes of a word that are looked for, the first of them for certain.
#[inline(always)]
fn look(text: &[u8], found: impl Fn(u64) -> u64, far: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let Some((near, rest)) = text.split_first_chunk::<16>() else { return far(text) };
    let (words, _) = near.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let marks = found(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    far(rest).map(|at| near.len() + at)
}

/// The highest bit of each byte that is 0. Bits above the lowest one may be false: a borrow runs upwards.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_found_wherever_it_stands(text in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..60), one in 0_u8..4, two in any::<u8>()) {
            prop_assert_eq!(find(one, &text), memchr(one, &text));
            prop_assert_eq!(find2(one, two, &text), memchr2(one, two, &text));
            prop_assert_eq!(find_part(&[one, two], &text), memchr::memmem::find(&text, &[one, two]));
            prop_assert_eq!(begins(&text, &[one, two]), text.starts_with(&[one, two]));
            prop_assert_eq!(has_any([one, two, 3], &text), memchr3(one, two, 3, &text).is_some());
        }
    }
}
