//! Kafka.

use std::time::Duration;

use super::{Compression, OauthPlan, TlsPlan, Transport};
use crate::config::secret::Secret;

/// `type = "kafka"`.
#[derive(Debug, Clone)]
pub struct KafkaPlan {
    /// Hosts and ports of brokers, of which any that answers tells of all others.
    pub brokers: Vec<(String, u16)>,
    /// Must be there.
    pub topic: String,
    /// Instead of the one that the key chooses.
    pub partition: Option<u32>,
    /// `Tls` or `Tcp`.
    pub transport: Transport,
    /// TLS beyond the system's roots.
    pub tls: TlsPlan,
    /// Who we are.
    pub login: KafkaLogin,
    /// How batches are compressed.
    pub compression: Compression,
    /// A batch is sent when it has this many bytes of lines.
    pub batch_max_bytes: usize,
    /// A batch that is not taken by then is sent again.
    pub timeout: Duration,
}

/// Who we are to the brokers.
#[derive(Debug, Clone)]
pub enum KafkaLogin {
    /// Whoever the client certificate names, or nobody.
    Nobody,
    /// By SASL.
    Password {
        /// How it is shown that we know it.
        mechanism: SaslMechanism,
        /// Not secret.
        username: String,
        /// Secret.
        password: Secret,
    },
    /// By SASL's OAUTHBEARER.
    Token(OauthPlan),
}

/// `mechanism = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616: as it is.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with a longer hash.
    ScramSha512,
}

impl SaslMechanism {
    /// All of them.
    pub const ALL: [SaslMechanism; 3] = [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

    /// As `mechanism` and the protocol name it.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
