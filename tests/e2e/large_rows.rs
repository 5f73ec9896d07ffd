//! Rows larger than any memory, and holes of zeros: one line each, whatever happens while they are read.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::csvlog::{Row, csv};
use crate::host::{Agent, Host, wait_until};
use crate::trail::Trail;

const MIB: usize = 1 << 20;

/// What the agent may need, with room for a debug build.
const MEMORY_MAX_KIB: u64 = 96 * 1024;

fn rows(lines: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    lines.flat_map(|line| row(line, &format!("SELECT {line}"))).collect()
}

fn row(line: u64, sql: &str) -> Vec<u8> {
    csv(&Row { user: "app", session: "a.1", line, sql }).into_bytes()
}

/// A row of about this size, in which every byte counts.
fn large_row(line: u64, bytes: usize) -> Vec<u8> {
    let values: Vec<String> = (0..bytes / 16).map(|number| format!("({number:07},\"v\"),\n")).collect();
    row(line, &format!("INSERT INTO t VALUES {}", values.concat()))
}

/// The most memory that it has had.
fn peak_kib(agent: &Agent<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

/// Every range that a seal tells of has the hash of the file's bytes, and the ranges tile the file.
fn assert_seals_match(trail: &Trail, log: &[u8]) {
    let mut end = 0;
    for seal in trail.acts("SEAL") {
        for range in seal["seal"]["files"].as_array().unwrap() {
            let at = |key: &str| usize::try_from(range[key].as_u64().unwrap()).unwrap();
            assert_eq!(at("from"), end);
            end = at("to");
            let hash: String = Sha256::digest(&log[at("from")..end]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(range["sha256"], hash, "{range}");
        }
    }
    assert_eq!(end, log.len());
}

fn lines(trail: &Trail) -> Vec<u64> {
    trail.events().filter_map(|event| event["session"]["line"].as_u64()).collect()
}

fn flagged<'t>(trail: &'t Trail, flag: &str) -> Vec<&'t Value> {
    let has = |event: &&Value| event["flags"].as_array().is_some_and(|flags| flags.iter().any(|word| word == flag));
    trail.events().filter(has).collect()
}

#[test]
fn a_row_of_50_mb_is_one_line_and_fills_no_memory() {
    let host = Host::new();
    let log = [rows(1..=10), large_row(11, 50 * MIB), rows(12..=20)].concat();
    fs::write(host.log().join("pg.csv"), &log).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(20);
    let peak = peak_kib(&agent);
    eprintln!("peak memory: {peak} KiB");
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    let trail = agent.stop();
    assert_eq!(lines(&trail), (1..=20).collect::<Vec<_>>());
    let [oversize] = flagged(&trail, "oversize")[..] else { panic!("not one") };
    let told = ["user", "action", "resource", "time"].map(|field| oversize[field].as_str().unwrap());
    assert_eq!(told, ["app", "SELECT", "appdb.t", "2026-11-20T20:19:03.841Z"]);
    assert_eq!(oversize["oversize"]["length"], oversize["at"]["length"]);
    assert!(oversize.to_string().len() < MIB);
    trail.tiled();
    assert_seals_match(&trail, &log);
    host.assert_verifies();
}

#[test]
fn killed_again_and_again_while_a_large_row_goes_by_it_is_there_once() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let log = [rows(1..=10), large_row(11, 20 * MIB), rows(12..=20)].concat();
    let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
    for piece in log.chunks(log.len() / 8) {
        file.write_all(piece).unwrap();
        let agent = host.run();
        // Long enough to read on, and not to be done with all of it each time.
        thread::sleep(Duration::from_millis(300));
        agent.kill9();
    }
    let trail = host.drain();
    assert_eq!(lines(&trail), (1..=20).collect::<Vec<_>>());
    assert_eq!(flagged(&trail, "oversize").len(), 1);
    trail.tiled();
    assert_seals_match(&trail, &log);
    host.assert_verifies();
}

#[test]
fn rows_of_other_files_are_sealed_while_a_large_row_is_being_written() {
    let host = Host::new();
    let large = large_row(1, 12 * MIB);
    let mut file = File::create(host.log().join("pg.csv")).unwrap();
    file.write_all(&rows(1..=3)).unwrap();
    file.write_all(&large[..10 * MIB]).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(3);
    fs::write(host.log().join("other.csv"), csv(&Row { user: "app", session: "b.2", line: 1, sql: "SELECT 1" }))
        .unwrap();
    agent.wait_for_rows(4);
    file.write_all(&large[10 * MIB..]).unwrap();
    let trail = agent.wait_for_rows(5);
    trail.tiled();
    agent.stop();
    host.assert_verifies();
}

#[test]
fn a_hole_left_by_a_writer_that_does_not_append_is_one_line() {
    const HOLE: u64 = 1 << 30;
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let file = File::create(&path).unwrap();
    file.write_all_at(&rows(1..=10), HOLE).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(11);
    let peak = peak_kib(&agent);
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    let trail = agent.stop();
    let [zeros] = flagged(&trail, "zeros")[..] else { panic!("not one") };
    assert_eq!(zeros["at"]["length"], HOLE);
    assert_eq!(lines(&trail), (1..=10).collect::<Vec<_>>());
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn zeros_at_the_end_of_a_file_wait_and_may_become_rows() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let (first, second) = (rows(1..=10), rows(11..=12));
    fs::write(&path, &first).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    // The length is there before the bytes are.
    let length = (first.len() + second.len()) as u64;
    file.set_len(length).unwrap();
    thread::sleep(Duration::from_millis(300));
    file.write_all_at(&second, first.len() as u64).unwrap();
    agent.wait_for_rows(12);
    // A power cut: half a row, and zeros where the rest should be.
    let torn = row(13, "SELECT 13");
    file.write_all_at(&torn[..100], length).unwrap();
    file.set_len(length + 100 + 5000).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(Trail::so_far(&host.journal()).events().count(), 12);
    file.write_all_at(&rows(14..=15), length + 100 + 5000).unwrap();
    let trail = agent.wait_for_rows(16);
    assert_eq!(lines(&trail), [(1..=12).collect::<Vec<_>>(), vec![14, 15]].concat());
    assert_eq!((flagged(&trail, "zeros").len(), flagged(&trail, "damaged").len()), (1, 1));
    agent.stop();
    let trail = host.drain();
    trail.tiled();
    assert_seals_match(&trail, &fs::read(&path).unwrap());
    // Of the torn row the bytes are there, and its number is missing.
    let gaps = trail.acts("GAP");
    assert_eq!(gaps.len(), 1);
    assert_eq!((&gaps[0]["gap"]["from"], &gaps[0]["gap"]["to"]), (&Value::from(13), &Value::from(13)));
    host.assert_authentic();
}

#[test]
fn a_file_that_ends_in_zeros_is_done_with_when_it_is_gone() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows(1..=10)).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    fs::remove_file(&path).unwrap();
    let trail = agent.wait_for_rows(11);
    assert_eq!(flagged(&trail, "zeros").len(), 1);
    wait_until("the file to end", || {
        let trail = Trail::so_far(&host.journal());
        let ended = trail.acts("SEAL").iter().any(|seal| seal["seal"]["files"][0]["ended"] == true);
        ended.then_some(())
    });
    agent.stop();
    host.assert_verifies();
}
