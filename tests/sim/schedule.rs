//! One schedule: what happens, in which order, drawn from a seed.

use fastrand::Rng;
use rustix::io::Errno;

use crate::agent::{TURNS_MAX, Tuning};
use crate::check::{self, Wrong};
use crate::disk::Fault;
use crate::far::Mood;
use crate::world::World;

/// Everything that can happen, and how often.
const KINDS: &[(Kind, &str, u32)] = &[
    (Kind::Write, "rows written", 40),
    (Kind::Rotate, "renamed, reopened at once", 4),
    (Kind::RotateSlowly, "renamed, reopened later", 4),
    (Kind::RotateInARow, "renamed several times in a row", 2),
    (Kind::DeleteOld, "old file deleted", 3),
    (Kind::Recreate, "deleted and recreated", 2),
    (Kind::DeleteUnderServer, "deleted, and written on into", 2),
    (Kind::ReuseInodes, "inode numbers reused", 2),
    (Kind::CopyTruncate, "copytruncate", 4),
    (Kind::TruncateShorter, "truncated in place", 3),
    (Kind::TruncateLonger, "truncated in place, at once longer", 3),
    (Kind::Pack, "compressed after rotation", 4),
    (Kind::Move, "moved between watched folders", 2),
    (Kind::HardLink, "hard link", 2),
    (Kind::Symlink, "symbolic link moved", 2),
    (Kind::LateFile, "file appears late, dated back", 2),
    (Kind::Unreadable, "unreadable for a while", 2),
    (Kind::Stale, "handles gone stale", 2),
    (Kind::ClockJump, "wall clock turned", 1),
    (Kind::Crash, "agent killed", 4),
    (Kind::PowerCut, "power cut", 3),
    (Kind::CallFails, "a durable call fails", 3),
    (Kind::CallFull, "a durable call finds no room", 3),
    (Kind::CallTorn, "torn, then killed", 3),
    (Kind::CallCrash, "killed right after a durable call", 3),
    (Kind::CallPowerCut, "power cut right after a durable call", 3),
    (Kind::DiskFull, "disk full", 3),
    (Kind::DiskFreed, "disk freed", 3),
    (Kind::Mood, "destination's mood changes", 6),
    (Kind::Limits, "destination refuses lines", 2),
    (Kind::Settle, "all well for a while", 3),
    (Kind::Quiet, "a long quiet time", 2),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Rotate,
    RotateSlowly,
    RotateInARow,
    DeleteOld,
    Recreate,
    DeleteUnderServer,
    ReuseInodes,
    CopyTruncate,
    TruncateShorter,
    TruncateLonger,
    Pack,
    Move,
    HardLink,
    Symlink,
    LateFile,
    Unreadable,
    Stale,
    ClockJump,
    Crash,
    PowerCut,
    CallFails,
    CallFull,
    CallTorn,
    CallCrash,
    CallPowerCut,
    DiskFull,
    DiskFreed,
    Mood,
    Limits,
    Settle,
    Quiet,
}

/// What a schedule came to.
pub struct Outcome {
    pub wrong: Wrong,
    pub covered: Vec<&'static str>,
    pub log: Vec<String>,
    pub rows: usize,
    /// The trail's lines, where a log was kept.
    pub trail: Vec<u8>,
}

/// The names of all kinds.
pub fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|(_, name, _)| *name).collect()
}

/// What happens at one step, and how long after the one before the next comes. It does the same whatever else is left out.
#[derive(Debug, Clone)]
struct Step {
    kind: Kind,
    name: &'static str,
    source: usize,
    /// What is left to chance in it.
    seed: u64,
    /// The agent is started, if it does not run.
    starts: bool,
    /// The kernel tells the agent of it.
    wakes: bool,
    ms: u64,
}

/// Runs the schedule of a seed.
pub fn run(seed: u64, keeps_log: bool) -> Outcome {
    let script = Script::new(seed);
    script.run(keeps_log)
}

/// The shortest part of the schedule of a seed that still goes wrong in the same way, its events told.
pub fn shrink(seed: u64) -> Outcome {
    let mut script = Script::new(seed);
    let wanted = script.failure();
    let mut size = script.steps.len() / 2;
    while wanted.is_some() && size > 0 {
        let mut at = 0;
        while at < script.steps.len() {
            let mut less = script.clone();
            less.steps.drain(at..(at + size).min(less.steps.len()));
            match less.failure() == wanted {
                true => script = less,
                false => at += size,
            }
        }
        size /= 2;
    }
    script.run(true)
}

/// A schedule before it is run.
#[derive(Debug, Clone)]
struct Script {
    seed: u64,
    tuning: Tuning,
    sources: usize,
    steps: Vec<Step>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let segment_max_bytes = rng.choice([4096, 8192, 65_536]).unwrap();
        let tuning = Tuning {
            interval_ms: rng.choice([100, 300, 1000]).unwrap(),
            heartbeat_ms: rng.choice([2000, 20_000]).unwrap(),
            segment_max_bytes,
            segment_max_age_ms: rng.choice([3000, 60_000]).unwrap(),
            // No less is accepted.
            journal_max_bytes: rng.choice([4 * segment_max_bytes, 1 << 30]).unwrap(),
            poll_ms: rng.choice([1000, 10_000]).unwrap(),
            unpack_bytes: rng.choice([500, 2000, 1 << 20]).unwrap(),
            turns: rng.choice([2, 5, TURNS_MAX]).unwrap(),
            batch_max_age_ms: [0, 700, 4000][(seed % 3) as usize],
        };
        let sources = rng.usize(1..=2);
        // Not everything in every schedule: what is rare beside everything else comes about by itself.
        let kinds: Vec<(Kind, &str, u32)> =
            KINDS.iter().filter(|(kind, ..)| always(*kind) || rng.bool()).copied().collect();
        let steps = (0..rng.usize(10..60)).map(|_| Step::new(&kinds, sources, &mut rng)).collect();
        Script { seed, tuning, sources, steps }
    }

    fn run(&self, keeps_log: bool) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(Schedule::new(self, keeps_log).run(&self.steps))
    }

    /// How it goes wrong, without numbers.
    fn failure(&self) -> Option<String> {
        let ran = std::panic::catch_unwind(|| self.run(false).wrong);
        let wrong = ran.unwrap_or_else(|_| vec!["panicked".to_owned()]);
        let first = wrong.first()?;
        Some(first.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect())
    }
}

impl Step {
    fn new(kinds: &[(Kind, &'static str, u32)], sources: usize, rng: &mut Rng) -> Self {
        let (kind, name) = draw(kinds, rng);
        let ms = match rng.u8(0..20) {
            0..8 => rng.u64(1..60),
            8..16 => rng.u64(60..600),
            _ => rng.u64(600..2500),
        };
        Step {
            kind,
            name,
            source: rng.usize(0..sources),
            seed: rng.u64(..),
            starts: rng.u8(0..3) == 0,
            wakes: rng.u8(0..6) > 0,
            ms,
        }
    }
}

fn draw(kinds: &[(Kind, &'static str, u32)], rng: &mut Rng) -> (Kind, &'static str) {
    let total: u32 = kinds.iter().map(|(_, _, weight)| weight).sum();
    let mut drawn = rng.u32(0..total);
    for (kind, name, weight) in kinds {
        match drawn.checked_sub(*weight) {
            Some(rest) => drawn = rest,
            None => return (*kind, name),
        }
    }
    (Kind::Write, "rows written")
}

/// A schedule that is run.
struct Schedule {
    world: World,
    /// Since when each source's server should have opened a new file.
    reopen_since: Vec<Option<u64>>,
    keeps_log: bool,
}

impl Schedule {
    fn new(script: &Script, keeps_log: bool) -> Self {
        let world = World::new(script.seed, script.sources, &script.tuning, keeps_log);
        world.give_key(script.seed);
        Schedule { world, reopen_since: vec![None; script.sources], keeps_log }
    }

    async fn run(mut self, steps: &[Step]) -> Outcome {
        for step in steps {
            self.step(step).await;
        }
        let wrong = self.world.end().await;
        Outcome {
            wrong,
            covered: self.world.covered.iter().copied().collect(),
            log: self.world.log().to_vec(),
            rows: self.world.server.rows.len(),
            trail: if self.keeps_log { check::lines(&self.world.disk) } else { Vec::new() },
        }
    }

    async fn step(&mut self, step: &Step) {
        // What happens to names while the agent looks has happened by now, and the kernel tells of it.
        if self.world.disk.gather() {
            self.world.cover("names changed between two calls");
            self.world.wake();
        }
        if step.starts {
            self.world.start().await;
        }
        let mut rng = Rng::with_seed(step.seed);
        if self.happen(step, &mut rng).await {
            self.world.say(|| format!("source {}: {}", step.source, step.name));
            self.world.cover(step.name);
        }
        match step.wakes {
            true => self.world.wake(),
            false => self.world.cover("lost wake-up"),
        }
        self.reopen(&mut rng);
        self.world.pass(step.ms).await;
    }

    /// Lets it happen; false where it could not.
    async fn happen(&mut self, step: &Step, rng: &mut Rng) -> bool {
        let (world, source) = (&mut self.world, step.source);
        let server = &mut world.server;
        server.rng = rng.fork();
        match step.kind {
            Kind::Write => server.write(source, rng.usize(1..6)),
            Kind::Rotate => return server.rotate(source, true),
            Kind::RotateSlowly => {
                server.rotate(source, false);
                server.write(source, rng.usize(0..3));
            }
            Kind::RotateInARow => {
                for _ in 0..rng.usize(2..5) {
                    server.write(source, rng.usize(0..4));
                    server.rotate(source, true);
                }
            }
            Kind::DeleteOld => return server.delete_old(source),
            Kind::Recreate => return server.delete_and_recreate(source),
            Kind::DeleteUnderServer => return server.delete_under_server(source),
            Kind::ReuseInodes => world.disk.set_reuse(true),
            Kind::CopyTruncate => return server.copy_and_truncate(source, rng.usize(0..4)),
            Kind::TruncateShorter => return server.truncate(source, false),
            Kind::TruncateLonger => return server.truncate(source, true),
            Kind::Pack => return server.pack_on() || server.pack(source),
            Kind::Move => return server.move_old(source),
            Kind::HardLink => return server.hard_link(source),
            Kind::Symlink => return server.symlink(source),
            Kind::LateFile => return server.late_file(source, rng.usize(1..6)),
            Kind::Unreadable => return server.set_readable(source, rng.bool()),
            Kind::Stale => {
                world.disk.make_handles_stale();
                world.server.forget_handles();
            }
            Kind::ClockJump => world.clock.turn(rng.i64(-7_200_000..7_200_000)),
            Kind::Crash => world.crash().await,
            Kind::PowerCut => world.cut_power().await,
            Kind::CallFails => plan(world, rng, Fault::Fails(Errno::IO)),
            Kind::CallFull => plan(world, rng, Fault::Fails(Errno::NOSPC)),
            Kind::CallTorn => plan(world, rng, Fault::TornThenCrash),
            Kind::CallCrash => plan(world, rng, Fault::Crash),
            Kind::CallPowerCut => plan(world, rng, Fault::PowerCut),
            Kind::DiskFull => world.disk.set_capacity(world.disk.used() + rng.u64(0..2000)),
            Kind::DiskFreed => world.disk.set_capacity(u64::MAX),
            Kind::Mood => {
                let mood = rng.choice([Mood::Well, Mood::Fails, Mood::Refuses, Mood::Stalls, Mood::Late]).unwrap();
                let mood = rng.choice([mood, Mood::LosesAnswers, Mood::Moody]).unwrap();
                let (name, far) = rng.choice(&world.fars).unwrap();
                far.set_mood(mood);
                let said = format!("{name} is {mood:?}");
                world.say(|| said);
            }
            Kind::Limits => world.fars[0].1.set_limits(rng.u64(1..20), rng.bool().then_some("SELECT 1")),
            Kind::Settle => {
                self.reopen_all();
                self.world.settle().await;
            }
            Kind::Quiet => {
                match rng.bool() {
                    true => self.reopen_all(),
                    // What was renamed is let go of meanwhile, and written to afterwards.
                    false => self.world.server.reopen_deleted(),
                }
                self.world.pass(12_000).await;
                self.world.pass(12_000).await;
            }
        }
        true
    }

    /// A server that was not told to open a new file is told so before the agent may let go of the old one.
    fn reopen(&mut self, rng: &mut Rng) {
        let now = self.world.clock.elapsed_ms();
        for source in 0..self.reopen_since.len() {
            let since = &mut self.reopen_since[source];
            if !self.world.server.sources[source].reopens {
                *since = None;
                continue;
            }
            let since = *since.get_or_insert(now);
            // Some are told only when their old file has been let go of.
            let late = self.world.server.sources[source].name == "pg0";
            let (most, odds) = if late { (60_000, 40) } else { (3000, 4) };
            if now - since > most || rng.u8(0..odds) == 0 {
                self.world.server.reopen(source);
            }
        }
    }

    fn reopen_all(&mut self) {
        for source in 0..self.reopen_since.len() {
            self.world.server.reopen(source);
        }
    }
}

/// What every schedule has.
fn always(kind: Kind) -> bool {
    matches!(kind, Kind::Write | Kind::DiskFreed | Kind::Settle)
}

fn plan(world: &mut World, rng: &mut Rng, fault: Fault) {
    let call = world.disk.calls() + rng.u64(1..20);
    world.disk.plan(call, fault);
}
