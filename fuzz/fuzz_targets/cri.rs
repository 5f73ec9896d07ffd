//! Lines of a container runtime: frames do not depend on cuts, and parsing ends, whatever stands inside.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::{Dialect, Format};

fuzz_target!(|data: &[u8]| {
    let inside = [None, Some(Format::PostgresJsonlog), Some(Format::PostgresStderr), Some(Format::MariadbAudit)];
    for inside in inside {
        let inside = inside.map(|format| Arc::new(Dialect::from(format)));
        sealtrail_fuzz::format_holds(&Dialect { inside, ..Format::Cri.into() }, data);
    }
});
