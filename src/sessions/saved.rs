//! The count of rows over a restart: a file that says how it stood at some line of the trail, and the trail's lines since.
//!
//! The file is `state_dir/sessions.json`: the SHA-256 of what follows, a newline, and one JSON object. It is written when a segment
//! closes, so that seldom more than the open segment has to be read again. It is no evidence and nothing depends on it: without it, or
//! where it is damaged or of another trail, counting begins anew and nothing false is told.
//!
//! Hard here is that neither a row nor what was told of may count twice or not at all, wherever the agent was killed. A block is the
//! journal's own unit for that: its rows and what it tells of are on the disk together or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealtrail_seal::line::Kind;
use sealtrail_seal::tree::Hash;
use sealtrail_seal::{AgentLine, Chain, Gap};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Sessions;
use super::numbered::Line;
use super::table::SavedTable;
use crate::clock::Clock;
use crate::disk::{Disk, Reader};
use crate::durable;
use crate::hex::hex;
use crate::journal::read::{BlockReader, ReadError, SegmentFile, segments};

/// The file.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("sessions.json")
}

/// Replaces the file: the count of the rows in the trail's first `lines` lines, which end with a block and whose tree has that root.
pub fn store<'s>(
    disk: &dyn Disk,
    state_dir: &Path,
    (lines, root): (u64, Hash),
    sessions: impl Iterator<Item = &'s Sessions>,
) -> io::Result<()> {
    let bytes = Saved::of(lines, STANDARD.encode(root), sessions).encode()?;
    durable::write_atomic(disk, &path(state_dir), &bytes, 0o600)
}

/// The count of the rows that the journal has, for the sources with those names; `chain` is where the journal ends. Whatever is wrong
/// with the file, counting begins anew: then nothing is known, and nothing is missed that may have been read by `sealed_at`. Says why, where
/// there are rows already.
pub fn load(
    disk: &dyn Disk,
    state_dir: &Path,
    chain: &Chain,
    sources: &[&str],
    sealed_at: Option<SystemTime>,
    clock: &dyn Clock,
) -> (Vec<Sessions>, Option<String>) {
    if chain.lines() == 0 {
        return (sources.iter().map(|name| Sessions::new(name)).collect(), None);
    }
    match go_on(disk, state_dir, chain, sources, clock.since_boot_ms()) {
        Ok(sessions) => (sessions, None),
        Err(why) => {
            // Either clock may have been turned.
            let sealed_at = sealed_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_secs();
            let by = sealed_at.max(clock.unix_ms() / 1000);
            (sources.iter().map(|name| Sessions::begun_anew(name, by)).collect(), Some(why))
        }
    }
}

fn go_on(
    disk: &dyn Disk,
    state_dir: &Path,
    chain: &Chain,
    sources: &[&str],
    now_ms: u64,
) -> Result<Vec<Sessions>, String> {
    let segments = segments(disk, &state_dir.join("journal")).map_err(|error| error.to_string())?;
    let saved = match read(disk, &path(state_dir)) {
        // The agent was killed before it wrote the first one: there is nothing that the journal does not have.
        Err(error) if error.kind() == io::ErrorKind::NotFound && segments.first().is_some_and(|it| it.first == 0) => {
            Saved { lines: 0, root: STANDARD.encode(Chain::new(chain.origin()).root()), sources: Vec::new() }
        }
        saved => saved.map_err(|error| format!("sessions.json: {error}"))?,
    };
    let (lines, root) = (saved.lines, saved.root.clone());
    let mut sessions = saved.sessions(sources, now_ms);
    if lines == chain.lines() {
        return if root == STANDARD.encode(chain.root()) { Ok(sessions) } else { Err(ELSEWHERE.to_owned()) };
    }
    let mut found = false;
    for segment in since(&segments, lines) {
        let replayed = replay_segment(disk, segment, (lines, &root), &mut found, &mut sessions);
        replayed.map_err(|error| error.to_string())?;
    }
    if found { Ok(sessions) } else { Err(ELSEWHERE.to_owned()) }
}

const ELSEWHERE: &str = "sessions.json stands elsewhere than the journal";

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Saved> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut Reader::new(disk.open(path)?, 0), &mut bytes)?;
    Saved::decode(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "damaged"))
}

/// The segment that has, or begins with, the trail's line `lines`, and those after it.
fn since(segments: &[SegmentFile], lines: u64) -> &[SegmentFile] {
    let first = segments.iter().rposition(|segment| segment.first <= lines);
    first.map_or(&[], |first| &segments[first..])
}

/// Counts the blocks behind the place where the tree has that many lines and that root; `found` once that place was there.
fn replay_segment(
    disk: &dyn Disk,
    segment: &SegmentFile,
    (lines, root): (u64, &str),
    found: &mut bool,
    sessions: &mut [Sessions],
) -> Result<(), ReadError> {
    let mut reader = BlockReader::open(disk, &segment.path, 0, segment.bytes)?;
    let mut chain: Option<Chain> = None;
    let is_here = |chain: &Chain| chain.lines() == lines && STANDARD.encode(chain.root()) == root;
    while let Some(block) = reader.next_block()? {
        if !*found && chain.is_none() {
            let Some(begun) = head_of(block.bytes) else { return Ok(()) };
            *found = is_here(chain.insert(begun));
        }
        if *found {
            replay(sessions, block.bytes);
        } else if let Some(chain) = &mut chain {
            lines_of(block.bytes).for_each(|line| chain.push(line));
            *found = is_here(chain);
        }
    }
    Ok(())
}

/// The tree as the segment that begins with this block continues it.
fn head_of(block: &[u8]) -> Option<Chain> {
    let line: AgentLine = serde_json::from_slice(lines_of(block).next()?).ok()?;
    Chain::resume(&line.segment?).ok()
}

fn lines_of(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// How the count stood.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    /// The trail's first line that it does not count.
    pub lines: u64,
    /// Root of the trail's tree over the lines before that, base64: it is this trail and no other.
    pub root: String,
    sources: Vec<SavedSource>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSource {
    name: String,
    formats: Vec<(String, SavedTable)>,
}

impl Saved {
    /// How `sessions` stand before the trail's line `lines`.
    pub fn of<'s>(lines: u64, root: String, sessions: impl Iterator<Item = &'s Sessions>) -> Self {
        let source = |sessions: &Sessions| SavedSource {
            name: sessions.source.clone(),
            formats: sessions.tables.iter().map(|(format, table)| (format.name().to_owned(), table.save())).collect(),
        };
        Saved { lines, root, sources: sessions.map(source).collect() }
    }

    /// The bytes of the file.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let mut bytes = hex(&Sha256::digest(&text)).into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&text);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// From the bytes of the file; `None` if they are damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b'\n', bytes)?;
        let text = bytes[end + 1..].strip_suffix(b"\n")?;
        if hex(&Sha256::digest(text)).as_bytes() != &bytes[..end] {
            return None;
        }
        serde_json::from_slice(text).ok()
    }

    /// The sessions of the sources with those names, as they stood. What waits has waited since `now_ms`.
    pub fn sessions(mut self, sources: &[&str], now_ms: u64) -> Vec<Sessions> {
        let mut restore = |name: &&str| {
            let mut sessions = Sessions::new(name);
            sessions.tick(now_ms);
            let saved = self.sources.iter_mut().find(|saved| saved.name == **name);
            for (format, table) in saved.into_iter().flat_map(|saved| saved.formats.drain(..)) {
                if let Ok(format) = format.parse() {
                    sessions.tables.push((format, table.restore(now_ms)));
                }
            }
            sessions
        };
        sources.iter().map(&mut restore).collect()
    }
}

/// Counts the rows of one block of the journal, and takes note of what the block tells of.
///
/// Its acts stand before its rows, but rows that were read before the act may stand in the same block: so rows come first here. What
/// was told of is what was missing then, and nothing that stands in a block can add to it.
pub fn replay(sessions: &mut [Sessions], block: &[u8]) {
    for line in lines_of(block).filter(|line| Kind::of(line) == Kind::Event) {
        count(sessions, line);
    }
    for gap in lines_of(block).filter(|line| Kind::of(line) == Kind::Agent).filter_map(gap_of) {
        let of_source = sessions.iter_mut().filter(|sessions| sessions.source == gap.source);
        of_source.for_each(|sessions| sessions.was_told(&gap));
    }
}

fn count(sessions: &mut [Sessions], line: &[u8]) {
    // A line that is none of ours has no number.
    let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
    let of_source = sessions.iter_mut().find(|sessions| sessions.source == line.source);
    if let (Some(sessions), Ok(format), Some(row)) = (of_source, line.format.parse(), line.numbered()) {
        sessions.saw(format, &row);
    }
}

fn gap_of(line: &[u8]) -> Option<Gap> {
    memchr::memmem::find(line, b"\"gap\":{")?;
    serde_json::from_slice::<AgentLine>(line).ok()?.gap
}

#[cfg(test)]
mod tests {
    use sealtrail_parsers::Format;

    use super::*;
    use crate::clock::HostClock;
    use crate::disk::RealDisk;
    use crate::sessions::numbered::{Numbered, RowId, Says};

    #[test]
    fn no_damaged_byte_passes_for_a_count() {
        let bytes = Saved::of(7, "root".to_owned(), [&Sessions::new("pg")].into_iter()).encode().unwrap();
        assert_eq!(Saved::decode(&bytes).unwrap().lines, 7);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Saved::decode(&bad).is_none(), "byte {at}");
            assert!(Saved::decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_count_that_stands_elsewhere_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("journal")).unwrap();
        let mut chain = Chain::new("acme/test/db-1");
        chain.push(b"a line");
        let mut counted = Sessions::new("pg");
        let at = RowId::default();
        let row = Numbered {
            session: b"6b00ab37.2bc2",
            number: 1,
            last: 1,
            at,
            path: "log",
            client: true,
            from_first: true,
            says: Says::Active,
            time: None,
        };
        counted.saw(Format::PostgresCsvlog, &row);
        let open_after = |lines, root| {
            store(&RealDisk, dir.path(), (lines, root), [&counted].into_iter()).unwrap();
            let (loaded, why) = load(&RealDisk, dir.path(), &chain, &["pg", "other"], None, &HostClock);
            assert_eq!(why.is_none(), (lines, root) == (1, chain.root()));
            loaded.iter().map(Sessions::open).collect::<Vec<_>>()
        };
        let root = chain.root();
        assert_eq!(open_after(1, root), [1, 0]);
        assert_eq!(open_after(1, [0; 32]), [0, 0]);
        assert_eq!(open_after(2, root), [0, 0]);
        assert_eq!(open_after(0, root), [0, 0]);
    }
}
