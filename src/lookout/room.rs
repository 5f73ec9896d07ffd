//! When to say that room for the journal is running out, and when that it is there again.
//!
//! What counts is what may not be deleted: what some required destination does not have yet. Segments that are merely kept to look
//! back go by themselves. The alarm comes when that is [`ALARM_PERCENT`] of the budget, when the file system of the state folder is nearly full,
//! and at the latest when reading pauses; it is over when nothing of this has stood for a while.

use super::ration::Ration;
use crate::disk::Space;
use crate::journal::write::Act;
use crate::limits::{ALARM_OVER_PERCENT, ALARM_PERCENT, CALM_MS, SPACE_BYTES_MIN};
use crate::words::{bytes, duration};

/// The alarm, and what has happened while it stood.
#[derive(Debug, Default)]
pub struct Room {
    since_ms: Option<u64>,
    told: bool,
    calm_since_ms: Option<u64>,
    paused_since_ms: Option<u64>,
    /// How long reading was paused since the alarm began, and how often.
    paused_ms: u64,
    pauses: u64,
    ration: Ration,
}

/// How much room there is.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Bytes of the journal that may not be deleted.
    pub undelivered: u64,
    /// Bytes that the journal may have.
    pub budget: u64,
    /// Of the state folder's file system, where that is known.
    pub space: Option<Space>,
    /// Reading waits for room.
    pub paused: bool,
}

impl Room {
    /// Whether the alarm stands.
    pub fn is_short(&self) -> bool {
        self.since_ms.is_some()
    }

    /// After each count of the journal.
    pub fn look(&mut self, now_ms: u64, measure: Measure) -> Option<Act> {
        self.count_pause(now_ms, measure.paused);
        if let Some(why) = measure.why_short() {
            self.calm_since_ms = None;
            return self.begin(now_ms, &why);
        }
        if !measure.is_calm() {
            self.calm_since_ms = None;
            return None;
        }
        let calm_since = *self.calm_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(calm_since) < CALM_MS { None } else { self.end(now_ms, measure) }
    }

    fn count_pause(&mut self, now_ms: u64, paused: bool) {
        match (self.paused_since_ms, paused) {
            (None, true) => self.paused_since_ms = Some(now_ms),
            (Some(since), false) => {
                self.paused_since_ms = None;
                self.paused_ms += now_ms.saturating_sub(since);
                self.pauses += 1;
            }
            _ => {}
        }
    }

    fn begin(&mut self, now_ms: u64, why: &str) -> Option<Act> {
        self.since_ms.get_or_insert(now_ms);
        if self.told || !self.ration.take(now_ms) {
            return None;
        }
        self.told = true;
        Some(Act::new("BUDGET", format!("{why}{}", self.ration.missed())).unknown())
    }

    fn end(&mut self, now_ms: u64, measure: Measure) -> Option<Act> {
        let since = self.since_ms.take()?;
        let (paused_ms, pauses) = (std::mem::take(&mut self.paused_ms), std::mem::take(&mut self.pauses));
        if !std::mem::take(&mut self.told) {
            self.ration.miss();
            return None;
        }
        let paused = match pauses {
            0 => "reading was never paused".to_owned(),
            1 => format!("reading was paused once, for {}", duration(paused_ms / 1000)),
            _ => format!("reading was paused {pauses} times, for {} together", duration(paused_ms / 1000)),
        };
        let (after, left) = (duration(now_ms.saturating_sub(since) / 1000), bytes(measure.undelivered));
        let message = format!("there is room again, after {after}: {left} are not delivered yet; {paused}");
        Some(Act::new("BUDGET", message))
    }
}

impl Measure {
    fn percent(&self) -> u64 {
        let percent = u128::from(self.undelivered) * 100 / u128::from(self.budget.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    fn why_short(&self) -> Option<String> {
        if self.percent() >= ALARM_PERCENT {
            let (held, budget) = (bytes(self.undelivered), bytes(self.budget));
            return Some(format!(
                "{held} of the journal's {budget} ({} %) wait for required destinations: when all of it does, reading pauses",
                self.percent()
            ));
        }
        if let Some(space) = self.space.filter(|space| space.free < low(*space)) {
            let (free, total) = (bytes(space.free), bytes(space.total));
            return Some(format!(
                "the disk of the state folder has {free} left, of {total}: when it is full, reading pauses"
            ));
        }
        self.paused.then(|| "reading is paused: the disk is full, or the journal's budget is used up".to_owned())
    }

    fn is_calm(&self) -> bool {
        let space = self.space.is_none_or(|space| space.free >= low(space).saturating_mul(2));
        self.percent() < ALARM_OVER_PERCENT && space && !self.paused
    }
}

/// A twentieth of a small file system, and a fixed amount of a large one.
fn low(space: Space) -> u64 {
    (space.total / 20).min(SPACE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{RATION_MS, TOLD_MAX};

    const GIB: u64 = 1 << 30;

    fn held(percent: u64) -> Measure {
        Measure { undelivered: percent * GIB, budget: 100 * GIB, space: None, paused: false }
    }

    fn said(room: &mut Room, now_ms: u64, measure: Measure) -> Option<String> {
        room.look(now_ms, measure).map(|act| format!("{} {}: {}", act.action, act.outcome, act.message))
    }

    #[test]
    fn the_alarm_comes_at_80_percent_and_goes_below_70() {
        let mut room = Room::default();
        assert_eq!(said(&mut room, 0, held(79)), None);
        let text = said(&mut room, 1000, held(81)).unwrap();
        assert!(
            text.starts_with("BUDGET unknown: 81.0 GiB of the journal's 100.0 GiB (81 %) wait for required"),
            "{text}"
        );
        assert_eq!((said(&mut room, 2000, held(99)), room.is_short()), (None, true));
        assert_eq!((said(&mut room, 90_000, held(75)), room.is_short()), (None, true));
        assert_eq!(said(&mut room, 100_000, held(69)), None);
        assert_eq!(said(&mut room, 100_000 + CALM_MS - 1, held(10)), None);
        let text = said(&mut room, 121_000, held(10)).unwrap();
        let over = "BUDGET success: there is room again, after 2m 0s: 10.0 GiB are not delivered yet; reading was never paused";
        assert_eq!((text.as_str(), room.is_short()), (over, false));
        assert!(said(&mut room, 130_000, held(80)).is_some());
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_told_whatever_the_budget_says() {
        let mut room = Room::default();
        let disk = |free, total| Measure { space: Some(Space { free, total }), ..held(1) };
        assert_eq!(said(&mut room, 0, disk(GIB, 100 * GIB)), None);
        let text = said(&mut room, 0, disk(200 << 20, 100 * GIB)).unwrap();
        assert!(text.contains("the disk of the state folder has 200.0 MiB left, of 100.0 GiB"), "{text}");
        assert_eq!(said(&mut room, 60_000, disk(300 << 20, 100 * GIB)), None);
        assert_eq!(said(&mut room, 90_000, disk(300 << 20, 100 * GIB)), None, "it hovers");
        assert_eq!(said(&mut room, 100_000, disk(600 << 20, 100 * GIB)), None);
        assert!(said(&mut room, 120_000, disk(600 << 20, 100 * GIB)).is_some());
        // A small disk is measured by itself.
        assert_eq!(said(&mut room, 130_000, disk(10 << 20, 100 << 20)), None);
        assert!(said(&mut room, 130_000, disk(4 << 20, 100 << 20)).is_some());
    }

    #[test]
    fn pauses_are_counted_and_told_when_it_is_over() {
        let mut room = Room::default();
        let paused = Measure { paused: true, ..held(1) };
        assert!(said(&mut room, 0, paused).unwrap().contains("reading is paused"));
        assert_eq!(said(&mut room, 30_000, held(1)), None);
        assert_eq!(said(&mut room, 31_000, paused), None);
        assert_eq!(said(&mut room, 36_000, held(1)), None);
        let text = said(&mut room, 50_000, held(1)).unwrap();
        assert!(text.ends_with("reading was paused 2 times, for 35s together"), "{text}");
    }

    #[test]
    fn room_that_comes_and_goes_does_not_flood_the_trail() {
        let mut room = Room::default();
        let mut lines = 0;
        for step in 0..10 * RATION_MS / 20_000 {
            let now = step * 20_000;
            lines += usize::from(said(&mut room, now, held(90)).is_some());
            lines += usize::from(said(&mut room, now + 5_000, held(10)).is_some());
            lines += usize::from(said(&mut room, now + 5_000 + CALM_MS, held(10)).is_some());
        }
        assert!(lines <= 2 * TOLD_MAX as usize * 11, "{lines}");
    }
}
