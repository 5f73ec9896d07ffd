//! A cluster of Kafka, as far as a producer sees it: after the protocol's description and what the broker does with sequence numbers
//! (`ProducerStateManager`). Requests are read, and answers written, by `kafka-protocol`, which was made from Kafka's own message definitions.
//!
//! It is strict: what a broker need not understand is kept in `wrong`, and the connection ends.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use kafka_protocol::records::{Compression, RecordBatchDecoder};
use rustix::process::Pid;
use sha2::{Digest, Sha256, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::front::{SLOW, kill9, kill9_at_answer};
use crate::support::place::Place;

pub const TOPIC: &str = "audit";
/// A broker remembers so many batches of a producer.
const BATCHES_REMEMBERED: usize = 5;
const ROUNDS: u32 = 4096;
const SALT: &[u8] = b"some salt of ours";

/// What happens to one batch.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Not taken, with this error code.
    Code(i16),
    /// The same, and this many milliseconds of throttle.
    CodeAndThrottle(i16, i32),
    /// Taken, with this error code all the same.
    TakenCode(i16),
    /// Taken, and throttled.
    Throttle(i32),
    /// Not even read.
    StallBefore,
    /// Taken, and no answer.
    StallAfter,
    /// The connection breaks while it is on its way.
    Reset,
    /// Taken, and the connection breaks before the answer.
    ResetAfter,
    /// Taken, and answered with these bytes as the frame.
    Garbage(Vec<u8>),
    /// Taken by the old leader; the next look finds another.
    LeaderMoves(i32),
    /// As if there were none.
    Nothing,
    /// The answer takes a while.
    Slow,
    /// Taken, and who sent it is killed before the answer.
    KillBeforeAnswer(Pid),
    /// Taken and answered, and who sent it is killed about when he reads it.
    KillAtAnswer(Pid),
}

/// How the cluster is.
#[derive(Debug, Clone)]
pub struct Rules {
    pub partitions: i32,
    /// Which node leads all of them; -1: none.
    pub leader: i32,
    pub message_max_bytes: usize,
    /// A record with this in it is refused, and with it the batch.
    pub poison: Option<&'static str>,
    /// The code of the topic in Metadata.
    pub topic_code: i16,
    /// The topic's operations, as bits.
    pub operations: i32,
    pub cleanup_policy: &'static str,
    /// Who may come in: mechanism, user, password (or token).
    pub login: Option<(&'static str, &'static str, &'static str)>,
    pub lifetime_ms: i64,
    /// The highest version of Produce.
    pub produce_most: i16,
    pub init_code: i16,
    /// The highest version of InitProducerId.
    pub init_most: i16,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            partitions: 3,
            leader: 0,
            message_max_bytes: 1_048_588,
            poison: None,
            topic_code: 0,
            operations: 1 << 4,
            cleanup_policy: "delete",
            login: None,
            lifetime_ms: 0,
            produce_most: 13,
            init_code: 0,
            init_most: 5,
        }
    }
}

/// A record that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub node: i32,
    pub partition: i32,
    pub producer: i64,
    pub sequence: i32,
    pub time_ms: i64,
    pub key: String,
    pub value: String,
    pub headers: Vec<(String, String)>,
    pub compression: Compression,
}

/// Batches that were taken, as their first and last number.
type Batches = VecDeque<(i32, i32)>;

#[derive(Default)]
pub struct Shared {
    pub rules: Mutex<Rules>,
    pub faults: Mutex<VecDeque<Fault>>,
    /// What happens where there is no fault.
    pub state: Mutex<Option<Fault>>,
    pub kept: Mutex<Vec<Kept>>,
    /// When batches came, and with which code they were answered.
    pub seen: Mutex<Vec<(Instant, i16)>>,
    /// What no broker need understand.
    pub wrong: Mutex<Vec<String>>,
    pub connections: AtomicUsize,
    pub logins: AtomicUsize,
    /// By producer and partition.
    remembered: Mutex<BTreeMap<(i64, i32), Batches>>,
    producers: Mutex<i64>,
}

struct Node {
    place: Place,
    task: Option<JoinHandle<()>>,
}

pub struct Cluster {
    pub shared: Arc<Shared>,
    nodes: Vec<Node>,
    tls: Option<TlsAcceptor>,
}

impl Cluster {
    /// Of two brokers.
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        let mut cluster = Cluster { shared: Arc::default(), nodes: Vec::new(), tls };
        for _ in 0..2 {
            cluster.nodes.push(Node { place: Place::take(Ipv4Addr::LOCALHOST.into()), task: None });
        }
        cluster.up().await;
        cluster
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.place.address).collect()
    }

    pub fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.rules.lock().unwrap());
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().extend(faults);
    }

    pub fn kept(&self) -> Vec<Kept> {
        assert_eq!(*self.shared.wrong.lock().unwrap(), Vec::<String>::new(), "no broker need understand this");
        self.shared.kept.lock().unwrap().clone()
    }

    /// All lines, also those that came twice.
    pub fn lines(&self) -> Vec<String> {
        self.kept().into_iter().map(|kept| kept.value).collect()
    }

    pub fn codes(&self) -> Vec<i16> {
        self.shared.seen.lock().unwrap().iter().map(|(_, code)| *code).collect()
    }

    pub async fn down(&mut self) {
        for node in 0..self.nodes.len() {
            self.node_down(node).await;
        }
    }

    pub async fn node_down(&mut self, node: usize) {
        if let Some(task) = self.nodes[node].task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub async fn up(&mut self) {
        for node in 0..self.nodes.len() {
            self.serve(node, self.nodes[node].place.listen());
        }
    }

    fn serve(&mut self, node: usize, listener: TcpListener) {
        let (shared, tls, addresses) = (Arc::clone(&self.shared), self.tls.clone(), self.addresses());
        self.nodes[node].task = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Relaxed);
                let broker = Broker { node: node as i32, addresses: addresses.clone(), shared: Arc::clone(&shared) };
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        None => broker.talk(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                broker.talk(stream).await;
                            }
                        }
                    }
                });
            }
        }));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for task in self.nodes.iter().filter_map(|node| node.task.as_ref()) {
            task.abort();
        }
    }
}

/// One broker's side of a connection.
struct Broker {
    node: i32,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

/// How far a client is in.
#[derive(Debug, Clone, PartialEq)]
enum Stand {
    Outside,
    Chosen(String),
    /// Our nonce is in it: what was said so far.
    Challenged(String, String),
    Inside,
}

/// What follows an answer.
enum Next {
    Answer(BytesMut),
    End,
    Reset,
    Stall,
}

trait CanReset {
    fn reset(self);
}

impl CanReset for TcpStream {
    #[allow(deprecated)] // With zero it waits for nothing.
    fn reset(self) {
        self.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl CanReset for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}

impl Broker {
    async fn talk<S: AsyncRead + AsyncWrite + CanReset + Unpin>(&self, mut stream: S) {
        let has_login = self.shared.rules.lock().unwrap().login.is_some();
        let mut stand = if has_login { Stand::Outside } else { Stand::Inside };
        while let Ok(length) = stream.read_i32().await {
            // As `socket.request.max.bytes`: a client that speaks TLS where none is wanted comes here.
            if !(8..100 << 20).contains(&length) {
                return;
            }
            let Ok(key) = stream.read_i16().await else { return };
            let fault = if key == ApiKey::Produce as i16 { self.shared.fault() } else { None };
            match fault {
                Some(Fault::StallBefore) => std::future::pending().await,
                Some(Fault::Reset) => return stream.reset(),
                _ => {}
            }
            let mut frame = vec![0; length as usize];
            frame[..2].copy_from_slice(&key.to_be_bytes());
            if stream.read_exact(&mut frame[2..]).await.is_err() {
                return;
            }
            match self.answer(frame.into(), fault.clone(), &mut stand) {
                Ok(Next::Answer(answer)) => {
                    match fault {
                        Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
                        Some(Fault::KillBeforeAnswer(pid)) => return kill9(pid),
                        Some(Fault::KillAtAnswer(pid)) => kill9_at_answer(pid),
                        _ => {}
                    }
                    if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Ok(Next::End) => return,
                Ok(Next::Reset) => return stream.reset(),
                Ok(Next::Stall) => std::future::pending().await,
                Err(wrong) => {
                    self.shared.wrong.lock().unwrap().push(wrong);
                    return;
                }
            }
        }
    }

    fn answer(&self, mut frame: Bytes, fault: Option<Fault>, stand: &mut Stand) -> Result<Next, String> {
        let (key, version) = ((&frame[..2]).get_i16(), (&frame[2..4]).get_i16());
        let key = ApiKey::try_from(key).map_err(|()| format!("no api {key}"))?;
        let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).map_err(said)?;
        if header.client_id.as_deref() != Some("sealtrail") {
            return Err(format!("client {:?}", header.client_id));
        }
        let opens = [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];
        if *stand != Stand::Inside && !opens.contains(&key) {
            // As Kafka does: what wants a login says nothing to those without.
            return Ok(Next::End);
        }
        let most = |key: ApiKey| match key {
            ApiKey::Produce => self.shared.rules.lock().unwrap().produce_most,
            ApiKey::InitProducerId => self.shared.rules.lock().unwrap().init_most,
            key => key.valid_versions().max,
        };
        if !(key.valid_versions().min..=most(key)).contains(&version) {
            return Err(format!("{key:?} of version {version}"));
        }
        let number = header.correlation_id;
        match key {
            ApiKey::ApiVersions => {
                let _: ApiVersionsRequest = whole(&mut frame, version)?;
                let known = [
                    ApiKey::Produce,
                    ApiKey::Metadata,
                    ApiKey::ApiVersions,
                    ApiKey::InitProducerId,
                    ApiKey::SaslHandshake,
                    ApiKey::SaslAuthenticate,
                    ApiKey::DescribeConfigs,
                ];
                let all = known.map(|key| {
                    let api = ApiVersion::default().with_api_key(key as i16);
                    api.with_min_version(key.valid_versions().min).with_max_version(most(key))
                });
                reply(number, version, &ApiVersionsResponse::default().with_api_keys(all.to_vec()))
            }
            ApiKey::SaslHandshake => reply(number, version, &self.handshake(whole(&mut frame, version)?, stand)),
            ApiKey::SaslAuthenticate => reply(number, version, &self.authenticate(whole(&mut frame, version)?, stand)?),
            ApiKey::Metadata => reply(number, version, &self.metadata(&whole(&mut frame, version)?)?),
            ApiKey::InitProducerId => {
                let request: InitProducerIdRequest = whole(&mut frame, version)?;
                if request.transactional_id.is_some() {
                    return Err("a transaction".to_owned());
                }
                let mut last = self.shared.producers.lock().unwrap();
                *last += 1;
                let answer = InitProducerIdResponse::default().with_producer_id(ProducerId(*last + 1000));
                reply(number, version, &answer.with_error_code(self.shared.rules.lock().unwrap().init_code))
            }
            ApiKey::DescribeConfigs => {
                let request: DescribeConfigsRequest = whole(&mut frame, version)?;
                let asked = &request.resources[0];
                assert_eq!((asked.resource_type, &*asked.resource_name), (2, TOPIC));
                assert_eq!(asked.configuration_keys, None);
                let policy = self.shared.rules.lock().unwrap().cleanup_policy;
                let other = DescribeConfigsResourceResult::default().with_name("compression.type".into());
                let config = DescribeConfigsResourceResult::default().with_name("cleanup.policy".into());
                let config = config.with_value(Some(policy.into()));
                let result = DescribeConfigsResult::default().with_resource_type(2).with_resource_name(TOPIC.into());
                let result = result.with_configs(vec![other, config]);
                reply(number, version, &DescribeConfigsResponse::default().with_results(vec![result]))
            }
            ApiKey::Produce => self.produce(number, version, whole(&mut frame, version)?, fault),
            other => Err(format!("{other:?}")),
        }
    }

    fn metadata(&self, request: &MetadataRequest) -> Result<MetadataResponse, String> {
        let rules = self.shared.rules.lock().unwrap();
        let asked = request.topics.as_ref().and_then(|topics| topics[0].name.clone()).ok_or("no topic")?;
        if request.allow_auto_topic_creation {
            return Err("would make the topic".to_owned());
        }
        let brokers = self.addresses.iter().enumerate().map(|(node, address)| {
            let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node as i32));
            broker.with_host("localhost".into()).with_port(address.port().into())
        });
        let code = if &*asked.0 == TOPIC { rules.topic_code } else { 3 };
        let partitions = (0..rules.partitions).map(|index| {
            let partition = MetadataResponsePartition::default().with_partition_index(index);
            partition.with_leader_id(BrokerId(rules.leader)).with_error_code(if rules.leader < 0 { 5 } else { 0 })
        });
        let partitions = if code == 0 { partitions.collect() } else { Vec::new() };
        let topic = MetadataResponseTopic::default().with_name(Some(asked)).with_error_code(code);
        let topic = topic.with_partitions(partitions).with_topic_authorized_operations(rules.operations);
        let answer = MetadataResponse::default().with_brokers(brokers.collect()).with_topics(vec![topic]);
        Ok(answer.with_cluster_id(Some("a cluster".into())))
    }

    fn produce(
        &self,
        number: i32,
        version: i16,
        request: ProduceRequest,
        fault: Option<Fault>,
    ) -> Result<Next, String> {
        let [topic] = &request.topic_data[..] else { return Err("not one topic".to_owned()) };
        let [partition] = &topic.partition_data[..] else { return Err("not one partition".to_owned()) };
        if &*topic.name.0 != TOPIC || request.acks != -1 || request.timeout_ms <= 0 {
            return Err(format!("{request:?}"));
        }
        let refused = match &fault {
            Some(Fault::Code(code)) => Some(*code),
            Some(Fault::CodeAndThrottle(code, _)) => Some(*code),
            _ => None,
        };
        let code = match refused {
            Some(code) => code,
            None => self.append(partition.index, partition.records.clone().ok_or("no records")?)?,
        };
        let code = if let (Some(Fault::TakenCode(instead)), 0) = (&fault, code) { *instead } else { code };
        self.shared.seen.lock().unwrap().push((Instant::now(), code));
        let throttle = match &fault {
            Some(Fault::Throttle(millis) | Fault::CodeAndThrottle(_, millis)) => *millis,
            _ => 0,
        };
        match fault {
            Some(Fault::StallAfter) => return Ok(Next::Stall),
            Some(Fault::ResetAfter) => return Ok(Next::Reset),
            Some(Fault::LeaderMoves(leader)) => {
                self.shared.rules.lock().unwrap().leader = leader;
                return Ok(Next::Reset);
            }
            Some(Fault::Garbage(bytes)) => return Ok(Next::Answer(bytes[..].into())),
            _ => {}
        }
        let mut answer = PartitionProduceResponse::default().with_index(partition.index).with_error_code(code);
        if code != 0 {
            answer = answer.with_error_message(Some("what the broker says of it".into()));
        }
        let answer =
            TopicProduceResponse::default().with_name(topic.name.clone()).with_partition_responses(vec![answer]);
        let answer = ProduceResponse::default().with_responses(vec![answer]).with_throttle_time_ms(throttle);
        reply(number, version, &answer)
    }

    /// The error code.
    fn append(&self, partition: i32, mut batch: Bytes) -> Result<i16, String> {
        let rules = self.shared.rules.lock().unwrap().clone();
        if self.node != rules.leader || !(0..rules.partitions).contains(&partition) {
            return Ok(6);
        }
        let bytes = batch.len();
        let set = RecordBatchDecoder::decode_with_custom_compression(
            &mut batch,
            Some(|packed: &mut Bytes, compression: Compression| Ok(plain(packed, compression))),
        );
        let set = set.map_err(said)?;
        if batch.has_remaining() {
            return Err("more than one batch".to_owned());
        }
        if bytes > rules.message_max_bytes {
            return Ok(10);
        }
        let records = set.records;
        let (first, last) = (&records[0], &records[records.len() - 1]);
        let of_producer = (first.producer_id, partition);
        if first.producer_id < 1000 || first.producer_epoch != 0 {
            return Err("no idempotent producer".to_owned());
        }
        let kept: Vec<Kept> = records.iter().map(|record| self.kept(partition, record, set.compression)).collect();
        if kept.iter().any(|kept| rules.poison.is_some_and(|poison| kept.value.contains(poison))) {
            return Ok(87);
        }
        let mut remembered = self.shared.remembered.lock().unwrap();
        let remembered = remembered.entry(of_producer).or_default();
        if remembered.contains(&(first.sequence, last.sequence)) {
            return Ok(0);
        }
        let next = remembered.back().map_or(0, |(_, last)| last + 1);
        if first.sequence != next {
            return Ok(if first.sequence < next { 46 } else { 45 });
        }
        remembered.push_back((first.sequence, last.sequence));
        if remembered.len() > BATCHES_REMEMBERED {
            remembered.pop_front();
        }
        self.shared.kept.lock().unwrap().extend(kept);
        Ok(0)
    }

    fn kept(&self, partition: i32, record: &kafka_protocol::records::Record, compression: Compression) -> Kept {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = record.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_ref().unwrap())));
        Kept {
            node: self.node,
            partition,
            producer: record.producer_id,
            sequence: record.sequence,
            time_ms: record.timestamp,
            key: text(record.key.as_ref().unwrap()),
            value: text(record.value.as_ref().unwrap()),
            headers: headers.collect(),
            compression,
        }
    }

    fn handshake(&self, request: SaslHandshakeRequest, stand: &mut Stand) -> SaslHandshakeResponse {
        let Some((mechanism, ..)) = self.shared.rules.lock().unwrap().login else {
            return SaslHandshakeResponse::default().with_error_code(34);
        };
        let answer = SaslHandshakeResponse::default().with_mechanisms(vec![mechanism.into()]);
        if &*request.mechanism != mechanism {
            return answer.with_error_code(33);
        }
        *stand = Stand::Chosen(mechanism.to_owned());
        answer
    }

    fn authenticate(
        &self,
        request: SaslAuthenticateRequest,
        stand: &mut Stand,
    ) -> Result<SaslAuthenticateResponse, String> {
        let rules = self.shared.rules.lock().unwrap().clone();
        let (_, user, password) = rules.login.ok_or("no login is wanted")?;
        let text = std::str::from_utf8(&request.auth_bytes).map_err(said)?.to_owned();
        let denied = || SaslAuthenticateResponse::default().with_error_code(58);
        let inside = |said: String| {
            self.shared.logins.fetch_add(1, Relaxed);
            let answer = SaslAuthenticateResponse::default().with_session_lifetime_ms(rules.lifetime_ms);
            answer.with_auth_bytes(said.into_bytes().into())
        };
        let (answer, next) = match std::mem::replace(stand, Stand::Outside) {
            Stand::Chosen(mechanism) if mechanism == "PLAIN" => match text == format!("\0{user}\0{password}") {
                true => (inside(String::new()), Stand::Inside),
                false => (denied(), Stand::Outside),
            },
            Stand::Chosen(mechanism) if mechanism == "OAUTHBEARER" => {
                match text == format!("n,,\u{1}auth=Bearer {password}\u{1}\u{1}") {
                    true => (inside(String::new()), Stand::Inside),
                    false => {
                        let said = Bytes::from_static(b"{\"status\":\"invalid_token\"}");
                        (SaslAuthenticateResponse::default().with_auth_bytes(said), Stand::Outside)
                    }
                }
            }
            Stand::Chosen(mechanism) => {
                let bare = text.strip_prefix("n,,").ok_or("no gs2 header")?;
                let (name, nonce) = bare.split_once(",r=").ok_or("no nonce")?;
                if name != format!("n={user}") {
                    return Ok(denied());
                }
                let first = format!("r={nonce}ours,s={},i={ROUNDS}", STANDARD.encode(SALT));
                let answer = SaslAuthenticateResponse::default().with_auth_bytes(first.clone().into());
                (answer, Stand::Challenged(mechanism, format!("{bare},{first}")))
            }
            Stand::Challenged(mechanism, so_far) => {
                let (without, proof) = text.split_once(",p=").ok_or("no proof")?;
                let proof = STANDARD.decode(proof).map_err(said)?;
                let all = format!("{so_far},{without}");
                match verified(&mechanism, password, &all, &proof) {
                    Some(signature) => (inside(format!("v={}", STANDARD.encode(signature))), Stand::Inside),
                    None => (denied(), Stand::Outside),
                }
            }
            Stand::Outside | Stand::Inside => return Err("a login out of turn".to_owned()),
        };
        *stand = next;
        Ok(answer)
    }
}

fn plain(packed: &Bytes, compression: Compression) -> Bytes {
    match compression {
        Compression::None => packed.clone(),
        Compression::Gzip => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
            plain.into()
        }
        Compression::Zstd => zstd::stream::decode_all(&packed[..]).unwrap().into(),
        other => panic!("{other:?}"),
    }
}

/// RFC 5802, 3, from the server's side: it knows the stored key, and takes the client's key out of the proof.
fn verified(mechanism: &str, password: &str, all: &str, proof: &[u8]) -> Option<Vec<u8>> {
    let is_long = mechanism == "SCRAM-SHA-512";
    let mut salted = vec![0; if is_long { 64 } else { 32 }];
    let mac = |key: &[u8], text: &[u8]| match is_long {
        true => Hmac::<Sha512>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec(),
        false => Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec(),
    };
    let hash = |bytes: &[u8]| if is_long { Sha512::digest(bytes).to_vec() } else { Sha256::digest(bytes).to_vec() };
    match is_long {
        true => pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), SALT, ROUNDS, &mut salted),
        false => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), SALT, ROUNDS, &mut salted),
    }
    let stored = hash(&mac(&salted, b"Client Key"));
    let signature = mac(&stored, all.as_bytes());
    let shown: Vec<u8> = proof.iter().zip(&signature).map(|(one, other)| one ^ other).collect();
    (hash(&shown) == stored).then(|| mac(&mac(&salted, b"Server Key"), all.as_bytes()))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn whole<T: Decodable>(frame: &mut Bytes, version: i16) -> Result<T, String> {
    let request = T::decode(frame, version).map_err(said)?;
    if frame.has_remaining() { Err("bytes behind the request".to_owned()) } else { Ok(request) }
}

fn reply<T: Encodable + HeaderVersion>(number: i32, version: i16, answer: &T) -> Result<Next, String> {
    let mut frame = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(number);
    header.encode(&mut frame, T::header_version(version)).map_err(said)?;
    answer.encode(&mut frame, version).map_err(said)?;
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(Next::Answer(frame))
}

impl Shared {
    fn fault(&self) -> Option<Fault> {
        self.faults.lock().unwrap().pop_front().or_else(|| self.state.lock().unwrap().clone())
    }
}

impl Fault {
    /// The nearest to what happens to a request over HTTP.
    pub fn of(fault: &crate::support::front::Fault) -> Self {
        use crate::support::front::Fault as Http;
        match fault {
            Http::Status(400) => Fault::Code(42),
            Http::Status(401) => Fault::Code(31),
            Http::Status(403) => Fault::Code(29),
            Http::Status(404) => Fault::Code(17),
            Http::Status(408) => Fault::TakenCode(7),
            Http::Status(429) | Http::RetryAfter(429, _) => Fault::CodeAndThrottle(89, 20),
            Http::Status(500) => Fault::Code(-1),
            Http::Status(502) => Fault::Code(6),
            Http::Status(503) => Fault::Code(19),
            Http::Status(504) => Fault::TakenCode(20),
            Http::StallBefore => Fault::StallBefore,
            Http::StallAfter => Fault::StallAfter,
            Http::Reset => Fault::Reset,
            Http::ResetAfter => Fault::ResetAfter,
            Http::Nothing => Fault::Nothing,
            Http::Slow => Fault::Slow,
            Http::KillBeforeAnswer(pid) => Fault::KillBeforeAnswer(*pid),
            Http::KillAtAnswer(pid) => Fault::KillAtAnswer(*pid),
            other => panic!("Kafka has no {other:?}"),
        }
    }
}
