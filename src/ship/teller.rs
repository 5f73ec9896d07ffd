//! How couriers put what a person should know into the trail: the core writes it, with the next block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::journal::write::Act;
use crate::limits::COURIERS_ACTS_MAX;

/// An act, and whether it is sealed.
#[derive(Debug)]
pub struct Said {
    /// What is to be said.
    pub act: Act,
    /// Set once it is in the journal, synced.
    pub sealed: Arc<AtomicBool>,
}

/// Tells acts to the core.
#[derive(Debug, Clone)]
pub struct Teller {
    said: SyncSender<Said>,
}

/// Told, and perhaps sealed by now.
#[derive(Debug)]
pub struct Told(Arc<AtomicBool>);

impl Told {
    /// It is in the journal.
    pub fn is_sealed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Teller {
    /// A teller, and where what it tells arrives.
    pub fn new() -> (Self, Receiver<Said>) {
        let (said, heard) = sync_channel(COURIERS_ACTS_MAX);
        (Teller { said }, heard)
    }

    /// `None` when the core has more to write than it can hear of: it has to be told later.
    pub fn tell(&self, act: Act) -> Option<Told> {
        let sealed = Arc::new(AtomicBool::new(false));
        self.said.try_send(Said { act, sealed: Arc::clone(&sealed) }).ok().map(|()| Told(sealed))
    }
}
