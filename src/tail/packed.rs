//! A rotated file that was compressed, read as what it holds: offsets are those of the log, not of the archive.
//!
//! It is opened once the archive is whole: whoever writes one is not disturbed, and what it holds has a length. Reading goes forward;
//! a place before the one that was read last costs decompressing from the start.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sealtrail_seal::FileRange;

use super::identity::{Head, first_bytes};
use crate::disk::{OpenFile, Reader, Status};
use crate::limits::HEAD_BYTES_MAX;

/// What is decompressed at a time when nobody wants the bytes.
const SKIP_BYTES: usize = 256 * 1024;

/// What a path led to.
#[derive(Debug)]
pub enum Content {
    /// A log, as it is or as a whole archive holds it.
    Log(Arc<dyn OpenFile>),
    /// An archive that is still being written.
    Unfinished,
}

/// Looks at the first bytes; an archive is read through once. `InvalidData`: it is an archive, and broken.
pub fn content_of(file: Arc<dyn OpenFile>) -> io::Result<Content> {
    let Some(packing) = packing_of(file.as_ref())? else { return Ok(Content::Log(file)) };
    match len_of(&file, packing) {
        Ok(len) => Ok(Content::Log(Arc::new(Packed::new(file, packing, len)?))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Content::Unfinished),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a damaged archive: {error}"))),
    }
}

/// Whether a file begins as an archive does.
pub fn is_archive(file: &dyn OpenFile) -> io::Result<bool> {
    Ok(packing_of(file)?.is_some())
}

/// Whether a log, or what an archive holds so far, begins with the bytes that a seal tells of.
pub fn begins_with(file: &Arc<dyn OpenFile>, range: &FileRange) -> io::Result<bool> {
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
    Ok(head.len() < len || Head::of(&head).sha256 == range.head)
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Xz,
}

fn packing_of(file: &dyn OpenFile) -> io::Result<Option<Packing>> {
    let mut magic = [0; 6];
    let read = file.read_at(&mut magic, 0)?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        b"\xfd7zXZ\0" => Some(Packing::Xz),
        _ => None,
    })
}

fn len_of(file: &Arc<dyn OpenFile>, packing: Packing) -> io::Result<u64> {
    io::copy(&mut unpack(file, packing)?, &mut io::sink())
}

fn unpack(file: &Arc<dyn OpenFile>, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    let reader = Reader::new(Arc::clone(file), 0);
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(SKIP_BYTES, reader))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(reader)?),
        // Several streams one behind the other are one file, as with the other two.
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(io::BufReader::with_capacity(SKIP_BYTES, reader), true)),
    })
}

struct Packed {
    archive: Arc<dyn OpenFile>,
    packing: Packing,
    /// Of what it holds.
    len: u64,
    place: Mutex<Place>,
}

struct Place {
    unpacked: Box<dyn Read + Send>,
    at: u64,
}

impl Packed {
    fn new(archive: Arc<dyn OpenFile>, packing: Packing, len: u64) -> io::Result<Self> {
        let place = Mutex::new(Place { unpacked: unpack(&archive, packing)?, at: 0 });
        Ok(Packed { archive, packing, len, place })
    }
}

impl OpenFile for Packed {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len {
            return Ok(0);
        }
        // Whoever panicked while holding it left at worst a place that is not where it says: begin again.
        let mut place = match self.place.lock() {
            Ok(place) => place,
            Err(poisoned) => {
                let mut place = PoisonError::into_inner(poisoned);
                place.at = u64::MAX;
                place
            }
        };
        if place.at > offset {
            *place = Place { unpacked: unpack(&self.archive, self.packing)?, at: 0 };
        }
        place.skip_to(offset)?;
        // A short read would look like the log's end.
        let mut filled = 0;
        while filled < buf.len() {
            match place.unpacked.read(&mut buf[filled..])? {
                0 => break,
                read => filled += read,
            }
            place.at = offset + filled as u64;
        }
        Ok(filled)
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
        Ok(Status { len: self.len, ..self.archive.status()? })
    }
}

impl Place {
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.unpacked).take(offset - self.at), &mut io::sink())?;
        self.at += skipped;
        if self.at == offset { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("archive", &self.archive).field("packing", &self.packing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_archive_is_read_at_the_logs_own_offsets_forwards_and_back() {
        let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        for bytes in packed(&content) {
            let (_dir, file) = archive(&bytes);
            let Content::Log(log) = content_of(file).unwrap() else { panic!("unfinished") };
            assert_eq!(log.status().unwrap().len, content.len() as u64);
            for at in [0, 700_001, 1_199_990, 5, 1_200_000] {
                let mut buf = [0; 100];
                let mut filled = 0;
                while let read @ 1.. = log.read_at(&mut buf[filled..], (at + filled) as u64).unwrap() {
                    filled += read;
                }
                assert_eq!(buf[..filled], content[at..(at + 100).min(content.len())]);
            }
        }
    }

    #[test]
    fn an_archive_that_is_cut_short_is_unfinished_wherever_it_ends() {
        for bytes in packed(&[b'x'; 10_000]) {
            for len in 6..bytes.len() {
                let (_dir, file) = archive(&bytes[..len]);
                assert!(matches!(content_of(file), Ok(Content::Unfinished)), "{len} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn a_damaged_archive_says_so_and_a_log_is_a_log() {
        let [mut gzip, ..] = packed(&[b'x'; 10_000]);
        let last = gzip.len() - 6;
        gzip[last] ^= 1;
        assert_eq!(content_of(archive(&gzip).1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let Content::Log(log) = content_of(archive(b"2026-11-20 ").1).unwrap() else { panic!("unfinished") };
        assert_eq!(log.status().unwrap().len, 11);
    }
}
