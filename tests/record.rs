//! What `docs/record.md` and `docs/record.schema.json` promise, held against rows that real servers wrote.
//!
//! `tests/captures/` has the rows, `tests/captures/golden/` single rows with the lines that they must become. To write those
//! anew after a change that was meant: `SEALTRAIL_BLESS=1 cargo test --test record`, and then read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use jsonschema::Validator;
use sealtrail::parse::{Request, parse};
use sealtrail::shape::category::{RULES, Rule};
use serde_json::Value;

/// Each capture with the `log_timezone` of its server.
const CAPTURES: [(&str, &str); 5] = [
    ("pg12-core.csv", "UTC"),
    ("pg15-pgaudit.csv", "UTC"),
    ("pg15-pgaudit.json", "UTC"),
    ("pg18-pgaudit.csv", "Asia/Kolkata"),
    ("pg18-pgaudit.json", "Asia/Kolkata"),
];

/// Golden rows with a zone of their own; all others are in UTC. The empty name is no zone.
const GOLDEN_ZONES: [(&str, &str); 3] = [
    ("time-in-kolkata.csv", "Asia/Kolkata"),
    ("logged-execute-with-location.csv", "Asia/Kolkata"),
    ("time-without-a-zone.csv", ""),
];

/// Golden rows for which less is a record: what is larger is cut.
const GOLDEN_LIMITS: [(&str, usize); 2] = [("oversize-statement.csv", 500), ("oversize-in-several-texts.csv", 310)];

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

const RECORD_MD: &str = include_str!("../docs/record.md");

#[test]
fn every_row_of_every_capture_becomes_one_line_that_the_schema_allows() {
    for (name, zone) in CAPTURES {
        let lines = by_command(name, zone);
        assert_eq!(lines.len(), counted(name), "{name}: rows by an independent count");
        for line in &lines {
            assert_allowed(name, line);
            assert_ne!(line["category"], "unparsed", "{name}: {line}");
        }
    }
}

#[test]
fn every_row_says_who_did_what_to_what_and_when() {
    for (name, zone) in CAPTURES {
        for line in by_command(name, zone) {
            for field in ["user", "action", "time", "resource"] {
                assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{name}: {field} of {line}");
            }
            let action = line["action"].as_str().unwrap();
            assert!(!action.contains(|letter: char| letter.is_lowercase()), "{name}: action {action}");
        }
    }
}

#[test]
fn ids_are_unique_and_stay_the_same_when_a_file_is_read_again() {
    for (name, zone) in CAPTURES {
        let ids = |lines: Vec<Value>| {
            lines.into_iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let first = ids(by_command(name, zone));
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "{name}");
        assert_eq!(first, ids(by_command(name, zone)), "{name}");
    }
}

#[test]
fn the_lines_account_for_every_byte_of_the_file() {
    for (name, zone) in CAPTURES {
        let mut end = 0;
        for line in by_command(name, zone) {
            assert_eq!(line["at"]["offset"].as_u64(), Some(end), "{name}");
            end += line["at"]["length"].as_u64().unwrap();
        }
        assert_eq!(end, fs::metadata(capture(name)).unwrap().len(), "{name}");
    }
}

#[test]
fn csvlog_and_jsonlog_of_one_server_tell_the_same() {
    for (csv, json, zone) in
        [("pg15-pgaudit.csv", "pg15-pgaudit.json", "UTC"), ("pg18-pgaudit.csv", "pg18-pgaudit.json", "Asia/Kolkata")]
    {
        let rows = |name| -> BTreeMap<String, Value> {
            by_command(name, zone).into_iter().map(|line| (session_line(&line), told(line))).collect()
        };
        let (csv, json) = (rows(csv), rows(json));
        assert!(!json.is_empty());
        for (row, line) in &json {
            assert_eq!(Some(line), csv.get(row), "{row}");
        }
    }
}

#[test]
fn a_statement_of_more_than_a_megabyte_is_one_record() {
    let lines: String = (0..110_000).map(|number| format!("{number:07},\"\"\"\"\n")).collect();
    let row = format!(
        "2026-11-20 20:28:40.000 UTC,\"app\",\"appdb\",17110,\"127.0.0.1:53582\",6b00ad70.42d7,4,\"SELECT\",2026-11-20 20:28:39 UTC,9/2,0,LOG,00000,\
         \"AUDIT: SESSION,1,1,READ,SELECT,,,\"\"SELECT '{lines}'\"\",<none>,1\",,,,,,,,,\"\",\"client backend\",,7\n"
    );
    assert!(row.len() > 1_200_000);
    let lines = parsed("long.csv", row.as_bytes(), "UTC");
    assert_eq!(lines.len(), 1);
    assert_allowed("long.csv", &lines[0]);
    assert_eq!(lines[0]["at"]["length"].as_u64(), Some(row.len() as u64));
    assert_eq!(
        lines[0]["statement"]["text"].as_str().map(str::len),
        Some("SELECT ''".len() + 110_000 * "0000000,\"\n".len())
    );
}

#[test]
fn golden_rows_become_the_lines_beside_them() {
    let bless = std::env::var_os("SEALTRAIL_BLESS").is_some();
    for path in golden() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let zone = GOLDEN_ZONES.iter().find(|(golden, _)| *golden == name).map_or("UTC", |(_, zone)| zone);
        let written = written(name, &fs::read(&path).unwrap(), zone);
        let beside = path.with_extension("ndjson");
        if bless {
            fs::write(&beside, &written).unwrap();
        }
        assert_eq!(text(&written), text(&fs::read(&beside).unwrap()), "{name}");
        for line in values(&written) {
            assert_allowed(name, &line);
        }
    }
}

#[test]
fn every_line_of_a_real_trail_is_allowed_by_the_schema() {
    let trail = Trail::new();
    trail.drain();
    let lines = trail.lines();
    for line in &lines {
        assert_allowed("the trail", line);
    }
    let rows: usize = CAPTURES.iter().map(|(name, _)| counted(name)).sum();
    let events: Vec<&Value> = lines.iter().filter(|line| line["type"] == "event").collect();
    assert_eq!(events.len(), rows);
    assert_eq!(events.iter().map(|line| line["id"].as_str().unwrap()).collect::<BTreeSet<_>>().len(), rows, "ids");
    let actions: BTreeSet<&str> =
        lines.iter().filter(|line| line["type"] != "event").filter_map(|line| line["action"].as_str()).collect();
    // The captures are excerpts: numbers are missing in them.
    assert_eq!(actions, BTreeSet::from(["CHECKPOINT", "GAP", "SEAL", "SEGMENT", "STARTED", "STOPPED"]));
}

#[test]
fn a_trail_that_is_named_after_its_host_alone_is_allowed_by_the_schema() {
    let trail = Trail::new();
    let config = trail.dir.path().join("sealtrail.toml");
    for origin in ["", "origin = \"db1.example\"\n", "origin = \"acme/eu/west/prod/db1\"\n"] {
        let text = fs::read_to_string(&config).unwrap();
        let without: String =
            text.lines().filter(|line| !line.starts_with("origin")).fold(String::new(), |all, line| all + line + "\n");
        fs::write(&config, without.replacen("[agent]\n", &format!("[agent]\n{origin}"), 1)).unwrap();
        fs::remove_dir_all(trail.dir.path().join("state")).unwrap_or_default();
        fs::remove_dir_all(trail.dir.path().join("archive")).unwrap_or_default();
        trail.drain();
        let lines = trail.lines();
        assert!(lines.iter().any(|line| line["type"] == "checkpoint"));
        lines.iter().for_each(|line| assert_allowed(origin, line));
    }
}

#[test]
fn what_happened_to_files_and_journal_is_in_the_trail_as_the_schema_allows() {
    let trail = Trail::new();
    trail.drain();
    fs::remove_file(trail.dir.path().join("log-utc/pg12-core.csv")).unwrap();
    trail.tear_tail();
    trail.drain();
    let lines = trail.lines();
    for line in &lines {
        assert_allowed("the trail", line);
    }
    for action in ["FILE GONE", "RECOVERED"] {
        assert!(lines.iter().any(|line| line["action"] == action), "{action}");
    }
}

#[test]
fn what_is_told_of_silence_and_room_is_allowed_by_the_schema() {
    let trail = Trail::new();
    trail.drain();
    let started = trail.lines().into_iter().find(|line| line["action"] == "STARTED").unwrap();
    let told = |action: &str, resource_type: &str, outcome: &str| {
        let mut line = started.clone();
        line["action"] = action.into();
        line["resource_type"] = resource_type.into();
        line["outcome"] = outcome.into();
        line
    };
    let mut gone = told("SOURCE UNREADABLE", "file", "failure");
    gone["gap"] = serde_json::json!({ "of": "bytes", "source": "pg", "from": 0, "to": 2048 });
    for line in [
        told("SOURCE QUIET", "source", "unknown"),
        told("SOURCE MISSING", "source", "failure"),
        told("SOURCE UNREADABLE", "file", "failure"),
        gone,
        told("SOURCE BACK", "source", "success"),
        told("SOURCE BACK", "file", "success"),
        told("BUDGET", "trail", "unknown"),
        told("BUDGET", "trail", "success"),
    ] {
        assert_allowed("an act", &line);
    }
}

#[test]
fn a_rows_line_is_the_same_in_a_trail_and_read_alone_but_for_what_the_configuration_gives() {
    let trail = Trail::new();
    trail.drain();
    let in_trail: BTreeMap<String, Value> = trail
        .lines()
        .into_iter()
        .filter(|line| line["format"] == "postgres-csvlog")
        .map(|line| (session_line(&line), told(line)))
        .collect();
    for line in by_command("pg15-pgaudit.csv", "UTC") {
        let row = session_line(&line);
        assert_eq!(in_trail.get(&row), Some(&told(line)), "{row}");
    }
}

#[test]
fn the_examples_in_the_document_are_real_output() {
    let mut known = BTreeMap::new();
    for (name, zone) in CAPTURES {
        known.extend(
            parsed(name, &fs::read(capture(name)).unwrap(), zone)
                .into_iter()
                .map(|line| (line["id"].to_string(), line)),
        );
    }
    for path in golden() {
        known.extend(
            values(&fs::read(path.with_extension("ndjson")).unwrap())
                .into_iter()
                .map(|line| (line["id"].to_string(), line)),
        );
    }
    let examples = examples();
    assert!(examples.len() >= 5);
    for example in examples {
        assert_allowed("docs/record.md", &example);
        if example["type"] == "event" {
            assert_eq!(known.get(&example["id"].to_string()), Some(&example));
        }
    }
}

#[test]
fn the_document_has_the_category_table_of_the_code() {
    const HEAD: &str = "| action begins with | and | category | admin |\n|---|---|---|---|\n";
    let rows: String = RULES.iter().map(rule_row).collect();
    let (before, rest) = RECORD_MD.split_once(HEAD).unwrap();
    let end = rest.lines().take_while(|line| line.starts_with('|')).map(|line| line.len() + 1).sum();
    let (table, after) = rest.split_at(end);
    if std::env::var_os("SEALTRAIL_ACCEPT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/record.md");
        fs::write(path, format!("{before}{HEAD}{rows}{after}")).unwrap();
        return;
    }
    assert_eq!(table, rows, "SEALTRAIL_ACCEPT=1 writes the table anew");
}

fn rule_row(rule: &Rule) -> String {
    let action = if rule.action.is_empty() { "any".to_owned() } else { format!("`{}`", rule.action) };
    let admin = if rule.admin { "yes" } else { "no" };
    format!("| {action} | {} | `{}` | {admin} |\n", rule.fact.words(), rule.category.name())
}

#[test]
fn the_document_names_every_word_that_the_code_can_write() {
    let sources = [
        include_str!("../src/shape/mod.rs"),
        include_str!("../src/shape/time.rs"),
        include_str!("../src/intake.rs"),
        include_str!("../src/intake/rows.rs"),
        include_str!("../src/intake/lines.rs"),
        include_str!("../src/event.rs"),
        include_str!("../src/shape/told.rs"),
    ];
    let marks = [
        "fallback:",
        "sql:",
        "assumed:",
        "config:",
        "previous-row",
        "agent-clock",
        "(pre-auth)",
        "(internal)",
        "(unknown)",
    ];
    let quoted = sources.iter().flat_map(|source| source.split('"')).map(|word| word.trim_end_matches('\\'));
    let words: BTreeSet<&str> =
        quoted.filter(|word| marks.iter().any(|mark| word.starts_with(mark)) && !word.contains('\n')).collect();
    assert!(words.len() >= 12, "{words:?}");
    for word in words {
        assert!(RECORD_MD.contains(&format!("`{word}`")), "`{word}` is not in docs/record.md");
    }
}

#[test]
fn rows_out_are_rows_in_by_readers_of_other_make() {
    let folders = [
        ("tests/captures", "csv"),
        ("tests/captures", "json"),
        ("parsers/tests/fixtures/mariadb-audit", "log"),
        ("parsers/tests/fixtures/mysql-general", "log"),
        ("parsers/tests/fixtures/mysql-audit-json", "log"),
        ("parsers/tests/fixtures/mongodb-audit-json", "log"),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_damaged = |path: &PathBuf| {
        let name = path.to_string_lossy();
        ["torn", "times", "header"].iter().any(|word| name.contains(word))
    };
    for (folder, extension) in folders {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|end| end == extension) && !is_damaged(path));
        let mut count = Command::new("python3");
        count.arg(root.join("tests/captures/count.py")).args(["--program", env!("CARGO_BIN_EXE_sealtrail")]);
        if folder.starts_with("parsers") {
            count.arg("--format").arg(Path::new(folder).file_name().unwrap());
        }
        let counted = count.args(files.collect::<Vec<_>>()).output().unwrap();
        let said = String::from_utf8_lossy(&[counted.stdout, counted.stderr].concat()).into_owned();
        assert!(counted.status.success() && said.lines().count() >= 2, "{folder}:\n{said}");
        assert!(said.lines().all(|line| line.contains("\t0 unparsed")), "{folder}:\n{said}");
    }
}

#[test]
fn the_document_names_every_field_of_the_schema() {
    let schema: Value = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let mut fields = BTreeSet::new();
    property_names(&schema["$defs"], &mut fields);
    assert!(fields.len() > 60);
    for field in fields {
        assert!(
            RECORD_MD.contains(&format!("`{field}`")) || RECORD_MD.contains(&format!(".{field}`")),
            "`{field}` is not in docs/record.md"
        );
    }
}

/// Rows that are easily told wrongly; `tests/captures/truths/` has them.
mod truths {
    use super::*;

    fn only_line(name: &str) -> Value {
        let path = captures().join("truths").join(name);
        let lines = parsed(name, &fs::read(path).unwrap(), "UTC");
        assert_eq!(lines.len(), 1, "{name}");
        lines[0].clone()
    }

    #[test]
    fn rows_written_before_the_act_do_not_claim_success() {
        for name in ["function-that-fails.csv", "do-block.csv", "create-extension.csv"] {
            assert_eq!(only_line(name)["outcome"], "unknown", "{name}");
        }
    }

    #[test]
    fn a_grants_object_type_is_kept() {
        assert_eq!(only_line("grant-on-a-table.csv")["extra"]["object_type"], "TABLE");
    }

    #[test]
    fn a_client_that_speaks_no_startup_packet_is_not_logged_in_yet() {
        assert_eq!(only_line("no-startup-packet.csv")["user"], "(pre-auth)");
    }

    #[test]
    fn a_failure_refers_to_the_record_of_its_statement() {
        let name = "function-that-fails-and-its-error.csv";
        let lines = parsed(name, &fs::read(captures().join("truths").join(name)).unwrap(), "UTC");
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["outcome"], &lines[1]["outcome"]), (&"unknown".into(), &"failure".into()));
        assert_eq!(lines[1]["refers_to"], lines[0]["id"]);
    }

    #[test]
    fn a_role_created_under_log_statement_is_a_permission_change() {
        let line = only_line("logged-create-role-pg12.csv");
        assert_eq!(line["action"], "CREATE ROLE");
        assert_eq!(line["category"], "permission_change");
    }
}

fn property_names(schema: &Value, names: &mut BTreeSet<String>) {
    let Some(object) = schema.as_object() else { return };
    for (key, value) in object {
        if key == "properties" {
            names.extend(value.as_object().unwrap().keys().cloned());
        }
        property_names(value, names);
    }
}

/// The JSON blocks of the document.
fn examples() -> Vec<Value> {
    let blocks = RECORD_MD.split("```json\n").skip(1);
    blocks.map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap()).collect()
}

fn assert_allowed(name: &str, line: &Value) {
    let errors: Vec<String> = SCHEMA.iter_errors(line).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn capture(name: &str) -> PathBuf {
    captures().join(name)
}

fn golden() -> Vec<PathBuf> {
    let paths = fs::read_dir(captures().join("golden")).unwrap().map(|entry| entry.unwrap().path());
    let mut rows: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv" || extension == "json"))
        .collect();
    rows.sort();
    assert!(rows.len() > 20);
    rows
}

/// Rows of a capture, by a count that does not come from this program.
fn counted(name: &str) -> usize {
    let counts = fs::read_to_string(capture("rows.txt")).unwrap();
    let count = counts.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
    count.unwrap().parse().unwrap()
}

fn session_line(line: &Value) -> String {
    format!("{}/{}", line["session"]["id"], line["session"]["line"])
}

/// The line without what tells where it was read and how it is configured.
fn told(mut line: Value) -> Value {
    let object = line.as_object_mut().unwrap();
    let server = object.remove("server");
    for field in ["id", "refers_to", "at", "format", "source", "raw_base64", "labels"] {
        object.remove(field);
    }
    if object.get("resource") == server.as_ref() {
        object.remove("resource");
    }
    line
}

/// What `sealtrail parse` prints for a capture.
fn by_command(name: &str, zone: &str) -> Vec<Value> {
    let output = sealtrail().args(["parse", "--timezone", zone]).arg(capture(name)).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    values(&output.stdout)
}

fn sealtrail() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sealtrail"))
}

fn parsed(name: &str, bytes: &[u8], zone: &str) -> Vec<Value> {
    values(&written(name, bytes, zone))
}

fn written(name: &str, mut bytes: &[u8], zone: &str) -> Vec<u8> {
    let request = Request {
        path: name.to_owned(),
        format: None,
        inside: None,
        prefix: None,
        timezone: Some(zone.to_owned()).filter(|zone| !zone.is_empty()),
        server: "db1".to_owned(),
        record_max_bytes: GOLDEN_LIMITS.iter().find(|(golden, _)| *golden == name).map_or(8 << 20, |(_, limit)| *limit),
    };
    let mut out = Vec::new();
    parse(&request, &mut bytes, &mut out).unwrap();
    out
}

fn values(ndjson: &[u8]) -> Vec<Value> {
    assert!(ndjson.is_empty() || ndjson.ends_with(b"\n"));
    text(ndjson).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An agent's folder with the captures as its logs.
struct Trail {
    dir: tempfile::TempDir,
}

impl Trail {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = format!(
            "[agent]\nname = \"db1\"\norigin = \"acme/test/db1\"\nstate_dir = {:?}\n",
            dir.path().join("state")
        );
        for (source, zone) in [("utc", "UTC"), ("kolkata", "Asia/Kolkata")] {
            let logs = dir.path().join(format!("log-{source}"));
            fs::create_dir(&logs).unwrap();
            for (name, _) in CAPTURES.iter().filter(|(_, of)| *of == zone) {
                fs::copy(capture(name), logs.join(name)).unwrap();
            }
            config += &format!(
                "\n[[source]]\nname = {source:?}\npaths = [{:?}, {:?}]\ntimezone = {zone:?}\nlabels = {{ env = \"test\" }}\n",
                logs.join("*.csv"),
                logs.join("*.json")
            );
        }
        config += &format!(
            "\n[[destination]]\nname = \"archive\"\ntype = \"file\"\npath = {:?}\n",
            dir.path().join("archive")
        );
        fs::write(dir.path().join("sealtrail.toml"), config).unwrap();
        Trail { dir }
    }

    fn drain(&self) {
        let config = self.dir.path().join("sealtrail.toml");
        let output = sealtrail().args(["run", "--drain", "-c"]).arg(config).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("state/journal")).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "zst")).collect();
        segments.sort();
        segments
    }

    /// What a crash leaves behind the last block: the beginning of a frame.
    fn tear_tail(&self) {
        let last = self.segments().pop().unwrap();
        fs::OpenOptions::new().append(true).open(last).unwrap().write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0x04]).unwrap();
    }

    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for segment in self.segments() {
            lines.extend(values(&zstd::decode_all(fs::File::open(segment).unwrap()).unwrap()));
        }
        lines
    }
}
