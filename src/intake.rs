//! Frames become lines: parse, give meaning, encode.
//!
//! Owns the block under construction and what one source's rows share. Every byte that a follower hands out becomes part of exactly
//! one line; what no parser understands becomes an `unparsed` line with the bytes in it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealtrail_parsers::{Format, Parsed, Record, Scratch, parse};

use crate::clock;
use crate::config::plan::{AgentPlan, SourcePlan};
use crate::event::{self, Origin, Place, Unparsed};
use crate::health::SourceHealth;
use crate::journal::write::Block;
use crate::limits::IDLE_BUFFER_BYTES_MAX;
use crate::shape::{Clock, UtcTime, meaning};
use crate::tail::follow::{Follower, Next};

/// Turns rows into lines, for all sources.
#[derive(Debug)]
pub struct Intake {
    server: String,
    record_max: usize,
    sources: Vec<SourceIntake>,
    scratch: Scratch,
    /// What the next seal will cover.
    pub block: Block,
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
}

impl Intake {
    /// For the plan's sources, in their order.
    pub fn new(agent: &AgentPlan, sources: &[SourcePlan]) -> Self {
        let sources = sources.iter().map(|plan| SourceIntake {
            name: plan.name.clone(),
            labels: plan.labels.clone().into_iter().collect(),
            row_clock: Clock::new(plan.timezone.as_deref()),
            session_clock: Clock::new(plan.timezone.as_deref()),
            last_time: None,
        });
        Intake {
            server: agent.name.clone(),
            record_max: agent.record_max_bytes,
            sources: sources.collect(),
            scratch: Scratch::new(),
            block: Block::default(),
        }
    }

    /// Takes the whole frames that `follower` has, until `bytes_max` of lines are in the block. `end`: its file is over.
    pub fn take(&mut self, follower: &mut Follower, end: bool, bytes_max: usize, health: &SourceHealth) {
        let source = &mut self.sources[follower.source];
        let Some(format) = follower.format() else { return };
        let origin = source.origin(follower, format, &self.server);
        while self.block.lines.len() < bytes_max {
            let (len, unparsed) = match follower.next(self.record_max, end) {
                Next::Record { len } => take_record(follower, len, format, source, &origin, &self.server, &mut self.scratch, &mut self.block),
                Next::Damaged { len, reason, oversize } => {
                    let flag = if oversize { "oversize" } else { "damaged" };
                    let place = Place { offset: follower.offset(), length: len as u64 };
                    source.unparsed(&mut self.block, &origin, place, follower.frame(len), Unparsed { reason, flag }, &self.server);
                    (len, true)
                }
                Next::Wait => break,
            };
            follower.consume(len);
            self.block.rows.read += 1;
            self.block.rows.unparsed += u64::from(unparsed);
            health.rows_read.fetch_add(1, Ordering::Relaxed);
            health.rows_unparsed.fetch_add(u64::from(unparsed), Ordering::Relaxed);
        }
        if let Some(time) = &source.last_time {
            health.last_row_ms.store(time.unix_ms(), Ordering::Relaxed);
        }
    }

    /// Gives memory back when everything is quiet.
    pub fn rest(&mut self) {
        self.scratch.shrink(IDLE_BUFFER_BYTES_MAX);
        self.block.lines.shrink_to(IDLE_BUFFER_BYTES_MAX);
    }
}

impl SourceIntake {
    fn origin(&self, follower: &mut Follower, format: Format, server: &str) -> Arc<Origin> {
        if let Some(origin) = &follower.origin {
            return Arc::clone(origin);
        }
        let id = follower.id().unwrap_or_default();
        let path = follower.path().to_string_lossy();
        let origin = Origin::new(id, format.engine(), server, &self.name, format.name(), &path, &self.labels);
        Arc::clone(follower.origin.insert(Arc::new(origin)))
    }

    /// The row's time; where it has none, that of the row before it, or the agent's own.
    fn time(&mut self, text: &[u8]) -> UtcTime {
        if let Some(time) = self.row_clock.utc(text) {
            self.last_time = Some(time);
            return time;
        }
        self.stand_in_time()
    }

    fn stand_in_time(&self) -> UtcTime {
        match self.last_time {
            Some(time) => time.derived("previous-row"),
            None => UtcTime::from_rfc3339(clock::rfc3339(clock::unix_ms()).as_bytes()).derived("agent-clock"),
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, origin: &Origin, place: Place, frame: &[u8], record: &Record<'_>, server: &str) {
        let time = self.time(record.time);
        let start = record.session.start.and_then(|start| self.session_clock.utc(start));
        event::write(out, origin, place, frame, record, &meaning(record, server.as_bytes()), &time, start.as_ref());
    }

    fn unparsed(&self, block: &mut Block, origin: &Origin, place: Place, frame: &[u8], why: Unparsed, server: &str) {
        event::write_unparsed(&mut block.lines, origin, place, frame, why, &self.stand_in_time(), server);
    }
}

/// One record; where a true one starts inside a broken one, only what stands before it. Returns how many bytes became a line, and whether
/// that is an unparsed one.
#[allow(clippy::too_many_arguments, reason = "the parts of Intake that a row needs, borrowed apart")]
fn take_record(
    follower: &Follower,
    len: usize,
    format: Format,
    source: &mut SourceIntake,
    origin: &Origin,
    server: &str,
    scratch: &mut Scratch,
    block: &mut Block,
) -> (usize, bool) {
    let frame = follower.frame(len);
    let place = |length: usize| Place { offset: follower.offset(), length: length as u64 };
    match parse(format, frame, scratch) {
        Parsed::Record(record) => {
            source.event(&mut block.lines, origin, place(len), frame, &record, server);
            (len, false)
        }
        Parsed::Unparsed { reason, retry_at } => {
            let len = retry_at.unwrap_or(len);
            source.unparsed(block, origin, place(len), &frame[..len], Unparsed { reason, flag: "unparsed" }, server);
            (len, true)
        }
    }
}
