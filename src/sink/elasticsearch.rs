//! Elasticsearch and OpenSearch: documents by `_bulk`, each created under a name that is its line's, so that a second delivery is none.
//!
//! The request's status says little: each document has one of its own. 409 is a document that is there already, and success. What the
//! cluster cannot take now is sent again without the others; what its mapping does not take is a dead letter. One thing makes
//! that dangerous: a mapping that fits no document at all would bury a whole trail, so that a batch of which nothing is taken stops.
//!
//! The name of an event is its id behind the trail's origin: file ids are made of a file's first line, which two hosts may share, and
//! of two documents with one name the second would never arrive. The agent's own lines have the origin in their ids; since a trail that
//! was continued twice has two lines under one number, their names end with what they say.

use std::borrow::Cow;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::line::Head;
use super::sigv4::Signer;
use super::web::{Answer, Web, secret_value};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Step, Takes};
use crate::config::plan::{ElasticsearchPlan, SearchLogin, SearchProduct};
use crate::hex::hex;
use crate::schema::{Schema, render};

/// All that is read of an answer: statuses, and what is wrong with a document. Without it an answer is as long as the request.
const FILTER: &str =
    "items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";
/// An answer is read whole. Of a batch of 64 MiB in lines of 200 bytes, all taken, it has 10 MiB.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;
/// What a document has before its line: about this much.
const PREFIX_BYTES: usize = 320;
/// So many lines of which not one is taken say something of the index, not of the lines.
const NONE_TAKEN_MIN: usize = 8;

/// `type = "elasticsearch"` and `type = "opensearch"`.
#[derive(Debug)]
pub struct ElasticsearchSink {
    web: Web,
    bulk: Url,
    index: String,
    product: SearchProduct,
    schema: Schema,
    batch_max_bytes: usize,
    signer: Option<Signer>,
}

/// The body of an answer to `_bulk`.
#[derive(Debug, Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    create: Verdict,
}

/// What became of one document.
#[derive(Debug, Deserialize)]
struct Verdict {
    status: u16,
    #[serde(default)]
    error: Value,
    /// `used`: what does not fit is kept aside, and said to be created.
    #[serde(default)]
    failure_store: Option<String>,
}

impl ElasticsearchSink {
    /// Reads the certificates; connects to nothing and looks for no credentials yet.
    pub fn new(plan: &ElasticsearchPlan, schema: Schema) -> Result<Self, Refusal> {
        let web = Web::new(&plan.url, &plan.tls, headers(&plan.login)?, plan.compression, plan.timeout)?;
        let mut bulk = web.url_of(&format!("{}/_bulk", plan.index));
        bulk.query_pairs_mut().append_pair("filter_path", FILTER);
        let signer = match &plan.login {
            SearchLogin::Aws { region, service, credentials } => {
                Some(Signer::new(region, service, credentials.as_ref()))
            }
            _ => None,
        };
        Ok(ElasticsearchSink {
            web,
            bulk,
            index: plan.index.clone(),
            product: plan.product,
            schema,
            batch_max_bytes: plan.batch_max_bytes,
            signer,
        })
    }

    async fn hand_over(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let body = self.web.encode(&documents(self.schema, lines))?;
        let headers = self.signature(&Method::POST, &self.bulk, &body).await?;
        let url = self.bulk.clone();
        let answer = self.web.post(url, "application/x-ndjson", headers, body, ANSWER_MAX_BYTES).await?;
        if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && let Some(signer) = &self.signer
        {
            signer.forget().await;
        }
        if !answer.status.is_success() {
            return Err(answer.refusal(hint));
        }
        judge(usize::try_from(lines.count()).unwrap_or(usize::MAX), &answer)
    }

    async fn signature(&self, method: &Method, url: &Url, body: &[u8]) -> Result<HeaderMap, Refusal> {
        match &self.signer {
            Some(signer) => signer.headers(method, url, body).await,
            None => Ok(HeaderMap::new()),
        }
    }

    /// Who it is; then, without writing, whether we may write. Elasticsearch can be asked that. OpenSearch cannot: it says only
    /// whether the index is there.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let root = self.get(Method::GET, self.web.url_of(""), "").await?;
        let version = version(&root);
        match root.status.as_u16() {
            200 if !version["number"].is_string() => return Err(nobody()),
            // 403: it may not be asked who it is. 404: the serverless one has no name.
            200 | 403 | 404 if !blames_the_signature(&root) => {}
            _ => return Err(refused(root, Step::Authenticate)),
        }
        // An OpenSearch that is configured as the other answers as it is.
        match self.product {
            SearchProduct::Elasticsearch if version["distribution"] != "opensearch" => self.ask_privileges().await,
            _ => self.ask_index().await,
        }
    }

    async fn ask_privileges(&self) -> Result<Probed, ProbeError> {
        let wanted = json!({ "index": [{ "names": [self.index], "privileges": ["create_doc"] }] }).to_string();
        let url = self.web.url_of("_security/user/_has_privileges");
        let answer = self.get(Method::POST, url, &wanted).await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match (answer.status.as_u16(), &body["has_all_requested"]) {
            (200, Value::Bool(true)) => Ok(Probed { checked: "reached, authenticated, and may write" }),
            (200, Value::Bool(false)) => Err(ProbeError {
                step: Step::Write,
                why: format!("the account has no right to create documents in {}", self.index),
                hint: RIGHT.to_owned(),
            }),
            // Where security is off there is no such address.
            (400 | 404 | 405 | 500, _) => {
                Ok(Probed { checked: "reached; it does not answer for rights, so that writing is not checked" })
            }
            _ => Err(refused(answer, Step::Authenticate)),
        }
    }

    async fn ask_index(&self) -> Result<Probed, ProbeError> {
        let answer = self.get(Method::HEAD, self.web.url_of(&self.index), "").await?;
        match answer.status.as_u16() {
            200 => Ok(Probed {
                checked: "reached, authenticated, and the index is there; the right to write cannot be asked for",
            }),
            404 => Ok(Probed {
                checked: "reached and authenticated; the index is not there yet, and the right to write cannot be asked for",
            }),
            403 => Ok(Probed {
                checked: "reached; it may not be asked for the index, and the right to write is not checked",
            }),
            _ => Err(refused(answer, Step::Authenticate)),
        }
    }

    async fn get(&self, method: Method, url: Url, body: &str) -> Result<Answer, ProbeError> {
        let signature = self.signature(&method, &url, body.as_bytes()).await;
        let signature = signature.map_err(|refusal| ProbeError::at(Step::Configure, refusal))?;
        let mut request = self.web.request(method, url).headers(signature);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        self.web.ask_with(request).await
    }
}

impl Sink for ElasticsearchSink {
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

fn headers(login: &SearchLogin) -> Result<HeaderMap, Refusal> {
    let (value, key) = match login {
        SearchLogin::Nobody | SearchLogin::Aws { .. } => return Ok(HeaderMap::new()),
        SearchLogin::Password { username, password } => {
            (format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))), "password")
        }
        SearchLogin::ApiKey(key) => (format!("ApiKey {}", key.expose().trim()), "api_key"),
    };
    let value: Option<HeaderValue> = secret_value(&value);
    let value = value
        .ok_or_else(|| Refusal::stop(format!("`{key}` has bytes that no header can hold"), "use visible ASCII only"))?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// Two lines a document: what to do with it, and it itself.
fn documents(schema: Schema, lines: &Lines<'_>) -> Vec<u8> {
    let count = usize::try_from(lines.count()).unwrap_or_default();
    let mut out = Vec::with_capacity(lines.ndjson.len() + count * PREFIX_BYTES);
    for (number, line) in lines.iter() {
        document(schema, lines.origin, number, line.strip_suffix(b"\n").unwrap_or(line), &mut out);
    }
    out
}

fn document(schema: Schema, origin: &str, number: u64, line: &[u8], out: &mut Vec<u8>) {
    let head = Head::of(line);
    // Writing to a vector does not fail; nor does it below.
    let _ = writeln!(out, "{{\"create\":{{\"_id\":{}}}}}", Value::from(name(origin, &head, line)));
    let mut event = Vec::new();
    let object = match schema {
        Schema::Native => line,
        Schema::Ocsf | Schema::Ecs => {
            event.reserve(2 * line.len());
            render(schema, line, &mut event);
            &event
        }
    };
    out.push(b'{');
    place(schema, origin, number, &head, out);
    // The object follows as it is: without what is before it the document is the object again.
    let rest = object.strip_prefix(b"{").unwrap_or(object);
    if rest != b"}" {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out.push(b'\n');
}

/// Where in which trail the line stands; and when it was, which a data stream wants to know as `@timestamp`.
fn place(schema: Schema, origin: &str, number: u64, head: &Head<'_>, out: &mut Vec<u8>) {
    let origin = Value::from(origin);
    // Writing to a vector does not fail.
    let _ = match schema {
        // It has the time already, and an object of our name: names with dots go into it.
        Schema::Ecs => write!(out, "\"sealtrail.origin\":{origin},\"sealtrail.line\":{number}"),
        Schema::Native | Schema::Ocsf => {
            if !head.time.is_empty() {
                let _ = write!(out, "\"@timestamp\":{},", Value::from(head.time.as_ref()));
            }
            write!(out, "\"sealtrail\":{{\"origin\":{origin},\"line\":{number}}}")
        }
    };
}

/// At most 512 bytes: an origin has 200.
fn name(origin: &str, head: &Head<'_>, line: &[u8]) -> String {
    match head.kind.as_ref() {
        "event" => format!("{origin}/{}", head.id),
        // `id` begins with the origin.
        _ => format!("{}/{}", head.id, hex(&Sha256::digest(line)[..8])),
    }
}

/// An answer that says of each document what became of it.
fn judge(count: usize, answer: &Answer) -> Result<Accepted, Refusal> {
    let accepted = Accepted { bytes: answer.sent };
    let bulk: Bulk = match serde_json::from_slice(&answer.body) {
        Ok(bulk) => bulk,
        // Half as many have half as much to say.
        Err(_) if answer.body.len() >= ANSWER_MAX_BYTES && count > 1 => {
            return Err(Refusal::Split { why: "the answer is too long to be read".to_owned(), answer: String::new() });
        }
        Err(_) => return Err(no_bulk(answer)),
    };
    if bulk.items.len() != count {
        return Err(Refusal::later(format!("answered for {} documents of {count}", bulk.items.len())));
    }
    one_by_one(&bulk.items).map_or(Ok(accepted), Err)
}

/// `None`: all of them are there.
fn one_by_one(items: &[Item]) -> Option<Refusal> {
    let (mut refused, mut again, mut why) = (Vec::new(), Vec::new(), None);
    for (index, Item { create }) in items.iter().enumerate() {
        match fate(create) {
            Fate::There => continue,
            Fate::Later => again.push(index),
            Fate::Never => refused.push(Refused { index, answer: answer_of(create) }),
            Fate::Stop(hint) => return Some(Refusal::stop(reason(create), hint)),
        }
        why.get_or_insert_with(|| reason(create));
    }
    let why = why?;
    if refused.len() == items.len() && items.len() >= NONE_TAKEN_MIN {
        return Some(Refusal::stop(
            format!("none of {} documents is taken: {why}", items.len()),
            "the index does not fit the documents: install the template in packaging/elasticsearch, or mend the mapping",
        ));
    }
    Some(Refusal::Partly { refused, again, after: None, why })
}

/// What a document's own status means.
enum Fate {
    There,
    Later,
    Never,
    Stop(&'static str),
}

const RIGHT: &str = "give the account the right create_doc on the index, as docs/destinations/elasticsearch.md shows";

fn fate(verdict: &Verdict) -> Fate {
    let kind = verdict.error["type"].as_str().unwrap_or_default();
    match verdict.status {
        200..=299 if verdict.failure_store.as_deref() == Some("used") => Fate::Never,
        200..=299 | 409 => Fate::There,
        // A disk that is too full blocks its indices; with some releases that is 403.
        408 | 429 | 500..=599 => Fate::Later,
        _ if kind == "cluster_block_exception" => Fate::Later,
        400 | 413 => Fate::Never,
        401 | 403 => Fate::Stop(RIGHT),
        404 => Fate::Stop("the index is not there and may not be made: check `index`, or make it"),
        _ => Fate::Stop("see the cluster's own log"),
    }
}

/// Of what the cluster says only the kind of error, which holds nothing of the record.
fn reason(verdict: &Verdict) -> String {
    let kind = verdict.error["type"].as_str().unwrap_or_default();
    if verdict.failure_store.is_some() && (200..300).contains(&verdict.status) {
        return format!("answered {} and put it into the failure store", verdict.status);
    }
    let kind = if kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') { kind } else { "" };
    format!("answered {} {kind}", verdict.status).trim_end().to_owned()
}

fn answer_of(verdict: &Verdict) -> String {
    format!("{}\n\n{}", verdict.status, verdict.error)
}

fn no_bulk(answer: &Answer) -> Refusal {
    let body = String::from_utf8_lossy(&answer.body);
    // An answer that broke off is JSON as far as it goes.
    if body.trim_start().starts_with('{') || body.is_empty() {
        return Refusal::later("the answer is not whole");
    }
    Refusal::stop(
        format!("answered {}, and not as _bulk does", answer.status),
        "check `url`: the cluster's, without an index",
    )
}

/// What `GET /` tells of itself.
fn version(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.get_mut("version").map(Value::take).unwrap_or_default()
}

/// Amazon says 403 for what is not signed well, and for what is not allowed.
fn blames_the_signature(answer: &Answer) -> bool {
    let said: Cow<'_, str> = String::from_utf8_lossy(&answer.body);
    answer.status == StatusCode::FORBIDDEN && (said.contains("signature") || said.contains("security token"))
}

fn nobody() -> ProbeError {
    ProbeError {
        step: Step::Answer,
        why: "answers, but not as Elasticsearch or OpenSearch does".to_owned(),
        hint: "check `url`: the cluster's, without an index".to_owned(),
    }
}

fn refused(answer: Answer, step: Step) -> ProbeError {
    let step = if matches!(answer.status.as_u16(), 401 | 403) { step } else { Step::Answer };
    ProbeError::at(step, answer.refusal(hint))
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "check `username` and `password`, or `api_key`: the cluster does not know this agent",
        403 => {
            "the account may not write there, or the request is not signed by one that may: see docs/destinations/elasticsearch.md"
        }
        404 | 405 => "check `url`, and that `index` is there or may be made",
        406 | 415 => "what is between does not pass NDJSON on: check `url` and `compression`",
        _ => "see the cluster's own log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16, kind: &str) -> Item {
        Item { create: Verdict { status, error: json!({ "type": kind }), failure_store: None } }
    }

    fn written(line: &str) -> (Value, String) {
        let mut out = Vec::new();
        document(Schema::Native, "acme/db-1", 7, line.as_bytes(), &mut out);
        let text = String::from_utf8(out).unwrap();
        let (action, document) = text.split_once('\n').unwrap();
        (serde_json::from_str(action).unwrap(), document.trim_end().to_owned())
    }

    #[test]
    fn a_document_is_the_line_behind_its_time_and_place() {
        let line = r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z"}"#;
        let (action, document) = written(line);
        assert_eq!(action, json!({ "create": { "_id": "acme/db-1/f:1" } }));
        let before = r#"{"@timestamp":"2026-11-20T20:28:31.135Z","sealtrail":{"origin":"acme/db-1","line":7},"#;
        assert_eq!(document.strip_prefix(before).map(|rest| format!("{{{rest}")).as_deref(), Some(line));
    }

    #[test]
    fn every_schema_has_its_time_and_place() {
        let line = br#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z","action":"SELECT","news":1}"#;
        for schema in Schema::ALL {
            let mut out = Vec::new();
            document(schema, "acme/db-1", 7, line, &mut out);
            let text = String::from_utf8(out).unwrap();
            let document: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
            assert_eq!(document["@timestamp"], "2026-11-20T20:28:31.135Z", "{schema:?}");
            let dotted = schema == Schema::Ecs;
            let number = if dotted { &document["sealtrail.line"] } else { &document["sealtrail"]["line"] };
            assert_eq!(*number, 7, "{schema:?}");
            assert_eq!(text.matches("\"@timestamp\"").count(), 1, "{schema:?}");
        }
    }

    #[test]
    fn two_continuations_of_a_trail_have_two_names_under_one_number() {
        let name = |said: &str| {
            let line = format!(r#"{{"v":1,"type":"agent","id":"acme/db-1/7","message":"{said}"}}"#);
            written(&line).0["create"]["_id"].as_str().unwrap().to_owned()
        };
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
        assert!(name("a").starts_with("acme/db-1/7/"));
    }

    #[test]
    fn a_status_of_a_document_decides_of_it_alone() {
        let items = [
            item(201, ""),
            item(409, "version_conflict_engine_exception"),
            item(429, "es_rejected_execution_exception"),
            item(400, "document_parsing_exception"),
            item(403, "cluster_block_exception"),
        ];
        let Some(Refusal::Partly { refused, again, why, .. }) = one_by_one(&items) else { panic!() };
        assert_eq!(again, [2, 4]);
        assert_eq!(refused.iter().map(|refused| refused.index).collect::<Vec<_>>(), [3]);
        assert_eq!(why, "answered 429 es_rejected_execution_exception");
        assert_eq!(one_by_one(&items[..2]), None, "what is there already is there");
        let stop = one_by_one(&[item(201, ""), item(403, "security_exception")]);
        assert!(matches!(stop, Some(Refusal::Stop { .. })), "{stop:?}");
    }

    #[test]
    fn what_is_put_aside_is_not_taken() {
        let mut aside = item(201, "");
        aside.create.failure_store = Some("used".to_owned());
        let Some(Refusal::Partly { refused, why, .. }) = one_by_one(&[item(201, ""), aside]) else { panic!() };
        assert_eq!((refused.len(), refused[0].index), (1, 1));
        assert!(why.contains("failure store"), "{why}");
    }

    #[test]
    fn an_index_that_takes_nothing_is_an_alarm_and_no_grave() {
        let bad = || item(400, "document_parsing_exception");
        let few: Vec<Item> = (0..NONE_TAKEN_MIN - 1).map(|_| bad()).collect();
        assert!(matches!(one_by_one(&few), Some(Refusal::Partly { .. })));
        let many: Vec<Item> = (0..NONE_TAKEN_MIN).map(|_| bad()).collect();
        assert!(matches!(one_by_one(&many), Some(Refusal::Stop { .. })));
    }
}
