//! Tokens to a [`Reading`].
//!
//! [`Reader::read`] goes through a text statement by statement. Each file below reads one family of statements; all stand on
//! `cursor.rs`, which looks at two tokens and goes on to the next. Nobody goes back, so that the time is linear.
//!
//! What is not understood is passed over up to the end of the statement, subqueries in it included.

mod change;
mod create;
mod cursor;
mod expression;
mod grants;
mod kinds;
mod names;
mod query;
mod roles;
mod rows;
mod session;
mod settings;
mod statements;
mod transfers;
mod upkeep;

use crate::dialect::{Dialect, Engine};
use crate::lexer::{Kind, Token};
use crate::name::{self, Name};
use crate::reading::{
    Access, Attribute, Doubts, Object, Options, Part, Principal, Privilege, Reading, Relation, Setting, Statement,
    Stretch, Transfer, Value, Who,
};
use crate::span::Span;
use crate::words::Word;

use cursor::Cursor;

/// Statements of one text that are read; what follows is counted. A dump that is sent as one string has thousands, and a row of an
/// audit log names one action.
pub const STATEMENTS_MAX: usize = 64;

/// How deep queries and parenthesised joins may nest before what is inside is passed over. It bounds the call stack: a level takes
/// a few hundred bytes of it. People write four levels, generators thirty.
pub const DEPTH_MAX: u16 = 100;

/// Findings of one kind in one reading. Also bounds the comparisons by which a relation that is named twice is listed once.
pub const FINDINGS_MAX: usize = 256;

/// Names of common table expressions in scope. Where there are more, names without a schema are no longer taken for relations.
pub const CTES_MAX: usize = 128;

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
    /// What the tables of the statement at hand are called in it: alias or last part of the name, and the relation's place.
    aliases: Vec<(Span, u16)>,
}

impl Reader {
    /// With no memory taken yet.
    pub fn new() -> Self {
        Reader::default()
    }

    /// Reads `text` into `reading`, which is emptied first.
    pub fn read(&mut self, dialect: Dialect, text: &[u8], reading: &mut Reading) {
        self.read_text(dialect, text, false, reading);
    }

    /// Reads a text that is known to be cut: a name that its end touches may be half a name and is left out.
    pub fn read_cut(&mut self, dialect: Dialect, text: &[u8], reading: &mut Reading) {
        self.read_text(dialect, text, true, reading);
    }

    fn read_text(&mut self, dialect: Dialect, text: &[u8], cut: bool, reading: &mut Reading) {
        reading.clear();
        let at = Cursor::new(dialect, text);
        let mut read = Read {
            at,
            dialect,
            out: reading,
            room: &mut self.room,
            statement: Statement::default(),
            runs: true,
            depth: 0,
            inserts_into: Name::NONE,
            narrowed: false,
            cut_at: if cut { text.len() as u32 } else { u32::MAX },
        };
        read.all();
    }
}

/// The reading at work.
struct Read<'a, 'r> {
    at: Cursor<'a>,
    dialect: Dialect,
    out: &'r mut Reading,
    room: &'r mut Room,
    /// The statement at hand.
    statement: Statement,
    /// Whether relations that are found now are touched when the statement runs.
    runs: bool,
    /// Of queries and parentheses that are entered by calling.
    depth: u16,
    /// Where the INSERT at hand adds rows: its `ON CONFLICT DO UPDATE` changes some.
    inserts_into: Name,
    /// The query at hand has a condition, a limit, parentheses or the like.
    narrowed: bool,
    /// What ends here is half a name.
    cut_at: u32,
}

impl Read<'_, '_> {
    fn all(&mut self) {
        loop {
            while self.separator() {}
            if self.kind() == Kind::End {
                return;
            }
            if self.out.statements.len() == STATEMENTS_MAX {
                return self.count_the_rest();
            }
            self.one();
        }
    }

    /// Goes past what stands between statements: `;`, and in T-SQL the words of blocks and `GO`.
    fn separator(&mut self) -> bool {
        use Word::*;
        let block = match self.word() {
            BEGIN => !self.next_word().is_in(&[TRAN, TRANSACTION, DISTRIBUTED]),
            END | ELSE | GO => true,
            TRY | CATCH => self.at.last().word.is_in(&[BEGIN, END]),
            _ => false,
        };
        let found = self.kind() == Kind::Semicolon || (block && self.is(Engine::Tsql));
        if found {
            self.bump();
        }
        found
    }

    fn one(&mut self) {
        self.room.ctes.clear();
        self.room.aliases.clear();
        (self.runs, self.depth, self.inserts_into) = (true, 0, Name::NONE);
        let start = self.now().span;
        self.statement = Statement::default();
        self.open_stretches();
        self.read_statement();
        if !self.at_boundary() {
            self.skip_to_end();
        }
        if self.is_made_without_rows() {
            self.nothing_runs();
        }
        self.close_stretches();
        self.statement.span = start.to(self.at.last().span);
        if self.is_cut() {
            self.doubt(Doubts::CUT);
        }
        self.out.statements.push(std::mem::take(&mut self.statement));
    }

    /// What was found to be read is only named.
    fn nothing_runs(&mut self) {
        let from = usize::from(self.statement.relations.from);
        for relation in self.out.relations[from..].iter_mut().filter(|relation| relation.access == Access::Read) {
            relation.runs = false;
        }
    }

    /// Whether we stand where the text was cut.
    fn is_cut(&self) -> bool {
        self.kind() == Kind::End && (self.at.broken || self.at.ends_inside_comment() || self.cut_at != u32::MAX)
    }

    fn count_the_rest(&mut self) {
        while self.kind() != Kind::End {
            self.out.unread += 1;
            while !self.at_end() {
                self.bump();
            }
            while self.kind() == Kind::Semicolon {
                self.bump();
            }
        }
    }

    fn open_stretches(&mut self) {
        let from = |len: usize| Stretch { from: len as u16, to: len as u16 };
        self.statement.relations = from(self.out.relations.len());
        self.statement.objects = from(self.out.objects.len());
        self.statement.principals = from(self.out.principals.len());
        self.statement.privileges = from(self.out.privileges.len());
        self.statement.attributes = from(self.out.attributes.len());
        self.statement.settings = from(self.out.settings.len());
        self.statement.transfers = from(self.out.transfers.len());
    }

    fn close_stretches(&mut self) {
        self.statement.relations.to = self.out.relations.len() as u16;
        self.statement.objects.to = self.out.objects.len() as u16;
        self.statement.principals.to = self.out.principals.len() as u16;
        self.statement.privileges.to = self.out.privileges.len() as u16;
        self.statement.attributes.to = self.out.attributes.len() as u16;
        self.statement.settings.to = self.out.settings.len() as u16;
        self.statement.transfers.to = self.out.transfers.len() as u16;
    }
}

/// Looking at tokens and going on.
impl Read<'_, '_> {
    #[inline]
    fn now(&self) -> Token {
        self.at.now()
    }

    /// Where the token at hand stands; nowhere at the end of the statement, whose semicolon is no part of it.
    fn here(&self) -> Span {
        if self.at_end() { Span::NONE } else { self.now().span }
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.at.now().kind
    }

    #[inline]
    fn word(&self) -> Word {
        self.at.now().word
    }

    #[inline]
    fn next_word(&self) -> Word {
        self.at.next().word
    }

    #[inline]
    fn bump(&mut self) {
        self.at.bump();
    }

    #[inline]
    fn at_end(&self) -> bool {
        self.at.at_end()
    }

    fn is(&self, engine: Engine) -> bool {
        self.dialect.engine == engine
    }

    fn eat(&mut self, word: Word) -> bool {
        let found = self.word() == word;
        if found {
            self.bump();
        }
        found
    }

    /// Two words, both or neither.
    fn eat_two(&mut self, first: Word, second: Word) -> bool {
        let found = self.word() == first && self.next_word() == second;
        if found {
            self.bump();
            self.bump();
        }
        found
    }

    /// Any number of these words, in any order.
    fn eat_all(&mut self, words: &[Word]) {
        while self.word().is_in(words) {
            self.bump();
        }
    }

    fn eat_kind(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.bump();
        }
        found
    }

    fn if_exists(&mut self) {
        if self.word() != Word::IF {
            return;
        }
        if self.eat_two(Word::IF, Word::EXISTS) {
            self.option(Options::IF_EXISTS);
        } else if self.next_word() == Word::NOT {
            self.bump();
            self.bump();
            self.eat(Word::EXISTS);
            self.option(Options::IF_NOT_EXISTS);
        }
    }
}

/// Writing down.
impl Read<'_, '_> {
    fn option(&mut self, option: Options) {
        self.statement.options.set(option);
    }

    fn doubt(&mut self, doubt: Doubts) {
        self.statement.doubts.set(doubt);
    }

    /// The first action stands: that of the outermost statement. Inner ones are told as such.
    fn action(&mut self, action: &'static str) {
        if self.statement.action.is_empty() {
            self.statement.action = action;
        } else if self.statement.inner.is_empty() {
            self.statement.inner = action;
        }
    }

    fn is_full(&mut self, len: usize) -> bool {
        let full = len >= FINDINGS_MAX;
        if full {
            self.doubt(Doubts::TOO_MANY);
        }
        full
    }

    fn is_half(&self, name: Name) -> bool {
        name.object.end >= self.cut_at
    }

    /// Notes a relation, once for each access.
    fn relation(&mut self, name: Name, access: Access) {
        if name.is_empty() || self.is_half(name) {
            return;
        }
        let from = usize::from(self.statement.relations.from);
        let (text, dialect, runs) = (self.at.text, self.dialect, self.runs);
        let is_known = |one: &&mut Relation| one.access == access && same_name(dialect, text, one.name, name);
        if let Some(known) = self.out.relations[from..].iter_mut().find(is_known) {
            known.runs |= runs;
        } else if !self.is_full(self.out.relations.len()) {
            self.out.relations.push(Relation { name, access, runs });
        }
    }

    fn object(&mut self, kind: &'static str, name: Name, part: Part) {
        if !self.is_full(self.out.objects.len()) && !self.is_half(name) {
            self.out.objects.push(Object { kind, name, part });
        }
    }

    fn principal(&mut self, name: Span, host: Span, who: Who) {
        if !name.is_empty() && name.end.max(host.end) < self.cut_at && !self.is_full(self.out.principals.len()) {
            self.out.principals.push(Principal { name, host, who });
        }
    }

    fn privilege(&mut self, name: Span, columns: Span) {
        if !name.is_empty() && !self.is_full(self.out.privileges.len()) {
            self.out.privileges.push(Privilege { name, columns });
        }
    }

    fn attribute(&mut self, name: &'static str, value: Value) {
        if !self.is_full(self.out.attributes.len()) {
            self.out.attributes.push(Attribute { name, value });
        }
    }

    fn setting(&mut self, setting: Setting) {
        if !self.is_full(self.out.settings.len()) {
            self.out.settings.push(setting);
        }
    }

    fn transfer(&mut self, transfer: Transfer) {
        if !self.is_full(self.out.transfers.len()) {
            self.out.transfers.push(transfer);
        }
    }
}

fn same_name(dialect: Dialect, text: &[u8], one: Name, other: Name) -> bool {
    one.parts().into_iter().zip(other.parts()).all(|(one, other)| same_part(dialect, text, one, other))
}

/// Whether two parts name the same; without allocating where their bytes are equal or neither is quoted.
fn same_part(dialect: Dialect, text: &[u8], one: Span, other: Span) -> bool {
    let (one, other) = (one.of(text), other.of(text));
    if one == other {
        return true;
    }
    let is_quoted =
        |part: &[u8]| part.first().is_some_and(|byte| b"\"`['".contains(byte)) || part.get(1) == Some(&b'&');
    if is_quoted(one) || is_quoted(other) {
        return name::normalized(dialect, one) == name::normalized(dialect, other);
    }
    one.len() == other.len() && one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests;
