//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod enroll_ciphers;
mod enroll_further;
mod enroll_header;
mod enroll_kill;
mod enroll_pin;
mod enroll_pin_typed;
mod enroll_pins;
mod enroll_proof;
mod enroll_refusals;
mod enroll_room;
mod enroll_support;
mod enroll_unattended;
mod enroll_unseal;
mod idle_options;
mod kinds;
mod pinned_secret;
mod reseal;
mod setup;
mod setup_steps;
mod srk_tpm12;
mod why;
