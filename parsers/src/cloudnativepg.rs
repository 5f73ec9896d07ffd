//! PostgreSQL's log as the Kubernetes operator CloudNativePG writes it: csvlog's columns in JSON, one object a line.
//!
//! `{"level","ts","logger":"postgres","msg":"record","record":{…},"logging_pod"}`: the record has csvlog's names, its numbers are texts, and what
//! is empty is left out. With the logger `pgaudit` pgAudit's fields are taken apart in `record.audit`, and the message is empty. The
//! operator's own lines stand between them.
//!
//! A row comes out as the same [`Record`](crate::Record) as from csvlog, save that an empty text cannot be told from none.

use crate::lines::{self, Rules};
use crate::members::{self, Members};
use crate::pgaudit;
use crate::postgres::{self, Row};
use crate::record::{Act, Record};
use crate::scratch::Room;
use crate::{Parsed, Scratch, inside, times};

/// How every line begins.
const START: &[u8] = b"{\"level\":\"";

pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match Members::read(frame) {
        // Texts unescaped, pgAudit's fields put together and taken apart again.
        Ok(members) => Parsed::Record(record(members, &mut scratch.room(5 * members::room_len(frame)))),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

fn record<'a>(mut members: Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let mut row = members.members("record");
    let is_row = row.has("log_time") && row.has("session_id");
    let mut record = if is_row {
        members.drop("msg");
        let audit = row.members("audit");
        let mut record = postgres_record(&mut row, audit, room);
        row.keep_rest("record", &mut record, room);
        record
    } else {
        let time = members.text("ts", room).unwrap_or_default();
        let mut record = Record { time: times::of_iso(time, b"", room), act: Act::Message, ..Record::default() };
        inside::add(&mut record, "message", members.text("msg", room));
        row.keep_rest("record", &mut record, room);
        record
    };
    const NAMES: [(&str, &str); 6] = [
        ("level", "level"),
        ("ts", "ts"),
        ("logger", "logger"),
        ("logging_pod", "logging_pod"),
        ("controllerKind", "controllerKind"),
        ("error", "error"),
    ];
    members.keep(&NAMES, &mut record, room);
    members.keep_rest("envelope", &mut record, room);
    record
}

fn postgres_record<'a>(row: &mut Members<'a>, audit: Members<'a>, room: &mut Room<'a>) -> Record<'a> {
    let message = row.text("message", room);
    let message = if audit.has("audit_type") { Some(audit_message(audit, room)) } else { message };
    let mut text = |key| row.text(key, room);
    let (address, port) = text("connection_from").map_or((None, None), postgres::connection_from);
    let columns = Row {
        time: text("log_time").unwrap_or_default(),
        user: text("user_name"),
        database: text("database_name"),
        address,
        port,
        session_id: text("session_id"),
        command_tag: text("command_tag"),
        start: text("session_start_time"),
        virtual_transaction_id: text("virtual_transaction_id"),
        severity: text("error_severity"),
        sqlstate: text("sql_state_code"),
        message,
        detail: text("detail"),
        hint: text("hint"),
        internal_query: text("internal_query"),
        context: text("context"),
        query: text("query"),
        location: text("location"),
        application: text("application_name"),
        backend_type: text("backend_type"),
        pid: row.int("process_id"),
        line: row.int("session_line_num"),
        transaction_id: row.int("transaction_id"),
        internal_query_pos: row.int("internal_query_pos"),
        query_pos: row.int("query_pos"),
        leader_pid: row.int("leader_pid"),
        query_id: row.int("query_id"),
        ..Row::default()
    };
    postgres::record(columns, room)
}

/// What pgAudit wrote, from its fields.
fn audit_message<'a>(mut audit: Members<'a>, room: &mut Room<'a>) -> &'a [u8] {
    let keys = [
        "audit_type",
        "statement_id",
        "substatement_id",
        "class",
        "command",
        "object_type",
        "object_name",
        "statement",
        "parameter",
    ];
    let fields = keys.map(|key| audit.word(key, room).unwrap_or_default());
    let rows = audit.word("rows", room);
    pgaudit::compose(&fields, rows, room)
}
