//! Delivery: one conformance suite that every destination passes, and what each promises beyond it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod support;

// What the tests of the whole program stand on as well: each uses its part of it.
#[allow(dead_code)]
#[path = "e2e/csvlog.rs"]
mod csvlog;
#[allow(dead_code)]
#[path = "e2e/host.rs"]
mod host;
#[allow(dead_code)]
#[path = "e2e/trail.rs"]
mod trail;
#[allow(dead_code)]
#[path = "e2e/writer.rs"]
mod writer;

#[path = "delivery/aws.rs"]
mod aws;
#[path = "delivery/books.rs"]
mod books;
#[path = "delivery/chaos.rs"]
mod chaos;
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
#[path = "delivery/killed.rs"]
mod killed;
#[path = "delivery/loki.rs"]
mod loki;
#[path = "delivery/oauth2.rs"]
mod oauth2;
#[path = "delivery/otlp.rs"]
mod otlp;
#[path = "delivery/process.rs"]
mod process;
#[path = "delivery/receivers.rs"]
mod receivers;
#[path = "delivery/refused.rs"]
mod refused;
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
#[path = "delivery/types.rs"]
mod types;
