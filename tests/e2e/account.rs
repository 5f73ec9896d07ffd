//! What a trail has of each session, and what it says is missing there: for trails too long to hold line by line.
//!
//! A row is known by its session and its number in it, as the server wrote them. Servers number without holes, so between a session's
//! first number and the last one in the trail every number is in the trail, or told to be missing by a `GAP`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::host::{Host, text};
use crate::trail;

/// Numbers of rows, by session.
pub type Numbers = BTreeMap<String, BTreeSet<u64>>;

/// A whole trail in brief.
#[derive(Debug, Default)]
pub struct Account {
    pub rows: Numbers,
    /// Events that are no rows.
    pub unparsed: Vec<Event>,
    /// The agent's own lines, without segments' heads and seals.
    pub acts: Vec<Value>,
}

/// An event, as far as the accounts go.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub id: String,
    pub category: String,
    pub session: Option<Session>,
    pub statement: Option<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub id: String,
    pub line: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Statement {
    pub text: Option<String>,
}

impl Account {
    /// Reads a trail that nobody writes to. No line and no row is there twice; `check` sees every row.
    pub fn read(journal: &Path, check: impl Fn(&Session, &Event)) -> Self {
        let mut account = Account::default();
        let mut ids = HashSet::new();
        for line in lines(journal) {
            if line.starts_with("{\"v\":1,\"type\":\"event\"") {
                let event: Event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(ids.insert(event.id.clone()), "{} is there twice", event.id);
                account.add(event, &check);
            } else if line.starts_with("{\"v\":1,\"type\":\"agent\"") {
                account.act(serde_json::from_str(&line).unwrap());
            }
        }
        account
    }

    /// The agent's own lines of one kind.
    pub fn acts(&self, action: &str) -> Vec<&Value> {
        self.acts.iter().filter(|act| act["action"] == action).collect()
    }

    /// `GAP` lines about `bytes` or `rows`.
    pub fn gaps(&self, of: &str) -> Vec<&Value> {
        self.acts("GAP").into_iter().filter(|act| act["gap"]["of"] == of).collect()
    }

    /// Rows that are told to be missing. None is told twice.
    pub fn told(&self) -> Numbers {
        let mut told = Numbers::new();
        for gap in self.gaps("rows") {
            let gap = &gap["gap"];
            let number = |key: &str| gap[key].as_u64().unwrap_or_else(|| panic!("no {key}: {gap}"));
            let numbers = told.entry(gap["session"].as_str().expect("a session").to_owned()).or_default();
            for number in number("from")..=number("to") {
                assert!(numbers.insert(number), "told twice: {gap}");
            }
        }
        told
    }

    /// Rows that are not there although a later one of their session is.
    pub fn holes(&self) -> Numbers {
        let hole = |(session, numbers): (&String, &BTreeSet<u64>)| {
            let last = *numbers.last().expect("a session has rows");
            let missing: BTreeSet<u64> = (1..last).filter(|number| !numbers.contains(number)).collect();
            (!missing.is_empty()).then(|| (session.clone(), missing))
        };
        self.rows.iter().filter_map(hole).collect()
    }

    /// The rows that are told to be missing are those that are missing. A session that began in what was cut away may have begun before the
    /// log was read, as far as its numbers go: its first rows are told of by the cut.
    pub fn assert_holes_are_told(&self) {
        let (holes, told) = (self.holes(), self.told());
        let (mut silent, wrong) = (without(&holes, &told), without(&told, &holes));
        if !self.acts("FILE CUT").is_empty() || !self.gaps("bytes").is_empty() {
            silent.retain(|_, numbers| !numbers.contains(&1));
        }
        assert!(silent.is_empty(), "missing without a word: {}", brief(&silent));
        assert!(wrong.is_empty(), "told to be missing, and there or never written: {}", brief(&wrong));
    }

    /// `verify` says yes, or that the trail is authentic and tells of gaps.
    pub fn assert_verified(&self, host: &Host) {
        let output = host.verify();
        let expected = if self.acts("GAP").is_empty() { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    pub fn count(&self) -> usize {
        count(&self.rows)
    }

    fn add(&mut self, event: Event, check: impl Fn(&Session, &Event)) {
        if event.category == "unparsed" {
            return self.unparsed.push(event);
        }
        let session = event.session.clone().unwrap_or_else(|| panic!("a row without a session: {event:?}"));
        check(&session, &event);
        let new = self.rows.entry(session.id.clone()).or_default().insert(session.line);
        assert!(new, "row {} of session {} is there twice", session.line, session.id);
    }

    fn act(&mut self, act: Value) {
        if act["action"] != "SEAL" && act["action"] != "SEGMENT" {
            self.acts.push(act);
        }
    }
}

/// What is in `all` and not in `those`.
pub fn without(all: &Numbers, those: &Numbers) -> Numbers {
    let none = BTreeSet::new();
    let rest = all.iter().map(|(session, numbers)| {
        (session.clone(), numbers.difference(those.get(session).unwrap_or(&none)).copied().collect::<BTreeSet<u64>>())
    });
    rest.filter(|(_, numbers)| !numbers.is_empty()).collect()
}

pub fn count(numbers: &Numbers) -> usize {
    numbers.values().map(BTreeSet::len).sum()
}

/// For a person: how many, and the runs of the first sessions.
pub fn brief(numbers: &Numbers) -> String {
    let first = numbers.iter().take(5).map(|(session, numbers)| format!("{session}: {}", runs(numbers)));
    format!("{} rows of {} sessions; {}", count(numbers), numbers.len(), first.collect::<Vec<_>>().join("; "))
}

fn runs(numbers: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let first = runs.iter().take(10).map(|(from, to)| format!("{from}..{to}"));
    first.collect::<Vec<_>>().join(", ")
}

/// Every line of a trail, one at a time.
fn lines(journal: &Path) -> impl Iterator<Item = String> {
    trail::segments(journal).into_iter().flat_map(|segment| {
        let mut child = Command::new("zstdcat").arg(&segment).stdout(Stdio::piped()).spawn().expect("zstdcat runs");
        let mut output = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        std::iter::from_fn(move || {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() > 0 {
                return Some(line);
            }
            assert!(child.wait().unwrap().success(), "{} does not decode", segment.display());
            None
        })
    })
}
