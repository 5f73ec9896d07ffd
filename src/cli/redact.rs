//! `sealtrail redact test`: what is taken out of a log, before and after.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use sealtrail::config;
use sealtrail::config::format_name::Read as Named;
use sealtrail::disk::RealDisk;
use sealtrail::keys;
use sealtrail::parse::{By, SOURCE};
use sealtrail::redact::Redact;
use sealtrail::redact::compare::compare;
use sealtrail_parsers::postgres_prefix::Prefix;

use super::parse::{Asked, failed, open};
use super::{CliError, Exit};

/// What is taken out of rows before they are sealed
///
/// Passwords, keys, tokens and connection strings never reach the trail. What counts as one beside those that always do, and what else
/// is taken out, literals and personal data, is said in the configuration, [redact].
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail redact test /var/log/postgresql/postgresql.csv\n\n\
    Exit codes:\n  \
    0  something is taken out\n  \
    1  nothing is\n  \
    2  the file cannot be read, or its format cannot be told")]
pub struct RedactArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(TestArgs),
}

/// Show what is taken out of a log, each text before and after
///
/// Reads one audit log and keeps no state. What it prints holds the secrets as the log has them. Hashes of literals
/// are those of the agent where its key may be read.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail redact test /var/log/postgresql/postgresql.csv\n  \
    tail -n 100 server_audit.log | sealtrail redact test --format mariadb-audit -\n  \
    sealtrail redact test -c sealtrail.toml general.log\n\n\
    Exit codes:\n  \
    0  something is taken out\n  \
    1  nothing is\n  \
    2  the file cannot be read, or its format cannot be told")]
struct TestArgs {
    /// The configuration whose [redact] holds; without it, only what holds everywhere.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The log's format; without it, told from the log's first bytes.
    #[arg(long, value_name = "NAME", value_parser = super::parse::FormatParser { and: &[] }, hide_possible_values = true)]
    format: Option<Named>,

    /// The server's log_line_prefix, or the name of one that is known (debian, rds, …): for PostgreSQL's stderr and syslog formats.
    #[arg(long, value_name = "PREFIX", value_parser = super::parse::prefix)]
    log_line_prefix: Option<Arc<Prefix>>,

    /// The zone of times without an offset: the server's log_timezone, an IANA name.
    #[arg(long, value_name = "ZONE", value_parser = super::parse::timezone)]
    timezone: Option<String>,

    /// The source of the configuration that the log is of: whose rules hold. Without it the only one that there is, else none.
    #[arg(long, value_name = "NAME", requires = "config")]
    source: Option<String>,

    /// One JSON object a row, for a machine.
    #[arg(long)]
    json: bool,

    /// The log, compressed with gzip, zstd or xz or not; - is stdin.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

/// Runs it.
pub fn main(args: RedactArgs) -> Result<Exit, CliError> {
    let Command::Test(args) = args.command;
    let (redact, key, only) = match &args.config {
        Some(path) => {
            let mut plan = config::load(path)?;
            let only = plan.sources.pop().filter(|_| plan.sources.is_empty()).map(|source| source.name);
            (plan.redact, keys::literals_key_if_any(&RealDisk, &plan.agent.state_dir), only)
        }
        None => (Redact::default(), None, None),
    };
    let format = args.format.and_then(|named| match named {
        Named::Format(format) => Some(format),
        Named::Other => None,
    });
    let asked = Asked { format, prefix: args.log_line_prefix, timezone: args.timezone };
    let source = args.source.or(only).unwrap_or_else(|| SOURCE.to_owned());
    let by = By { redact: &redact, key: key.as_ref(), source: &source };
    let mut input = open(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match compare(&asked.request(&args.file), by, args.json, &mut input, &mut out) {
        Ok(0) => Ok(Exit::No),
        Ok(_) => Ok(Exit::Yes),
        Err(error) => failed(error),
    }
}
