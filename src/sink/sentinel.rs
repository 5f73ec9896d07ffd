//! Microsoft Sentinel, by the Logs Ingestion API of Azure Monitor: rows of a table, through a data collection rule.
//!
//! The service cuts a value of more than 64 KB and says nothing. So a line that is longer goes in several rows, each with a piece of it and with
//! which piece of how many it is; all rows of a line are in one call. A line that has no room in a call of 1 MB is not sent but becomes a dead letter.
//!
//! A row's other columns repeat what stands in the line, to search by; what is long of them is cut, with a mark.

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use super::line::Head;
use super::oauth::Tokens;
use super::web::{ANSWER_MAX_BYTES, Web};
use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes};
use crate::config::plan::{Compression, SentinelPlan};
use crate::json;
use crate::schema::{self, Schema};

/// Azure Monitor's limits of a call and of a value: 1 MB and 64 KB, before compression. It does not say which kilobytes: the smaller ones are kept
/// to, with something to spare. Source: "Azure Monitor service limits", Logs Ingestion API.
const CALL_MAX_BYTES: usize = 1_000_000;
const PIECE_MAX_BYTES: usize = 60_000;

/// A column to search by is no place for a whole statement.
const COLUMN_MAX_BYTES: usize = 8 * 1024;

const API_VERSION: &str = "2023-01-01";

/// `type = "sentinel"`.
#[derive(Debug)]
pub struct SentinelSink {
    web: Web,
    tokens: Tokens,
    url: Url,
    schema: Schema,
    batch_max_bytes: usize,
}

impl SentinelSink {
    /// Reads the certificates; connects to nothing.
    pub fn new(plan: &SentinelPlan, schema: Schema) -> Result<Self, Refusal> {
        let web = Web::new(&plan.url, &plan.tls, HeaderMap::new(), Compression::Gzip, plan.timeout)?;
        let mut url = web.url_of(&format!("dataCollectionRules/{}/streams/{}", plan.rule, plan.stream));
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        let tokens = Tokens::of_client(&plan.oauth2, plan.tls.min_version, plan.timeout)?;
        Ok(SentinelSink { web, tokens, url, schema, batch_max_bytes: plan.batch_max_bytes })
    }

    async fn post(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let (body, refused) = self.body(lines);
        if body.len() > CALL_MAX_BYTES {
            let why = format!("{} bytes; a call takes {CALL_MAX_BYTES}", body.len());
            return Err(Refusal::Split { why, answer: String::new() });
        }
        let sent = if refused.len() as u64 == lines.count() { Accepted { bytes: 0 } } else { self.send(&body).await? };
        if refused.is_empty() {
            return Ok(sent);
        }
        let why = "the line has no room in a call of 1 MB: it is not sent".to_owned();
        Err(Refusal::Partly { refused, again: Vec::new(), after: None, why })
    }

    async fn send(&self, body: &[u8]) -> Result<Accepted, Refusal> {
        let encoded = self.web.encode(body)?;
        let bearer = self.tokens.bearer().await?;
        let mut own = HeaderMap::new();
        bearer.put_into(&mut own);
        let answer = self.web.post(self.url.clone(), "application/json", own, encoded, ANSWER_MAX_BYTES).await?;
        let status = answer.status;
        answer.judge(hint).map_err(|refusal| self.tokens.refused(&bearer, status, refusal))
    }

    /// The rows as one array, and the lines that have no room in a call of their own.
    fn body(&self, lines: &Lines<'_>) -> (Vec<u8>, Vec<Refused>) {
        let (mut body, mut refused) = (b"[".to_vec(), Vec::new());
        for (index, (number, line)) in lines.iter().enumerate() {
            let begin = body.len();
            self.rows(&mut body, lines.origin, number, line.strip_suffix(b"\n").unwrap_or(line));
            let bytes = body.len() - begin + 2;
            if bytes > CALL_MAX_BYTES {
                body.truncate(begin);
                refused.push(Refused {
                    index,
                    answer: format!("not sent: {bytes} bytes as rows; a call takes {CALL_MAX_BYTES}"),
                });
            }
        }
        body.push(b']');
        (body, refused)
    }

    /// A line's rows, each with a comma before it unless it is the first of all.
    fn rows(&self, out: &mut Vec<u8>, origin: &str, number: u64, line: &[u8]) {
        let head = Head::of(line);
        let mut rendered = Vec::with_capacity(line.len());
        schema::render(self.schema, line, &mut rendered);
        let text = String::from_utf8_lossy(&rendered);
        let columns = columns(origin, number, &head);
        let pieces = pieces(&text);
        let count = pieces.len() as u64;
        for (part, piece) in (1..).zip(pieces) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&columns);
            out.extend_from_slice(b",\"Part\":");
            json::unsigned(out, part);
            out.extend_from_slice(b",\"Parts\":");
            json::unsigned(out, count);
            column(out, "Record", piece);
            out.push(b'}');
        }
    }

    /// A token shows that the client is known. The endpoint has no request that asks and does not write: any answer shows that it is there.
    async fn ask(&self) -> Result<Probed, ProbeError> {
        let bearer = self.tokens.probe().await?;
        let mut own = HeaderMap::new();
        bearer.put_into(&mut own);
        let answer = self.web.ask_with(self.web.request(Method::GET, self.url.clone()).headers(own)).await?;
        match answer.status.as_u16() {
            400 | 404 | 405 => {
                Ok(Probed { checked: "a token is granted, and the endpoint reached; writing is not checked" })
            }
            _ => answer.probed(hint, "a token is granted, and the endpoint reached; writing is not checked"),
        }
    }
}

impl Sink for SentinelSink {
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

/// What all rows of a line begin with: an object that is still open.
fn columns(origin: &str, number: u64, head: &Head<'_>) -> Vec<u8> {
    let mut out = b"{\"Line\":".to_vec();
    json::unsigned(&mut out, number);
    out.extend_from_slice(if head.admin { b",\"Admin\":true" } else { b",\"Admin\":false" });
    let texts = [
        // Every row must have one. Azure Monitor puts the time of arrival in the place of one that is older than two days, and says nothing: the line's
        // own is in a column of ours.
        ("TimeGenerated", if head.unix_ms().is_some() { head.time.as_ref() } else { "1970-01-01T00:00:00Z" }),
        ("EventTime", head.time.as_ref()),
        ("EventId", head.id.as_ref()),
        ("Origin", origin),
        ("LineType", head.kind.as_ref()),
        ("Server", head.server.as_ref()),
        ("SourceName", head.source.as_ref()),
        ("Engine", head.engine.as_ref()),
        ("DatabaseName", head.database.as_ref()),
        ("Category", head.category.as_ref()),
        ("UserName", head.user.as_ref()),
        ("Person", head.person.as_ref()),
        ("Action", head.action.as_ref()),
        ("ResourceName", head.resource.as_ref()),
        ("Outcome", head.outcome.as_ref()),
    ];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        if value.len() <= COLUMN_MAX_BYTES {
            column(&mut out, name, value);
        } else {
            column(&mut out, name, &format!("{}…", start(value, COLUMN_MAX_BYTES)));
        }
    }
    out
}

fn column(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    json::string(out, name.as_bytes());
    out.push(b':');
    json::string(out, value.as_bytes());
}

/// The text in pieces that the service takes whole; at least one, and joined they are the text.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE_MAX_BYTES {
        let piece = start(rest, PIECE_MAX_BYTES);
        pieces.push(piece);
        rest = &rest[piece.len()..];
    }
    pieces.push(rest);
    pieces
}

/// The first bytes of a text, at most so many, ending between two characters.
fn start(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn hint(status: u16) -> &'static str {
    match status {
        400 => {
            "the data collection rule does not take these rows: compare its stream's columns with docs/destinations/sentinel.md"
        }
        401 => "check `oauth2`: the tenant in `token_url`, and `scope`",
        403 => {
            "give the client the role Monitoring Metrics Publisher on the data collection rule; it may take half an hour to hold"
        }
        404 | 405 => "check `url`, `rule` (the immutable id, dcr-…) and `stream` (Custom-…)",
        _ => "see the data collection rule's metrics and DCRLogErrors",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters_and_joined_the_text() {
        let text = "ä".repeat(70_001);
        let pieces = pieces(&text);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_MAX_BYTES));
        assert_eq!(pieces.concat(), text);
        assert_eq!(super::pieces(""), [""]);
    }

    #[test]
    fn a_long_column_is_cut_with_a_mark() {
        let user = "u".repeat(9000);
        let head = Head { user: user.into(), ..Head::default() };
        let mut columns = columns("o", 7, &head);
        columns.push(b'}');
        let row: serde_json::Value = serde_json::from_slice(&columns).unwrap();
        let cut = row["UserName"].as_str().unwrap();
        assert!(cut.ends_with('…') && cut.len() == COLUMN_MAX_BYTES + '…'.len_utf8());
    }
}
