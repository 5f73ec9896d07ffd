//! Delivery: from the journal to every destination, each at its own speed.
//!
//! One courier a destination, one task a courier; they share the journal, which they only read, and nothing else. A destination that
//! is down or slow holds up no other, and never the sealing. What is guaranteed is in `docs/delivery.md`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::plan::{AgentPlan, DestinationPlan, Plan};
use crate::health::{DestinationHealth, Health};
use crate::host::Host;
use crate::journal::Head;
use crate::sink::{self, ProbeError, Probed, Refusal, Sink, Step};

mod choose;
mod courier;
pub(crate) mod cursor;
pub mod dead_letter;
mod feed;
mod letters;
mod pace;
mod teller;

pub use pace::Pace;
pub use teller::{Said, Teller};

use courier::{Courier, Desk, Stop};

/// After the word to stop, and the grace for a request on its way, a courier has this long to write its cursor.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Makes a destination's sink. Fails where a file that the plan points at cannot be used; connects to nothing.
pub type OpenSink = Arc<dyn Fn(&DestinationPlan, &AgentPlan) -> Result<Box<dyn Sink>, Refusal> + Send + Sync>;

/// The couriers at work. Dropped, they end at once; [`Ship::stopped`] lets them end well.
pub struct Ship {
    couriers: JoinSet<()>,
    health: Arc<Health>,
    head: watch::Receiver<Head>,
    moved: watch::Receiver<u64>,
    grace: Duration,
}

/// Required destinations that do not have everything and will not, until somebody acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not everything is delivered: {} refuse", destinations.join(", "))]
pub struct Undelivered {
    /// Their names.
    pub destinations: Vec<String>,
}

/// What a probe of one destination found.
#[derive(Debug)]
pub struct ProbeResult {
    /// The destination's name.
    pub destination: String,
    /// All is well as far as it can be seen without writing, or the step at which it is not.
    pub result: Result<Probed, ProbeError>,
}

/// Starts a courier for every destination of the plan; within a tokio runtime. They end when `stop` becomes true.
///
/// What they have to say goes to `teller`, for the trail. `health` must be made of the same plan. `head` must hold the recovered head already: a trail that has no lines yet is waited for.
pub fn start(
    plan: &Plan,
    host: &Host,
    head: watch::Receiver<Head>,
    stop: watch::Receiver<bool>,
    health: Arc<Health>,
    teller: Teller,
) -> Ship {
    start_with(plan, host, head, stop, health, Some(teller), Pace::default(), &real_sinks(host))
}

/// The sinks that the agent runs with.
pub fn real_sinks(host: &Host) -> OpenSink {
    let disk = Arc::clone(&host.disk);
    Arc::new(move |destination, agent| sink::open(destination, agent, &disk))
}

/// The same, with other waits and other sinks, and perhaps with nobody who writes a trail.
#[expect(clippy::too_many_arguments, reason = "each is another's: the plan's, the host's, the core's, a test's")]
pub fn start_with(
    plan: &Plan,
    host: &Host,
    head: watch::Receiver<Head>,
    stop: watch::Receiver<bool>,
    health: Arc<Health>,
    teller: Option<Teller>,
    pace: Pace,
    open_sink: &OpenSink,
) -> Ship {
    let (bell, moved) = watch::channel(0);
    let mut couriers = JoinSet::new();
    for (index, destination) in plan.destinations.iter().enumerate() {
        let stop = Stop { stop: stop.clone(), moved: bell.clone() };
        let desk = Desk::new(host, &plan.agent, index, destination, Arc::clone(&health), teller.clone(), stop, pace);
        let courier = Courier {
            host: host.clone(),
            open_sink: Arc::clone(open_sink),
            plan: destination.clone(),
            agent: plan.agent.clone(),
            head: head.clone(),
            desk,
        };
        couriers.spawn(courier.run());
    }
    Ship { couriers, health, head, moved, grace: pace.grace }
}

impl Ship {
    /// Whether every required destination has every line up to the head. An archive has a line only once its segment is closed.
    ///
    /// A line in the dead-letter folder counts as delivered here; `dead_letters` in the health says how many there are.
    pub fn delivered(&self) -> bool {
        let lines = self.head.borrow().lines;
        self.required().all(|destination| destination.next_line.load(Relaxed) >= lines)
    }

    /// Waits until [`Ship::delivered`], or until every required destination that is behind refuses for good. A destination
    /// that may pass (it is down) is waited for as long as the caller does.
    pub async fn drained(&self) -> Result<(), Undelivered> {
        let (mut moved, mut head) = (self.moved.clone(), self.head.clone());
        loop {
            moved.borrow_and_update();
            let lines = head.borrow_and_update().lines;
            let behind = || self.required().filter(|destination| destination.next_line.load(Relaxed) < lines);
            if behind().next().is_none() {
                return Ok(());
            }
            if behind().all(|destination| destination.stopped.load(Relaxed)) {
                return Err(Undelivered {
                    destinations: behind().map(|destination| destination.name.clone()).collect(),
                });
            }
            let closed = tokio::select! {
                changed = moved.changed() => changed.is_err(),
                Ok(()) = head.changed() => false,
            };
            if closed {
                return Err(Undelivered {
                    destinations: behind().map(|destination| destination.name.clone()).collect(),
                });
            }
        }
    }

    /// Call after `stop` was set to true: returns when all couriers have ended, within the grace and a second.
    pub async fn stopped(mut self) {
        let all = async { while self.couriers.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace + LAST_WORDS, all).await.is_err() {
            // A request is given up: what it carried is delivered again at the next start.
            self.couriers.shutdown().await;
        }
    }

    fn required(&self) -> impl Iterator<Item = &DestinationHealth> {
        self.health.destinations.iter().filter(|destination| destination.required)
    }
}

/// The line up to which every required destination has the trail: segments wholly below it may be deleted. `None` when no destination
/// is required. Counts only what is written to a cursor file, so it may be believed after a crash.
pub fn lowest_required_cursor(health: &Health) -> Option<u64> {
    let required = health.destinations.iter().filter(|destination| destination.required);
    required.map(|destination| destination.next_line.load(Relaxed)).min()
}

/// Tries every destination of the plan, without writing, one after the other.
pub async fn probe(plan: &Plan) -> Vec<ProbeResult> {
    let disk = Host::this().disk;
    let mut results = Vec::with_capacity(plan.destinations.len());
    for destination in &plan.destinations {
        let result = match sink::open(destination, &plan.agent, &disk) {
            Ok(sink) => sink.probe().await,
            Err(refusal) => Err(cannot_open(refusal)),
        };
        results.push(ProbeResult { destination: destination.name.clone(), result });
    }
    results
}

fn cannot_open(refusal: Refusal) -> ProbeError {
    let (why, hint) = match refusal {
        Refusal::Stop { why, hint } => (why, hint),
        Refusal::Later { why, .. } | Refusal::Split { why, .. } | Refusal::Partly { why, .. } => (why, String::new()),
    };
    ProbeError { step: Step::Configure, why, hint }
}
