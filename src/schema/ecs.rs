//! ECS: which act is of which categories and types, in one table, and how such an event is written.
//!
//! Written from the published field list, version [`VERSION`]. ECS has no fields for a database's own things. What the engine says under
//! names of its own goes where Beats and Elastic's integrations have it ([`namespace`]), and what is ours and has no field stays under
//! `sealtrail`, named as in the record: `sealtrail.statement.text` is the statement of every engine. An event has all categories of its
//! row, and types that ECS expects of at least one of them; a test holds both against the list.

mod write;

use super::table::{Kind, Row, When, row};

pub(super) use write::{write, write_foreign};

/// The version of the schema.
pub const VERSION: &str = "9.4.0";
/// The version of this mapping, in `sealtrail.mapping`. It is raised when an act gets other categories or a value goes to another field.
pub const MAPPING: &str = "1";

/// What an act becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// `event.kind`.
    pub kind: &'static str,
    /// `event.category`.
    pub categories: &'static [&'static str],
    /// `event.type`.
    pub types: &'static [&'static str],
}

/// Where the engine's own fields go: `extra` of the record.
pub const fn namespace(engine: &str) -> Option<[&'static str; 2]> {
    match engine.as_bytes() {
        // Filebeat's module has csvlog's columns here, under the names that the record has them.
        b"postgresql" => Some(["postgresql", "log"]),
        b"mysql" | b"mariadb" => Some(["mysql", "audit"]),
        b"mongodb" => Some(["mongodb", "audit"]),
        b"oracle" => Some(["oracle", "database_audit"]),
        b"sqlserver" => Some(["sqlserver", "audit"]),
        _ => None,
    }
}

/// Engines that have a place of their own.
pub const ENGINES: [&str; 6] = ["postgresql", "mysql", "mariadb", "mongodb", "oracle", "sqlserver"];

const fn event(categories: &'static [&'static str], types: &'static [&'static str]) -> Event {
    Event { kind: "event", categories, types }
}

const FOREIGN: Event = Event { kind: "pipeline_error", categories: &[], types: &["error"] };
const READ: Event = event(&["database"], &["access"]);
const WRITTEN: Event = event(&["database"], &["change"]);
const MADE: Event = event(&["database", "configuration"], &["creation"]);
const CHANGED: Event = event(&["database", "configuration"], &["change"]);
const REMOVED: Event = event(&["database", "configuration"], &["deletion"]);
const GIVEN: Event = event(&["database", "iam"], &["admin", "change"]);
const MEMBERSHIP: Event = event(&["database", "iam"], &["admin", "group", "change"]);
const SWITCHED: Event = event(&["database", "iam"], &["user", "info"]);
const SETTLED: Event = event(&["database", "configuration"], &["change"]);
const SAID: Event = event(&["database"], &["info"]);
const STARTED: Event = event(&["database", "process"], &["start"]);
const STOPPED: Event = event(&["database", "process"], &["end"]);

use Kind::{Agent, Checkpoint, Event as Log, Foreign};
use When::{Always, Category, Failed, Password, Says, Type};

const POLICY: When = Category("policy_change");
const PERMISSION: When = Category("permission_change");
const ACCESS: When = Category("access_decision");

const fn account(kind: &'static [&'static str]) -> Event {
    event(&["database", "iam"], kind)
}

/// The first row that fits counts.
#[rustfmt::skip]
pub const TABLE: &[Row<Event>] = &[
    row(Log, "UNPARSED", Always, FOREIGN),
    // Who came and left, and as whom.
    row(Log, "CONNECT", Category("authentication"), event(&["database", "network"], &["connection", "start"])),
    row(Log, "LOGIN", Always, event(&["authentication", "database", "session"], &["start"])),
    row(Log, "LOGON", Always, event(&["authentication", "database", "session"], &["start"])),
    row(Log, "LOGOUT", Always, event(&["authentication", "database", "session"], &["end"])),
    row(Log, "LOGOFF", Always, event(&["authentication", "database", "session"], &["end"])),
    row(Log, "", Category("authentication"), event(&["authentication", "database"], &["info"])),
    row(Log, "SET ROLE", Always, SWITCHED),
    row(Log, "RESET ROLE", Always, SWITCHED),
    row(Log, "SET SESSION AUTHORIZATION", Always, SWITCHED),
    row(Log, "RESET SESSION AUTHORIZATION", Always, SWITCHED),
    row(Log, "EXECUTE AS", Always, SWITCHED),
    row(Log, "SETUSER", Always, SWITCHED),
    row(Log, "IMPERSONATE", Always, SWITCHED),
    row(Log, "REVERT", Always, SWITCHED),
    // Roles and privileges, given and taken.
    row(Log, "GRANT", When::Roles, MEMBERSHIP),
    row(Log, "GRANT ROLE", Always, MEMBERSHIP),
    row(Log, "GRANT ROLES", Always, MEMBERSHIP),
    row(Log, "ADD MEMBER", Always, MEMBERSHIP),
    row(Log, "REVOKE", When::Roles, MEMBERSHIP),
    row(Log, "REVOKE ROLE", Always, MEMBERSHIP),
    row(Log, "REVOKE ROLES", Always, MEMBERSHIP),
    row(Log, "DROP MEMBER", Always, MEMBERSHIP),
    row(Log, "GRANT", Always, GIVEN),
    row(Log, "REVOKE", Always, GIVEN),
    row(Log, "DENY", Always, GIVEN),
    row(Log, "ALTER DEFAULT PRIVILEGES", Always, GIVEN),
    // Accounts. What can be nothing but a group is one.
    row(Log, "CREATE USER MAPPING", Always, MADE),
    row(Log, "ALTER USER MAPPING", Always, CHANGED),
    row(Log, "DROP USER MAPPING", Always, REMOVED),
    row(Log, "CREATE GROUP", Always, account(&["group", "creation"])),
    row(Log, "ALTER GROUP", Always, account(&["group", "change"])),
    row(Log, "DROP GROUP", Always, account(&["group", "deletion"])),
    row(Log, "CREATE SERVER ROLE", Always, account(&["group", "creation"])),
    row(Log, "ALTER SERVER ROLE", Always, account(&["group", "change"])),
    row(Log, "DROP SERVER ROLE", Always, account(&["group", "deletion"])),
    row(Log, "CREATE APPLICATION ROLE", Always, account(&["user", "creation"])),
    row(Log, "CREATE ROLE", Always, account(&["user", "creation"])),
    row(Log, "CREATE USER", Always, account(&["user", "creation"])),
    row(Log, "CREATE LOGIN", Always, account(&["user", "creation"])),
    row(Log, "DROP APPLICATION ROLE", Always, account(&["user", "deletion"])),
    row(Log, "DROP ROLE", Always, account(&["user", "deletion"])),
    row(Log, "DROP USER", Always, account(&["user", "deletion"])),
    row(Log, "DROP LOGIN", Always, account(&["user", "deletion"])),
    row(Log, "DROP ALL USERS FROM DATABASE", Always, account(&["user", "deletion"])),
    row(Log, "DROP ALL ROLES FROM DATABASE", Always, account(&["user", "deletion"])),
    row(Log, "", Password, account(&["user", "change"])),
    row(Log, "DISABLE", Type("login"), account(&["user", "change"])),
    row(Log, "ENABLE", Type("login"), account(&["user", "change"])),
    row(Log, "ALTER ROLE", Always, account(&["user", "change"])),
    row(Log, "ALTER USER", Always, account(&["user", "change"])),
    row(Log, "ALTER LOGIN", Always, account(&["user", "change"])),
    row(Log, "ALTER APPLICATION ROLE", Always, account(&["user", "change"])),
    row(Log, "RENAME USER", Always, account(&["user", "change"])),
    row(Log, "UPDATE USER", Always, account(&["user", "change"])),
    row(Log, "UPDATE ROLE", Always, account(&["user", "change"])),
    row(Log, "SET DEFAULT ROLE", Always, account(&["user", "change"])),
    row(Log, "SET PASSWORD", Always, account(&["user", "change"])),
    row(Log, "CHANGE PASSWORD", Always, account(&["user", "change"])),
    row(Log, "CHANGE OWN PASSWORD", Always, account(&["user", "change"])),
    row(Log, "RESET PASSWORD", Always, account(&["user", "change"])),
    row(Log, "RESET OWN PASSWORD", Always, account(&["user", "change"])),
    row(Log, "UNLOCK ACCOUNT", Always, account(&["user", "change"])),
    row(Log, "", PERMISSION, GIVEN),
    row(Log, "", ACCESS, GIVEN),
    // What decides what is allowed, hidden or recorded.
    row(Log, "CREATE", POLICY, MADE),
    row(Log, "INSTALL", POLICY, MADE),
    row(Log, "DROP", POLICY, REMOVED),
    row(Log, "UNINSTALL", POLICY, REMOVED),
    // Data written: also where an audit's own tables are written.
    row(Log, "COPY FROM", Always, WRITTEN),
    row(Log, "LOAD DATA", Always, WRITTEN),
    row(Log, "LOAD XML", Always, WRITTEN),
    row(Log, "SQL*LOADER", Always, WRITTEN),
    row(Log, "RESTORE", Always, WRITTEN),
    row(Log, "INSERT", Always, WRITTEN),
    row(Log, "REPLACE", Always, WRITTEN),
    row(Log, "MERGE", Always, WRITTEN),
    row(Log, "WRITE", Always, WRITTEN),
    row(Log, "TABLE INSERT", Always, WRITTEN),
    row(Log, "UPDATE", Always, WRITTEN),
    row(Log, "TABLE UPDATE", Always, WRITTEN),
    row(Log, "FIND AND MODIFY", Always, WRITTEN),
    row(Log, "DELETE", Always, WRITTEN),
    row(Log, "TABLE DELETE", Always, WRITTEN),
    row(Log, "TRUNCATE", Always, WRITTEN),
    row(Log, "", POLICY, SETTLED),
    // Data read.
    row(Log, "COPY TO", Always, READ),
    row(Log, "UNLOAD", Always, READ),
    row(Log, "BACKUP", Always, READ),
    row(Log, "BINLOG DUMP", Always, READ),
    row(Log, "DATAPUMP", Always, READ),
    row(Log, "SELECT INTO", Always, MADE),
    row(Log, "SELECT", Always, READ),
    row(Log, "FETCH", Always, READ),
    row(Log, "DECLARE CURSOR", Always, READ),
    row(Log, "HANDLER", Always, READ),
    row(Log, "READ", Always, READ),
    row(Log, "TABLE READ", Always, READ),
    row(Log, "FIND", Always, READ),
    row(Log, "AGGREGATE", Always, READ),
    row(Log, "COUNT", Always, READ),
    row(Log, "DISTINCT", Always, READ),
    row(Log, "GET MORE", Always, READ),
    row(Log, "LIST", Always, READ),
    row(Log, "SHOW", Always, READ),
    // What holds data.
    row(Log, "CREATE", Always, MADE),
    row(Log, "INSTALL", Always, MADE),
    row(Log, "IMPORT FOREIGN SCHEMA", Always, MADE),
    row(Log, "ALTER SESSION", Always, SAID),
    row(Log, "ALTER", Always, CHANGED),
    row(Log, "RENAME", Always, CHANGED),
    row(Log, "COMMENT", Always, CHANGED),
    row(Log, "REFRESH MATERIALIZED VIEW", Always, CHANGED),
    row(Log, "REINDEX", Always, CHANGED),
    row(Log, "CLUSTER", Always, CHANGED),
    row(Log, "FLASHBACK", Always, CHANGED),
    row(Log, "ENABLE", Always, CHANGED),
    row(Log, "DISABLE", Always, CHANGED),
    row(Log, "DROP", Always, REMOVED),
    row(Log, "PURGE", Always, REMOVED),
    row(Log, "UNINSTALL", Always, REMOVED),
    // The server itself.
    row(Log, "STARTUP", Always, STARTED),
    row(Log, "SHUTDOWN", Always, STOPPED),
    row(Log, "SERVER MESSAGE", Says("database system is ready to accept connections"), STARTED),
    row(Log, "SERVER MESSAGE", Says("database system is shut down"), STOPPED),
    row(Log, "SERVER MESSAGE", Failed, event(&["database"], &["error"])),
    row(Log, "", Always, SAID),
    // The agent.
    row(Agent, "STARTED", Always, event(&["process"], &["start"])),
    row(Agent, "STOPPED", Always, event(&["process"], &["end"])),
    row(Agent, "", Failed, event(&[], &["error"])),
    row(Agent, "ANCHOR DAMAGED", Always, event(&[], &["error"])),
    row(Agent, "TAIL UNPROVEN", Always, event(&[], &["error"])),
    row(Agent, "FILE GONE", Always, event(&[], &["error"])),
    row(Agent, "SOURCE QUIET", Always, event(&[], &["error"])),
    row(Agent, "DIRECTORY CHANGED", Always, event(&["configuration"], &["change"])),
    row(Agent, "", Always, event(&[], &["info"])),
    // The state of the trail, not something that happened to it.
    row(Checkpoint, "", Always, Event { kind: "state", categories: &[], types: &["info"] }),
    row(Foreign, "", Always, FOREIGN),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::unreached;
    use crate::schema::{Schema, render};
    use serde_json::{Value, json};

    fn mapped(kind: Kind, action: &str, more: &str) -> Value {
        let line = format!(r#"{{"type":"{}","action":"{action}"{more}}}"#, kind.name());
        let mut out = Vec::new();
        render(Schema::Ecs, line.as_bytes(), &mut out);
        let event: Value = serde_json::from_slice(&out).unwrap();
        json!([event["event"]["kind"], event["event"]["category"], event["event"]["type"]])
    }

    fn expected(event: &Event) -> Value {
        let categories = (!event.categories.is_empty()).then_some(event.categories);
        json!([event.kind, categories, event.types])
    }

    #[test]
    fn every_row_is_reached_and_none_hides_behind_an_earlier_one() {
        for row in TABLE {
            let action = if row.action.is_empty() { "ANYTHING" } else { row.action };
            let example = row.when.example();
            assert_eq!(mapped(row.kind, action, &example), expected(&row.then), "{row:?}");
        }
        assert_eq!(unreached(TABLE), Vec::<&Row<Event>>::new());
    }

    #[test]
    fn what_auditors_look_for_is_in_the_category_that_has_it() {
        let (authentication, policy) = (r#","category":"authentication""#, r#","category":"policy_change""#);
        let owner = r#","category":"permission_change""#;
        for (action, more, categories, types) in [
            ("SELECT", "", json!(["database"]), json!(["access"])),
            ("INSERT", "", json!(["database"]), json!(["change"])),
            ("COPY TO", "", json!(["database"]), json!(["access"])),
            ("CREATE TABLE", "", json!(["database", "configuration"]), json!(["creation"])),
            ("ALTER TABLE", "", json!(["database", "configuration"]), json!(["change"])),
            ("ALTER TABLE", owner, json!(["database", "iam"]), json!(["admin", "change"])),
            ("DROP TABLE", "", json!(["database", "configuration"]), json!(["deletion"])),
            ("ALTER SYSTEM", policy, json!(["database", "configuration"]), json!(["change"])),
            ("DELETE", policy, json!(["database"]), json!(["change"])),
            ("CONNECT", authentication, json!(["database", "network"]), json!(["connection", "start"])),
            ("LOGIN FAILED", authentication, json!(["authentication", "database", "session"]), json!(["start"])),
            ("LOGOUT", authentication, json!(["authentication", "database", "session"]), json!(["end"])),
            ("AUTHENTICATE", authentication, json!(["authentication", "database"]), json!(["info"])),
            ("SET ROLE", "", json!(["database", "iam"]), json!(["user", "info"])),
            ("GRANT ROLE", "", json!(["database", "iam"]), json!(["admin", "group", "change"])),
            ("REVOKE", owner, json!(["database", "iam"]), json!(["admin", "change"])),
            ("CREATE ROLE", owner, json!(["database", "iam"]), json!(["user", "creation"])),
            ("DROP USER", owner, json!(["database", "iam"]), json!(["user", "deletion"])),
            ("BEGIN", "", json!(["database"]), json!(["info"])),
        ] {
            assert_eq!(mapped(Log, action, more), json!(["event", categories, types]), "{action}{more}");
        }
        assert_eq!(mapped(Log, "UNPARSED", ""), json!(["pipeline_error", null, ["error"]]));
        assert_eq!(mapped(Agent, "GAP", r#","outcome":"failure""#), json!(["event", null, ["error"]]));
        assert_eq!(mapped(Checkpoint, "CHECKPOINT", ""), json!(["state", null, ["info"]]));
    }

    #[test]
    fn every_engine_that_is_named_has_its_place() {
        for engine in ENGINES {
            assert!(namespace(engine).is_some(), "{engine}");
        }
        assert_eq!(namespace("kubernetes"), None);
    }
}
