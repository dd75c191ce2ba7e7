//! How a superblock is known, and what is wrong with one.

use super::superblock::Format;
use crate::{disk::ReadError, fields::Cut};

/// What all formats begin with.
pub const MAGIC: u32 = 0xa92b_4efc;

/// A superblock that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SuperblockError {
    /// The device fails.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was changed, or half-written.
    #[error("the md superblock of format {0} has a wrong checksum")]
    Checksum(Format),
    /// It says that it is of another format, or elsewhere: a copy.
    #[error("the md superblock of format {0} is not where it says that it is")]
    Place(Format),
    /// Made by a machine with the other order of bytes.
    #[error(
        "the md superblock of format 0.90 is of a machine with another order of bytes (mdadm --assemble --update=byteorder)"
    )]
    Order,
    /// A number that cannot be.
    #[error("the md superblock of format {format} has {value} as its {field}")]
    Value {
        /// Format.
        format: Format,
        /// What it is.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// The block is shorter than its fields.
    #[error("the md superblock of format {0} is cut off: {1}")]
    Cut(Format, Cut),
}
