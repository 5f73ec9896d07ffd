//! Writes an event: ECS' fields as nested objects, then the engine's, then what is ours.
//!
//! The order matters in one way: what is taken first is not there for a later place. The account is `user.name` whoever is behind it;
//! the role that its session has taken is `user.effective.name`, and whom the act is about `user.target.name`.

use std::net::IpAddr;

use super::super::object::Object;
use super::super::part::{Part, inside};
use super::super::table::{Kind, find};
use super::super::write_bytes;
use super::{Event, FOREIGN, MAPPING, TABLE, VERSION, namespace};

const NOT_A_TIME: &str = "\"1970-01-01T00:00:00Z\"";
const UNKNOWN: &str = "\"(unknown)\"";
const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes a line of the trail; `leaf` is its hash in the trail's tree.
pub fn write(line: &mut Part<'_>, leaf: &str, to: &mut Object<'_>) {
    let kind = Kind::of(line);
    let row = find(TABLE, kind, line).map_or(FOREIGN, |row| row.then);
    let targets = targets(line);
    to.begin();
    let time = line.look_text("time").filter(|time| super::super::unix_ms(time) != 0);
    to.raw("@timestamp", time.unwrap_or(NOT_A_TIME));
    if time.is_some() {
        line.take("time");
    }
    version(to);
    event(row, kind, line, leaf, to);
    to.maybe("message", message(line));
    related(line, &targets, to);
    user(line, &targets, to);
    source(line, to);
    to.object("service", |to| {
        to.maybe("type", line.look_text("engine"));
        to.maybe("name", line.take_text("source"));
    });
    to.object("host", |to| to.maybe("name", line.take_text("server")));
    to.object("group", |to| to.maybe("name", first(line, "grant", "roles")));
    to.object("process", |to| {
        to.maybe("pid", line.open("session").and_then(|session| session.take_count("pid", i64::MAX as u64)));
    });
    to.object("log", |to| {
        to.object("file", |to| to.maybe("path", line.open("at").and_then(|at| at.take_text("file"))));
    });
    if let Some(error) = line.open("error") {
        to.object("error", |to| {
            to.maybe("code", error.take_text("code"));
            to.maybe("message", error.take_text("message"));
        });
    }
    labels(line, to);
    engine(line, to);
    to.object("sealtrail", |to| {
        line.write_rest(to);
        to.word("mapping", MAPPING);
    });
    to.end();
}

/// Writes what is no JSON object.
pub fn write_foreign(line: &[u8], leaf: &str, to: &mut Object<'_>) {
    to.begin();
    to.raw("@timestamp", NOT_A_TIME);
    version(to);
    to.object("event", |to| {
        categories(FOREIGN, to);
        to.word("hash", leaf);
        to.bytes("original", line);
    });
    to.object("sealtrail", |to| {
        write_bytes(line, to);
        to.word("mapping", MAPPING);
    });
    to.end();
}

fn version(to: &mut Object<'_>) {
    to.object("ecs", |to| to.word("version", VERSION));
    to.object("agent", |to| {
        to.word("type", "sealtrail");
        to.word("version", AGENT_VERSION);
    });
}

fn categories(event: Event, to: &mut Object<'_>) {
    to.word("kind", event.kind);
    to.word("module", "sealtrail");
    to.list("category", |to| event.categories.iter().for_each(|it| to.quoted_item(it)));
    to.list("type", |to| event.types.iter().for_each(|it| to.quoted_item(it)));
}

fn event(row: Event, kind: Kind, line: &mut Part<'_>, leaf: &str, to: &mut Object<'_>) {
    to.object("event", |to| {
        categories(row, to);
        if kind != Kind::Foreign {
            to.word("dataset", dataset(kind));
            line.take("type");
        }
        to.maybe("action", line.take_text("action"));
        if matches!(line.word("outcome"), "success" | "failure" | "unknown") {
            to.maybe("outcome", line.take_text("outcome"));
        }
        to.maybe("id", line.take_text("id"));
        to.word("hash", leaf);
        to.maybe("provider", line.take_text("format"));
        to.maybe("original", line.take_text("raw"));
        let Some(session) = line.open("session") else { return };
        to.maybe("sequence", session.take_count("line", i64::MAX as u64));
        if let Some(ms) = session.take_count("length_ms", (i64::MAX / NANOS) as u64) {
            to.number("duration", ms.parse::<i64>().unwrap_or_default() * NANOS);
        }
    });
}

/// In a millisecond.
const NANOS: i64 = 1_000_000;

const fn dataset(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "sealtrail.event",
        Kind::Agent => "sealtrail.agent",
        Kind::Checkpoint => "sealtrail.checkpoint",
        Kind::Foreign => "",
    }
}

/// The agent's own words; of a row the server's, or why it could not be read.
fn message<'a>(line: &mut Part<'a>) -> Option<&'a str> {
    let own = line.take_text("message");
    own.or_else(|| line.open("extra").and_then(|extra| extra.look_text("message").or(extra.look_text("reason"))))
}

/// Whom a statement about rights or accounts is about.
fn targets<'a>(line: &mut Part<'a>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for (object, lists) in [("grant", &["to", "from"][..]), ("role", &["names", "members", "renamed_to"])] {
        if let Some(part) = line.open(object) {
            lists.iter().for_each(|list| all.extend(part.texts(list)));
        }
    }
    all
}

fn first<'a>(line: &mut Part<'a>, object: &str, list: &str) -> Option<&'a str> {
    line.open(object)?.texts(list).first().copied()
}

/// All users that the event names, and the address.
fn related(line: &mut Part<'_>, targets: &[&str], to: &mut Object<'_>) {
    let mut users: Vec<&str> = Vec::with_capacity(2 + targets.len());
    let named = [line.look_text("user"), line.look_text("acting_as"), line.look_text("person")];
    for user in named.into_iter().flatten().chain(targets.iter().copied()) {
        if !users.contains(&user) {
            users.push(user);
        }
    }
    to.object("related", |to| {
        to.list("user", |to| users.iter().for_each(|user| to.raw_item(user)));
        to.list("ip", |to| {
            let address = line.open("client").and_then(|client| client.look_text("address"));
            if let Some(ip) = address.filter(|address| is_ip(address)) {
                to.raw_item(ip);
            }
        });
    });
}

fn user(line: &mut Part<'_>, targets: &[&str], to: &mut Object<'_>) {
    to.object("user", |to| {
        to.raw("name", line.take_text("user").unwrap_or(UNKNOWN));
        to.maybe("full_name", line.take_text("person"));
        to.maybe("email", line.open("identity").and_then(|identity| identity.look_text("email")));
        to.object("effective", |to| to.maybe("name", line.take_text("acting_as")));
        to.object("target", |to| to.maybe("name", targets.first().copied()));
    });
}

fn source(line: &mut Part<'_>, to: &mut Object<'_>) {
    let Some(client) = line.open("client") else { return };
    to.object("source", |to| {
        let address = client.take_text("address");
        to.maybe("address", address);
        to.maybe("ip", address.filter(|address| is_ip(address)));
        to.maybe("port", client.take_count("port", u64::from(u16::MAX)));
    });
}

/// Without a zone: the field's type takes none.
fn is_ip(address: &str) -> bool {
    inside(address).parse::<IpAddr>().is_ok()
}

/// ECS' labels are texts under names without dots.
fn labels(line: &mut Part<'_>, to: &mut Object<'_>) {
    let labels = line.open("labels").map(|labels| labels.take_texts(|name| !name.contains('.'))).unwrap_or_default();
    to.object("labels", |to| labels.iter().for_each(|(name, value)| to.raw_quoted(name, value)));
}

/// The engine's own fields. PostgreSQL's have some beside them that Filebeat's module has, too: copies.
fn engine(line: &mut Part<'_>, to: &mut Object<'_>) {
    let Some([product, part]) = namespace(line.word("engine")) else { return };
    line.take("engine");
    let copies = if product == "postgresql" { postgres(line) } else { Vec::new() };
    let extra = line.look("extra").and_then(Part::of);
    if extra.is_some() {
        line.take("extra");
    }
    to.object(product, |to| {
        to.object(part, |to| {
            let own = |name: &str| extra.as_ref().is_some_and(|extra| extra.look(name).is_some());
            for (name, value) in copies.into_iter().filter(|(name, _)| !own(name)) {
                to.raw(name, value);
            }
            if let Some(extra) = &extra {
                extra.write_rest(to);
            }
        });
    });
}

fn postgres<'a>(line: &mut Part<'a>) -> Vec<(&'static str, &'a str)> {
    let mut inner = |object: &str, name: &str| line.open(object).and_then(|part| part.look_text(name));
    let application = inner("client", "application");
    let (session, start) = (inner("session", "id"), inner("session", "start"));
    let all = [
        ("database", line.look_text("database")),
        ("session_id", session),
        ("session_start_time", start),
        ("application_name", application),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
