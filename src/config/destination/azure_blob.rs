//! `type = "azure_blob"`: a container of Azure Blob Storage.

use serde_json::json;

use super::{TLS, Type, objects, timeout, tls, tls_row};
use crate::config::fields::{filled, url};
use crate::config::plan::{AzureCredentials, AzurePlan, DestinationKind};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::show_duration;

pub(super) const TYPE: Type = Type {
    name: "azure_blob",
    takes_lines: false,
    lines_max: None,
    keys: &[
        "account",
        "container",
        "prefix",
        "format",
        "endpoint",
        "account_key",
        "account_key_file",
        "sas_token",
        "sas_token_file",
        "tenant_id",
        "client_id",
        "client_secret",
        "client_secret_file",
        "immutability_policy",
        "retention_days",
        "legal_hold",
        "access_tier",
        "tags",
        "tls",
        "timeout",
    ],
    tls: TLS,
    read,
};

/// Whom a blob's immutability policy binds, in Azure's words.
const POLICY_MODES: [&str; 2] = ["unlocked", "locked"];

/// As `access_tier` names them, and as Azure does.
const TIERS: [(&str, &str); 3] = [("hot", "Hot"), ("cool", "Cool"), ("cold", "Cold")];

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("account", "account = \"acmeaudit\"");
    section.require("container", "container = \"evidence\"");
    let account = account(section);
    let container = container(section);
    let of_account = format!("https://{}.blob.core.windows.net", account.as_deref().unwrap_or_default());
    let plan = AzurePlan {
        account: account.clone().unwrap_or_default(),
        container: container.clone().unwrap_or_default(),
        prefix: objects::prefix(section),
        format: objects::format(section),
        endpoint: url(section, "endpoint").unwrap_or(of_account),
        credentials: credentials(section),
        lock: objects::lock(section, "immutability_policy", POLICY_MODES),
        legal_hold: section.flag("legal_hold").is_some_and(|flag| flag.value),
        access_tier: section.choice("access_tier", &TIERS, &[]).map(|at| at.value.to_owned()),
        tags: objects::tags(section),
        tls: tls(section, &TYPE),
        timeout: timeout(section),
    };
    account.and(container).map(|_| DestinationKind::AzureBlob(Box::new(plan)))
}

fn account(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("account")?;
    let account = &text.value.value;
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if (3..=24).contains(&account.len()) && account.chars().all(valid) {
        return Some(text.value.value);
    }
    let message = format!("{:?} cannot be a storage account", text.value.written);
    section.wrong(text.span, Some("account"), message, Some("3 to 24 small letters and digits".to_owned()));
    None
}

fn container(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("container")?;
    let container = &text.value.value;
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (3..=63).contains(&container.len()) && container.chars().all(valid) {
        return Some(text.value.value);
    }
    let message = format!("{:?} cannot be a container", text.value.written);
    let hint = "3 to 63 small letters, digits and dashes; the folder within it is prefix".to_owned();
    section.wrong(text.span, Some("container"), message, Some(hint));
    None
}

/// At most one way to say who we are; without any the environment says it.
fn credentials(section: &mut Section<'_, '_>) -> AzureCredentials {
    let ways = ["account_key", "sas_token", "client_secret"];
    let given: Vec<&str> =
        ways.into_iter().filter(|way| section.has(way) || section.has(&format!("{way}_file"))).collect();
    if let [first, second, ..] = given[..] {
        let span = section.value_span(second).unwrap_or_else(|| section.span());
        section.wrong(span, Some(second), format!("{first} is given as well"), Some("keep one of them".to_owned()));
    }
    if given.contains(&"client_secret") {
        section.require("tenant_id", "client_secret needs it");
        section.require("client_id", "client_secret needs it");
    }
    let tenant_span = section.value_span("tenant_id");
    let (tenant_id, client_id) = (filled(section, "tenant_id"), filled(section, "client_id"));
    if let Some(span) = tenant_span.filter(|_| !given.contains(&"client_secret")) {
        section.wrong(span, Some("tenant_id"), "needs client_secret or client_secret_file", None);
    }
    let [key, sas, secret] = ways.map(|way| section.secret(way).map(|secret| secret.value));
    match (key, sas, secret, tenant_id, client_id) {
        (Some(key), ..) => AzureCredentials::AccountKey(key),
        (_, Some(sas), ..) => AzureCredentials::SasToken(sas),
        (_, _, Some(client_secret), Some(tenant_id), Some(client_id)) => {
            AzureCredentials::Client { tenant_id, client_id, client_secret }
        }
        (_, _, _, _, client_id) => AzureCredentials::Environment { client_id },
    }
}

pub(super) fn rows(plan: &AzurePlan, shown: &Shown<'_>) -> Vec<Row> {
    let (tenant_id, client_id) = match &plan.credentials {
        AzureCredentials::Client { tenant_id, client_id, .. } => (Some(tenant_id), Some(client_id)),
        AzureCredentials::Environment { client_id } => (None, client_id.as_ref()),
        AzureCredentials::AccountKey(_) | AzureCredentials::SasToken(_) => (None, None),
    };
    let tier = TIERS.iter().find(|(_, tier)| Some(*tier) == plan.access_tier.as_deref()).map(|(name, _)| *name);
    let [mode, days] = objects::lock_rows(plan.lock, "immutability_policy", POLICY_MODES);
    vec![
        row("account", json!(plan.account)),
        row("container", json!(plan.container)),
        row("prefix", json!(plan.prefix)),
        row("format", json!(plan.format.name())),
        row("endpoint", json!(shown.as_written(&plan.endpoint, "endpoint"))),
        shown.secret("account_key", matches!(plan.credentials, AzureCredentials::AccountKey(_))),
        shown.secret("sas_token", matches!(plan.credentials, AzureCredentials::SasToken(_))),
        row("tenant_id", json!(tenant_id)),
        row("client_id", json!(client_id)),
        shown.secret("client_secret", matches!(plan.credentials, AzureCredentials::Client { .. })),
        mode,
        days,
        row("legal_hold", json!(plan.legal_hold)),
        row("access_tier", json!(tier)),
        objects::tags_row(&plan.tags),
        tls_row(&plan.tls),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
