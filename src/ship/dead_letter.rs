//! Where a line goes that a destination refuses by itself: a folder, with the answer beside it. Never to nowhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::durable;

/// The folder `state_dir/dead-letter/<destination>/`.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl DeadLetters {
    pub(crate) fn new(disk: Arc<dyn Disk>, state_dir: &Path, destination: &str) -> Self {
        DeadLetters { disk, dir: state_dir.join("dead-letter").join(destination) }
    }

    /// Keeps the line as `<line, 20 digits>.ndjson` and, first, the answer as `<line, 20 digits>.answer.txt`. Both are
    /// synced when this returns. The same line again replaces itself.
    pub(crate) fn keep(&self, number: u64, line: &[u8], answer: &str) -> io::Result<PathBuf> {
        let disk = self.disk.as_ref();
        durable::create_dir(disk, &self.dir)?;
        durable::write_atomic(disk, &self.dir.join(format!("{number:020}.answer.txt")), answer.as_bytes(), 0o600)?;
        let path = self.dir.join(format!("{number:020}.ndjson"));
        durable::write_atomic(disk, &path, line, 0o600)?;
        Ok(path)
    }
}
