//! In which order the files of one log are read: oldest first, and none before those that stand before it were found.
//!
//! Where rows may stand in two files the order decides whether they are whole. What a file is called now says how old it is; a file that has lost
//! its name since keeps the place that it had.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Tail;
use super::find::settled_files_in;
use super::follow::Follower;
use super::identity::Inode;
use super::lineage::{Lineage, by_age, is_live, live_name};
use crate::held::Held as Pieces;
use crate::limits::ROTATED_QUIET_MS;

impl Tail {
    /// Whether something older of that follower's log is still to be found, or to come out of an archive.
    pub fn waits_for_older(&self, index: usize, now_ms: u64) -> bool {
        let may_be_found = !self.followers[index].ordered && self.is_restless(now_ms);
        may_be_found || self.waits_for_archive(index)
    }

    /// Whether names go on from file to file faster than the folders are listed. What goes on for long is waited for no longer.
    pub(super) fn is_restless(&self, now_ms: u64) -> bool {
        self.restless_since_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) <= ROTATED_QUIET_MS)
    }

    fn waits_for_archive(&self, index: usize) -> bool {
        let lineage = self.lineages.get(&self.followers[index].lineage);
        let is_unpacking = |lineage: &Lineage| self.unpacking.contains(&(lineage.source, lineage.live.clone()));
        // Where there are too many to be open at a time, those that are have to be read first.
        !self.unpacking.is_empty() && !self.archives.are_too_many() && lineage.is_some_and(is_unpacking)
    }

    /// Whether some file of that log is not read yet since older ones are to come.
    pub fn is_waiting(&self, lineage: u64, now_ms: u64) -> bool {
        let mut of_it = (0..self.followers.len()).filter(|index| self.followers[*index].lineage == lineage);
        of_it.any(|index| self.waits_for_older(index, now_ms))
    }

    /// The files that were written in the place of that one before it, and are followed: oldest first.
    pub fn older(&self, index: usize) -> Vec<usize> {
        let lineage = self.followers[index].lineage;
        let older = self.followers[..index].iter().enumerate().filter(move |(_, other)| other.lineage == lineage);
        older.map(|(index, _)| index).collect()
    }

    /// Has what this look has found read in its order: in each lineage oldest first, whatever order the files were found in. Where an archive or
    /// another file is still to come nothing is read, and its place may be before them.
    pub(super) fn put_in_order(&mut self, now_ms: u64) {
        for index in 0..self.followers.len() {
            if self.followers[index].lineage == 0 {
                let (source, path) = (self.followers[index].source, self.followers[index].path.clone());
                self.followers[index].lineage = self.lineage_of(source, &path);
            }
        }
        self.place_new();
        for index in 0..self.followers.len() {
            self.followers[index].ordered |= !self.waits_for_older(index, now_ms);
        }
        let used: BTreeSet<u64> = self.followers.iter().map(|follower| follower.lineage).collect();
        self.lineages.retain(|number, lineage| used.contains(number) || !lineage.held.is_empty());
    }

    /// Puts each file that is new before those that are younger than it, and not read yet. What was put in its place before stays there:
    /// it may have lost its name since.
    fn place_new(&mut self) {
        let unordered: Vec<usize> = (0..self.followers.len()).filter(|index| !self.followers[*index].ordered).collect();
        let names = self.names_of(&unordered);
        // When it was written to last counts where names do not say; of what cannot be asked it is unknown.
        let written = |follower: &Follower| follower.file().status().ok().map(|status| status.modified);
        let is_older = |one: &Follower, other: &Follower| {
            let by_name = match (names.get(&one.inode), names.get(&other.inode)) {
                (Some(one), Some(other)) => by_age(one, other),
                // What has no name any more was not written to last.
                (Some(one), None) if is_live(one) => Ordering::Greater,
                (None, Some(other)) if is_live(other) => Ordering::Less,
                _ => Ordering::Equal,
            };
            by_name.then_with(|| written(one).cmp(&written(other))).is_lt()
        };
        for index in unordered {
            let new = &self.followers[index];
            if new.placed {
                continue;
            }
            let is_younger = |other: &Follower| {
                other.lineage == new.lineage && other.placed && !other.ordered && is_older(new, other)
            };
            let before = self.followers.iter().position(is_younger).unwrap_or(index);
            let mut new = self.followers.remove(index);
            new.placed = true;
            self.followers.insert(before.min(index), new);
        }
    }

    /// What those files are called now, in the folder where their log is written: what one was found under may have gone on to another.
    fn names_of(&self, followers: &[usize]) -> BTreeMap<Inode, PathBuf> {
        if followers.len() < 2 {
            return BTreeMap::new();
        }
        let live = |index: &usize| self.lineages.get(&self.followers[*index].lineage).map(|lineage| &lineage.live);
        let folders: BTreeSet<&Path> = followers.iter().filter_map(live).filter_map(|live| live.parent()).collect();
        // A folder that cannot be listed has no names.
        let files = folders
            .into_iter()
            .flat_map(|folder| settled_files_in(self.disk.as_ref(), folder, None).unwrap_or_default());
        files.map(|(path, inode)| (inode, path)).collect()
    }

    /// The number of the log that is written under a file's name without what rotation put behind it.
    pub(super) fn lineage_of(&mut self, source: usize, path: &Path) -> u64 {
        let live = live_name(path);
        let is_it = |lineage: &Lineage| lineage.source == source && lineage.live == live;
        if let Some((number, _)) = self.lineages.iter().find(|(_, lineage)| is_it(lineage)) {
            return *number;
        }
        self.lineages_ever += 1;
        self.lineages.insert(self.lineages_ever, Lineage { source, live, held: Pieces::default() });
        self.lineages_ever
    }
}
