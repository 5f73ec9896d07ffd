//! `sealtrail man`: the man pages, for packages. Hidden: readers have `man sealtrail`.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit, definition};

/// Write the man pages into a folder
///
/// Makes one page for sealtrail and one for each command, out of the same text as --help. Packages do this when they are
/// built.
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct ManArgs {
    /// The folder; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs it.
pub fn main(args: ManArgs) -> Result<Exit, CliError> {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(definition(), &args.folder))
        .map_err(|error| CliError::new(format!("cannot write man pages to {}: {error}", args.folder.display())))?;
    Ok(Exit::Yes)
}
