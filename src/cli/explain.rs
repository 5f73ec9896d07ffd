//! `sealtrail explain`: how a log's rows are understood, for a person.

use std::io::{self, BufWriter, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use sealtrail::config::format_name::Read as Named;
use sealtrail::explain::{Show, explain};
use sealtrail_parsers::postgres_prefix::Prefix;

use super::parse::{Asked, failed, open};
use super::{CliError, Exit};

/// Show how each row of a log is understood
///
/// Reads one audit log, keeps no state, and shows for each row where it stands, each of the four fields and where it came
/// from, the category and the rule that chose it, and the statement with its tables marked. For looking at a few rows: pipe
/// them in.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail explain /var/log/postgresql/postgresql.csv | less -R\n  \
    grep GRANT server_audit.log | sealtrail explain --format mariadb-audit -\n\n\
    Exit codes:\n  \
    0  there were rows\n  \
    1  there is none\n  \
    2  the file cannot be read, or its format cannot be told")]
pub struct ExplainArgs {
    /// The log's format; without it, told from the log's first bytes.
    #[arg(long, value_name = "NAME", value_parser = super::parse::FormatParser { and: &[] }, hide_possible_values = true)]
    pub format: Option<Named>,

    /// The server's log_line_prefix, or the name of one that is known (debian, rds, …): for PostgreSQL's stderr and syslog formats.
    #[arg(long, value_name = "PREFIX", value_parser = super::parse::prefix)]
    pub log_line_prefix: Option<Arc<Prefix>>,

    /// The zone of times without an offset: the server's log_timezone, an IANA name.
    #[arg(long, value_name = "ZONE", value_parser = super::parse::timezone)]
    pub timezone: Option<String>,

    /// One JSON object a row, for a machine.
    #[arg(long)]
    pub json: bool,

    /// The log, compressed with gzip, zstd or xz or not; - is stdin.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

/// Runs it.
pub fn main(args: ExplainArgs) -> Result<Exit, CliError> {
    let format = args.format.and_then(|named| match named {
        Named::Format(format) => Some(format),
        Named::Other => None,
    });
    let asked = Asked { format, prefix: args.log_line_prefix, timezone: args.timezone };
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let show = match (args.json, colours) {
        (true, _) => Show::Json,
        (false, true) => Show::Coloured,
        (false, false) => Show::Plain,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut input = open(&args.file)?;
    match explain(&asked.request(&args.file), show, &mut input, &mut out) {
        Ok(0) => Ok(Exit::No),
        Ok(_) => Ok(Exit::Yes),
        Err(error) => failed(error),
    }
}
