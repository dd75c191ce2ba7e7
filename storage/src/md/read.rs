//! Superblocks where each format puts them (the kernel's `include/uapi/linux/raid/md_p.h`).

use super::{
    damage::SuperblockError,
    superblock::{Format, Superblock},
    v0, v1,
};
use crate::disk::{self, Disk, ReadError};

/// Both formats have this much.
const BLOCK: u64 = 4096;

/// A device, and the superblocks on it. An old one can be left beside the one that counts.
#[derive(Debug)]
pub struct Candidate {
    /// Its name, for people.
    pub device: String,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// What was found.
    pub superblocks: Vec<Superblock>,
    /// What was not believed.
    pub damaged: Vec<SuperblockError>,
}

impl Candidate {
    /// Reads a device.
    ///
    /// # Errors
    /// If its size cannot be told; what is wrong with a superblock is [`Candidate::damaged`].
    pub fn read(device: &str, disk: &mut dyn Disk) -> Result<Self, ReadError> {
        let sectors = disk::size(disk)? >> 9;
        let mut candidate = Self {
            device: device.to_owned(),
            sectors,
            superblocks: Vec::new(),
            damaged: Vec::new(),
        };
        for format in Format::ALL {
            let Some(sector) = format.sector(sectors) else {
                continue;
            };
            match superblock(disk, format, sector, sectors) {
                Ok(found) => candidate.superblocks.extend(found),
                Err(error) => candidate.damaged.push(error),
            }
        }
        Ok(candidate)
    }
}

fn superblock(
    disk: &mut dyn Disk,
    format: Format,
    sector: u64,
    sectors: u64,
) -> Result<Option<Superblock>, SuperblockError> {
    // The device's sectors are fewer than 2^55.
    let block = disk::read(disk, sector << 9, BLOCK)?;
    match format {
        Format::V0_90 => v0::superblock(&block, sector),
        _ => v1::superblock(&block, format, sector, sectors),
    }
}
