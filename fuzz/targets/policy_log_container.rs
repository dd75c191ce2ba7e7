#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::tboot_policy::log_container(bytes));
