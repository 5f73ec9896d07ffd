//! The agent's own log: one line an event, on stderr, as text or as JSON.

use std::io::{self, IsTerminal};

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::CliError;

/// What is logged unless something else is asked for: our own events, and what went wrong in the libraries.
const FILTERS: [&str; 3] = ["warn,sealtrail=info", "info,sealtrail=debug", "debug,sealtrail=trace"];

/// Arguments of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log (on stderr)")]
pub struct LogArgs {
    /// How the log is written.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Log more; -vv even more. SEALTRAIL_LOG=debug,sealtrail=trace says it in detail.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `SEALTRAIL_LOG` goes before `-v`.
pub fn start(args: &LogArgs) -> Result<(), CliError> {
    let filter = filter(args.verbose)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match args.log_format {
        LogFormat::Text => log.with_ansi(colours()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| CliError::new(format!("cannot start the log: {error}")))
}

fn filter(verbose: u8) -> Result<EnvFilter, CliError> {
    match std::env::var("SEALTRAIL_LOG") {
        Ok(filter) if !filter.trim().is_empty() => EnvFilter::builder().parse(&filter).map_err(|error| {
            CliError::new(format!("SEALTRAIL_LOG={filter:?}: {error}")).hint("such as debug, or warn,sealtrail=debug")
        }),
        _ => Ok(EnvFilter::new(FILTERS[usize::from(verbose).min(FILTERS.len() - 1)])),
    }
}

/// <https://no-color.org>: any value but the empty one.
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
