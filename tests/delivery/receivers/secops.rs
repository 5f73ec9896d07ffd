//! The Chronicle API's `logs:import`, after its reference.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::tokens::Endpoint;
use crate::support::front::{Got, Receiver, Reply};

pub const INSTANCE: &str = "projects/acme/locations/eu/instances/0a1b2c3d";
pub const LOG_TYPE: &str = "SEALTRAIL_CUSTOM";
pub const FORWARDER: &str = "7c1c0e8e";

pub struct Secops {
    pub logs: Mutex<Vec<Value>>,
    tokens: &'static Endpoint,
}

impl Secops {
    pub fn new(tokens: &'static Endpoint) -> Self {
        Secops { logs: Mutex::default(), tokens }
    }
}

impl Receiver for Secops {
    fn answer(&self, got: &Got) -> Reply {
        if !self.tokens.knows(got.header("authorization")) {
            return Reply::new(401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#);
        }
        let log_type = format!("/v1alpha/{INSTANCE}/logTypes/{LOG_TYPE}");
        if got.method == "GET" && got.path == log_type {
            return Reply::new(200, "{}");
        }
        if got.method != "POST" || got.path != format!("{log_type}/logs:import") {
            return Reply::new(404, r#"{"error":{"code":404,"status":"NOT_FOUND"}}"#);
        }
        if got.body.len() > 4_000_000 {
            return Reply::new(413, "");
        }
        let request: Value = serde_json::from_slice(&got.body).unwrap();
        let source = &request["inlineSource"];
        assert_eq!(source["forwarder"], format!("{INSTANCE}/forwarders/{FORWARDER}"));
        let logs = source["logs"].as_array().unwrap();
        assert!(!logs.is_empty());
        for log in logs {
            let time = |name: &str| -> jiff::Timestamp { log[name].as_str().unwrap().parse().unwrap() };
            if time("collectionTime") < time("logEntryTime") || time("collectionTime") > jiff::Timestamp::now() {
                return Reply::new(400, "collected before it was written");
            }
        }
        self.logs.lock().unwrap().extend(logs.iter().cloned());
        Reply::new(200, "{}")
    }

    fn lines(&self) -> Vec<String> {
        let logs = self.logs.lock().unwrap();
        let line = |log: &Value| String::from_utf8(STANDARD.decode(log["data"].as_str().unwrap()).unwrap()).unwrap();
        logs.iter().map(line).collect()
    }
}
