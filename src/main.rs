//! The `sealtrail` binary.

fn main() {}
