//! No secret of a row is in its record: statements with planted secrets, through every format that has statements.
//!
//! `tests/redaction/` has the statements, one a line, by engine. `«»` is a secret that this test makes, `«x»` the secret x, and `‹›` one without
//! quotes, for which the mark brings its own. What a statement must become is the same line with marks in these places.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;

use proptest::prelude::*;
use sealtrail_parsers::Format;
use serde_json::Value;

#[path = "redaction/formats.rs"]
mod formats;
#[path = "redaction/planted.rs"]
mod planted;

use planted::{MARK, Planted, planted};

use formats::{CSVLOG, FORMATS, Render, WHOLE, aurora, csv, csvlog, json, records};

impl Planted {
    /// Panics where a secret is left in what became of it.
    fn is_gone_from(&self, format: Format, lines: &[u8]) {
        let lines = std::str::from_utf8(lines).unwrap();
        assert!(!lines.is_empty(), "{format:?}: {}", self.sql);
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            for secret in &self.secrets {
                let is_in = holds(&value, secret) || line.contains(secret.as_str());
                assert!(!is_in, "{format:?}: {secret} of {}\nis in {line}", self.sql);
            }
        }
        let redacted = lines.lines().any(|line| line.contains("\"redacted\":["));
        assert!(redacted, "{format:?}: no record says so: {}\n{lines}", self.sql);
    }
}

/// Whether a text is anywhere in it.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains(text) || holds(value, text)),
        _ => false,
    }
}

#[test]
fn there_are_enough_statements() {
    let counts = ["postgresql", "mysql", "oracle", "sqlserver"].map(|engine| planted(engine).len());
    assert!(counts.iter().sum::<usize>() >= 300 && counts[0] >= 100 && counts[1] >= 100, "{counts:?}");
}

#[test]
fn no_planted_secret_is_in_a_record_of_any_format_and_the_rest_of_the_statement_is() {
    for (engine, format, render) in FORMATS {
        for planted in planted(engine) {
            let lines = records(format, render(&planted.sql).as_bytes(), WHOLE);
            planted.is_gone_from(format, &lines);
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let values = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
            let mut texts = values.filter_map(|value| value["statement"]["text"].as_str().map(str::to_owned));
            // Of a log of messages there is none.
            let is_left = |text: String| text.trim_end() == planted.left.trim_end();
            assert!(format == Format::SqlserverErrorlog || texts.any(is_left), "{format:?}: {}", planted.left);
        }
    }
}

#[test]
fn what_is_left_of_a_statement_is_left_alone() {
    for engine in ["postgresql", "mysql", "oracle", "sqlserver"] {
        for planted in planted(engine) {
            let (_, format, render) = FORMATS.into_iter().find(|(of, ..)| *of == engine).unwrap();
            let lines = records(format, render(&planted.left).as_bytes(), WHOLE);
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Value = serde_json::from_slice(line).unwrap();
                if let Some(text) = line["statement"]["text"].as_str() {
                    assert_eq!(text.trim_end(), planted.left.trim_end());
                }
            }
        }
    }
}

#[test]
fn cut_anywhere_a_statement_shows_no_more_of_its_secrets_than_their_first_letters() {
    for (engine, format, render) in [FORMATS[0], ("mysql", Format::AuroraAudit, aurora), FORMATS[14], FORMATS[16]] {
        for planted in planted(engine) {
            let cuts = (1..planted.sql.len()).filter(|cut| planted.sql.is_char_boundary(*cut));
            let log: String = cuts.map(|cut| render(&planted.sql[..cut])).collect();
            let lines = String::from_utf8(records(format, log.as_bytes(), WHOLE)).unwrap();
            for line in lines.lines() {
                for secret in planted.secrets.iter().filter(|secret| secret.starts_with("Kx9qW")) {
                    assert!(!line.contains(&secret[..5]), "{format:?}: {secret} of {}\nis in {line}", planted.sql);
                }
            }
        }
    }
}

#[test]
fn mongodbs_documents_lose_their_secrets_in_each_of_its_formats() {
    let uri = "mongodb://u:Kx9qW0vT7@h:27017/db";
    let args = format!(
        "{{\"find\":\"users\",\"filter\":{{\"uri\":\"{uri}\",\"password\":\"Kx9qW1vT7\",\"n\":7}},\"pwd\":\"Kx9qW2vT7\",\"apiKey\":{{\"$in\":[\"Kx9qW3vT7\"]}},\"fine\":\"stays\"}}"
    );
    let json = format!(
        "{{\"atype\":\"authCheck\",\"ts\":{{\"$date\":\"2022-08-24T14:10:04.973+00:00\"}},\"local\":{{\"ip\":\"127.0.0.1\",\"port\":27017}},\"remote\":{{\"ip\":\"127.0.0.1\",\"port\":4}},\
         \"users\":[{{\"user\":\"reader\",\"db\":\"shop\"}}],\"roles\":[],\"param\":{{\"command\":\"find\",\"ns\":\"shop.users\",\"args\":{args}}},\"result\":13}}\n"
    );
    let ocsf = format!(
        "{{\"activity_id\":1,\"category_uid\":6,\"class_uid\":6003,\"time\":1710715316123,\"severity_id\":1,\"type_uid\":600301,\"actor\":{{\"user\":{{\"type_id\":1,\"name\":\"shop.reader\"}}}},\
         \"src_endpoint\":{{\"ip\":\"127.0.0.1\",\"port\":1}},\"unmapped\":{{\"atype\":\"authCheck\",\"args\":{args}}}}}\n"
    );
    let bson = [
        text("atype", "authCheck"),
        field(9, "ts", &1_661_350_204_973_i64.to_le_bytes()),
        field(3, "local", &document(&[text("ip", "127.0.0.1")])),
        field(3, "remote", &document(&[text("ip", "127.0.0.1")])),
        field(4, "users", &document(&[])),
        field(4, "roles", &document(&[])),
        field(
            3,
            "param",
            &document(&[
                text("command", "find"),
                text("ns", "shop.users"),
                field(3, "args", &document(&[text("uri", uri), text("password", "Kx9qW1vT7"), text("fine", "stays")])),
            ]),
        ),
        field(16, "result", &13_i32.to_le_bytes()),
    ];
    for (format, log) in [
        (Format::MongodbAuditJson, json.into_bytes()),
        (Format::MongodbAuditOcsf, ocsf.into_bytes()),
        (Format::MongodbAuditBson, document(&bson)),
    ] {
        let lines = String::from_utf8(records(format, &log, WHOLE)).unwrap();
        assert!(!lines.contains("Kx9qW") && lines.contains("stays") && lines.contains(MARK), "{format:?}: {lines}");
        assert!(!lines.contains("\"unparsed\""), "{format:?}: {lines}");
    }
}

/// One element of BSON.
fn field(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let len = value.len() as i32 + 1;
    field(2, name, &[&len.to_le_bytes()[..], value.as_bytes(), &[0]].concat())
}

fn document(fields: &[Vec<u8>]) -> Vec<u8> {
    let inner = fields.concat();
    [&(inner.len() as i32 + 5).to_le_bytes()[..], &inner, &[0]].concat()
}

#[test]
fn bytes_that_are_no_row_lose_their_secrets_too() {
    for (engine, format, _) in [FORMATS[0], FORMATS[6], FORMATS[9], FORMATS[15], FORMATS[16]] {
        for planted in planted(engine) {
            if planted.sql.contains('\n') {
                continue;
            }
            let damaged = format!("no row at all: {}\n", planted.sql.replace('\n', " "));
            let lines = String::from_utf8(records(format, damaged.as_bytes(), WHOLE)).unwrap();
            for secret in planted.secrets.iter().filter(|secret| !secret.contains('\n')) {
                assert!(!lines.contains(secret.as_str()), "{format:?}: {secret} of {}\nis in {lines}", planted.sql);
            }
        }
    }
}

#[test]
fn a_row_that_is_not_utf8_keeps_its_bytes_without_its_secrets() {
    for planted in planted("postgresql").iter().filter(|planted| planted.secrets[0].starts_with("Kx9qW")) {
        let message = csv(&format!("statement: {}", planted.sql));
        let mut log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"").into_bytes();
        log.extend_from_slice(b"\xff\",\"client backend\",,0\n");
        let lines = records(Format::PostgresCsvlog, &log, WHOLE);
        planted.is_gone_from(Format::PostgresCsvlog, &lines);
        let value: Value = serde_json::from_slice(&lines).unwrap();
        let raw = value["raw_base64"].as_str().unwrap();
        let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, raw).unwrap();
        let raw = String::from_utf8_lossy(&raw);
        for secret in &planted.secrets {
            assert!(!raw.contains(secret.as_str()), "{secret} is in {raw}");
        }
    }
}

#[test]
fn a_row_that_is_too_large_loses_its_secrets_wherever_they_stand() {
    for at in [0, 100, 3_000, 5_500] {
        let filler = |len: usize| "x ".repeat(len / 2);
        let sql =
            format!("SELECT '{}'; ALTER ROLE a PASSWORD 'Kx9qW0vT7'; SELECT '{}'", filler(at), filler(6_000 - at));
        let planted = Planted { sql, secrets: vec!["Kx9qW0vT7".to_owned()], left: String::new() };
        let lines = String::from_utf8(records(Format::PostgresCsvlog, csvlog(&planted.sql).as_bytes(), 2_000)).unwrap();
        assert!(!lines.contains("Kx9qW0vT7"), "{at}: {lines}");
        assert!(lines.contains("\"oversize\""));
    }
}

#[test]
fn parameters_that_take_a_secrets_place_are_secret() {
    for (sql, parameters, secret) in [
        ("SELECT pgp_sym_encrypt($1, $2)", "fine,Kx9qW0vT7", "Kx9qW0vT7"),
        ("UPDATE users SET password = $2 WHERE id = $1", "\"\"\"fi,ne\"\"\",Kx9qW0vT7", "Kx9qW0vT7"),
        ("INSERT INTO users (name, password) VALUES ($1, $2)", "fine,\"\"\"Kx9q,W0vT7\"\"\"", "Kx9q,W0vT7"),
        ("SELECT 1 WHERE $1 = $2", "fine,host=h password=Kx9qW0vT7", "Kx9qW0vT7"),
        ("SELECT $1", "postgres://u:Kx9qW0vT7@h/fine", "Kx9qW0vT7"),
    ] {
        let parameters = parameters.replace("\"\"\"", "\"");
        let message = csv(&format!("AUDIT: SESSION,1,1,READ,SELECT,,,{},{}", csv(sql), csv(&parameters)));
        let log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n");
        let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains(secret), "{lines}");
        let value: Value = serde_json::from_str(&lines).unwrap();
        assert!(value["statement"]["parameters"].to_string().contains(MARK), "{lines}");
        assert!(!parameters.contains("fine") || lines.contains("fi"), "{lines}");
    }
}

#[test]
fn what_is_told_of_a_secret_elsewhere_in_the_row_goes_too() {
    let sql = csv("ALTER ROLE a PASSWORD 'Kx9qW0vT7'");
    for (message, detail) in [
        ("role \"\"Kx9qW0vT7\"\" is odd", ""),
        ("oops", "the words were Kx9qW0vT7, as given"),
        ("syntax error at or near \"\"'Kx9qW0vT7'\"\"", ""),
    ] {
        let log =
            format!("{CSVLOG}ERROR,42601,\"{message}\",\"{detail}\",,,,,{sql},8,,\"psql\",\"client backend\",,0\n");
        let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains("Kx9qW0vT7"), "{lines}");
        assert!(lines.contains("\"echo\""), "{lines}");
    }
    let parameters = "parameters: $1 = 'fine', $2 = 'Kx9q''W0vT7'";
    let log = format!(
        "{CSVLOG}LOG,00000,\"execute <unnamed>: SELECT pgp_sym_encrypt($1, $2)\",{},,,,,,,,\"psql\",\"client backend\",,0\n",
        csv(parameters)
    );
    let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
    assert!(!lines.contains("W0vT7") && lines.contains("fine"), "{lines}");
}

#[test]
fn a_quote_too_many_hides_no_secret() {
    for sql in [
        "SELECT 'it's'; ALTER ROLE a PASSWORD 'Kx9qW0vT7'",
        "SELECT 'it's'; ALTER ROLE a PASSWORD 'Kx9qW0vT7' LOGIN; SELECT 'x'",
        "UPDATE t SET a = 'O'Brien', password = 'Kx9qW0vT7' WHERE b = 'x'",
        "SELECT \"a; ALTER ROLE a PASSWORD 'Kx9qW0vT7'; SELECT \"b\"",
        "SELECT 'x\\'; ALTER ROLE a PASSWORD 'Kx9qW0vT7'; SELECT 'y'",
    ] {
        for (_, format, render) in FORMATS {
            let lines = String::from_utf8(records(format, render(sql).as_bytes(), WHOLE)).unwrap();
            assert!(!lines.contains("Kx9qW0vT7"), "{format:?}: {lines}");
        }
    }
}

#[test]
fn statements_without_secrets_stay_as_they_are() {
    for sql in [
        "SELECT u.password FROM users u JOIN l ON u.password = l.password",
        "ALTER ROLE alice PASSWORD NULL",
        "ALTER ROLE a VALID UNTIL 'infinity'",
        "SET SESSION AUTHORIZATION 'fred'",
        "COMMENT ON COLUMN users.password IS 'the hash of it'",
        "ALTER TABLE users ALTER COLUMN password SET NOT NULL, ADD token varchar(20)",
        "CREATE INDEX ON users (password, token)",
        "SELECT 'my password', 'x'",
        "SELECT token, count(*) FROM t WHERE prstoken = 0 GROUP BY token ORDER BY 'x'",
        "SELECT 'https://example.com:8080/a@b', 'http://h/a:b@c', 'user@example.com'",
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''' || pw || ''' LOGIN'; END $$",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE %I PASSWORD %L', n, pw); END $$",
        "SELECT identified_by, secrets FROM passwords WHERE pass_count > 4",
        "ALTER ROLE a PASSWORD <REDACTED>",
        "INSERT INTO t VALUES ('password', 'token')",
        "SELECT md5('x'), gen_salt('bf'), encode('x', 'hex')",
    ] {
        let lines = String::from_utf8(records(Format::PostgresCsvlog, csvlog(sql).as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains(MARK) && !lines.contains("\"redacted\":["), "{sql}\n{lines}");
    }
}

/// Places for a secret in quotes, with what the quoting of it is.
const PLACES: [(&str, &str, Render); 12] = [
    ("ALTER ROLE a PASSWORD '", "' LOGIN", doubled),
    ("ALTER ROLE a PASSWORD $q$", "$q$ LOGIN", verbatim),
    ("DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''", "'''; END $$", twice),
    ("CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'x', password '", "')", doubled),
    ("SELECT dblink('host=h password=''", "'' user=u', 'SELECT 1')", twice),
    ("SELECT pgp_sym_encrypt('x', '", "')", doubled),
    ("UPDATE t SET password = '", "' WHERE a = 'b'", doubled),
    ("INSERT INTO t (a, password, b) VALUES ('a', '", "', 'b')", doubled),
    ("SELECT 1 /* password: '", "' */", doubled),
    ("SET a.secret = '", "'", doubled),
    ("ALTER ROL a PASSWORD '", "' (", doubled),
    ("SELECT '{\"password\":", "}'", within_json),
];

fn verbatim(text: &str) -> String {
    text.to_owned()
}

fn doubled(text: &str) -> String {
    text.replace('\'', "''")
}

fn twice(text: &str) -> String {
    doubled(&doubled(text))
}

fn within_json(text: &str) -> String {
    doubled(&json(text))
}

const AROUND: [(&str, &str); 6] = [
    ("", ""),
    ("SELECT 'it''s'; ", "; SELECT 'x'"),
    ("/* a ' b */ ", " -- don't"),
    ("INSERT INTO t VALUES (1, 'a'); ", ""),
    ("SELECT \"a'b\", $$ ' $$; ", "; COMMIT"),
    ("BEGIN;\n\t", ";\nEND;"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_secret_in_a_random_statement_is_gone(
        secret in "[!-#%&(-\\[\\]-~]{8,24}|[a-zA-Z0-9]{6,30}|[a-z']{4}[a-zA-Z0-9']{6,20}[a-z]",
        place in 0..PLACES.len(),
        around in 0..AROUND.len(),
        format in 0usize..5,
    ) {
        let ((before, behind, quote), (opens, closes)) = (PLACES[place], AROUND[around]);
        let sql = format!("{opens}{before}{}{behind}{closes}", quote(&secret));
        let (_, format, render) = FORMATS[format];
        let lines = records(format, render(&sql).as_bytes(), WHOLE);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: Value = serde_json::from_slice(line).unwrap();
            for form in [secret.clone(), quote(&secret)] {
                prop_assert!(!holds(&value, &form), "{:?}: {} of {}\n{}", format, form, sql, String::from_utf8_lossy(line));
            }
        }
    }
}

#[test]
fn the_command_shows_each_text_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.csv"), folder.path().join("sealtrail.toml"));
    fs::write(&log, csvlog("ALTER ROLE a PASSWORD 'Kx9qW0vT7'") + &csvlog("SELECT my_login('a', 'Kx9qW1vT7')"))
        .unwrap();
    fs::write(
        &config,
        "[[source]]\nname = \"a\"\npaths = [\"/x/*.csv\"]\n[redact]\nsecret_arguments = [\"my_login(2)\"]\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_sealtrail"))
            .args(["redact", "test"])
            .args(arguments)
            .arg(&log)
            .output();
        let output = command.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&[]);
    assert!(shown.contains("  - statement.text        ALTER ROLE a PASSWORD 'Kx9qW0vT7'\n"), "{shown}");
    assert!(shown.contains("  + statement.text        ALTER ROLE a PASSWORD '[redacted]'\n"), "{shown}");
    assert!(shown.ends_with("\n4 of 8 rows hold something that is taken out\n"), "{shown}");
    assert!(!shown.contains("my_login"), "{shown}");
    let shown = run(&["-c", config.to_str().unwrap(), "--json"]);
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8, "{shown}");
    assert_eq!(lines[4]["changes"][0]["after"], "SELECT my_login('a', '[redacted]')");
    assert_eq!(lines[4]["redacted"], serde_json::json!(["argument"]));
}

#[test]
fn a_secret_that_begins_with_a_quote_is_gone() {
    let secret = "'aaaaaAaa0a";
    for (before, behind, quote) in PLACES {
        let sql = format!("{before}{}{behind}", quote(secret));
        for (_, format, render) in FORMATS.into_iter().take(5) {
            let lines = records(format, render(&sql).as_bytes(), WHOLE);
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let value: Value = serde_json::from_slice(line).unwrap();
                for form in [secret.to_owned(), quote(secret)] {
                    assert!(!holds(&value, &form), "{format:?}: {form} of {sql}\n{}", String::from_utf8_lossy(line));
                }
            }
        }
    }
}
