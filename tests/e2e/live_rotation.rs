//! A live PostgreSQL 15 whose log is rotated in each way that it knows, filled up, and bereft of its writer: the trail has the rows that the
//! files had, and tells of those that the files lost.
//!
//! Python's csv module reads copies of every file, taken before the server could cut it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, kill_process};

use crate::account::{self, Account, Numbers, brief, without};
use crate::host::{Agent, Host, wait_until};
use crate::oracle;
use crate::postgres::Postgres;
use crate::tmpfs::Tmpfs;

/// `SEALTRAIL_LIVE_SECONDS` asks for the long form: how often what a test does is done.
fn rounds(short: usize, seconds_a_round: usize) -> usize {
    let seconds =
        std::env::var("SEALTRAIL_LIVE_SECONDS").ok().map(|seconds| seconds.parse::<usize>().expect("a number"));
    seconds.map_or(short, |seconds| short.max(seconds / seconds_a_round))
}

/// What the clients run: one row each, on one line.
const SHORT: &str = "SELECT :client_id, 'a, \"quoted\" text of no great length';\n";

/// The names of weekdays come round again, and midnight comes as often as the test says.
const WEEKDAYS: &str = "log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_destination = 'csvlog'";

#[test]
fn a_weekdays_file_that_comes_round_again_and_is_cut_loses_nothing_that_was_read() {
    let mut server = Postgres::start_with(None, WEEKDAYS);
    let host = host_for(&server);
    let mut agent = host.run();
    agent.wait_ready();
    let mut copies = Copies::new(&host);
    let midnight = Midnight::choose();
    let mut clients = server.load(4, 400, 3600, SHORT);
    let nights = rounds(3, 5);
    for night in 0..nights {
        midnight.draw_near(&server);
        copies.keep(&midnight.morning_file(&server));
        midnight.wait(&server);
        // Sometimes the new week's file is longer than the old one when it is looked at, mostly shorter.
        thread::sleep(Duration::from_millis(500 * (1 + night as u64 % 3)));
    }
    let agent = cut_while_nobody_looks(&server, &midnight, agent, &mut copies);
    end(&mut clients);
    let (account, written) = finish(&host, agent, &mut server, copies);

    let lost = without(&written, &account.rows);
    eprintln!("{nights} nights, {} rows written, {} lost", account::count(&written), account::count(&lost));
    assert!(account::count(&lost) > 0, "the last cut took nothing away");
    let cuts = account.acts("FILE CUT");
    assert!(cuts.len() >= nights - 1, "{cuts:#?}");
    // Of the cut that nobody saw, nobody knows what it took.
    let unseen = cuts.iter().filter(|cut| cut["outcome"] == "unknown").count();
    assert_eq!(unseen, 1, "{cuts:#?}");
}

/// Stops the agent, lets the file of the day grow and be cut, and starts the agent again.
fn cut_while_nobody_looks<'h>(
    server: &Postgres,
    midnight: &Midnight,
    agent: Agent<'h>,
    copies: &mut Copies<'h>,
) -> Agent<'h> {
    agent.stop();
    thread::sleep(Duration::from_millis(500));
    midnight.draw_near(server);
    copies.keep(&midnight.morning_file(server));
    midnight.wait(server);
    let mut agent = copies.host.run();
    agent.wait_ready();
    thread::sleep(Duration::from_millis(500));
    agent
}

#[test]
fn rotation_by_size_and_on_request_keeps_every_row() {
    let mut server = Postgres::start_with(None, "log_rotation_size = 64kB\nlog_truncate_on_rotation = on");
    let host = host_for(&server);
    let mut agent = host.run();
    agent.wait_ready();
    let mut clients = server.load(4, 1_500, 3600, SHORT);
    for _ in 0..rounds(30, 1) {
        server.value("SELECT pg_rotate_logfile()");
        thread::sleep(Duration::from_millis(150));
    }
    end(&mut clients);
    let files = server.logs("csv").len();
    let copies = Copies::new(&host);
    let (account, written) = finish(&host, agent, &mut server, copies);

    let lost = without(&written, &account.rows);
    eprintln!("{} rows in {files} files", account::count(&written));
    assert!(files >= 4, "{files} files");
    assert!(lost.is_empty(), "lost: {}", brief(&lost));
    assert!(account.acts("GAP").is_empty(), "{:#?}", account.acts("GAP"));
    assert!(account.unparsed.is_empty(), "{:#?}", account.unparsed);
}

#[test]
fn a_full_log_folder_loses_what_the_server_could_not_write_and_the_trail_tells_which() {
    let Some(disk) = Tmpfs::mount(64 * 1024) else { return };
    let log = disk.path().join("log");
    let mut server = Postgres::start_with(Some(log), "log_rotation_size = 512kB\nlog_destination = 'csvlog'");
    let host = host_for(&server);
    let mut agent = host.run();
    agent.wait_ready();
    let mut clients = server.load(4, 300, 3600, SHORT);
    for _ in 0..rounds(2, 5) {
        thread::sleep(Duration::from_millis(500));
        // It fills up within a second.
        disk.fill(64);
        thread::sleep(Duration::from_millis(1_500));
        server.value("SELECT pg_rotate_logfile()");
        thread::sleep(Duration::from_millis(500));
        disk.free();
    }
    thread::sleep(Duration::from_millis(500));
    end(&mut clients);
    let copies = Copies::new(&host);
    let (account, written) = finish(&host, agent, &mut server, copies);

    eprintln!("{} rows written, {} told to be missing", account::count(&written), account::count(&account.told()));
    let lost = without(&written, &account.rows);
    assert!(lost.is_empty(), "in a file, and not in the trail: {}", brief(&lost));
    assert!(account::count(&account.told()) > 0, "the disk was never full");
    assert!(account.gaps("bytes").is_empty(), "{:#?}", account.acts("GAP"));
}

#[test]
fn a_log_writer_that_is_killed_loses_what_it_held_and_the_trail_tells_which() {
    let mut server = Postgres::start_with(None, "log_destination = 'csvlog'");
    let host = host_for(&server);
    let mut agent = host.run();
    agent.wait_ready();
    let mut clients = server.load(8, 4_000, 3600, SHORT);
    let kills = rounds(12, 1);
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(300));
        let collector = wait_until("the server to start a log writer", || server.collector());
        kill_process(collector, Signal::KILL).unwrap();
        wait_until("the server to start another one", || server.collector().filter(|new| *new != collector));
    }
    thread::sleep(Duration::from_millis(500));
    end(&mut clients);
    let copies = Copies::new(&host);
    let (account, written) = finish(&host, agent, &mut server, copies);

    let lost = without(&written, &account.rows);
    eprintln!(
        "{kills} kills, {} rows written, {} told to be missing, {} lines unparsed",
        account::count(&written),
        account::count(&account.told()),
        account.unparsed.len()
    );
    assert!(lost.is_empty(), "in a file, and not in the trail: {}", brief(&lost));
    assert!(account.gaps("bytes").is_empty(), "{:#?}", account.acts("GAP"));
}

fn host_for(server: &Postgres) -> Host {
    let host = Host::empty();
    let source = format!("[[source]]\nname = \"pg\"\npaths = [\"{}/*.csv\"]\n", server.log().display());
    host.configure_with("interval = \"100ms\"\nsegment_max_bytes = \"256KiB\"", &source, &host.archive());
    host
}

/// Stops all, and returns the trail and the rows of all files that there ever were. What the trail tells to be missing is missing.
fn finish(host: &Host, mut agent: Agent<'_>, server: &mut Postgres, mut copies: Copies<'_>) -> (Account, Numbers) {
    server.stop();
    agent.wait_settled();
    agent.stop();
    host.drain();
    server.logs("csv").iter().for_each(|log| copies.keep(log));
    let (written, torn) = oracle::whole_rows(&copies.paths());
    eprintln!("{torn} torn lines in {} files", copies.count);
    let account = Account::read(&host.journal(), |_, _| {});
    account.assert_verified(host);
    let invented = without(&account.rows, &written);
    assert!(invented.is_empty(), "in the trail, and in no file: {}", brief(&invented));
    account.assert_holes_are_told();
    (account, written)
}

/// Copies of the server's files, beyond its reach and the agent's.
struct Copies<'h> {
    host: &'h Host,
    count: usize,
}

impl<'h> Copies<'h> {
    fn new(host: &'h Host) -> Self {
        fs::create_dir(host.dir().join("copies")).unwrap();
        Copies { host, count: 0 }
    }

    /// A file that nobody writes to, if it is there.
    fn keep(&mut self, path: &Path) {
        if path.exists() {
            fs::copy(path, self.host.dir().join(format!("copies/{:06}.csv", self.count))).unwrap();
            self.count += 1;
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        (0..self.count).map(|number| self.host.dir().join(format!("copies/{number:06}.csv"))).collect()
    }
}

fn end(clients: &mut Child) {
    clients.kill().unwrap();
    clients.wait().unwrap();
}

/// One midnight, which comes as often as it is wanted: the server's log is put into a time zone where it comes in a moment. The server
/// cuts a file only when the clock has it rotate, and then only another one than the last.
struct Midnight {
    /// In seconds since 1970 of the server's local time.
    at: i64,
    evening: String,
    morning: String,
}

const DAY: i64 = 86_400;

impl Midnight {
    /// The second one from now, so that all zones are east of UTC however long the test takes.
    fn choose() -> Self {
        let day = unix_seconds() / DAY + 2;
        let name = |day: i64| {
            // 1970 began on a Thursday.
            let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(day % 7).unwrap()];
            format!("postgresql-{weekday}.csv")
        };
        Midnight { at: day * DAY, evening: name(day - 1), morning: name(day) }
    }

    /// Has the server write the evening's file, with midnight in a moment.
    fn draw_near(&self, server: &Postgres) {
        wait_until("the evening", || {
            server.value(&format!("ALTER SYSTEM SET log_timezone = '{}'", self.zone(3)));
            server.value("SELECT pg_reload_conf()");
            thread::sleep(Duration::from_millis(100));
            server.value("SELECT pg_rotate_logfile()");
            thread::sleep(Duration::from_millis(100));
            (server.current() == self.evening).then_some(())
        });
    }

    fn wait(&self, server: &Postgres) {
        wait_until("midnight", || (server.current() == self.morning).then_some(()));
    }

    /// A zone, as POSIX writes it, where midnight comes in some seconds. PostgreSQL refuses zones with odd seconds, going by what they
    /// say of the first hour of 2000; so these are in a summer time that all but that hour of a year is in.
    fn zone(&self, seconds: i64) -> String {
        let ahead = self.at - seconds - unix_seconds();
        let (hours, minutes) = (ahead / 3600, ahead / 60 % 60);
        format!("<STD>0<LOC>-{hours}:{minutes:02}:{:02},J1/1,J365/{}", ahead % 60, hours + 23)
    }

    fn morning_file(&self, server: &Postgres) -> PathBuf {
        server.log().join(&self.morning)
    }
}

fn unix_seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
