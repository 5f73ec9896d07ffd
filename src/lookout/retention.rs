//! How long a source's own files still cover what is not read yet.
//!
//! Learnt by looking on: how long past files stayed after their last write, and how much was written meanwhile, when they were deleted; how fast the
//! log grows; and which is the oldest file that is not read to its end. The estimate takes the shortest of the last lives, by time and by
//! volume, since servers delete by age, by number or by size, and nobody tells which. What has not been seen is `None` and never a guess.
//!
//! A file that is compressed counts as deleted: its copy is read as well, but for how long it stays is not looked at.

use std::collections::{BTreeMap, VecDeque};
use std::time::UNIX_EPOCH;

use crate::limits::{FILES_MAX, GROWTH_MS, GROWTH_SAMPLES_MAX, LIVES_MAX};
use crate::tail::identity::Inode;
use crate::tail::sight::{Sight, SightedFile};

/// What is known of one source's files.
#[derive(Debug, Default)]
pub struct Retention {
    files: BTreeMap<Inode, Last>,
    lives: VecDeque<Life>,
    growth: Growth,
}

/// A file as it was when it was last written to.
#[derive(Debug, Clone, Copy)]
struct Last {
    len: u64,
    modified_ms: u64,
    /// How much the source had written by then.
    written: u64,
}

/// From a file's last write to its end.
#[derive(Debug, Clone, Copy)]
struct Life {
    ms: u64,
    /// What the source wrote meanwhile.
    bytes: u64,
}

/// How fast the log grows.
#[derive(Debug, Default)]
struct Growth {
    /// Time and what was written by then, spread over the last minutes.
    samples: VecDeque<(u64, u64)>,
}

/// How far a source is covered. Times in milliseconds; `None`: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Last write to the oldest file that is not read to its end, by the wall clock; `None` too when there is none.
    pub unread_written_ms: Option<u64>,
    /// How long a file stayed after its last write, the shortest of the last ones.
    pub kept_ms: Option<u64>,
    /// How old the oldest file is that is there now.
    pub oldest_ms: Option<u64>,
    /// For how long the oldest unread file will still be there, at the present rate; `None` too when there is none.
    pub covered_ms: Option<u64>,
    /// Bytes a second, over the last minutes.
    pub growth: Option<u64>,
}

impl Retention {
    /// After a look at the folders. `written` is how much log there has been in this run, read or not; `deleted` are files that are no more.
    pub fn look(&mut self, sight: &Sight, deleted: &[Inode], written: u64, now_ms: u64, unix_ms: u64) -> Coverage {
        self.growth.note(now_ms, written);
        for file in &sight.files {
            self.note(file, written);
        }
        for inode in deleted {
            self.bury(inode, written, unix_ms);
        }
        self.coverage(sight, written, unix_ms)
    }

    fn note(&mut self, file: &SightedFile, written: u64) {
        let modified_ms = modified_ms(file);
        let last = self.files.entry(file.inode).or_insert(Last { len: file.len, modified_ms, written });
        if (last.len, last.modified_ms) != (file.len, modified_ms) {
            *last = Last { len: file.len, modified_ms, written };
        }
        while self.files.len() > FILES_MAX {
            let oldest = self.files.iter().min_by_key(|(_, last)| last.modified_ms).map(|(inode, _)| *inode);
            oldest.map(|inode| self.files.remove(&inode));
        }
    }

    fn bury(&mut self, inode: &Inode, written: u64, unix_ms: u64) {
        let Some(last) = self.files.remove(inode) else { return };
        if self.lives.len() >= LIVES_MAX {
            self.lives.pop_front();
        }
        let ms = unix_ms.saturating_sub(last.modified_ms);
        self.lives.push_back(Life { ms, bytes: written.saturating_sub(last.written) });
    }

    fn coverage(&self, sight: &Sight, written: u64, unix_ms: u64) -> Coverage {
        let kept_ms = self.lives.iter().map(|life| life.ms).min();
        let kept_bytes = self.lives.iter().map(|life| life.bytes).min();
        let growth = self.growth.rate();
        let unread = sight.files.iter().filter(|file| file.unread).min_by_key(|file| (file.modified, file.inode));
        let left_ms = unread.zip(kept_ms).map(|(file, kept)| (modified_ms(file) + kept).saturating_sub(unix_ms));
        let left_bytes = unread.zip(kept_bytes).map(|(file, kept)| {
            let since = self.files.get(&file.inode).map_or(written, |last| last.written);
            kept.saturating_sub(written.saturating_sub(since))
        });
        let by_volume_ms = left_bytes.zip(growth.filter(|rate| *rate > 0)).map(|(left, rate)| left * 1000 / rate);
        Coverage {
            unread_written_ms: unread.map(modified_ms),
            kept_ms,
            oldest_ms: sight.files.iter().map(modified_ms).min().map(|modified| unix_ms.saturating_sub(modified)),
            covered_ms: left_ms.map(|left| by_volume_ms.map_or(left, |by_volume| left.min(by_volume))),
            growth,
        }
    }
}

impl Growth {
    fn note(&mut self, now_ms: u64, written: u64) {
        let spread = GROWTH_MS / GROWTH_SAMPLES_MAX as u64;
        // The last sample moves along until the one before it is far enough behind.
        if self.samples.len() >= 2 && now_ms.saturating_sub(self.samples[self.samples.len() - 2].0) < spread {
            self.samples.pop_back();
        }
        self.samples.push_back((now_ms, written));
        if self.samples.len() > GROWTH_SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    fn rate(&self) -> Option<u64> {
        let ((from_ms, from), (to_ms, to)) = (self.samples.front()?, self.samples.back()?);
        let ms = to_ms.saturating_sub(*from_ms);
        (ms >= 1000).then(|| to.saturating_sub(*from).saturating_mul(1000) / ms)
    }
}

/// A file that was last written before 1970 was written in 1970.
fn modified_ms(file: &SightedFile) -> u64 {
    let since = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const START: u64 = 1_795_219_200_000;
    /// What a day's file holds.
    const DAILY: u64 = 86_400_000;

    fn file(number: u64, len: u64, modified_ms: u64, unread: bool) -> SightedFile {
        let modified = UNIX_EPOCH + Duration::from_millis(modified_ms);
        SightedFile { inode: Inode { dev: 1, ino: number }, len, modified, unread }
    }

    /// A server that begins a file each day and keeps each for seven days after its last write. `read_to`: the first day that is not read.
    fn week(retention: &mut Retention, hour: u64, read_to: u64) -> Coverage {
        let (now, today) = (hour * HOUR, hour / 24);
        let first = (hour.saturating_sub(7 * 24) / 24).min(today);
        let written = now / 1000 * (DAILY / 86_400);
        let one = |day: u64| {
            let end = now.min((day + 1) * DAY);
            file(day, (end - day * DAY) / 1000 * (DAILY / 86_400), START + end, day >= read_to)
        };
        let sight = Sight { files: (first..=today).map(one).collect(), ..Sight::default() };
        let deleted: Vec<Inode> = (0..first).map(|day| Inode { dev: 1, ino: day }).collect();
        retention.look(&sight, &deleted, written, now, START + now)
    }

    #[test]
    fn nothing_is_said_of_what_was_not_seen() {
        let mut retention = Retention::default();
        for hour in 0..48 {
            let coverage = week(&mut retention, hour, 1);
            assert_eq!((coverage.kept_ms, coverage.covered_ms), (None, None));
        }
        assert_eq!(retention.look(&Sight::default(), &[], 0, 0, START).oldest_ms, None);
    }

    #[test]
    fn seven_days_are_learnt_from_the_first_file_that_is_deleted() {
        let mut retention = Retention::default();
        for hour in 0..12 * 24 {
            week(&mut retention, hour, 100);
        }
        let read = week(&mut retention, 12 * 24 + 2, 100);
        assert_eq!(read.kept_ms, Some(7 * DAY));
        assert_eq!((read.covered_ms, read.unread_written_ms), (None, None), "nothing waits");
        assert_eq!(read.growth, Some(1000));

        // What was written last ten hours ago is unread.
        for hour in 12 * 24 + 3..12 * 24 + 10 {
            week(&mut retention, hour, 11);
        }
        let behind = week(&mut retention, 12 * 24 + 10, 11);
        assert_eq!(behind.unread_written_ms, Some(START + 12 * DAY));
        let covered = behind.covered_ms.unwrap();
        assert!((6 * DAY + 13 * HOUR..=6 * DAY + 14 * HOUR).contains(&covered), "{covered}");
    }

    #[test]
    fn a_log_that_grows_faster_is_covered_for_less() {
        let mut retention = Retention::default();
        for hour in 0..12 * 24 {
            week(&mut retention, hour, 100);
        }
        // Ten times the rate, with the same files.
        let (now, written) = (12 * DAY, 12 * DAILY);
        let sight = Sight { files: vec![file(11, DAILY, START + now, true)], ..Sight::default() };
        let mut covered = Vec::new();
        for minute in 0..20 {
            let (at, more) = (now + minute * 60_000, written + minute * 600_000);
            covered.push(retention.look(&sight, &[], more, at, START + at).covered_ms.unwrap());
        }
        let last = covered[19];
        assert!(last < DAY, "seven days' volume lasts for a tenth of that: {last}");
        assert!(covered.is_sorted_by(|a, b| a >= b), "{covered:?}");
    }

    #[test]
    fn what_is_overdue_is_covered_for_no_time() {
        let mut retention = Retention::default();
        for hour in 0..9 * 24 {
            week(&mut retention, hour, 100);
        }
        let old = Sight { files: vec![file(50, 10, START, true)], ..Sight::default() };
        let at = 9 * DAY;
        assert_eq!(retention.look(&old, &[], 9 * DAILY, at, START + at).covered_ms, Some(0));
    }

    #[test]
    fn files_are_remembered_up_to_a_bound() {
        let mut retention = Retention::default();
        for number in 0..FILES_MAX as u64 + 100 {
            let sight = Sight { files: vec![file(number, 10, START + number, false)], ..Sight::default() };
            retention.look(&sight, &[], 0, number, START);
        }
        assert_eq!(retention.files.len(), FILES_MAX);
        assert!(retention.growth.samples.len() <= GROWTH_SAMPLES_MAX);
        let all: Vec<Inode> = (0..FILES_MAX as u64 + 100).map(|ino| Inode { dev: 1, ino }).collect();
        retention.look(&Sight::default(), &all, 0, 5000, START);
        assert_eq!((retention.files.len(), retention.lives.len()), (0, LIVES_MAX));
    }
}
