//! Rows larger than the limit, holes of zeros and torn rows: however a log is read, its lines are the same and account for every byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{self, Read};
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use sealtrail::frames::{Frames, Next};
use sealtrail::hex::hex;
use sealtrail::parse::{Request, parse};
use sealtrail_parsers::Format;
use serde_json::Value;
use sha2::{Digest, Sha256};

const LIMIT: usize = 1024;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// A row as pgAudit's users have it, whose statement holds these bytes.
fn row(format: Format, line: u64, sql: &str) -> Vec<u8> {
    let audit =
        format!("AUDIT: SESSION,{line},1,WRITE,INSERT,TABLE,public.t,\"{}\",<none>,1", sql.replace('"', "\"\""));
    let row = match format {
        Format::PostgresCsvlog => format!(
            "2026-11-20 20:28:31.848 UTC,\"app\",\"appdb\",17078,\"127.0.0.1:53384\",6b00ad6f.42b6,{line},\"INSERT\",\
             2026-11-20 20:28:31 UTC,3/38,748,LOG,00000,\"{}\",,,,,,,,,\"psql\",\"client backend\",,-18\n",
            audit.replace('"', "\"\"")
        ),
        Format::PostgresJsonlog => format!(
            "{{\"timestamp\":\"2026-11-20 20:28:31.848 UTC\",\"user\":\"app\",\"dbname\":\"appdb\",\"pid\":17078,\"session_id\":\"6b00ad6f.42b6\",\
             \"line_num\":{line},\"ps\":\"INSERT\",\"txid\":748,\"error_severity\":\"LOG\",\"message\":{},\"application_name\":\"psql\",\
             \"backend_type\":\"client backend\"}}\n",
            Value::from(audit)
        ),
        other => unreachable!("{other} has its own tests"),
    };
    row.into_bytes()
}

/// Hands out bytes in pieces of the given sizes, over and over.
struct Pieces<'p> {
    bytes: &'p [u8],
    sizes: &'p [usize],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.sizes[self.next % self.sizes.len()].min(room.len()).min(self.bytes.len());
        self.next += 1;
        room[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes = &self.bytes[len..];
        Ok(len)
    }
}

fn lines_of(format: Format, log: &[u8], record_max_bytes: usize, sizes: &[usize]) -> Vec<u8> {
    let request = Request {
        path: "log".to_owned(),
        format: Some(format),
        inside: None,
        prefix: None,
        timezone: None,
        server: "db1".to_owned(),
        record_max_bytes,
    };
    let mut out = Vec::new();
    parse(&request, &mut Pieces { bytes: log, sizes, next: 0 }, &mut out).unwrap();
    out
}

fn values(lines: &[u8]) -> Vec<Value> {
    lines.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The lines, having checked that each is allowed, that each byte is in one of them, and that what was left out is hashed.
fn checked(format: Format, log: &[u8], record_max: usize) -> Vec<Value> {
    let lines = values(&lines_of(format, log, record_max, &[usize::MAX]));
    for line in &lines {
        let errors: Vec<String> = SCHEMA.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {line}");
    }
    assert_tiled(log, &lines);
    lines
}

fn assert_tiled(log: &[u8], lines: &[Value]) {
    let mut end = 0;
    for line in lines {
        let at = usize::try_from(line["at"]["offset"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(line["at"]["length"].as_u64().unwrap()).unwrap();
        assert_eq!(at, end, "{line}");
        end += length;
        let bytes = &log[at..end];
        if line["oversize"].is_object() {
            assert_eq!(line["oversize"]["sha256"], hex(&Sha256::digest(bytes)), "{line}");
            assert_eq!(line["oversize"]["length"], length, "{line}");
        }
        let kept = |field: &Value| field.as_str().unwrap_or_default().as_bytes().to_vec();
        assert!(bytes.starts_with(&kept(&line["oversize"]["head"])), "{line}");
        // What a quote ends may be the end of a secret whose beginning was cut off.
        let tail = kept(&line["oversize"]["tail"]);
        let tail = tail.strip_prefix(b"[redacted]").unwrap_or(&tail);
        assert!(bytes.ends_with(tail), "{line}");
        if has_flag(line, "zeros") {
            assert!(bytes.iter().all(|byte| *byte == 0), "{line}");
        }
    }
    assert_eq!(end, log.len());
}

fn has_flag(line: &Value, flag: &str) -> bool {
    line["flags"].as_array().is_some_and(|flags| flags.iter().any(|found| found == flag))
}

/// The numbers of the rows that came out as rows.
fn rows(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["session"]["line"].as_u64()).collect()
}

const FORMATS: [Format; 2] = [Format::PostgresCsvlog, Format::PostgresJsonlog];

#[test]
fn a_row_is_oversize_from_one_byte_over_the_limit_on() {
    for format in FORMATS {
        let small = row(format, 1, "").len();
        for len in LIMIT - 3..LIMIT + 3 {
            let log = row(format, 1, &"x".repeat(len - small));
            let lines = checked(format, &log, LIMIT);
            assert_eq!(lines.len(), 1);
            assert_eq!(has_flag(&lines[0], "oversize"), len > LIMIT, "{len} bytes");
            assert_eq!(lines[0]["action"], "INSERT");
        }
    }
}

#[test]
fn an_oversize_row_says_who_did_what_to_what_and_when() {
    for format in FORMATS {
        for len in [2000, 100_000, 1_000_000] {
            let log = row(format, 1, &"it''s \"é\"\n".repeat(len / 10));
            let lines = checked(format, &log, LIMIT);
            assert_eq!(lines.len(), 1);
            let line = &lines[0];
            let told = ["time", "user", "action", "resource", "category"].map(|field| line[field].as_str().unwrap());
            assert_eq!(told, ["2026-11-20T20:28:31.848Z", "app", "INSERT", "appdb.public.t", "data_write"]);
            assert_eq!(line["statement"]["rows"], 1, "what stands behind the cut is read as well");
            assert_eq!(line["client"]["application"], "psql");
            assert!(line["statement"]["text"].as_str().unwrap().contains(" bytes ...]"), "{line}");
            assert!(line.to_string().len() < 4 * LIMIT);
        }
    }
}

/// pgauditlogtofile's row, by its release; up to 1.6 it has a number.
fn to_file(release: &str, sql: &str) -> (Format, Vec<u8>) {
    let quoted = format!("\"{}\"", sql.replace('"', "\"\""));
    let content = Value::from(format!("{quoted},<none>,1"));
    let (format, row) = match release {
        "1.5" => (
            Format::PgauditlogtofileCsv,
            format!(
                "2026-11-20 20:28:31.848 UTC,app,appdb,17078,127.0.0.1:53384,6b00ad6f.42b6,7,INSERT,2026-11-20 20:28:31 UTC,3/38,748,00000,\
                 SESSION,1,1,WRITE,INSERT,TABLE,public.t,{quoted},<none>,1,,,,,,,,,psql\n"
            ),
        ),
        "1.8" => (
            Format::PgauditlogtofileCsv,
            format!(
                "\"2026-11-20 20:28:31.848 UTC\",\"app\",\"appdb\",\"17078\",\"127.0.0.1:53384\",\"6b00ad6f.42b6\",\"INSERT\",\"3/38\",\"748\",\"00000\",\
                 \"SESSION\",\"1\",\"1\",\"WRITE\",\"INSERT\",\"TABLE\",\"public.t\",{content},,,,,,,,,\"psql\",\"2026-11-20 20:28:31.8 UTC\",,\"0.1\",\"1\",\"2\",\"3\",\"4\"\n"
            ),
        ),
        _ => (
            Format::PgauditlogtofileJson,
            format!(
                "{{\"log.source\":\"pgauditlogtofile\",\"severity\":\"audit\",\"timestamp\":\"2026-11-20 20:28:31.848 UTC\",\"db.user\":\"app\",\"db.name\":\"appdb\",\
                 \"custom.process_id\":\"17078\",\"net.peer.name\":\"127.0.0.1\",\"net.peer.port\":\"53384\",\"custom.session_id\":\"6b00ad6f.42b6\",\
                 \"custom.command_tag\":\"INSERT\",\"custom.state_code\":\"00000\",\"custom.audit_type\":\"SESSION\",\"custom.statement_id\":\"1\",\
                 \"custom.substatement_id\":\"1\",\"custom.class\":\"WRITE\",\"custom.command\":\"INSERT\",\"custom.object_type\":\"TABLE\",\
                 \"custom.object_name\":\"public.t\",\"content\":{content},\"custom.application_name\":\"psql\",\"custom.execution_start\":\"a\",\
                 \"custom.execution_end\":\"b\",\"custom.execution_time\":\"0.1\",\"custom.execution_memory.start\":\"1\",\
                 \"custom.execution_memory.end\":\"2\",\"custom.execution_memory.peak\":\"3\",\"custom.execution_memory.delta\":\"4\"}}\n"
            ),
        ),
    };
    (format, row.into_bytes())
}

#[test]
fn an_oversize_row_of_pgauditlogtofile_says_it_too_whatever_its_release() {
    // In JSON as much stands before what pgAudit says as LIMIT keeps.
    let limit = 4 * LIMIT;
    for release in ["1.5", "1.8", "json"] {
        for (sql, times) in
            [("it''s \"é\" 1,\n", 1000), ("some words a\"\"b and words \\ and \t", 14_000), ("plain ", 160_000)]
        {
            let (format, large) = to_file(release, &sql.repeat(times));
            let (_, small) = to_file(release, "select 1, 2");
            let log = [&small[..], &large, &small].concat();
            let lines = checked(format, &log, limit);
            assert_eq!(lines.len(), 3, "{release}");
            let line = &lines[1];
            let told = ["time", "user", "action", "resource", "category"].map(|field| line[field].as_str().unwrap());
            let expected = ["2026-11-20T20:28:31.848Z", "app", "INSERT", "appdb.public.t", "data_write"];
            assert_eq!(told, expected, "{release}: {sql}: {line}");
            assert_eq!(
                line["statement"]["rows"], 1,
                "{release}: {sql}: what stands behind the cut is read as well: {line}"
            );
            assert_eq!(line["client"]["application"], "psql");
            assert!(has_flag(line, "oversize") && !has_flag(&lines[2], "oversize"));
            assert!(line["statement"]["text"].as_str().unwrap().contains(" bytes ...]"), "{line}");
            assert!(line.to_string().len() < 4 * limit, "{}", line.to_string().len());
        }
    }
}

#[test]
fn an_oversize_row_of_pgauditlogtofile_that_quotes_nothing_is_kept_by_its_ends() {
    let (format, row) = to_file("1.5", "");
    let row = String::from_utf8(row).unwrap().replace("\"\",<none>", &format!("{},<none>", "select ".repeat(1000)));
    let lines = checked(format, row.as_bytes(), LIMIT);
    assert!(lines.len() == 1 && has_flag(&lines[0], "unparsed") && has_flag(&lines[0], "oversize"), "{}", lines[0]);
}

#[test]
fn rows_before_and_behind_an_oversize_one_are_read() {
    for format in FORMATS {
        for len in [1500, 70_000, 131_072, 200_000, 500_000] {
            let large = row(format, 2, &"text \"\" ".repeat(len / 8));
            let log = [row(format, 1, "a"), large, row(format, 3, "b")].concat();
            assert_eq!(rows(&checked(format, &log, LIMIT)), [1, 2, 3]);
        }
    }
}

#[test]
fn a_torn_oversize_row_does_not_cost_the_row_behind_it_wherever_it_was_torn() {
    for format in FORMATS {
        let large = row(format, 2, &"text \"\" 1.5 ".repeat(20_000));
        for cut in (100_000..large.len()).step_by(7919).chain(large.len() - 200..large.len()) {
            let log = [&row(format, 1, "a"), &large[..cut], &row(format, 3, "b"), &row(format, 4, "c")].concat();
            let lines = checked(format, &log, LIMIT);
            let found = rows(&lines);
            assert_eq!(found, [1, 3, 4], "cut at {cut}");
            if cut > 140_000 {
                assert_eq!(lines.len(), 4, "cut at {cut}");
            }
        }
    }
}

#[test]
fn half_a_row_that_runs_on_into_an_oversize_one_does_not_cost_it() {
    for format in FORMATS {
        let half = row(format, 1, "a");
        let large = row(format, 2, &"x".repeat(300_000));
        for cut in 1..half.len() {
            let log = [&half[..cut], &large[..], &row(format, 3, "b")].concat();
            assert_eq!(rows(&checked(format, &log, LIMIT)), [2, 3], "cut at {cut}");
        }
    }
}

#[test]
fn a_run_of_zeros_is_one_line_whatever_its_length() {
    for format in FORMATS {
        for zeros in [16, 17, 1000, 65_536, 262_144, 1_000_000] {
            let log = [&row(format, 1, "a")[..], &vec![0; zeros], &row(format, 2, "b")].concat();
            let lines = checked(format, &log, LIMIT);
            assert_eq!(rows(&lines), [1, 2]);
            assert_eq!(lines.len(), 3, "{zeros} zeros");
            assert_eq!((&lines[1]["flags"][0], &lines[1]["at"]["length"]), (&"zeros".into(), &zeros.into()));
            assert!(lines[1].to_string().len() < 600 && lines[1]["raw"].is_null());
        }
    }
}

/// The last row holds seventeen zeros and each ends with one.
const BINARY: &[u8] = include_bytes!("../parsers/tests/fixtures/mongodb-audit-bson/rows.log");

#[test]
fn zeros_inside_the_rows_of_a_binary_format_are_no_hole_and_between_them_they_are() {
    let read = |log: &[u8], sizes: &[usize]| lines_of(Format::MongodbAuditBson, log, 1 << 20, sizes);
    let log = [BINARY, &[0; 5000], BINARY].concat();
    let whole = read(&log, &[usize::MAX]);
    let lines = values(&whole);
    assert_tiled(&log, &lines);
    let rows = values(&read(BINARY, &[usize::MAX])).len();
    let not_understood: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line["category"] == "unparsed").collect();
    assert!(matches!(not_understood[..], [(at, line)] if at == rows && has_flag(line, "zeros")), "{not_understood:?}");
    for size in [1, 5, 100] {
        assert_eq!(read(&log, &[size]), whole, "in pieces of {size}");
    }
}

#[test]
fn the_last_row_of_a_binary_format_does_not_wait_for_what_follows_its_zeros() {
    let mut frames = Frames::new(0, Vec::new());
    frames.set_dialect(Format::MongodbAuditBson.into(), true);
    frames.fill(BINARY.len(), |room, _| Pieces { bytes: BINARY, sizes: &[usize::MAX], next: 0 }.read(room)).unwrap();
    assert_eq!(frames.drop_trailing_zeros(true), 0);
    hand_out(&mut frames, false);
    assert_eq!(frames.offset(), BINARY.len() as u64);
}

#[test]
fn what_stands_before_a_run_of_zeros_is_a_line_of_its_own() {
    for format in FORMATS {
        let torn = row(format, 1, &"a \"b\" ".repeat(40_000));
        for cut in [10, 100, 200, 300, 2000, 100_000, 200_000] {
            let log = [&torn[..cut], &[0; 5000], &row(format, 2, "b")].concat();
            let lines = checked(format, &log, LIMIT);
            assert_eq!(rows(&lines), [2], "{cut} bytes");
            let last = lines.len() - 2;
            assert!(has_flag(&lines[last], "zeros") && has_flag(&lines[last - 1], "damaged"));
            assert!(lines[last - 1]["extra"]["reason"].as_str().unwrap().contains("zeros"), "{}", lines[last - 1]);
        }
    }
}

#[test]
fn a_log_that_begins_with_a_hole_tells_its_format_behind_it() {
    for format in FORMATS {
        let log = [&vec![0; 300_000][..], &row(format, 1, "a")].concat();
        let request = Request { format: None, ..request(LIMIT) };
        let mut out = Vec::new();
        parse(&request, &mut &log[..], &mut out).unwrap();
        assert_eq!(rows(&values(&out)), [1]);
    }
}

fn request(record_max_bytes: usize) -> Request {
    Request {
        path: "log".to_owned(),
        format: None,
        inside: None,
        prefix: None,
        timezone: None,
        server: "db1".to_owned(),
        record_max_bytes,
    }
}

/// Rows whole and torn, large and small, zeros and quotes, in any order.
fn rubble(format: Format) -> impl Strategy<Value = Vec<u8>> {
    let text =
        prop_oneof![Just("x"), Just("\"\""), Just("\n"), Just("é,"), Just("2026-11-20 20:28:31.848 UTC,"), Just("\\")];
    let large = (text.clone(), 0..12_000_usize).prop_map(move |(text, count)| row(format, 7, &text.repeat(count)));
    let torn = (large.clone(), 0.0..1.0)
        .prop_map(|(row, part): (Vec<u8>, f64)| row[..(row.len() as f64 * part) as usize].to_vec());
    let near = (600..800_usize).prop_map(move |len| row(format, 8, &"x".repeat(len)));
    let zeros = prop_oneof![1..40_usize, 1..300_000_usize].prop_map(|len| vec![0; len]);
    let piece = prop_oneof![
        2 => Just(row(format, 9, "SELECT 1")), 2 => large, 2 => torn, 2 => near, 2 => zeros,
        1 => Just(b"\"".to_vec()), 1 => proptest::collection::vec(any::<u8>(), 0..30),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn log_of_any_format() -> impl Strategy<Value = (Format, Vec<u8>)> {
    prop_oneof![Just(FORMATS[0]), Just(FORMATS[1])].prop_flat_map(|format| (Just(format), rubble(format)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn lines_do_not_depend_on_how_the_log_is_read(
        (format, log) in log_of_any_format(),
        sizes in proptest::collection::vec(prop_oneof![1..100_usize, 1..300_000_usize], 1..6),
        record_max in prop_oneof![Just(LIMIT), 1024..300_000_usize],
    ) {
        let cut_up = lines_of(format, &log, record_max, &sizes);
        let whole = lines_of(format, &log, record_max, &[usize::MAX]);
        // The agent's own clock stands in where no row before it had a time.
        let told = |lines: &[u8]| values(lines).into_iter().map(|mut line| {
            if line["time_source"] == "agent-clock" { line["time"] = Value::Null; }
            line
        }).collect::<Vec<_>>();
        prop_assert_eq!(told(&cut_up), told(&whole));
        assert_tiled(&log, &values(&whole));
    }

    #[test]
    fn seals_hash_what_was_handed_out_and_nothing_else(
        (format, log) in log_of_any_format(),
        reads in proptest::collection::vec((1..200_000_usize, any::<bool>()), 1..8),
    ) {
        let mut frames = Frames::new(0, Vec::new());
        frames.set_dialect(format.into(), true);
        let (mut sealed, mut read, mut dropped) = (0, 0, 0);
        for (len, seals) in reads.iter().cycle() {
            let end = frames.fill(*len, |room, at| {
                assert_eq!(at, read as u64);
                Pieces { bytes: &log[read..], sizes: &[usize::MAX], next: 0 }.read(room)
            }).unwrap() == 0;
            read = usize::try_from(frames.read_to()).unwrap();
            // At any time the file may seem to end, but it goes on.
            dropped = frames.drop_trailing_zeros(*seals && !end && dropped == 0);
            read -= dropped;
            hand_out(&mut frames, end);
            let handed_out = usize::try_from(frames.offset()).unwrap();
            if *seals || end {
                prop_assert_eq!(frames.seal()[..].to_vec(), Sha256::digest(&log[sealed..handed_out])[..].to_vec());
                sealed = handed_out;
            }
            frames.account();
            prop_assert_eq!(frames.before(), &log[handed_out.saturating_sub(1024)..handed_out]);
            prop_assert_eq!(frames.read_before(0), &log[read.saturating_sub(1024)..read]);
            if end {
                break;
            }
        }
        prop_assert_eq!(sealed, log.len());
    }
}

fn hand_out(frames: &mut Frames, end: bool) {
    loop {
        match frames.next(LIMIT, end) {
            Next::Record { len } | Next::Damaged { len, .. } => frames.consume(len),
            Next::Oversize { len, .. } => drop(frames.take_passed(len)),
            Next::Zeros => drop(frames.take_passed(0)),
            Next::Wait => break,
        }
    }
}
