//! Tells systemd how it goes: `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1` (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment every function here does nothing. A message that cannot be sent is not an error of the
//! agent's: systemd draws its own conclusion from the silence.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::http::stopped;
use super::{Health, verdict};
use crate::clock;

/// How often the status text is renewed when systemd asks for no watchdog.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// The agent reads and seals: units that wait for it may start.
pub fn ready() {
    send(&[NotifyState::Ready, NotifyState::Status("started")]);
}

/// The agent flushes and ends.
pub fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("flushing and sealing")]);
}

/// Feeds the watchdog at half its interval, for as long as the core thread is alive, and renews the status text.
///
/// Returns when `stop` turns true, or at once when nobody listens.
pub async fn watch(health: Arc<Health>, stop: watch::Receiver<bool>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let interval = sd_notify::watchdog_enabled().map_or(STATUS_INTERVAL, |limit| limit / 2);
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    let mut stopped = std::pin::pin!(stopped(stop));
    loop {
        tokio::select! {
            _ = ticks.tick() => beat(&health, clock::unix_ms()),
            () = &mut stopped => return,
        }
    }
}

fn beat(health: &Health, now_ms: u64) {
    if let Some(reason) = verdict::dead(health, now_ms) {
        return send(&[NotifyState::Status(&one_line(&reason))]);
    }
    send(&[NotifyState::Watchdog, NotifyState::Status(&one_line(&summary(health, now_ms)))]);
}

/// One sentence for `systemctl status`.
fn summary(health: &Health, now_ms: u64) -> String {
    let lines = health.journal.lines.load(Ordering::Relaxed);
    match verdict::unready(health, now_ms).first() {
        None => format!("{lines} lines sealed, all well"),
        Some(reason) => format!("{lines} lines sealed; {reason}"),
    }
}

/// A newline would begin another assignment of the protocol.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_text_stays_one_assignment() {
        assert_eq!(one_line("refused\nREADY=1"), "refused READY=1");
    }
}
