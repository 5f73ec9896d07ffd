//! Prepared statements: `EXECUTE p` says a name, and what runs is the text that a `PREPARE` of the same session gave it.
//!
//! Owns what a text does to the names of its session, and the bounded memory of them. Where the row itself has the text (PostgreSQL's `prepare: …`, `EXECUTE
//! IMMEDIATE '…'`, pgAudit's row of what is executed) that is taken, and nothing is remembered that the engine says better.
//!
//! Hard is that a name must never stand for a text that it no longer has: to say that nobody told is better. PostgreSQL's statement log tells of a
//! `PREPARE` before it is done, and of its failure in another row, so that until something else is known the name may mean either.

use std::borrow::Cow;
use std::collections::HashMap;

use sealtrail_parsers::{Act, Record, Status, Value};
use sealtrail_sql::{Dialect, Doubts, Engine, Kind, Statement, Token, Tokens, name::normalized};

use super::told::{How, Told};
use crate::limits::{PREPARED_BYTES_MAX, PREPARED_STATEMENT_BYTES_MAX};

/// What a row's statement runs, where that is another text than its own.
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    /// The statement.
    pub text: Cow<'a, [u8]>,
    /// Who told it.
    pub how: How,
}

/// What a statement does to the names of its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// It gives one a text; `None`: which cannot be told.
    Prepares(Vec<u8>, Option<Cow<'a, [u8]>>),
    /// It runs one.
    Executes(Vec<u8>),
    /// It takes one away.
    Forgets(Vec<u8>),
    /// It takes all away.
    ForgetsAll,
}

/// Whether what another text says follows the statement's own words, and is run or explained with them: `EXPLAIN EXECUTE p`, `CREATE TABLE t AS
/// EXECUTE p`.
fn ends_in_execute(dialect: Dialect, statement: &Statement) -> bool {
    let has_words_before = matches!(statement.action, "EXPLAIN" | "CREATE TABLE AS");
    has_words_before && statement.inner == "EXECUTE" && dialect.engine == Engine::Postgres
}

/// Whether what the statement does depends on what another text says.
pub fn depends(dialect: Dialect, statement: &Statement) -> bool {
    executes(dialect, statement) || ends_in_execute(dialect, statement)
}

/// What the statement does, with the text in its place that the name in it stands for.
pub fn in_place<'a>(dialect: Dialect, text: &[u8], statement: &Statement, prepared: &'a [u8]) -> Cow<'a, [u8]> {
    let own = statement.span.of(text);
    let Some(execute) = execute_within(dialect, own).filter(|_| ends_in_execute(dialect, statement)) else {
        return prepared.into();
    };
    let words: Vec<&[u8]> = tokens(dialect, own).map(|token| token.span.of(own)).collect();
    let mut last = words.iter().rev().zip([&b"DATA"[..], b"NO", b"WITH"]);
    let without_rows: &[u8] =
        if last.all(|(word, of)| word.eq_ignore_ascii_case(of)) { b"\nWITH NO DATA" } else { b"" };
    [&own[..execute.span.start as usize], prepared, without_rows].concat().into()
}

/// The word before the name, behind `EXPLAIN` and its options or behind `AS`.
fn execute_within(dialect: Dialect, text: &[u8]) -> Option<Token> {
    let (mut depth, mut follows_as) = (0usize, false);
    let is_explain = tokens(dialect, text).next()?.span.of(text).eq_ignore_ascii_case(b"EXPLAIN");
    tokens(dialect, text).find(|token| {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        let word = if token.kind == Kind::Word { token.span.of(text) } else { b"" };
        let is_here = depth == 0 && (is_explain || follows_as) && word.eq_ignore_ascii_case(b"EXECUTE");
        follows_as = word.eq_ignore_ascii_case(b"AS");
        is_here
    })
}

/// Whether any statement of the text has to do with names. Asked of every row that has a statement: it looks at lengths first.
pub fn concerns(told: &Told<'_>) -> bool {
    knows_names(told.dialect)
        && told.reading().statements.iter().any(|it| is_concerned(it) || ends_in_execute(told.dialect, it))
}

fn knows_names(dialect: Dialect) -> bool {
    matches!(dialect.engine, Engine::Postgres | Engine::Mysql)
}

fn is_concerned(statement: &Statement) -> bool {
    matches!(statement.action, "PREPARE" | "EXECUTE" | "DEALLOCATE" | "DEALLOCATE ALL" | "DISCARD ALL" | "DROP")
}

/// Whether the statement runs what another text says.
pub fn executes(dialect: Dialect, statement: &Statement) -> bool {
    statement.action == "EXECUTE" && knows_names(dialect)
}

/// What a statement of the text does to names.
pub fn effect<'a>(dialect: Dialect, text: &'a [u8], statement: &Statement) -> Option<Effect<'a>> {
    let own = statement.span.of(text);
    match statement.action {
        "DEALLOCATE ALL" | "DISCARD ALL" => Some(Effect::ForgetsAll),
        "DEALLOCATE" => Some(Effect::Forgets(name_of(dialect, own, tokens(dialect, own).last()?)?)),
        "DROP" if dialect.engine == Engine::Mysql => dropped(dialect, own).map(Effect::Forgets),
        "EXECUTE" => {
            let token = tokens(dialect, own).nth(1)?;
            let is_immediate = dialect.engine == Engine::Mysql && token.span.of(own).eq_ignore_ascii_case(b"IMMEDIATE");
            name_of(dialect, own, token).filter(|_| !is_immediate).map(Effect::Executes)
        }
        _ if ends_in_execute(dialect, statement) => {
            let execute = execute_within(dialect, own)?;
            let mut behind = tokens(dialect, own).skip_while(|token| token.span.start <= execute.span.start);
            name_of(dialect, own, behind.next()?).map(Effect::Executes)
        }
        "PREPARE" => {
            let mut tokens = tokens(dialect, own).skip(1);
            let name = name_of(dialect, own, tokens.next()?)?;
            Some(Effect::Prepares(name, prepared_text(dialect, own, tokens)))
        }
        _ => None,
    }
}

/// `DROP PREPARE p`
fn dropped(dialect: Dialect, text: &[u8]) -> Option<Vec<u8>> {
    let mut tokens = tokens(dialect, text).skip(1);
    let is_one = tokens.next()?.span.of(text).eq_ignore_ascii_case(b"PREPARE");
    is_one.then(|| tokens.next()).flatten().and_then(|token| name_of(dialect, text, token))
}

/// `(int) AS SELECT …`; `FROM 'SELECT …'`. Of a variable, or an expression, nobody knows the value.
fn prepared_text<'a>(
    dialect: Dialect,
    text: &'a [u8],
    mut tokens: impl Iterator<Item = Token>,
) -> Option<Cow<'a, [u8]>> {
    if dialect.engine == Engine::Mysql {
        let is_from = tokens.next()?.span.of(text).eq_ignore_ascii_case(b"FROM");
        let string = tokens.next().filter(|_| is_from && tokens.next().is_none())?;
        return string_value(dialect, text, string);
    }
    let mut depth = 0usize;
    let found = tokens.find(|token| {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.kind == Kind::Word && token.span.of(text).eq_ignore_ascii_case(b"AS")
    });
    let first = found.and_then(|_| tokens.next())?;
    text.get(first.span.start as usize..).map(Cow::Borrowed)
}

/// `EXECUTE IMMEDIATE 'SELECT …'`, with `USING` behind it or nothing.
fn immediate<'a>(dialect: Dialect, text: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut tokens = tokens(dialect, text).skip(1);
    let is_one = dialect.engine == Engine::Mysql && tokens.next()?.span.of(text).eq_ignore_ascii_case(b"IMMEDIATE");
    let string = tokens.next().filter(|_| is_one)?;
    let is_whole = tokens.next().is_none_or(|token| token.span.of(text).eq_ignore_ascii_case(b"USING"));
    is_whole.then(|| string_value(dialect, text, string)).flatten()
}

fn tokens(dialect: Dialect, text: &[u8]) -> impl Iterator<Item = Token> {
    Tokens::new(dialect, text).filter(|token| token.kind != Kind::Comment)
}

/// PostgreSQL cuts names at 63 bytes, MySQL takes 64 letters; both with quotes, and some of them doubled.
const NAME_BYTES_MAX: usize = 512;

/// As sessions compare them.
fn name_of(dialect: Dialect, text: &[u8], token: Token) -> Option<Vec<u8>> {
    let is_name = matches!(token.kind, Kind::Word | Kind::Quoted) && !token.open && token.span.len() <= NAME_BYTES_MAX;
    is_name.then(|| {
        let mut name = normalized(dialect, token.span.of(text)).into_owned();
        // MySQL compares them whatever their letters are.
        if dialect.engine == Engine::Mysql {
            name.make_ascii_lowercase();
        }
        name
    })
}

/// What a plain string of MySQL says. One with a character set before it, or cut off, is none.
pub(super) fn string_value<'a>(dialect: Dialect, text: &'a [u8], token: Token) -> Option<Cow<'a, [u8]>> {
    let [quote @ (b'\'' | b'"'), inner @ .., _] = token.span.of(text) else { return None };
    if token.kind != Kind::String || token.open {
        return None;
    }
    let is_escape = |byte: u8| byte == *quote || (byte == b'\\' && dialect.backslash);
    if !inner.iter().any(|byte| is_escape(*byte)) {
        return Some(Cow::Borrowed(inner));
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            _ if !is_escape(byte) => value.push(byte),
            b'\\' => value.extend(bytes.next().map(unescaped)),
            // The second of two.
            _ => value.extend(bytes.next()),
        }
    }
    Some(Cow::Owned(value))
}

fn unescaped(letter: u8) -> u8 {
    match letter {
        b'0' => 0,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'Z' => 26,
        other => other,
    }
}

/// What the row itself says that it runs.
pub fn told_by_row<'a>(record: &Record<'a>, told: &Told<'_>) -> Option<Runs<'a>> {
    let (dialect, statement) = (told.dialect, told.statement()?);
    // As long as the row, which the reading is not.
    let text = record.statement?.text?;
    match statement.action {
        // pgAudit's row of what is executed has the text of the PREPARE, and the command of what is in it.
        "PREPARE" if dialect.engine == Engine::Postgres && is_executed(record, statement) => {
            let Effect::Prepares(_, Some(text)) = effect(dialect, text, statement)? else { return None };
            Some(Runs { text, how: How::Text })
        }
        "EXECUTE" => {
            let text = match detail(record).filter(|_| dialect.engine == Engine::Postgres) {
                Some(detail) => of_detail(dialect, text, statement, detail)?,
                None => immediate(dialect, statement.span.of(text))?,
            };
            Some(Runs { text, how: How::Row })
        }
        _ => None,
    }
}

/// The text in which PostgreSQL says that the statement was prepared.
pub fn detail<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(detail) if *name == "detail" => detail.strip_prefix(b"prepare: "),
        _ => None,
    })
}

fn is_executed(record: &Record<'_>, statement: &Statement) -> bool {
    let class = record.statement.and_then(|statement| statement.class);
    let is_other = |command: &[u8]| !command.eq_ignore_ascii_case(b"PREPARE");
    class.is_some() && record.command.is_some_and(is_other) && !statement.inner.is_empty()
}

/// Of the text in which a statement was prepared: what the name stands for. A text without any `PREPARE` was prepared through the protocol.
fn of_detail<'a>(dialect: Dialect, text: &[u8], statement: &Statement, detail: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let Effect::Executes(wanted) = effect(dialect, text, statement)? else { return None };
    let reading = sealtrail_sql::read(dialect, detail);
    if let [one] = reading.statements.as_slice()
        && one.action != "PREPARE"
    {
        return Some(Cow::Borrowed(one.span.of(detail)));
    }
    let mut found = reading.statements.iter().filter_map(|one| match effect(dialect, detail, one)? {
        Effect::Prepares(name, text) if name == wanted => Some(text),
        _ => None,
    });
    let first = found.next()??;
    (found.next().is_none() && reading.unread == 0).then_some(first)
}

/// Whether the engine says that there is no such name.
pub fn is_unknown(record: &Record<'_>) -> bool {
    matches!(record.error_code, Some(b"26000" | b"1243"))
}

/// Whether the row may have less than the whole statement: then a name may be half a name, and a text half a text.
pub fn is_cut(record: &Record<'_>, told: &Told<'_>, statement: &Statement) -> bool {
    let length = record.statement.and_then(|statement| statement.text).map_or(0, <[u8]>::len);
    length != told.text.len()
        || record.flags.iter().any(|flag| matches!(*flag, "truncated" | "incomplete"))
        || statement.doubts.has(Doubts::CUT)
}

/// Whether the row was written before its statement was done, and a failure will have a row of its own.
pub fn may_still_fail(record: &Record<'_>, dialect: Dialect) -> bool {
    record.act == Act::LoggedStatement && dialect.engine == Engine::Postgres && record.status == Status::Unknown
}

/// The texts of prepared statements, of all sessions of a source. Those that were not used for longest are forgotten: two maps, of which the older one
/// goes when the newer is full.
#[derive(Debug, Default)]
pub struct Prepared {
    newer: Names,
    older: Names,
    newer_bytes: usize,
    sessions: u64,
}

type Names = HashMap<Vec<u8>, Meant, foldhash::fast::RandomState>;

/// The names of one session, until it forgets them all: a number that no other has, or has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(u64);

/// What a name stands for; a text that is `None` is not known.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    Is(Text),
    /// Or for the one before, if there was one: the engine has not done it yet.
    Asked {
        before: Option<Text>,
        asked: Text,
    },
}

type Text = Option<Box<[u8]>>;

impl Meant {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Meant::Is(text) | Meant::Asked { before: None, asked: text } => text.as_deref(),
            Meant::Asked { before: Some(before), asked } => asked.as_deref().filter(|_| before == asked),
        }
    }

    fn bytes(&self) -> usize {
        let of = |text: &Text| text.as_deref().map_or(0, <[u8]>::len);
        match self {
            Meant::Is(text) => of(text),
            Meant::Asked { before, asked } => of(asked) + before.as_ref().map_or(0, of),
        }
    }

    /// Where it stands for one text, or for one of two: the text that it has as long as nothing new is done.
    fn settled(self) -> Text {
        match self {
            Meant::Is(text) | Meant::Asked { before: Some(text), .. } | Meant::Asked { before: None, asked: text } => {
                text
            }
        }
    }
}

impl Prepared {
    /// The names of a session that has none.
    pub fn group(&mut self) -> Group {
        self.sessions += 1;
        Group(self.sessions)
    }

    /// What the name stands for.
    pub fn text(&mut self, group: Group, name: &[u8]) -> Option<&[u8]> {
        let key = key(group, name);
        if let Some(meant) = self.older.remove(&key) {
            self.insert(key.clone(), meant);
        }
        self.newer.get(&key)?.text()
    }

    /// Gives it a text.
    pub fn set(&mut self, group: Group, name: &[u8], text: Option<&[u8]>, may_still_fail: bool) {
        let key = key(group, name);
        let text: Text = text.filter(|text| text.len() <= PREPARED_STATEMENT_BYTES_MAX).map(Into::into);
        let before = self.remove(&key).map(Meant::settled);
        let meant = if may_still_fail { Meant::Asked { before, asked: text } } else { Meant::Is(text) };
        self.insert(key, meant);
    }

    /// What it was given last it was not.
    pub fn failed(&mut self, group: Group, name: &[u8]) {
        let key = key(group, name);
        match self.remove(&key) {
            Some(Meant::Asked { before: Some(before), .. } | Meant::Is(before)) => self.insert(key, Meant::Is(before)),
            Some(Meant::Asked { before: None, .. }) | None => {}
        }
    }

    /// Takes it away.
    pub fn forget(&mut self, group: Group, name: &[u8]) {
        self.remove(&key(group, name));
    }

    fn remove(&mut self, key: &[u8]) -> Option<Meant> {
        let newer = self.newer.remove_entry(key);
        if let Some((key, meant)) = &newer {
            self.newer_bytes -= bytes(key, meant);
        }
        newer.map(|(_, meant)| meant).or_else(|| self.older.remove(key))
    }

    /// Of a name that is in neither map.
    fn insert(&mut self, key: Vec<u8>, meant: Meant) {
        let bytes = bytes(&key, &meant);
        if self.newer_bytes + bytes > PREPARED_BYTES_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += bytes;
        self.newer.insert(key, meant);
    }
}

fn key(group: Group, name: &[u8]) -> Vec<u8> {
    [&group.0.to_le_bytes(), name].concat()
}

/// With what the map takes for each, about.
fn bytes(key: &[u8], meant: &Meant) -> usize {
    2 * size_of::<(Vec<u8>, Meant)>() + key.len() + meant.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dialect: Dialect, text: &str) -> Option<Effect<'_>> {
        let reading = sealtrail_sql::read(dialect, text.as_bytes());
        effect(dialect, text.as_bytes(), &reading.statements[0])
    }

    #[test]
    fn a_prepare_says_a_name_and_a_statement() {
        for (dialect, text, name, statement) in [
            (Dialect::POSTGRES, "PREPARE P AS SELECT 1", "p", Some("SELECT 1")),
            (
                Dialect::POSTGRES,
                "PREPARE \"P 1\" (numeric(10,2), int) AS /* x */ DELETE FROM a;",
                "P 1",
                Some("DELETE FROM a"),
            ),
            (Dialect::POSTGRES, "PREPARE p", "p", None),
            (Dialect::MYSQL, "PREPARE `S` FROM 'SELECT ''a\\n'''", "s", Some("SELECT 'a\n'")),
            (Dialect::MYSQL, "prepare s from \"SELECT 'a'\"", "s", Some("SELECT 'a'")),
            (Dialect::MYSQL, "PREPARE s FROM @text", "s", None),
            (Dialect::MYSQL, "PREPARE s FROM 'SELECT ' 'a'", "s", None),
            (Dialect::MYSQL, "PREPARE s FROM CONCAT('a', 'b')", "s", None),
            (Dialect::MYSQL, "PREPARE s FROM 'SELECT 1", "s", None),
        ] {
            let wanted = Effect::Prepares(name.into(), statement.map(|it| Cow::Borrowed(it.as_bytes())));
            assert_eq!(of(dialect, text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn names_are_used_and_taken_away() {
        let (postgres, mysql) = (Dialect::POSTGRES, Dialect::MYSQL);
        let executes = |name: &str| Some(Effect::Executes(name.into()));
        let forgets = |name: &str| Some(Effect::Forgets(name.into()));
        for (dialect, text, wanted) in [
            (postgres, "EXECUTE P(1, 'a')", executes("p")),
            (mysql, "execute `S` USING @a", executes("s")),
            (mysql, "EXECUTE IMMEDIATE @a", None),
            (postgres, "DEALLOCATE p", forgets("p")),
            (postgres, "DEALLOCATE PREPARE \"P\"", forgets("P")),
            (postgres, "DEALLOCATE PREPARE ALL", Some(Effect::ForgetsAll)),
            (postgres, "DEALLOCATE \"all\"", forgets("all")),
            (postgres, "DISCARD ALL", Some(Effect::ForgetsAll)),
            (postgres, "DISCARD PLANS", None),
            (postgres, "PREPARE TRANSACTION 'x'", None),
            (mysql, "DEALLOCATE PREPARE S", forgets("s")),
            (mysql, "DROP PREPARE s", forgets("s")),
            (mysql, "DROP TABLE prepare", None),
        ] {
            assert_eq!(of(dialect, text), wanted, "{text}");
        }
    }

    #[test]
    fn a_name_that_may_mean_either_of_two_texts_means_none() {
        let mut prepared = Prepared::default();
        let group = prepared.group();
        let text = |prepared: &mut Prepared| prepared.text(group, b"p").map(<[u8]>::to_vec);
        prepared.set(group, b"p", Some(b"one"), true);
        assert_eq!(text(&mut prepared).as_deref(), Some(&b"one"[..]));
        prepared.set(group, b"p", Some(b"two"), true);
        assert_eq!(text(&mut prepared), None);
        prepared.failed(group, b"p");
        assert_eq!(text(&mut prepared).as_deref(), Some(&b"one"[..]));
        prepared.set(group, b"p", Some(b"two"), false);
        prepared.failed(group, b"p");
        assert_eq!(text(&mut prepared).as_deref(), Some(&b"two"[..]), "the engine has done it");
        prepared.forget(group, b"p");
        prepared.set(group, b"p", Some(b"three"), true);
        prepared.failed(group, b"p");
        assert_eq!(text(&mut prepared), None);
    }

    #[test]
    fn memory_stays_within_its_bound_and_names_in_use_stay() {
        let mut prepared = Prepared::default();
        let used = prepared.group();
        prepared.set(used, b"used", Some(b"SELECT 1"), false);
        let long = vec![b'x'; PREPARED_STATEMENT_BYTES_MAX];
        for number in 0..1000u32 {
            let group = prepared.group();
            prepared.set(group, &number.to_le_bytes(), Some(&long), false);
            assert_eq!(prepared.text(used, b"used"), Some(&b"SELECT 1"[..]));
            let of = |names: &Names| names.iter().map(|(key, meant)| bytes(key, meant)).sum::<usize>();
            assert_eq!(of(&prepared.newer), prepared.newer_bytes);
            assert!(of(&prepared.newer) + of(&prepared.older) <= PREPARED_BYTES_MAX);
        }
        assert_eq!(prepared.text(Group(2), &0u32.to_le_bytes()), None, "forgotten");
        prepared.set(used, b"long", Some(&[long, vec![b'y']].concat()), false);
        assert_eq!(prepared.text(used, b"long"), None, "too long to keep");
    }
}
