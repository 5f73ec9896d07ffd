//! The worked example of `docs/format.md`, made again byte for byte, and read by a program that knows that page only.
//!
//! `BLESS=1 cargo test -p sealtrail-seal --test format` writes the example after a change of the format.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod trail;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sealtrail_seal::{Chain, Class, FileRange, Rows, Seal, Signer, Verifier, leaf_hash};

const ORIGIN: &str = "acme/prod/orders-db-1";
const BEGIN: &str = "<!-- example: begin -->\n";
const END: &str = "<!-- example: end -->\n";

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, std::array::from_fn(|i| i as u8)).unwrap()
}

fn file(from: u64, to: u64, rows: u64, sha256: &str) -> FileRange {
    FileRange {
        id: "5f1c0e".into(),
        source: "orders-pg".into(),
        path: "/var/log/postgresql/a.csv".into(),
        format: "postgres-csvlog".into(),
        dev: 2049,
        ino: 77,
        head_len: 100,
        head: "00".repeat(32),
        tail_len: 0,
        tail: String::new(),
        archive_len: 0,
        from,
        to,
        sha256: sha256.into(),
        rows,
        ended: false,
    }
}

fn row(out: &mut Vec<u8>, chain: &mut Chain, offset: u64, length: u64, user: &str) {
    let line = format!(
        r#"{{"v":1,"type":"event","id":"5f1c0e:{offset}","time":"2026-11-20T20:28:31.135Z","user":"{user}","action":"SELECT","resource":"orders.public.card","at":{{"file":"/var/log/postgresql/a.csv","offset":{offset},"length":{length}}}}}"#
    );
    chain.push(line.as_bytes());
    writeln!(out, "{line}").unwrap();
}

/// Sealed a minute later where it closes the segment.
fn seal(files: Vec<FileRange>, read: u64, closes: bool) -> Seal {
    Seal {
        boot_id: "0d5e3a5c-7d1f-4c55-9d1e-6b7a4b1f0c2d".into(),
        since_boot_ms: 86_400_000 + if closes { 60_000 } else { 0 },
        clock: "synchronised".into(),
        files,
        rows: Rows { read, ..Rows::default() },
        config: "11".repeat(32),
        agent_version: "0.1.0".into(),
        closes,
        ..Seal::default()
    }
}

/// One segment of two blocks: two rows, then a heartbeat that closes it.
fn example() -> String {
    let (mut chain, mut out) = (Chain::new(ORIGIN), Vec::new());
    let (first, second) = ("2026-11-20T20:28:32.000Z", "2026-11-20T20:29:32.000Z");
    chain.begin_segment(signer().verifier(), Vec::new(), first, &mut out).unwrap();
    row(&mut out, &mut chain, 0, 212, "alice");
    row(&mut out, &mut chain, 212, 198, "bob");
    chain.end_block(seal(vec![file(0, 410, 2, &"22".repeat(32))], 2, false), first, &signer(), &mut out).unwrap();
    chain.end_block(seal(Vec::new(), 0, true), second, &signer(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The part of the page between its two marks.
fn explained(example: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
    let mut text = String::from(BEGIN);
    writeln!(
        text,
        "Seed `{}`, hence the verifier key\n\n```text\n{}\n```\n",
        hex(&std::array::from_fn::<u8, 32, _>(|i| i as u8)),
        signer().verifier()
    )
    .unwrap();
    let mut tree = sealtrail_seal::Tree::new();
    writeln!(text, "| line | what | leaf hash | root over lines 0 to this one |\n|---|---|---|---|").unwrap();
    for (number, line) in example.lines().enumerate() {
        tree.push(leaf_hash(line.as_bytes()));
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let (leaf, root) = (hex(&leaf_hash(line.as_bytes())), hex(&tree.root()));
        writeln!(text, "| {number} | {} | `{leaf}` | `{root}` |", record["action"].as_str().unwrap()).unwrap();
    }
    for line in example.lines().filter(|line| line.contains("\"checkpoint\":\"")) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        writeln!(
            text,
            "\nThe note in `{}`:\n\n```text\n{}```",
            record["id"].as_str().unwrap(),
            record["checkpoint"].as_str().unwrap()
        )
        .unwrap();
    }
    text + END
}

#[test]
fn example_is_what_the_code_makes_and_the_page_says() {
    let example = example();
    let key = format!("{}\n", signer().verifier());
    let page = std::fs::read_to_string(docs("format.md")).unwrap();
    let (begin, end) = (page.find(BEGIN).unwrap(), page.find(END).unwrap() + END.len());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(docs("format/example.ndjson"), &example).unwrap();
        std::fs::write(docs("format/example.pub"), &key).unwrap();
        let page = format!("{}{}{}", &page[..begin], explained(&example), &page[end..]);
        return std::fs::write(docs("format.md"), page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(docs("format/example.ndjson")).unwrap(), example);
    assert_eq!(std::fs::read_to_string(docs("format/example.pub")).unwrap(), key);
    assert_eq!(&page[begin..end], explained(&example));
}

#[test]
fn example_is_whole() {
    let mut verifier = Verifier::new(vec![signer().verifier().clone()]);
    verifier.begin_segment("example", Some(0), Some(6));
    example().lines().for_each(|line| verifier.line(line.as_bytes()));
    verifier.end_segment(false);
    let verdict = verifier.finish();
    assert_eq!((verdict.class, verdict.findings.len()), (Class::Whole, 0), "{:#?}", verdict.findings);
}

/// Runs the Python program on these bytes: its exit code and what it printed.
fn python(input: &[u8]) -> (Option<i32>, String) {
    let script = docs("format/verify.py");
    let mut command = Command::new("python3");
    let mut child =
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It stops reading at the first thing that is wrong.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn program_that_knows_the_page_only_finds_the_same_roots() {
    let example = example();
    let (code, said) = python(example.as_bytes());
    assert!(code == Some(0) && said.starts_with("ok 7 lines root "), "{code:?} {said}");
    let mut two: Vec<u8> = trail::trail().concat().join(&b'\n');
    two.push(b'\n');
    assert_eq!(python(&two).0, Some(0));
    for line in 0..7 {
        let changed: Vec<&str> = example.lines().enumerate().filter(|(n, _)| *n != line).map(|(_, l)| l).collect();
        assert_eq!(python(format!("{}\n", changed.join("\n")).as_bytes()).0, Some(1), "line {line}");
    }
    assert_eq!(python(example.replace("alice", "alicf").as_bytes()).0, Some(1));
    let script = std::fs::read_to_string(docs("format/verify.py")).unwrap();
    assert!(script.lines().count() <= 30);
}
