//! The files of a directory, rules and grants: read all together, and seen to have changed.
//!
//! A file is read when two looks have found it the same: then nobody is writing it. If reading it again would find something else, or
//! any of it is wrong, nothing of it counts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::clash;
use super::directory::{self, Directory};
use super::entry::{self, Entry, Holds, Problem};
use super::grant::{self, Grant, Grants};
use super::rule::{self, Rule};
use crate::hex::hex;
use crate::limits::{
    IDENTITY_FILE_BYTES_MAX, IDENTITY_GRANTS_MAX, IDENTITY_LOOK_MS, IDENTITY_PATTERN_RULES_MAX,
    IDENTITY_PATTERNS_BYTES_MAX, IDENTITY_RULES_MAX,
};

/// Where the rules come from, and which agent they are for.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// Of rules, in the order of the configuration.
    pub files: Vec<PathBuf>,
    /// Of access that was given for a time.
    pub grants: Vec<PathBuf>,
    /// What their columns mean, where they are not called so: `None` is nothing.
    pub columns: Vec<(String, Option<String>)>,
    /// Of the configuration itself.
    pub inline: Vec<Entry>,
    /// The agent's name.
    pub server: String,
    /// The sources' names.
    pub sources: Vec<String>,
}

/// A directory, and how its files were when they were read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Compiled.
    pub directory: Arc<Directory>,
    stamps: Vec<Stamp>,
}

/// By which a file is known to be the same; `None` where it cannot be looked at.
type Stamp = Option<[i64; 6]>;

impl Loader {
    /// Reads every file, and compiles all rules; or says all that is wrong.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        let stamps = self.stamps();
        let (mut entries, mut problems, mut hash) = (self.inline.clone(), Vec::new(), Sha256::new());
        hash.update(format!("{:?}", self.inline));
        for path in &self.files {
            let name: Arc<str> = path.display().to_string().into();
            let read = read(path).map_err(|message| vec![unreadable(&name, message)]);
            match read.and_then(|text| Ok((entry::read(path, &text)?, text))) {
                Ok((more, text)) => {
                    entries.extend(more);
                    hash.update(Sha256::digest(text));
                }
                Err(more) => problems.extend(more),
            }
        }
        let grants = self.read_grants(&mut hash, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let version = hex(&hash.finalize()[..6]);
        Ok(Loaded { directory: Arc::new(self.compile(&entries, grants, version)?), stamps })
    }

    /// Those of this agent's server.
    fn read_grants(&self, hash: &mut Sha256, problems: &mut Vec<Problem>) -> Grants {
        if self.grants.is_empty() {
            return Grants::default();
        }
        hash.update(format!("{:?}", self.columns));
        let key = |written: &str| grant::column(written, &self.columns);
        let holds = Holds { table: "grant", key: &key, may_be_list: grant::may_be_list };
        let mut grants = Vec::new();
        for path in &self.grants {
            let name: Arc<str> = path.display().to_string().into();
            let read = read(path).map_err(|message| vec![unreadable(&name, message)]);
            match read.and_then(|text| Ok((entry::read_as(path, &text, &holds)?, text))) {
                Ok((entries, text)) => {
                    hash.update(Sha256::digest(text));
                    for entry in &entries {
                        match grant::grant(entry) {
                            Ok(grant) => grants.extend(grant.filter(|grant| grant.is_of(&self.server))),
                            Err(more) => problems.extend(more),
                        }
                    }
                }
                Err(more) => problems.extend(more),
            }
        }
        // A column that is not known is so in every row.
        problems.truncate(TOLD_MAX);
        problems.extend(too_many_grants(&grants));
        Grants::new(grants)
    }

    fn compile(&self, entries: &[Entry], grants: Grants, version: String) -> Result<Directory, Vec<Problem>> {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for entry in entries {
            match rule::rule(entry) {
                Ok(rule) => rules.push(rule),
                Err(more) => problems.extend(more),
            }
        }
        problems.extend(too_many(&rules));
        if problems.is_empty() {
            directory::in_order(&mut rules);
            let sources: Vec<&str> = self.sources.iter().map(String::as_str).collect();
            problems.extend(clash::problems(&rules, &self.server, &sources));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let first = rules.first().map(|rule| rule.place.clone());
        Directory::new(rules, grants, version).ok_or_else(|| {
            let message =
                format!("the patterns for accounts are larger than {IDENTITY_PATTERNS_BYTES_MAX} bytes together");
            let hint = "write accounts out, or fewer of \\w and \\d: (?-u:\\w) is a small one".to_owned();
            first
                .into_iter()
                .map(|place| Problem { place, rule: None, key: None, message: message.clone(), hint: hint.clone() })
                .collect()
        })
    }

    /// Of all files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().chain(&self.grants)
    }

    fn stamps(&self) -> Vec<Stamp> {
        self.paths().map(|path| fs::metadata(path).ok().map(|metadata| stamp(&metadata))).collect()
    }
}

/// More mistakes are not told: whoever mends these sees the next.
const TOLD_MAX: usize = 50;

fn unreadable(file: &Arc<str>, message: String) -> Problem {
    Problem::of_file(file, 1, message, "the account that runs sealtrail must be able to read it")
}

fn stamp(of: &fs::Metadata) -> [i64; 6] {
    let (ino, len) = (of.ino().cast_signed(), of.len().cast_signed());
    [ino, len, of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()]
}

fn too_many(rules: &[Rule]) -> Option<Problem> {
    let of_patterns = |rule: &&Rule| !rule.when.has_exact_accounts();
    let (excess, message) = match rules.iter().filter(of_patterns).nth(IDENTITY_PATTERN_RULES_MAX) {
        _ if rules.len() > IDENTITY_RULES_MAX => {
            (rules.get(IDENTITY_RULES_MAX)?, format!("more than {IDENTITY_RULES_MAX} rules"))
        }
        Some(rule) => {
            (rule, format!("more than {IDENTITY_PATTERN_RULES_MAX} rules that do not write their accounts out"))
        }
        None => return None,
    };
    let hint = "put accounts of one person into one rule".to_owned();
    Some(Problem { place: excess.place.clone(), rule: None, key: None, message, hint })
}

fn too_many_grants(grants: &[Grant]) -> Option<Problem> {
    let place = grants.get(IDENTITY_GRANTS_MAX)?.place.clone();
    let message = format!("more than {IDENTITY_GRANTS_MAX} grants for this server");
    let hint = "export those that ended a while ago no longer".to_owned();
    Some(Problem { place, rule: None, key: None, message, hint })
}

fn read(path: &Path) -> Result<String, String> {
    let told = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(told)?;
    if file.metadata().map_err(told)?.is_dir() {
        return Err("is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(IDENTITY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > IDENTITY_FILE_BYTES_MAX {
        return Err(format!("larger than {IDENTITY_FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("not UTF-8 in line {line}")
    })
}

/// Sees when a file has changed, and reads all of them anew.
#[derive(Debug)]
pub struct Watch {
    loader: Loader,
    /// Of what was read last, whether it was right or wrong.
    tried: Vec<Stamp>,
    /// Of the look before.
    seen: Vec<Stamp>,
    looked_ms: u64,
}

impl Watch {
    /// Of what has just been read.
    pub fn new(loader: Loader, loaded: &Loaded, now_ms: u64) -> Self {
        Watch { loader, tried: loaded.stamps.clone(), seen: loaded.stamps.clone(), looked_ms: now_ms }
    }

    /// When the next look is due, by the clock of `now_ms`; `None`: there is nothing to look at.
    pub fn due_ms(&self) -> Option<u64> {
        self.loader.paths().next().is_some().then_some(self.looked_ms + IDENTITY_LOOK_MS)
    }

    /// Looks, where that is due. Something changed: the whole new directory, or what is wrong with it.
    pub fn look(&mut self, now_ms: u64) -> Option<Result<Arc<Directory>, Vec<Problem>>> {
        if self.due_ms().is_none_or(|due| now_ms < due) {
            return None;
        }
        self.looked_ms = now_ms;
        let found = self.loader.stamps();
        if found == self.tried {
            self.seen = found;
            return None;
        }
        if found != self.seen {
            self.seen = found;
            return None;
        }
        let loaded = self.loader.load();
        self.seen = self.loader.stamps();
        if self.seen != found {
            // It was written while it was read.
            return None;
        }
        self.tried = found;
        Some(loaded.map(|loaded| loaded.directory))
    }
}

#[cfg(test)]
impl Loader {
    /// Of rules in TOML alone.
    pub fn of_text(name: &str, text: &str, server: &str, sources: &[&str]) -> Self {
        let inline = entry::read(Path::new(name), text).unwrap();
        let sources = sources.iter().map(|name| (*name).to_owned()).collect();
        Loader { inline, server: server.to_owned(), sources, ..Loader::default() }
    }

    /// The directory.
    pub fn compiled(&self) -> Result<Directory, Vec<Problem>> {
        self.load().map(|loaded| Arc::into_inner(loaded.directory).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loader(files: &[&Path]) -> Loader {
        let files = files.iter().map(|path| path.to_path_buf()).collect();
        Loader { files, server: "db1".to_owned(), sources: vec!["pg".to_owned()], ..Loader::default() }
    }

    fn people(accounts: &[&str]) -> String {
        accounts.iter().fold("account,person\n".to_owned(), |text, account| text + &format!("{account},P\n"))
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        fs::write(&path, people(&["a"])).unwrap();
        let loader = loader(&[&path]);
        let loaded = loader.load().unwrap();
        let mut watch = Watch::new(loader, &loaded, 0);
        let mut now = 0;
        let mut look = || {
            now += IDENTITY_LOOK_MS;
            watch.look(now).map(|it| it.map(|it| it.len()).map_err(|it| it[0].to_string()))
        };
        assert_eq!(look(), None);
        fs::write(&path, people(&["a", "b"])).unwrap();
        assert_eq!((look(), look(), look()), (None, Some(Ok(2)), None));
        fs::write(&path, people(&["a", "b", "c"])).unwrap();
        assert_eq!(look(), None);
        fs::write(&path, people(&["a", "b", "c", "d"])).unwrap();
        assert_eq!((look(), look()), (None, Some(Ok(4))), "what changes between two looks is looked at once more");
        fs::write(&path, "account,person\na,P\na,Q\n").unwrap();
        let said = format!(
            "{0}:3: rule people.csv:3: may apply to the same row as rule people.csv:2 in {0}:2, and both have priority 100",
            path.display()
        );
        assert_eq!((look(), look(), look()), (None, Some(Err(said)), None), "said once");
        fs::remove_file(&path).unwrap();
        let gone = format!("{}:1: No such file or directory (os error 2)", path.display());
        assert_eq!((look(), look()), (None, Some(Err(gone))));
        fs::write(&path, people(&["a"])).unwrap();
        assert_eq!((look(), look()), (None, Some(Ok(1))));
    }

    #[test]
    fn no_look_is_made_before_it_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        fs::write(&path, people(&["a"])).unwrap();
        let loader = loader(&[&path]);
        let loaded = loader.load().unwrap();
        let mut watch = Watch::new(loader, &loaded, 1000);
        fs::write(&path, people(&["a", "b"])).unwrap();
        for now in [1001, 1000 + IDENTITY_LOOK_MS - 1] {
            assert!(watch.look(now).is_none() && watch.seen == watch.tried);
        }
        assert!(watch.look(1000 + IDENTITY_LOOK_MS).is_none() && watch.seen != watch.tried);
    }

    #[test]
    fn a_version_is_that_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        let version = |text: &str| {
            fs::write(&path, text).unwrap();
            loader(&[&path]).load().unwrap().directory.version.clone()
        };
        let one = version(&people(&["a"]));
        assert_eq!(one.len(), 12);
        assert_eq!(one, version(&people(&["a"])));
        assert_ne!(one, version(&people(&["b"])));
    }

    #[test]
    fn what_is_wrong_in_several_files_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.json"));
        fs::write(&one, b"account,person\n\xff,x\n").unwrap();
        fs::write(&two, "[{]").unwrap();
        let problems = loader(&[&one, &two, folder.path()]).load().unwrap_err();
        let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(said, ["not UTF-8 in line 2", "no list in JSON: key must be a string", "is a folder"]);
    }

    #[test]
    fn a_directory_of_all_accounts_that_it_may_have_is_compiled_soon() {
        let rules = IDENTITY_RULES_MAX - 1;
        let text: String = (0..rules).map(|at| format!("user{at},Person {at}\n")).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        fs::write(&path, format!("account,person\n{text}")).unwrap();
        let began = std::time::Instant::now();
        assert_eq!(loader(&[&path]).load().unwrap().directory.len(), rules);
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        fs::write(&path, format!("account,person\n{text}x,X\ny,Y\n")).unwrap();
        assert_eq!(loader(&[&path]).load().unwrap_err()[0].message, format!("more than {IDENTITY_RULES_MAX} rules"));
    }
}
