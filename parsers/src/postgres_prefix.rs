//! PostgreSQL's `log_line_prefix`, compiled from the operator's string into something that reads it back.
//!
//! What is hard: a prefix does not delimit itself. User, database and application are free text between whatever the operator wrote, and a
//! user name may hold all of that. So times, process and session ids are read strictly and hold the rest in place, free text ends at the
//! first place behind which everything else fits, and behind the whole prefix a severity must stand. Where a client can choose the
//! text ([`Prefix::is_forgeable`]) the first reading that fits need not be the true one.
//!
//! Source of the escapes: PostgreSQL's documentation of `log_line_prefix`, and `log_line_prefix` in `elog.c`.

use core::net::IpAddr;
use std::fmt;

use arrayvec::ArrayVec;

use crate::near;
use crate::postgres_words::{self as words, Label};

/// A `log_line_prefix`, ready to read lines that begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    parts: Vec<Part>,
    /// How many parts at the beginning hold no text that a client or the kind of process decides on.
    fixed: usize,
    /// Those are enough to know a line by.
    leads: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Escape {
        kind: Escape,
        /// The least width: spaces stand behind the value when it is negative, before it when it is positive.
        pad: i32,
    },
    /// `%q`: processes that are no session stop here.
    Stop,
}

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    Application,
    User,
    Database,
    RemoteAndPort,
    Remote,
    Local,
    Backend,
    Pid,
    LeaderPid,
    Time,
    Millis,
    Epoch,
    Tag,
    State,
    Session,
    Line,
    Start,
    VirtualTransaction,
    Transaction,
    QueryId,
}

const ESCAPES: usize = Escape::QueryId as usize + 1;

impl Escape {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'a' => Escape::Application,
            'u' => Escape::User,
            'd' => Escape::Database,
            'r' => Escape::RemoteAndPort,
            'h' => Escape::Remote,
            'L' => Escape::Local,
            'b' => Escape::Backend,
            'p' => Escape::Pid,
            'P' => Escape::LeaderPid,
            't' => Escape::Time,
            'm' => Escape::Millis,
            'n' => Escape::Epoch,
            'i' => Escape::Tag,
            'e' => Escape::State,
            'c' => Escape::Session,
            'l' => Escape::Line,
            's' => Escape::Start,
            'v' => Escape::VirtualTransaction,
            'x' => Escape::Transaction,
            'Q' => Escape::QueryId,
            _ => return None,
        })
    }

    /// A client decides on the text.
    fn is_free(self) -> bool {
        matches!(self, Escape::Application | Escape::User | Escape::Database)
    }

    /// The server decides on it, but it has no shape to be told by.
    fn is_loose(self) -> bool {
        matches!(self, Escape::RemoteAndPort | Escape::Remote | Escape::Local | Escape::Backend | Escape::Tag)
    }

    fn is_host(self) -> bool {
        matches!(self, Escape::RemoteAndPort | Escape::Remote | Escape::Local)
    }

    /// May stand inside a value without shape.
    fn may_hold(self, byte: u8) -> bool {
        match self {
            _ if self.is_host() => byte > b' ',
            Escape::Backend | Escape::Tag => byte >= b' ',
            _ => byte != 0,
        }
    }
}

/// Why a string is no `log_line_prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixError {
    /// The server knows no such escape.
    UnknownEscape(char),
    /// The string ends behind a `%`.
    NoEscape,
    /// Nothing may be padded so far.
    PadTooLarge,
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixError::UnknownEscape(letter) => write!(f, "log_line_prefix has no escape %{letter}"),
            PrefixError::NoEscape => f.write_str("nothing stands behind the last %"),
            PrefixError::PadTooLarge => write!(f, "an escape is padded to more than {PAD_MAX}"),
        }
    }
}

impl std::error::Error for PrefixError {}

const PAD_MAX: i32 = 1000;

/// Prefixes that systems come with or that documents tell to set, by name. The more a prefix asks for, the earlier it stands: whether
/// one of them fits is tried in this order.
pub const PRESETS: &[(&str, &str)] = &[
    ("rds-extended", "%t:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:"),
    ("rds", "%t:%r:%u@%d:[%p]:"),
    ("cis", "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h "),
    ("cis-short", "%m [%p]: db=%d,user=%u,app=%a,client=%h "),
    ("cloudsql", "%m [%p]: [%l-1] db=%d,user=%u "),
    ("pgbadger", "%t [%p]: user=%u,db=%d,app=%a,client=%h "),
    ("pgbadger-line", "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h "),
    ("pgbadger-old", "%t [%p]: [%l-1] user=%u,db=%d "),
    ("pgbadger-millis", "%m [%p]: user=%u,db=%d,app=%a,client=%h "),
    ("pgbadger-millis-line", "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h "),
    ("debian", "%m [%p] %q%u@%d "),
    ("debian-old", "%t [%p-%l] %q%u@%d "),
    ("supabase", "%h %m [%p] %q%u@%d "),
    ("azure", "%t-%c-"),
    ("session", "%m %c %l "),
    ("stig", "%m %u %d %s "),
    ("pgaudit", "%m %u %d: "),
    ("postgresql", "%m [%p] "),
    ("postgresql-seconds", "%t [%p] "),
];

impl Prefix {
    /// Compiles a `log_line_prefix` as it stands in `postgresql.conf`, between the quotes.
    pub fn compile(text: &str) -> Result<Self, PrefixError> {
        let mut parts = Vec::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                push_literal(&mut parts, letter);
                continue;
            }
            let sign = if letters.next_if_eq(&'-').is_some() { -1 } else { 1 };
            let mut pad = 0_i32;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                pad = pad.saturating_mul(10).saturating_add(digit as i32);
                letters.next();
            }
            if pad > PAD_MAX {
                return Err(PrefixError::PadTooLarge);
            }
            match letters.next().ok_or(PrefixError::NoEscape)? {
                '%' => push_literal(&mut parts, '%'),
                'q' => parts.push(Part::Stop),
                letter => {
                    let kind = Escape::of(letter).ok_or(PrefixError::UnknownEscape(letter))?;
                    parts.push(Part::Escape { kind, pad: sign * pad });
                }
            }
        }
        let strict = |part: &Part| match part {
            Part::Literal(_) => true,
            Part::Escape { kind, .. } => !kind.is_free() && !kind.is_loose(),
            Part::Stop => false,
        };
        let fixed = parts.iter().take_while(|part| strict(part)).count();
        let tells = |kind: &Escape| matches!(kind, Escape::Time | Escape::Millis | Escape::Epoch | Escape::Session);
        let leads = parts[..fixed].iter().any(|part| matches!(part, Part::Escape { kind, .. } if tells(kind)));
        Ok(Prefix { text: text.to_owned(), parts, fixed, leads })
    }

    /// The preset of this name.
    pub fn preset(name: &str) -> Option<Self> {
        let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
        Prefix::compile(text).ok()
    }

    /// The preset that fits more of the first lines of a file than any other, the earlier one where several do.
    pub fn learn(head: &[u8]) -> Option<&'static str> {
        let mut best = None;
        for (name, text) in PRESETS {
            let count = Prefix::compile(text).map_or(0, |prefix| prefix.fits(head));
            if count > best.map_or(0, |(_, most)| most) {
                best = Some((*name, count));
            }
        }
        best.map(|(name, _)| name)
    }

    /// How many of the first lines it fits. A prefix that stops in processes without a session fits no file in which sessions
    /// seem to have stopped there: that file's prefix ends there.
    fn fits(&self, head: &[u8]) -> usize {
        let (mut count, mut sessions) = (0, 0);
        for line in head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'\t').take(LINES) {
            let Some(head) = self.read(line) else { continue };
            count += 1;
            let message = &line[head.at + head.label.len..];
            sessions += usize::from(head.is_stopped && OF_SESSIONS.iter().any(|words| message.starts_with(words)));
        }
        if sessions > 0 { 0 } else { count }
    }

    /// As the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a client's text stands in it: whoever connects can then write what looks like rows.
    pub fn is_forgeable(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Escape { kind, .. } if kind.is_free()))
    }

    /// Whether it tells of clients and commands, so that a row without them has none.
    pub(crate) fn tells_clients(&self) -> bool {
        let has = |kinds: &[Escape]| {
            self.parts.iter().any(|part| matches!(part, Part::Escape { kind, .. } if kinds.contains(kind)))
        };
        has(&[Escape::Remote, Escape::RemoteAndPort]) && has(&[Escape::Tag])
    }

    /// Whether the bytes begin as a row of this prefix must, as far as nobody but the server decides on them.
    pub(crate) fn leads(&self, line: &[u8]) -> bool {
        self.leads && Walk::over(&self.parts[..self.fixed], line, By::Nothing).run(0, 0).is_some()
    }

    /// Whether two lines that begin as this prefix must, and go no further, can be of one row: only `%l` may differ.
    pub(crate) fn leads_alike(&self, first: &[u8], line: &[u8]) -> bool {
        self.leads && self.beyond(first).is_some_and(|first| self.beyond(line) == Some(first))
    }

    /// What the beginning of the prefix says but for `%l`, and all that stands behind it.
    fn beyond<'a>(&self, line: &'a [u8]) -> Option<(Fields<'a>, &'a [u8])> {
        let mut walk = Walk::over(&self.parts[..self.fixed], line, By::Nothing);
        let (_, at) = walk.run(0, 0)?;
        walk.fields.values[Escape::Line as usize] = None;
        Some((walk.fields, &line[at..]))
    }

    /// Reads the prefix and the label behind it.
    pub(crate) fn read<'a>(&self, line: &'a [u8]) -> Option<Head<'a>> {
        let by = |by| {
            let mut walk = Walk::over(&self.parts, line, by);
            let (label, at) = walk.run(0, 0)?;
            Some(Head { is_stopped: walk.is_stopped, fields: walk.fields, label: label?, at })
        };
        by(By::Known).or_else(|| by(By::Any))
    }
}

fn push_literal(parts: &mut Vec<Part>, letter: char) {
    let mut bytes = [0; 4];
    let bytes = letter.encode_utf8(&mut bytes).as_bytes();
    match parts.last_mut() {
        Some(Part::Literal(literal)) => literal.extend_from_slice(bytes),
        _ => parts.push(Part::Literal(bytes.to_vec())),
    }
}

/// What sessions alone write, in English.
const OF_SESSIONS: &[&[u8]] = &[
    b"connection received: ",
    b"connection authorized: ",
    b"disconnection: ",
    b"AUDIT: ",
    b"statement: ",
    b"duration: ",
];

/// So many lines tell which preset a file has.
const LINES: usize = 50;

/// The beginning of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Head<'a> {
    pub fields: Fields<'a>,
    pub label: Label<'a>,
    /// Where the label stands.
    pub at: usize,
    /// The prefix ended at `%q`.
    pub is_stopped: bool,
}

/// What stands in the place of each escape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields<'a> {
    values: [Option<&'a [u8]>; ESCAPES],
}

impl<'a> Fields<'a> {
    /// `None` when the prefix has no such escape, or the line stopped before it, or nothing stands there.
    pub(crate) fn get(&self, kind: Escape) -> Option<&'a [u8]> {
        self.values[kind as usize].filter(|value| !value.is_empty())
    }
}

/// What must stand behind the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Known,
    Any,
    Nothing,
}

/// Reads one line.
struct Walk<'p, 'a> {
    parts: &'p [Part],
    line: &'a [u8],
    by: By,
    fields: Fields<'a>,
    is_stopped: bool,
    /// How many more ends of free text are tried.
    tries: u32,
}

/// Free text with the separators of the prefix in it has more than one end that may be right; this many are tried.
const TRIES: u32 = 1000;

/// No host name is longer, and so many ends of one are tried.
const HOST_MAX: usize = 300;
const HOST_ENDS: usize = 16;

/// No prefix is longer: a startup packet has at most 10,000 bytes.
const PREFIX_MAX: usize = 16 * 1024;

impl<'p, 'a> Walk<'p, 'a> {
    fn over(parts: &'p [Part], line: &'a [u8], by: By) -> Self {
        Walk {
            parts,
            line: &line[..line.len().min(PREFIX_MAX)],
            by,
            fields: Fields::default(),
            is_stopped: false,
            tries: TRIES,
        }
    }

    /// Reads the parts from `part` on, at `at`. The label and where it stands.
    fn run(&mut self, mut part: usize, mut at: usize) -> Option<(Option<Label<'a>>, usize)> {
        while let Some(next) = self.parts.get(part) {
            let rest = self.line.get(at..)?;
            match next {
                Part::Literal(literal) => {
                    if !near::begins(rest, literal) {
                        return None;
                    }
                    at += literal.len();
                }
                Part::Stop => {
                    if let Some(label) = words::label(rest) {
                        self.is_stopped = true;
                        return Some((Some(label), at));
                    }
                }
                &Part::Escape { kind, pad } if kind.is_free() || kind.is_loose() => {
                    return self.try_ends(part, at, kind, pad);
                }
                &Part::Escape { kind, pad } => {
                    let (value, len) = padded(kind, pad, rest)?;
                    self.fields.values[kind as usize] = Some(value);
                    at += len;
                }
            }
            part += 1;
        }
        let rest = self.line.get(at..)?;
        match self.by {
            By::Known => words::label(rest).map(|label| (Some(label), at)),
            By::Any => words::any_label(rest).map(|label| (Some(label), at)),
            By::Nothing => Some((None, at)),
        }
    }

    /// An address is told by its shape, as colons stand in it and may stand behind it; anything else ends at the first place behind which
    /// everything else fits, and nothing at all stands there only if that does not help.
    fn try_hosts(&mut self, part: usize, from: usize, kind: Escape, pad: i32) -> Option<(Option<Label<'a>>, usize)> {
        let mut ends: ArrayVec<usize, HOST_ENDS> = ArrayVec::new();
        let line = self.line;
        let rest = line.get(from..)?;
        let width = pad.unsigned_abs() as usize;
        let spaces = |text: &[u8], most: usize| text.iter().take(most).take_while(|byte| **byte == b' ').count();
        let before = if pad > 0 { spaces(rest, width) } else { 0 };
        let name = rest[before..].iter().take(HOST_MAX).take_while(|byte| kind.may_hold(**byte)).count();
        let behind = if pad < 0 { spaces(&rest[name..], width.saturating_sub(name)) } else { 0 };
        let reach = before + name + behind;
        let follows = |end: &usize| match self.parts.get(part + 1) {
            // The first byte alone refuses most.
            Some(Part::Literal(literal)) => rest.get(*end) == literal.first() && rest[*end..].starts_with(literal),
            _ => true,
        };
        ends.extend((0..=reach).filter(follows).take(HOST_ENDS));
        // Of one end nobody needs to know what it looks like.
        let is_address = |end: &usize| (ends.len() == 1 && *end > 0) || is_address(trim(&rest[..*end], pad));
        let by_shape = ends.iter().rev().filter(|end| is_address(end));
        let others =
            ends.iter().filter(|end| **end > 0 && !is_address(end)).chain(ends.iter().filter(|end| **end == 0));
        for &end in by_shape.chain(others) {
            if end < width || self.tries == 0 {
                continue;
            }
            self.tries -= 1;
            self.fields.values[kind as usize] = Some(trim(&rest[..end], pad));
            if let found @ Some(_) = self.run(part + 1, from + end) {
                return found;
            }
        }
        None
    }

    /// Free text ends at the first place behind which everything else fits.
    fn try_ends(&mut self, part: usize, from: usize, kind: Escape, pad: i32) -> Option<(Option<Label<'a>>, usize)> {
        if kind.is_host() {
            return self.try_hosts(part, from, kind, pad);
        }
        let line = self.line;
        let least = pad.unsigned_abs() as usize;
        let literal = match self.parts.get(part + 1) {
            Some(Part::Literal(literal)) => Some(literal.as_slice()),
            _ => None,
        };
        let (mut end, mut held) = (from, from);
        loop {
            end = match literal {
                Some(literal) => end + near::find_part(literal, line.get(end..)?)?,
                None => end,
            };
            if !line.get(held..end)?.iter().all(|byte| kind.may_hold(*byte)) || self.tries == 0 {
                return None;
            }
            held = end;
            if end - from >= least {
                self.tries -= 1;
                self.fields.values[kind as usize] = line.get(from..end).map(|value| trim(value, pad));
                if let found @ Some(_) = self.run(part + 1, end) {
                    return found;
                }
            }
            end += 1;
        }
    }
}

/// `[local]`, `127.0.0.1`, `::1(5432)`, `db.example.org(5432)`.
fn is_address(text: &[u8]) -> bool {
    let may_be = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let is_ip = |text: &[u8]| {
        // Most texts are none by their bytes.
        text.iter().all(may_be)
            && std::str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified()))
    };
    let port = text.strip_suffix(b")").and_then(|inner| Some((inner, memchr::memrchr(b'(', inner)?)));
    match port {
        Some((inner, open)) => open > 0 && inner.len() > open + 1 && inner[open + 1..].iter().all(u8::is_ascii_digit),
        None => text == b"[local]" || is_ip(text.split(|byte| *byte == b'%').next().unwrap_or_default()),
    }
}

/// The value of a strict escape that stands at the start, and its width.
fn padded(kind: Escape, pad: i32, text: &[u8]) -> Option<(&[u8], usize)> {
    let width = pad.unsigned_abs() as usize;
    let before = if pad > 0 { text.iter().take(width).take_while(|byte| **byte == b' ').count() } else { 0 };
    let len = length(kind, &text[before..])?;
    let value = &text[before..before + len];
    if pad >= 0 {
        return (before + len >= width).then_some((value, before + len));
    }
    let behind = text.get(len..width).unwrap_or_default();
    let is_filled = behind.len() == width.saturating_sub(len) && behind.iter().all(|byte| *byte == b' ');
    is_filled.then_some((value, len.max(width)))
}

/// Without the spaces that filled a value up.
fn trim(value: &[u8], pad: i32) -> &[u8] {
    let is_filled = value.len() == pad.unsigned_abs() as usize;
    match pad {
        1.. if is_filled => value.trim_ascii_start(),
        ..=-1 if is_filled => value.trim_ascii_end(),
        _ => value,
    }
}

/// Length of a strict escape's value.
fn length(kind: Escape, text: &[u8]) -> Option<usize> {
    let digits = |text: &[u8]| text.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let some = |len: usize| Some(len).filter(|len| *len > 0);
    match kind {
        Escape::Pid | Escape::Line | Escape::Transaction => some(digits(text)),
        Escape::LeaderPid => Some(digits(text)),
        Escape::QueryId => {
            let sign = usize::from(text.first() == Some(&b'-'));
            Some(sign + digits(&text[sign..]))
        }
        Escape::Time | Escape::Start => time(text, b"0000-00-00 00:00:00 "),
        Escape::Millis => time(text, b"0000-00-00 00:00:00.000 "),
        Escape::Epoch => {
            let seconds = some(digits(text))?;
            (text.get(seconds) == Some(&b'.') && digits(&text[seconds + 1..]) == 3).then_some(seconds + 4)
        }
        Escape::State => {
            let is_state = text.get(..5)?.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            is_state.then_some(5)
        }
        Escape::Session => {
            let hex = |text: &[u8]| some(text.iter().take(16).take_while(|byte| byte.is_ascii_hexdigit()).count());
            let start = hex(text)?;
            let pid = hex(text.get(start..)?.strip_prefix(b".")?)?;
            Some(start + 1 + pid)
        }
        Escape::VirtualTransaction => {
            let sign = usize::from(text.first() == Some(&b'-'));
            let backend = digits(&text[sign..]);
            match text.get(sign + backend) {
                Some(b'/') if backend > 0 => Some(sign + backend + 1 + digits(&text[sign + backend + 1..])),
                _ => Some(0),
            }
        }
        Escape::Application | Escape::User | Escape::Database => None,
        Escape::RemoteAndPort | Escape::Remote | Escape::Local | Escape::Backend | Escape::Tag => None,
    }
}

/// Length of a time with its zone: letters, or a sign and two to six digits.
fn time<const LEN: usize>(text: &[u8], model: &[u8; LEN]) -> Option<usize> {
    let stamp = text.first_chunk::<LEN>()?;
    let like = |byte: u8, like: u8| (byte == like) | ((like == b'0') & byte.is_ascii_digit());
    // Looks at all of them, which is faster than to stop at the first that differs.
    if !stamp.iter().zip(model).fold(true, |all, (byte, model)| all & like(*byte, *model)) {
        return None;
    }
    let zone = &text[model.len()..];
    let sign = usize::from(zone.first().is_some_and(|byte| matches!(byte, b'+' | b'-')));
    let len = match sign {
        0 => zone.iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count(),
        sign => sign + zone[sign..].iter().take(6).take_while(|byte| byte.is_ascii_digit()).count(),
    };
    (len > sign).then_some(model.len() + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(prefix: &str, line: &str, kind: Escape) -> Option<String> {
        let prefix = Prefix::compile(prefix).expect("a prefix");
        let head = prefix.read(line.as_bytes())?;
        Some(String::from_utf8_lossy(head.fields.get(kind).unwrap_or_default()).into_owned())
    }

    const TIME: &str = "2026-11-20 20:28:31.135 UTC";

    #[test]
    fn padding_is_taken_off_and_a_longer_value_has_none() {
        let user = |line: &str| value("%-10u|%8p|", line, Escape::User);
        assert_eq!(user("app       |    1234|LOG:  x").as_deref(), Some("app"));
        assert_eq!(user("a name of many|    1234|LOG:  x").as_deref(), Some("a name of many"));
        assert_eq!(user("app |    1234|LOG:  x"), None);
        assert_eq!(value("%8p|", "    1234|LOG:  x", Escape::Pid).as_deref(), Some("1234"));
        assert_eq!(value("%-8p|", "1234    |LOG:  x", Escape::Pid).as_deref(), Some("1234"));
        assert_eq!(value("%-8p|", "1234   |LOG:  x", Escape::Pid), None);
        assert_eq!(value("%-6h|", "::1   |LOG:  x", Escape::Remote).as_deref(), Some("::1"));
        assert_eq!(value("%6h|", "   ::1|LOG:  x", Escape::Remote).as_deref(), Some("::1"));
    }

    #[test]
    fn a_name_that_holds_the_separators_ends_where_the_rest_fits() {
        let read = |line: &str, kind| value("%m [%p] %q%u@%d ", &format!("{TIME} [1] {line}"), kind);
        assert_eq!(read("a b@c d LOG:  x", Escape::User).as_deref(), Some("a b"));
        assert_eq!(read("a b@c d LOG:  x", Escape::Database).as_deref(), Some("c d"));
        assert_eq!(read("app@db ANFRAGE:  x", Escape::Database).as_deref(), Some("db"));
        assert_eq!(read("LOG:  x@y ", Escape::User).as_deref(), Some(""));
        assert_eq!(read("app@db no label", Escape::User), None);
    }

    #[test]
    fn a_label_of_no_known_language_is_read_where_nothing_else_fits() {
        let head = |line: &str| {
            Prefix::compile("%m [%p] ").expect("a prefix").read(line.as_bytes()).map(|head| head.label.part)
        };
        assert_eq!(head(&format!("{TIME} [1] MELDING:  x")), Some(words::Part::Row(None)));
        assert_eq!(head(&format!("{TIME} [1] two words:  x")), None);
    }

    #[test]
    fn zones_are_letters_or_an_offset() {
        for (prefix, line) in [
            ("%t-%c-", "2026-11-20 20:28:31 UTC-6b00ad6f.42a5-LOG:  x"),
            ("%t-%c-", "2026-11-20 20:28:31 -03-6b00ad6f.42a5-LOG:  x"),
            ("%t:%r:%u@%d:[%p]:", "2026-11-20 17:40:24 -03:::1(56590):postgres@postgres:[25897]:LOG:  x"),
            ("%t:%r:%u@%d:[%p]:", "2026-11-20 17:40:24 -03::@:[25897]:LOG:  x"),
        ] {
            assert!(value(prefix, line, Escape::Time).is_some(), "{line}");
        }
    }

    #[test]
    fn what_the_server_does_not_know_is_refused() {
        assert_eq!(Prefix::compile("%m %z "), Err(PrefixError::UnknownEscape('z')));
        assert_eq!(Prefix::compile("%m %"), Err(PrefixError::NoEscape));
        assert_eq!(Prefix::compile("%9999p"), Err(PrefixError::PadTooLarge));
        assert!(Prefix::compile("100%% %m").is_ok());
    }

    #[test]
    fn every_preset_compiles_and_is_learnt_from_its_own_lines() {
        for (name, text) in PRESETS {
            assert!(Prefix::preset(name).is_some(), "{text}");
        }
        let rds = "2026-11-20 17:40:24 UTC:127.0.0.1(56590):postgres@postgres:[25897]:LOG:  x\n";
        assert_eq!(Prefix::learn(rds.as_bytes()), Some("rds"));
        assert_eq!(
            Prefix::learn(format!("{TIME} [1] LOG:  x\n{TIME} [2] app@db LOG:  x\n").as_bytes()),
            Some("debian")
        );
        assert_eq!(Prefix::learn(format!("{TIME} [1] LOG:  x\n").as_bytes()), Some("debian"));
        assert_eq!(Prefix::learn(b"hello\n"), None);
    }
}
