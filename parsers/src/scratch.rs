//! Room for unescaped text, kept between rows.
//!
//! A parsed record borrows from its frame where the bytes stand as they are, and from here where they had to be
//! unescaped. The room is sized before parsing starts and handed out front to back, so that no slice ever moves.

use std::collections::VecDeque;

/// Reusable room for one row's unescaped text.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    /// For the rows of another format inside, and for their pieces; none where there never were any.
    inside: Option<Box<(Scratch, Scratch)>>,
    /// Of envelopes that were looked at, and whose rows are told soon.
    pub(crate) unpacked: Unpacked,
}

impl Scratch {
    /// Empty; grows to the largest row it has seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room of `len` bytes, forgetting what the previous row left.
    pub(crate) fn room(&mut self, len: usize) -> Room<'_> {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        Room { free: &mut self.bytes }
    }

    /// The same, and a scratch for rows that are parsed out of what stands in the room.
    pub(crate) fn room_and_inside(&mut self, len: usize) -> (Room<'_>, &mut Scratch) {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        (Room { free: &mut self.bytes }, &mut self.inside.get_or_insert_default().0)
    }

    /// Two of them, for what is parsed in two ways.
    pub(crate) fn two(&mut self) -> (&mut Scratch, &mut Scratch) {
        let (first, second) = self.inside.get_or_insert_default().as_mut();
        (first, second)
    }

    /// The first `len` bytes as the last room left them, and room of `more` bytes behind them.
    pub(crate) fn behind(&mut self, len: usize, more: usize) -> (&[u8], Room<'_>) {
        if self.bytes.len() < len + more {
            self.bytes.resize(len + more, 0);
        }
        let (written, free) = self.bytes.split_at_mut(len);
        (written, Room { free })
    }

    /// Gives memory back beyond `keep` bytes: called when a file has gone quiet.
    pub fn shrink(&mut self, keep: usize) {
        if self.bytes.len() > keep {
            self.bytes.truncate(keep);
            self.bytes.shrink_to_fit();
        }
        if self.unpacked.len > keep {
            self.unpacked = Unpacked::default();
        }
        if let Some(inside) = &mut self.inside {
            inside.0.shrink(keep);
            inside.1.shrink(keep);
        }
    }
}

/// What a few packed texts hold, so that what is looked at twice is unpacked once.
///
/// A text is known by all its bytes. What is not here any more is unpacked again: nothing depends on it but time.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Packed and unpacked, the oldest first.
    texts: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// Of all of them, in bytes.
    len: usize,
}

/// An envelope waits for the next one of its stream, and a delivery unpacks to a megabyte or so: enough for a few streams.
const UNPACKED_KEPT_MAX: usize = 4 << 20;

/// So many of them: all are looked through for one.
const UNPACKED_TEXTS_MAX: usize = 64;

impl Unpacked {
    /// Keeps it in place of the oldest, unless it is too large.
    pub(crate) fn keep(&mut self, packed: &[u8], unpacked: Vec<u8>) {
        let len = packed.len() + unpacked.capacity();
        if len > UNPACKED_KEPT_MAX {
            return;
        }
        while self.len + len > UNPACKED_KEPT_MAX || self.texts.len() == UNPACKED_TEXTS_MAX {
            let Some((packed, unpacked)) = self.texts.pop_front() else { break };
            self.len -= packed.len() + unpacked.capacity();
        }
        self.len += len;
        self.texts.push_back((packed.to_vec(), unpacked));
    }

    /// Takes it out again.
    pub(crate) fn take(&mut self, packed: &[u8]) -> Option<Vec<u8>> {
        let index = self.texts.iter().position(|(key, _)| key == packed)?;
        let (packed, unpacked) = self.texts.remove(index)?;
        self.len -= packed.len() + unpacked.capacity();
        Some(unpacked)
    }
}

/// What is left of a row's room.
pub(crate) struct Room<'a> {
    free: &'a mut [u8],
}

impl<'a> Room<'a> {
    /// Copies with `fill`, which gets all the free room and says how many bytes it wrote.
    pub(crate) fn write(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> &'a [u8] {
        let free = std::mem::take(&mut self.free);
        let len = fill(free).min(free.len());
        let (written, rest) = free.split_at_mut(len);
        self.free = rest;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unpacked_is_there_once_and_the_oldest_goes_first() {
        let mut unpacked = Unpacked::default();
        let text = |number: u8| vec![number; UNPACKED_KEPT_MAX / 4];
        for number in 0..5 {
            unpacked.keep(&[number; 9], text(number));
        }
        assert!(unpacked.len <= UNPACKED_KEPT_MAX);
        assert_eq!([0, 1].map(|number| unpacked.take(&[number; 9])), [None, None], "there was no room for them");
        assert_eq!((unpacked.take(&[3; 9]), unpacked.take(&[3; 9])), (Some(text(3)), None));
        unpacked.keep(b"large", vec![0; UNPACKED_KEPT_MAX]);
        assert_eq!(unpacked.take(b"large"), None);
        (0..200).for_each(|number| unpacked.keep(&[number], Vec::new()));
        assert_eq!(unpacked.texts.len(), UNPACKED_TEXTS_MAX);
        (0..200).for_each(|number| _ = unpacked.take(&[number]));
        assert_eq!(unpacked.take(&[4; 9]).map(|text| text.len()), None);
        assert_eq!((unpacked.len, unpacked.texts.len()), (0, 0));
    }

    #[test]
    fn nothing_is_kept_when_it_is_quiet() {
        let mut scratch = Scratch::new();
        scratch.unpacked.keep(b"packed", vec![0; 2 << 20]);
        scratch.shrink(1 << 20);
        assert_eq!(scratch.unpacked.take(b"packed"), None);
    }
}
