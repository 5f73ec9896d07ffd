//! Any payload behind AUDIT gives the same record through csvlog and through jsonlog.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::{Format, Parsed, Scratch, parse};

fuzz_target!(|payload: &[u8]| {
    let (csv, json) = (csv_row(payload), json_row(payload));
    let (mut left, mut right) = (Scratch::new(), Scratch::new());
    let left = parse(&Format::PostgresCsvlog.into(), &csv, &mut left);
    let right = parse(&Format::PostgresJsonlog.into(), &json, &mut right);
    let (Parsed::Record(left), Parsed::Record(right)) = (left, right) else { panic!("not a row") };
    assert_eq!(left, right);
    if let Some(statement) = left.statement {
        statement.parameters.iter().for_each(drop);
    }
});

fn csv_row(payload: &[u8]) -> Vec<u8> {
    let mut row = b"2026-11-20 20:28:31.848 UTC,,,1,,a.b,1,,2026-11-20 20:28:31 UTC,,0,LOG,00000,\"AUDIT: ".to_vec();
    for byte in payload {
        row.extend(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
    }
    row.extend(b"\",,,,,,,,\n");
    row
}

fn json_row(payload: &[u8]) -> Vec<u8> {
    let mut row = br#"{"timestamp":"2026-11-20 20:28:31.848 UTC","pid":1,"session_id":"a.b","line_num":1,"#.to_vec();
    row.extend(br#""session_start":"2026-11-20 20:28:31 UTC","error_severity":"LOG","message":"AUDIT: "#);
    for byte in payload {
        match byte {
            b'"' | b'\\' => row.extend([b'\\', *byte]),
            0..0x20 => row.extend(format!("\\u{byte:04x}").bytes()),
            _ => row.push(*byte),
        }
    }
    row.extend(b"\"}\n");
    row
}
