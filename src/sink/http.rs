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
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};

use super::web::{ANSWER_MAX_BYTES, Web, secret_value};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Sink, Takes};
use crate::config::plan::HttpPlan;
use crate::hex::hex;
use crate::schema::{self, Schema};

/// `type = "http"`.
#[derive(Debug)]
pub struct HttpSink {
    web: Web,
    schema: Schema,
    batch_max_bytes: usize,
}

impl HttpSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &HttpPlan, schema: Schema) -> Result<Self, Refusal> {
        let web = Web::new(&plan.url, &plan.tls, headers(plan)?, plan.compression, plan.timeout)?;
        Ok(HttpSink { web, schema, batch_max_bytes: plan.batch_max_bytes })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let body = self.web.encode(&rendered(self.schema, lines))?;
        let headers = [("content-digest", content_digest(&body)), ("idempotency-key", idempotency_key(lines))];
        let mut own = HeaderMap::new();
        for (name, value) in headers {
            let Ok(value) = HeaderValue::try_from(value) else {
                return Err(Refusal::stop(format!("`{name}` cannot be sent"), "use visible ASCII only in `origin`"));
            };
            own.insert(name, value);
        }
        let url = self.web.url().clone();
        let answer = self.web.post(url, "application/x-ndjson", own, body, ANSWER_MAX_BYTES).await?;
        // It has it already.
        if answer.status == StatusCode::CONFLICT {
            return Ok(Accepted { bytes: answer.sent });
        }
        answer.judge(hint)
    }

    /// OPTIONS asks without writing. Collectors that know no OPTIONS say 404, 405 or 501, which is an answer all the same.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let answer = self.web.ask(Method::OPTIONS, self.web.url().clone()).await?;
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
        Box::pin(async move {
            match batch {
                Batch::Lines(lines) => self.post(lines).await,
                Batch::Segment(_) => Err(Refusal::stop("a collector takes lines only", "this is a fault of the agent")),
            }
        })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
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
fn rendered<'a>(schema: Schema, lines: &Lines<'a>) -> Cow<'a, [u8]> {
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

fn headers(plan: &HttpPlan) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in &plan.headers {
        let valid = HeaderName::try_from(name.as_str()).ok().zip(secret_value(&value.expose()));
        let Some((header, value)) = valid else {
            return Err(Refusal::stop(format!("`headers`: {name} is no HTTP header"), "use visible ASCII only"));
        };
        headers.insert(header, value);
    }
    if let Some(token) = &plan.token {
        let Some(value) = secret_value(&format!("Bearer {}", token.expose().trim())) else {
            return Err(Refusal::stop("`token` has bytes that no header can hold", "use visible ASCII only"));
        };
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "check `token` or `headers`: the collector does not know this agent",
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
