//! Reading: each source has its share of a turn, and what is read becomes lines at once.
//!
//! What makes it hard: one backlog must not delay another source, nor one file the others of its source, and a file that was rotated away comes
//! before those that took its place.

use std::io;
use std::sync::atomic::Ordering;

use super::{Core, GAP};
use crate::intake::GivenUp;
use crate::journal::write::{Act, WriteError};
use crate::limits::{BLOCK_BYTES_MAX, OPEN_RECORD_MS, READ_BYTES, TURN_BYTES_MAX};
use crate::sessions::numbered::file_id;
use crate::tail::follow::Follower;
use crate::tail::{Identity, note};

/// How far the files are read that stand before one in its log's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    /// To their ends.
    Finished,
    /// There is more of them to be read.
    HasMore,
    /// A look has to find out what has become of one of them.
    Undecided,
}

impl Core {
    /// Gives each source its share; true when some file has more.
    pub(super) fn read_all(&mut self, now: u64) -> Result<bool, WriteError> {
        let mut busy = false;
        // A file that came since the last look may have something to say.
        let looked_ms =
            self.host.clock.unix_ms().saturating_sub(now.saturating_sub(self.last_look_ms.unwrap_or_default()));
        let mut caught_up = Vec::with_capacity(self.caught_up.len());
        for source in 0..self.plan.sources.len() {
            let more = self.read_source(source, now)?;
            busy |= more;
            caught_up.push(!more);
            if !more && self.intake.hears_layers() && !self.tail.is_unpacking() && !self.tail.is_undecided(now) {
                self.intake.caught_up(source, looked_ms);
            }
            if self.paused() || self.stopping() {
                return Ok(true);
            }
        }
        self.caught_up = caught_up;
        self.give_up_overdue(now)?;
        self.end_files(now)?;
        Ok(busy)
    }

    /// Reads a source's files, oldest first, until its share of the turn is used up; true when it has more. The last bytes of the share
    /// are for the files behind the one with a backlog, in turn, so that each gets on. A file that was renamed away or deleted is read to
    /// its end before the others, which took its place.
    fn read_source(&mut self, source: usize, now: u64) -> Result<bool, WriteError> {
        let files = |moved: bool| {
            let of_source = move |(_, follower): &(usize, &Follower)| {
                follower.source == source && follower.moved_since_ms.is_some() == moved
            };
            self.tail.followers.iter().enumerate().filter(of_source).map(|(index, _)| index).collect::<Vec<_>>()
        };
        let (moved, mut in_place) = (files(true), files(false));
        let mut share = TURN_BYTES_MAX;
        if self.read_files(&moved, &mut share, now)? {
            return Ok(true);
        }
        let mut busy = self.read_files(&in_place, &mut share, now)?;
        if busy && !in_place.is_empty() {
            let count = in_place.len();
            in_place.rotate_left(self.turns % count);
            self.turns = self.turns.wrapping_add(1);
            let mut rest = READ_BYTES;
            busy |= self.read_files(&in_place, &mut rest, now)?;
        }
        Ok(busy)
    }

    /// Reads files one after the other until `share` is used up; true when there is, or may be, more.
    fn read_files(&mut self, files: &[usize], share: &mut usize, now: u64) -> Result<bool, WriteError> {
        let mut more = false;
        for &index in files {
            if *share == 0 || self.paused() || self.stopping() {
                return Ok(true);
            }
            more |= self.read(index, share, now)?;
        }
        Ok(more)
    }

    /// Reads one file until it has no more, or `share` is used up; true when it has more. Its turn comes when those before it are read.
    fn read(&mut self, index: usize, share: &mut usize, now: u64) -> Result<bool, WriteError> {
        let goes_on = !self.tail.followers[index].frames.is_empty();
        match self.finish_older(index, goes_on, now)? {
            Older::Finished => self.read_on(index, share, true, now),
            unfinished => Ok(unfinished == Older::HasMore),
        }
    }

    /// The same, with or without a look at what was written to those before it while this one was read.
    fn read_on(&mut self, index: usize, share: &mut usize, looks_back: bool, now: u64) -> Result<bool, WriteError> {
        let was_in_pieces = self.tail.followers[index].may_be_in_pieces();
        if self.tail.followers[index].cut || !(self.identify(index, now) || self.tail.followers[index].has_hole()) {
            return Ok(false);
        }
        // Only now it is known that those before it come first: what is held of it is behind what is held of them.
        if looks_back && !was_in_pieces {
            match self.finish_older(index, false, now)? {
                Older::Finished => {}
                unfinished => return Ok(unfinished == Older::HasMore),
            }
        }
        // What a pause left in the buffer comes first.
        self.take(index, false)?;
        while *share > 0 {
            let follower = &mut self.tail.followers[index];
            let health = &self.health.sources[follower.source];
            let read = match follower.read(now) {
                Ok(read) => read,
                // Of an archive: the next turns unpack it up to there.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => {
                    health.errors.fetch_add(1, Ordering::Relaxed);
                    follower.unreadable = Some(error.to_string());
                    note(health, follower.problem());
                    return Ok(false);
                }
            };
            if follower.is_cut() {
                // What was read is not of this file: a look finds out what has become of it.
                if !std::mem::replace(&mut follower.seen_cut, true) {
                    self.last_look_ms = None;
                }
                return Ok(false);
            }
            if read == 0 {
                if follower.frames.is_open() && now.saturating_sub(follower.last_read_ms) >= OPEN_RECORD_MS {
                    follower.frames.settle();
                    self.take(index, false)?;
                }
                self.tail.followers[index].frames.rest();
                return Ok(false);
            }
            follower.unreadable = None;
            *share = share.saturating_sub(read);
            health.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
            health.last_read_ms.store(self.host.clock.unix_ms(), Ordering::Relaxed);
            if looks_back {
                match self.finish_older(index, true, now)? {
                    Older::Finished => {}
                    // What was read waits with the follower.
                    unfinished => return Ok(unfinished == Older::HasMore),
                }
            }
            self.take(index, false)?;
            if read < READ_BYTES || self.paused() {
                self.tail.followers[index].frames.rest();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the files before that one in its log's place to their ends: what begins in them comes before what ends in it. Once the log
    /// `goes_on` in it nothing more comes of them, so that a row that nothing ends is whole.
    fn finish_older(&mut self, index: usize, goes_on: bool, now: u64) -> Result<Older, WriteError> {
        if !self.tail.followers[index].may_be_in_pieces() {
            return Ok(Older::Finished);
        }
        if self.tail.waits_for_older(index, now) {
            return Ok(Older::Undecided);
        }
        let files = self.tail.older(index);
        for (count, &older) in files.iter().enumerate() {
            let mut share = TURN_BYTES_MAX;
            let more = self.read_on(older, &mut share, false, now)?;
            let follower = &mut self.tail.followers[older];
            if follower.undecided || follower.seen_cut && !follower.cut {
                return Ok(Older::Undecided);
            }
            if !follower.is_to_be_read() {
                continue;
            }
            let goes_on = goes_on || files[count + 1..].iter().any(|index| self.tail.followers[*index].has_begun());
            let follower = &mut self.tail.followers[older];
            if goes_on && follower.frames.is_open() {
                follower.frames.settle();
                self.take(older, false)?;
            }
            let follower = &self.tail.followers[older];
            if more || self.paused() || follower.has_leftovers || !follower.is_read_to_end() {
                return Ok(Older::HasMore);
            }
        }
        Ok(Older::Finished)
    }

    /// Turns what is read into lines, sealing whenever a block is full.
    fn take(&mut self, index: usize, end: bool) -> Result<(), WriteError> {
        loop {
            if !self.tail.followers[index].frames.has_format() {
                self.tail.followers[index].frames.pass_zeros();
                return Ok(());
            }
            let origin = self.intake.origin(&mut self.tail.followers[index]);
            let (follower, held) = self.tail.with_held(index);
            let source = follower.source;
            follower.give_back(held, &origin, self.host.clock.since_boot_ms());
            self.intake.written(follower.written_ms());
            let health = &self.health.sources[source];
            let rows = self.intake.take(source, &origin, &mut follower.frames, held, end, BLOCK_BYTES_MAX, health);
            follower.account(rows);
            let done = self.intake.block.lines.len() < BLOCK_BYTES_MAX;
            follower.has_leftovers = !done;
            self.account(source, rows);
            if done {
                return Ok(());
            }
            self.seal(false)?;
            if self.writer.waits() {
                // What is left of the read stays with the follower.
                return Ok(());
            }
        }
    }

    /// Counts the lines that were written: `rows` of the file at hand, the others of the files in which they began.
    pub(super) fn account(&mut self, source: usize, rows: u64) {
        let elsewhere = std::mem::take(&mut self.intake.begun_elsewhere);
        let rows = rows + elsewhere.len() as u64;
        elsewhere.into_iter().for_each(|file| self.tail.account_row_of(file));
        self.unsealed_rows[source] += rows;
        if rows > 0 {
            self.waiting_since_ms.get_or_insert(self.host.clock.since_boot_ms());
        }
    }

    /// Whether it is known what the file is.
    fn identify(&mut self, index: usize, now: u64) -> bool {
        if self.tail.followers[index].refused.is_some() {
            return false;
        }
        match self.tail.identify(index, now) {
            Ok(identity) => identity == Identity::Known,
            Err(refused) => {
                let follower = &mut self.tail.followers[index];
                follower.refused = Some(refused.0);
                let health = &self.health.sources[follower.source];
                health.errors.fetch_add(1, Ordering::Relaxed);
                note(health, follower.problem());
                false
            }
        }
    }

    /// Lets go of files that are over, and of those that need not be read.
    fn end_files(&mut self, now: u64) -> Result<(), WriteError> {
        let mut index = 0;
        while let Some(follower) = self.tail.followers.get(index) {
            let before = self.tail.followers.len();
            if follower.aside.is_some() {
                self.tail.pass_over(index, now);
            } else if self.tail.is_over(index, now) {
                self.end_file(index, now)?;
            }
            if self.tail.followers.len() == before {
                index += 1;
            }
        }
        Ok(())
    }

    /// A file that is over: what is left of it is handed out, and it is sealed as ended.
    fn end_file(&mut self, index: usize, now: u64) -> Result<(), WriteError> {
        // What is read of it may still wait for those before it.
        if !self.tail.followers[index].cut && self.finish_older(index, true, now)? != Older::Finished {
            return Ok(());
        }
        let follower = &self.tail.followers[index];
        let known = follower.id().is_some() && follower.format().is_some();
        if known {
            self.take(index, true)?;
        }
        if self.tail.followers[index].cut {
            // It comes to no other file: what follows it may be anything.
            self.give_up_file(index)?;
        }
        if self.tail.holds_any_of(index) {
            return Ok(());
        }
        let follower = &self.tail.followers[index];
        let left = follower.len_seen().saturating_sub(follower.frames.offset());
        if known && follower.frames.pending() > 0 && self.writer.waits() {
            return Ok(());
        }
        if !known && left > 0 {
            let message =
                format!("gone before its {left} bytes could be understood as a log: not even a first line was whole");
            let path = follower.path.to_string_lossy().into_owned();
            self.say(Act::new(GAP, message).of_file(path).failed());
        }
        let looked = self.tail.retire(index, self.host.clock.since_boot_ms());
        self.tell(looked);
        self.waiting_since_ms.get_or_insert(self.host.clock.since_boot_ms());
        Ok(())
    }

    /// Writes the lines of rows that nobody waits for any longer, of one log.
    fn give_up(&mut self, lineage: u64, whose: GivenUp) -> Result<(), WriteError> {
        loop {
            let Some(lineage) = self.tail.lineage(lineage) else { return Ok(()) };
            let (source, held) = (lineage.source, &mut lineage.held);
            self.intake.give_up(source, held, whose, BLOCK_BYTES_MAX, &self.health.sources[source]);
            self.account(source, 0);
            if self.intake.block.lines.len() < BLOCK_BYTES_MAX {
                return Ok(());
            }
            self.seal(false)?;
            if self.writer.waits() {
                return Ok(());
            }
        }
    }

    /// Rows that wait for the rest are given up when nothing has come for long, and there was nothing more to read.
    pub(super) fn give_up_overdue(&mut self, now: u64) -> Result<(), WriteError> {
        for number in self.tail.holding() {
            let caught_up = self.tail.lineage(number).is_some_and(|lineage| self.caught_up[lineage.source]);
            if caught_up && !self.paused() && !self.tail.is_waiting(number, now) {
                self.give_up(number, GivenUp::Overdue)?;
            }
        }
        Ok(())
    }

    /// Nothing will come any more: rows that wait for the rest come out as they are.
    pub(super) fn give_up_held(&mut self) -> Result<(), WriteError> {
        for index in 0..self.tail.followers.len() {
            self.take(index, false)?;
            self.give_up_file(index)?;
        }
        Ok(())
    }

    /// The same for the rows of which some piece stands in that file.
    fn give_up_file(&mut self, index: usize) -> Result<(), WriteError> {
        let follower = &self.tail.followers[index];
        let lineage = follower.lineage;
        match follower.id().and_then(file_id) {
            Some(file) => self.give_up(lineage, GivenUp::OfFile(file)),
            None => Ok(()),
        }
    }
}
