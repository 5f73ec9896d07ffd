//! Far sides of single protocols, made after their documents: each refuses what the real one refuses, and does silently what that does silently.

#[path = "receivers/datadog.rs"]
pub mod datadog;
#[path = "receivers/kafka.rs"]
pub mod kafka;
#[path = "receivers/loki.rs"]
pub mod loki;
#[path = "receivers/otlp.rs"]
pub mod otlp;
#[path = "receivers/rotel.rs"]
pub mod rotel;
#[path = "receivers/secops.rs"]
pub mod secops;
#[path = "receivers/sentinel.rs"]
pub mod sentinel;
#[path = "receivers/tokens.rs"]
pub mod tokens;
#[path = "receivers/elasticsearch.rs"]
pub mod elasticsearch;
#[path = "receivers/splunk_hec.rs"]
pub mod splunk_hec;
