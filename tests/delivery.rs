//! Delivery: one conformance suite that every destination passes, and what each promises beyond it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "delivery/aws.rs"]
mod aws;
#[path = "delivery/conformance.rs"]
mod conformance;
#[path = "delivery/couriers.rs"]
mod couriers;
#[path = "delivery/datadog.rs"]
mod datadog;
#[path = "delivery/elasticsearch.rs"]
mod elasticsearch;
#[path = "delivery/far.rs"]
mod far;
#[path = "delivery/http.rs"]
mod http;
#[path = "delivery/kafka.rs"]
mod kafka;
#[path = "delivery/loki.rs"]
mod loki;
#[path = "delivery/oauth2.rs"]
mod oauth2;
#[path = "delivery/otlp.rs"]
mod otlp;
#[path = "delivery/receivers.rs"]
mod receivers;
#[path = "delivery/objects.rs"]
mod objects;
#[path = "delivery/proxies.rs"]
mod proxies;
#[path = "delivery/s3.rs"]
mod s3;
#[path = "delivery/secops.rs"]
mod secops;
#[path = "delivery/sentinel.rs"]
mod sentinel;
#[path = "delivery/splunk_hec.rs"]
mod splunk_hec;
#[path = "delivery/tls.rs"]
mod tls;
#[path = "delivery/templates.rs"]
mod templates;
#[path = "delivery/stdout.rs"]
mod stdout;
#[path = "delivery/syslog.rs"]
mod syslog;
