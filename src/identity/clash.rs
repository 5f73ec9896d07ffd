//! Rules that stand in each other's way: two of one priority that may apply to the same row, and rules that never apply.
//!
//! Of two rules it is asked whether some row may meet both, condition by condition; with a regular expression in it that is not always known, and
//! then it may. Rules for accounts that are written out, of which a directory has most, are only held against those for the same accounts.

use std::collections::HashMap;

use super::entry::Problem;
use super::pattern::Pattern;
use super::rule::{Of, Rule, When};

/// More are not told: whoever mends these sees the next.
const TOLD_MAX: usize = 50;

/// All that is wrong with these rules together. They stand in the order in which they are asked.
pub fn problems(rules: &[Rule], server: &str, sources: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut exact: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut general: Vec<usize> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        problems.extend(no_such_place(rule, server, sources));
        let accounts = exact_accounts(&rule.when);
        match &accounts {
            Some(accounts) => {
                let mut before: Vec<usize> =
                    accounts.iter().filter_map(|account| exact.get(account)).flatten().copied().collect();
                before.extend(&general);
                before.sort_unstable();
                before.dedup();
                problems.extend(in_the_way(rules, &before, rule));
                for account in accounts {
                    exact.entry(account).or_default().push(index);
                }
            }
            None => {
                let before: Vec<usize> = (0..index).collect();
                problems.extend(in_the_way(rules, &before, rule));
                general.push(index);
            }
        }
        if problems.len() >= TOLD_MAX {
            break;
        }
    }
    problems.truncate(TOLD_MAX);
    problems
}

/// `None` where some account is not written out.
fn exact_accounts(when: &When) -> Option<Vec<&str>> {
    if !when.has_exact_accounts() {
        return None;
    }
    let texts = when.accounts().iter().filter_map(|pattern| match pattern {
        Pattern::Exact(text) => Some(text.as_str()),
        Pattern::Glob(_) | Pattern::Regex(_) => None,
    });
    Some(texts.collect())
}

/// The first of the rules `before` that leaves this one no row, else the first of its priority that it may share one with.
fn in_the_way(rules: &[Rule], before: &[usize], rule: &Rule) -> Option<Problem> {
    let mut others = before.iter().map(|index| &rules[*index]);
    let covering = others.clone().find(|other| other.when.covers(&rule.when));
    if let Some(other) = covering.filter(|other| other.priority < rule.priority) {
        let message = format!("can never apply: rule {} in {} takes every row that it could", other.name, other.place);
        return Some(problem(rule, message, "give this one the lower priority, or take it out"));
    }
    let tied = others.find(|other| other.priority == rule.priority && other.when.meets(&rule.when))?;
    let message = format!(
        "may apply to the same row as rule {} in {}, and both have priority {}",
        tied.name, tied.place, rule.priority
    );
    Some(problem(rule, message, "give the one that is to be asked first a lower priority"))
}

/// Of a server or source that there is not.
fn no_such_place(rule: &Rule, server: &str, sources: &[&str]) -> Option<Problem> {
    let any = |of: Of, names: &[&str]| {
        let patterns = &rule.when.texts[of as usize];
        let fits = |name: &&str| patterns.iter().any(|pattern| pattern.fits(name.as_bytes()));
        patterns.is_empty() || names.iter().any(fits)
    };
    if !any(Of::Source, sources) {
        let message = format!("can never apply: no source of this agent is called so, but {}", sources.join(", "));
        return Some(Problem { key: Some("source".to_owned()), ..problem(rule, message, "name one of them") });
    }
    if !any(Of::Server, &[server]) {
        let message = format!("can never apply: this agent's name is {server}");
        return Some(Problem { key: Some("server".to_owned()), ..problem(rule, message, "see [agent] name") });
    }
    None
}

fn problem(rule: &Rule, message: String, hint: &str) -> Problem {
    Problem { place: rule.place.clone(), rule: Some(rule.name.clone()), key: None, message, hint: hint.to_owned() }
}

impl When {
    /// Whether some row may meet both.
    fn meets(&self, other: &When) -> bool {
        let texts = self.texts.iter().zip(&other.texts).all(|(one, two)| any_meet(one, two, Pattern::meets));
        let from = self.from_ms.max(other.from_ms).unwrap_or(0);
        let to = self.to_ms.unwrap_or(u64::MAX).min(other.to_ms.unwrap_or(u64::MAX));
        texts && from < to && any_meet(&self.addresses, &other.addresses, |one, two| one.meets(*two))
    }

    /// Whether every row that meets the other meets this one.
    fn covers(&self, other: &When) -> bool {
        let texts = self.texts.iter().zip(&other.texts).all(|(one, two)| all_covered(one, two, Pattern::covers));
        let from = self.from_ms.unwrap_or(0) <= other.from_ms.unwrap_or(0);
        let to = self.to_ms.unwrap_or(u64::MAX) >= other.to_ms.unwrap_or(u64::MAX);
        texts && from && to && all_covered(&self.addresses, &other.addresses, |one, two| one.covers(*two))
    }
}

fn any_meet<T>(one: &[T], two: &[T], meet: impl Fn(&T, &T) -> bool) -> bool {
    one.is_empty() || two.is_empty() || one.iter().any(|one| two.iter().any(|two| meet(one, two)))
}

fn all_covered<T>(one: &[T], two: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    one.is_empty() || (!two.is_empty() && two.iter().all(|two| one.iter().any(|one| covers(one, two))))
}

#[cfg(test)]
mod tests {
    use crate::identity::Loader;

    fn told(rules: &str) -> Vec<String> {
        let loader = Loader::of_text("d.toml", rules, "db1", &["pg", "maria"]);
        match loader.compiled() {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    fn rule(name: &str, rest: &str) -> String {
        format!("[[rule]]\nname = '{name}'\n{rest}\nteam = 't'\n")
    }

    #[test]
    fn two_of_one_priority_for_the_same_row_are_told_with_both_places() {
        let said = |two: &str| {
            format!("d.toml:5: rule b: may apply to the same row as rule a in d.toml:1, and both have priority {two}")
        };
        for (one, two) in [
            ("account = 'x'", "account = 'x'"),
            ("account = ['w', 'x']", "account = ['x', 'y']"),
            ("account = 'x*'", "account = 'xy'"),
            ("account = 'x*'", "account = '*y'"),
            ("account = '/a|b/'", "account = '/c/'"),
            ("account = 'x'", "address = '10.0.0.0/8'"),
            ("account = 'x'\naddress = '10.0.0.0/8'", "account = 'x'\naddress = '10.1.0.0/16'"),
            ("account = 'x'\nvalid_from = 2026-02-01", "account = 'x'\nvalid_to = 2026-02-01"),
        ] {
            let lines = 3 + one.lines().count();
            let said = said("100").replace("d.toml:5", &format!("d.toml:{}", lines + 1));
            assert_eq!(told(&(rule("a", one) + &rule("b", two))), [said], "{one} / {two}");
        }
    }

    #[test]
    fn rules_that_share_no_row_may_have_one_priority() {
        for (one, two) in [
            ("account = 'x'", "account = 'y'"),
            ("account = 'x*'", "account = 'y*'"),
            (r"account = '/svc_(\w+)/'", "account = 'adm_*'"),
            ("account = 'x'\naddress = '10.0.0.0/9'", "account = 'x'\naddress = ['10.128.0.0/9', 'local']"),
            ("account = 'x'\nvalid_to = 2026-01-31", "account = 'x'\nvalid_from = 2026-02-01"),
            ("account = 'x'\nsource = 'pg'", "account = 'x'\nsource = 'maria'"),
            ("account = 'x'\ndatabase = 'd'\npriority = 50", "account = 'x'"),
        ] {
            assert_eq!(told(&(rule("a", one) + &rule("b", two))), [""; 0], "{one} / {two}");
        }
    }

    #[test]
    fn a_rule_that_can_never_apply_is_told_with_what_is_before_it() {
        for (one, two) in [
            ("account = 'x*'", "account = 'xy'\npriority = 200"),
            ("account = '*'", "account = '/a.c/'\npriority = 200"),
            ("address = '10.0.0.0/8'", "account = 'x'\naddress = '10.1.0.0/16'\npriority = 200"),
            ("account = 'x'\nvalid_from = 2026-01-01", "account = 'x'\nvalid_from = 2026-02-01\npriority = 200"),
        ] {
            let all = rule("a", one) + &rule("b", two);
            let at = 4 + one.lines().count();
            let said =
                format!("d.toml:{at}: rule b: can never apply: rule a in d.toml:1 takes every row that it could");
            assert_eq!(told(&all), [said], "{one} / {two}");
        }
        assert_eq!(
            told(&(rule("a", "account = 'x'\ndatabase = 'd'") + &rule("b", "account = 'x'\npriority = 200"))),
            [""; 0]
        );
    }

    #[test]
    fn a_source_or_server_that_is_none_is_told() {
        assert_eq!(
            told(&rule("a", "source = 'my'")),
            ["d.toml:1: rule a source: can never apply: no source of this agent is called so, but pg, maria"]
        );
        assert_eq!(
            told(&rule("a", "server = 'db2'")),
            ["d.toml:1: rule a server: can never apply: this agent's name is db1"]
        );
        assert_eq!(told(&rule("a", "server = 'db*'\nsource = 'p*'")), [""; 0]);
    }
}
