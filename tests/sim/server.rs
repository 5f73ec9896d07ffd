//! The model of the database and its administrators: who writes what into which file, and what becomes of the files.
//!
//! It knows every row ever written, byte for byte, and for every file (a [`Log`]: a stream of bytes from 0 on, whatever it is called and
//! however often it was copied) from where on rows may be missing from the trail: those that went away before the agent had a fair
//! chance to read them. Nothing else may be missing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use fastrand::Rng;
use sealtrail::clock::{Clock, rfc3339};

use crate::clock::SimClock;
use crate::disk::{NodeId, SimDisk};

/// A row that was written, or is being written.
#[derive(Debug)]
pub struct Row {
    pub log: usize,
    /// Where it stands in its log; the end is beyond what is written yet where a part waits.
    pub place: Range<usize>,
    pub session: String,
    pub line: u64,
    pub sql: String,
    /// Its two parts are in two logs: it is whole nowhere.
    pub torn: bool,
}

/// The content of one file, from its first byte on, as long as it was appended to.
#[derive(Debug)]
pub struct Log {
    pub source: usize,
    /// Of the file that it was written to.
    pub ino: u64,
    pub bytes: Vec<u8>,
    /// Up to here everything must be in the trail: the agent was well and had time enough.
    pub safe: usize,
    /// From here on rows may be missing.
    pub excused: Option<usize>,
    /// The agent's life that had it open when all was well last.
    pub held: Option<u64>,
    /// Bytes in it are no rows: what follows them may be taken for damage too.
    pub damaged: bool,
    /// It was cut in place: an open handle does not help.
    cut: bool,
    /// The file that it was cut out of is gone, too.
    pub gone: bool,
}

/// A file that holds a log, or a part of it.
#[derive(Debug, Clone)]
pub struct Place {
    pub path: String,
    pub log: usize,
    /// How much of the log it holds; `usize::MAX`: it is the log itself.
    pub holds: usize,
    pub packed: bool,
}

/// One source's files, and who writes into them.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    pub globs: Vec<String>,
    /// Globs match the names of rotated files, too.
    pub wide: bool,
    pub stamped: bool,
    folder: String,
    /// Where the server writes: the log, its file, and what it has not written yet of its last row.
    log: usize,
    node: NodeId,
    queue: Vec<u8>,
    /// The file was renamed, and the server was not told to open a new one yet.
    pub reopens: bool,
    stamps: usize,
    sessions: Vec<Session>,
}

#[derive(Debug)]
struct Session {
    id: String,
    user: &'static str,
    line: u64,
}

/// Database, administrators, and the memory of what they did.
#[derive(Debug)]
pub struct Server {
    disk: SimDisk,
    clock: Arc<SimClock>,
    pub rng: Rng,
    pub sources: Vec<Source>,
    pub rows: Vec<Row>,
    pub logs: Vec<Log>,
    pub places: Vec<Place>,
    /// Copies under way: compressed files whose original is still there.
    packing: Vec<Packing>,
    sessions: u32,
}

#[derive(Debug)]
struct Packing {
    path: String,
    to: String,
    node: NodeId,
    bytes: Vec<u8>,
    written: usize,
}

impl Server {
    pub fn new(disk: &SimDisk, clock: &Arc<SimClock>, seed: u64, sources: usize) -> Self {
        disk.mkdir("/logs", 2);
        let mut server = Server {
            disk: disk.clone(),
            clock: Arc::clone(clock),
            rng: Rng::with_seed(seed),
            sources: Vec::new(),
            rows: Vec::new(),
            logs: Vec::new(),
            places: Vec::new(),
            packing: Vec::new(),
            sessions: 0,
        };
        for index in 0..sources {
            server.add_source(index);
        }
        server
    }

    fn add_source(&mut self, index: usize) {
        let folder = format!("/logs/s{index}");
        self.disk.mkdir(&folder, 2);
        self.disk.mkdir(&format!("{folder}/old"), 2);
        let wide = self.rng.u8(0..4) > 0;
        let stamped = self.rng.u8(0..3) == 0;
        let globs = match (wide, stamped) {
            (true, _) => vec![format!("{folder}/*.csv*"), format!("{folder}/old/*.csv*")],
            (false, _) => vec![format!("{folder}/*.csv")],
        };
        self.sources.push(Source {
            name: format!("pg{index}"),
            globs,
            wide,
            stamped,
            folder,
            log: usize::MAX,
            node: usize::MAX,
            queue: Vec::new(),
            reopens: false,
            stamps: 0,
            sessions: Vec::new(),
        });
        self.open_new(index);
    }

    // Writing.

    /// Some rows, in arbitrary pieces; the last may wait for its rest.
    pub fn write(&mut self, index: usize, rows: usize) {
        for _ in 0..rows {
            self.finish_row(index);
            self.begin_row(index);
            while !self.sources[index].queue.is_empty() && self.rng.u8(0..4) > 0 {
                let piece = self.rng.usize(1..=self.sources[index].queue.len());
                self.write_piece(index, piece);
            }
        }
        if self.rng.bool() {
            self.finish_row(index);
        }
    }

    /// The rest of the row that is being written.
    pub fn finish_row(&mut self, index: usize) {
        self.write_piece(index, self.sources[index].queue.len());
    }

    fn write_piece(&mut self, index: usize, len: usize) {
        let source = &mut self.sources[index];
        let piece: Vec<u8> = source.queue.drain(..len).collect();
        if !piece.is_empty() {
            self.disk.write_log(source.node, &piece);
            self.logs[source.log].bytes.extend(piece);
        }
    }

    fn begin_row(&mut self, index: usize) {
        let session = self.session(index);
        let serial = self.rows.len();
        let sql = self.sql(serial);
        let source = &mut self.sources[index];
        let session = &mut source.sessions[session];
        session.line += 1;
        let time = rfc3339(self.clock.unix_ms()).replace('T', " ").replace('Z', " UTC");
        let text = csv(&time, session, &sql);
        let start = self.logs[source.log].bytes.len();
        self.rows.push(Row {
            log: source.log,
            place: start..start + text.len(),
            session: session.id.clone(),
            line: session.line,
            sql,
            torn: false,
        });
        source.queue = text.into_bytes();
    }

    /// One of the source's sessions; now and then a new one.
    fn session(&mut self, index: usize) -> usize {
        let source = &mut self.sources[index];
        if source.sessions.is_empty() || self.rng.u8(0..20) == 0 {
            self.sessions += 1;
            if source.sessions.len() >= 4 {
                source.sessions.remove(self.rng.usize(0..4));
            }
            let id = format!("{:x}.{:x}", self.clock.unix_ms() / 1000, 0x1000 + self.sessions);
            let user = ["app", "alice", "o'hara", "weird,\"user\""][self.rng.usize(0..4)];
            source.sessions.push(Session { id, user, line: 0 });
        }
        self.rng.usize(0..source.sessions.len())
    }

    /// A statement with its number in it.
    fn sql(&mut self, serial: usize) -> String {
        let mut sql = match self.rng.u8(0..8) {
            0 => format!("SELECT *\nFROM t\nWHERE a = 'x, \"y\"' -- r{serial}\n"),
            1 => format!("INSERT INTO t VALUES ({serial}, 'Zoë \u{1f512}', E'\\n')"),
            2 => format!("UPDATE t\r\nSET b = '\"' WHERE c = {serial}"),
            _ => format!("SELECT {serial}"),
        };
        if self.rng.u8(0..40) == 0 {
            let long = self.rng.usize(1000..6000);
            sql.extend(std::iter::repeat_with(|| char::from(self.rng.u8(b'a'..=b'z'))).take(long));
        }
        let _ = write!(sql, " /* row {serial} */");
        sql
    }

    /// Opens a new file and writes there from now on. What was there has another name by now, or none.
    fn open_new(&mut self, index: usize) {
        let source = &mut self.sources[index];
        if source.node != usize::MAX {
            self.disk.close_log(source.node);
        }
        source.stamps += 1;
        source.reopens = false;
        let path = source.path();
        source.log = self.logs.len();
        source.node = self.disk.create_log(&path, 0o640);
        self.logs.push(Log::new(index, self.disk.ino(source.node)));
        self.places.push(Place { path, log: source.log, holds: usize::MAX, packed: false });
    }

    // What administrators do. Each returns false where there is nothing to do it to.

    /// Rotates by other names: `.1` to `.2` and so on, or a new time stamp. The server may be told to open a new file only later.
    pub fn rotate(&mut self, index: usize, at_once: bool) -> bool {
        self.finish_row(index);
        if self.sources[index].reopens {
            self.open_new(index);
        }
        if self.sources[index].stamped {
            self.open_new(index);
            self.leave_narrow(index);
            return true;
        }
        self.finish_packing();
        let (log, node) = (self.sources[index].log, self.sources[index].node);
        if self.rng.bool() {
            self.disk.spread(self.rng.u64(..));
        }
        self.shift(index, true);
        self.sources[index].reopens = true;
        if at_once {
            self.open_new(index);
            if self.rng.u8(0..4) == 0 {
                self.pack_at_once(index, log, node);
            }
        }
        self.disk.end_spread();
        self.leave_narrow(index);
        true
    }

    /// Compresses what has just been rotated away, as `logrotate` does without `delaycompress`.
    fn pack_at_once(&mut self, index: usize, log: usize, node: NodeId) {
        let path = format!("{}.1", self.sources[index].path());
        let is_it = |place: &Place| place.path == path && place.log == log && place.holds == usize::MAX;
        let Some(place) = self.places.iter().position(is_it) else { return };
        let to = format!("{path}.gz");
        let packed = self.disk.create_log(&to, 0o640);
        self.disk.write_log(packed, &gzip(&self.logs[log].bytes));
        self.disk.date(packed, self.disk.written(node));
        self.disk.close_log(packed);
        self.disk.unlink(&path);
        self.places.swap_remove(place);
        self.places.push(Place { path: to, log, holds: self.logs[log].bytes.len(), packed: true });
        self.out_of_sight(self.disk.ino(node));
        self.excuse(log);
    }

    /// `.2` becomes `.3`, `.1` becomes `.2`, and the file `itself` `.1`.
    fn shift(&mut self, index: usize, itself: bool) {
        let path = self.sources[index].path();
        let mut numbered: Vec<(usize, usize)> = (0..self.places.len())
            .filter_map(|place| Some((number_of(&self.places[place].path, &path)?, place)))
            .filter(|(number, _)| itself || *number > 0)
            .collect();
        numbered.sort();
        for (number, place) in numbered.into_iter().rev() {
            let from = self.places[place].path.clone();
            let suffix = if self.places[place].packed { &from[from.rfind('.').unwrap()..] } else { "" };
            self.rename(place, format!("{path}.{}{suffix}", number + 1));
        }
    }

    fn rename(&mut self, place: usize, to: String) {
        self.disk.move_log(&self.places[place].path, &to);
        self.places[place].path = to;
    }

    /// The server opens a new file, if the old one was renamed.
    pub fn reopen(&mut self, index: usize) -> bool {
        let due = self.sources[index].reopens;
        if due {
            self.finish_row(index);
            self.open_new(index);
        }
        due
    }

    /// Where the old file has no name any more, the server opens a new one; no row is in the middle of being written.
    pub fn reopen_deleted(&mut self) {
        for index in 0..self.sources.len() {
            self.finish_row(index);
            let log = self.sources[index].log;
            let has_name = self.places.iter().any(|place| place.log == log && place.holds == usize::MAX);
            if !has_name {
                self.reopen(index);
            }
        }
    }

    /// Rows of a file whose name no glob matches any more, and that the agent may never have seen.
    fn leave_narrow(&mut self, index: usize) {
        let unmatched: Vec<usize> = (0..self.logs.len())
            .filter(|&log| self.logs[log].source == index && self.logs[log].safe == 0 && !self.is_matched(log))
            .collect();
        for log in unmatched {
            self.logs[log].excused = Some(0);
        }
    }

    /// Whether some name of it is one that the agent looks at.
    fn is_matched(&self, log: usize) -> bool {
        self.places.iter().any(|place| place.log == log && self.is_looked_at(place))
    }

    /// Whether no pattern led to a log when all was well, and files may look newer than they are: then nothing is to be read of it, and
    /// it may be read after all, once one beside it is rotated.
    pub fn may_look_new(&self, log: usize) -> bool {
        self.clock.was_turned() && self.logs[log].safe == 0 && !self.is_matched(log)
    }

    fn is_looked_at(&self, place: &Place) -> bool {
        let wide = self.sources[self.logs[place.log].source].wide;
        wide || place.path.ends_with(".csv") && !place.path.contains("/old/")
    }

    /// Removes an old file: what is not in another file is gone.
    pub fn delete_old(&mut self, index: usize) -> bool {
        let Some(place) = self.old_place(index, |_| true) else { return false };
        self.finish_packing();
        self.remove_place(place);
        true
    }

    /// The file is removed and made anew under the same name.
    pub fn delete_and_recreate(&mut self, index: usize) -> bool {
        self.finish_row(index);
        if self.sources[index].reopens {
            return false;
        }
        let path = self.sources[index].path();
        self.remove_path(&path);
        self.open_new(index);
        true
    }

    /// Removes the file under the server, which writes on into it until it is told.
    pub fn delete_under_server(&mut self, index: usize) -> bool {
        self.finish_row(index);
        if self.sources[index].reopens {
            return false;
        }
        let path = self.sources[index].path();
        self.remove_path(&path);
        self.sources[index].reopens = true;
        true
    }

    /// `logrotate` with `copytruncate`: rows may come between the copy and the cut.
    pub fn copy_and_truncate(&mut self, index: usize, rows_between: usize) -> bool {
        self.finish_row(index);
        if self.sources[index].reopens {
            return false;
        }
        let path = self.sources[index].path();
        self.finish_packing();
        self.shift(index, false);
        let (log, copy) = (self.sources[index].log, format!("{path}.1"));
        let holds = self.logs[log].bytes.len();
        let node = self.disk.create_log(&copy, 0o640);
        self.disk.write_log(node, &self.logs[log].bytes);
        self.disk.close_log(node);
        self.places.push(Place { path: copy, log, holds, packed: false });
        self.write(index, rows_between);
        self.finish_row(index);
        self.cut_in_place(index);
        true
    }

    /// The server cuts its own file and begins anew in it: `log_truncate_on_rotation`. The new content may at once be longer.
    pub fn truncate(&mut self, index: usize, longer: bool) -> bool {
        self.finish_row(index);
        if self.sources[index].reopens {
            return false;
        }
        let before = self.logs[self.sources[index].log].bytes.len();
        self.cut_in_place(index);
        while longer && self.logs[self.sources[index].log].bytes.len() <= before {
            self.write(index, 1);
            self.finish_row(index);
        }
        true
    }

    /// Cuts the current file to nothing: from here on it holds another log.
    fn cut_in_place(&mut self, index: usize) {
        let path = self.sources[index].path();
        let node = self.sources[index].node;
        self.disk.cut_log(node, 0);
        let log = self.logs.len();
        self.logs.push(Log::new(index, self.disk.ino(node)));
        let old = std::mem::replace(&mut self.sources[index].log, log);
        self.logs[old].cut = true;
        // Whatever other names the file has now lead to the new content as well.
        for place in self.places.iter_mut().filter(|place| place.log == old && place.holds == usize::MAX) {
            place.log = log;
        }
        debug_assert!(self.places.iter().any(|place| place.path == path && place.log == log));
        self.excuse(old);
    }

    /// Begins to compress an old file; the original goes when that is done.
    pub fn pack(&mut self, index: usize) -> bool {
        let busy: Vec<String> = self.packing.iter().map(|packing| packing.path.clone()).collect();
        let Some(place) = self.old_place(index, |place| !place.packed && !busy.contains(&place.path)) else {
            return false;
        };
        let Place { path, log, .. } = self.places[place].clone();
        if log == self.sources[index].log {
            // The server writes to it, under whatever name.
            return false;
        }
        let content = self.disk.content(&path).unwrap();
        let (to, bytes) = match self.rng.bool() {
            true => (format!("{path}.gz"), gzip(&content)),
            false => (format!("{path}.zst"), zstd::bulk::compress(&content, 1).unwrap()),
        };
        let node = self.disk.create_log(&to, 0o640);
        self.packing.push(Packing { path, to, node, bytes, written: 0 });
        true
    }

    /// Goes on compressing.
    pub fn pack_on(&mut self) -> bool {
        let Some(packing) = self.packing.last_mut() else { return false };
        let piece = self.rng.usize(0..=packing.bytes.len() - packing.written);
        self.disk.write_log(packing.node, &packing.bytes[packing.written..packing.written + piece]);
        packing.written += piece;
        true
    }

    /// Ends all compressing that is under way.
    pub fn finish_packing(&mut self) {
        while let Some(packing) = self.packing.pop() {
            self.disk.write_log(packing.node, &packing.bytes[packing.written..]);
            self.disk.close_log(packing.node);
            // As compressors and logrotate do.
            if let Some(modified) = self.disk.modified(&packing.path) {
                self.disk.touch(&packing.to, modified);
            }
            let Some(place) = self.places.iter().position(|place| place.path == packing.path) else { continue };
            let old = self.places[place].clone();
            let holds = old.holds.min(self.logs[old.log].bytes.len());
            self.places.push(Place { path: packing.to, log: old.log, holds, packed: true });
            self.remove_place(place);
        }
    }

    /// Moves an old file into the other folder, or back.
    pub fn move_old(&mut self, index: usize) -> bool {
        self.finish_packing();
        let Some(place) = self.old_place(index, |_| true) else { return false };
        let folder = self.sources[index].folder.clone();
        let path = &self.places[place].path;
        if !self.sources[index].wide && path.contains("/old/") {
            // What was called gone and comes back later is a new file to the agent once its segment is closed.
            return false;
        }
        let name = path.rsplit('/').next().unwrap().to_owned();
        let to = match path.starts_with(&format!("{folder}/old/")) {
            // Out of the way of numbers that are given out again.
            true => format!("{folder}/back-{}-{name}", self.rng.u32(0..1_000_000)),
            false => format!("{folder}/old/{}-{name}", self.rng.u32(0..1_000_000)),
        };
        let log = self.places[place].log;
        self.rename(place, to);
        if !self.is_matched(log) {
            // In another folder it is not looked for.
            self.logs[log].excused = Some(self.logs[log].safe);
            self.out_of_sight(self.disk.ino_of(&self.places[place].path));
        }
        true
    }

    /// Gives a file one more name that a glob matches.
    pub fn hard_link(&mut self, index: usize) -> bool {
        let source = &self.sources[index];
        if source.reopens {
            return false;
        }
        let (path, log) = (source.path(), source.log);
        let to = format!("{}/hard-{}.csv", source.folder, self.rng.u32(0..1_000_000));
        self.disk.link(&path, &to);
        self.places.push(Place { path: to, log, holds: usize::MAX, packed: false });
        true
    }

    /// A symbolic link that a glob matches leads to the current file, whatever it led to before.
    pub fn symlink(&mut self, index: usize) -> bool {
        let source = &self.sources[index];
        if source.reopens {
            return false;
        }
        let path = format!("{}/current.csv", source.folder);
        self.disk.symlink(&source.path(), &path);
        true
    }

    /// A file that was written elsewhere and appears only now, dated back.
    pub fn late_file(&mut self, index: usize, rows: usize) -> bool {
        self.finish_row(index);
        let source = &mut self.sources[index];
        let (aside, path) = ("/logs/aside", format!("{}/late-{:04}.csv", source.folder, self.logs.len()));
        let node = self.disk.create_log(aside, 0o640);
        let (log, old_node) = (source.log, source.node);
        (source.log, source.node) = (self.logs.len(), node);
        self.logs.push(Log::new(index, self.disk.ino(node)));
        self.write(index, rows);
        self.finish_row(index);
        let source = &mut self.sources[index];
        let late = std::mem::replace(&mut source.log, log);
        source.node = old_node;
        self.disk.close_log(node);
        self.disk.touch(aside, self.clock.system_time() - std::time::Duration::from_secs(3600));
        self.disk.move_log(aside, &path);
        self.places.push(Place { path, log: late, holds: usize::MAX, packed: false });
        true
    }

    /// Nobody but the server may read the current file, or all may again.
    pub fn set_readable(&mut self, index: usize, readable: bool) -> bool {
        let source = &self.sources[index];
        if source.reopens {
            return false;
        }
        self.disk.chmod(&source.path(), if readable { 0o640 } else { 0o600 });
        true
    }

    /// All may read everything.
    pub fn make_readable(&mut self) {
        for place in &self.places {
            self.disk.chmod(&place.path, 0o640);
        }
    }

    /// Whoever has a log open has it no more.
    pub fn forget_handles(&mut self) {
        self.logs.iter_mut().for_each(|log| log.held = None);
    }

    /// Everything is readable, compressed, written to the end and opened anew.
    pub fn come_to_rest(&mut self) {
        self.finish_packing();
        for index in 0..self.sources.len() {
            self.finish_row(index);
            self.reopen(index);
        }
        self.make_readable();
    }

    /// The agent had everything that it could see, and its life is `life`.
    pub fn settled(&mut self, life: u64) {
        for log in 0..self.logs.len() {
            let seen = self.is_matched(log) || self.logs[log].held == Some(life);
            let whole = self.whole_len(log);
            let log = &mut self.logs[log];
            if seen && !log.cut {
                log.safe = whole;
                log.held = Some(life);
                log.excused = log.excused.map(|from| from.max(whole));
            }
        }
    }

    /// Up to where a log has whole rows.
    fn whole_len(&self, log: usize) -> usize {
        let len = self.logs[log].bytes.len();
        let rows = self.rows.iter().rev().filter(|row| row.log == log && row.place.end <= len);
        rows.map(|row| row.place.end).next().unwrap_or(0)
    }

    fn old_place(&mut self, index: usize, wanted: impl Fn(&Place) -> bool) -> Option<usize> {
        let current = self.sources[index].path();
        let old: Vec<usize> = (0..self.places.len())
            .filter(|&place| {
                let place = &self.places[place];
                self.logs[place.log].source == index && place.path != current && wanted(place)
            })
            .collect();
        self.rng.choice(old)
    }

    fn remove_path(&mut self, path: &str) {
        self.finish_packing();
        let place = self.places.iter().position(|place| place.path == path).unwrap();
        self.remove_place(place);
    }

    /// Nobody can see any more that other logs were cut out of this file.
    fn out_of_sight(&mut self, ino: u64) {
        self.logs.iter_mut().filter(|log| log.cut && log.ino == ino).for_each(|log| log.gone = true);
    }

    fn remove_place(&mut self, place: usize) {
        let place = self.places.swap_remove(place);
        let ino = self.disk.ino_of(&place.path);
        self.out_of_sight(ino);
        self.disk.unlink(&place.path);
        self.excuse(place.log);
    }

    /// What of a log is in no file any more, and was not surely read, may be missing.
    fn excuse(&mut self, log: usize) {
        // What was sealed before is looked for in its folder, whatever it is called; what was not, only where a glob leads.
        let known = |place: &Place| self.logs[log].safe > 0 && !place.path.contains("/old/");
        let places = self.places.iter().filter(|place| place.log == log && (known(place) || self.is_looked_at(place)));
        let left = places.map(|place| place.holds).max().unwrap_or(0);
        let log = &mut self.logs[log];
        if left < log.bytes.len() || left == 0 {
            let from = left.max(log.safe);
            log.excused = Some(log.excused.map_or(from, |before| before.min(from)));
        }
    }
}

impl Source {
    /// Where the server writes, by name.
    pub fn path(&self) -> String {
        match self.stamped {
            true => format!("{}/pg-{:04}.csv", self.folder, self.stamps),
            false => format!("{}/pg.csv", self.folder),
        }
    }
}

impl Log {
    fn new(source: usize, ino: u64) -> Self {
        Log {
            source,
            ino,
            bytes: Vec::new(),
            safe: 0,
            excused: None,
            held: None,
            damaged: false,
            cut: false,
            gone: false,
        }
    }
}

/// A row as PostgreSQL 15 with pgAudit writes it.
fn csv(time: &str, session: &Session, sql: &str) -> String {
    let Session { id, user, line } = session;
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let field = if sql.contains([',', '"', '\n', '\r']) { quote(sql) } else { sql.to_owned() };
    let message = quote(&format!("AUDIT: SESSION,{line},1,READ,SELECT,,,{field},<none>"));
    format!(
        "{time},{},\"appdb\",4321,\"127.0.0.1:33948\",{id},{line},\"SELECT\",2026-11-20 20:19:03 UTC,3/29,0,LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n",
        quote(user),
    )
}

/// The number of a rotated file; 0 is the file itself.
fn number_of(path: &str, base: &str) -> Option<usize> {
    let rest = path.strip_prefix(base)?;
    if rest.is_empty() {
        return Some(0);
    }
    rest.strip_prefix('.')?.split('.').next()?.parse().ok()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
