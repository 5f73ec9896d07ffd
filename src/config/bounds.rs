//! The default of every number in the configuration, and the range around it.
//!
//! A value outside of its range is a mistake and never silently moved into it.

use std::time::Duration;

/// A default between the least and the most that is accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<T> {
    /// Accepted.
    pub least: T,
    /// Taken when the key is not written.
    pub default: T,
    /// Accepted.
    pub most: T,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The least is [`JOURNAL_SEGMENTS_MIN`] of the smallest segments; the most is what no disk holds.
pub(super) const JOURNAL_MAX_BYTES: Bound<u64> = Bound { least: 16 * KIB, default: 10 * GIB, most: 1 << 60 };

/// The journal must hold the open segment, the one being delivered, and some to spare: below this it would stand still.
pub(super) const JOURNAL_SEGMENTS_MIN: u64 = 4;

/// Below 1 KiB even a plain statement would be cut; above 64 MiB one row would outgrow the agent's memory.
pub(super) const RECORD_MAX_BYTES: Bound<u64> = Bound { least: KIB, default: 4 * MIB, most: 64 * MIB };

/// How often what inotify cannot watch is looked at.
pub(super) const POLL_INTERVAL: Bound<Duration> = millis(10, 1_000, 3_600_000);

/// Below a second a busy source is quiet between two rows; beyond a month nobody waits.
pub(super) const QUIET_AFTER: Bound<Duration> = millis(1_000, 0, 30 * 86_400_000);

/// Longer than a minute would break what the agent promises about freshness.
pub(super) const SEAL_INTERVAL: Bound<Duration> = millis(10, 1_000, 60_000);

/// Silence must be evidence at least once an hour.
pub(super) const SEAL_HEARTBEAT: Bound<Duration> = millis(100, 60_000, 3_600_000);

/// One segment is one PUT: far below the 5 GiB that S3 takes at once.
pub(super) const SEGMENT_MAX_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: 16 * MIB, most: GIB };

/// An archive waits no longer than a day for a row.
pub(super) const SEGMENT_MAX_AGE: Bound<Duration> = millis(100, 300_000, 86_400_000);

/// Collectors cap bodies at some tens of MiB.
pub(super) const BATCH_MAX_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: MIB, most: 64 * MIB };

/// Slower than the least, a batch of lines would take minutes; 1 GiB a second is no limit.
pub(super) const RATE_LIMIT: Bound<u64> = Bound { least: 16 * KIB, default: GIB, most: GIB };

/// A segment of nothing but heartbeats may be an hour old before an archive can have it: two hours behind is what somebody should know of.
pub(super) const LAG_MAX: Bound<Duration> = millis(1_000, 7_200_000, 30 * 86_400_000);

/// Each is a batch in memory, twice: as it lies in the journal and as it is sent.
pub(super) const IN_FLIGHT_MAX: u64 = 16;

/// The smallest lines there are make a batch of the most bytes with fewer.
pub(super) const BATCH_MAX_LINES: u64 = 1_000_000;

/// Nobody wants to see evidence an hour late; the default is to send what is sealed.
pub(super) const BATCH_MAX_AGE: Bound<Duration> = millis(0, 0, 3_600_000);

/// Elastic advises to begin at 5 to 15 MB a bulk request; small instances of Amazon's service take 10 MiB.
pub(super) const BULK_MAX_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: 5 * MIB, most: 64 * MIB };

/// Indexers write at their leisure; Splunk's own clients wait for minutes before they send again.
pub(super) const ACKNOWLEDGEMENT_TIMEOUT: Bound<Duration> = millis(1_000, 300_000, 3_600_000);

/// Elasticsearch's own limit of a name.
pub(super) const INDEX_NAME_MAX_BYTES: usize = 255;
/// RFC 5425, 4.3.1: receivers should take 8,192 octets; rsyslog takes no more unless it is told to. The least is what RFC 5424, 6.1, wants all to take.
pub(super) const MESSAGE_MAX_BYTES: Bound<u64> = Bound { least: 480, default: 8 * KIB, most: 16 * MIB };

/// Collectors take 20 MiB after decompression (`max_request_body_size` of the HTTP receiver); a line grows by about a half in a record.
pub(super) const OTLP_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: MIB, most: 12 * MIB };

/// Grafana's own agents push 1 MiB at once.
pub(super) const LOKI_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: MIB, most: 8 * MIB };

/// Datadog takes 5 MB and 1,000 entries at once; what is more is sent in halves.
pub(super) const DATADOG_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: MIB, most: 4 * MIB };

/// Azure Monitor takes 1 MB at once, and a line is twice as long as a row; what is more is sent in halves.
pub(super) const SENTINEL_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: 384 * KIB, most: MIB };

/// Google takes 4 MB at once, and a line is half as long again in base64; what is more is sent in halves.
pub(super) const SECOPS_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: MIB, most: 3 * MIB };

/// Brokers take batches of 1 MB, compressed (`message.max.bytes`), and beside a line key and headers have their place; what is more is sent in halves.
pub(super) const KAFKA_BATCH_BYTES: Bound<u64> = Bound { least: 4 * KIB, default: 768 * KIB, most: 16 * MIB };

/// Kafka's own limit of a topic's name.
pub(super) const TOPIC_NAME_MAX_BYTES: usize = 249;

/// Clusters of Kafka have no more partitions than this in all.
pub(super) const PARTITION_MAX: u64 = 1_000_000;

/// A request that takes longer has failed.
pub(super) const TIMEOUT: Bound<Duration> = millis(100, 30_000, 600_000);

/// Object Lock of S3 knows 100 years at most; the others' limits are as far away.
pub(super) const RETENTION_DAYS: Bound<u64> = Bound { least: 1, default: 365, most: 36_500 };

/// S3 and Azure take as many for an object.
pub(super) const TAGS_MAX: usize = 10;

/// S3 and Azure take as much for a tag's name.
pub(super) const TAG_NAME_MAX_CHARS: usize = 128;

/// S3 and Azure take as much for a tag's value.
pub(super) const TAG_VALUE_MAX_CHARS: usize = 256;

/// A name is a part of file names.
pub(super) const NAME_MAX_BYTES: usize = 64;

/// Each row is held against all names of a list.
pub(super) const NAMES_MAX: usize = 256;

/// A shorter name would be found at the end of too many others.
pub(super) const SECRET_NAME_MIN_BYTES: usize = 4;

/// Shorter ones stand in too many words.
pub(super) const PERSONAL_NAME_MIN_BYTES: usize = 3;

/// A pattern of a few thousand states. Each text is held against all.
pub(super) const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Each is looked at every two seconds.
pub(super) const IDENTITY_FILES_MAX: usize = 64;

/// Below a second no two logs agree about the time; within ten minutes too many sessions begin to be told apart.
pub(super) const ACCESS_WITHIN: Bound<Duration> = millis(1_000, 10_000, 600_000);

/// Labels are on every record.
pub(super) const LABELS_MAX: usize = 32;

/// Labels are on every record.
pub(super) const LABEL_MAX_BYTES: usize = 256;

/// Loki advises ten to fifteen labels at most; five are ours.
pub(super) const LOKI_LABELS_MAX: usize = 10;

/// A token is a line, not a document.
pub(super) const SECRET_FILE_MAX_BYTES: u64 = 64 * KIB;

/// A configuration is read whole.
pub(super) const FILE_MAX_BYTES: u64 = 4 * MIB;

/// `sun_path` holds 108 bytes on Linux, the last one a zero.
pub(super) const SOCKET_PATH_MAX_BYTES: usize = 107;

/// `check` stops counting a source's files here.
pub(super) const MATCHES_MAX: usize = 10_000;

const fn millis(least: u64, default: u64, most: u64) -> Bound<Duration> {
    Bound {
        least: Duration::from_millis(least),
        default: Duration::from_millis(default),
        most: Duration::from_millis(most),
    }
}

const _: () = assert!(JOURNAL_MAX_BYTES.default >= JOURNAL_SEGMENTS_MIN * SEGMENT_MAX_BYTES.default);
const _: () = assert!(JOURNAL_MAX_BYTES.least == JOURNAL_SEGMENTS_MIN * SEGMENT_MAX_BYTES.least);
const _: () = assert!(RECORD_MAX_BYTES.most <= usize::MAX as u64 && BATCH_MAX_BYTES.most <= usize::MAX as u64);
