//! The Sealtrail agent. The modules stand in the order in which a row of a database's log meets them.

pub mod config;
pub mod journal;

pub mod ship;
pub mod sink;

pub mod health;
