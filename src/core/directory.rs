//! The directory of people: exchanged between two turns when its files have changed, or kept when they are wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Core;
use crate::identity::Directory;
use crate::identity::entry::Problem;
use crate::journal::write::Act;

/// Accounts without a rule that `status` names.
const TOP: usize = 10;

/// How often it is counted who has no rule.
const COUNT_MS: u64 = 1_000;

impl Core {
    /// Looks whether the files of rules have changed. All rows of a turn are of one directory.
    pub(super) fn reload_directory(&mut self, now: u64) {
        let Some(changed) = self.directory.as_mut().and_then(|watch| watch.look(now)) else { return };
        match changed {
            Ok(directory) => self.exchange_directory(directory),
            Err(problems) => self.refuse_directory(&problems),
        }
    }

    fn exchange_directory(&mut self, directory: Arc<Directory>) {
        let (Some(mapper), Some(health)) = (&mut self.intake.identity, &self.health.identity) else { return };
        let grants = match directory.grants.len() {
            0 => String::new(),
            grants => format!(" and {grants} grants"),
        };
        let message = format!(
            "the directory is {} now, with {} rules{grants}; it was {}",
            directory.version,
            directory.len(),
            mapper.directory().version
        );
        health.in_force(&directory);
        health.reloads.fetch_add(1, Ordering::Relaxed);
        health.problem.set(None);
        mapper.exchange(directory);
        self.say(Act::new("DIRECTORY CHANGED", message));
    }

    /// The last one that was right stays.
    fn refuse_directory(&mut self, problems: &[Problem]) {
        let (Some(mapper), Some(health)) = (&self.intake.identity, &self.health.identity) else { return };
        let more = match problems.len() {
            0 | 1 => String::new(),
            count => format!("; and {} more mistakes", count - 1),
        };
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let message = format!("{first}{more}; directory {} stays in force", mapper.directory().version);
        if health.problem.set(Some(message.clone())) {
            self.say(Act::new("DIRECTORY REFUSED", message).failed());
        }
    }

    /// Says in `status` and metrics who has no rule.
    pub(super) fn tell_unmapped(&mut self, now: u64) {
        if now.saturating_sub(self.unmapped_told_ms) < COUNT_MS {
            return;
        }
        let (Some(mapper), Some(health)) = (&mut self.intake.identity, &self.health.identity) else { return };
        self.unmapped_told_ms = now;
        let (unmapped, mapped) = mapper.counted();
        health.mapped.store(mapped, Ordering::Relaxed);
        if health.unmapped.swap(unmapped.rows(), Ordering::Relaxed) != unmapped.rows() {
            health.set_top(unmapped.top(TOP));
        }
    }
}
