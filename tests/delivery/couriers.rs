//! What couriers promise, whatever the destination.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sealtrail::clock::{rfc3339, unix_ms};
use sealtrail::config::plan::{DestinationKind, HttpPlan, Plan};
use sealtrail::ship::lowest_required_cursor;

use crate::far::{Far, Run, http_plan, plan};
use crate::support::front::Fault;
use crate::support::journal::Journal;

#[tokio::test]
async fn a_destination_that_is_down_holds_up_no_other() {
    let (journal, mut down, up) = (Journal::filled(), Far::http().await, Far::file());
    down.front().down().await;
    let run = Run::start(&journal, vec![up.kind(), down.kind()]);
    run.until_delivered(&up, &journal).await;
    assert_eq!(lowest_required_cursor(&run.health), Some(0), "the journal waits for the other one");
    assert!(!run.ship.delivered());
    run.stop().await;
}

#[tokio::test]
async fn draining_ends_when_every_required_destination_has_everything() {
    let (mut journal, mut http, file) = (Journal::filled(), Far::http().await, Far::file());
    http.fail(&[Fault::Status(503); 3]);
    let run = Run::start(&journal, vec![file.kind(), http.kind()]);
    let early = tokio::time::timeout(Duration::from_millis(500), run.ship.drained()).await;
    assert!(early.is_err(), "the archive has not the open segment");
    journal.close();
    tokio::time::timeout(Duration::from_secs(20), run.ship.drained()).await.unwrap().unwrap();
    assert!(run.ship.delivered());
    assert_eq!(lowest_required_cursor(&run.health), Some(27));
    run.stop().await;
}

#[tokio::test]
async fn draining_says_who_refuses_for_good() {
    let (mut journal, mut http, file) = (Journal::filled(), Far::http().await, Far::file());
    journal.close();
    *http.front().shared.token.lock().unwrap() = Some("right".to_owned());
    let run = Run::start(&journal, vec![file.kind(), http.kind()]);
    let refused = tokio::time::timeout(Duration::from_secs(20), run.ship.drained()).await.unwrap().unwrap_err();
    assert_eq!(refused.destinations, ["d1"]);
    run.stop().await;
}

#[tokio::test]
async fn lines_that_left_the_journal_are_an_alarm_and_are_named() {
    for far in [Far::http().await, Far::file()] {
        let journal = Journal::filled();
        let first = journal.folder().join("00000000000000000000.ndjson.zst");
        std::fs::create_dir_all(journal.cursor("d0").parent().unwrap()).unwrap();
        std::fs::write(journal.cursor("d0"), "{\"next_line\":3}").unwrap();
        let aside = journal.state.path().join("aside");
        std::fs::rename(&first, &aside).unwrap();
        let run = Run::start(&journal, vec![far.kind()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("lines 3 to 11 are no longer in the journal"), "{problem}");
        assert_eq!(run.one().next_line.load(Relaxed), 3);
        // Put back, and all is well again.
        std::fs::rename(&aside, &first).unwrap();
        let wanted = far.wanted(&journal).len() as u64;
        run.until("delivered", |health| health.next_line.load(Relaxed) == wanted).await;
        run.stop().await;
    }
}

#[tokio::test]
async fn a_new_destination_begins_at_the_oldest_line_there_is() {
    for far in [Far::http().await, Far::file()] {
        let journal = Journal::filled();
        std::fs::remove_file(journal.folder().join("00000000000000000000.ndjson.zst")).unwrap();
        let run = Run::start(&journal, vec![far.kind()]);
        let wanted = far.wanted(&journal);
        run.until("delivered", |health| health.next_line.load(Relaxed) == wanted.len() as u64).await;
        assert_eq!(far.lines().await, wanted[12..]);
        run.stop().await;
    }
}

#[tokio::test]
async fn a_cursor_ahead_of_the_trail_is_an_alarm() {
    let (journal, far) = (Journal::filled(), Far::http().await);
    std::fs::create_dir_all(journal.cursor("d0").parent().unwrap()).unwrap();
    std::fs::write(journal.cursor("d0"), "{\"next_line\":1000}").unwrap();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("the trail has only 27 lines"));
    run.stop().await;
}

#[tokio::test]
async fn damage_in_the_journal_is_an_alarm_that_names_segment_and_byte() {
    let (journal, far) = (Journal::filled(), Far::http().await);
    let path = journal.folder().join("00000000000000000012.ndjson.zst");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, bytes).unwrap();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("00000000000000000012.ndjson.zst at byte "), "{problem}");
    assert_eq!(run.one().next_line.load(Relaxed), 17, "what is before it was delivered");
    run.stop().await;
}

#[tokio::test]
async fn a_trail_that_has_no_lines_yet_is_waited_for() {
    let (mut journal, far) = (Journal::new(), Far::http().await);
    let run = Run::start(&journal, vec![far.kind()]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(run.one().problem.get().is_none());
    journal.block(3);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn several_requests_at_a_time_lose_nothing_and_the_cursor_moves_in_order() {
    let (mut journal, mut far) = (Journal::filled(), Far::http().await);
    journal.block(40);
    far.fail(&[
        Fault::Status(503),
        Fault::ResetAfter,
        Fault::Status(500),
        Fault::RetryAfter(429, "0"),
        Fault::Status(401),
    ]);
    *far.front().shared.poison.lock().unwrap() = Some("\"id\":\"f/33\"".to_owned());
    let mut plan = plan(&journal, vec![far.kind()]);
    plan.destinations[0].choice.in_flight = 4;
    let run = Run::of(&journal, &plan);
    run.until("passed", |health| health.next_line.load(Relaxed) == 67 && health.problem.get().is_none()).await;
    let held: BTreeSet<String> = far.lines().await.into_iter().collect();
    let wanted: BTreeSet<String> = journal.lines.iter().filter(|line| !line.contains("\"f/33\"")).cloned().collect();
    assert_eq!(held, wanted);
    assert_eq!(run.one().dead_letters.load(Relaxed), 1);
    run.stop().await;
}

#[tokio::test]
async fn with_several_requests_at_a_time_one_that_waits_does_not_hold_up_the_next() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    far.fail(&[Fault::StallBefore]);
    journal.block(20);
    let mut plan = plan(&journal, vec![far.kind()]);
    plan.destinations[0].choice.in_flight = 8;
    let run = Run::of(&journal, &plan);
    let begin = Instant::now();
    while far.lines().await.is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(run.one().next_line.load(Relaxed), 0, "the first is still under way");
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

/// A block that was sealed at `unix_ms`.
fn sealed_at(journal: &mut Journal, unix_ms: u64, count: usize) {
    let time = rfc3339(unix_ms);
    let first = journal.lines.len();
    let line = |number: usize| {
        format!(r#"{{"v":1,"type":"event","id":"f/{number}","time":"{time}","admin":{}}}"#, number.is_multiple_of(2))
    };
    journal.block_of((first..first + count).map(line).collect());
}

/// The lines of each request that the collector took.
fn requests(far: &mut Far) -> Vec<String> {
    let keys = far.front().seen().into_iter().filter_map(|seen| seen.key);
    keys.map(|key| key.split('/').nth(3).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_batch_is_cut_at_its_count_of_lines_that_the_destination_takes() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    sealed_at(&mut journal, unix_ms(), 10);
    let mut plan = http_in_large_batches(&journal, &mut far);
    plan.destinations[0].choice.batch_max_lines = Some(4);
    let run = Run::of(&journal, &plan);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert_eq!(requests(&mut far), ["0-3", "4-7", "8-9"]);

    let mut far = Far::http().await;
    let mut plan = http_in_large_batches(&journal, &mut far);
    plan.destinations[0].choice.batch_max_lines = Some(4);
    plan.destinations[0].choice.only.admin = Some(true);
    std::fs::remove_file(journal.cursor("d0")).unwrap();
    let run = Run::of(&journal, &plan);
    run.until("passed", |health| health.next_line.load(Relaxed) == 10).await;
    run.stop().await;
    assert_eq!(requests(&mut far), ["0-6", "7-9"]);
    assert_eq!(far.lines().await.len(), 5);
}

#[tokio::test]
async fn the_lines_of_a_quiet_trail_go_as_one_request_once_the_first_is_old_enough() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    let now = unix_ms();
    for count in [1, 2, 1] {
        sealed_at(&mut journal, now, count);
    }
    let mut plan = http_in_large_batches(&journal, &mut far);
    plan.destinations[0].choice.batch_max_age = Duration::from_secs(2);
    let run = Run::of(&journal, &plan);
    run.until_delivered(&far, &journal).await;
    assert_eq!(requests(&mut far), ["0-3"]);
    run.stop().await;
}

#[tokio::test]
async fn draining_does_not_wait_for_the_age_of_a_batch() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    sealed_at(&mut journal, unix_ms(), 3);
    let mut plan = http_in_large_batches(&journal, &mut far);
    plan.destinations[0].choice.batch_max_age = Duration::from_secs(3600);
    let run = Run::of(&journal, &plan);
    // Not there yet: more may come, and does.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(requests(&mut far).len(), 0);
    sealed_at(&mut journal, unix_ms(), 2);
    journal.close();
    tokio::time::timeout(Duration::from_secs(20), run.ship.drained()).await.unwrap().unwrap();
    assert_eq!(requests(&mut far), ["0-4"]);
    assert_eq!(far.lines().await, journal.lines);
    run.stop().await;
}

#[tokio::test]
async fn stopping_leaves_a_batch_that_waits_to_the_next_start() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    sealed_at(&mut journal, unix_ms(), 3);
    let mut plan = http_in_large_batches(&journal, &mut far);
    plan.destinations[0].choice.batch_max_age = Duration::from_secs(3600);
    let run = Run::of(&journal, &plan);
    tokio::time::sleep(Duration::from_millis(200)).await;
    run.stop().await;
    assert_eq!(requests(&mut far).len(), 0);
    plan.destinations[0].choice.batch_max_age = Duration::ZERO;
    let run = Run::of(&journal, &plan);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

fn http_in_large_batches(journal: &Journal, far: &mut Far) -> Plan {
    let url = format!("http://{}/in", far.front().address);
    plan(journal, vec![DestinationKind::Http(Box::new(HttpPlan { batch_max_bytes: 1 << 20, ..http_plan(&url) }))])
}

#[tokio::test]
async fn with_several_requests_at_a_time_blocks_are_under_way_together() {
    let (mut journal, mut far) = (Journal::new(), Far::http().await);
    far.fail(&[Fault::StallBefore]);
    // A block each, over two segments.
    for number in 0..12 {
        journal.block(1);
        if number == 5 {
            journal.close();
        }
    }
    let mut plan = plan(&journal, vec![far.kind()]);
    plan.destinations[0].choice.in_flight = 8;
    let run = Run::of(&journal, &plan);
    let begin = Instant::now();
    while far.lines().await.len() < 7 {
        assert!(begin.elapsed() < Duration::from_secs(20), "only {} came", far.lines().await.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(run.one().next_line.load(Relaxed), 0, "the first is still under way");
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().lines_delivered.load(Relaxed), 12);
    run.stop().await;
}

#[tokio::test]
async fn with_several_requests_at_a_time_what_stands_before_damage_is_delivered() {
    let (journal, far) = (Journal::filled(), Far::http().await);
    let path = journal.folder().join("00000000000000000012.ndjson.zst");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, bytes).unwrap();
    let mut plan = plan(&journal, vec![far.kind()]);
    plan.destinations[0].choice.in_flight = 16;
    let run = Run::of(&journal, &plan);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert_eq!(run.one().next_line.load(Relaxed), 17);
    assert_eq!(far.lines().await.len(), 17);
    run.stop().await;
}
