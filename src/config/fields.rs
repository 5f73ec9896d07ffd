//! Values that have rules of their own: names, origins, patterns, addresses, headers.
//!
//! Each takes its key out of a [`Section`] and answers `None` when it is absent or wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::postgres_prefix::{PRESETS, Prefix};
use sealtrail_seal::check_origin;
use sealtrail_seal::note::ORIGIN_BYTES_MAX;

use super::format_name::{self, FormatName};
use super::plan::QuietAfter;
use super::secret::Secret;
use super::section::{At, Section, Span};
use super::substitution::Text;
use super::template::Template;
use super::{bounds, nearest, units};

/// `[A-Za-z0-9._-]+`: it becomes part of a file's name.
pub(super) fn name(section: &mut Section<'_, '_>) -> Option<At<String>> {
    let text = section.text("name")?;
    let name = &text.value.value;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let hint = if name.is_empty() || name.len() > bounds::NAME_MAX_BYTES {
        format!("1 to {} characters", bounds::NAME_MAX_BYTES)
    } else if !name.chars().all(valid) || name.starts_with(['.', '-']) {
        "letters, digits, dot, underscore and dash; the first is no dot or dash".to_owned()
    } else {
        return Some(At { value: text.value.value, span: text.span });
    };
    section.wrong(text.span, Some("name"), format!("{:?} cannot be a name", text.value.written), Some(hint));
    None
}

/// What `run` can sign for, which the seal's own [`check_origin`] says; and no path that leads elsewhere.
pub(super) fn origin(section: &mut Section<'_, '_>) -> Option<At<String>> {
    let text = section.text("origin")?;
    let origin = &text.value.value;
    let parts_ok = origin.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let hint = if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
        format!("1 to {ORIGIN_BYTES_MAX} bytes")
    } else if check_origin(origin).is_err() {
        "without blanks and without +".to_owned()
    } else if !parts_ok {
        "no empty part, no . and no .. between the slashes".to_owned()
    } else {
        return Some(At { value: text.value.value, span: text.span });
    };
    let hint = format!("{hint}; org/cluster/host, such as \"acme/prod/orders-db-1\"");
    section.wrong(text.span, Some("origin"), format!("{:?} cannot name a trail", text.value.written), Some(hint));
    None
}

pub(super) fn paths(section: &mut Section<'_, '_>) -> Vec<At<String>> {
    let Some(paths) = section.list("paths") else { return Vec::new() };
    if paths.value.is_empty() {
        let hint = Some("name at least one file or pattern".to_owned());
        section.wrong(paths.span, Some("paths"), "is empty", hint);
    }
    paths
        .value
        .into_iter()
        .filter_map(|text| glob(section, "paths", text.value.value, &text.value.written, text.span))
        .collect()
}

/// Names as an engine writes them, of which `*` stands for any part.
pub(super) fn names(section: &mut Section<'_, '_>, key: &str) -> Option<Vec<String>> {
    let list = section.list(key)?;
    let mut names = Vec::new();
    if list.value.len() > bounds::NAMES_MAX {
        let message = format!("{} names", list.value.len());
        section.wrong(list.span, Some(key), message, Some(format!("at most {}", bounds::NAMES_MAX)));
        return None;
    }
    for text in list.value {
        if text.value.value.is_empty() {
            let hint = "a name, or a part of it with *".to_owned();
            section.wrong(text.span, Some(key), "holds an empty name", Some(hint));
        } else {
            names.push(text.value.value);
        }
    }
    Some(names)
}

/// Letters, digits, and the marks that stand between them.
pub(super) fn secret_names(section: &mut Section<'_, '_>) -> Vec<String> {
    let hint = "at least four letters and digits, such as \"pincode\": it holds of all names that end so";
    plain_names(section, "secret_names", "secret's", hint, |name| (name, bounds::SECRET_NAME_MIN_BYTES))
}

/// The same, of three letters and more; with `*` in front how names end.
pub(super) fn personal_names(section: &mut Section<'_, '_>) -> Vec<String> {
    let hint = "three letters and digits or more: \"email\" is that name, \"*email\" all that end so";
    plain_names(section, "personal_names", "column's", hint, |name| {
        (name.strip_prefix('*').unwrap_or(name), bounds::PERSONAL_NAME_MIN_BYTES)
    })
}

/// `plain`: the name itself of what was written, and how many letters and digits it must have.
fn plain_names(
    section: &mut Section<'_, '_>,
    key: &str,
    whose: &str,
    hint: &str,
    plain: fn(&str) -> (&str, usize),
) -> Vec<String> {
    let Some(list) = section.list(key) else { return Vec::new() };
    let mut names = Vec::new();
    for text in list.value {
        let name = text.value.value;
        let (plain, min) = plain(&name);
        let is_name = plain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !is_name || plain.chars().filter(char::is_ascii_alphanumeric).count() < min {
            section.wrong(text.span, Some(key), format!("{name:?} cannot be a {whose} name"), Some(hint.to_owned()));
        } else {
            names.push(name);
        }
    }
    at_most(section, key, list.span, names)
}

/// `my_encrypt(2)`, `my_login(1, 3)`.
pub(super) fn secret_arguments(section: &mut Section<'_, '_>) -> Vec<(String, Vec<u8>)> {
    const KEY: &str = "secret_arguments";
    let Some(list) = section.list(KEY) else { return Vec::new() };
    let mut functions = Vec::new();
    for text in list.value {
        match function(&text.value.value) {
            Some(function) => functions.push(function),
            None => {
                let hint =
                    "a function of at least three letters with the numbers of its secret arguments: \"my_encrypt(2)\""
                        .to_owned();
                section.wrong(text.span, Some(KEY), format!("{:?} names no arguments", text.value.value), Some(hint));
            }
        }
    }
    at_most(section, KEY, list.span, functions)
}

fn function(text: &str) -> Option<(String, Vec<u8>)> {
    let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let name = name.trim();
    let is_name = name.len() >= 3 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let number = |argument: &str| argument.trim().parse::<u8>().ok().filter(|number| *number > 0);
    let arguments = arguments.split(',').map(number).collect::<Option<Vec<_>>>()?;
    is_name.then(|| (name.to_owned(), arguments))
}

fn at_most<T>(section: &Section<'_, '_>, key: &str, span: Span, all: Vec<T>) -> Vec<T> {
    if all.len() > bounds::NAMES_MAX {
        section.wrong(span, Some(key), format!("{} names", all.len()), Some(format!("at most {}", bounds::NAMES_MAX)));
        return Vec::new();
    }
    all
}

/// A pattern without a slash leaves out files of that name in every folder.
pub(super) fn exclude(section: &mut Section<'_, '_>) -> Vec<At<String>> {
    let Some(patterns) = section.list("exclude") else { return Vec::new() };
    let mut globs = Vec::new();
    for text in patterns.value {
        let pattern = text.value.value;
        let pattern = if pattern.contains('/') { pattern } else { format!("/**/{pattern}") };
        globs.extend(glob(section, "exclude", pattern, &text.value.written, text.span));
    }
    globs
}

fn glob(section: &Section<'_, '_>, key: &str, pattern: String, written: &str, span: Span) -> Option<At<String>> {
    if written.is_empty() {
        section.wrong(span, Some(key), "an empty pattern", Some("take it out".to_owned()));
        return None;
    }
    if !pattern.starts_with('/') {
        let folder = section.context().folder().join(written);
        let hint = if folder.is_absolute() {
            format!("such as {:?}", folder.display().to_string())
        } else {
            "start it with /".to_owned()
        };
        section.wrong(span, Some(key), format!("{written:?} is not an absolute path"), Some(hint));
        return None;
    }
    match glob::Pattern::new(&pattern) {
        Ok(_) => Some(At { value: pattern, span }),
        Err(error) => {
            let hint = Some("*, ?, [a-z] and ** between slashes; [[] for a literal [".to_owned());
            section.wrong(span, Some(key), format!("{written:?} is no pattern: {}", error.msg), hint);
            None
        }
    }
}

/// `None` is `auto`.
pub(super) fn format(section: &mut Section<'_, '_>) -> Option<FormatName> {
    let text = section.text("format")?;
    match format_name::read(&text.value.value, &["auto"]) {
        Ok(format_name::Read::Format(format)) => Some(format),
        Ok(format_name::Read::Other) => None,
        // What a variable holds is printed nowhere.
        Err(_) if text.value.written != text.value.value => {
            let hint = "`sealtrail parse --format list` prints the names".to_owned();
            section.wrong(text.span, Some("format"), format!("{:?} is no format", text.value.written), Some(hint));
            None
        }
        Err(wrong) => {
            section.wrong(text.span, Some("format"), wrong.message, Some(wrong.hint));
            None
        }
    }
}

/// The server's own string, or the name of one that is known.
pub(super) fn log_line_prefix(section: &mut Section<'_, '_>) -> Option<Arc<Prefix>> {
    let text = section.text("log_line_prefix")?;
    let prefix = Prefix::preset(&text.value.value).map_or_else(|| Prefix::compile(&text.value.value), Ok);
    match prefix {
        Ok(prefix) => Some(Arc::new(prefix)),
        Err(error) => {
            let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            let hint = format!("as the server's `SHOW log_line_prefix` says it, or one of {}", names.join(", "));
            section.wrong(text.span, Some("log_line_prefix"), error.to_string(), Some(hint));
            None
        }
    }
}

pub(super) fn timezone(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("timezone")?;
    let zones = jiff::tz::db();
    if let Ok(zone) = zones.get(&text.value.value) {
        return zone.iana_name().map(str::to_owned);
    }
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let hint = match nearest::nearest(&text.value.value, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name}?"),
        None => "a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
    };
    section.wrong(text.span, Some("timezone"), format!("{:?} is no time zone", text.value.written), Some(hint));
    None
}

/// `auto`, `off`, or a duration; none at all is off too.
pub(super) fn quiet_after(section: &mut Section<'_, '_>) -> Option<QuietAfter> {
    let text = section.text("quiet_after")?;
    let bound = bounds::QUIET_AFTER;
    let hint = match (text.value.value.as_str(), units::duration(&text.value.value)) {
        ("auto", _) => return Some(QuietAfter::Habit),
        ("off" | "0", _) | (_, Ok(Duration::ZERO)) => return Some(QuietAfter::Off),
        (_, Ok(duration)) if (bound.least..=bound.most).contains(&duration) => {
            return Some(QuietAfter::Duration(duration));
        }
        (_, Ok(_)) => {
            let (least, most) = (units::show_duration(bound.least), units::show_duration(bound.most));
            format!("{least} to {most}, \"auto\" or \"off\"")
        }
        (_, Err(hint)) => format!("\"auto\", \"off\", or a duration: {hint}"),
    };
    let message = format!("{:?} is no time after which to call a source quiet", text.value.written);
    section.wrong(text.span, Some("quiet_after"), message, Some(hint));
    None
}

pub(super) fn labels(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let span = section.span();
    let Some(labels) = section.strings("labels") else { return BTreeMap::new() };
    if labels.len() > bounds::LABELS_MAX {
        section.wrong(span, Some("labels"), format!("more than {} labels", bounds::LABELS_MAX), None);
    }
    let mut kept = BTreeMap::new();
    for (name, text) in labels {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.value.is_empty() || name.value.len() > bounds::NAME_MAX_BYTES || !name.value.chars().all(valid) {
            let hint = format!("1 to {} letters, digits, dots, underscores and dashes", bounds::NAME_MAX_BYTES);
            section.wrong(name.span, Some("labels"), format!("{:?} cannot be a label's name", name.value), Some(hint));
        } else if text.value.value.len() > bounds::LABEL_MAX_BYTES {
            let message = format!("the value of {} is longer than {} bytes", name.value, bounds::LABEL_MAX_BYTES);
            section.wrong(text.span, Some("labels"), message, None);
        } else {
            kept.insert(name.value, text.value.value);
        }
    }
    kept
}

pub(super) fn listen(section: &mut Section<'_, '_>) -> Option<SocketAddr> {
    let text = section.text("listen")?;
    match text.value.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let hint = Some("an IP address and a port, such as \"127.0.0.1:9465\" or \"[::1]:9465\"".to_owned());
            section.wrong(text.span, Some("listen"), format!("{:?} is no address", text.value.written), hint);
            None
        }
    }
}

/// The message shows the URL as it was written: a variable in it may be a secret.
pub(super) fn url(section: &mut Section<'_, '_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    let example = "such as \"https://collector.example/ingest\"";
    // What cannot be taken apart is not shown either where a password may stand in it.
    let shown = if text.value.written.contains('@') { "it".to_owned() } else { format!("{:?}", text.value.written) };
    let (message, hint) = match reqwest::Url::parse(&text.value.value) {
        Err(error) => (format!("{shown} is no URL: {error}"), example.to_owned()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            (format!("{shown} is neither https:// nor http://"), example.to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let keys = match key {
                _ if section.has("username") => "username and password",
                "url" => "token, token_file or headers",
                "token_url" => "client_id and client_secret",
                _ => "access_key_id and secret_access_key",
            };
            ("a URL must not hold a user or password".to_owned(), format!("use {keys}"))
        }
        Ok(url) if url.fragment().is_some() => {
            ("a URL with a fragment".to_owned(), "leave out # and what follows".to_owned())
        }
        Ok(_) => return Some(text.value.value),
    };
    section.wrong(text.span, Some(key), message, Some(hint));
    None
}

pub(super) fn bucket(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("bucket")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bucket = &text.value.value;
    if (3..=63).contains(&bucket.len()) && bucket.chars().all(valid) {
        return Some(text.value.value);
    }
    let hint = "3 to 63 letters, digits, dots and dashes; the folder within it is prefix".to_owned();
    section.wrong(text.span, Some("bucket"), format!("{:?} cannot be a bucket", text.value.written), Some(hint));
    None
}

/// A data stream or an index, as Elasticsearch and OpenSearch allow it.
pub(super) fn index(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("index")?;
    let name = &text.value.value;
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins_well && name.len() <= bounds::INDEX_NAME_MAX_BYTES && name.chars().all(valid) {
        return Some(text.value.value);
    }
    let hint = "lower-case letters and digits, with dots, dashes and underscores between them".to_owned();
    section.wrong(text.span, Some("index"), format!("{:?} cannot be an index", text.value.written), Some(hint));
    None
}

/// `host:port`; an IPv6 address stands in brackets.
pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok().then(|| (inner.to_owned(), port));
    }
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!host.is_empty() && host.chars().all(valid)).then(|| (host.to_owned(), port))
}

/// A string that is not empty.
pub(super) fn filled(section: &mut Section<'_, '_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    if text.value.value.trim().is_empty() {
        section.wrong(text.span, Some(key), "is empty", Some("leave the key out".to_owned()));
        return None;
    }
    Some(text.value.value)
}

/// Headers, and those that say something of the batch. What comes from a variable is sent as it is.
pub(super) fn headers(section: &mut Section<'_, '_>) -> (BTreeMap<String, Secret>, BTreeMap<String, Template>) {
    let (mut fixed, mut templates) = (BTreeMap::new(), BTreeMap::new());
    for (name, text) in sound_headers(section) {
        match Template::read(&text.value.value).filter(|_| !text.value.from_env) {
            None => {
                fixed.insert(name, Secret::new(text.value.value));
            }
            Some(Ok(template)) => {
                templates.insert(name, template);
            }
            Some(Err((message, hint))) => {
                section.wrong(text.span, Some("headers"), format!("{name}: {message}"), Some(hint));
            }
        }
    }
    (fixed, templates)
}

/// Headers that are the same with every request.
pub(super) fn fixed_headers(section: &mut Section<'_, '_>) -> BTreeMap<String, Secret> {
    sound_headers(section).into_iter().map(|(name, text)| (name, Secret::new(text.value.value))).collect()
}

fn sound_headers(section: &mut Section<'_, '_>) -> BTreeMap<String, At<Text>> {
    let has_token = ["token", "token_file", "oauth2"].iter().any(|key| section.has(key));
    let mut headers: BTreeMap<String, At<Text>> = BTreeMap::new();
    for (name, text) in section.strings("headers").unwrap_or_default() {
        let lower = name.value.to_ascii_lowercase();
        let at = name.span.clone();
        let wrong = if reqwest::header::HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            Some((at, "cannot be a header's name", "letters, digits and dashes".to_owned()))
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            Some((at, "is set by sealtrail itself", "take it out".to_owned()))
        } else if lower == "authorization" && has_token {
            Some((at, "would be sent beside token", "keep one of them".to_owned()))
        } else if headers.keys().any(|other| other.eq_ignore_ascii_case(&lower)) {
            Some((at, "is there already, in other case", "keep one of them".to_owned()))
        } else if looks_secret(&lower) && !text.value.from_env {
            let hint = format!("write {} = \"${{NAME}}\" and set NAME in the environment", name.value);
            Some((text.span.clone(), "a secret must not stand in this file", hint))
        } else if reqwest::header::HeaderValue::from_str(&text.value.value).is_err() {
            Some((
                text.span.clone(),
                "its value cannot be sent in a header",
                "one line of visible characters".to_owned(),
            ))
        } else {
            None
        };
        match wrong {
            Some((span, message, hint)) => {
                section.wrong(span, Some("headers"), format!("{}: {message}", name.value), Some(hint));
            }
            None => {
                headers.insert(name.value, text);
            }
        }
    }
    headers
}

/// A label's name is Prometheus's; ours are taken.
pub(super) fn loki_labels(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    const KEY: &str = "labels";
    let span = section.span();
    let Some(labels) = section.strings(KEY) else { return BTreeMap::new() };
    if labels.len() > bounds::LOKI_LABELS_MAX {
        let message = format!("more than {} labels: Loki keeps each set of them open", bounds::LOKI_LABELS_MAX);
        section.wrong(span, Some(KEY), message, None);
    }
    let mut kept = BTreeMap::new();
    for (name, text) in labels {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_name = name.value.starts_with(first) && name.value.chars().all(|c| first(c) || c.is_ascii_digit());
        let wrong = if !is_name || name.value.starts_with("__") || name.value.len() > bounds::NAME_MAX_BYTES {
            Some((name.span, "cannot be a label's name", "letters, digits and underscores, no digit first"))
        } else if ["service_name", "origin", "type", "source", "category"].contains(&name.value.as_str()) {
            Some((name.span, "is set by sealtrail itself", "take another name"))
        } else if text.value.value.is_empty() || text.value.value.len() > bounds::LABEL_MAX_BYTES {
            Some((text.span, "is empty or too long", "1 to 256 bytes"))
        } else {
            None
        };
        match wrong {
            Some((span, message, hint)) => {
                section.wrong(span, Some(KEY), format!("{:?} {message}", name.value), Some(hint.to_owned()));
            }
            None => {
                kept.insert(name.value, text.value.value);
            }
        }
    }
    kept
}

/// `env:prod`: what Datadog takes for a tag, so that it need not change it.
pub(super) fn tags(section: &mut Section<'_, '_>) -> Vec<String> {
    const KEY: &str = "tags";
    let Some(list) = section.list(KEY) else { return Vec::new() };
    let span = list.span;
    let mut tags = Vec::new();
    for text in list.value {
        let valid = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/');
        let tag = &text.value.value;
        if tag.starts_with(char::is_alphabetic) && tag.chars().all(valid) && tag.chars().count() <= 200 {
            tags.push(text.value.value);
        } else {
            let hint = "a letter first, then letters, digits and _ - : . /, at most 200: \"env:prod\"".to_owned();
            section.wrong(text.span, Some(KEY), format!("{:?} cannot be a tag", text.value.written), Some(hint));
        }
    }
    at_most(section, KEY, span, tags)
}

/// Hosts and ports, one at least.
pub(super) fn brokers(section: &mut Section<'_, '_>) -> Vec<(String, u16)> {
    const KEY: &str = "brokers";
    let Some(list) = section.list(KEY) else { return Vec::new() };
    let span = list.span;
    let mut brokers = Vec::new();
    for text in &list.value {
        match host_and_port(&text.value.value) {
            Some(broker) => brokers.push(broker),
            None => {
                let hint = "a host and a port, such as \"kafka-1.example:9093\" or \"[2001:db8::7]:9093\"".to_owned();
                let message = format!("{:?} is no broker", text.value.written);
                section.wrong(text.span.clone(), Some(KEY), message, Some(hint));
            }
        }
    }
    if list.value.is_empty() {
        section.wrong(span, Some(KEY), "is empty", Some("brokers = [\"kafka-1.example:9093\"]".to_owned()));
        return Vec::new();
    }
    at_most(section, KEY, span, brokers)
}

/// As Kafka allows it.
pub(super) fn topic(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("topic")?;
    let name = &text.value.value;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=bounds::TOPIC_NAME_MAX_BYTES).contains(&name.len())
        && name.chars().all(valid)
        && !matches!(name.as_str(), "." | "..")
    {
        return Some(text.value.value);
    }
    let hint = format!("1 to {} letters, digits, dots, underscores and dashes", bounds::TOPIC_NAME_MAX_BYTES);
    section.wrong(text.span, Some("topic"), format!("{:?} cannot be a topic", text.value.written), Some(hint));
    None
}

/// A host's name, which becomes a part of a URL.
pub(super) fn host_name(section: &mut Section<'_, '_>, key: &str, hint: &str) -> Option<String> {
    let valid =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    part_of_url(section, key, hint, valid)
}

/// A part of a URL's path, as a service names its own things.
pub(super) fn path_part(section: &mut Section<'_, '_>, key: &str, hint: &str) -> Option<String> {
    part_of_url(section, key, hint, is_path_part)
}

/// `projects/…/locations/…/instances/…`.
pub(super) fn instance(section: &mut Section<'_, '_>) -> Option<String> {
    let valid = |text: &str| {
        let parts: Vec<&str> = text.split('/').collect();
        let ["projects", project, "locations", location, "instances", instance] = parts[..] else { return false };
        [project, location, instance].into_iter().all(is_path_part)
    };
    let hint = "\"projects/<project>/locations/<region>/instances/<customer id>\"";
    part_of_url(section, "instance", hint, valid)
}

fn is_path_part(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 256 && !text.starts_with('.') && text.chars().all(valid)
}

fn part_of_url(section: &mut Section<'_, '_>, key: &str, hint: &str, valid: fn(&str) -> bool) -> Option<String> {
    let text = section.text(key)?;
    if valid(&text.value.value) {
        return Some(text.value.value);
    }
    section.wrong(text.span, Some(key), format!("{:?} is no {key}", text.value.written), Some(hint.to_owned()));
    None
}

/// What the HTTP destination says of its own body.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
];

/// Words in the name of a header or key whose value is likely a secret.
pub(super) fn looks_secret(name: &str) -> bool {
    let words = ["auth", "token", "secret", "password", "passwd", "cookie", "credential", "key", "signature"];
    words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let found = |text| host_and_port(text);
        assert_eq!(found("logs.example:6514"), Some(("logs.example".to_owned(), 6514)));
        assert_eq!(found("[::1]:514"), Some(("::1".to_owned(), 514)));
        for wrong in
            ["logs.example", "logs.example:", "logs.example:0", ":6514", "::1:514", "tls://a:6514", "[a]:1", "a:65536"]
        {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }
}
