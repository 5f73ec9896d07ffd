//! Queries and the statements that change rows: which relations they read and write.
//!
//! Expressions are not understood, only passed over: what matters in them is where they end, and subqueries. A relation is a name
//! where a relation must stand: after FROM, JOIN, a comma between them, INTO, UPDATE, USING, TABLE. It is none if a `(` follows (a
//! function) or a common table expression of that name is in scope.

use super::names::is_reserved;
use super::{CTES_MAX, DEPTH_MAX, Read, same_name, same_part};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Doubts, Part};
use crate::span::Span;
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
const BEGINS_STATEMENT: u8 = 64;

/// Words that mean something inside an expression: no stop, but looked at.
const SPECIAL: u8 = 128;

static MEANING: [u8; COUNT] = meanings();

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
    let mut at = 0;
    while at < clauses.len() {
        roles[clauses[at] as usize] |= AT_CLAUSE;
        at += 1;
    }
    at = 0;
    while at < joins.len() {
        roles[joins[at] as usize] |= AT_JOIN;
        at += 1;
    }
    at = 0;
    while at < statements.len() {
        roles[statements[at] as usize] |= BEGINS_STATEMENT;
        at += 1;
    }
    at = 0;
    while at < specials.len() {
        roles[specials[at] as usize] |= SPECIAL;
        at += 1;
    }
    roles[SET as usize] |= AT_SET;
    roles[AS as usize] |= AT_AS | SPECIAL;
    roles
}

/// Whether a query begins with `word`.
fn begins_query(word: Word) -> bool {
    matches!(word, Word::SELECT | Word::WITH | Word::VALUES | Word::TABLE)
}

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
        match self.word() {
            Word::INSERT | Word::REPLACE => self.insert(),
            Word::UPDATE => self.update(),
            Word::DELETE => self.delete(),
            Word::MERGE => self.merge(),
            _ => self.query_body(),
        }
        self.room.ctes.truncate(scope);
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
        loop {
            if !self.at_name() {
                return;
            }
            let name = self.now().span;
            self.bump();
            self.common_table(name, recursive, first);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
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
        let mut at = 0;
        self.out.relations.retain(|one| {
            at += 1;
            at <= first
                || one.access != Access::Read
                || !one.name.is_plain()
                || !same_part(dialect, text, one.name.object, cte)
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

    fn is_cte(&self, name: Name) -> bool {
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
        self.bump();
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        while !self.at_end() && self.kind() != Kind::Close {
            self.expression(0);
        }
        self.close();
    }

    fn close(&mut self) {
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
                    self.bump();
                    self.eat_all(&[Word::ALL, Word::DISTINCT]);
                    self.operand();
                }
                word if MEANING[word as usize] & AT_CLAUSE != 0 => {
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
    fn join_words(&mut self) -> bool {
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

    fn relation_item(&mut self) {
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

    fn item_by_name(&mut self) {
        match (self.word(), self.next_word()) {
            (Word::ROWS, Word::FROM) => {
                self.bump();
                self.bump();
                return;
            }
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

/// Expressions.
impl Read<'_, '_> {
    /// Passes over tokens up to one of `stops`, an unmatched `)`, or the end. Reads the subqueries in between.
    pub(super) fn expression(&mut self, stops: Stops) {
        let mut parens = 0usize;
        loop {
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

/// Statements that change rows.
impl Read<'_, '_> {
    fn insert(&mut self) {
        use Word::*;
        self.bump();
        if self.is(Engine::Mysql) {
            self.eat_all(&[LOW_PRIORITY, DELAYED, HIGH_PRIORITY, IGNORE]);
        }
        if self.is(Engine::Oracle) && self.word().is_in(&[ALL, FIRST]) {
            return self.insert_all();
        }
        let outer = std::mem::replace(&mut self.inserts_into, Name::NONE);
        self.insert_target();
        if self.kind() == Kind::Open && !begins_query(self.next_word()) && self.at.next().kind != Kind::Open {
            self.parentheses();
        }
        self.rows_of_insert();
        self.inserts_into = outer;
    }

    /// At `DO UPDATE` of ON CONFLICT, `KEY UPDATE` of ON DUPLICATE: rows that are there are changed.
    fn upsert(&mut self) {
        // Not so in `FOR NO KEY UPDATE` of the rows that are added.
        let changes = self.word() == Word::DO || (self.word() == Word::KEY && self.at.last().word == Word::DUPLICATE);
        if changes && self.next_word() == Word::UPDATE {
            self.relation(self.inserts_into, Access::Update);
        }
    }

    fn insert_target(&mut self) {
        if self.is(Engine::Tsql) {
            self.top();
        }
        self.eat(Word::INTO);
        self.eat(Word::TABLE);
        match self.name() {
            Some(name) => {
                self.inserts_into = name;
                self.relation(name, Access::Insert);
            }
            None if self.kind() == Kind::Variable => self.bump(),
            None => self.doubt(if self.kind() == Kind::End { Doubts::CUT } else { Doubts::UNSURE }),
        }
        if self.is(Engine::Mysql) && self.eat(Word::PARTITION) && self.kind() == Kind::Open {
            self.parentheses();
        }
        if self.eat(Word::AS) || (self.is(Engine::Oracle) && self.at_name() && self.word() != Word::VALUES) {
            self.bump();
        }
    }

    /// VALUES, a query, DEFAULT VALUES or MySQL's SET, and what follows.
    fn rows_of_insert(&mut self) {
        while !self.at_end() && self.kind() != Kind::Close {
            if self.kind() == Kind::Open || begins_query(self.word()) {
                self.query();
                if self.is(Engine::Tsql) {
                    return;
                }
            } else if self.is(Engine::Tsql) && self.word().is_in(&[Word::EXEC, Word::EXECUTE]) {
                return self.skip_to_end_of_inner();
            } else if MEANING[self.word() as usize] & AT_CLAUSE != 0 {
                self.clauses();
            } else {
                self.upsert();
                self.bump();
                self.expression_to_query();
            }
        }
    }

    /// Passes over an expression up to a clause, or to a query that stands in it without parentheses.
    fn expression_to_query(&mut self) {
        while !self.at_end()
            && self.kind() != Kind::Close
            && !(self.kind() == Kind::Open || begins_query(self.word()))
            && MEANING[self.word() as usize] & AT_CLAUSE == 0
        {
            self.bump();
        }
        if self.kind() == Kind::Open && !begins_query(self.next_word()) && self.at.next().kind != Kind::Open {
            self.parentheses();
        }
    }

    /// Oracle: `INSERT ALL INTO a … INTO b … SELECT …`.
    fn insert_all(&mut self) {
        while !self.at_end() {
            if self.eat(Word::INTO) {
                if let Some(name) = self.name() {
                    self.relation(name, Access::Insert);
                }
            } else if begins_query(self.word()) && self.word() != Word::VALUES {
                return self.query();
            } else if self.kind() == Kind::Open {
                self.parentheses();
            } else {
                self.bump();
            }
        }
    }

    fn update(&mut self) {
        use Word::*;
        self.bump();
        match self.dialect.engine {
            Engine::Mysql => {
                self.eat_all(&[LOW_PRIORITY, IGNORE]);
                return self.update_of_joined();
            }
            Engine::Tsql => return self.update_by_alias(),
            Engine::Postgres | Engine::Oracle => {}
        }
        self.target(Access::Update);
        while !self.at_end() && self.word() != SET && self.kind() != Kind::Close {
            self.bump();
        }
        self.expression(AT_CLAUSE);
        self.clauses();
    }

    /// The relation that is changed: `[ONLY] t [*]`; Oracle also a subquery.
    fn target(&mut self, access: Access) {
        let only = self.eat(Word::ONLY) && self.eat_kind(Kind::Open);
        if let Some(name) = self.name() {
            self.relation(name, access);
        } else if self.kind() == Kind::Open {
            // What is changed through a query is not told from what it reads.
            self.doubt(Doubts::UNSURE);
            self.nested(Self::query);
        } else {
            self.doubt(if self.kind() == Kind::End { Doubts::CUT } else { Doubts::UNSURE });
        }
        if only {
            self.close();
        }
    }

    fn delete(&mut self) {
        self.bump();
        match self.dialect.engine {
            Engine::Mysql => return self.delete_of_joined(),
            Engine::Tsql => return self.delete_by_alias(),
            Engine::Postgres | Engine::Oracle => {}
        }
        self.eat(Word::FROM);
        self.target(Access::Delete);
        self.expression(AT_CLAUSE | AT_JOIN);
        if self.eat(Word::USING) {
            self.relation_list(0);
        }
        self.clauses();
    }

    fn merge(&mut self) {
        self.bump();
        if self.is(Engine::Tsql) {
            self.top();
        }
        self.eat(Word::INTO);
        self.target(Access::Merge);
        while !self.at_end() && self.word() != Word::USING && self.kind() != Kind::Close {
            self.bump();
        }
        if self.eat(Word::USING) {
            self.merged();
        }
        self.expression(0);
    }

    /// What is merged: a relation or several that are joined, up to WHEN. A comma there is one of an expression.
    fn merged(&mut self) {
        self.relation_item();
        loop {
            self.expression(AT_CLAUSE | AT_JOIN);
            if self.word().is_in(&[Word::ON, Word::USING]) {
                self.bump();
            } else if MEANING[self.word() as usize] & AT_JOIN == 0 {
                return;
            } else if self.join_words() {
                self.relation_item();
            }
        }
    }

    /// What stands in an inner statement that cannot be read; up to the parenthesis that closes it.
    fn skip_to_end_of_inner(&mut self) {
        self.doubt(Doubts::OPAQUE);
        self.expression(0);
    }

    /// `TOP (10) PERCENT`.
    fn top(&mut self) {
        if self.eat(Word::TOP) {
            if self.kind() == Kind::Open {
                self.parentheses();
            } else {
                self.bump();
            }
            self.eat(Word::PERCENT);
        }
    }
}

/// Statements that name what they change by alias.
impl Read<'_, '_> {
    /// Notes what a relation of FROM is called: by its alias, which follows, or by its own last part.
    fn note_alias(&mut self, name: Name, place: usize) {
        if !matches!(self.dialect.engine, Engine::Mysql | Engine::Tsql) || self.depth > 0 {
            return;
        }
        let alias = match (self.word(), self.kind()) {
            (Word::AS, _) => self.at.next().span,
            (word, Kind::Word) if !is_reserved(word) && MEANING[word as usize] == 0 && !is_after_table(word) => {
                self.now().span
            }
            (_, Kind::Quoted) => self.now().span,
            _ => name.object,
        };
        let (text, dialect) = (self.at.text, self.dialect);
        let known = || {
            let from = usize::from(self.statement.relations.from);
            self.out.relations[from..]
                .iter()
                .rposition(|one| same_name(dialect, text, one.name, name))
                .map(|at| at + from)
        };
        let place = if place < self.out.relations.len() { Some(place) } else { known() };
        if let Some(place) = place
            && self.room.aliases.len() < CTES_MAX
        {
            self.room.aliases.push((alias, place as u16));
        }
    }

    /// What is called so in this statement.
    fn alias(&self, name: Name) -> Option<(Span, u16)> {
        let (text, dialect) = (self.at.text, self.dialect);
        let is_called = |(alias, place): &&(Span, u16)| {
            let relation = self.out.relations[usize::from(*place)].name;
            (name.is_plain() && same_part(dialect, text, *alias, name.object))
                || same_name(dialect, text, relation, name)
        };
        self.room.aliases.iter().find(is_called).copied()
    }

    /// What was read as a relation of FROM is what the statement changes; read too if FROM has it under two names.
    fn changed(&mut self, target: Name, access: Access) {
        let Some((_, place)) = self.alias(target) else { return self.relation(target, access) };
        let names = self.room.aliases.iter().filter(|(_, other)| *other == place).count();
        let relation = &mut self.out.relations[usize::from(place)];
        if names == 1 && relation.access == Access::Read {
            relation.access = access;
        } else {
            let name = relation.name;
            self.relation(name, access);
        }
    }

    /// MySQL: `UPDATE a JOIN b ON … SET a.x = …`: what the assignments name is changed, the rest read.
    fn update_of_joined(&mut self) {
        self.relation_list(AT_SET);
        let alone = self.room.aliases.len() == 1;
        if self.eat(Word::SET) {
            if alone {
                let place = usize::from(self.room.aliases[0].1);
                self.out.relations[place].access = Access::Update;
            } else {
                self.assignments_of_joined();
            }
        }
        self.expression(AT_CLAUSE);
        self.clauses();
    }

    fn assignments_of_joined(&mut self) {
        loop {
            let Some(column) = self.name() else { return };
            // `alias.column` or `database.table.column`.
            let table = Name { object: column.database, ..Name::NONE };
            if !table.is_empty() && self.alias(table).is_some() {
                self.changed(table, Access::Update);
            } else {
                self.doubt(Doubts::UNSURE);
            }
            self.expression(AT_CLAUSE | AT_COMMA);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// MySQL: `DELETE FROM t …`, `DELETE a, b FROM …`, `DELETE FROM a, b USING …`.
    fn delete_of_joined(&mut self) {
        use Word::*;
        self.eat_all(&[LOW_PRIORITY, QUICK, IGNORE]);
        let from_first = self.eat(FROM);
        let mut targets = [Name::NONE; 8];
        let mut count = 0;
        while let Some(name) = self.target_of_joined() {
            if count < targets.len() {
                targets[count] = name;
                count += 1;
            } else {
                self.doubt(Doubts::TOO_MANY);
            }
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        let joined = if from_first { USING } else { FROM };
        if from_first && count == 1 {
            self.expression(AT_CLAUSE | AT_JOIN);
        }
        if self.eat(joined) {
            self.relation_list(0);
        }
        for &target in &targets[..count] {
            self.changed(target, Access::Delete);
        }
        self.clauses();
    }

    /// `t`, `d.t`, `t.*`.
    fn target_of_joined(&mut self) -> Option<Name> {
        let name = self.name()?;
        if self.at.last().kind == Kind::Dot && self.eat_kind(Kind::Star) {
            return Some(name);
        }
        Some(name)
    }

    /// T-SQL: the target may be an alias of FROM, which comes later.
    fn update_by_alias(&mut self) {
        self.top();
        let target = self.name();
        self.expression(AT_SET);
        self.eat(Word::SET);
        self.expression(AT_CLAUSE);
        self.rest_and_target(target, Access::Update);
    }

    fn delete_by_alias(&mut self) {
        self.top();
        self.eat(Word::FROM);
        let target = self.name();
        self.expression(AT_CLAUSE);
        self.rest_and_target(target, Access::Delete);
    }

    fn rest_and_target(&mut self, target: Option<Name>, access: Access) {
        if self.word() == Word::INTO {
            // `OUTPUT … INTO t`
            self.bump();
            if let Some(name) = self.name() {
                self.relation(name, Access::Insert);
            }
            self.expression(AT_CLAUSE);
        }
        if self.eat(Word::FROM) {
            self.relation_list(0);
        }
        if let Some(target) = target
            && !self.is_cte(target)
        {
            self.changed(target, access);
        }
        self.clauses();
    }
}

/// Words that follow a relation's name and are no alias.
fn is_after_table(word: Word) -> bool {
    use Word::*;
    word.is_in(&[USE, FORCE, IGNORE, PARTITION, SET, PIVOT, UNPIVOT, VALUES, OPTION, QUALIFY, OUTPUT])
}
