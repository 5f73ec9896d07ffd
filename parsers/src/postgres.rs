//! What a row of PostgreSQL's server log means, whichever format it came in.
//!
//! Owns the decision what kind of row it is, and which of its columns become fields of the [`Record`]. The user and
//! the database are the columns' and never read from the message, whose names are not escaped.
//!
//! What is hard: everything that is said in words may be translated (`lc_messages`), and any session may put any
//! words into the log with `RAISE LOG`. So decisions rest first on the SQLSTATE, the command tag and the source
//! location, and words are believed only of rows that have neither a context nor a query: the server leaves
//! both out of its audit, connection and statement rows, and writes at least one of them for `RAISE`.

use crate::extra::EXTRA_MAX;
use crate::pgaudit::{self, Audit};
use crate::postgres_words::{self as words, Level};
use crate::record::{Act, Client, Record, Session, Statement, Status, Value};
use crate::scratch::Room;

/// One row, unescaped; `None` is the server's NULL.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row<'a> {
    pub time: &'a [u8],
    pub user: Option<&'a [u8]>,
    pub database: Option<&'a [u8]>,
    pub pid: Option<i64>,
    pub address: Option<&'a [u8]>,
    pub port: Option<u16>,
    pub session_id: Option<&'a [u8]>,
    pub line: Option<i64>,
    pub command_tag: Option<&'a [u8]>,
    pub start: Option<&'a [u8]>,
    pub virtual_transaction_id: Option<&'a [u8]>,
    pub transaction_id: Option<i64>,
    pub severity: Option<&'a [u8]>,
    pub sqlstate: Option<&'a [u8]>,
    pub message: Option<&'a [u8]>,
    /// pgAudit's payload, where the format hands it on without its words before it; then there is no message.
    pub audit: Option<&'a [u8]>,
    pub detail: Option<&'a [u8]>,
    pub hint: Option<&'a [u8]>,
    pub internal_query: Option<&'a [u8]>,
    pub internal_query_pos: Option<i64>,
    pub context: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub query_pos: Option<i64>,
    pub location: Option<&'a [u8]>,
    pub application: Option<&'a [u8]>,
    pub backend_type: Option<&'a [u8]>,
    pub leader_pid: Option<i64>,
    pub query_id: Option<i64>,
    /// The text formats only, with `log_line_prefix`'s `%L`.
    pub local_address: Option<&'a [u8]>,
    /// The text formats only.
    pub backtrace: Option<&'a [u8]>,
    /// What the format held beyond these.
    pub other: Option<&'a [u8]>,
    /// The format leaves out the client or the command tag, so that nothing can be told from their absence.
    pub is_partial: bool,
}

/// Makes the record of a row. Needs at most as much room as the message is long.
pub(crate) fn record<'a>(row: Row<'a>, room: &mut Room<'a>) -> Record<'a> {
    let mut record = Record {
        time: row.time,
        user: row.user,
        database: row.database,
        client: Client { address: row.address, port: row.port, application: not_empty(row.application) },
        session: Session {
            id: row.session_id,
            line: row.line.and_then(|line| u64::try_from(line).ok()),
            pid: row.pid.and_then(|pid| u64::try_from(pid).ok()),
            start: row.start,
        },
        ..Record::default()
    };
    let rest = give_meaning(&row, &mut record, room);
    add_extra(&mut record, &row, &rest);
    record
}

/// What the fields of the record did not take up.
#[derive(Default)]
struct Rest<'a> {
    sqlstate: Option<&'a [u8]>,
    message: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    audit_type: Option<&'a [u8]>,
    audit_malformed: Option<&'static str>,
}

fn give_meaning<'a>(row: &Row<'a>, record: &mut Record<'a>, room: &mut Room<'a>) -> Rest<'a> {
    let rest = Rest { sqlstate: row.sqlstate, message: row.message, query: row.query, ..Rest::default() };
    let message = row.message.unwrap_or_default();
    if row.severity.is_none() && row.message.is_none() && row.audit.is_none() {
        // What belongs to a row that stands elsewhere.
        return rest;
    }
    if is_failure(row) {
        return failure_row(row, record);
    }
    if let Some(payload) = row.audit.or_else(|| pgaudit::payload(message)) {
        return audit_row(row, record, payload, room);
    }
    if is_raised(row) {
        return rest;
    }
    if let Some(len) = words_before_statement(message) {
        record.act = Act::LoggedStatement;
        record.command = command(row);
        record.statement = Some(Statement { text: Some(&message[len..]), ..Statement::default() });
        return Rest { message: Some(&message[..len]).filter(|words| *words != b"statement: "), ..rest };
    }
    record.act = connection_act(row, message);
    if matches!(record.act, Act::Authenticated | Act::Login | Act::Logout) {
        record.status = Status::Success;
    }
    rest
}

fn audit_row<'a>(row: &Row<'a>, record: &mut Record<'a>, payload: &'a [u8], room: &mut Room<'a>) -> Rest<'a> {
    let kept = |why| Rest {
        sqlstate: row.sqlstate,
        message: row.message.or(row.audit),
        query: row.query,
        audit_type: None,
        audit_malformed: Some(why),
    };
    if row.audit.is_none() && is_raised(row) || row.context.is_some_and(ends_in_raise) {
        return kept("the row has a context or a query, and pgAudit writes neither");
    }
    match pgaudit::parse(payload, room) {
        Some(audit) => {
            take_audit(record, &audit);
            Rest { sqlstate: row.sqlstate, audit_type: Some(audit.audit_type), ..Rest::default() }
        }
        None => kept("not the nine or ten fields that pgAudit writes"),
    }
}

fn take_audit<'a>(record: &mut Record<'a>, audit: &Audit<'a>) {
    record.act = Act::Statement;
    record.command = not_empty(Some(audit.command));
    record.object = audit.object;
    record.object_type = audit.object_type;
    record.status = if is_written_afterwards(audit) { Status::Success } else { Status::Unknown };
    record.statement = Some(audit.statement);
}

/// Whether the row tells of something that has come to its end.
///
/// With log_rows pgAudit writes a row when the statement has run, without it before. Calls of functions, DO, CLOSE and extension
/// scripts are written before in either case, and so is the INSERT inside CREATE TABLE AS: with no rows (pgaudit.c:
/// `pgaudit_object_access_hook`, `pgaudit_ProcessUtility_hook`, `pgaudit_ExecutorEnd_hook`).
fn is_written_afterwards(audit: &Audit<'_>) -> bool {
    let before = audit.statement.class == Some(b"FUNCTION")
        || matches!(audit.command, b"CREATE EXTENSION" | b"ALTER EXTENSION" | b"CLOSE CURSOR");
    match audit.statement.rows {
        None => false,
        Some(0) => !before && audit.command != b"INSERT",
        Some(_) => !before,
    }
}

fn failure_row<'a>(row: &Row<'a>, record: &mut Record<'a>) -> Rest<'a> {
    record.status = Status::Failure;
    record.error_code = row.sqlstate;
    record.error_message = row.message;
    record.act = failure_act(row);
    if record.act != Act::FailedStatement {
        return Rest { query: row.query, ..Rest::default() };
    }
    record.command = command(row);
    record.statement = row.query.map(|query| Statement { text: Some(query), ..Statement::default() });
    Rest::default()
}

fn failure_act(row: &Row<'_>) -> Act {
    let state = row.sqlstate.unwrap_or_default();
    if row.query.is_some() {
        Act::FailedStatement
    } else if is_login_refused(row, state) {
        Act::LoginFailed
    } else if command(row).is_some() && !ends_session(state) {
        Act::FailedStatement
    } else {
        Act::Message
    }
}

fn is_login_refused(row: &Row<'_>, state: &[u8]) -> bool {
    if row.is_partial {
        return row.context.is_none() && (refuses_session(state) || is_refused_in_words(row));
    }
    is_before_session(row) && (is_command_tag(row, LOGIN_TAGS) || refuses_session(state))
}

/// Before a session runs statements, the process shows nothing, or that it is starting or checking credentials.
fn is_before_session(row: &Row<'_>) -> bool {
    row.address.is_some() && (is_command_tag(row, LOGIN_TAGS) || not_empty(row.command_tag).is_none())
}

const LOGIN_TAGS: &[&[u8]] = &[b"authentication", b"startup", b"startup waiting", b"authentication waiting"];

/// The process title where it is no command tag.
const IDLE_TAGS: &[&[u8]] = &[
    b"idle",
    b"idle in transaction",
    b"idle in transaction (aborted)",
    b"PARSE",
    b"BIND",
    b"DESCRIBE",
    b"fastpath function call",
    b"notify interrupt",
    b"initializing",
];

fn is_command_tag(row: &Row<'_>, tags: &[&[u8]]) -> bool {
    row.command_tag.is_some_and(|tag| tags.contains(&tag))
}

/// The command that the process title tells of.
fn command<'a>(row: &Row<'a>) -> Option<&'a [u8]> {
    let tag = not_empty(row.command_tag)?;
    if is_command_tag(row, LOGIN_TAGS) || is_command_tag(row, IDLE_TAGS) {
        return None;
    }
    let tag = tag.strip_suffix(b" waiting").unwrap_or(tag);
    // A process title can stand here as well (`streaming 0/1A2B`): a tag is words in capitals.
    let is_tag = tag.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b' ');
    not_empty(Some(tag)).filter(|_| is_tag)
}

/// Invalid authorization, no such database, too many connections, cannot connect now.
fn refuses_session(state: &[u8]) -> bool {
    state.starts_with(b"28") || matches!(state, b"3D000" | b"53300" | b"57P03")
}

/// The same where only words tell: the beginnings of what the server writes before it ends a session that never was one.
fn is_refused_in_words(row: &Row<'_>) -> bool {
    const BEGINNINGS: &[&[u8]] = &[
        b"password authentication failed for user ",
        b"no pg_hba.conf entry for ",
        b"pg_hba.conf rejects ",
        b"database \"",
        b"role \"",
        b"sorry, too many clients already",
        b"too many connections for ",
        b"remaining connection slots are reserved ",
        b"the database system is ",
    ];
    let message = row.message.unwrap_or_default();
    row.sqlstate.is_none()
        && row.severity.and_then(words::level) == Some(Level::Fatal)
        && (BEGINNINGS.iter().any(|words| message.starts_with(words))
            || holds(message, b" authentication failed for user "))
}

fn holds(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

/// Broken connections, and sessions that were told to go.
fn ends_session(state: &[u8]) -> bool {
    state.starts_with(b"08") || state.starts_with(b"57P")
}

/// SQLSTATE classes 00 to 02 are success, warning and no data; some warnings have the class of an error.
fn is_failure(row: &Row<'_>) -> bool {
    let level = row.severity.and_then(words::level);
    let Some(state) = row.sqlstate else { return matches!(level, Some(Level::Error | Level::Fatal)) };
    let harmless = [b"00", b"01", b"02"].iter().any(|class| state.starts_with(*class));
    !harmless && level != Some(Level::Warning)
}

/// `RAISE` writes where it stands, and the statement that it is part of.
fn is_raised(row: &Row<'_>) -> bool {
    row.context.is_some() || row.query.is_some()
}

/// pgauditlogtofile writes the context of pgAudit's rows too. The innermost line of a raised row's is that of the `RAISE`, a word that no
/// translation touches, or of a function in a language whose own words for it write the same.
fn ends_in_raise(context: &[u8]) -> bool {
    let line = context.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let behind_quotes = line.rsplit(|byte| *byte == b'"').next().unwrap_or_default();
    let languages: [&[u8]; 3] = [b"PL/Perl", b"PL/Python", b"PL/Tcl"];
    holds(behind_quotes, b"RAISE") || languages.iter().any(|language| line.starts_with(language))
}

/// Rows of `log_statement`, `log_duration` and `log_min_duration_statement`: length of the words before the SQL.
fn words_before_statement(message: &[u8]) -> Option<usize> {
    let duration = duration_len(message).unwrap_or(0);
    let rest = &message[duration..];
    if let Some(len) = words::before_statement(rest) {
        return Some(duration + len);
    }
    let steps: [&[u8]; 3] = [b"execute ", b"parse ", b"bind "];
    let step = steps.iter().find(|step| rest.starts_with(step))?;
    let name = memchr::memmem::find(&rest[step.len()..], b": ")?;
    Some(duration + step.len() + name + 2)
}

/// Length of `duration: 0.063 ms  `.
fn duration_len(message: &[u8]) -> Option<usize> {
    let rest = message.strip_prefix(b"duration: ")?;
    let number = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    rest[number..].starts_with(b" ms  ").then_some(b"duration: ".len() + number + b" ms  ".len())
}

fn connection_act(row: &Row<'_>, message: &[u8]) -> Act {
    if let Some(act) = act_by_location(row.location.unwrap_or_default()) {
        return act;
    }
    if row.is_partial {
        return act_by_words(message);
    }
    if row.address.is_none() {
        return Act::Message;
    }
    if is_command_tag(row, &[b"authentication"]) {
        return authentication_act(message);
    }
    if row.user.is_none() && not_empty(row.command_tag).is_none() {
        return Act::ConnectionReceived;
    }
    if words::is_disconnection(message) { Act::Logout } else { Act::Message }
}

/// With `log_error_verbosity = verbose` the server names the function that wrote the row, in no language.
fn act_by_location(location: &[u8]) -> Option<Act> {
    let function = location.split(|byte| *byte == b',').next()?;
    match function {
        b"BackendInitialize" => Some(Act::ConnectionReceived),
        b"set_authn_id" => Some(Act::Authenticated),
        b"PerformAuthentication" => Some(Act::Login),
        b"log_disconnections" => Some(Act::Logout),
        _ => None,
    }
}

/// Where neither the client nor the command tag is there to tell.
fn act_by_words(message: &[u8]) -> Act {
    const ACTS: &[(&[u8], Act)] = &[
        (b"connection received: ", Act::ConnectionReceived),
        (b"connection authenticated: ", Act::Authenticated),
        (b"connection authorized: ", Act::Login),
        (b"replication connection authorized: ", Act::Login),
        (b"disconnection: ", Act::Logout),
    ];
    ACTS.iter().find(|(words, _)| message.starts_with(words)).map_or(Act::Message, |(_, act)| *act)
}

/// While credentials are checked the server writes two rows. Translated or not, the first ends in the line of
/// pg_hba.conf that let the client in: `…/pg_hba.conf:88)`.
fn authentication_act(message: &[u8]) -> Act {
    let inner = message.strip_suffix(b")").unwrap_or_default();
    let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let names_line = digits > 0 && inner[..inner.len() - digits].ends_with(b":");
    if names_line || message.starts_with(b"connection authenticated: ") { Act::Authenticated } else { Act::Login }
}

fn add_extra<'a>(record: &mut Record<'a>, row: &Row<'a>, rest: &Rest<'a>) {
    const { assert!(EXTRA_MAX >= 22) };
    let mut add = |name, value: Option<Value<'a>>| record.extra.extend(value.map(|value| (name, value)));
    add("command_tag", not_empty(row.command_tag).map(Value::Text));
    add("virtual_transaction_id", row.virtual_transaction_id.map(Value::Text));
    add("transaction_id", row.transaction_id.filter(|id| *id != 0).map(Value::Int));
    add("error_severity", row.severity.map(Value::Text));
    add("sql_state_code", rest.sqlstate.filter(|state| *state != b"00000").map(Value::Text));
    add("message", rest.message.map(Value::Text));
    add("detail", row.detail.map(Value::Text));
    add("hint", row.hint.map(Value::Text));
    add("internal_query", row.internal_query.map(Value::Text));
    add("internal_query_pos", row.internal_query_pos.map(Value::Int));
    add("context", row.context.map(Value::Text));
    add("query", rest.query.map(Value::Text));
    add("query_pos", row.query_pos.map(Value::Int));
    add("location", row.location.map(Value::Text));
    add("backend_type", row.backend_type.map(Value::Text));
    add("leader_pid", row.leader_pid.map(Value::Int));
    add("query_id", row.query_id.filter(|id| *id != 0).map(Value::Int));
    add("local_address", row.local_address.map(Value::Text));
    add("backtrace", row.backtrace.map(Value::Text));
    add("audit_type", rest.audit_type.map(Value::Text));
    add("audit_malformed", rest.audit_malformed.map(str::as_bytes).map(Value::Text));
    add("other", row.other.map(Value::Text));
}

fn not_empty(text: Option<&[u8]>) -> Option<&[u8]> {
    text.filter(|text| !text.is_empty())
}

/// `127.0.0.1:53352`, `::1:5432` or `[local]`: the port stands behind the last colon.
pub(crate) fn connection_from(text: &[u8]) -> (Option<&[u8]>, Option<u16>) {
    let port = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    let colon = memchr::memrchr(b':', text);
    match colon.and_then(|colon| Some((colon, port(&text[colon + 1..])?))) {
        Some((colon, port)) => (Some(&text[..colon]), Some(port)),
        None => (Some(text), None),
    }
}
