//! `lcp nv` and the plans behind it on real software TPMs of both kinds (swtpm).
#![cfg(feature = "nv")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

#[path = "nv/command.rs"]
mod command;
#[path = "nv/interrupted.rs"]
mod interrupted;
#[path = "nv/machine.rs"]
mod machine;
#[path = "nv/obstacles.rs"]
mod obstacles;
