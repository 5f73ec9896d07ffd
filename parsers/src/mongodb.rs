//! MongoDB's audit log in its own schema (`mongo`): MongoDB Enterprise and Percona Server for MongoDB, all versions.
//!
//! One JSON object a row; [`bson`] has the same rows as documents. What is hard:
//!
//! - The time is a text with the server's offset, or milliseconds, as a number or as a text in an object.
//! - A connection may be several users at once, or none yet. Who wants to log in is not among them, but in the row's parameters.
//! - Parameters hold what clients sent: whole documents, in which any key may stand.
//!
//! What has no field stands in `extra` under the engine's key, as it stands: `param` without what a field took.

pub mod bson;
pub mod ocsf;

use crate::braces;
use crate::json::{self, Member, Text, Value as Json};
use crate::record::{Act, Client, Object, Record, Session, Statement, Status, Value};
use crate::rest::Rest;
use crate::scratch::Room;
use crate::{Parsed, Scratch, digits, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if frame.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    let mut room = scratch.room(room_len(frame));
    match record(frame, &mut room) {
        Ok(record) => Parsed::Record(record),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let find = |start: &[u8]| braces::next_object(frame, start, |object| Event::read(object).is_ok());
    find(b"{ \"atype\"").or_else(|| find(b"{\"atype\""))
}

/// Every text unescaped, what was left over once more, and the numbers.
fn room_len(frame: &[u8]) -> usize {
    2 * frame.len() + 256
}

/// Makes the record of an object. Needs [`room_len`].
fn record<'a>(object: &'a [u8], room: &mut Room<'a>) -> Result<Record<'a>, &'static str> {
    let event = Event::read(object)?;
    let time = event.ts.and_then(|ts| time(ts, room)).ok_or("ts is no time")?;
    let mut record = Record { time, ..Record::default() };
    record.command = event.atype.map(|atype| atype.unescaped(room));
    record.user = event.users.and_then(|users| first_user(users, room));
    let param = event.param.map(Param::read).unwrap_or_default();
    outcome(&mut record, event.result, room);
    record.act = act(record.command.unwrap_or_default(), record.status);
    take_param(&mut record, &param, room);
    let known_remote = event.remote.is_some_and(|remote| take_remote(&mut record.client, remote, room));
    let known_uuid = event.uuid.is_some_and(|uuid| take_uuid(&mut record.session, uuid, room));
    let mut add = |name, value: Option<Value<'a>>| {
        if let Some(value) = value {
            // Fewer names than there is place for.
            let _ = record.extra.try_push((name, value));
        }
    };
    let text = |value: Option<&'a [u8]>| value.map(Value::Text);
    add("param.command", param.command.map(|word| Value::Text(word.unescaped(room))));
    add("param", text(param.rest.joined(room)));
    add("users", text(event.users.and_then(not_empty)));
    add("roles", text(event.roles.and_then(not_empty)));
    add("local", text(event.local));
    add("remote", text(event.remote.filter(|_| !known_remote)));
    add("uuid", text(event.uuid.filter(|_| !known_uuid)));
    add("other", text(event.rest.joined(room)));
    Ok(record)
}

/// The members of one row's object.
#[derive(Default)]
struct Event<'a> {
    atype: Option<Text<'a>>,
    ts: Option<Json<'a>>,
    uuid: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    remote: Option<&'a [u8]>,
    users: Option<&'a [u8]>,
    roles: Option<&'a [u8]>,
    param: Option<&'a [u8]>,
    result: Option<i64>,
    rest: Rest<'a>,
}

impl<'a> Event<'a> {
    fn read(object: &'a [u8]) -> Result<Self, &'static str> {
        let mut event = Event::default();
        let mut is_encrypted = false;
        json::members(object, |member| {
            is_encrypted |= matches!(member.key, b"log" | b"encryptedKey" | b"keyStoreIdentifier");
            if !event.take(member) {
                event.rest.push(member.raw);
            }
        })?;
        match (event.atype, event.ts) {
            (None, _) if is_encrypted => Err("an encrypted or compressed record: set the server to write plain ones"),
            (None, _) => Err("no atype"),
            (_, None) => Err("no ts"),
            (Some(_), Some(_)) => Ok(event),
        }
    }

    /// Takes the member if its key is known, its value of the right kind, and the key's first.
    fn take(&mut self, member: &Member<'a>) -> bool {
        match (member.key, member.value) {
            (b"atype", Json::Text(text)) => fill(&mut self.atype, text),
            (b"ts", ts) => fill(&mut self.ts, ts),
            (b"result", Json::Int(result)) => fill(&mut self.result, result),
            (b"uuid", Json::Object(raw)) => fill(&mut self.uuid, raw),
            (b"local", Json::Object(raw)) => fill(&mut self.local, raw),
            (b"remote", Json::Object(raw)) => fill(&mut self.remote, raw),
            (b"users", Json::Array(raw)) => fill(&mut self.users, raw),
            (b"roles", Json::Array(raw)) => fill(&mut self.roles, raw),
            // Percona Server for MongoDB 3 called it so.
            (b"param" | b"params", Json::Object(raw)) => fill(&mut self.param, raw),
            _ => false,
        }
    }
}

/// The parameters of an action, those that tell what it was done to.
#[derive(Default)]
struct Param<'a> {
    ns: Option<Text<'a>>,
    user: Option<Text<'a>>,
    role: Option<Text<'a>>,
    db: Option<(Text<'a>, &'a [u8])>,
    old: Option<Text<'a>>,
    new: Option<Text<'a>>,
    command: Option<Text<'a>>,
    args: Option<&'a [u8]>,
    /// Of a session that ended: who it was.
    initial_users: Option<&'a [u8]>,
    rest: Rest<'a>,
}

impl<'a> Param<'a> {
    fn read(object: &'a [u8]) -> Self {
        let mut param = Param::default();
        let walked = json::members(object, |member| {
            if !param.take(member) {
                param.rest.push(member.raw);
            }
        });
        if walked.is_err() {
            // Nothing of it is understood: it stays whole.
            param = Param::default();
            param.rest.push(object);
        }
        param
    }

    fn take(&mut self, member: &Member<'a>) -> bool {
        match (member.key, member.value) {
            (b"ns", Json::Text(text)) => fill(&mut self.ns, text),
            (b"user", Json::Text(text)) => fill(&mut self.user, text),
            (b"role", Json::Text(text)) => fill(&mut self.role, text),
            (b"db", Json::Text(text)) => fill(&mut self.db, (text, member.raw)),
            (b"old", Json::Text(text)) => fill(&mut self.old, text),
            (b"new", Json::Text(text)) => fill(&mut self.new, text),
            (b"command", Json::Text(text)) => fill(&mut self.command, text),
            (b"args", Json::Object(raw)) => fill(&mut self.args, raw),
            (b"initialUsers", Json::Array(raw)) => {
                fill(&mut self.initial_users, raw);
                false
            }
            _ => false,
        }
    }
}

/// What was done, and to what.
fn take_param<'a>(record: &mut Record<'a>, param: &Param<'a>, room: &mut Room<'a>) {
    let mut text = |text: Option<Text<'a>>| text.map(|text| text.unescaped(room));
    let (ns, user, role) = (text(param.ns), text(param.user), text(param.role));
    let (old, new, db) = (text(param.old), text(param.new), text(param.db.map(|(db, _)| db)));
    if let Some(args) = param.args {
        record.statement = Some(Statement { text: Some(args), ..Statement::default() });
    }
    let is_login = matches!(record.act, Act::Login | Act::LoginFailed);
    let named = match (is_login, role, user) {
        (true, ..) => {
            record.user = user.or(record.user);
            None
        }
        (false, Some(role), _) => Some((role, &b"role"[..])),
        (false, None, Some(user)) => Some((user, &b"user"[..])),
        (false, None, None) => None,
    };
    match (ns, named, old.zip(new), db) {
        (Some(ns), ..) => (record.object_database, record.object) = namespace(ns),
        (None, Some((name, kind)), _, db) => {
            (record.object, record.object_type, record.object_database) = (Some(name), Some(kind), db);
        }
        (None, None, Some((old, new)), _) => {
            (record.object_database, record.object) = namespace(old);
            record.objects = [old, new].map(object).into();
        }
        (None, None, None, Some(db)) if !is_login => {
            (record.object, record.object_type) = (Some(db), Some(&b"db"[..]));
        }
        (None, None, None, _) => {}
    }
    left_over(record, param, [ns, user, role, old, new, db]);
    if record.act == Act::Logout && record.user.is_none() {
        record.user = param.initial_users.and_then(|users| first_user(users, room));
    }
}

/// Parameters that were read but became no field.
fn left_over<'a>(record: &mut Record<'a>, param: &Param<'a>, [ns, user, role, old, new, db]: [Option<&'a [u8]>; 6]) {
    debug_assert!(ns.is_none() || record.object.is_some(), "a namespace always names something");
    debug_assert!(param.db.is_some() == db.is_some(), "the same member");
    let is_login = matches!(record.act, Act::Login | Act::LoginFailed);
    let renamed = !record.objects.is_empty();
    let is_object = |name| record.object_type == Some(name);
    let db_is_object = is_object(b"db") || (ns.is_none() && (is_object(b"user") || is_object(b"role")));
    let kept = [
        ("param.user", user.filter(|_| !is_login && !is_object(b"user"))),
        ("param.role", role.filter(|_| !is_object(b"role"))),
        ("param.old", old.filter(|_| !renamed)),
        ("param.new", new.filter(|_| !renamed)),
        ("param.db", db.filter(|_| !db_is_object)),
    ];
    for (name, value) in kept {
        if let Some(value) = value {
            let _ = record.extra.try_push((name, Value::Text(value)));
        }
    }
}

/// Database and collection of `db.collection`, whose collection may hold dots; a database alone is the object itself.
fn namespace(ns: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    match memchr::memchr(b'.', ns) {
        Some(dot) => (ns.get(..dot), ns.get(dot + 1..)),
        None => (None, Some(ns)),
    }
}

fn object(ns: &[u8]) -> Object<'_> {
    let (database, name) = namespace(ns);
    Object { database, name: name.unwrap_or_default(), kind: None, access: None }
}

fn outcome<'a>(record: &mut Record<'a>, result: Option<i64>, room: &mut Room<'a>) {
    record.status = match result {
        Some(0) => Status::Success,
        Some(_) => Status::Failure,
        None => Status::Unknown,
    };
    record.error_code = result.filter(|result| *result != 0).map(|result| digits::in_room(result, room));
}

fn act(atype: &[u8], status: Status) -> Act {
    match (atype, status) {
        (b"authenticate", Status::Failure) => Act::LoginFailed,
        (b"authenticate", _) => Act::Login,
        (b"logout", _) => Act::Logout,
        (b"clientMetadata", _) => Act::ConnectionReceived,
        (b"applicationMessage" | b"startup" | b"rotateLog", _) => Act::Message,
        (_, Status::Failure) => Act::FailedStatement,
        _ => Act::Statement,
    }
}

fn first_user<'a>(users: &'a [u8], room: &mut Room<'a>) -> Option<&'a [u8]> {
    let mut first = None;
    let walked = json::elements(users, |element| {
        if let (None, Json::Object(user)) = (first, element) {
            first = text_member(user, b"user");
        }
    });
    walked.ok()?;
    first.map(|user| user.unescaped(room))
}

/// Takes where the client is, and says whether that is all that stands there.
fn take_remote<'a>(client: &mut Client<'a>, remote: &'a [u8], room: &mut Room<'a>) -> bool {
    let (mut ip, mut others) = (None, false);
    let walked = json::members(remote, |member| match (member.key, member.value) {
        // Percona Server for MongoDB 3 wrote the host's name.
        (b"ip" | b"host", Json::Text(text)) if ip.is_none() => ip = Some(text),
        (b"port", Json::Int(port)) if client.port.is_none() && u16::try_from(port).is_ok() => {
            client.port = u16::try_from(port).ok();
        }
        (b"unix", _) => {
            client.address = Some(b"[local]");
            others = true;
        }
        _ => others = true,
    });
    if let Some(ip) = ip {
        client.address = Some(ip.unescaped(room));
    }
    walked.is_ok() && !others
}

/// The identifier that all rows of a connection share.
fn take_uuid<'a>(session: &mut Session<'a>, uuid: &'a [u8], room: &mut Room<'a>) -> bool {
    let (mut id, mut others) = (None, false);
    let walked = json::members(uuid, |member| match (member.key, member.value) {
        (b"$binary", Json::Text(text)) => id = Some(text),
        (b"$binary", Json::Object(binary)) => id = text_member(binary, b"base64"),
        (b"$uuid", Json::Text(text)) => id = Some(text),
        (b"$type", _) => {}
        _ => others = true,
    });
    session.id = id.map(|id| id.unescaped(room));
    walked.is_ok() && !others && session.id.is_some()
}

/// `{"$date":"2022-08-24T09:10:04.973-05:00"}`, `{"$date":1661350204973}`, `{"$date":{"$numberLong":"1661350204973"}}`.
fn time<'a>(ts: Json<'a>, room: &mut Room<'a>) -> Option<&'a [u8]> {
    let date = match ts {
        Json::Object(ts) => member(ts, b"$date")?,
        other => other,
    };
    match date {
        Json::Text(text) => Some(times::of_iso(text.unescaped(room), b"", room)),
        Json::Int(ms) => Some(times::of_unix_ms(ms, room)),
        Json::Object(long) => {
            let ms = text_member(long, b"$numberLong")?;
            let ms = std::str::from_utf8(ms.raw).ok()?.parse().ok()?;
            Some(times::of_unix_ms(ms, room))
        }
        Json::Array(_) | Json::Other(_) => None,
    }
}

/// The value of an object's first member of that name.
fn member<'a>(object: &'a [u8], key: &[u8]) -> Option<Json<'a>> {
    let mut found = None;
    json::members(object, |member| {
        if found.is_none() && member.key == key {
            found = Some(member.value);
        }
    })
    .ok()?;
    found
}

fn text_member<'a>(object: &'a [u8], key: &[u8]) -> Option<Text<'a>> {
    match member(object, key) {
        Some(Json::Text(text)) => Some(text),
        _ => None,
    }
}

/// `[]` says that there is none.
fn not_empty(array: &[u8]) -> Option<&[u8]> {
    let inside = array.strip_prefix(b"[")?.strip_suffix(b"]")?;
    (!inside.trim_ascii().is_empty()).then_some(array)
}

fn fill<T>(slot: &mut Option<T>, value: T) -> bool {
    let free = slot.is_none();
    if free {
        *slot = Some(value);
    }
    free
}
