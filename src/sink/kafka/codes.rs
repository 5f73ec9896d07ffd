//! What Kafka's error codes are called, and what they mean to one who writes. Source: https://kafka.apache.org/protocol.html#protocol_error_codes.

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// All is well.
    None,
    /// It may pass.
    Later,
    /// It has this batch already.
    Had,
    /// It knows this producer no longer, or has another sequence: go on as a new one.
    Anew,
    /// Not this much at once, or not one of these records.
    Split,
    /// Somebody has to act.
    Stop(&'static str),
}

const RIGHTS: &str = "give this user the right to write to the topic (ACL: operation Write)";
const CLOCK: &str = "set this machine's clock, or the brokers'; or let the topic take the brokers' time (message.timestamp.type=LogAppendTime)";
const VERSION: &str = "brokers since Kafka 2.1 speak this protocol: is this one, or what stands before it, older?";

/// Its name, and what it means.
pub(super) fn meaning(code: i16) -> (&'static str, Meaning) {
    use Meaning::{Anew, Had, Later, Split, Stop};
    match code {
        0 => ("NONE", Meaning::None),
        -1 => ("UNKNOWN_SERVER_ERROR", Later),
        2 => ("CORRUPT_MESSAGE", Later),
        3 => ("UNKNOWN_TOPIC_OR_PARTITION", Later),
        5 => ("LEADER_NOT_AVAILABLE", Later),
        6 => ("NOT_LEADER_OR_FOLLOWER", Later),
        7 => ("REQUEST_TIMED_OUT", Later),
        8 => ("BROKER_NOT_AVAILABLE", Later),
        9 => ("REPLICA_NOT_AVAILABLE", Later),
        10 => ("MESSAGE_TOO_LARGE", Split),
        13 => ("NETWORK_EXCEPTION", Later),
        14 => ("COORDINATOR_LOAD_IN_PROGRESS", Later),
        15 => ("COORDINATOR_NOT_AVAILABLE", Later),
        16 => ("NOT_COORDINATOR", Later),
        17 => ("INVALID_TOPIC_EXCEPTION", Stop("check `topic`")),
        18 => ("RECORD_LIST_TOO_LARGE", Split),
        19 => ("NOT_ENOUGH_REPLICAS", Later),
        20 => ("NOT_ENOUGH_REPLICAS_AFTER_APPEND", Later),
        21 => ("INVALID_REQUIRED_ACKS", Stop("let the cluster take acks=all")),
        29 => ("TOPIC_AUTHORIZATION_FAILED", Stop(RIGHTS)),
        31 => (
            "CLUSTER_AUTHORIZATION_FAILED",
            Stop("give this user the right to write with an idempotent producer (ACL: IdempotentWrite on the cluster)"),
        ),
        32 => ("INVALID_TIMESTAMP", Stop(CLOCK)),
        33 => ("UNSUPPORTED_SASL_MECHANISM", Stop("set `mechanism` to one that the brokers have")),
        34 => (
            "ILLEGAL_SASL_STATE",
            Stop("this listener wants no login: leave `username` or `oauth2` out, or use another port"),
        ),
        35 => ("UNSUPPORTED_VERSION", Stop(VERSION)),
        42 => ("INVALID_REQUEST", Stop(VERSION)),
        43 => ("UNSUPPORTED_FOR_MESSAGE_FORMAT", Stop(VERSION)),
        44 => ("POLICY_VIOLATION", Stop("ask whoever runs the cluster which policy that is")),
        45 => ("OUT_OF_ORDER_SEQUENCE_NUMBER", Anew),
        46 => ("DUPLICATE_SEQUENCE_NUMBER", Had),
        47 => ("INVALID_PRODUCER_EPOCH", Anew),
        49 => ("INVALID_PRODUCER_ID_MAPPING", Anew),
        56 => ("KAFKA_STORAGE_ERROR", Later),
        58 => ("SASL_AUTHENTICATION_FAILED", Stop("check `username`, `password` and `mechanism`, or `oauth2`")),
        59 => ("UNKNOWN_PRODUCER_ID", Anew),
        74 => ("FENCED_LEADER_EPOCH", Later),
        75 => ("UNKNOWN_LEADER_EPOCH", Later),
        76 => ("UNSUPPORTED_COMPRESSION_TYPE", Stop("set `compression` to one that the topic takes, such as \"gzip\"")),
        87 => ("INVALID_RECORD", Split),
        89 => ("THROTTLING_QUOTA_EXCEEDED", Later),
        90 => ("PRODUCER_FENCED", Anew),
        _ => ("an error that this release does not know", Stop("see the broker's own log")),
    }
}
