//! Google Cloud Storage: one upload a closed segment through the JSON API, never over anything.
//!
//! `ifGenerationMatch=0` is Google's word for "only if nothing lies there": it answers 412, and then what lies there is read and
//! compared. Who may create but not delete gets 403 instead where the name is taken, so that 403 is looked into as well.
//! Retention, hold, storage class and key travel in the same request: evidence is never there without them. MD5 lets the server
//! check what it took; that what lies there is the same is decided by SHA-256.

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::object::{Archive, Store, Upload, UploadBody, escaped, lock_end};
use super::object_http::{ObjectWeb, Told, failed_at, no_retry, no_token, token_options, unreachable};
use super::web::secret_value;
use super::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Sink, Step, Takes};
use crate::clock;
use crate::config::plan::{GcsHold, GcsPlan, LockMode};
use crate::hex::hex;

/// Names its file where the environment does.
const CREDENTIALS_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// `type = "gcs"`.
#[derive(Debug)]
pub struct GcsSink {
    plan: GcsPlan,
    archive: Archive,
    web: ObjectWeb,
    credentials: OnceCell<GcpCredentialProvider>,
}

impl GcsSink {
    /// Reads the CA file; connects to nothing and looks for no credentials yet.
    pub fn new(plan: &GcsPlan, origin: &str, keys: PathBuf) -> Result<Self, Refusal> {
        Ok(GcsSink {
            web: ObjectWeb::new(&plan.endpoint, &plan.tls, plan.timeout, hint, code)?,
            archive: Archive::new(&plan.prefix, origin, plan.format, keys),
            plan: plan.clone(),
            credentials: OnceCell::new(),
        })
    }

    /// Replacing needs a right that the agent should not have; then a name that is taken may answer 403.
    async fn compare_forbidden(&self, upload: &Upload, told: Told) -> Result<Accepted, Refusal> {
        match self.web.compare(self.read(upload).await?, upload).await {
            Ok(accepted) => Ok(accepted),
            Err(Refusal::Stop { why, hint }) if why.contains("other content") => Err(Refusal::Stop { why, hint }),
            Err(_) => Err(self.web.refusal(&told)),
        }
    }

    /// Puts the object if nothing lies there. Its metadata and its bytes are the two parts of one body.
    async fn insert(&self, upload: &Upload) -> Result<Request, Refusal> {
        let mut url = self.web.url(&format!("upload/storage/v1/b/{}/o", escaped(&self.plan.bucket, "-_.")));
        url.query_pairs_mut().append_pair("uploadType", "multipart").append_pair("ifGenerationMatch", "0");
        if let Some(key) = &self.plan.kms_key_name {
            url.query_pairs_mut().append_pair("kmsKeyName", key);
        }
        // Compressed bytes do not hold their own digest.
        let boundary = hex(&upload.sha256);
        let head = format!(
            "--{boundary}\r\ncontent-type: application/json\r\n\r\n{}\r\n--{boundary}\r\ncontent-type: {}\r\n\r\n",
            self.metadata(upload),
            upload.content_type
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let body = Parts { head: Some(head.into()), middle: upload.body(), tail: Some(tail.into()) };
        let length = body.length();
        let mut request = self.request(Method::POST, url, self.web.upload_timeout(upload)).await?;
        let kind = format!("multipart/related; boundary={boundary}");
        request.headers_mut().insert(CONTENT_TYPE, value(&kind)?);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        Ok(request)
    }

    fn metadata(&self, upload: &Upload) -> Value {
        let mut metadata = self.described(&upload.name, upload.content_type);
        metadata["md5Hash"] = json!(STANDARD.encode(upload.md5));
        metadata
    }

    /// What every object is put with.
    fn described(&self, name: &str, content_type: &str) -> Value {
        let mut metadata = json!({ "name": name, "contentType": content_type });
        if let Some(lock) = self.plan.lock {
            let until_ms = lock_end(SystemTime::now(), lock.days).saturating_mul(1000);
            let mode = if lock.mode == LockMode::Binding { "Locked" } else { "Unlocked" };
            metadata["retention"] = json!({ "mode": mode, "retainUntilTime": clock::rfc3339(until_ms) });
        }
        match self.plan.hold {
            Some(GcsHold::Temporary) => metadata["temporaryHold"] = json!(true),
            Some(GcsHold::EventBased) => metadata["eventBasedHold"] = json!(true),
            None => {}
        }
        if let Some(class) = &self.plan.storage_class {
            metadata["storageClass"] = json!(class);
        }
        metadata
    }

    async fn read(&self, upload: &Upload) -> Result<Request, Refusal> {
        let (bucket, name) = (escaped(&self.plan.bucket, "-_."), escaped(&upload.name, "-_.~"));
        let mut url = self.web.url(&format!("storage/v1/b/{bucket}/o/{name}"));
        url.query_pairs_mut().append_pair("alt", "media");
        self.request(Method::GET, url, self.web.upload_timeout(upload)).await
    }

    /// A request of ours, with our token.
    async fn request(
        &self,
        method: Method,
        url: reqwest::Url,
        timeout: std::time::Duration,
    ) -> Result<Request, Refusal> {
        let credentials = self.credentials.get_or_try_init(|| async { credentials(&self.plan) }).await?;
        let credential = credentials.get_credential().await.map_err(|error| no_token(&error, CREDENTIALS_HINT))?;
        let mut request = self.web.request(method, url, timeout);
        if !credential.bearer.is_empty() {
            let bearer = secret_value(&format!("Bearer {}", credential.bearer))
                .ok_or_else(|| Refusal::stop("the token that came cannot be sent", CREDENTIALS_HINT))?;
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    /// Begins an upload as objects are put, and gives it up: needs the same rights, and no object ever appears.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let name = self.archive.probe_name();
        let mut url = self.web.url(&format!("upload/storage/v1/b/{}/o", escaped(&self.plan.bucket, "-_.")));
        url.query_pairs_mut()
            .append_pair("uploadType", "resumable")
            .append_pair("name", &name)
            .append_pair("ifGenerationMatch", "0");
        let request = self.request(Method::POST, url, self.web.timeout()).await;
        let mut request = request.map_err(|refusal| failed_at(Step::Authenticate, refusal))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(self.described(&name, "text/plain").to_string().into());
        let told = self.web.tell(request).await.map_err(unreachable)?;
        if !told.is_success() {
            return Err(self.web.probe_error(&told));
        }
        self.give_up(&told).await;
        Ok(Probed { checked: "reached, authenticated, and may write" })
    }

    /// Takes an upload back that was begun. One that cannot be taken back holds nothing, and Google forgets it after a week; so
    /// whatever comes of it is as well.
    async fn give_up(&self, begun: &Told) {
        let Some(session) = begun.location.as_deref().and_then(|location| reqwest::Url::parse(location).ok()) else {
            return;
        };
        // The token goes nowhere else.
        if session.origin() != self.web.url("").origin() {
            return;
        }
        if let Ok(mut request) = self.request(Method::DELETE, session, self.web.timeout()).await {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            let _ = self.web.tell(request).await;
        }
    }
}

impl Store for GcsSink {
    async fn put(&self, upload: &Upload) -> Result<Accepted, Refusal> {
        let told = self.web.put(self.insert(upload).await?).await?;
        match told.status {
            _ if told.is_success() => Ok(Accepted { bytes: upload.bytes }),
            412 => self.web.compare(self.read(upload).await?, upload).await,
            403 => self.compare_forbidden(upload, told).await,
            _ => Err(self.web.refusal(&told)),
        }
    }
}

impl Sink for GcsSink {
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

const CREDENTIALS_HINT: &str =
    "check `credentials_file`, GOOGLE_APPLICATION_CREDENTIALS, or the service account of this machine";

/// The library's way to tokens: a file, what `gcloud` left, or the metadata server.
fn credentials(plan: &GcsPlan) -> Result<GcpCredentialProvider, Refusal> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&plan.bucket)
        .with_retry(no_retry())
        .with_client_options(token_options(&plan.endpoint, &plan.tls, plan.timeout)?);
    let named = std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from);
    if let Some(path) = plan.credentials_file.clone().or(named) {
        builder = match is_service_account(&path) {
            true => builder.with_service_account_path(path.to_string_lossy()),
            false => builder.with_application_credentials(path.to_string_lossy()),
        };
    }
    let store = builder.build().map_err(|error| {
        let said = super::tls::chain(&error);
        Refusal::stop(format!("no credentials: {}", said.lines().next().unwrap_or_default()), CREDENTIALS_HINT)
    })?;
    Ok(store.credentials().clone())
}

/// A file that cannot be read is told by whoever reads it next.
fn is_service_account(path: &PathBuf) -> bool {
    let found = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    found.is_some_and(|found| found["type"] == "service_account" || found.get("private_key").is_some())
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal::stop("a header cannot be sent", "this is a fault of the agent"))
}

/// Google's word is in the body: `{"error":{"errors":[{"reason":"…"}]}}`.
fn code(_: &HeaderMap, body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["error"]["errors"][0]["reason"].as_str().map(str::to_owned)
}

fn hint(status: u16, _: &str) -> &'static str {
    match status {
        400 => {
            "if objects are to be retained, does the bucket allow it? docs/destinations/gcs.md says how; otherwise check \
             `storage_class` and `kms_key_name`"
        }
        401 => CREDENTIALS_HINT,
        403 => {
            "allow storage.objects.create and storage.objects.get on the bucket, and what retention needs, as \
             docs/destinations/gcs.md shows"
        }
        404 => "check `bucket` and `endpoint`; the agent makes no buckets",
        413 => "lower `segment_max_bytes`, or raise the server's limit",
        _ => "see the server's own log",
    }
}

/// An upload between the head and the tail of a multipart body.
struct Parts {
    head: Option<Bytes>,
    middle: UploadBody,
    tail: Option<Bytes>,
}

impl Parts {
    fn length(&self) -> u64 {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        of(&self.head) + self.middle.size_hint().lower() + of(&self.tail)
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        match Pin::new(&mut self.middle).poll_frame(context) {
            Poll::Ready(None) => Poll::Ready(self.tail.take().map(|tail| Ok(Frame::data(tail)))),
            other => other,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}
