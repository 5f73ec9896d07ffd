//! A host of its own for each test: folders, a configuration, and the agent as a process.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::trail::{self, Trail};

/// Nothing that a test waits for takes longer, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const ORIGIN: &str = "acme/test/db-1";

/// Folders `log`, `state` and `archive`, and `sealtrail.toml`.
pub struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    /// One csvlog source `pg` over `log/*.csv`, and a `file` destination.
    pub fn new() -> Self {
        let host = Self::empty();
        host.configure(&host.source("pg", "*.csv", ""), &host.archive());
        host
    }

    /// Folders only.
    pub fn empty() -> Self {
        let host = Host { dir: tempfile::Builder::new().prefix("sealtrail-").tempdir().unwrap() };
        fs::create_dir(host.log()).unwrap();
        host
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn log(&self) -> PathBuf {
        self.dir().join("log")
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    pub fn journal(&self) -> PathBuf {
        self.state().join("journal")
    }

    pub fn archive_dir(&self) -> PathBuf {
        self.dir().join("archive")
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("sealtrail.toml")
    }

    /// Where what the agent said goes, all its runs after one another.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir().join("stderr")).unwrap_or_default()).into_owned()
    }

    /// A `[[source]]` over `log/<glob>`.
    pub fn source(&self, name: &str, glob: &str, more: &str) -> String {
        let log = self.log();
        format!("[[source]]\nname = \"{name}\"\npaths = [\"{}/{glob}\"]\n{more}\n", log.display())
    }

    pub fn archive(&self) -> String {
        format!("[[destination]]\nname = \"archive\"\ntype = \"file\"\npath = \"{}\"\n", self.archive_dir().display())
    }

    /// Writes the configuration: seals come fast, so that tests need not wait.
    pub fn configure(&self, sources: &str, destinations: &str) {
        self.configure_with("interval = \"50ms\"\nsegment_max_bytes = \"32KiB\"", sources, destinations);
    }

    pub fn configure_with(&self, seal: &str, sources: &str, destinations: &str) {
        let state = self.state();
        let agent = format!("[agent]\nname = \"db-1\"\norigin = \"{ORIGIN}\"\nstate_dir = \"{}\"\n", state.display());
        fs::write(self.config(), format!("{agent}\n[seal]\n{seal}\n\n{sources}\n{destinations}")).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        // Another build of it, for a run that lasts while this one is built again.
        let binary = std::env::var_os("SEALTRAIL_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_sealtrail").into());
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// `sealtrail <command> -c <config> <more>` to its end.
    pub fn ask(&self, command: &str, more: &[&str]) -> Output {
        let config = self.config();
        let mut arguments = vec![command, "-c", config.to_str().unwrap()];
        arguments.extend(more);
        self.command(&arguments).output().unwrap()
    }

    /// Starts the daemon.
    pub fn run(&self) -> Agent<'_> {
        let config = self.config();
        self.run_command(self.command(&["run", "-c", config.to_str().unwrap()]))
    }

    /// Starts the daemon in a way of its own.
    pub fn run_command(&self, mut command: Command) -> Agent<'_> {
        let stderr = File::options().append(true).create(true).open(self.dir().join("stderr")).unwrap();
        let started = Trail::so_far(&self.journal()).acts("STARTED").len();
        Agent { host: self, started, child: command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap() }
    }

    /// Reads all there is and ends, with exit code 0.
    pub fn drain(&self) -> Trail {
        let output = self.ask("run", &["--drain"]);
        assert!(output.status.success(), "drain: {}\n{}", output.status, text(&output.stderr));
        self.trail()
    }

    /// What is in the journal; nobody writes to it.
    pub fn trail(&self) -> Trail {
        Trail::read(&self.journal())
    }

    /// `sealtrail verify` on the journal.
    pub fn verify(&self) -> Output {
        self.verify_path(&self.journal())
    }

    pub fn verify_path(&self, path: &Path) -> Output {
        let key = self.key();
        self.command(&["verify", "--key", key.to_str().unwrap(), path.to_str().unwrap()]).output().unwrap()
    }

    pub fn key(&self) -> PathBuf {
        let keys = fs::read_dir(self.state().join("keys")).unwrap();
        keys.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|end| end == "pub")).unwrap()
    }

    /// The trail is whole, sealed and authentic.
    pub fn assert_verifies(&self) {
        let output = self.verify();
        assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    /// Nothing that is in the trail is wrong; its end may be torn or still to come.
    pub fn assert_authentic(&self) {
        if trail::segments(&self.journal()).is_empty() {
            return;
        }
        let output = self.verify();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    /// What the running agent says of itself.
    pub fn status(&self) -> Option<Value> {
        let output = self.ask("status", &["--json"]);
        serde_json::from_slice(&output.stdout).ok()
    }
}

/// A running agent. Killed when dropped.
pub struct Agent<'h> {
    host: &'h Host,
    /// How often an agent had started on this state folder before.
    started: usize,
    child: Child,
}

impl Agent<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, at once.
    pub fn kill9(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the agent ended by itself:\n{}", self.host.said());
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9), "the agent ended by itself:\n{}", self.host.said());
    }

    /// SIGTERM, and how long it took to end.
    pub fn term(mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        self.signal(Signal::TERM);
        (self.wait(), begin.elapsed())
    }

    /// SIGTERM, and a clean end.
    pub fn stop(self) -> Trail {
        let host = self.host;
        let (status, _) = self.term();
        assert!(status.success(), "{status}\n{}", host.said());
        host.trail()
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the agent to end", || self.child.try_wait().unwrap())
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Until what is sealed fits.
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Trail) -> bool) -> Trail {
        let begin = Instant::now();
        loop {
            assert!(self.is_running(), "the agent ended while waiting for {what}:\n{}", self.host.said());
            let trail = Trail::so_far(&self.host.journal());
            if fits(&trail) {
                return trail;
            }
            let rows = trail.events().count();
            assert!(begin.elapsed() < PATIENCE, "waited for {what}; {rows} rows are sealed\n{}", self.host.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until so many rows are sealed.
    pub fn wait_for_rows(&mut self, rows: usize) -> Trail {
        self.wait_for(&format!("{rows} rows"), |trail| trail.events().count() >= rows)
    }

    /// Until it has said `words` on stderr.
    pub fn wait_for_words(&self, words: &str) {
        self.wait_for_words_again(words, 1);
    }

    /// Until it has said `words` so many times.
    pub fn wait_for_words_again(&self, words: &str, times: usize) {
        let begin = Instant::now();
        while self.host.said().matches(words).count() < times {
            let said = self.host.said();
            assert!(begin.elapsed() < PATIENCE, "waited for {words:?}, {times} times of it:\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until all that it has read is sealed, and for a second nothing was left to read but what is no row yet.
    pub fn wait_settled(&mut self) {
        let (mut last, mut since) = (None, Instant::now());
        wait_until("everything to be read", || {
            assert!(self.is_running(), "the agent ended by itself:\n{}", self.host.said());
            let status = self.host.status()?;
            let sources = status["sources"].as_array()?;
            let sum = |field: &str| sources.iter().map(|source| source[field].as_u64().unwrap()).sum::<u64>();
            let (read, sealed, lag) = (sum("rows_read"), sum("rows_sealed"), sum("lag_bytes"));
            if read != sealed || last != Some((sealed, lag)) {
                (last, since) = (Some((sealed, lag)), Instant::now());
            }
            (since.elapsed() > Duration::from_secs(1)).then_some(())
        });
    }

    /// Until its start is sealed.
    pub fn wait_ready(&mut self) {
        let before = self.started;
        self.wait_for("its start", |trail| trail.acts("STARTED").len() > before);
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub fn wait_until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The seed of this run: from the environment, or a new one. Printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("SEALTRAIL_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEALTRAIL_TEST_SEED={seed}");
    seed
}
