//! Rows in pieces over rotation: statements of several connections, each of a row a table and one of its own, in a log that is rotated at any
//! moment and compressed, with an agent that is killed at any moment. Each statement is one record, whole, and every piece of it is where
//! the record says.
//!
//! Seeds as in `main.rs`: `SEALTRAIL_SIM_SEEDS`, and `SEALTRAIL_SIM_JOINED=x` runs one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use sealtrail::config::plan::Plan;
use sealtrail::event::file_id;
use sealtrail::host::Host;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::agent::{self, Agent, TURNS_MAX, Tuning};
use crate::check::{self, Trail, Wrong};
use crate::clock::SimClock;
use crate::disk::{Dead, Fault, NodeId, SimDisk};
use crate::number;
use crate::server::Server;

const SEEDS: u64 = 60;
const SOURCE: &str = "maria";
const LIVE: &str = "/logs/server_audit.log";
const CONNECTIONS: usize = 4;

#[test]
fn every_statement_is_one_record_whenever_its_log_is_rotated_and_its_reader_killed() {
    let seeds = match number("SEALTRAIL_SIM_JOINED") {
        Some(seed) => {
            let said = tracing_subscriber::EnvFilter::from_default_env();
            tracing_subscriber::fmt().with_env_filter(said).without_time().with_writer(std::io::stderr).init();
            seed..seed + 1
        }
        None => 0..number("SEALTRAIL_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let (mut failed, mut statements, mut apart) = (Vec::new(), 0, 0);
    for seed in seeds {
        let (wrong, all, in_two_files) = run(seed);
        (statements, apart) = (statements + all, apart + in_two_files);
        if !wrong.is_empty() {
            eprintln!("seed {seed}: {:#?}", &wrong[..wrong.len().min(6)]);
            failed.push(seed);
            if crate::stops_at_first() {
                break;
            }
        }
    }
    eprintln!("{statements} statements, {apart} of them in several files");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    assert!(apart > 0, "no statement was in two files");
}

/// What is wrong, how many statements there were, and how many of them stand in several files.
fn run(seed: u64) -> (Wrong, usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        fastrand::seed(seed);
        let mut story = Story::new(seed);
        story.begin().await;
        for _ in 0..story.rng.usize(20..120) {
            story.step().await;
        }
        story.end().await
    })
}

/// A log, under whatever name.
struct Log {
    path: String,
    node: NodeId,
    bytes: Vec<u8>,
}

/// What a connection runs.
#[derive(Clone)]
struct Statement {
    query: u64,
    tables: Vec<String>,
    written: usize,
}

struct Story {
    clock: Arc<SimClock>,
    disk: SimDisk,
    rng: Rng,
    host: Host,
    plan: Arc<Plan>,
    tuning: Tuning,
    agent: Option<Agent>,
    /// Oldest first; the last one is written to.
    logs: Vec<Log>,
    open: [Option<Statement>; CONNECTIONS],
    /// All that are whole, by connection and query.
    done: BTreeMap<(usize, u64), Vec<String>>,
    queries: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6a6f_696e);
        let clock = Arc::new(SimClock::default());
        let disk = SimDisk::new(Arc::clone(&clock), rng.u64(..));
        ["/var", "/backup", "/logs"].iter().for_each(|folder| disk.mkdir(folder, 1));
        let node = disk.create_log(LIVE, 0o640);
        let tuning = Tuning {
            interval_ms: rng.choice([100, 300, 1000]).unwrap(),
            heartbeat_ms: 20_000,
            segment_max_bytes: rng.choice([4096, 65_536]).unwrap(),
            segment_max_age_ms: rng.choice([3000, 60_000]).unwrap(),
            journal_max_bytes: 1 << 30,
            poll_ms: 1000,
            unpack_bytes: rng.choice([100, 500, 1 << 20]).unwrap(),
            turns: rng.choice([2, 5, TURNS_MAX]).unwrap(),
            batch_max_age_ms: 0,
        };
        let host = Host { disk: Arc::new(disk.clone()), clock: Arc::clone(&clock) as _ };
        // Its settings but for the source.
        let databases = SimDisk::new(Arc::clone(&clock), 0);
        let mut plan = agent::plan(&Server::new(&databases, &clock, 0, 1), &[], &tuning);
        plan.sources[0].name = SOURCE.to_owned();
        plan.sources[0].paths = vec![rng.choice([LIVE.to_owned(), format!("{LIVE}*")]).unwrap()];
        plan.sources[0].timezone = Some("UTC".to_owned());
        let logs = vec![Log { path: LIVE.to_owned(), node, bytes: Vec::new() }];
        let (agent, open, done) = (None, Default::default(), BTreeMap::new());
        Story { clock, disk, rng, host, plan: Arc::new(plan), tuning, agent, logs, open, done, queries: 0 }
    }

    /// The agent knows the log before it is rotated: what lies beside the live file when reading begins is none of its business.
    async fn begin(&mut self) {
        self.start().await;
        self.write_some();
        self.write_some();
        for _ in 0..3 {
            self.pass(1000).await;
        }
    }

    async fn step(&mut self) {
        if self.disk.gather()
            && let Some(agent) = &mut self.agent
        {
            agent.wake();
        }
        if self.rng.u8(0..3) == 0 {
            self.start().await;
        }
        match self.rng.u8(0..30) {
            0..18 => self.write_some(),
            18..22 => self.rotate(),
            22 => {
                for _ in 0..self.rng.usize(2..5) {
                    self.write_some();
                    self.rotate();
                }
            }
            23 => self.pack_some(),
            24 => self.crash().await,
            25 => {
                self.disk.cut_power();
                self.bury().await;
            }
            26 => self.stop(false).await,
            27 => {
                let fault = self.rng.choice([Fault::TornThenCrash, Fault::Crash, Fault::PowerCut]).unwrap();
                self.disk.plan(self.disk.calls() + self.rng.u64(1..10), fault);
            }
            28 => self.disk.make_handles_stale(),
            _ => {}
        }
        if self.rng.u8(0..6) > 0
            && let Some(agent) = &mut self.agent
        {
            agent.wake();
        }
        let ms = if self.rng.u8(0..10) == 0 { self.rng.u64(600..12_000) } else { self.rng.u64(1..300) };
        self.pass(ms).await;
    }

    /// One to some rows, each of whichever connection.
    fn write_some(&mut self) {
        for _ in 0..self.rng.usize(1..6) {
            let connection = self.rng.usize(0..CONNECTIONS);
            self.write(connection);
        }
    }

    fn write(&mut self, connection: usize) {
        let statement = self.open[connection].get_or_insert_with(|| {
            self.queries += 1;
            let tables = (0..self.rng.usize(0..4)).map(|number| format!("t{}_{number}", self.queries)).collect();
            Statement { query: self.queries, tables, written: 0 }
        });
        let query = statement.query;
        let row = match statement.tables.get(statement.written) {
            Some(table) => {
                format!("20261120 20:31:42,db1,u{connection},10.0.0.7,{connection},{query},READ,shop,{table},\n")
            }
            None => format!(
                "20261120 20:31:43,db1,u{connection},10.0.0.7,{connection},{query},QUERY,shop,'SELECT {query}',0\n"
            ),
        };
        statement.written += 1;
        if statement.written > statement.tables.len() {
            let tables = std::mem::take(&mut statement.tables);
            self.done.insert((connection, query), tables);
            self.open[connection] = None;
        }
        let log = self.logs.last_mut().unwrap();
        self.disk.write_log(log.node, row.as_bytes());
        log.bytes.extend_from_slice(row.as_bytes());
    }

    /// As server_audit does, and does not when nothing was written; at once, or while the agent looks.
    fn rotate(&mut self) {
        if self.logs.last().unwrap().bytes.is_empty() {
            return;
        }
        if self.rng.bool() {
            self.disk.spread(self.rng.u64(..));
        }
        let count = self.logs.len();
        for (index, log) in self.logs.iter_mut().enumerate() {
            let packed = if log.path.ends_with(".gz") { ".gz" } else { "" };
            let to = format!("{LIVE}.{}{packed}", count - index);
            self.disk.move_log(&log.path, &to);
            log.path = to;
        }
        self.disk.close_log(self.logs.last().unwrap().node);
        self.logs.push(Log { path: LIVE.to_owned(), node: self.disk.create_log(LIVE, 0o640), bytes: Vec::new() });
        if self.rng.u8(0..4) == 0 {
            self.pack(self.logs.len() - 2);
        }
        self.disk.end_spread();
    }

    fn pack_some(&mut self) {
        let old = self.logs.len() - 1;
        if old > 0 {
            let index = self.rng.usize(0..old);
            self.pack(index);
        }
    }

    /// Compresses an old file.
    fn pack(&mut self, index: usize) {
        let log = &mut self.logs[index];
        if log.path.ends_with(".gz") {
            return;
        }
        let packed = format!("{}.gz", log.path);
        let node = self.disk.create_log(&packed, 0o640);
        self.disk.write_log(node, &crate::server::gzip(&log.bytes));
        self.disk.date(node, self.disk.written(log.node));
        self.disk.close_log(node);
        self.disk.unlink(&log.path);
        log.path = packed;
    }

    async fn start(&mut self) {
        if self.agent.is_some() {
            return;
        }
        self.bury().await;
        if self.disk.dead() == Some(Dead::PowerCut) {
            self.clock.boot();
        }
        self.disk.restart();
        match Agent::start(&self.host, &self.plan, &[], self.tuning.unpack_bytes) {
            Ok(agent) => self.agent = Some(agent),
            Err(_) => self.crash().await,
        }
    }

    async fn crash(&mut self) {
        self.disk.crash();
        self.bury().await;
    }

    async fn bury(&mut self) {
        self.agent = None;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(&mut self, closes: bool) {
        let Some(agent) = self.agent.take() else { return };
        match agent.finish(closes) {
            Ok(stopping) => stopping.stop().await,
            Err(_) => self.crash().await,
        }
    }

    async fn pass(&mut self, ms: u64) {
        self.clock.advance(ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let Some(agent) = &mut self.agent else { return };
        if agent.turn(self.tuning.turns).is_err() || self.disk.dead().is_some() {
            self.crash().await;
        }
    }

    async fn end(mut self) -> (Wrong, usize, usize) {
        for connection in 0..CONNECTIONS {
            while self.open[connection].is_some() {
                self.write(connection);
            }
        }
        self.disk.forget_faults();
        self.disk.gather();
        self.tuning.turns = TURNS_MAX;
        self.start().await;
        if let Some(agent) = &mut self.agent {
            agent.wake();
        }
        for ms in [500, 1000, 2000, 4000, 8000, 8000] {
            self.pass(ms).await;
        }
        if self.agent.is_none() {
            return (vec!["the agent does not stay up although all is well".to_owned()], 0, 0);
        }
        self.stop(true).await;
        match Trail::read(&self.disk) {
            Ok(trail) => self.check(&trail),
            Err(error) => (vec![error], 0, 0),
        }
    }

    fn check(&self, trail: &Trail) -> (Wrong, usize, usize) {
        let mut wrong = Wrong::new();
        check::check_verdict(&self.disk, trail, &mut wrong);
        let whole = self.logs.iter().filter(|log| !log.bytes.is_empty());
        let first_line = |log: &Log| log.bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
        let logs: BTreeMap<String, &Log> = whole.map(|log| (file_id(SOURCE, &first_line(log), 0), log)).collect();
        let (mut missing, mut apart) = (self.done.clone(), 0);
        for event in trail.values().iter().filter(|value| value["type"] == "event") {
            let connection = event["session"]["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or(usize::MAX);
            let query = event["extra"]["queryid"].as_u64().unwrap_or_default();
            let Some(tables) = missing.remove(&(connection, query)) else {
                wrong.push(format!("twice, or none of ours: {event}"));
                continue;
            };
            let resources = event["resources"].as_array().into_iter().flatten();
            let names: Vec<&str> = resources.map(|object| object["name"].as_str().unwrap()).collect();
            let expected: Vec<String> = tables.iter().map(|table| format!("shop.{table}")).collect();
            let is_whole = names == expected
                && event["user"] == format!("u{connection}")
                && event["outcome"] == "success"
                && event["statement"]["text"] == format!("SELECT {query}")
                && event["flags"].is_null();
            if !is_whole || !stands_where_it_says(event, query, tables.len() + 1, &logs) {
                wrong.push(format!("not as it was written: {event}"));
            }
            let pieces = event["at"]["pieces"].as_array().into_iter().flatten();
            apart += usize::from(pieces.clone().any(|piece| piece.as_array().unwrap().len() > 2));
        }
        wrong.extend(missing.keys().map(|(connection, query)| format!("missing: query {query} of {connection}")));
        check_seals(trail, &logs, &mut wrong);
        let accuses = |act: &str| trail.acts(act).map(|act| format!("told, and not so: {act}")).collect::<Vec<_>>();
        wrong.extend(["GAP", "FILE CUT", "FILE GONE"].into_iter().flat_map(accuses));
        (wrong, self.done.len(), apart)
    }
}

/// Each piece is one row of the statement, in the file that the record names; the id is that of the first one.
fn stands_where_it_says(event: &Value, query: u64, rows: usize, logs: &BTreeMap<String, &Log>) -> bool {
    let (file, offset) = event["id"].as_str().unwrap().rsplit_once(':').unwrap();
    let offset: u64 = offset.parse().unwrap();
    let whole = serde_json::json!([[event["at"]["offset"], event["at"]["length"]]]);
    let pieces = if event["at"]["pieces"].is_null() { &whole } else { &event["at"]["pieces"] };
    let pieces = pieces.as_array().unwrap();
    let is_row = |piece: &Value| {
        let (offset, length) = (piece[0].as_u64().unwrap() as usize, piece[1].as_u64().unwrap() as usize);
        let log = logs.get(piece[2].as_str().unwrap_or(file));
        let row = log.and_then(|log| log.bytes.get(offset..offset + length)).map(String::from_utf8_lossy);
        row.is_some_and(|row| row.ends_with('\n') && row.contains(&format!(",{query},")))
    };
    pieces.len() == rows && Some(offset) == pieces[0][0].as_u64() && pieces.iter().all(is_row)
}

/// The seals account for each byte of each file once, and for the lines of each file's id.
fn check_seals(trail: &Trail, logs: &BTreeMap<String, &Log>, wrong: &mut Wrong) {
    let (mut ends, mut lines): (BTreeMap<&str, usize>, BTreeMap<&str, i64>) = Default::default();
    for value in trail.values() {
        if value["type"] == "event" {
            *lines.entry(value["id"].as_str().unwrap().rsplit_once(':').unwrap().0).or_default() += 1;
        }
        for range in value["seal"]["files"].as_array().into_iter().flatten() {
            let (id, from, to) = (range["id"].as_str().unwrap(), range["from"].as_u64(), range["to"].as_u64());
            let (from, to) = (from.unwrap() as usize, to.unwrap() as usize);
            let bytes = logs.get(id).and_then(|log| log.bytes.get(from..to)).unwrap_or_default();
            let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            *lines.entry(id).or_default() -= range["rows"].as_i64().unwrap();
            if ends.insert(id, to).unwrap_or(0) != from || range["sha256"] != hash {
                wrong.push(format!("does not go on where the last one ended, or with other bytes: {range}"));
            }
        }
        if value["action"] == "SEAL" && lines.values().any(|rows| *rows != 0) {
            wrong.push(format!("lines of files, less those that the seal counts: {lines:?}"));
        }
        if value["action"] == "SEAL" {
            lines.clear();
        }
    }
    for (id, log) in logs {
        if ends.get(id.as_str()) != Some(&log.bytes.len()) {
            wrong.push(format!("{} of {} bytes is read up to {:?}", log.path, log.bytes.len(), ends.get(id.as_str())));
        }
    }
}
