//! The one suite. Each case is written once and runs against every destination that it makes sense for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::elasticsearch::BASIC;
use sealtrail::config::plan::{DestinationKind, Plan, Transport};
use sealtrail::ship::lowest_required_cursor;

use crate::far::{Far, Run, TIMEOUT, at_ease, plan};
use crate::receivers::datadog::Datadog;
use crate::receivers::elasticsearch::{Cluster, Door};
use crate::receivers::loki::Loki;
use crate::receivers::otlp::Otlp;
use crate::receivers::secops::Secops;
use crate::receivers::sentinel::Sentinel;
use crate::receivers::splunk_hec::Hec;
use crate::receivers::tokens::Endpoint;
use crate::support::front::Fault;
use crate::support::journal::{Journal, line, lines_of};
use crate::support::s3::Server;
use crate::support::stores::Store;
use crate::support::syslog::Program;

async fn everything_is_there_as_it_is_in_the_journal(far: Far) {
    let mut journal = Journal::filled();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    journal.block(4);
    journal.close();
    journal.block(2);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, far.wanted(&journal), "in order, once each");
    assert_eq!(run.one().lines_delivered.load(Relaxed), far.wanted(&journal).len() as u64);
    assert_eq!(run.one().retries.load(Relaxed), 0);
    for (name, bytes) in far.segments().await {
        let digits = name.rsplit('/').next().unwrap().split(['-', '.']).next().unwrap();
        let original = std::fs::read(journal.folder().join(format!("{digits}.ndjson.zst"))).unwrap();
        let is_same = if name.ends_with(".gz") { lines_of(&bytes) == lines_of(&original) } else { bytes == original };
        assert!(is_same, "{name} differs from the journal's");
    }
    run.stop().await;
}

async fn delivery_again_after_a_lost_cursor_is_harmless(far: Far) {
    let journal = Journal::filled();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let (lines, segments) = (far.lines().await, far.segments().await);
    for cursor in ["{\"next_line\":0}", "damaged"] {
        // As if killed after the far side said yes and before the cursor was written.
        std::fs::write(journal.cursor("d0"), cursor).unwrap();
        let run = Run::start(&journal, vec![far.kind()]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        assert_eq!(far.lines().await, lines, "nothing twice");
        assert_eq!(far.segments().await, segments, "nothing changed");
    }
}

async fn a_new_run_goes_on_where_the_last_one_was(far: Far) {
    let mut journal = Journal::filled();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    journal.block(9);
    journal.close();
    let before = far.lines().await.len() as u64;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().lines_delivered.load(Relaxed), far.wanted(&journal).len() as u64 - before);
    run.stop().await;
}

async fn a_refusal_of_everything_stops_with_an_alarm_and_heals_without_restart(mut far: Far) {
    let journal = Journal::filled();
    for status in [400, 401, 403, 404] {
        far.fail(&[Fault::Status(status); 2]);
    }
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("hint: "));
    assert_eq!(run.one().next_line.load(Relaxed), 0);
    run.until_delivered(&far, &journal).await;
    assert!(!run.one().stopped.load(Relaxed));
    assert_eq!(run.one().retries.load(Relaxed), 8);
    run.stop().await;
}

async fn what_may_pass_is_tried_again_without_an_alarm(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[408, 429, 500, 502, 503, 504].map(Fault::Status));
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("failing", |health| health.problem.get().is_some()).await;
    assert!(!run.one().stopped.load(Relaxed));
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().retries.load(Relaxed), 6);
    run.stop().await;
}

async fn retry_after_is_obeyed(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::RetryAfter(429, "1"), Fault::RetryAfter(503, "1")]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    let seen = far.front().seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1), "429");
    assert!(seen[2].at - seen[1].at >= Duration::from_secs(1), "503");
    run.stop().await;
}

async fn a_time_out_before_the_body_was_taken_is_tried_again(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::StallBefore]);
    let begin = Instant::now();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("failing", |health| health.problem.get().is_some()).await;
    let (waited, problem) = (begin.elapsed(), run.one().problem.get());
    assert!(waited >= TIMEOUT, "after {waited:?} only: {problem:?}");
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

async fn a_time_out_after_the_body_was_taken_is_tried_again_and_harmless(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::StallAfter]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, far.wanted(&journal), "nothing twice");
    assert_eq!(run.one().retries.load(Relaxed), 1);
    run.stop().await;
}

async fn a_connection_that_breaks_is_tried_again_and_harmless(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::Reset, Fault::ResetAfter, Fault::Reset]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, far.wanted(&journal), "nothing twice");
    assert!(!run.one().stopped.load(Relaxed));
    run.stop().await;
}

async fn a_redirect_is_not_followed(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::Redirect]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("307") && !problem.contains("token"), "{problem}");
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

async fn a_destination_that_is_down_gets_everything_once_it_is_up(mut far: Far) {
    let mut journal = Journal::filled();
    far.down().await;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("failing", |health| health.retries.load(Relaxed) > 3).await;
    journal.block(30);
    journal.close();
    far.up().await;
    run.until_delivered(&far, &journal).await;
    far.down().await;
    journal.block(30);
    journal.close();
    run.until("failing again", |health| health.problem.get().is_some()).await;
    far.up().await;
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

async fn stopping_gives_a_request_up_after_a_grace_and_loses_nothing(mut far: Far) {
    let journal = Journal::filled();
    far.fail(&[Fault::StallAfter]);
    let run = Run::start(&journal, vec![far.kind()]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    run.stop().await;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, far.wanted(&journal), "nothing twice");
    run.stop().await;
}

/// A trail that is handed over in one go: many times a batch, with lines of up to what a record may have by default among small ones.
async fn a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept(mut far: Far) {
    let mut journal = Journal::new();
    for _ in 0..3 {
        journal.block(2_500);
        let begin = journal.lines.len();
        journal.block_of(
            LARGE
                .iter()
                .flat_map(|bytes| [0, *bytes])
                .enumerate()
                .map(|(at, bytes)| large(begin + at, bytes))
                .collect(),
        );
        journal.close();
    }
    let kind = at_ease(far.kind());
    let room = room(&kind);
    let run = Run::start(&journal, vec![kind]);
    let all = journal.lines.len() as u64;
    run.until("delivered", |health| health.next_line.load(Relaxed) >= all && health.problem.get().is_none()).await;
    let (without_room, with_room): (Vec<String>, Vec<String>) =
        journal.lines.iter().cloned().partition(|line| line.len() > room);
    assert_eq!(run.one().dead_letters.load(Relaxed), without_room.len() as u64);
    assert_eq!(run.one().lines_delivered.load(Relaxed), with_room.len() as u64);
    run.stop().await;
    assert_eq!(dead_letters(&journal), without_room);
    journal.lines = with_room;
    far.assert_complete(&journal).await;
    if far.takes_lines() && !matches!(far, Far::Syslog { .. }) {
        assert!(far.requests() > 10, "{} requests", far.requests());
    }
}

/// What a record may have by default, and less.
const LARGE: [usize; 7] = [4_000, 50_000, 200_000, 300_000, 800_000, 2_000_000, 4 << 20];

fn large(number: usize, bytes: usize) -> String {
    line(number).replace("\"SELECT\"", &format!("\"SELECT\",\"text\":\"{}\"", "x".repeat(bytes)))
}

/// So long a line has room with such a destination, as its page says; of [`LARGE`] none is so near that what is put around it would count.
fn room(kind: &DestinationKind) -> usize {
    match kind {
        DestinationKind::Syslog(plan) => plan.message_max_bytes - 1_000,
        DestinationKind::Datadog(_) | DestinationKind::Sentinel(_) => 900_000,
        // Base64 makes 4 MB of it.
        DestinationKind::Secops(_) => 2_900_000,
        // Loki's own default (`max_line_size`), which the receiver has.
        DestinationKind::Loki(_) => 256 << 10,
        _ => usize::MAX,
    }
}

fn dead_letters(journal: &Journal) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(journal.state.path().join("dead-letter/d0")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let letters = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    letters.map(|path| std::fs::read_to_string(path).unwrap().strip_suffix('\n').unwrap().to_owned()).collect()
}

async fn a_filter_that_takes_nothing_sends_nothing_and_holds_nothing_up(mut far: Far) {
    for in_flight in [1, 4] {
        let journal = Journal::filled();
        // Nothing that is sent would arrive.
        far.down().await;
        let run = Run::of(&journal, &permission_changes_only(&journal, &far, in_flight));
        run.until("passed", |health| health.next_line.load(Relaxed) == 27).await;
        assert_eq!(run.one().lines_left_out.load(Relaxed), 27);
        assert_eq!((run.one().lines_delivered.load(Relaxed), run.one().bytes_delivered.load(Relaxed)), (0, 0));
        assert_eq!((run.one().retries.load(Relaxed), run.one().problem.get()), (0, None), "nothing was tried");
        assert!(run.one().required && run.ship.delivered());
        assert_eq!(lowest_required_cursor(&run.health), Some(27), "its segments may go");
        run.stop().await;
        assert_eq!(std::fs::read_to_string(journal.cursor("d0")).unwrap(), "{\"next_line\":27}\n");
        far.up().await;
        assert_eq!(far.lines().await, [""; 0]);
    }
}

async fn a_filter_that_takes_one_line_in_a_thousand_sends_that_one(mut far: Far) {
    let mut journal = Journal::new();
    let mut wanted = Vec::new();
    for hit in [Some(0), Some(617), None, Some(999), None] {
        let begin = journal.lines.len();
        let mut lines: Vec<String> = (begin..begin + 1_000).map(line).collect();
        if let Some(hit) = hit {
            lines[hit] = lines[hit].replace("\"SELECT\"", "\"GRANT\",\"category\":\"permission_change\"");
            wanted.push(lines[hit].clone());
        }
        journal.block_of(lines);
    }
    let run = Run::of(&journal, &permission_changes_only(&journal, &far, 1));
    run.until("passed", |health| health.next_line.load(Relaxed) == 5_000).await;
    assert_eq!(run.one().lines_left_out.load(Relaxed), 4_997);
    assert_eq!(run.one().lines_delivered.load(Relaxed), 3);
    run.stop().await;
    journal.lines = wanted;
    far.assert_complete(&journal).await;
    match far.kind() {
        DestinationKind::Syslog(_) => {}
        DestinationKind::SplunkHec(plan) if plan.acknowledgement => {}
        _ => assert_eq!(far.requests(), 3, "a request for each line, and none without one"),
    }
}

fn permission_changes_only(journal: &Journal, far: &Far, in_flight: usize) -> Plan {
    let mut plan = plan(journal, vec![at_ease(far.kind())]);
    let choice = &mut plan.destinations[0].choice;
    choice.only.categories = vec!["permission_change".to_owned()];
    choice.without_checkpoints = true;
    choice.in_flight = in_flight;
    plan
}

/// Writes one test a case for one destination.
macro_rules! suite {
    ($destination:ident, $far:expr, [$($case:ident),* $(,)?]) => {
        mod $destination {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($far).await;
                }
            )*
        }
    };
}

/// The cases that need a network, and more.
macro_rules! network_suite {
    ($destination:ident, $far:expr $(, $case:ident)*) => {
        suite!(
            $destination,
            $far,
            [
                everything_is_there_as_it_is_in_the_journal,
                delivery_again_after_a_lost_cursor_is_harmless,
                a_new_run_goes_on_where_the_last_one_was,
                a_refusal_of_everything_stops_with_an_alarm_and_heals_without_restart,
                what_may_pass_is_tried_again_without_an_alarm,
                retry_after_is_obeyed,
                a_time_out_before_the_body_was_taken_is_tried_again,
                a_time_out_after_the_body_was_taken_is_tried_again_and_harmless,
                a_connection_that_breaks_is_tried_again_and_harmless,
                a_redirect_is_not_followed,
                a_destination_that_is_down_gets_everything_once_it_is_up,
                stopping_gives_a_request_up_after_a_grace_and_loses_nothing,
                a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept,
                $($case,)*
            ]
        );
    };
}

/// The same, for those that take lines.
macro_rules! lines_suite {
    ($destination:ident, $far:expr) => {
        network_suite!(
            $destination,
            $far,
            a_filter_that_takes_nothing_sends_nothing_and_holds_nothing_up,
            a_filter_that_takes_one_line_in_a_thousand_sends_that_one
        );
    };
}

/// The cases that need a connection and no answer.
macro_rules! connection_suite {
    ($destination:ident, $far:expr) => {
        suite!(
            $destination,
            $far,
            [
                everything_is_there_as_it_is_in_the_journal,
                delivery_again_after_a_lost_cursor_is_harmless,
                a_new_run_goes_on_where_the_last_one_was,
                a_time_out_before_the_body_was_taken_is_tried_again,
                a_time_out_after_the_body_was_taken_is_tried_again_and_harmless,
                a_connection_that_breaks_is_tried_again_and_harmless,
                a_destination_that_is_down_gets_everything_once_it_is_up,
                stopping_gives_a_request_up_after_a_grace_and_loses_nothing,
                a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept,
                a_filter_that_takes_nothing_sends_nothing_and_holds_nothing_up,
                a_filter_that_takes_one_line_in_a_thousand_sends_that_one,
            ]
        );
    };
}

suite!(
    file,
    Far::file(),
    [
        everything_is_there_as_it_is_in_the_journal,
        delivery_again_after_a_lost_cursor_is_harmless,
        a_new_run_goes_on_where_the_last_one_was,
        a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept,
    ]
);
lines_suite!(http, Far::http().await);
lines_suite!(loki, Far::receiver(Arc::new(Loki::default()), crate::loki::kind).await);
lines_suite!(datadog, Far::receiver(Arc::new(Datadog::default()), crate::datadog::kind).await);
lines_suite!(sentinel, Far::receiver(Arc::new(Sentinel::new(Endpoint::shared())), crate::sentinel::kind).await);
lines_suite!(secops, Far::receiver(Arc::new(Secops::new(Endpoint::shared())), crate::secops::kind).await);
// What asks for a front's own record of requests, or for redirects, is HTTP's.
suite!(
    kafka,
    Far::kafka().await,
    [
        everything_is_there_as_it_is_in_the_journal,
        delivery_again_after_a_lost_cursor_is_harmless,
        a_new_run_goes_on_where_the_last_one_was,
        a_refusal_of_everything_stops_with_an_alarm_and_heals_without_restart,
        what_may_pass_is_tried_again_without_an_alarm,
        a_time_out_before_the_body_was_taken_is_tried_again,
        a_time_out_after_the_body_was_taken_is_tried_again_and_harmless,
        a_connection_that_breaks_is_tried_again_and_harmless,
        a_destination_that_is_down_gets_everything_once_it_is_up,
        stopping_gives_a_request_up_after_a_grace_and_loses_nothing,
        a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept,
        a_filter_that_takes_nothing_sends_nothing_and_holds_nothing_up,
        a_filter_that_takes_one_line_in_a_thousand_sends_that_one,
    ]
);
// All but what HTTP lets be tried again: OTLP has a shorter list, which its own tests are about.
suite!(
    otlp,
    Far::receiver(Arc::new(Otlp::default()), crate::otlp::kind).await,
    [
        everything_is_there_as_it_is_in_the_journal,
        delivery_again_after_a_lost_cursor_is_harmless,
        a_new_run_goes_on_where_the_last_one_was,
        a_refusal_of_everything_stops_with_an_alarm_and_heals_without_restart,
        retry_after_is_obeyed,
        a_time_out_before_the_body_was_taken_is_tried_again,
        a_time_out_after_the_body_was_taken_is_tried_again_and_harmless,
        a_connection_that_breaks_is_tried_again_and_harmless,
        a_redirect_is_not_followed,
        a_destination_that_is_down_gets_everything_once_it_is_up,
        stopping_gives_a_request_up_after_a_grace_and_loses_nothing,
        a_trail_much_larger_than_a_batch_arrives_and_lines_without_room_are_kept,
        a_filter_that_takes_nothing_sends_nothing_and_holds_nothing_up,
        a_filter_that_takes_one_line_in_a_thousand_sends_that_one,
    ]
);
network_suite!(s3_s3s, Far::s3(Server::S3s).await);
network_suite!(s3_moto, Far::s3(Server::Moto).await);
lines_suite!(splunk_hec, Far::receiver(Arc::new(Hec::default()), crate::splunk_hec::plain).await);
lines_suite!(
    splunk_hec_acknowledged,
    Far::receiver(Arc::new(Hec::acknowledging(2)), crate::splunk_hec::acknowledged).await
);
lines_suite!(
    elasticsearch,
    Far::receiver(Arc::new(Cluster::elasticsearch(BASIC)), crate::elasticsearch::by_password).await
);
lines_suite!(
    opensearch,
    Far::receiver(Arc::new(Cluster::opensearch(Door::Signed("eu-central-1", "es"))), crate::elasticsearch::signed)
        .await
);
// Not rsyslog over TLS: with a connection a batch it loses lines by a fault of its own (docs/destinations/syslog.md). With one that is kept: tests/delivery/syslog.rs.
connection_suite!(rsyslog_tcp, Far::syslog(Program::Rsyslog, Transport::Tcp).await);
connection_suite!(syslog_ng_tls, Far::syslog(Program::SyslogNg, Transport::Tls).await);
connection_suite!(syslog_ng_tcp, Far::syslog(Program::SyslogNg, Transport::Tcp).await);
network_suite!(s3_gzip, Far::s3_gzip(Server::S3s).await);
network_suite!(gcs, Far::store(Store::Gcs).await);
network_suite!(azure_blob, Far::store(Store::Azure).await);
