//! Numbers as text, without an allocation.

use std::fmt::Write;

use arrayvec::ArrayString;

use crate::scratch::Room;

/// As long as the longest number of 64 bits.
pub(crate) type Digits = ArrayString<20>;

/// In decimal.
pub(crate) fn decimal(number: i64) -> Digits {
    let mut digits = Digits::new();
    // Every number fits.
    let _ = write!(digits, "{number}");
    digits
}

/// In decimal, in the row's room.
pub(crate) fn in_room<'a>(number: i64, room: &mut Room<'a>) -> &'a [u8] {
    let digits = decimal(number);
    room.write(|out| {
        let len = digits.len().min(out.len());
        out[..len].copy_from_slice(&digits.as_bytes()[..len]);
        len
    })
}

/// What digits say, and nothing but digits; `None` of none, and of a number that needs more than 64 bits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}
