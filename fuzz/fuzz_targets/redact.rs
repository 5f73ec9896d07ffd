//! Any bytes, as a statement, its parameters, a message and a row that nobody can read: nothing panics, what is left is valid, and a secret that is planted
//! where one is announced is nowhere in it, whatever stands around.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealtrail::redact::hash::HashKey;
use sealtrail::redact::literals::Treatment;
use sealtrail::redact::personal::{Detector, Detectors};
use sealtrail::redact::policy::{Policy, Treatments};
use sealtrail::redact::privacy::Subject;
use sealtrail::redact::{Redact, Redactor, Statement};
use sealtrail::shape::Category;
use sealtrail_parsers::{Parameters, Record, Value};
use sealtrail_sql::Dialect;

const SECRET: &[u8] = b"Kx9qW0vT7";

/// Ways in which a secret is announced: in SQL and in any other text the first ones, in other texts alone all of them.
const FRAMES_OF_SQL: usize = 2;
const FRAMES: [(&[u8], &[u8]); 6] = [
    (b" ALTER ROLE a PASSWORD '", b"' "),
    (b" IDENTIFIED BY '", b"' "),
    (b" x://u:", b"@h/ "),
    (b" host=h password=", b" user=u "),
    (b" {\"apiKey\": \"", b"\"} "),
    (b" Authorization: Bearer ", b" "),
];

/// Secrets alone, and with all that can be asked for.
static REDACTORS: LazyLock<[Redactor; 3]> = LazyLock::new(|| {
    let detectors = || Detectors { kinds: Detector::ALL.to_vec(), patterns: Vec::new() };
    let with = |literals| Redact {
        policy: Policy { rules: Vec::new(), otherwise: Treatments { literals, parameters: literals } },
        detectors: detectors(),
        personal_names: vec!["*email".to_owned(), "age".to_owned()],
        ..Redact::default()
    };
    let key = HashKey::new(&[7; 32]);
    [Redact::default(), with(Treatment::Mask), with(Treatment::Hash)].map(|redact| Redactor::new(&redact, key.as_ref()))
});

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, cut], text)) = data.split_first_chunk::<2>() else { return };
    let dialects = [Dialect::POSTGRES, Dialect::MYSQL, Dialect::ORACLE, Dialect::TSQL];
    let dialect = dialects[usize::from(choice) % dialects.len()];
    let redactor = &REDACTORS[usize::from(choice / 4) % REDACTORS.len()];
    row(redactor, dialect, text, cut % 2 == 1);
    let frame = usize::from(choice / 16) % FRAMES.len();
    let (before, behind) = FRAMES[frame];
    let middle = text.len() * usize::from(cut) / 255;
    let planted = [&text[..middle], before, SECRET, behind, &text[middle..]].concat();
    let (left, rules) = redactor.bytes(&planted, Some(dialect));
    assert!(!rules.is_empty());
    assert_gone(&left, text);
    let (left, _) = redactor.private_bytes(&left, "a", Some(dialect));
    assert_gone(&left, text);
    for (is_sql, left) in row(redactor, dialect, &planted, false) {
        if !is_sql || frame < FRAMES_OF_SQL {
            assert_gone(&left, text);
        }
    }
});

/// Unless the fuzzer wrote it itself.
fn assert_gone(left: &[u8], text: &[u8]) {
    let holds = |text: &[u8]| text.windows(SECRET.len()).any(|part| part == SECRET);
    assert!(holds(text) || !holds(left));
}

/// The texts that are left of a row that has this one in all its places, and whether they are SQL.
fn row(redactor: &Redactor, dialect: Dialect, text: &[u8], is_cut: bool) -> Vec<(bool, Vec<u8>)> {
    let statement = sealtrail_parsers::Statement {
        text: Some(text),
        parameters: Parameters::Csv(text),
        ..sealtrail_parsers::Statement::default()
    };
    let mut record = Record { statement: Some(statement), error_message: Some(text), ..Record::default() };
    for name in ["message", "detail", "context", "query", "param", "other"] {
        record.extra.push((name, Value::Text(text)));
    }
    let taken = redactor.record(&record, || Some(dialect), Statement::Unknown, is_cut, Some(text));
    let clean = taken.as_ref().map_or_else(|| record.clone(), |taken| taken.record(&record));
    let private = redactor.private(|| Subject {
        record: &clean,
        source: "a",
        category: Category::DataRead,
        told: None,
        dialect: Some(dialect),
        is_cut,
        frame: Some(text),
    });
    let left = private.as_ref().map_or_else(|| clean.clone(), |private| private.redacted.record(&clean));
    let extra = left.extra.iter().filter_map(|(name, value)| match value {
        Value::Text(text) => Some((*name == "query", *text)),
        Value::Int(_) => None,
    });
    let statement = left.statement.unwrap_or_default().text.map(|text| (true, text));
    let message = left.error_message.map(|text| (false, text));
    extra.chain(statement).chain(message).map(|(is_sql, text)| (is_sql, text.to_vec())).collect()
}
