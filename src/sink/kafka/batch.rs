//! Lines as Kafka has them: one record a line, one batch of records a batch of lines, and the partition that they go to.
//!
//! A batch is taken whole or not at all, and its records keep their order. Shape: https://kafka.apache.org/documentation/#recordbatch.

use std::io;

use crc_fast::CrcAlgorithm::Crc32Iscsi;
use sha2::{Digest, Sha256};

use super::wire::Writer;
use crate::config::plan::Compression;
use crate::schema::{self, Schema};
use crate::sink::Lines;
use crate::sink::line::Head;
use crate::sink::web::encode;

/// The one form of batches since Kafka 0.11.
const MAGIC: i8 = 2;
/// The broker knows who leads.
const LEADER_EPOCH_UNKNOWN: i32 = -1;
/// Kafka's own, for the Java client and all that follow it.
const MURMUR_SEED: u32 = 0x9747_b28c;

/// The records of a batch, without what is the producer's.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// How many.
    pub count: i32,
    /// Of what they are, and of nothing else: two batches with the same digest are the same lines.
    pub digest: [u8; 32],
}

/// What is the producer's of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub producer_id: i64,
    pub epoch: i16,
    pub sequence: i32,
    /// When it is sent.
    pub time_ms: i64,
}

impl Records {
    /// `None`: more than a batch can count.
    pub(super) fn of(lines: &Lines<'_>, schema: Schema) -> Option<Self> {
        let mut all = Writer(Vec::with_capacity(lines.ndjson.len() * 2));
        let (mut one, mut rendered) = (Writer::default(), Vec::new());
        let mut count = 0_i32;
        for (number, line) in lines.iter() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            rendered.clear();
            schema::render(schema, line, &mut rendered);
            one.0.clear();
            record(lines.origin, number, &Head::of(line), &rendered, count, &mut one);
            all.varint(length(&one.0)).raw(&one.0);
            count = count.checked_add(1)?;
        }
        let digest = Sha256::digest(&all.0).into();
        Some(Records { bytes: all.0, count, digest })
    }

    /// The batch as it is sent.
    pub(super) fn batch(&self, stamp: &Stamp, compression: Compression) -> io::Result<Vec<u8>> {
        let mut covered = Writer::default();
        covered.i16(codec(compression)).i32(self.count - 1).i64(stamp.time_ms).i64(stamp.time_ms);
        covered.i64(stamp.producer_id).i16(stamp.epoch).i32(stamp.sequence).i32(self.count);
        covered.raw(&encode(&self.bytes, compression)?);
        let checksum = crc_fast::checksum(Crc32Iscsi, &covered.0) as u32;
        let mut behind = Writer::default();
        behind.i32(LEADER_EPOCH_UNKNOWN).i8(MAGIC).raw(&checksum.to_be_bytes()).raw(&covered.0);
        let mut batch = Writer::default();
        batch.i64(0).bytes(&behind.0);
        Ok(batch.0)
    }
}

/// Attributes, time and offset as differences to the batch's, key, value, headers.
fn record(origin: &str, number: u64, head: &Head<'_>, value: &[u8], offset: i32, out: &mut Writer) {
    out.i8(0).varint(0).varint(offset.into());
    sized(origin.as_bytes(), out);
    sized(value, out);
    let number = number.to_string();
    let headers = [
        ("id", head.id.as_bytes()),
        ("origin", origin.as_bytes()),
        ("line", number.as_bytes()),
        ("type", head.kind.as_bytes()),
    ];
    out.varint(headers.len() as i64);
    for (name, value) in headers {
        sized(name.as_bytes(), out);
        sized(value, out);
    }
}

fn sized(bytes: &[u8], out: &mut Writer) {
    out.varint(length(bytes)).raw(bytes);
}

/// Nothing here is longer than memory.
fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn codec(compression: Compression) -> i16 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Zstd => 4,
    }
}

/// The partition that the Java client chooses for a key, so that what we write and what others write under one key stays together.
pub(super) fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Austin Appleby's MurmurHash2, of 32 bits, with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = MURMUR_SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own tests have (`UtilsTest.testMurmur2`).
    #[test]
    fn the_hash_is_kafkas() {
        let hash = |text: &str| murmur2(text.as_bytes()).cast_signed();
        assert_eq!(hash("21"), -973_932_308);
        assert_eq!(hash("foobar"), -790_332_482);
        assert_eq!(hash("a-little-bit-long-string"), -985_981_536);
        assert_eq!(hash("a-little-bit-longer-string"), -1_486_304_829);
        assert_eq!(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58_897_971);
        assert_eq!(hash("abc"), 479_470_107);
    }

    #[test]
    fn a_digest_is_of_the_lines_alone() {
        let lines = |ndjson| Lines { origin: "o", first: 3, last: 4, ndjson, numbers: None };
        let records = |ndjson| Records::of(&lines(ndjson), Schema::Native).unwrap();
        let (one, other) = (records(b"{\"id\":\"a\"}\n{}\n"), records(b"{\"id\":\"b\"}\n{}\n"));
        assert_eq!((one.count, one.digest), (2, records(b"{\"id\":\"a\"}\n{}\n").digest));
        assert_ne!(one.digest, other.digest);
    }
}
