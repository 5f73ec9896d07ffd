//! PostgreSQL's csvlog: 22 to 26 columns, RFC 4180 with line feeds, 8.4 to 18.
//!
//! Framing is [`CsvFramer`]; this file says what the columns mean. Column numbers are those of the server's
//! documentation, "Using CSV-Format Log Output". What is hard:
//!
//! - Text in quotes is raw: line ends, control characters and bytes that are no UTF-8 stand in it as they are.
//! - Nothing between commas is NULL, `""` is an empty string: `None` and `Some(b"")` here. An application name and
//!   a command tag are `""` when there is none.
//! - The user, the database and the SQL are chosen by whoever connects, some of them before any password.
//!
//! Columns without a field in [`Record`](crate::Record) stand in `extra` under their csvlog names. Left out are
//! only values that say "none": an empty column, `sql_state_code` 00000, `transaction_id` 0, `query_id` 0.

mod columns;
mod framer;
mod opening;

use columns::Columns;
pub use framer::CsvFramer;
use opening::Found;

use crate::postgres::Row;
use crate::scratch::Room;
use crate::{Parsed, Scratch, postgres};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let mut columns = Columns::new();
    match columns.split(frame) {
        Ok(()) => {
            // Twice: once for the columns, once for pgAudit's fields inside the message.
            let mut room = scratch.room(2 * columns.doubled_len());
            let row = row(&columns, &mut room);
            Parsed::Record(postgres::record(row, &mut room))
        }
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// Does a record stand at the very start, as far as its message shows? `None` when more bytes are needed.
pub(crate) fn opens(head: &[u8]) -> Option<bool> {
    match opening::opening(head) {
        opening::Look::Is(()) => Some(true),
        opening::Look::Not => Some(false),
        opening::Look::Short => None,
    }
}

/// Where a record starts behind the first byte: half a row may run on into a whole one without a line end.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    match opening::find(frame, 1, true) {
        Found::At(start) => Some(start),
        Found::NotBefore(_) => None,
    }
}

fn row<'a>(columns: &Columns<'a>, room: &mut Room<'a>) -> Row<'a> {
    let mut text = |number| columns.text(number, room);
    let (address, port) = text(5).map_or((None, None), postgres::connection_from);
    Row {
        time: text(1).unwrap_or_default(),
        user: text(2),
        database: text(3),
        pid: columns.number(4),
        address,
        port,
        session_id: text(6),
        line: columns.number(7),
        command_tag: text(8),
        start: text(9),
        virtual_transaction_id: text(10),
        transaction_id: columns.number(11),
        severity: text(12),
        sqlstate: text(13),
        message: text(14),
        detail: text(15),
        hint: text(16),
        internal_query: text(17),
        internal_query_pos: columns.number(18),
        context: text(19),
        query: text(20),
        query_pos: columns.number(21),
        location: text(22),
        application: text(23),
        backend_type: text(24),
        leader_pid: columns.number(25),
        query_id: columns.number(26),
        ..Row::default()
    }
}
