//! One file being followed: its bytes in order, from where they were last sealed.
//!
//! Owns the open handle and how far the file is accounted for. What it leaves to others: which files there are (`tail`), where a
//! frame ends (`frames`), what it means (`intake`).
//!
//! The hard cases are at the end of a file. A half-written record waits there until it is whole; only when the file
//! is renamed away or deleted, and has been quiet for a while, is what is left handed out as damaged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealtrail_parsers::{Detection, Format, detect};
use sealtrail_seal::FileRange;
use sha2::{Digest, Sha256};

use super::identity::{Head, Inode, first_bytes, first_line};
use crate::event::Origin;
use crate::frames::Frames;
use crate::hex::hex;
use crate::limits::{DETECT_BYTES_MAX, HEAD_BYTES_MAX, READ_BYTES};

/// A file and how far it is read. Lives from the moment the file is found until it is gone and read to its end.
#[derive(Debug)]
pub struct Follower {
    /// Index of its source in the plan.
    pub source: usize,
    /// Where it was last seen.
    pub path: PathBuf,
    /// Device and inode: what the path must still lead to.
    pub inode: Inode,
    /// Since when the path leads elsewhere or nowhere, by the core's clock in milliseconds; `None` while it is in place.
    pub moved_since_ms: Option<u64>,
    /// When bytes last arrived, by the core's clock in milliseconds.
    pub last_read_ms: u64,
    /// What its rows share in their lines; made by the intake, forgotten when the path changes.
    pub origin: Option<Arc<Origin>>,
    /// Why it cannot be read as a log: it is not read on.
    pub refused: Option<String>,
    /// It begins with other bytes than it did: it was cut and written anew, beyond where reading stood.
    rewritten: bool,
    /// Why the last read failed.
    pub unreadable: Option<String>,
    file: File,
    head: Head,
    /// What its rows' ids begin with; known once the file has a whole first line.
    id: Option<String>,
    format: Option<Format>,
    /// What is read and not yet a line.
    pub frames: Frames,
    /// First byte that no seal accounts for yet.
    sealed: u64,
    /// Over the bytes `sealed..offset`.
    hash: Sha256,
    /// Rows handed out since the last seal.
    rows: u64,
}

/// Why a file cannot be read as a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl Follower {
    /// A file that was never seen before, read from `offset`.
    pub fn begin(
        source: usize,
        path: PathBuf,
        file: File,
        inode: Inode,
        format: Option<Format>,
        offset: u64,
    ) -> io::Result<Self> {
        let (head, _) = Head::read(&file)?;
        let mut frames = Frames::new(offset);
        if let Some(format) = format {
            frames.set_format(format, offset == 0);
        }
        Ok(Follower {
            source,
            path,
            inode,
            moved_since_ms: None,
            last_read_ms: 0,
            origin: None,
            refused: None,
            rewritten: false,
            unreadable: None,
            file,
            head,
            id: None,
            format,
            frames,
            sealed: offset,
            hash: Sha256::new(),
            rows: 0,
        })
    }

    /// A file that a seal told of, read on from where that seal stands.
    pub fn resume(source: usize, path: PathBuf, file: File, inode: Inode, range: &FileRange) -> io::Result<Self> {
        let format = range.format.parse().ok();
        let mut follower = Self::begin(source, path, file, inode, format, range.to)?;
        // A seal ends at a frame's end: what follows is a record's start, not the middle of one.
        if let Some(format) = format {
            follower.frames.set_format(format, true);
        }
        follower.id = Some(range.id.clone()).filter(|id| !id.is_empty());
        Ok(follower)
    }

    /// Reads what has been appended, at most one read's worth; 0 at the end of the file.
    pub fn read(&mut self, now_ms: u64) -> io::Result<usize> {
        let file = &self.file;
        let result = self.frames.fill(READ_BYTES, |room, at| read_at(file, room, at));
        let read = *result.as_ref().unwrap_or(&0);
        if read > 0 {
            self.last_read_ms = now_ms;
            self.rewritten |= !self.head.matches(&self.file)?;
        }
        if read > 0 && !self.rewritten {
            self.learn_head()?;
        }
        result
    }

    /// The file's first line, once there is one: its id is made of it.
    pub fn first_line(&self) -> Result<Option<Vec<u8>>, Refused> {
        let bytes = first_bytes(&self.file, HEAD_BYTES_MAX).map_err(|error| Refused(error.to_string()))?;
        Ok(first_line(&bytes).map(<[u8]>::to_vec))
    }

    /// What its rows' ids begin with, from now on.
    pub fn set_id(&mut self, id: String) {
        self.id = Some(id);
    }

    /// Learns the file's format; true once it is known.
    pub fn learn_format(&mut self) -> Result<bool, Refused> {
        if self.frames.has_format() {
            return Ok(true);
        }
        let head = first_bytes(&self.file, DETECT_BYTES_MAX).map_err(|error| Refused(error.to_string()))?;
        match detect(&head, head.len() >= DETECT_BYTES_MAX) {
            Detection::Known(format) => {
                self.format = Some(format);
                self.frames.set_format(format, self.frames.offset() == 0);
                Ok(true)
            }
            Detection::NeedMore => Ok(false),
            Detection::Unknown { reason } => Err(Refused(reason.to_owned())),
        }
    }

    /// Whether the file was cut in place: it is shorter than what was read of it, or begins with other bytes than it did. What was read
    /// last may belong to what it holds now.
    pub fn is_cut(&self) -> bool {
        // A file whose length cannot be had is read on: the read will say what is wrong.
        self.rewritten || self.len_on_disk().is_ok_and(|len| len < self.frames.offset())
    }

    /// Accounts for what has become `rows` lines since the last call.
    pub fn account(&mut self, rows: u64) {
        self.hash.update(self.frames.account());
        self.rows += rows;
    }

    /// Whether anything was handed out since the last seal.
    pub fn has_unsealed(&self) -> bool {
        self.frames.offset() > self.sealed
    }

    /// What the next seal says of this file; from then on it counts as sealed.
    pub fn seal(&mut self, source: &str) -> FileRange {
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        let range =
            FileRange { from: self.sealed, to: self.frames.offset(), sha256, rows: self.rows, ..self.position(source) };
        self.sealed = self.frames.offset();
        self.rows = 0;
        range
    }

    /// Where reading stands, without a claim about bytes: for a segment's snapshot.
    pub fn position(&self, source: &str) -> FileRange {
        FileRange {
            id: self.id.clone().unwrap_or_default(),
            source: source.to_owned(),
            path: self.path.to_string_lossy().into_owned(),
            format: self.format.map(|format| format.name().to_owned()).unwrap_or_default(),
            dev: self.inode.dev,
            ino: self.inode.ino,
            head_len: self.head.len as u64,
            head: self.head.sha256.clone(),
            from: self.sealed,
            to: self.sealed,
            sha256: String::new(),
            rows: 0,
            ended: false,
        }
    }

    /// The file's length on disk.
    pub fn len_on_disk(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether no name leads to the file any more.
    pub fn is_deleted(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// The id, once known.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The format, once known.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// What stands in the way of reading it, for a person.
    pub fn problem(&self) -> Option<String> {
        let path = self.path.display();
        let refused = self.refused.as_ref().map(|why| format!("not reading {path}: {why}"));
        refused.or_else(|| self.unreadable.as_ref().map(|why| format!("cannot read {path}: {why}")))
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A young file's head is hashed again until it is long enough to stay as it is.
    fn learn_head(&mut self) -> io::Result<()> {
        if self.head.len < HEAD_BYTES_MAX {
            self.head = Head::read(&self.file)?.0;
        }
        Ok(())
    }
}

fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buf, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
