//! The lines that the agent itself writes, and the three that are part of the format: a segment's head, a block's
//! seal, a checkpoint.
//!
//! Field order here is the order in the file. Unknown fields are ignored when read, so that a later agent may add
//! to them; the bytes in the file are what is hashed, never what is written back.

use serde::{Deserialize, Serialize};

/// The schema version that `v` gives on every line.
pub const VERSION: u32 = 1;

/// The account under which the agent's own acts are recorded.
pub const AGENT: &str = "(agent)";

/// What a line is, by its first bytes. Every line of a trail begins with `{"v":1,"type":"<kind>"`, to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A row of a database's log.
    Event,
    /// An act of the agent.
    Agent,
    /// A signed tree head.
    Checkpoint,
    /// No line of a trail.
    Other,
}

impl Kind {
    /// Looks at the line's first bytes only.
    pub fn of(line: &[u8]) -> Self {
        match line.strip_prefix(br#"{"v":1,"type":""#) {
            Some(rest) if rest.starts_with(br#"event","#) => Self::Event,
            Some(rest) if rest.starts_with(br#"agent","#) => Self::Agent,
            Some(rest) if rest.starts_with(br#"checkpoint","#) => Self::Checkpoint,
            _ => Self::Other,
        }
    }
}

/// A line that the agent itself writes. The four fields (user, action, time, resource) are never missing here either.
///
/// At most one of the optional parts is there; `action` says which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLine {
    /// [`VERSION`].
    pub v: u32,
    /// `agent` or `checkpoint`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `<origin>/<line number>`.
    pub id: String,
    /// Wall clock, RFC 3339 UTC with milliseconds.
    pub time: String,
    /// `(agent)`: the agent itself.
    pub user: String,
    /// `SEGMENT`, `SEAL`, `CHECKPOINT`, `STARTED`, `STOPPED`, `RECOVERED`, `GAP`, …
    pub action: String,
    /// The origin, or the file that the act is about.
    pub resource: String,
    /// `trail` or `file`.
    pub resource_type: String,
    /// `success` or `failure`.
    pub outcome: String,
    /// `operation`.
    pub category: String,
    /// What happened, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// With `SEGMENT`: what the segment continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// With `SEAL`: what the block accounts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// With `GAP` and its kin: what is missing, or may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// With `CHECKPOINT`: the C2SP checkpoint, a signed note of origin, tree size, root and signature, over every
    /// line above this one, the seal included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// What is missing of a source, or may be: bytes of a file that were cut away, rows of a session or their entries by their numbers,
/// or a session's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `bytes`, `rows`, `entries` or `tail`.
    pub of: String,
    /// Name of the `[[source]]`.
    pub source: String,
    /// Of rows, entries and a tail: the format whose numbers these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Of bytes: the file's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Of rows, entries and a tail: the session, as the server names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The first byte, or the first number in the session, that is missing.
    pub from: u64,
    /// Of bytes: the first byte that is not missing any more. Of rows and entries: the last number that is missing. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// `id` of the record before, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// `id` of the record after, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What a segment continues, and all that is needed to resume or check it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The trail's name: `org/cluster/host`.
    pub origin: String,
    /// Number of the segment's first line, which is this line.
    pub first: u64,
    /// Root of the tree over all lines before this one, base64; of the empty tree when `first` is 0.
    pub root: String,
    /// The tree's right edge before this line: the roots of the perfect subtrees that `first` decomposes into,
    /// largest first, base64.
    pub edge: Vec<String>,
    /// Number of the next block.
    pub block: u64,
    /// Verifier key (C2SP vkey) of the key that signs this segment.
    pub key: String,
    /// Where reading stood in every known file when the segment began: a snapshot that the seals below add to.
    pub files: Vec<FileRange>,
}

/// What a block accounts for. A claim under the checkpoint that follows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Number of the block in the trail, from 0.
    pub block: u64,
    /// Number of the block's first line.
    pub first: u64,
    /// How many lines the block holds before this one, a segment's head included.
    pub lines: u64,
    /// The kernel's id of this boot; empty where there is none.
    pub boot_id: String,
    /// Milliseconds since that boot, by a clock that nobody sets.
    pub since_boot_ms: u64,
    /// Whether the wall clock follows a time server: `synchronised`, `unsynchronised` or `unknown`. This release's agent looks at
    /// systemd-timesyncd's flag file only, and never writes `unsynchronised`.
    pub clock: String,
    /// The source files that this block read from, each with the bytes that its lines account for.
    pub files: Vec<FileRange>,
    /// Offsets of rows that were read but wait for a partner: read again after a restart.
    pub held: Vec<Held>,
    /// Rows by what became of them.
    pub rows: Rows,
    /// SHA-256 of the configuration in force, hex.
    pub config: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Whether this is the segment's last block.
    pub closes: bool,
    /// Verifier key that signs the next segment; in the last block of a segment only, where the agent always writes it. Without it
    /// the key stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<String>,
}

/// A byte range of one source file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRange {
    /// The file's id, the same that its records' `id` begins with.
    pub id: String,
    /// Name of the `[[source]]`.
    pub source: String,
    /// The path it was last seen under; lossy where it is not UTF-8.
    pub path: String,
    /// Format name, once known.
    pub format: String,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// How many of the file's first bytes `head` covers.
    pub head_len: u64,
    /// SHA-256 of those bytes, hex.
    pub head: String,
    /// How many of the bytes before `to` `tail` covers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tail_len: u64,
    /// SHA-256 of those bytes, hex: what tells the file from another that begins alike, and a copy of it from another file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// Length of the archive, where the log was read from a compressed copy, to its end: such a file does not grow any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub archive_len: u64,
    /// First byte accounted for by this block.
    pub from: u64,
    /// First byte not yet accounted for: where reading resumes.
    pub to: u64,
    /// SHA-256 of the raw bytes `from..to`, hex; empty in a segment's snapshot, where `from` equals `to`.
    pub sha256: String,
    /// Lines of this block whose `id` begins with this file's id: rows of the range, and rows held back before it.
    pub rows: u64,
    /// The file is gone from the disk and was read to its end: nothing more will come of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A row that waits for its partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The file's id.
    pub id: String,
    /// Where the row starts.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
}

/// Rows of a block by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows accounted for: each is an `event` line of the block, or counted in `filtered`. A row that was held back
    /// counts in the block that has its line.
    pub read: u64,
    /// Read and, by configuration, not kept.
    pub filtered: u64,
    /// Lines from which something was taken out.
    pub redacted: u64,
    /// Lines that could not be understood.
    pub unparsed: u64,
    /// Gaps found.
    pub gaps: u64,
}
