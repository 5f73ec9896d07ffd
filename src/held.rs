//! Pieces of rows that wait for the others of their row.
//!
//! Some engines tell of one act in several rows, some carriers cut a row into chunks. What belongs together becomes one record, and until
//! its last piece is there the first ones are held back, here. Nothing waits for ever, and nothing is dropped: past a bound, in time or
//! in bytes, a row comes out as it is.
//!
//! A log is rotated whenever it is full, so that a row may begin in one file and end in the next: what is held is shared by the files that
//! follow each other in one log's place (`tail/lineage.rs`), and each piece knows its file.
//!
//! Each seal names what is held, so that an agent that was killed reads just those bytes again.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealtrail_parsers::Piece;

use crate::event::{At, Origin, Place};
use crate::limits::{HELD_BYTES_MAX, HELD_CHUNK_MS, HELD_NESTED_MAX, HELD_PART_MS, HELD_PIECES_MAX};
use crate::sessions::numbered::FileId;

/// The rows of one log that are not whole yet, in the order in which they began.
#[derive(Debug, Default)]
pub struct Held {
    rows: Vec<Waiting>,
    pieces: usize,
    bytes: usize,
}

/// A row that is not whole yet.
#[derive(Debug)]
pub struct Waiting {
    writer: Vec<u8>,
    row: u64,
    /// Its last piece says that it is the last; else its writer's next row, or silence, does.
    has_end: bool,
    pieces: Vec<(Arc<Origin>, Place, Vec<u8>)>,
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
    pub fn hold(&mut self, piece: &Piece<'_>, origin: &Arc<Origin>, place: Place, frame: &[u8], now_ms: u64) {
        self.pieces += 1;
        self.bytes += frame.len();
        let index = self.index_of(piece, origin).unwrap_or_else(|| {
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
        waiting.add(origin, place, frame);
        waiting.last_number = piece.number;
        waiting.since_ms = now_ms;
    }

    /// What waits for this piece.
    pub fn take_row_of(&mut self, piece: &Piece<'_>, origin: &Origin) -> Option<Waiting> {
        let index = self.index_of(piece, origin)?;
        Some(self.remove(index))
    }

    /// A row of the same writer that is over, since this piece is of another, or is a first one behind pieces without numbers. Where a row's
    /// last piece says so, another may begin before it: a procedure's statements stand between the tables and the end of its call.
    pub fn take_row_before(&mut self, piece: &Piece<'_>, origin: &Origin) -> Option<Waiting> {
        let of_writer = |row: &&Waiting| row.writer == piece.writer && row.is_of_format_of(origin);
        let rows = self.rows.iter().filter(of_writer).count();
        let is_over = |row: &Waiting| match row.row == piece.row {
            true => piece.number == 1 && row.last_number <= 1,
            false => !row.has_end || rows > HELD_NESTED_MAX,
        };
        let index = self.rows.iter().position(|row| of_writer(&row) && is_over(row))?;
        Some(self.remove(index))
    }

    /// The oldest row, if more is held than may be.
    pub fn take_excess(&mut self) -> Option<Waiting> {
        let too_much = self.pieces > HELD_PIECES_MAX || self.bytes > HELD_BYTES_MAX;
        (too_much && !self.rows.is_empty()).then(|| self.remove(0))
    }

    /// A row of which nothing has come for so long that nothing will.
    pub fn take_overdue(&mut self, now_ms: u64) -> Option<Waiting> {
        let is_overdue = |row: &Waiting| now_ms.saturating_sub(row.since_ms) >= row.patience_ms();
        let overdue = self.rows.iter().position(is_overdue)?;
        Some(self.remove(overdue))
    }

    /// A row of which some piece stands in this file, whole or not.
    pub fn take_next_of(&mut self, file: FileId) -> Option<Waiting> {
        let index = self.rows.iter().position(|row| row.stands_in(file))?;
        Some(self.remove(index))
    }

    /// Whether some piece that is held stands in this file.
    pub fn has_any_of(&self, file: FileId) -> bool {
        self.rows.iter().any(|row| row.stands_in(file))
    }

    /// When the first of the rows is given up, by the boot clock.
    pub fn due_ms(&self) -> Option<u64> {
        self.rows.iter().map(|row| row.since_ms + row.patience_ms()).min()
    }

    /// Where all that is held stands, by the files' ids and in each file's order; pieces that stand side by side are one place.
    pub fn places(&self) -> Vec<(&str, Place)> {
        let mut files: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for at in self.rows.iter().flat_map(Waiting::places) {
            files.entry(at.origin.file_id()).or_default().push(at.place);
        }
        let merged = files.into_iter().flat_map(|(file, places)| merged(places).into_iter().map(move |at| (file, at)));
        merged.collect()
    }

    /// The row that a piece is of. Files of one log may be of two formats, whose rows have nothing to do with each other.
    fn index_of(&self, piece: &Piece<'_>, origin: &Origin) -> Option<usize> {
        let is_it = |row: &Waiting| row.row == piece.row && row.writer == piece.writer && row.is_of_format_of(origin);
        self.rows.iter().position(is_it)
    }

    fn remove(&mut self, index: usize) -> Waiting {
        let waiting = self.rows.remove(index);
        self.pieces -= waiting.pieces.len();
        self.bytes -= waiting.pieces.iter().map(|(.., bytes)| bytes.len()).sum::<usize>();
        waiting
    }
}

impl Waiting {
    /// Whether what is here may be all there is: no piece of it says that it is the last.
    pub fn may_be_whole(&self) -> bool {
        !self.has_end
    }

    /// Where its first piece stands.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.pieces.first().map(|(origin, ..)| origin)
    }

    /// The row's next piece.
    pub fn add(&mut self, origin: &Arc<Origin>, place: Place, frame: &[u8]) {
        self.pieces.push((Arc::clone(origin), place, frame.to_vec()));
    }

    /// Where the pieces stand, in their order.
    pub fn places(&self) -> Vec<At<'_>> {
        self.pieces.iter().map(|(origin, place, _)| At { origin, place: *place }).collect()
    }

    /// The pieces themselves, in their order.
    pub fn frames(&self) -> Vec<&[u8]> {
        self.pieces.iter().map(|(.., bytes)| bytes.as_slice()).collect()
    }

    fn stands_in(&self, file: FileId) -> bool {
        self.pieces.iter().any(|(origin, ..)| origin.file == file)
    }

    fn is_of_format_of(&self, other: &Origin) -> bool {
        self.pieces.first().is_some_and(|(origin, ..)| origin.format == other.format)
    }

    /// A chunk follows the one before it at once; a statement's end may be far from its beginning.
    fn patience_ms(&self) -> u64 {
        if self.has_end { HELD_PART_MS } else { HELD_CHUNK_MS }
    }
}

/// Places in a file's order; those that stand side by side as one.
fn merged(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by_key(|place| place.offset);
    places.dedup_by(|next, before| {
        let follows = before.offset + before.length == next.offset;
        before.length += if follows { next.length } else { 0 };
        follows
    });
    places
}
