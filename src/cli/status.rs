//! `sealtrail status`: what the running daemon is doing.

use std::path::PathBuf;

use clap::Args;

use sealtrail::status::{query, render};

use super::{CliError, ConfigArg, Exit, print, print_json};

/// Show what the running daemon is doing
///
/// Asks the daemon over its socket: how far each source is read, what each destination has, how full the journal is,
/// and every standing problem. The configuration is read only for the socket's path, so that no secret is
/// needed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail status\n  \
    sealtrail status --socket /run/sealtrail/status.sock\n  \
    sealtrail status --json | jq '.destinations'\n\n\
    Exit codes:\n  \
    0  running, without a problem\n  \
    1  running, with a problem that somebody has to see to\n  \
    2  could not tell: not running, or the socket cannot be opened")]
pub struct StatusArgs {
    #[command(flatten)]
    pub config: ConfigArg,

    /// The daemon's socket; without it, the one that the configuration names.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,

    /// Print the status as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn main(args: StatusArgs) -> Result<Exit, CliError> {
    let socket = socket(args.socket, &args.config)?;
    let status = query(&socket).map_err(|error| CliError::caused(&error).hint(error.hint()))?;
    if args.json {
        print_json(&serde_json::to_value(&status).map_err(|error| CliError::caused(&error))?)?;
    } else {
        print(&render(&status))?;
    }
    Ok(if status.not_ready.is_empty() { Exit::Yes } else { Exit::No })
}

/// The socket to ask.
fn socket(given: Option<PathBuf>, config: &ConfigArg) -> Result<PathBuf, CliError> {
    match given {
        Some(socket) => Ok(socket),
        None => Ok(sealtrail::config::whereabouts(&config.config)?.status_socket),
    }
}
