//! DROP and ALTER, and an object by its name as COMMENT ON and the like have it.

use super::Read;
use super::kinds::{self, ObjectKind};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Doubts, Options, Part, Scope, Who};
use crate::words::Word;

/// One object by name, as COMMENT ON and the like have it: with its arguments, or with its table.
impl Read<'_, '_> {
    pub(super) fn one_object(&mut self, kind: ObjectKind) {
        match kind.name {
            "CAST" | "TRANSFORM" => return self.nameless_object(kind),
            "OPERATOR" => return self.operator_name(kind, Part::Target),
            "LARGE OBJECT" => {
                let oid = Name::of(self.here());
                return self.object(kind.name, oid, Part::Target);
            }
            _ => {}
        }
        if self.target_name(kind).is_none() {
            return;
        }
        if self.kind() == Kind::Open {
            self.parentheses();
        }
        if matches!(kind.name, "CONSTRAINT" | "TRIGGER" | "RULE" | "POLICY" | "INDEX") && self.word() == Word::ON {
            let is_domain = self.next_word() == Word::DOMAIN && self.at.after_next().kind == Kind::Word;
            if is_domain {
                self.bump();
                self.bump();
                if let Some(name) = self.name() {
                    self.object("DOMAIN", name, Part::On);
                }
            } else {
                self.on_table();
            }
        }
    }
}

/// DROP.
impl Read<'_, '_> {
    pub(super) fn drop_objects(&mut self) {
        self.bump();
        if self.eat_two(Word::OWNED, Word::BY) {
            self.action("DROP OWNED");
            self.accounts(Who::Subject);
            return self.drop_options();
        }
        self.eat_all(&[Word::TEMPORARY, Word::PUBLIC]);
        let Some(kind) = self.object_kind() else {
            self.action("DROP");
            return self.doubt(Doubts::UNSURE);
        };
        self.action(kind.drop);
        if Self::is_account(kind) {
            return self.drop_account();
        }
        if kind.name == "USER MAPPING" {
            return self.user_mapping();
        }
        self.eat(Word::CONCURRENTLY);
        self.if_exists();
        loop {
            self.one_object(kind);
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        self.drop_options();
    }

    fn drop_options(&mut self) {
        while !self.at_end() {
            if self.word() == Word::CASCADE {
                self.option(Options::CASCADE);
            }
            self.bump();
        }
    }
}

/// ALTER.
impl Read<'_, '_> {
    pub(super) fn alter(&mut self) {
        self.bump();
        match (self.word(), self.next_word()) {
            (Word::SYSTEM, _) => return self.alter_system(),
            (Word::DEFAULT, Word::PRIVILEGES) => return self.alter_default_privileges(),
            (Word::SESSION, _) => {
                self.action("ALTER SESSION");
                self.bump();
                if self.eat(Word::SET) {
                    self.assignment(Scope::Session);
                }
                return;
            }
            _ => {}
        }
        self.create_words();
        let Some(kind) = self.object_kind() else {
            self.action("ALTER");
            return self.doubt(Doubts::UNSURE);
        };
        self.action(kind.alter);
        self.alter_kind(kind);
    }

    fn alter_kind(&mut self, kind: ObjectKind) {
        if Self::is_account(kind) {
            return self.alter_account();
        }
        match kind.name {
            "USER MAPPING" => return self.user_mapping(),
            "POLICY" => return self.policy(),
            "PUBLICATION" => {
                self.target_name(kind);
                return self.published();
            }
            _ => {}
        }
        if self.word() == Word::ALL && self.next_word() == Word::IN {
            // `ALTER TABLE ALL IN TABLESPACE a …`
            (0..3).for_each(|_| self.bump());
            if let Some(name) = self.name() {
                self.object("TABLESPACE", name, Part::On);
            }
            return;
        }
        self.if_exists();
        let inside = self.eat(Word::ONLY) && self.eat_kind(Kind::Open);
        self.one_object(kind);
        if inside {
            self.eat_kind(Kind::Close);
        }
        self.eat_kind(Kind::Star);
        self.alterations(kind);
    }

    /// What is done to the target: only what names another object, an owner or row security.
    pub(super) fn alterations(&mut self, kind: ObjectKind) {
        while !self.at_end() {
            if !self.alteration(kind) {
                if self.kind() == Kind::Open { self.parentheses() } else { self.bump() }
            }
        }
    }

    /// Whether it was one, and went on.
    fn alteration(&mut self, kind: ObjectKind) -> bool {
        use Word::*;
        match (self.word(), self.next_word()) {
            (RENAME, TO) => self.becomes(kind.name, 2),
            (RENAME, _) if self.is(Engine::Mysql) && matches!(self.at.next().kind, Kind::Quoted) => {
                self.becomes(kind.name, 1)
            }
            (OWNER, TO) => {
                self.bump();
                self.bump();
                self.accounts(Who::Owner);
                true
            }
            (SET, SCHEMA) if kind.name != "SCHEMA" => self.becomes("SCHEMA", 2),
            (SET | RESET, _) if kind.name == "DATABASE" && self.is(Engine::Postgres) => self.database_setting(),
            (SET | RESET | SECURITY, _) if is_routine(kind) && self.is(Engine::Postgres) => self.routine_alteration(),
            (ENABLE | DISABLE | FORCE | NO, _) => self.switched(),
            (REFERENCES, _) => self.mentioned_table(1),
            (ATTACH | DETACH, PARTITION) if self.is(Engine::Postgres) => self.attached(),
            (INHERIT, _) => self.mentioned_table(1),
            (SERVER, _) => {
                self.mentioned_server();
                true
            }
            _ => false,
        }
    }

    fn becomes(&mut self, kind: &'static str, words: usize) -> bool {
        (0..words).for_each(|_| self.bump());
        if let Some(name) = self.name() {
            self.object(kind, name, Part::Becomes);
        }
        true
    }

    fn attached(&mut self) -> bool {
        self.bump();
        self.bump();
        let kind = if self.statement.action == kinds::INDEX.alter { "INDEX" } else { "TABLE" };
        if let Some(name) = self.name() {
            self.object(kind, name, Part::Mentioned);
        }
        true
    }

    fn database_setting(&mut self) -> bool {
        // The grammar takes any parameter behind RESET.
        if self.word() == Word::SET && self.next_word() == Word::TABLESPACE {
            return false;
        }
        if self.eat(Word::SET) {
            self.assignment(Scope::Default);
        } else {
            self.bump();
            self.reset_parameter(Scope::Default);
        }
        true
    }

    /// Parameters that a function runs with, and with whose rights.
    fn routine_alteration(&mut self) -> bool {
        match (self.word(), self.next_word()) {
            (Word::SET, _) => {
                self.bump();
                self.routine_setting();
                return true;
            }
            (Word::RESET, _) => {
                self.bump();
                self.reset_parameter(Scope::Other);
                return true;
            }
            (Word::SECURITY, Word::DEFINER) => self.option(Options::SECURITY_DEFINER),
            _ => {}
        }
        self.bump();
        true
    }

    /// Row security, triggers and rules switched on and off.
    fn switched(&mut self) -> bool {
        use Word::*;
        let (first, second) = (self.word(), self.next_word());
        let option = match (first, second) {
            (ENABLE | FORCE, ROW) => Options::ROW_SECURITY_ON,
            (DISABLE, ROW) | (NO, FORCE) => Options::ROW_SECURITY_OFF,
            (DISABLE, TRIGGER | RULE) => Options::TRIGGER_OFF,
            (NO, INHERIT) => {
                self.bump();
                return self.mentioned_table(1);
            }
            _ => return false,
        };
        self.option(option);
        self.bump();
        self.bump();
        true
    }
}

fn is_routine(kind: ObjectKind) -> bool {
    matches!(kind.name, "FUNCTION" | "PROCEDURE" | "ROUTINE")
}
