//! The label of a physical volume, in one of the first four sectors (lvm2's `lib/label/label.h` and
//! `lib/format_text/layout.h`).

use super::id::Id;
use crate::{
    checksum,
    disk::{self, Disk, ReadError},
    fields::{Cut, Fields},
};

const SECTOR: usize = 512;
const SECTORS: u64 = 4;
/// LVM itself makes one or two.
const MOST_AREAS: usize = 8;

/// A label that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The first sectors were not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A sector was changed, or half-written.
    #[error("the LVM label in sector {0} has a wrong checksum")]
    Checksum(u64),
    /// It was copied from elsewhere.
    #[error("the LVM label in sector {sector} says that it is in sector {says}")]
    Place {
        /// Where it is.
        sector: u64,
        /// Where it should be.
        says: u64,
    },
    /// Not LVM2's.
    #[error("the LVM label in sector {0} is not of type \"LVM2 001\"")]
    Kind(u64),
    /// Which one counts?
    #[error("there is an LVM label in sector {0} and another in sector {1}")]
    Two(u64, u64),
    /// It could not be printed.
    #[error("the UUID in the LVM label is not made of LVM's characters")]
    Uuid,
    /// A list without end.
    #[error("the LVM label lists more than {MOST_AREAS} areas")]
    Areas,
    /// The lists do not fit into the sector.
    #[error("the LVM label is cut off: {0}")]
    Cut(Cut),
}

impl From<Cut> for LabelError {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

/// A part of the device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the device's beginning.
    pub offset: u64,
    /// Its length; a data area of length 0 goes to the end of the device.
    pub size: u64,
}

/// What a label says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Of the physical volume.
    pub id: Id,
    /// What LVM measured when it made it, in bytes.
    pub device_size: u64,
    /// Where extents are.
    pub data: Vec<Area>,
    /// Where metadata is; a physical volume may have none of its own.
    pub metadata: Vec<Area>,
}

impl Label {
    /// Reads the label of a disk. `None`: the disk has none.
    ///
    /// # Errors
    /// If there is one that is damaged, and none that is not.
    pub fn read(disk: &mut dyn Disk) -> Result<Option<Self>, LabelError> {
        let wanted = SECTORS.saturating_mul(SECTOR as u64);
        if disk::size(disk)? < wanted {
            return Ok(None);
        }
        let start = disk::read(disk, 0, wanted)?;
        let mut found: Option<(u64, Self)> = None;
        let mut damaged = None;
        for (number, sector) in (0..).zip(start.chunks_exact(SECTOR)) {
            match (in_sector(number, sector), &found) {
                (Ok(None), _) => {}
                (Ok(Some(_)), Some((first, _))) => return Err(LabelError::Two(*first, number)),
                (Ok(Some(label)), None) => found = Some((number, label)),
                (Err(error), _) => damaged = Some(error),
            }
        }
        match (found, damaged) {
            (Some((_, label)), _) => Ok(Some(label)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

fn in_sector(number: u64, sector: &[u8]) -> Result<Option<Label>, LabelError> {
    let fields = Fields(sector);
    if fields.slice(0, 8)? != b"LABELONE" {
        return Ok(None);
    }
    let covered = fields.slice(20, SECTOR.saturating_sub(20))?;
    if checksum::lvm(covered) != fields.u32(16)? {
        return Err(LabelError::Checksum(number));
    }
    let says = fields.u64(8)?;
    if says != number {
        return Err(LabelError::Place {
            sector: number,
            says,
        });
    }
    if fields.slice(24, 8)? != b"LVM2 001" {
        return Err(LabelError::Kind(number));
    }
    let start = usize::try_from(fields.u32(20)?).unwrap_or(SECTOR);
    let header = Fields(sector.get(start..).unwrap_or(&[]));
    let id = Id::from_bytes(header.array(0)?).ok_or(LabelError::Uuid)?;
    let mut rest = header.slice(40, header.0.len().saturating_sub(40))?;
    let data = areas(&mut rest)?;
    let metadata = areas(&mut rest)?;
    Ok(Some(Label {
        id,
        device_size: header.u64(32)?,
        data,
        metadata,
    }))
}

/// A list that ends with an area at 0.
fn areas(rest: &mut &[u8]) -> Result<Vec<Area>, LabelError> {
    let mut found = Vec::new();
    loop {
        let fields = Fields(rest);
        let area = Area {
            offset: fields.u64(0)?,
            size: fields.u64(8)?,
        };
        *rest = rest.get(16..).unwrap_or(&[]);
        if area.offset == 0 {
            return Ok(found);
        }
        if found.len() == MOST_AREAS {
            return Err(LabelError::Areas);
        }
        found.push(area);
    }
}
