//! A stretch of wire: passes a TCP connection on to what is behind it, as it is, and breaks it where a test says so.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::front::{Fault, kill9, kill9_at_answer};
use super::place::Place;

/// So many bytes of a connection get through before it breaks: more than a TLS client's first message, less than any batch of the suite.
const BROKEN_AFTER_BYTES: u64 = 400;

/// How long a slow wire takes before it passes anything on.
const SLOW: Duration = Duration::from_millis(300);

pub struct Wire {
    pub address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    /// What happens to every connection when none of `faults` does.
    state: Arc<Mutex<Option<Fault>>>,
    /// How many connections were made.
    pub connections: Arc<Mutex<usize>>,
    behind: SocketAddr,
    place: Place,
    task: Option<JoinHandle<()>>,
}

impl Wire {
    /// Listens on a free port of `ip`.
    pub async fn start(ip: IpAddr, behind: SocketAddr) -> Self {
        let place = Place::take(ip);
        let (faults, state, connections) = (Arc::default(), Arc::default(), Arc::default());
        let mut wire = Wire { address: place.address, faults, state, connections, behind, place, task: None };
        wire.serve();
        wire
    }

    pub fn fail(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// What happens to every connection that is made from now on; `None` when it is well.
    pub fn be(&self, state: Option<Fault>) {
        *self.state.lock().unwrap() = state;
    }

    /// Faults that no connection has met yet.
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    /// Nobody listens any more; open connections break.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again where it did.
    pub async fn up(&mut self) {
        self.serve();
    }

    fn serve(&mut self) {
        let listener = self.place.listen();
        let (faults, state) = (Arc::clone(&self.faults), Arc::clone(&self.state));
        let (counted, behind) = (Arc::clone(&self.connections), self.behind);
        self.task = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let fault = faults.lock().unwrap().pop_front().or(*state.lock().unwrap());
                connections.spawn(pass(stream, behind, fault));
            }
        }));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn pass(mut near: TcpStream, behind: SocketAddr, fault: Option<Fault>) {
    if matches!(fault, Some(Fault::StallBefore)) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    // Nobody behind: the connection ends at once.
    let Ok(mut far) = TcpStream::connect(behind).await else { return };
    match fault {
        None | Some(Fault::Nothing) => {
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
        Some(Fault::Slow) => {
            tokio::time::sleep(SLOW).await;
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
        Some(Fault::KillBeforeAnswer(pid)) => {
            pass_all(&mut near, &mut far).await;
            kill9(pid);
        }
        Some(Fault::KillAtAnswer(pid)) => {
            let _ = copy_bidirectional(&mut near, &mut far).await;
            kill9_at_answer(pid);
        }
        Some(Fault::Reset) => {
            let (mut reading, mut writing) = near.split();
            let (mut far_reading, mut far_writing) = far.split();
            let mut some = (&mut reading).take(BROKEN_AFTER_BYTES);
            tokio::select! {
                _ = copy(&mut some, &mut far_writing) => {}
                _ = copy(&mut far_reading, &mut writing) => {}
            }
            reset(near);
        }
        Some(Fault::ResetAfter) => {
            pass_all(&mut near, &mut far).await;
            reset(near);
        }
        Some(Fault::StallAfter) => {
            pass_all(&mut near, &mut far).await;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        Some(other) => panic!("a wire has no {other:?}"),
    }
}

/// Passes everything on, until the near side ends, and then the far side; that it has ended nobody is told.
async fn pass_all(near: &mut TcpStream, far: &mut TcpStream) {
    let (mut reading, mut writing) = near.split();
    let (mut far_reading, mut far_writing) = far.split();
    tokio::select! {
        _ = copy(&mut reading, &mut far_writing) => {}
        _ = copy(&mut far_reading, &mut writing) => return,
    }
    far_writing.shutdown().await.unwrap();
    let _ = far_reading.read_to_end(&mut Vec::new()).await;
}

/// As when a machine goes away: no end in good order.
#[allow(deprecated)] // With zero it waits for nothing.
fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}
