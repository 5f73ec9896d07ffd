//! An HTTP collector that takes NDJSON by POST.
//!
//! Every request names its lines (`Idempotency-Key: <origin>/<first>-<last>/<content>`) and its bytes (`Content-Digest`, RFC 9530, over the
//! body as sent), so that a collector can tell a second delivery from a first and a damaged one from a whole one. Batches are
//! cut the same way every time, so the key of a batch is the same however often it is sent.
//!
//! What is HTTP's own stands in [`super::web`].

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};

use super::oauth::Tokens;
use super::web::{ANSWER_MAX_BYTES, Web, configured};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Sink, Takes};
use crate::config::plan::HttpPlan;
use crate::config::template::{Facts, Template};
use crate::hex::hex;
use crate::schema::{self, Schema};

/// `type = "http"`.
#[derive(Debug)]
pub struct HttpSink {
    web: Web,
    /// Where a token is got for each while, instead of one that is configured.
    tokens: Option<Tokens>,
    templates: Vec<(HeaderName, Template)>,
    schema: Schema,
    origin: String,
    batch_max_bytes: usize,
}

impl HttpSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &HttpPlan, schema: Schema, origin: &str) -> Result<Self, Refusal> {
        let headers = configured(&plan.headers, plan.token.as_ref())?;
        Ok(HttpSink {
            web: Web::new(&plan.url, &plan.tls, headers, plan.compression, plan.timeout)?,
            tokens: tokens(plan)?,
            templates: templates(plan)?,
            schema,
            origin: origin.to_owned(),
            batch_max_bytes: plan.batch_max_bytes,
        })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let body = self.web.encode(&rendered(self.schema, lines))?;
        let facts = Facts { origin: lines.origin, first: lines.first, last: lines.last, count: lines.count() };
        let mut own = self.filled(&facts)?;
        own.insert("content-digest", value("content-digest", &content_digest(&body))?);
        own.insert("idempotency-key", value("idempotency-key", &idempotency_key(lines))?);
        let bearer = match &self.tokens {
            Some(tokens) => Some((tokens, tokens.bearer().await?)),
            None => None,
        };
        if let Some((_, bearer)) = &bearer {
            bearer.put_into(&mut own);
        }
        let url = self.web.url().clone();
        let answer = self.web.post(url, "application/x-ndjson", own, body, ANSWER_MAX_BYTES).await?;
        let status = answer.status;
        // It has it already.
        if status == StatusCode::CONFLICT {
            return Ok(Accepted { bytes: answer.sent });
        }
        let answer = answer.judge(hint);
        match bearer {
            Some((tokens, bearer)) => answer.map_err(|refusal| tokens.refused(&bearer, status, refusal)),
            None => answer,
        }
    }

    /// The headers that say something of the batch.
    fn filled(&self, facts: &Facts<'_>) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, template) in &self.templates {
            headers.insert(name.clone(), value(name.as_str(), &template.fill(facts))?);
        }
        Ok(headers)
    }

    /// OPTIONS asks without writing. Collectors that know no OPTIONS say 404, 405 or 501, which is an answer all the same.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let nothing = Facts { origin: &self.origin, first: 0, last: 0, count: 0 };
        // What cannot be sent is said by the first delivery; a probe goes without it.
        let mut own = self.filled(&nothing).unwrap_or_default();
        if let Some(tokens) = &self.tokens {
            tokens.probe().await?.put_into(&mut own);
        }
        let request = self.web.request(Method::OPTIONS, self.web.url().clone()).headers(own);
        let answer = self.web.ask_with(request).await?;
        match answer.status.as_u16() {
            404 | 405 | 501 => {
                Ok(Probed { checked: "reached; it does not answer OPTIONS, so that the token is not checked" })
            }
            409 => Ok(Probed { checked: WELL }),
            _ => answer.probed(hint, WELL),
        }
    }
}

const WELL: &str = "reached, and OPTIONS is answered well; writing is not checked";

impl Sink for HttpSink {
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

fn tokens(plan: &HttpPlan) -> Result<Option<Tokens>, Refusal> {
    let client = |oauth2| Tokens::of_client(oauth2, plan.tls.min_version, plan.timeout);
    plan.oauth2.as_ref().map(client).transpose()
}

/// The content is part of it: should a trail go on from an older state of its folder, numbers are given to other lines, and a collector that
/// looks at keys only must not take these for a second delivery.
fn idempotency_key(lines: &Lines<'_>) -> String {
    let digest = hex(&Sha256::digest(lines.ndjson)[..8]);
    format!("{}/{}-{}/{digest}", lines.origin, lines.first, lines.last)
}

fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// The lines as they are sent.
pub(super) fn rendered<'a>(schema: Schema, lines: &Lines<'a>) -> Cow<'a, [u8]> {
    if schema == Schema::Native {
        return Cow::Borrowed(lines.ndjson);
    }
    let mut out = Vec::with_capacity(lines.ndjson.len() * 2);
    for (_, line) in lines.iter() {
        schema::render(schema, line.strip_suffix(b"\n").unwrap_or(line), &mut out);
        out.push(b'\n');
    }
    Cow::Owned(out)
}

fn value(name: &str, value: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(value)
        .map_err(|_| Refusal::stop(format!("`{name}` cannot be sent"), "use visible ASCII only in `origin`"))
}

fn templates(plan: &HttpPlan) -> Result<Vec<(HeaderName, Template)>, Refusal> {
    let named = plan.templates.iter().map(|(name, template)| match HeaderName::try_from(name.as_str()) {
        Ok(header) => Ok((header, template.clone())),
        Err(_) => Err(Refusal::stop(format!("`headers`: {name} is no HTTP header"), "use visible ASCII only")),
    });
    named.collect()
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "check `token`, `oauth2` or `headers`: the collector does not know this agent",
        403 => "the collector knows this agent and does not let it write: give it the right, or another token",
        404 | 410 => "check the path in `url`",
        405 => "the collector takes no POST there: check the path in `url`",
        415 => "the collector wants another `compression`",
        400 | 422 => "the collector does not take NDJSON as it is sent: see its own log",
        _ => "see the collector's own log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_digest_is_that_of_rfc_9530() {
        // RFC 9530, appendix D: the digest of the example body.
        let body = b"{\"hello\": \"world\"}\n";
        assert_eq!(content_digest(body), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }

    #[test]
    fn other_lines_under_the_same_numbers_have_another_key() {
        let key = |ndjson| idempotency_key(&Lines { origin: "a/b", first: 7, last: 8, ndjson, numbers: None });
        assert_eq!(key(b"x\ny\n"), key(b"x\ny\n"));
        assert_ne!(key(b"x\ny\n"), key(b"x\nz\n"));
        assert!(key(b"x\ny\n").starts_with("a/b/7-8/"));
    }
}
