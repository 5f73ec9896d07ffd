//! What the Splunk destination promises beyond the suite.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sealtrail::config::plan::{Compression, DestinationKind, SplunkHecPlan, TlsPlan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::{ProbeError, Probed, Step};

use crate::far::{Far, Run, TIMEOUT, plan};
use crate::receivers::splunk_hec::{Hec, TOKEN};
use crate::support::front::{Fault, Receiver};
use crate::support::journal::{Journal, line};

fn hec_plan(url: &str) -> SplunkHecPlan {
    SplunkHecPlan {
        url: url.to_owned(),
        token: Secret::new(TOKEN.to_owned()),
        index: Some("audit".to_owned()),
        sourcetype: "sealtrail".to_owned(),
        source: None,
        host: None,
        acknowledgement: false,
        acknowledgement_timeout: TIMEOUT,
        tls: TlsPlan::default(),
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

fn kind(plan: SplunkHecPlan) -> DestinationKind {
    DestinationKind::SplunkHec(Box::new(plan))
}

pub fn plain(url: &str) -> DestinationKind {
    kind(hec_plan(url))
}

pub fn acknowledged(url: &str) -> DestinationKind {
    kind(SplunkHecPlan { acknowledgement: true, ..hec_plan(url) })
}

/// All of a block in one request.
fn large_batches(url: &str) -> DestinationKind {
    kind(SplunkHecPlan { batch_max_bytes: 1 << 20, ..hec_plan(url) })
}

async fn far(hec: Hec, make: fn(&str) -> DestinationKind) -> (Far, Arc<Hec>) {
    let hec = Arc::new(hec);
    (Far::receiver(Arc::clone(&hec) as Arc<dyn Receiver>, make).await, hec)
}

async fn probe(far: &Far, journal: &Journal) -> Result<Probed, ProbeError> {
    ship::probe(&plan(journal, vec![far.kind()])).await.into_iter().next().unwrap().result
}

#[tokio::test]
async fn codes_say_what_may_pass_and_what_stops() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::default(), plain).await);
    let passing = [(500, 8), (503, 9), (503, 18), (503, 19), (503, 20), (503, 23), (429, 26), (429, 27)];
    hec.state.lock().unwrap().answer = passing.to_vec();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), passing.len() as u64);
    run.stop().await;
    for (status, code) in [(403, 1), (401, 2), (401, 3), (403, 4), (400, 7), (400, 10), (400, 11), (400, 28)] {
        let journal = Journal::filled();
        hec.state.lock().unwrap().answer = vec![(status, code); 2];
        let run = Run::start(&journal, vec![far.kind()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains(&format!("code {code}")) && !problem.contains(TOKEN), "{problem}");
        run.until("delivered", |health| health.next_line.load(Relaxed) >= 27).await;
        assert_eq!(run.one().dead_letters.load(Relaxed), 0, "code {code} buries nothing");
        run.stop().await;
    }
}

#[tokio::test]
async fn a_warning_that_capacity_runs_out_is_a_success() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::default(), plain).await);
    hec.state.lock().unwrap().answer = vec![(200, 24), (200, 25)];
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) >= 27).await;
    assert_eq!(run.one().retries.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test]
async fn the_one_event_that_is_refused_is_a_dead_letter_and_all_others_arrive() {
    let (mut journal, (far, hec)) = (Journal::filled(), far(Hec::default(), large_batches).await);
    hec.state.lock().unwrap().poison = Some("\"id\":\"f/8\"".to_owned());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().lines_delivered.load(Relaxed)), (1, 26));
    run.stop().await;
    let folder = journal.state.path().join("dead-letter/d0");
    let kept = std::fs::read_to_string(folder.join("00000000000000000008.ndjson")).unwrap();
    assert_eq!(kept, line(8) + "\n");
    let answer = std::fs::read_to_string(folder.join("00000000000000000008.answer.txt")).unwrap();
    assert!(answer.starts_with("400") && answer.contains("\"code\":6"), "{answer}");
    journal.lines.remove(8);
    far.assert_complete(&journal).await;
    // The batch, the event that it named alone, and the rest: three requests for its block, one for each of the others.
    let twice = hec.lines().iter().filter(|held| **held == line(5)).count();
    assert_eq!(twice, 2, "those before it are taken with the refusal, and come again: told apart by their id");
}

#[tokio::test]
async fn a_request_too_large_for_splunk_cloud_is_split_and_buries_nothing() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::default(), large_batches).await);
    hec.state.lock().unwrap().body_max = Some(700);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 0, "event 0 was named, and was not the reason");
    run.stop().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_in_time_is_sent_again() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::acknowledging(1000), acknowledged).await);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("again", |health| health.retries.load(Relaxed) > 0).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("not acknowledged"), "{problem}");
    assert_eq!(run.one().next_line.load(Relaxed), 0, "taken is not written");
    assert!(!hec.lines().is_empty());
    run.stop().await;
}

#[tokio::test]
async fn a_question_for_an_acknowledgement_that_fails_is_asked_again() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::acknowledging(2), acknowledged).await);
    hec.state.lock().unwrap().failing_questions = 3;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), 0);
    assert_eq!(hec.lines(), journal.lines, "nothing twice");
    run.stop().await;
}

#[tokio::test]
async fn a_token_that_does_not_acknowledge_is_an_alarm_before_anything_is_sent() {
    let (journal, (far, hec)) = (Journal::filled(), far(Hec::default(), acknowledged).await);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("code 14") && problem.contains("acknowledgement = false"), "{problem}");
    assert!(hec.lines().is_empty());
    run.stop().await;
    let error = probe(&far, &journal).await.unwrap_err();
    assert!(error.hint.contains("acknowledgement"), "{error:?}");
}

#[tokio::test]
async fn a_token_that_wants_a_channel_says_so() {
    let (journal, (far, _hec)) = (Journal::filled(), far(Hec::acknowledging(1), plain).await);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("acknowledgement = true"));
    run.stop().await;
}

#[tokio::test]
async fn envelopes_say_when_where_and_which_line() {
    let (mut journal, (far, hec)) = (Journal::new(), far(Hec::default(), plain).await);
    let event = r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-06T08:00:00.125Z","category":"data_read","admin":true,"server":"db1","source":"pg"}"#;
    let agent = r#"{"v":1,"type":"agent","id":"acme/test/db-1/1","time":"2026-11-06T08:00:01Z","action":"SEAL","category":"operation"}"#;
    journal.block_of(vec![event.to_owned(), agent.to_owned()]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let state = hec.state.lock().unwrap();
    let [first, second] = state.envelopes.as_slice() else { panic!() };
    assert_eq!(
        (first["time"].to_string().as_str(), &first["host"], &first["source"]),
        ("1793952000.125", &"db1".into(), &"pg".into())
    );
    assert_eq!((&first["index"], &first["sourcetype"]), (&"audit".into(), &"sealtrail".into()));
    assert_eq!(
        (&first["fields"]["origin"], &first["fields"]["line"], &first["fields"]["admin"]),
        (&"acme/test/db-1".into(), &"0".into(), &"true".into())
    );
    assert_eq!(
        (&second["host"], &second["source"], &second["fields"]["line"]),
        (&"db-1".into(), &"sealtrail".into(), &"1".into())
    );
}

#[tokio::test]
async fn a_probe_writes_nothing_and_names_the_step() {
    let (journal, (mut far, hec)) = (Journal::filled(), far(Hec::default(), plain).await);
    assert!(probe(&far, &journal).await.unwrap().checked.contains("the token is good"));
    let url = format!("http://{}", far.front().address);
    let wrong = kind(SplunkHecPlan { token: Secret::new("wrong".to_owned()), ..hec_plan(&url) });
    let found = ship::probe(&plan(&journal, vec![wrong])).await;
    let error = found[0].result.as_ref().unwrap_err();
    assert_eq!(error.step, Step::Authenticate);
    assert!(error.why.contains("code 4") && error.hint.contains("`token`"), "{error:?}");
    hec.state.lock().unwrap().unhealthy = true;
    let error = probe(&far, &journal).await.unwrap_err();
    assert_eq!(error.step, Step::Answer);
    assert!(error.why.contains("code 18"), "{error:?}");
    far.front().down().await;
    assert_eq!(probe(&far, &journal).await.unwrap_err().step, Step::Connect);
    assert!(hec.lines().is_empty());
}

#[tokio::test]
async fn what_is_no_hec_is_an_alarm_and_no_success() {
    struct Page;
    impl Receiver for Page {
        fn answer(&self, _: &crate::support::front::Got) -> crate::support::front::Reply {
            crate::support::front::Reply::new(200, "<html>welcome</html>")
        }
        fn lines(&self) -> Vec<String> {
            Vec::new()
        }
    }
    let (journal, far) = (Journal::filled(), Far::receiver(Arc::new(Page), plain).await);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("not as HEC does"));
    assert_eq!(run.one().next_line.load(Relaxed), 0);
    run.stop().await;
    assert_eq!(probe(&far, &journal).await.unwrap_err().step, Step::Answer);
}

#[tokio::test]
async fn faults_between_taking_and_acknowledging_lose_nothing() {
    let (journal, (mut far, _hec)) = (Journal::filled(), far(Hec::acknowledging(2), acknowledged).await);
    far.fail(&[Fault::ResetAfter, Fault::Status(503), Fault::Reset, Fault::Status(500), Fault::ResetAfter]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}
