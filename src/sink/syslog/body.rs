//! Bodies for receivers that read CEF or LEEF: the fields of [`super::fields`], escaped as each format wants it.
//!
//! Both leave out what has no key there; the line itself has everything. Values are never shortened, also where a guide names a length.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::fields::{FIELDS, Field, Values};
use super::message::Severity;
use crate::sink::line::Head;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `CEF:0|sealtrail|agent|version|category:action|action|severity|key=value …`.
pub(super) fn cef(head: &Head<'_>, line: &[u8], out: &mut Vec<u8>) {
    let Some(record) = record(line, out) else { return };
    out.extend_from_slice(b"CEF:0|sealtrail|agent|");
    out.extend_from_slice(VERSION.as_bytes());
    out.push(b'|');
    head_value(&head.category, out);
    out.push(b':');
    head_value(&head.action, out);
    out.push(b'|');
    head_value(&head.action, out);
    out.extend_from_slice(format!("|{}|", Severity::of(head).of_ten()).as_bytes());
    let mut first = true;
    for field in FIELDS {
        let Some(value) = value(&record, field) else { continue };
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        cef_pair(field.cef, &value, out);
        if !field.label.is_empty() {
            out.push(b' ');
            cef_pair(&format!("{}Label", field.cef), field.label, out);
        }
    }
}

/// `LEEF:2.0|sealtrail|agent|version|action|x09|key=value<tab>…`.
pub(super) fn leef(head: &Head<'_>, line: &[u8], out: &mut Vec<u8>) {
    let Some(record) = record(line, out) else { return };
    out.extend_from_slice(b"LEEF:2.0|sealtrail|agent|");
    out.extend_from_slice(VERSION.as_bytes());
    out.push(b'|');
    head_value(&head.action, out);
    out.extend_from_slice(format!("|x09|sev={}", Severity::of(head).of_ten()).as_bytes());
    for field in FIELDS {
        let Some(value) = value(&record, field) else { continue };
        out.push(b'\t');
        out.extend_from_slice(field.leef.as_bytes());
        out.push(b'=');
        leef_value(&value, out);
    }
}

/// What is no object goes as it is: the trail has none, and nothing is thrown away.
fn record(line: &[u8], out: &mut Vec<u8>) -> Option<Map<String, Value>> {
    let record = serde_json::from_slice(line).ok();
    if record.is_none() {
        out.extend_from_slice(line);
    }
    record
}

/// The field's value as text, if the record has it and it is of this kind.
fn value(record: &Map<String, Value>, field: &Field) -> Option<String> {
    let mut steps = field.path.split('.');
    let first = record.get(steps.next()?)?;
    let found = steps.try_fold(first, |value, step| value.get(step))?;
    let text = match found {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let address = || text.parse::<IpAddr>().ok();
    match field.values {
        Values::Any => Some(text),
        Values::Times => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond().to_string()),
        Values::Ipv4 => address().filter(IpAddr::is_ipv4).map(|_| text),
        Values::Ipv6 => address().filter(IpAddr::is_ipv6).map(|_| text),
        Values::Names => address().is_none().then_some(text),
    }
}

/// Of a head: `|` and `\` have a backslash before them; there are no line ends in it.
fn head_value(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'|' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..b' ' => out.push(b' '),
            _ => out.push(byte),
        }
    }
}

/// Of CEF's extension: `=` and `\` have a backslash before them, line ends are `\n` and `\r`.
fn cef_pair(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    for byte in value.bytes() {
        match byte {
            b'=' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
}

/// LEEF knows no escape. A backslash stays one: `CORP\jane` has to match what else is known of that name. The delimiter and line ends, which
/// would end the value, are written as `\t`, `\n` and `\r`.
fn leef_value(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"type":"event","id":"f:1","time":"2026-11-20T20:28:31.135Z","user":"CORP\\jane","action":"A|B","outcome":"success","category":"data_read","admin":false,"client":{"address":"::1","port":5},"statement":{"text":"SELECT a=1,\n\t'\\|'","rows":2}}"#;

    fn written(write: fn(&Head<'_>, &[u8], &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&Head::of(LINE.as_bytes()), LINE.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cef_escapes_its_head_and_its_extension_differently() {
        let expected = format!(
            "CEF:0|sealtrail|agent|{VERSION}|data_read:A\\|B|A\\|B|2|externalId=f:1 rt=1795206511135 sealtrailAgentType=event \
             suser=CORP\\\\jane act=A|B outcome=success cat=data_read flexString1=false flexString1Label=admin c6a2=::1 \
             c6a2Label=Source IPv6 Address spt=5 cs4=SELECT a\\=1,\\n\t'\\\\|' cs4Label=statement cn1=2 cn1Label=rows"
        );
        assert_eq!(written(cef), expected);
    }

    #[test]
    fn leef_values_hold_neither_tabs_nor_line_ends() {
        let expected = format!(
            "LEEF:2.0|sealtrail|agent|{VERSION}|A\\|B|x09|sev=2\texternalId=f:1\tdevTime=1795206511135\ttype=event\t\
             usrName=CORP\\jane\taction=A|B\toutcome=success\tcat=data_read\tadmin=false\tsrc=::1\tsrcPort=5\t\
             statement=SELECT a=1,\\n\\t'\\|'\trows=2"
        );
        assert_eq!(written(leef), expected);
    }

    #[test]
    fn what_is_no_object_goes_as_it_is() {
        for write in [cef, leef] {
            let mut out = Vec::new();
            write(&Head::default(), b"[1]", &mut out);
            assert_eq!(out, b"[1]");
        }
    }
}
