//! The state of a trail between two lines, and the two lines that end a block.
//!
//! A [`Chain`] is advanced line by line in memory; whoever owns it writes the bytes. It never goes back: a block that
//! could not be written yet is written later, as it is.

use crate::line::{AgentLine, FileRange, Seal};
use crate::note::Signer;
use crate::tree::Tree;

/// Where a trail stands: its name, the tree over all its lines so far, the number of the next block.
#[derive(Debug, Clone)]
pub struct Chain {
    origin: String,
    tree: Tree,
    block: u64,
    /// Number of the first line of the block under construction.
    block_first: u64,
}
