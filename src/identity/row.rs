//! What a row says about who it is of.

use sealtrail_parsers::{Act, Record, Value};

use super::directory::Directory;
use super::rule::{Asked, Of};
use crate::shape::{Known, UtcTime};

/// Under these names engines tell the client's user on its own host.
const OS_USER: [&str; 8] =
    ["os_user", "os_login", "login.os", "osUser", "OS$USERID", "OS_User", "OS_USERNAME", "OS_USER"];

/// What the row says, as far as the directory asks for it.
pub fn asked<'a>(
    directory: &Directory,
    record: &Record<'a>,
    known: &Known<'a>,
    claim: Option<&'a [u8]>,
    (server, source): (&'a str, &'a str),
    time: &UtcTime,
) -> Asked<'a> {
    let text = |of: Of| {
        let text = match of {
            // Many rows that are of no account have an empty one.
            Of::Account => record.user,
            _ if !directory.asks(of) => None,
            Of::Application => record.client.application,
            Of::Database => record.database,
            Of::Server => Some(server.as_bytes()),
            Of::Source => Some(source.as_bytes()),
            Of::OsUser => os_user(record),
            Of::Authentication => known.authenticated.map(|it| it.identity),
            Of::Claim => claim,
        };
        text.filter(|text| !text.is_empty())
    };
    Asked {
        texts: Of::ALL.map(text),
        address: record.client.address,
        time_ms: if directory.is_timed() { time.unix_ms() } else { 0 },
        is_claimed: matches!(record.act, Act::LoginFailed | Act::ConnectionReceived),
    }
}

fn os_user<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if OS_USER.contains(name) => Some(*text),
        _ => None,
    })
}
