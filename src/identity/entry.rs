//! What was written of a rule, in whatever form: keys with their texts, and where they stand.
//!
//! TOML, CSV and JSON become the same, so that [`super::rule`] says once what a key means. In CSV the first line has the keys, an empty cell is a
//! key that is not there, and a semicolon stands between the items of a list.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

/// A file and a line in it, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As it was named.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One rule, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins.
    pub place: Place,
    /// In the order of the file.
    pub fields: Vec<Field>,
}

/// One key of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub key: String,
    /// Where it stands.
    pub line: usize,
    /// Its text, or those of its list.
    pub texts: Vec<String>,
    /// It was written as a list.
    pub is_list: bool,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The rule's name, where it is about one.
    pub rule: Option<String>,
    /// The key, where it is about one.
    pub key: Option<String>,
    /// A lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    /// `/etc/sealtrail/people.csv:12: rule dba address: "10.0.0.0/33" is no network`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}")?;
        }
        let key = self.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
        match (&self.rule, key.trim_start()) {
            (None, "") => f.write_str(&self.message),
            (None, key) => write!(f, "{key}: {}", self.message),
            (Some(_), _) => write!(f, "{key}: {}", self.message),
        }
    }
}

impl Problem {
    /// About a file, at a line of it.
    pub fn of_file(file: &Arc<str>, line: usize, message: impl Into<String>, hint: &str) -> Self {
        let place = Place { file: Arc::clone(file), line };
        Problem { place, rule: None, key: None, message: message.into(), hint: hint.to_owned() }
    }
}

/// What the entries of a file are.
pub struct Holds<'a> {
    /// The table in TOML.
    pub table: &'static str,
    /// What a key that is written so is called here; `None`: it is left out.
    pub key: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the cell of a key may be a list in CSV.
    pub may_be_list: fn(&str) -> bool,
}

/// The rules of a file. Its name says which form it has.
pub fn read(path: &Path, text: &str) -> Result<Vec<Entry>, Vec<Problem>> {
    let key = |key: &str| Some(key.to_owned());
    read_as(path, text, &Holds { table: "rule", key: &key, may_be_list: super::rule::is_condition })
}

/// The same for a file of something else.
pub fn read_as(path: &Path, text: &str, holds: &Holds<'_>) -> Result<Vec<Entry>, Vec<Problem>> {
    let file: Arc<str> = path.display().to_string().into();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "toml" => of_toml(&file, text, holds),
        "csv" => of_csv(&file, text, holds),
        "json" => of_json(&file, text, holds),
        _ => {
            let hint = "name it .toml, .csv or .json after what it holds";
            Err(vec![Problem::of_file(&file, 1, "neither TOML, CSV nor JSON by its name", hint)])
        }
    }
}

/// Tables, such as `[[rule]]`.
fn of_toml(file: &Arc<str>, text: &str, holds: &Holds<'_>) -> Result<Vec<Entry>, Vec<Problem>> {
    let line = |at: usize| line_of(text, at);
    let tables = format!("write a table [[{0}]] for each {0}, and nothing else", holds.table);
    let problem = |at: usize, message: String| Problem::of_file(file, line(at), message, &tables);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![Problem::of_file(file, line(at), format!("no TOML: {}", error.message()), &tables)]
    })?;
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in table.into_inner() {
        let at = key.span().start;
        match value.into_inner() {
            DeValue::Array(items) if key.get_ref() == holds.table => {
                for item in items {
                    let at = item.span().start;
                    match item.into_inner() {
                        DeValue::Table(table) => match of_table_as(file, line(at), &table, &line, holds.key) {
                            Ok(entry) => entries.push(entry),
                            Err(problem) => problems.push(problem),
                        },
                        _ => problems.push(problem(at, format!("{}: must be a table", holds.table))),
                    }
                }
            }
            _ => problems.push(problem(at, format!("{}: is not what a directory holds", key.get_ref()))),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// One table of TOML; `line` has the line of a byte.
pub fn of_table(
    file: &Arc<str>,
    at: usize,
    table: &DeTable<'_>,
    line: &dyn Fn(usize) -> usize,
) -> Result<Entry, Problem> {
    of_table_as(file, at, table, line, &|key| Some(key.to_owned()))
}

fn of_table_as(
    file: &Arc<str>,
    at: usize,
    table: &DeTable<'_>,
    line: &dyn Fn(usize) -> usize,
    called: &dyn Fn(&str) -> Option<String>,
) -> Result<Entry, Problem> {
    let mut entry = Entry { place: Place { file: Arc::clone(file), line: at }, fields: Vec::new() };
    for (key, value) in table {
        let line = line(key.span().start);
        let Some(key) = called(key.get_ref()) else { continue };
        let (texts, is_list) = match value.get_ref() {
            DeValue::Array(items) => (items.iter().map(|item| toml_text(item.get_ref())).collect(), true),
            one => (toml_text(one).map(|text| vec![text]), false),
        };
        match texts {
            Some(texts) => entry.fields.push(Field { key, line, texts, is_list }),
            None => {
                let place = Place { file: Arc::clone(file), line };
                return Err(mistyped(place, key));
            }
        }
    }
    entry.fields.sort_by_key(|field| field.line);
    Ok(entry)
}

fn toml_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Datetime(time) => Some(time.to_string()),
        _ => None,
    }
}

fn mistyped(place: Place, key: String) -> Problem {
    let message = "must be a text, a number, a time, or a list of texts".to_owned();
    Problem { place, rule: None, key: Some(key), message, hint: "write it between quotes".to_owned() }
}

const OBJECTS: &str = "write a list of objects: [{\"account\": \"…\", \"person\": \"…\"}]";

/// A list of objects.
fn of_json(file: &Arc<str>, text: &str, holds: &Holds<'_>) -> Result<Vec<Entry>, Vec<Problem>> {
    let all: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        vec![Problem::of_file(file, error.line().max(1), format!("no list in JSON: {message}"), OBJECTS)]
    })?;
    let lines = lines_of_items(text);
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (index, value) in all.iter().enumerate() {
        let line = lines.get(index).copied().unwrap_or(1);
        match of_object(file, line, value, holds) {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

fn of_object(file: &Arc<str>, line: usize, value: &Value, holds: &Holds<'_>) -> Result<Entry, Problem> {
    let place = Place { file: Arc::clone(file), line };
    let Value::Object(object) = value else {
        return Err(Problem::of_file(file, line, "must be an object", OBJECTS));
    };
    let mut entry = Entry { place: place.clone(), fields: Vec::new() };
    for (key, value) in object {
        let Some(key) = (holds.key)(key) else { continue };
        let (texts, is_list) = match value {
            Value::Null => continue,
            Value::Array(items) => (items.iter().map(json_text).collect(), true),
            one => (json_text(one).map(|text| vec![text]), false),
        };
        match texts {
            Some(texts) => entry.fields.push(Field { key, line, texts, is_list }),
            None => return Err(mistyped(place, key)),
        }
    }
    Ok(entry)
}

fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// In which line each item of a list begins. The text is JSON.
fn lines_of_items(text: &str) -> Vec<usize> {
    let (mut lines, mut line, mut depth) = (Vec::new(), 1, 0_usize);
    let (mut in_text, mut escaped, mut expects) = (false, false, false);
    for byte in text.bytes() {
        if expects && depth == 1 && !byte.is_ascii_whitespace() && byte != b']' {
            lines.push(line);
            expects = false;
        }
        match byte {
            b'\n' => line += 1,
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                expects = depth == 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => expects = true,
            _ => {}
        }
    }
    lines
}

const COLUMNS: &str = "the first line names the columns: account,person,email";

/// RFC 4180, with the keys in the first line. A line that begins with `#` is left out.
fn of_csv(file: &Arc<str>, text: &str, holds: &Holds<'_>) -> Result<Vec<Entry>, Vec<Problem>> {
    let wrong = |line: usize, message: String| Problem::of_file(file, line, message, COLUMNS);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let rows = csv_rows(text).map_err(|(line, message)| vec![wrong(line, message.to_owned())])?;
    let mut rows = rows.into_iter();
    let Some((line, keys)) = rows.next() else { return Err(vec![wrong(1, "empty: not even columns".to_owned())]) };
    let keys: Vec<Option<String>> = keys.iter().map(|key| (holds.key)(key.trim())).collect();
    let is_twice = |(at, key): (usize, &Option<String>)| key.is_some() && keys[..at].contains(key);
    if let Some(twice) = keys.iter().enumerate().find(|it| is_twice(*it)).and_then(|(_, key)| key.as_deref()) {
        return Err(vec![wrong(line, format!("two columns are called {twice:?}"))]);
    }
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (line, cells) in rows {
        if cells.len() != keys.len() {
            let message = format!("{} cells where the first line has {}", cells.len(), keys.len());
            problems.push(Problem::of_file(file, line, message, "put a text with a comma in it between quotes"));
            continue;
        }
        let fields = keys.iter().zip(&cells).filter_map(|(key, cell)| Some((key.as_ref()?, cell.trim())));
        let fields = fields.filter(|(_, cell)| !cell.is_empty());
        let fields = fields.map(|(key, cell)| csv_field(key, line, cell, holds.may_be_list));
        entries.push(Entry { place: Place { file: Arc::clone(file), line }, fields: fields.collect() });
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// Only a condition may be a list. A regular expression is none, whatever is in it.
fn csv_field(key: &str, line: usize, cell: &str, may_be_list: fn(&str) -> bool) -> Field {
    let may_be_list = may_be_list(key) && !(cell.starts_with('/') && cell.ends_with('/'));
    let is_list = may_be_list && cell.contains(';');
    let texts =
        if is_list { cell.split(';').map(|text| text.trim().to_owned()).collect() } else { vec![cell.to_owned()] };
    Field { key: key.to_owned(), line, texts, is_list }
}

/// Each row with the line that it begins in.
#[expect(clippy::type_complexity, reason = "a row is its line and its cells")]
fn csv_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, (usize, &'static str)> {
    let (mut rows, mut line) = (Vec::new(), 1);
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with(['#', '\n', '\r']) {
            let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
            line += usize::from(rest[..end].ends_with('\n'));
            rest = &rest[end..];
            continue;
        }
        let (begins, mut cells) = (line, Vec::new());
        loop {
            let cell = cell(&mut rest, &mut line).map_err(|message| (begins, message))?;
            cells.push(cell);
            let Some(next) = rest.chars().next() else { break };
            rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix([',', '\n'])).unwrap_or(rest);
            if next != ',' {
                line += 1;
                break;
            }
            // A comma at the end of the text stands before an empty cell.
        }
        rows.push((begins, cells));
    }
    Ok(rows)
}

/// One cell, up to the comma or the end of the line behind it.
fn cell(rest: &mut &str, line: &mut usize) -> Result<String, &'static str> {
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        let end = if rest[..end].ends_with('\r') && rest[end..].starts_with('\n') { end - 1 } else { end };
        let (cell, behind) = rest.split_at(end);
        *rest = behind;
        return Ok(cell.to_owned());
    };
    let mut cell = String::new();
    loop {
        let (before, behind) = quoted.split_once('"').ok_or("a quote that is not closed")?;
        cell.push_str(before);
        *line += before.matches('\n').count();
        match behind.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                quoted = more;
            }
            None if behind.is_empty() || behind.starts_with([',', '\n']) || behind.starts_with("\r\n") => {
                *rest = behind;
                return Ok(cell);
            }
            None => return Err("text behind a closing quote"),
        }
    }
}

/// The line of a byte, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(name: &str, text: &str) -> Vec<String> {
        match read(Path::new(name), text) {
            Ok(entries) => entries
                .iter()
                .map(|entry| {
                    let mut fields: Vec<String> =
                        entry.fields.iter().map(|it| format!("{}={}", it.key, it.texts.join("|"))).collect();
                    fields.sort();
                    format!("{} {}", entry.place, fields.join(" "))
                })
                .collect(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn one_rule_is_the_same_in_each_form() {
        let toml = "\n[[rule]]\naccount = [\"a\", \"b\"]\npriority = 5\nvalid_from = 2026-01-01\n";
        let csv = "# people\nvalid_from,account,priority,team\n2026-01-01,a; b,5,\n";
        let json =
            "[\n\n {\"account\": [\"a\", \"b\"], \"priority\": 5,\n \"valid_from\": \"2026-01-01\", \"team\": null}]";
        let fields = "account=a|b priority=5 valid_from=2026-01-01";
        assert_eq!(shown("d.toml", toml), [format!("d.toml:2 {fields}")]);
        assert_eq!(shown("d.csv", csv), [format!("d.csv:3 {fields}")]);
        assert_eq!(shown("d.json", json), [format!("d.json:3 {fields}")]);
    }

    #[test]
    fn each_item_of_a_list_in_json_has_its_line() {
        let text = "[{\"a\": [1,\n2]},\n\n{\"b\": \"],[{\\\"\"}\n,{}\n]";
        assert_eq!(lines_of_items(text), [1, 4, 5]);
        assert_eq!(lines_of_items("[]"), [0; 0]);
    }

    #[test]
    fn cells_are_quoted_as_in_rfc_4180() {
        let text = "account,person\r\n\"a,\"\"b\"\"\",\"Doe,\r\nJane\"\r\nx,y\n\n\"/a;b/\",z";
        assert_eq!(
            shown("d.csv", text),
            [
                "d.csv:2 account=a,\"b\" person=Doe,\r\nJane",
                "d.csv:4 account=x person=y",
                "d.csv:6 account=/a;b/ person=z"
            ]
        );
    }

    #[test]
    fn what_has_no_form_is_told_with_its_line() {
        for (name, text, said) in [
            ("d.csv", "a,b\n1,2\n1\n", "d.csv:3: 1 cells where the first line has 2"),
            ("d.csv", "a,b\n\"1,2\n", "d.csv:2: a quote that is not closed"),
            ("d.csv", "a,b\n\"1\"x,2\n", "d.csv:2: text behind a closing quote"),
            ("d.csv", "a,a\n", "d.csv:1: two columns are called \"a\""),
            ("d.csv", "", "d.csv:1: empty: not even columns"),
            ("d.json", "[{\"a\": 1},\n{\"a\": }]", "d.json:2: no list in JSON: expected value"),
            ("d.json", "{}", "d.json:1: no list in JSON: invalid type: map, expected a sequence"),
            ("d.json", "[1]", "d.json:1: must be an object"),
            (
                "d.json",
                "[\n{\"account\": {}}]",
                "d.json:2: account: must be a text, a number, a time, or a list of texts",
            ),
            ("d.toml", "[[rule]]\na = \n", "d.toml:2: no TOML: string values must be quoted, expected literal string"),
            ("d.toml", "x = 1\n", "d.toml:1: x: is not what a directory holds"),
            ("d.toml", "[[rule]]\n\na = 1.5\n", "d.toml:3: a: must be a text, a number, a time, or a list of texts"),
            ("d.yaml", "", "d.yaml:1: neither TOML, CSV nor JSON by its name"),
        ] {
            assert_eq!(shown(name, text), [said]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text: String, quoted in "[a,\"\r\n;#]{0,24}") {
            for name in ["d.csv", "d.json", "d.toml"] {
                let _ = (read(Path::new(name), &text), read(Path::new(name), &quoted));
            }
        }
    }
}
