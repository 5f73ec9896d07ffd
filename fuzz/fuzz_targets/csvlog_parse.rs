//! Any bytes parse as csvlog to something.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::parse_is_total(Format::PostgresCsvlog, data));
