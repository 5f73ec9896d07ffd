//! What was written: the file's tables, each value read and checked by itself, nothing filled in.
//!
//! Values with rules of their own are [`super::fields`]'s; what several keys mean together is [`super::resolve`]'s.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::postgres_prefix::Prefix;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bounds;
use super::destination::{self, DestinationTable};
use super::fields::{
    exclude, format, labels, listen, log_line_prefix, name, names, origin, paths, quiet_after, timezone,
};
use super::format_name::FormatName;
use super::identity::{IdentityTable, identity};
use super::keys;
use super::nearest;
use super::plan::{QuietAfter, StartAt};
use super::redact::{RedactTable, redact};
use super::section::{At, Section, Span};
use super::text::Context;

/// The whole file.
#[derive(Default)]
pub(super) struct File {
    pub agent: AgentTable,
    pub sources: Vec<SourceTable>,
    pub classify: ClassifyTable,
    pub identity: IdentityTable,
    pub redact: RedactTable,
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
    pub format: Option<FormatName>,
    pub prefix: Option<Arc<Prefix>>,
    pub start_at: Option<StartAt>,
    pub timezone: Option<String>,
    pub quiet_after: Option<QuietAfter>,
    pub labels: BTreeMap<String, String>,
}

/// `[classify]`.
#[derive(Default)]
pub(super) struct ClassifyTable {
    pub admin_roles: Option<Vec<String>>,
    pub admin_schemas: Option<Vec<String>>,
    pub admin_applications: Option<Vec<String>>,
    pub break_glass_roles: Option<Vec<String>>,
    pub break_glass_applications: Option<Vec<String>>,
    pub bulk_rows: Option<u64>,
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

/// Reads every table. `None` when the text is no TOML: then nothing more can be said of it.
pub(super) fn parse(context: &Context<'_>) -> Option<File> {
    let (mut top, span) = top(context)?;
    let mut file = File::default();
    if let Some(section) = single(context, &mut top, "agent", keys::AGENT) {
        file.agent = agent(section);
    }
    file.sources = many(context, &mut top, "source", keys::SOURCE).into_iter().map(source).collect();
    if let Some(section) = single(context, &mut top, "classify", keys::CLASSIFY) {
        file.classify = classify(section);
    }
    if let Some(section) = single(context, &mut top, "identity", keys::IDENTITY) {
        file.identity = identity(section);
    }
    if let Some(section) = single(context, &mut top, "redact", keys::REDACT) {
        file.redact = redact(section);
    }
    if let Some(section) = single(context, &mut top, "seal", keys::SEAL) {
        file.seal = seal(section);
    }
    if let Some(section) = single(context, &mut top, "health", keys::HEALTH) {
        file.health = health(section);
    }
    file.destinations =
        many(context, &mut top, "destination", keys::DESTINATION).into_iter().map(destination::read).collect();
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
        prefix: log_line_prefix(&mut section),
        start_at: section
            .choice("start_at", &[("beginning", StartAt::Beginning), ("end", StartAt::End)], &[])
            .map(|at| at.value),
        timezone: timezone(&mut section),
        quiet_after: quiet_after(&mut section),
        labels: labels(&mut section),
    };
    section.end("");
    table
}

fn classify(mut section: Section<'_, '_>) -> ClassifyTable {
    let table = ClassifyTable {
        admin_roles: names(&mut section, "admin_roles"),
        admin_schemas: names(&mut section, "admin_schemas"),
        admin_applications: names(&mut section, "admin_applications"),
        break_glass_roles: names(&mut section, "break_glass_roles"),
        break_glass_applications: names(&mut section, "break_glass_applications"),
        bulk_rows: section.count("bulk_rows").map(|rows| rows.value),
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
