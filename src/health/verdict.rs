//! Alive, ready, or why not: the two questions that an orchestrator asks, answered from the counters alone.
//!
//! *Alive* is about the process: a dead one helps nobody and is best restarted. *Ready* is about the job: what keeps rows from
//! being sealed or delivered needs a person, and a restart would change nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Health;
use super::metrics::destination_lag_ms;

/// At rest the core thread turns at least every ten seconds (`limits::RESCAN_MS`). After this long without a turn it hangs.
pub const TURN_AGE_MAX_MS: u64 = 30_000;

/// Why the process should be restarted; `None` while it is alive.
///
/// Recovery reads the last segment before the core thread's first turn, so the start counts as a turn.
pub fn dead(health: &Health, now_ms: u64) -> Option<String> {
    let age_ms = turn_age_ms(health, now_ms);
    (age_ms > TURN_AGE_MAX_MS)
        .then(|| format!("the core thread has not turned for {} s (limit {} s)", age_ms / 1000, TURN_AGE_MAX_MS / 1000))
}

/// What keeps the agent from its job, one sentence each; empty when it is ready.
pub fn unready(health: &Health, now_ms: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if read(&health.journal.last_turn_ms) == 0 {
        reasons.push("starting: the core thread has not begun yet".to_owned());
    }
    reasons.extend(dead(health, now_ms));
    reasons.extend(journal_reasons(health));
    reasons.extend(
        health.sources.iter().filter_map(|source| Some(format!("source {}: {}", source.name, source.problem.get()?))),
    );
    reasons.extend(destination_reasons(health));
    reasons.extend(late(health, now_ms));
    let directory = health.identity.as_ref().and_then(|identity| identity.problem.get());
    reasons.extend(directory.map(|problem| format!("identity: {problem}")));
    reasons
}

/// Milliseconds since the core thread's last turn, or since the start before its first.
pub fn turn_age_ms(health: &Health, now_ms: u64) -> u64 {
    now_ms.saturating_sub(read(&health.journal.last_turn_ms).max(health.started_ms))
}

fn journal_reasons(health: &Health) -> Option<String> {
    let journal = &health.journal;
    match (journal.problem.get(), journal.paused.load(Ordering::Relaxed)) {
        (Some(problem), _) => Some(format!("journal: {problem}")),
        (None, true) => Some("journal: reading is paused until there is room".to_owned()),
        (None, false) => None,
    }
}

fn destination_reasons(health: &Health) -> impl Iterator<Item = String> {
    let stopped = health.destinations.iter().filter(|one| one.required && one.stopped.load(Ordering::Relaxed));
    stopped.map(|one| {
        let problem = one.problem.get().unwrap_or_else(|| "stopped".to_owned());
        format!("destination {}: {problem}", one.name)
    })
}

/// Destinations that have been behind for too long, required or not.
fn late(health: &Health, now_ms: u64) -> impl Iterator<Item = String> {
    health.destinations.iter().filter_map(move |one| {
        let lag_ms = destination_lag_ms(one, health, now_ms);
        let late = one.lag_max_ms > 0 && lag_ms > one.lag_max_ms && !one.stopped.load(Ordering::Relaxed);
        late.then(|| {
            let (lag, max) = (lag_ms / 1000, one.lag_max_ms / 1000);
            format!(
                "destination {}: has taken nothing for {lag} s while lines wait, more than its lag_max of {max} s",
                one.name
            )
        })
    })
}

fn read(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::super::{DestinationHealth, JournalHealth, SourceHealth, WatchHealth};
    use super::*;

    const START: u64 = 1_000_000;

    #[test]
    fn the_start_counts_as_the_first_turn() {
        let health = health();
        assert_eq!(dead(&health, START + TURN_AGE_MAX_MS), None);
        assert!(dead(&health, START + TURN_AGE_MAX_MS + 1).is_some());
        assert_eq!(unready(&health, START), ["starting: the core thread has not begun yet"]);
    }

    #[test]
    fn a_core_thread_that_hangs_is_dead() {
        let health = turning();
        assert_eq!(dead(&health, START + 40_000), None);
        let reason = dead(&health, START + 45_000).expect("dead");
        assert_eq!(reason, "the core thread has not turned for 35 s (limit 30 s)");
    }

    #[test]
    fn a_clock_that_was_turned_back_kills_nobody() {
        assert_eq!(dead(&turning(), 0), None);
    }

    #[test]
    fn a_stopped_destination_matters_only_if_it_is_required() {
        let health = turning();
        health.destinations[1].stopped.store(true, Ordering::Relaxed);
        assert!(unready(&health, START + 10_000).is_empty());
        health.destinations[0].stopped.store(true, Ordering::Relaxed);
        health.destinations[0].problem.set(Some("403 from the bucket".to_owned()));
        assert_eq!(unready(&health, START + 10_000), ["destination archive: 403 from the bucket"]);
    }

    #[test]
    fn a_destination_that_is_behind_for_too_long_is_said_whether_it_is_required_or_not() {
        let mut health = turning();
        health.destinations[1].lag_max_ms = 5_000;
        health.journal.lines.store(10, Ordering::Relaxed);
        assert!(unready(&health, START + 5_000).is_empty());
        let [reason] = &unready(&health, START + 9_000)[..] else { panic!("not one reason") };
        assert!(reason.contains("has taken nothing for 9 s while lines wait"), "{reason}");
        health.destinations[1].next_line.store(10, Ordering::Relaxed);
        assert!(unready(&health, START + 9_000).is_empty());
    }

    #[test]
    fn a_destination_that_tries_again_does_not_make_the_agent_unready() {
        let health = turning();
        health.destinations[0].problem.set(Some("connection refused".to_owned()));
        assert!(unready(&health, START + 10_000).is_empty());
    }

    #[test]
    fn what_stops_reading_is_said() {
        let health = turning();
        health.journal.paused.store(true, Ordering::Relaxed);
        health.sources[0].problem.set(Some("permission denied".to_owned()));
        let expected = ["journal: reading is paused until there is room", "source orders: permission denied"];
        assert_eq!(unready(&health, START + 10_000), expected);
    }

    fn turning() -> Health {
        let health = health();
        health.journal.last_turn_ms.store(START + 10_000, Ordering::Relaxed);
        health
    }

    fn health() -> Health {
        let destination =
            |name: &str, required| DestinationHealth { name: name.to_owned(), required, ..Default::default() };
        Health {
            name: "db-1".to_owned(),
            origin: "acme/prod/db-1".to_owned(),
            started_ms: START,
            sources: vec![SourceHealth { name: "orders".to_owned(), ..Default::default() }],
            destinations: vec![destination("archive", true), destination("siem", false)],
            watch: WatchHealth::default(),
            journal: JournalHealth::default(),
            identity: None,
        }
    }
}
