//! Azure Blob Storage: one Put Blob a closed segment, never over anything.
//!
//! `If-None-Match: *` answers 409 `BlobAlreadyExists` where the name is taken, and then what lies there is read and compared.
//! Immutability policy, legal hold, tier and tags travel as headers of the same request: evidence is never there without them.
//! The signature covers every header, so that it is made last, by the library, over a request without its body. `Content-MD5` lets
//! the server check what it took; that what lies there is the same is decided by SHA-256.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object_store::azure::{AzureAuthorizer, AzureConfigKey, AzureCredentialProvider, MicrosoftAzureBuilder, split_sas};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use tokio::sync::OnceCell;

use super::object::{Archive, Store, Upload, escaped, lock_end};
use super::object_http::{ObjectWeb, failed_at, no_retry, no_token, token_options, unreachable};
use super::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Sink, Step, Takes};
use crate::config::plan::{AzureCredentials, AzurePlan, LockMode};

/// What Azure takes as one blob in one request since version 2019-12-12: 5,000 MiB.
const BLOB_MAX_BYTES: u64 = 5_000 << 20;

/// `type = "azure_blob"`.
#[derive(Debug)]
pub struct AzureBlobSink {
    plan: AzurePlan,
    archive: Archive,
    web: ObjectWeb,
    credentials: OnceCell<AzureCredentialProvider>,
}

impl AzureBlobSink {
    /// Reads the CA file; connects to nothing and looks for no credentials yet.
    pub fn new(plan: &AzurePlan, origin: &str, keys: PathBuf) -> Result<Self, Refusal> {
        Ok(AzureBlobSink {
            web: ObjectWeb::new(&plan.endpoint, &plan.tls, plan.timeout, hint, code)?,
            archive: Archive::new(&plan.prefix, origin, plan.format, keys),
            plan: plan.clone(),
            credentials: OnceCell::new(),
        })
    }

    /// What every blob is put with.
    fn object_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("x-ms-blob-type", "BlockBlob".to_owned())];
        if let Some(lock) = self.plan.lock {
            let until = UNIX_EPOCH + Duration::from_secs(lock_end(SystemTime::now(), lock.days));
            let mode = if lock.mode == LockMode::Binding { "Locked" } else { "Unlocked" };
            headers.push(("x-ms-immutability-policy-until-date", httpdate::fmt_http_date(until)));
            headers.push(("x-ms-immutability-policy-mode", mode.to_owned()));
        }
        if self.plan.legal_hold {
            headers.push(("x-ms-legal-hold", "true".to_owned()));
        }
        if let Some(tier) = &self.plan.access_tier {
            headers.push(("x-ms-access-tier", tier.clone()));
        }
        let tags =
            self.plan.tags.iter().map(|(name, value)| format!("{}={}", escaped(name, "-_.~"), escaped(value, "-_.~")));
        let tags: Vec<String> = tags.collect();
        if !tags.is_empty() {
            headers.push(("x-ms-tags", tags.join("&")));
        }
        headers
    }

    /// A signed request for one blob; its body is not part of what is signed.
    async fn request(
        &self,
        method: Method,
        name: &str,
        headers: &[(&'static str, String)],
        timeout: Duration,
    ) -> Result<Request, Refusal> {
        // Slashes are levels; the percent sign of an origin's escape is part of the name and is escaped again.
        let url = self.web.url(&format!("{}/{}", self.plan.container, escaped(name, "-_.~/")));
        let credentials = self.credentials.get_or_try_init(|| async { credentials(&self.plan) }).await?;
        let credential = credentials.get_credential().await.map_err(|error| no_token(&error, CREDENTIALS_HINT))?;
        let mut draft = HttpRequest::new(HttpRequestBody::empty());
        *draft.method_mut() = method.clone();
        *draft.uri_mut() = url.as_str().parse().map_err(|_| fault("the address of a blob is no address"))?;
        for (name, text) in headers {
            let value = HeaderValue::from_str(text).map_err(|_| fault("a header cannot be sent"))?;
            draft.headers_mut().insert(HeaderName::from_static(name), value);
        }
        AzureAuthorizer::new(&credential, &self.plan.account)
            .try_authorize(&mut draft)
            .map_err(|error| no_token(&error, CREDENTIALS_HINT))?;
        let signed = Url::parse(&draft.uri().to_string()).map_err(|_| fault("a signed address is no address"))?;
        let mut request = self.web.request(method, signed, timeout);
        *request.headers_mut() = std::mem::take(draft.headers_mut());
        Ok(request)
    }

    /// Puts nothing, under a condition that never holds: who may write is told so, who may not is told that, and nothing is written.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let mut headers = self.object_headers();
        headers.push(("if-match", "\"0x0\"".to_owned()));
        headers.push((CONTENT_LENGTH.as_str(), "0".to_owned()));
        let request = self.request(Method::PUT, &self.archive.probe_name(), &headers, self.web.timeout()).await;
        let request = request.map_err(|refusal| failed_at(Step::Authenticate, refusal))?;
        let told = self.web.tell(request).await.map_err(unreachable)?;
        match (told.status, told.code.as_str()) {
            (412, _) => Ok(Probed { checked: "reached, authenticated, and may write" }),
            (403, "AuthenticationFailed") => Err(failed_at(Step::Authenticate, self.web.refusal(&told))),
            _ => Err(self.web.probe_error(&told)),
        }
    }
}

impl Store for AzureBlobSink {
    async fn put(&self, upload: &Upload) -> Result<Accepted, Refusal> {
        if upload.bytes > BLOB_MAX_BYTES {
            return Err(Refusal::stop(format!("{} is larger than a blob may be", upload.name), hint(413, "")));
        }
        let mut headers = self.object_headers();
        headers.push(("if-none-match", "*".to_owned()));
        headers.push(("content-md5", STANDARD.encode(upload.md5)));
        headers.push((CONTENT_TYPE.as_str(), upload.content_type.to_owned()));
        headers.push((CONTENT_LENGTH.as_str(), upload.bytes.to_string()));
        let timeout = self.web.upload_timeout(upload);
        let mut request = self.request(Method::PUT, &upload.name, &headers, timeout).await?;
        *request.body_mut() = Some(reqwest::Body::wrap(upload.body()));
        let told = self.web.put(request).await?;
        match (told.status, told.code.as_str()) {
            _ if told.is_success() => Ok(Accepted { bytes: upload.bytes }),
            // Under a policy or a hold, or for who may only create, the name is taken in other words.
            (409, "BlobAlreadyExists" | "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold")
            | (412, _)
            | (403, "UnauthorizedBlobOverwrite") => {
                let read = self.request(Method::GET, &upload.name, &[], timeout).await?;
                self.web.compare(read, upload).await
            }
            _ => Err(self.web.refusal(&told)),
        }
    }
}

impl Sink for AzureBlobSink {
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

const CREDENTIALS_HINT: &str = "check the account's key, the SAS token, the client's secret, or the identity of this machine; and this machine's clock";

/// The library's way to tokens and signatures.
fn credentials(plan: &AzurePlan) -> Result<AzureCredentialProvider, Refusal> {
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&plan.account)
        .with_container_name(&plan.container)
        .with_endpoint(plan.endpoint.clone())
        .with_retry(no_retry())
        .with_client_options(token_options(&plan.endpoint, &plan.tls, plan.timeout)?);
    let store = given(plan, builder)?.build().map_err(|error| {
        let said = super::tls::chain(&error);
        Refusal::stop(format!("no credentials: {}", said.lines().next().unwrap_or_default()), CREDENTIALS_HINT)
    })?;
    Ok(store.credentials().clone())
}

fn given(plan: &AzurePlan, builder: MicrosoftAzureBuilder) -> Result<MicrosoftAzureBuilder, Refusal> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let builder = match set("AZURE_AUTHORITY_HOST") {
        Some(host) => builder.with_authority_host(host),
        None => builder,
    };
    Ok(match &plan.credentials {
        AzureCredentials::AccountKey(key) => builder.with_access_key(key.expose()),
        AzureCredentials::SasToken(token) => {
            let pairs = split_sas(&token.expose())
                .map_err(|_| Refusal::stop("`sas_token` is no SAS token", "it is a query string such as sv=…&sig=…"))?;
            builder.with_sas_authorization(pairs)
        }
        AzureCredentials::Client { tenant_id, client_id, client_secret } => {
            builder.with_client_secret_authorization(client_id, client_secret.expose(), tenant_id)
        }
        AzureCredentials::Environment { client_id } => {
            let client_id = client_id.clone().or_else(|| set("AZURE_CLIENT_ID"));
            let known = [
                (AzureConfigKey::ClientId, client_id),
                (AzureConfigKey::AuthorityId, set("AZURE_TENANT_ID")),
                (AzureConfigKey::FederatedTokenFile, set("AZURE_FEDERATED_TOKEN_FILE")),
                (AzureConfigKey::ClientSecret, set("AZURE_CLIENT_SECRET")),
                (AzureConfigKey::MsiEndpoint, set("IDENTITY_ENDPOINT").or_else(|| set("MSI_ENDPOINT"))),
            ];
            let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
            known.fold(builder, |builder, (key, value)| builder.with_config(key, value))
        }
    })
}

fn fault(why: &str) -> Refusal {
    Refusal::stop(why, "check `endpoint`, `container` and `prefix`")
}

/// Azure's word is in a header, and the body may be empty.
fn code(headers: &HeaderMap, _: &[u8]) -> Option<String> {
    headers.get("x-ms-error-code")?.to_str().ok().map(str::to_owned)
}

fn hint(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "AuthenticationFailed") | (401, _) => CREDENTIALS_HINT,
        (_, "ContainerNotFound") => "check `container`; the agent makes no containers",
        (_, "AccountIsDisabled" | "ResourceNotFound") => "check `account`",
        (413, _) | (_, "RequestBodyTooLarge") => "lower `segment_max_bytes`",
        (403, _) => {
            "allow the agent to create and read blobs in the container, and its address in the account's firewall, as \
             docs/destinations/azure_blob.md shows"
        }
        (400, _) => {
            "if blobs are to be immutable, has the container version-level immutability? docs/destinations/azure_blob.md says \
             how; otherwise check `access_tier` and `tags`"
        }
        (404, _) => "check `account`, `container` and `endpoint`",
        _ => "see the account's own log",
    }
}
