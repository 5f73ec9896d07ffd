//! A row as the count of rows sees it: which session, which number, and whether it says that a session or the server ended.
//!
//! It is made twice and must come out the same: of a record that is read, and of the line that the record became, when the journal is
//! read again at start. `tests/sessions.rs` holds the two against each other on every captured row.
//!
//! What is hard: severities and messages may be translated (`lc_messages`), by role and by database too. So the decisions rest on
//! SQLSTATE, on what kind of row it is and on what no translation touches. Where only words would tell, not knowing them must never
//! accuse a server: a session's end that is not understood makes its source one that does not log ends.
//!
//! In the text formats `%l` numbers the entries of a row, its DETAIL and STATEMENT too: there a row has a span of numbers. Formats whose
//! numbers may have holes on a healthy server are not counted: [`Counts`] is the list.

use std::fmt;

use sealtrail_parsers::{Act, Format, Record, Status, Value};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::hex::hex;
use crate::shape::UtcTime;

/// A row that has a number in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// The server's name for the session.
    pub session: &'a [u8],
    /// The row's number in it, from 1; the first of them, where it has several.
    pub number: u64,
    /// The last of its numbers: mostly the same.
    pub last: u64,
    /// Where it stands.
    pub at: RowId,
    /// The file's path.
    pub path: &'a str,
    /// Whether somebody is connected to the session. Background processes end without a word.
    pub client: bool,
    /// Whether the first row of its session should have been in this log.
    pub from_first: bool,
    /// What it means for sessions.
    pub says: Says,
    /// When it was written, RFC 3339 in UTC; `None` where that is not beyond doubt.
    pub time: Option<&'a [u8]>,
}

/// What a row means for sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Says {
    /// Nothing.
    #[default]
    Nothing,
    /// The session is past authentication: from here on its end is logged, where ends are logged.
    Active,
    /// It ended, and the server logs that sessions end.
    Disconnected,
    /// It ended by a failure.
    Died,
    /// The server's other processes start now: no session of before is alive.
    ServerStarts,
    /// The server stops: sessions may end without a word.
    ServerStops,
    /// Whether ends are logged has changed.
    EndsChange,
}

/// The `id` of a record, twenty-four bytes instead of forty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RowId {
    /// The file's id.
    pub file: FileId,
    /// The row's first byte in it.
    pub offset: u64,
    /// Which of the rows in these bytes, from 0.
    pub part: u32,
}

/// The 96 bits of a file's id.
pub type FileId = [u8; 12];

impl RowId {
    /// From the text; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (file, place) = text.split_once(':')?;
        let (offset, part) = place.split_once('.').unwrap_or((place, "0"));
        Some(RowId { file: file_id(file)?, offset: offset.parse().ok()?, part: part.parse().ok()? })
    }
}

impl From<RowId> for String {
    fn from(row: RowId) -> Self {
        row.to_string()
    }
}

impl TryFrom<String> for RowId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        RowId::parse(&text).ok_or("not the id of a row")
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", hex(&self.file), self.offset)?;
        if self.part > 0 { write!(f, ".{}", self.part) } else { Ok(()) }
    }
}

/// A file's id from its text.
pub fn file_id(text: &str) -> Option<FileId> {
    let mut id = FileId::default();
    if text.len() != 2 * id.len() || !text.is_ascii() {
        return None;
    }
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(id)
}

/// What a format's numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Rows.
    Rows,
    /// The entries of rows: `%l`.
    Entries,
}

impl Counts {
    /// `None`: there are no numbers, or they may have holes though nothing is missing. `docs/decisions.md` says which and why.
    pub const fn of(format: Format) -> Option<Self> {
        match format {
            Format::PostgresCsvlog
            | Format::PostgresJsonlog
            | Format::Cloudnativepg
            | Format::PgauditlogtofileCsv
            | Format::Cri
            | Format::DockerJson => Some(Counts::Rows),
            Format::PostgresStderr | Format::PostgresSyslog => Some(Counts::Entries),
            _ => None,
        }
    }
}

impl<'a> Numbered<'a> {
    /// Of a record that is read; `None` where its format or its server gives no number that counts.
    pub fn of_record(format: Format, record: &Record<'a>, at: RowId, path: &'a str, time: &'a UtcTime) -> Option<Self> {
        let counts = Counts::of(format)?;
        let session = record.session.id?;
        let (number, last) = match counts {
            Counts::Rows => record.session.line.map(|number| (number, number))?,
            Counts::Entries => {
                entries(|name| record.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))?
            }
        };
        let client = record.client.address.is_some();
        let words = || Words::of_record(record);
        let says = match record.act {
            Act::Logout => Says::Disconnected,
            Act::LoginFailed => Says::Died,
            Act::Login | Act::Statement | Act::LoggedStatement | Act::TableAccess | Act::AccessDecision => Says::Active,
            Act::FailedStatement => words().after_login(),
            Act::Message => words().of_message(client, number, record.status == Status::Failure),
            Act::Authenticated | Act::ConnectionReceived => Says::Nothing,
        };
        let says = believed(says, format, words);
        let from_first = counts == Counts::Rows || client || record.act != Act::Message;
        let time = Some(time.as_bytes()).filter(|_| is_certain(time.source));
        Some(Numbered { session, number, last, at, path, client, from_first, says, time })
    }
}

/// The first and the last of a row's entries.
fn entries<'a>(get: impl Fn(&str) -> Option<Value<'a>>) -> Option<(u64, u64)> {
    let number = |name| match get(name) {
        Some(Value::Int(number)) => u64::try_from(number).ok(),
        _ => None,
    };
    let first = number("log_line_number")?;
    Some((first, number("log_line_number_last").unwrap_or(first).max(first)))
}

/// That ends are logged is believed of a log in which the server would also say that it starts anew: sessions of before may then have
/// ended in silence. pgauditlogtofile's file has none of the server's own rows, and in the text formats it takes `%b` to know one.
fn believed<'a>(says: Says, format: Format, words: impl Fn() -> Words<'a>) -> Says {
    let is_known = || match Counts::of(format) {
        Some(Counts::Rows) => format != Format::PgauditlogtofileCsv,
        Some(Counts::Entries) => !words().backend_type.is_empty(),
        None => false,
    };
    if says == Says::Disconnected && !is_known() { Says::Died } else { says }
}

/// A time whose zone the row or the operator stated.
fn is_certain(source: Option<&str>) -> bool {
    matches!(source, None | Some("config:timezone"))
}

/// A line of the journal, as far as it tells what [`Numbered`] has.
#[derive(Debug, Deserialize)]
pub struct Line {
    id: String,
    time: String,
    #[serde(default)]
    time_source: Option<String>,
    action: String,
    #[serde(default)]
    outcome: String,
    /// Name of the `[[source]]`.
    #[serde(default)]
    pub source: String,
    /// Format name.
    #[serde(default)]
    pub format: String,
    #[serde(default)]
    session: SessionOfLine,
    #[serde(default)]
    client: ClientOfLine,
    #[serde(default)]
    error: ErrorOfLine,
    #[serde(default)]
    statement: Option<IgnoredAny>,
    #[serde(default)]
    derived: DerivedOfLine,
    #[serde(default)]
    extra: ExtraOfLine,
    #[serde(default)]
    at: AtOfLine,
}

#[derive(Debug, Default, Deserialize)]
struct AtOfLine {
    file: String,
}

#[derive(Debug, Default, Deserialize)]
struct SessionOfLine {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    line: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct ClientOfLine {
    #[serde(default)]
    address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorOfLine {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct DerivedOfLine {
    #[serde(default)]
    action: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ExtraOfLine {
    #[serde(default)]
    error_severity: Option<String>,
    #[serde(default)]
    sql_state_code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    context: Option<IgnoredAny>,
    #[serde(default)]
    query: Option<IgnoredAny>,
    #[serde(default)]
    backend_type: Option<String>,
    #[serde(default)]
    log_line_number: Option<i64>,
    #[serde(default)]
    log_line_number_last: Option<i64>,
}

impl Line {
    /// The row that the line was made of; `None` where it has no number that counts.
    pub fn numbered(&self) -> Option<Numbered<'_>> {
        let format: Format = self.format.parse().ok()?;
        let counts = Counts::of(format)?;
        let (number, last) = match counts {
            Counts::Rows => self.session.line.map(|number| (number, number))?,
            Counts::Entries => entries(|name| self.extra.number(name).map(Value::Int))?,
        };
        let client = self.client.address.is_some();
        let time = Some(self.time.as_bytes()).filter(|_| is_certain(self.time_source.as_deref()));
        Some(Numbered {
            session: self.session.id.as_deref()?.as_bytes(),
            number,
            last,
            at: RowId::parse(&self.id)?,
            path: &self.at.file,
            client,
            from_first: counts == Counts::Rows || client || self.act() != "SERVER MESSAGE",
            says: believed(self.says(client, number), format, || self.words()),
            time,
        })
    }

    /// The action, where it tells what kind of row it is: a statement's is its verb, whatever that is.
    fn act(&self) -> &str {
        if self.statement.is_some() || self.derived.action.is_some() { "" } else { &self.action }
    }

    fn says(&self, client: bool, number: u64) -> Says {
        let failed = self.outcome == "failure";
        match self.act() {
            "LOGOUT" => Says::Disconnected,
            "LOGIN FAILED" => Says::Died,
            "LOGIN" => Says::Active,
            "AUTHENTICATE" | "CONNECT" => Says::Nothing,
            "SERVER MESSAGE" => self.words().of_message(client, number, failed),
            _ if failed => self.words().after_login(),
            _ => Says::Active,
        }
    }

    fn words(&self) -> Words<'_> {
        let (error, extra) = (&self.error, &self.extra);
        Words {
            severity: extra.error_severity.as_deref().unwrap_or_default().as_bytes(),
            sqlstate: error.code.as_deref().or(extra.sql_state_code.as_deref()).unwrap_or_default().as_bytes(),
            message: error.message.as_deref().or(extra.message.as_deref()).unwrap_or_default().as_bytes(),
            backend_type: extra.backend_type.as_deref().unwrap_or_default().as_bytes(),
            raised: extra.context.is_some() || extra.query.is_some(),
        }
    }
}

impl ExtraOfLine {
    fn number(&self, name: &str) -> Option<i64> {
        match name {
            "log_line_number" => self.log_line_number,
            "log_line_number_last" => self.log_line_number_last,
            _ => None,
        }
    }
}

/// What rows say that are no audit, connection or statement rows.
struct Words<'a> {
    severity: &'a [u8],
    sqlstate: &'a [u8],
    message: &'a [u8],
    backend_type: &'a [u8],
    /// The row is written on behalf of a statement, so that its words may be anybody's.
    raised: bool,
}

impl<'a> Words<'a> {
    fn of_record(record: &Record<'a>) -> Self {
        let (code, message) = (record.error_code, record.error_message);
        let none: &[u8] = b"";
        let mut words = Words { severity: none, sqlstate: none, message: none, backend_type: none, raised: false };
        for (name, value) in &record.extra {
            let Value::Text(text) = *value else { continue };
            match *name {
                "error_severity" => words.severity = text,
                "sql_state_code" => words.sqlstate = text,
                "message" => words.message = text,
                "backend_type" => words.backend_type = text,
                "context" | "query" => words.raised = true,
                _ => {}
            }
        }
        Words { sqlstate: code.unwrap_or(words.sqlstate), message: message.unwrap_or(words.message), ..words }
    }

    fn after_login(&self) -> Says {
        if self.is_fatal() { Says::Died } else { Says::Active }
    }

    fn of_message(&self, client: bool, number: u64, failed: bool) -> Says {
        match client {
            true if failed && self.is_fatal() => Says::Died,
            true if !failed && !self.raised && has_session_time(self.message) => Says::Disconnected,
            true => Says::Nothing,
            // The text formats may leave out the client: then these may be anybody's words.
            false if self.raised => Says::Nothing,
            false if number == 1 && self.backend_type == b"startup" => Says::ServerStarts,
            false if self.is_stop() => Says::ServerStops,
            false if contains(self.message, b"\"log_disconnections\"") => Says::EndsChange,
            false => Says::Nothing,
        }
    }

    /// The words for FATAL and PANIC in the server's message catalogues; and the states that only a session's end has, for a word that
    /// is not among them. A state too many hides an unproven end at worst.
    fn is_fatal(&self) -> bool {
        const WORDS: &[&str] = &[
            "FATAL",
            "PANIC",
            "PANIK",
            "FATALE",
            "PANICO",
            "PÁNICO",
            "ВАЖНО",
            "ПАНИКА",
            "致命错误",
            "比致命错误还过分的错误",
            "致命的エラー",
            "パニック",
            "치명적오류",
            "손상",
            "KATASTROFALNY",
            "PANIKA",
            "ÖLÜMCÜL (FATAL)",
            "KRİTİK",
            "ФАТАЛЬНО",
            "ПАНІКА",
        ];
        const STATES: &[&[u8]] = &[b"08", b"28", b"57P", b"53300", b"3D000", b"25P03", b"25P04"];
        WORDS.iter().any(|word| word.as_bytes() == self.severity)
            || STATES.iter().any(|state| self.sqlstate.starts_with(state))
    }

    /// In English only. In another language an orderly stop is understood by what each session says; what is missed is a stop in
    /// which none could say anything.
    fn is_stop(&self) -> bool {
        const WORDS: &[&[u8]] = &[
            b"received smart shutdown request",
            b"received fast shutdown request",
            b"received immediate shutdown request",
            b"database system is shut down",
        ];
        WORDS.contains(&self.message)
    }
}

/// `disconnection: session time: 0:00:00.523 user=app …` in any language: a time as nothing else is written, then a name and `=`.
fn has_session_time(message: &[u8]) -> bool {
    let dots = memchr::memchr_iter(b'.', message);
    let mut times = dots.filter(|&dot| is_session_time(message, dot));
    times.next().is_some_and(|dot| memchr::memchr(b'=', &message[dot..]).is_some())
}

/// Whether the dot stands in `0:00:00.523 `.
fn is_session_time(message: &[u8], dot: usize) -> bool {
    const BEFORE: &[u8] = b"0:00:00";
    const AFTER: &[u8] = b".000 ";
    let fits = |text: Option<&[u8]>, form: &[u8]| {
        text.is_some_and(|text| {
            text.iter().zip(form).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
        })
    };
    let before = dot.checked_sub(BEFORE.len()).map(|start| &message[start..dot]);
    fits(before, BEFORE) && fits(message.get(dot..dot + AFTER.len()), AFTER)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(message: &[u8]) -> Words<'_> {
        Words { severity: b"LOG", sqlstate: b"00000", message, backend_type: b"", raised: false }
    }

    #[test]
    fn a_disconnection_is_known_in_any_language_and_the_words_of_a_statement_are_none() {
        for message in [
            "disconnection: session time: 0:00:00.523 user=app database=appdb host=127.0.0.1 port=43486",
            "Verbindungsende: Sitzungszeit: 12:04:31.001 Benutzer=app Datenbank=appdb Host=[local]",
            "déconnexion : durée de la session : 100:00:00.000 utilisateur=app base de données=appdb hôte=[local]",
        ] {
            assert_eq!(words(message.as_bytes()).of_message(true, 9, false), Says::Disconnected, "{message}");
            let raised = Words { raised: true, ..words(message.as_bytes()) };
            assert_eq!(raised.of_message(true, 9, false), Says::Nothing, "{message}");
        }
        for message in ["duration: 0.063 ms", "connection authorized: user=app database=appdb", "at 0:00:00.523", ""] {
            assert_eq!(words(message.as_bytes()).of_message(true, 9, false), Says::Nothing, "{message}");
        }
    }

    #[test]
    fn a_failure_that_ends_a_session_is_known_by_its_severity_or_its_state() {
        let failed = |severity, sqlstate| Words { severity, sqlstate, ..words(b"") }.after_login();
        assert_eq!(failed(b"FATAL", b"XX000"), Says::Died);
        assert_eq!(failed("ВАЖНО".as_bytes(), b"XX000"), Says::Died);
        assert_eq!(failed(b"UNHEARD-OF", b"57P01"), Says::Died);
        assert_eq!(failed(b"FEHLER", b"42601"), Says::Active);
    }

    #[test]
    fn what_the_server_says_of_itself() {
        let says = |message, number| words(message).of_message(false, number, false);
        assert_eq!(says(b"received fast shutdown request", 4), Says::ServerStops);
        assert_eq!(says(b"parameter \"log_disconnections\" changed to \"off\"", 4), Says::EndsChange);
        let startup = Words { backend_type: b"startup", ..words(b"database system was interrupted") };
        assert_eq!(startup.of_message(false, 1, false), Says::ServerStarts);
        assert_eq!(startup.of_message(false, 2, false), Says::Nothing);
    }

    #[test]
    fn a_rows_id_is_read_as_it_is_written() {
        for text in ["bf0fa2f6cac815c9483b2f64:15512", "bf0fa2f6cac815c9483b2f64:15512.3"] {
            assert_eq!(RowId::parse(text).unwrap().to_string(), text);
        }
        for text in ["", ":", "bf0fa2f6cac815c9483b2f64", "bf0fa2f6cac815c9483b2f6:1", "zz0fa2f6cac815c9483b2f64:1"] {
            assert_eq!(RowId::parse(text), None, "{text}");
        }
    }
}
