//! A live MariaDB whose audit log is rotated over and over while several clients work and the agent is killed: each statement is one record
//! with its user, all that it touched, and its outcome.
//!
//! It is rotated by size, or on request, and never both at a time: where one thread rotates because the file is full and another because it was told
//! to, both rename the same chain, and the server overwrites one of its own files (MariaDB 10.11; the agent had read it by then).
//!
//! What there was is counted by a small reader of its own, which knows of server_audit's rows only what this workload has in them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::{Host, text};
use crate::mariadb::Mariadb;

/// How long the clients work, and the agent is killed.
fn seconds() -> u64 {
    std::env::var("SEALTRAIL_LIVE_SECONDS").map_or(8, |seconds| seconds.parse().expect("a number"))
}

const CLIENTS: usize = 4;

const SETUP: &str = "CREATE DATABASE shop; USE shop;
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, item INT, note TEXT);
CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(50), stock INT);
CREATE TABLE audit_copy LIKE orders;
INSERT INTO items VALUES (1, 'nail', 10), (2, 'screw', 20), (3, 'it''s \"quoted\", with a comma', 30);
CREATE VIEW open_orders AS SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item;
CREATE USER 'app'@'%'; GRANT ALL ON shop.* TO 'app'@'%';
CREATE USER 'locked'@'%' IDENTIFIED BY 'secret';
";

#[test]
fn each_statement_of_a_live_mariadb_is_one_record_when_its_log_is_rotated_by_size_and_its_reader_killed() {
    each_statement_is_one_record(60_000, |_, _| {});
}

#[test]
fn each_statement_of_a_live_mariadb_is_one_record_when_its_log_is_rotated_on_request_and_its_reader_killed() {
    each_statement_is_one_record(1 << 30, rotate);
}

fn each_statement_is_one_record(rotate_size: u64, rotates: impl Fn(&Mariadb, &AtomicBool) + Sync) {
    let mut server = Mariadb::start(rotate_size);
    let host = Host::empty();
    let log = server.log();
    let source = format!(
        "[[source]]\nname = \"maria\"\npaths = [\"{}\"]\nformat = \"mariadb-audit\"\ntimezone = \"UTC\"\n",
        log.display()
    );
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"", &source, &host.archive());
    let mut agent = Some(host.run());
    agent.as_mut().unwrap().wait_ready();
    server.run("root", SETUP);
    let (done, mut kills) = (AtomicBool::new(false), 0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, done) = (&server, &done);
            scope.spawn(move || work(server, client, done));
        }
        scope.spawn(|| rotates(&server, &done));
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(seconds()) {
            thread::sleep(Duration::from_millis(900));
            agent.take().unwrap().kill9();
            kills += 1;
            // Sometimes several files come and go while nobody looks.
            thread::sleep(Duration::from_millis(kills % 3 * 250));
            agent = Some(host.run());
        }
        done.store(true, Ordering::Relaxed);
    });
    server.stop();
    let mut agent = agent.unwrap();
    agent.wait_settled();
    agent.stop();
    let trail = host.drain();
    host.assert_verifies();

    let files: Vec<Vec<u8>> = server.logs().iter().map(|path| fs::read(path).unwrap()).collect();
    let (expected, began_before) = statements(&files);
    let mut found: BTreeMap<Fact, usize> = BTreeMap::new();
    let mut in_two_files = 0;
    for event in trail.events() {
        *found.entry(Fact::of_event(event)).or_default() += 1;
        let pieces = event["at"]["pieces"].as_array().into_iter().flatten();
        let is_apart = pieces.clone().any(|piece| piece.as_array().unwrap().len() > 2);
        in_two_files += usize::from(is_apart && !is_incomplete(event));
    }
    trail.assert_ids_unique();
    let all = expected.values().sum::<usize>();
    let lost = expected.iter().filter(|(fact, _)| fact.outcome == "incomplete").map(|(_, count)| count).sum::<usize>();
    eprintln!(
        "{all} records of {} files, {in_two_files} of them in two, {lost} without an end; {kills} kills",
        files.len()
    );
    let differ = |one: &BTreeMap<Fact, usize>, other: &BTreeMap<Fact, usize>| {
        let differs = one.iter().filter(|(fact, count)| other.get(fact) != Some(count));
        let instead = |fact: &Fact| {
            let same = other.keys().filter(|it| (&it.connection, &it.query) == (&fact.connection, &fact.query));
            same.map(|it| format!("\n  instead {it:?}")).chain(rows_of(&files, fact)).collect::<String>()
        };
        differs.take(5).map(|(fact, count)| format!("{count} × {fact:?}{}", instead(fact))).collect::<Vec<_>>()
    };
    assert_eq!(differ(&expected, &found), Vec::<String>::new(), "in the log, and not so in the trail");
    assert_eq!(differ(&found, &expected), Vec::<String>::new(), "in the trail, and not so in the log");
    assert_eq!(began_before, in_two_files, "statements that began in the file before");
    assert_eq!(trail.unparsed(), 0);
    assert!(trail.acts("GAP").is_empty() && trail.acts("FILE GONE").is_empty() && trail.acts("FILE CUT").is_empty());
    assert!(files.len() >= 10 && kills >= 3, "{} files, {kills} kills", files.len());
}

/// Sessions one after the other, each of all kinds of statements.
fn work(server: &Mariadb, client: usize, done: &AtomicBool) {
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        server.run("app", &script(client, round));
        // Nobody gets in with that, and it is in the log.
        server.client("locked").args(["-pwrong", "-e", "SELECT 1"]).output().unwrap();
        if round % 5 == 0 {
            server.run("root", &format!("CREATE USER u{client}_{round}; GRANT SELECT ON shop.items TO u{client}_{round};\nREVOKE SELECT ON shop.items FROM u{client}_{round}; DROP USER u{client}_{round};"));
        }
        round += 1;
    }
}

/// One session that asks for a new file again and again, at no regular pace.
fn rotate(server: &Mariadb, done: &AtomicBool) {
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        let now = "SET GLOBAL server_audit_file_rotate_now = ON;\n";
        let times = if round % 4 == 0 { 3 } else { 1 };
        server.run("root", &now.repeat(times));
        thread::sleep(Duration::from_millis(60 + round * 37 % 200));
        round += 1;
    }
}

fn script(client: usize, round: usize) -> String {
    let mut sql = "USE shop;\n".to_owned();
    for step in 0..6 {
        let item = (client + round + step) % 3 + 1;
        writeln!(
            sql,
            "INSERT INTO orders (item, note) VALUES ({item}, 'client {client}, round {round},\nline two of it''s \\\\ note\\ttab');
SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item JOIN audit_copy c ON c.id = o.id;
UPDATE orders o, items i SET o.note = 'multi', i.stock = i.stock + 1 WHERE o.item = i.id AND o.item = {item};
INSERT INTO audit_copy SELECT * FROM orders WHERE id NOT IN (SELECT id FROM audit_copy) LIMIT 3;
SELECT COUNT(*) FROM open_orders;
PREPARE s FROM 'SELECT * FROM items WHERE id = ?'; SET @i = {item}; EXECUTE s USING @i; DEALLOCATE PREPARE s;
SELECT * FROM missing_{client}_{step};
SELEC syntax error, {round};
CREATE TABLE t{client}_{round}_{step} (a INT); ALTER TABLE t{client}_{round}_{step} ADD b INT; DROP TABLE t{client}_{round}_{step};
BEGIN; DELETE FROM orders WHERE item = {item} LIMIT 1; COMMIT;"
        )
        .unwrap();
    }
    writeln!(sql, "SELECT '{}' FROM items;", "long, 'quoted' text ".replace('\'', "''").repeat(1000 + round % 500))
        .unwrap();
    sql
}

/// What is compared: connection, query, user, operation or text, what was touched, and the outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    connection: String,
    query: String,
    user: String,
    text: String,
    touched: Vec<String>,
    outcome: String,
}

impl Fact {
    fn of_event(event: &Value) -> Self {
        let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // What the server named, in rows of their own. The statement's own words are not that: an object without an access, and all of a
        // statement that is one row, since the server drops rows now and then when it rotates.
        let is_apart = is_incomplete(event) || !event["at"]["pieces"].is_null();
        let objects = event["resources"].as_array().into_iter().flatten();
        let objects = objects.filter(|object| is_apart && !object["access"].is_null());
        let touched = objects.map(|object| format!("{} {}", of(&object["access"]), of(&object["name"])));
        let statement = &event["statement"]["text"];
        assert!(!of(&event["user"]).is_empty() && !of(&event["resource"]).is_empty(), "{event}");
        Fact {
            connection: of(&event["session"]["id"]),
            query: event["extra"]["queryid"].to_string(),
            user: of(&event["user"]),
            text: match is_incomplete(event) {
                true => String::new(),
                false if statement.is_null() => of(&event["action"]),
                false => of(statement),
            },
            touched: touched.collect(),
            outcome: if is_incomplete(event) { "incomplete".to_owned() } else { of(&event["outcome"]) },
        }
    }
}

fn is_incomplete(event: &Value) -> bool {
    event["flags"].as_array().is_some_and(|flags| flags.contains(&"incomplete".into()))
}

/// What the log's files say, oldest first, and how many statements have rows in two of them.
fn statements(files: &[Vec<u8>]) -> (BTreeMap<Fact, usize>, usize) {
    let (mut facts, mut in_two_files) = (BTreeMap::new(), 0);
    // What was touched, and in which file the first of that stands.
    let mut open: BTreeMap<(String, String), (usize, String, Vec<String>)> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for row in text(file).lines() {
            let columns: Vec<&str> = row.splitn(8, ',').collect();
            let [_, _, user, _, connection, query, operation, rest] = columns[..] else { panic!("{row}") };
            let key = (connection.to_owned(), query.to_owned());
            let (text, outcome) = match operation {
                "READ" | "WRITE" | "CREATE" | "ALTER" | "RENAME" | "DROP" => {
                    let (database, table) = rest.strip_suffix(',').unwrap().split_once(',').unwrap();
                    let (_, _, touched) = open.entry(key).or_insert_with(|| (number, user.to_owned(), Vec::new()));
                    touched.push(format!("{operation} {database}.{table}"));
                    continue;
                }
                "QUERY" => {
                    let (statement, code) = rest.rsplit_once(',').unwrap();
                    let quoted = statement.split_once(',').unwrap().1;
                    (unescaped(&quoted[1..quoted.len() - 1]), if code == "0" { "success" } else { "failure" })
                }
                "CONNECT" => ("LOGIN".to_owned(), "success"),
                "DISCONNECT" => ("LOGOUT".to_owned(), "success"),
                "FAILED_CONNECT" => ("LOGIN FAILED".to_owned(), "failure"),
                other => panic!("{other}"),
            };
            let (began, _, touched) = open.remove(&key).unwrap_or((number, String::new(), Vec::new()));
            in_two_files += usize::from(began != number);
            // A client that ended before it said who it is.
            let nobody = if operation == "FAILED_CONNECT" { "(pre-auth)" } else { "(unknown)" };
            let (user, outcome) = (if user.is_empty() { nobody } else { user }.to_owned(), outcome.to_owned());
            *facts.entry(Fact { connection: key.0, query: key.1, user, text, touched, outcome }).or_default() += 1;
        }
    }
    for ((connection, query), (_, user, touched)) in open {
        let (text, outcome) = (String::new(), "incomplete".to_owned());
        *facts.entry(Fact { connection, query, user, text, touched, outcome }).or_default() += 1;
    }
    (facts, in_two_files)
}

/// The log's rows of that statement, each with its file, 0 being the oldest, and its line.
fn rows_of(files: &[Vec<u8>], fact: &Fact) -> Vec<String> {
    let key = format!(",{},{},", fact.connection, fact.query);
    let mut found = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let text = text(file);
        let rows = text.lines().enumerate().filter(|(_, row)| row.contains(&key));
        found.extend(rows.map(|(line, row)| format!("\n  file {number}, line {}: {:.160}", line + 1, row)));
    }
    found
}

fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text.chars());
    while let Some(letter) = rest.next() {
        out.push(match letter {
            '\\' => match rest.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    out
}
