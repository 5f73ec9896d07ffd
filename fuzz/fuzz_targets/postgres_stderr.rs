//! PostgreSQL's stderr format, with a prefix that has everything, with the default one and with none stated.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sealtrail_parsers::postgres_prefix::Prefix;
use sealtrail_parsers::{Dialect, Format};

const ALL: &str = "%m [%p] q=%q%u@%d app=%-5a r=%r h=%h c=%c l=%l s=%s v=%v x=%x i=%i e=%e b=%b Q=%Q P=%4P n=%n ";

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let prefix = match which % 4 {
        0 => Prefix::compile(ALL).ok(),
        1 => Prefix::compile("%m [%p] ").ok(),
        2 => Prefix::compile("%t:%r:%u@%d:[%p]:").ok(),
        _ => None,
    };
    let dialect = Dialect { prefix: prefix.map(Arc::new), ..Format::PostgresStderr.into() };
    sealtrail_fuzz::format_holds(&dialect, data);
});
