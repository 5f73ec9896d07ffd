//! Which files follow each other in one log's place, and in which order.
//!
//! A server renames its log and begins a new one under the old name: `server_audit.log` becomes `server_audit.log.1`, what was that becomes
//! `.2`. All these are one lineage, told by the name that the file had when it was first seen, or in the last seal. What is written to them
//! goes on from one to the next, so that a row may begin in one and end in another: such a row is held back here, and the files are read
//! one after the other, oldest first.
//!
//! Files with a date before their extension (`postgresql-2026-11-21.csv`) are lineages of one: no format whose rows come in pieces is
//! written so, and names of that form may as well be those of several servers.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::held::Held;

/// One log through all its files.
#[derive(Debug)]
pub struct Lineage {
    /// Index of its source.
    pub source: usize,
    /// The name under which it is written.
    pub live: PathBuf,
    /// Pieces of rows that wait for the others, in whichever of its files they stand.
    pub held: Held,
}

/// The name under which a file was written: without what rotation and compression put behind it.
pub fn live_name(path: &Path) -> PathBuf {
    let Some(name) = path.file_name() else { return path.to_owned() };
    let name = name.to_string_lossy();
    let stem = &unpacked(&name)[..unpacked(&name).len() - suffix(unpacked(&name)).len()];
    path.with_file_name(stem)
}

/// Which of two files of one lineage is the older one, by their names: the higher number, the earlier date, and the live one last.
/// `Equal` where the names do not say.
pub fn by_age(a: &Path, b: &Path) -> Ordering {
    match (Suffix::of(a), Suffix::of(b)) {
        (Suffix::Live, Suffix::Live) => Ordering::Equal,
        (Suffix::Live, _) => Ordering::Greater,
        (_, Suffix::Live) => Ordering::Less,
        (Suffix::Number(a), Suffix::Number(b)) => b.cmp(&a),
        (Suffix::Date(a), Suffix::Date(b)) => a.cmp(&b),
        (Suffix::Number(_), Suffix::Date(_)) | (Suffix::Date(_), Suffix::Number(_)) => Ordering::Equal,
    }
}

/// Whether a file has the name under which its log is written.
pub fn is_live(path: &Path) -> bool {
    Suffix::of(path) == Suffix::Live
}

/// What rotation put behind the name.
#[derive(Debug, PartialEq, Eq)]
enum Suffix {
    Live,
    /// Counted up with each rotation.
    Number(u64),
    /// Digits of a date and time, or seconds since 1970.
    Date(String),
}

/// More digits are no count of files.
const NUMBER_DIGITS_MAX: usize = 5;

impl Suffix {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let suffix = suffix(unpacked(&name));
        let digits = suffix.get(1..).unwrap_or_default();
        match digits.parse() {
            _ if suffix.is_empty() => Suffix::Live,
            Ok(number) if digits.len() <= NUMBER_DIGITS_MAX => Suffix::Number(number),
            _ => Suffix::Date(suffix.to_owned()),
        }
    }
}

fn unpacked(name: &str) -> &str {
    [".gz", ".zst", ".xz"].iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(name)
}

/// The longest end of a name that is made of digits and what stands between them, from a separator on.
fn suffix(name: &str) -> &str {
    let is_separator = |byte: u8| matches!(byte, b'.' | b'-' | b'_');
    let bytes = name.as_bytes();
    if !bytes.last().is_some_and(u8::is_ascii_digit) {
        return "";
    }
    let is_inside = |byte: &u8| byte.is_ascii_digit() || is_separator(*byte) || *byte == b'T' || *byte == b':';
    let begin = bytes.len() - bytes.iter().rev().take_while(|byte| is_inside(byte)).count();
    // Something has to be left of the name.
    let from = (begin.max(1)..bytes.len()).find(|at| is_separator(bytes[*at]));
    from.map_or("", |from| &name[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_of_the_lineage_of_the_live_one() {
        let live = |name: &str| live_name(&Path::new("/log").join(name)).to_string_lossy().into_owned();
        for (name, expected) in [
            ("server_audit.log", "server_audit.log"),
            ("server_audit.log.1", "server_audit.log"),
            ("server_audit.log.09", "server_audit.log"),
            ("syslog.3.gz", "syslog"),
            ("messages-20261121", "messages"),
            ("messages-20261121-1300.zst", "messages"),
            ("0.log.20261121-120000", "0.log"),
            ("0.log.20261121-120000.gz", "0.log"),
            ("audit.log.2026-11-21T13:00:00", "audit.log"),
            ("mysql2.log", "mysql2.log"),
            ("postgresql-2026-11-21.csv", "postgresql-2026-11-21.csv"),
            (".1", ".1"),
            ("20261121", "20261121"),
        ] {
            assert_eq!(live(name), format!("/log/{expected}"), "{name}");
        }
    }

    #[test]
    fn the_oldest_of_a_lineage_comes_first() {
        let order = |mut names: Vec<&'static str>| {
            names.sort_by(|a, b| by_age(Path::new(a), Path::new(b)));
            names
        };
        assert_eq!(order(vec!["a", "a.1", "a.10.gz", "a.2"]), ["a.10.gz", "a.2", "a.1", "a"]);
        assert_eq!(order(vec!["m", "m-20261122", "m-20261121.gz"]), ["m-20261121.gz", "m-20261122", "m"]);
        // Of two schemes at a time.
        assert_eq!(by_age(Path::new("a.1"), Path::new("a-20261121")), Ordering::Equal);
    }
}
