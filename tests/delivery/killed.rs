//! `kill -9` between the moment when a far side has taken something and the moment when the cursor says so, for every type, with the real program.
//!
//! Three such moments: the far side has the whole body, and has not answered; it has answered, and the agent may or may not have read that; the
//! agent has read it, and cannot write its cursor.

use std::fs;
use std::sync::Arc;

use rustix::process::Pid;

use crate::books::{account, assert_sound, trail_lines};
use crate::far::Far;
use crate::host::{Host, wait_until};
use crate::process::{Ear, Log, Process};
use crate::support::front::Fault;
use crate::types::{Side, Type};

/// Blocks and segments come fast, so that there is always something on its way.
const SEAL: &str = "interval = \"200ms\"\nsegment_max_bytes = \"16KiB\"\nsegment_max_age = \"200ms\"";
const ROWS_PER_S: u64 = 200;
/// Of the requests of a run, the one at which the agent is killed: an object store gets the public key with the first, and Splunk's second asks
/// whether the first was written.
const AT_REQUEST: [usize; 4] = [1, 2, 3, 7];

async fn nothing_is_lost_by_a_kill_between_acceptance_and_cursor(of: Type) {
    let host = Host::empty();
    let mut sides = vec![of.open(host.dir()).await];
    host.configure_with(SEAL, &source(&host), &sides[0].table());
    let log = Log::start(&host.log(), ROWS_PER_S, 7);
    answered_and_not_written_down(&host, &sides[0]).await;
    if !matches!(sides[0].far, Far::File { .. } | Far::Stdout { .. }) {
        for request in AT_REQUEST {
            killed_at(&host, &mut sides[0], request, Fault::KillBeforeAnswer).await;
            killed_at(&host, &mut sides[0], request, Fault::KillAtAnswer).await;
        }
    }
    let written = log.stop();
    let ear = ear(&sides[0]);
    let mut drain = Process::start(&host, ear.as_ref(), &["--drain"]);
    let status = blocking(|| wait_until("the agent to drain", || drain.ended()));
    assert!(status.success(), "{status}: {}", host.said());
    let trail = trail_lines(&host);
    let account = account(&sides[0], &trail).await;
    assert_eq!(account.wrong(), None);
    assert!(sides[0].once || account.twice > 0, "{account:?}: nothing came twice, so nobody was killed in between");
    assert_sound(&host, &sides, &written.files).await;
    eprintln!("{}: {} lines, {} of them again", account.name, account.lines, account.twice);
}

/// A folder in the place of the file that is to become the cursor: the far side has said yes, and the agent can do nothing with that.
async fn answered_and_not_written_down(host: &Host, side: &Side) {
    let cursors = host.state().join("cursors");
    let in_the_way = cursors.join(format!(".{}.json.partial", side.name));
    fs::create_dir_all(&in_the_way).unwrap();
    let agent = Process::start(host, ear(side).as_ref(), &[]);
    blocking(|| wait_until("an answer", || host.said().contains("cannot write the cursor").then_some(())));
    agent.kill9();
    assert!(!cursors.join(format!("{}.json", side.name)).exists(), "the cursor was written");
    // That it was accepted is seen in the end: it comes twice, or is there once although it was sent twice.
    fs::remove_dir(in_the_way).unwrap();
}

/// The agent sends so many requests, and is killed at the last of them.
async fn killed_at(host: &Host, side: &mut Side, request: usize, fault: fn(Pid) -> Fault) {
    side.far.down().await;
    let agent = Process::start(host, None, &[]);
    let mut faults = vec![Fault::Nothing; request - 1];
    faults.push(fault(agent.pid()));
    side.far.fail(&faults);
    side.far.up().await;
    blocking(|| agent.wait_killed());
}

fn source(host: &Host) -> String {
    let log = host.log().display().to_string();
    format!("[[source]]\nname = \"pg\"\npaths = [\"{log}/*.csv\", \"{log}/*.csv.1\"]\nformat = \"postgres-csvlog\"\n")
}

fn ear(side: &Side) -> Option<Arc<Ear>> {
    match &side.far {
        Far::Stdout { ear } => Some(Arc::clone(ear)),
        _ => None,
    }
}

/// Waits on a thread that may.
fn blocking<T>(wait: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(wait)
}

/// One test a type, and every type has one.
macro_rules! every_type {
    ($($test:ident: $type:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                nothing_is_lost_by_a_kill_between_acceptance_and_cursor(Type::$type).await;
            }
        )*

        /// A type without a test does not compile.
        const _: fn(Type) = |of| match of {
            $(Type::$type => {})*
        };
    };
}

every_type!(
    file: File,
    http: Http,
    s3: S3,
    gcs: Gcs,
    azure_blob: AzureBlob,
    splunk_hec: SplunkHec,
    elasticsearch: Elasticsearch,
    opensearch: Opensearch,
    stdout: Stdout,
    syslog_tcp: SyslogTcp,
    syslog_tls: SyslogTls,
    otlp: Otlp,
    loki: Loki,
    datadog: Datadog,
    sentinel: Sentinel,
    secops: Secops,
    kafka: Kafka,
);
