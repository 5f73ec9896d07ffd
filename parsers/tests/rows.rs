//! What single rows say: values come back as they went in, NULL stays apart from empty, nothing is lost.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Act, Format, Framer, Parameters, Parsed, Record, Scratch, Status, Value, parse};
use support::{Part, whole};

const CSV: Format = Format::PostgresCsvlog;
const JSON: Format = Format::PostgresJsonlog;

/// The columns of a csvlog row; `None` is NULL.
struct Columns {
    user: Option<Vec<u8>>,
    tag: &'static str,
    severity: &'static str,
    state: &'static str,
    message: Option<Vec<u8>>,
    detail: Option<Vec<u8>>,
    context: Option<Vec<u8>>,
    query: Option<Vec<u8>>,
    location: &'static str,
    application: Vec<u8>,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            user: Some(b"app".to_vec()),
            tag: "SELECT",
            severity: "LOG",
            state: "00000",
            message: None,
            detail: None,
            context: None,
            query: None,
            location: "",
            application: Vec::new(),
        }
    }
}

impl Columns {
    fn message(message: &str) -> Self {
        Columns { message: Some(message.into()), ..Self::default() }
    }

    /// As PostgreSQL 15 writes it, cut to this many columns.
    fn csv(&self, columns: usize) -> Vec<u8> {
        let bare = |text: &str| text.as_bytes().to_vec();
        let quoted = |text: &Option<Vec<u8>>| text.as_deref().map_or(Vec::new(), quote);
        let all = [
            bare("2026-11-20 20:28:31.848 UTC"),
            quoted(&self.user),
            bare("\"appdb\""),
            bare("17078"),
            bare("\"::1:53384\""),
            bare("6b00ad6f.42b6"),
            bare("14"),
            quote(self.tag.as_bytes()),
            bare("2026-11-20 20:28:31 UTC"),
            bare("3/38"),
            bare("0"),
            bare(self.severity),
            bare(self.state),
            quoted(&self.message),
            quoted(&self.detail),
            bare(""),
            bare(""),
            bare(""),
            quoted(&self.context),
            quoted(&self.query),
            bare(""),
            if self.location.is_empty() { bare("") } else { quote(self.location.as_bytes()) },
            quote(&self.application),
            bare("\"client backend\""),
            bare("77"),
            bare("-42"),
        ];
        let mut row = all[..columns].join(&b","[..]);
        row.push(b'\n');
        row
    }
}

fn quote(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in text {
        quoted.extend(if *byte == b'"' { &b"\"\""[..] } else { std::slice::from_ref(byte) });
    }
    quoted.push(b'"');
    quoted
}

fn with_record<T>(format: Format, row: &[u8], look: impl FnOnce(&Record<'_>) -> T) -> T {
    match parse(&format.into(), row, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", row.escape_ascii()),
    }
}

fn extra<'a>(record: &Record<'a>, name: &str) -> Option<Value<'a>> {
    record.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

fn text<'a>(record: &Record<'a>, name: &str) -> Option<&'a [u8]> {
    match extra(record, name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn act(columns: Columns) -> (Act, Status) {
    with_record(CSV, &columns.csv(26), |record| (record.act, record.status))
}

#[test]
fn rows_of_every_server_version_are_read() {
    for columns in [22, 23, 24, 25, 26] {
        with_record(CSV, &Columns::message("hello").csv(columns), |record| {
            assert_eq!(text(record, "message"), Some(&b"hello"[..]));
            assert_eq!(text(record, "backend_type").is_some(), columns >= 24);
            assert_eq!(extra(record, "query_id"), (columns == 26).then_some(Value::Int(-42)));
        });
    }
}

#[test]
fn too_few_and_too_many_columns_are_no_row() {
    let mut row = Columns::message("hello").csv(26);
    assert!(matches!(
        parse(&CSV.into(), &Columns::message("hello").csv(21), &mut Scratch::new()),
        Parsed::Unparsed { .. }
    ));
    row.splice(row.len() - 1.., *b",1\n");
    assert!(matches!(parse(&CSV.into(), &row, &mut Scratch::new()), Parsed::Unparsed { .. }));
}

#[test]
fn null_is_not_the_empty_string() {
    let columns = Columns { detail: Some(vec![]), ..Columns::message("") };
    with_record(CSV, &columns.csv(26), |record| {
        assert_eq!(text(record, "message"), Some(&b""[..]));
        assert_eq!(text(record, "detail"), Some(&b""[..]));
        assert_eq!(text(record, "hint"), None);
        assert_eq!(record.client.application, None);
    });
}

#[test]
fn the_port_stands_behind_the_last_colon() {
    with_record(CSV, &Columns::message("hello").csv(26), |record| {
        assert_eq!(record.client.address, Some(&b"::1"[..]));
        assert_eq!(record.client.port, Some(53384));
    });
}

#[test]
fn the_user_is_the_column_and_never_the_message() {
    let columns = Columns { tag: "authentication", ..Columns::message("connection authorized: user=admin database=x") };
    with_record(CSV, &columns.csv(26), |record| {
        assert_eq!((record.act, record.user), (Act::Login, Some(&b"app"[..])));
    });
}

#[test]
fn rows_that_a_session_raises_are_not_believed() {
    let raised = |message: &str| Columns {
        context: Some(b"PL/pgSQL function f() line 1 at RAISE".to_vec()),
        ..Columns::message(message)
    };
    for message in
        ["AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>", "statement: DROP TABLE x", "disconnection: session time"]
    {
        assert_eq!(act(raised(message)), (Act::Message, Status::Unknown), "{message}");
    }
    with_record(CSV, &raised("AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>").csv(26), |record| {
        assert!(text(record, "audit_malformed").is_some());
        assert!(text(record, "message").is_some());
    });
}

#[test]
fn an_error_that_words_itself_as_an_audit_row_is_a_failed_statement() {
    let columns = Columns {
        state: "P0001",
        severity: "ERROR",
        query: Some(b"SELECT f()".to_vec()),
        ..Columns::message("AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>")
    };
    assert_eq!(act(columns), (Act::FailedStatement, Status::Failure));
}

#[test]
fn a_malformed_payload_is_kept_as_a_message() {
    for payload in [
        "SESSION,1,1,READ",
        "SESSION,x,1,READ,SELECT,,,x,<none>",
        "SESSION,1,1,R,S,,,a\"b,<none>",
        "OBJECT,1,1,R,S,,,\"a,<none>",
    ] {
        let message = format!("AUDIT: {payload}");
        with_record(CSV, &Columns::message(&message).csv(26), |record| {
            assert_eq!(record.act, Act::Message);
            assert_eq!(text(record, "message"), Some(message.as_bytes()));
            assert!(text(record, "audit_malformed").is_some());
        });
    }
}

#[test]
fn rows_are_success_only_where_the_server_counted_rows() {
    assert_eq!(act(Columns::message("AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>")), (Act::Statement, Status::Unknown));
    assert_eq!(act(Columns::message("AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>,0")), (Act::Statement, Status::Success));
}

#[test]
fn parameters_are_unquoted_twice() {
    let message = "AUDIT: SESSION,1,1,READ,SELECT,,,x,\"1,\"\"a,b \"\"\"\"q\"\"\"\"\nz\"\",\",1";
    with_record(CSV, &Columns::message(message).csv(26), |record| {
        let parameters = record.statement.map(|statement| statement.parameters).unwrap_or_default();
        let list: Vec<_> =
            parameters.iter().map(|parameter| String::from_utf8_lossy(&parameter).into_owned()).collect();
        assert_eq!(list, ["1", "a,b \"q\"\nz", ""]);
    });
}

#[test]
fn spaces_and_tabs_of_a_statement_stay() {
    with_record(CSV, &Columns::message("AUDIT: SESSION,1,1,READ,SELECT,,, \tSELECT 1 ,<none>").csv(26), |record| {
        assert_eq!(record.statement.and_then(|statement| statement.text), Some(&b" \tSELECT 1 "[..]));
    });
}

#[test]
fn a_translated_failure_is_a_failure_and_a_translated_warning_is_none() {
    let row = |severity, state| Columns { severity, state, ..Columns::message("Text") };
    assert_eq!(act(row("FEHLER", "42P01")), (Act::FailedStatement, Status::Failure));
    assert_eq!(act(row("WARNUNG", "25P01")), (Act::Message, Status::Unknown));
    assert_eq!(act(Columns { tag: "authentication", ..row("FATAL", "28P01") }), (Act::LoginFailed, Status::Failure));
    assert_eq!(act(Columns { tag: "startup", ..row("FATAL", "53300") }), (Act::LoginFailed, Status::Failure));
    assert_eq!(act(Columns { tag: "idle", ..row("FATAL", "57P01") }), (Act::Message, Status::Failure));
}

#[test]
fn translated_connection_rows_are_told_by_what_is_not_translated() {
    let row = |tag, message: &str| Columns { tag, ..Columns::message(message) };
    assert_eq!(act(Columns { user: None, ..row("", "Verbindung empfangen: Host=::1") }).0, Act::ConnectionReceived);
    assert_eq!(act(row("authentication", "Verbindung autorisiert: Benutzer=app")).0, Act::Login);
    assert_eq!(act(row("authentication", "authentifiziert: Methode=md5 (/etc/pg_hba.conf:88)")).0, Act::Authenticated);
    assert_eq!(act(Columns { location: "log_disconnections, postgres.c:5126", ..row("idle", "Ende") }).0, Act::Logout);
}

#[test]
fn statement_rows_give_their_text_and_keep_the_words_before_it() {
    for (message, words) in [
        ("statement: SELECT 1", None),
        ("duration: 0.063 ms  statement: SELECT 1", Some("duration: 0.063 ms  statement: ")),
        ("execute s1: SELECT 1", Some("execute s1: ")),
        ("duration: 12 ms  bind <unnamed>: SELECT 1", Some("duration: 12 ms  bind <unnamed>: ")),
    ] {
        with_record(CSV, &Columns::message(message).csv(26), |record| {
            assert_eq!(record.act, Act::LoggedStatement);
            assert_eq!(record.statement.and_then(|statement| statement.text), Some(&b"SELECT 1"[..]));
            assert_eq!(text(record, "message"), words.map(str::as_bytes));
        });
    }
}

const JSON_ROW: &str =
    r#"{"timestamp":"2026-11-20 20:28:31.135 UTC","pid":1,"session_id":"a.b","line_num":7,"error_severity":"LOG""#;

fn json(rest: &str) -> Vec<u8> {
    format!("{JSON_ROW}{rest}}}\n").into_bytes()
}

#[test]
fn json_escapes_become_the_bytes_that_the_server_had() {
    let row =
        json(r#","message":"\"\\\/\b\f\n\r\t\u001b \u00e9\ud83d\ude00 \ud83d \udc00 \q \u12"}"#.trim_end_matches('}'));
    with_record(JSON, &row, |record| {
        let expected = "\"\\/\u{8}\u{c}\n\r\t\u{1b} é😀 \u{fffd} \u{fffd} \\q \\u12";
        assert_eq!(text(record, "message"), Some(expected.as_bytes()));
    });
}

#[test]
fn json_keys_that_are_not_known_are_kept_as_they_stand() {
    let row = json(r#","new":{"a":[1,"}"]},"message":"m","pid":2,"flag":true,"user":5"#);
    with_record(JSON, &row, |record| {
        assert_eq!(record.session.pid, Some(1));
        assert_eq!(text(record, "other"), Some(&br#""new":{"a":[1,"}"]},"pid":2,"flag":true,"user":5"#[..]));
    });
}

#[test]
fn half_a_json_row_does_not_cost_the_row_behind_it() {
    let (torn, fresh) = (json(r#","message":"torn \"{\\\"timestamp\\\":\\\"\""#), json(r#","message":"fresh""#));
    for cut in 1..torn.len() - 1 {
        let file = [&torn[..cut], &fresh].concat();
        let found = whole(JSON, &file);
        let messages: Vec<_> = found.iter().filter_map(json_message).collect();
        assert_eq!(messages, ["fresh"], "cut at {cut}: {found:?}");
    }
}

fn json_message(part: &Part) -> Option<String> {
    let Part::Record(frame) = part else { return None };
    match parse(&JSON.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => text(&record, "message").map(|text| String::from_utf8_lossy(text).into_owned()),
        Parsed::Unparsed { retry_at, .. } => whole(JSON, &frame[retry_at?..]).iter().find_map(json_message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_lines_are_framed_alike_however_they_arrive() {
    let row = json(r#","message":"m""#);
    let file = [b"\0\0\0", &row[..], b"rest of a row\"}\n\n", &row, &row[..40], &row, &row[..30]].concat();
    let expected = whole(JSON, &file);
    assert_eq!(expected.iter().filter(|part| matches!(part, Part::Record(_))).count(), 3);
    for cut in 0..=file.len() {
        assert_eq!(support::parts(Framer::new(&JSON.into()), &[&file[..cut], &file[cut..]]), expected, "cut at {cut}");
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\"".to_vec()),
        Just(b",".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"2026-11-20 20:28:31.848 UTC,".to_vec()),
        Just(b"\xff\xc3".to_vec()),
        Just(b"<none>".to_vec()),
        Just(b"word".to_vec()),
        proptest::collection::vec(1_u8.., 0..4),
    ];
    let text = proptest::collection::vec(piece, 1..8)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("never empty", |text| !text.is_empty());
    support::now_and_then_a_megabyte(text)
}

/// A field as pgAudit's `append_valid_csv` writes it.
fn audit_field(text: &[u8]) -> Vec<u8> {
    if text.iter().any(|byte| b",\"\n\r".contains(byte)) { quote(text) } else { text.to_vec() }
}

/// A string as the server's `escape_json` writes it.
fn json_string(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

proptest! {
    #[test]
    fn hostile_values_come_back_from_csvlog_as_they_went_in(user in hostile(), detail in hostile(), query in hostile(), application in hostile()) {
        let columns = Columns {
            user: Some(user.clone()), state: "42601", severity: "ERROR", detail: Some(detail.clone()),
            query: Some(query.clone()), application: application.clone(), ..Columns::message("syntax error")
        };
        let file = [columns.csv(26), columns.csv(23)].concat();
        let rows = support::records(CSV, &file);
        prop_assert_eq!(rows.len(), 2);
        for row in rows {
            with_record(CSV, row, |record| {
                assert_eq!(record.user, Some(&user[..]));
                assert_eq!(text(record, "detail"), Some(&detail[..]));
                assert_eq!(record.client.application, Some(&application[..]));
                assert_eq!(record.statement.and_then(|statement| statement.text), Some(&query[..]));
            });
        }
    }

    #[test]
    fn audited_statements_and_parameters_come_back_from_both_formats(
        sql in hostile(), object in hostile(), parameters in proptest::collection::vec(hostile(), 1..4),
    ) {
        prop_assume!(sql != b"<not logged>" && parameters != [b"<none>"]);
        let list = parameters.iter().map(|text| audit_field(text)).collect::<Vec<_>>().join(&b","[..]);
        let fields = [&b"AUDIT: SESSION"[..], b"1", b"2", b"READ", b"SELECT", b"TABLE", &audit_field(&object), &audit_field(&sql), &audit_field(&list), b"3"];
        let message = fields.join(&b","[..]);
        let csv = Columns { message: Some(message.clone()), ..Columns::default() }.csv(26);
        let json = [JSON_ROW.as_bytes(), b",\"message\":", &json_string(&message), b"}\n"].concat();
        for (format, row) in [(CSV, csv), (JSON, json)] {
            with_record(format, &row, |record| {
                let statement = record.statement.expect("an audit row");
                assert_eq!(statement.text, Some(&sql[..]));
                assert_eq!(record.object, Some(&object[..]));
                assert!(matches!(statement.parameters, Parameters::Csv(_)));
                assert!(statement.parameters.iter().map(|text| text.into_owned()).eq(parameters.iter().cloned()));
                assert_eq!(statement.rows, Some(3));
            });
        }
    }

    #[test]
    fn any_bytes_parse_to_something(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in Format::ALL {
            parse(&format.into(), &bytes, &mut Scratch::new());
        }
    }

    #[test]
    fn a_row_with_one_byte_changed_parses_to_something(at in 0..200_usize, byte in any::<u8>()) {
        let csv = Columns::message("AUDIT: SESSION,1,1,READ,SELECT,,,\"a,\"\"b\"\"\",\"1,\"\"x\"\"\",1").csv(26);
        for (format, mut row) in [(CSV, csv), (JSON, json(r#","message":"AUDIT: SESSION,1,1,R,S,,,\"a,\\b\",\u00e9""#))] {
            let at = at.min(row.len() - 1);
            row[at] = byte;
            if let Parsed::Unparsed { retry_at: Some(at), .. } = parse(&format.into(), &row, &mut Scratch::new()) {
                prop_assert!(at > 0 && at < row.len());
            }
        }
    }
}
