//! Where the reader stands in the tokens.

use crate::dialect::Dialect;
use crate::lexer::{Kind, Token, Tokens};
use crate::span::Span;
use crate::words::Word;

/// Two tokens of the text and the rest of it. Past the end every token is [`Kind::End`].
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub text: &'a [u8],
    /// The token that is looked at.
    pub now: Token,
    /// The one after it.
    pub next: Token,
    /// The one before it.
    pub last: Token,
    /// The word of the one before that.
    pub before_last: Word,
    /// A token was never closed.
    pub broken: bool,
    rest: Tokens<'a>,
}

impl<'a> Cursor<'a> {
    pub fn new(dialect: Dialect, text: &'a [u8]) -> Self {
        let rest = Tokens::new(dialect, text);
        let mut cursor =
            Cursor { text, now: NOTHING, next: NOTHING, last: NOTHING, before_last: Word::Other, broken: false, rest };
        cursor.bump();
        cursor.bump();
        cursor.last = NOTHING;
        cursor
    }

    /// Goes to the next token; at the end it stays.
    #[inline]
    pub fn bump(&mut self) {
        if self.now.kind != Kind::End {
            self.before_last = self.last.word;
            self.last = self.now;
        }
        self.now = self.next;
        self.next = match self.rest.next_code() {
            Some(token) => {
                self.broken |= token.open;
                token
            }
            None => NOTHING,
        };
    }

    /// The token after the next. It is read twice then: ask where it decides something, not for every token.
    pub fn after_next(&self) -> Token {
        self.rest.clone().next_code().unwrap_or(NOTHING)
    }

    /// Whether the statement ends here.
    #[inline]
    pub fn at_end(&self) -> bool {
        matches!(self.now.kind, Kind::Semicolon | Kind::End)
    }

    /// Whether the text ended inside a comment, versioned or not.
    pub fn ends_inside_comment(&self) -> bool {
        self.rest.ends_inside_versioned() || self.rest.ends_inside_comment()
    }
}

const NOTHING: Token = Token { kind: Kind::End, open: false, word: Word::Other, span: Span::NONE };
