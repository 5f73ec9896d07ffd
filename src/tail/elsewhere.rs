//! Where a server writes when it no longer writes to the log that is followed.
//!
//! Two signs, both of PostgreSQL's logging collector, and neither needs the database or another user's processes: the file `current_logfiles` in
//! the data folder, above the log folder, which names the files that the server writes to; and the file of the other format beside the log, since
//! the collector writes every message to both. Either is only a place to look at: that it grows while the log does not is the proof.
//!
//! Other files of the folder are no sign: they may be another server's, or what a command of the server's has printed.

use std::io::Read;
use std::path::{Path, PathBuf};

use sealtrail_parsers::Format;

use super::identity::Inode;
use crate::disk::{Disk, Reader};

/// A file that the server may be writing to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where.
    pub path: PathBuf,
    /// Its length now.
    pub len: u64,
}

/// It is a few lines: one a format.
const CURRENT_LOGFILES_BYTES_MAX: u64 = 4096;

/// Looks for it, when `log` of this format is quiet. `is_followed`: whether a file is read by some source.
pub fn elsewhere(
    disk: &dyn Disk,
    log: &Path,
    format: Format,
    is_followed: impl Fn(Inode) -> bool,
) -> Option<Elsewhere> {
    let (word, other) = match format {
        Format::PostgresCsvlog => ("csvlog", "json"),
        Format::PostgresJsonlog => ("jsonlog", "csv"),
        Format::PostgresStderr => ("stderr", "csv"),
        // Only PostgreSQL writes its log in several formats at a time.
        _ => return None,
    };
    named(disk, log, word, is_followed).or_else(|| file_at(disk, log.with_extension(other)).map(|(it, _)| it))
}

/// What `current_logfiles` names for the format, if nobody follows it; when it names none, the log of another format.
fn named(disk: &dyn Disk, log: &Path, word: &str, is_followed: impl Fn(Inode) -> bool) -> Option<Elsewhere> {
    // Behind a symbolic link the data folder is above the real folder.
    let log = disk.real_path(log).ok()?;
    let data = log.parent()?.parent()?;
    let mut text = String::new();
    let file = disk.open(&data.join("current_logfiles")).ok()?;
    Reader::new(file, 0).take(CURRENT_LOGFILES_BYTES_MAX).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let mine = lines.clone().find(|(format, _)| *format == word);
    match mine {
        Some((_, path)) => file_at(disk, data.join(path)).filter(|(_, inode)| !is_followed(*inode)),
        None => lines.next().and_then(|(_, path)| file_at(disk, data.join(path))),
    }
    .map(|(it, _)| it)
}

fn file_at(disk: &dyn Disk, path: PathBuf) -> Option<(Elsewhere, Inode)> {
    let status = disk.status(&path).ok().filter(|status| status.is_file())?;
    Some((Elsewhere { path, len: status.len }, Inode::of(&status)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::RealDisk;

    fn ask(log: &Path, followed: &[&Path]) -> Option<PathBuf> {
        let inodes: Vec<Inode> = followed.iter().map(|path| Inode::of(&RealDisk.status(path).unwrap())).collect();
        elsewhere(&RealDisk, log, Format::PostgresCsvlog, |inode| inodes.contains(&inode)).map(|it| it.path)
    }

    #[test]
    fn the_servers_own_list_says_where_it_writes() {
        let dir = tempfile::tempdir().unwrap();
        let data = fs::canonicalize(dir.path()).unwrap();
        for path in ["log/a.csv", "log/a.log", "other/b.csv"] {
            fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
            fs::write(data.join(path), "x").unwrap();
        }
        let log = data.join("log/a.csv");
        let list = |text: &str| fs::write(data.join("current_logfiles"), text).unwrap();
        assert_eq!(ask(&log, &[&log]), None, "no list, no file beside it");

        list("stderr log/a.log\ncsvlog log/a.csv\n");
        assert_eq!(ask(&log, &[&log]), None, "it is the log that is followed");

        list("stderr log/a.log\ncsvlog other/b.csv\n");
        assert_eq!(ask(&log, &[&log]), Some(data.join("other/b.csv")));
        assert_eq!(ask(&log, &[&log, &data.join("other/b.csv")]), None, "another source has it");

        list("stderr log/a.log\n");
        assert_eq!(ask(&log, &[&log]), Some(data.join("log/a.log")), "the format was switched off");

        list("csvlog gone/c.csv\n");
        assert_eq!(ask(&log, &[&log]), None);
    }

    #[test]
    fn the_other_format_beside_it_is_a_sign_and_no_other_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("pg.csv");
        for name in ["pg.csv", "pg.log", "other.json"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(ask(&log, &[&log]), None);
        fs::write(dir.path().join("pg.json"), "x").unwrap();
        assert_eq!(ask(&log, &[&log]), Some(dir.path().join("pg.json")));
    }
}
