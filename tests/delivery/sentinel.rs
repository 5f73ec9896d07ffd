//! What the Sentinel destination promises beyond the suite.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{DestinationKind, SentinelPlan, TlsPlan};
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, ORIGIN, Run, TIMEOUT, plan};
use crate::oauth2::oauth2;
use crate::receivers::sentinel::{RULE, STREAM, Sentinel};
use crate::receivers::tokens::Endpoint;
use crate::support::journal::{Journal, line};

async fn far() -> Far {
    opened().await.0
}

pub fn kind(url: &str) -> DestinationKind {
    DestinationKind::Sentinel(Box::new(sentinel_plan(url)))
}

fn sentinel_plan(url: &str) -> SentinelPlan {
    SentinelPlan {
        url: url.to_owned(),
        rule: RULE.to_owned(),
        stream: STREAM.to_owned(),
        oauth2: oauth2(Endpoint::shared().url()),
        tls: TlsPlan::default(),
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

async fn opened() -> (Far, Arc<Sentinel>) {
    let receiver = Arc::new(Sentinel::new(Endpoint::shared()));
    (Far::receiver(Arc::clone(&receiver) as _, kind).await, receiver)
}

#[tokio::test]
async fn a_row_has_the_line_and_a_column_for_each_field() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    let event = r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:32.272Z","user":"app","person":"Ann","action":"SELECT","resource":"t","outcome":"success","category":"data_read","admin":true,"engine":"mysql","server":"db1","source":"orders","database":"appdb"}"#;
    journal.block_of(vec![event.to_owned()]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let wanted = serde_json::json!([{
        "TimeGenerated": "2026-11-20T20:28:32.272Z", "EventTime": "2026-11-20T20:28:32.272Z", "EventId": "f:1", "Line": 0, "Part": 1, "Parts": 1,
        "Origin": ORIGIN, "LineType": "event", "Server": "db1", "SourceName": "orders", "Engine": "mysql", "DatabaseName": "appdb",
        "Category": "data_read", "Admin": true, "UserName": "app", "Person": "Ann", "Action": "SELECT", "ResourceName": "t",
        "Outcome": "success", "Record": event,
    }]);
    assert_eq!(serde_json::to_value(&*receiver.rows.lock().unwrap()).unwrap(), wanted);
}

#[tokio::test]
async fn a_line_that_would_be_cut_goes_in_rows_that_join_to_it() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    journal.block_of(vec![
        line(0),
        format!(r#"{{"type":"event","id":"f/1","text":"{}"}}"#, "ä".repeat(100_000)),
        line(2),
    ]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert_eq!(far.lines().await, journal.lines);
    let rows = receiver.rows.lock().unwrap();
    let parts: Vec<_> =
        rows.iter().map(|row| (row["Line"].as_u64(), row["Part"].as_u64(), row["Parts"].as_u64())).collect();
    let of_long = (1..=4).map(|part| (Some(1), Some(part), Some(4)));
    assert_eq!(parts[1..5], of_long.collect::<Vec<_>>());
    assert!(rows[1..5].iter().all(|row| row["EventId"] == "f/1"), "each part says whose it is");
}

#[tokio::test]
async fn a_line_without_room_in_a_call_is_a_dead_letter_and_calls_are_split_to_fit() {
    let (mut journal, (mut far, _)) = (Journal::new(), opened().await);
    let long =
        |number: usize, bytes: usize| format!(r#"{{"type":"event","id":"f/{number}","text":"{}"}}"#, "x".repeat(bytes));
    journal.block_of(vec![long(0, 400_000), long(1, 400_000), long(2, 1_000_000), long(3, 400_000)]);
    let url = format!("http://{}", far.front().address);
    let large = SentinelPlan { batch_max_bytes: 8 << 20, ..sentinel_plan(&url) };
    let run = Run::start(&journal, vec![DestinationKind::Sentinel(Box::new(large))]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 4).await;
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().retries.load(Relaxed)), (1, 0));
    run.stop().await;
    journal.lines.remove(2);
    assert_eq!(far.lines().await, journal.lines);
    let answer = journal.state.path().join("dead-letter/d0/00000000000000000002.answer.txt");
    assert!(std::fs::read_to_string(answer).unwrap().contains("a call takes 1000000"));
}

#[tokio::test]
async fn a_probe_gets_a_token_and_writes_nothing() {
    let (journal, mut far) = (Journal::filled(), far().await);
    let url = format!("http://{}", far.front().address);
    let mut wrong = sentinel_plan(&url);
    wrong.oauth2.client_id = "somebody".to_owned();
    for (plan_, step) in [(sentinel_plan(&url), None), (wrong, Some(Step::Authenticate))] {
        let found = ship::probe(&plan(&journal, vec![DestinationKind::Sentinel(Box::new(plan_))])).await;
        assert_eq!(found[0].result.as_ref().err().map(|error| error.step), step);
    }
    assert!(far.lines().await.is_empty());
}
