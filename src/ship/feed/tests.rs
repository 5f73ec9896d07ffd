//! Where batches of lines end, and when they go.

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
            let mut expected: Vec<(u64, u64)> = wanted.iter().copied().filter(|(_, last)| *last >= cursor).collect();
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
fn a_line_before_the_oldest_segment_was_deleted() {
    let files = [41, 99].map(|first| SegmentFile { first, path: PathBuf::new(), bytes: 0 });
    assert_eq!(holding(&files, 41).unwrap().first, 41);
    assert_eq!(holding(&files, 98).unwrap().first, 41);
    assert_eq!(holding(&files, 1000).unwrap().first, 99);
    assert_eq!(holding(&files, 7).unwrap_err().to_string(), "lines 7 to 40 are no longer in the journal");
}
