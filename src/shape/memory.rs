//! What earlier rows of a session tell of later ones: how it logged in, which role it has taken, where its names are looked for, and which
//! statement was under way when an error came.
//!
//! It only adds to a row, and never delays one. It is kept in memory alone: after a start, and for a session beyond the bound, less is known, and what is
//! not known is absent. Nothing is guessed: whatever may have ended what a row told ends it here.
//!
//! Hard is the failure that refers to its statement. pgAudit writes a row when a statement begins, and PostgreSQL one when it fails; they
//! share session, transaction and text, and nothing else. A second statement of the same text may fail before pgAudit sees it,
//! and then there is no row of its own to refer to. So only errors that come of running count, and none that comes of reading,
//! binding, or checking rights.

use std::collections::HashMap;

use sealtrail_parsers::{Act, Record, Status, Value};
use sealtrail_sql::{Dialect as Sql, Options, Scope, Setting, Statement, Value as Set, name::normalized};

use super::authentication::{self, Authentication};
use super::readings::hash;
use super::time::UtcTime;
use super::told::Told;
use crate::limits::SESSIONS_MAX;
use crate::sessions::numbered::RowId;

/// The sessions of one source. Those that were not seen for longest are forgotten: two maps, of which the older one goes when the newer is full.
#[derive(Debug, Default)]
pub struct Memory {
    newer: Sessions,
    older: Sessions,
}

/// By id. Every row asks twice, so that the hash is a cheap one. It is seeded anew for each map, and somebody who finds ids that collide all the same
/// gets no more than [`SESSIONS_MAX`] of them in.
type Sessions = HashMap<Box<[u8]>, Session, foldhash::fast::RandomState>;

/// What earlier rows of its session tell of a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The role that the session has taken, where it is another than its user.
    pub acting_as: Option<&'a [u8]>,
    /// The only schema that names without one can be in.
    pub schema: Option<&'a [u8]>,
    /// The record that this one tells the rest of.
    pub refers_to: Option<RowId>,
    /// How the session proved who it is, as rows before told.
    pub method: Option<&'a [u8]>,
    /// As whom.
    pub identity: Option<&'a [u8]>,
    /// When it logged in, Unix milliseconds.
    pub logged_in_ms: Option<u64>,
}

#[derive(Debug, Default)]
struct Session {
    /// The record of the connection that nobody was known of.
    received: Option<RowId>,
    method: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
    logged_in_ms: Option<u64>,
    /// As they are now.
    settings: Settings,
    /// As they are when the transaction has been committed: without what was set for it alone.
    lasting: Settings,
    /// As they were when the transaction began; `None` outside of one.
    before: Option<Settings>,
    /// A statement of the transaction has failed: it can only be rolled back.
    is_aborted: bool,
    /// As they were before the statement that may still fail, now and lasting.
    undo: Option<(u64, Settings, Settings)>,
    begun: Option<Begun>,
}

/// What a session has set.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Settings {
    /// By `SET SESSION AUTHORIZATION`.
    authorization: Option<Vec<u8>>,
    /// By `SET ROLE`.
    role: Option<Vec<u8>>,
    /// The only schema of the search path.
    schema: Option<Vec<u8>>,
    /// The session has made temporary objects, which are found before all others.
    is_temporary: bool,
}

/// A statement of which it was told that it begins.
#[derive(Debug)]
struct Begun {
    text: u64,
    transaction: u64,
    statement: Option<u64>,
    row: RowId,
}

impl Memory {
    /// What is known of the row's session, before the row itself.
    pub fn known(&mut self, record: &Record<'_>) -> Known<'_> {
        let Some(id) = record.session.id else { return Known::default() };
        if self.newer.is_empty() && self.older.is_empty() {
            return Known::default();
        }
        match self.session(id) {
            Some(session) => session.known(record),
            None => Known::default(),
        }
    }

    /// Takes the row into account.
    pub fn learn(&mut self, record: &Record<'_>, told: Option<&Told<'_>>, row: RowId, time: &UtcTime) {
        let Some(id) = record.session.id else { return };
        match record.act {
            Act::ConnectionReceived => {
                // The number of an earlier session that was given again.
                self.enter(id, |session| *session = Session { received: Some(row), ..Session::default() });
            }
            Act::Authenticated => self.enter(id, |session| session.authenticated(&authentication::of(record))),
            Act::Login => self.enter(id, |session| session.logged_in(time)),
            Act::LoginFailed | Act::Logout => {
                self.newer.remove(id);
                self.older.remove(id);
            }
            Act::Statement | Act::LoggedStatement => self.ran(id, record, told, row),
            Act::FailedStatement => {
                if let Some(session) = self.session(id) {
                    session.failed(record);
                }
            }
            Act::TableAccess | Act::AccessDecision | Act::Message => {}
        }
    }

    fn ran(&mut self, id: &[u8], record: &Record<'_>, told: Option<&Told<'_>>, row: RowId) {
        let begun = Begun::of(record, row);
        // Only PostgreSQL's names and settings are followed.
        let is_followed = |told: &&Told<'_>| {
            told.dialect == Sql::POSTGRES && told.statements().iter().any(|it| changes_session(told, it))
        };
        let told = told.filter(is_followed).filter(|_| record.status != Status::Failure);
        if begun.is_none() && told.is_none() {
            return;
        }
        self.enter(id, |session| {
            if let Some(begun) = begun {
                session.begins(begun);
            }
            if let Some(told) = told {
                session.set(record, told);
            }
        });
    }

    fn session(&mut self, id: &[u8]) -> Option<&mut Session> {
        if !self.older.is_empty()
            && let Some((id, session)) = self.older.remove_entry(id)
        {
            self.newer.insert(id, session);
        }
        self.newer.get_mut(id)
    }

    fn enter(&mut self, id: &[u8], change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.session(id) {
            return change(session);
        }
        if self.newer.len() >= SESSIONS_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        change(self.newer.entry(id.into()).or_default());
    }
}

impl Session {
    fn known(&self, record: &Record<'_>) -> Known<'_> {
        let user = record.user.unwrap_or_default();
        let role = self.settings.role.as_ref().or(self.settings.authorization.as_ref());
        Known {
            acting_as: role.map(Vec::as_slice).filter(|role| *role != user),
            schema: self.settings.schema.as_deref().filter(|_| !self.settings.is_temporary),
            refers_to: match record.act {
                Act::Login | Act::LoginFailed => self.received,
                Act::FailedStatement => self.begun.as_ref().filter(|begun| begun.failed_with(record)).map(|it| it.row),
                _ => None,
            },
            method: self.method.as_deref(),
            identity: self.identity.as_deref(),
            logged_in_ms: self.logged_in_ms,
        }
    }

    fn authenticated(&mut self, authentication: &Authentication<'_>) {
        self.method = authentication.method.map(<[u8]>::to_vec);
        self.identity = authentication.identity.map(<[u8]>::to_vec);
    }

    /// The row of the login has what came before it.
    fn logged_in(&mut self, time: &UtcTime) {
        *self = Session { logged_in_ms: time.source.is_none().then(|| time.unix_ms()), ..Session::default() };
    }

    /// More rows of the same statement: the first one is referred to.
    fn begins(&mut self, begun: Begun) {
        if !self.begun.as_ref().is_some_and(|before| before.same_statement(&begun)) {
            self.begun = Some(begun);
        }
    }

    fn failed(&mut self, record: &Record<'_>) {
        let text = record.statement.and_then(|statement| statement.text).map(hash);
        if let Some((_, settings, lasting)) = self.undo.take().filter(|(of, ..)| Some(*of) == text) {
            (self.settings, self.lasting) = (settings, lasting);
        }
        self.is_aborted |= self.before.is_some();
        self.begun = None;
    }

    fn set(&mut self, record: &Record<'_>, told: &Told<'_>) {
        let text = record.statement.and_then(|statement| statement.text).map(hash);
        self.undo = text.map(|text| (text, self.settings.clone(), self.lasting.clone()));
        for statement in told.statements() {
            self.apply(told, statement);
        }
    }

    fn apply(&mut self, told: &Told<'_>, statement: &Statement) {
        match statement.action {
            "BEGIN" | "START TRANSACTION" => self.before = Some(self.lasting.clone()),
            "COMMIT" | "PREPARE TRANSACTION" => self.end(!self.is_aborted),
            // What was set since the savepoint is not known.
            "ROLLBACK" if is_to_savepoint(statement.span.of(told.text)) => self.forget(),
            "ROLLBACK" => self.end(false),
            "DISCARD ALL" => self.forget(),
            _ => self.apply_settings(told, statement),
        }
    }

    fn end(&mut self, keeps: bool) {
        if let Some(before) = self.before.take().filter(|_| !keeps) {
            self.lasting = before;
        }
        self.settings = self.lasting.clone();
        self.is_aborted = false;
    }

    fn forget(&mut self) {
        (self.settings, self.lasting, self.is_aborted) = (Settings::default(), Settings::default(), false);
    }

    fn apply_settings(&mut self, told: &Told<'_>, statement: &Statement) {
        if statement.options.has(Options::TEMPORARY) {
            (self.settings.is_temporary, self.lasting.is_temporary) = (true, true);
        }
        for setting in told.reading().settings(statement) {
            match setting.scope {
                Scope::Session => {
                    self.settings.apply(told, setting);
                    self.lasting.apply(told, setting);
                }
                // Outside of a transaction it has no effect.
                Scope::Transaction if self.before.is_some() => self.settings.apply(told, setting),
                _ => {}
            }
        }
    }
}

impl Settings {
    fn apply(&mut self, told: &Told<'_>, setting: &Setting) {
        let mut name = Vec::new();
        told.parameter(setting, &mut |part| name.extend_from_slice(part));
        name.make_ascii_lowercase();
        match (name.as_slice(), setting.value) {
            (b"search_path" | b"schema", Set::Text(span)) => self.schema = only_schema(span.of(told.text)),
            (b"search_path" | b"schema" | b"all", _) => self.schema = None,
            (b"role", value) => self.role = role_of(told, value),
            (b"session_authorization", value) => (self.authorization, self.role) = (role_of(told, value), None),
            _ => {}
        }
    }
}

/// `NONE` and `DEFAULT` put the session's own user back.
fn role_of(told: &Told<'_>, value: Set) -> Option<Vec<u8>> {
    let Set::Text(span) = value else { return None };
    let role = normalized(told.dialect, span.of(told.text)).into_owned();
    Some(role).filter(|role| !role.is_empty() && !role.eq_ignore_ascii_case(b"none"))
}

impl Begun {
    /// Of a row that pgAudit writes when a statement begins: it does not say how it ended.
    fn of(record: &Record<'_>, row: RowId) -> Option<Self> {
        let statement =
            record.statement.filter(|_| record.act == Act::Statement && record.status == Status::Unknown)?;
        statement.class?;
        let (text, transaction) = (hash(statement.text?), transaction(record)?);
        Some(Begun { text, transaction, statement: statement.id, row })
    }

    fn same_statement(&self, other: &Begun) -> bool {
        (self.text, self.transaction, self.statement) == (other.text, other.transaction, other.statement)
    }

    fn failed_with(&self, record: &Record<'_>) -> bool {
        let text = record.statement.and_then(|statement| statement.text).map(hash);
        text == Some(self.text) && transaction(record) == Some(self.transaction) && comes_of_running(record)
    }
}

/// The virtual transaction, by which all rows of one transaction are known.
fn transaction(record: &Record<'_>) -> Option<u64> {
    let id = extra(record, "virtual_transaction_id").filter(|id| !id.is_empty() && !id.ends_with(b"/0"))?;
    Some(hash(id))
}

/// Errors of class 42 come of reading the statement and of checking rights, before it runs; those of class 25 of the transaction that it is
/// in. Inside a function, which shows as a context, either comes of running.
fn comes_of_running(record: &Record<'_>) -> bool {
    let code = record.error_code.unwrap_or_default();
    let is_early = matches!(code.get(..2), None | Some(b"42" | b"25")) && extra(record, "context").is_none();
    !is_early && !matches!(extra(record, "command_tag"), Some(b"PARSE" | b"BIND"))
}

fn extra<'a>(record: &Record<'a>, wanted: &str) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == wanted => Some(*text),
        _ => None,
    })
}

fn is_to_savepoint(statement: &[u8]) -> bool {
    statement.split(u8::is_ascii_whitespace).any(|word| word.eq_ignore_ascii_case(b"to"))
}

fn changes_session(told: &Told<'_>, statement: &Statement) -> bool {
    const WORDS: [&str; 6] = ["BEGIN", "START", "COMMIT", "ROLLBACK", "PREPARE", "DISCARD"];
    WORDS.iter().any(|word| statement.action.starts_with(word))
        || !told.reading().settings(statement).is_empty()
        || statement.options.has(Options::TEMPORARY)
}

/// The schema of a search path of one. `"$user"` is another schema for every user; what is before or behind a second one cannot be told.
fn only_schema(path: &[u8]) -> Option<Vec<u8>> {
    let inner = match path {
        [b'\'', inner @ .., b'\''] => inner,
        other => other,
    };
    let inner = inner.trim_ascii();
    let (quoted, name) = match inner {
        [b'"', name @ .., b'"'] => (true, name),
        name => (false, name),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let is_one = !name.is_empty() && name.iter().all(is_name);
    is_one.then(|| if quoted { name.to_vec() } else { name.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use sealtrail_parsers::{Dialect, Format, Session as RowSession, Statement as RowStatement};

    use super::super::Readings;
    use super::*;

    /// One session, told in statements.
    #[derive(Default)]
    struct Told {
        memory: Memory,
        readings: Readings,
        rows: u64,
    }

    fn row<'a>(act: Act, session: &'a str, text: &'a str) -> Record<'a> {
        Record {
            act,
            user: Some(b"app"),
            session: RowSession { id: Some(session.as_bytes()), ..RowSession::default() },
            statement: Some(RowStatement {
                text: Some(text.as_bytes()),
                class: Some(b"READ"),
                ..RowStatement::default()
            }),
            ..Record::default()
        }
    }

    impl Told {
        fn learn(&mut self, record: &Record<'_>) -> RowId {
            self.rows += 1;
            let at = RowId { offset: self.rows, ..RowId::default() };
            let told = self.readings.told(&Dialect::from(Format::PostgresCsvlog), record, false);
            self.memory.learn(record, told.as_ref(), at, &UtcTime::from_rfc3339(b"2026-11-20T20:28:31Z"));
            at
        }

        fn runs(&mut self, text: &str) {
            self.learn(&row(Act::LoggedStatement, "s", text));
        }

        fn fails(&mut self, text: &str) {
            self.learn(&row(Act::FailedStatement, "s", text));
        }

        fn acting_as(&mut self) -> Option<String> {
            let known = self.memory.known(&row(Act::Statement, "s", "SELECT 1")).acting_as;
            known.map(|role| String::from_utf8_lossy(role).into_owned())
        }

        fn schema(&mut self) -> Option<String> {
            let known = self.memory.known(&row(Act::Statement, "s", "SELECT 1")).schema;
            known.map(|schema| String::from_utf8_lossy(schema).into_owned())
        }
    }

    #[test]
    fn a_role_is_taken_until_it_is_put_back() {
        let mut told = Told::default();
        told.runs("SET ROLE Dba");
        assert_eq!(told.acting_as().as_deref(), Some("dba"));
        told.runs("RESET ROLE");
        assert_eq!(told.acting_as(), None);
        told.runs("SET SESSION AUTHORIZATION bob");
        told.runs("SET ROLE dba");
        told.runs("SET ROLE NONE");
        assert_eq!(told.acting_as().as_deref(), Some("bob"));
        told.runs("DISCARD ALL");
        assert_eq!(told.acting_as(), None);
        told.runs("SET ROLE app");
        assert_eq!(told.acting_as(), None, "the user itself is no other role");
    }

    #[test]
    fn what_a_transaction_set_goes_with_it() {
        let mut told = Told::default();
        for (end, left) in [("COMMIT", Some("dba")), ("ROLLBACK", None), ("ROLLBACK TO SAVEPOINT x", None)] {
            told.runs("RESET ROLE");
            told.runs("BEGIN");
            told.runs("SET ROLE dba");
            told.runs(end);
            assert_eq!(told.acting_as().as_deref(), left, "{end}");
            told.runs("ROLLBACK");
        }
        told.runs("BEGIN");
        told.runs("SET LOCAL ROLE dba");
        assert_eq!(told.acting_as().as_deref(), Some("dba"));
        told.runs("COMMIT");
        assert_eq!(told.acting_as(), None);
        told.runs("SET LOCAL ROLE dba");
        assert_eq!(told.acting_as(), None, "outside of a transaction it has no effect");
    }

    #[test]
    fn a_transaction_in_which_something_failed_keeps_nothing() {
        let mut told = Told::default();
        told.runs("BEGIN");
        told.runs("SET ROLE dba");
        told.fails("SELECT 1/0");
        told.runs("COMMIT");
        assert_eq!(told.acting_as(), None);
    }

    #[test]
    fn a_setting_that_failed_was_not_made() {
        let mut told = Told::default();
        told.runs("SET ROLE dba");
        told.runs("SET ROLE root");
        told.fails("SET ROLE root");
        assert_eq!(told.acting_as().as_deref(), Some("dba"));
    }

    #[test]
    fn only_a_search_path_of_one_schema_says_where_names_are() {
        let mut told = Told::default();
        for (statement, schema) in [
            ("SET search_path TO Shop", Some("shop")),
            ("SET search_path = 'shop'", Some("shop")),
            ("SET search_path = \"Shop\"", Some("Shop")),
            ("SET search_path = shop, public", None),
            ("SET search_path = \"$user\"", None),
            ("SELECT set_config('search_path', 'shop', false)", Some("shop")),
            ("RESET search_path", None),
        ] {
            told.runs(statement);
            assert_eq!(told.schema().as_deref(), schema, "{statement}");
        }
        told.runs("SET search_path TO shop");
        told.runs("CREATE TEMP TABLE orders (id int)");
        assert_eq!(told.schema(), None, "a temporary table would be found first");
    }

    #[test]
    fn a_failure_refers_to_its_statement_and_to_no_other() {
        let transaction = |id: &'static str| ("virtual_transaction_id", Value::Text(id.as_bytes()));
        let failure = |text, id, code: &'static str, tag: &'static str| {
            let mut row = row(Act::FailedStatement, "s", text);
            row.error_code = Some(code.as_bytes());
            row.extra.extend([transaction(id), ("command_tag", Value::Text(tag.as_bytes()))]);
            row
        };
        for (text, id, code, tag, refers) in [
            ("SELECT 1", "3/7", "22012", "SELECT", true),
            ("SELECT 2", "3/7", "22012", "SELECT", false),
            ("SELECT 1", "3/8", "22012", "SELECT", false),
            ("SELECT 1", "3/0", "22012", "SELECT", false),
            ("SELECT 1", "3/7", "42501", "SELECT", false),
            ("SELECT 1", "3/7", "25P02", "SELECT", false),
            ("SELECT 1", "3/7", "22P02", "BIND", false),
        ] {
            let mut told = Told::default();
            let mut begun = row(Act::Statement, "s", "SELECT 1");
            begun.extra.push(transaction("3/7"));
            let at = told.learn(&begun);
            let known = told.memory.known(&failure(text, id, code, tag)).refers_to;
            assert_eq!(known, refers.then_some(at), "{text} {id} {code} {tag}");
        }
    }

    #[test]
    fn what_is_remembered_stays_within_its_bound_and_the_sessions_in_use_stay() {
        let mut told = Told::default();
        told.runs("SET ROLE dba");
        for number in 0..2 * SESSIONS_MAX {
            let session = format!("x{number}");
            told.learn(&row(Act::LoggedStatement, &session, "SET ROLE other"));
            if number % 1000 == 0 {
                assert_eq!(told.acting_as().as_deref(), Some("dba"));
            }
        }
        assert!(told.memory.newer.len() + told.memory.older.len() <= SESSIONS_MAX);
    }
}
