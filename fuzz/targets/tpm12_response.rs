#![no_main]

use std::hint::black_box;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    black_box(tpm::tpm12::hostile::run_all(script));
});
