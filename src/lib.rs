//! The Sealtrail agent. The modules stand in the order in which a reader, and a row of a database's log, meets them.

// What is asked for.
pub mod config;
pub mod limits;

// What starts and turns it.
pub mod run;
pub mod continuity;
pub mod core;

// The way of a row.
pub mod tail;
pub mod frames;
pub mod held;
pub mod accounts;
pub mod intake;
pub mod redact;
pub mod shape;
pub mod identity;
pub mod sessions;
pub mod event;
pub mod journal;
pub mod schema;
pub mod ship;
pub mod sink;

// What looks on.
pub mod lookout;
pub mod health;
pub mod status;
pub mod verify;

// The same without a daemon.
pub mod parse;
pub mod explain;
pub mod demo;

// What all stand on.
pub mod host;
pub mod disk;
pub mod clock;
pub mod durable;
pub mod hex;
pub mod json;
pub mod keys;
pub mod words;
