//! `sealtrail explain`: how each row of a log was understood, for a person.
//!
//! It shows the record itself, the one that `run` would seal, with where each field came from, the statement with its relations marked,
//! and the rule that chose the category. Nothing here understands rows: it only shows what the rest of the agent did.

use std::fmt::Write as _;
use std::io::{Read, Write};

use sealtrail_sql::{Part, Span};
use serde_json::{Map, Value, json};

use crate::intake::Chosen;
use crate::parse::{ParseError, Request, each_block};

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// For a person, with colours.
    Coloured,
    /// For a person.
    Plain,
    /// For a machine, one object a line.
    Json,
}

/// Explains every row of `input`; answers with how many there were.
pub fn explain(request: &Request, show: Show, input: &mut impl Read, out: &mut impl Write) -> Result<u64, ParseError> {
    let mut rows = 0;
    each_block(request, input, &mut |block, chosen| {
        let lines = block.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for (line, chosen) in lines.zip(chosen) {
            rows += 1;
            // The agent's own line is JSON; were it none, there would be nothing to show.
            let record: Value = serde_json::from_slice(line).unwrap_or_default();
            let text = match show {
                Show::Json => format!("{}\n", as_json(&record, chosen)),
                Show::Coloured => as_text(&record, chosen, true),
                Show::Plain => as_text(&record, chosen, false),
            };
            out.write_all(text.as_bytes()).map_err(ParseError::Write)?;
        }
        Ok(())
    })?;
    out.flush().map_err(ParseError::Write)?;
    Ok(rows)
}

fn as_json(record: &Value, chosen: &Chosen) -> Value {
    let fields: Map<String, Value> = FIELDS
        .iter()
        .map(|(field, _)| {
            let entry = json!({ "value": record[*field], "from": source(record, field).unwrap_or("own") });
            ((*field).to_owned(), entry)
        })
        .collect();
    json!({
        "id": record["id"],
        "at": record["at"],
        "format": record["format"],
        "fields": fields,
        "category": record["category"],
        "admin": record["admin"],
        "rule": chosen.rule.map(|rule| json!({ "action": rule.action, "fact": rule.fact.words() })),
        "marks": marks_of(record, chosen).iter().map(mark_json).collect::<Vec<_>>(),
        "record": record,
    })
}

fn mark_json(mark: &Mark) -> Value {
    json!({ "from": mark.span.start, "to": mark.span.end, "what": mark.what })
}

/// The four fields, and what a person calls the engine's own.
const FIELDS: [(&str, &str); 4] = [
    ("time", "as the log has it"),
    ("user", "as the log has it"),
    ("action", "the engine's own word"),
    ("resource", "the engine's own name"),
];

fn source<'r>(record: &'r Value, field: &str) -> Option<&'r str> {
    match field {
        "time" => record["time_source"].as_str(),
        _ => record["derived"][field].as_str(),
    }
}

fn as_text(record: &Value, chosen: &Chosen, coloured: bool) -> String {
    let mut out = String::new();
    head(&mut out, record, coloured);
    for (field, own) in FIELDS {
        let kind = if field == "resource" { format!(" ({})", text(&record["resource_type"])) } else { String::new() };
        let from = source(record, field).map_or(own, words_of_source);
        line(&mut out, field, &format!("{}{kind}", text(&record[field])), from);
    }
    line(&mut out, "outcome", &text(&record["outcome"]), &text(&record["error"]["message"]));
    let admin = if record["admin"] == true { ", admin" } else { "" };
    line(&mut out, "category", &format!("{}{admin}", text(&record["category"])), &rule_words(chosen));
    for (name, value) in record.as_object().into_iter().flatten().filter(|(name, _)| BESIDE.contains(&name.as_str())) {
        line(&mut out, name, &text(value), "");
    }
    statement(&mut out, record, chosen, coloured);
    out.push('\n');
    out
}

/// Fields that are shown beside the four.
const BESIDE: [&str; 16] = [
    "acting_as",
    "resources",
    "break_glass",
    "refers_to",
    "grant",
    "role",
    "transfer",
    "settings",
    "database",
    "client",
    "authentication",
    "session",
    "flags",
    "labels",
    "extra",
    "raw",
];

fn head(out: &mut String, record: &Value, coloured: bool) {
    let at = &record["at"];
    let pieces = at["pieces"].as_array().map_or(String::new(), |pieces| format!(", in {} pieces", pieces.len()));
    let (bold, plain) = if coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{bold}{}{plain}  {}, bytes {}..{} of {}{pieces}",
        text(&record["id"]),
        text(&record["format"]),
        at["offset"],
        at["offset"].as_u64().unwrap_or(0) + at["length"].as_u64().unwrap_or(0),
        text(&at["file"]),
    );
}

fn line(out: &mut String, name: &str, value: &str, from: &str) {
    let from = if from.is_empty() { String::new() } else { format!("   <- {from}") };
    let _ = writeln!(out, "  {name:<14} {value}{from}");
}

fn words_of_source(how: &str) -> &str {
    match how {
        "sql" => "from the statement (sql)",
        "sql+session" => "from the statement, qualified by the session's search_path (sql+session)",
        "session" => "from the session (session)",
        "fallback:database" => "nobody names an object: the session's database stands in (fallback:database)",
        "fallback:server" => "nobody names an object or a database: the server stands in (fallback:server)",
        "fallback:prepared" => "what was prepared under this name is not known (fallback:prepared)",
        other => other,
    }
}

fn rule_words(chosen: &Chosen) -> String {
    match chosen.rule {
        None => String::new(),
        Some(rule) => match (rule.action, rule.fact.words()) {
            ("", "") => "by the kind of row, or by no rule of the table".to_owned(),
            (action, "") => format!("by the rule for {action}"),
            ("", fact) => format!("by the rule for what {fact}"),
            (action, fact) => format!("by the rule for {action} that {fact}"),
        },
    }
}

/// A value as a person reads it: texts without quotes, and nothing that moves the cursor of a terminal.
fn text(value: &Value) -> String {
    let plain = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    plain.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Something in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    span: Span,
    what: String,
}

fn statement(out: &mut String, record: &Value, chosen: &Chosen, coloured: bool) {
    let Some(sql) = record["statement"]["text"].as_str() else { return };
    let marks = marks_of(record, chosen);
    out.push('\n');
    let mut from = 0;
    for row in sql.split_inclusive('\n').take(STATEMENT_LINES_MAX) {
        let inside = marks.iter().filter(|mark| {
            let (start, end) = (mark.span.start as usize, mark.span.end as usize);
            start >= from && end <= from + row.len()
        });
        marked_row(out, row.trim_end_matches(['\n', '\r']), from, inside, coloured);
        from += row.len();
    }
    if from < sql.len() {
        let _ = writeln!(out, "    … {} bytes more", sql.len() - from);
    }
}

/// Lines of a statement that are shown.
const STATEMENT_LINES_MAX: usize = 40;

/// A line of it; below it, or in colour, what is marked.
fn marked_row<'m>(out: &mut String, row: &str, from: usize, marks: impl Iterator<Item = &'m Mark>, coloured: bool) {
    let mut carets = String::new();
    let mut what = Vec::new();
    let mut shown = String::new();
    let mut at = 0;
    for mark in marks {
        let (start, end) = (mark.span.start as usize - from, mark.span.end as usize - from);
        let (Some(before), Some(name)) = (row.get(at..start), row.get(start..end)) else { continue };
        shown += &text(&Value::from(before));
        let name = text(&Value::from(name));
        shown += &if coloured { format!("\x1b[1;36m{name}\x1b[0m") } else { name.clone() };
        carets += &" ".repeat(before.chars().count());
        carets += &"^".repeat(name.chars().count());
        what.push(mark.what.as_str());
        at = end;
    }
    shown += &text(&Value::from(row.get(at..).unwrap_or_default()));
    let _ = writeln!(out, "    {shown}");
    if !carets.is_empty() {
        let _ = writeln!(out, "    {carets}  {}", what.join(", "));
    }
}

/// Relations and objects of the record's statement, where they stand in it, in order.
fn marks_of(record: &Value, chosen: &Chosen) -> Vec<Mark> {
    let (Some(sql), Some(dialect)) = (record["statement"]["text"].as_str(), chosen.dialect) else { return Vec::new() };
    let reading = sealtrail_sql::read(dialect, sql.as_bytes());
    let mut marks = Vec::new();
    for one in &reading.statements {
        for relation in reading.relations(one) {
            marks.push(Mark { span: relation.name.span(), what: format!("{:?}", relation.access).to_lowercase() });
        }
        for object in reading.objects(one).iter().filter(|object| object.part == Part::Target) {
            marks.push(Mark { span: object.name.span(), what: object.kind.to_lowercase() });
        }
    }
    marks.retain(|mark| !mark.span.is_empty());
    marks.sort_by_key(|mark| (mark.span.start, mark.span.end));
    marks.dedup_by(|one, other| one.span.start < other.span.end);
    marks
}
