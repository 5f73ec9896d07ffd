//! Configuration, in two steps: what was written (`file`) becomes what is meant ([`plan`]).
//!
//! [`read`] does both and keeps, beside the plan, which keys the file held, so that `check` can say what is a default.
//! [`load`] is the same for those who only want the plan. Every mistake in the file is reported at once. A secret comes
//! from an environment variable or a file of its own and is never printed: not by `Debug`, not by `check`, not in a mistake.

mod bounds;
mod destination;
mod error;
mod fields;
mod file;
pub mod format_name;
mod identity;
pub mod keys;
mod matches;
pub(crate) mod nearest;
pub mod plan;
mod redact;
mod resolve;
pub mod secret;
mod section;
mod show;
mod substitution;
pub mod template;
mod text;
pub mod units;
mod warnings;

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use error::{ConfigError, Excerpt, Mistake};
pub use matches::{Matches, matches};
pub use show::{human, json};
pub use warnings::{Warning, warnings};

/// Of a record larger than this, the first and last bytes are kept, unless the configuration says otherwise.
pub const RECORD_MAX_BYTES: usize = bounds::RECORD_MAX_BYTES.default as usize;
use crate::hex::hex;
use plan::Plan;
use text::Context;

/// What a configuration refers to outside of its file. Tests bring their own.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Result<String, VarError>,
    /// The host's name: the default of `[agent] name`.
    pub host: &'a str,
}

/// A plan, and what is worth knowing about how it was made.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The file.
    pub path: PathBuf,
    /// What `run` starts from.
    pub plan: Plan,
    /// What the file itself held; the rest of the plan is defaults.
    pub written: Written,
}

/// The keys that a file held, each with its text before `${…}` was replaced (empty where it is no string).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, String>);

impl Written {
    /// Whether the file held it: `agent.name`, `source.0.paths`, `destination.1.tls.ca_file`.
    pub fn holds(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The text of a key as it was written.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The two paths that `status` and `keys` need: read without secrets, so that a person who may not see those can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// `[agent] state_dir`.
    pub state_dir: PathBuf,
    /// `[health] status_socket`.
    pub status_socket: PathBuf,
}

/// Reads the file at `path` and says what it means, with this process's environment.
pub fn load(path: &Path) -> Result<Plan, ConfigError> {
    read_here(path).map(|reading| reading.plan)
}

/// Like [`load`], and says as well which keys were written.
pub fn read_here(path: &Path) -> Result<Reading, ConfigError> {
    read(path, Surroundings { env: &|name| std::env::var(name), host: &host_name() })
}

/// Like [`read_here`], in surroundings that the caller gives.
pub fn read(path: &Path, surroundings: Surroundings<'_>) -> Result<Reading, ConfigError> {
    let text = text::load(path)?;
    let context = Context::new(path, &text, surroundings);
    let written = file::parse(&context);
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    let plan = written.and_then(|written| resolve::plan(&context, written, sha256));
    let (mistakes, written) = context.end();
    match plan {
        Some(plan) if mistakes.is_empty() => Ok(Reading { path: path.to_path_buf(), plan, written }),
        _ => Err(ConfigError::Mistakes { path: path.to_path_buf(), mistakes }),
    }
}

/// Reads only where the agent keeps its state. Mistakes elsewhere in the file are none of the caller's concern.
pub fn whereabouts(path: &Path) -> Result<Whereabouts, ConfigError> {
    let text = text::load(path)?;
    let surroundings = Surroundings { env: &|name| std::env::var(name), host: "" };
    let context = Context::new(path, &text, surroundings);
    let found = file::parse_whereabouts(&context).map(resolve::whereabouts);
    let (mistakes, _) = context.end();
    match found {
        Some(found) if mistakes.is_empty() => Ok(found),
        _ => Err(ConfigError::Mistakes { path: path.to_path_buf(), mistakes }),
    }
}

/// The kernel's name of this host.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
