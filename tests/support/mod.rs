//! What whole-program tests share: a small journal writer, far sides with faults, real S3 servers and syslog receivers, certificates.
//!
//! Everything listens on loopback, on ports that were free, and ends with the test process.
#![allow(dead_code, missing_docs)] // Each test program uses its part of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod certs;
pub mod front;
pub mod journal;
pub mod place;
pub mod proxy;
pub mod s3;
pub mod syslog;
pub mod wire;
pub mod stores;
