//! Which lines of a batch a destination takes.
//!
//! Events by what its `only` says. The agent's own lines are about the trail itself, gaps among them, and go to everyone; so do the lines that prove the
//! others, `SEAL` and `CHECKPOINT`, unless they were switched off. Nothing is sampled, and what is left out is counted.

use crate::config::plan::{Choice, Only};
use crate::shape::classify::fits as name_fits;
use crate::sink::Lines;
use crate::sink::line::Head;

/// The lines of a batch that were chosen.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    ndjson: Vec<u8>,
    numbers: Vec<u64>,
}

impl Chosen {
    /// Adds a line, with its newline.
    pub(super) fn push(&mut self, number: u64, line: &[u8]) {
        self.ndjson.extend_from_slice(line);
        self.numbers.push(number);
    }

    /// They speak for all lines of `of`.
    pub(super) fn as_lines<'a>(&'a self, of: &Lines<'a>) -> Lines<'a> {
        Lines { ndjson: &self.ndjson, numbers: Some(&self.numbers), ..*of }
    }
}

/// Whether every line is taken, so that none has to be looked at.
pub(super) fn takes_all(choice: &Choice) -> bool {
    choice.only == Only::default() && !choice.without_checkpoints
}

/// The lines that are taken.
pub(super) fn choose(choice: &Choice, lines: &Lines<'_>) -> Chosen {
    let mut chosen = Chosen::default();
    for (number, line) in lines.iter() {
        if takes(choice, &Head::of(line)) {
            chosen.push(number, line);
        }
    }
    chosen
}

/// Whether this line is taken.
pub(super) fn takes(choice: &Choice, head: &Head<'_>) -> bool {
    match head.kind.as_ref() {
        "event" => fits(&choice.only, head),
        "checkpoint" => !choice.without_checkpoints,
        _ => !(choice.without_checkpoints && head.action == "SEAL"),
    }
}

fn fits(only: &Only, head: &Head<'_>) -> bool {
    let is_one = |words: &[String], word: &str| words.is_empty() || words.iter().any(|one| one == word);
    let is_named = |patterns: &[String], name: &str| {
        patterns.is_empty() || patterns.iter().any(|pattern| name_fits(pattern.as_bytes(), name.as_bytes()))
    };
    is_one(&only.categories, &head.category)
        && is_one(&only.outcomes, &head.outcome)
        && only.admin.is_none_or(|admin| admin == head.admin)
        && is_named(&only.sources, &head.source)
        && is_named(&only.databases, &head.database)
        && is_named(&only.users, &head.user)
        && is_named(&only.people, &head.person)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = br#"{"type":"event","category":"data_read","admin":false,"user":"app_ro","outcome":"success"}
{"type":"event","category":"permission_change","admin":true,"user":"dba","person":"Ann","outcome":"failure"}
{"type":"agent","action":"GAP"}
{"type":"agent","action":"SEAL"}
{"type":"checkpoint"}
"#;

    fn numbers(only: Only, without_checkpoints: bool) -> Vec<u64> {
        let choice = Choice { only, without_checkpoints, ..Choice::default() };
        let lines = Lines { origin: "o", first: 10, last: 14, ndjson: LINES, numbers: None };
        choose(&choice, &lines).numbers
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn events_are_chosen_by_each_field_and_the_lines_of_the_agent_always() {
        let default = Only::default;
        assert_eq!(numbers(default(), false), [10, 11, 12, 13, 14]);
        assert_eq!(numbers(Only { admin: Some(true), ..default() }, false), [11, 12, 13, 14]);
        assert_eq!(
            numbers(Only { categories: list(&["data_read", "operation"]), ..default() }, false),
            [10, 12, 13, 14]
        );
        assert_eq!(numbers(Only { users: list(&["app_*"]), ..default() }, false), [10, 12, 13, 14]);
        assert_eq!(numbers(Only { people: list(&["*"]), ..default() }, false), [10, 11, 12, 13, 14]);
        assert_eq!(numbers(Only { people: list(&["A*"]), ..default() }, false), [11, 12, 13, 14]);
        assert_eq!(
            numbers(Only { outcomes: list(&["failure"]), sources: list(&["x"]), ..default() }, false),
            [12, 13, 14]
        );
    }

    #[test]
    fn without_checkpoints_the_seals_go_too_and_gaps_stay() {
        assert_eq!(numbers(Only::default(), true), [10, 11, 12]);
    }

    #[test]
    fn what_is_chosen_keeps_its_numbers_and_its_bytes() {
        let lines = Lines { origin: "o", first: 10, last: 14, ndjson: LINES, numbers: None };
        let choice = Choice { without_checkpoints: true, ..Choice::default() };
        let chosen = choose(&choice, &lines);
        let chosen = chosen.as_lines(&lines);
        assert_eq!((chosen.first, chosen.last, chosen.count()), (10, 14, 3));
        assert!(LINES.starts_with(chosen.ndjson));
    }
}
