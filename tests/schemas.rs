//! The schemas of destinations: every kind of line, mapped, and judged by what others publish.
//!
//! The lines are those that the captures and golden rows become, the examples of `docs/record.md`, those of `tests/schemas/lines.ndjson`
//! for what no capture has, and one for each row of each table. `tests/schemas/validate.py` judges: OCSF by the published schema, ECS
//! by the published field list, both through Python's `jsonschema`. The tables of `docs/schemas.md` are written by
//! `SEALTRAIL_ACCEPT=1 cargo test --test schemas`; read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use sealtrail::parse::{Request, parse};
use sealtrail::schema::table::{Kind, When};
use sealtrail::schema::{Schema, ecs, ocsf, render};
use serde_json::{Map, Value, json};

const PAGE: &str = "docs/schemas.md";
const HAND_MADE: &str = "tests/schemas/lines.ndjson";
const OTHERS: [Schema; 2] = [Schema::Ocsf, Schema::Ecs];

/// A line and where it is from.
struct Line {
    of: String,
    text: String,
}

#[test]
fn every_line_is_what_the_published_schemas_allow() {
    let lines = all_lines();
    let mut cases = Vec::new();
    for line in &lines {
        for schema in OTHERS {
            let case = json!({"schema": schema.name(), "of": line.of, "event": rendered(schema, &line.text)});
            writeln!(cases, "{case}").unwrap();
        }
    }
    let (whole, said) = judged(&cases);
    assert!(whole, "{said}");
    assert_eq!(said, format!("judged {0} ocsf {0} ecs, 0 errors\n", lines.len()));
}

#[test]
fn the_judge_finds_what_is_wrong() {
    let line = fs::read_to_string(HAND_MADE).unwrap().lines().next().unwrap().to_owned();
    let (ocsf, ecs) = (rendered(Schema::Ocsf, &line), rendered(Schema::Ecs, &line));
    let wrong = [
        ("ocsf", &ocsf, "/unknown_name", json!(1)),
        ("ocsf", &ocsf, "/actor/user/unknown_name", json!(1)),
        ("ocsf", &ocsf, "/actor/user/email_addr", json!("no address")),
        ("ocsf", &ocsf, "/activity_id", json!(77)),
        ("ocsf", &ocsf, "/activity_name", json!("Write")),
        ("ocsf", &ocsf, "/severity", json!("Fatal")),
        ("ocsf", &ocsf, "/time", json!("2026")),
        ("ocsf", &ocsf, "/src_endpoint", json!({"port": 1})),
        ("ocsf", &ocsf, "/query_info", json!({"query_string": "SELECT 1"})),
        ("ocsf", &ocsf, "/actor/invoked_by", json!("deprecated")),
        ("ocsf", &ocsf, "/metadata/product", json!({})),
        ("ecs", &ecs, "/unknown_name", json!(1)),
        ("ecs", &ecs, "/log/offset", json!(1)),
        ("ecs", &ecs, "/source/ip", json!("host")),
        ("ecs", &ecs, "/source/port", json!("1")),
        ("ecs", &ecs, "/event/kind", json!("audit")),
        ("ecs", &ecs, "/event/type", json!(["denied"])),
        ("ecs", &ecs, "/event/category", json!("database")),
        ("ecs", &ecs, "/related/user", json!("app")),
        ("ecs", &ecs, "/@timestamp", json!("yesterday")),
        ("ecs", &ecs, "/labels", json!({"a": {"b": "c"}})),
    ];
    let mut cases = Vec::new();
    for (schema, event, change, value) in &wrong {
        let mut event = (*event).clone();
        let (object, name) = change.rsplit_once('/').unwrap();
        event.pointer_mut(object).unwrap()[name] = value.clone();
        writeln!(cases, "{}", json!({"schema": schema, "of": change, "event": event})).unwrap();
    }
    let (whole, said) = judged(&cases);
    assert!(!whole);
    for (schema, _, change, _) in &wrong {
        assert!(said.contains(&format!("{schema}, {change}: ")), "{schema} {change} is not found: {said}");
    }
}

#[test]
fn hand_made_lines_are_lines_that_the_agent_may_write() {
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for line in hand_made() {
        let value: Value = serde_json::from_str(&line.text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{}", line.of, line.text);
    }
}

/// What a schema says in words of its own, or in another unit.
const REWORDED: [(Schema, &str); 3] =
    [(Schema::Ocsf, "outcome"), (Schema::Ecs, "type"), (Schema::Ecs, "session.length_ms")];

#[test]
fn nothing_that_a_record_holds_gets_lost() {
    for line in all_lines() {
        let native: Value = serde_json::from_str(&line.text).unwrap();
        for schema in OTHERS {
            let event = rendered(schema, &line.text);
            let mut there = Vec::new();
            leaves(&event, "", &mut there);
            let there: BTreeSet<String> = there.into_iter().map(|(_, value)| value.to_string()).collect();
            let mut wanted = Vec::new();
            leaves(&native, "", &mut wanted);
            for (path, value) in wanted {
                let is_reworded = REWORDED.contains(&(schema, path.as_str()));
                assert!(is_reworded || there.contains(&value.to_string()), "{}: {path} {value} in {event}", line.of);
            }
        }
    }
}

#[test]
fn the_account_is_never_overwritten_by_the_person() {
    let line = hand_made().into_iter().find(|line| line.text.contains("\"person\":\"Ann")).unwrap();
    let ocsf = rendered(Schema::Ocsf, &line.text);
    assert_eq!(ocsf["actor"]["user"]["name"], "app");
    assert_eq!(ocsf["actor"]["user"]["full_name"], "Ann O'Hara");
    assert_eq!(ocsf["actor"]["user"]["email_addr"], "ann@example.com");
    assert_eq!(ocsf["enrichments"][0]["data"]["identity"]["rule"], "ann");
    assert_eq!(ocsf["metadata"]["uid"], serde_json::from_str::<Value>(&line.text).unwrap()["id"]);
    let ecs = rendered(Schema::Ecs, &line.text);
    assert_eq!(ecs["user"]["name"], "app");
    assert_eq!(ecs["user"]["effective"]["name"], "reporting");
    assert_eq!(ecs["user"]["full_name"], "Ann O'Hara");
    assert_eq!(ecs["related"]["user"], json!(["app", "reporting", "Ann O'Hara"]));
    assert_eq!(ecs["event"]["id"], ocsf["metadata"]["uid"]);
}

#[test]
fn a_checkpoint_carries_its_note_and_each_event_the_hash_that_proves_it() {
    let checkpoint =
        all_lines().into_iter().find(|line| line.text.starts_with("{\"v\":1,\"type\":\"checkpoint\"")).unwrap();
    let note = serde_json::from_str::<Value>(&checkpoint.text).unwrap()["checkpoint"].clone();
    let (ocsf, ecs) = (rendered(Schema::Ocsf, &checkpoint.text), rendered(Schema::Ecs, &checkpoint.text));
    assert_eq!((&ocsf["unmapped"]["sealtrail"]["checkpoint"], &ecs["sealtrail"]["checkpoint"]), (&note, &note));
    use base64::Engine;
    let leaf = base64::engine::general_purpose::STANDARD.encode(sealtrail_seal::leaf_hash(checkpoint.text.as_bytes()));
    assert_eq!((&ocsf["unmapped"]["sealtrail"]["leaf_hash"], &ecs["event"]["hash"]), (&json!(leaf), &json!(leaf)));
}

#[test]
fn the_page_of_schemas_is_what_the_code_does() {
    let mut page = fs::read_to_string(PAGE).unwrap();
    let tables = [
        ("ocsf acts", ocsf_acts()),
        ("ocsf classes", ocsf_classes()),
        ("ocsf places", places(Schema::Ocsf)),
        ("ecs acts", ecs_acts()),
        ("ecs engines", ecs_engines()),
        ("ecs places", places(Schema::Ecs)),
    ];
    let versions = [ocsf::VERSION, ocsf::MAPPING, ecs::VERSION, ecs::MAPPING];
    let before = page.clone();
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
        let from = page.find(&begin).unwrap_or_else(|| panic!("{PAGE} has no {begin}")) + begin.len();
        let to = page.find(&end).unwrap_or_else(|| panic!("{PAGE} has no {end}"));
        page.replace_range(from..to, &table);
    }
    if std::env::var_os("SEALTRAIL_ACCEPT").is_some() {
        fs::write(PAGE, &page).unwrap();
    } else {
        assert_eq!(before, page, "SEALTRAIL_ACCEPT=1 writes the tables of {PAGE} anew");
    }
    let said = format!("OCSF {}, mapping {}; ECS {}, mapping {}", versions[0], versions[1], versions[2], versions[3]);
    assert!(page.contains(&said), "{PAGE} does not say: {said}");
}

/// How many records a second one core renders, of a line of usual size. Run it as
/// `cargo test --release --test schemas -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: it asserts nothing"]
fn how_many_records_a_second_are_rendered() {
    let lines: Vec<String> = captured().into_iter().map(|line| line.text).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    for schema in Schema::ALL {
        let (mut out, mut fastest) = (Vec::new(), f64::MAX);
        let mut written = 0;
        for _ in 0..200 {
            out.clear();
            let begun = Instant::now();
            for line in &lines {
                render(schema, line.as_bytes(), &mut out);
            }
            fastest = fastest.min(begun.elapsed().as_secs_f64());
            written = out.len();
        }
        let count = lines.len() as f64;
        eprintln!(
            "{}: {:.0} records/s, {} → {} bytes a record",
            schema.name(),
            count / fastest,
            bytes / lines.len(),
            written / lines.len()
        );
    }
}

fn rendered(schema: Schema, line: &str) -> Value {
    let mut out = Vec::new();
    render(schema, line.as_bytes(), &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

/// All scalars, with where they stand; which of a list does not matter.
fn leaves<'v>(value: &'v Value, path: &str, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(inner, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, &format!("{path}[]"), found)),
        scalar => found.push((path.to_owned(), scalar)),
    }
}

fn all_lines() -> Vec<Line> {
    let mut lines = captured();
    lines.extend(golden());
    lines.extend(examples());
    lines.extend(hand_made());
    lines.extend(rows());
    assert!(lines.len() > 700, "{}", lines.len());
    lines
}

fn of_text(of: &str, text: &str) -> Vec<Line> {
    text.lines().enumerate().map(|(at, text)| Line { of: format!("{of}:{}", at + 1), text: text.to_owned() }).collect()
}

fn captured() -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, zone) in [
        ("pg12-core.csv", "UTC"),
        ("pg15-pgaudit.csv", "UTC"),
        ("pg15-pgaudit.json", "UTC"),
        ("pg18-pgaudit.csv", "Asia/Kolkata"),
        ("pg18-pgaudit.json", "Asia/Kolkata"),
    ] {
        let request = Request {
            path: name.to_owned(),
            format: None,
            inside: None,
            prefix: None,
            timezone: Some(zone.to_owned()),
            server: "db1".to_owned(),
            record_max_bytes: 8 << 20,
        };
        let (log, mut out) = (fs::read(format!("tests/captures/{name}")).unwrap(), Vec::new());
        parse(&request, &mut log.as_slice(), &mut out).unwrap();
        lines.extend(of_text(name, &String::from_utf8(out).unwrap()));
    }
    lines
}

fn golden() -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("tests/captures/golden").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "ndjson") {
            lines.extend(of_text(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(lines.len() >= 24);
    lines
}

/// Of `docs/record.md`: real output, among it the agent's own lines.
fn examples() -> Vec<Line> {
    let page = fs::read_to_string("docs/record.md").unwrap();
    let blocks = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let one_line = |block: &str| block.lines().map(str::trim_start).collect::<String>().replace("\": ", "\":");
    blocks.map(|block| Line { of: "docs/record.md".to_owned(), text: one_line(block) }).collect()
}

fn hand_made() -> Vec<Line> {
    of_text(HAND_MADE, &fs::read_to_string(HAND_MADE).unwrap())
}

/// A line for each row of each table.
fn rows() -> Vec<Line> {
    let ocsf = ocsf::TABLE.iter().map(|row| ("ocsf", row.kind, row.action, row.when));
    let ecs = ecs::TABLE.iter().map(|row| ("ecs", row.kind, row.action, row.when));
    let ours = ocsf.chain(ecs).filter(|(_, kind, ..)| *kind != Kind::Foreign);
    ours.map(|(schema, kind, action, when)| Line {
        of: format!("{schema} row {} {action} {}", kind.name(), when.words()),
        text: of_row(kind, action, when),
    })
    .collect()
}

fn of_row(kind: Kind, action: &str, when: When) -> String {
    let bases = fs::read_to_string(HAND_MADE).unwrap();
    let base = bases.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    let mut line = match kind {
        Kind::Event => base.into_iter().next().unwrap(),
        _ => base.into_iter().find(|line| line["type"] == "agent").unwrap(),
    };
    line.insert("type".to_owned(), kind.name().into());
    line.insert("action".to_owned(), if action.is_empty() { "ANYTHING" } else { action }.into());
    let example: Map<String, Value> = serde_json::from_str(&format!("{{\"v\":1{}}}", when.example())).unwrap();
    line.extend(example);
    Value::Object(line).to_string()
}

/// Whether all is well, and what the judge says.
fn judged(cases: &[u8]) -> (bool, String) {
    let mut judge = Command::new(python())
        .arg("tests/schemas/validate.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut input = judge.stdin.take().unwrap();
    let cases = cases.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&cases).unwrap());
    let output = judge.wait_with_output().unwrap();
    writing.join().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// The Python that holds what the judge needs; installed on the first call of a fresh machine.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let done = Command::new("packaging/install-test-tools.sh").env("CARGO_TARGET_DIR", target).status().unwrap();
    assert!(done.success(), "packaging/install-test-tools.sh failed");
    target.join("tools/venv/bin/python")
}

fn words_of(action: &str) -> String {
    if action.is_empty() { "any".to_owned() } else { format!("`{action}`") }
}

fn ocsf_acts() -> String {
    let mut table =
        "| line | action begins with | and | class | activity | `type_uid` |\n|---|---|---|---|---|---|\n".to_owned();
    for row in ocsf::TABLE {
        let (event, (uid, class)) = (row.then, row.then.class.caption());
        let activity = event.activity_name().unwrap_or("the action");
        writeln!(
            table,
            "| {} | {} | {} | {class} [{uid}] | {activity} [{}] | {} |",
            row.kind.name(),
            words_of(row.action),
            row.when.words(),
            event.activity,
            event.type_uid()
        )
        .unwrap();
    }
    table
}

fn ocsf_classes() -> String {
    let mut table = "| class | category | what it has beside what all have |\n|---|---|---|\n".to_owned();
    for class in ocsf::Class::ALL {
        let ((uid, name), (category, category_name)) = (class.caption(), class.category());
        writeln!(table, "| {name} [{uid}] | {category_name} [{category}] | {} |", class.has()).unwrap();
    }
    table
}

fn ecs_acts() -> String {
    let mut table = "| line | action begins with | and | `event.kind` | `event.category` | `event.type` |\n|---|---|---|---|---|---|\n".to_owned();
    for row in ecs::TABLE {
        let (kind, categories, types) = (row.then.kind, row.then.categories.join(", "), row.then.types.join(", "));
        let (action, when) = (words_of(row.action), row.when.words());
        writeln!(table, "| {} | {action} | {when} | {kind} | {categories} | {types} |", row.kind.name()).unwrap();
    }
    table
}

fn ecs_engines() -> String {
    let mut table = "| `engine` | its own fields |\n|---|---|\n".to_owned();
    for engine in ecs::ENGINES {
        writeln!(table, "| `{engine}` | `{}.*` |", ecs::namespace(engine).unwrap().join(".")).unwrap();
    }
    table += "| any other | `sealtrail.extra.*` |\n";
    table
}

/// What has few values, which stand elsewhere by chance: said in the page's own words.
const IN_WORDS: [&str; 5] = ["v", "type", "outcome", "category", "admin"];

/// What decides of the class, or has a form: a mark would send it elsewhere.
const UNMARKED: [&str; 8] = [
    "time",
    "engine",
    "resource_type",
    "session.start",
    "oversize.sha256",
    "identity.email",
    "identity.kind",
    "role.attributes[]",
];

/// Where each member of a record goes: found by looking for its values, and for marks behind them, in what the lines become.
fn places(schema: Schema) -> String {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in hand_made().into_iter().chain(examples()) {
        let native: Value = serde_json::from_str(&line.text).unwrap();
        let mut members = Vec::new();
        leaves(&native, "", &mut members);
        let event = rendered(schema, &line.text);
        for (member, value) in &members {
            let is_alone = members.iter().filter(|(_, other)| other == value).count() == 1;
            if IN_WORDS.contains(&member.as_str()) || REWORDED.contains(&(schema, member.as_str())) {
                continue;
            }
            let found = places.entry(short(member)).or_default();
            if is_alone && is_telling(value) {
                found.extend(places_of(&event, |other| other == *value));
            }
        }
        for (member, marked) in marked(&native, "") {
            if !IN_WORDS.contains(&member.as_str()) && !UNMARKED.contains(&member.as_str()) {
                let event = rendered(schema, &marked.to_string());
                let found = places_of(&event, |other| other.as_str().is_some_and(|text| text.ends_with(MARK)));
                places.entry(short(&member)).or_default().extend(found);
            }
        }
    }
    let mut table = "| of the record | where |\n|---|---|\n".to_owned();
    for (member, found) in places {
        if !found.is_empty() {
            let found: Vec<String> = found.into_iter().map(|place| format!("`{place}`")).collect();
            writeln!(table, "| `{member}` | {} |", found.join(", ")).unwrap();
        }
    }
    table
}

fn places_of(event: &Value, is_it: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    // Words of the schema's own, and the agent's version: a record's may be the same by chance.
    const WORDS: [&str; 6] = [
        "event.category[]",
        "event.type[]",
        "event.kind",
        "agent.version",
        "metadata.product.version",
        "metadata.loggers[].version",
    ];
    let mut all = Vec::new();
    leaves(event, "", &mut all);
    let there = all.into_iter().filter(|(place, value)| is_it(value) && !WORDS.contains(&place.as_str()));
    there.map(|(place, _)| short(&place)).collect()
}

const MARK: &str = " MARKED";

/// The record once for each text in it, with a mark behind that one.
fn marked(value: &Value, path: &str) -> Vec<(String, Value)> {
    match value {
        Value::String(text) => vec![(path.to_owned(), format!("{text}{MARK}").into())],
        Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            let one = |(name, inner): (&String, &Value)| {
                marked(inner, &format!("{path}{dot}{name}")).into_iter().map({
                    let name = name.clone();
                    move |(path, inner)| {
                        let mut whole = members.clone();
                        whole[&name] = inner;
                        (path, Value::Object(whole))
                    }
                })
            };
            members.iter().flat_map(one).collect()
        }
        Value::Array(items) => {
            let one = |(at, inner): (usize, &Value)| {
                marked(inner, &format!("{path}[]")).into_iter().map(move |(path, inner)| {
                    let mut whole = items.clone();
                    whole[at] = inner;
                    (path, Value::Array(whole))
                })
            };
            items.iter().enumerate().flat_map(one).collect()
        }
        _ => Vec::new(),
    }
}

fn is_telling(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > 3,
        Value::Number(number) => number.as_i64().is_none_or(|number| number.abs() > 1000),
        _ => false,
    }
}

/// The engine's own names are many, and labels the user's.
fn short(path: &str) -> String {
    const MANY: [&str; 10] = [
        "extra",
        "labels",
        "unmapped.aws",
        "unmapped.mongodb",
        "unmapped.postgresql",
        "unmapped.teleport",
        "mongodb.audit",
        "postgresql.log",
        "sealtrail.extra",
        "sealtrail.labels",
    ];
    let many = MANY.iter().find(|many| path.strip_prefix(**many).is_some_and(|rest| rest.starts_with('.')));
    many.map_or_else(|| path.to_owned(), |many| format!("{many}.*"))
}
