//! Why the logical volume with root is not found.

use std::io;

use storage::lvm2::{GroupError, LabelError, MetadataError, OtherDevice, TableError};

use crate::config::device::DeviceSpec;

/// Why the logical volume with root is not found.
#[derive(Debug, thiserror::Error)]
pub enum LvmError {
    /// It could not be read.
    #[error("{volume} cannot be read: {source}")]
    Unreadable {
        /// The opened volume, or a logical volume on it.
        volume: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Its label is damaged.
    #[error("{volume} holds a physical volume of LVM, but its label is damaged: {source}")]
    Label {
        /// The opened volume.
        volume: String,
        /// What is wrong with it.
        source: LabelError,
    },
    /// None of its metadata is whole.
    #[error("{volume} holds a physical volume of LVM, but its metadata is damaged: {source}")]
    Metadata {
        /// The opened volume.
        volume: String,
        /// What is wrong with it.
        source: MetadataError,
    },
    /// pvcreate without vgcreate.
    #[error("{0} holds a physical volume of LVM that is in no volume group")]
    NoGroup(String),
    /// The group is not on enrolled volumes alone, or cannot be used.
    #[error("{0}; {hint}", hint = enrolled_only(.0))]
    Group(#[from] GroupError),
    /// `root=` is missing.
    #[error(
        "root= does not say which logical volume holds root: the volume group {group} on {volume} has {volumes}"
    )]
    Unnamed {
        /// The opened volume.
        volume: String,
        /// Its group.
        group: String,
        /// What there is.
        volumes: String,
    },
    /// `root=` is elsewhere.
    #[error(
        "root={spec} is not on the volume that was unlocked: the volume group {group} on {volume} has {volumes}; only the enrolled volume is mounted as root"
    )]
    Elsewhere {
        /// What was asked for.
        spec: DeviceSpec,
        /// The opened volume.
        volume: String,
        /// Its group.
        group: String,
        /// What there is.
        volumes: String,
    },
    /// Somebody's copy, or a look-alike.
    #[error(
        "root={spec} is on two logical volumes, {one} and {other}: name the right one with root=/dev/mapper/GROUP-VOLUME"
    )]
    Twice {
        /// What was asked for.
        spec: DeviceSpec,
        /// A logical volume.
        one: String,
        /// Another.
        other: String,
    },
    /// It may be there as well.
    #[error(
        "root={spec} is looked for in every logical volume, and one cannot be looked into: {source}; name root's with root=/dev/mapper/GROUP-VOLUME"
    )]
    Unseen {
        /// What was asked for.
        spec: DeviceSpec,
        /// Why one cannot.
        source: Box<TableError>,
    },
    /// It needs more than linear and striped, or the metadata contradicts itself.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It would be mapped, and could not be read.
    #[error(transparent)]
    OtherDevice(#[from] OtherDevice),
    /// The name that the volume itself has.
    #[error(
        "the logical volume {0} cannot be mapped, because the volume that it is on is open under that name: give the volume another one (rd.luks.name=)"
    )]
    NameTaken(String),
}

/// Why another disk is not looked at, and how it becomes one of those that are.
const fn enrolled_only(error: &GroupError) -> &'static str {
    match error {
        GroupError::Missing { .. } => {
            "for root only enrolled volumes are looked at: `taoboot add-volume` enrols the LUKS volume that it is in, and rd.luks.name= or [[volume]] has /init open it"
        }
        _ => "for root only enrolled volumes are looked at",
    }
}
