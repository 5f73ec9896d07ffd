//! Roles, users, logins: who is made, changed or removed, and the attributes that matter.

use super::Read;
use super::kinds::ObjectKind;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Options, Part, Scope, Value, Who};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    /// Whether a kind of object is an account.
    pub(super) fn is_account(kind: ObjectKind) -> bool {
        matches!(kind.name, "ROLE" | "USER" | "LOGIN" | "SERVER ROLE" | "APPLICATION ROLE")
    }

    /// Behind `CREATE ROLE`.
    pub(super) fn create_account(&mut self) {
        self.if_exists();
        self.subjects_with_attributes();
    }

    /// Behind `ALTER ROLE`.
    pub(super) fn alter_account(&mut self) {
        self.if_exists();
        if self.is(Engine::Postgres) && self.word() == Word::ALL {
            self.bump();
            return self.attributes();
        }
        self.subjects_with_attributes();
    }

    /// Behind `DROP ROLE`.
    pub(super) fn drop_account(&mut self) {
        self.if_exists();
        self.accounts(Who::Subject);
        if self.eat(Word::CASCADE) {
            self.option(Options::CASCADE);
        }
    }

    /// Accounts, each with what follows of it. MySQL lists several.
    fn subjects_with_attributes(&mut self) {
        while let Some((name, host)) = self.account() {
            self.principal(name, host, Who::Subject);
            self.credentials();
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        self.attributes();
    }

    /// MySQL and Oracle: `IDENTIFIED BY 'x'`, `IDENTIFIED WITH plugin AS 'hash'`, `IDENTIFIED EXTERNALLY`.
    pub(super) fn credentials(&mut self) {
        use Word::*;
        if !self.eat(IDENTIFIED) {
            return;
        }
        loop {
            match self.word() {
                WITH | VIA if self.at.last().word.is_in(&[IDENTIFIED, OR]) => {
                    self.bump();
                    self.attribute("PLUGIN", Value::Text(self.here()));
                    self.bump();
                }
                BY | AS | USING if self.eat_two(BY, RANDOM) => {
                    self.eat(PASSWORD);
                    self.attribute("PASSWORD", Value::On);
                }
                BY | AS | USING => {
                    self.bump();
                    self.eat_all(&[PASSWORD, VALUES]);
                    self.secret();
                }
                EXTERNALLY | GLOBALLY => {
                    self.attribute("IDENTIFIED EXTERNALLY", Value::On);
                    self.bump();
                    if self.eat(AS) {
                        self.string();
                    }
                }
                REPLACE => {
                    self.bump();
                    self.attribute("OLD PASSWORD", Value::Secret(self.here()));
                    self.bump();
                }
                RETAIN if self.next_word() == CURRENT => (0..3).for_each(|_| self.bump()),
                OR => self.bump(),
                _ => return,
            }
        }
    }

    /// A password here, or `PASSWORD('x')`.
    fn secret(&mut self) {
        if self.word() == Word::PASSWORD {
            self.bump();
        }
        let inside = self.eat_kind(Kind::Open);
        if self.at_end() {
            return;
        }
        self.attribute("PASSWORD", Value::Secret(self.here()));
        self.bump();
        if inside {
            self.eat_kind(Kind::Close);
        }
    }

    fn attributes(&mut self) {
        while !self.at_end() {
            if !self.connection_attribute() && !self.role_attribute() && !self.membership() && !self.role_change() {
                self.bump();
            }
        }
    }

    fn flag(&mut self, name: &'static str, value: Value) -> bool {
        self.attribute(name, value);
        self.bump();
        true
    }

    /// A word that stands for an attribute. Whether it was one.
    fn role_attribute(&mut self) -> bool {
        use Value::{Off, On};
        use Word::*;
        match self.word() {
            SUPERUSER | CREATEUSER => self.flag("SUPERUSER", On),
            NOSUPERUSER | NOCREATEUSER => self.flag("SUPERUSER", Off),
            CREATEDB => self.flag("CREATEDB", On),
            NOCREATEDB => self.flag("CREATEDB", Off),
            CREATEROLE => self.flag("CREATEROLE", On),
            NOCREATEROLE => self.flag("CREATEROLE", Off),
            INHERIT => self.flag("INHERIT", On),
            NOINHERIT => self.flag("INHERIT", Off),
            LOGIN => self.flag("LOGIN", On),
            NOLOGIN => self.flag("LOGIN", Off),
            REPLICATION => self.flag("REPLICATION", On),
            NOREPLICATION => self.flag("REPLICATION", Off),
            BYPASSRLS => self.flag("BYPASSRLS", On),
            NOBYPASSRLS => self.flag("BYPASSRLS", Off),
            CONNECTION if self.next_word() == LIMIT => self.valued("CONNECTION LIMIT", 2),
            VALID if self.next_word() == UNTIL => self.valued("VALID UNTIL", 2),
            SYSID => self.valued("SYSID", 1),
            PASSWORD => self.password(),
            IDENTIFIED => {
                self.credentials();
                true
            }
            ENABLE if self.is(Engine::Tsql) => self.flag("LOGIN", On),
            DISABLE if self.is(Engine::Tsql) => self.flag("LOGIN", Off),
            _ => false,
        }
    }

    /// A value behind so many words, with its sign.
    fn valued(&mut self, name: &'static str, words: usize) -> bool {
        (0..words).for_each(|_| self.bump());
        self.eat_kind(Kind::Equals);
        let mut value = self.here();
        if self.kind() == Kind::Operator && self.at.next().kind == Kind::Number {
            value = value.to(self.at.next().span);
            self.bump();
        }
        if !self.at_end() {
            self.attribute(name, Value::Text(value));
            self.bump();
        }
        true
    }

    /// `PASSWORD 'x'`, `PASSWORD NULL`; MySQL's `PASSWORD EXPIRE` and the like; T-SQL's `PASSWORD = 'x'`.
    fn password(&mut self) -> bool {
        use Word::*;
        self.bump();
        self.eat_kind(Kind::Equals);
        match (self.word(), self.kind()) {
            (NULL, _) => self.flag("PASSWORD", Value::Null),
            (EXPIRE, _) => {
                let never = self.next_word() == NEVER;
                self.flag("PASSWORD EXPIRE", if never { Value::Off } else { Value::On })
            }
            (_, Kind::String | Kind::DollarString | Kind::Number) => {
                let secret = self.here();
                self.flag("PASSWORD", Value::Secret(secret))
            }
            _ => true,
        }
    }

    /// `IN ROLE a`, `ROLE b`, `ADMIN c`. Whether it was one.
    fn membership(&mut self) -> bool {
        use Word::*;
        if self.dialect.engine != Engine::Postgres {
            return self.other_membership();
        }
        match (self.word(), self.next_word()) {
            (IN, ROLE | GROUP) => {
                self.bump();
                self.bump();
                self.accounts(Who::Role);
            }
            (IN, DATABASE) => {
                self.bump();
                self.bump();
                if let Some(name) = self.name() {
                    self.object("DATABASE", name, Part::On);
                }
            }
            (ROLE | USER, _) => {
                self.bump();
                self.accounts(Who::Member);
            }
            (ADMIN, _) => {
                self.bump();
                self.option(Options::ADMIN_OPTION);
                self.accounts(Who::Member);
            }
            (ADD | DROP, USER) => {
                self.attribute(if self.word() == ADD { "ADD MEMBER" } else { "DROP MEMBER" }, Value::On);
                self.bump();
                self.bump();
                self.accounts(Who::Member);
            }
            _ => return false,
        }
        true
    }

    /// MySQL's DEFAULT ROLE; T-SQL's ADD MEMBER and FOR LOGIN.
    fn other_membership(&mut self) -> bool {
        use Word::*;
        match (self.word(), self.next_word()) {
            (DEFAULT, ROLE) => self.default_role(),
            (ADD | DROP, MEMBER) => {
                self.attribute(if self.word() == ADD { "ADD MEMBER" } else { "DROP MEMBER" }, Value::On);
                self.bump();
                self.bump();
                self.accounts(Who::Member);
            }
            (FOR | FROM, LOGIN) => {
                self.bump();
                self.bump();
                self.accounts(Who::For);
            }
            _ => return false,
        }
        true
    }

    fn default_role(&mut self) {
        self.bump();
        self.bump();
        match self.word() {
            Word::NONE => self.flag("DEFAULT ROLE", Value::Off),
            Word::ALL => self.flag("DEFAULT ROLE", Value::On),
            _ => {
                self.attribute("DEFAULT ROLE", Value::Text(self.here()));
                self.accounts(Who::Role);
                true
            }
        };
    }

    /// `RENAME TO x`, `SET parameter …`, `RESET parameter`. Whether it was one.
    fn role_change(&mut self) -> bool {
        use Word::*;
        match (self.word(), self.next_word()) {
            (RENAME, TO) => {
                self.bump();
                self.bump();
                self.accounts(Who::Becomes);
            }
            (SET, _) if self.is(Engine::Postgres) => {
                self.bump();
                self.assignment(Scope::Default);
            }
            (RESET, _) if self.is(Engine::Postgres) => {
                self.bump();
                self.reset_parameter(Scope::Default);
            }
            (NAME, _) if self.is(Engine::Tsql) && self.at.next().kind == Kind::Equals => {
                self.bump();
                self.bump();
                self.accounts(Who::Becomes);
            }
            (DEFAULT_DATABASE | DEFAULT_SCHEMA, _) => return self.valued_text(),
            _ => return false,
        }
        true
    }

    fn valued_text(&mut self) -> bool {
        let name = if self.word() == Word::DEFAULT_SCHEMA { "DEFAULT SCHEMA" } else { "DEFAULT DATABASE" };
        self.valued(name, 1)
    }

    /// MySQL's REQUIRE, ACCOUNT LOCK and limits; Oracle's ACCOUNT LOCK and PROFILE. Whether it was one.
    pub(super) fn connection_attribute(&mut self) -> bool {
        use Word::*;
        match (self.word(), self.next_word()) {
            (ACCOUNT, LOCK) => self.two_words("ACCOUNT LOCK", Value::On),
            (ACCOUNT, UNLOCK) => self.two_words("ACCOUNT LOCK", Value::Off),
            (REQUIRE, NONE) => self.two_words("REQUIRE", Value::Off),
            (REQUIRE, _) => self.require(),
            (MAX_QUERIES_PER_HOUR, _) => self.valued("MAX_QUERIES_PER_HOUR", 1),
            (MAX_UPDATES_PER_HOUR, _) => self.valued("MAX_UPDATES_PER_HOUR", 1),
            (MAX_CONNECTIONS_PER_HOUR, _) => self.valued("MAX_CONNECTIONS_PER_HOUR", 1),
            (MAX_USER_CONNECTIONS, _) => self.valued("CONNECTION LIMIT", 1),
            (PROFILE, _) if self.is(Engine::Oracle) => self.valued("PROFILE", 1),
            _ => false,
        }
    }

    fn two_words(&mut self, name: &'static str, value: Value) -> bool {
        self.bump();
        self.flag(name, value)
    }

    /// `REQUIRE SSL`, `REQUIRE X509`, `REQUIRE SUBJECT 'a' AND ISSUER 'b'`.
    fn require(&mut self) -> bool {
        use Word::*;
        self.bump();
        let from = self.now().span;
        let mut required = Span::NONE;
        while self.word().is_in(&[SSL, X509, SUBJECT, ISSUER, CIPHER, AND]) || self.kind() == Kind::String {
            required = from.to(self.now().span);
            self.bump();
        }
        self.attribute("REQUIRE", Value::Text(required));
        true
    }
}

/// MySQL's own statements on accounts.
impl Read<'_, '_> {
    /// `SET PASSWORD [FOR u] = …`, at PASSWORD.
    pub(super) fn set_password(&mut self) {
        self.action("SET PASSWORD");
        self.bump();
        if self.eat(Word::FOR)
            && let Some((name, host)) = self.account()
        {
            self.principal(name, host, Who::Subject);
        }
        self.eat_kind(Kind::Equals);
        if self.eat_two(Word::TO, Word::RANDOM) {
            return self.attribute("PASSWORD", Value::On);
        }
        self.secret();
    }

    /// `SET DEFAULT ROLE r TO u`, at DEFAULT.
    pub(super) fn set_default_role(&mut self) {
        self.action("SET DEFAULT ROLE");
        self.default_role();
        if self.eat(Word::TO) || self.eat(Word::FOR) {
            self.accounts(Who::Subject);
        }
    }

    /// `a TO b, …`, behind `RENAME USER`.
    pub(super) fn renamed_accounts(&mut self) {
        while let Some((name, host)) = self.account() {
            self.principal(name, host, Who::Subject);
            if self.eat(Word::TO)
                && let Some((name, host)) = self.account()
            {
                self.principal(name, host, Who::Becomes);
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// PostgreSQL: `USER MAPPING FOR u SERVER s OPTIONS (…)`, behind MAPPING.
    pub(super) fn user_mapping(&mut self) {
        self.if_exists();
        if self.eat(Word::FOR) {
            self.accounts(Who::For);
        }
        if self.eat(Word::SERVER)
            && let Some(server) = self.name()
        {
            self.object("USER MAPPING", Name::NONE, Part::Target);
            self.object("SERVER", server, Part::On);
        }
    }
}
