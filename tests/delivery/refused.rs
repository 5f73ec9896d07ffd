//! Who is not trusted gets nothing, and who is not known says so: TLS and credentials, for every type over HTTP, with the real program.

use crate::books::{account, trail_lines};
use crate::host::{Host, wait_until};
use crate::process::Process;
use crate::support::certs::Certs;
use crate::types::{Side, Trouble, Type};
use crate::writer::Writer;

const SEAL: &str = "interval = \"50ms\"\nsegment_max_age = \"200ms\"";

async fn a_certificate_of_an_authority_that_is_not_trusted_gets_nothing(of: Type) {
    let host = host();
    let mut side = of.open(host.dir()).await;
    let (right, other) = (Certs::new(), Certs::new());
    side.secure(&right).await;
    side.trust(&other);
    let problem = stopped(&host, &side).await;
    assert!(problem.contains("certificate") && problem.contains("ca_file"), "{problem}");
    side.trust(&right);
    well(&host, &side).await;
}

async fn credentials_that_are_not_known_get_nothing_through_and_are_told_to_nobody(of: Type) {
    let host = host();
    let mut side = of.open(host.dir()).await;
    side.begin(Trouble::WrongCredentials).await;
    let problem = stopped(&host, &side).await;
    let secrets = side.secrets();
    assert!(!secrets.iter().any(|secret| problem.contains(secret) || host.said().contains(secret)), "{problem}");
    side.end(Trouble::WrongCredentials).await;
    well(&host, &side).await;
}

/// With a few rows of a log.
fn host() -> Host {
    let host = Host::empty();
    let mut writer = Writer::of_moderate_rows(&host.log(), 7);
    (0..20).for_each(|_| writer.append());
    writer.finish();
    host
}

/// The agent says that somebody has to act, and the far side holds nothing.
async fn stopped(host: &Host, side: &Side) -> String {
    host.configure_with(SEAL, &host.source("pg", "*.csv", ""), &side.table());
    let agent = Process::start(host, None, &[]);
    let problem = tokio::task::block_in_place(|| {
        wait_until("an alarm", || {
            let status = host.status()?;
            let destination = &status["destinations"][0];
            (destination["state"] == "stopped").then(|| destination["problem"].as_str().unwrap_or_default().to_owned())
        })
    });
    assert_eq!(side.far.taken().await, [""; 0]);
    agent.kill9();
    problem
}

/// All that is read is delivered.
async fn well(host: &Host, side: &Side) {
    host.configure_with(SEAL, &host.source("pg", "*.csv", ""), &side.table());
    let mut drain = Process::start(host, None, &["--drain"]);
    let status = tokio::task::block_in_place(|| wait_until("the agent to drain", || drain.ended()));
    assert!(status.success(), "{status}: {}", host.said());
    assert_eq!(account(side, &trail_lines(host)).await.wrong(), None);
}

/// One test a type.
macro_rules! every_type {
    ($case:ident, $($test:ident: $type:ident),* $(,)?) => {
        mod $case {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$case(Type::$type).await;
                }
            )*
        }
    };
}

/// Those that HTTP leads to: a folder and standard output ask nobody, and syslog has tests of its own.
macro_rules! over_http {
    ($case:ident) => {
        every_type!(
            $case,
            http: Http,
            s3: S3,
            gcs: Gcs,
            azure_blob: AzureBlob,
            splunk_hec: SplunkHec,
            elasticsearch: Elasticsearch,
            opensearch: Opensearch,
            otlp: Otlp,
            loki: Loki,
            datadog: Datadog,
            sentinel: Sentinel,
            secops: Secops,
        );
    };
}

over_http!(a_certificate_of_an_authority_that_is_not_trusted_gets_nothing);
over_http!(credentials_that_are_not_known_get_nothing_through_and_are_told_to_nobody);
