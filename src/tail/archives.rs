//! The archives that are open: each is unpacked once to see whether it is whole, a share a turn, before anybody reads it as a log.
//!
//! One of gigabytes is looked through in many turns, in which other files are read as always. Until then whoever asks for it is told to come
//! again (`WouldBlock`): it is neither a log nor no log. How an archive is unpacked is [`super::packed`]'s business.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use tracing::debug;

use super::identity::Inode;
use super::packed::{Packed, packing_of};
use crate::disk::OpenFile;
use crate::limits::{FILES_MAX, UNPACK_BYTES_MAX};

/// What a path led to.
#[derive(Debug)]
pub enum Content {
    /// A log.
    Log(Arc<dyn OpenFile>),
    /// What a whole archive holds.
    Archived(Arc<dyn OpenFile>),
    /// An archive that is still being written.
    Unfinished,
}

/// All archives that somebody reads or asks for.
#[derive(Debug)]
pub struct Archives {
    open: Vec<Archive>,
    /// What may be unpacked in a turn, in bytes of logs.
    share: usize,
    /// What is left of it in this turn.
    left: usize,
}

#[derive(Debug)]
struct Archive {
    inode: Inode,
    /// Length and time of change: another one is another archive.
    version: (u64, SystemTime),
    packed: Arc<Packed>,
    /// What stands in the way of reading it.
    fault: Option<Fault>,
    /// Somebody has asked for it since [`Archives::forget_unasked`].
    asked: bool,
}

#[derive(Debug, Clone)]
enum Fault {
    Unfinished,
    Damaged(String),
}

/// What a turn has done for archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpacked {
    /// Nobody waits for any.
    Nothing,
    /// A piece.
    Piece,
    /// Something that somebody waited for.
    All,
}

impl Default for Archives {
    fn default() -> Self {
        Archives { open: Vec::new(), share: UNPACK_BYTES_MAX, left: UNPACK_BYTES_MAX }
    }
}

impl Archives {
    /// Unpacks no more than `share` bytes a turn.
    pub fn set_share(&mut self, share: usize) {
        (self.share, self.left) = (share, share);
    }

    /// Looks at the first bytes of a file. `WouldBlock`: it is an archive, and not looked through yet. `InvalidData`: it is a broken one.
    pub fn content_of(&mut self, file: Arc<dyn OpenFile>) -> io::Result<Content> {
        let Some(packing) = packing_of(file.as_ref())? else { return Ok(Content::Log(file)) };
        let status = file.status()?;
        let (inode, version) = (Inode::of(&status), (status.len, status.modified));
        let is_it = |archive: &Archive| archive.inode == inode && archive.version == version;
        let index = match self.open.iter().position(is_it) {
            Some(index) => index,
            None if self.open.len() >= FILES_MAX => return Err(io::ErrorKind::WouldBlock.into()),
            None => {
                let packed = Arc::new(Packed::new(file, packing, self.share));
                self.open.push(Archive { inode, version, packed, fault: None, asked: true });
                self.open.len() - 1
            }
        };
        self.open[index].asked = true;
        // A small one is there at once.
        self.go_on(index)?;
        let archive = &self.open[index];
        match &archive.fault {
            Some(Fault::Unfinished) => Ok(Content::Unfinished),
            Some(Fault::Damaged(why)) => Err(io::Error::new(io::ErrorKind::InvalidData, why.clone())),
            None if archive.packed.log_len().is_none() => Err(io::ErrorKind::WouldBlock.into()),
            None => Ok(Content::Archived(Arc::clone(&archive.packed) as Arc<dyn OpenFile>)),
        }
    }

    /// A new turn: what was asked for first gets on.
    pub fn turn(&mut self) -> Unpacked {
        self.left = self.share;
        let Some(index) = self.open.iter().position(Archive::is_waited_for) else { return Unpacked::Nothing };
        match self.go_on(index) {
            Ok(()) if self.open[index].is_waited_for() => Unpacked::Piece,
            Ok(()) => Unpacked::All,
            // Whoever asks for it next is told.
            Err(error) => {
                debug!(%error, "cannot unpack");
                Unpacked::Nothing
            }
        }
    }

    /// Whether somebody waits for something to be unpacked.
    pub fn are_waited_for(&self) -> bool {
        self.open.iter().any(Archive::is_waited_for)
    }

    /// Whether no further one can be opened now.
    pub fn are_too_many(&self) -> bool {
        self.open.len() >= FILES_MAX
    }

    /// Whether some archive is not looked through.
    pub fn are_pending(&self) -> bool {
        self.open.iter().any(|archive| archive.fault.is_none() && archive.packed.log_len().is_none())
    }

    /// Lets go of archives that nobody reads, and that nobody has asked for since the last call.
    pub fn forget_unasked(&mut self) {
        self.open.retain_mut(|archive| {
            let is_read = Arc::strong_count(&archive.packed) > 1;
            std::mem::take(&mut archive.asked) || is_read
        });
    }

    /// Lets go of archives whose handles are no longer good for anything: they are opened anew.
    pub fn forget_stale(&mut self) {
        self.open.retain(|archive| !archive.packed.is_stale());
    }

    /// Unpacks what is left of the share. An archive that could not be read is forgotten: the disk's word may be another one next time.
    fn go_on(&mut self, index: usize) -> io::Result<()> {
        let archive = &mut self.open[index];
        if archive.fault.is_some() {
            return Ok(());
        }
        match archive.packed.go_on(self.left) {
            Ok(done) => self.left = self.left.saturating_sub(done),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => archive.fault = Some(Fault::Unfinished),
            Err(error) if error.raw_os_error().is_some() => {
                self.open.remove(index);
                return Err(error);
            }
            Err(error) => archive.fault = Some(Fault::Damaged(format!("a damaged archive: {error}"))),
        }
        Ok(())
    }
}

impl Archive {
    fn is_waited_for(&self) -> bool {
        self.fault.is_none() && self.packed.is_waited_for()
    }
}
