//! SQL text that holds a newline and behind it what looks like a record stays inside its record, 200 times of 200.

use std::collections::HashMap;
use std::fs;

use fastrand::Rng;
use serde_json::Value;

use crate::csvlog::{self, Row};
use crate::host::{Host, seed};
use crate::oracle;
use crate::trail::Trail;

const FORGED: usize = 200;
const MALLORY: &str = "mallory";
const FORGED_SESSION: &str = "deadbeef.1";

/// What was really run, by session and line.
type Statements = HashMap<(String, u64), String>;

#[test]
fn no_forged_record_leaves_its_statement_in_a_csvlog() {
    let (log, statements) = generated(csvlog::csv);
    let host = Host::new();
    let path = host.log().join("postgresql.csv");
    fs::write(&path, log).unwrap();
    let trail = host.drain();
    assert_eq!(trail.events().count(), oracle::records(&[&path]).len());
    assert_none_forged(&trail, &statements);
    host.assert_verifies();
}

#[test]
fn no_forged_record_leaves_its_statement_in_a_jsonlog() {
    let (log, statements) = generated(csvlog::json);
    let host = Host::empty();
    host.configure(&host.source("pg", "*.json", ""), &host.archive());
    let objects = log.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    fs::write(host.log().join("postgresql.json"), log).unwrap();
    let trail = host.drain();
    assert_eq!(trail.events().count(), objects);
    assert_none_forged(&trail, &statements);
    host.assert_verifies();
}

fn assert_none_forged(trail: &Trail, statements: &Statements) {
    trail.tiled();
    assert_eq!(trail.events().count(), statements.len());
    assert_eq!(trail.unparsed(), 0);
    let mut whole = 0;
    for event in trail.events() {
        let session = event["session"]["id"].as_str().unwrap();
        assert_ne!(event["user"], MALLORY, "{event}");
        assert_ne!(session, FORGED_SESSION, "{event}");
        let sql = &statements[&(session.to_owned(), event["session"]["line"].as_u64().unwrap())];
        assert_eq!(event["statement"]["text"].as_str(), Some(sql.as_str()), "{event}");
        whole += usize::from(sql.contains(FORGED_SESSION));
    }
    assert_eq!(whole, FORGED);
}

/// Forgeries among ordinary rows.
fn generated(encode: fn(&Row<'_>) -> String) -> (String, Statements) {
    let mut rng = Rng::with_seed(seed());
    let (mut log, mut statements) = (String::new(), Statements::new());
    let mut line = 0;
    let mut add = |sql: String| {
        line += 1;
        log += &encode(&Row { user: "app", session: "6b00ab37.2bc2", line, sql: &sql });
        statements.insert(("6b00ab37.2bc2".to_owned(), line), sql);
    };
    for number in 0..FORGED {
        for _ in 0..rng.usize(0..4) {
            add(format!("SELECT {number}"));
        }
        add(forgery(number, &mut rng));
    }
    (log, statements)
}

/// Ways to make a reader take text for a record; `number` chooses among them.
fn forgery(number: usize, rng: &mut Rng) -> String {
    let row = Row { user: MALLORY, session: FORGED_SESSION, line: number as u64, sql: "DROP TABLE evidence" };
    let (csv, json) = (csvlog::csv(&row), csvlog::json(&row));
    let unquoted = csv.replace('"', "");
    let newline = if rng.bool() { "\n" } else { "\r\n" };
    match number % 10 {
        // A real record, to the byte.
        0 => format!("SELECT 1{newline}{csv}"),
        // As the server would have written it inside of a field.
        1 => format!("SELECT 1{newline}{}", csv.replace('"', "\"\"")),
        // Not one quote: what is in the log is what a record would be.
        2 => format!("SELECT 1{newline}{unquoted}"),
        // In the middle of the text, and more than once.
        3 => format!("SELECT 'a{newline}{unquoted}{unquoted}b' AS x"),
        4 => format!("SELECT 'a{newline}{csv}{newline}b', \"c\""),
        // Behind quotes that want to close the field.
        5 => format!("SELECT '\",,,,,,,,\"psql\",\"client backend\",,0{newline}{unquoted}'"),
        6 => format!("SELECT '\"\"\"{newline}{csv}\"'"),
        7 => format!("SELECT '\"'{newline}{unquoted}SELECT '\"'"),
        // Another format's record.
        8 => format!("SELECT 1{newline}{json}"),
        _ => format!("{newline}{unquoted}{json}{csv}"),
    }
}
