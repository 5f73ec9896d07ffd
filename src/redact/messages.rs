//! What a server says repeats what it was told: values in its messages, known by the words around them, and statements within them.
//!
//! The words are PostgreSQL's, MySQL's and SQL Server's own, untranslated; what stands between single quotes, and in a detail between brackets, is taken for a value
//! in any language. What names something, such as `relation "orders"`, stays.

use sealtrail_sql::Dialect;

use super::found::Found;
use super::literals::{self, Taker, Values};
use super::names::Names;
use super::rules::Rules;

/// What a text of a row is, beside its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQL.
    Statement,
    /// Values alone.
    Values,
    /// JSON, or something like it, in which the statement may stand again.
    Document,
    /// The details of a message.
    Detail,
    /// Words of the server.
    Message,
    /// What the server says of itself and of who came: nothing of the statement is in it.
    Own,
}

/// Of a column without a field.
pub fn kind_of(name: &str) -> Kind {
    match name {
        "internal_query" | "query" | "sql_text" | "sqltext" | "commandText" => Kind::Statement,
        "Sql_Bind" | "paramList" | "db_query_parameters" => Kind::Values,
        "param"
        | "param.args"
        | "request"
        | "response"
        | "other"
        | "args"
        | "additional_information"
        | "session_context" => Kind::Document,
        "detail" => Kind::Detail,
        "message"
        | "hint"
        | "context"
        | "msg"
        | "error"
        | "reason"
        | "argument"
        | "Comment_Text"
        | "user_defined_information" => Kind::Message,
        _ => Kind::Own,
    }
}

/// Where a value begins in a message: behind which words, and at which byte it ends.
struct Frame {
    opens: &'static [u8],
    closes: u8,
    /// At the last such byte of the text: the value may hold some itself.
    is_last: bool,
}

const fn frame(opens: &'static str, closes: u8, is_last: bool) -> Frame {
    Frame { opens: opens.as_bytes(), closes, is_last }
}

const FRAMES: [Frame; 8] = [
    // Key (email)=(x) already exists.
    frame(")=(", b')', true),
    // Failing row contains (1, x).
    frame("contains (", b')', true),
    // The duplicate key value is (x).
    frame("value is (", b')', true),
    // invalid input syntax for type integer: "x"; COPY t, line 1, column a: "x"
    frame(": \"", b'"', true),
    // value "x" is out of range
    frame("value \"", b'"', false),
    // Token "x" is invalid.
    frame("oken \"", b'"', false),
    // at or near "'x'", and not: at or near "FROM"
    frame("near \"'", b'"', true),
    // JSON data, line 1: {"a": x...
    frame("JSON data, line ", b'\n', false),
];

/// Words behind which a statement stands in a message, in quotes or without.
const STATEMENTS: [(&[u8], bool); 5] =
    [(b"statement ", true), (b"expression ", true), (b"assignment ", true), (b"prepare:", false), (b"query:", false)];

/// Takes the values out of a message, and what `values` knows.
pub fn in_message(
    text: &[u8],
    kind: Kind,
    dialect: Option<Dialect>,
    taker: Taker<'_>,
    values: &mut Values,
    found: &mut Found,
) {
    if values.has_unknown || statements(text).nth(STATEMENTS_MAX - 1).is_some() {
        return taker.value(text, 0, text.len(), found);
    }
    for frame in &FRAMES {
        in_frame(text, frame, taker, found);
    }
    if kind == Kind::Detail && memchr::memmem::find(text, b")=(").is_none() {
        in_frame(text, &frame("(", b')', true), taker, found);
    }
    for (start, end) in literals::quoted(text, 0, text.len()) {
        taker.value(text, start, end, found);
    }
    near_number(text, taker, found);
    in_statements(&without_escapes(text).unwrap_or_else(|| text.to_vec()), dialect, taker, values, found);
    values.echoes(text, taker, found);
}

fn in_frame(text: &[u8], frame: &Frame, taker: Taker<'_>, found: &mut Found) {
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| memchr::memmem::find(rest, frame.opens)) {
        let from = at + open + frame.opens.len();
        // A quote of SQL belongs to the value.
        let start = if frame.opens.ends_with(b"'") { from - 1 } else { from };
        let rest = &text[from..];
        let len = if frame.is_last { memchr::memrchr(frame.closes, rest) } else { memchr::memchr(frame.closes, rest) };
        let end = from + len.unwrap_or(rest.len());
        taker.value(text, start, end, found);
        if frame.is_last {
            return;
        }
        at = end;
    }
}

/// `at or near "12"`: of what stands near the mistake only values.
fn near_number(text: &[u8], taker: Taker<'_>, found: &mut Found) {
    let Some(at) = memchr::memmem::find(text, b"near \"") else { return };
    let start = at + b"near \"".len();
    if text.get(start).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'$') {
        let end = memchr::memchr(b'"', &text[start..]).map_or(text.len(), |len| start + len);
        taker.value(text, start, end, found);
    }
}

/// Where statements begin in a message. Their quotes are not doubled, so that each may reach to the end of the text.
pub fn statements(text: &[u8]) -> impl Iterator<Item = usize> {
    let all = STATEMENTS.into_iter().flat_map(move |(words, has_quote)| {
        memchr::memmem::find_iter(text, words).filter_map(move |at| {
            let behind = at + words.len();
            let start = behind + text[behind..].iter().take_while(|byte| **byte == b' ').count();
            if has_quote { (text.get(start) == Some(&b'"')).then_some(start + 1) } else { Some(start) }
        })
    });
    all.take(STATEMENTS_MAX)
}

/// A context is not nested deeper, as a rule; and each may be read to the end of the text.
const STATEMENTS_MAX: usize = 8;

/// A text in which quotes are escaped as JSON does it, with a blank in the place of each escape: all else stands where it stood. `None` where there are none.
pub fn without_escapes(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(text, b"\\\"")?;
    let mut out = text.to_vec();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &out[at..]) {
        at += found;
        let plain = match out.get(at + 1) {
            Some(b'n' | b'r') => b'\n',
            Some(b't') => b'\t',
            Some(byte) => *byte,
            None => break,
        };
        (out[at], out[at + 1]) = (b' ', plain);
        at += 2;
    }
    Some(out)
}

/// `SQL statement "INSERT …"`, each up to its last quote.
fn in_statements(text: &[u8], dialect: Option<Dialect>, taker: Taker<'_>, values: &mut Values, found: &mut Found) {
    let Some(dialect) = dialect else { return };
    for from in statements(text) {
        let end = statement_end(text, from);
        let mut part = Found::default();
        literals::in_sql(dialect, &text[from..end], &[], taker, &mut part, values);
        found.absorb(&part, from);
    }
    // Something else is around what was read.
    values.has_unknown = false;
}

/// At the quote behind which a line of somebody else's begins, or the text ends.
fn statement_end(text: &[u8], from: usize) -> usize {
    const LINES: [&[u8]; 7] = [b"PL/", b"SQL ", b"COPY ", b"JSON ", b"unnamed ", b"portal ", b"parallel "];
    let ends = |at: &usize| {
        let behind = text.get(at + 2..).unwrap_or_default();
        text[*at + 1] == b'\n' && LINES.iter().any(|line| behind.starts_with(line))
    };
    let mut quotes = memchr::memchr_iter(b'"', &text[from..]).map(|at| from + at).filter(|at| at + 1 < text.len());
    let last = if text.ends_with(b"\"") { text.len() - 1 } else { text.len() };
    quotes.find(ends).unwrap_or(last.max(from))
}

/// Takes the values out of a document: those of JSON members, their names stay. What is no JSON is taken for a message.
pub fn in_document(text: &[u8], taker: Taker<'_>, found: &mut Found) {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                let end = string_end(text, at + 1);
                let behind = text.get(end + 1..).unwrap_or_default().trim_ascii_start();
                if behind.first() != Some(&b':') {
                    taker.value(text, at + 1, end.min(text.len()), found);
                }
                at = end + 1;
            }
            b'0'..=b'9' | b'-' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
                let end = at + text[at..].iter().take_while(|byte| is_part(byte)).count().max(1);
                if end > at + 1 || text[at] != b'-' {
                    taker.take(at, end, &text[at..end], false, found);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
}

/// Where the string ends that begins here, at its quote or at the end of the text.
fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(len) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += len;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// `Key (email, password)=(a, b) already exists.`: all values, if one of the names says so.
pub fn in_key(names: &Names, text: &[u8], found: &mut Found) {
    let Some(middle) = memchr::memmem::find(text, b")=(") else { return };
    let open = memchr::memrchr(b'(', &text[..middle]).map_or(middle, |open| open + 1);
    let is_secret = |name: &[u8]| {
        names.is_secret(name.trim_ascii().trim_ascii_start().strip_prefix(b"\"").unwrap_or(name.trim_ascii()))
    };
    let any =
        text[open..middle].split(|byte| *byte == b',').any(|name| is_secret(name.strip_suffix(b"\"").unwrap_or(name)));
    if any {
        let from = middle + b")=(".len();
        let end = memchr::memrchr(b')', &text[from..]).map_or(text.len(), |len| from + len);
        found.value(text, from, end, names.rule());
    }
}

/// `parameters: $1 = 'a', $2 = 'b'`: those that take a secret's place in the statement.
pub fn in_parameters(text: &[u8], parameters: &[(usize, Rules)], found: &mut Found) {
    for (number, rule) in parameters {
        let name = format!("${number} = '");
        let Some(at) = memchr::memmem::find(text, name.as_bytes()) else { continue };
        let from = at + name.len();
        let mut end = from;
        while let Some(len) = text.get(end..).and_then(|rest| memchr::memchr(b'\'', rest)) {
            end += len;
            if text.get(end + 1) != Some(&b'\'') {
                break;
            }
            end += 2;
        }
        found.value(text, from, if text.get(end) == Some(&b'\'') { end } else { text.len() }, *rule);
    }
}
