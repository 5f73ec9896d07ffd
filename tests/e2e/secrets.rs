//! Nothing of what was taken out is anywhere: not in the trail, at a destination, among dead letters, in the agent's own words, or in what it tells of itself.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use sealtrail_parsers::Format;
use serde_json::Value;

use crate::collector::Collector;
use crate::host::{Host, text, wait_until};

#[path = "../redaction/formats.rs"]
mod formats;
#[path = "../redaction/planted.rs"]
mod planted;

use formats::{FORMATS, csvlog};
use planted::planted;

/// A literal that is no secret: what is hashed here must not be found either.
const LITERAL: &str = "Zq7Literal";

/// The formats that are written here, each a file and a source. The others have their record tested in `tests/redaction.rs`.
fn formats() -> impl Iterator<Item = (&'static str, Format, formats::Render)> {
    let needs_more = |format| matches!(format, Format::PostgresStderr | Format::PostgresSyslog);
    FORMATS.into_iter().filter(move |(_, format, _)| !needs_more(*format))
}

/// Writes the logs, and gives the sources and all secrets in them.
fn plant(host: &Host) -> (String, Vec<String>) {
    let (mut sources, mut secrets) = (String::new(), Vec::new());
    for (index, (engine, format, render)) in formats().enumerate() {
        let mut log = String::new();
        for (line, planted) in planted(engine).iter().enumerate().filter(|(line, _)| line % 7 == index % 7) {
            // Each secret is its own, so that a finding says where it is from.
            let own = |secret: &str| format!("{secret}x{index}x{line}");
            let mut sql = planted.sql.clone();
            for secret in planted.secrets.iter().filter(|secret| secret.starts_with("Kx9qW")) {
                sql = sql.replace(secret.as_str(), &own(secret));
                secrets.push(own(secret));
            }
            log += &render(&sql);
        }
        log += &render(&format!("SELECT '{LITERAL}{index}' FROM t"));
        secrets.push(format!("{LITERAL}{index}"));
        let name = format!("{}-{index}", format.name());
        fs::write(host.log().join(format!("{name}.log")), log).unwrap();
        sources += &host.source(&name, &format!("{name}.log"), &format!("format = \"{}\"", format.name()));
    }
    let mut odd = csvlog("SELECT 1");
    odd += "no row: ALTER ROLE a PASSWORD 'Kx9qWdamaged'\n";
    odd += &csvlog(&format!(
        "SELECT '{}'; ALTER ROLE a PASSWORD 'Kx9qWlarge'; SELECT '{}'",
        "x ".repeat(90_000),
        "y ".repeat(90_000)
    ));
    fs::write(host.log().join("odd.csv"), odd).unwrap();
    secrets.extend(["Kx9qWdamaged".to_owned(), "Kx9qWlarge".to_owned()]);
    (sources + &host.source("odd", "odd.csv", ""), secrets)
}

#[test]
fn no_planted_secret_is_in_anything_that_the_agent_writes_sends_or_says() {
    let (host, collector) = (Host::empty(), Collector::start());
    // A batch of one line that is refused is a dead letter.
    collector.answer(413);
    let (sources, secrets) = plant(&host);
    assert!(secrets.len() > 200, "{}", secrets.len());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let siem = format!(
        "[[destination]]\nname = \"siem\"\ntype = \"http\"\nurl = \"{}\"\ncompression = \"none\"\nbatch_max_bytes = \"4KiB\"\n",
        collector.url()
    );
    let more =
        format!("[redact]\nliterals = \"hash\"\ndetectors = [\"email\"]\n[health]\nlisten = \"127.0.0.1:{port}\"\n");
    host.configure(&sources, &format!("{more}{}{siem}", host.archive()));
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replace("state_dir", "record_max_bytes = \"64KiB\"\nstate_dir")).unwrap();

    let config = host.config();
    let mut command = host.command(&["-v", "run", "-c", config.to_str().unwrap()]);
    command.env("SEALTRAIL_LOG", "trace");
    let mut agent = host.run_command(command);
    agent.wait_settled();
    let letters = || host.state().join("dead-letter/siem");
    wait_until("a dead letter", || fs::read_dir(letters()).ok()?.next().map(drop));
    let told = [text(&host.ask("status", &[]).stdout), text(&host.ask("status", &["--json"]).stdout), metrics(port)];
    collector.answer(0);
    let trail = agent.stop();
    host.drain();

    let mut all: Vec<(String, Vec<u8>)> = told.into_iter().map(|told| ("told".to_owned(), told.into_bytes())).collect();
    all.push(("sent".to_owned(), collector.seen().join("\n").into_bytes()));
    all.push(("said".to_owned(), host.said().into_bytes()));
    for folder in [host.state(), host.archive_dir()] {
        files(&folder, &mut all);
    }
    for what in ["told", "sent", "said", "dead-letter", "journal", "archive", "cursors"] {
        assert!(
            all.iter().any(|(name, bytes)| name.contains(what) && bytes.len() > 16),
            "nothing of {what} was looked at"
        );
    }
    for (name, bytes) in &all {
        for secret in &secrets {
            let at = memchr::memmem::find(bytes, secret.as_bytes());
            if let Some(at) = at {
                let around = &bytes[at.saturating_sub(300)..bytes.len().min(at + 100)];
                panic!("{secret} is in {name}: …{}…", text(around));
            }
        }
    }

    // The seals count what is marked.
    let marked = trail.events().filter(|event| event["redacted"].is_array()).count() as u64;
    let seals = trail.lines.iter().filter(|line| line["action"] == "SEAL");
    let counted: u64 = seals.map(|seal| seal["seal"]["rows"]["redacted"].as_u64().unwrap()).sum();
    assert_eq!((marked > 200, marked), (true, counted));
    let unparsed = trail.events().find(|event| event["category"] == "unparsed" && event["source"] == "odd").unwrap();
    assert!(unparsed["raw"].as_str().is_some_and(|raw| raw.starts_with("[hmac:")), "{unparsed}");
    let is_large = |event: &&Value| event["flags"].as_array().is_some_and(|flags| flags.contains(&"oversize".into()));
    assert!(trail.events().any(|event| is_large(&event)));
    host.assert_verifies();
}

/// Every file below, those that are compressed unpacked.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        match path.extension().and_then(|end| end.to_str()) {
            _ if path.is_dir() => files(&path, all),
            _ if !path.is_file() => {}
            Some("zst") => all.push((name, zstd::decode_all(&fs::read(&path).unwrap()[..]).unwrap())),
            _ => all.push((name, fs::read(&path).unwrap())),
        }
    }
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("sealtrail_"), "{answer}");
    answer
}
