//! What the HTTP destination promises beyond the suite.

use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{Compression, DestinationKind, HttpPlan};
use sealtrail::config::secret::Secret;
use sealtrail::schema::Schema;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, Run, http_plan, plan};
use crate::support::certs::Certs;
use crate::support::front::{Behind, Front};
use crate::support::journal::{Journal, line};
use crate::support::wire::Wire;

fn kind(plan: HttpPlan) -> DestinationKind {
    DestinationKind::Http(Box::new(plan))
}

async fn secured(certs: &Certs, clients: bool) -> (Far, HttpPlan) {
    let front = Front::start(Behind::Collector, Some(certs.acceptor(clients))).await;
    let plan = http_plan(&format!("https://localhost:{}/in", front.address.port()));
    (Far::Http { front }, plan)
}

#[tokio::test]
async fn batches_share_one_connection() {
    let (mut journal, mut far) = (Journal::filled(), Far::http().await);
    let behind = far.front().address;
    let wire = Wire::start(behind.ip(), behind).await;
    let run = Run::start(&journal, vec![kind(http_plan(&format!("http://{}/in", wire.address)))]);
    run.until_delivered(&far, &journal).await;
    journal.block(3);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert!(far.front().seen().len() > 3);
    assert_eq!(*wire.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn every_compression_arrives() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (journal, mut far) = (Journal::filled(), Far::http().await);
        let url = format!("http://{}/in", far.front().address);
        let run = Run::start(&journal, vec![kind(HttpPlan { compression, ..http_plan(&url) })]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
    }
}

#[tokio::test]
async fn a_batch_too_large_is_split_until_it_is_taken() {
    let (journal, mut far) = (Journal::filled(), Far::http().await);
    *far.front().shared.lines_max.lock().unwrap() = 1;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, journal.lines);
    assert_eq!(run.one().dead_letters.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test]
async fn a_destination_gets_the_lines_that_it_takes_and_the_others_are_counted() {
    let (mut journal, far) = (Journal::new(), Far::http().await);
    let event = |number: usize, category: &str| {
        format!(r#"{{"type":"event","id":"f/{number}","category":"{category}","admin":true}}"#)
    };
    let seal = r#"{"type":"agent","id":"3","action":"SEAL"}"#.to_owned();
    let gap = r#"{"type":"agent","id":"2","action":"GAP"}"#.to_owned();
    journal.block_of(vec![event(0, "data_read"), event(1, "permission_change"), gap.clone(), seal.clone()]);
    journal.block_of(vec![event(4, "data_read"), event(5, "data_read")]);
    let mut plan = plan(&journal, vec![far.kind()]);
    plan.destinations[0].choice.only.categories = vec!["permission_change".to_owned()];
    plan.destinations[0].choice.without_checkpoints = true;
    let run = Run::of(&journal, &plan);
    run.until("passed", |health| health.next_line.load(Relaxed) == 6).await;
    assert_eq!(far.lines().await, [event(1, "permission_change"), gap]);
    assert_eq!(run.one().lines_delivered.load(Relaxed), 2);
    assert_eq!(run.one().lines_left_out.load(Relaxed), 4);
    run.stop().await;
}

#[tokio::test]
async fn a_token_that_is_replaced_in_its_file_needs_no_restart() {
    let (mut journal, mut far) = (Journal::filled(), Far::http().await);
    *far.front().shared.token.lock().unwrap() = Some("new".to_owned());
    let file = journal.state.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let url = format!("http://{}/in", far.front().address);
    let token = Some(Secret::of_file("old".to_owned(), &file));
    let mut plan = plan(&journal, vec![kind(HttpPlan { token, ..http_plan(&url) })]);
    plan.destinations[0].files = vec![file.clone()];
    let run = Run::of(&journal, &plan);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    std::fs::write(&file, "new\n").unwrap();
    run.until_delivered(&far, &journal).await;
    // The old one is still taken, and then no longer: what is written before is used before anything is refused.
    let refused = run.one().retries.load(Relaxed);
    std::fs::write(&file, "newest\n").unwrap();
    *far.front().shared.token.lock().unwrap() = None;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    *far.front().shared.token.lock().unwrap() = Some("newest".to_owned());
    journal.block(3);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), refused);
    run.stop().await;
}

#[tokio::test]
async fn a_destination_with_a_rate_is_not_given_more() {
    let (journal, far) = (Journal::filled(), Far::http().await);
    let mut plan = plan(&journal, vec![far.kind()]);
    let bytes: usize = journal.lines.iter().map(|line| line.len() + 1).sum();
    plan.destinations[0].rate_limit = Some(bytes as u64);
    let begin = std::time::Instant::now();
    let run = Run::of(&journal, &plan);
    run.until_delivered(&far, &journal).await;
    // All but the last batch, of at most 400 bytes, were waited for.
    let least = std::time::Duration::from_millis(1000 * (bytes as u64 - 400) / bytes as u64 - 50);
    assert!(begin.elapsed() >= least, "{:?} of {least:?}", begin.elapsed());
    run.stop().await;
}

#[tokio::test]
async fn lines_are_written_in_the_schema_that_the_destination_wants() {
    for (schema, key, id) in [(Schema::Ocsf, "class_uid", "/metadata/uid"), (Schema::Ecs, "@timestamp", "/event/id")] {
        let (journal, far) = (Journal::filled(), Far::http().await);
        let mut plan = plan(&journal, vec![far.kind()]);
        plan.destinations[0].choice.schema = schema;
        let run = Run::of(&journal, &plan);
        run.until("passed", |health| health.next_line.load(Relaxed) == 27).await;
        let lines = far.lines().await;
        assert_eq!(lines.len(), journal.lines.len());
        for (number, line) in lines.iter().enumerate() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(!event[key].is_null(), "{event}");
            assert_eq!(event.pointer(id).unwrap(), &format!("f/{number}"), "{event}");
        }
        run.stop().await;
    }
}

#[tokio::test]
async fn one_line_that_is_refused_lies_in_the_dead_letter_folder_with_the_answer() {
    let (mut journal, mut far) = (Journal::filled(), Far::http().await);
    *far.front().shared.poison.lock().unwrap() = Some("\"id\":\"f/8\"".to_owned());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
    run.until("counted", |health| health.dead_letters.load(Relaxed) == 1).await;
    assert_eq!(run.one().lines_delivered.load(Relaxed), 26);
    assert!(run.ship.delivered());
    run.stop().await;
    let folder = journal.state.path().join("dead-letter/d0");
    let kept = std::fs::read_to_string(folder.join("00000000000000000008.ndjson")).unwrap();
    assert_eq!(kept, line(8) + "\n");
    let answer = std::fs::read_to_string(folder.join("00000000000000000008.answer.txt")).unwrap();
    assert!(answer.starts_with("413") && answer.contains("not wanted"), "{answer}");
    // Together, dead letters and the far side have every line.
    journal.lines.remove(8);
    far.assert_complete(&journal).await;
}

#[tokio::test]
async fn batches_are_cut_alike_whatever_the_cursor_and_however_much_there_is() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    journal.block(20);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let keys = |far: &mut Far| -> Vec<String> { far.front().seen().into_iter().filter_map(|seen| seen.key).collect() };
    let first = keys(&mut far);
    assert!(first.len() > 3 && first[0].starts_with("acme/test/db-1/0-"), "{first:?}");
    // More lines, a closed segment, a cursor in the middle of a batch.
    journal.block(5);
    journal.close();
    std::fs::write(journal.cursor("d0"), "{\"next_line\":1}").unwrap();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 25).await;
    run.stop().await;
    let second = keys(&mut far).split_off(first.len());
    assert_eq!(first[1..], second[1..first.len()], "the batches after the first have the same keys");
    let last = |key: &str| key.rsplit('-').next().and_then(|end| end.split('/').next()).map(str::to_owned);
    assert_eq!(last(&second[0]), last(&first[0]), "the first ends where it did");
}

#[tokio::test]
async fn a_line_larger_than_a_batch_goes_alone() {
    let (mut journal, far) = (Journal::new(), Far::http().await);
    journal.block_of(vec![line(0), format!("{{\"long\":\"{}\"}}", "x".repeat(3_000_000)), line(2)]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn an_authority_that_is_not_ours_is_an_alarm() {
    let (journal, certs) = (Journal::filled(), Certs::new());
    let (far, mut http) = secured(&certs, false).await;
    let other = Certs::new();
    http.tls.ca_file = Some(other.path("ca.pem"));
    let run = Run::start(&journal, vec![kind(http.clone())]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("certificate") && problem.contains("ca_file"), "{problem}");
    assert!(far.lines().await.is_empty());
    run.stop().await;
    let found = ship::probe(&plan(&journal, vec![kind(http)])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Tls);
}

#[tokio::test]
async fn a_certificate_file_that_appears_later_heals_without_restart() {
    let (journal, certs) = (Journal::filled(), Certs::new());
    let (far, mut http) = secured(&certs, false).await;
    let later = journal.state.path().join("ca.pem");
    http.tls.ca_file = Some(later.clone());
    let run = Run::start(&journal, vec![kind(http)]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    std::fs::copy(certs.path("ca.pem"), later).unwrap();
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn own_authority_and_client_certificate_are_used() {
    let (journal, certs) = (Journal::filled(), Certs::new());
    let (far, mut http) = secured(&certs, true).await;
    http.tls.ca_file = Some(certs.path("ca.pem"));
    let without = Run::start(&journal, vec![kind(http.clone())]);
    without.until("refused", |health| health.retries.load(Relaxed) > 0).await;
    without.stop().await;
    assert!(far.lines().await.is_empty());
    http.tls.cert_file = Some(certs.path("client.pem"));
    http.tls.key_file = Some(certs.path("client.key"));
    let run = Run::start(&journal, vec![kind(http)]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_an_alarm_that_never_shows_it() {
    let (journal, mut far) = (Journal::filled(), Far::http().await);
    *far.front().shared.token.lock().unwrap() = Some("right".to_owned());
    let url = format!("http://{}/in", far.front().address);
    let wrong = HttpPlan { token: Some(Secret::new("wr0ng-t0ken".to_owned())), ..http_plan(&url) };
    let run = Run::start(&journal, vec![kind(wrong.clone())]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("401") && !problem.contains("wr0ng"), "{problem}");
    run.stop().await;
    let found = ship::probe(&plan(&journal, vec![kind(wrong)])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Authenticate);
    let right = HttpPlan { token: Some(Secret::new("right".to_owned())), ..http_plan(&url) };
    let run = Run::start(&journal, vec![kind(right.clone())]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert!(ship::probe(&plan(&journal, vec![kind(right)])).await[0].result.is_ok());
}

#[tokio::test]
async fn a_probe_says_at_which_step_it_failed_and_writes_nothing() {
    let (journal, mut far) = (Journal::filled(), Far::http().await);
    let address = far.front().address;
    let step = async |url: &str| {
        let found = ship::probe(&plan(&journal, vec![kind(http_plan(url))])).await;
        found.into_iter().next().unwrap().result.map_err(|error| error.step).err()
    };
    assert_eq!(step("http://nowhere.invalid/in").await, Some(Step::Resolve));
    far.front().down().await;
    assert_eq!(step(&format!("http://{address}/in")).await, Some(Step::Connect));
    far.front().up().await;
    assert_eq!(step(&format!("http://{address}/in")).await, None);
    assert!(far.lines().await.is_empty());
}
