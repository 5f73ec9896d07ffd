//! Statements that set parameters: SET, RESET, ALTER SYSTEM, `ALTER … SET`, `set_config()`; and SHOW.

use super::Read;
use super::expression::{AT_CLAUSE, AT_COMMA};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::reading::{Scope, Setting, Value, Who};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    pub(super) fn set_family(&mut self) {
        match self.word() {
            Word::SET if self.is(Engine::Mysql) => self.mysql_set(),
            Word::SET => self.set(),
            Word::RESET => self.reset(),
            _ => {
                self.action("SHOW");
                self.bump();
            }
        }
    }

    fn set(&mut self) {
        use Word::*;
        self.bump();
        match (self.word(), self.next_word()) {
            (CONSTRAINTS | CONSTRAINT, _) => return self.action("SET CONSTRAINTS"),
            (TRANSACTION, _) => return self.transaction_modes("SET TRANSACTION", Scope::Transaction),
            (SESSION, CHARACTERISTICS) => return self.transaction_modes("SET SESSION CHARACTERISTICS", Scope::Session),
            (ROLE, _) => return self.set_role(Scope::Session),
            (IDENTITY_INSERT, _) => return self.action("SET IDENTITY_INSERT"),
            _ => {}
        }
        let scope = match self.word() {
            SESSION if self.next_word() == AUTHORIZATION => Scope::Session,
            SESSION if self.at.next().kind != Kind::Equals && self.next_word() != TO => {
                self.bump();
                Scope::Session
            }
            LOCAL => {
                self.bump();
                Scope::Transaction
            }
            _ => Scope::Session,
        };
        match self.word() {
            ROLE if self.at.next().kind != Kind::Equals => self.set_role(scope),
            SESSION => self.set_authorization(),
            AUTHORIZATION if self.at.last().word == SESSION => self.set_authorization(),
            _ => {
                self.action("SET");
                self.assignment(scope);
            }
        }
    }

    fn transaction_modes(&mut self, action: &'static str, scope: Scope) {
        self.action(action);
        let from = self.now().span;
        self.pass_to_end();
        let value = from.to(self.at.last().span);
        self.setting(Setting {
            scope,
            parameter: Span::NONE,
            canonical: "transaction_characteristics",
            value: Value::Text(value),
        });
    }

    fn pass_to_end(&mut self) {
        while !self.at_end() {
            self.bump();
        }
    }

    /// `SET ROLE x`, `SET ROLE NONE`; MySQL also DEFAULT, ALL and lists.
    fn set_role(&mut self, scope: Scope) {
        self.action("SET ROLE");
        self.bump();
        self.eat(Word::TO);
        let value = match self.word() {
            Word::NONE => Value::Off,
            Word::DEFAULT => Value::Default,
            _ => Value::Text(self.here()),
        };
        self.setting(Setting { scope, parameter: Span::NONE, canonical: "role", value });
        if matches!(value, Value::Text(_)) && self.word() != Word::ALL {
            self.accounts(Who::Subject);
        }
    }

    fn set_authorization(&mut self) {
        self.action("SET SESSION AUTHORIZATION");
        self.eat(Word::SESSION);
        self.eat(Word::AUTHORIZATION);
        let value = if self.word() == Word::DEFAULT { Value::Default } else { Value::Text(self.here()) };
        self.setting(Setting {
            scope: Scope::Session,
            parameter: Span::NONE,
            canonical: "session_authorization",
            value,
        });
        if matches!(value, Value::Text(_)) {
            self.accounts(Who::Subject);
        }
    }

    fn reset(&mut self) {
        self.bump();
        match (self.word(), self.next_word()) {
            (Word::ROLE, _) => {
                self.action("RESET ROLE");
                self.bump();
                self.setting(reset("role", Scope::Session));
            }
            (Word::SESSION, Word::AUTHORIZATION) => {
                self.action("RESET SESSION AUTHORIZATION");
                self.bump();
                self.bump();
                self.setting(reset("session_authorization", Scope::Session));
            }
            _ => {
                self.action("RESET");
                self.reset_parameter(Scope::Session);
            }
        }
    }

    /// What follows RESET: a parameter, ALL, or TIME ZONE.
    pub(super) fn reset_parameter(&mut self, scope: Scope) {
        if self.eat_two(Word::TIME, Word::ZONE) {
            return self.setting(reset("timezone", scope));
        }
        let parameter = self.parameter();
        self.setting(Setting { scope, parameter, canonical: "", value: Value::Default });
    }

    /// `app.user` as a whole; ALL.
    fn parameter(&mut self) -> Span {
        let mut parameter = self.here();
        if self.at_end() {
            return Span::NONE;
        }
        self.bump();
        while self.kind() == Kind::Dot {
            self.bump();
            parameter = parameter.to(self.now().span);
            self.bump();
        }
        parameter
    }

    /// `parameter {TO | =} value`, and the forms of the standard.
    pub(super) fn assignment(&mut self, scope: Scope) {
        use Word::*;
        let own_form = match (self.word(), self.next_word()) {
            (TIME, ZONE) => Some((2, "timezone")),
            (XML, OPTION) => Some((2, "xmloption")),
            (NAMES, _) => Some((1, "client_encoding")),
            (SCHEMA, _) if self.at.next().kind == Kind::String => Some((1, "search_path")),
            (CATALOG, _) if self.at.next().kind == Kind::String => Some((1, "catalog")),
            _ => None,
        };
        if let Some((words, canonical)) = own_form {
            (0..words).for_each(|_| self.bump());
            let value = self.setting_value();
            return self.setting(Setting { scope, parameter: Span::NONE, canonical, value });
        }
        let parameter = self.parameter();
        if !self.eat(TO) && !self.eat_kind(Kind::Equals) && self.eat_two(FROM, CURRENT) {
            return self.setting(Setting { scope, parameter, canonical: "", value: Value::Current });
        }
        let value = self.setting_value();
        self.setting(Setting { scope, parameter, canonical: "", value });
    }

    /// Up to the end of the statement: a value or a list of values.
    fn setting_value(&mut self) -> Value {
        if self.word() == Word::DEFAULT {
            self.bump();
            return Value::Default;
        }
        let from = self.now().span;
        if self.at_end() {
            return Value::Text(Span::NONE);
        }
        match self.dialect.engine {
            Engine::Tsql => self.expression(AT_CLAUSE),
            // `SCOPE = SPFILE` and the like follow.
            Engine::Oracle => self.bump(),
            _ => self.pass_to_end(),
        }
        Value::Text(from.to(self.at.last().span))
    }

    /// `ALTER SYSTEM`; Oracle has more forms of it.
    pub(super) fn alter_system(&mut self) {
        self.action("ALTER SYSTEM");
        self.bump();
        if self.eat(Word::SET) {
            self.assignment(Scope::Persistent);
        } else if self.eat(Word::RESET) {
            self.reset_parameter(Scope::Persistent);
        }
    }

    /// Inside the parentheses of `set_config('name', value, local)`.
    pub(super) fn set_config(&mut self) {
        if self.kind() != Kind::String {
            return;
        }
        let parameter = self.here();
        self.bump();
        if !self.eat_kind(Kind::Comma) {
            return;
        }
        let from = self.now().span;
        let is_null = self.word() == Word::NULL;
        self.expression(AT_COMMA);
        let value = from.to(self.at.last().span);
        if !self.eat_kind(Kind::Comma) || value.is_empty() {
            return;
        }
        let scope = match self.word() {
            Word::TRUE => Scope::Transaction,
            Word::FALSE => Scope::Session,
            _ => Scope::Other,
        };
        let value = if is_null { Value::Null } else { Value::Text(value) };
        self.setting(Setting { scope, parameter, canonical: "", value });
    }
}

fn reset(canonical: &'static str, scope: Scope) -> Setting {
    Setting { scope, parameter: Span::NONE, canonical, value: Value::Default }
}

/// MySQL's SET, which sets many things at once.
impl Read<'_, '_> {
    fn mysql_set(&mut self) {
        use Word::*;
        self.bump();
        match (self.word(), self.next_word()) {
            (PASSWORD, _) => return self.set_password(),
            (ROLE, _) => return self.set_role(Scope::Session),
            (DEFAULT, ROLE) => return self.set_default_role(),
            (TRANSACTION, _) => return self.transaction_modes("SET TRANSACTION", Scope::Transaction),
            (GLOBAL, TRANSACTION) => return self.transaction_modes("SET TRANSACTION", Scope::Server),
            (SESSION | LOCAL, TRANSACTION) => return self.transaction_modes("SET TRANSACTION", Scope::Session),
            (STATEMENT, _) => return self.set_statement(),
            _ => self.action("SET"),
        }
        let mut scope = Scope::Session;
        loop {
            scope = self.mysql_assignment(scope);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// One of them. GLOBAL and the like hold for those that follow, too.
    fn mysql_assignment(&mut self, before: Scope) -> Scope {
        use Word::*;
        let scope = match self.word() {
            _ if matches!(self.at.next().kind, Kind::Equals | Kind::Assign | Kind::Dot) => before,
            GLOBAL => Scope::Server,
            PERSIST | PERSIST_ONLY => Scope::Persistent,
            SESSION | LOCAL => Scope::Session,
            NAMES => return self.mysql_names("names", 1),
            CHARACTER if self.next_word() == SET => return self.mysql_names("character_set", 2),
            CHARSET => return self.mysql_names("character_set", 1),
            _ => before,
        };
        if scope != before
            || self.word().is_in(&[GLOBAL, PERSIST, PERSIST_ONLY, SESSION, LOCAL]) && self.at.next().kind == Kind::Word
        {
            self.bump();
        }
        let (one, parameter) = if self.kind() == Kind::Variable { self.variable() } else { (scope, self.parameter()) };
        if !self.eat_kind(Kind::Equals) && !self.eat_kind(Kind::Assign) {
            self.expression(AT_COMMA);
            return scope;
        }
        let from = self.now().span;
        let is_default = self.word() == DEFAULT;
        self.expression(AT_COMMA);
        let value = if is_default { Value::Default } else { Value::Text(from.to(self.at.last().span)) };
        self.setting(Setting { scope: one, parameter, canonical: "", value });
        scope
    }

    fn mysql_names(&mut self, canonical: &'static str, words: usize) -> Scope {
        (0..words).for_each(|_| self.bump());
        let from = self.now().span;
        self.expression(AT_COMMA);
        let value = Value::Text(from.to(self.at.last().span));
        self.setting(Setting { scope: Scope::Session, parameter: Span::NONE, canonical, value });
        Scope::Session
    }

    /// `@x` is the user's own; `@@x`, `@@global.x` the server's.
    fn variable(&mut self) -> (Scope, Span) {
        let span = self.now().span;
        let text = span.of(self.at.text);
        self.bump();
        let Some(name) = text.strip_prefix(b"@@") else {
            return (Scope::Other, span);
        };
        let (qualifier, rest) = match name.iter().position(|byte| *byte == b'.') {
            Some(dot) => (&name[..dot], dot as u32 + 1),
            None => (&name[..0], 0),
        };
        let (scope, skip) = match Word::of(qualifier) {
            Word::GLOBAL => (Scope::Server, rest),
            Word::PERSIST | Word::PERSIST_ONLY => (Scope::Persistent, rest),
            Word::SESSION | Word::LOCAL => (Scope::Session, rest),
            _ => (Scope::Session, 0),
        };
        (scope, Span::new(span.start + 2 + skip, span.end))
    }

    /// MariaDB: `SET STATEMENT x = 1 FOR statement`.
    fn set_statement(&mut self) {
        self.bump();
        loop {
            let parameter = self.parameter();
            self.eat_kind(Kind::Equals);
            let from = self.now().span;
            self.expression(AT_COMMA | AT_CLAUSE);
            let value = Value::Text(from.to(self.at.last().span));
            self.setting(Setting { scope: Scope::Transaction, parameter, canonical: "", value });
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        if self.eat(Word::FOR) {
            self.read_statement();
        }
        if self.statement.action.is_empty() {
            self.action("SET");
        }
    }
}
