//! The only door to what must survive a power cut: syncing, renaming, replacing whole, appending, cutting and removing.
//!
//! Journal, keys, cursors, dead letters and a folder destination's copies come through here. Sockets do not, nor do files that a
//! command writes because it was asked to (`demo`, `man`): those are made again by asking again.
//!
//! A file's content is durable after its own sync; its name is durable after the folder's. Each function says which of the two it
//! waited for. Files are made 0600 and folders 0700: a trail is nobody else's to read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a copy holds in memory at a time.
const COPY_BYTES: usize = 128 * 1024;

/// A file for appending, made if it is not there. Neither content nor name is durable yet.
pub fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The file that is locked while an agent runs; made if it is not there.
pub fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
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

/// Waits until an existing file and its name are on the disk.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_dir(folder_of(path))
}

/// Waits until the names in a folder are on the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces `path` by `bytes`, whole or not at all, with `mode`; content and name are durable.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    copy_atomic(path, &mut &*bytes, mode).map(|_| ())
}

/// Replaces `path` by all that `from` gives, whole or not at all, with `mode`; says how many bytes that were. Content and name are
/// durable.
///
/// Call by call: the bytes go to another name in the same folder and are synced there, so that the rename puts a whole file in place
/// or none; then the folder is synced, so that the rename itself survives.
pub fn copy_atomic(path: &Path, from: &mut dyn Read, mode: u32) -> io::Result<u64> {
    let temporary = beside(path);
    let result = fill(&temporary, from, mode).and_then(|bytes| fs::rename(&temporary, path).map(|()| bytes));
    let bytes = result.inspect_err(|_| {
        // What is left over is overwritten by the next attempt; its name is none that readers look at.
        let _ = fs::remove_file(&temporary);
    })?;
    sync_dir(folder_of(path))?;
    Ok(bytes)
}

/// Removes a file and waits until its name is gone from the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_dir(folder_of(path))
}

/// Makes a folder and those above it, where they are not there yet; the folder's own name is durable.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_dir(folder_of(path))
}

fn fill(path: &Path, from: &mut dyn Read, mode: u32) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read])?;
        bytes += read as u64;
    }
    file.sync_all()?;
    Ok(bytes)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name in the same folder that no reader takes for a segment, a key or a cursor.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/cursor.json");
        create_dir(path.parent().unwrap()).unwrap();
        write_atomic(&path, b"a longer first text", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
