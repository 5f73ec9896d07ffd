//! Goes through a text and looks, at every word that announces a secret, for what follows it.
//!
//! Statements are gone through by the lexer's tokens; what stands in their strings, names and comments, and every other text, byte by byte: there
//! it cannot be known which quotes belong together, and need not be. A secret is found by what stands before it. So it is found in
//! text that is cut, broken, nested or no SQL at all.
//!
//! Nothing is skipped: behind a secret the search goes on where it began, so that a value which was taken too far hides no other.

mod clauses;
mod lists;
mod named;

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
