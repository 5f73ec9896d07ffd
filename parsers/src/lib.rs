//! Native database audit logs, bytes to records.
//!
//! A format is two total functions. *Framing* ([`Framer::next`]) finds where a record ends; *parsing* ([`parse`])
//! says what a record holds. Neither does I/O, neither fails, neither panics, whatever the bytes: what cannot be
//! understood is still handed out, with the reason beside it.
//!
//! Everything borrows from the frame or from a [`Scratch`] that the caller keeps between rows: a row costs no
//! allocation.

pub mod csvlog;
pub mod cut;
pub mod detect;
pub mod format;
pub mod frame;
pub mod jsonlog;
pub mod pgaudit;
mod postgres;
mod quoted;
pub mod record;
pub mod scratch;

pub use cut::Cut;
pub use detect::{Detection, detect};
pub use format::Format;
pub use frame::{Frame, Framer};
pub use record::{Act, Client, Parameters, Parsed, Record, Session, Statement, Status, Value};
pub use scratch::Scratch;

/// Says what one whole frame of `format` holds.
///
/// `frame` is what [`Framer::next`] called a record, terminator included or not.
pub fn parse<'a>(format: Format, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match format {
        Format::PostgresCsvlog => csvlog::parse(frame, scratch),
        Format::PostgresJsonlog => jsonlog::parse(frame, scratch),
    }
}

/// Where in `bytes` a true record starts behind the first byte: what stands before it belongs to another. Inside a whole record none
/// is found, whatever its texts hold.
pub fn next_record(format: Format, bytes: &[u8]) -> Option<usize> {
    match format {
        Format::PostgresCsvlog => csvlog::next_record(bytes),
        Format::PostgresJsonlog => jsonlog::next_record(bytes),
    }
}
