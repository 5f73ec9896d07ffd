//! What was written: the file's tables, each value read and checked by itself, nothing filled in.
//!
//! Owns the text while it is read, and the list of mistakes. What several keys mean together is [`super::resolve`]'s.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealtrail_parsers::Format;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bounds;
use super::error::{ConfigError, Excerpt, Mistake};
use super::keys;
use super::nearest;
use super::plan::{Compression, StartAt};
use super::secret::Secret;
use super::section::{At, Section, Span};
use super::units;
use super::{Surroundings, Written};

/// The whole file.
#[derive(Default)]
pub(super) struct File {
    pub agent: AgentTable,
    pub sources: Vec<SourceTable>,
    pub seal: SealTable,
    pub health: HealthTable,
    pub destinations: Vec<DestinationTable>,
}

/// `[agent]`.
#[derive(Default)]
pub(super) struct AgentTable {
    pub name: Option<At<String>>,
    pub origin: Option<At<String>>,
    pub state_dir: Option<At<PathBuf>>,
    pub journal_max_bytes: Option<At<u64>>,
    pub record_max_bytes: Option<At<u64>>,
    pub poll_interval: Option<At<Duration>>,
}

/// `[[source]]`.
pub(super) struct SourceTable {
    pub title: String,
    pub name: Option<At<String>>,
    pub paths: Vec<At<String>>,
    pub exclude: Vec<At<String>>,
    pub format: Option<Format>,
    pub start_at: Option<StartAt>,
    pub timezone: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// `[seal]`.
#[derive(Default)]
pub(super) struct SealTable {
    pub interval: Option<At<Duration>>,
    pub heartbeat: Option<At<Duration>>,
    pub segment_max_bytes: Option<At<u64>>,
    pub segment_max_age: Option<At<Duration>>,
}

/// `[health]`.
#[derive(Default)]
pub(super) struct HealthTable {
    pub listen: Option<SocketAddr>,
    pub status_socket: Option<At<PathBuf>>,
}

/// `[[destination]]`.
pub(super) struct DestinationTable {
    pub title: String,
    pub name: Option<At<String>>,
    pub required: Option<bool>,
    pub kind: Option<KindTable>,
}

/// The keys of a destination's type.
pub(super) enum KindTable {
    File(Option<At<PathBuf>>),
    Http(Box<HttpTable>),
    S3(Box<S3Table>),
}

/// `type = "http"`.
pub(super) struct HttpTable {
    pub url: Option<String>,
    pub headers: BTreeMap<String, Secret>,
    pub token: Option<Secret>,
    pub tls: TlsTable,
    pub compression: Option<Compression>,
    pub batch_max_bytes: Option<u64>,
    pub timeout: Option<Duration>,
}

/// `type = "s3"`.
pub(super) struct S3Table {
    pub bucket: Option<String>,
    pub prefix: Option<String>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub path_style: Option<bool>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub tls: TlsTable,
    pub timeout: Option<Duration>,
}

/// `tls = { … }`.
#[derive(Default)]
pub(super) struct TlsTable {
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

/// The file while it is read: its text, its surroundings, and what is wrong with it so far.
pub(super) struct Context<'a> {
    text: &'a str,
    file: &'a Path,
    pub surroundings: Surroundings<'a>,
    /// With the byte at which each begins.
    mistakes: RefCell<Vec<(usize, Mistake)>>,
    written: RefCell<BTreeMap<String, String>>,
}

impl<'a> Context<'a> {
    pub fn new(file: &'a Path, text: &'a str, surroundings: Surroundings<'a>) -> Self {
        Context { text, file, surroundings, mistakes: RefCell::default(), written: RefCell::default() }
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

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.position(at).0
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

    fn syntax(&self, error: &toml::de::Error) {
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
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
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

/// Reads every table. `None` when the text is no TOML: then nothing more can be said of it.
pub(super) fn parse(context: &Context<'_>) -> Option<File> {
    let (mut top, span) = top(context)?;
    let mut file = File::default();
    if let Some(section) = single(context, &mut top, "agent", keys::AGENT) {
        file.agent = agent(section);
    }
    file.sources = many(context, &mut top, "source", keys::SOURCE).into_iter().map(source).collect();
    if let Some(section) = single(context, &mut top, "seal", keys::SEAL) {
        file.seal = seal(section);
    }
    if let Some(section) = single(context, &mut top, "health", keys::HEALTH) {
        file.health = health(section);
    }
    file.destinations =
        many(context, &mut top, "destination", keys::DESTINATION).into_iter().map(destination).collect();
    if !top.present("source") {
        let hint = "add [[source]] with a name and paths = [\"/var/log/postgresql/*.csv\"]".to_owned();
        context.wrong(span, "", None, "no [[source]]: there is nothing to read", Some(hint));
    }
    unknown_tables(context, top);
    Some(file)
}

/// Reads only the two keys that say where the agent keeps its state.
pub(super) fn parse_whereabouts(context: &Context<'_>) -> Option<(AgentTable, HealthTable)> {
    let (mut top, _) = top(context)?;
    let mut agent = AgentTable::default();
    let mut health = HealthTable::default();
    if let Some(mut section) = single(context, &mut top, "agent", keys::AGENT) {
        agent.state_dir = section.absolute("state_dir");
    }
    if let Some(mut section) = single(context, &mut top, "health", keys::HEALTH) {
        health.status_socket = section.absolute("status_socket");
    }
    Some((agent, health))
}

/// The tables that nobody took yet, and the names of all.
struct Top<'a> {
    left: BTreeMap<String, (Span, Spanned<DeValue<'a>>)>,
    names: Vec<String>,
}

impl Top<'_> {
    fn present(&self, name: &str) -> bool {
        self.names.iter().any(|present| present == name)
    }
}

fn top<'a>(context: &Context<'a>) -> Option<(Top<'a>, Span)> {
    let (table, errors) = DeTable::parse_recoverable(context.text);
    errors.iter().for_each(|error| context.syntax(error));
    // A key given twice leaves the rest of the tree as it was written; after any other error it is a guess.
    if errors.iter().any(|error| error.message() != "duplicate key") {
        return None;
    }
    let left: BTreeMap<_, _> =
        table.into_inner().into_iter().map(|(key, value)| (key.get_ref().to_string(), (key.span(), value))).collect();
    let names = left.keys().cloned().collect();
    Some((Top { left, names }, 0..0))
}

fn single<'c, 'a>(
    context: &'c Context<'a>,
    top: &mut Top<'a>,
    name: &str,
    known: &[&'static str],
) -> Option<Section<'c, 'a>> {
    let (span, value) = top.left.remove(name)?;
    let names = (format!("[{name}]"), name.to_owned());
    match value.into_inner() {
        DeValue::Table(table) => Some(Section::new(context, names, span, table, known)),
        DeValue::Array(_) => {
            let hint = Some(format!("write [{name}], once"));
            context.wrong(span, &names.0, None, "is one table, not a list of tables", hint);
            None
        }
        other => {
            let message = format!("is a table, not a value of type {}", other.type_str());
            context.wrong(span, &names.0, None, message, Some(format!("write [{name}] on a line of its own")));
            None
        }
    }
}

fn many<'c, 'a>(
    context: &'c Context<'a>,
    top: &mut Top<'a>,
    name: &str,
    known: &[&'static str],
) -> Vec<Section<'c, 'a>> {
    let Some((key_span, value)) = top.left.remove(name) else { return Vec::new() };
    let title = format!("[[{name}]]");
    let hint = Some(format!("write [[{name}]] with two brackets: there may be several"));
    let items = match value.into_inner() {
        DeValue::Array(items) => items,
        table @ DeValue::Table(_) => {
            context.wrong(key_span.clone(), &title, None, "is a list of tables, not one table", hint.clone());
            [Spanned::new(key_span, table)].into_iter().collect()
        }
        other => {
            context.wrong(
                key_span,
                &title,
                None,
                format!("must be tables, not a value of type {}", other.type_str()),
                hint,
            );
            return Vec::new();
        }
    };
    let mut sections = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let span = item.span();
        match item.into_inner() {
            DeValue::Table(table) => {
                let names = (title.clone(), format!("{name}.{index}"));
                sections.push(Section::new(context, names, span, table, known));
            }
            _ => context.wrong(span, &title, None, "must be a table", hint.clone()),
        }
    }
    sections
}

fn unknown_tables(context: &Context<'_>, top: Top<'_>) {
    for (name, (span, value)) in top.left {
        let title = if value.get_ref().is_table() { format!("[{name}]") } else { name.clone() };
        if keys::is_later("", &name) {
            let hint = "leave it out; the changelog says which release has it".to_owned();
            context.wrong(span, "", Some(&title), "is not in this release yet", Some(hint));
        } else if name == "log" {
            let hint = "the log is set by SEALTRAIL_LOG, --log-format and -v".to_owned();
            context.wrong(span, "", Some(&title), "unknown table", Some(hint));
        } else if value.get_ref().is_table() || value.get_ref().is_array() {
            context.wrong(
                span,
                "",
                Some(&title),
                "unknown table",
                Some(nearest::hint(&name, keys::TOP.iter().copied())),
            );
        } else {
            let hint = "put it below the table that it belongs to, such as [agent]".to_owned();
            context.wrong(span, "", Some(&title), "unknown key at the top of the file", Some(hint));
        }
    }
}

fn agent(mut section: Section<'_, '_>) -> AgentTable {
    let table = AgentTable {
        name: name(&mut section),
        origin: origin(&mut section),
        state_dir: section.absolute("state_dir"),
        journal_max_bytes: section.size("journal_max_bytes", bounds::JOURNAL_MAX_BYTES),
        record_max_bytes: section.size("record_max_bytes", bounds::RECORD_MAX_BYTES),
        poll_interval: section.duration("poll_interval", bounds::POLL_INTERVAL),
    };
    section.end("");
    table
}

fn source(mut section: Section<'_, '_>) -> SourceTable {
    section.require("name", "name = \"orders-pg\"");
    section.require("paths", "paths = [\"/var/log/postgresql/*.csv\"]");
    let name = name(&mut section);
    if let Some(name) = &name {
        section.entitle(&name.value);
    }
    let table = SourceTable {
        title: section.title().to_owned(),
        name,
        paths: paths(&mut section),
        exclude: exclude(&mut section),
        format: format(&mut section),
        start_at: section
            .choice("start_at", &[("beginning", StartAt::Beginning), ("end", StartAt::End)], &[])
            .map(|at| at.value),
        timezone: timezone(&mut section),
        labels: labels(&mut section),
    };
    section.end("");
    table
}

fn seal(mut section: Section<'_, '_>) -> SealTable {
    let table = SealTable {
        interval: section.duration("interval", bounds::SEAL_INTERVAL),
        heartbeat: section.duration("heartbeat", bounds::SEAL_HEARTBEAT),
        segment_max_bytes: section.size("segment_max_bytes", bounds::SEGMENT_MAX_BYTES),
        segment_max_age: section.duration("segment_max_age", bounds::SEGMENT_MAX_AGE),
    };
    section.end("");
    table
}

fn health(mut section: Section<'_, '_>) -> HealthTable {
    let table = HealthTable { listen: listen(&mut section), status_socket: section.absolute("status_socket") };
    section.end("");
    table
}

fn destination(mut section: Section<'_, '_>) -> DestinationTable {
    section.require("name", "name = \"archive\"");
    let types = keys::DESTINATION_TYPES.iter().map(|(kind, _)| *kind);
    section.require("type", &format!("type is one of: {}", nearest::list(types.clone())));
    let name = name(&mut section);
    if let Some(name) = &name {
        section.entitle(&name.value);
    }
    let choices: Vec<(&str, &str)> = types.map(|kind| (kind, kind)).collect();
    let kind = section.choice("type", &choices, keys::LATER_TYPES).map(|kind| kind.value);
    let required = section.flag("required").map(|required| required.value);
    section.allow(keys::type_keys(kind.unwrap_or_default()));
    let title = section.title().to_owned();
    let kind_table = match kind {
        Some("file") => Some(KindTable::File(file(&mut section))),
        Some("http") => Some(KindTable::Http(Box::new(http(&mut section)))),
        Some("s3") => Some(KindTable::S3(Box::new(s3(&mut section)))),
        // Without a type nobody knows which keys are right: only those that no type has are mistakes.
        _ => {
            for (_, keys) in keys::DESTINATION_TYPES {
                section.allow(keys);
                section.forget(keys);
            }
            None
        }
    };
    section.end(kind.unwrap_or_default());
    DestinationTable { title, name, required, kind: kind_table }
}

fn file(section: &mut Section<'_, '_>) -> Option<At<PathBuf>> {
    section.require("path", "path = \"/srv/sealtrail\": a folder");
    section.absolute("path")
}

fn http(section: &mut Section<'_, '_>) -> HttpTable {
    section.require("url", "url = \"https://collector.example/ingest\"");
    let compressions = [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    let token = section.secret("token").map(|token| token.value);
    HttpTable {
        url: url(section, "url"),
        headers: headers(section),
        token,
        tls: tls(section, "http"),
        compression: section.choice("compression", &compressions, &[]).map(|compression| compression.value),
        batch_max_bytes: section.size("batch_max_bytes", bounds::BATCH_MAX_BYTES).map(|size| size.value),
        timeout: section.duration("timeout", bounds::TIMEOUT).map(|timeout| timeout.value),
    }
}

fn s3(section: &mut Section<'_, '_>) -> S3Table {
    section.require("bucket", "bucket = \"acme-audit\"");
    pair(section, "access_key_id", &["secret_access_key", "secret_access_key_file"]);
    S3Table {
        bucket: bucket(section),
        prefix: section.text("prefix").map(|prefix| prefix.value.value.trim_matches('/').to_owned()),
        region: filled(section, "region"),
        endpoint: url(section, "endpoint"),
        path_style: section.flag("path_style").map(|flag| flag.value),
        access_key_id: filled(section, "access_key_id"),
        secret_access_key: section.secret("secret_access_key").map(|secret| secret.value),
        tls: tls(section, "s3"),
        timeout: section.duration("timeout", bounds::TIMEOUT).map(|timeout| timeout.value),
    }
}

fn tls(section: &mut Section<'_, '_>, kind: &str) -> TlsTable {
    let Some(mut section) = section.table("tls", keys::tls_keys(kind)) else { return TlsTable::default() };
    let mut table = TlsTable { ca_file: section.readable("ca_file").map(|path| path.value), ..TlsTable::default() };
    if kind == "http" {
        pair(&section, "cert_file", &["key_file"]);
        table.cert_file = section.readable("cert_file").map(|path| path.value);
        table.key_file = section.readable("key_file").map(|path| path.value);
    }
    section.end(kind);
    table
}

/// `one` needs any of `others`, and they need it.
fn pair(section: &Section<'_, '_>, one: &str, others: &[&str]) {
    let other = others.iter().find(|other| section.has(other));
    match (section.has(one), other) {
        (true, None) => section.require(others[0], &format!("{one} needs it")),
        (false, Some(other)) => section.require(one, &format!("{other} needs it")),
        _ => {}
    }
}

/// `[A-Za-z0-9._-]+`: it becomes part of a file's name.
fn name(section: &mut Section<'_, '_>) -> Option<At<String>> {
    let text = section.text("name")?;
    let name = &text.value.value;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let hint = if name.is_empty() || name.len() > bounds::NAME_MAX_BYTES {
        format!("1 to {} characters", bounds::NAME_MAX_BYTES)
    } else if !name.chars().all(valid) || name.starts_with(['.', '-']) {
        "letters, digits, dot, underscore and dash; the first is no dot or dash".to_owned()
    } else {
        return Some(At { value: text.value.value, span: text.span });
    };
    section.wrong(text.span, Some("name"), format!("{:?} cannot be a name", text.value.written), Some(hint));
    None
}

/// One line of a C2SP note, without what the note's format gives a meaning to.
fn origin(section: &mut Section<'_, '_>) -> Option<At<String>> {
    let text = section.text("origin")?;
    let origin = &text.value.value;
    let parts_ok = origin.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let hint = if origin.is_empty() || origin.len() > bounds::ORIGIN_MAX_BYTES {
        format!("1 to {} bytes", bounds::ORIGIN_MAX_BYTES)
    } else if origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
        "without blanks and without +".to_owned()
    } else if !parts_ok {
        "no empty part, no . and no .. between the slashes".to_owned()
    } else {
        return Some(At { value: text.value.value, span: text.span });
    };
    let hint = format!("{hint}; org/cluster/host, such as \"acme/prod/orders-db-1\"");
    section.wrong(text.span, Some("origin"), format!("{:?} cannot name a trail", text.value.written), Some(hint));
    None
}

fn paths(section: &mut Section<'_, '_>) -> Vec<At<String>> {
    let Some(paths) = section.list("paths") else { return Vec::new() };
    if paths.value.is_empty() {
        let hint = Some("name at least one file or pattern".to_owned());
        section.wrong(paths.span, Some("paths"), "is empty", hint);
    }
    paths
        .value
        .into_iter()
        .filter_map(|text| glob(section, "paths", text.value.value, &text.value.written, text.span))
        .collect()
}

/// A pattern without a slash leaves out files of that name in every folder.
fn exclude(section: &mut Section<'_, '_>) -> Vec<At<String>> {
    let Some(patterns) = section.list("exclude") else { return Vec::new() };
    let mut globs = Vec::new();
    for text in patterns.value {
        let pattern = text.value.value;
        let pattern = if pattern.contains('/') { pattern } else { format!("/**/{pattern}") };
        globs.extend(glob(section, "exclude", pattern, &text.value.written, text.span));
    }
    globs
}

fn glob(section: &Section<'_, '_>, key: &str, pattern: String, written: &str, span: Span) -> Option<At<String>> {
    if written.is_empty() {
        section.wrong(span, Some(key), "an empty pattern", Some("take it out".to_owned()));
        return None;
    }
    if !pattern.starts_with('/') {
        let folder = section.context().folder().join(&written);
        let hint = if folder.is_absolute() {
            format!("such as {:?}", folder.display().to_string())
        } else {
            "start it with /".to_owned()
        };
        section.wrong(span, Some(key), format!("{written:?} is not an absolute path"), Some(hint));
        return None;
    }
    match glob::Pattern::new(&pattern) {
        Ok(_) => Some(At { value: pattern, span }),
        Err(error) => {
            let hint = Some("*, ?, [a-z] and ** between slashes; [[] for a literal [".to_owned());
            section.wrong(span, Some(key), format!("{written:?} is no pattern: {}", error.msg), hint);
            None
        }
    }
}

/// `None` is `auto`.
fn format(section: &mut Section<'_, '_>) -> Option<Format> {
    let mut choices = vec![("auto", None)];
    choices.extend(Format::ALL.into_iter().map(|format| (format.name(), Some(format))));
    section.choice("format", &choices, keys::LATER_FORMATS).and_then(|format| format.value)
}

fn timezone(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("timezone")?;
    let zones = jiff::tz::db();
    if let Ok(zone) = zones.get(&text.value.value) {
        return zone.iana_name().map(str::to_owned);
    }
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let hint = match nearest::nearest(&text.value.value, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name}?"),
        None => "a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
    };
    section.wrong(text.span, Some("timezone"), format!("{:?} is no time zone", text.value.written), Some(hint));
    None
}

fn labels(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let span = section.span();
    let Some(labels) = section.strings("labels") else { return BTreeMap::new() };
    if labels.len() > bounds::LABELS_MAX {
        section.wrong(span, Some("labels"), format!("more than {} labels", bounds::LABELS_MAX), None);
    }
    let mut kept = BTreeMap::new();
    for (name, text) in labels {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.value.is_empty() || name.value.len() > bounds::NAME_MAX_BYTES || !name.value.chars().all(valid) {
            let hint = format!("1 to {} letters, digits, dots, underscores and dashes", bounds::NAME_MAX_BYTES);
            section.wrong(name.span, Some("labels"), format!("{:?} cannot be a label's name", name.value), Some(hint));
        } else if text.value.value.len() > bounds::LABEL_MAX_BYTES {
            let message = format!("the value of {} is longer than {} bytes", name.value, bounds::LABEL_MAX_BYTES);
            section.wrong(text.span, Some("labels"), message, None);
        } else {
            kept.insert(name.value, text.value.value);
        }
    }
    kept
}

fn listen(section: &mut Section<'_, '_>) -> Option<SocketAddr> {
    let text = section.text("listen")?;
    match text.value.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let hint = Some("an IP address and a port, such as \"127.0.0.1:9465\" or \"[::1]:9465\"".to_owned());
            section.wrong(text.span, Some("listen"), format!("{:?} is no address", text.value.written), hint);
            None
        }
    }
}

/// The message shows the URL as it was written: a variable in it may be a secret.
fn url(section: &mut Section<'_, '_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    let example = "such as \"https://collector.example/ingest\"";
    // What cannot be taken apart is not shown either where a password may stand in it.
    let shown = if text.value.written.contains('@') { "it".to_owned() } else { format!("{:?}", text.value.written) };
    let (message, hint) = match reqwest::Url::parse(&text.value.value) {
        Err(error) => (format!("{shown} is no URL: {error}"), example.to_owned()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            (format!("{shown} is neither https:// nor http://"), example.to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let keys =
                if key == "url" { "token, token_file or headers" } else { "access_key_id and secret_access_key" };
            ("a URL must not hold a user or password".to_owned(), format!("use {keys}"))
        }
        Ok(url) if url.fragment().is_some() => {
            ("a URL with a fragment".to_owned(), "leave out # and what follows".to_owned())
        }
        Ok(_) => return Some(text.value.value),
    };
    section.wrong(text.span, Some(key), message, Some(hint));
    None
}

fn bucket(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("bucket")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bucket = &text.value.value;
    if (3..=63).contains(&bucket.len()) && bucket.chars().all(valid) {
        return Some(text.value.value);
    }
    let hint = "3 to 63 letters, digits, dots and dashes; the folder within it is prefix".to_owned();
    section.wrong(text.span, Some("bucket"), format!("{:?} cannot be a bucket", text.value.written), Some(hint));
    None
}

/// A string that is not empty.
fn filled(section: &mut Section<'_, '_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    if text.value.value.trim().is_empty() {
        section.wrong(text.span, Some(key), "is empty", Some("leave the key out".to_owned()));
        return None;
    }
    Some(text.value.value)
}

fn headers(section: &mut Section<'_, '_>) -> BTreeMap<String, Secret> {
    let has_token = section.has("token") || section.has("token_file");
    let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
    for (name, text) in section.strings("headers").unwrap_or_default() {
        let lower = name.value.to_ascii_lowercase();
        let at = name.span.clone();
        let wrong = if reqwest::header::HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            Some((at, "cannot be a header's name", "letters, digits and dashes".to_owned()))
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            Some((at, "is set by sealtrail itself", "take it out".to_owned()))
        } else if lower == "authorization" && has_token {
            Some((at, "would be sent beside token", "keep one of them".to_owned()))
        } else if headers.keys().any(|other| other.eq_ignore_ascii_case(&lower)) {
            Some((at, "is there already, in other case", "keep one of them".to_owned()))
        } else if looks_secret(&lower) && !text.value.from_env {
            let hint = format!("write {} = \"${{NAME}}\" and set NAME in the environment", name.value);
            Some((text.span, "a secret must not stand in this file", hint))
        } else if reqwest::header::HeaderValue::from_str(&text.value.value).is_err() {
            Some((text.span, "its value cannot be sent in a header", "one line of visible characters".to_owned()))
        } else {
            None
        };
        match wrong {
            Some((span, message, hint)) => {
                section.wrong(span, Some("headers"), format!("{}: {message}", name.value), Some(hint));
            }
            None => {
                headers.insert(name.value, Secret::new(text.value.value));
            }
        }
    }
    headers
}

/// What the HTTP destination says of its own body.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
];

/// Words in the name of a header or key whose value is likely a secret.
fn looks_secret(name: &str) -> bool {
    let words = ["auth", "token", "secret", "password", "passwd", "cookie", "credential", "key", "signature"];
    words.iter().any(|word| name.contains(word))
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
