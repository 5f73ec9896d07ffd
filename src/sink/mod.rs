//! Destinations: the far side of the journal. One trait with one method that delivers; what a refusal means is said in three words.
//!
//! A sink knows its protocol and nothing else: no cursor, no retry, no back-off, no batching. All of that is in [`crate::ship`],
//! once. A sink keeps nothing that must survive a restart.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::{AgentPlan, DestinationKind, DestinationPlan};
use crate::disk::Disk;

pub mod elasticsearch;
pub mod azure_blob;
pub mod datadog;
pub mod file;
pub mod gcs;
pub mod http;
pub mod kafka;
mod keys;
pub mod line;
mod object;
mod object_http;
pub mod loki;
mod oauth;
pub mod otlp;
pub mod s3;
mod sigv4;
pub mod splunk_hec;
pub mod stdout;
pub mod syslog;
pub mod secops;
pub mod sentinel;
mod tls;
mod web;

/// What an async method of a [`Sink`] returns.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that evidence is delivered to.
///
/// # The contract
///
/// * `Ok` means that the batch survives a power cut on the far side, as far as the protocol can promise it; each
///   destination's page in `docs/destinations/` says how far that is. When in doubt it is `Err`: a second delivery is harmless.
/// * The same batch may come again, also after an `Ok` (the agent was killed before it wrote its cursor). A sink then
///   sends what lets the far side see that (a deterministic name, an `Idempotency-Key`), and takes "I have that already" for `Ok`.
/// * The bytes are not changed. A segment arrives as it lies in the journal; lines arrive as they are in it.
/// * The future may be dropped at any await: nothing half-written may then pass for a delivered batch.
/// * As many calls at a time as `in_flight` of its plan says, one unless it says otherwise; what they carry may arrive in any order. A sink neither retries nor sleeps, and gives up by itself after the time-out of its plan.
/// * Neither errors nor logs contain credentials or anything of the records.
pub trait Sink: Send + Sync {
    /// Whether it wants lines as they are sealed, or whole segments once they are closed.
    fn takes(&self) -> Takes;

    /// Delivers one batch.
    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>>;

    /// Tries all that can be tried without writing: the name resolves, it answers, it knows us, we may write.
    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>>;
}

/// What a sink wants to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Lines, up to the head, in batches of about this many bytes.
    Lines {
        /// A batch is cut before it gets larger; a single line may be.
        batch_max_bytes: usize,
    },
    /// Closed segments, whole.
    Segments,
}

/// What is delivered at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch<'a> {
    /// A closed segment.
    Segment(Segment<'a>),
    /// Consecutive lines.
    Lines(Lines<'a>),
}

/// A closed segment: a file that never changes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The file in the journal.
    pub path: &'a Path,
    /// The trail's name.
    pub origin: &'a str,
    /// Its first line.
    pub first: u64,
    /// Its last line.
    pub last: u64,
    /// UTC date of its first line's time, `YYYY-MM-DD`.
    pub date: &'a str,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// Consecutive lines of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines<'a> {
    /// The trail's name.
    pub origin: &'a str,
    /// The first line.
    pub first: u64,
    /// The last line; the same as `first` when there is one.
    pub last: u64,
    /// The lines, each with its newline.
    pub ndjson: &'a [u8],
    /// The numbers of the lines that are here, where some between `first` and `last` are left out: the destination takes not all.
    pub numbers: Option<&'a [u64]>,
}

/// The far side has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes as sent: 0 when it had the batch already and nothing was sent.
    pub bytes: u64,
}

/// The far side does not have it, or may not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may pass: try again.
    Later {
        /// Not before this, says the far side.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// It will not pass by itself: somebody has to act.
    Stop {
        /// What happened.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Not this much at once. Of a single line: not this line, ever.
    Split {
        /// What happened.
        why: String,
        /// The far side's answer, for the dead-letter folder only: it may quote the record.
        answer: String,
    },
    /// It has all lines of the batch but these. For protocols that answer line by line.
    Partly {
        /// Lines that it will never take.
        refused: Vec<Refused>,
        /// Lines to try again, by their place in the batch, from 0.
        again: Vec<usize>,
        /// Not before this, says the far side.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
}

/// A line of a batch that the far side refuses, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What the far side said of it, for the dead-letter folder only.
    pub answer: String,
}

/// What a probe found to be in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// For a person.
    pub checked: &'static str,
}

/// The step at which a probe failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeError {
    /// Which.
    pub step: Step,
    /// What happened.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// The steps of reaching a destination, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading what the configuration points at: certificates, keys, credentials.
    Configure,
    /// Name to address.
    Resolve,
    /// Address to connection.
    Connect,
    /// Connection to trusted connection.
    Tls,
    /// It knows who we are.
    Authenticate,
    /// We may write.
    Write,
    /// It answers as such a destination does.
    Answer,
}

impl Batch<'_> {
    /// First line.
    pub fn first(&self) -> u64 {
        match self {
            Batch::Segment(segment) => segment.first,
            Batch::Lines(lines) => lines.first,
        }
    }

    /// The lines, for a sink that takes no segments.
    pub(crate) fn lines(&self) -> Result<&Lines<'_>, Refusal> {
        match self {
            Batch::Lines(lines) => Ok(lines),
            Batch::Segment(_) => {
                Err(Refusal::stop("this destination takes lines only", "this is a fault of the agent"))
            }
        }
    }

    /// Last line.
    pub fn last(&self) -> u64 {
        match self {
            Batch::Segment(segment) => segment.last,
            Batch::Lines(lines) => lines.last,
        }
    }
}

impl<'a> Lines<'a> {
    /// The lines that are here, with their numbers, each with its newline.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let (first, numbers) = (self.first, self.numbers);
        let lines = self.ndjson.split_inclusive(|byte| *byte == b'\n').enumerate();
        lines.map(move |(index, line)| (number(first, numbers, index), line))
    }

    /// How many lines are here.
    pub fn count(&self) -> u64 {
        self.numbers.map_or(self.last - self.first + 1, |numbers| numbers.len() as u64)
    }

    /// The two halves of consecutive lines, cut at a line's end; `None` of a single line.
    pub fn halves(&self) -> Option<(Lines<'a>, Lines<'a>)> {
        let count = self.last - self.first + 1;
        let newline = memchr::memchr_iter(b'\n', self.ndjson).nth((count / 2).checked_sub(1)? as usize)?;
        let (head, tail) = self.ndjson.split_at(newline + 1);
        let middle = self.first + count / 2;
        Some((Lines { last: middle - 1, ndjson: head, ..*self }, Lines { first: middle, ndjson: tail, ..*self }))
    }
}

fn number(first: u64, numbers: Option<&[u64]>, index: usize) -> u64 {
    numbers.map_or(first + index as u64, |numbers| numbers.get(index).copied().unwrap_or(first))
}

impl Refusal {
    /// Shorthand for what may pass and has no time set.
    pub(crate) fn later(why: impl Into<String>) -> Self {
        Refusal::Later { after: None, why: why.into() }
    }

    /// Shorthand for what somebody has to act on.
    pub(crate) fn stop(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal::Stop { why: why.into(), hint: hint.into() }
    }
}

impl ProbeError {
    /// A refusal that a probe met at this step.
    pub(crate) fn at(step: Step, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stop { why, hint } => ProbeError { step, why, hint },
            Refusal::Later { why, .. } | Refusal::Split { why, .. } | Refusal::Partly { why, .. } => {
                ProbeError { step, why, hint: "try again, or ask whoever runs it".to_owned() }
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Configure => "configure",
            Step::Resolve => "resolve",
            Step::Connect => "connect",
            Step::Tls => "tls",
            Step::Authenticate => "authenticate",
            Step::Write => "write",
            Step::Answer => "answer",
        })
    }
}

/// Makes the sink of a plan. Fails where a file that the plan points at cannot be used; connects to nothing.
pub fn open(destination: &DestinationPlan, agent: &AgentPlan, disk: &Arc<dyn Disk>) -> Result<Box<dyn Sink>, Refusal> {
    if destination.kind.tls().is_some_and(|tls| tls.accept_any_certificate) {
        tracing::warn!(
            destination = %destination.name,
            "DANGER: `tls.danger_accept_any_certificate` is on: nobody checks who takes the records and the secrets"
        );
    }
    let keys = agent.state_dir.join("keys");
    Ok(match &destination.kind {
        DestinationKind::File(plan) => Box::new(file::FileSink::new(Arc::clone(disk), plan, keys)),
        DestinationKind::Http(plan) => Box::new(http::HttpSink::new(plan, destination.choice.schema, &agent.origin)?),
        DestinationKind::S3(plan) => Box::new(s3::S3Sink::new(plan, &agent.origin, keys)?),
        DestinationKind::SplunkHec(plan) => Box::new(splunk_hec::SplunkHecSink::new(plan, destination.choice.schema)?),
        DestinationKind::Elasticsearch(plan) => {
            Box::new(elasticsearch::ElasticsearchSink::new(plan, destination.choice.schema)?)
        }
        DestinationKind::Stdout(plan) => Box::new(stdout::StdoutSink::new(plan, destination.choice.schema)?),
        DestinationKind::Syslog(plan) => {
            Box::new(syslog::SyslogSink::new(plan, destination.choice.schema, &agent.name)?)
        }
        DestinationKind::Gcs(plan) => Box::new(gcs::GcsSink::new(plan, &agent.origin, keys)?),
        DestinationKind::AzureBlob(plan) => Box::new(azure_blob::AzureBlobSink::new(plan, &agent.origin, keys)?),
        DestinationKind::Otlp(plan) => Box::new(otlp::OtlpSink::new(plan, destination.choice.schema, &agent.name)?),
        DestinationKind::Loki(plan) => Box::new(loki::LokiSink::new(plan, destination.choice.schema)?),
        DestinationKind::Datadog(plan) => {
            Box::new(datadog::DatadogSink::new(plan, destination.choice.schema, &agent.name)?)
        }
        DestinationKind::Sentinel(plan) => Box::new(sentinel::SentinelSink::new(plan, destination.choice.schema)?),
        DestinationKind::Secops(plan) => Box::new(secops::SecopsSink::new(plan, destination.choice.schema)?),
        DestinationKind::Kafka(plan) => {
            Box::new(kafka::KafkaSink::new(plan, destination.choice.schema, &agent.origin)?)
        }
    })
}

/// Runs what waits for the disk where it may: on tokio's threads for that, unless the disk never makes anybody wait.
pub(crate) async fn off_thread<T: Send + 'static>(
    disk: &Arc<dyn Disk>,
    work: impl FnOnce(&dyn Disk) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if !disk.may_block() {
        return Ok(work(disk.as_ref()));
    }
    let disk = Arc::clone(disk);
    tokio::task::spawn_blocking(move || work(disk.as_ref())).await
}

/// Reads a file that the configuration names; the path is said, the content never.
fn read_named(path: &PathBuf, what: &str) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|error| {
        Refusal::stop(
            format!("cannot read {what} {}: {error}", path.display()),
            format!("put the PEM file there and let the agent's user read it, or change `{what}` in the configuration"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_every_line_once_and_end_at_line_ends() {
        let lines = Lines { origin: "o", first: 10, last: 14, ndjson: b"a\nb\nc\nd\ne\n", numbers: None };
        let (head, tail) = lines.halves().unwrap();
        assert_eq!((head.first, head.last, head.ndjson), (10, 11, &b"a\nb\n"[..]));
        assert_eq!((tail.first, tail.last, tail.ndjson), (12, 14, &b"c\nd\ne\n"[..]));
    }

    #[test]
    fn a_single_line_has_no_halves() {
        assert_eq!(Lines { origin: "o", first: 3, last: 3, ndjson: b"a\n", numbers: None }.halves(), None);
    }
}
