//! Servers that others wrote for the object stores that are not S3: fake-gcs-server for Google's, Azurite for Azure's, one process each for a
//! whole test program; and what they hold, as a client that is not ours reads it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{ObjectStoreExt, PutMode};
use serde_json::Value;

use super::s3::tool;

/// Azurite's account, which its documentation names, and its key.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Asks nobody who he is.
    Gcs,
    /// Checks signatures.
    Azure,
}

struct Running {
    address: SocketAddr,
    /// Its standard input is the server's life line, as in [`super::s3`].
    _guard: Child,
}

impl Store {
    /// Where it listens; started by whoever asks first.
    pub fn address(self) -> SocketAddr {
        static GCS: OnceLock<Running> = OnceLock::new();
        static AZURE: OnceLock<Running> = OnceLock::new();
        let running = match self {
            Store::Gcs => &GCS,
            Store::Azure => &AZURE,
        };
        running.get_or_init(|| self.start()).address
    }

    fn start(self) -> Running {
        // The library that reads needs one for all of its clients.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = tempfile::tempdir().unwrap().keep();
        let (port, folder) = (address.port().to_string(), root.to_str().unwrap());
        let (program, arguments) = match self {
            Store::Gcs => (
                tool("gcs/fake-gcs-server"),
                vec!["-scheme", "http", "-host", "127.0.0.1", "-port", &port, "-backend", "memory"],
            ),
            Store::Azure => (
                tool("azurite/node_modules/.bin/azurite-blob"),
                vec![
                    "--blobPort",
                    &port,
                    "--location",
                    folder,
                    "--silent",
                    "--disableTelemetry",
                    "--skipApiVersionCheck",
                ],
            ),
        };
        let mut command = Command::new("sh");
        let script =
            r#"root=$1; shift; "$@" </dev/null & server=$!; cat; kill "$server"; wait "$server"; rm -r "$root""#;
        command.args(["-c", script, "sh"]).arg(&root).arg(program).args(arguments);
        let guard = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{self:?} does not listen on {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Running { address, _guard: guard }
    }

    pub async fn make_bucket(self, name: &str) {
        match self {
            Store::Gcs => {
                let url = format!("http://{}/storage/v1/b?project=acme", self.address());
                let body = serde_json::json!({ "name": name }).to_string();
                let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
                assert!(answer.status().is_success(), "{answer:?}");
            }
            Store::Azure => {
                let url = format!("http://{}/{ACCOUNT}/{name}?restype=container", self.address());
                let key = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY).unwrap());
                let mut draft = HttpRequest::new(HttpRequestBody::empty());
                *draft.method_mut() = reqwest::Method::PUT;
                *draft.uri_mut() = url.parse().unwrap();
                draft.headers_mut().insert("content-length", 0.into());
                AzureAuthorizer::new(&key, ACCOUNT).try_authorize(&mut draft).unwrap();
                let request = reqwest::Client::new().put(draft.uri().to_string()).headers(draft.headers().clone());
                let answer = request.send().await.unwrap();
                assert!(answer.status().is_success(), "{answer:?}");
            }
        }
    }

    fn azure(self, container: &str) -> MicrosoftAzure {
        let endpoint = format!("http://{}/{ACCOUNT}", self.address());
        let builder = MicrosoftAzureBuilder::new().with_account(ACCOUNT).with_access_key(ACCOUNT_KEY);
        builder.with_endpoint(endpoint).with_container_name(container).with_allow_http(true).build().unwrap()
    }

    pub async fn put(self, bucket: &str, name: &str, body: &'static [u8]) {
        match self {
            Store::Gcs => {
                let mut url: reqwest::Url =
                    format!("http://{}/upload/storage/v1/b/{bucket}/o", self.address()).parse().unwrap();
                url.query_pairs_mut().append_pair("uploadType", "media").append_pair("name", name);
                let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
                assert!(answer.status().is_success(), "{answer:?}");
            }
            Store::Azure => {
                let path = object_store::path::Path::parse(name).unwrap();
                let store = self.azure(bucket);
                use object_store::ObjectStore;
                store.put_opts(&path, body.into(), PutMode::Create.into()).await.unwrap();
            }
        }
    }

    /// All objects of a bucket.
    pub async fn objects(self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        match self {
            Store::Gcs => self.gcs_objects(bucket).await,
            Store::Azure => self.azure_objects(bucket).await,
        }
    }

    async fn gcs_objects(self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let mut objects = BTreeMap::new();
        for object in self.gcs_metadata(bucket).await {
            let mut url: reqwest::Url = format!("http://{}/", self.address()).parse().unwrap();
            let name = object["name"].as_str().unwrap();
            url.path_segments_mut().unwrap().extend(["storage", "v1", "b", bucket, "o", name]);
            url.set_query(Some("alt=media"));
            let bytes = reqwest::get(url).await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
            objects.insert(name.to_owned(), bytes.to_vec());
        }
        objects
    }

    /// What the server says of each object.
    pub async fn gcs_metadata(self, bucket: &str) -> Vec<Value> {
        let url = format!("http://{}/storage/v1/b/{bucket}/o", self.address());
        let list: Value = serde_json::from_slice(&reqwest::get(url).await.unwrap().bytes().await.unwrap()).unwrap();
        assert!(list["nextPageToken"].is_null(), "the list goes on");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    async fn azure_objects(self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        use object_store::ObjectStore;
        let store = self.azure(bucket);
        let listed = store.list_with_delimiter(None).await.unwrap();
        let (mut folders, mut found) = (listed.common_prefixes, listed.objects);
        while let Some(folder) = folders.pop() {
            let listed = store.list_with_delimiter(Some(&folder)).await.unwrap();
            folders.extend(listed.common_prefixes);
            found.extend(listed.objects);
        }
        let mut objects = BTreeMap::new();
        for object in found {
            let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
            objects.insert(object.location.to_string(), bytes.to_vec());
        }
        objects
    }
}
