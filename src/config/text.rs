//! The file while it is read: its bytes, where its lines are, and what is wrong with it so far.
//!
//! Everything that says something about the file says it here, so that mistakes come out in the order of the file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Excerpt, Mistake};
use super::fields::looks_secret;
use super::section::Span;
use super::{Surroundings, Written, bounds, units};

/// The file while it is read: its text, its surroundings, and what is wrong with it so far.
pub(super) struct Context<'a> {
    pub text: &'a str,
    file: &'a Path,
    pub surroundings: Surroundings<'a>,
    /// With the byte at which each begins.
    mistakes: RefCell<Vec<(usize, Mistake)>>,
    written: RefCell<BTreeMap<String, String>>,
    /// Files that it points at, as far as they were read with it.
    files: RefCell<Vec<PathBuf>>,
}

impl<'a> Context<'a> {
    pub fn new(file: &'a Path, text: &'a str, surroundings: Surroundings<'a>) -> Self {
        Context {
            text,
            file,
            surroundings,
            mistakes: RefCell::default(),
            written: RefCell::default(),
            files: RefCell::default(),
        }
    }

    /// Notes a mistake.
    pub fn wrong(&self, span: Span, section: &str, key: Option<&str>, message: impl Display, hint: Option<String>) {
        let (line, column) = self.position(span.start);
        let mistake = Mistake {
            line,
            column,
            section: section.to_owned(),
            key: key.map(str::to_owned),
            message: message.to_string(),
            hint,
            excerpt: None,
        };
        self.mistakes.borrow_mut().push((span.start, mistake));
    }

    /// Notes that a key was written.
    pub fn note(&self, key: String, text: &str) {
        self.written.borrow_mut().insert(key, text.to_owned());
    }

    /// Notes that it points at a file, which holds a secret or a certificate.
    pub fn note_file(&self, path: &Path) {
        self.files.borrow_mut().push(path.to_owned());
    }

    /// The files that were noted since this was asked last.
    pub fn take_files(&self) -> Vec<PathBuf> {
        self.files.take()
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.position(at).0
    }

    /// Where a line begins, of those that [`Context::line`] counts.
    pub fn start_of_line(&self, line: usize) -> Span {
        let start = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        start..start
    }

    /// As the file was named.
    pub fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// The folder of the file itself.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    /// All mistakes in the order of the file, and the keys that it held.
    pub fn end(self) -> (Vec<Mistake>, Written) {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|(at, _)| *at);
        (mistakes.into_iter().map(|(_, mistake)| mistake).collect(), Written(self.written.into_inner()))
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Notes what the parser could not read.
    pub fn syntax(&self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let (line, column) = self.position(at);
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let duplicate = error.message() == "duplicate key";
        let mistake = Mistake {
            line,
            column,
            section: String::new(),
            key: None,
            message: if duplicate {
                "this key or table is there already".to_owned()
            } else {
                error.message().to_owned()
            },
            hint: duplicate.then(|| "keep one of them".to_owned()),
            excerpt: Some(excerpt(text, column - 1)),
        };
        self.mistakes.borrow_mut().push((at, mistake));
    }
}

/// The text of the file at `path`.
pub(super) fn load(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String, hint: &str, source| ConfigError::Unreadable {
        path: path.to_path_buf(),
        reason,
        hint: hint.to_owned(),
        source,
    };
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let (reason, hint) = explain(path, &error);
            return Err(unreadable(reason, hint, Some(error)));
        }
    };
    if bytes.len() as u64 > bounds::FILE_MAX_BYTES {
        let reason = format!("larger than {}", units::show_size(bounds::FILE_MAX_BYTES));
        return Err(unreadable(reason, "is this the configuration? it is a few lines of TOML", None));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        unreadable(format!("not UTF-8 at byte {at}, line {line}"), "save the file as UTF-8", None)
    })
}

/// The line, without what may be a secret: it stands there because it could not be parsed.
fn excerpt(line: &str, caret: usize) -> Excerpt {
    let key_end = line.find('=').filter(|_| looks_secret(&line.to_ascii_lowercase()));
    let Some(key_end) = key_end else {
        return Excerpt { line: line.replace('\t', " "), caret };
    };
    let line = format!("{} ***", &line[..=key_end]).replace('\t', " ");
    let caret = caret.min(line.chars().count());
    Excerpt { line, caret }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut bytes = Vec::new();
    file.take(bounds::FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn explain(path: &Path, error: &io::Error) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => {
            ("no such file".to_owned(), "give it with -c FILE; config.example.toml is one to start from")
        }
        io::ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), "run as the account that runs sealtrail, or let it read the file")
        }
        io::ErrorKind::IsADirectory if path.is_dir() => {
            ("is a folder, not a file".to_owned(), "give the file with -c FILE")
        }
        _ => (error.to_string(), "give a file that can be read with -c FILE"),
    }
}
