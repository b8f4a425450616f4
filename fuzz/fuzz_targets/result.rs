//! Whatever a server sends, reading it ends with a result or an error.

#![no_main]

use kanary::promql::result;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    drop(result::read(status, body));
});
