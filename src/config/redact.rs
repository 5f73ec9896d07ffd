//! `[redact]`: what leaves a row beside the secrets that always do.
//!
//! What its words mean is [`crate::redact`]'s. Here a rule that can never hold is found, and a source that there is none of.

use regex::bytes::RegexBuilder;

use super::fields::{names, personal_names, secret_arguments, secret_names};
use super::section::{At, Section, Span};
use super::text::Context;
use super::{bounds, keys, nearest};
use crate::redact::Redact;
use crate::redact::literals::Treatment;
use crate::redact::personal::{Detector, Detectors, Pattern};
use crate::redact::policy::{Policy, Rule, Table, Treatments};
use crate::shape::Category;
use crate::shape::classify::fits;

/// `[redact]`.
#[derive(Default)]
pub(super) struct RedactTable {
    redact: Redact,
    /// Where each rule begins; `None` of one that is wrong: what it fits is not known.
    spans: Vec<Option<Span>>,
}

pub(super) fn redact(mut section: Section<'_, '_>) -> RedactTable {
    let literals = treatment(&mut section, "literals").unwrap_or_default();
    let parameters = treatment(&mut section, "parameters").unwrap_or(literals);
    let (rules, spans) = rules(&mut section).into_iter().unzip();
    let redact = Redact {
        secret_names: secret_names(&mut section),
        secret_arguments: secret_arguments(&mut section),
        policy: Policy { rules, otherwise: Treatments { literals, parameters } },
        detectors: Detectors { kinds: detectors(&mut section), patterns: patterns(&mut section) },
        personal_names: personal_names(&mut section),
    };
    section.end("");
    RedactTable { redact, spans }
}

/// What is meant; `sources` are all there are.
pub(super) fn plan(context: &Context<'_>, table: RedactTable, sources: &[String]) -> Redact {
    let rules = &table.redact.policy.rules;
    for (index, (rule, span)) in rules.iter().zip(&table.spans).enumerate() {
        let Some(span) = span else { continue };
        let unknown =
            rule.sources.iter().find(|name| !sources.iter().any(|source| fits(name.as_bytes(), source.as_bytes())));
        if let Some(name) = unknown {
            let hint = nearest::hint(name, sources.iter().map(String::as_str));
            let message = format!("no source is called {name:?}");
            context.wrong(span.clone(), keys::REDACT_RULE_TITLE, Some("sources"), message, Some(hint));
        }
        let before =
            rules[..index].iter().zip(&table.spans).filter_map(|(before, span)| Some((before, span.as_ref()?)));
        if let Some((_, before)) = before.into_iter().find(|(before, _)| holds_wherever(before, rule)) {
            let line = context.line(before.start);
            let hint = format!("the first rule that fits holds: put it before the one in line {line}, or leave it out");
            context.wrong(span.clone(), keys::REDACT_RULE_TITLE, None, "can never hold", Some(hint));
        }
    }
    table.redact
}

/// Whether a rule fits whatever another one fits. In doubt about tables the two may answer differently, so that they must be without or the same.
fn holds_wherever(before: &Rule, rule: &Rule) -> bool {
    let has_all = |before: &[String], these: &[String]| {
        before.is_empty() || !these.is_empty() && these.iter().all(|one| before.contains(one))
    };
    let categories = |before: &[Category], these: &[Category]| {
        before.is_empty() || !these.is_empty() && these.iter().all(|one| before.contains(one))
    };
    let is_same_kind = before.treatments.keep() == rule.treatments.keep();
    has_all(&before.sources, &rule.sources)
        && categories(&before.categories, &rule.categories)
        && (before.tables.is_empty() || before.tables == rule.tables && is_same_kind)
}

fn treatment(section: &mut Section<'_, '_>, key: &str) -> Option<Treatment> {
    section.choice(key, &Treatment::ALL, &[]).map(|treatment| treatment.value)
}

fn rules(section: &mut Section<'_, '_>) -> Vec<(Rule, Option<Span>)> {
    let tables = section.tables("rule", keys::REDACT_RULE_TITLE, "redact.rule", keys::REDACT_RULE);
    if let Some(beyond) = tables.get(bounds::NAMES_MAX) {
        let hint = Some(format!("at most {}", bounds::NAMES_MAX));
        section.wrong(beyond.span(), Some("rule"), format!("{} rules", tables.len()), hint);
        return Vec::new();
    }
    tables.into_iter().map(rule).collect()
}

fn rule(mut section: Section<'_, '_>) -> (Rule, Option<Span>) {
    section.require("literals", "literals = \"keep\", \"mask\" or \"hash\"");
    let sources = names(&mut section, "sources").unwrap_or_default();
    let categories = words(&mut section, "categories", &Category::ALL.map(|category| (category.name(), category)));
    let tables = tables(&mut section);
    let literals = treatment(&mut section, "literals").unwrap_or_default();
    let parameters = treatment(&mut section, "parameters").unwrap_or(literals);
    let is_torn = section.has("sources") && sources.is_empty()
        || section.has("categories") && categories.is_empty()
        || section.has("tables") && tables.is_empty();
    let span = (!is_torn).then(|| section.span());
    section.end("");
    (Rule { sources, categories, tables, treatments: Treatments { literals, parameters } }, span)
}

fn tables(section: &mut Section<'_, '_>) -> Vec<Table> {
    let Some(list) = section.list("tables") else { return Vec::new() };
    let mut tables = Vec::new();
    for text in list.value {
        match Table::new(&text.value.value) {
            Some(table) => tables.push(table),
            None => {
                let hint = "a table with the schema that it is in: \"hr.pay\", \"hr.*\"".to_owned();
                let message = format!("{:?} cannot be a table's name", text.value.written);
                section.wrong(text.span, Some("tables"), message, Some(hint));
            }
        }
    }
    tables
}

fn detectors(section: &mut Section<'_, '_>) -> Vec<Detector> {
    words(section, "detectors", &Detector::ALL.map(|detector| (detector.name(), detector)))
}

/// A list of such words, each once.
fn words<T: Copy + PartialEq>(section: &mut Section<'_, '_>, key: &str, choices: &[(&str, T)]) -> Vec<T> {
    let Some(list) = section.list(key) else { return Vec::new() };
    let mut all = Vec::new();
    for text in list.value {
        let word = text.value.value.as_str();
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, value)) if all.contains(value) => {
                section.wrong(text.span, Some(key), format!("{word:?} is there already"), Some("keep one".to_owned()));
            }
            Some((_, value)) => all.push(*value),
            None => {
                let hint = nearest::hint(word, choices.iter().map(|(name, _)| *name));
                let message = format!("{:?} is none of the valid values", text.value.written);
                section.wrong(text.span, Some(key), message, Some(hint));
            }
        }
    }
    all
}

fn patterns(section: &mut Section<'_, '_>) -> Vec<Pattern> {
    const KEY: &str = "patterns";
    let Some(strings) = section.strings(KEY) else { return Vec::new() };
    let mut patterns = Vec::new();
    for (name, text) in strings {
        if let Some(pattern) = pattern(section, &name, &text.value.value, text.span) {
            patterns.push(pattern);
        }
    }
    if patterns.len() > crate::redact::Rules::PATTERNS_MAX {
        let hint = format!("at most {}", crate::redact::Rules::PATTERNS_MAX);
        section.wrong(section.span(), Some(KEY), format!("{} patterns", patterns.len()), Some(hint));
        return Vec::new();
    }
    patterns
}

fn pattern(section: &Section<'_, '_>, name: &At<String>, expression: &str, span: Span) -> Option<Pattern> {
    const KEY: &str = "patterns";
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= bounds::NAME_MAX_BYTES
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
    };
    if !is_name(&name.value) {
        let hint = "small letters, digits, _ and -: records call it so".to_owned();
        section.wrong(name.span.clone(), Some(KEY), format!("{:?} cannot be a pattern's name", name.value), Some(hint));
        return None;
    }
    let wrong = match RegexBuilder::new(expression).size_limit(bounds::PATTERN_BYTES_MAX).build() {
        Ok(regex) if regex.is_match(b"") => {
            (format!("{expression:?} fits nothing at all as well"), "write what must stand there at least".to_owned())
        }
        Ok(regex) => return Some(Pattern { label: format!("{}{}", Pattern::LABEL, name.value), regex }),
        Err(error) => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            (format!("{expression:?} is no regular expression"), last)
        }
    };
    section.wrong(span, Some(KEY), wrong.0, Some(wrong.1));
    None
}
