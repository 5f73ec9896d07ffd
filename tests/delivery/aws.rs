//! Who the agent is for AWS: every source of credentials that the SDK knows, each asked of a strict fake on loopback, and the program itself
//! asked whether it may write. s3s-fs checks the signature, so that only the right credentials get through.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::far::Far;
use crate::support::certs::Certs;
use crate::support::front::{Behind, Front, Got, Receiver, Reply};
use crate::support::proxy::Proxy;
use crate::support::s3::{ACCESS_KEY, SECRET_KEY, Server};

const EXPIRES: &str = "2099-01-01T00:00:00Z";
const ROLE: &str = "arn:aws:iam::123456789012:role/sealtrail";

/// STS, SSO, the container's and the machine's credentials, each refusing what the real one refuses.
#[derive(Default)]
struct Aws {
    asked: Mutex<Vec<String>>,
}

impl Receiver for Aws {
    fn answer(&self, got: &Got) -> Reply {
        let path = got.path.split('?').next().unwrap().to_owned();
        self.asked.lock().unwrap().push(format!("{} {path}", got.method));
        match (got.method.as_str(), path.as_str()) {
            ("POST", "/") => sts(got),
            ("GET", "/federation/credentials") => sso(got),
            ("GET", "/container") => container(got),
            ("PUT", "/latest/api/token") => match got.header("x-aws-ec2-metadata-token-ttl-seconds") {
                Some(ttl) => Reply {
                    headers: vec![("x-aws-ec2-metadata-token-ttl-seconds", ttl.to_owned())],
                    ..Reply::new(200, "imds-token")
                },
                None => Reply::new(400, ""),
            },
            ("GET", path) if got.header("x-aws-ec2-metadata-token") == Some("imds-token") => machine(path),
            _ => Reply::new(401, ""),
        }
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

fn machine(path: &str) -> Reply {
    match path {
        "/latest/meta-data/iam/security-credentials/" => Reply::new(200, "audit-role"),
        "/latest/meta-data/iam/security-credentials/audit-role" => Reply::new(
            200,
            json!({
                "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "session", "Expiration": EXPIRES
            })
            .to_string(),
        ),
        _ => Reply::new(404, ""),
    }
}

fn container(got: &Got) -> Reply {
    if got.header("authorization") != Some("container-token") {
        return Reply::new(401, "");
    }
    let body = json!({
        "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "session", "Expiration": EXPIRES
    });
    Reply::new(200, body.to_string())
}

fn sso(got: &Got) -> Reply {
    let right = got.header("x-amz-sso_bearer_token") == Some("sso-token")
        && got.path.contains("account_id=123456789012")
        && got.path.contains("role_name=Audit");
    if !right {
        return Reply::new(401, "{}");
    }
    let body = json!({ "roleCredentials": {
        "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "sessionToken": "session", "expiration": 4_070_908_800_000_u64
    }});
    Reply { headers: vec![("content-type", "application/json".to_owned())], ..Reply::new(200, body.to_string()) }
}

fn sts(got: &Got) -> Reply {
    let form: BTreeMap<String, String> =
        reqwest::Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&got.body)))
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
    let field = |name: &str| form.get(name).map(String::as_str);
    let signed_by_us = got.header("authorization").is_some_and(|text| text.contains("Credential=AKIDBASE/"));
    let right = field("RoleArn") == Some(ROLE)
        && match field("Action") {
            Some("AssumeRole") => signed_by_us && field("ExternalId") == Some("acme-42"),
            Some("AssumeRoleWithWebIdentity") => field("WebIdentityToken") == Some("web-token"),
            _ => false,
        };
    if !right {
        let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                    <Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        return Reply::new(403, body);
    }
    let action = field("Action").unwrap();
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>session</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>{ROLE}/sealtrail</Arn><AssumedRoleId>AROA:sealtrail</AssumedRoleId></AssumedRoleUser>\
         </{action}Result></{action}Response>"
    );
    Reply { headers: vec![("content-type", "text/xml".to_owned())], ..Reply::new(200, body) }
}

/// `check --connect` of an S3 destination, in an environment that holds nothing else; whether it may write, and what it said.
async fn check(endpoint: &str, bucket: &str, keys: &str, environment: &[(&str, &str)]) -> (bool, Value) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[agent]\norigin = \"acme/test/db-1\"\nstate_dir = {:?}\n\
         [[source]]\nname = \"pg\"\npaths = [\"/nonexistent/*.csv\"]\n\
         [[destination]]\nname = \"archive\"\ntype = \"s3\"\nbucket = {bucket:?}\nregion = \"eu-central-1\"\n\
         endpoint = {endpoint:?}\npath_style = true\n{keys}\n",
        folder.path().join("state")
    );
    let path = folder.path().join("sealtrail.toml");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealtrail"));
    command.args(["check", "--connect", "--json", "-c"]).arg(&path).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // Where the test says nothing, nothing of this machine is found.
    command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (document["connect"][0]["ok"] == true, document["connect"][0].clone())
}

/// An S3 server, and the fake of the rest of AWS.
struct Cloud {
    far: Far,
    aws: Front,
    fake: Arc<Aws>,
}

impl Cloud {
    async fn new() -> Self {
        let fake = Arc::new(Aws::default());
        let receiver: Arc<dyn Receiver> = Arc::clone(&fake) as Arc<dyn Receiver>;
        Cloud { far: Far::s3(Server::S3s).await, aws: Front::start(Behind::Receiver(receiver), None).await, fake }
    }

    async fn may_write(&mut self, keys: &str, environment: &[(&str, &str)]) -> (bool, Value) {
        let endpoint = format!("http://{}", self.far.front().address);
        let Far::S3 { bucket, .. } = &self.far else { panic!("no bucket") };
        check(&endpoint, bucket, keys, environment).await
    }

    fn asked(&self, what: &str) -> bool {
        self.fake.asked.lock().unwrap().iter().any(|asked| asked == what)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_the_environment_are_found_and_wrong_ones_do_not_get_through() {
    let mut cloud = Cloud::new().await;
    let right = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let (ok, said) = cloud.may_write("", &right).await;
    assert!(ok, "{said}");
    let wrong = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", "wr0ng")];
    let (ok, said) = cloud.may_write("", &wrong).await;
    assert!(
        !ok && said["problem"].as_str().unwrap().starts_with("authenticate") && !said.to_string().contains("wr0ng"),
        "{said}"
    );
    let (ok, said) = cloud.may_write("", &[]).await;
    assert!(!ok && said["problem"].as_str().unwrap().starts_with("authenticate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_holds_keys_or_a_program_that_tells_them() {
    let mut cloud = Cloud::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (keys, program) = (folder.path().join("credentials"), folder.path().join("config"));
    std::fs::write(&keys, format!("[audit]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"))
        .unwrap();
    let told = json!({ "Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY }).to_string();
    let told_by = folder.path().join("told.json");
    std::fs::write(&told_by, told).unwrap();
    std::fs::write(&program, format!("[profile teller]\ncredential_process = cat {}\n", told_by.display())).unwrap();
    let (keys, program) = (keys.to_str().unwrap(), program.to_str().unwrap());
    let files = [("AWS_SHARED_CREDENTIALS_FILE", keys), ("AWS_CONFIG_FILE", program)];
    for profile in ["audit", "teller"] {
        let (ok, said) = cloud.may_write("", &[files[0], files[1], ("AWS_PROFILE", profile)]).await;
        assert!(ok, "{profile}: {said}");
    }
    let (ok, said) = cloud.may_write("", &[files[0], files[1], ("AWS_PROFILE", "nobody")]).await;
    assert!(!ok, "{said}");
}

/// SHA-1 of `acme`, the session's name, is the name of the file that `aws sso login` leaves.
fn sso_home(folder: &Path, token: &str) {
    let cache = folder.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::write(
        folder.join(".aws/config"),
        "[profile audit]\nsso_session = acme\nsso_account_id = 123456789012\nsso_role_name = Audit\n\
         [sso-session acme]\nsso_region = eu-central-1\nsso_start_url = https://acme.awsapps.com/start\n",
    )
    .unwrap();
    let cached = json!({
        "accessToken": token, "expiresAt": EXPIRES, "region": "eu-central-1", "startUrl": "https://acme.awsapps.com/start"
    });
    std::fs::write(cache.join("293abb6b76d7791c0732cc517d38c4b5c734b87f.json"), cached.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_sso_login_left_is_used() {
    let mut cloud = Cloud::new().await;
    let endpoint = format!("http://{}", cloud.aws.address);
    for (token, right) in [("sso-token", true), ("another", false)] {
        let home = tempfile::tempdir().unwrap();
        sso_home(home.path(), token);
        let environment =
            [("HOME", home.path().to_str().unwrap()), ("AWS_PROFILE", "audit"), ("AWS_ENDPOINT_URL_SSO", &endpoint)];
        let (ok, said) = cloud.may_write("", &environment).await;
        assert_eq!(ok, right, "{said}");
        assert!(cloud.asked("GET /federation/credentials"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_kubernetes_mounts_is_given_for_credentials() {
    let mut cloud = Cloud::new().await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("http://{}", cloud.aws.address);
    for (token, right) in [("web-token", true), ("another", false)] {
        let file = folder.path().join("token");
        std::fs::write(&file, token).unwrap();
        let environment = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
            ("AWS_ROLE_ARN", ROLE),
            ("AWS_ENDPOINT_URL_STS", &endpoint),
        ];
        let (ok, said) = cloud.may_write("", &environment).await;
        assert_eq!(ok, right, "{said}");
        assert!(cloud.asked("POST /"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_asks_its_agent() {
    let mut cloud = Cloud::new().await;
    let uri = format!("http://{}/container", cloud.aws.address);
    for (token, right) in [("container-token", true), ("another", false)] {
        let environment =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)];
        let (ok, said) = cloud.may_write("", &environment).await;
        assert_eq!(ok, right, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_asks_its_metadata_with_a_token_and_never_through_a_proxy() {
    let mut cloud = Cloud::new().await;
    let endpoint = format!("http://{}", cloud.aws.address);
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        // Nobody listens there: whoever asked it would fail.
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
    ];
    let (ok, said) = cloud.may_write("", &environment).await;
    assert!(ok, "{said}");
    assert!(cloud.asked("PUT /latest/api/token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_taken_on_with_its_external_id() {
    let mut cloud = Cloud::new().await;
    let endpoint = format!("http://{}", cloud.aws.address);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIDBASE"),
        ("AWS_SECRET_ACCESS_KEY", "base-secret"),
        ("AWS_ENDPOINT_URL_STS", endpoint.as_str()),
    ];
    for (external_id, right) in [("acme-42", true), ("other", false)] {
        let keys = format!("role_arn = {ROLE:?}\nexternal_id = {external_id:?}");
        let (ok, said) = cloud.may_write(&keys, &environment).await;
        assert_eq!(ok, right, "{said}");
    }
    // With keys of the configuration itself.
    let keys = format!(
        "role_arn = {ROLE:?}\nexternal_id = \"acme-42\"\naccess_key_id = \"AKIDBASE\"\nsecret_access_key = \"${{BASE}}\""
    );
    let environment = [("BASE", "base-secret"), ("AWS_ENDPOINT_URL_STS", endpoint.as_str())];
    let (ok, said) = cloud.may_write(&keys, &environment).await;
    assert!(ok, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_of_the_environment_is_used_for_https_unless_the_host_is_excepted() {
    let certs = Certs::new();
    let acceptor = certs.acceptor(false);
    let mut far = Far::s3_at(Server::S3s, |address| Front::start(Behind::Server(address), Some(acceptor))).await;
    let endpoint = format!("https://localhost:{}", far.front().address.port());
    let Far::S3 { bucket, .. } = &far else { panic!("no bucket") };
    let keys = format!("tls = {{ ca_file = {:?} }}", certs.path("ca.pem"));
    let proxy = Proxy::start().await;
    let url = format!("http://user:pass@{}", proxy.address);
    let credentials = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let through = [credentials[0], credentials[1], ("HTTPS_PROXY", url.as_str())];
    let (ok, said) = check(&endpoint, bucket, &keys, &through).await;
    assert!(ok, "{said}");
    let heads = proxy.asked();
    assert!(heads[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{heads:?}");
    let excepted = [credentials[0], credentials[1], ("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "localhost,.internal")];
    let (ok, said) = check(&endpoint, bucket, &keys, &excepted).await;
    assert!(ok, "{said}");
    assert!(proxy.asked().is_empty());
}
