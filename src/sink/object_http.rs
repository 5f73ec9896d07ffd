//! What the object stores share that are spoken to with requests of our own: sending an object, comparing what lies there, and what
//! their answers mean.
//!
//! A library says who we are (tokens, signatures); the requests are ours, because what decides is what libraries hide: the condition
//! under which an object is put, the lock that it is put with, and which status with which `Retry-After` came back.

use std::error::Error;
use std::time::{Duration, SystemTime};

use object_store::client::{ClientOptions, HttpError};
use object_store::{Certificate, RetryConfig};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Request, Response, Url};

use super::object::{Upload, other_content};
use super::tls::{causes, chain, is_resolve_failure, tls_failure};
use super::web::{Web, retry_after};
use super::{Accepted, ProbeError, Refusal, Step, read_named};
use crate::config::plan::{Compression, TlsPlan};

/// So much of an answer is read: enough for a reason.
const ANSWER_MAX_BYTES: usize = 4096;
/// A vendor's word for what is wrong is no longer than this.
const CODE_MAX_BYTES: usize = 64;

/// A store that is spoken to over HTTP.
#[derive(Debug)]
pub(super) struct ObjectWeb {
    web: Web,
    timeout: Duration,
    /// What to do about an answer that will not pass by itself, by status and the vendor's word.
    hint: fn(u16, &str) -> &'static str,
    /// The vendor's word in an answer.
    code: fn(&HeaderMap, &[u8]) -> Option<String>,
}

/// An answer that is no object.
#[derive(Debug)]
pub(super) struct Told {
    pub status: u16,
    /// The vendor's word for what is wrong; may be empty.
    pub code: String,
    after: Option<Duration>,
    /// Where else to go; a token may stand in it.
    pub location: Option<String>,
}

impl ObjectWeb {
    pub(super) fn new(
        endpoint: &str,
        tls: &TlsPlan,
        timeout: Duration,
        hint: fn(u16, &str) -> &'static str,
        code: fn(&HeaderMap, &[u8]) -> Option<String>,
    ) -> Result<Self, Refusal> {
        let web = Web::new(endpoint, tls, HeaderMap::new(), Compression::None, timeout).map_err(of_endpoint)?;
        Ok(ObjectWeb { web, timeout, hint, code })
    }

    /// An address in the store, its path as it is to be sent.
    pub(super) fn url(&self, path: &str) -> Url {
        self.web.url_of(path)
    }

    /// A request without headers or body.
    pub(super) fn request(&self, method: Method, url: Url, timeout: Duration) -> Request {
        let mut request = Request::new(method, url);
        *request.timeout_mut() = Some(timeout);
        request
    }

    /// Sends what has no object in it.
    pub(super) async fn tell(&self, request: Request) -> Result<Told, Refusal> {
        let response = self.web.execute(request).await.map_err(of_endpoint)?;
        Ok(self.told(response).await)
    }

    /// Sends an object.
    pub(super) async fn put(&self, request: Request) -> Result<Told, Refusal> {
        self.tell(request).await
    }

    /// Whether what lies there is the same; `request` asks for it.
    pub(super) async fn compare(&self, request: Request, upload: &Upload) -> Result<Accepted, Refusal> {
        let mut response = self.web.execute(request).await.map_err(of_endpoint)?;
        if !response.status().is_success() {
            return Err(self.cannot_compare(self.told(response).await));
        }
        let mut comparison = upload.comparison();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if comparison.take(&piece) => {}
                Ok(Some(_)) => return Err(other_content(&upload.name)),
                Ok(None) => break,
                Err(error) => {
                    return Err(Refusal::later(format!("comparing broke off: {}", chain(&error.without_url()))));
                }
            }
        }
        if comparison.ends_the_same() { Ok(Accepted { bytes: 0 }) } else { Err(other_content(&upload.name)) }
    }

    /// What an answer means that is no success.
    pub(super) fn refusal(&self, told: &Told) -> Refusal {
        let why = format!("answered {} {}", told.status, told.code).trim_end().to_owned();
        match told.status {
            408 | 409 | 425 | 429 | 500..=599 => Refusal::Later { after: told.after, why },
            301..=308 => {
                // What follows a question mark may be a token.
                let to = told.location.as_deref().and_then(|text| text.split(['?', '#']).next());
                let to = to.filter(|text| !text.contains('@')).unwrap_or("elsewhere");
                Refusal::stop(why, format!("redirects are not followed, and this one leads to {to}: check `endpoint`"))
            }
            status => Refusal::stop(why, (self.hint)(status, &told.code)),
        }
    }

    fn cannot_compare(&self, told: Told) -> Refusal {
        match self.refusal(&told) {
            // Taken a moment ago, gone now: the next try decides.
            Refusal::Stop { why, .. } if told.status == 404 => Refusal::later(why),
            Refusal::Stop { why, hint } => {
                Refusal::stop(format!("the name is taken, and what is there cannot be compared: {why}"), hint)
            }
            other => other,
        }
    }

    async fn told(&self, mut response: Response) -> Told {
        let status = response.status().as_u16();
        let after = retry_after(response.headers(), SystemTime::now());
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        // A body that breaks off is kept as far as it came: it only explains.
        while body.len() < ANSWER_MAX_BYTES
            && let Ok(Some(piece)) = response.chunk().await
        {
            body.extend_from_slice(&piece[..piece.len().min(ANSWER_MAX_BYTES - body.len())]);
        }
        let code = (self.code)(response.headers(), &body).filter(|code| is_word(code)).unwrap_or_default();
        Told { status, code, after, location }
    }

    /// For what is put: how long it may take.
    pub(super) fn upload_timeout(&self, upload: &Upload) -> Duration {
        upload.timeout(self.timeout)
    }

    /// For what is asked.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What a probe makes of an answer that is not the one it hopes for.
    pub(super) fn probe_error(&self, told: &Told) -> ProbeError {
        let step = match told.status {
            401 => Step::Authenticate,
            403 => Step::Write,
            _ => Step::Answer,
        };
        failed_at(step, self.refusal(told))
    }
}

impl Told {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A word, and not a sentence that may quote what was sent.
fn is_word(code: &str) -> bool {
    code.len() <= CODE_MAX_BYTES && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// What is shared with other destinations calls the address `url`.
fn of_endpoint(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Stop { why, hint } => Refusal::Stop { why, hint: hint.replace("`url`", "`endpoint`") },
        other => other,
    }
}

/// A probe's request that got no answer.
pub(super) fn unreachable(refusal: Refusal) -> ProbeError {
    let step = match &refusal {
        Refusal::Stop { .. } => Step::Tls,
        Refusal::Later { why, .. } if why.contains("dns error") || why.contains("failed to lookup") => Step::Resolve,
        _ => Step::Connect,
    };
    failed_at(step, refusal)
}

pub(super) fn failed_at(step: Step, refusal: Refusal) -> ProbeError {
    match refusal {
        Refusal::Stop { why, hint } => ProbeError { step, why, hint },
        Refusal::Later { why, .. } | Refusal::Split { why, .. } | Refusal::Partly { why, .. } => {
            ProbeError { step, why, hint: "check `endpoint`, and the firewalls between; or try again".to_owned() }
        }
    }
}

/// How the library fetches tokens: once, within our time-out, with the destination's authority beside the system's.
/// Over plain http only where the store itself is spoken to so, which is a test's.
pub(super) fn token_options(endpoint: &str, tls: &TlsPlan, timeout: Duration) -> Result<ClientOptions, Refusal> {
    super::tls::use_ring();
    let mut options = ClientOptions::new()
        .with_timeout(timeout)
        .with_connect_timeout(timeout)
        .with_allow_http(endpoint.starts_with("http://"));
    if let Some(path) = &tls.ca_file {
        let pem = read_named(path, "ca_file")?;
        let roots = Certificate::from_pem_bundle(&pem)
            .map_err(|error| Refusal::stop(format!("cannot use ca_file: {}", chain(&error)), "write PEM there"))?;
        for root in roots {
            options = options.with_root_certificate(root);
        }
    }
    Ok(options)
}

/// The courier tries again, not the library.
pub(super) fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// The library could not say who we are. What a token service answers is left out: it may quote what it was sent.
pub(super) fn no_token(error: &object_store::Error, hint: &'static str) -> Refusal {
    let said = chain(error);
    if is_network(error) {
        return match tls_failure(error) {
            Some(_) => Refusal::stop(
                format!("no token: {said}"),
                "check `tls.ca_file`, and who signed the token service's certificate",
            ),
            None => Refusal::later(format!("no token: {said}")),
        };
    }
    match status_in(&said) {
        Some(status @ (408 | 425 | 429 | 500..=599)) => {
            Refusal::later(format!("no token: its service answered {status}"))
        }
        Some(status) => Refusal::stop(format!("no token: its service answered {status}"), hint),
        None => Refusal::stop(format!("no token: {}", said.lines().next().unwrap_or_default()), hint),
    }
}

/// No answer, rather than one that says no.
fn is_network(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<HttpError>()) || is_resolve_failure(error)
}

/// The status in what the library says: it keeps it in words alone.
fn status_in(said: &str) -> Option<u16> {
    let (_, after) = said.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_of_an_answer_is_told() {
        assert!(is_word("BlobAlreadyExists") && is_word("conditionNotMet") && is_word(""));
        assert!(!is_word("the token abc was refused") && !is_word(&"x".repeat(65)));
    }

    #[test]
    fn the_status_of_a_token_service_is_found_in_what_the_library_says() {
        assert_eq!(status_in("Server returned non-2xx status code: 401 Unauthorized: {}"), Some(401));
        assert_eq!(status_in("status code: "), None);
        assert_eq!(status_in("no such file"), None);
    }
}
