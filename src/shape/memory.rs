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
use std::sync::Arc;

use sealtrail_parsers::{Act, Record, Status, Value};
use sealtrail_sql::{Dialect as Sql, Statement};

use super::authentication;
use super::claims::{self, Claim, Variables};
use super::facts::Facts;
use super::prepared::{self, Effect, Group, Prepared, Runs};
use super::readings::hash;
use super::settings::{self, Settings};
use super::time::UtcTime;
use super::told::{How, Told};
use crate::limits::SESSIONS_MAX;
use crate::sessions::numbered::RowId;

/// What is remembered of one source.
#[derive(Debug, Default)]
pub struct Memory {
    sessions: Sessions,
    prepared: Prepared,
    /// By which applications say who their sessions are for.
    pub variables: Arc<Variables>,
}

/// Those that were not seen for longest are forgotten: two maps, of which the older one goes when the newer is full.
#[derive(Debug, Default)]
struct Sessions {
    newer: ById,
    older: ById,
}

/// Every row asks twice, so that the hash is a cheap one. It is seeded anew for each map, and somebody who finds ids that collide all the same
/// gets no more than [`SESSIONS_MAX`] of them in.
type ById = HashMap<Box<[u8]>, Session, foldhash::fast::RandomState>;

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
    /// The same for whoever joins it to another log, also where its zone is the configuration's.
    pub began_ms: Option<u64>,
    /// Whom the server proved it to be, for as long as it lasts.
    pub authenticated: Option<Authenticated<'a>>,
    /// Whom its application says that it is for, and the record that tells.
    pub claim: Option<(&'a [u8], RowId)>,
    /// Not of its rows: the directory says that its account is one for emergencies.
    pub break_glass: bool,
}

/// Whom a server proved a session to be.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated<'a> {
    /// How: the engine's word.
    pub method: &'a [u8],
    /// The name that was proven, before it was mapped to an account.
    pub identity: &'a [u8],
    /// The record that tells.
    pub row: RowId,
}

#[derive(Debug)]
struct Proven {
    method: Vec<u8>,
    identity: Vec<u8>,
    row: RowId,
}

#[derive(Debug, Default)]
struct Session {
    /// The record of the connection that nobody was known of.
    received: Option<RowId>,
    method: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
    logged_in_ms: Option<u64>,
    began_ms: Option<u64>,
    /// Unlike these it outlives the login.
    proven: Option<Proven>,
    settings: Settings,
    /// What MySQL's variables say: they outlast transactions.
    variables: Vec<Claim>,
    /// What its client said when it connected.
    attribute: Option<Claim>,
    begun: Option<Begun>,
    /// Where its prepared statements are, if it has any.
    prepared: Option<Group>,
    /// The name to which the row before wanted to give a text, and the text's hash.
    asked: Option<(Vec<u8>, u64)>,
}

/// A statement of which it was told that it begins.
#[derive(Debug)]
struct Begun {
    text: u64,
    transaction: u64,
    statement: Option<u64>,
    row: RowId,
}

/// Room for [`session_key`].
pub const SESSION_KEY_MAX: usize = 28;

/// A session's name within its source. Connections are numbered by their server, from 1 and anew when it starts, so that beside their number
/// stands whose log it is. PostgreSQL's names are long enough to be no other's.
pub fn session_key<'k>(id: &'k [u8], log: u64, room: &'k mut [u8; SESSION_KEY_MAX]) -> &'k [u8] {
    let whole = id.len() + size_of::<u64>();
    if whole > SESSION_KEY_MAX || !id.iter().all(u8::is_ascii_digit) {
        return id;
    }
    room[..id.len()].copy_from_slice(id);
    room[id.len()..whole].copy_from_slice(&log.to_le_bytes());
    &room[..whole]
}

impl Memory {
    /// What is known of the row's session, before the row itself. `session`: its [key](session_key).
    pub fn known(&mut self, session: Option<&[u8]>, record: &Record<'_>) -> Known<'_> {
        let Some(id) = session else { return Known::default() };
        if self.sessions.is_empty() {
            return Known::default();
        }
        match self.sessions.get(id) {
            Some(session) => session.known(record),
            None => Known::default(),
        }
    }

    /// What the row's statement runs, where that is another text than its own: of an `EXECUTE` the statement that was prepared.
    pub fn runs<'a>(&mut self, session: Option<&[u8]>, record: &Record<'a>, told: &Told<'_>) -> Option<Runs<'a>> {
        let statement =
            told.statement().filter(|it| it.inner == "EXECUTE" || matches!(it.action, "EXECUTE" | "PREPARE"))?;
        let by_row = prepared::told_by_row(record, told);
        if !prepared::depends(told.dialect, statement) && by_row.is_none() {
            return None;
        }
        if prepared::is_cut(record, told, statement) || prepared::is_unknown(record) {
            return None;
        }
        let name = match prepared::effect(told.dialect, told.text, statement) {
            Some(Effect::Executes(name) | Effect::Prepares(name, _)) => Some(name),
            _ => None,
        };
        if let Some(runs) = by_row {
            // The engine's word is newer than what is remembered.
            if let (Some(id), Some(name)) = (session, &name) {
                let group = self.group(id);
                self.prepared.set(group, name, Some(&runs.text), false);
            }
            return Some(runs);
        }
        if prepared::detail(record).is_some() {
            // It says something else, whatever that is.
            return None;
        }
        let group = self.sessions.get(session?)?.prepared?;
        let text = prepared::in_place(told.dialect, told.text, statement, self.prepared.text(group, &name?)?);
        Some(Runs { text: text.into_owned().into(), how: How::Session })
    }

    /// Takes the row into account.
    pub fn learn(
        &mut self,
        session: Option<&[u8]>,
        record: &Record<'_>,
        told: Option<&Told<'_>>,
        row: RowId,
        time: &UtcTime,
    ) {
        let Some(id) = session else { return };
        if record.session.line == Some(1) {
            self.sessions.enter(id, |session| *session = Session::new());
        }
        match record.act {
            Act::ConnectionReceived => {
                // The number of an earlier session that was given again.
                self.sessions.enter(id, |session| *session = Session { received: Some(row), ..Session::new() });
            }
            Act::Authenticated => self.sessions.enter(id, |session| session.authenticated(record, row)),
            Act::Login => {
                let variables = &self.variables;
                self.sessions.enter(id, |session| {
                    session.logged_in(time);
                    if !variables.attributes.is_empty() {
                        session.attribute = claims::of_attributes(variables, record, row);
                    }
                });
            }
            Act::LoginFailed | Act::Logout => {
                self.sessions.remove(id);
            }
            Act::Statement | Act::LoggedStatement => {
                if record.follows {
                    self.prepared_as_asked(id, record);
                }
                self.ran(id, record, told, row);
                if !self.variables.names.is_empty() {
                    self.follow_claims(id, record, told, row);
                }
                self.follow_names(id, record, told);
            }
            Act::FailedStatement => {
                if let Some(session) = self.sessions.get(id) {
                    session.failed(record);
                }
                self.follow_names(id, record, told);
            }
            Act::TableAccess | Act::AccessDecision | Act::Message => {}
        }
    }

    fn ran(&mut self, id: &[u8], record: &Record<'_>, told: Option<&Told<'_>>, row: RowId) {
        let begun = told.filter(|told| is_alone(told)).and_then(|_| Begun::of(record, row));
        // Only PostgreSQL's names and settings are followed.
        let is_followed = |told: &&Told<'_>| {
            told.dialect == Sql::POSTGRES && told.statements().iter().any(|it| settings::changes(told, it))
        };
        let told = told.filter(is_followed).filter(|_| record.status != Status::Failure);
        let is_next = record.act == Act::LoggedStatement;
        if begun.is_none() && told.is_none() {
            // What was under way is over, or another statement is.
            if let Some(session) = is_next.then(|| self.sessions.get(id)).flatten() {
                session.begun = None;
            }
            return;
        }
        let variables = &self.variables;
        self.sessions.enter(id, |session| {
            if is_next {
                session.begun = None;
            }
            if let Some(begun) = begun {
                session.begins(begun);
            }
            if let Some(told) = told {
                let text = record.statement.and_then(|statement| statement.text).map(hash);
                session.settings.ran(text, told, settings::Row { record, at: row, variables });
            }
        });
    }

    /// Whom applications say that their sessions are for, behind what [`Settings`] tell of it.
    fn follow_claims(&mut self, id: &[u8], record: &Record<'_>, told: Option<&Told<'_>>, row: RowId) {
        let variables = &self.variables;
        let resets = record.command.is_some_and(|command| command.eq_ignore_ascii_case(b"reset connection"));
        match told {
            Some(told) if told.dialect == Sql::MYSQL => {
                let sets = told.statements().iter().any(|it| !told.reading().settings(it).is_empty());
                if sets {
                    return self.sessions.enter(id, |session| {
                        claims::follow_mysql(&mut session.variables, variables, record, told, row);
                    });
                }
                if let Some(session) = self.sessions.get(id).filter(|session| !session.variables.is_empty()) {
                    claims::follow_mysql(&mut session.variables, variables, record, told, row);
                }
            }
            Some(told) => {
                let session = self.sessions.get(id).filter(|session| session.settings.claim().is_some());
                if let Some(session) = session.filter(|_| claims::may_set_unseen(told)) {
                    session.settings.forget_claims();
                }
            }
            None => {}
        }
        if resets && let Some(session) = self.sessions.get(id) {
            session.variables.clear();
        }
    }

    /// Follows the names of prepared statements. Where it cannot be told what became of which, none is known.
    fn follow_names(&mut self, id: &[u8], record: &Record<'_>, told: Option<&Told<'_>>) {
        let Some(told) = told else {
            let resets = record.command.is_some_and(|command| command.eq_ignore_ascii_case(b"reset connection"));
            return if resets {
                self.forget_names(id)
            };
        };
        if told.facts().has(Facts::AUDIT_CHANGED) {
            // Rows may be missing from here on, or have been.
            self.forget_names(id);
        }
        if !prepared::concerns(told) {
            return;
        }
        let failed = record.act == Act::FailedStatement || record.status == Status::Failure;
        if told.statements().is_empty() || told.reading().unread > 0 || (failed && !is_alone(told)) {
            return self.forget_names(id);
        }
        for statement in told.statements() {
            if let Some(effect) = prepared::effect(told.dialect, told.text, statement) {
                self.follow_name(id, record, told, statement, failed, effect);
            }
        }
    }

    /// The general query log does not say what failed, but has a row of its own for what was prepared.
    fn prepared_as_asked(&mut self, id: &[u8], record: &Record<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let (Some((name, asked)), Some(group)) = (session.asked.take(), session.prepared) else { return };
        let text = record.statement.and_then(|statement| statement.text).filter(|_| record.command == Some(b"Prepare"));
        if let Some(text) = text.filter(|text| hash(text) == asked) {
            self.prepared.set(group, &name, Some(text), false);
        }
    }

    fn follow_name(
        &mut self,
        id: &[u8],
        record: &Record<'_>,
        told: &Told<'_>,
        statement: &Statement,
        failed: bool,
        effect: Effect<'_>,
    ) {
        match effect {
            // MySQL gives the name up before it reads what it shall stand for.
            Effect::Prepares(name, _) if failed && told.dialect == Sql::MYSQL => self.forget_name(id, &name),
            Effect::Prepares(name, _) if failed => {
                if let Some(group) = self.sessions.get(id).and_then(|session| session.prepared) {
                    self.prepared.failed(group, &name);
                }
            }
            Effect::Prepares(name, text) => {
                let text = text.filter(|_| !prepared::is_cut(record, told, statement));
                let group = self.group(id);
                if record.follows {
                    self.prepared.set(group, &name, None, false);
                    let asked = text.map(|text| (name, hash(&text)));
                    return self.sessions.enter(id, |session| session.asked = asked);
                }
                let may_still_fail = prepared::may_still_fail(record, told.dialect);
                self.prepared.set(group, &name, text.as_deref(), may_still_fail);
            }
            Effect::Executes(name) if prepared::is_unknown(record) => self.forget_name(id, &name),
            Effect::Forgets(name) if !failed => self.forget_name(id, &name),
            Effect::ForgetsAll if !failed => self.forget_names(id),
            Effect::Executes(_) | Effect::Forgets(_) | Effect::ForgetsAll => {}
        }
    }

    fn forget_name(&mut self, id: &[u8], name: &[u8]) {
        if let Some(group) = self.sessions.get(id).and_then(|session| session.prepared) {
            self.prepared.forget(group, name);
        }
    }

    fn forget_names(&mut self, id: &[u8]) {
        if let Some(session) = self.sessions.get(id) {
            session.prepared = None;
        }
    }

    /// Where the session's prepared statements are.
    fn group(&mut self, id: &[u8]) -> Group {
        if let Some(group) = self.sessions.get(id).and_then(|session| session.prepared) {
            return group;
        }
        let group = self.prepared.group();
        self.sessions.enter(id, |session| session.prepared = Some(group));
        group
    }
}

impl Sessions {
    fn is_empty(&self) -> bool {
        self.newer.is_empty() && self.older.is_empty()
    }

    fn get(&mut self, id: &[u8]) -> Option<&mut Session> {
        if !self.older.is_empty()
            && let Some((id, session)) = self.older.remove_entry(id)
        {
            self.newer.insert(id, session);
        }
        self.newer.get_mut(id)
    }

    fn enter(&mut self, id: &[u8], change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.get(id) {
            return change(session);
        }
        if self.newer.len() >= SESSIONS_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        change(self.newer.entry(id.into()).or_default());
    }

    fn remove(&mut self, id: &[u8]) {
        self.newer.remove(id);
        self.older.remove(id);
    }
}

impl Session {
    /// One that begins.
    fn new() -> Self {
        Session { settings: Settings::begun(), ..Session::default() }
    }

    fn known(&self, record: &Record<'_>) -> Known<'_> {
        let user = record.user.unwrap_or_default();
        Known {
            acting_as: self.settings.role().filter(|role| *role != user),
            schema: self.settings.schema(),
            refers_to: match record.act {
                Act::Login | Act::LoginFailed => self.received,
                Act::FailedStatement => self.begun.as_ref().filter(|begun| begun.failed_with(record)).map(|it| it.row),
                _ => None,
            },
            method: self.method.as_deref(),
            identity: self.identity.as_deref(),
            logged_in_ms: self.logged_in_ms,
            began_ms: self.began_ms,
            authenticated: self.proven.as_ref().map(|it| Authenticated {
                method: &it.method,
                identity: &it.identity,
                row: it.row,
            }),
            claim: self
                .settings
                .claim()
                .or_else(|| claims::first(&self.variables))
                .or(self.attribute.as_ref())
                .map(|it| (&*it.value, it.row)),
            break_glass: false,
        }
    }

    fn authenticated(&mut self, record: &Record<'_>, row: RowId) {
        let authentication = authentication::of(record);
        self.method = authentication.method.map(<[u8]>::to_vec);
        self.identity = authentication.identity.map(<[u8]>::to_vec);
        // A client of some formats can write rows that look like the server's.
        let is_servers_word = !record.flags.contains(&"forgeable");
        self.proven = match (&self.method, &self.identity) {
            (Some(method), Some(identity)) if is_servers_word => {
                Some(Proven { method: method.clone(), identity: identity.clone(), row })
            }
            _ => None,
        };
    }

    /// The row of the login has what came before it.
    fn logged_in(&mut self, time: &UtcTime) {
        let (proven, logged_in_ms) = (self.proven.take(), time.source.is_none().then(|| time.unix_ms()));
        let began_ms = time.is_certain().then(|| time.unix_ms());
        *self = Session { logged_in_ms, began_ms, proven, ..Session::new() };
    }

    /// More rows of the same statement: the first one is referred to.
    fn begins(&mut self, begun: Begun) {
        if !self.begun.as_ref().is_some_and(|before| before.same_statement(&begun)) {
            self.begun = Some(begun);
        }
    }

    fn failed(&mut self, record: &Record<'_>) {
        let text = record.statement.and_then(|statement| statement.text).map(hash);
        self.settings.failed(text);
        self.begun = None;
    }
}

impl Begun {
    /// Of a row that pgAudit writes before a statement runs: it does not say how it ended. Those of other classes it writes when the statement is done,
    /// and of a `PREPARE`, too.
    fn of(record: &Record<'_>, row: RowId) -> Option<Self> {
        let statement =
            record.statement.filter(|_| record.act == Act::Statement && record.status == Status::Unknown)?;
        let is_before = match statement.class? {
            b"READ" | b"WRITE" => record.command != Some(b"PREPARE"),
            b"FUNCTION" => true,
            _ => false,
        };
        if !is_before {
            return None;
        }
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
/// in. Those of being cancelled, of locks, of what the server lacks, may come at any time, so that the same text may have run well before. Inside a function,
/// or at a row, which shows as a context, all of them come of running.
fn comes_of_running(record: &Record<'_>) -> bool {
    let code = record.error_code.unwrap_or_default();
    let is_at_any_time =
        matches!(code.get(..2), None | Some(b"08" | b"25" | b"42" | b"53" | b"54" | b"55" | b"57" | b"58" | b"XX"));
    let is_early = (is_at_any_time || code == b"40P01") && extra(record, "context").is_none();
    !is_early && !matches!(extra(record, "command_tag"), Some(b"PARSE" | b"BIND"))
}

/// Of several statements in one text each may be the one that failed.
fn is_alone(told: &Told<'_>) -> bool {
    told.reading().statements.len() == 1 && told.reading().unread == 0
}

fn extra<'a>(record: &Record<'a>, wanted: &str) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == wanted => Some(*text),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
