#![no_main]

#[path = "../bodies/tao.rs"]
mod tao_bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tao_bodies::program(bytes));
