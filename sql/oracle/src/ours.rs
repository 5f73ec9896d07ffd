//! What the statement reader read, in the words of [`Facts`].

use sealtrail_sql::{
    Access, Dialect, Direction, Kind, Means, Name, Options, Part, Principal, Reader, Reading, Setting, Span, Statement,
    Tokens, Value, Who,
};

use crate::facts::{Facts, Items};

/// What was read of each statement of a text.
pub fn facts(text: &str, backslash: bool) -> Vec<Facts> {
    let dialect = Dialect { backslash, ..Dialect::POSTGRES };
    let reading = sealtrail_sql::read(dialect, text.as_bytes());
    let one = |statement| One { text: text.as_bytes(), dialect, reading: &reading, statement }.facts();
    reading.statements.iter().map(one).collect()
}

/// The relations of the first statement of a text that was cut.
pub fn relations_of_cut(text: &str, backslash: bool) -> Items {
    let dialect = Dialect { backslash, ..Dialect::POSTGRES };
    let mut reading = Reading::new();
    Reader::new().read_cut(dialect, text.as_bytes(), &mut reading);
    let one = |statement| One { text: text.as_bytes(), dialect, reading: &reading, statement }.relations();
    reading.statements.first().map(one).unwrap_or_default()
}

struct One<'r> {
    text: &'r [u8],
    dialect: Dialect,
    reading: &'r Reading,
    statement: &'r Statement,
}

impl One<'_> {
    fn facts(&self) -> Facts {
        let action = self.statement.action;
        let grants =
            action.starts_with("GRANT") || action.starts_with("REVOKE") || action == "ALTER DEFAULT PRIVILEGES";
        let makes_roles = action.ends_with(" ROLE") && !grants || action.ends_with(" OWNED");
        let subject = |one: &Principal| one.who == Who::Subject;
        let is_role = makes_roles || !grants && self.reading.principals(self.statement).iter().any(subject);
        Facts {
            action: action.into(),
            relations: self.relations(),
            objects: if grants || is_role { Items::new() } else { self.objects() },
            grant: if grants { self.grant() } else { Items::new() },
            role: if is_role { self.role() } else { Items::new() },
            settings: self.settings(),
            transfers: self.transfers(),
        }
    }

    fn relations(&self) -> Items {
        let all = self.reading.relations(self.statement).iter();
        all.map(|one| format!("{} {}", access(one.access), self.name(one.name))).collect()
    }

    fn objects(&self) -> Items {
        let all = self.reading.objects(self.statement).iter();
        let texts = all.filter_map(|object| match object.part {
            Part::Target if !object.name.is_empty() => Some(format!("{} {}", object.kind, self.name(object.name))),
            Part::On => Some(format!("on {}", self.name(object.name))),
            _ => None,
        });
        texts.collect()
    }

    fn grant(&self) -> Items {
        let mut items = Items::new();
        for privilege in self.reading.privileges(self.statement) {
            items.insert(format!("privilege {}", self.privilege(privilege.name, privilege.columns)));
        }
        for object in self.reading.objects(self.statement) {
            match object.part {
                Part::Target => {
                    // The parser takes the one for the other.
                    let kind = if object.kind == "ROUTINES" { "FUNCTIONS" } else { object.kind };
                    items.insert(format!("on {kind} {}", self.name(object.name)).trim_end().to_owned());
                }
                _ => _ = items.insert(format!("in {} {}", object.kind, self.name(object.name))),
            }
        }
        for principal in self.reading.principals(self.statement) {
            items.insert(format!("{} {}", of_grant(principal.who), self.principal(principal)));
        }
        if !self.statement.inner.is_empty() {
            items.insert(self.statement.inner.into());
        }
        for (option, name) in [
            (Options::GRANT_OPTION, "GRANT OPTION"),
            (Options::ADMIN_OPTION, "ADMIN OPTION"),
            (Options::CASCADE, "CASCADE"),
        ] {
            items.extend(self.statement.options.has(option).then(|| name.to_owned()));
        }
        items
    }

    fn privilege(&self, name: Span, columns: Span) -> String {
        let words = String::from_utf8_lossy(name.of(self.text)).to_ascii_uppercase();
        let name = words.split_whitespace().collect::<Vec<_>>().join(" ").replace("ALL PRIVILEGES", "ALL");
        let columns = self.columns(columns);
        if columns.is_empty() { name } else { format!("{name} ({})", columns.join(", ")) }
    }

    fn columns(&self, span: Span) -> Vec<String> {
        let list = span.of(self.text);
        let names = Tokens::new(self.dialect, list).filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted));
        names.map(|token| self.plain(token.span.of(list))).collect()
    }

    fn role(&self) -> Items {
        let mut items = Items::new();
        for principal in self.reading.principals(self.statement) {
            items.insert(format!("{} {}", of_role(principal.who), self.principal(principal)));
        }
        for object in self.reading.objects(self.statement) {
            items.insert(format!("in {} {}", object.kind, self.name(object.name)));
        }
        for attribute in self.reading.attributes(self.statement) {
            items.insert(format!("{} {}", attribute.name, self.value(attribute.value)));
        }
        items.extend(self.statement.options.has(Options::ADMIN_OPTION).then(|| "ADMIN OPTION".to_owned()));
        items
    }

    fn settings(&self) -> Items {
        let name = |setting: &Setting| match setting.canonical {
            "" => self.parts(setting.parameter),
            name => name.to_ascii_lowercase(),
        };
        let how = |value| match value {
            Value::Default => "default",
            Value::Current => "current",
            _ => "set",
        };
        let all = self.reading.settings(self.statement).iter();
        all.map(|setting| format!("{} {}", name(setting), how(setting.value))).collect()
    }

    /// `app."user id"`, part by part.
    fn parts(&self, span: Span) -> String {
        let written = span.of(self.text);
        let parts = Tokens::new(self.dialect, written).filter(|token| token.kind != Kind::Dot);
        let parts =
            parts.map(|token| self.plain(token.span.of(written))).collect::<Vec<_>>().join(".").to_ascii_lowercase();
        if parts == "all" { "ALL".into() } else { parts }
    }

    /// Those of COPY: what functions and foreign servers move the parse tree does not say.
    fn transfers(&self) -> Items {
        if !self.statement.action.starts_with("COPY") {
            return Items::new();
        }
        let way = |direction| if direction == Direction::Out { "out" } else { "in" };
        let all = self.reading.transfers(self.statement).iter();
        let texts = all.map(|one| match one.means {
            Means::Client => format!("{} client", way(one.direction)),
            Means::Program => format!("{} program {}", way(one.direction), self.plain(one.target.of(self.text))),
            _ => format!("{} file {}", way(one.direction), self.plain(one.target.of(self.text))),
        });
        texts.collect()
    }

    fn value(&self, value: Value) -> String {
        match value {
            Value::On => "on".into(),
            Value::Off => "off".into(),
            Value::Null => "null".into(),
            Value::Default => "default".into(),
            Value::Current => "current".into(),
            Value::Text(span) => self.plain(span.of(self.text)),
            Value::Secret(_) => "set".into(),
        }
    }

    fn name(&self, name: Name) -> String {
        String::from_utf8_lossy(&name.normalized(self.dialect, self.text)).into_owned()
    }

    fn principal(&self, principal: &Principal) -> String {
        self.name_or_word(principal.name)
    }

    /// A name, or a word that stands for one.
    fn name_or_word(&self, span: Span) -> String {
        let written = span.of(self.text);
        let upper = String::from_utf8_lossy(written).to_ascii_uppercase();
        let is_word = ["PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER", "ALL"].contains(&upper.as_str());
        if is_word { upper } else { self.plain(written) }
    }

    fn plain(&self, written: &[u8]) -> String {
        String::from_utf8_lossy(&sealtrail_sql::name::normalized(self.dialect, written)).into_owned()
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Insert => "insert",
        Access::Update => "update",
        Access::Delete => "delete",
        Access::Merge => "merge",
        Access::Truncate => "truncate",
        Access::Lock => "lock",
        Access::Create => "create",
    }
}

fn of_grant(who: Who) -> &'static str {
    match who {
        Who::Grantee => "to",
        Who::Grantor => "by",
        Who::Role => "role",
        Who::For => "for",
        _ => "other",
    }
}

fn of_role(who: Who) -> &'static str {
    match who {
        Who::Subject => "subject",
        Who::Role => "member of",
        Who::Member => "member",
        Who::Owner => "owner",
        Who::Becomes => "becomes",
        Who::For => "for",
        _ => "other",
    }
}
