//! However a csvlog record is handed over, its first and last bytes and the shorter row made of them are the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::Format;

fuzz_target!(|data: &[u8]| sealtrail_fuzz::cut_does_not_depend_on_pieces(Format::PostgresCsvlog, data));
