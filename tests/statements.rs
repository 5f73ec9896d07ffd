//! What statements become: action, resource, category. `docs/statements.md` is written by this test and cannot go stale.
//!
//! `tests/statements/` has the statements, one a line, by engine. `SEALTRAIL_ACCEPT=1 cargo test --test statements` writes the page
//! anew; read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use sealtrail::shape::{Classify, Known, Readings, meaning};
use sealtrail_parsers::{Act, Dialect, Format, Record, Statement};

const ENGINES: [(&str, &str, Format); 4] = [
    ("PostgreSQL", "postgresql", Format::PostgresCsvlog),
    ("MySQL and MariaDB", "mysql", Format::MysqlGeneral),
    ("Oracle", "oracle", Format::OracleAud),
    ("SQL Server", "sqlserver", Format::SqlserverEvent),
];

const PAGE: &str = "docs/statements.md";

const HEAD: &str = "\
# Statements

What a statement becomes where the engine says nothing but its text: action, resource, category, and whether it is privileged. Run by the account `app` in the
database `shop`, with the configuration's defaults. [record.md](record.md) says what the columns mean. `tests/statements.rs` writes this page from
`tests/statements/`.
";

#[test]
fn the_page_of_statements_is_what_the_code_does() {
    let mut page = HEAD.to_owned();
    for (title, name, format) in ENGINES {
        write!(page, "\n## {title}\n\n| statement | action | resource | category | admin |\n|---|---|---|---|---|\n")
            .unwrap();
        for statement in statements(name) {
            page += &row(format, &statement);
        }
    }
    if std::env::var_os("SEALTRAIL_ACCEPT").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    assert_eq!(page, fs::read_to_string(PAGE).unwrap_or_default(), "SEALTRAIL_ACCEPT=1 writes {PAGE} anew");
}

#[test]
fn there_are_enough_statements_and_each_once() {
    let count = |name| statements(name).len();
    assert!(count("postgresql") >= 60 && count("mysql") >= 60, "{} {}", count("postgresql"), count("mysql"));
    for (_, name, _) in ENGINES {
        let all = statements(name);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{name}");
    }
}

/// Whatever else it does, what touches the audit is a change of policy, privileged, and flagged where it takes something out.
#[test]
fn switching_the_audit_off_is_never_missed() {
    for (format, statement) in [
        (Format::PostgresCsvlog, "SET pgaudit.log = 'none'"),
        (Format::PostgresCsvlog, "set pgaudit.log to none"),
        (Format::PostgresCsvlog, "SELECT 1; SET pgaudit.log = 'none'"),
        (Format::PostgresCsvlog, "ALTER ROLE app SET pgaudit.log = 'none'"),
        (Format::PostgresCsvlog, "ALTER SYSTEM SET log_statement = 'none'"),
        (Format::PostgresCsvlog, "ALTER SYSTEM SET log_connections TO off"),
        (Format::PostgresCsvlog, "ALTER DATABASE shop RESET pgaudit.log"),
        (Format::PostgresCsvlog, "DROP EXTENSION IF EXISTS pgaudit CASCADE"),
        (Format::PostgresCsvlog, "SELECT set_config('pgaudit.log', 'none', true)"),
        (Format::MysqlGeneral, "SET GLOBAL server_audit_logging = OFF"),
        (Format::MysqlGeneral, "SET @@global.server_audit_logging = 0"),
        (Format::MysqlGeneral, "SET GLOBAL server_audit_excl_users = 'root'"),
        (Format::MysqlGeneral, "UNINSTALL PLUGIN server_audit"),
        (Format::MysqlGeneral, "UNINSTALL SONAME 'server_audit'"),
        (Format::MysqlGeneral, "SELECT audit_log_filter_remove_user('%')"),
        (Format::MysqlGeneral, "SET PERSIST audit_log_policy = 'NONE'"),
        (Format::OracleAud, "NOAUDIT ALL"),
        (Format::OracleAud, "DELETE FROM SYS.AUD$"),
        (Format::SqlserverEvent, "ALTER SERVER AUDIT a WITH (STATE = OFF)"),
        (Format::SqlserverEvent, "DROP SERVER AUDIT a"),
    ] {
        with_meaning(format, statement, |meaning| {
            let told = (meaning.category.name(), meaning.admin, meaning.audit_tampering);
            assert_eq!(told, ("policy_change", true, true), "{statement}");
        });
    }
}

fn row(format: Format, statement: &str) -> String {
    with_meaning(format, statement, |meaning| {
        let resource = String::from_utf8(meaning.resource.name.to_vec()).unwrap();
        let kind = String::from_utf8_lossy(meaning.resource.kind).to_ascii_lowercase();
        let stand_in =
            if meaning.resource.derived.is_some_and(|how| how.starts_with("fallback")) { ", stand-in" } else { "" };
        let flag = if meaning.audit_tampering { ", `audit_tampering`" } else { "" };
        format!(
            "| `{}` | `{}` | `{}` ({kind}{stand_in}) | `{}`{flag} | {} |\n",
            cell(statement),
            String::from_utf8_lossy(&meaning.action.value),
            cell(&resource),
            meaning.category.name(),
            if meaning.admin { "yes" } else { "no" },
        )
    })
}

/// A bar would end the cell, and a backtick the code.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('`', "'")
}

fn with_meaning<T>(format: Format, statement: &str, look: impl FnOnce(&sealtrail::shape::Meaning<'_>) -> T) -> T {
    let record = Record {
        act: Act::LoggedStatement,
        user: Some(b"app"),
        database: (format != Format::OracleAud).then_some(&b"shop"[..]),
        statement: Some(Statement { text: Some(statement.as_bytes()), ..Statement::default() }),
        ..Record::default()
    };
    let mut readings = Readings::default();
    let told = readings.told(&Dialect::from(format), &record, false);
    look(&meaning(&record, told, &Known::default(), b"db1", &Classify::default()))
}

fn statements(name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("tests/statements/{name}.sql")).unwrap();
    text.lines().map(str::to_owned).collect()
}
