//! What Google's and Azure's object stores promise beyond the suite, and what is put with each object.
//!
//! fake-gcs-server and Azurite hold the objects; what neither of them knows (immutability, holds, tokens) is asked of strict fakes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use sealtrail::config::plan::{AzureCredentials, DestinationKind, GcsHold, LockMode, ObjectLock};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;
use serde_json::Value;

use crate::far::{Far, Run, azure_plan, gcs_plan, plan};
use crate::support::front::{Behind, Front, Got, Receiver, Reply};
use crate::support::journal::Journal;
use crate::support::stores::Store;

const FOLDER: &str = "evidence/trail=acme%2Ftest%2Fdb-1";

fn bucket(far: &Far) -> (Store, &str) {
    match far {
        Far::Store { store, bucket, .. } => (*store, bucket),
        _ => panic!("no bucket"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_tell_trail_date_and_lines_and_the_public_key_lies_beside() {
    for store in [Store::Gcs, Store::Azure] {
        let (journal, far) = (Journal::filled(), Far::store(store).await);
        let run = Run::start(&journal, vec![far.kind()]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        let objects = store.objects(bucket(&far).1).await;
        assert_eq!(
            objects.keys().collect::<Vec<_>>(),
            [
                &format!("{FOLDER}/acme_test_db-1.pub"),
                &format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.zst"),
                &format!("{FOLDER}/date=2026-11-06/00000000000000000012-00000000000000000023.ndjson.zst"),
            ],
            "{store:?}"
        );
        assert_eq!(objects[&format!("{FOLDER}/acme_test_db-1.pub")], b"acme+0+AAAA\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_the_name_is_an_alarm_and_is_not_touched() {
    for store in [Store::Gcs, Store::Azure] {
        let (journal, far) = (Journal::filled(), Far::store(store).await);
        let name = format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.zst");
        store.put(bucket(&far).1, &name, b"somebody else's").await;
        let run = Run::start(&journal, vec![far.kind()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("other content"), "{store:?}: {problem}");
        run.stop().await;
        assert_eq!(store.objects(bucket(&far).1).await[&name], b"somebody else's", "{store:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_writes_nothing_and_says_which_step_failed() {
    for store in [Store::Gcs, Store::Azure] {
        let (journal, mut far) = (Journal::filled(), Far::store(store).await);
        let found = ship::probe(&plan(&journal, vec![far.kind()])).await;
        assert!(found[0].result.is_ok(), "{found:?}");
        assert!(store.objects(bucket(&far).1).await.is_empty(), "{store:?}");
        let elsewhere = match far.kind() {
            DestinationKind::Gcs(mut gcs) => {
                gcs.bucket = "no-such-bucket".to_owned();
                DestinationKind::Gcs(gcs)
            }
            DestinationKind::AzureBlob(mut azure) => {
                azure.container = "no-such-container".to_owned();
                DestinationKind::AzureBlob(azure)
            }
            _ => panic!("no store"),
        };
        let found = ship::probe(&plan(&journal, vec![elsewhere])).await;
        assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Answer, "{found:?}");
        far.front().down().await;
        let found = ship::probe(&plan(&journal, vec![far.kind()])).await;
        assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Connect, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_account_key_is_an_alarm_that_does_not_tell_it() {
    let (journal, far) = (Journal::filled(), Far::store(Store::Azure).await);
    let DestinationKind::AzureBlob(mut azure) = far.kind() else { panic!("not Azure") };
    azure.credentials = AzureCredentials::AccountKey(Secret::new("d3IwbmctYWNjb3VudC1rZXk=".to_owned()));
    let run = Run::start(&journal, vec![DestinationKind::AzureBlob(azure.clone())]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("403") && !problem.contains("d3Iw"), "{problem}");
    run.stop().await;
    let found = ship::probe(&plan(&journal, vec![DestinationKind::AzureBlob(azure)])).await;
    // Azurite's word for it is Azure's for a right that is missing; Azure's own is `AuthenticationFailed`.
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Write, "{found:?}");
}

/// A name, headers and a body.
type Heard = (String, Vec<(String, String)>, Vec<u8>);

/// Keeps what it was asked and takes every object.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<Heard>>,
}

impl Receiver for Ear {
    fn answer(&self, got: &Got) -> Reply {
        let headers = got.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        self.heard.lock().unwrap().push((got.path.clone(), headers.collect(), got.body.clone()));
        Reply::new(201, "{}")
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

async fn ear() -> (Front, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let receiver: Arc<dyn Receiver> = Arc::clone(&ear) as Arc<dyn Receiver>;
    (Front::start(Behind::Receiver(receiver), None).await, ear)
}

/// Delivers a journal, and says what was heard of each object: path, headers, body.
async fn heard(kind: DestinationKind, ear: &Ear) -> Vec<(String, Vec<(String, String)>, Vec<u8>)> {
    let journal = Journal::filled();
    let run = Run::start(&journal, vec![kind]);
    run.until("delivered", |health| health.next_line.load(Relaxed) >= 24).await;
    run.stop().await;
    std::mem::take(&mut *ear.heard.lock().unwrap())
}

/// Days from now, to the minute.
fn days_from_now(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (seconds - now + 60) / 86_400
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_put_with_its_policy_hold_tier_and_tags_the_public_key_too() {
    let (front, ear) = ear().await;
    let mut azure = azure_plan(&format!("http://{}", front.address), "evidence");
    azure.lock = Some(ObjectLock { mode: LockMode::Binding, days: 400 });
    azure.legal_hold = true;
    azure.access_tier = Some("Cool".to_owned());
    azure.tags = [("class".to_owned(), "audit log".to_owned())].into();
    let heard = heard(DestinationKind::AzureBlob(Box::new(azure)), &ear).await;
    assert_eq!(heard.len(), 3, "the key and two segments");
    for (path, headers, body) in heard {
        let header = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        assert!(path.starts_with("/evidence/evidence/trail%3Dacme%252Ftest%252Fdb-1/"), "{path}");
        assert_eq!(header("if-none-match"), Some("*"));
        assert_eq!(header("x-ms-blob-type"), Some("BlockBlob"));
        assert_eq!(header("x-ms-immutability-policy-mode"), Some("Locked"));
        let until = httpdate::parse_http_date(header("x-ms-immutability-policy-until-date").unwrap()).unwrap();
        assert_eq!(days_from_now(until.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()), 400);
        assert_eq!(header("x-ms-legal-hold"), Some("true"));
        assert_eq!(header("x-ms-access-tier"), Some("Cool"));
        assert_eq!(header("x-ms-tags"), Some("class=audit%20log"));
        assert_eq!(header("content-length"), Some(body.len().to_string().as_str()));
        assert!(header("content-md5").is_some());
        assert!(header("authorization").unwrap().starts_with("SharedKey devstoreaccount1:"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sas_token_stands_in_the_address_and_is_never_told() {
    let (front, ear) = ear().await;
    let mut azure = azure_plan(&format!("http://{}", front.address), "evidence");
    azure.credentials = AzureCredentials::SasToken(Secret::new("?sv=2023-11-03&sp=cr&sig=s3cr%2Bt".to_owned()));
    let heard = heard(DestinationKind::AzureBlob(Box::new(azure.clone())), &ear).await;
    assert!(heard.iter().all(|(path, ..)| path.contains("sig=s3cr%2Bt")), "{heard:?}");
    drop(front);
    let journal = Journal::filled();
    let found = ship::probe(&plan(&journal, vec![DestinationKind::AzureBlob(Box::new(azure))])).await;
    let error = found[0].result.as_ref().unwrap_err();
    assert!(error.step == Step::Connect && !format!("{error:?}").contains("s3cr"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_gcs_is_put_with_its_retention_hold_and_class_the_public_key_too() {
    let (front, ear) = ear().await;
    let mut gcs = gcs_plan(&format!("http://{}", front.address), "acme-audit");
    gcs.lock = Some(ObjectLock { mode: LockMode::Liftable, days: 30 });
    gcs.hold = Some(GcsHold::EventBased);
    gcs.storage_class = Some("NEARLINE".to_owned());
    gcs.kms_key_name = Some("projects/a/locations/b/keyRings/c/cryptoKeys/d".to_owned());
    let heard = heard(DestinationKind::Gcs(Box::new(gcs)), &ear).await;
    assert_eq!(heard.len(), 3, "the key and two segments");
    for (path, headers, body) in heard {
        assert!(
            path.starts_with("/upload/storage/v1/b/acme-audit/o?uploadType=multipart&ifGenerationMatch=0"),
            "{path}"
        );
        assert!(path.contains("kmsKeyName=projects%2Fa%2F"), "{path}");
        let length = headers.iter().find(|(name, _)| name == "content-length").unwrap();
        assert_eq!(length.1, body.len().to_string());
        let text = String::from_utf8_lossy(&body);
        let metadata: Value = serde_json::from_str(text.split("\r\n").nth(3).unwrap()).unwrap();
        assert!(metadata["name"].as_str().unwrap().starts_with(FOLDER), "{metadata}");
        assert_eq!(metadata["retention"]["mode"], "Unlocked");
        let until: jiff::Timestamp = metadata["retention"]["retainUntilTime"].as_str().unwrap().parse().unwrap();
        assert_eq!(days_from_now(until.as_second() as u64), 30);
        assert_eq!((&metadata["eventBasedHold"], &metadata["storageClass"]), (&true.into(), &"NEARLINE".into()));
        assert!(metadata["md5Hash"].is_string());
    }
}

/// A directory of Entra ID and a store behind it, or Google's metadata server: a token for who asks rightly, and nothing without.
struct Tokens;

impl Receiver for Tokens {
    fn answer(&self, got: &Got) -> Reply {
        let body = String::from_utf8_lossy(&got.body).into_owned();
        let json = |body: &str| Reply {
            headers: vec![("content-type", "application/json".to_owned())],
            ..Reply::new(200, body)
        };
        let token = json(r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}"#);
        match got.path.split('?').next().unwrap() {
            "/tenant-1/oauth2/v2.0/token" if body.contains("client_secret=right") => token,
            "/tenant-1/oauth2/v2.0/token" => Reply::new(401, r#"{"error":"invalid_client"}"#),
            "/down/oauth2/v2.0/token" => Reply::new(503, ""),
            _ if got.header("authorization") == Some("Bearer t0ken") => Reply::new(412, ""),
            _ => Reply::new(401, ""),
        }
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What `check --connect` says, in an environment that holds nothing else.
fn check(destination: &str, environment: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[agent]\norigin = \"acme/test/db-1\"\nstate_dir = {:?}\n\
         [[source]]\nname = \"pg\"\npaths = [\"/nonexistent/*.csv\"]\n\
         [[destination]]\nname = \"archive\"\n{destination}\n",
        folder.path().join("state")
    );
    let path = folder.path().join("sealtrail.toml");
    std::fs::write(&path, config).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealtrail"));
    command.args(["check", "--connect", "--json", "-c"]).arg(&path).env_clear().env("HOME", folder.path());
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    document["connect"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_of_entra_id_gets_its_token_and_a_wrong_secret_none() {
    let front = Front::start(Behind::Receiver(Arc::new(Tokens)), None).await;
    let host = format!("http://{}", front.address);
    let destination = |tenant: &str| {
        format!(
            "type = \"azure_blob\"\naccount = \"acmeaudit\"\ncontainer = \"evidence\"\nendpoint = {host:?}\n\
             tenant_id = {tenant:?}\nclient_id = \"client-1\"\nclient_secret = \"${{SECRET}}\""
        )
    };
    let cases = [
        ("tenant-1", "right", true, ""),
        ("tenant-1", "wr0ng", false, "answered 401"),
        ("down", "right", false, "503"),
    ];
    for (tenant, secret, right, words) in cases {
        let (destination, host) = (destination(tenant), host.clone());
        let said = tokio::task::spawn_blocking(move || {
            check(&destination, &[("SECRET", secret), ("AZURE_AUTHORITY_HOST", &host)])
        });
        let said = said.await.unwrap();
        assert_eq!(said["ok"], right, "{said}");
        assert!(
            right || said["problem"].as_str().unwrap().starts_with("authenticate") && said.to_string().contains(words),
            "{said}"
        );
        assert!(!said.to_string().contains("wr0ng"), "{said}");
    }
}

/// The machine's metadata, Google's and Azure's.
struct Machine;

impl Receiver for Machine {
    fn answer(&self, got: &Got) -> Reply {
        let path = got.path.split('?').next().unwrap();
        let json = |body: String| Reply {
            headers: vec![("content-type", "application/json".to_owned())],
            ..Reply::new(200, body)
        };
        match path {
            "/computeMetadata/v1/instance/service-accounts/default/token"
                if got.header("metadata-flavor") == Some("Google") =>
            {
                json(r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}"#.to_owned())
            }
            "/msi/token" if got.header("metadata") == Some("true") && got.path.contains("client_id=identity-1") => {
                json(r#"{"access_token":"t0ken","token_type":"Bearer","expires_on":"4070908800"}"#.to_owned())
            }
            "/tenant-1/oauth2/v2.0/token"
                if String::from_utf8_lossy(&got.body).contains("client_assertion=web-token") =>
            {
                json(r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}"#.to_owned())
            }
            "/upload/storage/v1/b/acme-audit/o" if got.header("authorization") == Some("Bearer t0ken") => {
                Reply::new(200, "")
            }
            _ if got.header("authorization") == Some("Bearer t0ken") => Reply::new(412, ""),
            _ => Reply::new(401, ""),
        }
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_and_a_pod_are_known_by_their_identity() {
    let front = Front::start(Behind::Receiver(Arc::new(Machine)), None).await;
    let (address, host) = (front.address.to_string(), format!("http://{}", front.address));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "web-token").unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let gcs = format!("type = \"gcs\"\nbucket = \"acme-audit\"\nendpoint = {host:?}");
        let azure =
            format!("type = \"azure_blob\"\naccount = \"acmeaudit\"\ncontainer = \"evidence\"\nendpoint = {host:?}");
        let msi = format!("{host}/msi/token");
        [
            check(&gcs, &[("GCE_METADATA_HOST", &address)]),
            check(&format!("{azure}\nclient_id = \"identity-1\""), &[("IDENTITY_ENDPOINT", &msi)]),
            check(
                &azure,
                &[
                    ("AZURE_CLIENT_ID", "client-1"),
                    ("AZURE_TENANT_ID", "tenant-1"),
                    ("AZURE_FEDERATED_TOKEN_FILE", token.to_str().unwrap()),
                    ("AZURE_AUTHORITY_HOST", &host),
                ],
            ),
        ]
    });
    for said in asked.await.unwrap() {
        assert_eq!(said["ok"], true, "{said}");
    }
}
