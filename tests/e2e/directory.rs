//! The directory of people changes while rows come without a pause: each row is of one version of it, and says of which.
//!
//! Short by default. By hand, as the promise has it: `SEALTRAIL_DIRECTORY_CHANGES=100 SEALTRAIL_DIRECTORY_ROWS_PER_S=10000 cargo test --release --test e2e
//! directory:: -- --nocapture`, eight minutes.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::host::{Host, wait_until};
use crate::trail;

const ACCOUNTS: [&str; 2] = ["app", "web"];

#[test]
fn while_the_directory_changes_every_row_is_of_the_version_that_it_names() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let changes = number("SEALTRAIL_DIRECTORY_CHANGES", 3);
    let rows_per_s = number("SEALTRAIL_DIRECTORY_ROWS_PER_S", 2000);
    let host = Host::empty();
    write_directory(host.dir(), 0);
    let files = ACCOUNTS.map(|account| file_of(host.dir(), account));
    let source = host.source("pg", "*.csv", &format!("timezone = \"UTC\"\n[identity]\nfiles = {files:?}"));
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"1MiB\"", &source, &host.archive());
    fs::write(host.log().join("pg.csv"), row(0)).unwrap();
    let mut agent = host.run();
    agent.wait_ready();
    let log = host.log().join("pg.csv");
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_rows(&log, rows_per_s, &stop));
        for change in 1..=changes {
            write_directory(host.dir(), change);
            wait_until("the changed directory", || {
                let status = host.status()?;
                (status["identity"]["reloads"] == change).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let seconds = begun.elapsed().as_secs_f64();
    wait_until("all rows", || (host.status()?["sources"][0]["rows_sealed"].as_u64()? == written).then_some(()));
    let behind = begun.elapsed().as_secs_f64() - seconds;
    // All lines at once may be more than fits into memory.
    assert!(agent.term().0.success());
    host.assert_verifies();

    let mut round_of: BTreeMap<String, u64> = BTreeMap::new();
    let (mut rows, mut last, mut told) = (0, 0, 0);
    for segment in trail::segments(&host.journal()) {
        for line in trail::segment_lines(&segment) {
            told += u64::from(line["action"] == "DIRECTORY CHANGED");
            if line["type"] != "event" {
                continue;
            }
            rows += 1;
            let (user, identity) = (line["user"].as_str().unwrap(), &line["identity"]);
            let round: u64 = identity["team"].as_str().unwrap().parse().unwrap();
            assert_eq!(line["person"], format!("{user} {round}"), "{line}");
            let version = identity["directory"].as_str().unwrap();
            assert_eq!(*round_of.entry(version.to_owned()).or_insert(round), round, "{line}");
            assert!(round >= last, "an earlier directory came back: {line}");
            last = round;
        }
    }
    let rounds: Vec<u64> = round_of.into_values().collect();
    eprintln!(
        "{rows} rows in {seconds:.0} s, {:.0} a second, all sealed {behind:.1} s later; {changes} changes, rows of {} versions",
        rows as f64 / seconds,
        rounds.len()
    );
    assert_eq!((rows, told), (written, changes));
    let mut sorted = rounds;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..=changes).collect::<Vec<_>>(), "one version a change, each with rows");
}

fn file_of(folder: &Path, account: &str) -> std::path::PathBuf {
    folder.join(format!("{account}-people.csv"))
}

/// Two files: a row of half a version would be seen.
fn write_directory(folder: &Path, round: u64) {
    for account in ACCOUNTS {
        let new = folder.join("new");
        fs::write(&new, format!("account,person,team\n{account},{account} {round},{round}\n")).unwrap();
        fs::rename(&new, file_of(folder, account)).unwrap();
    }
}

/// How many rows are in the log in the end.
fn write_rows(log: &Path, rows_per_s: u64, stop: &AtomicBool) -> u64 {
    let mut log = OpenOptions::new().append(true).open(log).unwrap();
    let (begun, mut written) = (Instant::now(), 1);
    while !stop.load(Ordering::Relaxed) {
        let due = 1 + rows_per_s * begun.elapsed().as_millis() as u64 / 1000;
        let rows: String = (written..due).map(row).collect();
        log.write_all(rows.as_bytes()).unwrap();
        written = written.max(due);
        std::thread::sleep(Duration::from_millis(10));
    }
    written
}

/// Accounts in turn, each in a session of its own.
fn row(number: u64) -> String {
    let (account, line) = (ACCOUNTS[(number % 2) as usize], number / 2 + 1);
    format!(
        "2026-11-20 20:28:31.135 UTC,\"{account}\",\"appdb\",17061,\"10.0.0.1:5000\",6b00ad6f.{},{line},\"SELECT\",2026-11-20 20:28:31 UTC,2/1,0,LOG,00000,\
         \"AUDIT: SESSION,1,1,READ,SELECT,,,SELECT {number},<not logged>\",,,,,,,,,\"\",\"client backend\",,0\n",
        number % 2 + 1
    )
}
