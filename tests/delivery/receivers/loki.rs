//! Loki's push API, after its reference and its page on request validation: it takes what it can of a request and answers 400 for the rest; it drops the
//! second of two entries that are alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::Value;

use crate::support::front::{Got, Receiver, Reply};

#[derive(Default)]
pub struct Loki {
    pub entries: Mutex<Vec<Entry>>,
    /// The same entries, to find a second one by.
    known: Mutex<BTreeSet<Entry>>,
    pub rules: Mutex<Rules>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub labels: BTreeMap<String, String>,
    pub time_ns: u64,
    pub line: String,
    pub metadata: BTreeMap<String, String>,
}

pub struct Rules {
    /// Entries before this are too old.
    pub oldest: Option<&'static str>,
    /// Entries that are so much older than the newest of their stream are too far behind.
    pub behind_max_ns: Option<u64>,
    /// Longer entries are refused (`max_line_size`).
    pub line_max_bytes: Option<usize>,
    /// Structured metadata is refused.
    pub is_before_v3: bool,
    /// Wanted of every request.
    pub tenant: Option<&'static str>,
    pub authorization: Option<&'static str>,
}

impl Default for Rules {
    /// Loki's own, but for those on age: the suite's lines are of one day.
    fn default() -> Self {
        Rules {
            oldest: None,
            behind_max_ns: None,
            line_max_bytes: Some(256 << 10),
            is_before_v3: false,
            tenant: None,
            authorization: None,
        }
    }
}

impl Receiver for Loki {
    fn answer(&self, got: &Got) -> Reply {
        let rules = self.rules.lock().unwrap();
        if rules.authorization.is_some_and(|wanted| got.header("authorization") != Some(wanted)) {
            return Reply::new(401, "no credentials");
        }
        if rules.tenant.is_some_and(|wanted| got.header("x-scope-orgid") != Some(wanted)) {
            return Reply::new(401, "no org id");
        }
        if got.path != "/loki/api/v1/push" || got.method != "POST" {
            return Reply::new(404, "404 page not found");
        }
        if got.header("content-type") != Some("application/json") {
            return Reply::new(400, "Content-Type must be application/json or application/x-protobuf");
        }
        let request: Value = match serde_json::from_slice(&got.body) {
            Ok(request) => request,
            Err(error) => return Reply::new(400, error.to_string()),
        };
        let streams = request["streams"].as_array().expect("streams");
        if streams.is_empty() {
            return Reply::new(422, "error at least one valid stream is required for ingestion");
        }
        let refused: Vec<String> = streams.iter().flat_map(|stream| self.push(stream, &rules)).collect();
        if refused.is_empty() { Reply::new(204, "") } else { Reply::new(400, refused.join("\n")) }
    }

    fn lines(&self) -> Vec<String> {
        self.entries.lock().unwrap().iter().map(|entry| entry.line.clone()).collect()
    }
}

impl Loki {
    /// What it says of the entries that it does not take.
    fn push(&self, stream: &Value, rules: &Rules) -> Vec<String> {
        let labels: BTreeMap<String, String> = serde_json::from_value(stream["stream"].clone()).expect("labels");
        assert!(!labels.is_empty() && labels.len() <= 15);
        let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(labels.keys().all(is_name) && labels.values().all(|value| !value.is_empty()));
        let values = stream["values"].as_array().expect("values");
        values.iter().filter_map(|value| self.entry(&labels, value, rules).err()).collect()
    }

    fn entry(&self, labels: &BTreeMap<String, String>, value: &Value, rules: &Rules) -> Result<(), String> {
        let value = value.as_array().expect("an entry");
        let time_ns: u64 = value[0].as_str().expect("a time as text").parse().expect("nanoseconds");
        let line = value[1].as_str().expect("a line").to_owned();
        let metadata = value.get(2).map(|metadata| serde_json::from_value(metadata.clone()).expect("texts"));
        let time = jiff::Timestamp::from_nanosecond(i128::from(time_ns)).unwrap();
        if metadata.is_some() && rules.is_before_v3 {
            return Err(format!("stream '{labels:?}' includes structured metadata, but this feature is disallowed"));
        }
        if let Some(oldest) = rules.oldest
            && time < oldest.parse().unwrap()
        {
            return Err(format!(
                "entry for stream '{labels:?}' has timestamp too old: {time}, oldest acceptable timestamp is: {oldest}"
            ));
        }
        if rules.line_max_bytes.is_some_and(|most| line.len() > most) {
            return Err(format!("Max entry size exceeded for stream '{labels:?}' with length '{}' bytes", line.len()));
        }
        let mut entries = self.entries.lock().unwrap();
        let of_stream = || entries.iter().filter(|entry| entry.labels == *labels);
        if let Some(most) = rules.behind_max_ns
            && of_stream().any(|entry| time_ns + most < entry.time_ns)
        {
            return Err(format!(
                "entry with timestamp {time} ignored, reason: 'entry too far behind, oldest acceptable timestamp is: 2099-01-01T00:00:00Z',"
            ));
        }
        let entry = Entry { labels: labels.clone(), time_ns, line, metadata: metadata.unwrap_or_default() };
        if self.known.lock().unwrap().insert(entry.clone()) {
            entries.push(entry);
        }
        Ok(())
    }

    pub fn streams(&self) -> BTreeSet<BTreeMap<String, String>> {
        self.entries.lock().unwrap().iter().map(|entry| entry.labels.clone()).collect()
    }
}
