//! Takes out of a row what must not leave the host: passwords, keys, tokens; literals and personal data where the configuration says so.
//!
//! It comes before anything is made of the record, so that nothing that is read from a statement, derived from it or kept of it can hold what was taken
//! out. What makes it hard: a secret stands in a row in many ways, in statements that fail, are cut, or do not parse, in strings within strings, in what the
//! server says of them; and nearly no row has one, so that looking for it must cost next to nothing.
//!
//! [`Suspicion`] asks whether there can be any; of a statement it is asked once, and the answer kept with what was read from it. Only then [`Walk`] goes through each text, `shapes` looks for what is known by its look, and
//! what was found in one text is searched for in the others. [`Privacy`] comes later, when the row's meaning is read, and only where it is asked for.

pub mod compare;
mod found;
pub mod hash;
mod items;
pub mod literals;
mod messages;
mod names;
pub mod personal;
pub mod policy;
pub mod privacy;
mod rules;
mod shapes;
mod slots;
mod suspicion;
mod walk;

use std::borrow::Cow;

use sealtrail_parsers::Record;
use sealtrail_sql::{Dialect, Kind, Tokens, Word};

use crate::event::Oversize;
use crate::shape::Told;
use found::Found;
pub use found::MARKER;
use hash::HashKey;
use names::Names;
use personal::Detectors;
use policy::Policy;
pub use privacy::Private;
use privacy::{Privacy, Subject};
pub use rules::Rules;
use slots::Slot;
use suspicion::Suspicion;
use walk::Walk;

/// What the configuration adds to the rules that hold everywhere.
#[derive(Debug, Clone, Default)]
pub struct Redact {
    /// Names of secrets: how they end.
    pub secret_names: Vec<String>,
    /// Functions, with the numbers of their arguments that are secret, from 1.
    pub secret_arguments: Vec<(String, Vec<u8>)>,
    /// What becomes of literals and parameters.
    pub policy: Policy,
    /// What is looked for by its look.
    pub detectors: Detectors,
    /// Names of columns, parameters and members in which something personal stands; with `*` in front how they end.
    pub personal_names: Vec<String>,
}

/// Finds secrets and takes them out; and what else is asked for.
#[derive(Debug, Clone)]
pub struct Redactor {
    names: Names,
    suspicion: Suspicion,
    /// How the configuration's own patterns are called.
    patterns: Vec<String>,
    privacy: Option<Box<Privacy>>,
}

/// What is left of a record, and what took the rest.
#[derive(Debug, Default)]
pub struct Redacted {
    changed: Vec<(Slot, Vec<u8>)>,
    /// The bytes of the row, where they were asked for.
    frame: Option<Vec<u8>>,
    /// What took something out.
    pub rules: Rules,
}

impl Redacted {
    /// The record without its secrets.
    pub fn record<'r>(&'r self, record: &Record<'r>) -> Record<'r> {
        slots::replaced(record, &self.changed)
    }

    /// The texts that changed, beside those of `record`.
    pub fn changes(&self, record: &Record<'_>) -> Vec<Change> {
        let before = |slot| slots::texts(record).find(|(of, _)| *of == slot).map(|(_, text)| text.to_vec());
        let change = |(slot, after): &(Slot, Vec<u8>)| {
            Some(Change { what: slot.name(record), before: before(*slot)?, after: after.clone() })
        };
        self.changed.iter().filter_map(change).collect()
    }

    /// The bytes of the row without their secrets.
    pub fn frame<'r>(&'r self, frame: &'r [u8]) -> &'r [u8] {
        self.frame.as_deref().unwrap_or(frame)
    }
}

/// A text of a row before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which: the record's word, or the engine's own name of a column.
    pub what: String,
    /// As the log has it.
    pub before: Vec<u8>,
    /// Without what was taken out.
    pub after: Vec<u8>,
}

impl Change {
    /// `None`: they are alike.
    pub fn of(what: &str, before: &[u8], after: &[u8]) -> Option<Self> {
        let change = || Change { what: what.to_owned(), before: before.to_vec(), after: after.to_vec() };
        (before != after).then(change)
    }

    /// Of the first and the last bytes of a row.
    pub fn of_ends(before: &Oversize<'_>, after: &Oversize<'_>) -> impl Iterator<Item = Self> {
        let ends = [("oversize.head", before.head, after.head), ("oversize.tail", before.tail, after.tail)];
        ends.map(|(what, before, after)| Change::of(what, before, after)).into_iter().flatten()
    }
}

/// What was changed first, and then again, as one change.
pub fn merged(first: Vec<Change>, then: Vec<Change>) -> Vec<Change> {
    let mut all = first;
    for change in then {
        match all.iter_mut().find(|it| it.what == change.what && it.after == change.before) {
            Some(before) => before.after = change.after,
            None => all.push(change),
        }
    }
    all
}

/// Shorter secrets are not searched for in other texts: they would be found everywhere.
const ECHO_BYTES_MIN: usize = 4;

/// Secrets of one row that are searched for in its other texts. A row that has more says the rest only in its statement.
const ECHOES_MAX: usize = 64;

/// How the note begins that stands where the middle of a text was, and how it ends.
const NOTE: (&[u8], &[u8]) = (b"[... ", b" ...]");

impl Redactor {
    /// By the rules that hold everywhere and those of the configuration. `key`: of the host, for hashes; without one they are made with a key that is nobody's.
    pub fn new(redact: &Redact, key: Option<&HashKey>) -> Self {
        let functions = redact.secret_arguments.iter().map(|(name, _)| name.clone());
        let further: Vec<String> = redact.secret_names.iter().flat_map(|name| needles(name)).chain(functions).collect();
        let key = key.cloned().or_else(|| HashKey::new(&[0; 32]));
        Redactor {
            names: Names::new(&redact.secret_names, &redact.secret_arguments),
            suspicion: Suspicion::new(&further),
            patterns: redact.detectors.patterns.iter().map(|pattern| pattern.label.clone()).collect(),
            privacy: key.and_then(|key| Privacy::new(redact, key)).map(Box::new),
        }
    }

    /// How the configuration's own patterns are called in records.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// The row without what the configuration takes out beside secrets; `None` where nothing is, which costs one question where nothing is asked for.
    #[inline]
    pub fn private<'s>(&self, subject: impl FnOnce() -> Subject<'s>) -> Option<Private> {
        self.privacy.as_ref()?.record(subject())
    }

    /// The same for bytes that are no row.
    pub fn private_bytes<'b>(&self, bytes: &'b [u8], source: &str, dialect: Option<Dialect>) -> (Cow<'b, [u8]>, Rules) {
        match &self.privacy {
            Some(privacy) => privacy.bytes(bytes, source, dialect),
            None => (bytes.into(), Rules::default()),
        }
    }

    /// The same for the first and the last bytes of a row.
    pub fn private_ends(&self, ends: Ends, source: &str, dialect: Option<Dialect>) -> Ends {
        let Some(privacy) = &self.privacy else { return ends };
        let mut left = privacy.ends(&ends.oversize(), source, dialect);
        left.rules |= ends.rules;
        left
    }

    /// Whether there may be a secret in a statement. False also where there is a word that announces one, and none follows it. The answer holds of
    /// all statements that differ from this one in their numbers alone.
    pub fn suspects(&self, dialect: Dialect, text: &[u8]) -> bool {
        if !self.suspicion.holds(text) {
            return false;
        }
        let mut found = Found::default();
        Walk::new(&self.names, Some(dialect), &mut found).with_any_number().statement(dialect, text);
        torn(Walk::new(&self.names, Some(dialect), &mut found).with_any_number(), dialect, text);
        shapes::scan(text, &mut found);
        !found.is_empty() || !found.parameters.is_empty()
    }

    /// The record without secrets; `None` where there are none. `frame`: the bytes of the row, where they are kept too.
    pub fn record(
        &self,
        record: &Record<'_>,
        dialect: impl FnOnce() -> Option<Dialect>,
        statement: Statement,
        is_cut: bool,
        frame: Option<&[u8]>,
    ) -> Option<Redacted> {
        let is_suspect = is_cut || statement == Statement::Suspect || self.suspects_texts(record, statement, frame);
        is_suspect.then(|| self.redacted(record, dialect(), is_cut, frame)).flatten()
    }

    #[inline(never)]
    fn redacted(
        &self,
        record: &Record<'_>,
        dialect: Option<Dialect>,
        is_cut: bool,
        frame: Option<&[u8]>,
    ) -> Option<Redacted> {
        let mut row = Row {
            names: &self.names,
            dialect,
            is_cut,
            secrets: Vec::new(),
            parameters: Vec::new(),
            redacted: Redacted::default(),
        };
        row.take(record);
        row.take_echoes(record);
        if let Some(frame) = frame {
            row.take_frame(frame);
        }
        Some(row.redacted).filter(|redacted| !redacted.rules.is_empty())
    }

    /// The same for bytes that are no row.
    pub fn bytes<'b>(&self, bytes: &'b [u8], dialect: Option<Dialect>) -> (Cow<'b, [u8]>, Rules) {
        if !self.suspicion.holds(bytes) {
            return (bytes.into(), Rules::default());
        }
        let mut found = Found::default();
        free(&self.names, dialect, bytes, &mut found);
        if found.is_empty() {
            return (bytes.into(), Rules::default());
        }
        (found.cut_from(bytes).into(), found.rules)
    }

    /// The same for the first and the last bytes of a row. The last ones may begin with the end of a secret.
    pub fn ends(&self, oversize: &Oversize<'_>, dialect: Option<Dialect>) -> Ends {
        let (head, mut rules) = self.bytes(oversize.head, dialect);
        let mut found = Found::default();
        found.take(0, end_of_secret(oversize.tail, 0), Rules::CUT);
        free(&self.names, dialect, oversize.tail, &mut found);
        rules |= found.rules;
        let tail = found.cut_from(oversize.tail);
        Ends { length: oversize.length, sha256: oversize.sha256, head: head.into_owned(), tail, rules }
    }

    fn suspects_texts(&self, record: &Record<'_>, statement: Statement, frame: Option<&[u8]>) -> bool {
        slots::any_from_clients(record, statement == Statement::Unknown, |text| self.suspicion.holds(text))
            || frame.is_some_and(|frame| self.suspicion.holds(frame))
    }
}

/// What is left of the ends of a row that is too large.
#[derive(Debug)]
pub struct Ends {
    length: u64,
    sha256: [u8; 32],
    head: Vec<u8>,
    tail: Vec<u8>,
    /// What took something out.
    pub rules: Rules,
}

impl Ends {
    /// In the shape in which they came.
    pub fn oversize(&self) -> Oversize<'_> {
        Oversize { length: self.length, sha256: self.sha256, head: &self.head, tail: &self.tail }
    }
}

/// What is known of a statement before its row is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// Nothing.
    Unknown,
    /// It holds no secret.
    Clean,
    /// It may hold one.
    Suspect,
}

impl Statement {
    /// As it stands with what was read from it.
    pub fn of(told: Option<&Told<'_>>) -> Self {
        match told {
            None => Statement::Unknown,
            Some(told) if told.read.is_suspect => Statement::Suspect,
            Some(_) => Statement::Clean,
        }
    }
}

/// One row in which something is suspected.
struct Row<'n> {
    names: &'n Names,
    dialect: Option<Dialect>,
    /// The middle of its long texts was taken out.
    is_cut: bool,
    /// What was found, as it stood there.
    secrets: Vec<Vec<u8>>,
    /// Numbers of the statement's parameters that are secret.
    parameters: Vec<(usize, Rules)>,
    redacted: Redacted,
}

impl Row<'_> {
    fn take(&mut self, record: &Record<'_>) {
        for (slot, text) in slots::texts(record) {
            if slot == Slot::Parameters {
                self.take_parameters(record);
                continue;
            }
            let name = match slot {
                Slot::Extra(index) => record.extra.iter().nth(index).map(|(name, _)| *name).unwrap_or_default(),
                _ => "",
            };
            let mut found = Found::default();
            let is_statement = slot == Slot::Statement || messages::kind_of(name) == messages::Kind::Statement;
            let sql = self.dialect.filter(|_| is_statement);
            match sql {
                Some(dialect) => statement(self.names, dialect, text, &mut found),
                None => free(self.names, self.dialect, text, &mut found),
            }
            if self.is_cut {
                cut_ends(text, &mut found);
            }
            if slot == Slot::Statement {
                self.parameters.append(&mut found.parameters);
            }
            if name == "detail" {
                messages::in_parameters(text, &self.parameters, &mut found);
            }
            self.put(slot, text, found);
        }
    }

    fn put(&mut self, slot: Slot, text: &[u8], mut found: Found) {
        if found.is_empty() {
            return;
        }
        self.remember(&found, text);
        self.redacted.rules |= found.rules;
        self.redacted.changed.push((slot, found.cut_from(text)));
    }

    /// Keeps what was found, to search for it in the other texts.
    fn remember(&mut self, found: &Found, text: &[u8]) {
        let room = ECHOES_MAX.saturating_sub(self.secrets.len());
        let long = found.values(text).filter(|value| value.len() >= ECHO_BYTES_MIN);
        self.secrets.extend(long.take(room).map(<[u8]>::to_vec));
    }

    /// One CSV line: each parameter by itself.
    fn take_parameters(&mut self, record: &Record<'_>) {
        let parameters = record.statement.unwrap_or_default().parameters;
        let (mut out, mut any) = (Vec::new(), false);
        for (index, parameter) in parameters.iter().enumerate() {
            let mut found = Found::default();
            for (_, rule) in self.parameters.iter().filter(|(number, _)| *number == index + 1) {
                found.value(&parameter, 0, parameter.len(), *rule);
            }
            free(self.names, self.dialect, &parameter, &mut found);
            any |= !found.is_empty();
            out.extend_from_slice(if index == 0 { b"" } else { b"," });
            self.redacted.rules |= found.rules;
            self.remember(&found, &parameter);
            quote(&mut out, &found.cut_from(&parameter));
        }
        if any {
            self.redacted.changed.push((Slot::Parameters, out));
        }
    }

    /// What was found in one text, in all others but those that name something.
    fn take_echoes(&mut self, record: &Record<'_>) {
        if self.secrets.is_empty() {
            return;
        }
        for (slot, text) in slots::texts(record) {
            if !matches!(slot, Slot::ErrorMessage | Slot::Extra(_) | Slot::Withheld | Slot::Statement) {
                continue;
            }
            let changed = self.redacted.changed.iter().position(|(of, _)| *of == slot);
            let now = changed.map_or(text, |index| &self.redacted.changed[index].1);
            let mut found = Found::default();
            match self.dialect.filter(|_| slot == Slot::Statement) {
                Some(dialect) => echoes_in_strings(dialect, now, &self.secrets, &mut found),
                None => echoes(now, (0, now.len()), &self.secrets, &mut found),
            }
            if found.is_empty() {
                continue;
            }
            let left = found.cut_from(now);
            self.redacted.rules |= found.rules;
            match changed {
                Some(index) => self.redacted.changed[index].1 = left,
                None => self.redacted.changed.push((slot, left)),
            }
        }
    }

    fn take_frame(&mut self, frame: &[u8]) {
        let mut found = Found::default();
        free(self.names, self.dialect, frame, &mut found);
        let left = if found.is_empty() { frame.to_vec() } else { found.cut_from(frame) };
        let mut echo = Found::default();
        echoes(&left, (0, left.len()), &self.secrets, &mut echo);
        if found.is_empty() && echo.is_empty() {
            return;
        }
        self.redacted.rules |= found.rules;
        self.redacted.rules |= echo.rules;
        self.redacted.frame = Some(if echo.is_empty() { left } else { echo.cut_from(&left) });
    }
}

/// SQL.
fn statement(names: &Names, dialect: Dialect, text: &[u8], found: &mut Found) {
    Walk::new(names, Some(dialect), found).statement(dialect, text);
    torn(Walk::new(names, Some(dialect), found), dialect, text);
    shapes::scan(text, found);
}

/// Of a statement with a quote too many, or one too few, nobody knows what is in its strings and what between them: it is any text too.
fn torn(mut walk: Walk<'_>, dialect: Dialect, text: &[u8]) {
    let mut before = None;
    let is_torn = Tokens::new(dialect, text).any(|token| {
        let last = before.replace((token.kind, token.span.end));
        let follows =
            token.kind == Kind::Word && last == Some((Kind::String, token.span.start)) && token.word == Word::Other;
        follows || token.open && token.kind != Kind::Comment
    });
    if is_torn {
        walk.text(text, (0, text.len()));
    }
}

/// A text of which nothing is known. There may be SQL in it: then that finds what only its grammar tells.
fn free(names: &Names, dialect: Option<Dialect>, text: &[u8], found: &mut Found) {
    Walk::new(names, dialect, found).text(text, (0, text.len()));
    if let Some(dialect) = dialect {
        sql_within(names, dialect, text, found);
        if let Some(plain) = messages::without_escapes(text) {
            sql_within(names, dialect, &plain, found);
        }
    }
    messages::in_key(names, text, found);
    shapes::scan(text, found);
}

/// The text may be SQL, or have some in it.
fn sql_within(names: &Names, dialect: Dialect, text: &[u8], found: &mut Found) {
    Walk::new(names, Some(dialect), found).guess(dialect, text);
    for from in messages::statements(text) {
        let mut part = Found::default();
        Walk::new(names, Some(dialect), &mut part).guess(dialect, &text[from..]);
        found.absorb(&part, from);
    }
}

/// Of a text whose middle was taken out: what follows may be the end of a secret, whose beginning nobody saw.
fn cut_ends(text: &[u8], found: &mut Found) {
    let Some(note) = memchr::memmem::find(text, NOTE.0) else { return };
    let Some(len) = memchr::memmem::find(&text[note..], NOTE.1) else { return };
    let from = note + len + NOTE.1.len();
    found.take(from, end_of_secret(text, from), Rules::CUT);
}

/// Where a secret ends whose beginning was cut off: at the quote that closes it, or before the host of a URL. What ends at a blank is taken for a
/// word as any other.
fn end_of_secret(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'\'' | b'"' | b'@' | b';');
    match rest.iter().position(ends) {
        Some(len)
            if matches!(rest[len], b'\'' | b'"' | b'@') && rest[..len].iter().any(|byte| items::is_word(*byte)) =>
        {
            from + len
        }
        _ => from,
    }
}

/// In a statement whoever is named keeps his name, also where it is the password.
fn echoes_in_strings(dialect: Dialect, text: &[u8], secrets: &[Vec<u8>], found: &mut Found) {
    for token in Tokens::new(dialect, text) {
        let (start, end) = (token.span.start as usize, token.span.end as usize);
        let is_account = text.get(end) == Some(&b'@');
        if matches!(token.kind, Kind::String | Kind::DollarString | Kind::Comment) && !is_account {
            echoes(text, (start, end), secrets, found);
        }
    }
}

/// Wherever one of the secrets stands; short ones only where they are words.
fn echoes(text: &[u8], (from, to): (usize, usize), secrets: &[Vec<u8>], found: &mut Found) {
    for secret in secrets {
        for at in memchr::memmem::find_iter(&text[from..to], secret) {
            let at = from + at;
            let end = at + secret.len();
            let is_part = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|byte| items::is_word(*byte));
            let is_word = !is_part(at.checked_sub(1)) && !is_part(Some(end));
            if secret.len() >= 2 * ECHO_BYTES_MIN || is_word {
                found.take(at, end, Rules::ECHO);
            }
        }
    }
}

/// Of which one stands in every text in which a name stands, whatever is between its parts: the longest part; of a name that is written without any its last
/// letters, whole or with a mark between two of them.
fn needles(name: &str) -> Vec<String> {
    let name = name.trim_start_matches('*');
    let marks = ['_', '-', ' '];
    if name.contains(marks) || name.len() <= NEEDLE_BYTES {
        return vec![name.split(marks).max_by_key(|part| part.len()).unwrap_or_default().to_owned()];
    }
    let last = &name[name.len() - NEEDLE_BYTES..];
    let split = |(at, mark): (usize, char)| format!("{}{mark}{}", &last[..at], &last[at..]);
    let places = (1..NEEDLE_BYTES).flat_map(|at| marks.map(|mark| (at, mark)));
    std::iter::once(last.to_owned()).chain(places.map(split)).collect()
}

/// Long enough not to stand in every other text.
const NEEDLE_BYTES: usize = 4;

/// As pgAudit quotes a parameter.
fn quote(out: &mut Vec<u8>, parameter: &[u8]) {
    if !parameter.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return out.extend_from_slice(parameter);
    }
    out.push(b'"');
    for byte in parameter {
        out.extend_from_slice(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_announces_a_secret_arouses_suspicion() {
        let redactor = Redactor::new(&Redact::default(), None);
        for word in Names::all() {
            for word in [word.clone(), word.to_ascii_uppercase(), format!("x_{word}")] {
                // Wherever it begins in the text.
                for text in [format!("{word}='x'"), format!(" {word} = 'x'"), format!("SET {word}('x')")] {
                    assert!(redactor.suspicion.holds(text.as_bytes()), "{text}");
                }
            }
        }
    }

    #[test]
    fn names_and_functions_of_the_configuration_are_found() {
        let redact = Redact {
            secret_names: vec!["pin_code".to_owned(), "taxnumber".to_owned()],
            secret_arguments: vec![("my_login".to_owned(), vec![2])],
            ..Redact::default()
        };
        let redactor = Redactor::new(&redact, None);
        for (sql, left) in [
            ("SET user_pincode = '12345'", "SET user_pincode = '[redacted]'"),
            ("SET \"PIN-CODE\" = '12345'", "SET \"PIN-CODE\" = '[redacted]'"),
            ("SET tax_number = '12345', b = 1", "SET tax_number = '[redacted]', b = 1"),
            ("SET \"Tax Numb_er\" = '12345'", "SET \"Tax Numb_er\" = '[redacted]'"),
            ("SELECT my_login('a', 'b', 'c')", "SELECT my_login('a', '[redacted]', 'c')"),
            ("SELECT MY_LOGIN('a', 'b')", "SELECT MY_LOGIN('a', '[redacted]')"),
        ] {
            let statement = sealtrail_parsers::Statement { text: Some(sql.as_bytes()), ..Default::default() };
            let record = Record { statement: Some(statement), ..Record::default() };
            let redacted =
                redactor.record(&record, || Some(Dialect::POSTGRES), Statement::Unknown, false, None).unwrap();
            let record = redacted.record(&record);
            let text = record.statement.and_then(|statement| statement.text).unwrap();
            assert_eq!(String::from_utf8_lossy(text), left);
        }
    }

    #[test]
    fn half_a_doubled_quote_at_the_end_holds_nothing() {
        let redactor = Redactor::new(&Redact::default(), None);
        for planted in [" ALTER ROLE a PASSWORD 'Kx9qW0vT7' ", " IDENTIFIED BY 'Kx9qW0vT7' ", " x://u:Kx9qW0vT7@h "] {
            let text = format!("\\password\\'{planted}\\password\\'");
            let statement = sealtrail_parsers::Statement { text: Some(text.as_bytes()), ..Default::default() };
            let record =
                Record { statement: Some(statement), error_message: Some(text.as_bytes()), ..Record::default() };
            for statement in [Statement::Unknown, Statement::Suspect] {
                redactor.record(&record, || Some(Dialect::POSTGRES), statement, false, None);
            }
        }
    }

    #[test]
    fn a_text_that_is_all_announcements_is_gone_through_to_its_end() {
        let redactor = Redactor::new(&Redact::default(), None);
        for piece in [
            "crypt(",
            "password='",
            "password=\"",
            "PASSWORD ",
            "a,b),(",
            "$$password",
            "\\'pwd=",
            "identified by ",
            "x://y:z",
        ] {
            let text = format!("INSERT INTO t (a, password) VALUES {}", piece.repeat(60_000 / piece.len()));
            // Without its bounds this would take hours.
            let statement = sealtrail_parsers::Statement { text: Some(text.as_bytes()), ..Default::default() };
            let record =
                Record { statement: Some(statement), error_message: Some(text.as_bytes()), ..Record::default() };
            redactor.record(&record, || Some(Dialect::POSTGRES), Statement::Unknown, false, None);
        }
    }

    const PIECES: [&str; 40] = [
        "password",
        "PASSWORD ",
        "=",
        "'",
        "''",
        "\"",
        "\\",
        "\\'",
        "$$",
        "$x$",
        "(",
        ")",
        ",",
        ";",
        " identified by ",
        "with",
        "://",
        "u:p@h",
        "--",
        "/*",
        "*/",
        "\n",
        "E'",
        "q'[",
        "&apos;",
        "Bearer ",
        "authorization: ",
        "format('%L",
        "||",
        "insert into t (a, pwd) values (",
        "hmac(",
        "set_config(",
        "eyJhbGciOiJIUzI1NiJ9.",
        "-----BEGIN PRIVATE KEY-----",
        "$2a$10$",
        "AKIAIOSFODNN7EXAMPLE",
        "create user ",
        "`",
        "é",
        "?",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        /// Whatever stands in a row: nothing panics, and what was cleaned is clean.
        #[test]
        fn any_text_is_gone_through_and_what_is_left_is_left_again(
            pieces in proptest::collection::vec((0..PIECES.len() + 4, any::<u8>()), 0..40),
            dialect in 0usize..4,
            is_cut in any::<bool>(),
        ) {
            let redactor = Redactor::new(&Redact::default(), None);
            let dialect = [Dialect::POSTGRES, Dialect::MYSQL, Dialect::ORACLE, Dialect::TSQL][dialect];
            let mut text = Vec::new();
            for (piece, byte) in pieces {
                match PIECES.get(piece) {
                    Some(piece) => text.extend_from_slice(piece.as_bytes()),
                    None => text.push(byte),
                }
            }
            let statement = sealtrail_parsers::Statement {
                text: Some(&text),
                parameters: sealtrail_parsers::Parameters::Csv(&text),
                ..Default::default()
            };
            let record = Record { statement: Some(statement), error_message: Some(&text), ..Record::default() };
            let redacted = redactor.record(&record, || Some(dialect), Statement::Suspect, is_cut, Some(&text));
            let _ = redactor.bytes(&text, Some(dialect));
            let _ = redactor.suspects(dialect, &text);
            if let Some(redacted) = redacted {
                let left = redacted.record(&record);
                prop_assert!(!redacted.rules.is_empty() && left.statement.is_some());
            }
            for planted in [&b" ALTER ROLE a PASSWORD 'Kx9qW0vT7' "[..], b" IDENTIFIED BY 'Kx9qW0vT7' ", b" x://u:Kx9qW0vT7@h "] {
                let around = [&text[..], planted, &text].concat();
                let (left, _) = redactor.bytes(&around, Some(dialect));
                let holds = |text: &[u8]| memchr::memmem::find(text, b"Kx9qW0vT7").is_some();
                prop_assert!(!holds(&left), "{}", String::from_utf8_lossy(&left));
                let mut record = Record { error_message: Some(&around), ..Record::default() };
                record.statement = Some(sealtrail_parsers::Statement { text: Some(&around), ..Default::default() });
                let redacted = redactor.record(&record, || Some(dialect), Statement::Unknown, false, None).unwrap();
                let left = redacted.record(&record);
                prop_assert!(!left.error_message.is_some_and(holds), "{}", String::from_utf8_lossy(&around));
                let text = left.statement.and_then(|statement| statement.text);
                prop_assert!(!text.is_some_and(holds), "{:?}: {}", dialect, String::from_utf8_lossy(&around));
            }
        }
    }
}
