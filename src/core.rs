//! The agent's loop: read, parse, seal, append. One thread, no channel that could lose or reorder a row.
//!
//! Owns every object with state on the way of the data: the tail, the intake and the journal's writer. A turn looks for
//! files, gives each file a bounded share of reading, and seals when a block is due. Back-pressure is that it stops
//! reading: the database's own files are the queue then.

mod directory;
mod missing;
mod reading;
mod room;
mod sealing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::plan::Plan;
use crate::health::Health;
use crate::host::Host;
use crate::identity::Watch;
use crate::intake::Intake;
use crate::journal::Head;
use crate::journal::write::{Act, WriteError, Writer};
use crate::limits::{GATHER_MS, HELD_CHUNK_MS, PAUSE_MS, RESCAN_MS, SETTLE_MS};
use crate::lookout::Lookout;
use crate::redact::hash::HashKey;
use crate::sessions::Sessions;
use crate::sessions::table::GivenUp as CountGivenUp;
use crate::ship::Said;
use crate::tail::archives::Unpacked;
use crate::tail::watch::Wake;
use crate::tail::{Looked, Tail};

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
    said: Receiver<Said>,
    /// Acts of the couriers in the block under construction, and in the one that is being written.
    unsealed_said: [Vec<Arc<AtomicBool>>; 2],
    /// Since when something waits to be sealed.
    waiting_since_ms: Option<u64>,
    last_seal_ms: u64,
    /// What sealing a block takes, syncs included: the longest of late.
    seal_takes_ms: u64,
    last_look_ms: Option<u64>,
    last_retain_ms: u64,
    /// Rows that the block under construction has from each source.
    unsealed_rows: Vec<u64>,
    lookout: Lookout,
    /// The files of rules; `None` where there is no identity.
    directory: Option<Watch>,
    /// When it was last said who has no rule.
    unmapped_told_ms: u64,
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
    /// For hashes of literals; `None` where none are made.
    pub literals_key: Option<HashKey>,
    /// Filled in as it goes.
    pub health: Arc<Health>,
    /// Told after each block.
    pub head: watch::Sender<Head>,
    /// What wakes it.
    pub wakes: Receiver<Wake>,
    /// What the couriers have to say.
    pub said: Receiver<Said>,
    /// Set by whoever wants it to end.
    pub stop: Arc<AtomicBool>,
}

impl Core {
    /// Ready for its first turn; `acts` are the first lines it will seal.
    pub fn new(parts: Parts, acts: Vec<Act>) -> Self {
        let now = parts.host.clock.since_boot_ms();
        let (clock, plan) = (Arc::clone(&parts.host.clock), &parts.plan);
        let mut intake = Intake::new(clock, &plan.agent, &plan.classify, &plan.redact, &plan.sources);
        if let Some(key) = &parts.literals_key {
            intake.hash_by(&plan.redact, key);
        }
        intake.block.acts = acts;
        let count_given_up = parts.sessions.iter().map(Sessions::given_up).collect();
        intake.count_rows(parts.sessions);
        let lookout = Lookout::new(&parts.host, &parts.plan);
        let identity = parts.plan.identity.as_ref();
        if let Some(identity) = identity {
            intake.name_people(Arc::clone(&identity.loaded.directory), identity.carriers.clone());
        }
        let directory = identity.map(|identity| Watch::new(identity.loader.clone(), &identity.loaded, now));
        Core {
            host: parts.host,
            unsealed_rows: vec![0; parts.plan.sources.len()],
            lookout,
            directory,
            unmapped_told_ms: 0,
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
            said: parts.said,
            unsealed_said: Default::default(),
            waiting_since_ms: Some(now),
            last_seal_ms: now,
            seal_takes_ms: 0,
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
        self.reload_directory(now);
        self.intake.tick(now);
        // Until a turn has read all again.
        self.caught_up.fill(false);
        let reads = !self.paused();
        let busy = if reads { self.read_all(now)? } else { self.try_again()? };
        let acts = self.lookout.turn(now, reads, &self.health);
        acts.into_iter().for_each(|act| self.say(act));
        self.hear_couriers();
        self.tell_missing(now);
        self.tell_unmapped(now);
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

    /// Puts into the trail what the couriers have to say.
    fn hear_couriers(&mut self) {
        while let Ok(Said { act, sealed }) = self.said.try_recv() {
            self.unsealed_said[0].push(sealed);
            self.say(act);
        }
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
        // What is overdue and still held waits for older files, which a look finds.
        let held = self.tail.due_ms().map(|due| if due > now { due } else { now + PAUSE_MS });
        let directory = self.directory.as_ref().and_then(Watch::due_ms);
        let rest = [missing, held, directory].map(|due| due.unwrap_or(u64::MAX));
        [seal, heartbeat, segment, now + look].into_iter().chain(rest).min().unwrap_or(now)
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
        self.tell_unmapped(u64::MAX);
        info!(lines = self.writer.head().lines, "sealed and stopped");
        Ok(Sealed::All)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
