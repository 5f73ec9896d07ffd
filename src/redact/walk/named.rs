//! What follows the name of a secret: a sign and a value, a type and a default, or the value at once.

use super::{CLAUSE_ITEMS_MAX, Walk, lower};
use crate::redact::items::{Item, Items, What, is_word};
use crate::redact::names::Announced;
use crate::redact::rules::Rules;

impl Walk<'_> {
    /// Behind the name of a secret.
    pub(super) fn after_name<'a, I: Items<'a>>(&mut self, name: Item, clause: bool, mut rest: I) {
        let text = rest.text();
        let mut next = rest.next();
        while next.is_some_and(|next| next.what == What::Cast) {
            rest.next();
            next = rest.next();
        }
        let Some(next) = next else { return };
        let word = lower(&text[next.start..next.end]);
        match next.what {
            What::Sign(b'=' | b':') => self.value(name, next, rest),
            What::Sign(b'!') => {
                if let Some(sign) = rest.next().filter(|sign| sign.is(b'=')) {
                    self.value(name, sign, rest);
                }
            }
            What::Sign(b'(') if clause || lower(&text[name.start..name.end]) == b"old_password" => self.call(rest),
            What::Literal if I::CODE => self.literals(next, rest),
            // A message may have a word of its own before something that it quotes.
            What::Literal if clause && self.account == 2 => self.literals(next, rest),
            What::Literal if next.start > name.end && (clause || text[next.start] != b'"') => self.literals(next, rest),
            What::Name if clause && self.account == 2 => self.found.value(text, next.inner.0, next.inner.1, self.rule),
            What::Parameter if I::CODE => self.parameter(text, next),
            What::Word if clause && word == b"for" => self.password_for(name, rest),
            What::Word if word == b"to" => self.set_to(rest),
            What::Word if [&b"is"[..], b"not", b"in", b"like"].contains(&&word[..]) => {
                self.compared(word == b"is", rest)
            }
            What::Word | What::Number if clause && self.account == 2 && next.start > name.end => {
                self.unquoted(next, &rest);
            }
            What::Word if I::CODE => self.default_of(next, rest),
            _ => {}
        }
    }

    /// `password text NOT NULL DEFAULT 'x'`
    pub(super) fn default_of<'a, I: Items<'a>>(&mut self, first: Item, mut rest: I) {
        const TYPES: [&[u8]; 14] = [
            b"text",
            b"varchar",
            b"varchar2",
            b"nvarchar",
            b"nvarchar2",
            b"char",
            b"nchar",
            b"character",
            b"constant",
            b"bytea",
            b"citext",
            b"name",
            b"raw",
            b"varbinary",
        ];
        let text = rest.text();
        let is_typed = TYPES.contains(&&lower(&text[first.start..first.end])[..]);
        let mut next = Some(first);
        for _ in 0..CLAUSE_ITEMS_MAX {
            let Some(it) = next else { return };
            let is_default = it.what == What::Word && lower(&text[it.start..it.end]) == b"default";
            match it.what {
                What::Sign(b',' | b';') => return,
                _ if is_default || is_typed && it.is(b'=') => {
                    if let Some(value) = rest.next().filter(|value| value.what == What::Literal) {
                        self.literals(value, rest);
                    }
                    return;
                }
                _ => next = rest.next(),
            }
        }
    }

    /// `PASSWORD geheim`: a mistake that fails, and is logged.
    pub(super) fn unquoted<'a, I: Items<'a>>(&mut self, next: Item, rest: &I) {
        const OTHERS: [&[u8]; 21] = [
            b"null",
            b"expire",
            b"require",
            b"history",
            b"reuse",
            b"interval",
            b"default",
            b"never",
            b"optional",
            b"valid",
            b"login",
            b"nologin",
            b"superuser",
            b"nosuperuser",
            b"createdb",
            b"createrole",
            b"connection",
            b"random",
            b"from",
            b"using",
            b"policy",
        ];
        let text = rest.text();
        if !OTHERS.contains(&&lower(&text[next.start..next.end])[..]) {
            self.bare_word::<I>(next.start, bare_end(text, next.start, b' ', b' '), text);
        }
    }

    /// A number that is a secret. A shorter one is more likely a count.
    pub(super) fn number(&mut self, text: &[u8], number: Item, rule: Rules) {
        if number.end - number.start >= self.digits_min {
            self.found.bare_value(text, number.start, number.end, rule);
        }
    }

    /// A word that is a secret. In code the mark gets quotes, so that it is one piece again.
    pub(super) fn bare_word<'a, I: Items<'a>>(&mut self, start: usize, end: usize, text: &[u8]) {
        if I::CODE {
            self.found.bare_value(text, start, end, self.rule);
        } else {
            self.found.value(text, start, end, self.rule);
        }
    }

    /// `SET PASSWORD FOR u = 'x'`
    pub(super) fn password_for<'a, I: Items<'a>>(&mut self, name: Item, mut rest: I) {
        for _ in 0..CLAUSE_ITEMS_MAX {
            let Some(next) = rest.next() else { return };
            let text = rest.text();
            if next.is(b';') {
                return;
            }
            if next.is(b'=') || next.what == What::Word && lower(&text[next.start..next.end]) == b"to" {
                return self.value(name, next, rest);
            }
        }
    }

    /// `SET app.password TO 'x'`
    pub(super) fn set_to<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let Some(next) = rest.next() else { return };
        let text = rest.text();
        match next.what {
            What::Literal => self.literals(next, rest),
            What::Number => self.number(text, next, self.rule),
            What::Parameter if I::CODE => self.parameter(text, next),
            _ => {}
        }
    }

    /// `password NOT IN ('x', 'y')`, `password IS DISTINCT FROM 'x'`: the literals that follow at once. A comment IS something else.
    pub(super) fn compared<'a, I: Items<'a>>(&mut self, is: bool, mut rest: I) {
        for index in 0..4 {
            let Some(next) = rest.next() else { return };
            match next.what {
                What::Literal if is && index == 0 => return,
                What::Literal => return self.literals(next, rest),
                What::Parameter if I::CODE => return self.parameter(rest.text(), next),
                What::Sign(b'(') => return self.call(rest),
                What::Word => {}
                _ => return,
            }
        }
    }

    /// Behind the sign that follows a name.
    pub(super) fn value<'a, I: Items<'a>>(&mut self, name: Item, sign: Item, mut rest: I) {
        let text = rest.text();
        let Some(next) = rest.next() else { return };
        match next.what {
            What::Literal => self.literals(next, rest),
            // `=>` in two pieces.
            What::Sign(b'>') if next.start == sign.end => self.value(name, next, rest),
            What::Parameter if I::CODE => self.parameter(text, next),
            What::Number if I::CODE => self.number(text, next, self.rule),
            What::Sign(b'(') => self.call(rest),
            What::Word => self.word_value(name, sign, next, rest),
            What::Sign(b'[' | b'{') => self.call(rest),
            _ if I::CODE => {}
            _ => self.bare(name, sign, next, text),
        }
    }

    /// `password = crypt('x', …)`, `password = N'x'`, and outside of SQL the value itself.
    pub(super) fn word_value<'a, I: Items<'a>>(&mut self, name: Item, sign: Item, word: Item, mut rest: I) {
        let text = rest.text();
        let mut ahead = rest.clone();
        match ahead.next() {
            Some(next)
                if next.what == What::Literal
                    && next.start == word.end
                    && is_introducer(&text[word.start..word.end]) =>
            {
                self.literals(next, ahead);
            }
            Some(next) if next.is(b'(') && (I::CODE || next.start == word.end) => {
                rest.next();
                self.call(rest);
            }
            _ if I::CODE && self.account == 2 && self.is_clause(&text[name.start..name.end]) => {
                self.unquoted(word, &rest);
            }
            _ if I::CODE => {}
            _ => self.bare(name, sign, word, text),
        }
    }

    pub(super) fn is_clause(&self, word: &[u8]) -> bool {
        self.names.announced(word, self.dialect) == Announced::Name { clause: true }
    }

    /// A value without quotes, outside of SQL's own code.
    pub(super) fn bare(&mut self, name: Item, sign: Item, value: Item, text: &[u8]) {
        const OTHERS: [&[u8]; 19] = [
            b"null",
            b"none",
            b"yes",
            b"no",
            b"true",
            b"false",
            b"on",
            b"off",
            b"default",
            b"new",
            b"old",
            b"excluded",
            b"current",
            b"is",
            b"as",
            b"select",
            b"any",
            b"all",
            b"undefined",
        ];
        let before = name.start.checked_sub(1).map_or(b' ', |at| text[at]);
        let end = bare_end(text, value.start, before, text[sign.end - 1]);
        let bytes = &text[value.start..end];
        let is_apart = sign.start > name.end || value.start > sign.end;
        // A placeholder, or the name of a column.
        let is_name = matches!(bytes.first(), Some(b'%' | b'|' | b'?' | b')' | b',' | b'+'))
            || bytes.starts_with(b"${")
            || bytes.first() == Some(&b'$') && bytes[1..].iter().all(u8::is_ascii_digit)
            || is_apart && is_column(bytes)
            || is_apart && bytes.len() < self.digits_min && bytes.iter().all(u8::is_ascii_digit);
        let is_other = OTHERS.contains(&&lower(bytes)[..])
            || OTHERS.contains(&&lower(&text[value.start..value.end])[..]) && value.end == end;
        if !is_name && !is_other {
            self.found.value(text, value.start, end, self.rule);
        }
    }

    /// A string, and those that are put behind it.
    pub(super) fn literals<'a, I: Items<'a>>(&mut self, first: Item, mut rest: I) {
        let text = rest.text();
        let mut literal = first;
        for _ in 0..CLAUSE_ITEMS_MAX {
            let inner = &text[literal.inner.0..literal.inner.1];
            if !I::CODE && is_expression(inner) {
                return self.behind_expression(text, literal);
            }
            self.found.value(text, literal.inner.0, literal.inner.1, self.rule);
            let mut next = rest.next();
            while next.is_some_and(|next| next.is(b'|') || next.is(b'+')) {
                next = rest.next();
            }
            // `SET PASSWORD = 'x' REPLACE 'y'`
            if next.is_some_and(|next| next.what == What::Word && lower(&text[next.start..next.end]) == b"replace") {
                next = rest.next();
            }
            match next.filter(|next| next.what == What::Literal && (I::CODE || next.start > literal.end)) {
                // Two strings with a line's end between them are one.
                Some(next) if I::CODE || ends_line(&text[literal.end..next.start]) => literal = next,
                _ => return,
            }
        }
    }

    /// `PASSWORD ' || quote_literal('x')` within a string or a body: its own quotes are taken for those of a value.
    pub(super) fn behind_expression(&mut self, text: &[u8], between: Item) {
        let inner = text[between.inner.0..between.inner.1].trim_ascii();
        if inner.ends_with(b"(") || inner.ends_with(b"||") && !inner.iter().any(|byte| is_word(*byte)) {
            let rest = &text[between.end..];
            let len = rest.iter().position(|byte| *byte == b'\'').unwrap_or(rest.len());
            self.found.value(text, between.end, between.end + len, self.rule);
        }
    }

    /// All strings up to the bracket that closes.
    pub(super) fn call<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let mut depth = 1;
        while self.goes_on() {
            let Some(next) = rest.next() else { return };
            match next.what {
                What::Sign(b'(' | b'[' | b'{') => depth += 1,
                What::Sign(b')' | b']' | b'}') => depth -= 1,
                What::Sign(b';') => return,
                What::Word if lower(&text[next.start..next.end]) == b"gen_salt" => {
                    while self.goes_on() && rest.next().is_some_and(|next| !next.is(b')')) {}
                }
                What::Literal => self.found.value(text, next.inner.0, next.inner.1, self.rule),
                What::Parameter if I::CODE => self.parameter(text, next),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// Where a value without quotes ends. `before` is the byte before its name, `sign` the one before itself.
pub(super) fn bare_end(text: &[u8], start: usize, before: u8, sign: u8) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        let next = text.get(at + 1).copied().unwrap_or(b' ');
        let closes = next.is_ascii_whitespace() || matches!(next, b';' | b',' | b')' | b'}' | b']' | b'\'' | b'"');
        let ends = match byte {
            // Of `Server=s;Password=x y;` it is the semicolon that ends it.
            b' ' | b'\t' => before != b';',
            b'\n' | b'\r' | b'\'' | b'`' => true,
            b'"' => !is_word(next),
            b'\\' => matches!(next, b'"' | b'\'' | b'n' | b'r' | b't') && at > start,
            b'&' => matches!(before, b'&' | b'?'),
            b';' => closes || is_key(&text[at + 1..]),
            b',' => sign == b':' || closes || is_key(&text[at + 1..]),
            b')' => before == b'(' || closes,
            b'}' | b']' => sign == b':' || closes,
            _ => false,
        };
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// Whether a further key with its value begins: `User Id=`.
fn is_key(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let len = text.iter().take(40).take_while(|byte| is_word(**byte) || matches!(byte, b' ' | b'-' | b'.')).count();
    len > 0 && matches!(text.get(len), Some(b'=' | b':'))
}

/// `p.password`, `crypt(`, `quote_literal(x)`: what an expression is made of.
fn is_column(bytes: &[u8]) -> bool {
    let is_plain = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'(' | b')' | b','));
    let begins = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    is_plain && begins && bytes.iter().any(|byte| matches!(byte, b'.' | b'(' | b'_'))
}

/// Also one that is written as `\n`.
fn ends_line(blanks: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\\', blanks).is_some()
}

/// `|| pw ||`, with what is left of the quotes around it.
fn is_expression(inner: &[u8]) -> bool {
    let begins = inner.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'\'').unwrap_or(inner.len());
    inner[begins..].starts_with(b"||")
}

/// `N'…'`, `_utf8'…'`
fn is_introducer(word: &[u8]) -> bool {
    word.len() <= 2 || word[0] == b'_'
}
