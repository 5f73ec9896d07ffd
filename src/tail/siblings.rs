//! Files that a log left behind while nobody looked, under names that no pattern matches.
//!
//! A pattern may match the live file only, as `server_audit.log` does. When the agent finds that file under another name, others may have
//! been born and rotated away since it last looked. They lie beside it, are named after it, and are newer than what it knows. What lay there
//! unmatched when reading began is none of them, whatever a clock that was turned makes it look like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::info;

use super::Tail;
use super::find::{Found, files_in};
use super::identity::Inode;
use crate::disk::{Disk, OpenFile, Status};
use crate::health::SourceHealth;

/// A log that is no longer where it was.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// Index of its source.
    pub source: usize,
    /// Where it was written to.
    pub live: PathBuf,
    /// When it was last written to, as far as is known: what is older was rotated away before it.
    pub modified: SystemTime,
}

impl Rotated {
    /// Whether that file was written to in the log's place, and after it.
    pub fn is_left_by(&self, path: &Path, status: &Status) -> bool {
        status.modified >= self.modified && is_named_after(&self.live, path)
    }

    /// The same of the file that the log's name leads to: what is rotated is that, and it is named after it.
    pub fn behind_link(&self, disk: &dyn Disk) -> Option<Rotated> {
        let real = disk.real_path(&self.live).ok()?;
        let itself = disk.real_path(self.live.parent()?).ok()?.join(self.live.file_name()?);
        (real != itself).then_some(Rotated { live: real, ..*self })
    }
}

/// One entry for each place, with the earliest time.
pub fn merge(rotated: &mut Vec<Rotated>) {
    rotated.sort_by(|a, b| (a.source, &a.live, a.modified).cmp(&(b.source, &b.live, b.modified)));
    rotated.dedup_by(|later, first| (later.source, &later.live) == (first.source, &first.live));
}

/// Files that are not read, as they were when they were noted: one that has changed since, or has another's inode, is not among them.
#[derive(Debug, Default)]
pub struct Bystanders(BTreeMap<Inode, (u64, SystemTime)>);

impl Bystanders {
    /// Takes note of a file.
    pub fn add(&mut self, status: &Status) {
        self.0.insert(Inode::of(status), (status.len, status.modified));
    }

    /// Whether it is as it was noted, or what a file that was noted was compressed to: that has its date.
    pub fn contains(&self, path: &Path, status: &Status) -> bool {
        let as_it_was = self.0.get(&Inode::of(status)) == Some(&(status.len, status.modified));
        let is_archive =
            path.extension().is_some_and(|extension| ["gz", "zst", "xz"].iter().any(|packed| extension == *packed));
        as_it_was || is_archive && self.0.values().any(|(_, modified)| *modified == status.modified)
    }
}

impl Tail {
    /// Reads what was born and rotated away between two looks, and has a name that no pattern matches.
    pub(super) fn adopt_siblings(&mut self, now_ms: u64, health: &[SourceHealth], problems: &mut [Option<String>]) {
        let mut all = std::mem::take(&mut self.rotated);
        let linked = all.iter().filter_map(|rotated| rotated.behind_link(self.disk.as_ref())).collect::<Vec<_>>();
        all.extend(linked);
        merge(&mut all);
        for rotated in all {
            // A folder that cannot be listed now is listed when the file itself cannot be found.
            let folder = rotated.live.parent().unwrap_or(Path::new("/"));
            let unopened = (self.unopened.len(), self.not_unpacked.len());
            for (path, inode) in files_in(self.disk.as_ref(), folder).unwrap_or_default() {
                self.listed.push((path.clone(), inode));
                let Ok(status) = self.disk.status(&path) else { continue };
                if !rotated.is_left_by(&path, &status)
                    || self.lay_there.contains(&path, &status)
                    || self.is_known(inode)
                {
                    continue;
                }
                info!(file = %path.display(), "rotated away before it was seen");
                let before = self.followers.len();
                let found = Found { source: rotated.source, path, inode, len: status.len, modified: status.modified };
                self.open(found, now_ms, health, problems);
                for follower in &mut self.followers[before..] {
                    follower.moved_since_ms = Some(now_ms);
                }
            }
            if (self.unopened.len(), self.not_unpacked.len()) != unopened {
                // No pattern leads to what cannot be opened now.
                self.rotated.push(rotated);
            }
        }
    }

    /// Whether a file is followed or passed over, or was read before.
    pub(super) fn is_known(&self, inode: Inode) -> bool {
        let read = self.retired.iter().chain(&self.known).any(|range| Inode::in_range(range) == inode);
        read || self.settled().contains(&inode)
    }

    /// Takes note, once, of the files beside those that match: nothing of them is read, then or later. Where a file of before was not found
    /// again yet, it is open which of them are newer.
    pub(super) fn note_what_lies_there(&mut self, found: &[Found]) {
        if self.noted || !self.known.is_empty() {
            return;
        }
        self.noted = true;
        let real = found.iter().filter_map(|file| self.disk.real_path(&file.path).ok());
        let paths = found.iter().map(|file| file.path.clone()).chain(real);
        let folders: BTreeSet<PathBuf> = paths.filter_map(|path| path.parent().map(Path::to_owned)).collect();
        for folder in folders {
            for (path, inode) in files_in(self.disk.as_ref(), &folder).unwrap_or_default() {
                let waits =
                    self.not_unpacked.contains_key(&inode) || self.unopened.iter().any(|(_, file)| file.inode == inode);
                let matches = found.iter().any(|file| file.inode == inode);
                if !(waits || matches || self.is_known(inode))
                    && let Ok(status) = self.disk.status(&path)
                {
                    self.lay_there.add(&status);
                }
            }
        }
    }
}

/// A log that was found elsewhere than where it was written to.
pub(super) fn rotated(source: usize, live: &Path, file: &dyn OpenFile) -> Option<Rotated> {
    // Without the time of its last change nobody can say which of its siblings are newer.
    let modified = file.status().ok()?.modified;
    Some(Rotated { source, live: live.to_owned(), modified })
}

/// Whether a file is named as rotation names what was `live`: `pg.csv.1`, `pg.csv-20261121.gz`, `pg-20261121.csv`.
fn is_named_after(live: &Path, path: &Path) -> bool {
    let (Some(live), Some(name)) = (live.file_name(), path.file_name()) else { return false };
    let (live, name) = (live.to_string_lossy(), name.to_string_lossy());
    if let Some(rest) = name.strip_prefix(&*live) {
        return rest.starts_with(['.', '-', '_']);
    }
    let Some((stem, extension)) = live.rsplit_once('.') else { return false };
    let dated = name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
    let ends = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with(&format!(".{extension}")));
    dated && (ends("") || ends(".gz") || ends(".zst"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Kind, RealDisk};

    fn status(ino: u64, len: u64, seconds: u64) -> Status {
        let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        Status { kind: Kind::File, dev: 1, ino, len, links: 1, mode: 0o640, modified }
    }

    #[test]
    fn what_lay_there_is_known_again_also_compressed_and_nothing_else_is() {
        let mut there = Bystanders::default();
        there.add(&status(7, 100, 50));
        let contains = |name: &str, status: Status| there.contains(&Path::new("/log").join(name), &status);
        assert!(contains("pg.csv.3", status(7, 100, 50)));
        assert!(contains("pg.csv.3.gz", status(8, 20, 50)));
        // Its inode is another's now, or it was written on into.
        assert!(!contains("pg.csv.1", status(7, 100, 60)));
        assert!(!contains("pg.csv.1", status(7, 120, 50)));
        assert!(!contains("pg.csv.1", status(8, 100, 50)));
        assert!(!contains("pg.csv.1.gz", status(8, 20, 60)));
    }

    #[test]
    fn behind_a_link_it_is_the_file_that_is_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::write(dir.join("pg.csv"), "").unwrap();
        std::os::unix::fs::symlink(dir.join("pg.csv"), dir.join("current.csv")).unwrap();
        let behind = |name: &str| {
            let rotated = Rotated { source: 0, live: dir.join(name), modified: SystemTime::UNIX_EPOCH };
            rotated.behind_link(&RealDisk).map(|rotated| rotated.live)
        };
        assert_eq!(behind("current.csv"), Some(dir.join("pg.csv")));
        assert_eq!((behind("pg.csv"), behind("gone.csv")), (None, None));
    }

    #[test]
    fn hints_about_one_place_are_one_hint_with_the_earliest_time() {
        let hint =
            |live: &str, seconds| Rotated { source: 0, live: live.into(), modified: status(1, 0, seconds).modified };
        let mut hints = vec![hint("/log/b", 5), hint("/log/a", 9), hint("/log/b", 3), hint("/log/b", 7)];
        merge(&mut hints);
        let hints: Vec<_> = hints.iter().map(|hint| (hint.live.to_str().unwrap(), hint.modified)).collect();
        assert_eq!(hints, [("/log/a", status(1, 0, 9).modified), ("/log/b", status(1, 0, 3).modified)]);
    }

    #[test]
    fn rotated_files_are_named_after_the_live_one() {
        let named = |name: &str| is_named_after(Path::new("/log/pg.csv"), &Path::new("/log").join(name));
        for name in ["pg.csv.1", "pg.csv.12.gz", "pg.csv-20261121", "pg.csv_old", "pg-20261121.csv", "pg.1.csv.zst"] {
            assert!(named(name), "{name}");
        }
        for name in ["pg.csv", "pg.json", "pg2.csv", "pg-20261121.json", "apg.csv.1", "pg.csvx"] {
            assert!(!named(name), "{name}");
        }
        assert!(is_named_after(Path::new("/log/audit"), Path::new("/log/audit.1")));
        assert!(!is_named_after(Path::new("/log/audit"), Path::new("/log/auditor")));
    }
}
