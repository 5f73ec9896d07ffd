//! A small HTTP collector on loopback that can be stopped and started, and that can be told to answer badly.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The collector's memory outlives its stops.
pub struct Collector {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Every line it said yes to, in the order in which they came.
    lines: Mutex<Vec<String>>,
    /// Every line that came, also what it said no to.
    seen: Mutex<Vec<String>>,
    requests: AtomicUsize,
    /// Answer with this; 0 is yes, [`NEVER`] is no answer at all.
    answer: AtomicU16,
    stop: AtomicBool,
}

/// Takes the request, and lets the sender wait.
pub const NEVER: u16 = 1;

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut collector = Collector { address: listener.local_addr().unwrap(), shared: Arc::default(), thread: None };
        collector.serve(listener);
        collector
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Nobody listens any more, and open connections break.
    pub fn down(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Listens again where it did.
    pub fn up(&mut self) {
        self.down();
        self.shared.stop.store(false, Ordering::Relaxed);
        self.serve(TcpListener::bind(self.address).unwrap());
    }

    pub fn answer(&self, status: u16) {
        self.shared.answer.store(status, Ordering::Relaxed);
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every line that came, whatever it said to it.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&self.shared);
        self.thread = Some(thread::spawn(move || {
            let mut connections = Vec::new();
            while !shared.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&shared);
                        // A connection that breaks is what some tests are about.
                        connections.push(thread::spawn(move || drop(converse(stream, &shared))));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
            connections.into_iter().for_each(|connection| connection.join().unwrap());
        }));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// One connection, request after request, until the collector stops.
fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut reader = BufReader::new(Patient { stream: stream.try_clone()?, stop: &shared.stop });
    let mut stream = stream;
    while let Some(lines) = request(&mut reader)? {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        shared.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(lines.iter().cloned());
        match shared.answer.load(Ordering::Relaxed) {
            NEVER => {
                while !shared.stop.load(Ordering::Relaxed) && shared.answer.load(Ordering::Relaxed) == NEVER {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            0 => {
                shared.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            }
            status => {
                write!(stream, "HTTP/1.1 {status} Told To\r\ncontent-length: 11\r\n\r\ntold to fail")?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads until the collector stops, however long nothing comes.
struct Patient<'s> {
    stream: TcpStream,
    stop: &'s AtomicBool,
}

impl Read for Patient<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buf) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(0);
                    }
                }
                other => return other,
            }
        }
    }
}

/// The lines of the next request; `None` when the other side has gone.
fn request(reader: &mut impl BufRead) -> io::Result<Option<Vec<String>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().map_err(io::Error::other)?, 0);
        reader.read_exact(&mut body)?;
    } else if headers.contains_key("transfer-encoding") {
        read_chunks(reader, &mut body)?;
    }
    Ok(Some(decode(&body, headers.get("content-encoding").map(String::as_str))?))
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + size, 0);
        reader.read_exact(&mut body[begin..])?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn decode(body: &[u8], encoding: Option<&str>) -> io::Result<Vec<String>> {
    let mut text = String::new();
    match encoding {
        Some("gzip") => flate2::read::MultiGzDecoder::new(body).read_to_string(&mut text)?,
        Some("zstd") => zstd::stream::Decoder::new(body)?.read_to_string(&mut text)?,
        _ => (&mut &*body).read_to_string(&mut text)?,
    };
    Ok(text.lines().map(str::to_owned).collect())
}
