//! What a row says, before the agent gives it meaning.
//!
//! One shape for every engine. All text is bytes as the server wrote them, unescaped but not decoded: invalid UTF-8
//! passes through. `None` means that the engine gave none; an empty string means that it gave an empty one.
//! Nothing that a row holds is left out: what has no field of its own stands in [`Record::extra`] under the
//! engine's own name.

use std::borrow::Cow;

use arrayvec::ArrayVec;

use crate::extra::Extra;
use crate::pgaudit;

/// The outcome of parsing one frame.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack for one row; a box would be an allocation a row")]
pub enum Parsed<'a> {
    /// The frame is a row of its format.
    Record(Record<'a>),
    /// It is not. The caller keeps the bytes.
    Unparsed {
        /// Why, for a person: a lower-case fragment.
        reason: &'static str,
        /// Where in the frame a true record starts, if one does: the bytes before it are damaged, and framing
        /// goes on from there. Always greater than 0 and less than the frame's length.
        retry_at: Option<usize>,
    },
    /// It is of the file's own syntax and holds no row: a header, a closing bracket, a blank line.
    Nothing {
        /// What it is, for a person: a lower-case fragment.
        what: &'static str,
    },
    /// It is a part of a row that others of its kind belong to: see [`crate::assemble`].
    Piece(Piece<'a>),
    /// It holds several rows: see [`crate::each`].
    Several,
}

/// Where a row of several frames stands: see [`crate::each_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// In which of the frames it begins, from 0.
    pub first: usize,
    /// In which it ends.
    pub last: usize,
    /// Which of the rows of the first frame it is, from 0: the same whether the frames before were there or not.
    pub part: u32,
}

/// Which row a frame is a part of.
///
/// A row is over when its last piece is there, or another row of its writer begins: a piece of another `row`, or a first one behind pieces
/// that are none but the first or have no numbers. Pieces of several writers may stand in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Who writes: a process, a connection. One writes one row at a time.
    pub writer: &'a [u8],
    /// Which of the writer's rows.
    pub row: u64,
    /// Its number in the row, from 1; 0 where pieces have none.
    pub number: u32,
    /// Whether it is the row's last; `None` where that is not known.
    pub is_last: Option<bool>,
}

/// One row of a database's log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record<'a> {
    /// When it happened, as written, with the zone as written: `2026-11-20 20:28:31.135 UTC`.
    pub time: &'a [u8],
    /// What kind of row it is.
    pub act: Act,
    /// The account as the server reported it.
    pub user: Option<&'a [u8]>,
    /// Who it is and in which database stands in earlier rows of the session alone, and whoever reads them all carries it on: see `carried`.
    pub follows: bool,
    /// The user is not this row's own: an earlier row of the session told.
    pub carried: bool,
    /// The same for the database.
    pub database_carried: bool,
    /// The session's current database.
    pub database: Option<&'a [u8]>,
    /// Where the session comes from.
    pub client: Client<'a>,
    /// Which session.
    pub session: Session<'a>,
    /// The engine's own word for what was done: pgAudit's COMMAND, the command tag of a failed statement.
    pub command: Option<&'a [u8]>,
    /// The engine's own name of the object, as the engine qualified and quoted it.
    pub object: Option<&'a [u8]>,
    /// The engine's own word for the kind of object: `TABLE`.
    pub object_type: Option<&'a [u8]>,
    /// The database that `object` is in, where it is another than the session's.
    pub object_database: Option<&'a [u8]>,
    /// All objects, where the engine names several; `object` is then the first. Empty, and costs nothing, on most rows.
    pub objects: Vec<Object<'a>>,
    /// Did it succeed, as far as this row alone can say.
    pub status: Status,
    /// The engine's code of the failure: an SQLSTATE, an errno.
    pub error_code: Option<&'a [u8]>,
    /// The engine's words for the failure.
    pub error_message: Option<&'a [u8]>,
    /// The statement, where the row has one.
    pub statement: Option<Statement<'a>>,
    /// Everything else that the row holds, under the engine's own names, in the engine's order.
    pub extra: Extra<'a>,
    /// Oddities, each a word that `docs/record.md` explains: `forgeable`, `incomplete`, `truncated`.
    pub flags: ArrayVec<&'static str, FLAGS_MAX>,
}

/// The most flags that a parser sets on one row.
pub const FLAGS_MAX: usize = 4;

/// One of several objects that a statement touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Object<'a> {
    /// The database it is in.
    pub database: Option<&'a [u8]>,
    /// As the engine wrote it.
    pub name: &'a [u8],
    /// The engine's own word for its kind.
    pub kind: Option<&'a [u8]>,
    /// The engine's own word for what was done to it: `READ`, `WRITE`.
    pub access: Option<&'a [u8]>,
}

/// What kind of row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Act {
    /// A statement that the engine audited.
    Statement,
    /// A statement that failed, told of by an error row.
    FailedStatement,
    /// A statement that the server's statement log tells of (`log_statement`, `log_min_duration_statement`).
    LoggedStatement,
    /// A connection reached the server; nobody is known yet.
    ConnectionReceived,
    /// Credentials were accepted; the session may still be refused.
    Authenticated,
    /// A session began.
    Login,
    /// A session was refused.
    LoginFailed,
    /// A session ended.
    Logout,
    /// A table or another object was touched; the statement is told of elsewhere.
    TableAccess,
    /// Somebody was given access for a time, asked for it, or was refused: a row of a workflow tool.
    AccessDecision,
    /// The server's own words: start, stop, checkpoint, warnings.
    #[default]
    Message,
}

/// Did it succeed, as far as one row can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// The row was written after it succeeded.
    Success,
    /// The row tells of a failure.
    Failure,
    /// The row was written before the end, or does not say.
    #[default]
    Unknown,
}

/// Where a session comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// IP address, resolved name, or `[local]`.
    pub address: Option<&'a [u8]>,
    /// TCP port.
    pub port: Option<u16>,
    /// Application name; `None` when unset or empty.
    pub application: Option<&'a [u8]>,
}

/// Which session a row belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Session<'a> {
    /// The engine's id of the session.
    pub id: Option<&'a [u8]>,
    /// The row's number within the session, from 1.
    pub line: Option<u64>,
    /// The server process.
    pub pid: Option<u64>,
    /// When the session began, as written.
    pub start: Option<&'a [u8]>,
}

/// A statement and what the engine said about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The text; `None` when the engine held it back, and then `withheld` has its word for that.
    pub text: Option<&'a [u8]>,
    /// The engine's literal stand-in for a text that it did not write: `<not logged>`.
    pub withheld: Option<&'a [u8]>,
    /// The engine's class: `READ`, `DDL`.
    pub class: Option<&'a [u8]>,
    /// pgAudit's statement id within the session.
    pub id: Option<u64>,
    /// pgAudit's substatement id within the statement.
    pub substatement_id: Option<u64>,
    /// Bound parameters.
    pub parameters: Parameters<'a>,
    /// Rows retrieved or affected.
    pub rows: Option<u64>,
}

/// Bound parameters of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parameters<'a> {
    /// The row has no place for parameters, or the statement had none.
    #[default]
    None,
    /// One CSV line (RFC 4180 quoting), still quoted: see [`Parameters::iter`].
    Csv(&'a [u8]),
    /// The engine's literal stand-in: `<not logged>`.
    Withheld(&'a [u8]),
}

impl<'a> Parameters<'a> {
    /// The parameters one by one, unquoted. Nothing for a list that is absent or withheld.
    ///
    /// pgAudit writes NULL and the empty string alike: as nothing.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a> {
        let line = match *self {
            Parameters::Csv(line) => Some(line),
            Parameters::None | Parameters::Withheld(_) => None,
        };
        pgaudit::fields(line)
    }
}

/// A column without a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text as the server wrote it, unescaped.
    Text(&'a [u8]),
    /// A number.
    Int(i64),
}
