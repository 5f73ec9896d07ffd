//! The texts of a record: each by its place, so that it can be taken out, changed and put back.

use sealtrail_parsers::{Parameters, Record, Value};

/// Where a text stands in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    User,
    Database,
    Address,
    Application,
    SessionId,
    SessionStart,
    Command,
    Object,
    ObjectDatabase,
    ObjectName(usize),
    ErrorMessage,
    Statement,
    Withheld,
    Parameters,
    Extra(usize),
}

impl Slot {
    /// As the record calls it; of a column without a field its own name.
    pub fn name(self, record: &Record<'_>) -> String {
        let name = match self {
            Slot::User => "user",
            Slot::Database | Slot::ObjectDatabase => "database",
            Slot::Address => "client.address",
            Slot::Application => "client.application",
            Slot::SessionId => "session.id",
            Slot::SessionStart => "session.start",
            Slot::Command => "action",
            Slot::Object | Slot::ObjectName(_) => "resource",
            Slot::ErrorMessage => "error.message",
            Slot::Statement => "statement.text",
            Slot::Withheld => "statement.withheld",
            Slot::Parameters => "statement.parameters",
            Slot::Extra(index) => {
                let name = record.extra.iter().nth(index).map_or("", |(name, _)| *name);
                return format!("extra.{name}");
            }
        };
        name.to_owned()
    }
}

/// Every text that a server took from somebody else.
pub fn texts<'r, 'a>(record: &'r Record<'a>) -> impl Iterator<Item = (Slot, &'a [u8])> + use<'r, 'a> {
    use Slot::{
        Address, Application, Command, Database, ErrorMessage, Extra, Object, ObjectDatabase, ObjectName, SessionId,
        SessionStart, Statement, User, Withheld,
    };
    let statement = record.statement.unwrap_or_default();
    let parameters = match statement.parameters {
        Parameters::Csv(line) => Some(line),
        _ => None,
    };
    let single = [
        (Statement, statement.text),
        (Slot::Parameters, parameters),
        (ErrorMessage, record.error_message),
        (User, record.user),
        (Database, record.database),
        (Address, record.client.address),
        (Application, record.client.application),
        (SessionId, record.session.id),
        (SessionStart, record.session.start),
        (Command, record.command),
        (Object, record.object),
        (ObjectDatabase, record.object_database),
        (Withheld, statement.withheld),
    ];
    let single = single.into_iter().filter_map(|(slot, text)| Some((slot, text?)));
    let objects = record.objects.iter().enumerate().map(|(index, object)| (ObjectName(index), object.name));
    let extra = record.extra.iter().enumerate().filter_map(|(index, (_, value))| match value {
        Value::Text(text) => Some((Extra(index), *text)),
        Value::Int(_) => None,
    });
    single.chain(objects).chain(extra)
}

/// Whether it holds of one of the texts into which a client can have put a secret with what announces it. What the server numbers, times and names
/// by itself is none of them.
#[inline]
pub fn any_from_clients(record: &Record<'_>, with_statement: bool, holds: impl Fn(&[u8]) -> bool) -> bool {
    let asks = |text: Option<&[u8]>| text.is_some_and(|text| text.len() >= TEXT_BYTES_MIN && holds(text));
    if let Some(statement) = &record.statement {
        if with_statement && asks(statement.text) {
            return true;
        }
        if let Parameters::Csv(line) = statement.parameters
            && asks(Some(line))
        {
            return true;
        }
    }
    if asks(record.error_message) || asks(record.user) || asks(record.database) || asks(record.client.application) {
        return true;
    }
    for (name, value) in &record.extra {
        if let Value::Text(text) = value
            && text.len() >= TEXT_BYTES_MIN
            && !is_the_servers(name)
            && holds(text)
        {
            return true;
        }
    }
    false
}

/// No shorter text holds a secret and what announces it.
const TEXT_BYTES_MIN: usize = 5;

/// Columns of which the server alone says what is in them, on rows that are many.
pub fn is_the_servers(name: &str) -> bool {
    matches!(
        name,
        "command_tag"
            | "virtual_transaction_id"
            | "error_severity"
            | "backend_type"
            | "audit_type"
            | "location"
            | "log_time"
            | "session_start_time"
    )
}

/// The record with other texts in some places.
pub fn replaced<'r>(record: &Record<'r>, changed: &'r [(Slot, Vec<u8>)]) -> Record<'r> {
    let mut record = record.clone();
    for (slot, text) in changed {
        set(&mut record, *slot, text);
    }
    if changed.iter().any(|(slot, _)| matches!(slot, Slot::Extra(_))) {
        let changed = |index| changed.iter().find(|(slot, _)| *slot == Slot::Extra(index)).map(|(_, text)| text);
        let columns = record.extra.iter().enumerate();
        record.extra = columns
            .map(|(index, (name, value))| (*name, changed(index).map_or(*value, |text| Value::Text(text.as_slice()))))
            .collect();
    }
    record
}

fn set<'r>(record: &mut Record<'r>, slot: Slot, text: &'r [u8]) {
    let statement = record.statement.as_mut();
    match slot {
        Slot::User => record.user = Some(text),
        Slot::Database => record.database = Some(text),
        Slot::Address => record.client.address = Some(text),
        Slot::Application => record.client.application = Some(text),
        Slot::SessionId => record.session.id = Some(text),
        Slot::SessionStart => record.session.start = Some(text),
        Slot::Command => record.command = Some(text),
        Slot::Object => record.object = Some(text),
        Slot::ObjectDatabase => record.object_database = Some(text),
        Slot::ObjectName(index) => record.objects.get_mut(index).into_iter().for_each(|object| object.name = text),
        Slot::ErrorMessage => record.error_message = Some(text),
        Slot::Statement => statement.into_iter().for_each(|statement| statement.text = Some(text)),
        Slot::Withheld => statement.into_iter().for_each(|statement| statement.withheld = Some(text)),
        Slot::Parameters => statement.into_iter().for_each(|statement| statement.parameters = Parameters::Csv(text)),
        Slot::Extra(_) => {}
    }
}
