//! What the syslog destination promises beyond the suite: against rsyslog and syslog-ng, read by parsers that others wrote, and against receivers
//! that behave badly.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sealtrail::config::plan::*;
use sealtrail::schema::Schema;
use sealtrail::sink::syslog::SyslogSink;
use sealtrail::sink::syslog::fields::{FIELDS, Values};
use sealtrail::sink::{Accepted, Batch, Lines, Refusal, Sink, Step};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::far::{Far, Run, TIMEOUT, syslog_plan};
use crate::support::journal::{Journal, line};
use crate::support::s3::tool;
use crate::support::syslog::{Program, Syslog};
use crate::support::wire::Wire;

const BOTH: [Program; 2] = [Program::Rsyslog, Program::SyslogNg];

fn kind(plan: SyslogPlan) -> DestinationKind {
    DestinationKind::Syslog(Box::new(plan))
}

async fn started(program: Program, clients: bool) -> Syslog {
    tokio::task::spawn_blocking(move || Syslog::start(program, clients)).await.unwrap()
}

fn parts(far: &mut Far) -> (&mut Wire, &mut Syslog) {
    let Far::Syslog { wire, syslog, .. } = far else { panic!("no syslog") };
    (wire, syslog)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_restarted_midway_is_found_again_and_has_every_line_that_came_after() {
    // What a receiver had read and held in memory when it was ended is its own to lose, and on a busy host it does: only what it was sent since then is
    // asked for. rsyslog over TLS loses lines by a fault of its own.
    for (program, transport) in [(Program::Rsyslog, Transport::Tcp), (Program::SyslogNg, Transport::Tls)] {
        let mut journal = Journal::new();
        ten_blocks(&mut journal);
        let mut far = Far::syslog(program, transport).await;
        let plan = SyslogPlan { batch_max_bytes: 4096, ..far.syslog_plan() };
        let run = Run::start(&journal, vec![kind(plan)]);
        let mut since = 0;
        for restart in 0..3_u64 {
            let midway = restart * 1000 + 200;
            run.until("on its way", |health| health.next_line.load(Relaxed) > midway && health.problem.get().is_none())
                .await;
            let (_, syslog) = parts(&mut far);
            tokio::task::block_in_place(|| syslog.down());
            // However fast the host, there are lines for which it is not there.
            ten_blocks(&mut journal);
            run.until("not found", |health| health.problem.get().is_some()).await;
            since = run.one().next_line.load(Relaxed);
            tokio::task::block_in_place(|| syslog.up());
        }
        assert!(since < 4000, "{since} lines accepted by a receiver that was down");
        run.until("delivered", |health| health.next_line.load(Relaxed) == 4000 && health.problem.get().is_none()).await;
        run.stop().await;
        let wanted = &journal.lines[usize::try_from(since).unwrap()..];
        until_written(parts(&mut far).1, wanted.len(), |held| wanted.iter().all(|line| held.contains(line))).await;
    }
}

/// A thousand lines more.
fn ten_blocks(journal: &mut Journal) {
    for _ in 0..10 {
        journal.block(100);
    }
}

/// With either of its TLS drivers, rsyslog is safe with a connection that is kept: docs/destinations/syslog.md, "rsyslog over TLS".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_over_tls_has_every_line_once_and_in_order_over_a_connection_that_is_kept() {
    for program in [Program::Rsyslog, Program::RsyslogGnutls] {
        let (mut journal, mut far) = (Journal::new(), Far::syslog(program, Transport::Tls).await);
        for _ in 0..20 {
            journal.block(100);
        }
        let plan = SyslogPlan { confirm: false, batch_max_bytes: 4096, ..far.syslog_plan() };
        let run = Run::start(&journal, vec![kind(plan)]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        let (wire, syslog) = parts(&mut far);
        assert_eq!(*wire.connections.lock().unwrap(), 1);
        assert_eq!(syslog.written(), journal.lines, "{program:?}");
    }
}

/// GnuTLS's driver ends a connection without `close_notify`, so that nothing counts; what to do is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_close_notify_does_not_count_and_the_remedy_is_named() {
    let (journal, far) = (Journal::filled(), Far::syslog(Program::RsyslogGnutls, Transport::Tls).await);
    let run = Run::start(&journal, vec![kind(far.syslog_plan())]);
    run.until("refused twice", |health| health.retries.load(Relaxed) >= 2).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("close_notify") && problem.contains("confirm = false"), "{problem}");
    assert_eq!(run.one().next_line.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_confirmation_one_connection_is_kept_and_made_anew_when_it_broke() {
    let (mut journal, mut far) = (Journal::filled(), Far::syslog(Program::SyslogNg, Transport::Tls).await);
    let run = Run::start(&journal, vec![kind(SyslogPlan { confirm: false, ..far.syslog_plan() })]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(*parts(&mut far).0.connections.lock().unwrap(), 1);
    far.down().await;
    // What is sent before the end of the connection is here is lost: that is what this mode is told to cost.
    tokio::time::sleep(Duration::from_millis(300)).await;
    far.up().await;
    journal.block(3);
    run.until_delivered(&far, &journal).await;
    assert_eq!(*parts(&mut far).0.connections.lock().unwrap(), 2);
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_arrive_on_a_host_that_has_time() {
    for program in BOTH {
        let (journal, mut far) = (Journal::filled(), Far::syslog(program, Transport::Tcp).await);
        let port = parts(&mut far).1.udp.port();
        let plan = SyslogPlan { transport: Transport::Udp, port, host: "127.0.0.1".to_owned(), ..far.syslog_plan() };
        let run = Run::start(&journal, vec![kind(plan)]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_or_for_another_name_stops_with_an_alarm() {
    let syslog = started(Program::Rsyslog, false).await;
    let other = crate::support::certs::Certs::new();
    let elsewhere = Wire::start(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), syslog.tls).await;
    let right = syslog_plan(&syslog, Transport::Tls, "localhost", syslog.tls.port());
    let wrong_authority =
        SyslogPlan { tls: TlsPlan { ca_file: Some(other.path("ca.pem")), ..TlsPlan::default() }, ..right.clone() };
    let wrong_name = SyslogPlan { host: "127.0.0.2".to_owned(), port: elsewhere.address.port(), ..right };
    for (plan, said) in [(wrong_authority, "invalid peer certificate"), (wrong_name, "not valid for name")] {
        let journal = Journal::filled();
        let run = Run::start(&journal, vec![kind(plan)]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains(said) && problem.contains("tls.ca_file"), "{problem}");
        assert_eq!(run.one().next_line.load(Relaxed), 0);
        run.stop().await;
    }
    assert_eq!(syslog.written(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_wants_a_client_certificate_gets_it_and_nothing_counts_without() {
    for program in [Program::SyslogNg] {
        let syslog = started(program, true).await;
        let journal = Journal::filled();
        let without = syslog_plan(&syslog, Transport::Tls, "localhost", syslog.tls.port());
        let run = Run::start(&journal, vec![kind(without.clone())]);
        run.until("failing", |health| health.retries.load(Relaxed) >= 3).await;
        assert_eq!(run.one().next_line.load(Relaxed), 0, "{program:?}: {:?}", run.one());
        run.stop().await;
        assert_eq!(syslog.written(), [""; 0]);
        let mut with = without;
        with.tls.cert_file = Some(syslog.certs.path("client.pem"));
        with.tls.key_file = Some(syslog.certs.path("client.key"));
        let far =
            Far::Syslog { wire: Wire::start(syslog.tls.ip(), syslog.tls).await, syslog, transport: Transport::Tls };
        let run = Run::start(&journal, vec![kind(with)]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_is_a_dead_letter_and_the_others_arrive() {
    let mut far = Far::syslog(Program::Rsyslog, Transport::Tcp).await;
    let mut journal = Journal::new();
    let long = format!(r#"{{"type":"event","id":"f/2","statement":{{"text":"{}"}}}}"#, "x".repeat(8192));
    journal.block_of(vec![line(0), line(1), long.clone(), line(3)]);
    let run = Run::start(&journal, vec![kind(SyslogPlan { batch_max_bytes: 1 << 20, ..far.syslog_plan() })]);
    run.until("passed", |health| health.next_line.load(Relaxed) == 4).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 1);
    assert_eq!(run.one().lines_delivered.load(Relaxed), 3);
    run.stop().await;
    let folder = journal.state.path().join("dead-letter/d0");
    assert_eq!(std::fs::read_to_string(folder.join("00000000000000000002.ndjson")).unwrap(), long + "\n");
    let answer = std::fs::read_to_string(folder.join("00000000000000000002.answer.txt")).unwrap();
    assert!(answer.contains("8192") && answer.contains("message_max_bytes"), "{answer}");
    journal.lines.remove(2);
    far.assert_complete(&journal).await;
    assert_eq!(parts(&mut far).1.written().len(), 3);
}

/// With all that makes escaping hard.
fn odd_lines() -> Vec<String> {
    let event = r#"{"v":1,"type":"event","id":"f\"1]\\:7","time":"2026-11-20T20:28:31.1351234Z","user":"CORP\\jörg","person":"Jörg | Roe","action":"ALTER ROLE","resource":"a=b|c","outcome":"failure","category":"permission_change","admin":true,"engine":"postgresql","server":"db1","source":"pg","database":"shop","client":{"address":"10.0.0.9","port":5},"session":{"id":"6b00","pid":17},"statement":{"text":"SELECT 'a=1|\\'\n\t-- ] \"x\"","rows":2},"at":{"file":"/var/log/pg.csv","offset":7}}"#;
    let agent = r#"{"v":1,"type":"agent","id":"acme/test/db-1/2","time":"2026-11-20T23:13:48.199Z","user":"(agent)","action":"GAP","resource":"pg","outcome":"failure","category":"operation","message":"row 5 is missing"}"#;
    vec![event.to_owned(), agent.to_owned()]
}

/// A receiver writes in its own time.
async fn until_written(syslog: &Syslog, lines: usize, holds: impl Fn(&[String]) -> bool) {
    let begin = Instant::now();
    while !holds(&syslog.written()) {
        assert!(begin.elapsed() < Duration::from_secs(40), "{} lines of at least {lines}", syslog.written().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What parsers that others wrote read from the messages that a receiver wrote down as they came.
async fn parsed(program: Program, format: SyslogFormat) -> (Vec<String>, Vec<Value>) {
    let mut syslog = tokio::task::spawn_blocking(move || Syslog::start_for_messages(program)).await.unwrap();
    let mut journal = Journal::new();
    journal.block_of(odd_lines());
    let (transport, address) = match program {
        Program::Rsyslog | Program::RsyslogGnutls => (Transport::Tcp, syslog.tcp),
        Program::SyslogNg => (Transport::Tls, syslog.tls),
    };
    let plan = syslog_plan(&syslog, transport, "localhost", address.port());
    let run = Run::start(&journal, vec![kind(SyslogPlan { format, ..plan })]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 2).await;
    run.stop().await;
    until_written(&syslog, 2, |held| held.len() >= 2).await;
    tokio::task::block_in_place(|| syslog.down());
    let messages = syslog.written();
    let mut command = Command::new(tool("syslog-parsers/bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery/parse_syslog.py"));
    if format == SyslogFormat::Cef {
        command.arg("cef");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(messages.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    (messages, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parser_of_rfc_5424_finds_every_part_where_it_belongs() {
    for program in BOTH {
        let (_, parsed) = parsed(program, SyslogFormat::Native).await;
        assert_eq!(parsed.len(), 2);
        let (event, agent) = (&parsed[0], &parsed[1]);
        assert_eq!((&event["facility"], &event["severity"]), (&"audit".into(), &"warning".into()), "{event}");
        assert_eq!((&agent["facility"], &agent["severity"]), (&"audit".into(), &"crit".into()), "{agent}");
        assert_eq!(
            (&event["hostname"], &event["appname"], &event["msgid"]),
            (&"db-1".into(), &"sealtrail".into(), &"ALTER_ROLE".into())
        );
        assert_eq!(event["timestamp"], "2026-11-20T20:28:31.135123Z");
        let expected = serde_json::json!({
            "id": "f\"1]\\:7", "line": "0", "origin": "acme/test/db-1", "type": "event", "category": "permission_change",
            "admin": "true", "outcome": "failure",
        });
        assert_eq!(event["sd"]["sealtrail@32473"], expected);
        let bodies: Vec<&str> =
            parsed.iter().map(|one| one["msg"].as_str().unwrap().trim_start_matches('\u{feff}')).collect();
        assert_eq!(bodies, odd_lines(), "byte for byte");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parser_of_cef_finds_every_field_with_its_value() {
    let (_, parsed) = parsed(Program::Rsyslog, SyslogFormat::Cef).await;
    let cef = &parsed[0]["cef"];
    for (key, value) in [
        ("DeviceVendor", "sealtrail"),
        ("DeviceProduct", "agent"),
        ("DeviceEventClassID", "permission_change:ALTER ROLE"),
        ("DeviceName", "ALTER ROLE"),
        ("DeviceSeverity", "6"),
        ("externalId", "f\"1]\\\\:7"),
        ("rt", "1795206511135"),
        ("person", "Jörg | Roe"),
        ("suser", "CORP\\\\jörg"),
        ("resource", "a\\=b|c"),
        ("outcome", "failure"),
        ("cat", "permission_change"),
        ("src", "10.0.0.9"),
        ("spt", "5"),
        ("dpid", "17"),
        ("statement", "SELECT 'a\\=1|\\\\'\\n\t-- ] \"x\""),
        ("rows", "2"),
        ("filePath", "/var/log/pg.csv"),
    ] {
        assert_eq!(cef[key], value, "{key} of {cef}");
    }
    assert_eq!(parsed[1]["cef"]["msg"], "row 5 is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leef_is_taken_apart_by_its_delimiter() {
    let (_, parsed) = parsed(Program::SyslogNg, SyslogFormat::Leef).await;
    let body = parsed[0]["msg"].as_str().unwrap().trim_start_matches('\u{feff}');
    let head: Vec<&str> = body.splitn(7, '|').collect();
    assert_eq!(head[..6], ["LEEF:2.0", "sealtrail", "agent", env!("CARGO_PKG_VERSION"), "ALTER ROLE", "x09"]);
    let pairs: BTreeMap<&str, &str> = head[6].split('\t').map(|pair| pair.split_once('=').unwrap()).collect();
    for (key, value) in [
        ("sev", "6"),
        ("externalId", "f\"1]\\:7"),
        ("devTime", "1795206511135"),
        ("usrName", "CORP\\jörg"),
        ("person", "Jörg | Roe"),
        ("resource", "a=b|c"),
        ("src", "10.0.0.9"),
        ("statement", "SELECT 'a=1|\\'\\n\\t-- ] \"x\""),
    ] {
        assert_eq!(pairs[key], value, "{key}");
    }
}

/// Receivers that do not take a batch, over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    /// Goes at once.
    Leaves,
    /// Reads a little, and goes.
    LeavesMidway,
    /// Reads everything but the last byte, and goes.
    LeavesTheLastByte,
    /// Reads everything and stays.
    Stays,
}

async fn badly(bad: Bad, mut stream: TcpStream, bytes: usize) {
    let read = match bad {
        Bad::Leaves => 0,
        Bad::LeavesMidway => 100,
        Bad::LeavesTheLastByte | Bad::Stays => bytes - 1,
    };
    stream.read_exact(&mut vec![0; read]).await.unwrap();
    if bad == Bad::Stays {
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // The end of the agent's side is here by then.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn deliver(address: SocketAddr, plan: &SyslogPlan) -> Result<Accepted, Refusal> {
    let plan = SyslogPlan { host: "127.0.0.1".to_owned(), port: address.port(), ..plan.clone() };
    let sink = SyslogSink::new(&plan, Schema::Native, "db-1").unwrap();
    let ndjson = format!("{}\n{}\n", line(0), line(1));
    let lines = Lines { origin: "o", first: 0, last: 1, ndjson: ndjson.as_bytes(), numbers: None };
    sink.deliver(&Batch::Lines(lines)).await
}

pub fn tcp_plan() -> SyslogPlan {
    SyslogPlan {
        host: String::new(),
        port: 0,
        transport: Transport::Tcp,
        tls: TlsPlan::default(),
        format: SyslogFormat::Native,
        facility: 13,
        app_name: "sealtrail".to_owned(),
        enterprise_id: 32473,
        bom: true,
        confirm: true,
        message_max_bytes: 8192,
        batch_max_bytes: 1 << 20,
        timeout: TIMEOUT,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_which_a_receiver_left_a_byte_unread_does_not_count() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // One that reads all, to know how much that is.
    let reading = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        drop(stream);
        (listener, all.len())
    });
    let accepted = deliver(address, &tcp_plan()).await.unwrap();
    let (listener, bytes) = reading.await.unwrap();
    assert_eq!(accepted.bytes, bytes as u64);
    let plan = tcp_plan();
    for bad in [Bad::Leaves, Bad::LeavesMidway, Bad::LeavesTheLastByte, Bad::Stays] {
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(badly(bad, stream, bytes));
        };
        let (answer, ()) = tokio::join!(deliver(address, &plan), accepting);
        let Err(Refusal::Later { why, .. }) = answer else { panic!("{bad:?}: {answer:?}") };
        assert_eq!(bad == Bad::Stays, why.contains("confirm = false"), "{bad:?}: {why}");
    }
}

#[tokio::test]
async fn datagrams_to_a_port_of_this_host_where_nobody_listens_are_sent_again() {
    let free = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let answer = deliver(free, &SyslogPlan { transport: Transport::Udp, ..tcp_plan() }).await;
    assert!(matches!(answer, Err(Refusal::Later { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_probe_says_which_step_failed() {
    let syslog = started(Program::Rsyslog, false).await;
    let right = syslog_plan(&syslog, Transport::Tls, "localhost", syslog.tls.port());
    let other = crate::support::certs::Certs::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let probe = async |plan: SyslogPlan| SyslogSink::new(&plan, Schema::Native, "db-1").unwrap().probe().await;
    assert!(probe(right.clone()).await.unwrap().checked.contains("trusted"));
    let wrong = [
        (SyslogPlan { port: free, ..right.clone() }, Step::Connect),
        (SyslogPlan { host: "nowhere.invalid".to_owned(), ..right.clone() }, Step::Resolve),
        (SyslogPlan { port: syslog.tcp.port(), ..right.clone() }, Step::Tls),
        (SyslogPlan { tls: TlsPlan { ca_file: Some(other.path("ca.pem")), ..TlsPlan::default() }, ..right }, Step::Tls),
    ];
    for (plan, step) in wrong {
        assert_eq!(probe(plan).await.unwrap_err().step, step);
    }
}

/// `SEALTRAIL_BLESS=1 cargo test --test delivery table` writes it.
#[test]
fn the_page_shows_the_table_of_fields() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/destinations/syslog.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- fields: begin -->\n", "<!-- fields: end -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = "| field of the record | CEF | LEEF |\n|---|---|---|\n".to_owned();
    for field in FIELDS {
        let values = match field.values {
            Values::Any => "",
            Values::Times => ", as milliseconds since 1970",
            Values::Ipv4 => ", if it is an IPv4 address",
            Values::Ipv6 => ", if it is an IPv6 address",
            Values::Names => ", if it is no address",
        };
        let label =
            if field.label.is_empty() { String::new() } else { format!(" (`{}Label={}`)", field.cef, field.label) };
        table += &format!("| `{}`{values} | `{}`{label} | `{}` |\n", field.path, field.cef, field.leef);
    }
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("SEALTRAIL_BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "the table is another: SEALTRAIL_BLESS=1 cargo test --test delivery table");
}
