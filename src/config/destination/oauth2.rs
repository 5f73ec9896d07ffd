//! `oauth2 = { … }`: whose access tokens a destination is sent, where it takes such.

use serde_json::{Map, Value, json};

use crate::config::fields::{filled, url};
use crate::config::plan::OauthPlan;
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row, text};

/// Its keys.
pub(in crate::config) const KEYS: &[&str] =
    &["token_url", "client_id", "client_secret", "client_secret_file", "scope", "audience", "client_auth", "ca_file"];

/// How a client says who it is.
const CLIENT_AUTH: [(&str, bool); 2] = [("body", false), ("basic", true)];

/// `None` where it is not written, or wrong.
pub(super) fn read(section: &mut Section<'_, '_>, scope: Option<&str>) -> Option<OauthPlan> {
    let mut table = section.table("oauth2", KEYS)?;
    table.require("token_url", "token_url = \"https://login.example/oauth2/token\"");
    table.require("client_id", "as the identity provider names this agent");
    if !table.has("client_secret_file") {
        table.require("client_secret", "or client_secret_file");
    }
    let token_url = url(&mut table, "token_url");
    let client_id = filled(&mut table, "client_id");
    let client_secret = table.secret("client_secret").map(|secret| secret.value);
    let plan = OauthPlan {
        token_url: token_url.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret?,
        scope: filled(&mut table, "scope").or_else(|| scope.map(str::to_owned)),
        audience: filled(&mut table, "audience"),
        basic: table.choice("client_auth", &CLIENT_AUTH, &[]).is_some_and(|auth| auth.value),
        ca_file: table.readable("ca_file").map(|path| path.value),
    };
    table.end("");
    Some(plan)
}

pub(super) fn rows(plan: Option<&OauthPlan>, shown: &Shown<'_>) -> Row {
    let Some(plan) = plan else { return row("oauth2", Value::Object(Map::new())) };
    let auth = CLIENT_AUTH.iter().find(|(_, basic)| *basic == plan.basic).map(|(name, _)| *name);
    let optional = [
        ("scope", plan.scope.as_deref().map(str::to_owned)),
        ("audience", plan.audience.as_deref().map(str::to_owned)),
        ("ca_file", plan.ca_file.as_deref().map(text)),
    ];
    let mut object = Map::new();
    object.insert("token_url".to_owned(), json!(shown.as_written(&plan.token_url, "oauth2.token_url")));
    object.insert("client_id".to_owned(), json!(shown.as_written(&plan.client_id, "oauth2.client_id")));
    object.insert("client_secret".to_owned(), json!("***"));
    object.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    object.insert("client_auth".to_owned(), json!(auth));
    row("oauth2", Value::Object(object))
}
