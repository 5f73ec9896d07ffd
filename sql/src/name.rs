//! Names: up to four parts, and what the engine makes of each.

use std::borrow::Cow;

use crate::dialect::{Dialect, Engine};
use crate::span::Span;

/// PostgreSQL cuts longer names (`NAMEDATALEN` less one), at a whole character.
const POSTGRES_NAME_BYTES_MAX: usize = 63;

/// The name of an object, by its parts as they are written, quotes included. Parts that are not written are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Name {
    /// T-SQL's linked server; Oracle's database link.
    pub server: Span,
    /// The database. In MySQL the first of two parts.
    pub database: Span,
    /// The schema. MySQL has none.
    pub schema: Span,
    /// The object. `*` where all are meant: `GRANT … ON db.*`.
    pub object: Span,
}

impl Name {
    /// Nothing.
    pub const NONE: Name = Name { server: Span::NONE, database: Span::NONE, schema: Span::NONE, object: Span::NONE };

    /// A name of one part.
    pub const fn of(object: Span) -> Self {
        Name { object, ..Name::NONE }
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.object.is_empty()
    }

    /// Whether nothing but the object is written.
    pub const fn is_plain(self) -> bool {
        self.server.is_empty() && self.database.is_empty() && self.schema.is_empty()
    }

    /// From the first part to the last. A database link, which stands behind the name, is not in it.
    pub const fn span(self) -> Span {
        let before = if self.server.start < self.object.start { self.server } else { Span::NONE };
        before.to(self.database).to(self.schema).to(self.object)
    }

    /// The parts in the order of server, database, schema, object; empty ones too.
    pub const fn parts(self) -> [Span; 4] {
        [self.server, self.database, self.schema, self.object]
    }

    /// The parts that are written, joined by dots, each as the engine understands it. Quotes are not put back, so that a
    /// dot inside a part cannot be told from one between parts; where that matters, take the parts.
    pub fn normalized(self, dialect: Dialect, text: &[u8]) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.span().len());
        for part in self.parts().into_iter().filter(|part| !part.is_empty()) {
            if !whole.is_empty() {
                whole.push(b'.');
            }
            whole.extend_from_slice(&normalized(dialect, part.of(text)));
        }
        whole
    }
}

/// A part of a name as the engine understands it: without quotes, folded if it had none. Borrows where nothing changes.
pub fn normalized(dialect: Dialect, part: &[u8]) -> Cow<'_, [u8]> {
    let name = match part.first() {
        Some(b'"') => undoubled(between(part, 1), b'"'),
        Some(b'`') => undoubled(between(part, 1), b'`'),
        Some(b'[') => undoubled(between(part, 1), b']'),
        Some(b'\'') => undoubled(between(part, 1), b'\''),
        Some(b'U' | b'u') if part.get(1..3) == Some(b"&\"") => unescaped(between(part, 3)),
        _ => folded(dialect, part),
    };
    if dialect.engine == Engine::Postgres { cut(name) } else { name }
}

/// Without `skip` bytes at the front and the closing quote.
fn between(part: &[u8], skip: usize) -> &[u8] {
    part.get(skip..part.len().saturating_sub(1)).unwrap_or_default()
}

fn folded(dialect: Dialect, part: &[u8]) -> Cow<'_, [u8]> {
    match dialect.engine {
        Engine::Postgres if part.iter().any(u8::is_ascii_uppercase) => part.to_ascii_lowercase().into(),
        Engine::Oracle if part.iter().any(u8::is_ascii_lowercase) => part.to_ascii_uppercase().into(),
        _ => part.into(),
    }
}

fn undoubled(inner: &[u8], quote: u8) -> Cow<'_, [u8]> {
    if memchr::memchr(quote, inner).is_none() {
        return inner.into();
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut skip = false;
    for &byte in inner {
        skip = byte == quote && !skip && {
            plain.push(byte);
            true
        };
        if byte != quote {
            plain.push(byte);
        }
    }
    plain.into()
}

/// `\0041` and `\+000041` of `U&"…"`, with the standard escape character; what is no escape stays.
fn unescaped(inner: &[u8]) -> Cow<'_, [u8]> {
    let undoubled = undoubled(inner, b'"');
    if memchr::memchr(b'\\', &undoubled).is_none() {
        return undoubled;
    }
    let (mut plain, mut rest) = (Vec::with_capacity(undoubled.len()), &undoubled[..]);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'\\'
            && let Some((character, len)) = escape(after)
        {
            plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &after[len..];
        } else {
            plain.push(byte);
        }
    }
    plain.into()
}

fn escape(after: &[u8]) -> Option<(char, usize)> {
    let (from, to) = match after.first()? {
        b'\\' => return Some(('\\', 1)),
        b'+' => (1, 7),
        _ => (0, 4),
    };
    let digits =
        std::str::from_utf8(after.get(from..to)?).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    Some((char::from_u32(u32::from_str_radix(digits?, 16).ok()?)?, to))
}

fn cut(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if name.len() <= POSTGRES_NAME_BYTES_MAX {
        return name;
    }
    let is_inside = |byte: &u8| (0x80..0xC0).contains(byte);
    let end = (0..=POSTGRES_NAME_BYTES_MAX).rev().find(|&end| !name.get(end).is_some_and(is_inside)).unwrap_or(0);
    match name {
        Cow::Borrowed(name) => name[..end].into(),
        Cow::Owned(mut name) => {
            name.truncate(end);
            name.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(dialect: Dialect, part: &str) -> String {
        String::from_utf8(normalized(dialect, part.as_bytes()).into_owned()).expect("UTF-8")
    }

    #[test]
    fn names_without_quotes_are_folded_as_the_engine_does() {
        assert_eq!(plain(Dialect::POSTGRES, "Orders"), "orders");
        assert_eq!(plain(Dialect::ORACLE, "Orders"), "ORDERS");
        assert_eq!(plain(Dialect::MYSQL, "Orders"), "Orders");
        assert_eq!(plain(Dialect::TSQL, "Orders"), "Orders");
    }

    #[test]
    fn quotes_go_and_doubled_ones_stay_once() {
        assert_eq!(plain(Dialect::POSTGRES, r#""A""b""#), r#"A"b"#);
        assert_eq!(plain(Dialect::POSTGRES, r#""A""""b""#), r#"A""b"#);
        assert_eq!(plain(Dialect::MYSQL, "`a``b`"), "a`b");
        assert_eq!(plain(Dialect::TSQL, "[a]]b]"), "a]b");
        assert_eq!(plain(Dialect::MYSQL, "'app'"), "app");
    }

    #[test]
    fn unicode_escapes_are_read() {
        assert_eq!(plain(Dialect::POSTGRES, r#"U&"d\0061t\+000061\\""#), r"data\");
        assert_eq!(plain(Dialect::POSTGRES, r#"u&"\zz""#), r"\zz");
    }

    #[test]
    fn postgres_cuts_long_names_at_a_whole_character() {
        let long = format!("{}ä", "x".repeat(62));
        assert_eq!(plain(Dialect::POSTGRES, &long), "x".repeat(62));
        assert_eq!(plain(Dialect::MYSQL, &long), long);
    }

    #[test]
    fn broken_names_do_no_harm() {
        for part in ["", "\"", "`", "[", "U&\"", "U&"] {
            plain(Dialect::POSTGRES, part);
        }
    }
}
