//! What belongs to the audit itself: the settings, extensions, tables and functions by which it is set up, and which of their values
//! switch it off.
//!
//! `audit_tampering` is said only where the statement by itself takes something out of the log, or out of what will be in it. A value that
//! may be more or less than the one before it is a change of policy, and no more is claimed.

use sealtrail_sql::{Scope, Value};

/// How a setting's value takes something out of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Off {
    /// By being off.
    Switch,
    /// By being on.
    Switched,
    /// By naming no class of statements, or excluding one.
    Classes,
    /// By naming somebody: who is named is left out, or nobody else is in it.
    Named,
    /// By naming events without those of statements.
    Events,
    /// By letting only the gravest messages through.
    Severity,
    /// Not that one could tell: where the log is written, in what form, how long.
    Detail,
}

/// Settings by name; one that ends in `*` by its beginning. The first that fits counts.
const SETTINGS: &[(&str, Off)] = &[
    ("pgaudit.log", Off::Classes),
    ("pgaudit.*", Off::Detail),
    ("pgauditlogtofile.log_connections", Off::Switch),
    ("pgauditlogtofile.log_disconnections", Off::Switch),
    ("pgauditlogtofile.*", Off::Detail),
    ("log_statement", Off::Classes),
    ("log_connections", Off::Switch),
    ("log_disconnections", Off::Switch),
    ("logging_collector", Off::Switch),
    ("log_replication_commands", Off::Switch),
    ("log_min_messages", Off::Severity),
    ("log_min_error_statement", Off::Severity),
    ("log_destination", Off::Detail),
    ("log_directory", Off::Detail),
    ("log_filename", Off::Detail),
    ("log_line_prefix", Off::Detail),
    ("log_min_duration_statement", Off::Detail),
    ("log_parameter_max_length*", Off::Detail),
    ("log_rotation_*", Off::Detail),
    ("log_truncate_on_rotation", Off::Detail),
    ("log_timezone", Off::Detail),
    ("shared_preload_libraries", Off::Detail),
    ("session_preload_libraries", Off::Detail),
    ("server_audit_logging", Off::Switch),
    ("server_audit_events", Off::Events),
    ("server_audit_excl_users", Off::Named),
    ("server_audit_incl_users", Off::Named),
    ("server_audit_*", Off::Detail),
    ("general_log", Off::Switch),
    ("sql_log_off", Off::Switched),
    ("log_output", Off::Classes),
    ("audit_log_policy", Off::Classes),
    ("audit_log_connection_policy", Off::Classes),
    ("audit_log_statement_policy", Off::Classes),
    ("audit_log_disable", Off::Switched),
    ("audit_log_filter.disable", Off::Switched),
    ("audit_log_exclude_*", Off::Named),
    ("audit_log_include_*", Off::Named),
    ("audit_log_*", Off::Detail),
    ("audit_json_file", Off::Switch),
    ("audit_json_*", Off::Detail),
    ("audit_trail", Off::Classes),
    ("audit_sys_operations", Off::Switch),
    ("audit_*", Off::Detail),
];

/// What setting a parameter does to the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The parameter is none of the audit's.
    None,
    /// It is changed.
    Changed,
    /// Something is taken out of the log.
    Off,
}

/// What setting `parameter`, as the engine understands it, to a value of the statement `text` does.
pub fn setting(parameter: &[u8], scope: Scope, value: Value, text: &[u8]) -> Effect {
    if parameter.eq_ignore_ascii_case(b"all") && scope == Scope::Persistent {
        return Effect::Off;
    }
    let Some((_, off)) = SETTINGS.iter().find(|(name, _)| matches(name, parameter)) else { return Effect::None };
    match is_off(*off, scope, value, text) {
        true => Effect::Off,
        false => Effect::Changed,
    }
}

fn matches(name: &str, parameter: &[u8]) -> bool {
    match name.strip_suffix('*') {
        Some(start) => parameter.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes())),
        None => parameter.eq_ignore_ascii_case(name.as_bytes()),
    }
}

fn is_off(off: Off, scope: Scope, value: Value, text: &[u8]) -> bool {
    let is_switch = matches!(off, Off::Switch | Off::Classes);
    match value {
        Value::Text(span) => holds_back(off, &plain(span.of(text))),
        Value::Off => is_switch,
        Value::On => off == Off::Switched,
        Value::Null => is_switch,
        // In a session the server's own value comes back; the server's own default is off.
        Value::Default => is_switch && !matches!(scope, Scope::Session | Scope::Transaction),
        Value::Current | Value::Secret(_) => false,
    }
}

fn holds_back(off: Off, value: &[u8]) -> bool {
    let mut items = value.split(|byte| matches!(byte, b',' | b'\'' | b'"' | b' ')).filter(|item| !item.is_empty());
    match off {
        Off::Switch => is_no(value),
        Off::Switched => matches!(value, b"1" | b"on" | b"true" | b"yes"),
        Off::Classes => {
            value.is_empty() || items.any(|item| item.starts_with(b"-") || is_no(item) || NARROW.contains(&item))
        }
        Off::Named => !value.is_empty(),
        Off::Events => !value.is_empty() && !items.any(|item| item == b"query"),
        Off::Severity => matches!(value, b"fatal" | b"panic"),
        Off::Detail => false,
    }
}

/// Words that leave whole kinds of statements out.
const NARROW: [&[u8]; 3] = [b"none", b"logins", b"queries"];

fn is_no(value: &[u8]) -> bool {
    matches!(value, b"" | b"0" | b"of" | b"off" | b"f" | b"fa" | b"fal" | b"fals" | b"false" | b"n" | b"no")
}

/// In small letters, without the quotes around all of it.
fn plain(value: &[u8]) -> Vec<u8> {
    let inner = match value {
        [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last => inner,
        other => other,
    };
    inner.trim_ascii().to_ascii_lowercase()
}

/// Whether an extension, a plugin or a library is one that audits.
pub fn is_auditor(name: &[u8]) -> bool {
    holds_word(name, b"audit")
}

/// Whether rows of a table are the audit's own: what was logged, or whom it applies to.
pub fn is_audit_table(name: &[u8]) -> bool {
    const TABLES: [&[u8]; 9] = [
        b"audit_log_filter",
        b"audit_log_user",
        b"general_log",
        b"server_audit_filters",
        b"server_audit_users",
        b"aud$",
        b"fga_log$",
        b"unified_audit_trail",
        b"aud$unified",
    ];
    TABLES.iter().any(|table| name.eq_ignore_ascii_case(table))
}

/// Functions and procedures that take something out of the audit.
pub const FUNCTIONS_OFF: [&[u8]; 6] = [
    b"audit_log_filter_remove_filter",
    b"audit_log_filter_remove_user",
    b"dbms_fga.disable_policy",
    b"dbms_fga.drop_policy",
    b"dbms_audit_mgmt.clean_audit_trail",
    b"sp_trace_setstatus",
];

/// Functions and procedures that change it.
pub const FUNCTIONS_CHANGED: [&[u8]; 6] = [
    b"audit_log_filter_set_filter",
    b"audit_log_filter_set_user",
    b"audit_log_filter_flush",
    b"dbms_fga.add_policy",
    b"dbms_fga.enable_policy",
    b"dbms_audit_mgmt",
];

/// Whether `word` stands in `text`, in letters of either kind; `word` is in small ones.
fn holds_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use sealtrail_sql::Span;

    use super::*;

    fn set(parameter: &str, scope: Scope, value: &str) -> Effect {
        let span = Span::new(0, u32::try_from(value.len()).unwrap());
        setting(parameter.as_bytes(), scope, Value::Text(span), value.as_bytes())
    }

    #[test]
    fn what_takes_statements_out_of_the_log_is_told_from_what_changes_it() {
        for (parameter, value) in [
            ("pgaudit.log", "'none'"),
            ("pgaudit.log", "'all, -read'"),
            ("PGAUDIT.LOG", "none"),
            ("log_statement", "'none'"),
            ("log_connections", "off"),
            ("server_audit_logging", "OFF"),
            ("server_audit_logging", "0"),
            ("server_audit_excl_users", "'root'"),
            ("server_audit_events", "'CONNECT'"),
            ("audit_log_policy", "'LOGINS'"),
            ("sql_log_off", "1"),
            ("log_min_messages", "panic"),
        ] {
            assert_eq!(set(parameter, Scope::Persistent, value), Effect::Off, "{parameter} = {value}");
        }
        for (parameter, value) in [
            ("pgaudit.log", "'all'"),
            ("pgaudit.log", "'ddl, role'"),
            ("pgaudit.log_relation", "off"),
            ("log_connections", "on"),
            ("server_audit_events", "'CONNECT,QUERY'"),
            ("server_audit_excl_users", "''"),
            ("server_audit_file_path", "'/tmp/x'"),
            ("general_log", "ON"),
        ] {
            assert_eq!(set(parameter, Scope::Persistent, value), Effect::Changed, "{parameter} = {value}");
        }
        assert_eq!(set("work_mem", Scope::Persistent, "'0'"), Effect::None);
    }

    #[test]
    fn putting_back_switches_off_where_the_default_is_off_and_not_in_a_session() {
        let reset = |scope| setting(b"pgaudit.log", scope, Value::Default, b"");
        assert_eq!(reset(Scope::Default), Effect::Off);
        assert_eq!(reset(Scope::Persistent), Effect::Off);
        assert_eq!(reset(Scope::Session), Effect::Changed);
        assert_eq!(setting(b"ALL", Scope::Persistent, Value::Default, b""), Effect::Off);
    }
}
