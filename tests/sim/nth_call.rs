//! One life story of the agent, and every durable call in it made to go wrong in every way, one at a time.
//!
//! The story has whatever the agent writes: its first start with the making of a key, blocks, segments that roll, segments removed to make
//! room, cursors, a dead letter, copies in the folder destination, a recovery that cuts off a torn tail, a clean end and another start.
//! After the fault the agent is started again where it died, the story goes on to its end without a further fault, and what must hold
//! after a schedule must hold.
//!
//! `SEALTRAIL_SIM_EVERY=1`, as in `make sim`, takes every call; without it, it is every so many-th one, another one for each kind of fault.
//! `SEALTRAIL_SIM_CALL=n` takes one, and says what happens.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::io::Errno;

use crate::agent::{FOLDER, STATE, TURNS_MAX, Tuning};
use crate::check::{Trail, Wrong};
use crate::disk::Fault;
use crate::world::World;
use crate::{number, stops_at_first};

/// What is taken where nobody says: some seconds, not optimised.
const EVERY: u64 = 40;
/// Both sources have globs that match the names of rotated files, so that no row may be missing.
const SEED: u64 = 3;

/// Its name; what goes wrong at that call and at some after it; in how many ways that are left to chance.
type Case = (&'static str, &'static [(u64, Fault)], u64);

/// What goes wrong.
const FAULTS: &[Case] = &[
    ("it fails: EIO", &[(0, EIO)], 1),
    ("it fails: ENOSPC", &[(0, ENOSPC)], 1),
    ("it is torn, then the process is gone", &[(0, Fault::TornThenCrash)], 2),
    ("it is the last before the process is gone", &[(0, Fault::Crash)], 1),
    ("it is the last before the power goes", &[(0, Fault::PowerCut)], 3),
    ("it fails and so does the next", &[(0, EIO), (1, EIO)], 1),
    ("it fails, and after the next the power goes", &[(0, EIO), (1, Fault::PowerCut)], 2),
    ("it fails, and so does the next; after five more the power goes", &[(0, EIO), (1, EIO), (7, Fault::PowerCut)], 1),
];
const EIO: Fault = Fault::Fails(Errno::IO);
const ENOSPC: Fault = Fault::Fails(Errno::NOSPC);

/// Every segment is closed by its age, not by its size, and the journal's budget is half a segment off any sum of segments: how well
/// signatures compress decides nothing.
pub const TUNING: Tuning = Tuning {
    interval_ms: 300,
    heartbeat_ms: 2000,
    segment_max_bytes: 1 << 20,
    segment_max_age_ms: 3000,
    journal_max_bytes: 26_000,
    poll_ms: 1000,
    // Less than its archives hold.
    unpack_bytes: 1000,
    turns: TURNS_MAX,
    batch_max_age_ms: 0,
};

/// How a story went.
struct Told {
    wrong: Wrong,
    /// Its durable calls up to the end of the story; what follows is the harvest.
    calls: Vec<(&'static str, PathBuf)>,
    /// The fault happened.
    struck: bool,
    trail: Option<Trail>,
    dead_letters: usize,
    removed: usize,
}

#[test]
fn every_durable_call_may_go_wrong_in_every_way() {
    if let Some(call) = number("SEALTRAIL_SIM_CALL") {
        return replay(call);
    }
    let begin = Instant::now();
    // Where the torn append is torn is left to chance, too, so that one story has a call more than another.
    let ways = FAULTS.iter().map(|(.., ways)| *ways).max().unwrap_or(0);
    let whole: Vec<Told> = (0..ways).map(|way| tell(0, &[], way, false)).collect();
    has_everything(&whole);
    let every = number("SEALTRAIL_SIM_EVERY").unwrap_or(EVERY);
    let (mut runs, mut failed) = (BTreeMap::new(), Vec::new());
    for (index, (name, faults, ways)) in FAULTS.iter().enumerate() {
        // No two kinds of fault at the same calls where not all are taken.
        let first = 1 + (index as u64 * 7) % every;
        for (way, whole) in (0..*ways).zip(&whole) {
            for call in (first..=whole.calls.len() as u64).step_by(every as usize) {
                *runs.entry(name).or_insert(0) += 1;
                let wrong = go_wrong(call, faults, way);
                if !wrong.is_empty() {
                    let (what, path) = &whole.calls[call as usize - 1];
                    failed.push(format!("call {call}, {what} {}, {name}, {way}: {wrong:#?}", path.display()));
                    assert!(!stops_at_first(), "{failed:#?}");
                }
            }
        }
    }
    report(&whole[0], every, &runs, failed.len(), begin);
    failed.iter().take(5).for_each(|failure| eprintln!("{failure}"));
    assert!(failed.is_empty(), "{} runs failed", failed.len());
}

fn replay(call: u64) {
    for (name, faults, ways) in FAULTS {
        for way in 0..*ways {
            eprintln!("--- call {call}: {name}, {way}");
            let wrong = tell(call, faults, way, true).wrong;
            eprintln!("{wrong:#?}");
        }
    }
}

/// What is wrong with a story that panics is the panic.
fn go_wrong(call: u64, faults: &[(u64, Fault)], way: u64) -> Wrong {
    match catch_unwind(AssertUnwindSafe(|| tell(call, faults, way, false))) {
        Ok(told) if told.struck => told.wrong,
        Ok(_) => vec!["the call was never made".to_owned()],
        Err(_) => vec!["panicked".to_owned()],
    }
}

/// How many calls there were, by what they did and where, and what became of them.
fn report(whole: &Told, every: u64, runs: &BTreeMap<&&str, u64>, failed: usize, begin: Instant) {
    let mut kinds = BTreeMap::new();
    for (what, path) in &whole.calls {
        *kinds.entry((area(path), *what)).or_insert(0) += 1;
    }
    let (calls, took) = (whole.calls.len(), begin.elapsed());
    let all: u64 = runs.values().sum();
    eprintln!(
        "{calls} durable calls, every {every}-th of them gone wrong: {all} runs, {failed} failed, {took:.1?}; calls:"
    );
    for ((area, what), calls) in kinds {
        eprintln!("{calls:>8}  {area}: {what}");
    }
    eprintln!("runs:");
    for (fault, runs) in runs {
        eprintln!("{runs:>8}  {fault}");
    }
}

/// The part of the state folder that a path is in.
fn area(path: &Path) -> String {
    if path.starts_with(FOLDER) || !path.starts_with(STATE) {
        return "the folder destination, and folders above".to_owned();
    }
    let part = path.strip_prefix(STATE).unwrap().components().next();
    let part = part.map_or("the state folder".to_owned(), |part| part.as_os_str().to_string_lossy().into_owned());
    // The other name that a file is written under counts as its own.
    part.trim_start_matches('.').trim_end_matches(".partial").to_owned()
}

/// Stories that lack something would show nothing about it.
fn has_everything(stories: &[Told]) {
    let whole = &stories[0];
    assert!(whole.wrong.is_empty(), "without a fault: {:#?}", whole.wrong);
    let made = |name: &str| whole.calls.iter().any(|(what, path)| *what == "rename" && path.ends_with(name));
    assert!(made("keys/signing.key") && made("cursors/collector.json") && made("cursors/folder.json"));
    assert!(whole.removed >= 2, "only {} segments were removed", whole.removed);
    assert_eq!(whole.dead_letters, 1);
    let trail = whole.trail.as_ref().unwrap();
    assert!(trail.segments() >= 6, "only {} segments", trail.segments());
    assert!(trail.acts("STOPPED").count() >= 2);
    // Where an append is torn is left to chance: in a segment's first block there is nothing to cut.
    let cuts = |trail: &Trail| trail.acts("RECOVERED").any(|act| act["message"].as_str().unwrap().starts_with("cut "));
    assert!(stories.iter().filter_map(|told| told.trail.as_ref()).any(cuts));
}

fn tell(call: u64, faults: &[(u64, Fault)], way: u64, aloud: bool) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(SEED, 2, &TUNING, aloud);
        world.disk.leave_to_chance(way);
        world.disk.note_calls();
        assert!(world.server.sources.iter().all(|source| source.wide));
        for (after, fault) in faults {
            world.disk.plan(call + after, *fault);
        }
        story(&mut world).await;
        let calls = world.disk.noted();
        let struck = faults.is_empty() || world.disk.happened().iter().any(|(it, ..)| *it == call);
        let wrong = world.end().await;
        Told {
            wrong,
            calls,
            struck,
            trail: Trail::read(&world.disk).ok(),
            dead_letters: world.disk.names(&format!("{STATE}/dead-letter/collector")).len() / 2,
            removed: world.disk.removed().keys().filter(|path| path.starts_with(format!("{STATE}/journal"))).count(),
        }
    })
}

/// The agent is started again whenever it has died.
async fn story(world: &mut World) {
    world.fars[0].1.set_limits(0, Some("/* row 9 */"));
    for round in 0..8 {
        for ms in [200, 500, 700, 1900] {
            world.start().await;
            for source in 0..2 {
                world.server.write(source, 2);
            }
            world.wake();
            world.pass(ms).await;
        }
        match round {
            1 | 4 => drop(world.server.rotate(0, true)),
            2 | 3 | 6 => world.disk.plan_next("append", &format!("{STATE}/journal"), Fault::TornThenCrash),
            5 => world.stop().await,
            _ => {}
        }
    }
    world.stop().await;
    world.start().await;
    world.pass(400).await;
    world.stop().await;
}
