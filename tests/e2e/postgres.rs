//! A PostgreSQL 15 server with pgAudit, on loopback, in a folder of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{text, wait_until};

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// The server. Stopped when dropped.
pub struct Postgres {
    dir: tempfile::TempDir,
    log: PathBuf,
    port: u16,
    /// Gone once it is stopped.
    postmaster: Option<Child>,
}

impl Postgres {
    /// Starts a server that logs as csvlog and jsonlog into [`Postgres::log`], in small files.
    pub fn start() -> Self {
        Self::start_with(None, "")
    }

    /// The same, with settings that come after the usual ones, and with its log in another folder.
    pub fn start_with(log: Option<PathBuf>, settings: &str) -> Self {
        assert!(Path::new(BIN).exists(), "PostgreSQL 15 is not there: run `make tools` first");
        let dir = tempfile::Builder::new().prefix("sealtrail-pg-").tempdir().unwrap();
        give_to_postgres(dir.path());
        let data = dir.path().join("data");
        let initdb = as_postgres("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--pwfile"])
            .arg(password_file(dir.path()))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", text(&initdb.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = log.unwrap_or_else(|| dir.path().join("log"));
        configure(&data, &log, port, settings);
        let postmaster = as_postgres("postgres").arg("-D").arg(&data).stderr(said(dir.path())).spawn().unwrap();
        let postmaster = Some(postmaster);
        let server = Postgres { dir, log, port, postmaster };
        wait_until("PostgreSQL to start", || {
            server.client("pg_isready").output().unwrap().status.success().then_some(())
        });
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn log(&self) -> PathBuf {
        self.log.clone()
    }

    /// Every log file that ends with `extension`, oldest first.
    pub fn logs(&self, extension: &str) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.log()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
        paths.sort();
        paths
    }

    /// A client program of the server's, told where it is.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(BIN).join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).stdin(Stdio::null());
        command.env("PGPASSWORD", "s3cret").env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        command
    }

    /// Runs a script with psql; statements in it may fail.
    pub fn psql(&self, user: &str, database: &str, script: &str) -> Output {
        let path = self.dir.path().join("script.sql");
        fs::write(&path, script).unwrap();
        let output =
            self.client("psql").args(["-X", "-q", "-U", user, "-d", database, "-f"]).arg(&path).output().unwrap();
        assert_ne!(output.status.code(), Some(2), "no connection: {}", text(&output.stderr));
        output
    }

    /// What a query gives: one value.
    pub fn value(&self, query: &str) -> String {
        let output = self.client("psql").args(["-X", "-q", "-A", "-t", "-c", query]).output().unwrap();
        assert!(output.status.success(), "{query}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// The name of the csvlog that is being written.
    pub fn current(&self) -> String {
        let path = self.value("SELECT pg_current_logfile('csvlog')");
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The process that writes the log.
    pub fn collector(&self) -> Option<Pid> {
        let postmaster = self.postmaster.as_ref().unwrap().id();
        let output = Command::new("pgrep").args(["-P", &postmaster.to_string(), "-f", "postgres: logger"]).output();
        Pid::from_raw(text(&output.unwrap().stdout).trim().parse().ok()?)
    }

    /// Clients that run a script, each in one session, until the time is over.
    pub fn load(&self, clients: u32, rows_per_s: u32, seconds: u32, script: &str) -> Child {
        let path = self.dir.path().join("load.sql");
        fs::write(&path, script).unwrap();
        let [clients, rate, seconds] = [clients, rows_per_s, seconds].map(|number| number.to_string());
        let mut pgbench = self.client("pgbench");
        pgbench.args(["-n", "-c", &clients, "-R", &rate, "-T", &seconds, "-f"]).arg(path);
        pgbench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Asks for new log files until there are: their names have seconds only.
    pub fn rotate(&self) {
        let (csv, json) = (self.logs("csv").len(), self.logs("json").len());
        wait_until("new log files", || {
            self.psql("postgres", "postgres", "SELECT pg_rotate_logfile();");
            (self.logs("csv").len() > csv && self.logs("json").len() > json).then_some(())
        });
    }

    /// A fast shutdown; the log is complete then.
    pub fn stop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(&postmaster), Signal::INT);
            let _ = postmaster.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server refuses to run as root. `setpriv` becomes the program: its id is the program's.
fn as_postgres(program: &str) -> Command {
    let program = Path::new(BIN).join(program);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
    command
}

fn give_to_postgres(dir: &Path) {
    if rustix::process::geteuid().is_root() {
        let status = Command::new("chown").arg("postgres:postgres").arg(dir).status().unwrap();
        assert!(status.success());
    }
}

fn password_file(dir: &Path) -> PathBuf {
    let path = dir.join("password");
    fs::write(&path, "s3cret\n").unwrap();
    path
}

fn said(dir: &Path) -> File {
    File::create(dir.join("stderr")).unwrap()
}

fn configure(data: &Path, log: &Path, port: u16, more: &str) {
    let settings = format!(
        "port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
logging_collector = on
log_destination = 'csvlog,jsonlog'
log_directory = '{}'
log_filename = 'postgresql-%Y-%m-%d_%H%M%S.log'
log_file_mode = 0644
log_rotation_size = 1MB
log_connections = on
log_disconnections = on
log_timezone = 'UTC'
shared_preload_libraries = 'pgaudit'
pgaudit.log = 'all'
pgaudit.log_parameter = on
fsync = off
{more}
",
        log.display()
    );
    let path = data.join("postgresql.conf");
    let defaults = fs::read_to_string(&path).unwrap();
    fs::write(&path, defaults + &settings).unwrap();
    fs::write(
        data.join("pg_hba.conf"),
        "host rejected all 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
}
