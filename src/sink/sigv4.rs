//! Requests to Amazon's services that are signed by us: Signature Version 4, with credentials from the configuration or from the AWS
//! chain.
//!
//! Owns the credentials that it was given last. They are asked for again shortly before they expire, every few minutes where they
//! do not say when, since files and environments of credentials change, and after an answer that did not know us.

use std::time::{Duration, Instant, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::config::Region;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use tokio::sync::{Mutex, OnceCell};

use super::Refusal;
use super::tls::chain;
use crate::config::plan::S3Credentials;

/// Before they expire, so that none expires on its way.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Where they do not expire.
const RENEW_AFTER: Duration = Duration::from_secs(600);

/// Signs requests to one service in one region.
#[derive(Debug)]
pub(super) struct Signer {
    region: String,
    service: &'static str,
    given: Option<Credentials>,
    /// Made at the first request: where there is no metadata service it takes its time.
    provider: OnceCell<SharedCredentialsProvider>,
    held: Mutex<Option<(Credentials, Instant)>>,
}

impl Signer {
    /// Looks for no credentials yet.
    pub(super) fn new(region: &str, service: &'static str, given: Option<&S3Credentials>) -> Self {
        let given = given.map(|given| {
            Credentials::new(&given.access_key_id, given.secret_access_key.expose(), None, None, "configuration")
        });
        Signer { region: region.to_owned(), service, given, provider: OnceCell::new(), held: Mutex::new(None) }
    }

    /// What a request needs in its head so that it is signed. `body` is as it is sent.
    pub(super) async fn headers(&self, method: &Method, url: &Url, body: &[u8]) -> Result<HeaderMap, Refusal> {
        let credentials = self.credentials().await?;
        signed(&credentials, &self.region, self.service, SystemTime::now(), (method, url, body))
            .map_err(|why| Refusal::stop(format!("cannot sign the request: {why}"), "check `url` and `aws_region`"))
    }

    /// The far side did not know us: other credentials may be there by the next time.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn credentials(&self) -> Result<Credentials, Refusal> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let mut held = self.held.lock().await;
        if let Some((credentials, since)) = held.as_ref()
            && is_fresh(credentials.expiry(), since.elapsed(), SystemTime::now())
        {
            return Ok(credentials.clone());
        }
        let provider = self.provider.get_or_try_init(|| provider(&self.region)).await?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            Refusal::stop(
                format!("no AWS credentials: {}", chain(&error)),
                "give the agent a role, or set `access_key_id` and `secret_access_key`",
            )
        })?;
        *held = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }
}

fn is_fresh(expiry: Option<SystemTime>, held_for: Duration, now: SystemTime) -> bool {
    match expiry {
        Some(expiry) => now + RENEW_BEFORE < expiry,
        None => held_for < RENEW_AFTER,
    }
}

/// Environment, profile, SSO, process, web identity, ECS or instance metadata.
async fn provider(region: &str) -> Result<SharedCredentialsProvider, Refusal> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http);
    let found = loader.region(Region::new(region.to_owned())).load().await;
    found.credentials_provider().ok_or_else(|| {
        Refusal::stop("no AWS credentials", "give the agent a role, or set `access_key_id` and `secret_access_key`")
    })
}

/// The body's hash is sent along: OpenSearch Serverless wants it, the others do not mind.
fn signed(
    credentials: &Credentials,
    region: &str,
    service: &str,
    time: SystemTime,
    (method, url, body): (&Method, &Url, &[u8]),
) -> Result<HeaderMap, String> {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let params = SigningParams::builder().identity(&identity).region(region).name(service).time(time);
    let params = params.settings(settings).build().map_err(|error| error.to_string())?.into();
    let request = SignableRequest::new(method.as_str(), url.as_str(), std::iter::empty(), SignableBody::Bytes(body));
    let signed = sign(request.map_err(|error| chain(&error))?, &params).map_err(|error| chain(&error))?;
    let mut headers = HeaderMap::new();
    for (name, value) in signed.output().headers() {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_with_its_body_and_for_its_service() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
        let url = Url::parse("https://search.example/logs/_bulk?filter_path=errors").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let signed = signed(&credentials, "eu-central-1", "aoss", time, (&Method::POST, &url, b"{}\n")).unwrap();
        let header = |name: &str| signed.get(name).unwrap().to_str().unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/aoss/aws4_request, ";
        assert!(header("authorization").starts_with(scope), "{}", header("authorization"));
        assert!(
            header("authorization")
                .contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,")
        );
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        assert_eq!(header("x-amz-content-sha256").len(), 64);
        assert!(signed.get("authorization").unwrap().is_sensitive());
    }

    #[test]
    fn credentials_are_renewed_before_they_expire_and_now_and_then() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert!(is_fresh(Some(now + Duration::from_secs(301)), Duration::from_secs(9_999), now));
        assert!(!is_fresh(Some(now + Duration::from_secs(299)), Duration::ZERO, now));
        assert!(is_fresh(None, Duration::from_secs(599), now) && !is_fresh(None, Duration::from_secs(600), now));
    }
}
