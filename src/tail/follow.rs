//! One file being followed: its bytes in order, from where they were last sealed.
//!
//! Owns the open handle and how far the file is accounted for. What it leaves to others: which files there are (`tail`), where a
//! frame ends (`frames`), what it means (`intake`).
//!
//! The hard cases are at the end of a file. A half-written record waits there until it is whole; only when the file
//! is renamed away or deleted, and has been quiet for a while, is what is left handed out as damaged.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sealtrail_parsers::{Detection, Format, Frame, Framer, Parsed, Scratch, detect, parse};
use sealtrail_seal::FileRange;

use super::identity::{Head, Inode, bytes_at, bytes_before, first_bytes, first_line};
use crate::config::plan::SourcePlan;
use crate::disk::OpenFile;
use crate::event::{Origin, Place};
use crate::frames::Frames;
use crate::held::Held;
use crate::hex::hex;
use crate::limits::{DETECT_BYTES_MAX, HEAD_BYTES_MAX, OPEN_RECORD_MS, READ_BYTES};

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
    /// Why the last read failed.
    pub unreadable: Option<String>,
    /// Its content is no longer where it was, and no copy of it was found: what is left in memory is all there is.
    pub cut: bool,
    /// It was noticed that it was cut; what has become of it is not known yet.
    pub seen_cut: bool,
    /// It begins like a log that was read, and too little of it is there to tell whether it is that one.
    pub undecided: bool,
    /// It is not to be read now.
    pub aside: Option<Aside>,
    /// Since when it has been followed, by the core's clock in milliseconds.
    pub found_ms: u64,
    /// It comes out of an archive: it does not grow.
    pub archived: bool,
    /// The number of the log whose place it was written in, among those of the tail; 0 until the look that found it is over.
    pub lineage: u64,
    /// It stands behind the older files of its log and before the younger ones, of those that were found.
    pub placed: bool,
    /// All the older ones were found: it may be read when they are.
    pub ordered: bool,
    /// What is read and may be handed out has not been: the block had no room for it.
    pub has_leftovers: bool,
    /// What is at the place where reading stands is not what was read there: the file was cut and written anew.
    rewritten: bool,
    file: Arc<dyn OpenFile>,
    /// Its first bytes, up to [`HEAD_BYTES_MAX`], as they were read.
    head_bytes: Vec<u8>,
    head: Head,
    /// The bytes before the place that is sealed, up to [`HEAD_BYTES_MAX`].
    sealed_tail: Head,
    /// What its rows' ids begin with; known once the file has a whole first line.
    id: Option<String>,
    format: Option<Format>,
    /// It begins with more zeros than a format is looked for in.
    hole: bool,
    /// What is read and not yet a line.
    pub frames: Frames,
    /// Pieces of rows that were held back when the agent ended, read again.
    pub held_before: Vec<(Place, Vec<u8>)>,
    /// First byte that no seal accounts for yet.
    sealed: u64,
    /// Rows handed out since the last seal.
    rows: u64,
    /// The greatest length it was seen with while it held what was read.
    len_seen: u64,
    /// Length and time of change when its content was last compared.
    compared: Option<(u64, SystemTime)>,
}

/// Why a file is not to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    /// It holds what another file holds, which is read already: the log with this id.
    CopyOf(String),
    /// It has turned out to be an archive: it is opened as one once it is whole.
    Archive,
}

/// Why a file cannot be read as a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl Follower {
    /// A file that was never seen before, read from `offset`.
    pub fn begin(
        source: usize,
        path: PathBuf,
        file: Arc<dyn OpenFile>,
        inode: Inode,
        plan: &SourcePlan,
        format: Option<Format>,
        offset: u64,
    ) -> io::Result<Self> {
        // Of a file that is read from its start these are learnt by reading it.
        let head_bytes = if offset > 0 { first_bytes(file.as_ref(), HEAD_BYTES_MAX)? } else { Vec::new() };
        let tail = bytes_before(file.as_ref(), offset)?;
        let sealed_tail = Head::of(&tail);
        let mut frames = Frames::new(offset, tail);
        // Of a file that is read from its start what its beginning tells is learnt with the format.
        if let Some(format) = format.filter(|_| offset > 0) {
            frames.set_dialect(plan.dialect(format, &head_bytes), false);
        }
        Ok(Follower {
            source,
            path,
            inode,
            moved_since_ms: None,
            last_read_ms: 0,
            origin: None,
            refused: None,
            unreadable: None,
            cut: false,
            seen_cut: false,
            undecided: false,
            aside: None,
            found_ms: 0,
            archived: false,
            lineage: 0,
            placed: false,
            ordered: false,
            has_leftovers: false,
            rewritten: false,
            file,
            head: Head::of(&head_bytes),
            head_bytes,
            sealed_tail,
            id: None,
            format,
            hole: false,
            frames,
            sealed: offset,
            held_before: Vec::new(),
            rows: 0,
            len_seen: offset,
            compared: None,
        })
    }

    /// A file that a seal told of, read on from where that seal stands.
    pub fn resume(
        source: usize,
        path: PathBuf,
        file: Arc<dyn OpenFile>,
        inode: Inode,
        plan: &SourcePlan,
        range: &FileRange,
    ) -> io::Result<Self> {
        let format = range.format.parse().ok();
        let mut follower = Self::begin(source, path, file, inode, plan, format, range.to)?;
        // A seal ends at a frame's end: what follows is a record's start, not the middle of one.
        if let Some(format) = format {
            follower.frames.set_dialect(plan.dialect(format, &follower.head_bytes), true);
        }
        follower.id = Some(range.id.clone()).filter(|id| !id.is_empty());
        Ok(follower)
    }

    /// How it was found.
    pub fn found(self, archived: bool, found_ms: u64) -> Self {
        Follower { archived, found_ms, ..self }
    }

    /// Takes the place of a follower of the same file.
    pub fn in_place_of(self, old: &Follower) -> Self {
        let (archived, found_ms, moved_since_ms) = (old.archived, old.found_ms, old.moved_since_ms);
        Follower {
            archived,
            found_ms,
            moved_since_ms,
            lineage: old.lineage,
            placed: old.placed,
            ordered: old.ordered,
            ..self
        }
    }

    /// Reads again what was held back when the agent ended.
    pub fn hold_again(&mut self, held: &[sealtrail_seal::Held]) -> io::Result<()> {
        let Some(dialect) = self.frames.dialect().cloned() else { return Ok(()) };
        for held in held.iter().filter(|held| self.id.as_ref() == Some(&held.id)) {
            let bytes = bytes_at(self.file.as_ref(), held.offset, held.length as usize)?;
            let (mut framer, mut at) = (Framer::new(&dialect), 0);
            while let Frame::Record { len } | Frame::Open { len } = framer.next(&bytes[at..], true) {
                self.held_before.push((Place::new(held.offset + at as u64, len as u64), bytes[at..at + len].to_vec()));
                at += len;
            }
        }
        Ok(())
    }

    /// Puts what was read again to what is held.
    pub fn give_back(&mut self, held: &mut Held, origin: &Arc<Origin>, now_ms: u64) {
        let mut scratch = Scratch::new();
        for (place, frame) in std::mem::take(&mut self.held_before) {
            if let Parsed::Piece(piece) = parse(&origin.dialect, &frame, &mut scratch) {
                held.hold(&piece, origin, place, &frame, now_ms);
            }
        }
    }

    /// When the record at the end that nothing ends is taken as it is, by the core's clock.
    pub fn due_ms(&self) -> Option<u64> {
        self.frames.is_open().then_some(self.last_read_ms + OPEN_RECORD_MS)
    }

    /// Goes on in a copy of the file, which has been compared: what was read and is not yet a line is read again.
    pub fn go_on_in(&mut self, path: PathBuf, file: Arc<dyn OpenFile>, inode: Inode, now_ms: u64) {
        self.frames.start_over();
        (self.path, self.file, self.inode) = (path, file, inode);
        self.origin = None;
        (self.rewritten, self.seen_cut) = (false, false);
        self.compared = None;
        self.last_read_ms = now_ms;
    }

    /// Reads what has been appended, at most one read's worth; 0 at the end of the file, also where that is nothing but zeros.
    pub fn read(&mut self, now_ms: u64) -> io::Result<usize> {
        // Room for what is there, and no more: most files have nothing new most of the time.
        let len = self.len_on_disk()?;
        let new = len.saturating_sub(self.read_to());
        if new == 0 {
            return Ok(0);
        }
        let file = &self.file;
        let most = usize::try_from(new).unwrap_or(READ_BYTES).min(READ_BYTES);
        let read = self.frames.fill(most, |room, at| file.read_at(room, at))?;
        let at_end_of_file = read as u64 == new && !self.archived;
        let read = read.saturating_sub(self.frames.drop_trailing_zeros(at_end_of_file));
        if read == 0 {
            return Ok(0);
        }
        self.last_read_ms = now_ms;
        // Compared after the read: what was there then is what was read. An archive whose bytes change does not unpack.
        if !self.archived && self.has_other_content(read)? {
            self.frames.unread(read);
            self.rewritten = true;
            return Ok(0);
        }
        self.learn_head(read);
        self.len_seen = self.len_seen.max(len);
        Ok(read)
    }

    /// Looks whether its content is still what was read, when anything about it has changed since the last look.
    pub fn compare(&mut self) -> io::Result<()> {
        let status = self.file.status()?;
        let now = Some((status.len, status.modified));
        if self.compared != now {
            self.rewritten |= self.has_other_content(0)?;
            self.compared = now;
        }
        if !self.is_cut() {
            // Only now: a length that was asked for before the content is that of this content.
            self.len_seen = self.len_seen.max(status.len);
        }
        Ok(())
    }

    /// Whether the file's first bytes, or those before the last `fresh` ones that were read, are other than they were.
    fn has_other_content(&self, fresh: usize) -> io::Result<bool> {
        let there = bytes_before(self.file.as_ref(), self.read_to() - fresh as u64)?;
        Ok(!there.ends_with(&self.frames.read_before(fresh)) || !self.head.matches(self.file.as_ref())?)
    }

    /// The file's first line, once there is one: its id is made of it.
    pub fn first_line(&self) -> Result<Option<Vec<u8>>, Refused> {
        let bytes = first_bytes(self.file.as_ref(), HEAD_BYTES_MAX).map_err(|error| Refused(error.to_string()))?;
        Ok(first_line(&bytes).map(<[u8]>::to_vec))
    }

    /// What its rows' ids begin with, from now on.
    pub fn set_id(&mut self, id: String) {
        self.id = Some(id);
    }

    /// Learns the file's format; true once it is known.
    pub fn learn_format(&mut self, plan: &SourcePlan) -> Result<bool, Refused> {
        if self.frames.has_format() {
            return Ok(true);
        }
        let head = first_bytes(self.file.as_ref(), DETECT_BYTES_MAX).map_err(|error| Refused(error.to_string()))?;
        self.hole = head.len() >= DETECT_BYTES_MAX && head.iter().all(|byte| *byte == 0);
        let (head, is_all) =
            if self.hole { (self.frames.front(DETECT_BYTES_MAX), false) } else { (&head[..], self.archived) };
        let told = match self.format {
            Some(format) => Detection::Known(format),
            None => detect(head, is_all || head.len() >= DETECT_BYTES_MAX),
        };
        match told {
            Detection::Known(format) => {
                let dialect = plan.dialect(format, head);
                self.format = Some(format);
                self.frames.set_dialect(dialect, self.frames.offset() == 0);
                Ok(true)
            }
            Detection::NeedMore => Ok(false),
            Detection::Unknown { reason } => Err(Refused(reason.to_owned())),
        }
    }

    /// Whether its rows may come in pieces, so that files of one log have to be read one after the other.
    pub fn may_be_in_pieces(&self) -> bool {
        self.format.is_some_and(Format::comes_in_pieces)
    }

    /// Whether anything was written to it. What cannot be asked about is taken to be empty: the next read says what is wrong.
    pub fn has_begun(&self) -> bool {
        self.frames.read_to() > 0 || self.len_on_disk().is_ok_and(|len| len > 0)
    }

    /// Whether reading goes on in it: it is known what it is, and nothing stands in the way.
    pub fn is_to_be_read(&self) -> bool {
        let stands = self.refused.is_some() || self.unreadable.is_some() || self.cut || self.aside.is_some();
        self.id.is_some() && self.frames.has_format() && !stands
    }

    /// Whether it begins with a hole, and has to be read to learn what stands behind that.
    pub fn has_hole(&self) -> bool {
        self.hole
    }

    /// Whether the file was cut in place: it is shorter than what was read of it, or holds other bytes than it did.
    pub fn is_cut(&self) -> bool {
        // A file whose length cannot be had is read on: the read will say what is wrong.
        self.rewritten || self.len_on_disk().is_ok_and(|len| len < self.read_to())
    }

    /// Whether it is shorter than it was.
    pub fn has_shrunk(&self) -> bool {
        self.file.status().is_ok_and(|status| status.len < self.len_seen)
    }

    /// First byte that was not read yet.
    pub fn read_to(&self) -> u64 {
        self.frames.read_to()
    }

    /// Whether it has no more bytes now, but for zeros that may become others.
    pub fn is_read_to_end(&self) -> bool {
        // A file whose length cannot be had is read on: the read will say what is wrong.
        self.len_on_disk().is_ok_and(|len| self.frames.offset() + self.frames.pending() >= len)
    }

    /// Accounts for what has become `rows` lines since the last call.
    pub fn account(&mut self, rows: u64) {
        self.frames.account();
        self.rows += rows;
    }

    /// Whether anything was handed out since the last seal.
    pub fn has_unsealed(&self) -> bool {
        self.frames.offset() > self.sealed || self.rows > 0
    }

    /// What the next seal says of this file; from then on it counts as sealed.
    pub fn seal(&mut self, source: &str) -> FileRange {
        let sha256 = hex(&self.frames.seal());
        let from = std::mem::replace(&mut self.sealed, self.frames.offset());
        self.sealed_tail = Head::of(self.frames.before());
        let rows = std::mem::take(&mut self.rows);
        FileRange { from, sha256, rows, ..self.position(source) }
    }

    /// Where handing out stands, for comparing with other files.
    pub fn place(&self, source: &str) -> FileRange {
        let tail = Head::of(self.frames.before());
        let to = self.frames.offset();
        FileRange { from: to, to, tail_len: tail.len as u64, tail: tail.sha256, ..self.position(source) }
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
            tail_len: self.sealed_tail.len as u64,
            tail: self.sealed_tail.sha256.clone(),
            archive_len: 0,
            from: self.sealed,
            to: self.sealed,
            sha256: String::new(),
            rows: 0,
            ended: false,
        }
    }

    /// The file's length on disk; of an archive, that of what it holds.
    pub fn len_on_disk(&self) -> io::Result<u64> {
        Ok(self.file.status()?.len)
    }

    /// When it was written to last, in milliseconds since 1970, where times of its rows may lack a year.
    pub fn written_ms(&self) -> Option<u64> {
        self.format.filter(|format| format.may_lack_years())?;
        let since_1970 = self.file.status().ok()?.modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        u64::try_from(since_1970.as_millis()).ok()
    }

    /// The greatest length that the file was seen with.
    pub fn len_seen(&self) -> u64 {
        self.len_seen
    }

    /// Whether no name leads to the file any more.
    pub fn is_deleted(&self) -> io::Result<bool> {
        Ok(self.file.status()?.links == 0)
    }

    /// The open file.
    pub fn file(&self) -> &Arc<dyn OpenFile> {
        &self.file
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

    /// The first bytes are kept as they are read: `fresh` bytes were read last.
    fn learn_head(&mut self, fresh: usize) {
        let have = self.head_bytes.len();
        let new = self.frames.last_read(fresh);
        if have < HEAD_BYTES_MAX && self.read_to() - fresh as u64 == have as u64 {
            self.head_bytes.extend_from_slice(&new[..new.len().min(HEAD_BYTES_MAX - have)]);
            self.head = Head::of(&self.head_bytes);
        }
    }
}
