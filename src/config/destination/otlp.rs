//! `type = "otlp"`: an OpenTelemetry collector, over HTTP.

use serde_json::{Map, Value, json};

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes_of, compression, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{fixed_headers, url};
use crate::config::plan::{Compression, DestinationKind, OtlpPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "otlp",
    takes_lines: true,
    lines_max: None,
    keys: &["url", "token", "token_file", "headers", "tls", "compression", "batch_max_bytes", "timeout"],
    tls: TLS_WITH_CLIENT,
    read,
};

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("url", "url = \"https://collector.example:4318\"; /v1/logs is added to it");
    let token = section.secret("token").map(|token| token.value);
    let url = url(section, "url");
    let plan = OtlpPlan {
        url: url.clone().unwrap_or_default(),
        headers: fixed_headers(section),
        token,
        tls: tls(section, &TYPE),
        compression: compression(section, Compression::Gzip),
        batch_max_bytes: batch_max_bytes_of(section, bounds::OTLP_BATCH_BYTES),
        timeout: timeout(section),
    };
    url.map(|_| DestinationKind::Otlp(Box::new(plan)))
}

pub(super) fn rows(plan: &OtlpPlan, shown: &Shown<'_>) -> Vec<Row> {
    let headers: Map<String, Value> = plan.headers.keys().map(|name| (name.clone(), json!("***"))).collect();
    vec![
        row("url", json!(shown.as_written(&plan.url, "url"))),
        shown.secret("token", plan.token.is_some()),
        row("headers", Value::Object(headers)),
        tls_row(&plan.tls),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
