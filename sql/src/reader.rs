//! Tokens to a [`Reading`].
//!
//! [`Reader::read`] goes through a text statement by statement. Each file below reads one family of statements; all stand on
//! [`cursor`], which looks at two tokens and goes on to the next.

mod cursor;

use crate::dialect::Dialect;
use crate::lexer::Kind;
use crate::reading::{Doubts, Reading, Statement};
use crate::span::Span;

use cursor::Cursor;

/// Statements of one text that are read; what follows is counted. A dump that is sent as one string has thousands, and a row of an
/// audit log names one action.
pub const STATEMENTS_MAX: usize = 64;

/// How deep queries and parenthesised joins may nest before what is inside is passed over. It bounds the call stack: a level takes
/// a few hundred bytes of it. People write four levels, generators thirty.
pub const DEPTH_MAX: u16 = 100;

/// Findings of one kind in one reading. Also bounds the comparisons by which a relation that is named twice is listed once.
pub const FINDINGS_MAX: usize = 256;

/// Reads `text`; for many texts keep a [`Reader`].
pub fn read(dialect: Dialect, text: &[u8]) -> Reading {
    let mut reading = Reading::new();
    Reader::new().read(dialect, text, &mut reading);
    reading
}

/// Reads texts, one after the other, and keeps its working memory between them.
#[derive(Debug, Default)]
pub struct Reader {
    room: Room,
}

/// Working memory.
#[derive(Debug, Default)]
struct Room {
    /// Names of common table expressions in scope, innermost last.
    ctes: Vec<Span>,
}

impl Reader {
    /// With no memory taken yet.
    pub fn new() -> Self {
        Reader::default()
    }

    /// Reads `text` into `reading`, which is emptied first.
    pub fn read(&mut self, dialect: Dialect, text: &[u8], reading: &mut Reading) {
        reading.clear();
        self.room.ctes.clear();
        let mut cursor = Cursor::new(dialect, text);
        while cursor.now.kind != Kind::End {
            let mut statement = Statement { span: cursor.now.span, ..Statement::default() };
            statement.action = cursor.now.word.name();
            while !cursor.at_end() {
                statement.span = statement.span.to(cursor.now.span);
                cursor.bump();
            }
            if cursor.broken {
                statement.doubts.set(Doubts::CUT);
            }
            cursor.bump();
            reading.statements.push(statement);
        }
    }
}
