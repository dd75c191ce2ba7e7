//! What the crates' own tests share: a machine with the real grub-mkconfig ([`grub_machine`])
//! and what commands refuse ([`command_line`]).
// A test fails by a panic, and so do its helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod command_line;
pub mod grub_machine;
mod privilege;
mod required;

pub use privilege::is_root;
pub use required::required;
