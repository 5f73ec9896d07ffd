//! A live PostgreSQL 15 whose log is text: every entry has a number in its session, and the agent counts them. Of a whole log, however often it
//! was rotated, nothing is missed; of one that somebody has taken entries out of, exactly those.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::host::{Host, seed, wait_until};
use crate::postgres::Postgres;
use crate::trail::Trail;

/// Numbers by session.
type Numbers = BTreeMap<String, BTreeSet<u64>>;

const PREFIX: &str = "%m [%p] %c %l %e %r %b %u@%d %a ";
const PREFIX_WITHOUT_SESSION: &str = "%m [%p] %l %u@%d ";

#[test]
fn of_a_whole_log_nothing_is_missed_and_of_one_with_holes_exactly_what_was_taken_out() {
    let seed = seed();
    let mut server = Server::start(PREFIX);
    let host = Host::empty();
    host.configure(&source(&server.0.log(), PREFIX), &host.archive());
    let mut agent = host.run();
    agent.wait_ready();
    let logs = server.work();
    agent.wait_settled();
    agent.stop();
    let trail = host.drain();
    let records = Log::read(&logs);
    assert!(logs.len() > 2, "the log did not rotate: {logs:?}");
    assert!(records.entries.len() > 1000 && records.parts() > 50, "{} entries", records.entries.len());
    assert_whole(&trail);
    host.assert_verifies();

    let mut rng = Rng::with_seed(seed);
    for _ in 0..3 {
        let holes = records.take_out(&mut rng);
        let host = Host::empty();
        host.configure(&source(&host.log(), PREFIX), &host.archive());
        records.write_without(&holes, &host.log());
        let trail = host.drain();
        assert_eq!(told(&trail), records.missing(&holes));
        assert_eq!(host.verify().status.code(), Some(3));
        assert_eq!(host.drain().acts("GAP").len(), trail.acts("GAP").len(), "told once, not at every start");
    }
}

#[test]
fn without_the_session_in_the_prefix_nothing_is_counted() {
    let mut server = Server::start(PREFIX_WITHOUT_SESSION);
    let logs = server.work();
    let host = Host::empty();
    host.configure(&source(&host.log(), PREFIX_WITHOUT_SESSION), &host.archive());
    for path in &logs {
        let log = fs::read_to_string(path).unwrap();
        // Every third line is gone.
        let rest = log.split_inclusive('\n').enumerate().filter(|(index, _)| index % 3 > 0);
        let rest: String = rest.map(|(_, line)| line).collect();
        fs::write(host.log().join(path.file_name().unwrap()), rest).unwrap();
    }
    let trail = host.drain();
    assert!(trail.events().any(|event| event["extra"]["log_line_number"].is_u64()));
    assert_eq!(trail.acts("GAP"), Vec::<&Value>::new());
    assert_eq!(trail.acts("TAIL UNPROVEN"), Vec::<&Value>::new());
}

fn source(log: &Path, prefix: &str) -> String {
    format!(
        "[[source]]\nname = \"pg\"\npaths = [\"{}/*.log\"]\nformat = \"postgres-stderr\"\nlog_line_prefix = \"{prefix}\"\n",
        log.display()
    )
}

fn assert_whole(trail: &Trail) {
    assert_eq!(trail.unparsed(), 0);
    assert_eq!(trail.acts("GAP"), Vec::<&Value>::new());
    assert_eq!(trail.acts("TAIL UNPROVEN"), Vec::<&Value>::new());
}

/// Every number that the trail says is missing; none of them twice.
fn told(trail: &Trail) -> Numbers {
    let mut told = Numbers::new();
    for act in trail.acts("GAP") {
        let gap = &act["gap"];
        assert_eq!((&gap["of"], &gap["format"]), (&Value::from("entries"), &Value::from("postgres-stderr")), "{act}");
        let session = told.entry(gap["session"].as_str().unwrap().to_owned()).or_default();
        for number in gap["from"].as_u64().unwrap()..=gap["to"].as_u64().unwrap() {
            assert!(session.insert(number), "told twice: {act}");
        }
    }
    told
}

/// A server that logs as text.
struct Server(Postgres);

impl Server {
    fn start(prefix: &str) -> Self {
        let settings = format!(
            "log_destination = 'stderr'\nlog_line_prefix = '{prefix}'\nlog_rotation_size = '128kB'\nlog_lock_waits = on"
        );
        Server(Postgres::start_with(None, &settings))
    }

    /// Sessions side by side that succeed and fail, over several rotations, and a stop. Answers with the log's files.
    fn work(&mut self) -> Vec<PathBuf> {
        let server = &self.0;
        server.psql(
            "postgres",
            "postgres",
            "CREATE ROLE app LOGIN PASSWORD 's3cret'; CREATE TABLE t (id int PRIMARY KEY);",
        );
        for _ in 0..2 {
            thread::scope(|scope| {
                let mut load = server.load(3, 100, 2, "SELECT 1;\nSELECT E'two\\nlines';\n");
                scope.spawn(|| failed_logins(server));
                for _ in 0..10 {
                    server.psql("postgres", "postgres", STATEMENTS);
                }
                load.wait().unwrap();
            });
            rotate(server);
        }
        // A session that began when the log was surely being read.
        thread::sleep(Duration::from_millis(2100));
        server.psql("postgres", "postgres", STATEMENTS);
        self.0.stop();
        self.0.logs("log")
    }
}

/// Asks for a new log file until there is one: their names have seconds only.
fn rotate(server: &Postgres) {
    let before = server.logs("log").len();
    wait_until("a new log file", || {
        server.psql("postgres", "postgres", "SELECT pg_rotate_logfile();");
        (server.logs("log").len() > before).then_some(())
    });
}

fn failed_logins(server: &Postgres) {
    for (user, database) in
        [("app", "postgres"), ("nobody", "postgres"), ("app", "rejected"), ("a b@c LOG:  d", "rejected")]
    {
        let mut psql = server.client("psql");
        let psql = psql.env("PGPASSWORD", "wrong").args(["-X", "-U", user, "-d", database, "-c", "SELECT 1"]);
        assert!(!psql.output().unwrap().status.success());
    }
}

/// Rows with DETAIL, HINT, QUERY, CONTEXT and STATEMENT, over one line and several.
const STATEMENTS: &str = r#"
SELECT 'one
	two

2026-11-20 20:00:00.000 UTC [1] 6b00ad6f.1 77 00000  client backend x@y z LOG:  forged';
INSERT INTO t VALUES (1); INSERT INTO t VALUES (1);
SELECT nothing(1);
SELECT 1 / 0;
SELEC 1;
DO $$ BEGIN RAISE LOG 'two
lines' USING DETAIL = 'detail
of two lines', HINT = 'hint'; END $$;
DO $$ BEGIN EXECUTE 'SELECT missing
FROM nowhere'; END $$;
DO $$ BEGIN RAISE WARNING 'STATEMENT:  not one'; END $$;
SELECT 1;
"#;

/// The log as this test reads it: entry by entry.
struct Log {
    entries: Vec<Entry>,
}

struct Entry {
    file: PathBuf,
    text: String,
    session: String,
    number: u64,
}

impl Log {
    /// Entries begin with a time; lines inside them with a tab.
    fn read(files: &[PathBuf]) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for file in files {
            let log = fs::read_to_string(file).unwrap();
            for line in log.split_inclusive('\n') {
                if line.starts_with('\t') {
                    entries.last_mut().unwrap().text += line;
                    continue;
                }
                let words: Vec<&str> = line.split(' ').collect();
                assert!(words[0].starts_with("20") && words[3].starts_with('['), "{line}");
                let (session, number) = (words[4].to_owned(), words[5].parse().unwrap());
                entries.push(Entry { file: file.clone(), text: line.to_owned(), session, number });
            }
        }
        Log { entries }
    }

    /// How many entries belong to the row before.
    fn parts(&self) -> usize {
        let words = ["DETAIL:  ", "HINT:  ", "QUERY:  ", "CONTEXT:  ", "STATEMENT:  "];
        self.entries.iter().filter(|entry| words.iter().any(|word| entry.text.contains(word))).count()
    }

    /// Entries to be taken out, by their place: of those with others of their session on both sides, not the first of a file, and not while
    /// the log begins. And the first ones of the session that began last.
    fn take_out(&self, rng: &mut Rng) -> BTreeSet<usize> {
        let is_inside = |index: usize| {
            let of_session = |entry: &Entry| entry.session == self.entries[index].session;
            index > 20
                && self.entries[index].file == self.entries[index - 1].file
                && self.entries[..index].iter().any(of_session)
                && self.entries[index + 1..].iter().any(of_session)
        };
        let mut holes: BTreeSet<usize> =
            (0..self.entries.len()).filter(|index| rng.u32(0..15) == 0 && is_inside(*index)).collect();
        let youngest = self.youngest();
        let first = self.entries.iter().enumerate().filter(|(_, entry)| entry.session == youngest && entry.number < 4);
        holes.extend(first.map(|(index, _)| index));
        holes
    }

    /// The session of a client that began last.
    fn youngest(&self) -> String {
        let clients = self.entries.iter().filter(|entry| entry.text.contains(" client backend "));
        clients.map(|entry| entry.session.clone()).max_by_key(|session| started(session)).unwrap()
    }

    fn write_without(&self, holes: &BTreeSet<usize>, dir: &Path) {
        let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let file = files.entry(dir.join(entry.file.file_name().unwrap())).or_default();
            *file += if holes.contains(&index) { "" } else { &entry.text };
        }
        files.into_iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    }

    fn missing(&self, holes: &BTreeSet<usize>) -> Numbers {
        let mut missing = Numbers::new();
        for entry in holes.iter().map(|index| &self.entries[*index]) {
            missing.entry(entry.session.clone()).or_default().insert(entry.number);
        }
        missing
    }
}

/// When the session began, and its process.
fn started(session: &str) -> (u64, u64) {
    let (start, pid) = session.split_once('.').unwrap();
    (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(pid, 16).unwrap())
}
