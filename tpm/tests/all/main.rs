//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod approval;
mod auth_value;
mod bus;
mod bus_forged;
mod hostile_records;
mod machine;
mod nv;
mod patience;
mod refusals;
mod sealing;
mod simulated;
mod tpm12;
mod tpm2;
