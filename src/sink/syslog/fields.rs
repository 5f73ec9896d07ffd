//! Which field of a record stands under which key of CEF and LEEF: one table, of which `docs/destinations/syslog.md` shows every row.
//!
//! Keys are those of the two guides where these have one for the purpose. For the rest CEF has a fixed number of free ones, each with a label beside it
//! (`cs1` and `cs1Label`), and keys that begin with maker and product; LEEF takes any name.

/// Where a field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its place in the record, with dots: `client.port`.
    pub path: &'static str,
    /// Of which values it is for.
    pub values: Values,
    /// CEF's key.
    pub cef: &'static str,
    /// What CEF's free keys are said to be; empty for those that have a meaning of their own.
    pub label: &'static str,
    /// LEEF's key.
    pub leef: &'static str,
}

/// Values, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Any, as they are.
    Any,
    /// Times, as milliseconds since 1970.
    Times,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// What is no IP address.
    Names,
}

const fn any(path: &'static str, cef: &'static str, label: &'static str, leef: &'static str) -> Field {
    Field { path, values: Values::Any, cef, label, leef }
}

const fn of(values: Values, path: &'static str, cef: &'static str, label: &'static str, leef: &'static str) -> Field {
    Field { path, values, cef, label, leef }
}

/// Every one. What a record does not have is left out.
pub const FIELDS: &[Field] = &[
    any("id", "externalId", "", "externalId"),
    of(Values::Times, "time", "rt", "", "devTime"),
    any("type", "sealtrailAgentType", "", "type"),
    any("user", "suser", "", "usrName"),
    any("person", "cs1", "person", "person"),
    any("acting_as", "cs5", "acting_as", "role"),
    any("action", "act", "", "action"),
    any("resource", "cs2", "resource", "resource"),
    any("resource_type", "sealtrailAgentResourceType", "", "resourceType"),
    any("outcome", "outcome", "", "outcome"),
    any("category", "cat", "", "cat"),
    any("admin", "flexString1", "admin", "admin"),
    any("break_glass", "flexString2", "break_glass", "breakGlass"),
    any("engine", "app", "", "engine"),
    any("server", "dvchost", "", "server"),
    any("source", "cs6", "source", "source"),
    any("database", "cs3", "database", "database"),
    of(Values::Ipv4, "client.address", "src", "", "src"),
    of(Values::Ipv6, "client.address", "c6a2", "Source IPv6 Address", "src"),
    of(Values::Names, "client.address", "shost", "", "identHostName"),
    any("client.port", "spt", "", "srcPort"),
    any("client.application", "requestClientApplication", "", "application"),
    any("session.id", "sealtrailAgentSession", "", "session"),
    any("session.pid", "dpid", "", "pid"),
    any("statement.text", "cs4", "statement", "statement"),
    any("statement.rows", "cn1", "rows", "rows"),
    any("error.code", "sealtrailAgentErrorCode", "", "errorCode"),
    any("error.message", "reason", "", "reason"),
    any("message", "msg", "", "msg"),
    any("at.file", "filePath", "", "file"),
    any("at.offset", "cn2", "offset", "offset"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_is_given_to_two_fields() {
        let paths = |key: fn(&Field) -> &str| {
            let pairs: BTreeSet<_> = FIELDS.iter().map(|field| (key(field), field.path)).collect();
            let keys: BTreeSet<_> = FIELDS.iter().map(key).collect();
            (pairs.len(), keys.len())
        };
        for (pairs, keys) in [paths(|field| field.cef), paths(|field| field.leef)] {
            assert_eq!(pairs, keys);
        }
    }

    #[test]
    fn free_keys_have_a_label_and_no_others_have() {
        let free = |key: &str| {
            ["cs", "cn", "flexString", "c6a"].iter().any(|start| {
                key.strip_prefix(start)
                    .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
            })
        };
        for field in FIELDS {
            assert_eq!(free(field.cef), !field.label.is_empty(), "{}", field.cef);
        }
    }
}
