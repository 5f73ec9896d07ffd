//! The statement reader against PostgreSQL's own parser, over every statement of PostgreSQL 15's regression suite.
//!
//! Prints precision and recall by kind of statement, and holds them to what the documentation promises. What was missed is written
//! to `misses.txt` beside the suite; `docs/sql.md` explains it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealtrail_sql_oracle::facts::{CLASSES, Facts, Items};
use sealtrail_sql_oracle::script::{self, Piece};
use sealtrail_sql_oracle::tally::Tally;
use sealtrail_sql_oracle::{ours, tree, truth};

/// The suite of 15.18 has 39 thousand: far fewer means that the comparison went wrong, not the reader.
const STATEMENTS_MIN: usize = 35_000;

/// Statements that are read as one text, to see that they are told apart.
const TOGETHER: usize = 20;

/// Definitions of something that has no name.
const NAMELESS: &[&str] = &["CREATE CAST", "CREATE TRANSFORM", "DROP CAST"];

/// A statement is cut at so many places, less one.
const CUTS: usize = 6;

/// Everything that was compared.
#[derive(Default)]
struct Comparison {
    statements: usize,
    refused: usize,
    commands: usize,
    data_lines: usize,
    with_variables: usize,
    actions: Tally,
    /// Kinds of definitions of which the judge itself knows no object.
    nameless: BTreeSet<String>,
    classes: [Tally; CLASSES.len()],
    misses: String,
}

#[test]
fn what_is_read_is_what_postgresqls_own_parser_says() {
    let suite = suite();
    let mut all = Comparison::default();
    for path in script::all(&suite).unwrap() {
        all.script(&path);
    }
    fs::write(suite.join("../misses.txt"), &all.misses).unwrap();
    let Comparison { statements, refused, commands, data_lines, with_variables, .. } = all;
    println!("{statements} statements of PostgreSQL 15's regression suite, by the parser of PostgreSQL 18");
    println!(
        "left out: {refused} that the parser refuses, {with_variables} with variables of psql's, {commands} commands of psql's, {data_lines} lines of data for COPY\n"
    );
    println!("{}", all.actions.table("statement kind"));
    for (class, tally) in CLASSES.iter().zip(&all.classes) {
        println!("{}", tally.table(class));
    }
    assert!(statements >= STATEMENTS_MIN, "only {statements} statements were compared");
    let nameless: Vec<&str> = all.nameless.iter().map(String::as_str).collect();
    assert_eq!(nameless, NAMELESS, "of these the judge should know what they are about");
    let [relations, objects, grants, roles, settings, transfers] = all.classes.each_ref().map(Tally::total);
    assert!(relations.precision() >= 99.5 && relations.recall() >= 97.0, "relations: {relations:?}");
    let exact = [
        ("kinds of statements", all.actions.total()),
        ("DDL objects", objects),
        ("GRANT and REVOKE", grants),
        ("roles", roles),
        ("settings", settings),
        ("transfers", transfers),
    ];
    for (class, count) in exact {
        assert!(count.wrong == 0 && count.recall() >= 99.0, "{class}: {count:?}");
    }
}

#[test]
fn statements_of_one_text_are_read_as_each_alone() {
    let mut compared = 0;
    for path in script::all(&suite()).unwrap() {
        let pieces = script::read(&path).unwrap().pieces;
        let plain: Vec<&Piece> = pieces.iter().filter(|piece| !piece.backslash && is_one(piece)).collect();
        for some in plain.chunks(TOGETHER) {
            let together: Vec<&str> = some.iter().map(|piece| piece.text.as_str()).collect();
            // A comment to the end of the line may end a statement.
            let together = together.join("\n;\n");
            let alone: Vec<Facts> = some.iter().flat_map(|piece| ours::facts(&piece.text, false)).collect();
            assert_eq!(ours::facts(&together, false), alone, "{}, from line {}", path.display(), some[0].line);
            compared += some.len();
        }
    }
    assert!(compared >= STATEMENTS_MIN, "only {compared} statements were compared");
}

#[test]
fn a_cut_statement_names_no_relation_that_the_whole_does_not() {
    let (mut cuts, mut wrong) = (0, String::new());
    for path in script::all(&suite()).unwrap() {
        for piece in script::read(&path).unwrap().pieces.iter().filter(|piece| is_one(piece)) {
            let whole = ours::facts(&piece.text, piece.backslash);
            for part in 1..CUTS {
                let end = piece.text.floor_char_boundary(piece.text.len() * part / CUTS);
                let cut = ours::relations_of_cut(&piece.text[..end], piece.backslash);
                let more: Vec<_> = cut.iter().filter(|one| !whole[0].relations.contains(*one)).collect();
                cuts += 1;
                if !more.is_empty() {
                    let _ = writeln!(wrong, "{} {more:?}\n{}", path.display(), &piece.text[..end]);
                }
            }
        }
    }
    println!("{cuts} cuts, wrong:\n{wrong}");
    assert_eq!(wrong, "");
}

impl Comparison {
    fn script(&mut self, path: &Path) {
        let script = script::read(path).unwrap();
        self.commands += script.commands;
        self.data_lines += script.data_lines;
        self.with_variables += script.with_variables;
        let name = path.file_name().unwrap().to_string_lossy();
        for piece in &script.pieces {
            match tree::parse(&piece.text, piece.backslash) {
                Ok(trees) => self.piece(&name, piece, &trees.iter().map(truth).collect::<Vec<_>>()),
                Err(_) => self.refused += 1,
            }
        }
    }

    fn piece(&mut self, script: &str, piece: &Piece, expected: &[Facts]) {
        let got = ours::facts(&piece.text, piece.backslash);
        let none = Facts::default();
        for at in 0..expected.len().max(got.len()) {
            let (expected, got) = (expected.get(at).unwrap_or(&none), got.get(at).unwrap_or(&none));
            self.statement(&format!("{script}:{}", piece.line), &piece.text, expected, got);
        }
    }

    fn statement(&mut self, place: &str, text: &str, expected: &Facts, got: &Facts) {
        self.statements += 1;
        let one = |action: &str| Items::from([action.to_owned()]);
        self.actions.add(&expected.action, &one(&expected.action), &one(&got.action));
        if is_definition(&expected.action)
            && expected.objects.is_empty()
            && expected.role.is_empty()
            && expected.grant.is_empty()
        {
            self.nameless.insert(expected.action.clone());
        }
        let mut differences = String::new();
        if expected.action != got.action {
            let _ = writeln!(differences, "    action: is {}, read as {}", expected.action, got.action);
        }
        for (class, tally) in CLASSES.iter().zip(&mut self.classes) {
            let (expected_items, got_items) = (expected.of(class), got.of(class));
            tally.add(&expected.action, expected_items, got_items);
            if expected_items != got_items {
                let missed: Vec<_> = expected_items.difference(got_items).collect();
                let wrong: Vec<_> = got_items.difference(expected_items).collect();
                let _ = writeln!(differences, "    {class}: missed {missed:?}, wrong {wrong:?}");
            }
        }
        if !differences.is_empty() {
            let _ = write!(self.misses, "{place} {}\n{differences}{text}\n\n", expected.action);
        }
    }
}

fn is_definition(action: &str) -> bool {
    ["CREATE ", "ALTER ", "DROP ", "COMMENT", "SECURITY LABEL", "REASSIGN "].iter().any(|verb| action.starts_with(verb))
}

/// Where the suite is, downloaded if it is not there.
fn suite() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let suite = target.join("postgresql-15/sql");
    let status = Command::new("./suite.sh").arg(&suite).status().unwrap();
    assert!(status.success(), "the suite could not be downloaded");
    suite
}

fn is_one(piece: &Piece) -> bool {
    tree::parse(&piece.text, piece.backslash).is_ok_and(|trees| trees.len() == 1)
}
