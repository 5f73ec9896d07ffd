//! Passing over expressions: where they end, which subqueries are in them, and the few functions that matter to an audit.
//!
//! What makes it hard: words that begin a clause here are a function, a label or a column there; and in T-SQL a statement ends where
//! the next begins.

use super::{DEPTH_MAX, Read};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::reading::Doubts;
use crate::words::{COUNT, Word};

/// Where passing over an expression stops, outside parentheses.
pub(super) type Stops = u8;

/// At words that begin a clause of a query, and set operations.
pub(super) const AT_CLAUSE: Stops = 1;
/// At words that join relations, ON and USING.
pub(super) const AT_JOIN: Stops = 2;
/// At a comma.
pub(super) const AT_COMMA: Stops = 4;
/// At SET.
pub(super) const AT_SET: Stops = 8;
/// At AS.
pub(super) const AT_AS: Stops = 16;

/// Words that begin a statement of T-SQL, which needs no semicolon before them, or that close a block.
pub(super) const BEGINS_STATEMENT: u8 = 64;

/// Words that mean something inside an expression: no stop, but looked at.
pub(super) const SPECIAL: u8 = 128;

pub(super) static MEANING: [u8; COUNT] = meanings();

#[rustfmt::skip]
const fn meanings() -> [u8; COUNT] {
    use Word::*;
    let mut roles = [0; COUNT];
    let clauses = [
        FROM, INTO, WHERE, GROUP, HAVING, WINDOW, ORDER, LIMIT, OFFSET, FETCH, FOR, UNION, INTERSECT, EXCEPT, MINUS, RETURNING,
    ];
    let statements = [
        INSERT, UPDATE, DELETE, MERGE, EXEC, EXECUTE, DECLARE, DROP, CREATE, ALTER, TRUNCATE, USE, PRINT, IF, WHILE, BEGIN, COMMIT,
        ROLLBACK, GRANT, REVOKE, DENY, RETURN, SET, END, ELSE, GO, BACKUP, RESTORE, RAISERROR, THROW, SELECT,
    ];
    let joins = [JOIN, LEFT, RIGHT, FULL, INNER, OUTER, CROSS, NATURAL, STRAIGHT_JOIN, ON, USING];
    let specials = [
        SELECT, DISTINCT, FOR, CASE, END, DO, KEY, SET_CONFIG, LO_EXPORT, LO_IMPORT, PG_READ_FILE, PG_READ_BINARY_FILE, LOAD_FILE, DBLINK, DBLINK_EXEC,
        QUERY_TO_XML, OPENQUERY, OPENROWSET, OPENDATASOURCE,
    ];
    mark(&mut roles, &clauses, AT_CLAUSE);
    mark(&mut roles, &joins, AT_JOIN);
    mark(&mut roles, &statements, BEGINS_STATEMENT);
    mark(&mut roles, &specials, SPECIAL);
    roles[SET as usize] |= AT_SET;
    roles[AS as usize] |= AT_AS | SPECIAL;
    roles
}

const fn mark(roles: &mut [u8; COUNT], words: &[Word], meaning: u8) {
    let mut at = 0;
    while at < words.len() {
        roles[words[at] as usize] |= meaning;
        at += 1;
    }
}

/// Kinds of tokens that mean nothing in an expression, words that are not known among them.
static PASSED: [bool; Kind::End as usize + 1] = passed();

const fn passed() -> [bool; Kind::End as usize + 1] {
    let mut passed = [true; Kind::End as usize + 1];
    let others = [Kind::Open, Kind::Close, Kind::Comma, Kind::Dot, Kind::Semicolon, Kind::End];
    let mut at = 0;
    while at < others.len() {
        passed[others[at] as usize] = false;
        at += 1;
    }
    passed
}

/// Whether a query begins with `word`.
pub(super) fn begins_query(word: Word) -> bool {
    matches!(word, Word::SELECT | Word::WITH | Word::VALUES | Word::TABLE)
}

/// Expressions.
impl Read<'_, '_> {
    /// Passes over tokens up to one of `stops`, an unmatched `)`, or the end. Reads the subqueries in between.
    pub(super) fn expression(&mut self, stops: Stops) {
        let mut parens = 0usize;
        loop {
            // Most tokens: one comparison that is nearly always the same, instead of the many below.
            while PASSED[self.kind() as usize] && MEANING[self.word() as usize] == 0 {
                self.bump();
            }
            match self.kind() {
                Kind::Word => {
                    let role = MEANING[self.word() as usize];
                    if role != 0 && self.stops_at(role, parens, stops) {
                        return;
                    }
                    if role & SPECIAL == 0 {
                        self.bump();
                    } else if self.word() == Word::END {
                        parens -= usize::from(parens > 0 && self.is(Engine::Tsql));
                        self.bump();
                    } else {
                        parens += self.special_word();
                    }
                }
                Kind::Open if begins_query(self.at.next().word) => self.nested(Self::query),
                Kind::Open => {
                    self.narrowed = true;
                    parens += 1;
                    self.bump();
                }
                Kind::Close if parens == 0 => return,
                Kind::Close => {
                    parens -= 1;
                    self.bump();
                }
                Kind::Comma if parens == 0 && stops & AT_COMMA != 0 => return,
                Kind::Dot => {
                    self.bump();
                    if self.kind() == Kind::Word {
                        self.bump();
                    }
                }
                Kind::Semicolon | Kind::End => {
                    if parens > 0 {
                        self.close();
                    }
                    return;
                }
                _ => self.bump(),
            }
        }
    }

    #[inline]
    fn stops_at(&self, role: u8, parens: usize, stops: Stops) -> bool {
        if parens > 0 {
            return false;
        }
        if role & stops == 0 {
            // A second SELECT outside parentheses is no part of this expression.
            return stops & AT_CLAUSE != 0
                && (self.word() == Word::SELECT || (role & BEGINS_STATEMENT != 0 && self.at_boundary()));
        }
        match self.word() {
            // Functions of these names.
            Word::LEFT | Word::RIGHT => self.at.next().kind != Kind::Open,
            Word::FOR => !self.at_for_of_a_relation(),
            _ => true,
        }
    }

    /// `FOR SYSTEM_TIME AS OF …` of T-SQL and MariaDB belongs to the relation before it, and MySQL's `USE INDEX FOR JOIN (i)` does.
    fn at_for_of_a_relation(&self) -> bool {
        use Word::*;
        self.next_word() == SYSTEM_TIME || (self.is(Engine::Mysql) && self.next_word().is_in(&[JOIN, ORDER, GROUP]))
    }

    /// Whether another statement begins here though no semicolon stood before it, as T-SQL lets it.
    pub(super) fn at_boundary(&self) -> bool {
        use Word::*;
        self.is(Engine::Tsql)
            && match self.word() {
                UPDATE => self.at.last().word != FOR && self.at.next().kind != Kind::Open,
                MERGE => self.next_word() != JOIN,
                word => MEANING[word as usize] & BEGINS_STATEMENT != 0 && !self.at_end(),
            }
    }

    /// Goes past a word that means something. How many parentheses it has opened.
    fn special_word(&mut self) -> usize {
        match self.word() {
            Word::SELECT => {
                self.deeper(Self::query);
                0
            }
            Word::AS => {
                self.bump();
                if self.kind() == Kind::Word && self.at.next().kind != Kind::Open {
                    self.bump();
                }
                0
            }
            Word::FOR => {
                let skips = self.at_for_of_a_relation();
                self.bump();
                if skips {
                    self.bump();
                }
                0
            }
            // What is between them in T-SQL must not look like the end of the statement.
            Word::CASE => {
                self.bump();
                usize::from(self.is(Engine::Tsql))
            }
            Word::DISTINCT => {
                let compares = self.at.last().word.is_in(&[Word::IS, Word::NOT]) && self.next_word() == Word::FROM;
                self.bump();
                if compares {
                    self.bump();
                }
                0
            }
            Word::DO | Word::KEY => {
                self.upsert();
                self.bump();
                0
            }
            _ => self.known_function(),
        }
    }

    /// A query without parentheses of its own, within the limit of depth.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.depth >= DEPTH_MAX {
            self.doubt(Doubts::TOO_DEEP);
            return self.bump();
        }
        self.depth += 1;
        inner(self);
        self.depth -= 1;
    }

    fn known_function(&mut self) -> usize {
        let word = self.word();
        self.bump();
        if self.kind() != Kind::Open {
            return 0;
        }
        match word {
            Word::SET_CONFIG => {
                self.bump();
                self.set_config();
                1
            }
            Word::LO_EXPORT | Word::LO_IMPORT | Word::LOAD_FILE | Word::PG_READ_FILE | Word::PG_READ_BINARY_FILE => {
                self.bump();
                self.file_function(word);
                1
            }
            _ => {
                self.doubt(Doubts::OPAQUE);
                0
            }
        }
    }
}
