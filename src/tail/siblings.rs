//! Files that a log left behind while nobody looked, under names that no pattern matches.
//!
//! A pattern may match the live file only, as `server_audit.log` does. When the agent finds that file under another name, others may have
//! been born and rotated away since it last looked. They lie beside it, are named after it, and are newer than what it knows.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A log that is no longer where it was.
#[derive(Debug)]
pub struct Rotated {
    /// Index of its source.
    pub source: usize,
    /// Where it was written to.
    pub live: PathBuf,
    /// When it was last written to, as far as is known: what is older was rotated away before it.
    pub modified: SystemTime,
}

/// Whether a file is named as rotation names what was `live`: `pg.csv.1`, `pg.csv-20261121.gz`, `pg-20261121.csv`.
pub fn is_named_after(live: &Path, path: &Path) -> bool {
    let (Some(live), Some(name)) = (live.file_name(), path.file_name()) else { return false };
    let (live, name) = (live.to_string_lossy(), name.to_string_lossy());
    if let Some(rest) = name.strip_prefix(&*live) {
        return rest.starts_with(['.', '-', '_']);
    }
    let Some((stem, extension)) = live.rsplit_once('.') else { return false };
    let dated = name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
    let ends = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with(&format!(".{extension}")));
    dated && (ends("") || ends(".gz") || ends(".zst"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_named_after_the_live_one() {
        let named = |name: &str| is_named_after(Path::new("/log/pg.csv"), &Path::new("/log").join(name));
        for name in ["pg.csv.1", "pg.csv.12.gz", "pg.csv-20261121", "pg.csv_old", "pg-20261121.csv", "pg.1.csv.zst"] {
            assert!(named(name), "{name}");
        }
        for name in ["pg.csv", "pg.json", "pg2.csv", "pg-20261121.json", "apg.csv.1", "pg.csvx"] {
            assert!(!named(name), "{name}");
        }
        assert!(is_named_after(Path::new("/log/audit"), Path::new("/log/audit.1")));
        assert!(!is_named_after(Path::new("/log/audit"), Path::new("/log/auditor")));
    }
}
