//! The sessions of one source in one format, how far each has counted, and which numbers are missing.
//!
//! Pure: it is told of rows, of the time, and of the moments at which everything that there is has been read; it answers with what is
//! missing for good. The same rows in the same order give the same table, so that it can be made again from the journal.
//!
//! The hard part is to accuse nobody. A number is missing only once every file has been read to its end and the collector has had time
//! to write what it held: rows come out of order when the files of a rotation are read side by side. A session whose first row seen
//! is not its first row is accused only if it began after the log was being read: see [`Log::begin`].
//!
//! Everything is bounded. A session that is forgotten leaves the second of its start behind: what began no later is never accused of
//! a missing beginning, so that a forgotten session that speaks again is taken over in silence.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use sealtrail_seal::Gap;
use serde::{Deserialize, Serialize};

use super::numbered::{FileId, Numbered, RowId, Says, file_id};
use crate::hex::hex;
use crate::journal::write::Act;
use crate::limits::{ENDED_SESSIONS_MAX, FILES_MAX, HOLES_MAX, SESSIONS_MAX};

/// Rows at a log's beginning of which the latest time counts: one that waited long in the collector's pipe must not make the log look
/// older than it is.
const BEGIN_ROWS: u8 = 8;

/// See the module.
#[derive(Debug, Default)]
pub struct Table {
    /// Hashed cheaply, since every row asks: seeded for each table, and bounded by [`SESSIONS_MAX`].
    sessions: HashMap<Arc<[u8]>, Session, RandomState>,
    /// The latest session of each process id.
    pids: HashMap<u64, Arc<[u8]>, RandomState>,
    /// Sessions that have ended, in that order: they stay for a while, since some say more after they said that they ended.
    ended: VecDeque<Arc<[u8]>>,
    /// By session (its serial) and last number.
    holes: BTreeMap<(u64, u64), Hole>,
    /// Sessions that are open.
    open: usize,
    /// Holes that nobody was told of.
    waiting: usize,
    /// Sessions that have ended, it seems, without a word.
    silent: Vec<Silent>,
    files: BTreeMap<FileId, File>,
    logs: BTreeMap<u32, Log>,
    /// The file that the last row was of, and its log.
    current: Option<FileId>,
    log: u32,
    /// The log's beginning is not known yet.
    learning: bool,
    rows: u64,
    serials: u64,
    now_ms: u64,
    /// The latest start of a session that is not in the table any more.
    forgotten_start: u64,
    /// When counting began anew, in seconds since 1970: what was written by then may have been read before. 0: it did not.
    anew_by: u64,
    /// What was given up to stay within the bounds, and what does not fit one server's log.
    pub given_up: GivenUp,
}

/// What cannot be told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Open sessions that were forgotten since there were too many.
    pub sessions: u64,
    /// Rows whose number had been there: of a copied file, or of two servers with the same session.
    pub repeats: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    serial: u64,
    /// The highest number seen, and its row.
    last: u64,
    at: RowId,
    /// Where it was last seen, in rows.
    seen: u64,
    /// Seconds since 1970; 0 where the id does not say.
    start: u64,
    log: u32,
    client: bool,
    active: bool,
    /// Its process is not there any more: it stands among the silent.
    gone: bool,
    ended: bool,
    /// Its numbers come twice: nothing can be told of it.
    repeats: bool,
    /// What follows its last row may have been read before counting began anew.
    #[serde(default)]
    taken_over: bool,
}

/// Numbers that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hole {
    session: Arc<[u8]>,
    from: u64,
    /// The row before; `None` when no row stands before it.
    before: Option<RowId>,
    after: RowId,
    /// Where it was noticed, in rows and in time.
    opened: u64,
    seen_ms: u64,
    /// Nothing of it can have been read without being counted here.
    whole: bool,
    /// The session's start, if it can prove that its beginning should have been read: 0 if not.
    proof: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Waits,
    /// To be told although it has not waited: there are too many.
    Early,
    Told,
    /// Nothing proves that these rows should have been read. A row that comes late may: what lies behind it waits again.
    Unproven,
}

impl State {
    fn waits(self) -> bool {
        matches!(self, State::Waits | State::Early)
    }
}

#[derive(Debug, Clone)]
struct Silent {
    session: Arc<[u8]>,
    last: u64,
    seen_ms: u64,
}

/// A file that rows came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    log: u32,
    /// Where it was when its first row came.
    path: String,
    /// When it was last entered, in rows.
    entered: u64,
}

/// The log of one server: files that share sessions, or that stood in the same place one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Log {
    /// Seconds since 1970 at which its reading began: sessions that started later are known from their first row on. 0: not known.
    begin: u64,
    /// Rows that `begin` still has to see.
    begin_rows: u8,
    /// The earliest start of a session that said when it ended: since then, ends are logged. 0: none.
    ends_since: u64,
    /// Only sessions that started after this second count for `ends_since`.
    ends_after: u64,
    /// The latest start of a session.
    latest_start: u64,
    /// The server has said that it stops.
    stopping: bool,
}

impl Session {
    fn is_open(&self) -> bool {
        self.client && self.active && !self.ended
    }
}

impl Log {
    fn known_begin(&self) -> Option<u64> {
        (self.begin > 0 && self.begin_rows >= BEGIN_ROWS).then_some(self.begin)
    }
}

/// What is missing for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For the trail; source, format and what the numbers count are for the caller to fill in.
    pub gap: Gap,
    /// It was not waited for: too many were waiting.
    pub early: bool,
}

impl Told {
    /// The act that tells of it.
    pub fn into_act(self) -> Act {
        let Told { gap, early } = self;
        let (source, session) = (&gap.source, gap.session.as_deref().unwrap_or_default());
        if gap.of == "tail" {
            let message = format!(
                "session {session} of source {source} ended, and no row says so: its last row is number {}, and whether others \
                 followed cannot be known",
                gap.from.saturating_sub(1)
            );
            return Act::new("TAIL UNPROVEN", message).of_source(source).unknown().with_gap(gap);
        }
        let (one, several) = if gap.of == "entries" { ("entry", "entries") } else { ("row", "rows") };
        let rows = match gap.to {
            Some(to) if to > gap.from => format!("{several} {} to {to}", gap.from),
            _ => format!("{one} {}", gap.from),
        };
        let why = if early { "; told early, since too many numbers are missing at once" } else { "" };
        let message = format!("{rows} of session {session} of source {source}: the server wrote what no file had{why}");
        Act::new("GAP", message).of_source(source).failed().with_gap(gap)
    }
}

impl Table {
    /// Empty, of a server of which rows were read before: sessions that began by then, in seconds since 1970, are taken over as they are.
    pub fn begun_anew(by: u64) -> Self {
        Table { forgotten_start: by, anew_by: by, ..Table::default() }
    }

    /// The time of the rows to come, by the boot clock.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// A row was read.
    pub fn saw(&mut self, row: &Numbered<'_>) {
        if row.number == 0 {
            return;
        }
        self.rows += 1;
        if self.learning || self.current != Some(row.at.file) {
            self.enter(row);
        }
        let Some(session) = self.sessions.get_mut(row.session) else { return self.begin(row) };
        session.seen = self.rows;
        let usual = session.log == self.log && !session.ended && !session.gone && !session.taken_over;
        let expected = usual && row.number - 1 == session.last;
        if expected && (row.says == Says::Nothing || (row.says == Says::Active && session.active)) {
            session.last = row.last;
            session.at = row.at;
            return;
        }
        self.look_closer(row);
    }

    /// Everything that could hold what was noticed to be missing by `noticed_ms` has been read. Answers with what is missing for good.
    pub fn settle(&mut self, noticed_ms: u64) -> Vec<Told> {
        self.tell(|seen_ms, _| seen_ms <= noticed_ms)
    }

    /// What cannot wait, whether or not everything is read.
    pub fn overdue(&mut self) -> Vec<Told> {
        if self.waiting <= HOLES_MAX {
            return Vec::new();
        }
        self.tell(|_, state| state == State::Early)
    }

    /// Nothing will come any more.
    pub fn finish(&mut self) -> Vec<Told> {
        self.tell(|_, _| true)
    }

    /// When the first of what waits was noticed, by the boot clock.
    pub fn waits_since_ms(&self) -> Option<u64> {
        if self.waiting == 0 && self.silent.is_empty() {
            return None;
        }
        let holes = self.holes.values().filter(|hole| hole.state.waits()).map(|hole| hole.seen_ms);
        holes.chain(self.silent.iter().map(|silent| silent.seen_ms)).min()
    }

    /// The trail has told of `gap`: it is not to be told again.
    pub fn was_told(&mut self, gap: &Gap) {
        let Some(id) = gap.session.as_deref() else { return };
        match gap.of.as_str() {
            "rows" | "entries" => self.rows_were_told(id.as_bytes(), gap.from, gap.to.unwrap_or(u64::MAX)),
            "tail" if self.sessions.get(id.as_bytes()).is_some_and(|session| session.last < gap.from) => {
                self.end(id.as_bytes());
            }
            _ => {}
        }
    }

    /// How many sessions past authentication are known to be open. Background processes and mere connections are none.
    pub fn open_sessions(&self) -> usize {
        self.open
    }

    fn rows_were_told(&mut self, id: &[u8], from: u64, to: u64) {
        for ((_, last), hole) in &mut self.holes {
            if *hole.session == *id && hole.from >= from && *last <= to {
                self.waiting -= usize::from(hole.state.waits());
                hole.state = State::Told;
            }
        }
    }
}

/// Which log a row is of.
impl Table {
    fn enter(&mut self, row: &Numbered<'_>) {
        if self.current != Some(row.at.file) {
            self.current = Some(row.at.file);
            self.log = self.log_of(row.at.file, row.path);
        }
        let Some(log) = self.logs.get_mut(&self.log) else { return };
        if log.begin_rows < BEGIN_ROWS {
            log.begin_rows += 1;
            log.begin = log.begin.max(row.time.map_or(0, unix_seconds));
        }
        self.learning = log.begin_rows < BEGIN_ROWS;
    }

    fn log_of(&mut self, id: FileId, path: &str) -> u32 {
        if let Some(file) = self.files.get_mut(&id) {
            file.entered = self.rows;
            return file.log;
        }
        if self.files.len() >= FILES_MAX {
            self.forget_file();
        }
        let stood_there = self.files.values().filter(|file| file.path == path).max_by_key(|file| file.entered);
        let log = match stood_there {
            Some(file) => file.log,
            None => self.begin_log(),
        };
        self.files.insert(id, File { log, path: path.to_owned(), entered: self.rows });
        log
    }

    fn begin_log(&mut self) -> u32 {
        let log = self.logs.last_key_value().map_or(0, |(last, _)| last + 1);
        self.logs.insert(log, Log::default());
        log
    }

    fn forget_file(&mut self) {
        let oldest = self.files.iter().min_by_key(|(_, file)| file.entered).map(|(id, _)| *id);
        let Some(forgotten) = oldest.and_then(|id| self.files.remove(&id)) else { return };
        if !self.files.values().any(|file| file.log == forgotten.log) {
            self.logs.remove(&forgotten.log);
        }
    }

    /// A session of the log `old` goes on in the current file: it is the same server's log.
    fn join(&mut self, old: u32) {
        let Some(joined) = self.logs.remove(&self.log) else { return };
        let Some(log) = self.logs.get_mut(&old) else {
            // The session's log was forgotten, and the session with it.
            self.logs.insert(self.log, joined);
            return;
        };
        log.latest_start = log.latest_start.max(joined.latest_start);
        log.stopping |= joined.stopping;
        log.ends_after = log.ends_after.max(joined.ends_after);
        log.ends_since = [log.ends_since, joined.ends_since].into_iter().filter(|since| *since > 0).min().unwrap_or(0);
        if log.ends_since <= log.ends_after {
            log.ends_since = 0;
        }
        // The files of a rotation may be read side by side, the later one first.
        let known = [log.known_begin(), joined.known_begin()];
        if let Some(begin) = known.into_iter().flatten().min() {
            (log.begin, log.begin_rows) = (begin, BEGIN_ROWS);
        }
        let new = self.log;
        self.files.values_mut().filter(|file| file.log == new).for_each(|file| file.log = old);
        self.sessions.values_mut().filter(|session| session.log == new).for_each(|session| session.log = old);
        self.learning = log.begin_rows < BEGIN_ROWS;
        self.log = old;
    }
}

/// Rows that are not simply the next.
impl Table {
    fn begin(&mut self, row: &Numbered<'_>) {
        if std::str::from_utf8(row.session).is_err() {
            // The trail cannot name it.
            return;
        }
        self.make_room();
        let id: Arc<[u8]> = row.session.into();
        let (start, pid) = started(row.session).unwrap_or_default();
        self.serials += 1;
        let session = Session {
            serial: self.serials,
            last: row.last,
            at: row.at,
            seen: self.rows,
            start,
            log: self.log,
            client: row.client,
            taken_over: start <= self.anew_by && self.is_before_count(row),
            ..Session::default()
        };
        self.sessions.insert(Arc::clone(&id), session);
        if row.number > 1 {
            let whole = self.forgotten_start == 0 || start > self.forgotten_start;
            // A session that began after its own row was written has seen its clock turned back: its start proves nothing.
            let is_sound = whole && row.from_first && row.time.is_some_and(|time| unix_seconds(time) >= start);
            let proof = if is_sound { start } else { 0 };
            self.open_hole(self.serials, &id, (1, row.number - 1), (None, row.at), (whole, proof));
        }
        if let Some(log) = self.logs.get_mut(&self.log) {
            log.latest_start = log.latest_start.max(start);
        }
        if pid > 0 {
            self.take_pid(pid, start, &id);
        }
        self.hear(row);
    }

    fn look_closer(&mut self, row: &Numbered<'_>) {
        let Some((id, session)) = self.sessions.get_key_value(row.session) else { return };
        let (id, session) = (Arc::clone(id), session.clone());
        if row.number > session.last {
            if session.log != self.log {
                self.meet(&id, session.log);
            }
            if row.number - 1 > session.last {
                let missing = (session.last + 1, row.number - 1);
                let whole = !session.taken_over;
                self.open_hole(session.serial, &id, missing, (Some(session.at), row.at), (whole, 0));
            }
            self.advance(row);
        } else if self.fill(session.serial, row) {
            if session.log != self.log {
                self.meet(&id, session.log);
            }
        } else {
            self.repeat(row);
            return;
        }
        self.hear(row);
    }

    /// Whether the row may have been written before counting began anew.
    fn is_before_count(&self, row: &Numbered<'_>) -> bool {
        self.anew_by > 0 && row.time.is_none_or(|time| unix_seconds(time) <= self.anew_by)
    }

    fn advance(&mut self, row: &Numbered<'_>) {
        let is_before = self.is_before_count(row);
        let Some(session) = self.sessions.get_mut(row.session) else { return };
        session.last = row.last;
        session.at = row.at;
        session.gone = false;
        session.taken_over &= is_before;
        if session.ended && row.says == Says::Active {
            // What looked like its end was none.
            session.ended = false;
            self.open += usize::from(session.is_open());
            self.ended.retain(|ended| **ended != *row.session);
        }
    }

    /// The session was seen in another log than the current one: they are the same.
    fn meet(&mut self, id: &Arc<[u8]>, log: u32) {
        let (old, new) = (log.min(self.log), log.max(self.log));
        if self.logs.contains_key(&log) && self.logs.contains_key(&self.log) {
            self.log = new;
            self.join(old);
        } else if let Some(session) = self.sessions.get_mut(id) {
            session.log = self.log;
        }
    }

    /// The row was there already: the file was copied, or another server has a session of the same name. Nothing that is missed of such a
    /// session is sure.
    fn repeat(&mut self, row: &Numbered<'_>) {
        self.given_up.repeats += 1;
        if let Some(session) = self.sessions.get_mut(row.session) {
            session.repeats = true;
        }
    }

    fn hear(&mut self, row: &Numbered<'_>) {
        match row.says {
            Says::Nothing => {}
            Says::Active => self.mark_active(row.session),
            Says::Disconnected => {
                self.note_end(row.session);
                self.end(row.session);
            }
            Says::Died => self.end(row.session),
            Says::ServerStarts => self.server_starts(row.session),
            Says::ServerStops => self.server_stops(),
            Says::EndsChange => self.ends_change(),
        }
    }

    fn mark_active(&mut self, id: &[u8]) {
        if let Some(session) = self.sessions.get_mut(id) {
            let was_open = session.is_open();
            session.active = true;
            self.open += usize::from(session.is_open() && !was_open);
        }
    }

    fn open_hole(
        &mut self,
        serial: u64,
        id: &Arc<[u8]>,
        (from, to): (u64, u64),
        (before, after): (Option<RowId>, RowId),
        (whole, proof): (bool, u64),
    ) {
        let session = Arc::clone(id);
        let (opened, seen_ms, state) = (self.rows, self.now_ms, State::Waits);
        let hole = Hole { session, from, before, after, opened, seen_ms, whole, proof, state };
        self.holes.insert((serial, to), hole);
        self.waiting += 1;
        if self.holes.len() > HOLES_MAX {
            self.bound_holes();
        }
    }

    /// Takes the row's numbers out of a hole; false if they were not missing in one.
    fn fill(&mut self, serial: u64, row: &Numbered<'_>) -> bool {
        let (number, last) = (row.number, row.last);
        let Some((&(_, to), hole)) = self.holes.range_mut((serial, last)..=(serial, u64::MAX)).next() else {
            return false;
        };
        if hole.from > number {
            return false;
        }
        let below = Hole { after: row.at, ..hole.clone() };
        hole.from = last.saturating_add(1);
        hole.before = Some(row.at);
        if hole.state == State::Unproven {
            (hole.state, hole.seen_ms) = (State::Waits, self.now_ms);
            self.waiting += 1;
        }
        if last == to {
            let gone = self.holes.remove(&(serial, to));
            self.waiting -= usize::from(gone.is_some_and(|hole| hole.state.waits()));
        }
        if below.from < number {
            self.waiting += usize::from(below.state.waits());
            self.holes.insert((serial, number - 1), below);
        }
        true
    }
}

/// Sessions that end.
impl Table {
    fn end(&mut self, id: &[u8]) {
        let Some((id, _)) = self.sessions.get_key_value(id) else { return };
        let id = Arc::clone(id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.ended {
            return;
        }
        self.open -= usize::from(session.is_open());
        session.ended = true;
        self.ended.push_back(id);
        if self.ended.len() > ENDED_SESSIONS_MAX {
            self.forget_ended();
        }
    }

    /// The session said that it ended, so sessions that began after it will say so too.
    fn note_end(&mut self, id: &[u8]) {
        let Some(session) = self.sessions.get(id) else { return };
        let (start, Some(log)) = (session.start, self.logs.get_mut(&session.log)) else { return };
        if start > log.ends_after && (log.ends_since == 0 || start < log.ends_since) {
            log.ends_since = start;
        }
    }

    /// A new session has the process id that another one had.
    fn take_pid(&mut self, pid: u64, start: u64, id: &Arc<[u8]>) {
        let older = self.pids.get(&pid).and_then(|older| self.sessions.get_key_value(older));
        if let Some((older, session)) = older {
            if session.log == self.log && session.start > start {
                return;
            }
            let gone = session.log == self.log && session.start < start;
            let older = Arc::clone(older);
            if gone {
                self.is_gone(&older);
            }
        }
        self.pids.insert(pid, Arc::clone(id));
    }

    /// The session's process is not there any more. If it should have said that it ended, it has still time to: its last rows may be in a
    /// file that is not read yet.
    fn is_gone(&mut self, id: &Arc<[u8]>) {
        let still_there = |session: &&mut Session| !session.ended && !session.gone;
        let Some(session) = self.sessions.get_mut(id).filter(still_there) else { return };
        let log = self.logs.get(&session.log);
        let logs_ends = log.is_some_and(|log| log.ends_since > 0 && log.ends_since <= session.start && !log.stopping);
        if session.client && session.active && logs_ends && self.silent.len() < SESSIONS_MAX {
            session.gone = true;
            self.silent.push(Silent { session: Arc::clone(id), last: session.last, seen_ms: self.now_ms });
        } else {
            self.end(id);
        }
    }

    fn server_starts(&mut self, id: &[u8]) {
        let Some(start) = self.sessions.get(id).map(|session| session.start).filter(|start| *start > 0) else { return };
        let here = |session: &Session| session.log == self.log && session.start < start && !session.ended;
        let mut gone: Vec<_> = self.sessions.iter().filter(|(_, session)| here(session)).collect();
        gone.sort_unstable_by_key(|(_, session)| session.serial);
        let gone: Vec<_> = gone.into_iter().map(|(id, _)| Arc::clone(id)).collect();
        gone.iter().for_each(|id| self.is_gone(id));
        if let Some(log) = self.logs.get_mut(&self.log) {
            // The server may have been configured otherwise meanwhile.
            (log.ends_since, log.ends_after, log.stopping) = (0, start - 1, false);
        }
    }

    fn server_stops(&mut self) {
        if let Some(log) = self.logs.get_mut(&self.log) {
            log.stopping = true;
        }
        self.believe_the_silent();
    }

    fn ends_change(&mut self) {
        if let Some(log) = self.logs.get_mut(&self.log) {
            (log.ends_since, log.ends_after) = (0, log.latest_start);
        }
        self.believe_the_silent();
    }

    /// There is a reason why sessions of the current log ended without a word.
    fn believe_the_silent(&mut self) {
        let mut ended = Vec::new();
        let (sessions, log) = (&self.sessions, self.log);
        self.silent.retain(|silent| {
            let is_here = sessions.get(&silent.session).is_some_and(|session| session.log == log);
            if is_here {
                ended.push(Arc::clone(&silent.session));
            }
            !is_here
        });
        ended.iter().for_each(|id| self.end(id));
    }
}

/// What is told.
impl Table {
    fn tell(&mut self, is_due: impl Fn(u64, State) -> bool) -> Vec<Told> {
        if self.waiting == 0 && self.silent.is_empty() {
            return Vec::new();
        }
        let mut told = self.tell_holes(&is_due);
        told.extend(self.tell_silent(&is_due));
        told
    }

    fn tell_holes(&mut self, is_due: &impl Fn(u64, State) -> bool) -> Vec<Told> {
        let is_due = |hole: &Hole| hole.state.waits() && is_due(hole.seen_ms, hole.state);
        let mut due: Vec<(u64, (u64, u64))> =
            self.holes.iter().filter(|(_, hole)| is_due(hole)).map(|(key, hole)| (hole.opened, *key)).collect();
        due.sort_unstable();
        due.into_iter().filter_map(|(_, key)| self.tell_hole(key)).collect()
    }

    fn tell_hole(&mut self, key: (u64, u64)) -> Option<Told> {
        let is_sure = self.holes.get(&key).is_some_and(|hole| self.is_sure(hole));
        self.waiting -= 1;
        let hole = self.holes.get_mut(&key)?;
        let early = hole.state == State::Early;
        // It stays, so that a row that comes after all is not taken for a second one.
        hole.state = if is_sure { State::Told } else { State::Unproven };
        is_sure.then(|| Told { gap: gap_of_rows(hole, key.1), early })
    }

    /// Whether the missing numbers were given to rows that should have been read.
    fn is_sure(&self, hole: &Hole) -> bool {
        let session = self.sessions.get(&hole.session);
        if session.is_some_and(|session| session.repeats) {
            return false;
        }
        if hole.before.is_some() {
            return hole.whole;
        }
        let log = session.and_then(|session| self.logs.get(&session.log));
        log.and_then(Log::known_begin).is_some_and(|begin| hole.proof > begin)
    }

    fn tell_silent(&mut self, is_due: &impl Fn(u64, State) -> bool) -> Vec<Told> {
        let (due, waiting) =
            std::mem::take(&mut self.silent).into_iter().partition(|silent| is_due(silent.seen_ms, State::Waits));
        self.silent = waiting;
        let due: Vec<Silent> = due;
        due.into_iter().filter_map(|silent| self.tell_tail(&silent)).collect()
    }

    fn tell_tail(&mut self, silent: &Silent) -> Option<Told> {
        let session = self.sessions.get(&silent.session)?;
        if session.ended || session.last != silent.last || session.repeats {
            return None;
        }
        let gap = Gap {
            of: "tail".to_owned(),
            session: Some(text(&silent.session)),
            from: session.last.saturating_add(1),
            before: Some(session.at.to_string()),
            ..Gap::default()
        };
        self.end(&silent.session);
        Some(Told { gap, early: false })
    }
}

/// The bounds.
impl Table {
    /// Room for one more session.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            return;
        }
        for _ in 0..self.ended.len() / 2 {
            self.forget_ended();
        }
        if self.sessions.len() >= SESSIONS_MAX {
            self.forget_unseen();
        }
    }

    /// Forgets the session that ended first, unless something of it is still waited for.
    fn forget_ended(&mut self) {
        let Some(id) = self.ended.pop_front() else { return };
        let waits = |(_, hole): (_, &Hole)| hole.state.waits();
        let serial = self.sessions.get(&id).map_or(0, |session| session.serial);
        if self.holes.range((serial, 0)..=(serial, u64::MAX)).any(waits) {
            self.ended.push_back(id);
        } else {
            self.forget(&id);
        }
    }

    /// Forgets a sixteenth of the sessions: those that were not seen for longest, rather those of which nothing is waited for.
    fn forget_unseen(&mut self) {
        let waited_for: std::collections::BTreeSet<u64> =
            self.holes.iter().filter(|(_, hole)| hole.state.waits()).map(|((serial, _), _)| *serial).collect();
        let key = |session: &Session| (waited_for.contains(&session.serial), session.seen);
        let mut by_age: Vec<_> = self.sessions.iter().map(|(id, session)| (key(session), Arc::clone(id))).collect();
        by_age.sort_unstable_by_key(|(key, _)| *key);
        by_age.truncate(SESSIONS_MAX / 16);
        for (_, id) in by_age {
            let was_open = self.sessions.get(&id).is_some_and(Session::is_open);
            self.given_up.sessions += u64::from(was_open);
            self.forget(&id);
        }
        let sessions = &self.sessions;
        self.ended.retain(|id| sessions.contains_key(id));
    }

    fn forget(&mut self, id: &Arc<[u8]>) {
        let Some(session) = self.sessions.remove(id) else { return };
        self.open -= usize::from(session.is_open());
        self.forgotten_start = self.forgotten_start.max(session.start);
        if let Some((_, pid)) = started(id)
            && self.pids.get(&pid).is_some_and(|latest| latest == id)
        {
            self.pids.remove(&pid);
        }
        let keys: Vec<_> =
            self.holes.range((session.serial, 0)..=(session.serial, u64::MAX)).map(|(key, _)| *key).collect();
        for hole in keys.iter().filter_map(|key| self.holes.remove(key)) {
            self.waiting -= usize::from(hole.state.waits());
        }
    }

    /// Forgets what does not wait; if too many wait, the older half is told at once.
    fn bound_holes(&mut self) {
        self.holes.retain(|_, hole| hole.state.waits());
        if self.waiting <= HOLES_MAX {
            return;
        }
        let mut opened: Vec<u64> = self.holes.values().map(|hole| hole.opened).collect();
        let (_, &mut half, _) = opened.select_nth_unstable(HOLES_MAX / 2);
        for hole in self.holes.values_mut().filter(|hole| hole.opened <= half) {
            hole.state = State::Early;
        }
    }
}

/// A [`Table`] as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedTable {
    sessions: Vec<(String, Session)>,
    ended: Vec<String>,
    holes: Vec<SavedHole>,
    silent: Vec<(String, u64)>,
    files: Vec<(String, File)>,
    logs: Vec<(u32, Log)>,
    rows: u64,
    serials: u64,
    forgotten_start: u64,
    #[serde(default)]
    anew_by: u64,
    given_up: GivenUp,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedHole {
    session: String,
    serial: u64,
    from: u64,
    to: u64,
    before: Option<RowId>,
    after: RowId,
    opened: u64,
    whole: bool,
    proof: u64,
    state: State,
}

impl Table {
    /// All but the time: see [`SavedTable::restore`].
    pub fn save(&self) -> SavedTable {
        let mut sessions: Vec<_> = self.sessions.iter().map(|(id, session)| (text(id), session.clone())).collect();
        sessions.sort_unstable_by_key(|(_, session)| session.serial);
        let hole = |(&(serial, to), hole): (&(u64, u64), &Hole)| SavedHole {
            session: text(&hole.session),
            serial,
            from: hole.from,
            to,
            before: hole.before,
            after: hole.after,
            opened: hole.opened,
            whole: hole.whole,
            proof: hole.proof,
            state: hole.state,
        };
        SavedTable {
            sessions,
            ended: self.ended.iter().map(|id| text(id)).collect(),
            holes: self.holes.iter().map(hole).collect(),
            silent: self.silent.iter().map(|silent| (text(&silent.session), silent.last)).collect(),
            files: self.files.iter().map(|(id, file)| (hex(id), file.clone())).collect(),
            logs: self.logs.iter().map(|(log, state)| (*log, state.clone())).collect(),
            rows: self.rows,
            serials: self.serials,
            forgotten_start: self.forgotten_start,
            anew_by: self.anew_by,
            given_up: self.given_up,
        }
    }
}

impl SavedTable {
    /// The table that was saved. What waits has waited since `now_ms`: the boot clock may have begun anew.
    pub fn restore(self, now_ms: u64) -> Table {
        let mut table = Table {
            rows: self.rows,
            serials: self.serials,
            forgotten_start: self.forgotten_start,
            anew_by: self.anew_by,
            given_up: self.given_up,
            now_ms,
            logs: self.logs.into_iter().collect(),
            ..Table::default()
        };
        for (id, session) in self.sessions {
            table.restore_session(id.as_bytes().into(), session);
        }
        table.open = table.sessions.values().filter(|session| session.is_open()).count();
        let known = |id: &String| table.sessions.get_key_value(id.as_bytes()).map(|(id, _)| Arc::clone(id));
        table.ended = self.ended.iter().filter_map(known).collect();
        let silent = |(id, last)| Some(Silent { session: known(&id)?, last, seen_ms: now_ms });
        table.silent = self.silent.into_iter().filter_map(silent).collect();
        table.holes = self.holes.into_iter().map(|hole| hole.restore(now_ms)).collect();
        table.waiting = table.holes.values().filter(|hole| hole.state.waits()).count();
        let file = |(id, file): (String, File)| Some((file_id(&id)?, file));
        table.files = self.files.into_iter().filter_map(file).collect();
        table
    }
}

impl Table {
    fn restore_session(&mut self, id: Arc<[u8]>, session: Session) {
        if let Some((_, pid)) = started(&id) {
            let older = self.pids.get(&pid).and_then(|older| self.sessions.get(older));
            if !older.is_some_and(|older| older.log == session.log && older.start > session.start) {
                self.pids.insert(pid, Arc::clone(&id));
            }
        }
        self.sessions.insert(id, session);
    }
}

impl SavedHole {
    fn restore(self, now_ms: u64) -> ((u64, u64), Hole) {
        let hole = Hole {
            session: self.session.as_bytes().into(),
            from: self.from,
            before: self.before,
            after: self.after,
            opened: self.opened,
            seen_ms: now_ms,
            whole: self.whole,
            proof: self.proof,
            state: self.state,
        };
        ((self.serial, self.to), hole)
    }
}

fn gap_of_rows(hole: &Hole, to: u64) -> Gap {
    Gap {
        of: "rows".to_owned(),
        session: Some(text(&hole.session)),
        from: hole.from,
        to: Some(to),
        before: hole.before.map(|row| row.to_string()),
        after: Some(hole.after.to_string()),
        ..Gap::default()
    }
}

fn text(id: &[u8]) -> String {
    String::from_utf8_lossy(id).into_owned()
}

/// When the session began, in seconds since 1970, and its process: PostgreSQL's session ids are both in hex (`%c`).
fn started(session: &[u8]) -> Option<(u64, u64)> {
    let (start, pid) = std::str::from_utf8(session).ok()?.split_once('.')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(pid, 16).ok()?))
}

fn unix_seconds(time: &[u8]) -> u64 {
    let time = std::str::from_utf8(time).unwrap_or_default().parse::<jiff::Timestamp>();
    time.map_or(0, |time| u64::try_from(time.as_second()).unwrap_or(0))
}
