//! Asks the directory for each row, and keeps the answers.
//!
//! Rows of one session ask the same again and again. What is asked is put together as a key, and the answer is kept as the bytes that stand in the line,
//! so that most rows cost a hash, a comparison and a copy, and no allocation. A new directory forgets all answers.

use std::hash::BuildHasher;
use std::io::Write;
use std::sync::Arc;

use sealtrail_parsers::{Act, Record};
use sealtrail_sql::Dialect;
use serde_json::Value;

use super::access::{Access, Behind, Person, Through};
use super::carriers::{Carried, Carrier, Carriers};
use super::directory::{Directory, Found, Reason};
use super::grant::{Given, Grant};
use super::row::asked;
use super::rule::{Asked, Gives, Kind, Of, Rule, Template};
use super::unmapped::Unmapped;
use crate::clock;
use crate::json;
use crate::limits::{IDENTITY_ANSWERS, IDENTITY_KEY_BYTES_MAX};
use crate::sessions::numbered::RowId;
use crate::shape::{Known, UtcTime};

/// One for all sources: their names are a part of what is asked where a rule asks for them.
#[derive(Debug)]
pub struct Mapper {
    directory: Arc<Directory>,
    carriers: Carriers,
    /// Layers before the database, and whom they let in.
    access: Access,
    /// How early a rule counts, and a grant.
    ranks: Ranks,
    /// What is put together of an answer and of what the row carries.
    line: Vec<u8>,
    /// By the hash of their key; the next of the same place takes it. The last place, [`ALONE`], is for keys too long to be kept.
    slots: Vec<Slot>,
    key: Vec<u8>,
    hasher: foldhash::fast::RandomState,
    unmapped: Unmapped,
    mapped: u64,
}

/// The place of a key too long to be kept.
const ALONE: usize = IDENTITY_ANSWERS;

#[derive(Debug, Clone, Copy)]
struct Ranks {
    rule: usize,
    grant: usize,
    /// Of what the client may claim, the earliest.
    claim: usize,
}

#[derive(Debug, Default)]
struct Slot {
    key: Vec<u8>,
    from_ms: u64,
    to_ms: u64,
    answer: Answer,
    /// The account, where nobody is found.
    account: Vec<u8>,
    /// Rows of it that were not counted yet.
    rows: u64,
}

/// What the directory says of a row.
#[derive(Debug, Default)]
struct Answer {
    /// `,"person":…,"identity":{…}`: a part of the row's line.
    json: Vec<u8>,
    /// The first of these, as the rule has it.
    person: Vec<u8>,
    /// What the rule says, each behind its comma.
    fields: Vec<u8>,
    /// What of it is said beside a person whom something else names.
    beside: Vec<u8>,
    kind: Option<Kind>,
    /// How sure the rule is.
    trust: &'static str,
    is_found: bool,
    /// How early that counts which names the person, or would if it did not name several; past all where nothing does.
    rank: usize,
    /// The rule asks whom the client says that it is for, and names the person.
    uses_claim: bool,
}

/// Who a row is of.
#[derive(Debug, Clone, Copy)]
pub struct Who<'m> {
    /// `,"person":…,"identity":{…}`: a part of the row's line.
    pub json: &'m [u8],
    /// The account is one for emergencies.
    pub is_break_glass: bool,
}

impl Who<'_> {
    /// The same as an object: for whoever shows it.
    pub fn object(&self) -> Value {
        let inner = self.json.strip_prefix(b",").unwrap_or_default();
        // What is written here is JSON; were it none, there would be nothing to show.
        serde_json::from_slice(&[b"{", inner, b"}"].concat()).unwrap_or_default()
    }
}

/// Where a row stands, and since when its session lasts.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The agent's name.
    pub server: &'a str,
    /// The source's name.
    pub source: &'a str,
    /// When the session began, as the row itself has it.
    pub session_start: Option<&'a UtcTime>,
}

impl Mapper {
    /// Of a directory, and of what counts beside it.
    pub fn new(directory: Arc<Directory>, carriers: Carriers) -> Self {
        let ranks = Ranks {
            rule: carriers.rank(Carrier::Rule),
            grant: carriers.rank(Carrier::Grant),
            claim: if carriers.is_empty() { usize::MAX } else { carriers.rank_of_claims() },
        };
        let counts_access = carriers.rank(Carrier::Access) < usize::MAX;
        let layers = if counts_access { carriers.layers.clone() } else { Vec::new() };
        Mapper {
            directory,
            carriers,
            access: Access::new(layers),
            ranks,
            line: Vec::new(),
            slots: std::iter::repeat_with(Slot::default).take(IDENTITY_ANSWERS + 1).collect(),
            key: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            unmapped: Unmapped::default(),
            mapped: 0,
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// All of the next rows are another directory's.
    pub fn exchange(&mut self, directory: Arc<Directory>) {
        self.count();
        self.directory = directory;
        self.slots.iter_mut().for_each(|slot| *slot = Slot::default());
    }

    /// Takes a row into account that may tell whose a session of another source is.
    pub fn saw(&mut self, source: &str, record: &Record<'_>, row: RowId, time: &UtcTime) {
        if !self.access.is_empty() {
            self.access.saw(source, record, row, time);
        }
    }

    /// What layers before the database told.
    pub fn access(&mut self) -> &mut Access {
        &mut self.access
    }

    /// Who a row is of, and how that is known. Its statement is read as `dialect`.
    pub fn who(
        &mut self,
        record: &Record<'_>,
        known: &Known<'_>,
        dialect: Option<Dialect>,
        site: Site<'_>,
        time: &UtcTime,
    ) -> Who<'_> {
        // Looked for where a rule asks for it, and otherwise only where it may count.
        let is_asked = self.ranks.claim < usize::MAX && self.directory.asks(Of::Claim);
        let early = if is_asked { self.carriers.claim(record, known, dialect) } else { None };
        let proven = Carriers::proven(record, known);
        let behind = if self.access.is_empty() { None } else { self.behind(record, known, site, time) };
        let places = (site.server, site.source);
        let asked = asked(&self.directory, record, known, early.as_ref().map(|it| &*it.value), places, time);
        let at = self.place_of(&asked);
        let counts = !is_asked && self.ranks.claim < self.slots[at].answer.rank;
        let late = if counts { self.carriers.claim(record, known, dialect) } else { None };
        self.named(at, &asked, behind.as_ref(), proven.as_ref(), early.as_ref().or(late.as_ref()))
    }

    fn behind(&self, record: &Record<'_>, known: &Known<'_>, site: Site<'_>, time: &UtcTime) -> Option<Behind> {
        // The row of a login is when its session begins.
        let begins = (record.act == Act::Login && time.is_certain()).then(|| time.unix_ms());
        let began = site.session_start.filter(|it| it.is_certain()).map(UtcTime::unix_ms);
        let row = Through {
            account: record.user.filter(|account| !account.is_empty())?,
            address: record.client.address,
            database: record.database.filter(|name| !name.is_empty()),
            pid: record.session.pid,
            began_ms: began.or(begins).or(known.began_ms),
            time_ms: time.unix_ms(),
        };
        self.access.behind(site.source, &row)
    }

    /// The same for what is asked, what a layer before the database told, what the server proved, and what the client claims.
    pub fn answer(
        &mut self,
        asked: &Asked<'_>,
        behind: Option<&Behind>,
        proven: Option<&Carried<'_>>,
        claim: Option<&Carried<'_>>,
    ) -> Who<'_> {
        let at = self.place_of(asked);
        self.named(at, asked, behind, proven, claim)
    }

    /// Where the answer is to what is asked.
    fn place_of(&mut self, asked: &Asked<'_>) -> usize {
        self.key(asked);
        let may_keep = self.key.len() <= IDENTITY_KEY_BYTES_MAX;
        let hash = self.hasher.hash_one(self.key.as_slice()) as usize;
        let at = if may_keep { hash % IDENTITY_ANSWERS } else { ALONE };
        let slot = &mut self.slots[at];
        let is_known = slot.key == self.key && (slot.from_ms..slot.to_ms).contains(&asked.time_ms);
        if !is_known {
            slot.count(&mut self.unmapped);
            slot.fill(&self.key, &self.directory, self.ranks, asked);
        }
        at
    }

    /// Of the answer at this place and of what else tells.
    fn named(
        &mut self,
        at: usize,
        asked: &Asked<'_>,
        behind: Option<&Behind>,
        proven: Option<&Carried<'_>>,
        claim: Option<&Carried<'_>>,
    ) -> Who<'_> {
        let slot = &mut self.slots[at];
        let answer = &slot.answer;
        let version = self.directory.version.as_bytes();
        // What proves a program is its own.
        let proven = proven.filter(|_| answer.kind != Some(Kind::Service));
        let seen = behind.and_then(|behind| match behind {
            Behind::Person(person) => {
                Some(Carried { carrier: Carrier::Access, value: person.name.as_slice().into(), row: Some(person.row) })
            }
            Behind::Unknown(_) => None,
        });
        let carried = [seen.as_ref(), proven, claim].into_iter().flatten();
        let first = carried
            .map(|it| (self.carriers.rank(it.carrier), it))
            .filter(|(rank, _)| *rank < answer.rank)
            .min_by_key(|(rank, _)| *rank);
        let rank = first.map_or(answer.rank, |(rank, _)| rank);
        // Where the layer should know and does not, what counts less is not asked: it would be another's.
        let unknown = match behind {
            Some(Behind::Unknown(reason)) if self.carriers.rank(Carrier::Access) < rank => Some(*reason),
            _ => None,
        };
        let named_by = first.map(|(_, carried)| carried).filter(|_| unknown.is_none());
        slot.rows += u64::from(!slot.account.is_empty() && named_by.is_none());
        self.mapped += u64::from(answer.is_found || named_by.is_some());
        let is_break_glass = answer.kind == Some(Kind::BreakGlass);
        let json = match (unknown, named_by, claim.filter(|_| answer.uses_claim)) {
            (Some(reason), ..) => {
                self.line.clear();
                nobody(&mut self.line, &answer.beside, reason, answer.trust, version);
                &self.line
            }
            (None, Some(carried), _) => {
                let approval = match behind {
                    Some(Behind::Person(person)) if carried.carrier == Carrier::Access => Some(person),
                    _ => None,
                };
                put_together(&mut self.line, answer, carried, (true, approval), asked, version);
                &self.line
            }
            (None, None, Some(claim)) => {
                put_together(&mut self.line, answer, claim, (false, None), asked, version);
                &self.line
            }
            (None, None, None) => &answer.json,
        };
        Who { json, is_break_glass }
    }

    /// Who was not found so far, and how many rows had somebody.
    pub fn counted(&mut self) -> (&Unmapped, u64) {
        self.count();
        (&self.unmapped, self.mapped)
    }

    fn count(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.rows > 0).for_each(|slot| slot.count(&mut self.unmapped));
    }

    fn key(&mut self, asked: &Asked<'_>) {
        self.key.clear();
        self.key.push(u8::from(asked.is_claimed) + 1);
        let asks = |of: &Of| *of == Of::Account || self.directory.asks(*of);
        let texts = Of::ALL.into_iter().filter(asks).map(|of| asked.text(of));
        for text in texts.chain([asked.address.filter(|_| self.directory.asks_address())]) {
            // An empty text is none.
            let text = text.unwrap_or_default();
            self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.key.extend_from_slice(text);
        }
    }
}

impl Slot {
    fn fill(&mut self, key: &[u8], directory: &Directory, ranks: Ranks, asked: &Asked<'_>) {
        let found = directory.find(asked);
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.from_ms, self.to_ms) = (found.from_ms, found.to_ms);
        self.answer.write(&found, ranks, asked, &directory.version);
        self.account.clear();
        if !self.answer.is_found {
            self.account.extend_from_slice(asked.text(Of::Account).unwrap_or_default());
        }
    }

    fn count(&mut self, unmapped: &mut Unmapped) {
        if self.rows > 0 {
            unmapped.add(&self.account, self.rows);
            self.rows = 0;
        }
    }
}

impl Answer {
    fn write(&mut self, found: &Found<'_>, ranks: Ranks, asked: &Asked<'_>, version: &str) {
        let Answer { json, person, fields, beside, .. } = self;
        [&mut *json, &mut *person, &mut *fields, &mut *beside].into_iter().for_each(Vec::clear);
        let rule = found.rule.ok();
        if let Some(rule) = rule {
            if let Some(name) = given(&rule.gives.person, rule, asked) {
                text(person, "person", &name);
            }
            write_rule(beside, rule, asked);
            fields.extend_from_slice(beside);
            write_rest(fields, rule, asked);
        }
        self.trust = rule.map_or("", |rule| trust(rule, asked));
        let rule_rank = if person.is_empty() { usize::MAX } else { ranks.rule };
        // Of grants that do not count nothing is said.
        let counted = if ranks.grant < usize::MAX { found.given } else { Given::Nothing };
        let covers = matches!(counted, Given::To(_) | Given::ToSeveral);
        let by_grant = covers && ranks.grant < rule_rank;
        let why = match (counted, found.rule) {
            (Given::ToSeveral, _) if by_grant => Some(Reason::AmbiguousGrant),
            (Given::To(_), _) if by_grant => None,
            (Given::AtAnotherTime, Ok(_) | Err(Reason::NoRule)) if person.is_empty() => Some(Reason::NotValid),
            (Given::Elsewhere, Ok(_) | Err(Reason::NoRule)) if person.is_empty() => Some(Reason::NotMet),
            (_, found) => found.err(),
        };
        match (counted, why, rule) {
            (Given::To(grant), None, _) if by_grant => {
                text(json, "person", grant.person.as_bytes());
                write_grant(json, grant, rule, beside, asked);
                close(json, version.as_bytes());
            }
            (_, None, Some(rule)) => {
                json.extend_from_slice(person);
                open(json, fields);
                text(json, "trust", trust(rule, asked).as_bytes());
                close(json, version.as_bytes());
            }
            (_, reason, _) => {
                let said = if by_grant { &*beside } else { &*fields };
                nobody(json, said, reason.unwrap_or(Reason::NoRule), self.trust, version.as_bytes());
            }
        }
        self.rank = if by_grant { ranks.grant } else { rule_rank };
        self.is_found = rule.is_some() || matches!(counted, Given::To(_)) && by_grant;
        self.kind = rule.and_then(|rule| rule.gives.kind);
        self.uses_claim = !by_grant && rule.is_some_and(|rule| !rule.when.texts[Of::Claim as usize].is_empty());
    }
}

fn open(out: &mut Vec<u8>, fields: &[u8]) {
    out.extend_from_slice(b",\"identity\":{");
    // Without the first comma.
    out.extend_from_slice(fields.get(1..).unwrap_or_default());
}

fn close(out: &mut Vec<u8>, version: &[u8]) {
    text(out, "directory", version);
    out.push(b'}');
}

/// Nobody is named, and why; `beside`: what a rule says of the account.
fn nobody(out: &mut Vec<u8>, beside: &[u8], reason: Reason, trust: &str, version: &[u8]) {
    out.extend_from_slice(b",\"identity\":{\"reason\":\"");
    out.extend_from_slice(reason.word().as_bytes());
    out.push(b'"');
    if !beside.is_empty() {
        out.extend_from_slice(beside);
        text(out, "trust", trust.as_bytes());
    }
    close(out, version);
}

/// What the directory says, and what the row carries: as its person, or as what a rule asked for; and what its session rests on.
fn put_together(
    out: &mut Vec<u8>,
    answer: &Answer,
    carried: &Carried<'_>,
    (is_person, approval): (bool, Option<&Person>),
    asked: &Asked<'_>,
    version: &[u8],
) {
    out.clear();
    if is_person {
        text(out, "person", &carried.value);
    } else {
        out.extend_from_slice(&answer.person);
    }
    out.extend_from_slice(b",\"identity\":{\"carrier\":\"");
    out.extend_from_slice(carried.carrier.name().as_bytes());
    out.push(b'"');
    if !is_person {
        text(out, "claim", &carried.value);
    }
    if let Some(row) = carried.row {
        out.extend_from_slice(b",\"claimed_in\":\"");
        // Writing to memory cannot fail.
        let _ = write!(out, "{row}");
        out.push(b'"');
    }
    // Of another person's address and ticket nothing is said.
    let is_another = is_person && !answer.person.is_empty();
    let has_own = approval.is_some_and(|it| it.ticket.is_some());
    out.extend_from_slice(if is_another || has_own { &answer.beside } else { &answer.fields });
    if let Some(Person { ticket: Some(ticket), approver, .. }) = approval {
        text(out, "ticket", ticket);
        if let Some(approver) = approver {
            text(out, "approved_by", approver);
        }
    }
    let trust = match carried.carrier {
        Carrier::Authentication => "verified",
        Carrier::Access => trust_of(asked, false),
        _ => "asserted",
    };
    text(out, "trust", trust.as_bytes());
    close(out, version);
}

fn given(template: &Option<Template>, rule: &Rule, asked: &Asked<'_>) -> Option<Vec<u8>> {
    template.as_ref().map(|it| it.fill(&rule.when, asked)).filter(|text| !text.is_empty())
}

/// Which rule, and what it says of the account whoever uses it.
fn write_rule(out: &mut Vec<u8>, rule: &Rule, asked: &Asked<'_>) {
    text(out, "rule", rule.name.as_bytes());
    text(out, "evidence", rule.place.to_string().as_bytes());
    if let Some(kind) = rule.gives.kind {
        text(out, "kind", kind.name().as_bytes());
    }
    if let Some(team) = given(&rule.gives.team, rule, asked) {
        text(out, "team", &team);
    }
}

/// The rest, but for the person and how sure that is.
fn write_rest(out: &mut Vec<u8>, rule: &Rule, asked: &Asked<'_>) {
    let gives = &rule.gives;
    for (name, template) in [("email", &gives.email), ("ticket", &gives.ticket), ("approved_by", &gives.approved_by)] {
        if let Some(given) = given(template, rule, asked) {
            text(out, name, &given);
        }
    }
    for (name, time) in
        [("valid_from", rule.when.from_ms), ("valid_to", rule.when.to_ms), ("expires", gives.expires_ms)]
    {
        if let Some(ms) = time {
            text(out, name, clock::rfc3339(ms).as_bytes());
        }
    }
    if gives.expires_ms.is_some_and(|expires| asked.time_ms >= expires) {
        out.extend_from_slice(b",\"expired\":true");
    }
}

/// The grant, and beside it what a rule says of the account. The grant's team is the person's.
fn write_grant(out: &mut Vec<u8>, grant: &Grant, rule: Option<&Rule>, beside: &[u8], asked: &Asked<'_>) {
    out.extend_from_slice(b",\"identity\":{\"carrier\":\"grant\"");
    text(out, "grant", grant.place.to_string().as_bytes());
    match (rule, &grant.team) {
        (Some(rule), Some(team)) => {
            let mut without_team = Vec::new();
            let gives = Gives { team: None, ..rule.gives.clone() };
            write_rule(&mut without_team, &Rule { gives, ..rule.clone() }, asked);
            out.extend_from_slice(&without_team);
            text(out, "team", team.as_bytes());
        }
        (None, Some(team)) => text(out, "team", team.as_bytes()),
        (_, None) => out.extend_from_slice(beside),
    }
    for (name, given) in [("email", &grant.email), ("ticket", &grant.ticket), ("approved_by", &grant.approver)] {
        if let Some(given) = given {
            text(out, name, given.as_bytes());
        }
    }
    for (name, ms) in [("valid_from", grant.from_ms), ("valid_to", grant.to_ms)] {
        text(out, name, clock::rfc3339(ms).as_bytes());
    }
    text(out, "trust", trust_of(asked, false).as_bytes());
}

/// How sure it is that the row was of whom the rule names.
fn trust(rule: &Rule, asked: &Asked<'_>) -> &'static str {
    if asked.is_claimed || rule.when.rests_on_client() {
        return "asserted";
    }
    trust_of(asked, !rule.when.texts[Of::Authentication as usize].is_empty())
}

/// The same where nothing is asked that only the client says.
fn trust_of(asked: &Asked<'_>, is_proven: bool) -> &'static str {
    match (asked.is_claimed, is_proven) {
        (true, _) => "asserted",
        (false, true) => "verified",
        (false, false) => "mapped",
    }
}

fn text(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json::string(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Loader;

    fn mapper(rules: &str) -> Mapper {
        let mut directory = Loader::of_text("d.toml", rules, "db1", &["pg"]).compiled().unwrap();
        directory.version = "v".to_owned();
        Mapper::new(Arc::new(directory), Carriers { trust: Carrier::ALL.to_vec(), ..Carriers::default() })
    }

    fn asked<'a>(texts: &[(Of, &'a str)], time_ms: u64) -> Asked<'a> {
        let mut asked = Asked { time_ms, ..Asked::default() };
        texts.iter().for_each(|(of, text)| asked.texts[*of as usize] = Some(text.as_bytes()));
        asked
    }

    fn json(mapper: &mut Mapper, texts: &[(Of, &str)], time_ms: u64) -> String {
        String::from_utf8(mapper.answer(&asked(texts, time_ms), None, None, None).json.to_vec()).unwrap()
    }

    #[test]
    fn a_line_says_who_it_was_and_how_that_is_known() {
        let mut mapper = mapper(
            "[[rule]]\nname = 'r'\naccount = '/svc_([^x]*)/'\nperson = 'P \"{1}\"'\nemail = 'p@x'\nkind = 'human'\nticket = 'C-1'\n\
             approved_by = 'B'\nexpires = 1970-01-01\nvalid_to = 1970-01-03\n",
        );
        let rest = "\"evidence\":\"d.toml:1\",\"kind\":\"human\",\"email\":\"p@x\",\"ticket\":\"C-1\",\"approved_by\":\"B\",\
                    \"valid_to\":\"1970-01-04T00:00:00.000Z\",\"expires\":\"1970-01-02T00:00:00.000Z\"";
        let end = ",\"trust\":\"mapped\",\"directory\":\"v\"}";
        let account = [(Of::Account, "svc_\n")];
        let start = ",\"person\":\"P \\\"\\n\\\"\",\"identity\":{\"rule\":\"r\",";
        assert_eq!(json(&mut mapper, &account, 5), format!("{start}{rest}{end}"));
        assert_eq!(
            json(&mut mapper, &account, 86_400_000),
            format!("{start}{rest},\"expired\":true{end}"),
            "an answer holds until something expires"
        );
        assert_eq!(
            json(&mut mapper, &account, 3 * 86_400_000),
            ",\"identity\":{\"reason\":\"not_valid\",\"directory\":\"v\"}"
        );
        assert_eq!(json(&mut mapper, &account, 5), format!("{start}{rest}{end}"));
    }

    #[test]
    fn what_the_client_says_is_asserted_and_what_the_server_proved_is_verified() {
        let mut mapper = mapper(
            "[[rule]]\naccount = 'a'\napplication = 'psql'\nteam = 't'\npriority = 2\n[[rule]]\naccount = 'a'\nauthentication = 'CN=a'\n\
             team = 't'\npriority = 1\n[[rule]]\naccount = 'a'\nteam = 't'\npriority = 3\n",
        );
        let mut trust = |texts: &[(Of, &str)], is_claimed| {
            let asked = Asked { is_claimed, ..asked(texts, 0) };
            let json = String::from_utf8(mapper.answer(&asked, None, None, None).json.to_vec()).unwrap();
            json.split("\"trust\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        assert_eq!(trust(&[(Of::Account, "a")], false), "mapped");
        assert_eq!(trust(&[(Of::Account, "a")], true), "asserted", "nobody was let in");
        assert_eq!(trust(&[(Of::Account, "a"), (Of::Application, "psql")], false), "asserted");
        assert_eq!(trust(&[(Of::Account, "a"), (Of::Authentication, "CN=a")], false), "verified");
        assert_eq!(trust(&[(Of::Account, "a")], false), "mapped");
    }

    fn carried(carrier: Carrier, value: &'static str) -> Carried<'static> {
        Carried { carrier, value: value.as_bytes().into(), row: None }
    }

    #[test]
    fn a_claim_names_whom_no_rule_names() {
        let mut mapper = mapper(
            "[[rule]]\nname = 'a'\naccount = 'a'\nperson = 'Jane'\n[[rule]]\nname = 'app'\naccount = 'app'\nkind = 'service'\n
             [[rule]]\nname = 'id'\naccount = 'shop'\nclaim = '42'\nperson = 'Joan'\n",
        );
        let (claim, proven) = (carried(Carrier::Session, "42"), carried(Carrier::Authentication, "CN=x"));
        let mut who = |account: &str, proven: Option<&Carried<'_>>, claim: Option<&Carried<'_>>| {
            let mut asked = asked(&[(Of::Account, account)], 0);
            asked.texts[Of::Claim as usize] = claim.map(|claim| &*claim.value);
            let object = mapper.answer(&asked, None, proven, claim).object();
            let identity = &object["identity"];
            let words =
                [&object["person"], &identity["rule"], &identity["carrier"], &identity["trust"], &identity["reason"]];
            words.map(|word| word.as_str().unwrap_or("-").to_owned()).join(" ")
        };
        assert_eq!(who("a", Some(&proven), Some(&claim)), "Jane a - mapped -");
        assert_eq!(who("app", None, Some(&claim)), "42 app session asserted -");
        assert_eq!(who("app", Some(&proven), None), "- app - mapped -", "what proves a program is its own");
        assert_eq!(who("other", Some(&proven), Some(&claim)), "CN=x - authentication verified -");
        assert_eq!(who("other", None, Some(&claim)), "42 - session asserted -");
        assert_eq!(who("other", None, None), "- - - - no_rule");
        assert_eq!(who("shop", None, Some(&claim)), "Joan id session asserted -");
        assert_eq!(mapper.counted().0.rows(), 1, "who is named by a claim is not without a name");
    }

    #[test]
    fn what_counts_first_is_configured() {
        let claim = carried(Carrier::Comment, "joan");
        for (trust, person) in [
            (vec![Carrier::Comment, Carrier::Rule], "joan"),
            (vec![Carrier::Rule, Carrier::Comment], "Jane"),
            (vec![Carrier::Rule], "Jane"),
        ] {
            let mapper = mapper("[[rule]]\naccount = 'a'\nperson = 'Jane'\n");
            let mut mapper = Mapper::new(mapper.directory, Carriers { trust, ..Carriers::default() });
            let object = mapper.answer(&asked(&[(Of::Account, "a")], 0), None, None, Some(&claim)).object();
            assert_eq!(object["person"], person);
        }
    }

    #[test]
    fn a_new_directory_forgets_what_the_old_one_said() {
        let mut one = mapper("[[rule]]\naccount = 'a'\nperson = 'One'\n");
        assert!(json(&mut one, &[(Of::Account, "a")], 0).contains("One"));
        let other = mapper("[[rule]]\naccount = 'a'\nperson = 'Two'\n");
        one.exchange(other.directory);
        assert!(json(&mut one, &[(Of::Account, "a")], 0).contains("Two"));
    }

    #[test]
    fn rows_without_a_rule_are_counted_by_account() {
        let mut mapper = mapper("[[rule]]\naccount = 'a'\nperson = 'One'\n");
        let long = "x".repeat(IDENTITY_KEY_BYTES_MAX + 1);
        for account in ["a", "b", "b", "c", &long, &long, "b"] {
            json(&mut mapper, &[(Of::Account, account)], 0);
        }
        mapper.answer(&Asked::default(), None, None, None);
        let (unmapped, mapped) = mapper.counted();
        assert_eq!(mapped, 1);
        let top: Vec<_> = unmapped.top(2).into_iter().map(|(_, rows)| rows).collect();
        assert_eq!((top, unmapped.rows()), (vec![3, 2], 6));
        assert_eq!(mapper.counted().0.rows(), 6, "counted once");
    }

    #[test]
    fn no_answer_is_another_s() {
        let rules: String = (0..50).map(|at| format!("[[rule]]\naccount = 'u{at}'\nperson = 'P{at}'\n")).collect();
        let mut mapper = mapper(&rules);
        for round in 0..3 {
            for at in 0..5000 {
                let account = format!("u{at}");
                let found = json(&mut mapper, &[(Of::Account, &account)], round);
                assert_eq!(found.contains(&format!("\"P{at}\"")), at < 50, "{account}: {found}");
            }
        }
    }
}
