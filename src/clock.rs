//! What time it is, by which clock, and how far that clock can be trusted.
//!
//! The wall clock dates lines; the boot clock, which nobody can set, stands beside it in every seal, so that a
//! wall clock that was turned shows.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The clocks of a host.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Milliseconds since 1970 by the wall clock; 0 if the clock stands before that.
    fn unix_ms(&self) -> u64;

    /// Milliseconds since the host was booted, suspended time included.
    fn since_boot_ms(&self) -> u64;

    /// The kernel's id of this boot, or an empty string where there is none.
    fn boot_id(&self) -> String;

    /// Whether the wall clock follows a time server: `synchronised` where that is known, else `unknown`.
    fn state(&self) -> &'static str;
}

/// The clocks of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostClock;

impl Clock for HostClock {
    fn unix_ms(&self) -> u64 {
        unix_ms()
    }

    fn since_boot_ms(&self) -> u64 {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let ms = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(ms)
    }

    fn boot_id(&self) -> String {
        // Without /proc there is no id; the seal then says so by leaving it empty.
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    }

    /// systemd-timesyncd's word. The kernel's own (`adjtimex`) cannot be had without unsafe code.
    fn state(&self) -> &'static str {
        if std::path::Path::new("/run/systemd/timesync/synchronized").exists() { "synchronised" } else { "unknown" }
    }
}

/// Milliseconds since 1970 by this host's wall clock; 0 if the clock stands before that.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since this host was booted, suspended time included.
pub fn since_boot_ms() -> u64 {
    HostClock.since_boot_ms()
}

/// The kernel's id of this boot.
pub fn boot_id() -> String {
    HostClock.boot_id()
}

/// Whether the wall clock follows a time server.
pub fn state() -> &'static str {
    HostClock.state()
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T20:28:31.135Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_z() {
        assert_eq!(rfc3339(1_795_206_511_135), "2026-11-20T20:28:31.135Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    }
}
