//! What the configuration means: every value filled in, every rule checked. `check` prints it, `run` starts from it.
//!
//! Nothing here knows TOML, and nothing later reads the file again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::detect::dialect_of;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format};

use super::bounds::LAG_MAX;
use super::secret::Secret;
use super::template::Template;
use crate::identity::{Carriers, Loaded, Loader};
use crate::redact::Redact;
use crate::schema::Schema;
use crate::shape::Classify;

/// All that `run` needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who we are and where we keep our state.
    pub agent: AgentPlan,
    /// What to read, in the order of the file; at least one.
    pub sources: Vec<SourcePlan>,
    /// Who and what counts as an administrator's.
    pub classify: Classify,
    /// Who is behind the accounts; `None`: nobody says.
    pub identity: Option<IdentityPlan>,
    /// What counts as a secret, beside what is one everywhere.
    pub redact: Redact,
    /// When to seal and when to roll.
    pub seal: SealPlan,
    /// Where to deliver, in the order of the file; at least one (the embedded default is a `file` destination).
    pub destinations: Vec<DestinationPlan>,
    /// Status, health and metrics.
    pub health: HealthPlan,
    /// SHA-256 of the configuration file's bytes, hex: goes into every seal.
    pub sha256: String,
}

/// `[agent]`.
#[derive(Debug, Clone)]
pub struct AgentPlan {
    /// Default: the host's name.
    pub name: String,
    /// The trail's name, `org/cluster/host`.
    pub origin: String,
    /// Holds `journal/`, `keys/`, `cursors/`, `dead-letter/`, `lock`, `status.sock`.
    pub state_dir: PathBuf,
    /// Disk budget of the journal, in bytes.
    pub journal_max_bytes: u64,
    /// A record larger than this, in bytes, is kept as head and tail.
    pub record_max_bytes: usize,
    /// How often what inotify cannot watch is looked at.
    pub poll_interval: Duration,
}

/// One `[[source]]`.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Unique among the sources.
    pub name: String,
    /// Globs; absolute.
    pub paths: Vec<String>,
    /// Globs of what to leave out.
    pub exclude: Vec<String>,
    /// `None` is `auto`: detected file by file.
    pub format: Option<Format>,
    /// What `format` carries, where it only carries rows of another; `None`: told from what carries them.
    pub inside: Option<Format>,
    /// The server's `log_line_prefix`, for PostgreSQL's text formats; `None`: told file by file from those that are known.
    pub prefix: Option<Arc<Prefix>>,
    /// Where a file that was there before the agent's first start is entered.
    pub start_at: StartAt,
    /// IANA name of the zone in which the server writes its log (`log_timezone`); `None` when the operator said
    /// nothing, and then only zones that name themselves beyond doubt (UTC, numeric offsets) are believed.
    pub timezone: Option<String>,
    /// When its silence is told of.
    pub quiet_after: QuietAfter,
    /// Put on every record under `labels`.
    pub labels: BTreeMap<String, String>,
}

impl SourcePlan {
    /// How a file of this format is read; `head` are its first bytes.
    pub fn dialect(&self, format: Format, head: &[u8]) -> Dialect {
        let told = dialect_of(format, head);
        let prefix = || self.prefix.clone();
        let told_inside = || told.inside.as_deref().cloned();
        let inside = self.inside.map(Dialect::from).or_else(told_inside);
        let inside = inside.map(|inside| Arc::new(Dialect { prefix: prefix().or(inside.prefix), ..inside }));
        Dialect { prefix: prefix().or(told.prefix), inside, format }
    }
}

/// Where a file that was never seen before is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// At its first byte.
    #[default]
    Beginning,
    /// At its end as it was at the agent's first start; files that appear later are read whole.
    End,
}

/// How long a source may be quiet before that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuietAfter {
    /// Longer than it usually is, as far as the agent has seen.
    #[default]
    Habit,
    /// Never told.
    Off,
    /// So long.
    Duration(Duration),
}

/// `[identity]`.
#[derive(Debug, Clone)]
pub struct IdentityPlan {
    /// Where the rules come from, to be read again.
    pub loader: Loader,
    /// As they were read.
    pub loaded: Loaded,
    /// What says who it was beside rules.
    pub carriers: Carriers,
}

/// `[seal]`.
#[derive(Debug, Clone)]
pub struct SealPlan {
    /// A row waits no longer than this before it is sealed and synced.
    pub interval: Duration,
    /// An empty block is sealed this often when there are no rows.
    pub heartbeat: Duration,
    /// A segment is closed at about this size, in bytes on disk.
    pub segment_max_bytes: u64,
    /// A segment that holds rows is closed at this age.
    pub segment_max_age: Duration,
}

/// One `[[destination]]`.
#[derive(Debug, Clone)]
pub struct DestinationPlan {
    /// Unique among the destinations; names the cursor file, so it is `[A-Za-z0-9._-]+`.
    pub name: String,
    /// Whether a segment may be deleted from the journal before this destination has it (`false`), and whether `--drain` waits for it.
    pub required: bool,
    /// Bytes a second that it is given at most, as they lie in the journal; lines uncompressed.
    pub rate_limit: Option<u64>,
    /// Behind for longer than this is an alarm.
    pub lag_max: Duration,
    /// The files of secrets and certificates that it names: when one changes, it is opened anew.
    pub files: Vec<PathBuf>,
    /// Which lines it takes, and how they are written for it. Archives take all, as they are.
    pub choice: Choice,
    /// What it is.
    pub kind: DestinationKind,
}

/// Which lines a destination takes, and in which schema.
#[derive(Debug, Clone)]
pub struct Choice {
    /// How lines are written.
    pub schema: Schema,
    /// Which events.
    pub only: Only,
    /// Not the lines that prove the others: `SEAL` and `CHECKPOINT`.
    pub without_checkpoints: bool,
    /// How many batches may be under way at a time.
    pub in_flight: usize,
    /// A batch has no more lines than this; `None`: as many as its bytes allow.
    pub batch_max_lines: Option<u64>,
    /// How long the first line of a batch waits for more after it was sealed; zero: not at all.
    pub batch_max_age: Duration,
}

impl Default for Choice {
    fn default() -> Self {
        Choice {
            schema: Schema::default(),
            only: Only::default(),
            without_checkpoints: false,
            in_flight: 1,
            batch_max_lines: None,
            batch_max_age: Duration::ZERO,
        }
    }
}

/// `[destination.only]`: an event must fit all that is written; an empty list takes any. In names `*` stands for any part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Names of categories.
    pub categories: Vec<String>,
    /// Privileged or not.
    pub admin: Option<bool>,
    /// Names of sources.
    pub sources: Vec<String>,
    /// Databases.
    pub databases: Vec<String>,
    /// Accounts.
    pub users: Vec<String>,
    /// Persons.
    pub people: Vec<String>,
    /// `success`, `failure`, `unknown`.
    pub outcomes: Vec<String>,
}

/// What a destination is, with the keys of its type.
#[derive(Debug, Clone)]
pub enum DestinationKind {
    /// A folder of closed segments.
    File(FilePlan),
    /// An HTTP collector that takes NDJSON.
    Http(Box<HttpPlan>),
    /// An S3 bucket.
    S3(Box<S3Plan>),
    /// Splunk's HTTP Event Collector.
    SplunkHec(Box<SplunkHecPlan>),
    /// Elasticsearch or OpenSearch.
    Elasticsearch(Box<ElasticsearchPlan>),
    /// The agent's standard output.
    Stdout(StdoutPlan),
    /// A syslog receiver.
    Syslog(Box<SyslogPlan>),
    /// A bucket of Google Cloud Storage.
    Gcs(Box<GcsPlan>),
    /// A container of Azure Blob Storage.
    AzureBlob(Box<AzurePlan>),
    /// An OpenTelemetry collector.
    Otlp(Box<OtlpPlan>),
    /// Grafana Loki.
    Loki(Box<LokiPlan>),
    /// Datadog's log intake.
    Datadog(Box<DatadogPlan>),
    /// Microsoft Sentinel.
    Sentinel(Box<SentinelPlan>),
    /// Google SecOps.
    Secops(Box<SecopsPlan>),
    /// A topic of Kafka.
    Kafka(Box<KafkaPlan>),
}

/// `type = "file"`.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// The folder; made if it is not there.
    pub path: PathBuf,
}

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

/// `type = "kafka"`.
#[derive(Debug, Clone)]
pub struct KafkaPlan {
    /// Hosts and ports of brokers, of which any that answers tells of all others.
    pub brokers: Vec<(String, u16)>,
    /// Must be there.
    pub topic: String,
    /// Instead of the one that the key chooses.
    pub partition: Option<u32>,
    /// `Tls` or `Tcp`.
    pub transport: Transport,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// Who we are.
    pub login: KafkaLogin,
    /// How batches are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A batch that is not taken by then is sent again.
    pub timeout: Duration,
}

/// Who we are to the brokers.
#[derive(Debug, Clone)]
pub enum KafkaLogin {
    /// Whoever the client certificate names, or nobody.
    Nobody,
    /// By SASL.
    Password {
        /// How it is shown that we know it.
        mechanism: SaslMechanism,
        /// Not secret.
        username: String,
        /// Secret.
        password: Secret,
    },
    /// By SASL's OAUTHBEARER.
    Token(OauthPlan),
}

/// `mechanism = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616: as it is.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with a longer hash.
    ScramSha512,
}

impl SaslMechanism {
    /// All of them.
    pub const ALL: [SaslMechanism; 3] = [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

    /// As `mechanism` and the protocol name it.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// `compression = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    None,
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// As `compression` names it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

impl DestinationPlan {
    /// One that is required and takes all lines.
    pub fn new(name: &str, kind: DestinationKind) -> Self {
        DestinationPlan {
            name: name.to_owned(),
            required: true,
            rate_limit: None,
            lag_max: LAG_MAX.default,
            files: Vec::new(),
            choice: Choice::default(),
            kind,
        }
    }
}

/// `tls = { … }`.
#[derive(Debug, Clone, Default)]
pub struct TlsPlan {
    /// PEM: trusted instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// PEM: client certificate chain.
    pub cert_file: Option<PathBuf>,
    /// PEM: its private key.
    pub key_file: Option<PathBuf>,
    /// Nothing older is spoken.
    pub min_version: TlsVersion,
    /// Nobody is asked who they are.
    pub accept_any_certificate: bool,
}

/// `tls.min_version = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// All of them.
    pub const ALL: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

    /// As `min_version` names it.
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }
}

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

/// Credentials given by file or environment in the configuration itself.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// Not secret.
    pub access_key_id: String,
    /// Secret.
    pub secret_access_key: Secret,
}

/// `type = "stdout"`.
#[derive(Debug, Clone)]
pub struct StdoutPlan {
    /// A batch is written when it has this many bytes.
    pub batch_max_bytes: usize,
    /// A batch that nobody has read by then is tried again.
    pub timeout: Duration,
}

/// `type = "syslog"`.
#[derive(Debug, Clone)]
pub struct SyslogPlan {
    /// A name or an address, without brackets.
    pub host: String,
    /// UDP's or TCP's.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// What the messages say.
    pub format: SyslogFormat,
    /// 0 to 23.
    pub facility: u8,
    /// At most 48 visible ASCII characters.
    pub app_name: String,
    /// Of the structured data's name.
    pub enterprise_id: u64,
    /// A body that is not ASCII begins with a byte order mark, as RFC 5424 wants it.
    pub bom: bool,
    /// A batch counts as delivered once the receiver has closed its connection.
    pub confirm: bool,
    /// A message that is longer is not sent.
    pub message_max_bytes: usize,
    /// A batch is sent when it has this many bytes, as lines.
    pub batch_max_bytes: usize,
    /// A batch that is not delivered by then is tried again.
    pub timeout: Duration,
}

/// `transport = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RFC 5425.
    Tls,
    /// RFC 6587, with octet counting.
    Tcp,
    /// RFC 5426.
    Udp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

    /// As `transport` names it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tls => "tls",
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// `format = …` of syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogFormat {
    /// The line, in the destination's schema.
    Native,
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// QRadar's Log Event Extended Format, version 2.0.
    Leef,
}

impl SyslogFormat {
    /// All of them.
    pub const ALL: [SyslogFormat; 3] = [SyslogFormat::Native, SyslogFormat::Cef, SyslogFormat::Leef];

    /// As `format` names it.
    pub fn name(self) -> &'static str {
        match self {
            SyslogFormat::Native => "native",
            SyslogFormat::Cef => "cef",
            SyslogFormat::Leef => "leef",
        }
    }
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

/// `[health]`.
#[derive(Debug, Clone)]
pub struct HealthPlan {
    /// `/healthz`, `/readyz` and `/metrics` are served here; `None` is off.
    pub listen: Option<SocketAddr>,
    /// `sealtrail status` asks here.
    pub status_socket: PathBuf,
}

impl DestinationKind {
    /// How it is to be trusted, of those that are reached over TLS.
    pub fn tls(&self) -> Option<&TlsPlan> {
        match self {
            DestinationKind::File(_) | DestinationKind::Stdout(_) => None,
            DestinationKind::Http(plan) => Some(&plan.tls),
            DestinationKind::S3(plan) => Some(&plan.tls),
            DestinationKind::SplunkHec(plan) => Some(&plan.tls),
            DestinationKind::Elasticsearch(plan) => Some(&plan.tls),
            DestinationKind::Syslog(plan) => Some(&plan.tls),
            DestinationKind::Kafka(plan) => Some(&plan.tls),
            DestinationKind::Gcs(plan) => Some(&plan.tls),
            DestinationKind::AzureBlob(plan) => Some(&plan.tls),
            DestinationKind::Otlp(plan) => Some(&plan.tls),
            DestinationKind::Loki(plan) => Some(&plan.tls),
            DestinationKind::Datadog(plan) => Some(&plan.tls),
            DestinationKind::Sentinel(plan) => Some(&plan.tls),
            DestinationKind::Secops(plan) => Some(&plan.tls),
        }
    }

    /// The name that users write as `type`.
    pub fn name(&self) -> &'static str {
        match self {
            DestinationKind::File(_) => "file",
            DestinationKind::Http(_) => "http",
            DestinationKind::S3(_) => "s3",
            DestinationKind::SplunkHec(_) => "splunk_hec",
            DestinationKind::Elasticsearch(elastic) => elastic.product.name(),
            DestinationKind::Stdout(_) => "stdout",
            DestinationKind::Syslog(_) => "syslog",
            DestinationKind::Gcs(_) => "gcs",
            DestinationKind::AzureBlob(_) => "azure_blob",
            DestinationKind::Otlp(_) => "otlp",
            DestinationKind::Loki(_) => "loki",
            DestinationKind::Datadog(_) => "datadog",
            DestinationKind::Sentinel(_) => "sentinel",
            DestinationKind::Secops(_) => "secops",
            DestinationKind::Kafka(_) => "kafka",
        }
    }
}
