//! Every key that a file may hold, and those that a later release will take.
//!
//! One list for three readers: the unknown-key message, the test that `config.example.toml` holds them all, and the rule
//! that a destination takes only the keys of its type.

use crate::identity;

/// Tables of the file, in the order in which the example shows them.
pub const TOP: &[&str] = &["agent", "source", "classify", "identity", "redact", "seal", "health", "destination"];

/// Keys of `[agent]`.
pub const AGENT: &[&str] = &["name", "origin", "state_dir", "journal_max_bytes", "record_max_bytes", "poll_interval"];

/// Keys of `[[source]]`.
pub const SOURCE: &[&str] =
    &["name", "paths", "exclude", "format", "log_line_prefix", "start_at", "timezone", "quiet_after", "labels"];

/// Keys of `[classify]`.
pub const CLASSIFY: &[&str] = &[
    "admin_roles",
    "admin_schemas",
    "admin_applications",
    "break_glass_roles",
    "break_glass_applications",
    "bulk_rows",
];

/// Keys of `[redact]`.
pub const REDACT: &[&str] =
    &["secret_names", "secret_arguments", "literals", "parameters", "rule", "detectors", "patterns", "personal_names"];

/// Keys of `[[redact.rule]]`.
pub const REDACT_RULE: &[&str] = &["sources", "categories", "tables", "literals", "parameters"];

/// How a rule of it is called in what is said of it.
pub(super) const REDACT_RULE_TITLE: &str = "[[redact.rule]]";

/// Keys of `[identity]`.
pub const IDENTITY: &[&str] = &[
    "files",
    "grants",
    "grants_columns",
    "access",
    "rule",
    "variables",
    "variables_last",
    "connection_attributes",
    "comment_keys",
    "applications",
    "trust",
];

/// Keys of `[[identity.access]]`.
pub const IDENTITY_ACCESS: &[&str] = &["source", "sources", "address", "service", "within"];

/// How a rule is called in what is said of it.
pub(super) const IDENTITY_RULE_TITLE: &str = "[[identity.rule]]";

/// How a layer is.
pub(super) const IDENTITY_ACCESS_TITLE: &str = "[[identity.access]]";

/// Keys of `[seal]`.
pub const SEAL: &[&str] = &["interval", "heartbeat", "segment_max_bytes", "segment_max_age"];

/// Keys of `[health]`.
pub const HEALTH: &[&str] = &["listen", "status_socket"];

/// Keys of every `[[destination]]`.
pub const DESTINATION: &[&str] = &["name", "type", "required"];

/// Keys of `[[destination]]` by its type.
pub const DESTINATION_TYPES: &[(&str, &[&str])] = &[
    ("file", &["path"]),
    ("http", &["url", "token", "token_file", "headers", "tls", "compression", "batch_max_bytes", "timeout"]),
    (
        "s3",
        &[
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
    ),
];

/// Keys of a destination's `tls` by its type.
pub const TLS: &[(&str, &[&str])] = &[("http", &["ca_file", "cert_file", "key_file"]), ("s3", &["ca_file"])];

/// Names that the documentation of later releases uses: said so, instead of a guess at a spelling.
const LATER: &[(&str, &str)] = &[
    ("destination", "only"),
    ("destination", "schema"),
    ("destination", "object_lock"),
    ("destination", "retention_days"),
];

/// Destination types of later releases.
pub(super) const LATER_TYPES: &[&str] = &[
    "gcs",
    "azure_blob",
    "splunk_hec",
    "elasticsearch",
    "opensearch",
    "syslog",
    "otlp",
    "kafka",
    "sentinel",
    "secops",
    "datadog",
    "loki",
    "stdout",
];

/// Every key by its full name, destinations' by type: `agent.name`, `destination(http).tls.ca_file`.
pub fn all() -> Vec<String> {
    let plain = [("agent", AGENT), ("source", SOURCE), ("classify", CLASSIFY), ("seal", SEAL), ("health", HEALTH)];
    let mut names: Vec<String> = Vec::new();
    for (section, keys) in plain {
        names.extend(keys.iter().map(|key| format!("{section}.{key}")));
    }
    names.extend(REDACT.iter().filter(|key| **key != "rule").map(|key| format!("redact.{key}")));
    names.extend(REDACT_RULE.iter().map(|key| format!("redact.rule.{key}")));
    names.extend(IDENTITY.iter().filter(|key| !["rule", "access"].contains(*key)).map(|key| format!("identity.{key}")));
    names.extend(IDENTITY_ACCESS.iter().map(|key| format!("identity.access.{key}")));
    names.extend(identity::rule::KEYS.iter().map(|key| format!("identity.rule.{key}")));
    for (kind, keys) in DESTINATION_TYPES {
        let tls = tls_keys(kind).iter().map(|key| format!("destination({kind}).tls.{key}"));
        let keys = DESTINATION.iter().chain(*keys).filter(|key| **key != "tls");
        names.extend(keys.map(|key| format!("destination({kind}).{key}")).chain(tls));
    }
    names
}

/// The keys that only a destination of this type takes.
pub(super) fn type_keys(kind: &str) -> &'static [&'static str] {
    by_type(DESTINATION_TYPES, kind)
}

/// The keys of this type's `tls`.
pub(super) fn tls_keys(kind: &str) -> &'static [&'static str] {
    by_type(TLS, kind)
}

/// The types of destination that take this key.
pub(super) fn types_with(key: &str) -> Vec<&'static str> {
    DESTINATION_TYPES.iter().filter(|(_, keys)| keys.contains(&key)).map(|(kind, _)| *kind).collect()
}

/// Whether a later release takes this key in this section (`""` is the top of the file).
pub(super) fn is_later(section: &str, key: &str) -> bool {
    LATER.contains(&(section, key))
}

fn by_type(table: &[(&str, &'static [&'static str])], kind: &str) -> &'static [&'static str] {
    table.iter().find(|(name, _)| *name == kind).map_or(&[], |(_, keys)| keys)
}
