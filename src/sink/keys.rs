//! The trail's public keys, as they lie in `state_dir/keys`: archives keep a copy beside the segments.

use std::io;
use std::path::{Path, PathBuf};

use super::Refusal;
use crate::disk::Disk;

/// A key file is a line or two; what is larger is no public key.
const KEY_MAX_BYTES: u64 = 64 * 1024;

/// The public keys in `dir`, sorted by name. A folder that is not there has none.
pub(super) fn public_keys(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, Refusal> {
    list(disk, dir).map_err(|error| {
        Refusal::stop(
            format!("cannot read the public keys in {}: {error}", dir.display()),
            "let the agent's user read its own state folder",
        )
    })
}

fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        // Keys are made with the first segment; a trail without them is for `verify` to judge, not for delivery.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut keys = Vec::new();
    for path in entries {
        let is_key = path.extension().is_some_and(|extension| extension == "pub");
        if is_key && disk.status(&path)?.len <= KEY_MAX_BYTES {
            keys.push(path);
        }
    }
    keys.sort_unstable();
    Ok(keys)
}
