//! What the running agent is doing: one JSON document over a Unix socket, and its rendering for a person.
//!
//! The agent's side ([`bind`], [`serve`]) writes the document to whoever connects and closes; there is no request. The socket is
//! 0600 and holds no row's text. The command's side ([`query`], [`render`]) is synchronous: `sealtrail status` needs no runtime.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::clock;
use crate::health::http::stopped;
use crate::health::{DestinationHealth, Health, IdentityHealth, SourceHealth, UNKNOWN, metrics, verdict};
use crate::shape::Category;
use crate::shape::tally::{FIELDS, From};
use crate::words::{bytes, count, duration};

/// A document larger than this is not ours: a plan has at most some hundred sources.
const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A source that is behind for so long is told for how long its own files cover that; while reading is paused it always is.
const BEHIND_S: u64 = 60;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that `sealtrail status` shows. Times are RFC 3339; `null` is "not yet". Counters count since the start of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDoc {
    /// The agent's version.
    pub version: String,
    /// The agent's name.
    pub name: String,
    /// The trail's name.
    pub origin: String,
    /// Its process.
    pub pid: u32,
    /// When it was asked.
    pub time: String,
    /// Seconds since the start of this run.
    pub uptime_seconds: u64,
    /// What keeps it from its job; empty when nothing does. The same as `/readyz` says.
    pub not_ready: Vec<String>,
    /// In the configuration's order.
    pub sources: Vec<SourceStatus>,
    /// In the configuration's order.
    pub destinations: Vec<DestinationStatus>,
    /// The folders of all sources.
    #[serde(default)]
    pub folders: FoldersStatus,
    /// The journal.
    pub journal: JournalStatus,
    /// Who is behind the accounts; `null` where no identity is configured.
    #[serde(default)]
    pub identity: Option<IdentityStatus>,
}

/// The directory, and who is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityStatus {
    /// Of the directory in force.
    pub directory: String,
    /// Its rules.
    pub rules: u64,
    /// How often it was exchanged.
    pub reloads: u64,
    /// Rows for which a rule was found.
    pub rows_mapped: u64,
    /// Rows of accounts for which none was.
    pub rows_unmapped: u64,
    /// Those accounts with the most rows, the most first.
    pub unmapped: Vec<UnmappedStatus>,
    /// Why the files as they are now are not in force.
    pub problem: Option<String>,
}

/// An account for which no rule was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmappedStatus {
    /// Its name.
    pub account: String,
    /// Its rows; too many where it came late among many accounts.
    pub rows: u64,
}

/// The folders of all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldersStatus {
    /// Those of which the kernel tells every change.
    pub watched: u64,
    /// Those that are looked at every `poll_interval`: on network file systems, and where nothing can be watched.
    pub polled: u64,
    /// Why folders are looked at that could be watched.
    pub problem: Option<String>,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Files known.
    pub files: u64,
    /// Bytes of log read.
    pub bytes_read: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Rows sealed and synced.
    pub rows_sealed: u64,
    /// Rows kept as they are, because they could not be understood.
    pub rows_unparsed: u64,
    /// Rows by category.
    pub categories: BTreeMap<String, u64>,
    /// For each of the four fields: rows by where it came from.
    pub fields: BTreeMap<String, BTreeMap<String, u64>>,
    /// Gaps found: runs of missing row numbers, and bytes that went away unread.
    pub gaps: u64,
    /// Sessions that are open, as far as their rows say.
    pub sessions: u64,
    /// Bytes that wait in the files.
    pub lag_bytes: u64,
    /// Age of the newest row read while bytes wait, else 0.
    pub lag_seconds: u64,
    /// Time of the newest row read.
    pub last_row: Option<String>,
    /// When it last read anything.
    pub last_read: Option<String>,
    /// Failures to open or read a file.
    pub errors: u64,
    /// The standing problem.
    pub problem: Option<String>,
    /// Why it is called quiet, while it is.
    pub quiet: Option<String>,
    /// How long nothing has come, in this run.
    pub quiet_seconds: u64,
    /// After how long it is called quiet; `null`: never, or its habit is not known yet.
    pub quiet_after_seconds: Option<u64>,
    /// No file matches.
    pub missing: bool,
    /// Files that cannot be read.
    pub unreadable_files: u64,
    /// How often it fell silent in one way or another.
    pub silences: u64,
    /// For how long what is not read yet will still be there.
    pub retention: RetentionStatus,
}

/// How a source keeps its files, as far as this run has seen. `null`: not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionStatus {
    /// Bytes a second that the log grows by, over the last ten minutes.
    pub growth_bytes_per_second: Option<u64>,
    /// How long a file stayed after its last write: the shortest of the last eight that were deleted.
    pub kept_seconds: Option<u64>,
    /// How long ago the oldest file that is there was last written to.
    pub oldest_seconds: Option<u64>,
    /// Last write to the oldest file that is not read to its end; `null` too when there is none.
    pub unread_written: Option<String>,
    /// For how long that file will still be there, at the present rate; `null` too when there is none.
    pub covered_seconds: Option<u64>,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// `file`, `http`, `s3`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the journal waits for it.
    pub required: bool,
    /// What it is doing.
    pub state: DestinationState,
    /// First line that it does not have yet.
    pub next_line: u64,
    /// Lines delivered.
    pub lines_delivered: u64,
    /// Lines that it does not take, in this run.
    #[serde(default)]
    pub lines_left_out: u64,
    /// Bytes delivered, as sent.
    pub bytes_delivered: u64,
    /// Lines of the trail that it does not have yet.
    pub lag_lines: u64,
    /// Bytes of journal segments that it does not have whole, compressed.
    pub lag_bytes: u64,
    /// Time since its last success while lines wait, else 0.
    pub lag_seconds: u64,
    /// Requests made again.
    pub retries: u64,
    /// Lines that it refused in this run.
    pub dead_letters: u64,
    /// Lines in the dead-letter folder.
    #[serde(default)]
    pub dead_letters_kept: u64,
    /// Its last success.
    pub last_success: Option<String>,
    /// The standing problem.
    pub problem: Option<String>,
}

/// What a destination is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationState {
    /// It has every line.
    Current,
    /// Lines wait, as they do for a moment after each seal, and until a segment closes where whole segments are delivered.
    Behind,
    /// It fails, and is tried again.
    Retrying,
    /// It refuses for a reason that will not pass by itself.
    Stopped,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Lines in the trail since it began.
    pub lines: u64,
    /// Blocks sealed.
    pub blocks_sealed: u64,
    /// Uncompressed bytes sealed.
    pub bytes_sealed: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
    /// Bytes that it may have on disk.
    pub bytes_max: u64,
    /// Bytes on disk that some required destination does not have.
    pub bytes_undelivered: u64,
    /// Bytes left on the disk; `null`: not known.
    pub space_bytes: Option<u64>,
    /// Room is running out.
    pub short: bool,
    /// Segments on disk.
    pub segments: u64,
    /// The last seal.
    pub last_seal: Option<String>,
    /// How long ago that was.
    pub last_seal_age_seconds: Option<u64>,
    /// Reading is paused: the budget is used up or the disk is full.
    pub paused: bool,
    /// Why nobody can vouch that the trail is all that there was: found at the start of this run.
    #[serde(default)]
    pub continuity: Option<String>,
    /// The standing problem.
    pub problem: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No socket, or nobody behind it.
    #[error("no agent is running with this state folder: nobody answers at {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is another user's.
    #[error("the status socket {} is not ours to open", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// Anything else that the system says.
    #[error("the agent at {} did not answer", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Something answered that is no agent of this version.
    #[error("the answer at {} is not a status document", path.display())]
    Malformed {
        /// The socket.
        path: PathBuf,
        /// Where it went wrong.
        source: serde_json::Error,
    },
}

impl StatusError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StatusError::NotRunning { .. } => "start it with `sealtrail run`, or name its configuration with -c",
            StatusError::Denied { .. } => "ask as root or as the user that the agent runs as",
            StatusError::Io { .. } => "ask again; if it stays so, look at the agent's log",
            StatusError::Malformed { .. } => "ask with the `sealtrail` binary that the agent was started from",
        }
    }
}

impl StatusDoc {
    /// What `health` says at `now_ms`.
    pub fn of(health: &Health, now_ms: u64) -> Self {
        StatusDoc {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: health.name.clone(),
            origin: health.origin.clone(),
            pid: std::process::id(),
            time: clock::rfc3339(now_ms),
            uptime_seconds: now_ms.saturating_sub(health.started_ms) / 1000,
            not_ready: verdict::unready(health, now_ms),
            sources: health.sources.iter().map(|one| source(one, health, now_ms)).collect(),
            destinations: health.destinations.iter().map(|one| destination(one, health, now_ms)).collect(),
            folders: FoldersStatus {
                watched: get(&health.watch.watched),
                polled: get(&health.watch.polled),
                problem: health.watch.problem.get(),
            },
            journal: journal(health, now_ms),
            identity: health.identity.as_ref().map(identity),
        }
    }
}

/// Listens at `path`, for its owner only. A socket that an agent left behind is replaced; one that answers is not.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one after the other until `stop` turns true or its sender is gone.
///
/// One at a time is the bound: who does not read keeps the next one waiting for [`PATIENCE`], and nothing else.
pub async fn serve(listener: UnixListener, health: Arc<Health>, stop: watch::Receiver<bool>) {
    let mut stopped = std::pin::pin!(stopped(stop));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return,
        };
        match accepted {
            Ok((stream, _)) => answer(stream, &health).await,
            Err(error) => {
                // Out of file handles, most likely: that passes, and must not become a busy loop.
                tracing::warn!(%error, "status socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Asks the agent that listens at `path`.
pub fn query(path: &Path) -> Result<StatusDoc, StatusError> {
    let text = ask(path).map_err(|error| explain(path, error))?;
    serde_json::from_slice(&text).map_err(|source| StatusError::Malformed { path: path.to_owned(), source })
}

/// For a person.
pub fn render(status: &StatusDoc) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "sealtrail {} · {} · trail {} · pid {} · up {}",
        status.version,
        status.name,
        status.origin,
        status.pid,
        duration(status.uptime_seconds)
    );
    text.push('\n');
    text.push_str(&table(&source_rows(&status.sources), 1));
    status.sources.iter().filter_map(resource_line).for_each(|line| text.push_str(&line));
    let paused = status.journal.paused;
    let behind = status.sources.iter().filter(|one| one.lag_bytes > 0 && (paused || one.lag_seconds >= BEHIND_S));
    behind.for_each(|one| text.push_str(&coverage_line(one)));
    if let Some(problem) = &status.folders.problem {
        let _ = writeln!(text, "{} folders are looked at on a timer: {problem}", count(status.folders.polled));
    }
    text.push('\n');
    text.push_str(&table(&destination_rows(&status.destinations), 3));
    text.push('\n');
    text.push_str(&journal_line(&status.journal));
    status.identity.iter().for_each(|identity| text.push_str(&identity_lines(identity)));
    text.push_str(&closing(&status.not_ready));
    text
}

fn source(one: &SourceHealth, health: &Health, now_ms: u64) -> SourceStatus {
    let tally = one.tally.get();
    let counts = |names: &mut dyn Iterator<Item = &'static str>, counts: &[u64]| {
        names.map(str::to_owned).zip(counts.iter().copied()).collect::<BTreeMap<_, _>>()
    };
    let by_source = |of: &[u64]| counts(&mut From::ALL.into_iter().map(From::name), of);
    SourceStatus {
        categories: counts(&mut Category::ALL.into_iter().map(Category::name), &tally.categories),
        fields: FIELDS.iter().zip(&tally.fields).map(|(field, of)| ((*field).to_owned(), by_source(of))).collect(),
        name: one.name.clone(),
        files: get(&one.files),
        bytes_read: get(&one.bytes_read),
        rows_read: get(&one.rows_read),
        rows_sealed: get(&one.rows_sealed),
        rows_unparsed: get(&one.rows_unparsed),
        gaps: get(&one.gaps),
        sessions: get(&one.sessions),
        lag_bytes: get(&one.lag_bytes),
        lag_seconds: metrics::source_lag_ms(one, health, now_ms) / 1000,
        last_row: time(&one.last_row_ms),
        last_read: time(&one.last_read_ms),
        errors: get(&one.errors),
        problem: one.problem.get(),
        quiet: one.quiet.get(),
        quiet_seconds: metrics::quiet_ms(one, health, now_ms) / 1000,
        quiet_after_seconds: known(&one.quiet_after_ms).map(|ms| ms / 1000),
        missing: one.missing.load(Ordering::Relaxed),
        unreadable_files: get(&one.unreadable_files),
        silences: get(&one.silences),
        retention: retention(one),
    }
}

fn identity(one: &IdentityHealth) -> IdentityStatus {
    IdentityStatus {
        directory: one.version.get().unwrap_or_default(),
        rules: get(&one.rules),
        reloads: get(&one.reloads),
        rows_mapped: get(&one.mapped),
        rows_unmapped: get(&one.unmapped),
        unmapped: one.top().into_iter().map(|(account, rows)| UnmappedStatus { account, rows }).collect(),
        problem: one.problem.get(),
    }
}

fn retention(one: &SourceHealth) -> RetentionStatus {
    RetentionStatus {
        growth_bytes_per_second: known(&one.growth),
        kept_seconds: known(&one.kept_ms).map(|ms| ms / 1000),
        oldest_seconds: known(&one.oldest_ms).map(|ms| ms / 1000),
        unread_written: known(&one.unread_written_ms).map(clock::rfc3339),
        covered_seconds: known(&one.covered_ms).map(|ms| ms / 1000),
    }
}

fn destination(one: &DestinationHealth, health: &Health, now_ms: u64) -> DestinationStatus {
    let lag_lines = metrics::lag_lines(one, health);
    let problem = one.problem.get();
    DestinationStatus {
        name: one.name.clone(),
        kind: one.kind.to_owned(),
        required: one.required,
        state: match (one.stopped.load(Ordering::Relaxed), &problem, lag_lines) {
            (true, _, _) => DestinationState::Stopped,
            (false, Some(_), _) => DestinationState::Retrying,
            (false, None, 0) => DestinationState::Current,
            (false, None, _) => DestinationState::Behind,
        },
        next_line: get(&one.next_line),
        lines_delivered: get(&one.lines_delivered),
        lines_left_out: get(&one.lines_left_out),
        bytes_delivered: get(&one.bytes_delivered),
        lag_lines,
        lag_bytes: get(&one.lag_bytes),
        lag_seconds: metrics::destination_lag_ms(one, health, now_ms) / 1000,
        retries: get(&one.retries),
        dead_letters: get(&one.dead_letters),
        dead_letters_kept: get(&one.dead_letters_kept),
        last_success: time(&one.last_success_ms),
        problem,
    }
}

fn journal(health: &Health, now_ms: u64) -> JournalStatus {
    let one = &health.journal;
    let last_seal = Some(get(&one.last_seal_ms)).filter(|&ms| ms > 0);
    JournalStatus {
        lines: get(&one.lines),
        blocks_sealed: get(&one.blocks_sealed),
        bytes_sealed: get(&one.bytes_sealed),
        bytes_on_disk: get(&one.bytes_on_disk),
        bytes_max: get(&one.bytes_max),
        bytes_undelivered: get(&one.bytes_undelivered),
        space_bytes: known(&one.space_bytes),
        short: one.short.load(Ordering::Relaxed),
        segments: get(&one.segments),
        last_seal: last_seal.map(clock::rfc3339),
        last_seal_age_seconds: last_seal.map(|ms| now_ms.saturating_sub(ms) / 1000),
        paused: one.paused.load(Ordering::Relaxed),
        continuity: one.continuity.get(),
        problem: one.problem.get(),
    }
}

fn get(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

fn known(value: &AtomicU64) -> Option<u64> {
    Some(get(value)).filter(|&number| number != UNKNOWN)
}

fn time(value: &AtomicU64) -> Option<String> {
    Some(get(value)).filter(|&ms| ms > 0).map(clock::rfc3339)
}

/// Only a socket is removed, and only one that nobody answers at.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() || UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    fs::remove_file(path)
}

async fn answer(mut stream: tokio::net::UnixStream, health: &Health) {
    let Ok(mut text) = serde_json::to_vec(&StatusDoc::of(health, clock::unix_ms())) else { return };
    text.push(b'\n');
    // A client that went away or does not read has lost its answer, and may ask again.
    let _ = tokio::time::timeout(PATIENCE, stream.write_all(&text)).await;
}

fn ask(path: &Path) -> io::Result<Vec<u8>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = Vec::new();
    stream.take(DOCUMENT_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

fn explain(path: &Path, source: io::Error) -> StatusError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => StatusError::NotRunning { path },
        io::ErrorKind::PermissionDenied => StatusError::Denied { path },
        _ => StatusError::Io { path, source },
    }
}

fn source_rows(sources: &[SourceStatus]) -> Vec<Vec<String>> {
    let mut rows = vec![words(&["source", "files", "rows", "read", "unparsed", "gaps", "waiting", "lag", "problem"])];
    rows.extend(sources.iter().map(|one| {
        let lag = if one.lag_bytes == 0 { "-".to_owned() } else { duration(one.lag_seconds) };
        vec![
            one.name.clone(),
            count(one.files),
            count(one.rows_read),
            bytes(one.bytes_read),
            count(one.rows_unparsed),
            count(one.gaps),
            bytes(one.lag_bytes),
            lag,
            one.problem.clone().or_else(|| quiet(one)).unwrap_or_default(),
        ]
    }));
    rows
}

fn quiet(one: &SourceStatus) -> Option<String> {
    one.quiet.as_ref().map(|why| format!("quiet for {}: {why}", duration(one.quiet_seconds)))
}

/// Where the resources of a source's rows come from.
fn resource_line(one: &SourceStatus) -> Option<String> {
    let counts = one.fields.get("resource")?;
    let of = |from: From| counts.get(from.name()).copied().unwrap_or_default();
    let rows: u64 = counts.values().sum();
    let share = |count: u64| format!("{} %", count.saturating_mul(100).checked_div(rows).unwrap_or_default());
    let told = share(of(From::Sql) + of(From::Session));
    let fallback = share(of(From::Fallback));
    let own = share(of(From::Own));
    (rows > 0).then(|| {
        format!(
            "{}: resource named by the engine {own}, by statement or session {told}, only a stand-in {fallback}\n",
            one.name
        )
    })
}

/// How long a source that is behind is still covered by its own files.
fn coverage_line(one: &SourceStatus) -> String {
    let (kept, behind) = (&one.retention, bytes(one.lag_bytes));
    let mut line = format!("{}: behind by {behind}", one.name);
    let _ = match (kept.kept_seconds, kept.oldest_seconds) {
        (Some(kept), _) => write!(line, "; it keeps a file for about {} after its last write", duration(kept)),
        (None, Some(oldest)) => write!(
            line,
            "; for how long it keeps a file is not known yet: none was deleted since the agent started, the oldest was last written \
             {} ago",
            duration(oldest)
        ),
        (None, None) => Ok(()),
    };
    let _ = match kept.covered_seconds {
        Some(0) => write!(line, ": what is unread MAY BE DELETED AT ANY TIME"),
        Some(covered) => write!(line, ": what is unread is covered for about {}", duration(covered)),
        None => Ok(()),
    };
    one_line(&line) + "\n"
}

fn destination_rows(destinations: &[DestinationStatus]) -> Vec<Vec<String>> {
    let mut rows =
        vec![words(&["destination", "type", "state", "next line", "behind", "lag", "retries", "refused", "problem"])];
    rows.extend(destinations.iter().map(|one| {
        let lag = if one.lag_lines == 0 { "-".to_owned() } else { duration(one.lag_seconds) };
        vec![
            one.name.clone(),
            one.kind.clone(),
            state(one).to_owned(),
            count(one.next_line),
            count(one.lag_lines),
            lag,
            count(one.retries),
            count(one.dead_letters.max(one.dead_letters_kept)),
            one.problem.clone().unwrap_or_default(),
        ]
    }));
    rows
}

fn state(one: &DestinationStatus) -> &'static str {
    match one.state {
        DestinationState::Current => "current",
        DestinationState::Behind => "behind",
        DestinationState::Retrying => "retrying",
        DestinationState::Stopped if one.required => "STOPPED",
        DestinationState::Stopped => "stopped",
    }
}

fn journal_line(journal: &JournalStatus) -> String {
    let seal = journal.last_seal_age_seconds.map_or("none yet".to_owned(), |age| format!("{} ago", duration(age)));
    let mut line = format!(
        "journal: {} lines, {} blocks in this run, {} of {} on disk in {} segments, last seal {seal}",
        count(journal.lines),
        count(journal.blocks_sealed),
        bytes(journal.bytes_on_disk),
        bytes(journal.bytes_max),
        count(journal.segments),
    );
    if journal.short {
        let free = journal.space_bytes.map(|free| format!(", {} left on the disk", bytes(free))).unwrap_or_default();
        let _ = write!(line, ", ROOM IS RUNNING OUT: {} not delivered{free}", bytes(journal.bytes_undelivered));
    }
    if journal.paused {
        line.push_str(", PAUSED");
    }
    line.push('\n');
    if let Some(found) = &journal.continuity {
        line.push_str(&format!("  found at start: {}\n", one_line(found)));
    }
    line
}

fn identity_lines(identity: &IdentityStatus) -> String {
    let mut lines = format!(
        "identity: directory {}, {} rules, {} rows with a rule, {} without\n",
        one_line(&identity.directory),
        count(identity.rules),
        count(identity.rows_mapped),
        count(identity.rows_unmapped),
    );
    for one in &identity.unmapped {
        let _ = writeln!(lines, "  no rule: {}, {} rows", one_line(&one.account), count(one.rows));
    }
    lines
}

fn closing(not_ready: &[String]) -> String {
    if not_ready.is_empty() {
        return "ready\n".to_owned();
    }
    let reasons: Vec<String> = not_ready.iter().map(|reason| format!("  {}\n", one_line(reason))).collect();
    format!("not ready:\n{}", reasons.concat())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Columns as wide as their widest cell. The first `left` columns and the last hold words and stand left; numbers stand right.
fn table(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let widths: Vec<usize> = (0..columns).map(|column| width(&cells, column)).collect();
    cells.iter().map(|row| line(row, &widths, left)).collect()
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
}

fn line(row: &[String], widths: &[usize], left: usize) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let at_left = column < left || column + 1 == row.len();
        let _ = if at_left { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A problem may quote a server's words: control characters must not reach the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() {
        let rows = vec![words(&["source", "problem"]), words(&["a", "bad\u{1b}[2Jnews\nready"])];
        assert_eq!(table(&rows, 1), "source  problem\na       bad [2Jnews ready\n");
    }

    #[test]
    fn a_socket_that_nobody_answers_at_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("status.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        remove_stale(&path).expect("removed");
        assert!(!path.exists());

        fs::write(&path, "not a socket").expect("written");
        assert_eq!(remove_stale(&path).expect_err("kept").kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn a_socket_that_answers_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("status.sock");
        let _agent = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(remove_stale(&path).expect_err("in use").kind(), io::ErrorKind::AddrInUse);
    }
}
