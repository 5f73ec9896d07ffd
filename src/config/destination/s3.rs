//! `type = "s3"`: a bucket of closed segments.

use serde_json::json;

use super::{Type, pair, timeout, tls, tls_row};
use crate::config::fields::{bucket, filled, url};
use crate::config::plan::{DestinationKind, S3Credentials, S3Plan};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::show_duration;

pub(super) const TYPE: Type = Type {
    name: "s3",
    takes_lines: false,
    keys: &[
        "bucket",
        "prefix",
        "region",
        "endpoint",
        "path_style",
        "access_key_id",
        "secret_access_key",
        "secret_access_key_file",
        "tls",
        "timeout",
    ],
    tls: &["ca_file"],
    read,
};

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("bucket", "bucket = \"acme-audit\"");
    pair(section, "access_key_id", &["secret_access_key", "secret_access_key_file"]);
    let bucket = bucket(section);
    let prefix = section.text("prefix").map(|prefix| prefix.value.value.trim_matches('/').to_owned());
    let plan = S3Plan {
        bucket: bucket.clone().unwrap_or_default(),
        prefix: prefix.unwrap_or_default(),
        region: filled(section, "region"),
        endpoint: url(section, "endpoint"),
        path_style: section.flag("path_style").is_some_and(|flag| flag.value),
        credentials: credentials(section),
        tls: tls(section, &TYPE),
        timeout: timeout(section),
    };
    bucket.map(|_| DestinationKind::S3(Box::new(plan)))
}

fn credentials(section: &mut Section<'_, '_>) -> Option<S3Credentials> {
    let access_key_id = filled(section, "access_key_id");
    let secret_access_key = section.secret("secret_access_key").map(|secret| secret.value);
    Some(S3Credentials { access_key_id: access_key_id?, secret_access_key: secret_access_key? })
}

pub(super) fn rows(plan: &S3Plan, shown: &Shown<'_>) -> Vec<Row> {
    let endpoint = plan.endpoint.as_ref().map(|endpoint| shown.as_written(endpoint, "endpoint"));
    vec![
        row("bucket", json!(plan.bucket)),
        row("prefix", json!(plan.prefix)),
        row("region", json!(plan.region)),
        row("endpoint", json!(endpoint)),
        row("path_style", json!(plan.path_style)),
        row("access_key_id", json!(plan.credentials.as_ref().map(|credentials| &credentials.access_key_id))),
        shown.secret("secret_access_key", plan.credentials.is_some()),
        tls_row(&plan.tls),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
