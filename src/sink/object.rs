//! What the object stores share: names of objects, the form in which segments lie there, and whether what lies there already is the same.
//!
//! The name is made of the segment alone, so that a second delivery meets the first. Hard here: gzip. Its bytes are the same every
//! time within one build of the agent, and may be others after an update of the compressor. So what decides in the end is what is
//! packed within: the same lines under the name are the same evidence, whoever packed them.
//!
//! A segment may be larger than the memory that the agent may have. It is read twice, once for length and digests and once to be
//! sent, in pieces, on a thread that may wait for the disk. Nothing is written for it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::GzBuilder;
use flate2::write::MultiGzDecoder;
use http_body::{Body, Frame, SizeHint};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::keys::public_keys;
use super::{Accepted, Batch, Refusal, Segment, read_named};
use crate::config::plan::ObjectFormat;
use crate::disk::RealDisk;

/// A body gets the plan's time-out and, on top, the time it takes at this speed (bytes a second).
const UPLOAD_SPEED_MIN: u64 = 64 * 1024;
/// A segment is read from disk in pieces of this size.
const READ_BYTES: usize = 128 * 1024;
/// Pieces that wait to be sent.
const PIECES_MAX: usize = 4;
/// Stored for years and packed once: gzip's own default.
const GZIP_LEVEL: u32 = 6;
/// Names of keys that are known to lie there already; beyond, they are offered again, which is harmless.
const KEYS_KNOWN_MAX: usize = 4096;
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// The objects of one trail in one store.
#[derive(Debug)]
pub(super) struct Archive {
    prefix: String,
    origin: String,
    format: ObjectFormat,
    keys: PathBuf,
    /// Public keys that lie beside the segments already, in this run.
    known: Mutex<Vec<PathBuf>>,
    /// The segment that was measured last: a delivery that failed need not measure it again.
    measured: Mutex<Option<Arc<Upload>>>,
}

/// An object that is to lie there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload {
    /// Its name in the bucket.
    pub name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// MD5 of its bytes, for stores that check nothing better. No security depends on it.
    pub md5: [u8; 16],
    /// SHA-256 of the lines packed within, where its own bytes do not decide.
    lines_sha256: Option<[u8; 32]>,
    source: Source,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Key(Bytes),
    Segment(PathBuf, ObjectFormat),
}

/// A store that objects are put into, never over anything.
pub(super) trait Store: Sync {
    /// Puts one, or finds that it lies there.
    fn put(&self, upload: &Upload) -> impl Future<Output = Result<Accepted, Refusal>> + Send;
}

impl Archive {
    /// Puts what a batch becomes, and before it the public keys that may not lie there yet.
    pub(super) async fn deliver(&self, batch: &Batch<'_>, store: &impl Store) -> Result<Accepted, Refusal> {
        let Batch::Segment(segment) = batch else {
            return Err(Refusal::stop("object stores take closed segments only", "this is a fault of the agent"));
        };
        for (path, key) in self.keys_to_put()? {
            store.put(&key).await?;
            self.has_key(path);
        }
        let upload = self.segment(segment).await?;
        store.put(&upload).await
    }

    pub(super) fn new(prefix: &str, origin: &str, format: ObjectFormat, keys: PathBuf) -> Self {
        Archive {
            prefix: prefix.to_owned(),
            origin: origin.to_owned(),
            format,
            keys,
            known: Mutex::default(),
            measured: Mutex::default(),
        }
    }

    /// A name within the trail's folder under which nothing ever lies: a probe asks about it.
    pub(super) fn probe_name(&self) -> String {
        format!("{}/probe", trail_folder(&self.prefix, &self.origin))
    }

    /// The public keys that may not lie there yet.
    fn keys_to_put(&self) -> Result<Vec<(PathBuf, Upload)>, Refusal> {
        let paths = public_keys(&RealDisk, &self.keys)?;
        let unknown = paths.into_iter().filter(|path| !lock(&self.known).contains(path));
        unknown.map(|path| Ok((path.clone(), self.key(&path)?))).collect()
    }

    fn key(&self, path: &PathBuf) -> Result<Upload, Refusal> {
        let bytes = read_named(path, "public key")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Upload {
            name: format!("{}/{name}", trail_folder(&self.prefix, &self.origin)),
            content_type: "text/plain",
            bytes: bytes.len() as u64,
            sha256: Sha256::digest(&bytes).into(),
            md5: Md5::digest(&bytes).into(),
            lines_sha256: None,
            source: Source::Key(bytes.into()),
        })
    }

    /// This key lies there now.
    fn has_key(&self, path: PathBuf) {
        let mut known = lock(&self.known);
        if known.len() < KEYS_KNOWN_MAX {
            known.push(path);
        }
    }

    /// The object that a segment becomes.
    async fn segment(&self, segment: &Segment<'_>) -> Result<Arc<Upload>, Refusal> {
        let name = segment_name(&self.prefix, segment, self.format);
        if let Some(known) = lock(&self.measured).as_ref().filter(|known| known.name == name) {
            return Ok(Arc::clone(known));
        }
        let (path, format) = (segment.path.to_owned(), self.format);
        let measuring = tokio::task::spawn_blocking(move || measure(&path, format).map(|measure| (path, measure)));
        let (path, measure) = match measuring.await {
            Ok(Ok(measured)) => measured,
            Ok(Err(error)) => return Err(unreadable(segment.path, &error)),
            Err(error) => return Err(Refusal::later(format!("measuring the segment broke off: {error}"))),
        };
        let upload = Arc::new(Upload {
            name,
            content_type: content_type(format),
            bytes: measure.bytes,
            sha256: measure.sha256,
            md5: measure.md5,
            lines_sha256: measure.lines_sha256,
            source: Source::Segment(path, format),
        });
        *lock(&self.measured) = Some(Arc::clone(&upload));
        Ok(upload)
    }
}

impl Upload {
    /// Its bytes. Of a segment they are read on another thread, which ends when nobody takes them any more.
    pub(super) fn body(&self) -> UploadBody {
        let (sender, pieces) = channel(PIECES_MAX);
        match &self.source {
            Source::Key(bytes) => {
                // There is room: the channel is new.
                let _ = sender.try_send(Ok(bytes.clone()));
            }
            Source::Segment(path, format) => {
                let (path, format) = (path.clone(), *format);
                tokio::task::spawn_blocking(move || send_pieces(&path, format, &sender));
            }
        }
        UploadBody { left: self.bytes, pieces }
    }

    /// How long sending it may take.
    pub(super) fn timeout(&self, of_plan: Duration) -> Duration {
        of_plan + Duration::from_secs(self.bytes / UPLOAD_SPEED_MIN)
    }

    /// Whether the bytes that lie under the name are it is found out by giving them to this.
    pub(super) fn comparison(&self) -> Comparison {
        let known = Known { digest: Sha256::new() };
        match self.lines_sha256 {
            None => Comparison::Bytes(known, self.sha256),
            Some(lines) => Comparison::Lines(Box::new(MultiGzDecoder::new(known)), lines),
        }
    }

    /// Whether the same lines may lie there in other bytes.
    pub(super) fn may_differ(&self) -> bool {
        self.lines_sha256.is_some()
    }
}

/// Compares what lies under a name with what should, piece by piece.
#[derive(Debug)]
pub(super) enum Comparison {
    /// The bytes are the same.
    Bytes(Known, [u8; 32]),
    /// The lines that are packed within are the same.
    Lines(Box<MultiGzDecoder<Known>>, [u8; 32]),
}

/// Keeps a digest of what is written to it, and nothing else.
#[derive(Debug)]
pub(super) struct Known {
    digest: Sha256,
}

impl Write for Known {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.digest.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Comparison {
    /// The next bytes that lie there. `false` when it is other content for certain.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        match self {
            Comparison::Bytes(known, _) => known.write_all(bytes).is_ok(),
            Comparison::Lines(lines, _) => lines.write_all(bytes).is_ok(),
        }
    }

    /// There are no more.
    pub(super) fn ends_the_same(self) -> bool {
        let (known, wanted) = match self {
            Comparison::Bytes(known, wanted) => (Ok(known), wanted),
            Comparison::Lines(lines, wanted) => (lines.finish(), wanted),
        };
        known.is_ok_and(|known| <[u8; 32]>::from(known.digest.finalize()) == wanted)
    }
}

/// The bytes of an object on their way.
#[derive(Debug)]
pub(super) struct UploadBody {
    left: u64,
    pieces: Receiver<io::Result<Bytes>>,
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Ok(piece)) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => Some(Err(error)),
            // A length was promised: a body that ends before is an error, and not a shorter body.
            None if self.left > 0 => {
                self.left = 0;
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the segment has become shorter")))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

struct Measure {
    bytes: u64,
    sha256: [u8; 32],
    md5: [u8; 16],
    lines_sha256: Option<[u8; 32]>,
}

fn measure(path: &Path, format: ObjectFormat) -> io::Result<Measure> {
    let (mut bytes, mut sha256, mut md5) = (0, Sha256::new(), Md5::new());
    for_pieces(path, format, |piece| {
        bytes += piece.len() as u64;
        sha256.update(piece);
        md5.update(piece);
        true
    })?;
    let lines_sha256 = match format {
        ObjectFormat::Zstd => None,
        ObjectFormat::Gzip => Some(lines_digest(path)?),
    };
    Ok(Measure { bytes, sha256: sha256.finalize().into(), md5: md5.finalize().into(), lines_sha256 })
}

fn lines_digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut known = Known { digest: Sha256::new() };
    io::copy(&mut zstd::stream::read::Decoder::new(File::open(path)?)?, &mut known)?;
    Ok(known.digest.finalize().into())
}

/// Gives a segment away in the form in which it is stored, until `take` wants no more.
fn for_pieces(path: &Path, format: ObjectFormat, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let file = File::open(path)?;
    let mut reader: Box<dyn Read> = match format {
        ObjectFormat::Zstd => Box::new(file),
        ObjectFormat::Gzip => {
            let lines = zstd::stream::read::Decoder::new(file)?;
            // No name and no time in its head: the same segment gives the same bytes.
            Box::new(GzBuilder::new().mtime(0).read(io::BufReader::new(lines), flate2::Compression::new(GZIP_LEVEL)))
        }
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = full(&mut reader, &mut buffer)?;
        if read == 0 || !take(&buffer[..read]) {
            return Ok(());
        }
    }
}

/// As much as there is room for, unless the end comes first.
fn full(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn send_pieces(path: &Path, format: ObjectFormat, sender: &Sender<io::Result<Bytes>>) {
    let sent = for_pieces(path, format, |piece| sender.blocking_send(Ok(Bytes::copy_from_slice(piece))).is_ok());
    if let Err(error) = sent {
        // Nobody takes it when the request was given up; then nobody needs to know.
        let _ = sender.blocking_send(Err(error));
    }
}

fn content_type(format: ObjectFormat) -> &'static str {
    match format {
        ObjectFormat::Zstd => "application/zstd",
        // Said as a type and not as a content encoding: some clients and stores unpack the latter on their own.
        ObjectFormat::Gzip => "application/gzip",
    }
}

/// Nothing can fail while these are held, so that even a poisoned one is whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal::stop(
        format!("cannot read {}: {error}", path.display()),
        "run `sealtrail verify` on the journal and keep it as it is",
    )
}

/// The name is taken by something else.
pub(super) fn other_content(name: &str) -> Refusal {
    Refusal::stop(
        format!("{name} is there already with other content"),
        "keep both as they are and find out who wrote it: another agent with the same origin, or somebody who altered it",
    )
}

/// Seconds since 1970 at which a lock of so many days ends that begins at `now`.
pub(super) fn lock_end(now: std::time::SystemTime, days: u32) -> u64 {
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    now + u64::from(days) * DAY_SECONDS
}

/// `<prefix>/trail=<origin>/date=YYYY-MM-DD/<first>-<last>.ndjson.zst`, both numbers with 20 digits, so that names sort as lines do.
fn segment_name(prefix: &str, segment: &Segment<'_>, format: ObjectFormat) -> String {
    let folder = trail_folder(prefix, segment.origin);
    format!("{folder}/date={}/{:020}-{:020}{}", segment.date, segment.first, segment.last, format.suffix())
}

/// `<prefix>/trail=<origin>`. The origin is escaped as Hive escapes partition values (`acme%2Fprod%2Fdb-1`), so that it is one level
/// and engines that read `name=value` folders give it back as it was.
fn trail_folder(prefix: &str, origin: &str) -> String {
    let mut folder = String::with_capacity(prefix.len() + origin.len() + 16);
    if !prefix.is_empty() {
        folder.push_str(prefix);
        folder.push('/');
    }
    folder.push_str("trail=");
    folder.push_str(&escaped(origin, "-_."));
    folder
}

/// Everything but letters, digits and what is in `plain` as `%XX`.
pub(super) fn escaped(text: &str, plain: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(path: &Path) -> Segment<'_> {
        Segment { path, origin: "acme/prod/db 1", first: 41, last: 99, date: "2026-11-06", bytes: 1, sha256: [0; 32] }
    }

    #[test]
    fn the_name_is_made_of_the_segment_alone_and_the_origin_is_one_level() {
        let segment = segment(Path::new("x"));
        assert_eq!(
            segment_name("evidence", &segment, ObjectFormat::Zstd),
            "evidence/trail=acme%2Fprod%2Fdb%201/date=2026-11-06/00000000000000000041-00000000000000000099.ndjson.zst"
        );
        assert!(segment_name("", &segment, ObjectFormat::Gzip).starts_with("trail=acme"));
        assert!(segment_name("", &segment, ObjectFormat::Gzip).ends_with("99.ndjson.gz"));
    }

    fn journal_file(lines: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // Two frames, as the journal has one a block.
        let (head, tail) = lines.split_at(lines.len() / 2);
        for half in [head, tail] {
            file.write_all(&zstd::bulk::compress(half, 1).unwrap()).unwrap();
        }
        file
    }

    async fn sent(upload: &Upload) -> Vec<u8> {
        let mut body = upload.body();
        let mut bytes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        bytes
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_measured_and_gzip_holds_the_same_lines() {
        let lines = b"{\"v\":1}\n".repeat(200_000);
        let file = journal_file(&lines);
        for format in [ObjectFormat::Zstd, ObjectFormat::Gzip] {
            let archive = Archive::new("", "o", format, PathBuf::from("/nowhere"));
            let upload = archive.segment(&segment(file.path())).await.unwrap();
            let bytes = sent(&upload).await;
            assert_eq!(bytes.len() as u64, upload.bytes);
            assert_eq!(<[u8; 32]>::from(Sha256::digest(&bytes)), upload.sha256);
            let mut unpacked = Vec::new();
            match format {
                ObjectFormat::Zstd => assert_eq!(bytes, std::fs::read(file.path()).unwrap()),
                ObjectFormat::Gzip => {
                    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
                    assert!(unpacked == lines);
                }
            }
        }
    }

    #[tokio::test]
    async fn the_same_lines_packed_by_another_hand_are_the_same_and_others_are_not() {
        let lines = b"{\"v\":1}\n".repeat(20_000);
        let file = journal_file(&lines);
        let archive = Archive::new("", "o", ObjectFormat::Gzip, PathBuf::from("/nowhere"));
        let upload = archive.segment(&segment(file.path())).await.unwrap();
        let is_same = |bytes: &[u8]| {
            let mut comparison = upload.comparison();
            bytes.chunks(100).all(|piece| comparison.take(piece)) && comparison.ends_the_same()
        };
        let packed = |lines: &[u8], level| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(lines).unwrap();
            encoder.finish().unwrap()
        };
        assert!(is_same(&sent(&upload).await));
        let by_another = packed(&lines, 1);
        assert_ne!(by_another, sent(&upload).await);
        assert!(is_same(&by_another));
        assert!(!is_same(&packed(&lines[8..], 6)));
        assert!(!is_same(&by_another[..by_another.len() - 1]), "cut");
        assert!(!is_same(b"somebody else's"));
        assert!(!is_same(b""));
    }

    #[tokio::test]
    async fn a_segment_that_became_shorter_is_an_error_and_not_a_shorter_object() {
        let file = journal_file(b"{\"v\":1}\n{\"v\":1}\n");
        let archive = Archive::new("", "o", ObjectFormat::Zstd, PathBuf::from("/nowhere"));
        let upload = archive.segment(&segment(file.path())).await.unwrap();
        file.as_file().set_len(5).unwrap();
        let mut body = upload.body();
        let mut frames = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            frames.push(frame.is_ok());
        }
        assert_eq!(frames, [true, false]);
    }
}
