//! What must survive a power cut, call by call: appending, replacing whole, cutting and removing.
//!
//! Journal, keys, cursors, dead letters and a folder destination's copies are written through here, on whatever [`Disk`] is given. Sockets
//! are not, nor are files that a command writes because it was asked to (`demo`, `man`): those are made again by asking again.
//!
//! A file's content is durable after its own sync; its name is durable after the folder's. Each function says which of the two it
//! waited for. Files are made 0600 and folders 0700: a trail is nobody else's to read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Kind, OpenFile, Reader};

/// What a copy holds in memory at a time.
const COPY_BYTES: usize = 128 * 1024;

/// Appends all of `bytes` and waits until they are on the disk.
pub fn append(file: &dyn OpenFile, bytes: &[u8]) -> io::Result<()> {
    file.append(bytes)?;
    file.sync()
}

/// Cuts a file to `len` bytes and waits until that is on the disk.
pub fn truncate(file: &dyn OpenFile, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync()
}

/// Waits until an existing file and its name are on the disk.
pub fn sync(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.open(path)?.sync()?;
    disk.sync_dir(folder_of(path))
}

/// Waits until an existing file, its bytes from `from` on and its name are on the disk, also where a sync of them has failed in an earlier
/// run: the kernel then takes them for written, and no sync writes them. So they are written again, over themselves.
pub fn sync_again(disk: &dyn Disk, path: &Path, from: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    Reader::new(disk.open(path)?, from).read_to_end(&mut bytes)?;
    disk.overwrite(path, &bytes, from)?;
    sync(disk, path)
}

/// Replaces `path` by `bytes`, whole or not at all, with `mode`; content and name are durable.
pub fn write_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    copy_atomic(disk, path, &mut &*bytes, mode).map(|_| ())
}

/// Replaces `path` by all that `from` gives, whole or not at all, with `mode`; says how many bytes that were. Content and name are
/// durable.
///
/// Call by call: the bytes go to another name in the same folder and are synced there, so that the rename puts a whole file in place
/// or none; then the folder is synced, so that the rename itself survives.
pub fn copy_atomic(disk: &dyn Disk, path: &Path, from: &mut dyn Read, mode: u32) -> io::Result<u64> {
    let temporary = beside(path);
    let result = fill(disk, &temporary, from, mode).and_then(|bytes| disk.rename(&temporary, path).map(|()| bytes));
    let bytes = result.inspect_err(|_| empty(disk, &temporary, mode))?;
    disk.sync_dir(folder_of(path))?;
    Ok(bytes)
}

/// Replaces `path`, whole or not at all, by what `content` says of the very file it is put into: that is given the file's path before the rename,
/// which keeps inode and time of birth. Content and name are durable.
pub fn write_of_itself(
    disk: &dyn Disk,
    path: &Path,
    mode: u32,
    content: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    let temporary = beside(path);
    let written = disk.create(&temporary, mode).and_then(|file| append(file.as_ref(), &content(&temporary)?));
    written.and_then(|()| disk.rename(&temporary, path)).inspect_err(|_| empty(disk, &temporary, mode))?;
    disk.sync_dir(folder_of(path))
}

/// Gives back the room of what was half written. The file stays, and the next attempt overwrites it: were it removed and made anew, a
/// power cut that loses the one but not the rename to come would put the old one in place.
fn empty(disk: &dyn Disk, temporary: &Path, mode: u32) {
    // Its name is none that readers look at, and the attempt has failed already.
    let _ = disk.create(temporary, mode);
}

/// Removes a file and waits until its name is gone from the disk.
pub fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.remove(path)?;
    disk.sync_dir(folder_of(path))
}

/// Makes a folder and those above it, where they are not there yet; the names of all that were made, and the folder's own, are durable.
pub fn create_dir(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    match disk.status(path) {
        // It may have been made by a run that the power cut short of this sync.
        Ok(status) if status.kind == Kind::Folder => match disk.sync_dir(folder) {
            // A folder above that the agent may not read is somebody else's, who made this one before the agent came.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if folder != path {
                create_dir(disk, folder)?;
            }
            disk.create_dir(path)?;
            disk.sync_dir(folder)
        }
        // Whatever else is there says so itself, and a disk that cannot even be asked has said what is wrong.
        Ok(_) => disk.create_dir(path),
        Err(error) => Err(error),
    }
}

fn fill(disk: &dyn Disk, path: &Path, from: &mut dyn Read, mode: u32) -> io::Result<u64> {
    let file = disk.create(path, mode)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        file.append(&buffer[..read])?;
        bytes += read as u64;
    }
    file.sync()?;
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
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/cursor.json");
        create_dir(&RealDisk, path.parent().unwrap()).unwrap();
        write_atomic(&RealDisk, &path, b"a longer first text", 0o600).unwrap();
        write_atomic(&RealDisk, &path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
