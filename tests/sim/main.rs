//! The agent's whole core in a simulated world: thousands of schedules of a database that writes and rotates, an agent that is killed, a
//! disk that fails, and destinations that do, each drawn from a seed and each ending with the same question: is every row in the trail
//! exactly once, or said to be gone?
//!
//! `make sim SEEDS=n`, or `SEALTRAIL_SIM_SEEDS=n`, runs that many seeds, `SEALTRAIL_SIM_FROM=n` begins at another than 0, `SEALTRAIL_SIM_SEED=x` runs one and prints
//! what happens, `RUST_LOG=info` what the agent says to it, `SEALTRAIL_SIM_SHRINK=1` in as few steps as still go wrong. `SEALTRAIL_SIM_FIRST=1` ends with the first failure. The same seed is the same schedule, to the byte.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod agent;
mod check;
mod clock;
mod disk;
mod disk_holds;
mod far;
mod joined;
mod nth_call;
mod places;
mod schedule;
mod server;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use schedule::Outcome;

/// What is run where nobody says how many: some seconds, not optimised.
const SEEDS: u64 = 150;
/// Failing seeds that are told in full, where `SEALTRAIL_SIM_TOLD` does not say how many.
const TOLD_MAX: u64 = 5;

#[test]
fn every_row_is_in_the_trail_once_whatever_happens() {
    match number("SEALTRAIL_SIM_SEED") {
        Some(seed) => replay(seed),
        None => run_all(number("SEALTRAIL_SIM_FROM").unwrap_or(0), number("SEALTRAIL_SIM_SEEDS").unwrap_or(SEEDS)),
    }
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let (one, two) = (schedule::run(7, true), schedule::run(7, true));
    assert_eq!(one.log, two.log);
}

fn replay(seed: u64) {
    // What the agent says, beside what happens to it: RUST_LOG=info.
    let said = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(said).without_time().with_writer(std::io::stderr).init();
    let shrinks = std::env::var_os("SEALTRAIL_SIM_SHRINK").is_some();
    let outcome = if shrinks { schedule::shrink(seed) } else { schedule::run(seed, true) };
    let trail = format!("{}/sim-{seed}.ndjson", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&trail, &outcome.trail).unwrap();
    eprintln!("the trail: {trail}");
    assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
}

fn run_all(from: u64, seeds: u64) {
    let begin = Instant::now();
    let mut covered: BTreeMap<&str, u64> = schedule::kinds().into_iter().map(|kind| (kind, 0)).collect();
    let (mut failed, mut rows, mut ran) = (Vec::new(), 0, 0);
    for seed in from..from + seeds {
        let outcome = run(seed);
        rows += outcome.rows;
        outcome.covered.iter().for_each(|kind| *covered.entry(kind).or_default() += 1);
        ran += 1;
        if !outcome.wrong.is_empty() {
            failed.push((seed, outcome.wrong));
            if stops_at_first() {
                break;
            }
        }
    }
    let took = begin.elapsed();
    eprintln!("{ran} schedules from seed {from}, {rows} rows, {} failed, {took:.1?}; schedules with:", failed.len());
    for (kind, schedules) in covered {
        eprintln!("{schedules:>8}  {kind}");
    }
    for (seed, wrong) in failed.iter().take(number("SEALTRAIL_SIM_TOLD").unwrap_or(TOLD_MAX) as usize) {
        eprintln!(
            "seed {seed}: {:#?}\n  replay: SEALTRAIL_SIM_SEED={seed} cargo test --release --test sim",
            &wrong[..wrong.len().min(6)]
        );
    }
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "{} schedules failed: {:?}", failed.len(), &seeds[..seeds.len().min(50)]);
}

/// A schedule that panics has failed, and the others go on.
fn run(seed: u64) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| schedule::run(seed, false))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let wrong = vec![format!("panicked: {}", text.unwrap_or("?"))];
        Outcome { wrong, covered: Vec::new(), log: Vec::new(), rows: 0, trail: Vec::new() }
    })
}

/// Whether the first failure is enough.
pub fn stops_at_first() -> bool {
    std::env::var_os("SEALTRAIL_SIM_FIRST").is_some()
}

pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
