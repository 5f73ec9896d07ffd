//! What was read of a segment and is not handed out yet, and where batches of it end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{FeedError, blocking};
use crate::config::plan::Choice;
use crate::disk::Disk;
use crate::journal::Head;
use crate::journal::read::{BlockReader, SegmentFile};
use crate::ship::choose;
use crate::sink::line::Head as LineHead;

/// Where a batch ends.
pub(super) struct Limits {
    /// At most so many, unless one line is longer.
    pub(super) bytes: usize,
    pub(super) choice: Choice,
}

/// A place in one segment: what was read of it and is not handed out yet.
pub(super) struct Place {
    /// The segment's first line.
    pub(super) segment: u64,
    reader: BlockReader,
    /// What was read from the beginning of the batch under construction on, the block that was read last included; empty while that block is all there is.
    held: Vec<u8>,
    /// Where the blocks end that are here, and when they were sealed.
    blocks: VecDeque<Sealed>,
    /// What of it was cut already, in bytes.
    cut_bytes: usize,
    /// The first line that is not cut.
    pub(super) cut_line: u64,
    /// The line after the block that was read last.
    pub(super) end: u64,
    /// The segment is closed, and all of it was read.
    pub(super) ended: bool,
}

/// A block.
#[derive(Clone, Copy)]
struct Sealed {
    /// Where it ends, counted as `cut_bytes`.
    end: usize,
    /// The time of its last line; `None` where nobody asks.
    unix_ms: Option<i64>,
}

/// A piece of what was read.
pub(super) struct Range {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Its last line.
    pub(super) last: u64,
}

impl Place {
    pub(super) async fn open(disk: &Arc<dyn Disk>, file: SegmentFile) -> Result<Self, FeedError> {
        blocking(disk, move |disk| {
            let reader = BlockReader::open(disk, &file.path, 0, 0)?;
            Ok(Place {
                segment: file.first,
                reader,
                held: Vec::new(),
                blocks: VecDeque::new(),
                cut_bytes: 0,
                cut_line: file.first,
                end: file.first,
                ended: false,
            })
        })
        .await
    }

    /// What was read.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.held.is_empty() { self.reader.block().bytes } else { &self.held }
    }

    /// Reads the next block, if there is one: up to the head, or up to the end of a segment that is closed. `timed`: its time is of interest.
    pub(super) fn advance(mut self, closed: bool, head: Head, timed: bool) -> Result<(Self, bool), FeedError> {
        if closed {
            self.reader.set_limit_to_end()?;
        } else {
            self.reader.set_limit(head.bytes);
        }
        self.hold_rest();
        if self.reader.next_block()?.is_none() {
            return Ok((self, false));
        }
        let block = self.reader.block();
        if !self.held.is_empty() {
            self.held.extend_from_slice(block.bytes);
        }
        self.end += block.lines;
        let unix_ms = timed.then(|| sealed_at(block.bytes)).flatten();
        self.blocks.push_back(Sealed { end: self.bytes().len(), unix_ms });
        Ok((self, true))
    }

    /// Lets go of what was cut, and keeps what was not: the reader's buffer is about to be used again.
    fn hold_rest(&mut self) {
        let cut = std::mem::take(&mut self.cut_bytes);
        if self.held.is_empty() {
            self.held.extend_from_slice(&self.reader.block().bytes[cut..]);
        } else {
            self.held.drain(..cut);
        }
        self.blocks.retain(|block| block.end > cut);
        self.blocks.iter_mut().for_each(|block| block.end -= cut);
    }

    /// Cuts what is read, up to the first piece that has something from `next_line` on.
    pub(super) fn cut(&mut self, limits: &Limits, next_line: u64, is_due: bool) -> Option<Range> {
        loop {
            let (reach, may_grow) = self.reach(limits)?;
            let rest = &self.bytes()[self.cut_bytes..reach];
            let (len, is_full) = limits.piece_len(rest);
            if len == rest.len() && may_grow && !is_full && !is_due {
                return None;
            }
            let piece = &rest[..len];
            let (from, from_line) = (self.cut_bytes, self.cut_line);
            let to_line = from_line + memchr::memchr_iter(b'\n', piece).count() as u64;
            let skipped = skip_lines(piece, next_line.saturating_sub(from_line));
            (self.cut_bytes, self.cut_line) = (from + len, to_line);
            if to_line > next_line {
                return Some(Range { from: from + skipped, to: self.cut_bytes, last: to_line - 1 });
            }
        }
    }

    /// How far the batch may go that begins with the first line that is not cut, and whether a block that is not read yet may go with it.
    /// `None` when all is cut.
    fn reach(&self, limits: &Limits) -> Option<(usize, bool)> {
        let mut blocks = self.blocks.iter().skip_while(|block| block.end <= self.cut_bytes);
        let first = blocks.next()?;
        let Some(begin_ms) = first.unix_ms else { return Some((first.end, false)) };
        let goes_along = |block: &&Sealed| {
            let later_ms = block.unix_ms.map(|unix_ms| unix_ms.saturating_sub(begin_ms));
            later_ms.and_then(|ms| u64::try_from(ms).ok()).is_some_and(|ms| ms < limits.age_ms())
        };
        let reach = blocks.take_while(goes_along).last().unwrap_or(first).end;
        Some((reach, reach == self.bytes().len() && !self.ended))
    }

    /// When the block was sealed with which the batch begins that waits for more lines.
    pub(super) fn waits_since(&self) -> Option<i64> {
        self.blocks.iter().find(|block| block.end > self.cut_bytes)?.unix_ms
    }
}

impl Limits {
    pub(super) fn age_ms(&self) -> u64 {
        u64::try_from(self.choice.batch_max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many bytes of `rest`, which ends with a newline, make a piece, and whether no further line would have room in it: whole lines, at least one.
    fn piece_len(&self, rest: &[u8]) -> (usize, bool) {
        let piece = &rest[..piece_len(rest, self.bytes)];
        match self.choice.batch_max_lines.and_then(|most| self.lines_len(piece, most)) {
            Some(len) => (len, true),
            None => (piece.len(), piece.len() >= self.bytes),
        }
    }

    /// Length of the first lines up to the one that is number `most` of those that the destination takes.
    fn lines_len(&self, piece: &[u8], most: u64) -> Option<usize> {
        let mut ends = memchr::memchr_iter(b'\n', piece).map(|newline| newline + 1);
        let nth = usize::try_from(most.checked_sub(1)?).ok()?;
        if choose::takes_all(&self.choice) {
            return ends.nth(nth);
        }
        let mut begin = 0;
        ends.filter(|end| choose::takes(&self.choice, &LineHead::of(&piece[std::mem::replace(&mut begin, *end)..*end])))
            .nth(nth)
    }
}

/// The time of a block's last line, which is its checkpoint.
fn sealed_at(lines: &[u8]) -> Option<i64> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let begin = memchr::memrchr(b'\n', lines).map_or(0, |newline| newline + 1);
    LineHead::of(&lines[begin..]).unix_ms()
}

/// How many bytes of `rest`, which ends with a newline, make a piece: whole lines, at most `most` bytes, but at least one line.
fn piece_len(rest: &[u8], most: usize) -> usize {
    if rest.len() <= most {
        return rest.len();
    }
    match memchr::memrchr(b'\n', &rest[..most]) {
        Some(newline) => newline + 1,
        None => memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1),
    }
}

/// Length of the first `count` lines.
fn skip_lines(lines: &[u8], count: u64) -> usize {
    let Some(last) = count.checked_sub(1) else { return 0 };
    memchr::memchr_iter(b'\n', lines).nth(last as usize).map_or(lines.len(), |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_and_a_long_line_is_a_piece_of_its_own() {
        assert_eq!(piece_len(b"a\nbb\nccc\n", 100), 9);
        assert_eq!(piece_len(b"a\nbb\nccc\n", 5), 5);
        assert_eq!(piece_len(b"a\nbb\nccc\n", 4), 2);
        assert_eq!(piece_len(b"long line\nb\n", 4), 10);
    }

    #[test]
    fn skipping_lines_ends_at_a_line_end() {
        assert_eq!(skip_lines(b"a\nbb\nc\n", 0), 0);
        assert_eq!(skip_lines(b"a\nbb\nc\n", 2), 5);
    }
}
