//! Google SecOps: raw log entries, by the Chronicle API's `logs:import`.
//!
//! A line goes as the bytes that it is, in base64, under a log type that the instance knows. The token is got for a service account, by a statement that
//! is signed with its key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use super::line::Head;
use super::oauth::{Account, Tokens};
use super::web::{ANSWER_MAX_BYTES, Web};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes, read_named};
use crate::clock;
use crate::config::plan::{Compression, SecopsPlan};
use crate::json;
use crate::schema::{self, Schema};

/// What a request and an entry may have at most, in our reading: Google's documents name 4 MB of a request of the Chronicle API, and 1 MB of its
/// predecessor.
const BODY_MAX_BYTES: usize = 4_000_000;

/// What the token is for; `logs:import` asks for this one.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// `type = "secops"`.
#[derive(Debug)]
pub struct SecopsSink {
    web: Web,
    tokens: Tokens,
    import: Url,
    log_type: Url,
    forwarder: Option<String>,
    schema: Schema,
    batch_max_bytes: usize,
}

impl SecopsSink {
    /// Reads the certificates and the service account's key; connects to nothing.
    pub fn new(plan: &SecopsPlan, schema: Schema) -> Result<Self, Refusal> {
        let url = plan
            .url
            .clone()
            .unwrap_or_else(|| format!("https://chronicle.{}.rep.googleapis.com", location(&plan.instance)));
        let web = Web::new(&url, &plan.tls, HeaderMap::new(), Compression::None, plan.timeout)?;
        let account = Account::read(&read_named(&plan.credentials_file, "credentials_file")?, SCOPE)?;
        let log_type = web.url_of(&format!("v1alpha/{}/logTypes/{}", plan.instance, plan.log_type));
        let import = web.url_of(&format!("v1alpha/{}/logTypes/{}/logs:import", plan.instance, plan.log_type));
        let forwarder = plan.forwarder.as_ref().map(|id| format!("{}/forwarders/{id}", plan.instance));
        let tokens = Tokens::of_account(account, plan.tls.min_version, plan.timeout)?;
        Ok(SecopsSink { web, tokens, import, log_type, forwarder, schema, batch_max_bytes: plan.batch_max_bytes })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let (body, refused) = self.body(lines, clock::unix_ms());
        if body.len() > BODY_MAX_BYTES {
            let why = format!("{} bytes; a request takes {BODY_MAX_BYTES}", body.len());
            return Err(Refusal::Split { why, answer: String::new() });
        }
        let sent = if refused.len() as u64 == lines.count() { Accepted { bytes: 0 } } else { self.send(body).await? };
        if refused.is_empty() {
            return Ok(sent);
        }
        let why = "the line has no room in a request of 4 MB: it is not sent".to_owned();
        Err(Refusal::Partly { refused, again: Vec::new(), after: None, why })
    }

    async fn send(&self, body: Vec<u8>) -> Result<Accepted, Refusal> {
        let bearer = self.tokens.bearer().await?;
        let mut own = HeaderMap::new();
        bearer.put_into(&mut own);
        let answer = self.web.post(self.import.clone(), "application/json", own, body, ANSWER_MAX_BYTES).await?;
        let status = answer.status;
        answer.judge(hint).map_err(|refusal| self.tokens.refused(&bearer, status, refusal))
    }

    fn body(&self, lines: &Lines<'_>, now_ms: u64) -> (Vec<u8>, Vec<Refused>) {
        let mut body = b"{\"inlineSource\":{".to_vec();
        if let Some(forwarder) = &self.forwarder {
            body.extend_from_slice(b"\"forwarder\":");
            json::string(&mut body, forwarder.as_bytes());
            body.push(b',');
        }
        body.extend_from_slice(b"\"logs\":[");
        let (opening, mut refused) = (body.len(), Vec::new());
        for (index, (number, line)) in lines.iter().enumerate() {
            let begin = body.len();
            if begin > opening {
                body.push(b',');
            }
            self.entry(&mut body, lines.origin, number, line.strip_suffix(b"\n").unwrap_or(line), now_ms);
            let bytes = body.len() - begin + opening + 3;
            if bytes > BODY_MAX_BYTES {
                body.truncate(begin);
                refused.push(Refused {
                    index,
                    answer: format!("not sent: {bytes} bytes as a request; it takes {BODY_MAX_BYTES}"),
                });
            }
        }
        body.extend_from_slice(b"]}}");
        (body, refused)
    }

    fn entry(&self, out: &mut Vec<u8>, origin: &str, number: u64, line: &[u8], now_ms: u64) {
        let head = Head::of(line);
        let mut rendered = Vec::with_capacity(line.len());
        schema::render(self.schema, line, &mut rendered);
        out.extend_from_slice(b"{\"data\":\"");
        out.extend_from_slice(STANDARD.encode(&rendered).as_bytes());
        out.extend_from_slice(b"\",\"collectionTime\":");
        // It must not be before the entry's. The same time, so that a batch has the same bytes however often it is sent: Google tells batches by them.
        match head.unix_ms() {
            Some(_) => {
                json::string(out, head.time.as_bytes());
                out.extend_from_slice(b",\"logEntryTime\":");
                json::string(out, head.time.as_bytes());
            }
            None => json::string(out, clock::rfc3339(now_ms).as_bytes()),
        }
        out.extend_from_slice(b",\"labels\":{");
        label(out, "sealtrail_line", &number.to_string());
        for (name, value) in [
            ("sealtrail_id", head.id.as_ref()),
            ("sealtrail_origin", origin),
            ("sealtrail_source", head.source.as_ref()),
        ] {
            if !value.is_empty() {
                out.push(b',');
                label(out, name, value);
            }
        }
        out.extend_from_slice(b"}}");
    }

    /// Asks for the log type itself, which writes nothing.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let bearer = self.tokens.probe().await?;
        let mut own = HeaderMap::new();
        bearer.put_into(&mut own);
        let answer = self.web.ask_with(self.web.request(Method::GET, self.log_type.clone()).headers(own)).await?;
        match answer.status.as_u16() {
            // The right to write does not include the right to look.
            403 => Ok(Probed { checked: "a token is granted, and the instance reached; writing is not checked" }),
            _ => answer.probed(hint, "a token is granted, and the log type is there; writing is not checked"),
        }
    }
}

impl Sink for SecopsSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.post(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    json::string(out, name.as_bytes());
    out.extend_from_slice(b":{\"value\":");
    json::string(out, value.as_bytes());
    out.push(b'}');
}

/// Of `projects/…/locations/<location>/instances/…`, which the configuration has looked at.
fn location(instance: &str) -> &str {
    instance.split('/').nth(3).unwrap_or("us")
}

fn hint(status: u16) -> &'static str {
    match status {
        400 => "check `log_type`, `forwarder` and `instance`: the API does not take the request as it is",
        401 => "check `credentials_file`: the API does not take the service account's token",
        403 => "give the service account chronicle.logs.import on the instance",
        404 => "check `instance` and `log_type`",
        _ => "see the Chronicle API's quotas and its status page",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_instances_name() {
        assert_eq!(location("projects/p/locations/eu/instances/i"), "eu");
    }
}
