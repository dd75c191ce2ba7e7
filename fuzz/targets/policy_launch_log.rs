#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::tboot_policy::launch_log(bytes));
