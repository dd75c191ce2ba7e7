//! A development host and a domain, by commands only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test

#[path = "development/domain.rs"]
mod domain;
#[path = "development/host.rs"]
mod host;
#[path = "development/programs.rs"]
mod programs;
#[path = "development/world.rs"]
mod world;
