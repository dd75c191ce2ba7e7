//! What may be overwritten by swap, and the marker that says so at the next boot.
//!
//! A device becomes swap when nothing is known to be on it *and* its start is one of three: empty,
//! a swap signature, our marker. That libblkid finds nothing is not enough: it does not know every
//! format, and an encrypted disk without a header looks like random bytes. That the start is
//! ours is not enough either: some file systems leave the first sectors as they were.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use super::blkid;

/// Bytes before the encrypted swap, which hold the marker.
pub const MARKER_SIZE: u64 = 4096;
const MARKER: &[u8] = b"TAOBOOT SWAP 1\n\
    Behind this page is swap under a key of one boot, which nobody can read any more.\n\
    taoboot writes it anew at each boot.\n";
/// An empty start is at least this long: every known format has something within it, or has its
/// superblock at the end of the device, where libblkid looks.
const EMPTY_START: u64 = 1 << 20;

/// Why a device does not become swap.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Something is on it.
    #[error("it holds {0}")]
    Occupied(String),
    /// Nobody knows what is on it.
    #[error(
        "it holds data of an unknown kind: neither an empty start, nor a swap signature, nor \
         taoboot's marker"
    )]
    Unknown,
    /// It could not be read.
    #[error("its content cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// May the device be overwritten?
pub fn check(device: &Path) -> Result<(), ContentError> {
    let found = blkid::signatures(device)?;
    let others: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|kind| *kind != "swap")
        .collect();
    if !others.is_empty() {
        return Err(ContentError::Occupied(others.join(" and ")));
    }
    let file = File::open(device)?;
    if !found.is_empty() || has_marker(&file)? || is_empty(&file)? {
        Ok(())
    } else {
        Err(ContentError::Unknown)
    }
}

/// Writes the marker where the next boot looks for it, unless it is there already.
pub fn mark(device: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(device)?;
    if has_marker(&file)? {
        return Ok(());
    }
    file.write_all_at(&marker(), 0)?;
    file.sync_data()
}

fn marker() -> Vec<u8> {
    let mut page = MARKER.to_vec();
    page.resize(MARKER_SIZE as usize, 0);
    page
}

fn has_marker(file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(MARKER_SIZE).read_to_end(&mut start)?;
    Ok(start == marker())
}

fn is_empty(file: &File) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0_u64;
    while offset < EMPTY_START {
        match file.read_at(&mut buffer, offset)? {
            0 => break,
            length => {
                if buffer.iter().take(length).any(|byte| *byte != 0) {
                    return Ok(false);
                }
                offset = offset.saturating_add(length as u64);
            }
        }
    }
    Ok(true)
}
