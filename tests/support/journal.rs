//! A journal of arbitrary lines: segments of zstd frames as the agent writes them, and the head that it publishes.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sealtrail::journal::Head;
use sealtrail::journal::read::segment_name;
use tokio::sync::watch;

pub struct Journal {
    pub state: tempfile::TempDir,
    pub head: watch::Sender<Head>,
    pub lines: Vec<String>,
}

impl Journal {
    pub fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(state.path().join("journal")).unwrap();
        fs::create_dir_all(state.path().join("keys")).unwrap();
        fs::write(state.path().join("keys/acme_test_db-1.pub"), "acme+0+AAAA\n").unwrap();
        Journal { state, head: watch::channel(Head::default()).0, lines: Vec::new() }
    }

    /// A journal of two closed segments, two blocks each, and an open one of one block.
    pub fn filled() -> Self {
        let mut journal = Journal::new();
        for _ in 0..2 {
            journal.block(5);
            journal.block(7);
            journal.close();
        }
        journal.block(3);
        journal
    }

    pub fn folder(&self) -> PathBuf {
        self.state.path().join("journal")
    }

    pub fn block(&mut self, count: usize) {
        let lines: Vec<String> = (0..count).map(|at| line(self.lines.len() + at)).collect();
        self.block_of(lines);
    }

    /// Appends one block, as one frame, and publishes it.
    pub fn block_of(&mut self, lines: Vec<String>) {
        let mut head = *self.head.borrow();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let path = self.folder().join(segment_name(head.segment));
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        let frame = frame(text.as_bytes());
        file.write_all(&frame).unwrap();
        self.lines.extend(lines);
        head.bytes += frame.len() as u64;
        head.lines = self.lines.len() as u64;
        self.head.send_replace(head);
    }

    /// Closes the open segment.
    pub fn close(&mut self) {
        let lines = self.lines.len() as u64;
        self.head.send_replace(Head { segment: lines, bytes: 0, lines });
    }

    /// Lines of closed segments: what an archive must have.
    pub fn closed_lines(&self) -> &[String] {
        &self.lines[..self.head.borrow().segment as usize]
    }

    pub fn cursor(&self, destination: &str) -> PathBuf {
        self.state.path().join("cursors").join(format!("{destination}.json"))
    }
}

pub fn line(number: usize) -> String {
    format!(r#"{{"v":1,"type":"event","id":"f/{number}","time":"2026-11-06T08:00:00.000Z","action":"SELECT"}}"#)
}

fn frame(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The lines in compressed bytes, zstd or gzip.
pub fn lines_of(compressed: &[u8]) -> Vec<String> {
    let mut text = Vec::new();
    if compressed.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut text).unwrap();
    } else {
        text = zstd::stream::decode_all(compressed).unwrap();
    }
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
