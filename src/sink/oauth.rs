//! Access tokens: got from a token endpoint, kept till shortly before they expire, and got anew when the destination no longer takes one.
//!
//! Two ways to ask for one: a client's id and secret (RFC 6749 4.4), and a statement signed with a service account's key (RFC 7523 2.1).
//!
//! The hard case is a 401. Of a token that was kept it says little: it may have been revoked, or the clocks differ; the next one may be taken, so
//! that is a case for trying again. Of a token that is new it says that the destination does not take this client.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde::Deserialize;

use super::web::{Answer, Web, bearer, secret_value};
use super::{ProbeError, Refusal, Step};
use crate::clock;
use crate::config::plan::{Compression, OauthPlan, TlsPlan, TlsVersion};

/// Tokens that list a client's groups have some kilobytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Where the endpoint does not say for how long its token is good.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);
/// A token is not used in its last tenth, nor in its last minute: the request that carries it takes its time.
const RESERVE_MAX: Duration = Duration::from_secs(60);
/// How long a signed statement is good: the most that RFC 7523's best-known reader, Google, takes.
const STATEMENT_LIFE_S: u64 = 3600;

/// Where tokens come from, and the one that is kept.
#[derive(Debug)]
pub(super) struct Tokens {
    web: Web,
    grant: Grant,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
enum Grant {
    Client(OauthPlan),
    Account(Account),
}

#[derive(Debug)]
struct Kept {
    value: HeaderValue,
    until: Instant,
}

/// A token, for one request.
#[derive(Debug)]
pub(super) struct Bearer {
    value: HeaderValue,
    /// It was got for this request.
    is_new: bool,
}

/// What of a token endpoint's answer is read.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// The same of one that grants nothing.
#[derive(Deserialize, Default)]
struct Denied {
    #[serde(default)]
    error: String,
}

impl Tokens {
    /// Of a client with a secret. Reads the certificates; connects to nothing.
    /// The endpoint is not the destination: its authority is its own, and its certificate is always looked at.
    pub(super) fn of_client(plan: &OauthPlan, min_version: TlsVersion, timeout: Duration) -> Result<Self, Refusal> {
        let tls = TlsPlan { ca_file: plan.ca_file.clone(), min_version, ..TlsPlan::default() };
        Tokens::new(&plan.token_url, &tls, timeout, Grant::Client(plan.clone()))
    }

    /// Of a service account.
    pub(super) fn of_account(account: Account, min_version: TlsVersion, timeout: Duration) -> Result<Self, Refusal> {
        let url = account.token_url.clone();
        Tokens::new(&url, &TlsPlan { min_version, ..TlsPlan::default() }, timeout, Grant::Account(account))
    }

    fn new(url: &str, tls: &TlsPlan, timeout: Duration, grant: Grant) -> Result<Self, Refusal> {
        let web = Web::new(url, tls, HeaderMap::new(), Compression::None, timeout).map_err(of_endpoint)?;
        Ok(Tokens { web, grant, kept: Mutex::new(None) })
    }

    /// The token that is kept, or a new one.
    pub(super) async fn bearer(&self) -> Result<Bearer, Refusal> {
        if let Some(value) = self.kept() {
            return Ok(Bearer { value, is_new: false });
        }
        let (token, life) = self.fetch().await?;
        let value = bearer(&token, "access_token")?;
        let until = Instant::now() + life.saturating_sub(RESERVE_MAX.min(life / 10));
        *self.lock() = Some(Kept { value: value.clone(), until });
        Ok(Bearer { value, is_new: true })
    }

    /// What an answer means to a request that `bearer` was sent with, where its protocol says `refusal`.
    pub(super) fn refused(&self, bearer: &Bearer, status: StatusCode, refusal: Refusal) -> Refusal {
        if status == StatusCode::UNAUTHORIZED { self.denied(bearer, refusal) } else { refusal }
    }

    /// The same, of a protocol without statuses that does not let `bearer` in.
    pub(super) fn denied(&self, bearer: &Bearer, refusal: Refusal) -> Refusal {
        *self.lock() = None;
        if bearer.is_new { refusal } else { Refusal::later("refused a token that it took before: fetching another") }
    }

    /// A token, for a probe.
    pub(super) async fn probe(&self) -> Result<Bearer, ProbeError> {
        self.bearer().await.map_err(|refusal| ProbeError::at(Step::Authenticate, refusal))
    }

    fn kept(&self) -> Option<HeaderValue> {
        let kept = self.lock();
        kept.as_ref().filter(|kept| Instant::now() < kept.until).map(|kept| kept.value.clone())
    }

    /// Held for a moment only, never over an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<(String, Duration), Refusal> {
        let (form, headers) = match &self.grant {
            Grant::Client(plan) => client_form(plan)?,
            Grant::Account(account) => (account.form()?, HeaderMap::new()),
        };
        let body = form.into_bytes();
        let url = self.web.url().clone();
        let answer = self.web.post(url, "application/x-www-form-urlencoded", headers, body, ANSWER_MAX_BYTES).await;
        granted(answer.map_err(of_endpoint)?)
    }
}

impl Bearer {
    /// `Bearer …`.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.to_str().ok()
    }

    /// Put into a request's headers.
    pub(super) fn put_into(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.value.clone());
    }
}

/// What a client sends: its id and secret in the body, as most endpoints want it, or in a header, as RFC 6749 2.3.1 prefers.
fn client_form(plan: &OauthPlan) -> Result<(String, HeaderMap), Refusal> {
    let secret = plan.client_secret.expose();
    let mut fields = vec![("grant_type", "client_credentials")];
    fields.extend(plan.scope.as_deref().map(|scope| ("scope", scope)));
    fields.extend(plan.audience.as_deref().map(|audience| ("audience", audience)));
    let mut headers = HeaderMap::new();
    if plan.basic {
        let pair = format!("{}:{}", encoded(&plan.client_id), encoded(&secret));
        let Some(value) = secret_value(&format!("Basic {}", STANDARD.encode(pair))) else {
            return Err(Refusal::stop("`client_id` and `client_secret` cannot be sent", "use visible ASCII only"));
        };
        headers.insert(AUTHORIZATION, value);
    } else {
        fields.extend([("client_id", plan.client_id.as_str()), ("client_secret", secret.as_str())]);
    }
    Ok((form(&fields), headers))
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn encoded(text: &str) -> String {
    form(&[("", text)]).trim_start_matches('=').to_owned()
}

fn granted(answer: Answer) -> Result<(String, Duration), Refusal> {
    let status = answer.status;
    if status.is_success() {
        let Ok(granted) = serde_json::from_slice::<Granted>(&answer.body) else {
            return Err(Refusal::stop(
                format!("the token endpoint answered {status} without a token"),
                "check `token_url`",
            ));
        };
        let life = granted.life();
        return Ok((granted.access_token, life));
    }
    let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
    match of_endpoint(answer.refusal(hint)) {
        // The word is one of RFC 6749's, or nothing that could be told without care.
        Refusal::Stop { why, hint } if denied.is_a_word() => {
            Err(Refusal::Stop { why: format!("{why}: {}", denied.error), hint })
        }
        refusal => Err(refusal),
    }
}

impl Granted {
    /// Some endpoints write the number as text.
    fn life(&self) -> Duration {
        let seconds =
            self.expires_in.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        seconds.map_or(LIFE_DEFAULT, |seconds| Duration::from_secs(seconds.min(30 * 86_400)))
    }
}

impl Denied {
    fn is_a_word(&self) -> bool {
        let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        (1..=40).contains(&self.error.len()) && self.error.bytes().all(is_of_word)
    }
}

/// Says whose refusal it is.
fn of_endpoint(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Later { after, why } => Refusal::Later { after, why: format!("no token: {why}") },
        Refusal::Stop { why, hint } => {
            Refusal::Stop { why: format!("no token: {why}"), hint: format!("of the token endpoint: {hint}") }
        }
        // A form is never too large.
        Refusal::Split { why, .. } | Refusal::Partly { why, .. } => {
            Refusal::stop(format!("no token: {why}"), "of the token endpoint: check its URL")
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        400 | 401 => "check `client_id`, `client_secret` and `scope`, and whether the secret has expired",
        403 => "the client is known and may not have a token for that: give it the right",
        404 | 405 => "check its URL",
        _ => "see its own log",
    }
}

/// A service account's key, as its JSON file has it.
pub(super) struct Account {
    token_url: String,
    email: String,
    key_id: String,
    scope: &'static str,
    key: std::sync::Arc<dyn SigningKey>,
}

#[derive(Deserialize)]
struct AccountFile {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    token_uri: String,
}

impl Account {
    /// Reads the content of a key file. What is wrong with it is said without any of it.
    pub(super) fn read(json: &[u8], scope: &'static str) -> Result<Self, Refusal> {
        let hint = "download a JSON key of the service account and name that file";
        let wrong = |what: &str| Refusal::stop(format!("`credentials_file` {what}"), hint);
        let file: AccountFile =
            serde_json::from_slice(json).map_err(|_| wrong("is not a service account's key in JSON"))?;
        let key = PrivateKeyDer::from_pem_slice(file.private_key.as_bytes())
            .map_err(|_| wrong("holds no private key in PEM"))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key)
            .map_err(|_| wrong("holds a private key that cannot be used"))?;
        Ok(Account { token_url: file.token_uri, email: file.client_email, key_id: file.private_key_id, scope, key })
    }

    fn form(&self) -> Result<String, Refusal> {
        let statement = self.statement(clock::unix_ms() / 1000)?;
        Ok(form(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &statement)]))
    }

    /// A JSON Web Token, signed with RS256 (RFC 7519, RFC 7518 3.3).
    fn statement(&self, now_s: u64) -> Result<String, Refusal> {
        let head = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = serde_json::json!({
            "iss": self.email,
            "scope": self.scope,
            "aud": self.token_url,
            "iat": now_s,
            "exp": now_s + STATEMENT_LIFE_S,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let refused =
            || Refusal::stop("the service account's key is no RSA key", "use a key of the kind that Google makes");
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(refused)?;
        let signature = signer.sign(signed.as_bytes()).map_err(|_| refused())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("email", &self.email).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn plan(basic: bool) -> OauthPlan {
        OauthPlan {
            token_url: "https://login.example/token".to_owned(),
            client_id: "id of+it".to_owned(),
            client_secret: Secret::new("a&b=c".to_owned()),
            scope: Some("x/.default".to_owned()),
            audience: None,
            basic,
            ca_file: None,
        }
    }

    #[test]
    fn a_secret_is_encoded_in_the_body_or_in_the_header() {
        let (body, headers) = client_form(&plan(false)).unwrap();
        assert_eq!(
            body,
            "grant_type=client_credentials&scope=x%2F.default&client_id=id+of%2Bit&client_secret=a%26b%3Dc"
        );
        assert!(headers.is_empty());
        let (body, headers) = client_form(&plan(true)).unwrap();
        assert_eq!(body, "grant_type=client_credentials&scope=x%2F.default");
        // RFC 6749 2.3.1: each is form-encoded before the two are joined.
        assert_eq!(headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("id+of%2Bit:a%26b%3Dc")));
    }

    #[test]
    fn a_life_is_a_number_or_its_text() {
        let life = |json: &str| serde_json::from_str::<Granted>(json).map(|granted| granted.life().as_secs()).ok();
        assert_eq!(life(r#"{"access_token":"t","expires_in":3599}"#), Some(3599));
        assert_eq!(life(r#"{"access_token":"t","expires_in":"60"}"#), Some(60));
        assert_eq!(life(r#"{"access_token":"t"}"#), Some(300));
        assert_eq!(life(r#"{"expires_in":1}"#), None);
    }

    #[test]
    fn only_a_word_of_an_error_is_told() {
        let told = |error: &str| Denied { error: error.to_owned() }.is_a_word();
        assert!(told("invalid_client") && !told("") && !told("Bad secret hunter2"));
    }
}
