//! Reaching a receiver, and what can be known of whether it took a batch.
//!
//! Syslog has no answer. But a connection has an end, and a receiver reads it last: with `confirm` each batch has a connection of its own,
//! the agent ends it, and the batch counts once the receiver has ended its side in turn. Three things make that an answer:
//!
//! * Over TLS the receiver's end must be a `close_notify`, which nobody between can make.
//! * A receiver that goes with bytes unread makes its host reset the connection (RFC 2525, 2.17).
//! * One that goes before all bytes are there has its end cross ours: then ours is not acknowledged yet when its end comes, and what its
//!   host says to ours is a reset. So the connection must be closed on both sides, without an error, before the batch counts.
//!
//! Without `confirm` a connection is kept, and looked at before and after each batch: a batch counts once the kernel has it, and what the
//! kernel had when the connection broke is lost. Over UDP nothing is ever known.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::message::Messages;
use crate::config::plan::{SyslogPlan, TlsPlan, Transport};
use crate::sink::tls::{chain, client_config, hint, server_name, tls_failure};
use crate::sink::{ProbeError, Probed, Refusal, Step};

/// A name that does not resolve, a connection that is not made, and a handshake that is not done by then will not be.
const STEP_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// An acknowledgement takes no longer than this; most are there when they are first looked for.
const CLOSING_MAX: Duration = Duration::from_secs(2);
const CLOSING_LOOK: Duration = Duration::from_millis(5);
/// Receivers say nothing: what one says all the same is read in pieces of this size, and dropped.
const READ_BYTES: usize = 1024;

/// Makes connections to one receiver.
pub(super) struct Connector {
    host: String,
    port: u16,
    transport: Transport,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    confirm: bool,
    timeout: Duration,
    /// The connection that is kept between batches; taken out while it is used, so that one that was given up midway is never used again.
    kept: Mutex<Option<Stream>>,
}

/// A connection.
enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// What went wrong, at which step.
struct Trouble {
    step: Step,
    error: io::Error,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the certificates; connects to nothing.
    pub(super) fn new(plan: &SyslogPlan) -> Result<Self, Refusal> {
        let tls = match plan.transport {
            Transport::Tls => {
                Some((TlsConnector::from(Arc::new(config(&plan.tls)?)), server_name(&plan.host, "address")?))
            }
            Transport::Tcp | Transport::Udp => None,
        };
        Ok(Connector {
            host: plan.host.clone(),
            port: plan.port,
            transport: plan.transport,
            tls,
            confirm: plan.confirm,
            timeout: plan.timeout,
            kept: Mutex::new(None),
        })
    }

    /// Sends all of them, or says that they may not have arrived.
    pub(super) async fn send(&self, messages: &Messages) -> Result<(), Refusal> {
        let sending = async {
            match (self.transport, self.confirm) {
                (Transport::Udp, _) => self.send_datagrams(messages).await,
                (_, true) => self.send_and_end(messages).await,
                (_, false) => self.send_on_kept(messages).await,
            }
        };
        match timeout(self.timeout, sending).await {
            Ok(sent) => sent.map_err(Trouble::refusal),
            Err(_) if self.confirm && self.transport != Transport::Udp => Err(Refusal::later(format!(
                "the receiver did not take the batch and end its connection within {:?}; one that never does so needs `confirm = false`",
                self.timeout
            ))),
            Err(_) => Err(Refusal::later(format!("the receiver did not take the batch within {:?}", self.timeout))),
        }
    }

    /// Resolves, connects, and makes the connection a trusted one. Nothing is written.
    pub(super) async fn probe(&self) -> Result<Probed, ProbeError> {
        let reached = match self.transport {
            Transport::Udp => self.datagram_socket().await.map(drop),
            Transport::Tcp | Transport::Tls => self.connect().await.map(drop),
        };
        let checked = match self.transport {
            Transport::Tls => {
                "connected, and the certificate is trusted; syslog has no way to ask whether we may write"
            }
            Transport::Tcp => "connected; syslog has no way to ask whether we may write",
            Transport::Udp => "the name resolves; over UDP nothing else can be known",
        };
        reached.map(|()| Probed { checked }).map_err(Trouble::probe_error)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Trouble> {
        Ok(self.step(Step::Resolve, lookup_host((self.host.as_str(), self.port))).await?.collect())
    }

    /// One step of reaching the receiver, within its time.
    async fn step<T>(&self, step: Step, doing: impl Future<Output = io::Result<T>>) -> Result<T, Trouble> {
        let done = timeout(self.timeout.min(STEP_TIMEOUT_MAX), doing).await;
        done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| Trouble { step, error })
    }

    async fn connect(&self) -> Result<Stream, Trouble> {
        let addresses = self.addresses().await?;
        let stream = self.step(Step::Connect, TcpStream::connect(addresses.as_slice())).await?;
        stream.set_nodelay(true).map_err(broken)?;
        let Some((tls, name)) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let secured = self.step(Step::Tls, tls.connect(name.clone(), stream)).await?;
        Ok(Stream::Secure(Box::new(secured)))
    }

    async fn send_and_end(&self, messages: &Messages) -> Result<(), Trouble> {
        let stream = self.connect().await?;
        let sent = async {
            let mut tcp = match stream {
                Stream::Plain(tcp) => exchange(tcp, messages.bytes()).await?,
                Stream::Secure(tls) => exchange(*tls, messages.bytes()).await?.into_inner().0,
            };
            end_of(&mut tcp).await?;
            closed(&tcp).await
        };
        sent.await.map_err(broken)
    }

    async fn send_on_kept(&self, messages: &Messages) -> Result<(), Trouble> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let sent = match &mut stream {
            Stream::Plain(tcp) => pass_on(tcp, messages.bytes()).await,
            Stream::Secure(tls) => pass_on(tls.as_mut(), messages.bytes()).await,
        };
        sent.map_err(broken)?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        Ok(())
    }

    async fn datagram_socket(&self) -> Result<UdpSocket, Trouble> {
        let at = |error| Trouble { step: Step::Connect, error };
        let addresses = self.addresses().await?;
        let local = match addresses.first() {
            Some(SocketAddr::V6(_)) => "[::]:0",
            _ => "0.0.0.0:0",
        };
        let socket = UdpSocket::bind(local).await.map_err(at)?;
        let address = addresses.first().ok_or_else(|| at(io::ErrorKind::NotFound.into()))?;
        socket.connect(address).await.map_err(at)?;
        Ok(socket)
    }

    async fn send_datagrams(&self, messages: &Messages) -> Result<(), Trouble> {
        let socket = self.datagram_socket().await?;
        for message in messages.iter() {
            socket.send(message).await.map_err(broken)?;
        }
        // On the same host, that nobody listens is known by now.
        match socket.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(broken(error)),
        }
    }
}

fn broken(error: io::Error) -> Trouble {
    Trouble { step: Step::Answer, error }
}

fn early() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the receiver ended the connection before it had the whole batch")
}

/// Sends all and ends the connection; returns once the other side has ended it, too.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: S, bytes: &[u8]) -> io::Result<S> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sending = async {
        writing.write_all(bytes).await?;
        writing.flush().await?;
        writing.shutdown().await
    };
    // An end that comes before ours is no answer to it.
    tokio::select! {
        biased;
        ended = end_of(&mut reading) => return Err(ended.err().unwrap_or_else(early)),
        sent = sending => sent?,
    }
    end_of(&mut reading).await?;
    Ok(reading.unsplit(writing))
}

/// Sends all over a connection that is kept, and was well before and is after, as far as that is known here by now.
async fn pass_on(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    still_open(stream).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    still_open(stream).await
}

/// Returns once the kernel has closed the connection without an error: each side has acknowledged the other's end. A socket that was closed by
/// both has no peer any more.
async fn closed(tcp: &TcpStream) -> io::Result<()> {
    let until = Instant::now() + CLOSING_MAX;
    loop {
        if let Some(error) = tcp.take_error()? {
            return Err(error);
        }
        match tcp.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return tcp.take_error()?.map_or(Ok(()), Err),
            Err(error) => return Err(error),
            Ok(_) if Instant::now() >= until => return Err(early()),
            Ok(_) => tokio::time::sleep(CLOSING_LOOK).await,
        }
    }
}

/// Returns once the other side has ended the connection in good order.
async fn end_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; READ_BYTES];
    while stream.read(&mut buffer).await? != 0 {}
    Ok(())
}

/// Whether the connection has neither ended nor broken, as far as that is known here by now.
async fn still_open(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    poll_fn(|context| {
        let mut buffer = [0; READ_BYTES];
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *stream).poll_read(context, &mut read) {
                Poll::Pending => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(Err(early())),
                Poll::Ready(Ok(())) => {}
            }
        }
    })
    .await
}

impl Trouble {
    fn why(&self) -> String {
        if self.step == Step::Answer && self.error.kind() == io::ErrorKind::UnexpectedEof {
            return NO_CLOSE_NOTIFY.to_owned();
        }
        let said = chain(&self.error);
        match self.step {
            Step::Resolve => format!("the name does not resolve: {said}"),
            Step::Connect => format!("cannot connect: {said}"),
            Step::Tls => format!("no TLS: {said}"),
            _ => format!("the connection broke: {said}"),
        }
    }

    /// Certificates do not mend by trying again soon; all else may.
    fn refusal(self) -> Refusal {
        match tls_failure(&self.error) {
            Some(error) => Refusal::stop(self.why(), hint(error, TLS_HINT)),
            None => Refusal::later(self.why()),
        }
    }

    fn probe_error(self) -> ProbeError {
        let hint = match (self.step, tls_failure(&self.error)) {
            (_, Some(error)) => hint(error, TLS_HINT),
            (Step::Resolve, None) => "check the host in `address`, and this machine's DNS",
            (Step::Connect, None) => "check host and port in `address`, and the firewalls between",
            (_, None) => TLS_HINT,
        };
        ProbeError { step: self.step, why: self.why(), hint: hint.to_owned() }
    }
}

const NO_CLOSE_NOTIFY: &str = "the receiver ended the connection without `close_notify`, so that it may not have all: \
    a receiver that always does so needs `confirm = false`";

const TLS_HINT: &str =
    "check `tls.ca_file` (who signed the receiver's certificate), the host in `address`, and the client certificate";

fn config(plan: &TlsPlan) -> Result<ClientConfig, Refusal> {
    let mut config = client_config(plan)?;
    // Receivers on OpenSSL that ask for a client certificate and name no context for sessions (rsyslog 8.2302) refuse one that is resumed.
    config.resumption = Resumption::disabled();
    Ok(config)
}
