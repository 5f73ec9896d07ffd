//! The table that says which category a row belongs to, and whether it is privileged.
//!
//! The first six categories are the ones that a SOC 2 auditor samples. A person should be able to read [`RULES`] and change it
//! in this one place; `docs/record.md` has the same table, and a test holds them against each other.

use sealtrail_parsers::{Act, Record};

use super::facts::Facts;

/// What a row is about, for an auditor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Who came, who was refused, who left.
    Authentication,
    /// Rights and roles given and taken.
    PermissionChange,
    /// Row security, masking, labels, audit and server settings.
    PolicyChange,
    /// Access given for a time, asked for or refused.
    AccessDecision,
    /// Data that left the database as a whole: exports, dumps, reads of very many rows.
    DataExposure,
    /// DDL, anonymous code, data changed by hand.
    ChangeExecution,
    /// Data read.
    DataRead,
    /// Data changed.
    DataWrite,
    /// Everything else that was understood.
    Operation,
    /// A row that could not be understood.
    Unparsed,
}

impl Category {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Category; 10] = [
        Category::Authentication,
        Category::PermissionChange,
        Category::PolicyChange,
        Category::AccessDecision,
        Category::DataExposure,
        Category::ChangeExecution,
        Category::DataRead,
        Category::DataWrite,
        Category::Operation,
        Category::Unparsed,
    ];

    /// As records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Category::Authentication => "authentication",
            Category::PermissionChange => "permission_change",
            Category::PolicyChange => "policy_change",
            Category::AccessDecision => "access_decision",
            Category::DataExposure => "data_exposure",
            Category::ChangeExecution => "change_execution",
            Category::DataRead => "data_read",
            Category::DataWrite => "data_write",
            Category::Operation => "operation",
            Category::Unparsed => "unparsed",
        }
    }

    /// How much it weighs where one row tells of several statements: the heaviest is what the row is about.
    pub const fn weight(self) -> u8 {
        match self {
            Category::PolicyChange => 9,
            Category::PermissionChange => 8,
            Category::AccessDecision => 7,
            Category::DataExposure => 6,
            Category::ChangeExecution => 5,
            Category::DataWrite => 4,
            Category::DataRead => 3,
            Category::Authentication => 2,
            Category::Operation => 1,
            Category::Unparsed => 0,
        }
    }
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// How the action begins, in whole words; empty: any action.
    pub action: &'static str,
    /// What must hold beside it.
    pub fact: Facts,
    /// What it is then.
    pub category: Category,
    /// Whether it is privileged.
    pub admin: bool,
}

const fn rule(action: &'static str, fact: Facts, category: Category, admin: bool) -> Rule {
    Rule { action, fact, category, admin }
}

use Category::{
    AccessDecision, ChangeExecution, DataExposure, DataRead, DataWrite, Operation, PermissionChange, PolicyChange,
};

const ANY: Facts = Facts::NONE;
const ADMIN: bool = true;
const PLAIN: bool = false;

/// The first rule that fits counts.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    // The audit itself.
    rule("", Facts::AUDIT_OFF, PolicyChange, ADMIN),
    rule("", Facts::AUDIT_CHANGED, PolicyChange, ADMIN),
    rule("NOAUDIT", ANY, PolicyChange, ADMIN),
    rule("SYSTEM NOAUDIT", ANY, PolicyChange, ADMIN),
    rule("AUDIT", ANY, PolicyChange, ADMIN),
    rule("SYSTEM AUDIT", ANY, PolicyChange, ADMIN),
    rule("TRACE AUDIT", ANY, PolicyChange, ADMIN),
    rule("AUDIT_CHANGE_GROUP", ANY, PolicyChange, ADMIN),
    rule("CREATE SERVER AUDIT", ANY, PolicyChange, ADMIN),
    rule("ALTER SERVER AUDIT", ANY, PolicyChange, ADMIN),
    rule("DROP SERVER AUDIT", ANY, PolicyChange, ADMIN),
    rule("CREATE DATABASE AUDIT", ANY, PolicyChange, ADMIN),
    rule("ALTER DATABASE AUDIT", ANY, PolicyChange, ADMIN),
    rule("DROP DATABASE AUDIT", ANY, PolicyChange, ADMIN),
    rule("CREATE AUDIT POLICY", ANY, PolicyChange, ADMIN),
    rule("ALTER AUDIT POLICY", ANY, PolicyChange, ADMIN),
    rule("DROP AUDIT POLICY", ANY, PolicyChange, ADMIN),
    // Rights.
    rule("", Facts::ACCOUNT_TABLE, PermissionChange, ADMIN),
    rule("GRANT", Facts::UNMASK, DataExposure, ADMIN),
    rule("GRANT", ANY, PermissionChange, ADMIN),
    rule("REVOKE", ANY, PermissionChange, ADMIN),
    rule("DENY", ANY, PermissionChange, ADMIN),
    rule("SYSTEM GRANT", ANY, PermissionChange, ADMIN),
    rule("SYSTEM REVOKE", ANY, PermissionChange, ADMIN),
    rule("CREATE ROLE", Facts::TIME_BOUND, AccessDecision, ADMIN),
    rule("ALTER ROLE", Facts::TIME_BOUND, AccessDecision, ADMIN),
    rule("CREATE USER", Facts::TIME_BOUND, AccessDecision, ADMIN),
    rule("ALTER USER", Facts::TIME_BOUND, AccessDecision, ADMIN),
    rule("ALTER ROLE", Facts::SERVER_SETTING, PolicyChange, ADMIN),
    rule("ALTER USER", Facts::SERVER_SETTING, PolicyChange, ADMIN),
    rule("CREATE ROLE", ANY, PermissionChange, ADMIN),
    rule("ALTER ROLE", ANY, PermissionChange, ADMIN),
    rule("DROP ROLE", ANY, PermissionChange, ADMIN),
    rule("CREATE USER", ANY, PermissionChange, ADMIN),
    rule("ALTER USER", ANY, PermissionChange, ADMIN),
    rule("DROP USER", ANY, PermissionChange, ADMIN),
    rule("RENAME USER", ANY, PermissionChange, ADMIN),
    rule("CREATE GROUP", ANY, PermissionChange, ADMIN),
    rule("ALTER GROUP", ANY, PermissionChange, ADMIN),
    rule("DROP GROUP", ANY, PermissionChange, ADMIN),
    rule("CREATE LOGIN", ANY, PermissionChange, ADMIN),
    rule("ALTER LOGIN", ANY, PermissionChange, ADMIN),
    rule("DROP LOGIN", ANY, PermissionChange, ADMIN),
    rule("CREATE SERVER ROLE", ANY, PermissionChange, ADMIN),
    rule("ALTER SERVER ROLE", ANY, PermissionChange, ADMIN),
    rule("DROP SERVER ROLE", ANY, PermissionChange, ADMIN),
    rule("CREATE APPLICATION ROLE", ANY, PermissionChange, ADMIN),
    rule("ALTER APPLICATION ROLE", ANY, PermissionChange, ADMIN),
    rule("DROP APPLICATION ROLE", ANY, PermissionChange, ADMIN),
    rule("CREATE CREDENTIAL", ANY, PermissionChange, ADMIN),
    rule("ALTER CREDENTIAL", ANY, PermissionChange, ADMIN),
    rule("DROP CREDENTIAL", ANY, PermissionChange, ADMIN),
    rule("ALTER AUTHORIZATION", ANY, PermissionChange, ADMIN),
    rule("ALTER DEFAULT", ANY, PermissionChange, ADMIN),
    rule("SET PASSWORD", ANY, PermissionChange, ADMIN),
    rule("SET DEFAULT ROLE", ANY, PermissionChange, ADMIN),
    rule("REASSIGN OWNED", ANY, PermissionChange, ADMIN),
    rule("DROP OWNED", ANY, PermissionChange, ADMIN),
    rule("ADD MEMBER", ANY, PermissionChange, ADMIN),
    rule("DROP MEMBER", ANY, PermissionChange, ADMIN),
    rule("CHANGE PASSWORD", ANY, PermissionChange, ADMIN),
    rule("RESET PASSWORD", ANY, PermissionChange, ADMIN),
    rule("CHANGE OWN PASSWORD", ANY, PermissionChange, PLAIN),
    rule("RESET OWN PASSWORD", ANY, PermissionChange, PLAIN),
    rule("CHANGE LOGIN CREDENTIAL", ANY, PermissionChange, ADMIN),
    rule("UNLOCK ACCOUNT", ANY, PermissionChange, ADMIN),
    rule("TAKE OWNERSHIP", ANY, PermissionChange, ADMIN),
    rule("UPDATE USER", ANY, PermissionChange, ADMIN),
    rule("UPDATE ROLE", ANY, PermissionChange, ADMIN),
    rule("DROP ALL USERS FROM DATABASE", ANY, PermissionChange, ADMIN),
    rule("DROP ALL ROLES FROM DATABASE", ANY, PermissionChange, ADMIN),
    rule("AUTH_CREDENTIAL_CHANGE", ANY, PermissionChange, ADMIN),
    rule("", Facts::OWNER, PermissionChange, ADMIN),
    // Protection of data, and settings.
    rule("", Facts::UNMASK, PolicyChange, ADMIN),
    rule("", Facts::ROW_SECURITY, PolicyChange, ADMIN),
    rule("CREATE POLICY", ANY, PolicyChange, ADMIN),
    rule("ALTER POLICY", ANY, PolicyChange, ADMIN),
    rule("DROP POLICY", ANY, PolicyChange, ADMIN),
    rule("CREATE SECURITY POLICY", ANY, PolicyChange, ADMIN),
    rule("ALTER SECURITY POLICY", ANY, PolicyChange, ADMIN),
    rule("DROP SECURITY POLICY", ANY, PolicyChange, ADMIN),
    rule("SECURITY LABEL", ANY, PolicyChange, ADMIN),
    rule("CREATE PROFILE", ANY, PolicyChange, ADMIN),
    rule("ALTER PROFILE", ANY, PolicyChange, ADMIN),
    rule("DROP PROFILE", ANY, PolicyChange, ADMIN),
    rule("ALTER SYSTEM", ANY, PolicyChange, ADMIN),
    rule("ALTER SETTINGS", ANY, PolicyChange, ADMIN),
    rule("ALTER SERVER STATE", ANY, PolicyChange, ADMIN),
    rule("ALTER SERVER CONFIGURATION", ANY, PolicyChange, ADMIN),
    rule("RECONFIGURE", ANY, PolicyChange, ADMIN),
    rule("SET PARAMETER", ANY, PolicyChange, ADMIN),
    rule("", Facts::SERVER_SETTING, PolicyChange, ADMIN),
    rule("", Facts::SECURITY_SETTING, PolicyChange, ADMIN),
    rule("INSTALL", ANY, ChangeExecution, ADMIN),
    rule("UNINSTALL", ANY, ChangeExecution, ADMIN),
    // Data as a whole.
    rule("", Facts::LEAVES_HOST, DataExposure, ADMIN),
    rule("", Facts::LEAVES, DataExposure, PLAIN),
    rule("COPY TO", ANY, DataExposure, PLAIN),
    rule("UNLOAD", ANY, DataExposure, PLAIN),
    rule("BACKUP", ANY, DataExposure, ADMIN),
    rule("BINLOG DUMP", ANY, DataExposure, ADMIN),
    rule("DATAPUMP", ANY, DataExposure, ADMIN),
    rule("SELECT", Facts::BULK, DataExposure, PLAIN),
    rule("FETCH", Facts::BULK, DataExposure, PLAIN),
    rule("EXECUTE", Facts::BULK, DataExposure, PLAIN),
    rule("", Facts::PROGRAM, ChangeExecution, ADMIN),
    rule("COPY FROM", ANY, DataWrite, PLAIN),
    rule("LOAD DATA", ANY, DataWrite, PLAIN),
    rule("LOAD XML", ANY, DataWrite, PLAIN),
    rule("IMPORT FOREIGN SCHEMA", ANY, ChangeExecution, ADMIN),
    rule("CREATE SUBSCRIPTION", ANY, ChangeExecution, ADMIN),
    rule("ALTER SUBSCRIPTION", ANY, ChangeExecution, ADMIN),
    rule("", Facts::ENTERS, DataWrite, PLAIN),
    rule("RESTORE", ANY, ChangeExecution, ADMIN),
    // Data row by row.
    rule("CREATE TABLE AS", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("CREATE TABLE", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("CREATE VIEW", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("CREATE SEQUENCE", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("SELECT INTO", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("SELECT INTO", ANY, ChangeExecution, ADMIN),
    rule("SELECT", ANY, DataRead, PLAIN),
    rule("FETCH", ANY, DataRead, PLAIN),
    rule("DECLARE CURSOR", ANY, DataRead, PLAIN),
    rule("READ", ANY, DataRead, PLAIN),
    rule("TABLE READ", ANY, DataRead, PLAIN),
    rule("HANDLER", ANY, DataRead, PLAIN),
    rule("FIND AND MODIFY", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("FIND AND MODIFY", ANY, DataWrite, PLAIN),
    rule("FIND", ANY, DataRead, PLAIN),
    rule("AGGREGATE", ANY, DataRead, PLAIN),
    rule("COUNT", ANY, DataRead, PLAIN),
    rule("DISTINCT", ANY, DataRead, PLAIN),
    rule("GET MORE", ANY, DataRead, PLAIN),
    rule("INSERT", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("REPLACE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("UPDATE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("DELETE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("MERGE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("TRUNCATE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("WRITE", Facts::BY_ADMIN, ChangeExecution, ADMIN),
    rule("INSERT", ANY, DataWrite, PLAIN),
    rule("REPLACE", ANY, DataWrite, PLAIN),
    rule("UPDATE", ANY, DataWrite, PLAIN),
    rule("DELETE", ANY, DataWrite, PLAIN),
    rule("MERGE", ANY, DataWrite, PLAIN),
    rule("TRUNCATE", ANY, DataWrite, PLAIN),
    rule("WRITE", ANY, DataWrite, PLAIN),
    rule("TABLE INSERT", ANY, DataWrite, PLAIN),
    rule("TABLE UPDATE", ANY, DataWrite, PLAIN),
    rule("TABLE DELETE", ANY, DataWrite, PLAIN),
    rule("SQL*LOADER", ANY, DataWrite, PLAIN),
    rule("LOCK TABLE", ANY, Operation, PLAIN),
    // Structure and code.
    rule("DROP TABLE", Facts::TEMPORARY, DataWrite, PLAIN),
    rule("CREATE", ANY, ChangeExecution, ADMIN),
    rule("ALTER SESSION", ANY, Operation, PLAIN),
    rule("ALTER", ANY, ChangeExecution, ADMIN),
    rule("DROP", ANY, ChangeExecution, ADMIN),
    rule("RENAME", ANY, ChangeExecution, ADMIN),
    rule("COMMENT", ANY, ChangeExecution, ADMIN),
    rule("DISABLE", ANY, ChangeExecution, ADMIN),
    rule("ENABLE", ANY, ChangeExecution, ADMIN),
    rule("PURGE", ANY, ChangeExecution, ADMIN),
    rule("FLASHBACK", ANY, ChangeExecution, ADMIN),
    rule("REFRESH MATERIALIZED VIEW", ANY, ChangeExecution, PLAIN),
    rule("REINDEX", ANY, ChangeExecution, PLAIN),
    rule("CLUSTER", ANY, ChangeExecution, PLAIN),
    rule("DO", ANY, ChangeExecution, ADMIN),
    rule("LOAD", ANY, ChangeExecution, ADMIN),
    // Running the server, and going about as somebody else.
    rule("SET ROLE", ANY, Operation, ADMIN),
    rule("SET SESSION AUTHORIZATION", ANY, Operation, ADMIN),
    rule("EXECUTE AS", ANY, Operation, ADMIN),
    rule("SETUSER", ANY, Operation, ADMIN),
    rule("IMPERSONATE", ANY, Operation, ADMIN),
    rule("KILL", ANY, Operation, ADMIN),
    rule("SHUTDOWN", ANY, Operation, ADMIN),
    rule("FLUSH", ANY, Operation, ADMIN),
    rule("CHANGE", ANY, Operation, ADMIN),
    rule("START SLAVE", ANY, Operation, ADMIN),
    rule("STOP SLAVE", ANY, Operation, ADMIN),
    rule("START REPLICA", ANY, Operation, ADMIN),
    rule("STOP REPLICA", ANY, Operation, ADMIN),
    rule("DBCC", ANY, Operation, ADMIN),
    rule("CHECKPOINT", ANY, Operation, ADMIN),
];

/// What a row that no rule fits is.
pub const OTHERWISE: Rule = rule("", ANY, Operation, PLAIN);

/// What rows that are about no statement are.
const SESSION: Rule = rule("", ANY, Category::Authentication, PLAIN);
const DECISION: Rule = rule("", ANY, AccessDecision, ADMIN);

/// The rule for a record whose action is `action`, and of which `facts` hold.
pub fn of(record: &Record<'_>, action: &[u8], facts: Facts) -> &'static Rule {
    match record.act {
        Act::ConnectionReceived | Act::Authenticated | Act::Login | Act::LoginFailed | Act::Logout => &SESSION,
        Act::Message => &OTHERWISE,
        Act::AccessDecision => &DECISION,
        Act::Statement | Act::FailedStatement | Act::LoggedStatement | Act::TableAccess => of_action(action, facts),
    }
}

/// The rule for a statement.
pub fn of_action(action: &[u8], facts: Facts) -> &'static Rule {
    let letter = usize::from(action.first().copied().unwrap_or_default().wrapping_sub(b'A'));
    let rules = BY_LETTER.get(letter).unwrap_or(&BY_LETTER[OTHER_LETTERS]);
    let fits = |rule: &&Rule| facts.has(rule.fact) && starts_with_words(action, rule.action.as_bytes());
    let rules = rules.iter().take_while(|index| **index != END).filter_map(|index| RULES.get(usize::from(*index)));
    rules.into_iter().find(fits).unwrap_or(&OTHERWISE)
}

/// For each letter the rules for actions that begin with it, in their order: a row is asked about a few rules instead of all.
static BY_LETTER: [[u8; RULES_A_LETTER_MAX]; OTHER_LETTERS + 1] = by_letter();

/// Where the rules for actions that begin with no letter are: those for any action.
const OTHER_LETTERS: usize = 26;
const RULES_A_LETTER_MAX: usize = 80;
const END: u8 = u8::MAX;
const _: () = assert!(RULES.len() < END as usize, "an index is a byte");

/// Does not compile where a letter has more rules than there is room for.
const fn by_letter() -> [[u8; RULES_A_LETTER_MAX]; OTHER_LETTERS + 1] {
    let mut table = [[END; RULES_A_LETTER_MAX]; OTHER_LETTERS + 1];
    let mut letter = 0;
    while letter < table.len() {
        let (mut index, mut count) = (0, 0);
        while index < RULES.len() {
            let action = RULES[index].action.as_bytes();
            if action.is_empty() || action[0] as usize == letter + b'A' as usize {
                table[letter][count] = index as u8;
                count += 1;
            }
            index += 1;
        }
        letter += 1;
    }
    table
}

fn starts_with_words(action: &[u8], words: &[u8]) -> bool {
    let Some((last, before)) = words.split_last() else { return true };
    // The last letter first: it tells most of them apart at once.
    action.get(before.len()) == Some(last)
        && action.starts_with(before)
        && action.get(words.len()).is_none_or(|&next| next == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(action: &str, facts: Facts) -> (Category, bool) {
        let rule = of_action(action.as_bytes(), facts);
        (rule.category, rule.admin)
    }

    #[test]
    fn the_longest_word_sequence_decides() {
        assert_eq!(of("ALTER SYSTEM", ANY), (PolicyChange, true));
        assert_eq!(of("ALTER TABLE", ANY), (ChangeExecution, true));
        assert_eq!(of("COPY TO", ANY), (DataExposure, false));
        assert_eq!(of("DOUBT", ANY), (Operation, false));
        assert_eq!(of("UPDATE USER", ANY), (PermissionChange, true));
        assert_eq!(of("UPDATE", ANY), (DataWrite, false));
    }

    #[test]
    fn what_touches_the_audit_is_a_policy_change_whatever_it_is_else() {
        for action in ["SET", "DROP EXTENSION", "ALTER ROLE", "SELECT", "TRUNCATE", "UNINSTALL PLUGIN"] {
            assert_eq!(of(action, Facts::AUDIT_OFF | Facts::AUDIT_CHANGED), (PolicyChange, true), "{action}");
        }
    }

    #[test]
    fn no_rule_hides_behind_an_earlier_one() {
        for (index, rule) in RULES.iter().enumerate() {
            let first = RULES.iter().position(|earlier| {
                rule.fact.has(earlier.fact) && starts_with_words(rule.action.as_bytes(), earlier.action.as_bytes())
            });
            assert_eq!(first, Some(index), "{rule:?}");
        }
    }
}
