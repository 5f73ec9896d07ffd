//! Asks the directory for each row, and keeps the answers.
//!
//! Rows of one session ask the same again and again. What is asked is put together as a key, and the answer is kept as the bytes that stand in the line,
//! so that most rows cost a hash, a comparison and a copy, and no allocation. A new directory forgets all answers.

use std::hash::BuildHasher;
use std::io::Write;
use std::sync::Arc;

use sealtrail_parsers::Record;
use sealtrail_sql::Dialect;
use serde_json::Value;

use super::carriers::{Carried, Carrier, Carriers};
use super::directory::{Directory, Found};
use super::row::asked;
use super::rule::{Asked, Kind, Of, Rule, Template};
use super::unmapped::Unmapped;
use crate::clock;
use crate::json;
use crate::limits::{IDENTITY_ANSWERS, IDENTITY_KEY_BYTES_MAX};
use crate::shape::{Known, UtcTime};

/// One for all sources: their names are a part of what is asked where a rule asks for them.
#[derive(Debug)]
pub struct Mapper {
    directory: Arc<Directory>,
    carriers: Carriers,
    /// What is put together of an answer and of what the row carries.
    line: Vec<u8>,
    /// By the hash of their key; the next of the same place takes it.
    slots: Vec<Slot>,
    /// Of a key too long to be kept.
    alone: Slot,
    key: Vec<u8>,
    hasher: foldhash::fast::RandomState,
    unmapped: Unmapped,
    mapped: u64,
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
    /// The first of these.
    person: Vec<u8>,
    /// What the rule says, each behind its comma.
    fields: Vec<u8>,
    kind: Option<Kind>,
    is_found: bool,
    /// The rule asks whom the client says that it is for.
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

impl Mapper {
    /// Of a directory, and of what counts beside it.
    pub fn new(directory: Arc<Directory>, carriers: Carriers) -> Self {
        Mapper {
            directory,
            carriers,
            line: Vec::new(),
            slots: std::iter::repeat_with(Slot::default).take(IDENTITY_ANSWERS).collect(),
            alone: Slot::default(),
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

    /// Who a row is of, and how that is known. Its statement is read as `dialect`; `places` are server and source.
    pub fn who(
        &mut self,
        record: &Record<'_>,
        known: &Known<'_>,
        dialect: Option<Dialect>,
        places: (&str, &str),
        time: &UtcTime,
    ) -> Who<'_> {
        let claim = if self.carriers.is_empty() { None } else { self.carriers.claim(record, known, dialect) };
        let proven = Carriers::proven(record, known);
        let asked = asked(&self.directory, record, known, claim.as_ref().map(|it| &*it.value), places, time);
        self.answer(&asked, proven.as_ref(), claim.as_ref())
    }

    /// The same for what is asked, what the server proved, and what the client claims.
    pub fn answer(&mut self, asked: &Asked<'_>, proven: Option<&Carried<'_>>, claim: Option<&Carried<'_>>) -> Who<'_> {
        self.key(asked);
        let at = (self.hasher.hash_one(self.key.as_slice()) as usize) % IDENTITY_ANSWERS;
        let may_keep = self.key.len() <= IDENTITY_KEY_BYTES_MAX;
        let slot = if may_keep { &mut self.slots[at] } else { &mut self.alone };
        let is_known = slot.key == self.key && (slot.from_ms..slot.to_ms).contains(&asked.time_ms);
        if !is_known {
            slot.count(&mut self.unmapped);
            slot.fill(&self.key, &self.directory, asked);
        }
        let answer = &slot.answer;
        // What proves a program is its own.
        let proven = proven.filter(|_| answer.kind != Some(Kind::Service));
        let carried = [proven, claim].into_iter().flatten().map(|it| (self.carriers.rank(it.carrier), it));
        let first = carried.filter(|(rank, _)| *rank < usize::MAX).min_by_key(|(rank, _)| *rank);
        let rule_rank = if answer.person.is_empty() { usize::MAX } else { self.carriers.rank(Carrier::Rule) };
        let named_by = first.filter(|(rank, _)| *rank < rule_rank).map(|(_, carried)| carried);
        slot.rows += u64::from(!slot.account.is_empty() && named_by.is_none());
        self.mapped += u64::from(answer.is_found || named_by.is_some());
        let version = self.directory.version.as_bytes();
        let is_break_glass = answer.kind == Some(Kind::BreakGlass);
        let json = match (named_by, claim.filter(|_| answer.uses_claim)) {
            (Some(carried), _) => {
                put_together(&mut self.line, answer, carried, true, version);
                &self.line
            }
            (None, Some(claim)) => {
                put_together(&mut self.line, answer, claim, false, version);
                &self.line
            }
            (None, None) => &answer.json,
        };
        Who { json, is_break_glass }
    }

    /// Who was not found so far, and how many rows had somebody.
    pub fn counted(&mut self) -> (&Unmapped, u64) {
        self.count();
        (&self.unmapped, self.mapped)
    }

    fn count(&mut self) {
        let slots = self.slots.iter_mut().chain([&mut self.alone]);
        slots.filter(|slot| slot.rows > 0).for_each(|slot| slot.count(&mut self.unmapped));
    }

    fn key(&mut self, asked: &Asked<'_>) {
        self.key.clear();
        self.key.push(u8::from(asked.is_claimed) + 1);
        for text in asked.texts.iter().copied().chain([asked.address.filter(|_| self.directory.asks_address())]) {
            // An empty text is none.
            let text = text.unwrap_or_default();
            self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.key.extend_from_slice(text);
        }
    }
}

impl Slot {
    fn fill(&mut self, key: &[u8], directory: &Directory, asked: &Asked<'_>) {
        let found = directory.find(asked);
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.from_ms, self.to_ms) = (found.from_ms, found.to_ms);
        self.account.clear();
        if found.rule.is_err() {
            self.account.extend_from_slice(asked.text(Of::Account).unwrap_or_default());
        }
        self.answer.json.clear();
        self.answer.write(&found, asked, &directory.version);
    }

    fn count(&mut self, unmapped: &mut Unmapped) {
        if self.rows > 0 {
            unmapped.add(&self.account, self.rows);
            self.rows = 0;
        }
    }
}

impl Answer {
    fn write(&mut self, found: &Found<'_>, asked: &Asked<'_>, version: &str) {
        let Answer { json, person, fields, .. } = self;
        [&mut *json, &mut *person, &mut *fields].into_iter().for_each(Vec::clear);
        match found.rule {
            Ok(rule) => {
                if let Some(name) = given(&rule.gives.person, rule, asked) {
                    text(person, "person", &name);
                }
                write_fields(fields, rule, asked);
                json.extend_from_slice(person);
                open(json, fields);
                text(json, "trust", trust(rule, asked).as_bytes());
            }
            Err(reason) => {
                json.extend_from_slice(b",\"identity\":{\"reason\":\"");
                json.extend_from_slice(reason.word().as_bytes());
                json.push(b'"');
            }
        }
        close(json, version.as_bytes());
        self.is_found = found.rule.is_ok();
        self.kind = found.rule.ok().and_then(|rule| rule.gives.kind);
        self.uses_claim = found.rule.is_ok_and(|rule| !rule.when.texts[Of::Claim as usize].is_empty());
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

/// What the directory says, and what the row carries: as its person, or as what a rule asked for.
fn put_together(out: &mut Vec<u8>, answer: &Answer, carried: &Carried<'_>, is_person: bool, version: &[u8]) {
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
    out.extend_from_slice(&answer.fields);
    let is_proven = carried.carrier == Carrier::Authentication;
    text(out, "trust", if is_proven { b"verified" } else { b"asserted" });
    close(out, version);
}

fn given(template: &Option<Template>, rule: &Rule, asked: &Asked<'_>) -> Option<Vec<u8>> {
    template.as_ref().map(|it| it.fill(&rule.when, asked)).filter(|text| !text.is_empty())
}

/// What a rule says, but for the person and how sure that is.
fn write_fields(out: &mut Vec<u8>, rule: &Rule, asked: &Asked<'_>) {
    let gives = &rule.gives;
    text(out, "rule", rule.name.as_bytes());
    text(out, "evidence", rule.place.to_string().as_bytes());
    if let Some(kind) = gives.kind {
        text(out, "kind", kind.name().as_bytes());
    }
    for (name, template) in
        [("email", &gives.email), ("team", &gives.team), ("ticket", &gives.ticket), ("approved_by", &gives.approved_by)]
    {
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

/// How sure it is that the row was of whom the rule names.
fn trust(rule: &Rule, asked: &Asked<'_>) -> &'static str {
    if asked.is_claimed || rule.when.rests_on_client() {
        return "asserted";
    }
    if rule.when.texts[Of::Authentication as usize].is_empty() { "mapped" } else { "verified" }
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
        String::from_utf8(mapper.answer(&asked(texts, time_ms), None, None).json.to_vec()).unwrap()
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
            let json = String::from_utf8(mapper.answer(&asked, None, None).json.to_vec()).unwrap();
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
            let object = mapper.answer(&asked, proven, claim).object();
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
            let mut mapper = mapper("[[rule]]\naccount = 'a'\nperson = 'Jane'\n");
            mapper.carriers.trust = trust;
            let object = mapper.answer(&asked(&[(Of::Account, "a")], 0), None, Some(&claim)).object();
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
        mapper.answer(&Asked::default(), None, None);
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
