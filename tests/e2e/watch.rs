//! Where the kernel cannot tell what changes: its queue is full, no watch is left, a folder is not the one that was watched.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Signal;

use crate::host::{Agent, Host, wait_until};
use crate::namespace;
use crate::rotation::{append, assert_lines, assert_no_gap, rows};

#[test]
fn rows_and_rotations_whose_events_were_lost_are_read_once() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    agent.signal(Signal::STOP);
    // Each name that comes and goes is several events; the queue is full when the log changes.
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for _ in 0..queue {
        File::create(host.log().join("noise")).unwrap();
        fs::remove_file(host.log().join("noise")).unwrap();
    }
    append(&path).write_all(rows("a.1", 11..=500).as_bytes()).unwrap();
    for session in ["b.2", "c.3", "d.4"] {
        fs::rename(&path, host.log().join(format!("pg-before-{session}.csv"))).unwrap();
        fs::write(&path, rows(session, 1..=100)).unwrap();
    }
    fs::write(host.log().join("late.csv"), rows("e.5", 1..=100)).unwrap();
    agent.signal(Signal::CONT);
    agent.wait_for_words("the kernel lost count of what changes");
    agent.wait_for_rows(900);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=500);
    for session in ["b.2", "c.3", "d.4", "e.5"] {
        assert_lines(&trail, session, 1..=100);
    }
    assert_no_gap(&trail);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn where_no_watch_is_left_folders_are_looked_at_and_that_is_said_once() {
    if namespace::with_limits("watch::where_no_watch_is_left_folders_are_looked_at_and_that_is_said_once") {
        fs::write("/proc/sys/user/max_inotify_watches", "3").unwrap();
        let host = Host::new();
        let said = read_many_folders(&host, "no inotify watches left: raise fs.inotify.max_user_watches");
        assert_eq!(said, 3, "three may be watched");
    }
}

#[test]
fn where_nothing_can_be_watched_everything_is_looked_at_and_that_is_said_once() {
    if namespace::with_limits("watch::where_nothing_can_be_watched_everything_is_looked_at_and_that_is_said_once") {
        fs::write("/proc/sys/user/max_inotify_instances", "0").unwrap();
        let host = Host::new();
        let watched = read_many_folders(&host, "raise fs.inotify.max_user_instances");
        assert_eq!(watched, 0);
    }
}

/// Rows, new files and rotations in more folders than can be watched. Returns how many are watched.
fn read_many_folders(host: &Host, words: &str) -> u64 {
    const FOLDERS: usize = 20;
    host.configure(&host.source("pg", "*/*.csv", ""), &host.archive());
    poll_fast(host);
    let folder = |number: usize| host.log().join(format!("{number}"));
    for number in 0..FOLDERS {
        fs::create_dir(folder(number)).unwrap();
        fs::write(folder(number).join("pg.csv"), rows(&format!("a.{number}"), 1..=10)).unwrap();
    }
    let mut agent = host.run();
    agent.wait_for_rows(10 * FOLDERS);
    for number in 0..FOLDERS {
        let path = folder(number).join("pg.csv");
        append(&path).write_all(rows(&format!("a.{number}"), 11..=20).as_bytes()).unwrap();
        fs::rename(&path, folder(number).join("pg-old.csv")).unwrap();
        fs::write(&path, rows(&format!("b.{number}"), 1..=10)).unwrap();
    }
    agent.wait_for_rows(30 * FOLDERS);
    let status = host.status().unwrap();
    let folders = &status["folders"];
    assert!(folders["problem"].as_str().unwrap().contains(words), "{folders}");
    let (watched, polled) = (folders["watched"].as_u64().unwrap(), folders["polled"].as_u64().unwrap());
    assert_eq!(watched + polled, FOLDERS as u64 + 1, "and the one above them");
    assert_eq!(watched as usize, watched_inodes(&agent).len());
    assert_eq!(status["not_ready"].as_array().unwrap().len(), 0);
    let trail = agent.stop();
    for number in 0..FOLDERS {
        assert_lines(&trail, &format!("a.{number}"), 1..=20);
        assert_lines(&trail, &format!("b.{number}"), 1..=10);
    }
    assert_no_gap(&trail);
    assert_eq!(host.said().matches(words).count(), 1, "{}", host.said());
    host.assert_verifies();
    watched
}

#[test]
fn a_folder_that_takes_anothers_place_is_watched() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    let mut old = append(&path);
    fs::rename(host.log(), host.dir().join("log.old")).unwrap();
    fs::create_dir(host.log()).unwrap();
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    let ino = fs::metadata(host.log()).unwrap().ino();
    wait_until("the new folder to be watched", || watched_inodes(&agent).contains(&ino).then_some(()));
    old.write_all(rows("a.1", 11..=20).as_bytes()).unwrap();
    append(&path).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(40);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=20);
    assert_lines(&trail, "b.2", 1..=20);
    assert_no_gap(&trail);
}

/// What is looked at on a timer is looked at often.
pub fn poll_fast(host: &Host) {
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replacen("[seal]", "poll_interval = \"100ms\"\n[seal]", 1)).unwrap();
}

/// The inodes that the kernel watches for the agent.
pub fn watched_inodes(agent: &Agent<'_>) -> Vec<u64> {
    let process = Path::new("/proc").join(agent.pid().to_string());
    let mut inodes = Vec::new();
    for entry in fs::read_dir(process.join("fdinfo")).unwrap() {
        // Handles come and go.
        let info = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let watches = info.lines().filter(|line| line.starts_with("inotify "));
        let inode = watches.filter_map(|line| line.split(' ').find_map(|field| field.strip_prefix("ino:")));
        inodes.extend(inode.map(|ino| u64::from_str_radix(ino, 16).unwrap()));
    }
    inodes
}
