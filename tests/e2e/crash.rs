//! `kill -9` at any moment: nothing is lost, nothing is there twice, everything is in order, and the trail verifies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::host::{Host, seed, wait_until};
use crate::trail::{Row, Trail};
use crate::writer::{Writer, Written, assert_complete};

/// Agents killed on one state folder before it is drained and checked.
const KILLS_PER_TRAIL: usize = 10;

#[test]
fn a_killed_agent_loses_no_row_and_takes_none_twice() {
    let runs = std::env::var("SEALTRAIL_CRASH_RUNS").ok().map_or(100, |runs| runs.parse().expect("a number"));
    let mut rng = Rng::with_seed(seed());
    let mut done = Total::default();
    while done.kills < runs {
        let kills = KILLS_PER_TRAIL.min(runs - done.kills);
        done.add(&one_trail(rng.u64(..), kills));
    }
    eprintln!("{done:?}: 0 lost, 0 twice");
    assert!(done.deleted > 0, "no file was deleted: {done:?}");
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Total {
    kills: usize,
    rows: usize,
    files: usize,
    deleted: usize,
}

impl Total {
    fn add(&mut self, other: &Total) {
        self.kills += other.kills;
        self.rows += other.rows;
        self.files += other.files;
        self.deleted += other.deleted;
    }
}

fn one_trail(seed: u64, kills: usize) -> Total {
    let host = Host::empty();
    // Rotated files keep their rows: `*.csv.1` are read like the others.
    let source = format!(
        "[[source]]\nname = \"pg\"\npaths = [\"{0}/*.csv\", \"{0}/*.csv.1\"]\nformat = \"postgres-csvlog\"\n",
        host.log().display()
    );
    host.configure_with("interval = \"10ms\"\nsegment_max_bytes = \"16KiB\"", &source, &host.archive());
    let mut rng = Rng::with_seed(seed);
    let writer = Mutex::new(Writer::new(&host.log(), rng.u64(..)));
    let done = AtomicBool::new(false);
    let mut deleted = 0;
    thread::scope(|scope| {
        let end = Done(&done);
        scope.spawn(|| write_until(&writer, &done));
        for kill in 1..=kills {
            let agent = host.run();
            // From before it has opened its journal to well after it has closed a segment; on a slow machine only the last gets so far.
            thread::sleep(Duration::from_millis(rng.u64(0..400)));
            if kill == kills {
                wait_until("a rotated file to be sealed", || {
                    may_be_deleted(&host, &writer.lock().unwrap()).then_some(())
                });
            }
            agent.kill9();
            host.assert_authentic();
            let sealed = Trail::so_far(&host.journal()).rows();
            deleted += writer.lock().unwrap().delete(|written| is_sealed(written, &sealed));
        }
        drop(end);
    });
    let mut writer = writer.into_inner().unwrap();
    writer.finish();
    let trail = host.drain();
    host.assert_verifies();
    assert_complete(&trail, &writer.files);
    assert_eq!(trail.acts("GAP"), Vec::<&serde_json::Value>::new());
    Total { kills, rows: writer.rows(), files: writer.files.len(), deleted }
}

/// Lets the writer's thread end, also when the test fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write_until(writer: &Mutex<Writer>, done: &AtomicBool) {
    let mut rng = Rng::new();
    while !done.load(Ordering::Relaxed) {
        {
            let mut writer = writer.lock().unwrap();
            writer.append();
            if rng.u32(0..60) == 0 {
                writer.rotate();
            }
        }
        thread::sleep(Duration::from_micros(rng.u64(0..3000)));
    }
}

fn may_be_deleted(host: &Host, writer: &Writer) -> bool {
    let sealed = Trail::so_far(&host.journal()).rows();
    let mut rotated = writer.files.iter().filter(|written| !written.current && written.path.is_some());
    rotated.any(|written| is_sealed(written, &sealed))
}

fn is_sealed(written: &Written, sealed: &std::collections::BTreeMap<String, Vec<Row>>) -> bool {
    let rows = sealed.values().find(|rows| rows[0].session == written.session).map_or(0, Vec::len);
    rows == written.lengths.len()
}
