//! `sealtrail run`: the daemon.

use clap::Args;

use sealtrail::journal::recover::RecoverError;
use sealtrail::run::{Ended, How, RunError, run};

use super::{CliError, ConfigArg, Exit};

/// Run the daemon: read, seal, deliver
///
/// Follows the files of every source, seals what it reads within a second, and delivers the trail to every
/// destination. Runs until it is asked to stop (SIGTERM, SIGINT), and then seals what it has read. Started again, it
/// goes on where the last seal ended: no row is lost and none is in the trail twice.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail run -c sealtrail.toml\n  \
    sealtrail run --drain               read all there is, deliver it, and end\n  \
    sealtrail run --adopt-state         the host that this state folder comes from is gone\n  \
    SEALTRAIL_LOG=debug sealtrail run --log-format json\n\n\
    Exit codes:\n  \
    0  stopped as asked; with --drain: all that was read is at every required destination\n  \
    1  the configuration is wrong, the journal does not check, or --drain could not deliver all\n  \
    2  could not start or go on: unreadable file, another agent runs, a copied state folder, machine fault")]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArg,

    /// Read all there is, deliver it to every required destination, and end.
    #[arg(long)]
    pub drain: bool,

    /// Go on with a state folder that was copied from another machine, or whose original is still there.
    ///
    /// Without it such a start is refused: two agents must not go on with one trail. Say it when no other agent will ever go on with it
    /// (the old host is gone), or always where a state folder on shared storage follows the database from host to host. The trail says
    /// each time that it was taken over.
    #[arg(long)]
    pub adopt_state: bool,
}

/// Runs it.
pub fn main(args: RunArgs) -> Result<Exit, CliError> {
    let plan = sealtrail::config::load(&args.config.config)?;
    match run(plan, How { drain: args.drain, adopt_state: args.adopt_state }) {
        Ok(Ended::Done) => Ok(Exit::Yes),
        Ok(Ended::Undelivered) => Ok(Exit::No),
        Err(error) => Err(failed(&error)),
    }
}

/// A journal that does not check is an answer; everything else is a start that failed.
pub fn failed(error: &RunError) -> CliError {
    let failed = CliError::caused(error).hint(error.hint());
    let unreadable = matches!(error, RunError::Recover(RecoverError::Io { .. }));
    if matches!(error, RunError::Recover(_)) && !unreadable { failed.no() } else { failed }
}
