//! What leaves a row beside its secrets, where the configuration says so: literals, parameters, personal data.
//!
//! It comes after the row's meaning is read, so that who did what to what is told as ever; secrets are gone by then. What was
//! read points into the statement's text: so it points into a copy from then on, in which there are stars for what was taken out ([`Private::blanked`]), and no field
//! can tell what the text does not.

use std::borrow::Cow;

use sealtrail_parsers::{Act, Record};
use sealtrail_sql::{Dialect, Kind as TokenKind, Span, Tokens};

use super::found::Found;
use super::hash::HashKey;
use super::literals::{self, Taker, Treatment, Values};
use super::messages::{self, Kind};
use super::names::Names;
use super::personal::Detectors;
use super::policy::{Policy, Treatments};
use super::rules::Rules;
use super::slots::{self, Slot};
use super::suspicion::Suspicion;
use super::walk::Walk;
use super::{ECHO_BYTES_MIN, ECHOES_MAX, Ends, NOTE, Redact, Redacted, echoes, needles, quote, sql_within};
use crate::event::Oversize;
use crate::shape::{Category, Told};

/// What the configuration asks for.
#[derive(Debug, Clone)]
pub struct Privacy {
    policy: Policy,
    detectors: Detectors,
    /// With what must stand in a text for one of them to be in it.
    names: Option<(Names, Suspicion)>,
    key: HashKey,
}

/// One row, as far as it matters here.
#[derive(Clone, Copy)]
pub struct Subject<'s> {
    /// Without its secrets.
    pub record: &'s Record<'s>,
    /// The source's name.
    pub source: &'s str,
    /// What it was found to be.
    pub category: Category,
    /// What its statement tells.
    pub told: Option<&'s Told<'s>>,
    /// As which its statements are read.
    pub dialect: Option<Dialect>,
    /// The middle of its long texts was taken out.
    pub is_cut: bool,
    /// Its bytes, where they are kept too.
    pub frame: Option<&'s [u8]>,
}

/// What is left of a row.
#[derive(Debug)]
pub struct Private {
    /// Its texts.
    pub redacted: Redacted,
    /// The text that its statement was read from, with stars for what was taken out.
    pub blanked: Option<Vec<u8>>,
}

impl Privacy {
    /// `None` where nothing is asked for. `key`: of the host.
    pub fn new(redact: &Redact, key: HashKey) -> Option<Self> {
        let names = (!redact.personal_names.is_empty()).then(|| {
            let needles: Vec<_> = redact.personal_names.iter().flat_map(|name| needles(name)).collect();
            (Names::personal(&redact.personal_names), Suspicion::only(&needles))
        });
        let is_idle = redact.policy.keeps_all() && redact.detectors.is_empty() && names.is_none();
        let (policy, detectors) = (redact.policy.clone(), redact.detectors.clone());
        (!is_idle).then_some(Privacy { policy, detectors, names, key })
    }

    /// The row without what must not leave the host; `None` where it is as it was.
    #[inline(never)]
    pub fn record(&self, subject: Subject<'_>) -> Option<Private> {
        if is_login(subject.record.act) {
            // It tells who came from where, and nobody's data.
            return None;
        }
        let treatments = self.policy.of(subject.source, subject.category, Some(subject.record), subject.told);
        let mut row = Row {
            privacy: self,
            subject,
            treatments,
            values: Values::default(),
            secrets: Vec::new(),
            parameters: Vec::new(),
            private: Private { redacted: Redacted::default(), blanked: None },
        };
        row.take();
        Some(row.private).filter(|private| !private.redacted.rules.is_empty())
    }

    /// The same for bytes that are no row. Nobody can say which of them are a literal: where literals are taken out none of them stays.
    pub fn bytes<'b>(&self, bytes: &'b [u8], source: &str, dialect: Option<Dialect>) -> (Cow<'b, [u8]>, Rules) {
        let treatments = self.policy.of(source, Category::Unparsed, None, None);
        self.bytes_by(bytes, treatments, dialect)
    }

    /// The first and the last bytes of a row.
    pub fn ends(&self, oversize: &Oversize<'_>, source: &str, dialect: Option<Dialect>) -> Ends {
        let treatments = self.policy.of(source, Category::Unparsed, None, None);
        let (head, mut rules) = self.bytes_by(oversize.head, treatments, dialect);
        let (tail, more) = self.bytes_by(oversize.tail, treatments, dialect);
        rules |= more;
        let (head, tail) = (head.into_owned(), tail.into_owned());
        Ends { length: oversize.length, sha256: oversize.sha256, head, tail, rules }
    }

    fn bytes_by<'b>(
        &self,
        bytes: &'b [u8],
        treatments: Treatments,
        dialect: Option<Dialect>,
    ) -> (Cow<'b, [u8]>, Rules) {
        let treatment =
            if treatments.literals == Treatment::Keep { treatments.parameters } else { treatments.literals };
        if let Some(taker) = self.taker(treatment) {
            let (left, rules) = taker.whole(bytes);
            return (left.into(), rules);
        }
        let mut found = Found::default();
        self.personal(bytes, None, dialect, true, &mut found);
        if found.is_empty() { (bytes.into(), Rules::default()) } else { (found.cut_from(bytes).into(), found.rules) }
    }

    fn taker(&self, treatment: Treatment) -> Option<Taker<'_>> {
        (treatment != Treatment::Keep).then_some(Taker { treatment, key: &self.key })
    }

    /// Personal data in any text. `sql`: it is a statement of this dialect. Returns what names announced.
    fn personal(
        &self,
        text: &[u8],
        sql: Option<Dialect>,
        dialect: Option<Dialect>,
        with_addresses: bool,
        found: &mut Found,
    ) -> Vec<Vec<u8>> {
        let mut named = Vec::new();
        if let Some((names, suspicion)) = &self.names
            && suspicion.holds(text)
        {
            let mut by_name = Found::default();
            match sql {
                Some(dialect) => Walk::new(names, Some(dialect), &mut by_name).statement(dialect, text),
                None => {
                    Walk::new(names, dialect, &mut by_name).text(text, (0, text.len()));
                    if let Some(dialect) = dialect {
                        sql_within(names, dialect, text, &mut by_name);
                    }
                    messages::in_key(names, text, &mut by_name);
                }
            }
            named.extend(by_name.values(text).map(<[u8]>::to_vec));
            found.absorb(&by_name, 0);
            found.parameters.append(&mut by_name.parameters);
        }
        self.detectors.scan(text, with_addresses, found);
        named
    }
}

/// Rows about who came, from where, and left.
fn is_login(act: Act) -> bool {
    matches!(act, Act::ConnectionReceived | Act::Authenticated | Act::Login | Act::LoginFailed | Act::Logout)
}

/// Whoever is named keeps his name, and where he came from.
fn is_name(slot: Slot) -> bool {
    !matches!(slot, Slot::Statement | Slot::Parameters | Slot::ErrorMessage | Slot::Withheld | Slot::Extra(_))
}

/// Columns that name who acts, from where, on which machine.
fn is_about_the_client(name: &str) -> bool {
    const WORDS: [&str; 11] =
        ["user", "login", "principal", "host", "addr", "client", "session_", "uri", "remote", "local", "terminal"];
    let name = name.to_ascii_lowercase();
    name == "ip" || name.ends_with("_ip") || name.ends_with(".ip") || WORDS.iter().any(|word| name.contains(word))
}

/// One row.
struct Row<'r> {
    privacy: &'r Privacy,
    subject: Subject<'r>,
    treatments: Treatments,
    /// Taken out of its statement and parameters.
    values: Values,
    /// The same, by their names.
    secrets: Vec<Vec<u8>>,
    /// Numbers of the parameters that a name in the statement stands before.
    parameters: Vec<(usize, Rules)>,
    private: Private,
}

impl Row<'_> {
    fn take(&mut self) {
        let record = self.subject.record;
        for (slot, text) in slots::texts(record).filter(|(slot, _)| !is_name(*slot)) {
            match slot {
                Slot::Parameters => self.parameters(),
                Slot::Statement => self.statement(text),
                Slot::Extra(index) => {
                    let name = record.extra.iter().nth(index).map(|(name, _)| *name).unwrap_or_default();
                    if !slots::is_the_servers(name) {
                        self.text(slot, text, messages::kind_of(name), !is_about_the_client(name));
                    }
                }
                _ => self.text(slot, text, Kind::Message, true),
            }
        }
        if let Some(told) = self.subject.told.filter(|told| told.how.is_executed()) {
            let mut found = Found::default();
            self.sql(told.text, Some(told), &mut found);
            self.private.blanked = (!found.is_empty()).then(|| found.blanked_in(told.text, &literals::names(told)));
        }
        if let Some(frame) = self.subject.frame {
            let (left, rules) = self.privacy.bytes_by(frame, self.treatments, self.subject.dialect);
            self.private.redacted.rules |= rules;
            self.private.redacted.frame = (!rules.is_empty()).then(|| left.into_owned());
        }
    }

    fn statement(&mut self, text: &[u8]) {
        let own = self.subject.told.filter(|told| !told.how.is_executed());
        let mut found = Found::default();
        self.sql(text, own, &mut found);
        if let Some(own) = own.filter(|_| !found.is_empty()) {
            let mut blanked = found.blanked_in(text, &literals::names(own));
            blanked.truncate(own.text.len());
            self.private.blanked = Some(blanked);
        }
        self.parameters.append(&mut found.parameters);
        self.put(Slot::Statement, text, found);
    }

    /// `told`: what was read from this very text, or its beginning.
    fn sql(&mut self, text: &[u8], told: Option<&Told<'_>>, found: &mut Found) {
        let dialect = told.map(|told| told.dialect).or(self.subject.dialect);
        let names = told.map(literals::names).unwrap_or_default();
        let mut personal = Found::default();
        let named = self.privacy.personal(text, dialect, dialect, true, &mut personal);
        personal.spare(&names);
        self.remember(named);
        found.parameters.append(&mut personal.parameters);
        if let Some(taker) = self.privacy.taker(self.treatments.literals) {
            match dialect {
                Some(dialect) => {
                    let kept = told.map(literals::kept).unwrap_or_default();
                    self.literals(dialect, text, &kept, taker, found);
                }
                None => taker.value(text, 0, text.len(), found),
            }
        }
        found.absorb(&personal, 0);
    }

    fn literals(&mut self, dialect: Dialect, text: &[u8], kept: &[Span], taker: Taker<'_>, found: &mut Found) {
        let whole = self.whole(text);
        literals::in_sql(dialect, &text[..whole], kept, taker, found, &mut self.values);
        self.rest(text, whole, taker, found);
        for token in Tokens::new(dialect, &text[..whole]).filter(|token| token.kind == TokenKind::Comment) {
            let (start, end) = (token.span.start as usize, token.span.end as usize);
            let mut part = Found::default();
            self.values.echoes(&text[start..end], taker, &mut part);
            found.absorb(&part, start);
        }
    }

    /// How much of a text stands before the note that its middle was taken out.
    fn whole(&self, text: &[u8]) -> usize {
        let note = if self.subject.is_cut { memchr::memmem::find(text, NOTE.0) } else { None };
        note.unwrap_or(text.len())
    }

    /// What stands behind the note: nobody knows whether that is in a literal.
    fn rest(&self, text: &[u8], whole: usize, taker: Taker<'_>, found: &mut Found) {
        if let Some(len) = memchr::memmem::find(&text[whole..], NOTE.1) {
            taker.value(text, whole + len + NOTE.1.len(), text.len(), found);
        }
    }

    /// One CSV line: each parameter by itself.
    fn parameters(&mut self) {
        let parameters = self.subject.record.statement.unwrap_or_default().parameters;
        let taker = self.privacy.taker(self.treatments.parameters);
        let (mut out, mut any) = (Vec::new(), false);
        for (index, parameter) in parameters.iter().enumerate() {
            let mut found = Found::default();
            if let Some(taker) = taker {
                taker.value(&parameter, 0, parameter.len(), &mut found);
                self.values.add(&parameter);
            }
            for (_, rule) in self.parameters.clone().iter().filter(|(number, _)| *number == index + 1) {
                found.value(&parameter, 0, parameter.len(), *rule);
                self.remember(vec![parameter.to_vec()]);
            }
            let named = self.privacy.personal(&parameter, None, self.subject.dialect, true, &mut found);
            self.remember(named);
            any |= !found.is_empty();
            out.extend_from_slice(if index == 0 { b"" } else { b"," });
            self.private.redacted.rules |= found.rules;
            quote(&mut out, &found.cut_from(&parameter));
        }
        if any {
            self.private.redacted.changed.push((Slot::Parameters, out));
        }
    }

    /// Of what the server says.
    fn text(&mut self, slot: Slot, text: &[u8], kind: Kind, with_addresses: bool) {
        let mut found = Found::default();
        let dialect = self.subject.dialect;
        if let Some(taker) = self.privacy.taker(self.treatment(kind)) {
            match (kind, dialect) {
                (Kind::Own, _) => {}
                (Kind::Values, _) => taker.value(text, 0, text.len(), &mut found),
                (Kind::Statement, Some(dialect)) => self.literals(dialect, text, &[], taker, &mut found),
                (Kind::Statement, None) => taker.value(text, 0, text.len(), &mut found),
                (Kind::Document, _) => {
                    messages::in_document(text, taker, &mut found);
                    self.values.echoes(text, taker, &mut found);
                }
                (Kind::Detail | Kind::Message, _) => {
                    let whole = self.whole(text);
                    messages::in_message(&text[..whole], kind, dialect, taker, &mut self.values, &mut found);
                    self.rest(text, whole, taker, &mut found);
                }
            }
        }
        if with_addresses || kind != Kind::Own {
            let sql = dialect.filter(|_| kind == Kind::Statement);
            let named = self.privacy.personal(text, sql, dialect, with_addresses, &mut found);
            self.remember(named);
            messages::in_parameters(text, &self.parameters, &mut found);
            echoes(text, (0, text.len()), &self.secrets, &mut found);
        }
        self.put(slot, text, found);
    }

    /// What the server says may repeat the one or the other.
    fn treatment(&self, kind: Kind) -> Treatment {
        let Treatments { literals, parameters } = self.treatments;
        match kind {
            Kind::Own => Treatment::Keep,
            Kind::Statement => literals,
            Kind::Values => parameters,
            Kind::Document | Kind::Detail | Kind::Message if literals == Treatment::Keep => parameters,
            Kind::Document | Kind::Detail | Kind::Message => literals,
        }
    }

    fn remember(&mut self, named: Vec<Vec<u8>>) {
        let room = ECHOES_MAX.saturating_sub(self.secrets.len());
        self.secrets.extend(named.into_iter().filter(|value| value.len() >= ECHO_BYTES_MIN).take(room));
    }

    fn put(&mut self, slot: Slot, text: &[u8], mut found: Found) {
        if !found.is_empty() {
            self.private.redacted.rules |= found.rules;
            self.private.redacted.changed.push((slot, found.cut_from(text)));
        }
    }
}
