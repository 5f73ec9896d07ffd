//! What must hold when a schedule is over, looked at with eyes of its own: zstd and JSON, not the agent's reader.
//!
//! Every complete row is in the trail exactly once, in its file's order, byte for byte, or an act says that it went away; no act
//! claims a loss that did not happen; ids are unique, the ranges in the seals tile each file and are what was in it, the trail
//! verifies, and each destination has all of it.

use std::collections::{BTreeMap, BTreeSet};

use sealtrail_seal::{Class, FindingKind, Verdict, Verifier, VerifierKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::agent::{FOLDER, STATE};
use crate::disk::SimDisk;
use crate::far::Far;
use crate::server::Server;

/// A trail, read from the journal's files and from those that the agent removed to make room.
pub struct Trail {
    /// By the first line's number, as they lie on the disk.
    segments: BTreeMap<u64, Vec<u8>>,
    /// Each with its newline.
    lines: Vec<Vec<u8>>,
    /// The same, taken apart.
    values: Vec<Value>,
}

/// What was found wrong; nothing, if all is well.
pub type Wrong = Vec<String>;

/// What a file's id stands for, as far as the trail tells.
#[derive(Debug, Default)]
struct Told {
    /// Offset and length of its events, in the trail's order.
    events: Vec<(usize, usize)>,
    /// The same of bytes that were no row to the agent.
    unparsed: Vec<(usize, usize)>,
    /// What the seals say was read: from, to, SHA-256.
    ranges: Vec<(usize, usize, String)>,
    /// Inodes that the seals saw it under.
    inodes: BTreeSet<u64>,
    /// What acts say went away.
    gaps: Vec<Gone>,
}

/// Bytes that an act tells of.
#[derive(Debug)]
struct Gone {
    /// They were there, and were not read.
    loss: bool,
    /// They do not come back.
    final_word: bool,
    from: usize,
    to: Option<usize>,
}

/// Compares the model with the trail, and the trail with what the destinations hold.
pub fn check(disk: &SimDisk, server: &Server, fars: &[(String, Far)]) -> Wrong {
    let mut wrong = Wrong::new();
    let trail = match Trail::read(disk) {
        Ok(trail) => trail,
        Err(error) => return vec![error],
    };
    Rows::new(server, &trail, &mut wrong).check();
    check_verdict(disk, &trail, &mut wrong);
    for (name, far) in fars {
        check_far(disk, &trail, name, far, &mut wrong);
    }
    check_folder(disk, &trail, &mut wrong);
    wrong
}

/// Cursors that a crash left half-written. The agent delivers all again then, which is harmless and must never be needed.
pub fn damaged_cursors(disk: &SimDisk) -> Wrong {
    let folder = format!("{STATE}/cursors");
    let names = disk.names(&folder).into_iter().filter(|name| name.ends_with(".json") && !name.starts_with('.'));
    let damaged = names.filter(|name| {
        let content = disk.content(&format!("{folder}/{name}")).unwrap();
        !serde_json::from_slice::<Value>(&content).is_ok_and(|cursor| cursor["next_line"].is_u64())
    });
    damaged.map(|name| format!("the cursor {name} was found half-written")).collect()
}

/// All lines of the trail, as far as they can be read.
pub fn lines(disk: &SimDisk) -> Vec<u8> {
    let folder = format!("{STATE}/journal");
    let segments = disk.names(&folder).into_iter().filter_map(|name| disk.content(&format!("{folder}/{name}")));
    // What does not decode is told by the check.
    segments.flat_map(|bytes| zstd::stream::decode_all(bytes.as_slice()).unwrap_or_default()).collect()
}

impl Trail {
    /// Reads all segments that there are, or were.
    pub fn read(disk: &SimDisk) -> Result<Self, String> {
        let folder = format!("{STATE}/journal");
        let mut segments = BTreeMap::new();
        for (path, bytes) in disk.removed() {
            if path.starts_with(&folder)
                && let Some(first) = path.file_name().and_then(|name| number_of(name.to_str()?))
            {
                segments.insert(first, bytes);
            }
        }
        for name in disk.names(&folder) {
            let first = number_of(&name).ok_or_else(|| format!("{name} in the journal"))?;
            segments.insert(first, disk.content(&format!("{folder}/{name}")).unwrap());
        }
        let mut lines = Vec::new();
        for (first, bytes) in &segments {
            let text =
                zstd::stream::decode_all(bytes.as_slice()).map_err(|error| format!("segment {first}: {error}"))?;
            if *first != lines.len() as u64 {
                return Err(format!("segment {first} of {} bytes follows {} lines", bytes.len(), lines.len()));
            }
            lines.extend(text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
        let values: Result<_, _> = lines.iter().map(|line| serde_json::from_slice(line)).collect();
        Ok(Trail { segments, lines, values: values.map_err(|error| format!("a line is no JSON: {error}"))? })
    }

    /// All lines, taken apart.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// How many segments there are, or were.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The agent's own acts of one kind.
    pub fn acts<'t>(&'t self, action: &'t str) -> impl Iterator<Item = &'t Value> {
        self.values.iter().filter(move |value| value["type"] == "agent" && value["action"] == action)
    }
}

/// The comparison of rows.
struct Rows<'c> {
    server: &'c Server,
    trail: &'c Trail,
    wrong: &'c mut Wrong,
    told: BTreeMap<String, Told>,
    /// Which log an id stands for.
    logs: BTreeMap<String, usize>,
    /// How often each row is an event.
    counts: Vec<u32>,
}

impl<'c> Rows<'c> {
    fn new(server: &'c Server, trail: &'c Trail, wrong: &'c mut Wrong) -> Self {
        let counts = vec![0; server.rows.len()];
        Rows { server, trail, wrong, told: BTreeMap::new(), logs: BTreeMap::new(), counts }
    }

    fn check(mut self) {
        self.check_ids();
        for value in &self.trail.values {
            match (value["type"].as_str(), value["action"].as_str()) {
                (Some("event"), _) => self.event(value),
                (Some("agent"), Some("SEAL")) => self.seal(value),
                (Some("agent"), Some(action)) => self.act(action, value),
                _ => {}
            }
        }
        let told = std::mem::take(&mut self.told);
        for (id, told) in &told {
            self.check_file(id, told);
        }
        self.check_rows(&told);
        self.check_row_gaps();
    }

    fn check_ids(&mut self) {
        let mut seen = BTreeSet::new();
        for value in &self.trail.values {
            let id = value["id"].as_str().unwrap_or_default();
            if !seen.insert(id) {
                self.wrong.push(format!("id {id} is there twice"));
            }
        }
    }

    fn event(&mut self, value: &Value) {
        let (id, offset) = value["id"].as_str().unwrap().rsplit_once(':').unwrap();
        let (offset, length) = (offset.parse::<usize>().unwrap(), number(&value["at"]["length"]));
        if number(&value["at"]["offset"]) != offset {
            self.wrong.push(format!("id {id}:{offset} is at {}", value["at"]));
        }
        let told = self.told.entry(id.to_owned()).or_default();
        if value["category"] == "unparsed" {
            return told.unparsed.push((offset, length));
        }
        told.events.push((offset, length));
        let text = value["statement"]["text"].as_str().unwrap_or_default();
        let Some(row) = serial_of(text).filter(|serial| *serial < self.server.rows.len()) else {
            return self.wrong.push(format!("no row of ours: {value}"));
        };
        self.counts[row] += 1;
        self.compare(row, id, (offset, length), value);
    }

    fn compare(&mut self, serial: usize, id: &str, (offset, length): (usize, usize), value: &Value) {
        let row = &self.server.rows[serial];
        let place = offset..offset + length;
        let mut differs = |what: &str, here: String, there: String| {
            if here != there {
                self.wrong.push(format!("row {serial} has another {what}: {there} instead of {here}"));
            }
        };
        differs("place", format!("{:?}", row.place), format!("{place:?}"));
        differs("text", row.sql.clone(), value["statement"]["text"].as_str().unwrap_or_default().to_owned());
        differs("session", row.session.clone(), value["session"]["id"].as_str().unwrap_or_default().to_owned());
        differs("line", row.line.to_string(), value["session"]["line"].to_string());
        let log = *self.logs.entry(id.to_owned()).or_insert(row.log);
        if log != row.log {
            self.wrong.push(format!("id {id} stands for log {log} and, with row {serial}, for log {}", row.log));
        }
    }

    fn seal(&mut self, value: &Value) {
        for range in value["seal"]["files"].as_array().unwrap() {
            let id = range["id"].as_str().unwrap();
            let told = self.told.entry(id.to_owned()).or_default();
            told.inodes.insert(range["ino"].as_u64().unwrap());
            told.ranges.push((
                number(&range["from"]),
                number(&range["to"]),
                range["sha256"].as_str().unwrap().to_owned(),
            ));
        }
    }

    fn act(&mut self, action: &str, value: &Value) {
        let gap = &value["gap"];
        if gap["of"] != "bytes" {
            return;
        }
        // What is only out of sight may come back.
        let final_word = action != "FILE GONE";
        let id = gap["file"].as_str().unwrap_or_default();
        let to = gap["to"].as_u64().map(|to| to as usize);
        self.told.entry(id.to_owned()).or_default().gaps.push(Gone {
            loss: action == "GAP",
            final_word,
            from: number(&gap["from"]),
            to,
        });
    }

    fn check_file(&mut self, id: &str, told: &Told) {
        if told.events.windows(2).any(|pair| pair[1].0 < pair[0].0 + pair[0].1) {
            self.wrong.push(format!("rows of {id} are not in their order"));
        }
        let mut at = 0;
        for (from, to, _) in &told.ranges {
            let skipped = told.gaps.iter().any(|gap| gap.from <= at && gap.to.is_some_and(|to| to >= *from));
            if *from != at && !(skipped && *from > at) {
                self.wrong.push(format!("a seal goes on with {id} at byte {from}, not at {at}"));
            }
            at = *to;
        }
        let Some(log) = self.logs.get(id).map(|log| &self.server.logs[*log]) else { return };
        for (from, to, sha256) in &told.ranges {
            match log.bytes.get(*from..*to) {
                Some(bytes) if hex(&Sha256::digest(bytes)) == *sha256 => {}
                _ => self.wrong.push(format!("bytes {from}..{to} of {id} were not read as they were written")),
            }
        }
        for Gone { loss, final_word, from, to } in &told.gaps {
            let claimed = |(at, _): &(usize, usize)| at >= from && to.is_none_or(|to| *at < to);
            if *final_word && told.events.iter().any(claimed) {
                self.wrong.push(format!("bytes {from}..{to:?} of {id} are said to be gone, and are in the trail"));
            }
            let written = *from < log.bytes.len() && to.is_none_or(|to| to <= log.bytes.len());
            if *loss && (log.excused.is_none() || !written) {
                let len = log.bytes.len();
                self.wrong.push(format!("bytes {from}..{to:?} of {id} are said to be lost, and are not: it had {len}"));
            }
        }
    }

    fn check_rows(&mut self, told: &BTreeMap<String, Told>) {
        for (serial, row) in self.server.rows.iter().enumerate() {
            let log = &self.server.logs[row.log];
            let written = row.place.end <= log.bytes.len() && !row.torn;
            match self.counts[serial] {
                1 => {}
                0 if !written => {}
                0 => {
                    let ids = self.logs.iter().filter(|(_, log)| **log == row.log);
                    let of_log: Vec<&Told> = ids.filter_map(|(id, _)| told.get(id)).collect();
                    let within = |(at, len): &(usize, usize)| *at <= row.place.start && at + len >= row.place.end;
                    if log.damaged && of_log.iter().any(|told| told.unparsed.iter().any(within)) {
                        continue;
                    }
                    if log.excused.is_none_or(|from| row.place.end <= from) {
                        self.wrong.push(format!("row {serial} of log {} at {:?} is lost", row.log, row.place));
                    } else if of_log.iter().any(|told| told.inodes.contains(&log.ino))
                        && !of_log.iter().any(|told| told.admits(row.place.start, row.place.end))
                        && !log.gone
                    {
                        // Whoever saw only a copy, made after these rows or before them, cannot know of them, nor that a file was cut that is
                        // gone by now. That numbers are missing is all that there is to be told then.
                        self.wrong
                            .push(format!("row {serial} of log {} at {:?} is lost in silence", row.log, row.place));
                    }
                }
                count => self.wrong.push(format!("row {serial} is in the trail {count} times")),
            }
        }
    }

    /// Row numbers that are said to be missing must be; and those must be said that are, between two rows of their session.
    fn check_row_gaps(&mut self) {
        self.check_missing_rows();
        for act in self.trail.acts("GAP").filter(|act| act["gap"]["of"] == "rows") {
            let gap = &act["gap"];
            let (from, to) = (gap["from"].as_u64().unwrap_or(0), gap["to"].as_u64().unwrap_or(u64::MAX));
            let rows = self.server.rows.iter().enumerate();
            // A row of a file that is not to be read is missing for good, also where a turned clock lets it be read later.
            let there = rows.filter(|(serial, row)| {
                let is_told = gap["session"] == row.session && (from..=to).contains(&row.line);
                is_told && self.counts[*serial] > 0 && !self.server.may_look_new(row.log)
            });
            for (serial, row) in there {
                self.wrong.push(format!(
                    "row {serial} (session {}, line {}) is said to be missing, and is in the trail",
                    row.session, row.line
                ));
            }
        }
    }
}

impl Rows<'_> {
    fn check_missing_rows(&mut self) {
        let mut said: BTreeSet<(&str, u64)> = BTreeSet::new();
        for act in self.trail.acts("GAP").filter(|act| act["gap"]["of"] == "rows") {
            let gap = &act["gap"];
            let session = gap["session"].as_str().unwrap_or_default();
            for line in gap["from"].as_u64().unwrap_or(0)..=gap["to"].as_u64().unwrap_or(0) {
                if !said.insert((session, line)) {
                    self.wrong.push(format!("line {line} of session {session} is said to be missing twice"));
                }
            }
        }
        let mut there: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for (_, row) in self.server.rows.iter().enumerate().filter(|(serial, _)| self.counts[*serial] > 0) {
            there.entry(&row.session).or_default().insert(row.line);
        }
        let is_anew = |act: &Value| act["message"].as_str().is_some_and(|message| message.contains("begins anew"));
        if self.trail.acts("STARTED").any(is_anew) {
            // A count that could not be kept has nothing to say about what went missing just then.
            return;
        }
        for (session, lines) in there {
            let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
            for line in (*first..*last).filter(|line| !lines.contains(line) && !said.contains(&(session, *line))) {
                self.wrong.push(format!("line {line} of session {session} is missing in silence"));
            }
        }
    }
}

impl Told {
    /// Whether an act says that these bytes went away, if need be all but a beginning that was read and is no row by itself.
    fn admits(&self, from: usize, to: usize) -> bool {
        self.gaps.iter().any(|gap| {
            let begun = |(at, len): &(usize, usize)| *at <= from && at + len >= gap.from;
            // What was written between the last look and a cut was seen by nobody: there it is the missing numbers that tell.
            let covers = gap.to.is_none_or(|end| end >= to || gap.final_word);
            gap.from < to && covers && (gap.from <= from || self.unparsed.iter().any(begun))
        })
    }
}

pub fn check_verdict(disk: &SimDisk, trail: &Trail, wrong: &mut Wrong) {
    let verdict = match verdict(disk, trail) {
        Ok(verdict) => verdict,
        Err(error) => return wrong.push(error),
    };
    let gaps_only = |verdict: &Verdict| {
        verdict.findings.iter().all(|finding| finding.class == Class::Whole || finding.kind == FindingKind::Gap)
    };
    if verdict.class != Class::Whole && !(verdict.class == Class::Incomplete && gaps_only(&verdict)) {
        let findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        wrong.push(format!("the trail does not verify: {:?}, {findings:#?}", verdict.class));
    }
    let gaps = trail.acts("GAP").count();
    if (gaps > 0) != (verdict.class == Class::Incomplete) {
        wrong.push(format!("{gaps} gaps, and the verdict is {:?}", verdict.class));
    }
}

fn verdict(disk: &SimDisk, trail: &Trail) -> Result<Verdict, String> {
    let folder = format!("{STATE}/keys");
    let keys = disk.names(&folder).into_iter().filter(|name| name.ends_with(".pub"));
    let keys: Vec<VerifierKey> = keys
        .map(|name| String::from_utf8(disk.content(&format!("{folder}/{name}")).unwrap()).unwrap())
        .map(|text| text.trim_end().parse().map_err(|error| format!("{error}: {text}")))
        .collect::<Result<_, String>>()?;
    let mut verifier = Verifier::new(keys);
    let mut firsts = trail.segments.keys().peekable();
    for (number, line) in trail.lines.iter().enumerate() {
        if firsts.peek().is_some_and(|first| **first == number as u64) {
            if number > 0 {
                verifier.end_segment(false);
            }
            let first = firsts.next().copied();
            verifier.begin_segment(&format!("segment {number}"), first, None);
        }
        verifier.line(line.strip_suffix(b"\n").unwrap_or(line));
    }
    verifier.end_segment(false);
    Ok(verifier.finish())
}

fn check_far(disk: &SimDisk, trail: &Trail, name: &str, far: &Far, wrong: &mut Wrong) {
    wrong.extend(far.contradictions().into_iter().map(|what| format!("{name}: {what}")));
    if !far.takes_lines() {
        let held = far.segments();
        if held != trail.segments {
            let there: Vec<_> = held.keys().collect();
            wrong.push(format!("{name} holds segments {there:?}, the trail has {:?}", trail.segments.keys()));
        }
        return;
    }
    let mut held = far.lines();
    for (number, line) in trail.lines.iter().enumerate() {
        match held.remove(&(number as u64)) {
            Some(there) if there == *line => {}
            Some(_) => wrong.push(format!("{name} holds another line {number}")),
            None => {
                let kept = disk.content(&format!("{STATE}/dead-letter/{name}/{number:020}.ndjson"));
                if kept.as_ref() != Some(line) {
                    wrong.push(format!("{name} does not have line {number}, and there is no dead letter"));
                }
            }
        }
    }
    if let Some((number, _)) = held.first_key_value() {
        wrong.push(format!("{name} holds line {number} and the trail has {} lines", trail.lines.len()));
    }
}

/// The agent's own folder destination: all segments, byte for byte, the keys, and nothing else.
fn check_folder(disk: &SimDisk, trail: &Trail, wrong: &mut Wrong) {
    let mut names: BTreeSet<String> = disk.names(FOLDER).into_iter().collect();
    let keys = format!("{STATE}/keys");
    let keys = disk
        .names(&keys)
        .into_iter()
        .filter(|name| name.ends_with(".pub"))
        .map(|name| (disk.content(&format!("{keys}/{name}")).unwrap(), name));
    let segments = trail.segments.iter().map(|(first, bytes)| (bytes.clone(), format!("{first:020}.ndjson.zst")));
    for (bytes, name) in segments.chain(keys) {
        if !names.remove(&name) || disk.content(&format!("{FOLDER}/{name}")) != Some(bytes) {
            wrong.push(format!("the folder does not hold {name} as the trail has it"));
        }
    }
    names.retain(|name| !name.ends_with(".partial"));
    if !names.is_empty() {
        wrong.push(format!("the folder holds more than the trail: {names:?}"));
    }
}

/// The number in a segment's name.
fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".ndjson.zst")?.parse().ok()
}

/// The number in a row's statement.
fn serial_of(text: &str) -> Option<usize> {
    let (_, rest) = text.rsplit_once("/* row ")?;
    rest.strip_suffix(" */")?.parse().ok()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
