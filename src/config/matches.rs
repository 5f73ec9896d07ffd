//! Which files a source's patterns find now: for `check`, so that a typing mistake in a path is seen before the daemon runs.
//!
//! The reader looks for itself, again and again; nothing of this is kept.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::bounds;
use super::plan::SourcePlan;

/// What one source's patterns find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Regular files, each once, without those that are excluded.
    pub files: BTreeSet<PathBuf>,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// The first of them that cannot be opened, and why.
    pub unreadable: Option<(PathBuf, String)>,
    /// How many cannot be opened.
    pub unreadable_files: usize,
    /// There are more: counting stopped.
    pub more: bool,
}

/// Looks for the files of one source.
pub fn matches(source: &SourcePlan) -> Matches {
    let exclude: Vec<glob::Pattern> =
        source.exclude.iter().filter_map(|pattern| glob::Pattern::new(pattern).ok()).collect();
    let mut found = Matches::default();
    for pattern in &source.paths {
        // A pattern that does not parse never became a plan.
        let Ok(paths) = glob::glob(pattern) else { continue };
        for path in paths {
            if found.files.len() == bounds::MATCHES_MAX {
                found.more = true;
                return found;
            }
            match path {
                Ok(path) if exclude.iter().any(|exclude| exclude.matches_path(&path)) => {}
                Ok(path) => found.add(path),
                Err(error) => found.closed(error.path(), &error.error().to_string()),
            }
        }
    }
    found
}

impl Matches {
    fn add(&mut self, path: PathBuf) {
        let metadata = match path.metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            // A folder, a socket, or a file that was rotated away between the two looks.
            _ => return,
        };
        if self.files.contains(&path) {
            return;
        }
        if let Err(error) = File::open(&path) {
            self.closed(&path, &error.to_string());
        }
        self.bytes += metadata.len();
        self.files.insert(path);
    }

    fn closed(&mut self, path: &Path, reason: &str) {
        self.unreadable_files += 1;
        self.unreadable.get_or_insert_with(|| (path.to_path_buf(), reason.to_owned()));
    }
}
