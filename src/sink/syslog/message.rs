//! One line as one message of RFC 5424, and messages in a row as a transport wants them.
//!
//! Header fields are visible ASCII of a limited length: what of ours is not is replaced or shortened there, since the same stands in full in the
//! structured data or the body. Structured data and body are never shortened.

use std::fmt::Write as _;

use super::body;
use crate::config::plan::{SyslogFormat, SyslogPlan, Transport};
use crate::schema::{self, Schema};
use crate::sink::line::Head;

/// RFC 5424, 6.2.4.
const HOSTNAME_MAX_BYTES: usize = 255;
/// RFC 5424, 6.2.7.
const MSGID_MAX_BYTES: usize = 32;
/// RFC 5424, 6.2.3.
const FRACTION_MAX_DIGITS: usize = 6;
/// Header, structured data and count are about this long.
const AROUND_BYTES: usize = 320;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer {
    facility: u8,
    hostname: String,
    app_name: String,
    process: String,
    enterprise_id: u64,
    format: SyslogFormat,
    schema: Schema,
    bom: bool,
    message_max_bytes: usize,
    counted: bool,
}

/// Messages, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The one that is being written.
    message: Vec<u8>,
}

/// A message that is not sent.
#[derive(Debug, thiserror::Error)]
#[error(
    "the message would have {bytes} bytes, and `message_max_bytes` is {most}: raise both, here and at the receiver"
)]
pub(super) struct TooLong {
    bytes: usize,
    most: usize,
}

/// RFC 5424, 6.2.1: those that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Critical = 2,
    Warning = 4,
    Notice = 5,
    Informational = 6,
}

impl Severity {
    /// How much of an operator's attention a line wants.
    pub(super) fn of(head: &Head<'_>) -> Self {
        let failed = head.outcome == "failure";
        if head.kind != "event" {
            return match head.outcome.as_ref() {
                "failure" => Severity::Critical,
                "unknown" => Severity::Warning,
                _ => Severity::Informational,
            };
        }
        let privileged = head.admin || PRIVILEGED.contains(&head.category.as_ref());
        match head.category.as_ref() {
            "unparsed" => Severity::Warning,
            "authentication" if failed => Severity::Warning,
            _ if failed && privileged => Severity::Warning,
            _ if failed || privileged => Severity::Notice,
            _ => Severity::Informational,
        }
    }

    /// From 0 to 10, as CEF and LEEF count: the more the worse.
    pub(super) fn of_ten(self) -> u8 {
        match self {
            Severity::Critical => 9,
            Severity::Warning => 6,
            Severity::Notice => 4,
            Severity::Informational => 2,
        }
    }
}

/// Categories of which an auditor takes samples, beside logins.
const PRIVILEGED: &[&str] =
    &["permission_change", "policy_change", "access_decision", "data_exposure", "change_execution"];

impl Messages {
    /// Room for lines of so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Messages { bytes: Vec::with_capacity(bytes + bytes / 2), ..Messages::default() }
    }

    /// There are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, as they go over a connection.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One by one, as they go into datagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

impl Writer {
    pub(super) fn new(plan: &SyslogPlan, schema: Schema, host: &str) -> Self {
        Writer {
            facility: plan.facility,
            hostname: visible(host, HOSTNAME_MAX_BYTES),
            app_name: visible(&plan.app_name, usize::MAX),
            process: std::process::id().to_string(),
            enterprise_id: plan.enterprise_id,
            format: plan.format,
            schema,
            bom: plan.bom,
            message_max_bytes: plan.message_max_bytes,
            counted: plan.transport != Transport::Udp,
        }
    }

    /// Appends the message of one line, which has no newline. `Err`: nothing was appended.
    pub(super) fn write(&self, origin: &str, number: u64, line: &[u8], out: &mut Messages) -> Result<(), TooLong> {
        let head = Head::of(line);
        let message = &mut out.message;
        message.clear();
        message.reserve(line.len() + AROUND_BYTES);
        message.extend_from_slice(self.header(&head).as_bytes());
        message.extend_from_slice(self.structured(origin, number, &head).as_bytes());
        message.push(b' ');
        self.body(&head, line, message);
        let bytes = message.len();
        if bytes > self.message_max_bytes {
            return Err(TooLong { bytes, most: self.message_max_bytes });
        }
        if self.counted {
            out.bytes.extend_from_slice(format!("{bytes} ").as_bytes());
        }
        out.bytes.extend_from_slice(&out.message);
        out.ends.push(out.bytes.len());
        Ok(())
    }

    /// RFC 5424, 6.2.
    fn header(&self, head: &Head<'_>) -> String {
        let priority = u16::from(self.facility) * 8 + Severity::of(head) as u16;
        let (time, kind) = (timestamp(&head.time), visible(&head.action, MSGID_MAX_BYTES));
        format!("<{priority}>1 {time} {} {} {} {kind} ", self.hostname, self.app_name, self.process)
    }

    /// RFC 5424, 6.3.
    fn structured(&self, origin: &str, number: u64, head: &Head<'_>) -> String {
        let mut out = format!("[sealtrail@{}", self.enterprise_id);
        parameter(&mut out, "id", &head.id);
        // Writing to a string cannot fail.
        let _ = write!(out, " line=\"{number}\"");
        parameter(&mut out, "origin", origin);
        parameter(&mut out, "type", &head.kind);
        parameter(&mut out, "category", &head.category);
        if head.kind == "event" {
            let _ = write!(out, " admin=\"{}\"", head.admin);
        }
        parameter(&mut out, "outcome", &head.outcome);
        out.push(']');
        out
    }

    /// RFC 5424, 6.4: what is UTF-8 begins with a byte order mark; ASCII is UTF-8 and every other encoding too, and needs none.
    fn body(&self, head: &Head<'_>, line: &[u8], message: &mut Vec<u8>) {
        let begin = message.len();
        match self.format {
            SyslogFormat::Native => schema::render(self.schema, line, message),
            SyslogFormat::Cef => body::cef(head, line, message),
            SyslogFormat::Leef => body::leef(head, line, message),
        }
        if self.bom && !message[begin..].is_ascii() {
            message.splice(begin..begin, BOM.iter().copied());
        }
    }
}

/// RFC 5424, 6.3.3.
fn parameter(out: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let _ = write!(out, " {name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// A field of the header: visible ASCII, `_` for all else; `-` for nothing.
fn visible(text: &str, most: usize) -> String {
    let shown = text.chars().take(most).map(|c| if c.is_ascii_graphic() { c } else { '_' });
    let shown: String = shown.collect();
    if shown.is_empty() { "-".to_owned() } else { shown }
}

/// The line's time with at most six digits behind the dot; `-` where it is none.
fn timestamp(time: &str) -> String {
    let Ok(parsed) = time.parse::<jiff::Timestamp>() else { return "-".to_owned() };
    let fraction = time.split_once('.').map_or("", |(_, rest)| rest.trim_end_matches('Z'));
    let short = fraction.len() <= FRACTION_MAX_DIGITS && fraction.bytes().all(|byte| byte.is_ascii_digit());
    // RFC 5424 has neither leap seconds nor a lower-case or missing zone.
    if short && time.ends_with('Z') && time.as_bytes().get(10) == Some(&b'T') && !time.contains(":60") {
        return time.to_owned();
    }
    let text = parsed.to_string();
    match text.trim_end_matches('Z').split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}Z", &fraction[..fraction.len().min(FRACTION_MAX_DIGITS)]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::TlsPlan;

    pub(in crate::sink::syslog) fn plan() -> SyslogPlan {
        SyslogPlan {
            host: "localhost".to_owned(),
            port: 6514,
            transport: Transport::Tls,
            tls: TlsPlan::default(),
            format: SyslogFormat::Native,
            facility: 13,
            app_name: "sealtrail".to_owned(),
            enterprise_id: 32473,
            bom: true,
            confirm: true,
            message_max_bytes: 8192,
            batch_max_bytes: 1 << 20,
            timeout: std::time::Duration::from_secs(1),
        }
    }

    fn message(plan: &SyslogPlan, host: &str, line: &str) -> String {
        let mut messages = Messages::default();
        Writer::new(plan, Schema::Native, host).write("acme/db-1", 17, line.as_bytes(), &mut messages).unwrap();
        String::from_utf8(messages.bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_one_message_with_its_length_before_it() {
        let line = r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z","action":"CREATE TABLE","outcome":"success","category":"change_execution","admin":false}"#;
        let text = message(&plan(), "db 1", line);
        let (count, message) = text.split_once(' ').unwrap();
        assert_eq!(count.parse::<usize>().unwrap(), message.len());
        let process = std::process::id();
        let expected = format!(
            "<109>1 2026-11-20T20:28:31.135Z db_1 sealtrail {process} CREATE_TABLE [sealtrail@32473 id=\"f:1\" line=\"17\" \
             origin=\"acme/db-1\" type=\"event\" category=\"change_execution\" admin=\"false\" outcome=\"success\"] {line}"
        );
        assert_eq!(message, expected);
    }

    #[test]
    fn quotes_backslashes_and_brackets_are_escaped_in_structured_data() {
        let mut out = String::new();
        parameter(&mut out, "id", r#"a"b\c]d[é"#);
        assert_eq!(out, r#" id="a\"b\\c\]d[é""#);
    }

    #[test]
    fn only_a_body_that_is_not_ascii_begins_with_a_byte_order_mark() {
        let with =
            |plan: &SyslogPlan, user: &str| message(plan, "h", &format!(r#"{{"type":"event","user":"{user}"}}"#));
        assert!(with(&plan(), "jane").contains("] {\""));
        assert!(with(&plan(), "jörg").contains("] \u{feff}{\""));
        assert!(with(&SyslogPlan { bom: false, ..plan() }, "jörg").contains("] {\""));
    }

    #[test]
    fn a_message_that_is_too_long_leaves_nothing_behind() {
        let mut messages = Messages::default();
        let writer = Writer::new(&SyslogPlan { message_max_bytes: 480, ..plan() }, Schema::Native, "h");
        writer.write("o", 0, br#"{"type":"event"}"#, &mut messages).unwrap();
        let before = messages.bytes().to_vec();
        let long = format!(r#"{{"type":"event","user":"{}"}}"#, "x".repeat(480));
        assert!(writer.write("o", 1, long.as_bytes(), &mut messages).is_err());
        assert_eq!((messages.bytes(), messages.iter().count()), (&before[..], 1));
    }

    #[test]
    fn datagrams_are_single_messages_without_a_count() {
        let mut messages = Messages::default();
        let writer = Writer::new(&SyslogPlan { transport: Transport::Udp, ..plan() }, Schema::Native, "h");
        for number in 0..3 {
            writer.write("o", number, br#"{"type":"event"}"#, &mut messages).unwrap();
        }
        assert_eq!(messages.iter().count(), 3);
        assert!(messages.iter().all(|message| message.starts_with(b"<110>1 - h ") && message.ends_with(b"}")));
    }

    #[test]
    fn times_have_at_most_six_digits_behind_the_dot() {
        assert_eq!(timestamp("2026-11-20T20:28:31.1351234Z"), "2026-11-20T20:28:31.135123Z");
        assert_eq!(timestamp("2026-11-20T20:28:31Z"), "2026-11-20T20:28:31Z");
        assert_eq!(timestamp("2026-11-20T20:28:31.135Z"), "2026-11-20T20:28:31.135Z");
        assert_eq!(timestamp("2026-11-20 20:28:31+01:00"), "2026-11-20T19:28:31Z");
        assert_eq!(timestamp("yesterday"), "-");
    }

    #[test]
    fn header_fields_keep_to_their_lengths_and_letters() {
        assert_eq!(visible("", 32), "-");
        assert_eq!(visible("ALTER ROLE\u{e9}\n", 32), "ALTER_ROLE__");
        assert_eq!(visible(&"x".repeat(300), HOSTNAME_MAX_BYTES).len(), 255);
    }

    #[test]
    fn lost_evidence_is_critical_and_a_read_is_informational() {
        let severity = |kind: &'static str, outcome: &'static str, category: &'static str, admin| {
            let head = Head {
                kind: kind.into(),
                outcome: outcome.into(),
                category: category.into(),
                admin,
                ..Head::default()
            };
            Severity::of(&head)
        };
        assert_eq!(severity("agent", "failure", "operation", false), Severity::Critical);
        assert_eq!(severity("agent", "unknown", "operation", false), Severity::Warning);
        assert_eq!(severity("checkpoint", "success", "operation", false), Severity::Informational);
        assert_eq!(severity("event", "failure", "authentication", false), Severity::Warning);
        assert_eq!(severity("event", "failure", "data_read", true), Severity::Warning);
        assert_eq!(severity("event", "failure", "data_read", false), Severity::Notice);
        assert_eq!(severity("event", "success", "data_read", true), Severity::Notice);
        assert_eq!(severity("event", "success", "permission_change", false), Severity::Notice);
        assert_eq!(severity("event", "success", "data_read", false), Severity::Informational);
        assert_eq!(severity("event", "unknown", "unparsed", false), Severity::Warning);
    }
}
