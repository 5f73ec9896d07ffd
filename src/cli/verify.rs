//! `sealtrail verify`: is this trail whole and unaltered?

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use sealtrail::verify::{Progress, Report, VerifyOptions, verify};

use super::{CliError, Exit, print, print_json};

/// Prove that a trail is whole and unaltered, or say what is wrong and where
///
/// Checks every line, seal and signature of the trail's segments, offline, without configuration and without a
/// private key. Says which record was altered, which segment is missing, and where rows of the database's log
/// never reached the trail. With --key the trail must be signed by that key; without, by the key that lies beside it,
/// which proves only that it is consistent.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail verify /var/lib/sealtrail/archive\n  \
    sealtrail verify --key orders-db-1.pub evidence/*.ndjson.zst\n  \
    sealtrail verify --json archive | jq .verdict\n\n\
    Exit codes:\n  \
    0  whole and unaltered\n  \
    1  altered, missing, extra, or signed by another key\n  \
    2  could not tell: unreadable file, no trail there\n  \
    3  authentic but incomplete: a gap, or it ends early")]
pub struct VerifyArgs {
    /// A public key that you trust; may be given several times.
    #[arg(long, value_name = "FILE.pub")]
    pub key: Vec<PathBuf>,

    /// Print the verdict as JSON on stdout.
    #[arg(long)]
    pub json: bool,

    /// Segments, or folders of them.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// Runs it.
pub fn main(args: VerifyArgs) -> Result<Exit, CliError> {
    let options = VerifyOptions { paths: args.paths, keys: args.key };
    let report = verify(&options, &mut progress).map_err(|error| CliError::caused(&error).hint(error.hint()))?;
    if args.json {
        let json = serde_json::to_value(&report).map_err(|error| CliError::caused(&error))?;
        print_json(&json)?;
    } else {
        print(&report.to_string())?;
    }
    Ok(exit(&report))
}

/// What a report means for the shell.
pub fn exit(report: &Report) -> Exit {
    match report.exit_code() {
        0 => Exit::Yes,
        1 => Exit::No,
        3 => Exit::Incomplete,
        _ => Exit::CouldNotTell,
    }
}

/// A line that is written over, on a terminal only.
fn progress(at: Progress) {
    let mut stderr = io::stderr().lock();
    if at.of > 1 && stderr.is_terminal() {
        let end = if at.segments == at.of { "\r\x1b[K" } else { "" };
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(stderr, "\r{} of {} segments{end}", at.segments, at.of);
    }
}
