//! What far sides hold, held against the trail, once the real program has come to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::far::Far;
use crate::host::{Host, text};
use crate::support::journal::lines_of;
use crate::trail::segments;
use crate::types::Side;
use crate::writer::{Written, assert_complete};

/// A syslog receiver writes its file in its own time, and nothing says when it has.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// What one far side holds of a trail.
#[derive(Debug)]
pub struct Account {
    pub name: &'static str,
    /// Lines that it holds, each counted once.
    pub lines: usize,
    /// How often a line came that it had already.
    pub twice: usize,
    /// Lines of the trail that it does not hold.
    pub missing: Vec<String>,
    /// Lines that it holds and the trail does not have.
    pub unknown: Vec<String>,
    once: bool,
}

impl Account {
    /// What is wrong with it.
    pub fn wrong(&self) -> Option<String> {
        let is_right = self.missing.is_empty() && self.unknown.is_empty() && !(self.once && self.twice > 0);
        let some = |lines: &[String]| lines.iter().take(3).cloned().collect::<Vec<_>>().join("\n    ");
        (!is_right).then(|| {
            format!(
                "{}: {} lines, {} missing, {} that the trail does not have, {} twice{}\n  missing:\n    {}\n  unknown:\n    {}",
                self.name,
                self.lines,
                self.missing.len(),
                self.unknown.len(),
                self.twice,
                if self.once { ", and its protocol could tell" } else { "" },
                some(&self.missing),
                some(&self.unknown),
            )
        })
    }
}

/// The lines of the whole trail, byte for byte: the journal has kept all of it.
pub fn trail_lines(host: &Host) -> Vec<String> {
    let segments = segments(&host.journal());
    assert!(segments[0].ends_with("00000000000000000000.ndjson.zst"), "the journal begins with {:?}", segments[0]);
    segments.iter().flat_map(|path| lines_of(&fs::read(path).unwrap())).collect()
}

/// Holds what a far side has against the trail.
pub async fn account(side: &Side, trail: &[String]) -> Account {
    let wanted: BTreeSet<&String> = trail.iter().collect();
    assert_eq!(wanted.len(), trail.len(), "the trail has a line twice");
    if let Far::Stdout { ear } = &side.far {
        ear.wait_for_the_end();
    }
    let begin = Instant::now();
    let mut taken = side.far.taken().await;
    while matches!(side.far, Far::Syslog { .. }) && lacks(&taken, &wanted) && begin.elapsed() < WRITTEN_WITHIN {
        tokio::time::sleep(Duration::from_millis(100)).await;
        taken = side.far.taken().await;
    }
    if matches!(side.far, Far::Stdout { .. }) {
        // A write that is given up ends the line that it stands in, which comes whole after that.
        taken.retain(|line| wanted.contains(line) || !begins_one_of(line, &wanted));
    }
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    taken.iter().for_each(|line| *times.entry(line).or_default() += 1);
    Account {
        name: side.name,
        lines: times.len(),
        twice: taken.len() - times.len(),
        missing: wanted.iter().filter(|line| !times.contains_key(**line)).map(|line| (*line).clone()).collect(),
        unknown: times.keys().filter(|line| !wanted.contains(**line)).map(|line| (*line).clone()).collect(),
        once: side.once,
    }
}

fn begins_one_of(text: &String, lines: &BTreeSet<&String>) -> bool {
    lines.range::<String, _>(text..).next().is_some_and(|line| line.starts_with(text.as_str()))
}

fn lacks(taken: &[String], wanted: &BTreeSet<&String>) -> bool {
    let taken: BTreeSet<&String> = taken.iter().collect();
    !wanted.is_subset(&taken)
}

/// The trail is complete, whole and authentic, also in each archive; and no line was refused. For every archive what `verify` says of it.
pub async fn assert_sound(host: &Host, sides: &[Side], written: &[Written]) {
    assert_complete(&host.trail(), written);
    host.assert_verifies();
    for side in sides.iter().filter(|side| !side.far.takes_lines()) {
        let copy = tempfile::tempdir().unwrap();
        for (name, bytes) in side.far.segments().await {
            let path = copy.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let verified = host.verify_path(copy.path());
        assert_eq!(
            verified.status.code(),
            Some(0),
            "{}: {}{}",
            side.name,
            text(&verified.stdout),
            text(&verified.stderr)
        );
    }
    assert_eq!(dead_letters(host), Vec::<String>::new(), "dead letters");
}

fn dead_letters(host: &Host) -> Vec<String> {
    let folder = |path: &Path| {
        fs::read_dir(path).map_or_else(|_| Vec::new(), |all| all.map(|one| one.unwrap().path()).collect())
    };
    let letters = folder(&host.state().join("dead-letter")).into_iter().flat_map(|path| folder(&path));
    letters.map(|path| path.display().to_string()).collect()
}
