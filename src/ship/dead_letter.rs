//! Where a line goes that a destination refuses by itself: a folder, with the answer beside it. Never to nowhere.
//!
//! A person may order what becomes of it: to be sent again, or to be dropped. The order is a file beside the letter, so that it stands
//! whether the agent runs or not, and until it has been carried out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk};
use crate::durable;

/// The folder `state_dir/dead-letter/<destination>/`.
#[derive(Debug)]
pub struct DeadLetters {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// What is to become of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send it again.
    Replay,
    /// Let go of it.
    Drop,
}

impl Order {
    /// How the file is called that is the order.
    fn extension(self) -> &'static str {
        match self {
            Order::Replay => "replay",
            Order::Drop => "drop",
        }
    }
}

impl DeadLetters {
    /// Of a destination.
    pub fn new(disk: Arc<dyn Disk>, state_dir: &Path, destination: &str) -> Self {
        DeadLetters { disk, dir: root(state_dir).join(destination) }
    }

    /// Keeps the line as `<line, 20 digits>.ndjson` and, first, the answer as `<line, 20 digits>.answer.txt`. Both are
    /// synced when this returns. The same line again replaces itself, and an order of before is over.
    pub(crate) fn keep(&self, number: u64, line: &[u8], answer: &str) -> io::Result<PathBuf> {
        let disk = self.disk.as_ref();
        durable::create_dir(disk, &self.dir)?;
        durable::write_atomic(disk, &self.file(number, "answer.txt"), answer.as_bytes(), 0o600)?;
        let path = self.file(number, "ndjson");
        durable::write_atomic(disk, &path, line, 0o600)?;
        if disk::exists(disk, &self.file(number, Order::Replay.extension())) {
            durable::remove(disk, &self.file(number, Order::Replay.extension()))?;
        }
        Ok(path)
    }

    /// The letters that are there, by the number of their line, each with the order that was given.
    pub fn letters(&self) -> io::Result<BTreeMap<u64, Option<Order>>> {
        let mut letters = BTreeMap::new();
        let paths = match self.disk.list(&self.dir) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(letters),
            Err(error) => return Err(error),
        };
        let named = |path: &PathBuf| {
            let (number, extension) = path.file_name()?.to_str()?.split_once('.')?;
            Some((number.parse::<u64>().ok()?, extension.to_owned()))
        };
        let named: Vec<(u64, String)> = paths.iter().filter_map(named).collect();
        letters.extend(named.iter().filter(|(_, extension)| extension == "ndjson").map(|(number, _)| (*number, None)));
        for order in [Order::Replay, Order::Drop] {
            for (number, _) in named.iter().filter(|(_, extension)| extension == order.extension()) {
                letters.entry(*number).and_modify(|known| *known = Some(order));
            }
        }
        Ok(letters)
    }

    /// The line of a letter, with its newline.
    pub fn line(&self, number: u64) -> io::Result<Vec<u8>> {
        disk::read(self.disk.as_ref(), &self.file(number, "ndjson"))
    }

    /// What the destination said of it.
    pub fn answer(&self, number: u64) -> io::Result<Vec<u8>> {
        disk::read(self.disk.as_ref(), &self.file(number, "answer.txt"))
    }

    /// Orders what is to become of a letter; the last word counts.
    pub fn order(&self, number: u64, order: Order) -> io::Result<()> {
        let other = if order == Order::Drop { Order::Replay } else { Order::Drop };
        durable::write_atomic(self.disk.as_ref(), &self.file(number, order.extension()), b"", 0o600)?;
        self.remove_if_there(&self.file(number, other.extension()))
    }

    /// Removes a letter: the order last, so that a letter that is half gone is not forgotten.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        for extension in ["ndjson", "answer.txt", Order::Replay.extension(), Order::Drop.extension()] {
            self.remove_if_there(&self.file(number, extension))?;
        }
        Ok(())
    }

    fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        if disk::exists(self.disk.as_ref(), path) { durable::remove(self.disk.as_ref(), path) } else { Ok(()) }
    }

    fn file(&self, number: u64, extension: &str) -> PathBuf {
        self.dir.join(format!("{number:020}.{extension}"))
    }
}

/// The destinations that have, or had, dead letters; sorted.
pub fn destinations(disk: &dyn Disk, state_dir: &Path) -> io::Result<Vec<String>> {
    let dirs = match disk.list(&root(state_dir)) {
        Ok(dirs) => dirs,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = dirs.iter().filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

fn root(state_dir: &Path) -> PathBuf {
    state_dir.join("dead-letter")
}
