//! Grafana Loki, or what speaks its push API: `POST <url>/loki/api/v1/push` with JSON.
//!
//! Labels are few and bounded, since each set of them is a stream that Loki keeps open: type, source and category of a line, the trail's origin, and
//! what the configuration adds. What has many values goes with the line as structured metadata.
//!
//! The hard case is the answer 400. Loki takes the lines of a request that it can take, and says of some of the others why it does not: too old, too
//! far behind the newest of their stream, too long. Which ones is told in words, and of ten at most. Sending a line again is harmless: of two
//! alike in a stream Loki drops the second, or its queries do; so a batch is halved until those that are refused stand alone. Where the answer names the
//! oldest time that is taken, and of all streams, the lines before it are told from the others at once.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, StatusCode};

use super::line::Head;
use super::web::{ANSWER_MAX_BYTES, Answer, Web, configured, secret_value};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes};
use crate::clock;
use crate::config::plan::LokiPlan;
use crate::json;
use crate::schema::{self, Schema};

/// Structured metadata is for finding a line; what is longer stands in the line itself. Loki takes 64 KiB of it a line.
const METADATA_MAX_BYTES: usize = 1024;

/// `type = "loki"`.
#[derive(Debug)]
pub struct LokiSink {
    web: Web,
    schema: Schema,
    /// The labels that are the same of every line, as the inside of a JSON object.
    labels: Vec<u8>,
    structured_metadata: bool,
    batch_max_bytes: usize,
}

/// The lines of one set of labels, as JSON values with commas between.
type Streams = BTreeMap<[String; 3], Vec<u8>>;

impl LokiSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &LokiPlan, schema: Schema) -> Result<Self, Refusal> {
        let web = Web::new(&plan.url, &plan.tls, headers(plan)?, plan.compression, plan.timeout)?;
        let mut labels = Vec::new();
        for (name, value) in &plan.labels {
            label(&mut labels, name, value);
        }
        Ok(LokiSink {
            web,
            schema,
            labels,
            structured_metadata: plan.structured_metadata,
            batch_max_bytes: plan.batch_max_bytes,
        })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let now_ns = clock::unix_ms().saturating_mul(1_000_000);
        let body = self.web.encode(&self.body(lines, now_ns))?;
        let url = self.web.url_of("loki/api/v1/push");
        let answer = self.web.post(url, "application/json", HeaderMap::new(), body, ANSWER_MAX_BYTES).await?;
        if answer.status == StatusCode::BAD_REQUEST { Err(bad_request(answer, lines)) } else { answer.judge(hint) }
    }

    fn body(&self, lines: &Lines<'_>, now_ns: u64) -> Vec<u8> {
        let mut streams = Streams::new();
        for (number, line) in lines.iter() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let head = Head::of(line);
            let key = [&head.kind, &head.source, &head.category].map(ToString::to_string);
            let values = streams.entry(key).or_default();
            if !values.is_empty() {
                values.push(b',');
            }
            self.value(values, number, line, &head, now_ns);
        }
        let mut body = b"{\"streams\":[".to_vec();
        for (index, (key, values)) in streams.into_iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(b"{\"stream\":{");
            body.extend_from_slice(&self.stream(lines.origin, &key));
            body.extend_from_slice(b"},\"values\":[");
            body.extend_from_slice(&values);
            body.extend_from_slice(b"]}");
        }
        body.extend_from_slice(b"]}");
        body
    }

    /// The labels of a stream. One that is empty is none.
    fn stream(&self, origin: &str, [kind, source, category]: &[String; 3]) -> Vec<u8> {
        let mut labels = Vec::new();
        let own = [
            ("service_name", "sealtrail"),
            ("origin", origin),
            ("type", kind),
            ("source", source),
            ("category", category),
        ];
        own.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .for_each(|(name, value)| label(&mut labels, name, value));
        if !self.labels.is_empty() {
            labels.push(b',');
            labels.extend_from_slice(&self.labels);
        }
        labels
    }

    /// `["<ns>","<line>",{…}]`. A line without a time, which the trail has none of, gets that of its sending.
    fn value(&self, out: &mut Vec<u8>, number: u64, line: &[u8], head: &Head<'_>, now_ns: u64) {
        out.extend_from_slice(b"[\"");
        json::unsigned(out, head.unix_ns().unwrap_or(now_ns));
        out.extend_from_slice(b"\",");
        if self.schema == Schema::Native {
            json::string(out, line);
        } else {
            let mut rendered = Vec::with_capacity(line.len() * 2);
            schema::render(self.schema, line, &mut rendered);
            json::string(out, &rendered);
        }
        if self.structured_metadata {
            out.extend_from_slice(b",{");
            metadata(out, number, head);
            out.push(b'}');
        }
        out.push(b']');
    }

    /// A push without streams writes nothing, and is answered after the credentials were looked at: with 204, or with the remark that it has
    /// no stream.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let url = self.web.url_of("loki/api/v1/push");
        let request = self.web.request(Method::POST, url).header("content-type", "application/json");
        let answer = self.web.ask_with(request.body("{\"streams\":[]}")).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let is_remark = matches!(answer.status.as_u16(), 400 | 422) && text.contains("stream");
        if is_remark { Ok(Probed { checked: WELL }) } else { answer.probed(hint, WELL) }
    }
}

const WELL: &str = "reached, and a push without lines is answered as Loki does";

impl Sink for LokiSink {
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

fn headers(plan: &LokiPlan) -> Result<HeaderMap, Refusal> {
    let mut headers = configured(&BTreeMap::new(), plan.token.as_ref())?;
    if let Some((user, password)) = &plan.basic {
        let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
        let Some(value) = secret_value(&format!("Basic {pair}")) else {
            return Err(Refusal::stop("`username` cannot be sent", "use visible ASCII only"));
        };
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(tenant) = &plan.tenant {
        let Some(value) = secret_value(tenant) else {
            return Err(Refusal::stop("`tenant` has bytes that no header can hold", "use visible ASCII only"));
        };
        headers.insert("x-scope-orgid", value);
    }
    Ok(headers)
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    json::string(out, name.as_bytes());
    out.push(b':');
    json::string(out, value.as_bytes());
}

fn metadata(out: &mut Vec<u8>, number: u64, head: &Head<'_>) {
    out.extend_from_slice(b"\"line\":\"");
    json::unsigned(out, number);
    out.push(b'"');
    let admin = if head.admin { "true" } else { "" };
    let rest = [
        ("id", head.id.as_ref()),
        ("user", head.user.as_ref()),
        ("person", head.person.as_ref()),
        ("action", head.action.as_ref()),
        ("outcome", head.outcome.as_ref()),
        ("database", head.database.as_ref()),
        ("admin", admin),
    ];
    for (name, value) in rest.into_iter().filter(|(_, value)| (1..=METADATA_MAX_BYTES).contains(&value.len())) {
        out.push(b',');
        json::string(out, name.as_bytes());
        out.push(b':');
        json::string(out, value.as_bytes());
    }
}

/// What Loki says of single lines, by a part of its words, and has taken the others then.
const OF_SINGLE_LINES: &[&str] = &[
    "has timestamp too old",
    "has timestamp too new",
    "too far behind",
    "entry out of order",
    "Max entry size",
    "structured metadata too large",
    "has too many structured metadata",
];

const TOO_OLD: &str = "has timestamp too old";
const OLDEST: &str = "oldest acceptable timestamp is: ";

fn bad_request(answer: Answer, lines: &Lines<'_>) -> Refusal {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if !OF_SINGLE_LINES.iter().any(|words| text.contains(words)) {
        return answer.refusal(hint);
    }
    let (old, again) = oldest_taken(&text).map_or_else(Default::default, |oldest| divide(lines, oldest));
    let (after, answer) = (answer.after(), answer.text());
    if old.is_empty() {
        return Refusal::Split { why: "answered 400: it refuses a line for its time or its length".to_owned(), answer };
    }
    let why = format!("answered 400: {} of {} lines are older than it takes", old.len(), lines.count());
    let refused = old.into_iter().map(|index| Refused { index, answer: answer.clone() }).collect();
    Refusal::Partly { refused, again, after, why }
}

/// The time before which lines of any stream are refused. What is too far behind is that in its own stream only, and is not asked for here.
fn oldest_taken(text: &str) -> Option<u64> {
    let after = &text[text.find(TOO_OLD)?..];
    let after = &after[after.find(OLDEST)? + OLDEST.len()..];
    let end = after.find(|c: char| c.is_whitespace() || matches!(c, ',' | '\'' | '"')).unwrap_or(after.len());
    let time = after[..end].parse::<jiff::Timestamp>().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// The places of the lines before `oldest`, and of the others.
fn divide(lines: &Lines<'_>, oldest: u64) -> (Vec<usize>, Vec<usize>) {
    let is_old = |line: &[u8]| Head::of(line).unix_ns().is_some_and(|time| time < oldest);
    let indexed = lines.iter().map(|(_, line)| line).enumerate();
    let (old, rest): (Vec<_>, Vec<_>) = indexed.partition(|(_, line)| is_old(line));
    let indices = |part: Vec<(usize, &[u8])>| part.into_iter().map(|(index, _)| index).collect();
    (indices(old), indices(rest))
}

fn hint(status: u16) -> &'static str {
    match status {
        400 | 422 => {
            "Loki does not take the request as it is: see its own log; before version 3, or with schema v12, set `structured_metadata = false`"
        }
        401 => "check `tenant`, and `username` with `password`, or `token`",
        403 => "the account is known and may not push: give it the right (logs:write)",
        404 | 405 => "check `url`: /loki/api/v1/push is added to it",
        _ => "see Loki's own log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_time_is_read_of_lines_that_are_too_old_only() {
        let old = "entry for stream '{a=\"b\"}' has timestamp too old: 2026-01-01T00:00:00Z, oldest acceptable timestamp is: 2026-11-01T00:00:00Z\n";
        let behind = "entry with timestamp 2026-01-01 ignored, reason: 'entry too far behind, oldest acceptable timestamp is: 2026-11-01T00:00:00Z',";
        assert_eq!(oldest_taken(old), Some(1_793_491_200_000_000_000));
        assert_eq!(oldest_taken(behind), None);
        assert_eq!(oldest_taken("has timestamp too old, oldest acceptable timestamp is: x"), None);
    }

    #[test]
    fn lines_before_a_time_are_told_from_the_others() {
        let ndjson = b"{\"time\":\"2026-01-01T00:00:00Z\"}\n{\"time\":\"2026-01-03T00:00:00Z\"}\n{}\n";
        let lines = Lines { origin: "o", first: 0, last: 2, ndjson, numbers: None };
        let oldest = u64::try_from("2026-01-02T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
        assert_eq!(divide(&lines, oldest), (vec![0], vec![1, 2]));
    }
}
