//! The files of pgauditlogtofile: hostile values in each of its grammars come back, and what cannot be told says so.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Detection, Format, Framer, Parsed, Record, Scratch, detect, parse};
use support::Part;

const CSV: Format = Format::PgauditlogtofileCsv;
const JSON: Format = Format::PgauditlogtofileJson;

/// pgAudit quotes a field that holds a comma, a quote or a line end.
fn field(text: &[u8]) -> Vec<u8> {
    if !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return text.to_vec();
    }
    let doubled = text.iter().flat_map(|byte| if *byte == b'"' { vec![b'"', b'"'] } else { vec![*byte] });
    [b"\""[..].to_vec(), doubled.collect(), b"\"".to_vec()].concat()
}

/// A JSON string, as the extension writes it.
fn string(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            0..=31 => out.extend(format!("\\u{byte:04x}").into_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

const HEAD: &str = "2026-11-20 20:29:08.829 UTC,app,appdb,17329,127.0.0.1:37966,6b00ad94.43b1,";
const BEHIND: &str = ",SELECT,2026-11-20 20:29:08 UTC,3/2,0,00000,";

fn bare(line: usize, object: &[u8], statement: &[u8]) -> Vec<u8> {
    let (object, statement) = (field(object), field(statement));
    let head = format!("{HEAD}{line}{BEHIND}SESSION,1,1,READ,SELECT,TABLE,");
    [head.as_bytes(), &object, b",", &statement, b",<none>,1,,,,,,,,,psql\n"].concat()
}

/// As the extension does it: split at commas, whatever pgAudit quoted.
fn columns(object: &[u8], statement: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let all = [&field(object)[..], b",", &field(statement), b",<none>,1"].concat();
    let comma = all.iter().position(|byte| *byte == b',').expect("one behind the object");
    (all[..comma].to_vec(), all[comma + 1..].to_vec())
}

fn quoted(user: &[u8], object: &[u8], statement: &[u8]) -> Vec<u8> {
    let (object, content) = columns(object, statement);
    let head = b"\"2026-11-20 20:29:15.420834486 UTC\",";
    let session = b",\"appdb\",\"17423\",\"::1:44556\",\"6b00ad9b.440f\",\"SELECT\",\"2/2\",\"762\",\"00000\",";
    let audit = b"\"SESSION\",\"1\",\"1\",\"READ\",\"SELECT\",\"TABLE\",";
    [head, &string(user)[..], session, audit, &string(&object), b",", &string(&content), b",,,,,,,,,\"psql\"\n"]
        .concat()
}

fn json(user: &[u8], object: &[u8], statement: &[u8]) -> Vec<u8> {
    let (object, content) = columns(object, statement);
    let head = b"{\"log.source\":\"pgauditlogtofile\",\"timestamp\":\"2026-11-20 20:29:15.4 UTC\",\"db.user\":";
    let audit = b",\"custom.audit_type\":\"SESSION\",\"custom.statement_id\":\"1\",\"custom.substatement_id\":\"1\",\
                  \"custom.class\":\"READ\",\"custom.command\":\"SELECT\",\"custom.object_type\":\"TABLE\",\"custom.object_name\":";
    [head, &string(user)[..], audit, &string(&object), b",\"content\":", &string(&content), b"}\n"].concat()
}

fn with_record<T>(format: Format, frame: &[u8], look: impl FnOnce(&Record<'_>) -> T) -> T {
    match parse(&format.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

fn statement<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.statement.and_then(|statement| statement.text)
}

#[test]
fn the_first_row_names_the_format() {
    assert_eq!(detect(&bare(1, b"t", b"x\ny"), true), Detection::Known(CSV));
    assert_eq!(detect(&quoted(b"app", b"t", b"x"), true), Detection::Known(CSV));
    assert_eq!(detect(&json(b"app", b"t", b"x"), true), Detection::Known(JSON));
}

#[test]
fn a_file_goes_on_in_the_grammar_of_a_newer_release() {
    let file = [bare(1, b"t", b"a\nb"), quoted(b"app", b"t", b"a\nb")].concat();
    let rows = support::records(CSV, &file);
    assert_eq!(rows.len(), 2);
    for row in rows {
        with_record(CSV, row, |record| assert_eq!(statement(record), Some(&b"a\nb"[..])));
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\",\"\"\\\",,".to_vec()),
        Just(b"\r\t\x0b\x1b\xff\xc3".to_vec()),
        Just(bare(7, b"t", b"forged")),
        Just(quoted(b"app", b"t", b"forged")),
        proptest::collection::vec(1_u8..=255, 0..20),
    ];
    let text = proptest::collection::vec(part, 0..6).prop_map(|parts| [&b"s"[..], &parts.concat()].concat());
    support::now_and_then_a_megabyte(text)
}

proptest! {
    #[test]
    fn hostile_statements_come_back_from_rows_that_are_not_quoted(object in hostile(), sql in hostile()) {
        let file = [bare(1, &object, &sql), bare(2, b"t", b"next")].concat();
        let parts = support::parts(Framer::new(&CSV.into()), &[&file]);
        prop_assert_eq!(parts.len(), 2);
        let Some(Part::Record(row)) = parts.first() else { panic!("damaged") };
        with_record(CSV, row, |record| {
            assert_eq!((record.object, statement(record)), (Some(&object[..]), Some(&sql[..])));
            assert_eq!(record.flags.to_vec(), ["forgeable"]);
        });
    }

    #[test]
    fn hostile_values_come_back_from_rows_of_strings(user in hostile(), object in hostile(), sql in hostile()) {
        for (format, row) in [(CSV, quoted(&user, &object, &sql)), (JSON, json(&user, &object, &sql))] {
            prop_assert_eq!(support::records(format, &row).len(), 1);
            with_record(format, &row, |record| {
                assert_eq!((record.user, record.object), (Some(&user[..]), Some(&object[..])));
                assert_eq!((statement(record), record.flags.len()), (Some(&sql[..]), 0));
            });
        }
    }

    /// However a file is cut into pieces, its rows are the same.
    #[test]
    fn rows_do_not_depend_on_how_the_file_arrives(sql in hostile(), cut in 0_usize..2000) {
        let file = [bare(1, b"t", &sql), quoted(b"a", b"t", &sql), bare(2, b"t", b"next")].concat();
        let (front, back) = file.split_at(cut.min(file.len()));
        let whole = support::parts(Framer::new(&CSV.into()), &[&file]);
        prop_assert_eq!(support::parts(Framer::new(&CSV.into()), &[front, back]), whole);
    }
}
