//! What the OTLP destination promises beyond the suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use sealtrail::config::plan::{Compression, DestinationKind, OtlpPlan, TlsPlan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, ORIGIN, Run, TIMEOUT, plan};
use crate::receivers::otlp::{Otlp, body, text, value};
use crate::receivers::rotel::Rotel;
use crate::support::front::Fault;
use crate::support::journal::{Journal, line};

async fn far() -> Far {
    opened().await.0
}

pub fn kind(url: &str) -> DestinationKind {
    DestinationKind::Otlp(Box::new(otlp_plan(url)))
}

fn otlp_plan(url: &str) -> OtlpPlan {
    OtlpPlan {
        url: url.to_owned(),
        headers: BTreeMap::new(),
        token: None,
        tls: TlsPlan::default(),
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

/// A far side whose receiver can be looked into.
async fn opened() -> (Far, Arc<Otlp>) {
    let receiver = Arc::new(Otlp::default());
    (Far::receiver(Arc::clone(&receiver) as _, kind).await, receiver)
}

#[tokio::test]
async fn a_record_has_the_line_as_its_body_and_its_fields_beside_it() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    let event = r#"{"v":1,"type":"event","id":"f:258","time":"2026-11-20T20:28:32.272123456Z","user":"app","person":"Ann","action":"SELECT","resource":"t","outcome":"success","category":"data_read","admin":false,"engine":"oracle","server":"db1","source":"orders","database":"appdb"}"#;
    let failed =
        r#"{"v":1,"type":"event","id":"f:300","time":"2026-11-20T20:28:33Z","outcome":"failure","admin":true}"#;
    let checkpoint = r#"{"v":1,"type":"checkpoint","id":"2","time":"2026-11-20T20:28:34Z"}"#;
    journal.block_of([event, failed, checkpoint].map(str::to_owned).to_vec());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let records = receiver.records.lock().unwrap().clone();
    let (resource, record) = &records[0];
    assert_eq!((text(resource, "host.name"), text(resource, "sealtrail.origin")), (Some("db-1"), Some(ORIGIN)));
    assert_eq!((body(record), record.time_unix_nano), (event, 1_795_206_512_272_123_456));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (9, "INFO"));
    assert_eq!(record.event_name, "sealtrail.event");
    for (key, wanted) in [
        ("log.record.uid", "f:258"),
        ("user.name", "app"),
        ("enduser.id", "Ann"),
        ("sealtrail.action", "SELECT"),
        ("sealtrail.outcome", "success"),
        ("sealtrail.category", "data_read"),
        ("sealtrail.source", "orders"),
        ("db.system.name", "oracle.db"),
        ("db.namespace", "appdb"),
    ] {
        assert_eq!(text(&record.attributes, key), Some(wanted), "{key}");
    }
    assert_eq!(value(&record.attributes, "sealtrail.admin"), Some(&Value::BoolValue(false)));
    assert_eq!(value(&records[1].1.attributes, "sealtrail.line"), Some(&Value::IntValue(1)));
    assert_eq!(records[1].1.severity_number, 13, "what failed is a warning");
    assert_eq!((records[2].1.event_name.as_str(), records[2].1.severity_number), ("sealtrail.checkpoint", 9));
    assert_eq!(value(&records[2].1.attributes, "sealtrail.admin"), None, "a checkpoint is nobody's act");
}

#[tokio::test]
async fn every_compression_arrives() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (journal, mut far) = (Journal::filled(), far().await);
        let url = format!("http://{}", far.front().address);
        let otlp = OtlpPlan { compression, ..otlp_plan(&url) };
        let run = Run::start(&journal, vec![DestinationKind::Otlp(Box::new(otlp))]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
    }
}

#[tokio::test]
async fn what_the_specification_lets_be_tried_again_is_no_alarm() {
    let (journal, mut far) = (Journal::filled(), far().await);
    far.fail(&[429, 502, 503, 504].map(Fault::Status));
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("failing", |health| health.problem.get().is_some()).await;
    assert!(!run.one().stopped.load(Relaxed));
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), 4);
    run.stop().await;
}

#[tokio::test]
async fn any_other_failure_of_the_collector_is_an_alarm() {
    for status in [408, 500, 501] {
        let (journal, mut far) = (Journal::filled(), far().await);
        far.fail(&[Fault::Status(status); 3]);
        let run = Run::start(&journal, vec![far.kind()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        run.until_delivered(&far, &journal).await;
        run.stop().await;
    }
}

#[tokio::test]
async fn a_request_too_large_is_split() {
    let (journal, mut far) = (Journal::filled(), far().await);
    far.fail(&[Fault::Status(413)]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test]
async fn of_a_partial_success_every_line_is_kept_and_none_is_sent_again() {
    let (mut journal, (mut far, receiver)) = (Journal::new(), opened().await);
    journal.block(9);
    *receiver.poison.lock().unwrap() = Some("\"id\":\"f/4\"");
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 9).await;
    run.until("kept", |health| health.dead_letters.load(Relaxed) > 0).await;
    let kept = run.one().dead_letters.load(Relaxed);
    assert_eq!(run.one().lines_delivered.load(Relaxed) + kept, 9);
    assert!(!run.one().stopped.load(Relaxed));
    run.stop().await;
    // Of the request that had it, all lines; of no request a second one.
    let seen = far.front().seen().len();
    let held = far.lines().await;
    assert_eq!((held.len(), receiver.records.lock().unwrap().len()), (8, 8));
    assert!(seen >= 3 && (2..=4).contains(&kept), "{seen} requests, {kept} kept");
    let folder = journal.state.path().join("dead-letter/d0");
    assert_eq!(std::fs::read_to_string(folder.join("00000000000000000004.ndjson")).unwrap(), line(4) + "\n");
    let answer = std::fs::read_to_string(folder.join("00000000000000000004.answer.txt")).unwrap();
    assert!(answer.contains("rejects 1 of") && answer.contains("a record that is not wanted"), "{answer}");
}

#[tokio::test]
async fn a_success_of_something_else_is_an_alarm() {
    let (journal, (far, receiver)) = (Journal::filled(), opened().await);
    *receiver.body.lock().unwrap() = Some("<html>welcome</html>");
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert_eq!(run.one().next_line.load(Relaxed), 0);
    assert!(run.one().problem.get().unwrap().contains("check `url`"));
    // Some collectors answer in JSON.
    *receiver.body.lock().unwrap() = Some(r#"{"partialSuccess":{}}"#);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_probe_writes_nothing_and_knows_a_wrong_token() {
    let (journal, (mut far, receiver)) = (Journal::filled(), opened().await);
    *receiver.token.lock().unwrap() = Some("right");
    let url = format!("http://{}", far.front().address);
    for (token, step) in [("right", None), ("wrong", Some(Step::Authenticate))] {
        let otlp = OtlpPlan { token: Some(Secret::new(token.to_owned())), ..otlp_plan(&url) };
        let found = ship::probe(&plan(&journal, vec![DestinationKind::Otlp(Box::new(otlp))])).await;
        assert_eq!(found[0].result.as_ref().err().map(|error| error.step), step, "{:?}", found[0].result);
    }
    assert!(far.lines().await.is_empty());
}

#[tokio::test]
async fn lines_pass_a_collector_of_others_as_they_are() {
    let (mut journal, (mut far, receiver)) = (Journal::filled(), opened().await);
    journal.block_of(vec![format!(r#"{{"v":1,"type":"event","id":"f/27","time":"2026-11-20T20:28:32.272123456Z","user":"ä\u0000\n","text":"{}"}}"#, "ö".repeat(300_000))]);
    let rotel = Rotel::start(&format!("http://{}", far.front().address));
    let run = Run::start(&journal, vec![kind(&rotel.url())]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 28).await;
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().retries.load(Relaxed)), (0, 0));
    let passed_on = async || {
        while far.lines().await.len() < 28 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), passed_on())
        .await
        .expect("the collector passes all of it on");
    run.stop().await;
    far.assert_complete(&journal).await;
    let records = receiver.records.lock().unwrap();
    let (resource, record) = records.iter().find(|(_, record)| body(record).contains("f/27")).unwrap();
    assert_eq!(text(resource, "sealtrail.origin"), Some(ORIGIN));
    assert_eq!(text(&record.attributes, "log.record.uid"), Some("f/27"));
    assert_eq!(record.time_unix_nano, 1_795_206_512_272_123_456);
}
