//! A database server's log collector, as far as a tailer can see it: rows are appended in arbitrary pieces, and files rotate.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::csvlog::{self, Row};
use crate::trail::Trail;

/// Large statements have up to 780 KB.
const REPEATS_MAX: usize = 60_000;

/// Writes csvlog files into a folder, and remembers every row.
pub struct Writer {
    dir: PathBuf,
    rng: Rng,
    /// A large statement repeats its text at most so often.
    repeats_max: usize,
    file: File,
    /// What is written of the current row, and what is still to come.
    rest: Vec<u8>,
    /// Each file's rows; a row's session says which file it is in.
    pub files: Vec<Written>,
}

/// A file as it should come out at the other end.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where it lies now; `None` once it is deleted.
    pub path: Option<PathBuf>,
    pub session: String,
    /// Each row's length in bytes.
    pub lengths: Vec<u64>,
    /// Still being written.
    pub current: bool,
}

impl Writer {
    pub fn new(dir: &Path, seed: u64) -> Self {
        let (file, first) = begin(dir, 0);
        let rng = Rng::with_seed(seed);
        Writer { dir: dir.to_owned(), rng, repeats_max: REPEATS_MAX, file, rest: Vec::new(), files: vec![first] }
    }

    /// One whose large statements are not larger than some 13 KB.
    #[allow(dead_code)] // The delivery suite's.
    pub fn of_moderate_rows(dir: &Path, seed: u64) -> Self {
        Writer { repeats_max: REPEATS_MAX / 60, ..Writer::new(dir, seed) }
    }

    /// Appends a piece of random size: part of a row, or several.
    pub fn append(&mut self) {
        let rows = self.rng.usize(0..4);
        for _ in 0..rows {
            self.queue_row();
        }
        let piece = self.rng.usize(0..=self.rest.len());
        self.write(piece);
    }

    /// Ends the current row, and the file with it: the next row goes into a new one. Sometimes the old one is renamed.
    pub fn rotate(&mut self) {
        let rename = self.rng.bool();
        let number = self.files.len();
        let current = self.files.last_mut().unwrap();
        if rename {
            let path = current.path.clone().unwrap();
            let renamed = path.with_extension("csv.1");
            fs::rename(&path, &renamed).unwrap();
            current.path = Some(renamed);
        }
        // Sometimes the server finishes its row only after the rename.
        self.finish();
        self.files.last_mut().unwrap().current = false;
        let (file, written) = begin(&self.dir, number);
        self.file = file;
        self.files.push(written);
    }

    /// Writes what is left of the last row.
    pub fn finish(&mut self) {
        self.write(self.rest.len());
    }

    /// Deletes rotated files for which `read` says that every row of theirs is sealed.
    pub fn delete(&mut self, read: impl Fn(&Written) -> bool) -> usize {
        let mut deleted = 0;
        for written in self.files.iter_mut().filter(|written| !written.current && written.path.is_some()) {
            if read(written) {
                fs::remove_file(written.path.take().unwrap()).unwrap();
                deleted += 1;
            }
        }
        deleted
    }

    /// Appends a row that does not compress.
    pub fn append_random(&mut self) {
        let noise: String = std::iter::repeat_with(|| self.rng.alphanumeric()).take(1000).collect();
        self.queue(&format!("SELECT '{noise}'"));
        self.finish();
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().flat_map(|written| &written.lengths).sum()
    }

    pub fn rows(&self) -> usize {
        self.files.iter().map(|written| written.lengths.len()).sum()
    }

    fn queue_row(&mut self) {
        let line = self.files.last().unwrap().lengths.len() as u64 + 1;
        let sql = sql(&mut self.rng, self.repeats_max, self.files.len(), line);
        self.queue(&sql);
    }

    fn queue(&mut self, sql: &str) {
        let written = self.files.last_mut().unwrap();
        let line = written.lengths.len() as u64 + 1;
        let row = csvlog::csv(&Row { user: "app", session: &written.session, line, sql });
        written.lengths.push(row.len() as u64);
        self.rest.extend_from_slice(row.as_bytes());
    }

    fn write(&mut self, len: usize) {
        self.file.write_all(&self.rest[..len]).unwrap();
        self.rest.drain(..len);
    }
}

/// Every row that was written is there once, in its file's order, at its own bytes.
pub fn assert_complete(trail: &Trail, files: &[Written]) {
    let mut tiled = trail.tiled().into_values().collect::<Vec<_>>();
    for written in files.iter().filter(|written| !written.lengths.is_empty()) {
        let at = tiled.iter().position(|rows| rows[0].session == written.session);
        let rows = tiled.swap_remove(at.unwrap_or_else(|| panic!("nothing of {written:?}")));
        let lengths: Vec<u64> = rows.iter().map(|row| row.length).collect();
        assert_eq!(lengths, written.lengths, "session {}", written.session);
        let whole =
            rows.iter().enumerate().all(|(index, row)| row.session == written.session && row.line == index as u64 + 1);
        assert!(whole, "session {} is not in order", written.session);
    }
    assert!(tiled.is_empty(), "rows of files that nobody wrote: {tiled:?}");
}

fn begin(dir: &Path, number: usize) -> (File, Written) {
    let path = dir.join(format!("postgresql-2026-11-20_{number:06}.csv"));
    let file = OpenOptions::new().append(true).create_new(true).open(&path).unwrap();
    let session = format!("6b00ab37.{:x}", number + 1);
    (file, Written { path: Some(path), session, lengths: Vec::new(), current: true })
}

/// Mostly short, some of several lines with quotes and forged rows, a few large.
fn sql(rng: &mut Rng, repeats_max: usize, file: usize, line: u64) -> String {
    match rng.u32(0..100) {
        0 => format!("SELECT '{}'", "0123456789,\"\"\n".repeat(rng.usize(1..repeats_max))),
        1..20 => format!(
            "SELECT {line},\n'it''s \"quoted\"\n2026-11-20 20:00:00.000 UTC,\"evil\",\"evildb\",1,\"1.1.1.1:1\",dead.beef,{line},\"SELECT\"\r\n' AS \"a\"\"b\" -- {file}"
        ),
        _ => format!("SELECT {line} FROM t{file}"),
    }
}
