//! A segment is an ordinary file: `zstdcat` makes NDJSON of it, the archive has the same bytes, and `docs/format.md` is enough to
//! compute the root.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::{Host, text};
use crate::trail;
use crate::writer::Writer;

#[test]
fn every_segment_is_ndjson_and_the_archive_has_the_same_bytes() {
    let host = with_rows();
    let segments = trail::segments(&host.journal());
    assert!(segments.len() > 3, "{} segments are too few for this test", segments.len());
    for segment in &segments {
        for line in trail::segment_lines(segment) {
            for field in ["v", "type", "id", "time", "user", "action", "resource", "outcome", "category"] {
                assert!(!line[field].is_null() && line[field] != "", "no {field}: {line}");
            }
        }
    }
    host.trail().assert_ids_unique();
    assert_eq!(contents(&host.archive_dir()), contents(&host.journal()));
    host.assert_verifies();
    let archive = host.verify_path(&host.archive_dir());
    assert_eq!(archive.status.code(), Some(0), "{}", text(&archive.stdout));
}

#[test]
fn thirty_lines_of_python_compute_the_root_from_the_format_alone() {
    let host = with_rows();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format/verify.py");
    let mut segments =
        Command::new("zstdcat").args(trail::segments(&host.journal())).stdout(Stdio::piped()).spawn().unwrap();
    let output = Command::new("python3").arg(script).stdin(segments.stdout.take().unwrap()).output().unwrap();
    segments.wait().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let trail = host.trail();
    let checkpoint = trail.lines.last().unwrap()["checkpoint"].as_str().expect("a trail ends with a checkpoint");
    let root = checkpoint.lines().nth(2).unwrap();
    assert!(text(&output.stdout).contains(root), "{root} is not in {}", text(&output.stdout));
}

#[test]
fn each_line_of_a_segment_is_in_the_order_of_its_file() {
    let host = with_rows();
    let trail = host.trail();
    for (file, rows) in trail.tiled() {
        let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
        assert!(lines.is_sorted(), "{file}: {lines:?}");
    }
}

/// A drained trail of several segments.
fn with_rows() -> Host {
    let host = Host::new();
    let mut writer = Writer::new(&host.log(), 7);
    let mut agent = host.run();
    for number in 1..=20 {
        (0..40).for_each(|_| writer.append());
        (0..4).for_each(|_| writer.append_random());
        agent.wait_for_rows(writer.rows());
        if number % 5 == 0 {
            writer.rotate();
        }
    }
    agent.stop();
    host.drain();
    host
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    trail::segments(dir).iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}
