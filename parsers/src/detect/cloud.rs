//! Carriers and clouds, told from the first bytes: by keys, whose quotes no text inside can hold.

use super::{Detection, HEAD_MAX, detect, dialect_of, holds};
use crate::scratch::Scratch;
use crate::{Dialect, Format, container, cri, docker_json};

/// What the file is, if it is one of these.
pub(super) fn family(text: &[u8], end: bool) -> Option<Detection> {
    let text = text.trim_ascii_start();
    if cri::opens(text) {
        return Some(Detection::Known(Format::Cri));
    }
    if docker_json::opens(text) {
        return Some(Detection::Known(Format::DockerJson));
    }
    let is_whole = end || text.contains(&b'\n');
    if !is_whole && container::is_time(text) && text.len() < container::HEAD_MAX {
        return Some(Detection::NeedMore);
    }
    let text = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
    if text.first() != Some(&b'{') {
        return None;
    }
    if text.starts_with(docker_json::START) && !is_whole {
        return Some(Detection::NeedMore);
    }
    let format = json_format(text);
    if format.is_none() && is_encrypted(text) {
        let reason = "an encrypted record of Database Activity Streams: only decrypted ones can be read";
        return Some(Detection::Unknown { reason });
    }
    format.map(Detection::Known)
}

/// What is encrypted is a text, what is decrypted an object.
fn is_encrypted(text: &[u8]) -> bool {
    const KEY: &[u8] = b"\"databaseActivityEvents\"";
    let Some(at) = memchr::memmem::find(text, KEY) else { return false };
    let value = text[at + KEY.len()..].trim_ascii_start().strip_prefix(b":").unwrap_or_default();
    value.trim_ascii_start().first() == Some(&b'"')
}

fn json_format(text: &[u8]) -> Option<Format> {
    let all = |keys: &[&[u8]]| keys.iter().all(|key| holds(text, key));
    let is_known: [(Format, &[&[u8]]); 12] = [
        (Format::Cloudwatch, &[b"\"logEvents\"", b"\"logGroup\""]),
        (Format::Cloudwatch, &[b"\"awslogs\"", b"\"data\""]),
        (Format::AuroraDas, &[b"\"databaseActivityEventList\""]),
        (Format::Cloudsql, &[b"\"protoPayload\"", b"\"logName\""]),
        (Format::Cloudsql, &[b"\"textPayload\"", b"\"logName\""]),
        (Format::Azure, &[b"\"records\"", b"\"properties\"", b"\"category\""]),
        (Format::Azure, &[b"\"properties\"", b"\"category\"", b"\"resourceId\""]),
        (Format::Azure, &[b"\"properties\"", b"\"category\"", b"\"ResourceId\""]),
        (Format::Cloudnativepg, &[b"\"logger\"", b"\"record\"", b"\"session_line_num\""]),
        (Format::BytebaseAudit, &[b"\"log_type\":\"audit\"", b"\"method\"", b"\"parent\""]),
        (Format::TeleportAudit, &[b"\"ei\"", b"\"event\"", b"\"code\"", b"\"uid\"", b"\"cluster_name\""]),
        (Format::TeleportAudit, &[b"\"event\"", b"\"code\"", b"\"sid\"", b"\"db_protocol\""]),
    ];
    is_known.iter().find(|(_, keys)| all(keys)).map(|(format, _)| *format)
}

/// Says what stands inside a container's lines, of a file that begins with `head`: lines that are of no format that is read are passed over.
/// [`Detection::Unknown`] for formats that carry no others in lines.
pub fn detect_inside(carrier: Format, head: &[u8], end: bool) -> Detection {
    let head = &head[..head.len().min(HEAD_MAX)];
    match lines_inside(carrier, head) {
        Some(text) => told(&text, end || head.len() == HEAD_MAX).0,
        None => Detection::Unknown { reason: "nothing stands inside" },
    }
}

/// The same, with what the beginning tells of the format inside.
pub(super) fn dialect_inside(carrier: Format, head: &[u8]) -> Option<Dialect> {
    let text = lines_inside(carrier, &head[..head.len().min(HEAD_MAX)])?;
    match told(&text, true) {
        (Detection::Known(format), from) => Some(dialect_of(format, from)),
        _ => None,
    }
}

/// What a program wrote that a container's lines hold.
fn lines_inside(carrier: Format, head: &[u8]) -> Option<Vec<u8>> {
    let (mut scratch, mut inside) = (Scratch::new(), Vec::new());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let mut room = scratch.room(line.len());
        let text = match carrier {
            Format::Cri => cri::text(line),
            Format::DockerJson => docker_json::text(line, &mut room),
            _ => return None,
        };
        if let Some(text) = text {
            inside.extend_from_slice(text);
            inside.push(b'\n');
        }
    }
    Some(inside)
}

/// The format of the first lines that are of any, and the text from there on. No container runs in another's lines.
fn told(text: &[u8], end: bool) -> (Detection, &[u8]) {
    const TRIED_MAX: usize = 64;
    let (mut text, mut tried) = (text, 0);
    loop {
        tried += 1;
        let reason = match detect(text, end) {
            Detection::Known(Format::Cri | Format::DockerJson) => "lines of a container in lines of a container",
            Detection::Unknown { reason } => reason,
            found => return (found, text),
        };
        match memchr::memchr(b'\n', text) {
            Some(line) if line + 1 < text.len() && tried < TRIED_MAX => text = &text[line + 1..],
            _ if end || tried == TRIED_MAX => return (Detection::Unknown { reason }, text),
            _ => return (Detection::NeedMore, text),
        }
    }
}
