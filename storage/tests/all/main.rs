//! The tests of the package from outside: one program, which is linked once.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod btrfs_recorded;
mod crypttab;
mod lvm2_recorded;
mod lvm2_written;
mod md_recorded;
mod recorded;
mod stack;
mod written;
