//! However a csvlog file is cut into pieces, its frames are the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::frames_do_not_depend_on_cuts(Format::PostgresCsvlog, data));
