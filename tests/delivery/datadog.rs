//! What the Datadog destination promises beyond the suite.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sealtrail::config::plan::{DatadogPlan, DestinationKind, TlsPlan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, ORIGIN, Run, TIMEOUT, plan};
use crate::receivers::datadog::{API_KEY, Datadog};
use crate::support::journal::{Journal, line};

async fn far() -> Far {
    opened().await.0
}

pub fn kind(url: &str) -> DestinationKind {
    DestinationKind::Datadog(Box::new(datadog_plan(url)))
}

fn datadog_plan(url: &str) -> DatadogPlan {
    DatadogPlan {
        site: "datadoghq.com".to_owned(),
        url: Some(url.to_owned()),
        api_key: Secret::new(API_KEY.to_owned()),
        service: "sealtrail".to_owned(),
        tags: vec!["env:prod".to_owned()],
        tls: TlsPlan::default(),
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

async fn opened() -> (Far, Arc<Datadog>) {
    let receiver = Arc::new(Datadog::default());
    (Far::receiver(Arc::clone(&receiver) as _, kind).await, receiver)
}

#[tokio::test]
async fn an_entry_has_the_line_and_what_is_searched_by() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    let now = jiff::Timestamp::now();
    let event = |time: jiff::Timestamp| {
        format!(
            r#"{{"v":1,"type":"event","id":"f:1","time":"{time:.3}","user":"app","action":"DROP","outcome":"failure","category":"data_read","admin":true,"source":"orders"}}"#
        )
    };
    let hours = |hours: i64| now + jiff::SignedDuration::from_hours(hours);
    journal.block_of(vec![event(now), event(hours(-19)), event(hours(3))]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let entries = receiver.entries.lock().unwrap();
    let first = &entries[0];
    assert_eq!(first["message"], journal.lines[0]);
    for (name, wanted) in
        [("ddsource", "sealtrail"), ("service", "sealtrail"), ("hostname", "db-1"), ("status", "warning")]
    {
        assert_eq!(first[name], wanted);
    }
    assert_eq!(first["usr"]["id"], "app");
    assert_eq!(first["ddtags"], "env:prod,source_name:orders,category:data_read,line_type:event");
    assert_eq!(first["timestamp"].as_i64(), Some(now.as_millisecond()));
    let own = &first["sealtrail"];
    assert_eq!((own["id"].as_str(), own["line"].as_u64()), (Some("f:1"), Some(0)));
    assert_eq!((own["origin"].as_str(), own["admin"].as_bool()), (Some(ORIGIN), Some(true)));
    assert_eq!(own.get("filed_under_arrival"), None);
    for entry in &entries[1..] {
        assert_eq!(entry.get("timestamp"), None, "Datadog would drop it");
        assert_eq!(entry["sealtrail"]["filed_under_arrival"], true);
    }
    assert_eq!(entries[1]["sealtrail"]["time"], format!("{:.3}", hours(-19)));
}

#[tokio::test]
async fn a_line_that_would_be_cut_is_a_dead_letter_and_the_others_arrive() {
    let (mut journal, (mut far, receiver)) = (Journal::new(), opened().await);
    let long = format!(r#"{{"type":"event","id":"f/1","text":"{}"}}"#, "x".repeat(1_000_000));
    journal.block_of(vec![line(0), long.clone(), line(2)]);
    let url = format!("http://{}", far.front().address);
    // Megabytes take their time on a busy machine.
    let timeout = Duration::from_secs(30);
    let large = DatadogPlan { batch_max_bytes: 4 << 20, timeout, ..datadog_plan(&url) };
    let run = Run::start(&journal, vec![DestinationKind::Datadog(Box::new(large))]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 3).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 1);
    run.stop().await;
    assert_eq!(far.lines().await, [line(0), line(2)]);
    assert_eq!(*receiver.requests.lock().unwrap(), [2]);
    let folder = journal.state.path().join("dead-letter/d0");
    assert_eq!(std::fs::read_to_string(folder.join("00000000000000000001.ndjson")).unwrap(), long + "\n");
    assert!(std::fs::read_to_string(folder.join("00000000000000000001.answer.txt")).unwrap().contains("not sent"));
}

#[tokio::test]
async fn no_request_has_more_than_a_thousand_entries_or_five_megabytes() {
    let (mut journal, (mut far, receiver)) = (Journal::new(), opened().await);
    journal.block(2_500);
    let long = |number: usize| format!(r#"{{"type":"event","id":"g/{number}","text":"{}"}}"#, "\\\"".repeat(200_000));
    journal.block_of((0..8).map(long).collect());
    let url = format!("http://{}", far.front().address);
    let large = DatadogPlan { batch_max_bytes: 4 << 20, ..datadog_plan(&url) };
    let run = Run::start(&journal, vec![DestinationKind::Datadog(Box::new(large))]);
    run.until_delivered(&far, &journal).await;
    assert_eq!((run.one().retries.load(Relaxed), run.one().dead_letters.load(Relaxed)), (0, 0));
    run.stop().await;
    assert_eq!(far.lines().await, journal.lines, "in order");
    let requests = receiver.requests.lock().unwrap();
    assert!(requests.iter().all(|entries| *entries <= 1000) && requests.len() >= 5, "{requests:?}");
}

#[tokio::test]
async fn a_probe_asks_whether_the_key_is_good() {
    let (journal, mut far) = (Journal::filled(), far().await);
    let url = format!("http://{}", far.front().address);
    let wrong = DatadogPlan { api_key: Secret::new("no".to_owned()), ..datadog_plan(&url) };
    for (plan_, step) in [(datadog_plan(&url), None), (wrong, Some(Step::Authenticate))] {
        let found = ship::probe(&plan(&journal, vec![DestinationKind::Datadog(Box::new(plan_))])).await;
        assert_eq!(found[0].result.as_ref().err().map(|error| error.step), step);
    }
    assert!(far.lines().await.is_empty());
}
