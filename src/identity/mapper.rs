//! Asks the directory for each row, and keeps the answers.
//!
//! Rows of one session ask the same again and again. What is asked is put together as a key, and the answer is kept as the bytes that stand in the line,
//! so that most rows cost a hash, a comparison and a copy, and no allocation. A new directory forgets all answers.

use std::hash::BuildHasher;
use std::sync::Arc;

use serde_json::Value;

use super::directory::{Directory, Found};
use super::rule::{Asked, Kind, Of, Rule};
use super::unmapped::Unmapped;
use crate::clock;
use crate::json;
use crate::limits::{IDENTITY_ANSWERS, IDENTITY_KEY_BYTES_MAX};

/// One for all sources: their names are a part of what is asked where a rule asks for them.
#[derive(Debug)]
pub struct Mapper {
    directory: Arc<Directory>,
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
pub struct Answer {
    /// `,"person":…,"identity":{…}`: a part of the row's line.
    pub json: Vec<u8>,
    /// The account is one for emergencies.
    pub is_break_glass: bool,
    /// Somebody or something is found.
    pub is_found: bool,
}

impl Answer {
    /// The same as an object: for whoever shows it.
    pub fn object(&self) -> Value {
        let inner = self.json.strip_prefix(b",").unwrap_or_default();
        // What is written here is JSON; were it none, there would be nothing to show.
        serde_json::from_slice(&[b"{", inner, b"}"].concat()).unwrap_or_default()
    }
}

impl Mapper {
    /// Of a directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Mapper {
            directory,
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

    /// What the directory says of a row; counts it.
    pub fn find(&mut self, asked: &Asked<'_>) -> &Answer {
        self.key(asked);
        let at = (self.hasher.hash_one(self.key.as_slice()) as usize) % IDENTITY_ANSWERS;
        let may_keep = self.key.len() <= IDENTITY_KEY_BYTES_MAX;
        let slot = if may_keep { &mut self.slots[at] } else { &mut self.alone };
        let is_known = slot.key == self.key && (slot.from_ms..slot.to_ms).contains(&asked.time_ms);
        if !is_known {
            slot.count(&mut self.unmapped);
            slot.fill(&self.key, &self.directory, asked);
        }
        slot.rows += u64::from(!slot.account.is_empty());
        self.mapped += u64::from(slot.answer.is_found);
        &slot.answer
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
        write(&mut self.answer.json, &found, asked, &directory.version);
        self.answer.is_found = found.rule.is_ok();
        self.answer.is_break_glass = found.rule.is_ok_and(|rule| rule.gives.kind == Some(Kind::BreakGlass));
    }

    fn count(&mut self, unmapped: &mut Unmapped) {
        if self.rows > 0 {
            unmapped.add(&self.account, self.rows);
            self.rows = 0;
        }
    }
}

/// Writes the part of a line that tells who it was.
fn write(out: &mut Vec<u8>, found: &Found<'_>, asked: &Asked<'_>, version: &str) {
    match found.rule {
        Ok(rule) => write_found(out, rule, asked),
        Err(reason) => {
            out.extend_from_slice(b",\"identity\":{\"reason\":\"");
            out.extend_from_slice(reason.word().as_bytes());
            out.push(b'"');
        }
    }
    text(out, "directory", version.as_bytes());
    out.push(b'}');
}

fn write_found(out: &mut Vec<u8>, rule: &Rule, asked: &Asked<'_>) {
    let gives = &rule.gives;
    let given = |template: &Option<super::rule::Template>| {
        template.as_ref().map(|it| it.fill(&rule.when, asked)).filter(|text| !text.is_empty())
    };
    if let Some(person) = given(&gives.person) {
        text(out, "person", &person);
    }
    out.extend_from_slice(b",\"identity\":{\"rule\":");
    json::string(out, rule.name.as_bytes());
    text(out, "trust", trust(rule, asked).as_bytes());
    text(out, "evidence", rule.place.to_string().as_bytes());
    if let Some(kind) = gives.kind {
        text(out, "kind", kind.name().as_bytes());
    }
    for (name, template) in
        [("email", &gives.email), ("team", &gives.team), ("ticket", &gives.ticket), ("approved_by", &gives.approved_by)]
    {
        if let Some(given) = given(template) {
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
        Mapper::new(Arc::new(directory))
    }

    fn asked<'a>(texts: &[(Of, &'a str)], time_ms: u64) -> Asked<'a> {
        let mut asked = Asked { time_ms, ..Asked::default() };
        texts.iter().for_each(|(of, text)| asked.texts[*of as usize] = Some(text.as_bytes()));
        asked
    }

    fn json(mapper: &mut Mapper, texts: &[(Of, &str)], time_ms: u64) -> String {
        String::from_utf8(mapper.find(&asked(texts, time_ms)).json.clone()).unwrap()
    }

    #[test]
    fn a_line_says_who_it_was_and_how_that_is_known() {
        let mut mapper = mapper(
            "[[rule]]\nname = 'r'\naccount = '/svc_([^x]*)/'\nperson = 'P \"{1}\"'\nemail = 'p@x'\nkind = 'human'\nticket = 'C-1'\n\
             approved_by = 'B'\nexpires = 1970-01-01\nvalid_to = 1970-01-03\n",
        );
        let rest = "\"evidence\":\"d.toml:1\",\"kind\":\"human\",\"email\":\"p@x\",\"ticket\":\"C-1\",\"approved_by\":\"B\",\
                    \"valid_to\":\"1970-01-04T00:00:00.000Z\",\"expires\":\"1970-01-02T00:00:00.000Z\"";
        let account = [(Of::Account, "svc_\n")];
        let start = ",\"person\":\"P \\\"\\n\\\"\",\"identity\":{\"rule\":\"r\",\"trust\":\"mapped\",";
        assert_eq!(json(&mut mapper, &account, 5), format!("{start}{rest},\"directory\":\"v\"}}"));
        assert_eq!(
            json(&mut mapper, &account, 86_400_000),
            format!("{start}{rest},\"expired\":true,\"directory\":\"v\"}}"),
            "an answer holds until something expires"
        );
        assert_eq!(
            json(&mut mapper, &account, 3 * 86_400_000),
            ",\"identity\":{\"reason\":\"not_valid\",\"directory\":\"v\"}"
        );
        assert_eq!(json(&mut mapper, &account, 5), format!("{start}{rest},\"directory\":\"v\"}}"));
    }

    #[test]
    fn what_the_client_says_is_asserted_and_what_the_server_proved_is_verified() {
        let mut mapper = mapper(
            "[[rule]]\naccount = 'a'\napplication = 'psql'\nteam = 't'\npriority = 2\n[[rule]]\naccount = 'a'\nauthentication = 'CN=a'\n\
             team = 't'\npriority = 1\n[[rule]]\naccount = 'a'\nteam = 't'\npriority = 3\n",
        );
        let mut trust = |texts: &[(Of, &str)], is_claimed| {
            let asked = Asked { is_claimed, ..asked(texts, 0) };
            let json = String::from_utf8(mapper.find(&asked).json.clone()).unwrap();
            json.split("\"trust\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        assert_eq!(trust(&[(Of::Account, "a")], false), "mapped");
        assert_eq!(trust(&[(Of::Account, "a")], true), "asserted", "nobody was let in");
        assert_eq!(trust(&[(Of::Account, "a"), (Of::Application, "psql")], false), "asserted");
        assert_eq!(trust(&[(Of::Account, "a"), (Of::Authentication, "CN=a")], false), "verified");
        assert_eq!(trust(&[(Of::Account, "a")], false), "mapped");
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
        mapper.find(&Asked::default());
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
