//! Sessions, told in statements.

use sealtrail_parsers::{Dialect, Format, Session as RowSession, Statement as RowStatement};

use super::*;
use crate::shape::Readings;

/// One session, told in statements.
struct Told {
    memory: Memory,
    readings: Readings,
    rows: u64,
    format: Format,
}

fn row<'a>(act: Act, session: &'a str, text: &'a str) -> Record<'a> {
    Record {
        act,
        user: Some(b"app"),
        session: RowSession { id: Some(session.as_bytes()), ..RowSession::default() },
        statement: Some(RowStatement { text: Some(text.as_bytes()), class: Some(b"READ"), ..RowStatement::default() }),
        ..Record::default()
    }
}

impl Default for Told {
    fn default() -> Self {
        let (memory, readings) = (Memory::default(), Readings::default());
        Told { memory, readings, rows: 0, format: Format::PostgresCsvlog }
    }
}

impl Told {
    /// Its beginning was read.
    fn begun() -> Self {
        let mut told = Told::default();
        told.learn(&row(Act::Login, "s", ""));
        told
    }

    fn runs_of<'a>(&mut self, record: &Record<'a>) -> Option<Runs<'a>> {
        let told = self.readings.told(&Dialect::from(self.format), record, false)?;
        self.memory.runs(record.session.id, record, &told)
    }

    fn executed(&mut self, session: &str, text: &str) -> Option<String> {
        let runs = self.runs_of(&row(Act::Statement, session, text))?;
        Some(String::from_utf8(runs.text.into_owned()).unwrap())
    }

    fn learn(&mut self, record: &Record<'_>) -> RowId {
        self.rows += 1;
        let at = RowId { offset: self.rows, ..RowId::default() };
        let told = self.readings.told(&Dialect::from(self.format), record, false);
        self.memory.learn(
            record.session.id,
            record,
            told.as_ref(),
            at,
            &UtcTime::from_rfc3339(b"2026-11-20T20:28:31Z"),
        );
        at
    }

    fn runs(&mut self, text: &str) {
        self.learn(&row(Act::LoggedStatement, "s", text));
    }

    fn fails(&mut self, text: &str) {
        self.learn(&row(Act::FailedStatement, "s", text));
    }

    fn acting_as(&mut self) -> Option<String> {
        let known = self.memory.known(Some(b"s"), &row(Act::Statement, "s", "SELECT 1")).acting_as;
        known.map(|role| String::from_utf8_lossy(role).into_owned())
    }

    /// A session whose variables are followed.
    fn following(format: Format, end_with_transaction: bool) -> Self {
        let mut told = Told { format, ..Told::default() };
        let names = ["app.user_id", "app.current_user", "@app_user"].map(str::to_owned).to_vec();
        told.memory.variables = Arc::new(Variables { names, end_with_transaction, ..Variables::default() });
        told.learn(&row(Act::Login, "s", ""));
        told
    }

    fn claim(&mut self) -> Option<String> {
        let known = self.memory.known(Some(b"s"), &row(Act::Statement, "s", "SELECT 1")).claim;
        known.map(|(value, _)| String::from_utf8_lossy(value).into_owned())
    }

    /// After these statements.
    fn claim_after(&mut self, statements: &str) -> Option<String> {
        for text in statements.split('|').map(str::trim) {
            match text.strip_prefix('!') {
                Some(text) => self.fails(text),
                None => self.runs(text),
            }
        }
        self.claim()
    }

    fn schema(&mut self) -> Option<String> {
        let known = self.memory.known(Some(b"s"), &row(Act::Statement, "s", "SELECT 1")).schema;
        known.map(|schema| String::from_utf8_lossy(schema).into_owned())
    }
}

#[test]
fn a_role_is_taken_until_it_is_put_back() {
    let mut told = Told::begun();
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
    let mut told = Told::begun();
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
    let mut told = Told::begun();
    told.runs("BEGIN");
    told.runs("SET ROLE dba");
    told.fails("SELECT 1/0");
    told.runs("COMMIT");
    assert_eq!(told.acting_as(), None);
}

#[test]
fn a_setting_that_failed_was_not_made() {
    let mut told = Told::begun();
    told.runs("SET ROLE dba");
    told.runs("SET ROLE root");
    told.fails("SET ROLE root");
    assert_eq!(told.acting_as().as_deref(), Some("dba"));
}

#[test]
fn only_a_search_path_of_one_schema_says_where_names_are() {
    let mut told = Told::begun();
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
        let known = told.memory.known(Some(b"s"), &failure(text, id, code, tag)).refers_to;
        assert_eq!(known, refers.then_some(at), "{text} {id} {code} {tag}");
    }
}

#[test]
fn a_failure_never_refers_to_a_row_that_may_be_another_statements() {
    let refers = |text: &str, class: &'static str, command: &'static str, code: &'static str, between: &[Act]| {
        let mut told = Told::begun();
        let in_transaction = |row: &mut Record<'_>| {
            row.extra.push(("virtual_transaction_id", Value::Text(b"3/7")));
        };
        let mut begun = row(Act::Statement, "s", text);
        in_transaction(&mut begun);
        begun.command = Some(command.as_bytes());
        begun.statement.as_mut().unwrap().class = Some(class.as_bytes());
        told.learn(&begun);
        for act in between {
            told.learn(&row(*act, "s", text));
        }
        let mut failure = row(Act::FailedStatement, "s", text);
        in_transaction(&mut failure);
        failure.error_code = Some(code.as_bytes());
        told.memory.known(Some(b"s"), &failure).refers_to.is_some()
    };
    assert!(refers("SELECT a / b FROM t", "READ", "SELECT", "22012", &[]));
    assert!(refers("INSERT INTO t VALUES (1)", "WRITE", "INSERT", "23505", &[]));
    // The first two of three were audited, and the last is wrong from the start.
    assert!(!refers("SELECT 1; SELECT 2; SELECT 1/0", "READ", "SELECT", "22012", &[]));
    // These rows are written when all is done: what fails is the same text run again.
    assert!(!refers("EXECUTE p(1)", "MISC", "EXECUTE", "22012", &[]));
    assert!(!refers("REFRESH MATERIALIZED VIEW m", "DDL", "REFRESH MATERIALIZED VIEW", "22012", &[]));
    // The second of two that are alike was cancelled before it was audited.
    assert!(!refers("SELECT a FROM t", "READ", "SELECT", "57014", &[]));
    assert!(!refers("SELECT a / b FROM t", "READ", "SELECT", "22012", &[Act::LoggedStatement]));
}

#[test]
fn of_a_session_whose_beginning_was_not_read_no_schema_is_said() {
    let mut told = Told::default();
    told.runs("SET search_path TO shop");
    assert_eq!(told.schema(), None, "it may have temporary tables");
    told.runs("DISCARD ALL");
    told.runs("SET search_path TO shop");
    assert_eq!(told.schema().as_deref(), Some("shop"));
    let mut told = Told::default();
    let mut first = row(Act::Statement, "s", "SELECT 1");
    first.session.line = Some(1);
    told.learn(&first);
    told.runs("SET search_path TO shop");
    assert_eq!(told.schema().as_deref(), Some("shop"), "the first row is the beginning");
}

#[test]
fn what_was_set_in_a_transaction_whose_beginning_was_not_read_goes_with_it() {
    let mut told = Told::default();
    told.runs("SET ROLE dba");
    assert_eq!(told.acting_as().as_deref(), Some("dba"));
    told.runs("ROLLBACK");
    assert_eq!(told.acting_as(), None);
    let mut told = Told::default();
    told.runs("SET ROLE dba");
    told.fails("SELECT 1/0");
    told.runs("COMMIT");
    assert_eq!(told.acting_as(), None, "it was rolled back");
    let mut told = Told::default();
    told.runs("SET ROLE dba");
    told.runs("SET LOCAL ROLE other");
    assert_eq!(told.acting_as(), None, "it has an effect, or none");
    told.runs("SET ROLE dba");
    told.runs("BEGIN");
    told.runs("ROLLBACK");
    assert_eq!(told.acting_as(), None, "the transaction may be an older one");
}

#[test]
fn a_transaction_begins_once_and_ends_where_it_is_known_to() {
    let mut told = Told::begun();
    told.runs("SET ROLE dba");
    for text in ["BEGIN", "SET ROLE other", "BEGIN", "ROLLBACK"] {
        told.runs(text);
    }
    assert_eq!(told.acting_as().as_deref(), Some("dba"), "the second BEGIN is none");
    for text in ["BEGIN", "COMMIT AND CHAIN", "SET ROLE other", "ROLLBACK"] {
        told.runs(text);
    }
    assert_eq!(told.acting_as().as_deref(), Some("dba"), "a transaction follows at once");
    told.runs("BEGIN");
    told.runs("SET ROLE other");
    told.fails("SELECT 1/0");
    assert_eq!(told.acting_as(), None, "pgAudit does not log that it is rolled back, nor how far");
    told.runs("ROLLBACK");
    assert_eq!(told.acting_as().as_deref(), Some("dba"), "all of it was");
    for text in ["BEGIN", "SAVEPOINT x"] {
        told.runs(text);
    }
    told.fails("SELECT 1/0");
    assert_eq!(told.acting_as().as_deref(), Some("dba"), "nothing was set in it");
    told.runs("BEGIN");
    assert_eq!(told.acting_as().as_deref(), Some("dba"), "nor does going back change it");
}

#[test]
fn an_execute_runs_what_its_session_prepared() {
    let mut told = Told::begun();
    told.runs("PREPARE p (int) AS DELETE FROM orders WHERE id = $1");
    assert_eq!(told.executed("s", "EXECUTE p(1)").as_deref(), Some("DELETE FROM orders WHERE id = $1"));
    assert_eq!(told.executed("s", "EXECUTE q"), None);
    assert_eq!(told.executed("another", "EXECUTE p(1)"), None);
    told.runs("PREPARE p AS SELECT 1");
    assert_eq!(told.executed("s", "EXECUTE p(1)"), None, "it fails, or the name was given up through the protocol");
    told.fails("PREPARE p AS SELECT 1");
    assert_eq!(told.executed("s", "EXECUTE p(1)").as_deref(), Some("DELETE FROM orders WHERE id = $1"));
    for forgets in
        ["DEALLOCATE p", "DEALLOCATE ALL", "DISCARD ALL", "SET pgaudit.log = 'read'", "DEALLOCATE q; DEALLOCATE p"]
    {
        told.runs(forgets);
        assert_eq!(told.executed("s", "EXECUTE p(1)"), None, "{forgets}");
        told.runs("PREPARE p AS SELECT 1");
        assert_eq!(told.executed("s", "EXECUTE p(1)").as_deref(), Some("SELECT 1"), "{forgets}");
    }
    told.learn(&row(Act::Logout, "s", ""));
    assert_eq!(told.executed("s", "EXECUTE p(1)"), None);
}

#[test]
fn a_prepare_that_failed_gives_no_name_and_an_execute_that_finds_none_takes_it() {
    let mut told = Told::begun();
    told.runs("PREPARE p AS SELECT 1");
    told.fails("PREPARE p AS SELECT 1");
    assert_eq!(told.executed("s", "EXECUTE p"), None);
    told.runs("PREPARE p AS SELECT 1");
    told.fails("PREPARE q AS SELECT 1; PREPARE p AS SELECT 2");
    assert_eq!(told.executed("s", "EXECUTE p"), None, "how far it came is not known");
    told.runs("PREPARE p AS SELECT 1");
    let mut unknown = row(Act::FailedStatement, "s", "EXECUTE p");
    unknown.error_code = Some(b"26000");
    assert!(told.runs_of(&unknown).is_none());
    told.learn(&unknown);
    assert_eq!(told.executed("s", "EXECUTE p"), None);
}

#[test]
fn mysql_gives_a_name_another_text_and_loses_it_where_that_fails() {
    let mut told = Told { format: Format::MariadbAudit, ..Told::begun() };
    told.runs("PREPARE S FROM 'SELECT ''1'''");
    assert_eq!(told.executed("s", "EXECUTE s").as_deref(), Some("SELECT '1'"));
    told.runs("PREPARE s FROM 'DELETE FROM a'");
    assert_eq!(told.executed("s", "EXECUTE `S` USING @a").as_deref(), Some("DELETE FROM a"));
    told.runs("PREPARE s FROM @text");
    assert_eq!(told.executed("s", "EXECUTE s"), None);
    told.runs("PREPARE s FROM 'DELETE FROM a'");
    let mut failed = row(Act::Statement, "s", "PREPARE s FROM 'DELETE FRO a'");
    failed.status = Status::Failure;
    told.learn(&failed);
    assert_eq!(told.executed("s", "EXECUTE s"), None);
    told.runs("PREPARE s FROM 'DELETE FROM a'");
    let mut cut = row(Act::Statement, "s", "PREPARE s FROM 'DELETE FROM b'");
    cut.flags.push("truncated");
    told.learn(&cut);
    assert_eq!(told.executed("s", "EXECUTE s"), None);
    assert_eq!(told.executed("s", "EXECUTE IMMEDIATE 'DROP TABLE a'").as_deref(), Some("DROP TABLE a"));
    assert_eq!(told.executed("s", "EXECUTE IMMEDIATE @text"), None);
}

#[test]
fn the_engines_own_word_for_what_is_executed_wins_and_is_remembered() {
    let mut told = Told::begun();
    told.runs("PREPARE p AS SELECT 1");
    for (detail, text) in [
        ("prepare: PREPARE p AS SELECT 2", Some("SELECT 2")),
        ("prepare: PREPARE q AS SELECT 3; PREPARE p AS SELECT 4;", Some("SELECT 4")),
        ("prepare: DELETE FROM t WHERE a = $1", Some("DELETE FROM t WHERE a = $1")),
        ("prepare: PREPARE q AS SELECT 3; SELECT 5", None),
    ] {
        let mut execute = row(Act::LoggedStatement, "s", "EXECUTE p");
        execute.extra.push(("detail", Value::Text(detail.as_bytes())));
        let runs = told.runs_of(&execute);
        assert_eq!(runs.as_ref().map(|runs| runs.how), text.map(|_| How::Row), "{detail}");
        assert_eq!(runs.map(|runs| String::from_utf8(runs.text.into_owned()).unwrap()).as_deref(), text, "{detail}");
    }
    assert_eq!(told.executed("s", "EXECUTE p").as_deref(), Some("DELETE FROM t WHERE a = $1"));
    // pgAudit's row of what is executed.
    let mut read = row(Act::Statement, "s", "PREPARE p (int) AS SELECT * FROM t");
    read.command = Some(b"SELECT");
    let runs = told.runs_of(&read).unwrap();
    assert_eq!((runs.how, &*runs.text), (How::Text, &b"SELECT * FROM t"[..]));
    assert_eq!(told.executed("s", "EXECUTE p").as_deref(), Some("SELECT * FROM t"));
    read.command = Some(b"PREPARE");
    assert!(told.runs_of(&read).is_none());
}

#[test]
fn what_is_executed_within_another_statement_is_read_in_its_place() {
    let mut told = Told::begun();
    told.runs("PREPARE p AS DELETE FROM t RETURNING a");
    for (statement, text) in [
        ("EXPLAIN EXECUTE p", Some("EXPLAIN DELETE FROM t RETURNING a")),
        (
            "EXPLAIN (ANALYZE, COSTS off) EXECUTE p (1, 'EXECUTE q');",
            Some("EXPLAIN (ANALYZE, COSTS off) DELETE FROM t RETURNING a"),
        ),
        ("CREATE TABLE execute AS EXECUTE p(1)", Some("CREATE TABLE execute AS DELETE FROM t RETURNING a")),
        (
            "CREATE TEMP TABLE n (execute) AS EXECUTE p WITH NO DATA",
            Some("CREATE TEMP TABLE n (execute) AS DELETE FROM t RETURNING a\nWITH NO DATA"),
        ),
        ("EXPLAIN EXECUTE q", None),
        ("EXPLAIN SELECT execute FROM p", None),
        ("CREATE TABLE n AS SELECT 1 AS execute", None),
    ] {
        assert_eq!(told.executed("s", statement).as_deref(), text, "{statement}");
    }
    told.runs("DEALLOCATE p");
    assert_eq!(told.executed("s", "EXPLAIN EXECUTE p"), None);
}

#[test]
fn what_is_remembered_stays_within_its_bound_and_the_sessions_in_use_stay() {
    let mut told = Told::begun();
    told.runs("SET ROLE dba");
    for number in 0..2 * SESSIONS_MAX {
        let session = format!("x{number}");
        told.learn(&row(Act::LoggedStatement, &session, "SET ROLE other"));
        if number % 1000 == 0 {
            assert_eq!(told.acting_as().as_deref(), Some("dba"));
        }
    }
    assert!(told.memory.sessions.newer.len() + told.memory.sessions.older.len() <= SESSIONS_MAX);
}

#[test]
fn whom_an_application_names_holds_as_long_as_the_engine_gives_it_back() {
    for (statements, claim) in [
        ("SET app.user_id = '42'", Some("42")),
        ("SET app.user_id TO 42", Some("42")),
        ("SET app.\"current_user\" = 'O''Brien'", Some("O'Brien")),
        ("SET SESSION \"app.user_id\" = 'bob'", Some("bob")),
        ("SET APP.User_Id = Bob", Some("bob")),
        ("SELECT set_config('app.user_id', '42', false)", Some("42")),
        ("SELECT set_config('app.user_id', '42'::text, false)", Some("42")),
        ("SET app.current_user2 = 'x'", None),
        ("SET app.\"current_user\" = 'a'| SET app.user_id = 'b'", Some("b")),
        ("SET app.user_id = 'b'| SET app.\"current_user\" = 'a'", Some("b")),
        ("SET app.\"current_user\" = 'a'| SET app.user_id = 'b'| RESET app.user_id", Some("a")),
        // It ends.
        ("SET app.user_id = '42'| RESET app.user_id", None),
        ("SET app.user_id = '42'| SET app.user_id TO DEFAULT", None),
        ("SET app.user_id = '42'| SET app.user_id = ''", None),
        ("SET app.user_id = '42'| RESET ALL", None),
        ("SET app.user_id = '42'| DISCARD ALL", None),
        // Transactions.
        ("BEGIN| SET LOCAL app.user_id = '42'", Some("42")),
        ("BEGIN| SELECT set_config('app.user_id', '42', true)", Some("42")),
        ("BEGIN| SET LOCAL app.user_id = '42'| COMMIT", None),
        ("SET app.user_id = '1'| BEGIN| SET LOCAL app.user_id = '42'| COMMIT", Some("1")),
        ("SET app.user_id = '1'| BEGIN| SET app.user_id = '42'| COMMIT", Some("42")),
        ("SET app.user_id = '1'| BEGIN| SET app.user_id = '42'| ROLLBACK", Some("1")),
        ("SET LOCAL app.user_id = '42'", None),
        ("BEGIN| SET app.user_id = '42'| ROLLBACK TO SAVEPOINT x", None),
        // What failed.
        ("SET app.user_id = '1'| SET app.user_id = '42'| !SET app.user_id = '42'", Some("1")),
        ("BEGIN| SET app.user_id = '42'| !SELECT 1/0| COMMIT", None),
        // What cannot be known.
        ("SET app.user_id = '1'| SELECT set_config('app.user_id', x, false) FROM t", None),
        ("SET app.user_id = '1'| SELECT set_config('app.user_id', '2', false) FROM t", None),
        ("SET app.user_id = '1'| SELECT set_config('app.user_id', '2', $1)", None),
        ("SET app.user_id = '1'| SELECT set_config(name, value, false) FROM t", None),
        ("SET app.user_id = '1'| SELECT set_config($1, $2, false)", None),
        ("SET app.user_id = '1'| DO $$BEGIN PERFORM set_config('app.user_id', '2', false); END$$", None),
        ("SET app.user_id = '1'| SET app.user_id = 'a', 'b'", None),
        ("SET app.user_id = '1'| SET app.user_id FROM CURRENT", None),
        ("SET app.user_id = '1'| ALTER ROLE app SET app.user_id = '2'", Some("1")),
        ("SET app.user_id = '1'| SELECT current_setting('app.user_id')", Some("1")),
        ("SET app.user_id = '1'| SET search_path = 'x'", Some("1")),
    ] {
        let mut told = Told::following(Format::PostgresCsvlog, false);
        assert_eq!(told.claim_after(statements).as_deref(), claim, "{statements}");
    }
}

#[test]
fn where_sessions_are_handed_on_a_claim_ends_with_its_transaction() {
    for (statements, claim) in [
        ("SET app.user_id = '42'", None),
        ("BEGIN| SET app.user_id = '42'", Some("42")),
        ("BEGIN| SET app.user_id = '42'| COMMIT", None),
        ("BEGIN| SET LOCAL app.user_id = '42'", Some("42")),
        ("BEGIN| SET LOCAL app.user_id = '42'| COMMIT| BEGIN", None),
        ("BEGIN| SET LOCAL app.user_id = '42'| COMMIT AND CHAIN", None),
    ] {
        let mut told = Told::following(Format::PostgresCsvlog, true);
        assert_eq!(told.claim_after(statements).as_deref(), claim, "{statements}");
    }
}

#[test]
fn what_was_bound_is_what_is_set() {
    let mut told = Told::following(Format::PostgresCsvlog, false);
    let mut bound = row(Act::Statement, "s", "SELECT set_config('app.user_id', $2, false), $1");
    bound.statement = bound.statement.map(|statement| RowStatement {
        parameters: sealtrail_parsers::Parameters::Csv(b"x,\"O'Brien, Jane\""),
        ..statement
    });
    told.learn(&bound);
    assert_eq!(told.claim().as_deref(), Some("O'Brien, Jane"));
    told.runs("SELECT set_config('app.user_id', $1, false)");
    assert_eq!(told.claim(), None, "nobody says what was bound");
}

#[test]
fn a_claim_is_its_session_s_own_and_goes_with_it() {
    let mut told = Told::following(Format::PostgresCsvlog, false);
    told.runs("SET app.user_id = '42'");
    told.learn(&row(Act::LoggedStatement, "other", "SELECT 1"));
    assert!(told.memory.known(Some(b"other"), &row(Act::Statement, "other", "")).claim.is_none());
    told.learn(&row(Act::Logout, "s", ""));
    assert_eq!(told.claim(), None);
    told.runs("SET app.user_id = '42'");
    told.learn(&row(Act::Login, "s", ""));
    assert_eq!(told.claim(), None);
}

#[test]
fn a_variable_of_mysql_outlasts_transactions() {
    for (statements, claim) in [
        ("SET @app_user = 'jane'", Some("jane")),
        ("SET @APP_USER := \"jane\", autocommit = 0", None),
        ("SET @app_user := 42", Some("42")),
        ("START TRANSACTION| SET @app_user = 'jane'| ROLLBACK", Some("jane")),
        ("SET @app_user = 'jane'| SET @app_user = NULL", None),
        ("SET @app_user = 'jane'| SET @app_user = (SELECT name FROM t)", None),
        ("SET @app_user = 'jane'| SELECT @app_user := name FROM t", None),
        ("SET @app_user = 'jane'| SELECT name INTO @app_user FROM t", None),
        ("SET @app_user = 'jane'| INSERT INTO t VALUES (@app_user)", None),
        ("SET @app_user = 'jane'| SELECT @app_user", Some("jane")),
        ("SET @app_user = 'jane'| SET @@session.x = 1, NAMES utf8", Some("jane")),
    ] {
        let mut told = Told::following(Format::MariadbAudit, false);
        assert_eq!(told.claim_after(statements).as_deref(), claim, "{statements}");
    }
    let mut told = Told::following(Format::MariadbAudit, false);
    let with = |text, status| Record { status, ..row(Act::Statement, "s", text) };
    told.learn(&with("SET @app_user = 'jane', @x = 1", Status::Success));
    assert_eq!(told.claim().as_deref(), Some("jane"));
    told.learn(&with("SET @app_user = 'joan'", Status::Failure));
    assert_eq!(told.claim().as_deref(), Some("jane"));
    told.learn(&with("SET @app_user = 'joan', @x = f()", Status::Failure));
    assert_eq!(told.claim(), None, "it may have been set before the other failed");
    told.learn(&with("SET @app_user = 'jane'", Status::Success));
    told.learn(&Record { command: Some(b"Reset connection"), ..row(Act::Statement, "s", "") });
    assert_eq!(told.claim(), None);
}
