//! What a row of an audit plugin for MySQL says, whichever form it came in: Percona's audit_log as XML, JSON and CSV, the XML of MySQL
//! Enterprise and of audit_log_filter.
//!
//! Their members have the same names and meanings. What has no field in [`Record`] stands in `extra` under its name in small letters, which is how the
//! JSON form has it, so that a row is the same record in every form. What is hard: who it was is composed by the server, `root[app] @ localhost [::1]`,
//! of names that are not escaped in there; it is taken apart from its end.

pub mod csv;
pub mod json;
pub mod percona_json;
pub mod trellix;
pub mod xml;

use memchr::{memmem, memrchr};

use crate::record::{Act, Client, Record, Session, Statement, Status, Value};
use crate::scratch::Room;
use crate::times;

/// The names, in the order in which `extra` has them.
const NAMES: [&str; 37] = [
    "name",
    "record",
    "record_id",
    "timestamp",
    "command_class",
    "connection_id",
    "status",
    "status_code",
    "sqltext",
    "user",
    "priv_user",
    "os_user",
    "os_login",
    "proxy_user",
    "host",
    "ip",
    "db",
    "table",
    "connection_type",
    "connection_attributes",
    "mysql_version",
    "startup_options",
    "startup_optionsi",
    "os_version",
    "server_id",
    "version",
    "variable_name",
    "variable_value",
    "stored_program",
    "flags",
    "rewritten_query",
    "component",
    "producer",
    "message",
    "message_attributes",
    "map",
    "query_statistics",
];

/// Where some of them stand in [`NAMES`].
mod place {
    pub(super) const NAME: usize = super::place_of("name");
    pub(super) const RECORD: usize = super::place_of("record");
    pub(super) const TIMESTAMP: usize = super::place_of("timestamp");
    pub(super) const COMMAND_CLASS: usize = super::place_of("command_class");
    pub(super) const CONNECTION_ID: usize = super::place_of("connection_id");
    pub(super) const STATUS: usize = super::place_of("status");
    pub(super) const SQLTEXT: usize = super::place_of("sqltext");
    pub(super) const USER: usize = super::place_of("user");
    pub(super) const PRIV_USER: usize = super::place_of("priv_user");
    pub(super) const OS_USER: usize = super::place_of("os_user");
    pub(super) const OS_LOGIN: usize = super::place_of("os_login");
    pub(super) const PROXY_USER: usize = super::place_of("proxy_user");
    pub(super) const HOST: usize = super::place_of("host");
    pub(super) const IP: usize = super::place_of("ip");
    pub(super) const DB: usize = super::place_of("db");
    pub(super) const TABLE: usize = super::place_of("table");
    pub(super) const MYSQL_VERSION: usize = super::place_of("mysql_version");
    pub(super) const STARTUP_OPTIONS: usize = super::place_of("startup_options");
    pub(super) const OS_VERSION: usize = super::place_of("os_version");
    pub(super) const STORED_PROGRAM: usize = super::place_of("stored_program");
}

/// Counted by the compiler; a name that is missing does not compile.
const fn place_of(name: &str) -> usize {
    let mut place = 0;
    while !same(NAMES[place].as_bytes(), name.as_bytes()) {
        place += 1;
    }
    place
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// One row, unescaped. What is empty says nothing: the plugins write an empty member where there is none.
#[derive(Debug)]
struct Row<'a> {
    values: [Option<&'a [u8]>; NAMES.len()],
    /// Members of other names, and second ones of the same, as they stand.
    other: Option<&'a [u8]>,
}

/// Which of [`NAMES`] this is, in letters of either kind.
fn index(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|known| known.len() == name.len() && known.as_bytes().eq_ignore_ascii_case(name))
}

impl<'a> Row<'a> {
    fn new() -> Self {
        Row { values: [None; NAMES.len()], other: None }
    }

    /// What stands in a place, if anything; it is not left for `extra`.
    fn take(&mut self, place: usize) -> Option<&'a [u8]> {
        self.values[place].take().filter(|text| !text.is_empty())
    }

    /// Needs [`times::TIME_MAX`].
    fn record(mut self, room: &mut Room<'a>) -> Option<Record<'a>> {
        let name = self.take(place::NAME)?;
        let mut record = Record {
            time: times::of_iso(self.take(place::TIMESTAMP)?, b"", room),
            session: Session { id: self.take(place::CONNECTION_ID), ..Session::default() },
            ..Record::default()
        };
        self.add_act(name, &mut record);
        self.add_user(&mut record);
        self.add_names(&mut record);
        let named = NAMES.iter().zip(self.values).filter_map(|(name, value)| Some((*name, value?)));
        let named = named.chain(self.other.map(|other| ("other", other)));
        record.extra.extend(named.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, Value::Text(text))));
        Some(record)
    }

    fn add_act(&mut self, name: &'a [u8], record: &mut Record<'a>) {
        let status = self.take(place::STATUS);
        let class = self.take(place::COMMAND_CLASS);
        let text = self.take(place::SQLTEXT);
        let is_failure = status.is_some_and(|status| status != b"0");
        record.act = match name {
            b"Connect" | b"Change user" if is_failure => Act::LoginFailed,
            b"Connect" | b"Change user" => Act::Login,
            b"Quit" | b"Disconnect" => Act::Logout,
            b"TableRead" | b"TableInsert" | b"TableUpdate" | b"TableDelete" => Act::TableAccess,
            b"Audit" | b"NoAudit" | b"Startup" => Act::Message,
            // With a status it is somebody's command.
            b"Shutdown" if status.is_none() => Act::Message,
            _ if is_failure => Act::FailedStatement,
            _ if text.is_some() || status.is_some() => Act::Statement,
            _ => Act::Message,
        };
        // `Log`, `Preparse` and the starts are written before anything is done.
        let is_early = matches!(name, b"Log" | b"Preparse" | b"Postparse") || name.ends_with(b"Start");
        record.status = match status {
            _ if is_early => Status::Unknown,
            Some(b"0") if record.act != Act::Message => Status::Success,
            Some(_) if is_failure => Status::Failure,
            Some(_) | None => Status::Unknown,
        };
        record.error_code = status.filter(|_| is_failure);
        let is_about_session = matches!(record.act, Act::Login | Act::LoginFailed | Act::Logout | Act::Message);
        record.command = class.filter(|_| !is_about_session).or(Some(name));
        if record.command == Some(name) {
            self.put_back(place::COMMAND_CLASS, class);
        } else {
            self.put_back(place::NAME, Some(name));
        }
        record.statement = text.map(|text| Statement { text: Some(text), ..Statement::default() });
    }

    fn put_back(&mut self, place: usize, value: Option<&'a [u8]>) {
        self.values[place] = value;
    }

    /// The account whose rights count. Connections have it by itself, and nothing there when nobody was let in.
    fn add_user(&mut self, record: &mut Record<'a>) {
        let (user, account) = (self.take(place::USER), self.take(place::PRIV_USER));
        let (host, ip) = (self.take(place::HOST), self.take(place::IP));
        // A connection's name stands as the client sent it, and may look composed.
        let is_plain = matches!(record.act, Act::Login | Act::LoginFailed | Act::Logout);
        let whole = user.filter(|_| !is_plain).and_then(UserHost::of);
        record.user = match whole {
            Some(whole) => Some(whole.account),
            None => account.or(user),
        };
        let (composed_host, composed_ip) =
            whole.map_or((None, None), |whole| (not_empty(whole.host), not_empty(whole.ip)));
        let address = ip.or(composed_ip).or(host).or(composed_host);
        record.client = Client { address, ..Client::default() };
        self.put_back(place::USER, user.filter(|user| Some(*user) != record.user));
        self.put_back(place::PRIV_USER, account.filter(|account| Some(*account) != record.user));
        self.put_back(place::HOST, host.filter(|host| Some(*host) != address));
        self.put_back(place::IP, ip.filter(|ip| Some(*ip) != address));
    }

    /// A table's row names the database of the table, all others that of the session.
    fn add_names(&mut self, record: &mut Record<'a>) {
        let database = self.take(place::DB);
        record.object = self.take(place::TABLE).or_else(|| self.take(place::STORED_PROGRAM));
        match record.object {
            Some(_) => record.object_database = database,
            None => record.database = database,
        }
    }
}

/// `root[app] @ localhost [::1]`: account, login, host, address.
#[derive(Debug, Clone, Copy)]
struct UserHost<'a> {
    account: &'a [u8],
    host: &'a [u8],
    ip: &'a [u8],
}

impl<'a> UserHost<'a> {
    /// Names may hold anything, addresses and hosts do not: it is read from the end.
    fn of(text: &'a [u8]) -> Option<Self> {
        let text = text.strip_suffix(b"]")?;
        let open = memmem::rfind(text, b" [")?;
        let (names, ip) = (&text[..open], &text[open + 2..]);
        let at = memmem::rfind(names, b" @ ")
            .map(|at| (at, 3))
            .or_else(|| names.ends_with(b" @").then(|| (names.len() - 2, 2)))?;
        let (names, host) = (&names[..at.0], &names[at.0 + at.1..]);
        let names = names.strip_suffix(b"]")?;
        Some(UserHost { account: account(names)?, host, ip })
    }
}

/// Of `account[login`: most often both are the same, and then brackets in the name do no harm.
fn account(names: &[u8]) -> Option<&[u8]> {
    let half = names.len() / 2;
    if names.len() % 2 == 1 && names[half] == b'[' && names[..half] == names[half + 1..] {
        return Some(&names[..half]);
    }
    memrchr(b'[', names).map(|open| &names[..open])
}

fn not_empty(text: &[u8]) -> Option<&[u8]> {
    Some(text).filter(|text| !text.is_empty())
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}
