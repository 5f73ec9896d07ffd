//! What lexer and reader promise for any bytes: they end, they do not panic, and every span lies in the text.

#![allow(clippy::expect_used, reason = "tests")]

use proptest::prelude::*;
use sealtrail_sql::{Dialect, Kind, Tokens, read};

const DIALECTS: [Dialect; 6] = [
    Dialect::POSTGRES,
    Dialect::MYSQL,
    Dialect::ORACLE,
    Dialect::TSQL,
    Dialect { backslash: true, ..Dialect::POSTGRES },
    Dialect { backslash: false, ansi_quotes: true, ..Dialect::MYSQL },
];

/// Tokens are in order, do not overlap, are not empty, and leave out nothing but blanks.
fn check_tokens(dialect: Dialect, text: &[u8]) {
    let mut end = 0;
    for token in Tokens::new(dialect, text) {
        let (from, to) = (token.span.start as usize, token.span.end as usize);
        assert!(end <= from && from < to && to <= text.len(), "{token:?}");
        assert!(text[end..from].iter().all(|byte| b" \t\n\r\x0B\x0C".contains(byte)), "{token:?}");
        assert!(token.kind != Kind::End && (!token.open || to == text.len()), "{token:?}");
        end = to;
    }
    assert!(text[end..].iter().all(|byte| b" \t\n\r\x0B\x0C".contains(byte)));
}

/// Bytes that lexers stumble over, and words that readers do.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let marks = r#"'|''|"|`|\[|\]|\\|\$|\$\$|\$a\$|/\*|\*/|/\*!|/\*!50000|--|#|\n|\(|\)|;|,|\.|\*|=|:=|::|@|@@|e'|E'|U&"|q'\[|N'|1|0x|1e|\x00| "#;
    let words = "select|from|where|with|as|insert into|update|set|delete|merge|using|grant|revoke|on|to|create|alter|drop|table|\
                 role|user|copy|explain|analyze|prepare|a|b|c|join|left|union|values|password|identified by|in|schema|all|exists";
    let piece = prop_oneof![
        prop::string::string_regex(marks).expect("a regex").prop_map(String::into_bytes),
        prop::string::string_regex(&format!(" ({words}) ")).expect("a regex").prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_become_tokens_in_order(text in pieces()) {
        for dialect in DIALECTS {
            check_tokens(dialect, &text);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end(text in pieces()) {
        for dialect in DIALECTS {
            let reading = read(dialect, &text);
            for statement in &reading.statements {
                prop_assert!(statement.span.end as usize <= text.len());
                for relation in reading.relations(statement) {
                    prop_assert!(!relation.name.span().of(&text).is_empty());
                }
            }
        }
    }
}

#[test]
fn megabytes_of_one_thing_are_read_in_one_pass() {
    let pieces = [
        "(",
        ")",
        "\"",
        "'",
        "/*",
        "*/",
        "$",
        "$a",
        "$a$",
        "[",
        "`",
        ";",
        ",",
        ".",
        "a ",
        "a.",
        "@",
        "\\",
        "--",
        "/*!",
        "e'",
        "q'[",
        "select ",
        "select(",
        "from a,",
        "from(",
        "with a as (",
        "(select ",
        "union select ",
        "case ",
        "join a on ",
        "grant ",
        "create ",
    ];
    for piece in pieces {
        // Ten megabytes of what the lexer counts or seeks the end of; the rest would only make the test slow.
        let bytes = if piece.len() == 1 || piece == "/*" { 10_000_000 } else { 1_000_000 };
        let text = piece.repeat(bytes / piece.len());
        for dialect in [Dialect::POSTGRES, Dialect::MYSQL] {
            assert!(Tokens::new(dialect, text.as_bytes()).count() <= text.len());
            read(dialect, text.as_bytes());
        }
    }
}
