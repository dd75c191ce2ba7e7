#![no_main]

#[path = "../bodies/lcp.rs"]
mod lcp_bodies;
#[path = "../bodies/original.rs"]
mod original;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lcp_bodies::mle(bytes));
