//! What a table of statements cannot show: bounds, cut texts, and that a reader can be used again.

use super::*;

fn postgres(text: &str) -> Reading {
    read(Dialect::POSTGRES, text.as_bytes())
}

fn relations(text: &str, reading: &Reading) -> Vec<String> {
    let statement = &reading.statements[0];
    let name =
        |one: &Relation| String::from_utf8(one.name.normalized(Dialect::POSTGRES, text.as_bytes())).expect("UTF-8");
    reading.relations(statement).iter().map(name).collect()
}

#[test]
fn statements_beyond_the_limit_are_counted() {
    let reading = postgres(&"SELECT 1;".repeat(STATEMENTS_MAX + 7));
    assert_eq!((reading.statements.len(), reading.unread), (STATEMENTS_MAX, 7));
}

#[test]
fn what_is_nested_too_deep_is_passed_over_and_said() {
    let levels = usize::from(DEPTH_MAX) + 5;
    let text = format!(
        "SELECT * FROM top WHERE a IN {}SELECT 1 FROM deep{}, x",
        "(SELECT ".repeat(levels),
        ")".repeat(levels)
    );
    let reading = postgres(&text);
    assert_eq!(relations(&text, &reading), ["top"]);
    assert!(reading.statements[0].doubts.has(Doubts::TOO_DEEP));
}

#[test]
fn a_query_as_deep_as_people_write_is_read() {
    let text = format!("{}SELECT 1 FROM deep{}", "SELECT * FROM (".repeat(40), ") x".repeat(40));
    let reading = postgres(&text);
    assert_eq!(relations(&text, &reading), ["deep"]);
    assert!(reading.statements[0].doubts.is_empty());
}

#[test]
fn findings_beyond_the_limit_are_left_out_and_said() {
    let all: Vec<String> = (0..FINDINGS_MAX + 1).map(|number| format!("t{number}")).collect();
    let text = format!("SELECT * FROM {}", all.join(", "));
    let reading = postgres(&text);
    assert_eq!(relations(&text, &reading), all[..FINDINGS_MAX]);
    assert!(reading.statements[0].doubts.has(Doubts::TOO_MANY));
}

#[test]
fn among_too_many_common_tables_a_plain_name_is_no_relation() {
    let all: Vec<String> = (0..CTES_MAX + 1).map(|number| format!("c{number} AS (SELECT 1)")).collect();
    let text = format!("WITH {} SELECT * FROM c{CTES_MAX}, s.t", all.join(", "));
    let reading = postgres(&text);
    assert_eq!(relations(&text, &reading), ["s.t"]);
    assert!(reading.statements[0].doubts.has(Doubts::TOO_MANY));
}

#[test]
fn a_relation_named_twice_is_listed_once() {
    let text = r#"SELECT * FROM orders, ORDERS o, "orders", s.orders, "Orders""#;
    assert_eq!(relations(text, &postgres(text)), ["orders", "s.orders", "Orders"]);
}

#[test]
fn a_name_that_a_cut_touches_is_left_out() {
    let text = "SELECT * FROM orders, custo";
    let mut reading = Reading::new();
    Reader::new().read_cut(Dialect::POSTGRES, text.as_bytes(), &mut reading);
    assert_eq!(relations(text, &reading), ["orders"]);
    assert!(reading.statements[0].doubts.has(Doubts::CUT));
    // Whole, it is a name.
    assert_eq!(relations(text, &postgres(text)), ["orders", "custo"]);
}

#[test]
fn only_the_last_statement_of_a_text_is_cut() {
    let mut reading = Reading::new();
    Reader::new().read_cut(Dialect::POSTGRES, b"DELETE FROM a; DELETE FROM b WHERE", &mut reading);
    let cut: Vec<bool> = reading.statements.iter().map(|one| one.doubts.has(Doubts::CUT)).collect();
    assert_eq!(cut, [false, true]);
}

#[test]
fn a_reader_and_a_reading_can_be_used_again() {
    let texts: [&[u8]; 4] = [b"WITH c AS (SELECT 1) SELECT * FROM c", b"SELECT * FROM c", b"GRANT a TO b", b"("];
    let (mut reader, mut reading) = (Reader::new(), Reading::new());
    for text in texts.iter().chain(&texts) {
        reader.read(Dialect::POSTGRES, text, &mut reading);
        assert_eq!(reading, read(Dialect::POSTGRES, text));
    }
}

#[test]
fn a_reading_stays_small() {
    let most = postgres(&"SELECT * FROM a1, b2; GRANT x TO y WITH ADMIN OPTION;".repeat(5000));
    assert!(most.bytes() < 100_000, "{}", most.bytes());
}

#[test]
fn a_text_without_statements_gives_none() {
    for text in ["", " \n", ";;", "-- a comment", "/* one */ ; /* two */"] {
        assert!(postgres(text).statements.is_empty(), "{text}");
    }
}
