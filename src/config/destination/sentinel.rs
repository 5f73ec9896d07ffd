//! `type = "sentinel"`: Microsoft Sentinel, by Azure Monitor's Logs Ingestion API.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes_of, oauth2, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{path_part, url};
use crate::config::plan::{DestinationKind, SentinelPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "sentinel",
    takes_lines: true,
    lines_max: None,
    keys: &["url", "rule", "stream", "oauth2", "tls", "batch_max_bytes", "timeout"],
    tls: TLS_WITH_CLIENT,
    read,
};

/// What a token of Azure Monitor is for. The two slashes are its resource's own.
const SCOPE: &str = "https://monitor.azure.com//.default";

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("url", "the logs ingestion endpoint: \"https://….ingest.monitor.azure.com\"");
    section.require("rule", "the immutable id of the data collection rule: \"dcr-…\"");
    section.require("stream", "stream = \"Custom-Sealtrail\"");
    section.require(
        "oauth2",
        "oauth2 = { token_url = \"https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token\", client_id = …, client_secret_file = … }",
    );
    let url = url(section, "url");
    let rule = path_part(section, "rule", "as the rule's JSON view has it in immutableId: \"dcr-…\"");
    let stream = path_part(section, "stream", "as the rule's streamDeclarations name it: \"Custom-Sealtrail\"");
    let oauth2 = oauth2::read(section, Some(SCOPE));
    let tls = tls(section, &TYPE);
    let batch_max_bytes = batch_max_bytes_of(section, bounds::SENTINEL_BATCH_BYTES);
    let timeout = timeout(section);
    let plan = SentinelPlan { url: url?, rule: rule?, stream: stream?, oauth2: oauth2?, tls, batch_max_bytes, timeout };
    Some(DestinationKind::Sentinel(Box::new(plan)))
}

pub(super) fn rows(plan: &SentinelPlan, shown: &Shown<'_>) -> Vec<Row> {
    vec![
        row("url", json!(shown.as_written(&plan.url, "url"))),
        row("rule", json!(plan.rule)),
        row("stream", json!(plan.stream)),
        oauth2::rows(Some(&plan.oauth2), shown),
        tls_row(&plan.tls),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
