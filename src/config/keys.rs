//! Every key that a file may hold, and those that a later release will take.
//!
//! One list for three readers: the unknown-key message, the test that `config.example.toml` holds them all, and the rule
//! that a destination takes only the keys of its type.

use super::destination::{TYPES, oauth2};
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

/// Keys of every `[[destination]]` that say how fast it is.
pub const DESTINATION_PACE: &[&str] = &["rate_limit", "lag_max"];

/// Keys of every destination that takes lines.
pub const DESTINATION_OF_LINES: &[&str] =
    &["schema", "only", "checkpoints", "in_flight", "batch_max_lines", "batch_max_age"];

/// Keys of its `only`.
pub const ONLY: &[&str] = &["categories", "admin", "sources", "databases", "users", "people", "outcomes"];

/// Names that the documentation of later releases uses: said so, instead of a guess at a spelling. There is none now.
const LATER: &[(&str, &str)] = &[];

/// Destination types of later releases. There is none now.
pub(super) const LATER_TYPES: &[&str] = &[];

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
    // What all take beside these is listed once, for the first of them.
    let first_of_lines = TYPES.iter().find(|kind| kind.takes_lines).map(|kind| kind.name);
    for (index, kind) in TYPES.iter().enumerate() {
        let name = kind.name;
        let pace = if index == 0 { DESTINATION_PACE } else { &[] };
        let of_lines = if first_of_lines == Some(name) { kind.of_lines() } else { &[] };
        let inner = |key: &'static str| match key {
            "tls" => kind.tls,
            "only" => ONLY,
            "oauth2" => oauth2::KEYS,
            _ => &[],
        };
        for key in DESTINATION.iter().chain(pace).chain(of_lines).chain(kind.keys) {
            match inner(key) {
                [] => names.push(format!("destination({name}).{key}")),
                inner => names.extend(inner.iter().map(|inner| format!("destination({name}).{key}.{inner}"))),
            }
        }
    }
    names
}

/// The types of destination.
pub fn destination_types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|kind| kind.name)
}

/// The types of destination that take this key.
pub(super) fn types_with(key: &str) -> Vec<&'static str> {
    TYPES
        .iter()
        .filter(|kind| kind.of_lines().iter().chain(kind.keys).any(|own| *own == key))
        .map(|kind| kind.name)
        .collect()
}

/// The types of destination whose `tls` takes this key.
pub(super) fn types_with_tls(key: &str) -> Vec<&'static str> {
    TYPES.iter().filter(|kind| kind.tls.contains(&key)).map(|kind| kind.name).collect()
}

/// Whether a later release takes this key in this section (`""` is the top of the file).
pub(super) fn is_later(section: &str, key: &str) -> bool {
    LATER.contains(&(section, key))
}
