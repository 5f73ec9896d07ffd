//! Real rows, short and one oddity a file, beside what they must become.
//!
//! `fixtures/NAME.csv` and `.json` are excerpts of PostgreSQL's logs, `fixtures/FORMAT/NAME.log` of any format's; `NAME.log.expected` is
//! every frame of it, field by field. Read the difference before you accept it with `UPDATE=1 cargo test --test fixtures`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use sealtrail_parsers::{Format, Parsed, Scratch, each, parse};
use support::Part;

#[test]
fn every_fixture_becomes_what_stands_beside_it() {
    let mut wrong = Vec::new();
    for path in fixtures() {
        let bytes = fs::read(&path).expect("a fixture that was just listed");
        let shown = show_file(format_of(&path), &bytes);
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

fn show_file(format: Format, bytes: &[u8]) -> String {
    let mut shown = String::new();
    for part in support::whole(format, bytes) {
        match part {
            Part::Record(frame) => shown += &show_frame(format, &frame),
            Part::Damaged(bytes) => shown += &format!("damaged: {}\n", bytes.escape_ascii()),
        }
        shown += "\n";
    }
    shown
}

fn show_frame(format: Format, frame: &[u8]) -> String {
    let mut shown = String::new();
    let mut scratch = Scratch::new();
    match parse(&format.into(), frame, &mut scratch) {
        Parsed::Several => each(&format.into(), frame, &mut Scratch::new(), &mut |row| shown += &show_row(&row)),
        row => shown = show_row(&row),
    }
    shown
}

fn show_row(row: &Parsed<'_>) -> String {
    match row {
        Parsed::Record(record) => support::show(record),
        Parsed::Unparsed { reason, retry_at } => format!("unparsed: {reason}, retry at {retry_at:?}\n"),
        Parsed::Nothing { what } => format!("nothing: {what}\n"),
        other @ (Parsed::Piece(_) | Parsed::Several) => format!("{other:?}\n"),
    }
}

fn fixtures() -> Vec<PathBuf> {
    let listed = fs::read_dir(folder()).expect("the fixtures folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = listed.filter(|path| matches!(extension(path), "csv" | "json")).collect();
    paths.retain(|path| path.file_stem().is_none_or(|stem| stem != "same_rows"));
    for format in Format::ALL {
        let Ok(listed) = fs::read_dir(folder().join(format.name())) else { continue };
        paths.extend(listed.map(|entry| entry.expect("an entry").path()).filter(|path| extension(path) == "log"));
    }
    paths.sort();
    paths
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The folder's name, or the extension.
fn format_of(path: &Path) -> Format {
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    match (parent.parse(), extension(path)) {
        (Ok(format), _) => format,
        (Err(_), "csv") => Format::PostgresCsvlog,
        (Err(_), _) => Format::PostgresJsonlog,
    }
}
