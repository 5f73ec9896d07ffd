//! A destination's cursor: the first line that it does not have yet, in a file of its own.
//!
//! Owned by one courier. Written after the far side has said yes and before anything else is sent, so a crash in between makes a
//! second delivery and never a hole. A damaged file costs a second delivery too, of all that the journal still has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{self, Disk};
use crate::durable;

/// Where a destination stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// There is no cursor: the destination is new.
    New,
    /// The first line that it does not have.
    At(u64),
    /// There is a file, but no number in it.
    Damaged,
}

/// The file `state_dir/cursors/<destination>.json`.
#[derive(Debug)]
pub(crate) struct Cursor {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    next_line: u64,
}

/// Every cursor in the state folder that says where it stands, those of destinations that are no longer configured included, by name.
pub(crate) fn all(disk: &dyn Disk, state_dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let paths = match disk.list(&folder(state_dir)) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut cursors = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        // One that holds no number proves nothing; its courier will say so.
        if let Ok(content) = serde_json::from_slice::<Content>(&disk::read(disk, path)?) {
            cursors.push((name.to_owned(), content.next_line));
        }
    }
    cursors.sort();
    Ok(cursors)
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("cursors")
}

impl Cursor {
    pub(crate) fn new(disk: Arc<dyn Disk>, state_dir: &Path, destination: &str) -> Self {
        Cursor { disk, path: folder(state_dir).join(format!("{destination}.json")) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. An error is one of the disk; what the file holds is never one.
    pub(crate) fn load(&self) -> io::Result<Stand> {
        match disk::read(self.disk.as_ref(), &self.path) {
            Ok(bytes) => {
                // Segments are removed on its word, for good: it has to last as well, also where a run was killed before its name did.
                durable::sync(self.disk.as_ref(), &self.path)?;
                Ok(match serde_json::from_slice::<Content>(&bytes) {
                    Ok(content) => Stand::At(content.next_line),
                    Err(_) => Stand::Damaged,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stand::New),
            Err(error) => Err(error),
        }
    }

    /// Writes it and syncs it.
    pub(crate) fn store(&self, next_line: u64) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            durable::create_dir(self.disk.as_ref(), dir)?;
        }
        durable::write_atomic(
            self.disk.as_ref(),
            &self.path,
            format!("{{\"next_line\":{next_line}}}\n").as_bytes(),
            0o600,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_loaded_and_damage_is_told_from_absence() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(Arc::new(crate::disk::RealDisk), dir.path(), "archive");
        assert_eq!(cursor.load().unwrap(), Stand::New);
        cursor.store(41).unwrap();
        cursor.store(42).unwrap();
        assert_eq!(cursor.load().unwrap(), Stand::At(42));
        for damage in ["", "{\"next_line\":", "{\"next_line\":-1}", "\0\0\0\0"] {
            std::fs::write(cursor.path(), damage).unwrap();
            assert_eq!(cursor.load().unwrap(), Stand::Damaged, "{damage:?}");
        }
    }
}
