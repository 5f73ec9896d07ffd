//! The health endpoints and the status socket, asked from outside as a probe, a scraper and a person would.
//!
//! What `/metrics` says is read by Prometheus' own Python client, not by us.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sealtrail::clock;
use sealtrail::health::{DestinationHealth, Health, JournalHealth, SourceHealth, WatchHealth, http, metrics, notify};
use sealtrail::status::{self, DestinationState, StatusDoc, StatusError};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[test]
fn probes_get_yes_while_all_is_well() {
    let served = Served::start(health());
    assert_eq!(served.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(served.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(served.get("/").0, 404);
}

#[test]
fn probes_get_the_reason_why_not() {
    let served = Served::start(health());
    served.health.sources[0].problem.set(Some("permission denied: /var/log/pg.csv".to_owned()));
    served.health.destinations[0].stopped.store(true, Relaxed);
    let reasons = "source orders \"pg\": permission denied: /var/log/pg.csv\ndestination archive: connection refused\n";
    assert_eq!(served.get("/readyz"), (503, reasons.to_owned()));
    assert_eq!(served.get("/healthz").0, 200, "a restart would not help");

    let mut hanging = health();
    hanging.started_ms -= 60_000;
    hanging.journal.last_turn_ms.store(clock::unix_ms() - 40_000, Relaxed);
    let (code, text) = Served::start(hanging).get("/healthz");
    assert_eq!((code, text.starts_with("the core thread has not turned for 40 s")), (503, true), "{text}");
}

#[test]
fn prometheus_reads_every_metric() {
    let served = Served::start(health());
    let (code, text) = served.get("/metrics");
    assert_eq!(code, 200);
    let samples = prometheus(&text);
    for expected in [
        r#"sealtrail_build_info {"agent": "db-1", "origin": "acme/prod/db-1", "version": "0.1.0"} 1"#,
        r#"sealtrail_source_read_rows_total {"source": "orders \"pg\""} 1200"#,
        r#"sealtrail_source_unparsed_rows_total {"source": "orders \"pg\""} 3"#,
        r#"sealtrail_source_gaps_total {"source": "orders \"pg\""} 2"#,
        r#"sealtrail_source_lag_bytes {"source": "orders \"pg\""} 4096"#,
        r#"sealtrail_destination_lag_lines {"destination": "archive", "type": "s3"} 40"#,
        r#"sealtrail_destination_retries_total {"destination": "archive", "type": "s3"} 7"#,
        r#"sealtrail_destination_lag_seconds {"destination": "folder", "type": "file"} 0.0"#,
        "sealtrail_journal_lines {} 1300",
        "sealtrail_journal_paused {} 0",
        "sealtrail_journal_short {} 0",
        r#"sealtrail_source_quiet {"source": "orders \"pg\""} 0"#,
        r#"sealtrail_source_quiet_after_seconds {"source": "orders \"pg\""} nan"#,
        r#"sealtrail_source_covered_seconds {"source": "orders \"pg\""} nan"#,
        "sealtrail_ready {} 1",
    ] {
        assert!(samples.lines().any(|line| line == expected), "no {expected} in\n{samples}");
    }
    let waiting = sample(&samples, r#"sealtrail_source_lag_seconds {"source": "orders \"pg\""} "#);
    assert!((20.0..30.0).contains(&waiting), "{waiting}");
}

#[test]
fn the_operations_page_lists_exactly_the_metrics_that_there_are() {
    let text = metrics::text(&Arc::new(health())).expect("text");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut emitted: Vec<String> =
        types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| full_name(name, kind)).collect();
    let page = std::fs::read_to_string("docs/operations.md").expect("docs/operations.md");
    let mut listed: Vec<String> = page.lines().filter_map(listed_metric).map(str::to_owned).collect();
    emitted.sort();
    listed.sort();
    assert_eq!(emitted, listed, "what the code emits (left) and what docs/operations.md lists (right)");
}

#[test]
fn a_scraper_that_says_nothing_does_not_keep_the_probes_out() {
    let served = Served::start(health());
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(served.address).expect("connected")).collect();
    assert_eq!(served.get("/healthz").0, 200, "after the silent ones were shown out");
    drop(silent);
}

#[test]
fn the_endpoints_end_when_they_are_told_to() {
    let served = Served::start(health());
    let idle = TcpStream::connect(served.address).expect("connected");
    // It returns when they have ended.
    served.end();
    drop(idle);
}

#[test]
fn status_tells_what_the_agent_does() {
    let folder = tempfile::tempdir().expect("folder");
    let socket = folder.path().join("status.sock");
    let running = Running::start(&socket);
    assert_eq!(std::fs::metadata(&socket).expect("socket").permissions().mode() & 0o777, 0o600);

    let doc = status::query(&socket).expect("an answer");
    assert_eq!((doc.name.as_str(), doc.origin.as_str(), doc.uptime_seconds), ("db-1", "acme/prod/db-1", 3600));
    assert_eq!((doc.sources[0].rows_read, doc.sources[0].lag_bytes), (1200, 4096));
    assert_eq!((doc.destinations[0].state, doc.destinations[0].lag_lines), (DestinationState::Retrying, 40));
    assert_eq!(doc.destinations[1].state, DestinationState::Current);
    assert_eq!(doc.journal.last_seal_age_seconds, Some(2));
    running.end();

    assert!(matches!(status::query(&socket), Err(StatusError::NotRunning { .. })), "nobody answers any more");
}

#[test]
fn a_person_reads_a_table() {
    let mut doc = StatusDoc::of(&health(), clock::unix_ms());
    doc.pid = 4242;
    doc.uptime_seconds = 3600;
    doc.sources[0].lag_seconds = 25;
    let expected = r#"sealtrail 0.1.0 · db-1 · trail acme/prod/db-1 · pid 4242 · up 1h 0m

source       files   rows       read  unparsed  gaps  waiting  lag  problem
orders "pg"      2  1,200  385.0 KiB         3     2  4.0 KiB  25s

destination  type  state     next line  behind     lag  retries  refused  problem
archive      s3    retrying      1,260      40  1m 30s        7        1  connection refused
folder       file  current       1,300       0       -        0        0

journal: 1,300 lines, 12 blocks in this run, 1.0 MiB of 10.0 GiB on disk in 2 segments, last seal 2s ago
ready
"#;
    assert_eq!(status::render(&doc), expected);
    doc.journal.paused = true;
    doc.not_ready = vec!["journal: reading is paused until there is room".to_owned()];
    let text = status::render(&doc);
    assert!(
        text.ends_with("last seal 2s ago, PAUSED\nnot ready:\n  journal: reading is paused until there is room\n"),
        "{text}"
    );
}

#[test]
fn a_person_reads_how_long_a_source_that_is_behind_is_still_covered() {
    let health = health();
    let source = &health.sources[0];
    let line = |health: &Health, lag_seconds| {
        let mut doc = StatusDoc::of(health, clock::unix_ms());
        doc.sources[0].lag_seconds = lag_seconds;
        let text = status::render(&doc);
        text.lines().find(|line| line.starts_with("orders \"pg\": ")).map(str::to_owned)
    };
    assert_eq!(line(&health, 59), None, "for a moment every source is behind");
    source.oldest_ms.store(90_000_000, Relaxed);
    let unknown = "orders \"pg\": behind by 4.0 KiB; for how long it keeps a file is not known yet: none was deleted since the agent started, the oldest was last written 1d 1h ago";
    assert_eq!(line(&health, 60).as_deref(), Some(unknown));
    source.kept_ms.store(7 * 86_400_000, Relaxed);
    source.covered_ms.store(597_600_000, Relaxed);
    let known = "orders \"pg\": behind by 4.0 KiB; it keeps a file for about 7d 0h after its last write: what is unread is covered for about 6d 22h";
    assert_eq!(line(&health, 60).as_deref(), Some(known));
    health.journal.paused.store(true, Relaxed);
    source.covered_ms.store(0, Relaxed);
    assert!(line(&health, 0).expect("paused").ends_with("what is unread MAY BE DELETED AT ANY TIME"));
}

#[test]
fn a_quiet_source_and_a_journal_without_room_stand_in_the_table() {
    let health = health();
    health.sources[0].quiet.set(Some("longer than quiet_after, 30m 0s".to_owned()));
    health.sources[0].last_read_ms.store(clock::unix_ms() - 2_000_000, Relaxed);
    health.journal.short.store(true, Relaxed);
    health.journal.bytes_undelivered.store(9 << 30, Relaxed);
    health.journal.space_bytes.store(100 << 20, Relaxed);
    let text = status::render(&StatusDoc::of(&health, clock::unix_ms()));
    assert!(text.contains("quiet for 33m 20s: longer than quiet_after, 30m 0s\n"), "{text}");
    let room = ", ROOM IS RUNNING OUT: 9.0 GiB not delivered, 100.0 MiB left on the disk\nready\n";
    assert!(text.ends_with(room), "{text}");
}

#[test]
fn without_an_agent_the_answer_says_what_to_do() {
    let error = status::query(Path::new("/nonexistent/status.sock")).expect_err("no agent");
    let expected = "no agent is running with this state folder: nobody answers at /nonexistent/status.sock";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().contains("sealtrail run"));
}

#[test]
fn systemd_hears_ready_then_watchdog_only_while_the_core_thread_turns() {
    let alive = told_to_systemd("alive");
    assert!(alive.starts_with("READY=1"), "{alive}");
    assert!(alive.contains("WATCHDOG=1\nSTATUS=1300 lines sealed, all well"), "{alive}");
    assert!(alive.contains("STOPPING=1"), "{alive}");

    let hanging = told_to_systemd("hanging");
    assert!(!hanging.contains("WATCHDOG=1"), "{hanging}");
    assert!(hanging.contains("STATUS=the core thread has not turned for"), "{hanging}");
}

/// Not a test of its own: the process that [`told_to_systemd`] listens to. An environment cannot be set safely inside a process.
#[test]
fn child_that_notifies() {
    let Ok(mode) = std::env::var("SEALTRAIL_TEST_NOTIFY") else { return };
    let mut health = health();
    if mode == "hanging" {
        health.journal.last_turn_ms.store(health.started_ms, Relaxed);
    } else {
        health.destinations[0].problem.set(None);
    }
    health.started_ms -= 60_000;
    let (stop, stopped) = watch::channel(false);
    let runtime = Runtime::new().expect("runtime");
    notify::ready();
    let watching = runtime.spawn(notify::watch(Arc::new(health), stopped));
    std::thread::sleep(Duration::from_millis(300));
    stop.send(true).expect("watching");
    runtime.block_on(watching).expect("ended");
    notify::stopping();
}

/// All messages that a child sent to its `NOTIFY_SOCKET`, in order, with a watchdog of 100 ms.
fn told_to_systemd(mode: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_nonblocking(true).expect("non-blocking");
    let this = std::env::current_exe().expect("this test");
    let mut child = Command::new(this);
    child.args(["--exact", "child_that_notifies"]).env("SEALTRAIL_TEST_NOTIFY", mode);
    child.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000").env_remove("WATCHDOG_PID");
    assert!(child.stdout(Stdio::null()).status().expect("child").success());
    let mut text = String::new();
    let mut message = [0; 1024];
    while let Ok(length) = socket.recv(&mut message) {
        text.push_str(&String::from_utf8_lossy(&message[..length]));
    }
    text
}

/// The endpoints on a free port.
struct Served {
    address: SocketAddr,
    health: Arc<Health>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    server: tokio::task::JoinHandle<()>,
}

impl Served {
    fn start(health: Health) -> Self {
        let runtime = Runtime::new().expect("runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("address");
        let health = Arc::new(health);
        let (stop, stopped) = watch::channel(false);
        let server = runtime.spawn(http::serve(listener, Arc::clone(&health), stopped));
        Served { address, health, stop, runtime, server }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        (code, body.to_owned())
    }

    fn end(self) {
        self.stop.send(true).expect("serving");
        self.runtime.block_on(self.server).expect("ended");
    }
}

/// The status socket of an agent.
struct Running {
    stop: watch::Sender<bool>,
    runtime: Runtime,
    server: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(socket: &Path) -> Self {
        let runtime = Runtime::new().expect("runtime");
        let inside = runtime.enter();
        let listener = status::bind(socket).expect("bound");
        drop(inside);
        let (stop, stopped) = watch::channel(false);
        let health = health();
        let server = runtime.spawn(status::serve(listener, Arc::new(health), stopped));
        Running { stop, runtime, server }
    }

    fn end(self) {
        self.stop.send(true).expect("serving");
        self.runtime.block_on(self.server).expect("ended");
    }
}

/// An agent in the middle of its work, started an hour ago.
fn health() -> Health {
    let now = clock::unix_ms();
    let source = SourceHealth::new("orders \"pg\"");
    source.files.store(2, Relaxed);
    source.bytes_read.store(394_240, Relaxed);
    source.rows_read.store(1200, Relaxed);
    source.rows_unparsed.store(3, Relaxed);
    source.gaps.store(2, Relaxed);
    source.lag_bytes.store(4096, Relaxed);
    source.last_row_ms.store(now - 25_000, Relaxed);
    let archive = DestinationHealth { name: "archive".to_owned(), kind: "s3", required: true, ..Default::default() };
    archive.next_line.store(1260, Relaxed);
    archive.retries.store(7, Relaxed);
    archive.dead_letters.store(1, Relaxed);
    archive.last_success_ms.store(now - 90_000, Relaxed);
    archive.problem.set(Some("connection refused".to_owned()));
    let folder = DestinationHealth { name: "folder".to_owned(), kind: "file", required: true, ..Default::default() };
    folder.next_line.store(1300, Relaxed);
    let journal = JournalHealth::default();
    journal.lines.store(1300, Relaxed);
    journal.blocks_sealed.store(12, Relaxed);
    journal.bytes_on_disk.store(1 << 20, Relaxed);
    journal.bytes_max.store(10 << 30, Relaxed);
    journal.segments.store(2, Relaxed);
    journal.last_seal_ms.store(now - 2_000, Relaxed);
    journal.last_turn_ms.store(now, Relaxed);
    Health {
        name: "db-1".to_owned(),
        origin: "acme/prod/db-1".to_owned(),
        started_ms: now - 3_600_000,
        sources: vec![source],
        destinations: vec![archive, folder],
        watch: WatchHealth::default(),
        identity: None,
        journal,
    }
}

/// Each sample on a line: name, labels as JSON, value. The parser is strict about OpenMetrics.
fn prometheus(text: &str) -> String {
    const READ: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
for family in families(sys.stdin.read()):
    for sample in family.samples:
        print(sample.name, json.dumps(sample.labels, sort_keys=True), sample.value)
";
    let mut python =
        Command::new(python()).args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    python.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("written");
    let output = python.wait_with_output().expect("ended");
    assert!(output.status.success(), "Prometheus cannot read\n{text}");
    String::from_utf8(output.stdout).expect("text")
}

fn sample(samples: &str, start: &str) -> f64 {
    let line = samples.lines().find_map(|line| line.strip_prefix(start));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {start} in\n{samples}"))
}

/// The Python that holds the parsers; installed on the first call of a fresh machine.
fn python() -> PathBuf {
    let done =
        Command::new("packaging/install-test-tools.sh").env("CARGO_TARGET_DIR", target()).status().expect("bash");
    assert!(done.success(), "packaging/install-test-tools.sh failed");
    target().join("tools/venv/bin/python")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp lies in target").to_owned()
}

fn full_name(name: &str, kind: &str) -> String {
    match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

/// The name in the first cell of a row of a table: ``| `sealtrail_…` | …``. Cells with more than a name are alerts.
fn listed_metric(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split('`').next().filter(|name| name.starts_with("sealtrail_") && !name.contains(' '))
}
