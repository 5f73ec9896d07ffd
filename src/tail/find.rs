//! Which files there are: the sources' patterns, looked up on the disk.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use glob::Pattern;

use super::identity::Inode;
use crate::config::plan::SourcePlan;
use crate::disk::{Disk, Kind};
use crate::limits::LISTINGS_MAX;

/// Folders below folders that `**` looks into.
const DEPTH_MAX: usize = 32;

/// A source's patterns, ready to match.
#[derive(Debug)]
pub struct Patterns {
    /// One a pattern: its components.
    paths: Vec<Vec<Part>>,
    exclude: Vec<Pattern>,
}

#[derive(Debug)]
enum Part {
    Plain(PathBuf),
    Glob(Pattern),
    /// `**`: any number of folders.
    Folders,
}

/// A path that a source's patterns match.
#[derive(Debug, Clone)]
pub struct Found {
    /// Index of the source.
    pub source: usize,
    /// Where.
    pub path: PathBuf,
    /// What the path leads to.
    pub inode: Inode,
    /// Its length.
    pub len: u64,
    /// Its last change.
    pub modified: SystemTime,
}

/// What the patterns have met.
#[derive(Debug, Default)]
pub struct Names {
    /// Index of the source, name, and what it leads to.
    pub all: Vec<(usize, PathBuf, Inode)>,
    inodes: BTreeSet<Inode>,
}

impl Patterns {
    /// Of a source whose patterns the configuration has checked.
    pub fn of(plan: &SourcePlan) -> Self {
        Patterns {
            paths: plan.paths.iter().map(|glob| parts(glob)).collect(),
            exclude: plan.exclude.iter().filter_map(|glob| Pattern::new(glob).ok()).collect(),
        }
    }

    /// Whether a file of this name would be read.
    pub fn lead_to(&self, path: &Path) -> bool {
        let components: Vec<_> = path.components().collect();
        let is_excluded = || self.exclude.iter().any(|pattern| pattern.matches_path(path));
        self.paths.iter().any(|parts| leads_to(parts, &components)) && !is_excluded()
    }

    /// Adds all names that match to `names`, and to `found` the files whose inode no pattern has met before: a file with two names is one file.
    pub fn find(&self, disk: &dyn Disk, source: usize, names: &mut Names, found: &mut Vec<Found>) {
        let mut paths = Vec::new();
        for parts in &self.paths {
            walk(disk, PathBuf::new(), parts, DEPTH_MAX, &mut paths);
        }
        for path in paths {
            if self.exclude.iter().any(|pattern| pattern.matches_path(&path)) {
                continue;
            }
            // Gone since it was listed, or not a file: nothing to read.
            let Ok(status) = disk.status(&path) else { continue };
            let inode = Inode::of(&status);
            if !status.is_file() {
                continue;
            }
            names.all.push((source, path.clone(), inode));
            if names.inodes.insert(inode) {
                found.push(Found { source, path, inode, len: status.len, modified: status.modified });
            }
        }
    }
}

/// Whether the pattern leads to these components, whatever is there.
fn leads_to(parts: &[Part], path: &[Component<'_>]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return path.is_empty() };
    if matches!(part, Part::Folders) {
        return (0..=path.len()).any(|folders| leads_to(rest, &path[folders..]));
    }
    let Some((name, below)) = path.split_first() else { return false };
    let fits = match part {
        Part::Plain(plain) => plain.as_os_str() == name.as_os_str(),
        Part::Glob(pattern) => pattern.matches(&name.as_os_str().to_string_lossy()),
        Part::Folders => false,
    };
    fits && leads_to(rest, below)
}

fn parts(glob: &str) -> Vec<Part> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => match name.to_string_lossy() {
            name if name == "**" => Some(Part::Folders),
            // The configuration has checked the whole; a part that is no pattern by itself is a name.
            name if is_wild(&name) => {
                Some(Pattern::new(&name).map_or_else(|_| Part::Plain(name.as_ref().into()), Part::Glob))
            }
            name => Some(Part::Plain(name.as_ref().into())),
        },
        other => Some(Part::Plain(PathBuf::from(other.as_os_str()))),
    };
    Path::new(glob).components().filter_map(part).collect()
}

fn is_wild(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn walk(disk: &dyn Disk, base: PathBuf, parts: &[Part], depth: usize, found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        found.push(base);
        return;
    };
    match part {
        Part::Plain(name) => walk(disk, base.join(name), rest, depth, found),
        Part::Glob(pattern) => {
            for path in names(disk, &base) {
                if path.file_name().is_some_and(|name| pattern.matches(&name.to_string_lossy())) {
                    walk(disk, path, rest, depth, found);
                }
            }
        }
        Part::Folders => {
            walk(disk, base.clone(), rest, depth, found);
            let folders = names(disk, &base).into_iter().filter(|path| is_folder(disk, path));
            if depth > 0 {
                folders.for_each(|folder| walk(disk, folder, parts, depth - 1, found));
            }
        }
    }
}

/// A folder that cannot be listed has nothing to match; that nothing matches is said by whoever asked.
fn names(disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
    let mut names = disk.list(dir).unwrap_or_default();
    names.sort_unstable();
    names
}

fn is_folder(disk: &dyn Disk, path: &Path) -> bool {
    disk.status(path).is_ok_and(|status| status.kind == Kind::Folder)
}

/// The files in a folder.
pub fn files_in(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(PathBuf, Inode)>> {
    let mut paths = disk.list(dir)?;
    paths.sort_unstable();
    let status = |path: PathBuf| {
        let status = disk.status(&path).ok().filter(|status| status.is_file())?;
        Some((path, Inode::of(&status)))
    };
    Ok(paths.into_iter().filter_map(status).collect())
}

/// The same while names go from one file to the next, when a listing may miss one: until `wanted` is found, or two listings are alike.
pub fn settled_files_in(disk: &dyn Disk, dir: &Path, wanted: Option<Inode>) -> io::Result<Vec<(PathBuf, Inode)>> {
    let mut files = files_in(disk, dir)?;
    for _ in 1..LISTINGS_MAX {
        if files.iter().any(|(_, inode)| Some(*inode) == wanted) {
            break;
        }
        let again = files_in(disk, dir)?;
        if again == files {
            break;
        }
        files = again;
    }
    Ok(files)
}

/// The part of a glob's path before its first wildcard component.
pub fn base_dir(glob: &str) -> PathBuf {
    let parent = Path::new(glob).parent().unwrap_or(Path::new("/"));
    let plain = |part: &Component<'_>| !is_wild(&part.as_os_str().to_string_lossy());
    parent.components().take_while(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_globs_base_is_what_stands_before_its_first_wildcard() {
        assert_eq!(base_dir("/var/log/postgresql/*.csv"), Path::new("/var/log/postgresql"));
        assert_eq!(base_dir("/var/log/*/pg[0-9]/a.csv"), Path::new("/var/log"));
        assert_eq!(base_dir("/a.csv"), Path::new("/"));
    }

    #[test]
    fn patterns_match_names_folders_and_any_number_of_folders() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/pg.csv", "a/b/c/pg.csv", "a/pg.log", "pg0/x.csv", "pg1/x.csv", "pgx/x.csv"] {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), path).unwrap();
        }
        let matched = |glob: &str| {
            let parts = parts(&format!("{}/{glob}", dir.path().display()));
            let mut found = Vec::new();
            walk(&RealDisk, PathBuf::new(), &parts, DEPTH_MAX, &mut found);
            let name = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
            assert!(found.iter().all(|path| leads_to(&parts, &path.components().collect::<Vec<_>>())));
            found.iter().filter(|path| path.is_file()).map(name).collect::<Vec<_>>()
        };
        assert_eq!(matched("a/*.csv"), ["a/pg.csv"]);
        assert_eq!(matched("**/pg.csv"), ["a/pg.csv", "a/b/c/pg.csv"]);
        assert_eq!(matched("pg[0-9]/?.csv"), ["pg0/x.csv", "pg1/x.csv"]);
        assert_eq!(matched("a/pg.log"), ["a/pg.log"]);
        assert_eq!(matched("none/*"), Vec::<String>::new());
        let leads = |glob: &str, path: &str| leads_to(&parts(glob), &Path::new(path).components().collect::<Vec<_>>());
        assert!(leads("/var/log/**/*.csv", "/var/log/pg/15/a.csv") && leads("/var/log/**/*.csv", "/var/log/a.csv"));
        assert!(!leads("/var/log/*.csv", "/var/log/a.csv.1") && !leads("/var/log/*.csv", "/var/log/pg/a.csv"));
    }
}
