//! A state folder that is not the one that the agent left: copied, restored, or without its journal. And all that looks like it and is none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;

use sealtrail::clock::{Clock, HostClock};
use sealtrail::continuity::{ContinuityError, adopt};
use sealtrail::core::{Core, Parts};
use sealtrail::disk::{Disk, OpenFile, RealDisk, Status};
use sealtrail::health::Health;
use sealtrail::run::{RunError, open_trail};
use sealtrail::tail::watch::Watch;
use serde_json::Value;

use crate::host::{Host, text, wait_until};
use crate::trail::Trail;
use crate::writer::{Writer, assert_complete};

/// What the agent can find wrong with its folder.
const FINDINGS: [&str; 4] = ["JOURNAL LOST", "STATE COPIED", "STATE RESTORED", "ANCHOR DAMAGED"];

#[test]
fn a_folder_that_nobody_touched_is_as_it_was_left() {
    let (host, mut writer) = drained(1);
    for round in 0..4 {
        add(&mut writer, 20);
        let mut agent = host.run();
        agent.wait_for_rows(writer.rows());
        if round % 2 == 0 { drop(agent.stop()) } else { agent.kill9() }
    }
    assert_nothing_found(&host.drain());
    host.assert_verifies();
    // What says so now and then are the anchor itself and the journal beside it.
    assert!(anchor(&host)["seen"]["lines"].as_u64().unwrap() > 0);
}

#[test]
fn a_folder_without_an_anchor_is_that_of_an_earlier_release_and_one_that_was_moved_is_the_same() {
    let (host, mut writer) = drained(2);
    fs::remove_file(host.state().join("anchor.json")).unwrap();
    add(&mut writer, 1);
    assert_nothing_found(&host.drain());
    let moved = host.dir().join("moved");
    fs::rename(host.state(), &moved).unwrap();
    fs::rename(&moved, host.state()).unwrap();
    // As after chown and chmod by whoever prepares the volume.
    Command::new("chmod").args(["-R", "u+rwX", host.state().to_str().unwrap()]).status().unwrap();
    fs::remove_file(host.state().join("lock")).unwrap();
    add(&mut writer, 1);
    assert_nothing_found(&host.drain());
    host.assert_verifies();
}

#[test]
fn cursors_that_are_gone_are_no_finding_and_all_is_delivered_again() {
    let (host, mut writer) = drained(3);
    fs::remove_dir_all(host.state().join("cursors")).unwrap();
    add(&mut writer, 1);
    assert_nothing_found(&host.drain());
    assert_eq!(host.verify_path(&host.archive_dir()).status.code(), Some(0));
}

#[test]
fn a_damaged_anchor_is_said_and_is_written_anew() {
    let (host, mut writer) = drained(4);
    fs::write(host.state().join("anchor.json"), "{\"v\":1,\"orig").unwrap();
    add(&mut writer, 1);
    let trail = host.drain();
    assert_eq!(trail.acts("ANCHOR DAMAGED").len(), 1);
    assert_eq!(trail.acts("ANCHOR DAMAGED")[0]["outcome"], "unknown");
    host.assert_verifies();
    assert_eq!(host.drain().acts("ANCHOR DAMAGED").len(), 1, "once");
}

#[test]
fn a_copy_is_refused_while_its_original_is_there_and_says_so_where_it_is_adopted() {
    let (host, mut writer) = drained(5);
    let copy = copied(&host, "copy");
    let before = Trail::read(&copy.join("journal")).lines.len();
    add(&mut writer, 1);
    let refused = run_on(&host, &copy, &["--drain"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("is a copy") && said.contains(host.state().to_str().unwrap()), "{said}");
    assert!(said.contains("--adopt-state"), "{said}");
    assert_eq!(Trail::read(&copy.join("journal")).lines.len(), before, "a refused start writes nothing");
    // The archive has what the original put there, so what the copy goes on with must be another file there.
    let adopted = run_on(&host, &copy, &["--drain", "--adopt-state"]);
    assert!(adopted.status.success(), "{}", text(&adopted.stderr));
    let trail = Trail::read(&copy.join("journal"));
    assert_found(&trail, "STATE COPIED");
    assert_verify_names(&host.verify_path(&copy.join("journal")), "STATE COPIED");
    let again = run_on(&host, &copy, &["--drain"]);
    assert!(again.status.success(), "adopted once is enough: {}", text(&again.stderr));
    // The original is none the wiser. Its segment meets the copy's at the archive, and is refused there.
    add(&mut writer, 1);
    let original = host.ask("run", &["--drain"]);
    assert_eq!(original.status.code(), Some(1), "{}", text(&original.stderr));
    assert!(text(&original.stderr).contains("other"), "{}", text(&original.stderr));
    assert_nothing_found(&host.trail());
}

#[test]
fn a_folder_from_an_older_backup_says_so_and_reads_the_rows_since_again() {
    let (host, mut writer) = drained(6);
    let backup = backed_up(&host);
    let older = host.trail().lines.len();
    add(&mut writer, 30);
    let lost = host.drain().lines.len();
    fs::remove_dir_all(host.state()).unwrap();
    unpacked(&backup, host.dir());
    // Its own destination has other content under the next name, and must not lose it.
    fs::rename(host.archive_dir(), host.dir().join("archive-before")).unwrap();
    add(&mut writer, 10);
    let trail = host.drain();
    assert!(lost > older);
    assert_found(&trail, "STATE RESTORED");
    assert_verify_names(&host.verify(), "STATE RESTORED");
    assert_complete(&trail, &writer.files);
    assert_eq!(host.drain().acts("STATE RESTORED").len(), 1, "once");
}

#[test]
fn a_backup_that_is_unpacked_over_the_folder_is_recognised_too() {
    let (host, mut writer) = drained(7);
    let backup = backed_up(&host);
    add(&mut writer, 30);
    host.drain();
    // What tar does not know of it leaves alone: the newer segments go by hand, as `rsync --delete` would have it.
    let kept = fs::read_dir(host.journal()).unwrap().count();
    unpacked(&backup, host.dir());
    let newest = crate::trail::segments(&host.journal()).pop().unwrap();
    fs::remove_file(newest).unwrap();
    assert!(kept > 1);
    add(&mut writer, 1);
    host.ask("run", &["--drain"]);
    assert_found(&host.trail(), "STATE RESTORED");
}

#[test]
fn an_archive_that_has_other_content_under_the_same_name_stops_a_restored_agent() {
    let (host, mut writer) = drained(8);
    let backup = backed_up(&host);
    add(&mut writer, 30);
    host.drain();
    let before = contents(&host.archive_dir());
    fs::remove_dir_all(host.state()).unwrap();
    unpacked(&backup, host.dir());
    add(&mut writer, 10);
    let output = host.ask("run", &["--drain"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(contents(&host.archive_dir()), before, "nothing at the archive is touched");
}

#[test]
fn a_lost_journal_is_gone_on_from_where_the_last_closed_segment_ended() {
    let (host, mut writer) = drained(9);
    let lines = host.trail().lines.len();
    fs::remove_dir_all(host.journal()).unwrap();
    add(&mut writer, 20);
    let trail = host.drain();
    assert_found(&trail, "JOURNAL LOST");
    assert_eq!(trail.lines[0]["segment"]["first"], lines);
    // Every segment was delivered before the journal went: the archive has all of it, in one chain.
    let archived = Trail::read(&host.archive_dir());
    assert_complete(&archived, &writer.files);
    assert_verify_names(&host.verify_path(&host.archive_dir()), "JOURNAL LOST");
    assert_eq!(host.drain().acts("JOURNAL LOST").len(), 1, "once");
}

#[test]
fn rows_of_an_open_segment_that_was_lost_are_read_again() {
    let (host, mut writer) = drained(10);
    let lines = host.trail().lines.len();
    add(&mut writer, 20);
    let mut agent = host.run();
    agent.wait_for_rows(writer.rows());
    // The first block of a run is in the anchor, which is written after the block itself.
    let seen = wait_until("the anchor to know of the run", || {
        anchor(&host)["seen"]["lines"].as_u64().filter(|seen| *seen > lines as u64)
    });
    agent.kill9();
    fs::remove_dir_all(host.journal()).unwrap();
    let trail = host.drain();
    let act = assert_found(&trail, "JOURNAL LOST");
    let told = act["message"].as_str().unwrap();
    assert!(told.contains(&format!("goes on at line {lines}")), "{told}");
    assert!(told.contains(&format!("Lines {lines} to {} were sealed before", seen - 1)), "{told}");
    assert_complete(&Trail::read(&host.archive_dir()), &writer.files);
}

#[test]
fn a_journal_and_an_anchor_that_are_lost_are_told_by_the_cursors() {
    let (host, mut writer) = drained(11);
    fs::remove_dir_all(host.journal()).unwrap();
    fs::remove_file(host.state().join("anchor.json")).unwrap();
    fs::rename(host.archive_dir(), host.dir().join("archive-before")).unwrap();
    add(&mut writer, 1);
    let trail = host.drain();
    let act = assert_found(&trail, "JOURNAL LOST");
    assert!(act["message"].as_str().unwrap().contains("destination archive"), "{act}");
    assert_eq!(trail.lines[0]["segment"]["first"], 0);
    assert_complete(&trail, &writer.files);
    // The cursor was beyond the new trail: it went back, or the first lines would have been passed over.
    assert_complete(&Trail::read(&host.archive_dir()), &writer.files);
}

#[test]
fn an_older_journal_alone_is_gone_on_from_the_anchor() {
    let (host, mut writer) = drained(12);
    let older = host.dir().join("journal-before");
    copy(&host.journal(), &older);
    add(&mut writer, 30);
    let lines = host.drain().lines.len();
    fs::remove_dir_all(host.journal()).unwrap();
    copy(&older, &host.journal());
    add(&mut writer, 10);
    let trail = host.drain();
    assert_found(&trail, "STATE RESTORED");
    let last = trail.lines.iter().rfind(|line| line["action"] == "SEGMENT").unwrap();
    assert_eq!(last["segment"]["first"], lines);
    // No number is there twice: the archive has every line.
    assert_complete(&Trail::read(&host.archive_dir()), &writer.files);
    assert_verify_names(&host.verify_path(&host.archive_dir()), "STATE RESTORED");
    // The journal has a hole, and that is no secret either.
    assert_eq!(host.verify().status.code(), Some(1));
}

#[test]
fn a_collector_gets_the_lines_that_have_the_numbers_of_lost_ones() {
    let collector = crate::collector::Collector::start();
    let host = Host::empty();
    let http = format!("[[destination]]\nname = \"siem\"\ntype = \"http\"\nurl = \"{}\"\n", collector.url());
    host.configure(&host.source("pg", "*.csv", ""), &http);
    let mut writer = Writer::new(&host.log(), 13);
    add(&mut writer, 20);
    let older_rows = host.drain().events().count();
    let older = host.dir().join("journal-before");
    copy(&host.journal(), &older);
    add(&mut writer, 200);
    host.drain();
    fs::remove_dir_all(host.journal()).unwrap();
    copy(&older, &host.journal());
    fs::remove_file(host.state().join("anchor.json")).unwrap();
    let had = collector.lines().len();
    let trail = host.drain();
    assert_found(&trail, "STATE RESTORED");
    let lines: Vec<Value> = collector.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[had..].iter().any(|line| line["action"] == "STATE RESTORED"), "from the first new line on");
    let rows = lines[had..].iter().filter(|line| line["type"] == "event").count();
    assert_eq!(rows, trail.events().count() - older_rows, "and all that follow");
}

#[test]
fn a_finding_outlives_a_crash_before_it_is_sealed() {
    let (host, mut writer) = drained(14);
    fs::remove_dir_all(host.journal()).unwrap();
    add(&mut writer, 1);
    // Found, written down, and gone before the first block.
    for _ in 0..3 {
        drop(opened(&host, &Place::of(&host, "")).unwrap());
    }
    fs::remove_dir_all(host.state().join("cursors")).unwrap();
    let trail = host.drain();
    assert_found(&trail, "JOURNAL LOST");
    assert_eq!(host.drain().acts("JOURNAL LOST").len(), 1, "once");
}

#[test]
fn another_machine_is_refused_until_the_folder_is_adopted() {
    let host = unnamed(15);
    let [here, there] = ["1".repeat(32), "2".repeat(32)].map(|id| Place::of(&host, &id));
    start(&host, &here).unwrap();
    assert!(matches!(start(&host, &there), Err(RunError::Continuity(ContinuityError::Elsewhere { .. }))));
    start(&host, &here).unwrap();
    assert_nothing_found(&host.trail());
    adopt(&there.host(), &plan(&host).agent).unwrap();
    start(&host, &there).unwrap();
    adopt(&there.host(), &plan(&host).agent).unwrap();
    start(&host, &there).unwrap();
    assert_found(&host.trail(), "STATE COPIED");
    assert_verify_names(&host.verify(), "STATE COPIED");
}

#[test]
fn another_name_another_boot_and_a_machine_without_an_id_are_no_finding() {
    let host = unnamed(16);
    let here = Place::of(&host, &"1".repeat(32));
    start(&host, &here).unwrap();
    start(&host, &Place { boot: "second".to_owned(), ..here.clone() }).unwrap();
    start(&host, &Place { name: "renamed-by-dhcp".to_owned(), boot: "second".to_owned(), ..here.clone() }).unwrap();
    // A pod that is started again has another name each time, and no id; or one of its own under the same kernel.
    start(&host, &Place { name: "pod-5c9f".to_owned(), boot: "third".to_owned(), id: String::new(), ..here.clone() })
        .unwrap();
    start(
        &host,
        &Place {
            name: "pod-77aa".to_owned(),
            boot: "third".to_owned(),
            id: "uninitialized".to_owned(),
            ..here.clone()
        },
    )
    .unwrap();
    start(&host, &Place { boot: "third".to_owned(), id: "3".repeat(32), ..here.clone() }).unwrap();
    start(&host, &Place { boot: "third".to_owned(), id: "4".repeat(32), ..here }).unwrap();
    assert_nothing_found(&host.trail());
    host.assert_verifies();
}

#[test]
fn a_copy_on_a_host_of_which_only_the_name_is_known_goes_on_and_says_so() {
    let host = unnamed(17);
    let here = Place::of(&host, "");
    start(&host, &here).unwrap();
    let backup = backed_up(&host);
    fs::remove_dir_all(host.state()).unwrap();
    unpacked(&backup, host.dir());
    start(&host, &Place { name: "db-2".to_owned(), boot: "of db-2".to_owned(), ..here }).unwrap();
    let act = assert_found(&host.trail(), "STATE COPIED");
    assert!(act["message"].as_str().unwrap().contains("db-1"), "{act}");
}

#[test]
fn status_says_what_was_found_at_start() {
    let (host, mut writer) = drained(18);
    fs::remove_dir_all(host.journal()).unwrap();
    add(&mut writer, 1);
    let mut agent = host.run();
    agent.wait_for_rows(1);
    let found = host.status().unwrap()["journal"]["continuity"].as_str().unwrap().to_owned();
    assert!(found.contains("the journal is gone"), "{found}");
    let shown = text(&host.ask("status", &[]).stdout);
    assert!(shown.contains("found at start: the journal is gone"), "{shown}");
    agent.stop();
    let mut agent = host.run();
    agent.wait_ready();
    assert_eq!(host.status().unwrap()["journal"]["continuity"], Value::Null);
    agent.stop();
}

/// A trail of some segments, all of them closed and delivered.
fn drained(seed: u64) -> (Host, Writer) {
    let host = Host::new();
    let mut writer = Writer::new(&host.log(), seed);
    add(&mut writer, 20);
    host.drain();
    (host, writer)
}

/// So many rows more, the last of them whole.
fn add(writer: &mut Writer, rows: usize) {
    let wanted = writer.rows() + rows;
    while writer.rows() < wanted {
        writer.append();
    }
    writer.finish();
}

/// A folder that no machine has put its name to.
fn unnamed(seed: u64) -> Host {
    let (host, _) = drained(seed);
    fs::remove_file(host.state().join("anchor.json")).unwrap();
    host
}

fn anchor(host: &Host) -> Value {
    serde_json::from_slice(&fs::read(host.state().join("anchor.json")).unwrap()).unwrap()
}

#[track_caller]
fn assert_nothing_found(trail: &Trail) {
    for action in FINDINGS {
        assert_eq!(trail.acts(action), Vec::<&Value>::new());
    }
}

/// This act, once, and none of the others.
#[track_caller]
fn assert_found(trail: &Trail, action: &str) -> Value {
    let found: Vec<&Value> = FINDINGS.iter().flat_map(|action| trail.acts(action)).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["action"], &found[0]["outcome"]), (&Value::from(action), &Value::from("failure")));
    found[0].clone()
}

#[track_caller]
fn assert_verify_names(output: &Output, action: &str) {
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(action), "{said}");
}

/// The agent with another state folder, to its end.
fn run_on(host: &Host, state: &Path, more: &[&str]) -> Output {
    let config = fs::read_to_string(host.config()).unwrap();
    let config = config.replace(host.state().to_str().unwrap(), state.to_str().unwrap());
    let path = host.dir().join("other.toml");
    fs::write(&path, config).unwrap();
    host.command(&[&["run", "-c", path.to_str().unwrap()], more].concat()).output().unwrap()
}

fn copied(host: &Host, name: &str) -> PathBuf {
    let to = host.dir().join(name);
    copy(&host.state(), &to);
    to
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn backed_up(host: &Host) -> PathBuf {
    let backup = host.dir().join("backup.tar");
    let tar = Command::new("tar").arg("-C").arg(host.dir()).arg("-cf").arg(&backup).arg("state").status();
    assert!(tar.unwrap().success());
    backup
}

fn unpacked(backup: &Path, to: &Path) {
    assert!(Command::new("tar").arg("-C").arg(to).arg("-xf").arg(backup).status().unwrap().success());
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    crate::trail::segments(dir).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Another machine: this one's disk, with other files where the machine tells who it is.
#[derive(Debug, Clone)]
struct Place {
    dir: PathBuf,
    id: String,
    name: String,
    boot: String,
}

impl Place {
    fn of(host: &Host, id: &str) -> Self {
        Place { dir: host.dir().to_owned(), id: id.to_owned(), name: "db-1".to_owned(), boot: format!("of {id}") }
    }

    fn host(&self) -> sealtrail::host::Host {
        sealtrail::host::Host { disk: Arc::new(self.clone()), clock: Arc::new(self.clone()) }
    }

    fn told(&self, path: &Path) -> Option<&str> {
        match path.to_str()? {
            "/etc/machine-id" => Some(&self.id),
            "/proc/sys/kernel/hostname" => Some(&self.name),
            _ => None,
        }
    }
}

impl Disk for Place {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let Some(told) = self.told(path) else { return RealDisk.open(path) };
        let file = self.dir.join("told");
        fs::write(&file, told)?;
        RealDisk.open(&file)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        RealDisk.open_append(path)
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn OpenFile>> {
        RealDisk.create(path, mode)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        RealDisk.overwrite(path, bytes, offset)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        RealDisk.status(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        RealDisk.real_path(path)
    }

    // Without it only the inode could tell a copy, and a copy may be given the inode of what it replaces.
    fn born(&self, path: &Path) -> io::Result<Option<SystemTime>> {
        RealDisk.born(path)
    }
}

impl Clock for Place {
    fn unix_ms(&self) -> u64 {
        HostClock.unix_ms()
    }

    fn since_boot_ms(&self) -> u64 {
        HostClock.since_boot_ms()
    }

    fn boot_id(&self) -> String {
        self.boot.clone()
    }

    fn state(&self) -> &'static str {
        HostClock.state()
    }
}

fn plan(host: &Host) -> sealtrail::config::plan::Plan {
    sealtrail::config::load(&host.config()).unwrap()
}

/// A start up to the first row.
fn opened(host: &Host, place: &Place) -> Result<Core, RunError> {
    let (plan, here) = (Arc::new(plan(host)), place.host());
    let started = open_trail(&here, &plan, false, Watch::off())?;
    let parts = Parts {
        journal_dir: host.journal(),
        health: Arc::new(Health::new(&plan, 0)),
        head: tokio::sync::watch::channel(started.writer.head()).0,
        host: here,
        plan,
        tail: started.tail,
        writer: started.writer,
        sessions: started.sessions,
        literals_key: started.literals_key,
        wakes: sync_channel(1).1,
        said: sync_channel(1).1,
        stop: Arc::new(AtomicBool::new(false)),
    };
    Ok(Core::new(parts, started.acts))
}

/// A start, a turn and an end.
fn start(host: &Host, place: &Place) -> Result<(), RunError> {
    let mut core = opened(host, place)?;
    core.turn()?;
    core.finish("stopped", false)?;
    Ok(())
}
