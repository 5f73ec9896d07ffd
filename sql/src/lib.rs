//! What a SQL statement does, as far as its text says so: bytes in, spans out.
//!
//! Two layers. [`Tokens`] cuts any bytes into tokens by the quoting rules of a [`Dialect`]. [`Reader`] reads tokens into a
//! [`Reading`]: for each statement of a text its action, the relations that it reads and writes, the objects of DDL, who gets
//! which privilege, a role's attributes, settings, and data that leaves or enters. It is no full grammar and checks nothing: it
//! finds what an audit asks for and passes over the rest.
//!
//! Neither does I/O, neither fails, neither panics, whatever the bytes. Both are linear in the length of the text. Wrong is worse
//! than missing: where the reader is not sure that a name is a relation, the name is left out and [`Doubts`] says so.
//!
//! ```
//! use sealtrail_sql::{Access, Dialect, read};
//!
//! let text = b"WITH x AS (SELECT * FROM a) INSERT INTO s.b SELECT * FROM x";
//! let reading = read(Dialect::POSTGRES, text);
//! let statement = &reading.statements[0];
//! assert_eq!(statement.action, "INSERT");
//! let relations: Vec<_> = reading.relations(statement).iter().map(|one| (one.access, one.name.span().of(text))).collect();
//! assert_eq!(relations, [(Access::Read, &b"a"[..]), (Access::Insert, &b"s.b"[..])]);
//! ```

#![forbid(unsafe_code)]

pub mod dialect;
pub mod lexer;
pub mod name;
pub mod reader;
pub mod reading;
pub mod span;
pub mod words;

pub use dialect::{Dialect, Engine};
pub use lexer::{Kind, Token, Tokens};
pub use name::Name;
pub use reader::{Reader, read};
pub use reading::{
    Access, Attribute, Direction, Doubts, Means, Object, Options, Part, Principal, Privilege, Reading, Relation, Scope,
    Setting, Statement, Transfer, Value, Who,
};
pub use span::Span;
pub use words::Word;
