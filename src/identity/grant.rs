//! Access that was given for a time: who had an account, of which database, from when until when, as a just-in-time system exports it.
//!
//! These files are other systems' own, so that a column may have one of several names; one that is not known is a mistake, since a misspelt
//! `database` would give access to all of them. A grant names the person of a row that it covers. Where several people had the same account of the same
//! database at once, nobody can say which of them a row is of.

use std::collections::{HashMap, VecDeque};

use super::entry::{Entry, Field, Place, Problem};
use super::network::{Address, Network};
use super::pattern::Pattern;
use super::rule::{Asked, Of, time_ms};

/// What a column means, and what it may be called: in small letters, without what stands between words.
const COLUMNS: [(&str, &[&str]); 13] = [
    ("person", &["person", "grantee", "requester", "requestor", "requestedby", "requestedfor", "employee"]),
    ("email", &["email", "personemail", "useremail", "requesteremail"]),
    ("team", &["team", "department"]),
    ("account", &["account", "accountname", "dbaccount", "dbuser", "dbusername", "databaseuser", "databaseaccount"]),
    ("database", &["database", "databasename", "db", "dbname"]),
    ("server", &["server", "servername", "host", "hostname", "instance", "dbserver", "dbhost", "databaseserver"]),
    ("address", &["address", "clientaddress", "clientip"]),
    ("from", &["from", "start", "starts", "startsat", "starttime", "startdate", "validfrom", "grantedat", "notbefore"]),
    (
        "to",
        &[
            "to",
            "until",
            "end",
            "ends",
            "endsat",
            "endtime",
            "enddate",
            "validto",
            "validuntil",
            "expires",
            "expiresat",
        ],
    ),
    ("revoked", &["revoked", "revokedat"]),
    ("approver", &["approver", "approvers", "approvedby", "reviewer", "reviewedby"]),
    ("ticket", &["ticket", "ticketid", "change", "changeid", "case", "caseid", "request", "requestid", "incident"]),
    ("status", &["status", "state"]),
];

/// The names of what a column may mean.
pub fn meanings() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(meaning, _)| *meaning)
}

/// A column that is called so, by `named` first: what it means there, or `None` where it means nothing. A name that is not known stays.
pub fn column(written: &str, named: &[(String, Option<String>)]) -> Option<String> {
    let plain = squeezed(written);
    if let Some((_, meaning)) = named.iter().find(|(name, _)| squeezed(name) == plain) {
        return meaning.clone();
    }
    let known = COLUMNS.iter().find(|(_, names)| names.contains(&plain.as_str()));
    Some(known.map_or(written, |(meaning, _)| meaning).to_owned())
}

/// `Valid From`, `valid_from` and `validFrom` are one.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a cell may be a list.
pub fn may_be_list(key: &str) -> bool {
    matches!(key, "account" | "database" | "server" | "address")
}

/// Longer texts are no names.
const TEXT_BYTES_MAX: usize = 256;

/// Whose an account was, and for how long.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where it stands.
    pub place: Place,
    /// Whose.
    pub person: String,
    /// Their address.
    pub email: Option<String>,
    /// To whom they belong.
    pub team: Option<String>,
    /// On whose word.
    pub approver: Option<String>,
    /// The same by number.
    pub ticket: Option<String>,
    /// From then on, in milliseconds since 1970.
    pub from_ms: u64,
    /// Until just before then.
    pub to_ms: u64,
    accounts: Vec<String>,
    databases: Vec<Pattern>,
    servers: Vec<Pattern>,
    addresses: Vec<Network>,
}

impl Grant {
    /// Whether it is of this agent's server.
    pub fn is_of(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|pattern| pattern.fits(server.as_bytes()))
    }

    /// Whether it covers the row, but for account and time.
    fn covers(&self, asked: &Asked<'_>, address: Option<Address>) -> bool {
        let fits = |name| self.databases.iter().any(|pattern| pattern.fits(name));
        let holds = |address| self.addresses.iter().any(|network| network.holds(address));
        (self.databases.is_empty() || asked.text(Of::Database).is_some_and(fits))
            && (self.addresses.is_empty() || address.is_some_and(holds))
    }

    /// Whether some row may be covered by both, of two people. They share an account.
    fn is_in_the_way_of(&self, other: &Grant) -> bool {
        let databases = any_meet(&self.databases, &other.databases, Pattern::meets);
        let addresses = any_meet(&self.addresses, &other.addresses, |one, two| one.meets(*two));
        let is_at_once = self.from_ms < other.to_ms && other.from_ms < self.to_ms;
        self.person != other.person && is_at_once && databases && addresses
    }
}

fn any_meet<T>(one: &[T], two: &[T], meet: impl Fn(&T, &T) -> bool) -> bool {
    one.is_empty() || two.is_empty() || one.iter().any(|one| two.iter().any(|two| meet(one, two)))
}

/// The grant that was written; `None` for one that never came to be; or all that is wrong with it.
pub fn grant(entry: &Entry) -> Result<Option<Grant>, Vec<Problem>> {
    let mut reader = Reader { entry, problems: Vec::new() };
    let grant = reader.grant();
    if reader.problems.is_empty() { Ok(grant) } else { Err(reader.problems) }
}

struct Reader<'e> {
    entry: &'e Entry,
    problems: Vec<Problem>,
}

impl<'e> Reader<'e> {
    fn grant(&mut self) -> Option<Grant> {
        self.columns();
        let (email, person) = (self.text("email"), self.text("person"));
        let person = person.or_else(|| email.clone());
        if person.is_none() && self.field("person").is_none() {
            self.wrong_row("person", "is missing: whose access is it?");
        }
        let accounts = self.field("account").map(|field| field.texts.clone()).unwrap_or_default();
        if accounts.is_empty() || accounts.iter().any(|account| account.trim().is_empty()) {
            self.wrong_row("account", "is missing: access to what?");
        }
        let (from, to, revoked) = (self.time("from", false), self.time("to", true), self.time("revoked", false));
        for (key, time) in [("from", from), ("to", to)] {
            if time.is_none() && self.field(key).is_none() {
                self.wrong_row(key, "is missing: access without an end is a rule's ([[identity.rule]])");
            }
        }
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            self.wrong("to", "is not after from", "turn them round");
        }
        let counts = self.counts(revoked.is_some());
        let grant = Grant {
            place: self.entry.place.clone(),
            email,
            team: self.text("team"),
            approver: self.text("approver"),
            ticket: self.text("ticket"),
            from_ms: from.unwrap_or_default(),
            to_ms: to.unwrap_or_default().min(revoked.unwrap_or(u64::MAX)),
            accounts,
            databases: self.each("database", Pattern::read),
            servers: self.each("server", Pattern::read),
            addresses: self.each("address", Network::read),
            person: person.unwrap_or_default(),
        };
        // Taken back before it began, it covers nothing.
        Some(grant).filter(|grant| counts && grant.from_ms < grant.to_ms)
    }

    /// Whether access was given at all.
    fn counts(&mut self, has_end: bool) -> bool {
        let status = self.text("status").unwrap_or_default().to_ascii_lowercase();
        match status.as_str() {
            "" | "approved" | "active" | "granted" | "expired" | "ended" | "completed" | "closed" => true,
            "pending" | "requested" | "denied" | "rejected" | "cancelled" | "canceled" | "withdrawn" => false,
            "revoked" if has_end => true,
            "revoked" => {
                self.wrong("status", "is revoked, and no column says when", "add a column revoked_at");
                false
            }
            _ => {
                let message = format!("{status:?} may or may not mean that access was given");
                let hint = "approved, active, granted, expired, ended, completed, closed or revoked; pending, requested, denied, rejected, \
                            cancelled or withdrawn. Leave the column out with grants_columns = { status = \"\" } if all of them were given";
                self.wrong("status", message, hint);
                false
            }
        }
    }

    /// Each of them is known, and no two mean the same.
    fn columns(&mut self) {
        for (at, field) in self.entry.fields.iter().enumerate() {
            if !meanings().any(|meaning| meaning == field.key) {
                let hint = format!(
                    "what it means, or that it means nothing, say grants_columns = {{ {:?} = \"\" }}; columns are {}",
                    field.key,
                    meanings().collect::<Vec<_>>().join(", ")
                );
                self.wrong(&field.key, "unknown column", &hint);
            } else if self.entry.fields[..at].iter().any(|before| before.key == field.key) {
                let hint = "leave one of them out: grants_columns = { \"…\" = \"\" }";
                self.wrong(&field.key, "two columns mean it", hint);
            }
        }
    }

    fn each<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, (String, String)>) -> Vec<T> {
        let Some(field) = self.field(key) else { return Vec::new() };
        let mut all = Vec::new();
        for text in &field.texts {
            match read(text) {
                Ok(one) => all.push(one),
                Err((message, hint)) => self.wrong(key, message, &hint),
            }
        }
        if all.is_empty() {
            self.wrong(key, "is an empty list, which nothing meets", "leave it out: without it any will do");
        }
        all
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let field = self.field(key)?;
        let text = field.texts.join(", ");
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
            let message = format!("must be 1 to {TEXT_BYTES_MAX} bytes long");
            self.wrong(key, message, "leave it out where there is none");
            return None;
        }
        Some(text)
    }

    /// Also as programs count it, in seconds or milliseconds.
    fn time(&mut self, key: &str, ends: bool) -> Option<u64> {
        let text = self.field(key)?.texts.first().map_or("", |text| text.trim());
        let is_count = text.bytes().all(|byte| byte.is_ascii_digit());
        let counted = || text.parse::<u64>().ok().filter(|_| is_count);
        let time = match text.len() {
            9 | 10 => counted().map(|seconds| seconds * 1000).or_else(|| time_ms(text, ends)),
            12 | 13 => counted(),
            _ => None,
        };
        let named = text.strip_suffix(" UTC").map(|text| format!("{text}Z"));
        let time = time.or_else(|| time_ms(named.as_deref().unwrap_or(text), ends));
        if time.is_none() {
            let hint =
                "such as 2026-11-30, the whole day in UTC, or 2026-11-30T18:00:00+01:00: a time without a zone is none";
            self.wrong(key, format!("{text:?} is no time"), hint);
        }
        time
    }

    fn field(&self, key: &str) -> Option<&'e Field> {
        self.entry.fields.iter().find(|field| field.key == key)
    }

    fn wrong(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        let line = self.field(key).map_or(self.entry.place.line, |field| field.line);
        let place = Place { file: self.entry.place.file.clone(), line };
        let key = Some(key.to_owned());
        self.problems.push(Problem { place, rule: None, key, message: message.into(), hint: hint.to_owned() });
    }

    fn wrong_row(&mut self, key: &str, message: &str) {
        let names = COLUMNS.iter().find(|(meaning, _)| *meaning == key).map_or(&[][..], |(_, names)| names);
        self.wrong(key, message, &format!("a column {}", names.join(", ")));
    }
}

/// All grants together.
#[derive(Debug, Default)]
pub struct Grants {
    all: Vec<Grant>,
    by_account: HashMap<Vec<u8>, OfAccount, foldhash::fast::RandomState>,
    asks_database: bool,
    asks_address: bool,
}

#[derive(Debug, Default)]
struct OfAccount {
    /// By when they begin.
    grants: Vec<usize>,
    /// The latest end of those up to here.
    latest_ms: Vec<u64>,
    /// When any begins or ends.
    turns: Vec<u64>,
}

/// What the grants say of a row.
#[derive(Debug, Clone, Copy)]
pub enum Given<'d> {
    /// Nothing: there are none for its account.
    Nothing,
    /// Those for its account are of another time.
    AtAnotherTime,
    /// Those of its time are of another database or address.
    Elsewhere,
    /// It is covered: of several of one person by the one that began last.
    To(&'d Grant),
    /// It is covered by those of several people.
    ToSeveral,
}

impl Grants {
    /// Of those of this agent's server.
    pub fn new(mut all: Vec<Grant>) -> Self {
        all.sort_by(|one, two| (one.from_ms, &one.place).cmp(&(two.from_ms, &two.place)));
        let asks_database = all.iter().any(|grant| !grant.databases.is_empty());
        let asks_address = all.iter().any(|grant| !grant.addresses.is_empty());
        let mut by_account: HashMap<Vec<u8>, OfAccount, foldhash::fast::RandomState> = HashMap::default();
        for (index, grant) in all.iter().enumerate() {
            for account in &grant.accounts {
                let of = by_account.entry(account.clone().into_bytes()).or_default();
                if of.grants.last() == Some(&index) {
                    continue;
                }
                of.grants.push(index);
                of.latest_ms.push(of.latest_ms.last().map_or(grant.to_ms, |latest| grant.to_ms.max(*latest)));
                of.turns.extend([grant.from_ms, grant.to_ms]);
            }
        }
        by_account.values_mut().for_each(|of| of.turns.sort_unstable());
        Grants { all, by_account, asks_database, asks_address }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any asks for it.
    pub fn asks(&self, of: Of) -> bool {
        of == Of::Database && self.asks_database
    }

    /// Whether any asks for the client's address.
    pub fn asks_address(&self) -> bool {
        self.asks_address
    }

    /// What they say of the row, and from when until just before when they say the same.
    pub fn find(&self, asked: &Asked<'_>, address: Option<Address>) -> (Given<'_>, u64, u64) {
        let of = asked.text(Of::Account).and_then(|account| self.by_account.get(account));
        let Some(of) = of else { return (Given::Nothing, 0, u64::MAX) };
        let now = asked.time_ms;
        let turn = of.turns.partition_point(|turn| *turn <= now);
        let from_ms = turn.checked_sub(1).map_or(0, |before| of.turns[before]);
        let to_ms = of.turns.get(turn).copied().unwrap_or(u64::MAX);
        (self.given(of, asked, address), from_ms, to_ms)
    }

    fn given<'d>(&'d self, of: &OfAccount, asked: &Asked<'_>, address: Option<Address>) -> Given<'d> {
        let begun = of.grants.partition_point(|grant| self.all[*grant].from_ms <= asked.time_ms);
        let mut given = Given::AtAnotherTime;
        for at in (0..begun).rev() {
            if of.latest_ms[at] <= asked.time_ms {
                break;
            }
            let grant = &self.all[of.grants[at]];
            if grant.to_ms <= asked.time_ms {
                continue;
            }
            given = match given {
                Given::AtAnotherTime | Given::Elsewhere if grant.covers(asked, address) => Given::To(grant),
                Given::AtAnotherTime => Given::Elsewhere,
                Given::To(one) if one.person != grant.person && grant.covers(asked, address) => {
                    return Given::ToSeveral;
                }
                given => given,
            };
        }
        given
    }

    /// Pairs of two people's that may cover the same row, of which so many are told.
    pub fn in_each_others_way(&self, most: usize) -> Vec<(&Grant, &Grant)> {
        let mut pairs = Vec::new();
        let mut accounts: Vec<&Vec<u8>> = self.by_account.keys().collect();
        accounts.sort_unstable();
        // What is not looked at is found when a row comes.
        let mut looks = LOOKS_MAX;
        for of in accounts.into_iter().filter_map(|account| self.by_account.get(account)) {
            let mut open: VecDeque<&Grant> = VecDeque::new();
            for grant in of.grants.iter().map(|index| &self.all[*index]) {
                open.retain(|other| other.to_ms > grant.from_ms);
                let other = open.iter().take(looks).find(|other| other.is_in_the_way_of(grant));
                looks = looks.saturating_sub(open.len());
                pairs.extend(other.map(|other| (*other, grant)));
                if pairs.len() >= most {
                    return pairs;
                }
                open.push_back(grant);
            }
        }
        pairs
    }
}

/// Pairs of grants that are compared before a row is.
const LOOKS_MAX: usize = 2_000_000;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::entry::{self, Holds};

    fn entries(name: &str, text: &str, named: &[(String, Option<String>)]) -> Result<Vec<Entry>, Vec<Problem>> {
        let key = |written: &str| column(written, named);
        entry::read_as(Path::new(name), text, &Holds { table: "grant", key: &key, may_be_list })
    }

    fn read(name: &str, text: &str, named: &[(String, Option<String>)]) -> Vec<Result<Option<Grant>, Vec<Problem>>> {
        entries(name, text, named).unwrap().iter().map(grant).collect()
    }

    fn grants(text: &str) -> Grants {
        Grants::new(read("g.csv", text, &[]).into_iter().filter_map(Result::unwrap).collect())
    }

    fn asked<'a>(account: &'a str, database: &'a str, time_ms: u64) -> Asked<'a> {
        let mut asked = Asked { time_ms, ..Asked::default() };
        asked.texts[Of::Account as usize] = Some(account.as_bytes());
        asked.texts[Of::Database as usize] = Some(database.as_bytes()).filter(|name| !name.is_empty());
        asked
    }

    fn found(grants: &Grants, account: &str, database: &str, address: &str, time: &str) -> String {
        let asked = asked(account, database, time_ms(time, false).unwrap());
        match grants.find(&asked, Address::read(address.as_bytes())).0 {
            Given::Nothing => "nothing".to_owned(),
            Given::AtAnotherTime => "time".to_owned(),
            Given::Elsewhere => "elsewhere".to_owned(),
            Given::To(grant) => format!("{} {}", grant.person, grant.place.line),
            Given::ToSeveral => "several".to_owned(),
        }
    }

    #[test]
    fn an_export_is_read_whatever_its_columns_are_called_and_in_each_form() {
        let csv = "Requester,Requester Email,DB User,db_name,Starts At,expiresAt,Approved By,Request ID,Status\n\
                   Jane,jane@x,dba,\"shop; crm\",2026-11-01T08:00:00Z,2026-11-01 10:00:00 UTC,John,CHG-1,Approved\n";
        let json = "[{\"grantee\": \"Jane\", \"email\": \"jane@x\", \"dbUser\": \"dba\", \"database\": [\"shop\", \"crm\"], \"validFrom\": 1793520000,\n\
                    \"validTo\": 1793527200000, \"approver\": \"John\", \"ticket\": \"CHG-1\", \"state\": \"ended\"}]";
        let toml = "[[grant]]\nperson = \"Jane\"\nemail = \"jane@x\"\naccount = \"dba\"\ndatabase = [\"shop\", \"crm\"]\nfrom = 2026-11-01T08:00:00Z\n\
                    to = 2026-11-01T12:00:00Z\nrevoked = 2026-11-01T10:00:00Z\napprover = \"John\"\nticket = \"CHG-1\"\nstatus = \"revoked\"\n";
        for (name, text) in [("g.csv", csv), ("g.json", json), ("g.toml", toml)] {
            let grant = read(name, text, &[]).remove(0).unwrap().unwrap();
            let texts = [&grant.email, &grant.approver, &grant.ticket].map(|text| text.clone().unwrap());
            assert_eq!((grant.person.as_str(), texts), ("Jane", ["jane@x", "John", "CHG-1"].map(str::to_owned)));
            assert_eq!((grant.from_ms, grant.to_ms), (1_793_520_000_000, 1_793_527_200_000), "{name}");
            assert_eq!((grant.accounts.len(), grant.databases.len()), (1, 2), "{name}");
        }
    }

    #[test]
    fn a_grant_names_who_had_the_account_of_the_database_at_the_time() {
        let grants = grants(
            "person,account,database,address,from,to\n\
             Jane,dba,shop,,2026-11-01T08:00:00Z,2026-11-01T10:00:00Z\n\
             Joan,dba,shop,,2026-11-01T10:00:00Z,2026-11-01T12:00:00Z\n\
             Mary,dba,crm,,2026-11-01T09:00:00Z,2026-11-01T11:00:00Z\n\
             Bob,ops,,10.0.0.0/8,2026-11-01,2026-11-01\n\
             Jane,dba,shop*,,2026-11-01T09:00:00Z,2026-11-01T09:30:00Z\n",
        );
        for (account, database, address, time, expected) in [
            ("dba", "shop", "", "2026-11-01T07:59:59.999Z", "time"),
            ("dba", "shop", "", "2026-11-01T08:00:00Z", "Jane 2"),
            ("dba", "shop", "", "2026-11-01T09:10:00Z", "Jane 6"),
            ("dba", "shop", "", "2026-11-01T09:59:59.999Z", "Jane 2"),
            ("dba", "shop", "", "2026-11-01T10:00:00Z", "Joan 3"),
            ("dba", "shop", "", "2026-11-01T12:00:00Z", "time"),
            ("dba", "crm", "", "2026-11-01T09:10:00Z", "Mary 4"),
            ("dba", "other", "", "2026-11-01T09:10:00Z", "elsewhere"),
            ("dba", "", "", "2026-11-01T09:10:00Z", "elsewhere"),
            ("ops", "any", "10.1.1.1", "2026-11-01T23:59:59Z", "Bob 5"),
            ("ops", "any", "11.1.1.1", "2026-11-01T23:59:59Z", "elsewhere"),
            ("app", "shop", "", "2026-11-01T09:10:00Z", "nothing"),
        ] {
            assert_eq!(found(&grants, account, database, address, time), expected, "{account} {database} {time}");
        }
        assert!(grants.in_each_others_way(9).is_empty());
    }

    #[test]
    fn of_two_people_at_once_nobody_is_named() {
        let grants = grants(
            "person,account,database,from,to\nJane,dba,shop,2026-11-01T08:00:00Z,2026-11-01T10:00:00Z\n\
             Joan,dba,,2026-11-01T09:00:00Z,2026-11-01T12:00:00Z\n",
        );
        let at = |time| found(&grants, "dba", "shop", "", time);
        assert_eq!(at("2026-11-01T08:30:00Z"), "Jane 2");
        assert_eq!(at("2026-11-01T09:30:00Z"), "several");
        assert_eq!(at("2026-11-01T10:30:00Z"), "Joan 3");
        assert_eq!(found(&grants, "dba", "crm", "", "2026-11-01T09:30:00Z"), "Joan 3");
        let pairs = grants.in_each_others_way(9);
        let lines: Vec<_> = pairs.iter().map(|(one, two)| (one.place.line, two.place.line)).collect();
        assert_eq!(lines, [(2, 3)]);
    }

    #[test]
    fn what_is_wrong_with_a_grant_is_told_with_its_line_and_column() {
        for (text, said) in [
            ("person,account,from\nJane,a,2026-11-01\n", "g.csv:2: to: is missing: access without an end is a rule's"),
            ("account,from,to\na,2026-11-01,2026-11-01\n", "g.csv:2: person: is missing: whose access is it?"),
            ("person,from,to\nJane,2026-11-01,2026-11-01\n", "g.csv:2: account: is missing: access to what?"),
            ("person,account,from,to\nJane,a,2026-11-02,2026-11-01\n", "g.csv:2: to: is not after from"),
            ("person,account,databse,from,to\nJane,a,d,2026-11-01,2026-11-01\n", "g.csv:2: databse: unknown column"),
            ("person,account,from,to\nJane,a,2026-11-01 08:00,2026-11-02\n", "is no time"),
            ("person,account,from,to,address\nJane,a,2026-11-01,2026-11-02,10.0.0.0/40\n", "is no network"),
            ("person,account,from,to,status\nJane,a,2026-11-01,2026-11-02,odd\n", "\"odd\" may or may not mean"),
            ("person,account,from,to,status\nJane,a,2026-11-01,2026-11-02,revoked\n", "no column says when"),
        ] {
            let problems = read("g.csv", text, &[]).remove(0).unwrap_err();
            assert!(problems.iter().any(|it| it.to_string().contains(said)), "{said}: {problems:?}");
        }
        let twice = entries("g.csv", "person,account,from,start,to\n", &[]).unwrap_err();
        assert_eq!(twice[0].message, "two columns are called \"from\"");
    }

    #[test]
    fn what_never_came_to_be_covers_nothing_and_columns_can_be_named() {
        let text = "who,account,from,to,status,note\nJane,a,2026-11-01,2026-11-02,denied,x\nJoan,a,2026-11-01,2026-11-02,active,y\n";
        let named = [("who".to_owned(), Some("person".to_owned())), ("Note".to_owned(), None)];
        let all: Vec<_> = read("g.csv", text, &named).into_iter().map(Result::unwrap).collect();
        assert!(all[0].is_none());
        assert_eq!(all[1].as_ref().unwrap().person, "Joan");
    }

    proptest! {
        /// What is found by the index is what asking each grant finds, for as long as it is said to hold.
        #[test]
        fn no_grant_is_missed(
            all in prop::collection::vec((0_usize..3, 0_u64..20, 1_u64..10, 0_usize..3), 0..12), time in 0_u64..30, database in 0_usize..2,
        ) {
            let names = ["", "d0", "d1"];
            let grants: Vec<Grant> = all.iter().enumerate().map(|(line, (person, from, long, of))| {
                let place = Place { file: "g".into(), line };
                let databases = if *of == 0 { Vec::new() } else { vec![Pattern::read(names[*of]).unwrap()] };
                Grant {
                    place, person: format!("p{person}"), email: None, team: None, approver: None, ticket: None, from_ms: *from,
                    to_ms: from + long, accounts: vec!["a".to_owned()], databases, servers: Vec::new(), addresses: Vec::new(),
                }
            }).collect();
            let expected = |time: u64| {
                let asked = asked("a", names[database + 1], time);
                let covering = grants.iter().filter(|it| it.from_ms <= time && time < it.to_ms && it.covers(&asked, None));
                let people: std::collections::BTreeSet<&str> = covering.map(|it| it.person.as_str()).collect();
                match people.len() { 0 => None, 1 => people.first().map(|it| (*it).to_owned()), _ => Some("several".to_owned()) }
            };
            let index = Grants::new(grants.clone());
            let (given, from, to) = index.find(&asked("a", names[database + 1], time), None);
            let given = match given {
                Given::To(grant) => Some(grant.person.clone()),
                Given::ToSeveral => Some("several".to_owned()),
                _ => None,
            };
            prop_assert!(from <= time && time < to);
            for same in [from, time, to.min(40) - 1] {
                prop_assert_eq!(&given, &expected(same));
            }
        }
    }
}
