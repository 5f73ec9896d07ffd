//! The formats of MySQL's and MariaDB's family, told from the first bytes.

use super::Detection;
use crate::objects::ObjectFramer;
use crate::{Format, Frame, general_log, mysql_audit, server_audit, times};

/// What the file is, if it is of this family. A line without its line feed is not looked at before the `end`.
pub(super) fn family(text: &[u8], end: bool) -> Option<Detection> {
    let line = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_whole = end || line.ends_with(b"\n");
    match line.first()? {
        b'{' | b'[' => return objects(text, end),
        b'"' => return csv(text, end),
        b'<' if !line[1..].first().is_some_and(u8::is_ascii_digit) => return xml(text, end),
        _ => {}
    }
    if times::fits(line, b"00000000 00:00:00,") || times::fits(line, b"0000000000000000,") {
        return rows(text, is_whole);
    }
    if general_log::opens(line) {
        return Some(Detection::Known(Format::MysqlGeneral));
    }
    if !is_whole && server_audit::syslog::is_syslog(line) {
        return Some(Detection::NeedMore);
    }
    lines(text, end).any(server_audit::syslog::opens).then_some(Detection::Known(Format::MariadbAuditSyslog))
}

/// Looks behind a first record that was cut.
pub(super) fn within(text: &[u8]) -> Option<Format> {
    let line = memchr::memchr(b'\n', text)? + 1;
    let object = match ObjectFramer::mid_file().next(text, true) {
        Frame::Damaged { len, .. } => objects(&text[len..], true),
        _ => None,
    };
    let is_row = || lines(text, true).find_map(server_audit::format_of);
    let is_xml = || lines(text, true).any(|line| line.trim_ascii_start().starts_with(mysql_audit::xml::START));
    match family(&text[line..], true).or(object) {
        Some(Detection::Known(format)) => Some(format),
        _ => is_row().or_else(|| is_xml().then_some(Format::PerconaAuditXml)),
    }
}

/// A name with a line feed may have split the first row: the next ones are asked as well.
fn rows(text: &[u8], is_whole: bool) -> Option<Detection> {
    match is_whole {
        true => lines(text, true).find_map(server_audit::format_of).map(Detection::Known),
        false => Some(Detection::NeedMore),
    }
}

/// The lines; the last one only at the `end`.
fn lines(text: &[u8], end: bool) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter(move |line| end || line.ends_with(b"\n"))
}

/// The first object's first key tells, or its members do when it is there as a whole.
fn objects(text: &[u8], end: bool) -> Option<Detection> {
    let between = text.iter().take_while(|byte| byte.is_ascii_whitespace() || b",[]".contains(byte)).count();
    let object = &text[between..];
    if object.starts_with(mysql_audit::percona_json::START) {
        return Some(Detection::Known(Format::PerconaAuditJson));
    }
    if object.starts_with(mysql_audit::trellix::START) {
        return Some(Detection::Known(Format::TrellixAuditJson));
    }
    let is_event = match ObjectFramer::default().next(object, false) {
        Frame::Record { len } => mysql_audit::json::opens(&object[..len]),
        _ => end && MEMBERS.iter().all(|key| memchr::memmem::find(object, key).is_some()),
    };
    is_event.then_some(Detection::Known(Format::MysqlAuditJson))
}

/// What every event of an audit plugin has, as far as the head of a very long one shows.
const MEMBERS: [&[u8]; 4] = [b"\"timestamp\":", b"\"class\":", b"\"event\":", b"\"connection_id\":"];

fn csv(text: &[u8], end: bool) -> Option<Detection> {
    match mysql_audit::csv::opens(text, end) {
        Some(true) => Some(Detection::Known(Format::PerconaAuditCsv)),
        Some(false) => None,
        None => Some(Detection::NeedMore),
    }
}

/// Behind the declaration the root tells; a file that was cut at the front begins with a record.
fn xml(text: &[u8], end: bool) -> Option<Detection> {
    let body = match text.starts_with(b"<?xml") {
        true => memchr::memchr(b'>', text).map_or(&text[..0], |close| &text[close + 1..]),
        false => text,
    };
    let body = body.trim_ascii_start();
    let is_ours = [&b"<AUDIT>"[..], mysql_audit::xml::START].iter().any(|start| body.starts_with(start));
    match is_ours {
        true => Some(Detection::Known(Format::PerconaAuditXml)),
        false => (!end && mysql_audit::xml::START.starts_with(body)).then_some(Detection::NeedMore),
    }
}
