//! Takes the keys out of one table of the file, one by one, so that one mistake does not hide the next.
//!
//! A derived deserializer stops at the first mistake, and loses where a value stood once it has taken it. Each method here takes one
//! key, says what is wrong with it, and answers `None` when it is absent or wrong. [`Section::end`] then names every key
//! that nobody took.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bounds::Bound;
use super::secret::{self, Secret};
use super::substitution::{self, Text};
use super::text::Context;
use super::{keys, nearest, units};

/// Where a value or a key stands in the file, in bytes.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// One table of the file.
pub(super) struct Section<'c, 'a> {
    context: &'c Context<'a>,
    /// As mistakes show it: `[[source]] orders-pg`.
    title: String,
    /// As [`super::Written`] knows it: `source.0`.
    path: String,
    span: Span,
    known: Vec<&'static str>,
    left: BTreeMap<String, (Span, Spanned<DeValue<'a>>)>,
    present: BTreeSet<String>,
}

impl<'c, 'a> Section<'c, 'a> {
    /// The table `table` that begins at `span`; `known` are its keys.
    pub fn new(
        context: &'c Context<'a>,
        (title, path): (String, String),
        span: Span,
        table: DeTable<'a>,
        known: &[&'static str],
    ) -> Self {
        let left: BTreeMap<_, _> =
            table.into_iter().map(|(key, value)| (key.get_ref().to_string(), (key.span(), value))).collect();
        let present = left.keys().cloned().collect();
        Section { context, title, path, span, known: known.to_vec(), left, present }
    }

    /// Where the table begins.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The tables of the list `key`, each a section of its own that is called `title`; `path`: as [`super::Written`] knows the list. What is no table is told.
    pub fn tables(&mut self, key: &str, title: &str, path: &str, known: &[&'static str]) -> Vec<Section<'c, 'a>> {
        let Some((span, value)) = self.take(key) else { return Vec::new() };
        let hint = || Some(format!("write {title}, once for each"));
        let DeValue::Array(items) = value.into_inner() else {
            self.wrong(span, Some(key), "is a list of tables", hint());
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => {
                    let names = (title.to_owned(), format!("{path}.{index}"));
                    tables.push(Section::new(self.context, names, span, table, known));
                }
                _ => self.wrong(span, Some(key), "must be a table", hint()),
            }
        }
        tables
    }

    /// The file that this is a table of.
    pub fn context(&self) -> &'c Context<'a> {
        self.context
    }

    /// As mistakes show it: `[[source]] orders-pg`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Shows the section by its name in what is said from now on.
    pub fn entitle(&mut self, name: &str) {
        self.title = format!("{} {name}", self.title);
    }

    /// More keys are valid: those of a destination's type.
    pub fn allow(&mut self, keys: &[&'static str]) {
        let new = keys.iter().filter(|key| !self.known.contains(key));
        self.known = self.known.iter().chain(new).copied().collect();
    }

    /// Whether the key was written, rightly or wrongly.
    pub fn has(&self, key: &str) -> bool {
        self.present.contains(key)
    }

    /// Where the value of a key stands that nobody took yet.
    pub fn value_span(&self, key: &str) -> Option<Span> {
        self.left.get(key).map(|(_, value)| value.span())
    }

    /// Says so when the key is missing.
    pub fn require(&self, key: &str, hint: &str) {
        if !self.has(key) {
            self.wrong(self.span(), Some(key), "is missing", Some(hint.to_owned()));
        }
    }

    /// Notes a mistake.
    pub fn wrong(&self, span: Span, key: Option<&str>, message: impl Display, hint: Option<String>) {
        self.context.wrong(span, &self.title, key, message, hint);
    }

    /// A string with its variables replaced.
    pub fn text(&mut self, key: &str) -> Option<At<Text>> {
        let (_, value) = self.take(key)?;
        self.as_text(key, value)
    }

    /// An absolute path.
    pub fn absolute(&mut self, key: &str) -> Option<At<PathBuf>> {
        let text = self.text(key)?;
        self.as_absolute(key, text)
    }

    /// The same of a text that stands in a list.
    pub fn as_absolute(&self, key: &str, text: At<Text>) -> Option<At<PathBuf>> {
        if Path::new(&text.value.value).is_absolute() {
            return Some(At { value: PathBuf::from(text.value.value), span: text.span });
        }
        let message = format!("{:?} is not an absolute path", text.value.written);
        self.wrong(text.span, Some(key), message, Some("start it with /".to_owned()));
        None
    }

    /// An absolute path of a file that can be read now.
    pub fn readable(&mut self, key: &str) -> Option<At<PathBuf>> {
        let path = self.absolute(key)?;
        self.context.note_file(&path.value);
        let opened = std::fs::File::open(&path.value).and_then(|file| file.metadata());
        let reason = match opened {
            Ok(metadata) if metadata.is_dir() => "is a folder".to_owned(),
            Ok(_) => return Some(path),
            Err(error) => error.to_string(),
        };
        self.unreadable(&path, key, &reason);
        None
    }

    /// A number of bytes: `16MiB` or an integer.
    pub fn size(&mut self, key: &str, bound: Bound<u64>) -> Option<At<u64>> {
        let (_, value) = self.take(key)?;
        let bytes = match value.get_ref() {
            DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(bytes) => At { value: bytes, span: value.span() },
                Err(_) => {
                    self.wrong(
                        value.span(),
                        Some(key),
                        "is not a size",
                        Some("bytes, or such as \"16MiB\"".to_owned()),
                    );
                    return None;
                }
            },
            DeValue::String(_) => self.unit(key, value, "is not a size", units::size)?,
            other => {
                self.mistyped(value.span(), key, "a size such as \"16MiB\"", other);
                return None;
            }
        };
        self.bounded(key, bytes, bound, |bytes| units::show_size(*bytes))
    }

    /// A whole number, 0 or more.
    pub fn count(&mut self, key: &str) -> Option<At<u64>> {
        let (_, value) = self.take(key)?;
        let count = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match count {
            Some(count) => Some(At { value: count, span: value.span() }),
            None if matches!(value.get_ref(), DeValue::Integer(_)) => {
                self.wrong(value.span(), Some(key), "must be a whole number, 0 or more", None);
                None
            }
            None => {
                self.mistyped(value.span(), key, "a whole number", value.get_ref());
                None
            }
        }
    }

    /// A duration: `500ms`.
    pub fn duration(&mut self, key: &str, bound: Bound<Duration>) -> Option<At<Duration>> {
        let (_, value) = self.take(key)?;
        if !value.get_ref().is_str() {
            self.mistyped(value.span(), key, "a duration such as \"30s\"", value.get_ref());
            return None;
        }
        let duration = self.unit(key, value, "is not a duration", units::duration)?;
        self.bounded(key, duration, bound, |duration| units::show_duration(*duration))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str) -> Option<At<bool>> {
        let (_, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(At { value: *flag, span: value.span() }),
            other => {
                self.mistyped(value.span(), key, "true or false", other);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], later: &[&str]) -> Option<At<T>> {
        let text = self.text(key)?;
        let word = text.value.value.as_str();
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(At { value: *value, span: text.span });
        }
        let names = choices.iter().map(|(name, _)| *name);
        if later.contains(&word) {
            let hint = format!("this release has: {}", nearest::list(names));
            self.wrong(text.span, Some(key), format!("{word:?} is not in this release yet"), Some(hint));
        } else {
            let message = format!("{:?} is none of the valid values", text.value.written);
            self.wrong(text.span, Some(key), message, Some(nearest::hint(word, names)));
        }
        None
    }

    /// A list of strings; those that are wrong are left out.
    pub fn list(&mut self, key: &str) -> Option<At<Vec<At<Text>>>> {
        let (_, value) = self.take(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => {
                let items = items.into_iter().filter_map(|item| self.as_text(key, item)).collect();
                Some(At { value: items, span })
            }
            DeValue::String(text) => {
                let hint = format!("write [{text:?}]");
                self.wrong(span, Some(key), "must be a list of strings, not a string", Some(hint));
                None
            }
            other => {
                self.mistyped(span, key, "a list of strings", &other);
                None
            }
        }
    }

    /// A table of strings: name, its span, its text. Those that are wrong are left out.
    pub fn strings(&mut self, key: &str) -> Option<Vec<(At<String>, At<Text>)>> {
        let mut table = self.table(key, &[])?;
        let mut strings = Vec::new();
        for (name, (span, value)) in std::mem::take(&mut table.left) {
            table.note(&name, &value);
            if let Some(text) = table.as_text(&name, value) {
                strings.push((At { value: name, span }, text));
            }
        }
        Some(strings)
    }

    /// A table within this one.
    pub fn table(&mut self, key: &str, known: &[&'static str]) -> Option<Section<'c, 'a>> {
        let (_, value) = self.take(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => {
                let names = (format!("{} {key}", self.title), format!("{}.{key}", self.path));
                Some(Section::new(self.context, names, span, table, known))
            }
            other => {
                self.mistyped(span, key, "a table", &other);
                None
            }
        }
    }

    /// A secret: `key = "${NAME}"`, or `<key>_file` that names a file which holds nothing else.
    pub fn secret(&mut self, key: &str) -> Option<At<Secret>> {
        let file_key = format!("{key}_file");
        if self.has(key) && self.has(&file_key) {
            let hint = format!("keep one of them; {key} was given in line {}", self.line_of(key));
            self.wrong(self.key_span(&file_key), Some(&file_key), format!("{key} is given as well"), Some(hint));
        }
        let inline = self.text(key).and_then(|text| self.inline_secret(key, text));
        let filed = self.absolute(&file_key).and_then(|path| self.filed_secret(&file_key, path));
        inline.or(filed)
    }

    /// Names every key that nobody took.
    pub fn end(mut self, kind: &str) {
        for (key, (span, _)) in std::mem::take(&mut self.left) {
            self.untaken(kind, &key, span);
        }
    }

    /// Drops what is left, unnamed: for a table that cannot be understood further.
    pub fn forget(&mut self, keys: &[&str]) {
        self.left.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Takes a key as it stands.
    pub fn take(&mut self, key: &str) -> Option<(Span, Spanned<DeValue<'a>>)> {
        let taken = self.left.remove(key)?;
        self.note(key, &taken.1);
        Some(taken)
    }

    fn note(&self, key: &str, value: &Spanned<DeValue<'a>>) {
        let text = value.get_ref().as_str().unwrap_or_default();
        self.context.note(format!("{}.{key}", self.path), text);
    }

    fn as_text(&self, key: &str, value: Spanned<DeValue<'a>>) -> Option<At<Text>> {
        let span = value.span();
        let written: Cow<'a, str> = match value.into_inner() {
            DeValue::String(text) => text,
            other => {
                self.mistyped(span, key, "a string", &other);
                return None;
            }
        };
        match substitution::fill(&written, self.context.surroundings.env) {
            Ok(value) => Some(At { value, span }),
            Err(wrong) => {
                for (message, hint) in wrong {
                    self.wrong(span.clone(), Some(key), message, Some(hint));
                }
                None
            }
        }
    }

    fn unit<T>(
        &self,
        key: &str,
        value: Spanned<DeValue<'a>>,
        message: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let text = self.as_text(key, value)?;
        match read(&text.value.value) {
            Ok(value) => Some(At { value, span: text.span }),
            Err(hint) => {
                self.wrong(text.span, Some(key), format!("{:?} {message}", text.value.written), Some(hint));
                None
            }
        }
    }

    fn bounded<T: PartialOrd>(
        &self,
        key: &str,
        value: At<T>,
        bound: Bound<T>,
        show: impl Fn(&T) -> String,
    ) -> Option<At<T>> {
        if value.value >= bound.least && value.value <= bound.most {
            return Some(value);
        }
        let side = if value.value < bound.least { "below the least" } else { "above the most" };
        let hint = format!("from {} to {}; default {}", show(&bound.least), show(&bound.most), show(&bound.default));
        self.wrong(value.span, Some(key), format!("{} is {side}", show(&value.value)), Some(hint));
        None
    }

    fn inline_secret(&self, key: &str, text: At<Text>) -> Option<At<Secret>> {
        if !(text.value.only_env && text.value.from_env) {
            let hint = format!("write \"${{NAME}}\" and set NAME in the environment, or use {key}_file");
            self.wrong(text.span, Some(key), "a secret must not stand in this file", Some(hint));
            return None;
        }
        self.sound_secret(key, &text.value.written, text.span, Secret::new(text.value.value.trim().to_owned()))
    }

    fn filed_secret(&self, key: &str, path: At<PathBuf>) -> Option<At<Secret>> {
        self.context.note_file(&path.value);
        match secret::read(&path.value) {
            Ok(text) => {
                let shown = path.value.display().to_string();
                self.sound_secret(key, &shown, path.span, Secret::of_file(text, &path.value))
            }
            Err(reason) => {
                self.unreadable(&path, key, &reason);
                None
            }
        }
    }

    /// `shown` is where it came from; the secret itself is never said.
    fn sound_secret(&self, key: &str, shown: &str, span: Span, secret: Secret) -> Option<At<Secret>> {
        match Secret::check(&secret.expose()) {
            Ok(()) => Some(At { value: secret, span }),
            Err(wrong) => {
                let hint = Some("it must hold the secret alone".to_owned());
                self.wrong(span, Some(key), format!("{shown} {wrong}"), hint);
                None
            }
        }
    }

    fn unreadable(&self, path: &At<PathBuf>, key: &str, reason: &str) {
        let hint = "the account that runs sealtrail must be able to read it".to_owned();
        let message = format!("cannot read {}: {reason}", path.value.display());
        self.wrong(path.span.clone(), Some(key), message, Some(hint));
    }

    fn mistyped(&self, span: Span, key: &str, wanted: &str, found: &DeValue<'_>) {
        let found = match found.type_str() {
            kind @ ("integer" | "array") => format!("an {kind}"),
            kind => format!("a {kind}"),
        };
        self.wrong(span, Some(key), format!("must be {wanted}, not {found}"), None);
    }

    fn untaken(&self, kind: &str, key: &str, span: Span) {
        let section = self.path.split('.').next().unwrap_or_default();
        if keys::is_later(section, key) && !self.path.contains(".tls") {
            let hint = "leave it out; the changelog says which release has it".to_owned();
            self.wrong(span, Some(key), "is not in this release yet", Some(hint));
            return;
        }
        let types = if section == "destination" { self.types_with(key) } else { Vec::new() };
        if !types.is_empty() && !kind.is_empty() {
            let message = format!("is a key of type {}; this destination is of type {kind}", and(&types));
            self.wrong(span, Some(key), message, None);
            return;
        }
        let known = || self.known.iter().copied();
        self.wrong(span, Some(key), "unknown key", Some(nearest::hint(key, known())));
    }

    fn types_with(&self, key: &str) -> Vec<&'static str> {
        match self.path.rsplit('.').next() {
            Some("tls") => keys::types_with_tls(key),
            Some("oauth2") => Vec::new(),
            _ => keys::types_with(key),
        }
    }

    fn key_span(&self, key: &str) -> Span {
        self.left.get(key).map_or_else(|| self.span(), |(span, _)| span.clone())
    }

    fn line_of(&self, key: &str) -> usize {
        self.context.line(self.key_span(key).start)
    }
}

/// `a, b and c`.
fn and(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}
