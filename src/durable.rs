//! The only door to creating, syncing, renaming and removing files.
//!
//! A file's content is durable after its own sync; its name is durable after the folder's. Each function says which of
//! the two it waited for. Files are made 0600 and folders 0700: a trail is nobody else's to read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A new, empty file for appending; an error if there is one already. Neither content nor name is durable yet.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// An existing file, to go on at its end.
pub fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Appends all of `bytes` and waits until they are on the disk.
pub fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}

/// Cuts a file to `len` bytes and waits until that is on the disk.
pub fn truncate(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync_all()
}

/// Waits until the names in a folder are on the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces `path` by `bytes`, whole or not at all, with `mode`; content and name are durable.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(temporary, path)?;
    sync_dir(dir)
}

/// Renames within a folder; the new name is durable after [`sync_dir`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file and waits until its name is gone from the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes a folder and those above it, where they are not there yet.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The file that is locked while an agent runs; made if it is not there.
pub fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}
