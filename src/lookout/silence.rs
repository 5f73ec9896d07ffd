//! Which source is silent, and since when: nothing comes, nothing matches, a file cannot be read, the server writes elsewhere.
//!
//! Observations go in, acts for the trail come out; no clock, no disk. Every change is told once, and once more when it is over, with how
//! long it was; what stands at the start of a run is told at its first look. What comes and goes faster than a [`Ration`] is counted
//! instead. Nothing is remembered from one run to the next.
//!
//! The hard part is not to call silence what is none. Time counts only while the agent reads and turns: not while reading is paused, not
//! while the host sleeps. A rotation has a moment in which nothing matches or a file is not yet ours to read, so such a thing has to stand for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sealtrail_seal::Gap;

use super::habit::Habit;
use super::ration::Ration;
use crate::clock::rfc3339;
use crate::config::plan::{QuietAfter, SourcePlan};
use crate::journal::write::Act;
use crate::limits::{ELSEWHERE_AFTER_MS, ELSEWHERE_MS, STANDING_MS, UNREADABLE_FILES_MAX, WATCHED_STEP_MS_MAX};
use crate::tail::elsewhere::Elsewhere;
use crate::tail::identity::Inode;
use crate::tail::sight::{Sight, Unreadable};
use crate::words::{bytes, duration};

/// All sources.
#[derive(Debug)]
pub struct Silence {
    sources: Vec<Vigil>,
    /// How long something could have been noticed in this run.
    watched_ms: u64,
    /// The last turn.
    turned_ms: Option<u64>,
}

/// One source.
#[derive(Debug)]
struct Vigil {
    name: String,
    after: QuietAfter,
    habit: Habit,
    /// How much was read when it was last asked.
    bytes_read: u64,
    /// When something last came, in time watched; 0 is the start of the run.
    came_ms: u64,
    /// The same by the wall clock.
    came_unix_ms: u64,
    quiet: Alarm,
    missing: Alarm,
    unreadable: BTreeMap<Inode, Closed>,
    /// Where its server writes instead, perhaps.
    elsewhere: Option<Growing>,
    /// Why it is called quiet, while it is.
    why: String,
    looked: bool,
    begun: u64,
    ration: Ration,
}

/// Whether something stands, since when, and whether it was told.
#[derive(Debug, Clone, Copy, Default)]
struct Alarm {
    since_ms: Option<u64>,
    raised: bool,
    told: bool,
}

/// A file that cannot be read.
#[derive(Debug)]
struct Closed {
    alarm: Alarm,
    path: PathBuf,
    len: u64,
}

/// A file that nobody follows, and what has become of it while the source was quiet.
#[derive(Debug)]
struct Growing {
    path: PathBuf,
    first_len: u64,
    len: u64,
    since_ms: u64,
}

/// How a source stands, for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why it is called quiet.
    pub quiet: Option<String>,
    /// Nothing matches its patterns.
    pub missing: bool,
    /// Files that cannot be read, as far as they are counted.
    pub unreadable: u64,
    /// After how long it is called quiet; `None`: never, or its habit is not known yet.
    pub quiet_after_ms: Option<u64>,
    /// How often it fell silent in one way or another, in this run.
    pub silences: u64,
}

impl Silence {
    /// Of the plan's sources, at the start of a run.
    pub fn new(sources: &[SourcePlan], unix_ms: u64) -> Self {
        let sources = sources.iter().map(|plan| Vigil::new(plan, unix_ms));
        Silence { sources: sources.collect(), watched_ms: 0, turned_ms: None }
    }

    /// After each turn of the core. `reads`: what is there is read, not left because reading is paused.
    pub fn turn(&mut self, now_ms: u64, unix_ms: u64, reads: bool, bytes_read: impl Fn(usize) -> u64) -> Vec<Act> {
        let step = now_ms.saturating_sub(self.turned_ms.replace(now_ms).unwrap_or(now_ms));
        if reads {
            self.watched_ms += step.min(WATCHED_STEP_MS_MAX);
        }
        let watched_ms = self.watched_ms;
        let turned = |(index, vigil): (usize, &mut Vigil)| vigil.turn(now_ms, watched_ms, unix_ms, bytes_read(index));
        self.sources.iter_mut().enumerate().filter_map(turned).collect()
    }

    /// After each look at the folders: what it saw of one source.
    pub fn look(&mut self, now_ms: u64, source: usize, sight: &Sight) -> Vec<Act> {
        let vigil = &mut self.sources[source];
        vigil.watch_elsewhere(self.watched_ms, sight.elsewhere.as_ref());
        let mut acts: Vec<Act> = vigil.look_for_any(now_ms, sight.missing.as_deref()).into_iter().collect();
        vigil.look_at_closed(now_ms, sight, &mut acts);
        vigil.looked = true;
        acts
    }

    /// Whether the source has been quiet for so long that it is worth looking where its server writes.
    pub fn doubts(&self, source: usize) -> bool {
        let vigil = &self.sources[source];
        vigil.after != QuietAfter::Off && self.watched_ms - vigil.came_ms >= ELSEWHERE_AFTER_MS
    }

    /// How a source stands.
    pub fn report(&self, source: usize) -> Report {
        let vigil = &self.sources[source];
        Report {
            quiet: vigil.quiet.raised.then(|| vigil.why.clone()),
            missing: vigil.missing.since_ms.is_some(),
            unreadable: vigil.unreadable.len() as u64,
            quiet_after_ms: vigil.limit_ms(self.watched_ms),
            silences: vigil.begun,
        }
    }
}

impl Vigil {
    fn new(plan: &SourcePlan, unix_ms: u64) -> Self {
        Vigil {
            name: plan.name.clone(),
            after: plan.quiet_after,
            habit: Habit::default(),
            bytes_read: 0,
            came_ms: 0,
            came_unix_ms: unix_ms,
            quiet: Alarm::default(),
            missing: Alarm::default(),
            unreadable: BTreeMap::new(),
            elsewhere: None,
            why: String::new(),
            looked: false,
            begun: 0,
            ration: Ration::default(),
        }
    }

    fn turn(&mut self, now_ms: u64, watched_ms: u64, unix_ms: u64, bytes_read: u64) -> Option<Act> {
        if self.bytes_read != bytes_read {
            self.bytes_read = bytes_read;
            return self.came(now_ms, watched_ms, unix_ms);
        }
        if !self.quiet.raised {
            self.why = self.why_quiet(watched_ms)?;
            self.begin_quiet(now_ms);
        }
        self.tell_quiet(now_ms)
    }

    /// Something came.
    fn came(&mut self, now_ms: u64, watched_ms: u64, unix_ms: u64) -> Option<Act> {
        self.habit.learn(watched_ms, watched_ms - self.came_ms);
        let silent_s = unix_ms.saturating_sub(self.came_unix_ms) / 1000;
        (self.came_ms, self.came_unix_ms) = (watched_ms, unix_ms);
        self.elsewhere = None;
        let told = end(&mut self.quiet, &mut self.ration, now_ms)?;
        let message = format!("something comes again, after {} without", duration(silent_s.max(told / 1000)));
        Some(Act::new("SOURCE BACK", message).of_source(&self.name))
    }

    fn limit_ms(&self, watched_ms: u64) -> Option<u64> {
        match self.after {
            QuietAfter::Off => None,
            QuietAfter::Duration(duration) => u64::try_from(duration.as_millis()).ok(),
            QuietAfter::Habit => self.habit.limit_ms(watched_ms),
        }
    }

    fn why_quiet(&self, watched_ms: u64) -> Option<String> {
        if let Some(growing) = self.elsewhere.as_ref().filter(|it| it.is_proof(watched_ms)) {
            return Some(format!("its server goes on writing to {}", growing.path.display()));
        }
        let limit = self.limit_ms(watched_ms)?;
        if watched_ms - self.came_ms < limit {
            return None;
        }
        let limit = duration(limit / 1000);
        Some(match self.habit.longest_ms(watched_ms) {
            Some(longest) if self.after == QuietAfter::Habit => {
                let longest = duration(longest / 1000);
                format!("longer than {limit}; the longest pause of its last days was {longest}")
            }
            _ => format!("longer than quiet_after, {limit}"),
        })
    }

    fn begin_quiet(&mut self, now_ms: u64) {
        self.quiet = Alarm { since_ms: Some(now_ms), raised: true, told: false };
        self.begun += 1;
    }

    fn tell_quiet(&mut self, now_ms: u64) -> Option<Act> {
        if self.quiet.told || !self.ration.take(now_ms) {
            return None;
        }
        self.quiet.told = true;
        let missed = self.ration.missed();
        let message = format!("nothing has come since {}: {}{missed}", rfc3339(self.came_unix_ms), self.why);
        Some(Act::new("SOURCE QUIET", message).of_source(&self.name).unknown())
    }

    /// Follows what becomes of a file that the server may be writing to instead.
    fn watch_elsewhere(&mut self, watched_ms: u64, elsewhere: Option<&Elsewhere>) {
        let same = |growing: &Growing| elsewhere.is_some_and(|it| it.path == growing.path && it.len >= growing.len);
        self.elsewhere = match (self.elsewhere.take().filter(same), elsewhere) {
            (_, None) => None,
            (Some(growing), Some(it)) => Some(Growing { len: it.len, ..growing }),
            (None, Some(it)) => {
                Some(Growing { path: it.path.clone(), first_len: it.len, len: it.len, since_ms: watched_ms })
            }
        };
    }

    /// Whether any file is there.
    fn look_for_any(&mut self, now_ms: u64, missing: Option<&str>) -> Option<Act> {
        let Some(why) = missing else {
            let ms = end(&mut self.missing, &mut self.ration, now_ms)?;
            let message = format!("a file is there again, after {} without", duration(ms / 1000));
            return Some(Act::new("SOURCE BACK", message).of_source(&self.name));
        };
        if !stands(&mut self.missing, now_ms, self.looked, &mut self.begun) || !self.ration.take(now_ms) {
            return None;
        }
        self.missing.told = true;
        let message = format!("{why}{}", self.ration.missed());
        Some(Act::new("SOURCE MISSING", message).of_source(&self.name).failed())
    }

    /// Which files cannot be read.
    fn look_at_closed(&mut self, now_ms: u64, sight: &Sight, acts: &mut Vec<Act>) {
        let present: BTreeSet<Inode> = sight.files.iter().map(|file| file.inode).collect();
        let closed: BTreeSet<Inode> = sight.unreadable.iter().map(|file| file.inode).collect();
        let over: Vec<Inode> = self.unreadable.keys().filter(|inode| !closed.contains(inode)).copied().collect();
        for inode in over {
            let Some(mut file) = self.unreadable.remove(&inode) else { continue };
            let Some(ms) = end(&mut file.alarm, &mut self.ration, now_ms) else { continue };
            acts.push(self.opened_or_gone(&file, present.contains(&inode), ms));
        }
        for file in &sight.unreadable {
            acts.extend(self.look_at(now_ms, file));
        }
    }

    fn look_at(&mut self, now_ms: u64, file: &Unreadable) -> Option<Act> {
        if !self.unreadable.contains_key(&file.inode) && self.unreadable.len() >= UNREADABLE_FILES_MAX {
            return None;
        }
        let new = || Closed { alarm: Alarm::default(), path: PathBuf::new(), len: 0 };
        let known = self.unreadable.entry(file.inode).or_insert_with(new);
        known.path.clone_from(&file.path);
        known.len = file.len;
        if !stands(&mut known.alarm, now_ms, self.looked, &mut self.begun) || !self.ration.take(now_ms) {
            return None;
        }
        known.alarm.told = true;
        let (name, why, len, missed) = (&self.name, &file.why, bytes(file.len), self.ration.missed());
        let message = format!("a file of source {name} cannot be read: {why}; it is {len} long{missed}");
        Some(Act::new("SOURCE UNREADABLE", message).of_file(file.path.to_string_lossy()).failed())
    }

    /// A file that is no longer among those that cannot be read: it can be, or it went out of sight. Of one that went nobody knows whether
    /// what it held is anywhere else, so that counts as no gap.
    fn opened_or_gone(&self, file: &Closed, present: bool, ms: u64) -> Act {
        let (path, name, after) = (file.path.to_string_lossy(), &self.name, duration(ms / 1000));
        if present {
            let message = format!("a file of source {name} can be read again, after {after}");
            return Act::new("SOURCE BACK", message).of_file(path);
        }
        let message =
            format!("a file of source {name} went out of sight unread, after {after}: it was {} long", bytes(file.len));
        let gap = Gap { of: "bytes".to_owned(), source: name.clone(), to: Some(file.len), ..Gap::default() };
        Act::new("SOURCE UNREADABLE", message).of_file(path).failed().with_gap(gap)
    }
}

impl Growing {
    fn is_proof(&self, watched_ms: u64) -> bool {
        self.len > self.first_len && watched_ms - self.since_ms >= ELSEWHERE_MS
    }
}

/// Notes that something stands; whether it is to be told now. At the first look (`looked` is false) at once, later when it has stood for a while.
fn stands(alarm: &mut Alarm, now_ms: u64, looked: bool, begun: &mut u64) -> bool {
    let since = *alarm.since_ms.get_or_insert(now_ms);
    if !alarm.raised && (!looked || now_ms.saturating_sub(since) >= STANDING_MS) {
        alarm.raised = true;
        *begun += 1;
    }
    alarm.raised && !alarm.told
}

/// Notes that it is over; if it was told, how long it stood.
fn end(alarm: &mut Alarm, ration: &mut Ration, now_ms: u64) -> Option<u64> {
    let was = std::mem::take(alarm);
    if was.raised && !was.told {
        ration.miss();
    }
    was.told.then(|| now_ms.saturating_sub(was.since_ms.unwrap_or(now_ms)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::plan::StartAt;
    use crate::limits::{QUIET_MS_MIN, RATION_MS, TOLD_MAX};
    use crate::tail::sight::SightedFile;

    /// 2026-11-21, midnight.
    const START: u64 = 1_795_219_200_000;
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    /// One source under a clock that the test sets; the core turns every ten seconds.
    struct Watched {
        silence: Silence,
        now: u64,
        bytes: u64,
        reads: bool,
        sight: Sight,
    }

    impl Watched {
        fn new(quiet_after: QuietAfter) -> Self {
            let plan = SourcePlan {
                name: "pg".to_owned(),
                paths: Vec::new(),
                exclude: Vec::new(),
                format: None,
                prefix: None,
                inside: None,
                start_at: StartAt::Beginning,
                timezone: None,
                quiet_after,
                labels: BTreeMap::new(),
            };
            let sight = Sight { files: vec![sighted(1)], ..Sight::default() };
            Watched { silence: Silence::new(&[plan], START), now: 0, bytes: 0, reads: true, sight }
        }

        /// A look and a turn.
        fn turn(&mut self) -> Vec<String> {
            let mut acts = self.silence.look(self.now, 0, &self.sight);
            acts.extend(self.silence.turn(self.now, START + self.now, self.reads, |_| self.bytes));
            acts.iter().map(|act| format!("{} {} {}: {}", act.action, act.outcome, act.resource, act.message)).collect()
        }

        /// Time passes without a row.
        fn quiet(&mut self, ms: u64) -> Vec<String> {
            let end = self.now + ms;
            let mut said = Vec::new();
            while self.now < end {
                self.now = (self.now + 10 * SECOND).min(end);
                said.extend(self.turn());
            }
            said
        }

        /// A row now.
        fn row(&mut self) -> Vec<String> {
            self.bytes += 100;
            self.turn()
        }

        /// A row every `pause`, for so long.
        fn rows(&mut self, pause: u64, ms: u64) -> Vec<String> {
            let end = self.now + ms;
            let mut said = Vec::new();
            while self.now < end {
                said.extend(self.quiet(pause));
                said.extend(self.row());
            }
            said
        }
    }

    fn sighted(ino: u64) -> SightedFile {
        SightedFile { inode: Inode { dev: 1, ino }, len: 100, modified: UNIX_EPOCH, unread: false }
    }

    fn closed(ino: u64, path: &str) -> Unreadable {
        let why = "Permission denied (os error 13)".to_owned();
        Unreadable { inode: Inode { dev: 1, ino }, path: PathBuf::from(path), len: 2048, why }
    }

    fn after(ms: u64) -> QuietAfter {
        QuietAfter::Duration(Duration::from_millis(ms))
    }

    #[test]
    fn a_configured_time_is_told_once_and_once_when_it_is_over() {
        let mut pg = Watched::new(after(30 * MINUTE));
        assert_eq!(pg.rows(MINUTE, HOUR), [""; 0]);
        assert_eq!(pg.quiet(30 * MINUTE - 10 * SECOND), [""; 0]);
        let said = pg.quiet(2 * HOUR);
        let quiet =
            "SOURCE QUIET unknown pg: nothing has come since 2026-11-21T01:00:00.000Z: longer than quiet_after, 30m 0s";
        assert_eq!(said, [quiet]);
        assert!(pg.silence.report(0).quiet.is_some());
        assert_eq!(pg.row(), ["SOURCE BACK success pg: something comes again, after 2h 29m without"]);
        assert_eq!((pg.silence.report(0).quiet, pg.silence.report(0).silences), (None, 1));
    }

    #[test]
    fn a_source_that_was_silent_before_the_start_is_told_of_too_and_off_is_off() {
        let mut pg = Watched::new(after(MINUTE));
        assert_eq!(pg.quiet(HOUR).len(), 1);
        let mut off = Watched::new(QuietAfter::Off);
        assert_eq!(off.quiet(30 * DAY), [""; 0]);
        assert_eq!(off.silence.report(0).quiet_after_ms, None);
    }

    #[test]
    fn the_habit_is_learnt_and_nights_are_no_silence() {
        let mut pg = Watched::new(QuietAfter::Habit);
        // Three days of rows every five minutes, but for ten hours each night.
        for _ in 0..3 {
            assert_eq!(pg.rows(5 * MINUTE, 14 * HOUR), [""; 0]);
            assert_eq!(pg.quiet(10 * HOUR), [""; 0]);
        }
        pg.row();
        assert_eq!(pg.silence.report(0).quiet_after_ms, Some(2 * (10 * HOUR + 5 * MINUTE)));
        let said = pg.quiet(DAY);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].ends_with("longer than 20h 10m; the longest pause of its last days was 10h 5m"), "{said:?}");
    }

    #[test]
    fn a_busy_source_is_silent_after_the_floor_and_nothing_is_known_on_the_first_days() {
        let mut pg = Watched::new(QuietAfter::Habit);
        assert_eq!(pg.rows(10 * SECOND, HOUR), [""; 0]);
        assert_eq!(pg.quiet(3 * DAY - 2 * HOUR), [""; 0], "too little was seen");
        assert_eq!(pg.quiet(2 * HOUR).len(), 1);
        let mut busy = Watched::new(QuietAfter::Habit);
        busy.rows(10 * SECOND, DAY + MINUTE);
        assert_eq!(busy.quiet(QUIET_MS_MIN - 10 * SECOND), [""; 0]);
        assert_eq!(busy.quiet(10 * SECOND).len(), 1);
    }

    #[test]
    fn time_in_which_nothing_could_come_is_no_silence() {
        let mut pg = Watched::new(after(10 * MINUTE));
        pg.rows(MINUTE, 10 * MINUTE);
        pg.reads = false;
        assert_eq!(pg.quiet(DAY), [""; 0], "reading was paused");
        pg.reads = true;
        pg.now += DAY;
        assert_eq!(pg.turn(), [""; 0], "the host slept");
        assert_eq!(pg.quiet(10 * MINUTE).len(), 1);
    }

    #[test]
    fn what_comes_and_goes_does_not_flood_the_trail() {
        let mut pg = Watched::new(after(MINUTE));
        let said = pg.rows(2 * MINUTE, 10 * HOUR);
        let hours = (10 * HOUR / RATION_MS) as usize;
        assert!(said.len() <= 2 * TOLD_MAX as usize * (hours + 1), "{} lines", said.len());
        let missed = said.iter().filter(|line| line.contains("without being told")).count();
        assert!((hours - 1..=hours).contains(&missed), "{missed} of {} lines", said.len());
        assert_eq!(pg.silence.report(0).silences, 300);
        let ends = said.iter().filter(|line| line.starts_with("SOURCE BACK")).count();
        assert_eq!(ends * 2, said.len(), "each has its end");
    }

    #[test]
    fn a_glob_that_matches_nothing_is_told_at_the_first_look_and_once() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.sight = Sight { missing: Some("no file matches /log/*.csv".to_owned()), ..Sight::default() };
        assert_eq!(pg.turn(), ["SOURCE MISSING failure pg: no file matches /log/*.csv"]);
        assert_eq!(pg.quiet(HOUR), [""; 0]);
        pg.sight = Sight { files: vec![sighted(1)], ..Sight::default() };
        assert_eq!(pg.turn(), ["SOURCE BACK success pg: a file is there again, after 1h 0m without"]);
    }

    #[test]
    fn a_moment_of_rotation_is_not_told() {
        let mut pg = Watched::new(QuietAfter::Habit);
        assert_eq!(pg.turn(), [""; 0]);
        pg.now += 500;
        let missing = || Sight { missing: Some("no file matches".to_owned()), ..Sight::default() };
        pg.sight = missing();
        assert_eq!(pg.turn(), [""; 0]);
        pg.now += 500;
        pg.sight = Sight { files: vec![sighted(2)], ..Sight::default() };
        assert_eq!(pg.turn(), [""; 0]);
        assert_eq!(pg.silence.report(0).silences, 0);
        pg.sight = missing();
        assert_eq!(pg.quiet(10 * SECOND), [""; 0]);
        assert_eq!(pg.quiet(10 * SECOND).len(), 1, "it stands");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_by_its_name_and_is_back_when_it_can() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.turn();
        pg.sight.files.push(sighted(2));
        pg.sight.unreadable = vec![closed(2, "/log/b.csv")];
        let said = pg.quiet(HOUR);
        let why = "a file of source pg cannot be read: Permission denied (os error 13); it is 2.0 KiB long";
        assert_eq!(said, [format!("SOURCE UNREADABLE failure /log/b.csv: {why}")]);
        assert_eq!(pg.silence.report(0).unreadable, 1);

        // Renamed, it is the same file; another one is another.
        pg.sight.unreadable = vec![closed(2, "/log/b.csv.1"), closed(3, "/log/c.csv")];
        assert_eq!(pg.quiet(HOUR).len(), 1);
        pg.sight.unreadable = vec![closed(3, "/log/c.csv")];
        let said = pg.turn();
        assert_eq!(said, ["SOURCE BACK success /log/b.csv.1: a file of source pg can be read again, after 1h 59m"]);
    }

    #[test]
    fn an_unreadable_file_that_went_out_of_sight_is_no_file_that_can_be_read_again() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.sight.unreadable = vec![closed(7, "/log/b.csv")];
        assert_eq!(pg.turn().len(), 1, "at the start it is told at once");
        pg.sight.unreadable.clear();
        pg.now += MINUTE;
        let acts = pg.silence.look(pg.now, 0, &pg.sight);
        let gap = acts[0].gap.as_ref().unwrap();
        assert_eq!(
            (acts[0].action, acts[0].outcome, gap.from, gap.to),
            ("SOURCE UNREADABLE", "failure", 0, Some(2048))
        );
        assert!(acts[0].message.contains("went out of sight unread, after 1m 0s"), "{}", acts[0].message);
    }

    #[test]
    fn many_unreadable_files_are_told_up_to_a_bound() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.sight.unreadable = (0..1000).map(|ino| closed(ino, &format!("/log/{ino}.csv"))).collect();
        assert_eq!(pg.turn().len(), TOLD_MAX as usize);
        assert_eq!(pg.silence.report(0).unreadable, UNREADABLE_FILES_MAX as u64);
        assert!(pg.quiet(10 * HOUR).len() <= UNREADABLE_FILES_MAX);
    }

    #[test]
    fn a_server_that_writes_elsewhere_is_noticed_without_a_habit_only_if_it_writes() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.rows(MINUTE, 5 * MINUTE);
        assert!(!pg.silence.doubts(0));
        pg.quiet(2 * MINUTE);
        assert!(pg.silence.doubts(0));
        let at = |len| Some(Elsewhere { path: PathBuf::from("/data/log/pg.json"), len });
        pg.sight.elsewhere = at(5000);
        assert_eq!(pg.quiet(HOUR), [""; 0], "it does not grow");
        pg.sight.elsewhere = at(5001);
        let said = pg.turn();
        assert!(said[0].ends_with("its server goes on writing to /data/log/pg.json"), "{said:?}");
        assert_eq!(said.len(), 1);
        assert_eq!(pg.quiet(HOUR), [""; 0]);
        assert_eq!(pg.row().len(), 1);
    }

    #[test]
    fn another_file_that_grew_before_a_row_came_proves_nothing() {
        let mut pg = Watched::new(QuietAfter::Habit);
        pg.row();
        for len in 0..100 {
            pg.sight.elsewhere = Some(Elsewhere { path: PathBuf::from("/data/log/pg.json"), len });
            assert_eq!(pg.quiet(30 * SECOND), [""; 0]);
            assert_eq!(pg.row(), [""; 0]);
        }
    }
}
