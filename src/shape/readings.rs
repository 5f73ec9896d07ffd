//! What was read from statements, kept for when the same bytes come again.
//!
//! Applications send the same few statements all day. A table of fixed size, one place a statement by its hash, and no list of who came
//! last: a statement that falls on another's place takes it. Whoever comes for the first time leaves only its hash, so that statements
//! which are each their own (values written into the text) push nothing out and are not copied.

use sealtrail_parsers::{Dialect as RowDialect, Record};
use sealtrail_sql::{Dialect, Reader, Reading};

use super::facts::{self, Facts};
use super::told::Told;
use super::{command, sql_dialect};
use crate::limits::{READ_STATEMENT_BYTES_MAX, READINGS_BYTES_MAX, READINGS_MAX};

/// Reads statements, and remembers.
#[derive(Debug)]
pub struct Readings {
    places: Vec<Place>,
    reader: Reader,
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
    text: Vec<u8>,
    read: Read,
}

/// How the note begins that stands where the middle of a text was.
const NOTE: &[u8] = b"[... ";

impl Kept {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.capacity() + self.read.reading.bytes()
    }
}

impl Default for Readings {
    fn default() -> Self {
        Readings { places: Vec::new(), reader: Reader::new(), passing: Read::default(), bytes: 0 }
    }
}

impl Readings {
    /// What the text says. Allocates nothing for one that is kept.
    pub fn of(&mut self, dialect: Dialect, text: &[u8]) -> &Read {
        if text.len() > READ_STATEMENT_BYTES_MAX {
            return self.pass(dialect, text);
        }
        if self.places.is_empty() {
            self.places.resize_with(READINGS_MAX, Place::default);
        }
        let hash = hash(text);
        // The remainder is below the table's length.
        let index = (hash % READINGS_MAX as u64) as usize;
        let place = &mut self.places[index];
        let came_last = place.hash == hash;
        let is_kept = place.kept.as_ref().is_some_and(|kept| kept.dialect == dialect && kept.text == text);
        if !is_kept {
            place.hash = hash;
            if !came_last {
                return self.pass(dialect, text);
            }
            self.keep(index, dialect, text);
        }
        self.places[index].kept.as_ref().map_or(&self.passing, |kept| &kept.read)
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

    /// Gives the memory back.
    pub fn rest(&mut self) {
        if self.bytes > 0 || self.passing.reading.bytes() > size_of::<Reading>() {
            *self = Readings::default();
        }
    }

    fn pass(&mut self, dialect: Dialect, text: &[u8]) -> &Read {
        read(&mut self.reader, dialect, text, &mut self.passing);
        &self.passing
    }

    fn keep(&mut self, index: usize, dialect: Dialect, text: &[u8]) {
        if self.bytes > READINGS_BYTES_MAX {
            self.places.iter_mut().for_each(|place| place.kept = None);
            self.bytes = 0;
        }
        let place = &mut self.places[index];
        let mut kept =
            place.kept.take().unwrap_or_else(|| Box::new(Kept { dialect, text: Vec::new(), read: Read::default() }));
        self.bytes = self.bytes.saturating_sub(kept.bytes());
        kept.dialect = dialect;
        kept.text.clear();
        kept.text.extend_from_slice(text);
        read(&mut self.reader, dialect, text, &mut kept.read);
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
            action(&mut readings, &format!("INSERT INTO a VALUES ({number})"));
        }
        assert!(readings.places.iter().filter(|place| place.kept.is_some()).count() <= 1);
        assert!(readings.bytes < 16 * 1024);
    }

    #[test]
    fn a_text_is_never_taken_for_another_of_the_same_hash() {
        let mut readings = Readings::default();
        action(&mut readings, "SELECT 1");
        action(&mut readings, "SELECT 1");
        let hash = hash(b"SELECT 1");
        let kept = readings.places[(hash % READINGS_MAX as u64) as usize].kept.as_mut().unwrap();
        kept.text = b"DELETE 1".to_vec();
        assert_eq!(action(&mut readings, "SELECT 1"), "SELECT");
    }

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
