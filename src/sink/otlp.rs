//! OpenTelemetry's protocol for logs, over HTTP with protobuf bodies (OTLP 1.x, `POST <url>/v1/logs`).
//!
//! A line is the body of a log record, as a string: what stands in the collector is what was sealed, so that it can be verified there. What a
//! collector routes and filters by is beside it, in attributes.
//!
//! The hard case is a success that is none: `partial_success` says how many records were rejected and never which, and the protocol forbids to
//! send any of them again. So all lines of such a request become dead letters, with the collector's answer, though most of them arrived:
//! rather a line in two places than one in none.

use prost::Message;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use self::message::{
    Any, AnyValue, KeyValue, LogRecord, PartialSuccess, Request, Resource, ResourceLogs, Response, Scope, ScopeLogs,
};
use super::line::{Head, Weight};
use super::web::{Answer, Web, configured};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes};
use crate::clock;
use crate::config::plan::OtlpPlan;
use crate::schema::{self, Schema};

mod message;

/// An answer's message may be long, and is decoded whole.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const NAME: &str = "sealtrail";

/// `type = "otlp"`.
#[derive(Debug)]
pub struct OtlpSink {
    web: Web,
    schema: Schema,
    host: String,
    batch_max_bytes: usize,
}

impl OtlpSink {
    /// Reads the certificates; connects to nothing. `host` is the agent's name.
    pub fn new(plan: &OtlpPlan, schema: Schema, host: &str) -> Result<Self, Refusal> {
        let headers = configured(&plan.headers, plan.token.as_ref())?;
        let web = Web::new(&plan.url, &plan.tls, headers, plan.compression, plan.timeout)?;
        Ok(OtlpSink { web, schema, host: host.to_owned(), batch_max_bytes: plan.batch_max_bytes })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let body = self.web.encode(&self.request(lines).encode_to_vec())?;
        let url = self.web.url_of("v1/logs");
        let answer = self.web.post(url, "application/x-protobuf", HeaderMap::new(), body, ANSWER_MAX_BYTES).await?;
        judge(answer, lines)
    }

    fn request(&self, lines: &Lines<'_>) -> Request {
        let observed = clock::unix_ms().saturating_mul(1_000_000);
        let records = lines.iter().map(|(number, line)| self.record(number, line, observed).encode_to_vec());
        let log_records = records.collect();
        let attributes = vec![
            KeyValue::new("service.name", text(NAME)),
            KeyValue::new("service.version", text(env!("CARGO_PKG_VERSION"))),
            KeyValue::new("host.name", text(&self.host)),
            KeyValue::new("sealtrail.origin", text(lines.origin)),
        ];
        let scope = Scope { name: NAME.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records }];
        Request { resource_logs: vec![ResourceLogs { resource: Some(Resource { attributes }), scope_logs }] }
    }

    fn record(&self, number: u64, line: &[u8], observed_time_unix_nano: u64) -> LogRecord {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let head = Head::of(line);
        let mut body = Vec::with_capacity(line.len());
        schema::render(self.schema, line, &mut body);
        let (severity_number, severity_text) = severity(head.weight());
        LogRecord {
            time_unix_nano: head.unix_ns().unwrap_or(0),
            severity_number,
            severity_text: severity_text.to_owned(),
            body: Some(AnyValue { value: Some(String::from_utf8(body).map_or_else(bytes, Any::Text)) }),
            attributes: attributes(number, &head),
            observed_time_unix_nano,
            event_name: if head.kind.is_empty() { String::new() } else { format!("{NAME}.{}", head.kind) },
        }
    }
}

impl Sink for OtlpSink {
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

impl OtlpSink {
    /// A request without a record: the specification lets a client send it, and a server answers as to any other.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let url = self.web.url_of("v1/logs");
        let request = self.web.request(Method::POST, url).header("content-type", "application/x-protobuf");
        let answer = self.web.ask_with(request.body(Request::default().encode_to_vec())).await?;
        answer.probed(hint, "reached, and a request without records is taken")
    }
}

/// Which answers may be followed by the same request again is the specification's own list, and shorter than HTTP's.
fn judge(answer: Answer, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
    let may_pass = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let status = answer.status;
    if status.is_success() {
        return match partial_success(&answer.body) {
            Some(partial) if partial.rejected_log_records > 0 => Err(rejected(&partial, lines.count())),
            // What a collector only remarks is not told: it may quote a record.
            Some(_) => Ok(Accepted { bytes: answer.sent }),
            None => Err(Refusal::stop(
                format!("answered {status} with a body that is not OTLP's"),
                "check `url`: something answers there that is no OpenTelemetry collector",
            )),
        };
    }
    match answer.refusal(hint) {
        Refusal::Later { why, .. } if !may_pass.contains(&status) => Err(Refusal::stop(why, hint(status.as_u16()))),
        refusal => Err(refusal),
    }
}

/// What a success says; `None` of a body that is no such answer. Some servers answer in JSON whatever they were sent.
fn partial_success(body: &[u8]) -> Option<PartialSuccess> {
    if body.first() == Some(&b'{') {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        let partial = &value["partialSuccess"];
        // protobuf's JSON writes 64-bit numbers as strings.
        let rejected = &partial["rejectedLogRecords"];
        let rejected = rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
        let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
        return Some(PartialSuccess { rejected_log_records: rejected, error_message: message });
    }
    Some(Response::decode(body).ok()?.partial_success.unwrap_or_default())
}

fn rejected(partial: &PartialSuccess, count: u64) -> Refusal {
    let rejected = partial.rejected_log_records;
    let which = if u64::try_from(rejected).is_ok_and(|rejected| rejected >= count) {
        "all of them"
    } else {
        "which ones is not said, and none may be sent again"
    };
    let why = format!("the collector rejects {rejected} of {count} records: {which}");
    let answer = format!("{why}\n\n{}", partial.error_message);
    let indices = 0..usize::try_from(count).unwrap_or(usize::MAX);
    let refused = indices.map(|index| Refused { index, answer: answer.clone() }).collect();
    Refusal::Partly { refused, again: Vec::new(), after: None, why }
}

fn severity(weight: Weight) -> (i32, &'static str) {
    match weight {
        Weight::Routine => (9, "INFO"),
        Weight::Privileged => (10, "INFO2"),
        Weight::Wrong => (13, "WARN"),
    }
}

/// By OpenTelemetry's names where it has one.
fn attributes(number: u64, head: &Head<'_>) -> Vec<KeyValue> {
    let texts = [
        ("log.record.uid", head.id.as_ref()),
        ("sealtrail.type", head.kind.as_ref()),
        ("sealtrail.source", head.source.as_ref()),
        ("sealtrail.category", head.category.as_ref()),
        ("sealtrail.action", head.action.as_ref()),
        ("sealtrail.resource", head.resource.as_ref()),
        ("sealtrail.outcome", head.outcome.as_ref()),
        ("user.name", head.user.as_ref()),
        ("enduser.id", head.person.as_ref()),
        ("db.system.name", db_system(&head.engine)),
        ("db.namespace", head.database.as_ref()),
    ];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
    let mut attributes: Vec<KeyValue> = texts.map(|(key, value)| KeyValue::new(key, text(value))).collect();
    attributes.push(KeyValue::new("sealtrail.line", Any::Number(i64::try_from(number).unwrap_or(i64::MAX))));
    if head.kind == "event" {
        attributes.push(KeyValue::new("sealtrail.admin", Any::Flag(head.admin)));
    }
    attributes
}

/// As OpenTelemetry's conventions spell it.
fn db_system(engine: &str) -> &str {
    match engine {
        "oracle" => "oracle.db",
        "sqlserver" => "microsoft.sql_server",
        other => other,
    }
}

fn text(text: &str) -> Any {
    Any::Text(text.to_owned())
}

/// A trail's lines are UTF-8; what is not is sent as bytes rather than changed.
fn bytes(error: std::string::FromUtf8Error) -> Any {
    Any::Bytes(error.into_bytes())
}

fn hint(status: u16) -> &'static str {
    match status {
        400 => "the collector cannot read the request, and says so for ever: see its own log",
        401 => "check `token` or `headers`: the collector does not know this agent",
        403 => "the collector knows this agent and does not let it write: give it the right, or another token",
        404 | 405 => {
            "check `url`: /v1/logs is added to it, and the collector's OTLP receiver must have HTTP and logs switched on"
        }
        415 => "the collector's OTLP receiver takes no protobuf there, or not this `compression`",
        _ => "see the collector's own log: OTLP lets nothing but 429, 502, 503 and 504 be tried again at once",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(rejected: i64, message: &str) -> Vec<u8> {
        let partial = PartialSuccess { rejected_log_records: rejected, error_message: message.to_owned() };
        Response { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn an_answer_is_read_in_either_encoding() {
        let rejected = |body: &[u8]| partial_success(body).map(|partial| partial.rejected_log_records);
        assert_eq!(rejected(b""), Some(0));
        assert_eq!(rejected(&partial(3, "no")), Some(3));
        assert_eq!(rejected(b"{}"), Some(0));
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedLogRecords":"4"}}"#), Some(4));
        assert_eq!(rejected(b"<html>"), None);
    }

    #[test]
    fn of_rejected_records_all_that_were_sent_are_kept() {
        let Refusal::Partly { refused, again, why, .. } =
            rejected(&PartialSuccess { rejected_log_records: 1, error_message: "secret".to_owned() }, 3)
        else {
            panic!("not partly");
        };
        assert_eq!((refused.len(), again.len()), (3, 0));
        assert!(refused[0].answer.contains("secret") && !why.contains("secret") && why.contains("1 of 3"));
    }
}
