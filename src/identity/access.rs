//! Sessions that a layer before the database let in, told by its own log in the same trail: of each that it began, whose it was.
//!
//! The database sees the layer's address and an account that many share. The layer says that a person's session began; the database, that one of the
//! account's did. The two are one where the layer names the server process, and else where both began at the same time. Hard is what is not read yet: a row is
//! often read before the event that would tell whose it is, and another's event must not stand in for it. So by time alone nobody is named before the
//! layer's log is read well past that time.
//!
//! Only Teleport tells of sessions when they begin. What is known is kept in memory: after a start, sessions that began before it are nobody's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use sealtrail_parsers::{Record, Status, Value};

use super::directory::Reason;
use super::network::{Address, Network};
use super::pattern::Pattern;
use crate::limits::ACCESS_SESSIONS_MAX;
use crate::sessions::numbered::RowId;
use crate::shape::UtcTime;
use crate::shape::readings::hash;

/// `[[identity.access]]`: a layer, and the sources whose sessions it lets in.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The source that has its log.
    pub source: String,
    /// Those that have the database's.
    pub sources: Vec<String>,
    /// Where its connections come from, as the database sees it.
    pub addresses: Vec<Network>,
    /// What it calls the database (`db_service`).
    pub services: Vec<Pattern>,
    /// How far apart both may tell of one beginning, and how late the layer's log may be, in milliseconds.
    pub within_ms: u64,
}

/// All layers, and what they told.
#[derive(Debug, Default)]
pub struct Access {
    layers: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    layer: Layer,
    /// By account.
    sessions: HashMap<Arc<[u8]>, Sessions, foldhash::fast::RandomState>,
    /// The same as they came: the first goes when there is no more room.
    order: VecDeque<(Arc<[u8]>, Began)>,
    told: u64,
    /// Who approved which request: the first goes when there is no more room.
    approvals: HashMap<Vec<u8>, Vec<u8>, foldhash::fast::RandomState>,
    approved: VecDeque<Vec<u8>>,
    /// All that was told of times between these is known, but for what comes late.
    known_from_ms: Option<u64>,
    read_to_ms: u64,
}

/// By when they began, and in which order they were told.
type Sessions = BTreeMap<Began, Session>;
type Began = (u64, u64);

#[derive(Debug)]
struct Session {
    /// Empty where the name is longer than names are: it is somebody, but not who.
    person: Vec<u8>,
    database: Vec<u8>,
    pid: Option<u64>,
    /// Of its id at the layer.
    id: Option<u64>,
    ended_ms: Option<u64>,
    /// The request that it rests on, where that is one.
    ticket: Option<Vec<u8>>,
    approver: Option<Vec<u8>>,
    row: RowId,
}

/// Who is behind a row that came through a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// Somebody.
    Person(Person),
    /// It cannot be said.
    Unknown(Reason),
}

/// Whose a session is, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: Vec<u8>,
    /// The record that tells it.
    pub row: RowId,
    /// The request that the session rests on, where it is one.
    pub ticket: Option<Vec<u8>>,
    /// Who approved it.
    pub approver: Option<Vec<u8>>,
}

/// A row of a database, as far as a layer can know it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Through<'a> {
    /// The account.
    pub account: &'a [u8],
    /// Where the client is, as the database sees it.
    pub address: Option<&'a [u8]>,
    /// The session's database.
    pub database: Option<&'a [u8]>,
    /// The server process.
    pub pid: Option<u64>,
    /// When the session began, in milliseconds since 1970.
    pub began_ms: Option<u64>,
    /// When the row was written.
    pub time_ms: u64,
}

/// Longer texts are no names.
const NAME_BYTES_MAX: usize = 256;

impl Access {
    /// Of what is configured.
    pub fn new(layers: Vec<Layer>) -> Self {
        let heard = |layer| Heard {
            layer,
            sessions: HashMap::default(),
            order: VecDeque::new(),
            told: 0,
            approvals: HashMap::default(),
            approved: VecDeque::new(),
            known_from_ms: None,
            read_to_ms: 0,
        };
        Access { layers: layers.into_iter().map(heard).collect() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Takes a row of a layer's log into account.
    pub fn saw(&mut self, source: &str, record: &Record<'_>, row: RowId, time: &UtcTime) {
        // Its time must be its own: it is what is joined by.
        if !time.is_certain() {
            return;
        }
        for heard in self.layers.iter_mut().filter(|heard| heard.layer.source == source) {
            let time_ms = time.unix_ms();
            heard.known_from_ms.get_or_insert(time_ms);
            match record.command {
                Some(b"db.session.start") if record.status == Status::Success => heard.began(record, row, time_ms),
                Some(b"db.session.end") => heard.ended(record, time_ms),
                Some(b"access_request.review" | b"access_request.update") => heard.approved(record),
                _ => {}
            }
        }
    }

    /// All of a source's files were read to their ends at that time, in milliseconds since 1970.
    pub fn caught_up(&mut self, source: &str, at_ms: u64) {
        for heard in self.layers.iter_mut().filter(|heard| heard.layer.source == source) {
            heard.known_from_ms.get_or_insert(at_ms);
            heard.read_to_ms = heard.read_to_ms.max(at_ms);
        }
    }

    /// Who is behind a row; `None` where it came through no layer.
    pub fn behind(&self, source: &str, row: &Through<'_>) -> Option<Behind> {
        let address = row.address.and_then(Address::read)?;
        let heard = self.layers.iter().find(|heard| {
            let layer = &heard.layer;
            layer.sources.iter().any(|it| it == source) && layer.addresses.iter().any(|it| it.holds(address))
        })?;
        Some(heard.behind(row))
    }
}

impl Heard {
    fn began(&mut self, record: &Record<'_>, row: RowId, time_ms: u64) {
        let (Some(account), service) = (text(record, "db_user"), text(record, "db_service").unwrap_or_default()) else {
            return;
        };
        if account.len() > NAME_BYTES_MAX || !self.layer.services.iter().any(|pattern| pattern.fits(service)) {
            return;
        }
        let person = record.user.filter(|person| person.len() <= NAME_BYTES_MAX).unwrap_or_default().to_vec();
        let database = record.database.filter(|name| name.len() <= NAME_BYTES_MAX).unwrap_or_default().to_vec();
        let (pid, id) = (number(record, "postgres_pid"), record.session.id.map(hash));
        let began = (time_ms, self.told);
        self.told += 1;
        let account: Arc<[u8]> = account.into();
        let ticket = text(record, "access_requests").and_then(the_only_request);
        let approver = ticket.as_ref().and_then(|ticket| self.approvals.get(ticket)).cloned();
        let session = Session { person, database, pid, id, ended_ms: None, ticket, approver, row };
        self.sessions.entry(Arc::clone(&account)).or_default().insert(began, session);
        self.order.push_back((account, began));
        if self.order.len() > ACCESS_SESSIONS_MAX
            && let Some((account, began)) = self.order.pop_front()
        {
            self.forget(&account, began);
        }
    }

    fn approved(&mut self, record: &Record<'_>) {
        let is_approval = text(record, "state") == Some(b"APPROVED") && record.status != Status::Failure;
        let (Some(request), Some(approver)) = (record.object, record.user.filter(|_| is_approval)) else { return };
        if request.len() > NAME_BYTES_MAX || approver.len() > NAME_BYTES_MAX {
            return;
        }
        if self.approvals.insert(request.to_vec(), approver.to_vec()).is_none() {
            self.approved.push_back(request.to_vec());
        }
        if self.approved.len() > ACCESS_SESSIONS_MAX
            && let Some(first) = self.approved.pop_front()
        {
            self.approvals.remove(&first);
        }
    }

    fn forget(&mut self, account: &Arc<[u8]>, began: Began) {
        if let Some(sessions) = self.sessions.get_mut(account) {
            sessions.remove(&began);
            if sessions.is_empty() {
                self.sessions.remove(account);
            }
        }
        // Of its time not all is known any more.
        self.known_from_ms = self.known_from_ms.map(|from| from.max(began.0 + 1));
    }

    fn ended(&mut self, record: &Record<'_>, time_ms: u64) {
        let (Some(id), Some(account)) = (record.session.id.map(hash), text(record, "db_user")) else { return };
        let sessions = self.sessions.get_mut(account);
        let mut of_id = sessions.into_iter().flat_map(BTreeMap::values_mut).rev();
        if let Some(session) = of_id.find(|session| session.id == Some(id)) {
            session.ended_ms = Some(time_ms);
        }
    }

    fn behind(&self, row: &Through<'_>) -> Behind {
        let Some(began_ms) = row.began_ms else { return Behind::Unknown(Reason::NoAccessEvent) };
        let within = self.layer.within_ms;
        let window = (began_ms.saturating_sub(within), 0)..=(began_ms.saturating_add(within), u64::MAX);
        let sessions = self.sessions.get(row.account);
        let at_once = || sessions.into_iter().flat_map(|sessions| sessions.range(window.clone())).map(|it| it.1);
        let lasts = |session: &&Session| session.ended_ms.is_none_or(|end| row.time_ms <= end.saturating_add(within));
        let is_of_database =
            |session: &&Session| session.database.is_empty() || row.database.is_none_or(|it| it == session.database);
        let by_process = || {
            let of_process = |session: &&Session| session.pid.is_some() && session.pid == row.pid;
            at_once().filter(of_process).filter(lasts).filter(is_of_database)
        };
        if by_process().next().is_some() {
            return the_only(by_process());
        }
        // Those of which the process is known are of another.
        let is_open = |session: &&Session| session.pid.is_none() || row.pid.is_none();
        let by_time = || at_once().filter(is_open).filter(lasts);
        let is_known = self.known_from_ms.is_some_and(|from| from <= began_ms.saturating_sub(2 * within));
        match (by_time().next().is_some(), is_known) {
            (_, false) => Behind::Unknown(Reason::NoAccessEvent),
            _ if self.read_to_ms < began_ms.saturating_add(2 * within) => Behind::Unknown(Reason::AccessPending),
            (false, _) => Behind::Unknown(Reason::NoAccessEvent),
            (true, _) => the_only(by_time()),
        }
    }
}

/// The one person of all these; the first record that says so.
fn the_only<'s>(mut sessions: impl Iterator<Item = &'s Session>) -> Behind {
    let Some(first) = sessions.next() else { return Behind::Unknown(Reason::NoAccessEvent) };
    if first.person.is_empty() || sessions.any(|other| other.person != first.person) {
        return Behind::Unknown(Reason::AmbiguousAccess);
    }
    let (ticket, approver) = (first.ticket.clone(), first.approver.clone());
    Behind::Person(Person { name: first.person.clone(), row: first.row, ticket, approver })
}

/// `["3ba8…"]`; of several none is the one.
fn the_only_request(list: &[u8]) -> Option<Vec<u8>> {
    match serde_json::from_slice::<Vec<String>>(list).ok()?.as_slice() {
        [one] if !one.is_empty() && one.len() <= NAME_BYTES_MAX => Some(one.clone().into_bytes()),
        _ => None,
    }
}

fn text<'a>(record: &Record<'a>, wanted: &str) -> Option<&'a [u8]> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == wanted && !text.is_empty() => Some(*text),
        _ => None,
    })
}

fn number(record: &Record<'_>, wanted: &str) -> Option<u64> {
    record.extra.iter().find_map(|(name, value)| match value {
        Value::Int(number) if *name == wanted => u64::try_from(*number).ok(),
        Value::Text(text) if *name == wanted => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use sealtrail_parsers::{Parsed, Scratch, teleport};

    use super::*;

    const WITHIN: u64 = 10_000;
    /// 2026-11-20T10:00:00Z.
    const TEN: u64 = 1_795_168_800_000;

    fn access() -> Access {
        Access::new(vec![Layer {
            source: "teleport".to_owned(),
            sources: vec!["pg".to_owned()],
            addresses: vec![Network::read("10.0.5.7").unwrap()],
            services: vec![Pattern::read("orders").unwrap()],
            within_ms: WITHIN,
        }])
    }

    fn tell(access: &mut Access, event: &str, person: &str, at_ms: u64, rest: &str) {
        let time = crate::clock::rfc3339(at_ms);
        let line = format!(
            "{{\"event\":\"{event}\",\"time\":\"{time}\",\"code\":\"TDB00I\",\"user\":\"{person}\",\"db_user\":\"dba\",\"db_service\":\"orders\",{rest}\"success\":true}}"
        );
        let mut scratch = Scratch::new();
        let Parsed::Record(record) = teleport::parse(line.as_bytes(), &mut scratch) else { panic!("{line}") };
        let row = RowId { offset: at_ms, ..RowId::default() };
        access.saw("teleport", &record, row, &UtcTime::from_rfc3339(time.as_bytes()));
    }

    fn starts(access: &mut Access, person: &str, at_ms: u64, pid: Option<u64>) {
        let pid = pid.map(|pid| format!("\"postgres_pid\":{pid},")).unwrap_or_default();
        tell(access, "db.session.start", person, at_ms, &format!("{pid}\"sid\":\"{person}{at_ms}\","));
    }

    fn behind(access: &Access, began_ms: u64, pid: Option<u64>) -> String {
        let row = Through {
            account: b"dba",
            address: Some(b"10.0.5.7"),
            database: None,
            pid,
            began_ms: Some(began_ms),
            time_ms: began_ms + 1000,
        };
        said(access.behind("pg", &row))
    }

    fn said(behind: Option<Behind>) -> String {
        match behind {
            None => "not through it".to_owned(),
            Some(Behind::Person(person)) => String::from_utf8(person.name).unwrap(),
            Some(Behind::Unknown(reason)) => reason.word().to_owned(),
        }
    }

    #[test]
    fn a_session_is_whose_the_layer_says_that_its_process_is() {
        let mut access = access();
        assert_eq!(behind(&access, TEN, Some(7)), "no_access_event", "its event is not read yet");
        starts(&mut access, "jane", TEN, Some(7));
        starts(&mut access, "joan", TEN + 500, Some(8));
        assert_eq!(behind(&access, TEN, Some(7)), "jane");
        assert_eq!(behind(&access, TEN, Some(8)), "joan");
        assert_eq!(behind(&access, TEN, Some(9)), "no_access_event");
        assert_eq!(behind(&access, TEN + WITHIN + 1, Some(7)), "no_access_event", "the number was given again");
        starts(&mut access, "mary", TEN + 9000, Some(7));
        assert_eq!(behind(&access, TEN, Some(7)), "ambiguous_access");
    }

    #[test]
    fn by_time_alone_nobody_is_named_before_the_layers_log_is_read_past_it() {
        let mut access = access();
        access.caught_up("teleport", TEN - 60_000);
        starts(&mut access, "jane", TEN + 100, None);
        assert_eq!(behind(&access, TEN, None), "access_pending");
        access.caught_up("teleport", TEN + 2 * WITHIN - 1);
        assert_eq!(behind(&access, TEN, None), "access_pending");
        access.caught_up("teleport", TEN + 2 * WITHIN);
        assert_eq!(behind(&access, TEN, None), "jane");
        assert_eq!(behind(&access, TEN, Some(5)), "jane", "a layer that does not say which process it is");
        assert_eq!(behind(&access, TEN - 2 * WITHIN, None), "no_access_event");
        starts(&mut access, "joan", TEN + 5000, None);
        assert_eq!(behind(&access, TEN, None), "ambiguous_access");
        starts(&mut access, "jane", TEN + 40_000, None);
        starts(&mut access, "jane", TEN + 41_000, None);
        access.caught_up("teleport", TEN + 90_000);
        assert_eq!(behind(&access, TEN + 40_500, None), "jane", "whichever it is, it is hers");
    }

    #[test]
    fn what_was_told_before_the_start_is_not_known() {
        let mut access = access();
        starts(&mut access, "jane", TEN, None);
        access.caught_up("teleport", TEN + 600_000);
        assert_eq!(behind(&access, TEN, None), "no_access_event", "another's may have been told before");
        assert_eq!(behind(&access, TEN + 300_000, None), "no_access_event");
    }

    #[test]
    fn a_session_is_over_when_the_layer_says_so() {
        let mut access = access();
        starts(&mut access, "jane", TEN, Some(7));
        tell(&mut access, "db.session.end", "jane", TEN + 60_000, &format!("\"sid\":\"jane{TEN}\","));
        let at = |time_ms| Through {
            account: b"dba",
            address: Some(b"10.0.5.7"),
            pid: Some(7),
            began_ms: Some(TEN),
            time_ms,
            ..Through::default()
        };
        assert_eq!(said(access.behind("pg", &at(TEN + 60_000 + WITHIN))), "jane");
        assert_eq!(said(access.behind("pg", &at(TEN + 60_001 + WITHIN))), "no_access_event");
    }

    #[test]
    fn only_what_comes_from_the_layer_is_its_own() {
        let mut access = access();
        starts(&mut access, "jane", TEN, Some(7));
        tell(&mut access, "db.session.start", "joan", TEN, "\"postgres_pid\":8,\"db_name\":\"crm\",");
        let row = Through {
            account: b"dba",
            address: Some(b"10.0.5.7"),
            database: Some(b"shop"),
            pid: Some(7),
            began_ms: Some(TEN),
            time_ms: TEN,
        };
        assert_eq!(said(access.behind("pg", &row)), "jane");
        for (source, row, expected) in [
            ("other", row, "not through it"),
            ("pg", Through { address: Some(b"10.0.5.8"), ..row }, "not through it"),
            ("pg", Through { address: None, ..row }, "not through it"),
            ("pg", Through { account: b"app", ..row }, "no_access_event"),
            ("pg", Through { began_ms: None, ..row }, "no_access_event"),
            ("pg", Through { pid: Some(8), ..row }, "no_access_event"),
            ("pg", Through { pid: Some(8), database: Some(b"crm"), ..row }, "joan"),
        ] {
            assert_eq!(said(access.behind(source, &row)), expected, "{source} {row:?}");
        }
        tell(&mut access, "db.session.start", &"x".repeat(300), TEN, "\"postgres_pid\":9,");
        assert_eq!(said(access.behind("pg", &Through { pid: Some(9), ..row })), "ambiguous_access");
    }

    #[test]
    fn the_request_that_a_session_rests_on_is_told_with_who_approved_it() {
        let mut access = access();
        let rest = |state: &str| format!("\"id\":\"r-1\",\"reviewer\":\"{state}-john\",\"state\":\"{state}\",");
        tell(&mut access, "access_request.review", "jane", TEN - 9000, &rest("APPROVED"));
        tell(&mut access, "access_request.review", "jane", TEN - 8000, &rest("DENIED"));
        tell(&mut access, "db.session.start", "jane", TEN, "\"postgres_pid\":7,\"access_requests\":[\"r-1\"],");
        tell(&mut access, "db.session.start", "joan", TEN, "\"postgres_pid\":8,\"access_requests\":[\"r-1\",\"r-2\"],");
        let request = |pid| {
            let row = Through {
                account: b"dba",
                address: Some(b"10.0.5.7"),
                pid: Some(pid),
                began_ms: Some(TEN),
                ..Through::default()
            };
            match access.behind("pg", &row) {
                Some(Behind::Person(person)) => {
                    [person.ticket, person.approver].map(|it| it.map(|it| String::from_utf8(it).unwrap()))
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(request(7), [Some("r-1".to_owned()), Some("APPROVED-john".to_owned())]);
        assert_eq!(request(8), [None, None]);
    }

    #[test]
    fn what_finds_no_room_is_not_taken_for_another() {
        let mut access = access();
        access.caught_up("teleport", TEN - 60_000);
        starts(&mut access, "jane", TEN, None);
        starts(&mut access, "joan", TEN + 1, None);
        for at in 0..ACCESS_SESSIONS_MAX as u64 - 1 {
            starts(&mut access, "mary", TEN + 600_000 + at, Some(at));
        }
        access.caught_up("teleport", TEN + 9_000_000);
        assert_eq!(access.layers[0].order.len(), ACCESS_SESSIONS_MAX);
        assert_eq!(access.layers[0].sessions.values().map(BTreeMap::len).sum::<usize>(), ACCESS_SESSIONS_MAX);
        assert_eq!(behind(&access, TEN, None), "no_access_event", "jane's is forgotten, and joan's may not stand in");
    }
}
