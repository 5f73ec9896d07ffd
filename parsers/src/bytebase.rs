//! Bytebase's audit log on standard output: one JSON object a line, among the lines of the program's own log.
//!
//! A row is a call of its API: `method` is what was called, `user` the person, `request` and `response` are JSON in texts, with secrets taken
//! out and cut at 100 KB (`LogAuditToStdout` in Bytebase's `backend/common/audit.go`). What is hard:
//!
//! - A statement that somebody ran stands in the request, and the database in the name that the request is for:
//!   `instances/prod/databases/shop`.
//! - Who approved what is a call like any other.

use crate::inside;
use crate::json::Value as Json;
use crate::lines::{self, Rules};
use crate::members::{self, Members};
use crate::record::{Act, Client, Record, Statement, Status};
use crate::scratch::Room;
use crate::{Parsed, Scratch, digits, times};

/// How every line begins.
const START: &[u8] = b"{\"time\":\"";

pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match Members::read(frame) {
        Ok(members) => Parsed::Record(record(members, &mut scratch.room(2 * members::room_len(frame)))),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

fn record<'a>(mut members: Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let time = members.text("time", room).unwrap_or_default();
    let mut record = Record { time: times::of_iso(time, b"", room), ..Record::default() };
    let is_audit = members.peek("log_type").and_then(members::text_of).is_some_and(|kind| kind.raw == b"audit");
    if is_audit {
        members.drop("log_type");
        take_call(&mut record, &mut members, room);
    }
    const NAMES: [(&str, &str); 16] = [
        ("msg", "msg"),
        ("level", "level"),
        ("parent", "parent"),
        ("resource", "resource"),
        ("severity", "severity"),
        ("status_code", "status_code"),
        ("latency_ms", "latency_ms"),
        ("user_agent", "user_agent"),
        ("mcp", "mcp"),
        ("mcp_correlation_id", "mcp_correlation_id"),
        ("mcp_scope", "mcp_scope"),
        ("mcp_resource", "mcp_resource"),
        ("mcp_client_id", "mcp_client_id"),
        ("request", "request"),
        ("response", "response"),
        ("error", "error"),
    ];
    members.keep(&NAMES, &mut record, room);
    members.keep_rest("other", &mut record, room);
    record
}

fn take_call<'a>(record: &mut Record<'a>, members: &mut Members<'a>, room: &mut Room<'a>) {
    let method = members.text("method", room).unwrap_or_default();
    if members.peek("msg").and_then(members::text_of).is_some_and(|words| words.raw == method) {
        members.drop("msg");
    }
    record.command = Some(method);
    // A person is named as a resource.
    record.user = members.text("user", room).map(|user| user.strip_prefix(b"users/").unwrap_or(user));
    record.client = Client { address: members.text("client_ip", room), ..Client::default() };
    record.error_message = members.text("status_message", room);
    (record.status, record.error_code) = match members.int("status_code") {
        Some(0) => (Status::Success, None),
        Some(code) => (Status::Failure, Some(digits::in_room(code, room))),
        None if record.error_message.is_some() => (Status::Failure, None),
        None => (Status::Unknown, None),
    };
    record.act = act(method, record.status);
    let request = members.text("request", room);
    if let Some(request) = request {
        if request.ends_with(b"...[truncated]") {
            record.flags.push("truncated");
        }
        take_request(record, request, room);
        inside::add(record, "request", Some(request));
    }
    if record.object.is_none() {
        record.object = members.text("resource", room);
    }
    if record.user.is_none() && matches!(record.act, Act::Login | Act::LoginFailed) {
        // The request names who wanted to log in.
        let named = request.and_then(|request| Members::read(request).ok());
        record.user = named.and_then(|mut request| request.text("email", room));
    }
}

/// The statement and the database of a request; all of it stays in `extra`.
fn take_request<'a>(record: &mut Record<'a>, request: &'a [u8], room: &mut Room<'a>) {
    let Ok(mut request) = Members::read(request) else { return };
    let name = request.text("name", room);
    if matches!(record.act, Act::Statement | Act::FailedStatement) {
        let text = request.text("statement", room);
        record.statement = text.map(|text| Statement { text: Some(text), ..Statement::default() });
        record.database = name.and_then(database).or_else(|| request.text("connectionDatabase", room));
    }
    record.object = name;
    for key in ["project", "issue"] {
        if let (None, Some(Json::Object(inner))) = (record.object, request.peek(key)) {
            record.object = Members::read(inner).ok().and_then(|mut inner| inner.text("name", room));
        }
    }
}

/// The last part of `instances/prod/databases/shop`.
fn database(name: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(name, b"/databases/")?;
    name.get(at + b"/databases/".len()..)?.split(|byte| *byte == b'/').next()
}

/// By the last part of `/bytebase.v1.SQLService/Query`.
fn act(method: &[u8], status: Status) -> Act {
    let failed = status == Status::Failure;
    let slash = memchr::memrchr(b'/', method).map_or(0, |slash| slash + 1);
    let (service, name) = method.split_at(slash);
    let is_of = |service_name: &[u8]| memchr::memmem::find(service, service_name).is_some();
    match name {
        b"Login" | b"ExchangeToken" if failed => Act::LoginFailed,
        b"Login" | b"ExchangeToken" => Act::Login,
        b"Logout" => Act::Logout,
        b"Query" | b"Execute" | b"AdminExecute" | b"Export" if is_of(b"SQLService") && failed => Act::FailedStatement,
        b"Query" | b"Execute" | b"AdminExecute" | b"Export" if is_of(b"SQLService") => Act::Statement,
        b"CreateIssue" | b"ApproveIssue" | b"RejectIssue" | b"RequestIssue" | b"SetIamPolicy" => Act::AccessDecision,
        b"Approve" if is_of(b"Consent") => Act::AccessDecision,
        _ if is_of(b"AccessGrantService") => Act::AccessDecision,
        _ => Act::Message,
    }
}
