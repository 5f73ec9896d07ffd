//! `[identity]`: files of rules, and rules of the configuration's own.
//!
//! What a key of a rule means is said by [`crate::identity::rule`], for all forms in which rules are written. The files are read here, so that `check`
//! tells what is wrong in them, and `run` does not start with a directory that is not whole.

use std::path::PathBuf;
use std::sync::Arc;

use toml::de::DeValue;

use super::fields::names;
use super::plan::IdentityPlan;
use super::section::{At, Section, Span};
use super::substitution;
use super::text::Context;
use super::{bounds, keys, nearest};
use crate::identity::entry::{self, Entry, Problem};
use crate::identity::pattern::Pattern;
use crate::identity::{Carrier, Carriers, Loader};
use crate::shape::claims::Variables;

/// `[identity]`.
#[derive(Default)]
pub(super) struct IdentityTable {
    pub files: Vec<At<PathBuf>>,
    pub rules: Vec<Entry>,
    pub carriers: Carriers,
    /// Some file or rule could not be taken: what they say together is not known.
    pub is_torn: bool,
}

pub(super) fn identity(mut section: Section<'_, '_>) -> IdentityTable {
    let mut table = IdentityTable::default();
    if let Some(files) = section.list("files") {
        if files.value.len() > bounds::IDENTITY_FILES_MAX {
            let message = format!("{} files", files.value.len());
            let hint = format!("at most {}", bounds::IDENTITY_FILES_MAX);
            section.wrong(files.span, Some("files"), message, Some(hint));
            table.is_torn = true;
        }
        for text in files.value {
            match section.as_absolute("files", text) {
                Some(path) => table.files.push(path),
                None => table.is_torn = true,
            }
        }
    }
    rules(&mut section, &mut table);
    table.carriers = carriers(&mut section);
    section.end("");
    table
}

fn carriers(section: &mut Section<'_, '_>) -> Carriers {
    let lower = |names: Option<Vec<String>>| -> Vec<String> {
        names.unwrap_or_default().iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let lasts = [("session", false), ("transaction", true)];
    Carriers {
        variables: Variables {
            names: lower(names(section, "variables")),
            end_with_transaction: section.choice("variables_last", &lasts, &[]).is_some_and(|last| last.value),
        },
        comment_keys: lower(names(section, "comment_keys")),
        applications: applications(section),
        trust: trust(section),
    }
}

/// Each has a group, which is who it was.
fn applications(section: &mut Section<'_, '_>) -> Vec<Pattern> {
    let Some(list) = section.list("applications") else { return Vec::new() };
    let mut patterns = Vec::new();
    for text in list.value {
        let wrong = match Pattern::read(&text.value.value) {
            Ok(Pattern::Regex(expression)) if expression.regex.captures_len() > 1 => {
                patterns.push(Pattern::Regex(expression));
                continue;
            }
            Ok(_) => (
                format!("{:?} does not say which part is the person", text.value.written),
                r"a regular expression between slashes with a group: '/shop:(\w+)/'".to_owned(),
            ),
            Err(wrong) => wrong,
        };
        section.wrong(text.span, Some("applications"), wrong.0, Some(wrong.1));
    }
    patterns
}

fn trust(section: &mut Section<'_, '_>) -> Vec<Carrier> {
    let Some(list) = section.list("trust") else { return Carrier::ALL.to_vec() };
    let mut trust = Vec::new();
    for text in list.value {
        let word = text.value.value.as_str();
        match Carrier::ALL.into_iter().find(|carrier| carrier.name() == word) {
            Some(carrier) if trust.contains(&carrier) => {
                section.wrong(
                    text.span,
                    Some("trust"),
                    format!("{word:?} is there already"),
                    Some("keep one".to_owned()),
                );
            }
            Some(carrier) => trust.push(carrier),
            None => {
                let message = format!("{:?} is none of the valid values", text.value.written);
                let hint = nearest::hint(word, Carrier::ALL.map(Carrier::name));
                section.wrong(text.span, Some("trust"), message, Some(hint));
            }
        }
    }
    trust
}

fn rules(section: &mut Section<'_, '_>, table: &mut IdentityTable) {
    let Some((span, value)) = section.take("rule") else { return };
    let hint = || Some("write [[identity.rule]], once for each".to_owned());
    let DeValue::Array(items) = value.into_inner() else {
        section.wrong(span, Some("rule"), "is a list of tables", hint());
        table.is_torn = true;
        return;
    };
    let context = section.context();
    let file: Arc<str> = context.name().into();
    for item in items {
        let at = item.span();
        let entry = match item.get_ref() {
            DeValue::Table(rule) => entry::of_table(&file, context.line(at.start), rule, &|byte| context.line(byte))
                .map_err(|problem| said(context, &problem)),
            _ => {
                section.wrong(at, Some("rule"), "must be a table", hint());
                Err(())
            }
        };
        match entry.and_then(|entry| filled(context, entry)) {
            Ok(entry) => table.rules.push(entry),
            Err(()) => table.is_torn = true,
        }
    }
}

/// With every variable replaced.
fn filled(context: &Context<'_>, mut entry: Entry) -> Result<Entry, ()> {
    let mut is_whole = true;
    for field in &mut entry.fields {
        for text in &mut field.texts {
            match substitution::fill(text, context.surroundings.env) {
                Ok(filled) => *text = filled.value,
                Err(wrong) => {
                    is_whole = false;
                    for (message, hint) in wrong {
                        let span = context.start_of_line(field.line);
                        context.wrong(span, keys::IDENTITY_RULE_TITLE, Some(&field.key), message, Some(hint));
                    }
                }
            }
        }
    }
    if is_whole { Ok(entry) } else { Err(()) }
}

/// The directory, or `None` where there is none or something is wrong with it.
pub(super) fn plan(
    context: &Context<'_>,
    table: IdentityTable,
    server: &str,
    sources: Vec<String>,
) -> Option<IdentityPlan> {
    if table.files.is_empty() && table.rules.is_empty() && table.carriers.is_empty() {
        return None;
    }
    let (paths, spans): (Vec<PathBuf>, Vec<Span>) = table.files.into_iter().map(|at| (at.value, at.span)).unzip();
    let loader = Loader { files: paths, inline: table.rules, server: server.to_owned(), sources };
    match loader.load() {
        Ok(loaded) => Some(IdentityPlan { loader, loaded, carriers: table.carriers }).filter(|_| !table.is_torn),
        Err(problems) => {
            for problem in problems {
                let of_file = loader.files.iter().position(|path| *path.display().to_string() == *problem.place.file);
                match of_file {
                    Some(index) => {
                        let span = spans[index].clone();
                        context.wrong(span, "[identity]", Some("files"), &problem, Some(problem.hint.clone()));
                    }
                    None => said(context, &problem),
                }
            }
            None
        }
    }
}

/// Of a rule of the configuration's own.
fn said(context: &Context<'_>, problem: &Problem) {
    let title = match &problem.rule {
        Some(rule) => format!("{} {rule}", keys::IDENTITY_RULE_TITLE),
        None => keys::IDENTITY_RULE_TITLE.to_owned(),
    };
    let span = context.start_of_line(problem.place.line);
    context.wrong(span, &title, problem.key.as_deref(), &problem.message, Some(problem.hint.clone()));
}
