//! Proxies: the program itself, in an environment that names one.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::far::Far;
use crate::support::certs::Certs;
use crate::support::front::{Behind, Front};
use crate::support::proxy::Proxy;

const CREDENTIALS: &str = "agent:s3cr3t-of-the-proxy";

/// The same, as they are sent.
fn encoded() -> String {
    STANDARD.encode(CREDENTIALS)
}

/// Runs the program on a configuration of one HTTP destination, in an environment that holds nothing else; it ends by itself.
async fn sealtrail(arguments: &[&str], url: &str, keys: &str, environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sealtrail.toml");
    write_config(&config, folder.path(), url, keys);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealtrail"));
    command.args(arguments).arg("-c").arg(&config).env_clear().env("SEALTRAIL_LOG", "trace");
    command.envs(environment.iter().copied());
    tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap();
        drop(folder);
        output
    })
    .await
    .unwrap()
}

fn write_config(path: &Path, folder: &Path, url: &str, keys: &str) {
    let text = format!(
        "[agent]\norigin = \"acme/test/db-1\"\nstate_dir = {:?}\n\
         [[source]]\nname = \"pg\"\npaths = [\"/nonexistent/*.csv\"]\n\
         [[destination]]\nname = \"collector\"\ntype = \"http\"\nurl = {url:?}\n{keys}\n",
        folder.join("state")
    );
    std::fs::write(path, text).unwrap();
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A collector behind TLS, and the keys with which it is trusted.
async fn secured(certs: &Certs) -> (Far, String, String) {
    let front = Front::start(Behind::Collector, Some(certs.acceptor(false))).await;
    let url = format!("https://localhost:{}/in", front.address.port());
    (Far::Http { front }, url, format!("tls = {{ ca_file = {:?} }}", certs.path("ca.pem")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_over_https_goes_through_the_proxy_for_that() {
    let (certs, proxy) = (Certs::new(), Proxy::start().await);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (mut far, url, keys) = secured(&certs).await;
        let through = format!("http://{CREDENTIALS}@{}", proxy.address);
        let output = sealtrail(&["run", "--drain"], &url, &keys, &[(name, &through)]).await;
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(!said(&output).contains("s3cr3t") && !said(&output).contains(&encoded()), "{name}: {}", said(&output));
        let port = far.front().address.port();
        let asked = proxy.asked();
        assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&format!("CONNECT localhost:{port} "))));
        assert!(asked.iter().all(|head| head.contains(&format!("Basic {}", encoded()))), "{name}: {asked:?}");
        assert!(!far.lines().await.is_empty(), "{name}: the trail begins with a line of the agent's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_over_http_goes_through_the_proxy_for_that_and_through_no_other() {
    let (proxy, other) = (Proxy::start().await, Proxy::start().await);
    let mut far = Far::http().await;
    let url = format!("http://{}/in", far.front().address);
    let through = format!("http://{}", proxy.address);
    let elsewhere = format!("http://{}", other.address);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let environment = [(name, through.as_str()), ("HTTPS_PROXY", elsewhere.as_str())];
        let output = sealtrail(&["run", "--drain"], &url, "", &environment).await;
        assert!(output.status.success(), "{name}: {}", said(&output));
        let asked = proxy.asked();
        assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&format!("POST {url} "))), "{asked:?}");
        assert!(other.asked().is_empty());
    }
    assert!(!far.lines().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_excepted_is_reached_directly() {
    let (certs, proxy) = (Certs::new(), Proxy::refusing("502 Bad Gateway").await);
    for excepted in ["localhost", "*", ".internal,localhost"] {
        let (far, url, keys) = secured(&certs).await;
        let through = format!("http://{}", proxy.address);
        let environment = [("HTTPS_PROXY", through.as_str()), ("NO_PROXY", excepted)];
        let output = sealtrail(&["run", "--drain"], &url, &keys, &environment).await;
        assert!(output.status.success(), "{excepted}: {}", said(&output));
        assert!(proxy.asked().is_empty());
        assert!(!far.lines().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_excepted_is_reached_directly_and_no_other() {
    let proxy = Proxy::start().await;
    let through = format!("http://{}", proxy.address);
    let mut far = Far::http().await;
    let url = format!("http://{}/in", far.front().address);
    for (excepted, is_direct) in [
        ("127.0.0.0/8", true),
        ("10.0.0.0/8, 127.0.0.1", true),
        ("::1/128,127.0.0.0/30", true),
        ("10.0.0.0/8", false),
        ("127.0.0.2", false),
    ] {
        let environment = [("HTTP_PROXY", through.as_str()), ("NO_PROXY", excepted)];
        let output = sealtrail(&["run", "--drain"], &url, "", &environment).await;
        assert!(output.status.success(), "{excepted}: {}", said(&output));
        assert_eq!(proxy.asked().is_empty(), is_direct, "{excepted}");
    }
    assert!(!far.lines().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_let_us_through_is_said_to_be_it_and_its_password_is_not_told() {
    let certs = Certs::new();
    let (_far, url, keys) = secured(&certs).await;
    let unknown = Proxy::refusing("407 Proxy Authentication Required").await;
    let forbidding = Proxy::refusing("403 Forbidden").await;
    let at = |address: &str| format!("http://{CREDENTIALS}@{address}");
    for (proxy, step) in [
        (at(&unknown.address.to_string()), "connect: "),
        (at(&forbidding.address.to_string()), "connect: "),
        // Nobody listens there.
        (at("127.0.0.1:1"), "connect: "),
        (at("nowhere.invalid:3128"), "resolve: "),
    ] {
        let output = sealtrail(&["check", "--connect", "--json"], &url, &keys, &[("HTTPS_PROXY", &proxy)]).await;
        assert!(!output.status.success());
        assert!(!said(&output).contains("s3cr3t") && !said(&output).contains(&encoded()), "{}", said(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = &document["connect"][0];
        assert!(found["problem"].as_str().unwrap().starts_with(step), "{found}");
        assert!(found["hint"].as_str().unwrap().contains("HTTPS_PROXY"), "{found}");
    }
    // Over http the proxy answers in the server's place.
    let output = sealtrail(
        &["check", "--connect", "--json"],
        "http://collector.invalid/in",
        "",
        &[("HTTP_PROXY", &at(&unknown.address.to_string()))],
    )
    .await;
    assert!(!said(&output).contains("s3cr3t") && !said(&output).contains(&encoded()), "{}", said(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = &document["connect"][0];
    assert!(found["hint"].as_str().unwrap().contains("HTTP_PROXY"), "{found}");
}
