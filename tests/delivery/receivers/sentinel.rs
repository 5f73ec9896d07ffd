//! Azure Monitor's Logs Ingestion API, after its documents: it cuts values of more than 64 KB and answers 204 all the same.

use std::sync::Mutex;

use serde_json::{Map, Value};

use super::tokens::Endpoint;
use crate::support::front::{Got, Receiver, Reply};

pub const RULE: &str = "dcr-00000000000000000000000000000000";
pub const STREAM: &str = "Custom-Sealtrail";

/// The columns of the stream, as docs/destinations/sentinel.md declares it, with their types.
const PAGE: &str = include_str!("../../../docs/destinations/sentinel.md");

pub struct Sentinel {
    pub rows: Mutex<Vec<Map<String, Value>>>,
    tokens: &'static Endpoint,
}

impl Sentinel {
    pub fn new(tokens: &'static Endpoint) -> Self {
        Sentinel { rows: Mutex::default(), tokens }
    }
}

impl Receiver for Sentinel {
    fn answer(&self, got: &Got) -> Reply {
        if !self.tokens.knows(got.header("authorization")) {
            return Reply::new(401, r#"{"error":{"code":"InvalidToken","message":"no"}}"#);
        }
        if got.path != format!("/dataCollectionRules/{RULE}/streams/{STREAM}?api-version=2023-01-01") {
            return Reply::new(404, r#"{"error":{"code":"NotFound","message":"no"}}"#);
        }
        if got.method != "POST" {
            return Reply::new(405, "");
        }
        if got.body.len() > 1_000_000 {
            return Reply::new(413, r#"{"error":{"code":"ContentLengthLimitExceeded","message":"no"}}"#);
        }
        let Ok(rows) = serde_json::from_slice::<Vec<Map<String, Value>>>(&got.body) else {
            return Reply::new(400, r#"{"error":{"code":"InvalidRequestContent","message":"no array"}}"#);
        };
        let columns = columns();
        for (name, value) in rows.iter().flatten() {
            let Some(kind) = columns.get(name) else { return Reply::new(400, format!("no column {name}")) };
            let fits = match kind.as_str().unwrap() {
                "long" | "int" => value.is_u64(),
                "boolean" => value.is_boolean(),
                "datetime" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                "string" => value.is_string(),
                other => panic!("{other}"),
            };
            assert!(fits, "{name}: {value}");
        }
        self.rows.lock().unwrap().extend(rows.into_iter().map(cut));
        Reply::new(204, "")
    }

    fn lines(&self) -> Vec<String> {
        let (mut lines, mut line) = (Vec::new(), String::new());
        for row in self.rows.lock().unwrap().iter() {
            line.push_str(row["Record"].as_str().unwrap());
            if row["Part"] == row["Parts"] {
                lines.push(std::mem::take(&mut line));
            }
        }
        lines
    }
}

/// Of the page's own declaration, so that what is copied from it fits what is sent.
fn columns() -> Map<String, Value> {
    let after = &PAGE[PAGE.find("```json").unwrap() + "```json".len()..];
    let declaration: Value = serde_json::from_str(&after[..after.find("```").unwrap()]).unwrap();
    let columns = declaration["streamDeclarations"][STREAM]["columns"].as_array().unwrap().clone();
    columns.into_iter().map(|column| (column["name"].as_str().unwrap().to_owned(), column["type"].clone())).collect()
}

fn cut(row: Map<String, Value>) -> Map<String, Value> {
    let cut = |value: Value| match value {
        Value::String(text) if text.len() > 64_000 => Value::String(text[..64_000].to_owned()),
        other => other,
    };
    row.into_iter().map(|(name, value)| (name, cut(value))).collect()
}
