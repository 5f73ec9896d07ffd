//! Reading a trail with `zstdcat` and `serde_json`: nothing of the agent's own code.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// All lines of a trail, in order.
pub struct Trail {
    pub lines: Vec<Value>,
}

/// A row's place in its file, and in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub offset: u64,
    pub length: u64,
    pub session: String,
    pub line: u64,
}

impl Trail {
    /// A trail that nobody writes to: every byte of every segment decodes.
    pub fn read(journal: &Path) -> Self {
        Trail { lines: segments(journal).iter().flat_map(|path| segment_lines(path)).collect() }
    }

    /// As far as it is whole now: the last block may be half written, and a start would cut it off.
    pub fn so_far(journal: &Path) -> Self {
        let mut lines = Vec::new();
        for path in segments(journal) {
            let (output, whole) = zstdcat(&path);
            let end = output.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let mut found = parse_lines(&output[..end], &path);
            if !whole {
                // What is torn may lack as little as its checksum.
                cut_last_block(&mut found);
            }
            cut_unfinished(&mut found);
            lines.extend(found);
        }
        Trail { lines }
    }

    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| line["type"] == "event")
    }

    /// The agent's own lines of one kind: `GAP`, `RECOVERED`, …
    pub fn acts(&self, action: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["type"] == "agent" && line["action"] == action).collect()
    }

    pub fn unparsed(&self) -> usize {
        self.events().filter(|event| event["category"] == "unparsed").count()
    }

    /// Rows by file id, in the trail's order.
    pub fn rows(&self) -> BTreeMap<String, Vec<Row>> {
        let mut files: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for event in self.events() {
            let (file, offset) = event["id"].as_str().unwrap().split_once(':').unwrap();
            let at = &event["at"];
            assert_eq!(at["offset"].as_u64().unwrap().to_string(), offset, "id and place differ: {event}");
            files.entry(file.to_owned()).or_default().push(Row {
                offset: at["offset"].as_u64().unwrap(),
                length: at["length"].as_u64().unwrap(),
                session: event["session"]["id"].as_str().unwrap_or_default().to_owned(),
                line: event["session"]["line"].as_u64().unwrap_or_default(),
            });
        }
        files
    }

    /// Rows of each file, having checked that they tile it from its first byte: in order, no hole, no overlap, nothing twice.
    pub fn tiled(&self) -> BTreeMap<String, Vec<Row>> {
        self.assert_ids_unique();
        let files = self.rows();
        for (file, rows) in &files {
            let mut end = 0;
            for row in rows {
                assert_eq!(
                    row.offset, end,
                    "file {file}: a row starts at {} where the last one ended at {end}",
                    row.offset
                );
                end += row.length;
            }
        }
        files
    }

    pub fn assert_ids_unique(&self) {
        let mut seen = HashSet::new();
        for line in &self.lines {
            let id = line["id"].as_str().unwrap_or_else(|| panic!("a line without an id: {line}"));
            assert!(seen.insert(id), "{id} is there twice");
        }
    }
}

/// A trail's segments, in order.
pub fn segments(journal: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(journal) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_str().unwrap().ends_with(".ndjson.zst")).collect();
    paths.sort();
    paths
}

/// A whole segment's lines.
pub fn segment_lines(path: &Path) -> Vec<Value> {
    let output = Command::new("zstdcat").arg(path).output().expect("zstdcat is installed");
    assert!(output.status.success(), "zstdcat {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.ends_with(b"\n"), "{} does not end with a newline", path.display());
    parse_lines(&output.stdout, path)
}

/// What decodes, and whether that is all.
fn zstdcat(path: &Path) -> (Vec<u8>, bool) {
    let output = Command::new("zstdcat").arg(path).stderr(Stdio::null()).output().expect("zstdcat is installed");
    (output.stdout, output.status.success())
}

/// Cuts off what stands behind the last checkpoint: a block ends with one.
fn cut_unfinished(lines: &mut Vec<Value>) {
    let end = lines.iter().rposition(|line| line["type"] == "checkpoint").map_or(0, |last| last + 1);
    lines.truncate(end);
}

fn cut_last_block(lines: &mut Vec<Value>) {
    if lines.last().is_some_and(|line| line["type"] == "checkpoint") {
        lines.pop();
    }
}

fn parse_lines(bytes: &[u8], path: &Path) -> Vec<Value> {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| &line[..line.len() - 1]);
    let parse = |(number, line)| {
        serde_json::from_slice(line).unwrap_or_else(|error| panic!("{} line {number}: {error}", path.display()))
    };
    lines.enumerate().map(parse).collect()
}
