//! A destination under test: its plan, its far side, and what that holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sealtrail::config::plan::*;
use sealtrail::config::secret::Secret;
use sealtrail::health::{DestinationHealth, Health};
use sealtrail::redact::Redact;
use sealtrail::shape::Classify;
use sealtrail::ship::{self, Pace, Ship};
use tokio::sync::watch;

use crate::process::Ear;
use crate::receivers::kafka::{self, Cluster};
use crate::support::front::{Behind, Fault, Front, Receiver};
use crate::support::journal::{Journal, lines_of, read};
use crate::support::s3::{ACCESS_KEY, SECRET_KEY, Server};
use crate::support::stores::{ACCOUNT, ACCOUNT_KEY, Store};
use crate::support::syslog::{Program, Syslog};
use crate::support::wire::Wire;

pub const ORIGIN: &str = "acme/test/db-1";
/// Long enough for a slow machine, short enough to wait for.
pub const TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(40);

/// The far side.
pub enum Far {
    /// A wire to it, which can be broken.
    Syslog {
        wire: Wire,
        syslog: Syslog,
        transport: Transport,
    },
    File {
        dir: tempfile::TempDir,
    },
    Kafka {
        cluster: Cluster,
    },
    Http {
        front: Front,
    },
    S3 {
        front: Front,
        server: Server,
        bucket: String,
        format: ObjectFormat,
    },
    Store {
        front: Front,
        store: Store,
        bucket: String,
    },
    Receiver {
        front: Front,
        receiver: Arc<dyn Receiver>,
        make: MakeKind,
    },
    /// What reads the agent's standard output.
    Stdout {
        ear: Arc<Ear>,
    },
}

/// Makes the plan of a destination from the URL of its far side.
pub type MakeKind = fn(&str) -> DestinationKind;

impl Far {
    pub fn file() -> Self {
        Far::File { dir: tempfile::tempdir().unwrap() }
    }

    pub async fn http() -> Self {
        Far::Http { front: Front::start(Behind::Collector, None).await }
    }

    pub async fn kafka() -> Self {
        Far::Kafka { cluster: Cluster::start(None).await }
    }

    /// The far side of one protocol, over HTTP.
    pub async fn receiver(receiver: Arc<dyn Receiver>, make: MakeKind) -> Self {
        let front = Front::start(Behind::Receiver(Arc::clone(&receiver)), None).await;
        Far::Receiver { front, receiver, make }
    }

    pub async fn syslog(program: Program, transport: Transport) -> Self {
        let syslog = tokio::task::spawn_blocking(move || Syslog::start(program, false)).await.unwrap();
        let behind = if transport == Transport::Tls { syslog.tls } else { syslog.tcp };
        Far::Syslog { wire: Wire::start(behind.ip(), behind).await, syslog, transport }
    }

    pub async fn s3(server: Server) -> Self {
        Far::s3_at(server, |address| Front::start(Behind::Server(address), None)).await
    }

    pub async fn s3_at<F: Future<Output = Front>>(
        server: Server,
        front: impl FnOnce(std::net::SocketAddr) -> F,
    ) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let address = tokio::task::spawn_blocking(move || server.address()).await.unwrap();
        let bucket = format!("bucket-{}", BUCKETS.fetch_add(1, Relaxed));
        server.make_bucket(&bucket).await;
        Far::S3 { front: front(address).await, server, bucket, format: ObjectFormat::Zstd }
    }

    /// A bucket whose segments are to be gzip.
    pub async fn s3_gzip(server: Server) -> Self {
        match Far::s3(server).await {
            Far::S3 { front, server, bucket, .. } => Far::S3 { front, server, bucket, format: ObjectFormat::Gzip },
            other => other,
        }
    }

    pub async fn store(store: Store) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let address = tokio::task::spawn_blocking(move || store.address()).await.unwrap();
        let bucket = format!("bucket-{}", BUCKETS.fetch_add(1, Relaxed));
        store.make_bucket(&bucket).await;
        Far::Store { front: Front::start(Behind::Server(address), None).await, store, bucket }
    }

    pub fn kind(&self) -> DestinationKind {
        match self {
            Far::File { .. } => DestinationKind::File(FilePlan { path: self.path() }),
            Far::Http { front } => DestinationKind::Http(Box::new(http_plan(&format!("http://{}/in", front.address)))),
            Far::S3 { front, bucket, format, .. } => {
                let plan = s3_plan(&format!("http://{}", front.address), bucket);
                DestinationKind::S3(Box::new(S3Plan { format: *format, ..plan }))
            }
            Far::Store { front, store: Store::Gcs, bucket } => {
                DestinationKind::Gcs(Box::new(gcs_plan(&format!("http://{}", front.address), bucket)))
            }
            Far::Store { front, store: Store::Azure, bucket } => {
                DestinationKind::AzureBlob(Box::new(azure_plan(&format!("http://{}/{ACCOUNT}", front.address), bucket)))
            }
            Far::Receiver { front, make, .. } => make(&format!("http://{}", front.address)),
            Far::Syslog { .. } => DestinationKind::Syslog(Box::new(self.syslog_plan())),
            Far::Kafka { cluster } => DestinationKind::Kafka(Box::new(kafka_plan(&cluster.addresses()))),
            Far::Stdout { .. } => panic!("the program has one standard output: only a process of its own writes to it"),
        }
    }

    pub fn syslog_plan(&self) -> SyslogPlan {
        let Far::Syslog { wire, syslog, transport } = self else { panic!("no syslog") };
        syslog_plan(syslog, *transport, "localhost", wire.address.port())
    }

    pub fn path(&self) -> PathBuf {
        match self {
            Far::File { dir } => dir.path().join("evidence"),
            _ => panic!("no folder"),
        }
    }

    /// How many requests with lines came, the refused ones with them.
    pub fn requests(&mut self) -> usize {
        match self {
            Far::Kafka { cluster } => cluster.codes().len(),
            _ => self.front().seen().len(),
        }
    }

    pub fn front(&mut self) -> &mut Front {
        match self {
            Far::Http { front } | Far::S3 { front, .. } | Far::Store { front, .. } | Far::Receiver { front, .. } => {
                front
            }
            Far::File { .. } | Far::Syslog { .. } | Far::Kafka { .. } | Far::Stdout { .. } => {
                panic!("this one has no front")
            }
        }
    }

    pub fn fail(&mut self, faults: &[Fault]) {
        match self {
            Far::Syslog { wire, .. } => wire.fail(faults),
            Far::Kafka { cluster } => cluster.fail(faults.iter().map(kafka::Fault::of)),
            _ => self.front().fail(faults),
        }
    }

    /// What happens to everything from now on; `None` when it is well.
    pub fn be(&mut self, state: Option<Fault>) {
        match self {
            Far::Syslog { wire, .. } => wire.be(state),
            Far::Kafka { cluster } => *cluster.shared.state.lock().unwrap() = state.as_ref().map(kafka::Fault::of),
            _ => self.front().be(state),
        }
    }

    /// Nobody listens any more; open connections break.
    pub async fn down(&mut self) {
        match self {
            Far::Syslog { wire, .. } => wire.down().await,
            Far::Kafka { cluster } => cluster.down().await,
            _ => self.front().down().await,
        }
    }

    /// Listens again where it did.
    pub async fn up(&mut self) {
        match self {
            Far::Syslog { wire, .. } => wire.up().await,
            Far::Kafka { cluster } => cluster.up().await,
            _ => self.front().up().await,
        }
    }

    /// What must be there by now.
    pub fn wanted(&self, journal: &Journal) -> Vec<String> {
        match self {
            Far::Http { .. } | Far::Receiver { .. } | Far::Syslog { .. } | Far::Kafka { .. } | Far::Stdout { .. } => {
                journal.lines.clone()
            }
            _ => journal.closed_lines().to_vec(),
        }
    }

    /// Whether it takes lines and not segments.
    pub fn takes_lines(&self) -> bool {
        matches!(
            self,
            Far::Http { .. } | Far::Receiver { .. } | Far::Syslog { .. } | Far::Kafka { .. } | Far::Stdout { .. }
        )
    }

    /// The lines it holds, in the order in which it holds them. A protocol that cannot tell a second delivery from a first holds some twice: by
    /// their ids they are one.
    pub async fn lines(&self) -> Vec<String> {
        match self {
            Far::Receiver { .. } | Far::Syslog { .. } | Far::Kafka { .. } | Far::Stdout { .. } => {
                first_of_each(self.taken().await)
            }
            _ => self.taken().await,
        }
    }

    /// The same, with those that it holds twice.
    pub async fn taken(&self) -> Vec<String> {
        match self {
            Far::Http { front } => front.shared.lines.lock().unwrap().clone(),
            Far::Receiver { receiver, .. } => receiver.lines(),
            Far::Syslog { syslog, .. } => syslog.written(),
            Far::Stdout { ear } => ear.lines(),
            Far::Kafka { cluster } => cluster.lines(),
            _ => self.segments().await.iter().flat_map(|(_, bytes)| lines_of(bytes)).collect(),
        }
    }

    /// The segments it holds, by their name or key.
    pub async fn segments(&self) -> Vec<(String, Vec<u8>)> {
        let all: Vec<(String, Vec<u8>)> = match self {
            Far::Http { .. } | Far::Receiver { .. } | Far::Syslog { .. } | Far::Kafka { .. } | Far::Stdout { .. } => {
                Vec::new()
            }
            Far::S3 { server, bucket, .. } => server.objects(bucket).await.into_iter().collect(),
            Far::Store { store, bucket, .. } => store.objects(bucket).await.into_iter().collect(),
            Far::File { .. } => folder(self.path()),
        };
        all.into_iter().filter(|(name, _)| name.contains(".ndjson.")).collect()
    }

    /// Every line of `journal` that must be there is there, and no other.
    pub async fn assert_complete(&self, journal: &Journal) {
        let begin = Instant::now();
        // A syslog receiver writes its file in its own time.
        while matches!(self, Far::Syslog { .. })
            && self.lines().await.len() < self.wanted(journal).len()
            && begin.elapsed() < PATIENCE
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (held, wanted) = (self.lines().await, self.wanted(journal));
        let held: BTreeSet<&String> = held.iter().collect();
        assert_eq!(held, wanted.iter().collect(), "the far side has other lines than the journal");
    }
}

/// The same destination with batches of a MiB, and with all the time that it needs on a slow machine.
pub fn at_ease(mut kind: DestinationKind) -> DestinationKind {
    macro_rules! batches {
        ($plan:expr) => {{
            $plan.batch_max_bytes = 1 << 20;
            $plan.timeout = PATIENCE;
        }};
    }
    match &mut kind {
        DestinationKind::File(_) => {}
        DestinationKind::S3(plan) => plan.timeout = PATIENCE,
        DestinationKind::Gcs(plan) => plan.timeout = PATIENCE,
        DestinationKind::AzureBlob(plan) => plan.timeout = PATIENCE,
        DestinationKind::Http(plan) => batches!(plan),
        DestinationKind::SplunkHec(plan) => {
            plan.acknowledgement_timeout = PATIENCE;
            batches!(plan);
        }
        DestinationKind::Elasticsearch(plan) => batches!(plan),
        DestinationKind::Stdout(plan) => batches!(plan),
        DestinationKind::Syslog(plan) => batches!(plan),
        DestinationKind::Otlp(plan) => batches!(plan),
        DestinationKind::Loki(plan) => batches!(plan),
        DestinationKind::Kafka(plan) => batches!(plan),
        DestinationKind::Datadog(plan) => batches!(plan),
        DestinationKind::Sentinel(plan) => batches!(plan),
        DestinationKind::Secops(plan) => batches!(plan),
    }
    kind
}

fn first_of_each(lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).collect()
}

fn folder(path: PathBuf) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), read(&entry.path())))
        .collect();
    files.sort();
    files
}

pub fn http_plan(url: &str) -> HttpPlan {
    HttpPlan {
        url: url.to_owned(),
        headers: [("x-tenant".to_owned(), Secret::new("acme".to_owned()))].into(),
        templates: BTreeMap::new(),
        token: None,
        oauth2: None,
        tls: TlsPlan::default(),
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

pub fn syslog_plan(syslog: &Syslog, transport: Transport, host: &str, port: u16) -> SyslogPlan {
    let tls = TlsPlan { ca_file: Some(syslog.certs.path("ca.pem")), ..TlsPlan::default() };
    SyslogPlan {
        host: host.to_owned(),
        port,
        transport,
        tls,
        format: SyslogFormat::Native,
        facility: 13,
        app_name: "sealtrail".to_owned(),
        enterprise_id: 32473,
        bom: true,
        confirm: true,
        message_max_bytes: 8192,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

pub fn kafka_plan(brokers: &[SocketAddr]) -> KafkaPlan {
    KafkaPlan {
        brokers: brokers.iter().map(|address| ("localhost".to_owned(), address.port())).collect(),
        topic: kafka::TOPIC.to_owned(),
        partition: None,
        transport: Transport::Tcp,
        tls: TlsPlan::default(),
        login: KafkaLogin::Nobody,
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

pub fn s3_plan(endpoint: &str, bucket: &str) -> S3Plan {
    S3Plan {
        bucket: bucket.to_owned(),
        prefix: "evidence".to_owned(),
        format: ObjectFormat::Zstd,
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        credentials: Some(S3Credentials {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: Secret::new(SECRET_KEY.to_owned()),
        }),
        role: None,
        bucket_owner: None,
        lock: None,
        legal_hold: false,
        storage_class: None,
        encryption: None,
        tags: BTreeMap::new(),
        tls: TlsPlan::default(),
        timeout: TIMEOUT,
    }
}

pub fn gcs_plan(endpoint: &str, bucket: &str) -> GcsPlan {
    GcsPlan {
        bucket: bucket.to_owned(),
        prefix: "evidence".to_owned(),
        format: ObjectFormat::Zstd,
        endpoint: endpoint.to_owned(),
        credentials_file: Some(PathBuf::from("tests/delivery/gcs-nobody.json").canonicalize().unwrap()),
        lock: None,
        hold: None,
        storage_class: None,
        kms_key_name: None,
        tls: TlsPlan::default(),
        timeout: TIMEOUT,
    }
}

pub fn azure_plan(endpoint: &str, container: &str) -> AzurePlan {
    AzurePlan {
        account: ACCOUNT.to_owned(),
        container: container.to_owned(),
        prefix: "evidence".to_owned(),
        format: ObjectFormat::Zstd,
        endpoint: endpoint.to_owned(),
        credentials: AzureCredentials::AccountKey(Secret::new(ACCOUNT_KEY.to_owned())),
        lock: None,
        legal_hold: false,
        access_tier: None,
        tags: BTreeMap::new(),
        tls: TlsPlan::default(),
        timeout: TIMEOUT,
    }
}

pub fn plan(journal: &Journal, kinds: Vec<DestinationKind>) -> Plan {
    let destinations = kinds.into_iter().enumerate();
    Plan {
        identity: None,
        agent: AgentPlan {
            name: "db-1".to_owned(),
            origin: ORIGIN.to_owned(),
            state_dir: journal.state.path().to_owned(),
            journal_max_bytes: 1 << 30,
            record_max_bytes: 1 << 20,
            poll_interval: Duration::from_secs(1),
        },
        sources: Vec::new(),
        classify: Classify::default(),
        redact: Redact::default(),
        seal: SealPlan {
            interval: Duration::from_secs(1),
            heartbeat: Duration::from_secs(60),
            segment_max_bytes: 1 << 24,
            segment_max_age: Duration::from_secs(300),
        },
        destinations: destinations.map(|(at, kind)| DestinationPlan::new(&format!("d{at}"), kind)).collect(),
        health: HealthPlan { listen: None, status_socket: journal.state.path().join("status.sock") },
        sha256: String::new(),
    }
}

/// The couriers at work on a plan.
pub struct Run {
    pub health: Arc<Health>,
    pub ship: Ship,
    stop: watch::Sender<bool>,
}

impl Run {
    pub fn start(journal: &Journal, kinds: Vec<DestinationKind>) -> Self {
        Run::of(journal, &plan(journal, kinds))
    }

    pub fn of(journal: &Journal, plan: &Plan) -> Self {
        let health = Arc::new(Health::new(plan, 0));
        let (stop, told) = watch::channel(false);
        let pace = Pace {
            first: Duration::from_millis(10),
            most: Duration::from_millis(100),
            stopped: Duration::from_millis(200),
            retry_after_max: Duration::from_secs(600),
            grace: Duration::from_millis(500),
            letters: Duration::from_millis(50),
        };
        let ship = {
            let host = sealtrail::host::Host::this();
            let sinks = ship::real_sinks(&host);
            ship::start_with(plan, &host, journal.head.subscribe(), told, Arc::clone(&health), None, pace, &sinks)
        };
        Run { health, ship, stop }
    }

    pub fn one(&self) -> &DestinationHealth {
        &self.health.destinations[0]
    }

    /// Waits until `holds`; says what stands in the way when it never does.
    pub async fn until(&self, what: &str, holds: impl Fn(&DestinationHealth) -> bool) {
        let begin = Instant::now();
        while !holds(self.one()) {
            assert!(begin.elapsed() < PATIENCE, "{what}: {:#?}", self.one());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the destination has everything that `far` must have.
    pub async fn until_delivered(&self, far: &Far, journal: &Journal) {
        let wanted = far.wanted(journal).len() as u64;
        self.until("delivered", |health| health.next_line.load(Relaxed) >= wanted && health.problem.get().is_none())
            .await;
        far.assert_complete(journal).await;
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        let begin = Instant::now();
        self.ship.stopped().await;
        assert!(begin.elapsed() < Duration::from_secs(5), "couriers took {:?} to stop", begin.elapsed());
    }
}
