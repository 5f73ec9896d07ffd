//! What a look has seen of a source: which files there are, which of them cannot be read, and why there is none.
//!
//! For whoever judges whether a source is silent and for how long its files cover what is not read (`lookout`). Reading needs none of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use super::elsewhere::{Elsewhere, elsewhere};
use super::find::{Found, base_dir};
use super::follow::Follower;
use super::identity::Inode;
use super::{Source, Tail};

/// What a look has seen of a source.
#[derive(Debug, Default)]
pub struct Sight {
    /// The files that match, and those that did and are still followed.
    pub files: Vec<SightedFile>,
    /// Those that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Why none matches.
    pub missing: Option<String>,
    /// Where its server may be writing instead, if that was asked for.
    pub elsewhere: Option<Elsewhere>,
}

/// A file of a source.
#[derive(Debug, Clone, Copy)]
pub struct SightedFile {
    /// Which.
    pub inode: Inode,
    /// Its length.
    pub len: u64,
    /// Its last change.
    pub modified: SystemTime,
    /// It is not read to its end.
    pub unread: bool,
}

/// A file that cannot be opened or read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Which.
    pub inode: Inode,
    /// Where.
    pub path: PathBuf,
    /// Its length.
    pub len: u64,
    /// What the system says.
    pub why: String,
}

impl Tail {
    /// One for each source, at the end of a look.
    pub(super) fn sights(&mut self, found: &[Found]) -> Vec<Sight> {
        let missing = self.unmatched(found).into_iter().zip(&self.sources);
        let missing = missing.map(|(problem, source)| problem.map(|problem| self.why_missing(source, problem)));
        let mut sights: Vec<Sight> = missing.map(|missing| Sight { missing, ..Sight::default() }).collect();
        let passed_over = self.passed_over.iter().map(|file| (file.inode, false));
        let followed = self.followers.iter().map(|follower| (follower.inode, is_unread(follower)));
        let unread: BTreeMap<Inode, bool> = passed_over.chain(followed).collect();
        for file in found {
            let (inode, len, modified) = (file.inode, file.len, file.modified);
            let unread = unread.get(&inode).copied().unwrap_or(len > 0);
            sights[file.source].files.push(SightedFile { inode, len, modified, unread });
        }
        for (source, file) in &self.unopened {
            sights[*source].unreadable.push(file.clone());
        }
        self.add_failing(&mut sights);
        self.add_moved(&mut sights);
        sights
    }

    /// Where the server of a source may be writing, if not to the file that it wrote to last.
    pub fn elsewhere(&self, source: usize) -> Option<Elsewhere> {
        let of_source = |follower: &&Follower| follower.source == source && !follower.archived;
        let modified = |follower: &&Follower| follower.file().status().ok().map(|status| status.modified);
        let last = self.followers.iter().filter(of_source).max_by_key(modified)?;
        let is_followed = |inode| self.followers.iter().any(|follower| follower.inode == inode);
        elsewhere(self.disk.as_ref(), &last.path, last.format()?, is_followed)
    }

    /// A folder that cannot be listed is a reason.
    fn why_missing(&self, source: &Source, problem: String) -> String {
        let listed = |base: PathBuf| Some(format!("{}: {}", base.display(), self.disk.list(&base).err()?));
        match source.plan.paths.iter().map(|glob| base_dir(glob)).find_map(listed) {
            Some(why) => format!("{problem} ({why})"),
            None => problem,
        }
    }

    /// Files that were opened and then could not be read.
    fn add_failing(&self, sights: &mut [Sight]) {
        for follower in &self.followers {
            let Some(why) = follower.unreadable.clone() else { continue };
            let (inode, path, len) = (follower.inode, follower.path.clone(), follower.len_seen());
            sights[follower.source].unreadable.push(Unreadable { inode, path, len, why });
        }
    }

    /// Files that no pattern leads to any more and that are still followed.
    fn add_moved(&mut self, sights: &mut [Sight]) {
        for follower in self.followers.iter().filter(|follower| follower.moved_since_ms.is_some() && !follower.cut) {
            // What cannot be asked about now is asked about at the next look.
            let Ok(status) = follower.file().status() else { continue };
            if status.links == 0 {
                self.deleted.push(follower.inode);
                continue;
            }
            let (inode, len, modified) = (follower.inode, status.len, status.modified);
            sights[follower.source].files.push(SightedFile { inode, len, modified, unread: is_unread(follower) });
        }
    }
}

/// A file whose length cannot be had is told of by the next read.
fn is_unread(follower: &Follower) -> bool {
    follower.len_on_disk().is_ok_and(|len| follower.read_to() < len)
}
