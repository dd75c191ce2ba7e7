//! A metadata area: a header, and a ring of text in which each version of a group's metadata is written
//! behind the one before (lvm2's `lib/format_text/layout.h`).

use super::label::Area;
use crate::{
    checksum,
    disk::{self, Disk, ReadError},
    fields::{Cut, Fields},
};

const HEADER: u64 = 512;
const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// LVM's own areas have about 1 MiB; this is for many thousand volumes.
const LONGEST_TEXT: u64 = 16 << 20;
/// The area takes no part (`pvchange --metadataignore y`).
const IGNORED: u32 = 1;

/// A metadata area without metadata that could be believed.
#[derive(Debug, thiserror::Error)]
pub enum AreaError {
    /// The device is smaller than the area, or fails.
    #[error("the LVM metadata area at {0}")]
    Read(u64, #[source] ReadError),
    /// The header was changed, or half-written.
    #[error("the LVM metadata area at {0} has a header with a wrong checksum")]
    HeaderChecksum(u64),
    /// Something else is there.
    #[error("at {0} is not an LVM metadata area of version 1")]
    Kind(u64),
    /// The header belongs elsewhere.
    #[error("the LVM metadata area at {0} says that it is somewhere else, or of another size")]
    Place(u64),
    /// The text is not in the ring.
    #[error("the LVM metadata area at {0} has its text outside of it")]
    Outside(u64),
    /// The text was changed, or half-written.
    #[error("the LVM metadata area at {0} has a text with a wrong checksum")]
    TextChecksum(u64),
    /// The header is shorter than a header.
    #[error("the LVM metadata area at {0} is cut off: {1}")]
    Cut(u64, Cut),
}

/// Reads the text that counts. `None`: the area is ignored, or the physical volume is in no group.
///
/// # Errors
/// If the area is damaged.
pub fn text(disk: &mut dyn Disk, area: Area) -> Result<Option<Vec<u8>>, AreaError> {
    let at = area.offset;
    let read = |disk: &mut dyn Disk, offset, length| {
        disk::read(disk, offset, length).map_err(|error| AreaError::Read(at, error))
    };
    let header = read(disk, at, HEADER)?;
    let Some(place) = place(&header, area)? else {
        return Ok(None);
    };
    // The part up to the end of the ring, then the part at its beginning.
    let first = place.length.min(area.size.saturating_sub(place.offset));
    let absolute = at.checked_add(place.offset);
    let start = at.checked_add(HEADER);
    let (Some(absolute), Some(start)) = (absolute, start) else {
        return Err(AreaError::Outside(at));
    };
    let mut text = read(disk, absolute, first)?;
    text.append(&mut read(disk, start, place.length.saturating_sub(first))?);
    if checksum::lvm(&text) != place.checksum {
        return Err(AreaError::TextChecksum(at));
    }
    Ok(Some(text))
}

/// Where the text is in the area.
struct Place {
    offset: u64,
    length: u64,
    checksum: u32,
}

fn place(header: &[u8], area: Area) -> Result<Option<Place>, AreaError> {
    let at = area.offset;
    let cut = |cut| AreaError::Cut(at, cut);
    let fields = Fields(header);
    let covered = header.get(4..).unwrap_or(&[]);
    if checksum::lvm(covered) != fields.u32(0).map_err(cut)? {
        return Err(AreaError::HeaderChecksum(at));
    }
    if fields.slice(4, 16).map_err(cut)? != MAGIC || fields.u32(20).map_err(cut)? != 1 {
        return Err(AreaError::Kind(at));
    }
    if fields.u64(24).map_err(cut)? != at || fields.u64(32).map_err(cut)? != area.size {
        return Err(AreaError::Place(at));
    }
    let place = Place {
        offset: fields.u64(40).map_err(cut)?,
        length: fields.u64(48).map_err(cut)?,
        checksum: fields.u32(56).map_err(cut)?,
    };
    if place.offset == 0 || fields.u32(60).map_err(cut)? & IGNORED != 0 {
        return Ok(None);
    }
    let ring = area.size.saturating_sub(HEADER).min(LONGEST_TEXT);
    let is_inside =
        (HEADER..area.size).contains(&place.offset) && (1..=ring).contains(&place.length);
    if is_inside {
        Ok(Some(place))
    } else {
        Err(AreaError::Outside(at))
    }
}
