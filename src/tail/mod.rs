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

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use sealtrail_seal::{FileRange, Gap, Held};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::config::plan::{SourcePlan, StartAt};
use crate::disk::{Disk, OpenFile};
use crate::event::{Place, file_id};
use crate::health::{SourceHealth, WatchHealth};
use crate::held::Held as Pieces;
use crate::hex::hex;
use crate::host::Host;
use crate::journal::write::Act;
use crate::limits::{ENDED_KEPT_MAX, FILES_MAX, HEAD_BYTES_MAX, LISTINGS_MAX, ROTATED_QUIET_MS};
use crate::sessions::numbered::{FileId, file_id as file_id_of};
use archives::{Archives, Content, Unpacked};
use find::{Found, Patterns, base_dir, files_in};
use follow::{Aside, Follower, Refused};
use identity::{Fit, Inode, bytes_before, compare, first_bytes};
use lineage::{Lineage, by_age, live_name};
use siblings::{Bystanders, Rotated};
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
    /// Logs of which an archive is not unpacked yet that may hold what was never read: by source and name.
    unpacking: BTreeSet<(usize, PathBuf)>,
    /// What the last seals say of files that have not been found again yet.
    known: Vec<FileRange>,
    /// Read to their end under a name that no pattern matches: not read twice if they come back.
    retired: Vec<FileRange>,
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
    /// Archives that this look could not open, since they are not looked through yet.
    not_unpacked: BTreeSet<Inode>,
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

/// What there is to be said about a candidate for an id.
enum Claim {
    Free,
    /// The same log: reading goes on where this range stands.
    Same(Box<FileRange>),
    /// What another file, which has this id, holds.
    Copy(String),
    /// The same file, which has lost what was read behind this place.
    Shortened(u64),
    Wait,
    Other,
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
            unpacking: BTreeSet::new(),
            known,
            retired: Vec::new(),
            passed_over: Vec::new(),
            spent,
            held,
            rotated: Vec::new(),
            lay_there: Bystanders::default(),
            noted: false,
            sealed_at,
            deleted: Vec::new(),
            unopened: Vec::new(),
            not_unpacked: BTreeSet::new(),
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
        // to be all there is only when nothing more is found.
        for _ in 0..LISTINGS_MAX {
            self.opened = 0;
            let found = self.list(now_ms, health, &mut looked);
            looked.sights = self.sights(&found);
            self.first_look = false;
            if self.opened == 0 {
                break;
            }
        }
        self.put_in_order();
        looked.deleted = std::mem::take(&mut self.deleted);
        self.archives.forget_unasked();
        looked
    }

    fn list(&mut self, now_ms: u64, health: &[SourceHealth], looked: &mut Looked) -> Vec<Found> {
        self.watch.forget_missing(self.disk.as_ref());
        let found = self.find();
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
        self.forget_deleted(looked);
        self.review_passed_over(&found);
        self.unopened.clear();
        self.not_unpacked.clear();
        self.adopt_siblings(now_ms, health, &mut problems);
        self.note_what_lies_there(&found);
        let settled = self.settled();
        for file in found.iter().filter(|file| !settled.contains(&file.inode)) {
            self.open(file.clone(), now_ms, health, &mut problems);
        }
        self.tell(health, problems);
        found
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
        self.followers.iter().any(follower_is)
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

    /// Whether something older of that follower's log is still to come out of an archive.
    pub fn waits_for_archive(&self, index: usize) -> bool {
        let lineage = self.lineages.get(&self.followers[index].lineage);
        let is_unpacking = |lineage: &Lineage| self.unpacking.contains(&(lineage.source, lineage.live.clone()));
        // Where there are too many to be open at a time, those that are have to be read first.
        !self.unpacking.is_empty() && !self.archives.are_too_many() && lineage.is_some_and(is_unpacking)
    }

    /// The files that were written in the place of that one before it, and are followed: oldest first.
    pub fn older(&self, index: usize) -> Vec<usize> {
        let lineage = self.followers[index].lineage;
        let older = self.followers[..index].iter().enumerate().filter(move |(_, other)| other.lineage == lineage);
        older.map(|(index, _)| index).collect()
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
        let archive_len = if follower.archived { self.len_of(&follower.path) } else { 0 };
        let range = FileRange { ended, archive_len, ..range };
        if ended {
            spend(&mut self.spent, range.clone());
        } else {
            self.keep_retired(FileRange { from: range.to, sha256: String::new(), rows: 0, ..range.clone() });
            if follower.archived {
                let passed_over = PassedOver {
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
                    inode: follower.inode,
                    len: self.len_of(&follower.path),
                    original: Some(id),
                    since_ms: now_ms,
                }
            }
            // Opened anew by the next look.
            Some(Aside::Archive) | None => {
                PassedOver { inode: follower.inode, len: 0, original: None, since_ms: now_ms }
            }
        };
        self.passed_over.push(passed_over);
    }

    /// Learns a file's id and format, which takes a whole first line.
    pub fn identify(&mut self, index: usize, now_ms: u64) -> Result<Identity, Refused> {
        if self.followers[index].id().is_none() {
            let follower = &mut self.followers[index];
            // Before its first line: a small archive may have none.
            if !follower.archived && packed::is_archive(follower.file().as_ref()).unwrap_or(false) {
                follower.aside = Some(Aside::Archive);
                return Ok(Identity::Aside);
            }
            let Some(line) = follower.first_line()? else { return Ok(Identity::Young) };
            match self.claim_id(index, &line, now_ms) {
                Ok(Identity::Known) => {}
                Ok(identity) => return Ok(identity),
                // What has to be compared is not unpacked yet.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.followers[index].undecided = true;
                    return Ok(Identity::Young);
                }
                Err(error) => return Err(Refused(error.to_string())),
            }
        }
        let follower = &mut self.followers[index];
        let plan = &self.sources[follower.source].plan;
        Ok(if follower.learn_format(plan)? { Identity::Known } else { Identity::Young })
    }

    /// Gives the file an id: that of the log whose bytes it holds, or one that no file has had.
    fn claim_id(&mut self, index: usize, line: &[u8], now_ms: u64) -> io::Result<Identity> {
        let source = self.source(self.followers[index].source).name.clone();
        self.followers[index].undecided = false;
        let mut from = 0;
        for twin in 0.. {
            let id = file_id(&source, line, twin);
            match self.claim(index, &id, now_ms)? {
                Claim::Free => {
                    self.begin_at(index, from, id)?;
                    break;
                }
                Claim::Shortened(len) => from = from.max(len),
                Claim::Same(range) => {
                    self.resume_as(index, &range)?;
                    break;
                }
                Claim::Copy(id) => {
                    self.followers[index].aside = Some(Aside::CopyOf(id));
                    return Ok(Identity::Aside);
                }
                Claim::Wait => {
                    self.followers[index].undecided = true;
                    return Ok(Identity::Young);
                }
                Claim::Other => {}
            }
        }
        Ok(Identity::Known)
    }

    /// Compares the file with the one that has, or had, this id.
    fn claim(&mut self, index: usize, id: &str, now_ms: u64) -> io::Result<Claim> {
        let follower = &self.followers[index];
        if let Some(other) = self.followers.iter().position(|other| other.id() == Some(id)) {
            return self.claim_followed(index, other, now_ms);
        }
        let unfollowed = [&self.known, &self.retired, &self.spent];
        let Some(range) = unfollowed.into_iter().flatten().find(|range| range.id == id) else {
            return Ok(Claim::Free);
        };
        let fit = compare(range, follower.file().as_ref())?;
        if fit != Fit::Same
            && Inode::in_range(range) == follower.inode
            && let Some(len) = shortened(range, follower.file().as_ref())?
        {
            return Ok(Claim::Shortened(len));
        }
        let quiet = now_ms.saturating_sub(follower.found_ms) >= ROTATED_QUIET_MS;
        Ok(match fit {
            Fit::Same if self.is_looked_for(range, follower.inode) => Claim::Wait,
            Fit::Same => Claim::Same(Box::new(range.clone())),
            Fit::Shorter => Claim::Wait,
            Fit::Young if !quiet => Claim::Wait,
            Fit::Young | Fit::Other => Claim::Other,
        })
    }

    /// Whether the file that was read is there, not the one at hand, and could not be opened so far: what it holds decides whether a copy
    /// of it is read, and what is told of it, and that is for the next look.
    fn is_looked_for(&self, range: &FileRange, at_hand: Inode) -> bool {
        let inode = Inode::in_range(range);
        let is_known = self.known.iter().any(|known| known.id == range.id);
        let in_folder = || files_in(self.disk.as_ref(), folder_of(range)).unwrap_or_default();
        is_known && inode != at_hand && in_folder().iter().any(|(_, there)| *there == inode)
    }

    /// Two files that begin with the same line, both open. The longer one of two that agree is the log, the other its copy.
    fn claim_followed(&mut self, index: usize, other: usize, now_ms: u64) -> io::Result<Claim> {
        let (file, original) = (Arc::clone(self.followers[index].file()), &self.followers[other]);
        let len = file.status()?.len;
        if original.is_cut() {
            // Which file goes on in which is for the next look.
            return Ok(Claim::Wait);
        }
        let original_len = original.len_on_disk()?;
        let both = len.min(original_len);
        if !agree(file.as_ref(), original.file().as_ref(), both)? {
            return Ok(Claim::Other);
        }
        let id = original.id().unwrap_or_default().to_owned();
        if len > original_len && len > original.read_to() {
            let copy = &self.followers[index];
            let (path, inode, archived) = (copy.path.clone(), copy.inode, copy.archived);
            let original = &mut self.followers[other];
            let was = (original.path.clone(), original.inode);
            info!(from = %was.0.display(), to = %path.display(), "the same log, and longer: reading on there");
            original.go_on_in(path, file, inode, now_ms);
            original.archived = archived;
            original.moved_since_ms = None;
            // The shorter one takes the place of the copy that is passed over.
            (self.followers[index].path, self.followers[index].inode) = was;
        }
        Ok(Claim::Copy(id))
    }

    /// Gives the file its id. One that lost its end is entered where what is left of it ends: all of that was read.
    fn begin_at(&mut self, index: usize, from: u64, id: String) -> io::Result<()> {
        if from > 0 {
            let old = &self.followers[index];
            warn!(file = %old.path.display(), from, "shorter than what was read of it: its end was lost after it was read");
            let plan = &self.sources[old.source].plan;
            let (path, file) = (old.path.clone(), Arc::clone(old.file()));
            let anew = Follower::begin(old.source, path, file, old.inode, plan, plan.format, from)?;
            self.followers[index] = anew.in_place_of(old);
        }
        self.followers[index].set_id(id);
        Ok(())
    }

    fn resume_as(&mut self, index: usize, range: &FileRange) -> io::Result<()> {
        let follower = &self.followers[index];
        let (path, file) = (follower.path.clone(), Arc::clone(follower.file()));
        let resumed =
            Follower::resume(follower.source, path, file, follower.inode, &self.sources[follower.source].plan, range)?;
        let mut resumed = resumed.in_place_of(&self.followers[index]);
        resumed.hold_again(&self.held)?;
        resumed.lineage = self.lineage_of(resumed.source, Path::new(&range.path));
        info!(file = %resumed.path.display(), from = range.to, "the same log in another file: reading on");
        self.followers[index] = resumed;
        self.forget(&range.id);
        Ok(())
    }

    fn forget(&mut self, id: &str) {
        self.known.retain(|range| range.id != id);
        self.retired.retain(|range| range.id != id);
        self.spent.retain(|range| range.id != id);
        self.held.retain(|held| held.id != id);
    }

    /// A file that was cut in place goes on in a copy of what it held, if there is one; else it is over.
    fn go_on_in_copies(&mut self, found: &[Found], now_ms: u64, looked: &mut Looked) {
        for index in (0..self.followers.len()).rev() {
            let follower = &self.followers[index];
            if follower.id().is_none() || follower.refused.is_some() {
                // Nothing of it was read: what it holds once it was cut is found anew.
                if follower.has_shrunk() {
                    self.followers.remove(index);
                }
                continue;
            }
            if follower.cut || !follower.is_cut() {
                continue;
            }
            let place = follower.place(&self.source(follower.source).name);
            let (inode, last_read_ms) = (follower.inode, follower.last_read_ms);
            match self.find_copy(&place, inode, found) {
                Copies::Whole(copy) => {
                    let len = copy.file.status().map_or(place.to, |status| status.len);
                    let follower = &self.followers[index];
                    self.rotated.extend(rotated(follower.source, &follower.path, copy.file.as_ref()));
                    let follower = &mut self.followers[index];
                    let range = FileRange { to: len.max(place.to), ..place };
                    looked.acts.push(cut_away(follower, &range, Some(&copy.path)));
                    info!(file = range.path, copy = %copy.path.display(), "cut in place: reading on in its copy");
                    follower.go_on_in(copy.path, copy.file, copy.inode, now_ms);
                    follower.archived = copy.archived;
                    follower.moved_since_ms = Some(now_ms);
                    let inode = copy.inode;
                    self.followers.retain(|follower| follower.inode != inode || follower.id().is_some());
                    self.passed_over.retain(|file| file.inode != inode);
                }
                // It is being compressed, perhaps.
                Copies::Later => {}
                Copies::Unfinished if now_ms.saturating_sub(last_read_ms) < ROTATED_QUIET_MS => {}
                Copies::Unfinished | Copies::None => self.followers[index].cut = true,
            }
        }
    }

    /// A file whose handle is stale is looked for anew, like one of before at a start: it may be there still, or a copy of it, or it is gone.
    fn let_go_of_stale(&mut self, looked: &mut Looked) {
        for mut follower in self.followers.extract_if(.., |follower| follower.is_stale()) {
            warn!(file = %follower.path.display(), "the handle is stale: looking for the file anew");
            // Pieces that are in memory stay there: the rest of their rows may come from another file.
            let id = follower.id().unwrap_or_default().to_owned();
            let unread = follower.held_before.iter().map(|(place, _)| held(&id, *place));
            self.held.extend(unread.collect::<Vec<_>>());
            let range = follower.seal(&self.sources[follower.source].plan.name);
            if !range.id.is_empty() {
                self.known.push(FileRange { from: range.to, sha256: String::new(), rows: 0, ..range.clone() });
                looked.ended.push(range);
            }
        }
    }

    /// Finds the files that seals told of: under their inode, or by what they hold. One that is nowhere is gone.
    fn find_known(&mut self, found: &[Found], now_ms: u64, looked: &mut Looked) {
        for range in std::mem::take(&mut self.known) {
            let Some(source) = self.sources.iter().position(|source| source.plan.name == range.source) else {
                // The source was taken out of the configuration: it may come back.
                self.keep_retired(range);
                continue;
            };
            match self.find_again(&range, found) {
                Ok(Again::Here(copy)) => {
                    let in_place = found.iter().any(|file| file.path == copy.path);
                    // What no pattern leads to was left behind itself, and others are not named after it.
                    let live = self.sources[source].live_name(Path::new(&range.path));
                    if copy.path != live && self.sources[source].patterns.lead_to(&live) {
                        self.rotated.extend(rotated(source, &live, copy.file.as_ref()));
                    }
                    // What was packed was whole; what was copied may have been written on, wherever it is now.
                    let may_go_on = !copy.archived || self.is_there(&range, found);
                    if copy.inode != Inode::in_range(&range) && may_go_on {
                        looked.acts.push(cut_while_away(&range, &copy));
                    }
                    match self.resume(source, copy, &range, in_place, now_ms) {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_archive(source, range),
                        Err(error) => {
                            warn!(file = range.path, %error, "cannot read");
                            self.known.push(range);
                        }
                    }
                }
                Ok(Again::Done(inode)) => {
                    let original = Some(range.id.clone());
                    self.passed_over.push(PassedOver { inode, len: range.archive_len, original, since_ms: now_ms });
                    self.keep_retired(range);
                }
                Ok(Again::Later) => self.known.push(range),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_archive(source, range),
                Ok(Again::Gone) => {
                    let live = self.sources[source].live_name(Path::new(&range.path));
                    self.rotated.extend(self.sealed_at.map(|modified| Rotated { source, live, modified }));
                    self.gone(range, looked);
                }
                // The folder cannot be listed (a volume that is not mounted): the file may come back.
                Err(error) => {
                    warn!(file = range.path, %error, "cannot look for a file that was read before");
                    self.known.push(range);
                }
            }
        }
    }

    /// A file of before is in an archive that is not unpacked so far, or went on to another name just now: what was written after it waits.
    fn wait_for_archive(&mut self, source: usize, range: FileRange) {
        self.unpacking.insert((source, live_name(Path::new(&range.path))));
        self.known.push(range);
    }

    /// Whether the file itself is there, whatever it holds.
    fn is_there(&self, range: &FileRange, found: &[Found]) -> bool {
        let inode = Inode::in_range(range);
        let in_folder = || files_in(self.disk.as_ref(), folder_of(range)).unwrap_or_default();
        found.iter().any(|file| file.inode == inode) || in_folder().iter().any(|(_, there)| *there == inode)
    }

    fn find_again(&mut self, range: &FileRange, found: &[Found]) -> io::Result<Again> {
        let inode = Inode::in_range(range);
        let in_folder = self.settled_files_in(folder_of(range), inode)?;
        let places = found.iter().map(|file| (&file.path, file.inode));
        let mut places = places.chain(in_folder.iter().map(|(path, inode)| (path, *inode)));
        if let Some((path, _)) = places.find(|(_, there)| *there == inode) {
            if range.archive_len > 0 && self.len_of(path) == range.archive_len {
                return Ok(Again::Done(inode));
            }
            // Seen and not to be opened: that is no reason to call it gone.
            let opened = match self.disk.open(path) {
                Ok(opened) if Inode::of(&opened.status()?) == inode => opened,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // It was renamed since it was listed: it is listed again.
                Ok(_) | Err(_) => {
                    self.opened += 1;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            };
            if let Content::Log(file) | Content::Archived(file) = self.archives.content_of(opened)?
                && compare(range, file.as_ref())? == Fit::Same
            {
                let archived = range.archive_len > 0;
                return Ok(Again::Here(Copy { path: path.clone(), file, inode, archived }));
            }
        }
        Ok(match self.find_copy(range, inode, found) {
            Copies::Whole(copy) => Again::Here(copy),
            Copies::Unfinished => Again::Later,
            Copies::Later => return Err(io::ErrorKind::WouldBlock.into()),
            Copies::None => Again::Gone,
        })
    }

    /// The files in a folder. While names go from one file to the next a listing may miss one, which is not gone then.
    fn settled_files_in(&self, folder: &Path, wanted: Inode) -> io::Result<Vec<(PathBuf, Inode)>> {
        let mut files = files_in(self.disk.as_ref(), folder)?;
        for _ in 1..LISTINGS_MAX {
            if files.iter().any(|(_, inode)| *inode == wanted) {
                break;
            }
            let again = files_in(self.disk.as_ref(), folder)?;
            if again == files {
                break;
            }
            files = again;
        }
        Ok(files)
    }

    fn resume(&mut self, source: usize, copy: Copy, range: &FileRange, in_place: bool, now_ms: u64) -> io::Result<()> {
        let mut follower =
            Follower::resume(source, copy.path, copy.file, copy.inode, &self.sources[source].plan, range)?;
        follower.hold_again(&self.held)?;
        follower.lineage = self.lineage_of(source, Path::new(&range.path));
        self.held.retain(|held| held.id != range.id);
        follower.archived = copy.archived;
        follower.found_ms = now_ms;
        follower.moved_since_ms = (!in_place).then_some(now_ms);
        info!(file = %follower.path.display(), from = range.to, "reading on");
        // It may have waited to be told what it is a copy of.
        self.followers.retain(|other| other.inode != follower.inode || other.id().is_some());
        self.followers.push(follower);
        Ok(())
    }

    /// A file that was read before and is nowhere any more, or holds something else.
    fn gone(&mut self, range: FileRange, looked: &mut Looked) {
        // What was read of rows that were not whole is gone with the rest of them. The seals account for its bytes all the same.
        let held = self.held.extract_if(.., |held| held.id == range.id).map(|held| held.offset).min();
        let lost = FileRange { to: held.unwrap_or(range.to), ..range.clone() };
        let here = self.disk.status(Path::new(&range.path)).is_ok_and(|it| Inode::of(&it) == Inode::in_range(&range));
        let (action, what) =
            if here { ("FILE CUT", "holds something else") } else { ("FILE GONE", "not there any more") };
        let message = format!(
            "{what}; it was read up to byte {}, and what it held behind that, if anything, was not seen",
            lost.to
        );
        warn!(file = range.path, "{message}");
        looked.acts.push(Act::new(action, message).of_file(&range.path).unknown().with_gap(bytes_missing(&lost, None)));
        let ended = over(range);
        spend(&mut self.spent, ended.clone());
        looked.ended.push(ended);
    }

    /// Files that hold, up to where `range` stands, what it tells of. The longest of them is where the log goes on.
    fn find_copy(&mut self, range: &FileRange, except: Inode, found: &[Found]) -> Copies {
        let found = found.iter().map(|file| (file.path.clone(), file.inode));
        // A folder that cannot be listed has no copies.
        let in_folder = files_in(self.disk.as_ref(), folder_of(range)).unwrap_or_default();
        let (mut best, mut unfinished, mut later) = (None::<(u64, Copy)>, false, false);
        for (path, inode) in found.chain(in_folder) {
            let followed = self.followers.iter().any(|follower| follower.inode == inode && follower.id().is_some());
            if inode == except || followed || best.as_ref().is_some_and(|(_, copy)| copy.inode == inode) {
                continue;
            }
            // What cannot be read holds nothing for us now; that it cannot is said when it is opened as a log.
            let Ok(file) = self.disk.open(&path) else { continue };
            match self.holds(range, file) {
                Ok(Holds::Log { file, archived }) => {
                    let len = file.status().map_or(0, |status| status.len);
                    if best.as_ref().is_none_or(|(longest, _)| len > *longest) {
                        best = Some((len, Copy { path, file, inode, archived }));
                    }
                }
                Ok(Holds::Unfinished) => unfinished = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => later = true,
                Ok(Holds::Other) | Err(_) => {}
            }
        }
        match best {
            _ if later => Copies::Later,
            Some((_, copy)) => Copies::Whole(copy),
            None => match self.open_copy(range, except) {
                Copies::None if unfinished => Copies::Unfinished,
                copies => copies,
            },
        }
    }

    /// Whether a file, or what an archive holds, has the bytes that `range` tells of. An archive is read through only if it begins with them.
    fn holds(&mut self, range: &FileRange, file: Arc<dyn OpenFile>) -> io::Result<Holds> {
        if !packed::begins_with(&file, range)? {
            return Ok(Holds::Other);
        }
        let (file, archived) = match self.archives.content_of(file)? {
            Content::Log(file) => (file, false),
            Content::Archived(file) => (file, true),
            Content::Unfinished => return Ok(Holds::Unfinished),
        };
        Ok(if compare(range, file.as_ref())? == Fit::Same { Holds::Log { file, archived } } else { Holds::Other })
    }

    /// A copy that is open and has no name any more: it was waiting to be told what it is a copy of.
    fn open_copy(&self, range: &FileRange, except: Inode) -> Copies {
        let waits = |follower: &&Follower| follower.id().is_none() && follower.inode != except;
        for follower in self.followers.iter().filter(waits) {
            let file = Arc::clone(follower.file());
            match compare(range, file.as_ref()) {
                Ok(Fit::Same) => {
                    let (path, inode, archived) = (follower.path.clone(), follower.inode, follower.archived);
                    return Copies::Whole(Copy { path, file, inode, archived });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Copies::Later,
                // What cannot be read holds nothing for us now.
                Ok(_) | Err(_) => {}
            }
        }
        Copies::None
    }

    /// Reads what was born and rotated away between two looks, and has a name that no pattern matches.
    fn adopt_siblings(&mut self, now_ms: u64, health: &[SourceHealth], problems: &mut [Option<String>]) {
        let mut all = std::mem::take(&mut self.rotated);
        let linked = all.iter().filter_map(|rotated| rotated.behind_link(self.disk.as_ref())).collect::<Vec<_>>();
        all.extend(linked);
        siblings::merge(&mut all);
        for rotated in all {
            // A folder that cannot be listed now is listed when the file itself cannot be found.
            let folder = rotated.live.parent().unwrap_or(Path::new("/"));
            let unopened = (self.unopened.len(), self.not_unpacked.len());
            for (path, inode) in files_in(self.disk.as_ref(), folder).unwrap_or_default() {
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
    fn is_known(&self, inode: Inode) -> bool {
        let read = self.retired.iter().chain(&self.known).any(|range| Inode::in_range(range) == inode);
        read || self.settled().contains(&inode)
    }

    /// Takes note, once, of the files beside those that match: nothing of them is read, then or later. Where a file of before was not found
    /// again yet, it is open which of them are newer.
    fn note_what_lies_there(&mut self, found: &[Found]) {
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
                    self.not_unpacked.contains(&inode) || self.unopened.iter().any(|(_, file)| file.inode == inode);
                let matches = found.iter().any(|file| file.inode == inode);
                if !(waits || matches || self.is_known(inode))
                    && let Ok(status) = self.disk.status(&path)
                {
                    self.lay_there.add(&status);
                }
            }
        }
    }

    /// Files that were read to their end and are deleted by now need not be remembered as files, only as logs.
    fn forget_deleted(&mut self, looked: &mut Looked) {
        for mut range in std::mem::take(&mut self.retired) {
            let inode = Inode::in_range(&range);
            let is_it = |path: &Path| self.disk.status(path).is_ok_and(|status| Inode::of(&status) == inode);
            if is_it(Path::new(&range.path)) {
                self.retired.push(range);
                continue;
            }
            match files_in(self.disk.as_ref(), folder_of(&range)) {
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
                    }
                },
                // Nobody can say whether it is still there.
                Err(_) => self.retired.push(range),
            }
        }
    }

    fn keep_retired(&mut self, range: FileRange) {
        if self.retired.len() >= FILES_MAX {
            // Forgotten as a file. If it comes back under a name that matches, its content still tells what it is.
            let oldest = self.retired.remove(0);
            spend(&mut self.spent, over(oldest));
        }
        self.retired.push(range);
    }

    /// What was passed over is looked at again once it, or the file whose copy it is, is not what it was.
    fn review_passed_over(&mut self, found: &[Found]) {
        let (followers, retired) = (&self.followers, &self.retired);
        self.passed_over.retain(|file| {
            let unchanged = found.iter().any(|it| it.inode == file.inode && it.len == file.len);
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

    /// Has what this look has found read in its order: in each lineage oldest first, whatever order the files were found in. Where an archive is
    /// still to come nothing is read, and its place may be before them.
    fn put_in_order(&mut self) {
        let new: Vec<usize> = (0..self.followers.len()).filter(|index| !self.followers[*index].ordered).collect();
        for &index in &new {
            if self.followers[index].lineage == 0 {
                let (source, path) = (self.followers[index].source, self.followers[index].path.clone());
                self.followers[index].lineage = self.lineage_of(source, &path);
            }
            self.followers[index].ordered = !self.waits_for_archive(index);
        }
        let names = self.names_of(&new);
        // When it was written to last counts where names do not say; of what cannot be asked it is unknown.
        let written = |follower: &Follower| follower.file().status().ok().map(|status| status.modified);
        let by_age = |one: &Follower, other: &Follower| {
            let names = names.get(&one.inode).zip(names.get(&other.inode));
            let by_name = names.map_or(Ordering::Equal, |(one, other)| by_age(one, other));
            by_name.then_with(|| written(one).cmp(&written(other)))
        };
        for (count, &index) in new.iter().enumerate() {
            for &other in &new[..count] {
                let (new, before) = (&self.followers[index], &self.followers[other]);
                if new.lineage == before.lineage && by_age(new, before).is_lt() {
                    self.followers.swap(index, other);
                }
            }
        }
        let used: BTreeSet<u64> = self.followers.iter().map(|follower| follower.lineage).collect();
        self.lineages.retain(|number, lineage| used.contains(number) || !lineage.held.is_empty());
    }

    /// What those files are called now, in the folder where their log is written: what one was found under may have gone on to another.
    fn names_of(&self, followers: &[usize]) -> BTreeMap<Inode, PathBuf> {
        if followers.len() < 2 {
            return BTreeMap::new();
        }
        let live = |index: &usize| self.lineages.get(&self.followers[*index].lineage).map(|lineage| &lineage.live);
        let folders: BTreeSet<&Path> = followers.iter().filter_map(live).filter_map(|live| live.parent()).collect();
        // A folder that cannot be listed has no names.
        let files = folders.into_iter().flat_map(|folder| files_in(self.disk.as_ref(), folder).unwrap_or_default());
        files.map(|(path, inode)| (inode, path)).collect()
    }

    /// The number of the log that is written under a file's name without what rotation put behind it.
    fn lineage_of(&mut self, source: usize, path: &Path) -> u64 {
        let live = live_name(path);
        let is_it = |lineage: &Lineage| lineage.source == source && lineage.live == live;
        if let Some((number, _)) = self.lineages.iter().find(|(_, lineage)| is_it(lineage)) {
            return *number;
        }
        self.lineages_ever += 1;
        self.lineages.insert(self.lineages_ever, Lineage { source, live, held: Pieces::default() });
        self.lineages_ever
    }

    fn find(&mut self) -> Vec<Found> {
        let disk = self.disk.as_ref();
        let (mut found, mut inodes) = (Vec::new(), BTreeSet::new());
        for (index, source) in self.sources.iter().enumerate() {
            for glob in &source.plan.paths {
                self.watch.add(disk, &base_dir(glob));
            }
            source.patterns.find(disk, index, &mut inodes, &mut found);
        }
        for file in &found {
            self.watch.add(disk, file.path.parent().unwrap_or(Path::new("/")));
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

    fn open(&mut self, file: Found, now_ms: u64, health: &[SourceHealth], problems: &mut [Option<String>]) {
        let problem = &mut problems[file.source];
        if self.followers.len() >= FILES_MAX {
            *problem = Some(format!("more than {FILES_MAX} files: {} waits", file.path.display()));
            return;
        }
        // Behind a symbolic link the file changes in another folder. A link that leads nowhere has no folder to watch.
        if let Ok(real) = self.disk.real_path(&file.path) {
            self.watch.add(self.disk.as_ref(), real.parent().unwrap_or(Path::new("/")));
        }
        match self.follow(&file, now_ms) {
            Ok(Some(follower)) => {
                self.opened += 1;
                // Under a name that has gone on to another file nobody knows which files stand before it: it is listed again.
                if follower.inode == file.inode {
                    info!(file = %file.path.display(), from = follower.frames.offset(), "reading");
                    self.followers.push(follower);
                }
            }
            Ok(None) => {
                self.passed_over.push(PassedOver {
                    inode: file.inode,
                    len: file.len,
                    original: None,
                    since_ms: now_ms,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.not_unpacked.insert(file.inode);
                if self.first_look {
                    self.first_archives.insert(file.inode);
                }
                if !self.begins_like_one_that_was_read(&file) {
                    self.unpacking.insert((file.source, live_name(&file.path)));
                }
            }
            Err(error) => {
                health[file.source].errors.fetch_add(1, Relaxed);
                *problem = Some(format!("cannot read {}: {error}", file.path.display()));
                // One that went away since it was found can be neither read nor not read.
                if error.kind() != io::ErrorKind::NotFound {
                    let (inode, why) = (file.inode, error.to_string());
                    self.unopened.push((file.source, Unreadable { inode, path: file.path, len: file.len, why }));
                }
            }
        }
    }

    /// Whether an archive is, most likely, what became of a file that was read as it was written.
    fn begins_like_one_that_was_read(&self, file: &Found) -> bool {
        // What cannot be opened now is asked about again by the next look.
        let Ok(archive) = self.disk.open(&file.path) else { return true };
        let source = &self.source(file.source).name;
        let is_it = |range: FileRange| packed::has_head_of(&archive, &range).unwrap_or(false);
        self.positions().into_iter().filter(|range| range.source == *source).any(is_it)
    }

    /// `None`: an archive that is not whole yet.
    fn follow(&mut self, found: &Found, now_ms: u64) -> io::Result<Option<Follower>> {
        let opened = self.disk.open(&found.path)?;
        // The path may lead elsewhere by now: what was opened is what counts.
        let status = opened.status()?;
        let inode = Inode::of(&status);
        let (file, archived) = match self.archives.content_of(opened)? {
            Content::Log(file) => (file, false),
            Content::Archived(file) => (file, true),
            Content::Unfinished => return Ok(None),
        };
        let plan = &self.sources[found.source].plan;
        let back = self.retired.iter().position(|range| Inode::in_range(range) == inode && range.source == plan.name);
        if let Some(index) = back
            && compare(&self.retired[index], file.as_ref())? == Fit::Same
        {
            let range = self.retired.remove(index);
            let follower = Follower::resume(found.source, found.path.clone(), file, inode, plan, &range)?;
            return Ok(Some(follower.found(archived, now_ms)));
        }
        let is_first = self.first_look || self.first_archives.contains(&inode);
        let at_end = is_first && self.sealed_at.is_none() && plan.start_at == StartAt::End;
        let from = if at_end { file.status()?.len } else { 0 };
        let follower = Follower::begin(found.source, found.path.clone(), file, inode, plan, plan.format, from)?;
        self.first_archives.remove(&inode);
        Ok(Some(follower.found(archived, now_ms)))
    }

    /// Of the file as it lies on the disk; 0 when it cannot be had.
    fn len_of(&self, path: &Path) -> u64 {
        self.disk.status(path).map_or(0, |status| status.len)
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

/// A file that goes on where another one stood.
struct Copy {
    path: PathBuf,
    file: Arc<dyn OpenFile>,
    inode: Inode,
    archived: bool,
}

enum Copies {
    Whole(Copy),
    /// Only an archive that is still being written, which may become one.
    Unfinished,
    /// There is an archive that is not looked through yet.
    Later,
    None,
}

enum Again {
    Here(Copy),
    /// An archive that was read to its end, and has not changed.
    Done(Inode),
    Later,
    Gone,
}

enum Holds {
    Log { file: Arc<dyn OpenFile>, archived: bool },
    Unfinished,
    Other,
}

/// Whether two files agree at the beginning and before `len`, which both have.
fn agree(one: &dyn OpenFile, other: &dyn OpenFile, len: u64) -> io::Result<bool> {
    let head = len.min(HEAD_BYTES_MAX as u64) as usize;
    Ok(first_bytes(one, head)? == first_bytes(other, head)? && bytes_before(one, len)? == bytes_before(other, len)?)
}

/// Where a file ends that lost what it had, as a log does whose host lost power before it was on the disk: it is shorter, or zeros stand
/// where something stood. `None`: it was not shortened, it holds something else.
fn shortened(range: &FileRange, file: &dyn OpenFile) -> io::Result<Option<u64>> {
    let len = file.status()?.len.min(range.to);
    let mut end = len;
    loop {
        let before = bytes_before(file, end)?;
        let zeros = before.iter().rev().take_while(|byte| **byte == 0).count();
        end -= zeros as u64;
        if zeros < before.len() || end == 0 {
            break;
        }
    }
    Ok((end < range.to).then_some(end))
}

/// The act that tells of a file that was cut in place; `range` ends where reading of what it held has come to, `copy` is where it went on.
fn cut_away(follower: &Follower, range: &FileRange, copy: Option<&Path>) -> Act {
    let path = follower.path.to_string_lossy();
    let seen = follower.len_seen();
    if seen > range.to {
        let message = format!(
            "cut in place: bytes {} to {seen} were seen and went away before they could be read; what was written after that and before the cut, if anything, was not seen",
            range.to
        );
        return Act::new("GAP", message).of_file(path).failed().with_gap(bytes_missing(range, Some(seen)));
    }
    let rest = match copy {
        Some(copy) => format!("its copy {} holds what was read of it and ends at byte {}", copy.display(), range.to),
        None => format!("all that was seen of it, up to byte {}, was read", range.to),
    };
    let message =
        format!("cut in place; {rest}; what was written after that and before the cut, if anything, was not seen");
    Act::new("FILE CUT", message).of_file(path).with_gap(bytes_missing(range, None))
}

/// The same for a file that was cut while nobody looked, and that goes on in a copy.
fn cut_while_away(range: &FileRange, copy: &Copy) -> Act {
    let len = copy.file.status().map_or(range.to, |status| status.len).max(range.to);
    let message = format!(
        "cut in place while the agent was not running; its copy {} ends at byte {len}; what was written after that and before the cut, if anything, was not seen",
        copy.path.display()
    );
    let range = FileRange { to: len, ..range.clone() };
    Act::new("FILE CUT", message).of_file(&range.path).unknown().with_gap(bytes_missing(&range, None))
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

/// A log that was found elsewhere than where it was written to.
fn rotated(source: usize, live: &Path, file: &dyn OpenFile) -> Option<Rotated> {
    // Without the time of its last change nobody can say which of its siblings are newer.
    let modified = file.status().ok()?.modified;
    Some(Rotated { source, live: live.to_owned(), modified })
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
