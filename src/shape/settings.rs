//! What a session of PostgreSQL has set: the role that it has taken, and the schema in which its names are looked for.
//!
//! Follows transactions, since what was set in one goes with it when it is rolled back. Hard is that not all of this is seen: of a session that was open
//! before the log was read it is not known whether it is in one, nor whether it has temporary objects; and pgAudit logs no statement of a
//! transaction that has failed, its ROLLBACK neither. Where a value may have been taken back unseen it is not known.

use sealtrail_sql::{Options, Scope, Setting, Statement, Value as Set, name::normalized};

use sealtrail_parsers::Record;

use super::claims::{self, Claim, Variables};
use super::told::Told;
use crate::sessions::numbered::RowId;

/// The settings of one session, as far as its rows tell.
#[derive(Debug, Default)]
pub struct Settings {
    now: Values,
    /// As they are when the transaction has been committed: without what was set for it alone.
    lasting: Values,
    transaction: Transaction,
    /// Something was set in the transaction.
    is_changed: bool,
    /// A statement of the transaction has failed: it can only be rolled back, all of it or to a savepoint.
    is_aborted: bool,
    /// As they were before the statement that may still fail, now and lasting.
    undo: Option<(u64, Values, Values)>,
}

/// A row that sets something.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    /// What it says.
    pub record: &'r Record<'r>,
    /// Where it stands.
    pub at: RowId,
    /// The variables by which an application says who its session is for.
    pub variables: &'r Variables,
}

/// Whether the session is in one.
#[derive(Debug, Default)]
enum Transaction {
    /// Its beginning was not read.
    #[default]
    Unknown,
    Outside,
    /// With the values as they were when it began.
    Inside(Values),
}

/// What is set; what is absent is not set, or not known.
#[derive(Debug, Default, Clone)]
struct Values {
    /// By `SET SESSION AUTHORIZATION`.
    authorization: Option<Vec<u8>>,
    /// By `SET ROLE`.
    role: Option<Vec<u8>>,
    /// The only schema of the search path.
    schema: Option<Vec<u8>>,
    temporary: Temporary,
    /// Who the session is for, by its variables.
    claims: Vec<Claim>,
}

/// Whether the session has made temporary objects, which are found before all others.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Temporary {
    /// Its beginning was not read.
    #[default]
    Unknown,
    None,
    Some,
}

/// Whether a statement may change what is followed.
pub fn changes(told: &Told<'_>, statement: &Statement) -> bool {
    const WORDS: [&str; 6] = ["BEGIN", "START", "COMMIT", "ROLLBACK", "PREPARE TRANSACTION", "DISCARD"];
    WORDS.iter().any(|word| statement.action.starts_with(word))
        || !told.reading().settings(statement).is_empty()
        || statement.options.has(Options::TEMPORARY)
}

impl Settings {
    /// Of a session that begins.
    pub fn begun() -> Self {
        let now = Values { temporary: Temporary::None, ..Values::default() };
        Settings { lasting: now.clone(), now, transaction: Transaction::Outside, ..Settings::default() }
    }

    /// The role that it has taken.
    pub fn role(&self) -> Option<&[u8]> {
        self.now.role.as_deref().or(self.now.authorization.as_deref())
    }

    /// The only schema that names without one can be in.
    pub fn schema(&self) -> Option<&[u8]> {
        self.now.schema.as_deref().filter(|_| self.now.temporary == Temporary::None)
    }

    /// Whom its application says that it is for.
    pub fn claim(&self) -> Option<&Claim> {
        claims::first(&self.now.claims)
    }

    /// Its variables may have been set unseen.
    pub fn forget_claims(&mut self) {
        let inside = match &mut self.transaction {
            Transaction::Inside(before) => Some(before),
            Transaction::Unknown | Transaction::Outside => None,
        };
        let undo = self.undo.iter_mut().flat_map(|(_, now, lasting)| [now, lasting]);
        [&mut self.now, &mut self.lasting].into_iter().chain(inside).chain(undo).for_each(|it| it.claims.clear());
    }

    /// Takes statements into account. `text`: a hash, to know them again if they fail.
    pub fn ran(&mut self, text: Option<u64>, told: &Told<'_>, row: Row<'_>) {
        self.undo = text.map(|text| (text, self.now.clone(), self.lasting.clone()));
        for statement in told.statements() {
            self.apply(told, statement, row);
        }
    }

    /// A statement of this text failed.
    pub fn failed(&mut self, text: Option<u64>) {
        if let Some((_, now, lasting)) = self.undo.take().filter(|(of, ..)| Some(*of) == text) {
            (self.now, self.lasting) = (now, lasting);
        }
        if !matches!(self.transaction, Transaction::Outside) {
            self.is_aborted = true;
            if self.may_have_lost() {
                self.forget();
            }
        }
    }

    fn apply(&mut self, told: &Told<'_>, statement: &Statement, row: Row<'_>) {
        match statement.action {
            "BEGIN" | "START TRANSACTION" => self.begin(),
            "COMMIT" | "PREPARE TRANSACTION" => self.commit(is_chained(statement.span.of(told.text))),
            "ROLLBACK" if is_to_savepoint(statement.span.of(told.text)) => {
                // What was set since is not known.
                self.forget();
                self.is_aborted = false;
            }
            "ROLLBACK" => self.roll_back(is_chained(statement.span.of(told.text))),
            "DISCARD ALL" => {
                let Settings { now, lasting, .. } = Settings::begun();
                (self.now, self.lasting) = (now, lasting);
            }
            _ if changes(told, statement) => self.set(told, statement, row),
            _ => {}
        }
    }

    /// Inside of a transaction there is only a warning.
    fn begin(&mut self) {
        if self.is_aborted {
            self.go_on();
        }
        let before = match &self.transaction {
            Transaction::Inside(_) => return,
            Transaction::Outside => self.lasting.clone(),
            // The one under way began before whatever is known.
            Transaction::Unknown => self.unknown(),
        };
        (self.transaction, self.is_changed) = (Transaction::Inside(before), false);
    }

    fn commit(&mut self, is_chained: bool) {
        if self.is_aborted && self.may_have_lost() {
            self.forget();
        }
        self.now = self.lasting.clone();
        self.end(is_chained);
    }

    fn roll_back(&mut self, is_chained: bool) {
        match std::mem::take(&mut self.transaction) {
            Transaction::Inside(before) => self.lasting = before,
            Transaction::Unknown => self.lasting = self.unknown(),
            Transaction::Outside => {}
        }
        self.now = self.lasting.clone();
        self.end(is_chained);
    }

    fn end(&mut self, is_chained: bool) {
        (self.is_changed, self.is_aborted) = (false, false);
        self.transaction = if is_chained { Transaction::Inside(self.lasting.clone()) } else { Transaction::Outside };
    }

    fn set(&mut self, told: &Told<'_>, statement: &Statement, row: Row<'_>) {
        if self.is_aborted {
            self.go_on();
        }
        self.is_changed = true;
        if statement.options.has(Options::TEMPORARY) {
            (self.now.temporary, self.lasting.temporary) = (Temporary::Some, Temporary::Some);
        }
        for setting in told.reading().settings(statement) {
            self.set_claim(told, statement, setting, row);
            match (setting.scope, &self.transaction) {
                (Scope::Session, _) => {
                    self.now.apply(told, setting);
                    self.lasting.apply(told, setting);
                }
                (Scope::Transaction, Transaction::Inside(_)) => self.now.apply(told, setting),
                (Scope::Transaction, Transaction::Unknown) => self.now = self.unknown(),
                // Outside of a transaction it has no effect.
                (Scope::Transaction, Transaction::Outside) => {}
                _ => {}
            }
        }
    }

    /// A variable by which the application says who it is for.
    fn set_claim(&mut self, told: &Told<'_>, statement: &Statement, setting: &Setting, row: Row<'_>) {
        if row.variables.names.is_empty() {
            return;
        }
        let name = name_of(told, setting);
        if name == b"all" {
            return [&mut self.now, &mut self.lasting].into_iter().for_each(|values| values.claims.clear());
        }
        let Some(variable) = row.variables.find(&name) else { return };
        // A function among rows is called for none, one or many of them.
        let is_called = statement.action != "SET" && statement.action != "RESET";
        let is_certain = !is_called || told.reading().relations(statement).is_empty();
        let value = claims::value(told, setting, row.record).filter(|_| is_certain);
        let scope = match setting.scope {
            Scope::Session if row.variables.end_with_transaction => Scope::Transaction,
            scope => scope,
        };
        match (scope, &self.transaction) {
            // Outside of a transaction it has no effect.
            (Scope::Transaction, Transaction::Outside) => {}
            (Scope::Transaction, Transaction::Inside(_)) => claims::put(&mut self.now.claims, variable, value, row.at),
            (Scope::Session, _) => {
                claims::put(&mut self.now.claims, variable, value.clone(), row.at);
                claims::put(&mut self.lasting.claims, variable, value, row.at);
            }
            (Scope::Transaction, Transaction::Unknown) | (Scope::Other, _) => {
                claims::put(&mut self.now.claims, variable, None, row.at);
                claims::put(&mut self.lasting.claims, variable, None, row.at);
            }
            // Of the server, or of later sessions.
            _ => {}
        }
    }

    /// A statement runs after one has failed: the transaction has been rolled back since, all of it or to a savepoint, or this one fails as well.
    fn go_on(&mut self) {
        if self.may_have_lost() {
            self.forget();
        }
        (self.transaction, self.is_aborted) = (Transaction::Unknown, false);
    }

    /// Whether going back may change what is set.
    fn may_have_lost(&self) -> bool {
        self.is_changed || matches!(self.transaction, Transaction::Unknown)
    }

    fn forget(&mut self) {
        (self.now, self.lasting) = (self.unknown(), self.unknown());
    }

    /// Nothing is known, but for temporary objects: going back makes none.
    fn unknown(&self) -> Values {
        Values { temporary: self.now.temporary, ..Values::default() }
    }
}

impl Values {
    fn apply(&mut self, told: &Told<'_>, setting: &Setting) {
        match (name_of(told, setting).as_slice(), setting.value) {
            (b"search_path" | b"schema", Set::Text(span)) => self.schema = only_schema(span.of(told.text)),
            (b"search_path" | b"schema" | b"all", _) => self.schema = None,
            (b"role", value) => self.role = role_of(told, value),
            (b"session_authorization", value) => (self.authorization, self.role) = (role_of(told, value), None),
            _ => {}
        }
    }
}

fn name_of(told: &Told<'_>, setting: &Setting) -> Vec<u8> {
    let mut name = Vec::new();
    told.parameter(setting, &mut |part| name.extend_from_slice(part));
    name.make_ascii_lowercase();
    name
}

/// `NONE` and `DEFAULT` put the session's own user back.
fn role_of(told: &Told<'_>, value: Set) -> Option<Vec<u8>> {
    let Set::Text(span) = value else { return None };
    let role = normalized(told.dialect, span.of(told.text)).into_owned();
    Some(role).filter(|role| !role.is_empty() && !role.eq_ignore_ascii_case(b"none"))
}

fn is_to_savepoint(statement: &[u8]) -> bool {
    statement.split(u8::is_ascii_whitespace).any(|word| word.eq_ignore_ascii_case(b"to"))
}

/// `AND CHAIN`: the next transaction begins at once.
fn is_chained(statement: &[u8]) -> bool {
    let mut words = statement.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    words.by_ref().any(|word| is(word, b"AND")) && words.next().is_some_and(|word| is(word, b"CHAIN"))
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
