//! All scenarios are one program: whoever waits for a machine waits beside another that runs, and
//! there is one program to link. They start in the order of their names, so the long ones have early ones:
//! at the end there is no time in which one machine runs alone.
// A test fails by panicking; clippy knows that of #[test] functions only, not of what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod boot_acpi;
mod boot_arch;
mod boot_bad_input;
mod boot_debian;
mod boot_guard;
mod boot_hibernated;
mod boot_installed;
mod boot_no_tpm;
mod boot_pin;
mod boot_prompt;
mod boot_refused;
mod boot_signed;
mod boot_small;
mod boot_tao;
mod boot_two_tpms;
mod boot_update;
mod boot_volume;
mod common;
mod debian_package;
mod harness_debian;
mod harness_launch;
mod harness_tpm;
mod hook_machine;
mod kernel_hook;
mod kernel_hook_attacks;
mod kernel_hook_between;
mod kernel_hook_faults;
mod kernel_hook_sealed;
mod static_programs;
mod update;
