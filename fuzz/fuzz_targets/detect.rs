//! Detection answers for any bytes, and with the file's end it decides.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::{Detection, detect};

fuzz_target!(|data: &[u8]| {
    detect(data, false);
    assert_ne!(detect(data, true), Detection::NeedMore);
});
