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

mod closed;
mod lines;
mod place;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::closed::SegmentFeed;
use self::lines::LineFeed;
use self::place::Limits;
use crate::config::plan::Choice;
use crate::disk::Disk;
use crate::journal::Head;
use crate::journal::read::{ReadError, SegmentFile, segments};
use crate::sink::{Lines, Segment, Takes, off_thread};

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
                Kind::Lines(Box::new(LineFeed::new(disk, journal, limits, next_line)))
            }
            Takes::Segments => Kind::Segments(SegmentFeed::new(disk, journal, next_line)),
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
