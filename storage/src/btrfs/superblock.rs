//! The superblock at 64 KiB (btrfs-progs' `kernel-shared/uapi/btrfs_tree.h`).

use std::fmt;

use sha2::Digest as _;

use crate::{
    checksum,
    disk::{self, Disk, ReadError},
    fields::{Cut, Fields},
};

/// Where the first superblock is, and where it says that it is.
const PLACE: u64 = 65_536;
const LENGTH: u64 = 4096;
const MAGIC: &[u8; 8] = b"_BHRfS_M";
/// More than any machine has.
const MOST_DEVICES: u64 = 1024;

/// Another UUID than the visible one is in the metadata (`btrfstune -m`).
const METADATA_UUID: u64 = 1 << 10;
const SEEDING: u64 = 1 << 32;
const CHANGING_ID: u64 = (1 << 35) | (1 << 36);

/// A UUID as it lies on the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// From its usual text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut digits = text.chars();
        for (index, byte) in (0..).zip(&mut bytes) {
            if matches!(index, 4 | 6 | 8 | 10) && digits.next()? != '-' {
                return None;
            }
            let high = digits.next()?.to_digit(16)?;
            let low = digits.next()?.to_digit(16)?;
            *byte = u8::try_from((high << 4) | low).ok()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in (0..).zip(self.0) {
            if matches!(index, 4 | 6 | 8 | 10) {
                formatter.write_str("-")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A superblock that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SuperblockError {
    /// The device fails.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was changed, or half-written.
    #[error("the btrfs superblock has a wrong checksum")]
    Checksum,
    /// A copy of another one.
    #[error("the btrfs superblock says that it is at {0}")]
    Place(u64),
    /// The kernel may know more.
    #[error("the btrfs superblock has a checksum of type {0}, which is not known")]
    Kind(u16),
    /// It contradicts itself.
    #[error("the btrfs superblock belongs to {device}, and its device to {device_says}")]
    Device {
        /// The file system in the superblock.
        device: Uuid,
        /// The file system in the device's entry.
        device_says: Uuid,
    },
    /// A number that cannot be.
    #[error("the btrfs superblock has {value} as its {field}")]
    Value {
        /// What it is.
        field: &'static str,
        /// What it says.
        value: u64,
    },
    /// The block is shorter than its fields.
    #[error("the btrfs superblock is cut off: {0}")]
    Cut(Cut),
}

impl From<Cut> for SuperblockError {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

/// What a device of a btrfs file system says of it, and of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The file system's UUID, as blkid and fstab know it.
    pub id: Uuid,
    /// The UUID in the metadata, which is another one after `btrfstune -m`.
    pub metadata_id: Uuid,
    /// Its label.
    pub label: String,
    /// Counts the transactions.
    pub generation: u64,
    /// How many devices the file system has.
    pub devices: u64,
    /// This device's number in it.
    pub device: u64,
    /// This device's UUID.
    pub device_id: Uuid,
    /// The size of this device in bytes, as far as the file system uses it.
    pub device_size: u64,
    /// Others grow on top of it; it is read-only itself.
    pub seeding: bool,
    /// btrfstune was interrupted while it changed the UUID.
    pub changing_id: bool,
}

impl Superblock {
    /// Reads a disk. `None`: it has no btrfs.
    ///
    /// # Errors
    /// If it has one that is damaged.
    pub fn read(disk: &mut dyn Disk) -> Result<Option<Self>, SuperblockError> {
        let size = disk::size(disk)?;
        if PLACE.checked_add(LENGTH).is_none_or(|end| end > size) {
            return Ok(None);
        }
        let block = disk::read(disk, PLACE, LENGTH)?;
        parse(&block, size)
    }
}

fn parse(block: &[u8], size: u64) -> Result<Option<Superblock>, SuperblockError> {
    let fields = Fields(block);
    if fields.slice(64, 8)? != MAGIC {
        return Ok(None);
    }
    let covered = fields.slice(32, block.len().saturating_sub(32))?;
    let stored = fields.slice(0, 32)?;
    if !is_checksum(fields.u16(196)?, covered, stored)? {
        return Err(SuperblockError::Checksum);
    }
    if fields.u64(48)? != PLACE {
        return Err(SuperblockError::Place(fields.u64(48)?));
    }
    let id = Uuid(fields.array(32)?);
    let has_another = fields.u64(188)? & METADATA_UUID != 0;
    let metadata_id = if has_another {
        Uuid(fields.array(571)?)
    } else {
        id
    };
    let device_says = Uuid(fields.array(283)?);
    if device_says != metadata_id {
        return Err(SuperblockError::Device {
            device: metadata_id,
            device_says,
        });
    }
    let value = |field, value| SuperblockError::Value { field, value };
    let devices = fields.u64(136)?;
    if !(1..=MOST_DEVICES).contains(&devices) {
        return Err(value("number of devices", devices));
    }
    let device_size = fields.u64(209)?;
    if device_size > size {
        return Err(value("size of its device", device_size));
    }
    let label = fields.slice(299, 256)?;
    let label = label.split(|byte| *byte == 0).next().unwrap_or(&[]);
    let flags = fields.u64(56)?;
    Ok(Some(Superblock {
        id,
        metadata_id,
        label: String::from_utf8_lossy(label).into_owned(),
        generation: fields.u64(72)?,
        devices,
        device: fields.u64(201)?,
        device_id: Uuid(fields.array(267)?),
        device_size,
        seeding: flags & SEEDING != 0,
        changing_id: flags & CHANGING_ID != 0,
    }))
}

fn is_checksum(kind: u16, covered: &[u8], stored: &[u8]) -> Result<bool, SuperblockError> {
    Ok(match kind {
        0 => stored.starts_with(&checksum::crc32c(covered).to_le_bytes()),
        1 => stored.starts_with(&twox_hash::XxHash64::oneshot(0, covered).to_le_bytes()),
        2 => *stored == sha2::Sha256::digest(covered)[..],
        3 => *stored == blake2::Blake2b::<blake2::digest::consts::U32>::digest(covered)[..],
        other => return Err(SuperblockError::Kind(other)),
    })
}
