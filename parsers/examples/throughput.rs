//! Frames and parses one log again and again, and says how long the fastest time took: what `bench/formats.py` asks of each format.
//!
//! `throughput FORMAT FILE [LOG_LINE_PREFIX]` prints bytes, rows, rows that were not understood, and nanoseconds.

#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends here")]

use std::hint::black_box;
use std::sync::Arc;

use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format, Frame, Framer, Parsed, Scratch, assemble, dialect_of, each, each_of, parse};

/// So many times: a machine with other work to do is undisturbed in one of them.
const TIMES: usize = 15;

/// What a framer is shown at once: as much as the agent shows it of a record.
const WINDOW: usize = 1 << 20;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let format: Format = args.get(1).and_then(|name| name.parse().ok()).expect("a format");
    let log = std::fs::read(args.get(2).expect("a file")).expect("a file that can be read");
    let dialect = match args.get(3) {
        Some(text) => {
            let prefix = Prefix::preset(text).map_or_else(|| Prefix::compile(text), Ok).expect("a prefix");
            Dialect { prefix: Some(Arc::new(prefix)), ..Dialect::from(format) }
        }
        None => dialect_of(format, &log[..log.len().min(WINDOW)]),
    };
    let mut fastest = u64::MAX;
    let mut rows = Rows::default();
    for _ in 0..TIMES {
        let begun = nanoseconds_on_a_core();
        rows = read(&dialect, &log);
        fastest = fastest.min(nanoseconds_on_a_core() - begun);
    }
    println!("{} {} {} {fastest}", log.len(), rows.understood, rows.unparsed);
}

/// Of this thread, which is the only one: what others do on the machine does not count.
fn nanoseconds_on_a_core() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("no time before the beginning")
}

#[derive(Default)]
struct Rows {
    understood: u64,
    unparsed: u64,
}

impl Rows {
    fn count(&mut self, parsed: &Parsed<'_>) {
        match black_box(parsed) {
            Parsed::Record(_) => self.understood += 1,
            Parsed::Unparsed { .. } => self.unparsed += 1,
            Parsed::Nothing { .. } | Parsed::Piece(_) | Parsed::Several => {}
        }
    }
}

fn read(dialect: &Dialect, log: &[u8]) -> Rows {
    let mut framer = Framer::new(dialect);
    let mut scratch = Scratch::new();
    let mut rows = Rows::default();
    let mut rest = log;
    while !rest.is_empty() {
        let shown = &rest[..rest.len().min(WINDOW)];
        let len = match framer.next(shown, shown.len() == rest.len()) {
            Frame::Record { len } => len,
            Frame::Open { len } => {
                framer.close();
                len
            }
            Frame::Damaged { len, .. } => {
                rows.unparsed += 1;
                rest = &rest[len..];
                continue;
            }
            Frame::Incomplete => break,
        };
        let (is_piece, is_several) = {
            let parsed = parse(dialect, &rest[..len], &mut scratch);
            rows.count(&parsed);
            (matches!(parsed, Parsed::Piece(_)), matches!(parsed, Parsed::Several))
        };
        if is_piece {
            // As if it were all of its row, which most are.
            let row = assemble(dialect, &[&rest[..len]], true, &mut scratch);
            if matches!(row, Parsed::Several) {
                drop(row);
                each_of(dialect, &[&rest[..len]], &mut scratch, &mut |row, _| rows.count(&row));
            } else {
                rows.understood += u64::from(matches!(black_box(row), Parsed::Record(_)));
            }
        }
        if is_several {
            each(dialect, &rest[..len], &mut scratch, &mut |row| rows.count(&row));
        }
        rest = &rest[len..];
    }
    rows
}
