//! OCSF: which act becomes which class and activity, in one table, and how such an event is written.
//!
//! Written from the published schema, version [`VERSION`]. The next one (1.9) brings classes for the management of users and of roles and
//! gives up 3001 and 3005: then rows of [`TABLE`] change, and [`MAPPING`] with them. What a class needs stands in [`Class`] and in
//! `write.rs`; a stand-in `(unknown)` is put where the schema requires what the record does not know. The database's account stays
//! `actor.user.name`, whoever is behind it: the person is beside it.

mod write;

use super::table::{Kind, Row, When, row};

pub(super) use write::{write, write_foreign};

/// The version of the schema.
pub const VERSION: &str = "1.8.0";
/// The version of this mapping, in `metadata.transformation_info_list`. It is raised when an act becomes another class or a value
/// goes to another place.
pub const MAPPING: &str = "1";

/// What an act becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The class.
    pub class: Class,
    /// Its activity; 99 is one that the class has no number for: `activity_name` is the action then.
    pub activity: u8,
}

/// The classes that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What is none of the others.
    Base,
    /// Accounts that are made, changed and removed.
    Account,
    /// Who came and left, and as whom.
    Authentication,
    /// Policies and settings.
    Entity,
    /// Privileges that are given and taken.
    Access,
    /// Roles that are given and taken.
    Group,
    /// Servers and agents that start and stop.
    Lifecycle,
    /// What is done with data, and with what holds it.
    Datastore,
    /// What went wrong in a server, in an agent, or in reading a row.
    Error,
}

type Caption = (u8, &'static str);

impl Class {
    /// All of them, by number.
    pub const ALL: [Class; 9] = [
        Class::Base,
        Class::Account,
        Class::Authentication,
        Class::Entity,
        Class::Access,
        Class::Group,
        Class::Lifecycle,
        Class::Datastore,
        Class::Error,
    ];

    /// `class_uid` and `class_name`.
    pub const fn caption(self) -> (u32, &'static str) {
        match self {
            Class::Base => (0, "Base Event"),
            Class::Account => (3001, "Account Change"),
            Class::Authentication => (3002, "Authentication"),
            Class::Entity => (3004, "Entity Management"),
            Class::Access => (3005, "User Access Management"),
            Class::Group => (3006, "Group Management"),
            Class::Lifecycle => (6002, "Application Lifecycle"),
            Class::Datastore => (6005, "Datastore Activity"),
            Class::Error => (6008, "Application Error"),
        }
    }

    /// `category_uid` and `category_name`.
    pub const fn category(self) -> (u32, &'static str) {
        match self.caption().0 / 1000 {
            3 => (3, "Identity & Access Management"),
            6 => (6, "Application Activity"),
            _ => (0, "Uncategorized"),
        }
    }

    /// The activities that are used, beside 0 and 99.
    const fn activities(self) -> &'static [Caption] {
        match self {
            Class::Base => &[],
            Class::Account => &[
                (1, "Create"),
                (2, "Enable"),
                (3, "Password Change"),
                (4, "Password Reset"),
                (5, "Disable"),
                (6, "Delete"),
                (9, "Lock"),
                (12, "Unlock"),
            ],
            Class::Authentication => &[(1, "Logon"), (2, "Logoff"), (7, "Account Switch")],
            Class::Entity => &[(1, "Create"), (3, "Update"), (4, "Delete")],
            Class::Access => &[(1, "Assign Privileges"), (2, "Revoke Privileges")],
            Class::Group => &[(3, "Add User"), (4, "Remove User"), (5, "Delete"), (6, "Create")],
            Class::Lifecycle => &[(3, "Start"), (4, "Stop")],
            Class::Datastore => &[
                (1, "Read"),
                (2, "Update"),
                (3, "Connect"),
                (4, "Query"),
                (5, "Write"),
                (6, "Create"),
                (7, "Delete"),
                (8, "List"),
            ],
            Class::Error => &[(1, "General Error"), (2, "Translation Error")],
        }
    }

    /// What such an event has beside what all have.
    pub const fn has(self) -> &'static str {
        match self {
            Class::Base | Class::Error => "",
            Class::Account => "`user`: `role.names`, else the resource",
            Class::Authentication => {
                "`user`: the account; of a switch the role that is taken. `service`, `dst_endpoint`, `session`"
            }
            Class::Entity => "`entity`: the resource",
            Class::Access => {
                "`user`: the first of `grant.to` or `grant.from`; `privileges`; `resources`: `grant.on`, else the resource"
            }
            Class::Group => {
                "`group`: the first of `grant.roles`, else the resource; `user`: the first of `grant.to` or `grant.from`"
            }
            Class::Lifecycle => "`app`: the engine, or Sealtrail",
            Class::Datastore => {
                "`database`, `table` if it is one, `type_id`, `query_info`, `src_endpoint`, `dst_endpoint`"
            }
        }
    }
}

impl Event {
    /// `type_uid`.
    pub const fn type_uid(self) -> u32 {
        self.class.caption().0 * 100 + self.activity as u32
    }

    /// The schema's word for the activity; `None` where there is no other than the action itself.
    pub fn activity_name(self) -> Option<&'static str> {
        match self.activity {
            0 => Some("Unknown"),
            OTHER => None,
            number => self.class.activities().iter().find(|(known, _)| *known == number).map(|(_, caption)| *caption),
        }
    }
}

const fn of(class: Class, activity: u8) -> Event {
    Event { class, activity }
}

const OTHER: u8 = 99;

use Class::{Access, Account, Authentication, Base, Datastore, Entity, Error, Group, Lifecycle};
use Kind::{Agent, Checkpoint, Event as Log, Foreign};
use When::{Always, Attribute, Category, Failed, Password, Privileges, PrivilegesTaken, Roles, Says, Type};

const POLICY: When = Category("policy_change");

/// The first row that fits counts.
#[rustfmt::skip]
pub const TABLE: &[Row<Event>] = &[
    row(Log, "UNPARSED", Always, of(Error, 2)),
    // Who came and left, and as whom.
    row(Log, "CONNECT", Category("authentication"), of(Datastore, 3)),
    row(Log, "LOGIN", Always, of(Authentication, 1)),
    row(Log, "LOGON", Always, of(Authentication, 1)),
    row(Log, "LOGOUT", Always, of(Authentication, 2)),
    row(Log, "LOGOFF", Always, of(Authentication, 2)),
    row(Log, "", Category("authentication"), of(Authentication, OTHER)),
    row(Log, "SET ROLE", Always, of(Authentication, 7)),
    row(Log, "RESET ROLE", Always, of(Authentication, 7)),
    row(Log, "SET SESSION AUTHORIZATION", Always, of(Authentication, 7)),
    row(Log, "RESET SESSION AUTHORIZATION", Always, of(Authentication, 7)),
    row(Log, "EXECUTE AS", Always, of(Authentication, 7)),
    row(Log, "SETUSER", Always, of(Authentication, 7)),
    row(Log, "IMPERSONATE", Always, of(Authentication, 7)),
    row(Log, "REVERT", Always, of(Authentication, 7)),
    // Roles and privileges, given and taken.
    row(Log, "GRANT", Roles, of(Group, 3)),
    row(Log, "GRANT ROLE", Always, of(Group, 3)),
    row(Log, "GRANT ROLES", Always, of(Group, 3)),
    row(Log, "ADD MEMBER", Always, of(Group, 3)),
    row(Log, "REVOKE", Roles, of(Group, 4)),
    row(Log, "REVOKE ROLE", Always, of(Group, 4)),
    row(Log, "REVOKE ROLES", Always, of(Group, 4)),
    row(Log, "DROP MEMBER", Always, of(Group, 4)),
    row(Log, "GRANT", Privileges, of(Access, 1)),
    row(Log, "REVOKE", Privileges, of(Access, 2)),
    row(Log, "DENY", Privileges, of(Access, OTHER)),
    row(Log, "ALTER DEFAULT PRIVILEGES", PrivilegesTaken, of(Access, 2)),
    row(Log, "ALTER DEFAULT PRIVILEGES", Privileges, of(Access, 1)),
    // The record does not say what is given to whom.
    row(Log, "GRANT", Always, of(Entity, 3)),
    row(Log, "REVOKE", Always, of(Entity, 3)),
    row(Log, "DENY", Always, of(Entity, 3)),
    row(Log, "ALTER DEFAULT PRIVILEGES", Always, of(Entity, 3)),
    // Accounts. PostgreSQL's roles are accounts, too; what can be nothing but a group is one.
    row(Log, "CREATE USER MAPPING", Always, of(Entity, 1)),
    row(Log, "ALTER USER MAPPING", Always, of(Entity, 3)),
    row(Log, "DROP USER MAPPING", Always, of(Entity, 4)),
    row(Log, "CREATE CREDENTIAL", Always, of(Entity, 1)),
    row(Log, "ALTER CREDENTIAL", Always, of(Entity, 3)),
    row(Log, "DROP CREDENTIAL", Always, of(Entity, 4)),
    row(Log, "CREATE GROUP", Always, of(Group, 6)),
    row(Log, "ALTER GROUP", Always, of(Group, OTHER)),
    row(Log, "DROP GROUP", Always, of(Group, 5)),
    row(Log, "CREATE SERVER ROLE", Always, of(Group, 6)),
    row(Log, "ALTER SERVER ROLE", Always, of(Group, OTHER)),
    row(Log, "DROP SERVER ROLE", Always, of(Group, 5)),
    row(Log, "CREATE APPLICATION ROLE", Always, of(Account, 1)),
    row(Log, "CREATE ROLE", Always, of(Account, 1)),
    row(Log, "CREATE USER", Always, of(Account, 1)),
    row(Log, "CREATE LOGIN", Always, of(Account, 1)),
    row(Log, "DROP APPLICATION ROLE", Always, of(Account, 6)),
    row(Log, "DROP ROLE", Always, of(Account, 6)),
    row(Log, "DROP USER", Always, of(Account, 6)),
    row(Log, "DROP LOGIN", Always, of(Account, 6)),
    row(Log, "DROP ALL USERS FROM DATABASE", Always, of(Account, 6)),
    row(Log, "DROP ALL ROLES FROM DATABASE", Always, of(Account, 6)),
    row(Log, "", Password, of(Account, 3)),
    row(Log, "", Attribute("ACCOUNT LOCK"), of(Account, 9)),
    row(Log, "", Attribute("NOACCOUNT LOCK"), of(Account, 12)),
    row(Log, "", Attribute("NOLOGIN"), of(Account, 5)),
    row(Log, "", Attribute("LOGIN"), of(Account, 2)),
    row(Log, "DISABLE", Type("login"), of(Account, 5)),
    row(Log, "ENABLE", Type("login"), of(Account, 2)),
    row(Log, "ALTER ROLE", Always, of(Account, OTHER)),
    row(Log, "ALTER USER", Always, of(Account, OTHER)),
    row(Log, "ALTER LOGIN", Always, of(Account, OTHER)),
    row(Log, "ALTER APPLICATION ROLE", Always, of(Account, OTHER)),
    row(Log, "RENAME USER", Always, of(Account, OTHER)),
    row(Log, "UPDATE USER", Always, of(Account, OTHER)),
    row(Log, "UPDATE ROLE", Always, of(Account, OTHER)),
    row(Log, "SET DEFAULT ROLE", Always, of(Account, OTHER)),
    row(Log, "SET PASSWORD", Always, of(Account, 3)),
    row(Log, "CHANGE PASSWORD", Always, of(Account, 3)),
    row(Log, "CHANGE OWN PASSWORD", Always, of(Account, 3)),
    row(Log, "RESET PASSWORD", Always, of(Account, 4)),
    row(Log, "RESET OWN PASSWORD", Always, of(Account, 4)),
    row(Log, "UNLOCK ACCOUNT", Always, of(Account, 12)),
    // What decides what is allowed, hidden or recorded.
    row(Log, "CREATE", POLICY, of(Entity, 1)),
    row(Log, "INSTALL", POLICY, of(Entity, 1)),
    row(Log, "DROP", POLICY, of(Entity, 4)),
    row(Log, "UNINSTALL", POLICY, of(Entity, 4)),
    // Data written: also where an audit's own tables are written.
    row(Log, "COPY FROM", Always, of(Datastore, 5)),
    row(Log, "LOAD DATA", Always, of(Datastore, 5)),
    row(Log, "LOAD XML", Always, of(Datastore, 5)),
    row(Log, "SQL*LOADER", Always, of(Datastore, 5)),
    row(Log, "RESTORE", Always, of(Datastore, 5)),
    row(Log, "INSERT", Always, of(Datastore, 5)),
    row(Log, "REPLACE", Always, of(Datastore, 5)),
    row(Log, "MERGE", Always, of(Datastore, 5)),
    row(Log, "WRITE", Always, of(Datastore, 5)),
    row(Log, "TABLE INSERT", Always, of(Datastore, 5)),
    row(Log, "UPDATE", Always, of(Datastore, 2)),
    row(Log, "TABLE UPDATE", Always, of(Datastore, 2)),
    row(Log, "FIND AND MODIFY", Always, of(Datastore, 2)),
    row(Log, "DELETE", Always, of(Datastore, 7)),
    row(Log, "TABLE DELETE", Always, of(Datastore, 7)),
    row(Log, "TRUNCATE", Always, of(Datastore, 7)),
    row(Log, "", POLICY, of(Entity, 3)),
    // Data read.
    row(Log, "COPY TO", Always, of(Datastore, 1)),
    row(Log, "UNLOAD", Always, of(Datastore, 1)),
    row(Log, "BACKUP", Always, of(Datastore, 1)),
    row(Log, "BINLOG DUMP", Always, of(Datastore, 1)),
    row(Log, "DATAPUMP", Always, of(Datastore, 1)),
    row(Log, "SELECT INTO", Always, of(Datastore, 6)),
    row(Log, "SELECT", Always, of(Datastore, 4)),
    row(Log, "FETCH", Always, of(Datastore, 4)),
    row(Log, "DECLARE CURSOR", Always, of(Datastore, 4)),
    row(Log, "HANDLER", Always, of(Datastore, 4)),
    row(Log, "READ", Always, of(Datastore, 4)),
    row(Log, "TABLE READ", Always, of(Datastore, 4)),
    row(Log, "FIND", Always, of(Datastore, 4)),
    row(Log, "AGGREGATE", Always, of(Datastore, 4)),
    row(Log, "COUNT", Always, of(Datastore, 4)),
    row(Log, "DISTINCT", Always, of(Datastore, 4)),
    row(Log, "GET MORE", Always, of(Datastore, 4)),
    row(Log, "LIST", Always, of(Datastore, 8)),
    row(Log, "SHOW DATABASES", Always, of(Datastore, 8)),
    row(Log, "SHOW TABLES", Always, of(Datastore, 8)),
    // What holds data.
    row(Log, "CREATE", Always, of(Datastore, 6)),
    row(Log, "INSTALL", Always, of(Datastore, 6)),
    row(Log, "IMPORT FOREIGN SCHEMA", Always, of(Datastore, 6)),
    row(Log, "ALTER SESSION", Always, of(Datastore, OTHER)),
    row(Log, "ALTER", Always, of(Datastore, 2)),
    row(Log, "RENAME", Always, of(Datastore, 2)),
    row(Log, "COMMENT", Always, of(Datastore, 2)),
    row(Log, "REFRESH MATERIALIZED VIEW", Always, of(Datastore, 2)),
    row(Log, "REINDEX", Always, of(Datastore, 2)),
    row(Log, "CLUSTER", Always, of(Datastore, 2)),
    row(Log, "FLASHBACK", Always, of(Datastore, 2)),
    row(Log, "ENABLE", Always, of(Datastore, 2)),
    row(Log, "DISABLE", Always, of(Datastore, 2)),
    row(Log, "DROP", Always, of(Datastore, 7)),
    row(Log, "PURGE", Always, of(Datastore, 7)),
    row(Log, "UNINSTALL", Always, of(Datastore, 7)),
    // The server itself.
    row(Log, "STARTUP", Always, of(Lifecycle, 3)),
    row(Log, "SHUTDOWN", Always, of(Lifecycle, 4)),
    row(Log, "SERVER MESSAGE", Says("database system is ready to accept connections"), of(Lifecycle, 3)),
    row(Log, "SERVER MESSAGE", Says("database system is shut down"), of(Lifecycle, 4)),
    row(Log, "SERVER MESSAGE", Failed, of(Error, 1)),
    row(Log, "SERVER MESSAGE", Always, of(Lifecycle, OTHER)),
    // Rights that nothing above knows.
    row(Log, "", Category("permission_change"), of(Entity, 3)),
    row(Log, "", Category("access_decision"), of(Entity, 3)),
    row(Log, "", Always, of(Datastore, OTHER)),
    // The agent.
    row(Agent, "STARTED", Always, of(Lifecycle, 3)),
    row(Agent, "STOPPED", Always, of(Lifecycle, 4)),
    row(Agent, "SEGMENT", Always, of(Base, OTHER)),
    row(Agent, "SEAL", Always, of(Base, OTHER)),
    row(Agent, "", Failed, of(Error, 1)),
    row(Agent, "ANCHOR DAMAGED", Always, of(Error, 1)),
    row(Agent, "TAIL UNPROVEN", Always, of(Error, 1)),
    row(Agent, "FILE GONE", Always, of(Error, 1)),
    row(Agent, "SOURCE QUIET", Always, of(Error, 1)),
    row(Agent, "", Always, of(Lifecycle, OTHER)),
    row(Checkpoint, "", Always, of(Base, OTHER)),
    row(Foreign, "", Always, of(Base, 0)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::unreached;
    use crate::schema::{Schema, render};
    use serde_json::Value;

    /// `class_uid` and `activity_id` of a line.
    fn mapped(kind: Kind, action: &str, more: &str) -> (u64, u64) {
        let line = format!(r#"{{"type":"{}","action":"{action}"{more}}}"#, kind.name());
        let mut out = Vec::new();
        render(Schema::Ocsf, line.as_bytes(), &mut out);
        let event: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            event["type_uid"].as_u64().unwrap(),
            event["class_uid"].as_u64().unwrap() * 100 + event["activity_id"].as_u64().unwrap()
        );
        (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap())
    }

    #[test]
    fn every_row_is_reached_and_none_hides_behind_an_earlier_one() {
        for row in TABLE {
            let (class, activity) = (u64::from(row.then.class.caption().0), u64::from(row.then.activity));
            let action = if row.action.is_empty() { "ANYTHING" } else { row.action };
            let example = row.when.example();
            assert_eq!(mapped(row.kind, action, &example), (class, activity), "{row:?}");
        }
        assert_eq!(unreached(TABLE), Vec::<&Row<Event>>::new());
    }

    #[test]
    fn every_activity_has_the_schemas_name() {
        for row in TABLE {
            let named = row.then.activity == OTHER || row.then.activity_name().is_some();
            assert!(named, "{row:?}");
        }
    }

    #[test]
    fn words_count_as_wholes() {
        assert_eq!(mapped(Log, "SELECTION", ""), (6005, 99));
        assert_eq!(mapped(Log, "select", ""), (6005, 99), "actions are in capitals");
    }

    #[test]
    fn what_auditors_look_for_is_in_the_class_that_has_it() {
        let policy = r#","category":"policy_change""#;
        let owner = r#","category":"permission_change""#;
        let role = r#","grant":{"roles":["dba"],"to":["bob"]}"#;
        let table = r#","grant":{"privileges":["SELECT"],"to":["bob"]}"#;
        let (failed, authentication) = (r#","outcome":"failure""#, r#","category":"authentication""#);
        let password = r#","role":{"names":["a"],"password_changed":true,"attributes":["LOGIN"]}"#;
        for (action, more, class, activity) in [
            ("SELECT", "", 6005, 4),
            ("COPY TO", "", 6005, 1),
            ("COPY FROM", "", 6005, 5),
            ("INSERT", "", 6005, 5),
            ("UPDATE", "", 6005, 2),
            ("DELETE", "", 6005, 7),
            ("TRUNCATE TABLE", "", 6005, 7),
            ("CREATE TABLE", "", 6005, 6),
            ("CREATE TABLE AS", "", 6005, 6),
            ("ALTER TABLE", "", 6005, 2),
            ("DROP TABLE", "", 6005, 7),
            ("BEGIN", "", 6005, 99),
            ("DO", "", 6005, 99),
            ("CONNECT", authentication, 6005, 3),
            ("LOGIN", authentication, 3002, 1),
            ("LOGIN FAILED", failed, 3002, 1),
            ("LOGOUT", authentication, 3002, 2),
            ("AUTHENTICATE", authentication, 3002, 99),
            ("SET ROLE", "", 3002, 7),
            ("SET SESSION AUTHORIZATION", "", 3002, 7),
            ("GRANT ROLE", role, 3006, 3),
            ("GRANT", role, 3006, 3),
            ("REVOKE ROLE", role, 3006, 4),
            ("GRANT", table, 3005, 1),
            ("REVOKE", table, 3005, 2),
            ("GRANT", "", 3004, 3),
            ("CREATE ROLE", password, 3001, 1),
            ("CREATE USER MAPPING", "", 3004, 1),
            ("ALTER ROLE", password, 3001, 3),
            ("ALTER ROLE", policy, 3001, 99),
            ("DROP USER", "", 3001, 6),
            ("CREATE POLICY", policy, 3004, 1),
            ("DROP POLICY", policy, 3004, 4),
            ("ALTER SYSTEM", policy, 3004, 3),
            ("SELECT", policy, 3004, 3),
            ("DELETE", policy, 6005, 7),
            ("INSERT", owner, 6005, 5),
            ("ALTER TABLE", owner, 6005, 2),
            ("REASSIGN OWNED", owner, 3004, 3),
            ("SERVER MESSAGE", "", 6002, 99),
            ("SERVER MESSAGE", failed, 6008, 1),
            ("UNPARSED", "", 6008, 2),
        ] {
            assert_eq!(mapped(Log, action, more), (class, activity), "{action}{more}");
        }
        assert_eq!(mapped(Agent, "GAP", failed), (6008, 1));
        assert_eq!(mapped(Agent, "STARTED", ""), (6002, 3));
        assert_eq!(mapped(Checkpoint, "CHECKPOINT", ""), (0, 99));
    }
}
