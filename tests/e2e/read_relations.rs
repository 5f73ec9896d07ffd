//! What the statement reader finds in a statement's text alone is what the engine's own audit names when it runs it.
//!
//! A live server runs the statements of `statements/`, each with its number in a comment, and audits every relation that it touches. The
//! engine knows more than the text: what stands behind a view, what a function does. Each such difference has a kind here, with
//! the rule that a difference must fulfil to be of it. Any other is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealtrail_sql::{Access, Dialect, Reading};

use crate::oracle;
use crate::postgres::Postgres;

/// `SELECT public.orders`
type Touched = BTreeSet<String>;

/// Fewer would say little.
const POSTGRES_STATEMENTS_MIN: usize = 240;

/// Where pgAudit's row stands in a record of the csvlog.
const MESSAGE: usize = 13;

#[test]
fn relations_read_from_the_text_are_those_that_pgaudit_names() {
    let mut server = Postgres::start_with(None, "pgaudit.log_relation = on\n");
    server.psql("postgres", "postgres", include_str!("statements/postgres_setup.sql"));
    let statements = statements(include_str!("statements/postgres.sql"));
    assert!(statements.len() >= POSTGRES_STATEMENTS_MIN, "only {} statements", statements.len());
    let output = server.psql("postgres", "postgres", &numbered(&statements));
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "", "every statement should run");
    server.stop();
    let named = named_by_pgaudit(&server.logs("csv"), statements.len());
    let mut kinds = BTreeMap::new();
    for (statement, named) in statements.iter().zip(&named) {
        let read = read(Dialect::POSTGRES, statement, qualified_postgres);
        if read != *named {
            let (missing, extra) =
                (named.difference(&read).cloned().collect(), read.difference(named).cloned().collect());
            let kind = postgres_kind(statement, &missing, &extra);
            let kind =
                kind.unwrap_or_else(|| panic!("{statement}\n  engine only: {missing:?}\n  reader only: {extra:?}"));
            kinds.entry(kind).or_insert_with(Vec::new).push(*statement);
        }
    }
    report(statements.len(), &kinds);
}

/// Why the engine names other relations than the text, if there is a reason.
fn postgres_kind(_statement: &str, _missing: &Touched, _extra: &Touched) -> Option<&'static str> {
    None
}

/// A statement ends with a semicolon at the end of a line.
fn statements(text: &'static str) -> Vec<&'static str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

fn numbered(statements: &[&str]) -> String {
    statements.iter().enumerate().map(|(number, statement)| format!("{statement} /*#{number}#*/;\n")).collect()
}

fn report(statements: usize, kinds: &BTreeMap<&str, Vec<&str>>) {
    let others: usize = kinds.values().map(Vec::len).sum();
    eprintln!("{statements} statements: {} alike, {others} differ in what no text says:", statements - others);
    for (kind, statements) in kinds {
        eprintln!("  {kind}: {}", statements.len());
        for statement in statements {
            eprintln!("      {}", statement.replace('\n', " "));
        }
    }
}

/// What the reader finds: of a statement that runs, each relation with what is done to it, in the engine's word.
fn read(dialect: Dialect, statement: &str, qualified: fn(&str) -> String) -> Touched {
    let reading: Reading = sealtrail_sql::read(dialect, statement.as_bytes());
    let all = reading.statements.iter().flat_map(|one| reading.relations(one)).filter(|one| one.runs);
    let touched = all.map(|one| {
        let name = String::from_utf8(one.name.normalized(dialect, statement.as_bytes())).unwrap();
        format!("{} {}", verb(one.access), qualified(&name))
    });
    touched.collect()
}

fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "SELECT",
        Access::Insert => "INSERT",
        Access::Update => "UPDATE",
        Access::Delete => "DELETE",
        Access::Merge => "MERGE",
        Access::Truncate => "TRUNCATE",
        Access::Lock => "LOCK",
        Access::Create => "CREATE",
    }
}

/// As the session's search path finds it.
fn qualified_postgres(name: &str) -> String {
    let name = name.strip_prefix("postgres.").unwrap_or(name);
    match name {
        _ if name.contains('.') => name.into(),
        _ if name.starts_with("pg_") => format!("pg_catalog.{name}"),
        _ => format!("public.{name}"),
    }
}

/// Of each numbered statement: the relations of pgAudit's rows.
fn named_by_pgaudit<P: AsRef<Path>>(logs: &[P], statements: usize) -> Vec<Touched> {
    let mut named = vec![Touched::new(); statements];
    for record in oracle::records(logs) {
        let Some(row) = record[MESSAGE].strip_prefix("AUDIT: SESSION,") else { continue };
        let fields = fields(row);
        // Numbers of statement and substatement, class, command, type and name of the object, text.
        let [_, _, class, command, _, name, text, ..] = fields.as_slice() else { panic!("{row}") };
        let Some(number) = text.rsplit_once("/*#").and_then(|(_, rest)| rest.strip_suffix("#*/")) else { continue };
        if matches!(class.as_str(), "READ" | "WRITE") && !name.is_empty() {
            named[number.parse::<usize>().unwrap()].insert(format!("{command} {name}"));
        }
    }
    named
}

/// Comma-separated; a field in double quotes holds what it wants, and quotes twice.
fn fields(row: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in row.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                // The second of two inside of a field.
                if quoted && fields.last().is_some_and(|field| !field.is_empty()) {
                    fields.last_mut().unwrap().push('"');
                }
            }
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
    }
    fields
}
