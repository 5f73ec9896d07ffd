//! Making room: delivered segments go, oldest first, once the journal is over half its budget.
//!
//! A segment goes only when it is closed and every required destination has all of it. What is not needed is kept as long as
//! there is room, so that `verify` on this host can look back.

use std::io;

use tracing::info;

use super::Head;
use super::read::SegmentFile;
use crate::disk::Disk;
use crate::durable;

/// What is on the disk after making room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of all segments.
    pub bytes: u64,
    /// How many.
    pub segments: u64,
    /// Bytes of those that may not go: some required destination does not have them whole, or they are open.
    pub undelivered: u64,
}

/// Bytes of the segments that somebody who has every line before `next_line` does not have whole.
pub fn bytes_behind(segments: &[SegmentFile], next_line: u64) -> u64 {
    let behind = segments.iter().enumerate().filter(|(index, _)| match segments.get(index + 1) {
        Some(next) => next.first > next_line,
        None => true,
    });
    behind.map(|(_, segment)| segment.bytes).sum()
}

/// Removes what may go of `segments`. `delivered`: the first line that some required destination does not have yet.
pub fn retain(
    disk: &dyn Disk,
    segments: &[SegmentFile],
    budget_bytes: u64,
    head: Head,
    delivered: u64,
) -> io::Result<Kept> {
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut kept = segments.len() as u64;
    for pair in segments.windows(2) {
        let (segment, next) = (&pair[0], &pair[1]);
        // While the next one has no whole block, this one is where a start finds the trail's end.
        let done = next.first <= delivered && next.first <= head.segment && next.first < head.lines;
        if bytes <= budget_bytes / 2 || !done {
            break;
        }
        durable::remove(disk, &segment.path)?;
        info!(segment = segment.first, bytes = segment.bytes, "removed: every required destination has it");
        bytes -= segment.bytes;
        kept -= 1;
    }
    let undelivered = bytes_behind(segments, delivered.min(head.segment));
    Ok(Kept { bytes, segments: kept, undelivered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::journal::segment_path;

    #[test]
    fn the_last_whole_segment_stays_until_the_next_one_has_a_block() {
        let dir = tempfile::tempdir().unwrap();
        let segments = [(0, 10), (41, 0)].map(|(first, bytes)| {
            let path = segment_path(dir.path(), first);
            std::fs::write(&path, vec![0; bytes]).unwrap();
            SegmentFile { first, path, bytes: bytes as u64 }
        });
        // Made, and without room for its first block.
        let head = Head { segment: 41, bytes: 0, lines: 41 };
        assert_eq!(retain(&RealDisk, &segments, 0, head, 41).unwrap(), Kept { bytes: 10, segments: 2, undelivered: 0 });
        let head = Head { segment: 41, bytes: 7, lines: 44 };
        assert_eq!(retain(&RealDisk, &segments, 0, head, 41).unwrap(), Kept { bytes: 0, segments: 1, undelivered: 0 });
        assert!(!segments[0].path.exists() && segments[1].path.exists());
    }
}
