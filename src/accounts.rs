//! Who the connections of a general query log belong to.
//!
//! Its rows have a connection's number and nothing else; the account and the database stand in the row with which the connection began,
//! or changed, or in the text of a `USE`. They are carried on to the rows that follow. What began before reading did is not known, and is not
//! guessed. The log does not say that a statement failed: after a `USE` that did, the database is wrong until the next one.

use std::collections::BTreeMap;

use sealtrail_parsers::{Act, Record};
use sealtrail_sql::name::normalized;

use crate::limits::SESSIONS_MAX;
use crate::shape::Told;

/// The open connections of one source.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<Vec<u8>, Account>);

#[derive(Debug, Default, Clone)]
struct Account {
    user: Option<Vec<u8>>,
    database: Option<Vec<u8>>,
}

impl Accounts {
    /// The user and the database of the row's connection, as they are when the row has been taken into account.
    pub fn of(&mut self, session: Option<&[u8]>, record: &Record<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let Some(id) = session else { return (None, None) };
        if record.act == Act::LoginFailed {
            // Whoever was refused was not let in as the one whom the row before told of.
            self.0.remove(id);
            return (None, None);
        }
        let begins = record.act == Act::Login;
        if begins || record.database.is_some() {
            self.learn(id, begins, record);
        }
        let account = if record.act == Act::Logout { self.0.remove(id) } else { self.0.get(id).cloned() };
        account.map_or((None, None), |account| (account.user, account.database))
    }

    /// Takes into account what the row's statement does to its connection: `USE` is a statement like any other, and has no row of its own kind.
    pub fn ran(&mut self, session: &[u8], told: &Told<'_>) {
        let uses = told.statements().iter().rev().find(|it| it.action == "USE");
        let target = uses.and_then(|it| told.reading().objects(it).first());
        if let Some(target) = target {
            let database = normalized(told.dialect, target.name.object.of(told.text)).into_owned();
            self.account(session).database = Some(database);
        }
    }

    fn learn(&mut self, id: &[u8], begins: bool, record: &Record<'_>) {
        let account = self.account(id);
        if begins {
            *account = Account { user: record.user.map(<[u8]>::to_vec), database: None };
        }
        if let Some(database) = record.database {
            account.database = Some(database.to_vec());
        }
    }

    fn account(&mut self, id: &[u8]) -> &mut Account {
        if self.0.len() >= SESSIONS_MAX && !self.0.contains_key(id) {
            // The lowest number is the oldest connection, or one of a server that has been started anew since.
            self.0.pop_first();
        }
        self.0.entry(id.to_vec()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(act: Act, user: Option<&'static str>, database: Option<&'static str>) -> Record<'static> {
        Record { act, user: user.map(str::as_bytes), database: database.map(str::as_bytes), ..Record::default() }
    }

    #[test]
    fn an_account_is_carried_from_login_to_logout_and_no_further() {
        let mut accounts = Accounts::default();
        let (app, shop, pay) = (Some(b"app".to_vec()), Some(b"shop".to_vec()), Some(b"pay".to_vec()));
        assert_eq!(
            accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, None)),
            (None, None),
            "not known is not guessed"
        );
        accounts.of(Some(b"7"), &row(Act::Login, Some("app"), Some("shop")));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, None)), (app.clone(), shop));
        accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, Some("pay")));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::Logout, None, None)), (app, pay));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, None)), (None, None));
    }

    #[test]
    fn a_database_that_is_used_is_that_of_the_rows_that_follow() {
        let mut accounts = Accounts::default();
        let mut readings = crate::shape::Readings::default();
        let mut runs = |accounts: &mut Accounts, text: &'static str| {
            let mut record = row(Act::LoggedStatement, None, None);
            record.statement = Some(sealtrail_parsers::Statement {
                text: Some(text.as_bytes()),
                ..sealtrail_parsers::Statement::default()
            });
            let told = readings.told(&sealtrail_parsers::Format::MysqlGeneral.into(), &record, false).unwrap();
            accounts.ran(b"7", &told);
            accounts
                .of(Some(b"7"), &row(Act::LoggedStatement, None, None))
                .1
                .map(|name| String::from_utf8(name).unwrap())
        };
        accounts.of(Some(b"7"), &row(Act::Login, Some("app"), Some("shop")));
        assert_eq!(runs(&mut accounts, "SELECT 1").as_deref(), Some("shop"));
        assert_eq!(runs(&mut accounts, "use `Pay ``x`").as_deref(), Some("Pay `x"));
        assert_eq!(runs(&mut accounts, "USE a; SELECT 1; USE b; SELECT 2").as_deref(), Some("b"));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, None)).0, Some(b"app".to_vec()));
    }

    #[test]
    fn who_is_refused_leaves_nothing_behind() {
        let mut accounts = Accounts::default();
        accounts.of(Some(b"7"), &row(Act::Login, Some("app"), None));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::LoginFailed, Some("root"), None)), (None, None));
        assert_eq!(accounts.of(Some(b"7"), &row(Act::LoggedStatement, None, None)), (None, None));
    }
}
