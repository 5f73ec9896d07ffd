//! Which file is which: device, inode, a hash of the first bytes, and a hash of the bytes before the place that was read to.
//!
//! The inode alone is not enough, since it is given to another file once its own is gone, and the same file has another one after it was
//! copied or compressed. The first bytes tell one log from another; the last ones tell a log from what was written over it in place.
//! A hash covers what the file has, up to [`HEAD_BYTES_MAX`], and says how much that was: a file that has grown since still matches.

use std::io;

use sealtrail_seal::FileRange;
use sha2::{Digest, Sha256};

use crate::disk::{OpenFile, Status};
use crate::hex::hex;
use crate::limits::HEAD_BYTES_MAX;

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode {
    /// Device number.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
}

impl Inode {
    /// Of an open file, or of a path.
    pub fn of(status: &Status) -> Self {
        Inode { dev: status.dev, ino: status.ino }
    }

    /// Of the file that a seal told of.
    pub fn in_range(range: &FileRange) -> Self {
        Inode { dev: range.dev, ino: range.ino }
    }
}

/// Whether a handle is no longer good for anything: over NFS, when another client has deleted the file, or its server lost track of it.
pub fn is_stale(file: &dyn OpenFile) -> bool {
    file.status().is_err_and(|error| error.kind() == io::ErrorKind::StaleNetworkFileHandle)
}

/// A few bytes of a file, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many bytes the hash covers.
    pub len: usize,
    /// SHA-256 of them, hex.
    pub sha256: String,
}

impl Head {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Head { len: bytes.len(), sha256: hex(&Sha256::digest(bytes)) }
    }

    /// Of the bytes that the file has now, at most [`HEAD_BYTES_MAX`].
    pub fn read(file: &dyn OpenFile) -> io::Result<Head> {
        Ok(Head::of(&first_bytes(file, HEAD_BYTES_MAX)?))
    }

    /// Whether `file` begins with the bytes that were hashed.
    pub fn matches(&self, file: &dyn OpenFile) -> io::Result<bool> {
        self.matches_at(file, 0)
    }

    fn matches_at(&self, file: &dyn OpenFile, at: u64) -> io::Result<bool> {
        Ok(Head::of(&bytes_at(file, at, self.len.min(HEAD_BYTES_MAX))?) == *self)
    }
}

/// How a file compares with what a seal told of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It has the same bytes, at least up to where the seal stands.
    Same,
    /// It begins alike and ends before that place: a copy that is not finished, perhaps.
    Shorter,
    /// It is too short to tell.
    Young,
    /// It is another log.
    Other,
}

/// Compares contents; under what inode or name does not matter.
pub fn compare(range: &FileRange, file: &dyn OpenFile) -> io::Result<Fit> {
    let len = file.status()?.len;
    if range.head_len == 0 {
        // Nothing is known of it: that fits every file, and tells none.
        return Ok(Fit::Other);
    }
    if len < range.head_len {
        return Ok(Fit::Young);
    }
    let head = Head { len: usize::try_from(range.head_len).unwrap_or(usize::MAX), sha256: range.head.clone() };
    if !head.matches(file)? {
        return Ok(Fit::Other);
    }
    if len < range.to {
        return Ok(Fit::Shorter);
    }
    let tail = Head { len: usize::try_from(range.tail_len).unwrap_or(usize::MAX), sha256: range.tail.clone() };
    let same = tail.len == 0 || tail.matches_at(file, range.to.saturating_sub(range.tail_len))?;
    Ok(if same { Fit::Same } else { Fit::Other })
}

/// The first line, its end included, if there is one among `head`; or all of a `head` that is full. `None`: the file is too young to
/// have an id.
pub fn first_line(head: &[u8]) -> Option<&[u8]> {
    match memchr::memchr(b'\n', head) {
        Some(end) => Some(&head[..=end]),
        None => (head.len() >= HEAD_BYTES_MAX).then_some(head),
    }
}

/// At most `len` bytes from the file's start.
pub fn first_bytes(file: &dyn OpenFile, len: usize) -> io::Result<Vec<u8>> {
    bytes_at(file, 0, len)
}

/// At most [`HEAD_BYTES_MAX`] bytes that end at `at`.
pub fn bytes_before(file: &dyn OpenFile, at: u64) -> io::Result<Vec<u8>> {
    let len = at.min(HEAD_BYTES_MAX as u64);
    bytes_at(file, at - len, len as usize)
}

/// As many of `len` bytes at `at` as there are.
pub fn bytes_at(file: &dyn OpenFile, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], at + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    fn file(content: &[u8]) -> (tempfile::TempDir, std::sync::Arc<dyn OpenFile>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, content).unwrap();
        let file = RealDisk.open(&path).unwrap();
        (dir, file)
    }

    fn range(content: &[u8], to: usize) -> FileRange {
        let (head, tail) =
            (Head::of(&content[..to.min(HEAD_BYTES_MAX)]), Head::of(&content[to.saturating_sub(HEAD_BYTES_MAX)..to]));
        FileRange {
            to: to as u64,
            head_len: head.len as u64,
            head: head.sha256,
            tail_len: tail.len as u64,
            tail: tail.sha256,
            ..FileRange::default()
        }
    }

    #[test]
    fn a_file_that_has_grown_is_still_the_same() {
        let (_dir, file) = file(&[b'x'; 5000]);
        for to in [20, 1024, 3000, 5000] {
            assert_eq!(compare(&range(&[b'x'; 5000], to), file.as_ref()).unwrap(), Fit::Same, "{to}");
        }
    }

    #[test]
    fn another_beginning_and_another_place_before_the_end_are_another_log() {
        let mut content = vec![b'x'; 5000];
        let told = range(&content, 4000);
        content[7] = b'y';
        assert_eq!(compare(&told, file(&content).1.as_ref()).unwrap(), Fit::Other);
        content[7] = b'x';
        content[3900] = b'y';
        assert_eq!(compare(&told, file(&content).1.as_ref()).unwrap(), Fit::Other);
        content[3900] = b'x';
        assert_eq!(compare(&told, file(&content).1.as_ref()).unwrap(), Fit::Same);
    }

    #[test]
    fn a_shorter_file_is_a_beginning_and_a_tiny_one_says_nothing() {
        let content = vec![b'x'; 5000];
        let told = range(&content, 4000);
        assert_eq!(compare(&told, file(&content[..3000]).1.as_ref()).unwrap(), Fit::Shorter);
        assert_eq!(compare(&told, file(&content[..100]).1.as_ref()).unwrap(), Fit::Young);
    }

    #[test]
    fn a_first_line_is_whole_or_as_long_as_a_head() {
        assert_eq!(first_line(b"one\ntwo"), Some(&b"one\n"[..]));
        assert_eq!(first_line(b"one"), None);
        assert_eq!(first_line(&[b'x'; HEAD_BYTES_MAX]), Some(&[b'x'; HEAD_BYTES_MAX][..]));
    }
}
