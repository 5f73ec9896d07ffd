//! What a row of SQL Server's audit means, whichever way it left the server.
//!
//! The audit file itself is a binary of Microsoft's without a description. What can be read is what comes out of it: events 33205 of the
//! Windows log, as [`text`] or in a collector's JSON ([`eventlog`]), and rows of `sys.fn_get_audit_file`, exported as [`csv`] or
//! [`json`]. All have the same columns. What is hard:
//!
//! - A statement is cut after 4,000 characters and goes on in further rows, which carry the same `sequence_group_id` and count up in
//!   `sequence_number`: see [`assemble`].
//! - Outside logins `succeeded` tells of the permission check alone, not of the statement's end.
//! - A statement that runs under another login (`EXECUTE AS`) has two: the one that connected is the user.
//!
//! Columns: Microsoft Learn, "sys.fn_get_audit_file (Transact-SQL)".

pub mod csv;
pub mod errorlog;
pub mod eventlog;
pub mod json;
mod names;
pub mod text;

use crate::extra::EXTRA_MAX;
use crate::record::{Act, Client, Piece, Record, Session, Statement, Status, Value};
use crate::scratch::Room;
use crate::{Parsed, Scratch, times};

/// All columns, in the order in which an event's text has them; behind `obo_middle_tier_app_id` those of the function alone.
const COLUMNS: [&str; 49] = [
    "audit_schema_version",
    "event_time",
    "sequence_number",
    "action_id",
    "succeeded",
    "is_column_permission",
    "session_id",
    "server_principal_id",
    "database_principal_id",
    "target_server_principal_id",
    "target_database_principal_id",
    "object_id",
    "user_defined_event_id",
    "transaction_id",
    "class_type",
    "duration_milliseconds",
    "response_rows",
    "affected_rows",
    "client_tls_version",
    "database_transaction_id",
    "ledger_start_sequence_number",
    "is_local_secondary_replica",
    "client_ip",
    "permission_bitmask",
    "sequence_group_id",
    "session_server_principal_name",
    "server_principal_name",
    "server_principal_sid",
    "database_principal_name",
    "target_server_principal_name",
    "target_server_principal_sid",
    "target_database_principal_name",
    "server_instance_name",
    "database_name",
    "schema_name",
    "object_name",
    "statement",
    "additional_information",
    "user_defined_information",
    "application_name",
    "connection_id",
    "data_sensitivity_information",
    "host_name",
    "session_context",
    "client_tls_version_name",
    "external_policy_permissions_checked",
    "obo_middle_tier_app_id",
    "file_name",
    "audit_file_offset",
];

const EVENT_TIME: usize = 1;
const SEQUENCE_NUMBER: usize = 2;
const ACTION_ID: usize = 3;
const SUCCEEDED: usize = 4;
const SESSION_ID: usize = 6;
const OBJECT_ID: usize = 11;
const CLASS_TYPE: usize = 14;
const CLIENT_IP: usize = 22;
const SEQUENCE_GROUP_ID: usize = 24;
const SESSION_LOGIN: usize = 25;
const LOGIN: usize = 26;
const DATABASE_NAME: usize = 33;
const SCHEMA_NAME: usize = 34;
const OBJECT_NAME: usize = 35;
const STATEMENT: usize = 36;
const ADDITIONAL_INFORMATION: usize = 37;
const APPLICATION_NAME: usize = 39;

/// The places of columns that are 0 where they do not apply, as Microsoft says of them.
const ZERO_IS_NONE: [usize; 7] = [9, 10, 11, 12, 13, 19, 20];

/// The longest text that a column holds, in UTF-16 units: `nvarchar(4000)`.
const TEXT_MAX: usize = 4000;

/// One row, unescaped; `None` is NULL or a column that is not there.
#[derive(Debug, Clone)]
struct Row<'a> {
    columns: [Option<&'a [u8]>; COLUMNS.len()],
    /// What stood around it, or in no known column.
    other: Option<&'a [u8]>,
    /// The text has more than one reading.
    is_forgeable: bool,
}

impl Default for Row<'_> {
    fn default() -> Self {
        Row { columns: [None; COLUMNS.len()], other: None, is_forgeable: false }
    }
}

/// The place of a column, looked for first at `near`.
fn column(name: &[u8], near: usize) -> Option<usize> {
    let is = |at: &usize| COLUMNS.get(*at).is_some_and(|column| column.as_bytes() == name);
    Some(near).filter(is).or_else(|| (0..COLUMNS.len()).find(is))
}

impl<'a> Row<'a> {
    fn get(&self, column: usize) -> Option<&'a [u8]> {
        self.columns.get(column).copied().flatten().filter(|value| !value.is_empty())
    }

    fn set(&mut self, column: usize, value: &'a [u8]) {
        if let Some(slot) = self.columns.get_mut(column) {
            *slot = Some(value);
        }
    }

    /// Why it is no audit row.
    fn missing(&self) -> Option<&'static str> {
        match (self.get(EVENT_TIME), self.get(ACTION_ID)) {
            (None, _) => Some("no event_time"),
            (_, None) => Some("no action_id"),
            (Some(_), Some(_)) => None,
        }
    }

    fn number(&self) -> u32 {
        let digits = self.get(SEQUENCE_NUMBER).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
    }

    /// Which row it is a part of, if its statement may go on in another or comes from one.
    fn piece(&self) -> Option<Piece<'a>> {
        let is_full = self.get(STATEMENT).is_some_and(|text| text.len() >= TEXT_MAX && units(text) >= TEXT_MAX);
        let number = self.number();
        if number <= 1 && !is_full {
            return None;
        }
        let writer = self.get(SEQUENCE_GROUP_ID).or(self.get(SESSION_ID)).unwrap_or_default();
        Some(Piece { writer, row: self.fingerprint(), number: number.max(1), is_last: (!is_full).then_some(true) })
    }

    /// Of what all pieces of a row have in common: FNV-1a.
    fn fingerprint(&self) -> u64 {
        let columns = [EVENT_TIME, SESSION_ID, ACTION_ID, OBJECT_ID, CLASS_TYPE, OBJECT_NAME];
        let bytes = columns.iter().flat_map(|column| self.get(*column).unwrap_or_default().iter().chain(b"\0"));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Length in UTF-16 units of text in UTF-8.
fn units(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum()
}

/// What [`record`] needs beside the texts of the columns: the object's name, the time, the numbers.
const ROOM: usize = 128;

/// A row on its own, or that it is a piece.
fn parsed<'a>(row: Row<'a>, room: &mut Room<'a>) -> Parsed<'a> {
    match (row.missing(), row.piece()) {
        (Some(reason), _) => Parsed::Unparsed { reason, retry_at: None },
        (None, Some(piece)) => Parsed::Piece(piece),
        (None, None) => Parsed::Record(record(&row, room)),
    }
}

/// Reads one frame of a format. Needs as much room as [`room_len`] says.
type Read = for<'a> fn(&'a [u8], &mut Room<'a>) -> Result<Row<'a>, &'static str>;

/// What a frame's texts take, unescaped, what was left over, and the object's name once more.
fn room_len(frame: &[u8]) -> usize {
    3 * frame.len() + ROOM
}

/// Makes one record of the rows over which a statement was spread: the first one's columns, and all statements joined.
fn assemble<'a>(read: Read, frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    let texts: usize = frames.iter().map(|frame| room_len(frame) + frame.len()).sum();
    let mut room = scratch.room(texts);
    let mut rows = Vec::with_capacity(frames.len());
    for frame in frames {
        match read(frame, &mut room) {
            Ok(row) => rows.push(row),
            Err(reason) => return Parsed::Unparsed { reason, retry_at: None },
        }
    }
    rows.sort_by_key(Row::number);
    let is_gapless = rows.iter().zip(1..).all(|(row, number)| row.number() == number);
    let statement = room.write(|out| {
        let statements = rows.iter().filter_map(|row| row.get(STATEMENT));
        statements.fold(0, |len, text| len + copy(text, out.get_mut(len..).unwrap_or_default()))
    });
    let Some(mut first) = rows.into_iter().next() else { return Parsed::Nothing { what: "no bytes" } };
    if let Some(reason) = first.missing() {
        return Parsed::Unparsed { reason, retry_at: None };
    }
    if !statement.is_empty() {
        first.set(STATEMENT, statement);
    }
    let mut record = record(&first, &mut room);
    if !(complete && is_gapless) {
        record.flags.push("incomplete");
    }
    Parsed::Record(record)
}

/// Makes the record of a row.
fn record<'a>(row: &Row<'a>, room: &mut Room<'a>) -> Record<'a> {
    let code = row.get(ACTION_ID).unwrap_or_default().trim_ascii_end();
    let status = match row.get(SUCCEEDED) {
        Some(b"1" | b"true" | b"True" | b"TRUE") => Status::Success,
        Some(b"0" | b"false" | b"False" | b"FALSE") => Status::Failure,
        _ => Status::Unknown,
    };
    let mut record = Record {
        time: times::of_iso(row.get(EVENT_TIME).unwrap_or_default(), b"UTC", room),
        act: act(code, status),
        user: row.get(SESSION_LOGIN).or(row.get(LOGIN)),
        database: row.get(DATABASE_NAME),
        client: client(row),
        // A login that failed has no session.
        session: Session { id: row.get(SESSION_ID).filter(|id| *id != b"0"), ..Session::default() },
        command: Some(names::action(code).map_or(code, str::as_bytes)),
        object: object(row, room),
        object_type: row.get(CLASS_TYPE).map(|class| class.trim_ascii_end()),
        status,
        ..Record::default()
    };
    record.object_type = record.object_type.map(|class| names::class(class).map_or(class, str::as_bytes));
    if record.act == Act::LoginFailed {
        record.error_message = row.get(STATEMENT);
    } else {
        record.statement = row.get(STATEMENT).map(|text| Statement { text: Some(text), ..Statement::default() });
    }
    add_extra(&mut record, row);
    if row.is_forgeable {
        record.flags.push("forgeable");
    }
    record
}

fn act(code: &[u8], status: Status) -> Act {
    match (code, status) {
        (b"LGIS" | b"DBAS", _) => Act::Login,
        (b"LGIF" | b"DBAF", _) => Act::LoginFailed,
        (b"LGO" | b"DBL", _) => Act::Logout,
        (b"SVSR" | b"SVSD" | b"SVPD" | b"SVCN", _) => Act::Message,
        (_, Status::Failure) => Act::FailedStatement,
        _ => Act::Statement,
    }
}

/// The server's words for a client on its own machine; before 2017 the address stands in the additional information of logins.
fn client<'a>(row: &Row<'a>) -> Client<'a> {
    let address = row.get(CLIENT_IP).or_else(|| {
        let xml = row.get(ADDITIONAL_INFORMATION)?;
        let from = memchr::memmem::find(xml, b"<address>")? + b"<address>".len();
        let address = xml.get(from..)?;
        address.get(..memchr::memchr(b'<', address)?)
    });
    let address = address.map(|address| if address == b"local machine" { &b"[local]"[..] } else { address });
    Client { address, application: row.get(APPLICATION_NAME), ..Client::default() }
}

/// `schema.name`, each part as the server wrote it.
fn object<'a>(row: &Row<'a>, room: &mut Room<'a>) -> Option<&'a [u8]> {
    let name = row.get(OBJECT_NAME)?;
    let Some(schema) = row.get(SCHEMA_NAME) else { return Some(name) };
    Some(room.write(|out| {
        let parts = [schema, b".", name];
        parts.iter().fold(0, |len, part| len + copy(part, out.get_mut(len..).unwrap_or_default()))
    }))
}

fn add_extra<'a>(record: &mut Record<'a>, row: &Row<'a>) {
    const TAKEN: [usize; 8] =
        [EVENT_TIME, SUCCEEDED, SESSION_ID, CLIENT_IP, DATABASE_NAME, OBJECT_NAME, STATEMENT, APPLICATION_NAME];
    const { assert!(COLUMNS.len() - TAKEN.len() < EXTRA_MAX + 2) };
    let session_login = row.get(SESSION_LOGIN);
    for (column, name) in COLUMNS.iter().enumerate().filter(|(column, _)| !TAKEN.contains(column)) {
        let is_user = column == SESSION_LOGIN
            || (column == LOGIN && (session_login.is_none() || row.get(LOGIN) == session_login));
        let says_none = |value: &&[u8]| ZERO_IS_NONE.contains(&column) && *value == b"0";
        if let Some(value) = row.get(column).filter(|value| !is_user && !says_none(value)) {
            // The login that connected is the user: one fewer than the places there are.
            let _ = record.extra.try_push((name, Value::Text(value)));
        }
    }
    if let Some(other) = row.other {
        let _ = record.extra.try_push(("other", Value::Text(other)));
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}
