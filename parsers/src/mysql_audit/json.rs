//! JSON as MySQL Enterprise Audit and Percona's audit_log_filter write it: an array of objects, pretty-printed or one a line.
//!
//! What an event tells stands in an object of its class, `general_data` or `connection_data`; who it was in `account` and `login`. What is hard:
//!
//! - The array is not closed while the server writes, and its closing bracket is overwritten when the file goes on. Brackets and commas
//!   belong to the frame of the object behind them.
//! - Times have no zone, unless the server was told to write a Unix time as well.
//! - `id` counts within a second (MySQL) or since the start (Percona), and says nothing about what is missing.

use crate::json::{self, Member, Value};
use crate::record::{self, Act, Client, Parsed, Record, Session, Statement, Status};
use crate::rest::Rest;
use crate::scratch::{Room, Scratch};
use crate::times::{self, TIME_MAX, Unit};

/// Members by the names that `extra` has for them: those of `account` and `login` with theirs, those of `…_data` as they are.
const NAMES: [&str; 32] = [
    "timestamp",
    "time",
    "id",
    "class",
    "event",
    "connection_id",
    "account.user",
    "account.host",
    "login.user",
    "login.os",
    "login.ip",
    "login.proxy",
    "connection_type",
    "connection_attributes",
    "status",
    "db",
    "command",
    "sql_command",
    "query",
    "table",
    "name",
    "value",
    "component",
    "producer",
    "message",
    "map",
    "flags",
    "rewritten_query",
    "server_id",
    "os_version",
    "mysql_version",
    "args",
];

/// How many of [`NAMES`] stand at the top, in `account` and in `login`.
const TOP: usize = 6;
const OF_ACCOUNT: [usize; 2] = [6, 8];
const OF_LOGIN: [usize; 2] = [8, 12];

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let between = frame.iter().take_while(|byte| byte.is_ascii_whitespace() || b",[]".contains(byte)).count();
    let object = &frame[between..];
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between the objects of the array" };
    }
    let mut room = scratch.room(2 * frame.len() + TIME_MAX);
    let record =
        Event::read(object, &mut room).and_then(|event| event.record(&mut room).ok_or("no timestamp, class or event"));
    record.map_or_else(|reason| Parsed::Unparsed { reason, retry_at: None }, Parsed::Record)
}

/// Whether the object is an event, as far as its first members show.
pub(crate) fn opens(object: &[u8]) -> bool {
    let mut scratch = Scratch::new();
    Event::read(object, &mut scratch.room(2 * object.len())).is_ok_and(|event| {
        ["timestamp", "class", "event"]
            .into_iter()
            .all(|name| position(name).is_some_and(|index| event.values[index].is_some()))
    })
}

/// One event's members, unescaped.
struct Event<'a> {
    values: [Option<&'a [u8]>; NAMES.len()],
    /// Members of other names, and second ones of the same, as they stand.
    other: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    fn read(object: &'a [u8], room: &mut Room<'a>) -> Result<Self, &'static str> {
        let mut event = Event { values: [None; NAMES.len()], other: None };
        let mut rest = Rest::default();
        walk(object, &mut |section, member| match slot(&mut event.values, section, member) {
            Some(slot) => {
                *slot = Some(match member.value {
                    Value::Text(text) => text.unescaped(room),
                    _ => literal(member),
                });
            }
            None => rest.push(member.raw.trim_ascii_end()),
        })?;
        event.other = rest.joined(room);
        Ok(event)
    }

    fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.values[position(name)?].filter(|text| !text.is_empty())
    }

    fn take(&mut self, name: &str) -> Option<&'a [u8]> {
        self.values[position(name)?].take().filter(|text| !text.is_empty())
    }

    fn put_back(&mut self, name: &str, value: Option<&'a [u8]>) {
        if let Some(index) = position(name) {
            self.values[index] = value;
        }
    }

    /// Leaves a value for `extra` only where it says more than the record does.
    fn drop_if(&mut self, name: &str, said: Option<&[u8]>) {
        if self.get(name) == said {
            self.take(name);
        }
    }

    fn record(mut self, room: &mut Room<'a>) -> Option<Record<'a>> {
        let (class, event) = (self.get("class")?, self.get("event")?);
        let mut record = Record {
            time: self.time(room)?,
            session: Session { id: self.take("connection_id"), ..Session::default() },
            ..Record::default()
        };
        self.add_act(class, event, &mut record);
        self.add_user(&mut record);
        self.add_objects(class, &mut record);
        self.add_statement(&mut record);
        let named = NAMES.iter().zip(self.values).filter_map(|(name, value)| Some((*name, value?)));
        let named = named.chain(self.other.map(|other| ("other", other)));
        record
            .extra
            .extend(named.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, record::Value::Text(text))));
        Some(record)
    }

    /// The Unix time, where there is one: only it has a zone.
    fn time(&mut self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        let unix = self.get("time").and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
        // MySQL counts seconds, Percona microseconds.
        let unit = if unix.unwrap_or_default() < 100_000_000_000 { Unit::Seconds } else { Unit::Microseconds };
        match unix {
            Some(count) => {
                self.take("time");
                Some(times::of_unix(count, unit, room))
            }
            None => Some(times::of_iso(self.take("timestamp")?, b"", room)),
        }
    }

    fn add_act(&mut self, class: &[u8], event: &[u8], record: &mut Record<'a>) {
        let status = self.take("status");
        let is_failure = status.is_some_and(|status| status != b"0");
        let is_early = event.ends_with(b"start") || matches!(event, b"log" | b"preparse" | b"postparse");
        let outcome = if is_failure { Act::FailedStatement } else { Act::Statement };
        record.act = match (class, event) {
            (b"connection", b"connect" | b"change_user") if is_failure => Act::LoginFailed,
            (b"connection", b"connect" | b"change_user") => Act::Login,
            (b"connection", b"disconnect") => Act::Logout,
            (b"connection", b"pre_authenticate") => Act::ConnectionReceived,
            (b"table_access" | b"stored_program", _) => Act::TableAccess,
            (b"general" | b"query" | b"command" | b"parse", _) if is_early => Act::LoggedStatement,
            (b"general" | b"query" | b"command" | b"authentication", _) => outcome,
            _ => Act::Message,
        };
        record.status = match status {
            Some(_) if is_early => Status::Unknown,
            Some(b"0") => Status::Success,
            Some(_) => Status::Failure,
            None => Status::Unknown,
        };
        record.error_code = status.filter(|_| is_failure);
    }

    fn add_user(&mut self, record: &mut Record<'a>) {
        record.user = self.get("account.user").or(self.get("login.user"));
        let address = self.get("login.ip").or(self.get("account.host"));
        record.client = Client { address, ..Client::default() };
        ["account.user", "login.user"].into_iter().for_each(|name| self.drop_if(name, record.user));
        ["login.ip", "account.host"].into_iter().for_each(|name| self.drop_if(name, address));
    }

    /// Rows of the class `authentication` tell whose account was changed, not who did it.
    fn add_objects(&mut self, class: &[u8], record: &mut Record<'a>) {
        let database = self.take("db");
        match class {
            b"table_access" => (record.object, record.object_database) = (self.take("table"), database),
            b"stored_program" => (record.object, record.object_database) = (self.take("name"), database),
            b"authentication" => {
                self.put_back("account.host", record.client.address.take());
                record.object = record.user.take();
            }
            _ => record.database = database,
        }
    }

    fn add_statement(&mut self, record: &mut Record<'a>) {
        record.command = self.get("sql_command").or(self.get("command")).or(self.get("event"));
        match self.get("sql_command") {
            Some(_) => drop(self.take("sql_command")),
            None => self.drop_if("command", record.command),
        }
        record.statement = self.take("query").map(|text| Statement { text: Some(text), ..Statement::default() });
    }
}

fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// Hands out the members, those of the objects that are known with the object's name before them.
fn walk<'a>(object: &'a [u8], each: &mut impl FnMut(&[u8], &Member<'a>)) -> Result<(), &'static str> {
    let mut inside = Ok(());
    json::members(object, |member| match member.value {
        Value::Object(inner) if is_section(member.key) => {
            let walked = json::members(inner, |inner| each(member.key, inner));
            if walked.is_err() {
                inside = walked;
            }
        }
        _ => each(b"", member),
    })?;
    inside
}

fn is_section(key: &[u8]) -> bool {
    matches!(key, b"account" | b"login") || key.ends_with(b"_data")
}

/// Where a member belongs whose name is known, the first of its name.
fn slot<'v, 'a>(
    values: &'v mut [Option<&'a [u8]>; NAMES.len()],
    section: &[u8],
    member: &Member<'a>,
) -> Option<&'v mut Option<&'a [u8]>> {
    let (from, to, prefix) = match section {
        b"" => (0, TOP, 0),
        b"account" => (OF_ACCOUNT[0], OF_ACCOUNT[1], "account.".len()),
        b"login" => (OF_LOGIN[0], OF_LOGIN[1], "login.".len()),
        _ => (OF_LOGIN[1], NAMES.len(), 0),
    };
    let names = NAMES.get(from..to)?;
    let index = names.iter().position(|name| name.as_bytes().get(prefix..) == Some(member.key))?;
    values.get_mut(from + index).filter(|slot| slot.is_none())
}

/// A number, an object or a word as it stands.
pub(super) fn literal<'a>(member: &Member<'a>) -> &'a [u8] {
    match member.value {
        Value::Text(text) => text.raw,
        Value::Object(raw) | Value::Array(raw) | Value::Other(raw) => raw,
        Value::Int(_) => {
            let behind_key = member.raw.get(member.key.len() + 2..).unwrap_or_default().trim_ascii_start();
            behind_key.strip_prefix(b":").unwrap_or(behind_key).trim_ascii()
        }
    }
}
