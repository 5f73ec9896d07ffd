//! The general query log of MySQL and MariaDB: every command of every connection, as it came in.
//!
//! A row is a time, a connection id, a command and its argument. Two forms: MySQL from 5.7 on writes the time into every row
//! (`2020-08-26T17:28:58.123456Z<TAB>    8 Query<TAB>select 1`); MariaDB and MySQL up to 5.6 leave it out while the second stays the same
//! (`261120 20:31:42<TAB>     3 Query<TAB>select 1`, `<TAB><TAB>     3 Quit<TAB>`). What is hard:
//!
//! - Nothing is escaped and nothing marks an argument's end. A row goes on up to the next line that looks like one, and a statement may
//!   hold such lines: every row is `forgeable`.
//! - A row says what was asked for, not what became of it. Only refusals have a row of their own, `Access denied for user …`.
//! - Who asks stands in the connection's `Connect` row only; the caller carries it on by the session's id. So it does with times: a row
//!   without one has an empty `time`.
//! - Names in `Connect` rows are not escaped either. They are read from both ends.

use memchr::{memchr, memmem, memrchr};

use crate::blocks::{BlockFramer, Opens, Starts};
use crate::frame::Framer;
use crate::record::{Act, Client, Parsed, Record, Session, Statement, Status, Value};
use crate::scratch::{Room, Scratch};
use crate::times::{self, TIME_MAX, fits};

/// Rows, and the three lines that a server writes when it opens the file.
#[derive(Debug)]
struct Start;

impl Starts for Start {
    fn starts(&self, line: &[u8]) -> Opens {
        (Head::of(line).is_some() || is_version(line)).into()
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

/// Whether the text begins as a server begins the file, or with a row.
pub(crate) fn opens(text: &[u8]) -> bool {
    let line = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    is_version(line) || Head::of(line).is_some()
}

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    if is_header(frame) {
        return Parsed::Nothing { what: "the lines that a server writes when it opens the file" };
    }
    match Head::of(frame) {
        Some(head) => Parsed::Record(record(&head, frame, &mut scratch.room(TIME_MAX))),
        None => Parsed::Unparsed { reason: "not a row of the general log", retry_at: None },
    }
}

/// A row up to its argument.
struct Head<'a> {
    time: &'a [u8],
    id: &'a [u8],
    command: &'a [u8],
    /// Where the argument begins.
    len: usize,
}

/// No command's name is longer: `Group Replication Data Stream subscription`.
const COMMAND_MAX: usize = 48;

impl<'a> Head<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let time = time_len(line)?;
        let tabs = line[time..].iter().take_while(|byte| **byte == b'\t').count();
        let blanks = line[time + tabs..].iter().take_while(|byte| **byte == b' ').count();
        let id = time + tabs + blanks;
        let digits = line[id..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let command = id + digits + 1;
        let rest = line.get(command..)?;
        let len = memchr(b'\t', &rest[..rest.len().min(COMMAND_MAX)])?;
        let name = &rest[..len];
        let is_name = name.first()?.is_ascii_alphabetic() && name.iter().all(|byte| is_in_name(*byte));
        let is_row = matches!(tabs, 1 | 2) && (1..=20).contains(&digits) && line[command - 1] == b' ' && is_name;
        is_row.then_some(Head {
            time: &line[..time],
            id: &line[id..command - 1],
            command: name,
            len: command + len + 1,
        })
    }
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_')
}

/// `2020-08-26T17:28:58.123456Z`, `…+02:00`, `261120 20:31:42`, `261120  9:31:42`, or nothing.
fn time_len(line: &[u8]) -> Option<usize> {
    if line.first() == Some(&b'\t') {
        return line.starts_with(b"\t\t").then_some(0);
    }
    let len = memchr(b'\t', &line[..line.len().min(TIME_MAX)])?;
    let time = &line[..len];
    let is_short = len == 15 && (fits(time, b"000000 00:00:00") || fits(time, b"000000  0:00:00"));
    (is_short || fits(time, b"0000-00-00T00:00:00")).then_some(len)
}

/// The three lines, and nothing else: what only looks so must not be passed over.
fn is_header(frame: &[u8]) -> bool {
    let mut lines = frame.split_inclusive(|byte| *byte == b'\n');
    let is_each_as: [fn(&[u8]) -> bool; 3] = [is_version, is_port, is_columns];
    let mut count = 0;
    lines.all(|line| {
        count += 1;
        is_each_as.get(count - 1).is_some_and(|is_as| is_as(line))
    }) && count > 0
}

/// `Tcp port: 3306  Unix socket: /tmp/mysql.sock`, `TCP Port: 3306, Named Pipe: MySQL`. No statement is of these letters alone.
fn is_port(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(rest) = line.strip_prefix(b"Tcp port: ").or_else(|| line.strip_prefix(b"TCP Port: ")) else {
        return false;
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" ,:/\\._-~+".contains(byte);
    line.len() < 512 && rest.first().is_some_and(u8::is_ascii_digit) && rest.iter().all(is_plain)
}

/// `Time`, `Id`, `Command`, `Argument`, with blanks or tabs between them.
fn is_columns(line: &[u8]) -> bool {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).eq([
        &b"Time"[..],
        b"Id",
        b"Command",
        b"Argument",
    ])
}

/// `/usr/sbin/mysqld, Version: 8.0.26 (MySQL Community Server - GPL). started with:`. Its words are such that no statement hides here.
fn is_version(line: &[u8]) -> bool {
    let Some(line) = line.trim_ascii_end().strip_suffix(b"). started with:") else { return false };
    let Some(comma) = memmem::find(line, b", Version: ") else { return false };
    let (program, version) = (&line[..comma], &line[comma + 11..]);
    let Some(open) = memmem::find(version, b" (") else { return false };
    let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/\\:._-+~".contains(byte);
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b" .,_-+~/".contains(byte);
    line.len() < 512
        && !program.is_empty()
        && program.iter().all(is_path)
        && version[..open].iter().all(is_path)
        && version[open + 2..].iter().all(is_word)
}

fn record<'a>(head: &Head<'a>, frame: &'a [u8], room: &mut Room<'a>) -> Record<'a> {
    let argument = &frame[head.len..];
    let argument = argument.strip_suffix(b"\n").unwrap_or(argument);
    let mut record = Record {
        time: if head.time.len() > 15 {
            times::of_iso(head.time, b"", room)
        } else {
            times::of_compact(head.time, room)
        },
        act: Act::LoggedStatement,
        follows: true,
        session: Session { id: Some(head.id), ..Session::default() },
        command: Some(head.command),
        ..Record::default()
    };
    record.flags.push("forgeable");
    match head.command {
        _ if argument.starts_with(DENIED) => deny(&mut record, argument),
        b"Connect" | b"Change user" => connect(&mut record, argument),
        b"Quit" => record.act = Act::Logout,
        b"Init DB" => record.database = Some(argument),
        b"Query" | b"Prepare" | b"Execute" | b"Bulk_execute" => {
            record.statement = Some(Statement { text: Some(argument), ..Statement::default() });
        }
        _ => {}
    }
    let is_kept = argument.is_empty()
        || record.statement.is_some()
        || record.database.is_some()
        || record.error_message.is_some();
    if !is_kept || record.act == Act::Login {
        record.extra.push(("argument", Value::Text(argument)));
    }
    record
}

const DENIED: &[u8] = b"Access denied for user '";

/// `Access denied for user 'app'@'127.0.0.1' (using password: YES)`, or ` to database 'x'`.
fn deny<'a>(record: &mut Record<'a>, argument: &'a [u8]) {
    record.act = if record.command == Some(b"Connect") { Act::LoginFailed } else { Act::FailedStatement };
    (record.status, record.error_message) = (Status::Failure, Some(argument));
    let names = &argument[DENIED.len()..];
    let Some(at) = memmem::rfind(names, b"'@'") else { return };
    let host = &names[at + 3..];
    record.user = Some(&names[..at]);
    record.client.address = memchr(b'\'', host).map(|end| &host[..end]);
}

/// `app@127.0.0.1 on appdb using TCP/IP`, without ` using …` before 5.7, with ` as account` where the account is another.
///
/// The row is written before anybody is let in.
fn connect<'a>(record: &mut Record<'a>, argument: &'a [u8]) {
    record.act = Act::Login;
    let end = memmem::rfind(argument, b" using ").unwrap_or(argument.len());
    let Some(on) =
        memmem::rfind(&argument[..end], b" on ").or_else(|| argument[..end].ends_with(b" on").then(|| end - 3))
    else {
        return;
    };
    let database = argument.get(on + 4..end).unwrap_or_default();
    record.database = Some(database).filter(|database| !database.is_empty());
    let Some(at) = memrchr(b'@', &argument[..on]) else { return };
    let host = &argument[at + 1..on];
    let (host, account) = match memmem::find(host, b" as ") {
        Some(len) => (&host[..len], &host[len + 4..]),
        None => (host, &argument[..at]),
    };
    record.user = Some(account);
    record.client = Client { address: Some(host).filter(|host| !host.is_empty()), ..Client::default() };
}
