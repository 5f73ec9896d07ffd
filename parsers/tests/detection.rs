//! Which format a file is, and what is said of the others.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use sealtrail_parsers::{Detection, Format, detect, dialect_of};

const CSV: &str = "2026-11-20 20:28:31.135 UTC,,,17061,,6b00ad6f.42a5,1,,2026-11-20 20:28:31 UTC,,0,LOG,00000,\
                   \"starting PostgreSQL\",,,,,,,,,\"\",\"postmaster\",,0\n";
const JSON: &str =
    "{\"timestamp\":\"2026-11-20 20:28:31.135 UTC\",\"pid\":17061,\"session_id\":\"6b00ad6f.42a5\",\"line_num\":1}\n";

fn reason(head: &[u8]) -> &'static str {
    match detect(head, true) {
        Detection::Unknown { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_logstash_prints_for_a_person_is_named() {
    for text in [
        "\"message\" => \"{\\\"insertId\\\":\\\"2#7\\\"}\",\n",
        "{\n    \"resource\" => {\n  \"type\" => \"x\"\n }\n}\n",
    ] {
        assert!(reason(text.as_bytes()).starts_with("events as Logstash prints them"), "{text}");
    }
}

#[test]
fn the_first_record_names_the_format() {
    assert_eq!(detect(CSV.as_bytes(), false), Detection::Known(Format::PostgresCsvlog));
    assert_eq!(detect(JSON.as_bytes(), false), Detection::Known(Format::PostgresJsonlog));
}

#[test]
fn a_beginning_that_could_still_be_a_record_needs_more() {
    for (text, enough) in [(CSV, CSV.find("starting")), (JSON, JSON.find("6b00ad6f"))] {
        for len in 0..enough.expect("it is there") {
            assert_eq!(detect(&text.as_bytes()[..len], false), Detection::NeedMore, "{len} bytes of {text}");
        }
    }
}

#[test]
fn a_file_that_was_cut_at_the_front_is_told_by_its_next_record() {
    assert_eq!(detect([&CSV[30..], CSV].concat().as_bytes(), true), Detection::Known(Format::PostgresCsvlog));
    assert_eq!(detect([&JSON[30..], JSON].concat().as_bytes(), true), Detection::Known(Format::PostgresJsonlog));
    assert_eq!(detect(["\0\0\0", CSV].concat().as_bytes(), true), Detection::Known(Format::PostgresCsvlog));
}

#[test]
fn a_text_log_that_quotes_a_csvlog_row_is_still_a_text_log() {
    let line = format!("2026-11-20 20:28:31.135 UTC [1] app@db LOG:  statement: SELECT '\n{CSV}'\n");
    assert_eq!(detect(line.as_bytes(), true), Detection::Known(Format::PostgresStderr));
}

#[test]
fn the_prefix_of_a_text_log_is_learnt_from_its_first_lines() {
    let cis = "2026-11-20 20:28:31.135 UTC [1]: [1-1] db=app,user=app,app=psql,client=::1 LOG:  statement: SELECT 1\n";
    assert_eq!(detect(cis.as_bytes(), false), Detection::Known(Format::PostgresStderr));
    let dialect = dialect_of(Format::PostgresStderr, cis.as_bytes());
    assert_eq!(
        dialect.prefix.as_ref().map(|prefix| prefix.as_str()),
        Some("%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ")
    );
    assert!(reason(b"<app> 2026-11-20 LOG:  statement: SELECT 1\n").contains("prefix"));
}

#[test]
fn a_syslog_file_is_postgresqls_by_the_number_of_its_first_chunk() {
    let line =
        "Nov 20 20:28:31 host postgres[7]: [3-1] 2026-11-20 20:28:31.135 UTC [7] app@db LOG:  statement: SELECT 1\n";
    assert_eq!(detect(line.as_bytes(), false), Detection::Known(Format::PostgresSyslog));
    let dialect = dialect_of(Format::PostgresSyslog, line.as_bytes());
    assert_eq!(dialect.prefix.as_ref().map(|prefix| prefix.as_str()), Some("%m [%p] %q%u@%d "));
}

#[test]
fn what_is_not_read_is_named() {
    for (head, word) in [
        (&b"\x1f\x8b\x08"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd\0", "zstd"),
        (b"\xfd7zXZ\0\0", "xz"),
        (b"\xff\xfe2\0", "UTF-16"),
        (b"", "empty"),
        (b"\0\0\0\0", "NUL"),
        (b"20261120 20:28:31,host,app,::1,1\n", "server_audit"),
        (b"<134>Nov 20 20:28:31 host postgres[1]: x\n", "syslog"),
        (b"Nov 20 20:28:31 host sshd[1]: x\n", "syslog"),
        (b"<?xml version=\"1.0\"?>\n", "XML"),
        (b"hello\n", "no record"),
    ] {
        assert!(reason(head).contains(word), "{}: {}", head.escape_ascii(), reason(head));
    }
}

#[test]
fn mongodb_is_told_by_the_first_key() {
    let known = |head: &[u8]| detect(head, false);
    let json = b"{ \"atype\" : \"logout\", \"ts\" : { \"$date\" : 1 }, \"users\" : [] }\n";
    assert_eq!(known(json), Detection::Known(Format::MongodbAuditJson));
    assert_eq!(known(b"{\n\t\"atype\": \"logout\",\n\t\"ts\": {"), Detection::Known(Format::MongodbAuditJson));
    assert_eq!(
        known(b"{\"activity_id\":1,\"class_uid\":3002,\"time\":1}\n"),
        Detection::Known(Format::MongodbAuditOcsf)
    );
    assert_eq!(known(b"\x1f\x8b\x00\x00\x02atype\0\x07"), Detection::Known(Format::MongodbAuditBson));
    assert_eq!(known(b"\x1f\x00\x00\x00\x02atyp"), Detection::NeedMore);
}

#[test]
fn sql_servers_forms_are_told_apart() {
    let known = |head: &[u8]| detect(head, false);
    let event = b"Audit event: audit_schema_version:1\nevent_time:2026-10-23 03:11:01\n";
    assert_eq!(known(event), Detection::Known(Format::SqlserverEvent));
    let json = b"{\"EventID\":33205,\"Message\":\"Audit event: audit_schema_version:1\\nevent_time:1\"}\n";
    assert_eq!(known(json), Detection::Known(Format::SqlserverEventJson));
    let csv = b"\xef\xbb\xbf\"event_time\",\"sequence_number\",\"action_id\"\r\n";
    assert_eq!(known(csv), Detection::Known(Format::SqlserverAuditCsv));
    let rows = b"[{\"event_time\":\"2026-10-23T03:11:01\",\"sequence_number\":1,\"action_id\":\"SL\"}]";
    assert_eq!(known(rows), Detection::Known(Format::SqlserverAuditJson));
    let log: Vec<u8> = "\u{feff}2026-10-23 03:11:01.13 Server x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(known(&log), Detection::Known(Format::SqlserverErrorlog));
}

#[test]
fn oracles_forms_are_told_apart() {
    let known = |head: &str| detect(head.as_bytes(), false);
    let unified = "Nov 13 15:52:56 host journal: Oracle Unified Audit[23128]: LENGTH: '215' TYPE:\"4\"\n";
    assert_eq!(known(unified), Detection::Known(Format::OracleSyslog));
    let traditional = "Nov 13 15:52:56 host Oracle Audit[2]: LENGTH: \"9\" SESSIONID:[1] \"4\"\n";
    assert_eq!(known(traditional), Detection::Known(Format::OracleSyslog));
    assert_eq!(known("Audit file /u01/app/x.aud\nOracle Database 11g\n"), Detection::Known(Format::OracleAud));
    let block = "Wed Oct 21 11:58:08 2020 -04:00\nLENGTH : '9'\n";
    assert_eq!(known(block), Detection::Known(Format::OracleAud));
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <Audit xmlns=\"http://xmlns.oracle.com/x\">\n";
    assert_eq!(known(xml), Detection::Known(Format::OracleXml));
}
