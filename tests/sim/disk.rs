//! A disk in memory with Linux's semantics, that can fill up, fail, tear and lose power.
//!
//! Two sides work on it. The agent does so through [`Disk`]: what it changes is counted, may be made to fail, and is durable only
//! once it is synced. The database and its administrator do so through [`SimDisk`]'s own methods: not counted, and durable at once,
//! since what becomes of their files in a power cut is for a schedule to say.
//!
//! What a power cut leaves of a file that was not synced: what was synced, or all, or the new part torn anywhere, with zeros in
//! places, sector by sector. Of names: those at the folder's last sync, and of what happened to it since, a beginning or any part that is
//! possible; a rename happens whole or not at all. A sync that fails drops what it should have written, as Linux does: everybody still
//! sees it, the next sync says that all is well, and it is zeros after a power cut. After a crash or a power cut every call fails until
//! [`SimDisk::restart`], so that what is left of the agent can be dropped without a trace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use rustix::io::Errno;
use sealtrail::disk::{Disk, Kind, OpenFile, Status};

use crate::clock::SimClock;

/// What a disk writes at once: a torn file is torn at any byte, and may have zeros where a sector did not arrive.
const SECTOR_BYTES: usize = 64;
/// Symbolic links followed on one path, as in Linux.
const LINKS_MAX: usize = 40;

/// A number of its own for each file, folder and link, never used again.
pub type NodeId = usize;

/// A file system and its power switch.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What happens at a call that changes what must last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails; an append may have written a part, and a sync drops what it did not write.
    Fails(Errno),
    /// A part of it happens, then the agent's process is gone.
    TornThenCrash,
    /// It happens, then the agent's process is gone.
    Crash,
    /// It happens, then the power goes: what is not synced may be lost.
    PowerCut,
}

/// Why the agent's calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// Its process ended; what it wrote is seen by all.
    Crashed,
    /// The host's power went.
    PowerCut,
}

#[derive(Debug)]
struct State {
    clock: Arc<SimClock>,
    rng: Rng,
    nodes: Vec<Node>,
    /// Inode numbers whose file is gone, and the next new one.
    freed: Vec<u64>,
    next_ino: u64,
    /// Whether freed numbers are given out again, the last freed first.
    reuses: bool,
    /// How many bytes the agent's files may have.
    capacity: u64,
    /// Which life of the agent this is: handles of an earlier one are closed.
    life: u64,
    /// How often the handles of logs have gone stale.
    epoch: u64,
    dead: Option<Dead>,
    calls: u64,
    /// Faults by the number of the call that they happen at.
    faults: BTreeMap<u64, Fault>,
    /// Fault at the next call of a kind, on a path that begins like this.
    next_fault: Option<(&'static str, PathBuf, Fault)>,
    happened: Vec<(u64, Fault, String)>,
    /// Every call, where somebody wants to know them.
    trace: Option<Vec<(&'static str, PathBuf)>>,
    /// What was under names that the agent removed, the last content each.
    removed: BTreeMap<PathBuf, Vec<u8>>,
    /// What others have done, and the agent sees happen one by one between its own calls.
    later: VecDeque<Later>,
    /// Whether what others do is put there.
    spreads: bool,
    pace: Rng,
    /// The millisecond in which a log was written to last, and how often it was.
    written_ms: u128,
    writes: u64,
}

/// What somebody else does to names while the agent looks.
#[derive(Debug)]
enum Later {
    Name(PathBuf, NodeId),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
    Close(NodeId),
}

#[derive(Debug)]
struct Node {
    dev: u64,
    ino: u64,
    mode: u32,
    modified: SystemTime,
    links: u64,
    handles: u64,
    /// Made by the agent: it may read it whatever the mode, and a power cut may lose it.
    ours: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    File(File),
    Folder(Folder),
    Link(PathBuf),
}

/// A file's content, as everybody sees it and as it is on the disk: `bytes[..same]` and then `lost`.
#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    same: usize,
    lost: Vec<u8>,
    /// Of `bytes[..same]`: what no sync will write any more, since one has failed to.
    dropped: Vec<Range<usize>>,
}

/// A folder's names, as everybody sees them and as they are on the disk, with what happened in between.
#[derive(Debug, Default)]
struct Folder {
    names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Set(String, NodeId),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    /// The name that it was opened by.
    path: PathBuf,
    node: NodeId,
    life: u64,
    /// How often handles had gone stale when it was opened; `None`: of a file that is on this host.
    epoch: Option<u64>,
}

impl SimDisk {
    /// An empty one. What is left to chance comes from `seed`.
    pub fn new(clock: Arc<SimClock>, seed: u64) -> Self {
        let root = Node {
            dev: 1,
            ino: 2,
            mode: 0o755,
            modified: clock.system_time(),
            links: 1,
            handles: 0,
            ours: false,
            body: Body::Folder(Folder::default()),
        };
        SimDisk(Arc::new(Mutex::new(State {
            clock,
            rng: Rng::with_seed(seed),
            nodes: vec![root],
            freed: Vec::new(),
            next_ino: 11,
            reuses: false,
            capacity: u64::MAX,
            life: 0,
            epoch: 0,
            dead: None,
            calls: 0,
            faults: BTreeMap::new(),
            next_fault: None,
            happened: Vec::new(),
            trace: None,
            removed: BTreeMap::new(),
            later: VecDeque::new(),
            spreads: false,
            pace: Rng::with_seed(seed),
            written_ms: 0,
            writes: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// For somebody who sees all that was done.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.finish();
        state
    }

    /// Names change from now on while the agent looks: one after the other, between its calls.
    pub fn spread(&self, seed: u64) {
        let mut state = self.now();
        state.pace = Rng::with_seed(seed);
        state.spreads = true;
    }

    /// What is done from now on is done at once, after what was not.
    pub fn end_spread(&self) {
        self.state().spreads = false;
    }

    /// All that was to happen while the agent looks happens; whether there was anything.
    pub fn gather(&self) -> bool {
        let mut state = self.state();
        let any = !state.later.is_empty();
        state.finish();
        any
    }

    // The power switch and what can go wrong.

    /// From now on, what is left to chance comes from `seed`.
    pub fn leave_to_chance(&self, seed: u64) {
        self.state().rng = Rng::with_seed(seed);
    }

    /// How many calls changed what must last, so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes the call with that number go wrong.
    pub fn plan(&self, call: u64, fault: Fault) {
        self.state().faults.insert(call, fault);
    }

    /// Makes the next call of this kind go wrong, on a path that begins like this.
    pub fn plan_next(&self, what: &'static str, path: &str, fault: Fault) {
        self.state().next_fault = Some((what, PathBuf::from(path), fault));
    }

    /// Takes back all faults that have not happened yet.
    pub fn forget_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.next_fault = None;
    }

    /// From now on, every call is noted.
    pub fn note_calls(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// The calls that were noted: what was done, and to what.
    pub fn noted(&self) -> Vec<(&'static str, PathBuf)> {
        self.state().trace.clone().unwrap_or_default()
    }

    /// The faults that happened, and at what.
    pub fn happened(&self) -> Vec<(u64, Fault, String)> {
        self.state().happened.clone()
    }

    /// The agent's process is gone.
    pub fn crash(&self) {
        self.state().dead.get_or_insert(Dead::Crashed);
    }

    /// The host's power goes.
    pub fn cut_power(&self) {
        let mut state = self.state();
        if state.dead != Some(Dead::PowerCut) {
            state.cut_power();
        }
    }

    /// Why the agent's calls fail, if they do.
    pub fn dead(&self) -> Option<Dead> {
        self.state().dead
    }

    /// A new life for the agent.
    pub fn restart(&self) {
        let mut state = self.state();
        state.dead = None;
        state.life += 1;
    }

    /// All handles of logs go stale, as over NFS when its server has lost track of them.
    pub fn make_handles_stale(&self) {
        self.state().epoch += 1;
    }

    /// How many bytes the agent's files may have in all.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// How many bytes the agent's files have.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Whether inode numbers are given out again.
    pub fn set_reuse(&self, reuses: bool) {
        self.state().reuses = reuses;
    }

    /// What the agent removed, under its last names.
    pub fn removed(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.state().removed.clone()
    }

    // The database's and its administrator's side.

    /// Makes a folder on the device `dev`; the one above it is there.
    pub fn mkdir(&self, path: &str, dev: u64) {
        let mut state = self.now();
        let node = state.add(dev, 0o755, false, Body::Folder(Folder::default()));
        state.set_name(Path::new(path), Some(node)).unwrap();
    }

    /// Makes an empty file, in place of whatever has the name, and opens it.
    pub fn create_log(&self, path: &str, mode: u32) -> NodeId {
        let mut state = self.state();
        let (folder, _) = state.parent(Path::new(path)).unwrap();
        let dev = state.nodes[folder].dev;
        if !state.spreads {
            // Its inode number may be given to the new one.
            state.finish();
            state.set_name(Path::new(path), None).unwrap();
        }
        let node = state.add(dev, mode, false, Body::File(File::default()));
        state.nodes[node].handles += 1;
        state.act(Later::Name(PathBuf::from(path), node));
        node
    }

    /// An open file's inode number.
    pub fn ino(&self, node: NodeId) -> u64 {
        self.state().nodes[node].ino
    }

    /// A file's inode number.
    pub fn ino_of(&self, path: &str) -> u64 {
        let mut state = self.now();
        let node = state.entry(Path::new(path)).unwrap();
        state.nodes[node].ino
    }

    /// Closes what was opened.
    pub fn close_log(&self, node: NodeId) {
        self.state().act(Later::Close(node));
    }

    /// Writes at the end of an open file.
    pub fn write_log(&self, node: NodeId, bytes: &[u8]) {
        let mut state = self.state();
        state.file(node).bytes.extend_from_slice(bytes);
        state.written(node);
    }

    /// Cuts an open file, or fills it with zeros.
    pub fn cut_log(&self, node: NodeId, len: usize) {
        let mut state = self.state();
        state.file(node).bytes.resize(len, 0);
        state.written(node);
    }

    /// Renames a file or link, over whatever has the new name. Both on one device.
    pub fn move_log(&self, from: &str, to: &str) {
        self.state().act(Later::Move(PathBuf::from(from), PathBuf::from(to)));
    }

    /// Removes a name.
    pub fn unlink(&self, path: &str) {
        self.state().act(Later::Remove(PathBuf::from(path)));
    }

    /// Gives a file one more name.
    pub fn link(&self, from: &str, to: &str) {
        let mut state = self.now();
        let node = state.entry(Path::new(from)).unwrap();
        state.set_name(Path::new(to), Some(node)).unwrap();
    }

    /// Makes a symbolic link, in place of whatever has the name, as `ln -sfn` does.
    pub fn symlink(&self, target: &str, path: &str) {
        let mut state = self.now();
        let node = state.add(1, 0o777, false, Body::Link(PathBuf::from(target)));
        state.set_name(Path::new(path), Some(node)).unwrap();
    }

    /// Sets who may read a file.
    pub fn chmod(&self, path: &str, mode: u32) {
        let mut state = self.now();
        let node = state.find(Path::new(path)).unwrap();
        state.nodes[node].mode = mode;
    }

    /// Dates a file's last change.
    pub fn touch(&self, path: &str, modified: SystemTime) {
        let mut state = self.now();
        let node = state.find(Path::new(path)).unwrap();
        state.nodes[node].modified = modified;
    }

    /// An open file's last change.
    pub fn written(&self, node: NodeId) -> SystemTime {
        self.state().nodes[node].modified
    }

    /// Dates an open file's last change.
    pub fn date(&self, node: NodeId, modified: SystemTime) {
        self.state().nodes[node].modified = modified;
    }

    /// A file's last change.
    pub fn modified(&self, path: &str) -> Option<SystemTime> {
        let mut state = self.now();
        let node = state.find(Path::new(path)).ok()?;
        Some(state.nodes[node].modified)
    }

    /// The names in a folder, in order.
    pub fn names(&self, path: &str) -> Vec<String> {
        let mut state = self.now();
        let Ok(node) = state.find(Path::new(path)) else { return Vec::new() };
        let Body::Folder(folder) = &state.nodes[node].body else { return Vec::new() };
        folder.names.keys().cloned().collect()
    }

    /// A file's content, whoever made it.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let mut state = self.now();
        let node = state.find(Path::new(path)).ok()?;
        Some(state.file(node).bytes.clone())
    }

    /// Puts a file of the agent's in place, durable.
    pub fn put(&self, path: &str, bytes: &[u8], mode: u32) {
        let mut state = self.now();
        let file = File { bytes: bytes.to_vec(), same: bytes.len(), ..File::default() };
        let node = state.add(1, mode, true, Body::File(file));
        state.set_name(Path::new(path), Some(node)).unwrap();
    }

    fn handle(&self, path: &Path, node: NodeId, state: &mut State) -> Arc<dyn OpenFile> {
        state.nodes[node].handles += 1;
        let epoch = (!state.nodes[node].ours).then_some(state.epoch);
        Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), node, life: state.life, epoch })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let mut state = self.state();
        state.alive()?;
        state.go_on();
        let node = state.find(path)?;
        if !state.nodes[node].ours && state.nodes[node].mode & 0o044 == 0 {
            return Err(Errno::ACCESS.into());
        }
        Ok(self.handle(path, node, &mut state))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let mut state = self.state();
        state.alive()?;
        let node = match state.find(path) {
            Ok(node) => node,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.change("create", path, |state| state.make_file(path, 0o600))?
            }
            Err(error) => return Err(error),
        };
        Ok(self.handle(path, node, &mut state))
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn OpenFile>> {
        let mut state = self.state();
        let node = state.change("create", path, |state| match state.find(path) {
            Ok(node) => {
                state.file(node).set_len(0);
                Ok(node)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.make_file(path, mode),
            Err(error) => Err(error),
        })?;
        Ok(self.handle(path, node, &mut state))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.state().change("overwrite", path, |state| {
            let node = state.find(path)?;
            state.file(node).overwrite(bytes, offset as usize);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().change("rename", to, |state| state.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().change("remove", path, |state| {
            let node = state.entry(path)?;
            if let Body::File(file) = &state.nodes[node].body {
                let bytes = file.bytes.clone();
                state.removed.insert(path.to_owned(), bytes);
            }
            let (folder, name) = state.parent(path)?;
            state.folder(folder)?.pending.push(Change::Remove(name.clone()));
            state.folder(folder)?.names.remove(&name);
            state.unlink(node);
            Ok(())
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        let mut above = PathBuf::new();
        for part in path.components() {
            above.push(part);
            match state.find(&above) {
                Ok(node) => drop(state.folder(node)?),
                Err(_) => state.change("create_dir", &above.clone(), |state| state.make_folder(&above))?,
            }
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().change("sync_dir", dir, |state| {
            let node = state.find(dir)?;
            let folder = state.folder(node)?;
            folder.durable.clone_from(&folder.names);
            folder.pending.clear();
            Ok(())
        })
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        let mut state = self.state();
        state.alive()?;
        state.go_on();
        let node = state.find(path)?;
        Ok(state.status(node))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        state.alive()?;
        let node = state.find(dir)?;
        let before: BTreeSet<String> = state.folder(node)?.names.keys().cloned().collect();
        let moves = !state.later.is_empty();
        state.go_on();
        let after: BTreeSet<String> = state.folder(node)?.names.keys().cloned().collect();
        // A listing is not one moment: some names are as they were before, others as they are after.
        let names: Vec<&String> = before.union(&after).collect();
        let pace = &mut state.pace;
        let there =
            names.into_iter().filter(|name| if moves && pace.bool() { &before } else { &after }.contains(*name));
        let mut paths: Vec<PathBuf> = there.map(|name| dir.join(name)).collect();
        state.rng.shuffle(&mut paths);
        Ok(paths)
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        let mut state = self.state();
        state.alive()?;
        state.resolve(path, true).map(|(_, path)| path)
    }

    fn may_block(&self) -> bool {
        false
    }
}

impl OpenFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.alive()?;
        let Body::File(file) = &state.nodes[self.node].body else { return Err(Errno::ISDIR.into()) };
        let rest = file.bytes.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.change("append", |state| state.append(self.node, bytes))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change("set_len", |state| {
            state.file(self.node).set_len(len as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.change("sync", |state| {
            state.settle(self.node);
            Ok(())
        });
        if let (Err(_), Ok(mut state)) = (&synced, self.alive()) {
            state.file(self.node).drop_unsynced();
        }
        synced
    }

    fn status(&self) -> io::Result<Status> {
        let state = self.alive()?;
        Ok(state.status(self.node))
    }
}

impl SimFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.alive()?;
        if state.life != self.life {
            return Err(Errno::BADF.into());
        }
        if self.epoch.is_some_and(|epoch| epoch != state.epoch) { Err(Errno::STALE.into()) } else { Ok(state) }
    }

    fn change(&self, what: &'static str, apply: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        self.alive()?.change(what, &self.path, apply)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.state().close(self.node);
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.dead.is_some() { Err(Errno::IO.into()) } else { Ok(()) }
    }

    /// One call that changes what must last: counted, and made to go wrong if its number says so.
    fn change<T>(
        &mut self,
        what: &'static str,
        path: &Path,
        apply: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.alive()?;
        self.calls += 1;
        if let Some(trace) = &mut self.trace {
            trace.push((what, path.to_owned()));
        }
        let Some(fault) = self.fault(what, path) else { return apply(self) };
        self.happened.push((self.calls, fault, format!("{what} {}", path.display())));
        match fault {
            Fault::Fails(errno) => {
                self.tear(what, apply);
                Err(errno.into())
            }
            Fault::TornThenCrash => {
                self.tear(what, apply);
                self.dead = Some(Dead::Crashed);
                Err(Errno::IO.into())
            }
            Fault::Crash => {
                let _ = apply(self);
                self.dead = Some(Dead::Crashed);
                Err(Errno::IO.into())
            }
            Fault::PowerCut => {
                let _ = apply(self);
                self.cut_power();
                Err(Errno::IO.into())
            }
        }
    }

    /// What goes wrong at this call.
    fn fault(&mut self, what: &str, path: &Path) -> Option<Fault> {
        let by_number = self.faults.remove(&self.calls);
        let is_it =
            |(wanted, below, _): &mut (&'static str, PathBuf, Fault)| *wanted == what && path.starts_with(below);
        by_number.or_else(|| self.next_fault.take_if(is_it).map(|(_, _, fault)| fault))
    }

    /// A part of a call: of an append some bytes, of anything else nothing.
    fn tear<T>(&mut self, what: &str, apply: impl FnOnce(&mut State) -> io::Result<T>) {
        if what == "append" {
            let capacity = self.capacity;
            self.capacity = self.used() + self.rng.u64(0..4096);
            let _ = apply(self);
            self.capacity = capacity;
        }
    }

    fn cut_power(&mut self) {
        self.dead = Some(Dead::PowerCut);
        let mut rng = self.rng.fork();
        for node in &mut self.nodes {
            match &mut node.body {
                Body::File(file) if node.ours => file.lose_power(&mut rng),
                Body::Folder(folder) => folder.lose_power(&mut rng),
                _ => {}
            }
        }
        self.count_links();
    }

    /// Names came and went: who has how many is counted anew.
    fn count_links(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.links = 0);
        self.nodes[0].links = 1;
        // Folders stand before what they hold only by chance: a folder that nobody leads to still names its files, which then take room.
        let names: Vec<NodeId> = self.nodes.iter().filter_map(Node::named).flatten().collect();
        for node in names {
            self.nodes[node].links += 1;
        }
    }

    fn used(&self) -> u64 {
        let ours = self.nodes.iter().filter(|node| node.ours && node.links > 0);
        ours.map(|node| if let Body::File(file) = &node.body { file.bytes.len() as u64 } else { 0 }).sum()
    }

    fn append(&mut self, node: NodeId, bytes: &[u8]) -> io::Result<()> {
        let room = if self.capacity == u64::MAX { u64::MAX } else { self.capacity.saturating_sub(self.used()) };
        let fits = bytes.len().min(room as usize);
        let modified = self.clock.system_time();
        self.file(node).bytes.extend_from_slice(&bytes[..fits]);
        self.nodes[node].modified = modified;
        if fits == bytes.len() { Ok(()) } else { Err(Errno::NOSPC.into()) }
    }

    /// What is seen of a file is on the disk.
    fn settle(&mut self, node: NodeId) {
        let file = self.file(node);
        file.same = file.bytes.len();
        file.lost.clear();
    }

    /// The database wrote.
    fn written(&mut self, node: NodeId) {
        self.settle(node);
        self.nodes[node].modified = self.time_of_change();
    }

    fn time_of_change(&mut self) -> SystemTime {
        let now = self.clock.system_time();
        let begins = now.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_millis() != self.written_ms);
        if begins {
            self.written_ms = now.duration_since(UNIX_EPOCH).unwrap().as_millis();
            self.writes = 0;
        }
        // The model's clock stands while much is done.
        self.writes += 1;
        now + Duration::from_nanos(self.writes.min(999_999))
    }

    fn file(&mut self, node: NodeId) -> &mut File {
        match &mut self.nodes[node].body {
            Body::File(file) => file,
            other => panic!("no file: {other:?}"),
        }
    }

    fn folder(&mut self, node: NodeId) -> io::Result<&mut Folder> {
        match &mut self.nodes[node].body {
            Body::Folder(folder) => Ok(folder),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    /// What the database and its administrators do to names: at once, or when the agent looks.
    fn act(&mut self, act: Later) {
        if self.spreads {
            return self.later.push_back(act);
        }
        self.finish();
        self.apply(act);
    }

    /// Some of what is done while the agent looks.
    fn go_on(&mut self) {
        while !self.later.is_empty() && self.pace.u8(0..3) == 0 {
            self.next();
        }
    }

    fn finish(&mut self) {
        while !self.later.is_empty() {
            self.next();
        }
    }

    fn next(&mut self) {
        if let Some(act) = self.later.pop_front() {
            self.apply(act);
        }
    }

    fn apply(&mut self, act: Later) {
        match act {
            Later::Name(path, node) => self.set_name(&path, Some(node)).unwrap(),
            Later::Move(from, to) => {
                let node = self.entry(&from).unwrap();
                self.nodes[node].links += 1;
                self.set_name(&from, None).unwrap();
                self.set_name(&to, Some(node)).unwrap();
                self.nodes[node].links -= 1;
            }
            Later::Remove(path) => self.set_name(&path, None).unwrap(),
            Later::Close(node) => self.close(node),
        }
    }

    fn add(&mut self, dev: u64, mode: u32, ours: bool, body: Body) -> NodeId {
        let reused = if self.reuses && !ours { self.freed.pop() } else { None };
        let ino = reused.unwrap_or_else(|| {
            self.next_ino += 1;
            self.next_ino
        });
        let modified = self.time_of_change();
        self.nodes.push(Node { dev, ino, mode, modified, links: 0, handles: 0, ours, body });
        self.nodes.len() - 1
    }

    fn make_file(&mut self, path: &Path, mode: u32) -> io::Result<NodeId> {
        if self.capacity != u64::MAX && self.used() >= self.capacity {
            return Err(Errno::NOSPC.into());
        }
        self.make(path, mode, Body::File(File::default()))
    }

    fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        self.make(path, 0o700, Body::Folder(Folder::default())).map(|_| ())
    }

    fn make(&mut self, path: &Path, mode: u32, body: Body) -> io::Result<NodeId> {
        let (folder, name) = self.parent(path)?;
        let node = self.add(1, mode, true, body);
        let folder = self.folder(folder)?;
        folder.pending.push(Change::Set(name.clone(), node));
        folder.names.insert(name, node);
        self.nodes[node].links = 1;
        Ok(node)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.entry(from)?;
        let (folder, old) = self.parent(from)?;
        let (other, new) = self.parent(to)?;
        assert_eq!(folder, other, "the agent renames within a folder");
        let folder = self.folder(folder)?;
        folder.pending.push(Change::Rename(old.clone(), new.clone()));
        folder.names.remove(&old);
        if let Some(replaced) = folder.names.insert(new, node) {
            self.unlink(replaced);
        }
        Ok(())
    }

    /// Gives a name to another node, or to none; durable. The administrator's way.
    fn set_name(&mut self, path: &Path, node: Option<NodeId>) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        let folder = self.folder(folder)?;
        let replaced = match node {
            Some(node) => folder.names.insert(name.clone(), node),
            None => folder.names.remove(&name),
        };
        match node {
            Some(node) => folder.durable.insert(name, node),
            None => folder.durable.remove(&name),
        };
        if let Some(node) = node {
            self.nodes[node].links += 1;
        }
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        Ok(())
    }

    fn unlink(&mut self, node: NodeId) {
        self.nodes[node].links -= 1;
        self.free(node);
    }

    fn close(&mut self, node: NodeId) {
        self.nodes[node].handles -= 1;
        self.free(node);
    }

    fn free(&mut self, node: NodeId) {
        let node = &self.nodes[node];
        // A power cut may bring back what the agent removed.
        if node.links == 0 && node.handles == 0 && !node.ours {
            self.freed.push(node.ino);
        }
    }

    fn status(&self, node: NodeId) -> Status {
        let node = &self.nodes[node];
        let (kind, len) = match &node.body {
            Body::File(file) => (Kind::File, file.bytes.len() as u64),
            Body::Folder(_) => (Kind::Folder, 4096),
            Body::Link(_) => (Kind::Other, 0),
        };
        Status { kind, dev: node.dev, ino: node.ino, len, links: node.links, mode: node.mode, modified: node.modified }
    }

    /// What a path leads to, links followed.
    fn find(&mut self, path: &Path) -> io::Result<NodeId> {
        self.resolve(path, true).map(|(node, _)| node)
    }

    /// What has the name, be it a link.
    fn entry(&mut self, path: &Path) -> io::Result<NodeId> {
        self.resolve(path, false).map(|(node, _)| node)
    }

    /// The folder that a path's last name is in.
    fn parent(&mut self, path: &Path) -> io::Result<(NodeId, String)> {
        let name = path.file_name().ok_or(Errno::INVAL)?.to_str().ok_or(Errno::INVAL)?.to_owned();
        Ok((self.find(path.parent().ok_or(Errno::INVAL)?)?, name))
    }

    fn resolve(&mut self, path: &Path, follow_last: bool) -> io::Result<(NodeId, PathBuf)> {
        let mut todo: Vec<String> = parts(path);
        let (mut node, mut real, mut links) = (0, PathBuf::from("/"), 0);
        while let Some(name) = todo.pop() {
            let next = *self.folder(node)?.names.get(&name).ok_or(Errno::NOENT)?;
            match &self.nodes[next].body {
                Body::Link(target) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP.into());
                    }
                    assert!(target.is_absolute(), "links of a schedule are absolute");
                    todo.extend(parts(target));
                    (node, real) = (0, PathBuf::from("/"));
                }
                _ => {
                    node = next;
                    real.push(name);
                }
            }
        }
        Ok((node, real))
    }
}

/// The names in an absolute path, the last one first.
fn parts(path: &Path) -> Vec<String> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
        _ => None,
    });
    names.collect()
}

impl Node {
    fn named(&self) -> Option<Vec<NodeId>> {
        match &self.body {
            Body::Folder(folder) => Some(folder.names.values().copied().collect()),
            _ => None,
        }
    }
}

impl File {
    fn set_len(&mut self, len: usize) {
        if len < self.same {
            let mut lost = self.bytes[len..self.same].to_vec();
            for dropped in self.dropped.iter().filter(|dropped| dropped.end > len) {
                lost[dropped.start.max(len) - len..dropped.end - len].fill(0);
            }
            lost.append(&mut self.lost);
            self.lost = lost;
            self.same = len;
        }
        self.bytes.resize(len, 0);
        self.dropped.retain_mut(|range| {
            range.end = range.end.min(len);
            range.start < range.end
        });
    }

    /// Written anew and synced.
    fn overwrite(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        assert_eq!(self.bytes[offset..end], *bytes, "the agent writes over what is there what is there");
        assert!(
            self.dropped.iter().all(|dropped| dropped.start >= offset && dropped.end <= end),
            "and all that may not last"
        );
        self.dropped.clear();
        self.same = self.bytes.len();
        self.lost.clear();
    }

    /// A sync failed: nobody will write these bytes any more.
    fn drop_unsynced(&mut self) {
        if self.same < self.bytes.len() {
            self.dropped.push(self.same..self.bytes.len());
            self.same = self.bytes.len();
            self.lost.clear();
        }
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        if self.same < self.bytes.len() || !self.lost.is_empty() {
            let new = self.bytes.split_off(self.same);
            let survives = match rng.u8(0..3) {
                0 => self.lost.clone(),
                1 if !self.lost.is_empty() => self.lost[..rng.usize(0..=self.lost.len())].to_vec(),
                _ => torn(&new, rng),
            };
            self.bytes.extend(survives);
        }
        for range in std::mem::take(&mut self.dropped) {
            self.bytes[range].fill(0);
        }
        self.same = self.bytes.len();
        self.lost.clear();
    }
}

/// What may be left of bytes that were appended and not synced.
fn torn(new: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut left = new[..rng.usize(0..=new.len())].to_vec();
    match rng.u8(0..5) {
        // The length arrived, and not all of the content.
        0 => left.resize(new.len(), 0),
        1 => left = vec![0; new.len()],
        2 => {
            left = new.to_vec();
            left.chunks_mut(SECTOR_BYTES).filter(|_| rng.bool()).for_each(|sector| sector.fill(0));
        }
        3 => left = new.to_vec(),
        _ => {}
    }
    left
}

impl Folder {
    fn lose_power(&mut self, rng: &mut Rng) {
        if !self.pending.is_empty() {
            let mut names = self.durable.clone();
            let pending = std::mem::take(&mut self.pending);
            let ordered = rng.bool();
            let kept = rng.usize(0..=pending.len());
            for (index, change) in pending.into_iter().enumerate() {
                if if ordered { index < kept } else { rng.bool() } {
                    change.apply(&mut names);
                }
            }
            self.names = names;
        }
        self.durable.clone_from(&self.names);
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            Change::Set(name, node) => drop(names.insert(name, node)),
            Change::Rename(old, new) => {
                if let Some(node) = names.remove(&old) {
                    names.insert(new, node);
                }
            }
            Change::Remove(name) => drop(names.remove(&name)),
        }
    }
}
