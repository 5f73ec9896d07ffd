//! The `sealtrail` binary: reads the arguments, runs one command, and turns its answer into an exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Exit};

fn main() -> ExitCode {
    let answer = match Cli::try_parse() {
        Ok(cli) => cli::dispatch(cli),
        Err(usage) => cli::usage(&usage),
    };
    let exit = answer.unwrap_or_else(|error| cli::report(&error));
    match exit {
        Exit::Yes => ExitCode::from(0),
        Exit::No => ExitCode::from(1),
        Exit::CouldNotTell => ExitCode::from(2),
        Exit::Incomplete => ExitCode::from(3),
    }
}
