//! Whatever a server sends, reading it ends with an answer or a doubt.

#![no_main]

use kanary::promql::answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    drop(answer::read(status, body));
});
