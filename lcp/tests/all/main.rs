//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod acm;
mod build;
mod checks;
mod compat;
mod differential;
mod formats;
mod hostile;
mod idle_options;
mod manual;
mod mlehash;
mod module;
#[cfg(feature = "nv")]
mod nv;
mod original;
#[cfg(feature = "nv")]
mod original_nv;
mod other_files;
mod recorded;
mod signatures;
