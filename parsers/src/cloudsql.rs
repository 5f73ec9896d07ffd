//! Google Cloud's LogEntry of Cloud SQL and AlloyDB: data-access audit logs, and the server's own log.
//!
//! One JSON object a row, as sinks write them: a line each, an array, or one behind the other. What is hard:
//!
//! - pgAudit's entries are cut into chunks (`chunkIndex` of `chunkCount`) when they are large. They are pieces of one row.
//! - `textPayload` is a line of the server's log without its time. Where the operator does not say what it is, the log's name does:
//!   `projects/NAME/logs/cloudsql.googleapis.com%2Fpostgres.log`.
//! - Every other entry of these services, such as an administrator's, is a message with all that it holds.

use std::sync::LazyLock;

use crate::braces;
use crate::inside;
use crate::json::{self, Value as Json};
use crate::members::{self, Members};
use crate::record::{Act, Client, Object, Parameters, Piece, Record, Session, Statement, Status};
use crate::scratch::Room;
use crate::{Dialect, Parsed, Scratch, digits, parse as parse_row, times};

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let object = object(frame);
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between objects" };
    }
    let entry = match Entry::read(object) {
        Ok(entry) => entry,
        Err(reason) => return Parsed::Unparsed { reason, retry_at: next_record(frame) },
    };
    let (mut room, scratch) = scratch.room_and_inside(room_len(object));
    if let Some(piece) = entry.piece(&mut room) {
        return Parsed::Piece(piece);
    }
    let Some(text) = entry.text(&mut room) else {
        return Parsed::Record(entry.record(&mut [], true, &mut room));
    };
    let inside = inside_of_log(dialect, entry.log, text);
    match inside::row(inside.as_ref(), text, scratch) {
        Parsed::Record(record) => Parsed::Record(entry.around(record, &mut room)),
        Parsed::Unparsed { reason, .. } => Parsed::Unparsed { reason, retry_at: None },
        other => other,
    }
}

/// The rows of a server's text that holds several. See [`crate::each`].
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let object = object(frame);
    let (mut room, inner) = scratch.room_and_inside(room_len(object));
    let Ok(entry) = Entry::read(object) else { return row(parse_row(dialect, frame, scratch)) };
    let Some(text) = entry.text(&mut room) else {
        return row(Parsed::Record(entry.record(&mut [], true, &mut room)));
    };
    let mut common = Scratch::new();
    let inside = inside_of_log(dialect, entry.log, text);
    inside::each_row(inside.as_ref(), text, inner, &mut |parsed| match (parsed, Entry::read(object)) {
        (Parsed::Record(record), Ok(entry)) => {
            row(Parsed::Record(entry.around(record, &mut common.room(room_len(object)))));
        }
        (Parsed::Unparsed { reason, .. }, _) => row(Parsed::Unparsed { reason, retry_at: None }),
        (other, _) => row(other),
    });
}

/// Says what the chunks of one row hold, whatever their order. See [`crate::assemble`].
pub fn assemble<'a>(dialect: &Dialect, frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    let len: usize = frames.iter().map(|frame| room_len(frame)).sum();
    let mut chunks: Vec<Entry<'a>> = frames.iter().filter_map(|frame| Entry::read(object(frame)).ok()).collect();
    chunks.sort_by_key(|entry| entry.chunk().map_or(0, |chunk| chunk.index));
    let is_whole = chunks.first().and_then(Entry::chunk).is_none_or(|first| {
        let all = chunks.iter().filter_map(|entry| entry.chunk().map(|chunk| i64::from(chunk.index)));
        all.eq(i64::from(first.index)..i64::from(first.index) + first.count) && first.index <= 1
    });
    let Some((first, rest)) = chunks.split_first_mut() else {
        return match frames {
            [frame, ..] => parse(dialect, frame, scratch),
            [] => Parsed::Nothing { what: "no bytes" },
        };
    };
    if first.kind == Kind::Text {
        return Parsed::Unparsed { reason: "not a chunk of an audit entry", retry_at: None };
    }
    let mut room = scratch.room(len);
    Parsed::Record(std::mem::take(first).record(rest, is_whole && complete, &mut room))
}

/// Where an entry begins behind the first byte.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    braces::next_object(frame, b"{\"insertId\"", |object| Entry::read(object).is_ok())
}

fn object(frame: &[u8]) -> &[u8] {
    let from = memchr::memchr(b'{', frame).unwrap_or(frame.len());
    frame[from..].trim_ascii()
}

fn room_len(object: &[u8]) -> usize {
    2 * members::room_len(object)
}

/// What a log of Cloud SQL holds, by its name. The time stands outside.
fn inside_of_log(dialect: &Dialect, log: &[u8], text: &[u8]) -> Option<Dialect> {
    static CLOUDSQL: LazyLock<Dialect> = LazyLock::new(|| inside::postgres_stderr(Some("[%p]: [%l-1] db=%d,user=%u ")));
    match &dialect.inside {
        Some(inside) => Some(Dialect::clone(inside)),
        None if log.ends_with(b"postgres.log") && text.starts_with(b"[") => Some(CLOUDSQL.clone()),
        None if log.ends_with(b"postgres.log") => Some(inside::postgres_stderr(None)),
        None => None,
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    PgAudit,
    MysqlAudit,
    /// Any other entry of an audit log.
    #[default]
    Other,
    /// A line of the server's log.
    Text,
}

/// One LogEntry, its audit entry apart.
#[derive(Debug, Default)]
struct Entry<'a> {
    kind: Kind,
    log: &'a [u8],
    outside: Members<'a>,
    payload: Members<'a>,
    request: Members<'a>,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    index: u32,
    count: i64,
}

impl<'a> Entry<'a> {
    fn read(object: &'a [u8]) -> Result<Self, &'static str> {
        let mut outside = Members::read(object)?;
        let log = outside.peek("logName").and_then(members::text_of).map_or(&b""[..], |text| text.raw);
        if outside.has("textPayload") {
            return Ok(Entry { kind: Kind::Text, log, outside, ..Entry::default() });
        }
        if !outside.has("protoPayload") && !outside.has("jsonPayload") {
            return Err("no protoPayload, textPayload or jsonPayload");
        }
        let mut payload = outside.members("protoPayload");
        let mut request = Members::default();
        let mut kind = Kind::Other;
        if let Some(Json::Object(raw)) = payload.peek("request") {
            let members = Members::read(raw)?;
            let is_of =
                |name: &[u8]| members.peek("@type").and_then(members::text_of).is_some_and(|of| of.raw.ends_with(name));
            // What stands between Google and the file may take out names that begin with a sign, as Logstash does.
            let is_untyped = !members.has("@type") && members.has("auditClass") && members.has("databaseSessionId");
            if is_of(b"PgAuditEntry") || is_untyped {
                kind = Kind::PgAudit;
            } else if is_of(b"MysqlAuditEntry") {
                kind = Kind::MysqlAudit;
            }
            if kind != Kind::Other {
                payload.drop("request");
                request = members;
            }
        }
        Ok(Entry { kind, log, outside, payload, request })
    }

    fn chunk(&self) -> Option<Chunk> {
        let int = |key| match self.request.peek(key)? {
            Json::Int(number) => Some(number),
            Json::Text(text) => std::str::from_utf8(text.raw).ok()?.parse().ok(),
            _ => None,
        };
        let (index, count) = (int("chunkIndex")?, int("chunkCount")?);
        Some(Chunk { index: u32::try_from(index).ok()?, count: count.min(i64::from(u32::MAX)) })
    }

    /// Which row it is a chunk of, if it is not all of it.
    fn piece(&self, room: &mut Room<'a>) -> Option<Piece<'a>> {
        let Chunk { index, count } = self.chunk().filter(|chunk| self.kind == Kind::PgAudit && chunk.count > 1)?;
        let raw = |key| match self.request.peek(key)? {
            Json::Text(text) => Some(text.raw),
            _ => None,
        };
        let number = |key| match self.request.peek(key) {
            Some(Json::Int(number)) => u64::try_from(number).ok(),
            _ => std::str::from_utf8(raw(key)?).ok()?.parse().ok(),
        };
        let statement = number("statementId").unwrap_or_default();
        let row = (statement << 24) | number("substatementId").unwrap_or_default();
        let is_last = i64::from(index) >= count;
        // Which of the chunks it is matters only when they are put together: they may come in any order.
        let writer = match self.request.peek("databaseSessionId") {
            Some(Json::Int(session)) => digits::in_room(session, room),
            _ => raw("databaseSessionId").unwrap_or_default(),
        };
        Some(Piece { writer, row, number: 0, is_last: Some(is_last) })
    }

    fn text(&self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        self.outside.peek("textPayload").and_then(members::text_of).map(|text| text.unescaped(room))
    }

    /// The row of a server's text, with what the entry says besides.
    fn around(mut self, mut record: Record<'a>, room: &mut Room<'a>) -> Record<'a> {
        self.outside.drop("textPayload");
        let time = self.outside.text("timestamp", room).unwrap_or_default();
        match record.time {
            b"" => record.time = times::of_iso(time, b"", room),
            _ => inside::add(&mut record, "timestamp", Some(time)),
        }
        self.keep(&mut record, room);
        record
    }

    /// The row of an audit entry; `more` are its further chunks.
    fn record(mut self, more: &mut [Entry<'a>], is_whole: bool, room: &mut Room<'a>) -> Record<'a> {
        let time = self.outside.text("timestamp", room).unwrap_or_default();
        let mut record = Record { time: times::of_iso(time, b"", room), ..Record::default() };
        match self.kind {
            Kind::PgAudit => self.pgaudit(&mut record, more, room),
            Kind::MysqlAudit => self.mysql(&mut record, room),
            Kind::Other | Kind::Text => self.other(&mut record, room),
        }
        if !is_whole {
            let _ = record.flags.try_push("incomplete");
        }
        self.keep(&mut record, room);
        record
    }

    fn pgaudit(&mut self, record: &mut Record<'a>, more: &mut [Entry<'a>], room: &mut Room<'a>) {
        let request = &mut self.request;
        record.act = Act::Statement;
        record.user = request.text("user", room);
        record.database = request.text("database", room);
        record.session = Session { id: request.word("databaseSessionId", room), ..Session::default() };
        record.command = request.text("command", room);
        record.object = request.text("object", room);
        record.object_type = request.text("objectType", room);
        let mut parts = |key| {
            let first = request.text(key, room).unwrap_or_default();
            let rest = more.iter_mut().filter_map(|entry| entry.request.text(key, room));
            let all: Vec<_> = std::iter::once(first).chain(rest).collect();
            // A stand-in is in every chunk; chunks of a text may be equal by chance.
            let is_stand_in = is_withheld(first) || matches!(first, b"<none>" | b"[none]");
            let is_same = all.len() == 1 || (is_stand_in && all.iter().all(|part| *part == first));
            if is_same { first } else { joined(&all, room) }
        };
        let (text, parameter) = (parts("statement"), parts("parameter"));
        let withheld = is_withheld(text);
        record.statement = Some(Statement {
            text: Some(text).filter(|_| !withheld),
            withheld: Some(text).filter(|_| withheld),
            class: request.text("auditClass", room),
            id: request.count("statementId"),
            substatement_id: request.count("substatementId"),
            parameters: match parameter {
                b"" | b"<none>" | b"[none]" => Parameters::None,
                word if is_withheld(word) => Parameters::Withheld(word),
                line => Parameters::Csv(line),
            },
            rows: None,
        });
        const NAMES: [(&str, &str); 2] = [("auditType", "auditType"), ("chunkCount", "chunkCount")];
        if self.chunk().is_some_and(|chunk| chunk.count <= 1) {
            self.request.drop("chunkCount");
        }
        self.request.keep(&NAMES, record, room);
        self.request.drop("chunkIndex");
    }

    fn mysql(&mut self, record: &mut Record<'a>, room: &mut Room<'a>) {
        let request = &mut self.request;
        let date = request.text("date", room);
        match date {
            Some(date) if record.time.is_empty() => record.time = times::of_iso(date, b"", room),
            date => inside::add(record, "date", date),
        }
        let (account, user) = (request.text("privUser", room), request.text("user", room));
        record.user = account.or(user);
        inside::add(record, "user", user.filter(|_| account.is_some() && account != user));
        record.client =
            Client { address: request.text("ip", room).or_else(|| request.text("host", room)), ..Client::default() };
        record.session = Session { id: request.word("threadId", room), ..Session::default() };
        record.command = request.text("cmd", room);
        record.error_code = request.word("errCode", room).filter(|code| *code != b"0");
        record.status = match request.text("status", room) {
            Some(b"successful") => Status::Success,
            Some(b"unsuccessful") => Status::Failure,
            other => {
                inside::add(record, "status", other);
                if record.error_code.is_some() { Status::Failure } else { Status::Unknown }
            }
        };
        record.act = mysql_act(record.command.unwrap_or_default(), record.status);
        let query = request.text("query", room);
        if matches!(record.act, Act::Statement | Act::FailedStatement) {
            record.statement = query.map(|text| Statement { text: Some(text), ..Statement::default() });
        } else {
            inside::add(record, "query", query);
        }
        if let Some(objects) = request.array("objects") {
            take_objects(record, objects, room);
        }
        const NAMES: [(&str, &str); 4] =
            [("queryId", "queryId"), ("msgType", "msgType"), ("osUser", "osUser"), ("appName", "appName")];
        request.keep(&NAMES, record, room);
    }

    /// What somebody did with the service itself.
    fn other(&mut self, record: &mut Record<'a>, room: &mut Room<'a>) {
        record.command = self.payload.text("methodName", room);
        record.user = self.payload.members("authenticationInfo").text("principalEmail", room);
        record.client.address = self.payload.members("requestMetadata").text("callerIp", room);
        record.object = self.payload.text("resourceName", room);
        let mut status = self.payload.members("status");
        match status.int("code") {
            Some(0) => record.status = Status::Success,
            Some(code) => {
                record.status = Status::Failure;
                record.error_code = Some(digits::in_room(code, room));
                record.error_message = status.text("message", room);
            }
            None => {}
        }
    }

    /// What no field took.
    fn keep(mut self, record: &mut Record<'a>, room: &mut Room<'a>) {
        self.request.drop("@type");
        self.request.keep_rest("protoPayload.request", record, room);
        self.payload.drop("@type");
        const PAYLOAD: [(&str, &str); 3] = [
            ("methodName", "protoPayload.methodName"),
            ("resourceName", "protoPayload.resourceName"),
            ("serviceName", "protoPayload.serviceName"),
        ];
        self.payload.keep(&PAYLOAD, record, room);
        self.payload.keep_rest("protoPayload", record, room);
        const NAMES: [(&str, &str); 7] = [
            ("insertId", "insertId"),
            ("logName", "logName"),
            ("severity", "severity"),
            ("receiveTimestamp", "receiveTimestamp"),
            ("resource", "resource"),
            ("labels", "labels"),
            ("jsonPayload", "jsonPayload"),
        ];
        self.outside.keep(&NAMES, record, room);
        self.outside.keep_rest("other", record, room);
    }
}

/// Stand-ins for what pgAudit was told not to write, as Cloud SQL words them and as pgAudit does.
fn is_withheld(text: &[u8]) -> bool {
    matches!(text, b"[not logged]" | b"<not logged>" | b"[previously logged]" | b"<previously logged>")
}

fn joined<'a>(parts: &[&[u8]], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        parts.iter().fold(0, |len, part| {
            let free = out.get_mut(len..).unwrap_or_default();
            let copied = part.len().min(free.len());
            free[..copied].copy_from_slice(&part[..copied]);
            len + copied
        })
    })
}

fn mysql_act(command: &[u8], status: Status) -> Act {
    let is = |word: &[u8]| command.eq_ignore_ascii_case(word);
    let failed = status == Status::Failure;
    match command {
        _ if is(b"Failed Login") || (is(b"Connect") && failed) => Act::LoginFailed,
        _ if is(b"Connect") || is(b"Change user") => Act::Login,
        _ if is(b"Quit") || is(b"Disconnect") => Act::Logout,
        _ if failed => Act::FailedStatement,
        _ => Act::Statement,
    }
}

fn take_objects<'a>(record: &mut Record<'a>, objects: &'a [u8], room: &mut Room<'a>) {
    let mut found = Vec::new();
    let walked = json::elements(objects, |element| {
        let Json::Object(raw) = element else { return };
        let Ok(mut object) = Members::read(raw) else { return };
        found.push(Object {
            database: object.text("db", room),
            name: object.text("name", room).unwrap_or_default(),
            kind: object.text("objType", room),
            access: None,
        });
    });
    if walked.is_err() {
        inside::add(record, "objects", Some(objects));
    }
    if let Some(first) = found.first() {
        (record.object, record.object_type, record.object_database) = (Some(first.name), first.kind, first.database);
    }
    if found.len() > 1 {
        record.objects = found;
    }
}
