//! Frames become lines: parse, give meaning, encode.
//!
//! Owns the block under construction and what one source's rows share. Every byte that a follower hands out becomes part of exactly
//! one line; what no parser understands becomes an `unparsed` line with the bytes in it, or the first and last of them. A frame becomes
//! rows in [`rows`], a row its line in [`lines`].

mod lines;
mod rows;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealtrail_parsers::{Dialect, Format, Record, Scratch};

use crate::accounts::Accounts;
use crate::clock::{self, Clock as WallClock};
use crate::config::plan::{AgentPlan, SourcePlan};
use crate::event::Origin;
use crate::frames::{Frames, Next};
use crate::health::SourceHealth;
use crate::held::Held;
use crate::identity::{Carriers, Directory, Mapper};
use crate::journal::write::Block;
use crate::limits::IDLE_BUFFER_BYTES_MAX;
use crate::redact::hash::HashKey;
use crate::redact::{Change, Redact, Redactor};
use crate::sessions::Sessions;
use crate::sessions::numbered::{FileId, RowId};
use crate::shape::{Classify, Clock, Latest, Memory, Readings, Rule, Tally, Told, UtcTime};
use crate::tail::follow::Follower;

/// What chose a line's category, and as what its statement was read: kept where somebody wants to be told.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    /// `None` for bytes that are no row.
    pub rule: Option<&'static Rule>,
    /// `None` where no statement was read.
    pub dialect: Option<sealtrail_sql::Dialect>,
}

/// A row out of which something was taken: kept where somebody wants to see it.
#[derive(Debug)]
pub struct Taken {
    /// Where it begins.
    pub offset: u64,
    /// What took something out, as records call it.
    pub names: Vec<String>,
    /// Its texts before and after.
    pub changes: Vec<Change>,
}

/// Turns rows into lines, for all sources.
#[derive(Debug)]
pub struct Intake {
    clock: Arc<dyn WallClock>,
    server: String,
    record_max: usize,
    sources: Vec<SourceIntake>,
    scratch: Scratch,
    classify: Classify,
    redactor: Arc<Redactor>,
    readings: Readings,
    /// Who is behind the accounts; `None` where nobody asks.
    pub identity: Option<Mapper>,
    /// The boot clock's, of the turn.
    now_ms: u64,
    /// When the file at hand was written to last, in milliseconds since 1970.
    written_ms: Option<u64>,
    /// Lines of rows that began in another file than the one that was taken from: the files' ids. Their files count them.
    pub begun_elsewhere: Vec<FileId>,
    /// What the next seal will cover.
    pub block: Block,
    /// For each line of the block what chose its category; `None` where nobody asks.
    pub chosen: Option<Vec<Chosen>>,
    /// Rows of the block out of which something was taken; `None` where nobody asks, which is everywhere but in `redact test`.
    pub taken: Option<Vec<Taken>>,
}

/// What the rows of one source share.
#[derive(Debug)]
struct SourceIntake {
    name: String,
    labels: Vec<(String, String)>,
    row_clock: Clock,
    /// Sessions begin in the past: their times have a memory of their own, so that neither spoils the other's.
    session_clock: Clock,
    /// The time of the last row that had one: what stands in for it on a row that has none.
    last_time: Option<UtcTime>,
    /// Who the connections of a general query log belong to.
    accounts: Accounts,
    /// Rows by category, and by where their fields came from.
    tally: Tally,
    /// What earlier rows of a session tell of later ones.
    memory: Memory,
    /// Counts the rows of each session; `None` where nobody asks whether rows are missing.
    sessions: Option<Sessions>,
}

impl Intake {
    /// For the plan's sources, in their order.
    pub fn new(
        clock: Arc<dyn WallClock>,
        agent: &AgentPlan,
        classify: &Classify,
        redact: &Redact,
        sources: &[SourcePlan],
    ) -> Self {
        let redactor = Arc::new(Redactor::new(redact, None));
        let sources = sources.iter().map(|plan| SourceIntake {
            name: plan.name.clone(),
            labels: plan.labels.clone().into_iter().collect(),
            row_clock: Clock::new(plan.timezone.as_deref()),
            session_clock: Clock::new(plan.timezone.as_deref()),
            last_time: None,
            accounts: Accounts::default(),
            tally: Tally::default(),
            memory: Memory::default(),
            sessions: None,
        });
        Intake {
            clock,
            server: agent.name.clone(),
            record_max: agent.record_max_bytes,
            sources: sources.collect(),
            scratch: Scratch::new(),
            classify: classify.clone(),
            readings: Readings::new(Arc::clone(&redactor)),
            redactor,
            identity: None,
            now_ms: 0,
            written_ms: None,
            begun_elsewhere: Vec::new(),
            block: Block::default(),
            chosen: None,
            taken: None,
        }
    }

    /// Makes hashes of literals with this key, the host's.
    pub fn hash_by(&mut self, redact: &Redact, key: &HashKey) {
        self.redactor = Arc::new(Redactor::new(redact, Some(key)));
        self.readings = Readings::new(Arc::clone(&self.redactor));
    }

    /// Says who is behind the accounts from now on.
    pub fn name_people(&mut self, directory: Arc<Directory>, carriers: Carriers) {
        let variables = Arc::new(carriers.variables.clone());
        self.sources.iter_mut().for_each(|source| source.memory.variables = Arc::clone(&variables));
        self.identity = Some(Mapper::new(directory, carriers));
    }

    /// Whether a layer before the database is listened to.
    pub fn hears_layers(&mut self) -> bool {
        self.identity.as_mut().is_some_and(|mapper| !mapper.access().is_empty())
    }

    /// All files of a source were read to their ends at that time, in milliseconds since 1970.
    pub fn caught_up(&mut self, source: usize, at_ms: u64) {
        if let Some(mapper) = &mut self.identity {
            mapper.access().caught_up(&self.sources[source].name, at_ms);
        }
    }

    /// Counts the rows of each session from now on, on from where `sessions` stand: one a source, in their order.
    pub fn count_rows(&mut self, sessions: Vec<Sessions>) {
        for (source, sessions) in self.sources.iter_mut().zip(sessions) {
            source.sessions = Some(sessions);
        }
    }

    /// The time of the rows to come, by the boot clock.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.sources
            .iter_mut()
            .filter_map(|source| source.sessions.as_mut())
            .for_each(|sessions| sessions.tick(now_ms));
    }

    /// Rows of one source by category, and by where their fields came from.
    pub fn tally_of(&self, source: usize) -> &Tally {
        &self.sources[source].tally
    }

    /// When the file of the rows to come was written to last, in milliseconds since 1970, as far as that is known: the years of times without
    /// one follow from it.
    pub fn written(&mut self, written_ms: Option<u64>) {
        self.written_ms = written_ms;
    }

    /// The count of one source's rows.
    pub fn sessions_of(&mut self, source: usize) -> Option<&mut Sessions> {
        self.sources[source].sessions.as_mut()
    }

    /// The counts of all sources.
    pub fn sessions(&self) -> impl Iterator<Item = &Sessions> {
        self.sources.iter().filter_map(|source| source.sessions.as_ref())
    }

    /// What the rows of the follower's file share; encoded anew when its path has changed.
    pub fn origin(&self, follower: &mut Follower) -> Arc<Origin> {
        if let Some(origin) = &follower.origin {
            return Arc::clone(origin);
        }
        let id = follower.id().unwrap_or_default();
        let dialect = follower.frames.dialect().cloned().unwrap_or_else(|| Format::PostgresCsvlog.into());
        let origin = self.new_origin(follower.source, id, dialect, &follower.path().to_string_lossy());
        Arc::clone(follower.origin.insert(Arc::new(origin)))
    }

    /// What the rows of a file share.
    pub fn new_origin(&self, source: usize, file_id: &str, dialect: Dialect, path: &str) -> Origin {
        let source = &self.sources[source];
        Origin::new(file_id, dialect, &self.server, &source.name, path, &source.labels)
    }

    /// Takes the whole frames that are there, until `bytes_max` of lines are in the block. `end`: nothing more will come of the file.
    /// Returns how many lines of this file they became. Pieces of rows that are not whole stay in `held`.
    #[expect(clippy::too_many_arguments, reason = "each is another's: the plan's, the file's, the caller's")]
    pub fn take(
        &mut self,
        source: usize,
        origin: &Arc<Origin>,
        frames: &mut Frames,
        held: &mut Held,
        end: bool,
        bytes_max: usize,
        health: &SourceHealth,
    ) -> u64 {
        self.counted(source, health, |intake, scratch| {
            while intake.block.lines.len() < bytes_max {
                let next = frames.next(intake.record_max, end);
                let mut row = intake.row(source, origin, held);
                match next {
                    Next::Record { len } => row.record(frames, len, scratch),
                    Next::Damaged { len, reason } => row.damaged(frames, len, reason),
                    Next::Oversize { len, torn } => row.oversize(frames, len, torn, scratch),
                    Next::Zeros => row.zeros(frames),
                    Next::Wait => break,
                }
            }
        })
    }

    /// Writes the lines of rows that nobody waits for any longer, until `bytes_max` of lines are in the block. Each counts as begun
    /// elsewhere.
    pub fn give_up(&mut self, source: usize, held: &mut Held, whose: GivenUp, bytes_max: usize, health: &SourceHealth) {
        self.counted(source, health, |intake, scratch| {
            while intake.block.lines.len() < bytes_max {
                let waiting = match whose {
                    GivenUp::Overdue => held.take_overdue(intake.now_ms),
                    GivenUp::OfFile(file) => held.take_next_of(file),
                };
                let Some((waiting, origin)) = waiting.as_ref().and_then(|row| Some((row, row.origin()?))) else {
                    break;
                };
                let before = (intake.block.rows.read, intake.begun_elsewhere.len() as u64);
                intake.row(source, origin, held).whole(waiting, waiting.may_be_whole(), scratch);
                let told_of = before.0 + intake.begun_elsewhere.len() as u64 - before.1;
                intake.begun_elsewhere.extend((told_of..intake.block.rows.read).map(|_| origin.file));
            }
        });
    }

    /// Counts the rows that `take` writes, and returns how many began in the file that they were taken from.
    fn counted(&mut self, source: usize, health: &SourceHealth, take: impl FnOnce(&mut Self, &mut Scratch)) -> u64 {
        let before = (self.block.rows.read, self.block.rows.unparsed, self.begun_elsewhere.len());
        let mut scratch = std::mem::take(&mut self.scratch);
        take(self, &mut scratch);
        self.scratch = scratch;
        let rows = self.block.rows.read - before.0;
        let source = &self.sources[source];
        if rows > 0 {
            health.tally.set(&source.tally);
        }
        health.rows_read.fetch_add(rows, Ordering::Relaxed);
        health.rows_unparsed.fetch_add(self.block.rows.unparsed - before.1, Ordering::Relaxed);
        if rows > 0
            && let Some(time) = &source.last_time
        {
            health.last_row_ms.store(time.unix_ms(), Ordering::Relaxed);
        }
        rows - (self.begun_elsewhere.len() - before.2) as u64
    }

    fn row<'i>(&'i mut self, source: usize, origin: &'i Arc<Origin>, held: &'i mut Held) -> Row<'i> {
        Row {
            clock: self.clock.as_ref(),
            origin,
            server: &self.server,
            classify: &self.classify,
            redactor: &self.redactor,
            readings: &mut self.readings,
            identity: &mut self.identity,
            block: &mut self.block,
            chosen: &mut self.chosen,
            taken: &mut self.taken,
            source: &mut self.sources[source],
            held,
            begun_elsewhere: &mut self.begun_elsewhere,
            now_ms: self.now_ms,
            written_ms: self.written_ms,
        }
    }

    /// Gives memory back when everything is quiet.
    pub fn rest(&mut self) {
        self.scratch.shrink(IDLE_BUFFER_BYTES_MAX);
        self.readings.rest();
        self.block.lines.shrink_to(IDLE_BUFFER_BYTES_MAX);
    }
}

/// Which rows are given up.
#[derive(Debug, Clone, Copy)]
pub enum GivenUp {
    /// Those of which nothing has come for too long.
    Overdue,
    /// All of which some piece stands in this file.
    OfFile(FileId),
}

/// One row on its way into the block.
struct Row<'i> {
    clock: &'i dyn WallClock,
    origin: &'i Arc<Origin>,
    server: &'i str,
    classify: &'i Classify,
    redactor: &'i Redactor,
    readings: &'i mut Readings,
    identity: &'i mut Option<Mapper>,
    block: &'i mut Block,
    chosen: &'i mut Option<Vec<Chosen>>,
    taken: &'i mut Option<Vec<Taken>>,
    source: &'i mut SourceIntake,
    held: &'i mut Held,
    begun_elsewhere: &'i mut Vec<FileId>,
    now_ms: u64,
    written_ms: Option<u64>,
}

impl SourceIntake {
    /// The row's time; where it has none, that of the row before it, or the agent's own.
    fn time(&mut self, text: &[u8], written_ms: Option<u64>, clock: &dyn WallClock) -> UtcTime {
        let in_full = self.row_clock.utc(text);
        match in_full.or_else(|| self.time_without_year(text, written_ms, clock)) {
            Some(time) => *self.last_time.insert(time),
            None => self.stand_in_time(clock),
        }
    }

    fn time_without_year(&mut self, text: &[u8], written_ms: Option<u64>, clock: &dyn WallClock) -> Option<UtcTime> {
        let unix_ms = written_ms.unwrap_or_else(|| clock.unix_ms());
        self.row_clock.utc_without_year(text, Latest { unix_ms, is_of_file: written_ms.is_some() })
    }

    fn stand_in_time(&self, clock: &dyn WallClock) -> UtcTime {
        match self.last_time {
            Some(time) => time.derived("previous-row"),
            None => UtcTime::from_rfc3339(clock::rfc3339(clock.unix_ms()).as_bytes()).derived("agent-clock"),
        }
    }

    /// Takes the row into account for those that come after it in its session.
    fn learn(
        &mut self,
        session: Option<&[u8]>,
        record: &Record<'_>,
        told: Option<&Told<'_>>,
        row: RowId,
        time: &UtcTime,
    ) {
        self.memory.learn(session, record, told, row, time);
        if let (Some(session), Some(told)) = (session, told.filter(|_| record.follows)) {
            self.accounts.ran(session, told);
        }
    }
}
