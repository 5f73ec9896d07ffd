//! The plan, printed: for a person and for a machine, from one list of rows, so that neither can say what the other does not.
//!
//! Values are spelled as the file would spell them. A secret is `***`; what came from a variable is shown by the variable's
//! name where it could be a secret.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::destination;
use super::format_name::FormatName;
use super::plan::{IdentityPlan, Plan, QuietAfter, SourcePlan, StartAt};
use super::units::{show_about, show_duration, show_size};
use super::{Matches, Reading, Warning};
use crate::redact::policy::{Rule, Table as Named};

/// For a person: every value, `(default)` beside those that the file did not write.
pub fn human(reading: &Reading, found: &[Matches], warnings: &[Warning]) -> String {
    let mut out = format!("plan of {}, sha256 {}\n", reading.path.display(), reading.plan.sha256);
    for table in tables(reading) {
        section(&mut out, &table, reading);
        if let Some(found) =
            table.path.strip_prefix("source.").and_then(|index| found.get(index.parse::<usize>().ok()?))
        {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {:<WIDTH$}  {}", "matches now", show_matches(found));
        }
    }
    for warning in warnings {
        let _ = write!(out, "\nwarning: {}: {}\n  hint: {}\n", warning.about, warning.message, warning.hint);
    }
    out
}

/// For a machine: the file's own shape, with every value filled in.
pub fn json(reading: &Reading, found: &[Matches], warnings: &[Warning]) -> Value {
    let mut out = Map::new();
    let mut defaults = Vec::new();
    out.insert("config".to_owned(), json!({ "path": text(&reading.path), "sha256": reading.plan.sha256 }));
    for table in tables(reading) {
        let mut object = Map::new();
        for row in &table.rows {
            if row.is_default(&table, reading) {
                defaults.push(json!(format!("{}.{}", table.path, row.key)));
            }
            object.insert(row.key.to_owned(), row.value.clone());
        }
        match table.path.split_once('.') {
            None => {
                out.insert(table.path, Value::Object(object));
            }
            Some((kind, index)) => {
                if let Some(found) =
                    index.parse().ok().and_then(|index: usize| found.get(index)).filter(|_| kind == "source")
                {
                    object.insert("matches".to_owned(), matches_json(found));
                }
                let list = out.entry(format!("{kind}s")).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(Value::Object(object));
                }
            }
        }
    }
    out.insert("defaults".to_owned(), Value::Array(defaults));
    let warnings = warnings.iter().map(|w| json!({ "about": w.about, "message": w.message, "hint": w.hint }));
    out.insert("warnings".to_owned(), warnings.collect());
    Value::Object(out)
}

/// Column of the values.
const WIDTH: usize = 24;

/// One table of the file, filled in.
struct Table {
    title: String,
    path: String,
    rows: Vec<Row>,
}

pub(super) struct Row {
    key: &'static str,
    value: Value,
    /// Beside the value, for a person.
    note: String,
    /// No key has it: it was counted.
    is_counted: bool,
}

impl Row {
    fn is_default(&self, table: &Table, reading: &Reading) -> bool {
        let key = format!("{}.{}", table.path, self.key);
        !(self.is_counted || reading.written.holds(&key) || reading.written.holds(&format!("{key}_file")))
    }
}

fn section(out: &mut String, table: &Table, reading: &Reading) {
    let _ = writeln!(out, "\n{}", table.title);
    for row in &table.rows {
        let default = if row.is_default(table, reading) { "  (default)" } else { "" };
        let value = plain(&row.value);
        let _ = writeln!(out, "  {:<WIDTH$}  {value}{}{default}", row.key, row.note);
    }
}

fn tables(reading: &Reading) -> Vec<Table> {
    let plan = &reading.plan;
    let mut tables = vec![agent(plan)];
    tables.extend(plan.sources.iter().enumerate().map(source));
    tables.push(classify(plan));
    tables.extend(plan.identity.as_ref().map(identity));
    tables.extend(redact(plan));
    tables.push(seal(plan));
    tables.push(health(plan));
    tables.extend((0..plan.destinations.len()).map(|index| destination_table(reading, index)));
    tables
}

fn agent(plan: &Plan) -> Table {
    let agent = &plan.agent;
    let rows = vec![
        row("name", json!(agent.name)),
        row("origin", json!(agent.origin)),
        row("state_dir", json!(text(&agent.state_dir))),
        row("journal_max_bytes", json!(show_size(agent.journal_max_bytes))),
        row("record_max_bytes", json!(show_size(agent.record_max_bytes as u64))),
        row("poll_interval", json!(show_duration(agent.poll_interval))),
    ];
    Table { title: "[agent]".to_owned(), path: "agent".to_owned(), rows }
}

fn source((index, source): (usize, &SourcePlan)) -> Table {
    let start_at = match source.start_at {
        StartAt::Beginning => "beginning",
        StartAt::End => "end",
    };
    let quiet_after = match source.quiet_after {
        QuietAfter::Habit => "auto".to_owned(),
        QuietAfter::Off => "off".to_owned(),
        QuietAfter::Duration(duration) => show_duration(duration),
    };
    let format = source.format.map(|format| FormatName { format, inside: source.inside }.to_string());
    let rows = vec![
        row("name", json!(source.name)),
        row("paths", json!(source.paths)),
        row("exclude", json!(source.exclude)),
        row("format", json!(format.as_deref().unwrap_or("auto"))),
        row("log_line_prefix", json!(source.prefix.as_ref().map(|prefix| prefix.as_str()))),
        row("start_at", json!(start_at)),
        row("timezone", json!(source.timezone)),
        row("quiet_after", json!(quiet_after)),
        row("labels", json!(source.labels)),
    ];
    Table { title: format!("[[source]] {}", source.name), path: format!("source.{index}"), rows }
}

fn classify(plan: &Plan) -> Table {
    let classify = &plan.classify;
    let rows = vec![
        row("admin_roles", json!(classify.admin_roles)),
        row("admin_schemas", json!(classify.admin_schemas)),
        row("admin_applications", json!(classify.admin_applications)),
        row("break_glass_roles", json!(classify.break_glass_roles)),
        row("break_glass_applications", json!(classify.break_glass_applications)),
        row("bulk_rows", json!(classify.bulk_rows)),
    ];
    Table { title: "[classify]".to_owned(), path: "classify".to_owned(), rows }
}

fn redact(plan: &Plan) -> Vec<Table> {
    let redact = &plan.redact;
    let arguments = redact.secret_arguments.iter().map(|(name, arguments)| {
        let numbers: Vec<_> = arguments.iter().map(u8::to_string).collect();
        format!("{name}({})", numbers.join(", "))
    });
    let detectors: Vec<_> = redact.detectors.kinds.iter().map(|kind| kind.name()).collect();
    let patterns: serde_json::Map<_, _> = redact
        .detectors
        .patterns
        .iter()
        .map(|pattern| (pattern.name().to_owned(), json!(pattern.regex.as_str())))
        .collect();
    let rows = vec![
        row("secret_names", json!(redact.secret_names)),
        row("secret_arguments", json!(arguments.collect::<Vec<_>>())),
        row("literals", json!(redact.policy.otherwise.literals.name())),
        row("parameters", json!(redact.policy.otherwise.parameters.name())),
        row("detectors", json!(detectors)),
        row("patterns", json!(patterns)),
        row("personal_names", json!(redact.personal_names)),
    ];
    let whole = Table { title: "[redact]".to_owned(), path: "redact".to_owned(), rows };
    std::iter::once(whole).chain(redact.policy.rules.iter().enumerate().map(redact_rule)).collect()
}

fn redact_rule((index, rule): (usize, &Rule)) -> Table {
    let rows = vec![
        row("sources", json!(rule.sources)),
        row("categories", json!(rule.categories.iter().map(|category| category.name()).collect::<Vec<_>>())),
        row("tables", json!(rule.tables.iter().map(Named::name).collect::<Vec<_>>())),
        row("literals", json!(rule.treatments.literals.name())),
        row("parameters", json!(rule.treatments.parameters.name())),
    ];
    Table { title: "[[redact.rule]]".to_owned(), path: format!("redact.rule.{index}"), rows }
}

fn identity(identity: &IdentityPlan) -> Table {
    let (directory, carriers) = (&identity.loaded.directory, &identity.carriers);
    let columns: BTreeMap<&str, &str> = identity
        .loader
        .columns
        .iter()
        .map(|(name, meaning)| (name.as_str(), meaning.as_deref().unwrap_or_default()))
        .collect();
    let grants_note = match identity.loader.grants.is_empty() {
        true => String::new(),
        false => format!("  ({} grants for this server)", directory.grants.len()),
    };
    let client_identifier = carriers.client_identifier.then_some("client_identifier");
    let variables: Vec<&str> = carriers.variables.names.iter().map(String::as_str).chain(client_identifier).collect();
    let lasts = if carriers.variables.end_with_transaction { "transaction" } else { "session" };
    let rows = vec![
        row("files", json!(identity.loader.files.iter().map(|path| text(path)).collect::<Vec<_>>())),
        Row {
            note: format!("  (directory {})", directory.version),
            is_counted: true,
            ..row("rules", json!(directory.len()))
        },
        Row {
            note: grants_note,
            ..row("grants", json!(identity.loader.grants.iter().map(|path| text(path)).collect::<Vec<_>>()))
        },
        row("grants_columns", json!(columns)),
        row("access", json!(carriers.layers.iter().map(|layer| layer.source.as_str()).collect::<Vec<_>>())),
        row("variables", json!(variables)),
        row("variables_last", json!(lasts)),
        row("connection_attributes", json!(carriers.variables.attributes)),
        row("comment_keys", json!(carriers.comment_keys)),
        row("applications", json!(carriers.applications.iter().map(ToString::to_string).collect::<Vec<_>>())),
        row("trust", json!(carriers.trust.iter().map(|carrier| carrier.name()).collect::<Vec<_>>())),
    ];
    Table { title: "[identity]".to_owned(), path: "identity".to_owned(), rows }
}

fn seal(plan: &Plan) -> Table {
    let rows = vec![
        row("interval", json!(show_duration(plan.seal.interval))),
        row("heartbeat", json!(show_duration(plan.seal.heartbeat))),
        row("segment_max_bytes", json!(show_size(plan.seal.segment_max_bytes))),
        row("segment_max_age", json!(show_duration(plan.seal.segment_max_age))),
    ];
    Table { title: "[seal]".to_owned(), path: "seal".to_owned(), rows }
}

fn health(plan: &Plan) -> Table {
    let rows = vec![
        row("listen", json!(plan.health.listen.map(|listen| listen.to_string()))),
        row("status_socket", json!(text(&plan.health.status_socket))),
    ];
    Table { title: "[health]".to_owned(), path: "health".to_owned(), rows }
}

fn destination_table(reading: &Reading, index: usize) -> Table {
    let destination = &reading.plan.destinations[index];
    let path = format!("destination.{index}");
    let mut rows = vec![
        row("name", json!(destination.name)),
        row("type", json!(destination.kind.name())),
        row("required", json!(destination.required)),
        row("rate_limit", json!(destination.rate_limit.map(show_size))),
        row("lag_max", json!(show_duration(destination.lag_max))),
    ];
    let shown = Shown { reading, path: &path };
    rows.extend(destination::rows(destination, &shown));
    Table { title: format!("[[destination]] {}", destination.name), path, rows }
}

pub(super) fn row(key: &'static str, value: Value) -> Row {
    Row { key, value, note: String::new(), is_counted: false }
}

/// A table of the file, as it was written.
pub(super) struct Shown<'r> {
    reading: &'r Reading,
    path: &'r str,
}

impl<'r> Shown<'r> {
    /// `***`, and for a person where it came from.
    pub(super) fn secret(&self, key: &'static str, set: bool) -> Row {
        let written = |key: String| self.reading.written.text(&key);
        let from = written(format!("{}.{key}", self.path)).or_else(|| written(format!("{}.{key}_file", self.path)));
        let note = from.filter(|_| set).map(|from| format!("  (from {from})")).unwrap_or_default();
        Row { key, value: if set { json!("***") } else { Value::Null }, note, is_counted: false }
    }

    /// The value, or its text in the file when a variable stands in it: some collectors want their token within the URL.
    pub(super) fn as_written<'a>(&self, value: &'a str, key: &str) -> &'a str
    where
        'r: 'a,
    {
        self.reading.written.text(&format!("{}.{key}", self.path)).filter(|text| text.contains("${")).unwrap_or(value)
    }
}

pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) if object.is_empty() => "(none)".to_owned(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn show_matches(found: &Matches) -> String {
    let more = if found.more { "more than " } else { "" };
    let files = match found.files.len() {
        0 => return "no file".to_owned(),
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let unreadable = match found.unreadable_files {
        0 => String::new(),
        files => format!(", {files} of them unreadable"),
    };
    format!("{more}{files}, {}{unreadable}", show_about(found.bytes))
}

fn matches_json(found: &Matches) -> Value {
    json!({
        "files": found.files.len(),
        "bytes": found.bytes,
        "unreadable": found.unreadable_files,
        "more": found.more,
    })
}
