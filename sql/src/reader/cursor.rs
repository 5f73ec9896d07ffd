//! Where the reader stands in the tokens.

use crate::dialect::Dialect;
use crate::lexer::{Kind, Token, Tokens};
use crate::span::Span;
use crate::words::Word;

/// Two tokens of the text and the rest of it. Past the end every token is [`Kind::End`].
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    /// The token that is looked at.
    pub now: Token,
    /// The one after it.
    pub next: Token,
    /// The one before it.
    pub last: Token,
    /// A token was never closed.
    pub broken: bool,
    rest: Tokens<'a>,
}

impl<'a> Cursor<'a> {
    pub fn new(dialect: Dialect, text: &'a [u8]) -> Self {
        let rest = Tokens::new(dialect, text);
        let mut cursor = Cursor { now: NOTHING, next: NOTHING, last: NOTHING, broken: false, rest };
        cursor.bump();
        cursor.bump();
        cursor.last = NOTHING;
        cursor
    }

    /// Goes to the next token.
    #[inline]
    pub fn bump(&mut self) {
        self.last = self.now;
        self.now = self.next;
        self.next = self.rest.next_code().unwrap_or(NOTHING);
        self.broken |= self.now.open;
    }

    /// Whether the statement ends here.
    #[inline]
    pub fn at_end(&self) -> bool {
        matches!(self.now.kind, Kind::Semicolon | Kind::End)
    }
}

const NOTHING: Token = Token { kind: Kind::End, open: false, word: Word::Other, span: Span::NONE };
