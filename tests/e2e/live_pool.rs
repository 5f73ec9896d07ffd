//! A live PostgreSQL 15 behind a live pgbouncer that hands its connections from one client to the next behind each transaction: who acted is who the
//! row names, or nobody.
//!
//! Each statement that matters has the truth in its text, where the agent does not look for it: `SELECT 'truth jane named'`. Clients run side by side on two
//! connections, so that what one of them left behind is there for the next.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::{Host, text, wait_until};
use crate::postgres::Postgres;

const IDENTITY: &str = "[identity]
variables = ['app.user_id']
variables_last = 'transaction'
comment_keys = ['user']
applications = ['/shop:(\\w+)/']
";

/// Each client names its application.
const TRUST: &str = "trust = ['session', 'comment', 'application']\n";

/// What each of several people does; `{who}` is the person. `named`: the person is known. `unknown`: nobody can know it. `either`: nobody needs to.
const STORY: &str = "
BEGIN; SET LOCAL app.user_id = '{who}'; SELECT 'truth {who} named'; INSERT INTO orders VALUES (1); SELECT 'truth {who} named' FROM orders; COMMIT;
SELECT 'truth {who} unknown';
BEGIN; SELECT set_config('app.user_id', '{who}', true); SELECT 'truth {who} named'; COMMIT;
BEGIN; SELECT 'truth {who} unknown'; COMMIT;
BEGIN; SET app.user_id = '{who}'; SELECT 'truth {who} named'; ROLLBACK;
SELECT 'truth {who} unknown';
BEGIN; SET app.user_id = '{who}'; SELECT 'truth {who} named'; COMMIT;
SELECT 'truth {who} unknown';
SET app.user_id = '{who}';
SELECT 'truth {who} unknown';
BEGIN; SELECT 'truth {who} unknown'; SET LOCAL app.user_id = '{who}'; SELECT 'truth {who} named'; COMMIT;
SELECT set_config('app.user_id', '{who}', false);
SELECT 'truth {who} unknown';
SELECT 'truth {who} named' /*action='show',user='{who}'*/;
BEGIN; SELECT 'truth {who} named' /*user='{who}'*/; SELECT 'truth {who} unknown'; ROLLBACK;
BEGIN; SET LOCAL app.user_id = '{who}'; SELECT 1/0, 'truth {who} named'; SELECT 'truth {who} either'; ROLLBACK;
SELECT 'truth {who} unknown';
BEGIN; SET LOCAL app.user_id = '{who}'; SAVEPOINT s; SET LOCAL app.user_id = 'ghost'; ROLLBACK TO s; SELECT 'truth {who} either'; COMMIT;
BEGIN; SAVEPOINT s; SET LOCAL app.user_id = 'ghost'; ROLLBACK TO s; SELECT 'truth {who} unknown'; SET LOCAL app.user_id = '{who}'; SELECT 'truth {who} named'; COMMIT;
SELECT 'truth {who} unknown'; RESET app.user_id; SELECT 'truth {who} unknown';
DO $$ BEGIN PERFORM set_config('app.user_id', 'ghost', false); END $$; SELECT 'truth {who} unknown';
BEGIN; DO $$ BEGIN PERFORM set_config('app.user_id', '{who}', true); END $$; SELECT 'truth {who} named'; COMMIT;
BEGIN; SET LOCAL app.user_id = '{who}'; DO $$ DECLARE n text := 'app.user_id'; BEGIN PERFORM set_config(n, 'ghost', true); END $$; SELECT 'truth {who} unknown'; COMMIT;
BEGIN; SET LOCAL app.user_id = 'ghost'; SET LOCAL app.user_id = DEFAULT; SELECT 'truth {who} unknown'; COMMIT;
";

/// Of people whose application has their name, which the pool hands on.
const NAMED_APPLICATION: &str = "
SELECT 'truth {who} named';
BEGIN; SELECT 'truth {who} named'; INSERT INTO orders VALUES (2); COMMIT;
SELECT 1/0, 'truth {who} named';
SELECT 'truth {who} named';
";

/// What is bound is known where the row has it.
const BOUND: &str = "BEGIN;
SELECT set_config('app.user_id', :who, true);
SELECT 'truth pat named';
COMMIT;
SELECT 'truth pat unknown';
";

#[test]
fn behind_a_pool_each_row_is_of_who_really_acted_or_of_nobody() {
    let (mut server, host) = (with_orders(), Host::empty());
    configure(&host, &server, TRUST);
    let mut agent = host.run();
    agent.wait_ready();
    let pool = Pool::start(&server);
    std::thread::scope(|scope| {
        for who in ["jane", "joan", "mary", "bob"] {
            let pool = &pool;
            scope.spawn(move || pool.psql(who, "psql", &STORY.replace("{who}", who).repeat(5)));
        }
        for who in ["amy", "ann"] {
            let pool = &pool;
            scope.spawn(move || {
                pool.psql(who, &format!("shop:{who}"), &NAMED_APPLICATION.replace("{who}", who).repeat(20));
            });
        }
        scope.spawn(|| pool.pgbench());
    });
    drop(pool);
    server.stop();
    agent.wait_settled();
    agent.stop();
    let trail = host.drain();
    host.assert_verifies();

    let rows: Vec<&Value> = trail.events().filter(|event| event["user"] == "app").collect();
    let sessions: std::collections::BTreeSet<&str> =
        rows.iter().filter(|row| truth(row).is_some()).map(|row| row["session"]["id"].as_str().unwrap()).collect();
    assert!(sessions.len() <= 2, "the pool has two connections: {sessions:?}");
    let mut counted: HashMap<&str, usize> = HashMap::new();
    let mut of_transaction: HashMap<(&str, &str), &str> = HashMap::new();
    for row in &rows {
        let Some((who, kind)) = truth(row) else { continue };
        of_transaction.insert(transaction(row), who);
        let person = row["person"].as_str();
        let is_right = match kind {
            "named" => person == Some(who),
            "unknown" => person.is_none() && row["identity"]["reason"] == "no_rule",
            _ => person.is_none_or(|person| person == who),
        };
        assert!(is_right, "{who} {kind}: {row}");
        *counted.entry(kind).or_default() += 1;
    }
    // Rows without the truth in them are of whose transaction it was: BEGIN, SET, COMMIT. What the pool sets for a client stands before what it does.
    let (mut others, mut wrong) = (0, Vec::new());
    let mut next: HashMap<&str, &str> = HashMap::new();
    for row in rows.iter().rev() {
        let session = row["session"]["id"].as_str().unwrap();
        if let Some((who, _)) = truth(row) {
            next.insert(session, who);
        } else if let Some(person) = row["person"].as_str() {
            others += 1;
            let is_of_pool = row["settings"][0]["name"] == "application_name";
            let of_transaction = of_transaction.get(&transaction(row)).copied();
            let who = if is_of_pool { next.get(session).copied() } else { of_transaction };
            // The application said so itself, and takes it back with this statement.
            let is_taken_back =
                person == "ghost" && matches!(text_of(row), "ROLLBACK TO s;" | "SET LOCAL app.user_id = DEFAULT;");
            if who != Some(person) && !is_taken_back {
                wrong.push(format!("{who:?}: {row}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {others}: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    eprintln!("{} rows, of them {counted:?}, and {others} without the truth in them that have a person", rows.len());
    assert!(counted["named"] > 200 && counted["unknown"] > 200 && counted["either"] > 20, "{counted:?}");
}

#[test]
fn behind_a_pool_a_client_without_a_name_is_not_taken_for_the_one_before() {
    let (mut server, host) = (with_orders(), Host::empty());
    configure(&host, &server, "");
    let mut agent = host.run();
    agent.wait_ready();
    let pool = Pool::start(&server);
    let (mut amy, mut nameless) = (pool.raw(Some("shop:amy")), pool.raw(None));
    for _ in 0..5 {
        query(&mut amy, "SELECT 'truth amy either'");
        query(&mut nameless, "SELECT 'truth pat unknown'");
    }
    drop((amy, nameless, pool));
    server.stop();
    agent.wait_settled();
    agent.stop();
    let trail = host.drain();
    let rows: Vec<&Value> = trail.events().filter(|row| truth(row).is_some()).collect();
    assert_eq!(rows.len(), 10);
    let taken = rows.iter().filter(|row| truth(row).unwrap().0 == "pat" && row["client"]["application"] == "shop:amy");
    assert!(taken.count() > 0, "the pool has become careful: then the name may count");
    for row in rows {
        assert_eq!(row["identity"]["reason"], "no_rule", "{row}");
    }
}

fn with_orders() -> Postgres {
    let server = Postgres::start();
    server.psql("postgres", "postgres", "CREATE ROLE app LOGIN PASSWORD 's3cret'; CREATE DATABASE appdb OWNER app;");
    server.psql("app", "appdb", "CREATE TABLE orders (id int);");
    server
}

fn configure(host: &Host, server: &Postgres, trust: &str) {
    let paths = format!("{}/*.csv", server.log().display());
    let source = format!("[[source]]\nname = \"csv\"\npaths = [{paths:?}]\n{IDENTITY}{trust}");
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"", &source, &host.archive());
}

/// One statement, by the simple protocol, until the server is ready for the next.
fn query(client: &mut TcpStream, text: &str) {
    let length = u32::try_from(text.len() + 5).unwrap();
    client.write_all(&[b"Q", &length.to_be_bytes()[..], text.as_bytes(), b"\0"].concat()).unwrap();
    until_ready(client);
}

fn until_ready(client: &mut TcpStream) {
    loop {
        let mut head = [0; 5];
        client.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        client.read_exact(&mut vec![0; length - 4]).unwrap();
        assert_ne!(head[0], b'E', "the server refused");
        if head[0] == b'Z' {
            return;
        }
    }
}

fn text_of(row: &Value) -> &str {
    row["statement"]["text"].as_str().unwrap_or_default()
}

/// Who acted, and whether that can be known.
fn truth(row: &Value) -> Option<(&str, &str)> {
    let (_, truth) = text_of(row).split_once("'truth ")?;
    let (truth, _) = truth.split_once('\'')?;
    truth.split_once(' ')
}

fn transaction(row: &Value) -> (&str, &str) {
    (row["session"]["id"].as_str().unwrap(), row["extra"]["virtual_transaction_id"].as_str().unwrap_or_default())
}

/// A pgbouncer of two connections. Ended when dropped.
struct Pool {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Pool {
    fn start(server: &Postgres) -> Self {
        let program = Path::new("/usr/sbin/pgbouncer");
        assert!(program.exists(), "pgbouncer is not there: run `make tools` first");
        let dir = tempfile::Builder::new().prefix("sealtrail-pool-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("pgbouncer.ini");
        let of_server = server.port();
        fs::write(
            &config,
            format!(
                "[databases]\nappdb = host=127.0.0.1 port={of_server} dbname=appdb user=app password=s3cret\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
                 default_pool_size = 2\nmax_client_conn = 50\nignore_startup_parameters = extra_float_digits\n"
            ),
        )
        .unwrap();
        // It refuses to run as root, as the server does.
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                let owned = Command::new("chown").args(["-R", "postgres:postgres"]).arg(dir.path()).status().unwrap();
                assert!(owned.success());
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        let said = fs::File::create(dir.path().join("said")).unwrap();
        let process = command.arg(&config).stdin(Stdio::null()).stderr(said).current_dir("/").spawn().unwrap();
        let pool = Pool { dir, port, process };
        wait_until("pgbouncer to start", || {
            let answers = pool.client("psql", "none").args(["-X", "-c", "SELECT 1"]).output().unwrap();
            answers.status.success().then_some(())
        });
        pool
    }

    fn client(&self, program: &str, application: &str) -> Command {
        let mut command = Command::new(Path::new("/usr/lib/postgresql/15/bin").join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "app"]).stdin(Stdio::null());
        command.env("PGDATABASE", "appdb").env("PGAPPNAME", application);
        command
    }

    /// A client that says no more of itself than it must.
    fn raw(&self, application: Option<&str>) -> TcpStream {
        let mut words = "user\0app\0database\0appdb\0".to_owned();
        words.extend(application.map(|name| format!("application_name\0{name}\0")));
        words.push('\0');
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (length, version) = (u32::try_from(words.len() + 8).unwrap(), 3_u32 << 16);
        client.write_all(&[&length.to_be_bytes()[..], &version.to_be_bytes(), words.as_bytes()].concat()).unwrap();
        until_ready(&mut client);
        client
    }

    /// Runs a script in one session; statements in it may fail.
    fn psql(&self, who: &str, application: &str, script: &str) {
        let path = self.dir.path().join(format!("{who}.sql"));
        fs::write(&path, script).unwrap();
        let output = self.client("psql", application).args(["-X", "-q", "-f"]).arg(&path).output().unwrap();
        assert_ne!(output.status.code(), Some(2), "no connection: {}", text(&output.stderr));
    }

    /// The same with what is bound apart from the statement.
    fn pgbench(&self) {
        let path = self.dir.path().join("bound.sql");
        fs::write(&path, BOUND).unwrap();
        let mut pgbench = self.client("pgbench", "pgbench");
        pgbench.args(["-n", "-M", "extended", "-c", "2", "-t", "20", "-D", "who=pat", "-f"]).arg(path);
        let output = pgbench.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
    }
}
