//! Being told when a folder changes, and knowing where nobody will tell.
//!
//! The kernel's word is only a hint to look: what is there is always found by looking. Where inotify cannot serve (network file
//! systems, changes behind a symbolic link, no watches left) the folder is looked at on a timer instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::disk::{Disk, Kind};

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
    watched: BTreeSet<PathBuf>,
    /// Folders that have to be looked at on a timer.
    polled: BTreeSet<PathBuf>,
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
        let watcher = notify::recommended_watcher(tell)
            .inspect_err(|error| warn!(%error, "cannot watch folders: looking at them on a timer"))
            .ok();
        Watch { names, watcher, watched: BTreeSet::new(), polled: BTreeSet::new() }
    }

    /// Tells nobody anything: whoever looks, looks by himself.
    pub fn off() -> Self {
        Watch { names: Arc::default(), watcher: None, watched: BTreeSet::new(), polled: BTreeSet::new() }
    }

    /// Makes sure that `dir` is watched or polled.
    pub fn add(&mut self, disk: &dyn Disk, dir: &Path) {
        if self.watched.contains(dir) || self.polled.contains(dir) || !is_folder(disk, dir) {
            return;
        }
        if is_network_file_system(dir) {
            self.polled.insert(dir.to_owned());
            return;
        }
        match self.watcher.as_mut().map(|watcher| watcher.watch(dir, RecursiveMode::NonRecursive)) {
            Some(Ok(())) => {
                self.watched.insert(dir.to_owned());
            }
            Some(Err(error)) => {
                warn!(folder = %dir.display(), %error, "cannot watch: looking at it on a timer");
                self.polled.insert(dir.to_owned());
            }
            None => {
                self.polled.insert(dir.to_owned());
            }
        }
    }

    /// Forgets folders that are gone, so that they are watched anew when they come back.
    pub fn forget_missing(&mut self, disk: &dyn Disk) {
        self.watched.retain(|dir| is_folder(disk, dir));
        self.polled.retain(|dir| is_folder(disk, dir));
    }

    /// Whether a name has changed since this was last asked.
    pub fn names_changed(&self) -> bool {
        self.names.swap(false, Ordering::AcqRel)
    }

    /// Whether some folder is looked at on a timer only.
    pub fn polls(&self) -> bool {
        !self.polled.is_empty()
    }
}

fn is_folder(disk: &dyn Disk, dir: &Path) -> bool {
    disk.status(dir).is_ok_and(|status| status.kind == Kind::Folder)
}

/// What an event is worth; opening and closing a file is worth nothing. An error or an overflow means: look at everything.
fn wake_for(event: notify::Result<Event>) -> Option<Wake> {
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
