//! Envelopes of Amazon CloudWatch Logs, as a subscription or Firehose delivers them: several rows of a database's log in one object.
//!
//! `{"messageType":"DATA_MESSAGE","owner":…,"logGroup":…,"logStream":…,"subscriptionFilters":[…],"logEvents":[{"id","timestamp","message"}]}`,
//! one behind the other with or without a line end, or packed: `{"awslogs":{"data":"<base64 of gzip>"}}`. What is hard:
//!
//! - What a message is depends on the database. Where the operator does not say, the log group's name does:
//!   `/aws/rds/instance/NAME/postgresql`.
//! - A row may be several messages: the server's DETAIL and STATEMENT, the tables of a statement. Those of one envelope are joined.
//! - What is packed may unpack to anything. It is unpacked up to [`UNPACKED_MAX`] and no further.

use std::io::Read;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;

use crate::braces;
use crate::inside;
use crate::json::{self, Value as Json};
use crate::members::{self, Members};
use crate::record::{Act, Record, Value};
use crate::scratch::Room;
use crate::server_audit;
use crate::{Dialect, Format, Framer, Parsed, Scratch, assemble, parse as parse_row, times};

/// CloudWatch delivers at most a megabyte at a time, packed. Text packs to a tenth or so; what unpacks to more than this is no log.
pub const UNPACKED_MAX: u64 = 32 << 20;

/// Says what one frame holds. See [`crate::parse`].
pub fn parse(frame: &[u8]) -> Parsed<'_> {
    let object = object(frame);
    if object.is_empty() {
        return Parsed::Nothing { what: "what stands between objects" };
    }
    match Outside::of(object) {
        Ok(Outside::Control) => Parsed::Nothing { what: CONTROL },
        Ok(Outside::Packed(_) | Outside::Plain) => Parsed::Several,
        Err(reason) => Parsed::Unparsed { reason, retry_at: next_record(frame) },
    }
}

/// The rows of an envelope. See [`crate::each`].
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let object = object(frame);
    match Outside::of(object) {
        Ok(Outside::Packed(packed)) => match unpack(packed) {
            Ok(unpacked) => rows(dialect, unpacked.trim_ascii(), scratch, row),
            Err(reason) => row(Parsed::Unparsed { reason, retry_at: None }),
        },
        Ok(Outside::Plain) => rows(dialect, object, scratch, row),
        Ok(Outside::Control) => row(Parsed::Nothing { what: CONTROL }),
        Err(reason) => row(Parsed::Unparsed { reason, retry_at: None }),
    }
}

/// Where an envelope begins behind the first byte: half of one may run on into a whole one.
pub(crate) fn next_record(frame: &[u8]) -> Option<usize> {
    let find = |start: &[u8]| braces::next_object(frame, start, |object| Outside::of(object).is_ok());
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
    fn of(object: &'a [u8]) -> Result<Self, &'static str> {
        let mut members = Members::read(object)?;
        if let Some(packed) = members.members("awslogs").peek("data").and_then(members::text_of) {
            return Ok(Outside::Packed(packed.raw));
        }
        match members.peek("messageType").and_then(members::text_of) {
            Some(kind) if kind.raw == b"CONTROL_MESSAGE" => Ok(Outside::Control),
            Some(_) if members.has("logEvents") => Ok(Outside::Plain),
            _ => Err(NO_ENVELOPE),
        }
    }
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

fn rows(dialect: &Dialect, object: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    let (mut room, scratch) = scratch.room_and_inside(members::room_len(object));
    let envelope = match Envelope::read(object, &mut room) {
        Ok(Some(envelope)) => envelope,
        Ok(None) => return row(Parsed::Nothing { what: CONTROL }),
        Err(reason) => return row(Parsed::Unparsed { reason, retry_at: None }),
    };
    let of_group = inside_of_group(envelope.group, &envelope.events);
    let inside = dialect.inside.as_deref().or(of_group.as_ref());
    let framer = inside.map(Framer::new);
    let mut events = envelope.events.as_slice();
    while let Some(first) = events.first() {
        let count = row_len(inside, framer.as_ref(), events, scratch);
        let (of_row, rest) = events.split_at(count.clamp(1, events.len()));
        events = rest;
        envelope.row(inside, first, of_row, scratch, row);
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

/// How many of the events are the first one's row: those behind it that begin none, or the other pieces of the same row.
fn row_len(inside: Option<&Dialect>, framer: Option<&Framer>, events: &[Event<'_>], scratch: &mut Scratch) -> usize {
    let (Some(inside), Some(first)) = (inside, events.first()) else { return 1 };
    let piece = |event: &Event<'_>, scratch: &mut Scratch| match parse_row(inside, event.message, scratch) {
        Parsed::Piece(piece) => Some((piece.writer.to_vec(), piece.row, piece.is_last)),
        _ => None,
    };
    if inside::may_be_pieces(inside.format)
        && let Some((writer, row, mut is_last)) = piece(first, scratch)
    {
        let mut count = 1;
        while is_last != Some(true)
            && let Some((next_writer, next_row, next_last)) = events.get(count).and_then(|event| piece(event, scratch))
            && next_writer == writer
            && next_row == row
        {
            is_last = next_last;
            count += 1;
        }
        return count;
    }
    let Some(Framer::Blocks(framer)) = framer else { return 1 };
    let goes_on = |event: &&Event<'_>| !framer.is_start(first_line(event.message));
    1 + events[1..].iter().take_while(goes_on).count()
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
struct Event<'a> {
    id: Option<&'a [u8]>,
    time: Option<i64>,
    message: &'a [u8],
    other: Option<Value<'a>>,
}

impl<'a> Envelope<'a> {
    /// `None` of a control message. Needs [`members::room_len`].
    fn read(object: &'a [u8], room: &mut Room<'a>) -> Result<Option<Self>, &'static str> {
        let mut members = Members::read(object)?;
        let kind = members.text("messageType", room).ok_or(NO_ENVELOPE)?;
        if kind == b"CONTROL_MESSAGE" {
            return Ok(None);
        }
        let listed = members.array("logEvents").ok_or(NO_ENVELOPE)?;
        let (mut events, mut is_wrong) = (Vec::new(), false);
        json::elements(listed, |element| match element {
            Json::Object(object) => match Event::of(object, room) {
                Some(event) => events.push(event),
                None => is_wrong = true,
            },
            _ => is_wrong = true,
        })?;
        if is_wrong {
            return Err("one of the logEvents has no message");
        }
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
        let messages: Vec<_> = events.iter().map(|event| event.message).collect();
        match (inside, messages.as_slice()) {
            (_, [only]) => inside::each_row(inside, only, scratch, &mut hand_out),
            (Some(inside), pieces) if inside::is_piece(inside, first.message, scratch) => {
                hand_out(assemble(inside, pieces, true, scratch));
            }
            (inside, lines) => inside::each_row(inside, &lines.join(&b'\n'), scratch, &mut hand_out),
        }
    }
}

impl<'a> Event<'a> {
    fn of(object: &'a [u8], room: &mut Room<'a>) -> Option<Self> {
        let mut members = Members::read(object).ok()?;
        let message = members.peek("message").and_then(members::text_of)?.unescaped(room);
        members.drop("message");
        let mut kept = Record { act: Act::Message, ..Record::default() };
        let (id, time) = (members.word("id", room), members.int("timestamp"));
        members.keep_rest("other", &mut kept, room);
        let other = kept.extra.iter().next().map(|(_, value)| *value);
        Some(Event { id, time, message, other })
    }
}

fn add_value<'a>(record: &mut Record<'a>, name: &'static str, value: Option<Value<'a>>) {
    if let Some(value) = value {
        let _ = record.extra.try_push((name, value));
    }
}
