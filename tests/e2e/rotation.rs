//! Files that are renamed, deleted, half written, reused, or that appear later: each row is read once, and in order.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::csvlog::{Row, csv};
use crate::host::Host;
use crate::trail::Trail;

const SESSION: &str = "6b00ab37.2bc2";

pub fn rows(session: &str, lines: std::ops::RangeInclusive<u64>) -> String {
    lines.map(|line| csv(&Row { user: "app", session, line, sql: &format!("SELECT {line}") })).collect()
}

pub fn append(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

/// The lines of a session, in the trail's order.
fn lines(trail: &Trail, session: &str) -> Vec<u64> {
    let of_session = trail.events().filter(|event| event["session"]["id"] == session);
    of_session.map(|event| event["session"]["line"].as_u64().unwrap()).collect()
}

pub fn assert_lines(trail: &Trail, session: &str, expected: std::ops::RangeInclusive<u64>) {
    let (lines, expected) = (lines(trail, session), expected.collect::<Vec<_>>());
    let differs = lines.iter().zip(&expected).position(|(line, expected)| line != expected);
    assert!(
        lines == expected,
        "session {session}: {} of {} lines, first other at {differs:?}",
        lines.len(),
        expected.len()
    );
}

pub fn assert_no_gap(trail: &Trail) {
    assert_eq!(trail.acts("GAP"), Vec::<&Value>::new());
    assert_eq!(trail.unparsed(), 0);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one_and_beyond() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let mut old = append(&path);
    old.write_all(rows("a.1", 1..=10).as_bytes()).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    // All of this happens before the agent looks again.
    agent.signal(Signal::STOP);
    old.write_all(rows("a.1", 11..=20_000).as_bytes()).unwrap();
    fs::rename(&path, host.log().join("pg.csv.1")).unwrap();
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    agent.signal(Signal::CONT);
    let trail = agent.wait_for_rows(20_010);
    let first_new = trail.events().position(|event| event["session"]["id"] == "b.2").unwrap();
    assert_eq!(first_new, 20_000, "rows of the new file came before the old one's end");

    // The server has not reopened its log yet.
    old.write_all(rows("a.1", 20_001..=20_010).as_bytes()).unwrap();
    append(&path).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(20_030);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=20_010);
    assert_lines(&trail, "b.2", 1..=20);
    trail.tiled();
    assert_no_gap(&trail);
    host.assert_verifies();
}

#[test]
fn a_file_that_ends_as_a_segment_begins_leaves_a_trail_that_verifies() {
    let host = Host::new();
    // Each block is about a segment.
    host.configure_with(
        "interval = \"50ms\"\nsegment_max_bytes = \"4KiB\"",
        &host.source("pg", "*.csv", ""),
        &host.archive(),
    );
    let path = host.log().join("pg.csv");
    let whole = rows("a.1", 1..=300);
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(299);
    fs::rename(&path, host.log().join("pg.old")).unwrap();
    // What is left of the file is handed out once it is over; more blocks come behind it.
    agent.wait_for_rows(300);
    fs::write(&path, rows("b.2", 1..=300)).unwrap();
    agent.wait_for_rows(600);
    agent.stop();
    host.assert_verifies();
}

#[test]
fn a_file_cut_in_place_and_written_anew_beyond_the_old_end_is_a_new_file() {
    for running in [true, false] {
        let host = Host::new();
        let path = host.log().join("pg.csv");
        fs::write(&path, rows("a.1", 1..=50)).unwrap();
        let mut agent = host.run();
        agent.wait_for_rows(50);
        let trail = if running {
            // Cut and written again at once: same path, same inode, and longer than what was read.
            fs::write(&path, rows("b.2", 1..=500)).unwrap();
            agent.wait_for_rows(550);
            agent.stop()
        } else {
            agent.stop();
            fs::write(&path, rows("b.2", 1..=500)).unwrap();
            host.drain()
        };
        assert_lines(&trail, "a.1", 1..=50);
        assert_lines(&trail, "b.2", 1..=500);
        assert_eq!(trail.unparsed(), 0);
        assert_eq!(trail.acts("GAP").len() + trail.acts("FILE CUT").len(), 1);
        host.assert_authentic();
    }
}

#[test]
fn timestamped_files_are_read_as_they_appear() {
    let host = Host::new();
    let mut agent = host.run();
    agent.wait_ready();
    for number in 1..=20 {
        let path = host.log().join(format!("postgresql-2026-11-20_{number:06}.csv"));
        fs::write(path, rows(&format!("a.{number}"), 1..=5)).unwrap();
        agent.wait_for_rows(5 * number);
    }
    let trail = agent.stop();
    trail.tiled();
    assert_no_gap(&trail);
    host.assert_verifies();
}

#[test]
fn a_file_deleted_before_its_end_was_read_is_read_through_the_open_handle() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let mut old = append(&path);
    old.write_all(rows("a.1", 1..=10).as_bytes()).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    agent.signal(Signal::STOP);
    old.write_all(rows("a.1", 11..=5_000).as_bytes()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    agent.signal(Signal::CONT);
    agent.wait_for_rows(5_010);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=5_000);
    assert_lines(&trail, "b.2", 1..=10);
    trail.tiled();
    assert_no_gap(&trail);
}

#[test]
fn a_half_written_record_waits_for_its_rest_across_restarts() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let all = rows(SESSION, 1..=3);
    // Cuts in a time, in the middle of a quoted text, between a quote and its twin, and before the newline.
    let last = csv(&Row { user: "app", session: SESSION, line: 4, sql: "SELECT '\"\n2026-11-20 20:19:03.841 UTC,'" });
    let quote = last.find("\"\"").unwrap() + 1;
    fs::write(&path, &all).unwrap();
    let mut done = 0;
    for cut in [10, quote, quote + 40, last.len() - 1] {
        append(&path).write_all(&last.as_bytes()[done..cut]).unwrap();
        done = cut;
        let mut agent = host.run();
        // A row of another file that comes later is sealed: so the half one was looked at.
        fs::write(host.log().join(format!("other-{cut}.csv")), rows(&format!("f.{cut:x}"), 1..=1)).unwrap();
        agent.wait_for(&format!("the file beside cut {cut}"), |trail| !lines(trail, &format!("f.{cut:x}")).is_empty());
        assert_lines(&agent.stop(), SESSION, 1..=3);
    }
    append(&path).write_all(&last.as_bytes()[done..]).unwrap();
    let trail = host.drain();
    assert_lines(&trail, SESSION, 1..=4);
    trail.tiled();
    assert_no_gap(&trail);
    host.assert_verifies();
}

#[test]
fn another_file_with_the_same_inode_is_a_new_file() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    assert_lines(&host.drain(), "a.1", 1..=10);
    // Overwritten in place: the inode is the same and the bytes are not, which is what a reused inode is. The new file is longer, so its
    // length tells nothing.
    fs::write(&path, rows("b.2", 1..=30)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    let trail = host.drain();
    assert_lines(&trail, "a.1", 1..=10);
    assert_lines(&trail, "b.2", 1..=30);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn a_file_of_twenty_bytes_is_known_again_when_it_has_grown() {
    let host = Host::empty();
    host.configure(&host.source("pg", "*.csv", "format = \"postgres-csvlog\""), &host.archive());
    let path = host.log().join("pg.csv");
    let all = rows(SESSION, 1..=5);
    fs::write(&path, &all[..20]).unwrap();
    assert_eq!(host.drain().events().count(), 0);
    append(&path).write_all(&all.as_bytes()[20..]).unwrap();
    assert_lines(&host.drain(), SESSION, 1..=5);
    // Twenty bytes that are no record: what they are can be said when a record follows them.
    let small = host.log().join("small.csv");
    fs::write(&small, "nineteen characters\n").unwrap();
    host.drain();
    append(&small).write_all(rows("b.2", 1..=3).as_bytes()).unwrap();
    let trail = host.drain();
    assert_lines(&trail, "b.2", 1..=3);
    assert_eq!((trail.events().count(), trail.unparsed()), (9, 1));
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn what_is_excluded_is_not_read() {
    let host = Host::empty();
    let exclude = format!("exclude = [\"{}/debug-*.csv\"]", host.log().display());
    host.configure(&host.source("pg", "*.csv", &exclude), &host.archive());
    fs::write(host.log().join("pg.csv"), rows("a.1", 1..=3)).unwrap();
    fs::write(host.log().join("debug-1.csv"), rows("b.2", 1..=3)).unwrap();
    fs::write(host.log().join("pg.log"), rows("c.3", 1..=3)).unwrap();
    let trail = host.drain();
    assert_lines(&trail, "a.1", 1..=3);
    assert_eq!(trail.events().count(), 3);
}

#[test]
fn start_at_end_skips_what_was_there_and_nothing_else() {
    let host = Host::empty();
    host.configure(&host.source("pg", "*.csv", "start_at = \"end\""), &host.archive());
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    // It may stop before it has seen one row.
    assert_eq!(host.drain().events().count(), 0);
    append(&path).write_all(rows("a.1", 11..=15).as_bytes()).unwrap();
    fs::write(host.log().join("new.csv"), rows("b.2", 1..=4)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(9);
    append(&path).write_all(rows("a.1", 16..=17).as_bytes()).unwrap();
    agent.wait_for_rows(11);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 11..=17);
    assert_lines(&trail, "b.2", 1..=4);
    assert_no_gap(&trail);
}

#[test]
fn a_file_renamed_while_the_agent_was_down_is_read_on() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let mut old = append(&path);
    old.write_all(rows("a.1", 1..=10).as_bytes()).unwrap();
    assert_lines(&host.drain(), "a.1", 1..=10);
    old.write_all(rows("a.1", 11..=15).as_bytes()).unwrap();
    fs::rename(&path, host.log().join("pg.csv.1")).unwrap();
    fs::write(&path, rows("b.2", 1..=5)).unwrap();
    let trail = host.drain();
    assert_lines(&trail, "a.1", 1..=15);
    assert_lines(&trail, "b.2", 1..=5);
    trail.tiled();
    assert_no_gap(&trail);
    // Renamed once more, and again nothing is read twice.
    fs::rename(host.log().join("pg.csv.1"), host.log().join("pg.csv.2")).unwrap();
    assert_eq!(host.drain().events().count(), 20);
    host.assert_verifies();
}

#[test]
fn a_file_in_a_folder_that_appears_later_is_found() {
    let host = Host::empty();
    host.configure(&host.source("pg", "cluster-*/pg.csv", ""), &host.archive());
    let mut agent = host.run();
    agent.wait_ready();
    let folder = host.log().join("cluster-1");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("pg.csv"), rows("a.1", 1..=5)).unwrap();
    agent.wait_for_rows(5);
    append(&folder.join("pg.csv")).write_all(rows("a.1", 6..=8).as_bytes()).unwrap();
    agent.wait_for_rows(8);
    assert_lines(&agent.stop(), "a.1", 1..=8);
}

#[test]
fn a_copy_is_read_once_and_a_file_that_only_begins_alike_has_an_id_of_its_own() {
    let host = Host::new();
    let path = |name: &str| host.log().join(name);
    fs::write(path("a.csv"), rows("a.1", 1..=3)).unwrap();
    fs::copy(path("a.csv"), path("b.csv")).unwrap();
    assert_eq!(host.drain().events().count(), 3);
    // One goes out of sight, and another file comes that begins with the same row.
    fs::rename(path("a.csv"), path("a.csv.1")).unwrap();
    fs::write(path("c.csv"), rows("a.1", 1..=1) + &rows("b.2", 1..=3)).unwrap();
    let trail = host.drain();
    assert_lines(&trail, "b.2", 1..=3);
    assert_eq!(trail.events().count(), 7);
    trail.tiled();
    append(&path("a.csv.1")).write_all(rows("a.1", 4..=5).as_bytes()).unwrap();
    // What was a copy goes on by itself: it is a log of its own.
    append(&path("b.csv")).write_all(rows("c.3", 1..=2).as_bytes()).unwrap();
    let trail = host.drain();
    assert_eq!(trail.events().count(), 14);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn a_file_that_was_copied_and_cut_goes_on_in_its_copy_under_the_same_id() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let mut log = append(&path);
    log.write_all(rows("a.1", 1..=10).as_bytes()).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    // logrotate's copytruncate, with rows that nobody has read yet.
    agent.signal(Signal::STOP);
    log.write_all(rows("a.1", 11..=20_000).as_bytes()).unwrap();
    fs::copy(&path, host.log().join("pg.csv.1")).unwrap();
    log.set_len(0).unwrap();
    log.write_all(rows("b.2", 1..=10).as_bytes()).unwrap();
    agent.signal(Signal::CONT);
    agent.wait_for_rows(20_010);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=20_000);
    assert_lines(&trail, "b.2", 1..=10);
    let ids: std::collections::BTreeSet<&str> =
        trail.events().map(|event| event["id"].as_str().unwrap().split_once(':').unwrap().0).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_eq!(trail.acts("FILE CUT").len(), 1);
    assert_no_gap(&trail);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn a_file_that_was_renamed_and_compressed_while_nobody_looked_is_read_on_in_the_archive() {
    for packer in ["gzip", "zstd"] {
        let host = Host::new();
        // The patterns match the archive too: it is the same log all the same.
        host.configure(&host.source("pg", "pg.csv*", ""), &host.archive());
        let path = host.log().join("pg.csv");
        fs::write(&path, rows("a.1", 1..=100)).unwrap();
        host.drain();
        append(&path).write_all(rows("a.1", 101..=5_000).as_bytes()).unwrap();
        fs::rename(&path, host.log().join("pg.csv.1")).unwrap();
        pack(packer, &host.log().join("pg.csv.1"));
        fs::write(&path, rows("b.2", 1..=10)).unwrap();
        for _ in 0..2 {
            let trail = host.drain();
            assert_lines(&trail, "a.1", 1..=5_000);
            assert_lines(&trail, "b.2", 1..=10);
            assert_no_gap(&trail);
            trail.tiled();
        }
        host.assert_verifies();
    }
}

#[test]
fn a_file_that_is_compressed_after_it_was_read_is_not_read_again() {
    let host = Host::new();
    host.configure(&host.source("pg", "pg.csv*", ""), &host.archive());
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=100)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(100);
    fs::rename(&path, host.log().join("pg.csv.1")).unwrap();
    pack("gzip", &host.log().join("pg.csv.1"));
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    // The old file's handle is let go of ten seconds after it was deleted; only then is the archive asked who it is.
    agent.wait_for_words("the same log in another file");
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=100);
    assert_lines(&trail, "b.2", 1..=10);
    assert_no_gap(&trail);
    let trail = host.drain();
    assert_lines(&trail, "a.1", 1..=100);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn what_was_cut_away_before_it_could_be_read_is_told_from_where_to_where() {
    let host = Host::new();
    let path = host.log().join("pg.csv");
    let mut log = append(&path);
    log.write_all(rows("a.1", 1..=100).as_bytes()).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(100);
    let read = fs::metadata(&path).unwrap().len();
    log.write_all(&rows("a.1", 101..=101).as_bytes()[..50]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    log.set_len(0).unwrap();
    log.write_all(rows("b.2", 1..=5).as_bytes()).unwrap();
    agent.wait_for_rows(106);
    let trail = agent.stop();
    // The half row was read, and is kept as what it is.
    assert_eq!(trail.unparsed(), 1);
    let cut = trail.acts("FILE CUT");
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0]["gap"]["from"], read + 50);
    assert_lines(&trail, "b.2", 1..=5);
    trail.tiled();
    host.assert_verifies();
}

#[test]
fn a_file_moved_to_another_watched_folder_is_read_on_there() {
    for running in [true, false] {
        let host = Host::new();
        let other = host.log().join("old");
        fs::create_dir(&other).unwrap();
        let both = format!("\"{}\", \"{}\"", host.log().join("*.csv").display(), other.join("*.csv").display());
        host.configure(&format!("[[source]]\nname = \"pg\"\npaths = [{both}]\n"), &host.archive());
        let path = host.log().join("pg.csv");
        fs::write(&path, rows("a.1", 1..=100)).unwrap();
        let mut agent = host.run();
        agent.wait_for_rows(100);
        let mut agent = Some(agent).filter(|_| running);
        fs::rename(&path, other.join("pg-1.csv")).unwrap();
        append(&other.join("pg-1.csv")).write_all(rows("a.1", 101..=200).as_bytes()).unwrap();
        let trail = agent.as_mut().map(|agent| agent.wait_for_rows(200)).unwrap_or_else(|| host.drain());
        assert_lines(&trail, "a.1", 1..=200);
        assert_no_gap(&trail);
    }
}

#[test]
fn a_file_with_two_names_is_read_once_and_a_link_that_is_moved_leads_to_another() {
    let host = Host::new();
    let real = host.log().join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("one"), rows("a.1", 1..=10)).unwrap();
    fs::write(real.join("two"), rows("b.2", 1..=10)).unwrap();
    let link = host.log().join("current.csv");
    std::os::unix::fs::symlink(real.join("one"), &link).unwrap();
    fs::hard_link(real.join("one"), host.log().join("hard.csv")).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    fs::remove_file(host.log().join("hard.csv")).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(real.join("two"), &link).unwrap();
    append(&real.join("one")).write_all(rows("a.1", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(30);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=20);
    assert_lines(&trail, "b.2", 1..=10);
    assert_no_gap(&trail);
    host.assert_verifies();
}

#[test]
fn files_that_were_born_and_rotated_away_while_nobody_looked_are_read() {
    for running in [true, false] {
        let host = Host::new();
        let path = host.log().join("pg.csv");
        let rotated = |number: u32| host.log().join(format!("pg.csv.{number}"));
        // Older than the agent, and matched by nothing: none of its business.
        fs::write(rotated(1), rows("0ld.1", 1..=10)).unwrap();
        fs::write(host.log().join("other.csv.1"), rows("0.0", 1..=10)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, rows("a.1", 1..=100)).unwrap();
        let mut agent = host.run();
        agent.wait_for_rows(100);
        let mut agent = if running {
            agent.signal(Signal::STOP);
            Some(agent)
        } else {
            agent.kill9();
            None
        };
        append(&path).write_all(rows("a.1", 101..=200).as_bytes()).unwrap();
        // As server_audit does it: everything moves up by one.
        for session in ["b.2", "c.3", "d.4"] {
            for number in (1..5).rev().filter(|number| rotated(*number).exists()) {
                fs::rename(rotated(number), rotated(number + 1)).unwrap();
            }
            fs::rename(&path, rotated(1)).unwrap();
            fs::write(&path, rows(session, 1..=50)).unwrap();
        }
        let trail = match &mut agent {
            Some(agent) => {
                agent.signal(Signal::CONT);
                agent.wait_for_rows(350)
            }
            None => host.drain(),
        };
        assert_lines(&trail, "a.1", 1..=200);
        for session in ["b.2", "c.3", "d.4"] {
            assert_lines(&trail, session, 1..=50);
        }
        assert_eq!(trail.events().count(), 350);
        assert_no_gap(&trail);
    }
}

fn pack(packer: &str, path: &Path) {
    let args: &[&str] = if packer == "zstd" { &["-q", "--rm"] } else { &["-q"] };
    assert!(std::process::Command::new(packer).args(args).arg(path).status().unwrap().success());
}
