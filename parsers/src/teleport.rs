//! Teleport's audit events: who was behind a database session, and who asked for it and was given it. One JSON object a line.
//!
//! `event` is what happened, `user` the person, `db_user` the account at the database, `sid` the session that all its events share (Teleport's
//! documentation, "Audit Event Reference" and "Database Access Audit Events"). Only events of databases, access requests and logins have a
//! meaning here; every other one is a message with all its keys. What is hard:
//!
//! - The same event tells of success and of failure: `success`, `error`, and the last letter of `code` say which.
//! - A statement may be in a key of its protocol's own: `db_query`, `query`, `statement_text`.

use crate::inside;
use crate::json::Value as Json;
use crate::lines::{self, Rules};
use crate::members::{self, Members};
use crate::record::{Act, Client, Record, Session, Statement, Status};
use crate::scratch::Room;
use crate::{Parsed, Scratch, times};

/// Keys come in any order: nothing but the brace marks a start.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: b"", is_whole: lines::ends_with_brace };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let read = Members::read(frame).and_then(|members| match members.has("event") && members.has("time") {
        true => Ok(members),
        false => Err("no event and time"),
    });
    match read {
        Ok(members) => Parsed::Record(record(members, &mut scratch.room(members::room_len(frame)))),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte: half a row may run on into a whole one.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let is_event = |object: &[u8]| Members::read(object).is_ok_and(|event| event.has("event") && event.has("time"));
    crate::braces::next_object(frame, b"{\"", is_event)
}

fn record<'a>(mut members: Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let time = members.text("time", room).unwrap_or_default();
    let event = members.text("event", room).unwrap_or_default();
    let mut record = Record {
        time: times::of_iso(time, b"", room),
        command: Some(event),
        user: members.text("user", room),
        session: Session { id: members.text("sid", room), ..Session::default() },
        ..Record::default()
    };
    outcome(&mut record, &mut members, room);
    record.act = act(event, record.status);
    match event {
        _ if event.starts_with(b"db.session.") => take_database(&mut record, &mut members, room),
        _ if event.starts_with(b"access_request.") => take_request(&mut record, &mut members, room),
        _ => record.object = members.text("name", room),
    }
    if let Some(address) = members.text("addr.remote", room) {
        (record.client.address, record.client.port) = host_and_port(address);
    }
    const NAMES: [(&str, &str); 25] = [
        ("code", "code"),
        ("ei", "ei"),
        ("uid", "uid"),
        ("cluster_name", "cluster_name"),
        ("db_user", "db_user"),
        ("db_service", "db_service"),
        ("db_protocol", "db_protocol"),
        ("db_uri", "db_uri"),
        ("db_type", "db_type"),
        ("db_origin", "db_origin"),
        ("db_roles", "db_roles"),
        ("postgres_pid", "postgres_pid"),
        ("db_query_parameters", "db_query_parameters"),
        ("access_requests", "access_requests"),
        ("id", "id"),
        ("state", "state"),
        ("proposed_state", "proposed_state"),
        ("roles", "roles"),
        ("reason", "reason"),
        ("reviewer", "reviewer"),
        ("delegator", "delegator"),
        ("updated_by", "updated_by"),
        ("user_kind", "user_kind"),
        ("message", "message"),
        ("success", "success"),
    ];
    members.keep(&NAMES, &mut record, room);
    members.keep_rest("other", &mut record, room);
    record
}

/// `success` and `error` where they are there; else the code's last letter: information, warning, error.
fn outcome<'a>(record: &mut Record<'a>, members: &mut Members<'a>, room: &mut Room<'a>) {
    record.error_message = members.text("error", room);
    let said = match members.peek("success") {
        Some(Json::Other(b"true")) => Some(true),
        Some(Json::Other(b"false")) => Some(false),
        _ => None,
    };
    let code = members.peek("code").and_then(members::text_of).and_then(|code| code.raw.last());
    record.status = match (said, record.error_message, code) {
        (Some(true), ..) => Status::Success,
        (Some(false), ..) | (None, Some(_), _) | (None, None, Some(b'W' | b'E')) => Status::Failure,
        (None, None, Some(b'I')) => Status::Success,
        _ => Status::Unknown,
    };
    if said.is_some() {
        members.drop("success");
    }
}

fn take_database<'a>(record: &mut Record<'a>, members: &mut Members<'a>, room: &mut Room<'a>) {
    record.database = members.text("db_name", room);
    let mut text = None;
    for key in ["db_query", "query", "statement_text"] {
        text = text.or_else(|| members.text(key, room));
    }
    if matches!(record.act, Act::Statement | Act::FailedStatement) {
        record.statement = text.map(|text| Statement { text: Some(text), ..Statement::default() });
    } else {
        inside::add(record, "db_query", text);
    }
    record.client = Client { application: members.text("user_agent", room), ..Client::default() };
}

/// What was asked for is the request; who decided is the person, who asked stays beside it.
fn take_request<'a>(record: &mut Record<'a>, members: &mut Members<'a>, room: &mut Room<'a>) {
    record.object_type = Some(b"access_request");
    record.object = members.text("id", room);
    let mut decided = None;
    for (event, key) in [
        (&b"access_request.review"[..], "reviewer"),
        (b"access_request.review", "reviewer_user"),
        (b"access_request.update", "delegator"),
        (b"access_request.update", "updated_by"),
        (b"access_request.delete", "updated_by"),
    ] {
        if decided.is_none() && record.command == Some(event) {
            decided = members.text(key, room);
        }
    }
    if let Some(decided) = decided {
        inside::add(record, "user", record.user);
        record.user = Some(decided);
    }
}

fn act(event: &[u8], status: Status) -> Act {
    let failed = status == Status::Failure;
    match event {
        b"db.session.start" | b"user.login" if failed => Act::LoginFailed,
        b"db.session.start" | b"user.login" => Act::Login,
        b"db.session.end" => Act::Logout,
        b"db.session.query.failed" => Act::FailedStatement,
        b"db.session.permissions.update" | b"db.session.user.create" | b"db.session.user.deactivate" => {
            Act::AccessDecision
        }
        b"db.session.malformed_packet" => Act::Message,
        // The result of a statement that another event tells of.
        b"db.session.query.result" => Act::Message,
        event if event.starts_with(b"db.session.") && failed => Act::FailedStatement,
        event if event.starts_with(b"db.session.") => Act::Statement,
        b"access_request.search" => Act::Message,
        event if event.starts_with(b"access_request.") || event.starts_with(b"access_list.") => Act::AccessDecision,
        b"user.create" | b"user.update" | b"role.created" | b"role.updated" | b"lock.created" | b"lock.deleted" => {
            Act::AccessDecision
        }
        _ => Act::Message,
    }
}

/// `127.0.0.1:33948`, `[::1]:5432`.
fn host_and_port(text: &[u8]) -> (Option<&[u8]>, Option<u16>) {
    let colon = memchr::memrchr(b':', text);
    let port = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    match colon.and_then(|colon| Some((text.get(..colon)?, port(text.get(colon + 1..)?)?))) {
        Some((host, port)) => {
            let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
            (Some(bare.unwrap_or(host)), Some(port))
        }
        None => (Some(text), None),
    }
}
