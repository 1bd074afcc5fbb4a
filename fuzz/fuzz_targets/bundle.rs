#![no_main]

#[path = "../bodies.rs"]
#[expect(dead_code, reason = "the others are for the other targets")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::bundle(data));
