//! pgauditlogtofile's JSON, 1.7 and later: one flat object a line, every value a string.
//!
//! Keys without a field stand in `other`, key and value as they stand. Some releases write the client's address where its port belongs.

use super::quoted::payload;
use super::{MEASURED, finish, is_payload, number, set_client};
use crate::json::{self, Member, Text, Value};
use crate::lines::{self, Rules};
use crate::postgres::Row;
use crate::rest::Rest;
use crate::{Parsed, Scratch};

/// The server escapes every line end inside a string.
pub(crate) const LINES: Rules = Rules { begins: |byte| byte == b'{', start: b"", is_whole: lines::ends_with_brace };

/// Which file it is.
pub(crate) const MARK: &[u8] = b"\"pgauditlogtofile\"";

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut fields = Fields { values: [None; COUNT], rest: Rest::default() };
    let read = json::members(frame, |member| fields.take(member));
    let reason = match read {
        Err(reason) => reason,
        Ok(()) if fields.get(Key::Time).is_none() => "no timestamp",
        Ok(()) => return Parsed::Record(fields.record(frame.len(), scratch)),
    };
    Parsed::Unparsed { reason, retry_at: None }
}

const KEYS: &[(&[u8], Key)] = &[
    (b"timestamp", Key::Time),
    (b"severity", Key::Severity),
    (b"db.user", Key::User),
    (b"db.name", Key::Database),
    (b"custom.process_id", Key::Pid),
    (b"net.peer.name", Key::Host),
    (b"net.peer.port", Key::Port),
    (b"custom.session_id", Key::Session),
    (b"custom.command_tag", Key::Tag),
    (b"custom.virtual_transaction_id", Key::VirtualTransaction),
    (b"custom.transaction_id", Key::Transaction),
    (b"custom.state_code", Key::State),
    (b"custom.audit_type", Key::AuditType),
    (b"custom.statement_id", Key::StatementId),
    (b"custom.substatement_id", Key::SubstatementId),
    (b"custom.class", Key::Class),
    (b"custom.command", Key::Command),
    (b"custom.object_type", Key::ObjectType),
    (b"custom.object_name", Key::ObjectName),
    (b"content", Key::Content),
    (b"custom.detail_log", Key::Detail),
    (b"custom.err_hint", Key::Hint),
    (b"custom.internal_query", Key::InternalQuery),
    (b"custom.internal_query_pos", Key::InternalQueryPos),
    (b"custom.context", Key::Context),
    (b"custom.application_name", Key::Application),
    (b"custom.execution_start", Key::ExecutionStart),
    (b"custom.execution_end", Key::ExecutionEnd),
    (b"custom.execution_time", Key::ExecutionTime),
    (b"custom.execution_memory.start", Key::MemoryStart),
    (b"custom.execution_memory.end", Key::MemoryEnd),
    (b"custom.execution_memory.peak", Key::MemoryPeak),
    (b"custom.execution_memory.delta", Key::MemoryDelta),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Time,
    Severity,
    User,
    Database,
    Pid,
    Host,
    Port,
    Session,
    Tag,
    VirtualTransaction,
    Transaction,
    State,
    AuditType,
    StatementId,
    SubstatementId,
    Class,
    Command,
    ObjectType,
    ObjectName,
    Content,
    Detail,
    Hint,
    InternalQuery,
    InternalQueryPos,
    Context,
    Application,
    ExecutionStart,
    ExecutionEnd,
    ExecutionTime,
    MemoryStart,
    MemoryEnd,
    MemoryPeak,
    MemoryDelta,
}

const COUNT: usize = Key::MemoryDelta as usize + 1;

struct Fields<'a> {
    values: [Option<Text<'a>>; COUNT],
    rest: Rest<'a>,
}

impl<'a> Fields<'a> {
    /// The first value of each key that is known; `log.source` says what stands in every row.
    fn take(&mut self, member: &Member<'a>) {
        let key = KEYS.iter().find(|(name, _)| *name == member.key).map(|(_, key)| *key);
        let is_mark = member.key == b"log.source" && member.raw.ends_with(MARK);
        match (key.map(|key| &mut self.values[key as usize]), member.value) {
            (Some(slot @ None), Value::Text(text)) => *slot = Some(text),
            _ if is_mark => {}
            _ => self.rest.push(member.raw),
        }
    }

    fn get(&self, key: Key) -> Option<Text<'a>> {
        self.values[key as usize]
    }

    fn record(&self, len: usize, scratch: &'a mut Scratch) -> crate::Record<'a> {
        let mut room = scratch.room(4 * len + 64);
        let other = self.rest.joined(&mut room);
        let mut any = |key| self.get(key).map(|text| text.unescaped(&mut room));
        let audit = [
            Key::AuditType,
            Key::StatementId,
            Key::SubstatementId,
            Key::Class,
            Key::Command,
            Key::ObjectType,
            Key::ObjectName,
            Key::Content,
        ]
        .map(&mut any);
        let mut text = |key| any(key).filter(|text| !text.is_empty());
        let (host, port) = (text(Key::Host), text(Key::Port));
        let (is_audit, content) = (audit[0].is_some_and(|kind| !kind.is_empty()), audit[7]);
        let mut row = Row {
            time: text(Key::Time).unwrap_or_default(),
            user: text(Key::User),
            database: text(Key::Database),
            pid: text(Key::Pid).and_then(number),
            session_id: text(Key::Session),
            command_tag: text(Key::Tag),
            virtual_transaction_id: text(Key::VirtualTransaction),
            transaction_id: text(Key::Transaction).and_then(number),
            severity: text(Key::Severity),
            sqlstate: text(Key::State),
            detail: text(Key::Detail),
            hint: text(Key::Hint),
            internal_query: text(Key::InternalQuery),
            internal_query_pos: text(Key::InternalQueryPos).and_then(number).filter(|position| *position != 0),
            context: text(Key::Context),
            application: text(Key::Application),
            message: content.filter(|_| !is_audit),
            other,
            ..Row::default()
        };
        let measured = [
            Key::ExecutionStart,
            Key::ExecutionEnd,
            Key::ExecutionTime,
            Key::MemoryStart,
            Key::MemoryEnd,
            Key::MemoryPeak,
            Key::MemoryDelta,
        ]
        .map(&mut text);
        row.audit = is_audit.then(|| payload(&audit, &mut room)).filter(|payload| is_payload(payload));
        row.message = row.message.or(content.filter(|_| row.audit.is_none()));
        let parsed = port.and_then(number).and_then(|port| u16::try_from(port).ok());
        set_client(&mut row, host.or(port.filter(|_| parsed.is_none())));
        row.port = parsed.or(row.port);
        let stray = port.filter(|port| parsed.is_none() && row.address != Some(port));
        let mut more: [_; MEASURED.len() + 1] = [("net.peer.port", stray); MEASURED.len() + 1];
        for ((place, name), value) in more.iter_mut().zip(MEASURED).zip(measured) {
            *place = (name, value);
        }
        finish(row, &more, &mut room)
    }
}
