//! Rows of one format that another carries: in a container runtime's lines, in a cloud's envelopes.
//!
//! The inside is parsed as it is anywhere else. What the carrier says of a row besides is added to the row's own `extra`, and its time
//! is the row's where the row has none.

use std::sync::Arc;

use crate::postgres_prefix::Prefix;
use crate::record::{Act, Record, Value};
use crate::{Dialect, Format, Framer, Parsed, Scratch, assemble, each, parse};

/// Says what a text holds that is one frame of another format, and never that it is a piece: no other is coming. Where nobody said what
/// stands inside, it is a message.
pub(crate) fn row<'a>(inside: Option<&Dialect>, text: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let Some(inside) = inside else { return Parsed::Record(message(text)) };
    let (scratch, of_pieces) = scratch.two();
    match parse(inside, text, scratch) {
        Parsed::Piece(_) => assemble(inside, &[text], false, of_pieces),
        parsed => parsed,
    }
}

/// Words of a program, whatever they mean.
pub(crate) fn message(text: &[u8]) -> Record<'_> {
    let mut record = Record { act: Act::Message, ..Record::default() };
    record.extra.push(("message", Value::Text(text)));
    record
}

/// Adds what the carrier says of a row: as many names as there is place for.
pub(crate) fn add<'a>(record: &mut Record<'a>, name: &'static str, value: Option<&'a [u8]>) {
    if let Some(value) = value {
        let _ = record.extra.try_push((name, Value::Text(value)));
    }
}

/// Whether the text is a part of a row.
pub(crate) fn is_piece(inside: &Dialect, text: &[u8], scratch: &mut Scratch) -> bool {
    matches!(parse(inside, text, scratch), Parsed::Piece(_))
}

/// Whether rows of the format may be in pieces: of many it is known that they never are, and need not be looked at for it.
pub(crate) fn may_be_pieces(format: Format) -> bool {
    use Format::{Cloudnativepg, MysqlGeneral, PostgresCsvlog, PostgresJsonlog, PostgresStderr};
    !matches!(format, PostgresCsvlog | PostgresJsonlog | PostgresStderr | MysqlGeneral | Cloudnativepg)
}

/// Whether a row begins at this line; `None` in formats whose rows are lines.
pub(crate) fn starts(inside: &Dialect, line: &[u8]) -> Option<bool> {
    match Framer::new(inside) {
        Framer::Blocks(framer) => Some(framer.is_start(line)),
        _ => None,
    }
}

/// Hands out the row, or the rows, that a text is.
pub(crate) fn each_row(inside: Option<&Dialect>, text: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let Some(inside) = inside else { return row(Parsed::Record(message(text))) };
    let parsed = parse(inside, text, scratch);
    match &parsed {
        Parsed::Several => {
            drop(parsed);
            each(inside, text, scratch, row);
        }
        Parsed::Piece(_) => {
            drop(parsed);
            row(assemble(inside, &[text], false, scratch));
        }
        _ => row(parsed),
    }
}

/// Lines of PostgreSQL with this prefix; `None`: with any that is known.
pub(crate) fn postgres_stderr(prefix: Option<&str>) -> Dialect {
    let prefix = prefix.and_then(|prefix| Prefix::compile(prefix).ok()).map(Arc::new);
    Dialect { prefix, ..Format::PostgresStderr.into() }
}
