#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::lcp::hash_text(bytes));
