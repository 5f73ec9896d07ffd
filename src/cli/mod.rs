//! The command line: what can be asked, what the answers mean, and one file a command.
//!
//! A command's `main` answers an [`Exit`] or a [`CliError`]; only `main.rs` turns that into a number. Output that was asked for goes to
//! stdout, all else to stderr.

mod check;
mod completions;
mod dead_letter;
mod demo;
mod explain;
mod identity;
mod keys;
mod log;
mod man;
mod parse;
mod redact;
mod run;
mod status;
mod verify;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use sealtrail::config::ConfigError;

/// Ships native database audit logs as evidence.
///
/// Sealtrail tails the audit log that the database itself writes, turns each row into a record with a user, an action, a
/// time and a resource, seals the records into a signed append-only trail, and delivers it. Nothing is lost, and an
/// auditor can prove offline that nothing was altered or removed.
#[derive(Debug, Parser)]
#[command(
    name = "sealtrail",
    bin_name = "sealtrail",
    version,
    max_term_width = 100,
    after_long_help = "Start with:\n  \
        sealtrail demo                      see the whole job on bundled logs\n  \
        sealtrail parse /var/log/….csv      how your own log reads as records\n  \
        sealtrail check -c sealtrail.toml   what run would do\n\n\
        Exit codes of every command:\n  \
        0  yes, or done\n  \
        1  no: wrong, broken, undelivered, nothing found\n  \
        2  could not tell: bad arguments, unreadable file, machine fault\n  \
        3  verify only: authentic but incomplete"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    log: log::LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Parse(parse::ParseArgs),
    Explain(explain::ExplainArgs),
    Identity(identity::IdentityArgs),
    Redact(redact::RedactArgs),
    Verify(verify::VerifyArgs),
    Status(status::StatusArgs),
    DeadLetter(dead_letter::DeadLetterArgs),
    Keys(keys::KeysArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// What a command answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Yes,
    /// No: chain broken, configuration wrong, something undelivered, nothing found.
    No,
    /// Could not tell: bad arguments, unreadable file, machine fault.
    CouldNotTell,
    /// Authentic, but not all of it is there.
    Incomplete,
}

/// Why a command gave up.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hint: Option<String>,
    exit: Exit,
}

impl CliError {
    /// A lower-case fragment; the command could not tell.
    pub fn new(message: impl Into<String>) -> Self {
        CliError { message: message.into(), hint: None, exit: Exit::CouldNotTell }
    }

    /// An error with all its causes on one line.
    pub fn caused(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        CliError::new(message)
    }

    /// What to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        CliError { hint: Some(hint.into()), ..self }
    }

    /// The answer is no, rather than unknown.
    pub fn no(self) -> Self {
        CliError { exit: Exit::No, ..self }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Unreadable { path, reason, hint, .. } => {
                CliError::new(format!("cannot read {}: {reason}", path.display())).hint(hint)
            }
            ConfigError::Mistakes { path, mistakes } => {
                let count = match mistakes.len() {
                    1 => "1 mistake".to_owned(),
                    mistakes => format!("{mistakes} mistakes"),
                };
                CliError::new(format!("{count} in {}\n{error}", path.display())).no()
            }
        }
    }
}

/// `-c FILE`, wherever a command reads the configuration.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/sealtrail/sealtrail.toml")]
    pub config: PathBuf,
}

/// Runs the command.
pub fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    log::start(&cli.log)?;
    match cli.command {
        Command::Run(args) => run::main(args),
        Command::Check(args) => check::main(args),
        Command::Parse(args) => parse::main(args),
        Command::Explain(args) => explain::main(args),
        Command::Identity(args) => identity::main(args),
        Command::Redact(args) => redact::main(args),
        Command::Verify(args) => verify::main(args),
        Command::Status(args) => status::main(args),
        Command::DeadLetter(args) => dead_letter::main(args),
        Command::Keys(args) => keys::main(args),
        Command::Demo(args) => demo::main(args),
        Command::Completions(args) => completions::main(args),
        Command::Man(args) => man::main(args),
    }
}

/// Prints what clap has to say: help and version are answers, the rest is bad arguments.
pub fn usage(usage: &clap::Error) -> Result<Exit, CliError> {
    // If this cannot be printed there is nowhere left to say so.
    let _ = usage.print();
    Ok(if usage.use_stderr() { Exit::CouldNotTell } else { Exit::Yes })
}

/// Prints an error the one way that errors are printed.
pub fn report(error: &CliError) -> Exit {
    let hint = error.hint.as_ref().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    // If this cannot be printed there is nowhere left to say so.
    let _ = write!(io::stderr().lock(), "sealtrail: {}\n{hint}", error.message);
    error.exit
}

/// Prints to stdout. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::new(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON document to stdout, for `--json`.
fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}

/// The whole definition, for completions and man pages.
fn definition() -> clap::Command {
    Cli::command()
}
