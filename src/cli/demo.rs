//! `sealtrail demo`: the whole job on bundled logs, into a folder, then verified.

use std::path::PathBuf;
use std::{env, io, process};

use clap::Args;

use sealtrail::run::{How, run};
use sealtrail::verify::{Report, VerifyOptions, verify};
use sealtrail::{config, demo};

use super::{CliError, Exit, print};

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
    /// The folder: made if it is not there, and must be empty; without it, a new one among the temporary files.
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Runs it.
pub fn main(args: DemoArgs) -> Result<Exit, CliError> {
    let folder = args.folder.unwrap_or_else(|| env::temp_dir().join(format!("sealtrail-demo-{}", process::id())));
    let demo = demo::prepare(&folder).map_err(|error| {
        CliError::new(format!("cannot use {}: {error}", folder.display()))
            .hint("an empty folder, or one that can be made")
    })?;
    print(&format!("{}\n\n", demo.intro()))?;
    run(config::load(&demo.config)?, How { drain: true, ..How::default() })
        .map_err(|error| super::run::failed(&error))?;
    demo::table(&demo.archive, &mut io::stdout().lock()).map_err(|error| CliError::caused(&error))?;
    print("\nThe delivered trail:\n\n")?;
    let report = check(demo.archive.clone())?;
    print(&report.to_string())?;
    let altered = demo.alter().map_err(|error| CliError::caused(&error))?;
    print("\nA copy in which one failure was made a success:\n\n")?;
    print(&check(altered)?.to_string())?;
    print(&format!("\nEverything is in {}\n", demo.dir.display()))?;
    Ok(super::verify::exit(&report))
}

fn check(folder: PathBuf) -> Result<Report, CliError> {
    let options = VerifyOptions { paths: vec![folder], keys: Vec::new() };
    verify(&options, &mut |_| {}).map_err(|error| CliError::caused(&error).hint(error.hint()))
}
