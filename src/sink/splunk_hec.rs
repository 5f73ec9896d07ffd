//! Splunk's HTTP Event Collector: envelopes, one behind the other, by POST.
//!
//! The server cannot tell a second delivery from a first: each event has `origin`, `id` and `line` as indexed fields, so that a search
//! can. Without acknowledgement `Ok` means that Splunk has the events in memory; with it, that the indexers have written them. Then every
//! request goes through one channel, a GUID that lives as long as this sink, and its answer's `ackId` is asked for until it is true.
//!
//! What an answer means is said by the `code` in its body, not by its status alone. A refusal of one event names it, from 0, and Splunk
//! has then taken those before it and none after; other receivers of this protocol do otherwise, and Splunk Cloud names event 0 when the
//! request was too large. So the event that is named is sent once more, alone: only what is refused again goes to the dead letters, and
//! all others are sent again. Codes: "Troubleshoot HTTP Event Collector" in Splunk's manual.

use std::io::Write as _;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::line::Head;
use super::web::{ANSWER_MAX_BYTES, Answer, Web, secret_value};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Step, Takes};
use crate::config::plan::SplunkHecPlan;
use crate::schema::{self, Schema};

/// Where events go. HEC takes them behind the address that is configured.
const EVENT: &str = "services/collector/event";
/// Where it is asked what was written.
const ACK: &str = "services/collector/ack";
/// Whether it takes anything at all.
const HEALTH: &str = "services/collector/health";
/// The first wait for an acknowledgement; it is doubled up to the last one.
const ASK_FIRST: Duration = Duration::from_millis(100);
/// The last one. Splunk's own clients ask every ten seconds.
const ASK_LAST: Duration = Duration::from_secs(2);
/// What an envelope has beside its line: about this much.
const ENVELOPE_BYTES: usize = 320;

/// `type = "splunk_hec"`.
#[derive(Debug)]
pub struct SplunkHecSink {
    web: Web,
    schema: Schema,
    batch_max_bytes: usize,
    /// What is the same in every envelope, as JSON members.
    fixed: Fixed,
    /// Of requests that want to be acknowledged.
    channel: Option<Channel>,
}

/// What is configured of an envelope.
#[derive(Debug)]
struct Fixed {
    /// `"sourcetype":…` and, where it is configured, `,"index":…`.
    members: Vec<u8>,
    source: Option<String>,
    host: Option<String>,
}

#[derive(Debug)]
struct Channel {
    header: HeaderValue,
    timeout: Duration,
    /// The token acknowledges: asked once, before the first event is sent. Otherwise a token that does not would be sent the same
    /// events again and again.
    acknowledges: OnceCell<()>,
}

/// The body of an answer.
#[derive(Debug, Default, Deserialize)]
struct Said {
    code: Option<u64>,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    invalid: Option<usize>,
}

/// What became of one request.
enum Outcome {
    Taken(Accepted),
    /// An event of it is not one that HEC takes.
    Invalid {
        named: Option<usize>,
        why: String,
        answer: String,
    },
}

impl SplunkHecSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &SplunkHecPlan, schema: Schema) -> Result<Self, Refusal> {
        let Some(token) = secret_value(&format!("Splunk {}", plan.token.expose().trim())) else {
            return Err(Refusal::stop("`token` has bytes that no header can hold", "use visible ASCII only"));
        };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
        let channel = plan.acknowledgement.then(|| Channel::new(plan.acknowledgement_timeout)).transpose()?;
        Ok(SplunkHecSink {
            web: Web::new(&plan.url, &plan.tls, headers, plan.compression, plan.timeout)?,
            schema,
            batch_max_bytes: plan.batch_max_bytes,
            fixed: Fixed::new(plan),
            channel,
        })
    }

    async fn hand_over(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        if let Some(channel) = &self.channel {
            channel.acknowledges.get_or_try_init(|| self.acknowledges()).await?;
        }
        match self.send(lines).await? {
            Outcome::Taken(accepted) => Ok(accepted),
            Outcome::Invalid { named, why, answer } => Err(self.one_is_refused(lines, named, why, answer).await),
        }
    }

    /// Which one it is, where that can be known for certain.
    async fn one_is_refused(&self, lines: &Lines<'_>, named: Option<usize>, why: String, answer: String) -> Refusal {
        let alone = named.filter(|_| lines.count() > 1).and_then(|index| Some((index, lines.iter().nth(index)?)));
        let Some((index, (number, line))) = alone else { return Refusal::Split { why, answer } };
        let numbers = [number];
        let one = Lines { first: number, last: number, ndjson: line, numbers: Some(&numbers), ..*lines };
        match self.send(&one).await {
            Ok(Outcome::Invalid { why, answer, .. }) => {
                let again = (0..lines.iter().count()).filter(|other| *other != index).collect();
                Refusal::Partly { refused: vec![Refused { index, answer }], again, after: None, why }
            }
            // Not that one, then.
            Ok(Outcome::Taken(_)) => Refusal::Split { why, answer },
            Err(refusal) => refusal,
        }
    }

    async fn send(&self, lines: &Lines<'_>) -> Result<Outcome, Refusal> {
        let body = self.web.encode(&self.envelopes(lines))?;
        let url = self.web.url_of(EVENT);
        let answer = self.web.post(url, "application/json", self.own_headers(), body, ANSWER_MAX_BYTES).await?;
        let said = Said::of(&answer);
        let Some(code) = said.code else { return Err(not_hec(answer)) };
        let why = format!("answered {} with code {code}", answer.status);
        match code {
            0 | 24 | 25 if answer.status.is_success() => {
                let accepted = Accepted { bytes: answer.sent };
                match &self.channel {
                    None => Ok(Outcome::Taken(accepted)),
                    Some(channel) => self.written(channel, said.ack_id).await.map(|()| Outcome::Taken(accepted)),
                }
            }
            6 | 12 | 13 | 15 => Ok(Outcome::Invalid { named: said.invalid, why, answer: answer.text() }),
            _ => Err(refusal_of(code, answer, why)),
        }
    }

    /// Waits until the indexers have written what the answer with this `ackId` took.
    async fn written(&self, channel: &Channel, ack_id: Option<u64>) -> Result<(), Refusal> {
        let Some(ack_id) = ack_id else {
            return Err(Refusal::stop("the answer has no `ackId`, so that nothing can be acknowledged", ACK_HINT));
        };
        let deadline = Instant::now() + channel.timeout;
        let mut wait = ASK_FIRST;
        while Instant::now() < deadline {
            sleep(wait.min(deadline - Instant::now())).await;
            // A question that fails says nothing of what is written: only the deadline does.
            if let Ok(answer) = self.ask_acks(ack_id).await
                && is_acknowledged(&answer, ack_id)
            {
                return Ok(());
            }
            wait = (wait * 2).min(ASK_LAST);
        }
        Err(Refusal::later(format!("not acknowledged within {:?}", channel.timeout)))
    }

    /// Never compressed: the manual speaks of that for events only.
    async fn ask_acks(&self, ack_id: u64) -> Result<Answer, Refusal> {
        self.web.send(self.plain(ACK, format!("{{\"acks\":[{ack_id}]}}"))).await
    }

    /// Asks for an id that nobody has: a token that acknowledges says no, another says that it does not.
    async fn acknowledges(&self) -> Result<(), Refusal> {
        let answer = self.ask_acks(0).await?;
        match Said::of(&answer).code {
            None if answer.status == StatusCode::OK => Ok(()),
            None => Err(not_hec(answer)),
            Some(code) => {
                let why = format!("answered {} with code {code}", answer.status);
                Err(refusal_of(code, answer, why))
            }
        }
    }

    fn plain(&self, path: &str, body: String) -> RequestBuilder {
        let request = self.web.request(Method::POST, self.web.url_of(path));
        request.headers(self.own_headers()).header(CONTENT_TYPE, "application/json").body(body)
    }

    fn own_headers(&self) -> HeaderMap {
        let channel = self.channel.iter().map(|channel| (CHANNEL, channel.header.clone()));
        channel.collect()
    }

    fn envelopes(&self, lines: &Lines<'_>) -> Vec<u8> {
        let count = usize::try_from(lines.count()).unwrap_or_default();
        let mut out = Vec::with_capacity(lines.ndjson.len() + count * ENVELOPE_BYTES);
        for (number, line) in lines.iter() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.fixed.envelope(lines.origin, number, line, self.schema, &mut out);
        }
        out
    }

    /// Health needs no token; a request without events is answered with code 5 where the token is good, and writes nothing.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let health = self.web.ask(Method::GET, self.web.url_of(HEALTH)).await?;
        let code = Said::of(&health).code;
        if !health.status.is_success() || code.is_none() {
            return Err(unwell(code, health));
        }
        let known = self.web.ask_with(self.plain(EVENT, String::new())).await?;
        match Said::of(&known).code {
            Some(5) => {}
            Some(code) => return Err(refused_probe(code, &known)),
            None => return Err(unwell(None, known)),
        }
        if self.channel.is_none() {
            return Ok(Probed {
                checked: "reached, healthy, and the token is good; whether it may write to `index` is not checked",
            });
        }
        let acks = self.web.ask_with(self.plain(ACK, "{\"acks\":[0]}".to_owned())).await?;
        match Said::of(&acks).code {
            None if acks.status == StatusCode::OK => Ok(Probed {
                checked: "reached, healthy, the token is good and acknowledges; whether it may write to `index` is not checked",
            }),
            Some(code) => Err(refused_probe(code, &acks)),
            None => Err(unwell(None, acks)),
        }
    }
}

impl Sink for SplunkHecSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.hand_over(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

impl Channel {
    fn new(timeout: Duration) -> Result<Self, Refusal> {
        // Digits and dashes: always a header.
        let header = HeaderValue::try_from(guid()).map_err(|error| Refusal::later(error.to_string()))?;
        Ok(Channel { header, timeout, acknowledges: OnceCell::new() })
    }
}

/// A random one, RFC 9562 version 4. It is no secret: it keeps two agents of one token apart.
fn guid() -> String {
    let random = fastrand::u128(..) & !(0xf000 << 64) & !(0xc000 << 48) | (0x4000 << 64) | (0x8000 << 48);
    let digits = format!("{random:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

impl Fixed {
    fn new(plan: &SplunkHecPlan) -> Self {
        let mut members = Vec::new();
        member(&mut members, "sourcetype", &plan.sourcetype);
        if let Some(index) = &plan.index {
            members.push(b',');
            member(&mut members, "index", index);
        }
        Fixed { members, source: plan.source.clone(), host: plan.host.clone() }
    }

    /// Appends one. HEC answers 200 to a key that it does not know and takes nothing from there on, so that none may be added here
    /// which is not in its manual ("Format events for HTTP Event Collector").
    fn envelope(&self, origin: &str, number: u64, line: &[u8], schema: Schema, out: &mut Vec<u8>) {
        let head = Head::of(line);
        out.push(b'{');
        if let Some(ms) = head.unix_ms().filter(|ms| *ms >= 0) {
            // Writing to a vector does not fail; nor does it below.
            let _ = write!(out, "\"time\":{}.{:03},", ms / 1000, ms % 1000);
        }
        let agent = if head.source.is_empty() { "sealtrail" } else { &head.source };
        let host = if head.server.is_empty() { origin.rsplit('/').next().unwrap_or(origin) } else { &head.server };
        member(out, "host", self.host.as_deref().unwrap_or(host));
        out.push(b',');
        member(out, "source", self.source.as_deref().unwrap_or(agent));
        out.push(b',');
        out.extend_from_slice(&self.members);
        out.extend_from_slice(b",\"event\":");
        schema::render(schema, line, out);
        // Flat, and all of them strings: what is not is refused with code 15.
        out.extend_from_slice(b",\"fields\":{");
        member(out, "origin", origin);
        let _ = write!(out, ",\"line\":\"{number}\"");
        for (name, value) in [("id", &head.id), ("type", &head.kind), ("category", &head.category)] {
            if !value.is_empty() {
                out.push(b',');
                member(out, name, value);
            }
        }
        if head.kind == "event" {
            let _ = write!(out, ",\"admin\":\"{}\"", head.admin);
        }
        out.extend_from_slice(b"}}");
    }
}

/// `"name":"value"`.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    let _ = write!(out, "\"{name}\":{}", Value::from(value));
}

impl Said {
    /// What is no such body says nothing.
    fn of(answer: &Answer) -> Self {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

/// `{"acks":{"7":true}}`.
fn is_acknowledged(answer: &Answer, ack_id: u64) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == StatusCode::OK && body["acks"][ack_id.to_string()] == Value::Bool(true)
}

/// Something between us and HEC has answered, or something that is no HEC.
fn not_hec(answer: Answer) -> Refusal {
    if answer.status.is_success() {
        return Refusal::stop(
            format!("answered {}, and not as HEC does", answer.status),
            "check `url`: host and port of HTTP Event Collector, without a path",
        );
    }
    answer.refusal(hint)
}

/// A code that is no success and speaks of no single event.
fn refusal_of(code: u64, answer: Answer, why: String) -> Refusal {
    match code {
        1..=4 | 7 | 10 | 11 | 14 | 16 | 21 | 22 | 28 => Refusal::stop(why, code_hint(code)),
        8 | 9 | 18..=20 | 23 | 26 | 27 => Refusal::Later { after: answer.after(), why },
        // Not in its manual: then the status has to do.
        _ if answer.status.is_success() => Refusal::stop(why, code_hint(code)),
        _ => answer.refusal(hint),
    }
}

const ACK_HINT: &str = "enable indexer acknowledgment for the token in Splunk, or set `acknowledgement = false`";

fn code_hint(code: u64) -> &'static str {
    match code {
        1 | 22 => "the token is disabled: enable it in Splunk",
        2..=4 | 21 => "check `token`: Splunk does not know it",
        7 => "check `index`: it must exist, and be among those that the token allows",
        10 | 28 => {
            "the token wants acknowledgement: set `acknowledgement = true`, or disable it for the token in Splunk"
        }
        11 => "what is between does not pass X-Splunk-Request-Channel on as it is",
        14 => ACK_HINT,
        9 | 18..=20 | 26 | 27 => "Splunk is full for now: try again, or look at its indexers",
        _ => "see Splunk's own log (splunkd.log, HttpInputDataHandler)",
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "check `token`: Splunk does not know it",
        404 | 405 => "check `url`: host and port of HTTP Event Collector, without a path",
        _ => "see Splunk's own log (splunkd.log, HttpInputDataHandler)",
    }
}

fn refused_probe(code: u64, answer: &Answer) -> ProbeError {
    let step = if matches!(code, 1..=4 | 21 | 22) { Step::Authenticate } else { Step::Answer };
    ProbeError { step, why: format!("answered {} with code {code}", answer.status), hint: code_hint(code).to_owned() }
}

fn unwell(code: Option<u64>, answer: Answer) -> ProbeError {
    match code {
        Some(code) => refused_probe(code, &answer),
        None => ProbeError::at(Step::Answer, not_hec(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(host: Option<&str>) -> Fixed {
        let mut members = Vec::new();
        member(&mut members, "sourcetype", "sealtrail");
        Fixed { members, source: None, host: host.map(str::to_owned) }
    }

    #[test]
    fn an_envelope_has_the_keys_that_hec_knows_and_flat_fields_of_strings() {
        let line = br#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z","category":"data_read","admin":false,"server":"db1","source":"pg"}"#;
        let mut out = Vec::new();
        fixed(None).envelope("a/\"b", 7, line, Schema::Native, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(
            r#"{"time":1795206511.135,"host":"db1","source":"pg","sourcetype":"sealtrail","event":{"v":1,"#
        ));
        let fields = r#","fields":{"origin":"a/\"b","line":"7","id":"f:1","type":"event","category":"data_read","admin":"false"}}"#;
        assert!(text.ends_with(fields), "{text}");
    }

    #[test]
    fn a_line_of_the_agent_is_of_the_host_that_the_origin_names_unless_one_is_configured() {
        let host = |host| {
            let mut out = Vec::new();
            fixed(host).envelope(
                "acme/prod/db-1",
                0,
                br#"{"type":"agent","id":"acme/prod/db-1/0"}"#,
                Schema::Native,
                &mut out,
            );
            let envelope: Value = serde_json::from_slice(&out).unwrap();
            (envelope["host"].clone(), envelope["source"].clone(), envelope.get("time").is_some())
        };
        assert_eq!(host(None), ("db-1".into(), "sealtrail".into(), false));
        assert_eq!(host(Some("vip")), ("vip".into(), "sealtrail".into(), false));
    }

    #[test]
    fn a_channel_is_a_guid_of_version_4_and_another_each_time() {
        let (one, other) = (guid(), guid());
        assert_ne!(one, other);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(one.as_bytes()[14] == b'4' && b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
