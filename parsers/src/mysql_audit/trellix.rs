//! JSON as the audit plugin of Trellix (McAfee) writes it: one object a line, all numbers in quotes.
//!
//! A row is an activity with all the objects that its statement touched, or the header that says which server and plugin write. What is hard: some
//! versions put the attributes that a client sends among the row's own members, under names that the client chose. They stand between `host` and `pid`:
//! a member before them is the first of its name, one behind them the last, and a row with members that are not the plugin's is `forgeable`.

use super::json::literal;
use super::not_empty;
use crate::json::{self, Value};
use crate::lines::{self, Rules};
use crate::record::{self, Act, Client, Object, Parsed, Record, Session, Statement, Status};
use crate::rest::Rest;
use crate::scratch::{Room, Scratch};
use crate::times::{self, TIME_MAX};

/// How every record begins.
pub(crate) const START: &[u8] = b"{\"msg-type\":\"";

/// The plugin escapes line feeds and quotes: no text can hold what stands at a record's start.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

/// The names, in the order in which `extra` has them.
const NAMES: [&str; 28] = [
    "msg-type",
    "date",
    "thread-id",
    "query-id",
    "user",
    "priv_user",
    "ip",
    "host",
    "capabilities",
    "connect_attrs",
    "pid",
    "os_user",
    "appname",
    "client_port",
    "rows",
    "status",
    "cmd",
    "objects",
    "query",
    "audit-version",
    "audit-protocol-version",
    "hostname",
    "mysql-version",
    "mysql-program",
    "mysql-socket",
    "mysql-port",
    "server_pid",
    "error",
];

/// What the plugin writes behind the client's attributes, from `pid` to `query`.
const BEHIND_ATTRIBUTES: std::ops::Range<usize> = 10..19;

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut room = scratch.room(2 * frame.len() + TIME_MAX);
    let record = Row::read(frame, &mut room).and_then(|row| row.record(&mut room).ok_or("no msg-type or no date"));
    match record {
        Ok(record) => Parsed::Record(record),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte: half a row may run on into a whole one without a line end.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

/// One row, unescaped.
struct Row<'a> {
    values: [Option<&'a [u8]>; NAMES.len()],
    objects: Vec<Object<'a>>,
    /// Members of other names, and second ones of the same, as they stand.
    other: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    fn read(frame: &'a [u8], room: &mut Room<'a>) -> Result<Self, &'static str> {
        let mut row = Row { values: [None; NAMES.len()], objects: Vec::new(), other: None };
        let mut rest = Rest::default();
        let mut raws = [&b""[..]; NAMES.len()];
        json::members(frame, |member| {
            let Some(index) = place(&row.values, member.key) else {
                rest.push(member.raw.trim_ascii_end());
                return;
            };
            let (slot, raw) = (&mut row.values[index], &mut raws[index]);
            if slot.is_some() {
                rest.push(raw);
            }
            *raw = member.raw.trim_ascii_end();
            *slot = Some(match member.value {
                Value::Text(text) => text.unescaped(room),
                Value::Array(array) if member.key == b"objects" => match objects(array, room) {
                    Some(objects) => {
                        row.objects = objects;
                        b""
                    }
                    None => array,
                },
                _ => literal(member),
            });
        })?;
        row.other = rest.joined(room);
        Ok(row)
    }

    fn take(&mut self, name: &str) -> Option<&'a [u8]> {
        let index = NAMES.iter().position(|known| *known == name)?;
        self.values[index].take().and_then(not_empty)
    }

    fn record(mut self, room: &mut Room<'a>) -> Option<Record<'a>> {
        let kind = self.take("msg-type")?;
        let mut record = Record {
            time: time(self.take("date")?, room),
            session: Session { id: self.take("thread-id"), ..Session::default() },
            ..Record::default()
        };
        if kind == b"activity" {
            self.add_activity(&mut record);
        } else {
            record.command = Some(kind);
        }
        let mut extra =
            |name, text: Option<&'a [u8]>| record.extra.extend(text.map(|text| (name, record::Value::Text(text))));
        for (name, text) in NAMES.into_iter().zip(self.values) {
            extra(name, text.and_then(not_empty));
        }
        extra("other", self.other);
        if self.other.is_some() {
            record.flags.push("forgeable");
        }
        Some(record)
    }

    fn add_activity(&mut self, record: &mut Record<'a>) {
        let status = self.take("status");
        record.command = self.take("cmd");
        let is_failure = status.is_some_and(|status| status != b"0");
        record.act = match record.command.unwrap_or_default() {
            b"Failed Login" => Act::LoginFailed,
            b"Connect" | b"Change user" if is_failure => Act::LoginFailed,
            b"Connect" | b"Change user" => Act::Login,
            b"Quit" => Act::Logout,
            _ if is_failure => Act::FailedStatement,
            _ => Act::Statement,
        };
        record.status = match (record.act, status) {
            (Act::LoginFailed | Act::FailedStatement, _) => Status::Failure,
            (Act::Login, _) | (_, Some(_)) => Status::Success,
            (_, None) => Status::Unknown,
        };
        record.error_code = status.filter(|_| is_failure);
        self.add_client(record);
        self.add_objects(record);
        let (text, rows) = (self.take("query"), self.take("rows").and_then(number));
        // The plugin repeats the command, or writes `n/a`, where there is no statement.
        let text = text.filter(|text| Some(*text) != record.command && *text != b"n/a");
        record.statement = (text.is_some() || rows.is_some()).then(|| Statement { text, rows, ..Statement::default() });
    }

    /// The account whose rights count, or the name that nobody was let in with.
    fn add_client(&mut self, record: &mut Record<'a>) {
        let (user, account) = (self.take("user"), self.take("priv_user"));
        let (ip, host) = (self.take("ip"), self.take("host"));
        let port = self.take("client_port").and_then(|port| u16::try_from(number(port)?).ok());
        record.user = account.or(user);
        record.client = Client { address: ip.or(host), port, application: self.take("appname") };
        self.put_back("user", user.filter(|user| Some(*user) != record.user));
        self.put_back("host", host.filter(|host| Some(*host) != record.client.address));
    }

    fn put_back(&mut self, name: &str, value: Option<&'a [u8]>) {
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            self.values[index] = value;
        }
    }

    fn add_objects(&mut self, record: &mut Record<'a>) {
        let Some(first) = self.objects.first() else { return };
        (record.object, record.object_type, record.object_database) = (Some(first.name), first.kind, first.database);
        if self.objects.len() > 1 {
            record.objects = std::mem::take(&mut self.objects);
        }
    }
}

/// Milliseconds since 1970.
fn time<'a>(date: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    let count = number(date).and_then(|count| i64::try_from(count).ok());
    count.map_or(date, |count| times::of_unix_ms(count, room))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `[{"db":"shop","name":"orders","obj_type":"TABLE"}]`. A database is an object without a name. `None` where there is more to them.
fn objects<'a>(array: &'a [u8], room: &mut Room<'a>) -> Option<Vec<Object<'a>>> {
    let (mut found, mut is_known) = (Vec::new(), true);
    let walked = json::elements(array, |element| {
        let Value::Object(element) = element else {
            is_known = false;
            return;
        };
        let (mut database, mut name, mut kind) = (None, None, None);
        let walked = json::members(element, |member| match (member.key, member.value) {
            (b"db", Value::Text(text)) => database = Some(text.unescaped(room)),
            (b"name", Value::Text(text)) => name = Some(text.unescaped(room)),
            (b"obj_type", Value::Text(text)) => kind = Some(text.unescaped(room)),
            _ => is_known = false,
        });
        is_known &= walked.is_ok();
        match name {
            Some(name) => found.push(Object { database, name, kind, access: None }),
            None => found.extend(database.map(|name| Object { database: None, name, kind, access: None })),
        }
    });
    (walked.is_ok() && is_known).then_some(found)
}

/// Where a member belongs whose name is known: the first of its name, or the last where those of the client come before it.
fn place(values: &[Option<&[u8]>; NAMES.len()], key: &[u8]) -> Option<usize> {
    let index = NAMES.iter().position(|name| name.as_bytes() == key)?;
    let is_last = BEHIND_ATTRIBUTES.contains(&index);
    values.get(index).filter(|value| is_last || value.is_none()).map(|_| index)
}
