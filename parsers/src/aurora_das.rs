//! Amazon's Database Activity Streams of RDS and Aurora, decrypted: every engine's activity in one shape.
//!
//! `{"type":"DatabaseActivityMonitoringRecord","clusterId":…,"instanceId":…,"databaseActivityEventList":[…]}`: several events an object, the
//! objects one behind the other. What is hard:
//!
//! - Engines differ in what they write as a number and what as a text, in what they leave out, and in how they name a login.
//! - Heartbeats are events, too, of the type `heartbeat`: they hold no row.
//! - What comes from the stream itself is encrypted, and cannot be read here.

use crate::braces;
use crate::inside;
use crate::json::{self, Value as Json};
use crate::members::{self, Members};
use crate::record::{Act, Client, Record, Session, Statement, Status, Value};
use crate::scratch::Room;
use crate::{Parsed, Scratch, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse(frame: &[u8]) -> Parsed<'_> {
    let object = object(frame);
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between objects" };
    }
    match list(object) {
        Ok(_) => Parsed::Several,
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// The events of a record. See [`crate::each`].
pub fn each(frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let object = object(frame);
    let mut room = scratch.room(2 * members::room_len(object));
    let found = list(object).and_then(|(mut outside, list)| {
        let mut common = Record::default();
        outside.drop("type");
        const NAMES: [(&str, &str); 2] = [("clusterId", "clusterId"), ("instanceId", "instanceId")];
        outside.keep(&NAMES, &mut common, &mut room);
        outside.keep_rest("record", &mut common, &mut room);
        json::elements(list, |event| row(parse_event(event, &common, &mut room)))
    });
    if let Err(reason) = found {
        row(Parsed::Unparsed { reason, retry_at: None });
    }
}

/// Where a record begins behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    braces::next_object(frame, b"{\"type\"", |object| list(object).is_ok())
}

fn object(frame: &[u8]) -> &[u8] {
    let from = memchr::memchr(b'{', frame).unwrap_or(frame.len());
    frame[from..].trim_ascii()
}

/// The events, and what stands beside them. As documented the record is one in an envelope; what decrypts it may leave that out.
fn list(object: &[u8]) -> Result<(Members<'_>, &[u8]), &'static str> {
    let mut outside = Members::read(object)?;
    match outside.peek("databaseActivityEvents") {
        Some(Json::Object(inner)) => outside = Members::read(inner)?,
        Some(Json::Text(_)) => return Err("an encrypted record of the stream: decrypt it first"),
        _ => {}
    }
    match outside.array("databaseActivityEventList") {
        Some(list) => Ok((outside, list)),
        None => Err("no databaseActivityEventList"),
    }
}

fn parse_event<'a>(event: Json<'a>, common: &Record<'a>, room: &mut Room<'a>) -> Parsed<'a> {
    let members = match event {
        Json::Object(event) => Members::read(event),
        _ => Err("an event is no object"),
    };
    match members {
        Ok(members) if is_heartbeat(&members) => Parsed::Nothing { what: "a heartbeat" },
        Ok(members) => {
            let mut record = record(members, room);
            common.extra.iter().for_each(|extra| {
                let _ = record.extra.try_push(*extra);
            });
            Parsed::Record(record)
        }
        Err(reason) => Parsed::Unparsed { reason, retry_at: None },
    }
}

fn is_heartbeat(members: &Members<'_>) -> bool {
    members.peek("type").and_then(members::text_of).is_some_and(|kind| kind.raw == b"heartbeat")
}

fn record<'a>(mut members: Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let logged = members.text("logTime", room).or_else(|| members.text("startTime", room)).unwrap_or_default();
    let mut record = Record {
        time: time(logged, room),
        user: members.text("dbUserName", room).or_else(|| members.text("dbUser", room)),
        database: members.text("databaseName", room),
        client: Client {
            address: members.text("remoteHost", room),
            port: members.count("remotePort"),
            application: members.text("clientApplication", room),
        },
        session: Session { id: members.word("sessionId", room), pid: members.count("pid"), ..Session::default() },
        command: members.text("command", room),
        object: members.text("objectName", room),
        object_type: members.text("objectType", room),
        ..Record::default()
    };
    let statement = Statement {
        text: members.text("commandText", room),
        class: members.text("class", room),
        id: members.count("statementId"),
        substatement_id: members.count("substatementId"),
        rows: members.count("rowCount"),
        ..Statement::default()
    };
    outcome(&mut record, &mut members, room);
    record.act = act(record.command.unwrap_or_default(), statement.class.unwrap_or_default(), record.status);
    match record.act {
        Act::Statement | Act::FailedStatement => record.statement = Some(statement),
        _ => keep_statement(&mut record, &statement),
    }
    members.drop("type");
    if matches!(members.peek("paramList"), Some(Json::Array(b"[]"))) {
        members.drop("paramList");
    }
    const NAMES: [(&str, &str); 13] = [
        ("startTime", "startTime"),
        ("endTime", "endTime"),
        ("exitCode", "exitCode"),
        ("paramList", "paramList"),
        ("transactionId", "transactionId"),
        ("serverType", "serverType"),
        ("serverVersion", "serverVersion"),
        ("serverHost", "serverHost"),
        ("serviceName", "serviceName"),
        ("netProtocol", "netProtocol"),
        ("dbProtocol", "dbProtocol"),
        ("additionalFields", "additionalFields"),
        ("engineNativeAuditFields", "engineNativeAuditFields"),
    ];
    members.keep(&NAMES, &mut record, room);
    members.keep_rest("other", &mut record, room);
    record
}

/// What a login says that is no statement.
fn keep_statement<'a>(record: &mut Record<'a>, statement: &Statement<'a>) {
    inside::add(record, "commandText", statement.text);
    inside::add(record, "class", statement.class);
    let numbers =
        [("statementId", statement.id), ("substatementId", statement.substatement_id), ("rowCount", statement.rows)];
    for (name, number) in numbers {
        let number = number.and_then(|number| i64::try_from(number).ok());
        record.extra.extend(number.map(|number| (name, Value::Int(number))));
    }
}

/// No exit code, or 0, is success; any other comes with a message. An engine's own code may stand in the exit code.
fn outcome<'a>(record: &mut Record<'a>, members: &mut Members<'a>, room: &mut Room<'a>) {
    record.error_message = members.text("errorMessage", room);
    let code = members.word("exitCode", room).filter(|code| *code != b"0");
    record.error_code = code;
    let failed = code.is_some() || record.error_message.is_some();
    record.status = if failed { Status::Failure } else { Status::Success };
}

/// `2019-10-30 00:39:49.940668+00`; a time without an offset is in UTC, too.
fn time<'a>(text: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    times::of_iso(text.strip_suffix(b"+00").unwrap_or(text), b"UTC", room)
}

/// Engines have their own words: CONNECT of PostgreSQL and MySQL, LOGON of Oracle, LOGIN of SQL Server.
fn act(command: &[u8], class: &[u8], status: Status) -> Act {
    let is_any = |words: &[&[u8]]| words.iter().any(|word| command.eq_ignore_ascii_case(word));
    let failed = status == Status::Failure;
    if is_any(&[b"FAILED_CONNECT", b"LOGIN FAILED"]) {
        return Act::LoginFailed;
    }
    if is_any(&[b"CONNECT", b"LOGON", b"LOGIN", b"AUTH", b"LOGIN SUCCEEDED", b"CHANGEUSER", b"CHANGE_USER"])
        || class.eq_ignore_ascii_case(b"LOGIN")
    {
        return if failed { Act::LoginFailed } else { Act::Login };
    }
    if is_any(&[b"DISCONNECT", b"LOGOFF", b"LOGOUT", b"QUIT"]) || class.eq_ignore_ascii_case(b"LOGOUT") {
        return Act::Logout;
    }
    if failed { Act::FailedStatement } else { Act::Statement }
}
