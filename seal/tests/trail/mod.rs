//! A small trail to break: two segments of two blocks, three rows each, the second segment under a key of its own.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use sealtrail_seal::{Chain, FileRange, Rows, Seal, Signer, Verdict, Verifier};

pub const ORIGIN: &str = "acme/prod/db";

/// Lines of a segment, without newlines.
pub type Lines = Vec<Vec<u8>>;

pub fn signer(seed: u8) -> Signer {
    Signer::from_seed(ORIGIN, [seed; 32]).unwrap()
}

pub fn time(block: u64) -> String {
    format!("2026-01-02T03:04:{:02}.678Z", block + 5)
}

/// A row of 10 bytes at `offset`.
pub fn row(offset: u64) -> Vec<u8> {
    format!(
        r#"{{"v":1,"type":"event","id":"f1:{offset}","time":"2026-01-02T03:04:05Z","user":"bob","at":{{"file":"/a.log","offset":{offset},"length":10}}}}"#
    )
    .into_bytes()
}

pub fn range(from: u64, to: u64, rows: u64) -> FileRange {
    FileRange { id: "f1".into(), source: "pg".into(), path: "/a.log".into(), from, to, rows, ..FileRange::default() }
}

/// The trail's segments. Block `b` has the rows at `30 b`, `30 b + 10`, `30 b + 20`.
pub fn trail() -> Vec<Lines> {
    let mut chain = Chain::new(ORIGIN);
    (0..2u8)
        .map(|segment| {
            let mut out = Vec::new();
            let from = chain.block() * 30;
            let key = signer(segment);
            chain.begin_segment(key.verifier(), vec![range(from, from, 0)], &time(chain.block()), &mut out).unwrap();
            for _ in 0..2 {
                block(&mut chain, segment, &mut out);
            }
            split(&out)
        })
        .collect()
}

fn block(chain: &mut Chain, segment: u8, out: &mut Vec<u8>) {
    let number = chain.block();
    for i in 0..3 {
        let line = row(30 * number + 10 * i);
        chain.push(&line);
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
    let closes = number % 2 == 1;
    let seal = Seal {
        boot_id: "b".into(),
        since_boot_ms: 1000 * number,
        files: vec![range(30 * number, 30 * number + 30, 3)],
        rows: Rows { read: 3, ..Rows::default() },
        closes,
        next_key: closes.then(|| signer(segment + 1).verifier().to_string()),
        ..Seal::default()
    };
    chain.end_block(seal, &time(number), &signer(segment), out).unwrap();
}

pub fn split(bytes: &[u8]) -> Lines {
    let mut lines: Lines = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop();
    lines
}

/// Verifies segments that are named for these first lines.
pub fn verify_named(segments: &[(u64, Lines)]) -> Verdict {
    let mut verifier = Verifier::new(vec![signer(0).verifier().clone()]);
    for (first, lines) in segments {
        verifier.begin_segment(&first.to_string(), Some(*first), None);
        lines.iter().for_each(|line| verifier.line(line));
        verifier.end_segment(false);
    }
    verifier.finish()
}

pub fn verify(segments: &[Lines]) -> Verdict {
    let firsts = [0, 11];
    verify_named(&firsts.into_iter().zip(segments.iter().cloned()).collect::<Vec<_>>())
}

/// The block that line `line` of segment `segment` is in: a head and five lines, then five lines.
pub fn block_of(segment: usize, line: usize) -> u64 {
    2 * segment as u64 + u64::from(line > 5)
}
