//! Frames become rows: one each, as a rule; pieces of one that are put together; several in one frame.
//!
//! Every byte of a frame becomes part of exactly one line; what no parser understands goes on as it is.

use super::Row;
use crate::event::{At, Kept, Origin, Oversize, Place, Unparsed};
use crate::frames::{Frames, Passed};
use crate::held::{Held, Waiting};
use sealtrail_parsers::{Parsed, Piece, Scratch, assemble, each, each_of, parse};
use std::sync::Arc;

impl Row<'_> {
    /// Writes a record's line; where a true record starts inside a broken one, only what stands before it.
    pub(super) fn record(&mut self, frames: &mut Frames, len: usize, scratch: &mut Scratch) {
        let frame = frames.frame(len);
        let place = Place::new(frames.offset(), len as u64);
        let len = match parse(&self.origin.dialect, frame, scratch) {
            Parsed::Record(record) => {
                self.event(place, frame, &record, None, &[]);
                len
            }
            Parsed::Unparsed { reason, retry_at } => {
                let len = retry_at.unwrap_or(len);
                let place = Place { length: len as u64, ..place };
                self.unparsed(place, Unparsed { reason, flags: &["unparsed"], kept: Kept::All(&frame[..len]) });
                len
            }
            // Of the file's own syntax: the seal's hash has it.
            Parsed::Nothing { .. } => len,
            other => {
                debug_assert!(matches!(other, Parsed::Several) || self.origin.format.comes_in_pieces());
                let piece = Owned::of(&other, self.held);
                drop(other);
                match piece {
                    Some(piece) => self.piece(&piece.borrowed(), place, frame, scratch),
                    None => self.several(place, frame, scratch),
                }
                len
            }
        };
        frames.consume(len);
    }

    /// Holds a piece back, or puts it to the others of its row.
    fn piece(&mut self, piece: &Piece<'_>, place: Place, frame: &[u8], scratch: &mut Scratch) {
        if let Some(waiting) = self.held.take_row_before(piece, self.origin) {
            self.whole(&waiting, waiting.may_be_whole(), scratch);
        }
        if piece.is_last != Some(true) {
            self.held.hold(piece, self.origin, place, frame, self.now_ms);
            while let Some(excess) = self.held.take_excess() {
                self.whole(&excess, excess.may_be_whole(), scratch);
            }
            return;
        }
        match self.held.take_row_of(piece, self.origin) {
            Some(mut waiting) => {
                waiting.add(self.origin, place, frame);
                self.whole(&waiting, true, scratch);
            }
            None => self.assembled(place, frame, &[frame], &[], true, scratch),
        }
    }

    /// Writes the line of a row that was held back. It is one of the file in which the row began.
    pub(super) fn whole(&mut self, waiting: &Waiting, complete: bool, scratch: &mut Scratch) {
        let (places, frames) = (waiting.places(), waiting.frames());
        let (Some(origin), Some(first)) = (waiting.origin(), places.first()) else { return };
        let all = frames.concat();
        let pieces = if places.len() > 1 { &places[..] } else { &[] };
        let place = Place::new(first.place.offset, all.len() as u64);
        let before = (self.block.rows.read, self.begun_elsewhere.len() as u64);
        self.of(origin).assembled(place, &all, &frames, pieces, complete, scratch);
        if origin.file != self.origin.file {
            let told_of = before.0 + self.begun_elsewhere.len() as u64 - before.1;
            self.begun_elsewhere.extend((told_of..self.block.rows.read).map(|_| origin.file));
        }
    }

    /// The same for a row of another file.
    fn of<'r>(&'r mut self, origin: &'r Arc<Origin>) -> Row<'r> {
        Row {
            clock: self.clock,
            origin,
            server: self.server,
            classify: self.classify,
            redactor: self.redactor,
            readings: self.readings,
            identity: self.identity,
            chosen: self.chosen,
            taken: self.taken,
            block: self.block,
            source: self.source,
            held: self.held,
            begun_elsewhere: self.begun_elsewhere,
            now_ms: self.now_ms,
            written_ms: self.written_ms,
        }
    }

    fn assembled(
        &mut self,
        place: Place,
        all: &[u8],
        frames: &[&[u8]],
        pieces: &[At<'_>],
        complete: bool,
        scratch: &mut Scratch,
    ) {
        let parsed = assemble(&self.origin.dialect, frames, complete, scratch);
        if matches!(parsed, Parsed::Several) {
            drop(parsed);
            let alone = [At { origin: self.origin, place }];
            return self.several_of(if pieces.is_empty() { &alone } else { pieces }, frames, scratch);
        }
        match parsed {
            Parsed::Record(record) => self.event(place, all, &record, None, pieces),
            Parsed::Unparsed { reason, .. } => {
                self.unparsed(place, Unparsed { reason, flags: &["unparsed"], kept: Kept::All(all) });
            }
            Parsed::Nothing { .. } => {}
            Parsed::Piece(_) | Parsed::Several => debug_assert!(false, "what is assembled is whole"),
        }
    }

    /// Writes the lines of all rows in frames that stand at these places. Each is one of the file in which it begins.
    fn several_of(&mut self, places: &[At<'_>], frames: &[&[u8]], scratch: &mut Scratch) {
        let (of_first, file) = (self.origin, self.origin.file);
        each_of(&of_first.dialect, frames, scratch, &mut |parsed, span| {
            let (at, of_row) = (&places[span.first..=span.last], &frames[span.first..=span.last]);
            let Some(first) = at.first() else { return };
            let all = of_row.concat();
            let place = Place { offset: first.place.offset, length: all.len() as u64, part: span.part };
            let mut row = self.of(first.origin);
            match parsed {
                Parsed::Record(record) => row.event(place, &all, &record, None, if at.len() > 1 { at } else { &[] }),
                Parsed::Unparsed { reason, .. } => {
                    row.unparsed(place, Unparsed { reason, flags: &["unparsed"], kept: Kept::All(&all) });
                }
                Parsed::Nothing { .. } => return,
                Parsed::Piece(_) | Parsed::Several => debug_assert!(false, "a row among several is whole"),
            }
            if first.origin.file != file {
                self.begun_elsewhere.push(first.origin.file);
            }
        });
    }

    /// Writes the lines of all rows in one frame.
    fn several(&mut self, place: Place, frame: &[u8], scratch: &mut Scratch) {
        let dialect = &self.origin.dialect;
        let mut place = place;
        each(dialect, frame, scratch, &mut |row| {
            match row {
                Parsed::Record(record) => self.event(place, frame, &record, None, &[]),
                Parsed::Unparsed { reason, .. } => {
                    self.unparsed(place, Unparsed { reason, flags: &["unparsed"], kept: Kept::All(frame) });
                }
                Parsed::Nothing { .. } => return,
                Parsed::Piece(_) | Parsed::Several => debug_assert!(false, "a row among several is whole"),
            }
            place.part += 1;
        });
    }

    pub(super) fn damaged(&mut self, frames: &mut Frames, len: usize, reason: &'static str) {
        let place = Place::new(frames.offset(), len as u64);
        self.unparsed(place, Unparsed { reason, flags: &["damaged"], kept: Kept::All(frames.frame(len)) });
        frames.consume(len);
    }

    /// Parses what is left of a record when the middle of its long texts is taken out.
    pub(super) fn oversize(
        &mut self,
        frames: &mut Frames,
        len: usize,
        torn: Option<&'static str>,
        scratch: &mut Scratch,
    ) {
        let offset = frames.offset();
        let Some(Passed { cut: Some(cut), length, sha256 }) = frames.take_passed(len) else { return };
        let place = Place::new(offset, length);
        let oversize = Oversize { length, sha256, head: cut.head(), tail: cut.tail() };
        let (reason, flags): (_, &[_]) = match (torn, cut.shortened()) {
            (Some(reason), _) => (reason, &["damaged", "oversize"]),
            (None, None) => (TOO_MANY_TEXTS, &["unparsed", "oversize"]),
            (None, Some(shortened)) => match parse(&self.origin.dialect, &shortened, scratch) {
                Parsed::Record(record) => return self.event(place, &shortened, &record, Some(&oversize), &[]),
                Parsed::Unparsed { reason, .. } => (reason, &["unparsed", "oversize"]),
                Parsed::Nothing { what } => (what, &["unparsed", "oversize"]),
                Parsed::Piece(_) | Parsed::Several => (TOO_MANY_TEXTS, &["unparsed", "oversize"]),
            },
        };
        self.unparsed(place, Unparsed { reason, flags, kept: Kept::Ends(&oversize) });
    }

    pub(super) fn zeros(&mut self, frames: &mut Frames) {
        let offset = frames.offset();
        let Some(Passed { length, .. }) = frames.take_passed(0) else { return };
        let why = Unparsed { reason: ZEROS, flags: &["zeros"], kept: Kept::Nothing };
        self.unparsed(Place::new(offset, length), why);
    }
}

/// What a piece says of itself, apart from the bytes that it was read from.
struct Owned {
    writer: Vec<u8>,
    piece: Piece<'static>,
}

impl Owned {
    /// `None`: several rows. Who writes matters only where something is held.
    fn of(parsed: &Parsed<'_>, held: &Held) -> Option<Self> {
        let Parsed::Piece(piece) = parsed else { return None };
        let is_alone = held.is_empty() && piece.is_last == Some(true);
        let writer = if is_alone { Vec::new() } else { piece.writer.to_vec() };
        Some(Owned { writer, piece: Piece { writer: b"", ..*piece } })
    }

    fn borrowed(&self) -> Piece<'_> {
        Piece { writer: &self.writer, ..self.piece }
    }
}

const TOO_MANY_TEXTS: &str = "larger than record_max_bytes, and with more texts than a row has";
const ZEROS: &str = "NUL bytes: a hole in the file";
