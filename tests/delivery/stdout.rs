//! What standard output promises: whole lines, in order, whoever reads and however slowly; and that nothing hangs when nobody does.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealtrail::config::plan::StdoutPlan;
use sealtrail::schema::Schema;
use sealtrail::sink::stdout::StdoutSink;
use sealtrail::sink::{Batch, Lines, Refusal, Sink};

use crate::support::journal::{line, lines_of};

/// A pipe holds 64 KiB: this is far more.
const LINES: usize = 3000;

fn plan(timeout: Duration) -> StdoutPlan {
    StdoutPlan { batch_max_bytes: 1 << 20, timeout }
}

fn piped(timeout: Duration) -> (PipeReader, StdoutSink) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, StdoutSink::over(OwnedFd::from(writer), &plan(timeout), Schema::Native).unwrap())
}

fn text() -> String {
    (0..LINES).map(|number| line(number) + "\n").collect()
}

fn batch(text: &str) -> Batch<'_> {
    Batch::Lines(Lines { origin: "o", first: 0, last: LINES as u64 - 1, ndjson: text.as_bytes(), numbers: None })
}

#[tokio::test]
async fn a_slow_reader_gets_every_line_whole() {
    let (mut reader, sink) = piped(Duration::from_secs(30));
    let reading = std::thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 10_000]);
        loop {
            std::thread::sleep(Duration::from_millis(2));
            match reader.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(all).unwrap(),
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    });
    let text = text();
    let accepted = sink.deliver(&batch(&text)).await.unwrap();
    assert_eq!(accepted.bytes, text.len() as u64);
    drop(sink);
    assert!(reading.join().unwrap() == text);
}

#[tokio::test]
async fn a_line_that_was_half_written_is_ended_before_the_next_begins() {
    let (mut reader, sink) = piped(Duration::from_millis(300));
    let text = text();
    let Err(Refusal::Later { why, .. }) = sink.deliver(&batch(&text)).await else { panic!("taken") };
    assert!(why.contains("nobody has read"), "{why}");
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    sink.deliver(&batch(&text)).await.unwrap();
    drop(sink);
    let all = reading.join().unwrap();
    let (first, second) = all.split_at(all.len() - text.len());
    assert!(second == text, "the second delivery is whole");
    assert!(
        first.ends_with('\n') && text.starts_with(first.strip_suffix('\n').unwrap()),
        "the first is a beginning of it"
    );
}

#[tokio::test]
async fn a_reader_that_went_away_stops_with_an_alarm() {
    let (reader, sink) = piped(Duration::from_secs(30));
    drop(reader);
    let Err(Refusal::Stop { why, hint }) = sink.deliver(&batch(&text())).await else { panic!("taken") };
    assert!(why.contains("nobody reads") && hint.contains("start the agent again"), "{why}: {hint}");
    assert!(sink.probe().await.is_err());
}

#[tokio::test]
async fn a_batch_that_is_given_up_leaves_no_thread_that_waits_for_a_reader() {
    let (_reader, sink) = piped(Duration::from_secs(60));
    let text = text();
    let batch = batch(&text);
    assert!(tokio::time::timeout(Duration::from_millis(200), sink.deliver(&batch)).await.is_err());
    let begin = Instant::now();
    // The writer holds standard output as long as it works.
    sink.probe().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn nobody_reads_dev_null() {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let Err(Refusal::Stop { why, .. }) =
        StdoutSink::over(OwnedFd::from(null), &plan(Duration::from_secs(1)), Schema::Native)
    else {
        panic!("taken")
    };
    assert!(why.contains("/dev/null"), "{why}");
}

/// A drain of a log to standard output: what stood there, and the trail, as lines.
fn drained(log: &Path, keys: &str) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let config = dir.path().join("sealtrail.toml");
    let written = format!(
        "[agent]\norigin = \"acme/test/db-1\"\nstate_dir = {state:?}\n[[source]]\nname = \"pg\"\npaths = [{log:?}]\ntimezone = \"UTC\"\n\
         [[destination]]\nname = \"out\"\ntype = \"stdout\"\n{keys}\n"
    );
    std::fs::write(&config, written).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealtrail"));
    let output = command.args(["run", "--drain", "-c"]).arg(&config).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let mut segments: Vec<_> = std::fs::read_dir(state.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".ndjson.zst"))
        .collect();
    segments.sort();
    let trail = segments.iter().flat_map(|path| lines_of(&std::fs::read(path).unwrap())).collect();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.is_empty() || out.ends_with('\n'));
    (out.lines().map(str::to_owned).collect(), trail)
}

fn demo_log() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/pgaudit-15.csv"))
}

#[test]
fn a_drain_writes_every_line_of_the_trail_and_nothing_else() {
    let (out, trail) = drained(demo_log(), "");
    assert!(trail.len() > 10, "{} lines", trail.len());
    assert_eq!(out, trail);
}

#[test]
fn a_filter_sends_what_it_takes_and_holds_nothing_up() {
    let is_event = |line: &str| line.contains("\"type\":\"event\"");
    let is_agents = |line: &str| line.contains("\"type\":\"agent\"") && !line.contains("\"action\":\"SEAL\"");
    for (only, user) in [("nobody", "\"user\":\"nobody\""), ("app", "\"user\":\"app\"")] {
        let (out, trail) = drained(demo_log(), &format!("only = {{ users = [\"{only}\"] }}\ncheckpoints = false"));
        let wanted = |line: &&String| is_agents(line) || is_event(line) && line.contains(user);
        assert_eq!(out, trail.iter().filter(wanted).cloned().collect::<Vec<_>>(), "{only}");
        assert_eq!(out.iter().any(|line| is_event(line)), only == "app");
        assert!(trail.iter().filter(|line| is_event(line)).count() > 30, "the trail holds all of them");
    }
}

#[test]
fn lines_near_and_beyond_every_bound_are_written_whole_and_once() {
    let rows = std::fs::read_to_string(demo_log()).unwrap();
    let row = rows.lines().find(|row| row.contains("SELECT") && row.contains("AUDIT: ")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("large.csv");
    let (batch, pipe) = (256 * 1024, 64 * 1024);
    // A row as large as a batch, a pipe or a page, and one byte more and less; many small ones between them; one that is many batches.
    let sizes = [4096, pipe, batch].into_iter().flat_map(|size| [size - 1, size, size + 1]).chain([3_000_000]);
    let mut text = String::new();
    for size in sizes {
        (0..400).for_each(|_| text.push_str(&format!("{row}\n")));
        text.push_str(&format!("{}\n", row.replacen("SELECT", &format!("SELECT '{}',", "x".repeat(size)), 1)));
    }
    std::fs::write(&log, text).unwrap();
    let (out, trail) = drained(&log, "batch_max_bytes = \"256KiB\"");
    assert!(trail.len() > 4000 && trail.iter().any(|line| line.len() > 3_000_000), "{} lines", trail.len());
    assert!(out == trail, "standard output is not the trail");
}
