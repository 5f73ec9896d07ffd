//! What is found in one statement of a text is never another statement's.

use sealtrail_sql::{Dialect, read};

#[test]
fn columns_behind_an_object_are_of_the_privileges_of_their_own_statement() {
    let text = b"GRANT SELECT ON t TO a; GRANT ON u (b, c) TO a";
    let reading = read(Dialect::TSQL, text);
    let first = &reading.privileges(&reading.statements[0])[0];
    assert_eq!(first.name.of(text), b"SELECT");
    assert!(first.columns.is_empty(), "{first:?}");
}
