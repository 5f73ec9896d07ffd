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
