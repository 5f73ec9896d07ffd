//! S3: one PUT a closed segment, never over anything.
//!
//! The key is made of the segment alone, so that a second delivery meets the first: `If-None-Match: *` answers 412, and then the
//! checksums decide. The same bytes are there: done. Others: somebody else writes under this name, and nothing of theirs
//! is touched. Two agents at once get 409 and try again.
//!
//! Lock, hold, storage class, encryption, tags and the owner that is expected travel with each PUT, the public keys' among them:
//! evidence is never there without its lock, not for a moment.
//!
//! Credentials may come from the instance's metadata service, which takes its time where there is none: the client is made
//! at the first delivery, within this destination's own task. From then on the SDK renews them before they expire.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, SharedHttpClient,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime, SdkBody};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ObjectLockEnabled, ObjectLockLegalHoldStatus, ObjectLockMode,
    ServerSideEncryption, StorageClass,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OnceCell;

use super::object::{Archive, Store, Upload, escaped, lock_end, other_content};
use super::tls::{chain, is_resolve_failure, tls_failure};
use super::web::parse_retry_after;
use super::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Sink, Step, Takes, read_named};
use crate::config::plan::{LockMode, ObjectLock, S3Encryption, S3Plan, S3Role};

/// A connection that is not made by then will not be.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// What S3 answers with 400 or 501 though it may pass: the request was damaged or cut on its way.
const PASSING_CODES: [&str; 6] = [
    "RequestTimeout",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
    "OperationAborted",
];

/// What S3 answers when it does not know who we are.
const KNOWS_US_NOT: [&str; 5] =
    ["RequestTimeTooSkewed", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"];

/// What the SDK says when there are no credentials, or when who gives them refuses: it will not pass by itself. When who gives them
/// cannot be reached it says neither.
const SAYS_NO_CREDENTIALS: [&str; 4] =
    ["no credentials found in chain", "loading credentials: service error", "StatusCode(401)", "StatusCode(403)"];
const CREDENTIALS_HINT: &str = "give the agent credentials, and `role_arn` and `external_id` as the role trusts them: docs/destinations/s3.md lists where they are looked for";

/// `type = "s3"`.
#[derive(Debug)]
pub struct S3Sink {
    plan: S3Plan,
    archive: Archive,
    http: SharedHttpClient,
    client: OnceCell<Client>,
}

impl S3Sink {
    /// Reads the CA file; connects to nothing and looks for no credentials yet.
    pub fn new(plan: &S3Plan, origin: &str, keys: PathBuf) -> Result<Self, Refusal> {
        Ok(S3Sink {
            http: http_client(plan)?,
            plan: plan.clone(),
            archive: Archive::new(&plan.prefix, origin, plan.format, keys),
            client: OnceCell::new(),
        })
    }

    async fn client(&self) -> Result<&Client, Refusal> {
        self.client.get_or_try_init(|| connect(&self.plan, &self.http)).await
    }

    /// A PUT that never replaces anything and that the server checks by itself.
    fn request(&self, client: &Client, upload: &Upload) -> PutObjectFluentBuilder {
        let plan = &self.plan;
        let put = client
            .put_object()
            .bucket(&plan.bucket)
            .key(&upload.name)
            .if_none_match("*")
            .content_type(upload.content_type)
            .content_length(i64::try_from(upload.bytes).unwrap_or(i64::MAX))
            // Named as well as given: with a lock, S3 wants to read which one it is.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(STANDARD.encode(upload.sha256))
            .set_expected_bucket_owner(plan.bucket_owner.clone())
            .set_object_lock_mode(plan.lock.map(lock_mode))
            .set_object_lock_retain_until_date(plan.lock.map(retain_until))
            .set_object_lock_legal_hold_status(plan.legal_hold.then_some(ObjectLockLegalHoldStatus::On))
            .set_storage_class(plan.storage_class.as_deref().map(StorageClass::from))
            .set_server_side_encryption(plan.encryption.as_ref().map(encryption))
            .set_ssekms_key_id(plan.encryption.as_ref().and_then(kms_key))
            .set_tagging(tagging(plan));
        put.body(ByteStream::new(SdkBody::from_body_1_x(upload.body())))
    }

    /// The key is taken: by the same?
    async fn compare(&self, client: &Client, upload: &Upload) -> Result<Accepted, Refusal> {
        let same = match self.stored_checksum(client, &upload.name).await? {
            Some(there) if there == STANDARD.encode(upload.sha256) => true,
            Some(_) if !upload.may_differ() => false,
            _ => self.download_is_same(client, upload).await?,
        };
        if same { Ok(Accepted { bytes: 0 }) } else { Err(other_content(&upload.name)) }
    }

    /// SHA-256 that the server keeps with the object; `None` where it keeps none of the whole object.
    async fn stored_checksum(&self, client: &Client, key: &str) -> Result<Option<String>, Refusal> {
        let head = client.head_object().bucket(&self.plan.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        let head = head.set_expected_bucket_owner(self.plan.bucket_owner.clone()).send().await;
        let head = head.map_err(|error| cannot_compare(&error))?;
        // A composite checksum, of parts, ends with their number.
        Ok(head.checksum_sha256().filter(|checksum| !checksum.contains('-')).map(str::to_owned))
    }

    async fn download_is_same(&self, client: &Client, upload: &Upload) -> Result<bool, Refusal> {
        let get = client.get_object().bucket(&self.plan.bucket).key(&upload.name);
        let get = get.set_expected_bucket_owner(self.plan.bucket_owner.clone()).send();
        let mut body = get.await.map_err(|error| cannot_compare(&error))?.body;
        let mut comparison = upload.comparison();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Refusal::later(format!("comparing broke off: {}", chain(&error))))?;
            if !comparison.take(&chunk) {
                return Ok(false);
            }
        }
        Ok(comparison.ends_the_same())
    }

    /// Begins a multipart upload as objects are put, and aborts it: needs the same rights, and no object ever appears.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let client = self.client().await.map_err(|refusal| failed_at(Step::Configure, refusal))?;
        let lock_was_seen = self.ask_for_lock(client).await?;
        let (plan, key) = (&self.plan, self.archive.probe_name());
        let begin = client
            .create_multipart_upload()
            .bucket(&plan.bucket)
            .key(&key)
            .set_expected_bucket_owner(plan.bucket_owner.clone())
            .set_object_lock_mode(plan.lock.map(lock_mode))
            .set_object_lock_retain_until_date(plan.lock.map(retain_until))
            .set_object_lock_legal_hold_status(plan.legal_hold.then_some(ObjectLockLegalHoldStatus::On))
            .set_storage_class(plan.storage_class.as_deref().map(StorageClass::from))
            .set_server_side_encryption(plan.encryption.as_ref().map(encryption))
            .set_ssekms_key_id(plan.encryption.as_ref().and_then(kms_key))
            .set_tagging(tagging(plan));
        let begun = begin.send().await.map_err(|error| failed_at(step(&error), refusal(&error)))?;
        let abort = client.abort_multipart_upload().bucket(&plan.bucket).key(&key);
        let abort = abort.set_expected_bucket_owner(plan.bucket_owner.clone()).set_upload_id(begun.upload_id);
        // What is left over is no object and holds no bytes; the bucket's lifecycle rule takes it away.
        let checked = match (abort.send().await.is_ok(), lock_was_seen) {
            (true, true) => "reached, authenticated, and may write",
            (false, true) => "reached, authenticated, and may write; s3:AbortMultipartUpload is not allowed",
            (true, false) => {
                "reached, authenticated, and may write; whether the bucket has Object Lock was not answered \
                 (s3:GetBucketObjectLockConfiguration)"
            }
            (false, false) => {
                "reached, authenticated, and may write; neither s3:AbortMultipartUpload nor \
                 s3:GetBucketObjectLockConfiguration is allowed"
            }
        };
        Ok(Probed { checked })
    }

    /// Whether the bucket can hold locks, where objects are to have one. `false`: it does not say.
    async fn ask_for_lock(&self, client: &Client) -> Result<bool, ProbeError> {
        if self.plan.lock.is_none() && !self.plan.legal_hold {
            return Ok(true);
        }
        let ask = client.get_object_lock_configuration().bucket(&self.plan.bucket);
        let none = ProbeError {
            step: Step::Answer,
            why: format!("the bucket {} has no Object Lock", self.plan.bucket),
            hint: "switch it on, which needs versioning: docs/destinations/s3.md says how".to_owned(),
        };
        match ask.set_expected_bucket_owner(self.plan.bucket_owner.clone()).send().await {
            Ok(found) => {
                let enabled = found.object_lock_configuration.and_then(|found| found.object_lock_enabled);
                if enabled == Some(ObjectLockEnabled::Enabled) { Ok(true) } else { Err(none) }
            }
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Err(none),
            // What keeps it from answering this keeps it from answering the next question, or is a right that is not needed.
            Err(error) if status(&error).is_some() => Ok(false),
            Err(error) => Err(failed_at(step(&error), refusal(&error))),
        }
    }
}

fn lock_mode(lock: ObjectLock) -> ObjectLockMode {
    match lock.mode {
        LockMode::Liftable => ObjectLockMode::Governance,
        LockMode::Binding => ObjectLockMode::Compliance,
    }
}

fn retain_until(lock: ObjectLock) -> DateTime {
    DateTime::from_secs(i64::try_from(lock_end(SystemTime::now(), lock.days)).unwrap_or(i64::MAX))
}

fn encryption(encryption: &S3Encryption) -> ServerSideEncryption {
    match encryption {
        S3Encryption::Aes256 => ServerSideEncryption::Aes256,
        S3Encryption::Kms(_) => ServerSideEncryption::AwsKms,
    }
}

fn kms_key(encryption: &S3Encryption) -> Option<String> {
    match encryption {
        S3Encryption::Aes256 => None,
        S3Encryption::Kms(key) => key.clone(),
    }
}

/// As a query string, which is how S3 takes tags with an object.
fn tagging(plan: &S3Plan) -> Option<String> {
    let tags = plan.tags.iter().map(|(name, value)| format!("{}={}", escaped(name, "-_.~"), escaped(value, "-_.~")));
    let tags: Vec<String> = tags.collect();
    (!tags.is_empty()).then(|| tags.join("&"))
}

impl Store for S3Sink {
    async fn put(&self, upload: &Upload) -> Result<Accepted, Refusal> {
        let client = self.client().await?;
        let timeouts = TimeoutConfig::builder().operation_timeout(upload.timeout(self.plan.timeout)).build();
        let put = self.request(client, upload).customize();
        match put.config_override(Builder::new().timeout_config(timeouts)).send().await {
            Ok(_) => Ok(Accepted { bytes: upload.bytes }),
            Err(error) if status(&error) == Some(412) => self.compare(client, upload).await,
            Err(error) => Err(refusal(&error)),
        }
    }
}

impl Sink for S3Sink {
    fn takes(&self) -> Takes {
        Takes::Segments
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(self.archive.deliver(batch, self))
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

/// A client with rustls on ring, and the plan's roots or the system's.
fn http_client(plan: &S3Plan) -> Result<SharedHttpClient, Refusal> {
    let mut roots = tls::TrustStore::default();
    if let Some(path) = &plan.tls.ca_file {
        let pem = read_named(path, "ca_file")?;
        // The SDK would panic over a file without certificates, so it is looked at first.
        let found = reqwest::Certificate::from_pem_bundle(&pem).map(|found| found.len());
        if !matches!(found, Ok(1..)) {
            return Err(Refusal::stop(
                "`ca_file` holds no certificate",
                "write a PEM file with BEGIN CERTIFICATE there",
            ));
        }
        roots = tls::TrustStore::empty().with_pem_certificate(pem);
    }
    let context = tls::TlsContext::builder().with_trust_store(roots).build();
    let context =
        context.map_err(|error| Refusal::stop(format!("cannot set up TLS: {error}"), "check `tls.ca_file`"))?;
    let proxy = proxy()?;
    Ok(aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.tls_provider(provider).tls_context(context.clone()).build()
    }))
}

/// The environment's proxy for https. What is asked over plain http is the metadata service of this machine, which no proxy knows:
/// HTTP_PROXY is not obeyed.
fn proxy() -> Result<ProxyConfig, Refusal> {
    let set = |names: [&str; 2]| {
        names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let url = set(["HTTPS_PROXY", "https_proxy"]).or_else(|| set(["ALL_PROXY", "all_proxy"]));
    let Some(url) = url else { return Ok(ProxyConfig::disabled()) };
    // A host and port alone, as some write it, is a proxy that is spoken to over http. What it says may hold a password.
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let proxy = ProxyConfig::https(url)
        .map_err(|_| Refusal::stop("HTTPS_PROXY is no URL of a proxy", "write it as http://proxy.example:3128"))?;
    Ok(match set(["NO_PROXY", "no_proxy"]) {
        Some(rules) => proxy.no_proxy(rules),
        None => proxy,
    })
}

async fn connect(plan: &S3Plan, http: &SharedHttpClient) -> Result<Client, Refusal> {
    let mut config = base(plan, http);
    let asks_environment = plan.credentials.is_none() || (plan.region.is_none() && plan.endpoint.is_none());
    if asks_environment || plan.role.is_some() {
        config = from_environment(plan, http, config).await;
    } else if let Some(given) = given(plan) {
        config = config.credentials_provider(given);
    }
    if let Some(region) = &plan.region {
        config = config.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &plan.endpoint {
        config = config.endpoint_url(endpoint);
    }
    let client = Client::from_conf(config.build());
    match client.config().region() {
        Some(_) => Ok(client),
        None if plan.endpoint.is_some() => {
            Ok(Client::from_conf(client.config().to_builder().region(Region::new("us-east-1")).build()))
        }
        None => Err(Refusal::stop("no AWS region is known", "set `region`, or AWS_REGION in the agent's environment")),
    }
}

/// The credentials that stand in the configuration.
fn given(plan: &S3Plan) -> Option<SharedCredentialsProvider> {
    let given = plan.credentials.as_ref()?;
    let secret = given.secret_access_key.expose();
    let credentials = Credentials::new(&given.access_key_id, secret, None, None, "configuration");
    Some(SharedCredentialsProvider::new(credentials))
}

/// What is ours whatever the credentials: retry, time-outs, checksums only where we set them.
fn base(plan: &S3Plan, http: &SharedHttpClient) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(plan.timeout.min(CONNECT_TIMEOUT_MAX))
        .operation_timeout(plan.timeout)
        .build();
    Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(plan.path_style)
}

/// Region and credentials from environment, profile, SSO, process, web identity, ECS or instance metadata, and the role that is
/// taken on with them.
async fn from_environment(plan: &S3Plan, http: &SharedHttpClient, config: Builder) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(plan.timeout.min(CONNECT_TIMEOUT_MAX))
        .operation_timeout(plan.timeout)
        .build();
    let mut loader =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http.clone()).timeout_config(timeouts);
    if let Some(region) = &plan.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(given) = given(plan) {
        loader = loader.credentials_provider(given);
    }
    let found = loader.load().await;
    let mut config = config.region(found.region().cloned());
    config.set_credentials_provider(match &plan.role {
        None => found.credentials_provider(),
        Some(role) => Some(in_role(role, &found).await),
    });
    if let Some(endpoint) = found.endpoint_url() {
        config = config.endpoint_url(endpoint);
    }
    config
}

/// Credentials of a role, taken on when they are first needed and again before they expire.
async fn in_role(role: &S3Role, found: &aws_config::SdkConfig) -> SharedCredentialsProvider {
    let mut role_provider =
        aws_config::sts::AssumeRoleProvider::builder(&role.arn).session_name("sealtrail").configure(found);
    if let Some(external_id) = &role.external_id {
        role_provider = role_provider.external_id(external_id);
    }
    SharedCredentialsProvider::new(role_provider.build().await)
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn retry_after<E>(error: &SdkError<E>) -> Option<Duration> {
    parse_retry_after(error.raw_response()?.headers().get("retry-after")?, SystemTime::now())
}

/// What an error means. The server's own message is left out: it may quote the access key.
fn refusal<E>(error: &SdkError<E>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(status) = status(error) else { return no_answer(error) };
    let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default();
    let why = format!("answered {status} {code}").trim_end().to_owned();
    match status {
        _ if PASSING_CODES.contains(&code) => Refusal::Later { after: None, why },
        501 => Refusal::stop(why, "this server knows no conditional or checksummed writes: evidence needs both"),
        408 | 409 | 425 | 429 | 500..=599 => Refusal::Later { after: retry_after(error), why },
        // A service error needs a status that is one; with 2xx the answer broke off or was not understood.
        200..=299 => Refusal::later(why),
        _ => match region_told(error) {
            Some(region) => Refusal::stop(why, format!("the bucket is in {region}: set `region` to that")),
            None => Refusal::stop(why, hint(status, code)),
        },
    }
}

/// Where S3 says that the bucket is, when it answers that it is elsewhere.
fn region_told<E>(error: &SdkError<E>) -> Option<&str> {
    let response = error.raw_response()?;
    let elsewhere = matches!(response.status().as_u16(), 301 | 307 | 400);
    let region = response.headers().get("x-amz-bucket-region").filter(|_| elsewhere)?;
    let is_name = !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then_some(region)
}

fn hint(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "RequestTimeTooSkewed") => "set this machine's clock",
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => "check the access key and its secret",
        (_, "ExpiredToken" | "InvalidToken") => "the credentials have expired: renew them",
        (_, "NoSuchBucket") => "check `bucket`, `region` and `endpoint`; the agent makes no buckets",
        (413, _) | (_, "EntityTooLarge") => "lower `segment_max_bytes`, or raise the server's limit",
        (301 | 307 | 308, _) => "the bucket is in another region: check `region` and `endpoint`",
        (_, "InvalidStorageClass") => "check `storage_class`",
        (_, "InvalidRequest") => {
            "if objects are to be locked, does the bucket have Object Lock? docs/destinations/s3.md says how; \
             otherwise see the server's own log"
        }
        (401 | 403, _) => {
            "allow s3:PutObject and s3:GetObject on the prefix, and what lock, tags and KMS need, as docs/destinations/s3.md \
             shows; or the bucket is not of `expected_bucket_owner`"
        }
        (404, _) => "check `bucket`, `endpoint` and `path_style`",
        _ => "see the server's own log",
    }
}

fn no_answer<E>(error: &SdkError<E>) -> Refusal
where
    E: std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => Refusal::later("no answer in time"),
        SdkError::ConstructionFailure(_) => {
            Refusal::stop(chain(error), "check `bucket`, `region`, `endpoint` and the credentials")
        }
        _ if tls_failure(error).is_some() => Refusal::stop(
            chain(error),
            "check `tls.ca_file` (who signed the server's certificate) and the name in `endpoint`",
        ),
        _ => {
            let said = chain(error);
            match SAYS_NO_CREDENTIALS.iter().any(|words| said.contains(words)) {
                true => Refusal::stop(said, CREDENTIALS_HINT),
                false => Refusal::later(said),
            }
        }
    }
}

fn step<E>(error: &SdkError<E>) -> Step
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default();
    match status(error) {
        Some(_) if KNOWS_US_NOT.contains(&code) => Step::Authenticate,
        Some(401) => Step::Authenticate,
        Some(403) => Step::Write,
        Some(_) => Step::Answer,
        None if tls_failure(error).is_some() => Step::Tls,
        None if is_resolve_failure(error) => Step::Resolve,
        None if chain(error).contains("credential") => Step::Authenticate,
        None => Step::Connect,
    }
}

fn failed_at(step: Step, refusal: Refusal) -> ProbeError {
    match refusal {
        Refusal::Stop { why, hint } => ProbeError { step, why, hint },
        Refusal::Later { why, .. } | Refusal::Split { why, .. } | Refusal::Partly { why, .. } => {
            ProbeError { step, why, hint: "check `endpoint`, and the firewalls between; or try again".to_owned() }
        }
    }
}

fn cannot_compare<E>(error: &SdkError<E>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match refusal(error) {
        Refusal::Stop { why, .. } if status(error) != Some(404) => Refusal::stop(
            format!("the key is taken, and what is there cannot be compared: {why}"),
            "allow s3:GetObject on the prefix, as docs/destinations/s3.md shows",
        ),
        // Taken a moment ago, gone now: the next PUT decides.
        Refusal::Stop { why, .. } => Refusal::later(why),
        other => other,
    }
}
