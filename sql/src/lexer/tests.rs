//! Each quoting rule with the texts that show it.

use super::*;

/// The tokens as `kind:text`, without comments; `…` behind what is never closed.
fn tokens(dialect: Dialect, text: &str) -> Vec<String> {
    let all = Tokens::new(dialect, text.as_bytes());
    let code = all.filter(|token| token.kind != Kind::Comment);
    code.map(|token| {
        let (text, open) = (String::from_utf8_lossy(token.span.of(text.as_bytes())), if token.open { "…" } else { "" });
        format!("{:?}:{text}{open}", token.kind)
    })
    .collect()
}

fn postgres(text: &str) -> Vec<String> {
    tokens(Dialect::POSTGRES, text)
}

fn mysql(text: &str) -> Vec<String> {
    tokens(Dialect::MYSQL, text)
}

#[test]
fn words_names_and_marks_are_told_apart() {
    assert_eq!(
        postgres(r#"select a.b$1, "C""d"(*)=$1;"#),
        [
            "Word:select",
            "Word:a",
            "Dot:.",
            "Word:b$1",
            "Comma:,",
            r#"Quoted:"C""d""#,
            "Open:(",
            "Star:*",
            "Close:)",
            "Equals:=",
            "Parameter:$1",
            "Semicolon:;"
        ]
    );
}

#[test]
fn a_backslash_escapes_in_e_strings_and_where_the_dialect_says_so() {
    assert_eq!(postgres(r"'a\' E'b\'c' e'd''e'"), [r"String:'a\'", r"String:E'b\'c'", "String:e'd''e'"]);
    assert_eq!(mysql(r"'a\'b' N'c\'d'"), [r"String:'a\'b'", r"String:N'c\'d'"]);
    let no_backslash = Dialect { backslash: false, ..Dialect::MYSQL };
    assert_eq!(tokens(no_backslash, r"'a\' x"), [r"String:'a\'", "Word:x"]);
}

#[test]
fn dollar_quotes_end_at_their_own_tag() {
    assert_eq!(postgres("$$a$b$$ $x$ $$ $y$ $x$"), ["DollarString:$$a$b$$", "DollarString:$x$ $$ $y$ $x$"]);
    assert_eq!(postgres("a$$b $1 $x"), ["Word:a$$b", "Parameter:$1", "Other:$", "Word:x"]);
    assert_eq!(mysql("$$ $x"), ["Other:$", "Other:$", "Word:$x"]);
}

#[test]
fn prefixed_literals_are_one_token() {
    assert_eq!(
        postgres(r#"U&'d\0061' U&"d" b'01' X'1f' n'x' u & 'y'"#),
        [
            r"String:U&'d\0061'",
            r#"Quoted:U&"d""#,
            "String:b'01'",
            "String:X'1f'",
            "String:n'x'",
            "Word:u",
            "Operator:&",
            "String:'y'"
        ]
    );
    assert_eq!(tokens(Dialect::TSQL, "N'a''b' [c]]d]"), ["String:N'a''b'", "Quoted:[c]]d]"]);
    assert_eq!(
        tokens(Dialect::ORACLE, "q'[it's]' nq'{a}' Q'!b'!' :x"),
        ["String:q'[it's]'", "String:nq'{a}'", "String:Q'!b'!'", "Parameter::x"]
    );
}

#[test]
fn comments_nest_where_the_engine_nests_them() {
    assert_eq!(postgres("a /* /* b */ c */ d -- e\n f"), ["Word:a", "Word:d", "Word:f"]);
    assert_eq!(mysql("a /* /* b */ c */ d"), ["Word:a", "Word:c", "Star:*", "Operator:/", "Word:d"]);
    assert_eq!(mysql("a # b\nc --d\n-- e\nf"), ["Word:a", "Word:c", "Operator:-", "Operator:-", "Word:d", "Word:f"]);
}

#[test]
fn the_code_of_versioned_comments_counts() {
    assert_eq!(
        mysql("select /*!40001 SQL_NO_CACHE */ * /*M!100100 x*//*! y */"),
        ["Word:select", "Word:SQL_NO_CACHE", "Star:*", "Word:x", "Word:y"]
    );
    assert_eq!(postgres("a /*!40001 b */"), ["Word:a"]);
}

#[test]
fn quotes_mean_what_the_dialect_says() {
    assert_eq!(mysql(r#""a\"b" `c``d`"#), [r#"String:"a\"b""#, "Quoted:`c``d`"]);
    let ansi = Dialect { ansi_quotes: true, ..Dialect::MYSQL };
    assert_eq!(tokens(ansi, r#""a""b""#), [r#"Quoted:"a""b""#]);
}

#[test]
fn numbers_end_where_they_end() {
    assert_eq!(
        postgres("1.5e-3 .5 1..2 0xFF t.5"),
        [
            "Number:1.5e-3",
            "Number:.5",
            "Number:1",
            "Dot:.",
            "Dot:.",
            "Number:2",
            "Number:0xFF",
            "Word:t",
            "Dot:.",
            "Number:5"
        ]
    );
    assert_eq!(mysql("1a.2b 0x1F"), ["Word:1a", "Dot:.", "Word:2b", "Number:0x1F"]);
}

#[test]
fn operators_stop_at_comments_and_signs() {
    assert_eq!(
        postgres("a<=-1 @-1 +--x\n2"),
        ["Word:a", "Operator:<=", "Operator:-", "Number:1", "Operator:@-", "Number:1", "Operator:+", "Number:2"]
    );
    assert_eq!(
        postgres("a::b[1:2]"),
        ["Word:a", "Cast:::", "Word:b", "OpenBracket:[", "Number:1", "Operator::", "Number:2", "CloseBracket:]"]
    );
}

#[test]
fn variables_and_hosts() {
    assert_eq!(
        mysql("@a @@global.b 'u'@'h' u@10.0.0.1 @'x'"),
        [
            "Variable:@a",
            "Variable:@@global.b",
            "String:'u'",
            "At:@",
            "String:'h'",
            "Word:u",
            "Variable:@10.0.0.1",
            "At:@",
            "String:'x'"
        ]
    );
    assert_eq!(tokens(Dialect::TSQL, "@t #tmp ##g"), ["Variable:@t", "Word:#tmp", "Word:##g"]);
}

#[test]
fn what_is_never_closed_reaches_to_the_end() {
    for (dialect, text) in [
        (Dialect::POSTGRES, "'a"),
        (Dialect::POSTGRES, "\"a"),
        (Dialect::POSTGRES, "$$a$"),
        (Dialect::POSTGRES, "E'a\\"),
        (Dialect::POSTGRES, "/* /* */"),
        (Dialect::MYSQL, "`a``"),
        (Dialect::MYSQL, "/* a *"),
        (Dialect::TSQL, "[a]]"),
        (Dialect::ORACLE, "q'[a]"),
        (Dialect::ORACLE, "q'"),
        (Dialect::POSTGRES, "U&'"),
    ] {
        let all: Vec<Token> = Tokens::new(dialect, text.as_bytes()).collect();
        assert_eq!(all.len(), 1, "{text}");
        assert!(all[0].open && all[0].span == Span::new(0, text.len() as u32), "{text}: {all:?}");
    }
}
