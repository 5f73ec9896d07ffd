//! Far sides made from protocols' documents. Each refuses what the real one refuses.

#[path = "receivers/elasticsearch.rs"]
pub mod elasticsearch;
#[path = "receivers/splunk_hec.rs"]
pub mod splunk_hec;
