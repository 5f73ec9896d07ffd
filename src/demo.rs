//! `sealtrail demo`: the whole job on bundled real logs, into a folder, then verified.
//!
//! Nothing here is special: the demo writes a config file and a log, and runs the same agent, in drain mode, and the same
//! verifier that a user would.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::disk::RealDisk;
use crate::journal::read::{BlockReader, ReadError, segments};
use crate::limits::ZSTD_LEVEL;

/// A PostgreSQL 15 csvlog with pgAudit 1.7, as the server wrote it.
const LOG: &[u8] = include_bytes!("demo/pgaudit-15.csv");

/// What the demo made.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Holds everything below.
    pub dir: PathBuf,
    /// The configuration that the agent is to run with.
    pub config: PathBuf,
    /// The destination: closed segments.
    pub archive: PathBuf,
}

/// Writes the log and a config for it into `dir`, which is made, or empty.
pub fn prepare(dir: &Path) -> io::Result<Demo> {
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty"));
    }
    let (dir, archive) = (dir.canonicalize()?, dir.canonicalize()?.join("archive"));
    fs::create_dir(dir.join("log"))?;
    fs::write(dir.join("log/postgresql.csv"), LOG)?;
    let config = dir.join("sealtrail.toml");
    fs::write(&config, config_text(&dir, &archive))?;
    Ok(Demo { dir, config, archive })
}

impl Demo {
    /// What is about to happen, for a person.
    pub fn intro(&self) -> String {
        let lines = memchr::memchr_iter(b'\n', LOG).count();
        format!(
            "A PostgreSQL 15 csvlog with pgAudit ({lines} lines of text), read by\n  sealtrail run --drain -c {}\nand delivered to {}:",
            self.config.display(),
            self.archive.display()
        )
    }

    /// A copy of the archive in which one failure has become a success. Returns its folder.
    pub fn alter(&self) -> Result<PathBuf, TableError> {
        let altered = self.dir.join("altered");
        fs::create_dir_all(&altered)?;
        for entry in fs::read_dir(&self.archive)? {
            let path = entry?.path();
            fs::copy(&path, altered.join(path.file_name().unwrap_or_default()))?;
        }
        for segment in segments(&RealDisk, &altered)? {
            let mut reader = BlockReader::open(&RealDisk, &segment.path, 0, segment.bytes)?;
            let mut frames = Vec::new();
            while let Some(block) = reader.next_block()? {
                frames.extend(zstd::bulk::compress(&without_first_failure(block.bytes), ZSTD_LEVEL)?);
            }
            fs::write(&segment.path, frames)?;
        }
        Ok(altered)
    }
}

fn without_first_failure(block: &[u8]) -> Vec<u8> {
    const FAILURE: &[u8] = b"\"outcome\":\"failure\"";
    const SUCCESS: &[u8] = b"\"outcome\":\"success\"";
    match memchr::memmem::find(block, FAILURE) {
        Some(at) => [&block[..at], SUCCESS, &block[at + FAILURE.len()..]].concat(),
        None => block.to_vec(),
    }
}

fn config_text(dir: &Path, archive: &Path) -> String {
    let quoted = |path: PathBuf| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
    format!(
        "[agent]\nname = \"demo-db-1\"\norigin = \"demo/local/demo-db-1\"\nstate_dir = {state}\n\n\
         [[source]]\nname = \"postgres\"\npaths = [{log}]\ntimezone = \"UTC\"\n\n\
         [[destination]]\nname = \"archive\"\ntype = \"file\"\npath = {archive}\n",
        state = quoted(dir.join("state")),
        log = quoted(dir.join("log/*.csv")),
        archive = quoted(archive.to_owned()),
    )
}

/// The part of a record that the table shows.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    user: String,
    action: String,
    resource: String,
    outcome: String,
    category: String,
}

/// Prints who did what to what, when, from the delivered segments; the connection chatter is counted, not shown.
pub fn table(archive: &Path, out: &mut impl Write) -> Result<(), TableError> {
    let mut hidden: BTreeMap<String, u64> = BTreeMap::new();
    writeln!(out, "{}", line("TIME (UTC)", "USER", "ACTION", "RESOURCE", "OUTCOME", "CATEGORY"))?;
    for segment in segments(&RealDisk, archive)? {
        let mut reader = BlockReader::open(&RealDisk, &segment.path, 0, segment.bytes)?;
        while let Some(block) = reader.next_block()? {
            for text in block.bytes.split_inclusive(|&byte| byte == b'\n') {
                show(&serde_json::from_slice(text)?, &mut hidden, out)?;
            }
        }
    }
    let hidden: Vec<String> = hidden.iter().map(|(action, count)| format!("{count} {action}")).collect();
    writeln!(out, "… and {}", hidden.join(", "))?;
    Ok(())
}

fn show(row: &Row, hidden: &mut BTreeMap<String, u64>, out: &mut impl Write) -> io::Result<()> {
    let chatter = matches!(row.action.as_str(), "CONNECT" | "AUTHENTICATE" | "LOGOUT" | "SERVER MESSAGE");
    if row.kind != "event" || chatter {
        *hidden.entry(row.action.clone()).or_default() += 1;
        return Ok(());
    }
    let time = row.time.get(..19).unwrap_or(&row.time);
    writeln!(out, "{}", line(time, &row.user, &row.action, &row.resource, &row.outcome, &row.category))
}

fn line(time: &str, user: &str, action: &str, resource: &str, outcome: &str, category: &str) -> String {
    let cut = |text: &str, width: usize| match text.char_indices().nth(width) {
        Some((at, _)) => format!("{}…", &text[..at].chars().take(width - 1).collect::<String>()),
        None => text.to_owned(),
    };
    format!(
        "{time:<19}  {:<12}  {:<20}  {:<34}  {outcome:<8} {category}",
        cut(user, 12),
        cut(action, 20),
        cut(resource, 34)
    )
}

/// Why the delivered trail cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A segment cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A line is no record.
    #[error("a delivered line is not a record")]
    Line(#[from] serde_json::Error),
    /// The folder cannot be listed, or the table not be printed.
    #[error("cannot print the table")]
    Io(#[from] io::Error),
}
