//! Where a log goes on that was cut in place, compressed or moved: in a file that holds, up to where reading stood, the same bytes.
//!
//! Looked for among the files that match, those of its folder, and those that are open and have no name any more. Where there is none, what
//! went away is said.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealtrail_seal::FileRange;
use tracing::info;

use super::archives::Content;
use super::find::{Found, settled_files_in};
use super::follow::Follower;
use super::identity::{Fit, Inode, compare};
use super::siblings::rotated;
use super::{Looked, Tail, bytes_missing, folder_of, packed};
use crate::disk::OpenFile;
use crate::journal::write::Act;
use crate::limits::ROTATED_QUIET_MS;

/// A file that goes on where another one stood.
pub(super) struct Copy {
    pub path: PathBuf,
    pub file: Arc<dyn OpenFile>,
    pub inode: Inode,
    pub archived: bool,
}

pub(super) enum Copies {
    Whole(Copy),
    /// Only an archive that is still being written, which may become one.
    Unfinished,
    /// There is an archive that is not looked through yet.
    Later,
    None,
}

enum Holds {
    Log { file: Arc<dyn OpenFile>, archived: bool },
    Unfinished,
    Other,
}

impl Tail {
    /// A file that was cut in place goes on in a copy of what it held, if there is one; else it is over.
    pub(super) fn go_on_in_copies(&mut self, found: &[Found], now_ms: u64, looked: &mut Looked) {
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

    /// Files that hold, up to where `range` stands, what it tells of. The longest of them is where the log goes on.
    pub(super) fn find_copy(&mut self, range: &FileRange, except: Inode, found: &[Found]) -> Copies {
        let found = found.iter().map(|file| (file.path.clone(), file.inode));
        // A folder that cannot be listed has no copies.
        let in_folder = settled_files_in(self.disk.as_ref(), folder_of(range), None).unwrap_or_default();
        let (mut best, mut unfinished, mut later) = (None::<(u64, Copy)>, false, false);
        for (path, listed) in found.chain(in_folder) {
            let is_none = |inode: Inode, best: &Option<(u64, Copy)>| {
                let is_it = |follower: &Follower| follower.inode == inode && follower.id().is_some();
                inode == except
                    || self.followers.iter().any(is_it)
                    || best.as_ref().is_some_and(|(_, copy)| copy.inode == inode)
            };
            if is_none(listed, &best) {
                continue;
            }
            // What cannot be read holds nothing for us now; that it cannot is said when it is opened as a log.
            let Ok(file) = self.disk.open(&path) else { continue };
            // The name may have gone on to another file.
            let Ok(inode) = file.status().map(|status| Inode::of(&status)) else { continue };
            if inode != listed && is_none(inode, &best) {
                continue;
            }
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
}

/// The act that tells of a file that was cut in place; `range` ends where reading of what it held has come to, `copy` is where it went on.
pub(super) fn cut_away(follower: &Follower, range: &FileRange, copy: Option<&Path>) -> Act {
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
