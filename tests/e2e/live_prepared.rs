//! What a live server's sessions tell of later rows: statements that are prepared and executed, with the agent started anew in between.
//!
//! What was executed is known from the script, and never from the agent.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::host::Host;
use crate::mariadb::Mariadb;
use crate::postgres::Postgres;
use crate::trail::Trail;

const TABLES: &str = "CREATE ROLE app LOGIN PASSWORD 's3cret'; CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app;
CREATE TABLE shop.orders (id int, price int); CREATE TABLE shop.items (id int);
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app;";

/// A client whose session stays.
struct Session(Child);

impl Session {
    fn says(&mut self, text: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        writeln!(input, "{text}").unwrap();
        input.flush().unwrap();
    }

    fn ends(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn psql(server: &Postgres) -> Session {
    let mut psql = server.client("psql");
    psql.args(["-X", "-q", "-U", "app"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Session(psql.spawn().unwrap())
}

/// Action, resource, and how either was derived, of the rows of the user whose text is this one.
fn rows<'t>(events: impl Iterator<Item = &'t Value>, text: &str) -> Vec<[String; 4]> {
    let of = |value: &Value| value.as_str().unwrap_or("own").to_owned();
    let is_one =
        |event: &&Value| event["statement"]["text"].as_str().is_some_and(|it| it.trim_end_matches(';') == text);
    let row = |event: &Value| {
        [&event["action"], &event["resource"], &event["derived"]["action"], &event["derived"]["resource"]].map(of)
    };
    events.filter(is_one).map(row).collect()
}

fn has_text(trail: &Trail, text: &str) -> bool {
    !rows(trail.events(), text).is_empty()
}

fn configure(host: &Host, server: &Postgres) {
    let source = format!("[[source]]\nname = \"csv\"\npaths = [\"{}/*.csv\"]\n", server.log().display());
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"", &source, &host.archive());
}

#[test]
fn an_execute_of_a_live_server_is_what_was_prepared_and_the_engines_own_rows_say_the_same() {
    let server = Postgres::start();
    let host = Host::empty();
    configure(&host, &server);
    server.psql("postgres", "postgres", TABLES);
    let mut agent = host.run();
    agent.wait_ready();
    let script = "PREPARE one (int) AS SELECT price FROM shop.orders WHERE id = $1;
EXECUTE one(1);
PREPARE one (int) AS DELETE FROM shop.items;
EXECUTE one(2);
PREPARE two AS SELECT * FROM shop.nowhere;
EXECUTE two;
PREPARE three (int) AS INSERT INTO shop.items VALUES ($1);
EXECUTE three(3);
EXECUTE three('x');
DEALLOCATE one;
EXECUTE one(4);
PREPARE one (int) AS DELETE FROM shop.items WHERE id = $1;
EXECUTE one(5);
EXPLAIN (ANALYZE, COSTS off) EXECUTE one(6);
PREPARE four AS SELECT id FROM shop.orders;
CREATE TEMP TABLE copied AS EXECUTE four;
DEALLOCATE ALL;
EXECUTE three(6);
PREPARE last AS SELECT price / 0 FROM shop.orders;
INSERT INTO shop.orders VALUES (1, 1);
EXECUTE last;
SELECT 'the end';
";
    server.psql("app", "postgres", script);
    let trail = agent.wait_for("the last row", |trail| has_text(trail, "SELECT 'the end'"));
    let only = |text: &str| {
        let rows = rows(trail.events(), text);
        assert_eq!(rows.len(), 1, "{text}: {rows:?}");
        rows[0].clone()
    };
    let by_session = |action: &str, table: &str| {
        [action, &format!("postgres.shop.{table}"), "session", "session"].map(str::to_owned)
    };
    let unknown = |name: &str| ["EXECUTE", name, "own", "fallback:prepared"].map(str::to_owned);
    assert_eq!(only("EXECUTE one(1)"), by_session("SELECT", "orders"));
    assert_eq!(only("EXECUTE one(2)"), by_session("SELECT", "orders"), "the second PREPARE of the name failed");
    assert_eq!(only("EXECUTE two"), unknown("two"));
    assert_eq!(only("EXECUTE three(3)"), by_session("INSERT", "items"));
    assert_eq!(only("EXECUTE three('x')"), by_session("INSERT", "items"), "what failed was an INSERT");
    assert_eq!(only("EXECUTE one(4)"), unknown("one"));
    assert_eq!(only("EXECUTE one(5)"), by_session("DELETE", "items"));
    let explained = rows(trail.events(), "EXPLAIN (ANALYZE, COSTS off) EXECUTE one(6)");
    assert!(
        explained.contains(&["EXPLAIN", "postgres.shop.items", "own", "session"].map(str::to_owned)),
        "{explained:?}"
    );
    let is_change = |event: &&Value| event["statement"]["text"] == "EXPLAIN (ANALYZE, COSTS off) EXECUTE one(6);";
    let categories: Vec<&Value> = trail.events().filter(is_change).map(|event| &event["category"]).collect();
    assert!(categories.iter().all(|category| *category == "data_write"), "{categories:?}");
    let copied = rows(trail.events(), "CREATE TEMP TABLE copied AS EXECUTE four");
    assert!(copied.iter().any(|row| row[0] == "CREATE TABLE AS" && row[2] == "own"), "{copied:?}");
    assert_eq!(only("EXECUTE three(6)"), unknown("three"));
    assert_eq!(only("EXECUTE last"), by_session("SELECT", "orders"));
    // pgAudit's own rows of what was executed have the text of the PREPARE, and its command.
    let read = rows(trail.events(), "PREPARE one (int) AS SELECT price FROM shop.orders WHERE id = $1");
    let audited = ["SELECT", "postgres.shop.orders", "own", "sql"].map(str::to_owned);
    assert_eq!(read.iter().filter(|row| **row == audited).count(), 2, "{read:?}");
    drop(agent);
}

#[test]
fn a_failure_of_a_live_server_refers_to_its_own_statement_or_to_none() {
    let server = Postgres::start();
    let host = Host::empty();
    configure(&host, &server);
    server.psql("postgres", "postgres", TABLES);
    let mut agent = host.run();
    agent.wait_ready();
    let script = "INSERT INTO shop.orders VALUES (1, 0);
SELECT 1 / price FROM shop.orders;
BEGIN;
SELECT price FROM shop.orders\\; SELECT price / 0 FROM shop.orders WHERE 1 / 0 = 1;
ROLLBACK;
SELECT 'the end';
";
    server.psql("app", "postgres", script);
    let trail = agent.wait_for("the last row", |trail| has_text(trail, "SELECT 'the end'"));
    let failures: Vec<&Value> =
        trail.events().filter(|event| event["error"]["code"] == "22012" && event["user"] == "app").collect();
    let refers = |part: &str| {
        let failure =
            failures.iter().find(|event| event["statement"]["text"].as_str().unwrap().contains(part)).unwrap();
        failure["refers_to"].as_str().map(|id| trail.events().find(|event| event["id"] == id).unwrap())
    };
    let own = refers("SELECT 1 / price").unwrap();
    assert_eq!(
        (&own["statement"]["text"], &own["outcome"]),
        (&"SELECT 1 / price FROM shop.orders;".into(), &"unknown".into())
    );
    // The first of the two was audited and ran; the other fails while it is planned.
    let text = "SELECT price FROM shop.orders; SELECT price / 0";
    let audited = trail.events().filter(|event| event["statement"]["class"] == "READ");
    assert!(audited.filter(|event| event["statement"]["text"].as_str().unwrap().starts_with(text)).count() > 0);
    assert_eq!(refers(text), None);
    drop(agent);
}

#[test]
fn an_agent_that_is_started_anew_says_of_open_sessions_what_it_does_not_know() {
    // Without its DETAIL a row does not say what was prepared.
    let prefix = "%m [%p] %q%u@%d %r %c %l %v %e %b ";
    let settings = format!(
        "log_destination = 'stderr'\nlog_line_prefix = '{prefix}'\nlog_statement = 'all'\nlog_error_verbosity = terse\npgaudit.log = 'none'"
    );
    let server = Postgres::start_with(None, &settings);
    let host = Host::empty();
    let source = format!(
        "[[source]]\nname = \"text\"\npaths = [\"{}/*.log\"]\nformat = \"postgres-stderr\"\nlog_line_prefix = \"{prefix}\"\n",
        server.log().display()
    );
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"", &source, &host.archive());
    server.psql("postgres", "postgres", TABLES);
    let mut agent = host.run();
    agent.wait_ready();
    let (mut old, mut within) = (psql(&server), psql(&server));
    old.says("SET search_path TO shop;\nCREATE TEMP TABLE orders (id int);");
    old.says("PREPARE p AS DELETE FROM items;\nEXECUTE p;\nSELECT 1 FROM items;\nSELECT 'old';");
    within.says("SET search_path TO shop;\nSELECT 1 FROM orders;\nBEGIN;\nSELECT 'within';");
    let known =
        agent.wait_for("both sessions", |trail| has_text(trail, "SELECT 'old'") && has_text(trail, "SELECT 'within'"));
    agent.kill9();
    let mut agent = host.run();
    agent.wait_ready();
    old.says("SET search_path TO shop;\nSELECT 2 FROM orders;\nEXECUTE p;\nPREPARE q AS SELECT 3 FROM items;\nEXECUTE q;\nSELECT 'new';");
    within.says("SET search_path TO nowhere;\nROLLBACK;\nSELECT 2 FROM items;\nDISCARD ALL;\nSET search_path TO shop;\nSELECT 3 FROM orders;");
    within.says("SELECT 'done';");
    let trail =
        agent.wait_for("what followed", |trail| has_text(trail, "SELECT 'new'") && has_text(trail, "SELECT 'done'"));
    old.ends();
    within.ends();
    let row = |trail: &Trail, text: &str| rows(trail.events(), text).last().cloned().unwrap();
    let is = |row: [String; 4], wanted: [&str; 4]| assert_eq!(row, wanted.map(str::to_owned));
    is(row(&known, "EXECUTE p"), ["DELETE", "postgres.items", "session", "session"]);
    is(row(&known, "SELECT 1 FROM orders"), ["SELECT", "postgres.shop.orders", "sql", "sql+session"]);
    is(row(&trail, "SELECT 2 FROM orders"), ["SELECT", "postgres.orders", "sql", "sql"]);
    is(row(&trail, "EXECUTE p"), ["EXECUTE", "p", "sql", "fallback:prepared"]);
    is(row(&trail, "EXECUTE q"), ["SELECT", "postgres.items", "session", "session"]);
    is(row(&trail, "SELECT 2 FROM items"), ["SELECT", "postgres.items", "sql", "sql"]);
    is(row(&trail, "SELECT 3 FROM orders"), ["SELECT", "postgres.shop.orders", "sql", "sql+session"]);
    drop(agent);
}

#[test]
fn an_execute_of_a_live_mariadb_is_what_was_prepared() {
    let mut server = Mariadb::start(1 << 30);
    let host = Host::empty();
    let general = server.log().with_file_name("general.log");
    let source = |name: &str, format: &str, path: &Path| {
        let path = path.display();
        format!("[[source]]\nname = \"{name}\"\npaths = [\"{path}\"]\nformat = \"{format}\"\ntimezone = \"UTC\"\n")
    };
    let sources = source("audit", "mariadb-audit", &server.log()) + &source("general", "mysql-general", &general);
    host.configure_with("interval = \"100ms\"", &sources, &host.archive());
    let log = format!("SET GLOBAL general_log_file = '{}'; SET GLOBAL general_log = ON;", general.display());
    server.run("root", &log);
    server.run("root", "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT); CREATE TABLE shop.items (id INT);");
    let script = "USE shop; SET @a = 1;
PREPARE s FROM 'SELECT id FROM orders WHERE id = ?';
EXECUTE s USING @a;
PREPARE S FROM 'DELETE FROM items WHERE id = ? OR ''a'' = \\'b\\'';
EXECUTE s USING @a;
PREPARE s FROM 'SELECT * FROM nowhere';
EXECUTE s USING @b;
PREPARE g FROM 'GRANT SELECT ON shop.orders TO root@localhost';
EXECUTE g;
SET @text = 'SELECT 1'; PREPARE v FROM @text;
EXECUTE v;
EXECUTE IMMEDIATE 'DELETE FROM shop.orders';
DROP PREPARE g;
EXECUTE g;
SELECT 'the end';
";
    server.run("root", script);
    server.stop();
    let trail = host.drain();
    let of = |source: &str, text: &str| {
        let events = trail.events().filter(|event| event["source"] == source);
        rows(events, text).into_iter().map(|row| row.join(" ")).collect::<Vec<_>>()
    };
    let found = |text: &str| of("general", text);
    assert_eq!(
        found("EXECUTE s USING @a"),
        ["SELECT shop.orders session session", "DELETE shop.items session session"]
    );
    assert_eq!(found("EXECUTE s USING @b"), ["EXECUTE s sql fallback:prepared"], "its PREPARE failed");
    assert_eq!(found("EXECUTE g"), ["GRANT shop.orders session session", "EXECUTE g sql fallback:prepared"]);
    assert_eq!(found("EXECUTE v"), ["EXECUTE v sql fallback:prepared"], "a variable may hold anything");
    assert_eq!(found("EXECUTE IMMEDIATE 'DELETE FROM shop.orders'"), ["DELETE shop.orders sql sql"]);
    assert_eq!(found("SELECT * FROM nowhere"), Vec::<String>::new());
    let used = trail.events().find(|event| event["source"] == "general" && event["statement"]["text"] == "EXECUTE v");
    assert_eq!(
        (&used.unwrap()["database"], &used.unwrap()["derived"]["database"]),
        (&"shop".into(), &"session".into())
    );
    // server_audit writes what is executed in the place of the EXECUTE; with its values, where there is a general log.
    assert_eq!(of("audit", "SELECT id FROM orders WHERE id = 1"), ["SELECT shop.orders sql own"]);
    assert_eq!(of("audit", "EXECUTE s USING @a"), Vec::<String>::new());
}
