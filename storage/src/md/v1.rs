//! Superblocks of format 1, which differ in their place only.

use super::{
    damage::{MAGIC, SuperblockError},
    superblock::{ArrayId, Format, Level, Role, Superblock},
};
use crate::{checksum, fields::Fields};

/// Where the roles begin.
const ROLES: usize = 256;
/// What fits behind it.
const MOST_ROLES: u32 = 1920;
/// The kernel's own limit for format 1.
const MOST_MEMBERS: u32 = 4096;

const RESHAPE: u32 = 4;
const JOURNAL: u32 = 512;
/// Bitmap, recovery offset, bad blocks, replacement, reshape backwards, new offset, recovery bitmap, clustered,
/// partial parity log, several of those, RAID 0 layout.
const KNOWN: u32 = 0x1fff;

/// Reads the 4 KiB at `sector`.
pub fn superblock(
    block: &[u8],
    format: Format,
    sector: u64,
    sectors: u64,
) -> Result<Option<Superblock>, SuperblockError> {
    let cut = |cut| SuperblockError::Cut(format, cut);
    let value = |field, value| SuperblockError::Value {
        format,
        field,
        value,
    };
    let fields = Fields(block);
    let u32_at = |offset| fields.u32(offset).map_err(cut);
    let u64_at = |offset| fields.u64(offset).map_err(cut);
    if u32_at(0)? != MAGIC || u32_at(4)? != 1 {
        return Ok(None);
    }
    let most = u32_at(220)?;
    if most > MOST_ROLES {
        return Err(value("number of roles", most.into()));
    }
    // At most 1920.
    let count = usize::try_from(most).unwrap_or(0);
    let length = count.saturating_mul(2);
    let roles = fields.slice(ROLES, length).map_err(cut)?;
    let covered = fields.slice(0, ROLES.saturating_add(length)).map_err(cut)?;
    if checksum::md_v1(covered) != u32_at(216)? {
        return Err(SuperblockError::Checksum(format));
    }
    if u64_at(144)? != sector {
        return Err(SuperblockError::Place(format));
    }
    let (data_offset, data_size) = (u64_at(128)?, u64_at(136)?);
    let end = data_offset.checked_add(data_size);
    if end.is_none_or(|end| end > sectors) {
        return Err(value("end of the data", end.unwrap_or(u64::MAX)));
    }
    // The data may not be where the superblock is.
    let is_apart = match format {
        Format::V1_1 | Format::V1_2 => data_offset >= sector.saturating_add(8),
        _ => end.is_some_and(|end| end <= sector),
    };
    if !is_apart {
        return Err(value("beginning of the data", data_offset));
    }
    let size = u64_at(80)?;
    if size > data_size {
        return Err(value("size of the members", size));
    }
    let members = u32_at(92)?;
    if members > MOST_MEMBERS {
        return Err(value("number of members", members.into()));
    }
    let features = u32_at(8)?;
    let name = fields.slice(32, 32).map_err(cut)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
    let (roles, _) = roles.as_chunks::<2>();
    let role = |bytes: &[u8; 2]| match u16::from_le_bytes(*bytes) {
        0xffff => Role::Spare,
        0xfffe => Role::Faulty,
        0xfffd => Role::Journal,
        slot => Role::Active(slot.into()),
    };
    Ok(Some(Superblock {
        format,
        array: ArrayId(fields.array(16).map_err(cut)?),
        name: String::from_utf8_lossy(name).into_owned(),
        created: u64_at(64)?,
        level: Level::from_number(u32_at(72)?.cast_signed()),
        layout: u32_at(76)?,
        chunk: u32_at(88)?,
        members,
        size,
        data_offset,
        data_size,
        events: u64_at(200)?,
        number: u32_at(160)?,
        device: Some(ArrayId(fields.array(168).map_err(cut)?)),
        roles: roles.iter().map(role).collect(),
        reshaping: features & RESHAPE != 0,
        journal: features & JOURNAL != 0,
        unknown_features: features & !KNOWN,
    }))
}
