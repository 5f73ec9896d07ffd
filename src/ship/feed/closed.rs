//! Closed segments, one at a time, with what a sink needs to know of each.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{FeedError, blocking, holding};
use crate::disk::{Disk, Reader};
use crate::journal::Head;
use crate::journal::read::segments;
use crate::sink::Segment;
use crate::sink::file::digest_of;

/// A segment's first line is the agent's own, with a few kilobytes a source file; what is longer is none.
const FIRST_LINE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Closed segments.
pub(super) struct SegmentFeed {
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
    /// Stands at `next_line`.
    pub(super) fn new(disk: Arc<dyn Disk>, journal: PathBuf, next_line: u64) -> Self {
        SegmentFeed { disk, journal, next_line, current: None }
    }

    pub(super) async fn next<'a>(&'a mut self, head: Head, origin: &'a str) -> Result<Option<Segment<'a>>, FeedError> {
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
