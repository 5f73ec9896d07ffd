//! `type = "loki"`: Grafana Loki's push API.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes_of, compression_of, pair, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{filled, loki_labels, url};
use crate::config::plan::{Compression, DestinationKind, LokiPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "loki",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "url",
        "tenant",
        "username",
        "password",
        "password_file",
        "token",
        "token_file",
        "labels",
        "structured_metadata",
        "tls",
        "compression",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read,
};

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("url", "url = \"https://loki.example\"; /loki/api/v1/push is added to it");
    pair(section, "username", &["password", "password_file"]);
    if section.has("username") && (section.has("token") || section.has("token_file")) {
        let hint = Some("keep one of them".to_owned());
        section.wrong(section.span(), Some("username"), "is given beside token", hint);
    }
    let url = url(section, "url");
    let username = filled(section, "username");
    let password = section.secret("password").map(|password| password.value);
    let plan = LokiPlan {
        url: url.clone().unwrap_or_default(),
        tenant: filled(section, "tenant"),
        basic: username.zip(password),
        token: section.secret("token").map(|token| token.value),
        labels: loki_labels(section),
        structured_metadata: section.flag("structured_metadata").is_none_or(|flag| flag.value),
        tls: tls(section, &TYPE),
        compression: compression_of(section, &[Compression::None, Compression::Gzip], Compression::Gzip),
        batch_max_bytes: batch_max_bytes_of(section, bounds::LOKI_BATCH_BYTES),
        timeout: timeout(section),
    };
    url.map(|_| DestinationKind::Loki(Box::new(plan)))
}

pub(super) fn rows(plan: &LokiPlan, shown: &Shown<'_>) -> Vec<Row> {
    let tenant = plan.tenant.as_deref().map(|tenant| shown.as_written(tenant, "tenant"));
    let username = plan.basic.as_ref().map(|(username, _)| shown.as_written(username, "username"));
    vec![
        row("url", json!(shown.as_written(&plan.url, "url"))),
        row("tenant", json!(tenant)),
        row("username", json!(username)),
        shown.secret("password", plan.basic.is_some()),
        shown.secret("token", plan.token.is_some()),
        row("labels", json!(plan.labels)),
        row("structured_metadata", json!(plan.structured_metadata)),
        tls_row(&plan.tls),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
