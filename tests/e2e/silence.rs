//! Sources that fall silent and room that runs out, as they stand in the trail, in the log and in `status`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::collector::Collector;
use crate::csvlog::{Row, csv};
use crate::host::{Agent, Host, text, wait_until};
use crate::tmpfs::Tmpfs;
use crate::trail::{self, Trail};
use crate::writer::Writer;

/// An account without rights.
const NOBODY: u32 = 65_534;

#[test]
fn a_glob_that_matches_nothing_is_told_and_so_is_its_end() {
    let host = Host::new();
    let mut agent = host.run();
    let trail = agent.wait_for("the missing file", |trail| !trail.acts("SOURCE MISSING").is_empty());
    let act = trail.acts("SOURCE MISSING")[0];
    assert_eq!([&act["resource"], &act["resource_type"], &act["outcome"]], ["pg", "source", "failure"]);
    assert!(act["message"].as_str().unwrap().contains("no file matches"), "{act}");
    assert_eq!(source(&host)["missing"], true);

    fs::write(host.log().join("pg.csv"), rows("a.1", 1..=10)).unwrap();
    agent.wait_for_rows(10);
    agent.wait_for("its end", |trail| trail.acts("SOURCE BACK").len() == 1);
    assert_eq!(source(&host)["missing"], false);
    let trail = agent.stop();
    assert_eq!(trail.acts("SOURCE MISSING").len(), 1);
    host.assert_verifies();
}

#[test]
fn a_folder_that_cannot_be_listed_is_the_reason_why_nothing_matches() {
    let host = Host::empty();
    host.configure(&host.source("pg", "none/*.csv", ""), &host.archive());
    let trail = host.drain();
    let message = trail.acts("SOURCE MISSING")[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("log/none: No such file or directory"), "{message}");
}

#[test]
fn a_source_that_is_quiet_for_longer_than_it_may_is_told_once_and_is_back_with_its_next_row() {
    let host = Host::empty();
    host.configure(&host.source("pg", "*.csv", "quiet_after = \"1s\""), &host.archive());
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let mut agent = host.run();
    let trail = agent.wait_for("silence", |trail| !trail.acts("SOURCE QUIET").is_empty());
    let act = trail.acts("SOURCE QUIET")[0];
    assert_eq!([&act["resource"], &act["outcome"]], ["pg", "unknown"]);
    let status = source(&host);
    assert!(status["quiet"].as_str().unwrap().contains("quiet_after, 1s"), "{status}");
    assert_eq!([&status["quiet_after_seconds"], &status["silences"]], [1, 1]);
    let shown = text(&host.ask("status", &[]).stdout);
    assert!(shown.contains("quiet for ") && shown.ends_with("ready\n"), "{shown}");
    assert!(host.said().contains("nothing has come since"), "{}", host.said());

    append(&path).write_all(rows("a.1", 11..=20).as_bytes()).unwrap();
    agent.wait_for("its end", |trail| trail.acts("SOURCE BACK").len() == 1);
    let trail = agent.stop();
    assert_eq!((trail.acts("SOURCE QUIET").len(), trail.events().count()), (1, 20));
    host.assert_verifies();
}

#[test]
fn a_file_that_the_rotation_made_unreadable_is_told_and_read_whole_once_it_can_be() {
    let host = Host::new();
    fs::write(host.log().join("a.csv"), rows("a.1", 1..=10)).unwrap();
    let Some(mut agent) = run_as_nobody(&host) else { return };
    agent.wait_for_rows(10);
    let new = host.log().join("b.csv");
    close(&new, rows("b.2", 1..=10));
    let trail = agent.wait_for("an unreadable file", |trail| !trail.acts("SOURCE UNREADABLE").is_empty());
    let act = trail.acts("SOURCE UNREADABLE")[0];
    assert_eq!([&act["resource"], &act["resource_type"]], [new.to_str().unwrap(), "file"]);
    assert!(act["message"].as_str().unwrap().contains("Permission denied"), "{act}");
    assert_eq!(source(&host)["unreadable_files"], 1);
    assert_eq!(trail.events().count(), 10);

    fs::set_permissions(&new, Permissions::from_mode(0o644)).unwrap();
    agent.wait_for("its end", |trail| trail.acts("SOURCE BACK").len() == 1 && trail.events().count() == 20);
    assert_eq!(source(&host)["unreadable_files"], 0);
    agent.stop().tiled();
    host.assert_verifies();
}

#[test]
fn a_file_that_is_unreadable_at_the_start_is_told_at_once() {
    let host = Host::new();
    close(&host.log().join("a.csv"), rows("a.1", 1..=10));
    let Some(mut agent) = run_as_nobody(&host) else { return };
    agent.wait_ready();
    let trail = agent.wait_for("an unreadable file", |trail| !trail.acts("SOURCE UNREADABLE").is_empty());
    assert_eq!(trail.acts("SOURCE UNREADABLE").len(), 1);
    agent.stop();
}

#[test]
fn how_long_a_source_keeps_its_files_is_learnt_from_the_first_one_that_it_deletes() {
    let host = Host::new();
    for (name, session) in [("a.csv", "a.1"), ("b.csv", "b.2")] {
        fs::write(host.log().join(name), rows(session, 1..=10)).unwrap();
    }
    let written = SystemTime::now() - Duration::from_secs(7 * 86_400);
    append(&host.log().join("a.csv")).set_modified(written).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(20);
    let retention = source(&host)["retention"].clone();
    assert_eq!([&retention["kept_seconds"], &retention["covered_seconds"]], [&Value::Null; 2], "{retention}");
    assert!(retention["oldest_seconds"].as_u64().unwrap() >= 7 * 86_400, "{retention}");

    fs::remove_file(host.log().join("a.csv")).unwrap();
    let kept = wait_until("a life", || source(&host)["retention"]["kept_seconds"].as_u64());
    assert!((7 * 86_400..7 * 86_400 + 120).contains(&kept), "{kept}");
    assert_eq!(source(&host)["retention"]["covered_seconds"], Value::Null, "nothing waits");
    agent.stop();
}

#[test]
fn a_dead_destination_raises_the_alarm_before_reading_stops_and_room_ends_it() {
    let collector = Collector::start();
    collector.answer(500);
    let host = Host::empty();
    configure(&host, &host.state(), "1MiB", &collector);
    let mut writer = Writer::new(&host.log(), 7);
    (0..700).for_each(|_| writer.append_random());
    let mut agent = host.run();
    agent.wait_for_rows(700);
    // A little more at a time than the agent counts.
    let told = loop {
        (0..20).for_each(|_| writer.append_random());
        let trail = agent.wait_for_rows(writer.rows());
        if !trail.acts("BUDGET").is_empty() {
            break trail;
        }
        assert!(writer.bytes() < 20_000_000, "no alarm after {} bytes", writer.bytes());
        std::thread::sleep(Duration::from_millis(600));
    };
    let message = told.acts("BUDGET")[0]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("wait for required destinations") && message.contains("of the journal's 1.0 MiB"),
        "{message}"
    );
    let journal = host.status().unwrap()["journal"].clone();
    assert_eq!([&journal["short"], &journal["paused"]], [true, false], "{journal}");
    let undelivered = journal["bytes_undelivered"].as_u64().unwrap();
    assert!((838_860..1_048_576).contains(&undelivered), "{journal}");
    assert!(text(&host.ask("status", &[]).stdout).contains("ROOM IS RUNNING OUT"));

    collector.answer(0);
    agent.wait_for("room again", |trail| trail.acts("BUDGET").len() == 2);
    assert_eq!(host.status().unwrap()["journal"]["short"], false);
    let trail = agent.stop();
    let over = trail.acts("BUDGET")[1]["message"].as_str().unwrap().to_owned();
    assert!(over.contains("there is room again") && over.contains("never paused"), "{over}");
}

#[test]
fn a_full_disk_is_waited_for_and_said_and_nothing_undelivered_is_deleted() {
    let Some(small) = Tmpfs::mount(16 * 1024) else { return };
    let collector = Collector::start();
    collector.answer(500);
    let host = Host::empty();
    let state = small.path().join("state");
    configure(&host, &state, "1GiB", &collector);
    let mut writer = Writer::new(&host.log(), 8);
    (0..100).for_each(|_| writer.append_random());
    let journal = state.join("journal");
    let agent = host.run();
    wait_until("the first rows", || (Trail::so_far(&journal).events().count() >= 100).then_some(()));
    small.fill(64);
    (0..2_000).for_each(|_| writer.append_random());
    writer.finish();
    agent.wait_for_words("no room on the disk");
    let before = trail::segments(&journal);
    agent.wait_for_words("the disk of the state folder has");
    // The journal is counted twice a second.
    let said = wait_until("the pause in status", || {
        Some(text(&host.ask("status", &[]).stdout)).filter(|said| said.contains("PAUSED"))
    });
    assert!(said.contains("ROOM IS RUNNING OUT") && said.contains("left on the disk"), "{said}");

    small.free();
    agent.wait_for_words("there is room on the disk again");
    agent.wait_for_words("there is room again");
    wait_until("every row", || (Trail::so_far(&journal).events().count() >= writer.rows()).then_some(()));
    let after = trail::segments(&journal);
    assert!(before.iter().all(|segment| after.contains(segment)), "{before:?}\n{after:?}");
    collector.answer(0);
    let rows = || collector.lines().iter().filter(|line| line.contains("\"type\":\"event\"")).count();
    wait_until("every row at the collector", || (rows() >= writer.rows()).then_some(()));
    drop(agent);
    let trail = Trail::so_far(&journal);
    trail.tiled();
    let last = trail.acts("BUDGET").last().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(last.contains("reading was paused"), "{last}");
}

/// The first source, as status has it.
fn source(host: &Host) -> Value {
    host.status().unwrap()["sources"][0].clone()
}

fn configure(host: &Host, state: &Path, budget: &str, collector: &Collector) {
    let agent = format!("[agent]\norigin = \"acme/test/db-1\"\nstate_dir = \"{}\"\n", state.display());
    let seal = "[seal]\ninterval = \"20ms\"\nsegment_max_bytes = \"16KiB\"\n";
    let source = host.source("pg", "*.csv", "");
    let siem = format!("[[destination]]\nname = \"siem\"\ntype = \"http\"\nurl = \"{}\"\n", collector.url());
    fs::write(host.config(), format!("{agent}journal_max_bytes = \"{budget}\"\n{seal}{source}{siem}")).unwrap();
}

/// A file that only its owner may read, and its owner not either.
fn close(path: &Path, content: String) {
    let mut file = File::create(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// The daemon under an account that may not read everything; `None` where that cannot be had, and says so.
fn run_as_nobody(host: &Host) -> Option<Agent<'_>> {
    if !rustix::process::geteuid().is_root() {
        return Some(host.run());
    }
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()];
    // The program where this account finds it, whatever the folders above the build are.
    let program = host.dir().join("sealtrail");
    fs::copy(env!("CARGO_BIN_EXE_sealtrail"), &program).unwrap();
    fs::create_dir(host.archive_dir()).unwrap();
    fs::create_dir(host.state()).unwrap();
    fs::set_permissions(host.dir(), Permissions::from_mode(0o755)).unwrap();
    for dir in [host.archive_dir(), host.state()] {
        std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let tried = Command::new("setpriv").args(&ids).arg(&program).arg("--version").output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cannot run as another account: {tried:?}");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(&ids).arg(&program).args(["run", "-c"]).arg(host.config());
    Some(host.run_command(command))
}

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

fn rows(session: &str, lines: std::ops::RangeInclusive<u64>) -> String {
    lines.map(|line| csv(&Row { user: "app", session, line, sql: "SELECT 1" })).collect()
}
