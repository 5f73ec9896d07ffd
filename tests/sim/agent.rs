//! The whole agent core and its delivery on a simulated host: started, turned, killed and stopped as a schedule says.
//!
//! All on one thread: a turn of the core is a call, couriers run while the schedule lets time pass.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use sealtrail::config::plan::*;
use sealtrail::core::{Core, Parts};
use sealtrail::health::Health;
use sealtrail::host::Host;
use sealtrail::redact::Redact;
use sealtrail::run::open_trail;
use sealtrail::shape::Classify;
use sealtrail::ship::{self, OpenSink, Pace, Ship};
use sealtrail::sink::Sink;
use sealtrail::tail::watch::{Wake, Watch};
use tokio::sync::watch;

use crate::far::Far;
use crate::server::Server;

pub const STATE: &str = "/var/sealtrail";
pub const ORIGIN: &str = "acme/sim/db";
/// Where the agent's own kind of folder destination is.
pub const FOLDER: &str = "/backup/trail";

/// Turns until the core has nothing more to read, at most: more means that it turns for nothing.
pub const TURNS_MAX: usize = 2000;

/// What a schedule's agent is configured to do.
#[derive(Debug, Clone)]
pub struct Tuning {
    pub interval_ms: u64,
    pub heartbeat_ms: u64,
    pub segment_max_bytes: u64,
    pub segment_max_age_ms: u64,
    pub journal_max_bytes: u64,
    /// How often the folders are looked at without being told.
    pub poll_ms: u64,
    /// Bytes of archives that a turn unpacks.
    pub unpack_bytes: usize,
    /// Turns that the agent gets before something else happens; [`TURNS_MAX`]: as many as it wants.
    pub turns: usize,
    /// How long a batch of lines waits for more.
    pub batch_max_age_ms: u64,
}

/// A running agent.
pub struct Agent {
    core: Core,
    ship: Ship,
    health: Arc<Health>,
    end: watch::Sender<bool>,
}

/// Why an agent is no more; a person would read it in the log.
pub type Died = String;

impl Agent {
    /// Starts as the product does. Within a runtime.
    pub fn start(host: &Host, plan: &Arc<Plan>, fars: &[(String, Far)], unpack_bytes: usize) -> Result<Self, Died> {
        let mut started = open_trail(host, plan, false, Watch::off()).map_err(|error| said(&error))?;
        started.tail.archives.set_share(unpack_bytes);
        let health = Arc::new(Health::new(plan, host.clock.unix_ms()));
        let (head, head_seen) = watch::channel(started.writer.head());
        let (end, ended) = watch::channel(false);
        let (fars, real) = (fars.to_vec(), ship::real_sinks(host));
        let open_sink: OpenSink =
            Arc::new(move |destination, agent| match fars.iter().find(|(name, _)| *name == destination.name) {
                Some((_, far)) => Ok(Box::new(far.clone()) as Box<dyn Sink>),
                None => real(destination, agent),
            });
        let pace = Pace {
            first: Duration::from_millis(50),
            most: Duration::from_secs(2),
            stopped: Duration::from_secs(2),
            retry_after_max: Duration::from_secs(600),
            grace: Duration::from_millis(100),
            letters: Duration::from_secs(3600),
        };
        let ship = ship::start_with(plan, host, head_seen, ended, Arc::clone(&health), None, pace, &open_sink);
        let parts = Parts {
            host: host.clone(),
            plan: Arc::clone(plan),
            journal_dir: PathBuf::from(STATE).join("journal"),
            tail: started.tail,
            writer: started.writer,
            sessions: started.sessions,
            literals_key: started.literals_key,
            health: Arc::clone(&health),
            head,
            // Nobody waits here: the schedule wakes the core itself.
            wakes: sync_channel(1).1,
            said: sync_channel(1).1,
            stop: Arc::new(AtomicBool::new(false)),
        };
        Ok(Agent { core: Core::new(parts, started.acts), ship, health, end })
    }

    /// Something happened in a folder, and the kernel says so.
    pub fn wake(&mut self) {
        self.core.woken(Wake::Names);
    }

    /// Turns until there is nothing more to read, or so many times.
    pub fn turn(&mut self, most: usize) -> Result<(), Died> {
        for _ in 0..most {
            if !self.core.turn().map_err(|error| said(&error))? {
                return Ok(());
            }
        }
        if most < TURNS_MAX {
            return Ok(());
        }
        panic!("the core turned {TURNS_MAX} times and wants to go on");
    }

    /// What stands in the way of a destination, for a person.
    pub fn problems(&self) -> Vec<String> {
        let sources = self.health.sources.iter().filter_map(|source| source.problem.get());
        sources.chain(self.health.destinations.iter().filter_map(|destination| destination.problem.get())).collect()
    }

    /// Seals what is read, and closes the segment if told so; the couriers go on.
    pub fn finish(self, closes: bool) -> Result<Stopping, Died> {
        let Agent { core, ship, end, .. } = self;
        core.finish("the schedule is over", closes).map_err(|error| said(&error))?;
        Ok(Stopping { ship, end })
    }
}

/// An agent that reads no more and delivers what it has.
pub struct Stopping {
    ship: Ship,
    end: watch::Sender<bool>,
}

impl Stopping {
    pub fn delivered(&self) -> bool {
        self.ship.delivered()
    }

    pub async fn stop(self) {
        self.end.send_replace(true);
        self.ship.stopped().await;
    }
}

fn said(error: &dyn std::error::Error) -> Died {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// The configuration.
pub fn plan(server: &Server, fars: &[(String, Far)], tuning: &Tuning) -> Plan {
    let sources = server.sources.iter().map(|source| SourcePlan {
        name: source.name.clone(),
        paths: source.globs.clone(),
        exclude: Vec::new(),
        format: None,
        prefix: None,
        inside: None,
        start_at: StartAt::Beginning,
        timezone: None,
        // Short, so that silence comes and goes in every schedule.
        quiet_after: QuietAfter::Duration(Duration::from_secs(2)),
        labels: Default::default(),
    });
    // What the far ones are does not matter: the schedule gives their sinks. The folder is the agent's own.
    let names = fars.iter().map(|(name, _)| name.as_str()).chain(["folder"]);
    let folder = || DestinationKind::File(FilePlan { path: PathBuf::from(FOLDER) });
    let batch_max_age = Duration::from_millis(tuning.batch_max_age_ms);
    let choice = Choice { batch_max_age, ..Choice::default() };
    let destinations =
        names.map(|name| DestinationPlan { choice: choice.clone(), ..DestinationPlan::new(name, folder()) });
    Plan {
        identity: None,
        agent: AgentPlan {
            name: "db".to_owned(),
            origin: ORIGIN.to_owned(),
            state_dir: PathBuf::from(STATE),
            journal_max_bytes: tuning.journal_max_bytes,
            record_max_bytes: 1 << 20,
            poll_interval: Duration::from_millis(tuning.poll_ms),
        },
        sources: sources.collect(),
        classify: Classify::default(),
        redact: Redact::default(),
        seal: SealPlan {
            interval: Duration::from_millis(tuning.interval_ms),
            heartbeat: Duration::from_millis(tuning.heartbeat_ms),
            segment_max_bytes: tuning.segment_max_bytes,
            segment_max_age: Duration::from_millis(tuning.segment_max_age_ms),
        },
        destinations: destinations.collect(),
        health: HealthPlan { listen: None, status_socket: PathBuf::from(STATE).join("status.sock") },
        sha256: "0".repeat(64),
    }
}
