//! Agent and far side are stopped and started while the log grows: a collector has every line at least once, a bucket has every segment
//! byte for byte.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::collector::Collector;
use crate::host::{Agent, Host, seed, wait_until};
use crate::s3::{ACCESS_KEY, BUCKET, Door, Kind, S3, SECRET_KEY};
use crate::trail::{self, Trail};
use crate::writer::{Writer, assert_complete};

/// Rounds of an agent's run with the far side going and coming back; `SEALTRAIL_DESTINATION_ROUNDS` asks for more.
fn rounds() -> usize {
    std::env::var("SEALTRAIL_DESTINATION_ROUNDS").ok().map_or(12, |rounds| rounds.parse().expect("a number"))
}

const SEAL: &str = "interval = \"20ms\"\nsegment_max_bytes = \"16KiB\"\nsegment_max_age = \"200ms\"";

#[test]
fn a_collector_that_comes_and_goes_has_every_line_at_least_once() {
    let collector = Collector::start();
    let host = Host::empty();
    let http = format!("[[destination]]\nname = \"collector\"\ntype = \"http\"\nurl = \"{}\"\n", collector.url());
    host.configure_with(SEAL, &host.source("pg", "*.csv", ""), &http);
    let far = RefCell::new(collector);
    let trail = come_and_go(&host, || far.borrow_mut().down(), || far.borrow_mut().up());
    let collector = far.into_inner();

    let taken: HashSet<String> = collector.lines().into_iter().collect();
    for line in journal_lines(&host) {
        assert!(taken.contains(&line), "the collector has not got {line}");
    }
    eprintln!("{} lines, {} taken by the collector", trail.lines.len(), collector.lines().len());
}

#[test]
fn a_required_destination_whose_filter_takes_no_event_gets_the_agents_own_lines_and_lets_segments_go() {
    let collector = Collector::start();
    let host = Host::empty();
    let http = format!(
        "[[destination]]\nname = \"collector\"\ntype = \"http\"\nurl = \"{}\"\nonly = {{ users = [\"nobody\"] }}\ncheckpoints = false\n",
        collector.url()
    );
    host.configure_with("interval = \"20ms\"\nsegment_max_bytes = \"8KiB\"", &host.source("pg", "*.csv", ""), &http);
    let config = fs::read_to_string(host.config()).unwrap();
    fs::write(host.config(), config.replacen("[agent]\n", "[agent]\njournal_max_bytes = \"64KiB\"\n", 1)).unwrap();
    let _agent = host.run();
    let mut writer = Writer::new(&host.log(), 7);
    // Rows of four times what the journal may hold.
    for _ in 0..350 {
        writer.append_random();
        thread::sleep(Duration::from_millis(2));
    }
    // Not `wait_settled`: a pause for room looks like the end from outside, for up to a second.
    wait_until("every row to be sealed and left out", || {
        let status = host.status()?;
        let sealed = status["sources"][0]["rows_sealed"] == 350;
        (sealed && status["destinations"][0]["lines_left_out"].as_u64()? >= 350).then_some(())
    });
    let oldest = trail::segments(&host.journal()).remove(0);
    assert!(!oldest.ends_with("00000000000000000000.ndjson.zst"), "nothing was deleted");
    let lines = collector.lines();
    assert!(!lines.is_empty(), "that the agent has started is for everybody");
    for line in lines {
        assert!(line.contains("\"type\":\"agent\"") && !line.contains("\"action\":\"SEAL\""), "{line}");
    }
}

#[test]
fn s3s_fs_stopped_and_started_has_every_segment_byte_for_byte() {
    let server = RefCell::new(S3::start(Kind::S3s));
    let address = server.borrow().address();
    segments_arrive(address, || server.borrow_mut().down(), || server.borrow_mut().up(), || server.borrow().segments());
}

#[test]
fn moto_behind_a_door_that_shuts_has_every_segment_byte_for_byte() {
    let server = S3::start(Kind::Moto);
    let door = RefCell::new(Door::open(server.address()));
    let address = door.borrow().address;
    segments_arrive(address, || door.borrow_mut().shut(), || door.borrow_mut().reopen(), || server.segments());
}

fn segments_arrive(
    address: std::net::SocketAddr,
    down: impl Fn(),
    up: impl Fn(),
    segments: impl Fn() -> std::collections::BTreeMap<String, Vec<u8>>,
) {
    let host = Host::empty();
    let s3 = format!(
        "[[destination]]\nname = \"bucket\"\ntype = \"s3\"\nbucket = \"{BUCKET}\"\nprefix = \"evidence\"\nregion = \"us-east-1\"\nendpoint = \"http://{address}\"\npath_style = true\naccess_key_id = \"{ACCESS_KEY}\"\nsecret_access_key_file = \"{}\"\n",
        host.dir().join("secret").display()
    );
    fs::write(host.dir().join("secret"), SECRET_KEY).unwrap();
    host.configure_with(SEAL, &host.source("pg", "*.csv", ""), &s3);
    come_and_go(&host, down, up);

    let stored = segments();
    let journal = trail::segments(&host.journal());
    for segment in &journal {
        let name = segment.file_name().unwrap().to_str().unwrap();
        let (first, _) = name.split_once('.').unwrap();
        let object = stored.iter().find(|(key, _)| key.starts_with(first));
        let (_, object) = object.unwrap_or_else(|| panic!("{name} is not in the bucket: {:?}", stored.keys()));
        assert!(*object == fs::read(segment).unwrap(), "{name} is not in the bucket as it is here");
    }
    assert_eq!(stored.len(), journal.len());
    eprintln!("{} segments, byte for byte", journal.len());
}

/// Agent and far side are stopped and started while the log grows; then all is drained, complete and authentic.
fn come_and_go(host: &Host, down: impl Fn(), up: impl Fn()) -> Trail {
    let mut rng = Rng::with_seed(seed());
    let mut writer = Writer::new(&host.log(), rng.u64(..));
    for _ in 0..rounds() {
        let agent = host.run();
        work(&mut writer, &mut rng);
        down();
        work(&mut writer, &mut rng);
        up();
        work(&mut writer, &mut rng);
        end(agent, &mut rng);
    }
    writer.finish();
    let trail = host.drain();
    assert_complete(&trail, &writer.files);
    host.assert_verifies();
    trail
}

/// The log grows for a while.
fn work(writer: &mut Writer, rng: &mut Rng) {
    for _ in 0..rng.u32(1..60) {
        writer.append();
        thread::sleep(Duration::from_millis(rng.u64(0..4)));
    }
    if rng.u32(0..4) == 0 {
        writer.finish();
    }
}

fn end(mut agent: Agent<'_>, rng: &mut Rng) {
    if rng.bool() {
        return agent.kill9();
    }
    agent.wait_ready();
    agent.stop();
}

fn journal_lines(host: &Host) -> Vec<String> {
    let segments = trail::segments(&host.journal());
    let output = std::process::Command::new("zstdcat").args(segments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
