//! Arrays of the kernel's md driver: superblocks of formats 0.90, 1.0, 1.1 and 1.2, and which devices make
//! an array.
//!
//! [`Candidate::read`] each disk, then [`array`] by the UUID that is wanted. What the kernel has to be told
//! to assemble it is in the answer: the format's [`Format::numbers`] and the devices. Formats of firmware
//! (Intel's, DDF) are not read.
//!
//! A disk and its last partition can have one superblock of format 0.90 or 1.0 in common, because both end
//! there: only the one that is meant is to be handed over, or both are refused as copies of each other.

mod array;
mod damage;
mod enough;
mod read;
mod superblock;
mod v0;
mod v1;

pub use array::{Array, ArrayError, Member, array};
pub use damage::SuperblockError;
pub use read::Candidate;
pub use superblock::{ArrayId, Format, Level, Role, Superblock};
