//! A record becomes an event: canonical action, resource, category, outcome, time in UTC.
//!
//! The four fields are filled on every row. What the engine did not say is derived, and every derived field is named in `derived`
//! with the way it was derived. Nothing here looks at more than one row.

pub mod category;
pub mod time;

use sealtrail_parsers::{Act, Record, Status};

pub use category::Category;
pub use time::{Clock, Latest, UtcTime};

/// What a record means, beside what it says.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a> {
    /// Never empty.
    pub user: Field<'a>,
    /// Never empty.
    pub action: Field<'a>,
    /// The database that `resource` is in, put before its name; `None` when the resource is itself a database or a server.
    pub resource_database: Option<&'a [u8]>,
    /// Never empty.
    pub resource: Field<'a>,
    /// Lower case when written: `table`, `database`, `server`.
    pub resource_type: &'a [u8],
    /// As far as this row can say.
    pub outcome: Status,
    /// By the table in [`category`].
    pub category: Category,
    /// Whether the row belongs to the privileged-activity slice.
    pub admin: bool,
}

/// One of the four fields, and how it was derived where the engine did not give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The value.
    pub value: &'a [u8],
    /// `None`: the engine's own.
    pub derived: Option<&'static str>,
}

impl<'a> Field<'a> {
    fn own(value: &'a [u8]) -> Self {
        Field { value, derived: None }
    }

    fn derived(value: &'a [u8], how: &'static str) -> Self {
        Field { value, derived: Some(how) }
    }
}

/// What `record` means; `server` is the last resort for the resource.
pub fn meaning<'a>(record: &Record<'a>, server: &'a [u8]) -> Meaning<'a> {
    let action = action(record);
    let (category, admin) = category::of(record, action.value);
    let (resource_database, resource, resource_type) = resource(record, server);
    Meaning {
        user: user(record),
        action,
        resource_database,
        resource,
        resource_type,
        outcome: record.status,
        category,
        admin,
    }
}

fn user<'a>(record: &Record<'a>) -> Field<'a> {
    match (present(record.user), record.act) {
        (Some(user), _) if record.carried => Field::derived(user, "session"),
        (Some(user), _) => Field::own(user),
        (None, Act::ConnectionReceived | Act::LoginFailed) => Field::derived(b"(pre-auth)", "fallback:pre-auth"),
        (None, Act::Message) if record.client.address.is_some() => Field::derived(b"(pre-auth)", "fallback:pre-auth"),
        (None, Act::Message) => Field::derived(b"(internal)", "fallback:internal"),
        (None, _) => Field::derived(b"(unknown)", "fallback:unknown"),
    }
}

fn action<'a>(record: &Record<'a>) -> Field<'a> {
    let fixed: &[u8] = match record.act {
        Act::ConnectionReceived => b"CONNECT",
        Act::Authenticated => b"AUTHENTICATE",
        Act::Login => b"LOGIN",
        Act::LoginFailed => b"LOGIN FAILED",
        Act::Logout => b"LOGOUT",
        Act::Message => b"SERVER MESSAGE",
        Act::Statement | Act::FailedStatement | Act::LoggedStatement | Act::TableAccess | Act::AccessDecision => {
            return statement_action(record);
        }
    };
    Field::own(fixed)
}

/// The engine's command; COPY with its direction, which pgAudit's class gives; else the statement's first word.
fn statement_action<'a>(record: &Record<'a>) -> Field<'a> {
    let class = record.statement.and_then(|statement| statement.class);
    match (present(record.command), class) {
        (Some(b"COPY"), Some(b"READ")) => Field::own(b"COPY TO"),
        (Some(b"COPY"), Some(b"WRITE")) => Field::own(b"COPY FROM"),
        (Some(command), _) if !says_only_that_it_is_one(command) => Field::own(command),
        (Some(_) | None, _) => first_word(record),
    }
}

/// Words of engines that name any statement alike.
fn says_only_that_it_is_one(command: &[u8]) -> bool {
    matches!(command, b"QUERY" | b"Query" | b"Execute" | b"Prepare" | b"Bulk_execute")
}

fn first_word<'a>(record: &Record<'a>) -> Field<'a> {
    let text = record.statement.and_then(|statement| statement.text).unwrap_or_default();
    match category::verb(text) {
        Some(verb) => Field::derived(verb, "sql:first-word"),
        None => Field::derived(b"STATEMENT", "fallback:statement"),
    }
}

/// The resource with the database it is in and its type.
fn resource<'a>(record: &Record<'a>, server: &'a [u8]) -> (Option<&'a [u8]>, Field<'a>, &'a [u8]) {
    let database = present(record.database);
    if let Some(object) = present(record.object) {
        let database = present(record.object_database).or(database);
        return (database, Field::own(object), present(record.object_type).unwrap_or(b"object"));
    }
    let session_act = matches!(record.act, Act::Authenticated | Act::Login | Act::LoginFailed | Act::Logout);
    match database {
        Some(database) if session_act => (None, Field::own(database), b"database"),
        Some(database) => (None, Field::derived(database, "fallback:database"), b"database"),
        None => (None, Field::derived(server, "fallback:server"), b"server"),
    }
}

fn present(text: Option<&[u8]>) -> Option<&[u8]> {
    text.filter(|text| !text.is_empty())
}
