//! `type = "s3"`: a bucket of closed segments.

use serde_json::json;

use super::{Type, objects, pair, timeout, tls, tls_row};
use crate::config::fields::{bucket, filled, url};
use crate::config::plan::{DestinationKind, S3Credentials, S3Encryption, S3Plan, S3Role};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::show_duration;

pub(super) const TYPE: Type = Type {
    name: "s3",
    takes_lines: false,
    lines_max: None,
    keys: &[
        "bucket",
        "prefix",
        "format",
        "region",
        "endpoint",
        "path_style",
        "access_key_id",
        "secret_access_key",
        "secret_access_key_file",
        "role_arn",
        "external_id",
        "expected_bucket_owner",
        "object_lock",
        "retention_days",
        "legal_hold",
        "storage_class",
        "sse",
        "kms_key_id",
        "tags",
        "tls",
        "timeout",
    ],
    tls: &["ca_file"],
    read,
};

/// Whom Object Lock binds, in S3's words.
const LOCK_MODES: [&str; 2] = ["governance", "compliance"];

/// As `sse` names them.
const AES256: &str = "aes256";
const KMS: &str = "aws:kms";

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("bucket", "bucket = \"acme-audit\"");
    pair(section, "access_key_id", &["secret_access_key", "secret_access_key_file"]);
    let bucket = bucket(section);
    let plan = S3Plan {
        bucket: bucket.clone().unwrap_or_default(),
        prefix: objects::prefix(section),
        format: objects::format(section),
        region: filled(section, "region"),
        endpoint: url(section, "endpoint"),
        path_style: section.flag("path_style").is_some_and(|flag| flag.value),
        credentials: credentials(section),
        role: role(section),
        bucket_owner: bucket_owner(section),
        lock: objects::lock(section, "object_lock", LOCK_MODES),
        legal_hold: section.flag("legal_hold").is_some_and(|flag| flag.value),
        storage_class: objects::word(section, "storage_class", "STANDARD_IA"),
        encryption: encryption(section),
        tags: objects::tags(section),
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

fn role(section: &mut Section<'_, '_>) -> Option<S3Role> {
    if section.has("external_id") {
        section.require("role_arn", "external_id needs it");
    }
    let text = section.text("role_arn");
    let external_id = filled(section, "external_id");
    let text = text?;
    if text.value.value.starts_with("arn:") && text.value.value.contains(":role/") {
        return Some(S3Role { arn: text.value.value, external_id });
    }
    let message = format!("{:?} is no role", text.value.written);
    let hint = "such as \"arn:aws:iam::123456789012:role/sealtrail-archive\"".to_owned();
    section.wrong(text.span, Some("role_arn"), message, Some(hint));
    None
}

fn bucket_owner(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("expected_bucket_owner")?;
    let owner = &text.value.value;
    if owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.value.value);
    }
    let message = format!("{:?} is no account", text.value.written);
    section.wrong(
        text.span,
        Some("expected_bucket_owner"),
        message,
        Some("the 12 digits of an account's id".to_owned()),
    );
    None
}

fn encryption(section: &mut Section<'_, '_>) -> Option<S3Encryption> {
    let choices = [(AES256, false), (KMS, true)];
    let with_kms = section.choice("sse", &choices, &[]).map(|at| at.value);
    let key_span = section.value_span("kms_key_id");
    let key = filled(section, "kms_key_id");
    if let Some(span) = key_span.filter(|_| with_kms != Some(true)) {
        section.wrong(span, Some("kms_key_id"), format!("needs sse = {KMS:?}"), None);
    }
    with_kms.map(|with_kms| if with_kms { S3Encryption::Kms(key) } else { S3Encryption::Aes256 })
}

pub(super) fn rows(plan: &S3Plan, shown: &Shown<'_>) -> Vec<Row> {
    let endpoint = plan.endpoint.as_ref().map(|endpoint| shown.as_written(endpoint, "endpoint"));
    let (sse, key) = match &plan.encryption {
        None => (None, None),
        Some(S3Encryption::Aes256) => (Some(AES256), None),
        Some(S3Encryption::Kms(key)) => (Some(KMS), key.as_ref()),
    };
    let [mode, days] = objects::lock_rows(plan.lock, "object_lock", LOCK_MODES);
    vec![
        row("bucket", json!(plan.bucket)),
        row("prefix", json!(plan.prefix)),
        row("format", json!(plan.format.name())),
        row("region", json!(plan.region)),
        row("endpoint", json!(endpoint)),
        row("path_style", json!(plan.path_style)),
        row("access_key_id", json!(plan.credentials.as_ref().map(|credentials| &credentials.access_key_id))),
        shown.secret("secret_access_key", plan.credentials.is_some()),
        row("role_arn", json!(plan.role.as_ref().map(|role| &role.arn))),
        row("external_id", json!(plan.role.as_ref().and_then(|role| role.external_id.as_ref()))),
        row("expected_bucket_owner", json!(plan.bucket_owner)),
        mode,
        days,
        row("legal_hold", json!(plan.legal_hold)),
        row("storage_class", json!(plan.storage_class)),
        row("sse", json!(sse)),
        row("kms_key_id", json!(key)),
        objects::tags_row(&plan.tags),
        tls_row(&plan.tls),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
