//! Literals of statements: what a statement says of somebody's data, apart from what it does.
//!
//! The lexer says where they are. It can be wrong where the text is broken or a setting of the server changes how quotes are read; then a name is taken
//! out rather than a value left: where quotes do not match, everything from the first on is taken out.
//! Literals that are names of accounts, or that a field of the record tells anyway, stay: see [`kept`].

use std::borrow::Cow;

use sealtrail_sql::{Dialect, Engine, Kind, Span, Token, Tokens, Value, Word};

use super::found::{Found, MASK, Mark, is_mark};
use super::hash::{HashKey, is_hash};
use super::items::item;
use super::rules::Rules;
use crate::event::is_harmless;
use crate::shape::Told;

/// What becomes of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Treatment {
    /// It stays.
    #[default]
    Keep,
    /// `?`
    Mask,
    /// `[hmac:…]`
    Hash,
}

impl Treatment {
    /// All, as the configuration spells them.
    pub const ALL: [(&'static str, Treatment); 3] =
        [("keep", Treatment::Keep), ("mask", Treatment::Mask), ("hash", Treatment::Hash)];

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        Treatment::ALL.into_iter().find(|(_, treatment)| *treatment == self).map_or("", |(name, _)| name)
    }
}

/// Takes values out of texts, all in one way.
#[derive(Debug, Clone, Copy)]
pub struct Taker<'k> {
    /// Not `Keep`.
    pub treatment: Treatment,
    /// Of the host.
    pub key: &'k HashKey,
}

impl Taker<'_> {
    fn rule(self) -> Rules {
        if self.treatment == Treatment::Hash { Rules::LITERAL_HASH } else { Rules::LITERAL_MASK }
    }

    /// What stands in the place of a value; `is_token`: with the quotes that make it one in SQL.
    fn mark(self, value: &[u8], is_token: bool) -> Mark {
        match self.treatment {
            Treatment::Hash if is_token => Mark::HashedQuoted(self.key.hash(value)),
            Treatment::Hash => Mark::Hashed(self.key.hash(value)),
            Treatment::Mask | Treatment::Keep => Mark::Masked,
        }
    }

    /// Takes out what stands between `start` and `end`, whose value that is.
    pub fn take(self, start: usize, end: usize, value: &[u8], is_token: bool, found: &mut Found) {
        found.put(start, end, self.rule(), self.mark(value, is_token));
    }

    /// The same of a value that has no quotes of its own; unless it is a mark already, or nothing.
    pub fn value(self, text: &[u8], start: usize, end: usize, found: &mut Found) {
        if let Some(value) = text.get(start..end).filter(|value| !is_taken(value)) {
            self.take(start, end, value, false, found);
        }
    }

    /// All of a text.
    pub fn whole(self, text: &[u8]) -> (Vec<u8>, Rules) {
        let mut found = Found::default();
        self.value(text, 0, text.len(), &mut found);
        (found.cut_from(text), found.rules)
    }
}

/// Whether something was taken out here before.
pub fn is_taken(value: &[u8]) -> bool {
    is_mark(value) || is_hash(value) || value == MASK
}

/// Longer names than any engine allows are text behind a quote that was forgotten.
const NAME_BYTES_MAX: usize = 128 + 2;

/// Takes the literals of a statement out, but for those in `kept`. What they say goes to `values`, without quotes.
pub fn in_sql(dialect: Dialect, text: &[u8], kept: &[Span], taker: Taker<'_>, found: &mut Found, values: &mut Values) {
    let mut sql = Sql { dialect, text, kept, taker, found, values };
    sql.take();
    // Whether a backslash escapes is a setting of the server, and where it matters both may be right.
    let is_unclear = |two: &[u8]| two[0] == b'\\' && matches!(two[1], b'\'' | b'"' | b'\\');
    if matches!(dialect.engine, Engine::Postgres | Engine::Mysql) && text.windows(2).any(is_unclear) {
        sql.dialect.backslash = !dialect.backslash;
        sql.take();
    }
}

struct Sql<'s, 'k> {
    dialect: Dialect,
    text: &'s [u8],
    kept: &'s [Span],
    taker: Taker<'k>,
    found: &'s mut Found,
    values: &'s mut Values,
}

impl Sql<'_, '_> {
    fn take(&mut self) {
        let mut before: Option<Token> = None;
        // Where quotes do not match, the first may be the wrong one.
        let mut first = None;
        for token in Tokens::new(self.dialect, self.text) {
            let (start, end) = (token.span.start as usize, token.span.end as usize);
            let touches = before.filter(|before| before.span.end == token.span.start).map(|before| before.kind);
            if token.kind == Kind::String {
                first.get_or_insert(start);
            }
            match token.kind {
                Kind::Comment | Kind::DollarString if token.open => return self.take_rest(start),
                _ if token.open => return self.take_rest(first.unwrap_or(start)),
                Kind::Quoted if is_no_name(&self.text[start..end]) => return self.take_rest(first.unwrap_or(start)),
                // `'O'Brien'`: which quotes belong together is not known.
                Kind::Word if touches == Some(Kind::String) && token.word == Word::Other => {
                    return self.take_rest(first.unwrap_or(start));
                }
                Kind::String | Kind::DollarString => self.string(token),
                Kind::Number => self.number(start, end),
                // `550e8400-…`
                Kind::Word if touches == Some(Kind::Number) => self.number(start, end),
                Kind::Comment => self.comment(start, end),
                _ => {}
            }
            before = Some(token);
        }
    }

    fn string(&mut self, token: Token) {
        let (start, end) = (token.span.start as usize, token.span.end as usize);
        if self.kept.iter().any(|kept| kept.start < token.span.end && token.span.start < kept.end) {
            return;
        }
        let piece = item(self.text, self.dialect, token);
        let inner = &self.text[piece.inner.0..piece.inner.1.min(end)];
        if is_taken(inner) {
            return;
        }
        let value = unescaped(self.dialect, &self.text[start..end], inner);
        self.taker.take(start, end, &value, true, self.found);
        self.values.add(inner);
        self.values.add(&value);
    }

    fn number(&mut self, start: usize, end: usize) {
        let is_kept = self.kept.iter().any(|kept| (kept.start as usize) < end && start < kept.end as usize);
        if !is_kept {
            let value = &self.text[start..end];
            self.taker.take(start, end, value, true, self.found);
            self.values.add_number(value);
        }
    }

    /// What stands between quotes in it, as in code that was commented out.
    fn comment(&mut self, start: usize, end: usize) {
        for (from, to) in quoted(self.text, start, end) {
            self.taker.value(self.text, from, to, self.found);
            self.values.add(&self.text[from..to]);
        }
    }

    fn take_rest(&mut self, start: usize) {
        let value = &self.text[start..];
        if !is_taken(value) {
            self.taker.take(start, self.text.len(), value, true, self.found);
            self.values.has_unknown = true;
        }
    }
}

/// Whether a name in quotes is more likely text between the quotes of two names.
fn is_no_name(name: &[u8]) -> bool {
    name.len() > NAME_BYTES_MAX || name.contains(&b'\'')
}

/// What stands between single quotes that begin where no word ends, without them. Where they do not match it is all from the first on.
pub fn quoted(text: &[u8], from: usize, to: usize) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut at = from;
    while let Some(found) = text.get(at..to).and_then(|rest| memchr::memchr(b'\'', rest)) {
        let open = at + found;
        at = open + 1;
        if !may_open(&text[..open]) {
            continue;
        }
        let close = closing_quote(&text[..to], at);
        let goes_on = text[..to].get(close + 1).is_some_and(|byte| super::items::is_word(*byte));
        if close == to || goes_on {
            let first = places.first().map_or(at, |(first, _)| *first);
            return vec![(first, to)];
        }
        places.push((at, close));
        at = close + 1;
    }
    places
}

/// Two quotes are one that does not close.
fn closing_quote(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b'\'', rest)) {
        at += found;
        if text.get(at + 1) != Some(&b'\'') {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// `can't` has no string in it, `E'x'` has.
fn may_open(before: &[u8]) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| super::items::is_word(*byte));
    let last = before.last();
    let is_prefix = last.is_some_and(|byte| matches!(byte.to_ascii_lowercase(), b'e' | b'n' | b'b' | b'x'))
        && !is_part(before.len().checked_sub(2).and_then(|at| before.get(at)));
    !is_part(last) || is_prefix
}

/// What a literal says, so that `'it''s'`, `E'it\'s'` and `$$it's$$` are one value.
fn unescaped<'t>(dialect: Dialect, token: &[u8], inner: &'t [u8]) -> Cow<'t, [u8]> {
    let quote = if token.ends_with(b"\"") { b'"' } else { b'\'' };
    let first = token.first().copied().unwrap_or(b' ').to_ascii_lowercase();
    let is_verbatim = first == b'$' || dialect.engine == Engine::Oracle && matches!(first, b'q');
    let has_escapes = first == b'e' && dialect.engine == Engine::Postgres || dialect.backslash;
    let has_mark = |byte: &u8| *byte == quote || has_escapes && *byte == b'\\';
    if is_verbatim || !inner.iter().any(has_mark) {
        return inner.into();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let byte = inner[at];
        let next = inner.get(at + 1).copied();
        match (byte, next) {
            (b'\\', Some(next)) if has_escapes => {
                out.push(match next {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    other => other,
                });
                at += 2;
            }
            (byte, Some(next)) if byte == quote && next == quote => {
                out.push(quote);
                at += 2;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out.into()
}

/// Values of one row that are searched for in what the server says of it. Of a row with more nothing that the server says stays.
const VALUES_MAX: usize = 4096;

/// What was taken out of a row's statement, to be searched for in its other texts.
#[derive(Debug, Default)]
pub struct Values {
    strings: Vec<Vec<u8>>,
    numbers: Vec<Vec<u8>>,
    /// More was taken out than is known here.
    pub has_unknown: bool,
}

/// Shorter values are found only where quotes or brackets stand around them.
const WORD_BYTES_MIN: usize = 4;

impl Values {
    /// A value as it stands in a text.
    pub fn add(&mut self, value: &[u8]) {
        if value.is_empty() || self.strings.last().is_some_and(|last| last == value) {
            return;
        }
        match self.strings.len() < VALUES_MAX {
            true => self.strings.push(value.to_vec()),
            false => self.has_unknown = true,
        }
    }

    fn add_number(&mut self, value: &[u8]) {
        match self.numbers.len() < VALUES_MAX {
            true => self.numbers.push(value.to_vec()),
            false => self.has_unknown = true,
        }
    }

    /// Wherever one of them stands in a text again: long ones anywhere, shorter ones where they are words, and the shortest between marks.
    pub fn echoes(&self, text: &[u8], taker: Taker<'_>, found: &mut Found) {
        let strings = self.strings.iter().map(|value| (value, false));
        for (value, is_number) in strings.chain(self.numbers.iter().map(|value| (value, true))) {
            for at in memchr::memmem::find_iter(text, value.as_slice()) {
                let end = at + value.len();
                let (before, behind) =
                    (at.checked_sub(1).map_or(b' ', |at| text[at]), text.get(end).copied().unwrap_or(b' '));
                let is_word = !super::items::is_word(before) && !super::items::is_word(behind);
                let is_marked = matches!(before, b'"' | b'\'' | b'(' | b'=' | b',' | b'[')
                    && matches!(behind, b'"' | b'\'' | b')' | b',' | b';' | b']' | b'.');
                let is_long = value.len() >= 2 * WORD_BYTES_MIN && !is_number;
                if is_long || is_word && value.len() >= WORD_BYTES_MIN || is_word && is_marked {
                    taker.value(text, at, end, found);
                }
            }
        }
    }
}

/// Literals that stay: names of accounts, and what the record has fields for: attributes of roles, files and addresses of transfers, settings of the
/// server.
pub fn kept(told: &Told<'_>) -> Vec<Span> {
    let mut spans = names(told);
    let reading = told.reading();
    for statement in &reading.statements {
        let text = |value| match value {
            Value::Text(span) => Some(span),
            _ => None,
        };
        spans.extend(reading.attributes(statement).iter().filter_map(|attribute| text(attribute.value)));
        spans.extend(reading.transfers(statement).iter().map(|transfer| transfer.target));
        for setting in reading.settings(statement) {
            let mut name = Vec::new();
            told.parameter(setting, &mut |part| name.extend_from_slice(part));
            spans.extend(text(setting.value).filter(|_| is_harmless(&name)));
        }
    }
    spans.retain(|span| !span.is_empty());
    spans
}

/// Names, which some dialects write as strings: of accounts and their hosts, of objects, of settings, of privileges.
pub fn names(told: &Told<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let reading = told.reading();
    for statement in &reading.statements {
        spans.extend(reading.principals(statement).iter().flat_map(|principal| [principal.name, principal.host]));
        spans.extend(reading.relations(statement).iter().flat_map(|relation| relation.name.parts()));
        spans.extend(reading.objects(statement).iter().flat_map(|object| object.name.parts()));
        spans.extend(reading.settings(statement).iter().map(|setting| setting.parameter));
        spans.extend(reading.privileges(statement).iter().flat_map(|privilege| [privilege.name, privilege.columns]));
    }
    spans.retain(|span| !span.is_empty());
    spans
}
