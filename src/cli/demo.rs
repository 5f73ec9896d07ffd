//! `sealtrail demo`: the whole job on bundled logs, into a folder, then verified.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit};

/// Do the whole job on bundled logs, and verify the result
///
/// Reads real logs that come with the program, seals and delivers them into a folder, verifies the trail, then alters a
/// copy and shows that verify sees it. Touches nothing outside of that folder and needs no network.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail demo\n  \
    sealtrail demo /tmp/trail\n\n\
    Exit codes:\n  \
    0  the trail was made and verified\n  \
    1  it was made and does not verify\n  \
    2  could not tell: the folder is not empty, or cannot be written")]
pub struct DemoArgs {
    /// The folder: made if it is not there, and must be empty.
    #[arg(value_name = "DIR", default_value = "sealtrail-demo")]
    pub folder: PathBuf,
}

/// Runs it.
pub fn main(_args: DemoArgs) -> Result<Exit, CliError> {
    Err(CliError::new("demo is not in this build"))
}
