//! `sealtrail explain`: what a person is shown, and that nothing of a row can move the terminal's cursor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[test]
fn each_field_is_shown_with_where_it_came_from_and_relations_are_marked() {
    let text = explained(&[], "2026-11-20 20:28:31.865 UTC", "SELECT name FROM accounts");
    for words in [
        "postgres-csvlog, bytes 0..",
        "user           app   <- as the log has it",
        "resource       shop.accounts (relation)   <- from the statement (sql)",
        "category       data_read   <- by the rule for SELECT",
        "    SELECT name FROM accounts\n                     ^^^^^^^^  read\n",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

#[test]
fn what_a_row_holds_cannot_move_the_cursor() {
    let text = explained(&[], "2026-11-20 20:28:31.865 UTC", "SELECT '\u{1b}[2J\r' FROM accounts");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    assert!(text.contains("^^^^^^^^  read"), "{text}");
}

#[test]
fn a_machine_gets_one_object_a_row_with_the_rule_and_the_marks() {
    let text = explained(&["--json"], "2026-11-20 20:28:31.865 UTC", "SET pgaudit.log = 'none'");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["rule"]["fact"], "takes something out of the audit");
    assert_eq!(told["fields"]["resource"]["from"], "sql");
    assert_eq!(told["record"]["flags"], serde_json::json!(["audit_tampering"]));
    let text = explained(&["--json"], "2026-11-20 20:28:31.865 UTC", "DELETE FROM a USING b");
    let told: Value = serde_json::from_str(&text).unwrap();
    let whats: Vec<&str> =
        told["marks"].as_array().unwrap().iter().map(|mark| mark["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["delete", "read"]);
}

#[test]
fn bytes_that_are_no_row_are_explained_as_such() {
    let row = row("2026-11-20 20:28:31.865 UTC", "SELECT 1");
    let output = run(&["--format", "postgres-csvlog"], format!("{row}garbage\n{row}").as_bytes());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("action         UNPARSED   <- fallback:unparsed"), "{text}");
}

#[test]
fn relations_of_a_wrapped_row_are_marked_as_the_engine_inside_reads_them() {
    let row = "2026-11-20T20:28:31.865000000Z stdout F 20261120 20:28:31,host,app,localhost,7,12,QUERY,shop,'SELECT a FROM `x y`',0\n";
    let text = String::from_utf8(run(&["--format", "cri"], row.as_bytes()).stdout).unwrap();
    assert!(text.contains("    SELECT a FROM `x y`\n                  ^^^^^  read\n"), "{text}");
}

fn explained(arguments: &[&str], time: &str, statement: &str) -> String {
    let output = run(arguments, row(time, statement).as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn row(time: &str, statement: &str) -> String {
    let sql = statement.replace('"', "\"\"");
    format!(
        "{time},\"app\",\"shop\",17,\"127.0.0.1:5\",6b00ad6f.42b6,1,\"idle\",2026-11-20 20:28:31 UTC,3/85,0,LOG,00000,\
         \"statement: {sql}\",,,,,,,,,\"\",\"client backend\",,0\n"
    )
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealtrail"))
        .arg("explain")
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}
