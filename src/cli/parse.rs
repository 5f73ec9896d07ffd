//! `sealtrail parse`: records on stdout, without state and without a configuration.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValue, TypedValueParser};

use sealtrail::config::format_name::{self, FormatName, Read as Named, Wrong};
use sealtrail::parse::{ParseError, Request, parse};
use sealtrail::tail::packed::unpacked;
use sealtrail_parsers::Format;
use sealtrail_parsers::postgres_prefix::Prefix;

use super::{CliError, Exit, print, print_json};

/// Print a log as records, one JSON object a line
///
/// Reads one audit log and prints the records that run would seal. Needs no configuration, keeps no state, and
/// changes nothing: the quickest way to see how your own log reads. A row that cannot be understood is printed as well,
/// with its bytes and the reason.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail parse /var/log/postgresql/postgresql.csv\n  \
    sealtrail parse --timezone Europe/Berlin old.csv | jq 'select(.action == \"GRANT\")'\n  \
    sealtrail parse postgresql.json.1.gz\n  \
    sealtrail parse --stats server_audit.log\n\n\
    Exit codes:\n  \
    0  every row was understood\n  \
    1  some were not, or there is none\n  \
    2  the file cannot be read, or its format cannot be told")]
pub struct ParseArgs {
    /// The log's format; without it, told from the log's first bytes. `list` prints all of them. What a carrier holds stands behind a
    /// plus: cri+postgres-csvlog.
    #[arg(long, value_name = "NAME", value_parser = FormatParser { and: &[LIST] }, hide_possible_values = true)]
    pub format: Option<Named>,

    /// The server's log_line_prefix, or the name of one that is known (debian, rds, …): for PostgreSQL's stderr and syslog formats.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub log_line_prefix: Option<Arc<Prefix>>,

    /// The zone of times without an offset: the server's log_timezone, an IANA name.
    #[arg(long, value_name = "ZONE", value_parser = timezone)]
    pub timezone: Option<String>,

    /// Instead of the records: how many there are by category, and where their user, action, time and resource come from.
    #[arg(long)]
    pub stats: bool,

    /// With --stats: for a machine.
    #[arg(long, requires = "stats")]
    pub json: bool,

    /// The log, compressed with gzip, zstd or xz or not; - is stdin.
    #[arg(value_name = "FILE|-", required_unless_present = "format")]
    pub file: Option<PathBuf>,
}

/// Runs it.
pub fn main(args: ParseArgs) -> Result<Exit, CliError> {
    let format = match args.format {
        Some(Named::Other) => return list(),
        Some(Named::Format(format)) => Some(format),
        None => None,
    };
    let Some(file) = args.file else {
        return Err(CliError::new("no file to parse").hint("a file that you may read, or - for stdin"));
    };
    let asked = Asked { format, prefix: args.log_line_prefix, timezone: args.timezone };
    let request = asked.request(&file);
    let mut input = open(&file)?;
    let counts = if args.stats {
        parse(&request, &mut input, &mut io::sink())
    } else {
        parse(&request, &mut input, &mut BufWriter::new(io::stdout().lock()))
    };
    let counts = match counts {
        Ok(counts) => counts,
        Err(error) => return failed(error),
    };
    match (args.stats, args.json) {
        (true, true) => print_json(&counts.tally.json())?,
        (true, false) => print(&counts.tally.table())?,
        (false, _) => {}
    }
    Ok(if counts.rows > 0 && counts.unparsed == 0 { Exit::Yes } else { Exit::No })
}

/// How the log is to be read.
pub(super) struct Asked {
    pub format: Option<FormatName>,
    pub prefix: Option<Arc<Prefix>>,
    pub timezone: Option<String>,
}

impl Asked {
    pub(super) fn request(self, file: &Path) -> Request {
        Request {
            path: file.display().to_string(),
            format: self.format.map(|name| name.format),
            inside: self.format.and_then(|name| name.inside),
            prefix: self.prefix,
            timezone: self.timezone,
            server: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            record_max_bytes: sealtrail::config::RECORD_MAX_BYTES,
        }
    }
}

/// The log, or stdin; unpacked where it is compressed.
pub(super) fn open(file: &Path) -> Result<Box<dyn Read + Send>, CliError> {
    let opened: io::Result<Box<dyn Read + Send>> = match file.as_os_str() == "-" {
        true => Ok(Box::new(io::stdin())),
        false => File::open(file).map(|file| Box::new(file) as _),
    };
    opened.and_then(unpacked).map_err(|error| {
        CliError::new(format!("cannot read {}: {error}", file.display()))
            .hint("a file that you may read, or - for stdin")
    })
}

/// What a log that could not be read to its end is to the caller.
pub(super) fn failed(error: ParseError) -> Result<Exit, CliError> {
    match error {
        // Whoever reads has seen enough (`| head`).
        ParseError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Yes),
        error @ ParseError::Packed { .. } => {
            Err(CliError::caused(&error)
                .hint("unpack it, and give what it holds to standard input: … | sealtrail parse -"))
        }
        error @ ParseError::Format { .. } => Err(CliError::caused(&error).hint("say it with --format NAME")),
        error => Err(CliError::caused(&error)),
    }
}

const LIST: &str = "list";

/// Reads a format's name, or one of `and`; completions offer all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatParser {
    pub and: &'static [&'static str],
}

impl TypedValueParser for FormatParser {
    type Value = Named;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Named, clap::Error> {
        let read = |word: &str| -> Result<Named, Wrong> { format_name::read(word, self.and) };
        TypedValueParser::parse_ref(&read, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = Format::ALL.map(Format::name).into_iter().chain(self.and.iter().copied());
        Some(Box::new(names.map(PossibleValue::new)))
    }
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

pub(super) fn prefix(text: &str) -> Result<Arc<Prefix>, String> {
    let known = Prefix::preset(text).map_or_else(|| Prefix::compile(text), Ok);
    known.map(Arc::new).map_err(|error| error.to_string())
}

pub(super) fn timezone(name: &str) -> Result<String, String> {
    match jiff::tz::db().get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err("a name of the IANA database, such as Europe/Berlin or UTC".to_owned()),
    }
}
