//! The state of a trail between two lines, and the two lines that end a block.
//!
//! A [`Chain`] is advanced line by line in memory; whoever owns it writes the bytes. It never goes back: a block that
//! could not be written yet is written later, as it is. Two ways lead through a block: to write one, [`Chain::push`]
//! lines and then [`Chain::end_block`]; to read one again after a restart, `push` and then [`Chain::close_block`],
//! which checks instead of signing.
//!
//! Hard here: the last checkpoint of a trail lies under no later root, so nothing would tell of a change in what
//! surrounds its note. Therefore a checkpoint line has exactly one spelling, which follows from the seal and the note.

use sha2::{Digest, Sha256};

use crate::line::{AGENT, AgentLine, FileRange, Gap, Kind, Seal, Segment, VERSION};
use crate::note::{Checkpoint, KeyError, NoteError, Signer, VerifierKey, decimal, hash_from_base64, hash_to_base64};
use crate::tree::{EdgeError, Hash, Tree, leaf_hash};

/// Where a trail stands: its name, the tree over all its lines so far, the number of the next block.
#[derive(Debug, Clone)]
pub struct Chain {
    origin: String,
    tree: Tree,
    block: u64,
    /// Number of the first line of the block under construction.
    block_first: u64,
    /// SHA-256 over the leaves of the block under construction.
    digest: Sha256,
}

/// An act of the agent that is worth a line.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// `STARTED`, `STOPPED`, `RECOVERED`, `GAP`, …
    pub action: &'a str,
    /// The origin, or the file or source that the act is about.
    pub resource: &'a str,
    /// `trail`, `file` or `source`.
    pub resource_type: &'a str,
    /// `success` or `failure`.
    pub outcome: &'a str,
    /// What happened, for a person.
    pub message: Option<&'a str>,
    /// What is missing, or may be.
    pub gap: Option<&'a Gap>,
}

/// Why a line could not be added. The chain and the output are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The key signs for another trail.
    #[error("key of {key} cannot sign the trail {origin}")]
    Signer {
        /// The key's name.
        key: String,
        /// The trail's name.
        origin: String,
    },
    /// A segment begins between two blocks only.
    #[error("segment cannot begin inside block {0}")]
    InsideBlock(u64),
    /// A line could not be written as JSON.
    #[error("line cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Why a trail cannot be resumed from a segment's head.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The origin cannot be one.
    #[error("segment head: {0}")]
    Origin(#[from] KeyError),
    /// A hash that is not 32 bytes in base64.
    #[error("segment head: {0} is not a hash in base64")]
    Hash(&'static str),
    /// The edge is not that of a tree of this size.
    #[error("segment head: {0}")]
    Edge(#[from] EdgeError),
    /// The edge is that of another tree.
    #[error("segment head: edge does not give the root")]
    Root,
    /// A number beyond any trail.
    #[error("segment head: block {0} is beyond any trail")]
    Block(u64),
}

/// Why a block that was read is not the one that was sealed. The chain is as it was before its last two lines.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The line before the checkpoint is not a seal.
    #[error("block does not end with a seal and a checkpoint")]
    NoSeal,
    /// The signed note is not one, or not by this key.
    #[error("checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The note is right; the line around it is not as the agent writes it.
    #[error("checkpoint line is not as the agent writes it")]
    CheckpointLine,
    /// The checkpoint is that of another block, or of another number of lines.
    #[error("checkpoint is not the one of this block")]
    OtherBlock,
    /// The lines are not those that were signed.
    #[error("lines do not give the signed root")]
    Root,
    /// The seal speaks of another block or another number of lines.
    #[error("seal contradicts the block: {0}")]
    Seal(&'static str),
}

impl Chain {
    /// A trail without lines.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), tree: Tree::new(), block: 0, block_first: 0, digest: Sha256::new() }
    }

    /// The trail as it stood before this segment's first line. The head itself is not pushed. What the head says is a
    /// claim until the block that it is in has been closed: the checkpoint signs the head's bytes and the block's number
    /// and first line.
    pub fn resume(segment: &Segment) -> Result<Self, ResumeError> {
        crate::note::check_origin(&segment.origin)?;
        if segment.block > crate::tree::SIZE_MAX {
            return Err(ResumeError::Block(segment.block));
        }
        let root = hash_from_base64(&segment.root).ok_or(ResumeError::Hash("root"))?;
        let edge: Option<Vec<Hash>> = segment.edge.iter().take(65).map(|text| hash_from_base64(text)).collect();
        let tree = Tree::from_edge(segment.first, edge.ok_or(ResumeError::Hash("edge"))?)?;
        if tree.root() != root {
            return Err(ResumeError::Root);
        }
        let origin = segment.origin.clone();
        Ok(Self { origin, tree, block: segment.block, block_first: segment.first, digest: Sha256::new() })
    }

    /// The trail's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of lines so far, which is the number of the next line.
    pub fn lines(&self) -> u64 {
        self.tree.size()
    }

    /// Number of the block under construction.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// Number of the first line of the block under construction.
    pub fn block_first(&self) -> u64 {
        self.block_first
    }

    /// Root over all lines so far.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The right edge of the tree over all lines so far, largest subtree first.
    pub fn edge(&self) -> &[Hash] {
        self.tree.edge()
    }

    /// Adds one line, given without its newline.
    pub fn push(&mut self, line: &[u8]) {
        self.push_leaf(leaf_hash(line));
    }

    /// Adds one line by its [`leaf_hash`], which may have been made on another thread.
    pub fn push_leaf(&mut self, leaf: Hash) {
        self.digest.update(leaf);
        self.tree.push(leaf);
    }

    /// Writes and adds the head of a segment. `files` says where reading stands in every known file.
    pub fn begin_segment(
        &mut self,
        key: &VerifierKey,
        files: Vec<FileRange>,
        time: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        self.check_key(key)?;
        if self.lines() != self.block_first {
            return Err(ChainError::InsideBlock(self.block));
        }
        let line = AgentLine { segment: Some(self.segment(key, files)), ..self.own_line("SEGMENT", time) };
        self.write(&line, out)
    }

    /// What a segment that begins here continues: all that is needed to [`Chain::resume`] at this place. Between two blocks only.
    pub fn segment(&self, key: &VerifierKey, files: Vec<FileRange>) -> Segment {
        Segment {
            origin: self.origin.clone(),
            first: self.lines(),
            root: hash_to_base64(&self.root()),
            edge: self.edge().iter().map(hash_to_base64).collect(),
            block: self.block,
            key: key.to_string(),
            files,
        }
    }

    /// Writes and adds a line about an act of the agent.
    pub fn agent_line(&mut self, act: &Act<'_>, time: &str, out: &mut Vec<u8>) -> Result<(), ChainError> {
        let line = AgentLine {
            resource: act.resource.to_owned(),
            resource_type: act.resource_type.to_owned(),
            outcome: act.outcome.to_owned(),
            message: act.message.map(str::to_owned),
            gap: act.gap.cloned(),
            ..self.own_line(act.action, time)
        };
        self.write(&line, out)
    }

    /// Ends the block: writes and adds its seal and its checkpoint. `block`, `first` and `lines` of the seal are filled
    /// in here. The checkpoint covers every line above it; it is itself a leaf under the next one.
    pub fn end_block(
        &mut self,
        mut seal: Seal,
        time: &str,
        signer: &Signer,
        out: &mut Vec<u8>,
    ) -> Result<Checkpoint, ChainError> {
        self.check_key(signer.verifier())?;
        seal.block = self.block;
        seal.first = self.block_first;
        seal.lines = self.lines() - self.block_first;
        let line = AgentLine { seal: Some(seal), ..self.own_line("SEAL", time) };
        self.write(&line, out)?;
        let checkpoint = self.checkpoint();
        let line = checkpoint_line(&self.origin, self.lines(), time, signer.sign(&checkpoint));
        self.write(&line, out)?;
        self.next_block();
        Ok(checkpoint)
    }

    /// Ends a block that was read again: all its lines but the last two have been pushed, these two are checked
    /// against them and added. Returns what the block accounts for.
    pub fn close_block(
        &mut self,
        seal_line: &[u8],
        checkpoint_line: &[u8],
        key: &VerifierKey,
    ) -> Result<Seal, BlockError> {
        let (seal, time) = read_seal(seal_line).ok_or(BlockError::NoSeal)?;
        let mut next = self.clone();
        next.push(seal_line);
        let signed = read_checkpoint(checkpoint_line, next.lines(), &time, key)?;
        if signed.checkpoint.size != next.lines() || signed.block.number != self.block {
            return Err(BlockError::OtherBlock);
        }
        if signed.checkpoint != next.checkpoint() {
            return Err(BlockError::Root);
        }
        check_seal(&seal, self.block, self.block_first, self.lines() - self.block_first).map_err(BlockError::Seal)?;
        next.push(checkpoint_line);
        next.next_block();
        *self = next;
        Ok(seal)
    }

    /// The tree head over all lines so far, with what identifies the block under construction.
    fn checkpoint(&self) -> Checkpoint {
        let block =
            BlockHead { number: self.block, first: self.block_first, digest: self.digest.clone().finalize().into() };
        Checkpoint {
            origin: self.origin.clone(),
            size: self.lines(),
            root: self.root(),
            extensions: vec![block.to_text()],
        }
    }

    fn next_block(&mut self) {
        self.block += 1;
        self.block_first = self.lines();
        self.digest = Sha256::new();
    }

    pub(crate) fn into_tree(self) -> Tree {
        self.tree
    }

    fn check_key(&self, key: &VerifierKey) -> Result<(), ChainError> {
        if key.name() != self.origin {
            return Err(ChainError::Signer { key: key.name().to_owned(), origin: self.origin.clone() });
        }
        Ok(())
    }

    /// A line about the trail itself, with the number that the next line will have.
    fn own_line(&self, action: &str, time: &str) -> AgentLine {
        trail_line(&self.origin, self.lines(), action, time)
    }

    fn write(&mut self, line: &AgentLine, out: &mut Vec<u8>) -> Result<(), ChainError> {
        let json = serde_json::to_vec(line)?;
        self.push(&json);
        out.extend_from_slice(&json);
        out.push(b'\n');
        Ok(())
    }
}

/// The `id` of an agent's line: `<origin>/<line number>`.
pub fn line_id(origin: &str, number: u64) -> String {
    format!("{origin}/{number}")
}

/// What a checkpoint says of the block that it ends, in its extension line. It makes each block checkable on its own,
/// so that one altered line puts one block in doubt and not all that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub number: u64,
    /// Number of the block's first line.
    pub first: u64,
    /// SHA-256 over the leaf hashes of its lines, the seal's included, one after the other.
    pub digest: Hash,
}

impl BlockHead {
    /// `block <number> <first line> <base64 digest>`.
    pub fn to_text(&self) -> String {
        format!("block {} {} {}", self.number, self.first, hash_to_base64(&self.digest))
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("block ")?.split(' ');
        let number = decimal(parts.next()?)?;
        let first = decimal(parts.next()?)?;
        let digest = hash_from_base64(parts.next()?)?;
        parts.next().is_none().then_some(Self { number, first, digest })
    }
}

/// A checkpoint whose signature is right, and what it says of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub checkpoint: Checkpoint,
    pub block: BlockHead,
}

/// The signed note in a checkpoint line, whatever the line around it looks like.
pub(crate) fn read_note(line: &[u8]) -> Option<String> {
    if Kind::of(line) != Kind::Checkpoint {
        return None;
    }
    serde_json::from_slice::<AgentLine>(line).ok()?.checkpoint
}

/// What a note says, if this key signed it as the agent does: one extension line, one signature.
pub(crate) fn read_signed(note: &str, key: &VerifierKey) -> Result<Signed, NoteError> {
    let checkpoint = key.verify(note)?;
    let [block] = checkpoint.extensions.as_slice() else { return Err(NoteError::Checkpoint("extension lines")) };
    let block = BlockHead::from_text(block).ok_or(NoteError::Checkpoint("extension line"))?;
    if note.lines().count() != 6 || block.first >= checkpoint.size {
        return Err(NoteError::Checkpoint("not as the agent writes it"));
    }
    Ok(Signed { checkpoint, block })
}

/// The checkpoint in the line of this number under a seal of this time, if the line is right to the last byte.
fn read_checkpoint(line: &[u8], number: u64, time: &str, key: &VerifierKey) -> Result<Signed, BlockError> {
    let note = read_note(line).ok_or(BlockError::CheckpointLine)?;
    let signed = read_signed(&note, key)?;
    if checkpoint_line_bytes(key.name(), number, time, note) != line {
        return Err(BlockError::CheckpointLine);
    }
    Ok(signed)
}

/// The one spelling of the checkpoint line of this number, without its newline.
pub(crate) fn checkpoint_line_bytes(origin: &str, number: u64, time: &str, note: String) -> Vec<u8> {
    // Strings and numbers only: this cannot fail; an empty line would compare as different.
    serde_json::to_vec(&checkpoint_line(origin, number, time, note)).unwrap_or_default()
}

/// The seal in a line, and the line's time.
pub(crate) fn read_seal(line: &[u8]) -> Option<(Seal, String)> {
    let line = read_agent_line(line)?;
    (line.action == "SEAL").then_some(())?;
    Some((line.seal?, line.time))
}

/// An agent's line.
pub(crate) fn read_agent_line(line: &[u8]) -> Option<AgentLine> {
    (Kind::of(line) == Kind::Agent).then_some(())?;
    serde_json::from_slice(line).ok()
}

/// Whether a seal speaks of this block.
pub(crate) fn check_seal(seal: &Seal, block: u64, first: u64, lines: u64) -> Result<(), &'static str> {
    if seal.block != block {
        return Err("block number");
    }
    if seal.first != first {
        return Err("number of the first line");
    }
    if seal.lines != lines {
        return Err("number of lines");
    }
    Ok(())
}

/// The line that holds a signed note. Its time is the seal's.
fn checkpoint_line(origin: &str, number: u64, time: &str, note: String) -> AgentLine {
    AgentLine {
        kind: "checkpoint".to_owned(),
        checkpoint: Some(note),
        ..trail_line(origin, number, "CHECKPOINT", time)
    }
}

fn trail_line(origin: &str, number: u64, action: &str, time: &str) -> AgentLine {
    AgentLine {
        v: VERSION,
        kind: "agent".to_owned(),
        id: line_id(origin, number),
        time: time.to_owned(),
        user: AGENT.to_owned(),
        action: action.to_owned(),
        resource: origin.to_owned(),
        resource_type: "trail".to_owned(),
        outcome: "success".to_owned(),
        category: "operation".to_owned(),
        ..AgentLine::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-02T03:04:05.678Z";

    fn signer() -> Signer {
        Signer::from_seed("acme/prod/db", [7; 32]).unwrap()
    }

    /// A segment of two blocks with two rows each, as lines.
    fn segment() -> (Chain, Vec<Vec<u8>>) {
        let mut chain = Chain::new("acme/prod/db");
        let mut out = Vec::new();
        chain.begin_segment(signer().verifier(), Vec::new(), TIME, &mut out).unwrap();
        for block in 0..2 {
            for row in 0..2 {
                let line = format!("row {block}.{row}");
                chain.push(line.as_bytes());
                out.extend_from_slice(line.as_bytes());
                out.push(b'\n');
            }
            chain.end_block(Seal::default(), TIME, &signer(), &mut out).unwrap();
        }
        (chain, out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect())
    }

    fn read_again(lines: &[Vec<u8>]) -> Result<Chain, BlockError> {
        let head = read_agent_line(&lines[0]).and_then(|l| l.segment).ok_or(BlockError::NoSeal)?;
        let mut chain = Chain::resume(&head).map_err(|_| BlockError::Root)?;
        let mut rest = lines;
        while let Some(at) = rest.iter().position(|l| Kind::of(l) == Kind::Checkpoint) {
            rest[..at - 1].iter().for_each(|l| chain.push(l));
            chain.close_block(&rest[at - 1], &rest[at], signer().verifier())?;
            rest = &rest[at + 1..];
        }
        Ok(chain)
    }

    #[test]
    fn chain_read_again_stands_where_the_written_one_does() {
        let (written, lines) = segment();
        let read = read_again(&lines).unwrap();
        assert_eq!((read.lines(), read.block(), read.block_first(), read.root()), (9, 2, 9, written.root()));
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn chain_resumed_from_a_later_head_goes_on_as_the_straight_one() {
        let (mut chain, _) = segment();
        let mut out = Vec::new();
        chain.begin_segment(signer().verifier(), Vec::new(), TIME, &mut out).unwrap();
        let head = read_agent_line(out.trim_ascii_end()).unwrap().segment.unwrap();
        let mut resumed = Chain::resume(&head).unwrap();
        resumed.push(out.trim_ascii_end());
        assert_eq!((resumed.root(), resumed.block(), resumed.lines()), (chain.root(), 2, 10));
    }

    #[test]
    fn head_with_another_root_edge_or_size_is_refused() {
        let (mut chain, _) = segment();
        let mut out = Vec::new();
        chain.begin_segment(signer().verifier(), Vec::new(), TIME, &mut out).unwrap();
        let head = read_agent_line(out.trim_ascii_end()).unwrap().segment.unwrap();
        assert!(matches!(Chain::resume(&Segment { first: 8, ..head.clone() }), Err(ResumeError::Edge(_))));
        assert!(matches!(
            Chain::resume(&Segment { edge: vec![head.root.clone(); 2], ..head.clone() }),
            Err(ResumeError::Root)
        ));
        assert!(matches!(Chain::resume(&Segment { root: "AA==".into(), ..head.clone() }), Err(ResumeError::Hash(_))));
        assert!(matches!(Chain::resume(&Segment { block: u64::MAX, ..head }), Err(ResumeError::Block(_))));
    }

    #[test]
    fn changed_byte_anywhere_is_refused_when_read_again() {
        let (_, lines) = segment();
        for (n, line) in lines.iter().enumerate() {
            for i in (0..line.len()).step_by(7) {
                let mut changed = lines.clone();
                changed[n][i] ^= 1;
                let end = read_again(&changed).map(|chain| chain.lines());
                assert_ne!(end, Ok(9), "byte {i} of line {n}");
            }
        }
    }

    #[test]
    fn block_that_does_not_check_leaves_the_chain_as_it_was() {
        let (_, lines) = segment();
        let mut chain = Chain::new("acme/prod/db");
        chain.push(&lines[0]);
        chain.push(b"another row");
        chain.push(&lines[2]);
        let before = chain.root();
        assert_eq!(chain.close_block(&lines[3], &lines[4], signer().verifier()), Err(BlockError::Root));
        assert_eq!((chain.root(), chain.block()), (before, 0));
    }

    #[test]
    fn key_of_another_trail_cannot_sign() {
        let mut chain = Chain::new("acme/prod/other");
        let mut out = Vec::new();
        let error = chain.end_block(Seal::default(), TIME, &signer(), &mut out).unwrap_err();
        assert_eq!(error.to_string(), "key of acme/prod/db cannot sign the trail acme/prod/other");
        assert!(out.is_empty() && chain.lines() == 0);
    }

    #[test]
    fn segment_cannot_begin_inside_a_block() {
        let (mut chain, _) = segment();
        chain.push(b"row");
        let begun = chain.begin_segment(signer().verifier(), Vec::new(), TIME, &mut Vec::new());
        assert!(matches!(begun, Err(ChainError::InsideBlock(2))));
    }
}
