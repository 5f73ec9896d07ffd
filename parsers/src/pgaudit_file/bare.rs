//! pgauditlogtofile up to 1.6: csvlog's columns without their quotes and without the severity.
//!
//! Names and messages stand there as they are, commas, quotes and line ends included; only pgAudit quotes its own fields. So a row is
//! read from what has a shape: process, client, session id and number in a row hold the head in place, and the columns behind are counted
//! from both ends. Names between which more than one comma stands are not told apart: both then stand in `other`. Who can
//! reach the port can write a row into a name, so that every row is flagged.

use super::{TAIL, finish, fits, is_payload, is_session_id, number, set_client, set_tail};
use crate::postgres::Row;
use crate::record::Record;
use crate::scratch::Room;

/// `2026-11-20 20:29:08.829 UTC,`
pub(crate) fn starts(line: &[u8]) -> bool {
    time_len(line).is_some()
}

/// What a row says, or why it is none.
pub(crate) fn record<'a>(row: &'a [u8], room: &mut Room<'a>) -> Result<Record<'a>, &'static str> {
    let head = Head::read(row).ok_or("no process, client, session and number behind the time")?;
    let mut made = head.row();
    let text = &row[head.len..];
    let tail = if is_payload(text) {
        let mut fields = Payload::default();
        let len = fields.scan(text).map_err(|()| "a quote in pgAudit's fields stands where none can")?;
        let len = len.filter(|_| fields.is_over()).ok_or("pgAudit's fields are not whole")?;
        let len = len + rows_len(&text[len..]);
        made.audit = Some(&text[..len]);
        &text[len..]
    } else {
        let len = message_len(text).ok_or("fewer columns than a row has")?;
        made.message = Some(&text[..len]);
        &text[len..]
    };
    let tail = tail.strip_prefix(b",").ok_or("fewer columns than a row has")?;
    // A detail that is part of the message leaves one comma less.
    let columns = tail.strip_prefix(&EMPTY[..TAIL - 2]).filter(|rest| !rest.contains(&b',')).map(without_detail);
    let columns = columns.or_else(|| self::columns(tail));
    set_tail(&mut made, &columns.unwrap_or_default());
    let mut record = finish(made, &[("other", Some(tail).filter(|_| columns.is_none()))], room);
    record.flags.push("forgeable");
    Ok(record)
}

/// Length of the time at the start, the comma included.
fn time_len(line: &[u8]) -> Option<usize> {
    let model = b"0000-00-00 00:00:00.000 ";
    let zone = fits(line, model).then(|| &line[model.len()..])?;
    let is_zone = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-');
    let len = zone.iter().take(32).take_while(is_zone).count();
    (len > 0 && zone.get(len) == Some(&b',')).then_some(model.len() + len + 1)
}

/// The columns before what happened.
pub(super) struct Head<'a> {
    time: &'a [u8],
    /// User, comma, database.
    names: &'a [u8],
    /// Process, client, session, number, command tag, start, virtual transaction, transaction, SQLSTATE.
    columns: [&'a [u8]; 9],
    /// Where what happened begins.
    pub len: usize,
}

impl<'a> Head<'a> {
    pub(super) fn read(row: &'a [u8]) -> Option<Self> {
        let names = time_len(row)?;
        let mut comma = names;
        loop {
            comma += memchr::memchr(b',', row.get(comma..)?)?;
            let mut at = comma + 1;
            let mut columns = [&b""[..]; 9];
            let is_head = columns.iter_mut().enumerate().all(|(index, column)| {
                let Some(len) = row.get(at..).and_then(|rest| memchr::memchr(b',', rest)) else { return false };
                *column = &row[at..at + len];
                at += len + 1;
                is_like(index, column)
            });
            if is_head && comma > names {
                return Some(Head { time: &row[..names - 1], names: &row[names..comma], columns, len: at });
            }
            comma += 1;
        }
    }

    fn row(&self) -> Row<'a> {
        let some = |text: &'a [u8]| Some(text).filter(|text| !text.is_empty());
        let [pid, client, session, line, tag, start, virtual_id, transaction, state] = self.columns;
        let mut commas = memchr::memchr_iter(b',', self.names);
        let (user, database, other) = match (commas.next(), commas.next()) {
            (Some(comma), None) => (some(&self.names[..comma]), some(&self.names[comma + 1..]), None),
            _ => (None, None, Some(self.names)),
        };
        let mut row = Row {
            time: self.time,
            user,
            database,
            pid: number(pid),
            session_id: some(session),
            line: number(line),
            command_tag: Some(tag),
            start: some(start),
            virtual_transaction_id: some(virtual_id),
            transaction_id: number(transaction),
            sqlstate: some(state),
            other,
            ..Row::default()
        };
        set_client(&mut row, some(client));
        row
    }
}

/// May the column of the head with this number hold the text?
fn is_like(index: usize, text: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    match index {
        0 | 3 | 7 => is_number(text),
        1 => !text.contains(&b'\n'),
        2 => is_session_id(text),
        4 | 6 => !text.contains(&b'\n'),
        5 => fits(text, b"0000-00-00 00:00:00 "),
        _ => text.len() == 5 && text.iter().all(u8::is_ascii_alphanumeric),
    }
}

/// pgAudit's first nine fields, as far as they were seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Payload {
    /// Fields that are over.
    count: u8,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// At a field's first byte.
    #[default]
    Start,
    Bare,
    Quoted,
    /// Behind a quote inside quotes.
    Quote,
}

const FIELDS: u8 = 9;

impl Payload {
    pub(super) fn is_over(self) -> bool {
        self.count == FIELDS
    }

    /// Goes on over these bytes. Says where the comma behind the last field stands, if it does; an error where a quote cannot stand.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ()> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.place == Place::Quoted && byte != b'"' {
                at += memchr::memchr(b'"', &bytes[at..]).unwrap_or(bytes.len() - at);
                continue;
            }
            self.place = match (self.place, byte) {
                (Place::Start, b'"') | (Place::Quote, b'"') => Place::Quoted,
                (Place::Quoted, _) => Place::Quote,
                (_, b',') => {
                    self.count += 1;
                    if self.is_over() {
                        return Ok(Some(at));
                    }
                    Place::Start
                }
                (Place::Quote, _) | (_, b'"' | b'\n') => return Err(()),
                (Place::Start | Place::Bare, _) => Place::Bare,
            };
            at += 1;
        }
        Ok(None)
    }
}

/// Length of the tenth field with the comma before it, with `pgaudit.log_rows`.
fn rows_len(text: &[u8]) -> usize {
    let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && text.get(digits + 1) == Some(&b',') { digits + 1 } else { 0 }
}

/// Where a message ends. Where its detail cannot be told from it, both are the message.
fn message_len(text: &[u8]) -> Option<usize> {
    let rfind = |commas| memchr::memmem::rfind(text, &EMPTY[..commas]);
    let commas = memchr::memchr_iter(b',', text);
    let exact = || commas.clone().next().filter(|_| commas.clone().count() == TAIL);
    rfind(TAIL).or_else(exact).or_else(|| rfind(TAIL - 1))
}

/// `exec_simple_query, postgres.c:1019`, and the application behind it.
fn location(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr_iter(b',', text).nth(1)?;
    let (location, application) = text.split_at(end);
    let digits = location.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let is_location = digits > 0 && location[..end - digits].ends_with(b":");
    is_location.then_some((location, &application[1..]))
}

/// Only the application has a value.
fn without_detail(application: &[u8]) -> [Option<&[u8]>; TAIL] {
    let mut columns = [None; TAIL];
    columns[TAIL - 1] = Some(application);
    columns
}

/// Columns without a value.
const EMPTY: &[u8; TAIL] = b",,,,,,,,,";

/// The columns behind what happened, if it can be told which of them holds commas of its own: the context or the application, where the
/// others are empty.
fn columns(text: &[u8]) -> Option<[Option<&[u8]>; TAIL]> {
    const CONTEXT: usize = 4;
    const BEHIND: usize = TAIL - CONTEXT - 1;
    let some = |text| Some(text).filter(|text: &&[u8]| !text.is_empty());
    let mut columns = [None; TAIL];
    if let Some(application) = text.strip_prefix(&EMPTY[..TAIL - 1]) {
        columns[TAIL - 1] = Some(application);
    } else if let Some((location, application)) = text.strip_prefix(&EMPTY[..TAIL - 2]).and_then(location) {
        columns[TAIL - 2] = Some(location);
        columns[TAIL - 1] = Some(application);
    } else if memchr::memchr_iter(b',', text).count() == TAIL - 1 {
        for (column, text) in columns.iter_mut().zip(text.split(|byte| *byte == b',')) {
            *column = some(text);
        }
    } else {
        let rest = text.strip_prefix(&EMPTY[..CONTEXT])?;
        let end = memchr::memmem::rfind(rest, &EMPTY[..BEHIND])?;
        columns[CONTEXT] = some(&rest[..end]);
        columns[TAIL - 1] = Some(&rest[end + BEHIND..]);
    }
    Some(columns)
}
