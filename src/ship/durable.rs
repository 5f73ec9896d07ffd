//! Writing a small file so that after a power cut it is there whole, or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes a folder and those above it, for the agent's user alone. Fine if it is there.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    dir.parent().map_or(Ok(()), sync_dir)
}

/// Replaces `path` by `bytes`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_as(path, &mut &*bytes).map(|_| ())
}

/// Replaces `path` by all that `from` gives; says how many bytes that were.
///
/// Call by call: the bytes go to another name in the same folder and are synced there, so that the rename puts a whole
/// file in place or none; then the folder is synced, so that the rename itself survives.
pub(crate) fn write_as(path: &Path, from: &mut dyn Read) -> io::Result<u64> {
    let temporary = beside(path);
    let result = fill(&temporary, from).and_then(|bytes| fs::rename(&temporary, path).map(|()| bytes));
    let bytes = result.inspect_err(|_| {
        // What is left over is overwritten by the next attempt; its name is none that readers look at.
        let _ = fs::remove_file(&temporary);
    })?;
    path.parent().map_or(Ok(()), sync_dir)?;
    Ok(bytes)
}

/// Syncs a folder's entries.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

fn fill(path: &Path, from: &mut dyn Read) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut buffer = vec![0; 128 * 1024];
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

/// A name in the same folder that no reader takes for a segment, a key or a cursor.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_nothing_is_left_over() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/cursor.json");
        make_dir(path.parent().unwrap()).unwrap();
        replace(&path, b"a longer first text").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
