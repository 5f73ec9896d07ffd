//! `sealtrail parse`: records on stdout, without state, config or seal.
//!
//! The same frames, meaning and bytes as in the trail; only the order of work is that of a pipe.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Detection, Format, detect, packed};

use crate::clock::HostClock;
use crate::config::plan::{AgentPlan, QuietAfter, SourcePlan, StartAt};
use crate::event::{self, Origin};
use crate::frames::Frames;
use crate::health::SourceHealth;
use crate::held::Held;
use crate::intake::{Chosen, GivenUp, Intake, Taken};
use crate::journal::write::Block;
use crate::limits::{BLOCK_BYTES_MAX, DETECT_BYTES_MAX, HEAD_BYTES_MAX, READ_BYTES};
use crate::redact::Redact;
use crate::redact::hash::HashKey;
use crate::shape::{Classify, Tally};
use crate::tail::identity::first_line;

/// What to parse and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// For `at.file`.
    pub path: String,
    /// `None`: detect it.
    pub format: Option<Format>,
    /// What `format` carries, where it only carries rows of another; `None`: told from what carries them.
    pub inside: Option<Format>,
    /// The server's `log_line_prefix`, for PostgreSQL's text formats; `None`: told from the beginning.
    pub prefix: Option<Arc<Prefix>>,
    /// The zone in which the server wrote.
    pub timezone: Option<String>,
    /// Stands in `server`.
    pub server: String,
    /// Of a record larger than this, the first and last bytes are kept.
    pub record_max_bytes: usize,
}

/// How many rows there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub rows: u64,
    /// Those that could not be understood.
    pub unparsed: u64,
    /// By category, and by where their fields came from.
    pub tally: Tally,
}

/// Why there is no parsing it.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The input cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Its name.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the records")]
    Write(#[source] io::Error),
    /// The format is not known and cannot be told.
    #[error("cannot tell the format of {path}: {reason}")]
    Format {
        /// The input's name.
        path: String,
        /// What it looks like.
        reason: String,
    },
    /// It is packed in a way that is not unpacked here.
    #[error("cannot tell the format of {path}: {how}")]
    Packed {
        /// The input's name.
        path: String,
        /// How it is packed.
        how: &'static str,
    },
}

/// By what rows lose what must not leave the host.
#[derive(Debug, Clone, Copy)]
pub struct By<'b> {
    /// What is asked for beside secrets.
    pub redact: &'b Redact,
    /// For hashes of literals.
    pub key: Option<&'b HashKey>,
    /// The source whose rules hold.
    pub source: &'b str,
}

/// Writes a line for every row of `input`.
pub fn parse(request: &Request, input: &mut impl Read, out: &mut impl Write) -> Result<Counts, ParseError> {
    parse_by(request, By { redact: &Redact::default(), key: None, source: SOURCE }, input, out)
}

/// The same with what a configuration takes out of rows.
pub fn parse_by(
    request: &Request,
    by: By<'_>,
    input: &mut impl Read,
    out: &mut impl Write,
) -> Result<Counts, ParseError> {
    let counts = each(request, intake(request, by), input, &mut |intake| {
        out.write_all(&intake.block.lines).map_err(ParseError::Write)
    })?;
    out.flush().map_err(ParseError::Write)?;
    Ok(counts)
}

/// Takes the lines of a block, and what chose the category of each.
pub(crate) type Take<'t> = dyn FnMut(&Block, &[Chosen]) -> Result<(), ParseError> + 't;

/// Hands out the lines of all rows of `input`, block by block, with what chose each line's category.
pub(crate) fn each_block(request: &Request, input: &mut impl Read, take: &mut Take<'_>) -> Result<Counts, ParseError> {
    let mut intake = intake(request, By { redact: &Redact::default(), key: None, source: SOURCE });
    intake.chosen = Some(Vec::new());
    each(request, intake, input, &mut |intake| take(&intake.block, intake.chosen.as_deref().unwrap_or_default()))
}

/// Hands out the rows of `input` out of which something is taken.
pub(crate) fn each_taken(
    request: &Request,
    by: By<'_>,
    input: &mut impl Read,
    take: &mut dyn FnMut(&Taken) -> Result<(), ParseError>,
) -> Result<Counts, ParseError> {
    let mut intake = intake(request, by);
    intake.taken = Some(Vec::new());
    each(request, intake, input, &mut |intake| intake.taken.iter().flatten().try_for_each(&mut *take))
}

/// Is shown each block before it is forgotten.
type Look<'l> = dyn FnMut(&Intake) -> Result<(), ParseError> + 'l;

fn each(
    request: &Request,
    mut intake: Intake,
    input: &mut impl Read,
    look: &mut Look<'_>,
) -> Result<Counts, ParseError> {
    let mut frames = Frames::new(0, Vec::new());
    let mut held = Held::default();
    let health = SourceHealth::default();
    let mut counts = Counts::default();
    let mut id: Option<String> = None;
    let mut origin: Option<Arc<Origin>> = None;
    let mut end = false;
    while !end {
        end = read(request, input, &mut frames)? == 0;
        id = id.or_else(|| file_id(&frames, end));
        if let (None, Some(id)) = (&origin, &id) {
            origin = identify(request, &intake, &mut frames, id, end)?.map(Arc::new);
        }
        let Some(origin) = &origin else { continue };
        frames.forget();
        while intake.take(0, origin, &mut frames, &mut held, end, BLOCK_BYTES_MAX, &health) > 0 {
            hand_out(&mut intake, look)?;
        }
        while end && !held.is_empty() {
            intake.give_up(0, &mut held, GivenUp::OfFile(origin.file), BLOCK_BYTES_MAX, &health);
            hand_out(&mut intake, look)?;
        }
        intake.begun_elsewhere.clear();
        let rows = &intake.block.rows;
        counts = Counts { rows: rows.read, unparsed: rows.unparsed, tally: *intake.tally_of(0) };
    }
    Ok(counts)
}

fn hand_out(intake: &mut Intake, look: &mut Look<'_>) -> Result<(), ParseError> {
    look(intake)?;
    intake.block.lines.clear();
    intake.chosen.iter_mut().for_each(Vec::clear);
    intake.taken.iter_mut().for_each(Vec::clear);
    Ok(())
}

fn read(request: &Request, input: &mut impl Read, frames: &mut Frames) -> Result<usize, ParseError> {
    let read = frames.fill(READ_BYTES, |room, _| read_some(input, room));
    read.map_err(|source| ParseError::Read { path: request.path.clone(), source })
}

fn read_some(input: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn file_id(frames: &Frames, end: bool) -> Option<String> {
    let head = frames.front(HEAD_BYTES_MAX);
    let line = first_line(head).or_else(|| Some(head).filter(|_| end && !head.is_empty()))?;
    Some(event::file_id(SOURCE, line, 0))
}

/// What its rows share, once there is enough of it to tell the format.
fn identify(
    request: &Request,
    intake: &Intake,
    frames: &mut Frames,
    id: &str,
    end: bool,
) -> Result<Option<Origin>, ParseError> {
    frames.pass_zeros();
    let head = frames.front(DETECT_BYTES_MAX);
    let format = match request.format {
        Some(format) => format,
        None => match detect(head, end || head.len() >= DETECT_BYTES_MAX) {
            Detection::Known(format) => format,
            Detection::NeedMore => return Ok(None),
            Detection::Unknown { reason } => {
                let path = request.path.clone();
                return Err(match packed(head) {
                    Some(how) => ParseError::Packed { path, how },
                    None => ParseError::Format { path, reason: reason.to_owned() },
                });
            }
        },
    };
    let dialect = source(request).dialect(format, head);
    frames.set_dialect(dialect.clone(), true);
    Ok(Some(intake.new_origin(0, id, dialect, &request.path)))
}

/// What a log counts as that no source has.
pub const SOURCE: &str = "parse";

fn intake(request: &Request, by: By<'_>) -> Intake {
    let agent = AgentPlan {
        name: request.server.clone(),
        origin: String::new(),
        state_dir: std::path::PathBuf::new(),
        journal_max_bytes: 0,
        record_max_bytes: request.record_max_bytes,
        poll_interval: Duration::ZERO,
    };
    let source = SourcePlan { name: by.source.to_owned(), ..source(request) };
    let mut intake = Intake::new(Arc::new(HostClock), &agent, &Classify::default(), by.redact, &[source]);
    if let Some(key) = by.key {
        intake.hash_by(by.redact, key);
    }
    intake
}

fn source(request: &Request) -> SourcePlan {
    SourcePlan {
        name: SOURCE.to_owned(),
        paths: Vec::new(),
        exclude: Vec::new(),
        format: request.format,
        prefix: request.prefix.clone(),
        inside: request.inside,
        start_at: StartAt::Beginning,
        timezone: request.timezone.clone(),
        quiet_after: QuietAfter::Off,
        labels: std::collections::BTreeMap::new(),
    }
}
