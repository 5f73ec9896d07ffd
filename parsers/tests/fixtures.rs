//! Real rows, short and one oddity a file, beside what they must become.
//!
//! `fixtures/NAME.csv` and `.json` are PostgreSQL's csvlog and jsonlog, `fixtures/FORMAT/NAME.log` is a file of the format of that name:
//! excerpts of logs that live servers wrote. `NAME.csv.expected` and `NAME.log.expected` are every frame of it, field by field. Read the
//! difference before you accept it with `UPDATE=1 cargo test --test fixtures`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format, Parsed, Scratch, parse};

#[test]
fn every_fixture_becomes_what_stands_beside_it() {
    let mut wrong = Vec::new();
    for path in fixtures() {
        let bytes = fs::read(&path).expect("a fixture that was just listed");
        let shown = support::show_file(&dialect_of(&path), &bytes);
        let expected = path.with_extension(format!("{}.expected", extension(&path)));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &shown).expect("the fixtures folder can be written");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "not as expected: {wrong:?}");
}

#[test]
fn a_row_is_the_same_record_in_csvlog_and_jsonlog() {
    let csv = fs::read(folder().join("same_rows.csv")).expect("fixture");
    let json = fs::read(folder().join("same_rows.json")).expect("fixture");
    let (csv, json) = (by_session_line(Format::PostgresCsvlog, &csv), by_session_line(Format::PostgresJsonlog, &json));
    assert!(csv.len() > 60, "only {} rows", csv.len());
    assert_eq!(csv.len(), json.len());
    for (row, other) in csv.iter().zip(&json) {
        assert_eq!(row, other);
    }
}

/// Every row as text, ordered by session and line: the two files of one server order rows differently.
fn by_session_line(format: Format, bytes: &[u8]) -> Vec<(Vec<u8>, u64, String)> {
    let mut rows = Vec::new();
    for frame in support::records(format, bytes) {
        let mut scratch = Scratch::new();
        let Parsed::Record(record) = parse(&format.into(), frame, &mut scratch) else { panic!("unparsed: {frame:?}") };
        let id = record.session.id.expect("every row has a session").to_vec();
        rows.push((id, record.session.line.expect("every row has a line"), support::show(&record)));
    }
    rows.sort();
    rows
}

fn fixtures() -> Vec<PathBuf> {
    let mut paths = files_of(&folder(), &["csv", "json"]);
    paths.retain(|path| path.file_stem().is_none_or(|stem| stem != "same_rows"));
    for format in Format::ALL {
        paths.extend(files_of(&folder().join(format.name()), &["log"]));
    }
    paths.sort();
    paths
}

/// The folder's files of these extensions; none when there is no such folder.
fn files_of(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.filter(|path| extensions.contains(&extension(path))).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The folder names the format.
fn dialect_of(path: &Path) -> Dialect {
    let format = match extension(path) {
        "csv" => Format::PostgresCsvlog,
        "json" => Format::PostgresJsonlog,
        _ => {
            let name = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
            name.parse().expect("the folder has a format's name")
        }
    };
    Dialect { inside: inside_of(path), prefix: prefix_of(path), ..format.into() }
}

/// `NAME.prefix` holds the `log_line_prefix` of `NAME.log`.
fn prefix_of(path: &Path) -> Option<Arc<Prefix>> {
    let text = fs::read_to_string(path.with_extension("prefix")).ok()?;
    Some(Arc::new(Prefix::compile(&text).expect("a prefix")))
}

/// `NAME.inside` names the format that the rows of `NAME.log` carry.
fn inside_of(path: &Path) -> Option<Arc<Dialect>> {
    let name = fs::read_to_string(path.with_extension("inside")).ok()?;
    let format: Format = name.trim().parse().expect("a format's name");
    Some(Arc::new(format.into()))
}
