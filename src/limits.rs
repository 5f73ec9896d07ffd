//! The bounds of the agent's core: how much, why that much, and what happens at it. A bound that concerns one module alone
//! (a destination's time-outs, a reader's buffers) stands at that module's head; those that users choose are in `config/bounds.rs`.
//!
//! Nothing in the agent grows without one of these. A bound never loses a row: at it the agent waits, splits or
//! flags, as its line says.

/// Bytes asked of a file in one read. Large enough that system calls vanish in the cost, small enough for the cache.
pub const READ_BYTES: usize = 256 * KIB;

/// Bytes read from one source before the next source has its turn, so that a backlog does not starve a live log.
pub const TURN_BYTES_MAX: usize = MIB;

/// Bytes of logs unpacked in a turn to see whether an archive is whole, and to come to where reading stood in it. At it the rest waits for
/// the next turn.
pub const UNPACK_BYTES_MAX: usize = MIB;

/// Uncompressed bytes of lines in a block. At it the block is sealed at once, before its interval is over. It is what one
/// fsync pays for, and what a reader of the journal holds at a time.
pub const BLOCK_BYTES_MAX: usize = 6 * MIB;

/// Bytes of a damaged region that make one `unparsed` line. A longer region becomes several lines.
pub const DAMAGED_LINE_BYTES_MAX: usize = 256 * KIB;

/// What is kept of the beginning of a record larger than `record_max_bytes`, and never more than half of that. It holds every column
/// that says who did what, and a line with it is one that destinations take.
pub const OVERSIZE_HEAD_BYTES_MAX: usize = 256 * KIB;

/// What is kept of its end, which holds parameters, row count and application.
pub const OVERSIZE_TAIL_BYTES_MAX: usize = 64 * KIB;

/// So many NUL bytes in a row are a hole in the file, however many follow: one line says how many. No server writes any.
pub const ZEROS_MIN: usize = 16;

/// A buffer larger than this is given back when its file is quiet: there may be thousands of files.
pub const IDLE_BUFFER_BYTES_MAX: usize = 4 * KIB;

/// The first bytes of a file that tell it from another with the same inode.
pub const HEAD_BYTES_MAX: usize = 1024;

/// Files followed at a time. At it further files wait, and the source says so.
pub const FILES_MAX: usize = 4096;

/// Files that have ended and that a segment's head still tells of, so that a copy of one is known after a restart.
pub const ENDED_KEPT_MAX: usize = 256;

/// Bytes of a file's head that format detection may look at.
pub const DETECT_BYTES_MAX: usize = 64 * KIB;

/// Wake-ups that wait for the core thread. More are not needed: one is enough to make it look everywhere.
pub const WAKES_MAX: usize = 16;

/// What destinations have to tell that waits for the core thread. What finds no room is told later.
pub const COURIERS_ACTS_MAX: usize = 64;

/// Dead letters that are sent again, or dropped, before a courier goes on with the trail.
pub const DEAD_LETTERS_AT_ONCE: usize = 256;

/// Dead letters that an agent's line names; of more it says how many.
pub const DEAD_LETTERS_NAMED: usize = 20;

/// How often the trail says that a destination refuses lines: a destination that refuses every line must not double the trail.
pub const DEAD_LETTERS_TOLD_MS: u64 = 60_000;

/// After a wake-up, how long writes may gather before they are read: fewer turns for a steadily growing log.
pub const GATHER_MS: u64 = 20;

/// How much earlier than its interval a block is sealed, beside what sealing takes: room for gathering, and for a turn through 1,000 files, so that
/// a row is on the disk within the interval.
pub const SEAL_AHEAD_MS: u64 = 100;

/// A file that was renamed away or deleted is read through its open handle until it has been quiet for this long:
/// a server keeps writing to a renamed file until it is told to reopen.
pub const ROTATED_QUIET_MS: u64 = 10_000;

/// How long a row's number may be missing before it is said to be: the collector may still write what it holds, and files of one
/// rotation are read side by side. Every file must have been read to its end after that.
pub const SETTLE_MS: u64 = 5_000;

/// The same while something of the source cannot be read: a file without permission, an archive that is not whole. After that nobody
/// waits for it any longer.
pub const SETTLE_UNREADABLE_MS: u64 = 600_000;

/// Sessions of one source and format whose rows are counted at a time, some 150 bytes each. At it those that were not seen for longest
/// are forgotten: what is missed of them is not told, and the source says so.
pub const SESSIONS_MAX: usize = 16 * KIB;

/// Of these, sessions that have ended: kept since a few rows may follow the one that says so.
pub const ENDED_SESSIONS_MAX: usize = 4 * KIB;

/// Runs of missing numbers of one source and format that wait to be filled by rows that come late, some 120 bytes each. At it the older
/// half is told at once.
pub const HOLES_MAX: usize = 32 * KIB;

/// How often the folders are listed again although nothing was reported, in case a report was lost.
pub const RESCAN_MS: u64 = 10_000;

/// How often a look lists the folders when it finds something new each time. A log that is rotated faster than that is read all the same; only
/// a row in two of its files may come out in two records.
pub const LISTINGS_MAX: usize = 8;

/// How often a full disk or an exhausted journal budget is looked at again.
pub const PAUSE_MS: u64 = 500;

/// A segment with nothing but heartbeats stays open this long.
pub const QUIET_SEGMENT_AGE_MS: u64 = 3_600_000;

/// Time in which at most [`TOLD_MAX`] changes of one kind of alarm are told in the trail.
pub const RATION_MS: u64 = 3_600_000;

/// Changes of a source's silence, or of the journal's room, told in [`RATION_MS`]; each is followed by one line when it is over. At it
/// further ones are counted, and the next that is told says how many there were.
pub const TOLD_MAX: u32 = 12;

/// Time between two turns that counts as time in which something could have been noticed: three looks. A host that slept was not silent.
pub const WATCHED_STEP_MS_MAX: u64 = 3 * RESCAN_MS;

/// Days whose longest pauses make a source's habit: a week, and a day more so that no weekday falls out before it comes again.
pub const HABIT_DAYS: usize = 8;

/// Minutes in which something must have come before a source has a habit.
pub const HABIT_MINUTES_MIN: u64 = 20;

/// No source is silent by its habit before it was quiet for so long.
pub const QUIET_MS_MIN: u64 = 15 * 60_000;

/// A source that has been quiet for so long is doubted: where its server writes is looked up.
pub const ELSEWHERE_AFTER_MS: u64 = 120_000;

/// Another file of the server has to grow for so long while the source's own is quiet.
pub const ELSEWHERE_MS: u64 = 60_000;

/// Nothing that matches, or a file that cannot be read, has to stand for so long: rotation has moments of both.
pub const STANDING_MS: u64 = 10_000;

/// Files of one source that are told to be unreadable at a time. At it further ones wait until one of these can be read or is gone.
pub const UNREADABLE_FILES_MAX: usize = 64;

/// Files whose lives after their last write are remembered, for a source.
pub const LIVES_MAX: usize = 8;

/// How far back a log's growth is measured.
pub const GROWTH_MS: u64 = 600_000;

/// In how many samples.
pub const GROWTH_SAMPLES_MAX: usize = 20;

/// Percent of the journal's budget: when what is not delivered is so much, that is told.
pub const ALARM_PERCENT: u64 = 80;

/// Below it the alarm is over.
pub const ALARM_OVER_PERCENT: u64 = 70;

/// For how long.
pub const CALM_MS: u64 = 10_000;

/// Room on the disk of the state folder below which that is told; of a small disk, a twentieth of it.
pub const SPACE_BYTES_MIN: u64 = 256 * MIB as u64;

/// Pieces of rows that one log may hold back, in all its files, until the rest of their row comes. Past it the oldest row comes out as it is.
pub const HELD_PIECES_MAX: usize = 128 * KIB;

/// The same in bytes. Chunks of a statement of many short lines are mostly headers: 1.2 MB of SQL come as 10 MB of syslog.
pub const HELD_BYTES_MAX: usize = 16 * MIB;

/// Rows of one connection that wait for their ends at a time: procedures and triggers call each other. Past it the oldest comes out as it is, which
/// is all that becomes of rows whose ends are not logged.
pub const HELD_NESTED_MAX: usize = 32;

/// How long a chunk of a row waits for the next: the writer sends them one after the other.
pub const HELD_CHUNK_MS: u64 = 2_000;

/// How long a row waits for the one that tells of its statement's end. A statement that runs longer is told of in two records.
pub const HELD_PART_MS: u64 = 60_000;

/// How long a record that nothing ends waits for more of it.
pub const OPEN_RECORD_MS: u64 = 1_000;

/// Statements whose reading is kept for when they come again. Applications have a few hundred.
pub const READINGS_MAX: usize = 1024;

/// A longer statement is read each time: it is seldom the same twice, and comparing it costs what reading it does.
pub const READ_STATEMENT_BYTES_MAX: usize = 4 * KIB;

/// What all that is kept of statements may take. At it everything is forgotten, and kept anew as it comes.
pub const READINGS_BYTES_MAX: usize = 4 * MIB;

/// What the prepared statements of a source's sessions may take. At it those that were not used for longest are forgotten, and `EXECUTE` says that nobody
/// told what it runs. Applications prepare through the protocol, which needs none of this; who does it in SQL has a few, of a few hundred bytes.
pub const PREPARED_BYTES_MAX: usize = 2 * MIB;

/// Of a longer one nothing is kept but that it is there.
pub const PREPARED_STATEMENT_BYTES_MAX: usize = 16 * KIB;

/// Objects of a statement that a record lists. A statement that names more is there as text, with `too_many` among its doubts.
pub const RESOURCES_MAX: usize = 64;

/// Rules of a directory, some 500 bytes each. More are a mistake of the configuration.
pub const IDENTITY_RULES_MAX: usize = 20_000;

/// Grants of access to this server that a directory holds, some 500 bytes each. More are a mistake of the configuration: an export has those of the last weeks.
pub const IDENTITY_GRANTS_MAX: usize = 20_000;

/// Of the rules, those that do not write their accounts out: each is held against all others when the directory is read, and asked for each new account.
pub const IDENTITY_PATTERN_RULES_MAX: usize = 1_000;

/// What one regular expression of a rule may take when it is compiled. At it the rule is a mistake.
pub const IDENTITY_REGEX_BYTES_MAX: usize = 256 * KIB;

/// The same for the patterns of all rules together, which are one automaton.
pub const IDENTITY_PATTERNS_BYTES_MAX: usize = 32 * MIB;

/// A file of rules is read whole.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 16 * MIB as u64;

/// How often the files of rules are looked at. A change counts after the second look that finds the file the same.
pub const IDENTITY_LOOK_MS: u64 = 2_000;

/// Sessions that a layer before the database let in of which it is known whose they are, some 300 bytes each, for each layer. Past it those told first are
/// forgotten, and their rows have no person.
pub const ACCESS_SESSIONS_MAX: usize = 10_000;

/// Answers of the directory that are kept for when the same is asked again: accounts, with what else rules ask for.
pub const IDENTITY_ANSWERS: usize = 1024;

/// What is asked, where it is longer, is asked each time: such names are nobody's.
pub const IDENTITY_KEY_BYTES_MAX: usize = 1024;

/// Members of an object that a line is mapped by, 56 bytes each in memory. An object that has more is copied as it is, and a line of more is kept as text.
pub const SCHEMA_MEMBERS_MAX: usize = 4096;

/// Accounts without a rule that are counted apart. Past it the one with the fewest rows gives its place, and its count, to the next.
pub const UNMAPPED_ACCOUNTS_MAX: usize = 256;

/// How long the agent has to flush, seal and exit when it is told to stop.
pub const STOP_MS: u64 = 5_000;

/// Level of the journal's zstd frames: level 1 costs a third of level 3's time and the files are a tenth larger.
pub const ZSTD_LEVEL: i32 = 1;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const _: () = assert!(READ_BYTES <= TURN_BYTES_MAX, "a turn has room for one read");
const _: () = assert!(TURN_BYTES_MAX <= BLOCK_BYTES_MAX, "a turn does not overfill a block");
const _: () = assert!(ALARM_OVER_PERCENT < ALARM_PERCENT, "an alarm does not flutter");
const _: () = assert!(WATCHED_STEP_MS_MAX > RESCAN_MS, "a turn at rest counts whole");
const _: () = assert!(SETTLE_MS < SETTLE_UNREADABLE_MS, "what cannot be read is waited for longer");
const _: () = assert!(2 * ENDED_SESSIONS_MAX <= SESSIONS_MAX, "most of the table is for open sessions");
const _: () = assert!(HEAD_BYTES_MAX <= READ_BYTES, "a head is had in one read");
