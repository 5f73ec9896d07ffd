//! When a block is due, and what becomes of it: sealed, appended, synced, and its head published. A full disk is waited for; any other failure
//! of the disk ends the agent.

use std::sync::atomic::Ordering;

use sealtrail_seal::FileRange;
use tracing::{error, info, warn};

use super::{Core, ms};
use crate::journal::Head;
use crate::journal::write::WriteError;
use crate::limits::{QUIET_SEGMENT_AGE_MS, SEAL_AHEAD_MS};
use crate::sessions;

impl Core {
    pub(super) fn seal_is_due(&self, now: u64) -> bool {
        if self.writer.waits() {
            return false;
        }
        let waited = self.waiting_since_ms.is_some_and(|since| now.saturating_sub(since) >= self.wait_ms());
        let quiet = now.saturating_sub(self.last_seal_ms) >= ms(self.plan.seal.heartbeat);
        // A block that overfilled its segment: closed at once, so that archives can have it and the journal can let go of it.
        let overfull = self.writer.open_bytes() >= self.plan.seal.segment_max_bytes;
        waited || quiet || overfull || self.segment_is_old()
    }

    /// How long what is read may wait: gathering, sealing and syncing are part of the interval.
    pub(super) fn wait_ms(&self) -> u64 {
        let interval = ms(self.plan.seal.interval);
        interval.saturating_sub(SEAL_AHEAD_MS + self.seal_takes_ms).max(interval / 2)
    }

    fn segment_is_old(&self) -> bool {
        self.segment_left_ms() == Some(0)
    }

    /// How long the open segment may still stay open.
    pub(super) fn segment_left_ms(&self) -> Option<u64> {
        let (age, has_rows) = self.writer.open_age()?;
        let age_max = if has_rows { ms(self.plan.seal.segment_max_age) } else { QUIET_SEGMENT_AGE_MS };
        Some(age_max.saturating_sub(age))
    }

    /// The segment ends with this block when it is old, or about as large as it may be. Lines compress to an eighth at most times.
    fn segment_is_full(&self) -> bool {
        let expected = self.intake.block.lines.len() as u64 / 8;
        self.writer.open_bytes() + expected >= self.plan.seal.segment_max_bytes
    }

    pub(super) fn seal(&mut self, closes: bool) -> Result<(), WriteError> {
        let begun_ms = self.host.clock.since_boot_ms();
        let closes = closes || self.segment_is_old() || self.segment_is_full();
        let block = &mut self.intake.block;
        for follower in self.tail.followers.iter_mut().filter(|follower| follower.has_unsealed()) {
            let source = &self.plan.sources[follower.source].name;
            block.files.push(follower.seal(source));
        }
        block.held = self.tail.held();
        let positions =
            if self.writer.open_bytes() == 0 { began_at(self.tail.positions(), &block.files) } else { Vec::new() };
        self.health.journal.bytes_sealed.fetch_add(block.lines.len() as u64, Ordering::Relaxed);
        let result = self.writer.seal(block, closes, positions);
        let [gathered, written] = &mut self.unsealed_said;
        written.append(gathered);
        self.waiting_since_ms = None;
        self.last_seal_ms = self.host.clock.since_boot_ms();
        // A slow disk is remembered for some blocks: the next one is likely to take as long.
        self.seal_takes_ms = self.last_seal_ms.saturating_sub(begun_ms).max(self.seal_takes_ms * 7 / 8);
        self.after_write(result)
    }

    /// A full disk is waited for; any other failure ends the agent, since only reading the disk again can tell what is on it.
    pub(super) fn after_write(&mut self, result: Result<Head, WriteError>) -> Result<(), WriteError> {
        let journal = &self.health.journal;
        match result {
            Ok(head) => {
                journal.lines.store(head.lines, Ordering::Relaxed);
                journal.blocks_sealed.fetch_add(1, Ordering::Relaxed);
                journal.last_seal_ms.store(self.host.clock.unix_ms(), Ordering::Relaxed);
                if journal.problem.set(None) {
                    info!("there is room on the disk again");
                }
                for (source, rows) in self.health.sources.iter().zip(&mut self.unsealed_rows) {
                    source.rows_sealed.fetch_add(std::mem::take(rows), Ordering::Relaxed);
                }
                self.head.send_replace(head);
                self.unsealed_said[1].drain(..).for_each(|sealed| sealed.store(true, Ordering::Release));
                if head.bytes == 0 || !self.count_kept {
                    self.keep_count(head);
                }
                self.measure_lag();
                Ok(())
            }
            Err(full @ WriteError::Full { .. }) => {
                if journal.problem.set(Some(format!("{full}: reading is paused until there is"))) {
                    error!("{full}: reading is paused until there is");
                }
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// Keeps the count of rows as it stands at a block's end. It can only stand there if nothing was read since.
    fn keep_count(&mut self, head: Head) {
        if !self.intake.block.is_empty() {
            return;
        }
        let (disk, state_dir) = (self.host.disk.as_ref(), &self.plan.agent.state_dir);
        let at = (head.lines, self.writer.root());
        let kept = sessions::saved::store(disk, state_dir, at, self.intake.sessions());
        // It is tried again after the next block; until then a start reads more of the journal.
        self.count_kept = kept.inspect_err(|error| warn!(%error, "cannot keep the count of rows by session")).is_ok();
    }
}

/// Where reading stood when a block began: a segment's snapshot does not count what its own first block accounts for.
fn began_at(mut positions: Vec<FileRange>, sealed: &[FileRange]) -> Vec<FileRange> {
    // The earliest word on a file counts, so it comes last.
    for range in sealed.iter().rev() {
        positions.retain(|position| position.id != range.id);
        let before = FileRange {
            to: range.from,
            tail_len: 0,
            tail: String::new(),
            sha256: String::new(),
            rows: 0,
            ended: false,
            ..range.clone()
        };
        positions.push(before);
    }
    positions
}
