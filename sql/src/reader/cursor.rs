//! Where the reader stands in the tokens.

use crate::dialect::Dialect;
use crate::lexer::{Kind, Token, Tokens};
use crate::span::Span;
use crate::words::Word;

/// A window on four tokens of the text, and the rest of it. Past the end every token is [`Kind::End`].
///
/// The tokens stay where they are and the window moves over them: to move them instead costs more than to find them.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub text: &'a [u8],
    /// A token was never closed.
    pub broken: bool,
    window: [Token; 4],
    /// Where in the window we stand, modulo its length.
    at: usize,
    rest: Tokens<'a>,
}

impl<'a> Cursor<'a> {
    pub fn new(dialect: Dialect, text: &'a [u8]) -> Self {
        let rest = Tokens::new(dialect, text);
        let mut cursor = Cursor { text, broken: false, window: [NOTHING; 4], at: 0, rest };
        cursor.fill(0);
        cursor.fill(1);
        cursor
    }

    /// The lexer is compiled into this function, so that a token is written into the window and nowhere else.
    #[inline(never)]
    fn fill(&mut self, place: usize) {
        let place = &mut self.window[place % 4];
        match self.rest.next_code() {
            Some(Token { kind, open, word, span }) => {
                self.broken |= open;
                place.kind = kind;
                place.open = open;
                place.word = word;
                place.span = span;
            }
            None => *place = NOTHING,
        }
    }

    /// Goes to the next token; at the end it stays.
    #[inline]
    pub fn bump(&mut self) {
        if self.now().kind != Kind::End {
            self.at += 1;
            self.fill(self.at + 1);
        }
    }

    /// The token that is looked at.
    #[inline]
    pub fn now(&self) -> Token {
        self.window[self.at % 4]
    }

    /// The one after it.
    #[inline]
    pub fn next(&self) -> Token {
        self.window[(self.at + 1) % 4]
    }

    /// The one before it.
    #[inline]
    pub fn last(&self) -> Token {
        self.window[(self.at + 3) % 4]
    }

    /// The one before that.
    #[inline]
    pub fn before_last(&self) -> Token {
        self.window[(self.at + 2) % 4]
    }

    /// The token after the next. It is read twice then: ask where it decides something, not for every token.
    pub fn after_next(&self) -> Token {
        self.rest.clone().next_code().unwrap_or(NOTHING)
    }

    /// Whether the statement ends here.
    #[inline]
    pub fn at_end(&self) -> bool {
        matches!(self.now().kind, Kind::Semicolon | Kind::End)
    }

    /// Whether the text ended inside a comment, versioned or not.
    pub fn ends_inside_comment(&self) -> bool {
        self.rest.ends_inside_versioned() || self.rest.ends_inside_comment()
    }
}

const NOTHING: Token = Token { kind: Kind::End, open: false, word: Word::Other, span: Span::NONE };
