//! Envelopes of Amazon CloudWatch Logs, as a subscription or Firehose delivers them: several rows of a database's log in one object.
//!
//! `{"messageType":"DATA_MESSAGE","owner":…,"logGroup":…,"logStream":…,"subscriptionFilters":[…],"logEvents":[{"id","timestamp","message"}]}`,
//! one behind the other with or without a line end, or packed: `{"awslogs":{"data":"<base64 of gzip>"}}`. What is hard:
//!
//! - What a message is depends on the database. Where the operator does not say, the log group's name does:
//!   `/aws/rds/instance/NAME/postgresql`.
//! - A row may be several messages: the server's DETAIL and STATEMENT, the tables of a statement, what is longer than a message may be. They
//!   may stand in several envelopes of one stream. So an envelope is a piece of what its stream tells, and its rows are those of all
//!   pieces: of the messages one behind the other.
//! - Deliveries come twice and out of order. What begins an envelope goes on a row of the one before only if it was written no earlier.
//! - What is packed may unpack to anything. It is unpacked up to [`UNPACKED_MAX`] and no further.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;

use crate::braces;
use crate::digits;
use crate::inside;
use crate::json::{self, Member, Part, Text, Value as Json};
use crate::members::{self, Members};
use crate::record::{Piece, Record, Span, Value};
use crate::rest::Rest;
use crate::scratch::Room;
use crate::server_audit;
use crate::{Dialect, Format, Framer, Parsed, Scratch, assemble, parse as parse_row, times};

/// CloudWatch delivers at most a megabyte at a time, packed. Text packs to a tenth or so; what unpacks to more than this is no log.
pub const UNPACKED_MAX: u64 = 32 << 20;

/// A message may be so long, in bytes of UTF-8: first 256 KiB, since 2025 1 MiB (`PutLogEvents`). What is longer is cut at these lengths,
/// less the 26 bytes that each message is charged with and what a character takes.
const MESSAGE_MAX: [usize; 2] = [256 << 10, 1 << 20];
const MESSAGE_SPARE: usize = 32;

/// Says what one frame holds. See [`crate::parse`].
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    let object = object(frame);
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between objects" };
    }
    let mut ends = Ends::default();
    let edges = match ends.read(object) {
        Ok(Outside::Control) => return Parsed::Nothing { what: CONTROL },
        Ok(Outside::Plain) => ends.edges(dialect, scratch),
        Ok(Outside::Packed(packed)) => match unpack(packed) {
            Ok(unpacked) => {
                let edges = Edges::of_unpacked(dialect, &unpacked, scratch);
                scratch.unpacked.keep(packed, unpacked);
                edges
            }
            Err(_) => None,
        },
        Err(reason) => return Parsed::Unparsed { reason, retry_at: next_record(frame) },
    };
    let Some(Edges { stream, number, is_last }) = edges else { return Parsed::Several };
    let mut room = scratch.room(stream.len());
    let writer = room.write(|out| {
        out[..stream.len()].copy_from_slice(&stream);
        stream.len()
    });
    Parsed::Piece(Piece { writer, row: 0, number, is_last })
}

/// The rows of an envelope. See [`crate::each`].
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    each_of(dialect, &[frame], scratch, &mut |parsed, _| row(parsed));
}

/// The rows of envelopes of one stream. See [`crate::each_of`].
///
/// So many are looked at together as unpack to [`UNPACKED_MAX`] at most: of a row that goes on behind them, both parts say that they are
/// not whole.
pub fn each_of(dialect: &Dialect, frames: &[&[u8]], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>, Span)) {
    let mut from = 0;
    let mut next = None;
    while from < frames.len() {
        let (mut objects, mut len) = (Vec::new(), 0);
        for frame in &frames[from..] {
            let object = next.take().unwrap_or_else(|| unpacked(object(frame), scratch));
            len += object.as_ref().map_or(0, |object| object.len() as u64);
            if !objects.is_empty() && len > UNPACKED_MAX {
                next = Some(object);
                break;
            }
            objects.push(object);
        }
        let of_these = objects.len();
        let goes_on = from + of_these < frames.len();
        each_of_unpacked(dialect, &objects, goes_on, scratch, &mut |parsed, span| {
            row(parsed, Span { first: from + span.first, last: from + span.last, ..span });
        });
        from += of_these;
    }
}

/// What packed envelopes hold, or why that is not known.
type Objects<'a> = [Result<Cow<'a, [u8]>, &'static str>];

fn each_of_unpacked(
    dialect: &Dialect,
    objects: &Objects<'_>,
    goes_on: bool,
    scratch: &mut Scratch,
    row: &mut dyn FnMut(Parsed<'_>, Span),
) {
    let len = objects.iter().flatten().map(|object| members::room_len(object)).sum();
    let (mut room, scratch) = scratch.room_and_inside(len);
    let mut envelopes = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        let envelope = match object {
            Ok(object) => Envelope::read(object.trim_ascii(), index, &mut room),
            Err(reason) => Err(*reason),
        };
        envelopes.push(envelope);
    }
    let parts = vec![0; objects.len()];
    let mut rows = Rows { dialect, envelopes: &envelopes, parts, is_cut_off: false, scratch, row };
    let mut run: Vec<Event<'_>> = Vec::new();
    for (index, envelope) in envelopes.iter().enumerate() {
        match envelope {
            Ok(Some(envelope)) => {
                if envelope.events.first().is_some_and(|first| !first.may_follow(&run)) {
                    rows.of_run(&std::mem::take(&mut run));
                }
                run.extend_from_slice(&envelope.events);
            }
            other => {
                rows.of_run(&std::mem::take(&mut run));
                let parsed = match other {
                    Err(reason) => Parsed::Unparsed { reason, retry_at: None },
                    Ok(_) => Parsed::Nothing { what: CONTROL },
                };
                (rows.row)(parsed, Span { first: index, last: index, part: 0 });
            }
        }
    }
    rows.is_cut_off = goes_on;
    rows.of_run(&run);
}

/// What a frame's envelope is, taken out of what it is packed in.
fn unpacked<'a>(object: &'a [u8], scratch: &mut Scratch) -> Result<Cow<'a, [u8]>, &'static str> {
    // Most are not packed: whether they are envelopes is seen when they are read.
    if memchr::memmem::find(object, b"\"awslogs\"").is_none() {
        return Ok(Cow::Borrowed(object));
    }
    match Ends::default().read(object)? {
        Outside::Packed(packed) => match scratch.unpacked.take(packed) {
            Some(unpacked) => Ok(Cow::Owned(unpacked)),
            None => unpack(packed).map(Cow::Owned),
        },
        Outside::Plain | Outside::Control => Ok(Cow::Borrowed(object)),
    }
}

/// An envelope's own members, and the first and the last of its events.
#[derive(Default)]
struct Ends<'a> {
    members: Members<'a>,
    first: Option<Raw<'a>>,
    last: Option<Raw<'a>>,
    /// One of the events is none.
    is_wrong: bool,
}

impl<'a> Ends<'a> {
    fn read(&mut self, object: &'a [u8]) -> Result<Outside<'a>, &'static str> {
        let Ends { members, first, last, is_wrong } = self;
        Outside::read(object, members, |event| match event {
            Some(event) if first.is_none() => *first = Some(event),
            Some(event) => *last = Some(event),
            None => *is_wrong = true,
        })
    }

    /// `None` where rows are not known by their beginnings or ends: each message is one.
    fn edges(self, dialect: &Dialect, scratch: &mut Scratch) -> Option<Edges> {
        let first = self.first.filter(|_| !self.is_wrong)?;
        let last = self.last.as_ref().unwrap_or(&first);
        let (mut room, scratch) = scratch.room_and_inside(first.message_len() + last.message_len());
        let (first, last) = (Event::of_message(&first, &mut room)?, Event::of_message(last, &mut room)?);
        let raw = |key| self.members.peek(key).and_then(members::text_of).map_or(&b""[..], |text| text.raw);
        let of_group = inside_of_group(raw("logGroup"), &[first, last]);
        let inside = dialect.inside.as_deref().or(of_group.as_ref())?;
        let (number, is_last) = ends(inside, &first, &last, scratch);
        Some(Edges { stream: [raw("logGroup"), raw("logStream")].join(&0), number, is_last })
    }
}

/// Which piece of its stream an envelope is.
struct Edges {
    /// Its group and stream.
    stream: Vec<u8>,
    /// 1 if it surely begins with a row.
    number: u32,
    is_last: Option<bool>,
}

impl Edges {
    fn of_unpacked(dialect: &Dialect, unpacked: &[u8], scratch: &mut Scratch) -> Option<Self> {
        let mut ends = Ends::default();
        match ends.read(unpacked.trim_ascii()) {
            Ok(Outside::Plain) => ends.edges(dialect, scratch),
            _ => None,
        }
    }
}

/// Whether a row begins with the first message, as the number of its piece, and whether one ends with the last.
fn ends(inside: &Dialect, first: &Event<'_>, last: &Event<'_>, scratch: &mut Scratch) -> (u32, Option<bool>) {
    if !inside::may_be_pieces(inside.format)
        && let Some(starts) = inside::starts(inside, first_line(first.message))
    {
        return (u32::from(starts), None);
    }
    let number = match parse_row(inside, first.message, scratch) {
        Parsed::Piece(piece) => u32::from(piece.number == 1),
        _ => 0,
    };
    let is_last = match parse_row(inside, last.message, scratch) {
        Parsed::Piece(piece) => piece.is_last,
        Parsed::Unparsed { .. } => Some(!last.is_cut()),
        _ => Some(true),
    };
    (number, is_last)
}

/// Where an envelope begins behind the first byte: half of one may run on into a whole one.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let find = |start: &[u8]| braces::next_object(frame, start, |object| Ends::default().read(object).is_ok());
    find(b"{\"messageType\"").or_else(|| find(b"{\"awslogs\""))
}

/// The frame without what stands before the object.
fn object(frame: &[u8]) -> &[u8] {
    let from = memchr::memchr(b'{', frame).unwrap_or(frame.len());
    frame[from..].trim_ascii()
}

/// What an envelope shows before its events are read.
enum Outside<'a> {
    Plain,
    /// In base64.
    Packed(&'a [u8]),
    Control,
}

const CONTROL: &str = "a control message of CloudWatch";
const NO_ENVELOPE: &str = "no messageType and logEvents";

impl<'a> Outside<'a> {
    /// Puts the envelope's own members into `members`, and hands out its events; `None` for one that is none.
    fn read(
        object: &'a [u8],
        members: &mut Members<'a>,
        mut each: impl FnMut(Option<Raw<'a>>),
    ) -> Result<Self, &'static str> {
        let (mut event, mut has_list) = (Raw::default(), false);
        json::members_and_list(object, "logEvents", |part| match part {
            Part::Member(member) => members.add(member),
            Part::List => has_list = true,
            Part::OfElement(member) => event.add(member),
            Part::Element => each(Some(std::mem::take(&mut event)).filter(|event| event.message.is_some())),
            Part::Stray => each(None),
        })?;
        if let Some(packed) = members.peek("awslogs").and_then(packed) {
            return Ok(Outside::Packed(packed));
        }
        match members.peek("messageType").and_then(members::text_of) {
            Some(kind) if kind.raw == b"CONTROL_MESSAGE" => Ok(Outside::Control),
            Some(_) if has_list => Ok(Outside::Plain),
            _ => Err(NO_ENVELOPE),
        }
    }
}

/// What stands under `awslogs`, if it is what a Lambda function gets.
fn packed(awslogs: Json<'_>) -> Option<&[u8]> {
    let Json::Object(object) = awslogs else { return None };
    let mut data = None;
    let read = json::members(object, |member| {
        if member.key == b"data" && data.is_none() {
            data = Some(member.value);
        }
    });
    read.ok().and(data).and_then(members::text_of).map(|text| text.raw)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let packed = STANDARD.decode(packed).map_err(|_| "awslogs.data is no base64")?;
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(packed.as_slice()).take(UNPACKED_MAX + 1).read_to_end(&mut unpacked);
    match read {
        Err(_) => Err("awslogs.data is not whole gzip"),
        Ok(len) if len as u64 > UNPACKED_MAX => Err("awslogs.data unpacks to more than 32 MiB"),
        Ok(_) => Ok(unpacked),
    }
}

/// Hands out rows of several envelopes.
struct Rows<'r, 'a> {
    dialect: &'r Dialect,
    envelopes: &'r [Result<Option<Envelope<'a>>, &'static str>],
    /// Of each envelope, how many rows began in it, or went on in it from the one before.
    parts: Vec<u32>,
    /// What follows these events is not looked at with them.
    is_cut_off: bool,
    scratch: &'r mut Scratch,
    row: &'r mut dyn FnMut(Parsed<'_>, Span),
}

impl Rows<'_, '_> {
    /// The rows of messages that stand one behind the other.
    fn of_run(&mut self, events: &[Event<'_>]) {
        let Some(Ok(Some(envelope))) = events.first().and_then(|first| self.envelopes.get(first.envelope)) else {
            return;
        };
        let of_group = inside_of_group(envelope.group, events);
        let inside = self.dialect.inside.as_deref().or(of_group.as_ref());
        let framer = inside.map(Framer::new);
        match inside {
            Some(inside) if inside::may_be_pieces(inside.format) => {
                let chains = Chains::of(inside, framer.as_ref(), events, self.scratch);
                self.of_chains(inside, events, &chains);
            }
            inside => self.one_by_one(inside, framer.as_ref(), events),
        }
    }

    fn one_by_one(&mut self, inside: Option<&Dialect>, framer: Option<&Framer>, events: &[Event<'_>]) {
        let mut events = events;
        // All rows but the first begin where one was seen to begin.
        let mut has_beginning = match (framer, events.first()) {
            (Some(Framer::Blocks(framer)), Some(first)) => framer.is_start(first_line(first.message)),
            _ => true,
        };
        while !events.is_empty() {
            let (of_row, rest) = events.split_at(row_len(inside, framer, events, self.scratch).clamp(1, events.len()));
            events = rest;
            self.row(inside, of_row, has_beginning && !(self.is_cut_off && events.is_empty()));
            of_row.windows(2).for_each(|pair| self.goes_on(&pair[0], &pair[1]));
            has_beginning = true;
        }
    }

    fn of_chains(&mut self, inside: &Dialect, events: &[Event<'_>], chains: &Chains) {
        let mut of_row = Vec::new();
        for (index, event) in events.iter().enumerate() {
            match chains.before[index].map(|before| &events[before]) {
                Some(before) => self.goes_on(before, event),
                None => {
                    of_row.clear();
                    of_row
                        .extend(std::iter::successors(Some(index), |index| chains.behind[*index]).map(|at| events[at]));
                    self.row(Some(inside), &of_row, true);
                }
            }
        }
    }

    /// What goes on in another envelope has a place there, as it would have alone.
    fn goes_on(&mut self, before: &Event<'_>, event: &Event<'_>) {
        self.parts[event.envelope] += u32::from(before.envelope != event.envelope);
    }

    /// Without its beginning, or with what may not be its end, a row says that it is not all of it.
    fn row(&mut self, inside: Option<&Dialect>, of_row: &[Event<'_>], is_whole: bool) {
        let (Some(first), Some(last)) = (of_row.first(), of_row.last()) else { return };
        let Some(Ok(Some(envelope))) = self.envelopes.get(first.envelope) else { return };
        let (parts, row) = (&mut self.parts, &mut self.row);
        envelope.row(inside, first, of_row, self.scratch, &mut |mut parsed| {
            if let Parsed::Record(record) = &mut parsed
                && !is_whole
            {
                // With four flags already, each says as much against the row.
                let _ = record.flags.try_push("incomplete");
            }
            let part = parts[first.envelope];
            parts[first.envelope] += u32::from(!matches!(parsed, Parsed::Nothing { .. }));
            row(parsed, Span { first: first.envelope, last: last.envelope, part });
        });
    }
}

/// Which events are of one row, where rows say whose pieces they are: others may stand between them.
struct Chains {
    /// For each event the one before it of the same row, and the one behind it.
    before: Vec<Option<usize>>,
    behind: Vec<Option<usize>>,
}

impl Chains {
    fn of(inside: &Dialect, framer: Option<&Framer>, events: &[Event<'_>], scratch: &mut Scratch) -> Self {
        let mut chains = Chains { before: vec![None; events.len()], behind: vec![None; events.len()] };
        let mut open: HashMap<(Vec<u8>, u64), usize> = HashMap::new();
        let mut index = 0;
        while let Some(event) = events.get(index) {
            let Parsed::Piece(piece) = parse_row(inside, event.message, scratch) else {
                let count = row_len(Some(inside), framer, &events[index..], scratch).clamp(1, events.len() - index);
                (index..index + count - 1).for_each(|at| chains.link(at, at + 1));
                index += count;
                continue;
            };
            let row = (piece.writer.to_vec(), piece.row);
            if let Some(before) = open.remove(&row).filter(|_| piece.number != 1) {
                chains.link(before, index);
            }
            if piece.is_last != Some(true) {
                open.insert(row, index);
            }
            index += 1;
        }
        chains
    }

    fn link(&mut self, before: usize, behind: usize) {
        self.behind[before] = Some(behind);
        self.before[behind] = Some(before);
    }
}

/// What a log group of RDS holds, by its name: `/aws/rds/instance/NAME/postgresql`, `/aws/rds/cluster/NAME/audit`.
fn inside_of_group(group: &[u8], events: &[Event<'_>]) -> Option<Dialect> {
    /// RDS gives every server this prefix, unless somebody set another.
    static RDS: LazyLock<Dialect> = LazyLock::new(|| inside::postgres_stderr(Some("%t:%r:%u@%d:[%p]:")));
    let is_rds = || match Framer::new(&RDS) {
        Framer::Blocks(framer) => events.iter().any(|event| framer.is_start(first_line(event.message))),
        _ => false,
    };
    let name = group.strip_prefix(b"/aws/rds/").and_then(|group| group.rsplit(|byte| *byte == b'/').next())?;
    match name {
        b"postgresql" if is_rds() => Some(RDS.clone()),
        b"postgresql" => Some(inside::postgres_stderr(None)),
        // A cluster need not be Aurora's.
        b"audit" => {
            let of_event = events.iter().find_map(|event| server_audit::format_of(event.message));
            Some(of_event.unwrap_or(Format::MariadbAudit).into())
        }
        b"general" => Some(Format::MysqlGeneral.into()),
        _ => None,
    }
}

/// How many of the events are the first one's row, which is no piece: those behind it that begin none.
fn row_len(inside: Option<&Dialect>, framer: Option<&Framer>, events: &[Event<'_>], scratch: &mut Scratch) -> usize {
    let (Some(inside), Some(first)) = (inside, events.first()) else { return 1 };
    let Some(Framer::Blocks(framer)) = framer else {
        let is_cut = first.is_cut() && matches!(parse_row(inside, first.message, scratch), Parsed::Unparsed { .. });
        return if is_cut { 1 + events.iter().take_while(|event| event.is_cut()).count() } else { 1 };
    };
    let goes_on = |event: &&Event<'_>| !framer.is_start(first_line(event.message));
    1 + events[1..].iter().take_while(goes_on).count()
}

/// The text that messages are of one row: lines, or the parts of one that was cut.
fn joined(events: &[Event<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if index > 0 && !events[index - 1].is_cut() {
            text.push(b'\n');
        }
        text.extend_from_slice(event.message);
    }
    text
}

fn first_line(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', text).map_or(text.len(), |feed| feed + 1);
    &text[..end]
}

struct Envelope<'a> {
    group: &'a [u8],
    events: Vec<Event<'a>>,
    /// What it says of all its events.
    common: Record<'a>,
}

/// One `logEvents[]`.
#[derive(Debug, Clone, Copy)]
struct Event<'a> {
    /// Of which frame.
    envelope: usize,
    id: Option<&'a [u8]>,
    time: Option<i64>,
    message: &'a [u8],
    other: Option<Value<'a>>,
}

impl<'a> Envelope<'a> {
    /// `None` of a control message. Needs [`members::room_len`].
    fn read(object: &'a [u8], index: usize, room: &mut Room<'a>) -> Result<Option<Self>, &'static str> {
        let (mut members, mut events, mut is_wrong) = (Members::default(), Vec::new(), false);
        let outside =
            Outside::read(object, &mut members, |event| match event.and_then(|event| event.unescaped(index, room)) {
                Some(event) => events.push(event),
                None => is_wrong = true,
            })?;
        match outside {
            Outside::Control => return Ok(None),
            Outside::Packed(_) => return Err(NO_ENVELOPE),
            Outside::Plain if is_wrong => return Err("one of the logEvents has no message"),
            Outside::Plain => {}
        }
        let kind = members.text("messageType", room).ok_or(NO_ENVELOPE)?;
        let group = members.peek("logGroup").and_then(members::text_of).map_or(&b""[..], |text| text.raw);
        let mut common = Record::default();
        if kind != b"DATA_MESSAGE" {
            inside::add(&mut common, "messageType", Some(kind));
        }
        const NAMES: [(&str, &str); 4] = [
            ("owner", "owner"),
            ("logGroup", "logGroup"),
            ("logStream", "logStream"),
            ("subscriptionFilters", "subscriptionFilters"),
        ];
        members.keep(&NAMES, &mut common, room);
        members.keep_rest("envelope", &mut common, room);
        Ok(Some(Envelope { group, events, common }))
    }

    /// Hands out the row or rows that these events are.
    fn row(
        &self,
        inside: Option<&Dialect>,
        first: &Event<'_>,
        events: &[Event<'_>],
        scratch: &mut Scratch,
        row: &mut dyn FnMut(Parsed<'_>),
    ) {
        let mut ids = Vec::new();
        let ids = match events {
            [only] => only.id,
            all => {
                all.iter().filter_map(|event| event.id).for_each(|id| {
                    ids.extend_from_slice(if ids.is_empty() { b"" } else { b"," });
                    ids.extend_from_slice(id);
                });
                Some(ids.as_slice())
            }
        };
        let mut hand_out = |parsed: Parsed<'_>| match parsed {
            Parsed::Record(record) => {
                let mut of_time = Scratch::new();
                let mut record = record;
                match (record.time, first.time) {
                    (b"", Some(ms)) => record.time = times::of_unix_ms(ms, &mut of_time.room(times::TIME_MAX)),
                    (_, ms) => add_value(&mut record, "logEvents.timestamp", ms.map(Value::Int)),
                }
                inside::add(&mut record, "logEvents.id", ids);
                add_value(&mut record, "logEvents.other", first.other);
                self.common.extra.iter().for_each(|(name, value)| add_value(&mut record, name, Some(*value)));
                row(Parsed::Record(record));
            }
            Parsed::Unparsed { reason, .. } => row(Parsed::Unparsed { reason, retry_at: None }),
            other => row(other),
        };
        match (inside, events) {
            (_, [only]) => inside::each_row(inside, only.message, scratch, &mut hand_out),
            (Some(inside), pieces) if inside::is_piece(inside, first.message, scratch) => {
                let pieces: Vec<_> = pieces.iter().map(|event| event.message).collect();
                hand_out(assemble(inside, &pieces, true, scratch));
            }
            (inside, lines) => inside::each_row(inside, &joined(lines), scratch, &mut hand_out),
        }
    }
}

/// One `logEvents[]` as it stands.
#[derive(Default)]
struct Raw<'a> {
    message: Option<Text<'a>>,
    id: Option<Json<'a>>,
    time: Option<i64>,
    rest: Rest<'a>,
}

impl<'a> Raw<'a> {
    fn add(&mut self, member: Member<'a>) {
        match (member.key, member.value) {
            (b"message", Json::Text(text)) if self.message.is_none() => self.message = Some(text),
            (b"id", value @ (Json::Text(_) | Json::Int(_))) if self.id.is_none() => self.id = Some(value),
            (b"timestamp", value) if self.time.is_none() && members::int_of(value).is_some() => {
                self.time = members::int_of(value);
            }
            (_, value) if members::is_null(value) => {}
            _ => self.rest.push(member.raw),
        }
    }

    fn message_len(&self) -> usize {
        self.message.map_or(0, |text| text.raw.len())
    }

    /// Needs as much room as its object is long, and a number more.
    fn unescaped(&self, envelope: usize, room: &mut Room<'a>) -> Option<Event<'a>> {
        let message = self.message?.unescaped(room);
        let id = match self.id {
            Some(Json::Text(text)) if !text.raw.is_empty() => Some(text.unescaped(room)),
            Some(Json::Int(number)) => Some(digits::in_room(number, room)),
            _ => None,
        };
        let other = self.rest.joined(room).map(Value::Text);
        Some(Event { envelope, id, time: self.time, message, other })
    }
}

impl<'a> Event<'a> {
    /// All that tells where rows begin and end.
    fn of_message(raw: &Raw<'a>, room: &mut Room<'a>) -> Option<Self> {
        let message = raw.message?.unescaped(room);
        Some(Event { envelope: 0, id: None, time: None, message, other: None })
    }

    /// Whether it is as long as a message may be: then the row goes on in the next.
    fn is_cut(&self) -> bool {
        MESSAGE_MAX.iter().any(|most| (most - MESSAGE_SPARE..=*most).contains(&self.message.len()))
    }

    /// Whether it may belong to the same row as the last of these, of another envelope: it is no older, and is none of them again.
    fn may_follow(&self, events: &[Event<'_>]) -> bool {
        let last = events.last().and_then(|last| last.time);
        let is_again = self.id.is_some() && events.iter().any(|event| event.id == self.id);
        !is_again && last.zip(self.time).is_none_or(|(last, time)| last <= time)
    }
}

fn add_value<'a>(record: &mut Record<'a>, name: &'static str, value: Option<Value<'a>>) {
    if let Some(value) = value {
        let _ = record.extra.try_push((name, value));
    }
}
