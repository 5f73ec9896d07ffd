//! PostgreSQL's stderr log: `log_line_prefix`, a severity, two spaces, a message.
//!
//! What belongs to a row stands behind it in entries of their own, each with the whole prefix: DETAIL, HINT, QUERY, CONTEXT, LOCATION,
//! BACKTRACE, STATEMENT. A frame is a row with all of them. Line ends inside a text are followed by a tab. What is hard:
//!
//! - The prefix is not escaped. A user name may hold a line end and a whole row behind it, and the server logs it before any password is
//!   asked for. No row of such a prefix can be told from a forged one, so all of them are flagged.
//! - Every entry counts in `%l`, so that a row has as many numbers. They stand in `extra`, as `log_line_number` and
//!   `log_line_number_last`, and not in the session's line. An entry whose number does not follow is a row of its own.
//! - Without the log collector several processes write at once: an entry of another process in between is a row of its own, and so
//!   is what then stands behind it. Lines without a prefix, written by libraries, stay with the row before, in `other`.
//! - Severities are translated. Where the prefix has no `%e`, a severity in a language that is not known says nothing of an outcome.

use std::sync::{Arc, OnceLock};

use memchr::memchr;

use crate::blocks::{BlockFramer, Opens, Starts};
use crate::postgres::{self, Row};
use crate::postgres_prefix::{Escape, Fields, Head, PRESETS, Prefix};
use crate::postgres_words::{self as words, Part};
use crate::record::{Record, Value};
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch, near, times};

/// A framer for a file that is entered at a line.
pub(crate) fn framer(dialect: &Dialect) -> BlockFramer {
    BlockFramer::new(starts(dialect))
}

/// A framer for a file that is entered at an arbitrary byte.
pub(crate) fn framer_mid_file(dialect: &Dialect) -> BlockFramer {
    BlockFramer::mid_file(starts(dialect))
}

fn starts(dialect: &Dialect) -> Arc<dyn Starts> {
    Arc::new(Rows { prefix: dialect.prefix.clone() })
}

/// Lines at which rows begin.
#[derive(Debug)]
struct Rows {
    prefix: Option<Arc<Prefix>>,
}

impl Starts for Rows {
    fn starts(&self, line: &[u8]) -> Opens {
        opens(self.prefix.as_deref(), line)
    }

    /// The entries of a row whose user has a line end in his name all begin with the same line, but for their number.
    fn is_of_same(&self, first: &[u8], line: &[u8]) -> bool {
        candidates(self.prefix.as_deref()).iter().any(|prefix| prefix.leads_alike(first, line))
    }
}

/// A line end in a name hides what would tell for sure: then the beginning of the prefix has to be enough.
fn opens(prefix: Option<&Prefix>, line: &[u8]) -> Opens {
    if line.first() == Some(&b'\t') {
        return Opens::No;
    }
    match read(prefix, line) {
        Some((_, head)) => matches!(head.label.part, Part::Row(_)).into(),
        None if candidates(prefix).iter().any(|prefix| prefix.leads(line)) => Opens::Perhaps,
        None => Opens::No,
    }
}

/// Reads an entry's beginning, by the operator's prefix or by any that is known.
fn read<'p, 'a>(prefix: Option<&'p Prefix>, line: &'a [u8]) -> Option<(&'p Prefix, Head<'a>)> {
    candidates(prefix).iter().find_map(|prefix| Some((prefix, prefix.read(line)?)))
}

fn candidates(prefix: Option<&Prefix>) -> &[Prefix] {
    static KNOWN: OnceLock<Vec<Prefix>> = OnceLock::new();
    match prefix {
        Some(prefix) => std::slice::from_ref(prefix),
        None => KNOWN.get_or_init(|| PRESETS.iter().filter_map(|(_, text)| Prefix::compile(text).ok()).collect()),
    }
}

/// Does an entry stand at the start, by its prefix and its label?
pub(crate) fn starts_entry(prefix: Option<&Prefix>, text: &[u8]) -> bool {
    read(prefix, &text[..line_len(text)]).is_some()
}

/// Does this look like a line of the format, with a prefix that is known?
pub(crate) fn is_line(line: &[u8]) -> bool {
    read(None, line).is_some()
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match Group::read(dialect.prefix.as_deref(), frame) {
        Some((group, len)) if len == frame.len() => {
            let mut room = scratch.room(group.room_len());
            Parsed::Record(group.record(&Outside::default(), &mut room))
        }
        Some(_) => Parsed::Several,
        None => Parsed::Unparsed {
            reason: "this does not begin as log_line_prefix says, or a line end stands in a name",
            retry_at: next_record(dialect, frame),
        },
    }
}

/// The rows of a frame in which several processes wrote. See [`crate::each`].
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let mut at = 0;
    while let Some((group, len)) = frame.get(at..).and_then(|rest| Group::read(dialect.prefix.as_deref(), rest)) {
        let mut room = scratch.room(group.room_len());
        row(Parsed::Record(group.record(&Outside::default(), &mut room)));
        at += len;
    }
}

/// Where a record starts behind the first byte.
pub(crate) fn next_record(dialect: &Dialect, bytes: &[u8]) -> Option<usize> {
    let prefix = dialect.prefix.as_deref();
    let mut at = 0;
    loop {
        at += memchr(b'\n', bytes.get(at..)?)? + 1;
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if opens(prefix, &rest[..line_len(rest)]) != Opens::No {
            return Some(at);
        }
    }
}

/// What is known of a row from outside of it: of the line around it.
#[derive(Debug, Default)]
pub(crate) struct Outside<'a> {
    pub time: Option<&'a [u8]>,
    pub pid: Option<i64>,
}

/// A row with what belongs to it, or what belongs to a row that stands elsewhere.
#[derive(Debug)]
pub(crate) struct Group<'p, 'a> {
    prefix: &'p Prefix,
    /// Nobody said that this is the prefix.
    is_guess: bool,
    fields: Fields<'a>,
    /// The severity of the row.
    severity: Option<&'a [u8]>,
    /// The texts as they stand, tabs included.
    texts: [Option<&'a [u8]>; TEXTS],
    last_line: Option<&'a [u8]>,
    /// Lines that are no entries.
    strays: Vec<&'a [u8]>,
    len: usize,
}

const TEXTS: usize = 8;

fn slot(part: Part) -> usize {
    match part {
        Part::Row(_) => 0,
        Part::Detail => 1,
        Part::Hint => 2,
        Part::Query => 3,
        Part::Context => 4,
        Part::Location => 5,
        Part::Backtrace => 6,
        Part::Statement => 7,
    }
}

impl<'p, 'a> Group<'p, 'a> {
    /// The entries of one process at the start of the frame, and their length. `None` when no entry stands there.
    pub(crate) fn read(prefix: Option<&'p Prefix>, frame: &'a [u8]) -> Option<(Self, usize)> {
        Self::read_while(prefix, frame, |group, head| group.is_next(head) && group.is_counted_on(head))
    }

    /// The same of entries that are known to be of one row, though some of them may be lost.
    pub(crate) fn read_row(prefix: Option<&'p Prefix>, frame: &'a [u8]) -> Option<(Self, usize)> {
        Self::read_while(prefix, frame, Self::is_next)
    }

    fn read_while(
        prefix: Option<&'p Prefix>,
        frame: &'a [u8],
        is_next: impl Fn(&Self, &Head<'_>) -> bool,
    ) -> Option<(Self, usize)> {
        let line = line_len(frame);
        let (found, head) = read(prefix, &frame[..line]).or_else(|| read(prefix, frame))?;
        let mut group = Group {
            prefix: found,
            is_guess: prefix.is_none(),
            fields: head.fields.clone(),
            severity: None,
            texts: [None; TEXTS],
            last_line: None,
            strays: Vec::new(),
            len: 0,
        };
        let mut at = group.take(&head, frame);
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            let line = line_len(rest);
            match entry(found, rest, line) {
                Some(head) if is_next(&group, &head) => at += group.take(&head, rest),
                Some(_) => break,
                None => {
                    let len = stray_len(found, rest);
                    group.strays.push(&rest[..len]);
                    at += len;
                }
            }
        }
        group.len = at;
        Some((group, at))
    }

    /// Is the entry of this row? One process writes one row at a time, and each text of it once.
    fn is_next(&self, head: &Head<'_>) -> bool {
        let same = |kind| self.fields.get(kind) == head.fields.get(kind);
        !matches!(head.label.part, Part::Row(_))
            && self.texts[slot(head.label.part)].is_none()
            && same(Escape::Pid)
            && same(Escape::Session)
    }

    /// Does the entry's number follow? An entry behind one that is missing may be of another row.
    fn is_counted_on(&self, head: &Head<'_>) -> bool {
        let last = self.last_line.and_then(number);
        let next = head.fields.get(Escape::Line).and_then(number);
        last.zip(next).is_none_or(|(last, next)| last.checked_add(1) == Some(next))
    }

    /// Takes the entry at the start of `bytes`; its length.
    fn take(&mut self, head: &Head<'a>, bytes: &'a [u8]) -> usize {
        let from = head.at + head.label.len;
        let len = from + text_len(&bytes[from..]);
        let text = &bytes[from..len];
        if matches!(head.label.part, Part::Row(_)) {
            self.severity = Some(head.label.word);
        }
        self.texts[slot(head.label.part)] = Some(text.strip_suffix(b"\n").unwrap_or(text));
        self.last_line = head.fields.get(Escape::Line);
        len
    }

    /// Texts without tabs, and the message once more for pgAudit's fields.
    pub(crate) fn room_len(&self) -> usize {
        2 * self.len + 64 + times::TIME_MAX
    }

    /// Does the prefix tell the time?
    pub(crate) fn has_time(&self) -> bool {
        [Escape::Millis, Escape::Time, Escape::Epoch].iter().any(|kind| self.fields.get(*kind).is_some())
    }

    /// What stands outside counts where the prefix says nothing.
    pub(crate) fn record(&self, outside: &Outside<'a>, room: &mut Room<'a>) -> Record<'a> {
        let row = self.row(outside, room);
        let mut record = postgres::record(row, room);
        let first = self.fields.get(Escape::Line);
        let numbers =
            [("log_line_number", first), ("log_line_number_last", self.last_line.filter(|_| first != self.last_line))];
        for (name, value) in numbers {
            record.extra.extend(value.map(|value| (name, number_or_text(value))));
        }
        if self.is_guess || self.prefix.is_forgeable() {
            record.flags.push("forgeable");
        }
        record
    }

    fn row(&self, outside: &Outside<'a>, room: &mut Room<'a>) -> Row<'a> {
        let mut text = |part: Part| self.texts[slot(part)].map(|raw| without_tabs(raw, room));
        let message = text(Part::Row(None));
        let detail = text(Part::Detail);
        let hint = text(Part::Hint);
        let internal_query = text(Part::Query);
        let context = text(Part::Context);
        let location = text(Part::Location);
        let backtrace = text(Part::Backtrace);
        let query = text(Part::Statement);
        let other = self.strays(room);
        let epoch = self.fields.get(Escape::Epoch).and_then(ms_of).map(|ms| times::of_unix_ms(ms, room));
        let get = |kind| self.fields.get(kind);
        let name = |kind| get(kind).filter(|name| !words::is_unknown(name));
        let number = |kind| get(kind).and_then(number);
        let (address, port) = client(get(Escape::RemoteAndPort), get(Escape::Remote));
        let (message, verbose) = split_state(message, location.is_some());
        let (message, position) =
            split_position(message, internal_query.is_some() || (query.is_some() && context.is_none()));
        let is_internal = internal_query.is_some();
        Row {
            time: get(Escape::Millis).or(get(Escape::Time)).or(epoch).or(outside.time).unwrap_or_default(),
            user: name(Escape::User),
            database: name(Escape::Database),
            pid: number(Escape::Pid).or_else(|| get(Escape::Session).and_then(pid_of)).or(outside.pid),
            address,
            port,
            session_id: get(Escape::Session),
            line: None,
            command_tag: get(Escape::Tag),
            start: get(Escape::Start),
            virtual_transaction_id: get(Escape::VirtualTransaction),
            transaction_id: number(Escape::Transaction),
            severity: self.severity,
            sqlstate: get(Escape::State).or(verbose),
            message,
            audit: None,
            detail,
            hint,
            internal_query,
            internal_query_pos: position.filter(|_| is_internal),
            context,
            query,
            query_pos: position.filter(|_| !is_internal),
            location,
            application: name(Escape::Application),
            backend_type: get(Escape::Backend),
            leader_pid: number(Escape::LeaderPid),
            query_id: number(Escape::QueryId),
            local_address: get(Escape::Local),
            backtrace,
            other,
            is_partial: !self.prefix.tells_clients(),
        }
    }

    fn strays(&self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        if self.strays.is_empty() {
            return None;
        }
        let all = room.write(|out| {
            self.strays.iter().fold(0, |len, stray| {
                out[len..len + stray.len()].copy_from_slice(stray);
                len + stray.len()
            })
        });
        Some(all.strip_suffix(b"\n").unwrap_or(all))
    }
}

/// The entry at the start of a line. A name in its prefix may hold the line's end.
fn entry<'a>(prefix: &Prefix, bytes: &'a [u8], line: usize) -> Option<Head<'a>> {
    let line = &bytes[..line];
    prefix.read(line).or_else(|| prefix.leads(line).then(|| prefix.read(bytes)).flatten())
}

/// Up to the next line that has the prefix.
fn stray_len(prefix: &Prefix, bytes: &[u8]) -> usize {
    let mut len = text_len(bytes);
    while let Some(rest) = bytes.get(len..).filter(|rest| !rest.is_empty()) {
        if entry(prefix, rest, line_len(rest)).is_some() {
            break;
        }
        len += text_len(rest);
    }
    len
}

/// A line and all that go on with a tab.
fn text_len(bytes: &[u8]) -> usize {
    let mut len = line_len(bytes);
    while bytes.get(len) == Some(&b'\t') {
        len += line_len(&bytes[len..]);
    }
    len
}

/// The line end included.
fn line_len(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |len| len + 1)
}

/// The server writes a tab behind every line end inside a text.
fn without_tabs<'a>(raw: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    if memchr(b'\n', raw).is_none() {
        return raw;
    }
    room.write(|out| {
        let (mut len, mut rest) = (0, raw);
        while let Some(feed) = near::find_part(b"\n\t", rest) {
            out[len..=len + feed].copy_from_slice(&rest[..=feed]);
            len += feed + 1;
            rest = &rest[feed + 2..];
        }
        out[len..len + rest.len()].copy_from_slice(rest);
        len + rest.len()
    })
}

/// `127.0.0.1(53348)`, `::1(5432)`, `[local]`.
fn client<'a>(with_port: Option<&'a [u8]>, host: Option<&'a [u8]>) -> (Option<&'a [u8]>, Option<u16>) {
    let split = |text: &'a [u8]| {
        let inner = text.strip_suffix(b")")?;
        let open = memchr::memrchr(b'(', inner)?;
        let port = std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()?;
        Some((&inner[..open], port))
    };
    match with_port.map(|text| split(text).ok_or(text)) {
        Some(Ok((host, port))) => (Some(host), Some(port)),
        Some(Err(text)) => (Some(text), None),
        None => (host, None),
    }
}

/// With `log_error_verbosity = verbose` the message begins with the SQLSTATE, and the location is written.
fn split_state(message: Option<&[u8]>, is_verbose: bool) -> (Option<&[u8]>, Option<&[u8]>) {
    let split = |message: &'_ [u8]| -> Option<usize> {
        let state = message.get(..5)?;
        let is_state = state.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        (is_state && message[5..].starts_with(b": ")).then_some(7)
    };
    match message.filter(|_| is_verbose).and_then(split) {
        Some(len) => (message.map(|message| &message[len..]), message.map(|message| &message[..5])),
        None => (message, None),
    }
}

/// ` at character 15` stands behind messages of rows that have the text in which it is.
fn split_position(message: Option<&[u8]>, has_text: bool) -> (Option<&[u8]>, Option<i64>) {
    match message.filter(|_| has_text).and_then(words::split_position) {
        Some((message, position)) => (Some(message), Some(position)),
        None => (message, None),
    }
}

/// The process in `6b00ad6f.42a5`.
fn pid_of(session: &[u8]) -> Option<i64> {
    let dot = memchr(b'.', session)?;
    i64::from_str_radix(std::str::from_utf8(&session[dot + 1..]).ok()?, 16).ok()
}

/// Milliseconds in `1763670511.135`.
fn ms_of(epoch: &[u8]) -> Option<i64> {
    let (seconds, ms) = epoch.split_at_checked(memchr(b'.', epoch)?)?;
    number(seconds)?.checked_mul(1000)?.checked_add(number(ms.get(1..)?)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn number_or_text(digits: &[u8]) -> Value<'_> {
    number(digits).map_or(Value::Text(digits), Value::Int)
}
