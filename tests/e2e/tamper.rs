//! A trail that somebody has altered: `verify` says so, and names the place.

use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde_json::Value;

use crate::host::{Host, seed, text};
use crate::trail;
use crate::writer::Writer;

/// A copy of a real trail of several segments, the last one with several blocks.
struct Copy {
    host: Host,
    dir: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let host = Host::new();
        let mut writer = Writer::new(&host.log(), 5);
        let mut agent = host.run();
        loop {
            (0..5).for_each(|_| writer.append_random());
            agent.wait_for_rows(writer.rows());
            let segments = trail::segments(&host.journal());
            if segments.len() >= 6 && blocks(segments.last().unwrap()).len() >= 4 {
                break;
            }
        }
        agent.stop();
        host.assert_verifies();
        let copy = Copy { host, dir: tempfile::tempdir().unwrap() };
        copy.reset();
        assert!(copy.segments().len() >= 5, "{} segments", copy.segments().len());
        copy
    }

    /// Whole again.
    fn reset(&self) {
        self.segments().iter().for_each(|path| fs::remove_file(path).unwrap());
        for path in trail::segments(&self.host.journal()) {
            fs::copy(&path, self.dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        trail::segments(self.dir.path())
    }

    /// Exit code, and what was found.
    fn verify(&self) -> (i32, Vec<Value>) {
        let (key, dir) = (self.host.key(), self.dir.path().to_str().unwrap());
        let output = self.host.command(&["verify", "--json", "--key", key.to_str().unwrap(), dir]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr));
        });
        let findings = report["verdict"]["findings"].as_array().unwrap().clone();
        (output.status.code().unwrap(), findings)
    }

    /// The trail is broken, and one of the findings is of this kind and names this segment.
    fn assert_broken(&self, kinds: &[&str], segment: &Path) -> Value {
        let (code, findings) = self.verify();
        assert_eq!(code, 1, "{findings:#?}");
        let fits = |finding: &&Value| kinds.iter().any(|kind| finding["kind"] == *kind) && names(finding, segment);
        let found = findings.iter().find(fits);
        found.unwrap_or_else(|| panic!("no {kinds:?} in {}: {findings:#?}", segment.display())).clone()
    }
}

fn names(finding: &Value, segment: &Path) -> bool {
    finding["segment"].as_str().unwrap().ends_with(segment.file_name().unwrap().to_str().unwrap())
}

fn mentions_line(finding: &Value, line: u64) -> bool {
    let lines = &finding["lines"];
    lines[0].as_u64().is_some_and(|first| first <= line) && lines[1].as_u64().is_some_and(|last| line <= last)
}

/// A segment's blocks, decompressed.
fn blocks(path: &Path) -> Vec<Vec<u8>> {
    frames(&fs::read(path).unwrap()).into_iter().map(|frame| zstd::decode_all(&*frame).unwrap()).collect()
}

/// A segment's frames, as they are.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let len = zstd::zstd_safe::find_frame_compressed_size(bytes).unwrap();
        frames.push(bytes[..len].to_vec());
        bytes = &bytes[len..];
    }
    frames
}

/// Writes blocks as the agent does, each a frame with a checksum that is right.
fn write(path: &Path, blocks: &[Vec<u8>]) {
    use std::io::Write;
    let mut bytes = Vec::new();
    for block in blocks {
        let mut encoder = zstd::stream::write::Encoder::new(&mut bytes, 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(block).unwrap();
        encoder.finish().unwrap();
    }
    fs::write(path, bytes).unwrap();
}

/// Where a block's line starts and ends, its newline included.
fn line_at(block: &[u8], number: usize) -> std::ops::Range<usize> {
    let mut start = 0;
    for (index, line) in block.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if index == number {
            return start..start + line.len();
        }
        start += line.len();
    }
    panic!("no line {number}");
}

fn first_line(path: &Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap()
}

#[test]
fn what_verify_finds_is_named() {
    let copy = Copy::new();
    assert_eq!(copy.verify().0, 0);
    flipped_bits(&copy);
    a_line_altered_in_a_frame_that_decodes(&copy);
    a_line_removed(&copy);
    a_line_added(&copy);
    two_lines_swapped(&copy);
    two_segments_swapped(&copy);
    a_segment_removed(&copy);
    a_block_removed(&copy);
    a_seal_edited(&copy);
    a_checkpoint_from_elsewhere(&copy);
    a_tail_cut(&copy);
    another_key(&copy);
}

fn flipped_bits(copy: &Copy) {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..40 {
        copy.reset();
        let segments = copy.segments();
        let path = &segments[rng.usize(..segments.len())];
        let mut bytes = fs::read(path).unwrap();
        let bit = rng.usize(..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let before = blocks(path);
        fs::write(path, &bytes).unwrap();
        let (code, findings) = copy.verify();
        let named = findings.iter().any(|finding| names(finding, path));
        // A few bits of a frame's header say nothing about what is in it.
        let unchanged = zstd::decode_all(&*bytes).is_ok_and(|after| after == before.concat());
        assert!(code != 0 && named || unchanged, "bit {bit} of {}: exit {code}, {findings:#?}", path.display());
    }
}

fn a_line_altered_in_a_frame_that_decodes(copy: &Copy) {
    copy.reset();
    let path = &copy.segments()[1];
    let mut blocks = blocks(path);
    let line = line_at(&blocks[0], 3);
    let user = memchr::memmem::find(&blocks[0][line.clone()], b"\"user\":\"app\"").unwrap() + line.start;
    blocks[0][user + 8..user + 11].copy_from_slice(b"bob");
    write(path, &blocks);
    let finding = copy.assert_broken(&["altered"], path);
    assert!(mentions_line(&finding, first_line(path) + 3), "{finding}");
}

fn a_line_removed(copy: &Copy) {
    copy.reset();
    let path = &copy.segments()[1];
    let mut blocks = blocks(path);
    let line = line_at(&blocks[0], 4);
    blocks[0].drain(line);
    write(path, &blocks);
    let finding = copy.assert_broken(&["altered", "missing"], path);
    assert!(mentions_line(&finding, first_line(path) + 4), "{finding}");
}

fn a_line_added(copy: &Copy) {
    copy.reset();
    let path = &copy.segments()[2];
    let mut blocks = blocks(path);
    let line = line_at(&blocks[0], 2);
    let twice = blocks[0][line.clone()].to_vec();
    blocks[0].splice(line.end..line.end, twice);
    write(path, &blocks);
    copy.assert_broken(&["altered", "repeated"], path);
}

fn two_lines_swapped(copy: &Copy) {
    copy.reset();
    let path = &copy.segments()[2];
    let mut blocks = blocks(path);
    let (first, second) = (line_at(&blocks[0], 2), line_at(&blocks[0], 3));
    let swapped = [&blocks[0][second.clone()], &blocks[0][first.clone()]].concat();
    blocks[0].splice(first.start..second.end, swapped);
    write(path, &blocks);
    copy.assert_broken(&["altered"], path);
}

fn two_segments_swapped(copy: &Copy) {
    copy.reset();
    let segments = copy.segments();
    let (one, two) = (fs::read(&segments[1]).unwrap(), fs::read(&segments[2]).unwrap());
    fs::write(&segments[1], two).unwrap();
    fs::write(&segments[2], one).unwrap();
    for path in &segments[1..=2] {
        copy.assert_broken(&["renamed", "head", "root", "missing", "repeated"], path);
    }
}

fn a_segment_removed(copy: &Copy) {
    copy.reset();
    let segments = copy.segments();
    fs::remove_file(&segments[2]).unwrap();
    let (code, findings) = copy.verify();
    assert_eq!(code, 1, "{findings:#?}");
    let finding = findings.iter().find(|finding| finding["kind"] == "missing").expect("a finding of what is missing");
    assert!(mentions_line(finding, first_line(&segments[2])), "{finding}");
}

fn a_block_removed(copy: &Copy) {
    copy.reset();
    let path = copy.segments().pop().unwrap();
    let mut blocks = blocks(&path);
    assert!(blocks.len() >= 4, "{} blocks", blocks.len());
    blocks.remove(1);
    write(&path, &blocks);
    copy.assert_broken(&["missing"], &path);
}

fn a_seal_edited(copy: &Copy) {
    copy.reset();
    let path = &copy.segments()[1];
    let mut blocks = blocks(path);
    let at = memchr::memmem::rfind(&blocks[0], b"\"unparsed\":0").unwrap();
    blocks[0][at + 11] = b'1';
    write(path, &blocks);
    let finding = copy.assert_broken(&["altered"], path);
    assert!(finding["block"].is_u64(), "{finding}");
}

/// A real checkpoint, with a real signature, of another block.
fn a_checkpoint_from_elsewhere(copy: &Copy) {
    copy.reset();
    let segments = copy.segments();
    let (path, other) = (&segments[1], blocks(&segments[3]));
    let mut blocks = blocks(path);
    let last = |block: &[u8]| line_at(block, block.iter().filter(|&&byte| byte == b'\n').count() - 1);
    let (here, there) = (last(&blocks[0]), last(&other[0]));
    let checkpoint = other[0][there].to_vec();
    blocks[0].splice(here, checkpoint);
    write(path, &blocks);
    copy.assert_broken(&["altered", "signature", "missing", "repeated", "root", "head"], path);
}

fn a_tail_cut(copy: &Copy) {
    copy.reset();
    let segments = copy.segments();
    let last = segments.last().unwrap();
    let bytes = fs::read(last).unwrap();
    // In the middle of the last frame: authentic, and it ends early.
    fs::write(last, &bytes[..bytes.len() - 20]).unwrap();
    let (code, findings) = copy.verify();
    assert_eq!(code, 3, "{findings:#?}");
    assert!(findings.iter().any(|finding| finding["kind"] == "ends_early" && names(finding, last)), "{findings:#?}");
    // The same in a segment that others follow is no accident.
    copy.reset();
    let bytes = fs::read(&segments[2]).unwrap();
    fs::write(&segments[2], &bytes[..bytes.len() - 20]).unwrap();
    let (code, findings) = copy.verify();
    assert_eq!(code, 1, "{findings:#?}");
    assert!(findings.iter().any(|finding| names(finding, &segments[2])), "{findings:#?}");
}

/// Somebody else's trail in this one's place.
fn another_key(copy: &Copy) {
    copy.reset();
    let host = Host::new();
    Writer::new(&host.log(), 5).append();
    host.drain();
    let key = host.key();
    let dir = copy.dir.path().to_str().unwrap();
    let output = copy.host.command(&["verify", "--json", "--key", key.to_str().unwrap(), dir]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
}
