//! How somebody came in, as the rows about logins tell: the method, the identity that was proven, the encryption; and how long it was until they left.
//!
//! PostgreSQL says all of it in words, with names in them that are not escaped. So a message is read from the end that the client has no hand
//! in, and where it has a hand in both, what was read is marked as asserted. Translated words are not understood, and then nothing is said.

use memchr::memmem;
use sealtrail_parsers::{Act, Record, Value};

/// What a row tells of a login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// `scram-sha-256`, `cert`, `DATABASE`: the engine's word.
    pub method: Option<&'a [u8]>,
    /// The name that was proven, before it was mapped to an account.
    pub identity: Option<&'a [u8]>,
    /// The protocol's version, or the engine's word for encryption.
    pub tls: Option<&'a [u8]>,
    /// The cipher suite.
    pub cipher: Option<&'a [u8]>,
    /// The client may have written `tls` and `cipher` itself.
    pub is_asserted: bool,
}

/// What the row tells.
pub fn of<'a>(record: &Record<'a>) -> Authentication<'a> {
    let text = |wanted: &str| {
        record.extra.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == wanted => Some(*text),
            _ => None,
        })
    };
    match record.act {
        Act::Authenticated => text("message").map(of_authenticated).unwrap_or_default(),
        Act::Login => of_login(text("message").unwrap_or_default(), &text),
        Act::LoginFailed => Authentication { method: text("detail").and_then(method_of_rule), ..Default::default() },
        _ => Authentication::default(),
    }
}

/// `connection authenticated: identity="app" method=scram-sha-256 (/etc/…/pg_hba.conf:88)`; PostgreSQL 18 also has `user="app"`.
fn of_authenticated(message: &[u8]) -> Authentication<'_> {
    let Some(open) = memmem::rfind(message, b" (") else { return Authentication::default() };
    let words = &message[..open];
    let Some(at) = memmem::rfind(words, b" method=") else { return Authentication::default() };
    let method = &words[at + b" method=".len()..];
    let identity = memmem::find(&words[..at], b"identity=\"")
        .and_then(|start| words[start + b"identity=\"".len()..at].strip_suffix(b"\""));
    Authentication { method: Some(method).filter(|method| is_word(method)), identity, ..Authentication::default() }
}

/// `… SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)`: behind the name of the application, if it has one.
fn of_login<'a>(message: &'a [u8], text: &impl Fn(&str) -> Option<&'a [u8]>) -> Authentication<'a> {
    let start = b" SSL enabled (protocol=";
    if let Some(at) = memmem::rfind(message, start) {
        let inner = message[at + start.len()..].strip_suffix(b")").unwrap_or_default();
        let tls = inner.split(|byte| *byte == b',').next().filter(|tls| is_word(tls));
        let cipher = memmem::find(inner, b" cipher=").map(|at| &inner[at + b" cipher=".len()..]);
        let cipher = cipher.and_then(|rest| rest.split(|byte| *byte == b',').next()).filter(|it| is_word(it));
        let is_asserted = memmem::find(&message[..at], b" application_name=").is_some();
        return Authentication { tls, cipher, is_asserted, ..Authentication::default() };
    }
    // server_audit, where a connection has no object; the MySQL plugins' connection type; Oracle's comment; MongoDB's parameter.
    let version = text("object").filter(|version| version.starts_with(b"TLSv") && is_word(version));
    let kind = text("connection_type").filter(|kind| kind.starts_with(b"SSL"));
    let comment = text("COMMENT$TEXT").or_else(|| text("Comment_Text")).or_else(|| text("CLIENT ADDRESS"));
    let by = comment.and_then(|comment| comment.strip_prefix(b"Authenticated by: "));
    let mechanism = text("param").and_then(mechanism);
    Authentication {
        method: by.and_then(|rest| rest.split(|byte| *byte == b';').next()).or(mechanism).filter(|it| is_word(it)),
        tls: version.or(kind),
        ..Authentication::default()
    }
}

/// `"mechanism": "SCRAM-SHA-256"`
fn mechanism(param: &[u8]) -> Option<&[u8]> {
    let rest = &param[memmem::find(param, b"\"mechanism\"")? + b"\"mechanism\"".len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    rest.split(|byte| *byte == b'"').next()
}

/// The method in the line of pg_hba.conf that a refusal quotes: `… line 88: "host all all 127.0.0.1/32 scram-sha-256"`.
fn method_of_rule(detail: &[u8]) -> Option<&[u8]> {
    let line = detail.trim_ascii_end().strip_suffix(b"\"")?;
    let line = &line[memmem::rfind(line, b": \"")? + 3..];
    let mut columns = line.split(u8::is_ascii_whitespace).filter(|column| !column.is_empty());
    let kind = columns.next()?;
    let mut method = columns.nth(if kind == b"local" { 2 } else { 3 })?;
    if is_mask(method) {
        method = columns.next()?;
    }
    Some(method).filter(|method| is_word(method))
}

fn is_mask(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_digit) || word.contains(&b':')
}

fn is_word(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

/// `disconnection: session time: 0:00:02.345 user=app …`, in whatever language: the first word of this form stands before all names.
pub fn session_length_ms(record: &Record<'_>) -> Option<u64> {
    let message = record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == "message" => Some(*text),
        _ => None,
    })?;
    message.split(|byte| *byte == b' ').take(LENGTH_WORDS_MAX).find_map(length_ms)
}

/// Words in which the length is looked for: no language needs more before it.
const LENGTH_WORDS_MAX: usize = 8;

/// `12:34:56.789`
fn length_ms(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    let (clock, ms) = text.split_once('.')?;
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str, len: usize| (text.len() == len).then(|| text.parse::<u64>().ok()).flatten();
    let hours: u64 = hours.parse().ok()?;
    let whole = hours.checked_mul(3600)?.checked_add(number(minutes, 2)? * 60 + number(seconds, 2)?)?;
    parts.next().is_none().then(|| Some(whole.checked_mul(1000)? + number(ms, 3)?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(act: Act, name: &'static str, text: &'a str) -> Record<'a> {
        let mut record = Record { act, ..Record::default() };
        record.extra.push((name, Value::Text(text.as_bytes())));
        record
    }

    #[test]
    fn the_method_and_the_identity_are_read_from_the_end_that_the_server_wrote() {
        let message =
            "connection authenticated: identity=\"a method=trust (x:1)\" method=scram-sha-256 (/etc/pg_hba.conf:88)";
        let told = of(&row(Act::Authenticated, "message", message));
        assert_eq!(told.method, Some(&b"scram-sha-256"[..]));
        assert_eq!(told.identity, Some(&b"a method=trust (x:1)"[..]));
    }

    #[test]
    fn encryption_that_the_client_may_have_written_is_asserted() {
        let end = "SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)";
        let plain = format!("connection authorized: user=app database=shop {end}");
        let told = of(&row(Act::Login, "message", &plain));
        assert_eq!((told.tls, told.cipher), (Some(&b"TLSv1.3"[..]), Some(&b"TLS_AES_256_GCM_SHA384"[..])));
        assert!(!told.is_asserted);
        let named = format!("connection authorized: user=app database=shop application_name=psql {end}");
        assert!(of(&row(Act::Login, "message", &named)).is_asserted);
        let none = "connection authorized: user=app database=shop application_name=psql";
        assert_eq!(of(&row(Act::Login, "message", none)), Authentication::default());
    }

    #[test]
    fn a_refusal_names_the_method_of_the_rule() {
        for (rule, method) in [
            ("host    all             all             127.0.0.1/32            scram-sha-256", "scram-sha-256"),
            ("host all all 10.0.0.0 255.0.0.0 md5", "md5"),
            ("local all all peer map=x", "peer"),
        ] {
            let detail = format!(
                "Role \"x: \" does not exist.\nConnection matched file \"/etc/pg_hba.conf\" line 88: \"{rule}\""
            );
            let told = of(&row(Act::LoginFailed, "detail", &detail));
            assert_eq!(told.method, Some(method.as_bytes()), "{rule}");
        }
    }

    #[test]
    fn a_sessions_length_is_found_in_any_language() {
        for (message, length) in [
            ("disconnection: session time: 0:00:02.345 user=1:00:00.000 database=x", Some(2_345)),
            ("Verbindungsende: Sitzungszeit: 27:01:00.000 Benutzer=x", Some(97_260_000)),
            ("disconnection", None),
        ] {
            assert_eq!(session_length_ms(&row(Act::Logout, "message", message)), length, "{message}");
        }
    }
}
