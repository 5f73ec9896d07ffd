//! Literals, parameters and personal data leave a row where the configuration says so, and what the row means is told as before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::process::Command;

use proptest::prelude::*;
use sealtrail::config;
use sealtrail::parse::By;
use sealtrail::redact::Redact;
use sealtrail::redact::hash::HashKey;
use sealtrail_parsers::Format;
use serde_json::{Value, json};

#[path = "redaction/formats.rs"]
mod formats;

use formats::{CSVLOG, FORMATS, WHOLE, csv, csvlog, records, records_by};

/// `[redact]` of a configuration.
fn redact(toml: &str) -> Redact {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealtrail.toml");
    let source = |name: &str| format!("[[source]]\nname = \"{name}\"\npaths = [\"/x/*.csv\"]\n");
    fs::write(&path, format!("{}{}[redact]\n{toml}\n", source("orders-pg"), source("crm"))).unwrap();
    config::load(&path).unwrap_or_else(|error| panic!("{error:?}")).redact
}

fn lines(toml: &str, source: &str, format: Format, log: &[u8], record_max_bytes: usize) -> Vec<Value> {
    let (redact, key) = (redact(toml), HashKey::new(&[7; 32]).unwrap());
    let by = By { redact: &redact, key: Some(&key), source };
    let text = String::from_utf8(records_by(by, format, log, record_max_bytes)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Of one statement that pgAudit logs.
fn audited(toml: &str, source: &str, sql: &str, parameters: &str) -> Value {
    let parameters = if parameters.starts_with('<') { parameters.to_owned() } else { csv(parameters) };
    let message = csv(&format!("AUDIT: SESSION,1,1,READ,SELECT,,,{},{parameters}", csv(sql)));
    let log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n")
        .replace("\"ALTER ROLE\"", "\"SELECT\"");
    lines(toml, source, Format::PostgresCsvlog, log.as_bytes(), WHOLE).remove(0)
}

/// Of one statement that failed, and what the server said of it.
fn failed(toml: &str, sql: &str, message: &str, detail: &str, context: &str) -> Value {
    let [message, detail, context, sql] = [message, detail, context, sql].map(csv);
    let log = format!("{CSVLOG}ERROR,22P02,{message},{detail},,,,{context},{sql},8,,\"psql\",\"client backend\",,0\n");
    lines(toml, "orders-pg", Format::PostgresCsvlog, log.as_bytes(), WHOLE).remove(0)
}

fn text(line: &Value) -> &str {
    line["statement"]["text"].as_str().unwrap()
}

const MASK: &str = "literals = \"mask\"";
const HASH: &str = "literals = \"hash\"";

#[test]
fn literals_are_masked_and_what_the_statement_does_is_told_as_before() {
    for (sql, left) in [
        ("SELECT * FROM t WHERE a = 'x' AND b = 12", "SELECT * FROM t WHERE a = ? AND b = ?"),
        ("SELECT E'it\\'s', U&'\\0041', B'01', $$a 'b' c$$, $q$x$q$, -1.5e3, 0xFF", "SELECT ?, ?, ?, ?, ?, -?, ?"),
        ("INSERT INTO t VALUES (1, 'it''s', NULL, true)", "INSERT INTO t VALUES (?, ?, NULL, true)"),
        ("SELECT \"a b\", $1, t1.c2 FROM s.t1", "SELECT \"a b\", $1, t1.c2 FROM s.t1"),
        ("SELECT 'x'::text /* 'y' for jane */ -- 'z'", "SELECT ?::text /* '?' for jane */ -- '?'"),
        ("SELECT 'janedoe' /* janedoe */", "SELECT ? /* ? */"),
        // Broken quotes: nobody knows where a literal ends.
        ("SELECT * FROM t WHERE a = 'O'Brien Smith' AND b = 'D'Arcy'", "SELECT * FROM t WHERE a = ?"),
        ("SELECT * FROM t WHERE a = \"x AND b = 'secret' AND \"c\" = 1", "SELECT * FROM t WHERE a = ?"),
        ("SELECT 'x' FROM t WHERE b = 'never closed", "SELECT ?"),
        ("SELECT a FROM t WHERE b = ''' AND c = ' secret words '", "SELECT a FROM t WHERE b = ?"),
        ("SELECT * FROM t WHERE id = 550e8400-e29b-41d4", "SELECT * FROM t WHERE id = ?-e29b-??"),
        // By a setting of the server the first string ends at its second quote or at its third.
        ("SELECT 'x\\', 'secret', 'y'", "SELECT ?"),
    ] {
        let (line, plain) = (audited(MASK, "orders-pg", sql, "<none>"), audited("", "orders-pg", sql, "<none>"));
        assert_eq!(text(&line), left);
        for field in [
            "user",
            "action",
            "resource",
            "resources",
            "resource_type",
            "category",
            "outcome",
            "grant",
            "client",
            "session",
        ] {
            assert_eq!(line[field], plain[field], "{field} of {sql}");
        }
        let is_changed = left != sql;
        assert_eq!(line["redacted"] == json!(["literal_mask"]), is_changed, "{line}");
    }
}

#[test]
fn names_and_what_has_a_field_stay() {
    let log = |sql: &str| formats::mysql_json(sql);
    for (sql, left, field, value) in [
        (
            "GRANT SELECT ON shop.t TO 'app'@'10.0.0.%'",
            "GRANT SELECT ON shop.t TO 'app'@'10.0.0.%'",
            "/grant/to",
            json!(["app@10.0.0.%"]),
        ),
        (
            "SELECT a FROM t WHERE b = \"x\" INTO OUTFILE '/tmp/x'",
            "SELECT a FROM t WHERE b = ? INTO OUTFILE '/tmp/x'",
            "/transfer/target",
            json!("/tmp/x"),
        ),
    ] {
        let line = lines(MASK, "crm", Format::MysqlAuditJson, log(sql).as_bytes(), WHOLE).remove(0);
        assert_eq!((text(&line), line.pointer(field)), (left, Some(&value)), "{line}");
    }
    let line = audited(MASK, "crm", "ALTER ROLE a VALID UNTIL '2030-01-01'", "<none>");
    assert_eq!(line["role"]["attributes"], json!(["VALID UNTIL 2030-01-01"]), "{line}");
    assert!(text(&line).ends_with("'2030-01-01'"));
    let line = audited(
        MASK,
        "crm",
        "SELECT set_config('app.user', 'jane', false), set_config('work_mem', '1GB', false)",
        "<none>",
    );
    assert!(!line.to_string().contains("jane"), "{line}");
}

#[test]
fn equal_values_have_equal_hashes_whatever_their_quotes() {
    let hash = |sql: &str| {
        let line = audited(HASH, "crm", sql, "it's");
        let text = text(&line);
        let at = text.find("'[hmac:").unwrap_or_else(|| panic!("{line}"));
        (text[at + 1..at + 24].to_owned(), line)
    };
    let (first, line) = hash("SELECT 'it''s'");
    assert_eq!(line["redacted"], json!(["literal_hash"]));
    assert_eq!(line["statement"]["parameters"], json!([first]), "{line}");
    for sql in ["SELECT E'it\\'s'", "SELECT $$it's$$", "SELECT $a$it's$a$"] {
        assert_eq!(hash(sql).0, first, "{sql}");
    }
    assert_ne!(hash("SELECT 'its'").0, first);
    assert_eq!(hash("SELECT 42").0, hash("SELECT '42'").0);
    let mysql = lines(HASH, "crm", Format::MysqlAuditJson, formats::mysql_json("SELECT \"it's\"").as_bytes(), WHOLE);
    assert!(text(&mysql[0]).contains(&first), "{mysql:?}");
}

#[test]
fn what_the_server_says_repeats_nothing() {
    let sql = "INSERT INTO t (email, n) VALUES ('jane@x', 31)";
    for (message, detail, context, left) in [
        (
            "duplicate key value violates unique constraint \"t_email\"",
            "Key (email, n)=(jane@x, (31)) already exists.",
            "",
            ["duplicate key value violates unique constraint \"t_email\"", "Key (email, n)=(?) already exists.", ""],
        ),
        ("null value", "Failing row contains (1, jane@x, null).", "", ["null value", "Failing row contains (?).", ""]),
        (
            "invalid input syntax for type integer: \"of another\"",
            "",
            "COPY t, line 3, column n: \"of \"another\"\"",
            ["invalid input syntax for type integer: \"?\"", "", "COPY t, line 3, column n: \"?\""],
        ),
        (
            "value \"99999999999\" is out of range",
            "Token \"abc\" is invalid.",
            "JSON data, line 1: {\"a\": abc...",
            ["value \"?\" is out of range", "Token \"?\" is invalid.", "JSON data, line ?"],
        ),
        (
            "relation \"t\" does not exist",
            "",
            "SQL statement \"SELECT 'jane@x', 7 FROM u\"\nPL/pgSQL function f() at EXECUTE",
            [
                "relation \"t\" does not exist",
                "",
                "SQL statement \"SELECT ?, ? FROM u\"\nPL/pgSQL function f() at EXECUTE",
            ],
        ),
        (
            "syntax error at or near \"'jane@x'\"",
            "jane@x was it",
            "",
            ["syntax error at or near \"?\"", "? was it", ""],
        ),
        ("the number (31) can't be", "", "", ["the number (?) can't be", "", ""]),
    ] {
        let line = failed(MASK, sql, message, detail, context);
        let texts = [&line["error"]["message"], &line["extra"]["detail"], &line["extra"]["context"]];
        assert_eq!(texts.map(|text| text.as_str().unwrap_or_default()), left, "{line}");
        assert_eq!(text(&line), "INSERT INTO t (email, n) VALUES (?, ?)");
        assert!(!line.to_string().contains("jane"), "{line}");
    }
}

#[test]
fn parameters_have_a_treatment_of_their_own() {
    let both = audited(MASK, "crm", "SELECT $1, 'x'", "jane,\"a,b\",");
    assert_eq!((text(&both), &both["statement"]["parameters"]), ("SELECT $1, ?", &json!(["?", "?", ""])));
    let only = audited("parameters = \"mask\"", "crm", "SELECT $1, 'x'", "jane");
    assert_eq!((text(&only), &only["statement"]["parameters"]), ("SELECT $1, 'x'", &json!(["?"])));
    let not = audited("literals = \"mask\"\nparameters = \"keep\"", "crm", "SELECT $1, 'x'", "jane");
    assert_eq!((text(&not), &not["statement"]["parameters"]), ("SELECT $1, ?", &json!(["jane"])));
    let message = csv("execute s: SELECT $1");
    let log =
        format!("{CSVLOG}LOG,00000,{message},\"parameters: $1 = 'jane'\",,,,,,,,\"psql\",\"client backend\",,0\n");
    let lines = lines("parameters = \"mask\"", "crm", Format::PostgresCsvlog, log.as_bytes(), WHOLE);
    assert!(!lines[0].to_string().contains("jane"), "{lines:?}");
}

#[test]
fn the_first_rule_that_fits_holds() {
    let toml = r#"
        literals = "hash"
        [[redact.rule]]
        sources = ["crm"]
        literals = "keep"
        [[redact.rule]]
        categories = ["operation"]
        literals = "keep"
        [[redact.rule]]
        tables = ["hr.*", "pay"]
        literals = "mask"
        [[redact.rule]]
        tables = ["shop.public"]
        literals = "keep"
    "#;
    let left = |source: &str, sql: &str| {
        let line = audited(toml, source, sql, "<none>");
        match line["redacted"][0].as_str() {
            None => "keep",
            Some("literal_mask") => "mask",
            Some("literal_hash") => "hash",
            Some(other) => panic!("{other}"),
        }
    };
    assert_eq!(left("crm", "SELECT 'x' FROM hr.a"), "keep");
    assert_eq!(left("orders-pg", "SELECT 'x' FROM hr.a"), "mask");
    assert_eq!(left("orders-pg", "SELECT 'x' FROM a JOIN s.pay ON true"), "mask");
    assert_eq!(left("orders-pg", "SELECT 'x' FROM s.a"), "hash");
    assert_eq!(left("orders-pg", "SELECT 'x' FROM shop.public"), "keep");
    assert_eq!(left("orders-pg", "SELECT 'x' FROM shop.public, s.a"), "hash");
    // In doubt it does not leave the host.
    assert_eq!(left("orders-pg", "SELECT 'x' FROM a"), "mask");
    assert_eq!(left("orders-pg", "DO $$ BEGIN x; END $$"), "mask");
    assert_eq!(left("orders-pg", "no statement at all 'x'"), "mask");
}

#[test]
fn no_literal_is_anywhere_in_a_record_of_any_format() {
    let sql = "INSERT INTO hr.pay (a, b) VALUES ('Zq7Literal0', 'Zq7it''s1') /* 'Zq7Literal2' */; SELECT 'Zq7Literal3' FROM t";
    for toml in [MASK, HASH] {
        for (_, format, render) in FORMATS {
            let lines = lines(toml, "crm", format, render(sql).as_bytes(), WHOLE);
            assert!(!lines.is_empty());
            for line in lines {
                assert!(!line.to_string().contains("Zq7"), "{format:?}: {line}");
                let is_read = line["statement"]["text"].as_str().is_some_and(|text| text.contains("hr.pay"));
                assert!(!is_read || line["redacted"].is_array(), "{format:?}: {line}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_row_or_too_large_or_no_text_keep_no_literal() {
    let raw = lines(MASK, "crm", Format::PostgresCsvlog, b"no row: Zq7 'x'\n", WHOLE).remove(0);
    assert_eq!((&raw["raw"], &raw["redacted"]), (&json!("?"), &json!(["literal_mask"])));
    let kept = "literals = \"mask\"\n[[redact.rule]]\ncategories = [\"unparsed\"]\nliterals = \"keep\"";
    let raw = lines(kept, "crm", Format::PostgresCsvlog, b"no row: Zq7 'x'\n", WHOLE).remove(0);
    assert_eq!(raw["raw"], "no row: Zq7 'x'\n");
    let filler = "x ".repeat(3_000);
    for sql in [format!("SELECT 'Zq7 {filler}', 'Zq7'"), format!("SELECT 'a' || '{filler} Zq7', 'b', 'Zq7' FROM t")] {
        for line in lines(MASK, "crm", Format::PostgresCsvlog, csvlog(&sql).as_bytes(), 2_000) {
            assert!(!line.to_string().contains("Zq7"), "{line}");
        }
    }
    let message = csv("statement: SELECT 'Zq7'");
    let mut log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"").into_bytes();
    log.extend_from_slice(b"\xff\",\"client backend\",,0\n");
    let line = lines(MASK, "crm", Format::PostgresCsvlog, &log, WHOLE).remove(0);
    assert_eq!(line["raw_base64"], "Pw==");
    let line =
        lines("detectors = [\"email\"]", "crm", Format::PostgresCsvlog, b"no row: jane@example.org\n", WHOLE).remove(0);
    assert_eq!((&line["raw"], &line["redacted"]), (&json!("no row: [redacted]\n"), &json!(["email"])));
}

#[test]
fn each_detector_finds_its_kind_in_every_text_and_only_where_it_is_on() {
    for (detector, value) in [
        ("email", "jane.doe@mail.example.org"),
        ("payment_card", "4111 1111 1111 1111"),
        ("iban", "DE89370400440532013000"),
        ("us_ssn", "078-05-1120"),
        ("phone", "+49 30 901820"),
        ("ip_address", "198.51.100.7"),
    ] {
        let toml = format!("detectors = [\"{detector}\"]");
        let sql = format!("SELECT * FROM t WHERE a = 'x {value}' /* {value} */");
        let line = failed(
            &toml,
            &sql,
            &format!("oops {value}"),
            &format!("Key (a)=({value})."),
            &format!("SQL statement \"{sql}\""),
        );
        assert!(!line.to_string().contains(value), "{line}");
        assert_eq!(line["redacted"], json!([detector]));
        assert_eq!(text(&line), "SELECT * FROM t WHERE a = 'x [redacted]' /* [redacted] */");
        let line = audited(&toml, "crm", "SELECT $1", &format!("\"{value}\""));
        assert_eq!(line["statement"]["parameters"], json!(["[redacted]"]));
        let other = if detector == "iban" { "email" } else { "iban" };
        let line = audited(&format!("detectors = [\"{other}\"]"), "crm", &sql, "<none>");
        assert_eq!((text(&line), &line["redacted"]), (sql.as_str(), &Value::Null));
    }
}

#[test]
fn whoever_acts_keeps_his_name_and_his_address() {
    let toml = "detectors = [\"email\", \"ip_address\", \"phone\"]";
    let log = CSVLOG.replace("\"app\"", "\"jane@example.org\"");
    let message = csv("statement: GRANT a TO \"joe@example.org\"");
    let of = |log: &str, message: &str| {
        let row = format!("{log}LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n");
        lines(toml, "crm", Format::PostgresCsvlog, row.as_bytes(), WHOLE).remove(0)
    };
    let line = of(&log, &message);
    assert_eq!((&line["user"], &line["client"]["address"]), (&json!("jane@example.org"), &json!("127.0.0.1")));
    assert_eq!((&line["grant"]["to"], &line["redacted"]), (&json!(["joe@example.org"]), &Value::Null), "{line}");
    let message = csv("connection authorized: user=jane@example.org database=x");
    let log = log.replace("\"ALTER ROLE\"", "\"authentication\"");
    let line = of(&log, &message);
    assert_eq!(line["redacted"], Value::Null, "{line}");
    // A field tells no more than the text.
    let line = audited(toml, "crm", "SET application_name = 'jane@example.org'", "<none>");
    assert!(!line["settings"].to_string().contains("jane") && !text(&line).contains("jane"), "{line}");
}

#[test]
fn columns_and_members_are_known_by_their_names() {
    let toml = "personal_names = [\"birth_date\", \"*mail\", \"age\"]";
    for (sql, left) in [
        (
            "INSERT INTO t (id, birth_date, email) VALUES (1, '2001-02-03', 'x'), (2, '2001-02-04', 'y')",
            "INSERT INTO t (id, birth_date, email) VALUES (1, '[redacted]', '[redacted]'), (2, '[redacted]', '[redacted]')",
        ),
        (
            "UPDATE t SET e_mail = 'x', a = 'b' WHERE age = 7",
            "UPDATE t SET e_mail = '[redacted]', a = 'b' WHERE age = '[redacted]'",
        ),
        ("SELECT '{\"age\": 41, \"page\": 3}'", "SELECT '{\"age\": [redacted], \"page\": 3}'"),
        ("SELECT page = 7, image = 'x' FROM t", "SELECT page = 7, image = 'x' FROM t"),
        ("SELECT f(birthdate => 'x')", "SELECT f(birthdate => '[redacted]')"),
    ] {
        let line = audited(toml, "crm", sql, "<none>");
        assert_eq!(text(&line), left);
        assert_eq!(line["redacted"] == json!(["personal_name"]), left != sql, "{line}");
    }
    let line = audited(toml, "crm", "UPDATE t SET email = $2 WHERE id = $1", "7,jane");
    assert_eq!(line["statement"]["parameters"], json!(["7", "[redacted]"]));
    let line = failed(toml, "UPDATE t SET email = $2", "oops", "Key (id, email)=(7, jane) already exists.", "");
    assert_eq!(line["extra"]["detail"], "Key (id, email)=([redacted]) already exists.");
    let line = failed(toml, "UPDATE t SET email = 'janedoe'", "invalid: janedoe", "", "");
    assert_eq!(line["error"]["message"], "invalid: [redacted]");
    // So are secrets.
    let line = failed("", "SELECT 1", "oops", "Key (api_key)=(Kx9qW0vT7) already exists.", "");
    assert_eq!(
        (&line["extra"]["detail"], &line["redacted"]),
        (&json!("Key (api_key)=([redacted]) already exists."), &json!(["password"]))
    );
}

#[test]
fn patterns_of_ones_own_are_found_and_named() {
    let toml = "patterns = { employee = 'EMP-\\d{6}', ticket = '\\bT\\d+' }";
    let line = audited(toml, "crm", "SELECT 'EMP-123456 x', 'EMP-12'", "T77");
    assert_eq!(text(&line), "SELECT '[redacted] x', 'EMP-12'");
    assert_eq!(line["redacted"], json!(["pattern:employee", "pattern:ticket"]));
}

#[test]
fn every_line_fits_the_schema() {
    let path = format!("{}/docs/record.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let toml = "literals = \"hash\"\ndetectors = [\"email\", \"payment_card\", \"iban\", \"us_ssn\", \"phone\", \"ip_address\"]\n\
        personal_names = [\"*name\"]\npatterns = { x = 'x+' }";
    let sql = "SELECT 'a@example.org', '4111111111111111', 'DE89370400440532013000', '078-05-1120', '+49 30 901820', '10.0.0.1', 'xx' FROM t WHERE first_name = 'y'";
    for toml in [toml.to_owned(), toml.replace("\"hash\"", "\"keep\""), MASK.to_owned()] {
        for (_, format, render) in FORMATS {
            for line in lines(&toml, "crm", format, render(sql).as_bytes(), WHOLE) {
                let wrong: Vec<_> = schema
                    .iter_errors(&line)
                    .map(|error| (error.instance_path().to_string(), error.schema_path().to_string()))
                    .collect();
                assert!(wrong.is_empty(), "{format:?}: {wrong:?} in {line}");
            }
        }
    }
}

#[test]
fn the_command_shows_what_the_configuration_takes_out_of_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.csv"), folder.path().join("sealtrail.toml"));
    fs::write(&log, csvlog("UPDATE t SET password = 'Kx9qW0vT7' WHERE a = 'x'") + "no row 'x'\n").unwrap();
    let source = |name: &str| format!("[[source]]\nname = \"{name}\"\npaths = [\"/x/*.csv\"]\n");
    let rule = "[[redact.rule]]\nsources = [\"a\"]\nliterals = \"mask\"\n";
    fs::write(&config, format!("{}{}{rule}", source("a"), source("b"))).unwrap();
    let run = |name: &str| {
        let arguments = ["redact", "test", "--source", name, "-c", config.to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_sealtrail")).args(arguments).arg(&log).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run("a");
    assert!(shown.contains("  password, literal_mask\n"), "{shown}");
    assert!(shown.contains("  - statement.text        UPDATE t SET password = 'Kx9qW0vT7' WHERE a = 'x'\n"), "{shown}");
    assert!(shown.contains("  + statement.text        UPDATE t SET password = '[redacted]' WHERE a = ?\n"), "{shown}");
    assert!(shown.contains("  + raw                   ?\n"), "{shown}");
    // Bytes that are kept because they are no text are shown too.
    let mut bytes = format!("{CSVLOG}LOG,00000,\"statement: SELECT 'x'\",,,,,,,,,\"").into_bytes();
    bytes.extend_from_slice(b"\xff\",\"client backend\",,0\n");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &bytes).unwrap();
    let shown = run("a");
    assert!(shown.contains("  + raw                   ?\n") && shown.contains("SELECT ?"), "{shown}");
    fs::write(&log, &whole).unwrap();
    let shown = run("b");
    assert!(shown.contains("'[redacted]' WHERE a = 'x'\n") && !shown.contains("literal_mask"), "{shown}");
}

const PIECES: [&str; 24] = [
    "SELECT ", "'", "''", "\"", "\\", "\\'", "$$", "$x$", "(", ")", ",", ";", "--", "/*", "*/", "\n", "E'", "q'[", "a",
    "12", "`", "é", "x@y.zz", "?",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a row: nothing panics, each line is whole, and a value that stands between quotes somewhere is nowhere.
    #[test]
    fn any_text_is_gone_through(
        before in proptest::collection::vec(0..PIECES.len(), 0..12),
        behind in proptest::collection::vec(0..PIECES.len(), 0..12),
        format in 0..FORMATS.len(),
        treatment in 0usize..2,
    ) {
        let [before, behind] = [before, behind].map(|pieces| pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
        let (_, format, render) = FORMATS[format];
        let toml = format!("{}\ndetectors = [\"email\", \"phone\"]\npersonal_names = [\"age\"]", [MASK, HASH][treatment]);
        let sql = format!("SELECT a {before} b = 'Zq7Literal' {behind}");
        for line in lines(&toml, "crm", format, render(&sql).as_bytes(), WHOLE) {
            prop_assert!(!line.to_string().contains("Zq7"), "{:?}: {} in {}", format, sql, line);
        }
    }

    /// A random value in a random place.
    #[test]
    fn a_random_literal_is_gone(
        value in "[ -&(-~]{4,24}|[a-zA-Z0-9']{6,30}",
        around in 0usize..6,
        format in 0usize..6,
    ) {
        let value = format!("Zq7{value}");
        let doubled = value.replace('\'', "''");
        let sql = [
            format!("SELECT * FROM t WHERE a = '{doubled}'"),
            format!("INSERT INTO t VALUES (1, '{doubled}', 'x'), (2, 'it''s', '{doubled}')"),
            format!("SELECT 'x' || '{doubled}' || $$ ' $$"),
            format!("DO $x$ BEGIN PERFORM f('{doubled}'); END $x$"),
            format!("SELECT f('{doubled}'"),
            format!("SELECT 1; UPDATE t SET \"a'b\" = '{doubled}'; COMMIT"),
        ];
        let (_, format, render) = FORMATS[format];
        for line in lines(MASK, "crm", format, render(&sql[around]).as_bytes(), WHOLE) {
            prop_assert!(!line.to_string().contains("Zq7"), "{:?}: {}\n{}", format, sql[around], line);
        }
    }
}

/// Without a configuration nothing of this happens.
#[test]
fn by_default_everything_stays() {
    let sql = "SELECT 'x', 1 FROM t WHERE email = 'a@example.org'";
    assert_eq!(
        records(Format::PostgresCsvlog, csvlog(sql).as_bytes(), WHOLE),
        records_by(
            By { redact: &redact(""), key: None, source: "parse" },
            Format::PostgresCsvlog,
            csvlog(sql).as_bytes(),
            WHOLE
        )
    );
}
