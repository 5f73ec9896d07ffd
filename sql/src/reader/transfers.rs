//! Data that leaves or enters as a whole: COPY, `INTO OUTFILE`, `LOAD DATA`, UNLOAD, and functions that read or write files.

use super::Read;
use super::expression::AT_COMMA;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Direction, Doubts, Means, Part, Transfer};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    /// `COPY t [(columns)] {FROM | TO} …`, `COPY (query) TO …`. The action is noted last: it needs the direction.
    pub(super) fn copy(&mut self) {
        self.bump();
        self.eat(Word::BINARY);
        let table = self.copied();
        let (direction, action) = match self.word() {
            Word::TO => (Direction::Out, "COPY TO"),
            Word::FROM => (Direction::In, "COPY FROM"),
            _ => {
                self.doubt(if self.at_end() { Doubts::CUT } else { Doubts::UNSURE });
                return self.action("COPY");
            }
        };
        self.bump();
        self.statement.inner = if table.is_none() { self.statement.action } else { "" };
        self.statement.action = action;
        if let Some(name) = table {
            self.relation(name, if direction == Direction::Out { Access::Read } else { Access::Insert });
        }
        let means = match self.word() {
            Word::PROGRAM => {
                self.bump();
                Means::Program
            }
            Word::STDIN | Word::STDOUT => Means::Client,
            _ => Means::File,
        };
        let target = if means == Means::Client { Span::NONE } else { self.string() };
        self.transfer(Transfer { direction, means, target });
    }

    /// The table, or `None` after a query.
    fn copied(&mut self) -> Option<Name> {
        if self.kind() == Kind::Open {
            self.nested(Self::plannable);
            return None;
        }
        let name = self.name();
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        name
    }

    /// A literal, if one stands here; goes past it.
    pub(super) fn string(&mut self) -> Span {
        let is_literal = matches!(self.kind(), Kind::String | Kind::DollarString);
        if !is_literal {
            return Span::NONE;
        }
        let span = self.here();
        self.bump();
        span
    }

    /// MySQL: `INTO OUTFILE 'x'`, at OUTFILE.
    pub(super) fn outfile(&mut self) {
        self.bump();
        let target = self.string();
        self.transfer(Transfer { direction: Direction::Out, means: Means::File, target });
    }

    /// `LOAD DATA [LOCAL] INFILE 'x' INTO TABLE t`, `LOAD XML …`; PostgreSQL's `LOAD 'library'`.
    pub(super) fn load(&mut self) {
        self.bump();
        let action = match self.word() {
            Word::DATA => "LOAD DATA",
            Word::XML => "LOAD XML",
            Word::INDEX => "LOAD INDEX",
            _ => return self.action("LOAD"),
        };
        self.action(action);
        let mut means = Means::File;
        while !self.at_end() && self.word() != Word::INTO {
            if self.eat(Word::LOCAL) {
                means = Means::Client;
            } else if self.eat(Word::INFILE) {
                let target = self.string();
                self.transfer(Transfer { direction: Direction::In, means, target });
            } else {
                self.bump();
            }
        }
        if self.eat_two(Word::INTO, Word::TABLE)
            && let Some(name) = self.name()
        {
            self.relation(name, Access::Insert);
        }
    }

    /// Redshift: `UNLOAD ('query') TO 's3://…'`.
    pub(super) fn unload(&mut self) {
        self.action("UNLOAD");
        self.bump();
        if self.kind() == Kind::Open {
            if matches!(self.at.next().kind, Kind::String | Kind::DollarString) {
                self.doubt(Doubts::OPAQUE);
            }
            self.nested(|read| {
                if read.at_plannable() {
                    read.plannable();
                }
            });
        }
        if self.eat(Word::TO) {
            let target = self.string();
            self.transfer(Transfer { direction: Direction::Out, means: Means::Remote, target });
        }
    }

    /// Inside the parentheses of a function that reads or writes a file of the server's host.
    pub(super) fn file_function(&mut self, function: Word) {
        let direction = if function == Word::LO_EXPORT {
            self.expression(AT_COMMA);
            self.eat_kind(Kind::Comma);
            Direction::Out
        } else {
            Direction::In
        };
        let wrong_engine = (function == Word::LOAD_FILE) != self.is(Engine::Mysql);
        if !wrong_engine {
            let target = self.string();
            self.transfer(Transfer { direction, means: Means::File, target });
        }
    }

    /// `SERVER s` somewhere before the end: the server is only mentioned.
    pub(super) fn mentioned_server(&mut self) {
        if self.eat(Word::SERVER)
            && let Some(name) = self.name()
        {
            self.object("SERVER", name, Part::Mentioned);
        }
    }
}
