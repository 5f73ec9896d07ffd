//! Datadog's log intake, after the reference of "Send logs": it cuts entries of more than 1 MB and drops those that are more than 18 hours old, and answers
//! 202 all the same.

use std::sync::Mutex;

use serde_json::Value;

use crate::support::front::{Got, Receiver, Reply};

pub const API_KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Default)]
pub struct Datadog {
    pub entries: Mutex<Vec<Value>>,
    /// How many entries each request had.
    pub requests: Mutex<Vec<usize>>,
}

impl Receiver for Datadog {
    fn answer(&self, got: &Got) -> Reply {
        if got.header("dd-api-key") != Some(API_KEY) {
            return Reply::new(403, r#"{"errors":[{"status":"403","title":"Forbidden"}]}"#);
        }
        match (got.method.as_str(), got.path.as_str()) {
            ("GET", "/api/v1/validate") => return Reply::new(200, r#"{"valid":true}"#),
            ("POST", "/api/v2/logs") => {}
            _ => return Reply::new(404, "{}"),
        }
        if got.header("content-type") != Some("application/json") || got.header("content-encoding") != Some("gzip") {
            return Reply::new(400, r#"{"errors":[{"status":"400","title":"Bad Request"}]}"#);
        }
        if got.body.len() > 5_000_000 {
            return Reply::new(413, r#"{"errors":[{"status":"413","title":"Payload Too Large"}]}"#);
        }
        let Ok(Value::Array(entries)) = serde_json::from_slice(&got.body) else {
            return Reply::new(400, r#"{"errors":[{"status":"400","title":"Bad Request"}]}"#);
        };
        if entries.len() > 1000 {
            return Reply::new(400, r#"{"errors":[{"status":"400","title":"too many entries"}]}"#);
        }
        self.requests.lock().unwrap().push(entries.len());
        self.entries.lock().unwrap().extend(entries.into_iter().filter(is_in_time).map(cut));
        Reply::new(202, "{}")
    }

    fn lines(&self) -> Vec<String> {
        self.entries.lock().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}

/// An entry without a time has that of its arrival.
fn is_in_time(entry: &Value) -> bool {
    let now = jiff::Timestamp::now().as_millisecond();
    entry
        .get("timestamp")
        .is_none_or(|time| (now - 18 * 3_600_000..now + 2 * 3_600_000).contains(&time.as_i64().unwrap()))
}

fn cut(mut entry: Value) -> Value {
    if entry.to_string().len() > 1_000_000 {
        entry["message"] = entry["message"].as_str().unwrap()[..1000].into();
    }
    entry
}
