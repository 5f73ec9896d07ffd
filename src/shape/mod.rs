//! A record becomes an event: canonical action, resource, category, outcome, time in UTC.
//!
//! The four fields are filled on every row. What the engine did not say is read from the statement, or derived, and every derived field is
//! named in `derived` with the way it was derived. The engine's own word wins, but where it names its own tables instead of what
//! the statement is about. What earlier rows of a session tell of this one comes in as [`Known`]; nothing here remembers.

mod alike;
pub mod audit;
pub mod authentication;
pub mod category;
pub mod claims;
pub mod classify;
pub mod facts;
pub mod memory;
pub mod prepared;
pub mod readings;
pub mod settings;
pub mod tally;
pub mod time;
pub mod told;

use std::borrow::Cow;

use sealtrail_parsers::{Act, Dialect, Format, Object, Record, Status, Value};
use sealtrail_sql::{Dialect as Sql, Options};

pub use authentication::Authentication;
pub use category::{Category, Rule};
pub use classify::{Classify, Standing};
pub use facts::Facts;
pub use memory::{Known, Memory};
pub use readings::Readings;
pub use tally::Tally;
pub use time::{Clock, Latest, UtcTime};
pub use told::{How, Subject, Told};

/// What a record means, beside what it says.
#[derive(Debug, Clone)]
pub struct Meaning<'a> {
    /// Never empty.
    pub user: Field<'a>,
    /// Never empty.
    pub action: Action<'a>,
    /// Never empty.
    pub resource: Resource<'a>,
    /// As far as this row can say.
    pub outcome: Status,
    /// The line of the table that chose the category.
    pub rule: &'static Rule,
    /// What is it asked for beside the action.
    pub facts: Facts,
    /// By the table in [`category`].
    pub category: Category,
    /// Whether the row belongs to the privileged-activity slice.
    pub admin: bool,
    /// Whether account or application are for emergencies.
    pub break_glass: bool,
    /// Whether something is taken out of the audit.
    pub audit_tampering: bool,
    /// What the statement tells.
    pub told: Option<Told<'a>>,
}

/// One of the four fields, and how it was derived where the engine did not give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The value.
    pub value: &'a [u8],
    /// `None`: the engine's own.
    pub derived: Option<&'static str>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action<'a> {
    /// In capitals.
    pub value: Cow<'a, [u8]>,
    /// `None`: the engine's own.
    pub derived: Option<&'static str>,
}

/// To what.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Its name, not yet put together.
    pub name: ResourceName<'a>,
    /// Lower case when written: `table`, `database`, `server`.
    pub kind: &'a [u8],
    /// `None`: the engine's own.
    pub derived: Option<&'static str>,
}

/// A name, of the engine or of the statement.
#[derive(Debug, Clone, Copy)]
pub enum ResourceName<'a> {
    /// The engine's own, or a stand-in, with the database that it is in.
    Own {
        /// `None` when the resource is itself a database or a server.
        database: Option<&'a [u8]>,
        /// Never empty.
        name: &'a [u8],
    },
    /// As the statement has it.
    Told {
        /// The statement.
        told: Told<'a>,
        /// What it is about.
        subject: Subject<'a>,
        /// The session's database, where the statement names none.
        database: Option<&'a [u8]>,
        /// The session's schema, where it is known and the statement names none.
        schema: Option<&'a [u8]>,
    },
}

impl ResourceName<'_> {
    /// Hands it out, piece by piece.
    pub fn write(&self, put: &mut dyn FnMut(&[u8])) {
        match *self {
            ResourceName::Own { database, name } => {
                if let Some(database) = database {
                    put(database);
                    put(b".");
                }
                put(name);
            }
            ResourceName::Told { told, subject, database, schema } => match subject {
                Subject::Object { kind: "COLUMN", name, on: Some(table) } => {
                    told.name(table, schema, database, put);
                    put(b".");
                    told.part(name.object, put);
                }
                // As PostgreSQL writes an object's identity.
                Subject::Object { name, on: Some(table), .. } => {
                    told.part(name.object, put);
                    put(b" on ");
                    told.name(table, schema, database, put);
                }
                Subject::Object { name, on: None, .. } => told.name(name, schema, database, put),
                Subject::Principal(_, principal) => told.principal(principal, put),
                Subject::Setting(setting) => told.parameter(setting, put),
            },
        }
    }

    /// All of it.
    pub fn to_vec(self) -> Vec<u8> {
        let mut whole = Vec::new();
        self.write(&mut |part| whole.extend_from_slice(part));
        whole
    }
}

impl<'a> Meaning<'a> {
    /// Takes what was read from the statement out of this text from now on: one in which all that is left stands where it stood.
    pub fn read_in(&mut self, text: &'a [u8]) {
        if let Some(told) = &mut self.told {
            told.text = text;
        }
        if let ResourceName::Told { told, .. } = &mut self.resource.name {
            told.text = text;
        }
    }
}

impl<'a> Field<'a> {
    fn own(value: &'a [u8]) -> Self {
        Field { value, derived: None }
    }

    fn derived(value: &'a [u8], how: &'static str) -> Self {
        Field { value, derived: Some(how) }
    }
}

impl<'a> Action<'a> {
    fn own(value: &'a [u8]) -> Self {
        Action { value: canonical(value), derived: None }
    }

    fn derived(value: &'a [u8], how: &'static str) -> Self {
        Action { value: value.into(), derived: Some(how) }
    }
}

/// As which a record's statements are read. A format of several engines says in its rows which one it was; where it does not, the statement
/// is read as PostgreSQL's.
pub fn sql_dialect(dialect: &Dialect, record: &Record<'_>) -> Option<Sql> {
    let format = dialect.inside.as_ref().map_or(dialect.format, |inside| inside.format);
    match format.engine() {
        // Only the general query log's rows do.
        _ if record.follows => Some(Sql::MYSQL),
        "mongodb" => None,
        _ => dialect_of_format(format).or_else(|| Some(dialect_in_row(format, record))),
    }
}

/// The same by the format alone; `None` where that does not say it.
pub fn dialect_of_format(format: Format) -> Option<Sql> {
    match format.engine() {
        "postgresql" => Some(Sql::POSTGRES),
        "mariadb" | "mysql" => Some(Sql::MYSQL),
        "oracle" => Some(Sql::ORACLE),
        "sqlserver" => Some(Sql::TSQL),
        _ => None,
    }
}

fn dialect_in_row(format: Format, record: &Record<'_>) -> Sql {
    let said = |names: &[&str]| {
        record.extra.iter().find_map(|(name, value)| match value {
            Value::Text(text) if names.contains(name) => Some(*text),
            _ => None,
        })
    };
    let has_class = record.statement.is_some_and(|statement| statement.class.is_some());
    let Some(engine) = said(&["serverType", "dbProtocol", "db_protocol", "engineName"]) else {
        // Of server_audit, in CloudWatch's envelopes.
        let is_mysql = format == Format::Cloudsql && !has_class || said(&["serverhost"]).is_some();
        return if is_mysql { Sql::MYSQL } else { Sql::POSTGRES };
    };
    let is = |word: &[u8]| engine.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    match () {
        () if is(b"mysql") || is(b"maria") => Sql::MYSQL,
        () if is(b"oracle") => Sql::ORACLE,
        () if is(b"sqlserver") || is(b"tds") => Sql::TSQL,
        () => Sql::POSTGRES,
    }
}

/// The engine's word for the one statement that the row tells of; `None` where it has none, or names any statement alike.
pub fn command<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    present(record.command).filter(|command| !says_only_that_it_is_one(command))
}

/// What `record` means; `told` is what its statement tells, `server` the last resort for the resource.
pub fn meaning<'a>(
    record: &Record<'a>,
    told: Option<Told<'a>>,
    known: &Known<'a>,
    server: &'a [u8],
    classify: &Classify,
) -> Meaning<'a> {
    let user = user(record);
    let action = action(record, told.as_ref());
    let resource = resource(record, told, known, &action.value, server);
    let standing =
        classify.standing(user.value, known.acting_as, record.client.application).or_break_glass(known.break_glass);
    let facts = facts(record, told.as_ref(), &resource, standing, classify);
    let rule = category::of(record, running(told.as_ref(), &action.value), facts);
    let admin = rule.admin || standing.admin || is_in_admin_schema(&resource, record, classify);
    Meaning {
        user,
        resource,
        outcome: record.status,
        rule,
        facts,
        category: rule.category,
        admin,
        break_glass: standing.break_glass,
        audit_tampering: is_statement(record) && (facts.has(Facts::AUDIT_OFF) || switches_audit_off(&action.value)),
        told,
        action,
    }
}

fn user<'a>(record: &Record<'a>) -> Field<'a> {
    match (present(record.user), record.act) {
        (Some(user), _) if record.carried => Field::derived(user, "session"),
        (Some(user), _) => Field::own(user),
        (None, Act::ConnectionReceived | Act::LoginFailed) => Field::derived(b"(pre-auth)", "fallback:pre-auth"),
        (None, Act::Message) if record.client.address.is_some() => Field::derived(b"(pre-auth)", "fallback:pre-auth"),
        (None, Act::Message) => Field::derived(b"(internal)", "fallback:internal"),
        (None, _) => Field::derived(b"(unknown)", "fallback:unknown"),
    }
}

fn is_statement(record: &Record<'_>) -> bool {
    use Act::{AccessDecision, FailedStatement, LoggedStatement, Statement, TableAccess};
    matches!(record.act, Statement | FailedStatement | LoggedStatement | TableAccess | AccessDecision)
}

fn action<'a>(record: &Record<'a>, told: Option<&Told<'a>>) -> Action<'a> {
    let fixed: &[u8] = match record.act {
        Act::ConnectionReceived => b"CONNECT",
        Act::Authenticated => b"AUTHENTICATE",
        Act::Login => b"LOGIN",
        Act::LoginFailed => b"LOGIN FAILED",
        Act::Logout => b"LOGOUT",
        Act::Message => b"SERVER MESSAGE",
        Act::Statement | Act::FailedStatement | Act::LoggedStatement | Act::TableAccess | Act::AccessDecision => {
            return statement_action(record, told);
        }
    };
    Action::own(fixed)
}

/// The engine's command; COPY with its direction, which pgAudit's class gives; else what the statement says.
fn statement_action<'a>(record: &Record<'a>, told: Option<&Told<'a>>) -> Action<'a> {
    let class = record.statement.and_then(|statement| statement.class);
    let how = told.map_or(How::Text, |told| told.how);
    let told = told.and_then(Told::action).map(str::as_bytes);
    match (command(record), class, told) {
        // The engine's word is for the EXECUTE.
        (command, _, Some(told)) if how.is_executed() && command != Some(told) => Action::derived(told, how.name()),
        (Some(b"COPY"), Some(b"READ"), _) => Action::own(b"COPY TO"),
        (Some(b"COPY"), Some(b"WRITE"), _) => Action::own(b"COPY FROM"),
        (Some(b"authCheck"), ..) => Action::own(checked_command(record)),
        (Some(command), _, Some(told)) if is_less_than(command, told) => Action::derived(told, "sql"),
        (Some(command), ..) => Action::own(command),
        (None, _, Some(told)) => Action::derived(told, "sql"),
        (None, _, None) => Action::derived(b"STATEMENT", "fallback:statement"),
    }
}

/// MongoDB names the command that was checked beside.
fn checked_command<'a>(record: &Record<'a>) -> &'a [u8] {
    let command = record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(command) if *name == "param.command" => Some(*command),
        _ => None,
    });
    command.filter(|command| !command.is_empty()).unwrap_or(b"authCheck")
}

/// Whether the engine's word says less than the statement: `CREATE` for `CREATE LOGIN`, or one of MySQL's command classes, which has other
/// words for the same (`set_option`), or none (`error`).
fn is_less_than(command: &[u8], told: &[u8]) -> bool {
    match command {
        b"CREATE" | b"ALTER" | b"DROP" | b"COPY" | b"SET" | b"RESET" | b"AUDIT" | b"BACKUP" => {
            told.starts_with(command) && told != command
        }
        // It does not run yet.
        b"Prepare" => false,
        _ if command.iter().any(u8::is_ascii_lowercase) => *canonical(command) != *told,
        _ => false,
    }
}

/// Words of engines that name any statement alike.
fn says_only_that_it_is_one(command: &[u8]) -> bool {
    matches!(command, b"QUERY" | b"Query" | b"Execute" | b"Bulk_execute" | b"BATCH STARTED" | b"BATCH COMPLETED")
}

/// An engine's own word in capitals, with blanks between its parts: `createUser`, `show_databases`. Paths and dotted names stay as they are.
fn canonical(word: &[u8]) -> Cow<'_, [u8]> {
    let is_path = || word.iter().any(|byte| matches!(byte, b'/' | b'.' | b':'));
    if !word.iter().any(u8::is_ascii_lowercase) || is_path() {
        return word.into();
    }
    let mut whole = Vec::with_capacity(word.len() + 8);
    let mut before = b' ';
    for byte in word {
        if byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            whole.push(b' ');
        }
        whole.push(if *byte == b'_' { b' ' } else { byte.to_ascii_uppercase() });
        before = *byte;
    }
    whole.into()
}

/// The action that counts for the category: of `EXPLAIN ANALYZE` what it runs.
fn running<'a>(told: Option<&Told<'_>>, action: &'a [u8]) -> &'a [u8] {
    let statement = told.and_then(Told::statement);
    match statement {
        Some(it) if it.action == "EXPLAIN" && it.options.has(Options::ANALYZE) && !it.inner.is_empty() => {
            it.inner.as_bytes()
        }
        _ => action,
    }
}

fn facts(
    record: &Record<'_>,
    told: Option<&Told<'_>>,
    resource: &Resource<'_>,
    standing: Standing,
    classify: &Classify,
) -> Facts {
    let mut facts = told.map(Told::facts).unwrap_or_default();
    let rows = record.statement.and_then(|statement| statement.rows).unwrap_or_default();
    if classify.bulk_rows > 0 && rows >= classify.bulk_rows {
        facts |= Facts::BULK;
    }
    if standing.admin {
        facts |= Facts::BY_ADMIN;
    }
    if let (ResourceName::Own { database: Some(database), name }, None) = (resource.name, resource.derived) {
        let is_written = record.objects.iter().any(|object| object.name == name && is_write(object));
        if is_written && facts::is_account_table(database, name) {
            facts |= Facts::ACCOUNT_TABLE;
        }
    }
    facts
}

fn is_write(object: &Object<'_>) -> bool {
    object.access.is_some_and(|access| access != b"READ")
}

/// Actions of engines that log them without their text.
fn switches_audit_off(action: &[u8]) -> bool {
    const ACTIONS: [&[u8]; 5] =
        [b"NOAUDIT", b"SYSTEM NOAUDIT", b"TRACE AUDIT STOP", b"TRACE AUDIT C2OFF", b"DROP AUDIT POLICY"];
    ACTIONS.iter().any(|word| action.starts_with(word))
}

fn is_in_admin_schema(resource: &Resource<'_>, record: &Record<'_>, classify: &Classify) -> bool {
    if classify.admin_schemas.is_empty() {
        return false;
    }
    let whole = resource.name.to_vec();
    let mut parts = whole.split(|byte| *byte == b'.').rev();
    // The last part is the object's own name.
    let own =
        matches!(resource.kind, b"SCHEMA" | b"DATABASE" | b"schema" | b"database").then(|| parts.next()).flatten();
    own.is_some_and(|name| classify.is_admin_schema(name))
        || parts.skip(usize::from(own.is_none())).any(|part| classify.is_admin_schema(part))
        || record.objects.iter().filter_map(|object| object.database).any(|name| classify.is_admin_schema(name))
}

/// What the row is about. The engine's own object wins.
fn resource<'a>(
    record: &Record<'a>,
    told: Option<Told<'a>>,
    known: &Known<'a>,
    action: &[u8],
    server: &'a [u8],
) -> Resource<'a> {
    let database = present(record.database);
    let subject = told.and_then(|told| Some((told, told.subject(tells_of_reading(record))?)));
    if let Some(own) = own_object(record, subject.map(|(_, subject)| subject), action) {
        return own;
    }
    if let Some((told, subject)) = subject {
        return of_statement(told, subject, known, database);
    }
    if let (b"SET PASSWORD", Some(name)) = (action, present(record.user)) {
        // Without FOR it is the session's own.
        return Resource { name: ResourceName::Own { database: None, name }, kind: b"user", derived: Some("session") };
    }
    let acts_on_session = matches!(record.act, Act::Authenticated | Act::Login | Act::LoginFailed | Act::Logout);
    let (name, derived, kind): (_, _, &[u8]) = match database {
        Some(database) if acts_on_session => (database, None, b"database"),
        Some(database) if is_about_its_session(record, action) => (database, Some("session"), b"database"),
        Some(database) => (database, Some("fallback:database"), b"database"),
        None => (server, Some("fallback:server"), b"server"),
    };
    Resource { name: ResourceName::Own { database: None, name }, kind, derived }
}

/// pgAudit writes a row of its own for what a statement reads.
fn tells_of_reading(record: &Record<'_>) -> bool {
    record.statement.and_then(|statement| statement.class) == Some(b"READ")
}

fn own_object<'a>(record: &Record<'a>, subject: Option<Subject<'a>>, action: &[u8]) -> Option<Resource<'a>> {
    let named = present(record.object)?;
    let is_beside = subject.map_or(action == b"SET PASSWORD", |subject| is_beside(subject, action));
    if !record.objects.is_empty() && is_beside {
        return None;
    }
    // Of several that the engine names, the first that is made or changed itself, else the first whose rows are written.
    let is_changed = |object: &&Object<'_>| is_write(object) && object.access != Some(b"WRITE");
    let find = |wanted: &dyn Fn(&&Object<'_>) -> bool| record.objects.iter().find(|object| wanted(object));
    let first = find(&is_changed).or_else(|| find(&|object| is_write(object))).or(record.objects.first());
    let (name, database, kind) = match first {
        Some(object) => (object.name, object.database, object.kind),
        None => (named, record.object_database, record.object_type),
    };
    let database = present(database).or(present(record.database));
    let name = ResourceName::Own { database, name };
    Some(Resource { name, kind: present(kind).unwrap_or(b"object"), derived: None })
}

/// Whether the tables that an engine lists are those in which it keeps what the statement is about: rights, users, code.
fn is_beside(subject: Subject<'_>, action: &[u8]) -> bool {
    let is_about_rights = action.starts_with(b"GRANT") || action.starts_with(b"REVOKE");
    match subject {
        Subject::Object { kind, .. } => {
            // What was prepared is not known, but here is what it touched.
            let is_executed = kind == "PREPARED STATEMENT" && action == b"EXECUTE";
            is_about_rights || !(matches!(kind, "TABLE" | "RELATION" | "INDEX" | "SEQUENCE") || is_executed)
        }
        Subject::Principal(..) | Subject::Setting(_) => true,
    }
}

fn of_statement<'a>(
    told: Told<'a>,
    subject: Subject<'a>,
    known: &Known<'a>,
    database: Option<&'a [u8]>,
) -> Resource<'a> {
    let (kind, name): (&str, _) = match subject {
        Subject::Object { kind, name, on } => (kind, Some(on.unwrap_or(name))),
        Subject::Principal(kind, _) => (kind, None),
        Subject::Setting(_) => ("SETTING", None),
    };
    let is_inside = name.is_some() && !told::is_server_wide(kind) && !has_no_database(told, name);
    let database = database.filter(|_| is_inside);
    let schema = known.schema.filter(|_| name.is_some_and(|name| is_found_by_path(told, kind, name)));
    Resource {
        name: ResourceName::Told { told, subject, database, schema },
        kind: kind.as_bytes(),
        derived: Some(match told.how.name() {
            "sql" if schema.is_some() => "sql+session",
            how => how,
        }),
    }
}

/// Whether the search path says in which schema it is. PostgreSQL's own catalog is looked through before it.
pub fn is_found_by_path(told: Told<'_>, kind: &str, name: sealtrail_sql::Name) -> bool {
    let is_kind = matches!(kind, "RELATION" | "TABLE" | "VIEW" | "SEQUENCE" | "MATERIALIZED VIEW" | "FOREIGN TABLE");
    let is_catalog = name.object.of(told.text).get(..3).is_some_and(|head| head.eq_ignore_ascii_case(b"pg_"));
    is_kind && name.is_plain() && !is_catalog
}

/// MySQL's schemas are databases; `*.*` is everything.
fn has_no_database(told: Told<'_>, name: Option<sealtrail_sql::Name>) -> bool {
    let is_schema = told.dialect == Sql::MYSQL;
    name.is_some_and(|name| is_schema && !name.database.is_empty())
}

/// Statements that act on nothing but their session or transaction: the database that it is in is no stand-in for anything.
fn is_about_its_session(record: &Record<'_>, action: &[u8]) -> bool {
    const ACTIONS: [&[u8]; 20] = [
        b"BEGIN",
        b"START TRANSACTION",
        b"COMMIT",
        b"END",
        b"ROLLBACK",
        b"ABORT",
        b"SAVEPOINT",
        b"RELEASE",
        b"RELEASE SAVEPOINT",
        b"ROLLBACK TO SAVEPOINT",
        b"SET TRANSACTION",
        b"SET CONSTRAINTS",
        b"PREPARE TRANSACTION",
        b"COMMIT PREPARED",
        b"ROLLBACK PREPARED",
        b"DISCARD",
        b"DISCARD ALL",
        b"SHOW",
        b"CLOSE CURSOR",
        b"DEALLOCATE",
    ];
    is_statement(record) && ACTIONS.contains(&action)
}

fn present(text: Option<&[u8]>) -> Option<&[u8]> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_engines_become_words_in_capitals() {
        for (word, action) in [
            ("createUser", "CREATE USER"),
            ("show_databases", "SHOW DATABASES"),
            ("Init DB", "INIT DB"),
            ("grantRolesToUser", "GRANT ROLES TO USER"),
            ("SELECT FOR KEY SHARE", "SELECT FOR KEY SHARE"),
            ("db.session.start", "db.session.start"),
            ("AUDIT_CHANGE_GROUP", "AUDIT_CHANGE_GROUP"),
        ] {
            assert_eq!(canonical(word.as_bytes()), action.as_bytes());
        }
    }
}
