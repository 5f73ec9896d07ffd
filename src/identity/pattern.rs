//! What a rule asks of one text: to be it, to fit it with `*`, or to fit a regular expression.
//!
//! A pattern stands for the whole text: `svc_` is not `svc_pay`. Beside fitting, a pattern can say of another whether some text may fit both
//! ([`Pattern::meets`]) and whether every text that fits the other fits it ([`Pattern::covers`]). Where a regular expression makes that hard to
//! tell, the first says yes and the second no: a tie too many is told, and no rule is called dead that is not.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::IDENTITY_REGEX_BYTES_MAX;
use crate::shape::classify::fits;

/// Longer patterns name nobody.
const PATTERN_BYTES_MAX: usize = 1024;

/// One of a condition.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// The text itself, byte by byte.
    Exact(String),
    /// With `*` for any bytes, none included.
    Glob(String),
    /// Between slashes.
    Regex(Box<Expression>),
}

/// A regular expression that stands for a whole text.
#[derive(Debug, Clone)]
pub struct Expression {
    /// As written, without its slashes.
    pub text: String,
    /// Compiled once.
    pub regex: Regex,
}

impl Pattern {
    /// `/…/` is a regular expression, a text with `*` a glob, any other the text itself. The error is what is wrong, and what to do.
    pub fn read(text: &str) -> Result<Self, (String, String)> {
        if text.is_empty() {
            return Err(("is empty".to_owned(), "leave it out: without a condition any will do".to_owned()));
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err((format!("longer than {PATTERN_BYTES_MAX} bytes"), "shorten it".to_owned()));
        }
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        match inner.filter(|inner| !inner.is_empty()) {
            Some(inner) => expression(inner),
            None if text.contains('*') => Ok(Pattern::Glob(text.to_owned())),
            None => Ok(Pattern::Exact(text.to_owned())),
        }
    }

    /// Whether the whole text fits.
    pub fn fits(&self, text: &[u8]) -> bool {
        match self {
            Pattern::Exact(exact) => exact.as_bytes() == text,
            Pattern::Glob(glob) => fits(glob.as_bytes(), text),
            Pattern::Regex(expression) => expression.regex.is_match(text),
        }
    }

    /// Whether some text may fit both.
    pub fn meets(&self, other: &Pattern) -> bool {
        match (self, other) {
            (Pattern::Exact(text), other) | (other, Pattern::Exact(text)) => other.fits(text.as_bytes()),
            (Pattern::Glob(one), Pattern::Glob(two)) => globs_meet(one.as_bytes(), two.as_bytes()),
            (one, two) => {
                let (one, two) = (one.beginning(), two.beginning());
                one.starts_with(two) || two.starts_with(one)
            }
        }
    }

    /// Whether every text that fits `other` fits this.
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (_, Pattern::Exact(text)) => self.fits(text.as_bytes()),
            // A star of the other is nothing but a star can take.
            (Pattern::Glob(one), Pattern::Glob(two)) => fits(one.as_bytes(), two.as_bytes()),
            (Pattern::Glob(one), Pattern::Regex(_)) => {
                one.strip_suffix('*').is_some_and(|head| !head.contains('*') && other.beginning().starts_with(head))
            }
            (Pattern::Regex(one), Pattern::Regex(two)) => one.text == two.text,
            _ => false,
        }
    }

    /// What every text that fits begins with, as far as that is plain.
    fn beginning(&self) -> &str {
        match self {
            Pattern::Exact(text) => text,
            Pattern::Glob(glob) => glob.split('*').next().unwrap_or_default(),
            Pattern::Regex(expression) => literal_beginning(&expression.text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(text) | Pattern::Glob(text) => f.write_str(text),
            Pattern::Regex(expression) => write!(f, "/{}/", expression.text),
        }
    }
}

fn expression(inner: &str) -> Result<Pattern, (String, String)> {
    let compile = |text: &str| RegexBuilder::new(text).size_limit(IDENTITY_REGEX_BYTES_MAX).build();
    // By itself first: what closes a group that it did not open is wrong, and would not be between these.
    match compile(inner).and_then(|_| compile(&format!("^(?:{inner})$"))) {
        Ok(regex) => Ok(Pattern::Regex(Box::new(Expression { text: inner.to_owned(), regex }))),
        Err(error) => {
            // Its last line says what is wrong; those before draw it.
            let what = error.to_string();
            let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let hint = "a regular expression of the regex crate's syntax, which stands for the whole text; in TOML write it between ' '";
            Err((format!("/{inner}/ is no regular expression: {what}"), hint.to_owned()))
        }
    }
}

/// The letters before the first sign that means something. Nothing where there are alternatives.
fn literal_beginning(text: &str) -> &str {
    if has_alternatives(text) {
        return "";
    }
    let text = text.strip_prefix('^').unwrap_or(text);
    let end = text.find(|sign: char| r"\.+*?()[]{}|^$".contains(sign)).unwrap_or(text.len());
    // What may be repeated may also be left out.
    let last = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    &text[..if text[end..].starts_with(['*', '?', '{']) { last } else { end }]
}

/// Whether it has a `|` outside of all groups and classes.
fn has_alternatives(text: &str) -> bool {
    let (mut depth, mut in_class, mut escaped) = (0_usize, false, false);
    for sign in text.chars() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth = depth.saturating_sub(1),
            '|' if !in_class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Whether some text fits both: a table of which beginnings can stand for the same text.
fn globs_meet(one: &[u8], two: &[u8]) -> bool {
    let mut row = vec![false; two.len() + 1];
    row[0] = true;
    for (at, byte) in two.iter().enumerate() {
        row[at + 1] = row[at] && *byte == b'*';
    }
    for left in one {
        let mut next = vec![false; two.len() + 1];
        next[0] = row[0] && *left == b'*';
        for (at, right) in two.iter().enumerate() {
            next[at + 1] = match (left, right) {
                (b'*', _) | (_, b'*') => row[at + 1] || next[at] || (row[at] && (*left == b'*') == (*right == b'*')),
                (left, right) => row[at] && left == right,
            };
        }
        row = next;
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::read(text).unwrap()
    }

    #[test]
    fn a_pattern_stands_for_the_whole_text() {
        for (text, fits, does_not) in
            [("svc_", "svc_", "svc_pay"), ("svc_*", "svc_pay", "xsvc_pay"), (r"/svc_(\w+)/", "svc_pay", "svc_pay ")]
        {
            assert!(pattern(text).fits(fits.as_bytes()), "{text} {fits}");
            assert!(!pattern(text).fits(does_not.as_bytes()), "{text} {does_not}");
        }
        assert!(!pattern("/a|b/").fits(b"ab"), "alternatives too");
        assert!(!pattern("/a/").fits(b"a\n"));
    }

    #[test]
    fn what_is_no_regular_expression_is_told() {
        for text in ["/(/", "/a)|(b/", r"/\w{1000}{1000}/", ""] {
            assert!(Pattern::read(text).is_err(), "{text}");
        }
        let (message, _) = Pattern::read("/a(b/").unwrap_err();
        assert_eq!(message, "/a(b/ is no regular expression: unclosed group");
    }

    #[test]
    fn patterns_meet_where_a_text_may_fit_both() {
        for (one, two, meet) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "*b", true),
            ("a*c", "ab*", true),
            ("a*", "b*", false),
            ("*a", "*b", false),
            ("*", "/x+/", true),
            (r"/svc_(\w+)/", "svc_pay", true),
            (r"/svc_(\w+)/", "adm_pay", false),
            (r"/svc_(\w+)/", r"/adm_(\w+)/", false),
            (r"/svc_(\w+)/", r"/svc-(\w+)/", false),
            (r"/svc_(a|b)/", "adm_*", false),
            (r"/svc_a|adm_b/", "adm_*", true),
            (r"/svc_?x/", "svcx", true),
            (r"/svc_?x/", "svcx*", true),
            (r"/(?i)svc/", "SVC*", true),
        ] {
            assert_eq!(pattern(one).meets(&pattern(two)), meet, "{one} {two}");
            assert_eq!(pattern(two).meets(&pattern(one)), meet, "{two} {one}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_within_it() {
        for (one, two, covers) in [
            ("*", "a", true),
            ("*", "/a+/", true),
            ("a*", "ab*", true),
            ("ab*", "a*", false),
            ("a*c", "ab*c", true),
            ("svc_*", r"/svc_(\w+)/", true),
            (r"/svc_\w+/", r"/svc_\w+/", true),
            (r"/svc_\w+/", "svc_pay", true),
            ("a", "a*", false),
        ] {
            assert_eq!(pattern(one).covers(&pattern(two)), covers, "{one} {two}");
        }
    }

    proptest! {
        #[test]
        fn globs_that_one_text_fits_meet(one in "[ab*]{0,6}", two in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let both = fits(one.as_bytes(), text.as_bytes()) && fits(two.as_bytes(), text.as_bytes());
            prop_assert!(!both || globs_meet(one.as_bytes(), two.as_bytes()));
            prop_assert_eq!(globs_meet(one.as_bytes(), two.as_bytes()), globs_meet(two.as_bytes(), one.as_bytes()));
        }

        #[test]
        fn what_meets_has_a_text_that_fits_both(one in "[ab*]{0,4}", two in "[ab*]{0,4}") {
            let texts = (0..9_u32).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 1 { b'a' } else { b'b' }).collect::<Vec<u8>>()
            }));
            let found = texts.into_iter().any(|text| fits(one.as_bytes(), &text) && fits(two.as_bytes(), &text));
            prop_assert_eq!(globs_meet(one.as_bytes(), two.as_bytes()), found);
        }

        #[test]
        fn what_is_covered_fits(one in "[ab*]{1,5}", two in "[ab*]{1,5}", text in "[ab]{0,8}") {
            let covered = pattern(&one).covers(&pattern(&two)) && pattern(&two).fits(text.as_bytes());
            prop_assert!(!covered || pattern(&one).fits(text.as_bytes()));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Pattern::read(&text);
        }
    }
}
