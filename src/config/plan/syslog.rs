//! Syslog.

use std::time::Duration;

use super::TlsPlan;

/// `type = "syslog"`.
#[derive(Debug, Clone)]
pub struct SyslogPlan {
    /// A name or an address, without brackets.
    pub host: String,
    /// UDP's or TCP's.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// What the messages say.
    pub format: SyslogFormat,
    /// 0 to 23.
    pub facility: u8,
    /// At most 48 visible ASCII characters.
    pub app_name: String,
    /// Of the structured data's name.
    pub enterprise_id: u64,
    /// A body that is not ASCII begins with a byte order mark, as RFC 5424 wants it.
    pub bom: bool,
    /// A batch counts as delivered once the receiver has closed its connection.
    pub confirm: bool,
    /// A message that is longer is not sent.
    pub message_max_bytes: usize,
    /// A batch is sent when it has this many bytes, as lines.
    pub batch_max_bytes: usize,
    /// A batch that is not delivered by then is tried again.
    pub timeout: Duration,
}

/// `transport = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// RFC 5425.
    Tls,
    /// RFC 6587, with octet counting.
    Tcp,
    /// RFC 5426.
    Udp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

    /// As `transport` names it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tls => "tls",
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// `format = …` of syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogFormat {
    /// The line, in the destination's schema.
    Native,
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// QRadar's Log Event Extended Format, version 2.0.
    Leef,
}

impl SyslogFormat {
    /// All of them.
    pub const ALL: [SyslogFormat; 3] = [SyslogFormat::Native, SyslogFormat::Cef, SyslogFormat::Leef];

    /// As `format` names it.
    pub fn name(self) -> &'static str {
        match self {
            SyslogFormat::Native => "native",
            SyslogFormat::Cef => "cef",
            SyslogFormat::Leef => "leef",
        }
    }
}
