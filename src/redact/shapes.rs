//! Secrets that are known by what they look like, wherever they stand: tokens that services give out, private keys, hashes of passwords, and
//! passwords in URLs.

use super::found::Found;
use super::items::is_word;
use super::rules::Rules;

/// How a token begins, and of how many further bytes it is made at least.
struct Token {
    begins: &'static [u8],
    least: usize,
    of: fn(u8) -> bool,
}

const fn token(begins: &'static str, least: usize, of: fn(u8) -> bool) -> Token {
    Token { begins: begins.as_bytes(), least, of }
}

/// Each stands where a word begins.
const TOKENS: [Token; 38] = [
    token("AKIA", 16, is_capital),
    token("ASIA", 16, is_capital),
    token("AIza", 30, is_url),
    token("ya29.", 20, is_url),
    token("GOCSPX-", 20, is_url),
    token("ghp_", 30, is_letter),
    token("gho_", 30, is_letter),
    token("ghu_", 30, is_letter),
    token("ghs_", 30, is_letter),
    token("ghr_", 30, is_letter),
    token("github_pat_", 20, is_url),
    token("glpat-", 18, is_url),
    token("xoxb-", 10, is_url),
    token("xoxp-", 10, is_url),
    token("xoxa-", 10, is_url),
    token("xoxr-", 10, is_url),
    token("xoxs-", 10, is_url),
    token("xapp-", 10, is_url),
    token("sk_live_", 16, is_letter),
    token("sk_test_", 16, is_letter),
    token("rk_live_", 16, is_letter),
    token("rk_test_", 16, is_letter),
    token("whsec_", 20, is_base64),
    token("sk-", 32, is_url),
    token("SG.", 40, is_dotted),
    token("npm_", 30, is_letter),
    token("hvs.", 20, is_url),
    token("hvb.", 20, is_url),
    token("dop_v1_", 40, is_letter),
    token("shpat_", 30, is_letter),
    token("shpss_", 30, is_letter),
    token("shpca_", 30, is_letter),
    token("shppa_", 30, is_letter),
    token("hf_", 30, is_letter),
    token("dapi", 32, is_hex),
    token("pypi-AgE", 30, is_url),
    token("ATATT3", 30, is_base64),
    token("AGE-SECRET-KEY-1", 30, is_capital),
];

/// Hashes of passwords: how they begin, and of what they are made.
const HASHES: [Token; 14] = [
    token("SCRAM-SHA-256$", 20, is_hash),
    token("$2a$", 30, is_hash),
    token("$2b$", 30, is_hash),
    token("$2x$", 30, is_hash),
    token("$2y$", 30, is_hash),
    token("$argon2", 30, is_hash),
    token("$1$", 20, is_hash),
    token("$5$", 30, is_hash),
    token("$6$", 30, is_hash),
    token("$y$", 30, is_hash),
    token("$scrypt$", 30, is_hash),
    token("pbkdf2_sha", 30, is_hash),
    token("pbkdf2:sha", 30, is_hash),
    token("$pbkdf2", 30, is_hash),
];

/// No token or URL is looked at further: a text of nothing but their beginnings must not be gone through again for each.
const RUN_BYTES_MAX: usize = 1024;

/// The same for private keys.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// All that look like secrets in a text.
pub fn scan(text: &[u8], found: &mut Found) {
    let mut before = b' ';
    let mut web_token_end = 0;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b':' => url(text, at, found),
            b'-' if text[at..].starts_with(b"-----BEGIN ") => private_key(text, at, found),
            _ if !begins(before, byte) => {}
            b'e' if at >= web_token_end && text[at..].starts_with(b"eyJ") => {
                web_token_end = json_web_token(text, at, found)
            }
            b'm' if text[at..].starts_with(b"md5") => md5(text, at, found),
            b'0' => sql_server_hash(text, at, found),
            _ => known(text, at, found),
        }
        before = byte;
    }
}

/// Whether something begins behind `before`.
fn begins(before: u8, byte: u8) -> bool {
    if byte == b'$' { before != b'$' } else { is_word(byte) && !is_word(before) }
}

fn known(text: &[u8], at: usize, found: &mut Found) {
    let rest = &text[at..];
    for (table, rule) in [(&TOKENS[..], Rules::TOKEN), (&HASHES[..], Rules::PASSWORD_HASH)] {
        for token in table.iter().filter(|token| rest.starts_with(token.begins)) {
            let from = at + token.begins.len();
            let len = run(text, from, token.of);
            // A token that the text's end cuts is one too.
            if len >= token.least || len >= 4 && from + len == text.len() {
                found.take(at, from + len, rule);
            }
        }
    }
}

/// `eyJ….eyJ….…`, and where it ends.
fn json_web_token(text: &[u8], at: usize, found: &mut Found) -> usize {
    let long = text[at..].iter().take(KEY_BYTES_MAX).take_while(|byte| is_dotted(**byte)).count();
    let end = at + long;
    let dots = text[at..end].iter().filter(|byte| **byte == b'.').count();
    let is_cut = end == text.len() && end - at >= 12;
    if end - at >= 20 && (dots >= 1 || is_cut) {
        found.take(at, end, Rules::TOKEN);
    }
    end
}

/// PostgreSQL's hash of a password: `md5` and 32 digits.
fn md5(text: &[u8], at: usize, found: &mut Found) {
    let digits = run(text, at + 3, is_hex);
    let end = at + 3 + digits;
    let is_alone = !text.get(end).is_some_and(|byte| is_word(*byte));
    if is_alone && (digits == 32 || digits >= 8 && end == text.len()) {
        found.take(at, end, Rules::PASSWORD_HASH);
    }
}

/// `0x0200…` of `PWDENCRYPT`, and `0x0100…` of older servers.
fn sql_server_hash(text: &[u8], at: usize, found: &mut Found) {
    let rest = &text[at..];
    if rest.starts_with(b"0x0200") || rest.starts_with(b"0x0100") {
        let digits = run(text, at + 6, is_hex);
        if matches!(digits, 40..=160) {
            found.take(at, at + 6 + digits, Rules::PASSWORD_HASH);
        }
    }
}

fn private_key(text: &[u8], at: usize, found: &mut Found) {
    let head = &text[at..text.len().min(at + 64)];
    let Some(kind_len) = memchr::memmem::find(&head[11..], b"-----") else { return };
    let kind = &head[11..11 + kind_len];
    if memchr::memmem::find(kind, b"PRIVATE KEY").is_none() {
        return;
    }
    let from = at + 11 + kind_len + 5;
    let rest = &text[from.min(text.len())..text.len().min(from + KEY_BYTES_MAX)];
    let end = from + memchr::memmem::find(rest, b"-----END").unwrap_or(rest.len());
    found.take(from, end, Rules::PRIVATE_KEY);
}

/// `scheme://user:password@host`, at the colon; also with slashes that JSON escapes.
fn url(text: &[u8], at: usize, found: &mut Found) {
    let rest = &text[at..];
    let marks: [&[u8]; 2] = [b"://", b":\\/\\/"];
    let Some(mark) = marks.into_iter().find(|mark| rest.starts_with(mark)) else { return };
    let from = at + mark.len();
    let is_scheme = at > 0 && text[at - 1].is_ascii_alphanumeric();
    if !is_scheme {
        return;
    }
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'\'' | b'"' | b'`' | b'<' | b'>')
    };
    let rest = &text[from..text.len().min(from + RUN_BYTES_MAX)];
    let end = from + rest.iter().position(ends).unwrap_or(rest.len());
    let all = &text[from..end];
    let path_at = all.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(all.len());
    let Some(colon) = all.iter().position(|byte| *byte == b':') else { return };
    // Whoever does not escape his password may have any of these bytes in it.
    let at_sign = match memchr::memrchr(b'@', &all[..path_at]) {
        Some(at_sign) => Some(at_sign),
        None if colon < path_at && !is_port(&all[colon + 1..path_at]) => memchr::memrchr(b'@', all),
        None => None,
    };
    match at_sign {
        Some(at_sign) if colon < at_sign => found.value(text, from + colon + 1, from + at_sign, Rules::URL),
        // The text ends before the host.
        None if end == text.len() && colon < path_at && !is_port(&all[colon + 1..]) && path_at == all.len() => {
            found.value(text, from + colon + 1, end, Rules::URL);
        }
        _ => {}
    }
}

fn is_port(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b':' | b'.' | b')' | b']' | b';'))
}

/// How many bytes from here are of this kind.
fn run(text: &[u8], from: usize, of: fn(u8) -> bool) -> usize {
    text.get(from..).unwrap_or_default().iter().take(RUN_BYTES_MAX).take_while(|byte| of(**byte)).count()
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn is_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_dotted(byte: u8) -> bool {
    is_url(byte) || matches!(byte, b'.' | b'=')
}

fn is_base64(byte: u8) -> bool {
    is_url(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn is_hash(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'.' | b'$' | b':' | b',')
}
