//! A rotated file that was compressed, read as what it holds: offsets are those of the log, not of the archive.
//!
//! What makes it hard: an archive is unpacked from its start on and no other way, and one of gigabytes takes seconds, in which others
//! would wait. So no call unpacks more than a share. What lies further off is noted and refused with `WouldBlock`; [`Packed::go_on`] unpacks
//! towards it, a share a call, and keeps it until it is asked for again. Whose turn it is and for how long is [`super::archives`]' business.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sealtrail_seal::FileRange;

use super::identity::{Head, first_bytes, is_stale};
use crate::disk::{OpenFile, Reader, Status};
use crate::limits::{HEAD_BYTES_MAX, READ_BYTES};

/// What is unpacked at a time when nobody wants the bytes.
const SKIP_BYTES: usize = 64 * 1024;

/// Places of one archive that are kept for whoever asked for them: each is up to 1 KiB before where some file was read to. One more is
/// unpacked at once, however long that takes.
const WINDOWS_MAX: usize = 64;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// gzip, several members one behind the other too.
    Gzip,
    /// zstd frames.
    Zstd,
    /// xz streams.
    Xz,
}

/// So many first bytes tell.
const MAGIC_BYTES: usize = 6;

/// By a file's first bytes; `None`: it is no archive.
pub fn packing_of(file: &dyn OpenFile) -> io::Result<Option<Packing>> {
    let mut magic = [0; MAGIC_BYTES];
    let read = file.read_at(&mut magic, 0)?;
    Ok(packing(&magic[..read]))
}

/// gzip knows one method, which is its third byte: a BSON document can begin with the first two.
fn packing(magic: &[u8]) -> Option<Packing> {
    match magic {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        b"\xfd7zXZ\0" => Some(Packing::Xz),
        _ => None,
    }
}

/// What an input holds, from its start to its end: unpacked where it is an archive, and else as it is.
pub fn unpacked(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; MAGIC_BYTES];
    let read = fill(input.as_mut(), &mut magic)?;
    let whole = io::Cursor::new(magic).take(read as u64).chain(input);
    match packing(&magic[..read]) {
        Some(packing) => unpack_from(whole, packing),
        None => Ok(Box::new(whole)),
    }
}

/// Whether a file begins as an archive does.
pub fn is_archive(file: &dyn OpenFile) -> io::Result<bool> {
    Ok(packing_of(file)?.is_some())
}

/// Whether a log, or what an archive holds so far, begins with the bytes that a seal tells of, as far as it goes.
pub fn begins_with(file: &Arc<dyn OpenFile>, range: &FileRange) -> io::Result<bool> {
    let (head, is_all) = head_for(file, range)?;
    Ok(!is_all || Head::of(&head).sha256 == range.head)
}

/// Whether it has all the first bytes that a seal tells of.
pub fn has_head_of(file: &Arc<dyn OpenFile>, range: &FileRange) -> io::Result<bool> {
    let (head, is_all) = head_for(file, range)?;
    Ok(is_all && Head::of(&head).sha256 == range.head)
}

/// As many first bytes as the seal tells of, and whether there are so many.
fn head_for(file: &Arc<dyn OpenFile>, range: &FileRange) -> io::Result<(Vec<u8>, bool)> {
    let len = usize::try_from(range.head_len).unwrap_or(usize::MAX).min(HEAD_BYTES_MAX);
    let head = match packing_of(file.as_ref())? {
        None => first_bytes(file.as_ref(), len)?,
        Some(packing) => {
            let mut head = Vec::new();
            // An archive that is not whole gives what it has.
            let _ = unpack(file, packing)?.take(len as u64).read_to_end(&mut head);
            head
        }
    };
    let is_all = head.len() >= len;
    Ok((head, is_all))
}

/// An archive that is open.
pub struct Packed {
    archive: Arc<dyn OpenFile>,
    packing: Packing,
    /// What one call may unpack, in bytes of the log.
    share: usize,
    unpacking: Mutex<Unpacking>,
}

/// How far an archive is unpacked, and what is kept of it.
#[derive(Default)]
struct Unpacking {
    /// `None`: at its start.
    stream: Option<Box<dyn Read + Send>>,
    at: u64,
    /// Of what it holds: known once it has been read through.
    len: Option<u64>,
    /// What was asked for, by its place in the log.
    windows: BTreeMap<u64, Window>,
    /// The archive's length and time of change when this began.
    seen: Option<(u64, SystemTime)>,
}

/// Bytes that somebody asked for.
struct Window {
    len: usize,
    /// As many of them as have gone by.
    bytes: Vec<u8>,
}

impl Packed {
    /// Not unpacked yet; no call unpacks more than `share` bytes.
    pub fn new(archive: Arc<dyn OpenFile>, packing: Packing, share: usize) -> Self {
        Packed { archive, packing, share, unpacking: Mutex::default() }
    }

    /// How long the log in it is; `None` before it has been read through.
    pub fn log_len(&self) -> Option<u64> {
        self.lock().len
    }

    /// Whether the archive's handle is no longer good for anything.
    pub fn is_stale(&self) -> bool {
        is_stale(self.archive.as_ref())
    }

    /// Whether it has not been read through, or somebody waits for something of it.
    pub fn is_waited_for(&self) -> bool {
        self.lock().left().is_some()
    }

    /// Unpacks at most `most` bytes towards its end, while that has not been reached, or towards what was asked for. How many it were: 0 where
    /// nothing is left to do. `UnexpectedEof`: it is still being written.
    pub fn go_on(&self, most: usize) -> io::Result<usize> {
        let mut unpacking = self.lock();
        let (mut scratch, mut done) = (Vec::new(), 0);
        while done < most
            && let Some(len) = unpacking.left()
        {
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(SKIP_BYTES).min(most - done);
            scratch.resize(len, 0);
            match self.unpack(&mut unpacking, &mut scratch)? {
                // Its end, which counts as something: whoever waits for it is told.
                0 => return Ok(done.max(1)),
                read => done += read,
            }
        }
        Ok(done)
    }

    /// Whoever panicked while holding it left at worst a place that is not where it says: it begins again.
    fn lock(&self) -> MutexGuard<'_, Unpacking> {
        self.unpacking.lock().unwrap_or_else(|poisoned| {
            let mut unpacking = PoisonError::into_inner(poisoned);
            unpacking.begin_again();
            unpacking
        })
    }

    /// Fills `buf` with what comes next; less only at its end, since a short read would look like one.
    fn unpack(&self, unpacking: &mut Unpacking, buf: &mut [u8]) -> io::Result<usize> {
        let result = unpacking.stream(&self.archive, self.packing).and_then(|stream| fill(stream, buf));
        match result {
            Ok(read) => {
                unpacking.went_by(&buf[..read]);
                if read < buf.len() {
                    unpacking.len.get_or_insert(unpacking.at);
                }
                Ok(read)
            }
            Err(error) => {
                // Nobody waits for what cannot be had; who asks again is told again.
                unpacking.begin_again();
                Err(error)
            }
        }
    }

    /// Unpacks up to `offset`, however far that is.
    fn skip_to(&self, unpacking: &mut Unpacking, offset: u64) -> io::Result<()> {
        if unpacking.at > offset {
            unpacking.rewind();
        }
        let mut scratch = vec![0; SKIP_BYTES];
        while unpacking.at < offset {
            let len = usize::try_from(offset - unpacking.at).unwrap_or(usize::MAX).min(SKIP_BYTES);
            if self.unpack(unpacking, &mut scratch[..len])? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

impl OpenFile for Packed {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let status = self.archive.status()?;
        let mut unpacking = self.lock();
        unpacking.see((status.len, status.modified));
        let left = unpacking.len.unwrap_or(u64::MAX).saturating_sub(offset);
        let len = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buf = &mut buf[..len];
        if buf.is_empty() || unpacking.has_kept(buf, offset) {
            return Ok(len);
        }
        let is_near = offset.checked_sub(unpacking.at).is_some_and(|distance| distance <= self.share as u64);
        if !is_near && offset == 0 {
            // Whoever asks what it begins with is not to take others back to there.
            return fill(unpack(&self.archive, self.packing)?.as_mut(), buf);
        }
        if !is_near && unpacking.keep(offset, len) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.skip_to(&mut unpacking, offset)?;
        self.unpack(&mut unpacking, buf)
    }

    fn append(&self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.archive.sync()
    }

    fn status(&self) -> io::Result<Status> {
        let len = self.log_len().ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Status { len, ..self.archive.status()? })
    }
}

impl Unpacking {
    fn stream(&mut self, archive: &Arc<dyn OpenFile>, packing: Packing) -> io::Result<&mut (dyn Read + Send)> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => unpack(archive, packing)?,
        };
        Ok(self.stream.insert(stream).as_mut())
    }

    fn rewind(&mut self) {
        (self.stream, self.at) = (None, 0);
    }

    /// Forgets what it has and what was asked for. How long the log is stays as it was found.
    fn begin_again(&mut self) {
        self.rewind();
        self.windows.clear();
    }

    /// What is kept of an archive that was written to since is not what it holds.
    fn see(&mut self, now: (u64, SystemTime)) {
        if self.seen.replace(now).is_some_and(|before| before != now) {
            self.begin_again();
        }
    }

    /// How many bytes are to be unpacked next; `None`: nobody waits for any. Where what is waited for lies behind, it goes back to the start.
    fn left(&mut self) -> Option<u64> {
        let Some(len) = self.len else { return Some(u64::MAX) };
        let missing = || self.windows.iter().filter_map(|(start, window)| window.missing_from(*start));
        let ahead = missing().filter(|(from, _)| *from >= self.at).min();
        if let Some((_, to)) = ahead {
            return Some(to - self.at);
        }
        let behind = missing().min();
        if behind.is_some() || self.at == len {
            self.rewind();
        }
        behind.map(|(_, to)| to)
    }

    /// Keeps what somebody asked for of what was just unpacked.
    fn went_by(&mut self, bytes: &[u8]) {
        let from = self.at;
        self.at += bytes.len() as u64;
        for (start, window) in &mut self.windows {
            let Some((next, to)) = window.missing_from(*start) else { continue };
            if (from..self.at).contains(&next) {
                let end = to.min(self.at);
                window.bytes.extend_from_slice(&bytes[(next - from) as usize..(end - from) as usize]);
            }
        }
    }

    /// Fills `buf` with bytes that were kept, if all of them were.
    fn has_kept(&mut self, buf: &mut [u8], offset: u64) -> bool {
        let Some((start, window)) = self.windows.range(..=offset).next_back() else { return false };
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let Some(kept) = window.bytes.get(from..).and_then(|bytes| bytes.get(..buf.len())) else { return false };
        buf.copy_from_slice(kept);
        true
    }

    /// Notes that somebody asks for these bytes; false where there is no room for them.
    fn keep(&mut self, offset: u64, len: usize) -> bool {
        let there = self.windows.get(&offset).map_or(0, |window| window.len);
        if len > READ_BYTES || (there == 0 && self.windows.len() >= WINDOWS_MAX) {
            return false;
        }
        if len > there {
            self.windows.insert(offset, Window { len, bytes: Vec::new() });
        }
        true
    }
}

impl Window {
    /// From where to where it is not filled yet.
    fn missing_from(&self, start: u64) -> Option<(u64, u64)> {
        (self.bytes.len() < self.len).then(|| (start + self.bytes.len() as u64, start + self.len as u64))
    }
}

fn unpack(file: &Arc<dyn OpenFile>, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    unpack_from(Reader::new(Arc::clone(file), 0), packing)
}

fn unpack_from(reader: impl Read + Send + 'static, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(SKIP_BYTES, reader))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(reader)?),
        // Several streams one behind the other are one file, as with the other two.
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(io::BufReader::with_capacity(SKIP_BYTES, reader), true)),
    })
}

fn fill(stream: &mut (dyn Read + Send), buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match stream.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("archive", &self.archive).field("packing", &self.packing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::disk::{Disk, RealDisk};

    fn archive(bytes: &[u8]) -> (tempfile::TempDir, Arc<dyn OpenFile>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.packed");
        std::fs::write(&path, bytes).unwrap();
        let file = RealDisk.open(&path).unwrap();
        (dir, file)
    }

    fn packed(content: &[u8]) -> [Vec<u8>; 3] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content).unwrap();
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(content).unwrap();
        [gzip.finish().unwrap(), zstd::encode_all(content, 1).unwrap(), xz.finish().unwrap()]
    }

    const SHARE: usize = 100_000;

    fn open(bytes: &[u8]) -> (tempfile::TempDir, Packed) {
        let (dir, file) = archive(bytes);
        let packing = packing_of(file.as_ref()).unwrap().unwrap();
        (dir, Packed::new(file, packing, SHARE))
    }

    fn read_through(log: &Packed) -> io::Result<u64> {
        while log.log_len().is_none() {
            log.go_on(SHARE)?;
        }
        Ok(log.log_len().unwrap())
    }

    /// What is at a place, and in how many calls it was unpacked.
    fn read(log: &Packed, at: usize, len: usize) -> (Vec<u8>, usize) {
        let (mut buf, mut calls) = (vec![0; len], 0);
        loop {
            match log.read_at(&mut buf, at as u64) {
                Ok(read) => {
                    buf.truncate(read);
                    return (buf, calls);
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            assert!(log.go_on(SHARE).unwrap() > 0, "it waits for something");
            calls += 1;
        }
    }

    fn numbers() -> Vec<u8> {
        (0..300_000u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn an_archive_is_read_at_the_logs_own_offsets_forwards_and_back() {
        let content = numbers();
        for bytes in packed(&content) {
            let (_dir, log) = open(&bytes);
            read_through(&log).unwrap();
            assert_eq!(log.status().unwrap().len, content.len() as u64);
            for at in [0, 700_001, 1_199_990, 5, 1_200_000, 300_000, 700_001] {
                assert_eq!(read(&log, at, 100).0, content[at..(at + 100).min(content.len())], "at {at}");
            }
            for at in (0..content.len()).step_by(250_000) {
                assert_eq!(read(&log, at, 250_000).0, content[at..(at + 250_000).min(content.len())], "from {at}");
            }
        }
    }

    #[test]
    fn no_call_unpacks_more_than_a_share_and_what_was_unpacked_once_is_kept() {
        let content = numbers();
        for bytes in packed(&content) {
            let (_dir, log) = open(&bytes);
            assert_eq!(log.status().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let mut calls = 0;
            while log.log_len().is_none() {
                assert!((1..=SHARE).contains(&log.go_on(SHARE).unwrap()));
                calls += 1;
            }
            assert!(calls >= content.len() / SHARE);
            assert_eq!(log.go_on(SHARE).unwrap(), 0, "nobody waits for anything");

            // What lies less than a share ahead is had at once.
            let (kept, calls) = read(&log, 1_000_000, 1000);
            assert!(kept == content[1_000_000..1_001_000] && calls == 9, "{calls}");
            // It stays, whatever is read in between.
            assert_eq!(read(&log, 500_000, 1000).1, 4);
            assert_eq!(read(&log, 1_000_000, 1000).1, 0);
            assert_eq!(read(&log, 600_000, 1000).1, 0);
            // The beginning is had at once too, and whoever reads on is not taken back to it.
            let (begin, calls) = read(&log, 0, 1000);
            assert!(begin == content[..1000] && calls == 0, "{calls}");
            assert_eq!(read(&log, 601_000, 1000).1, 0);
        }
    }

    #[test]
    fn more_places_than_are_kept_are_had_all_the_same() {
        let content = numbers();
        let [_, zstd, _] = packed(&content);
        let (_dir, log) = open(&zstd);
        read_through(&log).unwrap();
        for at in (0..2 * WINDOWS_MAX).map(|place| 1_100_000 - 8_000 * place) {
            assert_eq!(read(&log, at, 10).0, content[at..at + 10]);
        }
    }

    #[test]
    fn an_archive_that_was_written_to_is_unpacked_again() {
        let [one, ..] = packed(&[b'x'; 300_000]);
        let [other, ..] = packed(&[b'y'; 300_000]);
        let (dir, log) = open(&one);
        read_through(&log).unwrap();
        assert_eq!(read(&log, 200_000, 10).0, [b'x'; 10]);
        let path = dir.path().join("log.packed");
        std::fs::write(&path, &other).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(read(&log, 200_000, 10).0, [b'y'; 10]);
    }

    #[test]
    fn an_archive_that_is_cut_short_is_unfinished_wherever_it_ends() {
        for bytes in packed(&[b'x'; 10_000]) {
            for len in 6..bytes.len() {
                let error = read_through(&open(&bytes[..len]).1).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn a_damaged_archive_says_so_and_a_log_is_a_log() {
        let [mut gzip, ..] = packed(&[b'x'; 10_000]);
        let last = gzip.len() - 6;
        gzip[last] ^= 1;
        let error = read_through(&open(&gzip).1).unwrap_err();
        assert!(error.kind() != io::ErrorKind::UnexpectedEof && error.raw_os_error().is_none(), "{error:?}");
        assert_eq!(packing_of(archive(b"2026-11-20 ").1.as_ref()).unwrap(), None);
    }
}
