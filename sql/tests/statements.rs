//! Statements and what is read from them, a table for each dialect in `tests/statements/`.
//!
//! A file has pairs of lines: a statement, with `⏎` for a line end, and what is read from it behind four blanks, one line for each statement of
//! the text. `SEALTRAIL_BLESS=1` writes what is read now; look at the difference before you keep it.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::fmt::Write;

use sealtrail_sql::name::normalized;
use sealtrail_sql::{Dialect, Name, Part, Reading, Scope, Span, Statement, Value, Who, read};

#[test]
fn postgres_statements_read_as_the_table_says() {
    check("postgres", Dialect::POSTGRES);
}

#[test]
fn mysql_statements_read_as_the_table_says() {
    check("mysql", Dialect::MYSQL);
}

#[test]
fn tsql_statements_read_as_the_table_says() {
    check("tsql", Dialect::TSQL);
}

#[test]
fn oracle_statements_read_as_the_table_says() {
    check("oracle", Dialect::ORACLE);
}

fn check(table: &str, dialect: Dialect) {
    let path = format!("tests/statements/{table}.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let read_now = as_read(&text, dialect);
    if std::env::var_os("SEALTRAIL_BLESS").is_some() {
        std::fs::write(&path, read_now).expect("the table");
        return;
    }
    for (number, (expected, found)) in text.lines().zip(read_now.lines()).enumerate() {
        assert_eq!(expected, found, "{path}:{}", number + 1);
    }
    assert_eq!(text.lines().count(), read_now.lines().count());
}

/// The table with what is read now.
fn as_read(table: &str, dialect: Dialect) -> String {
    let mut out = String::new();
    for line in table.lines().filter(|line| !line.starts_with("    ")) {
        writeln!(out, "{line}").expect("memory");
        if line.is_empty() || line.starts_with("##") {
            continue;
        }
        let text = line.replace('⏎', "\n").into_bytes();
        let reading = read(dialect, &text);
        for statement in &reading.statements {
            writeln!(out, "    {}", told(dialect, &text, &reading, statement)).expect("memory");
        }
    }
    out
}

/// One line: the action, then what was found, in the order of the lists.
fn told(dialect: Dialect, text: &[u8], reading: &Reading, statement: &Statement) -> String {
    let mut out = vec![statement.action.to_owned()];
    let part = |span: Span| String::from_utf8_lossy(&normalized(dialect, span.of(text))).into_owned();
    let name =
        |name: Name| name.parts().into_iter().filter(|one| !one.is_empty()).map(part).collect::<Vec<_>>().join(".");
    let raw = |span: Span| String::from_utf8_lossy(span.of(text)).into_owned();
    let value = |value: Value| match value {
        Value::Text(span) => raw(span),
        Value::Secret(span) => format!("secret {}", span.len()),
        other => format!("{other:?}").to_lowercase(),
    };
    if !statement.inner.is_empty() {
        out.push(format!("inner {}", statement.inner));
    }
    for one in reading.relations(statement) {
        let idle = if one.runs { "" } else { "(idle)" };
        out.push(format!("{}{idle} {}", format!("{:?}", one.access).to_lowercase(), name(one.name)));
    }
    for one in reading.objects(statement) {
        let role = match one.part {
            Part::Target => "",
            Part::On => "on ",
            Part::Becomes => "becomes ",
            Part::Mentioned => "mentions ",
        };
        out.push(format!("{role}{} {}", one.kind, name(one.name)).trim_end().to_owned());
    }
    for one in reading.privileges(statement) {
        let columns = if one.columns.is_empty() { String::new() } else { format!("({})", raw(one.columns)) };
        out.push(format!("may {}{columns}", raw(one.name)));
    }
    for one in reading.principals(statement) {
        let who = match one.who {
            Who::Subject => "who",
            Who::Grantee => "to",
            Who::Grantor => "by",
            Who::Role => "role",
            Who::Member => "member",
            Who::Owner => "owner",
            Who::For => "for",
            Who::Becomes => "renamed",
        };
        let host = if one.host.is_empty() { String::new() } else { format!("@{}", part(one.host)) };
        out.push(format!("{who} {}{host}", part(one.name)));
    }
    out.extend(reading.attributes(statement).iter().map(|one| format!("{}={}", one.name, value(one.value))));
    for one in reading.settings(statement) {
        let scope = match one.scope {
            Scope::Session => "set",
            other => &format!("set {}", format!("{other:?}").to_lowercase()),
        };
        out.push(format!("{scope} {}{}={}", one.canonical, raw(one.parameter), value(one.value)));
    }
    for one in reading.transfers(statement) {
        out.push(
            format!("{:?} {:?} {}", one.direction, one.means, raw(one.target)).to_lowercase().trim_end().to_owned(),
        );
    }
    out.extend(statement.options.names().map(|option| option.to_lowercase()));
    out.extend(statement.doubts.names().map(|doubt| format!("?{}", doubt.to_lowercase())));
    out.join(" · ")
}
