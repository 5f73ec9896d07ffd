//! A folder of closed segments, byte for byte as they lie in the journal, with the public keys beside them.
//!
//! The hard cases: the file is there already (same bytes: done; other bytes: somebody else writes here, or somebody altered
//! it, and neither is ours to overwrite), the disk is full, the power goes in the middle.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::keys::public_keys;
use super::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Segment, Sink, Step, Takes, off_thread};
use crate::config::plan::FilePlan;
use crate::disk::{self, Disk, Reader};
use crate::durable;
use crate::journal::read::segment_name;

/// `type = "file"`.
#[derive(Debug)]
pub struct FileSink {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    keys: PathBuf,
}

impl FileSink {
    /// Touches nothing yet. `keys` is the folder of public keys to copy along.
    pub fn new(disk: Arc<dyn Disk>, plan: &FilePlan, keys: PathBuf) -> Self {
        FileSink { disk, dir: plan.path.clone(), keys }
    }
}

impl Sink for FileSink {
    fn takes(&self) -> Takes {
        Takes::Segments
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move {
            let Batch::Segment(segment) = batch else {
                return Err(Refusal::stop("a folder takes closed segments only", "this is a fault of the agent"));
            };
            let copy = Copy::new(self, segment);
            match off_thread(&self.disk, move |disk| copy.run(disk)).await {
                Ok(result) => result,
                Err(error) => Err(Refusal::later(format!("copying was interrupted: {error}"))),
            }
        })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(async { probe(&self.dir) })
    }
}

/// One segment's way into the folder; owned, so that it runs on a thread that may block.
struct Copy {
    dir: PathBuf,
    keys: PathBuf,
    from: PathBuf,
    to: PathBuf,
    bytes: u64,
    sha256: [u8; 32],
}

impl Copy {
    fn new(sink: &FileSink, segment: &Segment<'_>) -> Self {
        Copy {
            dir: sink.dir.clone(),
            keys: sink.keys.clone(),
            from: segment.path.to_owned(),
            to: sink.dir.join(segment_name(segment.first)),
            bytes: segment.bytes,
            sha256: segment.sha256,
        }
    }

    fn run(&self, disk: &dyn Disk) -> Result<Accepted, Refusal> {
        durable::create_dir(disk, &self.dir).map_err(|error| cannot_write(&self.dir, &error))?;
        for key in public_keys(disk, &self.keys)? {
            self.copy_key(disk, &key)?;
        }
        match digest_of(disk, &self.to) {
            Ok(there) if there == (self.bytes, self.sha256) => self.already_there(disk),
            Ok(_) => Err(other_content(&self.to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.copy(disk),
            Err(error) => Err(cannot_write(&self.to, &error)),
        }
    }

    fn copy(&self, disk: &dyn Disk) -> Result<Accepted, Refusal> {
        let source = disk.open(&self.from).map_err(|error| cannot_read(&self.from, &error))?;
        let source = Reader::new(source, 0);
        let mut hashing = Hashing { source, sha256: Sha256::new(), expected: self.sha256 };
        let bytes = durable::copy_atomic(disk, &self.to, &mut hashing, 0o600)
            .map_err(|error| cannot_write(&self.to, &error))?;
        Ok(Accepted { bytes })
    }

    /// The copy that is there may be one whose folder was not synced when the power went.
    fn already_there(&self, disk: &dyn Disk) -> Result<Accepted, Refusal> {
        durable::sync(disk, &self.to).map_err(|error| cannot_write(&self.to, &error))?;
        Ok(Accepted { bytes: 0 })
    }

    fn copy_key(&self, disk: &dyn Disk, key: &Path) -> Result<(), Refusal> {
        let to = self.dir.join(key.file_name().unwrap_or_default());
        let bytes = disk::read(disk, key).map_err(|error| cannot_read(key, &error))?;
        match disk::read(disk, &to) {
            Ok(there) if there == bytes => Ok(()),
            Ok(_) => Err(other_content(&to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::write_atomic(disk, &to, &bytes, 0o600).map_err(|error| cannot_write(&to, &error))
            }
            Err(error) => Err(cannot_write(&to, &error)),
        }
    }
}

/// Passes bytes on and refuses to end well when they were not the expected ones: a journal that changed under us.
struct Hashing {
    source: Reader,
    sha256: Sha256,
    expected: [u8; 32],
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        if read == 0 && self.sha256.clone().finalize().as_slice() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the segment changed while it was copied"));
        }
        Ok(read)
    }
}

/// Length and SHA-256 of a file.
pub(crate) fn digest_of(disk: &dyn Disk, path: &Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = Reader::new(disk.open(path)?, 0);
    let (mut sha256, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 128 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, sha256.finalize().into()));
        }
        sha256.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Neither makes the folder nor writes into it: asks the system whether we might.
fn probe(dir: &Path) -> Result<Probed, ProbeError> {
    use rustix::fs::{Access, access};
    let nearest = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !nearest.is_dir() {
        return Err(ProbeError {
            step: Step::Answer,
            why: format!("{} is not a folder", nearest.display()),
            hint: "change `path` or move that file away".to_owned(),
        });
    }
    match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(Probed { checked: "the folder is there or can be made, and may be written to" }),
        Err(error) => Err(ProbeError {
            step: Step::Write,
            why: format!("cannot write to {}: {error}", nearest.display()),
            hint: "let the agent's user write there".to_owned(),
        }),
    }
}

fn other_content(path: &Path) -> Refusal {
    Refusal::stop(
        format!("{} is there already with other content", path.display()),
        "keep both files as they are and find out who wrote it: another agent with the same folder, or somebody who altered it",
    )
}

fn cannot_read(path: &Path, error: &io::Error) -> Refusal {
    Refusal::stop(
        format!("cannot read {}: {error}", path.display()),
        "run `sealtrail verify` on the journal and keep it as it is",
    )
}

fn cannot_write(path: &Path, error: &io::Error) -> Refusal {
    use io::ErrorKind as Kind;
    let why = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Refusal::stop(why, "let the agent's user write there"),
        Kind::NotADirectory | Kind::AlreadyExists | Kind::IsADirectory => {
            Refusal::stop(why, "change `path` or move what is in the way")
        }
        Kind::InvalidData => Refusal::stop(why, "run `sealtrail verify` on the journal and keep it as it is"),
        _ => Refusal::later(why),
    }
}
