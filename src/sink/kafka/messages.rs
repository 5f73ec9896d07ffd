//! The seven requests that a producer makes, and what of their answers it needs. Shapes: https://kafka.apache.org/protocol.html.
//!
//! Of each the versions are spoken that brokers since Kafka 2.1 take, and that come before "flexible" ones, whose bytes are others: one kind excepted, whose
//! older versions not every broker has. Where a version matters it is passed along.

use super::wire::{Garbled, Reader, Writer};

/// A kind of request, and which of its versions are spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Api {
    pub key: i16,
    pub name: &'static str,
    pub least: i16,
    pub most: i16,
    /// From version 2 on its bytes are "flexible" (KIP-482).
    flexible: bool,
}

impl Api {
    fn is_flexible(&self, version: i16) -> bool {
        self.flexible && version >= FLEXIBLE_FROM
    }
}

const FLEXIBLE_FROM: i16 = 2;

pub(super) const PRODUCE: Api = Api { key: 0, name: "Produce", least: 3, most: 8, flexible: false };
pub(super) const METADATA: Api = Api { key: 3, name: "Metadata", least: 4, most: 8, flexible: false };
pub(super) const SASL_HANDSHAKE: Api = Api { key: 17, name: "SaslHandshake", least: 1, most: 1, flexible: false };
pub(super) const API_VERSIONS: Api = Api { key: 18, name: "ApiVersions", least: 0, most: 0, flexible: false };
pub(super) const INIT_PRODUCER_ID: Api = Api { key: 22, name: "InitProducerId", least: 0, most: 4, flexible: true };
pub(super) const DESCRIBE_CONFIGS: Api = Api { key: 32, name: "DescribeConfigs", least: 1, most: 2, flexible: false };
pub(super) const SASL_AUTHENTICATE: Api = Api { key: 36, name: "SaslAuthenticate", least: 0, most: 1, flexible: false };

/// zstd came with this version of Produce (KIP-110).
pub(super) const PRODUCE_WITH_ZSTD: i16 = 7;

/// All replicas that are in sync must have it.
const ACKS_ALL: i16 = -1;
/// DescribeConfigs, of a topic.
const RESOURCE_TOPIC: i8 = 2;
/// The bit of the right to write among the operations that a topic lets us do (`AclOperation`, WRITE is 4).
const MAY_WRITE: i32 = 1 << 4;
/// Operations that nobody told.
const OPERATIONS_UNKNOWN: i32 = i32::MIN;

/// Length, kind, version, number and who asks. The length is filled in by [`finish`].
pub(super) fn begin(api: &Api, version: i16, number: i32, client: &str) -> Writer {
    let mut writer = Writer::default();
    writer.i32(0).i16(api.key).i16(version).i32(number).text(client);
    if api.is_flexible(version) {
        writer.no_tags();
    }
    writer
}

/// What stands before an answer's own bytes: which request it answers.
pub(super) fn answers(reader: &mut Reader<'_>, api: &Api, version: i16) -> Result<i32, Garbled> {
    let number = reader.i32()?;
    if api.is_flexible(version) {
        reader.tags()?;
    }
    Ok(number)
}

/// A request, whole. `None`: longer than the protocol can say.
pub(super) fn finish(writer: Writer) -> Option<Vec<u8>> {
    let mut bytes = writer.0;
    let length = i32::try_from(bytes.len().checked_sub(4)?).ok()?;
    bytes.first_chunk_mut().map(|first| *first = length.to_be_bytes())?;
    Some(bytes)
}

/// Which versions a broker speaks, of each kind of request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions(Vec<(i16, i16, i16)>);

impl Versions {
    /// Those of the first request, which asks for the others.
    pub(super) fn first() -> Self {
        Versions(vec![(API_VERSIONS.key, API_VERSIONS.least, API_VERSIONS.most)])
    }

    /// The highest that both speak.
    pub(super) fn of(&self, api: &Api) -> Option<i16> {
        let (_, least, most) = self.0.iter().find(|(key, ..)| *key == api.key)?;
        let version = api.most.min(*most);
        (version >= api.least.max(*least)).then_some(version)
    }

    /// With the answer's error code.
    pub(super) fn read(reader: &mut Reader<'_>, _: i16) -> Result<(i16, Self), Garbled> {
        let code = reader.i16()?;
        let all = reader.list(|item| Ok((item.i16()?, item.i16()?, item.i16()?)))?;
        Ok((code, Versions(all)))
    }
}

pub(super) fn sasl_handshake(mechanism: &str, writer: &mut Writer) {
    writer.text(mechanism);
}

/// Error code, and the mechanisms that the broker has.
pub(super) fn sasl_handshake_answer<'a>(reader: &mut Reader<'a>, _: i16) -> Result<(i16, Vec<&'a str>), Garbled> {
    Ok((reader.i16()?, reader.list(Reader::text)?))
}

pub(super) fn sasl_authenticate(token: &[u8], writer: &mut Writer) {
    writer.bytes(token);
}

/// An answer to a step of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginStep {
    pub code: i16,
    pub token: Vec<u8>,
    /// After so long the broker ends the connection; 0: it does not say.
    pub lifetime_ms: i64,
}

pub(super) fn sasl_authenticate_answer(reader: &mut Reader<'_>, version: i16) -> Result<LoginStep, Garbled> {
    let code = reader.i16()?;
    let _said = reader.text()?;
    let token = reader.bytes()?.to_vec();
    let lifetime_ms = if version >= 1 { reader.i64()? } else { 0 };
    Ok(LoginStep { code, token, lifetime_ms })
}

/// Of one topic, which is not to be made if it is not there.
pub(super) fn metadata(topic: &str, version: i16, writer: &mut Writer) {
    writer.i32(1).text(topic).i8(0);
    if version >= 8 {
        writer.i8(0).i8(1);
    }
}

/// Where a topic's partitions are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub brokers: Vec<Broker>,
    pub topics: Vec<Topic>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Broker {
    pub node: i32,
    pub host: String,
    pub port: i32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topic {
    pub code: i16,
    pub name: String,
    pub partitions: Vec<Partition>,
    operations: Option<i32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Partition {
    pub code: i16,
    pub index: i32,
    pub leader: i32,
}

impl Topic {
    /// Whether we may write to it, where the broker says so.
    pub(super) fn may_be_written(&self) -> Option<bool> {
        self.operations.map(|operations| operations & MAY_WRITE != 0)
    }
}

pub(super) fn metadata_answer(reader: &mut Reader<'_>, version: i16) -> Result<Metadata, Garbled> {
    let _throttle = reader.i32()?;
    let brokers = reader.list(|item| {
        let broker = Broker { node: item.i32()?, host: item.text()?.to_owned(), port: item.i32()? };
        let _rack = item.text()?;
        Ok(broker)
    })?;
    let (_cluster, _controller) = (reader.text()?, reader.i32()?);
    let topics = reader.list(|item| topic(item, version))?;
    Ok(Metadata { brokers, topics })
}

fn topic(item: &mut Reader<'_>, version: i16) -> Result<Topic, Garbled> {
    let code = item.i16()?;
    let name = item.text()?.to_owned();
    let _internal = item.i8()?;
    let partitions = item.list(|item| partition(item, version))?;
    let operations = if version >= 8 { item.i32()? } else { OPERATIONS_UNKNOWN };
    let operations = (operations != OPERATIONS_UNKNOWN).then_some(operations);
    Ok(Topic { code, name, partitions, operations })
}

fn partition(item: &mut Reader<'_>, version: i16) -> Result<Partition, Garbled> {
    let partition = Partition { code: item.i16()?, index: item.i32()?, leader: item.i32()? };
    if version >= 7 {
        let _epoch = item.i32()?;
    }
    let _replicas = (item.list(Reader::i32)?, item.list(Reader::i32)?);
    if version >= 5 {
        let _offline = item.list(Reader::i32)?;
    }
    Ok(partition)
}

/// Of all settings of a topic: a list of some is what few clients send, and not every broker reads it.
pub(super) fn describe_configs(topic: &str, writer: &mut Writer) {
    writer.i32(1).i8(RESOURCE_TOPIC).text(topic).i32(-1).i8(0);
}

/// Names and values. `None`: we may not know them.
pub(super) fn describe_configs_answer(
    reader: &mut Reader<'_>,
    _: i16,
) -> Result<Option<Vec<(String, String)>>, Garbled> {
    let _throttle = reader.i32()?;
    let told = reader.list(|item| {
        let code = item.i16()?;
        let _said = (item.text()?, item.i8()?, item.text()?);
        Ok((code, item.list(setting)?))
    })?;
    let (code, settings) = told.into_iter().next().ok_or(Garbled)?;
    Ok((code == 0).then_some(settings))
}

fn setting(item: &mut Reader<'_>) -> Result<(String, String), Garbled> {
    let setting = (item.text()?.to_owned(), item.text()?.to_owned());
    let _more = (item.i8()?, item.i8()?, item.i8()?);
    let _synonyms = item.list(|item| Ok((item.text()?, item.text()?, item.i8()?)))?;
    Ok(setting)
}

/// Without a transaction, and of nobody yet.
pub(super) fn init_producer_id(version: i16, writer: &mut Writer) {
    if version < FLEXIBLE_FROM {
        writer.i16(-1).i32(i32::MAX);
        return;
    }
    // A compact text that is null has a length of 0.
    writer.i8(0).i32(i32::MAX);
    if version >= 3 {
        writer.i64(-1).i16(-1);
    }
    writer.no_tags();
}

/// Who a producer is to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProducerId {
    pub code: i16,
    pub id: i64,
    pub epoch: i16,
}

pub(super) fn init_producer_id_answer(reader: &mut Reader<'_>, _: i16) -> Result<ProducerId, Garbled> {
    let _throttle = reader.i32()?;
    Ok(ProducerId { code: reader.i16()?, id: reader.i64()?, epoch: reader.i16()? })
}

/// One batch to one partition.
pub(super) fn produce(topic: &str, partition: i32, batch: &[u8], timeout_ms: i32, writer: &mut Writer) {
    writer.i16(-1).i16(ACKS_ALL).i32(timeout_ms);
    writer.i32(1).text(topic).i32(1).i32(partition).bytes(batch);
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Produced {
    pub code: i16,
    /// What the broker says of it: it may quote a record.
    pub said: Vec<String>,
    pub throttle_ms: i32,
}

pub(super) fn produce_answer(reader: &mut Reader<'_>, version: i16) -> Result<Produced, Garbled> {
    let topics = reader.list(|item| {
        let _name = item.text()?;
        item.list(|item| of_partition(item, version))
    })?;
    let mut partitions = topics.into_iter().flatten();
    let (Some((code, said)), None) = (partitions.next(), partitions.next()) else { return Err(Garbled) };
    Ok(Produced { code, said, throttle_ms: reader.i32()? })
}

fn of_partition(item: &mut Reader<'_>, version: i16) -> Result<(i16, Vec<String>), Garbled> {
    let _index = item.i32()?;
    let code = item.i16()?;
    let _place = (item.i64()?, item.i64()?);
    if version >= 5 {
        let _log_start = item.i64()?;
    }
    let mut said = Vec::new();
    if version >= 8 {
        said = item.list(|item| Ok(format!("record {}: {}", item.i32()?, item.text()?)))?;
        said.insert(0, item.text()?.to_owned());
    }
    Ok((code, said))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_version_that_both_speak_is_taken() {
        let speaks = |least, most| Versions(vec![(1, 0, 99), (PRODUCE.key, least, most)]).of(&PRODUCE);
        assert_eq!(
            [speaks(0, 2), speaks(0, 3), speaks(0, 7), speaks(3, 13), speaks(9, 13)],
            [None, Some(3), Some(7), Some(8), None]
        );
        assert_eq!(Versions::default().of(&PRODUCE), None);
    }

    proptest! {
        /// Whatever comes from the network is an answer or none.
        #[test]
        fn any_bytes_are_an_answer_or_garbled(bytes in prop::collection::vec(any::<u8>(), 0..300), version in 0..10_i16) {
            let reader = || Reader::new(&bytes);
            let _ = Versions::read(&mut reader(), version);
            let _ = sasl_handshake_answer(&mut reader(), version);
            let _ = sasl_authenticate_answer(&mut reader(), version);
            let _ = metadata_answer(&mut reader(), version);
            let _ = describe_configs_answer(&mut reader(), version);
            let _ = init_producer_id_answer(&mut reader(), version);
            let _ = answers(&mut reader(), &INIT_PRODUCER_ID, version);
            let _ = produce_answer(&mut reader(), version);
        }

        /// The same of bytes that are mostly zeros, which get further.
        #[test]
        fn bytes_that_are_nearly_an_answer_are_one_or_garbled(
            bytes in prop::collection::vec(prop_oneof![8 => Just(0_u8), 2 => 0..4_u8, 1 => any::<u8>()], 0..300),
            version in 0..10_i16,
        ) {
            let _ = metadata_answer(&mut Reader::new(&bytes), version);
            let _ = describe_configs_answer(&mut Reader::new(&bytes), version);
            let _ = produce_answer(&mut Reader::new(&bytes), version);
        }
    }
}
