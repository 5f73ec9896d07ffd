//! The fields of an event's line that come from the statement: what else it touches, privileges, roles, data that moves, settings.

use sealtrail_sql::{
    Attribute, Direction, Doubts, Means, Object, Options, Part, Principal, Scope, Setting, Span, Statement, Transfer,
    Value, Who,
};

use super::Line;
use crate::limits::RESOURCES_MAX;
use crate::shape::told::{Listed, is_server_wide, listed};
use crate::shape::{Meaning, ResourceName, Told, is_found_by_path};

impl Line<'_> {
    /// Writes what the statement tells, but for its own text.
    pub(super) fn told(&mut self, meaning: &Meaning<'_>) {
        let Some(told) = &meaning.told else { return };
        for statement in told.statements() {
            if self.grant(told, statement) {
                break;
            }
        }
        let Some(statement) = told.statement() else { return };
        self.role(told, statement);
        self.transfer(told, statement);
        self.settings(told);
    }

    /// What the statement names, where that is several, or the engine names something else; counted in `count`.
    pub(super) fn told_resources(&mut self, meaning: &Meaning<'_>, has_others: bool, count: &mut usize) {
        let Some(told) = meaning.told.as_ref().filter(|_| lists(meaning)) else { return };
        let entries = || told.statements().iter().flat_map(|it| listed(told.reading(), it));
        let is_alone = entries().nth(1).is_none();
        if is_alone && !has_others {
            return;
        }
        for entry in entries().take(RESOURCES_MAX) {
            self.raw(if *count == 0 { ",\"resources\":[{\"name\":" } else { ",{\"name\":" });
            *count += 1;
            self.entry(told, meaning, entry);
            self.raw("}");
        }
    }

    fn entry(&mut self, told: &Told<'_>, meaning: &Meaning<'_>, entry: Listed<'_>) {
        let (database, schema) = match meaning.resource.name {
            ResourceName::Told { database, schema, .. } => (database, schema),
            ResourceName::Own { .. } => (None, None),
        };
        let (name, kind, access) = match entry {
            Listed::Object(object) => (object.name, object.kind, None),
            Listed::Relation(relation) => (relation.name, "RELATION", Some(relation.access)),
        };
        let is_inside = !is_server_wide(kind);
        let schema = schema.filter(|_| is_found_by_path(*told, kind, name));
        self.quote_pieces(|put| told.name(name, schema, database.filter(|_| is_inside), put));
        self.lower("type", kind.as_bytes());
        if let Some(access) = access {
            self.text("access", access.word().as_bytes());
        }
    }

    /// `,"grant":{…}`; false where the statement gives and takes nothing.
    fn grant(&mut self, told: &Told<'_>, statement: &Statement) -> bool {
        let reading = told.reading();
        let is_one =
            ["GRANT", "REVOKE", "DENY", "ALTER DEFAULT PRIVILEGES"].iter().any(|it| statement.action.starts_with(it));
        if !is_one {
            return false;
        }
        let principals = reading.principals(statement);
        let takes = statement.action.starts_with("REVOKE") || is_revoke_inside(told, statement);
        self.object("grant", |line| {
            line.list("privileges", reading.privileges(statement).iter(), |line, privilege| {
                line.quote_pieces(|put| {
                    put_words(told, privilege.name, put);
                    if !privilege.columns.is_empty() {
                        put(b" (");
                        put(privilege.columns.of(told.text));
                        put(b")");
                    }
                });
            });
            line.principals("roles", told, principals, Who::Role);
            let targets = reading.objects(statement).iter().filter(|object| object.part == Part::Target);
            line.list("on", targets, |line, object| line.granted_on(told, object));
            line.principals(if takes { "from" } else { "to" }, told, principals, Who::Grantee);
            line.principals("for", told, principals, Who::For);
            line.principals("by", told, principals, Who::Grantor);
            line.options(statement.options);
        });
        true
    }

    fn granted_on(&mut self, told: &Told<'_>, object: &Object) {
        self.raw("{\"type\":");
        self.lower_value(object.kind.as_bytes());
        if !object.name.is_empty() {
            self.key("name");
            self.quote_pieces(|put| told.name(object.name, None, None, put));
        }
        self.raw("}");
    }

    fn options(&mut self, options: Options) {
        let told = [
            (Options::GRANT_OPTION, "grant option"),
            (Options::ADMIN_OPTION, "admin option"),
            (Options::CASCADE, "cascade"),
        ];
        let set = told.into_iter().filter(|(option, _)| options.has(*option));
        self.list("options", set, |line, (_, words)| line.quoted(words.as_bytes()));
    }

    fn principals(&mut self, name: &str, told: &Told<'_>, principals: &[Principal], who: Who) {
        let fitting = principals.iter().filter(|principal| principal.who == who);
        self.list(name, fitting, |line, principal| line.quote_pieces(|put| told.principal(principal, put)));
    }

    /// What becomes of a role or a user.
    fn role(&mut self, told: &Told<'_>, statement: &Statement) {
        const KINDS: [&str; 4] = ["ROLE", "USER", "GROUP", "LOGIN"];
        let reading = told.reading();
        let is_one = statement.action == "SET PASSWORD"
            || statement.action.split_once(' ').is_some_and(|(verb, kind)| {
                verb != "SET" && verb != "GRANT" && verb != "REVOKE" && KINDS.contains(&kind)
            });
        if !is_one {
            return;
        }
        let (principals, attributes) = (reading.principals(statement), reading.attributes(statement));
        self.object("role", |line| {
            line.principals("names", told, principals, Who::Subject);
            line.list("attributes", attributes.iter().filter(|it| it.name != "PASSWORD"), |line, attribute| {
                line.quote_pieces(|put| put_attribute(told, attribute, put));
            });
            // pgAudit puts this in the place of the password, and of all that follows.
            let is_hidden = memchr::memmem::find(statement.span.of(told.text), b"PASSWORD <REDACTED>").is_some();
            let is_set = is_hidden || attributes.iter().any(|it| it.name == "PASSWORD");
            if statement.action == "SET PASSWORD" || is_set {
                line.raw(",\"password_changed\":true");
            }
            line.principals("member_of", told, principals, Who::Role);
            line.principals("members", told, principals, Who::Member);
            line.principals("renamed_to", told, principals, Who::Becomes);
        });
    }

    fn transfer(&mut self, told: &Told<'_>, statement: &Statement) {
        let Some(transfer) = told.reading().transfers(statement).first() else { return };
        let Transfer { direction, means, target } = *transfer;
        self.object("transfer", |line| {
            line.text("direction", if direction == Direction::Out { b"out" } else { b"in" });
            line.text("means", means_word(means).as_bytes());
            if !target.is_empty() {
                line.text("target", unquoted(target.of(told.text)));
            }
        });
    }

    fn settings(&mut self, told: &Told<'_>) {
        let settings = told.statements().iter().flat_map(|it| told.reading().settings(it)).take(RESOURCES_MAX);
        self.list("settings", settings, |line, setting| line.setting(told, setting));
    }

    fn setting(&mut self, told: &Told<'_>, setting: &Setting) {
        self.raw("{\"name\":");
        self.quote_pieces(|put| told.parameter(setting, put));
        self.text("scope", scope_word(setting.scope).as_bytes());
        let mut name = Vec::new();
        told.parameter(setting, &mut |part| name.extend_from_slice(part));
        match setting.value {
            Value::Text(span) if is_harmless(&name) => self.text("value", unquoted(span.of(told.text))),
            Value::Default => self.text("value", b"DEFAULT"),
            Value::On => self.text("value", b"on"),
            Value::Off => self.text("value", b"off"),
            _ => {}
        }
        self.raw("}");
    }

    /// All actions of a text of several statements, and what the reader is not sure of.
    pub(super) fn reading(&mut self, told: &Told<'_>) {
        let statements = &told.reading().statements;
        if statements.len() > 1 {
            let actions = statements.iter().take(RESOURCES_MAX);
            self.list("actions", actions, |line, statement| {
                line.quoted(if statement.action.is_empty() { b"STATEMENT" } else { statement.action.as_bytes() });
            });
        }
        let doubts = told.statements().iter().fold(Doubts::default(), |all, one| {
            let mut all = all;
            all.set(one.doubts);
            all
        });
        self.list("doubts", doubts.names(), |line, name| {
            line.raw("\"");
            let start = line.out.len();
            line.raw(name);
            line.out[start..].make_ascii_lowercase();
            line.raw("\"");
        });
    }

    /// `,"name":[…]`, or nothing where there is nothing.
    pub(super) fn list<T>(&mut self, name: &str, items: impl Iterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        let mut any = false;
        for item in items {
            if any {
                self.raw(",");
            } else {
                self.key(name);
                self.raw("[");
            }
            any = true;
            each(self, item);
        }
        if any {
            self.raw("]");
        }
    }
}

/// Where the engine names the object, each object has a row of its own, or its own list.
fn lists(meaning: &Meaning<'_>) -> bool {
    meaning.resource.derived.is_some() || meaning.told.is_some_and(|told| told.statements().len() > 1)
}

/// `ALTER DEFAULT PRIVILEGES … REVOKE …`
fn is_revoke_inside(told: &Told<'_>, statement: &Statement) -> bool {
    statement.inner == "REVOKE"
        || statement.action == "ALTER DEFAULT PRIVILEGES" && {
            let text = statement.span.of(told.text);
            let words = text.split(|byte| byte.is_ascii_whitespace());
            words
                .into_iter()
                .find(|word| word.eq_ignore_ascii_case(b"GRANT") || word.eq_ignore_ascii_case(b"REVOKE"))
                .is_some_and(|word| word.eq_ignore_ascii_case(b"REVOKE"))
        }
}

/// Words of a privilege in capitals, with one blank between them.
fn put_words(told: &Told<'_>, span: Span, put: &mut dyn FnMut(&[u8])) {
    let words = span.of(told.text).split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        put(if index == 0 { b"" } else { b" " });
        put(&word.to_ascii_uppercase());
    }
}

fn put_attribute(told: &Told<'_>, attribute: &Attribute, put: &mut dyn FnMut(&[u8])) {
    let name = attribute.name.as_bytes();
    match attribute.value {
        Value::On => put(name),
        Value::Off => {
            put(b"NO");
            put(name);
        }
        Value::Null | Value::Default | Value::Current => {
            put(name);
            put(b" NULL");
        }
        Value::Text(span) => {
            put(name);
            put(b" ");
            put(unquoted(span.of(told.text)));
        }
        Value::Secret(_) => put(name),
    }
}

/// Without the quotes around all of it.
fn unquoted(text: &[u8]) -> &[u8] {
    match text {
        [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last && !inner.contains(quote) => inner,
        other => other,
    }
}

/// Whether a parameter's value may be shown apart from its statement: one that is known to the server, and whose name does not say that it
/// holds a secret, or a command or an address in which one may be.
pub fn is_harmless(name: &[u8]) -> bool {
    const SECRETS: [&str; 11] =
        ["pass", "secret", "token", "key", "cred", "auth", "conninfo", "command", "_url", "dsn", "cert"];
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let is_the_servers = !name.contains('.') || name.starts_with("pgaudit");
    is_the_servers && !name.starts_with('@') && !SECRETS.iter().any(|word| name.contains(word))
}

const fn means_word(means: Means) -> &'static str {
    match means {
        Means::File => "file",
        Means::Program => "program",
        Means::Client => "client",
        Means::Remote => "remote",
        Means::Dump => "dump",
    }
}

const fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Session => "session",
        Scope::Transaction => "transaction",
        Scope::Server => "server",
        Scope::Persistent => "persistent",
        Scope::Default => "default",
        Scope::Other => "other",
    }
}
