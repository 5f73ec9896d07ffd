//! The anchor: a small file beside the journal that says how far the trail was and in which folder of which machine.
//!
//! `state_dir/anchor.json`, replaced whole after the first block of a run, whenever a segment closes, and at a clean end. It is advice: a
//! journal that is ahead of it is the rule, since blocks are not waited for here, and without it all works as before. What it is for is the
//! journal that is *behind* it, and the folder that is not the one it was written in; [`crate::continuity`] judges that.
//!
//! Hard here: a copy of a file looks like the file. So the anchor names itself by inode and time of birth, both of which it has before it is
//! in place and keeps when it is renamed there; whatever copies or restores it, whichever way, makes a file that has others.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sealtrail_seal::{Chain, FileRange, Segment, VerifierKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::disk::{self, Disk};
use crate::hex::hex;
use crate::host::Host;
use crate::{clock, durable};

/// The version that `v` gives.
const VERSION: u32 = 1;

/// What systemd and D-Bus know this installation by. Not there in most containers.
const MACHINE_ID: &str = "/etc/machine-id";

/// The kernel's name for this host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    v: u32,
    /// The trail's name.
    pub origin: String,
    /// When it was written.
    pub time: String,
    /// Where it was written.
    pub folder: Folder,
    /// How far the trail was.
    pub seen: Seen,
    /// Where the last closed segment ended, and reading stood: what a trail can go on from whose journal is gone.
    pub closed: Closed,
    /// What was found at a start and is not sealed yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsaid: Vec<Unsaid>,
}

/// How far a trail was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Lines sealed and synced.
    pub lines: u64,
    /// Root over them, base64.
    pub root: String,
}

/// Where a segment ended, as what the next one continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The next one's head, files that have ended included.
    pub next: Segment,
    /// When that was, milliseconds since 1970.
    pub unix_ms: u64,
}

/// A state folder: by its path, by the anchor in it, and by the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// As configured.
    pub path: PathBuf,
    /// The anchor's own file.
    #[serde(flatten)]
    pub mark: Mark,
    /// The machine.
    #[serde(flatten)]
    pub machine: Machine,
}

/// Which file it is, of all that may hold the same bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    ino: u64,
    /// Nanoseconds since 1970, where the file system remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born_ns: Option<u64>,
}

/// A machine, as far as it can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// SHA-256 of the machine id, which is nobody else's to know; empty where there is none.
    #[serde(rename = "machine")]
    pub id: String,
    /// The host's name; empty where it cannot be had.
    pub host: String,
    /// The kernel's id of this boot: two that share it are one machine.
    pub boot_id: String,
}

/// A finding that waits to be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsaid {
    /// What it is.
    pub what: What,
    /// For a person.
    pub message: String,
}

/// What can be wrong with a state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The journal is gone.
    JournalLost,
    /// It is the copy of another folder.
    StateCopied,
    /// It is not as the agent left it.
    StateRestored,
    /// The anchor cannot be read: nothing can be compared.
    AnchorDamaged,
}

/// What there is where the anchor should be.
#[derive(Debug)]
pub enum Found {
    /// The anchor.
    Anchor(Box<Anchor>),
    /// Nothing: a new folder, or one of an agent that wrote none.
    Nothing,
    /// A file that is no anchor, and why.
    Damaged(String),
}

/// Where the anchor is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("anchor.json")
}

/// Reads it. An error is one of the disk; what the file holds is never one.
pub fn load(disk: &dyn Disk, path: &Path) -> io::Result<Found> {
    let bytes = match disk::read(disk, path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    Ok(match serde_json::from_slice::<Anchor>(&bytes) {
        Ok(anchor) if anchor.v == VERSION => Found::Anchor(Box::new(anchor)),
        Ok(anchor) => Found::Damaged(format!("version {} is not known", anchor.v)),
        Err(error) => Found::Damaged(error.to_string()),
    })
}

impl Anchor {
    /// Puts it into its folder, whole or not at all, and marks the file as its own.
    pub fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let content = |file: &Path| {
            let mut anchor = self.clone();
            anchor.folder.mark = Mark::of(disk, file)?;
            Ok(serde_json::to_vec(&anchor)?)
        };
        durable::write_of_itself(disk, &path(&self.folder.path), 0o600, &content)
    }
}

impl Folder {
    /// One that the anchor is yet to be written in.
    pub fn of(state_dir: &Path, machine: &Machine) -> Self {
        Folder { path: state_dir.to_owned(), mark: Mark::default(), machine: machine.clone() }
    }
}

impl Mark {
    /// Of the file that a path leads to.
    pub fn of(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let ino = disk.status(path)?.ino;
        let born = disk.born(path)?.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Ok(Mark { ino, born_ns: born.and_then(|born| u64::try_from(born.as_nanos()).ok()) })
    }

    /// Whether both are of one file. The time of birth decides where it is known: inodes are used again.
    pub fn is(&self, other: &Mark) -> bool {
        match (self.born_ns, other.born_ns) {
            (Some(born), Some(others)) => born == others,
            _ => self.ino == other.ino,
        }
    }
}

impl Machine {
    /// This one.
    pub fn this(host: &Host) -> Self {
        let disk = host.disk.as_ref();
        let id = first_word(disk, MACHINE_ID);
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_id { hex(&Sha256::digest(format!("sealtrail {id}"))) } else { String::new() };
        Machine { id, host: first_word(disk, HOST_NAME), boot_id: host.clock.boot_id() }
    }

    /// Whether both have an id and it is not the same, unless they share a boot: containers may be given an id each.
    pub fn is_other_than(&self, other: &Machine) -> bool {
        differ(&self.id, &other.id) && !self.shares_boot(other)
    }

    /// Whether they have other names, and nothing tells that they are one machine.
    pub fn may_be_other_than(&self, other: &Machine) -> bool {
        let same_id = !self.id.is_empty() && self.id == other.id;
        differ(&self.host, &other.host) && !same_id && !self.shares_boot(other)
    }

    fn shares_boot(&self, other: &Machine) -> bool {
        !self.boot_id.is_empty() && self.boot_id == other.boot_id
    }

    /// For a person.
    pub fn name(&self) -> &str {
        if self.host.is_empty() { "a host without a name" } else { &self.host }
    }
}

fn differ(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

/// Empty where the file cannot be read: then there is nothing to compare.
fn first_word(disk: &dyn Disk, path: &str) -> String {
    let bytes = disk::read(disk, Path::new(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split_whitespace().next().unwrap_or_default().to_owned()
}

/// Writes the anchor as the trail grows.
///
/// State: `files` is where reading stands after the last block that was built; `closed` where the last closed segment ended. `due` is true
/// until the first block of this run is on the disk: by then what was found at start is sealed, and the folder is this agent's.
#[derive(Debug)]
pub struct Keeper {
    host: Host,
    state_dir: PathBuf,
    machine: Machine,
    files: Vec<FileRange>,
    closed: Closed,
    due: bool,
}

impl Keeper {
    /// `files` is where reading stands, files that have ended included; `closed` what a new segment would continue, were the open one gone.
    pub fn new(host: &Host, state_dir: &Path, machine: Machine, files: Vec<FileRange>, closed: Closed) -> Self {
        let files = files.into_iter().map(standing).collect();
        Keeper { host: host.clone(), state_dir: state_dir.to_owned(), machine, files, closed, due: true }
    }

    /// A segment begins: `positions` is where reading stands in every known file.
    pub fn begin(&mut self, positions: &[FileRange]) {
        self.files = positions.to_vec();
    }

    /// A block is built that accounts for these ranges.
    pub fn account(&mut self, ranges: &[FileRange]) {
        for range in ranges {
            self.files.retain(|known| known.id != range.id);
            self.files.push(standing(range.clone()));
        }
    }

    /// A block is on the disk, and the trail stands where `chain` does.
    pub fn written(&mut self, chain: &Chain, key: &VerifierKey, closes: bool) {
        if closes {
            let next = chain.segment(key, self.files.clone());
            self.closed = Closed { next, unix_ms: self.host.clock.unix_ms() };
        }
        if closes || self.due {
            self.write_as_can_be(chain, key);
        }
    }

    /// Writes it now. What fails here costs nothing but the comparison at the next start.
    pub fn write_as_can_be(&mut self, chain: &Chain, key: &VerifierKey) {
        match self.write(chain, key, &[]) {
            Ok(()) => self.due = false,
            Err(error) => warn!(%error, "cannot write the anchor"),
        }
    }

    /// Writes it, with what is found and not sealed yet.
    pub fn write(&self, chain: &Chain, key: &VerifierKey, unsaid: &[Unsaid]) -> io::Result<()> {
        let anchor = Anchor {
            v: VERSION,
            origin: chain.origin().to_owned(),
            time: clock::rfc3339(self.host.clock.unix_ms()),
            folder: Folder::of(&self.state_dir, &self.machine),
            seen: Seen { lines: chain.lines(), root: chain.segment(key, Vec::new()).root },
            closed: self.closed.clone(),
            unsaid: unsaid.to_vec(),
        };
        anchor.write(self.host.disk.as_ref())
    }
}

/// Where reading stands after a range, without the claim about its bytes.
fn standing(range: FileRange) -> FileRange {
    FileRange { from: range.to, sha256: String::new(), rows: 0, ..range }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sealtrail_seal::Signer;

    use super::*;
    use crate::disk::RealDisk;

    fn written(dir: &Path) -> Anchor {
        let (chain, signer) = (Chain::new("a/b/c"), Signer::from_seed("a/b/c", [7; 32]).unwrap());
        let closed = Closed { next: chain.segment(signer.verifier(), Vec::new()), unix_ms: 0 };
        let host = Host::this();
        let keeper = Keeper::new(&host, dir, Machine::this(&host), Vec::new(), closed);
        keeper.write(&chain, signer.verifier(), &[]).unwrap();
        match load(&RealDisk, &path(dir)).unwrap() {
            Found::Anchor(anchor) => *anchor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_anchor_knows_its_own_file_and_no_copy_of_it() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let anchor = written(dir.path());
            let here = Mark::of(&RealDisk, &path(dir.path())).unwrap();
            assert!(anchor.folder.mark.is(&here));
        }
        let anchor = written(dir.path());
        let (bytes, copy) = (fs::read(path(dir.path())).unwrap(), dir.path().join("copy"));
        fs::write(&copy, &bytes).unwrap();
        assert!(!anchor.folder.mark.is(&Mark::of(&RealDisk, &copy).unwrap()));
        // Put back under its name: the inode may be the one that was freed.
        fs::remove_file(path(dir.path())).unwrap();
        fs::write(path(dir.path()), &bytes).unwrap();
        let put_back = Mark::of(&RealDisk, &path(dir.path())).unwrap();
        assert_eq!(
            anchor.folder.mark.is(&put_back),
            put_back.born_ns.is_none() && put_back.ino == anchor.folder.mark.ino
        );
    }

    #[test]
    fn what_is_no_anchor_is_damage_and_not_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load(&RealDisk, &path(dir.path())).unwrap(), Found::Nothing));
        let whole = serde_json::to_string(&written(dir.path())).unwrap();
        for damage in ["", "{}", "\0\0\0", &whole[..whole.len() - 1], &whole.replace("\"v\":1", "\"v\":2")] {
            fs::write(path(dir.path()), damage).unwrap();
            assert!(matches!(load(&RealDisk, &path(dir.path())).unwrap(), Found::Damaged(_)), "{damage}");
        }
    }
}
