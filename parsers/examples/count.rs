//! Frames and parses a file, and says how fast: `cargo run --release --example count -- FILE [FORMAT [PREFIX]]`.

use std::sync::Arc;
use std::time::Instant;

use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{
    Detection, Frame, Framer, Parsed, Scratch, assemble, detect, dialect_of, each, each_of, parse,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: count FILE [FORMAT [PREFIX]]")?;
    let bytes = std::fs::read(&path)?;
    let format = match (std::env::args().nth(2), detect(&bytes[..bytes.len().min(64 * 1024)], true)) {
        (Some(name), _) => name.parse()?,
        (None, Detection::Known(format)) => format,
        (None, Detection::NeedMore) => return Err("cannot tell the format".into()),
        (None, Detection::Unknown { reason }) => return Err(reason.into()),
    };
    let mut dialect = dialect_of(format, &bytes[..bytes.len().min(64 * 1024)]);
    if let Some(prefix) = std::env::args().nth(3) {
        dialect.prefix = Some(Arc::new(Prefix::compile(&prefix)?));
    }
    let (mut framer, mut scratch) = (Framer::new(&dialect), Scratch::new());
    let (mut records, mut unparsed, mut damaged, mut at) = (0_u64, 0_u64, 0_u64, 0);
    let began = Instant::now();
    loop {
        at += match framer.next(&bytes[at..], true) {
            Frame::Record { len } => {
                let frame = &bytes[at..at + len];
                let mut count = |row: &Parsed<'_>| match std::hint::black_box(row) {
                    Parsed::Unparsed { .. } => unparsed += 1,
                    Parsed::Nothing { .. } => {}
                    Parsed::Record(_) | Parsed::Piece(_) | Parsed::Several => records += 1,
                };
                let parsed = parse(&dialect, frame, &mut scratch);
                match &parsed {
                    Parsed::Piece(_) => {
                        drop(parsed);
                        // As dear as a row of one piece, though others may belong to it.
                        let row = assemble(&dialect, &[frame], true, &mut scratch);
                        if matches!(row, Parsed::Several) {
                            drop(row);
                            each_of(&dialect, &[frame], &mut scratch, &mut |row, _| count(&row));
                        } else {
                            count(&row);
                        }
                    }
                    Parsed::Several => {
                        drop(parsed);
                        each(&dialect, frame, &mut scratch, &mut |row| count(&row));
                    }
                    row => count(row),
                }
                len
            }
            Frame::Damaged { len, .. } => {
                damaged += 1;
                len
            }
            Frame::Incomplete | Frame::Open { .. } => break,
        };
    }
    let seconds = began.elapsed().as_secs_f64();
    let speed = bytes.len() as f64 / 1e6 / seconds;
    println!("{format}: {records} records, {unparsed} unparsed, {damaged} damaged frames, {speed:.0} MB/s");
    Ok(())
}
