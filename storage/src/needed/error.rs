//! Why it is not known what a machine needs.

use std::{io, path::PathBuf};

use crate::{mountinfo::MountInfoError, stack::StackError, table::TableError};

/// Why it is not known what a machine needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NeededError {
    /// A file.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A table.
    #[error("{path}: {source}", path = .path.display())]
    Table {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// What is mounted.
    #[error(transparent)]
    Mounts(#[from] MountInfoError),
    /// The devices.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A line that cannot be obeyed.
    #[error("{path}, line {line}: {why}", path = .path.display())]
    Line {
        /// The table.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A mapping of several devices.
    #[error("the volume {0} does not lie on exactly one device")]
    Below(String),
    /// LUKS on LVM, on another mapping, on a file.
    #[error(
        "the volume {volume} lies on {device}, which is neither a disk, a partition nor an md array: /init cannot set it up before it opens volumes"
    )]
    Layer {
        /// Its name.
        volume: String,
        /// The kernel's name of what is below it.
        device: String,
    },
    /// An array of the firmware's, or one whose members cannot be read.
    #[error(
        "none of the members of the array {0} has a superblock of the md driver that can be read, so that its UUID is not known"
    )]
    ArrayWithoutUuid(String),
}
