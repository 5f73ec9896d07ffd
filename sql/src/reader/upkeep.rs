//! Statements on tables and schemas as a whole: TRUNCATE, LOCK, COMMENT, VACUUM and their like.

use super::Read;
use super::kinds;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Direction, Doubts, Means, Options, Part, Transfer, Who};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    pub(super) fn upkeep(&mut self) {
        match self.word() {
            Word::TRUNCATE => self.truncate(),
            Word::LOCK | Word::UNLOCK => self.lock(),
            Word::COMMENT => self.comment(),
            Word::SECURITY => self.security_label(),
            Word::REFRESH => self.refresh(),
            Word::REINDEX => self.reindex(),
            Word::IMPORT => self.import(),
            Word::REASSIGN => self.reassign(),
            Word::RENAME => self.rename(),
            Word::PURGE => self.simple("PURGE"),
            Word::FLASHBACK => self.simple("FLASHBACK"),
            _ => self.maintain(),
        }
    }

    fn truncate(&mut self) {
        self.simple("TRUNCATE TABLE");
        self.eat(Word::TABLE);
        self.tables(Access::Truncate);
    }

    /// `[ONLY] t [*], …`
    fn tables(&mut self, access: Access) {
        loop {
            self.eat(Word::ONLY);
            let inside = self.eat_kind(Kind::Open);
            let Some(name) = self.name() else { return };
            self.relation(name, access);
            self.eat_kind(Kind::Star);
            if inside {
                self.eat_kind(Kind::Close);
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    fn lock(&mut self) {
        if self.eat(Word::UNLOCK) {
            return self.action("UNLOCK TABLES");
        }
        self.simple("LOCK TABLE");
        let mysql = self.is(Engine::Mysql);
        if !self.eat(Word::TABLE) && mysql {
            self.eat(Word::TABLES);
        }
        if !mysql {
            return self.tables(Access::Lock);
        }
        while let Some(name) = self.name() {
            self.relation(name, Access::Lock);
            self.expression(super::expression::AT_COMMA);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    fn comment(&mut self) {
        self.simple("COMMENT");
        self.eat(Word::ON);
        self.commented();
    }

    fn security_label(&mut self) {
        self.simple("SECURITY LABEL");
        self.eat(Word::LABEL);
        if self.eat(Word::FOR) {
            self.bump();
        }
        self.eat(Word::ON);
        self.commented();
    }

    /// `kind name`, with the table of a column, a constraint, a trigger, a rule, a policy.
    fn commented(&mut self) {
        let Some(kind) = self.object_kind() else { return self.doubt(Doubts::UNSURE) };
        match kind.name {
            "COLUMN" => {
                if let Some(name) = self.name() {
                    self.column(name);
                }
            }
            "ROLE" => self.accounts(Who::Subject),
            _ => self.one_object(kind),
        }
    }

    /// `t.c`, `s.t.c`: the column and its table.
    fn column(&mut self, name: Name) {
        let table = if self.is(Engine::Mysql) {
            Name::of(name.database)
        } else {
            Name { object: name.schema, schema: name.database, database: name.server, server: Span::NONE }
        };
        self.object("COLUMN", Name::of(name.object), Part::Target);
        self.object("TABLE", table, Part::On);
    }

    fn refresh(&mut self) {
        self.simple("REFRESH MATERIALIZED VIEW");
        self.eat_all(&[Word::MATERIALIZED, Word::VIEW, Word::CONCURRENTLY]);
        if let Some(name) = self.name() {
            self.object("MATERIALIZED VIEW", name, Part::Target);
        }
    }

    fn reindex(&mut self) {
        self.simple("REINDEX");
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        let kind = match self.word() {
            Word::INDEX => "INDEX",
            Word::SCHEMA => "SCHEMA",
            Word::DATABASE | Word::SYSTEM => "DATABASE",
            _ => "TABLE",
        };
        self.bump();
        self.eat(Word::CONCURRENTLY);
        if let Some(name) = self.name() {
            self.object(kind, name, Part::Target);
        }
    }

    /// VACUUM, ANALYZE, CLUSTER, and MySQL's OPTIMIZE, CHECK, REPAIR.
    fn maintain(&mut self) {
        use Word::*;
        let action = match self.word() {
            VACUUM => "VACUUM",
            CLUSTER => "CLUSTER",
            OPTIMIZE => "OPTIMIZE TABLE",
            CHECK => "CHECK TABLE",
            REPAIR => "REPAIR TABLE",
            _ => "ANALYZE",
        };
        self.simple(action);
        if self.is(Engine::Mysql)
            && action == "ANALYZE"
            && (self.word() == FORMAT || (self.word() != TABLE && self.at_plannable()))
        {
            return self.analyze_statement();
        }
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        self.eat_all(&[FULL, FREEZE, VERBOSE, ANALYZE, ANALYSE, LOCAL, NO_WRITE_TO_BINLOG, TABLE, TABLES, ONLY]);
        let Some(first) = self.name() else { return };
        if action == "CLUSTER" && self.eat(ON) {
            // The old form: `CLUSTER index ON table`.
            self.object("INDEX", first, Part::Mentioned);
            if let Some(table) = self.name() {
                self.object("TABLE", table, Part::Target);
            }
            return;
        }
        self.maintained(first);
    }

    /// MariaDB: `ANALYZE [FORMAT=JSON] SELECT …` runs the statement and shows its plan.
    fn analyze_statement(&mut self) {
        if self.eat(Word::FORMAT) {
            self.eat_kind(Kind::Equals);
            self.bump();
        }
        self.option(Options::ANALYZE);
        self.plannable();
    }

    fn maintained(&mut self, first: Name) {
        let mut name = first;
        loop {
            self.object("TABLE", name, Part::Target);
            self.eat_kind(Kind::Star);
            if self.kind() == Kind::Open {
                self.parentheses();
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
            self.eat(Word::ONLY);
            let Some(next) = self.name() else { return };
            name = next;
        }
    }

    fn import(&mut self) {
        self.bump();
        if !self.eat_two(Word::FOREIGN, Word::SCHEMA) {
            return self.action("IMPORT");
        }
        self.action("IMPORT FOREIGN SCHEMA");
        if let Some(remote) = self.name() {
            self.object("FOREIGN SCHEMA", remote, Part::Mentioned);
        }
        while !self.at_end() && self.word() != Word::SERVER && self.word() != Word::INTO {
            self.bump();
        }
        if self.eat(Word::SERVER)
            && let Some(server) = self.name()
        {
            self.object("SERVER", server, Part::Mentioned);
        }
        if self.eat(Word::INTO)
            && let Some(local) = self.name()
        {
            self.object("SCHEMA", local, Part::Target);
        }
        self.transfer(Transfer { direction: Direction::In, means: Means::Remote, target: Span::NONE });
    }

    fn reassign(&mut self) {
        self.simple("REASSIGN OWNED");
        self.eat_all(&[Word::OWNED, Word::BY]);
        self.accounts(Who::Subject);
        if self.eat(Word::TO) {
            self.accounts(Who::Owner);
        }
    }

    /// MySQL: `RENAME TABLE a TO b, …`, `RENAME USER a TO b, …`; Oracle: `RENAME a TO b`.
    fn rename(&mut self) {
        self.bump();
        if self.eat(Word::USER) {
            self.action("RENAME USER");
            return self.renamed_accounts();
        }
        self.action("RENAME TABLE");
        self.eat_all(&[Word::TABLE, Word::TABLES]);
        self.if_exists();
        while let Some(old) = self.name() {
            self.object(kinds::TABLE.name, old, Part::Target);
            while !self.at_end() && !self.eat(Word::TO) {
                self.bump();
            }
            if let Some(new) = self.name() {
                self.object(kinds::TABLE.name, new, Part::Becomes);
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }
}
