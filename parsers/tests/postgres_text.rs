//! PostgreSQL's text logs: the same rows as from csvlog, save what the text cannot carry; hostile values; other languages.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Act, Dialect, Format, Parsed, Record, Scratch, Status, Value, parse};
use support::Part;

/// The prefix of the captured server: everything that `log_line_prefix` of PostgreSQL 15 can say but the query id.
const ALL: &str = "%m [%p] q=%q%u@%d app=%a r=%r h=%h c=%c l=%l s=%s v=%v x=%x i=%i e=%e b=%b ";

fn dialect(format: Format, prefix: &str) -> Dialect {
    Dialect { prefix: Some(Arc::new(Prefix::compile(prefix).expect("a prefix"))), ..format.into() }
}

fn stderr(prefix: &str) -> Dialect {
    dialect(Format::PostgresStderr, prefix)
}

fn with_record<T>(dialect: &Dialect, frame: &[u8], look: impl FnOnce(&Record<'_>) -> T) -> T {
    match parse(dialect, frame, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

/// Every row, field by field, under its process and its number among the rows of that process.
fn rows(dialect: &Dialect, bytes: &[u8]) -> BTreeMap<(String, usize), BTreeMap<String, String>> {
    let (mut rows, mut counts) = (BTreeMap::new(), BTreeMap::<String, usize>::new());
    for shown in support::show_file(dialect, bytes).split("\n\n").filter(|shown| !shown.is_empty()) {
        let mut fields = BTreeMap::<String, String>::new();
        for line in shown.lines() {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            fields.entry(name.to_owned()).or_default().push_str(value);
        }
        let session = fields.get("session").cloned().unwrap_or_else(|| panic!("no row: {shown}"));
        let pid = session.rsplit(' ').next().unwrap_or_default().to_owned();
        let count = counts.entry(pid.clone()).or_default();
        *count += 1;
        rows.insert((pid, *count), fields);
    }
    rows
}

/// Names of the fields in which two logs of one server differ, with how often.
fn differences(one: &Dialect, bytes: &[u8], other: &Dialect, others: &[u8]) -> BTreeMap<String, usize> {
    let (rows, others) = (rows(one, bytes), rows(other, others));
    assert!(rows.len() > 60, "only {} rows", rows.len());
    assert_eq!(rows.keys().collect::<Vec<_>>(), others.keys().collect::<Vec<_>>());
    let mut differences = BTreeMap::new();
    for (row, other) in rows.values().zip(others.values()) {
        let names: std::collections::BTreeSet<_> = row.keys().chain(other.keys()).collect();
        for name in names.into_iter().filter(|name| row.get(*name) != other.get(*name)) {
            *differences.entry(name.clone()).or_default() += 1;
        }
    }
    differences
}

/// One run of PostgreSQL 15, logged as csvlog, as jsonlog and to stderr at once. What differs:
///
/// - `session`: stderr numbers entries, not rows, so that a row has no line there; where the prefix stops at `%q`, no session id either.
/// - `log_line_number`, `log_line_number_last`: what stands there instead.
/// - `start`, `backend_type`: of the server's own processes, at which this prefix stops.
/// - `query_id`: `%Q` is not in this prefix.
/// - `flags`: no row of a text log with user names in its prefix can be told from a forged one.
#[test]
fn stderr_gives_the_same_records_as_csvlog_save_what_it_cannot_carry() {
    let csv = include_bytes!("fixtures/same_rows.csv");
    let found =
        differences(&Format::PostgresCsvlog.into(), csv, &stderr(ALL), include_bytes!("fixtures/same_rows.log"));
    let carried = ["extra.backend_type", "start"].map(|name| found.get(name).copied());
    assert_eq!(carried, [Some(4), Some(4)], "of the four rows of processes that are no session");
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "extra.backend_type",
        "extra.log_line_number",
        "extra.log_line_number_last",
        "extra.query_id",
        "flags",
        "session",
        "start",
    ];
    assert_eq!(names, expected);
}

/// The rows of PostgreSQL 15 when a user whose name has a line end is refused, as captured: each is one record, with its DETAIL.
#[test]
fn a_refused_user_with_a_line_end_in_his_name_is_one_record_with_its_detail() {
    let behind = "break@appdb app=[unknown] r=127.0.0.1(53470) h=127.0.0.1 c=6b00ad70.42c8";
    let last = "s=2026-11-20 20:28:32 UTC v=3/159 x=0 i=authentication e=28P01 b=client backend";
    let entry = |millis: u32, number: u32, label_and_text: &str| {
        format!("2026-11-20 20:28:32.{millis} UTC [17096] q=line\n{behind} l={number} {last} {label_and_text}\n")
    };
    let fatal = "FATAL:  password authentication failed for user \"line\n\tbreak\"";
    let detail = "DETAIL:  Role \"line\n\tbreak\" does not exist.";
    let rows = |entries: &[String]| rows(&stderr(ALL), entries.concat().as_bytes());

    let one = rows(&[entry(862, 2, fatal), entry(862, 3, detail)]);
    let row = &one[&("17096".to_owned(), 1)];
    assert_eq!((one.len(), row["user"].as_str()), (1, "`line\\nbreak`"), "{one:#?}");
    assert_eq!(row["extra.detail"], "`Role \\\"line\\nbreak\\\" does not exist.`");

    // A second row, even in the same millisecond, is a row; so is an entry of another time, or one before which another is missing.
    assert_eq!(
        rows(&[entry(862, 2, fatal), entry(862, 3, detail), entry(862, 4, fatal), entry(862, 5, detail)]).len(),
        2
    );
    assert_eq!(rows(&[entry(862, 2, fatal), entry(863, 3, detail)]).len(), 2);
    assert_eq!(rows(&[entry(862, 2, fatal), entry(862, 4, detail)]).len(), 2);
    // However many there are, each is told.
    assert_eq!(rows(&(1..=40).map(|number| entry(862, number, fatal)).collect::<Vec<_>>()).len(), 40);
}

/// With the number before the name, as CIS has it: only the number differs.
#[test]
fn entries_of_a_broken_name_are_told_by_their_number_where_it_stands_before() {
    let entry = |number: u32, text: &str| {
        format!("2026-11-20 20:28:32.862 UTC [7]: [{number}-1] db=d,user=line\nbreak,app=a,client=::1 {text}\n")
    };
    let file = [entry(2, "FATAL:  no"), entry(3, "DETAIL:  why"), entry(4, "HINT:  how")].concat();
    let dialect = stderr("%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ");
    let rows = rows(&dialect, file.as_bytes());
    assert_eq!(rows.len(), 1, "{rows:#?}");
}

/// The same run, through a syslog daemon. Besides what stderr cannot carry either:
///
/// - `hostname`, `app_name`, `timestamp`: the daemon's header, which csvlog has not.
/// - Two statements: daemons write control characters as `#011` and do not write `#` in another way, so that it stays.
#[test]
fn syslog_gives_the_same_records_as_csvlog_save_what_it_cannot_carry() {
    let csv = include_bytes!("fixtures/same_rows.csv");
    let syslog = include_bytes!("fixtures/same_rows.syslog");
    let found = differences(&Format::PostgresCsvlog.into(), csv, &dialect(Format::PostgresSyslog, ALL), syslog);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "extra.app_name",
        "extra.backend_type",
        "extra.hostname",
        "extra.log_line_number",
        "extra.log_line_number_last",
        "extra.query_id",
        "extra.timestamp",
        "flags",
        "session",
        "start",
        "statement",
    ];
    assert_eq!(names, expected);
    assert_eq!(found.get("statement"), Some(&1));
}

const TIME: &str = "2026-11-20 20:28:31.135 UTC";

fn act(prefix: &str, frame: &str) -> (Act, Status) {
    with_record(&stderr(prefix), frame.as_bytes(), |record| (record.act, record.status))
}

#[test]
fn the_sqlstate_decides_in_a_language_that_is_not_known() {
    let row = |word: &str, state: &str| act("%m [%p] %e ", &format!("{TIME} [7] {state} {word}:  text\n"));
    assert_eq!(row("KATASTROFA", "57014"), (Act::Message, Status::Failure));
    assert_eq!(row("KATASTROFA", "28P01"), (Act::LoginFailed, Status::Failure));
    assert_eq!(row("KATASTROFA", "00000"), (Act::Message, Status::Unknown));
    assert_eq!(row("WARNUNG", "25P01"), (Act::Message, Status::Unknown));
}

#[test]
fn the_severity_decides_where_the_prefix_has_no_sqlstate() {
    for word in ["ERROR", "FEHLER", "ERREUR", "ERRORE", "ERRO", "ОШИБКА", "错误", "오류", "FATAL", "致命错误"]
    {
        assert_eq!(act("%m [%p] ", &format!("{TIME} [7] {word}:  text\n")).1, Status::Failure, "{word}");
    }
    for word in ["LOG", "WARNUNG", "СООБЩЕНИЕ", "日志", "DEBUG", "NOTA"] {
        assert_eq!(act("%m [%p] ", &format!("{TIME} [7] {word}:  text\n")).1, Status::Unknown, "{word}");
    }
}

#[test]
fn entries_join_their_row_in_every_language() {
    for (statement, hint) in [
        ("STATEMENT:  ", "HINT:  "),
        ("ANWEISUNG:  ", "TIPP:  "),
        ("SENTENCIA:  ", "HINT:  "),
        ("INSTRUCTION :  ", "ASTUCE :  "),
        ("ISTRUZIONE:  ", "SUGGERIMENTO:  "),
        ("COMANDO:  ", "DICA:  "),
        ("文:  ", "ヒント:  "),
        ("ОПЕРАТОР:  ", "ПОДСКАЗКА:  "),
        ("语句:  ", "提示:  "),
        ("명령 구문:  ", "힌트:  "),
    ] {
        let head = format!("{TIME} [7] ");
        let frame = format!("{head}ERROR:  x\n{head}{hint}a\n\tb\n{head}{statement}SELECT\n\t\t1\n");
        with_record(&stderr("%m [%p] "), frame.as_bytes(), |record| {
            assert_eq!(record.act, Act::FailedStatement, "{statement}");
            assert_eq!(record.statement.and_then(|statement| statement.text), Some(&b"SELECT\n\t1"[..]));
            assert!(record.extra.iter().any(|extra| *extra == ("hint", Value::Text(b"a\nb"))), "{hint}");
        });
    }
}

#[test]
fn rows_are_flagged_where_a_client_has_text_in_the_prefix() {
    let flags = |prefix: &str, line: &str| {
        with_record(&stderr(prefix), format!("{line}LOG:  x\n").as_bytes(), |record| record.flags.to_vec())
    };
    assert_eq!(flags("%m [%p] ", &format!("{TIME} [7] ")), Vec::<&str>::new());
    assert_eq!(flags("%m [%p] %h ", &format!("{TIME} [7] ::1 ")), Vec::<&str>::new());
    for letter in ["u", "d", "a"] {
        assert_eq!(flags(&format!("%m [%p] %{letter} "), &format!("{TIME} [7] name ")), ["forgeable"], "{letter}");
    }
    let line = format!("{TIME} [7] LOG:  x\n");
    with_record(&Format::PostgresStderr.into(), line.as_bytes(), |record| assert_eq!(&record.flags[..], ["forgeable"]));
}

/// What a client can put into a text: line ends, tabs, quotes, separators, words of the server, no UTF-8.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\n\t".to_vec()),
        Just(b"\r\n\x0b\x1b\xff\xc3".to_vec()),
        Just(b"\"',;[]%\\".to_vec()),
        Just(format!("\n{TIME} [7] LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>").into_bytes()),
        Just(b" at character 7".to_vec()),
        Just(b"DETAIL:  ".to_vec()),
        proptest::collection::vec(1_u8..=255, 0..20),
    ];
    support::now_and_then_a_megabyte(proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat()))
}

/// A tab stands behind every line end, as the server writes it.
fn tabbed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        out.push(*byte);
        if *byte == b'\n' {
            out.push(b'\t');
        }
    }
    out
}

/// The chunks into which PostgreSQL splits a row: at line ends, else before a blank, else where they are long enough.
fn chunks(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut chunks, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        if rest[0] == b'\n' {
            rest = &rest[1..];
            continue;
        }
        let front = &rest[..rest.len().min(900)];
        let mut len = front.iter().position(|byte| *byte == b'\n').unwrap_or(front.len());
        let is_blank = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
        if rest.get(len).is_some_and(|byte| !is_blank(byte)) {
            len = rest[1..len].iter().rposition(is_blank).map_or(len, |blank| blank + 1);
        }
        chunks.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    chunks
}

/// What daemons do to control characters.
fn daemon(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| if *byte < 32 { format!("#{byte:03o}").into_bytes() } else { vec![*byte] }).collect()
}

proptest! {
    /// Chunks of two processes in turns come together again. Control characters stay as the daemon wrote them. Texts without tabs: a
    /// line that was cut before a tab looks like two.
    #[test]
    fn rows_in_chunks_come_together(statements in proptest::collection::vec(hostile(), 1..4)) {
        let dialect = dialect(Format::PostgresSyslog, "%m [%p] ");
        let statements: Vec<Vec<u8>> =
            statements.iter().map(|text| text.iter().copied().filter(|byte| *byte != b'\t').collect()).collect();
        let lines = |pid: usize| {
            let rows = statements.iter().enumerate().map(move |(row, statement)| {
                let statement = tabbed(&[b"x", &statement[..], b"."].concat());
                let text = [format!("{TIME} [{pid}] LOG:  statement: ").as_bytes(), &statement, b"\n"].concat();
                let numbered = chunks(&text).into_iter().enumerate().map(move |(chunk, text)| {
                    let head = format!("Nov 20 20:28:31 db1 postgres[{pid}]: [{}-{}] ", row + 1, chunk + 1);
                    [head.as_bytes(), &daemon(&text), b"\n"].concat()
                });
                numbered.collect::<Vec<_>>()
            });
            rows.flatten().collect::<Vec<_>>()
        };
        let (one, other) = (lines(7), lines(8));
        let file = one.iter().zip(&other).flat_map(|(one, other)| [&one[..], &other[..]].concat()).collect::<Vec<_>>();
        let shown = support::show_file(&dialect, &file);
        for (index, statement) in statements.iter().enumerate() {
            let text = [b"x", &statement[..], b"."].concat();
            let text: Vec<u8> = text.split(|byte| *byte == b'\n').map(daemon).collect::<Vec<_>>().join(&b'\n');
            let expected = format!("statement: `{}`\n", text.escape_ascii());
            prop_assert!(shown.matches(&expected).count() >= 2, "row {index}: {expected} not in\n{shown}");
        }
    }

    #[test]
    fn hostile_texts_come_back_as_they_went_in(message in hostile(), detail in hostile(), statement in hostile()) {
        let head = format!("{TIME} [7] 6b00ad6f.42ae 22012 ").into_bytes();
        let entry = |label: &str, text: &[u8]| [&head, label.as_bytes(), &tabbed(text), b"\n"].concat();
        // A message that ends as if it named a place cannot be told from one that does.
        let message = [&message[..], b"."].concat();
        let file = [
            entry("ERROR:  ", &message),
            entry("DETAIL:  ", &detail),
            entry("STATEMENT:  ", &statement),
            entry("LOG:  ", b"the next one"),
        ].concat();
        let dialect = stderr("%m [%p] %c %e ");
        let parts = support::parts(sealtrail_parsers::Framer::new(&dialect), &[&file]);
        prop_assert_eq!(parts.len(), 2);
        let Some(Part::Record(frame)) = parts.first() else { panic!("damaged") };
        with_record(&dialect, frame, |record| {
            assert_eq!(record.error_message, Some(&message[..]));
            assert_eq!(record.statement.and_then(|statement| statement.text), Some(&statement[..]));
            assert!(record.extra.iter().any(|extra| *extra == ("detail", Value::Text(&detail))));
        });
    }

    /// Where a name holds what ends it, the row does not fit or has another reading: it always says that it can be forged.
    #[test]
    fn hostile_names_come_back_or_the_row_says_that_it_is_forgeable(user in hostile(), database in hostile()) {
        let (user, database) = (&user[..user.len().min(63)], &database[..database.len().min(63)]);
        let frame = [TIME.as_bytes(), b" [7] ", user, b"@", database, b" LOG:  text\n"].concat();
        if let Parsed::Record(record) = parse(&stderr("%m [%p] %q%u@%d "), &frame, &mut Scratch::new()) {
            let same = record.user.unwrap_or_default() == user && record.database.unwrap_or_default() == database;
            assert!(same || record.flags.contains(&"forgeable"));
        }
    }
}
