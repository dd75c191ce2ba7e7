#![no_main]

#[path = "../bodies/tboot_policy.rs"]
mod tboot_policy_bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tboot_policy_bodies::launch_log(bytes));
