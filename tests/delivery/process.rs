//! The real agent as a process, what reads its standard output, and the log that grows beside it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Pid;

use crate::host::{Host, wait_until};
use crate::writer::Writer;

/// A running agent. Killed when dropped.
pub struct Process {
    said: String,
    child: Child,
}

impl Process {
    /// `sealtrail run`, with more arguments. Its standard output goes to `ear`, or to nobody.
    pub fn start(host: &Host, ear: Option<&Arc<Ear>>, more: &[&str]) -> Self {
        let config = host.config();
        let mut command = host.command(&["run", "-c", config.to_str().unwrap()]);
        let said = host.dir().join("stderr");
        command.args(more).stderr(File::options().append(true).create(true).open(&said).unwrap());
        command.stdout(if ear.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().unwrap();
        if let (Some(ear), Some(stdout)) = (ear, child.stdout.take()) {
            Ear::listen(ear, stdout);
        }
        Process { said: said.display().to_string(), child }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// SIGKILL, at once.
    pub fn kill9(mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the agent ended by itself, {ended:?}: {}", self.said());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Until somebody else has killed it.
    pub fn wait_killed(mut self) {
        let status = wait_until("the agent to be killed", || self.child.try_wait().unwrap());
        assert_eq!(status.signal(), Some(9), "the agent ended by itself: {}", self.said());
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the standard output of one agent after the other. A line whose end never came is none.
#[derive(Default)]
pub struct Ear {
    lines: Mutex<Vec<String>>,
    /// It reads nothing more for now.
    stalled: AtomicBool,
    /// Outputs that are not read to their end.
    open: AtomicUsize,
}

impl Ear {
    fn listen(ear: &Arc<Self>, stdout: ChildStdout) {
        ear.open.fetch_add(1, SeqCst);
        let ear = Arc::clone(ear);
        thread::spawn(move || {
            let (mut reader, mut line) = (BufReader::new(stdout), Vec::new());
            while reader.read_until(b'\n', &mut line).unwrap() > 0 {
                while ear.stalled.load(SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                if line.pop() == Some(b'\n') {
                    ear.lines.lock().unwrap().push(String::from_utf8(std::mem::take(&mut line)).unwrap());
                }
            }
            ear.open.fetch_sub(1, SeqCst);
        });
    }

    pub fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, SeqCst);
    }

    /// What was written by now.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Until all that was written by agents that have ended is read.
    pub fn wait_for_the_end(&self) {
        wait_until("standard output to be read", || (self.open.load(SeqCst) == 0).then_some(()));
    }
}

/// A log that is written to and rotated all the time. Ends when dropped.
pub struct Log {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Writer>>,
}

impl Log {
    /// About so many rows a second, in pieces of rows.
    pub fn start(folder: &Path, rows_per_s: u64, seed: u64) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let mut writer = Writer::of_moderate_rows(folder, seed);
        let (told, mut rng) = (Arc::clone(&done), fastrand::Rng::with_seed(seed));
        // A piece has three half rows on average, and a file lasts some ten seconds.
        let (pause, pieces_a_file) = (Duration::from_micros(1_500_000 / rows_per_s), rows_per_s * 10 * 2 / 3);
        let thread = thread::spawn(move || {
            while !told.load(SeqCst) {
                writer.append();
                if rng.u64(..pieces_a_file) == 0 {
                    writer.rotate();
                }
                thread::sleep(pause);
            }
            writer.finish();
            writer
        });
        Log { done, thread: Some(thread) }
    }

    /// Nothing more is written; what was.
    pub fn stop(mut self) -> Writer {
        self.done.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.done.store(true, SeqCst);
    }
}
