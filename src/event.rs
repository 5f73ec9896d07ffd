//! An event's line: the bytes that are sealed.
//!
//! `docs/record.md` says what each field means. A line depends only on the row, its file and the plan, never on its place in the
//! trail, so that the same row read again gives the same line. The one exception is the time of a row that has none of its own:
//! `previous-row` and `agent-clock` depend on when it was read, and `time_source` says so. Fields are written in the order of
//! that document.

mod told;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealtrail_parsers::{Act, Dialect, Format, Parameters, Record, Statement, Status, Value};
use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::json;
use crate::redact::Rules;
use crate::sessions::numbered::{self, FileId};
use crate::shape::readings::hash;
use crate::shape::{Known, Meaning, UtcTime, authentication};
pub use told::is_harmless;

/// What all rows of one file share, encoded once.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The format of its rows.
    pub format: Format,
    /// How they are parsed.
    pub dialect: Dialect,
    /// The file's id.
    pub file: FileId,
    /// Where it was last seen; lossy where it is not UTF-8.
    pub path: String,
    /// Which log it is, by its path: files that follow each other when one is rotated have it in common, and those of two servers have not.
    pub log: u64,
    /// The same as text: what a record's `id` begins with.
    file_id: String,
    /// `"engine":…,"server":…,"source":…,"format":…`.
    identity: Vec<u8>,
    /// `,"labels":{…}` or nothing.
    labels: Vec<u8>,
    /// `,"at":{"file":…,"offset":`.
    at: Vec<u8>,
}

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Of its first byte.
    pub offset: u64,
    /// Of the original bytes, its terminator included.
    pub length: u64,
    /// Which of the rows in these bytes, from 0.
    pub part: u32,
}

impl Place {
    /// Of bytes that hold one row.
    pub fn new(offset: u64, length: u64) -> Self {
        Place { offset, length, part: 0 }
    }
}

/// Where a row, or a piece of one, stands.
#[derive(Debug, Clone, Copy)]
pub struct At<'e> {
    /// In which file.
    pub origin: &'e Arc<Origin>,
    /// Where in it.
    pub place: Place,
}

impl Origin {
    /// The file's id, as text.
    pub fn file_id(&self) -> &str {
        &self.file_id
    }

    /// `path` is lossy where it is not UTF-8.
    pub fn new(
        file_id: &str,
        dialect: Dialect,
        server: &str,
        source: &str,
        path: &str,
        labels: &[(String, String)],
    ) -> Self {
        let format = dialect.format;
        let mut identity = Vec::new();
        for (name, value) in
            [("engine", format.engine()), ("server", server), ("source", source), ("format", format.name())]
        {
            identity.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json::string(&mut identity, value.as_bytes());
        }
        let mut at = b",\"at\":{\"file\":".to_vec();
        json::string(&mut at, path.as_bytes());
        at.extend_from_slice(b",\"offset\":");
        let file = numbered::file_id(file_id).unwrap_or_default();
        Origin {
            format,
            dialect,
            file,
            path: path.to_owned(),
            log: hash(log_of(path).as_bytes()),
            file_id: file_id.to_owned(),
            identity,
            labels: encoded_labels(labels),
            at,
        }
    }
}

/// The path up to the first dot of the file's name.
fn log_of(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].find('.').unwrap_or(path.len() - name);
    &path[..name + dot]
}

fn encoded_labels(labels: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"labels\":{" } else { b"," });
        json::string(&mut out, name.as_bytes());
        out.push(b':');
        json::string(&mut out, value.as_bytes());
    }
    if !labels.is_empty() {
        out.push(b'}');
    }
    out
}

/// A row with all that is known of it.
pub struct Event<'e> {
    /// What its file's rows share.
    pub origin: &'e Origin,
    /// Where it stands.
    pub place: Place,
    /// Its original bytes without its secrets, or what was parsed of them: kept in base64 where they are not UTF-8.
    pub frame: &'e [u8],
    /// Its original bytes are UTF-8.
    pub valid: bool,
    /// What it says.
    pub record: &'e Record<'e>,
    /// What earlier rows of its session tell of it.
    pub known: Known<'e>,
    /// Who it was: fields of the line, as [`crate::identity`] writes them. Empty where nobody asks.
    pub who: &'e [u8],
    /// What that means.
    pub meaning: Meaning<'e>,
    /// When it happened.
    pub time: UtcTime,
    /// When its session began; `None` where the row does not say, or not in a form that is a time.
    pub session_start: Option<UtcTime>,
    /// What took something out of it.
    pub redacted: Rules,
    /// How the configuration's own patterns are called.
    pub patterns: &'e [String],
    /// The whole of it, where it is larger than a record may be.
    pub oversize: Option<&'e Oversize<'e>>,
    /// Where its pieces stand, where it was made of several. The first of them stands where the row does.
    pub pieces: &'e [At<'e>],
}

/// A row of which only the first and the last bytes were kept.
#[derive(Debug, Clone, Copy)]
pub struct Oversize<'o> {
    /// In bytes, its terminator included.
    pub length: u64,
    /// Over all of it.
    pub sha256: [u8; 32],
    /// Its first bytes.
    pub head: &'o [u8],
    /// Its last bytes.
    pub tail: &'o [u8],
}

/// Writes one event as a line, newline included.
pub fn write(out: &mut Vec<u8>, event: &Event<'_>) {
    let Event {
        origin,
        place,
        frame,
        valid,
        record,
        known,
        who,
        meaning,
        time,
        session_start,
        redacted,
        patterns,
        oversize,
        pieces,
    } = event;
    let (place, session_start) = (*place, session_start.as_ref());
    let valid = *valid;
    // What stands in a row among several may have been decoded from other bytes than these.
    let mut line = Line { out, utf8: valid && !origin.format.is_decoded(), valid };
    line.head(origin, place, time);
    line.text("user", meaning.user.value);
    line.maybe_text("acting_as", known.acting_as);
    line.out.extend_from_slice(who);
    line.text("action", &meaning.action.value);
    line.resource(meaning);
    line.resources(record, meaning);
    line.outcome(record);
    line.refers_to(known);
    line.raw(",\"category\":\"");
    line.raw(meaning.category.name());
    line.raw(if meaning.admin { "\",\"admin\":true" } else { "\",\"admin\":false" });
    line.raw(if meaning.break_glass { ",\"break_glass\":true" } else { "" });
    line.told(meaning);
    line.out.extend_from_slice(&origin.identity);
    line.maybe_text("database", record.database);
    line.client(record);
    line.authentication(record, known);
    line.session(record, session_start, session_length_ms(record, known, time));
    line.statement(record, meaning);
    line.derived(record, meaning);
    line.redacted(*redacted, patterns);
    let added = [oversize.map(|_| "oversize"), meaning.audit_tampering.then_some("audit_tampering")];
    line.flags(record.flags.iter().copied().chain(added.into_iter().flatten()));
    line.out.extend_from_slice(&origin.labels);
    line.extra(record, time);
    match oversize {
        // Its texts are in the fields.
        Some(oversize) if valid => line.oversize(oversize, |_| ()),
        Some(oversize) => line.oversize(oversize, |line| line.ends(oversize)),
        None if valid || place.part > 0 => {}
        None => line.bytes("raw", frame),
    }
    line.at(origin, place, pieces);
}

/// Why bytes are no row, and what was done about them.
#[derive(Debug, Clone, Copy)]
pub struct Unparsed<'u> {
    /// For a person.
    pub reason: &'static str,
    /// `damaged`, `oversize`, `unparsed`, `zeros`.
    pub flags: &'u [&'static str],
    /// The bytes themselves.
    pub kept: Kept<'u>,
}

/// What is kept of bytes that are no row.
#[derive(Debug, Clone, Copy)]
pub enum Kept<'u> {
    /// All of them.
    All(&'u [u8]),
    /// The first and the last of them.
    Ends(&'u Oversize<'u>),
    /// Their number says it all.
    Nothing,
}

impl Kept<'_> {
    fn is_utf8(self) -> bool {
        let is_utf8 = |bytes| std::str::from_utf8(bytes).is_ok();
        match self {
            Kept::All(bytes) => is_utf8(bytes),
            Kept::Ends(oversize) => is_utf8(oversize.head) && is_utf8(oversize.tail),
            Kept::Nothing => true,
        }
    }
}

/// Writes a line for bytes that could not be understood: kept as text, or in base64 where they are not UTF-8.
pub fn write_unparsed(
    out: &mut Vec<u8>,
    origin: &Origin,
    place: Place,
    why: Unparsed<'_>,
    redacted: (Rules, &[String]),
    time: &UtcTime,
    server: &str,
) {
    let valid = why.kept.is_utf8();
    let mut line = Line { out, utf8: valid, valid };
    line.head(origin, place, time);
    line.raw(",\"user\":\"(unknown)\",\"action\":\"UNPARSED\"");
    line.text("resource", server.as_bytes());
    line.raw(",\"resource_type\":\"server\",\"outcome\":\"unknown\",\"category\":\"unparsed\",\"admin\":false");
    line.out.extend_from_slice(&origin.identity);
    line.raw(",\"derived\":{\"user\":\"fallback:unknown\",\"action\":\"fallback:unparsed\",\"resource\":\"fallback:server\"}");
    line.redacted(redacted.0, redacted.1);
    line.flags(why.flags.iter().copied());
    line.out.extend_from_slice(&origin.labels);
    line.raw(",\"extra\":{\"reason\":");
    line.quoted(why.reason.as_bytes());
    line.raw("}");
    match why.kept {
        Kept::All(bytes) => line.bytes("raw", bytes),
        Kept::Ends(oversize) => line.oversize(oversize, |line| line.ends(oversize)),
        Kept::Nothing => {}
    }
    line.at(origin, place, &[]);
}

/// Longer names are appended in parts.
const KEY_MAX: usize = 64;

/// A line under construction. Every field but the first begins with its comma.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// The whole row is UTF-8, and so is each of its texts.
    utf8: bool,
    /// The whole row is UTF-8.
    valid: bool,
}

impl Line<'_> {
    #[inline(always)]
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn quoted(&mut self, text: &[u8]) {
        self.out.push(b'"');
        self.inside(text);
        self.out.push(b'"');
    }

    fn inside(&mut self, text: &[u8]) {
        if self.utf8 {
            json::escaped_utf8(self.out, text);
        } else {
            json::escaped(self.out, text);
        }
    }

    #[inline(always)]
    fn key(&mut self, name: &str) {
        self.around(",\"", name, "\":");
    }

    #[inline(always)]
    fn text(&mut self, name: &str, text: &[u8]) {
        self.around(",\"", name, "\":\"");
        self.inside(text);
        self.out.push(b'"');
    }

    /// Of text that is known to need no escape.
    #[inline(always)]
    fn plain(&mut self, name: &str, text: &[u8]) {
        self.around(",\"", name, "\":\"");
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }

    /// Appends the three at once: most names are known to the compiler, and one copy of a known length is a few instructions.
    #[inline(always)]
    fn around(&mut self, before: &str, name: &str, behind: &str) {
        let mut text = [0; KEY_MAX];
        let (name_end, end) = (before.len() + name.len(), before.len() + name.len() + behind.len());
        if end > KEY_MAX {
            return [before, name, behind].into_iter().for_each(|part| self.raw(part));
        }
        text[..before.len()].copy_from_slice(before.as_bytes());
        text[before.len()..name_end].copy_from_slice(name.as_bytes());
        text[name_end..end].copy_from_slice(behind.as_bytes());
        self.out.extend_from_slice(&text[..end]);
    }

    #[inline(always)]
    fn maybe_text(&mut self, name: &str, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    #[inline(always)]
    fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.key(name);
            json::unsigned(self.out, number);
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        // The room is exact: encoding cannot fail.
        let written = STANDARD.encode_slice(bytes, &mut self.out[start..]).unwrap_or(0);
        self.out.truncate(start + written);
    }

    /// As text, or as `<name>_base64` in a line that is not UTF-8.
    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        if self.valid {
            return self.text(name, bytes);
        }
        self.raw(",\"");
        self.raw(name);
        self.raw("_base64\":\"");
        self.base64(bytes);
        self.raw("\"");
    }

    fn redacted(&mut self, rules: Rules, patterns: &[String]) {
        if !rules.is_empty() {
            self.list("redacted", rules.names(patterns), |line, name| line.quoted(name.as_bytes()));
        }
    }

    fn flags<'f>(&mut self, flags: impl Iterator<Item = &'f str>) {
        let invalid = (!self.valid).then_some("invalid_utf8");
        let mut any = false;
        for flag in flags.chain(invalid) {
            self.raw(if any { "," } else { ",\"flags\":[" });
            self.quoted(flag.as_bytes());
            any = true;
        }
        if any {
            self.raw("]");
        }
    }

    /// All objects: what the statement names, and what the engine does.
    fn resources(&mut self, record: &Record<'_>, meaning: &Meaning<'_>) {
        let mut count = 0;
        self.told_resources(meaning, !record.objects.is_empty(), &mut count);
        for object in &record.objects {
            self.raw(if count == 0 { ",\"resources\":[{\"name\":" } else { ",{\"name\":" });
            count += 1;
            let dot = object.database.map(|_| &b"."[..]);
            self.quote_pieces(|put| [object.database, dot, Some(object.name)].into_iter().flatten().for_each(put));
            self.maybe_text("type", object.kind);
            self.maybe_text("access", object.access);
            self.raw("}");
        }
        if count > 0 {
            self.raw("]");
        }
    }

    /// A text that comes in pieces.
    fn quote_pieces(&mut self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        self.out.push(b'"');
        let (out, utf8) = (&mut *self.out, self.utf8);
        write(&mut |piece| if utf8 { json::escaped_utf8(out, piece) } else { json::escaped(out, piece) });
        self.out.push(b'"');
    }

    /// A word in small letters.
    fn lower(&mut self, name: &str, word: &[u8]) {
        self.key(name);
        self.lower_value(word);
    }

    fn lower_value(&mut self, word: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        self.inside(word);
        self.out[start..].make_ascii_lowercase();
        self.out.push(b'"');
    }

    /// The whole row's length and hash, and what `ends` writes of it.
    fn oversize(&mut self, oversize: &Oversize<'_>, ends: impl FnOnce(&mut Self)) {
        self.object("oversize", |line| {
            line.number("length", Some(oversize.length));
            line.text("sha256", hex(&oversize.sha256).as_bytes());
            ends(line);
        });
    }

    fn ends(&mut self, oversize: &Oversize<'_>) {
        self.bytes("head", oversize.head);
        self.bytes("tail", oversize.tail);
    }

    fn head(&mut self, origin: &Origin, place: Place, time: &UtcTime) {
        self.raw("{\"v\":1,\"type\":\"event\",\"id\":\"");
        self.raw(&origin.file_id);
        self.raw(":");
        json::unsigned(self.out, place.offset);
        if place.part > 0 {
            self.raw(".");
            json::unsigned(self.out, u64::from(place.part));
        }
        self.raw("\",\"time\":\"");
        self.out.extend_from_slice(time.as_bytes());
        self.raw("\"");
        if let Some(source) = time.source {
            self.plain("time_source", source.as_bytes());
        }
    }

    fn resource(&mut self, meaning: &Meaning<'_>) {
        self.key("resource");
        self.quote_pieces(|put| meaning.resource.name.write(put));
        self.lower("resource_type", meaning.resource.kind);
    }

    fn outcome(&mut self, record: &Record<'_>) {
        self.raw(match record.status {
            Status::Success => ",\"outcome\":\"success\"",
            Status::Failure => ",\"outcome\":\"failure\"",
            Status::Unknown => ",\"outcome\":\"unknown\"",
        });
        if record.error_code.is_some() || record.error_message.is_some() {
            self.object("error", |line| {
                line.maybe_text("code", record.error_code);
                line.maybe_text("message", record.error_message);
            });
        }
    }

    fn client(&mut self, record: &Record<'_>) {
        let client = &record.client;
        self.object("client", |line| {
            line.maybe_text("address", client.address);
            line.number("port", client.port.map(u64::from));
            line.maybe_text("application", client.application);
        });
    }

    /// How somebody came in: what this row says of it, else what the row before it said.
    fn authentication(&mut self, record: &Record<'_>, known: &Known<'_>) {
        if !matches!(record.act, Act::Authenticated | Act::Login | Act::LoginFailed) {
            return;
        }
        let told = authentication::of(record);
        self.object("authentication", |line| {
            line.maybe_text("method", told.method.or(known.method));
            line.maybe_text("identity", told.identity.or(known.identity));
            line.maybe_text("tls", told.tls);
            line.maybe_text("cipher", told.cipher);
            line.raw(if told.is_asserted { ",\"asserted\":true" } else { "" });
        });
    }

    fn refers_to(&mut self, known: &Known<'_>) {
        if let Some(row) = known.refers_to {
            self.text("refers_to", row.to_string().as_bytes());
        }
    }

    fn session(&mut self, record: &Record<'_>, start: Option<&UtcTime>, length_ms: Option<u64>) {
        let session = &record.session;
        self.object("session", |line| {
            line.maybe_text("id", session.id);
            line.number("line", session.line);
            line.number("pid", session.pid);
            // A start that is no time stays as it was written.
            match start {
                Some(start) => line.plain("start", start.as_bytes()),
                None => line.maybe_text("start", session.start),
            }
            line.number("length_ms", length_ms);
        });
    }

    fn statement(&mut self, record: &Record<'_>, meaning: &Meaning<'_>) {
        let Some(statement) = &record.statement else { return };
        self.object("statement", |line| {
            line.maybe_text("text", statement.text);
            line.maybe_text("withheld", statement.withheld);
            line.maybe_text("class", statement.class);
            line.number("id", statement.id);
            line.number("substatement_id", statement.substatement_id);
            line.parameters(statement);
            line.number("rows", statement.rows);
            if let Some(told) = &meaning.told {
                line.reading(told);
            }
        });
    }

    fn parameters(&mut self, statement: &Statement<'_>) {
        match statement.parameters {
            Parameters::None => {}
            Parameters::Withheld(word) => self.text("parameters_withheld", word),
            Parameters::Csv(_) => {
                self.raw(",\"parameters\":[");
                for (index, parameter) in statement.parameters.iter().enumerate() {
                    self.raw(if index == 0 { "" } else { "," });
                    self.quoted(&parameter);
                }
                self.raw("]");
            }
        }
    }

    fn derived(&mut self, record: &Record<'_>, meaning: &Meaning<'_>) {
        let Meaning { user, action, resource, .. } = meaning;
        let database = record.database_carried.then_some("session");
        let fields = [
            ("user", user.derived),
            ("action", action.derived),
            ("resource", resource.derived),
            ("database", database),
        ];
        self.object("derived", |line| {
            for (name, derived) in fields {
                if let Some(how) = derived {
                    line.plain(name, how.as_bytes());
                }
            }
        });
    }

    fn extra(&mut self, record: &Record<'_>, time: &UtcTime) {
        self.object("extra", |line| {
            // Beside a name it is `resource_type`; pgAudit gives it without one as well.
            if record.object.is_none_or(<[u8]>::is_empty) {
                line.maybe_text("object_type", record.object_type.filter(|kind| !kind.is_empty()));
            }
            if time.source.is_some() {
                line.text("log_time", record.time);
            }
            for (name, value) in &record.extra {
                line.raw(",\"");
                line.out.extend_from_slice(name.as_bytes());
                line.raw("\":");
                match value {
                    Value::Text(text) => line.quoted(text),
                    Value::Int(number) => json::signed(line.out, *number),
                }
            }
        });
    }

    /// A piece in another file than the row's first says in which.
    fn at(&mut self, origin: &Origin, place: Place, pieces: &[At<'_>]) {
        self.out.extend_from_slice(&origin.at);
        json::unsigned(self.out, place.offset);
        self.number("length", Some(place.length));
        for (index, piece) in pieces.iter().enumerate() {
            self.raw(if index == 0 { ",\"pieces\":[[" } else { ",[" });
            json::unsigned(self.out, piece.place.offset);
            self.raw(",");
            json::unsigned(self.out, piece.place.length);
            if piece.origin.file != origin.file {
                self.raw(",\"");
                self.raw(&piece.origin.file_id);
                self.raw("\",");
                json::string(self.out, piece.origin.path.as_bytes());
            }
            self.raw("]");
        }
        self.raw(if pieces.is_empty() { "}}\n" } else { "]}}\n" });
    }

    /// `,"name":{…}` with what `fill` writes, or nothing when it writes nothing.
    #[inline(always)]
    fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        self.key(name);
        let brace = self.out.len();
        fill(self);
        if self.out.len() == brace {
            self.out.truncate(before);
            return;
        }
        // The first field's comma becomes the opening brace.
        self.out[brace] = b'{';
        self.out.push(b'}');
    }
}

/// Of a session that ended: as the row says, else since its login.
fn session_length_ms(record: &Record<'_>, known: &Known<'_>, time: &UtcTime) -> Option<u64> {
    if record.act != Act::Logout {
        return None;
    }
    let since = || time.unix_ms().checked_sub(known.logged_in_ms.filter(|_| time.source.is_none())?);
    authentication::session_length_ms(record).or_else(since)
}

/// A file's id: 96 bits of SHA-256 over the source's name and the file's first line, so that it is the same for a
/// file that was renamed, copied or compressed, and whatever else has its inode.
///
/// `twin` tells files of one source apart that begin with the same line.
pub fn file_id(source: &str, first_line: &[u8], twin: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(source.as_bytes());
    hash.update([0]);
    hash.update(first_line);
    if twin > 0 {
        hash.update(twin.to_be_bytes());
    }
    hex(&hash.finalize()[..12])
}
