//! Real S3 servers, one process each for a whole test program, and a client that looks at what they hold.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

pub const ACCESS_KEY: &str = "AKIDTEST";
pub const SECRET_KEY: &str = "test-secret";

/// The servers that the suite runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Checks signatures.
    S3s,
    /// Checks none, and answers much as S3 does.
    Moto,
}

struct Running {
    address: SocketAddr,
    /// Its standard input is the server's life line: it ends when this process does, however that ends, and takes the server's folder
    /// with it.
    _guard: Child,
}

impl Server {
    /// Where it listens; started by whoever asks first.
    pub fn address(self) -> SocketAddr {
        static S3S: OnceLock<Running> = OnceLock::new();
        static MOTO: OnceLock<Running> = OnceLock::new();
        let running = match self {
            Server::S3s => &S3S,
            Server::Moto => &MOTO,
        };
        running.get_or_init(|| self.start()).address
    }

    fn start(self) -> Running {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = tempfile::tempdir().unwrap().keep();
        let port = address.port().to_string();
        let (program, arguments) = match self {
            Server::S3s => (
                tool("bin/s3s-fs"),
                vec!["--host", "127.0.0.1", "--port", &port, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY],
            ),
            Server::Moto => (tool("moto/bin/moto_server"), vec!["-H", "127.0.0.1", "-p", &port]),
        };
        let mut command = Command::new("sh");
        // The shell waits for the end of its standard input, then ends the server, and only that one, by its id.
        let script =
            r#"root=$1; shift; "$@" </dev/null & server=$!; cat; kill "$server"; wait "$server"; rm -r "$root""#;
        command.args(["-c", script, "sh"]).arg(&root).arg(program).args(arguments);
        if self == Server::S3s {
            command.arg(&root);
        }
        let guard = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{self:?} does not listen on {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Running { address, _guard: guard }
    }

    /// A client of its own, straight to the server.
    pub fn client(self) -> Client {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", self.address()))
            .force_path_style(true)
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"));
        Client::from_conf(config.build())
    }

    pub async fn make_bucket(self, name: &str) {
        self.client().create_bucket().bucket(name).send().await.unwrap();
    }

    pub async fn put(self, bucket: &str, key: &str, body: &'static [u8]) {
        self.client().put_object().bucket(bucket).key(key).body(ByteStream::from_static(body)).send().await.unwrap();
    }

    /// All objects of a bucket, by GET.
    pub async fn objects(self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let client = self.client();
        let mut objects = BTreeMap::new();
        let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for key in page.unwrap().contents().iter().filter_map(|object| object.key()) {
                let body = client.get_object().bucket(bucket).key(key).send().await.unwrap().body;
                objects.insert(key.to_owned(), body.collect().await.unwrap().to_vec());
            }
        }
        objects
    }
}

/// A program that `tests/install.sh` installs. Without it the test fails: nothing is skipped in silence.
pub fn tool(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let target = if target.is_absolute() { target } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(target) };
    let path = target.join("tools").join(name);
    assert!(path.exists(), "{} is not there: run tests/install.sh first", path.display());
    path
}
