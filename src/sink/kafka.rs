//! A topic of Kafka, or of what speaks its protocol.
//!
//! A batch of lines is one batch of records to one partition, so that it is taken whole or not at all, and in order. It counts once all replicas
//! that are in sync have it (`acks=all`).
//!
//! The hard case is a batch of which nobody knows whether it was taken: an answer that never came, a leader that went away. The producer is
//! *idempotent*: the broker remembers the sequence number of what it took, and takes the same number once. Sending such a batch again with its number is
//! right; sending *other* lines with it would lose them, for the broker would say that it has them. So the number is bound to a digest of the lines
//! ([`Producer::doubtful`]), and other lines get a new producer. What is remembered is remembered in this process alone: over a restart a batch may come
//! twice, and the header `id` tells.
//!
//! The protocol is in [`wire`], [`messages`] and [`batch`], a broker in [`connection`], the login by password in [`scram`], error codes in [`codes`].

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Accepted, Batch, Doing, Lines, ProbeError, Probed, Refusal, Sink, Step, Takes};
use crate::clock;
use crate::config::plan::{Compression, KafkaPlan};
use crate::schema::Schema;

mod batch;
mod codes;
mod connection;
mod messages;
mod scram;
mod wire;

use batch::{Records, Stamp, partition_of};
use codes::{Meaning, meaning};
use connection::{Address, Connection, Connector, Trouble};
use messages::{Metadata, Partition, Produced, Topic};

/// A shorter throttle the broker sees to by itself: it reads nothing from us until then (KIP-219).
const THROTTLE_TOLD_MIN: Duration = Duration::from_secs(5);
/// Error codes that need more care than their meaning.
const UNKNOWN_TOPIC: i16 = 3;

/// `type = "kafka"`.
pub struct KafkaSink {
    connector: Connector,
    brokers: Vec<Address>,
    topic: String,
    partition: Option<u32>,
    origin: String,
    schema: Schema,
    compression: Compression,
    batch_max_bytes: usize,
    timeout: Duration,
    /// Held for a whole delivery: batches go one after the other, in the order in which they came.
    state: Mutex<State>,
}

/// What is kept between batches; none of it must survive a restart.
#[derive(Default)]
struct State {
    /// Taken out while it is asked, so that one that was given up midway is never used again.
    leader: Option<Leader>,
    producer: Option<Producer>,
    /// Which of the configured brokers is asked first: one that answered.
    turn: usize,
    /// The broker asked for nothing before that.
    not_before: Option<Instant>,
}

/// A connection to the broker that leads the partition.
struct Leader {
    connection: Connection,
    partition: i32,
}

/// Who we are to the brokers, and which number is next.
#[derive(Debug, Clone, Copy)]
struct Producer {
    id: i64,
    epoch: i16,
    partition: i32,
    sequence: i32,
    /// Digest of the lines that were sent with this number, where nobody knows whether they were taken.
    doubtful: Option<[u8; 32]>,
}

impl Producer {
    /// Whether these lines may have the next number: nothing else may have it already, and the numbers of all of them are there.
    fn fits(&self, partition: i32, records: &Records) -> bool {
        self.partition == partition
            && self.doubtful.is_none_or(|digest| digest == records.digest)
            && self.sequence.checked_add(records.count).is_some()
    }
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("brokers", &self.brokers).field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl KafkaSink {
    /// Reads the certificates; connects to nothing. `origin` is the trail's name.
    pub fn new(plan: &KafkaPlan, schema: Schema, origin: &str) -> Result<Self, Refusal> {
        Ok(KafkaSink {
            connector: Connector::new(plan)?,
            brokers: plan.brokers.clone(),
            topic: plan.topic.clone(),
            partition: plan.partition,
            origin: origin.to_owned(),
            schema,
            compression: plan.compression,
            batch_max_bytes: plan.batch_max_bytes,
            timeout: plan.timeout,
            state: Mutex::new(State::default()),
        })
    }

    async fn send(&self, lines: &Lines<'_>) -> Result<Accepted, Refusal> {
        let Some(records) = Records::of(lines, self.schema) else {
            let why = "more lines than a batch of Kafka can count".to_owned();
            return Err(Refusal::Split { why, answer: String::new() });
        };
        let mut state = self.state.lock().await;
        match timeout(self.timeout, self.produce(&mut state, &records)).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::later(format!("no answer from the brokers within {:?}", self.timeout))),
        }
    }

    async fn produce(&self, state: &mut State, records: &Records) -> Result<Accepted, Refusal> {
        if let Some(rest) = state.not_before.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(Refusal::Later {
                after: Some(rest),
                why: "the broker asked to be left alone for a while".to_owned(),
            });
        }
        let mut leader = self.leader(state).await.map_err(|trouble| trouble.refusal)?;
        let producer = producer(state, &mut leader, records).await.map_err(|trouble| trouble.refusal)?;
        let stamp = Stamp {
            producer_id: producer.id,
            epoch: producer.epoch,
            sequence: producer.sequence,
            time_ms: i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX),
        };
        self.can_be_compressed(&leader)?;
        let batch = records.batch(&stamp, self.compression);
        let batch = batch.map_err(|error| Refusal::later(format!("cannot compress the batch: {error}")))?;
        // From here on nobody knows, until there is an answer.
        state.producer = Some(Producer { doubtful: Some(records.digest), ..producer });
        let timeout_ms = i32::try_from(self.timeout.as_millis() / 4 * 3).unwrap_or(i32::MAX);
        let write = |_, writer: &mut _| messages::produce(&self.topic, leader.partition, &batch, timeout_ms, writer);
        let asked = leader.connection.ask(&messages::PRODUCE, write, messages::produce_answer).await;
        let produced = asked.map_err(|trouble| trouble.refusal)?;
        state.judge(leader, producer, records, &produced)?;
        Ok(Accepted { bytes: batch.len() as u64 })
    }

    fn can_be_compressed(&self, leader: &Leader) -> Result<(), Refusal> {
        let version = leader.connection.version(&messages::PRODUCE);
        if self.compression != Compression::Zstd || version >= Some(messages::PRODUCE_WITH_ZSTD) {
            return Ok(());
        }
        Err(Refusal::stop(leader.connection.named("knows no zstd"), "set `compression` to \"gzip\""))
    }

    /// The connection that is kept, or a new one.
    async fn leader(&self, state: &mut State) -> Result<Leader, Trouble> {
        if let Some(mut leader) = state.leader.take()
            && leader.connection.is_open().await
        {
            return Ok(leader);
        }
        self.find_leader(&mut state.turn).await
    }

    /// Asks any broker who leads the partition, and connects to that.
    async fn find_leader(&self, turn: &mut usize) -> Result<Leader, Trouble> {
        let mut connection = self.any_broker(turn).await?;
        let write = |version, writer: &mut _| messages::metadata(&self.topic, version, writer);
        let metadata = connection.ask(&messages::METADATA, write, messages::metadata_answer).await?;
        let topic = self.topic_of(&connection, &metadata)?;
        let partition = self.partition_of(&connection, topic)?;
        let address = self.leader_of(&metadata, partition)?;
        self.keeps_all_lines(&mut connection).await?;
        if address != connection.address {
            connection = self.connector.connect(&address).await?;
        }
        Ok(Leader { connection, partition: partition.index })
    }

    /// The first broker that can be asked, from the one on that answered last. One that is not who it should be is no reason to ask another.
    async fn any_broker(&self, turn: &mut usize) -> Result<Connection, Trouble> {
        let count = self.brokers.len().max(1);
        let begin = *turn % count;
        let mut trouble = None;
        for index in (begin..count).chain(0..begin) {
            let Some(address) = self.brokers.get(index) else { continue };
            // Should the time be over while it is tried, the next delivery begins behind it.
            *turn = index + 1;
            match self.connector.connect(address).await {
                Ok(connection) => {
                    *turn = index;
                    return Ok(connection);
                }
                Err(stop @ Trouble { refusal: Refusal::Stop { .. }, .. }) => return Err(stop),
                Err(later) => trouble = Some(later),
            }
        }
        Err(trouble.unwrap_or_else(|| wrong(Step::Configure, "there is no broker to ask", "set `brokers`")))
    }

    fn topic_of<'a>(&self, connection: &Connection, metadata: &'a Metadata) -> Result<&'a Topic, Trouble> {
        let named = |what: &str| format!("topic {:?} {what}", self.topic);
        let Some(topic) = metadata.topics.iter().find(|topic| topic.name == self.topic) else {
            return Err(later(connection.named(&format!("says nothing of topic {:?}", self.topic))));
        };
        if topic.code == UNKNOWN_TOPIC {
            let hint =
                "make it, with as many replicas as the evidence is worth, or check `topic`; the agent makes none";
            return Err(wrong(Step::Write, named("is not there, or we may not see it"), hint));
        }
        connection.well(Step::Write, &format!("Metadata of topic {:?}", self.topic), topic.code)?;
        if topic.may_be_written() == Some(false) {
            let hint = "give this user the right to write to the topic (ACL: operation Write)";
            return Err(wrong(Step::Write, named("may not be written to by this user"), hint));
        }
        Ok(topic)
    }

    fn partition_of(&self, connection: &Connection, topic: &Topic) -> Result<Partition, Trouble> {
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        let index = self.partition.unwrap_or_else(|| partition_of(self.origin.as_bytes(), count));
        let found = topic.partitions.iter().find(|partition| u32::try_from(partition.index) == Ok(index));
        let Some(partition) = found else {
            let why = format!("topic {:?} has {count} partitions, and none with the number {index}", self.topic);
            return Err(wrong(Step::Write, why, "leave `partition` out, or take a number from 0 on"));
        };
        connection.well(Step::Write, &format!("Metadata of partition {index}"), partition.code)?;
        Ok(*partition)
    }

    fn leader_of(&self, metadata: &Metadata, partition: Partition) -> Result<Address, Trouble> {
        let broker = metadata.brokers.iter().find(|broker| broker.node == partition.leader);
        let Some(broker) = broker else {
            return Err(later(format!("partition {} of topic {:?} has no leader now", partition.index, self.topic)));
        };
        match (is_host(&broker.host), u16::try_from(broker.port)) {
            (true, Ok(port)) if port != 0 => Ok((broker.host.clone(), port)),
            _ => Err(wrong(
                Step::Answer,
                "the partition's leader advertises what is no address",
                "check the brokers' `advertised.listeners`",
            )),
        }
    }

    /// A compacted topic keeps the last line of a key, and all lines have the same. Who may not ask cannot be told.
    async fn keeps_all_lines(&self, connection: &mut Connection) -> Result<(), Trouble> {
        if connection.version(&messages::DESCRIBE_CONFIGS).is_none() {
            return Ok(());
        }
        let write = |_, writer: &mut _| messages::describe_configs(&self.topic, writer);
        let settings = connection.ask(&messages::DESCRIBE_CONFIGS, write, messages::describe_configs_answer).await?;
        let compacts = |(name, value): &(String, String)| {
            name == "cleanup.policy" && value.split(',').any(|policy| policy.trim() == "compact")
        };
        if !settings.unwrap_or_default().iter().any(compacts) {
            return Ok(());
        }
        let why =
            format!("topic {:?} is compacted: of all lines it would keep the last, for all have one key", self.topic);
        Err(wrong(Step::Write, why, "set cleanup.policy=delete on the topic"))
    }

    async fn ask(&self) -> Result<Probed, ProbeError> {
        let asking = async {
            let mut leader = self.find_leader(&mut 0).await?;
            new_producer(&mut leader).await
        };
        match timeout(self.timeout, asking).await {
            Ok(Ok(_)) => Ok(Probed { checked: WELL }),
            Ok(Err(trouble)) => Err(trouble.probe_error()),
            Err(_) => Err(later(format!("no answer from the brokers within {:?}", self.timeout)).probe_error()),
        }
    }
}

const WELL: &str =
    "reached, logged in, and the topic is there, has a leader for our partition, and lets us write as far as it says";

impl Sink for KafkaSink {
    fn takes(&self) -> Takes {
        Takes::Lines { batch_max_bytes: self.batch_max_bytes }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        Box::pin(async move { self.send(batch.lines()?).await })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(self.ask())
    }
}

impl State {
    /// What an answer means. The connection is kept where it says for certain what became of the batch; else the leader is looked for anew.
    fn judge(&mut self, leader: Leader, sent: Producer, records: &Records, produced: &Produced) -> Result<(), Refusal> {
        let throttle = Duration::from_millis(u64::try_from(produced.throttle_ms).unwrap_or(0));
        self.not_before = if throttle >= THROTTLE_TOLD_MIN { Instant::now().checked_add(throttle) } else { None };
        let (name, meaning) = meaning(produced.code);
        let why = leader.connection.named(&format!("answered Produce with {name}"));
        // Of lines that were never sent before it cannot be true, and a yes would lose them.
        let meaning = if meaning == Meaning::Had && sent.doubtful.is_none() { Meaning::Anew } else { meaning };
        match meaning {
            Meaning::None | Meaning::Had => {
                self.leader = Some(leader);
                // `fits` saw to it that there is no overflow.
                self.producer =
                    Some(Producer { sequence: sent.sequence.wrapping_add(records.count), doubtful: None, ..sent });
                Ok(())
            }
            Meaning::Split => {
                self.leader = Some(leader);
                // Nothing of this attempt was taken; of one before it nobody knows, still.
                self.producer = Some(sent);
                Err(Refusal::Split { why, answer: format!("{name}\n\n{}", produced.said.join("\n")) })
            }
            Meaning::Anew => {
                self.producer = None;
                Err(Refusal::later(format!("{why}: going on as a new producer")))
            }
            Meaning::Later => Err(Refusal::Later { after: Some(throttle).filter(|throttle| !throttle.is_zero()), why }),
            Meaning::Stop(hint) => Err(Refusal::stop(why, hint)),
        }
    }
}

/// The producer that these lines may be sent by.
async fn producer(state: &mut State, leader: &mut Leader, records: &Records) -> Result<Producer, Trouble> {
    match state.producer {
        Some(producer) if producer.fits(leader.partition, records) => Ok(producer),
        _ => {
            let producer = new_producer(leader).await?;
            state.producer = Some(producer);
            Ok(producer)
        }
    }
}

async fn new_producer(leader: &mut Leader) -> Result<Producer, Trouble> {
    let write = |version, writer: &mut _| messages::init_producer_id(version, writer);
    let asked = leader.connection.ask(&messages::INIT_PRODUCER_ID, write, messages::init_producer_id_answer).await?;
    leader.connection.well(Step::Write, "InitProducerId", asked.code)?;
    Ok(Producer { id: asked.id, epoch: asked.epoch, partition: leader.partition, sequence: 0, doubtful: None })
}

/// What is connected to, and said in errors: a name or an address, and nothing else.
fn is_host(host: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    (1..=255).contains(&host.len()) && host.bytes().all(valid)
}

fn wrong(step: Step, why: impl Into<String>, hint: &str) -> Trouble {
    Trouble { step, refusal: Refusal::stop(why, hint) }
}

fn later(why: String) -> Trouble {
    Trouble { step: Step::Answer, refusal: Refusal::later(why) }
}
