//! Which log a file is: it gets the id of the one whose bytes it holds, or one that no file has had.
//!
//! Asked once a file, when its first line is whole. What makes it hard: two logs may begin alike, a copy holds what its original holds, and a
//! log that lost its end has the inode and the beginning of what was read. What cannot be told yet waits.

use std::io;
use std::path::Path;
use std::sync::Arc;

use sealtrail_seal::FileRange;
use tracing::{info, warn};

use super::find::settled_files_in;
use super::follow::{Aside, Follower, Refused};
use super::identity::{Fit, Inode, bytes_before, compare, first_bytes};
use super::{Identity, Tail, folder_of, packed};
use crate::disk::OpenFile;
use crate::event::file_id;
use crate::limits::{HEAD_BYTES_MAX, ROTATED_QUIET_MS};

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
        let in_folder = || settled_files_in(self.disk.as_ref(), folder_of(range), Some(inode)).unwrap_or_default();
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
