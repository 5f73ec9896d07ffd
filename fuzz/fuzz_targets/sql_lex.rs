//! Any bytes become tokens in order, which leave out nothing but blanks, in every dialect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_sql::{Dialect, Kind, Tokens};

fuzz_target!(|text: &[u8]| {
    let ansi = Dialect { backslash: false, ansi_quotes: true, ..Dialect::MYSQL };
    let escapes = Dialect { backslash: true, ..Dialect::POSTGRES };
    for dialect in [Dialect::POSTGRES, escapes, Dialect::MYSQL, ansi, Dialect::ORACLE, Dialect::TSQL] {
        let mut end = 0;
        for token in Tokens::new(dialect, text) {
            let (from, to) = (token.span.start as usize, token.span.end as usize);
            assert!(end <= from && from < to && to <= text.len());
            assert!(text[end..from].iter().all(is_blank));
            assert!(token.kind != Kind::End && (!token.open || to == text.len()));
            end = to;
        }
        assert!(text[end..].iter().all(is_blank));
    }
});

fn is_blank(byte: &u8) -> bool {
    b" \t\n\r\x0B\x0C".contains(byte)
}
