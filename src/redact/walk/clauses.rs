//! What follows clauses that need no name: `IDENTIFIED BY`, and the headers of requests.

use super::named::bare_end;
use super::{CLAUSE_ITEMS_MAX, Walk, lower};
use crate::redact::items::{Item, Items, What, is_word};
use crate::redact::rules::Rules;

impl Walk<'_> {
    /// `IDENTIFIED [WITH|VIA plugin] BY|AS|USING ['x'|x] [REPLACE 'y']`
    pub(super) fn after_identified<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let (mut has_plugin, mut has_secret) = (false, false);
        for _ in 0..CLAUSE_ITEMS_MAX {
            let Some(next) = rest.next() else { return };
            if next.what != What::Word {
                return;
            }
            match &lower(&text[next.start..next.end])[..] {
                b"with" | b"via" | b"or" => {
                    has_plugin = true;
                    rest.next();
                }
                b"replace" => self.credential(&mut rest),
                b"by" if !has_secret => {
                    has_secret = true;
                    self.credential(&mut rest);
                }
                b"as" | b"using" if has_plugin => self.credential(&mut rest),
                b"and" | b"identified" | b"retain" | b"current" | b"password" | b"discard" | b"old" => {}
                _ => return,
            }
        }
    }

    /// `IDENTIFED BY 'x'`: a mistake in the word before it fails, and is logged.
    pub(super) fn after_by<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let Some(next) = rest.next() else { return };
        if self.account == 2 && next.what == What::Literal {
            self.literals(next, rest);
        }
    }

    /// What stands behind BY.
    pub(super) fn credential<'a, I: Items<'a>>(&mut self, rest: &mut I) {
        let text = rest.text();
        for _ in 0..4 {
            let Some(next) = rest.next() else { return };
            let word = lower(&text[next.start..next.end]);
            match next.what {
                What::Literal => return self.literals(next, rest.clone()),
                What::Name => return self.found.value(text, next.inner.0, next.inner.1, self.rule),
                What::Parameter if I::CODE && text[next.start] != b'@' => return self.parameter(text, next),
                What::Word if word == b"password" || word == b"values" => {}
                What::Word if word == b"random" => return,
                What::Word if word[0] == b'_' || word.len() == 1 => {
                    if let Some(literal) =
                        rest.clone().next().filter(|it| it.what == What::Literal && it.start == next.end)
                    {
                        rest.next();
                        return self.found.value(text, literal.inner.0, literal.inner.1, self.rule);
                    }
                    return self.unquoted_credential(next, text, rest);
                }
                What::Word if rest.clone().next().is_some_and(|it| it.is(b'(')) => {
                    rest.next();
                    return self.call_of(rest);
                }
                What::Sign(b'(') => return self.call_of(rest),
                What::Sign(b';') => return,
                _ => return self.unquoted_credential(next, text, rest),
            }
        }
    }

    pub(super) fn call_of<'a, I: Items<'a>>(&mut self, rest: &mut I) {
        self.call(rest.clone());
        while rest.next().is_some_and(|next| !next.is(b')') && !next.is(b';')) {}
    }

    /// Oracle's passwords are names. Outside of SQL it may be no clause at all.
    pub(super) fn unquoted_credential<'a, I: Items<'a>>(&mut self, next: Item, text: &[u8], rest: &mut I) {
        let is_entity = text[next.start] == b'&';
        if is_entity
            || (!I::CODE || self.is_guess)
                && self.account == 0
                && !is_about_accounts(&text[next.start.saturating_sub(256)..next.start])
        {
            return;
        }
        let end = bare_end(text, next.start, b' ', b' ');
        self.bare_word::<I>(next.start, end, text);
        while rest.clone().next().is_some_and(|next| next.start < end) {
            rest.next();
        }
    }

    /// `Authorization: Basic eHg6eXk=`
    pub(super) fn after_authorization<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        // `SET SESSION AUTHORIZATION 'fred'` has no sign.
        if !rest.clone().next().is_some_and(|next| matches!(next.what, What::Sign(_))) {
            return;
        }
        for _ in 0..4 {
            let Some(next) = rest.next() else { return };
            if next.what == What::Word && is_scheme(&text[next.start..next.end]) {
                return self.after_bearer(rest);
            }
            if let What::Literal = next.what {
                let inner = &text[next.inner.0..next.inner.1];
                let scheme = inner.iter().position(|byte| *byte == b' ').filter(|len| is_scheme(&inner[..*len]));
                return self.found.value(
                    text,
                    next.inner.0 + scheme.map_or(0, |len| len + 1),
                    next.inner.1,
                    Rules::TOKEN,
                );
            }
        }
    }

    /// The token behind the word that says that one comes.
    pub(super) fn after_bearer<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let Some(next) = rest.next().filter(|next| matches!(next.what, What::Word | What::Number)) else { return };
        let is_part = |byte: &u8| is_word(*byte) || matches!(byte, b'-' | b'.' | b'+' | b'/' | b'=' | b'~' | b'|');
        let end = next.start + text[next.start..].iter().take_while(|byte| is_part(byte)).count();
        let bytes = &text[next.start..end];
        if bytes.len() >= 8 && bytes.iter().any(|byte| !byte.is_ascii_lowercase()) {
            self.found.value(text, next.start, end, Rules::TOKEN);
        }
    }
}

/// How a request says who it is from.
fn is_scheme(word: &[u8]) -> bool {
    [&b"basic"[..], b"bearer", b"token", b"digest", b"apikey"].contains(&&lower(word)[..])
}

fn is_about_accounts(before: &[u8]) -> bool {
    let words = before.split(|byte| !is_word(*byte));
    const WORDS: [&[u8]; 9] =
        [b"user", b"role", b"link", b"grant", b"keystore", b"create", b"alter", b"login", b"clone"];
    words.into_iter().any(|word| WORDS.iter().any(|other| word.eq_ignore_ascii_case(other)))
}
