//! Where csvlog records end, and where they begin again after damage, against files written to mislead.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Format, Frame, Framer, Parsed, Scratch, parse};
use support::{Part, parts, whole};

const FORMAT: Format = Format::PostgresCsvlog;

/// A row as PostgreSQL 15 writes it, with this user and message.
fn row(user: &str, message: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    format!(
        "2026-11-20 20:28:31.848 UTC,{},\"appdb\",17078,\"127.0.0.1:53384\",6b00ad6f.42b6,14,\"SELECT\",\
         2026-11-20 20:28:31 UTC,3/38,748,LOG,00000,{},,,,,,,,,\"psql\",\"client backend\",,-18\n",
        quoted(user),
        quoted(message)
    )
}

fn fresh() -> String {
    row("fresh", "statement: SELECT 2")
}

/// A row that a forger puts into his SQL; `quote` stands for each quote.
fn forged(quote: &str) -> String {
    row("forged", "statement: DROP TABLE evidence").replace('"', quote)
}

/// The same without any column that could be in quotes, but for the message.
fn forged_bare(quote: &str) -> String {
    format!(
        "2026-11-20 20:28:31.000 UTC,,,1,,a.b,1,,2026-11-20 20:28:31 UTC,,0,LOG,00000,{quote}statement: DROP{quote},,,,,,,,,,,,\n"
    )
}

/// The users of the rows that were found, as parsed; damaged and unparsed bytes are left out.
fn users(found: &[Part]) -> Vec<String> {
    let mut users = Vec::new();
    for part in found {
        let Part::Record(frame) = part else { continue };
        users.extend(users_of(frame));
    }
    users
}

/// The users of one frame: a row that runs on into another is read again from where that one starts.
fn users_of(frame: &[u8]) -> Vec<String> {
    match parse(&FORMAT.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => vec![String::from_utf8_lossy(record.user.unwrap_or(b"(none)")).into_owned()],
        Parsed::Unparsed { retry_at: None, .. } => vec![],
        Parsed::Unparsed { retry_at: Some(at), .. } => {
            assert!(at > 0 && at < frame.len());
            users(&whole(FORMAT, &frame[at..]))
        }
        other => panic!("{other:?}"),
    }
}

fn users_in(file: &str) -> Vec<String> {
    users(&whole(FORMAT, file.as_bytes()))
}

#[test]
fn newline_inside_quotes_does_not_end_the_record() {
    let file = row("app", "statement: SELECT 1\n\n2") + &fresh();
    assert_eq!(whole(FORMAT, file.as_bytes()).len(), 2);
    assert_eq!(users_in(&file), ["app", "fresh"]);
}

#[test]
fn a_forged_row_inside_a_statement_stays_inside() {
    let file = row("app", &format!("statement: SELECT '\n{}\n'", forged("\""))) + &fresh();
    assert_eq!(users_in(&file), ["app", "fresh"]);
}

#[test]
fn carriage_returns_before_line_ends_are_accepted() {
    let file = fresh().replace('\n', "\r\n") + &fresh().replace(",-18\n", ",\r\n").replace(",,\r\n", "\r\n");
    assert_eq!(users_in(&file), ["fresh", "fresh"]);
}

#[test]
fn half_a_row_without_line_end_does_not_cost_the_row_behind_it() {
    let torn = row("torn", "statement: SELECT 1");
    for cut in 1..torn.len() {
        let file = format!("{}{}{}", &torn[..cut], fresh(), row("last", "statement: SELECT 3"));
        let found = users_in(&file);
        assert_eq!(found, ["fresh", "last"], "cut at {cut}: {}", &torn[..cut]);
    }
}

#[test]
fn half_a_row_with_a_line_end_does_not_cost_the_row_behind_it() {
    let torn = row("torn", "statement: SELECT \"a\", '\n', 1");
    for cut in 1..torn.len() - 1 {
        let file = format!("{}\n{}", &torn[..cut], fresh());
        let found = users_in(&file);
        assert_eq!(found.last().map(String::as_str), Some("fresh"), "cut at {cut}: {}", &torn[..cut]);
    }
}

#[test]
fn a_forged_row_is_not_found_in_half_a_row_wherever_it_was_cut() {
    for quote in ["\"", "", "\"\"", "'", "\"\"\""] {
        let torn = row("torn", &format!("statement: SELECT '\n{}\n{}'", forged(quote), forged_bare(quote)));
        for cut in 1..torn.len() - 1 {
            let found = users_in(&format!("{}{}", &torn[..cut], fresh()));
            assert_eq!(found, ["fresh"], "quote {quote}, cut at {cut}");
        }
    }
}

#[test]
fn a_forged_row_is_not_found_when_reading_begins_inside_a_row() {
    for quote in ["\"", "", "\"\"", "'", "\"\"\""] {
        let file = row(",", &format!("statement: SELECT '\n{}\n{}'", forged(quote), forged_bare(quote))) + &fresh();
        for cut in 1..file.len() - fresh().len() {
            let found = users(&parts(Framer::mid_file(&FORMAT.into()), &[&file.as_bytes()[cut..]]));
            assert_eq!(found, ["fresh"], "quote {quote}, begun at {cut}");
        }
    }
}

#[test]
fn the_true_closing_quote_cannot_be_made_the_opening_quote_of_a_forged_message() {
    // In 12 and before the application name is the last column, and a forger can choose it and the next user name.
    let columns_before_message = "2026-11-20 20:28:31.000 UTC,,,1,,a.b,1,,2026-11-20 20:28:31 UTC,,0,LOG,00000,";
    let with_23_columns = |row: String| row.replace(",\"client backend\",,-18", "");
    let sql = with_23_columns(row("app", &format!("statement: {columns_before_message}")).replace("psql", ",x,"));
    let next = with_23_columns(row(",,,,,,,\n", "statement: SELECT 1"));
    let file = sql.clone() + &next + &with_23_columns(fresh());
    assert_eq!(users_in(&file), ["app", ",,,,,,,\n", "fresh"]);
    for cut in 1..sql.len() {
        let found = users(&parts(Framer::mid_file(&FORMAT.into()), &[&file.as_bytes()[cut..]]));
        assert_eq!(found, [",,,,,,,\n", "fresh"], "begun at {cut}");
    }
}

#[test]
fn a_user_name_cannot_turn_the_inside_of_a_torn_row_out() {
    // Whoever connects right after a crash chooses the first quoted column behind the torn row. From inside its open
    // quotes, that column's opening quote closes, and what the name holds stands outside quotes.
    let bare = forged("").replace("statement: DROP TABLE evidence", "");
    let torn = row("torn", "statement: SELECT 1");
    for name in [format!(",\n{bare}"), format!("\n{bare}"), format!("\"\n{bare}"), format!("\",,,,,,,,,,\n{bare},")] {
        for cut in 1..torn.len() - 1 {
            let file = format!("{}{}{}", &torn[..cut], row(&name, "no such role"), fresh());
            assert_eq!(users_in(&file), [name.as_str(), "fresh"], "cut at {cut}");
        }
    }
}

#[test]
fn a_user_name_of_quotes_is_no_damage() {
    for user in ["\"", "\"\"", ",", ",\"", "\n"] {
        assert_eq!(users_in(&(row(user, "statement: SELECT 1") + &fresh())), [user, "fresh"]);
    }
}

#[test]
fn text_that_ends_in_a_record_head_is_no_damage() {
    let message = "statement: SELECT 1 -- 2026-11-20 20:28:31.848 UTC,";
    for message in [message.to_owned(), format!("{message}\"\""), format!("{message}\"")] {
        let file = row("app", &message) + &fresh();
        assert_eq!(users_in(&file), ["app", "fresh"]);
    }
}

#[test]
fn zeros_of_a_power_cut_are_damage_up_to_the_next_row() {
    let zeros = "\0".repeat(5000);
    let torn = row("torn", "statement: SELECT 1");
    for before in ["", &torn[..40], &torn[..150], torn.as_str()] {
        let found = users_in(&format!("{before}{zeros}{}", fresh()));
        assert_eq!(found.last().map(String::as_str), Some("fresh"), "after {before:?}");
    }
}

#[test]
fn endless_garbage_is_handed_out_in_pieces() {
    for garbage in [vec![0_u8; 300_000], vec![b'\n'; 300_000], vec![b'"'; 300_000], b"2026-11-20 ".repeat(30_000)] {
        let (mut framer, mut buf, mut out) = (Framer::new(&FORMAT.into()), Vec::new(), 0);
        for piece in garbage.chunks(10_000) {
            buf.extend_from_slice(piece);
            while let Frame::Damaged { len, .. } = framer.next(&buf, false) {
                buf.drain(..len);
                out += len;
            }
            assert!(buf.len() <= 80_000, "{} bytes are kept", buf.len());
        }
        assert!(out > 200_000);
        buf.extend_from_slice(fresh().as_bytes());
        assert_eq!(users(&parts(framer, &[&buf])), ["fresh"]);
    }
}

#[test]
fn a_statement_of_many_megabytes_is_one_record_and_looked_at_once() {
    let file = row("app", &format!("statement: SELECT '{}'", "line \"of\" text\n".repeat(300_000)));
    let pieces: Vec<_> = file.as_bytes().chunks(4096).collect();
    let (mut framer, mut buf) = (Framer::new(&FORMAT.into()), Vec::new());
    for (index, piece) in pieces.iter().enumerate() {
        buf.extend_from_slice(piece);
        let frame = framer.next(&buf, false);
        let last = index + 1 == pieces.len();
        assert_eq!(frame, if last { Frame::Record { len: file.len() } } else { Frame::Incomplete });
    }
}

#[test]
fn the_middle_of_an_oversize_record_can_be_dropped() {
    let file = row("app", &format!("statement: SELECT '{}'", "text \"\n".repeat(100_000))) + &fresh();
    let (mut framer, mut buf, mut found) = (Framer::new(&FORMAT.into()), Vec::new(), Vec::new());
    for piece in file.as_bytes().chunks(5000) {
        buf.extend_from_slice(piece);
        while let Frame::Record { len } = framer.next(&buf, false) {
            found.push(buf.drain(..len).collect::<Vec<_>>());
        }
        if buf.len() > 100_000 {
            let dropped = buf.len() - sealtrail_parsers::frame::LOOK_BACK;
            framer.discard(dropped);
            buf.drain(..dropped);
        }
    }
    assert_eq!(found.len(), 2);
    assert!(found[0].ends_with(b"\"psql\",\"client backend\",,-18\n"));
    assert_eq!(found[1], fresh().as_bytes());
}

#[test]
fn a_torn_oversize_record_does_not_cost_the_row_behind_it() {
    let torn = row("app", &format!("statement: SELECT '{}", "text \"\n".repeat(10_000)));
    let mut framer = Framer::new(&FORMAT.into());
    let buf = &torn.as_bytes()[..60_000];
    assert_eq!(framer.next(buf, false), Frame::Incomplete);
    framer.discard(50_000);
    let rest = [&buf[50_000..], fresh().as_bytes()].concat();
    assert_eq!(users(&parts(framer, &[&rest])), ["fresh"]);
}

#[test]
fn a_file_that_ends_inside_a_record_says_so() {
    let file = fresh() + &fresh()[..100];
    let mut framer = Framer::new(&FORMAT.into());
    assert_eq!(framer.next(file.as_bytes(), true), Frame::Record { len: fresh().len() });
    let rest = &file.as_bytes()[fresh().len()..];
    assert_eq!(framer.next(rest, false), Frame::Incomplete);
    assert_eq!(framer.next(rest, true), Frame::Damaged { len: 100, reason: "the file ends inside this record" });
}

#[test]
fn every_cut_in_two_gives_the_same_frames() {
    for file in hostile_files() {
        let expected = whole(FORMAT, &file);
        for cut in 0..=file.len() {
            let cut_up = parts(Framer::new(&FORMAT.into()), &[&file[..cut], &file[cut..]]);
            assert_eq!(cut_up, expected, "cut at {cut} of {}", file.escape_ascii());
        }
        let bytes: Vec<_> = file.chunks(1).collect();
        assert_eq!(parts(Framer::new(&FORMAT.into()), &bytes), expected, "byte by byte");
    }
}

fn hostile_files() -> Vec<Vec<u8>> {
    let torn = row("torn", &format!("statement: \"a\"\r\n{}", forged("\"")));
    let bare = row(&format!("\"\n{},", forged("")), "statement: 1");
    let files = [
        fresh() + &torn + &fresh(),
        format!("{}{}{}", &torn[..200], fresh(), &torn[..300]),
        format!("{}{bare}{}", &torn[..180], fresh()),
        format!("\0\0\0{}\0\0{}", fresh(), &torn[..90]),
        format!("{}\n\n{}", &torn[250..], fresh()),
        fresh().replace('\n', "\r\n") + &torn[..torn.len() - 1] + &fresh(),
        "\"\"\"\",\"\"\n\"2026-11-20 20:28:31.848 UTC,\"\"\n".to_owned() + &fresh(),
    ];
    files.into_iter().map(String::into_bytes).collect()
}

/// Pieces of rows in any order: far more often nearly right than random bytes are.
fn rubble() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(fresh().into_bytes()),
        2 => (0..200_usize, 0..200_usize).prop_map(|(from, len)| fresh().bytes().skip(from).take(len).collect()),
        1 => Just(row("app", &forged("\"")).into_bytes()),
        1 => Just(b"2026-11-20 20:28:31.848 UTC,".to_vec()),
        1 => Just(b"\"".to_vec()),
        1 => Just(b"\"\"".to_vec()),
        1 => Just(b",\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_how_the_file_is_cut(file in rubble(), cuts in proptest::collection::vec(0..3000_usize, 0..6)) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(file.len())).chain([0, file.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &file[ends[0]..ends[1]]).collect();
        for framer in [Framer::new(&FORMAT.into()), Framer::mid_file(&FORMAT.into())] {
            prop_assert_eq!(parts(framer.clone(), &pieces), parts(framer, &[&file]));
        }
    }

    #[test]
    fn every_byte_is_handed_out_once_and_in_order(file in rubble()) {
        let found = whole(FORMAT, &file);
        let joined: Vec<u8> = found.into_iter().flat_map(|part| match part { Part::Record(bytes) | Part::Damaged(bytes) => bytes }).collect();
        prop_assert_eq!(joined, file);
    }

    #[test]
    fn a_row_behind_rubble_is_found(file in rubble()) {
        let found = users(&parts(Framer::new(&FORMAT.into()), &[&file, fresh().as_bytes()]));
        prop_assert_eq!(found.last().map(String::as_str), Some("fresh"));
    }
}
