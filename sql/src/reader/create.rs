//! CREATE: which object, of which kind, on which table; what a view or a rule reads.

use super::Read;
use super::expression::AT_AS;
use super::kinds::{self, ObjectKind};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Direction, Doubts, Means, Options, Part, Scope, Transfer, Who};
use crate::span::Span;
use crate::words::Word;

/// CREATE.
impl Read<'_, '_> {
    pub(super) fn create(&mut self) {
        self.bump();
        self.create_words();
        let Some(kind) = self.object_kind() else {
            self.action("CREATE");
            return self.doubt(Doubts::UNSURE);
        };
        self.action(kind.create);
        self.create_kind(kind);
    }

    /// What stands between CREATE and the kind of object.
    pub(super) fn create_words(&mut self) {
        use Word::*;
        loop {
            match (self.word(), self.next_word()) {
                (OR, REPLACE | ALTER) => {
                    self.option(Options::OR_REPLACE);
                    self.bump();
                }
                (TEMPORARY | TEMP, _) => self.option(Options::TEMPORARY),
                (DEFINER | ALGORITHM, _) => {
                    self.bump();
                    self.eat_kind(Kind::Equals);
                    if self.account().is_none() {
                        self.bump();
                    }
                    continue;
                }
                (SQL, SECURITY) => {
                    self.bump();
                    self.bump();
                }
                (DEFAULT, CONVERSION) => {}
                (PUBLIC, SYNONYM | DATABASE) => {}
                (
                    UNLOGGED | UNIQUE | TRUSTED | CONSTRAINT | RECURSIVE | GLOBAL | LOCAL | FULLTEXT | SPATIAL
                    | CLUSTERED | NONCLUSTERED | BITMAP | FORCE | NO | EDITIONABLE | NONEDITIONABLE | EXTERNAL | UNDO
                    | ONLINE | OFFLINE | SHARED | PRIVATE | BIGFILE | SMALLFILE | COLUMNSTORE,
                    _,
                ) => {}
                _ => return,
            }
            self.bump();
        }
    }

    fn create_kind(&mut self, kind: ObjectKind) {
        if Self::is_account(kind) {
            return self.create_account();
        }
        match kind.name {
            "TABLE" | "FOREIGN TABLE" => self.create_table(kind),
            "VIEW" | "MATERIALIZED VIEW" => self.create_view(kind),
            "INDEX" => self.create_index(),
            "TRIGGER" => self.create_trigger(),
            "RULE" => self.create_rule(),
            "POLICY" => self.policy(),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" | "PACKAGE" | "EVENT" => self.create_routine(kind),
            "SCHEMA" => self.create_schema(),
            "USER MAPPING" => self.user_mapping(),
            "CAST" | "TRANSFORM" => self.nameless_object(kind),
            "OPERATOR" => self.operator_name(kind, Part::Target),
            "PUBLICATION" => self.create_publication(),
            "SUBSCRIPTION" => self.create_subscription(),
            "STATISTICS" => self.create_statistics(),
            _ => self.create_other(kind),
        }
    }

    pub(super) fn target_name(&mut self, kind: ObjectKind) -> Option<Name> {
        self.eat(Word::CONCURRENTLY);
        self.if_exists();
        let name = self.name();
        match name {
            Some(name) => self.object(kind.name, name, Part::Target),
            None => self.doubt(if self.at_end() { Doubts::CUT } else { Doubts::UNSURE }),
        }
        name
    }

    /// Kinds that have a name and nothing else that we look for, but for an owner and a server.
    fn create_other(&mut self, kind: ObjectKind) {
        self.target_name(kind);
        while !self.at_end() {
            match self.word() {
                Word::SERVER => self.mentioned_server(),
                Word::FOR if kind.name == kinds::SYNONYM.name => {
                    self.bump();
                    if let Some(name) = self.name() {
                        self.object("OBJECT", name, Part::Mentioned);
                    }
                }
                Word::OWNER => {
                    self.bump();
                    self.eat_kind(Kind::Equals);
                    self.accounts(Who::Owner);
                }
                _ => self.bump(),
            }
        }
    }

    /// `CREATE CAST (a AS b)`: the object has no name.
    pub(super) fn nameless_object(&mut self, kind: ObjectKind) {
        self.if_exists();
        self.object(kind.name, Name::NONE, Part::Target);
    }

    /// `s.+`: an operator's name is one.
    pub(super) fn operator_name(&mut self, kind: ObjectKind, part: Part) {
        self.if_exists();
        let mut span = Span::NONE;
        let mut schema = Span::NONE;
        while matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::Dot) {
            if self.kind() != Kind::Dot {
                schema = self.now().span;
            }
            self.bump();
        }
        while matches!(self.kind(), Kind::Operator | Kind::Star | Kind::Equals | Kind::Other) {
            span = span.to(self.now().span);
            self.bump();
        }
        self.object(kind.name, Name { schema, ..Name::of(span) }, part);
        if self.kind() == Kind::Open {
            self.parentheses();
        }
    }

    fn create_table(&mut self, kind: ObjectKind) {
        let Some(name) = self.target_name(kind) else { return };
        if self.is(Engine::Postgres) && self.eat(Word::AS) {
            return self.table_as(name);
        }
        self.table_elements(name);
    }

    /// Columns and constraints, parents, models; then AS with a query, if there is one.
    fn table_elements(&mut self, name: Name) {
        let mut depth = 0usize;
        while !self.at_end() {
            match self.kind() {
                Kind::Open if depth == 0 && self.at_query_behind_parenthesis() => return self.table_as(name),
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => return,
                Kind::Close => depth -= 1,
                Kind::Word => {
                    if depth == 0 && self.begins_rows() {
                        self.eat(Word::AS);
                        return self.table_as(name);
                    }
                    if self.table_word(depth) {
                        continue;
                    }
                }
                _ => {}
            }
            self.bump();
        }
        if depth > 0 {
            self.doubt(Doubts::CUT);
        }
    }

    fn at_query_behind_parenthesis(&self) -> bool {
        self.at.next().word.is_in(&[Word::SELECT, Word::WITH])
    }

    /// A query fills the table: `AS SELECT`, `AS EXECUTE`; MySQL also without AS, after IGNORE or REPLACE.
    fn begins_rows(&self) -> bool {
        match self.word() {
            Word::AS => {
                !self.is(Engine::Oracle)
                    || self.next_word().is_in(&[Word::SELECT, Word::WITH])
                    || self.at.next().kind == Kind::Open
            }
            Word::SELECT => self.is(Engine::Mysql),
            _ => false,
        }
    }

    /// A word inside a table's definition that names another table. Whether it went on.
    fn table_word(&mut self, depth: usize) -> bool {
        use Word::*;
        let begins_element = matches!(self.at.last().kind, Kind::Open | Kind::Comma);
        match (self.word(), self.next_word()) {
            (REFERENCES, _) => self.mentioned_table(1),
            (LIKE, _) if depth == 0 || (depth == 1 && begins_element) => self.mentioned_table(1),
            (PARTITION, OF) if depth == 0 => self.mentioned_table(2),
            (INHERITS, _) if depth == 0 && self.at.next().kind == Kind::Open => self.parents(),
            (SERVER, _) if depth == 0 => {
                self.mentioned_server();
                true
            }
            _ => false,
        }
    }

    pub(super) fn mentioned_table(&mut self, words: usize) -> bool {
        (0..words).for_each(|_| self.bump());
        if let Some(name) = self.name() {
            self.object("TABLE", name, Part::Mentioned);
        }
        true
    }

    fn parents(&mut self) -> bool {
        self.bump();
        self.bump();
        self.names(|read, name| read.object("TABLE", name, Part::Mentioned));
        self.eat_kind(Kind::Close);
        true
    }

    /// Behind AS.
    fn table_as(&mut self, name: Name) {
        for action in [&mut self.statement.action, &mut self.statement.inner] {
            if *action == kinds::TABLE.create {
                *action = "CREATE TABLE AS";
            }
        }
        self.relation(name, Access::Create);
        if self.word() == Word::EXECUTE {
            self.simple("EXECUTE");
            if let Some(prepared) = self.name() {
                self.object("PREPARED STATEMENT", prepared, Part::Mentioned);
            }
        } else if self.at_plannable() {
            self.plannable();
        }
    }

    fn create_view(&mut self, kind: ObjectKind) {
        let recursive = self.at_recursive_view();
        let Some(name) = self.target_name(kind) else { return };
        self.expression(AT_AS);
        if !self.eat(Word::AS) || !self.at_plannable() {
            return self.doubt(if self.at_end() { Doubts::CUT } else { Doubts::UNSURE });
        }
        if recursive {
            self.room.ctes.push(name.object);
        }
        if kind.name == kinds::VIEW.name {
            self.without_running(Self::plannable);
        } else {
            self.plannable();
        }
    }

    /// Whether RECURSIVE stands right before VIEW, which is behind us.
    fn at_recursive_view(&self) -> bool {
        self.at.before_last().word == Word::RECURSIVE
    }

    /// At the end of a statement: whether it is `CREATE … AS … WITH NO DATA`.
    pub(super) fn is_made_without_rows(&self) -> bool {
        matches!(self.statement.action, "CREATE TABLE AS" | "CREATE MATERIALIZED VIEW")
            && self.at.last().word == Word::DATA
            && self.at.before_last().word == Word::NO
    }

    fn create_index(&mut self) {
        self.eat(Word::CONCURRENTLY);
        self.if_exists();
        let name = if self.word() == Word::ON { Name::NONE } else { self.name().unwrap_or(Name::NONE) };
        self.object("INDEX", name, Part::Target);
        while !self.at_end() && self.word() != Word::ON {
            self.bump();
        }
        self.on_table();
    }

    /// `ON [ONLY] t`
    pub(super) fn on_table(&mut self) {
        if !self.eat(Word::ON) {
            return self.doubt(if self.at_end() { Doubts::CUT } else { Doubts::UNSURE });
        }
        self.eat(Word::ONLY);
        if let Some(name) = self.name() {
            self.object("TABLE", name, Part::On);
        }
    }

    fn create_trigger(&mut self) {
        self.target_name(kinds::TRIGGER);
        while !self.at_end() && self.word() != Word::ON {
            self.bump();
        }
        self.on_table();
        if self.eat(Word::FROM)
            && let Some(name) = self.name()
        {
            self.object("TABLE", name, Part::Mentioned);
        }
        while !self.at_end() {
            if self.word().is_in(&[Word::FUNCTION, Word::PROCEDURE]) && self.at.last().word == Word::EXECUTE {
                self.bump();
                if let Some(name) = self.name() {
                    self.object("FUNCTION", name, Part::Mentioned);
                }
                return;
            }
            if !self.is(Engine::Postgres) && self.word().is_in(&[Word::EACH, Word::AS, Word::BEGIN]) {
                return self.opaque_to_the_end();
            }
            self.bump();
        }
    }

    /// `CREATE RULE r AS ON SELECT TO t WHERE … DO INSTEAD (a; b)`
    fn create_rule(&mut self) {
        self.target_name(kinds::RULE);
        while !self.at_end() && self.word() != Word::TO {
            self.bump();
        }
        if self.eat(Word::TO)
            && let Some(table) = self.name()
        {
            self.object("TABLE", table, Part::On);
        }
        self.without_running(|read| {
            while !read.at_end() && !read.eat(Word::DO) {
                if read.kind() == Kind::Open { read.parentheses() } else { read.bump() }
            }
            read.eat_all(&[Word::ALSO, Word::INSTEAD]);
            read.rule_actions();
        });
    }

    fn rule_actions(&mut self) {
        if self.kind() != Kind::Open || self.at.next().word == Word::SELECT {
            if self.at_plannable() {
                self.plannable();
            }
            return;
        }
        self.bump();
        while self.kind() != Kind::End && self.kind() != Kind::Close {
            if self.at_plannable() {
                self.plannable();
            }
            while !matches!(self.kind(), Kind::Semicolon | Kind::End | Kind::Close) {
                self.expression(0);
                if self.kind() == Kind::Close {
                    break;
                }
            }
            self.eat_kind(Kind::Semicolon);
        }
        self.eat_kind(Kind::Close);
    }

    /// CREATE or ALTER: `p ON t … TO roles USING (…) WITH CHECK (…)`.
    pub(super) fn policy(&mut self) {
        self.target_name(kinds::POLICY);
        self.on_table();
        while !self.at_end() {
            match self.word() {
                Word::RENAME => return self.alterations(kinds::POLICY),
                Word::TO => {
                    self.bump();
                    self.accounts(Who::For);
                }
                _ if self.kind() == Kind::Open => self.without_running(Self::parentheses),
                _ => self.bump(),
            }
        }
    }

    fn create_routine(&mut self, kind: ObjectKind) {
        self.eat(Word::BODY);
        self.target_name(kind);
        self.doubt(Doubts::OPAQUE);
        if !self.is(Engine::Postgres) {
            return self.opaque_to_the_end();
        }
        while !self.at_end() {
            match (self.word(), self.next_word()) {
                (Word::BEGIN, Word::ATOMIC) => return self.atomic_body(),
                (Word::SECURITY, Word::DEFINER) => self.option(Options::SECURITY_DEFINER),
                (Word::SET, _) => {
                    self.bump();
                    self.routine_setting();
                    continue;
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// `SET x TO y` of a function: what follows y is not told from it, so only the name is noted.
    pub(super) fn routine_setting(&mut self) {
        let parameter = self.now().span;
        if self.kind() == Kind::Word && self.next_word().is_in(&[Word::TO, Word::FROM])
            || self.at.next().kind == Kind::Equals
        {
            self.bump();
            self.bump();
            let value = crate::reading::Value::Text(self.here());
            self.setting(crate::reading::Setting { scope: Scope::Other, parameter, canonical: "", value });
        }
    }

    /// `BEGIN ATOMIC … END`, with statements and their semicolons inside.
    fn atomic_body(&mut self) {
        let mut depth = 0usize;
        while self.kind() != Kind::End {
            match self.word() {
                Word::BEGIN | Word::CASE => depth += 1,
                Word::END => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.bump();
            if depth == 0 {
                return;
            }
        }
        self.doubt(Doubts::CUT);
    }

    /// `CREATE SCHEMA s AUTHORIZATION r`, and what is made in it by the same statement.
    fn create_schema(&mut self) {
        self.if_exists();
        if self.word() != Word::AUTHORIZATION
            && let Some(name) = self.name()
        {
            self.object("SCHEMA", name, Part::Target);
        } else if self.word() == Word::AUTHORIZATION
            && matches!(self.at.next().kind, Kind::Word | Kind::Quoted)
            && !self.next_word().is_in(&[Word::CURRENT_ROLE, Word::CURRENT_USER, Word::SESSION_USER])
        {
            // It is named after its owner. Who the current user is the text does not say.
            self.object("SCHEMA", Name::of(self.at.next().span), Part::Target);
        }
        if self.eat(Word::AUTHORIZATION) {
            self.accounts(Who::Owner);
        }
        while !self.at_end() {
            match self.word() {
                Word::CREATE => self.create_element(),
                Word::GRANT => return self.grant(),
                _ => self.bump(),
            }
        }
    }

    /// One of the things made together with a schema, up to the next.
    fn create_element(&mut self) {
        self.bump();
        self.create_words();
        let Some(kind) = self.object_kind() else { return };
        if kind.name == kinds::VIEW.name {
            return self.create_view(kind);
        }
        self.target_name(kind);
        if kind.name == kinds::INDEX.name || kind.name == kinds::TRIGGER.name {
            while !self.at_end() && self.word() != Word::ON {
                self.bump();
            }
            self.on_table();
        }
        while !self.at_end() && !self.word().is_in(&[Word::CREATE, Word::GRANT]) {
            if self.kind() == Kind::Open { self.parentheses() } else { self.bump() }
        }
    }

    /// `FOR TABLE a, b`, `FOR TABLES IN SCHEMA s`; ALTER: `ADD TABLE`, `SET TABLE`, `DROP TABLE`.
    fn create_publication(&mut self) {
        self.target_name(kinds::PUBLICATION);
        self.published();
    }

    pub(super) fn published(&mut self) {
        while !self.at_end() {
            match self.word() {
                Word::TABLE => {
                    self.bump();
                    self.published_tables();
                }
                Word::TABLES if self.next_word() == Word::IN => {
                    (0..3).for_each(|_| self.bump());
                    self.names(|read, name| read.object("SCHEMA", name, Part::Mentioned));
                }
                Word::OWNER if self.next_word() == Word::TO => return self.alterations(kinds::PUBLICATION),
                Word::RENAME => return self.alterations(kinds::PUBLICATION),
                _ => self.bump(),
            }
        }
    }

    fn published_tables(&mut self) {
        loop {
            self.eat_all(&[Word::ONLY, Word::TABLE]);
            if self.word() == Word::TABLES && self.next_word() == Word::IN {
                return;
            }
            let Some(name) = self.name() else { return };
            self.object("TABLE", name, Part::Mentioned);
            self.eat_kind(Kind::Star);
            if self.kind() == Kind::Open {
                self.parentheses();
            }
            if self.eat(Word::WHERE) {
                self.without_running(Self::parentheses);
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    fn create_subscription(&mut self) {
        self.target_name(kinds::SUBSCRIPTION);
        self.transfer(Transfer { direction: Direction::In, means: Means::Remote, target: Span::NONE });
    }

    fn create_statistics(&mut self) {
        self.if_exists();
        let name = if self.word() == Word::ON || self.kind() == Kind::Open { None } else { self.name() };
        self.object("STATISTICS", name.unwrap_or(Name::NONE), Part::Target);
        self.expression(super::expression::AT_CLAUSE);
        if self.eat(Word::FROM) {
            self.statistics_of();
        }
    }

    /// One table; whatever else the grammar lets stand there is refused later. A name before `(` is a function.
    fn statistics_of(&mut self) {
        if let Some(name) = self.name()
            && self.kind() != Kind::Open
        {
            self.object("TABLE", name, Part::On);
        }
    }
}
