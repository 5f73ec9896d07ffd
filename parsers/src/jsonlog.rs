//! PostgreSQL's jsonlog: one JSON object a line, 15 to 18.
//!
//! The server escapes every line end and every quote inside a string, so that a line feed always ends a record and
//! `{"timestamp":"` never stands inside one. What is hard:
//!
//! - Bytes from 0x80 stand raw: in a LATIN1 database, or in a user name sent before any password, a line is no
//!   UTF-8. So the object is read as bytes, by a reader that takes any.
//! - Values that are null, empty or zero are left out, key and all.
//! - Later versions may add keys. What is not known is kept, key and value as they stand, in `extra` as `other`; so
//!   is a second value for a key that has one.
//!
//! `extra` has csvlog's names, and a row comes out as the same [`Record`](crate::Record) from either format. Two
//! differences remain: `error_severity` is translated in csvlog only, and csvlog tells an empty text from none.

use crate::json::{self, Member, Text, Value};
use crate::lines::{self, Rules};
use crate::postgres::Row;
use crate::scratch::Room;
use crate::{Parsed, Scratch, postgres};

/// How every record begins.
pub(crate) const START: &[u8] = b"{\"timestamp\":\"";

/// No text inside a record can hold what stands at its start.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: START, is_whole: lines::ends_with_brace };

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match Fields::read(frame) {
        Ok(fields) => {
            let mut room = scratch.room(fields.room_len());
            let row = fields.row(frame, &mut room);
            Parsed::Record(postgres::record(row, &mut room))
        }
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Where a record starts behind the first byte: half a row may run on into a whole one without a line end.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    memchr::memmem::find(frame.get(1..)?, START).map(|at| at + 1)
}

/// The members of one row's object, not unescaped yet.
#[derive(Default)]
struct Fields<'a> {
    timestamp: Option<Text<'a>>,
    user: Option<Text<'a>>,
    dbname: Option<Text<'a>>,
    pid: Option<i64>,
    remote_host: Option<Text<'a>>,
    remote_port: Option<i64>,
    session_id: Option<Text<'a>>,
    line_num: Option<i64>,
    ps: Option<Text<'a>>,
    session_start: Option<Text<'a>>,
    vxid: Option<Text<'a>>,
    txid: Option<i64>,
    error_severity: Option<Text<'a>>,
    state_code: Option<Text<'a>>,
    message: Option<Text<'a>>,
    detail: Option<Text<'a>>,
    hint: Option<Text<'a>>,
    internal_query: Option<Text<'a>>,
    internal_position: Option<i64>,
    context: Option<Text<'a>>,
    statement: Option<Text<'a>>,
    cursor_position: Option<i64>,
    func_name: Option<Text<'a>>,
    file_name: Option<Text<'a>>,
    file_line_num: Option<i64>,
    application_name: Option<Text<'a>>,
    backend_type: Option<Text<'a>>,
    leader_pid: Option<i64>,
    query_id: Option<i64>,
    /// Lengths of the members that are none of these, and of all escaped texts.
    other_len: usize,
    escaped_len: usize,
}

impl<'a> Fields<'a> {
    fn read(frame: &'a [u8]) -> Result<Self, &'static str> {
        let mut fields = Fields::default();
        json::members(frame, |member| {
            if !fields.take(member) {
                fields.other_len += member.raw.len() + 1;
            }
        })?;
        if fields.timestamp.is_none() {
            return Err("no timestamp");
        }
        if fields.session_id.is_none() || fields.pid.is_none() {
            return Err("no session_id and pid");
        }
        Ok(fields)
    }

    /// Takes the member if its key is known, its value of the right kind, and the key's first.
    fn take(&mut self, member: &Member<'a>) -> bool {
        match member.value {
            Value::Text(text) => {
                let taken = self.text_slot(member.key).is_some_and(|slot| fill(slot, text));
                if taken && text.escaped {
                    self.escaped_len += text.raw.len();
                }
                taken
            }
            Value::Int(number) => self.int_slot(member.key).is_some_and(|slot| fill(slot, number)),
            Value::Object(_) | Value::Array(_) | Value::Other(_) => false,
        }
    }

    fn text_slot(&mut self, key: &[u8]) -> Option<&mut Option<Text<'a>>> {
        Some(match key {
            b"timestamp" => &mut self.timestamp,
            b"user" => &mut self.user,
            b"dbname" => &mut self.dbname,
            b"remote_host" => &mut self.remote_host,
            b"session_id" => &mut self.session_id,
            b"ps" => &mut self.ps,
            b"session_start" => &mut self.session_start,
            b"vxid" => &mut self.vxid,
            b"error_severity" => &mut self.error_severity,
            b"state_code" => &mut self.state_code,
            b"message" => &mut self.message,
            b"detail" => &mut self.detail,
            b"hint" => &mut self.hint,
            b"internal_query" => &mut self.internal_query,
            b"context" => &mut self.context,
            b"statement" => &mut self.statement,
            b"func_name" => &mut self.func_name,
            b"file_name" => &mut self.file_name,
            b"application_name" => &mut self.application_name,
            b"backend_type" => &mut self.backend_type,
            _ => return None,
        })
    }

    fn int_slot(&mut self, key: &[u8]) -> Option<&mut Option<i64>> {
        Some(match key {
            b"pid" => &mut self.pid,
            b"remote_port" => &mut self.remote_port,
            b"line_num" => &mut self.line_num,
            b"txid" => &mut self.txid,
            b"internal_position" => &mut self.internal_position,
            b"cursor_position" => &mut self.cursor_position,
            b"file_line_num" => &mut self.file_line_num,
            b"leader_pid" => &mut self.leader_pid,
            b"query_id" => &mut self.query_id,
            _ => return None,
        })
    }

    /// Texts unescaped, the message once more for pgAudit's fields, the location composed, the unknown members.
    fn room_len(&self) -> usize {
        let len = |text: Option<Text<'_>>| text.map_or(0, |text| text.raw.len());
        self.escaped_len + len(self.message) + len(self.func_name) + len(self.file_name) + self.other_len + 32
    }

    fn row(&self, frame: &'a [u8], room: &mut Room<'a>) -> Row<'a> {
        let mut text = |text: Option<Text<'a>>| text.map(|text| text.unescaped(room));
        let mut row = Row {
            time: text(self.timestamp).unwrap_or_default(),
            user: text(self.user),
            database: text(self.dbname),
            pid: self.pid,
            address: text(self.remote_host),
            port: self.remote_port.and_then(|port| u16::try_from(port).ok()),
            session_id: text(self.session_id),
            line: self.line_num,
            command_tag: text(self.ps),
            start: text(self.session_start),
            virtual_transaction_id: text(self.vxid),
            transaction_id: self.txid,
            severity: text(self.error_severity),
            sqlstate: text(self.state_code).or(Some(b"00000")),
            message: text(self.message),
            detail: text(self.detail),
            hint: text(self.hint),
            internal_query: text(self.internal_query),
            internal_query_pos: self.internal_position,
            context: text(self.context),
            query: text(self.statement),
            query_pos: self.cursor_position,
            location: None,
            application: text(self.application_name),
            backend_type: text(self.backend_type),
            leader_pid: self.leader_pid,
            query_id: self.query_id,
            ..Row::default()
        };
        row.location = self.location(room);
        row.other = self.other(frame, room);
        row
    }

    /// As csvlog writes it: `exec_simple_query, postgres.c:1019`.
    fn location(&self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        let function = self.func_name.map(|text| text.unescaped(room));
        let file = self.file_name.map(|text| text.unescaped(room));
        if function.is_none() && file.is_none() && self.file_line_num.is_none() {
            return None;
        }
        let line = self.file_line_num.map(|line| line.to_string());
        let separator: &[u8] = if function.is_some() && file.is_some() { b", " } else { b"" };
        let colon: &[u8] = if line.is_some() { b":" } else { b"" };
        let parts = [
            function.unwrap_or_default(),
            separator,
            file.unwrap_or_default(),
            colon,
            line.as_deref().unwrap_or_default().as_bytes(),
        ];
        Some(room.write(|out| parts.iter().fold(0, |len, part| len + copy(part, &mut out[len..]))))
    }

    /// The members that [`Fields::take`] refused, with commas between them.
    fn other(&self, frame: &'a [u8], room: &mut Room<'a>) -> Option<&'a [u8]> {
        if self.other_len == 0 {
            return None;
        }
        let mut again = Fields::default();
        let written = room.write(|out| {
            let mut len = 0;
            let walked = json::members(frame, |member| {
                if !again.take(member) {
                    len += copy(member.raw, &mut out[len..]);
                    len += copy(b",", &mut out[len..]);
                }
            });
            debug_assert!(walked.is_ok(), "the same bytes were an object before");
            len
        });
        Some(written.strip_suffix(b",").unwrap_or(written))
    }
}

fn fill<T>(slot: &mut Option<T>, value: T) -> bool {
    let free = slot.is_none();
    if free {
        *slot = Some(value);
    }
    free
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}
