//! Appending to the journal: blocks of lines, sealed and synced, in segments that roll.
//!
//! Owns the chain (the trail's state), the signing key and the open segment's file. A block is built in memory, compressed into
//! one zstd frame, appended with one write and one sync, and only then published. A block that the disk has no room for is kept as
//! it is and written when there is room: nothing after it is built before that.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealtrail_seal::block::{Act as ActLine, ChainError};
use sealtrail_seal::{Chain, FileRange, Gap, Held, Rows, Seal, Signer};
use tracing::info;
use zstd::bulk::Compressor;

use super::anchor::Keeper;
use super::{Head, segment_path};
use crate::disk::OpenFile;
use crate::host::Host;
use crate::limits::ZSTD_LEVEL;
use crate::{clock, durable};

/// The journal, open for appending.
pub struct Writer {
    host: Host,
    dir: PathBuf,
    chain: Chain,
    signer: Signer,
    open: Option<Open>,
    /// A frame that is built and not yet on the disk.
    pending: Option<Pending>,
    boot_id: String,
    /// SHA-256 of the configuration, for seals.
    config: String,
    /// Makes one zstd frame a block, with its content's size and checksum.
    compressor: Compressor<'static>,
    /// How far the trail is on the disk.
    head: Head,
    /// Bytes appended in this run.
    written: u64,
    /// Told of every block.
    anchor: Option<Keeper>,
}

/// The open segment.
struct Open {
    first: u64,
    file: Arc<dyn OpenFile>,
    /// Bytes that are whole and synced.
    bytes: u64,
    /// When it was begun, by the boot clock.
    begun_ms: u64,
    /// Whether it holds anything but the format's own lines.
    has_rows: bool,
    /// A part of a frame may stand behind `bytes`: it has to go before anything else is written.
    torn: bool,
}

struct Pending {
    frame: Vec<u8>,
    /// The segment's first line; the file is made when the frame is written.
    first: u64,
    closes: bool,
    has_rows: bool,
}

/// What a block accounts for, as far as the journal does not know it itself.
#[derive(Debug, Default)]
pub struct Block {
    /// Whole lines, each with its newline.
    pub lines: Vec<u8>,
    /// Acts of the agent itself, written before the rows.
    pub acts: Vec<Act>,
    /// The files read from.
    pub files: Vec<FileRange>,
    /// Pieces of rows that are read and not in any line yet, of all files.
    pub held: Vec<Held>,
    /// What became of the rows.
    pub rows: Rows,
}

impl Block {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.acts.is_empty() && self.files.is_empty()
    }
}

/// An act of the agent, or something that it noticed.
#[derive(Debug, Clone)]
pub struct Act {
    /// `STARTED`, `STOPPED`, `RECOVERED`, `GAP`, …
    pub action: &'static str,
    /// The file or source that it is about; the trail itself when empty.
    pub resource: String,
    /// `trail`, `file`, `source` or `destination`.
    pub resource_type: &'static str,
    /// `success`, `failure` or `unknown`.
    pub outcome: &'static str,
    /// For a person.
    pub message: String,
    /// What is missing, or may be.
    pub gap: Option<Gap>,
}

impl Act {
    /// About the trail itself, and all is well.
    pub fn new(action: &'static str, message: impl Into<String>) -> Self {
        Act {
            action,
            resource: String::new(),
            resource_type: "trail",
            outcome: "success",
            message: message.into(),
            gap: None,
        }
    }

    /// About a file.
    pub fn of_file(self, path: impl Into<String>) -> Self {
        Act { resource: path.into(), resource_type: "file", ..self }
    }

    /// About a source.
    pub fn of_source(self, name: impl Into<String>) -> Self {
        Act { resource: name.into(), resource_type: "source", ..self }
    }

    /// About a destination.
    pub fn of_destination(self, name: impl Into<String>) -> Self {
        Act { resource: name.into(), resource_type: "destination", ..self }
    }

    /// Something went wrong.
    pub fn failed(self) -> Self {
        Act { outcome: "failure", ..self }
    }

    /// Nobody can tell.
    pub fn unknown(self) -> Self {
        Act { outcome: "unknown", ..self }
    }

    /// What is missing, or may be.
    pub fn with_gap(self, gap: Gap) -> Self {
        Act { gap: Some(gap), ..self }
    }
}

/// Where the recovery ended: what a writer goes on from.
pub struct Resume {
    /// The trail's state after the last good block.
    pub chain: Chain,
    /// The open segment: its first line, its length, whether it holds rows; `None` when the last one is closed.
    pub open: Option<(u64, u64, bool)>,
}

/// Why a block is not on the disk.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no room. The block is kept; try again with [`Writer::flush`].
    #[error("no room on the disk for {path}")]
    Full {
        /// The segment.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The disk failed. What is on it is unknown until it is read again: the agent has to stop.
    #[error("cannot write {path}")]
    Disk {
        /// The segment.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The block could not be built.
    #[error("cannot build a block")]
    Build(#[from] ChainError),
    /// The block could not be compressed.
    #[error("cannot compress a block")]
    Compress(#[source] io::Error),
}

impl Writer {
    /// Goes on where `resume` stands.
    pub fn new(host: Host, dir: &Path, resume: Resume, signer: Signer, config: String) -> io::Result<Self> {
        let open = match resume.open {
            Some((first, bytes, has_rows)) => {
                let file = host.disk.open_append(&segment_path(dir, first))?;
                Some(Open { first, file, bytes, begun_ms: host.clock.since_boot_ms(), has_rows, torn: false })
            }
            None => None,
        };
        let boot_id = host.clock.boot_id();
        let mut compressor = Compressor::new(ZSTD_LEVEL)?;
        compressor.include_checksum(true)?;
        let head = head(&resume.chain, open.as_ref());
        Ok(Writer {
            host,
            dir: dir.to_owned(),
            chain: resume.chain,
            signer,
            open,
            pending: None,
            boot_id,
            config,
            compressor,
            head,
            written: 0,
            anchor: None,
        })
    }

    /// Has the anchor kept.
    pub fn anchored(self, keeper: Keeper) -> Self {
        Writer { anchor: Some(keeper), ..self }
    }

    /// Writes down how far the trail is, where the next start will compare it: at a clean end.
    pub fn write_anchor(&mut self) {
        if let Some(anchor) = &mut self.anchor {
            anchor.write_as_can_be(&self.chain, self.signer.verifier());
        }
    }

    /// How far the trail is on the disk.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Root of the trail's tree, over all that is sealed.
    pub fn root(&self) -> [u8; 32] {
        self.chain.root()
    }

    /// Bytes appended in this run.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes in the open segment; 0 when none is open.
    pub fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// Age of the open segment in milliseconds, and whether it holds rows.
    pub fn open_age(&self) -> Option<(u64, bool)> {
        self.open.as_ref().map(|open| (self.host.clock.since_boot_ms().saturating_sub(open.begun_ms), open.has_rows))
    }

    /// Seals `block` and empties it; `closes` ends the segment with it. `positions` is where reading stood
    /// before the block: for the head of a segment that begins with it.
    ///
    /// On [`WriteError::Full`] the block is kept and counts as sealed: call [`Writer::flush`] until it succeeds.
    pub fn seal(&mut self, block: &mut Block, closes: bool, positions: Vec<FileRange>) -> Result<Head, WriteError> {
        self.flush()?;
        self.pending = Some(self.build(block, closes, positions)?);
        self.flush()
    }

    /// Writes the block that waits, if one does.
    pub fn flush(&mut self) -> Result<Head, WriteError> {
        if let Some(pending) = self.pending.take() {
            let path = segment_path(&self.dir, pending.first);
            if let Err(source) = self.write(&pending, &path) {
                self.pending = Some(pending);
                return Err(refused(path, source));
            }
            self.head = head(&self.chain, self.open.as_ref());
            if let Some(anchor) = &mut self.anchor {
                anchor.written(&self.chain, self.signer.verifier(), pending.closes);
            }
        }
        Ok(self.head)
    }

    /// Whether a block waits for room.
    pub fn waits(&self) -> bool {
        self.pending.is_some()
    }

    fn build(&mut self, block: &mut Block, closes: bool, positions: Vec<FileRange>) -> Result<Pending, WriteError> {
        let time = clock::rfc3339(self.host.clock.unix_ms());
        let has_rows = !block.lines.is_empty() || !block.acts.is_empty();
        let mut before = Vec::new();
        let first = match &self.open {
            Some(open) => open.first,
            None => self.chain.lines(),
        };
        if self.open.is_none() {
            if let Some(anchor) = &mut self.anchor {
                anchor.begin(&positions);
            }
            self.chain.begin_segment(self.signer.verifier(), positions, &time, &mut before)?;
        }
        for act in block.acts.drain(..) {
            self.act(&act, &time, &mut before)?;
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &block.lines) {
            self.chain.push(&block.lines[start..end]);
            start = end + 1;
        }
        if let Some(anchor) = &mut self.anchor {
            anchor.account(&block.files);
        }
        let seal = self.seal_of(block, closes);
        self.chain.end_block(seal, &time, &self.signer, &mut block.lines)?;
        // One piece of text is compressed faster than three.
        block.lines.splice(..0, before);
        let frame = self.compressor.compress(&block.lines).map_err(WriteError::Compress)?;
        block.lines.clear();
        Ok(Pending { frame, first, closes, has_rows })
    }

    fn act(&mut self, act: &Act, time: &str, out: &mut Vec<u8>) -> Result<(), ChainError> {
        let origin = self.chain.origin().to_owned();
        let line = ActLine {
            action: act.action,
            resource: if act.resource.is_empty() { &origin } else { &act.resource },
            resource_type: act.resource_type,
            outcome: act.outcome,
            message: Some(&act.message),
            gap: act.gap.as_ref(),
        };
        self.chain.agent_line(&line, time, out)
    }

    fn seal_of(&self, block: &mut Block, closes: bool) -> Seal {
        Seal {
            block: self.chain.block(),
            first: self.chain.block_first(),
            lines: self.chain.lines() - self.chain.block_first(),
            boot_id: self.boot_id.clone(),
            since_boot_ms: self.host.clock.since_boot_ms(),
            clock: self.host.clock.state().to_owned(),
            files: std::mem::take(&mut block.files),
            held: std::mem::take(&mut block.held),
            rows: std::mem::take(&mut block.rows),
            config: self.config.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            closes,
            next_key: closes.then(|| self.signer.verifier().to_string()),
        }
    }

    /// One append and one sync; a new segment's name is synced too. What was half written is cut off again.
    fn write(&mut self, pending: &Pending, path: &Path) -> io::Result<()> {
        if self.open.is_none() {
            // It may be left, empty, from an attempt that failed half-way.
            let file = self.host.disk.open_append(path)?;
            self.host.disk.sync_dir(&self.dir)?;
            self.open = Some(Open {
                first: pending.first,
                file,
                bytes: 0,
                begun_ms: self.host.clock.since_boot_ms(),
                has_rows: false,
                torn: false,
            });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.torn {
            durable::truncate(open.file.as_ref(), open.bytes)?;
            open.torn = false;
        }
        if let Err(error) = durable::append(open.file.as_ref(), &pending.frame) {
            // The next attempt starts where this one did. If the cut fails too, it comes first then.
            open.torn = durable::truncate(open.file.as_ref(), open.bytes).is_err();
            return Err(error);
        }
        open.bytes += pending.frame.len() as u64;
        self.written += pending.frame.len() as u64;
        open.has_rows |= pending.has_rows;
        if pending.closes {
            info!(segment = pending.first, bytes = open.bytes, "segment closed");
            self.open = None;
        }
        Ok(())
    }
}

fn head(chain: &Chain, open: Option<&Open>) -> Head {
    let lines = chain.lines();
    match open {
        Some(open) => Head { segment: open.first, bytes: open.bytes, lines },
        None => Head { segment: lines, bytes: 0, lines },
    }
}

fn refused(path: PathBuf, source: io::Error) -> WriteError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full { path, source },
        _ => WriteError::Disk { path, source },
    }
}
