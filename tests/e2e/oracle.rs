//! What an independent CSV reader sees in a csvlog: Python's.

use std::path::Path;
use std::process::Command;

use crate::account::Numbers;

/// A record's columns, by the numbers of PostgreSQL's documentation less one.
pub type Columns = Vec<String>;

pub const USER: usize = 1;
pub const SESSION: usize = 5;
pub const LINE: usize = 6;

/// Every record of the files, in order. Each byte of the log is one character.
pub fn records<P: AsRef<Path>>(paths: &[P]) -> Vec<Columns> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/oracle.py");
    let output = Command::new("python3").arg(script).args(paths.iter().map(AsRef::as_ref)).output();
    let output = output.expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Session and line of a record.
pub fn key(columns: &Columns) -> (String, u64) {
    (columns[SESSION].clone(), columns[LINE].parse().unwrap())
}

/// The whole rows of files that may be torn, and how many lines of them are torn. No row of theirs holds a line break.
pub fn whole_rows<P: AsRef<Path>>(paths: &[P]) -> (Numbers, usize) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/whole_rows.py");
    let output = Command::new("python3").arg(script).args(paths.iter().map(AsRef::as_ref)).output();
    let output = output.expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows = Numbers::new();
    let mut torn = 0;
    for line in text.lines() {
        match line.split_once(' ').unwrap() {
            ("torn", count) => torn = count.parse().unwrap(),
            (session, number) => {
                rows.entry(session.to_owned()).or_default().insert(number.parse().unwrap());
            }
        }
    }
    (rows, torn)
}
