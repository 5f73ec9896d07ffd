//! What the running agent knows about itself: counters that any thread may read.
//!
//! Written by whoever does the work (the core thread for sources and journal, each courier for its destination), read by `status`,
//! `/readyz` and `/metrics`. Plain atomics: nobody waits for anybody. Text for people is behind a mutex that is held only to
//! swap it.
//!
//! Who reads it: [`verdict`] says whether the agent is alive and ready, [`metrics`] writes the numbers down, [`http`] serves both,
//! and [`notify`] tells systemd.

pub mod http;
pub mod metrics;
pub mod notify;
pub mod verdict;

mod guests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config::plan::Plan;
use crate::identity::Directory;
use crate::shape::Category;
use crate::shape::tally::{FIELDS, From, Tally};

/// The whole of it, shared behind an `Arc`.
#[derive(Debug)]
pub struct Health {
    /// Agent's name.
    pub name: String,
    /// Trail's name.
    pub origin: String,
    /// Start of this run, Unix milliseconds.
    pub started_ms: u64,
    /// One a source, in the plan's order.
    pub sources: Vec<SourceHealth>,
    /// One a destination, in the plan's order.
    pub destinations: Vec<DestinationHealth>,
    /// The folders of all sources.
    pub watch: WatchHealth,
    /// The journal.
    pub journal: JournalHealth,
    /// Who is behind the accounts; `None` where nobody asks.
    pub identity: Option<IdentityHealth>,
}

/// The folders of all sources.
#[derive(Debug, Default)]
pub struct WatchHealth {
    /// Those of which the kernel tells every change.
    pub watched: AtomicU64,
    /// Those that are looked at on a timer.
    pub polled: AtomicU64,
    /// Why folders are looked at on a timer that need not be.
    pub problem: Text,
}

/// One source. Counters count since the start of this run.
#[derive(Debug, Default)]
pub struct SourceHealth {
    /// Its name.
    pub name: String,
    /// Bytes of log read.
    pub bytes_read: AtomicU64,
    /// Rows read.
    pub rows_read: AtomicU64,
    /// Rows that could not be understood, and were kept as they are.
    pub rows_unparsed: AtomicU64,
    /// Rows sealed and synced.
    pub rows_sealed: AtomicU64,
    /// Rows by category, and by where their fields came from.
    pub tally: TallyHealth,
    /// Gaps found: bytes that went away unread, and runs of missing row numbers.
    pub gaps: AtomicU64,
    /// Sessions past authentication that are known to be open.
    pub sessions: AtomicU64,
    /// Bytes in the files that are not read yet, as of the last look.
    pub lag_bytes: AtomicU64,
    /// Time of the newest row read, Unix milliseconds; 0 before the first.
    pub last_row_ms: AtomicU64,
    /// When it last read anything, Unix milliseconds; 0 before the first.
    pub last_read_ms: AtomicU64,
    /// Files known.
    pub files: AtomicU64,
    /// Failures to open or read a file.
    pub errors: AtomicU64,
    /// The standing problem, if there is one.
    pub problem: Text,
    /// Why it is called quiet, while it is.
    pub quiet: Text,
    /// After how long it is called quiet, milliseconds; [`UNKNOWN`]: never, or its habit is not known yet.
    pub quiet_after_ms: AtomicU64,
    /// Nothing matches its patterns.
    pub missing: AtomicBool,
    /// Files that cannot be read, at most as many as are told of at a time.
    pub unreadable_files: AtomicU64,
    /// How often it fell quiet, had no file, or had one that could not be read.
    pub silences: AtomicU64,
    /// Last write to the oldest file that is not read to its end, Unix milliseconds; [`UNKNOWN`]: there is none.
    pub unread_written_ms: AtomicU64,
    /// How long a file stays after its last write, milliseconds; or [`UNKNOWN`].
    pub kept_ms: AtomicU64,
    /// How long ago the oldest file that is there was last written to, milliseconds; or [`UNKNOWN`].
    pub oldest_ms: AtomicU64,
    /// For how long what is unread will still be there, milliseconds; or [`UNKNOWN`].
    pub covered_ms: AtomicU64,
    /// Bytes a second that the log grows by; or [`UNKNOWN`].
    pub growth: AtomicU64,
}

/// A [`Tally`] that any thread may read.
#[derive(Debug, Default)]
pub struct TallyHealth {
    categories: [AtomicU64; Category::ALL.len()],
    fields: [[AtomicU64; From::ALL.len()]; FIELDS.len()],
}

impl TallyHealth {
    /// Replaces it, count by count.
    pub fn set(&self, tally: &Tally) {
        for (count, now) in self.categories.iter().zip(tally.categories) {
            count.store(now, Ordering::Relaxed);
        }
        for (count, now) in self.fields.iter().flatten().zip(tally.fields.into_iter().flatten()) {
            count.store(now, Ordering::Relaxed);
        }
    }

    /// As it is now.
    pub fn get(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            categories: std::array::from_fn(|at| read(&self.categories[at])),
            fields: std::array::from_fn(|field| std::array::from_fn(|from| read(&self.fields[field][from]))),
        }
    }
}

/// Stands for a number that is not known.
pub const UNKNOWN: u64 = u64::MAX;

/// One destination.
#[derive(Debug, Default)]
pub struct DestinationHealth {
    /// Its name.
    pub name: String,
    /// `file`, `http`, `s3`.
    pub kind: &'static str,
    /// Whether the journal waits for it.
    pub required: bool,
    /// Behind for longer than this is an alarm, in milliseconds; 0: never.
    pub lag_max_ms: u64,
    /// First line that it does not have yet: its cursor.
    pub next_line: AtomicU64,
    /// Bytes of the journal's segments that it does not have whole; compressed, counted by segment.
    pub lag_bytes: AtomicU64,
    /// Lines delivered in this run.
    pub lines_delivered: AtomicU64,
    /// Lines passed over in this run: it does not take them.
    pub lines_left_out: AtomicU64,
    /// Bytes delivered in this run, as sent.
    pub bytes_delivered: AtomicU64,
    /// Requests that had to be made again.
    pub retries: AtomicU64,
    /// Lines that it refused in this run, and that went to the dead-letter folder.
    pub dead_letters: AtomicU64,
    /// Lines that lie in the dead-letter folder, whenever they came there.
    pub dead_letters_kept: AtomicU64,
    /// Last success, Unix milliseconds; 0 before the first.
    pub last_success_ms: AtomicU64,
    /// It refuses for a reason that will not pass by itself (401, wrong bucket): somebody has to act.
    pub stopped: AtomicBool,
    /// The standing problem, if there is one.
    pub problem: Text,
}

/// The journal.
#[derive(Debug, Default)]
pub struct JournalHealth {
    /// Lines in the trail.
    pub lines: AtomicU64,
    /// Blocks sealed in this run.
    pub blocks_sealed: AtomicU64,
    /// Uncompressed bytes of lines sealed in this run.
    pub bytes_sealed: AtomicU64,
    /// Bytes on disk.
    pub bytes_on_disk: AtomicU64,
    /// Its budget, in bytes.
    pub bytes_max: AtomicU64,
    /// Segments on disk.
    pub segments: AtomicU64,
    /// Last seal, Unix milliseconds; 0 before the first.
    pub last_seal_ms: AtomicU64,
    /// The core thread's last turn, Unix milliseconds: it is alive.
    pub last_turn_ms: AtomicU64,
    /// Reading is paused: the budget is used up or the disk is full.
    pub paused: AtomicBool,
    /// Why nobody can vouch that the trail is all that there was: found at the start of this run.
    pub continuity: Text,
    /// Bytes on disk that some required destination does not have: these may not be deleted.
    pub bytes_undelivered: AtomicU64,
    /// Bytes left on the disk of the state folder; or [`UNKNOWN`].
    pub space_bytes: AtomicU64,
    /// Room is running out.
    pub short: AtomicBool,
    /// The standing problem, if there is one.
    pub problem: Text,
}

/// The directory, and who is not in it.
#[derive(Debug, Default)]
pub struct IdentityHealth {
    /// Of the directory in force.
    pub version: Text,
    /// Its rules.
    pub rules: AtomicU64,
    /// How often it was exchanged in this run.
    pub reloads: AtomicU64,
    /// Why the files as they are now are not in force.
    pub problem: Text,
    /// Rows for which a rule was found.
    pub mapped: AtomicU64,
    /// Rows of accounts for which none was.
    pub unmapped: AtomicU64,
    /// Those accounts with the most rows, the most first.
    pub top: Mutex<Vec<(String, u64)>>,
}

impl IdentityHealth {
    /// Of a directory.
    pub fn new(directory: &Directory) -> Self {
        let health = IdentityHealth::default();
        health.in_force(directory);
        health
    }

    /// Another directory is in force.
    pub fn in_force(&self, directory: &Directory) {
        self.version.set(Some(directory.version.clone()));
        self.rules.store(directory.len() as u64, Ordering::Relaxed);
    }

    /// The accounts without a rule, with their rows.
    pub fn top(&self) -> Vec<(String, u64)> {
        // What is in it is whole, whoever held it.
        self.top.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces them.
    pub fn set_top(&self, top: Vec<(String, u64)>) {
        *self.top.lock().unwrap_or_else(PoisonError::into_inner) = top;
    }
}

/// A text that is swapped whole.
#[derive(Debug, Default)]
pub struct Text(Mutex<Option<String>>);

impl Text {
    /// Replaces it; says whether it changed, so that the caller logs a change once.
    pub fn set(&self, text: Option<String>) -> bool {
        // A poisoned lock holds a whole text all the same: nothing is computed while it is held.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != text;
        *held = text;
        changed
    }

    /// A copy of it.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SourceHealth {
    /// Nothing has happened yet, and nothing is known.
    pub fn new(name: &str) -> Self {
        let unknown = || AtomicU64::new(UNKNOWN);
        SourceHealth {
            name: name.to_owned(),
            quiet_after_ms: unknown(),
            unread_written_ms: unknown(),
            kept_ms: unknown(),
            oldest_ms: unknown(),
            covered_ms: unknown(),
            growth: unknown(),
            ..SourceHealth::default()
        }
    }
}

impl Health {
    /// All zero, with the plan's names.
    pub fn new(plan: &Plan, now_ms: u64) -> Self {
        let sources = plan.sources.iter().map(|source| SourceHealth::new(&source.name));
        let destinations = plan.destinations.iter().map(|destination| DestinationHealth {
            name: destination.name.clone(),
            kind: destination.kind.name(),
            required: destination.required,
            lag_max_ms: u64::try_from(destination.lag_max.as_millis()).unwrap_or(u64::MAX),
            ..DestinationHealth::default()
        });
        let health = Health {
            name: plan.agent.name.clone(),
            origin: plan.agent.origin.clone(),
            started_ms: now_ms,
            sources: sources.collect(),
            destinations: destinations.collect(),
            watch: WatchHealth::default(),
            identity: plan.identity.as_ref().map(|identity| IdentityHealth::new(&identity.loaded.directory)),
            journal: JournalHealth { space_bytes: AtomicU64::new(UNKNOWN), ..JournalHealth::default() },
        };
        health.journal.bytes_max.store(plan.agent.journal_max_bytes, Ordering::Relaxed);
        health
    }
}
