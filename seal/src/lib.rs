//! Lines to tree, checkpoint and verdict: what makes a trail tamper-evident.
//!
//! `docs/format.md` is the format's home, to the byte; this crate is its code, small enough to read in an hour, and
//! does no I/O. Words are those of RFC 6962 (leaf, node, root) and of C2SP's `signed-note` and `tlog-checkpoint`
//! (origin, checkpoint, verifier key). In reading order: [`tree`] makes roots of lines, [`note`] signs them, [`line`] has the lines
//! that the format itself writes, [`block`] ends a block, [`verify`] says what is wrong with a trail.

pub mod block;
pub mod line;
pub mod note;
pub mod tree;
pub mod verify;

pub use block::{Act, BlockError, Chain, ChainError};
pub use line::{AgentLine, FileRange, Gap, Held, Kind, Rows, Seal, Segment};
pub use note::{Checkpoint, KeyError, NoteError, Signer, VerifierKey, check_origin};
pub use tree::{Hash, Tree, leaf_hash};
pub use verify::{Class, Counts, Finding, FindingKind, Verdict, Verifier};
