//! `[[destination]]`: the keys that all types share, and the list of types.
//!
//! A type is one file of [`self`]: its keys, how they are read, and how they are shown. What follows from the type, such as which
//! keys are right and which are another type's, follows from [`TYPES`].

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bounds::{self, Bound};
use super::fields::names;
use super::keys;
use super::nearest;
use super::plan::{Choice, Compression, DestinationKind, DestinationPlan, Only, TlsPlan, TlsVersion};
use super::section::{At, Section, Span};
use super::show::{Row, Shown, row, text};
use super::units::show_duration;
use crate::schema::Schema;
use crate::shape::Category;

mod elasticsearch;
mod azure_blob;
mod datadog;
mod file;
mod gcs;
mod http;
mod kafka;
mod objects;
mod loki;
pub(super) mod oauth2;
mod otlp;
mod s3;
mod splunk_hec;
mod stdout;
mod syslog;
mod secops;
mod sentinel;

/// A type of destination.
pub(super) struct Type {
    /// As `type` names it.
    pub name: &'static str,
    /// It takes lines, in a schema and as far as they are asked for; an archive takes closed segments as they are.
    pub takes_lines: bool,
    /// How many lines a request may have by its protocol; `None`: as many as its bytes allow.
    pub lines_max: Option<u64>,
    /// The keys that it takes beside those of every destination.
    pub keys: &'static [&'static str],
    /// The keys of its `tls`.
    pub tls: &'static [&'static str],
    /// Takes its keys; `None` when one that it needs is missing or wrong.
    pub read: fn(&mut Section<'_, '_>) -> Option<DestinationKind>,
}

impl Type {
    /// The keys of those that take lines, where it is one.
    pub fn of_lines(&self) -> &'static [&'static str] {
        if self.takes_lines { keys::DESTINATION_OF_LINES } else { &[] }
    }
}

/// Keys of `tls` where the far side asks for no certificate of ours.
const TLS: &[&str] = &["ca_file", "min_version", DANGER];
/// And where it may.
const TLS_WITH_CLIENT: &[&str] = &["ca_file", "cert_file", "key_file", "min_version", DANGER];

/// Switches off that the far side is asked who it is.
pub(super) const DANGER: &str = "danger_accept_any_certificate";

/// All types.
pub(super) const TYPES: &[Type] = &[
    file::TYPE,
    http::TYPE,
    s3::TYPE,
    gcs::TYPE,
    azure_blob::TYPE,
    splunk_hec::TYPE,
    elasticsearch::ELASTICSEARCH,
    elasticsearch::OPENSEARCH,
    stdout::TYPE,
    syslog::TYPE,
    otlp::TYPE,
    loki::TYPE,
    datadog::TYPE,
    sentinel::TYPE,
    secops::TYPE,
    kafka::TYPE,
];

/// Its keys, read; nothing filled in of those that all types share.
pub(super) struct DestinationTable {
    pub title: String,
    pub name: Option<At<String>>,
    pub required: Option<bool>,
    pub rate_limit: Option<u64>,
    pub lag_max: Option<Duration>,
    pub choice: Choice,
    pub kind: Option<DestinationKind>,
    /// Where a folder is named.
    pub folder: Option<Span>,
    /// Files of secrets and certificates that it names.
    pub files: Vec<PathBuf>,
}

/// Reads one of them.
pub(super) fn read(mut section: Section<'_, '_>) -> DestinationTable {
    // What stood before is another table's.
    drop(section.context().take_files());
    section.require("name", "name = \"archive\"");
    let types = TYPES.iter().map(|one| one.name);
    section.require("type", &format!("type is one of: {}", nearest::list(types.clone())));
    let name = super::fields::name(&mut section);
    if let Some(name) = &name {
        section.entitle(&name.value);
    }
    let choices: Vec<(&str, &Type)> = TYPES.iter().map(|one| (one.name, one)).collect();
    let chosen = section.choice("type", &choices, keys::LATER_TYPES).map(|chosen| chosen.value);
    let required = section.flag("required").map(|required| required.value);
    section.allow(keys::DESTINATION_PACE);
    let rate_limit = section.size("rate_limit", bounds::RATE_LIMIT).map(|limit| limit.value);
    let lag_max = section.duration("lag_max", bounds::LAG_MAX).map(|lag| lag.value);
    let title = section.title().to_owned();
    let folder = section.value_span("path");
    let mut lines = Choice::default();
    let in_flight = section.value_span("in_flight");
    let kind = match chosen {
        Some(chosen) => {
            section.allow(chosen.of_lines());
            section.allow(chosen.keys);
            if chosen.takes_lines {
                lines = choice(&mut section, chosen, lag_max);
            }
            (chosen.read)(&mut section)
        }
        // Without a type nobody knows which keys are right: only those that no type has are mistakes.
        None => {
            for keys in TYPES.iter().map(|one| one.keys).chain([keys::DESTINATION_OF_LINES]) {
                section.allow(keys);
                section.forget(keys);
            }
            None
        }
    };
    if let (Some(DestinationKind::Kafka(_)), Some(span), 2..) = (&kind, in_flight, lines.in_flight) {
        let hint = "leave it out; raise batch_max_bytes where the way is long".to_owned();
        section.wrong(span, Some("in_flight"), "kafka takes one batch at a time, in order", Some(hint));
    }
    let files = section.context().take_files();
    section.end(chosen.map_or("", |chosen| chosen.name));
    DestinationTable { title, name, required, rate_limit, lag_max, choice: lines, kind, folder, files }
}

/// Which lines, how they are written, and how many go at once.
fn choice(section: &mut Section<'_, '_>, kind: &Type, lag_max: Option<Duration>) -> Choice {
    let schemas = Schema::ALL.map(|schema| (schema.name(), schema));
    let schema = section.choice("schema", &schemas, &[]).map(|at| at.value).unwrap_or_default();
    let checkpoints = section.flag("checkpoints").is_none_or(|flag| flag.value);
    let only = section.table("only", keys::ONLY).map(only).unwrap_or_default();
    Choice {
        schema,
        only,
        without_checkpoints: !checkpoints,
        in_flight: in_flight(section),
        batch_max_lines: batch_max_lines(section, kind),
        batch_max_age: batch_max_age(section, lag_max),
    }
}

fn batch_max_lines(section: &mut Section<'_, '_>, kind: &Type) -> Option<u64> {
    let Some(count) = section.count("batch_max_lines") else { return kind.lines_max };
    let most = kind.lines_max.unwrap_or(bounds::BATCH_MAX_LINES);
    if !(1..=most).contains(&count.value) {
        let hint = match kind.lines_max {
            Some(_) => format!("{} takes from 1 to {most} at once, which is the default", kind.name),
            None => format!("from 1 to {most}; without it as many as batch_max_bytes allows"),
        };
        section.wrong(count.span, Some("batch_max_lines"), format!("{} lines in a batch", count.value), Some(hint));
    }
    Some(count.value)
}

/// A batch that waits must not look like a destination that takes nothing.
fn batch_max_age(section: &mut Section<'_, '_>, lag_max: Option<Duration>) -> Duration {
    let bound = bounds::BATCH_MAX_AGE;
    let Some(age) = section.duration("batch_max_age", bound) else { return bound.default };
    if let Some(lag_max) = lag_max.filter(|lag_max| *lag_max < age.value * 2) {
        let hint = format!("at most half of lag_max, which is {}", show_duration(lag_max));
        section.wrong(age.span, Some("batch_max_age"), "every batch that waits would be an alarm", Some(hint));
    }
    age.value
}

fn in_flight(section: &mut Section<'_, '_>) -> usize {
    let Some(count) = section.count("in_flight") else { return 1 };
    if (1..=bounds::IN_FLIGHT_MAX).contains(&count.value) {
        return usize::try_from(count.value).unwrap_or(1);
    }
    let hint = format!("from 1 to {}; default 1", bounds::IN_FLIGHT_MAX);
    section.wrong(count.span, Some("in_flight"), format!("{} batches at a time", count.value), Some(hint));
    1
}

fn only(mut section: Section<'_, '_>) -> Only {
    let categories: Vec<&str> = Category::ALL.iter().map(|category| category.name()).collect();
    let only = Only {
        categories: words(&mut section, "categories", &categories),
        admin: section.flag("admin").map(|flag| flag.value),
        sources: names(&mut section, "sources").unwrap_or_default(),
        databases: names(&mut section, "databases").unwrap_or_default(),
        users: names(&mut section, "users").unwrap_or_default(),
        people: names(&mut section, "people").unwrap_or_default(),
        outcomes: words(&mut section, "outcomes", &["success", "failure", "unknown"]),
    };
    section.end("");
    only
}

/// A list of words, each one of a few.
fn words(section: &mut Section<'_, '_>, key: &str, known: &[&str]) -> Vec<String> {
    let Some(list) = section.list(key) else { return Vec::new() };
    let mut words = Vec::new();
    for text in list.value {
        if known.contains(&text.value.value.as_str()) {
            words.push(text.value.value);
        } else {
            let message = format!("{:?} is none of the valid values", text.value.written);
            let hint = nearest::hint(&text.value.value, known.iter().copied());
            section.wrong(text.span, Some(key), message, Some(hint));
        }
    }
    words
}

/// The keys of a destination's type, as they are shown.
pub(super) fn rows(destination: &DestinationPlan, shown: &Shown<'_>) -> Vec<Row> {
    let of_type = match &destination.kind {
        DestinationKind::File(file) => file::rows(file),
        DestinationKind::Http(http) => http::rows(http, shown),
        DestinationKind::S3(s3) => s3::rows(s3, shown),
        DestinationKind::SplunkHec(hec) => splunk_hec::rows(hec, shown),
        DestinationKind::Elasticsearch(elastic) => elasticsearch::rows(elastic, shown),
        DestinationKind::Stdout(stdout) => stdout::rows(stdout),
        DestinationKind::Syslog(syslog) => syslog::rows(syslog, shown),
        DestinationKind::Gcs(gcs) => gcs::rows(gcs, shown),
        DestinationKind::AzureBlob(azure) => azure_blob::rows(azure, shown),
        DestinationKind::Otlp(otlp) => otlp::rows(otlp, shown),
        DestinationKind::Loki(loki) => loki::rows(loki, shown),
        DestinationKind::Datadog(datadog) => datadog::rows(datadog, shown),
        DestinationKind::Sentinel(sentinel) => sentinel::rows(sentinel, shown),
        DestinationKind::Secops(secops) => secops::rows(secops, shown),
        DestinationKind::Kafka(kafka) => kafka::rows(kafka, shown),
    };
    let takes_lines = TYPES.iter().any(|one| one.name == destination.kind.name() && one.takes_lines);
    let choice = takes_lines.then(|| choice_rows(&destination.choice));
    choice.into_iter().flatten().chain(of_type).collect()
}

fn choice_rows(choice: &Choice) -> [Row; 6] {
    let only = &choice.only;
    let lists = [
        ("categories", &only.categories),
        ("sources", &only.sources),
        ("databases", &only.databases),
        ("users", &only.users),
        ("people", &only.people),
        ("outcomes", &only.outcomes),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut shown: Map<String, Value> = lists.map(|(key, list)| (key.to_owned(), json!(list))).collect();
    shown.extend(only.admin.map(|admin| ("admin".to_owned(), json!(admin))));
    [
        row("schema", json!(choice.schema.name())),
        row("only", Value::Object(shown)),
        row("checkpoints", json!(!choice.without_checkpoints)),
        row("in_flight", json!(choice.in_flight)),
        row("batch_max_lines", json!(choice.batch_max_lines)),
        row("batch_max_age", json!(show_duration(choice.batch_max_age))),
    ]
}

/// How bodies are compressed.
fn compression(section: &mut Section<'_, '_>, default: Compression) -> Compression {
    compression_of(section, &[Compression::None, Compression::Gzip, Compression::Zstd], default)
}

/// The same, of those that the far side takes.
fn compression_of(section: &mut Section<'_, '_>, taken: &[Compression], default: Compression) -> Compression {
    let choices: Vec<_> = taken.iter().map(|one| (one.name(), *one)).collect();
    section.choice("compression", &choices, &[]).map_or(default, |at| at.value)
}

fn batch_max_bytes(section: &mut Section<'_, '_>) -> usize {
    batch_max_bytes_of(section, bounds::BATCH_MAX_BYTES)
}

/// The same, where the vendor advises another size.
fn batch_max_bytes_of(section: &mut Section<'_, '_>, bound: Bound<u64>) -> usize {
    let bytes = section.size("batch_max_bytes", bound).map(|at| at.value);
    usize::try_from(bytes.unwrap_or(bound.default)).unwrap_or(usize::MAX)
}

fn timeout(section: &mut Section<'_, '_>) -> Duration {
    section.duration("timeout", bounds::TIMEOUT).map_or(bounds::TIMEOUT.default, |at| at.value)
}

/// `tls = { … }`, of which the type says which keys there are.
fn tls(section: &mut Section<'_, '_>, kind: &Type) -> TlsPlan {
    let Some(mut section) = section.table("tls", kind.tls) else { return TlsPlan::default() };
    let mut plan = TlsPlan { ca_file: section.readable("ca_file").map(|path| path.value), ..TlsPlan::default() };
    if kind.tls.contains(&"cert_file") {
        pair(&section, "cert_file", &["key_file"]);
        plan.cert_file = section.readable("cert_file").map(|path| path.value);
        plan.key_file = section.readable("key_file").map(|path| path.value);
    }
    if kind.tls.contains(&"min_version") {
        let versions = TlsVersion::ALL.map(|version| (version.name(), version));
        plan.min_version = section.choice("min_version", &versions, &[]).map(|at| at.value).unwrap_or_default();
        plan.accept_any_certificate = accept_any_certificate(&mut section);
    }
    section.end(kind.name);
    plan
}

/// Beside an authority it would be one of two orders that cannot both be meant.
fn accept_any_certificate(section: &mut Section<'_, '_>) -> bool {
    let Some(flag) = section.flag(DANGER).filter(|flag| flag.value) else { return false };
    if section.has("ca_file") {
        let hint = Some("keep ca_file, which is enough for a certificate of your own".to_owned());
        section.wrong(flag.span, Some(DANGER), "is given beside ca_file", hint);
    }
    true
}

fn tls_row(tls: &TlsPlan) -> Row {
    let files = [("ca_file", &tls.ca_file), ("cert_file", &tls.cert_file), ("key_file", &tls.key_file)];
    let written =
        files.into_iter().filter_map(|(key, path)| path.as_ref().map(|path| (key.to_owned(), json!(text(path)))));
    let mut shown: Map<String, Value> = written.collect();
    if tls.min_version != TlsVersion::default() {
        shown.insert("min_version".to_owned(), json!(tls.min_version.name()));
    }
    if tls.accept_any_certificate {
        shown.insert(DANGER.to_owned(), json!(true));
    }
    row("tls", Value::Object(shown))
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
