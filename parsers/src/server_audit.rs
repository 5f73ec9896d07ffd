//! The log of MariaDB's plugin server_audit, and of what Amazon made of it for MySQL: comma-separated rows of which only the SQL is escaped.
//!
//! A row is `time,serverhost,username,host,connectionid,queryid,operation,database,object,retcode`. Which of the dialects it is, each
//! row tells for itself, and the first one names the file's format: Aurora's time is a count of microseconds, Amazon's plugin adds a column behind connections and two empty ones
//! behind statements, later servers write `host:port` and put the TLS version where a connection has no object. What is hard:
//!
//! - Names stand as they are, with commas, quotes and line feeds, and a failed login's name was chosen by somebody who has no password.
//!   So a row is read from both ends: a statement from its closing quote back, since no quote in it is bare; the names in front from the
//!   last two numbers and operation that can be meant. Where there is more than one reading the record says `forgeable`.
//! - A line feed in a name splits the row. A row begins with a time, and lines that begin otherwise belong to the row before them.
//! - `server_audit_query_log_limit` cuts a statement without a mark.
//!
//! One statement is several rows: one for each table, and behind them the statement's own, which alone has the outcome. They share
//! connection and query id, and come out as one record.

pub mod syslog;

use memchr::memrchr;

use crate::Format;
use crate::blocks::{BlockFramer, Opens, Starts};
use crate::digits::number;
use crate::frame::Framer;
use crate::near;
use crate::record::{Act, Client, Object, Parsed, Piece, Record, Session, Statement, Status, Value};
use crate::scratch::{Room, Scratch};
use crate::times::{self, TIME_MAX, Unit, fits};

/// `server_audit_query_log_limit`, unless somebody set it.
const QUERY_LOG_LIMIT: usize = 1024;

/// The plugin writes rows without a statement from a buffer of 1 KiB. Longer ones are not looked at, so that a torn statement which
/// is full of operations is not looked through again for each of them.
const TAIL_MAX: usize = 8 * 1024;

/// A row begins with a time.
#[derive(Debug)]
struct Start;

impl Starts for Start {
    fn starts(&self, line: &[u8]) -> Opens {
        time_len(line).is_some().into()
    }
}

/// A framer that enters the file at a row's first byte.
pub(crate) fn framer() -> Framer {
    Framer::Blocks(BlockFramer::new(std::sync::Arc::new(Start)))
}

/// A framer that enters the file at an arbitrary byte.
pub(crate) fn mid_file() -> Framer {
    Framer::Blocks(BlockFramer::mid_file(std::sync::Arc::new(Start)))
}

/// Whose row the text begins with, as far as its first line goes.
pub(crate) fn format_of(text: &[u8]) -> Option<Format> {
    let (line, columns): (_, Columns<'_>) = match text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default()
    {
        line if line.ends_with(b"\n") => (&line[..line.len() - 1], Row::of_whole_columns),
        line => (line, Row::of_columns),
    };
    let row = Row::of_line(line, columns).ok()?;
    Some(if is_number(row.time) { Format::AuroraAudit } else { Format::MariadbAudit })
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    parsed(Row::of_frame(frame), scratch)
}

/// Says what the rows of one statement hold. See [`crate::assemble`].
pub fn assemble<'a>(frames: &[&'a [u8]], scratch: &'a mut Scratch) -> Parsed<'a> {
    assembled(frames, Row::of_frame, scratch)
}

fn parsed<'a>(row: Result<Row<'a>, &'static str>, scratch: &'a mut Scratch) -> Parsed<'a> {
    match row {
        Ok(row) => match row.piece() {
            Some(piece) => Parsed::Piece(piece),
            None => Parsed::Record(row.record(&mut scratch.room(row.room_len()))),
        },
        Err(reason) => Parsed::Unparsed { reason, retry_at: None },
    }
}

/// The last statement's row has the outcome; the tables' rows before it say what was touched.
fn assembled<'a>(
    frames: &[&'a [u8]],
    read: fn(&'a [u8]) -> Result<Row<'a>, &'static str>,
    scratch: &'a mut Scratch,
) -> Parsed<'a> {
    let (mut statement, mut first) = (None, None);
    let (mut objects, mut is_doubtful) = (Vec::new(), false);
    for row in frames.iter().filter_map(|frame| read(frame).ok()) {
        is_doubtful |= row.is_doubtful;
        match row.tail {
            Tail::Table { database, object } => {
                objects.push(Object {
                    database: not_empty(database),
                    name: object,
                    kind: None,
                    access: Some(row.operation),
                });
                first.get_or_insert(row);
            }
            _ => statement = Some(row),
        }
    }
    let Some(mut row) = statement.or(first) else {
        return Parsed::Unparsed { reason: "none of these is a row", retry_at: None };
    };
    row.is_doubtful = is_doubtful;
    let mut record = row.record(&mut scratch.room(row.room_len()));
    if let Some(object) = objects.first() {
        (record.object, record.object_database) = (Some(object.name), object.database);
    }
    if statement.is_none() {
        record.flags.push("incomplete");
    }
    record.objects = objects;
    Parsed::Record(record)
}

/// One row, taken apart; nothing is unescaped yet.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    time: &'a [u8],
    serverhost: &'a [u8],
    user: &'a [u8],
    host: &'a [u8],
    connection_id: &'a [u8],
    query_id: &'a [u8],
    operation: &'a [u8],
    tail: Tail<'a>,
    /// Lines behind the row that are no part of it.
    other: Option<&'a [u8]>,
    /// What syslog was told to put before each row.
    info: Option<&'a [u8]>,
    /// It can be read in another way, or a line feed stands in it.
    is_doubtful: bool,
}

/// What stands behind the operation.
#[derive(Debug, Clone, Copy)]
enum Tail<'a> {
    /// `database,'statement',retcode`. The last two are missing where something behind the server cut the row.
    Statement { database: &'a [u8], text: &'a [u8], retcode: Option<&'a [u8]> },
    /// `database,object,`
    Table { database: &'a [u8], object: &'a [u8] },
    /// `database,object,retcode`, and at Amazon `,connection_type`.
    Connection { database: &'a [u8], object: &'a [u8], retcode: &'a [u8], connection_type: Option<&'a [u8]> },
}

/// Reads what stands behind the time.
type Columns<'a> = fn(&'a [u8]) -> Result<Row<'a>, &'static str>;

const NO_ROW: &str = "not the columns of a server_audit row";

impl<'a> Row<'a> {
    /// All lines of the frame are the row's; or else the first one is a row, and the others belong to nothing.
    fn of_frame(frame: &'a [u8]) -> Result<Self, &'static str> {
        // Blank lines behind a row are no part of it: somebody edited the file, or copied it.
        let end = frame.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        let text = &frame[..end];
        let Some(feed) = memchr::memchr(b'\n', text) else { return Self::of_line(text, Self::of_columns) };
        let row = match Self::of_line(text, Self::of_whole_columns) {
            Ok(row) => row,
            Err(_) => Row { other: Some(&text[feed + 1..]), ..Self::of_line(&text[..feed], Self::of_columns)? },
        };
        Ok(Row { is_doubtful: true, ..row })
    }

    fn of_line(text: &'a [u8], columns: Columns<'a>) -> Result<Self, &'static str> {
        let len = time_len(text).ok_or("no time")?;
        Ok(Row { time: &text[..len], ..columns(&text[len + 1..])? })
    }

    /// What stands behind the time, even if something cut off its end.
    fn of_columns(columns: &'a [u8]) -> Result<Self, &'static str> {
        Self::of_whole_columns(columns).or_else(|reason| {
            let (serverhost, columns) = split_at_comma(columns).ok_or(reason)?;
            Ok(Row { serverhost, ..Self::of_cut(columns).ok_or(reason)? })
        })
    }

    fn of_whole_columns(columns: &'a [u8]) -> Result<Self, &'static str> {
        let (serverhost, columns) = split_at_comma(columns).ok_or(NO_ROW)?;
        let row = Self::of_statement(columns).or_else(|| Self::of_other(columns));
        Ok(Row { serverhost, ..row.ok_or(NO_ROW)? })
    }

    fn of_statement(columns: &'a [u8]) -> Option<Self> {
        let (names, text, retcode) = split_statement(columns)?;
        let anchors = Anchors::of(names, |operation, tail| operation == b"QUERY" && tail.is_some());
        let tail = Tail::Statement { database: anchors.tail(names)?, text, retcode: Some(retcode) };
        anchors.row(names, tail)
    }

    fn of_other(columns: &'a [u8]) -> Option<Self> {
        let anchors =
            Anchors::of(columns, |operation, tail| tail.and_then(|tail| other_tail(operation, tail)).is_some());
        let (tail, is_doubtful) = other_tail(anchors.operation(columns)?, anchors.tail(columns)?)?;
        let row = anchors.row(columns, tail)?;
        Some(Row { is_doubtful: row.is_doubtful || is_doubtful, ..row })
    }

    /// A statement without its end. What is told from the left cannot be trusted as what is told from both ends.
    fn of_cut(columns: &'a [u8]) -> Option<Self> {
        let quote = memchr::memmem::find(columns, b",'")?;
        let names = &columns[..quote];
        let anchors = Anchors::of(names, |operation, tail| operation == b"QUERY" && tail.is_some());
        let text = &columns[quote + 2..];
        let tail = Tail::Statement { database: anchors.tail(names)?, text, retcode: None };
        anchors.row(names, tail)
    }

    /// Connections are records by themselves.
    fn piece(&self) -> Option<Piece<'a>> {
        let is_last = match self.tail {
            Tail::Statement { .. } => true,
            Tail::Table { .. } => false,
            Tail::Connection { .. } => return None,
        };
        Some(Piece { writer: self.connection_id, row: number(self.query_id)?, number: 0, is_last: Some(is_last) })
    }

    fn room_len(&self) -> usize {
        let text = match self.tail {
            Tail::Statement { text, .. } => text.len(),
            Tail::Table { .. } | Tail::Connection { .. } => 0,
        };
        TIME_MAX + text
    }

    fn record(&self, room: &mut Room<'a>) -> Record<'a> {
        let (address, port) = address_and_port(self.host);
        let mut record = Record {
            time: self.time(room),
            user: not_empty(self.user),
            client: Client { address: not_empty(address), port, application: None },
            session: Session { id: Some(self.connection_id), ..Session::default() },
            command: Some(self.operation),
            ..Record::default()
        };
        record.extra.push(("serverhost", Value::Text(self.serverhost)));
        let query_id = std::str::from_utf8(self.query_id).ok().and_then(|digits| digits.parse().ok());
        record.extra.push(("queryid", query_id.map_or(Value::Text(self.query_id), Value::Int)));
        self.add_tail(&mut record, room);
        for (name, text) in [("syslog_info", self.info), ("other", self.other)] {
            record.extra.extend(text.filter(|text| !text.is_empty()).map(|text| (name, Value::Text(text))));
        }
        if self.is_doubtful {
            record.flags.push("forgeable");
        }
        record
    }

    fn add_tail(&self, record: &mut Record<'a>, room: &mut Room<'a>) {
        match self.tail {
            Tail::Statement { database, text, retcode } => {
                record.act = if is_failure(retcode) { Act::FailedStatement } else { Act::Statement };
                record.database = not_empty(database);
                record.statement = Some(Statement { text: Some(unescaped(text, room)), ..Statement::default() });
                add_outcome(record, retcode);
                if retcode.is_none() || fills_limit(text) {
                    record.flags.push("truncated");
                }
            }
            Tail::Table { database, object } => {
                record.act = Act::TableAccess;
                (record.object, record.object_database) = (Some(object), not_empty(database));
            }
            Tail::Connection { database, object, retcode, connection_type } => {
                record.act = connection_act(self.operation, retcode);
                record.database = not_empty(database);
                add_outcome(record, Some(retcode));
                let more = [("object", not_empty(object)), ("connection_type", connection_type)];
                record.extra.extend(more.into_iter().filter_map(|(name, text)| Some((name, Value::Text(text?)))));
            }
        }
    }

    fn time(&self, room: &mut Room<'a>) -> &'a [u8] {
        match number(self.time).and_then(|count| i64::try_from(count).ok()) {
            Some(count) => times::of_unix(count, Unit::Microseconds, room),
            None if self.info.is_some() => times::of_iso(self.time, b"", room),
            None => times::of_compact(self.time, room),
        }
    }
}

/// As long as a statement gets that was cut at the default limit. The limit counts escaped bytes, and halves no escape.
fn fills_limit(text: &[u8]) -> bool {
    (QUERY_LOG_LIMIT - 1..=QUERY_LOG_LIMIT).contains(&text.len())
}

fn connection_act(operation: &[u8], retcode: &[u8]) -> Act {
    match operation {
        b"DISCONNECT" => Act::Logout,
        b"FAILED_CONNECT" => Act::LoginFailed,
        _ if is_failure(Some(retcode)) => Act::LoginFailed,
        _ => Act::Login,
    }
}

fn is_failure(retcode: Option<&[u8]>) -> bool {
    retcode.is_some_and(|code| code != b"0")
}

fn add_outcome<'a>(record: &mut Record<'a>, retcode: Option<&'a [u8]>) {
    let Some(code) = retcode else { return };
    let is_failure = is_failure(retcode) || record.act == Act::LoginFailed;
    record.status = if is_failure { Status::Failure } else { Status::Success };
    record.error_code = Some(code).filter(|code| is_failure && *code != b"0");
}

/// `20261120 20:31:42,` or, from Aurora, `1679569000492494,`: the length without the comma.
fn time_len(line: &[u8]) -> Option<usize> {
    match line.get(8) {
        Some(b' ') => fits(line, b"00000000 00:00:00,").then_some(17),
        _ => fits(line, b"0000000000000000,").then_some(16),
    }
}

/// The columns before the statement, the statement still escaped, and the code, if the row ends like a statement's: `,'…',0` or `,'…',0,,`.
/// No quote inside is bare, so the first bare one before the closing one opens it.
fn split_statement(columns: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let row = columns.strip_suffix(b",,").unwrap_or(columns);
    let comma = memrchr(b',', row)?;
    let (text, retcode) = (row[..comma].strip_suffix(b"'")?, &row[comma + 1..]);
    if !is_number(retcode) {
        return None;
    }
    let mut end = text.len();
    while let Some(quote) = memrchr(b'\'', &text[..end]) {
        let escapes = text[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((text[..quote].strip_suffix(b",")?, &text[quote + 1..], retcode));
        }
        end = quote;
    }
    None
}

/// What stands behind the operation of a row that has no statement, and whether that can be read in another way.
fn other_tail<'a>(operation: &[u8], tail: &'a [u8]) -> Option<(Tail<'a>, bool)> {
    if tail.len() > TAIL_MAX {
        return None;
    }
    match operation {
        b"READ" | b"WRITE" | b"CREATE" | b"ALTER" | b"RENAME" | b"DROP" => {
            let (database, object) = split_at_comma(tail.strip_suffix(b",")?)?;
            Some((Tail::Table { database, object }, memchr::memchr(b',', object).is_some()))
        }
        b"CONNECT" | b"DISCONNECT" | b"FAILED_CONNECT" | b"CHANGEUSER" | b"PROXY_CONNECT" => {
            let (columns, last) = rsplit_at_comma(tail)?;
            let (columns, retcode, connection_type) = match is_number(last) {
                true => (columns, last, None),
                false => rsplit_at_comma(columns).map(|(columns, retcode)| (columns, retcode, Some(last)))?,
            };
            let (database, object) = rsplit_at_comma(columns)?;
            is_number(retcode).then_some((Tail::Connection { database, object, retcode, connection_type }, false))
        }
        _ => None,
    }
}

/// Where `,connectionid,queryid,operation` may stand: the last place, and whether there are more.
struct Anchors {
    /// Where the connection id, the query id, the operation and what stands behind it begin.
    last: Option<[usize; 4]>,
    count: usize,
}

impl Anchors {
    /// All places that `is_one` takes for an operation and what stands behind its comma.
    fn of(columns: &[u8], is_one: impl Fn(&[u8], Option<&[u8]>) -> bool) -> Self {
        let mut found = Anchors { last: None, count: 0 };
        // The last two columns, where they were numbers.
        let mut numbers: [Option<usize>; 2] = [None, None];
        let mut from = 0;
        loop {
            let end = near::find(b',', &columns[from..]).map_or(columns.len(), |len| from + len);
            let column = &columns[from..end];
            if let [Some(connection), Some(query)] = numbers
                && column.first().is_some_and(u8::is_ascii_uppercase)
                && connection > 0
                && is_one(column, columns.get(end + 1..))
            {
                found.last = Some([connection, query, from, end + 1]);
                found.count += 1;
            }
            numbers = [numbers[1], is_number(column).then_some(from)];
            if end == columns.len() {
                return found;
            }
            from = end + 1;
        }
    }

    fn operation<'a>(&self, columns: &'a [u8]) -> Option<&'a [u8]> {
        let [_, _, operation, tail] = self.last?;
        columns.get(operation..tail - 1)
    }

    fn tail<'a>(&self, columns: &'a [u8]) -> Option<&'a [u8]> {
        columns.get(self.last?[3]..)
    }

    /// The row with the last reading.
    fn row<'a>(&self, columns: &'a [u8], tail: Tail<'a>) -> Option<Row<'a>> {
        let [connection, query, operation, _] = self.last?;
        let (user, host) = rsplit_at_comma(columns.get(..connection.checked_sub(1)?)?)?;
        Some(Row {
            time: b"",
            serverhost: b"",
            user,
            host,
            connection_id: columns.get(connection..query - 1)?,
            query_id: columns.get(query..operation - 1)?,
            operation: self.operation(columns)?,
            tail,
            other: None,
            info: None,
            is_doubtful: self.count > 1,
        })
    }
}

/// `host:port`, as later servers write it. An IPv6 address may have a port behind it only where it cannot be part of the address.
fn address_and_port(host: &[u8]) -> (&[u8], Option<u16>) {
    let colons = memchr::memchr_iter(b':', host).count();
    let Some(colon) = memrchr(b':', host).filter(|_| matches!(colons, 1 | 8) || host.starts_with(b"[")) else {
        return (host, None);
    };
    match std::str::from_utf8(&host[colon + 1..]).ok().and_then(|digits| digits.parse().ok()) {
        Some(port) => (&host[..colon], Some(port)),
        None => (host, None),
    }
}

/// What the escapes of a statement stand for. Needs as much room as it is long.
fn unescaped<'a>(text: &'a [u8], room: &mut Room<'a>) -> &'a [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    room.write(|out| {
        let (mut len, mut rest) = (0, text);
        while let Some(escape) = memchr::memchr(b'\\', rest) {
            len += put(&mut out[len..], &rest[..escape]);
            let Some((letter, behind)) = rest[escape + 1..].split_first() else { break };
            let byte = match letter {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 8,
                b'f' => 12,
                other => *other,
            };
            // The server escapes nothing else: what looks so is kept as it stands.
            let is_escape = matches!(letter, b'n' | b't' | b'r' | b'b' | b'f' | b'\'' | b'\\' | b'0');
            len += if is_escape { put(&mut out[len..], &[byte]) } else { put(&mut out[len..], &[b'\\', byte]) };
            rest = behind;
        }
        len + put(&mut out[len..], rest)
    })
}

fn put(out: &mut [u8], text: &[u8]) -> usize {
    let len = text.len().min(out.len());
    out[..len].copy_from_slice(&text[..len]);
    len
}

fn split_at_comma(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = near::find(b',', text)?;
    Some((&text[..comma], &text[comma + 1..]))
}

fn rsplit_at_comma(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = memrchr(b',', text)?;
    Some((&text[..comma], &text[comma + 1..]))
}

/// The plugin writes ids as signed numbers.
fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

fn not_empty(text: &[u8]) -> Option<&[u8]> {
    Some(text).filter(|text| !text.is_empty())
}
