//! What the agent has of the host that it runs on: a disk and clocks. Handed to whoever needs them, so that the tests can run the same
//! code on a host of their own, where time passes and disks fail as they say.

use std::sync::Arc;

use crate::clock::{Clock, HostClock};
use crate::disk::{Disk, RealDisk};

/// A disk and clocks.
#[derive(Debug, Clone)]
pub struct Host {
    /// Source files, journal, keys and cursors.
    pub disk: Arc<dyn Disk>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Host {
    /// This one.
    pub fn this() -> Self {
        Host { disk: Arc::new(RealDisk), clock: Arc::new(HostClock) }
    }
}
