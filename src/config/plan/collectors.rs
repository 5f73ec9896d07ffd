//! Collectors that take lines over HTTP, by the dialect of each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Compression, TlsPlan};
use crate::config::secret::Secret;
use crate::config::template::Template;

/// `type = "http"`.
#[derive(Debug, Clone)]
pub struct HttpPlan {
    /// `https://…`, or `http://…` (said aloud by `check` when not loopback).
    pub url: String,
    /// Sent with every request; values are secrets.
    pub headers: BTreeMap<String, Secret>,
    /// Headers that say something of the batch.
    pub templates: BTreeMap<String, Template>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// Where such a token is got, instead.
    pub oauth2: Option<OauthPlan>,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// How bodies are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes, uncompressed.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `oauth2 = { … }`: a client's credentials (RFC 6749 4.4).
#[derive(Debug, Clone)]
pub struct OauthPlan {
    /// Where tokens are got.
    pub token_url: String,
    /// Not secret.
    pub client_id: String,
    /// Secret.
    pub client_secret: Secret,
    /// What the token is for.
    pub scope: Option<String>,
    /// For whom, where an endpoint wants that said.
    pub audience: Option<String>,
    /// Id and secret go in a header, not in the body.
    pub basic: bool,
    /// PEM: trusted instead of the system's roots, of the token endpoint.
    pub ca_file: Option<PathBuf>,
}

/// `type = "otlp"`.
#[derive(Debug, Clone)]
pub struct OtlpPlan {
    /// `/v1/logs` is added to it.
    pub url: String,
    /// Sent with every request; values are secrets.
    pub headers: BTreeMap<String, Secret>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// How bodies are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `type = "loki"`.
#[derive(Debug, Clone)]
pub struct LokiPlan {
    /// `/loki/api/v1/push` is added to it.
    pub url: String,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// User and password.
    pub basic: Option<(String, Secret)>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// Of every stream, beside our own.
    pub labels: BTreeMap<String, String>,
    /// Send what has many values beside the line: Loki 3 takes it.
    pub structured_metadata: bool,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// `None` or `Gzip`.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `type = "datadog"`.
#[derive(Debug, Clone)]
pub struct DatadogPlan {
    /// `datadoghq.com`, `datadoghq.eu`, …
    pub site: String,
    /// Instead of the site's intake; `/api/v2/logs` is added to it.
    pub url: Option<String>,
    /// Secret.
    pub api_key: Secret,
    /// Of every entry.
    pub service: String,
    /// Of every entry, beside our own: `env:prod`.
    pub tags: Vec<String>,
    /// TLS beyond the system's roots; without a client certificate.
    pub tls: TlsPlan,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `type = "sentinel"`.
#[derive(Debug, Clone)]
pub struct SentinelPlan {
    /// The data collection endpoint, or the rule's own.
    pub url: String,
    /// The immutable id of the data collection rule.
    pub rule: String,
    /// A stream of the rule.
    pub stream: String,
    /// Whose tokens are sent.
    pub oauth2: OauthPlan,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `type = "secops"`.
#[derive(Debug, Clone)]
pub struct SecopsPlan {
    /// `projects/…/locations/…/instances/…`.
    pub instance: String,
    /// As the instance knows it.
    pub log_type: String,
    /// Id of a forwarder of the instance.
    pub forwarder: Option<String>,
    /// A service account's key, in JSON.
    pub credentials_file: PathBuf,
    /// Instead of the region's endpoint.
    pub url: Option<String>,
    /// TLS beyond the system's roots; without a client certificate.
    pub tls: TlsPlan,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}
