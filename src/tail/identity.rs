//! Which file is which: device, inode and a hash of the first bytes.
//!
//! The inode alone is not enough, since it is given to another file once its own is gone. The hash covers what the file has, from one
//! byte on up to [`HEAD_BYTES_MAX`], and says how much that was: a file that has grown since still matches.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use sealtrail_seal::FileRange;
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::limits::HEAD_BYTES_MAX;

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device number.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
}

impl Inode {
    /// Of an open file, or of a path.
    pub fn of(metadata: &Metadata) -> Self {
        Inode { dev: metadata.dev(), ino: metadata.ino() }
    }
}

/// The first bytes of a file, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many bytes the hash covers.
    pub len: usize,
    /// SHA-256 of them, hex.
    pub sha256: String,
}

impl Head {
    /// Of the bytes that the file has now, at most [`HEAD_BYTES_MAX`].
    pub fn read(file: &File) -> io::Result<(Head, Vec<u8>)> {
        let bytes = first_bytes(file, HEAD_BYTES_MAX)?;
        Ok((Head { len: bytes.len(), sha256: hex(&Sha256::digest(&bytes)) }, bytes))
    }

    /// Whether `file` begins with the bytes that were hashed.
    pub fn matches(&self, file: &File) -> io::Result<bool> {
        let bytes = first_bytes(file, self.len.min(HEAD_BYTES_MAX))?;
        Ok(bytes.len() == self.len && hex(&Sha256::digest(&bytes)) == self.sha256)
    }
}

/// Whether `file` is the one that a seal told of.
pub fn is_same(range: &FileRange, inode: Inode, file: &File) -> io::Result<bool> {
    let head = Head { len: usize::try_from(range.head_len).unwrap_or(usize::MAX), sha256: range.head.clone() };
    Ok(range.dev == inode.dev && range.ino == inode.ino && head.matches(file)?)
}

/// The first line, its end included, if there is one among `head`; or all of a `head` that is full. `None`: the file is too young to
/// have an id.
pub fn first_line(head: &[u8]) -> Option<&[u8]> {
    match memchr::memchr(b'\n', head) {
        Some(end) => Some(&head[..=end]),
        None => (head.len() >= HEAD_BYTES_MAX).then_some(head),
    }
}

/// At most `len` bytes from the file's start; its read position is not touched.
pub fn first_bytes(file: &File, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_has_grown_still_matches_its_head() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"twenty bytes of log\n").unwrap();
        let (head, _) = Head::read(&file).unwrap();
        assert_eq!(head.len, 20);
        file.write_all(&[b'x'; 4096]).unwrap();
        assert!(head.matches(&file).unwrap());
    }

    #[test]
    fn other_bytes_do_not_match() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a").unwrap();
        let (head, _) = Head::read(&file).unwrap();
        file.set_len(0).unwrap();
        assert!(!head.matches(&file).unwrap());
        file.write_all_at(b"b", 0).unwrap();
        assert!(!head.matches(&file).unwrap());
    }

    #[test]
    fn a_first_line_is_whole_or_as_long_as_a_head() {
        assert_eq!(first_line(b"one\ntwo"), Some(&b"one\n"[..]));
        assert_eq!(first_line(b"one"), None);
        assert_eq!(first_line(&[b'x'; HEAD_BYTES_MAX]), Some(&[b'x'; HEAD_BYTES_MAX][..]));
    }
}
