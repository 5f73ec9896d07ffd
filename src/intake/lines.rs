//! A row becomes a line: what is known of it, what must not leave the host taken out, what it means, and what it tells of rows to come.
//!
//! The order matters. Secrets go before anything is made of the row; other values go when it is known what the row means, since that decides which.

use super::{Chosen, Row, Taken};
use crate::event::{self, At, Event, Kept, Oversize, Place, Unparsed};
use crate::identity::Site;
use crate::redact::privacy::Subject;
use crate::redact::{Change, Ends, Private, Redacted, Redactor, Rules, Statement, merged};
use crate::sessions::numbered::{Numbered, RowId};
use crate::shape::memory::{SESSION_KEY_MAX, session_key};
use crate::shape::readings::hash;
use crate::shape::{UtcTime, dialect_of_format, meaning, sql_dialect};
use sealtrail_parsers::{Dialect, Format, Record, Value};
use sealtrail_sql::Dialect as Sql;

impl Row<'_> {
    pub(super) fn event(
        &mut self,
        place: Place,
        frame: &[u8],
        record: &Record<'_>,
        oversize: Option<&Oversize<'_>>,
        pieces: &[At<'_>],
    ) {
        let mut room = [0; SESSION_KEY_MAX];
        let session = record.session.id.map(|id| session_key(id, self.log(record), &mut room));
        if !record.follows {
            return self.meant(place, frame, record, session, oversize, pieces);
        }
        let (user, database) = self.source.accounts.of(session, record);
        let mut record = record.clone();
        record.carried = record.user.is_none() && user.is_some();
        record.database_carried = record.database.is_none() && database.is_some();
        record.user = record.user.or(user.as_deref());
        record.database = record.database.or(database.as_deref());
        self.meant(place, frame, &record, session, oversize, pieces);
    }

    /// Which server's log the row is of.
    fn log(&self, record: &Record<'_>) -> u64 {
        let stream = match self.origin.format {
            Format::Cloudwatch => record.extra.iter().find(|(name, _)| *name == "logStream"),
            _ => None,
        };
        match stream {
            Some((_, Value::Text(stream))) => self.origin.log ^ hash(stream),
            _ => self.origin.log,
        }
    }

    fn meant(
        &mut self,
        place: Place,
        frame: &[u8],
        record: &Record<'_>,
        session: Option<&[u8]>,
        oversize: Option<&Oversize<'_>>,
        pieces: &[At<'_>],
    ) {
        let time = self.source.time(record.time, self.written_ms, self.clock);
        let session_start = record.session.start.and_then(|start| self.source.session_clock.utc(start));
        self.count(place, record, &time);
        let (dialect, is_cut) = (&self.origin.dialect, oversize.is_some());
        let told = self.readings.told(dialect, record, is_cut);
        let valid = is_ascii(frame) || std::str::from_utf8(frame).is_ok();
        let original = Original { record, frame, valid, oversize };
        let mut out = TakenOut::secrets(self.redactor, dialect, &original, Statement::of(told.as_ref()));
        let clean;
        let (record, frame, mut told) = match &out.secrets {
            None => (record, frame, told),
            Some(secrets) => {
                clean = secrets.record(record);
                (&clean, secrets.frame(frame), self.readings.told(dialect, &clean, is_cut))
            }
        };
        let runs = told.as_ref().and_then(|told| Some((told.dialect, self.source.memory.runs(session, record, told)?)));
        if let Some((sql, runs)) = &runs {
            told = self.readings.executed(*sql, runs);
            if told.is_none() {
                told = self.readings.told(dialect, record, is_cut);
            }
        }
        let mut known = self.source.memory.known(session, record);
        let who = self.identity.as_mut().map(|mapper| {
            let source = self.source.name.as_str();
            let site = Site { server: self.server, source, session_start: session_start.as_ref() };
            mapper.who(record, &known, told.as_ref().map(|told| told.dialect), site, &time)
        });
        known.break_glass = who.is_some_and(|who| who.is_break_glass);
        let who = who.map_or(&[][..], |who| who.json);
        let mut meaning = meaning(record, told, &known, self.server.as_bytes(), self.classify);
        out.private = self.redactor.private(|| Subject {
            record,
            source: &self.source.name,
            category: meaning.category,
            told: told.as_ref(),
            dialect: sql_dialect(dialect, record),
            is_cut,
            frame: Some(frame).filter(|_| !valid),
        });
        out.ends = out.ends.map(|ends| self.redactor.private_ends(ends, &self.source.name, by_format(dialect)));
        let rules = out.rules();
        if let Some(taken) = self.taken.as_mut().filter(|_| !rules.is_empty()) {
            taken.push(Taken::new(place, rules, self.redactor, out.changes(&original, record, frame)));
        }
        let shown;
        let (shown_record, frame) = match &out.private {
            None => (record, frame),
            Some(Private { redacted, blanked }) => {
                shown = redacted.record(record);
                if let Some(blanked) = blanked {
                    meaning.read_in(blanked);
                }
                (&shown, redacted.frame(frame))
            }
        };
        let oversize = out.ends.as_ref().map(Ends::oversize).or(oversize.copied());
        self.source.tally.event(&meaning, &time);
        if let Some(chosen) = self.chosen {
            chosen.push(Chosen { rule: Some(meaning.rule), dialect: told.map(|told| told.dialect) });
        }
        let event = Event {
            origin: self.origin,
            place,
            frame,
            valid,
            record: shown_record,
            known,
            who,
            meaning,
            time,
            session_start,
            redacted: rules,
            patterns: self.redactor.patterns(),
            oversize: oversize.as_ref(),
            pieces,
        };
        event::write(&mut self.block.lines, &event);
        let row = RowId { file: self.origin.file, offset: place.offset, part: place.part };
        if let Some(mapper) = self.identity {
            mapper.saw(&self.source.name, record, row, &time);
        }
        self.source.learn(session, record, told.as_ref(), row, &time);
        self.block.rows.read += 1;
        self.block.rows.redacted += u64::from(!rules.is_empty());
    }

    /// Takes the row into account where its session's rows are counted.
    fn count(&mut self, place: Place, record: &Record<'_>, time: &UtcTime) {
        let Some(sessions) = &mut self.source.sessions else { return };
        let at = RowId { file: self.origin.file, offset: place.offset, part: place.part };
        if let Some(row) = Numbered::of_record(self.origin.format, record, at, &self.origin.path, time) {
            sessions.saw(self.origin.format, &row);
        }
    }

    pub(super) fn unparsed(&mut self, place: Place, why: Unparsed<'_>) {
        let time = self.source.stand_in_time(self.clock);
        let (dialect, source) = (by_format(&self.origin.dialect), &self.source.name);
        let (bytes, ends, shown);
        let (kept, redacted) = match why.kept {
            Kept::All(all) => {
                let (clean, mut rules) = self.redactor.bytes(all, dialect);
                let (left, more) = self.redactor.private_bytes(&clean, source, dialect);
                rules |= more;
                bytes = left.into_owned();
                (Kept::All(&bytes), rules)
            }
            Kept::Ends(oversize) => {
                ends = self.redactor.private_ends(self.redactor.ends(oversize, dialect), source, dialect);
                shown = ends.oversize();
                (Kept::Ends(&shown), ends.rules)
            }
            Kept::Nothing => (Kept::Nothing, Rules::default()),
        };
        if let Some(taken) = self.taken.as_mut().filter(|_| !redacted.is_empty()) {
            let changes = match (why.kept, kept) {
                (Kept::All(before), Kept::All(after)) => Change::of("raw", before, after).into_iter().collect(),
                (Kept::Ends(before), Kept::Ends(after)) => Change::of_ends(before, after).collect(),
                _ => Vec::new(),
            };
            taken.push(Taken::new(place, redacted, self.redactor, changes));
        }
        let why = Unparsed { kept, ..why };
        event::write_unparsed(
            &mut self.block.lines,
            self.origin,
            place,
            why,
            (redacted, self.redactor.patterns()),
            &time,
            self.server,
        );
        self.block.rows.redacted += u64::from(!redacted.is_empty());
        self.source.tally.unparsed();
        if let Some(chosen) = self.chosen {
            chosen.push(Chosen { rule: None, dialect: None });
        }
        self.block.rows.read += 1;
        self.block.rows.unparsed += 1;
    }
}

/// A row as its log has it.
struct Original<'o> {
    record: &'o Record<'o>,
    frame: &'o [u8],
    /// Its bytes are UTF-8; else they are kept beside the record.
    valid: bool,
    oversize: Option<&'o Oversize<'o>>,
}

/// What is taken out of a row.
struct TakenOut {
    /// Before anything is made of it.
    secrets: Option<Redacted>,
    /// Once it is known what it means.
    private: Option<Private>,
    /// Of a row that is too large and no text: its ends may hold more than its record.
    ends: Option<Ends>,
}

impl TakenOut {
    /// The secrets.
    fn secrets(redactor: &Redactor, dialect: &Dialect, original: &Original<'_>, statement: Statement) -> Self {
        let Original { record, frame, valid, oversize } = *original;
        let kept = Some(frame).filter(|_| !valid);
        let secrets = redactor.record(record, || sql_dialect(dialect, record), statement, oversize.is_some(), kept);
        let ends = oversize.filter(|_| !valid).map(|oversize| redactor.ends(oversize, by_format(dialect)));
        TakenOut { secrets, private: None, ends }
    }

    /// What took something out.
    fn rules(&self) -> Rules {
        let mut rules = self.ends.as_ref().map(|ends| ends.rules).unwrap_or_default();
        let of_private = self.private.iter().map(|private| &private.redacted);
        self.secrets.iter().chain(of_private).for_each(|redacted| rules |= redacted.rules);
        rules
    }

    /// Each text before and after; `record` and `frame`: the row without secrets.
    fn changes(&self, original: &Original<'_>, record: &Record<'_>, frame: &[u8]) -> Vec<Change> {
        let changes = |redacted: Option<&Redacted>, of| redacted.map(|it| it.changes(of)).unwrap_or_default();
        let private = self.private.as_ref().map(|private| &private.redacted);
        let mut all = merged(changes(self.secrets.as_ref(), original.record), changes(private, record));
        let left = private.map_or(frame, |private| private.frame(frame));
        all.extend(Change::of("raw", original.frame, left));
        if let (Some(before), Some(ends)) = (original.oversize, &self.ends) {
            all.extend(Change::of_ends(before, &ends.oversize()));
        }
        all
    }
}

impl Taken {
    fn new(place: Place, rules: Rules, redactor: &Redactor, changes: Vec<Change>) -> Self {
        let names = rules.names(redactor.patterns()).map(str::to_owned).collect();
        Taken { offset: place.offset, names, changes }
    }
}

/// As which statements are read, as far as the format alone says it.
fn by_format(dialect: &Dialect) -> Option<Sql> {
    dialect_of_format(dialect.inside.as_ref().map_or(dialect.format, |inside| inside.format))
}

/// Sixteen bytes at a time up to the last one: the library's takes those behind the last whole piece one by one.
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<16>() else { return text.is_ascii() };
    let folded =
        text.as_chunks::<16>().0.iter().fold(*last, |folded, chunk| std::array::from_fn(|at| folded[at] | chunk[at]));
    folded.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::is_ascii;

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        for length in 0..70 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text));
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "byte {at} of {length}");
                text[at] = 0x7f;
            }
        }
    }
}
