//! Clocks under the test's control: the wall clock may jump, the boot clock never goes back but at a power cut.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealtrail::clock::Clock;

/// When every schedule begins, by the wall clock.
const BEGIN_MS: i64 = 1_795_206_511_135;
/// How long the host has been up by then.
const UP_MS: u64 = 4_000_000;

/// A host's clocks.
#[derive(Debug, Default)]
pub struct SimClock {
    /// What truly passed since the schedule began.
    elapsed_ms: AtomicU64,
    /// How far the wall clock was turned.
    turned_ms: AtomicI64,
    /// When the host was booted, by `elapsed_ms`; of the first boot before it.
    booted_ms: AtomicU64,
    boots: AtomicU64,
}

impl SimClock {
    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.elapsed_ms.fetch_add(ms, Relaxed);
    }

    /// What truly passed since the schedule began.
    pub fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms.load(Relaxed)
    }

    /// Somebody sets the wall clock.
    pub fn turn(&self, by_ms: i64) {
        self.turned_ms.fetch_add(by_ms, Relaxed);
    }

    /// Whether anybody ever did.
    pub fn was_turned(&self) -> bool {
        self.turned_ms.load(Relaxed) != 0
    }

    /// The host starts anew.
    pub fn boot(&self) {
        self.advance(30_000);
        self.booted_ms.store(self.elapsed_ms(), Relaxed);
        self.boots.fetch_add(1, Relaxed);
    }

    /// The wall clock, as files are dated by.
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_ms())
    }
}

impl Clock for SimClock {
    fn unix_ms(&self) -> u64 {
        let wall = BEGIN_MS + self.elapsed_ms() as i64 + self.turned_ms.load(Relaxed);
        wall.max(0) as u64
    }

    fn since_boot_ms(&self) -> u64 {
        let up = self.elapsed_ms() - self.booted_ms.load(Relaxed);
        if self.boots.load(Relaxed) == 0 { up + UP_MS } else { up }
    }

    fn boot_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.boots.load(Relaxed))
    }

    fn state(&self) -> &'static str {
        "synchronised"
    }
}
