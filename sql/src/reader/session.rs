//! Statements about the session: plans, prepared statements, cursors, calls, transactions.

use super::Read;
use super::expression::AT_CLAUSE;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::reading::{Doubts, Options, Part, Scope, Setting, Value, Who};
use crate::words::Word;

/// Statements that hold others or run them.
impl Read<'_, '_> {
    pub(super) fn session_statement(&mut self) {
        match self.word() {
            Word::EXPLAIN | Word::DESCRIBE | Word::DESC => self.explain(),
            Word::PREPARE => self.prepare(),
            Word::EXECUTE | Word::EXEC => self.execute(),
            Word::DEALLOCATE => self.one_or_all("DEALLOCATE", "DEALLOCATE ALL"),
            Word::DECLARE => self.declare(),
            Word::FETCH => self.simple("FETCH"),
            Word::MOVE => self.simple("MOVE"),
            Word::CLOSE => self.one_or_all("CLOSE CURSOR", "CLOSE CURSOR ALL"),
            Word::CALL => self.call(),
            _ => {
                self.simple("DO");
                // MySQL's DO evaluates an expression.
                if !self.is(Engine::Mysql) {
                    self.doubt(Doubts::OPAQUE);
                }
            }
        }
    }

    fn one_or_all(&mut self, one: &'static str, all: &'static str) {
        self.bump();
        self.eat(Word::PREPARE);
        self.action(if self.word() == Word::ALL { all } else { one });
    }

    pub(super) fn simple(&mut self, action: &'static str) {
        self.action(action);
        self.bump();
    }

    fn explain(&mut self) {
        self.simple("EXPLAIN");
        let mut runs = false;
        loop {
            match self.word() {
                Word::ANALYZE | Word::ANALYSE => runs = true,
                Word::VERBOSE | Word::EXTENDED | Word::PARTITIONS => {}
                Word::FORMAT if self.at.next().kind == Kind::Equals => {
                    self.bump();
                    self.bump();
                }
                Word::PLAN if self.is(Engine::Oracle) => return self.explain_plan(),
                _ => break,
            }
            self.bump();
        }
        if self.kind() == Kind::Open && !self.at_query_in_parentheses() {
            runs |= self.explain_options();
        }
        if runs {
            self.option(Options::ANALYZE);
            self.explained();
        } else {
            self.without_running(Self::explained);
        }
    }

    fn at_query_in_parentheses(&self) -> bool {
        self.at.next().word.is_in(&[Word::SELECT, Word::WITH, Word::VALUES, Word::TABLE])
            || self.at.next().kind == Kind::Open
    }

    /// `(ANALYZE, VERBOSE false)`: whether the statement runs.
    fn explain_options(&mut self) -> bool {
        let mut runs = false;
        while !self.at_end() && self.kind() != Kind::Close {
            if self.word().is_in(&[Word::ANALYZE, Word::ANALYSE]) {
                let value = self.at.next().span.of(self.at.text);
                let off = [&b"off"[..], b"false", b"0", b"'off'", b"'false'", b"'0'", b"no"];
                runs = !off.iter().any(|word| word.eq_ignore_ascii_case(value));
            }
            self.bump();
        }
        self.eat_kind(Kind::Close);
        runs
    }

    fn explained(&mut self) {
        match self.word() {
            Word::CREATE => self.create(),
            Word::REFRESH => self.upkeep(),
            Word::EXECUTE => self.execute(),
            Word::DECLARE => self.declare(),
            _ if self.at_plannable() => self.plannable(),
            // MySQL's DESCRIBE of a table.
            _ => {
                if let Some(name) = self.name() {
                    self.object("TABLE", name, Part::Target);
                }
            }
        }
    }

    fn explain_plan(&mut self) {
        while !self.at_end() && !self.eat(Word::FOR) {
            self.bump();
        }
        self.without_running(Self::explained);
    }

    fn prepare(&mut self) {
        self.bump();
        if self.eat(Word::TRANSACTION) {
            return self.action("PREPARE TRANSACTION");
        }
        self.action("PREPARE");
        if let Some(name) = self.name() {
            self.object("PREPARED STATEMENT", name, Part::Target);
        }
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        if self.eat(Word::FROM) {
            // MySQL: the statement is a string or a variable.
            self.doubt(Doubts::OPAQUE);
        } else if self.eat(Word::AS) && self.at_plannable() {
            self.without_running(Self::plannable);
        }
    }

    fn execute(&mut self) {
        if self.is(Engine::Tsql) {
            return self.tsql_execute();
        }
        self.simple("EXECUTE");
        if self.eat(Word::IMMEDIATE) {
            return self.doubt(Doubts::OPAQUE);
        }
        if let Some(name) = self.name() {
            self.object("PREPARED STATEMENT", name, Part::Target);
        }
    }

    fn tsql_execute(&mut self) {
        if self.next_word() == Word::AS {
            return self.execute_as();
        }
        self.simple("EXECUTE");
        if self.kind() == Kind::Variable && self.at.next().kind == Kind::Equals {
            self.bump();
            self.bump();
        }
        let procedure = self.word();
        match self.name() {
            Some(name) => {
                self.object("PROCEDURE", name, Part::Target);
                let word = if procedure == Word::Other { self.at.last().word } else { procedure };
                self.system_procedure(word);
            }
            None => self.doubt(Doubts::OPAQUE),
        }
        self.expression(AT_CLAUSE);
    }

    /// `EXECUTE AS USER = 'bob'`
    fn execute_as(&mut self) {
        self.simple("EXECUTE AS");
        self.bump();
        self.eat_all(&[Word::USER, Word::LOGIN]);
        self.eat_kind(Kind::Equals);
        self.accounts(Who::Subject);
    }

    /// Procedures of the system that change rights or settings, or run code that is a string.
    fn system_procedure(&mut self, procedure: Word) {
        use Word::*;
        match procedure {
            SP_ADDSRVROLEMEMBER | SP_DROPSRVROLEMEMBER => {
                self.one_account(Who::Member);
                self.one_account(Who::Role);
            }
            SP_ADDROLEMEMBER | SP_DROPROLEMEMBER => {
                self.one_account(Who::Role);
                self.one_account(Who::Member);
            }
            SP_CONFIGURE if self.kind() == Kind::String => {
                let parameter = self.string();
                self.eat_kind(Kind::Comma);
                let value = Value::Text(self.here());
                self.setting(Setting { scope: Scope::Server, parameter, canonical: "", value });
            }
            SP_EXECUTESQL | XP_CMDSHELL => self.doubt(Doubts::OPAQUE),
            _ => {}
        }
    }

    fn one_account(&mut self, who: Who) {
        if self.kind() == Kind::Variable && self.at.next().kind == Kind::Equals {
            self.bump();
            self.bump();
        }
        if let Some((name, host)) = self.account() {
            self.principal(name, host, who);
        }
        self.eat_kind(Kind::Comma);
    }

    fn declare(&mut self) {
        if self.is(Engine::Oracle) {
            // An anonymous block.
            self.simple("DO");
            return self.opaque_to_the_end();
        }
        if self.at.next().kind == Kind::Variable {
            self.simple("DECLARE");
            return self.expression(AT_CLAUSE);
        }
        self.simple("DECLARE CURSOR");
        if let Some(name) = self.name() {
            self.object("CURSOR", name, Part::Target);
        }
        while !self.at_end() && self.word() != Word::FOR {
            self.bump();
        }
        if self.eat(Word::FOR) && self.at_plannable() {
            self.plannable();
        }
    }

    /// Code that is not looked into, up to the end of the text.
    pub(super) fn opaque_to_the_end(&mut self) {
        self.doubt(Doubts::OPAQUE);
        while self.kind() != Kind::End {
            self.bump();
        }
    }

    fn call(&mut self) {
        self.simple("CALL");
        if let Some(name) = self.name() {
            self.object("PROCEDURE", name, Part::Target);
        }
    }
}

/// Transactions and other acts on the session.
impl Read<'_, '_> {
    pub(super) fn transaction(&mut self) {
        let first = self.word();
        if first == Word::BEGIN && self.is_block() {
            self.simple("DO");
            return self.opaque_to_the_end();
        }
        self.bump();
        let action = match (first, self.word()) {
            (Word::START, Word::TRANSACTION) => "START TRANSACTION",
            (Word::START, Word::GROUP_REPLICATION | Word::REPLICA | Word::SLAVE) => "START REPLICA",
            (Word::COMMIT, Word::PREPARED) => "COMMIT PREPARED",
            (Word::ROLLBACK, Word::PREPARED) => "ROLLBACK PREPARED",
            (Word::START, _) => "START",
            // The end of a block.
            (Word::END, _) if !self.is(Engine::Postgres) => "END",
            (Word::COMMIT | Word::END, _) => "COMMIT",
            (Word::ROLLBACK | Word::ABORT, _) => "ROLLBACK",
            (Word::SAVEPOINT | Word::SAVE, _) => "SAVEPOINT",
            (Word::RELEASE, _) => "RELEASE",
            (Word::DISCARD, Word::PLANS) => "DISCARD PLANS",
            (Word::DISCARD, Word::SEQUENCES) => "DISCARD SEQUENCES",
            (Word::DISCARD, Word::TEMP | Word::TEMPORARY) => "DISCARD TEMP",
            (Word::DISCARD, _) => "DISCARD ALL",
            (Word::USE, _) => return self.use_database(),
            (Word::XA, _) => "XA",
            _ => "BEGIN",
        };
        self.action(action);
    }

    /// Whether BEGIN opens a block of code: in Oracle always, in T-SQL unless a transaction follows.
    fn is_block(&self) -> bool {
        match self.dialect.engine {
            Engine::Oracle => true,
            Engine::Tsql => !self.next_word().is_in(&[Word::TRAN, Word::TRANSACTION, Word::DISTRIBUTED]),
            Engine::Mysql => {
                self.next_word() == Word::NOT
                    || !(self.next_word() == Word::WORK || matches!(self.at.next().kind, Kind::End | Kind::Semicolon))
            }
            Engine::Postgres => false,
        }
    }

    fn use_database(&mut self) {
        self.action("USE");
        if let Some(name) = self.name() {
            self.object("DATABASE", name, Part::Target);
        }
    }

    /// MySQL: `IF … END IF` and other blocks that stand alone. T-SQL: the condition; what it guards comes as statements of their own.
    pub(super) fn block(&mut self) {
        self.simple(self.word().name());
        if self.is(Engine::Tsql) { self.expression(AT_CLAUSE) } else { self.opaque_to_the_end() }
    }
}
