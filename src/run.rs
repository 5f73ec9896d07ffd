//! The daemon: start, the threads, the end.
//!
//! All threads of the agent are started here. The calling thread runs the core; one thread runs the edge (destinations, signals,
//! health and status) on a tokio runtime of its own. They share counters, the published head, and nothing else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Resource;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::plan::Plan;
use crate::continuity::{self, ContinuityError, Past};
use crate::core::{Core, Parts, Sealed};
use crate::health::Health;
use crate::host::Host;
use crate::journal::Head;
use crate::journal::recover::{RecoverError, recover};
use crate::journal::write::{Act, WriteError, Writer};
use crate::keys::{self, KeysError};
use crate::limits::{STOP_MS, WAKES_MAX};
use crate::sessions::{self, Sessions};
use crate::ship::Teller;
use crate::tail::Tail;
use crate::tail::watch::{Wake, Watch};
use crate::{disk, durable, health, ship, status};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Told to stop, or drained with everything delivered.
    Done,
    /// Drained, but a required destination does not have everything.
    Undelivered,
}

/// Why the agent cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder cannot be made or opened.
    #[error("cannot use the state folder {path}")]
    State {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another agent runs with this state folder.
    #[error("another agent is running with the state folder {0}")]
    Locked(PathBuf),
    /// The signing key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The trail cannot be gone on with here.
    #[error(transparent)]
    Continuity(#[from] ContinuityError),
    /// The journal cannot be gone on from.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    Write(#[from] WriteError),
    /// The health address cannot be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// As configured.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread or the runtime cannot be had.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl RunError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            RunError::State { .. } => {
                "it has to be writable by the user that the agent runs as: see [agent] state_dir".to_owned()
            }
            RunError::Locked(_) => "stop the other one, or give this one a state_dir of its own".to_owned(),
            RunError::Keys(error) => error.hint(),
            RunError::Continuity(error) => error.hint(),
            RunError::Recover(error) => error.hint(),
            RunError::Write(_) => {
                "check the disk; nothing is lost: what was not sealed is read again at the next start".to_owned()
            }
            RunError::Listen { .. } => {
                "choose another address in [health] listen, or stop what uses this one".to_owned()
            }
            RunError::Thread(_) => "check the limits on processes and memory".to_owned(),
        }
    }
}

/// How to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    /// Until everything is read and delivered, and not until SIGTERM or SIGINT.
    pub drain: bool,
    /// Also on a state folder that is a copy of another agent's.
    pub adopt_state: bool,
}

/// Runs until it is told to stop, or has done what there was to do.
pub fn run(plan: Plan, How { drain, adopt_state }: How) -> Result<Ended, RunError> {
    let plan = Arc::new(plan);
    let host = Host::this();
    let _lock = lock(&host, &plan.agent.state_dir)?;
    if adopt_state {
        continuity::adopt(&host, &plan.agent)?;
    }
    raise_open_files();
    let (wake, wakes) = sync_channel(WAKES_MAX);
    let health = Arc::new(Health::new(&plan, host.clock.unix_ms()));
    let started = open_trail(&host, &plan, drain, Watch::new(wake.clone()))?;
    health.journal.continuity.set(started.problem);
    let (head, head_seen) = watch::channel(started.writer.head());
    let stop = Arc::new(AtomicBool::new(false));
    let (teller, said) = Teller::new();
    let edge = Edge::start(&host, &plan, head_seen, &health, Stopper { flag: Arc::clone(&stop), wake }, teller)?;
    let parts = Parts {
        host,
        plan: Arc::clone(&plan),
        journal_dir: plan.agent.state_dir.join("journal"),
        tail: started.tail,
        writer: started.writer,
        sessions: started.sessions,
        literals_key: started.literals_key,
        health: Arc::clone(&health),
        head: head.clone(),
        wakes,
        said,
        stop: Arc::clone(&stop),
    };
    let core = Core::new(parts, started.acts);
    let result = if drain { core.drain() } else { core.run() };
    let interrupted = stop.load(Ordering::Relaxed);
    let sealed = matches!(result, Ok(Sealed::All));
    let delivered = edge.finish(drain && sealed && !interrupted);
    drop(head);
    result?;
    Ok(if drain && !delivered { Ended::Undelivered } else { Ended::Done })
}

/// What the past left us.
pub struct Started {
    /// The source files, none of them open yet.
    pub tail: Tail,
    /// The journal, at its end.
    pub writer: Writer,
    /// The count of the rows that the journal has: one a source.
    pub sessions: Vec<Sessions>,
    /// For hashes of literals; `None` where none are made.
    pub literals_key: Option<crate::redact::hash::HashKey>,
    /// What is to be said first.
    pub acts: Vec<Act>,
    /// Why nobody can vouch that this is all of the trail that there was.
    pub problem: Option<String>,
}

/// Finds the truth in the state folder, or begins a trail. The caller holds the lock on the folder.
pub fn open_trail(host: &Host, plan: &Plan, drain: bool, watch: Watch) -> Result<Started, RunError> {
    let disk = host.disk.as_ref();
    let state = &plan.agent.state_dir;
    let journal = state.join("journal");
    let failed = |source| RunError::State { path: journal.clone(), source };
    durable::create_dir(disk, &journal).map_err(failed)?;
    let past = Past::look(host, &plan.agent)?;
    let signer = keys::load_or_create(disk, state, &plan.agent.origin)?;
    let literals_key = match plan.redact.policy.hashes() {
        true => Some(keys::literals_key(disk, state)?),
        false => None,
    };
    let mut recovered = recover(disk, &journal, &plan.agent.origin, signer.verifier())?;
    let continued = past.go_on(host, &mut recovered, signer.verifier())?;
    let mut acts = [continued.acts, recovered.acts].concat();
    info!(origin = plan.agent.origin, lines = recovered.resume.chain.lines(), key = %signer.verifier(), "trail opened");
    let sources: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
    let (sessions, anew) =
        sessions::saved::load(disk, state, &recovered.resume.chain, &sources, recovered.sealed_at, host.clock.as_ref());
    acts.push(started(plan, drain, anew));
    let writer = Writer::new(host.clone(), &journal, recovered.resume, signer, plan.sha256.clone()).map_err(failed)?;
    let writer = writer.anchored(continued.keeper);
    let tail =
        Tail::new(host, &plan.sources, recovered.files, recovered.spent, recovered.held, recovered.sealed_at, watch);
    Ok(Started { tail, writer, sessions, literals_key, acts, problem: continued.problem })
}

/// `anew`: why the count of rows does not go on.
fn started(plan: &Plan, drain: bool, anew: Option<String>) -> Act {
    let how = if drain { "drain" } else { "run" };
    let mut message = format!(
        "sealtrail {} {how}, sources: {}, destinations: {}",
        env!("CARGO_PKG_VERSION"),
        plan.sources.len(),
        plan.destinations.len()
    );
    if let Some(why) = anew {
        message.push_str(&format!(
            "; the count of rows by session begins anew ({why}): what went missing until now is not told"
        ));
    }
    Act::new("STARTED", message)
}

/// Held for as long as the file lives; the kernel lets go of it when the process ends, however it ends.
fn lock(host: &Host, state_dir: &Path) -> Result<File, RunError> {
    let path = state_dir.join("lock");
    let failed = |source| RunError::State { path: path.clone(), source };
    durable::create_dir(host.disk.as_ref(), state_dir).map_err(failed)?;
    let file = disk::open_lock(&path).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::Locked(state_dir.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// One open file a log: as many as the administrator allows.
fn raise_open_files() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit) {
        warn!(%error, "cannot raise the limit on open files");
    }
}

/// How the edge tells the core to stop.
struct Stopper {
    flag: Arc<AtomicBool>,
    wake: SyncSender<Wake>,
}

impl Stopper {
    fn stop(&self) {
        self.flag.store(true, Ordering::Relaxed);
        // A full channel wakes the core as well, and it looks at the flag every turn.
        let _ = self.wake.try_send(Wake::Stop);
    }
}

/// What the edge is told at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    GoOn,
    /// Deliver everything to the required destinations, then end.
    Deliver,
    /// End within the time that is left.
    End,
}

/// The thread with everything asynchronous.
struct Edge {
    thread: JoinHandle<bool>,
    order: watch::Sender<Order>,
}

impl Edge {
    fn start(
        host: &Host,
        plan: &Arc<Plan>,
        head: watch::Receiver<Head>,
        health: &Arc<Health>,
        stopper: Stopper,
        teller: Teller,
    ) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Thread)?;
        // Before the first row is read: from here on a signal means a clean end.
        let doors = runtime.block_on(open_doors(plan))?;
        let (order, orders) = watch::channel(Order::GoOn);
        let (host, plan, health) = (host.clone(), Arc::clone(plan), Arc::clone(health));
        let work = move || runtime.block_on(serve(host, plan, head, health, stopper, teller, doors, orders));
        let thread = std::thread::Builder::new().name("edge".to_owned()).spawn(work).map_err(RunError::Thread)?;
        Ok(Edge { thread, order })
    }

    /// Ends the edge; true when every required destination has everything.
    fn finish(self, deliver: bool) -> bool {
        self.order.send_replace(if deliver { Order::Deliver } else { Order::End });
        self.thread.join().unwrap_or(false)
    }
}

/// How the host reaches the agent: to ask how it is, and to stop it.
struct Doors {
    signals: io::Result<Signals>,
    health: Option<TcpListener>,
    status: UnixListener,
}

async fn open_doors(plan: &Plan) -> Result<Doors, RunError> {
    let failed = |address: String| move |source| RunError::Listen { address, source };
    let health = match plan.health.listen {
        Some(address) => Some(TcpListener::bind(address).await.map_err(failed(address.to_string()))?),
        None => None,
    };
    let socket = &plan.health.status_socket;
    let status = status::bind(socket).map_err(failed(socket.display().to_string()))?;
    Ok(Doors { signals: Signals::catch(), health, status })
}

/// Everything asynchronous, until it is ordered to end.
#[expect(clippy::too_many_arguments, reason = "each is another's, and all are needed at once")]
async fn serve(
    host: Host,
    plan: Arc<Plan>,
    head: watch::Receiver<Head>,
    health: Arc<Health>,
    stopper: Stopper,
    teller: Teller,
    doors: Doors,
    mut orders: watch::Receiver<Order>,
) -> bool {
    let (end, ended) = watch::channel(false);
    let ship = ship::start(&plan, &host, head, ended.clone(), Arc::clone(&health), teller);
    if let Some(listener) = doors.health {
        tokio::spawn(health::http::serve(listener, Arc::clone(&health), ended.clone()));
    }
    tokio::spawn(status::serve(doors.status, Arc::clone(&health), ended.clone()));
    tokio::spawn(health::notify::watch(Arc::clone(&health), ended.clone()));
    health::notify::ready();
    let stopper = Arc::new(stopper);
    match doors.signals {
        Ok(signals) => drop(tokio::spawn(signals.obey(Arc::clone(&stopper)))),
        Err(error) => {
            warn!(%error, "cannot catch signals: stopping the agent by signal loses nothing, but is not clean")
        }
    }
    // The sender lives in the core's thread until the join: this ends with an order.
    let _ = orders.wait_for(|order| *order != Order::GoOn).await;
    let deliver = *orders.borrow() == Order::Deliver;
    health::notify::stopping();
    let delivered = deliver && deliver_all(&host, &ship, &stopper, &health).await;
    end.send_replace(true);
    if tokio::time::timeout(Duration::from_millis(STOP_MS), ship.stopped()).await.is_err() {
        warn!("a destination did not stop in time: what it has not confirmed is sent again at the next start");
    }
    delivered
}

/// Waits until every required destination has everything, or until a signal says to stop waiting.
async fn deliver_all(host: &Host, ship: &ship::Ship, stopper: &Stopper, health: &Health) -> bool {
    let interrupted = async {
        while !stopper.flag.load(Ordering::Relaxed) {
            // The core has done its work; waiting for the far side is no hang.
            health.journal.last_turn_ms.store(host.clock.unix_ms(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        drained = ship.drained() => drained.inspect_err(|error| error!("{error}")).is_ok(),
        () = interrupted => false,
    }
}

/// SIGTERM and SIGINT stop; SIGHUP says that it does not reload yet.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn obey(mut self, stopper: Arc<Stopper>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => stopper.stop(),
                _ = self.interrupt.recv() => stopper.stop(),
                _ = self.hangup.recv() => info!("SIGHUP: the configuration is not reloaded in this release; restart the agent to change it (nothing is lost by that)"),
            }
        }
    }
}
