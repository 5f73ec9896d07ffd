//! From a cursor and the journal's head to the next batch.
//!
//! Two feeds: lines up to the head, and closed segments. Both keep a place in the journal between batches and can be
//! dropped and made again from the cursor at any time; neither writes anything.
//!
//! The hard case is that a batch of lines must be cut the same way every time, also after a restart, so that its `Idempotency-Key` says the
//! same. So a batch never reaches over the end of a block, and cuts are counted from the block's beginning, wherever the
//! cursor stands. Where batches may wait for more lines, one goes on over the blocks that were sealed within that time of its first one, by the times
//! that stand in the blocks themselves, and cuts are counted from the segment's beginning: how long was truly waited decides nothing
//! but when it goes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::choose;
use crate::config::plan::Choice;
use crate::disk::{Disk, Reader};
use crate::journal::Head;
use crate::journal::read::{BlockReader, ReadError, SegmentFile, segments};
use crate::sink::file::digest_of;
use crate::sink::line::Head as LineHead;
use crate::sink::{Lines, Segment, Takes, off_thread};

/// A segment's first line is the agent's own, with a few kilobytes a source file; what is longer is none.
const FIRST_LINE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no next batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    #[error("cannot read the journal {}", path.display())]
    Journal { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("lines {wanted} to {last} are no longer in the journal", last = oldest - 1)]
    Deleted { wanted: u64, oldest: u64 },
    #[error("line {wanted} is not in the journal, though it lies between lines that are")]
    Missing { wanted: u64 },
    #[error("the cursor is at line {wanted}, but the trail has only {lines} lines")]
    Ahead { wanted: u64, lines: u64 },
    #[error("{} does not begin with a line that has a time", path.display())]
    FirstLine { path: PathBuf },
    #[error("reading the journal was interrupted")]
    Interrupted,
}

impl FeedError {
    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            FeedError::Journal { .. } | FeedError::Interrupted => "let the agent's user read its own state folder",
            FeedError::Deleted { .. } => {
                "take the missing lines from another destination; then stop the agent and remove this destination's cursor file, \
                 and it goes on from the oldest line there is"
            }
            FeedError::Ahead { .. } => {
                "the journal is not the one this cursor was written for: put the right state folder back, or remove the cursor file"
            }
            FeedError::Read(_) | FeedError::Missing { .. } | FeedError::FirstLine { .. } => {
                "run `sealtrail verify` on the journal and keep it as it is"
            }
        }
    }
}

/// What there is to do next.
pub(crate) enum Next<'a> {
    /// To hand this over.
    Given(Given<'a>),
    /// To wait until a batch that may get more lines has waited long enough, or until the head moves.
    Wait(Duration),
    /// Nothing: all there is up to the head was handed out.
    Nothing,
}

/// What is handed out at once.
pub(crate) enum Given<'a> {
    /// One segment.
    Segment(Segment<'a>),
    /// Batches that follow each other, at least one: as many as may be under way at a time, and no more than there are.
    Lines(Vec<Lines<'a>>),
}

/// What time it is, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) unix_ms: u64,
    pub(crate) since_boot_ms: u64,
}

/// Batches, from a cursor on.
pub(crate) struct Feed {
    origin: String,
    kind: Kind,
}

enum Kind {
    Lines(Box<LineFeed>),
    Segments(SegmentFeed),
}

impl Feed {
    /// Stands at `next_line`. Opens nothing yet. `choice` says how many lines a batch has and how long it waits for them, and how many batches of lines
    /// are handed out at once, at most.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        journal: &Path,
        origin: &str,
        takes: Takes,
        choice: &Choice,
        next_line: u64,
    ) -> Self {
        let journal = journal.to_owned();
        let kind = match takes {
            Takes::Lines { batch_max_bytes } => {
                let limits = Limits { bytes: batch_max_bytes, choice: choice.clone() };
                Kind::Lines(Box::new(LineFeed {
                    disk,
                    journal,
                    next_line,
                    limits,
                    place: None,
                    due: None,
                    pieces: Vec::new(),
                }))
            }
            Takes::Segments => Kind::Segments(SegmentFeed { disk, journal, next_line, current: None }),
        };
        Feed { origin: origin.to_owned(), kind }
    }

    /// What comes next, of what there is up to `head`.
    pub(crate) async fn next(&mut self, head: Head, now: Moment) -> Result<Next<'_>, FeedError> {
        let origin = self.origin.as_str();
        match &mut self.kind {
            Kind::Lines(feed) => feed.next(head, now, origin).await,
            Kind::Segments(feed) => match feed.next(head, origin).await? {
                Some(segment) => Ok(Next::Given(Given::Segment(segment))),
                None => Ok(Next::Nothing),
            },
        }
    }
}

/// Lines up to the head.
struct LineFeed {
    disk: Arc<dyn Disk>,
    journal: PathBuf,
    next_line: u64,
    limits: Limits,
    /// `None` until there is something to read, and between segments.
    place: Option<Place>,
    /// The first line of the batch that waits for more, and until when, by the boot clock.
    due: Option<(u64, u64)>,
    /// What was handed out last.
    pieces: Vec<Piece>,
}

/// A batch.
struct Piece {
    first: u64,
    range: Range,
    /// Its bytes, where what it was cut from is no longer what is read.
    held: Option<Vec<u8>>,
}

/// Where a batch ends.
struct Limits {
    bytes: usize,
    choice: Choice,
}

/// A place in one segment: what was read of it and is not handed out yet.
struct Place {
    /// The segment's first line.
    segment: u64,
    reader: BlockReader,
    /// What was read from the beginning of the batch under construction on, the block that was read last included; empty while that block is all there is.
    held: Vec<u8>,
    /// Where the blocks end that are here, and when they were sealed.
    blocks: VecDeque<Sealed>,
    /// What of it was cut already, in bytes.
    cut_bytes: usize,
    /// The first line that is not cut.
    cut_line: u64,
    /// The line after the block that was read last.
    end: u64,
    /// The segment is closed, and all of it was read.
    ended: bool,
}

/// A block.
#[derive(Clone, Copy)]
struct Sealed {
    /// Where it ends, counted as `cut_bytes`.
    end: usize,
    /// The time of its last line; `None` where nobody asks.
    unix_ms: Option<i64>,
}

/// A piece of what was read.
struct Range {
    from: usize,
    to: usize,
    last: u64,
}

impl LineFeed {
    async fn next<'a>(&'a mut self, head: Head, now: Moment, origin: &'a str) -> Result<Next<'a>, FeedError> {
        if self.next_line > head.lines {
            return Err(FeedError::Ahead { wanted: self.next_line, lines: head.lines });
        }
        if self.next_line == head.lines {
            return Ok(Next::Nothing);
        }
        let most = self.limits.choice.in_flight.max(1);
        let mut pieces: Vec<Piece> = Vec::with_capacity(most);
        loop {
            self.cut(&mut pieces, most, false);
            if pieces.len() == most {
                break;
            }
            // The next block takes this one's place. Blocks are small where they come often: each is a batch, and they are to be under way together.
            self.hold(&mut pieces);
            match self.next_block(head).await {
                Ok(true) => continue,
                // What stands before it goes first.
                Err(_) if !pieces.is_empty() => break,
                Err(error) => return Err(error),
                Ok(false) if !pieces.is_empty() => break,
                Ok(false) => {}
            }
            match self.wait(now) {
                None => return Ok(Next::Nothing),
                Some(Duration::ZERO) => self.cut(&mut pieces, most, true),
                Some(wait) => return Ok(Next::Wait(wait)),
            }
            if !pieces.is_empty() {
                break;
            }
        }
        self.pieces = pieces;
        let bytes = self.place.as_ref().map_or(&[][..], Place::bytes);
        let lines = self.pieces.iter().map(|Piece { first, range, held }| Lines {
            origin,
            first: *first,
            last: range.last,
            ndjson: held.as_deref().unwrap_or_else(|| &bytes[range.from..range.to]),
            numbers: None,
        });
        Ok(Next::Given(Given::Lines(lines.collect())))
    }

    /// Cuts what is read into batches, until there are `most`. `is_due`: the one that waits for more lines goes, too.
    fn cut(&mut self, pieces: &mut Vec<Piece>, most: usize, is_due: bool) {
        let Some(place) = &mut self.place else { return };
        while pieces.len() < most
            && let Some(range) = place.cut(&self.limits, self.next_line, is_due)
        {
            let first = std::mem::replace(&mut self.next_line, range.last + 1);
            pieces.push(Piece { first, range, held: None });
        }
    }

    /// Keeps the bytes of pieces of what is read.
    fn hold(&self, pieces: &mut [Piece]) {
        let Some(place) = &self.place else { return };
        for Piece { range, held, .. } in pieces.iter_mut().filter(|piece| piece.held.is_none()) {
            *held = Some(place.bytes()[range.from..range.to].to_vec());
        }
    }

    /// How much longer the batch waits that has some lines and may get more; `None` where there is none.
    fn wait(&mut self, now: Moment) -> Option<Duration> {
        let place = self.place.as_ref()?;
        let sealed_ms = place.waits_since()?;
        let age_ms = self.limits.age_ms();
        let due_ms = match self.due {
            Some((line, due_ms)) if line == place.cut_line => due_ms,
            // Never longer than its age, whatever the wall clock says.
            _ => {
                let since_ms = i64::try_from(now.unix_ms).unwrap_or(i64::MAX).saturating_sub(sealed_ms);
                now.since_boot_ms + age_ms.saturating_sub(u64::try_from(since_ms).unwrap_or(0))
            }
        };
        self.due = Some((place.cut_line, due_ms));
        Some(Duration::from_millis(due_ms.saturating_sub(now.since_boot_ms)))
    }

    /// Reads the next block, in this segment or the one after it; false when there is none up to `head`.
    async fn next_block(&mut self, head: Head) -> Result<bool, FeedError> {
        let timed = self.limits.age_ms() > 0;
        loop {
            let place = match self.place.take() {
                Some(place) => place,
                None => self.enter().await?,
            };
            let closed = place.segment < head.segment;
            // Decompressing megabytes takes a while: not on a thread that others' requests wait for.
            let (mut place, read) = blocking(&self.disk, move |_| place.advance(closed, head, timed)).await?;
            let end = place.end;
            if read || !closed {
                self.place = Some(place);
                return Ok(read);
            }
            // What waited for more lines gets none from another segment.
            if place.cut_line < end && !std::mem::replace(&mut place.ended, true) {
                self.place = Some(place);
                return Ok(true);
            }
            if end < self.next_line {
                return Err(FeedError::Missing { wanted: self.next_line });
            }
            self.place = Some(self.enter_at(end).await?);
        }
    }

    /// Opens the segment that holds `next_line`.
    async fn enter(&self) -> Result<Place, FeedError> {
        let file = holding(&list(&self.disk, &self.journal).await?, self.next_line)?.clone();
        Place::open(&self.disk, file).await
    }

    /// Opens the segment that begins with line `first`.
    async fn enter_at(&self, first: u64) -> Result<Place, FeedError> {
        match list(&self.disk, &self.journal).await?.into_iter().find(|file| file.first == first) {
            Some(file) => Place::open(&self.disk, file).await,
            None => Err(FeedError::Missing { wanted: first }),
        }
    }
}

impl Place {
    async fn open(disk: &Arc<dyn Disk>, file: SegmentFile) -> Result<Self, FeedError> {
        blocking(disk, move |disk| {
            let reader = BlockReader::open(disk, &file.path, 0, 0)?;
            Ok(Place {
                segment: file.first,
                reader,
                held: Vec::new(),
                blocks: VecDeque::new(),
                cut_bytes: 0,
                cut_line: file.first,
                end: file.first,
                ended: false,
            })
        })
        .await
    }

    /// What was read.
    fn bytes(&self) -> &[u8] {
        if self.held.is_empty() { self.reader.block().bytes } else { &self.held }
    }

    /// Reads the next block, if there is one: up to the head, or up to the end of a segment that is closed. `timed`: its time is of interest.
    fn advance(mut self, closed: bool, head: Head, timed: bool) -> Result<(Self, bool), FeedError> {
        if closed {
            self.reader.set_limit_to_end()?;
        } else {
            self.reader.set_limit(head.bytes);
        }
        self.hold_rest();
        if self.reader.next_block()?.is_none() {
            return Ok((self, false));
        }
        let block = self.reader.block();
        if !self.held.is_empty() {
            self.held.extend_from_slice(block.bytes);
        }
        self.end += block.lines;
        let unix_ms = timed.then(|| sealed_at(block.bytes)).flatten();
        self.blocks.push_back(Sealed { end: self.bytes().len(), unix_ms });
        Ok((self, true))
    }

    /// Lets go of what was cut, and keeps what was not: the reader's buffer is about to be used again.
    fn hold_rest(&mut self) {
        let cut = std::mem::take(&mut self.cut_bytes);
        if self.held.is_empty() {
            self.held.extend_from_slice(&self.reader.block().bytes[cut..]);
        } else {
            self.held.drain(..cut);
        }
        self.blocks.retain(|block| block.end > cut);
        self.blocks.iter_mut().for_each(|block| block.end -= cut);
    }

    /// Cuts what is read, up to the first piece that has something from `next_line` on.
    fn cut(&mut self, limits: &Limits, next_line: u64, is_due: bool) -> Option<Range> {
        loop {
            let (reach, may_grow) = self.reach(limits)?;
            let rest = &self.bytes()[self.cut_bytes..reach];
            let (len, is_full) = limits.piece_len(rest);
            if len == rest.len() && may_grow && !is_full && !is_due {
                return None;
            }
            let piece = &rest[..len];
            let (from, from_line) = (self.cut_bytes, self.cut_line);
            let to_line = from_line + memchr::memchr_iter(b'\n', piece).count() as u64;
            let skipped = skip_lines(piece, next_line.saturating_sub(from_line));
            (self.cut_bytes, self.cut_line) = (from + len, to_line);
            if to_line > next_line {
                return Some(Range { from: from + skipped, to: self.cut_bytes, last: to_line - 1 });
            }
        }
    }

    /// How far the batch may go that begins with the first line that is not cut, and whether a block that is not read yet may go with it.
    /// `None` when all is cut.
    fn reach(&self, limits: &Limits) -> Option<(usize, bool)> {
        let mut blocks = self.blocks.iter().skip_while(|block| block.end <= self.cut_bytes);
        let first = blocks.next()?;
        let Some(begin_ms) = first.unix_ms else { return Some((first.end, false)) };
        let goes_along = |block: &&Sealed| {
            let later_ms = block.unix_ms.map(|unix_ms| unix_ms.saturating_sub(begin_ms));
            later_ms.and_then(|ms| u64::try_from(ms).ok()).is_some_and(|ms| ms < limits.age_ms())
        };
        let reach = blocks.take_while(goes_along).last().unwrap_or(first).end;
        Some((reach, reach == self.bytes().len() && !self.ended))
    }

    /// When the block was sealed with which the batch begins that waits for more lines.
    fn waits_since(&self) -> Option<i64> {
        self.blocks.iter().find(|block| block.end > self.cut_bytes)?.unix_ms
    }
}

impl Limits {
    fn age_ms(&self) -> u64 {
        u64::try_from(self.choice.batch_max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many bytes of `rest`, which ends with a newline, make a piece, and whether no further line would have room in it: whole lines, at least one.
    fn piece_len(&self, rest: &[u8]) -> (usize, bool) {
        let piece = &rest[..piece_len(rest, self.bytes)];
        match self.choice.batch_max_lines.and_then(|most| self.lines_len(piece, most)) {
            Some(len) => (len, true),
            None => (piece.len(), piece.len() >= self.bytes),
        }
    }

    /// Length of the first lines up to the one that is number `most` of those that the destination takes.
    fn lines_len(&self, piece: &[u8], most: u64) -> Option<usize> {
        let mut ends = memchr::memchr_iter(b'\n', piece).map(|newline| newline + 1);
        let nth = usize::try_from(most.checked_sub(1)?).ok()?;
        if choose::takes_all(&self.choice) {
            return ends.nth(nth);
        }
        let mut begin = 0;
        ends.filter(|end| choose::takes(&self.choice, &LineHead::of(&piece[std::mem::replace(&mut begin, *end)..*end])))
            .nth(nth)
    }
}

/// The time of a block's last line, which is its checkpoint.
fn sealed_at(lines: &[u8]) -> Option<i64> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let begin = memchr::memrchr(b'\n', lines).map_or(0, |newline| newline + 1);
    LineHead::of(&lines[begin..]).unix_ms()
}

/// Closed segments.
struct SegmentFeed {
    disk: Arc<dyn Disk>,
    journal: PathBuf,
    next_line: u64,
    current: Option<Closed>,
}

/// A closed segment and what a sink needs to know of it.
struct Closed {
    path: PathBuf,
    first: u64,
    last: u64,
    date: String,
    bytes: u64,
    sha256: [u8; 32],
}

impl SegmentFeed {
    async fn next<'a>(&'a mut self, head: Head, origin: &'a str) -> Result<Option<Segment<'a>>, FeedError> {
        let wanted = self.next_line;
        if wanted > head.lines {
            return Err(FeedError::Ahead { wanted, lines: head.lines });
        }
        if wanted >= head.segment {
            return Ok(None);
        }
        let (journal, open) = (self.journal.clone(), head.segment);
        let closed = blocking(&self.disk, move |disk| Closed::inspect(disk, &journal, wanted, open)).await?;
        self.next_line = closed.last + 1;
        Ok(Some(self.current.insert(closed).as_segment(origin)))
    }
}

impl Closed {
    /// Reads the segment that holds line `wanted`: once through for its SHA-256, and its first line. A segment ends where the next one
    /// begins; the last closed one ends where the open one begins.
    fn inspect(disk: &dyn Disk, journal: &Path, wanted: u64, open: u64) -> Result<Self, FeedError> {
        let files =
            segments(disk, journal).map_err(|source| FeedError::Journal { path: journal.to_owned(), source })?;
        let file = holding(&files, wanted)?;
        let end =
            files.iter().map(|file| file.first).find(|first| *first > file.first).map_or(open, |next| next.min(open));
        let failed = |source| FeedError::Journal { path: file.path.clone(), source };
        let (bytes, sha256) = digest_of(disk, &file.path).map_err(failed)?;
        let date = first_date(disk, &file.path)?;
        Ok(Closed { path: file.path.clone(), first: file.first, last: end - 1, date, bytes, sha256 })
    }

    fn as_segment<'a>(&'a self, origin: &'a str) -> Segment<'a> {
        Segment {
            path: &self.path,
            origin,
            first: self.first,
            last: self.last,
            date: &self.date,
            bytes: self.bytes,
            sha256: self.sha256,
        }
    }
}

/// The segment that holds line `wanted`, as far as the names say.
fn holding(files: &[SegmentFile], wanted: u64) -> Result<&SegmentFile, FeedError> {
    let after = files.partition_point(|file| file.first <= wanted);
    match (after.checked_sub(1).and_then(|index| files.get(index)), files.first()) {
        (Some(file), _) => Ok(file),
        (None, Some(oldest)) => Err(FeedError::Deleted { wanted, oldest: oldest.first }),
        (None, None) => Err(FeedError::Missing { wanted }),
    }
}

async fn list(disk: &Arc<dyn Disk>, journal: &Path) -> Result<Vec<SegmentFile>, FeedError> {
    let path = journal.to_owned();
    blocking(disk, move |disk| segments(disk, &path).map_err(|source| FeedError::Journal { path, source })).await
}

/// Runs what waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(
    disk: &Arc<dyn Disk>,
    work: impl FnOnce(&dyn Disk) -> Result<T, FeedError> + Send + 'static,
) -> Result<T, FeedError> {
    off_thread(disk, work).await.unwrap_or(Err(FeedError::Interrupted))
}

/// How many bytes of `rest`, which ends with a newline, make a piece: whole lines, at most `most` bytes, but at least one line.
fn piece_len(rest: &[u8], most: usize) -> usize {
    if rest.len() <= most {
        return rest.len();
    }
    match memchr::memrchr(b'\n', &rest[..most]) {
        Some(newline) => newline + 1,
        None => memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1),
    }
}

/// Length of the first `count` lines.
fn skip_lines(lines: &[u8], count: u64) -> usize {
    let Some(last) = count.checked_sub(1) else { return 0 };
    memchr::memchr_iter(b'\n', lines).nth(last as usize).map_or(lines.len(), |newline| newline + 1)
}

/// UTC date of the time of a segment's first line.
fn first_date(disk: &dyn Disk, path: &Path) -> Result<String, FeedError> {
    #[derive(Deserialize)]
    struct Timed {
        time: String,
    }
    let line = first_line(disk, path).map_err(|source| FeedError::Journal { path: path.to_owned(), source })?;
    let date = serde_json::from_slice::<Timed>(&line).ok().and_then(|timed| timed.time.get(..10).map(str::to_owned));
    let is_date = |date: &String| {
        date.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    date.filter(is_date).ok_or_else(|| FeedError::FirstLine { path: path.to_owned() })
}

fn first_line(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let decoder = zstd::stream::read::Decoder::new(Reader::new(disk.open(path)?, 0))?;
    let mut line = Vec::new();
    BufReader::new(decoder).take(FIRST_LINE_MAX_BYTES).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::clock::rfc3339;
    use crate::config::plan::Only;
    use crate::disk::RealDisk;
    use crate::journal::read::segment_name;

    /// When the trails here begin.
    const BEGIN_MS: u64 = 1_795_206_511_135;

    /// A journal of one open segment, whose blocks end with a line that says when.
    struct Trail {
        folder: tempfile::TempDir,
        head: Head,
    }

    impl Trail {
        /// Each block: how many events, and when it was sealed, in seconds after the beginning.
        fn of(blocks: &[(u64, u64)]) -> Self {
            let mut trail = Trail { folder: tempfile::tempdir().unwrap(), head: Head::default() };
            blocks.iter().for_each(|(events, second)| trail.seal(*events, *second));
            trail
        }

        /// Every third event is an administrator's.
        fn seal(&mut self, events: u64, second: u64) {
            let first = self.head.lines;
            let event =
                |line: u64| format!("{{\"type\":\"event\",\"id\":\"{line}\",\"admin\":{}}}\n", line.is_multiple_of(3));
            let mut text: String = (first..first + events).map(event).collect();
            let time = rfc3339(BEGIN_MS + second * 1000);
            text.push_str(&format!("{{\"type\":\"checkpoint\",\"time\":\"{time}\"}}\n"));
            let path = self.folder.path().join(segment_name(self.head.segment));
            let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
            let frame = zstd::encode_all(text.as_bytes(), 1).unwrap();
            file.write_all(&frame).unwrap();
            self.head.bytes += frame.len() as u64;
            self.head.lines += events + 1;
        }

        fn close(&mut self) {
            self.head = Head { segment: self.head.lines, bytes: 0, lines: self.head.lines };
        }

        fn feed(&self, choice: &Choice, next_line: u64) -> Feed {
            let takes = Takes::Lines { batch_max_bytes: 1000 };
            Feed::new(Arc::new(RealDisk), self.folder.path(), "o", takes, choice, next_line)
        }

        /// All that is handed out at once from there on, as first and last lines, and how long the rest waits.
        async fn batches(&self, feed: &mut Feed, second: u64) -> (Vec<(u64, u64)>, Option<Duration>) {
            let now = Moment { unix_ms: BEGIN_MS + second * 1000, since_boot_ms: 7_000 + second * 1000 };
            let mut batches = Vec::new();
            loop {
                match feed.next(self.head, now).await.unwrap() {
                    Next::Given(Given::Lines(lines)) => {
                        for lines in lines {
                            assert_eq!(lines.iter().count() as u64, lines.last - lines.first + 1);
                            batches.push((lines.first, lines.last));
                        }
                    }
                    Next::Given(Given::Segment(_)) => panic!("lines were wanted"),
                    Next::Wait(wait) => return (batches, Some(wait)),
                    Next::Nothing => return (batches, None),
                }
            }
        }
    }

    fn aged(seconds: u64) -> Choice {
        Choice { batch_max_age: Duration::from_secs(seconds), ..Choice::default() }
    }

    #[tokio::test]
    async fn without_an_age_a_batch_ends_with_its_block() {
        let trail = Trail::of(&[(2, 0), (1, 1), (3, 2)]);
        let mut feed = trail.feed(&aged(0), 0);
        assert_eq!(trail.batches(&mut feed, 2).await, (vec![(0, 2), (3, 4), (5, 8)], None));
    }

    #[tokio::test]
    async fn blocks_sealed_within_the_age_of_the_first_are_one_batch_which_goes_when_that_is_over() {
        let mut trail = Trail::of(&[(2, 0), (1, 4)]);
        let mut feed = trail.feed(&aged(10), 0);
        assert_eq!(trail.batches(&mut feed, 5).await, (vec![], Some(Duration::from_secs(5))));
        trail.seal(1, 8);
        assert_eq!(trail.batches(&mut feed, 8).await, (vec![], Some(Duration::from_secs(2))));
        assert_eq!(trail.batches(&mut feed, 10).await, (vec![(0, 6)], None));
        // The next one is counted from its own first block.
        trail.seal(1, 12);
        assert_eq!(trail.batches(&mut feed, 13).await, (vec![], Some(Duration::from_secs(9))));
        // A block that is not of it shows that nothing more will come.
        trail.seal(1, 22);
        assert_eq!(trail.batches(&mut feed, 22).await, (vec![(7, 8)], Some(Duration::from_secs(10))));
    }

    #[tokio::test]
    async fn a_batch_that_is_full_does_not_wait() {
        let trail = Trail::of(&[(10, 0), (20, 1)]);
        let mut feed = trail.feed(&aged(60), 0);
        let (batches, wait) = trail.batches(&mut feed, 1).await;
        assert!(batches[0].1 > 11, "it goes on over the first block: {batches:?}");
        assert!(batches.last().unwrap().1 < 31 && wait == Some(Duration::from_secs(60)), "{batches:?}, {wait:?}");
        let counted = Choice { batch_max_lines: Some(4), ..aged(60) };
        let mut feed = trail.feed(&counted, 0);
        let all: Vec<(u64, u64)> = (0..8).map(|at| (at * 4, at * 4 + 3)).collect();
        assert_eq!(trail.batches(&mut feed, 1).await, (all, None));
    }

    #[tokio::test]
    async fn the_end_of_a_segment_ends_the_wait() {
        let mut trail = Trail::of(&[(2, 0)]);
        let mut feed = trail.feed(&aged(600), 0);
        assert_eq!(trail.batches(&mut feed, 1).await, (vec![], Some(Duration::from_secs(599))));
        trail.close();
        assert_eq!(trail.batches(&mut feed, 1).await, (vec![(0, 2)], None));
        trail.seal(1, 2);
        assert_eq!(trail.batches(&mut feed, 2).await, (vec![], Some(Duration::from_secs(600))));
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_does_not_prolong_the_wait() {
        let trail = Trail::of(&[(2, 1000)]);
        let mut feed = trail.feed(&aged(10), 0);
        assert_eq!(trail.batches(&mut feed, 5).await, (vec![], Some(Duration::from_secs(10))));
        assert_eq!(trail.batches(&mut feed, 9).await, (vec![], Some(Duration::from_secs(6))));
        assert_eq!(trail.batches(&mut feed, 15).await, (vec![(0, 2)], None));
    }

    #[tokio::test]
    async fn lines_that_the_destination_does_not_take_are_not_counted() {
        let trail = Trail::of(&[(12, 0)]);
        let only = Only { admin: Some(true), ..Only::default() };
        let choice = Choice { batch_max_lines: Some(2), only, ..Choice::default() };
        // 0, 3, 6, 9 and the checkpoint are taken.
        let (batches, _) = trail.batches(&mut trail.feed(&choice, 0), 0).await;
        assert_eq!(batches, [(0, 3), (4, 9), (10, 12)]);
    }

    #[tokio::test]
    async fn batches_end_where_they_did_whatever_the_cursor_and_whenever_they_are_made() {
        let blocks: Vec<(u64, u64)> = (0..16).map(|at| (at % 7, at + at % 3 * 2)).collect();
        let only = Only { admin: Some(true), ..Only::default() };
        for choice in [
            aged(0),
            aged(5),
            Choice { batch_max_lines: Some(9), ..aged(7) },
            Choice { batch_max_lines: Some(3), only, in_flight: 3, ..aged(4) },
        ] {
            let mut whole = Trail::of(&blocks);
            whole.close();
            let (wanted, _) = whole.batches(&mut whole.feed(&choice, 0), 10_000).await;
            for cursor in (0..whole.head.lines).step_by(5) {
                let (batches, _) = whole.batches(&mut whole.feed(&choice, cursor), 10_000).await;
                let mut expected: Vec<(u64, u64)> =
                    wanted.iter().copied().filter(|(_, last)| *last >= cursor).collect();
                expected[0].0 = cursor;
                assert_eq!(batches, expected, "from {cursor} on, {choice:?}");
            }
            // The same while the blocks are sealed one after the other.
            let mut trail = Trail::of(&[]);
            let (mut feed, mut batches) = (trail.feed(&choice, 0), Vec::new());
            for (events, second) in &blocks {
                trail.seal(*events, *second);
                batches.extend(trail.batches(&mut feed, *second).await.0);
            }
            trail.close();
            batches.extend(trail.batches(&mut feed, 100).await.0);
            assert_eq!(batches, wanted, "{choice:?}");
        }
    }

    #[test]
    fn pieces_are_whole_lines_and_a_long_line_is_a_piece_of_its_own() {
        assert_eq!(piece_len(b"a\nbb\nccc\n", 100), 9);
        assert_eq!(piece_len(b"a\nbb\nccc\n", 5), 5);
        assert_eq!(piece_len(b"a\nbb\nccc\n", 4), 2);
        assert_eq!(piece_len(b"long line\nb\n", 4), 10);
    }

    #[test]
    fn skipping_lines_ends_at_a_line_end() {
        assert_eq!(skip_lines(b"a\nbb\nc\n", 0), 0);
        assert_eq!(skip_lines(b"a\nbb\nc\n", 2), 5);
    }

    #[test]
    fn a_line_before_the_oldest_segment_was_deleted() {
        let files = [41, 99].map(|first| SegmentFile { first, path: PathBuf::new(), bytes: 0 });
        assert_eq!(holding(&files, 41).unwrap().first, 41);
        assert_eq!(holding(&files, 98).unwrap().first, 41);
        assert_eq!(holding(&files, 1000).unwrap().first, 99);
        assert_eq!(holding(&files, 7).unwrap_err().to_string(), "lines 7 to 40 are no longer in the journal");
    }
}
