//! What the tests share: frames of a file in one piece or in many, and records as text.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fmt::Write;

use proptest::prelude::*;
use sealtrail_parsers::{
    Dialect, Format, Frame, Framer, Parameters, Parsed, Piece, Record, Scratch, Value, assemble, each, each_of, parse,
};

/// What the bytes of a file were found to be, in order: neighbours that are both damaged count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Record(Vec<u8>),
    Damaged(Vec<u8>),
}

/// Frames a file that arrives in these pieces.
pub fn parts(mut framer: Framer, pieces: &[&[u8]]) -> Vec<Part> {
    let (mut found, mut buf) = (Vec::new(), Vec::new());
    for (index, piece) in pieces.iter().enumerate() {
        buf.extend_from_slice(piece);
        let (end, mut at) = (index + 1 == pieces.len(), 0);
        loop {
            let rest = &buf[at..];
            let (part, len) = match framer.next(rest, end) {
                Frame::Incomplete | Frame::Open { .. } => break,
                Frame::Record { len } => (Part::Record(front(rest, len)), len),
                Frame::Damaged { len, .. } => (Part::Damaged(front(rest, len)), len),
            };
            push(&mut found, part);
            at += len;
        }
        buf.drain(..at);
    }
    assert!(buf.is_empty(), "{} bytes were never handed out", buf.len());
    found
}

/// One text in a few is followed by a megabyte of one letter.
pub fn now_and_then_a_megabyte(text: impl Strategy<Value = Vec<u8>> + Clone) -> impl Strategy<Value = Vec<u8>> {
    let long = (text.clone(), b'a'..=b'z').prop_map(|(text, letter)| [text, vec![letter; 1 << 20]].concat());
    prop_oneof![30 => text, 1 => long]
}

/// Frames a whole file.
pub fn whole(format: Format, bytes: &[u8]) -> Vec<Part> {
    parts(Framer::new(&format.into()), &[bytes])
}

/// The records of a file that must not be damaged.
pub fn records(format: Format, bytes: &[u8]) -> Vec<&[u8]> {
    let (mut framer, mut at, mut found) = (Framer::new(&format.into()), 0, Vec::new());
    while at < bytes.len() {
        let Frame::Record { len } = framer.next(&bytes[at..], true) else { panic!("damaged at byte {at}") };
        found.push(&bytes[at..at + len]);
        at += len;
    }
    found
}

/// Every row of a file, field by field, and what is none. A row in pieces stands where it was complete, or at the file's end.
pub fn show_file(dialect: &Dialect, bytes: &[u8]) -> String {
    let mut shown = String::new();
    let mut pieces: Vec<Pieces> = Vec::new();
    for part in parts(Framer::new(dialect), &[bytes]) {
        let frame = match part {
            Part::Record(frame) => frame,
            Part::Damaged(bytes) => {
                shown += &format!("damaged: {}\n\n", bytes.escape_ascii());
                continue;
            }
        };
        let mut scratch = Scratch::new();
        match parse(dialect, &frame, &mut scratch) {
            Parsed::Several => {
                each(dialect, &frame, &mut Scratch::new(), &mut |row| shown += &show_parsed(&row));
            }
            Parsed::Piece(piece) => shown += &add_piece(dialect, &mut pieces, &frame, piece),
            parsed => shown += &show_parsed(&parsed),
        }
    }
    for row in pieces {
        shown += &row.show(dialect, false);
    }
    shown
}

/// The pieces of one row, as far as they were seen.
struct Pieces {
    writer: Vec<u8>,
    row: u64,
    frames: Vec<Vec<u8>>,
    last_number: u32,
}

impl Pieces {
    fn show(&self, dialect: &Dialect, complete: bool) -> String {
        let frames: Vec<_> = self.frames.iter().map(Vec::as_slice).collect();
        let mut shown = String::new();
        match assemble(dialect, &frames, complete, &mut Scratch::new()) {
            Parsed::Several => {
                each_of(dialect, &frames, &mut Scratch::new(), &mut |row, _| shown += &show_parsed(&row));
            }
            row => shown += &show_parsed(&row),
        }
        shown
    }
}

/// What is complete now: the writer's row before, when another begins, or this one with its last piece.
fn add_piece(dialect: &Dialect, pieces: &mut Vec<Pieces>, frame: &[u8], piece: Piece<'_>) -> String {
    let mut shown = String::new();
    let is_over = |row: &Pieces| row.row != piece.row || (piece.number == 1 && row.last_number <= 1);
    let other = |row: &Pieces| row.writer == piece.writer && is_over(row);
    if let Some(at) = pieces.iter().position(other) {
        shown += &pieces.remove(at).show(dialect, true);
    }
    let at = pieces.iter().position(|row| row.writer == piece.writer).unwrap_or_else(|| {
        pieces.push(Pieces { writer: piece.writer.to_vec(), row: piece.row, frames: Vec::new(), last_number: 0 });
        pieces.len() - 1
    });
    pieces[at].frames.push(frame.to_vec());
    pieces[at].last_number = piece.number;
    if piece.is_last == Some(true) {
        shown += &pieces.remove(at).show(dialect, true);
    }
    shown
}

fn show_parsed(parsed: &Parsed<'_>) -> String {
    let shown = match parsed {
        Parsed::Record(record) => show(record),
        Parsed::Unparsed { reason, retry_at } => format!("unparsed: {reason}, retry at {retry_at:?}\n"),
        Parsed::Nothing { what } => format!("nothing: {what}\n"),
        Parsed::Piece(_) | Parsed::Several => format!("{parsed:?}\n"),
    };
    shown + "\n"
}

/// One field a line.
pub fn show(record: &Record<'_>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| writeln!(out, "{name}: {value}").expect("a string grows");
    line("act", format!("{:?}, {:?}", record.act, record.status));
    let session = record.session;
    let (pid, number) = (session.pid.unwrap_or_default(), session.line.unwrap_or_default());
    line("session", format!("{} line {number} pid {pid}", text(session.id.unwrap_or_default())));
    line("time", text(record.time));
    let client = record.client;
    let statement = record.statement.unwrap_or_default();
    let fields = [
        ("start", session.start),
        ("user", record.user),
        ("database", record.database),
        ("address", client.address),
        ("application", client.application),
        ("command", record.command),
        ("object", record.object),
        ("object_type", record.object_type),
        ("object_database", record.object_database),
        ("error_code", record.error_code),
        ("error_message", record.error_message),
        ("statement", statement.text),
        ("statement.withheld", statement.withheld),
        ("statement.class", statement.class),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            line(name, text(value));
        }
    }
    let numbers = [
        ("port", client.port.map(u64::from)),
        ("statement.id", statement.id),
        ("statement.substatement_id", statement.substatement_id),
        ("statement.rows", statement.rows),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            line(name, value.to_string());
        }
    }
    match statement.parameters {
        Parameters::None => {}
        Parameters::Withheld(word) => line("parameters.withheld", text(word)),
        list @ Parameters::Csv(_) => list.iter().for_each(|parameter| line("parameter", text(&parameter))),
    }
    for object in &record.objects {
        let parts = [object.database, Some(object.name), object.kind, object.access];
        line("objects", parts.map(|part| part.map_or("-".to_owned(), text)).join(" "));
    }
    for (name, value) in &record.extra {
        line(
            &format!("extra.{name}"),
            match value {
                Value::Text(value) => text(value),
                Value::Int(number) => number.to_string(),
            },
        );
    }
    if !record.flags.is_empty() {
        line("flags", record.flags.join(" "));
    }
    out
}

fn text(bytes: &[u8]) -> String {
    format!("`{}`", bytes.escape_ascii())
}

fn front(bytes: &[u8], len: usize) -> Vec<u8> {
    assert!(len > 0 && len <= bytes.len(), "a frame of {len} bytes in {}", bytes.len());
    bytes[..len].to_vec()
}

fn push(found: &mut Vec<Part>, part: Part) {
    match (found.last_mut(), part) {
        (Some(Part::Damaged(before)), Part::Damaged(more)) => before.extend(more),
        (_, part) => found.push(part),
    }
}
