//! A piece of a text, by its place.

/// Where something stands in a text: bytes `start..end`. Both are offsets of the text that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Nothing. What is optional and absent is this.
    pub const NONE: Span = Span { start: 0, end: 0 };

    /// From `start` up to `end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Span { start, end }
    }

    /// Whether there is nothing.
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// How many bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The bytes, of the text that was read. Of a shorter text: none.
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// From the beginning of one to the end of the other; an empty one does not count.
    pub const fn to(self, other: Span) -> Span {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Span { start: self.start, end: other.end },
        }
    }
}
