//! The members of a JSON object, taken one after the other by their keys; what nobody took is kept.
//!
//! A key is taken once: a second member of the same key is left, and so ends in `other` like every key that nobody knows.

use arrayvec::ArrayVec;

use crate::digits;
use crate::extra::EXTRA_MAX;
use crate::json::{self, Member, Text, Value as Json};
use crate::record::{Record, Value};
use crate::rest::Rest;
use crate::scratch::Room;

/// Members beyond so many are not looked at: they are kept as they stand.
const MEMBERS_MAX: usize = 64;

/// What is left of an object.
#[derive(Debug, Default)]
pub(crate) struct Members<'a> {
    list: ArrayVec<Member<'a>, MEMBERS_MAX>,
    /// Bit by bit: somebody took it.
    taken: u64,
    beyond: Rest<'a>,
}

impl<'a> Members<'a> {
    pub(crate) fn read(object: &'a [u8]) -> Result<Self, &'static str> {
        let mut members = Members::default();
        json::members(object, |member| members.add(*member))?;
        Ok(members)
    }

    /// One more, behind the others.
    pub(crate) fn add(&mut self, member: Member<'a>) {
        if let Err(full) = self.list.try_push(member) {
            self.beyond.push(full.element().raw);
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        let is_left = |index: usize| self.taken & (1 << index) == 0;
        let mut all = self.list.iter().enumerate();
        all.find(|(index, member)| member.key == key.as_bytes() && is_left(*index)).map(|(index, _)| index)
    }

    /// The value of a key that nobody took yet, and that stays there.
    pub(crate) fn peek(&self, key: &str) -> Option<Json<'a>> {
        self.find(key).and_then(|index| self.list.get(index)).map(|member| member.value)
    }

    /// Takes the value if it is of the kind that is wanted.
    fn take<T>(&mut self, key: &str, wanted: impl FnOnce(Json<'a>) -> Option<T>) -> Option<T> {
        let index = self.find(key)?;
        let found = wanted(self.list.get(index)?.value)?;
        self.taken |= 1 << index;
        Some(found)
    }

    /// Says whether one of the values of these keys is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.peek(key).is_some()
    }

    /// A string, unescaped. An empty one says that there is none.
    pub(crate) fn text(&mut self, key: &str, room: &mut Room<'a>) -> Option<&'a [u8]> {
        self.take(key, text_of).filter(|text| !text.raw.is_empty()).map(|text| text.unescaped(room))
    }

    /// A string, or a number as it stands.
    pub(crate) fn word(&mut self, key: &str, room: &mut Room<'a>) -> Option<&'a [u8]> {
        self.text(key, room).or_else(|| {
            self.take(key, |value| match value {
                Json::Int(number) => Some(number),
                _ => None,
            })
            .map(|number| digits::in_room(number, room))
        })
    }

    /// A whole number, or a string of one.
    pub(crate) fn int(&mut self, key: &str) -> Option<i64> {
        self.take(key, int_of)
    }

    /// An unsigned one.
    pub(crate) fn count<T: TryFrom<i64>>(&mut self, key: &str) -> Option<T> {
        self.take(key, |value| T::try_from(int_of(value)?).ok())
    }

    /// An array as it stands.
    pub(crate) fn array(&mut self, key: &str) -> Option<&'a [u8]> {
        self.take(key, |value| match value {
            Json::Array(raw) => Some(raw),
            _ => None,
        })
    }

    /// The members of an object; none of an object that is not there, or that is none.
    pub(crate) fn members(&mut self, key: &str) -> Members<'a> {
        self.take(key, |value| match value {
            Json::Object(raw) => Members::read(raw).ok(),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// Takes a value that says nothing more than what a field says already.
    pub(crate) fn drop(&mut self, key: &str) {
        self.take(key, |_| Some(()));
    }

    /// Puts those of these keys that are left into `extra`, under the names beside them.
    pub(crate) fn keep(&mut self, names: &[(&str, &'static str)], record: &mut Record<'a>, room: &mut Room<'a>) {
        for (key, name) in names {
            // One place stays free for what nobody knows.
            if record.extra.len() + 2 >= EXTRA_MAX {
                return;
            }
            if let Some(value) = self.take(key, Some).and_then(|value| value_of(value, room)) {
                record.extra.push((*name, value));
            }
        }
    }

    /// Puts all that is left into `extra`, as it stands.
    pub(crate) fn keep_rest(mut self, name: &'static str, record: &mut Record<'a>, room: &mut Room<'a>) {
        let mut rest = Rest::default();
        for (index, member) in self.list.iter().enumerate() {
            if self.taken & (1 << index) == 0 && !is_null(member.value) {
                rest.push(member.raw);
            }
        }
        rest.append(&mut self.beyond);
        if let Some(rest) = rest.joined(room) {
            let _ = record.extra.try_push((name, Value::Text(rest)));
        }
    }
}

/// `null` says that there is none.
pub(crate) fn is_null(value: Json<'_>) -> bool {
    matches!(value, Json::Other(b"null"))
}

pub(crate) fn text_of(value: Json<'_>) -> Option<Text<'_>> {
    match value {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn int_of(value: Json<'_>) -> Option<i64> {
    match value {
        Json::Int(number) => Some(number),
        Json::Text(text) if !text.escaped => std::str::from_utf8(text.raw).ok()?.parse().ok(),
        _ => None,
    }
}

fn value_of<'a>(value: Json<'a>, room: &mut Room<'a>) -> Option<Value<'a>> {
    Some(match value {
        value if is_null(value) => return None,
        Json::Text(text) => Value::Text(text.unescaped(room)),
        Json::Int(number) => Value::Int(number),
        Json::Object(raw) | Json::Array(raw) | Json::Other(raw) => Value::Text(raw),
    })
}

/// Every text of an object unescaped, what nobody took once more, and some times and numbers.
pub(crate) fn room_len(frame: &[u8]) -> usize {
    2 * frame.len() + 512
}
