//! The far side's front: a small HTTP server on loopback that can be told to fail in every way that networks and servers do, and
//! behind it either a collector of NDJSON or a real S3 server that requests are passed on to, unchanged.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::place::Place;

/// What happens to one request that carries data.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing: it is as if there were no fault.
    Nothing,
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect,
    /// The body is not even read, and there is no answer.
    StallBefore,
    /// The body is taken, and there is no answer.
    StallAfter,
    /// The connection breaks while the body is on its way.
    Reset,
    /// The body is taken, and the connection breaks before the answer.
    ResetAfter,
    /// The answer takes a while.
    Slow,
    /// The body is taken, and who sent it is killed before the answer.
    KillBeforeAnswer(Pid),
    /// The body is taken, the answer is given, and who sent it is killed about when he reads it.
    KillAtAnswer(Pid),
}

/// How long a slow far side takes for an answer: a few of the suite's batches a second.
pub const SLOW: Duration = Duration::from_millis(300);
/// An answer is read within this, more or less.
const READ_WITHIN_US: u64 = 1_500;

/// SIGKILL. A process that has ended meanwhile is as good as killed.
pub fn kill9(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}

/// SIGKILL about when an answer that is given now is read: before that, or after it.
pub fn kill9_at_answer(pid: Pid) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..READ_WITHIN_US))).await;
        kill9(pid);
    });
}

/// What is behind.
#[derive(Clone)]
pub enum Behind {
    Collector,
    Server(SocketAddr),
    Receiver(Arc<dyn Receiver>),
}

/// The far side of one protocol, made after its documents: it refuses what the real one refuses.
pub trait Receiver: Send + Sync {
    /// What it answers. A request that asks and does not write is one too.
    fn answer(&self, request: &Got) -> Reply;

    /// The lines that it holds, in the order in which it took them, as they are in the trail.
    fn lines(&self) -> Vec<String>;
}

/// A whole request.
#[derive(Debug)]
pub struct Got {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub headers: hyper::HeaderMap,
    /// Without its content encoding.
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Reply { status, headers: Vec::new(), body: body.into() }
    }
}

/// One request that carried data.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub key: Option<String>,
    pub status: u16,
}

#[derive(Default)]
pub struct Shared {
    pub faults: Mutex<VecDeque<Fault>>,
    /// What happens to every request, also to those that carry no data, when none of `faults` does.
    pub state: Mutex<Option<Fault>>,
    pub seen: Mutex<Vec<Seen>>,
    /// Lines in the order in which they came.
    pub lines: Mutex<Vec<String>>,
    /// Digest of the body by idempotency key.
    keys: Mutex<BTreeMap<String, String>>,
    /// The collector takes no more lines than this at once; 0 is no limit.
    pub lines_max: Mutex<usize>,
    /// The collector takes no line with this in it.
    pub poison: Mutex<Option<String>>,
    /// The collector wants this token.
    pub token: Mutex<Option<String>>,
}

pub struct Front {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    behind: Behind,
    tls: Option<TlsAcceptor>,
    place: Place,
    task: Option<JoinHandle<()>>,
}

impl Front {
    pub async fn start(behind: Behind, tls: Option<TlsAcceptor>) -> Self {
        let place = Place::take(Ipv4Addr::LOCALHOST.into());
        let mut front = Front { address: place.address, shared: Arc::default(), behind, tls, place, task: None };
        front.serve();
        front
    }

    pub fn fail(&self, faults: &[Fault]) {
        self.shared.faults.lock().unwrap().extend(faults);
    }

    /// What happens to every request from now on; `None` when it is well.
    pub fn be(&self, state: Option<Fault>) {
        *self.shared.state.lock().unwrap() = state;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Speaks TLS from now on, at the same address.
    pub async fn secure(&mut self, tls: TlsAcceptor) {
        self.down().await;
        self.tls = Some(tls);
        self.up().await;
    }

    /// Nobody listens any more; open connections break.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again where it did.
    pub async fn up(&mut self) {
        self.serve();
    }

    fn serve(&mut self) {
        let listener = self.place.listen();
        let (shared, behind, tls) = (Arc::clone(&self.shared), self.behind.clone(), self.tls.clone());
        self.task = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, behind, tls) = (Arc::clone(&shared), behind.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(TokioIo::new(stream), shared, behind).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(TokioIo::new(stream), shared, behind).await;
                            }
                        }
                    }
                });
            }
        }));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

type Answer = Result<Response<Full<Bytes>>, std::io::Error>;

async fn connection<I>(io: I, shared: Arc<Shared>, behind: Behind)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), behind.clone()));
    // A connection that breaks is what some tests are about.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>, behind: Behind) -> Answer {
    let state = *shared.state.lock().unwrap();
    if request.method() != Method::POST && request.method() != Method::PUT {
        return fail(state.unwrap_or(Fault::Nothing), request, &shared, &behind).await;
    }
    let key = header(&request, "idempotency-key");
    let fault = shared.faults.lock().unwrap().pop_front().or(state);
    let at = Instant::now();
    let answer = fail(fault.unwrap_or(Fault::Nothing), request, &shared, &behind).await;
    let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
    shared.seen.lock().unwrap().push(Seen { at, key, status });
    answer
}

async fn fail(fault: Fault, mut request: Request<Incoming>, shared: &Shared, behind: &Behind) -> Answer {
    match fault {
        Fault::Nothing => pass(request, shared, behind).await,
        Fault::Slow => {
            tokio::time::sleep(SLOW).await;
            pass(request, shared, behind).await
        }
        Fault::KillBeforeAnswer(pid) => {
            pass(request, shared, behind).await?;
            kill9(pid);
            Err(std::io::Error::other("nobody to answer"))
        }
        Fault::KillAtAnswer(pid) => {
            let answer = pass(request, shared, behind).await;
            kill9_at_answer(pid);
            answer
        }
        Fault::Status(status) => {
            let _ = request.into_body().collect().await;
            text(status, "told to fail")
        }
        Fault::RetryAfter(status, value) => {
            let _ = request.into_body().collect().await;
            Ok(Response::builder().status(status).header("retry-after", value).body(Full::default()).unwrap())
        }
        Fault::Redirect => {
            let _ = request.into_body().collect().await;
            let answer = Response::builder().status(307).header("location", "https://elsewhere.example/in?token=x");
            Ok(answer.body(Full::default()).unwrap())
        }
        Fault::StallBefore => stall().await,
        Fault::StallAfter => {
            pass(request, shared, behind).await?;
            stall().await
        }
        Fault::Reset => {
            let _ = request.body_mut().frame().await;
            Err(std::io::Error::other("told to break"))
        }
        Fault::ResetAfter => {
            pass(request, shared, behind).await?;
            Err(std::io::Error::other("told to break"))
        }
    }
}

async fn stall() -> Answer {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Err(std::io::Error::other("stalled"))
}

async fn pass(request: Request<Incoming>, shared: &Shared, behind: &Behind) -> Answer {
    match behind {
        Behind::Collector => collect(request, shared).await,
        Behind::Server(address) => forward(request, *address).await,
        Behind::Receiver(receiver) => receive(request, receiver.as_ref()).await,
    }
}

async fn receive(request: Request<Incoming>, receiver: &dyn Receiver) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return text(400, "broken body") };
    let encoding = parts.headers.get("content-encoding").map(|value| value.to_str().unwrap());
    let body = unpacked(&body.to_bytes(), encoding);
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let reply = receiver.answer(&Got { method: parts.method, path, headers: parts.headers, body });
    let mut answer = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        answer = answer.header(name, value);
    }
    Ok(answer.body(Full::from(reply.body)).unwrap())
}

/// The collector: checks everything that the agent promises about a request.
async fn collect(request: Request<Incoming>, shared: &Shared) -> Answer {
    let token = header(&request, "authorization");
    if let Some(wanted) = &*shared.token.lock().unwrap()
        && token.as_deref() != Some(&format!("Bearer {wanted}"))
    {
        return text(401, "who are you");
    }
    if request.method() != Method::POST {
        return text(204, "");
    }
    let Some(key) = header(&request, "idempotency-key") else { return text(400, "no idempotency-key") };
    let Some(digest) = header(&request, "content-digest") else { return text(400, "no content-digest") };
    if header(&request, "content-type").as_deref() != Some("application/x-ndjson") {
        return text(415, "not NDJSON");
    }
    let encoding = header(&request, "content-encoding");
    let Ok(body) = request.into_body().collect().await else { return text(400, "broken body") };
    let body = body.to_bytes();
    if digest != format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&body))) {
        return text(400, "content-digest does not match");
    }
    let lines = decode(&body, encoding.as_deref());
    let lines_max = *shared.lines_max.lock().unwrap();
    if lines_max > 0 && lines.len() > lines_max {
        return text(413, "too many lines");
    }
    if let Some(poison) = &*shared.poison.lock().unwrap()
        && lines.iter().any(|line| line.contains(poison.as_str()))
    {
        return text(413, "a line that is not wanted");
    }
    match shared.keys.lock().unwrap().insert(key, digest.clone()) {
        Some(before) if before == digest => return text(409, "have it"),
        Some(_) => return text(422, "the same key with other bytes"),
        None => shared.lines.lock().unwrap().extend(lines),
    }
    text(202, "taken")
}

fn decode(body: &[u8], encoding: Option<&str>) -> Vec<String> {
    let decoded = String::from_utf8(unpacked(body, encoding)).unwrap();
    assert!(decoded.ends_with('\n'), "a batch ends with a newline");
    decoded.lines().map(str::to_owned).collect()
}

fn unpacked(body: &[u8], encoding: Option<&str>) -> Vec<u8> {
    match encoding {
        None => body.to_vec(),
        Some("gzip") => {
            let mut decoded = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut decoded).unwrap();
            decoded
        }
        Some("zstd") => zstd::stream::decode_all(body).unwrap(),
        Some(other) => panic!("content-encoding {other}"),
    }
}

/// Passes a request on as it is, its `Host` included, so that signatures hold.
async fn forward(request: Request<Incoming>, address: SocketAddr) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    assert!(parts.headers.contains_key(HOST));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let answer =
        sender.send_request(Request::from_parts(parts, Full::new(body))).await.map_err(std::io::Error::other)?;
    let (parts, body) = answer.into_parts();
    // A HEAD's answer has a length and no body.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::from_parts(parts, Full::new(body)))
}

fn text(status: u16, body: &'static str) -> Answer {
    Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
}

fn header(request: &Request<Incoming>, name: &str) -> Option<String> {
    Some(request.headers().get(name)?.to_str().unwrap().to_owned())
}
