//! The tests of this package are one program: there is one program to link.
// A test fails by a panic, and so do its helpers.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod against_the_model;
mod boot_directory;
mod differential;
mod every_entry;
mod grub;
mod heap;
mod idle_options;
mod launch_log;
mod logs;
mod machine;
mod mkconfig;
mod mkconfig_words;
mod other_menus;
mod polgen;
mod predict;
mod predict_command;
mod predict_tpm12;
mod real_grub;
mod recorded;
mod recorded_launches;
mod vlp;
mod written;
