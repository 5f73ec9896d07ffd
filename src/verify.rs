//! Checking trails in folders: which files, under which keys, read frame by frame, and what is said about them.
//!
//! Owns nothing on disk and never writes. The rules are [`sealtrail_seal::Verifier`]'s; here are files. Hard here: the
//! input may be hostile. A frame is decompressed piece by piece and given away line by line, so that neither a frame
//! nor a line can take more memory than [`LINE_BYTES_MAX`]; after bytes that do not decode, reading goes on at the next
//! frame that does. A segment that an archive keeps as gzip is one member: after bytes that do not decode nothing more of it is read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sealtrail_seal::{Class, Verdict, Verifier, VerifierKey};
use serde::Serialize;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::keys::{self, KeysError};

/// Longest line that is read. What the agent writes is far below.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// Folders below a given one that are looked into: `trail=acme%2Fprod%2Fdb/date=…`, the prefix above them, and room for a
/// collector's own.
const DEPTH_MAX: usize = 12;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const INPUT_BYTES: usize = 128 << 10;
const OUTPUT_BYTES: usize = 256 << 10;
/// As the journal and the archives name segments.
const SUFFIXES: [&str; 2] = [".ndjson.zst", ".ndjson.gz"];

/// What to check, and under which keys.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Segments, folders of segments, or state directories.
    pub paths: Vec<PathBuf>,
    /// Public key files. When there is none, keys are looked for beside the trail.
    pub keys: Vec<PathBuf>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file or folder that was given cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file is none.
    #[error(transparent)]
    Key(#[from] KeysError),
    /// No key was given, and none lies beside the trail.
    #[error("no public key for {}", .0.display())]
    NoKey(PathBuf),
    /// There is no segment.
    #[error("no segment (*.ndjson.zst, *.ndjson.gz) in {}", .0.display())]
    NoSegment(PathBuf),
}

impl VerifyError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { .. } => "look whether the path is right and may be read".into(),
            Self::Key(error) => error.hint(),
            Self::NoKey(_) => "give it with `--key FILE.pub`: it is `keys/*.pub` in the agent's state directory".into(),
            Self::NoSegment(_) => "give a segment, the folder that holds them, or the agent's state directory".into(),
        }
    }
}

/// A key, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUsed {
    /// `<origin>+<id>`.
    pub key: String,
    /// Its file.
    pub file: PathBuf,
    /// It lay beside the trail: who could change the one could change the other.
    pub found_beside: bool,
}

/// What was checked and what it amounts to. `Display` is the text for a person, `Serialize` that for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What the trail amounts to.
    pub verdict: Verdict,
    /// The keys that were trusted.
    pub keys: Vec<KeyUsed>,
}

impl Report {
    /// The exit code: 0 whole, 1 broken, 2 could not tell, 3 authentic but incomplete.
    pub fn exit_code(&self) -> u8 {
        self.verdict.class.exit_code()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        for finding in &verdict.findings {
            writeln!(f, "{finding}\n  hint: {}", finding.hint)?;
        }
        if verdict.findings_left_out > 0 {
            writeln!(f, "and {} findings more", verdict.findings_left_out)?;
        }
        let words = match verdict.class {
            Class::Whole => "trail verified",
            Class::Incomplete => "trail authentic but incomplete",
            Class::Unknown => "could not tell whether the trail is authentic",
            Class::Broken => "TRAIL BROKEN",
        };
        let counts = &verdict.counts;
        let root = verdict.root.as_deref().unwrap_or("none");
        let (lines, blocks, segments) = (counts.lines, counts.blocks, counts.segments);
        writeln!(f, "{words}: {lines} lines, {blocks} blocks, {segments} segments, root {root}")?;
        if let Some(origin) = &verdict.origin {
            let (from, to) = (verdict.first_time.as_deref(), verdict.last_time.as_deref());
            writeln!(f, "  {origin}, sealed from {} to {}", from.unwrap_or("-"), to.unwrap_or("-"))?;
            writeln!(
                f,
                "  {} rows, {} of them not understood, {} filtered",
                counts.events, counts.unparsed, counts.filtered
            )?;
        }
        for key in &self.keys {
            writeln!(f, "  key {} from {}", key.key, key.file.display())?;
        }
        if self.keys.iter().any(|key| key.found_beside) {
            writeln!(f, "  warning: a key was found beside the trail: compare its id with one you hold elsewhere")?;
        }
        Ok(())
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Segments read.
    pub segments: usize,
    /// Of how many.
    pub of: usize,
    /// Compressed bytes read.
    pub bytes: u64,
}

/// Checks all segments under the given paths as one trail.
pub fn verify(options: &VerifyOptions, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    let mut segments = Vec::new();
    for path in &options.paths {
        let before = segments.len();
        find_segments(path, &mut segments)?;
        if segments.len() == before {
            return Err(VerifyError::NoSegment(path.clone()));
        }
    }
    segments.sort();
    segments.dedup();
    let keys = find_keys(options, &segments)?;
    let used = keys.iter().map(|(used, _)| used.clone()).collect();
    let mut verifier = Verifier::new(keys.into_iter().map(|(_, key)| key).collect());
    let mut done = Progress { segments: 0, of: segments.len(), bytes: 0 };
    for segment in &segments {
        verifier.begin_segment(&segment.path.display().to_string(), segment.first, segment.last);
        let torn = read_segment(&segment.path, &mut verifier)?;
        verifier.end_segment(torn);
        done.segments += 1;
        // A length for show; the file was readable a moment ago.
        done.bytes += fs::metadata(&segment.path).map_or(0, |meta| meta.len());
        progress(done);
    }
    Ok(Report { verdict: verifier.finish(), keys: used })
}

/// A segment's file and the numbers in its name. Sorts by them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SegmentPath {
    first: Option<u64>,
    last: Option<u64>,
    path: PathBuf,
}

impl SegmentPath {
    fn new(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = SUFFIXES.iter().chain(&[".ndjson"]).find_map(|suffix| name.strip_suffix(suffix)).unwrap_or_default();
        let (first, last) = stem.split_once('-').map_or((stem, None), |(first, last)| (first, Some(last)));
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        Self { first: number(first), last: last.and_then(number), path: path.to_owned() }
    }
}

/// A file as it is; in a folder, the segments there, in its `journal/`, or below in the layout of an object store.
fn find_segments(path: &Path, found: &mut Vec<SegmentPath>) -> Result<(), VerifyError> {
    let meta = fs::metadata(path).map_err(|source| VerifyError::Io { path: path.to_owned(), source })?;
    if !meta.is_dir() {
        found.push(SegmentPath::new(path));
        return Ok(());
    }
    let journal = path.join("journal");
    if journal.is_dir() { look_into(&journal, 0, found) } else { look_into(path, DEPTH_MAX, found) }
}

fn look_into(dir: &Path, depth: usize, found: &mut Vec<SegmentPath>) -> Result<(), VerifyError> {
    let failed = |source| VerifyError::Io { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth > 0 {
            look_into(&entry.path(), depth - 1, found)?;
        } else if !kind.is_dir() && entry.file_name().to_str().is_some_and(is_segment) {
            found.push(SegmentPath::new(&entry.path()));
        }
    }
    Ok(())
}

fn is_segment(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The keys given, or those beside the trail: in the folders above its segments and in `keys/` there.
fn find_keys(options: &VerifyOptions, segments: &[SegmentPath]) -> Result<Vec<(KeyUsed, VerifierKey)>, VerifyError> {
    let mut found: Vec<(KeyUsed, VerifierKey)> = Vec::new();
    for file in &options.keys {
        let key = keys::read_public(file)?;
        found.push((KeyUsed { key: key.label(), file: file.clone(), found_beside: false }, key));
    }
    if !options.keys.is_empty() {
        return Ok(found);
    }
    let mut dirs: Vec<PathBuf> = options.paths.clone();
    for segment in segments.first().into_iter().chain(segments.last()) {
        // From the segment's own folder over `trail=…`, where an archive keeps the key, to what stands above.
        let absolute = fs::canonicalize(&segment.path).unwrap_or_else(|_| segment.path.clone());
        dirs.extend(absolute.ancestors().skip(1).take(5).map(Path::to_owned));
    }
    for dir in dirs.iter().flat_map(|dir| [dir.clone(), dir.join("keys")]) {
        // A folder above that may not be read holds no key for us.
        for (file, key) in keys::public_keys(&dir).unwrap_or_default() {
            if !found.iter().any(|(_, known)| *known == key) {
                found.push((KeyUsed { key: key.label(), file, found_beside: true }, key));
            }
        }
    }
    match segments.first() {
        Some(segment) if found.is_empty() => Err(VerifyError::NoKey(segment.path.clone())),
        _ => Ok(found),
    }
}

/// Gives all lines of a segment to the verifier. True when its end is cut short.
fn read_segment(path: &Path, verifier: &mut Verifier) -> Result<bool, VerifyError> {
    let failed = |source| VerifyError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut input = BufReader::with_capacity(INPUT_BYTES, file);
    if input.fill_buf().map_err(failed)?.starts_with(&GZIP_MAGIC) {
        return Ok(read_gzip(input, verifier));
    }
    let mut decoder = Decoder::new().map_err(failed)?;
    let mut output = vec![0; OUTPUT_BYTES];
    let mut at = 0;
    while at < length {
        let mut lines = Lines::default();
        decoder.reinit().map_err(failed)?;
        let mut give = |bytes: &[u8]| lines.take(bytes, verifier);
        let (taken, end) = read_frame(&mut input, &mut decoder, &mut output, &mut give).map_err(failed)?;
        match end {
            FrameEnd::Whole if lines.partial.is_empty() => at += taken,
            FrameEnd::Cut => return Ok(true),
            end => {
                let why = match end {
                    FrameEnd::Damaged(why) => why,
                    _ => "its last line has no newline".to_owned(),
                };
                verifier.damaged(&format!("frame at byte {at} does not decode: {why}"));
                match next_whole_frame(&mut input, at + 1, &mut decoder, &mut output).map_err(failed)? {
                    Some(next) => at = next,
                    None => return Ok(false),
                }
            }
        }
    }
    Ok(false)
}

/// The same of one that is gzip. What cannot be read from disk is told like what does not decode: both end it.
fn read_gzip(input: impl BufRead, verifier: &mut Verifier) -> bool {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(input);
    let mut output = vec![0; OUTPUT_BYTES];
    let (mut lines, mut at) = (Lines::default(), 0_u64);
    loop {
        let why = match decoder.read(&mut output) {
            Ok(0) if lines.partial.is_empty() => return false,
            Ok(0) => "its last line has no newline".to_owned(),
            Ok(made) => {
                at += made as u64;
                if lines.take(&output[..made], verifier) {
                    continue;
                }
                format!("a line of more than {LINE_BYTES_MAX} bytes")
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return true,
            Err(error) => error.to_string(),
        };
        verifier.damaged(&format!("gzip does not decode after {at} bytes of lines: {why}"));
        return false;
    }
}

/// How a frame ended.
enum FrameEnd {
    Whole,
    /// The file ends first.
    Cut,
    Damaged(String),
}

/// Decompresses one frame and gives its bytes away, piece by piece; says how many compressed bytes it took.
fn read_frame(
    input: &mut impl BufRead,
    decoder: &mut Decoder<'_>,
    output: &mut [u8],
    give: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<(u64, FrameEnd)> {
    let mut taken = 0;
    loop {
        let bytes = input.fill_buf()?;
        let at_end = bytes.is_empty();
        let mut from = InBuffer::around(bytes);
        let mut to = OutBuffer::around(&mut *output);
        let hint = match decoder.run(&mut from, &mut to) {
            Ok(hint) => hint,
            Err(error) => return Ok((taken, FrameEnd::Damaged(error.to_string()))),
        };
        let (read, made) = (from.pos(), to.pos());
        if !give(&output[..made]) {
            return Ok((taken, FrameEnd::Damaged(format!("a line of more than {LINE_BYTES_MAX} bytes"))));
        }
        input.consume(read);
        taken += read as u64;
        match hint {
            0 => return Ok((taken, FrameEnd::Whole)),
            _ if at_end && made == 0 => return Ok((taken, FrameEnd::Cut)),
            _ => {}
        }
    }
}

/// The line that is not whole yet.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Gives away the lines that are whole; false when one is too long.
    fn take(&mut self, mut bytes: &[u8], verifier: &mut Verifier) -> bool {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if self.partial.is_empty() {
                verifier.line(&bytes[..end]);
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                verifier.line(&self.partial);
                self.partial.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        self.partial.len() <= LINE_BYTES_MAX
    }
}

/// Where the next frame begins that decodes to its end, at `from` or after it. The input then stands there.
fn next_whole_frame(
    input: &mut BufReader<File>,
    mut from: u64,
    decoder: &mut Decoder<'_>,
    output: &mut [u8],
) -> io::Result<Option<u64>> {
    while let Some(at) = next_magic(input, from)? {
        input.seek(SeekFrom::Start(at))?;
        decoder.reinit()?;
        let (_, end) = read_frame(input, decoder, output, &mut |_| true)?;
        if matches!(end, FrameEnd::Whole) {
            input.seek(SeekFrom::Start(at))?;
            return Ok(Some(at));
        }
        from = at + 1;
    }
    Ok(None)
}

/// Where the bytes stand that a frame begins with, at `from` or after it.
fn next_magic(input: &mut BufReader<File>, from: u64) -> io::Result<Option<u64>> {
    input.seek(SeekFrom::Start(from))?;
    let mut window = Vec::new();
    let mut at = from;
    loop {
        let kept = window.len();
        input.by_ref().take(INPUT_BYTES as u64).read_to_end(&mut window)?;
        if let Some(found) = memchr::memmem::find(&window, &ZSTD_MAGIC) {
            return Ok(Some(at + found as u64));
        }
        if window.len() == kept {
            return Ok(None);
        }
        // The magic may stand across two windows.
        let cut = window.len().saturating_sub(ZSTD_MAGIC.len() - 1);
        window.drain(..cut);
        at += cut as u64;
    }
}
