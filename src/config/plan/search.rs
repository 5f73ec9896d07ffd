//! Splunk, and what understands `_bulk`.

use std::time::Duration;

use super::{Compression, S3Credentials, TlsPlan};
use crate::config::secret::Secret;

/// `type = "splunk_hec"`.
#[derive(Debug, Clone)]
pub struct SplunkHecPlan {
    /// Without `/services/collector`.
    pub url: String,
    /// Sent as `Authorization: Splunk …`.
    pub token: Secret,
    /// `None`: the token's default.
    pub index: Option<String>,
    /// Of every event.
    pub sourcetype: String,
    /// `None`: the line's own source.
    pub source: Option<String>,
    /// `None`: the line's own server.
    pub host: Option<String>,
    /// Wait until the indexers have written; the token must be set up for it.
    pub acknowledgement: bool,
    /// What is not acknowledged by then is sent again.
    pub acknowledgement_timeout: Duration,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// How bodies are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes, uncompressed and without what Splunk wants around each line.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `type = "elasticsearch"` and `type = "opensearch"`.
#[derive(Debug, Clone)]
pub struct ElasticsearchPlan {
    /// Which of the two.
    pub product: SearchProduct,
    /// Without the index.
    pub url: String,
    /// A data stream or an index.
    pub index: String,
    /// Who we are.
    pub login: SearchLogin,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// How bodies are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes, uncompressed and without what goes before each line.
    pub batch_max_bytes: usize,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// Which of the two that grew from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchProduct {
    /// Elastic's.
    Elasticsearch,
    /// The fork of 2021, and Amazon's service of it.
    OpenSearch,
}

/// How a cluster knows us.
#[derive(Debug, Clone)]
pub enum SearchLogin {
    /// It asks nobody.
    Nobody,
    /// Basic authentication.
    Password {
        /// Not secret.
        username: String,
        /// Secret.
        password: Secret,
    },
    /// `Authorization: ApiKey …`, encoded as the cluster gave it.
    ApiKey(Secret),
    /// Each request is signed: Amazon's service.
    Aws {
        /// Where the cluster is.
        region: String,
        /// `es`, or `aoss` of the serverless one.
        service: &'static str,
        /// `None`: the whole AWS credential chain.
        credentials: Option<S3Credentials>,
    },
}

impl SearchProduct {
    /// As `type` names it.
    pub fn name(self) -> &'static str {
        match self {
            SearchProduct::Elasticsearch => "elasticsearch",
            SearchProduct::OpenSearch => "opensearch",
        }
    }
}
