//! A syslog receiver: RFC 5424 over TLS (RFC 5425), TCP (RFC 6587, octet counting) or UDP (RFC 5426).
//!
//! The hard part is that no receiver ever says that it has a message. What comes nearest is in [`connection`]: over TLS and TCP a
//! batch counts once the receiver has answered the end of the batch's connection with its own. What a message looks like is in
//! [`message`], what stands in CEF and LEEF in [`fields`].
//!
//! Nothing is cut: a message longer than `message_max_bytes` is not sent, and its line is a dead letter.

use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Refused, Sink, Takes};
use crate::config::plan::SyslogPlan;
use crate::schema::Schema;

mod body;
mod connection;
pub mod fields;
mod message;

use connection::Connector;
use message::{Messages, Writer};

/// `type = "syslog"`.
#[derive(Debug)]
pub struct SyslogSink {
    writer: Writer,
    connector: Connector,
    batch_max_bytes: usize,
}

impl SyslogSink {
    /// Reads the certificates; connects to nothing. `host` is the agent's name.
    pub fn new(plan: &SyslogPlan, schema: Schema, host: &str) -> Result<Self, Refusal> {
        Ok(SyslogSink {
            writer: Writer::new(plan, schema, host),
            connector: Connector::new(plan)?,
            batch_max_bytes: plan.batch_max_bytes,
        })
    }

    async fn send(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let (messages, refused) = self.written(lines);
        if !messages.is_empty() {
            self.connector.send(&messages).await?;
        }
        if refused.is_empty() {
            return Ok(Accepted { bytes: messages.bytes().len() as u64 });
        }
        let why = "the message is longer than `message_max_bytes`".to_owned();
        Err(Refusal::Partly { refused, again: Vec::new(), after: None, why })
    }

    /// The messages, and the lines that make none.
    fn written(&self, lines: &Lines<'_>) -> (Messages, Vec<Refused>) {
        let mut messages = Messages::with_capacity(lines.ndjson.len());
        let mut refused = Vec::new();
        for (index, (number, line)) in lines.iter().enumerate() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if let Err(too_long) = self.writer.write(lines.origin, number, line, &mut messages) {
                refused.push(Refused { index, answer: too_long.to_string() });
            }
        }
        (messages, refused)
    }
}

impl Sink for SyslogSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.send(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.connector.probe())
    }
}
