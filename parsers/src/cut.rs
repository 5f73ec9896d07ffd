//! A record that is too large to keep, cut in the middle: its first and last bytes, and a shorter row made of them.
//!
//! What makes a record large is its texts: a statement, a list of parameters. Cut inside them, with a note of how much was
//! left out, what remains is a row like any other and is parsed like any other: all its columns are there. What is hard:
//!
//! - Where texts begin and end is followed through every byte that is left out. What stands before the cut and what stands behind it
//!   is never taken for one text when it is two: a message must not lose the context that says who wrote it.
//! - A cut never falls between the two halves of a doubled quote, of an escape or, in UTF-8, of a character.

use memchr::{memchr, memchr2, memrchr};

use crate::Format;

mod entries;
mod fields;

use entries::Entries;
use fields::Fields;

/// The first and the last bytes of a record that is handed over piece by piece. Holds no more than those.
#[derive(Debug, Clone)]
pub struct Cut {
    /// `None`: the format's rows are not shortened so; only their ends are kept.
    quoting: Option<Quoting>,
    /// A row that begins with a quote holds JSON strings, whatever `quoting` says.
    is_told_by_first: bool,
    /// Of a format whose rows are entries.
    entries: Option<Entries>,
    head: Vec<u8>,
    head_max: usize,
    tail: Vec<u8>,
    tail_max: usize,
    /// Backslashes at the end of what stands before `tail`.
    backslashes: usize,
    /// Quotes there.
    quotes: Quotes,
    length: u64,
    /// Begins where the head is full.
    walk: Option<Walk>,
}

/// How a format marks its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// In quotes, a quote inside doubled.
    Doubled,
    /// As JSON strings.
    Json,
}

impl Quoting {
    fn of(format: Format) -> Option<Self> {
        Some(match format {
            Format::PostgresCsvlog => Quoting::Doubled,
            Format::PostgresJsonlog => Quoting::Json,
            Format::MongodbAuditJson | Format::MongodbAuditOcsf => Quoting::Json,
            Format::MongodbAuditBson => return None,
            Format::PostgresStderr => return None,
            Format::SqlserverEvent
            | Format::SqlserverEventJson
            | Format::SqlserverAuditCsv
            | Format::SqlserverAuditJson
            | Format::SqlserverErrorlog => return None,
            Format::OracleSyslog | Format::OracleAud | Format::OracleXml => return None,
            Format::PerconaAuditCsv => Quoting::Doubled,
            Format::PerconaAuditJson | Format::MysqlAuditJson | Format::TrellixAuditJson => Quoting::Json,
            Format::MariadbAudit
            | Format::AuroraAudit
            | Format::MariadbAuditSyslog
            | Format::MysqlGeneral
            | Format::PerconaAuditXml => {
                return None;
            }
            Format::PostgresSyslog => return None,
            // As pgAudit quotes, up to 1.6; what nobody quotes is not left out. Later rows tell themselves by their first byte.
            Format::PgauditlogtofileCsv => Quoting::Doubled,
            Format::PgauditlogtofileJson => Quoting::Json,
            Format::Cloudsql | Format::Azure | Format::Cloudnativepg => Quoting::Json,
            Format::BytebaseAudit | Format::TeleportAudit => Quoting::Json,
            // Several rows a frame, or lines that are never long.
            Format::Cri | Format::DockerJson | Format::Cloudwatch | Format::AuroraDas => return None,
        })
    }
}

/// The texts that were left out, and what stands between them.
#[derive(Debug, Clone)]
struct Walk {
    quoting: Quoting,
    /// Where the next byte stands in the record.
    at: u64,
    place: Place,
    texts: Vec<Text>,
    /// More stands between texts than any row has.
    lost: bool,
    /// Where among pgAudit's fields, if the text is one of its.
    fields: Fields,
    /// The first text is pgAudit's.
    is_audit: bool,
    /// Where the first of its fields ends that ends behind the head.
    crossed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between texts.
    Outside,
    Inside,
    /// Behind a byte that means nothing yet: a quote in csvlog, a backslash in jsonlog.
    Half,
}

/// A text, or what is left of it behind the head, with what follows up to the next one.
#[derive(Debug, Clone, Default)]
struct Text {
    from: u64,
    /// Its first bytes: all of it when it is short.
    short: Vec<u8>,
    /// Where its closing quote stands.
    end: Option<u64>,
    /// From the closing quote on, up to the quote that opens the next.
    behind: Vec<u8>,
}

/// No escape of JSON is longer: `\u0001`.
const ESCAPE_MAX: usize = 6;

/// What is kept before the last bytes: what an escape or a doubled quote may have begun in.
const BEFORE_TAIL: usize = 8;

/// A text that is left out is left in when it is no longer than this: keys, names, words of the server.
const SHORT_MAX: usize = 64;

/// More texts, and more bytes between two, than a row of any format has. In JSON keys are texts too: pgauditlogtofile has 34 with strings.
const TEXTS_MAX: usize = 80;
const BEHIND_MAX: usize = 1024;

impl Cut {
    /// Nothing yet. At most `head_max` bytes of the beginning are kept, and `tail_max` of the end.
    pub fn new(format: Format, head_max: usize, tail_max: usize) -> Self {
        Cut {
            quoting: Quoting::of(format),
            is_told_by_first: format == Format::PgauditlogtofileCsv,
            entries: (format == Format::PostgresStderr).then(|| Entries::behind(head_max)),
            head: Vec::new(),
            head_max,
            tail: Vec::new(),
            tail_max,
            backslashes: 0,
            quotes: Quotes::default(),
            length: 0,
            walk: None,
        }
    }

    /// Takes the record's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_told_by_first && self.length == 0 && bytes.first() == Some(&b'"') {
            self.quoting = Some(Quoting::Json);
        }
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_max - self.head.len()));
        self.head.extend_from_slice(head);
        self.length += bytes.len() as u64;
        if let Some(entries) = &mut self.entries {
            entries.follow(bytes);
        }
        if rest.is_empty() {
            return;
        }
        if let Some(quoting) = self.quoting {
            let (head, backslashes, quotes) = (&self.head, &mut self.backslashes, &mut self.quotes);
            let begin = || {
                *backslashes = backslashes_behind(0, head);
                quotes.pass(quoting, head);
                Walk::behind(quoting, head)
            };
            self.walk.get_or_insert_with(begin).follow(rest);
        }
        self.keep_last(rest);
    }

    /// How many bytes there were.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes; what is left out begins behind them, at a whole character if this is UTF-8.
    pub fn head(&self) -> &[u8] {
        if self.is_whole() { &self.head } else { &self.head[..whole_chars(&self.head)] }
    }

    /// The last bytes, from a whole character on if this is UTF-8.
    pub fn tail(&self) -> &[u8] {
        let tail = self.last_bytes();
        if self.is_whole() { tail } else { &tail[half_char(tail)..] }
    }

    /// The record with the middle of its long texts left out: `[... 1000 bytes ...]` stands there. `None` when it is no row: it has more
    /// texts, or more between them, than a row has.
    pub fn shortened(&self) -> Option<Vec<u8>> {
        if self.is_whole() {
            return Some([&self.head, self.last_bytes()].concat());
        }
        if let Some(entries) = &self.entries {
            let before_tail = self.tail[..self.tail.len() - self.last_bytes().len()].last().copied();
            return entries.shortened(self.head(), self.whole_bytes(self.last_bytes()), before_tail, self.length);
        }
        let walk = self.walk.as_ref().filter(|walk| !walk.lost)?;
        let tail = self.tail_in_text(walk).unwrap_or_else(|| self.whole_bytes(self.last_bytes()));
        let mut shortened = self.head[..walk.begin()].to_vec();
        walk.write_until(self.length - tail.len() as u64, &mut shortened);
        shortened.extend_from_slice(tail);
        Some(shortened)
    }

    /// Nothing is left out.
    fn is_whole(&self) -> bool {
        self.length == (self.head.len() + self.last_bytes().len()) as u64
    }

    fn keep_last(&mut self, bytes: &[u8]) {
        let most = self.tail_max + BEFORE_TAIL;
        let (left_out, kept) = bytes.split_at(bytes.len().saturating_sub(most));
        if bytes.len() >= most {
            self.pass(self.tail.len());
            self.backslashes = backslashes_behind(self.backslashes, left_out);
            self.quoting.iter().for_each(|quoting| self.quotes.pass(*quoting, left_out));
            self.tail.clear();
        } else if self.tail.len() + bytes.len() > 2 * most {
            let old = self.tail.len() + bytes.len() - most;
            self.pass(old);
            self.tail.drain(..old);
        }
        self.tail.extend_from_slice(kept);
    }

    /// The first `len` bytes of the tail are about to go.
    fn pass(&mut self, len: usize) {
        let bytes = &self.tail[..len];
        self.backslashes = backslashes_behind(self.backslashes, bytes);
        self.quoting.iter().for_each(|quoting| self.quotes.pass(*quoting, bytes));
    }

    /// The last bytes, where they begin inside a text among quotes: with as many of these as say what all of them say.
    ///
    /// pgAudit doubles quotes once more, and those of parameters twice: what ends there is told by how many of them stand in a row. Of
    /// four, none need be kept. Where one of its fields ends in what is left out, nothing more of the text is kept: what follows would be
    /// taken for another field than it is.
    fn tail_in_text(&self, walk: &Walk) -> Option<&[u8]> {
        let quoting = self.quoting?;
        let tail = self.last_bytes();
        let (start, at) = (self.tail.len() - tail.len(), self.length - tail.len() as u64);
        let text = walk.texts.iter().find(|text| text.from <= at && text.end.is_none_or(|end| at <= end))?;
        let inside = text.end.map_or(tail.len(), |end| tail.len().min((end - at) as usize));
        let mut quotes = self.quotes;
        quotes.pass(quoting, &self.tail[..start]);
        let behind = quotes.count_on(quoting, &tail[..inside]);
        let run = (quotes.len + behind).min((at - text.from) as usize + behind);
        // Half a quote in JSON is the beginning of another escape.
        let end = (start + behind).checked_sub(run % 2)?;
        if walk.crossed.is_some_and(|crossed| crossed + (start as u64) < at + end as u64) {
            return Some(&tail[inside..]);
        }
        let kept = 2 * (run / 2 % 4);
        (run > 1 && end >= kept).then(|| &self.tail[end - kept..])
    }

    fn last_bytes(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(self.tail_max)..]
    }

    /// The last bytes from the first on that is no second half.
    fn whole_bytes<'t>(&self, tail: &'t [u8]) -> &'t [u8] {
        let half = half_char(tail);
        match self.quoting {
            // Quotes behind a character that was cut are all there; at the very start some of them may not be.
            Some(Quoting::Doubled) if half == 0 => {
                let quotes = tail.iter().take_while(|byte| **byte == b'"').count();
                &tail[quotes..]
            }
            Some(Quoting::Doubled) | None => &tail[half..],
            Some(Quoting::Json) => {
                let before = &self.tail[..self.tail.len() - tail.len()];
                let is_escaped = |bytes: &[u8]| backslashes_behind(self.backslashes, bytes) % 2 == 1;
                let whole = behind_escape(tail, is_escaped(before));
                // It may be the other half of what pgAudit doubled.
                let is_behind_quote = match tail.len() - whole.len() {
                    0 => before.strip_suffix(b"\"").is_some_and(is_escaped),
                    _ => tail.starts_with(b"\"") && is_escaped(before),
                };
                if is_behind_quote { behind_quotes(whole) } else { whole }
            }
        }
    }
}

impl Walk {
    fn new(quoting: Quoting) -> Self {
        Walk {
            quoting,
            at: 0,
            place: Place::Outside,
            texts: vec![Text::default()],
            lost: false,
            fields: Fields::default(),
            is_audit: false,
            crossed: None,
        }
    }

    /// Begins where the head can be cut: between texts, or behind the last whole byte of one.
    fn behind(quoting: Quoting, head: &[u8]) -> Self {
        let mut walk = Walk::new(quoting);
        walk.follow(head);
        let inside = walk.place != Place::Outside;
        let whole = match quoting {
            Quoting::Doubled => trim_quotes(head),
            Quoting::Json => trim_escapes(head),
        };
        let last = walk.texts.last().map_or(0, |text| text.from);
        let from = if inside { (whole_chars(whole) as u64).max(last) } else { head.len() as u64 };
        let text = Text { from, end: Some(from).filter(|_| !inside), ..Text::default() };
        let place = if inside { Place::Inside } else { Place::Outside };
        let is_audit = inside && memchr::memmem::find(&head[(last as usize).min(head.len())..], b"AUDIT: ").is_some();
        let (kept, rest) = head.split_at(from as usize);
        let mut before = Walk::new(quoting);
        before.follow(kept);
        let mut walk = Walk { at: from, place, texts: vec![text], is_audit, fields: before.fields, ..walk };
        walk.follow(rest);
        walk
    }

    /// How much of the head stands before the cut.
    fn begin(&self) -> usize {
        self.texts.first().map_or(0, |text| text.from as usize)
    }

    fn follow(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.lost {
            let len = match self.place {
                Place::Outside => self.outside(rest),
                Place::Inside => self.inside(rest),
                Place::Half => self.half(rest[0]),
            };
            self.at += len as u64;
            rest = &rest[len..];
        }
    }

    /// Up to the quote that opens the next text.
    fn outside(&mut self, bytes: &[u8]) -> usize {
        let quote = memchr(b'"', bytes);
        let len = quote.map_or(bytes.len(), |quote| quote + 1);
        let is_next = quote.is_some();
        let (at, count) = (self.at + len as u64, self.texts.len());
        let Some(text) = self.texts.last_mut() else { return len };
        text.behind.extend_from_slice(&bytes[..len.min(BEHIND_MAX + 1)]);
        self.lost = text.behind.len() > BEHIND_MAX || count > TEXTS_MAX;
        if is_next {
            self.texts.push(Text { from: at, ..Text::default() });
            self.fields = Fields::default();
            self.place = Place::Inside;
        }
        len
    }

    fn inside(&mut self, bytes: &[u8]) -> usize {
        let found = match self.quoting {
            Quoting::Doubled => memchr(b'"', bytes),
            Quoting::Json => memchr2(b'"', b'\\', bytes),
        };
        let plain = &bytes[..found.unwrap_or(bytes.len())];
        self.pass_fields(self.at, plain);
        self.keep_short(plain);
        let Some(found) = found else { return bytes.len() };
        if self.quoting == Quoting::Json && bytes[found] == b'"' {
            self.close(self.at + found as u64);
        } else {
            self.place = Place::Half;
        }
        found + 1
    }

    /// Every quote inside a text of csvlog is doubled; one alone ends it.
    fn half(&mut self, next: u8) -> usize {
        match (self.quoting, next) {
            (Quoting::Doubled, b'"') => {
                self.pass_fields(self.at, b"\"");
                self.keep_short(b"\"\"");
            }
            (Quoting::Doubled, _) => {
                self.close(self.at - 1);
                return 0;
            }
            (Quoting::Json, next) => {
                // Any other escape ends no field: a comma has none.
                self.pass_fields(self.at, if next == b'"' { b"\"" } else { b"\\" });
                self.keep_short(&[b'\\', next]);
            }
        }
        self.place = Place::Inside;
        1
    }

    /// Follows the fields through what a text says; `at` is where its first byte stands.
    fn pass_fields(&mut self, at: u64, text: &[u8]) {
        let ends = self.fields.pass(text);
        if let Some(end) = ends.filter(|_| self.is_audit && self.texts.len() == 1) {
            self.crossed.get_or_insert(at + end as u64);
        }
    }

    fn close(&mut self, quote: u64) {
        self.place = Place::Outside;
        if let Some(text) = self.texts.last_mut() {
            text.end = Some(quote);
            text.behind.push(b'"');
        }
    }

    fn keep_short(&mut self, bytes: &[u8]) {
        if let Some(text) = self.texts.last_mut() {
            let room = (SHORT_MAX + 1).saturating_sub(text.short.len());
            text.short.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Everything that stands before `until`, long texts shortened.
    fn write_until(&self, until: u64, out: &mut Vec<u8>) {
        for text in &self.texts {
            let end = text.end.filter(|end| *end < until);
            text.write_until(end.unwrap_or(until), out);
            let Some(end) = end else { return };
            let behind = (until - end).min(text.behind.len() as u64) as usize;
            out.extend_from_slice(&text.behind[..behind]);
            if behind < text.behind.len() {
                return;
            }
        }
    }
}

impl Text {
    fn write_until(&self, until: u64, out: &mut Vec<u8>) {
        let len = until.saturating_sub(self.from);
        match self.short.get(..len as usize) {
            Some(text) if len <= SHORT_MAX as u64 => out.extend_from_slice(text),
            _ => out.extend_from_slice(format!("[... {len} bytes ...]").as_bytes()),
        }
    }
}

/// How many bytes at the end of a text are quotes as they are written in it: `""`, or `\"` in JSON. The last one may be half.
#[derive(Debug, Clone, Copy, Default)]
struct Quotes {
    len: usize,
    last: u8,
}

impl Quotes {
    fn pass(&mut self, quoting: Quoting, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        let goes_on = |before: u8, byte: u8| match quoting {
            Quoting::Doubled => before == b'"',
            Quoting::Json => matches!((before, byte), (b'\\', b'"') | (b'"', b'\\')),
        };
        let is_mark = |byte: u8| byte == b'"' || (quoting == Quoting::Json && byte == b'\\');
        let pairs = bytes.windows(2).rev().take_while(|pair| is_mark(pair[1]) && goes_on(pair[0], pair[1])).count();
        let run = if is_mark(last) { pairs + 1 } else { 0 };
        let joins = run == bytes.len() && self.len > 0 && goes_on(self.last, bytes[0]);
        *self = Quotes { len: if joins { self.len + run } else { run }, last };
    }

    /// How many bytes at the beginning of what follows go on with them.
    fn count_on(mut self, quoting: Quoting, bytes: &[u8]) -> usize {
        let goes_on = |byte: &&u8| {
            let more = self.len + 1;
            self.pass(quoting, &[**byte]);
            self.len == more
        };
        bytes.iter().take_while(goes_on).count()
    }
}

fn trim_quotes(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|byte| *byte != b'"').map_or(0, |last| last + 1);
    &text[..len]
}

/// Without an escape at its end that is not whole.
fn trim_escapes(text: &[u8]) -> &[u8] {
    let begin = text.len().saturating_sub(ESCAPE_MAX - 1);
    let Some(last) = memrchr(b'\\', &text[begin..]).map(|last| begin + last) else { return text };
    let is_first = backslashes_behind(0, &text[..=last]) % 2 == 1;
    let len = if text.get(last + 1) == Some(&b'u') { ESCAPE_MAX } else { 2 };
    let mut whole = if is_first && last + len > text.len() { &text[..last] } else { text };
    // What pgAudit doubled stays together.
    while let Some(rest) = whole.strip_suffix(b"\\\"").filter(|rest| backslashes_behind(0, rest).is_multiple_of(2)) {
        whole = rest;
    }
    whole
}

/// From the first byte on that stands in no escape. `is_half`: the first one is a backslash's other half.
fn behind_escape(text: &[u8], is_half: bool) -> &[u8] {
    let len = match text {
        [b'u', digits @ ..] if is_half => 1 + digits.iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count(),
        [_, ..] if is_half => 1,
        // At most the last digits of `\u0001`: a backslash behind another byte begins an escape.
        _ => text.iter().take(ESCAPE_MAX - 2).take_while(|byte| byte.is_ascii_hexdigit()).count(),
    };
    &text[len + half_char(&text[len..])..]
}

/// Without the quotes at its beginning, each a backslash and a quote.
fn behind_quotes(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\\\"") {
        text = rest;
    }
    text
}

/// How many backslashes stand at the end of `bytes`, with `before` of them before these.
fn backslashes_behind(before: usize, bytes: &[u8]) -> usize {
    let run = bytes.iter().rev().take_while(|byte| **byte == b'\\').count();
    if run == bytes.len() { before + run } else { run }
}

/// Length without the first bytes of a UTF-8 character whose last are missing.
fn whole_chars(text: &[u8]) -> usize {
    let rest = text.iter().rev().take(3).take_while(|byte| is_continuation(**byte)).count();
    let Some(lead) = text.len().checked_sub(rest + 1) else { return text.len() };
    let needed = match text[lead] {
        0xc0..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf7 => 3,
        _ => rest,
    };
    if rest < needed { lead } else { text.len() }
}

/// Length of what may be the last bytes of a UTF-8 character.
fn half_char(text: &[u8]) -> usize {
    text.iter().take(3).take_while(|byte| is_continuation(**byte)).count()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
