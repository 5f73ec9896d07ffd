//! What is no mistake but worth a second look before the daemon runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::destination::DANGER;
use super::plan::{DestinationKind, DestinationPlan, KafkaLogin, Plan, SourcePlan, Transport};
use super::{Matches, Reading};
use crate::clock;
use crate::host::is_loopback;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The section and the key: `[[source]] orders-pg timezone`.
    pub about: String,
    /// A lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// All of them, in the order of the plan. `found` has one entry for each source.
pub fn warnings(reading: &Reading, found: &[Matches]) -> Vec<Warning> {
    let plan = &reading.plan;
    let mut warnings = Vec::new();
    warnings.extend(about_origin(reading));
    for (source, found) in plan.sources.iter().zip(found) {
        warnings.extend(about_files(source, found));
        warnings.extend(about_timezone(source));
    }
    warnings.extend(about_overlap(plan, found));
    warnings.extend(about_directory_files(plan));
    warnings.extend(about_grants(plan));
    warnings.extend(about_health(plan));
    warnings.extend(about_required(plan));
    warnings.extend(about_unanswered(plan));
    for (index, destination) in plan.destinations.iter().enumerate() {
        warnings.extend(about_any_certificate(destination));
        warnings.extend(about_plain_http(destination));
        warnings.extend(about_plain_syslog(destination));
        warnings.extend(about_plain_kafka(destination));
        warnings.extend(about_secret_files(reading, index, destination));
    }
    warnings
}

fn warning(about: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Warning {
    Warning { about: about.into(), message: message.into(), hint: hint.into() }
}

fn about_origin(reading: &Reading) -> Option<Warning> {
    let origin = &reading.plan.agent.origin;
    (!reading.written.holds("agent.origin")).then(|| {
        let message = format!("is not set: the trail is named {origin:?}, after this host alone");
        warning("[agent] origin", message, "set it to org/cluster/host, so that no two trails share a name")
    })
}

fn about_files(source: &SourcePlan, found: &Matches) -> Option<Warning> {
    let about = format!("[[source]] {} paths", source.name);
    if let Some((path, reason)) = &found.unreadable {
        let others = match found.unreadable_files {
            1 => String::new(),
            files => format!(", and {} more", files - 1),
        };
        let message = format!("cannot read {}{others}: {reason}", path.display());
        return Some(warning(
            about,
            message,
            "let the account that runs sealtrail read it, or run check as that account",
        ));
    }
    found.files.is_empty().then(|| {
        warning(
            about,
            "no file matches now",
            "right if the database has not logged yet; otherwise look at log_directory",
        )
    })
}

fn about_timezone(source: &SourcePlan) -> Option<Warning> {
    source.timezone.is_none().then(|| {
        warning(
            format!("[[source]] {} timezone", source.name),
            "is not set: only times that name UTC or an offset are beyond doubt",
            "set it to the server's log_timezone",
        )
    })
}

fn about_overlap(plan: &Plan, found: &[Matches]) -> Option<Warning> {
    for (index, mine) in found.iter().enumerate() {
        for (other, theirs) in found.iter().enumerate().skip(index + 1) {
            let Some(path) = mine.files.intersection(&theirs.files).next() else { continue };
            let first = plan.sources.get(index).map_or("", |source| source.name.as_str());
            let second = plan.sources.get(other).map_or("", |source| source.name.as_str());
            let message = format!("{} matches the paths of {first} as well", path.display());
            return Some(warning(format!("[[source]] {second} paths"), message, "let each file belong to one source"));
        }
    }
    None
}

fn about_health(plan: &Plan) -> Option<Warning> {
    let listen = plan.health.listen.filter(|listen| !listen.ip().is_loopback())?;
    Some(warning(
        "[health] listen",
        format!("{listen} can be reached from other hosts, and asks nobody who they are"),
        "listen on 127.0.0.1, or let a firewall decide",
    ))
}

fn about_required(plan: &Plan) -> Option<Warning> {
    plan.destinations.iter().all(|destination| !destination.required).then(|| {
        warning(
            "[[destination]]",
            "none is required: segments may leave the journal before any destination has them",
            "set required = true for the one that holds the evidence",
        )
    })
}

fn about_any_certificate(destination: &DestinationPlan) -> Option<Warning> {
    destination.kind.tls().is_some_and(|tls| tls.accept_any_certificate).then(|| {
        warning(
            format!("[[destination]] {} tls {DANGER}", destination.name),
            "DANGER: nobody checks who answers: whoever sits between here and there gets the records and the secrets, and may say that they were taken",
            "name the authority in tls.ca_file instead; never leave this on in production",
        )
    })
}

fn about_plain_http(destination: &DestinationPlan) -> Vec<Warning> {
    let about = |(key, url): (&str, &str)| plain_http(destination, key, url);
    destination_url(destination).and_then(about).into_iter().chain(token_url(destination).and_then(about)).collect()
}

fn plain_http(destination: &DestinationPlan, key: &str, url: &str) -> Option<Warning> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    (url.scheme() == "http" && !is_loopback(&host)).then(|| {
        let message = format!("http:// to {host}: records and secrets travel in the clear");
        warning(format!("[[destination]] {} {key}", destination.name), message, "use https://")
    })
}

fn token_url(destination: &DestinationPlan) -> Option<(&str, &str)> {
    let oauth2 = match &destination.kind {
        DestinationKind::Http(http) => http.oauth2.as_ref()?,
        DestinationKind::Sentinel(sentinel) => &sentinel.oauth2,
        DestinationKind::Kafka(kafka) => match &kafka.login {
            KafkaLogin::Token(oauth2) => oauth2,
            KafkaLogin::Nobody | KafkaLogin::Password { .. } => return None,
        },
        _ => return None,
    };
    Some(("oauth2 token_url", oauth2.token_url.as_str()))
}

fn destination_url(destination: &DestinationPlan) -> Option<(&str, &str)> {
    Some(match &destination.kind {
        DestinationKind::Http(http) => ("url", http.url.as_str()),
        DestinationKind::S3(s3) => ("endpoint", s3.endpoint.as_deref()?),
        DestinationKind::Gcs(gcs) => ("endpoint", gcs.endpoint.as_str()),
        DestinationKind::AzureBlob(azure) => ("endpoint", azure.endpoint.as_str()),
        DestinationKind::Otlp(otlp) => ("url", otlp.url.as_str()),
        DestinationKind::Loki(loki) => ("url", loki.url.as_str()),
        DestinationKind::Datadog(datadog) => ("url", datadog.url.as_deref()?),
        DestinationKind::Sentinel(sentinel) => ("url", sentinel.url.as_str()),
        DestinationKind::Secops(secops) => ("url", secops.url.as_deref()?),
        DestinationKind::SplunkHec(hec) => ("url", hec.url.as_str()),
        DestinationKind::Elasticsearch(elastic) => ("url", elastic.url.as_str()),
        DestinationKind::File(_)
        | DestinationKind::Stdout(_)
        | DestinationKind::Syslog(_)
        | DestinationKind::Kafka(_) => return None,
    })
}

fn about_plain_syslog(destination: &DestinationPlan) -> Option<Warning> {
    let DestinationKind::Syslog(syslog) = &destination.kind else { return None };
    let about = |key: &str| format!("[[destination]] {} {key}", destination.name);
    match syslog.transport {
        Transport::Tls => None,
        Transport::Udp => Some(warning(
            about("transport"),
            "over UDP lines are lost, and nobody can tell which",
            "use \"tls\"; keep UDP for receivers that take nothing else",
        )),
        Transport::Tcp => (!is_loopback(&syslog.host)).then(|| {
            let message = format!("tcp to {}: records travel in the clear", syslog.host);
            warning(about("transport"), message, "use \"tls\"")
        }),
    }
}

fn about_plain_kafka(destination: &DestinationPlan) -> Option<Warning> {
    let DestinationKind::Kafka(kafka) = &destination.kind else { return None };
    let (host, _) = kafka.brokers.iter().find(|(host, _)| !is_loopback(host))?;
    (kafka.transport != Transport::Tls).then(|| {
        let message = format!("tcp to {host}: records, and passwords of mechanism = \"PLAIN\", travel in the clear");
        warning(format!("[[destination]] {} transport", destination.name), message, "use \"tls\"")
    })
}

/// None of these says that it has a line.
fn about_unanswered(plan: &Plan) -> Option<Warning> {
    let mut required = plan.destinations.iter().filter(|destination| destination.required).peekable();
    required.peek()?;
    let unanswered = |kind: &DestinationKind| matches!(kind, DestinationKind::Syslog(_) | DestinationKind::Stdout(_));
    required.all(|destination| unanswered(&destination.kind)).then(|| {
        warning(
            "[[destination]]",
            "all that are required are syslog or stdout, which never say that they have a line",
            "add a required one that does, such as file, s3 or http",
        )
    })
}

/// Who can write them says who did what.
fn about_directory_files(plan: &Plan) -> Vec<Warning> {
    let files = plan.identity.iter().flat_map(|identity| identity.loader.paths());
    let open = files.filter(|path| path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0));
    open.map(|path| {
        let message = format!("{} can be written by everyone on this host", path.display());
        warning("[identity] files", message, "chmod o-w it: who can write it says who did what")
    })
    .collect()
}

/// Of access that several people had at once nobody can say whose a row is.
fn about_grants(plan: &Plan) -> Vec<Warning> {
    let grants = plan.identity.iter().map(|identity| &identity.loaded.directory.grants);
    let pairs = grants.flat_map(|grants| grants.in_each_others_way(GRANTS_TOLD_MAX));
    pairs
        .map(|(one, two)| {
            let (from, to) = (one.from_ms.max(two.from_ms), one.to_ms.min(two.to_ms));
            let (from, to) = (clock::rfc3339(from), clock::rfc3339(to));
            let message = format!(
                "{} in {} and {} in {} had the same account from {from} to {to}: those rows have no person",
                one.person, one.place, two.person, two.place
            );
            warning("[identity] grants", message, "give it to one at a time, or of different databases or addresses")
        })
        .collect()
}

/// More are not told.
const GRANTS_TOLD_MAX: usize = 10;

/// Files of secrets that more than their owner and group can read.
fn about_secret_files(reading: &Reading, index: usize, destination: &DestinationPlan) -> Vec<Warning> {
    let mut files: Vec<(&str, PathBuf)> = Vec::new();
    let keys = [
        "token_file",
        "password_file",
        "api_key_file",
        "secret_access_key_file",
        "credentials_file",
        "account_key_file",
        "sas_token_file",
        "client_secret_file",
        "oauth2.client_secret_file",
    ];
    for key in keys {
        let written = reading.written.text(&format!("destination.{index}.{key}"));
        files.extend(written.map(|path| (key, PathBuf::from(path))));
    }
    files.extend(destination.kind.tls().and_then(|tls| tls.key_file.clone()).map(|path| ("tls key_file", path)));
    let open = files.into_iter().filter(|(_, path)| everyone_may_read(path));
    open.map(|(key, path)| {
        let message = format!("{} can be read by everyone on this host", path.display());
        warning(format!("[[destination]] {} {key}", destination.name), message, "chmod o= it")
    })
    .collect()
}

/// A path with a variable in it is not looked at: then `false`.
fn everyone_may_read(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
