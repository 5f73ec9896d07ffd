//! Frames become lines: parse, give meaning, encode.
//!
//! Owns the block under construction and what one source's rows share. Every byte that a follower hands out becomes part of exactly
//! one line; what no parser understands becomes an `unparsed` line with the bytes in it, or the first and last of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealtrail_parsers::{Dialect, Format, Parsed, Piece, Record, Scratch, Value, assemble, each, each_of, parse};
use sealtrail_sql::Dialect as Sql;

use crate::accounts::Accounts;
use crate::clock::{self, Clock as WallClock};
use crate::config::plan::{AgentPlan, SourcePlan};
use crate::event::{self, At, Event, Kept, Origin, Oversize, Place, Unparsed};
use crate::frames::{Frames, Next, Passed};
use crate::health::SourceHealth;
use crate::held::{Held, Waiting};
use crate::identity::{Carriers, Directory, Mapper, Site};
use crate::journal::write::Block;
use crate::limits::IDLE_BUFFER_BYTES_MAX;
use crate::redact::hash::HashKey;
use crate::redact::privacy::Subject;
use crate::redact::{Change, Ends, Private, Redact, Redacted, Redactor, Rules, Statement, merged};
use crate::sessions::Sessions;
use crate::sessions::numbered::{FileId, Numbered, RowId};
use crate::shape::memory::{SESSION_KEY_MAX, session_key};
use crate::shape::readings::hash;
use crate::shape::{
    Classify, Clock, Latest, Memory, Readings, Rule, Tally, UtcTime, dialect_of_format, meaning, sql_dialect,
};
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

impl Row<'_> {
    /// Writes a record's line; where a true record starts inside a broken one, only what stands before it.
    fn record(&mut self, frames: &mut Frames, len: usize, scratch: &mut Scratch) {
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
    fn whole(&mut self, waiting: &Waiting, complete: bool, scratch: &mut Scratch) {
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

    fn damaged(&mut self, frames: &mut Frames, len: usize, reason: &'static str) {
        let place = Place::new(frames.offset(), len as u64);
        self.unparsed(place, Unparsed { reason, flags: &["damaged"], kept: Kept::All(frames.frame(len)) });
        frames.consume(len);
    }

    /// Parses what is left of a record when the middle of its long texts is taken out.
    fn oversize(&mut self, frames: &mut Frames, len: usize, torn: Option<&'static str>, scratch: &mut Scratch) {
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

    fn zeros(&mut self, frames: &mut Frames) {
        let offset = frames.offset();
        let Some(Passed { length, .. }) = frames.take_passed(0) else { return };
        let why = Unparsed { reason: ZEROS, flags: &["zeros"], kept: Kept::Nothing };
        self.unparsed(Place::new(offset, length), why);
    }

    fn event(
        &mut self,
        place: Place,
        frame: &[u8],
        record: &Record<'_>,
        oversize: Option<&Oversize<'_>>,
        pieces: &[At<'_>],
    ) {
        let mut room = [0; SESSION_KEY_MAX];
        let session = record.session.id.map(|id| session_key(id, self.log(record), &mut room));
        if !record.follows {
            return self.meant(place, frame, record, session, oversize, pieces);
        }
        let (user, database) = self.source.accounts.of(session, record);
        let mut record = record.clone();
        record.carried = record.user.is_none() && user.is_some();
        record.database_carried = record.database.is_none() && database.is_some();
        record.user = record.user.or(user.as_deref());
        record.database = record.database.or(database.as_deref());
        self.meant(place, frame, &record, session, oversize, pieces);
    }

    /// Which server's log the row is of.
    fn log(&self, record: &Record<'_>) -> u64 {
        let stream = match self.origin.format {
            Format::Cloudwatch => record.extra.iter().find(|(name, _)| *name == "logStream"),
            _ => None,
        };
        match stream {
            Some((_, Value::Text(stream))) => self.origin.log ^ hash(stream),
            _ => self.origin.log,
        }
    }

    fn meant(
        &mut self,
        place: Place,
        frame: &[u8],
        record: &Record<'_>,
        session: Option<&[u8]>,
        oversize: Option<&Oversize<'_>>,
        pieces: &[At<'_>],
    ) {
        let time = self.source.time(record.time, self.written_ms, self.clock);
        let session_start = record.session.start.and_then(|start| self.source.session_clock.utc(start));
        self.count(place, record, &time);
        let (dialect, is_cut) = (&self.origin.dialect, oversize.is_some());
        let told = self.readings.told(dialect, record, is_cut);
        let valid = frame.is_ascii() || std::str::from_utf8(frame).is_ok();
        let statement = Statement::of(told.as_ref());
        let (original, bytes) = (record, frame);
        let Secrets { redacted, ends, mut rules } =
            Secrets::of(self.redactor, dialect, record, statement, Some(frame).filter(|_| !valid), oversize);
        let clean;
        let (record, frame, mut told) = match &redacted {
            None => (record, frame, told),
            Some(redacted) => {
                clean = redacted.record(record);
                (&clean, redacted.frame(frame), self.readings.told(dialect, &clean, is_cut))
            }
        };
        let runs = told.as_ref().and_then(|told| Some((told.dialect, self.source.memory.runs(session, record, told)?)));
        if let Some((sql, runs)) = &runs {
            told = self.readings.executed(*sql, runs);
            if told.is_none() {
                told = self.readings.told(dialect, record, is_cut);
            }
        }
        let mut known = self.source.memory.known(session, record);
        let who = self.identity.as_mut().map(|mapper| {
            let source = self.source.name.as_str();
            let site = Site { server: self.server, source, session_start: session_start.as_ref() };
            mapper.who(record, &known, told.as_ref().map(|told| told.dialect), site, &time)
        });
        known.break_glass = who.is_some_and(|who| who.is_break_glass);
        let who = who.map_or(&[][..], |who| who.json);
        let mut meaning = meaning(record, told, &known, self.server.as_bytes(), self.classify);
        let private = self.redactor.private(|| Subject {
            record,
            source: &self.source.name,
            category: meaning.category,
            told: told.as_ref(),
            dialect: sql_dialect(dialect, record),
            is_cut,
            frame: Some(frame).filter(|_| !valid),
        });
        private.iter().for_each(|private| rules |= private.redacted.rules);
        let ends = ends.map(|ends| self.redactor.private_ends(ends, &self.source.name, by_format(dialect)));
        ends.iter().for_each(|ends| rules |= ends.rules);
        if let Some(taken) = self.taken.as_mut().filter(|_| !rules.is_empty()) {
            let changes = |redacted: Option<&Redacted>, of| redacted.map(|it| it.changes(of)).unwrap_or_default();
            let of_private = private.as_ref().map(|private| &private.redacted);
            let mut all = merged(changes(redacted.as_ref(), original), changes(of_private, record));
            let left = of_private.map_or(frame, |private| private.frame(frame));
            all.extend(Change::of("raw", bytes, left));
            if let (Some(before), Some(ends)) = (oversize, &ends) {
                all.extend(Change::of_ends(before, &ends.oversize()));
            }
            taken.push(Taken::new(place, rules, self.redactor, all));
        }
        let (shown, told_of);
        let (shown_record, frame) = match &private {
            None => (record, frame),
            Some(Private { redacted, blanked }) => {
                shown = redacted.record(record);
                if let Some(blanked) = blanked {
                    told_of = blanked.as_slice();
                    meaning.read_in(told_of);
                }
                (&shown, redacted.frame(frame))
            }
        };
        let oversize = ends.as_ref().map(Ends::oversize).or(oversize.copied());
        self.source.tally.event(&meaning, &time);
        if let Some(chosen) = self.chosen {
            chosen.push(Chosen { rule: Some(meaning.rule), dialect: told.map(|told| told.dialect) });
        }
        let event = Event {
            origin: self.origin,
            place,
            frame,
            valid,
            record: shown_record,
            known,
            who,
            meaning,
            time,
            session_start,
            redacted: rules,
            patterns: self.redactor.patterns(),
            oversize: oversize.as_ref(),
            pieces,
        };
        event::write(&mut self.block.lines, &event);
        let row = RowId { file: self.origin.file, offset: place.offset, part: place.part };
        if let Some(mapper) = self.identity
            && !mapper.access().is_empty()
        {
            mapper.access().saw(&self.source.name, record, row, &time);
        }
        self.source.memory.learn(session, record, told.as_ref(), row, &time);
        if let (Some(session), Some(told)) = (session, told.filter(|_| record.follows)) {
            self.source.accounts.ran(session, &told);
        }
        self.block.rows.read += 1;
        self.block.rows.redacted += u64::from(!rules.is_empty());
    }

    /// Takes the row into account where its session's rows are counted.
    fn count(&mut self, place: Place, record: &Record<'_>, time: &UtcTime) {
        let Some(sessions) = &mut self.source.sessions else { return };
        let at = RowId { file: self.origin.file, offset: place.offset, part: place.part };
        if let Some(row) = Numbered::of_record(self.origin.format, record, at, &self.origin.path, time) {
            sessions.saw(self.origin.format, &row);
        }
    }

    fn unparsed(&mut self, place: Place, why: Unparsed<'_>) {
        let time = self.source.stand_in_time(self.clock);
        let (dialect, source) = (by_format(&self.origin.dialect), &self.source.name);
        let (bytes, ends, shown);
        let (kept, redacted) = match why.kept {
            Kept::All(all) => {
                let (clean, mut rules) = self.redactor.bytes(all, dialect);
                let (left, more) = self.redactor.private_bytes(&clean, source, dialect);
                rules |= more;
                bytes = left.into_owned();
                (Kept::All(&bytes), rules)
            }
            Kept::Ends(oversize) => {
                ends = self.redactor.private_ends(self.redactor.ends(oversize, dialect), source, dialect);
                shown = ends.oversize();
                (Kept::Ends(&shown), ends.rules)
            }
            Kept::Nothing => (Kept::Nothing, Rules::default()),
        };
        if let Some(taken) = self.taken.as_mut().filter(|_| !redacted.is_empty()) {
            let changes = match (why.kept, kept) {
                (Kept::All(before), Kept::All(after)) => Change::of("raw", before, after).into_iter().collect(),
                (Kept::Ends(before), Kept::Ends(after)) => Change::of_ends(before, after).collect(),
                _ => Vec::new(),
            };
            taken.push(Taken::new(place, redacted, self.redactor, changes));
        }
        let why = Unparsed { kept, ..why };
        event::write_unparsed(
            &mut self.block.lines,
            self.origin,
            place,
            why,
            (redacted, self.redactor.patterns()),
            &time,
            self.server,
        );
        self.block.rows.redacted += u64::from(!redacted.is_empty());
        self.source.tally.unparsed();
        if let Some(chosen) = self.chosen {
            chosen.push(Chosen { rule: None, dialect: None });
        }
        self.block.rows.read += 1;
        self.block.rows.unparsed += 1;
    }
}

/// What was taken out of a row.
struct Secrets {
    redacted: Option<Redacted>,
    /// Of a row that is too large and no text: its ends may hold more than its record.
    ends: Option<Ends>,
    rules: Rules,
}

impl Secrets {
    /// `frame`: the row's bytes, where they are kept beside the record.
    fn of(
        redactor: &Redactor,
        dialect: &Dialect,
        record: &Record<'_>,
        statement: Statement,
        frame: Option<&[u8]>,
        oversize: Option<&Oversize<'_>>,
    ) -> Self {
        let of_statement = || sql_dialect(dialect, record);
        let redacted = redactor.record(record, of_statement, statement, oversize.is_some(), frame);
        let ends = oversize.filter(|_| frame.is_some()).map(|oversize| redactor.ends(oversize, by_format(dialect)));
        let mut rules = ends.as_ref().map(|ends| ends.rules).unwrap_or_default();
        redacted.iter().for_each(|redacted| rules |= redacted.rules);
        Secrets { redacted, ends, rules }
    }
}

impl Taken {
    fn new(place: Place, rules: Rules, redactor: &Redactor, changes: Vec<Change>) -> Self {
        let names = rules.names(redactor.patterns()).map(str::to_owned).collect();
        Taken { offset: place.offset, names, changes }
    }
}

/// As which statements are read, as far as the format alone says it.
fn by_format(dialect: &Dialect) -> Option<Sql> {
    dialect_of_format(dialect.inside.as_ref().map_or(dialect.format, |inside| inside.format))
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
}
