//! Keys that object stores share: where objects lie, in which form, and how long nobody may delete them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::pair;
use crate::config::bounds;
use crate::config::plan::{LockMode, ObjectFormat, ObjectLock};
use crate::config::section::Section;
use crate::config::show::{Row, row};

/// The folder within a bucket, without slashes at its ends.
pub(super) fn prefix(section: &mut Section<'_, '_>) -> String {
    section.text("prefix").map(|prefix| prefix.value.value.trim_matches('/').to_owned()).unwrap_or_default()
}

pub(super) fn format(section: &mut Section<'_, '_>) -> ObjectFormat {
    let choices = [ObjectFormat::Zstd, ObjectFormat::Gzip].map(|one| (one.name(), one));
    section.choice("format", &choices, &[]).map(|at| at.value).unwrap_or_default()
}

/// `key` says whom the lock binds, in the vendor's words, and `retention_days` how long it holds: both or none.
pub(super) fn lock(section: &mut Section<'_, '_>, key: &str, modes: [&str; 2]) -> Option<ObjectLock> {
    pair(section, key, &["retention_days"]);
    let choices = [(modes[0], LockMode::Liftable), (modes[1], LockMode::Binding)];
    let mode = section.choice(key, &choices, &[]).map(|at| at.value);
    let days = retention_days(section);
    Some(ObjectLock { mode: mode?, days: days? })
}

fn retention_days(section: &mut Section<'_, '_>) -> Option<u32> {
    let days = section.count("retention_days")?;
    let bound = bounds::RETENTION_DAYS;
    match u32::try_from(days.value) {
        Ok(value) if (bound.least..=bound.most).contains(&days.value) => Some(value),
        _ => {
            let hint = format!("from {} to {}; a year is 365", bound.least, bound.most);
            section.wrong(
                days.span,
                Some("retention_days"),
                format!("{} days are out of range", days.value),
                Some(hint),
            );
            None
        }
    }
}

pub(super) fn lock_rows(lock: Option<ObjectLock>, key: &'static str, modes: [&str; 2]) -> [Row; 2] {
    let mode = lock.map(|lock| match lock.mode {
        LockMode::Liftable => modes[0].to_owned(),
        LockMode::Binding => modes[1].to_owned(),
    });
    [row(key, json!(mode)), row("retention_days", json!(lock.map(|lock| lock.days)))]
}

/// Tags of every object: what S3 and Azure both take.
pub(super) fn tags(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let span = section.value_span("tags").unwrap_or_else(|| section.span());
    let mut tags = BTreeMap::new();
    for (name, text) in section.strings("tags").unwrap_or_default() {
        let value = text.value.value;
        let wrong = if name.value.is_empty() || name.value.chars().count() > bounds::TAG_NAME_MAX_CHARS {
            Some((name.span, format!("a name has 1 to {} characters", bounds::TAG_NAME_MAX_CHARS)))
        } else if value.chars().count() > bounds::TAG_VALUE_MAX_CHARS {
            Some((
                text.span,
                format!("the value of {} is longer than {} characters", name.value, bounds::TAG_VALUE_MAX_CHARS),
            ))
        } else if !name.value.chars().chain(value.chars()).all(may_stand_in_a_tag) {
            Some((name.span, format!("{}: a character that tags cannot hold", name.value)))
        } else {
            tags.insert(name.value, value);
            None
        };
        if let Some((span, message)) = wrong {
            let hint = Some("letters, digits, blanks and + - . / : = _".to_owned());
            section.wrong(span, Some("tags"), message, hint);
        }
    }
    if tags.len() > bounds::TAGS_MAX {
        section.wrong(span, Some("tags"), format!("more than {} tags", bounds::TAGS_MAX), None);
    }
    tags
}

fn may_stand_in_a_tag(character: char) -> bool {
    character.is_ascii_alphanumeric() || " +-./:=_".contains(character)
}

pub(super) fn tags_row(tags: &BTreeMap<String, String>) -> Row {
    let shown: Map<String, Value> = tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    row("tags", Value::Object(shown))
}

/// A word of the vendor's, such as a storage class: which there are is the vendor's to say.
pub(super) fn word(section: &mut Section<'_, '_>, key: &str, example: &str) -> Option<String> {
    let text = section.text(key)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.value.value.is_empty() && text.value.value.chars().all(valid) {
        return Some(text.value.value);
    }
    let message = format!("{:?} cannot be one", text.value.written);
    section.wrong(text.span, Some(key), message, Some(format!("such as {example:?}")));
    None
}
