//! Secrets among others: arguments of functions, values of an `INSERT`, strings that are put together.

use super::{Walk, joined_end, lower};
use crate::redact::items::{Item, Items, What, is_word};
use crate::redact::rules::Rules;

impl Walk<'_> {
    /// The secret ones among the arguments of a function, or of a procedure that is called without brackets.
    pub(super) fn arguments<'a, I: Items<'a>>(&mut self, secret: &[u8], rule: Rules, mut rest: I) {
        let text = rest.text();
        let mut ahead = rest.clone();
        let is_closed = ahead.next().is_some_and(|next| next.is(b'('));
        if is_closed {
            rest.next();
        } else if !I::CODE || !ahead.next().is_none_or(|next| next.is(b',')) {
            return;
        }
        let (mut depth, mut number) = (0, 1);
        while self.goes_on() {
            let Some(next) = rest.next() else { return };
            let is_secret = secret.contains(&number);
            match next.what {
                What::Sign(b'(' | b'[') => depth += 1,
                What::Sign(b')' | b']') if depth == 0 => return,
                What::Sign(b')' | b']') => depth -= 1,
                // OPENROWSET has them between its arguments.
                What::Sign(b',' | b';') if depth == 0 && (is_closed || !next.is(b';')) => number += 1,
                What::Sign(b';') => return,
                What::Word if is_secret && lower(&text[next.start..next.end]) == b"gen_salt" => {
                    while self.goes_on() && rest.next().is_some_and(|next| !next.is(b')')) {}
                }
                What::Literal if is_secret => self.found.value(text, next.inner.0, next.inner.1, rule),
                What::Number if is_secret && I::CODE => self.number(text, next, rule),
                What::Parameter if is_secret && I::CODE => self.parameter(text, next),
                _ => {}
            }
        }
    }

    /// `set_config('app.password', 'x', false)`
    pub(super) fn set_config<'a, I: Items<'a>>(&mut self, rest: I) {
        let mut ahead = rest.clone();
        let (open, name) = (ahead.next(), ahead.next());
        let text = rest.text();
        let is_secret = |name: Item| self.names.is_secret(&text[name.inner.0..name.inner.1]);
        if open.is_some_and(|open| open.is(b'('))
            && name.is_some_and(|name| name.what == What::Literal && is_secret(name))
        {
            self.arguments(&[2], self.rule, rest);
        }
    }

    /// `format('… PASSWORD %L', 'x')`
    pub(super) fn format<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let (open, first) = (rest.next(), rest.next());
        let is_for_secret =
            |first: Item| first.what == What::Literal && self.has_place(&text[first.inner.0..first.inner.1], b"%");
        if open.is_some_and(|open| open.is(b'(')) && first.is_some_and(is_for_secret) {
            self.call(rest);
        }
    }

    /// `'… IDENTIFIED BY ' || 'x'`
    pub(super) fn concatenated<'a, I: Items<'a>>(&mut self, text: &'a [u8], string: Item, mut rest: I) {
        if !rest.next().is_some_and(|next| next.is(b'|') || next.is(b'+')) {
            return;
        }
        let part = &text[string.inner.0..string.inner.1];
        if !self.has_place(&part[part.len().saturating_sub(80)..], b"") {
            return;
        }
        for _ in 0..8 {
            match rest.next() {
                Some(next) if next.what == What::Literal => return self.literals(next, rest),
                Some(next) if matches!(next.what, What::Sign(b'(' | b'|' | b'+')) => {}
                // A function of it; else it is a variable.
                Some(next) if next.what == What::Word && rest.clone().next().is_some_and(|it| it.is(b'(')) => {}
                _ => return,
            }
        }
    }

    /// Whether `mark` stands where a secret's value would; an empty one at the end of the text.
    pub(super) fn has_place(&self, text: &[u8], mark: &[u8]) -> bool {
        let mut at = 0;
        while at < text.len() {
            if !is_word(text[at]) {
                at += 1;
                continue;
            }
            let end = joined_end(text, at);
            let is_by =
                text[at..end].eq_ignore_ascii_case(b"by") && find_word(&text[at.saturating_sub(24)..at], b"identified");
            if is_by || self.names.is_secret(&text[at..end]) {
                let skip =
                    |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'=' | b':' | b'\'' | b'"' | b'\\');
                let value = end + text[end..].iter().take_while(skip).count();
                if if mark.is_empty() { value == text.len() } else { text[value..].starts_with(mark) } {
                    return true;
                }
            }
            at = end;
        }
        false
    }

    /// `INSERT INTO t (a, password) VALUES (1, 'x'), (2, 'y')`
    pub(super) fn inserted<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let mut next = rest.next();
        for _ in 0..8 {
            match next {
                Some(it) if matches!(it.what, What::Word | What::Name | What::Sign(b'.')) => next = rest.next(),
                _ => break,
            }
        }
        if !next.is_some_and(|next| next.is(b'(')) {
            return;
        }
        let mut secret = Vec::new();
        let mut number = 1;
        loop {
            match rest.next() {
                Some(it) if it.is(b')') => break,
                Some(it) if it.is(b',') => number += 1,
                Some(it) if matches!(it.what, What::Word | What::Name) && number < 255 => {
                    if self.names.is_secret(&text[it.inner.0..it.inner.1]) {
                        secret.push(number);
                    }
                }
                _ => return,
            }
        }
        let is_values = rest.next().is_some_and(|next| {
            let word = lower(&text[next.start..next.end]);
            next.what == What::Word && (word == b"values" || word == b"value")
        });
        if !is_values || secret.is_empty() {
            return;
        }
        while self.goes_on() {
            let tuple = rest.clone();
            if !rest.next().is_some_and(|next| next.is(b'(')) {
                return;
            }
            self.arguments(&secret, self.rule, tuple);
            let mut depth = 1;
            while depth > 0 && self.goes_on() {
                match rest.next() {
                    Some(it) if it.is(b'(') => depth += 1,
                    Some(it) if it.is(b')') => depth -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
            if !rest.next().is_some_and(|next| next.is(b',')) {
                return;
            }
        }
    }
}

fn find_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}
