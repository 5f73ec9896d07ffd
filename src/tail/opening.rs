//! Which files the patterns lead to now, and following one of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tracing::info;

use super::archives::Content;
use super::find::{Found, Names, base_dir};
use super::follow::Follower;
use super::identity::{Fit, Inode, compare};
use super::lineage::live_name;
use super::siblings::Rotated;
use super::sight::Unreadable;
use super::{PassedOver, Source, Tail};
use crate::config::plan::StartAt;
use crate::disk::OpenFile;
use crate::health::SourceHealth;
use crate::limits::FILES_MAX;

/// What a name that was listed leads to.
enum Opened {
    Log(Box<Follower>),
    /// An archive that is not whole yet.
    Unfinished,
}

impl Tail {
    pub(super) fn find(&mut self) -> (Vec<Found>, Names) {
        let disk = self.disk.as_ref();
        let (mut found, mut names) = (Vec::new(), Names::default());
        for (index, source) in self.sources.iter().enumerate() {
            for glob in &source.plan.paths {
                self.watch.add(disk, &base_dir(glob));
            }
            source.patterns.find(disk, index, &mut names, &mut found);
        }
        for file in &found {
            self.watch.add(disk, file.path.parent().unwrap_or(Path::new("/")));
        }
        found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        (found, names)
    }

    /// One standing problem a source at most: here, that nothing matches.
    pub(super) fn unmatched(&self, found: &[Found]) -> Vec<Option<String>> {
        let problem = |(index, source): (usize, &Source)| {
            let none = !found.iter().any(|file| file.source == index);
            none.then(|| format!("no file matches {}", source.plan.paths.join(", ")))
        };
        self.sources.iter().enumerate().map(problem).collect()
    }

    pub(super) fn open(&mut self, file: Found, now_ms: u64, health: &[SourceHealth], problems: &mut [Option<String>]) {
        if self.followers.len() >= FILES_MAX {
            problems[file.source] = Some(format!("more than {FILES_MAX} files: {} waits", file.path.display()));
            return;
        }
        // Behind a symbolic link the file changes in another folder. A link that leads nowhere has no folder to watch.
        if let Ok(real) = self.disk.real_path(&file.path) {
            self.watch.add(self.disk.as_ref(), real.parent().unwrap_or(Path::new("/")));
        }
        match self.disk.open(&file.path) {
            Ok(opened) => match self.as_opened(&file, opened.as_ref()) {
                Ok(Some(file)) => self.take_up(file, opened, now_ms, health, problems),
                Ok(None) => {}
                Err(error) => self.cannot_read(file, &error, health, problems),
            },
            Err(error) => {
                if error.kind() == io::ErrorKind::NotFound {
                    self.look_beside(&file);
                }
                self.cannot_read(file, &error, health, problems);
            }
        }
    }

    /// A file that was listed under a name has another one by now, or none: it may be one that no pattern leads to.
    fn look_beside(&mut self, listed: &Found) {
        let live = self.sources[listed.source].live_name(&listed.path);
        self.rotated.push(Rotated { source: listed.source, live, modified: listed.modified });
        // Nobody knows which files stand before it: all are listed again.
        self.opened += 1;
    }

    /// What a name led to when it was opened: another file than was listed, where names have gone on since. `None`: one that is dealt with.
    fn as_opened(&mut self, listed: &Found, opened: &dyn OpenFile) -> io::Result<Option<Found>> {
        let status = opened.status()?;
        let inode = Inode::of(&status);
        if inode == listed.inode {
            return Ok(Some(listed.clone()));
        }
        self.look_beside(listed);
        let is_new = !self.is_known(inode) && !self.lay_there.contains(&listed.path, &status);
        let (source, path) = (listed.source, listed.path.clone());
        Ok(is_new.then_some(Found { source, path, inode, len: status.len, modified: status.modified }))
    }

    /// Archives of before that could not be opened then, and that nothing leads to any more: rotation has deleted them since.
    pub(super) fn open_archives_without_name(
        &mut self,
        archives: BTreeMap<Inode, (Found, Arc<dyn OpenFile>)>,
        now_ms: u64,
        health: &[SourceHealth],
        problems: &mut [Option<String>],
    ) {
        let settled = self.settled();
        for (inode, (file, opened)) in archives {
            let is_deleted = || opened.status().is_ok_and(|status| status.links == 0);
            if !settled.contains(&inode) && !self.not_unpacked.contains_key(&inode) && is_deleted() {
                self.take_up(file, opened, now_ms, health, problems);
            }
        }
    }

    fn take_up(
        &mut self,
        file: Found,
        opened: Arc<dyn OpenFile>,
        now_ms: u64,
        health: &[SourceHealth],
        problems: &mut [Option<String>],
    ) {
        match self.follow(&file, Arc::clone(&opened), now_ms) {
            Ok(Opened::Log(follower)) => {
                self.opened += 1;
                info!(file = %file.path.display(), from = follower.frames.offset(), "reading");
                self.followers.push(*follower);
            }
            Ok(Opened::Unfinished) => {
                self.passed_over.push(PassedOver {
                    path: file.path,
                    inode: file.inode,
                    len: file.len,
                    original: None,
                    since_ms: now_ms,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.first_look {
                    self.first_archives.insert(file.inode);
                }
                if !self.begins_like_one_that_was_read(file.source, &opened) {
                    self.unpacking.insert((file.source, live_name(&file.path)));
                }
                self.not_unpacked.insert(file.inode, (file, opened));
            }
            Err(error) => self.cannot_read(file, &error, health, problems),
        }
    }

    fn cannot_read(
        &mut self,
        file: Found,
        error: &io::Error,
        health: &[SourceHealth],
        problems: &mut [Option<String>],
    ) {
        health[file.source].errors.fetch_add(1, Relaxed);
        problems[file.source] = Some(format!("cannot read {}: {error}", file.path.display()));
        // One that went away since it was found can be neither read nor not read.
        if error.kind() != io::ErrorKind::NotFound {
            let (inode, why) = (file.inode, error.to_string());
            self.unopened.push((file.source, Unreadable { inode, path: file.path, len: file.len, why }));
        }
    }

    fn follow(&mut self, found: &Found, opened: Arc<dyn OpenFile>, now_ms: u64) -> io::Result<Opened> {
        let inode = found.inode;
        let (file, archived) = match self.archives.content_of(opened)? {
            Content::Log(file) => (file, false),
            Content::Archived(file) => (file, true),
            Content::Unfinished => return Ok(Opened::Unfinished),
        };
        let plan = &self.sources[found.source].plan;
        let back = self.retired.iter().position(|range| Inode::in_range(range) == inode && range.source == plan.name);
        if let Some(index) = back
            && compare(&self.retired[index], file.as_ref())? == Fit::Same
        {
            let follower = Follower::resume(found.source, found.path.clone(), file, inode, plan, &self.retired[index])?;
            // Now that it is followed, and not before: what cannot be read on in yet is not forgotten.
            self.retired.remove(index);
            return Ok(Opened::Log(Box::new(follower.found(archived, now_ms))));
        }
        let is_first = self.first_look || self.first_archives.contains(&inode);
        let at_end = is_first && self.sealed_at.is_none() && plan.start_at == StartAt::End;
        let from = if at_end { file.status()?.len } else { 0 };
        let follower = Follower::begin(found.source, found.path.clone(), file, inode, plan, plan.format, from)?;
        self.first_archives.remove(&inode);
        Ok(Opened::Log(Box::new(follower.found(archived, now_ms))))
    }
}
