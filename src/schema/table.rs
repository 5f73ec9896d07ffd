//! What a table of a schema is made of: rows that say of which acts they are, and what such an act becomes.
//!
//! The first row that fits counts. An act is known by the kind of its line, by how its action begins in whole words, and by what else
//! must hold. Every condition can make a line for which it holds, so that each row can be tried; `docs/schemas.md` shows its words.

use super::part::{Part, inside};

/// The kinds of line that a trail has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A row of a database's log.
    Event,
    /// An act of the agent.
    Agent,
    /// A signed tree head.
    Checkpoint,
    /// None of ours.
    Foreign,
}

impl Kind {
    /// All that the agent writes.
    pub const OURS: [Kind; 3] = [Kind::Event, Kind::Agent, Kind::Checkpoint];

    /// As a line's `type` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Agent => "agent",
            Kind::Checkpoint => "checkpoint",
            Kind::Foreign => "none of these",
        }
    }

    /// Of a line.
    pub(super) fn of(line: &Part<'_>) -> Kind {
        let name = line.word("type");
        Kind::OURS.into_iter().find(|kind| kind.name() == name).unwrap_or(Kind::Foreign)
    }
}

/// What must hold beside the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    Always,
    /// The record is of that category.
    Category(&'static str),
    /// It failed.
    Failed,
    /// The statement gives or takes roles.
    Roles,
    /// It gives or takes privileges.
    Privileges,
    /// It takes privileges away.
    PrivilegesTaken,
    /// It sets a password.
    Password,
    /// The role gets that attribute.
    Attribute(&'static str),
    /// The resource's type ends with that word.
    Type(&'static str),
    /// What the server says begins like that.
    Says(&'static str),
}

impl When {
    /// Whether it holds of a line.
    fn fits(self, line: &mut Part<'_>) -> bool {
        let has = |line: &mut Part<'_>, object: &str, list: &str| {
            line.open(object).is_some_and(|part| !part.texts(list).is_empty())
        };
        match self {
            When::Always => true,
            When::Category(name) => line.word("category") == name,
            When::Failed => line.word("outcome") == "failure",
            When::Roles => has(line, "grant", "roles"),
            When::Privileges => has(line, "grant", "privileges"),
            When::PrivilegesTaken => has(line, "grant", "privileges") && has(line, "grant", "from"),
            When::Password => line.open("role").is_some_and(|role| role.look("password_changed") == Some("true")),
            When::Attribute(name) => {
                line.open("role").is_some_and(|role| role.texts("attributes").into_iter().any(|it| inside(it) == name))
            }
            When::Type(word) => line.word("resource_type").rsplit(' ').next() == Some(word),
            When::Says(words) => line.open("extra").is_some_and(|extra| extra.word("message").starts_with(words)),
        }
    }

    /// For a person.
    pub fn words(self) -> String {
        match self {
            When::Always => String::new(),
            When::Category(name) => format!("category `{name}`"),
            When::Failed => "`outcome` is `failure`".to_owned(),
            When::Roles => "`grant.roles`".to_owned(),
            When::Privileges => "`grant.privileges`".to_owned(),
            When::PrivilegesTaken => "`grant.privileges` and `grant.from`".to_owned(),
            When::Password => "`role.password_changed`".to_owned(),
            When::Attribute(name) => format!("`role.attributes` has `{name}`"),
            When::Type(word) => format!("`resource_type` ends with `{word}`"),
            When::Says(words) => format!("`extra.message` begins with `{words}`"),
        }
    }

    /// Members of a line for which it holds, each behind a comma.
    pub fn example(self) -> String {
        match self {
            When::Always => String::new(),
            When::Category(name) => format!(r#","category":"{name}""#),
            When::Failed => r#","outcome":"failure""#.to_owned(),
            When::Roles => r#","grant":{"roles":["dba"],"to":["bob"]}"#.to_owned(),
            When::Privileges => {
                r#","grant":{"privileges":["SELECT"],"on":[{"type":"table","name":"t"}],"to":["bob"]}"#.to_owned()
            }
            When::PrivilegesTaken => r#","grant":{"privileges":["SELECT"],"from":["bob"]}"#.to_owned(),
            When::Password => r#","role":{"names":["bob"],"password_changed":true}"#.to_owned(),
            When::Attribute(name) => format!(r#","role":{{"names":["bob"],"attributes":["{name}"]}}"#),
            When::Type(word) => format!(r#","resource_type":"sql {word}""#),
            When::Says(words) => format!(r#","extra":{{"message":"{words}"}}"#),
        }
    }
}

/// One row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<T> {
    /// Of which lines.
    pub kind: Kind,
    /// How the action begins, in whole words; empty: any action.
    pub action: &'static str,
    /// What must hold beside it.
    pub when: When,
    /// What it is then.
    pub then: T,
}

pub(super) const fn row<T: Copy>(kind: Kind, action: &'static str, when: When, then: T) -> Row<T> {
    Row { kind, action, when, then }
}

/// The row for a line.
pub(super) fn find<T>(table: &'static [Row<T>], kind: Kind, line: &mut Part<'_>) -> Option<&'static Row<T>> {
    let action = line.word("action");
    table.iter().find(|row| row.kind == kind && begins_with(action, row.action) && row.when.fits(line))
}

fn begins_with(action: &str, words: &str) -> bool {
    action.strip_prefix(words).is_some_and(|rest| words.is_empty() || rest.is_empty() || rest.starts_with(' '))
}

/// Rows that stand behind another one that fits whatever they are made for.
#[cfg(test)]
pub(super) fn unreached<T>(table: &'static [Row<T>]) -> Vec<&'static Row<T>> {
    let is_reached = |row: &&Row<T>| {
        let action = if row.action.is_empty() { "ANYTHING" } else { row.action };
        [action.to_owned(), format!("{action} MORE")].into_iter().all(|action| {
            let line = format!("{{\"action\":\"{action}\"{}}}", row.when.example());
            let found = Part::of(&line).and_then(|mut line| find(table, row.kind, &mut line));
            found.is_some_and(|found| std::ptr::eq(found, *row))
        })
    };
    table.iter().filter(|row| !is_reached(row)).collect()
}
