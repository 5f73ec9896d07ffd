//! Configuration, in two steps: what was written ([`file`]) becomes what is meant ([`plan`]).

pub mod plan;
pub mod secret;
