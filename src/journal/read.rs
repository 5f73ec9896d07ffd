//! Reading the journal: which segments there are, and their blocks one at a time.
//!
//! Owns nothing on disk and never writes. Couriers follow the open segment with it, up to the published head; recovery walks
//! a segment with it to find where the last whole block ends. So it must tell three things apart that look alike from
//! afar: a frame that is cut short ([`ReadError::Torn`]), one that is whole but wrong ([`ReadError::Damaged`]), and a disk
//! that does not answer ([`ReadError::Io`]); and after each it must still stand at the beginning of that frame.
//!
//! What the lines mean is for others.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::disk::{Disk, Reader};

/// What a segment's file name ends with.
pub const SUFFIX: &str = ".ndjson.zst";

/// Compressed bytes read from the file at once.
const INPUT_BYTES: usize = 128 * 1024;
/// The block's buffer grows by this much.
const OUTPUT_STEP: usize = 256 * 1024;
/// A frame that decompresses to more is no block of ours: blocks are cut at about 8 MiB and a record has a bound of its own.
const BLOCK_MAX_BYTES: usize = 256 * 1024 * 1024;
/// After a larger block than this the buffer is given back.
const KEPT_BYTES: usize = 9 * 1024 * 1024;

/// A segment's file, as the folder lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// Number of its first line, from its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its length now.
    pub bytes: u64,
}

/// One decompressed block.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Newline-ended lines.
    pub bytes: &'a [u8],
    /// Where its frame begins in the file.
    pub start: u64,
    /// Where its frame ends in the file.
    pub end: u64,
    /// How many newlines it has.
    pub lines: u64,
}

/// Why the next block could not be had. `byte` is where its frame begins.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("cannot read {} at byte {byte}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// Start of the frame.
        byte: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The frame begins well but ends after the file, or after the limit given.
    #[error("frame is cut short in {} at byte {byte}", path.display())]
    Torn {
        /// The segment.
        path: PathBuf,
        /// Start of the frame.
        byte: u64,
    },
    /// What is there is no zstd frame, or its checksum is wrong, or it is larger than any block.
    #[error("frame does not decode in {} at byte {byte}: {why}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Start of the frame.
        byte: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Name of the segment whose first line is `first`.
pub fn segment_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The segments in `dir`, in the order of their lines. Other files are none of ours and are left out.
pub fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for path in disk.list(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(first) = name.and_then(first_line) else { continue };
        match disk.status(&path) {
            Ok(status) => found.push(SegmentFile { first, path, bytes: status.len }),
            // Deleted since it was listed: the journal made room.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable_by_key(|segment| segment.first);
    Ok(found)
}

/// Hands out a segment's blocks, one at a time, in one buffer that is used again.
///
/// State: `offset` is always a frame boundary, the end of the last block handed out. `input[at..]` are compressed bytes
/// already read from the file behind it; they are thrown away and read again after an error.
pub struct BlockReader {
    path: PathBuf,
    file: Reader,
    decoder: Decoder<'static>,
    input: Vec<u8>,
    at: usize,
    unread: u64,
    start: u64,
    offset: u64,
    limit: u64,
    block: Vec<u8>,
    lines: u64,
}

impl BlockReader {
    /// Opens the segment at `offset`, which must be a frame boundary, to read up to `limit`.
    pub fn open(disk: &dyn Disk, path: &Path, offset: u64, limit: u64) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), byte: offset, source };
        let file = Reader::new(disk.open(path).map_err(failed)?, offset);
        let decoder = Decoder::new().map_err(failed)?;
        Ok(BlockReader {
            path: path.to_owned(),
            file,
            decoder,
            input: Vec::with_capacity(INPUT_BYTES),
            at: 0,
            unread: offset,
            start: offset,
            offset,
            limit,
            block: Vec::new(),
            lines: 0,
        })
    }

    /// Lets it read on, up to `limit`: the open segment has grown.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// Lets it read on, up to the end that the file has now: the segment is closed.
    pub fn set_limit_to_end(&mut self) -> Result<(), ReadError> {
        let status = self.file.file().status();
        let status = status.map_err(|source| ReadError::Io { path: self.path.clone(), byte: self.offset, source })?;
        self.set_limit(status.len);
        Ok(())
    }

    /// End of the last block handed out: a frame boundary, also after an error.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block, or `None` at the limit. After an error it stands where it stood before.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, ReadError> {
        self.forget_block();
        if self.offset >= self.limit {
            return Ok(None);
        }
        match self.decode_frame() {
            Ok(end) => {
                self.start = self.offset;
                self.offset = end;
                self.lines = memchr::memchr_iter(b'\n', &self.block).count() as u64;
                Ok(Some(self.block()))
            }
            Err(error) => {
                self.forget_block();
                self.step_back()?;
                Err(error)
            }
        }
    }

    /// The block handed out last; empty before the first and after an error.
    pub fn block(&self) -> Block<'_> {
        Block { bytes: &self.block, start: self.start, end: self.offset, lines: self.lines }
    }

    /// Decodes one frame from `offset` into the buffer and says where it ends.
    fn decode_frame(&mut self) -> Result<u64, ReadError> {
        loop {
            if self.at == self.input.len() {
                self.fill()?;
            }
            if self.decode_some()? {
                return Ok(self.unread - (self.input.len() - self.at) as u64);
            }
        }
    }

    /// Feeds the decoder what was read; true when the frame is whole.
    fn decode_some(&mut self) -> Result<bool, ReadError> {
        if self.block.len() >= BLOCK_MAX_BYTES {
            return Err(self.damaged(format!("more than {BLOCK_MAX_BYTES} bytes in one block")));
        }
        let done = self.block.len();
        self.block.resize(done + OUTPUT_STEP, 0);
        let mut input = InBuffer::around(&self.input[self.at..]);
        let mut output = OutBuffer::around(&mut self.block[done..]);
        let result = self.decoder.run(&mut input, &mut output);
        let (taken, made) = (input.pos(), output.pos());
        self.block.truncate(done + made);
        self.at += taken;
        match result {
            Ok(hint) => Ok(hint == 0),
            Err(error) => Err(self.damaged(error.to_string())),
        }
    }

    /// Reads more of the file, up to the limit.
    fn fill(&mut self) -> Result<(), ReadError> {
        let want = self.limit.saturating_sub(self.unread).min(INPUT_BYTES as u64);
        self.input.clear();
        self.at = 0;
        let read = (&mut self.file).take(want).read_to_end(&mut self.input);
        read.map_err(|source| ReadError::Io { path: self.path.clone(), byte: self.offset, source })?;
        self.unread += self.input.len() as u64;
        if self.input.is_empty() { Err(ReadError::Torn { path: self.path.clone(), byte: self.offset }) } else { Ok(()) }
    }

    /// Stands again at the beginning of the frame that failed.
    fn step_back(&mut self) -> Result<(), ReadError> {
        self.input.clear();
        self.at = 0;
        self.unread = self.offset;
        self.file.seek(self.offset);
        self.decoder.reinit().map_err(|source| ReadError::Io { path: self.path.clone(), byte: self.offset, source })
    }

    fn forget_block(&mut self) {
        self.block.clear();
        self.lines = 0;
        self.start = self.offset;
        if self.block.capacity() > KEPT_BYTES {
            self.block = Vec::new();
        }
    }

    fn damaged(&self, why: String) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), byte: self.offset, why }
    }
}

/// The number in a segment's file name.
fn first_line(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::RealDisk;

    fn frame(lines: &str) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(lines.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn segment(frames: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(segment_name(0));
        fs::write(&path, frames.concat()).unwrap();
        (dir, path)
    }

    #[test]
    fn blocks_come_one_at_a_time_with_their_ends_and_lines() {
        let (one, two) = (frame("a\nb\n"), frame("c\n"));
        let (_dir, path) = segment(&[&one, &two]);
        let mut reader = BlockReader::open(&RealDisk, &path, 0, u64::MAX >> 1).unwrap();
        let block = reader.next_block().unwrap().unwrap();
        assert_eq!((block.bytes, block.start, block.end, block.lines), (&b"a\nb\n"[..], 0, one.len() as u64, 2));
        let end = (one.len() + two.len()) as u64;
        let block = reader.next_block().unwrap().unwrap();
        assert_eq!((block.bytes, block.end, block.lines), (&b"c\n"[..], end, 1));
        // The limit lies beyond the file here: that is a frame which is not there.
        assert!(matches!(reader.next_block(), Err(ReadError::Torn { byte, .. }) if byte == end));
    }

    #[test]
    fn reading_stops_at_the_limit_and_goes_on_when_it_is_raised() {
        let (one, two) = (frame("a\n"), frame("b\n"));
        let (_dir, path) = segment(&[&one, &two]);
        let mut reader = BlockReader::open(&RealDisk, &path, 0, one.len() as u64).unwrap();
        assert_eq!(reader.next_block().unwrap().unwrap().bytes, b"a\n");
        assert!(reader.next_block().unwrap().is_none());
        reader.set_limit((one.len() + two.len()) as u64);
        assert_eq!(reader.next_block().unwrap().unwrap().bytes, b"b\n");
        assert!(reader.next_block().unwrap().is_none());
    }

    #[test]
    fn every_cut_inside_a_frame_is_torn_at_its_beginning_and_reads_once_it_is_whole() {
        let (one, two) = (frame("first\n"), frame("second\n"));
        let (_dir, path) = segment(&[&one, &two]);
        let whole = (one.len() + two.len()) as u64;
        for cut in one.len() as u64 + 1..whole {
            let mut reader = BlockReader::open(&RealDisk, &path, 0, cut).unwrap();
            reader.next_block().unwrap().unwrap();
            let error = reader.next_block().map(|_| ()).unwrap_err();
            assert!(matches!(error, ReadError::Torn { byte, .. } if byte == one.len() as u64), "cut at {cut}: {error}");
            assert_eq!(reader.offset(), one.len() as u64);
            reader.set_limit(whole);
            assert_eq!(reader.next_block().unwrap().unwrap().bytes, b"second\n");
        }
    }

    #[test]
    fn no_flipped_bit_passes_for_a_block() {
        let one = frame("the quick brown fox jumps over the lazy dog, the quick brown fox\n");
        let expected = b"the quick brown fox jumps over the lazy dog, the quick brown fox\n";
        for bit in 0..one.len() * 8 {
            let mut bad = one.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (_dir, path) = segment(&[&bad]);
            let mut reader = BlockReader::open(&RealDisk, &path, 0, bad.len() as u64).unwrap();
            if let Ok(Some(block)) = reader.next_block() {
                // Some header bits say nothing about the content.
                assert_eq!(block.bytes, expected, "bit {bit}");
            }
        }
    }

    #[test]
    fn garbage_after_the_last_frame_is_damage_at_its_first_byte() {
        let one = frame("a\n");
        let (_dir, path) = segment(&[&one, &[0; 64]]);
        let mut reader = BlockReader::open(&RealDisk, &path, 0, one.len() as u64 + 64).unwrap();
        reader.next_block().unwrap().unwrap();
        let error = reader.next_block().map(|_| ()).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { byte, .. } if byte == one.len() as u64), "{error}");
    }

    #[test]
    fn a_block_of_many_megabytes_is_read_whole() {
        let line = "x".repeat(10 * 1024 * 1024) + "\n";
        let (_dir, path) = segment(&[&frame(&line), &frame("y\n")]);
        let mut reader = BlockReader::open(&RealDisk, &path, 0, fs::metadata(&path).unwrap().len()).unwrap();
        assert_eq!(reader.next_block().unwrap().unwrap().bytes, line.as_bytes());
        assert_eq!(reader.next_block().unwrap().unwrap().bytes, b"y\n");
        assert!(reader.next_block().unwrap().is_none());
    }

    #[test]
    fn only_names_of_twenty_digits_are_segments_and_they_come_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["00000000000000000041.ndjson.zst", "00000000000000000007.ndjson.zst", "7.ndjson.zst", "x", "tmp.zst"]
        {
            fs::write(dir.path().join(name), b"abc").unwrap();
        }
        let found: Vec<u64> = segments(&RealDisk, dir.path()).unwrap().iter().map(|segment| segment.first).collect();
        assert_eq!(found, [7, 41]);
    }
}
