//! Who is behind an account: rules and directories that name the person, and what a row's line says of it.
//!
//! Rules come from the configuration and from files (TOML, CSV, JSON), access that was given for a time from files of other systems. Both are compiled once
//! into a [`Directory`]. A [`Mapper`] asks it for each row and keeps
//! the answers. [`Watch`] sees that a file has changed; then all of them are read anew, and the whole directory is exchanged between two turns of
//! the loop, or stays as it was. Where no identity is configured none of this exists.
//!
//! Hard is to name nobody who was not there. A rule that could be one of two is a mistake of the configuration, not a choice. An account that was
//! only claimed, at a login that was refused, proves nothing. What is found says by which rule, of which version of the directory.

pub mod access;
mod carriers;
mod clash;
mod directory;
pub mod entry;
mod files;
pub mod grant;
mod mapper;
pub mod network;
pub mod pattern;
mod row;
pub mod rule;
mod unmapped;

pub use carriers::{Carried, Carrier, Carriers};
pub use directory::{Directory, Found, Passed, Reason};
pub use files::{Loaded, Loader, Watch};
pub use mapper::{Mapper, Site, Who};
pub use unmapped::Unmapped;
