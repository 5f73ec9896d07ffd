//! The agent's standard output, for containers whose runtime collects it.
//!
//! `Ok` means that whoever reads has been given the bytes, not that they are anywhere. The hard cases: nobody reads (waited for, then given up,
//! without a thread that hangs), a reader that went away, a line that was half written when a batch was given up: it is ended before the next
//! begins, so that no line is ever joined to another.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::http::rendered;
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Sink, Step, Takes};
use crate::config::plan::StdoutPlan;
use crate::schema::Schema;

/// A pipe that has room has room for so much (POSIX: `PIPE_BUF` on Linux): writing it never waits.
const WRITE_BYTES: usize = 4096;
/// How often one who waits for room looks whether anybody still wants it.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Linux: `/dev/null`.
const NULL_DEVICE: (u32, u32) = (1, 3);

/// `type = "stdout"`.
#[derive(Debug)]
pub struct StdoutSink {
    out: Arc<Mutex<Out>>,
    schema: Schema,
    batch_max_bytes: usize,
    timeout: Duration,
}

#[derive(Debug)]
struct Out {
    fd: File,
    /// The last byte written ended no line.
    torn: bool,
}

impl StdoutSink {
    /// Over this process's standard output.
    pub fn new(plan: &StdoutPlan, schema: Schema) -> Result<Self, Refusal> {
        let fd = io::stdout().as_fd().try_clone_to_owned().map_err(|error| {
            Refusal::stop(
                format!("standard output cannot be used: {error}"),
                "start the agent with standard output open",
            )
        })?;
        StdoutSink::over(fd, plan, schema)
    }

    /// Over another file or pipe.
    pub fn over(fd: OwnedFd, plan: &StdoutPlan, schema: Schema) -> Result<Self, Refusal> {
        if is_null(&fd) {
            return Err(Refusal::stop(
                "standard output is /dev/null: nobody would ever read a line",
                "start the agent with standard output open to who collects it, or remove this destination",
            ));
        }
        let out = Arc::new(Mutex::new(Out { fd: File::from(fd), torn: false }));
        Ok(StdoutSink { out, schema, batch_max_bytes: plan.batch_max_bytes, timeout: plan.timeout })
    }

    async fn write(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let bytes = rendered(self.schema, lines).into_owned();
        let sent = bytes.len() as u64;
        let given_up = GivenUp::default();
        let (out, seen, until) = (Arc::clone(&self.out), Arc::clone(&given_up.0), Instant::now() + self.timeout);
        let writing = tokio::task::spawn_blocking(move || {
            out.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes, &seen, until)
        });
        match writing.await {
            Ok(Ok(())) => Ok(Accepted { bytes: sent }),
            Ok(Err(error)) => Err(self.refusal(&error)),
            Err(error) => Err(Refusal::later(format!("writing was interrupted: {error}"))),
        }
    }

    fn refusal(&self, error: &io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Refusal::stop(
                "nobody reads standard output any more",
                "start the agent again, together with what reads its standard output",
            ),
            io::ErrorKind::TimedOut => {
                Refusal::later(format!("nobody has read standard output for {:?}", self.timeout))
            }
            _ => Refusal::later(format!("cannot write to standard output: {error}")),
        }
    }
}

impl Sink for StdoutSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.write(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(async move {
            let fd = &self.out.lock().unwrap_or_else(PoisonError::into_inner).fd;
            match ready(fd) {
                Ok(_) => Ok(Probed {
                    checked: "this command's own standard output can be written to; the agent's may be another",
                }),
                Err(error) => Err(ProbeError {
                    step: Step::Write,
                    why: format!("cannot write to standard output: {error}"),
                    hint: "run it together with what reads its standard output".to_owned(),
                }),
            }
        })
    }
}

/// Tells a writer, when it is dropped, that nobody waits for it any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Out {
    fn write(&mut self, bytes: &[u8], given_up: &AtomicBool, until: Instant) -> io::Result<()> {
        if self.torn {
            self.write_piece(b"\n", given_up, until)?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = self.write_piece(&rest[..rest.len().min(WRITE_BYTES)], given_up, until)?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// One write, once there is room.
    fn write_piece(&mut self, piece: &[u8], given_up: &AtomicBool, until: Instant) -> io::Result<usize> {
        loop {
            if given_up.load(Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if ready(&self.fd)? {
                match rustix::io::write(&self.fd, piece) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        self.torn = piece[written - 1] != b'\n';
                        return Ok(written);
                    }
                    // Another process has taken the room, or the pipe does not wait by itself.
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

/// Waits a moment for room.
fn ready(fd: &File) -> io::Result<bool> {
    let mut polled = [PollFd::new(fd, PollFlags::OUT)];
    match poll(&mut polled, Some(&LOOK)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let found = polled[0].revents();
    if found.contains(PollFlags::ERR) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(found.contains(PollFlags::OUT))
}

fn is_null(fd: &OwnedFd) -> bool {
    rustix::fs::fstat(fd)
        .is_ok_and(|stat| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == NULL_DEVICE)
}
