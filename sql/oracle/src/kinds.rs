//! What PostgreSQL calls its kinds of objects and its commands.

use pg_query::protobuf::{self, TransactionStmtKind};
use serde_json::Value;

use crate::tree::{is, number, some, text};

/// An object type in the words of SQL.
pub fn kind(number: i32) -> &'static str {
    use protobuf::ObjectType::*;
    match protobuf::ObjectType::try_from(number).unwrap_or_default() {
        ObjectAccessMethod => "ACCESS METHOD",
        ObjectAggregate => "AGGREGATE",
        ObjectAttribute => "ATTRIBUTE",
        ObjectCast => "CAST",
        ObjectColumn => "COLUMN",
        ObjectCollation => "COLLATION",
        ObjectConversion => "CONVERSION",
        ObjectDatabase => "DATABASE",
        ObjectDomain => "DOMAIN",
        ObjectDomconstraint | ObjectTabconstraint => "CONSTRAINT",
        ObjectEventTrigger => "EVENT TRIGGER",
        ObjectExtension => "EXTENSION",
        ObjectFdw => "FOREIGN DATA WRAPPER",
        ObjectForeignServer => "SERVER",
        ObjectForeignTable => "FOREIGN TABLE",
        ObjectFunction => "FUNCTION",
        ObjectIndex => "INDEX",
        ObjectLanguage => "LANGUAGE",
        ObjectLargeobject => "LARGE OBJECT",
        ObjectMatview => "MATERIALIZED VIEW",
        ObjectOpclass => "OPERATOR CLASS",
        ObjectOperator => "OPERATOR",
        ObjectOpfamily => "OPERATOR FAMILY",
        ObjectParameterAcl => "PARAMETER",
        ObjectPolicy => "POLICY",
        ObjectProcedure => "PROCEDURE",
        ObjectPublication => "PUBLICATION",
        ObjectRole => "ROLE",
        ObjectRoutine => "ROUTINE",
        ObjectRule => "RULE",
        ObjectSchema => "SCHEMA",
        ObjectSequence => "SEQUENCE",
        ObjectSubscription => "SUBSCRIPTION",
        ObjectStatisticExt => "STATISTICS",
        ObjectTable => "TABLE",
        ObjectTablespace => "TABLESPACE",
        ObjectTransform => "TRANSFORM",
        ObjectTrigger => "TRIGGER",
        ObjectTsconfiguration => "TEXT SEARCH CONFIGURATION",
        ObjectTsdictionary => "TEXT SEARCH DICTIONARY",
        ObjectTsparser => "TEXT SEARCH PARSER",
        ObjectTstemplate => "TEXT SEARCH TEMPLATE",
        ObjectType => "TYPE",
        ObjectUserMapping => "USER MAPPING",
        ObjectView => "VIEW",
        _ => "",
    }
}

/// A statement's command tag, as `CreateCommandTag` of PostgreSQL's `utility.c` has it, with COPY by its direction.
pub fn action(statement: &str, fields: &Value) -> String {
    let of = |verb: &str, field: &str| format!("{verb} {}", kind(number(fields, field)));
    let either = |field: &str, yes: &str, no: &str| if is(fields, field) { yes.to_owned() } else { no.to_owned() };
    match statement {
        "SelectStmt" if makes_table(fields) => "SELECT INTO".into(),
        "CopyStmt" => either("is_from", "COPY FROM", "COPY TO"),
        "TransactionStmt" => transaction(fields).into(),
        "CreateTableAsStmt" if kind(number(fields, "objtype")) == "TABLE" => "CREATE TABLE AS".into(),
        "CreateTableAsStmt" => "CREATE MATERIALIZED VIEW".into(),
        "DefineStmt" => of("CREATE", "kind"),
        "DropStmt" => of("DROP", "remove_type"),
        "AlterTableStmt" => of("ALTER", "objtype"),
        "AlterObjectSchemaStmt" | "AlterOwnerStmt" | "AlterObjectDependsStmt" => of("ALTER", "object_type"),
        "RenameStmt" => format!("ALTER {}", renamed(fields)),
        "GrantStmt" => either("is_grant", "GRANT", "REVOKE"),
        "GrantRoleStmt" => either("is_grant", "GRANT ROLE", "REVOKE ROLE"),
        "VariableSetStmt" => set(fields),
        "DiscardStmt" => ["", "DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP"]
            [number(fields, "target") as usize]
            .into(),
        "ClosePortalStmt" => {
            if text(fields, "portalname").is_empty() { "CLOSE CURSOR ALL" } else { "CLOSE CURSOR" }.into()
        }
        "DeallocateStmt" => if text(fields, "name").is_empty() { "DEALLOCATE ALL" } else { "DEALLOCATE" }.into(),
        "FetchStmt" => either("ismove", "MOVE", "FETCH"),
        "VacuumStmt" => either("is_vacuumcmd", "VACUUM", "ANALYZE"),
        "CreateFunctionStmt" => either("is_procedure", "CREATE PROCEDURE", "CREATE FUNCTION"),
        "AlterFunctionStmt" => of("ALTER", "objtype"),
        "AlterOpFamilyStmt" => "ALTER OPERATOR FAMILY".into(),
        "CompositeTypeStmt" | "CreateEnumStmt" | "CreateRangeStmt" => "CREATE TYPE".into(),
        "AlterEnumStmt" | "AlterTypeStmt" => "ALTER TYPE".into(),
        "AlterTableMoveAllStmt" => of("ALTER", "objtype"),
        _ => plain(statement),
    }
}

/// Commands whose tag is their node's name in other words.
fn plain(statement: &str) -> String {
    match statement {
        "IndexStmt" => "CREATE INDEX",
        "ViewStmt" => "CREATE VIEW",
        "RuleStmt" => "CREATE RULE",
        "CreateStmt" => "CREATE TABLE",
        "CreateSeqStmt" => "CREATE SEQUENCE",
        "AlterSeqStmt" => "ALTER SEQUENCE",
        "CreateTrigStmt" => "CREATE TRIGGER",
        "CreateEventTrigStmt" => "CREATE EVENT TRIGGER",
        "AlterEventTrigStmt" => "ALTER EVENT TRIGGER",
        "CreatedbStmt" => "CREATE DATABASE",
        "DropdbStmt" => "DROP DATABASE",
        "AlterDatabaseSetStmt" | "AlterDatabaseRefreshCollStmt" => "ALTER DATABASE",
        "CreateRoleStmt" => "CREATE ROLE",
        "AlterRoleStmt" | "AlterRoleSetStmt" => "ALTER ROLE",
        "DropRoleStmt" => "DROP ROLE",
        "CreateFdwStmt" => "CREATE FOREIGN DATA WRAPPER",
        "AlterFdwStmt" => "ALTER FOREIGN DATA WRAPPER",
        "CreateForeignServerStmt" => "CREATE SERVER",
        "AlterForeignServerStmt" => "ALTER SERVER",
        "CreateAmStmt" => "CREATE ACCESS METHOD",
        "CreateTableSpaceStmt" => "CREATE TABLESPACE",
        "DropTableSpaceStmt" => "DROP TABLESPACE",
        "AlterTableSpaceOptionsStmt" => "ALTER TABLESPACE",
        "CreatePlangStmt" => "CREATE LANGUAGE",
        "CreateOpClassStmt" => "CREATE OPERATOR CLASS",
        "CreateOpFamilyStmt" => "CREATE OPERATOR FAMILY",
        "CreateStatsStmt" => "CREATE STATISTICS",
        "AlterStatsStmt" => "ALTER STATISTICS",
        "AlterTsdictionaryStmt" => "ALTER TEXT SEARCH DICTIONARY",
        "AlterTsconfigurationStmt" => "ALTER TEXT SEARCH CONFIGURATION",
        "AlterExtensionContentsStmt" => "ALTER EXTENSION",
        "SecLabelStmt" => "SECURITY LABEL",
        "LockStmt" => "LOCK TABLE",
        "TruncateStmt" => "TRUNCATE TABLE",
        "ConstraintsSetStmt" => "SET CONSTRAINTS",
        "CheckPointStmt" => "CHECKPOINT",
        "RefreshMatViewStmt" => "REFRESH MATERIALIZED VIEW",
        "VariableShowStmt" => "SHOW",
        "ReplicaIdentityStmt" => "ALTER TABLE",
        _ => return spaced(statement.trim_end_matches("Stmt")),
    }
    .into()
}

/// `ImportForeignSchema` → `IMPORT FOREIGN SCHEMA`
fn spaced(name: &str) -> String {
    let mut spaced = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push(character.to_ascii_uppercase());
    }
    spaced
}

fn set(fields: &Value) -> String {
    let verb = if number(fields, "kind") >= protobuf::VariableSetKind::VarReset as i32 { "RESET" } else { "SET" };
    match text(fields, "name") {
        "role" => format!("{verb} ROLE"),
        "session_authorization" => format!("{verb} SESSION AUTHORIZATION"),
        name @ ("TRANSACTION" | "SESSION CHARACTERISTICS") => format!("{verb} {name}"),
        "TRANSACTION SNAPSHOT" => "SET TRANSACTION".into(),
        _ => verb.into(),
    }
}

fn makes_table(fields: &Value) -> bool {
    let below = || ["larg", "rarg"].iter().filter_map(|arm| some(fields, arm)).any(makes_table);
    some(fields, "into_clause").is_some() || below()
}

fn transaction(fields: &Value) -> &'static str {
    use TransactionStmtKind::*;
    match TransactionStmtKind::try_from(number(fields, "kind")).unwrap_or_default() {
        TransStmtBegin => "BEGIN",
        TransStmtStart => "START TRANSACTION",
        TransStmtCommit => "COMMIT",
        TransStmtRollback | TransStmtRollbackTo => "ROLLBACK",
        TransStmtSavepoint => "SAVEPOINT",
        TransStmtRelease => "RELEASE",
        TransStmtPrepare => "PREPARE TRANSACTION",
        TransStmtCommitPrepared => "COMMIT PREPARED",
        TransStmtRollbackPrepared => "ROLLBACK PREPARED",
        Undefined => "",
    }
}

/// What kind of object a RENAME is about: that of the column is its table.
pub fn renamed(fields: &Value) -> &'static str {
    use protobuf::ObjectType::*;
    match protobuf::ObjectType::try_from(number(fields, "rename_type")).unwrap_or_default() {
        ObjectColumn => kind(number(fields, "relation_type")),
        ObjectTabconstraint => "TABLE",
        ObjectDomconstraint => "DOMAIN",
        ObjectAttribute => "TYPE",
        _ => kind(number(fields, "rename_type")),
    }
}
