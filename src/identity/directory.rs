//! All rules together, compiled: which of them applies to a row.
//!
//! A row asks the rules for its own account first, by a map, and the few others whose patterns its account fits, by one automaton for all of
//! them. The answer holds for as long as no rule begins or ends to be valid: that time is a part of it, so that it can be kept.

use std::collections::HashMap;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::grant::{Given, Grants};
use super::network::Address;
use super::pattern::Pattern;
use super::rule::{Asked, Of, Rule, When};
use crate::limits::IDENTITY_PATTERNS_BYTES_MAX;

/// The rules, in the order in which they are asked.
#[derive(Debug)]
pub struct Directory {
    rules: Vec<Rule>,
    /// By account, for rules that write theirs out.
    exact: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState>,
    /// The patterns of the others, and whose each is.
    patterns: RegexSet,
    of_pattern: Vec<usize>,
    /// Rules that ask for no account.
    of_any: Vec<usize>,
    /// By the number of [`Of`]: whether any rule asks for it.
    asks: [bool; Of::ALL.len()],
    asks_address: bool,
    is_timed: bool,
    /// Access that was given for a time.
    pub grants: Grants,
    /// A hash of all that was written, short.
    pub version: String,
}

/// What the rules say of a row.
#[derive(Debug, Clone, Copy)]
pub struct Found<'d> {
    /// The first that applies, or why none does.
    pub rule: Result<&'d Rule, Reason>,
    /// Whose access covers it.
    pub given: Given<'d>,
    /// The same holds from then on, in milliseconds since 1970,
    pub from_ms: u64,
    /// until just before then.
    pub to_ms: u64,
}

/// Why nobody is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The row is of no account.
    NoAccount,
    /// None is for this account.
    NoRule,
    /// One would apply at another time.
    NotValid,
    /// Those for this account ask for something else as well.
    NotMet,
    /// Several people had access to it at once.
    AmbiguousGrant,
    /// It came through a layer that has not told of its session, or not in this run.
    NoAccessEvent,
    /// The same, and what it tells of that time may not be read yet.
    AccessPending,
    /// The layer let several people in, and nobody can say which of them this is.
    AmbiguousAccess,
}

impl Reason {
    /// The record's word.
    pub fn word(self) -> &'static str {
        match self {
            Reason::NoAccount => "no_account",
            Reason::NoRule => "no_rule",
            Reason::NotValid => "not_valid",
            Reason::NotMet => "not_met",
            Reason::AmbiguousGrant => "ambiguous_grant",
            Reason::NoAccessEvent => "no_access_event",
            Reason::AccessPending => "access_pending",
            Reason::AmbiguousAccess => "ambiguous_access",
        }
    }

    /// The same for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Reason::NoAccount => "the row is of no account",
            Reason::NoRule => "no rule is for this account",
            Reason::NotValid => "a rule would apply at another time",
            Reason::NotMet => "the rules for this account ask for something else as well",
            Reason::AmbiguousGrant => "several people had access to this account at once",
            Reason::NoAccessEvent => "the access layer has not told whose session it is",
            Reason::AccessPending => "the access layer's log is not read so far",
            Reason::AmbiguousAccess => "the access layer let several people in at once",
        }
    }
}

/// A rule that was asked and does not apply.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'d> {
    /// Which.
    pub rule: &'d Rule,
    /// The condition that is not met: a key, `valid_from` or `valid_to`.
    pub unmet: &'static str,
}

impl Directory {
    /// Of rules that are in no one's way. `None` where their patterns are too large together.
    pub fn new(mut rules: Vec<Rule>, grants: Grants, version: String) -> Option<Self> {
        in_order(&mut rules);
        let mut exact: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState> = HashMap::default();
        let (mut texts, mut of_pattern, mut of_any) = (Vec::new(), Vec::new(), Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            let accounts = rule.when.accounts();
            if accounts.is_empty() {
                of_any.push(index);
            }
            for pattern in accounts {
                match pattern {
                    Pattern::Exact(account) => exact.entry(account.clone().into_bytes()).or_default().push(index),
                    Pattern::Glob(_) | Pattern::Regex(_) => {
                        texts.push(expression_of(pattern));
                        of_pattern.push(index);
                    }
                }
            }
        }
        let patterns = RegexSetBuilder::new(texts).size_limit(IDENTITY_PATTERNS_BYTES_MAX).build().ok()?;
        let by_rules = |of: Of| rules.iter().any(|rule| !rule.when.texts[of as usize].is_empty());
        let asks = Of::ALL.map(|of| by_rules(of) || grants.asks(of));
        let asks_address = rules.iter().any(|rule| !rule.when.addresses.is_empty()) || grants.asks_address();
        let has_time =
            |rule: &Rule| [rule.when.from_ms, rule.when.to_ms, rule.gives.expires_ms].iter().any(Option::is_some);
        let is_timed = rules.iter().any(has_time) || !grants.is_empty();
        Some(Directory { rules, exact, patterns, of_pattern, of_any, asks, asks_address, is_timed, grants, version })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.grants.is_empty()
    }

    /// Whether any rule asks for it.
    pub fn asks(&self, of: Of) -> bool {
        self.asks[of as usize]
    }

    /// Whether any rule asks for the client's address.
    pub fn asks_address(&self) -> bool {
        self.asks_address
    }

    /// Whether it matters when a row was written.
    pub fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// The first rule that applies, and whose access covers the row.
    pub fn find(&self, asked: &Asked<'_>) -> Found<'_> {
        let address = asked.address.and_then(Address::read);
        let (given, mut from_ms, mut to_ms) = self.grants.find(asked, address);
        let Some(account) = asked.text(Of::Account) else {
            return Found { rule: Err(Reason::NoAccount), given, from_ms, to_ms };
        };
        let mut reason = Reason::NoRule;
        for index in self.candidates(account) {
            let rule = &self.rules[index];
            if rule.when.unmet(asked, address).is_some() {
                let is_for_account = !rule.when.accounts().is_empty();
                if reason == Reason::NoRule && is_for_account {
                    reason = Reason::NotMet;
                }
                continue;
            }
            let until = [rule.when.from_ms, rule.when.to_ms, rule.gives.expires_ms];
            for turn in until.into_iter().flatten() {
                if turn <= asked.time_ms { from_ms = turn.max(from_ms) } else { to_ms = turn.min(to_ms) }
            }
            if untimely(&rule.when, asked.time_ms).is_none() {
                return Found { rule: Ok(rule), given, from_ms, to_ms };
            }
            reason = Reason::NotValid;
        }
        Found { rule: Err(reason), given, from_ms, to_ms }
    }

    /// The rules before the first that applies, of those for this account, and how many others there are.
    pub fn passed(&self, asked: &Asked<'_>) -> (Vec<Passed<'_>>, usize) {
        let address = asked.address.and_then(Address::read);
        let mut passed = Vec::new();
        let candidates = self.candidates(asked.text(Of::Account).unwrap_or_default());
        let others = self.rules.len() - candidates.len();
        for index in candidates {
            let rule = &self.rules[index];
            match rule.when.unmet(asked, address).or_else(|| untimely(&rule.when, asked.time_ms)) {
                Some(unmet) => passed.push(Passed { rule, unmet }),
                None => break,
            }
        }
        (passed, others)
    }

    /// The rules that do not ask for another account, in their order.
    fn candidates(&self, account: &[u8]) -> Vec<usize> {
        let mut all = self.exact.get(account).cloned().unwrap_or_default();
        all.extend(self.patterns.matches(account).into_iter().map(|pattern| self.of_pattern[pattern]));
        all.extend(&self.of_any);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The order in which rules are asked.
pub fn in_order(rules: &mut [Rule]) {
    rules.sort_by(|one, two| (one.priority, &one.place).cmp(&(two.priority, &two.place)));
}

/// Which end of its time a rule is outside of.
fn untimely(when: &When, time_ms: u64) -> Option<&'static str> {
    if when.from_ms.is_some_and(|from| time_ms < from) {
        return Some("valid_from");
    }
    when.to_ms.is_some_and(|to| time_ms >= to).then_some("valid_to")
}

/// The same as a regular expression over bytes.
fn expression_of(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => format!("^{}$", regex::escape(text)),
        Pattern::Glob(glob) => {
            let parts: Vec<String> = glob.split('*').map(regex::escape).collect();
            format!("^{}$", parts.join("(?s-u:.)*"))
        }
        Pattern::Regex(expression) => format!("^(?:{})$", expression.text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Loader;

    fn directory(rules: &str) -> Directory {
        Loader::of_text("d.toml", rules, "db1", &["pg"]).compiled().unwrap()
    }

    fn asked<'a>(account: &'a str, address: &'a str, time_ms: u64) -> Asked<'a> {
        let mut asked = Asked { address: Some(address.as_bytes()), time_ms, ..Asked::default() };
        asked.texts[Of::Account as usize] = Some(account.as_bytes());
        asked
    }

    const RULES: &str = "
        [[rule]]\nname = 'alice'\naccount = ['alice', 'alice_adm']\nperson = 'Alice'\n
        [[rule]]\nname = 'night'\naccount = 'app'\naddress = '10.9.0.0/16'\nperson = 'Bob'\npriority = 10\nvalid_from = 2026-01-02\nvalid_to = 2026-01-03\n
        [[rule]]\nname = 'app'\naccount = 'app'\naddress = '10.0.0.0/8'\nkind = 'service'\npriority = 20\n
        [[rule]]\nname = 'svc'\naccount = ['svc_*', '/batch\\d+/']\nkind = 'service'\n
        [[rule]]\nname = 'console'\naddress = 'local'\nteam = 'dba'\npriority = 200\n";

    const DAY: u64 = 86_400_000;
    /// 2026-01-01.
    const NEW_YEAR: u64 = 1_767_225_600_000;

    fn name(directory: &Directory, account: &str, address: &str, time_ms: u64) -> Result<String, Reason> {
        directory.find(&asked(account, address, time_ms)).rule.map(|rule| rule.name.clone())
    }

    #[test]
    fn the_first_rule_that_applies_is_found() {
        let directory = directory(RULES);
        for (account, address, found) in [
            ("alice", "10.1.1.1", Ok("alice")),
            ("alice_adm", "[local]", Ok("alice")),
            ("app", "10.9.1.1", Ok("night")),
            ("app", "10.1.1.1", Ok("app")),
            ("app", "11.1.1.1", Err(Reason::NotMet)),
            ("svc_x", "x.example", Ok("svc")),
            ("batch12", "10.1.1.1", Ok("svc")),
            ("batch", "10.1.1.1", Err(Reason::NoRule)),
            ("batch", "[local]", Ok("console")),
        ] {
            let found = found.map(str::to_owned);
            assert_eq!(name(&directory, account, address, NEW_YEAR + DAY + DAY / 2), found, "{account} {address}");
        }
        assert_eq!(directory.find(&Asked::default()).rule.map(|rule| &rule.name), Err(Reason::NoAccount));
    }

    #[test]
    fn an_answer_says_for_how_long_it_holds() {
        let directory = directory(RULES);
        let found = |time_ms| {
            let found = directory.find(&asked("app", "10.9.1.1", time_ms));
            (found.rule.map(|rule| rule.name.as_str()), found.from_ms, found.to_ms)
        };
        let (from, to) = (NEW_YEAR + DAY, NEW_YEAR + 3 * DAY);
        assert_eq!(found(NEW_YEAR), (Ok("app"), 0, from));
        assert_eq!(found(from), (Ok("night"), from, to));
        assert_eq!(found(to - 1), (Ok("night"), from, to));
        assert_eq!(found(to), (Ok("app"), to, u64::MAX));
        let found = directory.find(&asked("alice", "10.9.1.1", 0));
        assert_eq!((found.from_ms, found.to_ms), (0, u64::MAX));
    }

    #[test]
    fn a_rule_that_is_over_is_told_from_one_that_never_was() {
        let only = directory("[[rule]]\naccount = 'a'\nperson = 'A'\nvalid_to = 2026-01-01\n");
        assert_eq!(name(&only, "a", "", NEW_YEAR + DAY), Err(Reason::NotValid));
        assert_eq!(name(&only, "b", "", NEW_YEAR), Err(Reason::NoRule));
    }

    #[test]
    fn the_rules_that_were_passed_over_are_named_with_what_they_ask_for() {
        let directory = directory(RULES);
        let asked = asked("app", "10.9.1.1", NEW_YEAR);
        let (passed, others) = directory.passed(&asked);
        let passed: Vec<_> = passed.iter().map(|it| (it.rule.name.as_str(), it.unmet)).collect();
        assert_eq!((passed, others), (vec![("night", "valid_from")], 2));
    }

    proptest! {
        /// The map and the automaton find what asking every rule in its order finds.
        #[test]
        fn no_rule_is_missed(
            accounts in prop::collection::vec("[ab*]{1,3}", 1..8), account in "[ab]{0,3}", local: bool,
        ) {
            let rules: Vec<String> = accounts.iter().enumerate().map(|(priority, account)| {
                format!("[[rule]]\naccount = '{account}'\npriority = {priority}\nteam = 't'\n{}", if priority % 3 == 1 { "address = 'local'\n" } else { "" })
            }).collect();
            let entries = crate::identity::entry::read(std::path::Path::new("d.toml"), &rules.concat()).unwrap();
            let rules: Vec<Rule> = entries.iter().map(|entry| crate::identity::rule::rule(entry).unwrap()).collect();
            let asked = asked(&account, if local { "[local]" } else { "10.0.0.1" }, 0);
            let address = asked.address.and_then(Address::read);
            let expected = rules.iter().find(|rule| rule.when.unmet(&asked, address).is_none()).map(|rule| rule.priority);
            let directory = Directory::new(rules.clone(), Grants::default(), String::new()).unwrap();
            prop_assert_eq!(directory.find(&asked).rule.ok().map(|rule| rule.priority), expected);
        }
    }
}
