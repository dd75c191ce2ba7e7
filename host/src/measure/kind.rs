//! What kind of file it is, by its first bytes and its segments.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::measure::{
    error::{MeasureError, at},
    program::elf,
};

/// ELF machine number of the programs this processor runs by itself.
pub(crate) const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else {
    62
};

/// Is it a program for this processor?
pub(crate) fn check_kind(path: &Path, file: &File) -> Result<(), MeasureError> {
    let mut start = vec![0; 20];
    let count = file.read_at(&mut start, 0).map_err(at(path))?;
    start.truncate(count);
    if start.starts_with(b"#!") {
        return Err(MeasureError::Script(path.to_owned()));
    }
    // e_ident: magic, 64 bits, little-endian; e_machine at 18.
    let machine = start.get(18..20) == Some(&MACHINE.to_le_bytes());
    if !start.starts_with(b"\x7fELF\x02\x01") || !machine {
        return Err(MeasureError::NotElf(path.to_owned()));
    }
    Ok(())
}

/// Does the ELF have a PT_INTERP segment? A program header table that is not wholly in the
/// file counts as asking: the kernel would refuse it.
pub(crate) fn asks_for_linker(copy: &File) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    const SMALLEST_ENTRY: u64 = 56;
    let mut header = [0; 64];
    if copy.read_at(&mut header, 0)? < header.len() {
        return Ok(true);
    }
    let field = |at, length| elf::number(&header, at, length);
    let (Some(offset), Some(size), Some(count)) = (field(32, 8), field(54, 2), field(56, 2)) else {
        return Ok(true);
    };
    if size < SMALLEST_ENTRY {
        return Ok(true);
    }
    // A table is some hundred bytes long, and one that is not is read entry by entry.
    let mut start = vec![0; 1024];
    let there = copy.read_at(&mut start, offset)?;
    start.truncate(there);
    for place in (0..count).map(|number| number.saturating_mul(size)) {
        let mut kind = [0; 4];
        let near = usize::try_from(place).ok();
        match near.and_then(|place| start.get(place..)?.first_chunk()) {
            Some(bytes) => kind = *bytes,
            None if copy.read_at(&mut kind, offset.saturating_add(place))? < kind.len() => {
                return Ok(true);
            }
            None => {}
        }
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(true);
        }
    }
    Ok(false)
}
