//! A format, with what an operator has to say about it.

use std::sync::Arc;

use crate::Format;

/// How one file's rows are framed and parsed. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The format.
    pub format: Format,
    /// What stands inside, where `format` only carries rows of another: a container runtime's lines, a cloud's envelopes.
    pub inside: Option<Arc<Dialect>>,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Self {
        Dialect { format, inside: None }
    }
}
