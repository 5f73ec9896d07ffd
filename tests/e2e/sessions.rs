//! Rows that somebody took out of a log are told of, exactly and once, whatever happens to the agent meanwhile; and a log that is whole
//! is never accused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::csvlog::{self, Row};
use crate::host::{Host, seed, text};
use crate::trail::Trail;

/// Numbers by session.
type Numbers = BTreeMap<String, BTreeSet<u64>>;

#[test]
fn rows_cut_out_of_a_log_are_told_exactly_and_verify_says_that_it_is_incomplete() {
    let host = Host::new();
    let mut server = Server::new(7);
    server.write(&host, 2000);
    let trail = host.drain();
    assert_eq!(told(&trail), server.missing());
    assert!(server.missing().len() > 5, "{:?}", server.missing());
    for gap in trail.acts("GAP") {
        assert_neighbours(&trail, gap);
    }
    let seals = trail.acts("SEAL");
    let counted: u64 = seals.iter().map(|seal| seal["seal"]["rows"]["gaps"].as_u64().unwrap()).sum();
    assert_eq!(counted, trail.acts("GAP").len() as u64);
    let verdict = host.verify();
    assert_eq!(verdict.status.code(), Some(3), "{}", text(&verdict.stdout));
    // It is told once, not at every start.
    assert_eq!(host.drain().acts("GAP").len(), trail.acts("GAP").len());
}

#[test]
fn a_whole_log_is_not_accused_however_often_the_agent_starts_in_the_middle_of_it() {
    let host = Host::new();
    let mut server = Server::new(8);
    server.losses = false;
    for _ in 0..6 {
        server.write(&host, 150);
        host.drain();
    }
    fs::remove_file(host.state().join("sessions.json")).unwrap();
    server.write(&host, 150);
    host.drain();
    fs::write(host.state().join("sessions.json"), b"no count").unwrap();
    server.write(&host, 150);
    let trail = host.drain();
    assert_eq!(told(&trail), Numbers::new());
    assert_eq!(trail.acts("TAIL UNPROVEN"), Vec::<&Value>::new());
    host.assert_verifies();
}

#[test]
fn an_agent_that_enters_a_log_at_its_end_takes_the_sessions_over() {
    let host = Host::empty();
    host.configure(&host.source("pg", "*.csv", "start_at = \"end\""), &host.archive());
    let mut server = Server::new(9);
    server.losses = false;
    server.write(&host, 300);
    host.drain();
    server.write(&host, 300);
    let trail = host.drain();
    assert!(trail.events().count() <= 300);
    assert_eq!(told(&trail), Numbers::new());
}

#[test]
fn what_goes_missing_over_a_restart_is_told_by_the_next_agent() {
    let host = Host::new();
    let mut server = Server::new(10);
    server.losses = false;
    server.write(&host, 300);
    let mut agent = host.run();
    agent.wait_for_rows(300);
    agent.stop();
    server.losses = true;
    server.write(&host, 300);
    let mut agent = host.run();
    agent.wait_for_rows(server.written());
    agent.kill9();
    server.losses = false;
    server.write(&host, 100);
    let trail = host.drain();
    assert_eq!(told(&trail), server.missing());
}

#[test]
fn a_running_agent_tells_when_it_has_read_everything_and_waited() {
    let host = Host::new();
    let mut server = Server::new(11);
    server.write(&host, 500);
    let mut agent = host.run();
    let expected = server.missing();
    let trail = agent.wait_for("the gaps", |trail| told(trail) == expected);
    let status = host.status().unwrap();
    assert_eq!(status["sources"][0]["gaps"], trail.acts("GAP").len());
    assert!(status["sources"][0]["sessions"].as_u64().unwrap() > 1);
    agent.stop();
}

#[test]
fn no_kill_9_invents_hides_or_repeats_a_gap() {
    let seed = seed();
    let host = Host::empty();
    host.configure_with(
        "interval = \"10ms\"\nsegment_max_bytes = \"16KiB\"",
        &host.source("pg", "*.csv", ""),
        &host.archive(),
    );
    let mut server = Server::new(seed);
    let mut rng = Rng::with_seed(seed);
    for _ in 0..12 {
        let agent = host.run();
        for _ in 0..rng.usize(1..6) {
            let rows = rng.usize(0..400);
            server.write(&host, rows);
            thread::sleep(Duration::from_millis(rng.u64(0..60)));
        }
        agent.kill9();
        if rng.u32(0..3) == 0 {
            // It may be told here already, and must not be told again.
            host.drain();
        }
    }
    let trail = host.drain();
    assert_eq!(told(&trail), server.missing());
    assert!(!server.missing().is_empty());
}

/// A server whose log loses rows, in one file.
struct Server {
    rng: Rng,
    losses: bool,
    /// Open sessions, each with its last number.
    open: Vec<(String, u64)>,
    second: u64,
    written: Numbers,
    lost: Numbers,
}

/// 2026-11-20 20:19:03 UTC, the time of the first rows.
const BEGAN: u64 = 0x6b00_ab37;

impl Server {
    fn new(seed: u64) -> Self {
        let open = vec![(format!("{BEGAN:x}.1"), 0)];
        Server {
            rng: Rng::with_seed(seed),
            losses: true,
            open,
            second: 0,
            written: Numbers::new(),
            lost: Numbers::new(),
        }
    }

    fn write(&mut self, host: &Host, rows: usize) {
        let mut text = String::new();
        for _ in 0..rows {
            if self.rng.u32(0..40) == 0 {
                self.second += 1;
                self.open.push((format!("{:x}.{:x}", BEGAN + self.second, 100 + self.second), 0));
            }
            let index = self.rng.usize(0..self.open.len());
            let (session, number) = &mut self.open[index];
            *number += 1;
            // The log's beginning is whole: what it says tells when its reading began.
            let lost = self.losses && self.written.values().map(BTreeSet::len).sum::<usize>() > 20;
            if lost && self.rng.u32(0..20) == 0 {
                self.lost.entry(session.clone()).or_default().insert(*number);
                continue;
            }
            self.written.entry(session.clone()).or_default().insert(*number);
            let row = csvlog::csv(&Row { user: "app", session, line: *number, sql: "SELECT 1" });
            let (minute, second) = (19 + (3 + self.second) / 60, (3 + self.second) % 60);
            text += &row.replacen("20:19:03", &format!("20:{minute}:{second:02}"), 1);
        }
        let path = host.log().join("postgresql.csv");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn written(&self) -> usize {
        self.written.values().map(BTreeSet::len).sum()
    }

    /// What a later row of its session shows to be missing.
    fn missing(&self) -> Numbers {
        let mut missing = Numbers::new();
        for (session, numbers) in &self.lost {
            let last = self.written.get(session).and_then(|rows| rows.last()).copied().unwrap_or(0);
            let shown: BTreeSet<u64> = numbers.iter().copied().filter(|number| *number < last).collect();
            if !shown.is_empty() {
                missing.insert(session.clone(), shown);
            }
        }
        missing
    }
}

/// Every number that the trail says is missing; none of them twice.
fn told(trail: &Trail) -> Numbers {
    let mut told = Numbers::new();
    for act in trail.acts("GAP") {
        let gap = &act["gap"];
        assert_eq!((&gap["of"], &gap["source"]), (&Value::from("rows"), &Value::from("pg")), "{act}");
        let session = told.entry(gap["session"].as_str().unwrap().to_owned()).or_default();
        for number in gap["from"].as_u64().unwrap()..=gap["to"].as_u64().unwrap() {
            assert!(session.insert(number), "told twice: {act}");
        }
    }
    told
}

/// The rows on either side have the numbers on either side.
fn assert_neighbours(trail: &Trail, act: &Value) {
    let gap = &act["gap"];
    let number = |id: &Value| {
        let row = trail.events().find(|event| event["id"] == *id).unwrap_or_else(|| panic!("no row {id}: {act}"));
        assert_eq!(row["session"]["id"], gap["session"]);
        row["session"]["line"].as_u64().unwrap()
    };
    let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
    assert_eq!(number(&gap["after"]), to + 1, "{act}");
    match gap.get("before") {
        Some(before) => assert_eq!(number(before), from - 1, "{act}"),
        None => assert_eq!(from, 1, "{act}"),
    }
}
