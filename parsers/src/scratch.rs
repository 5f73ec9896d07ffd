//! Room for unescaped text, kept between rows.
//!
//! A parsed record borrows from its frame where the bytes stand as they are, and from here where they had to be
//! unescaped. The room is sized before parsing starts and handed out front to back, so that no slice ever moves.

/// Reusable room for one row's unescaped text.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    /// For the rows of another format inside, and for their pieces; none where there never were any.
    inside: Option<Box<(Scratch, Scratch)>>,
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
        if let Some(inside) = &mut self.inside {
            inside.0.shrink(keep);
            inside.1.shrink(keep);
        }
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
