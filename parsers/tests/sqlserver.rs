//! SQL Server's rows come back as they went in, from every form, where the form can carry them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Act, Dialect, Format, Framer, Parsed, Record, Scratch, assemble, parse};
use support::{Part, parts, whole};

const FORMS: [Format; 4] =
    [Format::SqlserverEvent, Format::SqlserverEventJson, Format::SqlserverAuditCsv, Format::SqlserverAuditJson];

/// The columns that the forms differ in nothing but order; the statement is a client's.
const COLUMNS: [&str; 26] = [
    "event_time",
    "sequence_number",
    "action_id",
    "succeeded",
    "permission_bitmask",
    "is_column_permission",
    "session_id",
    "server_principal_id",
    "database_principal_id",
    "target_server_principal_id",
    "target_database_principal_id",
    "object_id",
    "class_type",
    "session_server_principal_name",
    "server_principal_name",
    "server_principal_sid",
    "database_principal_name",
    "target_server_principal_name",
    "target_server_principal_sid",
    "target_database_principal_name",
    "server_instance_name",
    "database_name",
    "schema_name",
    "object_name",
    "statement",
    "additional_information",
];

fn value<'a>(column: &str, number: &'a str, statement: &'a str) -> &'a str {
    match column {
        "event_time" => "2026-10-23 03:11:01.1300947",
        "sequence_number" => number,
        "action_id" => "SL  ",
        "succeeded" => "true",
        "session_id" => "55",
        "session_server_principal_name" => "SHOP\\clerk",
        "object_name" => "orders",
        "schema_name" => "dbo",
        "statement" => statement,
        "sequence_group_id" => "02BE335D",
        _ => "",
    }
}

fn event(number: &str, statement: &str) -> String {
    const ORDER: [&str; 14] = [
        "audit_schema_version",
        "event_time",
        "sequence_number",
        "action_id",
        "succeeded",
        "session_id",
        "sequence_group_id",
        "session_server_principal_name",
        "schema_name",
        "object_name",
        "statement",
        "additional_information",
        "user_defined_information",
        "host_name",
    ];
    ORDER.map(|column| format!("{column}:{}", value(column, number, statement))).join("\n")
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        '"' | '\\' => format!("\\{char}"),
        '\n' => "\\n".to_owned(),
        char if char < ' ' => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// As the form writes it.
fn row(form: Format, number: &str, statement: &str) -> Vec<u8> {
    match form {
        Format::SqlserverEvent => format!("Audit event: {}\n", event(number, statement)),
        Format::SqlserverEventJson => {
            format!("{{\"EventID\":33205,\"Message\":{}}}\n", quoted(&event(number, statement)))
        }
        Format::SqlserverAuditCsv => {
            let column = |column| format!("\"{}\"", value(column, number, statement).replace('"', "\"\""));
            format!("{}\r\n", COLUMNS.map(column).join(","))
        }
        _ => {
            let member = |column| format!("\"{column}\":{}", quoted(value(column, number, statement)));
            format!("{{{}}}", COLUMNS.map(member).join(","))
        }
    }
    .into_bytes()
}

/// What a client writes: line ends, quotes, keys, whole events, control bytes; now and then close to the longest.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\nhost_name:forged\n".to_owned()),
        Just("\nadditional_information:forged".to_owned()),
        Just("\"2026-10-23 03:11:01\",\"1\",\"SL\",\"true\"\n".to_owned()),
        Just("\",\"\n".to_owned()),
        Just("\u{0a0a}\u{1f600}é".to_owned()),
        "[\\x01-\\x7f]{0,12}",
        Just("x".repeat(3000)),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat().chars().take(3000).collect())
}

fn with_record<T>(form: Format, frame: &[u8], look: impl FnOnce(&Record<'_>) -> T) -> T {
    match parse(&form.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

fn statement<'a>(record: &Record<'a>) -> &'a [u8] {
    record.statement.and_then(|statement| statement.text).unwrap_or_default()
}

/// The first of a row's frames is a piece; all of them are one row.
fn with_assembled<T>(form: Format, frames: &[&[u8]], complete: bool, look: impl FnOnce(&Record<'_>) -> T) -> T {
    match assemble(&Dialect::from(form), frames, complete, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_statement_comes_back_as_it_went_in(text in hostile()) {
        for form in FORMS {
            let frame = row(form, "1", &text);
            with_record(form, &frame, |record| {
                assert_eq!(statement(record).escape_ascii().to_string(), text.as_bytes().escape_ascii().to_string(), "{form}");
                assert_eq!((record.user, record.object), (Some(&b"SHOP\\clerk"[..]), Some(&b"dbo.orders"[..])));
                let ambiguous = text.contains("\nhost_name:") || text.contains("\nadditional_information:");
                let marked = record.flags.contains(&"forgeable");
                assert!(marked || !ambiguous || matches!(form, Format::SqlserverAuditCsv | Format::SqlserverAuditJson));
            });
        }
    }

    #[test]
    fn rows_are_framed_whatever_they_hold(texts in proptest::collection::vec(hostile(), 1..5), step in 1..97_usize) {
        for form in [Format::SqlserverEventJson, Format::SqlserverAuditCsv, Format::SqlserverAuditJson] {
            let rows: Vec<_> = texts.iter().map(|text| row(form, "1", text)).collect();
            let file = rows.concat();
            let pieces: Vec<_> = file.chunks(step).collect();
            let found = parts(Framer::new(&form.into()), &pieces);
            let expected: Vec<_> = rows.into_iter().map(Part::Record).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn half_a_row_costs_no_other(texts in proptest::collection::vec(hostile(), 1..4), at: usize) {
        let form = Format::SqlserverAuditCsv;
        let rows: Vec<_> = texts.iter().map(|text| row(form, "1", text)).collect();
        let torn = [&rows[0][..at % rows[0].len()], b"\r\n"].concat();
        let found = whole(form, &[torn, rows.concat()].concat());
        // What imitates a row inside the half may end the damage.
        let sound = texts.iter().all(|text| !text.contains("2026"));
        for row in rows {
            prop_assert!(!sound || found.contains(&Part::Record(row)));
        }
    }
}

#[test]
fn a_long_statement_is_one_row() {
    let (first, second) = ("é".repeat(4000), "tail".to_owned());
    for form in FORMS {
        let (first_row, second_row) = (row(form, "1", &first), row(form, "2", &second));
        let (mut scratch, mut other) = (Scratch::new(), Scratch::new());
        let Parsed::Piece(piece) = parse(&form.into(), &first_row, &mut scratch) else { panic!("{form}: no piece") };
        let Parsed::Piece(next) = parse(&form.into(), &second_row, &mut other) else { panic!("{form}: no piece") };
        assert_eq!((piece.number, piece.is_last, next.number, next.is_last), (1, None, 2, Some(true)));
        assert_eq!((piece.writer, piece.row), (next.writer, next.row));
        // In the order of their numbers, whatever order they came in.
        with_assembled(form, &[&second_row, &first_row], true, |record| {
            assert_eq!(statement(record), format!("{first}{second}").as_bytes());
            assert!(!record.flags.contains(&"incomplete"));
        });
        with_assembled(form, &[&second_row], true, |record| assert!(record.flags.contains(&"incomplete")));
        with_assembled(form, &[&first_row], false, |record| assert!(record.flags.contains(&"incomplete")));
    }
}

#[test]
fn the_error_log_is_read_wherever_reading_begins() {
    let line = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let row = line(
        "2026-10-23 03:11:01.13 Logon       Login failed for user 'ਊ'. Reason: x. [CLIENT: 10.0.0.7]\r\n\tmore\r\n",
    );
    let file = [&b"\xff\xfe"[..], &row, &row, &row].concat();
    for from in 1..row.len() {
        let found = parts(Framer::mid_file(&Format::SqlserverErrorlog.into()), &[&file[from..]]);
        let records = found.iter().filter(|part| **part == Part::Record(row.clone())).count();
        assert_eq!(records, 2, "from byte {from}");
    }
    with_record(Format::SqlserverErrorlog, &row, |record| {
        assert_eq!((record.act, record.user), (Act::LoginFailed, Some("ਊ".as_bytes())));
    });
}
