//! btrfs: the superblock of a device, and which devices make a file system.
//!
//! The kernel takes the devices that it was told of, by the UUIDs in their superblocks, and the newest of
//! those that claim one number. So all are looked at before it is told: [`Superblock::read`] each, then
//! [`members`] by the UUID that is wanted.

mod members;
mod superblock;

pub use members::{Candidate, FileSystem, MembersError, members};
pub use superblock::{Superblock, SuperblockError, Uuid};
