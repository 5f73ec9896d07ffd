//! What follows a word that announces a secret, piece by piece: of SQL as the lexer cuts it, of any other text as well as can be told.
//!
//! A clause is looked for in both alike, so both are handed out in one shape. [`Code`] knows where strings end. [`Loose`] does not know whether
//! it stands in a message, inside a string, or in bytes that nobody could parse: quotes may be doubled or escaped, once or several times, and it
//! takes a quoted value to its next quote of the same make.

use sealtrail_sql::{Dialect, Kind, Token, Tokens};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Letters, digits, underscores.
    Word,
    /// A quoted name.
    Name,
    /// A quoted value.
    Literal,
    /// Digits.
    Number,
    /// `$1`, `?`, `:x`, `@x`.
    Parameter,
    /// `::`
    Cast,
    /// Any other byte; what compares and assigns is `=`.
    Sign(u8),
}

/// A piece, and what stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    pub what: What,
    pub start: usize,
    pub end: usize,
    /// Without quotes; the whole where there are none.
    pub inner: (usize, usize),
}

impl Item {
    fn whole(what: What, start: usize, end: usize) -> Self {
        Item { what, start, end, inner: (start, end) }
    }

    /// Whether it is this sign.
    pub fn is(&self, sign: u8) -> bool {
        self.what == What::Sign(sign)
    }
}

/// Pieces in order; to look ahead, go on with a copy.
pub trait Items<'a>: Iterator<Item = Item> + Clone {
    /// SQL outside of strings: a word is a name there, and no value.
    const CODE: bool;

    /// The text that they are pieces of, up to where a value can reach.
    fn text(&self) -> &'a [u8];
}

/// Of SQL, without its comments.
#[derive(Debug, Clone)]
pub struct Code<'a> {
    text: &'a [u8],
    dialect: Dialect,
    tokens: Tokens<'a>,
}

impl<'a> Code<'a> {
    /// What `tokens` still has.
    pub fn new(text: &'a [u8], dialect: Dialect, tokens: Tokens<'a>) -> Self {
        Code { text, dialect, tokens }
    }
}

impl<'a> Items<'a> for Code<'a> {
    const CODE: bool = true;

    fn text(&self) -> &'a [u8] {
        self.text
    }
}

impl Iterator for Code<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.tokens.next_code().map(|token| item(self.text, self.dialect, token))
    }
}

/// A token as a piece.
pub fn item(text: &[u8], dialect: Dialect, token: Token) -> Item {
    let (start, end) = (token.span.start as usize, token.span.end as usize);
    let bytes = &text[start..end];
    match token.kind {
        Kind::String | Kind::DollarString => {
            Item { inner: inside(text, dialect, token), ..Item::whole(What::Literal, start, end) }
        }
        Kind::Quoted => {
            let open = start + bytes.iter().position(|byte| matches!(byte, b'"' | b'`' | b'[')).map_or(0, |at| at + 1);
            Item {
                inner: (open, if token.open { end } else { end - 1 }.max(open)),
                ..Item::whole(What::Name, start, end)
            }
        }
        Kind::Word => Item::whole(What::Word, start, end),
        Kind::Number => Item::whole(What::Number, start, end),
        Kind::Parameter | Kind::Variable => Item::whole(What::Parameter, start, end),
        Kind::Cast => Item::whole(What::Cast, start, end),
        Kind::Equals | Kind::Assign => Item::whole(What::Sign(b'='), start, end),
        Kind::Operator if bytes.contains(&b'=') || bytes == b"<>" => Item::whole(What::Sign(b'='), start, end),
        _ => Item::whole(What::Sign(bytes.first().copied().unwrap_or(b' ')), start, end),
    }
}

/// What stands between the quotes of a string. A backslash before the closing quote may have escaped it, by a setting that nobody told us: then
/// it reaches to the next quote.
fn inside(text: &[u8], dialect: Dialect, token: Token) -> (usize, usize) {
    let (start, end) = (token.span.start as usize, token.span.end as usize);
    let bytes = &text[start..end];
    if token.kind == Kind::DollarString {
        let tag = memchr::memchr(b'$', &bytes[1..]).map_or(bytes.len(), |len| len + 2);
        let close = if token.open { end } else { end.saturating_sub(tag) };
        return (start + tag, close.max(start + tag));
    }
    let quote_at = bytes.iter().position(|byte| matches!(byte, b'\'' | b'"')).unwrap_or(0);
    let has_delimiter = quote_at > 0 && bytes[quote_at - 1].eq_ignore_ascii_case(&b'q');
    let open = start + quote_at + 1 + usize::from(has_delimiter);
    if token.open {
        return (open.min(end), end);
    }
    let close = end.saturating_sub(1 + usize::from(has_delimiter)).max(open);
    let slashes = text[open..close].iter().rev().take_while(|byte| **byte == b'\\').count();
    if slashes % 2 == 1 && !dialect.backslash {
        let next = memchr::memchr(b'\'', &text[end..]).map_or(text.len(), |len| end + len);
        return (open, next);
    }
    (open, close)
}

/// Of any text.
#[derive(Debug, Clone)]
pub struct Loose<'a> {
    text: &'a [u8],
    at: usize,
    /// The quote of the string that it is in, which is doubled in it.
    outer: u8,
}

impl<'a> Loose<'a> {
    /// From `at` to the end of the text.
    pub fn new(text: &'a [u8], at: usize, outer: u8) -> Self {
        Loose { text, at, outer }
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.text.get(self.at), self.text.get(self.at + 1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r'), _) => self.at += 1,
                // As JSON and its like write a line's end.
                (Some(b'\\'), Some(b'n' | b't' | b'r')) => self.at += 2,
                (Some(b'-'), Some(b'-')) => match line_end(&self.text[self.at..]) {
                    Some(len) => self.at += len,
                    None => return,
                },
                (Some(b'/'), Some(b'*')) => {
                    let rest = &self.text[self.at + 2..];
                    self.at += 2 + memchr::memmem::find(rest, b"*/").map_or(rest.len(), |len| len + 2);
                }
                _ => return,
            }
        }
    }
}

impl<'a> Items<'a> for Loose<'a> {
    const CODE: bool = false;

    fn text(&self) -> &'a [u8] {
        self.text
    }
}

impl Iterator for Loose<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.skip_blanks();
        let (text, start) = (self.text, self.at);
        let first = *text.get(start)?;
        let found = if let Some(((from, to), end)) = literal(text, start, self.outer) {
            // A quote that is half of a doubled one may be the last byte: then nothing is in it.
            let to = to.min(text.len());
            Item { inner: (from.min(to), to), ..Item::whole(What::Literal, start, end.min(text.len())) }
        } else if first.is_ascii_digit() {
            Item::whole(What::Number, start, word_end(text, start))
        } else if is_word(first) {
            Item::whole(What::Word, start, word_end(text, start))
        } else if matches!(first, b'$' | b'@') && text.get(start + 1).is_some_and(|next| is_word(*next))
            || first == b'?'
        {
            Item::whole(What::Parameter, start, word_end(text, start + 1))
        } else {
            sign(text, start)
        };
        self.at = found.end;
        Some(found)
    }
}

/// The end of a comment that ends with its line; also of one whose line's end is written as `\n`.
fn line_end(text: &[u8]) -> Option<usize> {
    let text = &text[..text.len().min(COMMENT_BYTES_MAX)];
    let plain = memchr::memchr(b'\n', text).map(|len| len + 1);
    plain.or_else(|| memchr::memmem::find(text, b"\\n").map(|len| len + 2))
}

/// A longer comment before a secret is not looked through.
const COMMENT_BYTES_MAX: usize = 1024;

fn sign(text: &[u8], at: usize) -> Item {
    match (text[at], text.get(at + 1)) {
        (b':', Some(b':')) => Item::whole(What::Cast, at, at + 2),
        (b':' | b'=' | b'!' | b'<' | b'>', Some(b'=' | b'>')) => Item::whole(What::Sign(b'='), at, at + 2),
        (byte, _) => Item::whole(What::Sign(byte), at, at + 1),
    }
}

/// Whether it goes on with a word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of the word that stands here.
pub fn word_end(text: &[u8], from: usize) -> usize {
    from + text.get(from..).unwrap_or_default().iter().take_while(|byte| is_word(**byte)).count()
}

type Literal = ((usize, usize), usize);

/// A value that has no end so far has none: no secret is as long, and a text full of quotes must not be gone through again for each.
const LITERAL_BYTES_MAX: usize = 8 * 1024;

/// The quoted value that begins here: what is in it, and where it ends.
fn literal(text: &[u8], at: usize, outer: u8) -> Option<Literal> {
    let text = &text[..text.len().min(at + LITERAL_BYTES_MAX)];
    let rest = &text[at..];
    match rest[0] {
        b'\'' | b'"' => Some(quoted(text, at, outer)),
        b'\\' => escaped(text, at),
        b'$' => dollar(text, at),
        b'&' => [&b"&quot;"[..], b"&apos;", b"&#39;", b"&#34;"].iter().find_map(|mark| marked(text, at, mark)),
        b'q' | b'Q' if rest.get(1) == Some(&b'\'') => q_string(text, at),
        b'e' | b'E' | b'n' | b'N' | b'b' | b'B' | b'x' | b'X' if rest.get(1) == Some(&b'\'') => {
            Some(quoted(text, at + 1, outer))
        }
        b'u' | b'U' if rest.get(1..3) == Some(b"&'") => Some(quoted(text, at + 2, outer)),
        _ => None,
    }
}

/// `'…'`, and `''…''` where it stands in another string: then its quotes are doubled, and a quote in it twice that.
fn quoted(text: &[u8], at: usize, outer: u8) -> Literal {
    let quote = text[at];
    let run = run_of(text, at, quote);
    let behind = text.get(at + run).copied().unwrap_or(b' ');
    let is_value =
        !matches!(behind, b' ' | b'\t' | b'\n' | b'\r' | b',' | b';' | b')' | b'}' | b']' | b'|' | b'.' | b'+');
    let least = if quote == outer { 2 } else { 1 };
    let make = match run {
        _ if run == least => least,
        // Quotes that the value itself begins with are doubled as well: two of six open it.
        _ if run.is_multiple_of(2) && is_value => run & run.wrapping_neg(),
        // Nothing between its quotes.
        2 | 4 if run == 2 * least => return ((at + least, at + least), at + run),
        _ => least,
    };
    let open = at + make;
    let mut from = open;
    loop {
        let Some(found) = text.get(from..).and_then(|rest| memchr::memchr(quote, rest)) else {
            return ((open, text.len()), text.len());
        };
        let found = from + found;
        let run = run_of(text, found, quote);
        let is_escaped = text[open..found].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        let rest = run % (2 * make);
        if is_escaped {
            from = found + 1;
        } else if rest >= make {
            let close = found + run - rest;
            return ((open, close), close + make);
        } else if rest > 0 {
            // The end of the string around it.
            return ((open, found + run - rest), found + run - rest);
        } else {
            from = found + run;
        }
    }
}

/// `\"…\"`, as a string within a string of JSON.
fn escaped(text: &[u8], at: usize) -> Option<Literal> {
    let slashes = run_of(text, at, b'\\');
    let quote = *text.get(at + slashes).filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let open = at + slashes + 1;
    let mut from = open;
    loop {
        let Some(found) = memchr::memchr(quote, &text[from..]) else { return Some(((open, text.len()), text.len())) };
        let found = from + found;
        let before = text[open..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        if before <= slashes {
            return Some(((open, found - before), found + usize::from(before == slashes)));
        }
        from = found + 1;
    }
}

fn dollar(text: &[u8], at: usize) -> Option<Literal> {
    let tag_end = word_end(text, at + 1);
    if text.get(tag_end) != Some(&b'$') || text[at + 1].is_ascii_digit() {
        return None;
    }
    marked(text, at, &text[at..=tag_end])
}

fn marked(text: &[u8], at: usize, mark: &[u8]) -> Option<Literal> {
    let rest = text[at..].strip_prefix(mark)?;
    let open = at + mark.len();
    let Some(len) = memchr::memmem::find(rest, mark) else { return Some(((open, text.len()), text.len())) };
    Some(((open, open + len), open + len + mark.len()))
}

fn q_string(text: &[u8], at: usize) -> Option<Literal> {
    let close = match *text.get(at + 2)? {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    };
    let open = at + 3;
    let len = memchr::memmem::find(&text[open..], &[close, b'\'']);
    let end = len.map_or(text.len(), |len| open + len);
    Some(((open, end), (end + 2).min(text.len())))
}

fn run_of(text: &[u8], at: usize, byte: u8) -> usize {
    text[at..].iter().take_while(|other| **other == byte).count()
}
