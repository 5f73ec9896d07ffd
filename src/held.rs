//! Pieces of rows that wait for the others of their row.
//!
//! Some engines tell of one act in several rows, some carriers cut a row into chunks. What belongs together becomes one record, and until
//! its last piece is there the first ones are held back, here. Nothing waits for ever, and nothing is dropped: past a bound, in time or
//! in bytes, a row comes out as it is.
//!
//! Each seal names what is held, so that an agent that was killed reads just those bytes again.

use sealtrail_parsers::Piece;

use crate::event::Place;
use crate::limits::{HELD_BYTES_MAX, HELD_CHUNK_MS, HELD_PART_MS, HELD_PIECES_MAX};

/// The rows of one file that are not whole yet, in the order in which they began.
#[derive(Debug, Default)]
pub struct Held {
    rows: Vec<Waiting>,
    pieces: usize,
    bytes: usize,
    /// Nobody waits any longer.
    expired: bool,
}

/// A row that is not whole yet.
#[derive(Debug)]
pub struct Waiting {
    writer: Vec<u8>,
    row: u64,
    /// Its last piece says that it is the last; else its writer's next row, or silence, does.
    has_end: bool,
    pieces: Vec<(Place, Vec<u8>)>,
    /// The number of the last of them.
    last_number: u32,
    /// When the last of them came, by the boot clock.
    since_ms: u64,
}

impl Held {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps a piece until its row is whole.
    pub fn hold(&mut self, piece: &Piece<'_>, place: Place, frame: &[u8], now_ms: u64) {
        self.pieces += 1;
        self.bytes += frame.len();
        let index = self.index(piece.writer, |row| row == piece.row).unwrap_or_else(|| {
            let (writer, has_end) = (piece.writer.to_vec(), piece.is_last.is_some());
            self.rows.push(Waiting {
                writer,
                row: piece.row,
                has_end,
                pieces: Vec::new(),
                last_number: 0,
                since_ms: now_ms,
            });
            self.rows.len() - 1
        });
        let waiting = &mut self.rows[index];
        waiting.pieces.push((place, frame.to_vec()));
        waiting.last_number = piece.number;
        waiting.since_ms = now_ms;
    }

    /// What waits for this piece.
    pub fn take_row_of(&mut self, piece: &Piece<'_>) -> Option<Waiting> {
        let index = self.index(piece.writer, |row| row == piece.row)?;
        Some(self.remove(index))
    }

    /// A row of the same writer that is over, since this piece is of another, or is a first one behind pieces without numbers.
    pub fn take_row_before(&mut self, piece: &Piece<'_>) -> Option<Waiting> {
        let is_over = |row: &Waiting| row.row != piece.row || (piece.number == 1 && row.last_number <= 1);
        let index = self.rows.iter().position(|row| row.writer == piece.writer && is_over(row))?;
        Some(self.remove(index))
    }

    /// The oldest row, if more is held than may be, or nothing of it has come for so long that nothing will.
    pub fn take_overdue(&mut self, now_ms: u64) -> Option<Waiting> {
        let now = self.expired || self.pieces > HELD_PIECES_MAX || self.bytes > HELD_BYTES_MAX;
        let overdue =
            self.rows.iter().position(|row| now || now_ms.saturating_sub(row.since_ms) >= row.patience_ms())?;
        Some(self.remove(overdue))
    }

    /// Gives up every row: each comes out as it is.
    pub fn expire(&mut self) {
        self.expired = !self.rows.is_empty();
    }

    /// The oldest row, whole or not.
    pub fn take_next(&mut self) -> Option<Waiting> {
        (!self.rows.is_empty()).then(|| self.remove(0))
    }

    /// When the first of the rows is given up, by the boot clock.
    pub fn due_ms(&self) -> Option<u64> {
        self.rows.iter().map(|row| row.since_ms + row.patience_ms()).min()
    }

    /// Where all that is held stands in the file, in its order; pieces that stand side by side are one place.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.rows.iter().flat_map(Waiting::places).collect();
        places.sort_by_key(|place| place.offset);
        places.dedup_by(|next, before| {
            let follows = before.offset + before.length == next.offset;
            before.length += if follows { next.length } else { 0 };
            follows
        });
        places
    }

    fn index(&self, writer: &[u8], fits: impl Fn(u64) -> bool) -> Option<usize> {
        self.rows.iter().position(|waiting| waiting.writer == writer && fits(waiting.row))
    }

    fn remove(&mut self, index: usize) -> Waiting {
        let waiting = self.rows.remove(index);
        self.expired &= !self.rows.is_empty();
        self.pieces -= waiting.pieces.len();
        self.bytes -= waiting.pieces.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        waiting
    }
}

impl Waiting {
    /// Whether what is here may be all there is: no piece of it says that it is the last.
    pub fn may_be_whole(&self) -> bool {
        !self.has_end
    }

    /// The row's last piece.
    pub fn add(&mut self, place: Place, frame: &[u8]) {
        self.pieces.push((place, frame.to_vec()));
    }

    /// Where the pieces stand, in the file's order.
    pub fn places(&self) -> Vec<Place> {
        self.pieces.iter().map(|(place, _)| *place).collect()
    }

    /// The pieces themselves, in the file's order.
    pub fn frames(&self) -> Vec<&[u8]> {
        self.pieces.iter().map(|(_, bytes)| bytes.as_slice()).collect()
    }

    /// A chunk follows the one before it at once; a statement's end may be far from its beginning.
    fn patience_ms(&self) -> u64 {
        if self.has_end { HELD_PART_MS } else { HELD_CHUNK_MS }
    }
}
