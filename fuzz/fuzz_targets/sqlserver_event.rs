//! SQL Server's event 33205 as text: frames do not depend on cuts, and parsing ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::format_holds(&Format::SqlserverEvent.into(), data));
