//! A MariaDB 10.11 server with server_audit, on loopback, in a folder of its own.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{text, wait_until};

const SERVER: &str = "/usr/sbin/mariadbd";

/// The server. Stopped when dropped.
pub struct Mariadb {
    dir: tempfile::TempDir,
    port: u16,
    /// Gone once it is stopped.
    server: Option<Child>,
}

impl Mariadb {
    /// Starts a server that logs every event to [`Mariadb::log`], rotates it at so many bytes, and never removes a file that it has rotated away.
    pub fn start(rotate_size: u64) -> Self {
        assert!(Path::new(SERVER).exists(), "MariaDB is not there: run `make tools` first");
        let dir = tempfile::Builder::new().prefix("sealtrail-maria-").tempdir().unwrap();
        let (data, log) = (dir.path().join("data"), dir.path().join("log"));
        fs::create_dir(&log).unwrap();
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(format!("--datadir={}", data.display()));
        if rustix::process::geteuid().is_root() {
            install.arg("--user=mysql");
            let owned = Command::new("chown").arg("mysql:mysql").arg(dir.path()).arg(&log).status().unwrap();
            assert!(owned.success());
        }
        let installed = install.output().unwrap();
        assert!(installed.status.success(), "{}{}", text(&installed.stdout), text(&installed.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let said = File::create(dir.path().join("stderr")).unwrap();
        let mut command = Command::new(SERVER);
        command
            .args(settings(dir.path(), &data, &log, port, rotate_size))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said);
        let server = Mariadb { port, server: Some(command.spawn().unwrap()), dir };
        wait_until("MariaDB to start", || {
            let asked = server.client("root").args(["-e", "SELECT 1"]).output().unwrap();
            asked.status.success().then_some(())
        });
        server
    }

    /// The file that is written to.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("log/server_audit.log")
    }

    /// All its files, oldest first.
    pub fn logs(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.log().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.collect();
        // `.002` is older than `.001`, and the one without a number the last.
        paths.sort_by(|a, b| b.cmp(a));
        paths
    }

    /// The server's own client, as that user.
    pub fn client(&self, user: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &self.port.to_string(), "-u", user, "--force", "-s"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a script in one session; statements in it may fail.
    pub fn run(&self, user: &str, script: &str) {
        let mut client = self.client(user).stdin(Stdio::piped()).spawn().unwrap();
        client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        client.wait().unwrap();
    }

    /// A clean shutdown; the log is complete then.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(&server), Signal::TERM);
            let _ = server.wait();
        }
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        self.stop();
    }
}

fn settings(dir: &Path, data: &Path, log: &Path, port: u16, rotate_size: u64) -> Vec<String> {
    let user = rustix::process::geteuid().is_root().then(|| "--user=mysql".to_owned());
    let settings = [
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        format!("--socket={}/socket", dir.display()),
        format!("--pid-file={}/pid", dir.display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
        "--innodb-buffer-pool-size=16M".to_owned(),
        "--default-time-zone=+00:00".to_owned(),
        "--plugin-load-add=server_audit".to_owned(),
        "--server-audit-logging=ON".to_owned(),
        format!("--server-audit-file-path={}/server_audit.log", log.display()),
        "--server-audit-file-rotations=999".to_owned(),
        format!("--server-audit-file-rotate-size={rotate_size}"),
        "--server-audit-query-log-limit=200000".to_owned(),
    ];
    settings.into_iter().chain(user).collect()
}
