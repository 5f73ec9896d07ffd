//! The whole program, from a database's log to a sealed and delivered trail, as a user runs it.
//!
//! Each test starts the real binary in folders of its own and looks at what it leaves on disk with eyes of its own: segments are read
//! with `zstdcat`, csvlogs with Python's `csv` module, never with the agent's code. What is random comes from a seed that a
//! failing test prints; `SEALTRAIL_TEST_SEED` runs it again.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

// What the tests stand on.
mod account;
mod collector;
mod csvlog;
mod host;
mod mariadb;
mod namespace;
mod oracle;
mod postgres;
mod s3;
mod tmpfs;
mod trail;
mod writer;

// The tests.
mod archives;
mod bad_input;
mod crash;
mod dead_letters;
mod destinations;
mod directory;
mod forged;
mod large_rows;
mod live_mariadb;
mod live_pool;
mod live_postgres;
mod live_prepared;
mod live_rotation;
mod live_stderr;
mod logrotate;
mod mounts;
mod pieces;
mod read_relations;
mod rotation;
mod secrets;
mod segments;
mod silence;
mod state;
mod sessions;
mod stopping;
mod tamper;
mod watch;
