//! Every row of every real log in this repository has its four fields, and every GRANT says who got what on what.
//!
//! `docs/field-sources.md` is written by this test: by format, where the fields came from. `SEALTRAIL_ACCEPT=1 cargo test --test fields`
//! writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use sealtrail::parse::{Request, parse};
use sealtrail::shape::Tally;
use sealtrail::shape::tally::{FIELDS, From};
use sealtrail_parsers::Format;
use serde_json::Value;

const PAGE: &str = "docs/field-sources.md";

const HEAD: &str = "\
# Where the fields come from

Of every row of the real logs in this repository (`tests/captures/`, `parsers/tests/fixtures/`), by format: how many have the field from the engine itself, from the
statement, from the session, from the configuration, or a stand-in. None is empty. Fixtures are oddities, one a file: on a usual log there are fewer stand-ins.
`sealtrail parse --stats FILE` counts your own log. `tests/fields.rs` writes this page.

";

#[test]
fn every_row_has_its_four_fields_and_every_grant_its_parts() {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut grants = 0;
    for (format, path) in logs() {
        let (lines, tally) = parsed(format, &path);
        for line in &lines {
            for field in FIELDS {
                assert!(
                    line[field].as_str().is_some_and(|text| !text.is_empty()),
                    "{}: {field} of {line}",
                    path.display()
                );
            }
            grants += u32::from(is_whole_grant(line, &path));
        }
        add(tallies.entry(format.name()).or_default(), &tally);
    }
    assert!(grants >= 12, "{grants}");
    let page = page(&tallies);
    if std::env::var_os("SEALTRAIL_ACCEPT").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    assert_eq!(page, fs::read_to_string(PAGE).unwrap_or_default(), "SEALTRAIL_ACCEPT=1 writes {PAGE} anew");
}

/// Whether the line is of a GRANT or REVOKE; it must say what was given, on what or which role, and to whom.
fn is_whole_grant(line: &Value, path: &Path) -> bool {
    let is_one = |action: &str| action.starts_with("GRANT") || action.starts_with("REVOKE");
    let has_text = line["statement"]["text"].is_string() && line["statement"]["text"] != "";
    let is_sql = !matches!(line["engine"].as_str(), Some("mongodb"));
    if !line["action"].as_str().is_some_and(is_one) || !has_text || !is_sql {
        return false;
    }
    let grant = &line["grant"];
    let has = |part: &str| grant[part].as_array().is_some_and(|items| !items.is_empty());
    let shown = path.display();
    assert!(has("privileges") || has("roles"), "{shown}: what is given: {line}");
    assert!(has("on") || has("roles") || grant["privileges"].is_array(), "{shown}: on what: {line}");
    assert!(has("to") || has("from"), "{shown}: to whom: {line}");
    let derived = line["derived"]["resource"].as_str().unwrap_or_default();
    assert!(!derived.starts_with("fallback"), "{shown}: the resource: {line}");
    true
}

fn page(tallies: &BTreeMap<&str, Tally>) -> String {
    let mut page = HEAD.to_owned();
    page += "| format | rows | field |";
    From::ALL.iter().for_each(|from| write!(page, " {} |", from.name()).unwrap());
    page += "\n|---|---|---|---|---|---|---|---|\n";
    for (format, tally) in tallies {
        for (index, (field, counts)) in FIELDS.iter().zip(&tally.fields).enumerate() {
            let (name, rows) =
                if index == 0 { (format!("`{format}`"), tally.rows().to_string()) } else { Default::default() };
            write!(page, "| {name} | {rows} | `{field}` |").unwrap();
            counts.iter().for_each(|count| write!(page, " {count} |").unwrap());
            page.push('\n');
        }
    }
    page
}

fn add(sum: &mut Tally, one: &Tally) {
    sum.categories.iter_mut().zip(one.categories).for_each(|(sum, count)| *sum += count);
    sum.fields.iter_mut().flatten().zip(one.fields.into_iter().flatten()).for_each(|(sum, count)| *sum += count);
}

fn parsed(format: Format, path: &Path) -> (Vec<Value>, Tally) {
    let request = Request {
        path: path.display().to_string(),
        format: Some(format),
        inside: None,
        prefix: None,
        timezone: Some("UTC".to_owned()),
        server: "db1".to_owned(),
        record_max_bytes: 8 << 20,
    };
    let mut out = Vec::new();
    let counts = parse(&request, &mut fs::File::open(path).unwrap(), &mut out).unwrap();
    let lines = std::str::from_utf8(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), counts.tally)
}

/// The captures, and the fixtures of each format that is one file's own.
fn logs() -> Vec<(Format, PathBuf)> {
    let mut logs = Vec::new();
    for (folder, extension, format) in [
        ("tests/captures", "csv", Format::PostgresCsvlog),
        ("tests/captures", "json", Format::PostgresJsonlog),
        ("tests/captures/truths", "csv", Format::PostgresCsvlog),
        ("tests/captures/golden", "csv", Format::PostgresCsvlog),
        ("tests/captures/golden", "json", Format::PostgresJsonlog),
    ] {
        logs.extend(files(folder, extension).into_iter().map(|path| (format, path)));
    }
    for format in Format::ALL {
        let folder = format!("parsers/tests/fixtures/{}", format.name());
        logs.extend(files(&folder, "log").into_iter().map(|path| (format, path)));
    }
    assert!(logs.len() > 60, "{}", logs.len());
    logs.sort_by(|one, other| one.1.cmp(&other.1));
    logs
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    entries.unwrap_or_default().into_iter().filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
}
