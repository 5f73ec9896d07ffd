//! How long a source is usually quiet, learnt from its own pauses.
//!
//! The habit is the longest pause of the last eight days, so that it holds every hour of the day and every day of the week. It is believed once
//! something came after a day of watching, so that the first night is in it, or after three days whatever came; and only if something came in
//! enough minutes. A source is silent when it is quiet for twice as long, and at least for a floor. A long outage counts as a pause too: for the
//! eight days after it the source may be quiet longer.
//!
//! Time is time watched: how much of it the agent could have noticed something.

use crate::limits::{HABIT_DAYS, HABIT_MINUTES_MIN, QUIET_MS_MIN};

const DAY_MS: u64 = 86_400_000;
const MINUTE_MS: u64 = 60_000;

/// What a source has shown of itself in this run.
#[derive(Debug, Default)]
pub struct Habit {
    /// The longest pause that ended on each of the last days.
    longest_ms: [u64; HABIT_DAYS],
    /// Number of the day that was written to last.
    day: u64,
    /// Minutes in which something came.
    minutes: u64,
    last_minute: Option<u64>,
    /// When something came last.
    learnt_ms: u64,
}

impl Habit {
    /// Something came after a pause.
    pub fn learn(&mut self, watched_ms: u64, pause_ms: u64) {
        self.turn_to(watched_ms / DAY_MS);
        let longest = &mut self.longest_ms[place(self.day)];
        *longest = pause_ms.max(*longest);
        self.learnt_ms = watched_ms;
        let minute = watched_ms / MINUTE_MS;
        self.minutes += u64::from(self.last_minute.replace(minute) != Some(minute));
    }

    /// The longest pause of the last days; `None` as long as too little was seen.
    pub fn longest_ms(&self, watched_ms: u64) -> Option<u64> {
        let seen = self.learnt_ms >= DAY_MS || watched_ms >= 3 * DAY_MS;
        (seen && self.minutes >= HABIT_MINUTES_MIN).then(|| self.longest_ms.iter().copied().max().unwrap_or(0))
    }

    /// After how long a pause the source is called silent.
    pub fn limit_ms(&self, watched_ms: u64) -> Option<u64> {
        self.longest_ms(watched_ms).map(|longest| longest.saturating_mul(2).max(QUIET_MS_MIN))
    }

    /// Days that went by without anything have no pause that ended on them.
    fn turn_to(&mut self, day: u64) {
        for passed in (self.day + 1..=day).rev().take(HABIT_DAYS) {
            self.longest_ms[place(passed)] = 0;
        }
        self.day = day;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "smaller than the number of days")]
fn place(day: u64) -> usize {
    (day % HABIT_DAYS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows every `pause_ms` from `from_ms` until `to_ms`.
    fn rows(habit: &mut Habit, from_ms: u64, to_ms: u64, pause_ms: u64) {
        let mut at = from_ms + pause_ms;
        while at <= to_ms {
            habit.learn(at, pause_ms);
            at += pause_ms;
        }
    }

    #[test]
    fn nothing_is_known_before_a_day_was_seen_or_of_a_source_that_hardly_speaks() {
        let mut habit = Habit::default();
        rows(&mut habit, 0, DAY_MS - MINUTE_MS, MINUTE_MS);
        assert_eq!(habit.limit_ms(3 * DAY_MS - 1), None);
        assert_eq!(habit.limit_ms(3 * DAY_MS), Some(QUIET_MS_MIN));
        habit.learn(DAY_MS, MINUTE_MS);
        assert_eq!(habit.limit_ms(DAY_MS), Some(QUIET_MS_MIN));

        let mut rare = Habit::default();
        rows(&mut rare, 0, 2 * DAY_MS, DAY_MS / 2);
        assert_eq!(rare.limit_ms(2 * DAY_MS), None);
    }

    #[test]
    fn the_longest_pause_counts_for_eight_days() {
        let mut habit = Habit::default();
        rows(&mut habit, 0, DAY_MS, MINUTE_MS);
        habit.learn(DAY_MS + 10 * 3_600_000, 10 * 3_600_000);
        assert_eq!(habit.limit_ms(DAY_MS + 11 * 3_600_000), Some(20 * 3_600_000));
        rows(&mut habit, DAY_MS + 10 * 3_600_000, 8 * DAY_MS + DAY_MS / 2, MINUTE_MS);
        assert_eq!(habit.limit_ms(8 * DAY_MS), Some(20 * 3_600_000));
        rows(&mut habit, 8 * DAY_MS + DAY_MS / 2, 9 * DAY_MS + DAY_MS / 2, MINUTE_MS);
        assert_eq!(habit.limit_ms(9 * DAY_MS), Some(QUIET_MS_MIN));
    }

    #[test]
    fn a_busy_source_without_a_pause_has_a_habit() {
        let mut habit = Habit::default();
        rows(&mut habit, 0, DAY_MS, 500);
        assert_eq!(habit.longest_ms(DAY_MS), Some(500));
        assert_eq!(habit.limit_ms(DAY_MS), Some(QUIET_MS_MIN));
    }
}
