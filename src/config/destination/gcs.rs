//! `type = "gcs"`: a bucket of Google Cloud Storage.

use serde_json::json;

use super::{TLS, Type, objects, timeout, tls, tls_row};
use crate::config::fields::{bucket, url};
use crate::config::plan::{DestinationKind, GcsHold, GcsPlan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row, text};
use crate::config::units::show_duration;

pub(super) const TYPE: Type = Type {
    name: "gcs",
    takes_lines: false,
    lines_max: None,
    keys: &[
        "bucket",
        "prefix",
        "format",
        "endpoint",
        "credentials_file",
        "retention",
        "retention_days",
        "hold",
        "storage_class",
        "kms_key_name",
        "tls",
        "timeout",
    ],
    tls: TLS,
    read,
};

/// Google's own, for everybody.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// Whom an object's retention binds, in Google's words.
const RETENTION_MODES: [&str; 2] = ["unlocked", "locked"];

/// As `hold` names them.
const HOLDS: [(&str, GcsHold); 2] = [("temporary", GcsHold::Temporary), ("event_based", GcsHold::EventBased)];

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("bucket", "bucket = \"acme-audit\"");
    let bucket = bucket(section);
    let plan = GcsPlan {
        bucket: bucket.clone().unwrap_or_default(),
        prefix: objects::prefix(section),
        format: objects::format(section),
        endpoint: url(section, "endpoint").unwrap_or_else(|| ENDPOINT.to_owned()),
        credentials_file: section.readable("credentials_file").map(|path| path.value),
        lock: objects::lock(section, "retention", RETENTION_MODES),
        hold: section.choice("hold", &HOLDS, &[]).map(|at| at.value),
        storage_class: objects::word(section, "storage_class", "NEARLINE"),
        kms_key_name: kms_key_name(section),
        tls: tls(section, &TYPE),
        timeout: timeout(section),
    };
    bucket.map(|_| DestinationKind::Gcs(Box::new(plan)))
}

fn kms_key_name(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("kms_key_name")?;
    if text.value.value.starts_with("projects/") && text.value.value.contains("/cryptoKeys/") {
        return Some(text.value.value);
    }
    let message = format!("{:?} is no key", text.value.written);
    let hint = "such as \"projects/acme/locations/europe-west3/keyRings/audit/cryptoKeys/evidence\"".to_owned();
    section.wrong(text.span, Some("kms_key_name"), message, Some(hint));
    None
}

pub(super) fn rows(plan: &GcsPlan, shown: &Shown<'_>) -> Vec<Row> {
    let hold = HOLDS.iter().find(|(_, hold)| Some(*hold) == plan.hold).map(|(name, _)| *name);
    let [mode, days] = objects::lock_rows(plan.lock, "retention", RETENTION_MODES);
    vec![
        row("bucket", json!(plan.bucket)),
        row("prefix", json!(plan.prefix)),
        row("format", json!(plan.format.name())),
        row("endpoint", json!(shown.as_written(&plan.endpoint, "endpoint"))),
        row("credentials_file", json!(plan.credentials_file.as_ref().map(|path| text(path)))),
        mode,
        days,
        row("hold", json!(hold)),
        row("storage_class", json!(plan.storage_class)),
        row("kms_key_name", json!(plan.kms_key_name)),
        tls_row(&plan.tls),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
