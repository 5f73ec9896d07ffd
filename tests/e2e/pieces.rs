//! Rows that are made of several: held back until they are whole, one record each, also when the agent is killed while it waits.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::{Value, json};

use crate::host::Host;
use crate::trail::Trail;

/// As server_audit writes it: what was touched, and the statement that touched it.
fn table(connection: u64, query: u64, name: &str) -> String {
    format!("20261120 20:31:42,db1,app,10.0.0.7,{connection},{query},WRITE,shop,{name},\n")
}

fn query(connection: u64, query: u64) -> String {
    format!("20261120 20:31:43,db1,app,10.0.0.7,{connection},{query},QUERY,shop,'UPDATE t SET a = {query}',0\n")
}

fn append(host: &Host, text: &str) {
    let mut log = OpenOptions::new().create(true).append(true).open(host.log().join("server_audit.log")).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

fn host() -> Host {
    let host = Host::empty();
    host.configure(&host.source("maria", "server_audit.log", "timezone = \"UTC\"\n"), &host.archive());
    host
}

/// How many pieces the last seal names.
fn held(trail: &Trail) -> usize {
    trail.acts("SEAL").last().and_then(|seal| seal["seal"]["held"].as_array().map(Vec::len)).unwrap_or_default()
}

fn ids(trail: &Trail) -> Vec<&str> {
    trail.events().map(|event| event["id"].as_str().unwrap()).collect()
}

/// The one record that was made of several rows, with the tables of both.
fn the_joined_one(trail: &Trail) -> &Value {
    let joined: Vec<&Value> = trail.events().filter(|event| event["resources"].is_array()).collect();
    assert_eq!(joined.len(), 1, "{joined:#?}");
    assert_eq!(names(joined[0]), ["shop.orders", "shop.stock"]);
    joined[0]
}

fn names(event: &Value) -> Vec<&str> {
    event["resources"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect()
}

#[test]
fn what_is_held_back_is_read_again_after_a_kill_and_becomes_one_record() {
    let host = host();
    append(&host, &(table(7, 70, "orders") + &query(8, 80) + &table(7, 70, "stock") + &query(8, 81) + &query(8, 82)));
    let mut agent = host.run();
    let trail = agent.wait_for("two pieces to be held", |trail| held(trail) == 2);
    assert!(trail.events().count() >= 2, "statements that are whole wait for nobody");
    agent.kill9();
    let mut agent = host.run();
    append(&host, &(query(7, 70) + &query(9, 90)));
    agent.wait_for_rows(5);
    let trail = agent.stop();
    assert_eq!(held(&trail), 0);
    let joined = the_joined_one(&trail);
    assert_eq!((&joined["outcome"], &joined["user"]), (&"success".into(), &"app".into()));
    assert_eq!(joined["statement"]["text"], "UPDATE t SET a = 70");
    assert_eq!(joined["at"]["pieces"].as_array().unwrap().len(), 3);
    let mut all = ids(&trail);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5, "no row is there twice");
    host.assert_verifies();
}

/// An envelope of CloudWatch with these rows, from the number on.
fn envelope(from: usize, rows: &[String]) -> String {
    let event = |(number, row): (usize, &String)| json!({"id": number.to_string(), "timestamp": number, "message": row.trim_end()});
    let events: Vec<Value> = (from..).zip(rows).map(event).collect();
    let (group, stream) = ("/aws/rds/cluster/c1/audit", "db1");
    format!("{}\n", json!({"messageType": "DATA_MESSAGE", "logGroup": group, "logStream": stream, "logEvents": events}))
}

#[test]
fn a_row_over_two_envelopes_is_one_record_also_after_a_kill_between_them() {
    let host = host();
    append(
        &host,
        &(envelope(0, &[query(8, 80), query(8, 81)]) + &envelope(2, &[query(8, 82), table(7, 70, "orders")])),
    );
    let mut agent = host.run();
    let trail = agent.wait_for("an envelope to be held", |trail| held(trail) == 1);
    assert_eq!(trail.events().count(), 2, "the first envelope ends with a row's end");
    agent.kill9();
    append(&host, &envelope(4, &[table(7, 70, "stock"), query(7, 70), query(9, 90)]));
    let mut agent = host.run();
    agent.wait_for_rows(5);
    let trail = agent.stop();
    assert_eq!(held(&trail), 0);
    let joined = the_joined_one(&trail);
    assert_eq!(joined["extra"]["logEvents.id"], "3,4,5");
    let pieces = joined["at"]["pieces"].as_array().unwrap();
    assert_eq!((pieces.len(), &pieces[0][0]), (2, &joined["at"]["offset"]));
    let all = ids(&trail);
    let part = |index: usize| all[index].rsplit_once(':').unwrap().1.split_once('.').map_or("0", |(_, part)| part);
    assert_eq!(
        [0, 1, 2, 3, 4].map(part),
        ["0", "1", "0", "1", "1"],
        "each is counted in the envelope in which it begins"
    );
    trail.assert_ids_unique();
    host.assert_verifies();
}

#[test]
fn what_is_held_back_goes_on_in_the_file_that_was_renamed() {
    let host = host();
    append(&host, &(table(7, 70, "orders") + &query(8, 80) + &query(8, 81)));
    let mut agent = host.run();
    agent.wait_for("a piece to be held", |trail| held(trail) == 1);
    agent.kill9();
    append(&host, &query(7, 70));
    fs::rename(host.log().join("server_audit.log"), host.log().join("server_audit.log.1")).unwrap();
    append(&host, &query(8, 82));
    let mut agent = host.run();
    agent.wait_for_rows(4);
    let trail = agent.stop();
    let joined = trail.events().find(|event| event["resources"].is_array()).unwrap();
    assert_eq!(names(joined), ["shop.orders"]);
    assert_eq!(trail.events().count(), 4);
    host.assert_verifies();
}

#[test]
fn what_is_held_back_of_a_file_that_is_deleted_is_told_and_the_trail_still_verifies() {
    let host = host();
    append(&host, &(table(7, 70, "orders") + &query(8, 80) + &query(8, 81)));
    let mut agent = host.run();
    agent.wait_for("a piece to be held", |trail| held(trail) == 1);
    agent.kill9();
    fs::remove_file(host.log().join("server_audit.log")).unwrap();
    append(&host, &(query(9, 90) + &query(9, 91)));
    let mut agent = host.run();
    agent.wait_for("the new file to be read", |trail| trail.events().any(|event| event["session"]["id"] == "9"));
    let trail = agent.stop();
    // The new file may have been given the old one's inode.
    let gone = [trail.acts("FILE GONE"), trail.acts("FILE CUT")].concat();
    assert_eq!(gone.len(), 1, "{gone:#?}");
    assert_eq!(gone[0]["gap"]["from"], 0, "from the piece on that was held");
    host.assert_authentic();
}

#[test]
fn a_drain_leaves_nothing_held_back() {
    let host = host();
    append(&host, &(table(7, 70, "orders") + &query(8, 80)));
    let trail = host.drain();
    assert_eq!((trail.events().count(), held(&trail)), (2, 0));
    let alone = trail.events().find(|event| event["resource"] == "shop.orders").unwrap();
    assert_eq!(alone["flags"], serde_json::json!(["incomplete"]), "{alone}");
    // The end of the statement comes later, and is a record of its own.
    append(&host, &query(7, 70));
    assert_eq!(host.drain().events().count(), 3);
    host.assert_verifies();
}

#[test]
fn a_call_is_one_record_although_its_procedures_statements_stand_between_its_rows() {
    let host = host();
    append(&host, &(table(7, 70, "proc") + &query(7, 71) + &table(7, 72, "orders") + &query(7, 72) + &query(7, 70)));
    let trail = host.drain();
    let touched: Vec<(&Value, Vec<&str>)> = trail
        .events()
        .map(|event| {
            let names = if event["resources"].is_array() { names(event) } else { Vec::new() };
            (&event["extra"]["queryid"], names)
        })
        .collect();
    assert_eq!(touched.len(), 3, "{touched:?}");
    for expected in [(71, vec![]), (72, vec!["shop.orders"]), (70, vec!["shop.proc"])] {
        assert!(touched.contains(&(&expected.0.into(), expected.1.clone())), "{expected:?} is not in {touched:?}");
    }
    assert!(trail.events().all(|event| event["flags"].is_null()));
}

#[test]
fn a_statement_goes_on_in_the_next_file_however_often_the_log_was_rotated_and_the_agent_killed() {
    let host = host();
    append(&host, &(query(8, 80) + &table(7, 70, "orders")));
    let mut agent = host.run();
    agent.wait_for("the first row", |trail| trail.events().count() == 1);
    agent.kill9();
    // Three files come and go while nobody looks.
    append(&host, &table(9, 90, "stock"));
    rotate(&host);
    append(&host, &table(7, 70, "stock"));
    rotate(&host);
    append(&host, &query(9, 90));
    rotate(&host);
    append(&host, &(query(7, 70) + &query(8, 81) + &query(8, 82)));
    let mut agent = host.run();
    agent.wait_for_rows(4);
    let trail = agent.stop();
    let joined = |query: u64| trail.events().find(|event| event["extra"]["queryid"] == query).unwrap();
    assert_eq!(names(joined(70)), ["shop.orders", "shop.stock"]);
    assert_eq!(names(joined(90)), ["shop.stock"]);
    let pieces = joined(70)["at"]["pieces"].as_array().unwrap();
    let in_files: Vec<usize> = pieces.iter().map(|piece| piece.as_array().unwrap().len()).collect();
    assert_eq!(in_files, [2, 4, 4], "{pieces:?}");
    assert!(trail.events().all(|event| event["flags"].is_null()));
    trail.assert_ids_unique();
    host.assert_verifies();
}

/// As server_audit does.
fn rotate(host: &Host) {
    let name = |number: usize| match number {
        0 => host.log().join("server_audit.log"),
        _ => host.log().join(format!("server_audit.log.{number}")),
    };
    for number in (0..9).rev().filter(|number| name(*number).exists()) {
        fs::rename(name(number), name(number + 1)).unwrap();
    }
}
