//! The command line: what its help says, what its exit codes mean, and where its output goes.
//!
//! `tests/cli/NAME.txt` is the help of a command. `SEALTRAIL_ACCEPT=1 cargo test` writes it anew; look at the difference before
//! you keep it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const COMMANDS: [&str; 13] = [
    "run",
    "check",
    "parse",
    "explain",
    "identity",
    "redact",
    "verify",
    "status",
    "dead-letter",
    "keys",
    "demo",
    "completions",
    "man",
];

const SOURCE: &str = "[[source]]\nname = \"pg\"\npaths = [\"/nonexistent/*.csv\"]\n";

#[test]
fn every_help_is_as_it_was_approved() {
    let accept = std::env::var_os("SEALTRAIL_ACCEPT").is_some();
    let mut different = Vec::new();
    for command in COMMANDS.into_iter().map(Some).chain([None]) {
        let output = sealtrail(command.into_iter().chain(["--help"]));
        assert_eq!(output.status.code(), Some(0));
        let path = format!("tests/cli/{}.txt", command.unwrap_or("sealtrail"));
        if accept {
            fs::write(&path, &output.stdout).unwrap();
        } else if fs::read(&path).unwrap_or_default() != output.stdout {
            different.push(format!("{path}:\n{}", text(&output.stdout)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_help_has_examples_and_exit_codes() {
    for command in COMMANDS.into_iter().filter(|command| *command != "man") {
        let help = text(&sealtrail([command, "--help"]).stdout);
        assert!(help.contains("\nExamples:\n  sealtrail "), "{help}");
        assert!(help.contains("\nExit codes:\n  0  "), "{help}");
    }
}

#[test]
fn every_command_of_the_help_is_in_the_list_above() {
    let help = text(&sealtrail(["--help"]).stdout);
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|n| !n.is_empty()));
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert_eq!(names, COMMANDS[..12]);
}

#[test]
fn version_is_the_packages() {
    let output = sealtrail(["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), format!("sealtrail {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_arguments_are_2_and_told_on_stderr() {
    for arguments in [&["banana"][..], &[], &["check", "--banana"], &["verify"], &["parse", "--format", "x", "-"]] {
        let output = sealtrail(arguments.iter().copied());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let output = sealtrail(["chek"]);
    assert!(text(&output.stderr).contains("'check'"), "{}", text(&output.stderr));
}

#[test]
fn a_format_that_is_none_is_answered_with_the_one_that_was_meant() {
    for (named, meant) in [("server_audit", "mariadb-audit"), ("cri+csvlog", "cri+postgres-csvlog")] {
        for command in ["parse", "explain"] {
            let output = sealtrail([command, "--format", named, "-"]);
            assert_eq!(output.status.code(), Some(2));
            let hint = format!("is no format; did you mean {meant}?");
            assert!(text(&output.stderr).contains(&hint), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn what_a_carrier_holds_is_said_behind_a_plus() {
    // Alone, this line could be anybody's; as stderr it is a row with its severity.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("0.log");
    fs::write(&file, "2026-11-20T20:28:31.135000000Z stderr F [7] FATAL:  role \"x\" does not exist\n").unwrap();
    let parse = |format: &str, prefix: &[&str]| {
        let arguments = ["parse", "--format", format].into_iter().chain(prefix.iter().copied());
        let output = sealtrail(arguments.chain([file.to_str().unwrap()]));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(parse("cri", &[])["extra"]["message"], "[7] FATAL:  role \"x\" does not exist");
    let row = parse("cri+postgres-stderr", &["--log-line-prefix", "[%p] "]);
    assert_eq!((&row["session"]["pid"], &row["extra"]["error_severity"]), (&json!(7), &json!("FATAL")), "{row}");
}

#[test]
fn a_log_that_is_compressed_reads_as_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let log = fs::read("tests/captures/pg15-pgaudit.csv").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&log).unwrap();
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    xz.write_all(&log).unwrap();
    let packed = [log.clone(), gzip.finish().unwrap(), zstd::encode_all(&log[..], 1).unwrap(), xz.finish().unwrap()];
    let records = packed.map(|bytes| {
        let file = folder.path().join("log");
        fs::write(&file, bytes).unwrap();
        let named = sealtrail(["parse", file.to_str().unwrap()]);
        let piped = command(["parse", "-"]).stdin(fs::File::open(&file).unwrap()).output().unwrap();
        assert_eq!((named.status.code(), piped.status.code()), (Some(0), Some(0)), "{}", text(&named.stderr));
        let (named, piped) = (text(&named.stdout), text(&piped.stdout));
        assert_eq!(named.replace(file.to_str().unwrap(), "-"), piped);
        named
    });
    assert!(records[0].lines().count() > 50 && records.iter().all(|it| *it == records[0]));
    // Cut off: what is there is printed, and the end is said to be missing.
    let mut cut = zstd::encode_all(&log[..], 1).unwrap();
    cut.truncate(cut.len() - 100);
    fs::write(folder.path().join("log"), cut).unwrap();
    let output = sealtrail(["parse", folder.path().join("log").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read"), "{}", text(&output.stderr));
}

#[test]
fn an_archive_that_nothing_here_unpacks_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    for (begin, what) in [(&b"BZh91AY"[..], "bzip2"), (b"\x04\x22\x4d\x18aaa", "lz4"), (b"PK\x03\x04aaa", "zip")] {
        fs::write(&file, begin).unwrap();
        let output = sealtrail(["parse", file.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(what) && said.contains("hint: unpack it"), "{said}");
    }
}

#[test]
fn check_answers_0_and_prints_the_plan() {
    let (folder, path) = config(SOURCE);
    let output = sealtrail(["check", "-c", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with(&format!("plan of {path}, sha256 ")));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    drop(folder);
}

#[test]
fn check_answers_1_and_every_mistake() {
    let (_folder, path) = config(&format!("{SOURCE}banana = 1\nformat = \"x\"\n"));
    let output = sealtrail(["check", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with(&format!("sealtrail: 2 mistakes in {path}\n{path}:4: [[source]] pg banana: unknown key\n"))
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn check_answers_2_when_the_file_is_missing() {
    let output = sealtrail(["check", "-c", "/nonexistent/sealtrail.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.starts_with("sealtrail: cannot read /nonexistent/sealtrail.toml: no such file\n  hint: "), "{said}");
}

#[test]
fn check_as_json_is_one_document_on_stdout_whatever_the_answer() {
    let (_right, right) = config(SOURCE);
    let (_wrong, wrong) = config("banana = 1\n");
    for (path, code, key) in
        [(right.as_str(), 0, "agent"), (wrong.as_str(), 1, "mistakes"), ("/nonexistent/sealtrail.toml", 2, "error")]
    {
        let output = sealtrail(["check", "--json", "-c", path]);
        assert_eq!(output.status.code(), Some(code), "{path}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document.get(key).is_some(), "{document}");
    }
}

#[test]
fn check_connect_answers_1_when_a_destination_cannot_be_reached() {
    let far = tempfile::tempdir().unwrap();
    // Nobody listens on port 1 of this host.
    let destinations = format!(
        "[[destination]]\nname = \"near\"\ntype = \"file\"\npath = {:?}\n[[destination]]\nname = \"far\"\ntype = \"http\"\nurl = \"http://127.0.0.1:1/\"\n",
        far.path()
    );
    let (_folder, path) = config(&format!("{SOURCE}{destinations}"));
    let output = sealtrail(["check", "--connect", "--json", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["connect"][0]["ok"], &document["connect"][1]["ok"]), (&true.into(), &false.into()));
}

#[test]
fn a_mistake_in_the_configuration_stops_run_with_1() {
    let (_folder, path) = config("banana = 1\n");
    let output = sealtrail(["run", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unknown key at the top of the file"));
}

#[test]
fn secrets_of_the_environment_are_not_printed() {
    let text_of = format!(
        "{SOURCE}[[destination]]\nname = \"c\"\ntype = \"http\"\nurl = \"https://c.example/${{PLANTED}}\"\ntoken = \"${{PLANTED}}\"\n"
    );
    let (_folder, path) = config(&text_of);
    for arguments in [&["check", "-vv", "-c", &path][..], &["check", "--json", "-c", &path]] {
        let output = command(arguments.iter().copied()).env("PLANTED", "hunter2hunter2").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(!text(&output.stdout).contains("hunter2") && !text(&output.stderr).contains("hunter2"));
        assert!(text(&output.stdout).contains("***"));
    }
}

#[test]
fn a_wrong_log_filter_is_told() {
    let output = command(["completions", "bash"]).env("SEALTRAIL_LOG", "sealtrail=loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("sealtrail: SEALTRAIL_LOG=\"sealtrail=loud\": "));
}

#[test]
fn completions_are_a_script_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sealtrail(["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("verify"), "{shell}");
    }
}

#[test]
fn man_writes_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(sealtrail(["man", pages.to_str().unwrap()]).status.code(), Some(0));
    for page in ["sealtrail.1", "sealtrail-run.1", "sealtrail-verify.1"] {
        assert!(text(&fs::read(pages.join(page)).unwrap()).contains(".SH"), "{page}");
    }
}

fn sealtrail<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    command(arguments).output().unwrap()
}

/// The binary, in surroundings that are the same everywhere.
fn command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_sealtrail")));
    command.args(arguments).env("COLUMNS", "100").env_remove("SEALTRAIL_LOG");
    command
}

/// A configuration of this text, and its path.
fn config(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealtrail.toml");
    fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
