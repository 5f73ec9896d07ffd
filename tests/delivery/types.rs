//! Every type of destination, as the real program is led to it: its far side, and its table in a configuration.
//!
//! A new type is a line of [`Type`] and an arm of [`Type::open`]; all that runs against every type runs against it then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sealtrail::config::plan::Transport;

use crate::elasticsearch::BASIC;
use crate::far::{Far, MakeKind};
use crate::receivers::datadog::{API_KEY, Datadog};
use crate::receivers::elasticsearch::{ACCESS_KEY as AWS_KEY, Cluster, Door, SECRET_KEY as AWS_SECRET};
use crate::receivers::kafka::TOPIC;
use crate::receivers::loki::Loki;
use crate::receivers::otlp::Otlp;
use crate::receivers::secops::{FORWARDER, INSTANCE, LOG_TYPE, Secops};
use crate::receivers::sentinel::{RULE, STREAM, Sentinel};
use crate::receivers::splunk_hec::{Hec, TOKEN};
use crate::receivers::tokens::{CLIENT_ID, CLIENT_SECRET, EMAIL, Endpoint, PRIVATE_KEY};
use crate::support::certs::Certs;
use crate::support::front::{Fault, Front, Receiver};
use crate::support::s3::{ACCESS_KEY, SECRET_KEY, Server};
use crate::support::stores::{ACCOUNT, ACCOUNT_KEY, Store};
use crate::support::syslog::Program;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    File,
    Http,
    S3,
    Gcs,
    AzureBlob,
    SplunkHec,
    Elasticsearch,
    Opensearch,
    Stdout,
    SyslogTcp,
    SyslogTls,
    Otlp,
    Loki,
    Datadog,
    Sentinel,
    Secops,
    Kafka,
}

impl Type {
    pub const ALL: [Type; 17] = [
        Type::File,
        Type::Http,
        Type::S3,
        Type::Gcs,
        Type::AzureBlob,
        Type::SplunkHec,
        Type::Elasticsearch,
        Type::Opensearch,
        Type::Stdout,
        Type::SyslogTcp,
        Type::SyslogTls,
        Type::Otlp,
        Type::Loki,
        Type::Datadog,
        Type::Sentinel,
        Type::Secops,
        Type::Kafka,
    ];

    /// What a destination of it is called here: its `type`, and after a hyphen what tells it from another of that type.
    pub fn name(self) -> &'static str {
        match self {
            Type::File => "file",
            Type::Http => "http",
            Type::S3 => "s3",
            Type::Gcs => "gcs",
            Type::AzureBlob => "azure_blob",
            Type::SplunkHec => "splunk_hec",
            Type::Elasticsearch => "elasticsearch",
            Type::Opensearch => "opensearch",
            Type::Stdout => "stdout",
            Type::SyslogTcp => "syslog-tcp",
            Type::SyslogTls => "syslog-tls",
            Type::Otlp => "otlp",
            Type::Loki => "loki",
            Type::Datadog => "datadog",
            Type::Sentinel => "sentinel",
            Type::Secops => "secops",
            Type::Kafka => "kafka",
        }
    }

    /// Its far side at work. What the table names lies in `folder`.
    pub async fn open(self, folder: &Path) -> Side {
        match self {
            Type::File => file(),
            Type::Http => http(folder).await,
            Type::S3 => s3(folder).await,
            Type::Gcs => gcs().await,
            Type::AzureBlob => azure_blob(folder).await,
            Type::SplunkHec => splunk_hec(folder).await,
            Type::Elasticsearch => elasticsearch(folder).await,
            Type::Opensearch => opensearch(folder).await,
            Type::Stdout => Side::of(Type::Stdout, Far::Stdout { ear: Arc::default() }, ""),
            Type::SyslogTcp => syslog(self, Program::Rsyslog, Transport::Tcp).await,
            Type::SyslogTls => syslog(self, Program::SyslogNg, Transport::Tls).await,
            Type::Otlp => otlp(folder).await,
            Type::Loki => loki(folder).await,
            Type::Datadog => datadog(folder).await,
            Type::Sentinel => sentinel(folder).await,
            Type::Secops => secops(folder).await,
            Type::Kafka => kafka(folder).await,
        }
    }
}

/// A token that is asked for, and another.
const RIGHT: &str = "r1ght-t0ken";
const WRONG: &str = "wr0ng-t0ken";

/// One destination of the real program.
pub struct Side {
    /// The destination's name.
    pub name: &'static str,
    pub far: Far,
    /// Its keys, but for its name.
    keys: String,
    /// Its `tls`, where that is no part of the keys.
    tls: String,
    /// What shows the far side who we are.
    secret: Option<SecretFile>,
    /// A line that comes twice is there once.
    pub once: bool,
}

/// A file with a secret, and what else may stand in it.
struct SecretFile {
    path: PathBuf,
    right: String,
    wrong: String,
}

/// How a far side fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens; of a folder, there is none and none can be made.
    Down,
    /// The connection breaks midway.
    Breaks,
    /// What comes is taken, and the connection breaks before the answer.
    LosesAnswers,
    /// What comes is taken, and there is no answer.
    Hangs,
    /// 429 with `Retry-After`.
    TooMany,
    /// 503.
    Unavailable,
    /// The agent has other credentials than those that are asked for; where none are, it is told so.
    WrongCredentials,
    /// Answers take a while.
    Slow,
}

impl Side {
    /// `keys` are those of its type, a line each.
    fn of(of: Type, far: Far, keys: &str) -> Self {
        let keys = format!("type = \"{}\"\n{keys}", type_of(of.name()));
        Side { name: of.name(), far, keys, tls: String::new(), secret: None, once: false }
    }

    /// A second delivery of a line leaves nothing.
    fn once(self) -> Self {
        Side { once: true, ..self }
    }

    fn secret(self, path: PathBuf, right: impl Into<String>, wrong: impl Into<String>) -> Self {
        let secret = SecretFile { path, right: right.into(), wrong: wrong.into() };
        secret.write(&secret.right);
        Side { secret: Some(secret), ..self }
    }

    /// Its table. Requests are given up after two seconds.
    pub fn table(&self) -> String {
        let timeout = if matches!(self.far, Far::File { .. }) { "" } else { "timeout = \"2s\"\n" };
        format!("[[destination]]\nname = \"{}\"\n{}\n{timeout}{}\n", self.name, self.keys, self.tls)
    }

    /// It speaks TLS from now on, with a certificate that an authority has signed.
    pub async fn secure(&mut self, certs: &Certs) {
        let front = self.far.front();
        front.secure(certs.acceptor(false)).await;
        self.keys = self.keys.replace(&format!("http://{}", front.address), &format!("https://{}", front.address));
    }

    /// The agent trusts this authority and no other.
    pub fn trust(&mut self, certs: &Certs) {
        self.tls = format!("tls = {{ ca_file = \"{}\" }}\n", certs.path("ca.pem").display());
    }

    /// What may be told to nobody.
    pub fn secrets(&self) -> Vec<&str> {
        self.secret.iter().flat_map(|secret| [secret.right.as_str(), secret.wrong.as_str()]).collect()
    }

    /// In which ways it can fail.
    pub fn troubles(&self) -> &'static [Trouble] {
        use Trouble::*;
        match self.far {
            Far::File { .. } => &[Down],
            Far::Stdout { .. } => &[Hangs],
            Far::Syslog { .. } => &[Down, Breaks, LosesAnswers, Hangs, Slow],
            _ => &[Down, Breaks, LosesAnswers, Hangs, TooMany, Unavailable, WrongCredentials, Slow],
        }
    }

    pub async fn begin(&mut self, trouble: Trouble) {
        match (trouble, &mut self.far) {
            (Trouble::Down, Far::File { dir }) => exchange(&dir.path().join("evidence")),
            (Trouble::Down, far) => far.down().await,
            (Trouble::Hangs, Far::Stdout { ear }) => ear.stall(true),
            (Trouble::WrongCredentials, far) => match &self.secret {
                Some(secret) => secret.write(&secret.wrong),
                None => far.be(Some(Fault::Status(401))),
            },
            (Trouble::Breaks, far) => far.be(Some(Fault::Reset)),
            (Trouble::LosesAnswers, far) => far.be(Some(Fault::ResetAfter)),
            (Trouble::Hangs, far) => far.be(Some(Fault::StallAfter)),
            (Trouble::TooMany, far) => far.be(Some(Fault::RetryAfter(429, "1"))),
            (Trouble::Unavailable, far) => far.be(Some(Fault::Status(503))),
            (Trouble::Slow, far) => far.be(Some(Fault::Slow)),
        }
    }

    pub async fn end(&mut self, trouble: Trouble) {
        match (trouble, &mut self.far) {
            (Trouble::Down, Far::File { dir }) => exchange(&dir.path().join("evidence")),
            (Trouble::Down, far) => far.up().await,
            (_, Far::Stdout { ear }) => ear.stall(false),
            (Trouble::WrongCredentials, far) => match &self.secret {
                Some(secret) => secret.write(&secret.right),
                None => far.be(None),
            },
            (_, far) => far.be(None),
        }
    }
}

/// As a configuration names it.
fn type_of(name: &str) -> &str {
    name.split('-').next().unwrap()
}

impl SecretFile {
    /// Whole or not at all: the agent may read it at any time.
    fn write(&self, content: &str) {
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, content).unwrap();
        std::fs::rename(beside, &self.path).unwrap();
    }
}

/// As when a mount is gone: a file stands where the folder was, and the other way round. At once, as the agent makes a folder that is not there.
fn exchange(folder: &Path) {
    let away = folder.with_extension("away");
    if !away.exists() {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&away, "").unwrap();
    }
    renameat_with(CWD, folder, CWD, &away, RenameFlags::EXCHANGE).unwrap();
}

fn file() -> Side {
    let far = Far::file();
    let path = far.path();
    Side::of(Type::File, far, &format!("path = \"{}\"", path.display())).once()
}

async fn http(folder: &Path) -> Side {
    let mut far = Far::http().await;
    *far.front().shared.token.lock().unwrap() = Some(RIGHT.to_owned());
    let file = folder.join("http.token");
    let keys = format!("url = \"{}/in\"\ntoken_file = \"{}\"", url(&mut far), file.display());
    Side::of(Type::Http, far, &keys).once().secret(file, RIGHT, WRONG)
}

async fn s3(folder: &Path) -> Side {
    let mut far = Far::s3(Server::S3s).await;
    let (url, bucket, file) = (url(&mut far), bucket(&far), folder.join("s3.secret"));
    let keys = format!(
        "bucket = \"{bucket}\"\nregion = \"us-east-1\"\nendpoint = \"{url}\"\npath_style = true\naccess_key_id = \"{ACCESS_KEY}\"\nsecret_access_key_file = \"{}\"",
        file.display()
    );
    Side::of(Type::S3, far, &keys).once().secret(file, SECRET_KEY, "another-secret")
}

async fn gcs() -> Side {
    let mut far = Far::store(Store::Gcs).await;
    let (url, bucket) = (url(&mut far), bucket(&far));
    let nobody = Path::new("tests/delivery/gcs-nobody.json").canonicalize().unwrap();
    let keys = format!("bucket = \"{bucket}\"\nendpoint = \"{url}\"\ncredentials_file = \"{}\"", nobody.display());
    Side::of(Type::Gcs, far, &keys).once()
}

async fn azure_blob(folder: &Path) -> Side {
    let mut far = Far::store(Store::Azure).await;
    let (url, container, file) = (url(&mut far), bucket(&far), folder.join("azure.key"));
    let keys = format!(
        "account = \"{ACCOUNT}\"\ncontainer = \"{container}\"\nendpoint = \"{url}/{ACCOUNT}\"\naccount_key_file = \"{}\"",
        file.display()
    );
    Side::of(Type::AzureBlob, far, &keys).once().secret(file, ACCOUNT_KEY, "bm90IHRoZSBrZXk=")
}

async fn splunk_hec(folder: &Path) -> Side {
    let (far, url) = received(Hec::acknowledging(1), crate::splunk_hec::acknowledged).await;
    let file = folder.join("splunk.token");
    let keys = format!(
        "url = \"{url}\"\ntoken_file = \"{}\"\nindex = \"audit\"\nacknowledgement = true\nacknowledgement_timeout = \"2s\"\nin_flight = 4",
        file.display()
    );
    Side::of(Type::SplunkHec, far, &keys).secret(file, TOKEN, "99999999-2222-3333-4444-555555555555")
}

async fn elasticsearch(folder: &Path) -> Side {
    let (far, url) = received(Cluster::elasticsearch(BASIC), crate::elasticsearch::by_password).await;
    let file = folder.join("elastic.password");
    let keys = format!("url = \"{url}\"\nusername = \"elastic\"\npassword_file = \"{}\"", file.display());
    Side::of(Type::Elasticsearch, far, &keys).once().secret(file, "s3cret", WRONG)
}

async fn opensearch(folder: &Path) -> Side {
    let cluster = Cluster::opensearch(Door::Signed("eu-central-1", "es"));
    let (far, url) = received(cluster, crate::elasticsearch::signed).await;
    let file = folder.join("aws.secret");
    // The hash of the body can be checked where it is not compressed.
    let keys = format!(
        "url = \"{url}\"\naws_region = \"eu-central-1\"\naccess_key_id = \"{AWS_KEY}\"\nsecret_access_key_file = \"{}\"\ncompression = \"none\"",
        file.display()
    );
    Side::of(Type::Opensearch, far, &keys).once().secret(file, AWS_SECRET, "another-secret")
}

async fn syslog(of: Type, program: Program, transport: Transport) -> Side {
    let far = Far::syslog(program, transport).await;
    let plan = far.syslog_plan();
    let tls = match plan.tls.ca_file.filter(|_| transport == Transport::Tls) {
        Some(file) => format!("\ntls = {{ ca_file = \"{}\" }}", file.display()),
        None => String::new(),
    };
    let transport = if transport == Transport::Tls { "tls" } else { "tcp" };
    // As much as the receivers take.
    let keys = format!(
        "address = \"localhost:{}\"\ntransport = \"{transport}\"\nmessage_max_bytes = \"63KiB\"{tls}",
        plan.port
    );
    Side::of(of, far, &keys)
}

async fn otlp(folder: &Path) -> Side {
    let otlp = Otlp::default();
    *otlp.token.lock().unwrap() = Some(RIGHT);
    let (far, url) = received(otlp, crate::otlp::kind).await;
    let file = folder.join("otlp.token");
    Side::of(Type::Otlp, far, &format!("url = \"{url}\"\ntoken_file = \"{}\"", file.display()))
        .secret(file, RIGHT, WRONG)
}

async fn loki(folder: &Path) -> Side {
    let loki = Loki::default();
    loki.rules.lock().unwrap().authorization = Some("Bearer r1ght-t0ken");
    let (far, url) = received(loki, crate::loki::kind).await;
    let file = folder.join("loki.token");
    Side::of(Type::Loki, far, &format!("url = \"{url}\"\ntoken_file = \"{}\"", file.display()))
        .once()
        .secret(file, RIGHT, WRONG)
}

async fn datadog(folder: &Path) -> Side {
    let (far, url) = received(Datadog::default(), crate::datadog::kind).await;
    let file = folder.join("datadog.key");
    Side::of(Type::Datadog, far, &format!("url = \"{url}\"\napi_key_file = \"{}\"", file.display())).secret(
        file,
        API_KEY,
        "ffffffffffffffffffffffffffffffff",
    )
}

async fn sentinel(folder: &Path) -> Side {
    let (far, url) = received(Sentinel::new(Endpoint::shared()), crate::sentinel::kind).await;
    let (token_url, file) = (Endpoint::shared().url(), folder.join("entra.secret"));
    let keys = format!(
        "url = \"{url}\"\nrule = \"{RULE}\"\nstream = \"{STREAM}\"\noauth2 = {{ token_url = \"{token_url}\", client_id = \"{CLIENT_ID}\", client_secret_file = \"{}\" }}",
        file.display()
    );
    Side::of(Type::Sentinel, far, &keys).secret(file, CLIENT_SECRET, "another-secret")
}

async fn secops(folder: &Path) -> Side {
    let (far, url) = received(Secops::new(Endpoint::shared()), crate::secops::kind).await;
    let file = folder.join("secops.json");
    let account = |email: &str| {
        serde_json::json!({
            "type": "service_account", "project_id": "acme", "private_key_id": "1", "private_key": PRIVATE_KEY,
            "client_email": email, "token_uri": Endpoint::shared().url(),
        })
        .to_string()
    };
    let keys = format!(
        "url = \"{url}\"\ninstance = \"{INSTANCE}\"\nlog_type = \"{LOG_TYPE}\"\nforwarder = \"{FORWARDER}\"\ncredentials_file = \"{}\"",
        file.display()
    );
    Side::of(Type::Secops, far, &keys).secret(file, account(EMAIL), account("nobody@acme.iam.gserviceaccount.com"))
}

async fn kafka(folder: &Path) -> Side {
    let far = Far::kafka().await;
    let Far::Kafka { cluster } = &far else { panic!("no Kafka") };
    cluster.rules(|rules| rules.login = Some(("SCRAM-SHA-512", "sealtrail", RIGHT)));
    let brokers: Vec<_> =
        cluster.addresses().iter().map(|address| format!("\"localhost:{}\"", address.port())).collect();
    let file = folder.join("kafka.password");
    let keys = format!(
        "brokers = [{}]\ntopic = \"{TOPIC}\"\ntransport = \"tcp\"\nusername = \"sealtrail\"\npassword_file = \"{}\"",
        brokers.join(", "),
        file.display()
    );
    Side::of(Type::Kafka, far, &keys).secret(file, RIGHT, WRONG)
}

/// The far side, and where it is.
async fn received(receiver: impl Receiver + 'static, make: MakeKind) -> (Far, String) {
    let mut far = Far::receiver(Arc::new(receiver), make).await;
    let url = url(&mut far);
    (far, url)
}

fn url(far: &mut Far) -> String {
    let Front { address, .. } = far.front();
    format!("http://{address}")
}

fn bucket(far: &Far) -> String {
    match far {
        Far::S3 { bucket, .. } | Far::Store { bucket, .. } => bucket.clone(),
        _ => panic!("no bucket"),
    }
}

#[test]
fn every_type_that_the_configuration_knows_is_here() {
    let host = crate::host::Host::empty();
    host.configure("", "[[destination]]\nname = \"x\"\n");
    let said = crate::host::text(&host.ask("check", &[]).stderr);
    let known =
        said.split_once("type is one of: ").and_then(|(_, rest)| rest.lines().next()).expect("a hint with all types");
    let known: BTreeSet<&str> = known.split(", ").collect();
    assert_eq!(Type::ALL.map(|of| type_of(of.name())).into_iter().collect::<BTreeSet<_>>(), known);
}
