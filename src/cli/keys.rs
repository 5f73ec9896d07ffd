//! `sealtrail keys`: the public keys that prove this host's trail.

use std::path::PathBuf;

use clap::Args;

use sealtrail::keys;
use serde_json::json;

use super::{CliError, ConfigArg, Exit, print, print_json};

/// List the public keys of this host's trail
///
/// Prints each public key and the file that holds it. Keep a copy where the host cannot reach it: with it anyone can verify
/// the trail, and nobody can forge one. Private keys are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail keys\n  \
    sealtrail keys --state-dir /var/lib/sealtrail --json\n\n\
    Exit codes:\n  \
    0  done\n  \
    1  there is no key yet\n  \
    2  could not tell: the folder cannot be read")]
pub struct KeysArgs {
    #[command(flatten)]
    pub config: ConfigArg,

    /// The agent's state folder; without it, the one that the configuration names.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state_dir: Option<PathBuf>,

    /// Print the keys as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn main(args: KeysArgs) -> Result<Exit, CliError> {
    let dir = keys::dir(&state_dir(args.state_dir, &args.config)?);
    let found = keys::public_keys(&dir).map_err(|error| CliError::caused(&error).hint(error.hint()))?;
    if args.json {
        let list = found.iter().map(
            |(path, key)| json!({ "origin": key.name(), "key": key.to_string(), "file": path.display().to_string() }),
        );
        print_json(&list.collect())?;
    } else {
        print(&found.iter().map(|(path, key)| format!("{key}\n  {}\n", path.display())).collect::<String>())?;
    }
    if found.is_empty() {
        return Err(CliError::new(format!("no key in {}", dir.display()))
            .hint("the first `sealtrail run` makes one")
            .no());
    }
    Ok(Exit::Yes)
}

/// The state folder to look in.
fn state_dir(given: Option<PathBuf>, config: &ConfigArg) -> Result<PathBuf, CliError> {
    match given {
        Some(state_dir) => Ok(state_dir),
        None => Ok(sealtrail::config::whereabouts(&config.config)?.state_dir),
    }
}
