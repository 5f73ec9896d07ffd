//! Row numbers that are missing: told once every file of their source has been read to its end since they were missed.

use std::sync::atomic::Ordering;

use tracing::warn;

use super::Core;
use crate::limits::{SESSIONS_MAX, SETTLE_MS, SETTLE_UNREADABLE_MS};
use crate::sessions::Sessions;

impl Core {
    /// Tells of numbers that are missing for good: every file of their source has been read to its end since they were missed.
    pub(super) fn tell_missing(&mut self, now: u64) {
        for source in 0..self.plan.sources.len() {
            let Some(sessions) = self.intake.sessions_of(source) else { continue };
            let mut told = sessions.overdue();
            if self.caught_up[source] && sessions.waits_since_ms().is_some() {
                let patience = if self.tail.waits(source) { SETTLE_UNREADABLE_MS } else { SETTLE_MS };
                let looked = self.last_look_ms.and_then(|looked| looked.checked_sub(1));
                if let (Some(patient), Some(looked)) = (now.checked_sub(patience), looked) {
                    told.extend(sessions.settle(patient.min(looked)));
                }
            }
            told.into_iter().for_each(|told| self.say(told.into_act()));
            self.say_given_up(source);
        }
    }

    /// Nothing will come any more: what is missing now is missing.
    pub(super) fn tell_all_missing(&mut self) {
        for source in 0..self.plan.sources.len() {
            let told = self.intake.sessions_of(source).map(Sessions::finish).unwrap_or_default();
            told.into_iter().for_each(|told| self.say(told.into_act()));
        }
    }

    /// Says once in a run what the count of a source's rows cannot do.
    fn say_given_up(&mut self, source: usize) {
        let Some(sessions) = self.intake.sessions_of(source) else { return };
        let (given_up, open, health) = (sessions.given_up(), sessions.open(), &self.health.sources[source]);
        health.sessions.store(open, Ordering::Relaxed);
        let (said, name) = (&mut self.count_given_up[source], &health.name);
        if given_up.sessions > 0 && said.sessions == 0 {
            warn!(
                source = name,
                "more than {SESSIONS_MAX} sessions at a time: of those that are forgotten no missing row is told"
            );
        }
        if given_up.repeats > 0 && said.repeats == 0 {
            warn!(
                source = name,
                "row numbers of a session come twice, so that none can be missed: is it the log of one server?"
            );
        }
        *said = given_up;
    }

    /// Since when the first number that nobody was told of is missing.
    pub(super) fn missing_since_ms(&self) -> Option<u64> {
        self.intake.sessions().filter_map(Sessions::waits_since_ms).min()
    }
}
