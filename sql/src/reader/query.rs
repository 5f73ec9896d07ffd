//! Queries: which relations they read.
//!
//! A relation is a name where a relation must stand: after FROM, JOIN, a comma between them, USING, TABLE. It is none if a `(`
//! follows (a function) or a common table expression of that name is in scope. Expressions are only passed over.

use super::expression::{AT_CLAUSE, AT_COMMA, AT_JOIN, MEANING, SPECIAL, Stops, begins_query};
use super::{CTES_MAX, DEPTH_MAX, Read, same_part};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Direction, Doubts, Means, Options, Part, Transfer};
use crate::span::Span;
use crate::words::Word;

/// Whole statements.
impl Read<'_, '_> {
    /// A query or a statement that changes rows, with what stands before it in WITH. Its action is noted.
    pub(super) fn plannable(&mut self) {
        self.with_and_body(true);
    }

    /// The same inside another: a WITH body.
    fn embedded(&mut self) {
        self.with_and_body(false);
    }

    fn with_and_body(&mut self, tell: bool) {
        let scope = self.room.ctes.len();
        if self.word() == Word::WITH {
            self.with();
        }
        let action = match self.word() {
            Word::INSERT => "INSERT",
            Word::UPDATE => "UPDATE",
            Word::DELETE => "DELETE",
            Word::MERGE => "MERGE",
            Word::REPLACE => "REPLACE",
            _ => "SELECT",
        };
        if tell {
            self.action(action);
        }
        let whole = tell && self.runs && self.room.ctes.len() == scope && self.begins_whole_table();
        match self.word() {
            Word::INSERT | Word::REPLACE => self.insert(),
            Word::UPDATE => self.update(),
            Word::DELETE => self.delete(),
            Word::MERGE => self.merge(),
            _ => self.query_body(),
        }
        if whole {
            self.whole_table();
        }
        self.room.ctes.truncate(scope);
    }

    /// `SELECT * FROM`, `TABLE t`.
    fn begins_whole_table(&mut self) -> bool {
        self.narrowed = false;
        match self.word() {
            Word::SELECT => self.at.next().kind == Kind::Star && self.at.after_next().word == Word::FROM,
            word => word == Word::TABLE,
        }
    }

    /// Behind such a query: whether nothing made it less than all of one table.
    fn whole_table(&mut self) {
        let relations = self.out.relations.len() - usize::from(self.statement.relations.from);
        let ends = self.at_end() || self.kind() == Kind::Close;
        if ends && !self.narrowed && relations == 1 && !self.is_cut() {
            self.option(Options::WHOLE_TABLE);
        }
    }

    /// Whether a query or a statement that changes rows begins here.
    pub(super) fn at_plannable(&self) -> bool {
        self.kind() == Kind::Open
            || begins_query(self.word())
            || matches!(self.word(), Word::INSERT | Word::UPDATE | Word::DELETE | Word::MERGE | Word::REPLACE)
    }

    /// Relations found by `inner` are named only, not touched.
    pub(super) fn without_running(&mut self, inner: impl FnOnce(&mut Self)) {
        let runs = std::mem::replace(&mut self.runs, false);
        inner(self);
        self.runs = runs;
    }

    /// Passes over what is left of the statement.
    pub(super) fn skip_to_end(&mut self) {
        while !self.at_end() {
            self.expression(0);
            self.eat_kind(Kind::Close);
        }
    }
}

/// Common table expressions.
impl Read<'_, '_> {
    fn with(&mut self) {
        self.bump();
        let recursive = self.eat(Word::RECURSIVE);
        let first = self.out.relations.len();
        while self.at_name() {
            let name = self.now().span;
            self.bump();
            self.common_table(name, recursive, first);
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        if recursive && self.kind() == Kind::End {
            // The text ends before the statement does: any of these names may be of a table that would have followed.
            self.forget_where(first, |_| true);
        }
    }

    /// `name` is behind us. In T-SQL and Oracle a body may use its own name without RECURSIVE.
    fn common_table(&mut self, name: Span, recursive: bool, first: usize) {
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        self.eat(Word::AS);
        self.eat_all(&[Word::NOT, Word::MATERIALIZED]);
        let knows_itself = recursive || matches!(self.dialect.engine, Engine::Tsql | Engine::Oracle);
        if knows_itself {
            self.push_cte(name);
            self.forget(name, first);
        }
        if self.kind() == Kind::Open {
            self.nested(Self::embedded);
        }
        if !knows_itself {
            self.push_cte(name);
        }
        self.search_and_cycle();
    }

    fn push_cte(&mut self, name: Span) {
        if self.room.ctes.len() < CTES_MAX {
            self.room.ctes.push(name);
        } else {
            self.doubt(Doubts::TOO_MANY);
        }
    }

    /// With RECURSIVE an earlier body may use a later name: what was taken for a relation is none.
    fn forget(&mut self, cte: Span, first: usize) {
        let (text, dialect) = (self.at.text, self.dialect);
        self.forget_where(first, |name| same_part(dialect, text, name.object, cte));
    }

    /// Takes back those read since `first` whose name has no schema and is such.
    fn forget_where(&mut self, first: usize, is_such: impl Fn(Name) -> bool) {
        let mut at = 0;
        self.out.relations.retain(|one| {
            at += 1;
            at <= first || one.access != Access::Read || !one.name.is_plain() || !is_such(one.name)
        });
    }

    /// `SEARCH … SET name`, `CYCLE … USING name`.
    fn search_and_cycle(&mut self) {
        while self.word().is_in(&[Word::SEARCH, Word::CYCLE]) {
            let last = if self.word() == Word::SEARCH { Word::SET } else { Word::USING };
            while !self.at_end() && self.word() != last && self.word() != Word::SELECT {
                self.bump();
            }
            if self.eat(last) {
                self.bump();
            }
        }
    }

    pub(super) fn is_cte(&self, name: Name) -> bool {
        let (text, dialect) = (self.at.text, self.dialect);
        name.is_plain() && self.room.ctes.iter().any(|cte| same_part(dialect, text, *cte, name.object))
    }

    /// A relation that is read, unless it is a common table expression.
    pub(super) fn read_relation(&mut self, name: Name) {
        let unsure = name.is_plain() && self.room.ctes.len() == CTES_MAX;
        if !unsure && !self.is_cte(name) && !self.is_dual(name) {
            self.relation(name, Access::Read);
        }
    }

    /// Oracle's and MySQL's table that holds nothing.
    fn is_dual(&self, name: Name) -> bool {
        matches!(self.dialect.engine, Engine::Oracle | Engine::Mysql)
            && name.is_plain()
            && name.object.of(self.at.text).eq_ignore_ascii_case(b"dual")
    }
}

/// Queries.
impl Read<'_, '_> {
    /// In parentheses, at the opening one: `inner` reads what is inside, up to the closing one. Too deep, it is passed over.
    pub(super) fn nested(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.depth >= DEPTH_MAX {
            self.doubt(Doubts::TOO_DEEP);
            return self.parentheses_unread();
        }
        self.narrowed = true;
        self.bump();
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        while !self.at_end() && self.kind() != Kind::Close {
            self.expression(0);
        }
        self.close();
    }

    pub(super) fn close(&mut self) {
        if !self.eat_kind(Kind::Close) {
            self.doubt(if self.kind() == Kind::End { Doubts::CUT } else { Doubts::UNSURE });
        }
    }

    /// Passes over parentheses and what is inside, subqueries included.
    pub(super) fn parentheses(&mut self) {
        self.nested(|read| read.expression(0));
    }

    fn parentheses_unread(&mut self) {
        let mut depth = 0usize;
        while !self.at_end() {
            match self.kind() {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            self.bump();
            if depth == 0 {
                return;
            }
        }
        self.close();
    }

    /// A query from its first word to where it ends, set operations included.
    pub(super) fn query(&mut self) {
        self.embedded();
    }

    fn query_body(&mut self) {
        self.operand();
        self.clauses();
    }

    /// `SELECT` with its list, `VALUES`, `TABLE t`, or a query in parentheses.
    fn operand(&mut self) {
        match self.word() {
            Word::SELECT | Word::VALUES => {
                self.bump();
                self.dump_mark();
                self.expression(AT_CLAUSE);
            }
            Word::TABLE => {
                self.bump();
                self.eat(Word::ONLY);
                if let Some(name) = self.name() {
                    self.read_relation(name);
                }
                self.eat_kind(Kind::Star);
            }
            _ if self.kind() == Kind::Open => self.nested(Self::query),
            _ => {}
        }
    }

    /// What mysqldump writes behind SELECT, and nobody by hand: `/*!40001 SQL_NO_CACHE */`.
    fn dump_mark(&mut self) {
        if self.word() == Word::SQL_NO_CACHE {
            let before = &self.at.text[..self.now().span.start as usize];
            if before.trim_ascii_end().ends_with(b"/*!40001") {
                self.transfer(Transfer { direction: Direction::Out, means: Means::Dump, target: Span::NONE });
            }
            self.bump();
        }
    }

    /// Clause after clause, until something follows that begins none.
    pub(super) fn clauses(&mut self) {
        loop {
            match self.word() {
                Word::FROM => {
                    self.bump();
                    self.relation_list(0);
                }
                Word::INTO => self.into(),
                Word::UNION | Word::INTERSECT | Word::EXCEPT | Word::MINUS => {
                    self.narrowed = true;
                    self.bump();
                    self.eat_all(&[Word::ALL, Word::DISTINCT]);
                    self.operand();
                }
                word if MEANING[word as usize] & AT_CLAUSE != 0 => {
                    // An order or a lock leaves a table whole.
                    self.narrowed |= !matches!(word, Word::ORDER | Word::FOR);
                    self.bump();
                    self.expression(AT_CLAUSE);
                }
                _ => return,
            }
        }
    }

    /// `SELECT … INTO`.
    fn into(&mut self) {
        self.bump();
        if self.is(Engine::Mysql) && self.word().is_in(&[Word::OUTFILE, Word::DUMPFILE]) {
            self.outfile();
        } else if matches!(self.dialect.engine, Engine::Postgres | Engine::Tsql) {
            self.select_into_table();
        }
        self.expression(AT_CLAUSE);
    }

    fn select_into_table(&mut self) {
        use Word::*;
        self.eat_all(&[LOCAL, GLOBAL, TEMPORARY, TEMP, UNLOGGED, TABLE]);
        let Some(name) = self.name() else { return };
        if self.is(Engine::Tsql) && self.statement.action != "SELECT" {
            // `OUTPUT … INTO t`
            return self.relation(name, Access::Insert);
        }
        if self.statement.action == "SELECT" && self.depth == 0 {
            self.statement.action = "SELECT INTO";
        }
        self.object("TABLE", name, Part::Target);
        self.relation(name, Access::Create);
    }
}

/// Relations of FROM.
impl Read<'_, '_> {
    /// Relations, joined or separated by commas, with their aliases and conditions; `stops` beside the usual.
    pub(super) fn relation_list(&mut self, stops: Stops) {
        loop {
            self.relation_item();
            if !self.next_item_follows(stops) {
                return;
            }
        }
    }

    /// Goes past alias, columns, sample, conditions, to the beginning of the next item if there is one.
    fn next_item_follows(&mut self, stops: Stops) -> bool {
        loop {
            self.expression(AT_CLAUSE | AT_JOIN | AT_COMMA | stops);
            match self.word() {
                // `ON CONFLICT` of an INSERT around this query.
                Word::ON if self.next_word().is_in(&[Word::CONFLICT, Word::DUPLICATE]) => return false,
                Word::ON | Word::USING => self.bump(),
                word if MEANING[word as usize] & AT_JOIN != 0 => {
                    if self.join_words() {
                        return true;
                    }
                }
                _ => return self.eat_kind(Kind::Comma),
            }
        }
    }

    /// `LEFT OUTER JOIN`, `CROSS APPLY`: past it. Whether it was one.
    pub(super) fn join_words(&mut self) -> bool {
        use Word::*;
        loop {
            match self.word() {
                JOIN | APPLY | STRAIGHT_JOIN => {
                    self.bump();
                    return true;
                }
                LEFT | RIGHT | FULL | INNER | OUTER | CROSS | NATURAL => self.bump(),
                // T-SQL's `INNER HASH JOIN`.
                HASH | MERGE if self.next_word() == JOIN => self.bump(),
                _ if self.next_word() == JOIN && self.is(Engine::Tsql) => self.bump(),
                _ => return false,
            }
        }
    }

    pub(super) fn relation_item(&mut self) {
        self.eat(Word::LATERAL);
        match self.kind() {
            Kind::Open => self.item_in_parentheses(),
            Kind::Word | Kind::Quoted => self.item_by_name(),
            // A table variable, a parameter.
            Kind::Variable | Kind::Parameter => self.bump(),
            Kind::End => self.doubt(Doubts::CUT),
            _ => self.doubt(Doubts::UNSURE),
        }
    }

    /// A subquery, or relations joined within parentheses.
    fn item_in_parentheses(&mut self) {
        if begins_query(self.at.next().word) {
            return self.nested(Self::query);
        }
        self.nested(|read| {
            read.relation_list(0);
            // `((SELECT …) UNION …)` looked like a join up to here.
            read.clauses();
        });
    }

    /// Whether the text was cut at the next token, or before it.
    fn is_cut_behind_next(&self) -> bool {
        let next = self.at.next();
        self.cut_at != u32::MAX && (next.kind == Kind::End || next.span.end >= self.cut_at)
    }

    fn item_by_name(&mut self) {
        match (self.word(), self.next_word()) {
            (Word::ROWS, Word::FROM) => {
                self.bump();
                self.bump();
                return;
            }
            // `ROWS F`, cut: the rest may be ROM.
            (Word::ROWS, _) if self.is_cut_behind_next() => return self.bump(),
            (Word::ONLY, _) => return self.only_item(),
            // Looked at when the expression behind is passed over.
            (word, _) if MEANING[word as usize] & SPECIAL != 0 => return,
            _ => {}
        }
        if !self.at_name() {
            // `left('a', 1)` is a function, and so is CURRENT_DATE; anything else is no relation either.
            let is_function = self.at.next().kind == Kind::Open || is_value(self.word());
            if !is_function {
                self.doubt(Doubts::UNSURE);
            } else {
                self.bump();
            }
            return;
        }
        let Some(name) = self.name() else { return };
        if self.kind() != Kind::Open || self.at_table_hint() {
            self.read_item(name);
        }
    }

    /// `ONLY t` and `ONLY (t)`.
    fn only_item(&mut self) {
        self.bump();
        let inside = self.eat_kind(Kind::Open);
        if let Some(name) = self.name() {
            self.read_item(name);
        }
        if inside {
            self.close();
        }
    }

    fn read_item(&mut self, name: Name) {
        let before = self.out.relations.len();
        self.read_relation(name);
        self.eat_kind(Kind::Star);
        self.note_alias(name, before);
    }

    /// T-SQL's old hints without WITH: `FROM t (NOLOCK)`.
    fn at_table_hint(&self) -> bool {
        use Word::*;
        self.is(Engine::Tsql)
            && self.at.next().word.is_in(&[
                NOLOCK,
                HOLDLOCK,
                READPAST,
                ROWLOCK,
                TABLOCK,
                TABLOCKX,
                UPDLOCK,
                XLOCK,
                PAGLOCK,
                READUNCOMMITTED,
                READCOMMITTED,
                INDEX,
            ])
    }
}

/// Words that stand for a value without parentheses, and may stand in FROM.
fn is_value(word: Word) -> bool {
    use Word::*;
    word.is_in(&[
        CURRENT_CATALOG,
        CURRENT_DATE,
        CURRENT_ROLE,
        CURRENT_SCHEMA,
        CURRENT_TIME,
        CURRENT_TIMESTAMP,
        CURRENT_USER,
        LOCALTIME,
        LOCALTIMESTAMP,
        SESSION_USER,
        SYSTEM_USER,
        USER,
    ])
}
