//! Superblocks of format 0.90: words of 32 bits in the order of bytes of the machine.

use super::{
    damage::{MAGIC, SuperblockError},
    superblock::{ArrayId, Format, Level, Role, Superblock},
};
use crate::{checksum, fields::Fields};

/// MD_SB_DISKS.
const MOST_MEMBERS: u32 = 27;

const FAULTY: u32 = 1;
const ACTIVE: u32 = 2;
const SYNC: u32 = 4;
const REMOVED: u32 = 8;

/// Reads the 4 KiB at `sector`.
pub fn superblock(block: &[u8], sector: u64) -> Result<Option<Superblock>, SuperblockError> {
    let format = Format::V0_90;
    let fields = Fields(block);
    let word = |index: usize| {
        let word = fields.u32(index.saturating_mul(4));
        word.map_err(|cut| SuperblockError::Cut(format, cut))
    };
    let value = |field, value: u32| SuperblockError::Value {
        format,
        field,
        value: value.into(),
    };
    match word(0)? {
        MAGIC if word(1)? == 0 => {}
        other if other == MAGIC.swap_bytes() && word(1)? == 0 => {
            return Err(SuperblockError::Order);
        }
        _ => return Ok(None),
    }
    if checksum::md_v0(block) != word(38)? {
        return Err(SuperblockError::Checksum(format));
    }
    if word(2)? < 90 {
        return Err(value("minor number of its format", word(2)?));
    }
    let members = word(10)?;
    if members > MOST_MEMBERS {
        return Err(value("number of members", members));
    }
    let chunk = word(65)?;
    if chunk % 512 != 0 {
        return Err(value("chunk size in bytes", chunk));
    }
    let (minor, reshape) = (word(2)?, [word(44)?, word(45)?]);
    let mut roles = Vec::new();
    for number in 0..MOST_MEMBERS {
        let at = usize::try_from(number)
            .unwrap_or(0)
            .saturating_mul(32)
            .saturating_add(128);
        let (slot, state) = (word(at.saturating_add(3))?, word(at.saturating_add(4))?);
        roles.push(if state & (FAULTY | REMOVED) != 0 {
            Role::Faulty
        } else if state & (ACTIVE | SYNC) == (ACTIVE | SYNC) && slot < members {
            Role::Active(slot)
        } else {
            Role::Spare
        });
    }
    let mut uuid = [0; 16];
    for (bytes, index) in uuid.as_chunks_mut::<4>().0.iter_mut().zip([5, 13, 14, 15]) {
        *bytes = word(index)?.to_be_bytes();
    }
    let kibibytes = u64::from(word(8)?);
    let size = kibibytes.checked_mul(2).filter(|size| *size <= sector);
    Ok(Some(Superblock {
        format,
        array: ArrayId(uuid),
        name: String::new(),
        created: word(6)?.into(),
        level: Level::from_number(word(7)?.cast_signed()),
        layout: word(64)?,
        chunk: chunk >> 9,
        members,
        size: size
            .ok_or_else(|| value("size of the members in KiB", word(8).unwrap_or(u32::MAX)))?,
        data_offset: 0,
        data_size: sector,
        events: u64::from(word(39)?) | u64::from(word(40)?) << 32,
        number: word(992)?,
        device: None,
        roles,
        // Before minor 91 there were other words here.
        reshaping: minor >= 91 && reshape != [u32::MAX; 2],
        journal: false,
        unknown_features: 0,
    }))
}
