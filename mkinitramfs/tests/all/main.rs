//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod idle_options;
mod image_build;
mod image_fixture;
mod image_keymap;
mod image_modules;
mod image_view;
mod installed_builder;
