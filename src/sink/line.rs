//! What a destination must know of a line beyond its bytes.

use std::borrow::Cow;

use serde::Deserialize;

/// The fields of a line that decide where it goes and how it is wrapped. What a line does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Head<'a> {
    /// `event`, `agent` or `checkpoint`.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// The same in every delivery.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// RFC 3339, UTC.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The account.
    #[serde(borrow)]
    pub user: Cow<'a, str>,
    /// Who is behind it.
    #[serde(borrow)]
    pub person: Cow<'a, str>,
    /// What was done.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    /// To what.
    #[serde(borrow)]
    pub resource: Cow<'a, str>,
    /// `success`, `failure` or `unknown`.
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    /// One of ten.
    #[serde(borrow)]
    pub category: Cow<'a, str>,
    /// It is an administrator's.
    pub admin: bool,
    /// The name of the source.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// The name of the agent, or of the host.
    #[serde(borrow)]
    pub server: Cow<'a, str>,
    /// `postgresql`, `mysql`, …
    #[serde(borrow)]
    pub engine: Cow<'a, str>,
    /// Which of the server's databases.
    #[serde(borrow)]
    pub database: Cow<'a, str>,
}

impl<'a> Head<'a> {
    /// Reads it, past everything else in the line. A line that is no such object has an empty one: the trail has none, and what
    /// is delivered is not chosen by a guess.
    pub fn of(line: &'a [u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_default()
    }

    /// Milliseconds since 1970, of a time that is one.
    pub fn unix_ms(&self) -> Option<i64> {
        self.time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
    }

    /// Nanoseconds since 1970, of a time that is one and not before that.
    pub fn unix_ns(&self) -> Option<u64> {
        self.time.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_nanosecond()).ok())
    }

    /// How much attention it asks for, for protocols that want a level.
    pub fn weight(&self) -> Weight {
        match self.outcome.as_ref() {
            "failure" => Weight::Wrong,
            // Of the agent's own acts: what it cannot vouch for.
            "unknown" if self.kind == "agent" => Weight::Wrong,
            _ if self.admin => Weight::Privileged,
            _ => Weight::Routine,
        }
    }
}

/// How much attention a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nothing stands out.
    Routine,
    /// An administrator's act.
    Privileged,
    /// It failed, or the agent says that something is amiss.
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_that_matter_are_read_past_all_others() {
        let line = br#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z","user":"a\"b","client":{"user":"x"},"admin":true}"#;
        let head = Head::of(line);
        assert_eq!((head.kind.as_ref(), head.id.as_ref(), head.user.as_ref()), ("event", "f:1", "a\"b"));
        assert_eq!((head.admin, head.unix_ms(), head.person.as_ref()), (true, Some(1_795_206_511_135), ""));
    }

    #[test]
    fn a_time_keeps_its_own_precision() {
        let ns = |time: &str| Head { time: Cow::Borrowed(time), ..Head::default() }.unix_ns();
        assert_eq!(ns("2026-11-20T20:28:31.135Z"), Some(1_795_206_511_135_000_000));
        assert_eq!(ns("2026-11-20T20:28:31.123456789Z"), Some(1_795_206_511_123_456_789));
        assert_eq!((ns("1969-12-31T23:59:59Z"), ns("yesterday")), (None, None));
    }

    #[test]
    fn what_failed_weighs_more_than_whose_it_is() {
        let weight = |kind: &'static str, outcome: &'static str, admin| {
            Head { kind: kind.into(), outcome: outcome.into(), admin, ..Head::default() }.weight()
        };
        assert_eq!(weight("event", "success", false), Weight::Routine);
        assert_eq!(weight("event", "unknown", true), Weight::Privileged);
        assert_eq!(weight("event", "failure", true), Weight::Wrong);
        assert_eq!(weight("agent", "unknown", false), Weight::Wrong);
        assert_eq!(weight("checkpoint", "", false), Weight::Routine);
    }

    #[test]
    fn what_is_no_line_has_an_empty_head() {
        assert_eq!(Head::of(b"[1,2"), Head::default());
    }
}
