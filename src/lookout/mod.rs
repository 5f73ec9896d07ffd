//! What the core keeps an eye on beside the rows: sources that fall silent, files that may be deleted unread, room that runs out.
//!
//! Each is a state of its own that takes observations and gives acts for the trail; this module asks for the observations and writes down
//! how things stand, for status and metrics. The core calls it once a turn, once a look, and once each time it counts the journal.

pub mod habit;
pub mod ration;
pub mod retention;
pub mod room;
pub mod silence;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::plan::Plan;
use crate::disk::Space;
use crate::health::{Health, JournalHealth, SourceHealth, UNKNOWN};
use crate::host::Host;
use crate::journal::write::Act;
use crate::tail::{Looked, Tail};
use retention::{Coverage, Retention};
use room::{Measure, Room};
use silence::{Report, Silence};

/// All of it. Lives as long as the core, and remembers nothing from one run to the next.
#[derive(Debug)]
pub struct Lookout {
    host: Host,
    state_dir: PathBuf,
    budget: u64,
    silence: Silence,
    retention: Vec<Retention>,
    room: Room,
}

impl Lookout {
    /// At the start of a run.
    pub fn new(host: &Host, plan: &Plan) -> Self {
        Lookout {
            host: host.clone(),
            state_dir: plan.agent.state_dir.clone(),
            budget: plan.agent.journal_max_bytes,
            silence: Silence::new(&plan.sources, host.clock.unix_ms()),
            retention: plan.sources.iter().map(|_| Retention::default()).collect(),
            room: Room::default(),
        }
    }

    /// After a turn. `reads`: reading is not paused.
    pub fn turn(&mut self, now_ms: u64, reads: bool, health: &Health) -> Vec<Act> {
        let unix_ms = self.host.clock.unix_ms();
        let acts = self.silence.turn(now_ms, unix_ms, reads, |source| get(&health.sources[source].bytes_read));
        for (index, source) in health.sources.iter().enumerate() {
            report(source, self.silence.report(index));
        }
        acts
    }

    /// After a look at the folders, with each source's lag measured.
    pub fn look(&mut self, now_ms: u64, tail: &Tail, looked: &mut Looked, health: &Health) -> Vec<Act> {
        let unix_ms = self.host.clock.unix_ms();
        let mut acts = Vec::new();
        for (index, sight) in looked.sights.iter_mut().enumerate() {
            let source = &health.sources[index];
            if self.silence.doubts(index) && sight.missing.is_none() && sight.unreadable.is_empty() {
                sight.elsewhere = tail.elsewhere(index);
            }
            acts.extend(self.silence.look(now_ms, index, sight));
            let written = get(&source.bytes_read) + get(&source.lag_bytes);
            let coverage = self.retention[index].look(sight, &looked.deleted, written, now_ms, unix_ms);
            cover(source, coverage);
        }
        acts
    }

    /// After the journal was counted.
    pub fn room(&mut self, now_ms: u64, undelivered: u64, paused: bool, journal: &JournalHealth) -> Option<Act> {
        // Where it cannot be asked the disk itself says when it is full.
        let space = self.host.disk.space(&self.state_dir).unwrap_or(None);
        let act = self.room.look(now_ms, Measure { undelivered, budget: self.budget, space, paused });
        journal.bytes_undelivered.store(undelivered, Ordering::Relaxed);
        journal.space_bytes.store(space.map_or(UNKNOWN, |Space { free, .. }| free), Ordering::Relaxed);
        journal.short.store(self.room.is_short(), Ordering::Relaxed);
        act
    }
}

fn report(source: &SourceHealth, report: Report) {
    source.quiet.set(report.quiet);
    source.missing.store(report.missing, Ordering::Relaxed);
    source.unreadable_files.store(report.unreadable, Ordering::Relaxed);
    source.silences.store(report.silences, Ordering::Relaxed);
    source.quiet_after_ms.store(report.quiet_after_ms.unwrap_or(UNKNOWN), Ordering::Relaxed);
}

fn cover(source: &SourceHealth, coverage: Coverage) {
    let told = [
        (&source.unread_written_ms, coverage.unread_written_ms),
        (&source.kept_ms, coverage.kept_ms),
        (&source.oldest_ms, coverage.oldest_ms),
        (&source.covered_ms, coverage.covered_ms),
        (&source.growth, coverage.growth),
    ];
    for (place, value) in told {
        place.store(value.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

fn get(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}
