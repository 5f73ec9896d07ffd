//! Files that seals told of, found again: after a start, and when a handle has gone stale.
//!
//! Each is looked for by its inode, then by its content, under whatever name and also in archives, and read on from where its seal stands. One
//! that is nowhere is gone, and that is said.

use std::io;
use std::path::{Path, PathBuf};

use sealtrail_seal::FileRange;
use tracing::{info, warn};

use super::archives::Content;
use super::copies::{Copies, Copy};
use super::find::{Found, settled_files_in};
use super::follow::Follower;
use super::identity::{Fit, Inode, compare, is_stale};
use super::lineage::live_name;
use super::siblings::{Rotated, rotated};
use super::{Looked, PassedOver, Tail, bytes_missing, folder_of, held, over, spend};
use crate::journal::write::Act;

enum Again {
    Here(Copy),
    /// An archive that was read to its end, and has not changed.
    Done(PathBuf, Inode),
    Later,
    Gone,
}

impl Tail {
    /// A file whose handle is stale is looked for anew, like one of before at a start: it may be there still, or a copy of it, or it is gone.
    pub(super) fn let_go_of_stale(&mut self, looked: &mut Looked) {
        self.archives.forget_stale();
        for mut follower in self.followers.extract_if(.., |follower| is_stale(follower.file().as_ref())) {
            warn!(file = %follower.path.display(), "the handle is stale: looking for the file anew");
            // Pieces that are in memory stay there: the rest of their rows may come from another file.
            let id = follower.id().unwrap_or_default().to_owned();
            let unread = follower.held_before.iter().map(|(place, _)| held(&id, *place));
            self.held.extend(unread.collect::<Vec<_>>());
            let range = follower.seal(&self.sources[follower.source].plan.name);
            // Of what nothing was read there is nothing to look for.
            if !range.id.is_empty() && range.to > 0 {
                self.known.push(FileRange { from: range.to, sha256: String::new(), rows: 0, ..range.clone() });
                looked.ended.push(range);
            }
        }
    }

    /// Finds the files that seals told of: under their inode, or by what they hold. One that is nowhere is gone.
    pub(super) fn find_known(&mut self, found: &[Found], now_ms: u64, looked: &mut Looked) {
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
                Ok(Again::Done(path, inode)) => {
                    let original = Some(range.id.clone());
                    self.passed_over.push(PassedOver {
                        path,
                        inode,
                        len: range.archive_len,
                        original,
                        since_ms: now_ms,
                    });
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
        let in_folder = || settled_files_in(self.disk.as_ref(), folder_of(range), Some(inode)).unwrap_or_default();
        found.iter().any(|file| file.inode == inode) || in_folder().iter().any(|(_, there)| *there == inode)
    }

    fn find_again(&mut self, range: &FileRange, found: &[Found]) -> io::Result<Again> {
        let inode = Inode::in_range(range);
        let in_folder = settled_files_in(self.disk.as_ref(), folder_of(range), Some(inode))?;
        let places = found.iter().map(|file| (&file.path, file.inode));
        let mut places = places.chain(in_folder.iter().map(|(path, inode)| (path, *inode)));
        if let Some((path, _)) = places.find(|(_, there)| *there == inode) {
            if range.archive_len > 0 && self.len_of(path, inode) == range.archive_len {
                return Ok(Again::Done(path.clone(), inode));
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

    /// Reads on in a file that was let go of, if it holds what it held; false if it does not.
    pub(super) fn resume_retired(&mut self, source: usize, range: &FileRange, now_ms: u64) -> io::Result<bool> {
        let path = PathBuf::from(&range.path);
        let file = self.disk.open(&path)?;
        let inode = Inode::of(&file.status()?);
        if inode != Inode::in_range(range) || compare(range, file.as_ref())? != Fit::Same {
            return Ok(false);
        }
        self.resume(source, Copy { path, file, inode, archived: false }, range, false, now_ms)?;
        Ok(true)
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
