//! Any bytes to tokens, by a dialect's quoting.
//!
//! Every byte that is not blank is in one token, and tokens come in order. What is never closed (a string, a quoted name, a
//! comment) reaches to the end of the text and is marked [`Token::open`]: the text was cut, or it is broken.
//!
//! What makes it hard: where a string ends depends on the dialect (backslashes, dollar quotes, Oracle's `q'[…]'`), comments nest
//! in some and not in others, and MySQL's versioned comments (`/*!40001 … */`) hold code. Each token is found in one pass over
//! its bytes; nothing is looked at twice, nothing allocated, nothing recursive.

use memchr::{memchr, memchr2};

use crate::dialect::{Dialect, Engine};
use crate::span::Span;
use crate::words::Word;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A word without quotes: a keyword or a name.
    Word,
    /// `"name"`, `` `name` ``, `[name]`, `U&"name"`, quotes included.
    Quoted,
    /// `'…'` with whatever prefix: `E''`, `U&''`, `N''`, `B''`, `X''`, `q'[]'`; MySQL's `"…"`.
    String,
    /// `$tag$…$tag$`.
    DollarString,
    /// A number.
    Number,
    /// A parameter: `$1`, `?`, `:name`.
    Parameter,
    /// `@name`, `@@name`, with what follows of the name in MySQL (`@@global.x` is one, and `@host.example.org`).
    Variable,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`, where it begins no name.
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `*`, standing alone
    Star,
    /// `=`, standing alone
    Equals,
    /// `:=`
    Assign,
    /// `::`
    Cast,
    /// `@`, where no name follows at once.
    At,
    /// Any other operator.
    Operator,
    /// `-- …`, `/* … */`, `# …`, with its marks. The marks around a versioned comment's code are comments too.
    Comment,
    /// A byte that begins nothing.
    Other,
    /// Past the last token. [`Tokens`] never gives it.
    End,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Never closed: the text ends inside it.
    pub open: bool,
    /// Which word, if `kind` is [`Kind::Word`] and the reader knows it.
    pub word: Word,
    /// Where it stands.
    pub span: Span,
}

/// The tokens of a text, comments among them. Copying it is cheap: to look ahead, go on with a copy.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Which bytes go on with a word.
    in_word: &'static [bool; 256],
    /// Inside MySQL's `/*! … */`, whose code counts.
    versioned: bool,
    /// A comment reached the end of the text.
    in_comment: bool,
}

/// Offsets are 32 bits wide. What lies beyond is not looked at; no server logs as much in one row.
pub const TEXT_BYTES_MAX: usize = u32::MAX as usize - 1;

impl<'a> Tokens<'a> {
    /// The tokens of `text`.
    pub fn new(dialect: Dialect, text: &'a [u8]) -> Self {
        let text = &text[..text.len().min(TEXT_BYTES_MAX)];
        let in_word = match dialect.engine {
            Engine::Postgres | Engine::Mysql => &IN_WORD_DOLLAR,
            Engine::Oracle => &IN_WORD_ORACLE,
            Engine::Tsql => &IN_WORD_TSQL,
        };
        Tokens { text, at: 0, dialect, in_word, versioned: false, in_comment: false }
    }

    /// The next token that is no comment.
    #[inline(always)]
    pub fn next_code(&mut self) -> Option<Token> {
        loop {
            let token = self.next()?;
            if token.kind != Kind::Comment {
                return Some(token);
            }
        }
    }

    /// Whether the text ended inside a versioned comment: true only at the end.
    pub fn ends_inside_versioned(&self) -> bool {
        self.versioned && self.at >= self.text.len()
    }

    /// Whether the text ended inside a plain comment: true only at the end.
    pub fn ends_inside_comment(&self) -> bool {
        self.in_comment
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    fn is(&self, engine: Engine) -> bool {
        self.dialect.engine == engine
    }

    fn token(&self, kind: Kind, end: usize) -> Found {
        Found { kind, open: false, end: end as u32 }
    }

    /// The same, closed or reaching to the end of the text.
    fn closed(&self, kind: Kind, end: Option<usize>) -> Found {
        Found { kind, open: end.is_none(), end: end.unwrap_or(self.text.len()) as u32 }
    }
}

/// A token that begins where we stand, without its word. It fits a register: a token that goes through memory in pieces makes the
/// processor wait.
#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    open: bool,
    end: u32,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    #[inline(always)]
    fn next(&mut self) -> Option<Token> {
        let mut byte = *self.text.get(self.at)?;
        let mut class = CLASS[usize::from(byte)];
        while class == Class::Blank {
            self.at += 1;
            byte = *self.text.get(self.at)?;
            class = CLASS[usize::from(byte)];
        }
        let (found, word) = match class {
            Class::Letter => self.word_or_prefix(byte),
            Class::Single => (self.token(single(byte), self.at + 1), Word::Other),
            _ => (self.other(class, byte), Word::Other),
        };
        let span = Span::new(self.at as u32, found.end);
        self.at = found.end as usize;
        Some(Token { kind: found.kind, open: found.open, word, span })
    }
}

/// What a byte may begin, before the dialect is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Letter,
    Digit,
    Single,
    Operator,
    Dollar,
    Quote,
    DoubleQuote,
    Backtick,
    Bracket,
    Dot,
    Colon,
    At,
    Hash,
    Question,
    Other,
}

static CLASS: [Class; 256] = classes();

/// Bytes that go on with a word in every dialect.
static IN_WORD: [bool; 256] = in_word(b"");
/// The same with those that PostgreSQL and MySQL add.
static IN_WORD_DOLLAR: [bool; 256] = in_word(b"$");
/// The same with those that Oracle adds.
static IN_WORD_ORACLE: [bool; 256] = in_word(b"$#");
/// The same with those that T-SQL adds.
static IN_WORD_TSQL: [bool; 256] = in_word(b"$#@");

/// The kinds of [`Class::Single`].
#[inline(always)]
fn single(byte: u8) -> Kind {
    match byte {
        b'(' => Kind::Open,
        b')' => Kind::Close,
        b',' => Kind::Comma,
        b';' => Kind::Semicolon,
        b']' => Kind::CloseBracket,
        _ => Kind::Other,
    }
}

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut at = 0;
    while at < 256 {
        classes[at] = match at as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C => Class::Blank,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xFF => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'(' | b')' | b',' | b';' | b']' | b'{' | b'}' => Class::Single,
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'%' | b'^' | b'&' | b'|' | b'\\' => {
                Class::Operator
            }
            b'$' => Class::Dollar,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'`' => Class::Backtick,
            b'[' => Class::Bracket,
            b'.' => Class::Dot,
            b':' => Class::Colon,
            b'@' => Class::At,
            b'#' => Class::Hash,
            b'?' => Class::Question,
            _ => Class::Other,
        };
        at += 1;
    }
    classes
}

const fn in_word(further: &[u8]) -> [bool; 256] {
    let mut inside = [false; 256];
    let mut at = 0;
    while at < 256 {
        inside[at] = matches!(at as u8, b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xFF | b'0'..=b'9');
        at += 1;
    }
    at = 0;
    while at < further.len() {
        inside[further[at] as usize] = true;
        at += 1;
    }
    inside
}

/// Words and numbers.
impl Tokens<'_> {
    #[inline(always)]
    fn word_or_prefix(&mut self, first: u8) -> (Found, Word) {
        if let b'\'' | b'"' | b'&' = self.byte(self.at + 1)
            && let Some(found) = self.prefixed(first)
        {
            return (found, Word::Other);
        }
        if self.is(Engine::Oracle)
            && self.byte(self.at + 2) == b'\''
            && self.rest(self.at).get(..2).is_some_and(|two| two.eq_ignore_ascii_case(b"nq"))
        {
            return (self.closed(Kind::String, self.after_q_string(self.at + 3)), Word::Other);
        }
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|byte| !self.in_word[usize::from(*byte)]).unwrap_or(rest.len());
        (self.token(Kind::Word, self.at + len), Word::at(rest, len))
    }

    fn word_end(&self, from: usize) -> usize {
        from + self.rest(from).iter().take_while(|byte| self.in_word[usize::from(**byte)]).count()
    }

    /// A literal or a name that begins with a letter: `E'…'`, `U&"…"`, `N'…'`, `q'[…]'`.
    fn prefixed(&mut self, first: u8) -> Option<Found> {
        let quote_at = self.at + 1;
        let quote = self.byte(quote_at);
        let letter = first.to_ascii_lowercase();
        if quote == b'&' {
            let quote = self.byte(quote_at + 1);
            let unicode = letter == b'u' && self.is(Engine::Postgres) && matches!(quote, b'\'' | b'"');
            return unicode.then(|| self.doubled(quote, quote_at + 2));
        }
        if quote != b'\'' {
            return None;
        }
        let end = match (self.dialect.engine, letter) {
            (Engine::Postgres, b'e') => self.after_escaped(b'\'', quote_at + 1),
            (Engine::Postgres, b'b' | b'x') | (Engine::Tsql, b'n') => self.after_doubled(b'\'', quote_at + 1),
            (Engine::Postgres, b'n') | (Engine::Mysql, b'n' | b'b' | b'x') => self.after_string(b'\'', quote_at + 1),
            (Engine::Oracle, b'n') => self.after_doubled(b'\'', quote_at + 1),
            (Engine::Oracle, b'q') => self.after_q_string(quote_at + 1),
            _ => return None,
        };
        Some(self.closed(Kind::String, end))
    }

    /// Digits with point and exponent, `0x…`; in MySQL a word may begin with digits.
    fn number(&mut self) -> Found {
        let plain = self.rest(self.at).iter().take_while(|byte| byte.is_ascii_digit()).count();
        let next = self.byte(self.at + plain);
        if next != b'.' && !IN_WORD[usize::from(next)] {
            return self.token(Kind::Number, self.at + plain);
        }
        let radix = self.byte(self.at) == b'0' && matches!(self.byte(self.at + 1) | 0x20, b'x' | b'o' | b'b');
        let mut end = self.digits_end(self.at + if radix { 2 } else { 0 }, radix);
        if self.byte(end) == b'.' && self.byte(end + 1) != b'.' {
            end = self.digits_end(end + 1, false);
        }
        end = self.exponent_end(end);
        if self.is(Engine::Mysql) && self.text[self.at..end].iter().all(|byte| IN_WORD[usize::from(*byte)]) {
            let word_end = self.word_end(end);
            if word_end > end {
                return self.token(Kind::Word, word_end);
            }
        }
        self.token(Kind::Number, end)
    }

    fn digits_end(&self, from: usize, hex: bool) -> usize {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'_' || (hex && byte.is_ascii_hexdigit());
        from + self.rest(from).iter().take_while(|byte| is_digit(byte)).count()
    }

    fn exponent_end(&self, at: usize) -> usize {
        let sign = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
        let has_exponent = self.byte(at) | 0x20 == b'e' && self.byte(at + 1 + sign).is_ascii_digit();
        if has_exponent { self.digits_end(at + 1 + sign, false) } else { at }
    }
}

/// Everything that begins with neither a blank nor a letter.
impl Tokens<'_> {
    fn other(&mut self, class: Class, byte: u8) -> Found {
        match class {
            Class::Digit => self.number(),
            Class::Quote => {
                let end = self.after_string(b'\'', self.at + 1);
                self.closed(Kind::String, end)
            }
            Class::DoubleQuote if self.is(Engine::Mysql) && !self.dialect.ansi_quotes => {
                let end = self.after_string(b'"', self.at + 1);
                self.closed(Kind::String, end)
            }
            Class::DoubleQuote => self.doubled(b'"', self.at + 1),
            Class::Backtick if self.is(Engine::Mysql) => self.doubled(b'`', self.at + 1),
            Class::Bracket if self.is(Engine::Tsql) => {
                let end = self.after_doubled(b']', self.at + 1);
                self.closed(Kind::Quoted, end)
            }
            Class::Bracket => self.token(Kind::OpenBracket, self.at + 1),
            Class::Dot => self.dot(),
            Class::Colon => self.colon(),
            Class::Dollar => self.dollar(),
            Class::At => self.at_sign(),
            Class::Hash => self.hash(),
            Class::Question if !self.is(Engine::Postgres) => self.token(Kind::Parameter, self.at + 1),
            Class::Operator | Class::Question | Class::Backtick => self.operator(byte),
            Class::Blank | Class::Letter | Class::Single | Class::Other => self.token(Kind::Other, self.at + 1),
        }
    }

    fn dot(&mut self) -> Found {
        if self.byte(self.at + 1).is_ascii_digit() && !self.follows_name() {
            return self.number();
        }
        self.token(Kind::Dot, self.at + 1)
    }

    /// Whether the byte before belongs to a name: `t.1x` has a dot, `+.1` a number.
    fn follows_name(&self) -> bool {
        let before = self.at.checked_sub(1).map_or(b' ', |at| self.byte(at));
        IN_WORD[usize::from(before)] || matches!(before, b'"' | b'`' | b']' | b'.')
    }

    fn colon(&mut self) -> Found {
        match self.byte(self.at + 1) {
            b':' => self.token(Kind::Cast, self.at + 2),
            b'=' => self.token(Kind::Assign, self.at + 2),
            next if IN_WORD[usize::from(next)] && self.is(Engine::Oracle) => {
                let end = self.word_end(self.at + 1);
                self.token(Kind::Parameter, end)
            }
            _ => self.token(Kind::Operator, self.at + 1),
        }
    }

    fn dollar(&mut self) -> Found {
        let next = self.byte(self.at + 1);
        if !self.is(Engine::Postgres) {
            return if CLASS[usize::from(next)] == Class::Letter {
                let end = self.word_end(self.at + 1);
                self.token(Kind::Word, end)
            } else {
                self.token(Kind::Other, self.at + 1)
            };
        }
        if next.is_ascii_digit() {
            let end = self.digits_end(self.at + 1, false);
            return self.token(Kind::Parameter, end);
        }
        match self.dollar_tag_end() {
            Some(tag_end) => {
                let end = self.after_dollar_string(tag_end);
                self.closed(Kind::DollarString, end)
            }
            None => self.token(Kind::Other, self.at + 1),
        }
    }

    fn at_sign(&mut self) -> Found {
        match self.dialect.engine {
            Engine::Postgres => return self.operator(b'@'),
            Engine::Oracle => return self.token(Kind::At, self.at + 1),
            Engine::Mysql | Engine::Tsql => {}
        }
        let name = self.at + if self.byte(self.at + 1) == b'@' { 2 } else { 1 };
        let dots = self.is(Engine::Mysql);
        let is_inside = |byte: u8| self.in_word[usize::from(byte)] || (dots && byte == b'.');
        let end = name + self.rest(name).iter().take_while(|byte| is_inside(**byte)).count();
        self.token(if end > name { Kind::Variable } else { Kind::At }, end)
    }

    fn hash(&mut self) -> Found {
        match self.dialect.engine {
            Engine::Mysql => self.line_comment(),
            Engine::Tsql => {
                let end = self.word_end(self.at + 1);
                self.token(Kind::Word, end)
            }
            Engine::Postgres => self.operator(b'#'),
            Engine::Oracle => self.token(Kind::Other, self.at + 1),
        }
    }

    fn operator(&mut self, byte: u8) -> Found {
        match (byte, self.byte(self.at + 1)) {
            (b'-', b'-') if self.dashes_comment() => self.line_comment(),
            (b'/', b'*') => self.block_comment(),
            (b'*', b'/') if self.versioned => {
                self.versioned = false;
                self.token(Kind::Comment, self.at + 2)
            }
            _ => self.plain_operator(byte),
        }
    }

    fn plain_operator(&mut self, byte: u8) -> Found {
        let end = if self.is(Engine::Postgres) { self.operator_end() } else { self.at + 1 };
        let kind = match byte {
            b'*' if end == self.at + 1 => Kind::Star,
            b'=' if end == self.at + 1 => Kind::Equals,
            _ => Kind::Operator,
        };
        self.token(kind, end)
    }

    /// PostgreSQL's operators are as long as their bytes go on, up to a comment.
    fn operator_end(&self) -> usize {
        let mut end = self.at + 1;
        loop {
            let (one, two) = (self.byte(end), self.byte(end + 1));
            let goes_on = matches!(
                one,
                b'+' | b'-'
                    | b'*'
                    | b'/'
                    | b'<'
                    | b'>'
                    | b'='
                    | b'~'
                    | b'!'
                    | b'@'
                    | b'#'
                    | b'%'
                    | b'^'
                    | b'&'
                    | b'|'
                    | b'`'
                    | b'?'
            );
            if !goes_on || matches!((one, two), (b'-', b'-') | (b'/', b'*')) {
                return self.strip_sign(end);
            }
            end += 1;
        }
    }

    /// A trailing `+` or `-` belongs to what follows, unless the operator holds one of the special bytes: `=-1`, but `@-`.
    fn strip_sign(&self, end: usize) -> usize {
        let text = &self.text[self.at..end];
        if text.iter().any(|byte| b"~!@#%^&|`?".contains(byte)) {
            return end;
        }
        let signs = text[1..].iter().rev().take_while(|byte| matches!(byte, b'+' | b'-')).count();
        end - signs
    }
}

/// Comments.
impl Tokens<'_> {
    /// MySQL wants a blank, a control byte or the end after `--`.
    fn dashes_comment(&self) -> bool {
        !self.is(Engine::Mysql) || self.rest(self.at + 2).first().is_none_or(|&byte| byte <= b' ')
    }

    fn line_comment(&mut self) -> Found {
        let end = memchr2(b'\n', b'\r', self.rest(self.at)).map_or(self.text.len(), |len| self.at + len);
        self.token(Kind::Comment, end)
    }

    fn block_comment(&mut self) -> Found {
        if self.is(Engine::Mysql)
            && let Some(end) = self.versioned_start_end()
        {
            self.versioned = true;
            return self.token(Kind::Comment, end);
        }
        let end = match self.dialect.engine {
            Engine::Postgres | Engine::Tsql => self.after_nested_comment(),
            Engine::Mysql | Engine::Oracle => self.after_comment(),
        };
        self.in_comment = end.is_none();
        self.closed(Kind::Comment, end)
    }

    /// `/*!`, `/*!50000`, `/*M!`, `/*M!100100`: where the mark ends.
    fn versioned_start_end(&self) -> Option<usize> {
        let mark = self.at + 2 + usize::from(self.byte(self.at + 2) == b'M');
        let digits = self.rest(mark + 1).iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        (self.byte(mark) == b'!').then(|| mark + 1 + if digits < 5 { 0 } else { digits })
    }

    fn after_comment(&self) -> Option<usize> {
        let mut at = self.at + 2;
        loop {
            at += memchr(b'*', self.rest(at))? + 1;
            if self.byte(at) == b'/' {
                return Some(at + 1);
            }
        }
    }

    fn after_nested_comment(&self) -> Option<usize> {
        let (mut depth, mut at) = (1usize, self.at + 2);
        loop {
            at += memchr2(b'*', b'/', self.rest(at))?;
            match (self.byte(at), self.byte(at + 1)) {
                (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
                (b'*', b'/') => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

/// Strings and quoted names: each gives the place after the closing quote, `None` if there is none.
impl Tokens<'_> {
    /// A name in `quote`s, or a `U&'…'` string, whose body begins at `from`.
    fn doubled(&mut self, quote: u8, from: usize) -> Found {
        let end = self.after_doubled(quote, from);
        self.closed(if quote == b'\'' { Kind::String } else { Kind::Quoted }, end)
    }

    /// A plain string, by the dialect's rule for backslashes.
    fn after_string(&self, quote: u8, from: usize) -> Option<usize> {
        if self.dialect.backslash { self.after_escaped(quote, from) } else { self.after_doubled(quote, from) }
    }

    fn after_doubled(&self, quote: u8, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at += memchr(quote, self.rest(at))? + 1;
            if self.byte(at) != quote {
                return Some(at);
            }
            at += 1;
        }
    }

    fn after_escaped(&self, quote: u8, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at += memchr2(quote, b'\\', self.rest(at))? + 1;
            if self.byte(at - 1) == quote && self.byte(at) != quote {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Oracle's `q'[…]'`; `from` is at the delimiter.
    fn after_q_string(&self, from: usize) -> Option<usize> {
        let close = match *self.text.get(from)? {
            b'[' => b']',
            b'(' => b')',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let mut at = from + 1;
        loop {
            at += memchr(close, self.rest(at))? + 1;
            if self.byte(at) == b'\'' {
                return Some(at + 1);
            }
        }
    }

    /// The end of `$tag$`, if we stand on one.
    fn dollar_tag_end(&self) -> Option<usize> {
        let tag = self.rest(self.at + 1);
        let len = tag.iter().take_while(|byte| IN_WORD[usize::from(**byte)]).count();
        (tag.get(len) == Some(&b'$')).then_some(self.at + 1 + len + 1)
    }

    /// A tag holds no `$`, so that comparing from each `$` looks at every byte twice at most.
    fn after_dollar_string(&self, body: usize) -> Option<usize> {
        let tag = &self.text[self.at..body];
        let mut at = body;
        loop {
            at += memchr(b'$', self.rest(at))?;
            if self.rest(at).starts_with(tag) {
                return Some(at + tag.len());
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
