//! What the statement reader finds in a statement's text alone is what the engine's own audit names when it runs it.
//!
//! Live servers run the statements of `statements/`, each with its number in a comment, and audit every relation that they touch. An
//! engine knows more than the text: what stands behind a view, what a function does. Each such difference has a kind, with the rule
//! that it must fulfil to be of it, here. Any other difference is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use sealtrail_sql::{Access, Dialect, Name, Part};

use crate::mariadb::Mariadb;
use crate::oracle;
use crate::postgres::Postgres;

/// `SELECT public.orders`
type Touched = BTreeSet<String>;

/// Fewer would say little.
const POSTGRES_STATEMENTS_MIN: usize = 240;
const MARIADB_STATEMENTS_MIN: usize = 180;

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
    let mut differences = Differences::default();
    for (statement, named) in statements.iter().zip(named) {
        let mut case = Case::read(Dialect::POSTGRES, statement, &pgaudit_verb, &qualified_postgres);
        case.named = named;
        differences.add(&case, POSTGRES_KINDS);
    }
    differences.report(statements.len());
}

#[test]
fn relations_read_from_the_text_are_those_that_server_audit_names() {
    let mut server = Mariadb::start(60_000);
    let statements = statements(include_str!("statements/mariadb.sql"));
    assert!(statements.len() >= MARIADB_STATEMENTS_MIN, "only {} statements", statements.len());
    server.run("root", include_str!("statements/mariadb_setup.sql"));
    run(&server, &format!("USE shop;\n{}", numbered(&statements)));
    server.stop();
    let named = named_by_server_audit(&server.logs(), statements.len());
    let (mut database, mut differences) = ("shop", Differences::default());
    for (statement, named) in statements.iter().zip(named) {
        let qualified = |name: &str| if name.contains('.') { name.into() } else { format!("{database}.{name}") };
        let mut case = Case::read(Dialect::MYSQL, statement, &server_audit_verb, &qualified);
        case.named = named;
        differences.add(&case, MARIADB_KINDS);
        database = statement.strip_prefix("USE ").unwrap_or(database);
    }
    differences.report(statements.len());
}

/// A kind of difference, and whether one is of it.
type Kind = (&'static str, fn(&Case) -> bool);

const POSTGRES_KINDS: &[Kind] = &[
    ("made, truncated and locked tables: pgAudit names none", |case| {
        case.missing().is_empty() && case.extra().iter().all(|one| starts(one, &["CREATE ", "TRUNCATE ", "LOCK "]))
    }),
    ("MERGE and ON CONFLICT: pgAudit names one of the things that may be done", |case| {
        case.extra().iter().all(|one| starts(one, &["MERGE ", "UPDATE "]) && names(&case.named).contains(name(one)))
            && case.missing().iter().all(|one| names(&case.read).contains(name(one)))
    }),
    ("what stands behind a view", |case| case.is_behind(POSTGRES_VIEWS)),
    ("a function of SQL, put in its place by the planner", |case| {
        case.is_behind(&[("customers_of(", &["public.customers"])])
    }),
    ("named, not touched: pgAudit tells what a plan or a prepared statement would touch", Case::is_named_only),
];

/// Views, and what stands behind each; none of the engine's rows need be there.
const POSTGRES_VIEWS: &[(&str, &[&str])] = &[
    ("big_orders", &["public.orders"]),
    ("app.rich", &["app.accounts", "public.customers"]),
    ("REFRESH MATERIALIZED VIEW totals", &["public.orders"]),
    ("pg_stat_activity", &["pg_catalog.pg_authid", "pg_catalog.pg_database"]),
    ("information_schema.tables", &["pg_catalog.pg_class", "pg_catalog.pg_namespace", "pg_catalog.pg_type"]),
];

const MARIADB_KINDS: &[Kind] = &[
    ("what stands behind a view", |case| {
        case.is_behind(&[("big_orders", &["shop.orders"]), ("hr.people", &["hr.staff", "shop.customers"])])
            && case.extra().iter().all(|one| one.ends_with("shop.big_orders") || one.ends_with("hr.people"))
    }),
    ("what functions, procedures and triggers touch", |case| {
        case.is_behind(&[("order_count()", &["shop.orders"]), ("INTO noted", &["shop.notes"])])
    }),
    ("a foreign key's other table", |case| case.is_behind(&[("DELETE FROM parent", &["shop.child"])])),
    ("locked to be written", |case| {
        let (read, named) = (case.extra(), case.missing());
        read.iter().all(|one| one.starts_with("READ "))
            && named.iter().all(|one| one.starts_with("WRITE "))
            && names(&read) == names(&named)
    }),
    ("temporary tables: server_audit does not name them", |case| {
        case.missing().is_empty() && case.statement.contains("TEMPORARY")
    }),
    ("DDL opens the table that it is about", |case| {
        case.extra().is_empty() && case.missing().iter().all(|one| case.objects.contains(name(one)))
    }),
    ("named, not touched: server_audit tells of every table that is opened", Case::is_named_only),
    ("HANDLER: its name may be an alias, and is left out", |case| case.statement.starts_with("HANDLER ")),
];

/// A statement, what was read and what the engine named.
#[derive(Default)]
struct Case {
    statement: String,
    /// What the reader finds of relations that are touched.
    read: Touched,
    /// What it finds of those that are only named.
    idle: Touched,
    /// The tables that DDL is about, names only.
    objects: BTreeSet<String>,
    named: Touched,
}

impl Case {
    fn read(
        dialect: Dialect,
        statement: &str,
        verb: &dyn Fn(Access) -> &'static str,
        qualified: &dyn Fn(&str) -> String,
    ) -> Self {
        let text = statement.as_bytes();
        let reading = sealtrail_sql::read(dialect, text);
        let whole = |name: Name| qualified(&String::from_utf8(name.normalized(dialect, text)).unwrap());
        let mut case = Case { statement: statement.replace('\n', " "), ..Case::default() };
        for one in &reading.statements {
            for relation in reading.relations(one) {
                let set = if relation.runs { &mut case.read } else { &mut case.idle };
                set.insert(format!("{} {}", verb(relation.access), whole(relation.name)));
            }
            let tables = reading.objects(one).iter().filter(|object| matches!(object.part, Part::Target | Part::On));
            case.objects.extend(tables.map(|table| whole(table.name)));
            let verb = one.action.split(' ').next().unwrap_or_default();
            if dialect == Dialect::MYSQL && matches!(verb, "CREATE" | "ALTER" | "DROP" | "RENAME") {
                let tables =
                    reading.objects(one).iter().filter(|object| object.kind == "TABLE" && object.part == Part::Target);
                case.read.extend(tables.map(|table| format!("{verb} {}", whole(table.name))));
            }
        }
        case
    }

    /// What only the engine names.
    fn missing(&self) -> Touched {
        self.named.difference(&self.read).cloned().collect()
    }

    /// What only the reader finds.
    fn extra(&self) -> Touched {
        self.read.difference(&self.named).cloned().collect()
    }

    /// Whether the statement has a word behind which there is all that only the engine names.
    fn is_behind(&self, known: &[(&str, &[&str])]) -> bool {
        let missing = self.missing();
        let hidden =
            known.iter().filter(|(word, _)| self.statement.contains(word)).flat_map(|(_, behind)| behind.iter());
        let hidden: BTreeSet<&str> = hidden.copied().collect();
        !missing.is_empty() && missing.iter().all(|one| hidden.contains(name(one)))
    }

    /// Whether the engine names what the reader found to be named only.
    fn is_named_only(&self) -> bool {
        self.extra().is_empty() && self.missing().is_subset(&self.idle)
    }
}

/// Without the verb.
fn name(touched: &str) -> &str {
    touched.split_once(' ').map_or(touched, |(_, name)| name)
}

fn names(touched: &Touched) -> BTreeSet<&str> {
    touched.iter().map(|one| name(one)).collect()
}

fn starts(one: &str, verbs: &[&str]) -> bool {
    verbs.iter().any(|verb| one.starts_with(verb))
}

/// Statements of which engine and reader name other relations.
#[derive(Default)]
struct Differences {
    /// By the reason that there is.
    kinds: BTreeMap<&'static str, Vec<String>>,
    unexplained: Vec<String>,
}

impl Differences {
    fn add(&mut self, case: &Case, kinds: &[Kind]) {
        if case.read == case.named {
            return;
        }
        let told =
            format!("{}\n      engine only: {:?}, reader only: {:?}", case.statement, case.missing(), case.extra());
        match kinds.iter().find(|(_, is)| is(case)) {
            Some((kind, _)) => self.kinds.entry(kind).or_default().push(told),
            None => self.unexplained.push(told),
        }
    }

    fn report(&self, statements: usize) {
        let others: usize = self.kinds.values().map(Vec::len).sum();
        let alike = statements - others - self.unexplained.len();
        eprintln!(
            "{statements} statements: of {alike} the same relations, of {others} what no text says or no audit names:"
        );
        for (kind, statements) in &self.kinds {
            eprintln!("  {kind}: {}\n    {}", statements.len(), statements.join("\n    "));
        }
        assert!(self.unexplained.is_empty(), "no reason is known for these:\n    {}", self.unexplained.join("\n    "));
    }
}

/// A statement ends with a semicolon at the end of a line.
fn statements(text: &'static str) -> Vec<&'static str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

fn numbered(statements: &[&str]) -> String {
    statements.iter().enumerate().map(|(number, statement)| format!("{statement} /*#{number}#*/;\n")).collect()
}

fn number(text: &str) -> Option<usize> {
    let (_, rest) = text.rsplit_once("/*#")?;
    rest.split_once("#*/")?.0.parse().ok()
}

fn pgaudit_verb(access: Access) -> &'static str {
    match access {
        Access::Read => "SELECT",
        other => other.word(),
    }
}

fn server_audit_verb(access: Access) -> &'static str {
    if access.is_write() { "WRITE" } else { "READ" }
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
        if let Some(number) = number(text)
            && matches!(class.as_str(), "READ" | "WRITE")
            && !name.is_empty()
        {
            // No name of the statements has a quote in it.
            named[number].insert(format!("{command} {}", name.replace('"', "")));
        }
    }
    named
}

/// Comma-separated; a field in double quotes holds what it wants, and quotes twice.
fn fields(row: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut characters = row.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => fields.last_mut().unwrap().extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
    }
    fields
}

/// Runs a script that must not fail. The client keeps comments: the numbers are in them.
fn run(server: &Mariadb, script: &str) {
    let mut client = server.client("root");
    let mut client = client.arg("--comments").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "", "every statement should run");
}

/// Of each numbered statement: the tables of server_audit's TABLE rows, which come before its QUERY row and have its number. Without the
/// server's own: statistics and accounts.
fn named_by_server_audit<P: AsRef<Path>>(logs: &[P], statements: usize) -> Vec<Touched> {
    let mut named = vec![Touched::new(); statements];
    let mut open: BTreeMap<(&str, &str), Touched> = BTreeMap::new();
    let text: String = logs.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(9, ',').collect();
        let [_, _, _, _, connection, query, operation, database, rest] = fields.as_slice() else { continue };
        match *operation {
            "QUERY" => {
                let tables = open.remove(&(connection, query)).unwrap_or_default();
                if let Some(number) = number(rest) {
                    named[number].extend(tables);
                }
            }
            "READ" | "WRITE" | "CREATE" | "ALTER" | "DROP" | "RENAME" if *database != "mysql" => {
                // `old|database.new`
                let table = rest.split([',', '|']).next().unwrap_or_default();
                open.entry((connection, query)).or_default().insert(format!("{operation} {database}.{table}"));
            }
            _ => {}
        }
    }
    named
}
