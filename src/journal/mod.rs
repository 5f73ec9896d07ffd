//! The journal: the trail's segments on this host's disk, and the queue that every destination reads from.
//!
//! `write` appends, `read` reads blocks, `recover` finds the truth at start, `retain` makes room, `anchor` remembers beside it how far it
//! was. [`Head`] is how far the trail is sealed and synced: readers never look beyond it.

pub mod anchor;
pub mod read;
pub mod recover;
pub mod retain;
pub mod write;

use std::path::{Path, PathBuf};

/// The file of the segment whose first line is `first`: twenty digits, so that names sort as numbers do.
pub fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.ndjson.zst"))
}

/// How far the trail is sealed and synced to disk. Published after each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// First line of the segment that is open; every segment before it is closed and will never change. When no
    /// segment is open this equals `lines`, and there is no such file yet.
    pub segment: u64,
    /// Length of the open segment's file that is whole and synced, in bytes; 0 when none is open.
    pub bytes: u64,
    /// Lines in the trail.
    pub lines: u64,
}
