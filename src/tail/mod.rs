//! The source files: which there are, which is which, and what has become of them.
//!
//! Owns the followers, one a file, and the positions of files that nobody follows. A file is known by its content
//! ([`identity`]), never by its path. Rotation by renaming, by timestamped names and by deletion needs no special case: the path
//! leads to another file, which is found; the old one is read through its handle until it is quiet.
//!
//! The hard cases are those where a log changes its file: it is copied and cut in place (`copytruncate`), compressed, moved to another
//! file system, or its inode has another number after a reboot. Then the file that holds the same bytes up to where reading stood is
//! the same log, and is read on from there under the same id. Where there is none, what went away is said.

pub mod archives;
pub mod elsewhere;
pub mod find;
pub mod follow;
pub mod identity;
pub mod lineage;
pub mod packed;
pub mod sight;
pub mod siblings;
pub mod watch;

mod again;
mod claims;
mod copies;
mod opening;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use sealtrail_seal::{FileRange, Gap, Held};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::plan::SourcePlan;
use crate::disk::{Disk, OpenFile};
use crate::event::Place;
use crate::health::{SourceHealth, WatchHealth};
use crate::held::Held as Pieces;
use crate::hex::hex;
use crate::host::Host;
use crate::journal::write::Act;
use crate::limits::{ENDED_KEPT_MAX, FILES_MAX, LISTINGS_MAX, ROTATED_QUIET_MS};
use crate::sessions::numbered::{FileId, file_id as file_id_of};
use archives::{Archives, Unpacked};
use copies::cut_away;
use find::{Found, Names, Patterns, settled_files_in};
use follow::{Aside, Follower};
use identity::Inode;
use lineage::{Lineage, live_name};
use siblings::{Bystanders, Rotated, merge, rotated};
use sight::{Sight, Unreadable};
use watch::Watch;

/// All source files of all sources.
#[derive(Debug)]
pub struct Tail {
    disk: Arc<dyn Disk>,
    sources: Vec<Source>,
    /// In the order in which they are read: oldest first within a discovery, and within a lineage.
    pub followers: Vec<Follower>,
    /// The logs that the followers' files are of, by their numbers, which are never used again.
    lineages: BTreeMap<u64, Lineage>,
    lineages_ever: u64,
    /// Files that this listing of the folders has opened, and names that led to another file by then.
    opened: usize,
    /// The names that matched when the folders were last listed to the end, and where they led.
    names: Names,
    /// Names that led to a file that is still followed under another, and lead to none since.
    vacant: Vec<Rotated>,
    /// What this listing of the folders has seen, under which names.
    listed: Vec<(PathBuf, Inode)>,
    /// Since when names go on from file to file faster than the folders are listed, by the core's clock in milliseconds: there may be files
    /// before those that were found.
    restless_since_ms: Option<u64>,
    /// Logs of which an archive is not unpacked yet that may hold what was never read: by source and name.
    unpacking: BTreeSet<(usize, PathBuf)>,
    /// What the last seals say of files that have not been found again yet.
    known: Vec<FileRange>,
    /// Read to their end under a name that no pattern matches: not read twice if they come back.
    retired: Vec<FileRange>,
    /// How long they were then, where this run has read them.
    left_at: BTreeMap<Inode, u64>,
    /// Files that need not be read: they hold what is read already, or are not whole yet.
    passed_over: Vec<PassedOver>,
    /// Of files that have ended: what comes in their place may begin with the same line, and must not have the same id.
    spent: Vec<FileRange>,
    /// Pieces of rows of files that have not been found again yet: read and in no line.
    held: Vec<Held>,
    /// Logs that this look found elsewhere than where they were, and those of before beside which something could not be opened.
    rotated: Vec<Rotated>,
    /// Files that no pattern matched when reading began.
    lay_there: Bystanders,
    /// They are noted.
    noted: bool,
    /// When the last seal of the run before was written; `None` without one.
    sealed_at: Option<SystemTime>,
    /// Files that are no more, since the last look.
    deleted: Vec<Inode>,
    /// Files that this look could not open, by their source.
    unopened: Vec<(usize, Unreadable)>,
    /// Archives that could not be opened yet, since they are not looked through: open, so that one is read also where its name is gone by then.
    not_unpacked: BTreeMap<Inode, (Found, Arc<dyn OpenFile>)>,
    /// Those of the first look: they may be entered at their end.
    first_archives: BTreeSet<Inode>,
    /// What is read or looked through of archives.
    pub archives: Archives,
    watch: Watch,
    /// Files found by the first look may be entered at their end; later ones are read whole.
    first_look: bool,
}

#[derive(Debug)]
struct Source {
    plan: SourcePlan,
    patterns: Patterns,
}

impl Source {
    /// Where the log was written that has this path: what the agent knew last may be a name that rotation gave it.
    fn live_name(&self, path: &Path) -> PathBuf {
        let live = live_name(path);
        if self.patterns.lead_to(&live) { live } else { path.to_owned() }
    }
}

/// A file that is not followed, until its length or that of its original says otherwise.
#[derive(Debug)]
struct PassedOver {
    path: PathBuf,
    inode: Inode,
    len: u64,
    /// Id of the log whose copy it is; `None`: an archive that is not whole.
    original: Option<String>,
    /// By the core's clock, in milliseconds.
    since_ms: u64,
}

/// What a look has found out, for the next seal.
#[derive(Debug, Default)]
pub struct Looked {
    /// For people and auditors.
    pub acts: Vec<Act>,
    /// Files whose story has ended.
    pub ended: Vec<FileRange>,
    /// Files that are no more.
    pub deleted: Vec<Inode>,
    /// What was seen of each source.
    pub sights: Vec<Sight>,
}

/// Whether a file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It has an id and a format.
    Known,
    /// Not enough of it is there yet.
    Young,
    /// It is not to be read now: [`Tail::pass_over`] it.
    Aside,
}

impl Tail {
    /// `known` is where the last seals stand, `spent` the files that they ended, `sealed_at` when the last one was written; `None` says
    /// that there never was a seal.
    pub fn new(
        host: &Host,
        sources: &[SourcePlan],
        known: Vec<FileRange>,
        spent: Vec<FileRange>,
        held: Vec<Held>,
        sealed_at: Option<SystemTime>,
        watch: Watch,
    ) -> Self {
        let sources = sources.iter().map(|plan| Source { plan: plan.clone(), patterns: Patterns::of(plan) });
        Tail {
            disk: Arc::clone(&host.disk),
            sources: sources.collect(),
            followers: Vec::new(),
            lineages: BTreeMap::new(),
            lineages_ever: 0,
            opened: 0,
            names: Names::default(),
            vacant: Vec::new(),
            listed: Vec::new(),
            restless_since_ms: None,
            unpacking: BTreeSet::new(),
            known,
            retired: Vec::new(),
            left_at: BTreeMap::new(),
            passed_over: Vec::new(),
            spent,
            held,
            rotated: Vec::new(),
            lay_there: Bystanders::default(),
            noted: false,
            sealed_at,
            deleted: Vec::new(),
            unopened: Vec::new(),
            not_unpacked: BTreeMap::new(),
            first_archives: BTreeSet::new(),
            archives: Archives::default(),
            watch,
            first_look: true,
        }
    }

    /// Looks at the folders: opens what is new, notices what has moved, shrunk or gone.
    pub fn look(&mut self, now_ms: u64, health: &[SourceHealth]) -> Looked {
        let mut looked = Looked::default();
        // While the folders are listed, names go from one file to the next, and a file may be listed under none: what is new is taken
        // to be all there is only when nothing more is found, and every name leads where it led before.
        let mut is_settled = false;
        for _ in 0..LISTINGS_MAX {
            self.opened = 0;
            let before = std::mem::take(&mut self.listed);
            let (found, names) = self.list(now_ms, health, &mut looked);
            looked.sights = self.sights(&found);
            self.first_look = false;
            is_settled = self.opened == 0 && self.listed == before;
            if is_settled {
                self.vacant.retain(|rotated| !names.all.iter().any(|(_, path, _)| *path == rotated.live));
                self.names = names;
                // Not before: what was rotated away while the folders were listed is to be read.
                self.note_what_lies_there(&found);
                break;
            }
        }
        self.restless_since_ms = (!is_settled).then(|| self.restless_since_ms.unwrap_or(now_ms));
        self.put_in_order(now_ms);
        looked.deleted = std::mem::take(&mut self.deleted);
        self.archives.forget_unasked();
        looked
    }

    fn list(&mut self, now_ms: u64, health: &[SourceHealth], looked: &mut Looked) -> (Vec<Found>, Names) {
        self.watch.forget_missing(self.disk.as_ref());
        let (found, names) = self.find();
        self.notice_other_names(&names);
        self.listed.extend(names.all.iter().map(|(_, path, inode)| (path.clone(), *inode)));
        let mut problems = self.unmatched(&found);
        let places: BTreeMap<Inode, &Found> = found.iter().map(|file| (file.inode, file)).collect();
        for follower in &mut self.followers {
            // What cannot be asked about now is asked again by the next read, which says what is wrong.
            let _ = follower.compare();
            let path = follower.path.clone();
            place(self.disk.as_ref(), follower, places.get(&follower.inode).copied(), now_ms);
            // For as long as it is followed: what stands in its place now may be rotated away before it is seen. Also where a pattern
            // leads to it by another name: others may have had the old one since, and no name that matches.
            if follower.moved_since_ms.is_some() || follower.path != path {
                let live = self.sources[follower.source].live_name(&path);
                self.rotated.extend(rotated(follower.source, &live, follower.file().as_ref()));
            }
        }
        self.unpacking.clear();
        self.let_go_of_stale(looked);
        self.go_on_in_copies(&found, now_ms, looked);
        self.find_known(&found, now_ms, looked);
        self.review_retired(now_ms, looked);
        self.review_passed_over(&found);
        self.unopened.clear();
        let not_unpacked = std::mem::take(&mut self.not_unpacked);
        self.adopt_siblings(now_ms, health, &mut problems);
        let settled = self.settled();
        let before = self.followers.len();
        for file in found.iter().filter(|file| !settled.contains(&file.inode)) {
            // Its name may have gone on to it before its own turn came.
            if self.followers[before..].iter().any(|follower| follower.inode == file.inode) {
                continue;
            }
            self.open(file.clone(), now_ms, health, &mut problems);
        }
        self.open_archives_without_name(not_unpacked, now_ms, health, &mut problems);
        self.tell(health, problems);
        (found, names)
    }

    /// A file with several names is followed under one of them: one that another has now may have been others' in between.
    fn notice_other_names(&mut self, now: &Names) {
        let now: BTreeSet<(&PathBuf, Inode)> = now.all.iter().map(|(_, path, inode)| (path, *inode)).collect();
        for (source, path, inode) in self.names.all.iter().filter(|(_, path, inode)| !now.contains(&(path, *inode))) {
            let follower = self.followers.iter().find(|follower| follower.inode == *inode);
            let live = self.sources[*source].live_name(path);
            self.vacant.extend(follower.and_then(|follower| rotated(*source, &live, follower.file().as_ref())));
        }
        merge(&mut self.vacant);
        self.rotated.extend(self.vacant.iter().cloned());
    }

    /// Unpacks this turn's share of the archives that somebody waits for.
    pub fn unpack(&mut self) -> Unpacked {
        self.archives.turn()
    }

    /// Whether somebody waits for an archive to be unpacked.
    pub fn is_unpacking(&self) -> bool {
        self.archives.are_waited_for()
    }

    /// Whether a name in some folder has changed since this was last asked.
    pub fn names_changed(&self) -> bool {
        self.watch.names_changed()
    }

    /// Puts into the health which folders are watched.
    pub fn tell_watch(&self, health: &WatchHealth) {
        self.watch.tell(health);
    }

    /// Whether some folder has to be looked at on a timer.
    pub fn polls(&self) -> bool {
        self.watch.polls()
    }

    /// Whether it is still open what has become of some file, or what some file is; that is known within [`ROTATED_QUIET_MS`].
    pub fn is_undecided(&self, now_ms: u64) -> bool {
        let young = |since_ms: u64| now_ms.saturating_sub(since_ms) <= ROTATED_QUIET_MS;
        let follower_is = |follower: &Follower| {
            (follower.seen_cut && !follower.cut) || (follower.undecided && young(follower.found_ms))
        };
        let is_unfinished = |file: &PassedOver| file.original.is_none() && young(file.since_ms);
        self.is_restless(now_ms)
            || self.followers.iter().any(follower_is)
            || !self.unpacking.is_empty()
            || self.passed_over.iter().any(is_unfinished)
    }

    /// Whether something of a source cannot be read now and may be later: a file that is refused to us, one of which it is not clear yet
    /// what it is, an archive that is not whole, a file of before that was not found again.
    pub fn waits(&self, source: usize) -> bool {
        let name = &self.sources[source].plan.name;
        let of_source = |follower: &&Follower| follower.source == source && follower.refused.is_none();
        let unread = |follower: &Follower| {
            follower.unreadable.is_some()
                || follower.seen_cut
                || follower.cut
                || follower.id().is_none() && follower.len_on_disk().is_ok_and(|len| len > 0)
        };
        self.followers.iter().filter(of_source).any(unread)
            || self.unopened.iter().any(|(of, _)| *of == source)
            || self.archives.are_pending()
            || self.followers.len() >= FILES_MAX
            || self.known.iter().any(|range| range.source == *name)
            || self.passed_over.iter().any(|file| file.original.is_none())
    }

    /// The source's name, for seals.
    pub fn source(&self, index: usize) -> &SourcePlan {
        &self.sources[index].plan
    }

    /// Pieces of rows that are read and in no line.
    pub fn held(&self) -> Vec<Held> {
        let shared = self.lineages.values().flat_map(|lineage| lineage.held.places());
        let before = self.followers.iter().flat_map(|follower| {
            let id = follower.id().unwrap_or_default();
            follower.held_before.iter().map(move |(place, _)| (id, *place))
        });
        let known = shared.chain(before).map(|(id, place)| held(id, place));
        known.chain(self.held.iter().cloned()).collect()
    }

    /// When the first piece that is held is given up, or the first record that nothing ends is taken as it is; by the core's clock.
    pub fn due_ms(&self) -> Option<u64> {
        let held = self.lineages.values().filter_map(|lineage| lineage.held.due_ms());
        self.followers.iter().filter_map(Follower::due_ms).chain(held).min()
    }

    /// A follower, and what is held of the log that its file is of.
    pub fn with_held(&mut self, index: usize) -> (&mut Follower, &mut Pieces) {
        let follower = &mut self.followers[index];
        let lineage = self.lineages.entry(follower.lineage).or_insert_with(|| Lineage {
            source: follower.source,
            live: live_name(&follower.path),
            held: Pieces::default(),
        });
        (follower, &mut lineage.held)
    }

    /// Logs of which something is held, by their numbers.
    pub fn holding(&self) -> Vec<u64> {
        let holds = |(number, lineage): (&u64, &Lineage)| (!lineage.held.is_empty()).then_some(*number);
        self.lineages.iter().filter_map(holds).collect()
    }

    /// One of the logs of [`Tail::holding`].
    pub fn lineage(&mut self, number: u64) -> Option<&mut Lineage> {
        self.lineages.get_mut(&number)
    }

    /// Counts a line that is of that file although it was written when another was read.
    pub fn account_row_of(&mut self, file: FileId) {
        let is_it = |follower: &&mut Follower| follower.id().and_then(file_id_of) == Some(file);
        if let Some(follower) = self.followers.iter_mut().find(is_it) {
            follower.account(1);
        }
    }

    /// Where reading stands in every file, and what ended last, for a segment's snapshot.
    pub fn positions(&self) -> Vec<FileRange> {
        let followed = self.followers.iter().map(|follower| follower.position(&self.source(follower.source).name));
        let over = &self.spent[self.spent.len().saturating_sub(ENDED_KEPT_MAX)..];
        let unfollowed = over.iter().chain(&self.known).chain(&self.retired).cloned();
        // Of what nothing was read there is nothing to remember.
        unfollowed.chain(followed).filter(|range| !range.id.is_empty() && range.head_len > 0).collect()
    }

    /// Whether the follower's file is over: cut, or out of an archive and read to its end, or moved or deleted, read to its end, and
    /// quiet since.
    pub fn is_over(&self, index: usize, now_ms: u64) -> bool {
        let follower = &self.followers[index];
        if follower.cut {
            return true;
        }
        if self.holds_any_of(index) {
            // The rest of its row may stand in the next file, and the line is one of this file.
            return false;
        }
        let read_to_end = || follower.refused.is_some() || follower.is_read_to_end();
        if follower.archived {
            return follower.id().is_some() && read_to_end();
        }
        let Some(moved_ms) = follower.moved_since_ms else { return false };
        let quiet_since = moved_ms.max(follower.last_read_ms);
        now_ms.saturating_sub(quiet_since) >= ROTATED_QUIET_MS && read_to_end()
    }

    /// Whether some piece of the follower's file is held back.
    pub fn holds_any_of(&self, index: usize) -> bool {
        let follower = &self.followers[index];
        let shared = || self.lineages.get(&follower.lineage).map(|lineage| &lineage.held);
        let is_held = |file| shared().is_some_and(|held| !held.is_empty() && held.has_any_of(file));
        !follower.held_before.is_empty() || follower.id().and_then(file_id_of).is_some_and(is_held)
    }

    /// Stops following a file that is over, and says so for the next seal. Its position is kept while the file still has a name.
    pub fn retire(&mut self, index: usize, now_ms: u64) -> Looked {
        let mut follower = self.followers.remove(index);
        let source = self.sources[follower.source].plan.name.clone();
        let range = follower.seal(&source);
        let mut looked = Looked::default();
        if follower.cut {
            looked.acts.push(cut_away(&follower, &range, None));
        }
        // A file whose state cannot be had is kept as known: that can only avoid reading it twice.
        let deleted = follower.is_deleted().unwrap_or(false);
        self.deleted.extend(deleted.then_some(follower.inode));
        let ended = follower.cut || deleted;
        let archive_len = if follower.archived { self.len_of(&follower.path, follower.inode) } else { 0 };
        let range = FileRange { ended, archive_len, ..range };
        if ended {
            spend(&mut self.spent, range.clone());
        } else {
            self.left_at.insert(follower.inode, follower.len_seen());
            self.keep_retired(FileRange { from: range.to, sha256: String::new(), rows: 0, ..range.clone() });
            if follower.archived {
                let passed_over = PassedOver {
                    path: follower.path.clone(),
                    inode: follower.inode,
                    len: archive_len,
                    original: Some(range.id.clone()),
                    since_ms: now_ms,
                };
                self.passed_over.push(passed_over);
            }
        }
        info!(file = %follower.path.display(), "read to its end: done with it");
        if !range.id.is_empty() {
            looked.ended.push(range);
        }
        looked
    }

    /// Stops following a file that holds what another one holds.
    pub fn pass_over(&mut self, index: usize, now_ms: u64) {
        let follower = self.followers.remove(index);
        let passed_over = match follower.aside {
            Some(Aside::CopyOf(id)) => {
                info!(file = %follower.path.display(), "a copy of a file that is read already");
                PassedOver {
                    path: follower.path.clone(),
                    inode: follower.inode,
                    len: self.len_of(&follower.path, follower.inode),
                    original: Some(id),
                    since_ms: now_ms,
                }
            }
            // Opened anew by the next look.
            Some(Aside::Archive) | None => PassedOver {
                path: follower.path.clone(),
                inode: follower.inode,
                len: 0,
                original: None,
                since_ms: now_ms,
            },
        };
        self.passed_over.push(passed_over);
    }

    fn forget(&mut self, id: &str) {
        self.known.retain(|range| range.id != id);
        self.retired.retain(|range| range.id != id);
        self.spent.retain(|range| range.id != id);
        self.held.retain(|held| held.id != id);
    }

    /// Files that were read to their end and are deleted by now need not be remembered as files, only as logs. One that has grown is read on:
    /// nobody told its server to open a new one.
    fn review_retired(&mut self, now_ms: u64, looked: &mut Looked) {
        for mut range in std::mem::take(&mut self.retired) {
            let inode = Inode::in_range(&range);
            let status = self.disk.status(Path::new(&range.path)).ok();
            if let Some(status) = status.filter(|status| Inode::of(status) == inode) {
                if !self.goes_on(&range, status.len, now_ms) {
                    self.retired.push(range);
                }
                continue;
            }
            match settled_files_in(self.disk.as_ref(), folder_of(&range), Some(inode)) {
                Ok(files) => match files.into_iter().find(|(_, there)| *there == inode) {
                    Some((path, _)) => {
                        range.path = path.to_string_lossy().into_owned();
                        self.retired.push(range);
                    }
                    None => {
                        let ended = over(range);
                        spend(&mut self.spent, ended.clone());
                        looked.ended.push(ended);
                        self.deleted.push(inode);
                        self.left_at.remove(&inode);
                    }
                },
                // Nobody can say whether it is still there.
                Err(_) => self.retired.push(range),
            }
        }
    }

    /// Whether a file that was let go of was written to since, and is followed again. One that holds other bytes by now is another log, which
    /// no pattern leads to.
    fn goes_on(&mut self, range: &FileRange, len: u64, now_ms: u64) -> bool {
        let left_at = self.left_at.get(&Inode::in_range(range)).copied().unwrap_or(range.to);
        let source = self.sources.iter().position(|source| source.plan.name == range.source);
        let Some(source) = source.filter(|_| range.archive_len == 0 && len > left_at) else { return false };
        // What cannot be read now is looked at again.
        let goes_on = self.resume_retired(source, range, now_ms);
        goes_on.unwrap_or(false)
    }

    fn keep_retired(&mut self, range: FileRange) {
        if self.retired.len() >= FILES_MAX {
            // Forgotten as a file. If it comes back under a name that matches, its content still tells what it is.
            let oldest = self.retired.remove(0);
            self.left_at.remove(&Inode::in_range(&oldest));
            spend(&mut self.spent, over(oldest));
        }
        self.retired.push(range);
    }

    /// What was passed over is looked at again once it, or the file whose copy it is, is not what it was.
    fn review_passed_over(&mut self, found: &[Found]) {
        let (followers, retired, disk) = (&self.followers, &self.retired, &self.disk);
        self.passed_over.retain(|file| {
            let is_it = |it: &Found| it.inode == file.inode && it.len == file.len;
            // No pattern may lead to it.
            let is_there =
                || disk.status(&file.path).is_ok_and(|it| Inode::of(&it) == file.inode && it.len == file.len);
            let unchanged = found.iter().any(is_it) || is_there();
            let original = |id: &String| {
                followers.iter().any(|follower| follower.id() == Some(id) && !follower.cut)
                    || retired.iter().any(|range| range.id == *id && Inode::in_range(range) == file.inode)
            };
            unchanged && file.original.as_ref().is_none_or(original)
        });
    }

    /// Files that need no opening: they are followed, or passed over. What a file holds after it was cut is another file, also while it is
    /// open what has become of the old one: it may be deleted by then.
    fn settled(&self) -> BTreeSet<Inode> {
        let followed = self.followers.iter().filter(|follower| !follower.cut && !follower.is_cut());
        let followed = followed.map(|follower| follower.inode);
        followed.chain(self.passed_over.iter().map(|file| file.inode)).collect()
    }

    /// Whether an archive is, most likely, what became of a file that was read as it was written.
    fn begins_like_one_that_was_read(&self, source: usize, archive: &Arc<dyn OpenFile>) -> bool {
        let source = &self.source(source).name;
        let is_it = |range: FileRange| packed::has_head_of(archive, &range).unwrap_or(false);
        self.positions().into_iter().filter(|range| range.source == *source).any(is_it)
    }

    /// Of the file as it lies on the disk; 0 when it cannot be had.
    fn len_of(&self, path: &Path, inode: Inode) -> u64 {
        let status = self.disk.status(path).ok().filter(|status| Inode::of(status) == inode);
        status.map_or(0, |status| status.len)
    }

    /// Puts into the health how many files there are and what stands in the way.
    fn tell(&self, health: &[SourceHealth], problems: Vec<Option<String>>) {
        for (index, (source, problem)) in health.iter().zip(problems).enumerate() {
            let followers = || self.followers.iter().filter(|follower| follower.source == index);
            source.files.store(followers().count() as u64, Relaxed);
            note(source, problem.or_else(|| followers().find_map(Follower::problem)));
        }
    }
}

/// Bytes from where `range` ends.
fn bytes_missing(range: &FileRange, to: Option<u64>) -> Gap {
    Gap {
        of: "bytes".to_owned(),
        source: range.source.clone(),
        file: Some(range.id.clone()),
        from: range.to,
        to,
        ..Gap::default()
    }
}

/// A piece that is held, as seals name it.
fn held(id: &str, place: Place) -> Held {
    Held { id: id.to_owned(), offset: place.offset, length: place.length }
}

/// Nothing more will come of the file.
fn over(range: FileRange) -> FileRange {
    FileRange { from: range.to, sha256: hex(&Sha256::digest(b"")), rows: 0, ended: true, ..range }
}

/// Remembers a file that has ended, and forgets the oldest when there are too many.
fn spend(spent: &mut Vec<FileRange>, range: FileRange) {
    if spent.len() >= FILES_MAX {
        spent.remove(0);
    }
    spent.push(range);
}

/// Notes a standing problem, and logs it when it is a new one.
pub fn note(health: &SourceHealth, problem: Option<String>) {
    if health.problem.set(problem.clone())
        && let Some(problem) = problem
    {
        warn!(source = %health.name, "{problem}");
    }
}

/// Notices whether a pattern still leads to the follower's file, under whatever name.
fn place(disk: &dyn Disk, follower: &mut Follower, found: Option<&Found>, now_ms: u64) {
    match found {
        Some(file) => {
            follower.moved_since_ms = None;
            let here = disk.status(&follower.path).is_ok_and(|status| Inode::of(&status) == follower.inode);
            if !here {
                follower.path.clone_from(&file.path);
                follower.origin = None;
            }
        }
        None => {
            follower.moved_since_ms.get_or_insert(now_ms);
        }
    }
}

fn folder_of(range: &FileRange) -> &Path {
    Path::new(&range.path).parent().unwrap_or(Path::new("/"))
}
