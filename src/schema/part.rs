//! The members of a line, of which each is taken once: what was written elsewhere is not written again, and what was not, is.
//!
//! Names and values stand as the line has them, quotes and escapes included, so that a text is copied and never decoded. A member
//! that is an object can be opened; what nobody took out of it is left in it. The first member of a name is the one that is found:
//! of a name that comes twice the second one stays. What a value means is for others.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::object::Object;
use crate::limits::SCHEMA_MEMBERS_MAX;

/// An object of the line.
#[derive(Debug)]
pub struct Part<'a> {
    members: Vec<Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    /// In its quotes.
    name: &'a str,
    value: &'a str,
    state: State<'a>,
}

#[derive(Debug)]
enum State<'a> {
    Whole,
    Taken,
    Opened(Part<'a>),
}

impl<'a> Part<'a> {
    /// `None` where `text` is no JSON object, or one of more than [`SCHEMA_MEMBERS_MAX`] members.
    pub fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn find(&self, name: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.is(name))
    }

    fn find_whole(&mut self, name: &str) -> Option<&mut Member<'a>> {
        self.members.iter_mut().find(|member| member.is(name)).filter(|member| member.is_whole())
    }

    /// The value of that name, taken or not.
    pub fn look(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(|member| member.value)
    }

    /// The same if it is a text, in its quotes.
    pub fn look_text(&self, name: &str) -> Option<&'a str> {
        self.look(name).filter(|value| is_text(value))
    }

    /// What stands between the quotes of a text, or nothing.
    pub fn word(&self, name: &str) -> &'a str {
        self.look_text(name).map_or("", inside)
    }

    /// Texts of a list, each in its quotes; none where it is no list.
    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        let list: Option<Vec<&RawValue>> = self.look(name).and_then(|value| serde_json::from_str(value).ok());
        list.unwrap_or_default().into_iter().map(RawValue::get).filter(|value| is_text(value)).collect()
    }

    /// Objects of a list.
    pub fn parts(&self, name: &str) -> Vec<Part<'a>> {
        self.look(name).and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
    }

    fn take_if(&mut self, name: &str, fits: impl FnOnce(&str) -> bool) -> Option<&'a str> {
        let member = self.find_whole(name).filter(|member| fits(member.value))?;
        member.state = State::Taken;
        Some(member.value)
    }

    /// Takes a value, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<&'a str> {
        self.take_if(name, |_| true)
    }

    /// Takes a text, in its quotes.
    pub fn take_text(&mut self, name: &str) -> Option<&'a str> {
        self.take_if(name, is_text)
    }

    /// Takes a whole number from 0 to `max`.
    pub fn take_count(&mut self, name: &str, max: u64) -> Option<&'a str> {
        self.take_if(name, |value| value.parse::<u64>().is_ok_and(|count| count <= max))
    }

    /// Takes all members that are texts and whose name fits: name and value, each in its quotes.
    pub fn take_texts(&mut self, fits: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a str)> {
        let texts = self.members.iter_mut().filter(|it| it.is_whole() && is_text(it.value) && fits(it.name));
        texts
            .map(|member| {
                member.state = State::Taken;
                (member.name, member.value)
            })
            .collect()
    }

    /// The object of that name, of which members can be taken. One that is too large stays whole.
    pub fn open(&mut self, name: &str) -> Option<&mut Part<'a>> {
        let member = self.members.iter_mut().find(|member| member.is(name))?;
        if matches!(member.state, State::Whole) && member.value.starts_with('{') {
            member.state = State::Opened(Part::of(member.value)?);
        }
        match &mut member.state {
            State::Opened(part) => Some(part),
            State::Whole | State::Taken => None,
        }
    }

    /// Writes what nobody took.
    pub fn write_rest(&self, to: &mut Object<'_>) {
        for member in &self.members {
            match &member.state {
                State::Taken => {}
                State::Opened(part) if !part.members.is_empty() => {
                    to.object_quoted(member.name, |to| part.write_rest(to));
                }
                State::Whole | State::Opened(_) => to.raw_quoted(member.name, member.value),
            }
        }
    }
}

impl Member<'_> {
    /// Nothing was taken of it, though somebody may have looked into it.
    fn is_whole(&self) -> bool {
        match &self.state {
            State::Whole => true,
            State::Taken => false,
            State::Opened(part) => part.members.iter().all(Member::is_whole),
        }
    }

    /// Most are told apart by their length.
    fn is(&self, name: &str) -> bool {
        self.name.len() == name.len() + 2 && inside(self.name) == name
    }
}

fn is_text(value: &str) -> bool {
    value.starts_with('"')
}

/// A text without its quotes.
pub fn inside(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

/// Most objects of a line have no more members, and the line itself twice as many.
const MEMBERS: usize = 16;

impl<'de> Visitor<'de> for Members {
    type Value = Part<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Part<'de>, M::Error> {
        let mut members = Vec::with_capacity(MEMBERS);
        while let Some(name) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            if members.len() == SCHEMA_MEMBERS_MAX {
                return Err(M::Error::custom("more members than an object may have"));
            }
            members.push(Member { name: name.get(), value: value.get(), state: State::Whole });
        }
        Ok(Part { members })
    }
}
