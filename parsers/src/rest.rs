//! JSON members that no field took: kept as they stand, with commas between them.

use crate::scratch::Room;

/// Empty, and without memory of its own, on most rows.
#[derive(Debug, Default)]
pub(crate) struct Rest<'a> {
    parts: Vec<&'a [u8]>,
}

impl<'a> Rest<'a> {
    /// `raw` is key, colon and value.
    pub(crate) fn push(&mut self, raw: &'a [u8]) {
        self.parts.push(raw);
    }

    /// Takes what another holds.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.parts.append(&mut other.parts);
    }

    /// Needs as much room as the object is long that they stand in.
    pub(crate) fn joined(&self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        match *self.parts.as_slice() {
            [] => None,
            [only] => Some(only),
            _ => Some(room.write(|out| self.write(out))),
        }
    }

    fn write(&self, out: &mut [u8]) -> usize {
        let mut len = 0;
        for (index, part) in self.parts.iter().enumerate() {
            for bytes in [if index == 0 { &b""[..] } else { b"," }, part] {
                let free = out.get_mut(len..).unwrap_or_default();
                let copied = bytes.len().min(free.len());
                free[..copied].copy_from_slice(&bytes[..copied]);
                len += copied;
            }
        }
        len
    }
}
