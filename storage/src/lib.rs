//! What lies on disks and in a machine's tables, read and never written: for /init, which assembles what the
//! boot needs, and for the image builder, which asks what that is.
//!
//! * [`disk`], [`checksum`]: how parts of a disk are read and believed.
//! * [`lvm2`]: physical volumes, volume groups, and the device-mapper tables of logical volumes.
//! * [`btrfs`]: superblocks, and which devices make a file system.
//! * [`md`]: superblocks of software RAID, and which devices make an array.
//! * [`crypttab`], [`fstab`]: what is opened and mounted, with [`table`] and [`device_name`], which they share.
//! * [`mdadm_conf`], [`keyboard`]: what the machine calls its arrays, and what its keys mean.
//! * [`keymap`]: that meaning, as the kernel takes it.
//! * [`pins`]: what enrolment pins for the images to come.
//! * [`stack`], [`mountinfo`], [`device_number`]: the devices that the running system is on.
//! * [`swap`]: the first page of a swap area, and the hibernation image in it.
//! * [`needed`]: of these, what has to be there before root is mounted.
//!
//! Who may write to a disk may write anything there. So everything is bounded: sizes are compared with the
//! disk before memory is taken for them, numbers are added with a check, and a reader says in one sentence
//! what it refuses. Readers take what is [`Disk`], as a file is; only [`needed`] opens a device itself, to
//! read, and [`pins`] its file.

// Numbers from outside are added with a check (ARCHITECTURE.md, Invariants); tests may add as they like.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod btrfs;
pub mod checksum;
pub mod crypttab;
pub mod device_name;
pub mod device_number;
pub mod disk;
pub mod fstab;
pub mod keyboard;
pub mod keymap;
pub mod lvm2;
pub mod md;
pub mod mdadm_conf;
pub mod mountinfo;
pub mod needed;
pub mod pins;
pub mod stack;
pub mod swap;
pub mod table;

mod fields;

pub use disk::{Disk, ReadError};
