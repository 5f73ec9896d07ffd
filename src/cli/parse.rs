//! `sealtrail parse`: records on stdout, without state and without a configuration.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use sealtrail::parse::{ParseError, Request, parse};
use sealtrail_parsers::Format;
use sealtrail_parsers::postgres_prefix::Prefix;

use super::{CliError, Exit};

/// Print a log as records, one JSON object a line
///
/// Reads one audit log and prints the records that run would seal. Needs no configuration, keeps no state, and
/// changes nothing: the quickest way to see how your own log reads. A row that cannot be understood is printed as well,
/// with its bytes and the reason.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail parse /var/log/postgresql/postgresql.csv\n  \
    sealtrail parse --timezone Europe/Berlin old.csv | jq 'select(.action == \"GRANT\")'\n  \
    zcat old.json.gz | sealtrail parse --format postgres-jsonlog -\n\n\
    Exit codes:\n  \
    0  every row was understood\n  \
    1  some were not, or there is none\n  \
    2  the file cannot be read, or its format cannot be told")]
pub struct ParseArgs {
    /// The log's format; without it, told from the log's first bytes. `list` prints all of them.
    #[arg(long, value_name = "NAME", value_parser = format(), hide_possible_values = true)]
    pub format: Option<Wanted>,

    /// The server's log_line_prefix, or the name of one that is known (debian, rds, …): for PostgreSQL's stderr and syslog formats.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub log_line_prefix: Option<Arc<Prefix>>,

    /// The zone of times without an offset: the server's log_timezone, an IANA name.
    #[arg(long, value_name = "ZONE", value_parser = timezone)]
    pub timezone: Option<String>,

    /// The log; - is stdin.
    #[arg(value_name = "FILE|-", required_unless_present = "format")]
    pub file: Option<PathBuf>,
}

/// What `--format` asks for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// To be told which there are.
    List,
    /// To read the log as this.
    Format(Format),
}

/// Runs it.
pub fn main(args: ParseArgs) -> Result<Exit, CliError> {
    let format = match args.format {
        Some(Wanted::List) => return list(),
        Some(Wanted::Format(format)) => Some(format),
        None => None,
    };
    let Some(file) = args.file else {
        return Err(CliError::new("no file to parse").hint("a file that you may read, or - for stdin"));
    };
    let request = Request {
        path: file.display().to_string(),
        format,
        prefix: args.log_line_prefix,
        timezone: args.timezone,
        server: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        record_max_bytes: sealtrail::config::RECORD_MAX_BYTES,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let result = if file.as_os_str() == "-" {
        parse(&request, &mut io::stdin().lock(), &mut out)
    } else {
        let mut file = File::open(&file).map_err(|error| {
            CliError::new(format!("cannot read {}: {error}", file.display()))
                .hint("a file that you may read, or - for stdin")
        })?;
        parse(&request, &mut file, &mut out)
    };
    match result {
        Ok(counts) => Ok(if counts.rows > 0 && counts.unparsed == 0 { Exit::Yes } else { Exit::No }),
        // Whoever reads has seen enough (`| head`).
        Err(ParseError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Yes),
        Err(error @ ParseError::Format { .. }) => Err(CliError::caused(&error).hint("say it with --format NAME")),
        Err(error) => Err(CliError::caused(&error)),
    }
}

fn format() -> impl TypedValueParser<Value = Wanted> {
    let names = Format::ALL.map(Format::name).into_iter().chain(["list"]);
    PossibleValuesParser::new(names).try_map(|name| match name.as_str() {
        "list" => Ok(Wanted::List),
        name => name.parse().map(Wanted::Format),
    })
}

/// A line a format.
fn list() -> Result<Exit, CliError> {
    let width = Format::ALL.iter().map(|format| format.name().len()).max().unwrap_or_default();
    let mut out = io::stdout().lock();
    for format in Format::ALL {
        let forgeable = if format.is_forgeable() { " (forgeable)" } else { "" };
        match writeln!(out, "{:width$}  {}{forgeable}", format.name(), format.about()) {
            Ok(()) => {}
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(CliError::new(format!("cannot write: {error}"))),
        }
    }
    Ok(Exit::Yes)
}

fn prefix(text: &str) -> Result<Arc<Prefix>, String> {
    let known = Prefix::preset(text).map_or_else(|| Prefix::compile(text), Ok);
    known.map(Arc::new).map_err(|error| error.to_string())
}

fn timezone(name: &str) -> Result<String, String> {
    match jiff::tz::db().get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err("a name of the IANA database, such as Europe/Berlin or UTC".to_owned()),
    }
}
