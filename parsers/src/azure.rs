//! Diagnostic logs of Azure's databases: PostgreSQL flexible and single server, MySQL and MariaDB, Azure SQL.
//!
//! One object a row, as a storage account has them, or several in `{"records":[…]}`, as Event Hubs deliver them. `category` says what
//! `properties` hold. What is hard:
//!
//! - A row of PostgreSQL is a line of its log with the prefix that the operator chose, beside columns of their own. The columns say what the
//!   row means, the prefix who did it: both are read.
//! - Accounts of MySQL are written as `app[app] @ host [10.0.0.7]`.
//! - Keys come in more than one spelling: `resourceId`, `ResourceId`.

use std::sync::LazyLock;

use crate::braces;
use crate::inside;
use crate::json::{self, Value as Json};
use crate::members::{self, Members};
use crate::postgres::{self, Row};
use crate::postgres_words;
use crate::record::{Act, Client, Record, Session, Statement, Status};
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch, sqlserver, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let object = object(frame);
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between objects" };
    }
    match Members::read(object) {
        Ok(members) if matches!(members.peek("records"), Some(Json::Array(_))) => Parsed::Several,
        Ok(members) if is_row(&members) => row(dialect, members, object, scratch),
        Ok(_) => Parsed::Unparsed { reason: NO_ROW, retry_at: next_record(frame) },
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// The records of an object. See [`crate::each`].
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, hand_out: &mut dyn FnMut(Parsed<'_>)) {
    let found = Members::read(object(frame)).and_then(|mut members| {
        let records = members.array("records").ok_or(NO_ROW)?;
        json::elements(records, |element| match element {
            Json::Object(object) => match Members::read(object) {
                Ok(members) if is_row(&members) => hand_out(row(dialect, members, object, scratch)),
                Ok(_) => hand_out(Parsed::Unparsed { reason: NO_ROW, retry_at: None }),
                Err(reason) => hand_out(Parsed::Unparsed { reason, retry_at: None }),
            },
            _ => hand_out(Parsed::Unparsed { reason: NO_ROW, retry_at: None }),
        })
    });
    if let Err(reason) = found {
        hand_out(Parsed::Unparsed { reason, retry_at: None });
    }
}

const NO_ROW: &str = "no category and properties";

/// Where a row begins behind the first byte: `{` behind a line feed, which no text holds.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let is_whole =
        |object: &[u8]| Members::read(object).is_ok_and(|members| is_row(&members) || members.has("records"));
    braces::next_object(frame, b"{\"records\"", is_whole)
        .or_else(|| braces::next_object(frame, b"\n{", |object| is_whole(object.trim_ascii())).map(|at| at + 1))
}

fn object(frame: &[u8]) -> &[u8] {
    let from = memchr::memchr(b'{', frame).unwrap_or(frame.len());
    frame[from..].trim_ascii()
}

fn is_row(members: &Members<'_>) -> bool {
    (members.has("category") || members.has("Category")) && members.has("properties")
}

fn row<'a>(dialect: &Dialect, mut members: Members<'a>, object: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let (mut room, inner) = scratch.room_and_inside(3 * members::room_len(object) + sqlserver::json::ROOM);
    let room = &mut room;
    let category = members.text("category", room).or_else(|| members.text("Category", room)).unwrap_or_default();
    // Some services write the properties as a text that holds an object.
    let as_text = members.text("properties", room);
    let raw = as_text.or_else(|| match members.peek("properties") {
        Some(Json::Object(raw)) => Some(raw),
        _ => None,
    });
    let mut properties = match raw.map(Members::read) {
        Some(Ok(properties)) => {
            members.drop("properties");
            properties
        }
        _ => Members::default(),
    };
    let time = members.text("time", room).or_else(|| members.text("Time", room)).unwrap_or_default();
    let mut record = match category {
        b"PostgreSQLLogs" => postgres_row(dialect, &mut properties, inner, room),
        b"MySqlAuditLogs" => mysql_row(&mut properties, room),
        b"SQLSecurityAuditEvents" => match sqlserver::json::record(raw.unwrap_or_default(), room) {
            Ok(record) => {
                properties = Members::default();
                record
            }
            Err(reason) => return Parsed::Unparsed { reason, retry_at: None },
        },
        _ => Record { act: Act::Message, ..Record::default() },
    };
    if record.time.is_empty() {
        record.time = times::of_iso(time, b"UTC", room);
    } else {
        inside::add(&mut record, "time", Some(time));
    }
    properties.keep_rest("properties", &mut record, room);
    inside::add(&mut record, "category", Some(category));
    const NAMES: [(&str, &str); 8] = [
        ("resourceId", "resourceId"),
        ("ResourceId", "ResourceId"),
        ("operationName", "operationName"),
        ("OperationName", "OperationName"),
        ("LogicalServerName", "LogicalServerName"),
        ("location", "location"),
        ("ServerVersion", "ServerVersion"),
        ("ReplicationRole", "ReplicationRole"),
    ];
    members.keep(&NAMES, &mut record, room);
    members.keep_rest("envelope", &mut record, room);
    Parsed::Record(record)
}

fn postgres_row<'a>(
    dialect: &Dialect,
    properties: &mut Members<'a>,
    scratch: &'a mut Scratch,
    room: &mut Room<'a>,
) -> Record<'a> {
    let severity = properties.text("errorLevel", room);
    let whole = properties.text("message", room).unwrap_or_default();
    let state = properties.text("sqlerrcode", room);
    let prefix = properties.text("prefix", room);
    let (prefix, message) = match prefix {
        Some(prefix) => (prefix, whole),
        None => split(whole, severity.unwrap_or_default()),
    };
    // With verbose errors the message begins with the SQLSTATE.
    let stated = state.and_then(|state| message.strip_prefix(state)?.strip_prefix(b": "));
    let who = who(dialect, prefix, scratch, room);
    let mut text = |key| properties.text(key, room);
    let (message, query) = (stated.unwrap_or(message), text("statement").or_else(|| text("query")));
    let position = query.and_then(|_| postgres_words::split_position(message));
    let row = Row {
        time: who.time,
        user: who.user,
        database: who.database,
        address: who.client.address,
        port: who.client.port,
        application: who.client.application,
        session_id: who.session.id,
        start: who.session.start,
        severity,
        sqlstate: state,
        message: Some(position.map_or(message, |(message, _)| message)),
        detail: text("detail"),
        hint: text("hint"),
        context: text("context"),
        internal_query: text("internalQuery"),
        query,
        query_pos: position.map(|(_, position)| position),
        backend_type: text("backend_type"),
        pid: properties.int("processId").or(who.session.pid.and_then(|pid| i64::try_from(pid).ok())),
        is_partial: true,
        ..Row::default()
    };
    let mut record = postgres::record(row, room);
    if record.time.is_empty() {
        record.time = properties.text("timestamp", room).map_or(&b""[..], |time| times::of_iso(time, b"UTC", room));
    }
    if who.time.is_empty() {
        inside::add(&mut record, "prefix", Some(prefix).filter(|prefix| !prefix.is_empty()));
    }
    who.flags.iter().for_each(|flag| {
        let _ = record.flags.try_push(flag);
    });
    const NAMES: [(&str, &str); 6] = [
        ("timestamp", "timestamp"),
        ("domain", "domain"),
        ("schemaName", "schemaName"),
        ("tableName", "tableName"),
        ("columnName", "columnName"),
        ("datatypeName", "datatypeName"),
    ];
    properties.keep(&NAMES, &mut record, room);
    record
}

/// The prefix of a line, and what stands behind `LOG:  `. Where no severity is, all of it is the message.
fn split<'a>(line: &'a [u8], severity: &[u8]) -> (&'a [u8], &'a [u8]) {
    let mut places = memchr::memmem::find_iter(line, severity).filter(|_| !severity.is_empty());
    let place = places.find(|at| line.get(at + severity.len()..).is_some_and(|rest| rest.starts_with(b":  ")));
    match place {
        Some(at) => (&line[..at], &line[at + severity.len() + 3..]),
        None => (b"", line),
    }
}

/// Who the prefix names: read as that of a line of its own. Nobody, where it cannot be read.
fn who<'a>(dialect: &Dialect, prefix: &[u8], scratch: &'a mut Scratch, room: &mut Room<'a>) -> Record<'a> {
    /// As published samples have it, and any other that is known.
    static KNOWN: LazyLock<[Dialect; 2]> =
        LazyLock::new(|| [inside::postgres_stderr(Some("%t:%r:%u@%d:[%p]:%a:%e")), inside::postgres_stderr(None)]);
    const END: &[u8] = b"LOG:  ";
    let line = room.write(|out| {
        [prefix, END].iter().fold(0, |len, part| {
            let free = out.get_mut(len..).unwrap_or_default();
            let copied = part.len().min(free.len());
            free[..copied].copy_from_slice(&part[..copied]);
            len + copied
        })
    });
    let (first, second) = scratch.two();
    let parsed = match &dialect.inside {
        Some(inside) => inside::row(Some(inside), line, first),
        None => match inside::row(Some(&KNOWN[0]), line, first) {
            Parsed::Record(record) => Parsed::Record(record),
            _ => inside::row(Some(&KNOWN[1]), line, second),
        },
    };
    match parsed {
        Parsed::Record(record) => record,
        _ => Record::default(),
    }
}

fn mysql_row<'a>(properties: &mut Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let time = properties.text("event_time", room).unwrap_or_default();
    let (class, subclass) = (properties.text("event_class", room), properties.text("event_subclass", room));
    let account = properties.text("user", room).unwrap_or_default();
    let (user, login) = account_of(account);
    let mut record = Record {
        time: times::of_iso(time, b"UTC", room),
        user,
        database: properties.text("db", room),
        command: subclass,
        object: properties.text("table_name", room).or_else(|| properties.text("table", room)),
        ..Record::default()
    };
    let address = properties.text("ip", room);
    record.client = Client { address: address.or_else(|| properties.text("host", room)), ..Client::default() };
    let id = properties.word("thread_id", room).or_else(|| properties.word("connection_id", room));
    record.session = Session { id, ..Session::default() };
    let code = properties.word("error_code", room).or_else(|| properties.word("status", room));
    record.status = match code {
        Some(b"0") => Status::Success,
        Some(_) => Status::Failure,
        None => Status::Unknown,
    };
    record.error_code = code.filter(|code| *code != b"0");
    record.act = mysql_act(class.unwrap_or_default(), subclass.unwrap_or_default(), record.status);
    let text = properties.text("sql_text", room);
    record.statement = text.map(|text| Statement { text: Some(text), ..Statement::default() });
    inside::add(&mut record, "event_class", class);
    inside::add(&mut record, "user", Some(account).filter(|account| login || Some(*account) != user));
    const NAMES: [(&str, &str); 4] = [
        ("host", "host"),
        ("connection_id", "connection_id"),
        ("external_user", "external_user"),
        ("proxy_user", "proxy_user"),
    ];
    properties.keep(&NAMES, &mut record, room);
    record
}

/// `priv[login] @ host [ip]`: the account, and whether there is more to it than that name.
fn account_of(account: &[u8]) -> (Option<&[u8]>, bool) {
    let bracket = memchr::memmem::find(account, b"] @ ").and_then(|at| memchr::memrchr(b'[', &account[..at]));
    let name = bracket.map_or(account, |at| &account[..at]);
    (Some(name).filter(|name| !name.is_empty()), bracket.is_some())
}

fn mysql_act(class: &[u8], subclass: &[u8], status: Status) -> Act {
    match (class, subclass, status) {
        (b"connection_log", b"DISCONNECT", _) => Act::Logout,
        (b"connection_log", _, Status::Failure) => Act::LoginFailed,
        (b"connection_log", ..) => Act::Login,
        (b"table_access_log", ..) => Act::TableAccess,
        (b"general_log", b"ERROR", _) | (_, _, Status::Failure) => Act::FailedStatement,
        (b"general_log", ..) => Act::Statement,
        _ => Act::Message,
    }
}
