//! Debian's logrotate rotates a log under a server that writes thousands of rows a second, in each of its usual ways.
//!
//! The server knows what it wrote. Where the method keeps every row, every row is in the trail. `copytruncate` cuts away what is written
//! between the end of its copying and its cutting: those rows, and no other, are told to be missing.
//!
//! A short form runs with all tests; `make live` runs each way for two minutes at 5,000 rows a second.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::{self, Account, Event, Numbers, Session, without};
use crate::csvlog::{self, Row};
use crate::host::{Host, text};
use crate::oracle;

/// How long each way is tried, how often it rotates, and how much is written.
struct Pace {
    seconds: u64,
    every: Duration,
    rows_per_s: u64,
}

/// `SEALTRAIL_LIVE_SECONDS` asks for the long form.
fn pace(way: &Way) -> Pace {
    let second = Duration::from_secs(1);
    match std::env::var("SEALTRAIL_LIVE_SECONDS") {
        Ok(seconds) => Pace { seconds: seconds.parse().expect("a number"), every: second, rows_per_s: 5_000 },
        // Names with seconds in them do not change more often.
        Err(_) if way.directives.contains("%s") => Pace { seconds: 4, every: second, rows_per_s: 2_000 },
        Err(_) => Pace { seconds: 4, every: Duration::from_millis(400), rows_per_s: 2_000 },
    }
}

/// Sessions that are open at a time.
const SESSIONS: usize = 20;

/// A way to rotate.
struct Way {
    /// Lines of logrotate's configuration.
    directives: &'static str,
    /// What the agent is told to read.
    globs: &'static [&'static str],
    server: Reopens,
    /// Rotates only what the directives say is due, instead of every time.
    when_due: bool,
}

/// What the server does after a rotation.
#[derive(PartialEq, Eq)]
enum Reopens {
    /// Nothing: its file is still the one in place.
    Never,
    /// Opens the new file at once; logrotate waits for that.
    AtOnce,
    /// Goes on writing to the renamed file for a while.
    Late,
}

const ONE: &[&str] = &["pg.csv"];
const ALL: &[&str] = &["pg.csv", "pg.csv.*", "pg.csv-*", "pg-*.csv"];

#[test]
fn copytruncate_as_debian_configures_it_for_postgresql() {
    cut(&Way {
        directives: "rotate 10\ncopytruncate\ndelaycompress\ncompress\nnotifempty\nmissingok",
        globs: ONE,
        server: Reopens::Never,
        when_due: false,
    });
}

#[test]
fn copytruncate_with_its_copies_under_the_globs() {
    cut(&Way { directives: "rotate 5\ncopytruncate\nmissingok", globs: ALL, server: Reopens::Never, when_due: false });
}

#[test]
fn copytruncate_with_compression_at_once() {
    cut(&Way { directives: "rotate 10\ncopytruncate\ncompress", globs: ONE, server: Reopens::Never, when_due: false });
}

#[test]
fn copytruncate_with_dates_in_the_names() {
    cut(&Way {
        directives: "rotate 10\ncopytruncate\ndateext\ndateformat -%Y%m%d-%s\nextension .csv",
        globs: ALL,
        server: Reopens::Never,
        when_due: false,
    });
}

#[test]
fn create_with_a_server_that_reopens_late() {
    keep(&Way { directives: "rotate 5\ncreate 0640", globs: ONE, server: Reopens::Late, when_due: false });
}

#[test]
fn create_and_compress_a_rotation_later() {
    keep(&Way {
        directives: "rotate 5\ncreate 0640\ncompress\ndelaycompress",
        globs: ALL,
        server: Reopens::Late,
        when_due: false,
    });
}

#[test]
fn create_and_compress_at_once() {
    keep(&Way { directives: "rotate 5\ncreate 0640\ncompress", globs: ALL, server: Reopens::AtOnce, when_due: false });
}

#[test]
fn create_with_dates_in_the_names() {
    keep(&Way {
        directives: "rotate 5\ncreate 0640\ndateext\ndateformat -%Y%m%d-%s\nextension .csv\ncompress\ndelaycompress",
        globs: ALL,
        server: Reopens::Late,
        when_due: false,
    });
}

#[test]
fn create_when_a_size_is_passed() {
    keep(&Way {
        directives: "rotate 5\ndaily\nmaxsize 200k\ncreate 0640",
        globs: ONE,
        server: Reopens::Late,
        when_due: true,
    });
}

/// Every row is in the trail once, and nothing is told to be missing.
fn keep(way: &Way) {
    let Run { account, written, .. } = rotated(way);
    let lost = without(&written, &account.rows);
    assert!(lost.is_empty(), "lost: {}", account::brief(&lost));
    assert!(without(&account.rows, &written).is_empty(), "rows that nobody wrote");
    assert!(account.acts("GAP").is_empty(), "{:#?}", account.acts("GAP"));
    assert!(account.unparsed.is_empty(), "{:#?}", account.unparsed);
}

/// Every row that is in a copy or in the last file is in the trail once; of the others those that are not in the trail are told to be
/// missing.
fn cut(way: &Way) {
    let run = rotated(way);
    let Run { account, written, left, rotations, .. } = &run;
    let lost = without(written, &account.rows);
    let kept_but_lost = without(left, &account.rows);
    eprintln!(
        "{} rows written, {} are in copies and {} in the trail; {} cut away, {} told",
        account::count(written),
        account::count(left),
        account.count(),
        account::count(&lost),
        account::count(&account.told()),
    );
    assert!(kept_but_lost.is_empty(), "in a copy, and not in the trail: {}", account::brief(&kept_but_lost));
    assert!(without(&account.rows, written).is_empty());
    account.assert_holes_are_told();
    assert_eq!(lost, account.told());
    // Copying may end within a row.
    assert!(account.unparsed.len() <= *rotations, "{:#?}", account.unparsed);
}

/// What a run left behind.
struct Run {
    account: Account,
    written: Numbers,
    /// What is in the copies, and in the last file, by an independent reader.
    left: Numbers,
    rotations: usize,
}

fn rotated(way: &Way) -> Run {
    let pace = pace(way);
    let host = Host::empty();
    let globs: Vec<String> = way.globs.iter().map(|glob| format!("\"{}/{glob}\"", host.log().display())).collect();
    let source = format!("[[source]]\nname = \"pg\"\npaths = [{}]\n", globs.join(", "));
    host.configure_with("interval = \"200ms\"\nsegment_max_bytes = \"4MiB\"", &source, &host.archive());
    let mut rotator = Rotator::new(&host, way);
    let mut agent = host.run();
    agent.wait_ready();

    let done = AtomicBool::new(false);
    let mut server = Server::start(&host.log(), way, &pace);
    let rotations = thread::scope(|scope| {
        let end = Done(&done);
        let writing = scope.spawn(|| server.write_until(&done));
        let rotations = rotator.rotate_for(&pace);
        // The sessions go on: what was cut away stands between two rows.
        thread::sleep(Duration::from_millis(500));
        drop(end);
        writing.join().unwrap();
        rotations
    });
    server.last_rows();
    agent.wait_settled();
    agent.stop();
    host.drain();
    eprintln!("{} rows, {rotations} rotations: {}", server.rows(), way.directives.replace('\n', ", "));
    assert!(rotations >= 3, "{rotations} rotations");
    let written = server.numbers();
    let (left, _) = oracle::whole_rows(&rotator.kept());
    let account = Account::read(&host.journal(), assert_text);
    account.assert_verified(&host);
    Run { account, written, left, rotations }
}

/// Lets the writer's thread end, also when the test fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// logrotate, with a configuration and a state of its own.
struct Rotator {
    config: PathBuf,
    state: PathBuf,
    log: PathBuf,
    /// Copies of what it made, as they were right after the rotation that made them.
    keep: PathBuf,
    seen: HashSet<(u64, i64, i64)>,
    /// Copies are finished when they are made; a renamed file is not.
    keeps: bool,
    force: bool,
}

impl Rotator {
    fn new(host: &Host, way: &Way) -> Self {
        let log = host.log().join("pg.csv");
        let asks = host.dir().join("reopen");
        // A server that is told to reopen takes its time, or is waited for.
        let told = match way.server {
            Reopens::Never => String::new(),
            Reopens::Late => format!("postrotate\ntouch {}\nendscript\n", asks.display()),
            Reopens::AtOnce => {
                format!("postrotate\ntouch {0}\nwhile [ -e {0} ]; do sleep 0.01; done\nendscript\n", asks.display())
            }
        };
        let config = host.dir().join("logrotate.conf");
        fs::write(&config, format!("{} {{\n{}\n{told}}}\n", log.display(), way.directives)).unwrap();
        let keep = host.dir().join("keep");
        fs::create_dir(&keep).unwrap();
        let state = host.dir().join("logrotate.state");
        let keeps = way.server == Reopens::Never;
        Rotator { config, state, log, keep, seen: HashSet::new(), keeps, force: !way.when_due }
    }

    /// Returns how many rotations there were.
    fn rotate_for(&mut self, pace: &Pace) -> usize {
        // Nobody can follow a file that goes by its name for a few milliseconds only.
        thread::sleep(pace.every);
        let begin = Instant::now();
        let mut rotations = 0;
        while begin.elapsed() < Duration::from_secs(pace.seconds) {
            let next = Instant::now() + pace.every;
            rotations += usize::from(self.rotate());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        rotations
    }

    /// Whether there was anything to rotate.
    fn rotate(&mut self) -> bool {
        let mut command = Command::new(program());
        if self.force {
            command.arg("--force");
        }
        command.arg("--verbose").arg("--state").args([&self.state, &self.config]).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        // Twice within the second that is in the name: it leaves the log as it is.
        let skipped = said.contains("already exists, skipping rotation");
        assert!(output.status.success() || skipped, "{said}");
        if self.keeps {
            self.keep_new();
        }
        said.contains("log needs rotating") && !skipped
    }

    /// Copies what the last rotation made, before the next one can delete it.
    fn keep_new(&mut self) {
        for path in self.names() {
            let metadata = fs::metadata(&path).unwrap();
            if path != self.log && self.seen.insert((metadata.ino(), metadata.mtime(), metadata.mtime_nsec())) {
                let mut name = format!("{:06}", self.seen.len());
                if path.extension().is_some_and(|end| end == "gz") {
                    name.push_str(".gz");
                }
                fs::copy(&path, self.keep.join(name)).unwrap();
            }
        }
    }

    fn names(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(self.log.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// All that was ever in a copy, and the last file.
    fn kept(&self) -> Vec<PathBuf> {
        let copies = fs::read_dir(&self.keep).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = copies.collect();
        paths.sort();
        paths.push(self.log.clone());
        paths
    }
}

/// It lies where only root's PATH leads.
fn program() -> &'static Path {
    let path = Path::new("/usr/sbin/logrotate");
    assert!(path.exists(), "logrotate is not there: run `make tools` first");
    path
}

/// A database server, as far as its log is concerned: appends whole rows, each with one call.
struct Server {
    path: PathBuf,
    file: File,
    /// The last number of each session.
    last: Vec<u64>,
    asks: PathBuf,
    late: bool,
    rows_per_s: u64,
    /// Told to reopen, and when it will.
    reopens: Option<Instant>,
}

impl Server {
    fn start(dir: &Path, way: &Way, pace: &Pace) -> Self {
        let path = dir.join("pg.csv");
        let file = open(&path);
        let asks = dir.parent().unwrap().join("reopen");
        let late = way.server == Reopens::Late;
        Server { path, file, last: vec![0; SESSIONS], asks, late, rows_per_s: pace.rows_per_s, reopens: None }
    }

    fn write_until(&mut self, done: &AtomicBool) {
        let (begin, mut written) = (Instant::now(), 0);
        while !done.load(Ordering::Relaxed) {
            self.reopen_if_told();
            let due = self.rows_per_s * u64::try_from(begin.elapsed().as_millis()).unwrap() / 1000;
            while written < due {
                self.write_row(usize::try_from(written).unwrap() % SESSIONS);
                written += 1;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// One more of each session.
    fn last_rows(&mut self) {
        self.file = open(&self.path);
        (0..SESSIONS).for_each(|session| self.write_row(session));
    }

    fn write_row(&mut self, session: usize) {
        self.last[session] += 1;
        let (session, line) = (session_id(session), self.last[session]);
        let row = csvlog::csv(&Row { user: "app", session: &session, line, sql: &sql(&session, line) });
        self.file.write_all(row.as_bytes()).unwrap();
    }

    fn reopen_if_told(&mut self) {
        if self.reopens.is_none() && self.asks.exists() {
            let delay = if self.late { Duration::from_millis(150) } else { Duration::ZERO };
            self.reopens = Some(Instant::now() + delay);
        }
        if self.reopens.is_some_and(|when| Instant::now() >= when) {
            self.file = open(&self.path);
            self.reopens = None;
            fs::remove_file(&self.asks).unwrap();
        }
    }

    fn rows(&self) -> u64 {
        self.last.iter().sum()
    }

    fn numbers(&self) -> Numbers {
        self.last.iter().enumerate().map(|(session, &last)| (session_id(session), (1..=last).collect())).collect()
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn session_id(session: usize) -> String {
    format!("6b00ab37.{:x}", 0x2000 + session)
}

/// Mostly short, some of several pages; on one line, as the independent reader needs it.
fn sql(session: &str, line: u64) -> String {
    let mut sql = format!("SELECT {line} FROM \"{session}\"");
    if line.is_multiple_of(50) {
        write!(sql, " WHERE note = '{}'", "0123456789,\"\" ".repeat(usize::try_from(line % 700).unwrap())).unwrap();
    }
    sql
}

/// A row that was put together from two is none.
fn assert_text(session: &Session, event: &Event) {
    let text = event.statement.as_ref().and_then(|statement| statement.text.as_deref());
    assert_eq!(text, Some(sql(&session.id, session.line).as_str()), "{event:?}");
}
