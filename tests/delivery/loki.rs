//! What the Loki destination promises beyond the suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{Compression, DestinationKind, LokiPlan, TlsPlan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, ORIGIN, Run, TIMEOUT, plan};
use crate::receivers::loki::Loki;
use crate::support::journal::{Journal, line};

pub fn kind(url: &str) -> DestinationKind {
    DestinationKind::Loki(Box::new(loki_plan(url)))
}

fn loki_plan(url: &str) -> LokiPlan {
    LokiPlan {
        url: url.to_owned(),
        tenant: None,
        basic: None,
        token: None,
        labels: BTreeMap::new(),
        structured_metadata: true,
        tls: TlsPlan::default(),
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

async fn opened() -> (Far, Arc<Loki>) {
    let receiver = Arc::new(Loki::default());
    (Far::receiver(Arc::clone(&receiver) as _, kind).await, receiver)
}

fn at(number: usize, time: &str) -> String {
    format!(r#"{{"v":1,"type":"event","id":"f/{number}","time":"{time}","source":"orders","category":"data_read"}}"#)
}

#[tokio::test]
async fn labels_are_few_and_the_rest_goes_with_the_line() {
    let (mut journal, (mut far, receiver)) = (Journal::new(), opened().await);
    let event = r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:32.272123Z","user":"a\"pp","action":"SELECT","outcome":"success","category":"data_read","admin":true,"source":"orders"}"#;
    let other = event.replace("f:1", "f:2").replace("a\\\"pp", "root");
    journal.block_of(vec![
        event.to_owned(),
        other,
        r#"{"v":1,"type":"agent","id":"2","time":"2026-11-20T20:28:33Z"}"#.to_owned(),
    ]);
    let url = format!("http://{}", far.front().address);
    let loki = LokiPlan {
        labels: [("cluster".to_owned(), "prod".to_owned())].into(),
        batch_max_bytes: 1 << 20,
        ..loki_plan(&url)
    };
    let run = Run::start(&journal, vec![DestinationKind::Loki(Box::new(loki))]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert_eq!(receiver.streams().len(), 2, "an event's and the agent's");
    let entries = receiver.entries.lock().unwrap();
    let first = entries.iter().find(|entry| entry.line == event).unwrap();
    let labels = [
        ("service_name", "sealtrail"),
        ("origin", ORIGIN),
        ("type", "event"),
        ("source", "orders"),
        ("category", "data_read"),
        ("cluster", "prod"),
    ];
    assert_eq!(first.labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(first.time_ns, 1_795_206_512_272_123_000);
    let metadata = [
        ("line", "0"),
        ("id", "f:1"),
        ("user", "a\"pp"),
        ("action", "SELECT"),
        ("outcome", "success"),
        ("admin", "true"),
    ];
    assert_eq!(first.metadata, metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn lines_that_are_too_old_are_dead_letters_and_the_others_arrive() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    receiver.rules.lock().unwrap().oldest = Some("2026-11-10T00:00:00Z");
    let days = [8, 9, 11, 9, 12, 13];
    let lines: Vec<String> =
        days.iter().enumerate().map(|(at_, day)| at(at_, &format!("2026-11-{day:02}T00:00:00Z"))).collect();
    journal.block_of(lines.clone());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 6).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 3);
    assert_eq!(run.one().lines_delivered.load(Relaxed), 3);
    assert!(!run.one().stopped.load(Relaxed));
    run.stop().await;
    assert_eq!(far.lines().await, [&lines[2], &lines[4], &lines[5]].map(Clone::clone));
    let answer = journal.state.path().join("dead-letter/d0/00000000000000000003.answer.txt");
    assert!(std::fs::read_to_string(answer).unwrap().contains("too old"));
}

#[tokio::test]
async fn a_line_too_far_behind_or_too_long_is_found_by_halving() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    receiver.rules.lock().unwrap().behind_max_ns = Some(3_600_000_000_000);
    receiver.rules.lock().unwrap().line_max_bytes = Some(300);
    let mut lines: Vec<String> = (0..8).map(|number| at(number, "2026-11-20T10:00:00Z")).collect();
    lines[5] = at(5, "2026-11-20T08:00:00Z");
    lines[6] = at(6, "2026-11-20T10:00:00Z").replace("orders", &"o".repeat(300));
    journal.block_of(lines.clone());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 8).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 2);
    run.stop().await;
    let held = far.lines().await;
    assert_eq!(held, [&lines[..5], &lines[7..]].concat());
    let folder = journal.state.path().join("dead-letter/d0");
    assert!(folder.join("00000000000000000005.ndjson").exists() && folder.join("00000000000000000006.ndjson").exists());
}

#[tokio::test]
async fn a_server_that_takes_no_structured_metadata_is_an_alarm_that_says_so() {
    let (journal, (mut far, receiver)) = (Journal::filled(), opened().await);
    receiver.rules.lock().unwrap().is_before_v3 = true;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("structured_metadata = false"));
    assert_eq!(run.one().dead_letters.load(Relaxed), 0);
    run.stop().await;
    let url = format!("http://{}", far.front().address);
    let without = LokiPlan { structured_metadata: false, ..loki_plan(&url) };
    let run = Run::start(&journal, vec![DestinationKind::Loki(Box::new(without))]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn tenant_and_password_are_sent_and_a_probe_tries_them() {
    let (journal, (mut far, receiver)) = (Journal::filled(), opened().await);
    receiver.rules.lock().unwrap().tenant = Some("team-a");
    // "loki:pass", RFC 7617.
    receiver.rules.lock().unwrap().authorization = Some("Basic bG9raTpwYXNz");
    let url = format!("http://{}", far.front().address);
    let right = LokiPlan {
        tenant: Some("team-a".to_owned()),
        basic: Some(("loki".to_owned(), Secret::new("pass".to_owned()))),
        ..loki_plan(&url)
    };
    let wrong = LokiPlan { basic: Some(("loki".to_owned(), Secret::new("no".to_owned()))), ..right.clone() };
    let probe = async |plan_: &LokiPlan| {
        let found = ship::probe(&plan(&journal, vec![DestinationKind::Loki(Box::new(plan_.clone()))])).await;
        found.into_iter().next().unwrap().result.map_err(|error| error.step).err()
    };
    assert_eq!(probe(&right).await, None);
    assert_eq!(probe(&wrong).await, Some(Step::Authenticate));
    assert!(far.lines().await.is_empty());
    let run = Run::start(&journal, vec![DestinationKind::Loki(Box::new(right))]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_line_that_comes_twice_is_there_once() {
    let (journal, (far, receiver)) = (Journal::filled(), opened().await);
    for _ in 0..2 {
        let run = Run::start(&journal, vec![far.kind()]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        std::fs::write(journal.cursor("d0"), "{\"next_line\":0}").unwrap();
    }
    assert_eq!(receiver.entries.lock().unwrap().len(), journal.lines.len());
    assert_eq!(far.lines().await[0], line(0));
}
