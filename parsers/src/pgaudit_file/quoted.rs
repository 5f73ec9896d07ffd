//! pgauditlogtofile 1.7 and 1.8: every value a JSON string, one row a line.
//!
//! pgAudit's fields are split at commas whatever its quotes say, so that a name with a comma stands in two columns: put together with
//! the commas between them they are what pgAudit wrote. How many columns there are depends on the row and on the release, and is
//! not held against a row.

use super::{MEASURED, TAIL, finish, fits, is_payload, is_session_id, number, set_client, set_tail};
use crate::json::Text;
use crate::postgres::Row;
use crate::record::Record;
use crate::scratch::Room;

/// `"2026-11-20 20:29:15`
pub(crate) fn starts(line: &[u8]) -> bool {
    fits(line, b"\"0000-00-00 00:00:00")
}

/// With process and session in their columns.
pub(super) fn is_row(line: &[u8]) -> bool {
    let mut columns = [None; COLUMNS_MAX];
    let row = line.strip_suffix(b"\n").unwrap_or(line);
    let is_whole = starts(line) && split(row, &mut columns).is_ok_and(|count| count > HEAD + TAIL);
    is_whole && columns[5].is_some_and(|text| is_session_id(text.raw))
}

/// The most columns that any release writes.
const COLUMNS_MAX: usize = 40;

/// Columns before what happened, and those of pgAudit.
const HEAD: usize = 10;
const AUDIT: usize = 8;

/// What a row says, or why it is none.
pub(crate) fn record<'a>(row: &'a [u8], room: &mut Room<'a>) -> Result<Record<'a>, &'static str> {
    let mut columns = [None; COLUMNS_MAX];
    let count = split(row, &mut columns)?;
    if count < HEAD + 1 + TAIL {
        return Err("fewer columns than a row has");
    }
    let is_audit =
        columns[HEAD].is_some_and(|text| matches!(text.raw, b"SESSION" | b"OBJECT")) && count >= HEAD + AUDIT + TAIL;
    let mut text = |at: usize| columns.get(at).copied().flatten().map(|text: Text<'a>| text.unescaped(room));
    let [time, user, database, pid, client, session, tag, virtual_id, transaction, state] =
        std::array::from_fn(&mut text);
    if !session.is_some_and(is_session_id) || pid.and_then(number).is_none() {
        return Err("no process and session in their columns");
    }
    let behind = HEAD + if is_audit { AUDIT } else { 1 };
    let message = if is_audit { None } else { text(HEAD) };
    let tail: [_; TAIL] = std::array::from_fn(|at| text(behind + at).filter(|text| !text.is_empty()));
    let measured: [_; MEASURED.len()] = std::array::from_fn(|at| (MEASURED[at], text(behind + TAIL + at)));
    let audit: [_; AUDIT] = std::array::from_fn(|at| text(HEAD + at));
    let rest = columns.get(behind + TAIL + MEASURED.len()).copied().flatten();
    let mut made = Row {
        time: time.unwrap_or_default(),
        user,
        database,
        pid: pid.and_then(number),
        session_id: session,
        command_tag: tag,
        virtual_transaction_id: virtual_id,
        transaction_id: transaction.and_then(number),
        sqlstate: state,
        message,
        audit: is_audit.then(|| payload(&audit, room)).filter(|payload| is_payload(payload)),
        other: rest.map(|text| text.raw),
        ..Row::default()
    };
    set_client(&mut made, client);
    set_tail(&mut made, &tail);
    Ok(finish(made, &measured, room))
}

/// pgAudit's fields as it wrote them.
pub(super) fn payload<'a>(fields: &[Option<&[u8]>], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let mut len = 0;
        for (index, field) in fields.iter().enumerate() {
            for part in [if index == 0 { &b""[..] } else { b"," }, field.unwrap_or_default()] {
                out[len..len + part.len()].copy_from_slice(part);
                len += part.len();
            }
        }
        len
    })
}

/// The columns, `None` where nothing stands between two commas.
fn split<'a>(row: &'a [u8], columns: &mut [Option<Text<'a>>; COLUMNS_MAX]) -> Result<usize, &'static str> {
    let mut at = 0;
    for (index, column) in columns.iter_mut().enumerate() {
        if row.get(at) == Some(&b'"') {
            let (len, escaped) = string_len(&row[at + 1..]).ok_or("a string is not closed")?;
            *column = Some(Text { raw: &row[at + 1..at + 1 + len], escaped });
            at += len + 2;
        }
        match row.get(at) {
            None => return Ok(index + 1),
            Some(b',') => at += 1,
            Some(_) => return Err("something stands behind a string"),
        }
    }
    Err("more columns than a row has")
}

/// Length of a string up to its closing quote, and whether escapes stand in it.
fn string_len(text: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}
