//! Whatever the bytes, server_audit's frames do not depend on cuts, and parsing them ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| {
    for format in [Format::MariadbAudit, Format::AuroraAudit] {
        sealtrail_fuzz::format_holds(&format.into(), data);
    }
});
