//! What is wrong with a trail, said line by line as it is read, in memory that one block bounds.
//!
//! Owns the rules by which a trail is judged; reads no files. A caller feeds segments in the order of their numbers:
//! [`Verifier::begin_segment`], [`Verifier::line`] for each line, [`Verifier::end_segment`], at last [`Verifier::finish`].
//!
//! Hard here: one alteration must be one finding, in its block, with all that follows still checked. Each checkpoint
//! signs its block's number, first line and digest beside the root of the whole tree. So after a broken block the
//! next one is checked by its digest, numbers are taken from what is signed, and the tree is taken up again at the
//! next segment's head. Nothing that a line says about itself is believed until its block's signature holds.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::block::{Chain, Signed, check_seal, checkpoint_line_bytes, read_agent_line, read_note, read_signed};
use crate::line::{AgentLine, FileRange, Held, Kind, Seal, Segment};
use crate::note::{Checkpoint, NoteError, VerifierKey};
use crate::tree::{Hash, Tree, leaf_hash};

/// Findings that are kept; the rest is counted only.
pub const FINDINGS_MAX: usize = 1000;

/// Lines of one block of which leaf and place are remembered, to say what is wrong with it more precisely.
pub const BLOCK_LINES_MAX: usize = 1 << 19;

/// Source files of which the position is remembered.
const FILES_MAX: usize = 1 << 16;

/// Odd lines that are named one by one.
const SUSPECTS_MAX: usize = 4;

/// How far wall clock and boot clock may part between two seals before it is said, in milliseconds.
const CLOCK_STEP_MS: u64 = 10_000;

/// What a finding, or a whole trail, amounts to. The order is that of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Whole and unaltered; of a finding: worth knowing, no more.
    Whole,
    /// Authentic, but something is not there.
    Incomplete,
    /// Could not be told.
    Unknown,
    /// Altered.
    Broken,
}

impl Class {
    /// The exit code of `verify`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Broken => 1,
            Self::Unknown => 2,
            Self::Incomplete => 3,
        }
    }
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A block's lines are not those that were signed.
    Altered,
    /// A checkpoint's signature is wrong, or it is no checkpoint.
    Signature,
    /// Signed by a key that nobody vouches for.
    Key,
    /// A block's seal or checkpoint is not there.
    Unfinished,
    /// Blocks or segments are not there.
    Missing,
    /// Blocks or segments that were there already, or out of order.
    Repeated,
    /// A segment's name is not that of its first line.
    Renamed,
    /// A segment does not continue the one before.
    Head,
    /// The signed history is not the one in front of us.
    Root,
    /// A seal contradicts the lines that it was signed with.
    Claim,
    /// Bytes of a source file between two seals that no seal accounts for, or two do.
    Source,
    /// Bytes that could not be read.
    Damaged,
    /// The trail ends inside a block.
    EndsEarly,
    /// The trail does not begin at its first line.
    BeginsLate,
    /// The agent itself says that something was lost.
    Gap,
    /// The agent itself says that it cannot vouch for what was sealed before: its state was copied, restored or lost.
    Continuity,
    /// The wall clock was set.
    Clock,
    /// A later checkpoint, seen elsewhere, says that there was more.
    Truncated,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// How grave.
    pub class: Class,
    /// Name of the segment, as the caller gave it.
    pub segment: String,
    /// Number of the block.
    pub block: Option<u64>,
    /// First and last line concerned.
    pub lines: Option<(u64, u64)>,
    /// For a person.
    pub detail: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.segment)?;
        if let Some(block) = self.block {
            write!(f, ", block {block}")?;
        }
        match self.lines {
            Some((first, last)) if first == last => write!(f, ", line {first}")?,
            Some((first, last)) => write!(f, ", lines {first}..={last}")?,
            None => {}
        }
        write!(f, ": {}", self.detail)
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Segments.
    pub segments: u64,
    /// Blocks that hold.
    pub blocks: u64,
    /// Lines, in whatever state.
    pub lines: u64,
    /// Lines that are rows of a database's log.
    pub events: u64,
    /// Of those, rows that could not be understood, as the seals say.
    pub unparsed: u64,
    /// Rows that the configuration left out, as the seals say.
    pub filtered: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
}

/// What a trail amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// All in one word.
    pub class: Class,
    /// The trail's name, once a signature told it.
    pub origin: Option<String>,
    /// Number of the first line that was given.
    pub from_line: u64,
    /// Lines under the last checkpoint that holds.
    pub size: u64,
    /// Its root, base64.
    pub root: Option<String>,
    /// Time of the first seal that holds.
    pub first_time: Option<String>,
    /// Time of the last seal that holds.
    pub last_time: Option<String>,
    /// Labels of the keys that signed.
    pub keys: Vec<String>,
    /// What was read.
    pub counts: Counts,
    /// What is wrong, in the order of the trail; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub findings_left_out: u64,
}

/// Judges one trail.
#[derive(Debug)]
pub struct Verifier {
    trusted: Vec<VerifierKey>,
    expected: Vec<Checkpoint>,
    verdict: Verdict,
    /// The tree over all lines so far; `None` from a broken block on until the next head.
    tree: Option<Tree>,
    /// Number that the block under construction should have, and of its first line.
    next_block: u64,
    next_line: u64,
    /// The finding after which these two are a guess.
    lost: Option<usize>,
    /// The last segment ended inside a block.
    ended_early: bool,
    segment: Part,
    block: Block,
    /// What the last block that holds said; forgotten where a broken one comes between.
    last_seal: Option<(Seal, String, VerifierKey)>,
    /// Where the seals so far leave each source file; forgotten like `last_seal`.
    files: HashMap<String, u64>,
    last_checkpoint: Option<Checkpoint>,
}

/// The segment that is being read.
#[derive(Debug, Default)]
struct Part {
    name: String,
    named_first: Option<u64>,
    named_last: Option<u64>,
    /// Lines read from it.
    lines: u64,
    /// Blocks ended in it, in whatever state.
    blocks: u64,
    /// The key that its head names, when it is not a trusted one.
    stranger: Option<VerifierKey>,
}

/// The block that is being read.
#[derive(Debug, Default)]
struct Block {
    /// Lines so far, the seal included.
    lines: u64,
    digest: Sha256,
    /// The first [`BLOCK_LINES_MAX`].
    leaves: Vec<Hash>,
    events: u64,
    rows: Vec<Row>,
    files: HashMap<Vec<u8>, u32>,
    suspects: Vec<(u64, &'static str)>,
    /// The segment's head, when this is a segment's first block.
    head: Option<Box<Segment>>,
    /// What is wrong with it, to be said once the block is known to be authentic.
    head_issue: Option<String>,
    /// What the agent itself says that is missing.
    told: Vec<(u64, FindingKind, String)>,
    /// The seal, when it was the last line.
    seal: Option<(Seal, String)>,
}

/// Where an event's row stood in its source file.
#[derive(Debug, Clone, Copy)]
struct Row {
    line: u64,
    file: u32,
    offset: u64,
    length: u64,
}

impl Verifier {
    /// A verifier that trusts these keys, and those that blocks signed by them name.
    pub fn new(keys: Vec<VerifierKey>) -> Self {
        let verdict = Verdict {
            class: Class::Whole,
            origin: None,
            from_line: 0,
            size: 0,
            root: None,
            first_time: None,
            last_time: None,
            keys: Vec::new(),
            counts: Counts::default(),
            findings: Vec::new(),
            findings_left_out: 0,
        };
        Self {
            trusted: keys,
            expected: Vec::new(),
            verdict,
            tree: Some(Tree::new()),
            next_block: 0,
            next_line: 0,
            lost: None,
            ended_early: false,
            segment: Part::default(),
            block: Block::default(),
            last_seal: None,
            files: HashMap::new(),
            last_checkpoint: None,
        }
    }

    /// Adds a checkpoint seen elsewhere, its signature checked already: the trail must contain it.
    pub fn expect(&mut self, checkpoint: Checkpoint) {
        self.expected.push(checkpoint);
    }

    /// A segment begins. `first` and `last` are the line numbers in its file's name.
    pub fn begin_segment(&mut self, name: &str, first: Option<u64>, last: Option<u64>) {
        self.verdict.counts.segments += 1;
        if std::mem::take(&mut self.ended_early) {
            // Only the last segment may: this one was cut.
            self.verdict.class = Class::Broken;
            if let Some(finding) = self.verdict.findings.last_mut().filter(|last| last.kind == FindingKind::EndsEarly) {
                finding.class = Class::Broken;
            }
        }
        if self.verdict.counts.segments == 1 && first != Some(0) {
            // Until its head is read: whatever it continues is not known here.
            self.tree = None;
        }
        self.segment = Part { name: name.to_owned(), named_first: first, named_last: last, ..Part::default() };
        self.block = Block::default();
    }

    /// The next line of the segment, without its newline.
    pub fn line(&mut self, line: &[u8]) {
        self.verdict.counts.lines += 1;
        self.segment.lines += 1;
        let kind = Kind::of(line);
        match self.block.seal.take() {
            Some(seal) if matches!(kind, Kind::Checkpoint | Kind::Other) => self.end_block(Some(seal), line),
            None if kind == Kind::Checkpoint => self.end_block(None, line),
            _ => self.add(line, kind),
        }
    }

    /// Bytes of the segment could not be read: whatever was read of the current block is worth nothing.
    pub fn damaged(&mut self, detail: &str) {
        self.lose_block(FindingKind::Damaged, detail);
    }

    /// The segment is at its end. `torn` says that bytes after its last line are no line.
    pub fn end_segment(&mut self, torn: bool) {
        if self.block.lines > 0 || torn || self.segment.blocks == 0 {
            let lines = self.block.lines;
            let torn = if torn { "inside a line" } else { "inside a block" };
            self.ended_early = true;
            self.lose_block(
                FindingKind::EndsEarly,
                &format!("ends {torn}: {lines} lines after the last checkpoint are not signed"),
            );
        }
        self.check_named_last();
    }

    /// All segments were read.
    pub fn finish(mut self) -> Verdict {
        self.segment.name = "the trail".to_owned();
        self.check_expected();
        if self.verdict.from_line > 0 {
            self.begins_late();
        }
        if self.verdict.counts.checkpoints == 0 && self.verdict.findings.is_empty() {
            self.find(
                FindingKind::EndsEarly,
                Class::Incomplete,
                None,
                None,
                "no block that ends with a checkpoint".into(),
            );
        }
        self.verdict
    }

    /// A line that ends no block.
    fn add(&mut self, line: &[u8], kind: Kind) {
        let leaf = leaf_hash(line);
        let number = self.next_line.saturating_add(self.block.lines);
        let is_first = self.segment.lines == 1;
        match kind {
            Kind::Event => self.block.add_event(number, line),
            Kind::Agent => match read_agent_line(line) {
                Some(agent) => self.add_agent_line(number, agent, is_first),
                None => self.block.suspect(number, "is not JSON"),
            },
            Kind::Checkpoint | Kind::Other => self.block.suspect(number, "is no line of a trail"),
        }
        if is_first && self.block.head.is_none() {
            self.block.head_issue = Some("does not begin with a segment's head".into());
        }
        self.push(leaf);
    }

    fn add_agent_line(&mut self, number: u64, line: AgentLine, is_first: bool) {
        match (line.action.as_str(), line.segment, line.seal) {
            ("SEGMENT", Some(head), _) if is_first => self.open_head(head),
            ("SEAL", _, Some(seal)) => self.block.seal = Some((seal, line.time)),
            (action, ..) if self.block.told.len() < SUSPECTS_MAX => {
                let Some(kind) = told_by(action) else { return };
                let message = line.message.as_deref().unwrap_or("the agent says no more");
                self.block.told.push((number, kind, format!("{action}: {}: {message}", line.resource)));
            }
            _ => {}
        }
    }

    fn push(&mut self, leaf: Hash) {
        self.block.digest.update(leaf);
        self.block.lines += 1;
        if self.block.leaves.len() < BLOCK_LINES_MAX {
            self.block.leaves.push(leaf);
        }
        if let Some(tree) = &mut self.tree {
            tree.push(leaf);
        }
    }

    /// Takes up the tree that the head names, and notes what does not fit; it is said when the block holds.
    fn open_head(&mut self, head: Segment) {
        let before = self.tree.take();
        if self.verdict.counts.segments == 1 && self.segment.named_first != Some(0) {
            // A guess, until a block that holds tells.
            (self.next_block, self.next_line) = (head.block, head.first);
        }
        match Chain::resume(&head) {
            Ok(chain) => {
                if before.is_some_and(|tree| tree.root() != chain.root()) {
                    self.block.head_issue = Some("the root in its head is not that of the lines before it".into());
                }
                self.tree = Some(chain.into_tree());
            }
            Err(error) => self.block.head_issue = Some(error.to_string()),
        }
        if let Ok(key) = head.key.parse::<VerifierKey>()
            && !self.trusted.contains(&key)
        {
            self.segment.stranger = Some(key);
        }
        self.block.head = Some(Box::new(head));
    }

    /// The checkpoint, or what stands in its place.
    fn end_block(&mut self, seal: Option<(Seal, String)>, line: &[u8]) {
        let Some(note) = read_note(line) else {
            return self.lose_block(FindingKind::Signature, "the checkpoint after the seal is damaged");
        };
        let (signed, key) = match self.signed(&note) {
            Ok(signed) => signed,
            Err(error) => return self.lose_block(FindingKind::Signature, &format!("checkpoint {error}")),
        };
        self.verdict.counts.checkpoints += 1;
        let mut block = std::mem::take(&mut self.block);
        let last_line = signed.checkpoint.size;
        match self.match_lines(&block, &signed) {
            Lines::Right => self.accept(block, seal, &signed, key, (line, note)),
            Lines::RightAfter(before) => {
                self.report_before(before, &signed);
                // What the lines before it said is not signed with it.
                (block.head, block.head_issue, self.tree) = (None, None, None);
                block.told.clear();
                self.accept(block, seal, &signed, key, (line, note));
            }
            Lines::Wrong => {
                self.reject(&block, seal.as_ref().map(|(seal, _)| seal), &signed);
                self.check_stranger(&key);
            }
        }
        self.segment.blocks += 1;
        self.next_block = signed.block.number.saturating_add(1);
        self.next_line = last_line.saturating_add(1);
        self.lost = None;
    }

    /// What the note says under the first key that signed it, trusted ones first.
    fn signed(&self, note: &str) -> Result<(Signed, VerifierKey), NoteError> {
        let mut worst = NoteError::UnknownKey("any key that was given".into());
        for key in self.trusted.iter().rev().chain(&self.segment.stranger) {
            match read_signed(note, key) {
                Ok(signed) => return Ok((signed, key.clone())),
                Err(NoteError::UnknownKey(_)) => {}
                Err(error) => worst = error,
            }
        }
        Err(worst)
    }

    fn match_lines(&self, block: &Block, signed: &Signed) -> Lines {
        let expected = signed.checkpoint.size - signed.block.first;
        if <Hash>::from(block.digest.clone().finalize()) == signed.block.digest {
            return if expected == block.lines { Lines::Right } else { Lines::Wrong };
        }
        let all_kept = block.leaves.len() as u64 == block.lines;
        if !all_kept || expected >= block.lines {
            return Lines::Wrong;
        }
        let before = block.lines - expected;
        let mut digest = Sha256::new();
        for leaf in block.leaves.iter().skip(before as usize) {
            digest.update(leaf);
        }
        if <Hash>::from(digest.finalize()) == signed.block.digest { Lines::RightAfter(before) } else { Lines::Wrong }
    }

    /// A block whose lines are those that were signed.
    fn accept(
        &mut self,
        block: Block,
        seal: Option<(Seal, String)>,
        signed: &Signed,
        key: VerifierKey,
        (line, note): (&[u8], String),
    ) {
        let number = Some(signed.block.number);
        let range = Some((signed.block.first, signed.checkpoint.size));
        let placed = self.place(signed);
        self.check_name(signed);
        self.check_head(&block, signed, &key, placed);
        self.check_tree(signed);
        self.check_stranger(&key);
        self.check_origin(signed);
        let Some((seal, time)) = seal else {
            self.find(
                FindingKind::Unfinished,
                Class::Broken,
                number,
                range,
                "the checkpoint has no seal before it".into(),
            );
            self.forget();
            return;
        };
        self.check_checkpoint_line(line, note, signed, &time);
        self.check_claims(&block, &seal, signed);
        self.check_sources(&block, &seal, signed);
        self.check_clock(&seal, &time, signed);
        for (at, kind, message) in &block.told {
            self.find(*kind, Class::Incomplete, number, Some((*at, *at)), message.clone());
        }
        self.count(&block, &seal, &time, signed, &key);
        self.check_not_closed(signed);
        self.trust_next(&seal, &key);
        self.last_seal = Some((seal, time, key));
        self.last_checkpoint = Some(signed.checkpoint.clone());
        for expected in self.expected.clone() {
            if expected.size == signed.checkpoint.size && expected.root != signed.checkpoint.root {
                let detail = "another root was signed for these lines elsewhere".into();
                self.find(FindingKind::Root, Class::Broken, number, range, detail);
            }
        }
    }

    /// A block whose lines are not those that were signed: says so, once.
    fn reject(&mut self, block: &Block, seal: Option<&Seal>, signed: &Signed) {
        let first = signed.block.first;
        let (detail, lines) = diagnose(block, seal, signed);
        // Numbers beyond what is expected are told by the same finding.
        let lines = lines.unwrap_or((first, signed.checkpoint.size - 1));
        self.find(FindingKind::Altered, Class::Broken, Some(signed.block.number), Some(lines), detail);
        self.place(signed);
        self.check_name(signed);
        self.forget();
        self.tree = None;
    }

    /// Compares a block's signed number and first line with what should come. Says whether they agree.
    fn place(&mut self, signed: &Signed) -> bool {
        let (number, first) = (signed.block.number, signed.block.first);
        let begins = self.verdict.counts.segments == 1 && self.segment.blocks == 0 && self.verdict.size == 0;
        if begins && self.lost.is_none() {
            self.verdict.from_line = first;
            self.verdict.size = signed.checkpoint.size;
            return true;
        }
        if (number, first) == (self.next_block, self.next_line) {
            return true;
        }
        if let Some(index) = self.lost.take() {
            self.widen(index, number, first);
            return false;
        }
        let (kind, lines, detail) = if number > self.next_block || first > self.next_line {
            let detail =
                format!("blocks {}..={} are missing before this one", self.next_block, number.saturating_sub(1));
            (FindingKind::Missing, (self.next_line, first.saturating_sub(1)), detail)
        } else {
            let detail = format!("block {number} is here where block {} should be", self.next_block);
            (FindingKind::Repeated, (first, signed.checkpoint.size), detail)
        };
        self.find(kind, Class::Broken, Some(number), Some(lines), detail);
        self.forget();
        false
    }

    /// A finding after which numbers were a guess: now it is known how far it reaches.
    fn widen(&mut self, index: usize, number: u64, first: u64) {
        let next_block = self.next_block;
        let Some(finding) = self.verdict.findings.get_mut(index) else { return };
        if let (Some(block), Some(lines)) = (finding.block, finding.lines.as_mut()) {
            lines.1 = first.saturating_sub(1).max(lines.0);
            if number > next_block {
                finding.detail.push_str(&format!("; blocks {block}..={} cannot be told", number - 1));
            }
        }
    }

    fn check_name(&mut self, signed: &Signed) {
        let Some(named) = self.segment.named_first.filter(|_| self.segment.blocks == 0) else { return };
        if named != signed.block.first {
            let detail = format!("the segment is named for line {named} and begins with line {}", signed.block.first);
            self.find(FindingKind::Renamed, Class::Broken, Some(signed.block.number), None, detail);
        }
    }

    fn check_named_last(&mut self) {
        let (Some(last), None) = (self.segment.named_last, self.lost) else { return };
        if self.segment.blocks > 0 && last.saturating_add(1) != self.next_line {
            let detail = format!("the segment is named up to line {last} and ends before line {}", self.next_line);
            self.find(FindingKind::Renamed, Class::Broken, None, None, detail);
        }
    }

    fn check_head(&mut self, block: &Block, signed: &Signed, key: &VerifierKey, placed: bool) {
        if self.segment.blocks > 0 {
            return;
        }
        let mut issue = block.head_issue.clone();
        if let Some(head) = &block.head {
            if head.first != signed.block.first || head.block != signed.block.number {
                issue = Some("its head gives another number than its checkpoint".into());
            } else if head.key != key.to_string() || head.origin != key.name() {
                issue = Some("its head names another key or origin than the one that signed".into());
            }
            if let (Some((seal, _, previous)), true) = (&self.last_seal, placed) {
                let named = seal.next_key.clone().unwrap_or_else(|| previous.to_string());
                if !seal.closes {
                    issue = Some("the segment before it was not closed: its end may be missing".into());
                } else if named != head.key {
                    issue = Some("it is signed with another key than the segment before it named".into());
                }
            }
        }
        if let Some(detail) = issue.filter(|_| placed) {
            let first = signed.block.first;
            self.find(FindingKind::Head, Class::Broken, Some(signed.block.number), Some((first, first)), detail);
        }
    }

    fn check_origin(&mut self, signed: &Signed) {
        let found = &signed.checkpoint.origin;
        if let Some(origin) = self.verdict.origin.as_ref().filter(|origin| *origin != found) {
            let detail = format!("the block belongs to the trail {found}, those before it to {origin}");
            self.find(FindingKind::Head, Class::Broken, Some(signed.block.number), None, detail);
        }
    }

    /// The root over all lines so far, where they are known.
    fn check_tree(&mut self, signed: &Signed) {
        let Some(tree) = &self.tree else { return };
        if tree.size() != signed.checkpoint.size || tree.root() != signed.checkpoint.root {
            let detail =
                "the block is as it was signed, but the lines before it are not those that it was signed after";
            let lines = Some((signed.block.first, signed.checkpoint.size));
            self.tree = None;
            // Missing or repeated blocks have been told, and explain it.
            let told = self.verdict.findings.last().is_some_and(|last| {
                last.block == Some(signed.block.number)
                    && matches!(last.kind, FindingKind::Missing | FindingKind::Repeated)
            });
            if !told {
                self.find(FindingKind::Root, Class::Broken, Some(signed.block.number), lines, detail.into());
            }
        }
    }

    /// The bytes around the note, and the leaf that they should be.
    fn check_checkpoint_line(&mut self, line: &[u8], note: String, signed: &Signed, time: &str) {
        let number = signed.checkpoint.size;
        let expected = checkpoint_line_bytes(&signed.checkpoint.origin, number, time, note);
        if expected != line {
            let detail = "the checkpoint's note holds, but the line around it was changed".into();
            self.find(FindingKind::Altered, Class::Broken, Some(signed.block.number), Some((number, number)), detail);
        }
        if let Some(tree) = &mut self.tree {
            tree.push(leaf_hash(&expected));
        }
    }

    fn check_claims(&mut self, block: &Block, seal: &Seal, signed: &Signed) {
        let head = &signed.block;
        let lines = signed.checkpoint.size - head.first - 1;
        let rows = seal.rows.read.checked_sub(seal.rows.filtered);
        let whole = block.lines == lines + 1;
        let mut wrong = check_seal(seal, head.number, head.first, lines).err();
        if whole && rows != Some(block.events) {
            wrong = wrong.or(Some("number of rows"));
        }
        if let Some(what) = wrong {
            let detail = format!("the seal contradicts the block that it was signed with: {what}");
            self.find(
                FindingKind::Claim,
                Class::Broken,
                Some(head.number),
                Some((head.first, signed.checkpoint.size)),
                detail,
            );
        }
    }

    /// Byte ranges of source files: each seal goes on where the one before stopped.
    fn check_sources(&mut self, block: &Block, seal: &Seal, signed: &Signed) {
        let snapshot = block.head.as_ref().map(|head| head.files.as_slice()).unwrap_or_default();
        for file in snapshot.iter().chain(&seal.files) {
            if let Some(detail) = self.source_issue(file) {
                let line = Some((signed.checkpoint.size - 1, signed.checkpoint.size - 1));
                self.find(FindingKind::Source, Class::Broken, Some(signed.block.number), line, detail);
            }
            if self.files.len() >= FILES_MAX {
                self.files.clear();
            }
            // A file that has ended is over. Should its very lines come back, restored or copied, they are read anew.
            if file.ended {
                self.files.remove(&file.id);
            } else {
                self.files.insert(file.id.clone(), file.to);
            }
        }
    }

    fn source_issue(&self, file: &FileRange) -> Option<String> {
        let path = &file.path;
        if file.to < file.from {
            return Some(format!("the seal's range of {path} ends before it begins"));
        }
        match self.files.get(&file.id) {
            Some(to) if *to < file.from => Some(format!("bytes {to}..{} of {path} are in no seal", file.from)),
            Some(to) if *to > file.from => Some(format!("bytes {}..{to} of {path} are in two seals", file.from)),
            _ => None,
        }
    }

    /// Wall clock against boot clock since the seal before.
    fn check_clock(&mut self, seal: &Seal, time: &str, signed: &Signed) {
        let Some((last, last_time, _)) = &self.last_seal else { return };
        if last.boot_id.is_empty() || last.boot_id != seal.boot_id {
            return;
        }
        let (Some(before), Some(now)) = (unix_ms(last_time), unix_ms(time)) else { return };
        let boot = i128::from(seal.since_boot_ms) - i128::from(last.since_boot_ms);
        let step = i128::from(now) - i128::from(before) - boot;
        if step.unsigned_abs() > u128::from(CLOCK_STEP_MS) {
            let detail = format!("the wall clock was set by {step} ms between {last_time} and {time}");
            let line = Some((signed.checkpoint.size - 1, signed.checkpoint.size - 1));
            self.find(FindingKind::Clock, Class::Whole, Some(signed.block.number), line, detail);
        }
    }

    /// A block after the one that closed the segment.
    fn check_not_closed(&mut self, signed: &Signed) {
        let closed = self.last_seal.as_ref().is_some_and(|(seal, ..)| seal.closes);
        if self.segment.blocks > 0 && closed {
            let detail = "the block stands after the one that closed the segment".into();
            self.find(FindingKind::Claim, Class::Broken, Some(signed.block.number), None, detail);
        }
    }

    /// A key that nobody vouches for is told once; then the segment, and what follows it, is judged under it.
    fn check_stranger(&mut self, key: &VerifierKey) {
        if self.segment.stranger.as_ref() != Some(key) {
            return;
        }
        self.segment.stranger = None;
        self.trusted.push(key.clone());
        let first = self.verdict.counts.segments == 1;
        let label = key.label();
        match self.verdict.findings.last_mut() {
            // The seal that names the key may be in the block that does not hold: one cause, one finding.
            Some(finding) if !first && self.last_seal.is_none() => {
                finding
                    .detail
                    .push_str(&format!("; so nothing that holds names {label}, the key of the segments after it"));
            }
            _ => {
                let alone = first && self.segment.named_first != Some(0);
                let class = if alone || self.trusted.len() == 1 { Class::Unknown } else { Class::Broken };
                let detail =
                    format!("signed with {label}, a key that was neither given nor named by the segment before");
                self.find(FindingKind::Key, class, None, None, detail);
            }
        }
    }

    /// The next segment's key is trusted when a trusted one names it.
    fn trust_next(&mut self, seal: &Seal, key: &VerifierKey) {
        let Some(next) = seal.next_key.as_ref().filter(|_| seal.closes) else { return };
        let Ok(next) = next.parse::<VerifierKey>() else { return };
        if self.trusted.contains(key) && next.name() == key.name() && !self.trusted.contains(&next) {
            self.trusted.push(next);
        }
    }

    fn count(&mut self, block: &Block, seal: &Seal, time: &str, signed: &Signed, key: &VerifierKey) {
        let verdict = &mut self.verdict;
        verdict.counts.blocks += 1;
        verdict.counts.events += block.events;
        verdict.counts.unparsed = verdict.counts.unparsed.saturating_add(seal.rows.unparsed);
        verdict.counts.filtered = verdict.counts.filtered.saturating_add(seal.rows.filtered);
        verdict.size = signed.checkpoint.size;
        verdict.root = Some(crate::note::hash_to_base64(&signed.checkpoint.root));
        verdict.origin.get_or_insert_with(|| signed.checkpoint.origin.clone());
        verdict.first_time.get_or_insert_with(|| time.to_owned());
        verdict.last_time = Some(time.to_owned());
        let label = key.label();
        if verdict.keys.last() != Some(&label) {
            verdict.keys.push(label);
        }
    }

    /// Lines before a block that holds belong to no block, or to one that lost its end.
    fn report_before(&mut self, before: u64, signed: &Signed) {
        let range = Some((self.next_line, self.next_line.saturating_add(before - 1)));
        if signed.block.number == self.next_block {
            let detail = format!("{before} lines before the block's first were never signed");
            self.find(FindingKind::Altered, Class::Broken, Some(self.next_block), range, detail);
        } else {
            let detail = "the block has lost its seal and its checkpoint".into();
            let index = self.verdict.findings.len();
            self.find(FindingKind::Unfinished, Class::Broken, Some(self.next_block), range, detail);
            self.lost = Some(index);
            self.next_block = self.next_block.saturating_add(1);
            self.segment.blocks += 1;
        }
        self.forget();
    }

    /// The block cannot be judged: says so, and goes on with a guess at what comes next.
    fn lose_block(&mut self, kind: FindingKind, detail: &str) {
        let lines = self.block.lines.max(1);
        let range = Some((self.next_line, self.next_line.saturating_add(lines)));
        let index = self.verdict.findings.len();
        let detail = match self.block.suspects.first() {
            Some((line, what)) => format!("{detail}; line {line} {what}"),
            None => detail.to_owned(),
        };
        let class = if kind == FindingKind::EndsEarly { Class::Incomplete } else { Class::Broken };
        self.find(kind, class, Some(self.next_block), range, detail);
        self.lost.get_or_insert(index);
        self.next_block = self.next_block.saturating_add(1);
        self.next_line = self.next_line.saturating_add(lines).saturating_add(1);
        self.segment.blocks += 1;
        self.block = Block::default();
        self.tree = None;
        self.forget();
    }

    /// What the last block said does not lead to the next one any more.
    fn forget(&mut self) {
        self.last_seal = None;
        self.files.clear();
    }

    fn check_expected(&mut self) {
        let size = self.last_checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        for expected in self.expected.clone() {
            if expected.size > size {
                let detail =
                    format!("a checkpoint seen elsewhere covers {} lines, this trail's last {size}", expected.size);
                self.find(FindingKind::Truncated, Class::Broken, None, Some((size, expected.size - 1)), detail);
            }
        }
    }

    /// One segment alone is checked on its own; several that do not begin at 0 are a trail without its beginning.
    fn begins_late(&mut self) {
        let from = self.verdict.from_line;
        let class = if self.verdict.counts.segments > 1 { Class::Incomplete } else { Class::Whole };
        let detail = format!("checked from line {from} on: the lines before it were not given");
        self.find(FindingKind::BeginsLate, class, None, Some((0, from - 1)), detail);
    }

    fn find(&mut self, kind: FindingKind, class: Class, block: Option<u64>, lines: Option<(u64, u64)>, detail: String) {
        self.verdict.class = self.verdict.class.max(class);
        if self.verdict.findings.len() >= FINDINGS_MAX {
            self.verdict.findings_left_out += 1;
            return;
        }
        let segment = self.segment.name.clone();
        self.verdict.findings.push(Finding { kind, class, segment, block, lines, detail, hint: hint(kind) });
    }
}

/// The acts by which the agent says itself that the trail is not all that there was.
fn told_by(action: &str) -> Option<FindingKind> {
    match action {
        "GAP" => Some(FindingKind::Gap),
        "JOURNAL LOST" | "STATE COPIED" | "STATE RESTORED" => Some(FindingKind::Continuity),
        _ => None,
    }
}

/// How a block's lines compare with what was signed.
enum Lines {
    Right,
    /// Right, after this many lines that are not of the block.
    RightAfter(u64),
    Wrong,
}

impl Block {
    fn add_event(&mut self, number: u64, line: &[u8]) {
        self.events += 1;
        if std::str::from_utf8(line).is_err() {
            return self.suspect(number, "is not UTF-8");
        }
        let Some((file, offset, length)) = place_in_source(line) else {
            return self.suspect(number, "does not say where its row stood");
        };
        if self.rows.len() >= BLOCK_LINES_MAX {
            return;
        }
        let next = self.files.len() as u32;
        let file = match self.files.get(file) {
            Some(known) => *known,
            None if self.files.len() < FILES_MAX => *self.files.entry(file.to_vec()).or_insert(next),
            None => return,
        };
        self.rows.push(Row { line: number, file, offset, length });
    }

    fn suspect(&mut self, number: u64, what: &'static str) {
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.push((number, what));
        }
    }
}

/// File id, offset and length of an event's row: from its `id` and from the `at` at its end, which must agree.
fn place_in_source(line: &[u8]) -> Option<(&[u8], u64, u64)> {
    let id = line.strip_prefix(br#"{"v":1,"type":"event","id":""#)?;
    let id = &id[..id.iter().take(512).position(|b| *b == b'"')?];
    let colon = id.iter().rposition(|b| *b == b':')?;
    let offset = number(&id[colon + 1..])?;
    let (rest, length) = last_number(line.strip_suffix(b"}}")?)?;
    let (rest, at_offset) = last_number(rest.strip_suffix(br#","length":"#)?)?;
    rest.strip_suffix(br#""offset":"#)?;
    (at_offset == offset).then_some((&id[..colon], offset, length))
}

/// The digits at the end, and what stands before them.
fn last_number(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let digits = bytes.iter().rev().take(20).take_while(|b| b.is_ascii_digit()).count();
    let (rest, digits) = bytes.split_at(bytes.len() - digits);
    Some((rest, number(digits)?))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What is wrong with a block's lines, as far as they tell it themselves, and which ones it is if that is plain.
fn diagnose(block: &Block, seal: Option<&Seal>, signed: &Signed) -> (String, Option<(u64, u64)>) {
    let expected = signed.checkpoint.size - signed.block.first;
    let mut detail = match expected {
        n if n > block.lines => format!("{} of the {n} signed lines are not here", n - block.lines),
        n if n < block.lines => format!("{} lines more than the {n} that were signed", block.lines - n),
        _ => "not the lines that were signed".to_owned(),
    };
    let mut suspects: Vec<(u64, String)> =
        block.suspects.iter().map(|(line, what)| (*line, (*what).to_owned())).collect();
    match seal {
        None => detail.push_str("; the seal before the checkpoint is missing or damaged"),
        Some(seal) => suspects.extend(seal_suspects(block, seal, signed)),
    }
    if let Some(issue) = &block.head_issue {
        suspects.push((signed.block.first, format!("is a suspect: {issue}")));
    }
    suspects.extend(row_suspects(block, seal));
    suspects.truncate(SUSPECTS_MAX);
    for (line, what) in &suspects {
        detail.push_str(&format!("; line {line} {what}"));
    }
    let lines = match suspects.as_slice() {
        [(line, _)] => Some((*line, *line)),
        _ => None,
    };
    (detail, lines)
}

/// A seal that contradicts what was signed beside it.
fn seal_suspects(block: &Block, seal: &Seal, signed: &Signed) -> Option<(u64, String)> {
    let head = &signed.block;
    let expected = signed.checkpoint.size - head.first - 1;
    let what = check_seal(seal, head.number, head.first, expected).err().or_else(|| {
        let rows = seal.rows.read.checked_sub(seal.rows.filtered);
        (block.lines == expected + 1 && rows != Some(block.events)).then_some("number of rows")
    })?;
    let line = head.first.saturating_add(block.lines).saturating_sub(1);
    Some((line, format!("is a seal that was edited: {what}")))
}

/// Rows that stand twice, out of order, or have neighbours missing.
fn row_suspects(block: &Block, seal: Option<&Seal>) -> Vec<(u64, String)> {
    let held: &[Held] = seal.map(|seal| seal.held.as_slice()).unwrap_or_default();
    let filtered = seal.is_none_or(|seal| seal.rows.filtered > 0);
    let mut ends: HashMap<u32, u64> = HashMap::new();
    let mut seen: HashMap<(u32, u64), u64> = HashMap::new();
    let mut suspects = Vec::new();
    for row in &block.rows {
        if suspects.len() >= SUSPECTS_MAX {
            break;
        }
        let end = ends.entry(row.file).or_insert(row.offset);
        if let Some(earlier) = seen.insert((row.file, row.offset), row.line) {
            suspects.push((row.line, format!("repeats the row of line {earlier}")));
        } else if row.offset < *end {
            suspects.push((row.line, "is out of order".to_owned()));
        } else if row.offset > *end && !filtered && held.is_empty() {
            suspects
                .push((row.line, format!("does not follow the one before: bytes {end}..{} have no line", row.offset)));
        }
        *end = row.offset.saturating_add(row.length).max(*end);
    }
    suspects
}

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS.mmmZ`.
fn unix_ms(time: &str) -> Option<i64> {
    let field = |at: std::ops::Range<usize>| time.get(at)?.parse::<i64>().ok();
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    let ms = field(20..23).unwrap_or(0);
    // Days since 1970 in the Gregorian calendar, with March as the first month of a year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms)
}

fn hint(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Altered | FindingKind::Signature | FindingKind::Unfinished | FindingKind::Claim => {
            "keep the file as it is and compare this block with another copy: the journal, or another destination"
        }
        FindingKind::Key => {
            "give the key that signed it with --key, once you know from elsewhere that it is the agent's"
        }
        FindingKind::Missing => "look for the lines in another copy of the trail: the journal, or another destination",
        FindingKind::Repeated | FindingKind::Renamed => {
            "give each segment once, under the name that it was written with"
        }
        FindingKind::Head | FindingKind::Root => {
            "a segment before it was exchanged, cut or written by another agent: compare with another copy"
        }
        FindingKind::Source => "compare with the database's own file, if it is still there",
        FindingKind::Damaged => {
            "a fault of the disk or of a transfer, or an edit: fetch the segment again from another copy"
        }
        FindingKind::EndsEarly => {
            "a segment that is still written, or a crash: the agent cuts such a tail when it starts"
        }
        FindingKind::BeginsLate => "give the segments before it too, to check the trail from its beginning",
        FindingKind::Continuity => {
            "compare with every copy that left the host before: two lines with one number are two continuations of one trail"
        }
        FindingKind::Gap => "what was lost is lost for the agent; the database's own file may still have it",
        FindingKind::Clock => "times before and after it cannot be compared; the boot clock in the seals can",
        FindingKind::Truncated => "the end of the trail was removed, or not all of it was given",
    }
}
