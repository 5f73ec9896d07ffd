//! Whatever the bytes, mariadb-audit-syslog's frames do not depend on cuts, and parsing them ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::format_holds(&Format::MariadbAuditSyslog.into(), data));
