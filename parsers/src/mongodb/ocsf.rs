//! MongoDB's audit log in the Open Cybersecurity Schema Framework's schema (`auditLog.schema: OCSF`), 8.0 and later.
//!
//! One JSON object a row. The engine's own word for the action is in `unmapped`, or only in `api`; names of users, roles and namespaces
//! stand whole, as `db.name`. A row need not say how it ended: then it is not known.

use super::{fill, member, text_member};
use crate::braces;
use crate::json::{self, Member, Text, Value as Json};
use crate::record::{Act, Record, Session, Status, Value};
use crate::rest::Rest;
use crate::scratch::Room;
use crate::{Parsed, Scratch, digits, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if frame.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    let mut room = scratch.room(super::room_len(frame));
    match Event::read(frame) {
        Ok(event) => Parsed::Record(event.record(&mut room)),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let find = |start: &[u8]| braces::next_object(frame, start, |object| Event::read(object).is_ok());
    find(b"{ \"activity_id\"").or_else(|| find(b"{\"activity_id\""))
}

/// The members of one row's object; objects as they stand.
#[derive(Default)]
struct Event<'a> {
    time: Option<i64>,
    class: Option<i64>,
    activity: Option<i64>,
    category: Option<i64>,
    kind: Option<i64>,
    severity: Option<i64>,
    status: Option<i64>,
    metadata: Option<&'a [u8]>,
    actor: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    entity: Option<&'a [u8]>,
    api: Option<&'a [u8]>,
    unmapped: Option<&'a [u8]>,
    auth_protocol: Option<Text<'a>>,
    rest: Rest<'a>,
}

impl<'a> Event<'a> {
    fn read(object: &'a [u8]) -> Result<Self, &'static str> {
        let mut event = Event::default();
        json::members(object, |member| {
            if !event.take(member) {
                event.rest.push(member.raw);
            }
        })?;
        match (event.class, event.time) {
            (None, _) => Err("no class_uid"),
            (_, None) => Err("no time"),
            (Some(_), Some(_)) => Ok(event),
        }
    }

    fn take(&mut self, member: &Member<'a>) -> bool {
        match member.value {
            Json::Int(number) => self.int_slot(member.key).is_some_and(|slot| fill(slot, number)),
            Json::Object(raw) => self.object_slot(member.key).is_some_and(|slot| fill(slot, raw)),
            Json::Text(text) if member.key == b"auth_protocol" => fill(&mut self.auth_protocol, text),
            Json::Text(_) | Json::Array(_) | Json::Other(_) => false,
        }
    }

    fn int_slot(&mut self, key: &[u8]) -> Option<&mut Option<i64>> {
        Some(match key {
            b"time" => &mut self.time,
            b"class_uid" => &mut self.class,
            b"activity_id" => &mut self.activity,
            b"category_uid" => &mut self.category,
            b"type_uid" => &mut self.kind,
            b"severity_id" => &mut self.severity,
            b"status_id" => &mut self.status,
            _ => return None,
        })
    }

    fn object_slot(&mut self, key: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match key {
            b"metadata" => &mut self.metadata,
            b"actor" => &mut self.actor,
            b"user" => &mut self.user,
            b"src_endpoint" => &mut self.source,
            b"dst_endpoint" => &mut self.destination,
            b"entity" => &mut self.entity,
            b"api" => &mut self.api,
            b"unmapped" => &mut self.unmapped,
            _ => return None,
        })
    }

    fn record(&self, room: &mut Room<'a>) -> Record<'a> {
        let mut record = Record { time: times::of_unix_ms(self.time.unwrap_or_default(), room), ..Record::default() };
        let mut text = |object: Option<&'a [u8]>, key: &[u8]| {
            object.and_then(|object| text_member(object, key)).map(|text| text.unescaped(room))
        };
        let actor = self.actor.and_then(|actor| object_member(actor, b"user"));
        record.user = text(actor, b"name");
        if self.is_login() {
            record.user = text(self.user, b"name").or(record.user);
        }
        record.command = text(self.unmapped, b"atype").or_else(|| text(self.api, b"operation"));
        (record.object, record.object_type) = (text(self.entity, b"name"), text(self.entity, b"type"));
        record.session = Session { id: text(self.metadata, b"correlation_uid"), ..Session::default() };
        self.outcome(&mut record, room);
        record.act = self.act(record.status);
        let known_source = self.source.is_some_and(|source| super::take_remote(&mut record.client, source, room));
        self.add_extra(&mut record, known_source, room);
        record
    }

    /// The class "Authentication", and its activity "Logon".
    fn is_login(&self) -> bool {
        (self.class, self.activity) == (Some(3002), Some(1))
    }

    fn outcome(&self, record: &mut Record<'a>, room: &mut Room<'a>) {
        let response = self.api.and_then(|api| object_member(api, b"response"));
        let code = match response.and_then(|response| member(response, b"code")) {
            Some(Json::Int(code)) => Some(code),
            _ => None,
        };
        record.status = match (self.status, code) {
            (Some(1), _) | (None, Some(0)) => Status::Success,
            (Some(2), _) | (None, Some(_)) => Status::Failure,
            _ => Status::Unknown,
        };
        if record.status == Status::Failure {
            record.error_code = code.map(|code| digits::in_room(code, room));
            let words = response.and_then(|response| text_member(response, b"error"));
            record.error_message = words.map(|words| words.unescaped(room));
        }
    }

    /// By class: authentication, network activity, system activity; all others tell of an action.
    fn act(&self, status: Status) -> Act {
        match (self.class, self.activity, status) {
            (Some(3002), Some(2), _) => Act::Logout,
            (Some(3002), Some(1), Status::Failure) => Act::LoginFailed,
            (Some(3002), Some(1), _) => Act::Login,
            (Some(4001), ..) => Act::ConnectionReceived,
            (Some(1000..2000), ..) => Act::Message,
            (_, _, Status::Failure) => Act::FailedStatement,
            _ => Act::Statement,
        }
    }

    fn add_extra(&self, record: &mut Record<'a>, known_source: bool, room: &mut Room<'a>) {
        let text = |value: Option<&'a [u8]>| value.map(Value::Text);
        let all = [
            ("activity_id", self.activity.map(Value::Int)),
            ("category_uid", self.category.map(Value::Int)),
            ("class_uid", self.class.map(Value::Int)),
            ("type_uid", self.kind.map(Value::Int)),
            ("severity_id", self.severity.map(Value::Int)),
            ("status_id", self.status.map(Value::Int)),
            ("metadata", text(self.metadata)),
            ("actor", text(self.actor)),
            ("user", text(self.user)),
            ("auth_protocol", self.auth_protocol.map(|protocol| Value::Text(protocol.unescaped(room)))),
            ("src_endpoint", text(self.source.filter(|_| !known_source))),
            ("dst_endpoint", text(self.destination)),
            ("entity", text(self.entity)),
            ("api", text(self.api)),
            ("unmapped", text(self.unmapped)),
            ("other", text(self.rest.joined(room))),
        ];
        record.extra.extend(all.into_iter().filter_map(|(name, value)| Some((name, value?))));
    }
}

fn object_member<'a>(object: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    match member(object, key) {
        Some(Json::Object(object)) => Some(object),
        _ => None,
    }
}
