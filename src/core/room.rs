//! Room for the journal: what is delivered may go, and where nothing may, reading waits.

use std::sync::atomic::Ordering;

use tracing::{info, warn};

use super::Core;
use crate::journal::read::{SegmentFile, segments};
use crate::journal::retain::{Kept, bytes_behind, retain};
use crate::journal::write::WriteError;
use crate::limits::PAUSE_MS;
use crate::ship::lowest_required_cursor;

impl Core {
    /// Reading waits for room: on the disk, or in the journal's budget as long as a required destination is behind. When none is, the
    /// next block makes what is there removable.
    pub(super) fn paused(&self) -> bool {
        let used_up = self.on_disk() >= self.plan.agent.journal_max_bytes;
        self.writer.waits() || (used_up && self.delivered() < self.writer.head().lines)
    }

    /// The first line that some required destination does not have.
    fn delivered(&self) -> u64 {
        lowest_required_cursor(&self.health).unwrap_or(u64::MAX)
    }

    /// The journal's bytes, what was appended since they were counted included.
    fn on_disk(&self) -> u64 {
        let (counted, written) = self.on_disk;
        counted + (self.writer.written() - written)
    }

    pub(super) fn try_again(&mut self) -> Result<bool, WriteError> {
        if self.writer.waits() {
            let result = self.writer.flush();
            self.after_write(result)?;
        }
        Ok(false)
    }

    /// Counts the journal and removes what every required destination has.
    pub(super) fn make_room(&mut self, now: u64) {
        if self.last_retain_ms != 0 && now.saturating_sub(self.last_retain_ms) < PAUSE_MS {
            return;
        }
        self.last_retain_ms = now;
        let delivered = self.delivered();
        let kept = segments(self.host.disk.as_ref(), &self.journal_dir).and_then(|segments| {
            self.measure_destinations(&segments);
            // On a full disk everything that may go, goes.
            let budget = if self.writer.waits() { 0 } else { self.plan.agent.journal_max_bytes };
            retain(self.host.disk.as_ref(), &segments, budget, self.writer.head(), delivered)
        });
        match kept {
            Ok(kept) => self.count_journal(now, kept),
            // Nothing is lost by keeping too much; the next attempt comes in a moment.
            Err(error) => warn!(%error, "cannot make room in the journal"),
        }
    }

    fn count_journal(&mut self, now: u64, kept: Kept) {
        self.on_disk = (kept.bytes, self.writer.written());
        let journal = &self.health.journal;
        journal.bytes_on_disk.store(kept.bytes, Ordering::Relaxed);
        journal.segments.store(kept.segments, Ordering::Relaxed);
        let paused = self.paused();
        if journal.paused.swap(paused, Ordering::Relaxed) != paused {
            match paused {
                true => warn!(bytes = kept.bytes, "reading is paused: the journal's budget or the disk is used up"),
                false => info!("reading goes on"),
            }
        }
        let act = self.lookout.room(now, kept.undelivered, paused, &self.health.journal);
        act.into_iter().for_each(|act| self.say(act));
    }

    fn measure_destinations(&self, segments: &[SegmentFile]) {
        let lines = self.writer.head().lines;
        for destination in &self.health.destinations {
            let next = destination.next_line.load(Ordering::Relaxed);
            let behind = if next >= lines { 0 } else { bytes_behind(segments, next) };
            destination.lag_bytes.store(behind, Ordering::Relaxed);
        }
    }

    pub(super) fn measure_lag(&self) {
        for (index, source) in self.health.sources.iter().enumerate() {
            source.lag_bytes.store(self.lag(index), Ordering::Relaxed);
        }
    }

    fn lag(&self, source: usize) -> u64 {
        let followers = self.tail.followers.iter().filter(|follower| follower.source == source);
        // A file whose length cannot be had is reported by the next read.
        followers.map(|follower| follower.len_on_disk().unwrap_or(0).saturating_sub(follower.frames.offset())).sum()
    }

    /// Tries once more to write a block that waits for room; a drain tries until it is told to stop. False when there is none.
    pub(super) fn wait_for_room(&mut self, patient: bool) -> Result<bool, WriteError> {
        while self.writer.waits() {
            self.make_room(self.host.clock.since_boot_ms());
            self.try_again()?;
            if self.writer.waits() && (!patient || self.stopping()) {
                warn!("stopping although the disk is full: what is not sealed is read again at the next start");
                return Ok(false);
            }
            if self.writer.waits() {
                self.wait(false);
            }
        }
        Ok(true)
    }
}
