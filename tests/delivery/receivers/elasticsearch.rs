//! A cluster of Elasticsearch or OpenSearch with one data stream, after their manuals (Bulk API, data streams, Has privileges API) and
//! with the mapping of the template that this project ships: what does not fit it is refused, document by document.
//!
//! Signatures are checked by what Amazon's manual says of Signature Version 4, with code that shares nothing with the agent's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit, Mac};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::front::{Got, Receiver, Reply};

pub const INDEX: &str = "logs-sealtrail-default";
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Whom it lets in.
pub enum Door {
    Open,
    /// `Authorization` must be this.
    Header(&'static str),
    /// Signed for this region and service.
    Signed(&'static str, &'static str),
}

pub struct Cluster {
    door: Door,
    is_opensearch: bool,
    mapping: Value,
    pub state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// Lines in the order in which they were created.
    pub lines: Vec<String>,
    /// By `_id`.
    pub documents: BTreeMap<String, Value>,
    /// The account may not create documents.
    pub may_not_write: bool,
    /// The account may not be told of the cluster or the index.
    pub may_not_ask: bool,
    /// Documents with one of these in them are too much for now, once.
    pub busy: Vec<String>,
    /// Documents with this in them do not fit.
    pub poison: Option<String>,
    /// A request has no more documents than this.
    pub documents_max: Option<usize>,
    /// There is no such index, and none may be made.
    pub no_index: bool,
    pub bulks: usize,
}

impl Cluster {
    pub fn elasticsearch(door: Door) -> Self {
        Cluster::of(door, false, "index-template.json")
    }

    pub fn opensearch(door: Door) -> Self {
        Cluster::of(door, true, "index-template.opensearch.json")
    }

    fn of(door: Door, is_opensearch: bool, template: &str) -> Self {
        Cluster { door, is_opensearch, mapping: mapping_of(template), state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn lets_in(&self, got: &Got) -> bool {
        match self.door {
            Door::Open => true,
            Door::Header(wanted) => got.header("authorization") == Some(wanted),
            Door::Signed(region, service) => is_signed(got, region, service),
        }
    }

    fn bulk(&self, got: &Got) -> Reply {
        if !matches!(got.header("content-type"), Some("application/x-ndjson" | "application/json")) {
            return error(406, "media_type_header_exception");
        }
        let Ok(body) = std::str::from_utf8(&got.body) else { return error(400, "x_content_parse_exception") };
        if !body.ends_with('\n') {
            return error(400, "illegal_argument_exception");
        }
        let lines: Vec<&str> = body.lines().collect();
        let mut state = self.state();
        if state.documents_max.is_some_and(|most| lines.len() / 2 > most) {
            return Reply::new(413, "");
        }
        state.bulks += 1;
        let mut items = Vec::new();
        for pair in lines.chunks(2) {
            let [action, document] = pair else { return error(400, "illegal_argument_exception") };
            let Ok(action) = serde_json::from_str::<Value>(action) else { return error(400, "json_parse_exception") };
            items.push(self.create(&mut state, &action, document));
        }
        Reply::new(200, json!({ "items": items }).to_string())
    }

    fn create(&self, state: &mut State, action: &Value, text: &str) -> Value {
        // A data stream takes nothing but this.
        let Some(id) = action["create"]["_id"].as_str().filter(|id| (1..=512).contains(&id.len())) else {
            return item(400, "illegal_argument_exception", "only write ops with an op_type of create are allowed");
        };
        if state.may_not_write {
            return item(403, "security_exception", "unauthorized");
        }
        if state.no_index {
            return item(404, "index_not_found_exception", "no such index");
        }
        if let Some(at) = state.busy.iter().position(|busy| text.contains(busy.as_str())) {
            state.busy.remove(at);
            return item(429, "es_rejected_execution_exception", "queue is full");
        }
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        if let Err(reason) = fits(&document, &self.mapping, "") {
            return item(400, "document_parsing_exception", &reason);
        }
        if state.poison.as_ref().is_some_and(|poison| text.contains(poison.as_str())) {
            return item(400, "document_parsing_exception", "told to");
        }
        if !document["@timestamp"].as_str().is_some_and(is_date) {
            return item(400, "illegal_argument_exception", "data stream timestamp field [@timestamp] is missing");
        }
        if state.documents.contains_key(id) {
            return item(409, "version_conflict_engine_exception", "document already exists");
        }
        state.lines.push(line_of(&document, text));
        state.documents.insert(id.to_owned(), document);
        json!({ "create": { "status": 201 } })
    }

    fn privileges(&self, got: &Got) -> Reply {
        if self.is_opensearch {
            return error(405, "no handler found");
        }
        let asked: Value = serde_json::from_slice(&got.body).unwrap_or_default();
        if !asked["index"][0]["names"].is_array() || !asked["index"][0]["privileges"].is_array() {
            return error(400, "x_content_parse_exception");
        }
        let may = !self.state().may_not_write;
        Reply::new(200, json!({ "username": "u", "has_all_requested": may }).to_string())
    }
}

impl Receiver for Cluster {
    fn answer(&self, got: &Got) -> Reply {
        let (path, query) = got.path.split_once('?').unwrap_or((&got.path, ""));
        if !self.lets_in(got) {
            return match self.door {
                Door::Signed(..) => {
                    Reply::new(403, r#"{"message":"The request signature we calculated does not match"}"#)
                }
                _ => error(401, "security_exception"),
            };
        }
        let may_not_ask = self.state().may_not_ask;
        match (got.method.clone(), path) {
            (Method::GET | Method::HEAD, _) if may_not_ask => error(403, "security_exception"),
            (Method::GET, "/") => {
                let distribution = if self.is_opensearch { json!("opensearch") } else { Value::Null };
                let version = json!({ "number": "9.1.0", "distribution": distribution });
                Reply::new(200, json!({ "cluster_name": "c", "version": version }).to_string())
            }
            (Method::HEAD, path) if path == format!("/{INDEX}") => {
                Reply::new(if self.state().documents.is_empty() { 404 } else { 200 }, "")
            }
            (Method::POST, "/_security/user/_has_privileges") => self.privileges(got),
            (Method::POST, path) if path == format!("/{INDEX}/_bulk") && query.starts_with("filter_path=items") => {
                self.bulk(got)
            }
            _ => error(400, "no handler found"),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }
}

/// The mapping of a template that we ship.
pub fn mapping_of(template: &str) -> Value {
    let path = format!("{}/packaging/elasticsearch/{template}", env!("CARGO_MANIFEST_DIR"));
    let template: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    template["template"]["mappings"].clone()
}

/// The document without what goes before its line.
fn line_of(document: &Value, text: &str) -> String {
    let (place, rest) = text.split_once("\"sealtrail\":{").unwrap().1.split_once("},").unwrap();
    assert_eq!(document["sealtrail"], serde_json::from_str::<Value>(&format!("{{{place}}}")).unwrap());
    let line = format!("{{{rest}");
    assert_eq!(document["@timestamp"], serde_json::from_str::<Value>(&line).unwrap()["time"]);
    line
}

/// As a mapping takes it: no object where a value is wanted, no value where an object is.
pub fn fits(value: &Value, mapping: &Value, path: &str) -> Result<(), String> {
    if mapping["enabled"] == Value::Bool(false) {
        return Ok(());
    }
    if let Value::Array(values) = value {
        return values.iter().try_for_each(|value| fits(value, mapping, path));
    }
    let failed = || Err(format!("failed to parse field [{path}]"));
    if let Some(properties) = mapping["properties"].as_object() {
        let Value::Object(members) = value else { return failed() };
        let known = members.iter().filter_map(|(name, member)| Some((name, member, properties.get(name)?)));
        return known
            .into_iter()
            .try_for_each(|(name, member, mapping)| fits(member, mapping, &format!("{path}.{name}")));
    }
    let is_lenient = mapping["ignore_malformed"] == Value::Bool(true);
    let fits = match mapping["type"].as_str().unwrap() {
        "flattened" | "flat_object" => value.is_object(),
        "boolean" => value.is_boolean(),
        "long" => value.is_i64() || is_lenient && !value.is_object(),
        "date" => value.as_str().is_some_and(is_date) || is_lenient && !value.is_object(),
        "keyword" => {
            let is_short = value.as_str().is_none_or(|text| text.len() <= 32_766);
            let is_stored = mapping["index"] == Value::Bool(false) || mapping["ignore_above"].is_u64();
            !value.is_object() && (is_short || is_stored)
        }
        "text" => !value.is_object(),
        other => panic!("{path}: the template has the type {other}"),
    };
    if fits { Ok(()) } else { failed() }
}

fn is_date(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

fn item(status: u16, kind: &str, reason: &str) -> Value {
    json!({ "create": { "status": status, "error": { "type": kind, "reason": reason } } })
}

fn error(status: u16, kind: &str) -> Reply {
    Reply::new(status, json!({ "error": { "type": kind }, "status": status }).to_string())
}

/// "Create a signed AWS API request", Amazon's manual of IAM.
fn is_signed(got: &Got, region: &str, service: &str) -> bool {
    let Some(authorization) = got.header("authorization") else { return false };
    let Some(rest) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else { return false };
    let parts: BTreeMap<&str, &str> = rest.split(", ").filter_map(|part| part.split_once('=')).collect();
    let (Some(time), Some(hash)) = (got.header("x-amz-date"), got.header("x-amz-content-sha256")) else { return false };
    // The front has taken the body's encoding away: its hash is checked where it has none.
    if got.header("content-encoding").is_none() && hash != hex(&Sha256::digest(&got.body)) {
        return false;
    }
    let day = &time[..8];
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let (path, query) = got.path.split_once('?').unwrap_or((&got.path, ""));
    let mut canonical = format!("{}\n{path}\n{}\n", got.method, canonical_query(query));
    for name in parts["SignedHeaders"].split(';') {
        let _ = writeln!(canonical, "{name}:{}", got.header(name).unwrap().trim());
    }
    let _ = write!(canonical, "\n{}\n{hash}", parts["SignedHeaders"]);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = hmac(format!("AWS4{SECRET_KEY}").as_bytes(), day);
    for part in [region, service, "aws4_request"] {
        key = hmac(&key, part);
    }
    parts["Credential"] == format!("{ACCESS_KEY}/{scope}") && parts["Signature"] == hex(&hmac(&key, &to_sign))
}

/// Names and values in their order, all but letters, digits and `-._~` in percents.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<String> = reqwest::Url::parse(&format!("http://h/?{query}"))
        .unwrap()
        .query_pairs()
        .map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value)))
        .collect();
    pairs.sort();
    if query.is_empty() { String::new() } else { pairs.join("&") }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
