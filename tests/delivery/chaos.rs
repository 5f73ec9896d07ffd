//! All destinations fail in turn, in every way, while the log grows and rotates and the agent is killed again and again; then all is counted.
//!
//! `make chaos TIME=1200` runs it for long; `make test` for less than a minute. What happens when comes from a seed, which is printed;
//! how fast the machine is, from nobody.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::books::{Account, account, assert_sound, trail_lines};
use crate::far::Far;
use crate::host::Host;
use crate::process::{Ear, Log, Process};
use crate::types::{Side, Trouble, Type};

/// Long enough for every destination to have its turn.
const SHORT: Duration = Duration::from_secs(45);
const SEED: u64 = 210;
const ROWS_PER_S: u64 = 30;
const SEAL: &str = "interval = \"1s\"\nsegment_max_bytes = \"256KiB\"\nsegment_max_age = \"2s\"";

const TROUBLE_MS: std::ops::Range<u64> = 1_500..4_500;
/// A trouble lasts until the agent has met it, but no longer than this: an archive may have nothing to do with it for a while.
const MET_WITHIN: Duration = Duration::from_secs(40);
/// So many destinations are in trouble at a time.
const TOGETHER: std::ops::RangeInclusive<usize> = 1..=3;

const DOWN_MS: std::ops::Range<u64> = 0..800;
/// When all are well again, it never takes longer than this until something more is delivered.
const MOVES_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_destinations_fail_in_turn_while_the_agent_is_killed_and_nothing_is_lost() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let time = number("SEALTRAIL_CHAOS_SECONDS").map_or(SHORT, Duration::from_secs);
    let seed = number("SEALTRAIL_TEST_SEED").unwrap_or(SEED);
    eprintln!("SEALTRAIL_TEST_SEED={seed}, {} seconds", time.as_secs());
    let mut rng = Rng::with_seed(seed);
    let host = Host::empty();
    let mut sides = Vec::new();
    for of in Type::ALL {
        sides.push(of.open(host.dir()).await);
    }
    host.configure_with(SEAL, &source(&host), &sides.iter().map(|side| side.table()).collect::<String>());
    let ear = sides.iter().find_map(|side| match &side.far {
        Far::Stdout { ear } => Some(Arc::clone(ear)),
        _ => None,
    });
    let ear = ear.expect("one writes to standard output");
    let log = Log::start(&host.log(), ROWS_PER_S, rng.u64(..));
    let until = Instant::now() + time;
    let mut said = Said::new(&host);
    let kills = Cell::new(0);
    let (of_kills, of_troubles) = (rng.fork(), rng.fork());
    let troubles = tokio::select! {
        troubles = trouble_in_turn(&mut sides, &mut said, of_troubles, until) => troubles,
        never = kill_again_and_again(&host, &ear, of_kills, &kills) => match never {},
    };
    let kills = kills.get();
    let written = log.stop();
    drain(&host, &ear).await;

    let trail = trail_lines(&host);
    let mut accounts = Vec::new();
    for side in &sides {
        accounts.push(account(side, &trail).await);
    }
    said.read();
    table(&accounts, &troubles, &said);
    let rows = written.rows();
    eprintln!("{kills} kills, {rows} rows in {} files, {} lines in the trail", written.files.len(), trail.len());
    let wrong: Vec<String> = accounts.iter().filter_map(Account::wrong).collect();
    assert!(wrong.is_empty(), "SEALTRAIL_TEST_SEED={seed}\n{}", wrong.join("\n"));
    assert_sound(&host, &sides, &written.files).await;
    let untroubled: Vec<_> = sides.iter().map(|side| side.name).filter(|name| said.failures(name) == 0).collect();
    assert!(untroubled.is_empty(), "the agent met no trouble of {untroubled:?}");
    assert!(kills > 0, "the agent was never killed");
}

fn source(host: &Host) -> String {
    let log = host.log().display().to_string();
    format!("[[source]]\nname = \"pg\"\npaths = [\"{log}/*.csv\", \"{log}/*.csv.1\"]\nformat = \"postgres-csvlog\"\n")
}

/// For as long as somebody waits for it.
async fn kill_again_and_again(host: &Host, ear: &Arc<Ear>, mut rng: Rng, kills: &Cell<usize>) -> Infallible {
    loop {
        let agent = Process::start(host, Some(ear), &[]);
        // Sometimes before it has opened its journal, sometimes long after everything is well.
        let run_ms = match rng.u32(..10) {
            0..2 => rng.u64(..600),
            2..8 => rng.u64(1_000..6_000),
            _ => rng.u64(6_000..15_000),
        };
        tokio::time::sleep(Duration::from_millis(run_ms)).await;
        agent.kill9();
        kills.set(kills.get() + 1);
        tokio::time::sleep(Duration::from_millis(rng.u64(DOWN_MS))).await;
    }
}

/// How often each destination was put into trouble: all in turn, one to three at a time, each into one after the other of its troubles.
async fn trouble_in_turn(sides: &mut [Side], said: &mut Said, mut rng: Rng, until: Instant) -> Vec<usize> {
    let mut counts = vec![0; sides.len()];
    let mut order = Vec::new();
    let mut lists: Vec<Vec<Trouble>> = vec![Vec::new(); sides.len()];
    while Instant::now() < until {
        let mut now = Vec::new();
        for _ in 0..rng.usize(TOGETHER) {
            if order.is_empty() {
                order = (0..sides.len()).collect();
                rng.shuffle(&mut order);
            }
            // At the end of one turn and the beginning of the next may be the same.
            let Some(index) = order.pop().filter(|index| now.iter().all(|(other, _)| other != index)) else { continue };
            if lists[index].is_empty() {
                lists[index] = sides[index].troubles().to_vec();
                rng.shuffle(&mut lists[index]);
                // What is no failure comes last: in a short run everybody shall have failed.
                lists[index].sort_by_key(|trouble| *trouble != Trouble::Slow);
            }
            now.push((index, lists[index].pop().unwrap()));
        }
        trouble(sides, &now, said, Duration::from_millis(rng.u64(TROUBLE_MS)), until).await;
        now.iter().for_each(|(index, _)| counts[*index] += 1);
    }
    counts
}

/// These at once, for a while.
async fn trouble(sides: &mut [Side], now: &[(usize, Trouble)], said: &mut Said, time: Duration, until: Instant) {
    said.read();
    let before: Vec<usize> = now.iter().map(|(index, _)| said.failures(sides[*index].name)).collect();
    for (index, trouble) in now {
        sides[*index].begin(*trouble).await;
    }
    let begin = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        said.read();
        let is_met = now
            .iter()
            .zip(&before)
            .all(|((index, trouble), before)| *trouble == Trouble::Slow || said.failures(sides[*index].name) > *before);
        let is_over = Instant::now() >= until && is_met || begin.elapsed() >= MET_WITHIN;
        if is_over || is_met && begin.elapsed() >= time {
            break;
        }
    }
    for (index, trouble) in now {
        sides[*index].end(*trouble).await;
    }
}

/// Everything is read, sealed and delivered.
async fn drain(host: &Host, ear: &Arc<Ear>) {
    let mut agent = Process::start(host, Some(ear), &["--drain"]);
    let (mut delivered, mut since) = (None, Instant::now());
    let status = loop {
        if let Some(status) = agent.ended() {
            break status;
        }
        let now = cursors(host).or(delivered.clone());
        if now != delivered {
            (delivered, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < MOVES_WITHIN, "does not drain: {:#?}\n{}", host.status(), last_words(host));
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(status.success(), "{status}: {}", last_words(host));
}

/// Where each destination stands, while the agent can be asked.
fn cursors(host: &Host) -> Option<Vec<u64>> {
    let status = host.status()?;
    status["destinations"].as_array()?.iter().map(|destination| destination["next_line"].as_u64()).collect()
}

fn last_words(host: &Host) -> String {
    let said = host.said();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// What the agent has said of destinations that failed, in all its runs.
struct Said {
    reader: BufReader<File>,
    line: String,
    failures: BTreeMap<String, usize>,
}

impl Said {
    fn new(host: &Host) -> Self {
        let path = host.dir().join("stderr");
        File::options().append(true).create(true).open(&path).unwrap();
        Said { reader: BufReader::new(File::open(path).unwrap()), line: String::new(), failures: BTreeMap::new() }
    }

    fn read(&mut self) {
        while self.reader.read_line(&mut self.line).unwrap() > 0 {
            if !self.line.ends_with('\n') {
                return;
            }
            if self.line.contains("destination does not take batches now") || self.line.contains("destination refuses,")
            {
                let name = self.line.split_once(" destination=").and_then(|(_, rest)| rest.split_whitespace().next());
                *self.failures.entry(name.unwrap_or_default().trim_matches('"').to_owned()).or_default() += 1;
            }
            self.line.clear();
        }
    }

    /// How often it began to fail, by the agent's own word.
    fn failures(&self, name: &str) -> usize {
        self.failures.get(name).copied().unwrap_or(0)
    }
}

fn table(accounts: &[Account], troubles: &[usize], said: &Said) {
    eprintln!(
        "{:16}{:>9}{:>9}{:>9}{:>10}{:>16}",
        "destination", "lines", "missing", "again", "troubles", "met by agent"
    );
    for (account, troubles) in accounts.iter().zip(troubles) {
        let Account { name, lines, missing, twice, .. } = account;
        eprintln!("{name:16}{lines:>9}{:>9}{twice:>9}{troubles:>10}{:>16}", missing.len(), said.failures(name));
    }
}
