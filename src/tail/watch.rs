//! Being told when a folder changes, and knowing where nobody will tell.
//!
//! The kernel's word is only a hint to look: what is there is always found by looking. Where inotify cannot serve (network file
//! systems, changes behind a symbolic link, no watches left) the folder is looked at on a timer instead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use notify::event::ModifyKind;
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;
use tracing::{info, warn};

use super::identity::Inode;
use crate::disk::{Disk, Kind};
use crate::health::WatchHealth;

/// What wakes the core thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A file in a watched folder has grown or changed.
    Data,
    /// A file appeared, went, or was renamed.
    Names,
    /// Stop: seal and end.
    Stop,
}

/// The folders being watched.
#[derive(Debug)]
pub struct Watch {
    /// A name changed since somebody asked: beside the wake-ups, which get lost when there are many.
    names: Arc<AtomicBool>,
    watcher: Option<RecommendedWatcher>,
    /// As they were when their watch began: it stays with a folder that gets another name, or is covered by a mount.
    watched: BTreeMap<PathBuf, Folder>,
    /// Folders that have to be looked at on a timer.
    polled: BTreeSet<PathBuf>,
    /// Why folders are polled that could be watched. Said once, however many there are.
    refused: Option<String>,
}

/// A folder, whatever it is called. Its inode may be another's once it is gone, the time of its birth hardly.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    inode: Inode,
    born: Option<SystemTime>,
}

impl Watch {
    /// Wakes through `wakes`. Without inotify everything is looked at on a timer, and that is said once.
    pub fn new(wakes: SyncSender<Wake>) -> Self {
        let names = Arc::new(AtomicBool::new(false));
        let changed = Arc::clone(&names);
        let tell = move |event: notify::Result<Event>| {
            let Some(wake) = wake_for(event) else { return };
            if wake == Wake::Names {
                changed.store(true, Ordering::Release);
            }
            // A full channel holds wake-ups already.
            let _ = wakes.try_send(wake);
        };
        match notify::recommended_watcher(tell) {
            Ok(watcher) => Watch { names, watcher: Some(watcher), ..Watch::off() },
            Err(error) => {
                let mut watch = Watch { names, ..Watch::off() };
                watch.refuse(&error);
                watch
            }
        }
    }

    /// Tells nobody anything: whoever looks, looks by himself.
    pub fn off() -> Self {
        let (watched, polled) = (BTreeMap::new(), BTreeSet::new());
        Watch { names: Arc::default(), watcher: None, watched, polled, refused: None }
    }

    /// Makes sure that `dir` is watched or polled.
    pub fn add(&mut self, disk: &dyn Disk, dir: &Path) {
        if self.watched.contains_key(dir) || self.polled.contains(dir) {
            return;
        }
        let Some(folder) = folder(disk, dir) else { return };
        if is_network_file_system(dir) {
            self.polled.insert(dir.to_owned());
            return;
        }
        match self.watcher.as_mut().map(|watcher| watcher.watch(dir, RecursiveMode::NonRecursive)) {
            Some(Ok(())) => {
                self.watched.insert(dir.to_owned(), folder);
            }
            Some(Err(error)) => {
                self.refuse(&error);
                self.polled.insert(dir.to_owned());
            }
            None => {
                self.polled.insert(dir.to_owned());
            }
        }
    }

    /// Forgets folders that are gone or have become others, so that they are watched anew.
    pub fn forget_missing(&mut self, disk: &dyn Disk) {
        self.polled.retain(|dir| folder(disk, dir).is_some());
        for (dir, _) in self.watched.extract_if(.., |dir, was| folder(disk, dir).as_ref() != Some(was)) {
            if let Some(watcher) = &mut self.watcher {
                // The watch went with the folder, unless that has another name now.
                let _ = watcher.unwatch(&dir);
            }
        }
    }

    /// Whether a name has changed since this was last asked.
    pub fn names_changed(&self) -> bool {
        self.names.swap(false, Ordering::AcqRel)
    }

    /// Whether some folder is looked at on a timer only.
    pub fn polls(&self) -> bool {
        !self.polled.is_empty()
    }

    /// Puts into the health how many folders there are, and why not all of them are watched.
    pub fn tell(&self, health: &WatchHealth) {
        health.watched.store(self.watched.len() as u64, Ordering::Relaxed);
        health.polled.store(self.polled.len() as u64, Ordering::Relaxed);
        health.problem.set(self.refused.clone());
    }

    fn refuse(&mut self, error: &notify::Error) {
        if self.refused.is_none() {
            let why = refusal(error);
            warn!("{why}: looking at folders on a timer");
            self.refused = Some(why);
        }
    }
}

/// What stands in the way, and what to do about it. The kernel says `ENOSPC` where a user has no watches left.
fn refusal(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "no inotify watches left: raise fs.inotify.max_user_watches and start again".to_owned()
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            format!("inotify: {error}: raise fs.inotify.max_user_instances and start again")
        }
        _ => format!("inotify: {error}"),
    }
}

/// `None`: there is no folder.
fn folder(disk: &dyn Disk, dir: &Path) -> Option<Folder> {
    let status = disk.status(dir).ok().filter(|status| status.kind == Kind::Folder)?;
    // Where the file system does not remember it, the inode has to do.
    Some(Folder { inode: Inode::of(&status), born: disk.born(dir).ok().flatten() })
}

/// What an event is worth; opening and closing a file is worth nothing. An error or an overflow means: look at everything.
fn wake_for(event: notify::Result<Event>) -> Option<Wake> {
    if event.as_ref().is_ok_and(Event::need_rescan) {
        info!("the kernel lost count of what changes: looking at all of it");
    }
    match event.map(|event| event.kind) {
        Ok(EventKind::Access(_)) => None,
        Ok(EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any)) => Some(Wake::Data),
        _ => Some(Wake::Names),
    }
}

/// Whether changes made on another host would go unreported. Magic numbers from Linux's `magic.h` and the file systems' sources.
fn is_network_file_system(dir: &Path) -> bool {
    const NETWORK: [u32; 8] = [
        0x0000_6969, // NFS
        0x0000_517b, // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x6573_5546, // FUSE
        0x0102_1997, // 9P
        0x00c3_6400, // Ceph
        0x0bd0_0bd0, // Lustre
    ];
    // Where the kernel does not say, inotify is tried and the rescan stands behind it.
    rustix::fs::statfs(dir).is_ok_and(|stat| NETWORK.contains(&(stat.f_type as u32)))
}
