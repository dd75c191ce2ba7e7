//! A volume group, as its metadata describes it.

use std::{collections::BTreeMap, fmt};

use super::id::Id;

/// A volume group. Sizes are in extents where they are not said to be in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: Id,
    /// Counts the changes.
    pub seqno: u64,
    /// It was given away (`vgexport`).
    pub exported: bool,
    /// Other machines use it at the same time, with locks that a boot does not have.
    pub shared: bool,
    /// The machine that it belongs to, where that is said.
    pub system_id: Option<String>,
    /// Sectors of an extent.
    pub extent_size: u64,
    /// Physical volumes by the name in the text (`pv0`).
    pub physical: BTreeMap<String, PhysicalVolume>,
    /// Logical volumes by name, those that others consist of as well.
    pub logical: BTreeMap<String, LogicalVolume>,
}

/// A device with extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// Its UUID, also in its label.
    pub id: Id,
    /// Where it was when the text was written.
    pub device: String,
    /// It was away when the group was changed last: what is on it is old.
    pub missing: bool,
    /// Sector of the first extent.
    pub first_sector: u64,
    /// Its extents.
    pub extents: u64,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its UUID.
    pub id: Id,
    /// It is a volume of its own, not a part of another.
    pub visible: bool,
    /// Otherwise it is read-only.
    pub writable: bool,
    /// `lvm` itself does not activate it at boot (`lvchange -ky`).
    pub skipped: bool,
    /// States that this program does not know of: a mapping could be wrong.
    pub unknown_states: Vec<String>,
    /// In order and without holes.
    pub segments: Vec<Segment>,
}

/// A stretch of a logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First extent in the volume.
    pub start: u64,
    /// Its length.
    pub extents: u64,
    /// How it is stored.
    pub kind: Kind,
}

/// How a segment is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On one device, or in turn on several.
    Striped {
        /// Sectors on one before the next has its turn; 0 with one stripe.
        chunk: u64,
        /// At least one.
        stripes: Vec<Stripe>,
    },
    /// In a way that needs lvm2.
    Other {
        /// The type's word: `raid1`, `thin`, ...
        word: String,
        /// Logical volumes that it consists of.
        uses: Vec<String>,
    },
}

/// Part of a striped segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// Where it is.
    pub on: On,
    /// First extent there.
    pub extent: u64,
}

/// What extents are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// A physical volume, by its name in the text.
    Physical(String),
    /// A logical volume.
    Logical(String),
}

impl LogicalVolume {
    /// Its length in extents.
    pub fn extents(&self) -> u64 {
        // The reader added them with a check.
        let lengths = self.segments.iter().map(|segment| segment.extents);
        lengths.fold(0, u64::saturating_add)
    }
}

impl fmt::Display for VolumeGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name, self.id)
    }
}
