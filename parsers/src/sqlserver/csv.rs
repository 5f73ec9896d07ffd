//! Rows of `sys.fn_get_audit_file` as CSV: `SELECT *`, all columns in the function's own order, as many as the version has.
//!
//! A row does not say what its columns are, and the header is only seen when the file is read from its beginning. So the order is the
//! function's, and a row that has no time, number, action and truth value in the first four columns is none. What is hard:
//!
//! - Statements have line ends. A row ends at a line feed outside quotes.
//! - Half a row leaves a quote open. The next quote that opens a column then seems to close one in the middle of a text, which a true
//!   file never has: the half ends there, and the next row is looked for behind its first line.

use arrayvec::ArrayVec;
use memchr::memchr;

use super::{Row, column, room_len};
use crate::frame::{DAMAGED_MAX, Frame, NO_END};
use crate::scratch::Room;
use crate::{Parsed, Scratch, quoted};

/// The function's order. The first 26 are in every version.
const ORDER: [&str; 49] = [
    "event_time",
    "sequence_number",
    "action_id",
    "succeeded",
    "permission_bitmask",
    "is_column_permission",
    "session_id",
    "server_principal_id",
    "database_principal_id",
    "target_server_principal_id",
    "target_database_principal_id",
    "object_id",
    "class_type",
    "session_server_principal_name",
    "server_principal_name",
    "server_principal_sid",
    "database_principal_name",
    "target_server_principal_name",
    "target_server_principal_sid",
    "target_database_principal_name",
    "server_instance_name",
    "database_name",
    "schema_name",
    "object_name",
    "statement",
    "additional_information",
    "file_name",
    "audit_file_offset",
    "user_defined_event_id",
    "user_defined_information",
    "audit_schema_version",
    "sequence_group_id",
    "transaction_id",
    "client_ip",
    "application_name",
    "duration_milliseconds",
    "response_rows",
    "affected_rows",
    "connection_id",
    "data_sensitivity_information",
    "host_name",
    "session_context",
    "client_tls_version",
    "client_tls_version_name",
    "database_transaction_id",
    "ledger_start_sequence_number",
    "external_policy_permissions_checked",
    "obo_middle_tier_app_id",
    "is_local_secondary_replica",
];

const COLUMNS_MIN: usize = 26;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Windows PowerShell writes the rows' type before the header.
const TYPE: &[u8] = b"#TYPE ";

/// A row is five texts of 4,000 characters and some names: what is longer has lost a quote.
const ROW_MAX: usize = 1024 * 1024;

/// The first four columns are not longer.
const OPENING_MAX: usize = 128;

/// Finds where rows end.
#[derive(Debug, Clone, Default)]
pub struct CsvRowFramer {
    at: usize,
    place: Place,
    lost: Option<&'static str>,
    headless: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// At a column's first byte.
    #[default]
    Start,
    Plain,
    Quoted,
    /// Behind a quote that closes a column or is the first of two.
    Quote,
}

impl CsvRowFramer {
    /// A framer that enters the file at an arbitrary byte.
    pub fn mid_file() -> Self {
        CsvRowFramer { lost: Some("reading began inside a record"), ..Self::default() }
    }

    /// See [`crate::Framer::next`].
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        if let Some(reason) = self.lost {
            return self.look_for_row(buf, end, reason);
        }
        while let Some(&byte) = buf.get(self.at) {
            self.place = match (self.place, byte) {
                (Place::Start | Place::Plain | Place::Quote, b'\n') => return self.record(self.at + 1),
                (Place::Start, b'"') => Place::Quoted,
                (Place::Start | Place::Plain | Place::Quote, b',') => Place::Start,
                (Place::Quote, b'"') => Place::Quoted,
                (Place::Quote, b'\r') => Place::Quote,
                (Place::Quote, _) => return self.lose(buf, end, "a quote in the middle of a column"),
                (Place::Start | Place::Plain, _) => Place::Plain,
                (Place::Quoted, b'"') => Place::Quote,
                (Place::Quoted, _) => {
                    self.at += memchr(b'"', buf.get(self.at..).unwrap_or_default()).unwrap_or(buf.len() - self.at);
                    if self.at > ROW_MAX && !self.headless {
                        return self.lose(buf, end, "a quote is not closed");
                    }
                    continue;
                }
            };
            self.at += 1;
        }
        // Without its line feed no row is provably whole.
        if end && !buf.is_empty() { self.lose(buf, end, NO_END) } else { Frame::Incomplete }
    }

    /// See [`crate::Framer::discard`].
    pub fn discard(&mut self, len: usize) {
        self.at = self.at.saturating_sub(len);
        self.headless |= len > 0;
    }

    fn record(&mut self, len: usize) -> Frame {
        *self = Self::default();
        Frame::Record { len }
    }

    fn lose(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        *self = CsvRowFramer { lost: Some(reason), ..Self::default() };
        self.look_for_row(buf, end, reason)
    }

    /// Goes on at a line that begins as a row does.
    fn look_for_row(&mut self, buf: &[u8], end: bool, reason: &'static str) -> Frame {
        let mut from = self.at.min(buf.len());
        while let Some(feed) = memchr(b'\n', &buf[from..]) {
            let line = from + feed + 1;
            let opening = buf.get(line..).unwrap_or_default();
            let opening = opening.get(..OPENING_MAX).unwrap_or(opening);
            let feed_behind = memchr(b'\n', opening);
            if !end && opening.len() < OPENING_MAX && feed_behind.is_none() {
                self.at = from + feed;
                return self.wait(reason);
            }
            if begins(opening.get(..feed_behind.unwrap_or(opening.len())).unwrap_or(opening)) {
                *self = Self::default();
                return Frame::Damaged { len: line, reason };
            }
            from = line;
        }
        self.at = buf.len();
        if end && !buf.is_empty() {
            *self = Self::default();
            return Frame::Damaged { len: buf.len(), reason };
        }
        self.wait(reason)
    }

    fn wait(&mut self, reason: &'static str) -> Frame {
        if self.at <= DAMAGED_MAX {
            return Frame::Incomplete;
        }
        self.at -= DAMAGED_MAX;
        Frame::Damaged { len: DAMAGED_MAX, reason }
    }
}

/// Whether a line begins with a time, a number, an action and a truth value.
fn begins(line: &[u8]) -> bool {
    let mut columns = line
        .splitn(5, |byte| *byte == b',')
        .map(|column| column.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(column));
    let mut next = || columns.next().unwrap_or_default();
    is_opening([next(), next(), next(), next()])
}

fn is_opening([time, number, action, succeeded]: [&[u8]; 4]) -> bool {
    let action = action.trim_ascii_end();
    time.first().is_some_and(u8::is_ascii_digit)
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
        && (1..=4).contains(&action.len())
        && action.iter().all(u8::is_ascii_alphanumeric)
        && matches!(succeeded, b"0" | b"1" | b"true" | b"false" | b"True" | b"False" | b"TRUE" | b"FALSE")
}

/// Does the header of such a file stand at the very start?
pub(crate) fn opens(head: &[u8]) -> bool {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let feed = if head.starts_with(TYPE) { memchr(b'\n', head).map_or(0, |feed| feed + 1) } else { 0 };
    let head = head.get(feed..).unwrap_or_default();
    head.starts_with(b"event_time,sequence_number,") || head.starts_with(b"\"event_time\",\"sequence_number\",")
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let line = frame.strip_prefix(BYTE_ORDER_MARK).unwrap_or(frame);
    if line.trim_ascii().is_empty() {
        return Parsed::Nothing { what: "a blank line" };
    }
    if line.starts_with(TYPE) {
        return Parsed::Nothing { what: "PowerShell's name of the rows' type" };
    }
    let mut room = scratch.room(room_len(frame));
    if opens(line) {
        return header(line, &mut room);
    }
    match read(frame, &mut room) {
        Ok(row) => super::parsed(row, &mut room),
        Err(reason) => Parsed::Unparsed { reason, retry_at: None },
    }
}

/// See [`crate::assemble`].
pub(crate) fn assemble<'a>(frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    super::assemble(read, frames, complete, scratch)
}

fn header<'a>(line: &'a [u8], room: &mut Room<'a>) -> Parsed<'a> {
    let columns = split(line, room).unwrap_or_default();
    let in_order = columns.iter().zip(ORDER).all(|(column, name)| *column == Some(name.as_bytes()));
    match in_order && columns.len() >= COLUMNS_MIN {
        true => Parsed::Nothing { what: "the names of the columns" },
        false => {
            Parsed::Unparsed { reason: "other columns than `SELECT *` gives, or in another order", retry_at: None }
        }
    }
}

fn read<'a>(frame: &'a [u8], room: &mut Room<'a>) -> Result<Row<'a>, &'static str> {
    let columns = split(frame, room)?;
    let (mut row, mut near) = (Row::default(), 0);
    for (value, name) in columns.iter().zip(ORDER) {
        if let (Some(value), Some(at)) = (value, column(name.as_bytes(), near)) {
            row.set(at, value);
            near = at + 1;
        }
    }
    let first = |at: usize| columns.get(at).copied().flatten().unwrap_or_default();
    match columns.len() >= COLUMNS_MIN && is_opening([first(0), first(1), first(2), first(3)]) {
        true => Ok(row),
        false => Err("not the columns that `SELECT *` gives, in their order"),
    }
}

type Columns<'a> = ArrayVec<Option<&'a [u8]>, { ORDER.len() }>;

/// The columns, unquoted; `NULL` without quotes is what Management Studio writes for it.
fn split<'a>(row: &'a [u8], room: &mut Room<'a>) -> Result<Columns<'a>, &'static str> {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    let mut rest = row.strip_suffix(b"\r").unwrap_or(row);
    let mut columns = Columns::new();
    loop {
        let (value, behind) = match rest.strip_prefix(b"\"") {
            Some(inner) => {
                let (len, doubled) = quoted::end(inner).ok_or("a quote is not closed")?;
                let (text, behind) = inner.split_at(len);
                let text = if doubled { quoted::unescape(text, room) } else { text };
                (Some(text), behind.get(1..).unwrap_or_default())
            }
            None => {
                let (text, behind) = rest.split_at(memchr(b',', rest).unwrap_or(rest.len()));
                (Some(text).filter(|text| !matches!(*text, b"" | b"NULL")), behind)
            }
        };
        columns.try_push(value).map_err(|_| "more columns than the function has")?;
        match behind.split_first() {
            None => return Ok(columns),
            Some((b',', behind)) => rest = behind,
            Some(_) => return Err("a quote in the middle of a column"),
        }
    }
}
