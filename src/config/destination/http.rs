//! `type = "http"`: a collector that takes NDJSON.

use serde_json::{Map, Value, json};

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes, compression, oauth2, timeout, tls, tls_row};
use crate::config::fields::{headers, url};
use crate::config::plan::{Compression, DestinationKind, HttpPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "http",
    takes_lines: true,
    lines_max: None,
    keys: &["url", "token", "token_file", "oauth2", "headers", "tls", "compression", "batch_max_bytes", "timeout"],
    tls: TLS_WITH_CLIENT,
    read,
};

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("url", "url = \"https://collector.example/ingest\"");
    let token = section.secret("token").map(|token| token.value);
    let url = url(section, "url");
    let (headers, templates) = headers(section);
    if section.has("oauth2") && (section.has("token") || section.has("token_file")) {
        let hint = Some("keep one of them".to_owned());
        section.wrong(section.span(), Some("oauth2"), "is given beside token", hint);
    }
    let plan = HttpPlan {
        url: url.clone().unwrap_or_default(),
        headers,
        templates,
        token,
        oauth2: oauth2::read(section, None),
        tls: tls(section, &TYPE),
        compression: compression(section, Compression::Gzip),
        batch_max_bytes: batch_max_bytes(section),
        timeout: timeout(section),
    };
    url.map(|_| DestinationKind::Http(Box::new(plan)))
}

pub(super) fn rows(plan: &HttpPlan, shown: &Shown<'_>) -> Vec<Row> {
    let names = plan.headers.keys().chain(plan.templates.keys());
    let headers: Map<String, Value> = names.map(|name| (name.clone(), json!("***"))).collect();
    vec![
        row("url", json!(shown.as_written(&plan.url, "url"))),
        shown.secret("token", plan.token.is_some()),
        oauth2::rows(plan.oauth2.as_ref(), shown),
        row("headers", Value::Object(headers)),
        tls_row(&plan.tls),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
