//! The formats of MySQL's and MariaDB's family: hostile values come back as they went in, or the record says that they may not have.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{
    Act, Detection, Dialect, Format, Frame, Framer, Parsed, Record, Scratch, Status, assemble, detect, parse,
};
use support::{Part, whole};

/// Pieces of which a text is made that wants to be taken for something else.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 26] = [
        b",",
        b"'",
        b"\\",
        b"\n",
        b"\t",
        b"\"",
        b"\r\n",
        b"\x01",
        b"\x1b[31m",
        b"\xff\xfe",
        b"\xc3\xa9",
        b"QUERY",
        b"CONNECT",
        b"READ",
        b",1,2,QUERY,db,",
        b"',0",
        b",0",
        b"20261120 20:31:42,",
        b"\t\t     3 Query\t",
        b"<AUDIT_RECORD>",
        b"</AUDIT_RECORD>",
        b"/>",
        b"&#1;",
        b"\"},\n{",
        b"\\u0000",
        b"{\"audit_record\":",
    ];
    let word = prop_oneof![
        prop::sample::select(WORDS.to_vec()).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..8),
        "[a-z ]{1,12}".prop_map(String::into_bytes),
    ];
    let text = prop::collection::vec(word, 0..12).prop_map(|words| words.concat());
    prop_oneof![40 => text.clone(), 1 => text.prop_map(|text| a_megabyte(&[&text[..], b"xy'\n\""].concat()))]
}

/// The same over and over.
fn a_megabyte(text: &[u8]) -> Vec<u8> {
    text.repeat((1 << 20) / text.len() + 1)
}

/// A name without the bytes that no server takes in one.
fn name() -> impl Strategy<Value = Vec<u8>> {
    hostile().prop_map(|text| text.into_iter().filter(|byte| *byte != 0).take(60).collect())
}

fn records(format: Format, file: &[u8]) -> Vec<Vec<u8>> {
    let parts = whole(format, file).into_iter();
    parts.map(|part| if let Part::Record(frame) = part { frame } else { panic!("damaged: {part:?}") }).collect()
}

fn with_record<T>(format: Format, frame: &[u8], look: impl FnOnce(&Record<'_>) -> T) -> T {
    let (dialect, mut scratch) = (Dialect::from(format), Scratch::new());
    let is_piece = matches!(parse(&dialect, frame, &mut scratch), Parsed::Piece(_));
    let parsed = match is_piece {
        true => assemble(&dialect, &[frame], true, &mut scratch),
        false => parse(&dialect, frame, &mut scratch),
    };
    match parsed {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

fn text<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.statement.and_then(|statement| statement.text)
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// As server_audit escapes a statement.
fn server_audit_sql(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text {
        match byte {
            b'\n' => escaped.extend(b"\\n"),
            b'\t' => escaped.extend(b"\\t"),
            b'\r' => escaped.extend(b"\\r"),
            8 => escaped.extend(b"\\b"),
            12 => escaped.extend(b"\\f"),
            b'\'' | b'\\' => escaped.extend([b'\\', *byte]),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

#[test]
fn a_statement_without_its_tables_and_tables_without_their_statement_are_told() {
    let tables: [&[u8]; 2] =
        [b"20261120 20:31:42,vm,app,h,5,30,READ,db,t1,\n", b"20261120 20:31:42,vm,app,h,5,30,WRITE,db,t2,\n"];
    let statement: &[u8] = b"20261120 20:31:43,vm,app,h,5,30,QUERY,db,'x',1146\n";
    let dialect = Format::MariadbAudit.into();
    let (mut scratch, mut other) = (Scratch::new(), Scratch::new());
    let Parsed::Record(record) = assemble(&dialect, &tables, false, &mut scratch) else { panic!("a record") };
    assert_eq!(
        (record.act, record.status, &record.flags[..]),
        (Act::TableAccess, Status::Unknown, &["incomplete"][..])
    );
    assert_eq!(record.objects.len(), 2);
    let frames = [tables[0], tables[1], statement];
    let Parsed::Record(record) = assemble(&dialect, &frames, true, &mut other) else { panic!("a record") };
    assert_eq!((record.act, record.error_code, record.flags.len()), (Act::FailedStatement, Some(&b"1146"[..]), 0));
    assert_eq!((record.object, record.objects[1].access), (Some(&b"t1"[..]), Some(&b"WRITE"[..])));
}

#[test]
fn pieces_of_a_statement_name_its_connection_and_query() {
    let mut scratch = Scratch::new();
    for (row, is_last) in [
        (&b"20261120 20:31:42,vm,app,h,5,30,READ,db,t1,\n"[..], Some(false)),
        (b"20261120 20:31:42,vm,app,h,5,30,QUERY,db,'x',0\n", Some(true)),
        (b"1679569000492494,vm,app,h,5,30,DROP,db,t1,\n", Some(false)),
    ] {
        let Parsed::Piece(piece) = parse(&Format::MariadbAudit.into(), row, &mut scratch) else { panic!("a piece") };
        assert_eq!((piece.writer, piece.row, piece.number, piece.is_last), (&b"5"[..], 30, 0, is_last));
    }
}

#[test]
fn the_last_row_of_the_general_log_stays_open() {
    let file = b"261120 20:31:42\t     3 Query\tselect 1\n";
    let mut framer = Framer::new(&Format::MysqlGeneral.into());
    assert_eq!(framer.next(file, false), Frame::Open { len: file.len() });
}

#[test]
fn files_of_the_family_are_told_from_their_first_record() {
    for (head, format) in [
        ("20261120 20:31:42,vm,app,h,5,30,QUERY,db,'x',0\n", Format::MariadbAudit),
        (
            "20261120 20:31:43,vm,ev,il'\nuser,h,11,0,FAILED_CONNECT,,,1045\n20261120 20:31:43,vm,a,h,1,0,CONNECT,,,0\n",
            Format::MariadbAudit,
        ),
        ("1679569000492494,db-1,admin,h,31,1201,READ,shop,orders,\n", Format::AuroraAudit),
        ("Nov 20 20:31:44 vm mysql-server_auditing: i vm,root,localhost,3,0,CONNECT,,,0\n", Format::MariadbAuditSyslog),
        ("/usr/sbin/mysqld, Version: 8.0.26 (MySQL). started with:\n", Format::MysqlGeneral),
        ("261120 20:31:42\t     3 Query\tselect 1\n", Format::MysqlGeneral),
        ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AUDIT>\n", Format::PerconaAuditXml),
        ("<AUDIT_RECORD\n  NAME=\"Query\"\n", Format::PerconaAuditXml),
        ("{\"audit_record\":{\"name\":\"Query\"}}\n", Format::PerconaAuditJson),
        ("\"Query\",\"5_2026-11-20T20:31:42\",\"2026-11-20T20:31:43 UTC\",\n", Format::PerconaAuditCsv),
        (
            concat!(
                "[\n  {\n    \"timestamp\": \"2024-11-20 20:31:42\",\n    \"id\": 3,\n    \"class\": \"audit\",\n",
                "    \"event\": \"startup\" }\n"
            ),
            Format::MysqlAuditJson,
        ),
        (
            "{ \"timestamp\": \"2024-11-20 20:31:42\", \"id\": 3, \"class\": \"general\", \"event\": \"status\" },\n",
            Format::MysqlAuditJson,
        ),
        ("{\"msg-type\":\"header\",\"date\":\"1510038432019\"}\n", Format::TrellixAuditJson),
    ] {
        assert_eq!(detect(head.as_bytes(), true), Detection::Known(format), "{head}");
        let cut = [&head.as_bytes()[head.len().min(40) / 2..], head.as_bytes(), head.as_bytes()].concat();
        if !matches!(format, Format::MysqlGeneral | Format::PerconaAuditXml)
            || head.starts_with('2')
            || head.starts_with("<AUDIT_R")
        {
            assert_eq!(detect(&cut, true), Detection::Known(format), "{}", cut.escape_ascii());
        }
        let few = head.find('\n').expect("a line").min(8);
        assert_eq!(detect(&head.as_bytes()[..few], false), Detection::NeedMore, "{}", &head[..few]);
    }
}

/// As Percona's audit_log escapes text in XML.
fn xml(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text {
        match byte {
            b'<' => escaped.extend(b"&lt;"),
            b'>' => escaped.extend(b"&gt;"),
            b'&' => escaped.extend(b"&amp;"),
            b'"' => escaped.extend(b"&quot;"),
            0..32 => escaped.extend(format!("&#{byte};").bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// As Percona's plugins escape text in JSON.
fn json(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text {
        match byte {
            b'\n' => escaped.extend(b"\\n"),
            b'\t' => escaped.extend(b"\\t"),
            b'"' | b'\\' | b'/' => escaped.extend([b'\\', *byte]),
            0..32 => escaped.extend(format!("\\u{byte:04X}").bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

fn csv(text: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| if *byte == b'"' { &b"\"\""[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

/// A row of Percona's audit_log in every form.
fn percona(sql: &[u8], user: &[u8], database: &[u8]) -> Vec<(Format, Vec<u8>)> {
    let old = [
        &b"<AUDIT_RECORD\n  NAME=\"Query\"\n  RECORD=\"5_2026-11-20T20:31:42\"\n  TIMESTAMP=\"2026-11-20T20:31:43 UTC\"\n"[..],
        b"  COMMAND_CLASS=\"select\"\n  CONNECTION_ID=\"7\"\n  STATUS=\"0\"\n  SQLTEXT=\"", &xml(sql),
        b"\"\n  USER=\"", &xml(user), b"[", &xml(user), b"] @ localhost []\"\n  HOST=\"localhost\"\n  OS_USER=\"\"\n  IP=\"\"\n  DB=\"", &xml(database), b"\"\n/>\n",
    ];
    let new = [
        &b"<AUDIT_RECORD>\n  <NAME>Query</NAME>\n  <RECORD>5_2026-11-20T20:31:42</RECORD>\n  <TIMESTAMP>2026-11-20T20:31:43 UTC</TIMESTAMP>\n"[..],
        b"  <COMMAND_CLASS>select</COMMAND_CLASS>\n  <CONNECTION_ID>7</CONNECTION_ID>\n  <STATUS>0</STATUS>\n  <SQLTEXT>", &xml(sql),
        b"</SQLTEXT>\n  <USER>", &xml(user), b"[", &xml(user), b"] @ localhost []</USER>\n  <HOST>localhost</HOST>\n  <OS_USER></OS_USER>\n  <IP></IP>\n  <DB>",
        &xml(database), b"</DB>\n</AUDIT_RECORD>\n",
    ];
    let object = [
        &b"{\"audit_record\":{\"name\":\"Query\",\"record\":\"5_2026-11-20T20:31:42\",\"timestamp\":\"2026-11-20T20:31:43 UTC\","[..],
        b"\"command_class\":\"select\",\"connection_id\":\"7\",\"status\":0,\"sqltext\":\"", &json(sql), b"\",\"user\":\"", &json(user), b"[", &json(user),
        b"] @ localhost []\",\"host\":\"localhost\",\"os_user\":\"\",\"ip\":\"\",\"db\":\"", &json(database), b"\"}}\n",
    ];
    let row = [
        &b"\"Query\",\"5_2026-11-20T20:31:42\",\"2026-11-20T20:31:43 UTC\",\"select\",\"7\",0,\""[..],
        &csv(sql),
        b"\",\"",
        &csv(user),
        b"[",
        &csv(user),
        b"] @ localhost []\",\"localhost\",\"\",\"\",\"",
        &csv(database),
        b"\"\n",
    ];
    vec![
        (Format::PerconaAuditXml, old.concat()),
        (Format::PerconaAuditXml, new.concat()),
        (Format::PerconaAuditJson, object.concat()),
        (Format::PerconaAuditCsv, row.concat()),
    ]
}

/// An event of audit_log_filter, and an activity of Trellix's plugin.
fn objects(sql: &[u8], user: &[u8], database: &[u8]) -> Vec<(Format, Vec<u8>)> {
    let event = [
        &b"[\n  {\n    \"timestamp\": \"2026-11-20 20:31:43\",\n    \"id\": 1,\n    \"class\": \"table_access\",\n    \"event\": \"read\",\n"[..],
        b"    \"connection_id\": 7,\n    \"account\": { \"user\": \"", &json(user), b"\", \"host\": \"h\" },\n    \"table_access_data\": {\n      \"db\": \"",
        &json(database), b"\",\n      \"table\": \"t\",\n      \"query\": \"", &json(sql), b"\",\n      \"sql_command\": \"select\"\n    }\n  }",
    ];
    let activity = [
        &b"{\"msg-type\":\"activity\",\"date\":\"1510038432022\",\"thread-id\":\"7\",\"user\":\"x\",\"priv_user\":\""[..],
        &json(user),
        b"\",\"cmd\":\"select\",\"objects\":[{\"db\":\"",
        &json(database),
        b"\",\"name\":\"t\",\"obj_type\":\"TABLE\"}],\"query\":\"",
        &json(sql),
        b"\"}\n",
    ];
    vec![(Format::MysqlAuditJson, event.concat()), (Format::TrellixAuditJson, activity.concat())]
}

#[test]
fn a_failed_login_is_not_the_account_that_its_name_spells() {
    let row = b"<AUDIT_RECORD NAME=\"Connect\" TIMESTAMP=\"2026-11-20T20:31:43 UTC\" STATUS=\"1045\" USER=\"root[root] @ localhost []\" PRIV_USER=\"\"/>";
    with_record(Format::PerconaAuditXml, row, |record| {
        assert_eq!((record.act, record.user), (Act::LoginFailed, Some(&b"root[root] @ localhost []"[..])));
    });
}

#[test]
fn half_an_object_does_not_swallow_the_next_one() {
    let whole_one = "  {\n    \"timestamp\": \"2024-11-20 20:31:42\",\n    \"id\": 3,\n    \"class\": \"audit\",\n    \"list\": [\n 1,\n \"a\" ],\n    \"event\": \"shutdown\"\n  }";
    // Half a list may go on with the array of a server that was started again: that one is JSON.
    let list = whole_one.find('[').expect("a list")..whole_one.find(']').expect("its end") + 1;
    for len in (3..whole_one.len() - 2).filter(|len| !list.contains(&(len - 1))) {
        let file = format!("{}\n[\n{whole_one},\n{whole_one}\n]\n", &whole_one[..len]);
        let records =
            whole(Format::MysqlAuditJson, file.as_bytes()).into_iter().filter(|part| matches!(part, Part::Record(_)));
        assert!(records.count() >= 2, "{file}");
    }
}

proptest! {
    #[test]
    fn statements_come_back_from_percona_in_every_form(sql in hostile(), user in name(), database in name()) {
        // The account is what stands before a bracket, unless both names are the same.
        for (format, row) in percona(&sql, &user, &database) {
            let file = [&row[..], &row].concat();
            let frames = records(format, &file);
            let rows: Vec<_> = frames.iter().filter(|frame| !frame.trim_ascii().is_empty()).collect();
            prop_assert_eq!(rows.len(), 2, "{}", format);
            with_record(format, rows[1], |record| {
                assert_eq!(text(record).unwrap_or_default(), sql, "{format}");
                assert_eq!(record.user, Some(&user[..]), "{format}");
                assert_eq!(record.database.unwrap_or_default(), database, "{format}");
                assert_eq!((record.time, record.act, record.status), (&b"2026-11-20 20:31:43 UTC"[..], Act::Statement, Status::Success));
            });
        }
    }

    #[test]
    fn statements_come_back_from_objects(sql in hostile(), user in name(), database in name()) {
        for (format, row) in objects(&sql, &user, &database) {
            let separator: &[u8] = if format == Format::MysqlAuditJson { b",\n" } else { b"" };
            let frames = records(format, &[&row[..], separator, &row].concat());
            prop_assert_eq!(frames.len(), 2);
            with_record(format, &frames[1], |record| {
                assert_eq!(text(record).unwrap_or_default(), sql);
                assert_eq!(record.user.unwrap_or(b"x"), if user.is_empty() { record.user.unwrap_or(b"x") } else { &user });
                let object = (record.object, record.object_database.unwrap_or_default());
                assert_eq!(object, (Some(&b"t"[..]), &database[..]));
            });
        }
    }

    #[test]
    fn a_row_of_the_family_with_bytes_changed_parses_to_something(sql in hostile(), at in 0..400_usize, byte in any::<u8>(), cut in 0..400_usize) {
        for (format, mut row) in percona(&sql, b"u", b"d").into_iter().chain(objects(&sql, b"u", b"d")) {
            let at = at.min(row.len() - 1);
            row[at] = byte;
            for frame in [&row[..], &row[..cut.min(row.len())], &row[cut.min(row.len())..]] {
                if let Parsed::Unparsed { retry_at: Some(at), .. } = parse(&format.into(), frame, &mut Scratch::new()) {
                    prop_assert!(at > 0 && at < frame.len());
                }
            }
        }
    }

    #[test]
    fn half_a_row_costs_no_row_behind_it(sql in hostile(), cut in 1..2000_usize) {
        for (format, row) in percona(&sql, b"u", b"d") {
            let half = &row[..cut.min(row.len() - 2)];
            let file = [half, &row, &row].concat();
            let (mut framer, mut at, mut found) = (Framer::new(&format.into()), 0, 0);
            while at < file.len() {
                let len = match framer.next(&file[at..], true) {
                    Frame::Record { len } => {
                        match parse(&format.into(), &file[at..at + len], &mut Scratch::new()) {
                            Parsed::Record(record) => {
                                found += usize::from(text(&record).unwrap_or_default() == sql);
                                len
                            }
                            Parsed::Unparsed { retry_at: Some(retry), .. } => retry,
                            _ => len,
                        }
                    }
                    Frame::Damaged { len, .. } => len,
                    other => panic!("{other:?}"),
                };
                at += len;
                if len == 0 { break }
                framer = Framer::new(&format.into());
            }
            prop_assert!(found >= 2, "{format}: {found} rows of {}", file.escape_ascii());
        }
    }
}

proptest! {
    #[test]
    fn statements_come_back_from_server_audit(user in name(), database in name(), sql in hostile(), table in name()) {
        let names = [&b"20261120 20:31:42,vm,"[..], &user, b",127.0.0.1,7,8,"];
        let head = names.concat();
        let rows = [
            joined(&[&head, b"READ,", &database, b",", &table, b",\n"]),
            joined(&[&head, b"QUERY,", &database, b",'", &server_audit_sql(&sql), b"',0\n"]),
            joined(&[&head, b"FAILED_CONNECT,", &database, b",,1045\n"]),
        ];
        let frames = records(Format::MariadbAudit, &rows.concat());
        prop_assume!(frames.len() == 3);
        with_record(Format::MariadbAudit, &frames[1], |record| {
            assert_eq!(text(record), Some(&sql[..]));
            let is_same = record.user.unwrap_or_default() == user && record.database.unwrap_or_default() == database;
            assert!(is_same || record.flags.contains(&"forgeable"), "{record:?}");
        });
        with_record(Format::MariadbAudit, &frames[0], |record| {
            let is_same = record.object == Some(&table) && record.object_database.unwrap_or_default() == database;
            assert!(is_same || record.flags.contains(&"forgeable"), "{record:?}");
        });
        with_record(Format::MariadbAudit, &frames[2], |record| {
            let is_same = record.user.unwrap_or_default() == user && record.database.unwrap_or_default() == database;
            assert!(is_same || record.flags.contains(&"forgeable"), "{record:?}");
        });
    }

    #[test]
    fn statements_come_back_from_the_general_log(sql in hostile()) {
        let file = joined(&[b"261120 20:31:42\t     3 Query\t", &sql, b"\n\t\t     4 Quit\t\n"]);
        let frames = records(Format::MysqlGeneral, &file);
        with_record(Format::MysqlGeneral, &frames[0], |record| {
            assert_eq!(record.flags[..], ["forgeable"]);
            if frames.len() == 2 {
                assert_eq!(text(record), Some(&sql[..]));
            }
        });
        assert_eq!(frames.concat(), file);
    }
}
