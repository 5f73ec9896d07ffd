//! `type = "secops"`: Google SecOps, by the Chronicle API.

use serde_json::json;

use super::{TLS, Type, batch_max_bytes_of, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{instance, path_part, url};
use crate::config::plan::{DestinationKind, SecopsPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row, text};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "secops",
    takes_lines: true,
    lines_max: None,
    keys: &["instance", "log_type", "forwarder", "credentials_file", "url", "tls", "batch_max_bytes", "timeout"],
    tls: TLS,
    read,
};

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("instance", "instance = \"projects/<project>/locations/<region>/instances/<customer id>\"");
    section.require("log_type", "a log type of the instance, made for it: \"SEALTRAIL_CUSTOM\"");
    section.require("credentials_file", "the JSON key of a service account");
    let instance = instance(section);
    let log_type = path_part(section, "log_type", "as the instance lists it: \"SEALTRAIL_CUSTOM\"");
    let forwarder = path_part(section, "forwarder", "the id of a forwarder of the instance");
    let credentials_file = section.absolute("credentials_file").map(|path| path.value);
    if let Some(path) = &credentials_file {
        section.context().note_file(path);
    }
    let url = url(section, "url");
    let tls = tls(section, &TYPE);
    let batch_max_bytes = batch_max_bytes_of(section, bounds::SECOPS_BATCH_BYTES);
    let timeout = timeout(section);
    let plan = SecopsPlan {
        instance: instance?,
        log_type: log_type?,
        forwarder,
        credentials_file: credentials_file?,
        url,
        tls,
        batch_max_bytes,
        timeout,
    };
    Some(DestinationKind::Secops(Box::new(plan)))
}

pub(super) fn rows(plan: &SecopsPlan, shown: &Shown<'_>) -> Vec<Row> {
    let url = plan.url.as_deref().map(|url| shown.as_written(url, "url"));
    vec![
        row("instance", json!(plan.instance)),
        row("log_type", json!(plan.log_type)),
        row("forwarder", json!(plan.forwarder)),
        row("credentials_file", json!(text(&plan.credentials_file))),
        row("url", json!(url)),
        tls_row(&plan.tls),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
