//! One connection to one broker: reached, trusted, logged in to, and asked one thing after the other.
//!
//! A connection that a question failed on is never asked again: the answer may still come, and be taken for the next one's. It is given away by value
//! for that, or dropped.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::codes::{Meaning, meaning};
use super::messages::{self, Api, LoginStep, Versions};
use super::scram::{self, Hash, Scram};
use super::wire::{Garbled, Reader, Writer};
use crate::config::plan::{KafkaLogin, KafkaPlan, SaslMechanism, Transport};
use crate::sink::oauth::{Bearer, Tokens};
use crate::sink::tls::{self, chain, client_config, server_name, tls_failure};
use crate::sink::{ProbeError, Refusal, Step};

/// A name that does not resolve, a connection that is not made, and a handshake that is not done by then will not be, nor after half of the time that
/// there is: the next broker is tried.
const STEP_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The largest answer is that about a topic of thousands of partitions in a cluster of hundreds of brokers; most have some hundred bytes.
const ANSWER_MAX_BYTES: usize = 4 << 20;
/// As the brokers' logs and quotas know us.
const CLIENT: &str = "sealtrail";
/// Mechanisms of a broker that are told.
const MECHANISMS_TOLD: usize = 8;
/// RFC 4422, 3.1: a mechanism's name.
const MECHANISM_MAX_BYTES: usize = 20;

/// A broker's host and port.
pub(super) type Address = (String, u16);

/// Makes connections.
pub(super) struct Connector {
    tls: Option<TlsConnector>,
    login: Login,
    timeout: Duration,
}

enum Login {
    Nobody,
    Password(KafkaLogin),
    Token(Box<Tokens>),
}

/// What went wrong, at which step.
#[derive(Debug)]
pub(super) struct Trouble {
    pub step: Step,
    pub refusal: Refusal,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that is ready for questions.
pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    versions: Versions,
    number: i32,
    /// The broker ends it then.
    until: Option<Instant>,
    pub address: Address,
}

impl Connector {
    /// Reads the certificates; connects to nothing.
    pub(super) fn new(plan: &KafkaPlan) -> Result<Self, Refusal> {
        let tls = match plan.transport {
            Transport::Tls => Some(TlsConnector::from(Arc::new(client_config(&plan.tls)?))),
            Transport::Tcp | Transport::Udp => None,
        };
        let login = match &plan.login {
            KafkaLogin::Nobody => Login::Nobody,
            KafkaLogin::Password { .. } => Login::Password(plan.login.clone()),
            KafkaLogin::Token(oauth2) => {
                Login::Token(Box::new(Tokens::of_client(oauth2, plan.tls.min_version, plan.timeout)?))
            }
        };
        Ok(Connector { tls, login, timeout: plan.timeout })
    }

    /// Resolves, connects, secures, asks for versions, logs in.
    pub(super) async fn connect(&self, address: &Address) -> Result<Connection, Trouble> {
        let (host, port) = (address.0.as_str(), address.1);
        let addresses: Vec<_> = self.step(address, Step::Resolve, lookup_host((host, port))).await?.collect();
        let stream = self.step(address, Step::Connect, TcpStream::connect(addresses.as_slice())).await?;
        stream.set_nodelay(true).map_err(|error| io_trouble(address, Step::Connect, &error))?;
        let stream: Box<dyn Duplex> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = server_name(host, "brokers").map_err(|refusal| Trouble { step: Step::Tls, refusal })?;
                Box::new(self.step(address, Step::Tls, tls.connect(name, stream)).await?)
            }
        };
        let address = address.clone();
        let mut connection = Connection { stream, versions: Versions::first(), number: 0, until: None, address };
        self.step_of(&connection.address.clone(), Step::Answer, connection.ask_for_versions()).await?;
        connection.log_in(&self.login).await?;
        Ok(connection)
    }

    /// One step of reaching a broker, within its time.
    async fn step<T>(
        &self,
        address: &Address,
        step: Step,
        doing: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Trouble> {
        let done = timeout((self.timeout / 2).min(STEP_TIMEOUT_MAX), doing).await;
        let done = done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        done.map_err(|error| io_trouble(address, step, &error))
    }

    async fn step_of<T>(
        &self,
        address: &Address,
        step: Step,
        doing: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let done = timeout((self.timeout / 2).min(STEP_TIMEOUT_MAX), doing).await;
        done.unwrap_or_else(|_| Err(io_trouble(address, step, &io::ErrorKind::TimedOut.into())))
    }
}

impl Connection {
    /// Whether it can be asked, as far as that is known here by now: neither ended nor broken, and with nothing in it that was not asked for.
    pub(super) async fn is_open(&mut self) -> bool {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
        poll_fn(|context| {
            let mut byte = [0];
            let pending = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending();
            Poll::Ready(pending)
        })
        .await
    }

    /// The version of a kind of request that both sides speak, where there is one.
    pub(super) fn version(&self, api: &Api) -> Option<i16> {
        self.versions.of(api)
    }

    /// Asks, and reads the answer with `read`, which is given the version spoken.
    pub(super) async fn ask<T>(
        &mut self,
        api: &Api,
        write: impl FnOnce(i16, &mut Writer),
        read: impl FnOnce(&mut Reader<'_>, i16) -> Result<T, Garbled>,
    ) -> Result<T, Trouble> {
        let version = self.versions.of(api).ok_or_else(|| self.too_old(api))?;
        self.number = self.number.wrapping_add(1);
        let mut writer = messages::begin(api, version, self.number, CLIENT);
        write(version, &mut writer);
        let request = messages::finish(writer).ok_or_else(|| self.garbled(api))?;
        let frame = match self.exchange(&request).await {
            Ok(frame) => frame,
            Err(error) if is_no_frame(&error) => return Err(self.garbled(api)),
            Err(error) => return Err(self.broken(api, &error)),
        };
        let mut reader = Reader::new(&frame);
        let is_ours = messages::answers(&mut reader, api, version) == Ok(self.number);
        let answer = if is_ours { read(&mut reader, version) } else { Err(Garbled) };
        answer.map_err(|Garbled| self.garbled(api))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let length = self.stream.read_i32().await?;
        let length = usize::try_from(length).ok().filter(|length| *length <= ANSWER_MAX_BYTES);
        let length = length.ok_or(io::ErrorKind::InvalidData)?;
        // It grows as bytes come: what an answer says of its length costs nothing.
        let mut frame = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut frame).await?;
        if frame.len() == length { Ok(frame) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn ask_for_versions(&mut self) -> Result<(), Trouble> {
        let (code, versions) = self.ask(&messages::API_VERSIONS, |_, _| {}, Versions::read).await?;
        self.well(Step::Answer, "ApiVersions", code)?;
        self.versions = versions;
        Ok(())
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Trouble> {
        match login {
            Login::Nobody => Ok(()),
            Login::Password(login) => self.log_in_by_password(login).await,
            Login::Token(tokens) => {
                let bearer = tokens.bearer().await.map_err(authenticate)?;
                let logged_in = self.log_in_by_token(&bearer).await;
                logged_in.map_err(|trouble| match trouble.refusal {
                    // Of a token that was taken before it says that it is time for another.
                    Refusal::Stop { .. } => authenticate(tokens.denied(&bearer, trouble.refusal)),
                    _ => trouble,
                })
            }
        }
    }

    async fn log_in_by_password(&mut self, login: &KafkaLogin) -> Result<(), Trouble> {
        let KafkaLogin::Password { mechanism, username, password } = login else { return Ok(()) };
        let password = password.expose();
        self.choose(mechanism.name()).await?;
        let hash = match mechanism {
            SaslMechanism::Plain => {
                let answer = self.log_in_with(format!("\0{username}\0{password}").as_bytes()).await?;
                self.logged_in(&answer);
                return Ok(());
            }
            SaslMechanism::ScramSha256 => Hash::Sha256,
            SaslMechanism::ScramSha512 => Hash::Sha512,
        };
        let nonce = nonce().map_err(|error| io_trouble(&self.address, Step::Authenticate, &error))?;
        let scram = Scram::new(hash, username, &password, &nonce);
        let answer = self.log_in_with(scram.first().as_bytes()).await?;
        if scram::is_no(&answer.token) {
            return Err(self.not_let_in());
        }
        let (second, expected) = scram.second(&answer.token).map_err(|wrong| self.no_login(wrong))?;
        let answer = self.log_in_with(second.as_bytes()).await?;
        if scram::is_no(&answer.token) {
            return Err(self.not_let_in());
        }
        if !expected.is(&answer.token) {
            return Err(self.no_login("does not prove that it knows the password"));
        }
        self.logged_in(&answer);
        Ok(())
    }

    /// RFC 7628, 3.1. A broker that takes the token has nothing to say; one that does not says why, which may quote it.
    async fn log_in_by_token(&mut self, bearer: &Bearer) -> Result<(), Trouble> {
        self.choose("OAUTHBEARER").await?;
        let Some(value) = bearer.text() else { return Err(self.no_login("cannot be sent the token: it is no text")) };
        let answer = self.log_in_with(format!("n,,\x01auth={value}\x01\x01").as_bytes()).await?;
        if !answer.token.is_empty() {
            let hint =
                "check what the token is for (`oauth2.scope`, `oauth2.audience`), and whose tokens the brokers take";
            return Err(authenticate(Refusal::stop(self.named("does not take the token"), hint)));
        }
        self.logged_in(&answer);
        Ok(())
    }

    async fn choose(&mut self, mechanism: &str) -> Result<(), Trouble> {
        const UNSUPPORTED: i16 = 33;
        let read = |reader: &mut Reader<'_>, version| {
            let (code, known) = messages::sasl_handshake_answer(reader, version)?;
            let is_name = |name: &&str| {
                name.len() <= MECHANISM_MAX_BYTES
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            let known: Vec<_> = known.into_iter().filter(is_name).take(MECHANISMS_TOLD).map(str::to_owned).collect();
            Ok((code, known.join(", ")))
        };
        let write = |_, writer: &mut Writer| messages::sasl_handshake(mechanism, writer);
        let (code, known) = self.ask(&messages::SASL_HANDSHAKE, write, read).await.map_err(Trouble::at_login)?;
        if code == UNSUPPORTED {
            let why = self.named(&format!("has no login by {mechanism}; it has: {known}"));
            return Err(authenticate(Refusal::stop(
                why,
                "set `mechanism` to one of these, or let the brokers have it",
            )));
        }
        self.well(Step::Authenticate, "SaslHandshake", code)
    }

    async fn log_in_with(&mut self, token: &[u8]) -> Result<LoginStep, Trouble> {
        let write = |_, writer: &mut Writer| messages::sasl_authenticate(token, writer);
        let asked = self.ask(&messages::SASL_AUTHENTICATE, write, messages::sasl_authenticate_answer).await;
        let answer = asked.map_err(Trouble::at_login)?;
        self.well(Step::Authenticate, "SaslAuthenticate", answer.code)?;
        Ok(answer)
    }

    /// A broker that lets a login expire ends the connection: it is left a tenth of the time before that.
    fn logged_in(&mut self, answer: &LoginStep) {
        let lifetime = u64::try_from(answer.lifetime_ms).ok().filter(|lifetime| *lifetime > 0);
        let rest = lifetime.map(|lifetime| Duration::from_millis(lifetime / 10 * 9));
        self.until = rest.and_then(|rest| Instant::now().checked_add(rest));
    }

    /// Whether an answer's code says that all is well.
    pub(super) fn well(&self, step: Step, what: &str, code: i16) -> Result<(), Trouble> {
        let refusal = match meaning(code) {
            (_, Meaning::None) => return Ok(()),
            (name, Meaning::Stop(hint)) => Refusal::stop(self.named(&format!("answered {what} with {name}")), hint),
            (name, _) => Refusal::later(self.named(&format!("answered {what} with {name}"))),
        };
        Err(Trouble { step, refusal })
    }

    /// Which broker it is of which something is said.
    pub(super) fn named(&self, what: &str) -> String {
        format!("{} {what}", shown(&self.address))
    }

    fn not_let_in(&self) -> Trouble {
        authenticate(Refusal::stop(
            self.named("does not let this user in"),
            "check `username`, `password` and `mechanism`",
        ))
    }

    fn no_login(&self, wrong: &str) -> Trouble {
        authenticate(Refusal::stop(self.named(wrong), "is this broker the right one? See its own log"))
    }

    fn too_old(&self, api: &Api) -> Trouble {
        let why = self.named(&format!("speaks no version of {} from {} to {}", api.name, api.least, api.most));
        let hint = "the brokers must be Kafka 2.1 or later, or speak its protocol as such";
        Trouble { step: Step::Answer, refusal: Refusal::stop(why, hint) }
    }

    fn garbled(&self, api: &Api) -> Trouble {
        let why = self.named(&format!("answered {} with what is no answer of Kafka", api.name));
        let hint = "check host and port in `brokers`, and whether that listener wants TLS (`transport`)";
        Trouble { step: Step::Answer, refusal: Refusal::stop(why, hint) }
    }

    fn broken(&self, api: &Api, error: &io::Error) -> Trouble {
        if let Some(failure) = tls_failure(error) {
            let why = format!("no TLS with {}: {failure}", shown(&self.address));
            return Trouble { step: Step::Tls, refusal: Refusal::stop(why, tls::hint(failure, TLS_HINT)) };
        }
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => self.named(&format!(
                "ended the connection instead of answering {}: does that listener want TLS (`transport`), or a login (`username`)?",
                api.name
            )),
            _ => format!("the connection to {} broke during {}: {}", shown(&self.address), api.name, chain(error)),
        };
        Trouble { step: Step::Answer, refusal: Refusal::later(why) }
    }
}

impl Trouble {
    fn at_login(self) -> Self {
        let step = if self.step == Step::Answer { Step::Authenticate } else { self.step };
        Trouble { step, ..self }
    }

    pub(super) fn probe_error(self) -> ProbeError {
        let step = self.step;
        let hint = match (&self.refusal, step) {
            (Refusal::Stop { .. }, _) => None,
            (_, Step::Resolve) => Some("check the host in `brokers`, and this machine's DNS"),
            (_, Step::Connect) => {
                Some("check host and port in `brokers`, what the brokers advertise, and the firewalls between")
            }
            _ => None,
        };
        let error = ProbeError::at(step, self.refusal);
        ProbeError { hint: hint.map_or(error.hint, str::to_owned), ..error }
    }
}

const TLS_HINT: &str = "check `tls.ca_file` (who signed the brokers' certificates), the hosts in `brokers` and what the brokers advertise, and the client certificate";

fn authenticate(refusal: Refusal) -> Trouble {
    Trouble { step: Step::Authenticate, refusal }
}

fn io_trouble((host, port): &Address, step: Step, error: &io::Error) -> Trouble {
    let said = chain(error);
    let why = match step {
        Step::Resolve => format!("the name {host} does not resolve: {said}"),
        Step::Connect => format!("cannot connect to {host}:{port}: {said}"),
        Step::Tls => format!("no TLS with {host}:{port}: {said}"),
        _ => format!("no answer from {host}:{port}: {said}"),
    };
    // Certificates do not mend by trying again soon; all else may.
    let refusal = match tls_failure(error) {
        Some(failure) => Refusal::stop(why, tls::hint(failure, TLS_HINT)),
        None => Refusal::later(why),
    };
    Trouble { step, refusal }
}

/// A frame that says it is too long. TLS's own errors are of the same kind.
fn is_no_frame(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData && tls_failure(error).is_none()
}

fn shown((host, port): &Address) -> String {
    format!("{host}:{port}")
}

/// Printable, without a comma, and nobody's guess.
fn nonce() -> io::Result<String> {
    let mut bytes = [0; 24];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if filled < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(STANDARD_NO_PAD.encode(bytes))
}
