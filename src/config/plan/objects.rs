//! Object stores: S3, Google Cloud Storage, Azure Blob Storage.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::TlsPlan;
use crate::config::secret::Secret;

/// `type = "s3"`.
#[derive(Debug, Clone)]
pub struct S3Plan {
    /// The bucket.
    pub bucket: String,
    /// Put before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The form in which segments lie there.
    pub format: ObjectFormat,
    /// `None`: from the AWS environment or profile.
    pub region: Option<String>,
    /// Another S3 server.
    pub endpoint: Option<String>,
    /// `https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`.
    pub path_style: bool,
    /// `None`: the whole AWS credential chain.
    pub credentials: Option<S3Credentials>,
    /// Taken on with those credentials.
    pub role: Option<S3Role>,
    /// The account that must own the bucket: 12 digits.
    pub bucket_owner: Option<String>,
    /// Nobody deletes an object before its time.
    pub lock: Option<ObjectLock>,
    /// Nobody deletes an object until somebody takes the hold away.
    pub legal_hold: bool,
    /// As S3 names it; `None`: the bucket's own.
    pub storage_class: Option<String>,
    /// `None`: the bucket's own.
    pub encryption: Option<S3Encryption>,
    /// Tags of every object.
    pub tags: BTreeMap<String, String>,
    /// TLS beyond the system's roots; only `ca_file` is used.
    pub tls: TlsPlan,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// Credentials given by file or environment in the configuration itself.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// Not secret.
    pub access_key_id: String,
    /// Secret.
    pub secret_access_key: Secret,
}

/// `role_arn = …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Role {
    /// `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
}

/// `sse = …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With a key of S3's own.
    Aes256,
    /// With a key in KMS; `None` is the account's `aws/s3`.
    Kms(Option<String>),
}

/// Until when an object may not be deleted, counted from the moment at which it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Whom it binds.
    pub mode: LockMode,
    /// For how long.
    pub days: u32,
}

/// Whom a lock binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Who has a right of its own may shorten or lift it: S3's governance, the unlocked policy of others.
    Liftable,
    /// Nobody may: S3's compliance, the locked policy of others.
    Binding,
}

/// `format = …`: the form in which segments lie in an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectFormat {
    /// As they lie in the journal, byte for byte.
    #[default]
    Zstd,
    /// The same lines in one gzip member, for readers that know no zstd.
    Gzip,
}

impl ObjectFormat {
    /// As `format` names it.
    pub fn name(self) -> &'static str {
        match self {
            ObjectFormat::Zstd => "zstd",
            ObjectFormat::Gzip => "gzip",
        }
    }

    /// The end of an object's name.
    pub fn suffix(self) -> &'static str {
        match self {
            ObjectFormat::Zstd => ".ndjson.zst",
            ObjectFormat::Gzip => ".ndjson.gz",
        }
    }
}

/// `type = "gcs"`.
#[derive(Debug, Clone)]
pub struct GcsPlan {
    /// The bucket.
    pub bucket: String,
    /// Put before every name, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The form in which segments lie there.
    pub format: ObjectFormat,
    /// Where the JSON API is.
    pub endpoint: String,
    /// JSON of a service account, or of whom `gcloud` knows. `None`: the environment's, `gcloud`'s, or the metadata server's.
    pub credentials_file: Option<PathBuf>,
    /// Nobody deletes an object before its time.
    pub lock: Option<ObjectLock>,
    /// Holds under which every object is put.
    pub hold: Option<GcsHold>,
    /// As GCS names it; `None`: the bucket's own.
    pub storage_class: Option<String>,
    /// `projects/…/cryptoKeys/…`; `None`: the bucket's own.
    pub kms_key_name: Option<String>,
    /// TLS beyond the system's roots; without a client certificate.
    pub tls: TlsPlan,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// `hold = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcsHold {
    /// Until somebody takes it away.
    Temporary,
    /// The same; and the bucket's retention period is counted from then.
    EventBased,
}

/// `type = "azure_blob"`.
#[derive(Debug, Clone)]
pub struct AzurePlan {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// Put before every name, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The form in which segments lie there.
    pub format: ObjectFormat,
    /// Where the account's blobs are.
    pub endpoint: String,
    /// Who we are.
    pub credentials: AzureCredentials,
    /// Nobody deletes a blob before its time.
    pub lock: Option<ObjectLock>,
    /// Nobody deletes a blob until somebody takes the hold away.
    pub legal_hold: bool,
    /// `Hot`, `Cool`, `Cold`, `Archive`; `None`: the account's own.
    pub access_tier: Option<String>,
    /// Index tags of every blob.
    pub tags: BTreeMap<String, String>,
    /// TLS beyond the system's roots; without a client certificate.
    pub tls: TlsPlan,
    /// A request that has no answer by then is tried again.
    pub timeout: Duration,
}

/// Who the agent is for Azure.
#[derive(Debug, Clone)]
pub enum AzureCredentials {
    /// The account's key.
    AccountKey(Secret),
    /// A shared access signature.
    SasToken(Secret),
    /// An application of Entra ID.
    Client {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Secret.
        client_secret: Secret,
    },
    /// Workload identity where its variables are set, else the machine's identity.
    Environment {
        /// Which of the identities that the machine has.
        client_id: Option<String>,
    },
}
