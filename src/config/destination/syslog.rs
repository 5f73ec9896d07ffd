//! `type = "syslog"`: a receiver of RFC 5424.

use serde_json::json;

use super::{TLS_WITH_CLIENT, Type, batch_max_bytes, timeout, tls, tls_row};
use crate::config::bounds;
use crate::config::fields::host_and_port;
use crate::config::plan::{DestinationKind, SyslogFormat, SyslogPlan, Transport};
use crate::config::section::Section;
use crate::config::show::{Row, Shown, row};
use crate::config::units::{show_duration, show_size};

pub(super) const TYPE: Type = Type {
    name: "syslog",
    takes_lines: true,
    lines_max: None,
    keys: &[
        "address",
        "transport",
        "tls",
        "format",
        "facility",
        "app_name",
        "enterprise_id",
        "bom",
        "confirm",
        "message_max_bytes",
        "batch_max_bytes",
        "timeout",
    ],
    tls: TLS_WITH_CLIENT,
    read,
};

/// RFC 5424, 6.2.1: 13 is the log audit.
const FACILITY: u64 = 13;
const FACILITY_MAX: u64 = 23;
/// RFC 5424, 6.2.5.
const APP_NAME_MAX_BYTES: usize = 48;
/// RFC 5426, 3.2: what UDP over IPv4 holds.
const DATAGRAM_MAX_BYTES: u64 = 65_507;
/// RFC 5612 keeps it for examples: it is nobody's, and so it cannot be taken for another maker's.
const ENTERPRISE_ID: u64 = 32473;

fn read(section: &mut Section<'_, '_>) -> Option<DestinationKind> {
    section.require("address", "address = \"logs.example:6514\"");
    let address = address(section);
    let transport = Transport::ALL.map(|one| (one.name(), one));
    let formats = SyslogFormat::ALL.map(|one| (one.name(), one));
    let transport = section.choice("transport", &transport, &[]).map_or(Transport::Tls, |at| at.value);
    only_over_tls(section, transport);
    let format = section.choice("format", &formats, &[]).map_or(SyslogFormat::Native, |at| at.value);
    if format != SyslogFormat::Native && section.has("schema") {
        let hint = "leave schema out, or write format = \"native\"".to_owned();
        section.wrong(
            section.span(),
            Some("schema"),
            format!("format = \"{}\" has its own", format.name()),
            Some(hint),
        );
    }
    let (host, port) = address.clone().unwrap_or_default();
    let plan = SyslogPlan {
        host,
        port,
        transport,
        tls: tls(section, &TYPE),
        format,
        facility: u8::try_from(number(section, "facility", FACILITY, FACILITY_MAX)).unwrap_or(u8::MAX),
        app_name: app_name(section),
        enterprise_id: number(section, "enterprise_id", ENTERPRISE_ID, u64::from(u32::MAX)),
        bom: section.flag("bom").is_none_or(|flag| flag.value),
        confirm: section.flag("confirm").is_none_or(|flag| flag.value),
        message_max_bytes: message_max_bytes(section, transport),
        batch_max_bytes: batch_max_bytes(section),
        timeout: timeout(section),
    };
    address.map(|_| DestinationKind::Syslog(Box::new(plan)))
}

fn address(section: &mut Section<'_, '_>) -> Option<(String, u16)> {
    let text = section.text("address")?;
    if let Some(found) = host_and_port(&text.value.value) {
        return Some(found);
    }
    let hint = "a host and a port, such as \"logs.example:6514\" or \"[2001:db8::7]:6514\"".to_owned();
    section.wrong(text.span, Some("address"), format!("{:?} is no address", text.value.written), Some(hint));
    None
}

fn only_over_tls(section: &Section<'_, '_>, transport: Transport) {
    if transport != Transport::Tls
        && let Some(span) = section.value_span("tls")
    {
        let message = format!("is not used with transport = \"{}\"", transport.name());
        section.wrong(span, Some("tls"), message, Some("leave one of them out: TLS is the default".to_owned()));
    }
}

fn number(section: &mut Section<'_, '_>, key: &str, default: u64, most: u64) -> u64 {
    let Some(found) = section.count(key) else { return default };
    if found.value > most {
        section.wrong(found.span, Some(key), format!("{} is too large", found.value), Some(format!("at most {most}")));
    }
    found.value
}

fn app_name(section: &mut Section<'_, '_>) -> String {
    let Some(text) = section.text("app_name") else { return "sealtrail".to_owned() };
    let name = &text.value.value;
    if name.is_empty() || name.len() > APP_NAME_MAX_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = Some("1 to 48 visible ASCII characters without blanks".to_owned());
        section.wrong(text.span, Some("app_name"), format!("{:?} is no APP-NAME", text.value.written), hint);
    }
    text.value.value
}

/// The bounds keep it below the largest `usize`.
fn message_max_bytes(section: &mut Section<'_, '_>, transport: Transport) -> usize {
    let Some(bytes) = section.size("message_max_bytes", bounds::MESSAGE_MAX_BYTES) else {
        return bounds::MESSAGE_MAX_BYTES.default as usize;
    };
    if transport == Transport::Udp && bytes.value > DATAGRAM_MAX_BYTES {
        let hint = format!("at most {DATAGRAM_MAX_BYTES}B with transport = \"udp\"");
        section.wrong(bytes.span, Some("message_max_bytes"), "no datagram holds so much", Some(hint));
    }
    usize::try_from(bytes.value).unwrap_or(usize::MAX)
}

pub(super) fn rows(plan: &SyslogPlan, shown: &Shown<'_>) -> Vec<Row> {
    let host = if plan.host.contains(':') { format!("[{}]", plan.host) } else { plan.host.clone() };
    let address = format!("{host}:{}", plan.port);
    vec![
        row("address", json!(shown.as_written(&address, "address"))),
        row("transport", json!(plan.transport.name())),
        tls_row(&plan.tls),
        row("format", json!(plan.format.name())),
        row("facility", json!(plan.facility)),
        row("app_name", json!(plan.app_name)),
        row("enterprise_id", json!(plan.enterprise_id)),
        row("bom", json!(plan.bom)),
        row("confirm", json!(plan.confirm)),
        row("message_max_bytes", json!(show_size(plan.message_max_bytes as u64))),
        row("batch_max_bytes", json!(show_size(plan.batch_max_bytes as u64))),
        row("timeout", json!(show_duration(plan.timeout))),
    ]
}
