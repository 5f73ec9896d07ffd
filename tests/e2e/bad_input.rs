//! What can be wrong with what the agent is given: each time it says what, where and what to do, and no line is lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use crate::collector::{Collector, NEVER};
use crate::csvlog::{Row, csv, json};
use crate::host::{Host, text, wait_until};
use crate::trail::{self, Trail};
use crate::writer::{Writer, assert_complete};

pub fn rows(session: &str, count: u64) -> String {
    (1..=count).map(|line| csv(&Row { user: "app", session, line, sql: &format!("SELECT {line}") })).collect()
}

/// The command fails, and says all of this.
fn assert_refused(host: &Host, code: i32, words: &[&str]) {
    for (command, more) in [("run", &["--drain"][..]), ("run", &[])] {
        let output = host.ask(command, more);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        for word in words {
            assert!(said.contains(word), "no {word:?} in:\n{said}");
        }
    }
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_place_cause_and_hint() {
    let host = Host::new();
    let config = host.config();
    let good = fs::read_to_string(&config).unwrap();
    let place = |line: usize| format!("{}:{line}", config.display());

    fs::write(&config, format!("{good}\nthis is no TOML\n")).unwrap();
    let line = good.lines().count() + 2;
    assert_refused(&host, 1, &[&place(line)]);

    fs::write(&config, good.replace("segment_max_bytes", "segment_max_byte")).unwrap();
    let line = good.lines().position(|line| line.starts_with("segment_max_bytes")).unwrap() + 1;
    assert_refused(&host, 1, &[&place(line), "segment_max_byte", "unknown key", "hint:", "segment_max_bytes"]);

    fs::write(&config, format!("{good}\n{}", host.source("pg", "*.json", ""))).unwrap();
    assert_refused(&host, 1, &["[[source]]", "\"pg\"", "hint:"]);

    fs::remove_file(&config).unwrap();
    assert_refused(&host, 2, &[config.to_str().unwrap(), "hint:"]);
    assert!(!host.state().exists(), "nothing is made before the configuration is right");
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let host = Host::new();
    // A file where the folder should be.
    fs::write(host.state(), "not a folder").unwrap();
    assert_refused(&host, 2, &[host.state().to_str().unwrap(), "hint:", "state_dir"]);
}

#[test]
fn a_journal_that_does_not_verify_stops_the_start_and_is_left_as_it_is() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 20)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(20);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(rows("b.2", 20).as_bytes()).unwrap();
    agent.wait_for_rows(40);
    agent.stop();

    let segment = trail::segments(&host.journal()).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[60] ^= 4;
    fs::write(&segment, &bytes).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert_refused(&host, 1, &[name, "does not verify", "hint:", "sealtrail verify"]);
    assert!(fs::read(&segment).unwrap() == bytes, "the journal was touched");
    assert_eq!(host.verify().status.code(), Some(1));
}

/// Reading as nobody may: without the right to pass over permissions, which root has.
fn without_privilege(host: &Host) -> Command {
    let config = host.config();
    let arguments = ["run", "-c", config.to_str().unwrap()];
    if !rustix::process::geteuid().is_root() {
        return host.command(&arguments);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-dac_override,-dac_read_search", "--", env!("CARGO_BIN_EXE_sealtrail")])
        .args(arguments);
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_read_once_it_can_be() {
    let host = Host::new();
    let (good, bad) = (host.log().join("good.csv"), host.log().join("secret.csv"));
    fs::write(&good, rows("a.1", 5)).unwrap();
    fs::write(&bad, rows("b.2", 5)).unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o000)).unwrap();
    let mut agent = host.run_command(without_privilege(&host));
    agent.wait_for_rows(5);
    agent.wait_for_words("secret.csv");
    assert!(host.said().contains("ermission denied"), "{}", host.said());
    assert_problem(&host, "secret.csv");
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o644)).unwrap();
    agent.wait_for_rows(10);
    let trail = agent.stop();
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn what_is_no_log_is_said_and_counted_and_the_logs_beside_it_are_read() {
    let host = Host::new();
    let put = |name: &str, bytes: &[u8]| fs::write(host.log().join(name), bytes).unwrap();
    let mut gzipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzipped.write_all(rows("c.1", 50).as_bytes()).unwrap();
    let mut gzipped = gzipped.finish().unwrap();
    put("gzipped.csv", &gzipped);
    let crc = gzipped.len() - 6;
    gzipped[crc] ^= 1;
    put("damaged.csv", &gzipped);
    put(
        "binary.csv",
        &(0..100_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    );
    put("empty.csv", b"");
    put("prose.csv", "This is no log at all.\n".repeat(5_000).as_bytes());
    put("good.csv", rows("a.1", 5).as_bytes());
    fs::create_dir(host.log().join("folder.csv")).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(55);
    for name in ["damaged.csv", "binary.csv", "prose.csv"] {
        agent.wait_for_words(&format!("log/{name}"));
    }
    assert!(host.said().contains("a damaged archive"), "{}", host.said());
    let source = wait_until("three errors", || {
        let source = host.status()?["sources"][0].clone();
        (source["errors"].as_u64()? >= 3).then_some(source)
    });
    assert!(source["problem"].is_string(), "{source}");
    // What was empty becomes a log.
    put("empty.csv", rows("b.2", 3).as_bytes());
    agent.wait_for_rows(58);
    assert!(!host.said().contains("panicked"), "{}", host.said());
    let trail = agent.stop();
    trail.tiled();
    // The problem stands for as long as the files do.
    host.assert_verifies();
}

#[test]
fn a_standing_problem_is_still_said_after_the_next_look() {
    let host = Host::new();
    fs::write(host.log().join("gzipped.csv"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n").unwrap();
    let mut agent = host.run();
    agent.wait_for_words("gzipped.csv");
    // A new name makes the agent look again.
    fs::write(host.log().join("good.csv"), rows("a.1", 5)).unwrap();
    agent.wait_for_rows(5);
    assert_problem(&host, "gzipped.csv");
    agent.stop();
}

#[test]
fn bytes_that_are_no_rows_are_kept_in_the_trail() {
    let host = Host::empty();
    host.configure(&host.source("pg", "*.csv", "format = \"postgres-csvlog\""), &host.archive());
    let mut garbage: Vec<u8> = (0..300_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    garbage.push(b'\n');
    let mut log = rows("a.1", 5).into_bytes();
    log.extend_from_slice(&garbage);
    log.extend_from_slice(rows("b.2", 5).as_bytes());
    // From here on it is another format.
    log.extend((1..=5).flat_map(|line| json(&Row { user: "app", session: "c.3", line, sql: "SELECT 1" }).into_bytes()));
    log.extend_from_slice(rows("d.4", 5).as_bytes());
    let path = host.log().join("pg.csv");
    fs::write(&path, &log).unwrap();
    let trail = host.drain();
    let rows = trail.tiled();
    let end = rows.values().next().unwrap().last().map(|row| row.offset + row.length);
    assert_eq!(end, Some(log.len() as u64), "not all of the file is in the trail");
    for session in ["a.1", "b.2", "d.4"] {
        let whole = trail.events().filter(|event| event["session"]["id"] == session).count();
        assert_eq!(whole, 5, "rows of session {session}");
    }
    assert!(trail.unparsed() >= 2);
    for event in trail.events().filter(|event| event["category"] == "unparsed") {
        assert!(event["raw"].is_string() || event["raw_base64"].is_string(), "{event}");
    }
    host.assert_verifies();
}

fn assert_problem(host: &Host, words: &str) {
    wait_until(&format!("the status to say {words:?}"), || {
        host.status()?["sources"][0]["problem"].as_str()?.contains(words).then_some(())
    });
}

/// A file system of its own, with little room. Unmounted when dropped.
struct SmallDisk<'d>(&'d Path);

impl<'d> SmallDisk<'d> {
    fn mount(path: &'d Path, size: &str) -> Self {
        fs::create_dir(path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "sealtrail-test"])
            .arg(path)
            .status();
        assert!(status.unwrap().success(), "a full disk needs a small one: run this test as root");
        SmallDisk(path)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn write(writer: &mut Writer, bytes: u64) {
    let end = writer.bytes() + bytes;
    while writer.bytes() < end {
        writer.append_random();
    }
}

#[test]
fn a_full_disk_is_said_and_waited_for_and_nothing_is_lost() {
    // Nothing may be removed to make room: the destination has nothing yet.
    let collector = Collector::start();
    collector.answer(500);
    let host = host_with(&collector);
    let state = host.state();
    let disk = SmallDisk::mount(&state, "2m");
    // What is on the disk besides: removed, it makes room.
    let ballast = state.join("ballast");
    fs::write(&ballast, vec![0; 1_400_000]).unwrap();
    // Rows that do not compress: more than there is room for, however they are cut into blocks.
    let mut writer = Writer::new(&host.log(), 21);
    write(&mut writer, 1_100_000);
    let mut agent = host.run();
    agent.wait_for_words("no room on the disk");
    let problem = wait_until("a status", || host.status());
    assert!(problem["journal"]["problem"].as_str().is_some_and(|words| words.contains("no room")), "{problem}");
    assert!(agent.is_running());
    assert!(Trail::so_far(&host.journal()).events().count() < writer.rows());
    host.assert_authentic();

    fs::remove_file(&ballast).unwrap();
    agent.wait_for_rows(writer.rows());
    agent.wait_for_words("there is room on the disk again");
    // And full again: it is told to stop in the middle of it.
    write(&mut writer, 4_000_000);
    agent.wait_for_words_again("no room on the disk", 2);
    let (status, took) = agent.term();
    assert!(status.success() && took.as_secs() < 5, "{status} after {took:?}");
    let status = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&state).status();
    assert!(status.unwrap().success());
    collector.answer(0);
    let trail = host.drain();
    assert_complete(&trail, &writer.files);
    assert_taken(&host, &trail, &collector);
    host.assert_verifies();
    drop(disk);
}

#[test]
fn a_disk_smaller_than_the_trail_is_enough_when_segments_are_delivered() {
    let host = Host::empty();
    let seal = "interval = \"50ms\"\nsegment_max_bytes = \"32KiB\"\nsegment_max_age = \"100ms\"";
    host.configure_with(seal, &host.source("pg", "*.csv", ""), &host.archive());
    let state = host.state();
    let disk = SmallDisk::mount(&state, "1m");
    let mut writer = Writer::new(&host.log(), 23);
    let mut agent = host.run();
    for _ in 0..25 {
        write(&mut writer, 100_000);
        let arrived = || Trail::so_far(&host.archive_dir()).events().count() >= writer.rows();
        wait_until("every row to arrive", || arrived().then_some(()));
    }
    assert!(agent.is_running());
    agent.stop();
    host.drain();
    let trail = Trail::read(&host.archive_dir());
    assert_complete(&trail, &writer.files);
    let output = host.verify_path(&host.archive_dir());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    drop(disk);
}

#[test]
fn a_disk_that_fails_ends_the_agent_with_place_and_hint_and_nothing_is_lost() {
    let host = Host::new();
    let mut writer = Writer::new(&host.log(), 22);
    write(&mut writer, 1_000_000);
    host.configure_with(
        "interval = \"50ms\"\nsegment_max_bytes = \"16MiB\"",
        &host.source("pg", "*.csv", ""),
        &host.archive(),
    );
    assert!(getrlimit(Resource::Fsize).maximum.is_none(), "this test sets the limit itself");
    // A write beyond the limit fails with EFBIG, which is no full disk: after it nobody knows what is in the file.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 200; exec {} run --drain -c {}",
        env!("CARGO_BIN_EXE_sealtrail"),
        host.config().display()
    );
    let output = Command::new("sh").args(["-c", &limited]).stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("journal/") && said.contains("hint:") && !said.contains("panicked"), "{said}");
    let trail = host.drain();
    assert_complete(&trail, &writer.files);
    host.assert_verifies();
}

/// One required `http` destination called `siem`.
pub fn host_with(collector: &Collector) -> Host {
    let host = Host::empty();
    let http = format!(
        "[[destination]]\nname = \"siem\"\ntype = \"http\"\nurl = \"{}\"\ntimeout = \"300ms\"\n",
        collector.url()
    );
    host.configure(&host.source("pg", "*.csv", ""), &http);
    host
}

fn destination(host: &Host) -> Option<Value> {
    Some(host.status()?["destinations"][0].clone())
}

#[test]
fn a_destination_that_refuses_is_said_and_has_every_line_once_it_takes_them() {
    for (status, cause) in [(401, "401"), (500, "500"), (NEVER, "")] {
        let collector = Collector::start();
        collector.answer(status);
        let host = host_with(&collector);
        fs::write(host.log().join("pg.csv"), rows("a.1", 50)).unwrap();
        let mut agent = host.run();
        agent.wait_for_rows(50);
        agent.wait_for_words("siem");
        let seen =
            wait_until("the status to tell of it", || destination(&host).filter(|seen| seen["problem"].is_string()));
        assert!(seen["problem"].as_str().unwrap().contains(cause), "{status}: {seen}");
        assert!(host.said().contains(cause), "{}", host.said());
        // It goes on sealing.
        fs::write(host.log().join("more.csv"), rows("b.2", 50)).unwrap();
        agent.wait_for_rows(100);
        agent.stop();
        assert!(collector.lines().is_empty());
        collector.answer(0);
        let trail = host.drain();
        assert_taken(&host, &trail, &collector);
    }
}

#[test]
fn reading_stops_at_the_journals_budget_until_a_required_destination_has_taken_its_share() {
    let collector = Collector::start();
    collector.answer(500);
    let host = host_with(&collector);
    let budget = 128 * 1024;
    let config = fs::read_to_string(host.config()).unwrap();
    let config = config.replacen("[agent]\n", "[agent]\njournal_max_bytes = \"128KiB\"\n", 1);
    fs::write(host.config(), config).unwrap();
    let mut writer = Writer::new(&host.log(), 33);
    while writer.bytes() < 12_000_000 {
        writer.append_random();
    }
    writer.finish();
    let agent = host.run();
    agent.wait_for_words("reading is paused");
    let journal = host.status().unwrap()["journal"].clone();
    assert_eq!(journal["paused"], true, "{journal}");
    assert!(journal["bytes_on_disk"].as_u64().unwrap() >= budget, "{journal}");
    assert!(Trail::so_far(&host.journal()).events().count() < writer.rows());

    collector.answer(0);
    let rows = || collector.lines().iter().filter(|line| line.contains("\"type\":\"event\"")).count();
    wait_until("every row at the collector", || (rows() >= writer.rows()).then_some(()));
    agent.wait_for_words("removed: every required destination has it");
    agent.stop();
    let lines = collector.lines();
    let ids: std::collections::HashSet<&str> =
        lines.iter().filter_map(|line| line.split('"').nth(9)).filter(|id| !id.contains('/')).collect();
    assert_eq!(ids.len(), writer.rows(), "each row once, by its id");
    // What is left begins late and is otherwise whole.
    assert_eq!(host.verify().status.code(), Some(3), "{}", text(&host.verify().stdout));
}

#[test]
fn a_drain_to_a_destination_that_refuses_for_good_says_so_and_ends_with_one() {
    let collector = Collector::start();
    collector.answer(401);
    let host = host_with(&collector);
    fs::write(host.log().join("pg.csv"), rows("a.1", 50)).unwrap();
    let output = host.ask("run", &["--drain"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("siem") && said.contains("401") && said.contains("hint"), "{said}");
    assert_eq!(host.trail().events().count(), 50);
    host.assert_verifies();
}

#[test]
fn lines_that_a_destination_finds_too_large_lie_in_the_dead_letter_folder() {
    let collector = Collector::start();
    collector.answer(413);
    let host = host_with(&collector);
    fs::write(host.log().join("pg.csv"), rows("a.1", 20)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(20);
    wait_until("a dead letter", || destination(&host)?["dead_letters"].as_u64().filter(|&letters| letters > 0));
    collector.answer(0);
    agent.stop();
    let trail = host.drain();
    assert!(!letters(&host).is_empty());
    assert_taken(&host, &trail, &collector);
}

/// Every line is at the collector or among the dead letters.
fn assert_taken(host: &Host, trail: &Trail, collector: &Collector) {
    let mut taken: Vec<Value> = collector.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    taken.extend(letters(host));
    let ids: std::collections::HashSet<&str> = taken.iter().map(|line| line["id"].as_str().unwrap()).collect();
    for line in &trail.lines {
        assert!(ids.contains(line["id"].as_str().unwrap()), "nowhere: {line}");
    }
}

pub fn letters(host: &Host) -> Vec<Value> {
    let Ok(folder) = fs::read_dir(host.state().join("dead-letter/siem")) else { return Vec::new() };
    let paths =
        folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
    // A running agent may remove one in between.
    paths.filter_map(|path| Some(serde_json::from_slice(&fs::read(path).ok()?).unwrap())).collect()
}
