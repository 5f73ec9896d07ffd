//! What the agent has of the host that it runs on: a disk and clocks. Handed to whoever needs them, so that the tests can run the same
//! code on a host of their own, where time passes and disks fail as they say.

use std::net::IpAddr;
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

/// Whether a host, by name or address, with or without the brackets of an IPv6 address in a URL, is this one, so that nothing leaves it.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "::2", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
