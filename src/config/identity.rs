//! `[identity]`: files of rules, and rules of the configuration's own.
//!
//! What a key of a rule means is said by [`crate::identity::rule`], for all forms in which rules are written. The files are read here, so that `check`
//! tells what is wrong in them, and `run` does not start with a directory that is not whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::Format;
use toml::de::DeValue;

use super::fields::names;
use super::format_name::FormatName;
use super::plan::IdentityPlan;
use super::section::{At, Section, Span};
use super::substitution::{self, Text};
use super::text::Context;
use super::{bounds, keys, nearest};
use crate::identity::access::Layer;
use crate::identity::entry::{self, Entry, Problem};
use crate::identity::grant;
use crate::identity::network::Network;
use crate::identity::pattern::Pattern;
use crate::identity::{Carrier, Carriers, Loader};
use crate::shape::claims::Variables;

/// `[identity]`.
#[derive(Default)]
pub(super) struct IdentityTable {
    pub files: Vec<At<PathBuf>>,
    pub grants: Vec<At<PathBuf>>,
    pub columns: Vec<(String, Option<String>)>,
    pub rules: Vec<Entry>,
    pub carriers: Carriers,
    pub layers: Vec<LayerTable>,
    /// Some file or rule could not be taken: what they say together is not known.
    pub is_torn: bool,
}

/// `[[identity.access]]`.
pub(super) struct LayerTable {
    title: String,
    source: Option<At<String>>,
    sources: Option<Vec<At<String>>>,
    addresses: Vec<Network>,
    services: Vec<Pattern>,
    within: Duration,
}

pub(super) fn identity(mut section: Section<'_, '_>) -> IdentityTable {
    let mut table = IdentityTable::default();
    table.files = files(&mut section, "files", &mut table.is_torn);
    table.grants = files(&mut section, "grants", &mut table.is_torn);
    table.columns = columns(&mut section);
    rules(&mut section, &mut table);
    table.carriers = carriers(&mut section);
    table.layers = layers(&mut section);
    section.end("");
    table
}

fn files(section: &mut Section<'_, '_>, key: &str, is_torn: &mut bool) -> Vec<At<PathBuf>> {
    let Some(list) = section.list(key) else { return Vec::new() };
    if list.value.len() > bounds::IDENTITY_FILES_MAX {
        let hint = format!("at most {}", bounds::IDENTITY_FILES_MAX);
        section.wrong(list.span, Some(key), format!("{} files", list.value.len()), Some(hint));
        *is_torn = true;
    }
    let mut files = Vec::new();
    for text in list.value {
        match section.as_absolute(key, text) {
            Some(path) => files.push(path),
            None => *is_torn = true,
        }
    }
    files
}

/// What the columns of grants mean that are not called so; `""` is nothing.
fn columns(section: &mut Section<'_, '_>) -> Vec<(String, Option<String>)> {
    let mut columns = Vec::new();
    for (name, text) in section.strings("grants_columns").unwrap_or_default() {
        let meaning = text.value.value;
        if !meaning.is_empty() && !grant::meanings().any(|known| known == meaning) {
            let message = format!("{:?} is nothing that a column may mean", text.value.written);
            let hint =
                format!("{}; or \"\" for nothing", nearest::hint(&meaning, grant::meanings().collect::<Vec<_>>()));
            section.wrong(text.span, Some("grants_columns"), message, Some(hint));
            continue;
        }
        columns.push((name.value, Some(meaning).filter(|meaning| !meaning.is_empty())));
    }
    columns
}

fn carriers(section: &mut Section<'_, '_>) -> Carriers {
    let lower = |names: Option<Vec<String>>| -> Vec<String> {
        names.unwrap_or_default().iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let lasts = [("session", false), ("transaction", true)];
    let (client_identifier, variables): (Vec<String>, Vec<String>) =
        lower(names(section, "variables")).into_iter().partition(|name| name == CLIENT_IDENTIFIER);
    let end_with_transaction = section.choice("variables_last", &lasts, &[]).is_some_and(|last| last.value);
    Carriers {
        client_identifier: !client_identifier.is_empty(),
        variables: Variables {
            names: variables,
            attributes: names(section, "connection_attributes").unwrap_or_default(),
            end_with_transaction,
        },
        comment_keys: lower(names(section, "comment_keys")),
        applications: applications(section),
        trust: trust(section, end_with_transaction),
        layers: Vec::new(),
    }
}

fn layers(section: &mut Section<'_, '_>) -> Vec<LayerTable> {
    let tables = section.tables("access", keys::IDENTITY_ACCESS_TITLE, "identity.access", keys::IDENTITY_ACCESS);
    tables.into_iter().map(layer).collect()
}

fn layer(mut section: Section<'_, '_>) -> LayerTable {
    section.require("source", "source = \"teleport\": the [[source]] that has its log");
    section.require("address", "address = [\"10.0.5.7\"]: where its connections come from, as the database sees it");
    section.require("service", "service = [\"orders\"]: what it calls this database (db_service)");
    let source = section.text("source").map(|text| At { value: text.value.value, span: text.span });
    if let Some(source) = &source {
        section.entitle(&source.value);
    }
    let names = |texts: At<Vec<At<Text>>>| {
        texts.value.into_iter().map(|text| At { value: text.value.value, span: text.span }).collect()
    };
    let table = LayerTable {
        title: section.title().to_owned(),
        source,
        sources: section.list("sources").map(names),
        addresses: each(&mut section, "address", Network::read),
        services: each(&mut section, "service", Pattern::read),
        within: section
            .duration("within", bounds::ACCESS_WITHIN)
            .map_or(bounds::ACCESS_WITHIN.default, |within| within.value),
    };
    section.end("");
    table
}

fn each<T>(section: &mut Section<'_, '_>, key: &str, read: impl Fn(&str) -> Result<T, (String, String)>) -> Vec<T> {
    let Some(list) = section.list(key) else { return Vec::new() };
    if list.value.is_empty() {
        section.wrong(list.span, Some(key), "is an empty list, which nothing meets", None);
    }
    let mut all = Vec::new();
    for text in list.value {
        match read(&text.value.value) {
            Ok(one) => all.push(one),
            Err((message, hint)) => section.wrong(text.span, Some(key), message, Some(hint)),
        }
    }
    all
}

/// The layers, of sources that there are.
fn known_layers(
    context: &Context<'_>,
    tables: Vec<LayerTable>,
    sources: &[(String, Option<FormatName>)],
) -> Vec<Layer> {
    let names = || sources.iter().map(|(name, _)| name.as_str());
    let mut layers = Vec::new();
    for table in tables {
        let Some(own) = table.source else { continue };
        let others = || names().filter(|name| *name != own.value);
        match sources.iter().find(|(name, _)| *name == own.value).map(|(_, format)| format) {
            None => {
                let message = format!("{:?} is none of the sources", own.value);
                context.wrong(
                    own.span.clone(),
                    &table.title,
                    Some("source"),
                    message,
                    Some(nearest::hint(&own.value, others())),
                );
            }
            Some(Some(format)) if !may_tell_of_sessions(*format) => {
                let message = format!("{format} does not tell whose a session is when it begins");
                let hint = "teleport-audit does".to_owned();
                context.wrong(own.span.clone(), &table.title, Some("source"), message, Some(hint));
            }
            Some(_) => {}
        }
        for source in table.sources.iter().flatten().filter(|source| !others().any(|name| name == source.value)) {
            let message = format!("{:?} is none of the other sources", source.value);
            let hint = Some(nearest::hint(&source.value, others()));
            context.wrong(source.span.clone(), &table.title, Some("sources"), message, hint);
        }
        let of = match table.sources {
            Some(sources) => sources.into_iter().map(|source| source.value).collect(),
            None => others().map(str::to_owned).collect(),
        };
        layers.push(Layer {
            sources: of,
            source: own.value,
            addresses: table.addresses,
            services: table.services,
            within_ms: u64::try_from(table.within.as_millis()).unwrap_or(u64::MAX),
        });
    }
    layers
}

fn may_tell_of_sessions(format: FormatName) -> bool {
    let inside = format.inside.unwrap_or(format.format);
    inside == Format::TeleportAudit || inside.is_carrier()
}

/// Oracle's, among the variables: theirs have a dot or an `@`.
const CLIENT_IDENTIFIER: &str = "client_identifier";

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

/// Behind a pool that hands sessions on, a client without an application's name runs under that of the client before: there it counts only where
/// somebody says so.
fn trust(section: &mut Section<'_, '_>, sessions_are_handed_on: bool) -> Vec<Carrier> {
    let Some(list) = section.list("trust") else {
        let counts = |carrier: &Carrier| !(sessions_are_handed_on && *carrier == Carrier::Application);
        return Carrier::ALL.into_iter().filter(counts).collect();
    };
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
    sources: &[(String, Option<FormatName>)],
) -> Option<IdentityPlan> {
    let mut carriers = table.carriers;
    carriers.layers = known_layers(context, table.layers, sources);
    let names = sources.iter().map(|(name, _)| name.clone()).collect();
    if table.files.is_empty()
        && table.grants.is_empty()
        && table.rules.is_empty()
        && carriers.is_empty()
        && carriers.layers.is_empty()
    {
        return None;
    }
    let apart = |files: Vec<At<PathBuf>>| files.into_iter().map(|at| (at.value, at.span)).unzip();
    let ((files, spans), (grants, spans_of_grants)): ((_, Vec<Span>), (_, Vec<Span>)) =
        (apart(table.files), apart(table.grants));
    let loader = Loader {
        files,
        grants,
        columns: table.columns,
        inline: table.rules,
        server: server.to_owned(),
        sources: names,
    };
    match loader.load() {
        Ok(loaded) => Some(IdentityPlan { loader, loaded, carriers }).filter(|_| !table.is_torn),
        Err(problems) => {
            for problem in problems {
                let is_in = |path: &PathBuf| *path.display().to_string() == *problem.place.file;
                let of_files = loader.files.iter().position(is_in).map(|at| ("files", spans[at].clone()));
                let of_grants = || Some(("grants", spans_of_grants[loader.grants.iter().position(is_in)?].clone()));
                match of_files.or_else(of_grants) {
                    Some((key, span)) => {
                        context.wrong(span, "[identity]", Some(key), &problem, Some(problem.hint.clone()));
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
