//! Writes an event: what all classes have, then what its class has, then what no place was found for.
//!
//! The order matters in one way: what is taken first is not there for a later place. Where a value stands in two places, it is
//! looked at for the first and taken for the second. The profiles `host` and `datetime` are on each event: they bring `device`,
//! `actor` for the classes that have none, and the times as text, which lose nothing.

use std::net::IpAddr;

use super::super::object::Object;
use super::super::part::{Part, inside};
use super::super::table::{Kind, find};
use super::super::{unix_ms, write_bytes};
use super::{Class, Event, MAPPING, TABLE, VERSION};

/// In the place of what the schema requires and the record does not have.
const UNKNOWN: &str = "\"(unknown)\"";
const OURSELVES: &str = "\"Sealtrail\"";
const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

const FOREIGN: Event = Event { class: Class::Base, activity: 0 };

/// Writes a line of the trail; `leaf` is its hash in the trail's tree.
pub fn write(line: &mut Part<'_>, leaf: &str, to: &mut Object<'_>) {
    let kind = Kind::of(line);
    let event = find(TABLE, kind, line).map_or(FOREIGN, |row| row.then);
    let id = line.look_text("id");
    let engine = line.look_text("engine");
    let server = line.look_text("server");
    to.begin();
    class(event, line.look_text("action"), to);
    severity(line, to);
    times(line, to);
    status(line, to);
    to.maybe("message", message(event.class, line));
    body(event, line, Said { id, engine, server }, to);
    actor(event.class, line, to);
    metadata(kind, line, id, to);
    device(line, to);
    enrichments(line, to);
    raw(line, to);
    to.object("unmapped", |to| {
        if let Some((engine, extra)) = engine.and_then(|engine| Some((engine, line.take("extra")?))) {
            to.raw_quoted(engine, extra);
        }
        to.object("sealtrail", |to| {
            line.write_rest(to);
            to.word("leaf_hash", leaf);
        });
    });
    to.end();
}

/// Writes what is no JSON object.
pub fn write_foreign(line: &[u8], leaf: &str, to: &mut Object<'_>) {
    to.begin();
    class(FOREIGN, None, to);
    to.number("severity_id", 0);
    to.number("time", 0);
    to.object("metadata", |to| {
        to.word("version", VERSION);
        product(OURSELVES, to);
    });
    to.bytes("raw_data", line);
    to.object("unmapped", |to| {
        to.object("sealtrail", |to| {
            write_bytes(line, to);
            to.word("leaf_hash", leaf);
        });
    });
    to.end();
}

/// What a class looks at, though it may have been taken for another place.
#[derive(Clone, Copy)]
struct Said<'a> {
    id: Option<&'a str>,
    engine: Option<&'a str>,
    server: Option<&'a str>,
}

fn class(event: Event, action: Option<&str>, to: &mut Object<'_>) {
    let ((uid, name), (category, category_name)) = (event.class.caption(), event.class.category());
    to.number("activity_id", i64::from(event.activity));
    match event.activity_name() {
        Some(activity) => to.word("activity_name", activity),
        None => to.raw("activity_name", action.unwrap_or(UNKNOWN)),
    }
    to.number("category_uid", i64::from(category));
    to.word("category_name", category_name);
    to.number("class_uid", i64::from(uid));
    to.word("class_name", name);
    to.number("type_uid", i64::from(event.type_uid()));
}

fn severity(line: &Part<'_>, to: &mut Object<'_>) {
    let (id, caption) = severity_of(line);
    to.number("severity_id", id);
    to.word("severity", caption);
}

/// What somebody should look at is above informational: the audit switched off, an account for emergencies, what failed.
fn severity_of(line: &Part<'_>) -> (i64, &'static str) {
    let has_failed = line.word("outcome") == "failure";
    let has_flag =
        |name| line.look("flags").is_some() && line.texts("flags").into_iter().any(|flag| inside(flag) == name);
    if has_flag("audit_tampering") || (has_failed && Kind::of(line) == Kind::Agent) {
        (4, "High")
    } else if line.look("break_glass") == Some("true") {
        (3, "Medium")
    } else if has_failed || line.word("category") == "unparsed" {
        (2, "Low")
    } else {
        (1, "Informational")
    }
}

fn times(line: &mut Part<'_>, to: &mut Object<'_>) {
    let time = line.look_text("time").unwrap_or_default();
    let ms = unix_ms(time);
    to.number("time", ms);
    if ms != 0 {
        line.take("time");
        to.raw("time_dt", time);
    }
    if let Some(ms) = line.open("session").and_then(|session| session.take_count("length_ms", i64::MAX as u64)) {
        to.raw("duration", ms);
    }
}

fn status(line: &mut Part<'_>, to: &mut Object<'_>) {
    let (id, caption) = match line.word("outcome") {
        "success" => (1, "Success"),
        "failure" => (2, "Failure"),
        _ => (0, "Unknown"),
    };
    if matches!(line.word("outcome"), "success" | "failure" | "unknown") {
        line.take("outcome");
    }
    to.number("status_id", id);
    to.word("status", caption);
    if let Some(error) = line.open("error") {
        to.maybe("status_code", error.take_text("code"));
        to.maybe("status_detail", error.take_text("message"));
    }
}

/// The agent's own words; of a row the server's, or why it could not be read. A row's stay in their own place, too.
fn message<'a>(class: Class, line: &mut Part<'a>) -> Option<&'a str> {
    let own = line.take_text("message");
    let own = own.or_else(|| line.open("extra").and_then(|it| it.look_text("message").or(it.look_text("reason"))));
    own.or_else(|| line.open("error").filter(|_| class == Class::Error)?.look_text("message"))
}

fn metadata(kind: Kind, line: &mut Part<'_>, id: Option<&str>, to: &mut Object<'_>) {
    let as_written = line.open("extra").and_then(|extra| extra.look_text("log_time"));
    to.object("metadata", |to| {
        to.word("version", VERSION);
        product(line.take_text("engine").unwrap_or(OURSELVES), to);
        to.list("profiles", |to| {
            to.raw_item("\"datetime\"");
            to.raw_item("\"host\"");
        });
        if id.is_some() {
            to.maybe("uid", line.take_text("id"));
        }
        to.maybe("event_code", line.take_text("action"));
        to.maybe("original_time", as_written);
        to.maybe("log_name", line.take_text("source"));
        to.maybe("log_source", line.open("at").and_then(|at| at.take_text("file")));
        to.maybe("log_format", line.take_text("format"));
        to.maybe("sequence", line.open("session").and_then(|session| session.take_count("line", i32::MAX as u64)));
        tags(line, to);
        if kind == Kind::Event {
            to.list("loggers", |to| {
                to.item(|to| {
                    to.raw("name", OURSELVES);
                    to.word("version", AGENT_VERSION);
                });
            });
        }
        to.list("transformation_info_list", |to| {
            to.item(|to| {
                to.word("name", "Sealtrail OCSF mapping");
                to.word("uid", MAPPING);
            });
        });
    });
}

fn product(name: &str, to: &mut Object<'_>) {
    to.object("product", |to| {
        to.raw("name", name);
        if name == OURSELVES {
            to.word("version", AGENT_VERSION);
        }
    });
}

/// The source's labels.
fn tags(line: &mut Part<'_>, to: &mut Object<'_>) {
    let labels = line.open("labels").map(|labels| labels.take_texts(|_| true)).unwrap_or_default();
    to.list("tags", |to| {
        for (name, value) in labels {
            to.item(|to| {
                to.raw("name", name);
                to.raw("value", value);
            });
        }
    });
}

fn device(line: &mut Part<'_>, to: &mut Object<'_>) {
    if let Some(server) = line.take_text("server") {
        to.object("device", |to| {
            to.number("type_id", 1);
            to.word("type", "Server");
            to.raw("name", server);
        });
    }
}

fn actor(class: Class, line: &mut Part<'_>, to: &mut Object<'_>) {
    to.object("actor", |to| {
        user(line, to);
        to.maybe("app_name", line.open("client").and_then(|client| client.take_text("application")));
        let Some(session) = line.open("session") else { return };
        if class != Class::Authentication {
            to.object("session", |to| write_session(session, to));
        }
        let pid = session.take_count("pid", i32::MAX as u64);
        to.object("process", |to| to.maybe("pid", pid));
    });
}

/// The account, and beside it who is behind it, as far as that is known; all that is known of that is in the enrichment.
fn user(line: &mut Part<'_>, to: &mut Object<'_>) {
    let person = line.look_text("person");
    let identity = line.open("identity");
    let email = identity.as_ref().and_then(|it| it.look_text("email")).filter(|email| is_email(inside(email)));
    let kind = identity.map_or("", |it| it.word("kind"));
    let (type_id, type_name) = match kind {
        _ if line.word("user") == "(internal)" => (3, "System"),
        "human" => (1, "User"),
        "break_glass" => (2, "Admin"),
        "service" => (4, "Service"),
        _ => (0, "Unknown"),
    };
    to.object("user", |to| {
        to.raw("name", line.look_text("user").unwrap_or(UNKNOWN));
        to.number("type_id", type_id);
        to.word("type", type_name);
        to.maybe("full_name", person);
        to.maybe("email_addr", email);
    });
}

fn enrichments(line: &mut Part<'_>, to: &mut Object<'_>) {
    // Taken last, since others look at them.
    let user = line.take_text("user").unwrap_or(UNKNOWN);
    let (person, identity) = (line.take_text("person"), line.take("identity"));
    if person.is_none() && identity.is_none() {
        return;
    }
    to.list("enrichments", |to| {
        to.item(|to| {
            to.word("name", "actor.user.name");
            to.raw("value", user);
            to.word("type", "identity");
            to.word("provider", "Sealtrail");
            to.object("data", |to| {
                to.maybe("person", person);
                to.maybe("identity", identity);
            });
        });
    });
}

fn write_session(session: &mut Part<'_>, to: &mut Object<'_>) {
    to.maybe("uid", session.take_text("id"));
    let start = session.look_text("start").map(|start| (start, unix_ms(start))).filter(|(_, ms)| *ms != 0);
    if let Some((text, ms)) = start {
        session.take("start");
        to.number("created_time", ms);
        to.raw("created_time_dt", text);
    }
}

/// Bytes that are no row, and what is known of a row's own.
fn raw(line: &mut Part<'_>, to: &mut Object<'_>) {
    to.maybe("raw_data", line.take_text("raw"));
    to.maybe("raw_data_size", line.open("at").and_then(|at| at.take_count("length", i64::MAX as u64)));
    let hash = line.open("oversize").and_then(|oversize| oversize.take_text("sha256"));
    if let Some(hash) = hash {
        to.object("raw_data_hash", |to| {
            to.number("algorithm_id", 3);
            to.word("algorithm", "SHA-256");
            to.raw("value", hash);
        });
    }
}

/// What the class has of its own.
fn body(event: Event, line: &mut Part<'_>, said: Said<'_>, to: &mut Object<'_>) {
    match event.class {
        Class::Base | Class::Error => return,
        Class::Lifecycle => return to.object("app", |to| product_of(said.engine, to)),
        Class::Account => target(account(line), to),
        Class::Authentication => authentication(event.activity == SWITCH, line, said, to),
        Class::Entity => entity(line, to),
        Class::Access => access(line, to),
        Class::Group => group(line, to),
        Class::Datastore => datastore(line, said, to),
    }
    source(event.class, line, to);
}

fn product_of(engine: Option<&str>, to: &mut Object<'_>) {
    to.raw("name", engine.unwrap_or(OURSELVES));
    if engine.is_none() {
        to.word("version", AGENT_VERSION);
    }
}

fn target(name: &str, to: &mut Object<'_>) {
    to.object("user", |to| to.raw("name", name));
}

fn account<'a>(line: &mut Part<'a>) -> &'a str {
    first(line, "role", "names").unwrap_or_else(|| resource(line))
}

fn resource<'a>(line: &Part<'a>) -> &'a str {
    line.look_text("resource").unwrap_or(UNKNOWN)
}

/// The first text of a list in an object.
fn first<'a>(line: &mut Part<'a>, object: &str, list: &str) -> Option<&'a str> {
    line.open(object)?.texts(list).first().copied()
}

fn grantee<'a>(line: &mut Part<'a>) -> Option<&'a str> {
    first(line, "grant", "to").or_else(|| first(line, "grant", "from"))
}

/// The activity Account Switch.
const SWITCH: u8 = 7;

/// `user` is who came or left; of a switch whom the session becomes, which is the account itself where a role is given up.
fn authentication(is_switch: bool, line: &mut Part<'_>, said: Said<'_>, to: &mut Object<'_>) {
    let names_account = is_switch && matches!(line.word("resource_type"), "role" | "user" | "login");
    let becomes = line.look_text(if names_account { "resource" } else { "user" });
    target(becomes.unwrap_or(UNKNOWN), to);
    if is_switch {
        let impersonates = ["IMPERSONATE", "EXECUTE AS"].iter().any(|it| line.word("action").starts_with(it));
        let (id, caption) = if impersonates { (2, "Impersonate") } else { (1, "Substitute User") };
        to.number("account_switch_type_id", id);
        to.word("account_switch_type", caption);
    }
    to.object("service", |to| to.raw("name", said.engine.unwrap_or(OURSELVES)));
    if let Some(session) = line.open("session") {
        to.object("session", |to| write_session(session, to));
    }
    if let Some(method) = line.open("authentication") {
        auth_protocol(method, to);
    }
    destination(said, to);
}

/// The schema's word where it has one, and the method stays among what it has no place for; else the method itself.
fn auth_protocol(authentication: &mut Part<'_>, to: &mut Object<'_>) {
    // PostgreSQL's names.
    let (id, caption) = match authentication.word("method") {
        "gss" | "sspi" => (2, "Kerberos"),
        "ldap" => (12, "LDAP"),
        "radius" => (10, "RADIUS"),
        "oauth" => (6, "OAUTH 2.0"),
        _ => {
            let Some(method) = authentication.take_text("method") else { return };
            to.number("auth_protocol_id", 99);
            return to.raw("auth_protocol", method);
        }
    };
    to.number("auth_protocol_id", id);
    to.word("auth_protocol", caption);
}

fn entity(line: &mut Part<'_>, to: &mut Object<'_>) {
    let is_policy = line.word("resource_type").contains("policy");
    to.object("entity", |to| {
        to.raw("name", resource(line));
        to.number("type_id", if is_policy { 5 } else { 99 });
        to.maybe("type", if is_policy { Some("\"Policy\"") } else { line.look_text("resource_type") });
    });
}

fn access(line: &mut Part<'_>, to: &mut Object<'_>) {
    target(grantee(line).unwrap_or(UNKNOWN), to);
    let (privileges, on) = match line.open("grant") {
        Some(grant) => (grant.texts("privileges"), grant.parts("on")),
        None => Default::default(),
    };
    to.list("privileges", |to| privileges.into_iter().for_each(|privilege| to.raw_item(privilege)));
    let mut named = on.iter().filter_map(|on| Some((on.look_text("name")?, on.look_text("type")))).peekable();
    to.list("resources", |to| {
        if named.peek().is_none() {
            to.item(|to| {
                to.raw("name", resource(line));
                to.maybe("type", line.look_text("resource_type"));
            });
        }
        for (name, kind) in named {
            to.item(|to| {
                to.raw("name", name);
                to.maybe("type", kind);
            });
        }
    });
}

fn group(line: &mut Part<'_>, to: &mut Object<'_>) {
    let name = first(line, "grant", "roles").or_else(|| first(line, "role", "names")).unwrap_or_else(|| resource(line));
    to.object("group", |to| to.raw("name", name));
    if let Some(user) = grantee(line) {
        target(user, to);
    }
}

fn datastore(line: &mut Part<'_>, said: Said<'_>, to: &mut Object<'_>) {
    let kind = line.look_text("resource_type");
    let (type_id, type_name) = match kind.map_or("", inside) {
        "database" | "server" => (1, "\"Database\""),
        "table" | "relation" | "view" | "materialized view" | "foreign table" | "collection" | "temporary table" => {
            (3, "\"Table\"")
        }
        _ => (99, kind.unwrap_or(UNKNOWN)),
    };
    to.number("type_id", type_id);
    to.raw("type", type_name);
    to.object("database", |to| {
        let is_documents = said.engine == Some("\"mongodb\"");
        to.number("type_id", if is_documents { 6 } else { 1 });
        to.word("type", if is_documents { "NoSQL" } else { "Relational" });
        to.raw("name", line.take_text("database").or(said.server).unwrap_or(UNKNOWN));
    });
    if type_id == 3 {
        to.object("table", |to| to.raw("name", resource(line)));
    }
    if let Some(text) = line.open("statement").and_then(|statement| statement.take_text("text")) {
        to.object("query_info", |to| {
            to.raw("uid", said.id.unwrap_or(UNKNOWN));
            to.raw("query_string", text);
        });
    }
    destination(said, to);
}

fn destination(said: Said<'_>, to: &mut Object<'_>) {
    to.object("dst_endpoint", |to| {
        to.maybe("name", said.server);
        to.maybe("svc_name", said.engine);
    });
}

/// Where it came from. Datastore Activity must say so: what came over no connection came from `(unknown)`.
fn source(class: Class, line: &mut Part<'_>, to: &mut Object<'_>) {
    to.object("src_endpoint", |to| match line.open("client") {
        Some(client) => endpoint(client, class == Class::Datastore, to),
        None if class == Class::Datastore => to.raw("name", UNKNOWN),
        None => {}
    });
}

fn endpoint(client: &mut Part<'_>, is_required: bool, to: &mut Object<'_>) {
    let address = client.take_text("address");
    match address {
        Some("\"[local]\"") => to.raw("name", "\"[local]\""),
        Some(address) if is_ip(inside(address)) => to.raw("ip", address),
        Some(address) => to.raw("hostname", address),
        None if is_required => to.raw("name", UNKNOWN),
        // The schema has no endpoint of a port alone.
        None => return,
    }
    to.maybe("port", client.take_count("port", u64::from(u16::MAX)));
}

/// The schema takes no longer one.
const IP_MAX: usize = 40;

/// Also with a zone behind it: `fe80::1%eth0`.
fn is_ip(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    text.len() <= IP_MAX && address.parse::<IpAddr>().is_ok()
}

/// What the schema takes for one.
fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let Some((host, rest)) = domain.split_once('.') else { return false };
    let is_host =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    !name.is_empty() && name.bytes().all(is_name) && is_host(host) && rest.split('.').all(is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_address_and_a_name_is_none() {
        for text in ["127.0.0.1", "::1", "fe80::1%eth0", "2001:db8::ff00:42:8329"] {
            assert!(is_ip(text), "{text}");
        }
        for text in ["", "localhost", "1.2.3", "[local]", "%eth0", "0000:0000:0000:0000:0000:ffff:192.168.100.228"] {
            assert!(!is_ip(text), "{text}");
        }
    }

    #[test]
    fn an_email_address_is_what_the_schema_takes_for_one() {
        for text in ["a@b.c", "ann.o'hara+x@mail.example.com"] {
            assert!(is_email(text), "{text}");
        }
        for text in ["", "a", "a@b", "@b.c", "a b@c.d", "a@b..c", "a\\u0000@b.c", "a@@b.c", "a@.c"] {
            assert!(!is_email(text), "{text}");
        }
    }
}
