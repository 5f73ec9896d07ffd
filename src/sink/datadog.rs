//! Datadog's log intake: `POST /api/v2/logs`, a JSON array of entries, gzip.
//!
//! Two things this intake does without saying so, and both are kept from happening. It cuts an entry of more than 1 MB and answers 202: such a line is
//! not sent but becomes a dead letter. It takes times of the last 18 hours and of the next two: a line of another time is sent without one, so that
//! Datadog files it under the time of its arrival, and is marked; its own time stands beside it and in the line.

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::line::{Head, Weight};
use super::web::{ANSWER_MAX_BYTES, Web, secret_value};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes};
use crate::clock;
use crate::config::plan::{Compression, DatadogPlan};
use crate::json;
use crate::schema::{self, Schema};

/// Datadog's limits of a request: entries, and bytes before compression; and of an entry. It writes MB: the smaller reading is kept to.
/// Source: the reference of "Send logs", API v2.
pub(crate) const ENTRIES_MAX: u64 = 1000;
const BODY_MAX_BYTES: usize = 5_000_000;
const ENTRY_MAX_BYTES: usize = 1_000_000;

/// How old and how early an entry's time may be: 18 hours and two, less what a request may take on its way.
const AGE_MAX_MS: i64 = 18 * 3_600_000 - 30 * 60_000;
const LEAD_MAX_MS: i64 = 2 * 3_600_000 - 10 * 60_000;

/// A tag is at most so long.
const TAG_MAX_CHARS: usize = 200;

/// `type = "datadog"`.
#[derive(Debug)]
pub struct DatadogSink {
    web: Web,
    schema: Schema,
    host: String,
    service: String,
    /// With a comma behind each.
    tags: String,
    /// Asked whether the key is good: Datadog's own API, or a path of the same server where another one is named.
    validate: String,
    batch_max_bytes: usize,
}

impl DatadogSink {
    /// Reads the certificates; connects to nothing. `host` is the agent's name.
    pub fn new(plan: &DatadogPlan, schema: Schema, host: &str) -> Result<Self, Refusal> {
        let mut headers = HeaderMap::new();
        let Some(key) = secret_value(plan.api_key.expose().trim()) else {
            return Err(Refusal::stop("`api_key` has bytes that no header can hold", "use visible ASCII only"));
        };
        headers.insert("dd-api-key", key);
        let (url, validate) = match &plan.url {
            Some(url) => (url.clone(), format!("{}/api/v1/validate", url.trim_end_matches('/'))),
            None => {
                let site = &plan.site;
                (format!("https://http-intake.logs.{site}"), format!("https://api.{site}/api/v1/validate"))
            }
        };
        Ok(DatadogSink {
            web: Web::new(&url, &plan.tls, headers, Compression::Gzip, plan.timeout)?,
            schema,
            host: host.to_owned(),
            service: plan.service.clone(),
            tags: plan.tags.iter().map(|tag| format!("{tag},")).collect(),
            validate,
            batch_max_bytes: plan.batch_max_bytes,
        })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        if lines.count() > ENTRIES_MAX {
            return Err(too_much(format!("{} lines; Datadog takes {ENTRIES_MAX} at once", lines.count())));
        }
        let (body, refused) = self.body(lines, clock::unix_ms());
        if body.len() > BODY_MAX_BYTES {
            return Err(too_much(format!("{} bytes; Datadog takes {BODY_MAX_BYTES} at once", body.len())));
        }
        let sent = if refused.len() as u64 == lines.count() { Accepted { bytes: 0 } } else { self.send(&body).await? };
        if refused.is_empty() {
            return Ok(sent);
        }
        let why = "the line is longer than 1 MB, which Datadog would cut without saying so: it is not sent".to_owned();
        Err(Refusal::Partly { refused, again: Vec::new(), after: None, why })
    }

    async fn send(&self, body: &[u8]) -> Result<Accepted, Refusal> {
        let encoded = self.web.encode(body)?;
        let url = self.web.url_of("api/v2/logs");
        let answer = self.web.post(url, "application/json", HeaderMap::new(), encoded, ANSWER_MAX_BYTES).await?;
        answer.judge(hint)
    }

    /// The entries as one array, and the lines that are too large to be one.
    fn body(&self, lines: &Lines<'_>, now_ms: u64) -> (Vec<u8>, Vec<Refused>) {
        let (mut body, mut refused) = (b"[".to_vec(), Vec::new());
        for (index, (number, line)) in lines.iter().enumerate() {
            let begin = body.len();
            if begin > 1 {
                body.push(b',');
            }
            let entry = body.len();
            self.entry(&mut body, lines.origin, number, line.strip_suffix(b"\n").unwrap_or(line), now_ms);
            let bytes = body.len() - entry;
            if bytes > ENTRY_MAX_BYTES {
                body.truncate(begin);
                let answer =
                    format!("not sent: {bytes} bytes as an entry; Datadog cuts what is longer than {ENTRY_MAX_BYTES}");
                refused.push(Refused { index, answer });
            }
        }
        body.push(b']');
        (body, refused)
    }

    fn entry(&self, out: &mut Vec<u8>, origin: &str, number: u64, line: &[u8], now_ms: u64) {
        let head = Head::of(line);
        let mut rendered = Vec::with_capacity(line.len());
        schema::render(self.schema, line, &mut rendered);
        out.extend_from_slice(b"{\"message\":");
        json::string(out, &rendered);
        out.extend_from_slice(b",\"ddsource\":\"sealtrail\",\"status\":\"");
        out.extend_from_slice(status(head.weight()).as_bytes());
        out.push(b'"');
        field(out, "service", &self.service);
        field(out, "hostname", &self.host);
        field(out, "ddtags", &self.tags_of(&head));
        let in_time = head.unix_ms().filter(|time| is_taken(*time, now_ms));
        if let Some(time) = in_time {
            out.extend_from_slice(b",\"timestamp\":");
            json::signed(out, time);
        }
        out.extend_from_slice(b",\"sealtrail\":{\"line\":");
        json::unsigned(out, number);
        out.extend_from_slice(if in_time.is_some() { b"" } else { b",\"filed_under_arrival\":true" });
        field(out, "origin", origin);
        for (name, value) in attributes(&head) {
            field(out, name, value);
        }
        out.extend_from_slice(if head.admin { b",\"admin\":true}" } else { b"}" });
        if !head.user.is_empty() {
            out.extend_from_slice(b",\"usr\":{\"id\":");
            json::string(out, head.user.as_bytes());
            out.push(b'}');
        }
        out.push(b'}');
    }

    fn tags_of(&self, head: &Head<'_>) -> String {
        let own = [("source_name", &head.source), ("category", &head.category), ("line_type", &head.kind)];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let own: Vec<String> = own.map(|(name, value)| tag(name, value)).collect();
        format!("{}{}", self.tags, own.join(","))
    }

    async fn ask(&self) -> Result<Probed, ProbeError> {
        let Ok(url) = reqwest::Url::parse(&self.validate) else {
            return Ok(Probed { checked: "the key is not checked: `url` has no path beside it" });
        };
        let answer = self.web.ask(Method::GET, url).await?;
        match answer.status.as_u16() {
            404 | 405 | 501 => Ok(Probed { checked: "reached; it has no way to ask whether the key is good" }),
            _ => answer.probed(hint, "reached, and the key is good"),
        }
    }
}

impl Sink for DatadogSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.post(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

/// Known before anything is sent: the courier halves the batch.
fn too_much(why: String) -> Refusal {
    Refusal::Split { why, answer: String::new() }
}

fn is_taken(time_ms: i64, now_ms: u64) -> bool {
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    (now_ms.saturating_sub(AGE_MAX_MS)..=now_ms.saturating_add(LEAD_MAX_MS)).contains(&time_ms)
}

fn status(weight: Weight) -> &'static str {
    match weight {
        Weight::Routine => "info",
        Weight::Privileged => "notice",
        Weight::Wrong => "warning",
    }
}

fn attributes<'a>(head: &'a Head<'_>) -> impl Iterator<Item = (&'static str, &'a str)> {
    let all = [
        ("id", &head.id),
        ("type", &head.kind),
        ("time", &head.time),
        ("user", &head.user),
        ("person", &head.person),
        ("action", &head.action),
        ("resource", &head.resource),
        ("outcome", &head.outcome),
        ("category", &head.category),
        ("source", &head.source),
        ("engine", &head.engine),
        ("database", &head.database),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_ref()))
}

/// With a comma before it.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    json::string(out, name.as_bytes());
    out.push(b':');
    json::string(out, value.as_bytes());
}

/// Datadog puts an underscore in the place of what a tag may not hold; a comma would begin another tag.
fn tag(name: &str, value: &str) -> String {
    let held = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/') { c } else { '_' };
    format!("{name}:{value}").chars().map(held).take(TAG_MAX_CHARS).collect()
}

fn hint(status: u16) -> &'static str {
    match status {
        400 => "Datadog does not take the request as it is: see its answer in a proxy's log",
        401 | 403 => "check `api_key`, and that `site` is the one that the key belongs to",
        404 | 405 => "check `site` or `url`: /api/v2/logs is added to it",
        _ => "see Datadog's status page",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_for_seventeen_hours_and_a_half() {
        let now = 1_000_000_000_000;
        let taken = |hours: i64| is_taken(1_000_000_000_000 + hours * 3_600_000, now);
        assert!(taken(0) && taken(-17) && taken(1));
        assert!(!taken(-18) && !taken(2));
    }

    #[test]
    fn a_tag_holds_what_datadog_keeps() {
        assert_eq!(tag("source_name", "orders, pg"), "source_name:orders__pg");
        assert_eq!(tag("x", &"y".repeat(300)).len(), 200);
    }
}
