//! Every format has a test in which a generator writes hostile values and they come back, or the record says that they may not be true.
//! The table says which; the tests that stand here are those of formats that have no file of their own.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Format, Framer, Parsed, Record, Scratch, Value, assemble, parse};
use support::Part;

/// The test file and the test of each format. Of carriers it is the text inside that comes back.
fn test_of(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::PostgresCsvlog => ("rows.rs", "hostile_values_come_back_from_csvlog_as_they_went_in"),
        Format::PostgresJsonlog => ("come_back.rs", "values_of_every_column_come_back_from_jsonlog"),
        Format::PostgresStderr => ("postgres_text.rs", "hostile_texts_come_back_as_they_went_in"),
        Format::PostgresSyslog => ("postgres_text.rs", "rows_in_chunks_come_together"),
        Format::PgauditlogtofileCsv => {
            ("pgaudit_files.rs", "hostile_statements_come_back_from_rows_that_are_not_quoted")
        }
        Format::PgauditlogtofileJson => ("pgaudit_files.rs", "hostile_values_come_back_from_rows_of_strings"),
        Format::MongodbAuditJson | Format::MongodbAuditBson => ("mongodb.rs", "rows_come_back_as_they_went_in"),
        Format::MongodbAuditOcsf => ("come_back.rs", "names_and_words_come_back_from_ocsf"),
        Format::SqlserverEvent
        | Format::SqlserverEventJson
        | Format::SqlserverAuditCsv
        | Format::SqlserverAuditJson => ("sqlserver.rs", "a_statement_comes_back_as_it_went_in"),
        Format::SqlserverErrorlog => ("come_back.rs", "names_of_failed_logins_come_back_from_the_error_log"),
        Format::OracleSyslog | Format::OracleAud | Format::OracleXml => {
            ("oracle.rs", "statements_and_names_come_back_as_they_went_in")
        }
        Format::MariadbAudit => ("mysql.rs", "statements_come_back_from_server_audit"),
        Format::AuroraAudit | Format::MariadbAuditSyslog => {
            ("come_back.rs", "statements_come_back_from_the_kin_of_server_audit")
        }
        Format::MysqlGeneral => ("mysql.rs", "statements_come_back_from_the_general_log"),
        Format::PerconaAuditXml | Format::PerconaAuditJson | Format::PerconaAuditCsv => {
            ("mysql.rs", "statements_come_back_from_percona_in_every_form")
        }
        Format::MysqlAuditJson | Format::TrellixAuditJson => ("mysql.rs", "statements_come_back_from_objects"),
        Format::Cri | Format::DockerJson => ("cloud.rs", "rows_in_a_containers_lines_come_back"),
        Format::Cloudwatch => ("cloud.rs", "messages_of_an_envelope_come_back"),
        Format::AuroraDas
        | Format::Cloudsql
        | Format::Azure
        | Format::Cloudnativepg
        | Format::BytebaseAudit
        | Format::TeleportAudit => ("cloud.rs", "texts_of_every_cloud_come_back"),
    }
}

#[test]
fn every_format_has_a_test_of_hostile_values() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for format in Format::ALL {
        let (file, test) = test_of(format);
        let text = std::fs::read_to_string(folder.join(file)).expect("a file of tests");
        let begin = text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{file} has no {test}"));
        assert!(text[..begin].contains("proptest!"), "{file}: {test} has no generator");
    }
}

/// Quotes, separators, line ends, tabs, control bytes, rows, no UTF-8; now and then a megabyte.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\"".to_vec()),
        Just(b"\\\"}\n{\"".to_vec()),
        Just(b",'\r\n\t\\".to_vec()),
        Just(b"',0\n20261120 20:31:42,vm,root,127.0.0.1,7,8,QUERY,db,'x',0".to_vec()),
        Just(b"\x01\x0b\x1b\xff\xfe\xc3(".to_vec()),
        Just("é\u{1f600}".as_bytes().to_vec()),
        proptest::collection::vec(1_u8.., 0..12),
        (b' '..).prop_map(|byte| vec![byte; 1 << 20]),
    ];
    let pieces = proptest::collection::vec((piece, 0..40_u8), 1..6);
    pieces.prop_map(|pieces| {
        let all = pieces.into_iter().filter(|(piece, rare)| piece.len() < 1000 || *rare == 0);
        [b"x".to_vec(), all.flat_map(|(piece, _)| piece).collect()].concat()
    })
}

/// A JSON string as servers write it.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// Each `?` is one of the texts, as a JSON string.
fn filled(form: &str, texts: &[&[u8]]) -> Vec<u8> {
    let parts: Vec<_> = form.split('?').map(str::as_bytes).collect();
    assert_eq!(parts.len(), texts.len() + 1);
    let mut row = parts[0].to_vec();
    for (text, part) in texts.iter().zip(&parts[1..]) {
        row.extend(quoted(text));
        row.extend(*part);
    }
    row
}

/// The one row of a file, in one or more pieces.
fn with_row(format: Format, file: &[u8], look: impl FnOnce(&Record<'_>)) {
    let parts = support::parts(Framer::new(&format.into()), &[file]);
    let [Part::Record(frame)] = &parts[..] else { panic!("{format}: {} parts", parts.len()) };
    let (dialect, mut scratch) = (format.into(), Scratch::new());
    let is_piece = matches!(parse(&dialect, frame, &mut scratch), Parsed::Piece(_));
    let parsed = match is_piece {
        true => assemble(&dialect, &[frame], true, &mut scratch),
        false => parse(&dialect, frame, &mut scratch),
    };
    match parsed {
        Parsed::Record(record) => look(&record),
        other => panic!("{format}: {other:?}"),
    }
}

fn extra<'a>(record: &Record<'a>, name: &str) -> Option<&'a [u8]> {
    record.extra.iter().find(|(key, _)| *key == name).and_then(|(_, value)| match value {
        Value::Text(text) => Some(*text),
        Value::Int(_) => None,
    })
}

fn statement<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.statement.and_then(|statement| statement.text)
}

/// As server_audit escapes a statement.
fn escaped(text: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'\n' => b"\\n".to_vec(),
        b'\t' => b"\\t".to_vec(),
        b'\r' => b"\\r".to_vec(),
        8 => b"\\b".to_vec(),
        12 => b"\\f".to_vec(),
        b'\'' | b'\\' => vec![b'\\', *byte],
        byte => vec![*byte],
    };
    text.iter().flat_map(escape).collect()
}

/// What a syslog daemon does to control characters.
fn daemon(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| if *byte < 32 { format!("#{byte:03o}").into_bytes() } else { vec![*byte] }).collect()
}

/// What comes back of a text: server_audit's own escapes pass a daemon.
fn through_a_daemon(text: &[u8]) -> Vec<u8> {
    let is_escaped = |byte: &u8| matches!(byte, b'\n' | b'\t' | b'\r' | 8 | 12);
    text.iter().flat_map(|byte| if is_escaped(byte) { vec![*byte] } else { daemon(&[*byte]) }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn values_of_every_column_come_back_from_jsonlog(
        user in hostile(), database in hostile(), application in hostile(), detail in hostile(), query in hostile(),
    ) {
        let form = "{\"timestamp\":\"2026-11-20 20:28:31.135 UTC\",\"user\":?,\"dbname\":?,\"pid\":1,\"session_id\":\"a.b\",\
                    \"line_num\":7,\"error_severity\":\"ERROR\",\"state_code\":\"42601\",\"message\":\"syntax error\",\"detail\":?,\
                    \"statement\":?,\"application_name\":?}\n";
        let row = filled(form, &[&user, &database, &detail, &query, &application]);
        with_row(Format::PostgresJsonlog, &row, |record| {
            assert_eq!((record.user, record.database), (Some(&user[..]), Some(&database[..])));
            assert_eq!((extra(record, "detail"), statement(record)), (Some(&detail[..]), Some(&query[..])));
            assert_eq!((record.client.application, record.flags.len()), (Some(&application[..]), 0));
        });
    }

    #[test]
    fn names_and_words_come_back_from_ocsf(user in hostile(), object in hostile(), words in hostile()) {
        let form = "{ \"activity_id\" : 1, \"category_uid\" : 6, \"class_uid\" : 6003, \"time\" : 1710715315002, \"type_uid\" : 600301, \
                    \"actor\" : { \"user\" : { \"type_id\" : 1, \"name\" : ? } }, \"entity\" : { \"name\" : ?, \"type\" : \"ns\" }, \
                    \"api\" : { \"operation\" : \"find\", \"response\" : { \"code\" : 13, \"error\" : ? } } }\n";
        with_row(Format::MongodbAuditOcsf, &filled(form, &[&user, &object, &words]), |record| {
            assert_eq!((record.user, record.object), (Some(&user[..]), Some(&object[..])));
            assert_eq!((record.error_message, record.flags.len()), (Some(&words[..]), 0));
        });
    }

    /// A daemon's `#001` cannot be undone: there the text is what the daemon made of it.
    #[test]
    fn statements_come_back_from_the_kin_of_server_audit(sql in hostile(), user in hostile()) {
        let user: Vec<_> = user.into_iter().take(60).collect();
        let row = |text: &[u8]| [&b",h,"[..], &user, b",127.0.0.1,7,8,QUERY,shop,'", &escaped(text), b"',0"].concat();
        let aurora = [b"1679569000492601", &row(&sql)[..], b"\n"].concat();
        let syslog = [b"Nov 20 20:31:44 vm mysql-server_auditing: info ", &daemon(&row(&sql)[1..])[..], b"\n"].concat();
        for (format, file, sql, user) in [
            (Format::AuroraAudit, aurora, sql.clone(), user.clone()),
            (Format::MariadbAuditSyslog, syslog, through_a_daemon(&sql), daemon(&user)),
        ] {
            // A line end in a name, which only the file has, may end the row.
            let parts = support::parts(Framer::new(&format.into()), &[&file]);
            if let [Part::Record(_)] = &parts[..] {
                with_row(format, &file, |record| {
                    let is_forgeable = record.flags.contains(&"forgeable");
                    assert!(statement(record) == Some(&sql[..]) || is_forgeable, "{format}: {record:?}");
                    assert!(record.user == Some(&user[..]) || is_forgeable, "{format}: {record:?}");
                });
            }
            prop_assert!(parts.len() == 1 || user.contains(&b'\n'), "{format}: {} parts", parts.len());
        }
    }

    #[test]
    fn names_of_failed_logins_come_back_from_the_error_log(name in hostile()) {
        let name: String = String::from_utf8_lossy(&name).chars().take(128).collect();
        let line = format!(
            "2026-10-23 03:11:01.52 Logon       Login failed for user '{name}'. Reason: Password did not match that for the login \
             provided. [CLIENT: 10.0.0.7]\r\n"
        );
        let file: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
        with_row(Format::SqlserverErrorlog, &file, |record| {
            assert_eq!(record.user, Some(name.as_bytes()));
            assert_eq!((record.client.address, &record.flags[..]), (Some(&b"10.0.0.7"[..]), &["forgeable"][..]));
        });
    }
}
