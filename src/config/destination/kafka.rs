//! `type = "kafka"`: a topic of Kafka.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes_of, compression, oauth2, pair, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{brokers, filled, topic};
use crate::config::plan::{Compression, DestinationKind, KafkaLogin, KafkaPlan, SaslMechanism, Transport};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "kafka",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "brokers",
        "topic",
        "partition",
        "transport",
        "tls",
        "mechanism",
        "username",
        "password",
        "password_file",
        "oauth2",
        "compression",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read,
};

const MECHANISM: SaslMechanism = SaslMechanism::ScramSha512;

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("brokers", "brokers = [\"kafka-1.example:9093\", \"kafka-2.example:9093\"]");
    section.require("topic", "topic = \"sealtrail\"");
    let brokers = brokers(section);
    let topic = topic(section);
    let plan = KafkaPlan {
        brokers,
        topic: topic.clone().unwrap_or_default(),
        partition: partition(section),
        transport: transport(section),
        tls: tls(section, &TYPE),
        login: login(section),
        compression: compression(section, Compression::Gzip),
        batch_max_bytes: batch_max_bytes_of(section, bounds::KAFKA_BATCH_BYTES),
        timeout: timeout(section),
    };
    let is_whole = topic.is_some() && !plan.brokers.is_empty();
    is_whole.then(|| DestinationKind::Kafka(Box::new(plan)))
}

fn partition(section: &mut Section<'_, '_>) -> Option<u32> {
    let number = section.count("partition")?;
    if number.value > bounds::PARTITION_MAX {
        let hint = format!("at most {}", bounds::PARTITION_MAX);
        section.wrong(number.span, Some("partition"), format!("{} is too large", number.value), Some(hint));
        return None;
    }
    u32::try_from(number.value).ok()
}

fn transport(section: &mut Section<'_, '_>) -> Transport {
    let choices = [Transport::Tls, Transport::Tcp].map(|one| (one.name(), one));
    let transport = section.choice("transport", &choices, &[]).map_or(Transport::Tls, |at| at.value);
    if transport == Transport::Tcp
        && let Some(span) = section.value_span("tls")
    {
        let hint = Some("leave one of them out: TLS is the default".to_owned());
        section.wrong(span, Some("tls"), "is not used with transport = \"tcp\"", hint);
    }
    transport
}

/// At most one way to log in.
fn login(section: &mut Section<'_, '_>) -> KafkaLogin {
    pair(section, "username", &["password", "password_file"]);
    if section.has("mechanism") {
        section.require("username", "mechanism needs it");
    }
    if section.has("username")
        && let Some(span) = section.value_span("oauth2")
    {
        let hint = Some("keep one way to log in".to_owned());
        section.wrong(span, Some("oauth2"), "username is given as well", hint);
    }
    let mechanisms = SaslMechanism::ALL.map(|one| (one.name(), one));
    let mechanism = section.choice("mechanism", &mechanisms, &[]).map_or(MECHANISM, |at| at.value);
    let username = filled(section, "username");
    let password = section.secret("password").map(|password| password.value);
    let oauth2 = oauth2::read(section, None);
    match (username.zip(password), oauth2) {
        (Some((username, password)), _) => KafkaLogin::Password { mechanism, username, password },
        (None, Some(oauth2)) => KafkaLogin::Token(oauth2),
        (None, None) => KafkaLogin::Nobody,
    }
}

pub(super) fn rows(plan: &KafkaPlan, shown: &Shown<'_>) -> Vec<Row> {
    let brokers: Vec<_> = plan.brokers.iter().map(|(host, port)| address(host, *port)).collect();
    let (mechanism, username) = match &plan.login {
        KafkaLogin::Password { mechanism, username, .. } => (Some(mechanism.name()), Some(username)),
        KafkaLogin::Nobody | KafkaLogin::Token(_) => (None, None),
    };
    let oauth2 = match &plan.login {
        KafkaLogin::Token(oauth2) => Some(oauth2),
        KafkaLogin::Nobody | KafkaLogin::Password { .. } => None,
    };
    vec![
        row("brokers", json!(brokers)),
        row("topic", json!(shown.as_written(&plan.topic, "topic"))),
        row("partition", json!(plan.partition)),
        row("transport", json!(plan.transport.name())),
        tls_row(&plan.tls),
        row("mechanism", json!(mechanism)),
        row("username", json!(username.map(|username| shown.as_written(username, "username")))),
        shown.secret("password", username.is_some()),
        oauth2::rows(oauth2, shown),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
