//! The agent's loop: read, parse, seal, append. One thread, no channel that could lose or reorder a row.
//!
//! Owns every object with state on the way of the data: the tail, the intake and the journal's writer. A turn looks for
//! files, gives each file a bounded share of reading, and seals when a block is due. Back-pressure is that it stops
//! reading: the database's own files are the queue then.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use sealtrail_seal::FileRange;

use crate::config::plan::Plan;
use crate::health::Health;
use crate::host::Host;
use crate::intake::{GivenUp, Intake};
use crate::journal::Head;
use crate::journal::read::{SegmentFile, segments};
use crate::journal::retain::{Kept, bytes_behind, retain};
use crate::journal::write::{Act, WriteError, Writer};
use crate::limits::{
    BLOCK_BYTES_MAX, GATHER_MS, HELD_CHUNK_MS, OPEN_RECORD_MS, PAUSE_MS, QUIET_SEGMENT_AGE_MS, READ_BYTES, RESCAN_MS,
    SEAL_AHEAD_MS, SESSIONS_MAX, SETTLE_MS, SETTLE_UNREADABLE_MS, TURN_BYTES_MAX,
};
use crate::lookout::Lookout;
use crate::sessions::numbered::file_id;
use crate::sessions::table::GivenUp as CountGivenUp;
use crate::sessions::{self, Sessions};
use crate::ship::lowest_required_cursor;
use crate::tail::archives::Unpacked;
use crate::tail::follow::Follower;
use crate::tail::watch::Wake;
use crate::tail::{Identity, Looked, Tail, note};

/// All state of the loop. Times are by the boot clock, in milliseconds.
pub struct Core {
    host: Host,
    plan: Arc<Plan>,
    journal_dir: PathBuf,
    tail: Tail,
    intake: Intake,
    writer: Writer,
    health: Arc<Health>,
    head: watch::Sender<Head>,
    wakes: Receiver<Wake>,
    /// Since when something waits to be sealed.
    waiting_since_ms: Option<u64>,
    last_seal_ms: u64,
    last_look_ms: Option<u64>,
    last_retain_ms: u64,
    /// Rows that the block under construction has from each source.
    unsealed_rows: Vec<u64>,
    lookout: Lookout,
    /// The sources of which every file was read to its end in the last turn.
    caught_up: Vec<bool>,
    /// The count of rows has been kept in this run, and after the last segment.
    count_kept: bool,
    /// Sources of which it was said that the count of their rows is not whole.
    count_given_up: Vec<CountGivenUp>,
    /// The journal's bytes when they were last counted, and what had been appended by then.
    on_disk: (u64, u64),
    /// Turns in which some source had more than its share: who comes first behind a backlog.
    turns: usize,
    stop: Arc<AtomicBool>,
}

/// The act that tells of lost bytes; the seal counts it.
const GAP: &str = "GAP";

/// Whether everything that was read is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// All of it.
    All,
    /// The disk had no room for the last block: its rows are read again at the next start.
    NotAll,
}

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

/// What the loop is made of.
pub struct Parts {
    /// Disk and clocks.
    pub host: Host,
    /// What to do.
    pub plan: Arc<Plan>,
    /// Where the journal is.
    pub journal_dir: PathBuf,
    /// The source files.
    pub tail: Tail,
    /// The journal.
    pub writer: Writer,
    /// The count of the rows that the journal has: one a source.
    pub sessions: Vec<Sessions>,
    /// Filled in as it goes.
    pub health: Arc<Health>,
    /// Told after each block.
    pub head: watch::Sender<Head>,
    /// What wakes it.
    pub wakes: Receiver<Wake>,
    /// Set by whoever wants it to end.
    pub stop: Arc<AtomicBool>,
}

impl Core {
    /// Ready for its first turn; `acts` are the first lines it will seal.
    pub fn new(parts: Parts, acts: Vec<Act>) -> Self {
        let now = parts.host.clock.since_boot_ms();
        let mut intake =
            Intake::new(Arc::clone(&parts.host.clock), &parts.plan.agent, &parts.plan.classify, &parts.plan.sources);
        intake.block.acts = acts;
        let count_given_up = parts.sessions.iter().map(Sessions::given_up).collect();
        intake.count_rows(parts.sessions);
        let lookout = Lookout::new(&parts.host, &parts.plan);
        Core {
            host: parts.host,
            unsealed_rows: vec![0; parts.plan.sources.len()],
            lookout,
            caught_up: vec![false; parts.plan.sources.len()],
            count_kept: false,
            count_given_up,
            plan: parts.plan,
            journal_dir: parts.journal_dir,
            tail: parts.tail,
            intake,
            writer: parts.writer,
            health: parts.health,
            head: parts.head,
            wakes: parts.wakes,
            waiting_since_ms: Some(now),
            last_seal_ms: now,
            last_look_ms: None,
            last_retain_ms: 0,
            on_disk: (0, 0),
            turns: 0,
            stop: parts.stop,
        }
    }

    /// Runs until it is told to stop, then seals what is read.
    pub fn run(mut self) -> Result<Sealed, WriteError> {
        while !self.stopping() {
            let busy = self.turn()?;
            self.wait(busy);
        }
        self.finish("stopped", false)
    }

    /// Reads all there is and ends; the last segment is closed, so that every destination can have it.
    pub fn drain(mut self) -> Result<Sealed, WriteError> {
        loop {
            let busy = self.turn()?;
            let now = self.host.clock.since_boot_ms();
            // A record that nothing ends is whole when nothing more of it comes.
            let soon = self.tail.due_ms().is_some_and(|due| due <= now + HELD_CHUNK_MS);
            if self.stopping() || !(busy || soon || self.paused() || self.tail.is_undecided(now)) {
                break;
            }
            self.wait(busy);
        }
        for follower in self.tail.followers.iter().filter(|follower| follower.frames.pending() > 0) {
            let (file, bytes) = (follower.path.display(), follower.frames.pending());
            warn!(%file, bytes, "the last record is not whole: it waits for the rest");
        }
        let why = if self.stopping() { "stopped before everything was read" } else { "read all there was" };
        self.finish(why, true)
    }

    /// One turn; true when there is more to read at once.
    pub fn turn(&mut self) -> Result<bool, WriteError> {
        let now = self.host.clock.since_boot_ms();
        self.health.journal.last_turn_ms.store(self.host.clock.unix_ms(), Ordering::Relaxed);
        let unpacked = self.tail.unpack();
        if unpacked == Unpacked::All {
            self.last_look_ms = None;
        }
        if self.look_is_due(now) {
            self.look(now);
        }
        self.make_room(now);
        self.intake.tick(now);
        // Until a turn has read all again.
        self.caught_up.fill(false);
        let reads = !self.paused();
        let busy = if reads { self.read_all(now)? } else { self.try_again()? };
        let acts = self.lookout.turn(now, reads, &self.health);
        acts.into_iter().for_each(|act| self.say(act));
        self.tell_missing(now);
        if self.seal_is_due(now) {
            self.seal(false)?;
        }
        Ok(busy || unpacked != Unpacked::Nothing || self.tail.is_unpacking())
    }

    fn look_is_due(&self, now: u64) -> bool {
        let names_changed = self.tail.names_changed();
        let missing = self.missing_since_ms();
        // What is missing is told of after another look: a file that is found may have it.
        let settles = |last| missing.is_some_and(|since| last <= since && now.saturating_sub(since) >= SETTLE_MS);
        let is_due = |last| now.saturating_sub(last) >= self.look_every_ms(now) || settles(last);
        names_changed || self.last_look_ms.is_none_or(is_due)
    }

    /// How long the next look may wait when nobody tells of a change.
    fn look_every_ms(&self, now: u64) -> u64 {
        let polled = if self.tail.polls() { ms(self.plan.agent.poll_interval) } else { RESCAN_MS };
        let undecided = if self.tail.is_undecided(now) { PAUSE_MS } else { RESCAN_MS };
        // Never longer than a rescan: the watchdog wants to see a turn.
        polled.min(undecided).min(RESCAN_MS)
    }

    fn look(&mut self, now: u64) {
        let mut looked = self.tail.look(now, &self.health.sources);
        self.last_look_ms = Some(now);
        self.tail.tell_watch(&self.health.watch);
        self.measure_lag();
        let acts = self.lookout.look(now, &self.tail, &mut looked, &self.health);
        looked.acts.extend(acts);
        self.tell(looked);
    }

    /// Puts what happened to files into the trail.
    fn tell(&mut self, looked: Looked) {
        self.intake.block.files.extend(looked.ended);
        for act in looked.acts {
            self.say(act);
        }
    }

    /// Puts an act into the trail and into the log.
    fn say(&mut self, act: Act) {
        if act.action == GAP {
            self.intake.block.rows.gaps += 1;
            let source = act.gap.as_ref().map_or("", |gap| &gap.source);
            for health in self.health.sources.iter().filter(|health| health.name == source) {
                health.gaps.fetch_add(1, Ordering::Relaxed);
            }
        }
        if act.outcome == "success" {
            info!(about = act.resource, "{}", act.message);
        } else {
            warn!(about = act.resource, "{}", act.message);
        }
        self.intake.block.acts.push(act);
        self.waiting_since_ms.get_or_insert(self.host.clock.since_boot_ms());
    }

    /// Gives each source its share; true when some file has more.
    fn read_all(&mut self, now: u64) -> Result<bool, WriteError> {
        let mut busy = false;
        let mut caught_up = Vec::with_capacity(self.caught_up.len());
        for source in 0..self.plan.sources.len() {
            let more = self.read_source(source, now)?;
            busy |= more;
            caught_up.push(!more);
            if self.paused() || self.stopping() {
                return Ok(true);
            }
        }
        self.caught_up = caught_up;
        self.give_up_overdue()?;
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

    /// Tells of numbers that are missing for good: every file of their source has been read to its end since they were missed.
    fn tell_missing(&mut self, now: u64) {
        for source in 0..self.plan.sources.len() {
            let Some(sessions) = self.intake.sessions_of(source) else { continue };
            let mut told = sessions.overdue();
            if self.caught_up[source] && sessions.waits_since_ms().is_some() {
                let patience = if self.tail.waits(source) { SETTLE_UNREADABLE_MS } else { SETTLE_MS };
                let looked = self.last_look_ms.and_then(|looked| looked.checked_sub(1));
                if let (Some(patient), Some(looked)) = (now.checked_sub(patience), looked) {
                    told.extend(sessions.settle(patient.min(looked)));
                }
            }
            told.into_iter().for_each(|told| self.say(told.into_act()));
            self.say_given_up(source);
        }
    }

    /// Nothing will come any more: what is missing now is missing.
    fn tell_all_missing(&mut self) {
        for source in 0..self.plan.sources.len() {
            let told = self.intake.sessions_of(source).map(Sessions::finish).unwrap_or_default();
            told.into_iter().for_each(|told| self.say(told.into_act()));
        }
    }

    /// Says once in a run what the count of a source's rows cannot do.
    fn say_given_up(&mut self, source: usize) {
        let Some(sessions) = self.intake.sessions_of(source) else { return };
        let (given_up, open, health) = (sessions.given_up(), sessions.open(), &self.health.sources[source]);
        health.sessions.store(open, Ordering::Relaxed);
        let (said, name) = (&mut self.count_given_up[source], &health.name);
        if given_up.sessions > 0 && said.sessions == 0 {
            warn!(
                source = name,
                "more than {SESSIONS_MAX} sessions at a time: of those that are forgotten no missing row is told"
            );
        }
        if given_up.repeats > 0 && said.repeats == 0 {
            warn!(
                source = name,
                "row numbers of a session come twice, so that none can be missed: is it the log of one server?"
            );
        }
        *said = given_up;
    }

    /// Since when the first number that nobody was told of is missing.
    fn missing_since_ms(&self) -> Option<u64> {
        self.intake.sessions().filter_map(Sessions::waits_since_ms).min()
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
        if self.tail.followers[index].cut || !(self.identify(index, now) || self.tail.followers[index].has_hole()) {
            return Ok(false);
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
        if self.tail.waits_for_archive(index) {
            return Ok(Older::Undecided);
        }
        for older in self.tail.older(index) {
            let mut share = TURN_BYTES_MAX;
            let more = self.read_on(older, &mut share, false, now)?;
            let follower = &mut self.tail.followers[older];
            if follower.undecided || follower.seen_cut && !follower.cut {
                return Ok(Older::Undecided);
            }
            if !follower.is_to_be_read() {
                continue;
            }
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
    fn account(&mut self, source: usize, rows: u64) {
        let elsewhere = std::mem::take(&mut self.intake.begun_elsewhere);
        let rows = rows + elsewhere.len() as u64;
        elsewhere.into_iter().for_each(|file| self.tail.account_row_of(file));
        self.unsealed_rows[source] += rows;
        if rows > 0 {
            self.waiting_since_ms.get_or_insert(self.host.clock.since_boot_ms());
        }
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
    fn give_up_overdue(&mut self) -> Result<(), WriteError> {
        for number in self.tail.holding() {
            let caught_up = self.tail.lineage(number).is_some_and(|lineage| self.caught_up[lineage.source]);
            if caught_up && !self.paused() {
                self.give_up(number, GivenUp::Overdue)?;
            }
        }
        Ok(())
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

    fn seal_is_due(&self, now: u64) -> bool {
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
    fn wait_ms(&self) -> u64 {
        let interval = ms(self.plan.seal.interval);
        interval.saturating_sub(SEAL_AHEAD_MS).max(interval / 2)
    }

    fn segment_is_old(&self) -> bool {
        self.segment_left_ms() == Some(0)
    }

    /// How long the open segment may still stay open.
    fn segment_left_ms(&self) -> Option<u64> {
        let (age, has_rows) = self.writer.open_age()?;
        let age_max = if has_rows { ms(self.plan.seal.segment_max_age) } else { QUIET_SEGMENT_AGE_MS };
        Some(age_max.saturating_sub(age))
    }

    /// The segment ends with this block when it is old, or about as large as it may be. Lines compress to an eighth at most times.
    fn segment_is_full(&self) -> bool {
        let expected = self.intake.block.lines.len() as u64 / 8;
        self.writer.open_bytes() + expected >= self.plan.seal.segment_max_bytes
    }

    fn seal(&mut self, closes: bool) -> Result<(), WriteError> {
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
        self.waiting_since_ms = None;
        self.last_seal_ms = self.host.clock.since_boot_ms();
        self.after_write(result)
    }

    /// A full disk is waited for; any other failure ends the agent, since only reading the disk again can tell what is on it.
    fn after_write(&mut self, result: Result<Head, WriteError>) -> Result<(), WriteError> {
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

    /// Reading waits for room: on the disk, or in the journal's budget as long as a required destination is behind. When none is, the
    /// next block makes what is there removable.
    fn paused(&self) -> bool {
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

    fn try_again(&mut self) -> Result<bool, WriteError> {
        if self.writer.waits() {
            let result = self.writer.flush();
            self.after_write(result)?;
        }
        Ok(false)
    }

    /// Counts the journal and removes what every required destination has.
    fn make_room(&mut self, now: u64) {
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

    fn measure_lag(&self) {
        for (index, source) in self.health.sources.iter().enumerate() {
            source.lag_bytes.store(self.lag(index), Ordering::Relaxed);
        }
    }

    fn lag(&self, source: usize) -> u64 {
        let followers = self.tail.followers.iter().filter(|follower| follower.source == source);
        // A file whose length cannot be had is reported by the next read.
        followers.map(|follower| follower.len_on_disk().unwrap_or(0).saturating_sub(follower.frames.offset())).sum()
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, busy: bool) {
        if busy {
            return self.poll_wakes();
        }
        self.intake.rest();
        let now = self.host.clock.since_boot_ms();
        let timeout = Duration::from_millis(self.next_deadline_ms(now).saturating_sub(now).max(1));
        match self.wakes.recv_timeout(timeout) {
            Ok(wake) => {
                self.woken(wake);
                std::thread::sleep(Duration::from_millis(GATHER_MS));
                self.poll_wakes();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(timeout),
        }
    }

    fn poll_wakes(&mut self) {
        while let Ok(wake) = self.wakes.try_recv() {
            self.woken(wake);
        }
    }

    /// What somebody who wakes the loop has to tell it.
    pub fn woken(&mut self, wake: Wake) {
        match wake {
            Wake::Names => self.last_look_ms = None,
            // Every turn reads every file, and sees whether to stop.
            Wake::Data | Wake::Stop => {}
        }
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn next_deadline_ms(&self, now: u64) -> u64 {
        if self.paused() {
            return now + PAUSE_MS;
        }
        let seal = self.waiting_since_ms.map_or(u64::MAX, |since| since + self.wait_ms());
        let heartbeat = self.last_seal_ms + ms(self.plan.seal.heartbeat);
        let look = self.look_every_ms(now);
        let segment = self.segment_left_ms().map_or(u64::MAX, |left| now + left);
        let missing = self.missing_since_ms().map(|since| since + SETTLE_MS).filter(|due| *due > now);
        let held = self.tail.due_ms();
        let rest = [missing, held].map(|due| due.unwrap_or(u64::MAX));
        [seal, heartbeat, segment, now + look].into_iter().chain(rest).min().unwrap_or(now)
    }

    /// Nothing will come any more: rows that wait for the rest come out as they are.
    fn give_up_held(&mut self) -> Result<(), WriteError> {
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

    /// The last block says that the agent stopped; a pending one that still finds no room is read again at the next start.
    pub fn finish(mut self, why: &str, closes: bool) -> Result<Sealed, WriteError> {
        self.look(self.host.clock.since_boot_ms());
        if closes && !self.stopping() {
            self.give_up_held()?;
            self.tell_all_missing();
        }
        if self.waiting_since_ms.is_some() && !self.writer.waits() {
            // The rows first: what stopped comes last.
            self.seal(false)?;
        }
        if !self.wait_for_room(closes)? {
            return Ok(Sealed::NotAll);
        }
        self.intake.block.acts.push(Act::new("STOPPED", why));
        self.seal(closes)?;
        if !self.wait_for_room(closes)? {
            return Ok(Sealed::NotAll);
        }
        self.writer.write_anchor();
        info!(lines = self.writer.head().lines, "sealed and stopped");
        Ok(Sealed::All)
    }

    /// Tries once more to write a block that waits for room; a drain tries until it is told to stop. False when there is none.
    fn wait_for_room(&mut self, patient: bool) -> Result<bool, WriteError> {
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

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
