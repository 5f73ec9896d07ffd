//! What earlier rows of a session tell of later ones, through the whole of reading: prepared statements, and the account and database of a general
//! query log, bare and inside of what carries it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use sealtrail::parse::{Request, parse};
use sealtrail_parsers::Format;
use serde_json::{Value, json};

/// A general query log: two connections, of which one prepares.
const GENERAL: &str = "2026-11-20T20:28:31.000000Z\t    7 Connect\tapp@10.0.0.5 on shop using TCP/IP
2026-11-20T20:28:32.000000Z\t    7 Query\tUSE pay
2026-11-20T20:28:33.000000Z\t    7 Query\tSELECT a FROM orders
2026-11-20T20:28:34.000000Z\t    7 Query\tPREPARE s FROM 'DELETE FROM orders WHERE id = ?'
2026-11-20T20:28:34.000000Z\t    7 Prepare\tDELETE FROM orders WHERE id = ?
2026-11-20T20:28:35.000000Z\t    7 Query\tEXECUTE s USING @a
2026-11-20T20:28:36.000000Z\t    8 Query\tEXECUTE s USING @a
2026-11-20T20:28:36.000000Z\t    7 Query\tPREPARE s FROM 'DELETE FRO orders'
2026-11-20T20:28:36.000000Z\t    7 Query\tEXECUTE s USING @a
2026-11-20T20:28:37.000000Z\t    7 Quit\t
2026-11-20T20:28:38.000000Z\t    7 Query\tSELECT 1
";

#[test]
fn a_general_log_is_followed_and_says_what_it_carried_on() {
    let lines = parsed(Format::MysqlGeneral, None, GENERAL);
    let told: Vec<Value> = lines.iter().map(told).collect();
    let both = json!({ "user": "session", "action": "sql", "resource": "sql", "database": "session" });
    assert_eq!(told[0], json!(["app", "LOGIN", "shop", "shop", null]));
    assert_eq!(told[2], json!(["app", "SELECT", "pay.orders", "pay", both]));
    let by_session = json!({ "user": "session", "action": "session", "resource": "session", "database": "session" });
    assert_eq!(told[4][1], "PREPARE", "it does not run yet");
    assert_eq!(told[5], json!(["app", "DELETE", "pay.orders", "pay", by_session]));
    let unknown = json!({ "user": "fallback:unknown", "action": "sql", "resource": "fallback:prepared" });
    assert_eq!(told[6], json!(["(unknown)", "EXECUTE", "s", null, unknown]));
    assert_eq!(
        told[8][4]["resource"], "fallback:prepared",
        "what was prepared has a row of its own, and this has none"
    );
    assert_eq!(told[10][0], "(unknown)", "the connection is over");
    assert_eq!(lines[5]["category"], "data_write");
}

#[test]
fn a_general_log_is_followed_inside_of_what_carries_it_as_it_is_bare() {
    let bare: Vec<Value> = parsed(Format::MysqlGeneral, None, GENERAL).iter().map(told).collect();
    let rows = || GENERAL.lines();
    let cri: String = rows().map(|row| format!("2026-11-20T20:29:00.000000000Z stdout F {row}\n")).collect();
    let docker: String = rows()
        .map(|row| {
            let line =
                json!({ "log": format!("{row}\n"), "stream": "stdout", "time": "2026-11-20T20:29:00.000000000Z" });
            format!("{line}\n")
        })
        .collect();
    for (carrier, text, inside) in [
        (Format::Cri, &cri, Some(Format::MysqlGeneral)),
        (Format::DockerJson, &docker, Some(Format::MysqlGeneral)),
        (Format::Cloudwatch, &envelope("db-1", GENERAL), Some(Format::MysqlGeneral)),
        (Format::Cloudwatch, &envelope("db-1", GENERAL), None),
    ] {
        let wrapped: Vec<Value> = parsed(carrier, inside, text).iter().map(told).collect();
        assert_eq!(wrapped, bare, "{} {inside:?}", carrier.name());
    }
}

#[test]
fn connections_of_two_servers_are_not_one_though_their_numbers_are() {
    let first = "2026-11-20T20:28:31.000000Z\t    7 Connect\tapp@10.0.0.5 on shop using TCP/IP\n";
    let second = "2026-11-20T20:28:32.000000Z\t    7 Query\tSELECT 1\n";
    let text = envelope("db-1", first) + &envelope("db-2", second) + &envelope("db-1", second);
    let lines = parsed(Format::Cloudwatch, None, &text);
    let users: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["extra"]["logStream"].as_str().unwrap(), line["user"].as_str().unwrap()))
        .collect();
    assert!(users.contains(&("db-2", "(unknown)")), "{users:?}");
    assert_eq!(users.iter().filter(|user| **user == ("db-1", "app")).count(), 2, "{users:?}");
}

#[test]
fn an_execute_is_what_was_prepared_in_postgresql_too() {
    let text = [
        ("1", "PREPARE p (int) AS UPDATE pay.salaries SET amount = $1", ""),
        ("2", "EXECUTE p(1)", ""),
        ("3", "EXECUTE q(1)", ""),
        ("4", "EXECUTE r(1)", "prepare: DELETE FROM hr.people WHERE id = $1"),
        ("5", "EXECUTE s(1)", "prepare: PREPARE s AS TABLE hr.people"),
    ]
    .map(|(line, sql, detail)| {
        format!(
            "2026-11-20 20:28:31.865 UTC,\"app\",\"shop\",17,\"127.0.0.1:5\",6b00ad6f.42b6,{line},\"idle\",2026-11-20 20:28:31 UTC,3/85,0,LOG,\
             00000,\"statement: {sql}\",\"{detail}\",,,,,,,,\"\",\"client backend\",,0\n"
        )
    });
    let lines = parsed(Format::PostgresCsvlog, None, &text.concat());
    let told: Vec<Value> = lines.iter().map(told).collect();
    assert_eq!(told[0][1], "PREPARE");
    let by_session = json!({ "action": "session", "resource": "session" });
    assert_eq!(told[1], json!(["app", "UPDATE", "shop.pay.salaries", "shop", by_session]));
    assert_eq!(lines[1]["category"], "data_write");
    assert_eq!(lines[1]["statement"]["text"], "EXECUTE p(1)");
    assert_eq!(told[2], json!(["app", "EXECUTE", "q", "shop", { "action": "sql", "resource": "fallback:prepared" }]));
    let by_row = json!({ "action": "sql", "resource": "sql" });
    assert_eq!(told[3], json!(["app", "DELETE", "shop.hr.people", "shop", by_row]));
    assert_eq!(told[4], json!(["app", "SELECT", "shop.hr.people", "shop", by_row]));
}

/// As RDS delivers a log: an envelope with an event for each row.
fn envelope(stream: &str, text: &str) -> String {
    let events: Vec<Value> = text
        .lines()
        .enumerate()
        .map(|(number, row)| json!({ "id": number.to_string(), "timestamp": 1_795_206_540_000u64, "message": row }))
        .collect();
    let envelope = json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/rds/instance/db-1/general", "logStream": stream,
        "subscriptionFilters": ["all"], "logEvents": events,
    });
    format!("{envelope}\n")
}

/// Who, what, to what, in which database, and what of it was derived.
fn told(line: &Value) -> Value {
    json!([line["user"], line["action"], line["resource"], line["database"], line["derived"]])
}

fn parsed(format: Format, inside: Option<Format>, text: &str) -> Vec<Value> {
    let request = Request {
        path: "log".to_owned(),
        format: Some(format),
        inside,
        prefix: None,
        timezone: None,
        server: "db1".to_owned(),
        record_max_bytes: 1 << 20,
    };
    let mut out = Vec::new();
    parse(&request, &mut text.as_bytes(), &mut out).unwrap();
    let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}
