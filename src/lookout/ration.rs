//! How often something may be told: what comes and goes all the time must not flood the trail.

use crate::limits::{RATION_MS, TOLD_MAX};

/// At most [`TOLD_MAX`] in [`RATION_MS`], and a count of what was not told.
#[derive(Debug, Default)]
pub struct Ration {
    since_ms: Option<u64>,
    told: u32,
    missed: u64,
}

impl Ration {
    /// Whether one more may be told at `now_ms`; counts it if so.
    pub fn take(&mut self, now_ms: u64) -> bool {
        if self.since_ms.is_none_or(|since| now_ms.saturating_sub(since) >= RATION_MS) {
            self.since_ms = Some(now_ms);
            self.told = 0;
        }
        let may = self.told < TOLD_MAX;
        self.told += u32::from(may);
        may
    }

    /// One came and went and was not told.
    pub fn miss(&mut self) {
        self.missed += 1;
    }

    /// How many were not told before this one, as the end of its message.
    pub fn missed(&mut self) -> String {
        match std::mem::take(&mut self.missed) {
            0 => String::new(),
            missed => format!("; before this it came and went {missed} times without being told"),
        }
    }
}
