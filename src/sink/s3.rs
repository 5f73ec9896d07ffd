//! S3: one PUT a closed segment, never over anything.
//!
//! The key is made of the segment alone, so that a second delivery meets the first: `If-None-Match: *` answers 412, and then the
//! checksums decide. The same bytes are there: done. Others: somebody else writes under this name, and nothing of theirs
//! is touched. Two agents at once get 409 and try again.
//!
//! Credentials may come from the instance's metadata service, which takes its time where there is none: the client is made
//! at the first delivery, within this destination's own task.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_http_client::tls;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::keys::public_keys;
use super::tls::{chain, is_resolve_failure, tls_failure};
use super::web::parse_retry_after;
use super::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Segment, Sink, Step, Takes, read_named};
use crate::config::plan::S3Plan;
use crate::disk::RealDisk;

/// A connection that is not made by then will not be.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// A body gets the plan's time-out and, on top, the time it takes at this speed (bytes a second).
const UPLOAD_SPEED_MIN: u64 = 64 * 1024;
/// A segment is read from disk in pieces of this size.
const READ_BYTES: usize = 128 * 1024;
/// Names of keys that are known to lie there already; beyond, they are offered again, which is harmless.
const KEYS_KNOWN_MAX: usize = 4096;
/// What S3 answers with 400 or 501 though it may pass: the request was damaged or cut on its way.
const PASSING_CODES: [&str; 6] = [
    "RequestTimeout",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
    "OperationAborted",
];

/// `type = "s3"`.
#[derive(Debug)]
pub struct S3Sink {
    plan: S3Plan,
    origin: String,
    keys: PathBuf,
    http: SharedHttpClient,
    client: OnceCell<Client>,
    /// Public keys that lie beside the segments already, in this run.
    known: Mutex<Vec<PathBuf>>,
}

impl S3Sink {
    /// Reads the CA file; connects to nothing and looks for no credentials yet.
    pub fn new(plan: &S3Plan, origin: &str, keys: PathBuf) -> Result<Self, Refusal> {
        Ok(S3Sink {
            http: http_client(plan)?,
            plan: plan.clone(),
            origin: origin.to_owned(),
            keys,
            client: OnceCell::new(),
            known: Mutex::default(),
        })
    }

    async fn client(&self) -> Result<&Client, Refusal> {
        self.client.get_or_try_init(|| connect(&self.plan, &self.http)).await
    }

    async fn put_segment(&self, segment: &Segment<'_>) -> Result<Accepted, Refusal> {
        let client = self.client().await?;
        self.put_keys(client).await?;
        let key = segment_key(&self.plan.prefix, segment);
        let body = file_body(segment.path, segment.bytes).await?;
        let put = self.put(client, &key, segment.sha256).content_type("application/zstd").body(body);
        self.send(client, put, &key, segment.bytes, segment.sha256).await
    }

    async fn put_keys(&self, client: &Client) -> Result<(), Refusal> {
        for path in public_keys(&RealDisk, &self.keys)? {
            if self.known().contains(&path) {
                continue;
            }
            let bytes = read_named(&path, "public key")?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let key = format!("{}/{name}", trail_folder(&self.plan.prefix, &self.origin));
            let (length, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
            let put = self.put(client, &key, sha256).content_type("text/plain").body(ByteStream::from(bytes));
            self.send(client, put, &key, length, sha256).await?;
            let mut known = self.known();
            if known.len() < KEYS_KNOWN_MAX {
                known.push(path);
            }
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        // Nothing can fail while it is held, so that even a poisoned list is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A PUT that never replaces anything and that the server checks by itself.
    fn put(&self, client: &Client, key: &str, sha256: [u8; 32]) -> PutObjectFluentBuilder {
        let put = client.put_object().bucket(&self.plan.bucket).key(key);
        put.if_none_match("*").checksum_sha256(STANDARD.encode(sha256))
    }

    async fn send(
        &self,
        client: &Client,
        put: PutObjectFluentBuilder,
        key: &str,
        bytes: u64,
        sha256: [u8; 32],
    ) -> Result<Accepted, Refusal> {
        let timeout = self.plan.timeout + Duration::from_secs(bytes / UPLOAD_SPEED_MIN);
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
        let put = put.content_length(i64::try_from(bytes).unwrap_or(i64::MAX)).customize();
        match put.config_override(Builder::new().timeout_config(timeouts)).send().await {
            Ok(_) => Ok(Accepted { bytes }),
            Err(error) if status(&error) == Some(412) => self.compare(client, key, sha256).await,
            Err(error) => Err(refusal(&error)),
        }
    }

    /// The key is taken: by the same bytes?
    async fn compare(&self, client: &Client, key: &str, sha256: [u8; 32]) -> Result<Accepted, Refusal> {
        let there = match self.stored_checksum(client, key).await? {
            Some(checksum) => checksum,
            None => self.download_digest(client, key).await?,
        };
        if there == STANDARD.encode(sha256) { Ok(Accepted { bytes: 0 }) } else { Err(other_content(key)) }
    }

    /// SHA-256 that the server keeps with the object; `None` where it keeps none of the whole object.
    async fn stored_checksum(&self, client: &Client, key: &str) -> Result<Option<String>, Refusal> {
        let head = client.head_object().bucket(&self.plan.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.map_err(|error| cannot_compare(&error))?;
        // A composite checksum, of parts, ends with their number.
        Ok(head.checksum_sha256().filter(|checksum| !checksum.contains('-')).map(str::to_owned))
    }

    async fn download_digest(&self, client: &Client, key: &str) -> Result<String, Refusal> {
        let get = client.get_object().bucket(&self.plan.bucket).key(key).send();
        let mut body = get.await.map_err(|error| cannot_compare(&error))?.body;
        let mut digest = Sha256::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Refusal::later(format!("comparing broke off: {}", chain(&error))))?;
            digest.update(&chunk);
        }
        Ok(STANDARD.encode(digest.finalize()))
    }

    /// Begins a multipart upload and aborts it: needs the right to write, and no object ever appears.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let client = self.client().await.map_err(|refusal| failed_at(Step::Configure, refusal))?;
        let key = format!("{}/probe", trail_folder(&self.plan.prefix, &self.origin));
        let begun = client.create_multipart_upload().bucket(&self.plan.bucket).key(&key).send().await;
        let begun = begun.map_err(|error| failed_at(step(&error), refusal(&error)))?;
        let abort = client.abort_multipart_upload().bucket(&self.plan.bucket).key(&key);
        match abort.set_upload_id(begun.upload_id).send().await {
            Ok(_) => Ok(Probed { checked: "reached, authenticated, and may write" }),
            // What is left over is no object and holds no bytes; the bucket's lifecycle rule takes it away.
            Err(_) => {
                Ok(Probed { checked: "reached, authenticated, and may write; s3:AbortMultipartUpload is not allowed" })
            }
        }
    }
}

impl Sink for S3Sink {
    fn takes(&self) -> Takes {
        Takes::Segments
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move {
            match batch {
                Batch::Segment(segment) => self.put_segment(segment).await,
                Batch::Lines(_) => Err(Refusal::stop("S3 takes closed segments only", "this is a fault of the agent")),
            }
        })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

/// `<prefix>/trail=<origin>/date=YYYY-MM-DD/<first>-<last>.ndjson.zst`, both numbers with 20 digits, so that keys sort as lines do.
pub fn segment_key(prefix: &str, segment: &Segment<'_>) -> String {
    let folder = trail_folder(prefix, segment.origin);
    format!("{folder}/date={}/{:020}-{:020}.ndjson.zst", segment.date, segment.first, segment.last)
}

/// `<prefix>/trail=<origin>`. The origin is escaped as Hive escapes partition values (`acme%2Fprod%2Fdb-1`), so that it is one level
/// and engines that read `name=value` folders give it back as it was.
pub fn trail_folder(prefix: &str, origin: &str) -> String {
    let mut folder = String::with_capacity(prefix.len() + origin.len() + 16);
    if !prefix.is_empty() {
        folder.push_str(prefix);
        folder.push('/');
    }
    folder.push_str("trail=");
    for byte in origin.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            folder.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(folder, "%{byte:02X}");
        }
    }
    folder
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
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    Ok(aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(context).build_https())
}

async fn connect(plan: &S3Plan, http: &SharedHttpClient) -> Result<Client, Refusal> {
    let mut config = base(plan, http);
    if plan.credentials.is_none() || (plan.region.is_none() && plan.endpoint.is_none()) {
        config = from_environment(plan, http, config).await;
    }
    if let Some(given) = &plan.credentials {
        let secret = given.secret_access_key.expose();
        config =
            config.credentials_provider(Credentials::new(&given.access_key_id, secret, None, None, "configuration"));
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

/// Region and credentials from environment, profile, SSO, process, web identity, ECS or instance metadata.
async fn from_environment(plan: &S3Plan, http: &SharedHttpClient, config: Builder) -> Builder {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http.clone());
    if let Some(region) = &plan.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let found = loader.load().await;
    let mut config = config.region(found.region().cloned());
    config.set_credentials_provider(found.credentials_provider());
    if let Some(endpoint) = found.endpoint_url() {
        config = config.endpoint_url(endpoint);
    }
    config
}

async fn file_body(path: &Path, bytes: u64) -> Result<ByteStream, Refusal> {
    let body = ByteStream::read_from().path(path).length(Length::Exact(bytes)).buffer_size(READ_BYTES).build().await;
    body.map_err(|error| {
        Refusal::stop(
            format!("cannot read {}: {}", path.display(), chain(&error)),
            "run `sealtrail verify` on the journal and keep it as it is",
        )
    })
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
        _ => Refusal::stop(why, hint(status, code)),
    }
}

fn hint(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "RequestTimeTooSkewed") => "set this machine's clock",
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => "check the access key and its secret",
        (_, "ExpiredToken" | "InvalidToken") => "the credentials have expired: renew them",
        (_, "NoSuchBucket") => "check `bucket`, `region` and `endpoint`; the agent makes no buckets",
        (413, _) | (_, "EntityTooLarge") => "lower `segment_max_bytes`, or raise the server's limit",
        (301 | 307 | 308, _) => "the bucket is in another region: check `region` and `endpoint`",
        (401 | 403, _) => "allow s3:PutObject and s3:GetObject on the prefix, as docs/destinations/s3.md shows",
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
        _ => Refusal::later(chain(error)),
    }
}

fn step<E>(error: &SdkError<E>) -> Step
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default();
    match status(error) {
        Some(_) if hint(0, code) != hint(0, "") && code != "NoSuchBucket" => Step::Authenticate,
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

fn other_content(key: &str) -> Refusal {
    Refusal::stop(
        format!("{key} is there already with other content"),
        "keep both as they are and find out who wrote it: another agent with the same origin, or somebody who altered it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_of_the_segment_alone_and_the_origin_is_one_level() {
        let segment = Segment {
            path: Path::new("x"),
            origin: "acme/prod/db 1",
            first: 41,
            last: 99,
            date: "2026-11-06",
            bytes: 1,
            sha256: [0; 32],
        };
        assert_eq!(
            segment_key("evidence", &segment),
            "evidence/trail=acme%2Fprod%2Fdb%201/date=2026-11-06/00000000000000000041-00000000000000000099.ndjson.zst"
        );
        assert!(segment_key("", &segment).starts_with("trail=acme"));
    }
}
