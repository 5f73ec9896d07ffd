//! The JSON of pgauditlogtofile.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::format_holds(&Format::PgauditlogtofileJson.into(), data));
