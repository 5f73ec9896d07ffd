//! Event 33205 of the Windows log as collectors write it: a JSON object a line, by Winlogbeat, NXLog and others that name things as they do.
//!
//! The event's text stands in one member, under a name that depends on the collector; the rest is about the machine and the collector,
//! and is kept as it stands. Other events of the log are messages.

use super::{Row, room_len, text};
use crate::json::{self, Member, Text, Value as Json};
use crate::record::{Record, Value};
use crate::rest::Rest;
use crate::scratch::Room;
use crate::{Parsed, Scratch, braces, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if frame.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    let mut room = scratch.room(room_len(frame));
    let event = match Event::read(frame) {
        Ok(event) => event,
        Err(reason) => return Parsed::Unparsed { reason, retry_at: next_record(frame) },
    };
    if !event.is_audit() {
        return event.message(&mut room);
    }
    match event.row(&mut room) {
        Ok(row) => super::parsed(row, &mut room),
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// See [`crate::assemble`].
pub(crate) fn assemble<'a>(frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    super::assemble(read, frames, complete, scratch)
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    braces::next_object(frame, b"{\"", |object| Event::read(object).is_ok_and(|event| event.is_audit()))
}

fn read<'a>(frame: &'a [u8], room: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
    Event::read(frame)?.row(room)
}

/// The members that tell what happened.
#[derive(Default)]
struct Event<'a> {
    /// The event's own text.
    data: Option<Text<'a>>,
    /// The same, as Windows shows it.
    message: Option<(Text<'a>, &'a [u8])>,
    time: Option<Text<'a>>,
    rest: Rest<'a>,
}

impl<'a> Event<'a> {
    fn read(frame: &'a [u8]) -> Result<Self, &'static str> {
        let mut event = Event::default();
        let mut broken = None;
        json::members(frame, |member| {
            let taken = match (member.key, member.value) {
                // Winlogbeat 7 and later; before, event_data stood at the top.
                (b"winlog" | b"event_data" | b"EventData", Json::Object(inner)) => {
                    let walked = json::members(inner, |member| event.take_inner(member));
                    broken = broken.or(walked.err());
                    true
                }
                (b"message" | b"Message", Json::Text(text)) if event.message.is_none() => {
                    event.message = Some((text, member.raw));
                    true
                }
                (b"@timestamp" | b"EventTime", Json::Text(text)) if event.time.is_none() => {
                    event.time = Some(text);
                    false
                }
                _ => false,
            };
            if !taken {
                event.rest.push(member.raw);
            }
        })?;
        broken.map_or(Ok(event), Err)
    }

    /// A member of `winlog` or of `event_data`.
    fn take_inner(&mut self, member: &Member<'a>) {
        match (member.key, member.value) {
            (b"event_data" | b"EventData", Json::Object(inner)) => {
                let walked = json::members(inner, |member| match (member.key, member.value) {
                    (b"param1" | b"Data", Json::Text(text)) if self.data.is_none() => self.data = Some(text),
                    _ => self.rest.push(member.raw),
                });
                if walked.is_err() {
                    self.rest.push(member.raw);
                }
            }
            (b"param1" | b"Data", Json::Text(text)) if self.data.is_none() => self.data = Some(text),
            _ => self.rest.push(member.raw),
        }
    }

    /// The text that tells it, if this is an audit event.
    fn text(&self) -> Option<Text<'a>> {
        let is_audit = |text: &Text<'a>| text::opens(text.raw) || text.raw.starts_with(b"event_time:");
        self.data.filter(is_audit).or(self.message.map(|(text, _)| text).filter(is_audit))
    }

    fn is_audit(&self) -> bool {
        self.text().is_some()
    }

    fn row(mut self, room: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
        let text = self.text().ok_or("no audit event in it")?;
        if let Some((message, raw)) = self.message
            && !message.raw.trim_ascii_end().ends_with(text.raw.trim_ascii_end())
        {
            self.rest.push(raw);
        }
        let mut row = text::event(text.unescaped(room))?;
        let behind = row.other.take();
        row.other = self.rest.joined(room).or(behind);
        Ok(row)
    }

    fn message(&self, room: &mut Room<'a>) -> Parsed<'a> {
        let Some(time) = self.time else {
            return Parsed::Unparsed { reason: "neither an audit event nor a time", retry_at: None };
        };
        let time = time.unescaped(room);
        let mut record = Record { time: times::of_iso(time, b"", room), ..Record::default() };
        let mut add = |name, text: Option<&'a [u8]>| {
            record.extra.extend(text.map(|text| (name, Value::Text(text))));
        };
        add("message", self.message.map(|(text, _)| text.unescaped(room)));
        add("param1", self.data.map(|text| text.unescaped(room)));
        add("other", self.rest.joined(room));
        Parsed::Record(record)
    }
}
