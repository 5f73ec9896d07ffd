//! `type = "splunk_hec"`: Splunk's HTTP Event Collector.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes, compression_of, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{filled, url};
use crate::config::plan::{Compression, DestinationKind, SplunkHecPlan};
use crate::config::secret::Secret;
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "splunk_hec",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "url",
        "token",
        "token_file",
        "index",
        "sourcetype",
        "source",
        "host",
        "acknowledgement",
        "acknowledgement_timeout",
        "tls",
        "compression",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read,
};

/// What the record is called in Splunk where nothing else is said.
const SOURCETYPE: &str = "sealtrail";

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("url", "url = \"https://splunk.example:8088\"");
    if !section.has("token_file") {
        section.require("token", "token = \"${SPLUNK_HEC_TOKEN}\", or token_file");
    }
    let token = section.secret("token").map(|token| token.value);
    let url = url(section, "url");
    let plan = SplunkHecPlan {
        url: url.clone().unwrap_or_default(),
        token: token.clone().unwrap_or_else(|| Secret::new(String::new())),
        index: filled(section, "index"),
        sourcetype: filled(section, "sourcetype").unwrap_or_else(|| SOURCETYPE.to_owned()),
        source: filled(section, "source"),
        host: filled(section, "host"),
        acknowledgement: section.flag("acknowledgement").is_some_and(|flag| flag.value),
        acknowledgement_timeout: section
            .duration("acknowledgement_timeout", bounds::ACKNOWLEDGEMENT_TIMEOUT)
            .map_or(bounds::ACKNOWLEDGEMENT_TIMEOUT.default, |at| at.value),
        tls: tls(section, &TYPE),
        // HEC takes no other encoding.
        compression: compression_of(section, &[Compression::None, Compression::Gzip], Compression::Gzip),
        batch_max_bytes: batch_max_bytes(section),
        timeout: timeout(section),
    };
    url.and(token).map(|_| DestinationKind::SplunkHec(Box::new(plan)))
}

pub(super) fn rows(plan: &SplunkHecPlan, shown: &Shown<'_>) -> Vec<Row> {
    vec![
        row("url", json!(shown.as_written(&plan.url, "url"))),
        shown.secret("token", true),
        row("index", json!(plan.index)),
        row("sourcetype", json!(plan.sourcetype)),
        row("source", json!(plan.source)),
        row("host", json!(plan.host)),
        row("acknowledgement", json!(plan.acknowledgement)),
        row("acknowledgement_timeout", json!(show_duration(plan.acknowledgement_timeout))),
        tls_row(&plan.tls),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
