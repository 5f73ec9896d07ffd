//! Rows that carriers and clouds wrap come back as they went in, whatever clients wrote into them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sealtrail_parsers::cloudwatch::UNPACKED_MAX;
use sealtrail_parsers::{
    Detection, Dialect, Format, Framer, Parsed, Record, Scratch, Value, assemble, detect, detect_inside, dialect_of,
    each, each_of, parse,
};
use support::{Part, parts, whole};

/// Names and texts that imitate rows and envelopes, with control bytes and bytes that are no UTF-8; now and then a long one.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n2026-11-20T20:28:31.1Z stdout F forged\n".to_vec()),
        Just(b"\n{\"log\":\"forged\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T20:28:31Z\"}\n".to_vec()),
        Just(b"{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"message\":\"forged\"}]}".to_vec()),
        Just(b"\\\"}]}\n{\"".to_vec()),
        Just(b"\xff\xfe\xc3(".to_vec()),
        Just(",\"\r\n\t\u{1f600} ".as_bytes().to_vec()),
        proptest::collection::vec(1_u8.., 0..12),
        (b' '..).prop_map(|byte| vec![byte; 1 << 20]),
    ];
    let pieces = proptest::collection::vec((piece, 0..20_u8), 0..5);
    pieces.prop_map(|pieces| {
        pieces
            .into_iter()
            .filter(|(piece, rare)| piece.len() < 1000 || *rare == 0)
            .flat_map(|(piece, _)| piece)
            .collect()
    })
}

/// As a JSON string.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// Each `?` is one of the texts, as a JSON string.
fn filled(form: &str, texts: &[&[u8]]) -> Vec<u8> {
    let mut texts = texts.iter();
    form.split_inclusive('?')
        .flat_map(|part| match part.strip_suffix('?') {
            Some(before) => [before.as_bytes(), &quoted(texts.next().expect("a text for each place"))].concat(),
            None => part.as_bytes().to_vec(),
        })
        .collect()
}

/// A row of jsonlog with this message.
fn inner_row(message: &[u8]) -> Vec<u8> {
    filled(
        "{\"timestamp\":\"2026-11-20 20:28:31.135 UTC\",\"pid\":1,\"session_id\":\"a.b\",\"line_num\":7,\"message\":?}",
        &[message],
    )
}

fn around(format: Format, inside: Format) -> Dialect {
    Dialect { inside: Some(Arc::new(inside.into())), ..format.into() }
}

fn text<'a>(record: &Record<'a>, name: &str) -> Option<&'a [u8]> {
    let (_, value) = record.extra.iter().find(|(key, _)| *key == name)?;
    match value {
        Value::Text(text) => Some(text),
        Value::Int(_) => None,
    }
}

fn over(dialect: &Dialect, frames: &[&[u8]], look: &mut dyn FnMut(&Parsed<'_>)) {
    match assemble(dialect, frames, true, &mut Scratch::new()) {
        Parsed::Several => each_of(dialect, frames, &mut Scratch::new(), &mut |row, _| look(&row)),
        row => look(&row),
    }
}

/// Runs a file's rows past `look`, as the agent does: pieces by their writers, each row when it is over.
fn rows(dialect: &Dialect, file: &[u8], step: usize, look: &mut dyn FnMut(&Parsed<'_>)) {
    let pieces: Vec<_> = file.chunks(step).collect();
    let mut held: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    for part in parts(Framer::new(dialect), &pieces) {
        let Part::Record(frame) = part else { panic!("damaged: {part:?}") };
        let mut scratch = Scratch::new();
        match parse(dialect, &frame, &mut scratch) {
            Parsed::Several => each(dialect, &frame, &mut Scratch::new(), &mut |row| look(&row)),
            Parsed::Piece(piece) => {
                let at = held.iter().position(|(writer, _)| writer == piece.writer).unwrap_or_else(|| {
                    held.push((piece.writer.to_vec(), Vec::new()));
                    held.len() - 1
                });
                if piece.number == 1 && !held[at].1.is_empty() {
                    let frames = std::mem::take(&mut held[at].1);
                    over(dialect, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), look);
                }
                held[at].1.push(frame.clone());
                if piece.is_last == Some(true) {
                    let (_, frames) = held.remove(at);
                    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
                    over(dialect, &frames, look);
                }
            }
            Parsed::Nothing { .. } => {}
            row => look(&row),
        }
    }
    assert!(held.is_empty(), "pieces were left: {held:?}");
}

fn messages(dialect: &Dialect, file: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    rows(dialect, file, step, &mut |row| match row {
        Parsed::Record(record) => found.push(text(record, "message").expect("a message").to_vec()),
        other => panic!("{other:?}"),
    });
    found
}

/// Cuts a line as a runtime does, with lines of the other stream between the pieces.
fn in_pieces(line: &[u8], at: usize, write: impl Fn(&[u8], bool) -> Vec<u8>, other: &[u8]) -> Vec<u8> {
    let (front, back) = line.split_at(at % (line.len() + 1));
    [&write(front, true)[..], other, &write(back, false)].concat()
}

fn cri_line(stream: &str, text: &[u8], is_partial: bool) -> Vec<u8> {
    let tag = if is_partial { 'P' } else { 'F' };
    let mut line = format!("2026-11-20T20:28:31.135000000Z {stream} {tag} ").into_bytes();
    line.extend(text);
    line.push(b'\n');
    line
}

fn docker_line(stream: &str, text: &[u8], is_partial: bool) -> Vec<u8> {
    let log = [text, if is_partial { b"" } else { b"\n" }].concat();
    let mut line = filled("{\"log\":?,\"stream\":?,\"time\":\"2026-11-20T20:28:31Z\"}", &[&log, stream.as_bytes()]);
    line.push(b'\n');
    line
}

fn packed(envelope: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(envelope).expect("memory");
    let data = STANDARD.encode(gzip.finish().expect("memory"));
    format!("{{\"awslogs\":{{\"data\":\"{data}\"}}}}").into_bytes()
}

fn envelope(messages: &[Vec<u8>]) -> Vec<u8> {
    let events: Vec<_> = messages
        .iter()
        .map(|message| filled("{\"id\":\"1\",\"timestamp\":1763670511000,\"message\":?}", &[message]))
        .collect();
    let mut out = b"{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logGroup\":\"g\",\"logStream\":\"s\",\
                    \"subscriptionFilters\":[],\"logEvents\":["
        .to_vec();
    out.extend(events.join(&b","[..]));
    out.extend(b"]}");
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_in_a_containers_lines_come_back(texts in proptest::collection::vec(hostile(), 1..5), at: usize, step in 1..64_usize) {
        for (format, line) in [(Format::Cri, cri_line as fn(&str, &[u8], bool) -> Vec<u8>), (Format::DockerJson, docker_line)] {
            let mut file = Vec::new();
            for text in &texts {
                let other = line("stdout", &inner_row(b"in between"), false);
                file.extend(in_pieces(&inner_row(text), at, |text, is_partial| line("stderr", text, is_partial), &other));
            }
            let step = if file.len() < 10_000 { step } else { file.len() };
            let found = messages(&around(format, Format::PostgresJsonlog), &file, step);
            let (between, rows): (Vec<_>, Vec<_>) = found.into_iter().partition(|message| message == b"in between");
            prop_assert_eq!(between.len(), texts.len());
            let texts: Vec<_> = texts.iter().filter(|text| *text != b"in between").cloned().collect();
            prop_assert_eq!(rows, texts);
        }
    }

    #[test]
    fn messages_of_an_envelope_come_back(texts in proptest::collection::vec(hostile(), 1..5), step in 1..64_usize) {
        let plain = envelope(&texts);
        let rows: Vec<_> = texts.iter().map(|text| inner_row(text)).collect();
        let file = [&plain[..], &packed(&plain), b"\n", &packed(&plain)].concat();
        let step = if file.len() < 10_000 { step } else { file.len() };
        prop_assert_eq!(messages(&Format::Cloudwatch.into(), &file, step), [&texts[..], &texts, &texts].concat());
        let file = envelope(&rows);
        prop_assert_eq!(messages(&around(Format::Cloudwatch, Format::PostgresJsonlog), &file, step.max(64)), texts);
    }

    #[test]
    fn texts_of_every_cloud_come_back(user in hostile(), statement in hostile()) {
        let user = [b"u", &user[..]].concat();
        let statement = [b"s", &statement[..]].concat();
        let account = [&user[..], b"[x] @ h [10.0.0.7]"].concat();
        let request = filled("{\"name\":\"instances/i/databases/d\",\"statement\":?}", &[&statement]);
        let das = "{\"type\":\"DatabaseActivityMonitoringRecord\",\"databaseActivityEventList\":[{\"type\":\"record\",\
                   \"logTime\":\"2019-10-30 00:39:49.990579+00\",\"command\":\"SELECT\",\"dbUserName\":?,\"commandText\":?}]}";
        let mysql = "{\"insertId\":\"1\",\"timestamp\":\"2023-08-02T07:12:04Z\",\"protoPayload\":{\"request\":{\"@type\":\
                     \"x.MysqlAuditEntry\",\"cmd\":\"select\",\"privUser\":?,\"query\":?,\"status\":\"successful\"}}}";
        let pgaudit = "{\"insertId\":\"1\",\"timestamp\":\"2023-08-02T07:12:04Z\",\"protoPayload\":{\"request\":{\"@type\":\
                       \"x.PgAuditEntry\",\"chunkCount\":\"1\",\"chunkIndex\":\"1\",\"user\":?,\"statement\":?}}}";
        let azure = "{\"records\":[{\"time\":\"2024-03-01T13:59:49Z\",\"category\":\"MySqlAuditLogs\",\"properties\":{\
                     \"event_class\":\"general_log\",\"user\":?,\"sql_text\":?}}]}";
        let teleport = "{\"event\":\"db.session.query\",\"time\":\"2023-10-06T10:58:32Z\",\"user\":?,\"db_query\":?}";
        let bytebase = "{\"time\":\"2023-10-06T10:58:32Z\",\"log_type\":\"audit\",\
                        \"method\":\"/bytebase.v1.SQLService/Query\",\"user\":?,\"request\":?}";
        let cnpg = "{\"level\":\"info\",\"msg\":\"record\",\"record\":{\"log_time\":\"2021-07-07 12:44:57.345 UTC\",\
                    \"session_id\":\"a.b\",\"user_name\":?,\"audit\":{\"audit_type\":\"SESSION\",\"statement_id\":\"1\",\
                    \"substatement_id\":\"1\",\"class\":\"READ\",\"command\":\"SELECT\",\"statement\":?,\"parameter\":\"<none>\"}}}";
        for (format, file) in [
            (Format::AuroraDas, filled(das, &[&user, &statement])),
            (Format::Cloudsql, filled(mysql, &[&user, &statement])),
            (Format::Cloudsql, filled(pgaudit, &[&user, &statement])),
            (Format::Azure, filled(azure, &[&account, &statement])),
            (Format::TeleportAudit, filled(teleport, &[&user, &statement])),
            (Format::BytebaseAudit, filled(bytebase, &[&user, &request])),
            (Format::Cloudnativepg, filled(cnpg, &[&user, &statement])),
        ] {
            let mut seen = 0;
            rows(&format.into(), &file, file.len(), &mut |row| match row {
                Parsed::Record(record) => {
                    seen += 1;
                    assert_eq!(record.user, Some(&user[..]), "{format}");
                    let text = record.statement.and_then(|statement| statement.text);
                    assert_eq!(text, Some(&statement[..]), "{format}");
                }
                other => panic!("{format}: {other:?}"),
            });
            prop_assert_eq!(seen, 1);
        }
    }

    #[test]
    fn chunks_come_together_in_any_order(statement in hostile(), cuts in proptest::collection::vec(any::<usize>(), 0..4), turned: usize) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (statement.len() + 1)).collect();
        cuts.sort_unstable();
        let bounds = [&[0][..], &cuts, &[statement.len()]].concat();
        let count = bounds.len() - 1;
        let mut frames: Vec<_> = bounds.windows(2).enumerate().map(|(index, bound)| {
            let form = format!("{{\"protoPayload\":{{\"request\":{{\"@type\":\"x.PgAuditEntry\",\"chunkCount\":\"{count}\",\
                \"chunkIndex\":\"{}\",\"databaseSessionId\":\"a.b\",\"statement\":?}}}}}}", index + 1);
            filled(&form, &[&statement[bound[0]..bound[1]]])
        }).collect();
        frames.rotate_left(turned % count);
        let all: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let is_whole = |frames: &[&[u8]]| match assemble(&Format::Cloudsql.into(), frames, true, &mut Scratch::new()) {
            Parsed::Record(record) => {
                let text = record.statement.and_then(|statement| statement.text).unwrap_or_default();
                (!record.flags.contains(&"incomplete")).then(|| text.to_vec())
            }
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(is_whole(&all), Some(statement));
        if count > 1 {
            prop_assert_eq!(is_whole(&all[1..]), None);
        }
    }
}

#[test]
fn chunks_of_two_sessions_are_told_apart_whether_the_session_is_a_number_or_a_text() {
    let writer = |session: &str| {
        let frame = format!(
            "{{\"protoPayload\":{{\"request\":{{\"@type\":\"x.PgAuditEntry\",\"chunkCount\":2,\"chunkIndex\":1,\
             \"databaseSessionId\":{session},\"statementId\":1}}}}}}"
        );
        match parse(&Format::Cloudsql.into(), frame.as_bytes(), &mut Scratch::new()) {
            Parsed::Piece(piece) => piece.writer.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(["1150", "1151", "\"1150\""].map(writer), ["1150", "1151", "1150"].map(|id| id.as_bytes().to_vec()));
}

/// An envelope of RDS's log of PostgreSQL with these of the messages, by their numbers.
fn of_rds(messages: &[String], of: std::ops::Range<usize>) -> Vec<u8> {
    let events = of.map(|number| {
        let form = format!("{{\"id\":\"{number}\",\"timestamp\":{},\"message\":?}}", 1_763_670_511_000_usize + number);
        filled(&form, &[messages[number].as_bytes()])
    });
    let head = "{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logGroup\":\"/aws/rds/instance/db1/postgresql\",\
                \"logStream\":\"db1.0\",\"subscriptionFilters\":[],\"logEvents\":[";
    [head.as_bytes(), &events.collect::<Vec<_>>().join(&b","[..]), b"]}\n"].concat()
}

fn entry(severity: &str, text: &str) -> String {
    format!("2026-11-20 17:40:25 UTC:127.0.0.1(56590):app@shop:[25897]:{severity}:  {text}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_do_not_depend_on_where_envelopes_begin(kinds in proptest::collection::vec(0..4_u8, 1..12), cuts: [usize; 3], is_packed: bool) {
        let messages: Vec<_> = std::iter::once(&0).chain(&kinds).enumerate().map(|(number, kind)| match kind {
            0 => entry("LOG", &format!("row {number}")),
            1 => entry("STATEMENT", &format!("select {number}")),
            2 => format!("\tline {number}"),
            _ => entry("ERROR", &format!("row {number}\n\tof two lines")),
        }).collect();
        let count = messages.len();
        let mut bounds = [[0, count], [cuts[0], cuts[1]].map(|cut| cut % (count + 1))].concat();
        bounds.push(cuts[2] % (count + 1));
        bounds.sort_unstable();
        bounds.dedup();
        let cut = bounds.windows(2).map(|bound| of_rds(&messages, bound[0]..bound[1]));
        let cut: Vec<_> = cut.map(|envelope| if is_packed { packed(&envelope) } else { envelope }).collect();
        let rows = |file: &[u8]| {
            support::show_file(&Format::Cloudwatch.into(), file).replace("nothing: what stands between objects\n\n", "")
        };
        prop_assert_eq!(rows(&cut.concat()), rows(&of_rds(&messages, 0..count)));
    }
}

#[test]
fn a_row_longer_than_a_message_is_one_record_wherever_its_parts_stand() {
    let (dialect, limit) = (around(Format::Cloudwatch, Format::PostgresJsonlog), (256 << 10) - 26);
    let row = String::from_utf8(inner_row(&vec![b'x'; 600_000])).expect("text");
    let parts = [&row[..limit], &row[limit..2 * limit], &row[2 * limit..]].map(str::to_owned);
    for bounds in [&[0, 3][..], &[0, 1, 3], &[0, 2, 3], &[0, 1, 2, 3]] {
        let file: Vec<_> = bounds.windows(2).map(|bound| of_rds(&parts, bound[0]..bound[1])).collect();
        let found = messages(&dialect, &file.concat(), usize::MAX);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [600_000], "{bounds:?}");
    }
    let long = entry("LOG", &"y".repeat(300_000));
    let file = [of_rds(&[long[..limit].to_owned(), long[limit..].to_owned()], 0..1), {
        let parts = [String::new(), long[limit..].to_owned()];
        of_rds(&parts, 1..2)
    }];
    let shown = support::show_file(&Format::Cloudwatch.into(), &file.concat());
    assert!(shown.contains(&"y".repeat(300_000)), "no line end stands where it was cut");
}

#[test]
fn tables_and_their_statement_in_two_envelopes_are_one_record() {
    let rows = [
        "20261120 20:31:42,h,app,10.0.0.7,9,17,READ,shop,orders,",
        "20261120 20:31:42,h,app,10.0.0.7,9,17,QUERY,shop,'SELECT * FROM orders',0,,",
        "20261120 20:31:43,h,app,10.0.0.7,9,18,QUERY,shop,'SELECT 1',0,,",
    ]
    .map(str::to_owned);
    let file = [of_rds(&rows, 0..1), of_rds(&rows, 1..3)].concat();
    let (mut objects, mut seen) = (Vec::new(), 0);
    self::rows(&around(Format::Cloudwatch, Format::MariadbAudit), &file, usize::MAX, &mut |row| match row {
        Parsed::Record(record) => {
            seen += 1;
            objects.extend(record.objects.iter().map(|object| object.name.to_vec()));
        }
        other => panic!("{other:?}"),
    });
    assert_eq!((seen, objects), (2, vec![b"orders".to_vec()]));
}

/// Rows of MariaDB stand as statements end: tables of one connection, then another's statement, then the first one's.
#[test]
fn tables_and_statements_of_connections_in_turns_are_one_record_each_and_keep_their_places() {
    let row =
        |connection: u32, what: &str| format!("20261120 20:31:42,h,u{connection},10.0.0.7,{connection},17,{what}");
    let messages = [
        row(8, "READ,shop,other,"),
        row(9, "READ,shop,orders,"),
        row(8, "READ,shop,another,"),
        row(9, "QUERY,shop,'SELECT * FROM orders',0,,"),
        "20261120 20:31:42,h,u7,10.0.0.7,7,0,CONNECT,shop,,0".to_owned(),
        row(8, "QUERY,shop,'SELECT * FROM other JOIN another',0,,"),
    ];
    let dialect = around(Format::Cloudwatch, Format::MariadbAudit);
    let rows_of = |frames: &[&[u8]]| {
        let mut rows = Vec::new();
        each_of(&dialect, frames, &mut Scratch::new(), &mut |row, span| match row {
            Parsed::Record(record) => {
                let user = String::from_utf8_lossy(record.user.expect("a user")).into_owned();
                rows.push((user, record.objects.len(), record.flags.contains(&"incomplete"), span.first, span.part));
            }
            other => panic!("{other:?}"),
        });
        rows
    };
    let row = |user: &str, objects: usize, first: usize, part: u32| (user.to_owned(), objects, false, first, part);
    let whole = of_rds(&messages, 0..6);
    assert_eq!(rows_of(&[&whole]), [row("u8", 2, 0, 0), row("u9", 1, 0, 1), row("u7", 0, 0, 2)]);
    let (first, second) = (of_rds(&messages, 0..3), of_rds(&messages, 3..6));
    assert_eq!(rows_of(&[&first, &second]), [row("u8", 2, 0, 0), row("u9", 1, 0, 1), row("u7", 0, 1, 1)]);
    let alone: Vec<_> = rows_of(&[&second]).into_iter().map(|(user, .., part)| (user, part)).collect();
    assert_eq!(alone, [("u9".to_owned(), 0), ("u7".to_owned(), 1), ("u8".to_owned(), 2)], "the same places alone");
    assert!(rows_of(&[&first]).iter().all(|(.., is_incomplete, _, _)| *is_incomplete), "tables alone say so");
}

/// The instances of a cluster have a stream each.
#[test]
fn a_row_goes_on_in_its_streams_next_envelope_whatever_other_streams_write_between() {
    let messages = [entry("ERROR", "one"), entry("STATEMENT", "select 1"), entry("LOG", "two")];
    let (first, second) = (of_rds(&messages, 0..1), of_rds(&messages, 1..3));
    let other = String::from_utf8(of_rds(&[entry("LOG", "three")], 0..1)).expect("text").replace("db1.0", "db2.0");
    let file = [&first[..], other.as_bytes(), &second].concat();
    let shown = support::show_file(&Format::Cloudwatch.into(), &file);
    assert_eq!(shown.matches("extra.logEvents.id: `0,1`").count(), 1, "{shown}");
    assert!(!shown.contains("incomplete"), "{shown}");
}

#[test]
fn what_belongs_to_a_row_that_is_not_there_says_so() {
    let messages = [entry("STATEMENT", "select 1"), entry("LOG", "two")];
    let shown = support::show_file(&Format::Cloudwatch.into(), &of_rds(&messages, 0..2));
    assert_eq!(shown.matches("incomplete").count(), 1, "{shown}");
}

/// A statement of many lines packs to little: what is held back in a few kilobytes must not be unpacked all at once.
#[test]
fn envelopes_that_unpack_to_too_much_together_are_told_one_after_the_other() {
    let long = "y".repeat(usize::try_from(UNPACKED_MAX).expect("small") / 5 * 3);
    let messages = [entry("LOG", &long), format!("\t{long}"), entry("LOG", "next")];
    let frames = [packed(&of_rds(&messages, 0..1)), packed(&of_rds(&messages, 1..3))];
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    let mut rows = Vec::new();
    each_of(&Format::Cloudwatch.into(), &frames, &mut Scratch::new(), &mut |row, span| match row {
        Parsed::Record(record) => rows.push((record.flags.contains(&"incomplete"), span.first, span.last, span.part)),
        Parsed::Unparsed { .. } => rows.push((true, span.first, span.last, span.part)),
        other => panic!("{other:?}"),
    });
    assert_eq!(rows, [(true, 0, 0, 0), (true, 1, 1, 0), (false, 1, 1, 1)]);
}

#[test]
fn a_delivery_that_comes_twice_or_late_goes_on_no_row() {
    let messages = [entry("ERROR", "one"), entry("STATEMENT", "select 1"), entry("LOG", "two")];
    let (first, second) = (of_rds(&messages, 0..1), of_rds(&messages, 1..3));
    let rows_of = |envelopes: &[&[u8]]| {
        let shown = support::show_file(&Format::Cloudwatch.into(), &envelopes.concat());
        (shown.matches("act: ").count(), shown.matches("extra.logEvents.id: `0,1`").count())
    };
    assert_eq!(rows_of(&[&first, &second]), (2, 1));
    assert_eq!(rows_of(&[&first, &second, &second]).1, 1, "the second time it has nothing to go on");
    assert_eq!(rows_of(&[&second, &first]).1, 0, "what came late has nothing behind it");
}

#[test]
fn a_row_says_where_it_begins_and_ends_and_which_of_its_envelopes_it_is() {
    let messages = ["ERROR", "STATEMENT", "LOG", "LOG", "DETAIL"].map(|severity| entry(severity, severity));
    let (first, second, third) = (of_rds(&messages, 0..1), of_rds(&messages, 1..4), of_rds(&messages, 4..5));
    let spans = |frames: &[&[u8]]| {
        let mut spans = Vec::new();
        each_of(&Format::Cloudwatch.into(), frames, &mut Scratch::new(), &mut |_, span| {
            spans.push((span.first, span.last, span.part));
        });
        spans
    };
    assert_eq!(spans(&[&first, &second, &third]), [(0, 1, 0), (1, 1, 1), (1, 2, 2)]);
    assert_eq!(spans(&[&second]), [(0, 0, 0), (0, 0, 1), (0, 0, 2)], "alone they have the same places");
}

/// A stream may be packed so that a small row becomes an enormous one.
#[test]
fn what_unpacks_to_too_much_is_not_unpacked() {
    let bomb = packed(&vec![b' '; usize::try_from(UNPACKED_MAX).expect("small") + 1]);
    assert!(bomb.len() < 1 << 20);
    let mut reasons = Vec::new();
    rows(&Format::Cloudwatch.into(), &bomb, bomb.len(), &mut |row| match row {
        Parsed::Unparsed { reason, .. } => reasons.push(*reason),
        other => panic!("{other:?}"),
    });
    assert_eq!(reasons, ["awslogs.data unpacks to more than 32 MiB"]);
}

#[test]
fn a_row_of_cloudnativepg_is_the_same_record_as_of_csvlog() {
    let csv = b"2021-07-07 12:44:57.345 UTC,\"postgres\",\"appdb\",1047,\"10.0.0.7:5000\",60e5a2c9.417,3,\"SELECT\",\
        2021-07-07 12:44:57 UTC,3/8,0,LOG,00000,\"AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,\"\"SELECT \"\"\"\"a\"\"\"\",\
        1\"\",\"\"1,\"\"\"\"a,b\"\"\"\"\"\",3\",,,,,,,,,\"psql\",\"client backend\",,-5\n";
    let json = br#"{"level":"info","ts":"2021-07-07T12:44:57.345Z","logger":"pgaudit","msg":"record","record":{"log_time":"2021-07-07 12:44:57.345 UTC","user_name":"postgres","database_name":"appdb","process_id":"1047","connection_from":"10.0.0.7:5000","session_id":"60e5a2c9.417","session_line_num":"3","command_tag":"SELECT","session_start_time":"2021-07-07 12:44:57 UTC","virtual_transaction_id":"3/8","transaction_id":"0","error_severity":"LOG","sql_state_code":"00000","application_name":"psql","backend_type":"client backend","query_id":"-5","audit":{"audit_type":"SESSION","statement_id":"1","substatement_id":"1","class":"READ","command":"SELECT","object_type":"TABLE","object_name":"public.t","statement":"SELECT \"a\",        1","parameter":"1,\"a,b\"","rows":"3"}}}"#;
    let csv: Vec<_> = csv.to_vec();
    let (mut scratch, mut other) = (Scratch::new(), Scratch::new());
    let Parsed::Record(csv) = parse(&Format::PostgresCsvlog.into(), &csv, &mut scratch) else { panic!("no row") };
    let Parsed::Record(mut json) = parse(&Format::Cloudnativepg.into(), json, &mut other) else { panic!("no row") };
    json.extra = json.extra.iter().filter(|(name, _)| !matches!(*name, "level" | "ts" | "logger")).copied().collect();
    let spaces = |text: &[u8]| text.iter().filter(|byte| **byte != b' ').copied().collect::<Vec<_>>();
    let texts = [csv, json].map(|mut record| {
        let text = record.statement.and_then(|statement| statement.text).map(spaces);
        if let Some(statement) = &mut record.statement {
            statement.text = None;
        }
        (support::show(&record), text)
    });
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn fixtures_are_told_by_their_beginning() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (format, name) in [
        (Format::Cri, "partials_of_two_streams"),
        (Format::DockerJson, "rows_of_jsonlog"),
        (Format::Cloudwatch, "a_group_that_nobody_knows"),
        (Format::Cloudwatch, "objects_without_line_ends"),
        (Format::Cloudwatch, "packed"),
        (Format::Cloudwatch, "rds_audit"),
        (Format::AuroraDas, "postgresql"),
        (Format::AuroraDas, "other_engines"),
        (Format::Cloudsql, "mysql"),
        (Format::Cloudsql, "pgaudit_in_chunks"),
        (Format::Cloudsql, "published_postgresql"),
        (Format::Cloudsql, "server_log"),
        (Format::Azure, "postgresql_flexible_server"),
        (Format::Azure, "postgresql_single_server"),
        (Format::Azure, "mysql"),
        (Format::Azure, "azure_sql"),
        (Format::Cloudnativepg, "rows"),
        (Format::BytebaseAudit, "calls"),
        (Format::TeleportAudit, "database_sessions"),
        (Format::TeleportAudit, "access_requests"),
    ] {
        let path = folder.join(format.name()).join(name).with_extension("log");
        let head = std::fs::read(path).expect("a fixture");
        assert_eq!(detect(&head, true), Detection::Known(format), "{format}/{name}");
        for len in 0..head.len().min(3000) {
            let found = detect(&head[..len], false);
            let is_right = matches!(found, Detection::NeedMore) || found == Detection::Known(format);
            assert!(is_right, "{format}/{name}, {len} bytes: {found:?}");
        }
    }
}

#[test]
fn an_encrypted_stream_is_refused() {
    let head = b"{\"type\":\"DatabaseActivityMonitoringRecords\",\"version\":\"1.1\",\"databaseActivityEvents\":\"AYA\",\"key\":\"x\"}\n";
    assert!(matches!(detect(head, true), Detection::Unknown { reason } if reason.contains("encrypted")));
}

#[test]
fn what_a_container_runs_is_told_by_its_first_lines_of_a_format() {
    let row = inner_row(b"hello");
    let cri = [cri_line("stdout", b"Success. You can now start the server.", false), cri_line("stderr", &row, false)];
    assert_eq!(detect_inside(Format::Cri, &cri.concat(), true), Detection::Known(Format::PostgresJsonlog));
    let docker = [docker_line("stdout", b"", false), docker_line("stderr", &row, false)];
    assert_eq!(detect_inside(Format::DockerJson, &docker.concat(), true), Detection::Known(Format::PostgresJsonlog));
    let stderr =
        cri_line("stderr", b"2026-11-20 20:28:31 UTC [7]: user=app,db=appdb,app=psql,client=::1 LOG:  x", false);
    let dialect = dialect_of(Format::Cri, &stderr);
    let inside = dialect.inside.expect("lines of stderr");
    assert_eq!((inside.format, inside.prefix.is_some()), (Format::PostgresStderr, true));
    assert_eq!(
        detect_inside(Format::Cri, &cri_line("stdout", &cri[1], false), true),
        Detection::Unknown { reason: "lines of a container in lines of a container" }
    );
    assert_eq!(detect_inside(Format::Cri, &cri[0], false), Detection::NeedMore);
    assert!(matches!(detect_inside(Format::Cri, &cri[0], true), Detection::Unknown { .. }));
    assert!(matches!(detect_inside(Format::PostgresCsvlog, &cri[0], true), Detection::Unknown { .. }));
}

#[test]
fn damage_costs_no_other_line() {
    for (format, line) in
        [(Format::Cri, cri_line as fn(&str, &[u8], bool) -> Vec<u8>), (Format::DockerJson, docker_line)]
    {
        let row = line("stderr", b"whole", false);
        for at in 1..row.len() {
            let file = [&row[..at], b"\n", &row].concat();
            assert!(whole(format, &file).contains(&Part::Record(row.clone())), "{format}, {at}");
        }
    }
}
