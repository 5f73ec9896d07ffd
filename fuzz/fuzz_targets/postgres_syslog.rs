//! PostgreSQL through syslog: lines, rows that were not split, and rows put together from all lines of a file.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format, Scratch, assemble};

fuzz_target!(|data: &[u8]| {
    let prefix = Prefix::compile("%m [%p] %q%u@%d ").ok();
    let dialect = Dialect { prefix: prefix.map(Arc::new), ..Format::PostgresSyslog.into() };
    sealtrail_fuzz::format_holds(&dialect, data);
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let _ = assemble(&dialect, &lines, true, &mut Scratch::new());
});
