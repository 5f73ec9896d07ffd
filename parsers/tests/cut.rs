//! A row that is cut in the middle of its long text is still a row, and says what the whole one said.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Act, Cut, Dialect, Format, Parsed, Scratch, Value, parse};

const CSV: Format = Format::PostgresCsvlog;
const JSON: Format = Format::PostgresJsonlog;

/// pgAudit's message about this statement.
fn audit(sql: &str) -> String {
    format!("AUDIT: SESSION,12,1,WRITE,INSERT,TABLE,public.t,\"{}\",<none>,7", sql.replace('"', "\"\""))
}

fn row(format: Format, message: &str, more: &str) -> Vec<u8> {
    match format {
        CSV => csv(message, more),
        JSON => json(message, more),
        other => panic!("{other} is not cut"),
    }
}

/// `more` is the context, a column that only a raised message has.
fn csv(message: &str, more: &str) -> Vec<u8> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let context = if more.is_empty() { String::new() } else { quoted(more) };
    format!(
        "2026-11-20 20:28:31.848 UTC,\"app\",\"appdb\",17078,\"127.0.0.1:53384\",6b00ad6f.42b6,14,\"INSERT\",\
         2026-11-20 20:28:31 UTC,3/38,748,LOG,00000,{},,,,,{context},,,,\"psql, \"\"v1\"\"\",\"client backend\",,-18\n",
        quoted(message)
    )
    .into_bytes()
}

fn json(message: &str, more: &str) -> Vec<u8> {
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\u{1}', "\\u0001");
        format!("\"{escaped}\"")
    };
    let context = if more.is_empty() { String::new() } else { format!("\"context\":{},", quoted(more)) };
    format!(
        "{{\"timestamp\":\"2026-11-20 20:28:31.848 UTC\",\"user\":\"app\",\"dbname\":\"appdb\",\"pid\":17078,\"remote_host\":\"127.0.0.1\",\
         \"session_id\":\"6b00ad6f.42b6\",\"line_num\":14,\"ps\":\"INSERT\",\"txid\":748,\"error_severity\":\"LOG\",\"message\":{},{context}\
         \"application_name\":\"psql, \\\"v1\\\"\",\"backend_type\":\"client backend\",\"query_id\":-18}}\n",
        quoted(message)
    )
    .into_bytes()
}

fn cut(format: Format, row: &[u8], head: usize, tail: usize, step: usize) -> Cut {
    let mut cut = Cut::new(format, head, tail);
    row.chunks(step).for_each(|piece| cut.push(piece));
    assert_eq!(cut.length(), row.len() as u64);
    cut
}

/// What the row says, but for the statement's text.
fn said(format: Format, row: &[u8]) -> Option<(String, String)> {
    let mut scratch = Scratch::new();
    let Parsed::Record(mut record) = parse(&format.into(), row, &mut scratch) else { return None };
    let text = record.statement.and_then(|statement| statement.text).unwrap_or_default();
    let text = String::from_utf8_lossy(text).into_owned();
    record.statement = record.statement.map(|statement| sealtrail_parsers::Statement { text: None, ..statement });
    Some((support::show(&record), text))
}

#[test]
fn a_statement_that_is_cut_leaves_every_other_field_as_it_was() {
    let sql = format!("INSERT INTO t VALUES ('{}')", "it''s \"é\"\n\u{1} ".repeat(2000));
    for format in [CSV, JSON] {
        let row = row(format, &audit(&sql), "");
        let (whole, text) = said(format, &row).expect("a row");
        let shortened = cut(format, &row, 1000, 500, 77).shortened().expect("one text");
        let (fields, shown) = said(format, &shortened).expect("a row");
        assert_eq!(fields, whole);
        assert!(shortened.len() < 1600);
        let (before, behind) = shown.split_once("[... ").expect("a note of what is missing");
        let (missing, behind) = behind.split_once(" bytes ...]").expect("a note of what is missing");
        assert!(text.starts_with(before) && text.ends_with(behind), "{shown}");
        assert_eq!(
            shortened.len() - "[...  bytes ...]".len() - missing.len(),
            row.len() - missing.parse::<usize>().expect("a number")
        );
    }
}

/// Up to the end of the text all that is left of it may be escapes.
#[test]
fn a_statement_of_nothing_but_escapes_is_cut_between_two_of_them_wherever_that_is() {
    for sql in
        ["\\".repeat(3000), "\u{1}".repeat(900), "\n".repeat(3000), "\\\n\"x".repeat(900), "ab\u{1}é".repeat(500)]
    {
        for format in [CSV, JSON] {
            let row = row(format, &audit(&sql), "");
            let (whole, text) = said(format, &row).expect("a row");
            for (head, tail) in
                (0..13).flat_map(|more| [(400 + more, 300), (400, 300 + more), (400 + more, 300 + more)])
            {
                let shortened = cut(format, &row, head, tail, 333).shortened().expect("a row");
                let (fields, shown) =
                    said(format, &shortened).unwrap_or_else(|| panic!("no row: {}", shortened.escape_ascii()));
                assert_eq!(fields, whole, "{}", shortened.escape_ascii());
                let (before, note) = shown.split_once("[... ").expect("a note of what is missing");
                let (_, behind) = note.split_once(" bytes ...]").expect("a note of what is missing");
                assert!(text.starts_with(before) && text.ends_with(behind), "{shown}");
            }
        }
    }
}

/// Where the statement's field ends in the row.
fn end_of_statement(format: Format, row: &[u8], parameters: &str) -> usize {
    let behind = format!(",{parameters},7");
    let behind = if format == CSV { behind.replace('"', "\"\"") } else { behind.replace('"', "\\\"") };
    let is_it = |at: &usize| row[*at..].starts_with(behind.as_bytes());
    (0..row.len()).rfind(is_it).expect("the statement's end")
}

/// How many quotes stand at the end tells pgAudit's reader where a field ends.
#[test]
fn a_statement_whose_last_bytes_are_quotes_is_cut_anywhere_among_them() {
    for quotes in 0..9 {
        for (sql, parameters) in [
            (format!("SELECT {}{}", "x ".repeat(300), "\"".repeat(quotes)), "<none>"),
            (format!("SELECT {}{} ", "x ".repeat(300), "\"".repeat(quotes)), "\"\"\"a\"\",b\""),
            (format!("{}{}", "x".repeat(300), "\"".repeat(300 + quotes)), "<none>"),
            (format!("x{}\\", "\"\\".repeat(200 + quotes)), "\"1,\"\"\"\"\"\"\"\"\""),
        ] {
            let message = audit(&sql).replace("<none>", parameters);
            for format in [CSV, JSON] {
                let row = row(format, &message, "");
                let (whole, text) = said(format, &row).expect("a row");
                assert!(whole.contains("class"), "pgAudit's: {whole}");
                let behind_statement = row.len() - end_of_statement(format, &row, parameters);
                for tail in 60..200 {
                    let shortened = cut(format, &row, 400, tail, 7 * tail).shortened().expect("a row");
                    let said = said(format, &shortened);
                    let (fields, shown) = said.unwrap_or_else(|| panic!("no row: {}", shortened.escape_ascii()));
                    if tail >= behind_statement {
                        assert_eq!(fields, whole, "{}", shortened.escape_ascii());
                        let (_, end) = shown.split_once(" bytes ...]").expect("a note of what is missing");
                        assert!(text.ends_with(end), "{shown}");
                    } else {
                        assert!(fields.starts_with("act: Message"), "nothing untrue: {}", shortened.escape_ascii());
                    }
                }
            }
        }
    }
}

/// Fields without quotes are told apart by commas alone.
#[test]
fn no_field_of_pgaudit_is_taken_for_another_wherever_it_is_cut() {
    let long = |letter: char| letter.to_string().repeat(400);
    let quoted = format!("\"{},\"\"{}\"", long('c'), long('d'));
    for (statement, parameters) in [
        (long('a'), long('b')),
        (quoted.clone(), long('b')),
        (long('a'), quoted.clone()),
        (quoted.clone(), quoted.clone()),
        (long('a'), "\"\"\"\"\"\"\"\"".to_owned()),
    ] {
        let message = format!("AUDIT: SESSION,12,1,READ,SELECT,,,{statement},{parameters},7");
        for format in [CSV, JSON, Format::PostgresStderr] {
            let row = match format {
                Format::PostgresStderr => format!("2026-11-20 20:28:31.848 UTC [17078] LOG:  {message}\n").into_bytes(),
                format => row(format, &message, ""),
            };
            for tail in (20..1100).step_by(3) {
                for head in [300, 500, 800] {
                    let shortened = cut(format, &row, head, tail, 97).shortened().expect("a row");
                    let mut scratch = Scratch::new();
                    let dialect = match format {
                        Format::PostgresStderr => {
                            let prefix = Prefix::compile("%m [%p] ").expect("a prefix");
                            Dialect { prefix: Some(Arc::new(prefix)), ..Format::PostgresStderr.into() }
                        }
                        format => format.into(),
                    };
                    let Parsed::Record(record) = parse(&dialect, &shortened, &mut scratch) else { panic!("no row") };
                    let Some(told) = record.statement else { continue };
                    let shown = shortened.escape_ascii();
                    // What stands behind the last text may be left out with the rest of it, never taken for it.
                    let last = told.parameters.iter().last().map(|last| last.into_owned()).unwrap_or_default();
                    let is_left_out = last.ends_with(b" bytes ...]");
                    assert!(told.rows == Some(7) || told.rows.is_none() && is_left_out, "{shown}");
                    let is_of = |text: &[u8], letters: &str| {
                        let note = memchr::memmem::find(text, b"[... ").unwrap_or(text.len());
                        text[..note].iter().all(|byte| letters.as_bytes().contains(byte))
                    };
                    assert!(is_of(told.text.unwrap_or_default(), "acd,\""), "{shown}");
                    for parameter in told.parameters.iter() {
                        assert!(is_of(&parameter, "bcd,\""), "{shown}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_raised_is_not_taken_for_pgaudits_however_large_it_is() {
    let large = "x\"\n".repeat(3000);
    for format in [CSV, JSON] {
        for (message, context) in [(audit(&large), "at RAISE"), (audit(&large), &large), (audit("x"), &large)] {
            let row = row(format, &message, context);
            let shortened = cut(format, &row, 600, 300, 1000).shortened().expect("a row");
            let mut scratch = Scratch::new();
            let Parsed::Record(record) = parse(&format.into(), &shortened, &mut scratch) else { panic!("no row") };
            assert_eq!(record.act, Act::Message, "{}", shortened.escape_ascii());
        }
    }
}

#[test]
fn of_several_large_texts_each_is_shortened_and_short_ones_between_them_are_kept() {
    for format in [CSV, JSON] {
        let row = row(format, &format!("statement: {}", "a".repeat(5000)), &"b".repeat(5000));
        let shortened = cut(format, &row, 600, 600, 1000).shortened().expect("a row");
        let text = String::from_utf8(shortened).expect("text");
        assert_eq!(text.matches(" bytes ...]").count(), 2, "{text}");
        assert!(text.contains("aaa[... ") && text.contains(" bytes ...]bbb"), "{text}");
        let shortest = cut(format, &row, 300, 1, 1000).shortened().expect("a row");
        let text = String::from_utf8(shortest).expect("text");
        assert!(
            text.contains("client backend") && text.contains("psql, ") && text.contains("[... 5000 bytes ...]"),
            "{text}"
        );
    }
}

#[test]
fn what_has_more_texts_than_a_row_is_not_shortened() {
    for format in [CSV, JSON] {
        for step in [1, 100, 10_000] {
            assert_eq!(cut(format, &b"\"a\",".repeat(1000), 10, 10, step).shortened(), None);
            assert_eq!(cut(format, &b"a,".repeat(1000), 10, 10, step).shortened(), None);
        }
    }
}

#[test]
fn what_is_not_larger_than_both_ends_is_whole() {
    for format in [CSV, JSON] {
        let row = row(format, &audit("é\"é"), "");
        for head in 1..row.len() {
            let cut = cut(format, &row, head, row.len() - head, 13);
            assert_eq!(cut.shortened().as_deref(), Some(&row[..]));
            assert_eq!([cut.head(), cut.tail()].concat(), row);
        }
    }
}

/// Text of what is hard to cut.
fn hard_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\""),
        Just("\"\""),
        Just("\\"),
        Just("é"),
        Just("\u{1}"),
        Just(","),
        Just("\n"),
        Just("ab"),
        Just("𝄞")
    ];
    proptest::collection::vec(piece, 1..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn wherever_it_is_cut_a_row_says_the_same(
        text in hard_text(), context in prop_oneof![2 => Just(String::new()), 1 => hard_text()],
        head in 300..900_usize, tail in 1..400_usize, step in 1..500_usize, is_csv in any::<bool>(),
    ) {
        let format = if is_csv { CSV } else { JSON };
        let row = row(format, &format!("statement: {text}"), &context);
        let cut_up = cut(format, &row, head, tail, step);
        let at_once = cut(format, &row, head, tail, row.len());
        prop_assert_eq!(cut_up.shortened(), at_once.shortened());
        prop_assert_eq!((cut_up.head(), cut_up.tail()), (at_once.head(), at_once.tail()));
        let shortened = cut_up.shortened().expect("a row");
        prop_assert!(std::str::from_utf8(&shortened).is_ok());
        let (mut scratch, mut other) = (Scratch::new(), Scratch::new());
        let Parsed::Record(record) = parse(&format.into(), &shortened, &mut scratch) else { panic!("no row: {}", shortened.escape_ascii()) };
        let Parsed::Record(whole) = parse(&format.into(), &row, &mut other) else { panic!("no row") };
        prop_assert_eq!((record.act, record.time, record.client), (whole.act, whole.time, whole.client));
        prop_assert_eq!((record.session, record.user, record.database), (whole.session, whole.user, whole.database));
        let names = |record: &sealtrail_parsers::Record<'_>| record.extra.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        prop_assert_eq!(names(&record), names(&whole));
    }

    #[test]
    fn any_bytes_can_be_cut_anywhere(
        bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b'\t'), Just(0xc3), Just(0xa9), Just(b'a'), any::<u8>()], 0..300),
        head in 0..40_usize, tail in 1..40_usize, step in 1..50_usize,
        format in prop_oneof![Just(CSV), Just(JSON), Just(Format::PostgresStderr), Just(Format::PgauditlogtofileCsv)],
    ) {
        let cut_up = cut(format, &bytes, head, tail, step);
        let at_once = cut(format, &bytes, head, tail, bytes.len().max(1));
        prop_assert_eq!(cut_up.shortened(), at_once.shortened());
        prop_assert!(bytes.starts_with(cut_up.head()) && bytes.ends_with(cut_up.tail()));
    }
}

#[test]
fn a_row_of_several_entries_keeps_the_beginning_of_each() {
    let prefix = |number: u32| format!("2026-11-20 20:28:31.848 UTC [17078] 6b00ad6f.42b6 {number} app@appdb ");
    let long = |name: &str| format!("{name} begins {} {name} ends", "é 2026-11-20 LOG:  x\n\t".repeat(400));
    let (message, detail, sql) = (long("message"), long("detail"), long("statement"));
    let row = format!(
        "{}ERROR:  {message}\n{}DETAIL:  {detail}\n{}HINT:  hint\n{}STATEMENT:  {sql}\n",
        prefix(7),
        prefix(8),
        prefix(9),
        prefix(10)
    );
    let prefix = Prefix::compile("%m [%p] %c %l %u@%d ").expect("a prefix");
    let dialect = Dialect { prefix: Some(Arc::new(prefix)), ..Format::PostgresStderr.into() };
    for ends in (120..2_000).chain((2_000..row.len()).step_by(97)) {
        let cut = cut(Format::PostgresStderr, row.as_bytes(), ends, ends, 1 + ends % 61);
        let shortened = cut.shortened().expect("a row");
        assert!(shortened.len() <= row.len().min(2 * ends + 4 * 1200), "{ends}");
        let mut scratch = Scratch::new();
        let Parsed::Record(record) = parse(&dialect, &shortened, &mut scratch) else {
            panic!("{ends}: {}", shortened.escape_ascii())
        };
        assert_eq!(record.act, Act::FailedStatement);
        let extra = |name: &str| record.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        assert_eq!(extra("log_line_number"), Some(Value::Int(7)), "{ends}");
        assert_eq!(extra("log_line_number_last"), Some(Value::Int(10)), "{ends}");
        assert_eq!(extra("hint"), Some(Value::Text(b"hint")), "{ends}");
        let statement = record.statement.and_then(|statement| statement.text).expect("a statement");
        for (name, text) in [("message", record.error_message), ("statement", Some(statement))] {
            let text = String::from_utf8_lossy(text.expect("a text"));
            assert!(text.starts_with(&format!("{name} begins ")), "{ends}: {text}");
        }
        assert!(statement.ends_with(b"statement ends"), "{ends}");
    }
}
