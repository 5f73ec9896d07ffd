//! Large archives: nobody waits for them, and each row in them is read once, wherever reading was interrupted.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::csvlog::{Row, csv};
use crate::host::Host;
use crate::rotation::{append, assert_lines, assert_no_gap, rows};
use crate::trail::Trail;

/// More than a turn unpacks, several times.
const ROWS: u64 = 600;

fn large_rows(session: &str) -> String {
    let sql = |line: u64| format!("SELECT {line}, '{}'", "0123456789".repeat(1000));
    (1..=ROWS).map(|line| csv(&Row { user: "app", session, line, sql: &sql(line) })).collect()
}

fn pack(packer: &[&str], path: &Path) {
    assert!(Command::new(packer[0]).args(&packer[1..]).arg(path).status().unwrap().success());
}

const PACKERS: [&[&str]; 2] = [&["gzip", "-q"], &["zstd", "-q", "--rm"]];

#[test]
fn a_live_log_does_not_wait_for_an_archive_that_was_never_seen() {
    for packer in PACKERS {
        let host = Host::empty();
        // The archive's source has its turn first.
        let sources = format!("{}{}", host.source("old", "old.csv*", ""), host.source("live", "live.csv", ""));
        host.configure(&sources, &host.archive());
        fs::write(host.log().join("old.csv.1"), large_rows("a.1")).unwrap();
        pack(packer, &host.log().join("old.csv.1"));
        fs::write(host.log().join("live.csv"), rows("b.2", 1..=10)).unwrap();
        let trail = host.drain();
        assert_lines(&trail, "a.1", 1..=ROWS);
        assert_lines(&trail, "b.2", 1..=10);
        let first = |session: &str| trail.events().position(|event| event["session"]["id"] == session).unwrap();
        assert!(first("b.2") < first("a.1"), "the live log waited until the archive was looked through");
        assert_no_gap(&trail);
        trail.tiled();
        host.assert_verifies();
    }
}

#[test]
fn an_archive_is_read_once_however_often_reading_it_is_interrupted() {
    for packer in PACKERS {
        let host = Host::new();
        host.configure(&host.source("pg", "pg.csv*", ""), &host.archive());
        let path = host.log().join("pg.csv");
        fs::write(&path, large_rows("a.1")).unwrap();
        // Some of it is read before it is packed, some of it between two kills.
        for _ in 0..2 {
            let before = seen(&Trail::so_far(&host.journal()));
            let mut agent = host.run();
            // On a slow machine it may have read all of them before anybody noticed.
            agent.wait_for("more rows", |trail| seen(trail) > before || seen(trail) == ROWS as usize);
            agent.kill9();
            if path.exists() && !host.log().join("pg.csv.1").exists() {
                fs::rename(&path, host.log().join("pg.csv.1")).unwrap();
                pack(packer, &host.log().join("pg.csv.1"));
            }
        }
        fs::write(&path, rows("b.2", 1..=10)).unwrap();
        let mut agent = host.run();
        agent.wait_for_rows(ROWS as usize + 10);
        append(&path).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
        agent.wait_for_rows(ROWS as usize + 20);
        let trail = agent.stop();
        assert_lines(&trail, "a.1", 1..=ROWS);
        assert_lines(&trail, "b.2", 1..=20);
        assert_no_gap(&trail);
        trail.tiled();
        // Nothing of it is looked through again.
        assert_lines(&host.drain(), "a.1", 1..=ROWS);
        host.assert_verifies();
    }
}

fn seen(trail: &Trail) -> usize {
    let ids: BTreeSet<&str> = trail.events().filter_map(|event| event["id"].as_str()).collect();
    ids.len()
}
