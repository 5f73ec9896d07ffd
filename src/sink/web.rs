//! What all destinations share that are spoken to over HTTP: connection, TLS, headers, bodies, and what an answer means unless the
//! protocol says otherwise.
//!
//! Redirects are not followed: evidence goes where the operator said, or nowhere. Requests are made once: trying again is the courier's.
//! What failed is told without the URL, which may hold a token, and without the answer's body, which may quote a record.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::tls::Version;
use reqwest::{
    Certificate, Client, ClientBuilder, Identity, Method, Request, RequestBuilder, Response, StatusCode, Url,
};

use super::tls::{chain, client_config, hint, is_resolve_failure, tls_failure, use_ring};
use super::{Accepted, ProbeError, Probed, Refusal, Step, read_named};
use crate::config::plan::{Compression, TlsPlan, TlsVersion};
use crate::config::secret::Secret;
use crate::host::is_loopback;

/// A connection that is not made by then will not be.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// So much of an answer is read unless more is asked for: enough for a reason, too little to hurt.
pub(super) const ANSWER_MAX_BYTES: usize = 4096;
/// An unused connection is closed before most servers and balancers do it.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(55);
/// As many as there may be requests under way.
const CONNECTIONS_IDLE_MAX: usize = 16;
/// The core is the database's, and bodies are sent once: six tenths of the work of level 4, for bodies that are a third longer (6 % of the lines instead of 5 %).
const GZIP_LEVEL: u32 = 2;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// A server that is spoken to over HTTP.
#[derive(Debug)]
pub(super) struct Web {
    client: Client,
    url: Url,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The first bytes of the body, as many as were asked for.
    pub body: Vec<u8>,
    /// How many bytes were sent as the request's body.
    pub sent: u64,
    after: Option<Duration>,
    location: Option<String>,
}

impl Web {
    /// Reads the certificates; connects to nothing. `headers` are sent with every request.
    pub(super) fn new(
        url: &str,
        tls: &TlsPlan,
        headers: HeaderMap,
        compression: Compression,
        timeout: Duration,
    ) -> Result<Self, Refusal> {
        let url = Url::parse(url)
            .map_err(|error| Refusal::stop(format!("`url` is not a URL: {error}"), "write it as https://host/path"))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" && !is_loopback(host) {
            tracing::warn!(host, "records travel unencrypted: `url` is neither https nor on this machine");
        }
        Ok(Web { client: client(tls, timeout)?, url, headers, compression, timeout })
    }

    /// The server's address, as it was configured.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// An address on the same server: `path` behind the configured one.
    pub(super) fn url_of(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url
    }

    /// The body as it is sent.
    pub(super) fn encode(&self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        encode(body, self.compression).map_err(|error| Refusal::later(format!("cannot compress the batch: {error}")))
    }

    /// POSTs a body that [`Web::encode`] made. Of the answer the first `answer_max` bytes are read.
    pub(super) async fn post(
        &self,
        url: Url,
        content_type: &'static str,
        headers: HeaderMap,
        encoded: Vec<u8>,
        answer_max: usize,
    ) -> Result<Answer, Refusal> {
        let sent = encoded.len() as u64;
        let mut request = self.client.post(url).headers(self.headers.clone()).headers(headers);
        request = request.header(CONTENT_TYPE, content_type);
        if let Some(encoding) = encoding(self.compression) {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        match request.body(encoded).send().await {
            Ok(response) => Ok(Answer::of(response, sent, answer_max).await),
            Err(error) => Err(failed(error, self.timeout)),
        }
    }

    /// Sends what is no batch, as it is.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, Refusal> {
        match request.headers(self.headers.clone()).send().await {
            Ok(response) => Ok(Answer::of(response, 0, ANSWER_MAX_BYTES).await),
            Err(error) => Err(failed(error, self.timeout)),
        }
    }

    /// A request for [`Web::send`] and [`Web::ask_with`].
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request of the caller's own making, which has a time-out of its own.
    pub(super) async fn execute(&self, request: Request) -> Result<Response, Refusal> {
        let timeout = request.timeout().copied().unwrap_or(self.timeout);
        self.client.execute(request).await.map_err(|error| failed(error, timeout))
    }

    /// Asks without writing, for a probe.
    pub(super) async fn ask(&self, method: Method, url: Url) -> Result<Answer, ProbeError> {
        self.ask_with(self.client.request(method, url)).await
    }

    /// The same, with more headers or a body of the caller's.
    pub(super) async fn ask_with(&self, request: RequestBuilder) -> Result<Answer, ProbeError> {
        let request = request.headers(self.headers.clone());
        let response = request.send().await.map_err(|error| unreachable_because(error, self.timeout))?;
        Ok(Answer::of(response, 0, ANSWER_MAX_BYTES).await)
    }
}

impl Answer {
    async fn of(response: Response, sent: u64, body_max: usize) -> Self {
        let status = response.status();
        let after = retry_after(response.headers(), SystemTime::now());
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Answer { status, body: read(response, body_max).await, sent, after, location }
    }

    /// `Retry-After`, as far as there is one.
    pub(super) fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The body, for the dead-letter folder.
    pub(super) fn text(&self) -> String {
        format!("{}\n\n{}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// What it means where the protocol adds nothing to HTTP; `hint` says what to do about a status that will not pass by itself.
    pub(super) fn judge(self, hint: fn(u16) -> &'static str) -> Result<Accepted, Refusal> {
        if self.status.is_success() { Ok(Accepted { bytes: self.sent }) } else { Err(self.refusal(hint)) }
    }

    /// The same of an answer that is no success.
    pub(super) fn refusal(self, hint: fn(u16) -> &'static str) -> Refusal {
        let why = format!("answered {}", self.status);
        match self.status.as_u16() {
            407 => Refusal::stop(why, PROXY_HINT),
            413 => Refusal::Split { why, answer: self.text() },
            408 | 425 | 429 | 500..=599 => Refusal::Later { after: self.after, why },
            300..=399 => redirected(self.location.as_deref(), why),
            other => Refusal::stop(why, hint(other)),
        }
    }

    /// What it means for a probe that only wanted an answer; `checked` says what a success shows.
    pub(super) fn probed(self, hint: fn(u16) -> &'static str, checked: &'static str) -> Result<Probed, ProbeError> {
        let step = if matches!(self.status.as_u16(), 401 | 403) { Step::Authenticate } else { Step::Answer };
        self.judge(hint).map(|_| Probed { checked }).map_err(|refusal| ProbeError::at(step, refusal))
    }
}

fn client(tls: &TlsPlan, timeout: Duration) -> Result<Client, Refusal> {
    use_ring();
    let mut builder = Client::builder()
        .user_agent(concat!("sealtrail/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
        .timeout(timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .pool_max_idle_per_host(CONNECTIONS_IDLE_MAX)
        .tcp_nodelay(true);
    if tls.accept_any_certificate {
        return built(builder.tls_backend_preconfigured(client_config(tls)?));
    }
    builder = builder.tls_version_min(match tls.min_version {
        TlsVersion::V1_2 => Version::TLS_1_2,
        TlsVersion::V1_3 => Version::TLS_1_3,
    });
    if let Some(path) = &tls.ca_file {
        let pem = read_named(path, "ca_file")?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| bad_pem("ca_file", &error))?;
        if roots.is_empty() {
            return Err(Refusal::stop(
                "`ca_file` holds no certificate",
                "write a PEM file with BEGIN CERTIFICATE there",
            ));
        }
        builder = builder.tls_certs_only(roots);
    }
    if let Some(identity) = identity(tls)? {
        builder = builder.identity(identity);
    }
    built(builder)
}

fn built(builder: ClientBuilder) -> Result<Client, Refusal> {
    builder.build().map_err(|error| {
        Refusal::stop(
            format!("cannot set up TLS: {}", chain(&error)),
            "install the system's CA certificates (package ca-certificates), or name a `ca_file`",
        )
    })
}

fn identity(tls: &TlsPlan) -> Result<Option<Identity>, Refusal> {
    let (Some(cert_file), Some(key_file)) = (&tls.cert_file, &tls.key_file) else { return Ok(None) };
    let mut pem = read_named(cert_file, "cert_file")?;
    pem.push(b'\n');
    pem.extend(read_named(key_file, "key_file")?);
    Identity::from_pem(&pem).map(Some).map_err(|error| bad_pem("cert_file and key_file", &error))
}

fn bad_pem(what: &str, error: &reqwest::Error) -> Refusal {
    Refusal::stop(
        format!("cannot use {what}: {}", chain(error)),
        "write PEM: certificates in one file, the key in the other",
    )
}

/// Headers that a configuration names, and its token.
pub(super) fn configured(configured: &BTreeMap<String, Secret>, token: Option<&Secret>) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let valid = HeaderName::try_from(name.as_str()).ok().zip(secret_value(&value.expose()));
        let Some((header, value)) = valid else {
            return Err(Refusal::stop(format!("`headers`: {name} is no HTTP header"), "use visible ASCII only"));
        };
        headers.insert(header, value);
    }
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, bearer(token.expose().trim(), "token")?);
    }
    Ok(headers)
}

/// `Authorization: Bearer …`; `key` is where the token comes from.
pub(super) fn bearer(token: &str, key: &str) -> Result<HeaderValue, Refusal> {
    secret_value(&format!("Bearer {token}"))
        .ok_or_else(|| Refusal::stop(format!("`{key}` has bytes that no header can hold"), "use visible ASCII only"))
}

/// A header value that is never printed.
pub(super) fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn encoding(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
    }
}

pub(super) fn encode(ndjson: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(ndjson.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(ndjson)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(ndjson, ZSTD_LEVEL),
    }
}

fn redirected(location: Option<&str>, why: String) -> Refusal {
    // What follows a question mark may be a token.
    let location = location.and_then(|text| text.split(['?', '#']).next()).filter(|text| !text.contains('@'));
    let target = location.map_or_else(|| "the final address".to_owned(), |text| format!("`{text}`"));
    Refusal::stop(why, format!("redirects are not followed: if that is right, write {target} as `url`"))
}

/// The first bytes of an answer's body. The rest is not waited for: the connection is given up then.
async fn read(mut response: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    // A body that breaks off is kept as far as it came: where something is decided by it, the protocol's reader sees that it is not whole.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    body
}

/// `Retry-After`: seconds, or a date (RFC 9110 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The same, of the header's value.
pub(super) fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A request without an answer. The URL is left out: it may hold a token.
fn failed(error: reqwest::Error, timeout: Duration) -> Refusal {
    let timed_out = error.is_timeout();
    let builder = error.is_builder();
    let error = error.without_url();
    if timed_out {
        return Refusal::later(format!("no answer within {timeout:?}"));
    }
    let why = chain(&error);
    match tls_failure(&error) {
        Some(failure) => Refusal::stop(why, hint(failure, TLS_HINT)),
        None if builder => Refusal::stop(why, "check `url` and `headers`"),
        None if why.contains(PROXY_KNOWS_US_NOT) => Refusal::stop(why, PROXY_HINT),
        None => Refusal::later(why),
    }
}

const TLS_HINT: &str =
    "check `tls.ca_file` (who signed the collector's certificate), the name in `url`, and the client certificate";

/// What the library says of a proxy that it does not get through, and of one that wants to know who we are.
const IN_THE_TUNNEL: &str = "tunnel error";
const PROXY_KNOWS_US_NOT: &str = "proxy authorization required";
const PROXY_HINT: &str = "this is about the proxy of HTTPS_PROXY (of HTTP_PROXY for http://) in the agent's environment: check its address, and \
                          user and password there; or name the host in NO_PROXY";

fn unreachable_because(error: reqwest::Error, timeout: Duration) -> ProbeError {
    let connecting = error.is_connect();
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let why = if timed_out { format!("no answer within {timeout:?}") } else { chain(&error) };
    let (step, hint) = if let Some(failure) = tls_failure(&error) {
        (Step::Tls, hint(failure, TLS_HINT))
    } else if why.contains(IN_THE_TUNNEL) {
        (if is_resolve_failure(&error) { Step::Resolve } else { Step::Connect }, PROXY_HINT)
    } else if is_resolve_failure(&error) {
        (Step::Resolve, "check the host name in `url`, and this machine's DNS")
    } else if connecting {
        (Step::Connect, "check host and port in `url`, and the firewalls between")
    } else {
        (Step::Answer, "see the collector's own log")
    };
    ProbeError { step, why, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Fri, 06 Nov 2026 08:00:00 GMT").unwrap();
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Fri, 06 Nov 2026 08:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(parse_retry_after("Fri, 06 Nov 2026 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", now), None);
    }

    #[test]
    fn a_batch_is_encoded_to_the_same_bytes_every_time() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(encode(b"a\nb\n", compression).unwrap(), encode(b"a\nb\n", compression).unwrap());
        }
    }
}
