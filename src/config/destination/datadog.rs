//! `type = "datadog"`: Datadog's log intake.

use serde_json::json;

use super::{TLS, Type, batch_max_bytes_of, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{filled, host_name, tags, url};
use crate::config::plan::{DatadogPlan, DestinationKind};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};
use crate::sink::datadog::ENTRIES_MAX;

pub(super) const TYPE: Type = Type {
    name: "datadog",
    takes_lines: true,
    lines_max: Some(ENTRIES_MAX),
    keys: &["api_key", "api_key_file", "site", "url", "service", "tags", "tls", "batch_max_bytes", "timeout"],
    tls: TLS,
    read,
};

const SITE: &str = "datadoghq.com";
const SERVICE: &str = "sealtrail";

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    if !section.has("api_key_file") {
        section.require("api_key", "api_key = \"${DD_API_KEY}\", or api_key_file");
    }
    let api_key = section.secret("api_key").map(|key| key.value);
    let site = host_name(section, "site", "such as \"datadoghq.com\", \"datadoghq.eu\" or \"us5.datadoghq.com\"");
    let plan = (site, url(section, "url"), filled(section, "service"), tags(section), tls(section, &TYPE));
    let (site, url, service, tags, tls) = plan;
    let batch_max_bytes = batch_max_bytes_of(section, bounds::DATADOG_BATCH_BYTES);
    let timeout = timeout(section);
    let plan = DatadogPlan {
        site: site.unwrap_or_else(|| SITE.to_owned()),
        url,
        api_key: api_key?,
        service: service.unwrap_or_else(|| SERVICE.to_owned()),
        tags,
        tls,
        batch_max_bytes,
        timeout,
    };
    Some(DestinationKind::Datadog(Box::new(plan)))
}

pub(super) fn rows(plan: &DatadogPlan, shown: &Shown<'_>) -> Vec<Row> {
    let url = plan.url.as_deref().map(|url| shown.as_written(url, "url"));
    vec![
        shown.secret("api_key", true),
        row("site", json!(plan.site)),
        row("url", json!(url)),
        row("service", json!(plan.service)),
        row("tags", json!(plan.tags)),
        tls_row(&plan.tls),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
