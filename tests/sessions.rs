//! Rows that are missing are told of, all of them, once, and none that is not missing: the count of each session's rows against a model
//! of a server that loses some, and against captured logs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

#[path = "support/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use fastrand::Rng;
use sealtrail::event;
use sealtrail::health::SourceHealth;
use sealtrail::held::Held;
use sealtrail::intake::GivenUp;
use sealtrail::limits::{BLOCK_BYTES_MAX, SESSIONS_MAX};
use sealtrail::sessions::Sessions;
use sealtrail::sessions::numbered::{FileId, Numbered, RowId, Says};
use sealtrail::sessions::saved::{Saved, replay};
use sealtrail::sessions::table::{Table, Told};
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format};
use serde_json::Value;

/// 2026-11-20 20:00:00 UTC.
const EIGHT: u64 = 1_795_204_800;

#[derive(Debug, Clone)]
struct Row {
    session: String,
    number: u64,
    last: u64,
    file: u8,
    path: String,
    offset: u64,
    client: bool,
    says: Says,
    time: String,
}

impl Row {
    fn new(session: &str, number: u64) -> Self {
        let (start, _) = session.split_once('.').unwrap();
        let time = time(u64::from_str_radix(start, 16).unwrap() - EIGHT);
        let session = session.to_owned();
        let last = number;
        Row { session, number, last, file: 1, path: path(1), offset: number, client: true, says: Says::Active, time }
    }

    fn says(self, says: Says) -> Self {
        Row { says, ..self }
    }

    fn file(self, file: u8) -> Self {
        Row { file, path: path(file), ..self }
    }

    fn path(self, path: &str) -> Self {
        Row { path: path.to_owned(), ..self }
    }

    fn at(self, seconds: u64) -> Self {
        Row { time: time(seconds), ..self }
    }

    /// A row with further entries, up to the one with this number.
    fn up_to(self, last: u64) -> Self {
        Row { last, ..self }
    }

    fn of_server(self) -> Self {
        Row { client: false, says: Says::Nothing, ..self }
    }

    fn numbered(&self) -> Numbered<'_> {
        let file: FileId = [self.file; 12];
        Numbered {
            session: self.session.as_bytes(),
            number: self.number,
            last: self.last,
            at: RowId { file, offset: self.offset, part: 0 },
            path: &self.path,
            client: self.client,
            from_first: true,
            says: self.says,
            time: Some(self.time.as_bytes()),
        }
    }
}

fn path(file: u8) -> String {
    format!("/log/pg-{file}.csv")
}

/// So many seconds after eight.
fn time(seconds: u64) -> String {
    format!("2026-11-20T20:{:02}:{:02}.000Z", seconds / 60, seconds % 60)
}

/// A session that began so many seconds after eight.
fn session(seconds: u64, pid: u64) -> String {
    format!("{:x}.{pid:x}", EIGHT + seconds)
}

/// A table that has read a while: sessions that begin after 20:00:00 are known from their first row on.
fn begun() -> Table {
    let mut table = Table::default();
    for number in 1..=8 {
        table.saw(&Row::new(&session(0, 1), number).of_server().numbered());
    }
    table
}

fn see(table: &mut Table, rows: impl IntoIterator<Item = Row>) {
    rows.into_iter().for_each(|row| table.saw(&row.numbered()));
}

fn rows(session: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<Row> {
    numbers.into_iter().map(|number| Row::new(session, number)).collect()
}

/// What of, session, from, to.
fn brief(told: Vec<Told>) -> Vec<(String, String, u64, Option<u64>)> {
    told.into_iter().map(|told| (told.gap.of, told.gap.session.unwrap(), told.gap.from, told.gap.to)).collect()
}

fn rows_gap(session: &str, from: u64, to: u64) -> (String, String, u64, Option<u64>) {
    ("rows".to_owned(), session.to_owned(), from, Some(to))
}

#[test]
fn a_missing_number_is_told_once_with_the_rows_on_either_side() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 2, 6]));
    let told = table.settle(0);
    assert_eq!(brief(told.clone()), [rows_gap(&one, 3, 5)]);
    let id = |offset| Some(format!("{}:{offset}", "01".repeat(12)));
    assert_eq!((&told[0].gap.before, &told[0].gap.after), (&id(2), &id(6)));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn nothing_is_told_before_its_time() {
    let (mut table, one) = (begun(), session(10, 7));
    table.tick(1000);
    see(&mut table, rows(&one, [1, 3]));
    assert_eq!(table.waits_since_ms(), Some(1000));
    assert_eq!(brief(table.overdue()), []);
    assert_eq!(brief(table.settle(999)), []);
    assert_eq!(brief(table.settle(1000)), [rows_gap(&one, 2, 2)]);
    assert_eq!(table.waits_since_ms(), None);
}

#[test]
fn rows_that_come_late_fill_their_place_and_what_is_left_of_it_is_told() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 10, 4, 5, 9, 2]));
    assert_eq!(brief(table.settle(0)), [rows_gap(&one, 3, 3), rows_gap(&one, 6, 8)]);
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 5, 3, 4, 2]));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn a_row_that_comes_after_it_was_told_is_no_repetition() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 4]));
    assert_eq!(brief(table.settle(0)), [rows_gap(&one, 2, 3)]);
    see(&mut table, rows(&one, [2, 6]));
    assert_eq!(table.given_up.repeats, 0);
    assert_eq!(brief(table.settle(0)), [rows_gap(&one, 5, 5)]);
}

#[test]
fn a_row_of_several_entries_has_all_their_numbers() {
    let (mut table, one) = (begun(), session(10, 7));
    let row = |first, last| Row::new(&one, first).up_to(last);
    see(&mut table, [row(1, 1), row(2, 5), row(6, 6), row(9, 11)]);
    assert_eq!(brief(table.settle(0)), [rows_gap(&one, 7, 8)]);
    // Rows that come late fill their places, whole.
    see(&mut table, [row(20, 22), row(14, 16), row(12, 12), row(17, 18)]);
    assert_eq!(brief(table.finish()), [rows_gap(&one, 13, 13), rows_gap(&one, 19, 19)]);
    assert_eq!(table.given_up.repeats, 0);
    see(&mut table, [row(10, 11)]);
    assert_eq!(table.given_up.repeats, 1);
}

#[test]
fn what_a_server_wrote_before_its_log_was_there_is_not_missed() {
    let (mut table, postmaster) = (begun(), session(10, 7));
    let row = Row::new(&postmaster, 3).of_server();
    table.saw(&Numbered { from_first: false, ..row.numbered() });
    see(&mut table, [Row::new(&postmaster, 5).of_server()]);
    assert_eq!(brief(table.finish()), [rows_gap(&postmaster, 4, 4)]);
}

#[test]
fn formats_of_one_server_are_counted_each_for_itself() {
    let one = session(10, 7);
    let mut sessions = Sessions::new(SOURCE);
    let formats = [Format::PostgresCsvlog, Format::PostgresStderr];
    for format in formats {
        for number in [1, 2, 4] {
            sessions.saw(format, &Row::new(&one, number).numbered());
        }
    }
    let told = sessions.finish();
    let of = |told: &Told| (told.gap.of.clone(), told.gap.format.clone().unwrap(), told.gap.from, told.gap.to.unwrap());
    let gap = |of: &str, format: Format| (of.to_owned(), format.name().to_owned(), 3, 3);
    let expected = [gap("rows", formats[0]), gap("entries", formats[1])];
    assert_eq!(told.iter().map(of).collect::<Vec<_>>(), expected);
    // The trail has told of one of them when the agent is killed.
    let mut again = vec![Sessions::new(SOURCE)];
    for (format, told) in formats.into_iter().zip([&told[..1], &[]]) {
        let rows = [1, 2, 4].map(|number| Row::new(&one, number)).to_vec();
        replay(&mut again, &lines_in(format, &Block { rows, told: told.to_vec() }));
    }
    assert_eq!(again[0].finish().iter().map(of).collect::<Vec<_>>(), expected[1..]);
}

#[test]
fn the_beginning_of_a_session_is_missed_only_if_it_began_while_the_log_was_read() {
    let (mut table, old, new) = (begun(), session(0, 7), session(1, 8));
    see(&mut table, rows(&old, [5, 6, 8]));
    see(&mut table, rows(&new, [3]));
    assert_eq!(brief(table.finish()), [rows_gap(&old, 7, 7), rows_gap(&new, 1, 2)]);
    // Without a log that was read before, nothing can be said.
    let mut table = Table::default();
    see(&mut table, rows(&new, [3, 4]));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn a_row_that_comes_late_proves_that_those_behind_it_are_missing() {
    let (mut table, one) = (Table::default(), session(1, 8));
    see(&mut table, rows(&one, [7, 8]));
    assert_eq!(brief(table.settle(0)), []);
    // An older file is found after all.
    table.tick(1000);
    see(&mut table, rows(&one, [2, 3]).into_iter().map(|row| row.file(2)));
    assert_eq!(table.waits_since_ms(), Some(1000));
    assert_eq!(brief(table.settle(999)), []);
    assert_eq!(brief(table.settle(1000)), [rows_gap(&one, 4, 6)]);
    // What comes before all that was seen is as open as it was.
    assert_eq!((table.waits_since_ms(), brief(table.finish())), (None, vec![]));
    see(&mut table, rows(&one, [1, 5]).into_iter().map(|row| row.file(3)));
    assert_eq!((table.given_up.repeats, brief(table.finish())), (0, vec![]));
}

#[test]
fn the_log_goes_on_in_what_stands_in_the_files_place() {
    let (mut table, new) = (begun(), session(30, 9));
    see(&mut table, rows(&new, [4]).into_iter().map(|row| row.file(2).path(&path(1))));
    assert_eq!(brief(table.finish()), [rows_gap(&new, 1, 3)]);
}

#[test]
fn a_count_that_begins_anew_misses_nothing_that_was_read_before() {
    let (old, new) = (session(30, 7), session(60, 8));
    let mut table = Table::begun_anew(EIGHT + 50);
    see(&mut table, (1..=8).map(|number| Row::new(&session(0, 1), number).of_server()));
    // Rows 3 to 9 were read before, and now comes a file that could not be read until now.
    // Row 11 may have been read before, too, in a file beside: only what follows a row that is newer than the count was surely not.
    see(&mut table, rows(&old, [10, 12]));
    see(&mut table, rows(&old, [1, 2]).into_iter().map(|row| row.file(2)));
    see(&mut table, rows(&old, [14, 16]).into_iter().map(|row| row.at(51)));
    see(&mut table, rows(&new, [2, 4]));
    assert_eq!(brief(table.finish()), [rows_gap(&old, 15, 15), rows_gap(&new, 1, 1), rows_gap(&new, 3, 3)]);
}

#[test]
fn a_clock_that_was_turned_back_proves_nothing() {
    let mut table = begun();
    // It began at 20:05:00, before the log that begins at 20:00:00.
    see(&mut table, rows(&session(300, 7), [3]).into_iter().map(|row| row.at(20)));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn a_time_that_is_not_sure_proves_nothing() {
    let mut table = Table::default();
    for number in 1..=20 {
        let row = Row::new(&session(0, 1), number);
        table.saw(&Numbered { time: None, ..row.numbered() });
    }
    see(&mut table, rows(&session(500, 2), [4, 5]));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn the_log_goes_on_in_the_next_file_of_the_same_server_and_in_no_other() {
    let (mut table, new) = (begun(), session(30, 9));
    // A file that shares no session may be another server's, whose log is older.
    see(&mut table, rows(&session(20, 8), [3]).into_iter().map(|row| row.file(2).at(60)));
    // One that goes on with a session of the first file is its next.
    see(&mut table, rows(&session(0, 1), [9]).into_iter().map(|row| row.file(3).at(60)));
    see(&mut table, rows(&new, [4]).into_iter().map(|row| row.file(3).at(60)));
    assert_eq!(brief(table.finish()), [rows_gap(&new, 1, 3)]);
}

#[test]
fn files_of_one_rotation_may_be_read_side_by_side_and_backwards() {
    let (mut table, one, two) = (begun(), session(10, 7), session(20, 8));
    see(&mut table, rows(&one, 1..=3));
    see(&mut table, rows(&one, 100..=103).into_iter().map(|row| row.file(2)));
    see(&mut table, rows(&two, 50..=53).into_iter().map(|row| row.file(2)));
    see(&mut table, rows(&one, 4..=50));
    see(&mut table, rows(&one, 104..=110).into_iter().map(|row| row.file(2)));
    see(&mut table, rows(&two, 1..=49));
    see(&mut table, rows(&one, 51..=99));
    assert_eq!(brief(table.finish()), []);
    assert_eq!(table.given_up.repeats, 0);
}

#[test]
fn rows_after_the_one_that_says_that_the_session_ended_are_no_new_session() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 2]));
    see(&mut table, [Row::new(&one, 3).says(Says::Died), Row::new(&one, 4).says(Says::Disconnected)]);
    see(&mut table, [Row::new(&one, 5).says(Says::Nothing)]);
    assert_eq!(brief(table.finish()), []);
    assert_eq!(table.open_sessions(), 0);
}

#[test]
fn a_number_that_comes_twice_makes_its_session_one_of_which_nothing_is_said() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 2, 2, 9]));
    see(&mut table, rows(&session(11, 8), [1, 3]));
    assert_eq!(brief(table.finish()), [rows_gap(&session(11, 8), 2, 2)]);
    assert_eq!(table.given_up.repeats, 1);
}

/// A session that says how it ended, so that others are expected to.
fn logs_ends(table: &mut Table) {
    see(table, rows(&session(1, 90), [1]));
    see(table, [Row::new(&session(1, 90), 2).says(Says::Disconnected)]);
}

fn tail(session: &str, from: u64) -> (String, String, u64, Option<u64>) {
    ("tail".to_owned(), session.to_owned(), from, None)
}

#[test]
fn a_session_whose_process_is_another_ones_now_has_an_unproven_tail() {
    let (mut table, one) = (begun(), session(10, 7));
    logs_ends(&mut table);
    see(&mut table, rows(&one, [1, 2, 3]));
    assert_eq!(brief(table.finish()), []);
    see(&mut table, rows(&session(50, 7), [1]));
    assert_eq!(brief(table.settle(0)), [tail(&one, 4)]);
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn a_tail_that_comes_late_is_proven() {
    let (mut table, one) = (begun(), session(10, 7));
    logs_ends(&mut table);
    see(&mut table, rows(&one, [1, 2, 3]));
    see(&mut table, rows(&session(50, 7), [1]));
    see(&mut table, [Row::new(&one, 4).says(Says::Disconnected)]);
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn who_never_logs_ends_is_not_asked_for_them() {
    // No session says when it ends.
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1, 2]));
    see(&mut table, rows(&session(50, 7), [1]));
    assert_eq!(brief(table.finish()), []);
    // Sessions that began before the first one that did.
    let mut table = begun();
    see(&mut table, rows(&session(1, 7), [1]));
    see(&mut table, rows(&session(5, 8), [1]));
    see(&mut table, [Row::new(&session(5, 8), 2).says(Says::Disconnected)]);
    see(&mut table, rows(&session(50, 7), [1]));
    assert_eq!(brief(table.finish()), []);
    // The setting was changed, also if that is read last.
    let mut table = begun();
    logs_ends(&mut table);
    see(&mut table, rows(&one, [1, 2]));
    see(&mut table, rows(&session(50, 7), [1]));
    see(&mut table, [Row::new(&session(0, 1), 9).of_server().says(Says::EndsChange)]);
    assert_eq!(brief(table.finish()), []);
    // Background processes, and who never got past authentication.
    let mut table = begun();
    logs_ends(&mut table);
    see(&mut table, [Row::new(&session(3, 7), 1).of_server(), Row::new(&session(3, 8), 1).says(Says::Nothing)]);
    see(&mut table, rows(&session(50, 7), [1]));
    see(&mut table, rows(&session(50, 8), [1]));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn a_server_that_starts_anew_has_none_of_its_sessions_left() {
    let startup = |seconds| Row { client: false, ..Row::new(&session(seconds, 3), 1).says(Says::ServerStarts) };
    let (one, two) = (session(10, 7), session(20, 8));
    let crash = |stop: Option<Row>| {
        let mut table = begun();
        logs_ends(&mut table);
        see(&mut table, rows(&one, [1, 2]));
        see(&mut table, rows(&two, [1, 2, 3]));
        see(&mut table, stop);
        see(&mut table, [startup(60)]);
        // It may be configured otherwise now.
        see(&mut table, rows(&session(61, 7), [1]));
        see(&mut table, rows(&session(99, 7), [1]));
        brief(table.finish())
    };
    assert_eq!(crash(None), [tail(&one, 3), tail(&two, 4)]);
    let stop = Row::new(&session(0, 1), 9).of_server().says(Says::ServerStops);
    assert_eq!(crash(Some(stop)), []);
}

#[test]
fn ten_thousand_open_sessions_fit_and_more_are_forgotten_without_a_false_word() {
    let mut table = begun();
    let open: Vec<String> = (0..10_000).map(|pid| session(10 + pid / 1000, 100 + pid)).collect();
    for number in 1..=3 {
        open.iter().for_each(|id| see(&mut table, rows(id, [number])));
    }
    assert_eq!((table.open_sessions(), table.given_up.sessions), (10_000, 0));
    let more: Vec<String> = (0..2 * SESSIONS_MAX as u64).map(|pid| session(30 + pid / 1000, 20_000 + pid)).collect();
    more.iter().for_each(|id| see(&mut table, rows(id, [1])));
    assert!(table.open_sessions() <= SESSIONS_MAX);
    assert!(table.given_up.sessions > 0);
    open.iter().for_each(|id| see(&mut table, rows(id, [4, 5])));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn connections_that_come_to_nothing_take_no_session_away() {
    let (mut table, one) = (begun(), session(10, 7));
    see(&mut table, rows(&one, [1]));
    for pid in 0..100_000 {
        see(&mut table, [Row::new(&session(10 + pid / 1000, 100 + pid), 1).says(Says::Nothing)]);
        if pid % 1000 == 0 {
            see(&mut table, rows(&one, [2 + pid / 1000]));
        }
    }
    assert_eq!((table.open_sessions(), table.given_up.sessions), (1, 0));
    see(&mut table, rows(&one, [104]));
    assert_eq!(brief(table.finish()), [rows_gap(&one, 102, 103)]);
}

#[test]
fn a_hundred_thousand_sessions_that_end_take_no_room() {
    let mut table = begun();
    for pid in 0..100_000 {
        let id = session(10 + pid / 1000, 100 + pid);
        see(&mut table, rows(&id, [1, 2]));
        see(&mut table, [Row::new(&id, 3).says(Says::Disconnected)]);
    }
    assert_eq!((table.open_sessions(), table.given_up.sessions), (0, 0));
    assert_eq!(brief(table.finish()), []);
}

#[test]
fn what_was_saved_goes_on_as_if_nothing_had_been() {
    let (mut table, one, two) = (begun(), session(10, 7), session(20, 8));
    logs_ends(&mut table);
    see(&mut table, rows(&one, [1, 5]));
    see(&mut table, rows(&two, [1, 2]));
    see(&mut table, rows(&session(50, 8), [3]));
    let bytes = serde_json::to_vec(&table.save()).unwrap();
    let saved: sealtrail::sessions::table::SavedTable = serde_json::from_slice(&bytes).unwrap();
    let mut again = saved.restore(700);
    assert_eq!(again.waits_since_ms(), Some(700));
    assert_eq!(serde_json::to_vec(&again.save()).unwrap(), bytes);
    see(&mut table, rows(&one, [3]));
    see(&mut again, rows(&one, [3]));
    let told = brief(table.finish());
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(brief(again.finish()), told);
}

/// What the model's server has written, and the agent not read, between two moments at which all is read.
struct Model {
    rng: Rng,
    table: Sessions,
    open: Vec<(String, u64)>,
    next_pid: u64,
    second: u64,
    offset: u64,
    /// Numbers that were lost, and what was told.
    lost: BTreeMap<String, BTreeSet<u64>>,
    told: BTreeMap<String, BTreeSet<u64>>,
    /// The journal: blocks of rows and acts, and how the table stood at some block.
    blocks: Vec<Block>,
    saved: (usize, Vec<u8>),
}

#[derive(Default)]
struct Block {
    rows: Vec<Row>,
    told: Vec<Told>,
}

const SOURCE: &str = "pg";

impl Model {
    fn new(seed: u64) -> Self {
        let mut model = Model {
            rng: Rng::with_seed(seed),
            table: Sessions::new(SOURCE),
            open: vec![(session(0, 1), 8)],
            next_pid: 10,
            second: 1,
            offset: 0,
            lost: BTreeMap::new(),
            told: BTreeMap::new(),
            blocks: Vec::new(),
            saved: (0, Vec::new()),
        };
        model.block((1..=8).map(|number| Row::new(&session(0, 1), number).of_server()).collect());
        model.save();
        model
    }

    /// The server writes for a while; some rows are lost; files are read in any order, each in its own.
    fn window(&mut self) {
        let files = self.rng.usize(1..4);
        let mut written: Vec<Vec<Row>> = vec![Vec::new(); files];
        for (index, file) in written.iter_mut().enumerate() {
            for _ in 0..self.rng.usize(0..60) {
                let row = self.write();
                let row = row.file((index + 1) as u8);
                match self.rng.u32(0..12) {
                    0 => drop(self.lost.entry(row.session).or_default().insert(row.number)),
                    _ => file.push(row),
                }
            }
            // A file that nobody can tell to be this server's proves nothing: each has a row of the postmaster at its beginning.
            if index > 0 {
                self.open[0].1 += 1;
                let number = self.open[0].1;
                file.push(Row::new(&session(0, 1), number).of_server().at(self.second).file((index + 1) as u8));
            }
        }
        self.read(written);
    }

    fn write(&mut self) -> Row {
        self.offset += 1;
        let offset = self.offset;
        if self.open.len() < 2 || self.rng.u32(0..6) == 0 {
            self.second += 1;
            self.next_pid += 1;
            self.open.push((session(self.second, self.next_pid), 0));
        }
        let index = self.rng.usize(1..self.open.len());
        let (id, last) = &mut self.open[index];
        *last += 1;
        let row = Row { offset, ..Row::new(id, *last).at(self.second) };
        if self.rng.u32(0..8) == 0 {
            self.open.swap_remove(index);
            return row.says(Says::Disconnected);
        }
        row
    }

    fn read(&mut self, written: Vec<Vec<Row>>) {
        let mut files: Vec<_> = written.into_iter().map(Vec::into_iter).collect();
        let mut block = Vec::new();
        while !files.is_empty() {
            let index = self.rng.usize(0..files.len());
            let piece = self.rng.usize(1..20);
            let rows: Vec<Row> = files[index].by_ref().take(piece).collect();
            if rows.len() < piece {
                drop(files.swap_remove(index));
            }
            block.extend(rows);
            if self.rng.u32(0..3) == 0 {
                self.block(std::mem::take(&mut block));
            }
        }
        self.block(block);
    }

    /// Rows are taken; sometimes their block is lost with the agent, and they are read again.
    fn block(&mut self, rows: Vec<Row>) {
        let table = &mut self.table;
        rows.iter().for_each(|row| table.saw(Format::PostgresCsvlog, &row.numbered()));
        assert_eq!(self.table.overdue(), []);
        if !self.blocks.is_empty() && self.rng.u32(0..6) == 0 {
            self.crash();
            let table = &mut self.table;
            rows.iter().for_each(|row| table.saw(Format::PostgresCsvlog, &row.numbered()));
        }
        self.blocks.push(Block { rows, told: Vec::new() });
        if self.rng.u32(0..8) == 0 {
            self.save();
        }
    }

    /// All is read: what is missing is told, in one block with the rows before or in one of its own; and that block may be lost.
    fn settle(&mut self) {
        loop {
            let told = self.table.settle(u64::MAX);
            if !told.is_empty() && self.rng.u32(0..4) == 0 {
                self.crash();
                continue;
            }
            self.remember(&told);
            let with_rows = self.rng.bool() && self.saved.0 < self.blocks.len();
            match self.blocks.last_mut().filter(|_| with_rows) {
                Some(block) => block.told.extend(told),
                None => self.blocks.push(Block { rows: Vec::new(), told }),
            }
            return;
        }
    }

    fn remember(&mut self, told: &[Told]) {
        for told in told {
            assert!(!told.early);
            assert_eq!((told.gap.of.as_str(), told.gap.source.as_str()), ("rows", SOURCE), "{told:?}");
            let session = self.told.entry(told.gap.session.clone().unwrap()).or_default();
            for number in told.gap.from..=told.gap.to.unwrap() {
                assert!(session.insert(number), "told twice: {told:?}");
            }
        }
    }

    fn save(&mut self) {
        let saved = Saved::of(1, String::new(), [&self.table].into_iter()).encode().unwrap();
        self.saved = (self.blocks.len(), saved);
    }

    /// The agent is gone; another one has the file and the journal.
    fn crash(&mut self) {
        let (blocks, bytes) = &self.saved;
        let mut sessions = Saved::decode(bytes).unwrap().sessions(&[SOURCE], 0);
        for block in &self.blocks[*blocks..] {
            replay(&mut sessions, &lines(block));
        }
        self.table = sessions.remove(0);
    }

    /// Lost rows that a later row of their session shows to be lost.
    fn provable(&self) -> BTreeMap<String, BTreeSet<u64>> {
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for row in self.blocks.iter().flat_map(|block| &block.rows) {
            let last = seen.entry(&row.session).or_default();
            *last = row.number.max(*last);
        }
        let before = |(session, numbers): (&String, &BTreeSet<u64>)| {
            let last = seen.get(session.as_str()).copied().unwrap_or(0);
            let numbers: BTreeSet<u64> = numbers.iter().copied().filter(|number| *number < last).collect();
            (!numbers.is_empty()).then(|| (session.clone(), numbers))
        };
        self.lost.iter().filter_map(before).collect()
    }
}

/// A block as the journal has it.
fn lines(block: &Block) -> Vec<u8> {
    lines_in(Format::PostgresCsvlog, block)
}

fn lines_in(format: Format, block: &Block) -> Vec<u8> {
    let mut lines = Vec::new();
    for told in &block.told {
        let gap = serde_json::to_string(&told.gap).unwrap();
        let line = format!(
            "{{\"v\":1,\"type\":\"agent\",\"id\":\"o/1\",\"time\":\"\",\"user\":\"(agent)\",\"action\":\"GAP\",\"resource\":\"o\",\
             \"resource_type\":\"trail\",\"outcome\":\"failure\",\"category\":\"operation\",\"gap\":{gap}}}\n"
        );
        lines.extend_from_slice(line.as_bytes());
    }
    for row in &block.rows {
        let id = row.numbered().at;
        let action = if row.says == Says::Disconnected {
            "LOGOUT"
        } else if row.client {
            "SELECT"
        } else {
            "SERVER MESSAGE"
        };
        let client = if row.client { ",\"client\":{\"address\":\"[local]\"}" } else { "" };
        let (time, session, number, path, format) = (&row.time, &row.session, row.number, &row.path, format.name());
        let line = format!(
            "{{\"v\":1,\"type\":\"event\",\"id\":\"{id}\",\"time\":\"{time}\",\"action\":\"{action}\",\"outcome\":\"success\",\
             \"source\":\"{SOURCE}\",\"format\":\"{format}\"{client},\"session\":{{\"id\":\"{session}\",\"line\":{number}}},\
             \"extra\":{{\"log_line_number\":{number}}},\"at\":{{\"file\":\"{path}\"}}}}\n"
        );
        lines.extend_from_slice(line.as_bytes());
    }
    lines
}

#[test]
fn what_is_told_is_what_was_lost_whatever_the_order_and_whenever_the_agent_is_killed() {
    let given = std::env::var("SEALTRAIL_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEALTRAIL_TEST_SEED={seed}");
    let mut seeds = Rng::with_seed(seed);
    let mut lost = 0;
    for run in 0..200 {
        let seed = seeds.u64(..);
        let mut model = Model::new(seed);
        for _ in 0..6 {
            model.window();
            model.settle();
            assert_eq!(model.told, model.provable(), "run {run}, seed {seed}");
        }
        lost += model.told.values().map(BTreeSet::len).sum::<usize>();
    }
    assert!(lost > 3_000, "only {lost} rows were lost");
}

/// A captured log.
struct Capture {
    path: &'static str,
    format: Format,
    /// The server's.
    zone: &'static str,
    prefix: Option<&'static str>,
    /// So many of its rows have numbers that count.
    numbered: usize,
}

const fn capture(path: &'static str, format: Format, numbered: usize) -> Capture {
    Capture { path, format, zone: "UTC", prefix: None, numbered }
}

const fn of_eighteen(capture: Capture) -> Capture {
    Capture { zone: "Asia/Kolkata", ..capture }
}

const fn text(path: &'static str, format: Format, numbered: usize) -> Capture {
    Capture {
        prefix: Some("%m [%p] q=%q%u@%d app=%a r=%r h=%h c=%c l=%l s=%s v=%v x=%x i=%i e=%e b=%b "),
        ..capture(path, format, numbered)
    }
}

const CAPTURES: [Capture; 11] = [
    capture("tests/captures/pg12-core.csv", Format::PostgresCsvlog, 93),
    capture("tests/captures/pg15-pgaudit.csv", Format::PostgresCsvlog, 137),
    capture("tests/captures/pg15-pgaudit.json", Format::PostgresJsonlog, 53),
    of_eighteen(capture("tests/captures/pg18-pgaudit.csv", Format::PostgresCsvlog, 53)),
    of_eighteen(capture("tests/captures/pg18-pgaudit.json", Format::PostgresJsonlog, 26)),
    text("parsers/tests/fixtures/same_rows.log", Format::PostgresStderr, 65),
    text("parsers/tests/fixtures/same_rows.syslog", Format::PostgresSyslog, 65),
    text("parsers/tests/fixtures/postgres-stderr/entries_of_a_row.log", Format::PostgresStderr, 2),
    text("parsers/tests/fixtures/postgres-syslog/entries_of_a_row.log", Format::PostgresSyslog, 1),
    capture("parsers/tests/fixtures/pgauditlogtofile-csv/names_1_5.log", Format::PgauditlogtofileCsv, 8),
    capture("parsers/tests/fixtures/pgauditlogtofile-csv/contexts_1_5.log", Format::PgauditlogtofileCsv, 3),
];

impl Capture {
    fn read(&self) -> Vec<u8> {
        fs::read(format!("{}/{}", env!("CARGO_MANIFEST_DIR"), self.path)).unwrap()
    }

    fn dialect(&self) -> Dialect {
        let prefix = self.prefix.map(|prefix| Arc::new(Prefix::compile(prefix).unwrap()));
        Dialect { prefix, ..self.format.into() }
    }
}

#[test]
fn the_journals_lines_say_what_the_rows_said() {
    for capture in CAPTURES {
        let (log, name) = (capture.read(), capture.path);
        let (whole, lines) = count(&log, &capture, 1 << 20);
        assert_eq!(numbers(&lines).count(), capture.numbered, "{name}");
        // Rows of which only the ends are kept count as well, where they can be read.
        let cuts = [Format::PostgresCsvlog, Format::PostgresJsonlog, Format::PostgresStderr];
        let cut = cuts.contains(&capture.format).then_some(1024);
        for record_max_bytes in [Some(1 << 20), cut].into_iter().flatten() {
            let (counted, lines) = count(&log, &capture, record_max_bytes);
            let mut again = vec![Sessions::new(SOURCE)];
            replay(&mut again, &lines);
            assert_eq!(saved(&counted), saved(&again[0]), "{name}");
            assert_eq!(saved(&counted), saved(&whole), "{name}");
        }
    }
}

#[test]
fn an_excerpt_of_a_log_misses_what_it_left_out_and_no_more() {
    for capture in CAPTURES {
        let (log, name) = (capture.read(), capture.path);
        let (mut counted, lines) = count(&log, &capture, 1 << 20);
        let mut missing: BTreeSet<(String, u64)> = BTreeSet::new();
        for told in counted.finish() {
            assert!(matches!(told.gap.of.as_str(), "rows" | "entries"), "{name}: {told:?}");
            let session = told.gap.session.clone().unwrap();
            missing.extend((told.gap.from..=told.gap.to.unwrap()).map(|number| (session.clone(), number)));
        }
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut left_out = BTreeSet::new();
        for (session, first, end) in numbers(&lines) {
            let before = last.insert(session.clone(), end);
            // A session's first rows count only where the log shows that it was read by then.
            left_out.extend((before.unwrap_or(first - 1) + 1..first).map(|number| (session.clone(), number)));
        }
        assert!(missing.is_superset(&left_out), "{name}: {:?}", left_out.difference(&missing));
        let beginnings = missing.difference(&left_out).all(|(session, number)| {
            numbers(&lines).find(|(other, ..)| other == session).is_some_and(|(_, first, _)| *number < first)
        });
        assert!(beginnings, "{name}");
    }
}

#[test]
fn numbers_of_a_process_whose_session_nobody_knows_do_not_count() {
    let line = |pid: u32, number: u32| format!("2026-11-20 20:28:31.135 UTC [{pid}] {number} LOG:  words\n");
    let log: String = [line(1, 1), line(2, 1), line(1, 4), line(2, 9)].concat();
    let capture = Capture { prefix: Some("%m [%p] %l "), ..capture("", Format::PostgresStderr, 0) };
    let (mut counted, _) = count(log.as_bytes(), &capture, 1 << 20);
    assert_eq!(counted.finish(), []);
    // With the session they do.
    let line = |pid: u32, number: u32| format!("2026-11-20 20:28:31.135 UTC 6b00ad6f.{pid} {number} LOG:  words\n");
    let log: String = [line(1, 1), line(2, 1), line(1, 4), line(2, 9)].concat();
    let capture = Capture { prefix: Some("%m %c %l "), ..capture };
    let (mut counted, _) = count(log.as_bytes(), &capture, 1 << 20);
    let gap = |session: &str, to| ("entries".to_owned(), session.to_owned(), 2, Some(to));
    assert_eq!(brief(counted.finish()), [gap("6b00ad6f.1", 3), gap("6b00ad6f.2", 8)]);
}

#[test]
fn an_entry_that_is_missing_in_the_middle_of_a_row_is_missed() {
    let capture = text("parsers/tests/fixtures/postgres-stderr/entries_of_a_row.log", Format::PostgresStderr, 0);
    let log = String::from_utf8(capture.read()).unwrap();
    let entries = |log: &str| log.lines().filter(|line| !line.starts_with('\t')).count();
    let all = entries(&log);
    assert!(all > 3, "{log}");
    let detail = log.find("DETAIL:  ").unwrap();
    let begin = log[..detail].rfind('\n').unwrap() + 1;
    let end = log[detail..].find("\n2026").unwrap() + detail + 1;
    let without = format!("{}{}", &log[..begin], &log[end..]);
    assert_eq!(entries(&without), all - 1);
    assert_eq!(brief(count(log.as_bytes(), &capture, 1 << 20).0.finish()), []);
    let (mut counted, lines) = count(without.as_bytes(), &capture, 1 << 20);
    let told = brief(counted.finish());
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].2, told[0].3), ("entries", 99, Some(99)));
    let mut again = vec![Sessions::new(SOURCE)];
    replay(&mut again, &lines);
    assert_eq!(brief(again[0].finish()), told);
}

/// The count of a log's rows, and their lines.
fn count(log: &[u8], capture: &Capture, record_max_bytes: usize) -> (Sessions, Vec<u8>) {
    let dialect = capture.dialect();
    let mut intake = rows::intake(SOURCE, &dialect, Some(capture.zone), record_max_bytes);
    intake.count_rows(vec![Sessions::new(SOURCE)]);
    let mut frames = rows::frames(&dialect, log);
    let origin = Arc::new(intake.new_origin(0, &event::file_id(SOURCE, b"first line", 0), dialect, "log"));
    let mut held = Held::default();
    intake.take(0, &origin, &mut frames, &mut held, true, BLOCK_BYTES_MAX, &SourceHealth::default());
    // Rows in pieces, of which the last is known to be whole by the file's end.
    intake.give_up(0, &mut held, GivenUp::OfFile(origin.file), BLOCK_BYTES_MAX, &SourceHealth::default());
    let counted = std::mem::replace(intake.sessions_of(0).unwrap(), Sessions::new(SOURCE));
    (counted, intake.block.lines)
}

fn saved(sessions: &Sessions) -> String {
    String::from_utf8(Saved::of(0, String::new(), [sessions].into_iter()).encode().unwrap()).unwrap()
}

/// Session, first and last number of each line that has numbers.
fn numbers(lines: &[u8]) -> impl Iterator<Item = (String, u64, u64)> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| {
        let line: Value = serde_json::from_slice(line).unwrap();
        let (session, extra) = (&line["session"], &line["extra"]);
        let first = session["line"].as_u64().or(extra["log_line_number"].as_u64())?;
        let last = extra["log_line_number_last"].as_u64().unwrap_or(first);
        Some((session["id"].as_str()?.to_owned(), first, last))
    })
}
