//! The source files: which there are, which is which, and what has become of them.
//!
//! Owns the followers, one a file, and the positions of files that are not there at the moment. A file is known by its
//! [`identity`], never by its path. Rotation by renaming, by timestamped names and by deletion needs no special case: the path
//! leads to another file, which is found; the old one is read through its handle until it is quiet.
//!
//! The place for what a later release adds (truncation in place, copytruncate, compressed copies) is [`Tail::look`], where a file
//! that no longer fits what is known of it is noticed.

pub mod follow;
pub mod identity;
pub mod watch;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use glob::Pattern;
use sealtrail_seal::FileRange;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::plan::{SourcePlan, StartAt};
use crate::event::file_id;
use crate::health::SourceHealth;
use crate::hex::hex;
use crate::limits::{FILES_MAX, ROTATED_QUIET_MS};
use follow::{Follower, Refused};
use identity::{Inode, is_same};
use watch::Watch;

/// All source files of all sources.
#[derive(Debug)]
pub struct Tail {
    sources: Vec<Source>,
    /// In the order in which they are read: oldest first within a discovery.
    pub followers: Vec<Follower>,
    /// Positions of files that nobody follows at the moment: from the last seals, or renamed away. Never read twice if they come back.
    known: HashMap<Inode, FileRange>,
    /// Ids of files that have ended: what comes in their place may begin with the same line, and must not have the same id.
    spent: Vec<String>,
    watch: Watch,
    /// Files found by the first look may be entered at their end; later ones are read whole.
    first_look: bool,
}

#[derive(Debug)]
struct Source {
    plan: SourcePlan,
    exclude: Vec<Pattern>,
}

/// A path that a source's globs match.
struct Found {
    source: usize,
    path: PathBuf,
    inode: Inode,
    len: u64,
    modified: SystemTime,
}

/// A file that is not what it was when it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its path.
    pub path: String,
    /// What happened.
    pub message: String,
}

impl Tail {
    /// `known` is where the last seals stand, `spent` the ids of files that they ended; `first_run` says that there never was a seal.
    pub fn new(
        sources: &[SourcePlan],
        known: Vec<FileRange>,
        spent: Vec<String>,
        first_run: bool,
        watch: Watch,
    ) -> Self {
        let sources = sources.iter().map(|plan| Source {
            plan: plan.clone(),
            // The config has checked that each is a pattern.
            exclude: plan.exclude.iter().filter_map(|glob| Pattern::new(glob).ok()).collect(),
        });
        let known = known.into_iter().map(|range| (Inode { dev: range.dev, ino: range.ino }, range)).collect();
        Tail { sources: sources.collect(), followers: Vec::new(), known, spent, watch, first_look: first_run }
    }

    /// Looks for files that seals told of and that no glob leads to any more: renamed or deleted while the agent was not running.
    /// A renamed one is read to its end under its new name. Returns those that are gone, for a person and for the next seal.
    pub fn find_moved(&mut self, now_ms: u64) -> (Vec<Gap>, Vec<FileRange>) {
        let (mut gone, mut ended) = (Vec::new(), Vec::new());
        let known: Vec<FileRange> = self.known.values().cloned().collect();
        for range in known {
            let inode = Inode { dev: range.dev, ino: range.ino };
            let Some(source) = self.sources.iter().position(|source| source.plan.name == range.source) else {
                continue;
            };
            match find_in_folder(&range, inode) {
                Ok(Some((path, file))) => {
                    let resumed = Follower::resume(source, path, file, inode, &range);
                    let Ok(mut follower) = resumed.inspect_err(|error| warn!(path = range.path, %error, "cannot read"))
                    else {
                        continue;
                    };
                    follower.moved_since_ms = Some(now_ms);
                    self.known.remove(&inode);
                    self.followers.push(follower);
                }
                Ok(None) => {
                    self.known.remove(&inode);
                    spend(&mut self.spent, Some(&range.id));
                    let message = format!("not there any more; it was read up to byte {}", range.to);
                    gone.push(Gap { path: range.path.clone(), message });
                    ended.push(FileRange {
                        from: range.to,
                        sha256: hex(&Sha256::digest(b"")),
                        rows: 0,
                        ended: true,
                        ..range
                    });
                }
                // The folder cannot be listed (a volume that is not mounted): the file may come back.
                Err(error) => warn!(path = range.path, %error, "cannot look for a file that was read before"),
            }
        }
        (gone, ended)
    }

    /// Lists the folders: opens what is new, notices what has moved, shrunk or gone. Returns what was lost, and the files whose
    /// story has ended with that.
    pub fn look(&mut self, now_ms: u64, health: &[SourceHealth]) -> (Vec<Gap>, Vec<FileRange>) {
        self.watch.forget_missing();
        let found = self.find();
        let mut problems = self.unmatched(&found);
        for follower in &mut self.followers {
            place(follower, &found, now_ms);
        }
        let cut = self.drop_truncated();
        for file in found {
            if !self.followers.iter().any(|follower| follower.inode == file.inode) {
                self.open(file, health, &mut problems);
            }
        }
        self.first_look = false;
        self.tell(health, problems);
        cut
    }

    /// Whether some folder has to be looked at on a timer.
    pub fn polls(&self) -> bool {
        self.watch.polls()
    }

    /// The source's name, for seals.
    pub fn source(&self, index: usize) -> &SourcePlan {
        &self.sources[index].plan
    }

    /// Where reading stands in every file, for a segment's snapshot.
    pub fn positions(&self) -> Vec<FileRange> {
        let followed = self.followers.iter().map(|follower| follower.position(&self.source(follower.source).name));
        followed.chain(self.known.values().cloned()).filter(|range| !range.id.is_empty()).collect()
    }

    /// Whether the follower's file is over: moved or deleted, read to its end, and quiet since.
    pub fn is_over(follower: &Follower, now_ms: u64) -> bool {
        let Some(moved_ms) = follower.moved_since_ms else { return false };
        let quiet_since = moved_ms.max(follower.last_read_ms);
        let read_to_end = follower.refused.is_some()
            || follower
                .len_on_disk()
                .is_ok_and(|len| follower.frames.offset() + follower.frames.pending() as u64 >= len);
        read_to_end && now_ms.saturating_sub(quiet_since) >= ROTATED_QUIET_MS
    }

    /// Stops following a file that is over, and says so for the next seal. Its position is kept while the file still has a name.
    pub fn retire(&mut self, index: usize) -> FileRange {
        let mut follower = self.followers.remove(index);
        let source = self.sources[follower.source].plan.name.clone();
        // A file whose metadata cannot be read is kept as known: that can only avoid reading it twice.
        let deleted = follower.is_deleted().unwrap_or(false);
        let range = FileRange { ended: deleted, ..follower.seal(&source) };
        if deleted {
            spend(&mut self.spent, follower.id());
        } else if self.known.len() < FILES_MAX {
            self.known.insert(follower.inode, follower.position(&source));
        }
        info!(file = %follower.path.display(), "read to its end and no longer in place: done with it");
        range
    }

    fn find(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            for glob in &source.plan.paths {
                self.watch.add(&base_dir(glob));
                matches(index, source, glob, &mut found);
            }
        }
        for file in &found {
            self.watch.add(file.path.parent().unwrap_or(Path::new("/")));
            // Behind a symbolic link the file changes in another folder. A link that leads nowhere has no folder to watch.
            if let Ok(real) = fs::canonicalize(&file.path) {
                self.watch.add(real.parent().unwrap_or(Path::new("/")));
            }
        }
        found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        found
    }

    /// One standing problem a source at most: here, that nothing matches.
    fn unmatched(&self, found: &[Found]) -> Vec<Option<String>> {
        let problem = |(index, source): (usize, &Source)| {
            let none = !found.iter().any(|file| file.source == index);
            none.then(|| format!("no file matches {}", source.plan.paths.join(", ")))
        };
        self.sources.iter().enumerate().map(problem).collect()
    }

    fn open(&mut self, file: Found, health: &[SourceHealth], problems: &mut [Option<String>]) {
        let problem = &mut problems[file.source];
        if self.followers.len() >= FILES_MAX {
            *problem = Some(format!("more than {FILES_MAX} files: {} waits", file.path.display()));
            return;
        }
        match self.follow(&file) {
            Ok(follower) => {
                info!(file = %file.path.display(), from = follower.frames.offset(), "reading");
                self.followers.push(follower);
            }
            Err(error) => {
                health[file.source].errors.fetch_add(1, Ordering::Relaxed);
                *problem = Some(format!("cannot read {}: {error}", file.path.display()));
            }
        }
    }

    fn follow(&mut self, found: &Found) -> io::Result<Follower> {
        let file = File::open(&found.path)?;
        // The path may lead elsewhere by now: what was opened is what counts.
        let inode = Inode::of(&file.metadata()?);
        let plan = &self.sources[found.source].plan;
        if let Some(range) = self.known.get(&inode)
            && is_same(range, inode, &file)?
        {
            let follower = Follower::resume(found.source, found.path.clone(), file, inode, range)?;
            self.known.remove(&inode);
            return Ok(follower);
        }
        self.known.remove(&inode);
        let from = if self.first_look && plan.start_at == StartAt::End { found.len } else { 0 };
        Follower::begin(found.source, found.path.clone(), file, inode, plan.format, from)
    }

    /// A file that is shorter than what was read of it was cut in place: what it holds now is a new file.
    fn drop_truncated(&mut self) -> (Vec<Gap>, Vec<FileRange>) {
        let (mut gaps, mut ended) = (Vec::new(), Vec::new());
        let (sources, spent) = (&self.sources, &mut self.spent);
        self.followers.retain_mut(|follower| {
            if !follower.is_cut() {
                return true;
            }
            let len = follower.len_on_disk().unwrap_or(0);
            let path = follower.path.to_string_lossy().into_owned();
            let read = follower.frames.offset();
            let message = format!(
                "cut in place, now {len} bytes, after {read} bytes of it were read; what it held in between cannot be known"
            );
            gaps.push(Gap { path, message });
            spend(spent, follower.id());
            ended.push(FileRange { ended: true, ..follower.seal(&sources[follower.source].plan.name) });
            false
        });
        (gaps, ended)
    }

    /// Learns a file's id and format; true once both are known.
    pub fn identify(&mut self, index: usize) -> Result<bool, Refused> {
        if self.followers[index].id().is_none() {
            let Some(line) = self.followers[index].first_line()? else { return Ok(false) };
            let source = &self.source(self.followers[index].source).name;
            let id = (0..).map(|twin| file_id(source, &line, twin)).find(|id| !self.is_taken(id));
            self.followers[index].set_id(id.unwrap_or_default());
        }
        self.followers[index].learn_format()
    }

    /// Whether a file has that id, or had it: files of one source may begin with the same line.
    fn is_taken(&self, id: &str) -> bool {
        self.followers.iter().any(|other| other.id() == Some(id))
            || self.known.values().any(|range| range.id == id)
            || self.spent.iter().any(|spent| spent == id)
    }

    /// Puts into the health how many files there are and what stands in the way.
    fn tell(&self, health: &[SourceHealth], problems: Vec<Option<String>>) {
        for (index, (source, problem)) in health.iter().zip(problems).enumerate() {
            let followers = || self.followers.iter().filter(|follower| follower.source == index);
            source.files.store(followers().count() as u64, Ordering::Relaxed);
            note(source, problem.or_else(|| followers().find_map(Follower::problem)));
        }
    }
}

/// Remembers the id of a file that has ended, and forgets the oldest when there are too many.
fn spend(spent: &mut Vec<String>, id: Option<&str>) {
    if spent.len() >= FILES_MAX {
        spent.remove(0);
    }
    spent.extend(id.map(str::to_owned));
}

/// Notes a standing problem, and logs it when it is a new one.
pub fn note(health: &SourceHealth, problem: Option<String>) {
    if health.problem.set(problem.clone())
        && let Some(problem) = problem
    {
        warn!(source = %health.name, "{problem}");
    }
}

/// Notices whether the follower's path still leads to its file, or another path does.
fn place(follower: &mut Follower, found: &[Found], now_ms: u64) {
    let here = fs::metadata(&follower.path).is_ok_and(|metadata| Inode::of(&metadata) == follower.inode);
    let elsewhere = || found.iter().find(|file| file.inode == follower.inode);
    if here {
        follower.moved_since_ms = None;
    } else if let Some(file) = elsewhere() {
        follower.path.clone_from(&file.path);
        follower.origin = None;
        follower.moved_since_ms = None;
    } else if follower.moved_since_ms.is_none() {
        follower.moved_since_ms = Some(now_ms);
    }
}

/// The file that `range` tells of, under whatever name, in the folder where it was last seen.
fn find_in_folder(range: &FileRange, inode: Inode) -> io::Result<Option<(PathBuf, File)>> {
    let dir = Path::new(&range.path).parent().unwrap_or(Path::new("/"));
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_it = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && Inode::of(&metadata) == inode);
        if is_it {
            let file = File::open(&path)?;
            if is_same(range, inode, &file)? {
                return Ok(Some((path, file)));
            }
        }
    }
    Ok(None)
}

fn matches(index: usize, source: &Source, glob: &str, found: &mut Vec<Found>) {
    // The config has checked the pattern; a folder that cannot be listed has nothing to match.
    let paths = glob::glob(glob).into_iter().flatten().filter_map(Result::ok);
    for path in paths.filter(|path| !source.exclude.iter().any(|pattern| pattern.matches_path(path))) {
        // Gone since it was listed, or not a file: nothing to read.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let inode = Inode::of(&metadata);
        if metadata.is_file() && !found.iter().any(|file| file.inode == inode) {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Found { source: index, path, inode, len: metadata.len(), modified });
        }
    }
}

/// The part of a glob's path before its first wildcard component.
fn base_dir(glob: &str) -> PathBuf {
    let parent = Path::new(glob).parent().unwrap_or(Path::new("/"));
    let plain = |part: &std::path::Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    parent.components().take_while(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_globs_base_is_what_stands_before_its_first_wildcard() {
        assert_eq!(base_dir("/var/log/postgresql/*.csv"), Path::new("/var/log/postgresql"));
        assert_eq!(base_dir("/var/log/*/pg[0-9]/a.csv"), Path::new("/var/log"));
        assert_eq!(base_dir("/a.csv"), Path::new("/"));
    }
}
