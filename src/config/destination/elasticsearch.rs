//! `type = "elasticsearch"` and `type = "opensearch"`: one protocol; what differs is how one logs in.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes_of, compression_of, pair, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::{filled, index, url};
use crate::config::plan::{Compression, DestinationKind, ElasticsearchPlan, S3Credentials, SearchLogin, SearchProduct};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const ELASTICSEARCH: Type = Type {
    name: "elasticsearch",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "url",
        "index",
        "username",
        "password",
        "password_file",
        "api_key",
        "api_key_file",
        "tls",
        "compression",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read: |section| read(section, &ELASTICSEARCH, SearchProduct::Elasticsearch),
};

pub(super) const OPENSEARCH: Type = Type {
    name: "opensearch",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "url",
        "index",
        "username",
        "password",
        "password_file",
        "aws_region",
        "aws_service",
        "access_key_id",
        "secret_access_key",
        "secret_access_key_file",
        "tls",
        "compression",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read: |section| read(section, &OPENSEARCH, SearchProduct::OpenSearch),
};

/// A data stream by Elastic's naming scheme: type, data set, namespace. The template in `packaging/elasticsearch` fits it.
const INDEX: &str = "logs-sealtrail-default";

fn read(section: &mut Section<'_, '_>, kind: &Type, product: SearchProduct) -> Option<DestinationKind> {
    section.require("url", "url = \"https://search.example:9200\"");
    let url = url(section, "url");
    let plan = ElasticsearchPlan {
        product,
        url: url.clone().unwrap_or_default(),
        index: index(section).unwrap_or_else(|| INDEX.to_owned()),
        login: login(section),
        tls: tls(section, kind),
        // Neither takes another encoding.
        compression: compression_of(section, &[Compression::None, Compression::Gzip], Compression::Gzip),
        batch_max_bytes: batch_max_bytes_of(section, bounds::BULK_MAX_BYTES),
        timeout: timeout(section),
    };
    url.map(|_| DestinationKind::Elasticsearch(Box::new(plan)))
}

/// At most one of the ways in; keys of a second one are told.
fn login(section: &mut Section<'_, '_>) -> SearchLogin {
    pair(section, "username", &["password", "password_file"]);
    pair(section, "access_key_id", &["secret_access_key", "secret_access_key_file"]);
    if let Some(key) = ["aws_service", "access_key_id"].into_iter().find(|key| section.has(key)) {
        section.require("aws_region", &format!("{key} needs it"));
    }
    let ways = ["username", "api_key", "api_key_file", "aws_region"];
    let mut given = ways.into_iter().filter(|key| section.has(key));
    if let (Some(one), Some(other)) = (given.next(), given.next())
        && !(one == "api_key" && other == "api_key_file")
    {
        let span = section.value_span(other).unwrap_or_else(|| section.span());
        section.wrong(span, Some(other), format!("{one} is given as well"), Some("keep one way to log in".to_owned()));
    }
    let username = filled(section, "username");
    let password = section.secret("password").map(|secret| secret.value);
    let api_key = section.secret("api_key").map(|secret| secret.value);
    let region = filled(section, "aws_region");
    let service = section.choice("aws_service", &[("es", "es"), ("aoss", "aoss")], &[]).map_or("es", |at| at.value);
    let access_key_id = filled(section, "access_key_id");
    let secret_access_key = section.secret("secret_access_key").map(|secret| secret.value);
    if let (Some(username), Some(password)) = (username, password) {
        return SearchLogin::Password { username, password };
    }
    if let Some(api_key) = api_key {
        return SearchLogin::ApiKey(api_key);
    }
    let Some(region) = region else { return SearchLogin::Nobody };
    let credentials = access_key_id.zip(secret_access_key);
    let credentials =
        credentials.map(|(access_key_id, secret_access_key)| S3Credentials { access_key_id, secret_access_key });
    SearchLogin::Aws { region, service, credentials }
}

pub(super) fn rows(plan: &ElasticsearchPlan, shown: &Shown<'_>) -> Vec<Row> {
    let mut rows = vec![row("url", json!(shown.as_written(&plan.url, "url"))), row("index", json!(plan.index))];
    rows.extend(login_rows(plan, shown));
    rows.extend([
        tls_row(&plan.tls),
        row("compression", json!(plan.compression.name())),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]);
    rows
}

fn login_rows(plan: &ElasticsearchPlan, shown: &Shown<'_>) -> Vec<Row> {
    let (username, api_key) = match &plan.login {
        SearchLogin::Password { username, .. } => (Some(username), false),
        SearchLogin::ApiKey(_) => (None, true),
        SearchLogin::Nobody | SearchLogin::Aws { .. } => (None, false),
    };
    let mut rows = vec![row("username", json!(username)), shown.secret("password", username.is_some())];
    match plan.product {
        SearchProduct::Elasticsearch => rows.push(shown.secret("api_key", api_key)),
        SearchProduct::OpenSearch => {
            let (region, service, credentials) = match &plan.login {
                SearchLogin::Aws { region, service, credentials } => (Some(region), *service, credentials.as_ref()),
                _ => (None, "es", None),
            };
            rows.extend([
                row("aws_region", json!(region)),
                row("aws_service", json!(service)),
                row("access_key_id", json!(credentials.map(|credentials| &credentials.access_key_id))),
                shown.secret("secret_access_key", credentials.is_some()),
            ]);
        }
    }
    rows
}
