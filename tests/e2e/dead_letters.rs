//! Lines that a destination refuses: told of in the trail, listed, sent again and dropped by order.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::bad_input::{host_with, letters, rows};
use crate::collector::Collector;
use crate::host::{Host, wait_until};

/// An agent whose destination refused some lines, and takes all again.
fn refused() -> (Collector, Host) {
    let collector = Collector::start();
    collector.answer(413);
    let host = host_with(&collector);
    fs::write(host.log().join("pg.csv"), rows("a.1", 5)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(5);
    wait_until("dead letters", || Some(()).filter(|()| letters(&host).len() >= 5));
    collector.answer(0);
    agent.stop();
    (collector, host)
}

fn dead_letter(host: &Host, words: &[&str]) -> Output {
    let config = host.config();
    let words: Vec<&str> =
        ["dead-letter"].into_iter().chain(words.iter().copied()).chain(["-c", config.to_str().unwrap()]).collect();
    host.command(&words).output().unwrap()
}

fn listed(host: &Host) -> Vec<Value> {
    serde_json::from_slice(&dead_letter(host, &["list", "--json"]).stdout).unwrap()
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn dead_letters_that_are_replayed_arrive_and_the_trail_says_so() {
    let (collector, host) = refused();
    let (kept, known) = (ids(&letters(&host)), listed(&host));
    assert_eq!(known.len(), kept.len());
    assert!(known.iter().all(|letter| letter["answer"].as_str().unwrap().starts_with("413")));
    let ordered = dead_letter(&host, &["replay", "siem", "--all"]);
    assert!(ordered.status.success(), "{ordered:?}");
    assert!(listed(&host).iter().all(|letter| letter["ordered"] == "replay"));

    let agent = host.run();
    wait_until("an empty folder", || Some(()).filter(|()| letters(&host).is_empty()));
    agent.stop();
    let there: Vec<Value> = collector.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let there = ids(&there);
    assert!(kept.iter().all(|id| there.contains(id)), "{kept:?} in {there:?}");
    let trail = host.trail();
    assert!(!trail.acts("REFUSED").is_empty());
    let replayed = trail.acts("REPLAYED");
    assert!(replayed.iter().all(|act| act["resource"] == "siem" && act["outcome"] == "success"), "{replayed:?}");
    assert!(replayed[0]["message"].as_str().unwrap().ends_with("sent again and taken"));
    host.assert_verifies();
    assert_eq!(dead_letter(&host, &["list"]).status.code(), Some(1), "nothing is left");
}

#[test]
fn a_dead_letter_goes_once_the_trail_says_that_it_was_dropped() {
    let (_collector, host) = refused();
    let first = listed(&host)[0]["line"].as_u64().unwrap();
    let before = letters(&host).len();
    assert!(dead_letter(&host, &["drop", "siem", &first.to_string()]).status.success());
    let agent = host.run();
    wait_until("one less", || Some(()).filter(|()| letters(&host).len() < before));
    let trail = host.trail();
    let dropped = trail.acts("DROPPED");
    assert!(dropped[0]["message"].as_str().unwrap().starts_with(&format!("line {first} dropped by order")));
    agent.stop();
    assert_eq!(letters(&host).len(), before - 1);
}

#[test]
fn what_is_refused_again_stays_with_the_new_answer() {
    let (collector, host) = refused();
    let first = listed(&host)[0]["line"].as_u64().unwrap();
    assert!(dead_letter(&host, &["replay", "siem", &first.to_string()]).status.success());
    collector.answer(413);
    let agent = host.run();
    wait_until("an act", || Some(()).filter(|()| !host.trail().acts("REPLAYED").is_empty()));
    agent.stop();
    assert_eq!(host.trail().acts("REPLAYED")[0]["outcome"], "failure");
    let letter = listed(&host).into_iter().find(|letter| letter["line"] == first).unwrap();
    assert_eq!(letter["ordered"], Value::Null);
}

#[test]
fn lines_that_are_no_dead_letters_are_named() {
    let (_collector, host) = refused();
    let output = dead_letter(&host, &["drop", "siem", "999999"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 999999 is no dead letter"));
    assert_eq!(dead_letter(&host, &["replay", "nobody", "--all"]).status.code(), Some(1));
}
