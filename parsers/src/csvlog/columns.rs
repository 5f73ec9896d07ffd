//! The columns of one csvlog row: split strictly, checked for their shape, unescaped on demand.
//!
//! The server quotes a column always or never, so that quoting is part of a column's shape.

use crate::near;
use crate::quoted;
use crate::scratch::Room;

/// 14 to 18 write 26 columns, 13 wrote 24, 9.0 to 12 wrote 23, 8.4 wrote 22.
pub(super) const COLUMNS_MIN: usize = 22;
pub(super) const COLUMNS_MAX: usize = 26;

/// What may stand in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `2026-11-20 20:28:31.135 UTC`, or without milliseconds.
    Time,
    /// In quotes, or nothing.
    Quoted,
    /// Digits.
    Number,
    /// Digits, perhaps with a sign, or nothing.
    MaybeNumber,
    /// `6b00ad6f.42a5`.
    SessionId,
    /// `3/29`, or nothing.
    TransactionId,
    /// `LOG`, in the server's language.
    Severity,
    /// `28P01`.
    SqlState,
}

impl Shape {
    /// No column without quotes is longer.
    pub(super) const BARE_MAX: usize = 128;

    pub(super) const OF_COLUMN: [Shape; COLUMNS_MAX] = [
        Shape::Time,
        Shape::Quoted,
        Shape::Quoted,
        Shape::Number,
        Shape::Quoted,
        Shape::SessionId,
        Shape::Number,
        Shape::Quoted,
        Shape::Time,
        Shape::TransactionId,
        Shape::Number,
        Shape::Severity,
        Shape::SqlState,
        Shape::Quoted,
        Shape::Quoted,
        Shape::Quoted,
        Shape::Quoted,
        Shape::MaybeNumber,
        Shape::Quoted,
        Shape::Quoted,
        Shape::MaybeNumber,
        Shape::Quoted,
        Shape::Quoted,
        Shape::Quoted,
        Shape::MaybeNumber,
        Shape::MaybeNumber,
    ];

    /// May a column of this shape hold `raw`, which stands without quotes?
    pub(super) fn fits(self, raw: &[u8]) -> bool {
        if raw.is_empty() { self.may_be_empty() } else { self.fits_bare(raw) }
    }

    /// May nothing stand between two commas here?
    fn may_be_empty(self) -> bool {
        matches!(self, Shape::Quoted | Shape::MaybeNumber | Shape::TransactionId)
    }

    fn fits_bare(self, raw: &[u8]) -> bool {
        raw.len() <= Shape::BARE_MAX
            && match self {
                Shape::Time => is_time(raw),
                Shape::Number => is_number(raw),
                Shape::MaybeNumber => is_number(raw.strip_prefix(b"-").unwrap_or(raw)),
                Shape::SessionId => is_session_id(raw),
                Shape::TransactionId => raw.iter().all(|&byte| byte.is_ascii_digit() || matches!(byte, b'/' | b'-')),
                Shape::Severity => raw.iter().all(|&byte| byte > b' ' && !byte.is_ascii_digit()),
                Shape::SqlState => raw.len() == 5 && raw.iter().all(u8::is_ascii_alphanumeric),
                Shape::Quoted => false,
            }
    }
}

/// One column as it stands in the row, without its quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Column<'a> {
    raw: &'a [u8],
    quoted: bool,
    doubled: bool,
}

/// The columns of one row.
pub(super) struct Columns<'a> {
    columns: [Column<'a>; COLUMNS_MAX],
    doubled_len: usize,
}

impl<'a> Columns<'a> {
    /// None.
    pub(super) fn new() -> Self {
        Columns { columns: [Column::default(); COLUMNS_MAX], doubled_len: 0 }
    }

    /// Splits a row, with or without its line end, into columns that were none, or says why it is no row.
    pub(super) fn split(&mut self, row: &'a [u8]) -> Result<(), &'static str> {
        let row = row.strip_suffix(b"\n").map_or(row, |row| row.strip_suffix(b"\r").unwrap_or(row));
        let mut at = 0;
        for (index, slot) in self.columns.iter_mut().enumerate() {
            let shape = Shape::OF_COLUMN[index];
            let (fits, end) = match row.get(at) {
                None | Some(b',') => (shape.may_be_empty(), at),
                Some(b'"') => {
                    let (column, end) = quoted_at(row, at + 1)?;
                    self.doubled_len += if column.doubled { column.raw.len() } else { 0 };
                    *slot = column;
                    (shape == Shape::Quoted, end)
                }
                Some(_) => {
                    let end = near::find(b',', &row[at..]).map_or(row.len(), |len| at + len);
                    slot.raw = &row[at..end];
                    (shape.fits_bare(slot.raw), end)
                }
            };
            if !fits {
                return Err(MISSHAPEN[index]);
            }
            match row.get(end) {
                None if index + 1 < COLUMNS_MIN => return Err("fewer than 22 columns"),
                None => return Ok(()),
                Some(b',') => at = end + 1,
                Some(_) => return Err("a quote stands where none can stand"),
            }
        }
        Err("more than 26 columns")
    }

    /// How many bytes [`Columns::text`] may need for all columns.
    pub(super) fn doubled_len(&self) -> usize {
        self.doubled_len
    }

    /// Column `number`, from 1; `None` when the server wrote nothing or the row has no such column.
    pub(super) fn text(&self, number: usize, room: &mut Room<'a>) -> Option<&'a [u8]> {
        let column = self.columns[number - 1];
        match (column.quoted, column.doubled) {
            (_, true) => Some(quoted::unescape(column.raw, room)),
            (true, false) => Some(column.raw),
            (false, false) => Some(column.raw).filter(|raw| !raw.is_empty()),
        }
    }

    /// Column `number`, from 1, as a number.
    pub(super) fn number(&self, number: usize) -> Option<i64> {
        let raw = self.columns[number - 1].raw;
        let digits = raw.strip_prefix(b"-").unwrap_or(raw);
        if digits.is_empty() {
            return None;
        }
        // Negative throughout: the lowest number has no positive partner.
        let negative = digits.iter().try_fold(0_i64, |number, digit| {
            number.checked_mul(10)?.checked_sub(i64::from(digit.wrapping_sub(b'0')))
        })?;
        if digits.len() < raw.len() { Some(negative) } else { negative.checked_neg() }
    }
}

#[inline]
fn quoted_at(row: &[u8], start: usize) -> Result<(Column<'_>, usize), &'static str> {
    let (len, doubled) = quoted::end(&row[start..]).ok_or("a quote is not closed")?;
    let end = start + len;
    Ok((Column { raw: &row[start..end], quoted: true, doubled }, end + 1))
}

fn is_number(raw: &[u8]) -> bool {
    // 19 digits always fit into 64 bits with a sign, except the last few of them.
    !raw.is_empty() && raw.len() <= 19 && raw.iter().all(u8::is_ascii_digit)
}

fn is_session_id(raw: &[u8]) -> bool {
    let hex = |part: &[u8]| !part.is_empty() && part.iter().all(|byte| IS_HEX[usize::from(*byte)]);
    near::find(b'.', raw).is_some_and(|dot| hex(&raw[..dot]) && hex(&raw[dot + 1..]))
}

const IS_HEX: [bool; 256] = {
    let mut is_hex = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_hex[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    is_hex
};

fn is_time(raw: &[u8]) -> bool {
    raw.len() > 19 && raw.first_chunk().is_some_and(|time| is_like(time, b"0000-00-00 00:00:00"))
}

/// Are the bytes those of the model, in which 0 stands for any digit? Looks at all of them, which is faster than to
/// stop at the first that differs.
pub(super) fn is_like<const LEN: usize>(bytes: &[u8; LEN], model: &[u8; LEN]) -> bool {
    let like = |byte: u8, model: u8| (byte == model) | ((model == b'0') & byte.is_ascii_digit());
    bytes.iter().zip(model).fold(true, |fits, (byte, model)| fits & like(*byte, *model))
}

const MISSHAPEN: [&str; COLUMNS_MAX] = [
    "column 1 is not a time",
    "column 2 (user) is not in quotes",
    "column 3 (database) is not in quotes",
    "column 4 (process) is not a number",
    "column 5 (connection) is not in quotes",
    "column 6 is not a session id",
    "column 7 (session line) is not a number",
    "column 8 (command tag) is not in quotes",
    "column 9 (session start) is not a time",
    "column 10 is not a virtual transaction id",
    "column 11 (transaction) is not a number",
    "column 12 is not a severity",
    "column 13 is not an SQLSTATE",
    "column 14 (message) is not in quotes",
    "column 15 (detail) is not in quotes",
    "column 16 (hint) is not in quotes",
    "column 17 (internal query) is not in quotes",
    "column 18 (internal position) is not a number",
    "column 19 (context) is not in quotes",
    "column 20 (query) is not in quotes",
    "column 21 (position) is not a number",
    "column 22 (location) is not in quotes",
    "column 23 (application) is not in quotes",
    "column 24 (backend type) is not in quotes",
    "column 25 (leader process) is not a number",
    "column 26 (query id) is not a number",
];
