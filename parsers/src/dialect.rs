//! A format, with what an operator has to say about it.

use std::sync::Arc;

use crate::Format;
use crate::postgres_prefix::Prefix;

/// How one file's rows are framed and parsed. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The format.
    pub format: Format,
    /// What stands inside, where `format` only carries rows of another: a container runtime's lines, a cloud's envelopes.
    pub inside: Option<Arc<Dialect>>,
    /// How lines of PostgreSQL's text formats begin; `None`: as one of [`crate::postgres_prefix::PRESETS`], whichever fits a line.
    pub prefix: Option<Arc<Prefix>>,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Self {
        Dialect { format, inside: None, prefix: None }
    }
}
