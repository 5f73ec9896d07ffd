//! Texts that differ in their numbers alone: `… WHERE id = 17` and `… WHERE id = 4`.
//!
//! A text's skeleton is the text with one `0` for every run of digits that may be a number. Two statements of one skeleton have the same reading,
//! moved, where three things hold of the first one: the lexer takes each of these runs for a number and nothing else, so that it splits the second text
//! at the same places; the statement is one whose reading does not depend on what a number is; and nothing was found in it but
//! relations, whose names hold no such run. [`holds_of`] asks for all three. Whatever a reading points at is taken from the text at hand, never from the
//! one that was read.

use sealtrail_sql::{Dialect, Kind, Reading, Tokens};

/// A run of digits: where it begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    start: u32,
    len: u32,
}

impl Number {
    fn end(self) -> u32 {
        self.start + self.len
    }
}

/// A text without its numbers.
#[derive(Debug, Default)]
pub struct Skeleton {
    /// The text, with one digit for each of them.
    pub text: Vec<u8>,
    /// Where they stand in the text itself.
    pub numbers: Vec<Number>,
}

impl Skeleton {
    /// Takes the skeleton of a text; false, and nothing is taken, where there are no numbers in it, or where numbers may matter.
    pub fn take(&mut self, text: &[u8]) -> bool {
        self.text.clear();
        self.numbers.clear();
        if !begins_with_a_verb(text) {
            return false;
        }
        let mut from = 0;
        let mut copied = 0;
        while let Some(found) = first_digit(&text[from..]) {
            let start = from + found;
            let end =
                text[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(text.len(), |len| start + len);
            if stands_alone(text, start, end) {
                self.text.extend_from_slice(&text[copied..start]);
                self.text.push(b'0');
                self.numbers.push(Number { start: start as u32, len: (end - start) as u32 });
                copied = end;
            }
            from = end;
        }
        self.text.extend_from_slice(&text[copied..]);
        !self.numbers.is_empty()
    }
}

/// Looks at sixteen bytes at a time: most texts have few numbers.
fn first_digit(text: &[u8]) -> Option<usize> {
    let (chunks, _) = text.as_chunks::<16>();
    let without = chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, byte| any | byte.is_ascii_digit()));
    let from = without.count() * 16;
    text[from..].iter().position(u8::is_ascii_digit).map(|at| from + at)
}

/// Statements in which a number is a value and nothing else.
const VERBS: [&[u8]; 4] = [b"SELECT", b"INSERT", b"UPDATE", b"DELETE"];

fn begins_with_a_verb(text: &[u8]) -> bool {
    let word = text.trim_ascii_start().get(..6).unwrap_or_default();
    VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb))
}

/// Whether the bytes around it let it be a number of its own. What they leave open the lexer decides.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map_or(b' ', |at| text[at]);
    let behind = text.get(end).copied().unwrap_or(b' ');
    matches!(before, b' ' | b'\t' | b'\n' | b'\r' | b'(' | b',' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/')
        && matches!(behind, b' ' | b'\t' | b'\n' | b'\r' | b')' | b',' | b';' | b'+' | b'-' | b'*' | b'/')
}

/// Whether what was read from a text holds, moved, of all texts that have its skeleton.
pub fn holds_of(dialect: Dialect, text: &[u8], numbers: &[Number], reading: &Reading) -> bool {
    let is_plain = |action: &str| VERBS.contains(&action.as_bytes());
    let mut tokens = Tokens::new(dialect, text);
    reading.unread == 0
        && reading.has_only_relations()
        && reading.statements.iter().all(|it| is_plain(it.action) && it.inner.is_empty())
        && numbers.iter().all(|number| {
            let token = tokens.find(|token| token.span.end > number.start);
            token.is_some_and(|it| (it.kind, it.span.start, it.span.end) == (Kind::Number, number.start, number.end()))
        })
}

/// Moves what was read from a text with numbers at `from` to where it stands in the text that has them at `to`.
pub fn move_reading(reading: &mut Reading, from: &[Number], to: &[Number]) {
    reading.move_places(|place| {
        // The numbers before it, the last of which it may be at the end of.
        let before = from.partition_point(|number| number.end() <= place);
        match before.checked_sub(1) {
            Some(last) => to[last].end() + (place - from[last].end()),
            None => place,
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skeleton(text: &str) -> (bool, String) {
        let mut skeleton = Skeleton::default();
        let has_numbers = skeleton.take(text.as_bytes());
        (has_numbers, String::from_utf8(skeleton.text).unwrap())
    }

    fn holds(dialect: Dialect, text: &str) -> bool {
        let mut skeleton = Skeleton::default();
        let text = text.as_bytes();
        skeleton.take(text) && holds_of(dialect, text, &skeleton.numbers, &sealtrail_sql::read(dialect, text))
    }

    #[test]
    fn a_skeleton_has_one_digit_for_a_number_and_all_of_a_name() {
        assert_eq!(
            skeleton("select 17,-4 FROM t2 WHERE a1 =100"),
            (true, "select 0,-0 FROM t2 WHERE a1 =0".to_owned())
        );
        for text in [
            "SELECT 1.5",
            "SELECT $1",
            "SELECT '12'",
            "SELECT 1e5",
            "SELECT t.1",
            "SELECT 0x1F",
            "SELECT 1é",
            "SET a = 1",
        ] {
            assert!(!skeleton(text).0, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_part_of_a_string_a_name_or_a_comment_hold_of_no_other_text() {
        let (postgres, mysql) = (Dialect::POSTGRES, Dialect::MYSQL);
        for (dialect, text, one) in [
            (postgres, "SELECT a FROM t WHERE a = 1", true),
            (postgres, "INSERT INTO t VALUES (1, 'x'), (2, 'y');", true),
            (postgres, "UPDATE t SET a = a + -1 WHERE b = 2", true),
            (postgres, "SELECT a FROM \"t 1 \"", false),
            (postgres, "SELECT ' 1 '", false),
            (postgres, "SELECT $$ 1 $$", false),
            (postgres, "SELECT a /* 1 */", false),
            (postgres, "SELECT a -- 1 ", false),
            (mysql, "SELECT a FROM ` 1 `", false),
            (postgres, "SELECT 1 INTO t", false),
            (postgres, "SELECT set_config('a.b', 'c', 1 = 1)", false),
            (mysql, "SELECT a FROM t LIMIT 1 INTO OUTFILE '/tmp/x'", false),
            (postgres, "SELECT 1; GRANT a TO b", false),
        ] {
            assert_eq!(holds(dialect, text), one, "{text}");
        }
    }
}
