//! What was read from statements, kept for when the same bytes come again.
//!
//! Applications send the same few statements all day. A table of fixed size, one place a statement by its hash, and no list of who came
//! last: a statement that falls on another's place takes it. Whoever comes for the first time leaves only its hash, so that statements
//! which are each their own (values written into the text) push nothing out and are not copied.
//!
//! Where statements differ in their numbers alone, and [`alike`] can prove that nothing else depends on them, they have one place: the reading is
//! moved along to the text at hand.

use std::sync::Arc;

use sealtrail_parsers::{Dialect as RowDialect, Record};
use sealtrail_sql::{Dialect, Reader, Reading};

use super::alike::{self, Number, Skeleton};
use super::facts::{self, Facts};
use super::prepared::Runs;
use super::told::Told;
use super::{command, sql_dialect};
use crate::limits::{READ_STATEMENT_BYTES_MAX, READINGS_BYTES_MAX, READINGS_MAX};
use crate::redact::{Redact, Redactor};

/// Reads statements, and remembers.
#[derive(Debug)]
pub struct Readings {
    places: Vec<Place>,
    reader: Reader,
    /// Asked once a text whether it may hold a secret.
    redactor: Arc<Redactor>,
    /// Of the text at hand.
    skeleton: Skeleton,
    /// Of the statement that was read last and is not kept.
    passing: Read,
    /// Taken by the statements that are kept, about.
    bytes: usize,
}

/// What is known of one text.
#[derive(Debug, Default)]
pub struct Read {
    /// By the SQL reader.
    pub reading: Reading,
    /// What the rules ask for, so far as the text alone answers it: one for each statement.
    pub facts: Vec<Facts>,
    /// It may hold a secret.
    pub is_suspect: bool,
}

#[derive(Debug, Default)]
struct Place {
    /// Of the text that came last.
    hash: u64,
    kept: Option<Box<Kept>>,
}

#[derive(Debug)]
struct Kept {
    dialect: Dialect,
    /// Or its skeleton, where there are numbers.
    text: Vec<u8>,
    /// Where they stand in the text that came last; the reading points into that one.
    numbers: Vec<Number>,
    read: Read,
}

/// How the note begins that stands where the middle of a text was.
const NOTE: &[u8] = b"[... ";

impl Kept {
    fn new(dialect: Dialect) -> Self {
        Kept { dialect, text: Vec::new(), numbers: Vec::new(), read: Read::default() }
    }

    /// Whether it is of this text, or of another that has its skeleton. Without numbers a text is no skeleton.
    fn is_of(&self, dialect: Dialect, key: &[u8], numbers: &[Number]) -> bool {
        self.dialect == dialect && self.numbers.len() == numbers.len() && self.text == key
    }

    fn move_to(&mut self, numbers: &[Number]) {
        if self.numbers != numbers {
            alike::move_reading(&mut self.read.reading, &self.numbers, numbers);
            self.numbers.copy_from_slice(numbers);
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.numbers.capacity() * size_of::<Number>()
            + self.read.reading.bytes()
    }
}

impl Default for Readings {
    fn default() -> Self {
        Readings::new(Arc::new(Redactor::new(&Redact::default(), None)))
    }
}

impl Readings {
    /// Empty.
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Readings {
            places: Vec::new(),
            reader: Reader::new(),
            redactor,
            skeleton: Skeleton::default(),
            passing: Read::default(),
            bytes: 0,
        }
    }

    /// What the text says. Allocates nothing for one that is kept.
    pub fn of(&mut self, dialect: Dialect, text: &[u8]) -> &Read {
        if text.len() > READ_STATEMENT_BYTES_MAX {
            return self.pass(dialect, text);
        }
        if self.places.is_empty() {
            self.places.resize_with(READINGS_MAX, Place::default);
        }
        let mut skeleton = std::mem::take(&mut self.skeleton);
        let key = if skeleton.take(text) { &skeleton.text } else { text };
        let index = self.place_of(dialect, text, key, &skeleton.numbers);
        self.skeleton = skeleton;
        let kept = index.and_then(|index| self.places[index].kept.as_ref());
        kept.map_or(&self.passing, |kept| &kept.read)
    }

    /// Where the reading of a text is kept, after moving it to this one; `None` where it is passing.
    fn place_of(&mut self, dialect: Dialect, text: &[u8], key: &[u8], numbers: &[Number]) -> Option<usize> {
        let hash = hash(key);
        // The remainder is below the table's length.
        let index = (hash % READINGS_MAX as u64) as usize;
        let place = &mut self.places[index];
        if let Some(kept) = place.kept.as_mut().filter(|kept| kept.is_of(dialect, key, numbers)) {
            kept.move_to(numbers);
            return Some(index);
        }
        let came_last = std::mem::replace(&mut place.hash, hash) == hash;
        self.pass(dialect, text);
        let is_kept =
            came_last && (numbers.is_empty() || alike::holds_of(dialect, text, numbers, &self.passing.reading));
        if is_kept {
            self.keep(index, dialect, key, numbers);
        }
        is_kept.then_some(index)
    }

    /// What the statement of a record tells; `None` where there is none to read. Of a text whose middle was taken out only what stands before that is
    /// read.
    pub fn told<'a>(&'a mut self, dialect: &RowDialect, record: &Record<'a>, is_cut: bool) -> Option<Told<'a>> {
        let text = record.statement.and_then(|statement| statement.text).filter(|text| !text.is_empty())?;
        let sql = sql_dialect(dialect, record)?;
        let end = if is_cut { memchr::memmem::find(text, NOTE) } else { None };
        let text = &text[..end.unwrap_or(text.len())];
        Some(Told::new(sql, text, self.of(sql, text), command(record)))
    }

    /// What the statement tells that a row's own statement runs.
    pub fn executed<'a>(&'a mut self, dialect: Dialect, runs: &'a Runs<'_>) -> Option<Told<'a>> {
        Told::of_executed(dialect, &runs.text, self.of(dialect, &runs.text), runs.how)
    }

    /// Gives the memory back.
    pub fn rest(&mut self) {
        if self.bytes > 0 || self.passing.reading.bytes() > size_of::<Reading>() {
            *self = Readings::new(Arc::clone(&self.redactor));
        }
    }

    fn pass(&mut self, dialect: Dialect, text: &[u8]) -> &Read {
        read(&mut self.reader, dialect, text, &mut self.passing);
        self.passing.is_suspect = self.redactor.suspects(dialect, text);
        &self.passing
    }

    /// Keeps what is passing.
    fn keep(&mut self, index: usize, dialect: Dialect, key: &[u8], numbers: &[Number]) {
        if self.bytes > READINGS_BYTES_MAX {
            self.places.iter_mut().for_each(|place| place.kept = None);
            self.bytes = 0;
        }
        let place = &mut self.places[index];
        let mut kept = place.kept.take().unwrap_or_else(|| Box::new(Kept::new(dialect)));
        self.bytes = self.bytes.saturating_sub(kept.bytes());
        kept.dialect = dialect;
        kept.text.clear();
        kept.text.extend_from_slice(key);
        kept.numbers.clear();
        kept.numbers.extend_from_slice(numbers);
        std::mem::swap(&mut kept.read, &mut self.passing);
        self.bytes += kept.bytes();
        place.kept = Some(kept);
    }
}

fn read(reader: &mut Reader, dialect: Dialect, text: &[u8], read: &mut Read) {
    reader.read(dialect, text, &mut read.reading);
    facts::of_text(dialect, text, &read.reading, &mut read.facts);
}

/// Eight bytes at a time, folded by multiplication. Somebody who makes texts collide only makes their own be read again.
pub fn hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(FACTOR);
        // Both halves of the product, each whole.
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (words, rest) = text.as_chunks::<8>();
    let hash = words.iter().fold(text.len() as u64 ^ FACTOR, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(hash, u64::from_le_bytes(last)), FACTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn action(readings: &mut Readings, text: &str) -> &'static str {
        readings.of(Dialect::POSTGRES, text.as_bytes()).reading.statements[0].action
    }

    #[test]
    fn a_statement_is_kept_when_it_comes_again_and_answers_the_same() {
        let mut readings = Readings::default();
        for _ in 0..4 {
            assert_eq!(action(&mut readings, "SELECT 1"), "SELECT");
            assert_eq!(action(&mut readings, "DELETE FROM a"), "DELETE");
        }
        assert_eq!(readings.places.iter().filter(|place| place.kept.is_some()).count(), 2);
    }

    #[test]
    fn what_comes_once_pushes_nothing_out() {
        let mut readings = Readings::default();
        action(&mut readings, "SELECT 1");
        action(&mut readings, "SELECT 1");
        for number in 0..10_000 {
            action(&mut readings, &format!("INSERT INTO a VALUES ('{number}')"));
        }
        assert!(readings.places.iter().filter(|place| place.kept.is_some()).count() <= 1);
        assert!(readings.bytes < 16 * 1024);
    }

    #[test]
    fn a_text_is_never_taken_for_another_of_the_same_hash() {
        let mut readings = Readings::default();
        action(&mut readings, "SELECT a");
        action(&mut readings, "SELECT a");
        let hash = hash(b"SELECT a");
        let kept = readings.places[(hash % READINGS_MAX as u64) as usize].kept.as_mut().unwrap();
        kept.text = b"DELETE a".to_vec();
        assert_eq!(action(&mut readings, "SELECT a"), "SELECT");
    }

    #[test]
    fn statements_that_differ_in_numbers_alone_share_a_place_and_are_each_read_as_they_are() {
        let mut readings = Readings::default();
        let shapes = [
            "SELECT #, a FROM one WHERE b IN (#,#)",
            "SELECT # FROM one; DELETE FROM two WHERE a=#;",
            "UPDATE t SET a=a+-# , b = (SELECT # FROM u)",
        ];
        for number in [1u64, 2, 30, 4, 50_000, 6, 123_456_789_012] {
            for shape in shapes {
                let text = shape.replacen('#', &number.to_string(), 1).replace('#', &(number / 7).to_string());
                let fresh = sealtrail_sql::read(Dialect::POSTGRES, text.as_bytes());
                assert_eq!(readings.of(Dialect::POSTGRES, text.as_bytes()).reading, fresh, "{text}");
            }
        }
        assert_eq!(readings.places.iter().filter(|place| place.kept.is_some()).count(), shapes.len());
    }

    #[test]
    fn what_stands_in_a_value_is_never_taken_from_another_statement() {
        let mut readings = Readings::default();
        for number in [1, 1, 1, 22, 22, 22, 1, 333] {
            for shape in [
                "SET statement_timeout = #",
                "ALTER ROLE a CONNECTION LIMIT #",
                "EXPLAIN (ANALYZE #) SELECT a FROM t",
                "SELECT set_config('a', 'b', # = 1), # FROM t",
                "SELECT * FROM \" # \", \" 1 \"",
                "COPY t TO ' # '",
                "SELECT a FROM t LIMIT # INTO OUTFILE ' # '",
            ] {
                let text = shape.replace('#', &number.to_string());
                for dialect in [Dialect::POSTGRES, Dialect::MYSQL, Dialect::ORACLE, Dialect::TSQL] {
                    let fresh = sealtrail_sql::read(dialect, text.as_bytes());
                    assert_eq!(readings.of(dialect, text.as_bytes()).reading, fresh, "{text}");
                }
            }
        }
    }

    proptest! {
        /// Any pieces of statements, with any numbers in them, in any order: what is kept answers what reading it anew answers.
        #[test]
        fn whatever_is_kept_answers_as_a_fresh_reading_does(
            pieces in proptest::collection::vec((0..PIECES.len(), 0u32..1200), 1..12),
            others in proptest::collection::vec(0u32..1_000_000, 12),
            verb in 0usize..4,
        ) {
            let verb = ["SELECT", "INSERT INTO a", "update", "DELETE FROM b"][verb];
            let text = |number: &dyn Fn(usize) -> u32| {
                let pieces = pieces.iter().enumerate();
                pieces.fold(verb.to_owned(), |text, (at, (piece, _))| {
                    format!("{text} {}", PIECES[*piece].replace('#', &number(at).to_string()))
                })
            };
            let texts = [text(&|at| pieces[at].1), text(&|at| others[at])];
            for dialect in [Dialect::POSTGRES, Dialect::MYSQL, Dialect::ORACLE, Dialect::TSQL] {
                let mut readings = Readings::default();
                for text in [&texts[0], &texts[0], &texts[1], &texts[0], &texts[1]] {
                    let mut fresh = Read::default();
                    read(&mut Reader::new(), dialect, text.as_bytes(), &mut fresh);
                    let kept = readings.of(dialect, text.as_bytes());
                    prop_assert_eq!(&kept.reading, &fresh.reading, "{}", text);
                    prop_assert_eq!(&kept.facts, &fresh.facts, "{}", text);
                    let is_suspect = Redactor::new(&Redact::default(), None).suspects(dialect, text.as_bytes());
                    prop_assert_eq!(kept.is_suspect, is_suspect, "{}", text);
                }
            }
        }
    }

    const PIECES: [&str; 36] = [
        "WHERE password = #",
        "AND token IN (#, 2)",
        "hmac(a, #)",
        "'password=' #",
        "#",
        "a",
        "FROM t",
        "FROM s.t, u",
        "WHERE a = #",
        "(#,#)",
        "IN (SELECT # FROM v)",
        "'x # y'",
        "\"n # m\"",
        "` # `",
        "[ # ]",
        "/* # */",
        "-- # \n",
        "$$ # $$",
        "$#",
        "; DELETE FROM w WHERE c=#",
        "LIMIT #",
        "INTO OUTFILE '/tmp/#'",
        "set_config('a', 'b', #)",
        "JOIN x ON #=#",
        "/*!40001 SQL_NO_CACHE */",
        "/*! # */",
        "@ # ",
        "#.#",
        "# #",
        "SET a = #",
        "VALUES (#, # )",
        "UNION ALL SELECT # FROM z",
        "'",
        "pg_read_file(#)",
        "FROM mysql.user",
        "WITH q AS (SELECT # FROM r)",
    ];

    #[test]
    fn one_text_means_another_thing_in_another_dialect() {
        let mut readings = Readings::default();
        let text = b"SELECT 1 /*! INTO OUTFILE '/tmp/x' */";
        for _ in 0..3 {
            for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
                let fresh = sealtrail_sql::read(dialect, text);
                assert_eq!(readings.of(dialect, text).reading, fresh);
            }
        }
    }

    #[test]
    fn memory_stays_within_its_bound() {
        let mut readings = Readings::default();
        let long = "x".repeat(READ_STATEMENT_BYTES_MAX - 64);
        for number in 0..3 * READINGS_MAX {
            let text = format!("SELECT {number} FROM t WHERE a = '{long}'");
            action(&mut readings, &text);
            action(&mut readings, &text);
        }
        assert!(readings.bytes <= READINGS_BYTES_MAX + 64 * 1024, "{}", readings.bytes);
    }
}
