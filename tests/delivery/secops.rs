//! What the SecOps destination promises beyond the suite.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use sealtrail::config::plan::{DestinationKind, SecopsPlan, TlsPlan};
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, ORIGIN, Run, TIMEOUT, plan};
use crate::receivers::secops::{FORWARDER, INSTANCE, LOG_TYPE, Secops};
use crate::receivers::tokens::{EMAIL, Endpoint, PRIVATE_KEY};
use crate::support::journal::{Journal, line};

async fn far() -> Far {
    opened().await.0
}

pub fn kind(url: &str) -> DestinationKind {
    DestinationKind::Secops(Box::new(secops_plan(url)))
}

fn secops_plan(url: &str) -> SecopsPlan {
    SecopsPlan {
        instance: INSTANCE.to_owned(),
        log_type: LOG_TYPE.to_owned(),
        forwarder: Some(FORWARDER.to_owned()),
        credentials_file: credentials(),
        url: Some(url.to_owned()),
        tls: TlsPlan::default(),
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

/// A key file as Google makes it, whose token endpoint is ours.
fn credentials() -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let json = serde_json::json!({
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "1",
            "private_key": PRIVATE_KEY,
            "client_email": EMAIL,
            "token_uri": Endpoint::shared().url(),
        });
        std::fs::write(folder.path().join("key.json"), json.to_string()).unwrap();
        folder
    });
    folder.path().join("key.json")
}

async fn opened() -> (Far, Arc<Secops>) {
    let receiver = Arc::new(Secops::new(Endpoint::shared()));
    (Far::receiver(Arc::clone(&receiver) as _, kind).await, receiver)
}

#[tokio::test]
async fn an_entry_has_the_lines_bytes_its_time_and_whose_it_is() {
    let (mut journal, (far, receiver)) = (Journal::new(), opened().await);
    journal.block_of(vec![line(0).replace("\"action\"", "\"source\":\"orders\",\"action\"")]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let logs = receiver.logs.lock().unwrap();
    assert_eq!(logs[0]["logEntryTime"], "2026-11-06T08:00:00.000Z");
    for (name, value) in
        [("sealtrail_id", "f/0"), ("sealtrail_line", "0"), ("sealtrail_origin", ORIGIN), ("sealtrail_source", "orders")]
    {
        assert_eq!(logs[0]["labels"][name]["value"], value);
    }
}

#[tokio::test]
async fn requests_are_split_to_fit_and_a_line_without_room_is_a_dead_letter() {
    let (mut journal, (mut far, _)) = (Journal::new(), opened().await);
    let long = |number: usize, bytes: usize| line(number).replace("SELECT", &"x".repeat(bytes));
    journal.block_of(vec![long(0, 1_400_000), long(1, 1_400_000), long(2, 1_400_000), long(3, 3_000_000), line(4)]);
    let url = format!("http://{}", far.front().address);
    let large = SecopsPlan { batch_max_bytes: 16 << 20, ..secops_plan(&url) };
    let run = Run::start(&journal, vec![DestinationKind::Secops(Box::new(large))]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 5).await;
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().retries.load(Relaxed)), (1, 0));
    run.stop().await;
    journal.lines.remove(3);
    assert_eq!(far.lines().await, journal.lines);
}

#[tokio::test]
async fn a_key_file_that_is_none_is_an_alarm_without_its_content() {
    let (journal, mut far) = (Journal::filled(), far().await);
    let url = format!("http://{}", far.front().address);
    let file = journal.state.path().join("key.json");
    for content in ["hunter2", r#"{"client_email":"x","private_key":"hunter2","token_uri":"http://127.0.0.1/"}"#] {
        std::fs::write(&file, content).unwrap();
        let wrong = SecopsPlan { credentials_file: file.clone(), ..secops_plan(&url) };
        let run = Run::start(&journal, vec![DestinationKind::Secops(Box::new(wrong))]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("credentials_file") && !problem.contains("hunter2"), "{problem}");
        run.stop().await;
    }
}

#[tokio::test]
async fn a_probe_asks_for_the_log_type_and_writes_nothing() {
    let (journal, mut far) = (Journal::filled(), far().await);
    let url = format!("http://{}", far.front().address);
    let other = SecopsPlan { log_type: "OTHER".to_owned(), ..secops_plan(&url) };
    for (plan_, step) in [(secops_plan(&url), None), (other, Some(Step::Answer))] {
        let found = ship::probe(&plan(&journal, vec![DestinationKind::Secops(Box::new(plan_))])).await;
        assert_eq!(found[0].result.as_ref().err().map(|error| error.step), step);
    }
    assert!(far.lines().await.is_empty());
}
