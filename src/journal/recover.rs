//! Finding the truth at start: the last block that is whole and signed is where the trail ends.
//!
//! The last segment is read from its head to its end: its tree is built again and each of its checkpoints is checked. A torn tail (the
//! beginning of a frame that a crash cut off) is removed and said so in the trail; its rows were never acknowledged and are read
//! again. Anything else that is wrong stops the start: evidence is never repaired in silence.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sealtrail_seal::block::{BlockError, ResumeError};
use sealtrail_seal::{AgentLine, Chain, FileRange, Held, Seal, Segment, VerifierKey};
use tracing::{info, warn};

use super::read::{BlockReader, ReadError, SegmentFile, segments};
use super::write::{Act, Resume};
use crate::disk::{Disk, Reader};
use crate::durable;

/// What the journal says about the past.
pub struct Recovered {
    /// What the writer goes on from.
    pub resume: Resume,
    /// What the open segment continues; `None` when none is open.
    pub began: Option<Segment>,
    /// Where reading stands in every known file, last sealed last.
    pub files: Vec<FileRange>,
    /// Files that ended in the last segment: what begins with the same line is another file.
    pub spent: Vec<FileRange>,
    /// Pieces of rows that were read and are in no line: they are read again.
    pub held: Vec<Held>,
    /// What was done, for the trail.
    pub acts: Vec<Act>,
    /// When the last block was written; `None`: there was no journal.
    pub sealed_at: Option<SystemTime>,
}

/// Why the agent cannot start on this journal.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The folder or a segment cannot be read or repaired.
    #[error("cannot read the journal {path}")]
    Io {
        /// The folder or segment.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A block cannot be read and is not merely torn.
    #[error("the journal does not verify")]
    Read(#[from] ReadError),
    /// A block does not check.
    #[error("the journal does not verify: {path}, block at byte {byte}")]
    Block {
        /// The segment.
        path: PathBuf,
        /// Where the block's frame starts.
        byte: u64,
        /// What is wrong with it.
        source: BlockError,
    },
    /// The segment's first line is not a head, or is that of another trail.
    #[error("the journal does not verify: {path} {why}")]
    Head {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The head cannot be resumed from.
    #[error("the journal does not verify: {path}")]
    Resume {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        source: ResumeError,
    },
}

impl RecoverError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            RecoverError::Io { .. } => "check the folder's owner and permissions, and the disk".to_owned(),
            _ => "run `sealtrail verify` on the state folder and keep the files as they are; to begin a new trail, move the whole state folder away".to_owned(),
        }
    }
}

/// Reads the journal in `dir`, cuts off a torn tail, and says where the trail stands.
pub fn recover(disk: &dyn Disk, dir: &Path, origin: &str, key: &VerifierKey) -> Result<Recovered, RecoverError> {
    let mut acts = Vec::new();
    let mut found = segments(disk, dir).map_err(|source| RecoverError::Io { path: dir.to_owned(), source })?;
    while let Some(last) = found.last() {
        let sealed_at = disk.status(&last.path).map(|status| status.modified);
        let sealed_at = sealed_at.map_err(|source| RecoverError::Io { path: last.path.clone(), source })?;
        let state = read_segment(disk, last, origin, key)?;
        if let Some(mut state) = state {
            cut_tail(disk, last, state.end, &mut acts)?;
            // A block that was written and not synced when the agent was killed, or whose sync failed, looks like any other: before it
            // counts, it has to last. Those before it do: it was written once they did.
            durable::sync_again(disk, &last.path, state.last)
                .map_err(|source| RecoverError::Io { path: last.path.clone(), source })?;
            let open = (!state.closed).then_some((last.first, state.end, state.has_rows));
            let files = std::mem::take(&mut state.files);
            let resume = Resume { chain: state.chain, open };
            let began = (!state.closed).then_some(state.head);
            return Ok(Recovered {
                resume,
                began,
                files,
                spent: state.spent,
                held: state.held,
                acts,
                sealed_at: Some(sealed_at),
            });
        }
        if found.len() == 1 && last.first > 0 {
            let why = "has no whole block, and the segments before it are not there".to_owned();
            return Err(RecoverError::Head { path: last.path.clone(), why });
        }
        remove_torn_segment(disk, last, &mut acts)?;
        found.pop();
    }
    let resume = Resume { chain: Chain::new(origin), open: None };
    Ok(Recovered { resume, began: None, files: Vec::new(), spent: Vec::new(), held: Vec::new(), acts, sealed_at: None })
}

/// A segment as far as it is whole.
struct State {
    head: Segment,
    chain: Chain,
    /// Start and end of the last whole block's frame.
    last: u64,
    end: u64,
    closed: bool,
    has_rows: bool,
    files: Vec<FileRange>,
    spent: Vec<FileRange>,
    held: Vec<Held>,
}

/// `None`: not even the first block is whole.
fn read_segment(
    disk: &dyn Disk,
    segment: &SegmentFile,
    origin: &str,
    key: &VerifierKey,
) -> Result<Option<State>, RecoverError> {
    let mut reader = BlockReader::open(disk, &segment.path, 0, segment.bytes)?;
    let mut state: Option<State> = None;
    loop {
        let at = reader.offset();
        let lines = match reader.next_block() {
            Ok(Some(block)) => block.bytes,
            Ok(None) => return Ok(state),
            Err(error @ ReadError::Io { .. }) => return Err(error.into()),
            Err(error) => {
                refuse_unless_torn(disk, segment, at, error)?;
                return Ok(state);
            }
        };
        let mut next = match state.take() {
            Some(state) => state,
            None => begin(segment, lines, origin, key)?,
        };
        next.add(lines, key).map_err(|source| RecoverError::Block { path: segment.path.clone(), byte: at, source })?;
        (next.last, next.end) = (at, reader.offset());
        state = Some(next);
    }
}

fn begin(segment: &SegmentFile, lines: &[u8], origin: &str, key: &VerifierKey) -> Result<State, RecoverError> {
    let path = || segment.path.clone();
    let first = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // Why it is no head does not matter: it is not one that this agent wrote.
    let line: Option<AgentLine> = serde_json::from_slice(first).ok();
    let Some(head) = line.and_then(|line| line.segment) else {
        return Err(RecoverError::Head { path: path(), why: "does not begin with a segment's head".to_owned() });
    };
    let wrong = if head.origin != origin {
        Some(format!("is of the trail {}, not of {origin}", head.origin))
    } else if head.first != segment.first {
        Some(format!("has the head of segment {}", head.first))
    } else if head.key != key.to_string() {
        Some("is signed by another key than the one in the state folder".to_owned())
    } else {
        None
    };
    if let Some(why) = wrong {
        return Err(RecoverError::Head { path: path(), why });
    }
    let chain = Chain::resume(&head).map_err(|source| RecoverError::Resume { path: path(), source })?;
    let (spent, files) = head.files.iter().cloned().partition(|range| range.ended);
    Ok(State { head, chain, last: 0, end: 0, closed: false, has_rows: false, files, spent, held: Vec::new() })
}

impl State {
    /// Adds a block's lines, checks its end, and takes over what its seal says.
    fn add(&mut self, block: &[u8], key: &VerifierKey) -> Result<(), BlockError> {
        let lines: Vec<&[u8]> =
            block.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect();
        let [content @ .., seal, checkpoint] = lines.as_slice() else { return Err(BlockError::NoSeal) };
        for line in content {
            self.chain.push(line);
        }
        let seal = self.chain.close_block(seal, checkpoint, key)?;
        self.has_rows |= seal.rows.read > 0;
        self.closed = seal.closes;
        self.take_over(seal);
        Ok(())
    }

    fn take_over(&mut self, seal: Seal) {
        self.held = seal.held;
        for range in seal.files {
            self.files.retain(|known| known.id != range.id);
            self.spent.retain(|spent| spent.id != range.id);
            if range.ended {
                self.spent.push(range);
            } else {
                // Where reading stands; what that seal accounts for is its own.
                self.files.push(FileRange { from: range.to, sha256: String::new(), rows: 0, ..range });
            }
        }
    }
}

/// A torn tail is the beginning of one frame, or a place that the disk had not filled yet; there is nothing whole behind it. A frame that
/// decodes somewhere behind the damage means that the damage is no tear.
fn refuse_unless_torn(disk: &dyn Disk, segment: &SegmentFile, at: u64, error: ReadError) -> Result<(), RecoverError> {
    const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let io = |source| RecoverError::Io { path: segment.path.clone(), source };
    let mut tail = Vec::new();
    let mut file = Reader::new(disk.open(&segment.path).map_err(io)?, at);
    io::Read::read_to_end(&mut file, &mut tail).map_err(io)?;
    let starts = memchr::memmem::find_iter(&tail, &ZSTD_MAGIC).filter(|&start| start > 0);
    for start in starts {
        let mut reader = BlockReader::open(disk, &segment.path, at + start as u64, segment.bytes)?;
        if matches!(reader.next_block(), Ok(Some(block)) if block.lines >= 2) {
            return Err(error.into());
        }
    }
    Ok(())
}

fn cut_tail(disk: &dyn Disk, segment: &SegmentFile, end: u64, acts: &mut Vec<Act>) -> Result<(), RecoverError> {
    let torn = segment.bytes - end;
    if torn == 0 {
        return Ok(());
    }
    let io = |source| RecoverError::Io { path: segment.path.clone(), source };
    let file = disk.open_append(&segment.path).map_err(io)?;
    durable::truncate(file.as_ref(), end).map_err(io)?;
    warn!(segment = segment.first, bytes = torn, "cut off a block that was not whole");
    acts.push(recovered(format!(
        "cut {torn} bytes of a block that was not whole off the end of segment {}",
        segment.first
    )));
    Ok(())
}

fn remove_torn_segment(disk: &dyn Disk, segment: &SegmentFile, acts: &mut Vec<Act>) -> Result<(), RecoverError> {
    durable::remove(disk, &segment.path).map_err(|source| RecoverError::Io { path: segment.path.clone(), source })?;
    info!(segment = segment.first, bytes = segment.bytes, "removed a segment without one whole block");
    acts.push(recovered(format!(
        "removed segment {} with {} bytes: not one block of it was whole",
        segment.first, segment.bytes
    )));
    Ok(())
}

fn recovered(message: String) -> Act {
    Act::new("RECOVERED", message)
}
