//! The disk, as few calls: the only place where the agent touches what it follows and what must survive a power cut.
//!
//! [`Disk`] is what the core asks of a file system: the source files, the journal, keys and cursors come through it. The agent runs on
//! [`RealDisk`]; the tests run the same code on disks that tear writes, forget what was not synced, and fill up.
//!
//! What a call promises is what Linux promises: bytes written are seen at once by every reader and are durable after the file's own
//! sync; a name made, changed or removed is durable after its folder's sync.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>>;

    /// Opens a file for appending and cutting, made with mode 0600 if it is not there.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>>;

    /// Opens a file for writing from its start, made with `mode` if it is not there, emptied if it is.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn OpenFile>>;

    /// Writes `bytes` over those that a file has at `offset`, which are as many at least, and waits until they are durable.
    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Gives a file another name, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder with mode 0700, and those above it that are not there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names in a folder are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// What is known of the file or folder that a path leads to, symbolic links followed.
    fn status(&self, path: &Path) -> io::Result<Status>;

    /// The names in a folder, in no order that means anything.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// The path without symbolic links.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf>;

    /// When the file that a path leads to was made, where the file system remembers. Nobody can set it: a copy has another one.
    fn born(&self, _path: &Path) -> io::Result<Option<SystemTime>> {
        Ok(None)
    }

    /// How much room the file system of a folder has; `None` where that is not known.
    fn space(&self, _dir: &Path) -> io::Result<Option<Space>> {
        Ok(None)
    }

    /// Whether a call may take so long that it belongs on a thread for what blocks.
    fn may_block(&self) -> bool {
        true
    }
}

/// An open file. Its position is the caller's business.
pub trait OpenFile: fmt::Debug + Send + Sync {
    /// Reads at `offset`; 0 at the end. Never interrupted.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Waits until content and length are durable.
    fn sync(&self) -> io::Result<()>;

    /// What is known of the file, whatever it is called by now.
    fn status(&self) -> io::Result<Status>;
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written by this account.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// File, folder or neither.
    pub kind: Kind,
    /// Device number.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// In bytes.
    pub len: u64,
    /// Names that lead to it.
    pub links: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of the content.
    pub modified: SystemTime,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A pipe, a socket, a device.
    Other,
}

impl Status {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

/// This host's file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        Ok(Arc::new(RealFile(File::open(path)?)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        Ok(Arc::new(RealFile(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?)))
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn OpenFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        fs::metadata(path).and_then(|metadata| status_of(&metadata))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn born(&self, path: &Path) -> io::Result<Option<SystemTime>> {
        // Not every kernel and file system has it.
        fs::metadata(path).map(|metadata| metadata.created().ok())
    }

    fn space(&self, dir: &Path) -> io::Result<Option<Space>> {
        let stat = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Some(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) }))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl OpenFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        // All but times: the length is among what is waited for.
        self.0.sync_data()
    }

    fn status(&self) -> io::Result<Status> {
        status_of(&self.0.metadata()?)
    }
}

fn status_of(metadata: &Metadata) -> io::Result<Status> {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Folder,
        _ => Kind::Other,
    };
    Ok(Status {
        kind,
        dev: metadata.dev(),
        ino: metadata.ino(),
        len: metadata.len(),
        links: metadata.nlink(),
        mode: metadata.mode() & 0o7777,
        modified: metadata.modified()?,
    })
}

/// The file that is locked while an agent runs; made if it is not there. On this host's disk: only the kernel can lock.
pub fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Reads a whole file.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Reader::new(disk.open(path)?, 0).read_to_end(&mut bytes).map(|_| bytes)
}

/// Whether a path leads to anything.
pub fn exists(disk: &dyn Disk, path: &Path) -> bool {
    disk.status(path).is_ok()
}

/// An open file read from a place on, one byte after the other.
#[derive(Debug)]
pub struct Reader {
    file: Arc<dyn OpenFile>,
    at: u64,
}

impl Reader {
    /// Reads from `at` on.
    pub fn new(file: Arc<dyn OpenFile>, at: u64) -> Self {
        Reader { file, at }
    }

    /// The file that is read.
    pub fn file(&self) -> &dyn OpenFile {
        self.file.as_ref()
    }

    /// Reads on from `at`.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
