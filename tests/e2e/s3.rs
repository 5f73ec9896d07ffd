//! Two real S3 servers: s3s-fs, which checks signatures and keeps objects in a folder, and moto, which keeps them in memory. Both are
//! reached through a door that can be shut; s3s-fs itself can be stopped and started too.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::host::wait_until;

pub const ACCESS_KEY: &str = "AKIDTEST";
pub const SECRET_KEY: &str = "test-secret";
pub const BUCKET: &str = "acme-audit";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    S3s,
    Moto,
}

/// A server with one bucket.
pub struct S3 {
    kind: Kind,
    address: SocketAddr,
    root: tempfile::TempDir,
    child: Option<Child>,
}

impl S3 {
    pub fn start(kind: Kind) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = tempfile::Builder::new().prefix("sealtrail-s3-").tempdir().unwrap();
        let mut server = S3 { kind, address, root, child: None };
        server.up();
        match kind {
            Kind::S3s => fs::create_dir(server.root.path().join(BUCKET)).unwrap(),
            Kind::Moto => drop(server.ask("PUT", &format!("/{BUCKET}"))),
        }
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the server and waits until it listens.
    pub fn up(&mut self) {
        let port = self.address.port().to_string();
        let mut command = match self.kind {
            Kind::S3s => {
                let mut command = Command::new(tool("bin/s3s-fs"));
                command.args(["--host", "127.0.0.1", "--port", &port]);
                command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(self.root.path());
                command
            }
            Kind::Moto => {
                let mut command = Command::new(tool("moto/bin/moto_server"));
                command.args(["-H", "127.0.0.1", "-p", &port]);
                command
            }
        };
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(quiet.spawn().unwrap());
        wait_until("the S3 server to listen", || TcpStream::connect(self.address).ok());
    }

    /// Ends the server at once. Moto forgets everything with that.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The segments it holds, by file name.
    pub fn segments(&self) -> BTreeMap<String, Vec<u8>> {
        let objects = match self.kind {
            Kind::S3s => files(&self.root.path().join(BUCKET)),
            Kind::Moto => self.fetch(),
        };
        let name = |key: &str| key.rsplit('/').next().unwrap().to_owned();
        objects.into_iter().filter(|(key, _)| key.ends_with(".zst")).map(|(key, body)| (name(&key), body)).collect()
    }

    /// Moto checks no signatures; it wants to see one all the same.
    fn fetch(&self) -> BTreeMap<String, Vec<u8>> {
        let list = String::from_utf8(self.ask("GET", &format!("/{BUCKET}?list-type=2"))).unwrap();
        assert!(list.contains("<IsTruncated>false</IsTruncated>"), "more objects than one listing has");
        let keys = list.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.map(|key| (key.clone(), self.ask("GET", &format!("/{BUCKET}/{}", key.replace('%', "%25"))))).collect()
    }

    /// The body of the answer to a request without one.
    fn ask(&self, method: &str, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let host = self.address;
        let who =
            "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head =
            format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: {who}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer") + 4;
        assert!(answer[9..].starts_with(b"200"), "{method} {path}: {}", String::from_utf8_lossy(&answer));
        answer.split_off(body)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Every file below `dir`, by its path from there; names with a dot in front are the server's own.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let hidden = path.file_name().unwrap().to_str().unwrap().starts_with('.');
            match path.is_dir() {
                true => folders.push(path),
                false if hidden => {}
                false => drop(found.insert(path.to_str().unwrap().to_owned(), fs::read(&path).unwrap())),
            }
        }
    }
    found
}

/// A program that `tests/install.sh` installs. Without it the test fails: nothing is skipped in silence.
fn tool(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("tools").join(name);
    assert!(path.exists(), "{} is not there: run tests/install.sh first", path.display());
    path
}

/// Stands before a server and passes bytes on; shut, it refuses connections and breaks those that are open.
pub struct Door {
    pub address: SocketAddr,
    behind: SocketAddr,
    shut: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub fn open(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut door = Door { address: listener.local_addr().unwrap(), behind, shut: Arc::default(), thread: None };
        door.serve(listener);
        door
    }

    pub fn shut(&mut self) {
        self.shut.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn reopen(&mut self) {
        self.shut();
        self.shut.store(false, Ordering::Relaxed);
        self.serve(TcpListener::bind(self.address).unwrap());
    }

    fn serve(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let (behind, shut) = (self.behind, Arc::clone(&self.shut));
        self.thread = Some(thread::spawn(move || {
            let passing: Mutex<Vec<TcpStream>> = Mutex::default();
            thread::scope(|scope| {
                while !shut.load(Ordering::Relaxed) {
                    let Ok((stream, _)) = listener.accept() else {
                        thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    // A server that is down is what some tests are about.
                    let Ok(server) = TcpStream::connect(behind) else { continue };
                    for (from, to) in [(&stream, &server), (&server, &stream)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        passing.lock().unwrap().push(from.try_clone().unwrap());
                        scope.spawn(move || pass(from, to));
                    }
                }
                for stream in passing.lock().unwrap().iter() {
                    // It may be closed already.
                    let _ = stream.shutdown(Shutdown::Both);
                }
            });
        }));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut.store(true, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // A connection that breaks ends here, like one that is closed.
    let _ = from.set_nonblocking(false);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
