//! From a cursor and the journal's head to the next batch.
//!
//! Two feeds: lines up to the head, and closed segments. Both keep a place in the journal between batches and can be
//! dropped and made again from the cursor at any time; neither writes anything.
//!
//! The hard case is that a batch of lines must be cut the same way every time, also after a restart, so that its `Idempotency-Key` says the
//! same. So a batch never reaches over the end of a block, and cuts are counted from the block's beginning, wherever the
//! cursor stands.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::disk::{Disk, Reader};
use crate::journal::Head;
use crate::journal::read::{BlockReader, ReadError, SegmentFile, segments};
use crate::sink::file::digest_of;
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

/// What is handed out at once.
pub(crate) enum Given<'a> {
    /// One segment.
    Segment(Segment<'a>),
    /// Batches that follow each other, at least one: as many as may be under way at a time, and no more than there are.
    Lines(Vec<Lines<'a>>),
}

/// Batches, from a cursor on.
pub(crate) struct Feed {
    origin: String,
    kind: Kind,
}

enum Kind {
    Lines(LineFeed),
    Segments(SegmentFeed),
}

impl Feed {
    /// Stands at `next_line`. Opens nothing yet. `in_flight`: how many batches of lines are handed out at once, at most.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        journal: &Path,
        origin: &str,
        takes: Takes,
        in_flight: usize,
        next_line: u64,
    ) -> Self {
        let journal = journal.to_owned();
        let kind = match takes {
            Takes::Lines { batch_max_bytes } => Kind::Lines(LineFeed {
                disk,
                journal,
                next_line,
                batch_max_bytes,
                in_flight,
                place: None,
                pieces: Vec::new(),
            }),
            Takes::Segments => Kind::Segments(SegmentFeed { disk, journal, next_line, current: None }),
        };
        Feed { origin: origin.to_owned(), kind }
    }

    /// What comes next, or `None` when all there is up to `head` was handed out.
    pub(crate) async fn next(&mut self, head: Head) -> Result<Option<Given<'_>>, FeedError> {
        let origin = self.origin.as_str();
        match &mut self.kind {
            Kind::Lines(feed) => Ok(feed.next(head, origin).await?.map(Given::Lines)),
            Kind::Segments(feed) => Ok(feed.next(head, origin).await?.map(Given::Segment)),
        }
    }
}

/// Lines up to the head.
struct LineFeed {
    disk: Arc<dyn Disk>,
    journal: PathBuf,
    next_line: u64,
    batch_max_bytes: usize,
    in_flight: usize,
    /// `None` until there is something to read, and between segments.
    place: Option<Place>,
    /// What was handed out last.
    pieces: Vec<Piece>,
}

/// A place in one segment: a block, and how far it was handed out.
struct Place {
    /// The segment's first line.
    segment: u64,
    reader: BlockReader,
    /// The block's first line.
    block_first: u64,
    /// What of the block was cut already: bytes and lines.
    cut_bytes: usize,
    cut_lines: u64,
}

impl LineFeed {
    async fn next<'a>(&'a mut self, head: Head, origin: &'a str) -> Result<Option<Vec<Lines<'a>>>, FeedError> {
        if self.next_line > head.lines {
            return Err(FeedError::Ahead { wanted: self.next_line, lines: head.lines });
        }
        if self.next_line == head.lines {
            return Ok(None);
        }
        let most = self.in_flight.max(1);
        let mut pieces: Vec<Piece> = Vec::with_capacity(most);
        loop {
            while pieces.len() < most
                && let Some(range) = self.cut()
            {
                let first = std::mem::replace(&mut self.next_line, range.last + 1);
                pieces.push(Piece { first, range, held: None });
            }
            if pieces.len() == most {
                break;
            }
            // The next block takes this one's place. Blocks are small where they come often: each is a batch, and they are to be under way together.
            self.hold(&mut pieces);
            match self.next_block(head).await {
                Ok(true) => {}
                Ok(false) => break,
                // What stands before it goes first.
                Err(_) if !pieces.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        self.pieces = pieces;
        let block = self.place.as_ref().map_or(&[][..], |place| place.reader.block().bytes);
        let lines = self.pieces.iter().map(|Piece { first, range, held }| Lines {
            origin,
            first: *first,
            last: range.last,
            ndjson: held.as_deref().unwrap_or_else(|| &block[range.from..range.to]),
            numbers: None,
        });
        Ok(Some(lines.collect()))
    }

    /// Keeps the bytes of pieces of the block that is read.
    fn hold(&self, pieces: &mut [Piece]) {
        let Some(place) = &self.place else { return };
        let block = place.reader.block().bytes;
        for Piece { range, held, .. } in pieces.iter_mut().filter(|piece| piece.held.is_none()) {
            *held = Some(block[range.from..range.to].to_vec());
        }
    }

    /// Cuts the block that is read, up to the first piece that has something from `next_line` on.
    fn cut(&mut self) -> Option<Range> {
        let place = self.place.as_mut()?;
        let block = place.reader.block();
        while place.cut_lines < block.lines {
            let rest = &block.bytes[place.cut_bytes..];
            let piece = &rest[..piece_len(rest, self.batch_max_bytes)];
            let from_line = place.block_first + place.cut_lines;
            let lines = memchr::memchr_iter(b'\n', piece).count() as u64;
            let from = place.cut_bytes;
            place.cut_bytes += piece.len();
            place.cut_lines += lines;
            if from_line + lines > self.next_line {
                let skipped = skip_lines(piece, self.next_line.saturating_sub(from_line));
                return Some(Range { from: from + skipped, to: place.cut_bytes, last: from_line + lines - 1 });
            }
        }
        None
    }

    /// Reads the next block, in this segment or the one after it; false when there is none up to `head`.
    async fn next_block(&mut self, head: Head) -> Result<bool, FeedError> {
        loop {
            let place = match self.place.take() {
                Some(place) => place,
                None => self.enter().await?,
            };
            let closed = place.segment < head.segment;
            // Decompressing megabytes takes a while: not on a thread that others' requests wait for.
            let (place, read) = blocking(&self.disk, move |_| place.advance(closed, head)).await?;
            let end = place.end();
            if read || !closed {
                self.place = Some(place);
                return Ok(read);
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

/// A batch.
struct Piece {
    first: u64,
    range: Range,
    /// Its bytes, where the block that it was cut from is no longer the one that is read.
    held: Option<Vec<u8>>,
}

/// A piece of the block that is read.
struct Range {
    from: usize,
    to: usize,
    last: u64,
}

impl Place {
    async fn open(disk: &Arc<dyn Disk>, file: SegmentFile) -> Result<Self, FeedError> {
        blocking(disk, move |disk| {
            let reader = BlockReader::open(disk, &file.path, 0, 0)?;
            Ok(Place { segment: file.first, reader, block_first: file.first, cut_bytes: 0, cut_lines: 0 })
        })
        .await
    }

    /// Reads the next block, if there is one: up to the head, or up to the end of a segment that is closed.
    fn advance(mut self, closed: bool, head: Head) -> Result<(Self, bool), FeedError> {
        if closed {
            self.reader.set_limit_to_end()?;
        } else {
            self.reader.set_limit(head.bytes);
        }
        self.block_first = self.end();
        (self.cut_bytes, self.cut_lines) = (0, 0);
        let read = self.reader.next_block()?.is_some();
        Ok((self, read))
    }

    /// The line after the block that is read.
    fn end(&self) -> u64 {
        self.block_first + self.reader.block().lines
    }
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
    use super::*;

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
