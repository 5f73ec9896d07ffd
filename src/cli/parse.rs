//! `sealtrail parse`: records on stdout, without state and without a configuration.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use sealtrail::parse::{ParseError, Request, parse};
use sealtrail_parsers::Format;

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
    /// The log's format; without it, told from the log's first bytes.
    #[arg(long, value_name = "NAME", value_parser = format())]
    pub format: Option<Format>,

    /// The zone of times without an offset: the server's log_timezone, an IANA name.
    #[arg(long, value_name = "ZONE", value_parser = timezone)]
    pub timezone: Option<String>,

    /// The log; - is stdin.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

/// Runs it.
pub fn main(args: ParseArgs) -> Result<Exit, CliError> {
    let request = Request {
        path: args.file.display().to_string(),
        format: args.format,
        timezone: args.timezone,
        server: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        record_max_bytes: sealtrail::config::RECORD_MAX_BYTES,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let result = if args.file.as_os_str() == "-" {
        parse(&request, &mut io::stdin().lock(), &mut out)
    } else {
        let mut file = File::open(&args.file).map_err(|error| {
            CliError::new(format!("cannot read {}: {error}", args.file.display()))
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

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>())
}

fn timezone(name: &str) -> Result<String, String> {
    match jiff::tz::db().get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err("a name of the IANA database, such as Europe/Berlin or UTC".to_owned()),
    }
}
