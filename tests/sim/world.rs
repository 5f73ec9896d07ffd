//! Everything there is in a schedule: a host, a database, destinations, and an agent that may be running.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sealtrail::config::plan::Plan;
use sealtrail::host::Host;
use sealtrail_seal::Signer;

use crate::agent::{self, Agent, ORIGIN, STATE, TURNS_MAX, Tuning};
use crate::check::{self, Wrong};
use crate::clock::SimClock;
use crate::disk::{Dead, SimDisk};
use crate::far::{Far, Mood};
use crate::server::Server;

/// The agent has this long, when all is well, to read, seal and deliver everything.
const PATIENCE_MS: u64 = 120_000;

pub struct World {
    pub clock: Arc<SimClock>,
    pub disk: SimDisk,
    pub server: Server,
    pub fars: Vec<(String, Far)>,
    host: Host,
    plan: Arc<Plan>,
    tuning: Tuning,
    agent: Option<Agent>,
    /// Turns that the agent has before something else happens.
    turns: usize,
    /// How often an agent was started.
    pub life: u64,
    /// What happened so far, where somebody wants to read it.
    log: Option<Vec<String>>,
    /// The kinds of events that came about.
    pub covered: BTreeSet<&'static str>,
    /// What was found wrong before the end.
    wrong: Wrong,
}

impl World {
    /// A host with a database that writes, `fars` as destinations, and no agent yet.
    pub fn new(seed: u64, sources: usize, tuning: &Tuning, keeps_log: bool) -> Self {
        fastrand::seed(seed);
        let mut seeds = fastrand::Rng::with_seed(seed);
        let clock = Arc::new(SimClock::default());
        let disk = SimDisk::new(Arc::clone(&clock), seeds.u64(..));
        disk.mkdir("/var", 1);
        disk.mkdir("/backup", 1);
        let server = Server::new(&disk, &clock, seeds.u64(..), sources);
        let fars = vec![
            ("collector".to_owned(), Far::new(&disk, seeds.u64(..), true)),
            ("archive".to_owned(), Far::new(&disk, seeds.u64(..), false)),
        ];
        let plan = Arc::new(agent::plan(&server, &fars, tuning));
        let host = Host { disk: Arc::new(disk.clone()), clock: Arc::clone(&clock) as _ };
        let log = keeps_log.then(Vec::new);
        World {
            clock,
            disk,
            server,
            fars,
            host,
            plan,
            tuning: tuning.clone(),
            agent: None,
            turns: tuning.turns,
            life: 0,
            log,
            covered: BTreeSet::new(),
            wrong: Wrong::new(),
        }
    }

    /// Puts a key in place, so that nothing depends on the kernel's random source.
    pub fn give_key(&self, seed: u64) {
        self.disk.mkdir(STATE, 1);
        self.disk.mkdir(&format!("{STATE}/keys"), 1);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let text = Signer::from_seed(ORIGIN, bytes).unwrap().to_secret_text();
        self.disk.put(&format!("{STATE}/keys/signing.key"), format!("{text}\n").as_bytes(), 0o600);
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let line = format!("{:>8} ms  {}", self.clock.elapsed_ms(), what());
            eprintln!("{line}");
            log.push(line);
        }
    }

    pub fn cover(&mut self, kind: &'static str) {
        self.covered.insert(kind);
    }

    /// What happened, in order.
    pub fn log(&self) -> &[String] {
        self.log.as_deref().unwrap_or_default()
    }

    /// Starts the agent, if none runs. It may not come up; that is no fault as long as it does when all is well.
    pub async fn start(&mut self) {
        if self.agent.is_some() {
            return;
        }
        self.bury().await;
        if self.disk.dead() == Some(Dead::PowerCut) {
            self.clock.boot();
        }
        self.disk.restart();
        self.wrong.extend(check::damaged_cursors(&self.disk));
        self.life += 1;
        let started = Agent::start(&self.host, &self.plan, &self.fars, self.tuning.unpack_bytes);
        self.say(|| format!("agent started: {:?}", started.as_ref().err()));
        match started {
            Ok(agent) => self.agent = Some(agent),
            Err(_) => self.crash().await,
        }
    }

    /// The agent's process is gone.
    pub async fn crash(&mut self) {
        self.disk.crash();
        self.bury().await;
    }

    /// The host's power goes.
    pub async fn cut_power(&mut self) {
        self.disk.cut_power();
        self.bury().await;
    }

    /// What is left of a dead agent does nothing any more; its tasks end when the runtime gets to them.
    async fn bury(&mut self) {
        self.agent = None;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    /// The agent is told to stop, and ends well.
    pub async fn stop(&mut self) {
        let Some(agent) = self.agent.take() else { return };
        match agent.finish(false) {
            Ok(stopping) => stopping.stop().await,
            Err(_) => self.crash().await,
        }
    }

    /// The agent is told that something happened to names, if it runs.
    pub fn wake(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.wake();
        }
    }

    /// Time passes, then the agent turns.
    pub async fn pass(&mut self, ms: u64) {
        self.clock.advance(ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.turn().await;
    }

    /// The agent turns until it has read what there is, or its turns are over, and its couriers run until they have to wait.
    pub async fn turn(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        let turned = agent.turn(self.turns);
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        if turned.is_err() || self.disk.dead().is_some() {
            self.say(|| format!("agent died: {turned:?}"));
            for (call, fault, what) in self.disk.happened() {
                self.say(|| format!("  call {call}, {what}: {fault:?}"));
            }
            self.crash().await;
        }
    }

    /// Everything is well for long enough that all that is there is read and sealed.
    pub async fn settle(&mut self) {
        self.recover().await;
        for _ in 0..4 {
            self.pass(400).await;
        }
        self.wake();
        for _ in 0..4 {
            self.pass(1100).await;
        }
        assert!(self.agent.is_some(), "the agent does not stay up although all is well: {:#?}", self.log());
        self.server.settled(self.life);
        self.turns = self.tuning.turns;
        self.say(|| "settled".to_owned());
    }

    /// Takes all faults away and has the agent run.
    async fn recover(&mut self) {
        self.turns = TURNS_MAX;
        self.disk.forget_faults();
        self.disk.set_capacity(u64::MAX);
        self.server.make_readable();
        for (_, far) in &self.fars {
            far.set_mood(Mood::Well);
        }
        self.start().await;
    }

    /// The server is quiet, all faults are over, everything is read, sealed and delivered, the agent is stopped. Then all is looked at.
    pub async fn end(&mut self) -> Wrong {
        self.server.come_to_rest();
        self.recover().await;
        let Some(agent) = &mut self.agent else {
            return vec!["the agent does not start although all is well".to_owned()];
        };
        agent.wake();
        // Long enough for files that were renamed away or deleted to be over, and twice for the folders to be looked at.
        for ms in [500, 1000, 2000, 4000, 8000, 8000] {
            self.pass(ms).await;
        }
        let Some(agent) = self.agent.take() else { return vec!["the agent died although all is well".to_owned()] };
        let problems = agent.problems();
        self.say(|| format!("standing problems: {problems:?}"));
        let stopping = match agent.finish(true) {
            Ok(stopping) => stopping,
            Err(error) => return vec![format!("the agent cannot finish: {error}")],
        };
        let mut waited = 0;
        while !stopping.delivered() {
            if waited > PATIENCE_MS {
                return vec![format!("not everything is delivered; standing problems: {problems:?}")];
            }
            waited += 500;
            self.clock.advance(500);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        stopping.stop().await;
        let mut wrong = std::mem::take(&mut self.wrong);
        wrong.extend(check::check(&self.disk, &self.server, &self.fars));
        wrong
    }
}
