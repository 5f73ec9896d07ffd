//! Goes through a text and looks, at every word that announces a secret, for what follows it.
//!
//! Statements are gone through by the lexer's tokens; what stands in their strings, names and comments, and every other text, byte by byte: there
//! it cannot be known which quotes belong together, and need not be. A secret is found by what stands before it. So it is found in
//! text that is cut, broken, nested or no SQL at all.
//!
//! Nothing is skipped: behind a secret the search goes on where it began, so that a value which was taken too far hides no other.

use sealtrail_sql::{Dialect, Kind, Tokens};

use super::found::Found;
use super::items::{Code, Item, Items, Loose, What, is_word, item};
use super::names::{Announced, Names};
use super::rules::Rules;

/// Pieces of a clause that are looked at before it is given up.
const CLAUSE_ITEMS_MAX: usize = 24;

/// A PIN has four digits.
const NUMBER_BYTES_MIN: usize = 4;

/// Bodies within bodies.
const BODIES_MAX: usize = 3;

/// Pieces of all lists of arguments and values in one text. Who writes more of them into each other than that has everything taken out that has
/// quotes.
const LIST_ITEMS_MAX: usize = 1_000_000;

/// One text.
pub struct Walk<'w> {
    names: &'w Names,
    /// Of what a name announces.
    rule: Rules,
    dialect: Option<Dialect>,
    found: &'w mut Found,
    /// CREATE or ALTER was read, and an account behind it: 1, 2.
    account: u8,
    /// How many `?` there were.
    asked: usize,
    /// How many words of the statement were read.
    words: usize,
    /// It may be no SQL at all.
    is_guess: bool,
    /// Numbers of fewer digits are no secrets.
    digits_min: usize,
    /// How many bodies we are in.
    depth: usize,
    /// Pieces of lists that may still be looked at.
    left: usize,
}

impl<'w> Walk<'w> {
    /// Fills `found`.
    pub fn new(names: &'w Names, dialect: Option<Dialect>, found: &'w mut Found) -> Self {
        Walk {
            names,
            rule: names.rule(),
            dialect,
            found,
            account: 0,
            asked: 0,
            words: 0,
            is_guess: false,
            digits_min: if names.rule() == Rules::PASSWORD { NUMBER_BYTES_MIN } else { 1 },
            depth: 0,
            left: LIST_ITEMS_MAX,
        }
    }

    /// Of a text that stands for all that differ from it in their numbers alone: any number may be a secret.
    pub fn with_any_number(mut self) -> Self {
        self.digits_min = 1;
        self
    }

    /// Text that may be a statement.
    pub fn guess(&mut self, dialect: Dialect, text: &[u8]) {
        self.is_guess = true;
        self.statement(dialect, text);
    }

    /// A statement, or several.
    pub fn statement(&mut self, dialect: Dialect, text: &[u8]) {
        let mut tokens = Tokens::new(dialect, text);
        let mut last = None;
        while let Some(token) = tokens.next() {
            let piece = item(text, dialect, token);
            let rest = Code::new(text, dialect, tokens);
            match token.kind {
                Kind::Word => {
                    self.words += 1;
                    self.word(text, piece, last, rest);
                }
                Kind::Quoted => {
                    self.name(text, piece, &rest);
                    self.text(text, piece.inner);
                }
                Kind::String | Kind::DollarString if self.left == 0 => {
                    self.found.value(text, piece.inner.0, piece.inner.1, self.rule);
                }
                Kind::String | Kind::DollarString => {
                    self.key(text, piece, &rest);
                    self.concatenated(text, piece, rest);
                    self.string(text, piece);
                    if token.kind == Kind::DollarString {
                        self.body(dialect, text, piece.inner);
                    }
                }
                Kind::Comment => self.text(text, (piece.start, piece.end)),
                Kind::Variable => self.variable(text, piece, &rest),
                Kind::Semicolon => (self.account, self.words) = (0, 0),
                Kind::Parameter if text[piece.start] == b'?' => self.asked += 1,
                _ => {}
            }
            last = Some(piece).filter(|_| token.kind != Kind::Comment);
        }
    }

    /// Code within code, between dollars.
    fn body(&mut self, dialect: Dialect, text: &[u8], (from, to): (usize, usize)) {
        if self.depth == BODIES_MAX {
            return;
        }
        let mut found = Found::default();
        let mut walk = Walk {
            depth: self.depth + 1,
            digits_min: self.digits_min,
            left: self.left,
            ..Walk::new(self.names, Some(dialect), &mut found)
        };
        walk.statement(dialect, &text[from..to]);
        self.left = walk.left;
        self.found.absorb(&found, from);
    }

    /// What stands in a string, whose quotes are doubled in it.
    fn string(&mut self, text: &[u8], string: Item) {
        let quote = string.inner.0.checked_sub(1).map_or(b' ', |at| text[at]);
        self.part(text, string.inner, quote);
    }

    /// Any text, or a part of one.
    pub fn text(&mut self, text: &[u8], part: (usize, usize)) {
        self.part(text, part, b' ');
    }

    fn part(&mut self, text: &[u8], (from, to): (usize, usize), outer: u8) {
        let account = self.account;
        let part = &text[..to.min(text.len())];
        let mut at = from;
        while at < part.len() {
            if self.left == 0 {
                self.found.take(at, part.len(), self.rule);
                break;
            }
            if !is_word(part[at]) {
                at += 1;
                continue;
            }
            let end = joined_end(part, at);
            let name_end = end + closing(part, from, at, end);
            let piece = Item { what: What::Word, start: at, end, inner: (at, end) };
            self.word(part, piece, None, Loose::new(part, name_end, outer));
            at = end;
        }
        self.account = account;
    }

    fn word<'a, I: Items<'a>>(&mut self, text: &'a [u8], word: Item, last: Option<Item>, rest: I) {
        let bytes = &text[word.start..word.end];
        match self.names.announced(bytes, self.dialect) {
            Announced::Nothing => {}
            Announced::Name { clause } => {
                let is_set = self.words == 2 && last.is_some_and(|last| lower(&text[last.start..last.end]) == b"set");
                if I::CODE && clause && is_set {
                    self.account = 2;
                }
                self.after_name(word, clause, rest);
            }
            Announced::Identified => self.after_identified(rest),
            Announced::Function(arguments) => self.arguments(arguments, Rules::ARGUMENT, rest),
            Announced::SetConfig => self.set_config(rest),
            Announced::Format => self.format(rest),
            Announced::Authorization => self.after_authorization(rest),
            Announced::Bearer => self.after_bearer(rest),
            Announced::By => self.after_by(rest),
            Announced::Query if !I::CODE && word.start > 0 && matches!(text[word.start - 1], b'&' | b'?') => {
                self.after_name(word, false, rest);
            }
            Announced::Query => {}
            Announced::Changes => self.account = 1,
            Announced::Account if self.account > 0 => self.account = 2,
            Announced::Account => {}
            Announced::Into => {
                if I::CODE && last.is_some_and(|last| last.what == What::Word) {
                    self.inserted(rest);
                }
            }
        }
    }

    /// `"password" 'x'`
    fn name<'a, I: Items<'a>>(&mut self, text: &'a [u8], name: Item, rest: &I) {
        if self.names.is_secret(&text[name.inner.0..name.inner.1]) {
            self.after_name(name, false, rest.clone());
        }
    }

    /// `data->>'password' = 'x'`
    fn key<'a, I: Items<'a>>(&mut self, text: &'a [u8], string: Item, rest: &I) {
        let inner = &text[string.inner.0..string.inner.1];
        let is_compared = || rest.clone().next().is_some_and(|next| next.is(b'='));
        if inner.len() <= 64 && self.names.is_secret(inner) && is_compared() {
            self.after_name(string, false, rest.clone());
        }
    }

    /// `@password = 'x'`
    fn variable<'a, I: Items<'a>>(&mut self, text: &'a [u8], variable: Item, rest: &I) {
        if self.names.is_secret(&text[variable.start..variable.end]) {
            self.after_name(variable, false, rest.clone());
        }
    }

    /// Behind the name of a secret.
    fn after_name<'a, I: Items<'a>>(&mut self, name: Item, clause: bool, mut rest: I) {
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
    fn default_of<'a, I: Items<'a>>(&mut self, first: Item, mut rest: I) {
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
    fn unquoted<'a, I: Items<'a>>(&mut self, next: Item, rest: &I) {
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
    fn number(&mut self, text: &[u8], number: Item, rule: Rules) {
        if number.end - number.start >= self.digits_min {
            self.found.bare_value(text, number.start, number.end, rule);
        }
    }

    /// A word that is a secret. In code the mark gets quotes, so that it is one piece again.
    fn bare_word<'a, I: Items<'a>>(&mut self, start: usize, end: usize, text: &[u8]) {
        if I::CODE {
            self.found.bare_value(text, start, end, self.rule);
        } else {
            self.found.value(text, start, end, self.rule);
        }
    }

    /// `SET PASSWORD FOR u = 'x'`
    fn password_for<'a, I: Items<'a>>(&mut self, name: Item, mut rest: I) {
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
    fn set_to<'a, I: Items<'a>>(&mut self, mut rest: I) {
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
    fn compared<'a, I: Items<'a>>(&mut self, is: bool, mut rest: I) {
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
    fn value<'a, I: Items<'a>>(&mut self, name: Item, sign: Item, mut rest: I) {
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
    fn word_value<'a, I: Items<'a>>(&mut self, name: Item, sign: Item, word: Item, mut rest: I) {
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

    fn is_clause(&self, word: &[u8]) -> bool {
        self.names.announced(word, self.dialect) == Announced::Name { clause: true }
    }

    /// A value without quotes, outside of SQL's own code.
    fn bare(&mut self, name: Item, sign: Item, value: Item, text: &[u8]) {
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
    fn literals<'a, I: Items<'a>>(&mut self, first: Item, mut rest: I) {
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
    fn behind_expression(&mut self, text: &[u8], between: Item) {
        let inner = text[between.inner.0..between.inner.1].trim_ascii();
        if inner.ends_with(b"(") || inner.ends_with(b"||") && !inner.iter().any(|byte| is_word(*byte)) {
            let rest = &text[between.end..];
            let len = rest.iter().position(|byte| *byte == b'\'').unwrap_or(rest.len());
            self.found.value(text, between.end, between.end + len, self.rule);
        }
    }

    /// All strings up to the bracket that closes.
    fn call<'a, I: Items<'a>>(&mut self, mut rest: I) {
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

    /// `IDENTIFIED [WITH|VIA plugin] BY|AS|USING ['x'|x] [REPLACE 'y']`
    fn after_identified<'a, I: Items<'a>>(&mut self, mut rest: I) {
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
    fn after_by<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let Some(next) = rest.next() else { return };
        if self.account == 2 && next.what == What::Literal {
            self.literals(next, rest);
        }
    }

    /// What stands behind BY.
    fn credential<'a, I: Items<'a>>(&mut self, rest: &mut I) {
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

    fn call_of<'a, I: Items<'a>>(&mut self, rest: &mut I) {
        self.call(rest.clone());
        while rest.next().is_some_and(|next| !next.is(b')') && !next.is(b';')) {}
    }

    /// Oracle's passwords are names. Outside of SQL it may be no clause at all.
    fn unquoted_credential<'a, I: Items<'a>>(&mut self, next: Item, text: &[u8], rest: &mut I) {
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

    /// The secret ones among the arguments of a function, or of a procedure that is called without brackets.
    fn arguments<'a, I: Items<'a>>(&mut self, secret: &[u8], rule: Rules, mut rest: I) {
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
    fn set_config<'a, I: Items<'a>>(&mut self, rest: I) {
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
    fn format<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let (open, first) = (rest.next(), rest.next());
        let is_for_secret =
            |first: Item| first.what == What::Literal && self.has_place(&text[first.inner.0..first.inner.1], b"%");
        if open.is_some_and(|open| open.is(b'(')) && first.is_some_and(is_for_secret) {
            self.call(rest);
        }
    }

    /// `'… IDENTIFIED BY ' || 'x'`
    fn concatenated<'a, I: Items<'a>>(&mut self, text: &'a [u8], string: Item, mut rest: I) {
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
    fn has_place(&self, text: &[u8], mark: &[u8]) -> bool {
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

    /// `Authorization: Basic eHg6eXk=`
    fn after_authorization<'a, I: Items<'a>>(&mut self, mut rest: I) {
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
    fn after_bearer<'a, I: Items<'a>>(&mut self, mut rest: I) {
        let text = rest.text();
        let Some(next) = rest.next().filter(|next| matches!(next.what, What::Word | What::Number)) else { return };
        let is_part = |byte: &u8| is_word(*byte) || matches!(byte, b'-' | b'.' | b'+' | b'/' | b'=' | b'~' | b'|');
        let end = next.start + text[next.start..].iter().take_while(|byte| is_part(byte)).count();
        let bytes = &text[next.start..end];
        if bytes.len() >= 8 && bytes.iter().any(|byte| !byte.is_ascii_lowercase()) {
            self.found.value(text, next.start, end, Rules::TOKEN);
        }
    }

    /// `INSERT INTO t (a, password) VALUES (1, 'x'), (2, 'y')`
    fn inserted<'a, I: Items<'a>>(&mut self, mut rest: I) {
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

    fn parameter(&mut self, text: &[u8], parameter: Item) {
        let bytes = &text[parameter.start..parameter.end];
        let number = match bytes {
            b"?" => Some(self.asked + 1),
            [b'$', digits @ ..] => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        if let Some(number) = number {
            self.found.parameter(number, self.rule);
        }
    }

    /// Whether a list may be looked at further.
    fn goes_on(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}

/// Words with a dash between them are one: `x-api-key`.
fn joined_end(text: &[u8], from: usize) -> usize {
    let mut end = super::items::word_end(text, from);
    while text.get(end) == Some(&b'-') && text.get(end + 1).is_some_and(u8::is_ascii_alphabetic) {
        end = super::items::word_end(text, end + 1);
    }
    end
}

/// How many bytes close the quotes that a name stands in: what opened them stands before it.
fn closing(text: &[u8], from: usize, start: usize, end: usize) -> usize {
    let opens =
        text[from..start].iter().rev().take(8).take_while(|byte| matches!(byte, b'\'' | b'"' | b'`' | b'\\')).count();
    let marks = &text[start - opens..start];
    let rest = &text[end..];
    if opens > 0 && rest.starts_with(marks) {
        return opens;
    }
    if start > from && text[start - 1] == b'[' && rest.first() == Some(&b']') {
        return 1;
    }
    // `"app.password": …`
    let quotes = rest.iter().take(8).take_while(|byte| matches!(byte, b'\'' | b'"' | b'`' | b'\\')).count();
    let behind = rest[quotes..].iter().find(|byte| !byte.is_ascii_whitespace());
    if quotes > 0 && matches!(behind, Some(b':' | b'=')) { quotes } else { 0 }
}

/// Where a value without quotes ends. `before` is the byte before its name, `sign` the one before itself.
fn bare_end(text: &[u8], start: usize, before: u8, sign: u8) -> usize {
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

/// How a request says who it is from.
fn is_scheme(word: &[u8]) -> bool {
    [&b"basic"[..], b"bearer", b"token", b"digest", b"apikey"].contains(&&lower(word)[..])
}

fn find_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

fn is_about_accounts(before: &[u8]) -> bool {
    let words = before.split(|byte| !is_word(*byte));
    const WORDS: [&[u8]; 9] =
        [b"user", b"role", b"link", b"grant", b"keystore", b"create", b"alter", b"login", b"clone"];
    words.into_iter().any(|word| WORDS.iter().any(|other| word.eq_ignore_ascii_case(other)))
}

/// The first bytes of a word in small letters. No word that is asked for has more.
fn lower(word: &[u8]) -> Lower {
    let mut lower = Lower { room: [0; 32], len: word.len().min(32) };
    lower.room[..lower.len].copy_from_slice(&word[..lower.len]);
    lower.room[..lower.len].make_ascii_lowercase();
    lower
}

struct Lower {
    room: [u8; 32],
    len: usize,
}

impl std::ops::Deref for Lower {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Lower {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == other[..]
    }
}
