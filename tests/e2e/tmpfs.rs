//! A small file system of its own, where this host lets us mount one.

use std::fs::{self, File};
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::skipped;

/// A mounted tmpfs. Unmounted when dropped.
pub struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    /// With `kib` of room; `None` where mounting is not allowed, and says so.
    pub fn mount(kib: u64) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("sealtrail-tmpfs-").tempdir().unwrap();
        let size = format!("size={kib}k,mode=0777");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        match output {
            Ok(output) if output.status.success() => Some(Tmpfs { dir }),
            other => {
                let test = std::thread::current().name().unwrap_or("?").to_owned();
                skipped(&test, &format!("no tmpfs can be mounted here: {other:?}"));
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all the room that is left but `kib`.
    pub fn fill(&self, kib: u64) {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let zeros = vec![0; usize::try_from(free.saturating_sub(kib * 1024)).unwrap()];
        let mut filler = File::create(self.filler()).unwrap();
        match filler.write_all(&zeros) {
            // Somebody else took room in the meantime.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                let len = filler.metadata().unwrap().len();
                filler.set_len(len.saturating_sub(kib * 1024)).unwrap();
            }
            other => other.unwrap(),
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // What is still open there goes with the last process that has it.
        let _ = Command::new("umount").arg("--lazy").arg(self.dir.path()).status();
    }
}
