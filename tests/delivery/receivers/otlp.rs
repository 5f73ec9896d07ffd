//! An OpenTelemetry collector's HTTP receiver for logs. What it takes is decoded with the messages that the OpenTelemetry project generates.

use std::collections::BTreeSet;
use std::sync::Mutex;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use prost::Message;

use crate::support::front::{Got, Receiver, Reply};

#[derive(Default)]
pub struct Otlp {
    /// With the attributes of their resource.
    pub records: Mutex<Vec<(Vec<KeyValue>, LogRecord)>>,
    /// A record with this in its body is rejected, the others of its request are taken.
    pub poison: Mutex<Option<&'static str>>,
    /// What is answered instead, with 200.
    pub body: Mutex<Option<&'static str>>,
    /// The collector wants this token.
    pub token: Mutex<Option<&'static str>>,
}

impl Receiver for Otlp {
    fn answer(&self, got: &Got) -> Reply {
        if got.path != "/v1/logs" {
            return Reply::new(404, "404 page not found");
        }
        if got.method != "POST" {
            return Reply::new(405, "405 method not allowed, supported: [POST]");
        }
        if let Some(token) = *self.token.lock().unwrap()
            && got.header("authorization") != Some(&format!("Bearer {token}"))
        {
            return Reply::new(401, "unauthorized");
        }
        if got.header("content-type") != Some("application/x-protobuf") {
            return Reply::new(415, "415 unsupported media type");
        }
        let Ok(request) = ExportLogsServiceRequest::decode(got.body.as_slice()) else {
            return Reply::new(400, "cannot decode");
        };
        let rejected = self.take(request);
        if let Some(body) = *self.body.lock().unwrap() {
            return Reply::new(200, body);
        }
        let partial = (rejected > 0).then(|| ExportLogsPartialSuccess {
            rejected_log_records: rejected,
            error_message: "a record that is not wanted".to_owned(),
        });
        let response = ExportLogsServiceResponse { partial_success: partial };
        Reply::new(200, String::from_utf8(response.encode_to_vec()).unwrap())
    }

    fn lines(&self) -> Vec<String> {
        self.records.lock().unwrap().iter().map(|(_, record)| body(record).to_owned()).collect()
    }
}

impl Otlp {
    fn take(&self, request: ExportLogsServiceRequest) -> i64 {
        let mut rejected = 0;
        let poison = *self.poison.lock().unwrap();
        for logs in request.resource_logs {
            let resource = logs.resource.unwrap().attributes;
            assert_eq!(text(&resource, "service.name"), Some("sealtrail"));
            for record in logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                check(&record);
                if poison.is_some_and(|poison| body(&record).contains(poison)) {
                    rejected += 1;
                } else {
                    self.records.lock().unwrap().push((resource.clone(), record));
                }
            }
        }
        rejected
    }
}

/// What the data model demands of a record.
fn check(record: &LogRecord) {
    assert!(record.observed_time_unix_nano > 0);
    assert_ne!(record.severity_number(), SeverityNumber::Unspecified);
    let keys: BTreeSet<&str> = record.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys.len(), record.attributes.len(), "a key twice");
}

pub fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}

/// The text of an attribute.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match value(attributes, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

pub fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref().and_then(|AnyValue { value }| value.as_ref())
}
