//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod command;
mod development;
mod examples;
mod host;
mod host_tpm2;
mod other_language;
