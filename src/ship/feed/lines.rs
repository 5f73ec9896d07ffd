//! Lines up to the head, a batch at a time or several that may be under way together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::place::{Limits, Place, Range};
use super::{FeedError, Given, Moment, Next, blocking, holding, list};
use crate::disk::Disk;
use crate::journal::Head;
use crate::sink::Lines;

/// Lines up to the head.
pub(super) struct LineFeed {
    disk: Arc<dyn Disk>,
    journal: PathBuf,
    next_line: u64,
    limits: Limits,
    /// `None` until there is something to read, and between segments.
    place: Option<Place>,
    /// The first line of the batch that waits for more, and until when, by the boot clock.
    due: Option<(u64, u64)>,
    /// What was handed out last.
    pieces: Vec<Piece>,
}

/// A batch.
struct Piece {
    first: u64,
    range: Range,
    /// Its bytes, where what it was cut from is no longer what is read.
    held: Option<Vec<u8>>,
}

impl LineFeed {
    /// Stands at `next_line`.
    pub(super) fn new(disk: Arc<dyn Disk>, journal: PathBuf, limits: Limits, next_line: u64) -> Self {
        LineFeed { disk, journal, next_line, limits, place: None, due: None, pieces: Vec::new() }
    }

    pub(super) async fn next<'a>(
        &'a mut self,
        head: Head,
        now: Moment,
        origin: &'a str,
    ) -> Result<Next<'a>, FeedError> {
        if self.next_line > head.lines {
            return Err(FeedError::Ahead { wanted: self.next_line, lines: head.lines });
        }
        if self.next_line == head.lines {
            return Ok(Next::Nothing);
        }
        let most = self.limits.choice.in_flight.max(1);
        let mut pieces: Vec<Piece> = Vec::with_capacity(most);
        loop {
            self.cut(&mut pieces, most, false);
            if pieces.len() == most {
                break;
            }
            // The next block takes this one's place. Blocks are small where they come often: each is a batch, and they are to be under way together.
            self.hold(&mut pieces);
            match self.next_block(head).await {
                Ok(true) => continue,
                // What stands before it goes first.
                Err(_) if !pieces.is_empty() => break,
                Err(error) => return Err(error),
                Ok(false) if !pieces.is_empty() => break,
                Ok(false) => {}
            }
            match self.wait(now) {
                None => return Ok(Next::Nothing),
                Some(Duration::ZERO) => self.cut(&mut pieces, most, true),
                Some(wait) => return Ok(Next::Wait(wait)),
            }
            if !pieces.is_empty() {
                break;
            }
        }
        self.pieces = pieces;
        let bytes = self.place.as_ref().map_or(&[][..], Place::bytes);
        let lines = self.pieces.iter().map(|Piece { first, range, held }| Lines {
            origin,
            first: *first,
            last: range.last,
            ndjson: held.as_deref().unwrap_or_else(|| &bytes[range.from..range.to]),
            numbers: None,
        });
        Ok(Next::Given(Given::Lines(lines.collect())))
    }

    /// Cuts what is read into batches, until there are `most`. `is_due`: the one that waits for more lines goes, too.
    fn cut(&mut self, pieces: &mut Vec<Piece>, most: usize, is_due: bool) {
        let Some(place) = &mut self.place else { return };
        while pieces.len() < most
            && let Some(range) = place.cut(&self.limits, self.next_line, is_due)
        {
            let first = std::mem::replace(&mut self.next_line, range.last + 1);
            pieces.push(Piece { first, range, held: None });
        }
    }

    /// Keeps the bytes of pieces of what is read.
    fn hold(&self, pieces: &mut [Piece]) {
        let Some(place) = &self.place else { return };
        for Piece { range, held, .. } in pieces.iter_mut().filter(|piece| piece.held.is_none()) {
            *held = Some(place.bytes()[range.from..range.to].to_vec());
        }
    }

    /// How much longer the batch waits that has some lines and may get more; `None` where there is none.
    fn wait(&mut self, now: Moment) -> Option<Duration> {
        let place = self.place.as_ref()?;
        let sealed_ms = place.waits_since()?;
        let age_ms = self.limits.age_ms();
        let due_ms = match self.due {
            Some((line, due_ms)) if line == place.cut_line => due_ms,
            // Never longer than its age, whatever the wall clock says.
            _ => {
                let since_ms = i64::try_from(now.unix_ms).unwrap_or(i64::MAX).saturating_sub(sealed_ms);
                now.since_boot_ms + age_ms.saturating_sub(u64::try_from(since_ms).unwrap_or(0))
            }
        };
        self.due = Some((place.cut_line, due_ms));
        Some(Duration::from_millis(due_ms.saturating_sub(now.since_boot_ms)))
    }

    /// Reads the next block, in this segment or the one after it; false when there is none up to `head`.
    async fn next_block(&mut self, head: Head) -> Result<bool, FeedError> {
        let timed = self.limits.age_ms() > 0;
        loop {
            let place = match self.place.take() {
                Some(place) => place,
                None => self.enter().await?,
            };
            let closed = place.segment < head.segment;
            // Decompressing megabytes takes a while: not on a thread that others' requests wait for.
            let (mut place, read) = blocking(&self.disk, move |_| place.advance(closed, head, timed)).await?;
            let end = place.end;
            if read || !closed {
                self.place = Some(place);
                return Ok(read);
            }
            // What waited for more lines gets none from another segment.
            if place.cut_line < end && !std::mem::replace(&mut place.ended, true) {
                self.place = Some(place);
                return Ok(true);
            }
            if end < self.next_line {
                return Err(FeedError::Missing { wanted: self.next_line });
            }
            self.place = Some(self.enter_at(end).await?);
        }
    }

    /// Opens the segment that holds `next_line`.
    async fn enter(&self) -> Result<Place, FeedError> {
        let file = holding(&list(&self.disk, &self.journal).await?, self.next_line)?.clone();
        Place::open(&self.disk, file).await
    }

    /// Opens the segment that begins with line `first`.
    async fn enter_at(&self, first: u64) -> Result<Place, FeedError> {
        match list(&self.disk, &self.journal).await?.into_iter().find(|file| file.first == first) {
            Some(file) => Place::open(&self.disk, file).await,
            None => Err(FeedError::Missing { wanted: first }),
        }
    }
}
