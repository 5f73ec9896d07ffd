//! `sealtrail verify`: is this trail whole and unaltered?

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit};

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
pub fn main(_args: VerifyArgs) -> Result<Exit, CliError> {
    Err(CliError::new("verify is not in this build"))
}
