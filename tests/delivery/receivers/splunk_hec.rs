//! HTTP Event Collector, after Splunk's manual ("Format events for HTTP Event Collector", "About HTTP Event Collector Indexer
//! Acknowledgment", "Troubleshoot HTTP Event Collector"), and as Splunk Enterprise 10.4 was seen to answer: events before the one that
//! it refuses are taken, those after it are not, and an unknown key is answered with 200 and takes nothing from there on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::support::front::{Got, Receiver, Reply};

pub const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

#[derive(Default)]
pub struct Hec {
    /// The token acknowledges: an id is acknowledged when it is asked for so many times.
    pub acknowledges_after: Option<u32>,
    pub state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// Lines in the order in which they came, those that came twice as well.
    pub lines: Vec<String>,
    pub envelopes: Vec<Value>,
    /// How often each id was asked for, by channel.
    asked: BTreeMap<String, Vec<u32>>,
    /// Answers with this to what it would take.
    pub answer: Vec<(u16, u64)>,
    /// No event with this in it is taken.
    pub poison: Option<String>,
    /// As Splunk Cloud does: a larger request is refused by the name of event 0.
    pub body_max: Option<usize>,
    pub unhealthy: bool,
    /// So many questions for what is written fail.
    pub failing_questions: u32,
}

/// Why an event is not taken.
struct Bad(u64);

impl Hec {
    pub fn acknowledging(polls: u32) -> Self {
        Hec { acknowledges_after: Some(polls), ..Hec::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn event(&self, got: &Got) -> Reply {
        let channel = match self.channel(got) {
            Ok(channel) => channel,
            Err(reply) => return reply,
        };
        if got.body.is_empty() {
            return said(400, "No data", 5, None, None);
        }
        let mut state = self.state();
        if !state.answer.is_empty() {
            let (status, code) = state.answer.remove(0);
            return said(status, "told to", code, None, None);
        }
        if state.body_max.is_some_and(|most| got.body.len() > most) {
            return said(400, "Invalid data format", 6, Some(0), None);
        }
        let (taken, bad) = state.take(std::str::from_utf8(&got.body).unwrap());
        let id = channel.filter(|_| taken > 0).map(|channel| {
            let asked = state.asked.entry(channel).or_default();
            asked.push(0);
            asked.len() - 1
        });
        match bad {
            None => said(200, "Success", 0, None, id),
            Some(Bad(code)) => said(400, "Invalid", code, Some(taken), id),
        }
    }

    /// `Ok(None)` of a token that does not acknowledge.
    fn channel(&self, got: &Got) -> Result<Option<String>, Reply> {
        if self.acknowledges_after.is_none() {
            return Ok(None);
        }
        let Some(channel) = got.header("x-splunk-request-channel") else {
            return Err(said(400, "Data channel is missing", 10, None, None));
        };
        let is_guid = channel.split('-').map(str::len).eq([8, 4, 4, 4, 12])
            && channel.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        if is_guid { Ok(Some(channel.to_owned())) } else { Err(said(400, "Invalid data channel", 11, None, None)) }
    }

    fn acks(&self, got: &Got) -> Reply {
        let Some(polls) = self.acknowledges_after else { return said(400, "ACK is disabled", 14, None, None) };
        let channel = match self.channel(got) {
            Ok(channel) => channel.unwrap(),
            Err(reply) => return reply,
        };
        // The manual speaks of compressed events, not of compressed questions.
        let body = serde_json::from_slice::<Value>(&got.body);
        let Some(body) = body.ok().filter(|_| got.header("content-encoding").is_none()) else {
            return said(400, "Invalid data format", 6, None, None);
        };
        let mut state = self.state();
        if state.failing_questions > 0 && state.asked.contains_key(&channel) {
            state.failing_questions -= 1;
            return said(503, "Server is busy", 9, None, None);
        }
        let mut none = Vec::new();
        let asked = state.asked.get_mut(&channel).unwrap_or(&mut none);
        let answers = body["acks"].as_array().unwrap().iter().map(|id| {
            let id = id.as_u64().unwrap();
            let known = asked.get_mut(id as usize);
            let written = known.is_some_and(|asked| {
                *asked += 1;
                *asked >= polls
            });
            (id.to_string(), Value::Bool(written))
        });
        Reply::new(200, json!({ "acks": answers.collect::<Map<_, _>>() }).to_string())
    }
}

impl State {
    /// How many events were taken, and why not more.
    fn take(&mut self, body: &str) -> (usize, Option<Bad>) {
        let mut stream = serde_json::Deserializer::from_str(body).into_iter::<Value>();
        let (mut taken, mut from) = (0, 0);
        while let Some(envelope) = stream.next() {
            let Ok(envelope) = envelope else { return (taken, Some(Bad(6))) };
            let text = &body[from..stream.byte_offset()];
            from = stream.byte_offset();
            if self.poison.as_ref().is_some_and(|poison| text.contains(poison.as_str())) {
                return (taken, Some(Bad(6)));
            }
            let known = ["time", "host", "source", "sourcetype", "index", "event", "fields"];
            if envelope.as_object().unwrap().keys().any(|key| !known.contains(&key.as_str())) {
                return (taken, None);
            }
            if let Err(bad) = check(&envelope) {
                return (taken, Some(bad));
            }
            let line = text.split_once("\"event\":").unwrap().1.rsplit_once(",\"fields\":{").unwrap().0;
            assert_eq!(serde_json::from_str::<Value>(line).unwrap(), envelope["event"]);
            self.lines.push(line.to_owned());
            self.envelopes.push(envelope);
            taken += 1;
        }
        (taken, None)
    }
}

fn check(envelope: &Value) -> Result<(), Bad> {
    if !envelope.get("time").is_none_or(Value::is_number) {
        return Err(Bad(6));
    }
    match envelope.get("event") {
        None => return Err(Bad(12)),
        Some(Value::Null) => return Err(Bad(13)),
        Some(Value::String(text)) if text.is_empty() => return Err(Bad(13)),
        Some(_) => {}
    }
    if !["audit", "main"].contains(&envelope["index"].as_str().unwrap_or("main")) {
        return Err(Bad(7));
    }
    let fields = envelope["fields"].as_object().unwrap();
    if fields.values().all(Value::is_string) { Ok(()) } else { Err(Bad(15)) }
}

impl Receiver for Hec {
    fn answer(&self, got: &Got) -> Reply {
        if got.path == "/services/collector/health" && got.method == Method::GET {
            let unhealthy = self.state().unhealthy;
            return if unhealthy {
                said(503, "HEC is unhealthy, queues are full", 18, None, None)
            } else {
                said(200, "HEC is healthy", 17, None, None)
            };
        }
        match got.header("authorization").map(|value| value.split_once(' ').unwrap_or((value, ""))) {
            None => return said(401, "Token is required", 2, None, None),
            Some(("Splunk", TOKEN)) => {}
            Some(("Splunk", _)) => return said(403, "Invalid token", 4, None, None),
            Some(_) => return said(401, "Invalid authorization", 3, None, None),
        }
        match (&got.method, got.path.as_str()) {
            (&Method::POST, "/services/collector/event") => self.event(got),
            (&Method::POST, "/services/collector/ack") => self.acks(got),
            _ => said(404, "The requested URL was not found on this server.", 404, None, None),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }
}

fn said(status: u16, text: &str, code: u64, invalid: Option<usize>, ack_id: Option<usize>) -> Reply {
    let mut body = Map::new();
    body.insert("text".to_owned(), text.into());
    body.insert("code".to_owned(), code.into());
    body.extend(invalid.map(|number| ("invalid-event-number".to_owned(), number.into())));
    body.extend(ack_id.map(|id| ("ackId".to_owned(), id.into())));
    Reply::new(status, Value::Object(body).to_string())
}
