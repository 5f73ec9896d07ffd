//! `sealtrail completions`: what a shell needs to complete our commands.

use clap::Args;
use clap_complete::Shell;

use super::{CliError, Exit, definition, print};

/// Print the completions of a shell
///
/// Writes a script to stdout that teaches the shell our commands and options. Put it where the shell looks for such
/// scripts.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail completions bash > /etc/bash_completion.d/sealtrail\n  \
    sealtrail completions fish > ~/.config/fish/completions/sealtrail.fish\n\n\
    Exit codes:\n  \
    0  done\n  \
    2  no such shell")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Runs it.
pub fn main(args: CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "sealtrail", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Yes)
}
