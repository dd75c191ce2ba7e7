#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| bodies::tpm12::response(script));
