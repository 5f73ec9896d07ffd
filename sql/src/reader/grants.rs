//! GRANT, REVOKE and DENY, and ALTER DEFAULT PRIVILEGES: what, on what, to whom.

use super::Read;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Doubts, Options, Part, Who};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    /// At GRANT, REVOKE or DENY.
    pub(super) fn grant(&mut self) {
        let action = self.word().name();
        self.bump();
        self.option_for();
        let first = self.out.privileges.len();
        self.granted();
        if self.eat(Word::ON) {
            self.action(action);
            self.granted_on();
        } else if self.at_recipients() {
            self.privileges_are_roles(action, first);
        } else {
            self.action(action);
        }
        self.recipients();
    }

    /// `GRANT OPTION FOR`, `ADMIN OPTION FOR`, PostgreSQL 16's `INHERIT OPTION FOR`.
    fn option_for(&mut self) {
        if self.next_word() != Word::OPTION || self.at.after_next().word != Word::FOR {
            return;
        }
        match self.word() {
            Word::GRANT => self.option(Options::GRANT_OPTION),
            Word::ADMIN => self.option(Options::ADMIN_OPTION),
            _ => {}
        }
        (0..3).for_each(|_| self.bump());
    }

    fn at_recipients(&self) -> bool {
        self.word().is_in(&[Word::TO, Word::FROM])
    }

    /// Privileges or roles, separated by commas, up to ON, TO or FROM.
    pub(super) fn granted(&mut self) {
        loop {
            let name = self.granted_name();
            let columns = self.columns();
            self.privilege(name, columns);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// Of one word or several: `SELECT`, `ALL PRIVILEGES`, `CREATE TEMPORARY TABLES`, `'role'@'host'`.
    fn granted_name(&mut self) -> Span {
        let mut name = Span::NONE;
        loop {
            let is_part =
                matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::String | Kind::At | Kind::Variable | Kind::Dot);
            // A role may be called `on` only in quotes; a privilege never is.
            if !is_part || self.word() == Word::ON || self.at_recipients() {
                return name;
            }
            name = name.to(self.now().span);
            self.bump();
        }
    }

    /// `(a, b)`: what is inside.
    fn columns(&mut self) -> Span {
        if self.kind() != Kind::Open {
            return Span::NONE;
        }
        self.bump();
        let from = self.now().span;
        let mut columns = Span::NONE;
        while !self.at_end() && self.kind() != Kind::Close {
            columns = from.to(self.now().span);
            self.bump();
        }
        self.eat_kind(Kind::Close);
        columns
    }

    /// `GRANT role TO role`: what was taken for privileges are roles.
    fn privileges_are_roles(&mut self, action: &'static str, first: usize) {
        let roles_action = match (action, self.dialect.engine) {
            ("GRANT", Engine::Postgres) => "GRANT ROLE",
            ("REVOKE", Engine::Postgres) => "REVOKE ROLE",
            // Words without ON are system privileges there, or roles: which, the text does not say.
            (_, Engine::Oracle | Engine::Tsql) => return self.action(action),
            ("GRANT", Engine::Mysql) => "GRANT ROLE",
            _ => "REVOKE ROLE",
        };
        if self.is(Engine::Mysql) && self.is_all_privileges(first) {
            // `REVOKE ALL PRIVILEGES, GRANT OPTION FROM u`
            return self.action(action);
        }
        self.action(roles_action);
        let roles = self.out.privileges.split_off(first);
        for role in roles {
            let (name, host) = self.split_account(role.name);
            self.principal(name, host, Who::Role);
        }
    }

    fn is_all_privileges(&self, first: usize) -> bool {
        let words = self.out.privileges.get(first).map_or(&b""[..], |one| one.name.of(self.at.text));
        words.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"all"))
    }

    /// `'r'@'h'` into its two.
    fn split_account(&self, whole: Span) -> (Span, Span) {
        let text = whole.of(self.at.text);
        match text.iter().rposition(|byte| *byte == b'@') {
            Some(at) if self.is(Engine::Mysql) => {
                let at = whole.start + at as u32;
                (Span::new(whole.start, at), Span::new(at + 1, whole.end))
            }
            _ => (whole, Span::NONE),
        }
    }

    /// After ON: the kind of object, if it is written, and names.
    fn granted_on(&mut self) {
        if let Some(all_in) = self.all_in_schema() {
            return self.names(|read, name| read.object(all_in, name, Part::Target));
        }
        if self.is(Engine::Tsql) {
            return self.tsql_securable();
        }
        let kind = self.granted_kind();
        if kind == "LARGE OBJECT" {
            return self.large_objects();
        }
        if self.is(Engine::Mysql) && self.kind() == Kind::String {
            // `GRANT PROXY ON 'a'@'b'`
            return self.accounts(Who::For);
        }
        loop {
            let Some(name) = self.name_or_star() else { return self.doubt(Doubts::UNSURE) };
            self.object(self.database_wide(kind, name), name, Part::Target);
            if self.kind() == Kind::Open {
                self.parentheses();
            }
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// MySQL's `db.*` is a database, `*.*` the server.
    fn database_wide(&self, kind: &'static str, name: Name) -> &'static str {
        if !self.is(Engine::Mysql) || name.object.of(self.at.text) != b"*" {
            return kind;
        }
        if name.database.of(self.at.text) == b"*" { "SERVER" } else { "DATABASE" }
    }

    /// `ALL TABLES IN SCHEMA`
    fn all_in_schema(&mut self) -> Option<&'static str> {
        if self.word() != Word::ALL {
            return None;
        }
        let kind = match self.next_word() {
            Word::TABLES => "ALL TABLES IN SCHEMA",
            Word::SEQUENCES => "ALL SEQUENCES IN SCHEMA",
            Word::FUNCTIONS => "ALL FUNCTIONS IN SCHEMA",
            Word::PROCEDURES => "ALL PROCEDURES IN SCHEMA",
            Word::ROUTINES => "ALL ROUTINES IN SCHEMA",
            _ => return None,
        };
        (0..4).for_each(|_| self.bump());
        Some(kind)
    }

    /// TABLE where nothing is said. A word that is itself the name is left: `ON sequence TO x`.
    fn granted_kind(&mut self) -> &'static str {
        let is_name =
            matches!(self.at.next().kind, Kind::Comma | Kind::Dot) || self.next_word().is_in(&[Word::TO, Word::FROM]);
        if is_name {
            return "TABLE";
        }
        self.object_kind().map_or("TABLE", |kind| kind.name)
    }

    fn large_objects(&mut self) {
        while matches!(self.kind(), Kind::Number | Kind::Parameter) {
            let oid = Name::of(self.here());
            self.object("LARGE OBJECT", oid, Part::Target);
            self.bump();
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// `[kind words::] name [(columns)]`
    fn tsql_securable(&mut self) {
        let kind = if self.kind() == Kind::Word && self.securable_class_follows() {
            let kind = self.object_kind().map(|kind| kind.name);
            while !self.at_end() && !self.eat_kind(Kind::Cast) {
                self.bump();
            }
            kind.unwrap_or("OBJECT")
        } else {
            "TABLE"
        };
        if let Some(name) = self.name() {
            self.object(kind, name, Part::Target);
        }
        let columns = self.columns();
        // Of this statement: without a privilege of its own the last one is another statement's.
        let own = self.out.privileges.get_mut(usize::from(self.statement.privileges.from)..);
        if !columns.is_empty()
            && let Some(last) = own.and_then(<[_]>::last_mut)
        {
            last.columns = columns;
        }
    }

    fn securable_class_follows(&self) -> bool {
        self.at.next().kind == Kind::Cast || self.at.after_next().kind == Kind::Cast
    }

    /// `TO a, b WITH GRANT OPTION GRANTED BY c CASCADE`
    fn recipients(&mut self) {
        if !self.at_recipients() {
            return self.doubt(if self.at_end() { Doubts::CUT } else { Doubts::UNSURE });
        }
        self.bump();
        self.grantees();
        self.grant_options();
    }

    fn grantees(&mut self) {
        loop {
            // The old `TO GROUP x`.
            if self.word() == Word::GROUP && matches!(self.at.next().kind, Kind::Word | Kind::Quoted) {
                self.bump();
            }
            let Some((name, host)) = self.account() else { return };
            self.principal(name, host, Who::Grantee);
            self.credentials();
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    fn grant_options(&mut self) {
        use Word::*;
        while !self.at_end() {
            match (self.word(), self.next_word()) {
                (GRANT, OPTION) => self.option(Options::GRANT_OPTION),
                (ADMIN, OPTION | TRUE) | (DELEGATE, OPTION) => self.option(Options::ADMIN_OPTION),
                (CASCADE, _) => self.option(Options::CASCADE),
                (GRANTED, BY) => {
                    self.bump();
                    self.bump();
                    self.accounts(Who::Grantor);
                    continue;
                }
                (AS, _) if self.is(Engine::Tsql) => {
                    self.bump();
                    self.accounts(Who::Grantor);
                    continue;
                }
                _ if self.connection_attribute() => continue,
                _ => {}
            }
            self.bump();
        }
    }

    /// `ALTER DEFAULT PRIVILEGES [FOR ROLE a] [IN SCHEMA s] GRANT …`, at DEFAULT.
    pub(super) fn alter_default_privileges(&mut self) {
        use Word::*;
        self.action("ALTER DEFAULT PRIVILEGES");
        self.bump();
        self.eat(PRIVILEGES);
        loop {
            if self.eat(FOR) {
                self.eat_all(&[ROLE, USER]);
                self.accounts(Who::For);
            } else if self.eat_two(IN, SCHEMA) {
                self.names(|read, name| read.object("SCHEMA", name, Part::On));
            } else {
                break;
            }
        }
        if !self.word().is_in(&[GRANT, REVOKE]) {
            return;
        }
        self.action(self.word().name());
        self.bump();
        self.option_for();
        self.granted();
        if self.eat(ON) {
            let kind = match self.word() {
                TABLES => "TABLES",
                SEQUENCES => "SEQUENCES",
                FUNCTIONS => "FUNCTIONS",
                ROUTINES => "ROUTINES",
                TYPES => "TYPES",
                SCHEMAS => "SCHEMAS",
                LARGE => "LARGE OBJECTS",
                _ => return self.doubt(Doubts::UNSURE),
            };
            self.object(kind, Name::NONE, Part::Target);
            // `LARGE OBJECTS` is two words.
            self.eat(LARGE);
            self.bump();
        }
        self.recipients();
    }
}
