//! Signals, and two agents on one state folder.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::host::{Host, text};
use crate::writer::{Writer, assert_complete};

#[test]
fn sigterm_under_load_seals_and_ends_within_five_seconds() {
    let host = Host::new();
    let mut writer = Writer::new(&host.log(), 11);
    // A backlog that takes longer to read than it may take to stop.
    (0..20_000).for_each(|_| writer.append());
    let mut agent = host.run();
    agent.wait_ready();
    for _ in 0..100 {
        writer.append();
        thread::sleep(Duration::from_millis(1));
    }
    let (status, took) = agent.term();
    assert!(status.success(), "{status}: {}", host.said());
    assert!(took < Duration::from_secs(5), "{took:?}");
    host.assert_verifies();
    assert_eq!(host.trail().acts("STOPPED").len(), 1);
    writer.finish();
    assert_complete(&host.drain(), &writer.files);
}

#[test]
fn sigterm_ends_within_five_seconds_although_a_destination_never_answers() {
    let collector = crate::collector::Collector::start();
    collector.answer(crate::collector::NEVER);
    let host = Host::empty();
    let http = format!("[[destination]]\nname = \"siem\"\ntype = \"http\"\nurl = \"{}\"\n", collector.url());
    host.configure(&host.source("pg", "*.csv", ""), &http);
    let mut writer = Writer::new(&host.log(), 12);
    (0..100).for_each(|_| writer.append());
    let mut agent = host.run();
    agent.wait_for_rows(10);
    crate::host::wait_until("a request", || (collector.requests() > 0).then_some(()));
    let (status, took) = agent.term();
    assert!(status.success(), "{status}: {}", host.said());
    assert!(took < Duration::from_secs(5), "{took:?}");
    host.assert_verifies();
}

#[test]
fn sighup_says_plainly_that_nothing_is_reloaded() {
    let host = Host::new();
    let mut agent = host.run();
    agent.wait_ready();
    agent.wait_for("the first seal", |trail| !trail.lines.is_empty());
    agent.signal(Signal::HUP);
    agent.wait_for_words("SIGHUP");
    assert!(host.said().contains("not reloaded"), "{}", host.said());
    assert!(agent.is_running());
    agent.stop();
}

#[test]
fn a_second_agent_on_the_same_state_folder_is_refused() {
    let host = Host::new();
    let mut agent = host.run();
    agent.wait_ready();
    let second = host.ask("run", &["--drain"]);
    let said = text(&second.stderr);
    assert_ne!(second.status.code(), Some(0), "{said}");
    assert!(
        said.contains("another agent") && said.contains(host.state().to_str().unwrap()) && said.contains("hint:"),
        "{said}"
    );
    agent.stop();
    host.drain();
}
