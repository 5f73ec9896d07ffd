//! An HTTP collector that takes NDJSON by POST.
//!
//! Every request names its lines (`Idempotency-Key: <origin>/<first>-<last>/<content>`) and its bytes (`Content-Digest`, RFC 9530, over the
//! body as sent), so that a collector can tell a second delivery from a first and a damaged one from a whole one. Batches are
//! cut the same way every time, so the key of a batch is the same however often it is sent.
//!
//! Redirects are not followed: evidence goes where the operator said, or nowhere.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Certificate, Client, Identity, Method, Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use super::tls::{chain, is_resolve_failure, tls_failure, use_ring};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Sink, Step, Takes, read_named};
use crate::config::plan::{Compression, HttpPlan, TlsPlan};
use crate::hex::hex;

/// A connection that is not made by then will not be.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// So much of an answer is read: enough for a reason, too little to hurt.
const ANSWER_MAX_BYTES: usize = 4096;
/// An unused connection is closed before most servers and balancers do it.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(55);
/// Speed matters more than the last percent: bodies are sent once.
const GZIP_LEVEL: u32 = 4;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// `type = "http"`.
#[derive(Debug)]
pub struct HttpSink {
    client: Client,
    url: Url,
    headers: HeaderMap,
    compression: Compression,
    batch_max_bytes: usize,
    timeout: Duration,
}

impl HttpSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &HttpPlan) -> Result<Self, Refusal> {
        let url = Url::parse(&plan.url)
            .map_err(|error| Refusal::stop(format!("`url` is not a URL: {error}"), "write it as https://host/path"))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            let host = url.host_str().unwrap_or_default();
            tracing::warn!(host, "records travel unencrypted: `url` is neither https nor on this machine");
        }
        Ok(HttpSink {
            client: client(plan)?,
            url,
            headers: headers(plan)?,
            compression: plan.compression,
            batch_max_bytes: plan.batch_max_bytes,
            timeout: plan.timeout,
        })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let body = encode(lines.ndjson, self.compression)
            .map_err(|error| Refusal::later(format!("cannot compress the batch: {error}")))?;
        let bytes = body.len() as u64;
        let mut request = self.client.post(self.url.clone()).headers(self.headers.clone());
        request = request.header("content-digest", content_digest(&body));
        request = request.header("idempotency-key", idempotency_key(lines));
        request = request.header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(encoding) = encoding(self.compression) {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        match request.body(body).send().await {
            Ok(response) => judge(response).await.map(|()| Accepted { bytes }),
            Err(error) => Err(failed(error, self.timeout)),
        }
    }

    /// OPTIONS asks without writing. Collectors that know no OPTIONS say 404, 405 or 501, which is an answer all the same.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let request = self.client.request(Method::OPTIONS, self.url.clone()).headers(self.headers.clone());
        let response = request.send().await.map_err(|error| unreachable_because(error, self.timeout))?;
        let status = response.status();
        let step = match status.as_u16() {
            401 | 403 => Step::Authenticate,
            404 | 405 | 501 => {
                return Ok(Probed { checked: "reached; it does not answer OPTIONS, so that the token is not checked" });
            }
            _ => Step::Answer,
        };
        match judge(response).await {
            Ok(()) => Ok(Probed { checked: "reached, and OPTIONS is answered well; writing is not checked" }),
            Err(Refusal::Stop { why, hint }) => Err(ProbeError { step, why, hint }),
            Err(Refusal::Later { why, .. } | Refusal::Split { why, .. }) => {
                Err(ProbeError { step, why, hint: "try again, or ask whoever runs it".to_owned() })
            }
        }
    }
}

impl Sink for HttpSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move {
            match batch {
                Batch::Lines(lines) => self.post(lines).await,
                Batch::Segment(_) => Err(Refusal::stop("a collector takes lines only", "this is a fault of the agent")),
            }
        })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn client(plan: &HttpPlan) -> Result<Client, Refusal> {
    use_ring();
    let mut builder = Client::builder()
        .user_agent(concat!("sealtrail/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(plan.timeout.min(CONNECT_TIMEOUT_MAX))
        .timeout(plan.timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true);
    if let Some(path) = &plan.tls.ca_file {
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
    if let Some(identity) = identity(&plan.tls)? {
        builder = builder.identity(identity);
    }
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

fn headers(plan: &HttpPlan) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in &plan.headers {
        let valid = HeaderName::try_from(name.as_str()).ok().zip(secret_value(value.expose()));
        let Some((header, value)) = valid else {
            return Err(Refusal::stop(format!("`headers`: {name} is no HTTP header"), "use visible ASCII only"));
        };
        headers.insert(header, value);
    }
    if let Some(token) = &plan.token {
        let Some(value) = secret_value(&format!("Bearer {}", token.expose().trim())) else {
            return Err(Refusal::stop("`token` has bytes that no header can hold", "use visible ASCII only"));
        };
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A header value that is never printed.
fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The content is part of it: should a trail go on from an older state of its folder, numbers are given to other lines, and a collector that
/// looks at keys only must not take these for a second delivery.
fn idempotency_key(lines: &Lines<'_>) -> String {
    let digest = hex(&Sha256::digest(lines.ndjson)[..8]);
    format!("{}/{}-{}/{digest}", lines.origin, lines.first, lines.last)
}

fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn encoding(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
    }
}

fn encode(ndjson: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
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

/// What a status means, and nothing of what the answer's body says beyond the dead-letter folder.
async fn judge(response: Response) -> Result<(), Refusal> {
    let status = response.status();
    if status.is_success() || status == StatusCode::CONFLICT {
        // The rest is read so that the connection can be used again; an answer that breaks off changes no verdict.
        answer(response).await;
        return Ok(());
    }
    let why = format!("answered {status}");
    match status.as_u16() {
        413 => Err(Refusal::Split { why, answer: format!("{status}\n\n{}", answer(response).await) }),
        408 | 425 | 429 | 500..=599 => {
            let after = retry_after(response.headers(), SystemTime::now());
            answer(response).await;
            Err(Refusal::Later { after, why })
        }
        300..=399 => Err(redirected(&response, why)),
        other => Err(Refusal::stop(why, hint(other))),
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "check `token` or `headers`: the collector does not know this agent",
        403 => "the collector knows this agent and does not let it write: give it the right, or another token",
        404 | 410 => "check the path in `url`",
        405 => "the collector takes no POST there: check the path in `url`",
        415 => "the collector wants another `compression`",
        400 | 422 => "the collector does not take NDJSON as it is sent: see its own log",
        _ => "see the collector's own log",
    }
}

fn redirected(response: &Response, why: String) -> Refusal {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    // What follows a question mark may be a token.
    let location = location.and_then(|text| text.split(['?', '#']).next()).filter(|text| !text.contains('@'));
    let target = location.map_or_else(|| "the final address".to_owned(), |text| format!("`{text}`"));
    Refusal::stop(why, format!("redirects are not followed: if that is right, write {target} as `url`"))
}

/// The first bytes of an answer's body, as text.
async fn answer(mut response: Response) -> String {
    let mut body = Vec::new();
    // A body that breaks off is kept as far as it came: it is shown to a person, nothing is decided by it.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_MAX_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_MAX_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
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
        Some(_) => Refusal::stop(why, TLS_HINT),
        None if builder => Refusal::stop(why, "check `url` and `headers`"),
        None => Refusal::later(why),
    }
}

const TLS_HINT: &str =
    "check `tls.ca_file` (who signed the collector's certificate), the name in `url`, and the client certificate";

fn unreachable_because(error: reqwest::Error, timeout: Duration) -> ProbeError {
    let connecting = error.is_connect();
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let why = if timed_out { format!("no answer within {timeout:?}") } else { chain(&error) };
    let (step, hint) = if tls_failure(&error).is_some() {
        (Step::Tls, TLS_HINT)
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
    fn content_digest_is_that_of_rfc_9530() {
        // RFC 9530, appendix D: the digest of the example body.
        let body = b"{\"hello\": \"world\"}\n";
        assert_eq!(content_digest(body), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }

    #[test]
    fn other_lines_under_the_same_numbers_have_another_key() {
        let key = |ndjson| idempotency_key(&Lines { origin: "a/b", first: 7, last: 8, ndjson });
        assert_eq!(key(b"x\ny\n"), key(b"x\ny\n"));
        assert_ne!(key(b"x\ny\n"), key(b"x\nz\n"));
        assert!(key(b"x\ny\n").starts_with("a/b/7-8/"));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url| is_loopback(&Url::parse(url).unwrap());
        assert!(loopback("http://127.0.0.1:8080/") && loopback("http://[::1]/") && loopback("http://localhost/"));
        assert!(!loopback("http://10.0.0.1/") && !loopback("http://localhost.example/"));
    }

    #[test]
    fn a_batch_is_encoded_to_the_same_bytes_every_time() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(encode(b"a\nb\n", compression).unwrap(), encode(b"a\nb\n", compression).unwrap());
        }
    }
}
