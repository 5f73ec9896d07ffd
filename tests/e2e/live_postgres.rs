//! A live PostgreSQL 15 with pgAudit: every record of its log is in the trail once and in order, and both of its formats say the same.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::host::Host;
use crate::oracle::{self, Columns};
use crate::postgres::Postgres;
use crate::trail::{Row, Trail};

/// What a row is told apart by.
type Key = (String, u64);

#[test]
fn every_record_of_a_live_server_is_sealed_once_in_order_and_alike_from_both_formats() {
    let mut server = Postgres::start();
    let host = Host::empty();
    let log = server.log();
    let source = |name: &str| format!("[[source]]\nname = \"{name}\"\npaths = [\"{}/*.{name}\"]\n", log.display());
    let seal = "interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"";
    host.configure_with(seal, &(source("csv") + &source("json")), &host.archive());

    let mut agent = host.run();
    agent.wait_ready();
    workload(&server);
    server.stop();
    let (csv, json) = (server.logs("csv"), server.logs("json"));
    assert!(csv.len() > 1 && json.len() > 1, "the log did not rotate");
    let records: Vec<(String, Vec<Columns>)> =
        csv.iter().map(|path| (path.to_str().unwrap().to_owned(), oracle::records(&[path]))).collect();
    let expected: usize = records.iter().map(|(_, records)| records.len()).sum();
    agent.wait_for_rows(2 * expected);
    agent.stop();
    let trail = host.drain();
    host.assert_verifies();

    assert_eq!(trail.events().count(), 2 * expected);
    assert_eq!(trail.unparsed(), 0);
    assert_eq!(trail.acts("GAP"), Vec::<&Value>::new());
    assert_eq!(trail.acts("TAIL UNPROVEN"), Vec::<&Value>::new());
    trail.tiled();
    let files = rows_by_path(&trail);
    for path in csv.iter().chain(&json) {
        assert_tiled(path, &files);
    }
    for (path, records) in &records {
        let seen: Vec<Key> = files.get(path).into_iter().flatten().map(|row| (row.session.clone(), row.line)).collect();
        let written: Vec<Key> = records.iter().map(oracle::key).collect();
        assert!(seen == written, "{path}: not the records that the csv reader sees, in its order");
    }
    assert_users(&trail, &records);
    assert_alike(&trail);
    eprintln!("{expected} records in {} csv and {} json files", csv.len(), json.len());
}

fn rows_by_path(trail: &Trail) -> HashMap<String, Vec<Row>> {
    let by_id = trail.rows();
    let path_of = |event: &Value| {
        let (id, _) = event["id"].as_str().unwrap().split_once(':').unwrap();
        (id.to_owned(), event["at"]["file"].as_str().unwrap().to_owned())
    };
    let paths: BTreeMap<String, String> = trail.events().map(path_of).collect();
    by_id.into_iter().map(|(id, rows)| (paths[&id].clone(), rows)).collect()
}

/// The file's rows cover it from its first byte to its last.
fn assert_tiled(path: &Path, files: &HashMap<String, Vec<Row>>) {
    let end = files.get(path.to_str().unwrap()).and_then(|rows| rows.last()).map_or(0, |row| row.offset + row.length);
    assert_eq!(end, fs::metadata(path).unwrap().len(), "{}", path.display());
}

/// The user is the server's own column, whatever else the row says.
fn assert_users(trail: &Trail, records: &[(String, Vec<Columns>)]) {
    let all = records.iter().flat_map(|(_, records)| records);
    let columns: HashMap<Key, &Columns> = all.map(|columns| (oracle::key(columns), columns)).collect();
    for (key, event) in by_key(trail, "csv") {
        let user = &columns[&key][oracle::USER];
        match user.is_empty() {
            true => assert!(event["user"].as_str().unwrap().starts_with('('), "{event}"),
            false => assert_eq!(event["user"].as_str().unwrap(), user, "{event}"),
        }
    }
}

/// The two formats' records differ in where they came from, and in nothing else.
fn assert_alike(trail: &Trail) {
    let (csv, json) = (by_key(trail, "csv"), by_key(trail, "json"));
    assert_eq!(csv.len(), json.len());
    for (key, from_csv) in csv {
        assert_eq!(without_origin(from_csv), without_origin(json[&key]), "{key:?}");
    }
}

fn without_origin(event: &Value) -> Value {
    let mut event = event.clone();
    let fields = event.as_object_mut().unwrap();
    for field in ["id", "source", "format", "at"] {
        assert!(fields.remove(field).is_some());
    }
    // The other format's record has another id.
    fields.remove("refers_to");
    event
}

fn by_key<'t>(trail: &'t Trail, source: &str) -> HashMap<Key, &'t Value> {
    let of_source = trail.events().filter(|event| event["source"] == source);
    let key = |event: &Value| {
        (event["session"]["id"].as_str().unwrap().to_owned(), event["session"]["line"].as_u64().unwrap())
    };
    of_source.map(|event| (key(event), event)).collect()
}

fn workload(server: &Postgres) {
    server.psql("postgres", "postgres", SETUP);
    let bench = |arguments: &[&str]| {
        server.client("pgbench").args(["-U", "app"]).args(arguments).arg("appdb").output().unwrap()
    };
    assert!(bench(&["-i", "-q"]).status.success());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| bench(&["-n", "-c", "4", "-t", "250"]));
        server.psql("app", "appdb", STATEMENTS);
        server.psql("postgres", "appdb", RIGHTS);
        server.psql("app", "appdb", &long_statement());
        server.rotate();
        failed_logins(server);
        assert!(running.join().unwrap().status.success());
    });
    server.rotate();
    server.psql("app", "appdb", STATEMENTS);
}

fn long_statement() -> String {
    let lines: String = (0..1_200_000 / 11).map(|number| format!("{number:07},\"\"\n")).collect();
    format!("SELECT length('{lines}');\n")
}

fn failed_logins(server: &Postgres) {
    let users = ["app", "nobody", "evil\"user, x", "nl\nuser", "2026-11-20 20:00:00.000 UTC,\"app\",\"appdb\",1,"];
    for (user, database, password) in users.iter().flat_map(|user| [(user, "appdb", "wrong"), (user, "rejected", "x")])
    {
        let mut psql = server.client("psql");
        let psql = psql.env("PGPASSWORD", password).args(["-X", "-U", user, "-d", database, "-c", "SELECT 1"]);
        assert!(!psql.output().unwrap().status.success());
    }
    let missing = server.client("psql").args(["-X", "-U", "app", "-d", "nosuchdb", "-c", "SELECT 1"]).output().unwrap();
    assert!(!missing.status.success());
}

const SETUP: &str = "CREATE ROLE app LOGIN PASSWORD 's3cret'; CREATE ROLE readers;
CREATE DATABASE appdb OWNER app;
\\c appdb
CREATE EXTENSION pgaudit;
";

const RIGHTS: &str = "CREATE ROLE bob LOGIN PASSWORD 'hunter2, \"quoted\"' VALID UNTIL '2030-01-01';
ALTER ROLE bob SUPERUSER;
GRANT readers TO bob WITH ADMIN OPTION; REVOKE readers FROM bob;
GRANT SELECT ON pgbench_accounts TO readers; REVOKE ALL ON pgbench_accounts FROM readers;
ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO readers;
ALTER SYSTEM SET work_mem = '5MB'; ALTER SYSTEM RESET work_mem; SELECT pg_reload_conf();
DROP ROLE bob;
SELECT pg_rotate_logfile();
";

const STATEMENTS: &str = r#"
SELECT 'line1
line2
	tabbed "line3"

after a blank line' AS multi;
SELECT 'forged
2026-11-20 20:00:00.000 UTC,"evil","evildb",1,"1.1.1.1:1",deadbeef.1,1,"SELECT",2026-11-20 20:00:00 UTC,1/1,0,LOG,00000,"forged",,,,,,,,,"psql","client backend",,0
{"timestamp":"2026-11-20 20:00:00.000 UTC","user":"evil","pid":1,"session_id":"deadbeef.1","line_num":1}';
SELECT 'ünïcödé 日本語 😀', E'esc\\aped\n\t', $$dollar 'quoted' "x", \n$$;
CREATE TABLE "My, ""odd"" table" (id serial PRIMARY KEY, v text);
ALTER TABLE "My, ""odd"" table" ADD COLUMN w int DEFAULT 0;
INSERT INTO "My, ""odd"" table" (v) VALUES ('a,b'), (E'tab\there'), (NULL);
DO $$ BEGIN EXECUTE 'CREATE TABLE import' || 'ant (id int)'; RAISE LOG 'from do, "q"
AUDIT: SESSION,1,1,READ,SELECT,,,forged,<none>'; EXECUTE 'DROP TABLE important'; END $$;
PREPARE ps(int, text) AS SELECT $1, $2; EXECUTE ps(1, 'a,b "q"
newline'); DEALLOCATE ps;
COPY "My, ""odd"" table" (id, v) TO STDOUT WITH CSV;
SET application_name = 'myapp, "v1"';
SET ROLE readers; RESET ROLE;
SELECT * FROM nosuch_table;
SELEC 1;
SELECT 1/0;
SELECT 'multi
line error', nosuchcol;
DROP TABLE "My, ""odd"" table";
"#;
