//! What the configuration means: every value filled in, every rule checked. `check` prints it, `run` starts from it.
//!
//! Nothing here knows TOML, and nothing later reads the file again.

mod collectors;
mod kafka;
mod objects;
mod search;
mod syslog;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::detect::dialect_of;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format};

pub use self::collectors::{DatadogPlan, HttpPlan, LokiPlan, OauthPlan, OtlpPlan, SecopsPlan, SentinelPlan};
pub use self::kafka::{KafkaLogin, KafkaPlan, SaslMechanism};
pub use self::objects::{
    AzureCredentials, AzurePlan, GcsHold, GcsPlan, LockMode, ObjectFormat, ObjectLock, S3Credentials, S3Encryption,
    S3Plan, S3Role,
};
pub use self::search::{ElasticsearchPlan, SearchLogin, SearchProduct, SplunkHecPlan};
pub use self::syslog::{SyslogFormat, SyslogPlan, Transport};
use super::bounds::LAG_MAX;
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

/// `type = "stdout"`.
#[derive(Debug, Clone)]
pub struct StdoutPlan {
    /// A batch is written when it has this many bytes.
    pub batch_max_bytes: usize,
    /// A batch that nobody has read by then is tried again.
    pub timeout: Duration,
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
